"""Remainders, scaling by powers of two, and other formulas of arithmetic that are more than one instruction."""

from __future__ import annotations

import math

import numpy as np

from chainrule.codegen.block import (
    Value,
    absolute,
    bits_of,
    copysign,
    floor,
    fma,
    of_bits,
    sqrt,
    trunc,
    where,
)
from chainrule.codegen.vecmath.exponential import MANTISSA, exp2


def fmod(x: Value, y: Value) -> Value:
    """x - trunc(x/y)·y by fma, which is exact: x/y, rounded, is at most 1 too large. Huge quotients go to libm."""
    quotient = absolute(x / y)
    a, b = absolute(x), absolute(y)
    r = fma(-trunc(quotient), b, a)
    r = where(r < 0.0, r + b, r)
    usual = copysign(where((b == math.inf) & (a < math.inf), a, r), x)
    return x.block.by_lane("fmod", quotient >= 2.0 ** MANTISSA[x.block.bits], usual, x, y)


def remainder(x: Value, y: Value) -> Value:
    """With the sign of y, as Python's %."""
    r = fmod(x, y)
    other_sign = (r != 0.0) & ((r < 0.0) ^ (y < 0.0))
    return where(other_sign, r + y, where(r == 0.0, copysign(r, y), r))


def floor_divide(x: Value, y: Value) -> Value:
    """(x - remainder)/y is whole up to rounding."""
    r = fmod(x, y)
    q = (x - r) / y
    q = where((r != 0.0) & ((r < 0.0) ^ (y < 0.0)), q - 1.0, q)
    down = floor(q)
    down = where(q - down > 0.5, down + 1.0, down)
    out = where(q == 0.0, copysign(q, x / y), down)
    return where(y == 0.0, x / y, out)


def frac(x: Value) -> Value:
    return x - trunc(x)


def lerp(start: Value, end: Value, weight: Value) -> Value:
    """From the nearer end, so that the weights 0 and 1 give the ends exactly."""
    step = end - start
    return where(absolute(weight) < 0.5, start + weight * step, end - step * (1.0 - weight))


def hypot(x: Value, y: Value) -> Value:
    """√(x² + y²), scaled by a power of two where a square would overflow, or lose its digits."""
    a, b = absolute(x), absolute(y)
    top = where(a > b, a, b)
    far, down, up = (2.0**500, 2.0**-600, 2.0**600) if x.block.bits == 64 else (2.0**60, 2.0**-70, 2.0**90)
    large, small = top > far, top < 1.0 / far
    scale = where(large, down, where(small, up, 1.0))
    back = where(large, 1.0 / down, where(small, 1.0 / up, 1.0))
    a, b = a * scale, b * scale
    out = sqrt(fma(a, a, b * b)) * back
    return where((absolute(x) == math.inf) | (absolute(y) == math.inf), math.inf, out)


def heaviside(x: Value, y: Value) -> Value:
    return where(x == 0.0, y, where(x > 0.0, 1.0, where(x < 0.0, 0.0, x)))


def nan_to_num(x: Value, *, nan: float, posinf: float | None, neginf: float | None) -> Value:
    largest = float(np.finfo(x.block.dtype).max)
    x_or_nan = where(x == x, x, nan)
    out = where(x == math.inf, largest if posinf is None else posinf, x_or_nan)
    return where(x == -math.inf, -largest if neginf is None else neginf, out)


def isclose(x: Value, y: Value, *, rtol: float, atol: float, equal_nan: bool) -> Value:
    near = (absolute(x - y) <= atol + rtol * absolute(y)) & (absolute(y) < math.inf)
    near = near | (x == y)
    return near | ((x != x) & (y != y)) if equal_nan else near


def ldexp(x: Value, y: Value) -> Value:
    """x·2ʸ: for a whole y by exponents, rounded once; else x times 2ʸ."""
    bits = x.block.bits
    width, bias = MANTISSA[bits], (1 << (bits - MANTISSA[bits] - 2)) - 1
    tiny = absolute(x) < 2.0 ** (1 - bias)
    scaled = where(tiny, x * 2.0 ** (width + 2), x)
    field = ((1 << (bits - 1 - width)) - 1) << width
    exponent = (bits_of(scaled) & field) >> width
    # the exponent as a real number: put behind the mantissa of 2^width, and taken off again
    e = of_bits(exponent | bits_of(x.block.value(2.0**width))) - (2.0**width + bias)
    mantissa = of_bits((bits_of(scaled) & ~field) | (bias << width))  # 1 ≤ |mantissa| < 2
    reach = 2.0 * (bias + width)
    steps = where(y > 2 * reach, 2 * reach, where(y < -2 * reach, -2 * reach, y))
    total = (e - where(tiny, width + 2.0, 0.0)) + steps
    total = where(
        total > bias + 1.0, bias + 1.0, where(total < -(bias + width + 4.0), -(bias + width + 4.0), total)
    )
    first = where(total > bias, bias, where(total < 1.0 - bias, 1.0 - bias, total))
    shifted = mantissa * _power(first) * _power(total - first)
    usual = (x == 0.0) | (absolute(x) == math.inf) | (x != x)
    whole = where(usual, x, shifted)
    return where((trunc(y) == y), whole, x * exp2(y))


def _power(n: Value) -> Value:
    """2ⁿ for a whole number n within the exponents of normal numbers."""
    bits = n.block.bits
    width, bias = MANTISSA[bits], (1 << (bits - MANTISSA[bits] - 2)) - 1
    return of_bits(bits_of(n + (1.5 * 2.0**width + bias)) << width)
