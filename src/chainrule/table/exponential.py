"""Exponentials, logarithms, roots and powers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.errors import DtypeError
from chainrule.table.blocks import blocked
from chainrule.table.primitive import elementwise
from chainrule.table.select import where

LN2 = math.log(2.0)
LN10 = math.log(10.0)
NAN = math.nan

# Note [Outside the domain]
# log(-1) is NaN, and so is its slope: 1/x alone would give -1 there, the slope of another function
# (docs/rules.md, rule 3).
# Hence the `where` in the rules whose formula is finite outside the domain. At the edge the slope is the
# limit from inside,
# also where rounding left a -0: hence the `+ 0.0`, which turns -0 into 0 (1/-0 would be -inf).

exp = elementwise(
    "exp", "x", np.exp, {"x": lambda out: out},
    scalar=math.exp, monotone=True, latex="e^{$x}", doc="eˣ.",
    samples=((0.0,), (1.5,), (-2.0,), (-700.0,), (700.0,)), source="DLMF 4.4.1",
)  # fmt: skip
exp2 = elementwise(
    "exp2", "x", np.exp2, {"x": lambda out: LN2 * out},
    scalar=lambda x: math.pow(2.0, x), monotone=True, text="2**$x", latex="2^{$x}", doc="2ˣ.",
    samples=((0.0,), (1.5,), (-2.0,), (-1000.0,)), source="2ˣ = exp(x ln 2)",
)  # fmt: skip
expm1 = elementwise(
    "expm1", "x", np.expm1, {"x": lambda x: exp(x)},
    scalar=math.expm1, monotone=True, latex="e^{$x} - 1", doc="eˣ - 1, exact for small x.",
    samples=((0.0,), (1e-12,), (1.5,), (-40.0,)),
    source="the slope is eˣ; out + 1 would lose it in the left tail",
)  # fmt: skip
# Note [Outside of a domain]
# Left of 0 the slope of log is undefined, and so are those of higher order. NaN as a branch of its own would be a
# constant there, with the slope 0; as the numerator of 1/x it is NaN in every order: (NaN/x)' = -NaN/x².

log = elementwise(
    "log", "x", np.log, {"x": lambda x: where(x < 0, NAN, 1.0) / (x + 0.0)},
    scalar=math.log, monotone=True, latex=r"\ln($x)", doc="Natural logarithm.", domain=((0.0, math.inf),),
    samples=((1.0,), (1.5,), (1e-300,), (1e300,)), source="DLMF 4.2.7",
    undefined={"x < 0": "no real logarithm exists"},
)  # fmt: skip
log2 = elementwise(
    "log2", "x", np.log2, {"x": lambda x: where(x < 0, NAN, 1.0 / LN2) / (x + 0.0)},
    scalar=math.log2, monotone=True, latex=r"\log_2($x)", doc="Logarithm to base 2.",
    domain=((0.0, math.inf),),
    samples=((1.0,), (1.5,), (1e-300,)), source="log₂ x = ln x / ln 2",
    undefined={"x < 0": "no real logarithm exists"},
)  # fmt: skip
log10 = elementwise(
    "log10", "x", np.log10, {"x": lambda x: where(x < 0, NAN, 1.0 / LN10) / (x + 0.0)},
    scalar=math.log10, monotone=True, latex=r"\log_{10}($x)", doc="Logarithm to base 10.",
    domain=((0.0, math.inf),),
    samples=((1.0,), (1.5,), (1e-300,)), source="log₁₀ x = ln x / ln 10",
    undefined={"x < 0": "no real logarithm exists"},
)  # fmt: skip
log1p = elementwise(
    "log1p", "x", np.log1p, {"x": lambda x: where(x < -1.0, NAN, 1.0) / (1.0 + x)},
    scalar=math.log1p, monotone=True, latex=r"\ln(1 + $x)", doc="ln(1 + x), exact for small x.",
    domain=((-1.0, math.inf),), samples=((0.0,), (1e-12,), (1.5,), (-0.9,)),
    source="chain rule on DLMF 4.2.7",
    undefined={"x < -1": "no real logarithm exists"},
)  # fmt: skip
sqrt = elementwise(
    "sqrt", "x", np.sqrt, {"x": lambda out: 0.5 / (out + 0.0)},
    scalar=math.sqrt, monotone=True, latex=r"\sqrt{$x}", doc="Square root.", domain=((0.0, math.inf),),
    samples=((1.0,), (2.5,), (1e-300,), (1e300,)), source="d√x/dx = 1/(2√x)",
    kinks={"x = 0": "by continuity: +inf"},
    undefined={"x < 0": "no real root exists"},
)  # fmt: skip
rsqrt = elementwise(
    "rsqrt", "x", lambda x: np.reciprocal(np.sqrt(x)), {"x": lambda x, out: -0.5 * out / x},
    scalar=lambda x: 1.0 / math.sqrt(x), text="1/sqrt($x)", latex=r"\frac{1}{\sqrt{$x}}", doc="1/√x.",
    domain=((0.0, math.inf),),
    samples=((1.0,), (2.5,), (1e-100,)), source="power rule", undefined={"x < 0": "no real root exists"},
)  # fmt: skip


def is_half(y: Any) -> bool:
    """Whether an exponent is the one number ½: then the power is a root, -0 for -0 and NaN for -∞."""
    if not isinstance(y, np.ndarray):
        return bool(y == 0.5)
    return y.size > 0 and not any(y.strides) and bool(y.flat[0] == 0.5)


def _power(x: Any, y: Any) -> Any:
    """Of whole numbers among these: none is a power with a negative exponent."""
    if is_half(y):
        return np.sqrt(np.broadcast_arrays(x, y)[0], dtype=np.result_type(x, y))
    if np.result_type(x, y).kind in "iu" and np.min(y, initial=0) < 0:
        raise DtypeError(
            "whole numbers have no negative powers among whole numbers", given=f"an exponent {np.min(y)}",
            fix="make the base floating point, e.g. x.double()",
        )  # fmt: skip
    return np.power(x, y)


pow_ = elementwise(
    "pow", "x y", _power,
    {
        "x": lambda x, y: where((x == 0) & (y == 0), 0.0, y * pow_(x, y - 1.0)),
        "y": lambda x, y, out: where((x == 0) & (y >= 0), 0.0, where(x == 0, NAN, out * log(x))),
    },
    scalar=lambda x, y: math.sqrt(x) if y == 0.5 else math.pow(x, y),
    result="same", text="$x**$y", latex="$x^{$y}", doc="x to the power y.",
    samples=((2.0, 3.0), (0.5, -1.5), (2.0, 0.0), (1.5, 40.0)),
    kinks={"x = 0, y >= 0": "∂/∂y is 0: out stays 0 (or 1) for every y >= 0 near by"},
    undefined={"x < 0": "∂/∂y is NaN: only whole y are in the domain, so no direction exists",
               "x = 0, y < 0": "∂/∂y is NaN: out is infinite for every y < 0"},
    source="DLMF 4.2(iv)", slope_tolerance=760.0,
    tolerance_reason="y - 1 is rounded: half its last place times ln x is a relative error of the slope; x^(y-1) "
    "leaves the range of numbers where (y - 1) ln x passes ±745, so 745 ulp at most",
)  # fmt: skip


@blocked
def _sigmoid(x: Any) -> Any:
    """1/(1 + e⁻ˣ), and eˣ where e⁻ˣ overflows: exact to the last bit of both tails."""
    e = np.exp(-x)
    out = 1 / (1 + e)
    far = np.isinf(e)
    return np.where(far, np.exp(x), out) if np.any(far) else out


def _sigmoid_float(x: float) -> float:
    e = math.exp(-abs(x))
    return (1.0 if x >= 0 else e) / (1.0 + e)


sigmoid = elementwise(
    "sigmoid", "x", _sigmoid, {"x": lambda x, out: out * sigmoid(-x)},
    scalar=_sigmoid_float, bounded=True, monotone=True, latex=r"\sigma($x)", doc="1/(1 + e⁻ˣ).",
    samples=((0.0,), (1.5,), (-2.0,), (40.0,), (-700.0,)),
    source="σ' = σ(x)·σ(-x); out·(1 - out) loses the right tail",
)  # fmt: skip
falling_sigmoid = elementwise(
    "falling_sigmoid", "x", lambda x: _sigmoid(-x), {"x": lambda x, out: -out * sigmoid(x)},
    scalar=lambda x: _sigmoid_float(-x), bounded=True, text="sigmoid(-$x)", latex=r"\sigma(-$x)",
    doc="1/(1 + eˣ).",
    samples=((0.0,), (1.5,), (-2.0,), (40.0,), (700.0,)), source="σ(-x)' = -σ(-x)·σ(x)",
)  # fmt: skip
softplus = elementwise(
    "softplus", "x", lambda x: np.logaddexp(x, np.zeros((), np.asarray(x).dtype)),
    {"x": lambda x: sigmoid(x)},
    scalar=lambda x: max(x, 0.0) + math.log1p(math.exp(-abs(x))) if x == x else x,
    bounded=True, monotone=True, latex=r"\ln(1 + e^{$x})", doc="ln(1 + eˣ).",
    samples=((-40.0,), (-1.0,), (0.0,), (1.0,), (40.0,)),
    source="log1p(exp(x)) in the form that does not overflow",
)  # fmt: skip


def _logaddexp_float(x: float, y: float) -> float:
    if x == y:
        return x + LN2  # also where both are the same infinity
    return max(x, y) + math.log1p(math.exp(-abs(x - y))) if x == x and y == y else x + y


logaddexp = elementwise(
    "logaddexp", "x y", np.logaddexp, {"x": lambda x, y: sigmoid(x - y), "y": lambda x, y: sigmoid(y - x)},
    scalar=_logaddexp_float, bounded=True, commutative=True, latex=r"\ln(e^{$x} + e^{$y})",
    doc="ln(eˣ + eʸ).",
    samples=((1.0, 2.0), (-40.0, 3.0), (700.0, 710.0)), source="∂/∂x = eˣ/(eˣ + eʸ) = σ(x - y)",
    slope_tolerance=600.0,
    tolerance_reason="x - y is rounded: ½ ulp of it is a relative error of the slope in the tail",
    undefined={"x = y = ±inf": "the weights have no value: NaN"},
)  # fmt: skip
logaddexp2 = elementwise(
    "logaddexp2", "x y", np.logaddexp2,
    {"x": lambda x, y: sigmoid(LN2 * (x - y)), "y": lambda x, y: sigmoid(LN2 * (y - x))},
    bounded=True, commutative=True,
    latex=r"\log_2(2^{$x} + 2^{$y})", doc="log₂(2ˣ + 2ʸ).",
    samples=((1.0, 2.0), (-40.0, 3.0), (700.0, 710.0)), source="∂/∂x = 2ˣ/(2ˣ + 2ʸ) = σ((x - y) ln 2)",
    slope_tolerance=600.0,
    tolerance_reason="(x - y) ln 2 is rounded: ½ ulp of it is a relative error of the slope in the tail",
    undefined={"x = y = ±inf": "the weights have no value: NaN"},
)  # fmt: skip


def _logit(x: Any) -> Any:
    """ln(x/(1 - x)); around ½, where it is 0, by the distance from ½, which is exact."""
    near = (x > 0.3) & (x < 0.65)
    out = np.log(x / (1 - x))
    return np.where(near, np.log1p((2 * x - 1) / (1 - x)), out) if np.any(near) else out


def _logit_float(x: float) -> float:
    return math.log1p((2.0 * x - 1.0) / (1.0 - x)) if 0.3 < x < 0.65 else math.log(x / (1.0 - x))


logit = elementwise(
    "logit", "x", _logit,
    {"x": lambda x: where((x < 0) | (x > 1.0), NAN, 1.0) / ((x + 0.0) * (1.0 - x))},
    scalar=_logit_float, monotone=True, latex=r"\ln\frac{$x}{1 - $x}",
    doc="ln(x/(1 - x)), the inverse of sigmoid.", domain=((0.0, 1.0),),
    samples=((0.5,), (0.25,), (1e-300,), (0.9375,)), source="1/x + 1/(1 - x) = 1/(x(1 - x))",
    undefined={"x < 0, x > 1": "no real logarithm exists"},
)  # fmt: skip
hypot = elementwise(
    "hypot", "x y", np.hypot,
    {"x": lambda x, out: where(out == 0, 0.0, x / out), "y": lambda y, out: where(out == 0, 0.0, y / out)},
    scalar=math.hypot, bounded=True, commutative=True, latex=r"\sqrt{$x^2 + $y^2}",
    doc="√(x² + y²) without overflow.",
    samples=((3.0, 4.0), (-1e200, 1e200), (1e-200, 0.0)),
    kinks={"x = y = 0": "convex: of the unit disc of subgradients the shortest, (0, 0), is taken"},
    source="∂r/∂x = x/r",
)  # fmt: skip


def _xlogy_float(x: float, y: float) -> float:
    return x * math.log(y) if x != 0 else y if y != y else 0.0


xlogy = elementwise(
    "xlogy", "x y", lambda x, y: np.where((x == 0) & ~np.isnan(y), 0, x * np.log(y)),
    {
        "x": lambda y: log(y),
        "y": lambda x, y: where((x == 0) & (y <= 0), 0.0, where(y < 0, NAN, x / (y + 0.0))),
    },
    scalar=_xlogy_float, latex=r"$x \ln($y)", doc="x·ln(y), and 0 where x is 0.",
    samples=((1.5, 2.0), (0.0, 3.0), (2.0, 1e-300)),
    kinks={"x = 0, y <= 0": "∂/∂y is 0: out stays 0 for every y near by"},
    undefined={"x != 0, y < 0": "no real logarithm exists"},
    source="product rule; the limit of x ln x at 0 is 0",
)  # fmt: skip


def _xlog1py_float(x: float, y: float) -> float:
    return x * math.log1p(y) if x != 0 else y if y != y else 0.0


xlog1py = elementwise(
    "xlog1py", "x y", lambda x, y: np.where((x == 0) & ~np.isnan(y), 0, x * np.log1p(y)),
    {
        "x": lambda y: log1p(y),
        "y": lambda x, y: where((x == 0) & (y <= -1.0), 0.0, where(y < -1.0, NAN, x / (1.0 + y))),
    },
    scalar=_xlog1py_float, latex=r"$x \ln(1 + $y)", doc="x·ln(1 + y), and 0 where x is 0.",
    samples=((1.5, 2.0), (0.0, 3.0), (2.0, 1e-12)),
    kinks={"x = 0, y <= -1": "∂/∂y is 0: out stays 0 for every y near by"},
    undefined={"x != 0, y < -1": "no real logarithm exists"},
    source="product rule; the limit of x ln x at 0 is 0",
)  # fmt: skip


def _entr(x: Any) -> Any:
    return np.where(x > 0, -x * np.log(x), np.where(x == 0, 0, np.where(x < 0, -np.inf, x)))


def _entr_float(x: float) -> float:
    return -x * math.log(x) if x > 0 else 0.0 if x == 0 else -math.inf if x < 0 else x


entr = elementwise(
    "entr", "x", _entr, {"x": lambda x: -(log(x) + 1.0)},
    scalar=_entr_float, latex=r"-$x \ln($x)", doc="-x·ln(x), 0 at 0 and -inf left of it: a term of an entropy.",
    samples=((1.0,), (0.25,), (1e-300,), (20.0,)), source="product rule",
    undefined={"x < 0": "the value is -inf for every x near by, the slope NaN"},
)  # fmt: skip
