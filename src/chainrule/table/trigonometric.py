"""Trigonometric and hyperbolic functions and their inverses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.table.arithmetic import abs_
from chainrule.table.blocks import blocked
from chainrule.table.exponential import NAN, hypot, sqrt
from chainrule.table.primitive import elementwise
from chainrule.table.scipy_values import in_double
from chainrule.table.select import where

# Formulas are differentiated again: they are built of primitives that stay finite and smooth where the
# function is. tanh' as 1 - out² loses every digit in the tail, as 1/cosh² it is NaN in the third order
# at 400,
# as 4e/(1 + e)² with e = exp(-2|x|) its third order is wrong at the kink of |x|: so sech² is a primitive.

sin = elementwise(
    "sin", "x", np.sin, {"x": lambda x: cos(x)},
    scalar=math.sin, bounded=True, latex=r"\sin($x)", doc="Sine of x in radians.",
    samples=((0.0,), (1.5,), (-2.0,), (100.0,)), source="DLMF 4.20.1",
)  # fmt: skip
cos = elementwise(
    "cos", "x", np.cos, {"x": lambda x: -sin(x)},
    scalar=math.cos, bounded=True, even=True, latex=r"\cos($x)", doc="Cosine of x in radians.",
    samples=((0.0,), (1.5,), (-2.0,), (100.0,)), source="DLMF 4.20.2",
)  # fmt: skip
tan = elementwise(
    "tan", "x", np.tan, {"x": lambda out: 1.0 + out * out},
    scalar=math.tan, latex=r"\tan($x)", doc="Tangent of x in radians.",
    samples=((0.0,), (1.25,), (-0.75,), (100.0,)), source="DLMF 4.20.3: sec² = 1 + tan²",
)  # fmt: skip
asin = elementwise(
    "asin", "x", np.arcsin, {"x": lambda x: 1.0 / sqrt((1.0 - x) * (1.0 + x))},
    scalar=math.asin, monotone=True, latex=r"\arcsin($x)", doc="Inverse sine, in radians.",
    domain=((-1.0, 1.0),),
    samples=((0.0,), (0.5,), (-0.9375,)), source="DLMF 4.24.7; (1-x)(1+x) keeps the digits near ±1",
)  # fmt: skip
acos = elementwise(
    "acos", "x", np.arccos, {"x": lambda x: -1.0 / sqrt((1.0 - x) * (1.0 + x))},
    scalar=math.acos, monotone=True, latex=r"\arccos($x)", doc="Inverse cosine, in radians.",
    domain=((-1.0, 1.0),),
    samples=((0.0,), (0.5,), (-0.9375,)), source="DLMF 4.24.8",
)  # fmt: skip
atan = elementwise(
    "atan", "x", np.arctan, {"x": lambda x: 1.0 / (1.0 + x * x)},
    scalar=math.atan, bounded=True, monotone=True, latex=r"\arctan($x)", doc="Inverse tangent, in radians.",
    samples=((0.0,), (1.5,), (-2.0,), (1e10,)), source="DLMF 4.24.9",
)  # fmt: skip


def _somewhere(v: Any, y: Any, x: Any) -> Any:
    """v, but NaN at the origin, where slopes of every order are undefined: Note [Outside of a domain]."""
    return where(hypot(x, y) == 0, NAN * v, v)


atan2 = elementwise(
    "atan2", "y x", np.arctan2,
    {"y": lambda y, x: _somewhere(x, y, x) / hypot(x, y) / hypot(x, y),
     "x": lambda y, x: -_somewhere(y, y, x) / hypot(x, y) / hypot(x, y)},
    scalar=math.atan2, latex=r"\operatorname{atan2}($y, $x)", doc="Angle of the point (x, y), in radians.",
    samples=((1.5, -2.0), (-1.0, 0.5), (1e-200, 1e-200)),
    undefined={"y = x = 0": "the angle of the origin is arbitrary: NaN"},
    source="∂/∂y = x/(x² + y²), in a form that neither overflows nor underflows",
)  # fmt: skip


# Note [sinc and its derivatives]
# sinc' = (cos πx - sinc x)/x cancels near 0, and its own derivative more so. The n-th derivative S is an entry with
# n as parameter: for small x by its power series, else by x·S⁽ⁿ⁾ + n·S⁽ⁿ⁻¹⁾ = πⁿ⁻¹ sin(πx + nπ/2) (differentiate
# x·sinc(x) = sin(πx)/π n times), whose error does not grow there. sin(πx) is taken of the distance from the next
# integer, which is exact: sinc is 0 at integers.


def _quarter(x: Any, n: int) -> Any:
    """sin(πx + nπ/2), of an exact distance."""
    whole = np.rint(np.real(x))
    d = x - whole
    sign = np.where(whole % 2 == 0, 1.0, -1.0) * (-1.0 if n % 4 in (2, 3) else 1.0)
    if n % 2 == 0:
        return sign * np.sin(math.pi * d)
    near = np.abs(d) <= 0.25
    return sign * np.where(
        near,
        np.cos(math.pi * d),
        np.sin(math.pi * (0.5 - np.abs(np.real(d)))) if not np.iscomplexobj(x) else np.cos(math.pi * d),
    )


def _sinc_series(x: Any, n: int) -> Any:
    """πⁿ Σ (-1)ʲ (2j)!/((2j - n)!·(2j + 1)!)·(πx)²ʲ⁻ⁿ: by Horner's rule, last term first."""
    first = (n + 1) // 2
    z2, out = np.square(math.pi * x), np.zeros_like(x)
    for j in range(first + 16 + n, first - 1, -1):
        out = out * z2 + (-1.0) ** j / (math.factorial(2 * j - n) * (2 * j + 1))
    return math.pi**n * (math.pi * x if n % 2 else 1.0) * out


def _sinc_derivative(x: Any, *, n: int) -> Any:
    if not np.iscomplexobj(x):
        return _sinc_of_doubles(x, n=n)
    return _sinc_at(x, n)


@in_double
def _sinc_of_doubles(x: Any, *, n: int) -> Any:
    return _sinc_at(x, n)


def _sinc_at(x: Any, n: int) -> Any:
    near = np.abs(x) < (n + 1.5) / math.pi
    far = np.where(near, 1.0, x)
    out = _quarter(far, 0) / (math.pi * far)
    for k in range(1, n + 1):
        out = (math.pi ** (k - 1) * _quarter(far, k) - k * out) / far
    return np.where(near, _sinc_series(np.where(near, x, 0.0), n), out)


sinc_derivative = elementwise(
    "sinc_derivative", "x", _sinc_derivative, {"x": lambda x, *, n: sinc_derivative(x, n=n + 1)},
    text="sinc_derivative($n, $x)", latex=r"\operatorname{sinc}^{($n)}($x)", doc="The n-th derivative of sinc.",
    samples=(dict(at=(0.25,), n=1), dict(at=(0.0,), n=1), dict(at=(-2.75,), n=2), dict(at=(1.5,), n=3)),
    source="Note [sinc and its derivatives]", undefined={"x = ±inf": "sin(πx) has no value there: NaN"},
    tolerance=16.0, slope_tolerance=16.0,
    tolerance_reason="each order takes a difference of two terms: a digit is lost from the third on",
)  # fmt: skip
sinc = elementwise(
    "sinc", "x", lambda x: _sinc_derivative(x, n=0), {"x": lambda x: sinc_derivative(x, n=1)},
    even=True, latex=r"\operatorname{sinc}($x)", doc="sin(πx)/(πx), and 1 at 0.",
    samples=((0.25,), (0.0,), (-2.75,), (100.5,)), source="Note [sinc and its derivatives]",
    undefined={"x = ±inf": "sin(πx) has no value there: NaN"},
)  # fmt: skip
sinh = elementwise(
    "sinh", "x", np.sinh, {"x": lambda x: cosh(x)},
    scalar=math.sinh, monotone=True, latex=r"\sinh($x)", doc="Hyperbolic sine.",
    samples=((0.0,), (1.5,), (-2.0,), (20.0,)), source="DLMF 4.34.1",
)  # fmt: skip
cosh = elementwise(
    "cosh", "x", np.cosh, {"x": lambda x: sinh(x)},
    scalar=math.cosh, even=True, latex=r"\cosh($x)", doc="Hyperbolic cosine.",
    samples=((0.0,), (1.5,), (-2.0,), (20.0,)), source="DLMF 4.34.2",
)  # fmt: skip


@blocked
def _sech2(x: Any) -> Any:
    if np.iscomplexobj(x):
        return np.reciprocal(np.square(np.cosh(x)))  # |x| would not be holomorphic
    e = np.exp(-2.0 * np.abs(x))
    return 4.0 * e / np.square(1.0 + e)


def _sech2_float(x: float) -> float:
    e = math.exp(-2.0 * abs(x))
    return 4.0 * e / ((1.0 + e) * (1.0 + e))


sech2 = elementwise(
    "sech2", "x", _sech2, {"x": lambda x, out: -2.0 * out * tanh(x)},
    scalar=_sech2_float, bounded=True, even=True, text="1/cosh($x)**2",
    latex=r"\operatorname{sech}^2($x)", doc="1/cosh²(x): the slope of tanh, exact in both tails.",
    samples=((0.0,), (1.5,), (-2.0,), (20.0,), (-300.0,)),
    source="4e/(1 + e)², e = exp(-2|x|); 1/cosh² overflows, 1 - tanh² cancels",
)  # fmt: skip
tanh = elementwise(
    "tanh", "x", np.tanh, {"x": lambda x: sech2(x)},
    scalar=math.tanh, bounded=True, monotone=True, latex=r"\tanh($x)", doc="Hyperbolic tangent.",
    samples=((0.0,), (1.5,), (-2.0,), (20.0,), (-300.0,)), source="DLMF 4.34.3",
)  # fmt: skip


def _complex_asinh(emit: Any, z: Any) -> Any:
    """-i arcsin(iz): hypot, of which the slope among real numbers is made, is for these only."""
    return emit("mul", emit("asin", emit("mul", z, 1j)), -1j)


asinh = elementwise(
    "asinh", "x", np.arcsinh, {"x": lambda x: 1.0 / hypot(x, 1.0)},
    scalar=math.asinh, on_complex=_complex_asinh, bounded=True, monotone=True, latex=r"\operatorname{arsinh}($x)",
    doc="Inverse hyperbolic sine.",
    samples=((0.0,), (1.5,), (-2.0,), (1e200,)), source="DLMF 4.38.9",
)  # fmt: skip
acosh = elementwise(
    "acosh", "x", np.arccosh, {"x": lambda x: 1.0 / (sqrt(x - 1.0) * sqrt(x + 1.0))},
    scalar=math.acosh, monotone=True, latex=r"\operatorname{arcosh}($x)", doc="Inverse hyperbolic cosine.",
    domain=((1.0, math.inf),), samples=((1.5,), (20.0,), (1e10,)), source="DLMF 4.38.10",
)  # fmt: skip
atanh = elementwise(
    "atanh", "x", np.arctanh, {"x": lambda x: where(abs_(x) > 1.0, NAN, 1.0) / ((1.0 - x) * (1.0 + x))},
    scalar=math.atanh, monotone=True, latex=r"\operatorname{artanh}($x)", doc="Inverse hyperbolic tangent.",
    domain=((-1.0, 1.0),), samples=((0.0,), (0.5,), (-0.9375,)), source="DLMF 4.38.11",
    undefined={"|x| > 1": "no real value exists"},
)  # fmt: skip
