"""exp, log and their kin as vector formulas.

Range reduction and a polynomial over `fma`; the error of each is measured against mpmath in
tests/codegen/test_vecmath.py. Sources: Tang, Table-driven implementation of the exponential function, ACM TOMS 15
(1989), for the reduction; Muller et al., Handbook of Floating-Point Arithmetic, ch. 10.
"""

from __future__ import annotations

import math
from collections.abc import Callable

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
from chainrule.codegen.vecmath.coefficients import COSH, EXP, LOG, LONG_LOG, SINH

# Per width of the numbers: ln 2 in two parts, bits of the mantissa, bias of the exponent, and a number that
# pushes the whole part of a small number into its last bits (1.5·2^mantissa).
_LN2 = {64: (float.fromhex("0x1.62e42fefa39efp-1"), float.fromhex("0x1.abc9e3b39803fp-56")),
        32: (float.fromhex("0x1.62e430p-1"), float.fromhex("-0x1.05c610p-29"))}  # fmt: skip
# ln 2 with few digits, so that its product with an exponent is exact, and what that leaves; two thirds.
_LN2_SHORT = {64: (float.fromhex("0x1.62e42fefa38p-1"), float.fromhex("0x1.ef35793c7673p-45")),
              32: (float.fromhex("0x1.62e4p-1"), float.fromhex("0x1.7f7d1cp-20"))}  # fmt: skip
_TWO_THIRDS = {64: (float.fromhex("0x1.5555555555555p-1"), float.fromhex("0x1.5555555555555p-55")),
               32: (float.fromhex("0x1.555556p-1"), float.fromhex("-0x1.555556p-26"))}  # fmt: skip
MANTISSA = {64: 52, 32: 23}
_BIAS = {64: 1023, 32: 127}
_LARGEST = {64: 709.0, 32: 88.0}  # e^x is finite, and so is 2^n for its n
_TINIEST = {64: 2.0**-1022, 32: 2.0**-126}


# 1/ln 2, 1/ln 10 and log₁₀ 2, each as a double and what that leaves.
_PER_LN2 = (float.fromhex("0x1.71547652b82fep+0"), float.fromhex("0x1.777d0ffda0d24p-56"))
_PER_LN10 = (float.fromhex("0x1.bcb7b1526e50ep-2"), float.fromhex("0x1.95355baaafad3p-57"))
_LOG10_2 = (float.fromhex("0x1.34413509f79ffp-2"), float.fromhex("-0x1.9dc1da994fd21p-59"))


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


def _scaled(p: Value, pushed: Value, zero: Value) -> Value:
    """p·2^n, also where 2^n alone would be infinite or 0: in two steps, the first by the exponent of p.

    `zero` is added: NaN where the result is to be NaN, which the first step may lose.
    """
    bits = p.block.bits
    n = bits_of(pushed)
    half = n >> 1
    p = of_bits(bits_of(p) + (half << MANTISSA[bits]))
    return fma(p, of_bits(((n - half) + _BIAS[bits]) << MANTISSA[bits]), zero)


def _within(x: Value, lo: float, hi: float) -> Value:
    """x limited to [lo, hi]; NaN stays."""
    x = where(x < lo, lo, x)
    return where(x > hi, hi, x)


def exp(x: Value) -> Value:
    return _exp_times(x, 0.0)


def _exp_times(x: Value, n: float) -> Value:
    """e^x·2^n for an n of 0 or -1."""
    x = _within(x, -746.0, 711.0) if x.block.bits == 64 else _within(x, -105.0, 90.0)
    pushed, r = _split(x)
    return _scaled(_exp_of_rest(r) + 1.0, pushed + n if n else pushed, x - x)


def _exp_of_rest(r: Value) -> Value:
    """e^r - 1 for |r| ≤ ½ ln 2."""
    *higher, half = EXP[r.block.bits]
    square = r * r
    return fma(square, fma(polynomial(r, tuple(higher), square), r, half), r)


def exp_of_sum(x: Value, rest: Value) -> Value:
    """e^(x + rest) for a rest that is small beside the last place of 1: the rounding of x, put back."""
    bits = x.block.bits
    low = -800.0 if bits == 64 else -150.0
    rest = where(absolute(x) > -low, 0.0, rest)
    x = _within(x, low, -low)
    pushed, r = _split(x)
    return _scaled(_exp_of_rest(r + rest) + 1.0, pushed, x - x)


def exp2(x: Value) -> Value:
    bits = x.block.bits
    x = _within(x, -1080.0, 1025.0) if bits == 64 else _within(x, -155.0, 130.0)
    pushed = x + pushing(bits)
    f = x - (pushed - pushing(bits))
    hi, lo = _LN2[bits]
    return _scaled(_exp_of_rest(fma(f, hi, f * lo)) + 1.0, pushed, x - x)


def expm1(x: Value) -> Value:
    """2^n·(e^r - 1) + (2^n - 1), with the last sum rounded once."""
    bits = x.block.bits
    low = -40.0 if bits == 64 else -20.0
    limited = _within(x, low, _LARGEST[bits] + 1.0)
    pushed, r = _split(limited)
    half = _power_of_two(pushed - 1.0)  # ½·2^n: finite for the largest n
    out = fma(_exp_of_rest(r), half, half - 0.5)
    out = out + out
    return where(absolute(x) < 2.0 ** -(MANTISSA[bits] + 2), x, out)


def _mantissa(x: Value) -> tuple[Value, Value, Value]:
    """x = 2^k·(1 + f) with √½ ≤ 1 + f < √2, for a normal x: the bits of k in their place, k, and 1 + f."""
    bits = x.block.bits
    width = MANTISSA[bits]
    one, root = ("0x3ff0000000000000", "0x3fe6a09e667f3bcd") if bits == 64 else ("0x3f800000", "0x3f3504f3")
    moved = bits_of(x) + (int(one, 16) - int(root, 16))
    # the exponent as a real number: put behind the mantissa of 2^width, and taken off again
    k = of_bits((moved >> width) | bits_of(x.block.value(2.0**width))) - (2.0**width + _BIAS[bits])
    return moved, k, of_bits((moved & ((1 << width) - 1)) + int(root, 16))


def _ln(k: Value, f: Value, rest: Value | None = None) -> Value:
    """ln(2^k·(1 + f + rest)), for a rest about as small as the last place of 1.

    With s = f/(2 + f), ln(1 + f) is 2s + s·R, and 2s is f - s·f: f - s·(f - R).
    """
    hi, lo = _LN2[f.block.bits]
    whole = f if rest is None else f + rest
    s = whole / (2.0 + whole)
    z = s * s
    tail = fma(-s, fma(-z, polynomial(z, LOG[f.block.bits]), whole), k * lo)
    return fma(k, hi, f + (tail if rest is None else rest + tail))


def _is_unusual(x: Value, end: int = 1) -> Value:
    """Whether x is not a normal number > 0 (with `end` 0: below half the largest): one comparison of whole numbers."""
    bits = x.block.bits
    first, last = 1, 2 * _BIAS[bits] + end  # exponents
    sign = 1 << (bits - 1)
    moved = bits_of(x) + (sign - (first << MANTISSA[bits]))
    return moved >= ((last - first) << MANTISSA[bits]) - sign


def _ends(x: Value, out: Value) -> Value:
    """Values of a logarithm at 0, at ∞, below 0 and at NaN."""
    out = where(x == 0.0, -math.inf, out)
    out = where(x == math.inf, math.inf, out)
    return where(x >= 0.0, out, math.nan)


def _with_ends(name: str, x: Value, formula: Callable[[Value, float], Value]) -> Value:
    """A logarithm of all numbers, from the formula(x, n) of x·2^n for normal x."""
    up = MANTISSA[x.block.bits] + 2.0
    return x.block.rarely(
        name, _is_unusual(x), formula(x, 0.0), lambda x: _ends(x, formula(x * 2.0**up, -up)), x
    )


def _log_inside(x: Value, added: float = 0.0) -> Value:
    _, k, m = _mantissa(x)
    return _ln(k + added if added else k, m - 1.0)


def log(x: Value) -> Value:
    return _with_ends("rare_log", x, _log_inside)


def _log1p_inside(x: Value, u: Value) -> Value:
    """ln(1 + x), with u = 1 + x rounded: what that lost is scaled as u is, and put back."""
    bits = x.block.bits
    lost = x - (u - 1.0)  # exact also for x > 1, as long as u has a last place of at most 1
    moved, k, m = _mantissa(u)
    exponent = moved & (((1 << (bits - 1 - MANTISSA[bits])) - 1) << MANTISSA[bits])
    scale = of_bits((2 * _BIAS[bits] << MANTISSA[bits]) - exponent)  # 2^-k
    return _ln(k, m - 1.0, lost * scale)


def log1p(x: Value) -> Value:
    u = 1.0 + x
    usual = copysign(_log1p_inside(x, u), x)
    return x.block.rarely("rare_log1p", _is_unusual(u, 0), usual, lambda u: _ends(u, _log_inside(u)), u)


def _log_to_base(
    per_ln: tuple[float, float], log2_of_base_inverse: tuple[float, float]
) -> Callable[[Value, float], Value]:
    """k·log_b 2 + ln(1 + f)/ln b, with the sum of the first and most of the second in two parts.

    ln(1 + f) is f - h + s·(h + R) with h = ½f²: s·f of `_ln` is h - s·h.
    """

    def formula(x: Value, added: float) -> Value:
        _, k, m = _mantissa(x)
        k, f = k + added if added else k, m - 1.0
        s, h = f / (2.0 + f), 0.5 * f * f
        z = s * s
        big = f - h
        small = fma(s, fma(z, polynomial(z, LOG[x.block.bits]), h), (f - big) - h)
        c, c_lo = _cut(per_ln, MANTISSA[x.block.bits] + 1)
        if log2_of_base_inverse[0] == 1.0:
            head = fma(big, c, k)
            lost = fma(big, c, k - head)
        else:
            b, b_lo = _cut(log2_of_base_inverse, MANTISSA[x.block.bits] - 10)  # times k exact
            whole = k * b
            head = fma(big, c, whole)
            lost = fma(k, b_lo, fma(big, c, whole - head))
        return head + fma(small, c, fma(big, c_lo, lost))

    return formula


def _cut(parts: tuple[float, float], digits: int) -> tuple[float, float]:
    """A constant cut to so many binary digits, and what that leaves."""
    m, exponent = math.frexp(parts[0])
    leading = math.ldexp(math.floor(math.ldexp(m, digits)), exponent - digits)
    return leading, (parts[0] - leading) + parts[1]


def log2(x: Value) -> Value:
    return _with_ends("rare_log2", x, _log_to_base(_PER_LN2, (1.0, 0.0)))


def log10(x: Value) -> Value:
    return _with_ends("rare_log10", x, _log_to_base(_PER_LN10, _LOG10_2))


def _times(a: Value, b: Value) -> tuple[Value, Value]:
    """A product and what rounding it lost."""
    p = a * b
    return p, fma(a, b, -p)


def _plus(a: Value, b: Value) -> tuple[Value, Value]:
    """A sum and what rounding it lost, for |a| ≥ |b| or b of few digits."""
    s = a + b
    return s, b - (s - a)


def long_log(x: Value, added: Value | None = None) -> tuple[Value, Value]:
    """ln(x·2^added) in two parts, to about 64 binary digits, for a normal x: 2s + ⅔s³ + …, with 2s and ⅔s³ in
    two parts, what follows in one."""
    bits = x.block.bits
    hi, lo = _LN2_SHORT[bits]
    third, third_lo = _TWO_THIRDS[bits]
    _, k, m = _mantissa(x)
    k, f = k if added is None else k + added, m - 1.0
    d, d_lost = _plus(x.block.value(2.0), f)
    s = f / d
    left = fma(-s, d_lost, fma(-s, d, f))  # of the division
    z, z_lo = _times(s, s)
    q, q_lo = _times(z, x.block.value(third))
    q_lo = fma(z, fma(z, polynomial(z, LONG_LOG[bits], z * z), third_lo), fma(z_lo, third, q_lo))
    t, t_lo = _times(s, q)
    t_lo = fma(s, q_lo, t_lo)
    top, lost = _plus(s + s, t)
    # s lacks left/d with 1/d = (1 - s)/2, and the slope is 2/(1 - z), about 2·(1 + 1.03·z)
    low = lost + fma(fma(-s, left, left), fma(z, 1.03, 1.0), t_lo)
    head, head_lost = _plus(k * hi, top)  # exact also for k = 0
    return _plus(head, head_lost + fma(k, lo, low))


def _exponent_in_parts(y: Value, l_hi: Value, l_lo: Value) -> tuple[Value, Value]:
    """y·ln x."""
    p, p_lo = _times(y, l_hi)
    return p, fma(y, l_lo, p_lo)


def power(x: Value, y: Value) -> Value:
    """xʸ as e^(y·ln x), with the exponent in two parts, for x > 0 and results that are normal numbers."""
    bits = x.block.bits
    p, p_lo = _exponent_in_parts(y, *long_log(x))
    pushed, r = _split(p)
    out = of_bits(bits_of(_exp_of_rest(r + p_lo) + 1.0) + (bits_of(pushed) << MANTISSA[bits]))
    far = bits_of(absolute(p)) > bits_of(x.block.value(_LARGEST[bits] - 1.0))  # also where it is NaN
    return x.block.rarely("rare_pow", _is_unusual(x) | far, out, _power_anywhere, x, y)


def _power_anywhere(x: Value, y: Value) -> Value:
    """Signs and corners as in C."""
    a = absolute(x)
    inside = (a > 0.0) & (a < math.inf)
    up = MANTISSA[x.block.bits] + 2.0
    small = a < _TINIEST[x.block.bits]
    logarithm = long_log(where(inside, where(small, a * 2.0**up, a), 1.0), where(small, -up, 0.0))
    out = exp_of_sum(*_exponent_in_parts(y, *logarithm))
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


def _hyperbolic(a: Value) -> tuple[Value, ...]:
    """Parts of e^a and e^-a for a ≥ 0: ½(2^n + 2^-n), ½(2^n - 2^-n), and cosh r - 1 and sinh r of the rest."""
    bits = a.block.bits
    pushed, r = _split(a)
    few = where(pushed > pushing(bits) + 100.0, pushing(bits) + 100.0, pushed)  # 2^-n does not matter beyond
    up, down = _power_of_two(pushed - 1.0), of_bits((_BIAS[bits] - 1 - bits_of(few)) << MANTISSA[bits])
    z = r * r
    more = fma(z * r, polynomial(z, SINH[bits]), r)
    return up + down, up - down, z * polynomial(z, COSH[bits]), more


def sinh(x: Value) -> Value:
    a = absolute(x)
    plus, minus, c, s = _hyperbolic(a)
    out = minus + fma(minus, c, plus * s)
    return copysign(a.block.rarely("rare_half_exp", a > _LARGEST[a.block.bits], out, _half_of_exp, a), x)


def cosh(x: Value) -> Value:
    a = absolute(x)
    plus, minus, c, s = _hyperbolic(a)
    out = plus + fma(plus, c, minus * s)
    return a.block.rarely("rare_half_exp", a > _LARGEST[a.block.bits], out, _half_of_exp, a)


def _half_of_exp(x: Value) -> Value:
    return _exp_times(x, -1.0)


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
    squared = a * a
    y = a + squared / (1.0 + sqrt(squared + 1.0))
    out = _log1p_inside(y, 1.0 + y)
    return copysign(a.block.rarely("rare_log_of_twice", a > _FAR, out, _log_of_twice, a), x)


def acosh(x: Value) -> Value:
    t = x - 1.0
    y = t + sqrt(fma(t, t, 2.0 * t))
    out = where(x >= 1.0, _log1p_inside(y, 1.0 + y), math.nan)
    return x.block.rarely("rare_log_of_twice", x > _FAR, out, _log_of_twice, x)


_FAR = 2.0**28


def _log_of_twice(x: Value) -> Value:
    """What asinh and acosh are for large numbers."""
    return log(x) + math.log(2.0)


def atanh(x: Value) -> Value:
    a = absolute(x)
    return copysign(0.5 * log1p(2.0 * a / (1.0 - a)), x)
