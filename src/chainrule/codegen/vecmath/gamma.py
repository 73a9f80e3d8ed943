"""ln |Γ| and digamma as vector formulas.

Between ½ and 7 by polynomials of what is left when the zeros are divided out, below by one step of the recurrence,
beyond by Stirling's series (DLMF 5.11.1, 5.11.2). Left of 0 digamma is reflected (DLMF 5.5.4); lgamma there is libm's,
which keeps its digits at the zeros.
"""

from __future__ import annotations

import math

from chainrule.codegen.block import Value, absolute, fma, nearest, polynomial, where
from chainrule.codegen.vecmath.coefficients import (
    DIGAMMA,
    DIGAMMA_FAR,
    DIGAMMA_HIGH,
    LGAMMA,
    LGAMMA_FAR,
    LGAMMA_HIGH,
    LGAMMA_LOW,
)
from chainrule.codegen.vecmath.exponential import log, long_log
from chainrule.codegen.vecmath.trigonometric import cotangent_of_turns

_FROM = 7.0  # here Stirling's series begins
_ZERO = (float.fromhex("0x1.762d86356be3fp+0"), float.fromhex("0x1.b86a722197829p-54"))  # of digamma


def _chosen(x: Value, masks: tuple[Value, ...], *fits: dict[int, tuple[float, ...]]) -> Value:
    """A polynomial whose coefficients differ between lanes: of the first fit, but where a mask holds of its own."""
    columns = list(zip(*(fit[x.block.bits] for fit in fits), strict=True))
    chosen = [_one_of(x, masks, column) for column in columns]
    out = chosen[0]
    for c in chosen[1:]:
        out = fma(out, x, c)
    return out


def _one_of(x: Value, masks: tuple[Value, ...], numbers: tuple[float, ...]) -> Value:
    out = x.block.value(numbers[0])
    for mask, number in zip(masks, numbers[1:], strict=True):
        out = where(mask, number, out)
    return out


def _lgamma_near(x: Value) -> Value:
    """(y - 1)(y - 2)·polynomial, with y = x, or x + 1 and ln x taken off; 0 ≤ x ≤ 7."""
    shifted = x < 0.5
    u = where(shifted, x, x - 1.0)  # y - 1, exact
    low, high = u < 0.25, u > 1.75
    centred = u - where(low, -0.125, where(high, 3.875, 1.0))
    out = u * (u - 1.0) * _chosen(centred, (low, high), LGAMMA, LGAMMA_LOW, LGAMMA_HIGH)
    return where(shifted, out - log(x), out + 0.0)  # 0 at 1, not -0


def _lgamma_far(x: Value) -> Value:
    """(x - ½) ln x - x in two parts, ½ ln 2π and the series; 7 ≤ x < ∞."""
    l_hi, l_lo = long_log(x)
    m = x - 0.5
    p = m * l_hi
    p_lo = fma(m, l_hi, -p) + m * l_lo
    s = p - x
    r = 1.0 / x
    series = r * polynomial(r * r, LGAMMA_FAR[x.block.bits])
    rest = ((p - s) - x) + (p_lo + (0.5 * math.log(2.0 * math.pi) + series))
    return where(p < math.inf, s + rest, math.inf)


def lgamma(x: Value) -> Value:
    far = x >= _FROM
    out = where(far, _lgamma_far(where(far & (x < math.inf), x, _FROM)), _lgamma_near(where(far, 1.0, x)))
    return x.block.by_lane("lgamma", (x < 0.0) & (x > -math.inf), where(absolute(x) == math.inf, x, out), x)


def _digamma_right(x: Value) -> Value:
    shifted = x < 1.0
    u = where(shifted, x, x - 1.0)  # y - 1 for y = x or x + 1
    high = u > 1.5
    p = _chosen(u - where(high, 3.75, 0.75), (high,), DIGAMMA, DIGAMMA_HIGH)
    zero = float(x.block.dtype.type(_ZERO[0] - 1.0))
    near = fma(u - zero, p, ((zero - (_ZERO[0] - 1.0)) - _ZERO[1]) * p)
    near = where(shifted, near - 1.0 / x, near)
    r = 1.0 / x
    far = log(x) - r * (0.5 + r * polynomial(r * r, DIGAMMA_FAR[x.block.bits]))
    return where(x >= _FROM, far, near)


def digamma(x: Value) -> Value:
    left = x < 0.0
    right = _digamma_right(where(left, 1.0 - x, x))
    out = where(left, right - math.pi * cotangent_of_turns(x), right)
    return where(left & (nearest(x) == x), math.nan, out)
