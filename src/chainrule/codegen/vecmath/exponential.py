"""exp, log and their kin as vector formulas.

Range reduction and a polynomial over `fma`; the error of each is measured against mpmath in
tests/codegen/test_vecmath.py. Sources: Tang, Table-driven implementation of the exponential function, ACM TOMS 15
(1989), for the reduction; Muller et al., Handbook of Floating-Point Arithmetic, ch. 10.
"""

from __future__ import annotations

import math
from typing import Any

from chainrule.codegen.block import (
    Value,
    absolute,
    bits_of,
    copysign,
    fma,
    nearest,
    of_bits,
    polynomial,
    sqrt,
    where,
)
from chainrule.codegen.vecmath.coefficients import EXP, LOG

# Per width of the numbers: ln 2 in two parts, bits of the mantissa, bias of the exponent, and a number that
# pushes the whole part of a small number into its last bits (1.5·2^mantissa).
_LN2 = {64: (float.fromhex("0x1.62e42fefa39efp-1"), float.fromhex("0x1.abc9e3b39803fp-56")),
        32: (float.fromhex("0x1.62e430p-1"), float.fromhex("-0x1.05c610p-29"))}  # fmt: skip
MANTISSA = {64: 52, 32: 23}
_BIAS = {64: 1023, 32: 127}
_LARGEST = {64: 709.0, 32: 88.0}  # e^x is finite, and so is 2^n for its n
_TINIEST = {64: 2.0**-1022, 32: 2.0**-126}


def pushing(bits: int) -> float:
    return 1.5 * 2.0 ** MANTISSA[bits]


def _split(x: Value) -> tuple[Value, Value]:
    """x = n·ln 2 + r with |r| ≤ ½ ln 2: the number n in the last bits of a real number, and r."""
    bits = x.block.bits
    hi, lo = _LN2[bits]
    pushed = fma(x, 1.0 / math.log(2.0), pushing(bits))
    n = pushed - pushing(bits)
    return pushed, fma(n, -lo, fma(n, -hi, x))


def _power_of_two(pushed: Value) -> Value:
    """2^n for the whole number that `pushing` left in the last bits."""
    bits = pushed.block.bits
    return of_bits((bits_of(pushed) + _BIAS[bits]) << MANTISSA[bits])


def _scaled(p: Value, pushed: Value) -> Value:
    """p·2^n, also where 2^n alone would be infinite or 0: in two steps."""
    bits = p.block.bits
    n = pushed - pushing(bits)
    half = fma(n, 0.5, pushing(bits))
    rest = (n - (half - pushing(bits))) + pushing(bits)
    return p * _power_of_two(half) * _power_of_two(rest)


def _within(x: Value, lo: float, hi: float) -> Value:
    """x limited to [lo, hi]; NaN stays."""
    x = where(x < lo, lo, x)
    return where(x > hi, hi, x)


def exp(x: Value) -> Value:
    bits = x.block.bits
    x = _within(x, -746.0, 710.0) if bits == 64 else _within(x, -105.0, 89.0)
    pushed, r = _split(x)
    return _scaled(_exp_of_rest(r) + 1.0, pushed)


def _exp_of_rest(r: Value) -> Value:
    """e^r - 1 for |r| ≤ ½ ln 2."""
    tail = polynomial(r, (*EXP[r.block.bits], 0.5))
    return fma(r * r, tail, r)


def exp_of_sum(x: Value, rest: Value) -> Value:
    """e^(x + rest) for a rest that is small beside the last place of 1: the rounding of x, put back."""
    bits = x.block.bits
    low = -800.0 if bits == 64 else -150.0
    rest = where(absolute(x) > -low, 0.0, rest)
    pushed, r = _split(_within(x, low, -low))
    return _scaled(_exp_of_rest(r + rest) + 1.0, pushed)


def exp2(x: Value) -> Value:
    bits = x.block.bits
    x = _within(x, -1080.0, 1025.0) if bits == 64 else _within(x, -155.0, 130.0)
    pushed = x + pushing(bits)
    f = x - (pushed - pushing(bits))
    hi, lo = _LN2[bits]
    return _scaled(_exp_of_rest(fma(f, hi, f * lo)) + 1.0, pushed)


def expm1(x: Value) -> Value:
    """2^n·(e^r - 1) + (2^n - 1), with the last sum rounded once."""
    bits = x.block.bits
    low = -40.0 if bits == 64 else -20.0
    limited = _within(x, low, _LARGEST[bits] + 1.0)
    pushed, r = _split(limited)
    half = _power_of_two(pushed - 1.0)  # ½·2^n: finite for the largest n
    out = fma(_exp_of_rest(r), half, half - 0.5) * 2.0
    return where(absolute(x) < 2.0 ** -(MANTISSA[bits] + 2), x, out)


def _log_parts(x: Value) -> tuple[Value, Value, Value]:
    """x = 2^k·(1 + f) with √½ ≤ 1 + f < √2: k, f and s = f/(2 + f); 0 < x < ∞."""
    bits = x.block.bits
    width, tiny = MANTISSA[bits], _TINIEST[bits]
    small = x < tiny
    x = where(small, x * 2.0**width * 4.0, x)
    one, root = ("0x3ff0000000000000", "0x3fe6a09e667f3bcd") if bits == 64 else ("0x3f800000", "0x3f3504f3")
    shift = int(one, 16) - int(root, 16)
    moved = bits_of(x) + shift
    exponent = moved >> width
    f = of_bits((moved & ((1 << width) - 1)) + int(root, 16)) - 1.0
    # the exponent as a real number: put behind the mantissa of 2^width, and taken off again
    k = of_bits(exponent | bits_of(x.block.value(2.0**width))) - (2.0**width + _BIAS[bits])
    k = k - where(small, width + 2.0, 0.0)
    return k, f, f / (2.0 + f)


def _log_tail(f: Value, s: Value) -> tuple[Value, Value]:
    """ln(1 + f) = f - h + r: h = ½f², and r."""
    z = s * s
    h = 0.5 * f * f
    return h, s * (h + z * polynomial(z, LOG[f.block.bits]))


def _log_ends(x: Value, out: Value) -> Value:
    """Values of a logarithm at 0, at ∞, below 0 and at NaN."""
    out = where(x == 0.0, -math.inf, out)
    out = where(x == math.inf, math.inf, out)
    return where(x >= 0.0, out, math.nan)


def _log_inside(x: Value, correction: Any = 0.0) -> Value:
    k, f, s = _log_parts(x)
    hi, lo = _LN2[x.block.bits]
    h, r = _log_tail(f, s)
    return fma(k, hi, f - (h - (r + fma(k, lo, correction))))


def log(x: Value) -> Value:
    return _log_ends(x, _log_inside(x))


def log1p(x: Value) -> Value:
    """ln u with u = 1 + x rounded, and what the rounding lost, divided by u."""
    u = 1.0 + x
    lost = where(x < 1.0, x - (u - 1.0), 1.0 - (u - x))
    out = _log_ends(u, _log_inside(u, where(u > 0.0, lost / u, 0.0)))
    out = where(x == math.inf, math.inf, out)
    return where(absolute(x) < 2.0 ** -(MANTISSA[x.block.bits] + 2), x, out)


def _log_to_base(x: Value, per_ln: float, log2_of_base_inverse: float) -> Value:
    """k·log_b 2 + ln(1 + f)/ln b, with ln(1 + f)/ln b in two parts."""
    k, f, s = _log_parts(x)
    h, r = _log_tail(f, s)
    dtype = x.block.dtype.type
    c_hi = float(dtype(per_ln))
    c_lo = per_ln - c_hi
    b_hi = float(dtype(log2_of_base_inverse))
    big = f - h
    small = ((f - big) - h) + r
    top = big * c_hi
    rest = fma(big, c_hi, -top) + fma(small, c_hi, (big + small) * c_lo)
    if log2_of_base_inverse == 1.0:
        head = k + top
        rest = rest + ((k - head) + top)
    else:
        lead = k * b_hi
        head = lead + top
        rest = rest + (fma(k, b_hi, -lead) + ((lead - head) + top) + k * (log2_of_base_inverse - b_hi))
    return _log_ends(x, head + rest)


def log2(x: Value) -> Value:
    return _log_to_base(x, 1.0 / math.log(2.0), 1.0)


def log10(x: Value) -> Value:
    return _log_to_base(x, 1.0 / math.log(10.0), math.log10(2.0))


def _times(a: Value, b: Value) -> tuple[Value, Value]:
    """A product and what rounding it lost."""
    p = a * b
    return p, fma(a, b, -p)


def _plus(a: Value, b: Value) -> tuple[Value, Value]:
    """A sum and what rounding it lost, for |a| ≥ |b| or b of few digits."""
    s = a + b
    return s, b - (s - a)


def long_log(x: Value) -> tuple[Value, Value]:
    """ln x in two parts, to about 65 digits of the mantissa: 2s + ⅔s³ in two parts, the rest in one; 0 < x < ∞."""
    bits = x.block.bits
    hi, lo = _LN2[bits]
    k, f, s = _log_parts(x)
    d, d_lost = _plus(x.block.value(2.0), f)
    s_lo = (fma(-s, d, f) - s * d_lost) / d
    z, z_lo = _times(s, s)
    z_lo = z_lo + 2.0 * s * s_lo
    cube, cube_lo = _times(z, s)
    cube_lo = cube_lo + (z * s_lo + z_lo * s)
    third = float(x.block.dtype.type(2.0 / 3.0))
    t = cube * third
    t_lo = fma(cube, third, -t) + (cube_lo * third + cube * _REST_OF_THIRDS[bits])
    coefficients = LOG[bits][:-1]  # of s⁵ and on: the fitted ⅔ is replaced by the exact one
    tail = cube * (z * polynomial(z, coefficients)) + cube * (LOG[bits][-1] - third)
    top, lost = _plus(2.0 * s, t)
    low = lost + (t_lo + (2.0 * s_lo + tail))
    head, head_lost = _plus(k * hi, top)
    whole = where(k == 0.0, top, head)
    rest = where(k == 0.0, low, head_lost + (fma(k, hi, -(k * hi)) + fma(k, lo, low)))
    return _plus(whole, rest)


_REST_OF_THIRDS = {64: float.fromhex("0x1.5555555555555p-55"), 32: -(2.0**-25) * 2 / 3}


def power(x: Value, y: Value) -> Value:
    """xʸ as e^(y·ln|x|), with the exponent in two parts; signs and corners as in C."""
    a = absolute(x)
    inside = (a > 0.0) & (a < math.inf)
    l_hi, l_lo = long_log(where(inside, a, 1.0))
    p = y * l_hi
    out = exp_of_sum(p, fma(y, l_hi, -p) + y * l_lo)
    ends = where((a == 0.0) ^ (y < 0.0), 0.0, math.inf)  # |x| is 0 or infinite
    out = where(inside, out, where(y == 0.0, 1.0, ends))
    endless = absolute(y) == math.inf
    out = where(endless, where(a == 1.0, 1.0, where((a > 1.0) ^ (y < 0.0), math.inf, 0.0)), out)
    whole = nearest(y) == y
    odd = whole & (nearest(0.5 * y) != 0.5 * y)
    out = where((x < 0.0) & inside & (y != nearest(y)), math.nan, out)
    out = where(odd & (copysign(x.block.value(1.0), x) < 0.0), -out, out)
    out = where((x != x) | (y != y), x + y, out)
    return where((y == 0.0) | (x == 1.0), 1.0, out)


def sigmoid(x: Value) -> Value:
    """1/(1 + e⁻ˣ) from e^(-|x|), which does not overflow."""
    e = exp(-absolute(x))
    return where(x < 0.0, e, 1.0) / (1.0 + e)


def softplus(x: Value) -> Value:
    return where(x > 0.0, x, 0.0) + log1p(exp(-absolute(x))) + where(x == x, 0.0, x)


def logaddexp(x: Value, y: Value) -> Value:
    top = where(x > y, x, y)
    gap = absolute(x - y)
    out = top + log1p(exp(-gap))
    out = where(x == y, x + math.log(2.0), out)  # also where both are the same infinity
    return where((x == x) & (y == y), out, x + y)


def logaddexp2(x: Value, y: Value) -> Value:
    top = where(x > y, x, y)
    out = top + log1p(exp2(-absolute(x - y))) * (1.0 / math.log(2.0))
    out = where(x == y, x + 1.0, out)  # also where both are the same infinity
    return where((x == x) & (y == y), out, x + y)


def logit(x: Value) -> Value:
    """ln(x/(1 - x)); around ½, where it is 0, by the distance from ½, which is exact."""
    near = (x > 0.3) & (x < 0.65)
    rest = 1.0 - x
    return where(near, log1p((2.0 * x - 1.0) / rest), log(x / rest))


def xlogy(x: Value, y: Value) -> Value:
    return where((x == 0.0) & (y == y), 0.0, x * log(y))


def xlog1py(x: Value, y: Value) -> Value:
    return where((x == 0.0) & (y == y), 0.0, x * log1p(y))


def entr(x: Value) -> Value:
    return where(x > 0.0, -x * log(x), where(x == 0.0, 0.0, where(x < 0.0, -math.inf, x)))


def sinh(x: Value) -> Value:
    a = absolute(x)
    t = expm1(a)
    small = 0.5 * (t + t / (t + 1.0))
    w = exp(0.5 * a)
    out = where(a > _LARGEST[x.block.bits], 0.5 * w * w, small)
    return copysign(out, x)


def cosh(x: Value) -> Value:
    a = absolute(x)
    w = exp(a)
    v = exp(0.5 * a)
    return where(a > _LARGEST[x.block.bits], 0.5 * v * v, 0.5 * w + 0.5 / w)


def tanh(x: Value) -> Value:
    """-t/(2 + t) with t = expm1(-2|x|); near 1 as 1 - 2(1 + t)/(2 + t), which has its error in the small part."""
    a = absolute(x)
    t = expm1(-2.0 * a)
    far = a > 0.6
    quotient = where(far, t + 1.0, -t) / (t + 2.0)
    return copysign(where(far, 1.0 - 2.0 * quotient, quotient), x)


def sech2(x: Value) -> Value:
    """4e/(1 + e)² with e = e^(-2|x|)."""
    e = exp(-2.0 * absolute(x))
    d = 1.0 + e
    return 4.0 * e / (d * d)


def asinh(x: Value) -> Value:
    a = absolute(x)
    big = a > 2.0**28
    squared = where(big, 1.0, a * a)
    near = log1p(a + squared / (1.0 + sqrt(squared + 1.0)))
    return copysign(where(big, log(a) + math.log(2.0), near), x)


def acosh(x: Value) -> Value:
    big = x > 2.0**28
    t = where(big, 1.0, x - 1.0)
    out = where(big, log(x) + math.log(2.0), log1p(t + sqrt(2.0 * t + t * t)))
    return where(x < 1.0, math.nan, out)


def atanh(x: Value) -> Value:
    a = absolute(x)
    return copysign(0.5 * log1p(2.0 * a / (1.0 - a)), x)
