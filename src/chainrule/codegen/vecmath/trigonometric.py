"""sin, cos, tan and their inverses as vector formulas.

An angle is reduced by π/2 in three parts (Cody and Waite, Software Manual for the Elementary Functions, 1980; with
fma the first product is exact). Angles too large for that go to libm, lane by lane.
"""

from __future__ import annotations

import math

from chainrule.codegen.block import (
    Value,
    absolute,
    bits_of,
    copysign,
    floor,
    fma,
    nearest,
    of_bits,
    polynomial,
    sqrt,
    where,
)
from chainrule.codegen.vecmath.coefficients import ASIN, ATAN, COS, SIN
from chainrule.codegen.vecmath.exponential import pushing

# π/2 in parts of full width: their sum has about three times the digits.
_HALF_PI = {
    64: tuple(
        map(float.fromhex, ("0x1.921fb54442d18p+0", "0x1.1a62633145c07p-54", "-0x1.f1976b7ed8fbcp-110"))
    ),
    32: tuple(map(float.fromhex, ("0x1.921fb6p+0", "-0x1.777a5cp-25", "-0x1.ee59dap-50"))),
}
_LIMIT = {64: 1e6, 32: 1e4}  # beyond it the parts have too few digits


def _reduced(x: Value) -> tuple[Value, Value, Value]:
    """x = q·π/2 + (r + tail): q in the last bits of a whole number, |r| ≤ π/4."""
    bits = x.block.bits
    first, second, third = _HALF_PI[bits]
    pushed = fma(x, 2.0 / math.pi, pushing(bits))
    q = pushed - pushing(bits)
    exact = fma(q, -first, x)
    r = fma(q, -second, exact)
    tail = fma(q, -third, fma(q, -second, exact - r))
    return bits_of(pushed), r, tail


def _sin_of_rest(r: Value, tail: Value) -> Value:
    z = r * r
    return r + fma(z * r, polynomial(z, SIN[r.block.bits]), fma(z, -0.5 * tail, tail))


def _cos_of_rest(r: Value, tail: Value) -> Value:
    """1 - ½r² + …, with what 1 - ½r² loses; `tail` adds -r·tail."""
    z = r * r
    half = 0.5 * z
    head = 1.0 - half
    lost = (1.0 - head) - half
    return head + fma(z * z, polynomial(z, COS[r.block.bits]), lost - r * tail)


def _sign_bit(whole: Value) -> Value:
    """The second bit of a number of quarter turns, as a sign."""
    return (whole & 2) << (whole.block.bits - 2)


def _quarter(x: Value, ahead: int) -> Value:
    """sin(x + ahead·π/2)."""
    q, r, tail = _reduced(x)
    q = q + ahead
    out = where((q & 1) == 0, _sin_of_rest(r, tail), _cos_of_rest(r, tail))
    return of_bits(bits_of(out) ^ _sign_bit(q))


def _small_enough(x: Value) -> Value:
    return absolute(x) <= _LIMIT[x.block.bits]


def _rare(x: Value) -> Value:
    """Neither small nor NaN: lanes for libm."""
    return absolute(x) > _LIMIT[x.block.bits]


def sin(x: Value) -> Value:
    usual = where(x == 0.0, x, _quarter(x, 0))  # keeps -0
    return x.block.by_lane("sin", _rare(x), usual, x)


def cos(x: Value) -> Value:
    return x.block.by_lane("cos", _rare(x), _quarter(x, 1), x)


def tan(x: Value) -> Value:
    q, r, tail = _reduced(x)
    s, c = _sin_of_rest(r, tail), _cos_of_rest(r, tail)
    odd = (q & 1) != 0
    out = where(odd, -c, s) / where(odd, s, c)
    return x.block.by_lane("tan", _rare(x), where(x == 0.0, x, out), x)


def _of_turns(x: Value) -> tuple[Value, Value, Value]:
    """πx = q·π/2 + (r + tail), as `_reduced`: halves are taken off before the product with π, kept in two parts."""
    whole = nearest(2.0 * x)
    d = x - 0.5 * whole  # exact
    hi, lo = 2.0 * _HALF_PI[x.block.bits][0], 2.0 * _HALF_PI[x.block.bits][1]
    r = d * hi
    q = bits_of((whole - 4.0 * floor(0.25 * whole)) + pushing(x.block.bits))
    return q, r, fma(d, hi, -r) + d * lo


def sinc(x: Value) -> Value:
    """sin(πx)/(πx)."""
    q, r, tail = _of_turns(x)
    s = where((q & 1) == 0, _sin_of_rest(r, tail), _cos_of_rest(r, tail))
    s = of_bits(bits_of(s) ^ _sign_bit(q))
    out = where(
        absolute(x) > 1e30, (x - x) / x, s / (x * math.pi)
    )  # 2x may overflow: far out all x are whole
    return where(x == 0.0, 1.0, out)


def cotangent_of_turns(x: Value) -> Value:
    """cot(πx)."""
    q, r, tail = _of_turns(x)
    s, c = _sin_of_rest(r, tail), _cos_of_rest(r, tail)
    odd = (q & 1) != 0
    return where(odd, -s, c) / where(odd, c, s)


def atan(x: Value) -> Value:
    """By 1/x beyond 1, and by (t - 1)/(t + 1) beyond tan(π/8)."""
    bits = x.block.bits
    a = absolute(x)
    beyond = a > 1.0
    t = where(beyond, 1.0, a) / where(beyond, a, 1.0)
    turned = t > math.tan(math.pi / 8)
    u = where(turned, t - 1.0, t) / where(turned, t + 1.0, 1.0)
    z = u * u
    small = fma(z * u, polynomial(z, ATAN[bits]), u)
    first, second, _ = _HALF_PI[bits]
    hi, lo = where(turned, 0.5 * first, 0.0), where(turned, 0.5 * second, 0.0)
    inside = hi + (small + lo)
    out = where(beyond, first - (inside - second), inside)
    return copysign(where(x == x, out, x), x)


def atan2(y: Value, x: Value) -> Value:
    """The angle of (x, y), with the signs of zeros and the corners at infinity as in C."""
    ay, ax = absolute(y), absolute(x)
    first, second, _ = _HALF_PI[x.block.bits]
    steep = ay > ax
    quotient = where(steep, ax, ay) / where(steep, ay, ax)
    both = (ax == math.inf) & (ay == math.inf)
    quotient = where(both, 1.0, where((ax == 0.0) & (ay == 0.0), 0.0, quotient))
    angle = atan(quotient)
    angle = where(steep, first - (angle - second), angle)
    negative = copysign(x.block.value(1.0), x) < 0.0
    angle = where(negative, 2.0 * first - (angle - 2.0 * second), angle)
    return copysign(where((x == x) & (y == y), angle, x + y), y)


def _asin_parts(x: Value) -> tuple[Value, Value, Value]:
    """Whether |x| ≤ ½, t and what arcsin t is more than t: t is x, or beyond ½ the root of (1 - |x|)/2."""
    a = absolute(x)
    inside = a <= 0.5
    z = where(inside, a * a, fma(a, -0.5, 0.5))
    t = where(inside, x, sqrt(z))
    return inside, t, z * t * polynomial(z, ASIN[x.block.bits], z * z)


def asin(x: Value) -> Value:
    """π/2 - 2·arcsin √((1 - |x|)/2) beyond ½."""
    first, second, _ = _HALF_PI[x.block.bits]
    inside, t, more = _asin_parts(x)
    return copysign(
        _turned(where(inside, 0.0, first), where(inside, 0.0, second), where(inside, 1.0, -2.0), t, more), x
    )


def acos(x: Value) -> Value:
    """π/2 - arcsin x; beyond ½ the double of arcsin √((1 - |x|)/2), from π on the left."""
    first, second, _ = _HALF_PI[x.block.bits]
    inside, t, more = _asin_parts(x)
    left = x < 0.0
    base = where(inside, first, where(left, 2.0 * first, 0.0))
    base_lo = where(inside, second, where(left, 2.0 * second, 0.0))
    return _turned(base, base_lo, where(inside, -1.0, where(left, -2.0, 2.0)), t, more)


def _turned(base: Value, base_lo: Value, factor: Value, t: Value, more: Value) -> Value:
    """base + factor·(t + more), with base in two parts and base + factor·t, too."""
    u = factor * t
    head = base + u
    return head + fma(factor, more, (u - (head - base)) + base_lo)
