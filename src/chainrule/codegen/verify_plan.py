"""The verifier of plans: what is read is there. Run after each plan where `config.VERIFY` is set, as in the tests.

A kernel may read a whole value that an earlier step has made, at any entry; and what an earlier kernel of its own
phase has made, or it itself just wrote, at its own sample. A sum is whole after its phase.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from chainrule.codegen.computed import counts_along
from chainrule.codegen.plan import Plan
from chainrule.codegen.steps import Call, Gemm, Kernel, Output, Phase
from chainrule.codegen.views import FLAT, Axis, Terms, strides
from chainrule.errors import GraphError
from chainrule.ir.graph import Equation, Var


def verify_plan(plan: Plan) -> Plan:
    """Check a plan, and return it.

    Raises
    ------
    GraphError (E301)
        With the value that is read where it is not yet, or no longer, there, and the user's line of it.
    """
    _Verifier(plan).run()
    return plan


class _Verifier:
    """One walk along the steps.

    whole
        Arrays that are complete.
    here
        What the kernels of the phase have written so far: it is there at the samples of the tile, except sums.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.whole: set[Var] = {*plan.graph.inputs, *plan.graph.constants}
        self.here: dict[Var, Output] = {}

    def run(self) -> None:
        for step in self.plan.steps:
            if isinstance(step, Call):
                self._call(step.equation)
            elif isinstance(step, Phase):
                self._phase(step)
            else:
                self._kernel(step, None)
                self._end()
        for v in self.plan.graph.outputs:
            if v not in self.whole:
                raise self._error("no step makes a result of the program", v)

    def _call(self, e: Equation) -> None:
        for v in e.inputs:
            if v not in self.whole:
                raise self._error(f"a call of {e.name} reads what is not there as a whole", v)
        self.whole.update(e.outs)

    def _phase(self, phase: Phase) -> None:
        bounds = phase.bounds()
        cut = [b % phase.tile for b in bounds[:-1]]
        if (
            phase.samples != self.plan.axis.extent
            or bounds[0] != 0
            or bounds[-1] != phase.samples
            or any(cut)
        ):
            raise self._error("the chunks of a phase are not its samples", phase.kernels[0].outputs[0].var)
        for kernel in phase.kernels:
            self._kernel(kernel, phase)
        self._end()

    def _end(self) -> None:
        """Tiles are gone; arrays and sums are complete."""
        self.whole |= {v for v, o in self.here.items() if o.place != "tile"}
        self.here = {}

    # --- what is written ---------------------------------------------------------------------------

    def _kernel(self, kernel: Kernel | Gemm, phase: Phase | None) -> None:
        if isinstance(kernel, Gemm):
            axes, samples = [*kernel.batch, kernel.m, kernel.n], kernel.samples
            axes += [kernel.k] if kernel.output.combine else []
        else:
            axes, samples = list(kernel.axes), kernel.axes[-1] if phase is not None else None
        if phase is not None and (samples is None or samples.extent != phase.samples):
            raise self._error("a kernel of a phase has no loop along the samples", kernel.outputs[0].var)
        mine: dict[Var, Output] = {}
        for o in kernel.outputs:
            self._place(o, phase)
            if not o.scattered:  # else arrays tell where to
                self._loops(o, axes, samples)
            for v, idx in self._reads(kernel, o):
                self._read(o, v, idx, mine, samples)
            mine[o.var] = o
        self.here.update(mine)

    def _place(self, o: Output, phase: Phase | None) -> None:
        """The place is the one that the plan says, and still free."""
        v, plan = o.var, self.plan
        planned = plan.places.get(v) or ("tile" if phase and v in plan.tiles[phase.number] else "inline")
        sums = o.combine is not None and (phase is not None or not o.scattered)
        if o.place != planned or sums != (o.place == "sum") or (o.place == "sum" and phase is None):
            what = f"a kernel writes to a place ({o.place}) that is not that of the value ({planned})"
            raise self._error(what, v)
        if v in self.whole or v in self.here:
            raise self._error("a value is written twice", v)

    def _loops(self, o: Output, axes: Sequence[Axis], samples: Axis | None) -> None:
        """Every entry of the value is written: once, or added to in every tile."""
        along = [a for a, step, offset in o.idx if a is not None and (step, offset) == (1, 0)]
        full = all(n == (a.extent if a else 1) for n, (a, _, _) in zip(o.var.shape, o.idx, strict=True))
        once = len({*along}) == len(along) == sum(a is not None for a, _, _ in o.idx)
        summed = {*axes} - {*along}
        if not full or not once or not (samples in summed if o.combine else not summed):
            raise self._error("the loops of a kernel do not run through the value that it writes", o.var)

    # --- what is read ------------------------------------------------------------------------------

    def _reads(self, kernel: Kernel | Gemm, o: Output) -> Iterable[tuple[Var, Terms]]:
        """The kept values that an output reads, and at which entries."""
        if isinstance(kernel, Gemm):
            return [kernel.left, kernel.right]
        more = [kernel.guard, kernel.powers and kernel.powers.x]
        wanted = [o, *[Output(o.var, o.idx, o.place, "add", [r]) for r in more if r is not None]]
        return [
            (v, idx) for w in wanted for v, found in self.plan.reads(w, kernel.phase).items() for idx in found
        ]

    def _read(self, o: Output, v: Var, idx: Terms, mine: Mapping[Var, Output], samples: Axis | None) -> None:
        if v in self.whole:
            return
        written = mine.get(v) or self.here.get(v)
        if written is None:
            raise self._error(f"{self._name(o.var)} reads what is not there", v)
        if written.combine is not None:
            raise self._error(f"{self._name(o.var)} reads a sum before the end of its phase", v)
        if v in mine:
            if idx != written.idx:
                raise self._error(f"{self._name(o.var)} reads what its own kernel may not have written", v)
        elif samples is None or not self._at_sample(v, idx, samples):
            raise self._error(f"{self._name(o.var)} reads other samples than its own", v)

    def _at_sample(self, v: Var, idx: Terms, samples: Axis) -> bool:
        """Whether an entry is along the samples at the sample of the loop."""
        where = self.plan.axis.dim(v)
        if where is None:
            return False
        if idx[:1] != (FLAT,):
            return idx[where] == (samples, 1, 0) and not counts_along(idx[:where] + idx[where + 1 :], samples)
        apart = strides(v.shape)[where]
        every = apart * v.shape[where]  # whole rounds through the samples lead to the same one
        first = last = 0
        for a, step, offset in idx[1:]:
            if a is samples:
                continue
            span = step * (a.extent - 1) if a is not None and step % every else 0
            begin = offset if offset % every else 0
            first, last = first + begin + min(span, 0), last + begin + max(span, 0)
        along = [(step, offset) for a, step, offset in idx[1:] if a is samples]
        return along == [(apart, 0)] and 0 <= first <= last < apart

    # --- errors ------------------------------------------------------------------------------------

    def _name(self, v: Var) -> str:
        return self.plan.made[v].name if v in self.plan.made else "an input"

    def _error(self, what: str, v: Var) -> GraphError:
        e = self.plan.made.get(v)
        return GraphError(
            f"in a plan, {what}", given=f"{self._name(v)}: {v.type}", source=e.source if e else None,
            fix="this is a mistake in chainrule.codegen: please report the program",
        )  # fmt: skip


__all__ = ["verify_plan"]
