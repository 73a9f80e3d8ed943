"""erf, erfc and the normal distribution as vector formulas, all from one polynomial: that of erfcx.

erfcx(x)·(1 + 2x) is between 1 and 1.3 for x ≥ 0 and smooth in w = x/(x + 3), also at infinity. The tails are its
product with e^(-x²), with x² in two parts (fma gives the second).
"""

from __future__ import annotations

import math

from chainrule.codegen.block import Value, absolute, copysign, fma, polynomial, where
from chainrule.codegen.vecmath.coefficients import ERF, ERF_FAR, ERFCX
from chainrule.codegen.vecmath.exponential import exp, exp_of_sum, log, log1p

_FAR = 64.0  # e^(-64²/2) is 0
# √½ and 1/√(2π), each as a double and what that leaves.
_SQRT_HALF = (float.fromhex("0x1.6a09e667f3bcdp-1"), float.fromhex("-0x1.bdd3413b26456p-55"))
_PER_SQRT_2PI = (float.fromhex("0x1.9884533d43651p-2"), float.fromhex("-0x1.cbc0d30ebfd15p-56"))


def _exp_square(x: Value, factor: float) -> Value:
    """e^(factor·x²) for a factor that is a power of two; the rounding of x² is put back."""
    a = absolute(x)
    a = where(a > _FAR, _FAR, a)
    square = a * a
    return exp_of_sum(factor * square, factor * fma(a, a, -square))


def gaussian(x: Value) -> Value:
    return _exp_square(x, -1.0)


def normal_density(x: Value) -> Value:
    return _times_constant(_exp_square(x, -0.5), _PER_SQRT_2PI)


def _times_constant(x: Value, c: tuple[float, float]) -> Value:
    """x·c for a constant in two parts: only the product is rounded."""
    hi = float(x.block.dtype.type(c[0]))
    return where(absolute(x) < math.inf, fma(x, hi, x * ((c[0] - hi) + c[1])), x)


def _erfcx_right(x: Value) -> Value:
    """erfcx for x ≥ 0: ½f/(½ + x) with f = 1 + w·P(2w - 1), numerator and denominator in two parts."""
    w = where(x == math.inf, 1.0, x / (x + 3.0))
    p = w * polynomial(fma(w, 2.0, -1.0), ERFCX[x.block.bits])
    f = 1.0 + p
    f_lost = p - (f - 1.0)
    d = x + 0.5
    smaller = where(x > 0.5, 0.5, x)
    d_lost = smaller - (d - where(x > 0.5, x, 0.5))
    q = 0.5 * f / d
    rest = fma(-q, d, 0.5 * f) + fma(-q, d_lost, 0.5 * f_lost)
    return where(x == math.inf, 0.0, q + rest / d)


def erfcx(x: Value) -> Value:
    """Left of 0: 2·e^(x²) - erfcx(-x)."""
    right = _erfcx_right(absolute(x))
    return where(x < 0.0, 2.0 * _exp_square(x, 1.0) - right, right)


def erf(x: Value) -> Value:
    """Beyond 1 what 1 lacks is small, so that it needs no parts."""
    a = absolute(x)
    square = a * a
    near = fma(a, polynomial(square, ERF[x.block.bits]), a)
    v = 1.0 / (a + 3.0)
    far = fma(-exp(-square), polynomial(v, ERF_FAR[x.block.bits], v * v), 1.0)
    return copysign(where(a < 1.0, near, far), x)


def erfc(x: Value) -> Value:
    a = absolute(x)
    tail = gaussian(a) * _erfcx_right(a)
    return where(x < 0.0, 2.0 - tail, tail)


def _normal_tail(a: Value) -> Value:
    """Φ(-a) for a ≥ 0: x is not scaled in the exponent, so that its rounding is not felt there."""
    return 0.5 * (_exp_square(a, -0.5) * _erfcx_right(_times_constant(a, _SQRT_HALF)))


def ndtr(x: Value) -> Value:
    tail = _normal_tail(absolute(x))
    return where(x > 0.0, 1.0 - tail, tail)


def log_ndtr(x: Value) -> Value:
    """Left of -1 the exponent is taken off before the logarithm, and put back behind it."""
    a = absolute(x)
    tail = _normal_tail(a)
    far = x < -1.0
    left = log(where(far, 0.5 * _erfcx_right(_times_constant(a, _SQRT_HALF)), tail))
    left = left - where(far, 0.5 * x * x, 0.0)
    return where(x > 0.0, log1p(-tail), left)
