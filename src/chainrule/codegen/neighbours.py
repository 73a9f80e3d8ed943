"""Neighbouring rows that a kernel computes at once, because they share what they load.

Four rows of a product of matrices read each entry of the other factor once in place of four times, and keep the
multipliers busy with four sums that do not wait for each other.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from chainrule.codegen.computed import changed
from chainrule.codegen.plan import Plan
from chainrule.codegen.steps import Kernel, Output
from chainrule.codegen.views import Axis, Terms

_ROWS = (4, 5, 6, 3, 2)  # how many are taken together
_ACCUMULATORS = 8  # at once: with vectors as wide as two registers they fill most registers


class Rows(NamedTuple):
    """Rows that are taken together.

    axis, number
        The loop over groups of so many.
    axes, outputs
        The loops of the kernel, and what it writes for each group: all rows of one output before the next, which may
        read them.
    """

    axis: Axis
    number: int
    axes: tuple[Axis, ...]
    outputs: list[Output]

    def shifted(self, idx: Terms, k: int) -> Terms:
        """What row k reads where the first one reads `idx`."""
        return _shifted(idx, self.axis, self.number, k)


def taken_together(plan: Plan, k: Kernel) -> Rows | None:
    """Neighbours along the innermost loop but that of the samples, where they can share loads."""
    if not k.vector or len(k.axes) < 2 or k.guard is not None or k.powers is not None:
        return None
    sums = [o for o in k.outputs if o.combine is not None]
    if any(o.scattered for o in k.outputs) or not (sums or any(plan.has_loop(o, k.phase) for o in k.outputs)):
        return None
    old = k.axes[-2]
    if any(all(a is not old for a, _, _ in o.idx) for o in sums):
        return None  # a loop that is summed over
    number = next((n for n in _ROWS if old.extent % n == 0 and n * len(k.outputs) <= _ACCUMULATORS), None)
    if number is None:
        return None
    axis = Axis(old.extent // number)

    def row(o: Output, n: int) -> Output:
        moved = lambda ts: _shifted(_grouped(ts, old, axis, number), axis, number, n)
        return replace(o, idx=moved(o.idx), factors=[(v, moved(ts)) for v, ts in o.factors])

    outputs = [row(o, n) for o in k.outputs for n in range(number)]
    return Rows(axis, number, (*k.axes[:-2], axis, k.axes[-1]), outputs)


def _grouped(idx: Terms, old: Axis, axis: Axis, number: int) -> Terms:
    """Terms along a loop as terms along the loop over groups: the first row of each."""
    return changed(idx, old, lambda s, o: (axis, s * number, o))


def _shifted(idx: Terms, axis: Axis, number: int, k: int) -> Terms:
    return changed(idx, axis, lambda s, o: (axis, s, o + s // number * k))


__all__ = ["Rows", "taken_together"]
