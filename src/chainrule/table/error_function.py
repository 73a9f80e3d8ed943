"""The error function, the normal distribution, and their inverses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.table.arithmetic import abs_
from chainrule.table.blocks import row_by_row
from chainrule.table.primitive import elementwise
from chainrule.table.scipy_values import from_scipy, in_double, only_real
from chainrule.table.select import where

TWO_OVER_SQRT_PI = 2.0 / math.sqrt(math.pi)
SQRT_HALF = math.sqrt(0.5)
SQRT_HALF_PI = math.sqrt(math.pi / 2.0)

# Note [Squares in exponents]
# x² is rounded, and ½ ulp of it is a relative error of e^(x²): 512 ulp at 26. So x is split into a multiple of
# 2⁻²⁰, whose square is exact, and a rest: x² = a² + (x - a)(x + a).

_STEP = 2.0**20
_FAR = 64.0  # e^(-64²/2) is 0


def _exp_square(x: Any, factor: float) -> Any:
    """e^(factor·x²) for a factor that is a power of two; see Note [Squares in exponents]."""
    if np.iscomplexobj(x):
        return np.exp(factor * x * x)
    x = np.clip(x, -_FAR, _FAR)
    a = np.rint(x * _STEP) / _STEP
    return np.exp(factor * a * a) * np.exp(factor * (x - a) * (x + a))


def _exp_square_float(x: float, factor: float) -> float:
    if not abs(x) < _FAR:
        return float(_exp_square(x, factor))
    a = round(x * _STEP) / _STEP
    return math.exp(factor * a * a) * math.exp(factor * (x - a) * (x + a))


gaussian = elementwise(
    "gaussian", "x", in_double(lambda x: _exp_square(x, -1.0)), {"x": lambda x, out: -2.0 * x * out},
    scalar=lambda x: _exp_square_float(x, -1.0), bounded=True, even=True, on_complex=only_real("gaussian"),
    text="exp(-$x**2)", latex="e^{-$x^2}",
    doc="e^(-x²), right to the last digits in the tails too.", samples=((0.0,), (0.5,), (-2.0,), (26.0,)),
    source="chain rule; Note [Squares in exponents]",
)  # fmt: skip
SQRT_2PI = math.sqrt(2.0 * math.pi)
normal_density = elementwise(
    "normal_density", "x", in_double(lambda x: _exp_square(x, -0.5) / SQRT_2PI), {"x": lambda x, out: -x * out},
    scalar=lambda x: _exp_square_float(x, -0.5) / SQRT_2PI, bounded=True, even=True,
    on_complex=only_real("normal_density"),
    text="exp(-$x**2/2)/sqrt(2*pi)", latex=r"\frac{e^{-$x^2/2}}{\sqrt{2\pi}}",
    doc="Density of the standard normal distribution.", samples=((0.0,), (0.5,), (-2.0,), (37.0,)),
    source="chain rule; Note [Squares in exponents]",
)  # fmt: skip


# --- erfcx and all its derivatives ---------------------------------------------------------------------

# Note [Positive integrals]
# erfcx' = 2x·erfcx - 2/√π cancels: at 1000 six digits are gone. The n-th derivative for x >= 0 is
# (-2)ⁿ·2/√π · ∫₀^∞ uⁿ e^(-u² - 2xu) du (DLMF 7.7.1), whose integrand is positive: a sum over u = T·e^(s - e^(-s)),
# s in steps of 3/32 (exact, so that the step adds no error), gives every order to 3 ulp. Left of 0 the recurrence
# D⁽ⁿ⁾ = 2x·D⁽ⁿ⁻¹⁾ + 2(n-1)·D⁽ⁿ⁻²⁾ (DLMF 7.18.7) adds numbers of one sign.

_H = 3.0 / 32.0


def _nodes() -> tuple[Any, Any]:
    s = np.arange(-37, 46) * _H
    u = np.exp(s - np.exp(-s))
    return u, u * (1.0 + np.exp(-s)) * _H


def _erfcx_right(x: Any, n: int) -> Any:
    u, weight = _nodes()
    x = np.minimum(x, 1e100)[..., None]
    t = u / (x + np.hypot(x, 1.0))
    scale = weight / (x + np.hypot(x, 1.0))
    return (-2.0) ** n * TWO_OVER_SQRT_PI * np.sum(t**n * np.exp(-t * (t + 2.0 * x)) * scale, axis=-1)


def _erfcx_left(x: Any, n: int) -> Any:
    before, out = -TWO_OVER_SQRT_PI, _erfcx(x)
    for k in range(1, n + 1):
        before, out = out, 2.0 * x * out + (2.0 * (k - 1) * before if k > 1 else before)
    return out


@in_double
def _erfcx(x: Any) -> Any:
    """SciPy's, and left of -1, where its x² is rounded, 2e^(x²) - erfcx(-x)."""
    import scipy.special

    out = scipy.special.erfcx(np.maximum(x, -1.0))
    far = x < -1.0
    return np.where(
        far, 2.0 * _exp_square(np.minimum(x, -1.0), 1.0) - scipy.special.erfcx(np.maximum(-x, 1.0)), out
    )


@in_double
def _erfcx_derivative(x: Any, *, n: int) -> Any:
    out = np.full(x.shape, np.nan)
    right, left = x >= 0, x < 0
    out[right] = row_by_row(_erfcx_right, x[right], n=n)
    out[left] = _erfcx_left(x[left], n)
    return out


erfcx_derivative = elementwise(
    "erfcx_derivative", "x", _erfcx_derivative, {"x": lambda x, *, n: erfcx_derivative(x, n=n + 1)},
    on_complex=only_real("erfcx"), text="erfcx_derivative($n, $x)", latex=r"\operatorname{erfcx}^{($n)}($x)",
    doc="The n-th derivative of erfcx.",
    samples=(dict(at=(0.5,), n=1), dict(at=(0.0,), n=2), dict(at=(-2.0,), n=1), dict(at=(20.0,), n=3)),
    source="DLMF 7.7.1; Note [Positive integrals]", tolerance=8.0, slope_tolerance=8.0,
    tolerance_reason="an integral as a sum of 83 terms",
)  # fmt: skip
erfcx = elementwise(
    "erfcx", "x", _erfcx, {"x": lambda x: erfcx_derivative(x, n=1)},
    monotone=True, on_complex=only_real("erfcx"), latex=r"\operatorname{erfcx}($x)",
    doc="e^(x²)·(1 - erf(x)): the tail of erf without its decay.",
    samples=((0.0,), (0.5,), (-2.0,), (20.0,)), source="DLMF 7.2.3", slope_tolerance=8.0,
    tolerance_reason="the slope is an integral, as a sum of 83 terms",
)  # fmt: skip


# --- erf, erfc, ndtr -----------------------------------------------------------------------------------


@in_double
def _erfc(x: Any) -> Any:
    import scipy.special

    out = scipy.special.erfc(np.minimum(x, 0.5))
    return np.where(x > 0.5, _exp_square(x, -1.0) * scipy.special.erfcx(np.maximum(x, 0.5)), out)


@in_double
def _ndtr(x: Any) -> Any:
    import scipy.special

    out = 0.5 * scipy.special.erfc(np.minimum(-x, 1.0) * SQRT_HALF)
    far = 0.5 * _exp_square(x, -0.5) * scipy.special.erfcx(np.maximum(-x, 1.0) * SQRT_HALF)
    return np.where(x < -1.0, far, out)


@in_double
def _log_ndtr(x: Any) -> Any:
    """By the complement right of 0, and left of -1 without the underflow of ndtr."""
    import scipy.special

    far = np.log(0.5 * scipy.special.erfcx(np.maximum(-x, 1.0) * SQRT_HALF)) - 0.5 * x * x
    near = np.where(x > 0.0, np.log1p(-_ndtr(-np.abs(x))), np.log(_ndtr(np.clip(x, -1.0, 0.0))))
    return np.where(x < -1.0, far, near)


erf = elementwise(
    "erf", "x", from_scipy("erf"), {"x": lambda x: TWO_OVER_SQRT_PI * gaussian(x)},
    scalar=math.erf, bounded=True, monotone=True, on_complex=only_real("erf"), latex=r"\operatorname{erf}($x)",
    doc="Error function.", samples=((0.0,), (0.5,), (-2.0,), (6.0,)), source="DLMF 7.2.1",
)  # fmt: skip
erfc = elementwise(
    "erfc", "x", _erfc, {"x": lambda x: -TWO_OVER_SQRT_PI * gaussian(x)},
    scalar=math.erfc, bounded=True, monotone=True, on_complex=only_real("erfc"), latex=r"\operatorname{erfc}($x)",
    doc="1 - erf(x), exact in the right tail.",
    samples=((0.0,), (0.5,), (-2.0,), (6.0,), (20.0,)), source="DLMF 7.2.2",
)  # fmt: skip
ndtr = elementwise(
    "ndtr", "x", _ndtr, {"x": lambda x: normal_density(x)},
    bounded=True, monotone=True, on_complex=only_real("ndtr"), latex=r"\Phi($x)",
    doc="Distribution function of the standard normal distribution, exact in the left tail.",
    samples=((0.0,), (0.5,), (-2.0,), (-20.0,)), source="the density is its derivative",
)  # fmt: skip
log_ndtr = elementwise(
    "log_ndtr", "x", _log_ndtr,
    {"x": lambda x: where(x < 0, (1.0 / SQRT_HALF_PI) / erfcx(-SQRT_HALF * x), normal_density(x) / ndtr(x))},
    monotone=True, on_complex=only_real("log_ndtr"), latex=r"\ln\Phi($x)",
    doc="ln ndtr(x), without its underflow.", samples=((0.0,), (0.5,), (-2.0,), (-20.0,), (6.0,)),
    source="φ/Φ, left of 0 as √(2/π)/erfcx(-x/√2), in which the decay of both is divided out",
    slope_tolerance=8.0, tolerance_reason="SciPy's erfcx is 2 ulp off, and three factors are rounded",
)  # fmt: skip


# --- inverses ------------------------------------------------------------------------------------------

# 1/erf'(out) = √π/2·e^(out²) has a relative error of out² ulp. The tail that the argument leaves, 1 - x, is exact near
# 1: e^(out²) = erfcx(out)/(1 - x). Both branches are the same function, so the choice is no kink.

erfinv = elementwise(
    "erfinv", "x", from_scipy("erfinv"),
    {"x": lambda x, out: where(abs_(x) == 1.0, math.inf, (0.5 * math.sqrt(math.pi)) * where(
        x < 0, erfcx(-out) / (1.0 + x), erfcx(out) / (1.0 - x)))},
    monotone=True, on_complex=only_real("erfinv"), latex=r"\operatorname{erf}^{-1}($x)", domain=((-1.0, 1.0),),
    doc="Inverse of the error function.", samples=((0.125,), (0.5,), (-0.9375,)),
    source="1/erf'(out), with e^(out²) = erfcx(out)/(1 - x)", slope_tolerance=8.0,
    tolerance_reason="SciPy's erfinv and erfcx are 2 ulp off, and three factors are rounded",
)  # fmt: skip
ndtri = elementwise(
    "ndtri", "x", from_scipy("ndtri"),
    {"x": lambda x, out: where((x == 0) | (x == 1.0), math.inf, SQRT_HALF_PI * where(
        x < 0.5, erfcx(-SQRT_HALF * out) / x, erfcx(SQRT_HALF * out) / (1.0 - x)))},
    monotone=True, on_complex=only_real("ndtri"), latex=r"\Phi^{-1}($x)", domain=((0.0, 1.0),),
    doc="Inverse of ndtr: the quantile of the standard normal distribution.",
    samples=((0.25,), (1e-12,), (0.9375,)), source="1/φ(out), with φ(out) = x·√(2/π)/erfcx(-out/√2)",
    slope_tolerance=8.0, tolerance_reason="SciPy's ndtri and erfcx are 2 ulp off, and three factors are rounded",
)  # fmt: skip
