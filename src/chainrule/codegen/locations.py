"""Places that are computed, as code: numbers where the samples do not matter, else one for each lane."""

from __future__ import annotations

from typing import Any, NamedTuple

from chainrule.codegen import computed
from chainrule.codegen.block import LONG, TRUTH, Block, Index, Value, where
from chainrule.codegen.computed import Inside, Picked
from chainrule.codegen.indexing import Bounds, Condition, Equal, There
from chainrule.codegen.integers import divided
from chainrule.codegen.steps import Phase
from chainrule.codegen.views import Axis, Terms
from chainrule.ir.graph import Var


class Located(NamedTuple):
    """The place base + apart·lane, and `lanes` besides where it is no such line."""

    apart: int
    base: Index
    lanes: Value | None


class Locations:
    """Code for places and for tests of places, in a kernel whose vectors run along `samples`."""

    b: Block
    samples: Axis | None
    phase: Phase | None
    at: dict[Axis, Index]

    def along(self, axis: Any) -> Located:
        """The place along a loop, or one that is computed. The samples are counted from where the tile begins."""
        if axis is self.samples:
            return Located(1, self.at[axis], None)
        if isinstance(axis, Axis):
            return Located(0, self.at[axis], None)
        return self._picked(axis) if isinstance(axis, Picked) else self._inside(axis)

    def pull(self, v: Var, idx: Terms) -> Value:
        """An entry of a value."""
        raise NotImplementedError

    def refuse(self, bad: Value) -> None:
        """Tell who called that a place is out of range."""
        raise NotImplementedError

    def _picked(self, place: Picked) -> Located:
        """A place that a value names: the first one instead of what is not there."""
        v = self.pull(place.var, place.idx)
        if place.how == "checked":
            v = where(v < 0, v + place.extent, v)
            beyond = (v < 0) | (v >= place.extent)
            self.refuse(beyond)
            v = where(beyond, 0, v)
        elif place.how == "table":
            v = where(v < 0, 0, v)
        if computed.runs_along(place.idx, self.samples):
            return Located(0, Index("0"), v)
        return Located(0, self.b.first(v), None)

    def _inside(self, place: Inside) -> Located:
        """A sum of terms; what may lie outside is moved inside, but for a line of lanes: there loads are masked."""
        form, divisor, extent = place
        found, (lo, hi) = self.total(form), computed.span(form)
        beyond = lo < 0 or hi // divisor >= extent
        if found.lanes is None and not found.apart:
            n = found.base if divisor == 1 else self.b.index("sdiv", found.base, divisor)
            return Located(0, self.b.limited(n, extent - 1) if beyond else n, None)
        if found.lanes is None and divisor == 1:
            return found
        v = self.lanes(found)
        v = v if divisor == 1 else divided(v, self.b.value(divisor, LONG))
        v = where(v < 0, 0, where(v >= extent, extent - 1, v)) if beyond else v
        return Located(0, Index("0"), v)

    def total(self, form: computed.Form) -> Located:
        """A sum of terms."""
        apart, offset, lanes = 0, 0, None
        numbers: list[tuple[Index, int]] = []
        for axis, step, o in form:
            offset += o
            if axis is None:
                continue
            one = self.along(axis)
            apart += step * one.apart
            numbers.append((one.base, step))
            if one.lanes is not None:
                lanes = one.lanes * step if lanes is None else lanes + one.lanes * step
        return Located(apart, self.b.summed(numbers, offset), lanes)

    def lanes(self, found: Located) -> Value:
        """A place as one number for each lane; those of samples are counted from the first of all."""
        b, base = self.b, found.base
        if found.apart and self.phase is not None:
            base = b.summed([(base, 1), (Index("%start"), found.apart)])
        v = b.repeat(base.name, base.level, LONG)
        if found.apart:
            v = v + b.steps(found.apart)
        return v if found.lanes is None else v + found.lanes

    def holds(self, test: Condition) -> bool | Value:
        """Whether a test of places holds: True and False where it is known beforehand."""
        if isinstance(test, There):
            return self.pull(test.var, test.idx) >= 0
        if isinstance(test, Equal):
            return self.lanes(self.along(test.place)) == self.lanes(self.total((test.term,)))
        lo, hi = computed.span(test.form)
        if hi < test.lo or lo >= test.hi:
            return False
        if lo == hi:
            return (lo - test.lo) % test.step == 0
        below, above = lo < test.lo, hi >= test.hi
        if not (below or above or test.step > 1):
            return True
        found = self.total(test.form)
        if found.lanes is None and not found.apart:
            return self._holds_for_all(found.base, test, below, above)
        v = self.lanes(found)
        parts = [v >= test.lo] if below else []
        parts += [v < test.hi] if above else []
        parts += [_remainder(v - test.lo, test.step) == 0] if test.step > 1 else []
        out = parts[0]
        for part in parts[1:]:
            out = out & part
        return out

    def _holds_for_all(self, n: Index, test: Bounds, below: bool, above: bool) -> Value:
        b = self.b
        parts = [f"icmp sge i64 {n.name}, {test.lo}"] if below else []
        parts += [f"icmp slt i64 {n.name}, {test.hi}"] if above else []
        if test.step > 1:
            rest = b.index("srem", b.summed([(n, 1)], -test.lo), test.step)
            parts.append(f"icmp eq i64 {rest.name}, 0")
        names = [b.named(part, n.level) for part in parts]
        out = names[0]
        for name in names[1:]:
            out = b.named(f"and i1 {out}, {name}", n.level)
        return b.repeat(out, n.level, TRUTH)


def _remainder(v: Value, n: int) -> Value:
    if n & (n - 1) == 0:
        return v & (n - 1)
    return v.block.operation(f"srem {v.block.types[LONG]} {v.name}, {v.block.value(n, LONG).name}", LONG, v)
