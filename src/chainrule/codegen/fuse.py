"""Steps in order, where outputs with the same loops share a kernel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from chainrule.codegen.computed import renamed_terms
from chainrule.codegen.steps import Gemm, Kernel, Output, Phase
from chainrule.codegen.views import Axis, Terms
from chainrule.ir.graph import Var

Reads = dict[Var, list[Terms]]

MOST = 160  # operations of one kernel: LLVM takes more than twice as long for one that is twice as long


class Steps:
    """Collects kernels and other steps; how long that takes does not depend on what was collected before.

    steps
        What was collected.
    """

    def __init__(self) -> None:
        self.steps: list[Any] = []
        self._open: dict[Any, int] = {}  # loops -> the latest kernel that has them
        self._written: dict[Var, tuple[int, Output | None]] = {}
        self._sizes: dict[int, int] = {}
        self._firsts: dict[int, Any] = {}  # kernel -> what its first output is like

    def append(self, step: Any, writes: Iterable[Var]) -> None:
        """A step that shares nothing."""
        self._written.update((v, (len(self.steps), None)) for v in writes)
        self.steps.append(step)

    def add(self, kernel: Kernel, reads: Reads, size: int) -> None:
        """A kernel of one output, which reads these kept values and takes `size` operations.

        It joins the latest kernel with the same loops, unless something behind that writes what it reads.
        """
        loops, (out,) = kernel.signature(), kernel.outputs
        k = self._open.get(loops, -1)
        alone = kernel.powers is not None or kernel.turns
        alike = size, len(reads), out.combine  # as far as that is told without looking closer
        if (
            alone
            or k < self._last_written(reads)
            or not self._has_room(k, alike)
            or not self._fits(k, kernel, reads)
        ):
            k = len(self.steps)
            self.steps.append(kernel)
            self._sizes[k] = 0
            self._firsts[k] = alike
            if not alone:  # they have the loop for themselves
                self._open[loops] = k
        else:
            other = self.steps[k]
            out.idx = renamed(out.idx, kernel.axes, other.axes)
            out.factors = [(v, renamed(ts, kernel.axes, other.axes)) for v, ts in out.factors]
            other.outputs.append(out)
        self._written[out.var] = k, out
        self._sizes[k] += size

    def _has_room(self, k: int, alike: Any) -> bool:
        """Whether kernel k, if there is one, takes one more output.

        From half its length on it ends before an output that is like its first: then kernels of an unrolled loop begin
        in the same place of a round, and most of them are alike (alike.py).
        """
        if k < 0:
            return False
        most = MOST if self.steps[k].vector else 4 * MOST  # one on plain numbers is short beside a call
        return self._sizes[k] <= most // 2 or (self._sizes[k] <= most and self._firsts[k] != alike)

    def _last_written(self, reads: Reads) -> int:
        """The latest step that writes one of these values."""
        return max((self._written[v][0] for v in reads if v in self._written), default=-1)

    def _fits(self, k: int, kernel: Kernel, reads: Reads) -> bool:
        """What a new output reads of kernel k it must read at the entry that is just written there."""
        other = self.steps[k]
        if kernel.guard and renamed(kernel.guard[1], kernel.axes, other.axes) != other.guard[1]:
            return False
        for v, places in reads.items():
            step, out = self._written.get(v, (-1, None))
            if step != k or out is None:
                continue
            if out.combine is not None or any(
                renamed(idx, kernel.axes, other.axes) != out.idx for idx in places
            ):
                return False
        return True


def renamed(idx: Terms, of: Sequence[Axis], to: Sequence[Axis]) -> Terms:
    """An entry by the loops of another kernel."""
    return renamed_terms(idx, dict(zip(of, to, strict=True)))


def written(step: Kernel | Gemm | Phase) -> list[Var]:
    """What a step of kernels writes."""
    kernels = step.kernels if isinstance(step, Phase) else [step]
    return [o.var for k in kernels for o in k.outputs]


__all__ = ["Steps", "renamed", "written"]
