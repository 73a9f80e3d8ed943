"""Powers with consecutive exponents: each is the one before, times x.

`x[:, None] ** arange(m)` needs one product for each entry where it stands, in place of a logarithm and an exponential.
What a product loses is carried along (T. J. Dekker, A floating-point technique for extending the available precision,
1971), so that the last power is as exact as the first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from chainrule.codegen.block import Value, absolute, fma, where
from chainrule.codegen.computed import runs_along
from chainrule.codegen.reading import operands
from chainrule.codegen.steps import Powers
from chainrule.codegen.vecmath.exponential import power
from chainrule.codegen.views import Axis, Terms
from chainrule.ir.graph import Equation

if TYPE_CHECKING:
    from chainrule.codegen.places import Places

_MANY = 4  # exponents from which it pays


def consecutive_powers(plan: Places, e: Equation, idx: Terms, samples: Axis | None) -> Powers | None:
    """How an equation, at the entry `idx`, is a row of powers along a loop that is not that of the samples."""
    if e.name != "pow" or e in plan.calls:
        return None
    x, (exponents, at) = [plan.behind_read(r) for r in operands(e, idx)]
    constant = plan.graph.constants.get(exponents)
    loops = [axis for axis, _, _ in at if axis is not None]
    if constant is None or len(loops) != 1:
        return None
    (along,) = loops
    if not isinstance(along, Axis) or along is samples or along.extent < _MANY or runs_along(x[1], along):
        return None
    first = _first_of_consecutive(constant, at)
    return None if first is None else Powers(along, first, x)


def _first_of_consecutive(constant: Any, at: Terms) -> float | None:
    """The first of the exponents, if they are whole, grow by one and are not negative."""
    places = [
        [step * i + offset for i in range(axis.extent)] if axis else [offset] for axis, step, offset in at
    ]
    row = constant
    for k in reversed(range(len(places))):
        row = row.take(places[k], axis=k)
    row = row.reshape(-1).tolist()
    first = row[0]
    whole = first >= 0 and first == math.floor(first) < 2**31
    return float(first) if whole and row == [first + k for k in range(len(row))] else None


def start(x: Value, first: float) -> list[Value]:
    """The first power, and what it lacks."""
    one = x.block.value(1.0)
    begin = one if first == 0 else x if first == 1 else power(x, x.block.value(first))
    return [begin, x.block.value(0.0)]


def value(high: Value, low: Value) -> Value:
    """The power; where it is 0, infinite or NaN the product is right as it is."""
    size = absolute(high)
    return high + where((size > 0.0) & (size < math.inf), low, -0.0)


def following(x: Value, high: Value, low: Value) -> Sequence[Value]:
    """The next power, and what it lacks."""
    product = high * x
    return [product, fma(low, x, fma(high, x, -product))]


__all__ = ["consecutive_powers", "following", "start", "value"]
