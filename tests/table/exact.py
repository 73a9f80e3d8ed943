"""Derivatives in mpmath's names: a second statement of each, for the tests only.

A row has one function for each input that is differentiable. `Terms(a, b)` is a sum whose terms may cancel: beside a
zero of the derivative the error is measured against the sum of their magnitudes.
"""

from __future__ import annotations

import mpmath as mp

EXP = 1e5  # e to larger powers has too many digits for mpmath
CAP = {
    "exp": EXP, "exp2": EXP, "expm1": EXP, "pow": EXP, "sigmoid": EXP, "falling_sigmoid": EXP, "softplus": EXP,
    "logaddexp": EXP, "sinh": EXP, "cosh": EXP, "tanh": EXP, "sech2": EXP, "erf": 30.0, "erfc": 30.0,
    "floor_divide": 1e12, "remainder": 1e12, "fmod": 1e12, "ldexp": EXP, "logaddexp2": EXP,
    "gaussian": 26.0, "normal_density": 37.0, "ndtr": 37.0, "bessel_j0": 100.0, "i0": 700.0, "lgamma": 100.0,
    "digamma": 100.0, "gammainc": 50.0, "gammaincc": 50.0,
}  # fmt: skip
"""Largest |x| that an entry is asked for, where it is not 1e300."""


class Terms(tuple):
    """Terms of a sum."""

    def __new__(cls, *terms):
        return super().__new__(cls, terms)


def zero(*args, **params):
    return mp.mpf(0)


def one(*args, **params):
    return mp.mpf(1)


def _sigmoid(x):
    return 1 / (1 + mp.exp(-x)) if x > 0 else mp.exp(x) / (1 + mp.exp(x))


def _none_at(test, f):
    """f, and no value where the test holds: a kink or a jump."""
    return lambda *args, **params: mp.nan if test(*args, **params) else f(*args, **params)


def _whole(x, *rest, **params):
    return x == mp.floor(x)


def _tie(x, y):
    return x == y


def _gauss(x):
    return 2 / mp.sqrt(mp.pi) * mp.exp(-x * x)


def _cut(x):
    return mp.sign(x) * mp.floor(abs(x))


def _divides(x, y):
    return y == 0 or x / y == mp.floor(x / y)


SLOPES = {
    # arithmetic
    "add": (one, one),
    "sub": (one, lambda x, y: mp.mpf(-1)),
    "mul": (lambda x, y: y, lambda x, y: x),
    "div": (lambda x, y: 1 / y, lambda x, y: -x / y**2),
    "neg": (lambda x: mp.mpf(-1),),
    "sign": (_none_at(lambda x: x == 0, zero),),
    "abs": (_none_at(lambda x: x == 0, mp.sign),),
    "floor": (_none_at(_whole, zero),),
    "ceil": (_none_at(_whole, zero),),
    "trunc": (_none_at(_whole, zero),),
    "round": (_none_at(lambda x: _whole(2 * x), zero),),
    "floor_divide": (_none_at(_divides, zero), _none_at(_divides, zero)),
    "remainder": (_none_at(_divides, one), _none_at(_divides, lambda x, y: -mp.floor(x / y))),
    "integer_pow": (lambda x, n: n * x ** (n - 1) if n else mp.mpf(0),),
    "fmod": (_none_at(_divides, one), _none_at(_divides, lambda x, y: -_cut(x / y))),
    "frac": (_none_at(_whole, one),),
    "copysign": (
        _none_at(lambda x, y: 0 in (x, y), lambda x, y: mp.sign(x) * mp.sign(y)),
        _none_at(lambda x, y: y == 0, zero),
    ),
    "ldexp": (lambda x, y: mp.mpf(2) ** y, lambda x, y: x * mp.log(2) * mp.mpf(2) ** y),
    "lerp": (lambda a, b, w: Terms(1, -w), lambda a, b, w: w, lambda a, b, w: Terms(b, -a)),
    "hypot": (lambda x, y: x / mp.hypot(x, y), lambda x, y: y / mp.hypot(x, y)),
    # choosing
    "where": (lambda c, x, y: mp.mpf(c), lambda c, x, y: 1 - mp.mpf(c)),
    "maximum": (_none_at(_tie, lambda x, y: mp.mpf(x > y)), _none_at(_tie, lambda x, y: mp.mpf(y > x))),
    "minimum": (_none_at(_tie, lambda x, y: mp.mpf(x < y)), _none_at(_tie, lambda x, y: mp.mpf(y < x))),
    "clamp": (_none_at(lambda x, lo, hi: x in (lo, hi), lambda x, lo, hi: mp.mpf(lo < x < hi)),),
    "relu": (_none_at(lambda x: x == 0, lambda x: mp.mpf(x > 0)),),
    "fmax": (_none_at(_tie, lambda x, y: mp.mpf(x > y)), _none_at(_tie, lambda x, y: mp.mpf(y > x))),
    "fmin": (_none_at(_tie, lambda x, y: mp.mpf(x < y)), _none_at(_tie, lambda x, y: mp.mpf(y < x))),
    "heaviside": (_none_at(lambda x, y: x == 0, zero), lambda x, y: mp.mpf(x == 0)),
    "nan_to_num": (one,),
    # exponentials and powers
    "exp": (mp.exp,),
    "exp2": (lambda x: mp.log(2) * mp.mpf(2) ** x,),
    "expm1": (mp.exp,),
    "log": (lambda x: 1 / x,),
    "log2": (lambda x: 1 / (x * mp.log(2)),),
    "log10": (lambda x: 1 / (x * mp.log(10)),),
    "log1p": (lambda x: 1 / (1 + x),),
    "sqrt": (lambda x: 1 / (2 * mp.sqrt(x)),),
    "rsqrt": (lambda x: -1 / (2 * x * mp.sqrt(x)),),
    "pow": (
        _none_at(lambda x, y: x <= 0 and y != mp.floor(y), lambda x, y: y * x ** (y - 1)),
        _none_at(lambda x, y: x <= 0, lambda x, y: mp.log(x) * x**y),
    ),
    "sigmoid": (lambda x: _sigmoid(x) * _sigmoid(-x),),
    "falling_sigmoid": (lambda x: -_sigmoid(x) * _sigmoid(-x),),
    "softplus": (_sigmoid,),
    "logaddexp": (lambda x, y: _sigmoid(x - y), lambda x, y: _sigmoid(y - x)),
    "logaddexp2": (
        lambda x, y: _sigmoid((x - y) * mp.log(2)),
        lambda x, y: _sigmoid((y - x) * mp.log(2)),
    ),
    "logit": (lambda x: 1 / (x * (1 - x)),),
    "entr": (lambda x: Terms(-mp.log(x), -1) if x > 0 else mp.nan,),
    "xlog1py": (lambda x, y: mp.log(1 + y), lambda x, y: x / (1 + y) if y > -1 else mp.nan),
    "xlogy": (lambda x, y: mp.log(y), lambda x, y: x / y if y > 0 else mp.nan),
    # circles and hyperbolas
    "sin": (mp.cos,),
    "cos": (lambda x: -mp.sin(x),),
    "tan": (lambda x: 1 / mp.cos(x) ** 2,),
    "asin": (lambda x: 1 / mp.sqrt(1 - x * x),),
    "acos": (lambda x: -1 / mp.sqrt(1 - x * x),),
    "atan": (lambda x: 1 / (1 + x * x),),
    "atan2": (lambda y, x: x / (x * x + y * y), lambda y, x: -y / (x * x + y * y)),
    "sinh": (mp.cosh,),
    "cosh": (mp.sinh,),
    "tanh": (lambda x: mp.sech(x) ** 2,),
    "sech2": (lambda x: -2 * mp.sech(x) ** 2 * mp.tanh(x),),
    "asinh": (lambda x: 1 / mp.sqrt(1 + x * x),),
    "acosh": (lambda x: 1 / mp.sqrt(x * x - 1),),
    "atanh": (lambda x: 1 / (1 - x * x),),
    # special functions
    "gaussian": (lambda x: -2 * x * mp.exp(-x * x),),
    "normal_density": (lambda x: -x * mp.npdf(x),),
    "ndtr": (mp.npdf,),
    "gammainc": (lambda a, x: x ** (a - 1) * mp.exp(-x) / mp.gamma(a) if x > 0 < a else mp.nan,),
    "gammaincc": (lambda a, x: -(x ** (a - 1)) * mp.exp(-x) / mp.gamma(a) if x > 0 < a else mp.nan,),
    "bessel_j0": (lambda x: Terms(-x * mp.besselj(0, x) / 2, -x * mp.besselj(2, x) / 2),),
    "i0": (lambda x: mp.besseli(1, x),),
    "lgamma": (lambda x: mp.digamma(x) if x > 0 else mp.nan,),
    "digamma": (lambda x: mp.polygamma(1, x) if not (x <= 0 and _whole(x)) else mp.nan,),
    "erfinv": (lambda x: mp.sqrt(mp.pi) / 2 * mp.exp(mp.erfinv(x) ** 2),),
    "erf": (_gauss,),
    "erfc": (lambda x: -_gauss(x),),
}

# Special functions that are held by test_against_mpmath.py only; a row here takes the name away.
WITHOUT_ROW = """erfcx erfcx_derivative log_ndtr ndtri polygamma polygamma_step betaln gamma_density zeta bessel_j
    bessel_j1 bessel_i i1 i0e i0e_derivative i1e i1e_derivative sinc sinc_derivative""".split()  # noqa: SIM905
