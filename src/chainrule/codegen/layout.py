"""Where the entries of kept values are: in arrays in C order, in tiles with the samples next to each other."""

from __future__ import annotations

from chainrule.codegen.plan import Plan
from chainrule.codegen.reading import Read, operands
from chainrule.codegen.steps import Phase
from chainrule.codegen.views import FLAT, Axis, Terms, by_axis, is_view, strides, tile_strides
from chainrule.ir.graph import Var


class Layout:
    """The memory that the kernels of a phase (None: those on whole arrays) read and write."""

    def __init__(self, plan: Plan, phase: Phase | None) -> None:
        self.plan, self.phase = plan, phase

    def in_tile(self, v: Var) -> bool:
        return self.phase is not None and v not in self.plan.places and not self.plan.is_array(v)

    def strides(self, v: Var) -> tuple[int, ...]:
        """Entries between neighbours along each dimension."""
        if not self.in_tile(v):
            return strides(v.shape)
        where = self.plan.axis.dim(v)
        assert self.phase is not None
        assert where is not None
        return tile_strides(v.shape, where, self.phase.tile)

    def by_axis(self, v: Var, idx: Terms) -> tuple[dict[Axis, int], int]:
        """Entries between neighbours along each loop, and the place of the first."""
        if idx[:1] == (FLAT,):
            return by_axis(idx[1:], (1,) * (len(idx) - 1))
        return by_axis(idx, self.strides(v))

    def computed_from(self, v: Var, idx: Terms) -> list[Read]:
        """What an entry that is not kept is computed from, at the same place of the loops."""
        if self.plan.is_array(v) or self.plan.is_kept(v, self.phase.number if self.phase else None):
            return []
        e = self.plan.made[v]
        return operands(e, idx) if e.primitive.kind == "elementwise" or is_view(e) else []
