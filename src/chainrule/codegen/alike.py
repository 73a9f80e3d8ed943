"""Whether two kernels are alike: the same loops and operations on values of the same types, in other places.

What an unrolled loop does in each round is written once; the key is found much quicker than the text.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.codegen.integers import has_divisor
from chainrule.codegen.layout import Layout
from chainrule.codegen.plan import Plan
from chainrule.codegen.reading import Read, operands
from chainrule.codegen.scattering import PICKS, PIECES
from chainrule.codegen.steps import Kernel, Output, Phase
from chainrule.codegen.views import Axis, Terms
from chainrule.ir.graph import Equation, Var


class NotTold(Exception):
    """A kernel has parts that are not looked into."""


class Likeness(Layout):
    """The key of a kernel: kernels of one module with equal keys have equal texts.

    key
        None: that is not told.
    values
        The kept values that the kernel reads and writes, in the order in which the key names them.
    """

    def __init__(self, plan: Plan, kernel: Kernel, phase: Phase | None) -> None:
        super().__init__(plan, phase)
        self.kernel = kernel
        self.values: dict[Var, int] = {}
        self._axes: dict[Axis, int] = {}
        self._reads: dict[Read, int] = {}
        self._rest: list[Read] = []
        try:
            self.key: tuple[Any, ...] | None = tuple(self._parts())
        except NotTold:
            self.key = None

    def _parts(self) -> list[Any]:
        k = self.kernel
        found: list[Any] = [k.vector, *[self._axis(a) for a in k.axes]]
        if self.phase is not None:
            found += [self.phase.samples, self.phase.tile]
        if k.powers is not None:
            found += ["powers", self._axis(k.powers.along), k.powers.first, self._read(k.powers.x)]
        if k.guard is not None:
            found += ["guard", self._read(k.guard)]
        for o in k.outputs:
            found += self._output(o)
        while self._rest:
            found.append(self._entry(*self._rest.pop()))
        return found

    def _output(self, o: Output) -> list[Any]:
        if o.scattered:
            raise NotTold
        computed = self._equation(self.plan.made[o.var], o.idx) if o.combine is None else o.combine
        return [o.place, self._kept(o.var, o.idx), computed, *map(self._read, o.factors)]

    def _entry(self, v: Var, idx: Terms) -> Any:
        """How an entry is found: a number, in memory, or computed."""
        number = self.plan.graph.constants.get(v)
        if number is not None and number.ndim == 0:
            return number.dtype.str, number.tobytes()
        if self.plan.is_array(v) or self.plan.is_kept(v, self.kernel.phase):
            return self._kept(v, idx)
        return self._equation(self.plan.made[v], idx)

    def _kept(self, v: Var, idx: Terms) -> Any:
        in_tile = self.in_tile(v)
        where = self.plan.axis.dim(v) if in_tile else None
        number = self.values.setdefault(v, len(self.values))
        return number, v.shape, v.dtype, in_tile, where, self._terms(idx)

    def _equation(self, e: Equation, idx: Terms) -> Any:
        if e.primitive.kind in (PICKS, PIECES) or any(isinstance(v, np.ndarray) for v in e.params.values()):
            raise NotTold
        if has_divisor(e):
            raise NotTold
        types = [(v.shape, v.dtype) for v in (*e.outs, *e.inputs)]
        reads = [self._read(r) for r in operands(e, idx)]
        return e.name, repr(sorted(e.params.items())) if e.params else "", *types, *reads

    def _read(self, read: Read) -> int:
        number = self._reads.get(read)
        if number is None:
            number = self._reads[read] = len(self._reads)
            self._rest.append(read)
        return number

    def _terms(self, idx: Terms) -> tuple[Any, ...]:
        return tuple([(self._axis(a), step, offset) for a, step, offset in idx])

    def _axis(self, a: Any) -> Any:
        """A loop by its number, with its length where it is met first."""
        if a is None:
            return None
        if a.__class__ is not Axis:
            raise NotTold
        number = self._axes.get(a)
        if number is None:
            number = self._axes[a] = len(self._axes)
            return number, a.extent
        return number


__all__ = ["Likeness"]
