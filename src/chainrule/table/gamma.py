"""The gamma function's logarithm and its derivatives, the incomplete gamma functions, beta, zeta."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.table.exponential import NAN
from chainrule.table.primitive import elementwise
from chainrule.table.scipy_values import from_scipy, in_double, only_real
from chainrule.table.select import where

# Bernoulli numbers B₂, B₄ … of the asymptotic series (DLMF 24.2.4)
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)

# --- digamma and its derivatives -----------------------------------------------------------------------


def _cot_derivative(x: Any, n: int) -> Any:
    """The n-th derivative of π·cot(πx): a polynomial in c = cot(πx), since c' = -π(1 + c²)."""
    d = np.abs(x - np.rint(x))
    cosine = np.where(d <= 0.25, np.cos(math.pi * d), np.sin(math.pi * (0.5 - d)))  # of exact distances
    c = np.sign(x - np.rint(x)) * cosine / np.sin(math.pi * d)
    p = np.polynomial.Polynomial([0.0, math.pi])
    for _ in range(n):
        p = p.deriv() * np.polynomial.Polynomial([-math.pi, 0.0, -math.pi])
    return p(c)


@in_double
def _polygamma(x: Any, *, n: int) -> Any:
    """(-1)ⁿ⁺¹ n! ζ(n + 1, x) right of 0; left of it by reflection (DLMF 5.15.6), which has no sum of |x| terms."""
    import scipy.special

    z = np.where(x < 0, 1.0 - x, x)
    if n == 0:
        right = scipy.special.psi(z)
    else:
        right = (-1.0) ** (n + 1) * math.factorial(n) * scipy.special.zeta(n + 1.0, z)
    left = (-1.0) ** n * right - _cot_derivative(np.where(x < 0, x, 0.5), n)
    pole = (x < 0) & (np.rint(x) == x)
    return np.where(pole, math.inf if n % 2 else NAN, np.where(x < 0, left, right))


_POLES = {"x = 0, -1, -2, …": "a pole, whose sides differ or which is infinite"}

polygamma = elementwise(
    "polygamma", "x", _polygamma, {"x": lambda x, *, n: polygamma(x, n=n + 1)},
    on_complex=only_real("polygamma"), text="polygamma($n, $x)", latex=r"\psi^{($n)}($x)",
    doc="The n-th derivative of digamma.", undefined=_POLES,
    samples=(dict(at=(1.5,), n=1), dict(at=(0.25,), n=1), dict(at=(20.0,), n=2), dict(at=(-2.75,), n=1)),
    source="DLMF 5.15.1", tolerance=8.0, slope_tolerance=8.0,
    tolerance_reason="SciPy's zeta is up to 5 ulp off, and near the zeros of a derivative the terms cancel",
)  # fmt: skip
digamma = elementwise(
    "digamma", "x", lambda x: _polygamma(x, n=0), {"x": lambda x: polygamma(x, n=1)},
    on_complex=only_real("digamma"), latex=r"\psi($x)", doc="Slope of ln Γ(x).", undefined=_POLES,
    samples=((1.5,), (0.25,), (20.0,), (-2.75,)), source="DLMF 5.2.2",
    slope_tolerance=8.0, tolerance_reason="SciPy's zeta is up to 5 ulp off",
)  # fmt: skip


def _lgamma(x: Any) -> Any:
    """SciPy's, and -ln|x| at subnormal numbers, where SciPy gives inf."""
    out = from_scipy("gammaln")(x)
    subnormal = (np.abs(x) < np.finfo(out.dtype).tiny) & (x != 0)
    return np.where(subnormal, -np.log(np.abs(np.where(subnormal, x, 1))), out) if np.any(subnormal) else out


def _lgamma_float(x: float) -> float:
    return math.lgamma(x) if x > 0 else float(_lgamma(np.float64(x)))


lgamma = elementwise(
    "lgamma", "x", _lgamma, {"x": lambda x: digamma(x)},
    on_complex=only_real("lgamma"), latex=r"\ln|\Gamma($x)|", doc="ln |Γ(x)|.", undefined=_POLES,
    samples=((1.5,), (0.25,), (20.0,), (-2.75,)), source="DLMF 5.2.2",
)  # fmt: skip


# --- differences: ψ⁽ⁿ⁾(x + y) - ψ⁽ⁿ⁾(x) -----------------------------------------------------------------

# Note [Differences of polygamma]
# betaln(x, y) = ln Γ(x) + ln Γ(y) - ln Γ(x + y) and its slopes are differences of functions that are nearly equal
# where y is small against x. With f(x + y) - f(x) = Σₖ g(x + k) + (the same at x + 16, by the asymptotic series), and
# (x + y)⁻ᵐ - x⁻ᵐ = x⁻ᵐ·expm1(-m·log1p(y/x)), nothing cancels. n = -1 is ln Γ.

_SHIFT = 16


@in_double
def _polygamma_step(x: Any, y: Any, *, n: int) -> Any:
    positive = (x > 0) & (x + y > 0)
    at, by = np.where(positive, x, 1.0), np.where(positive, y, 0.0)
    small = at < _SHIFT
    terms = _step_term(np.where(small, at, 1.0)[..., None] + np.arange(_SHIFT), by[..., None], n)
    out = np.where(small, np.sum(terms, axis=-1), 0.0) + _step_far(np.where(small, at + _SHIFT, at), by, n)
    return out if np.all(positive) else np.where(positive, out, _one(x + y, n) - _one(x, n))


def _one(x: Any, n: int) -> Any:
    return from_scipy("gammaln")(x) if n == -1 else _polygamma(x, n=n)


def _power_step(x: Any, y: Any, m: float) -> Any:
    """(x + y)⁻ᵐ - x⁻ᵐ."""
    return x**-m * np.expm1(-m * np.log1p(y / x))


def _step_term(x: Any, y: Any, n: int) -> Any:
    """What the recurrence f(x) = f(x + 1) + g(x) adds to the difference (DLMF 5.15.5)."""
    if n == -1:
        return -np.log1p(y / x)
    return (-1.0) ** (n + 1) * math.factorial(n) * _power_step(x, y, n + 1.0)


def _step_far(x: Any, y: Any, n: int) -> Any:
    """The difference by the asymptotic series (DLMF 5.11.1, 5.11.2, 5.15.8), for x >= 16."""
    log = np.log1p(y / x)
    if n == -1:
        out = (x - 0.5) * log - y + y * np.log(x + y)
        return out + sum(b / (2 * k * (2 * k - 1)) * _power_step(x, y, 2.0 * k - 1) for k, b in _numbered())
    sign = (-1.0) ** (n + 1)
    first = log if n == 0 else sign * math.factorial(n - 1) * _power_step(x, y, float(n))
    out = first + sign * math.factorial(n) / 2 * _power_step(x, y, n + 1.0)
    rest = (b * math.factorial(2 * k + n - 1) / math.factorial(2 * k) * _power_step(x, y, 2.0 * k + n)
            for k, b in _numbered())  # fmt: skip
    return out + sign * sum(rest)


def _numbered() -> Any:
    return enumerate(_BERNOULLI, 1)


polygamma_step = elementwise(
    "polygamma_step", "x y", _polygamma_step,
    {"x": lambda x, y, *, n: polygamma_step(x, y, n=n + 1), "y": lambda x, y, *, n: polygamma(x + y, n=n + 1)},
    on_complex=only_real("polygamma_step"), text="polygamma_step($n, $x, $y)",
    latex=r"\psi^{($n)}($x + $y) - \psi^{($n)}($x)",
    doc="The difference of polygamma between x and x + y, without cancellation where both are positive.",
    samples=(dict(at=(1.5, 2.0), n=0), dict(at=(20.0, 1e-6), n=0), dict(at=(0.25, 3.0), n=1)),
    undefined={"x or x + y = 0, -1, -2, …": "a pole, whose sides differ or which is infinite"},
    source="Note [Differences of polygamma]", tolerance=8.0, slope_tolerance=16.0,
    tolerance_reason="a sum of some 25 terms",
)  # fmt: skip


@in_double
def _betaln(x: Any, y: Any) -> Any:
    """ln Γ(small) - (ln Γ(small + large) - ln Γ(large)); where one is not positive SciPy's value."""
    import scipy.special

    large, small = np.maximum(x, y), np.minimum(x, y)
    positive = (small > 0) & np.isfinite(large)
    at = np.where(positive, large, 1.0), np.where(positive, small, 1.0)
    near = scipy.special.gammaln(at[1]) - _polygamma_step(*at, n=-1)
    return np.where(positive, near, scipy.special.betaln(x, y))


betaln = elementwise(
    "betaln", "x y", _betaln,
    {"x": lambda x, y: -polygamma_step(x, y, n=0), "y": lambda x, y: -polygamma_step(y, x, n=0)},
    commutative=True, on_complex=only_real("betaln"), latex=r"\ln B($x, $y)", doc="ln of the beta function.",
    samples=((1.5, 2.0), (20.0, 0.25), (1e6, 1e-3)), source="DLMF 5.12.1", tolerance=128.0, slope_tolerance=8.0,
    undefined={"x or y = 0, -1, -2, …": "a pole, whose sides differ or which is infinite"},
    tolerance_reason="two large arguments: the logarithms of their gamma functions cancel (30 ulp at 10⁶), and near 0",
)  # fmt: skip


# --- incomplete gamma, zeta ----------------------------------------------------------------------------


def _stirling(a: Any) -> Any:
    """ln Γ(a) minus Stirling's formula (DLMF 5.11.1), for a >= 100."""
    return sum(b / (2 * k * (2 * k - 1)) * a ** (1.0 - 2 * k) for k, b in enumerate(_BERNOULLI[:5], 1))


def _product_error(a: Any, b: Any) -> Any:
    """a·b minus its rounded value, exactly (T. J. Dekker, 1971)."""
    (a1, a2), (b1, b2) = _halves(a), _halves(b)
    return ((a1 * b1 - a * b) + a1 * b2 + a2 * b1) + a2 * b2


def _sum_error(a: Any, b: Any) -> Any:
    """a + b minus its rounded value, exactly (D. E. Knuth, 1969)."""
    s = a + b
    t = s - a
    return (a - (s - t)) + (b - t)


def _halves(a: Any) -> tuple[Any, Any]:
    t = 134217729.0 * a
    high = t - (t - a)
    return high, a - high


@in_double
def _gamma_density(a: Any, x: Any) -> Any:
    """xᵃ⁻¹e⁻ˣ/Γ(a); from a = 100 on as (x/a)ᵃ eᵃ⁻ˣ·√(a/2π)/x, where Γ(a) overflows."""
    import scipy.special

    big = a >= 100.0
    b = np.where(big, 1.0, a)
    power = np.where((b < 0.5) & (x > 0), x**b / x, x ** (b - 1.0))  # b - 1 is exact from ½ on
    half = x ** (0.5 * (b - 1.0)) * np.exp(-0.5 * x)  # e⁻ˣ underflows before the product does
    small = np.where(x < 600.0, power * np.exp(-x), half * half) * scipy.special.rgamma(b)
    out = np.where(big & (x > 0), _density_of_large(np.where(big, a, 100.0), x), np.where(big, 0.0, small))
    return np.where(x < 0, np.nan, np.where(np.isposinf(x), 0.0, out))


def _density_of_large(a: Any, x: Any) -> Any:
    """The errors of the rounded x/a and a - x are made good: the first would count a times."""
    q = x / a
    rest = ((x - q * a) - _product_error(q, a)) / q + _sum_error(a, -x)
    # in 2ᵏ equal parts, so that neither factor over- or underflows; a/2ᵏ is exact
    parts = np.exp2(np.ceil(np.log2(np.maximum(2.0, a * np.abs(np.log(q)) / 600.0))))
    part = q ** (a / parts) * np.exp((a - x) / parts)
    return part**parts * np.exp(rest) * np.sqrt(a / (2.0 * math.pi)) / x * np.exp(-_stirling(a))


def _density_slope(order: Any, x: Any, out: Any) -> Any:
    at_0 = gamma_density(order - 1.0, x) - gamma_density(order, x)
    return where(x == 0, at_0, out * (((order - 1.0) - x) / x))


_LEFT = {"x < 0": "for x >= 0 only: NaN", "order < 0": "for a positive order only: NaN"}

gamma_density = elementwise(
    "gamma_density", "order x", _gamma_density, {"x": lambda order, x, out: _density_slope(order, x, out)},
    on_complex=only_real("gamma_density"), text="$x**($order - 1)*exp(-$x)/gamma($order)",
    latex=r"\frac{$x^{$order - 1} e^{-$x}}{\Gamma($order)}",
    doc="Density of the gamma distribution of this order.",
    samples=((2.0, 1.5), (0.5, 0.25), (30.0, 20.0), (200.0, 180.0)), source="product rule",
    undefined={"x < 0": "for x >= 0 only: NaN"}, tolerance=8.0, slope_tolerance=8.0,
    tolerance_reason="a product of four rounded factors, two of them squared",
)  # fmt: skip
_INCOMPLETE = "SciPy's series and continued fractions; the slope is right to 8 ulp"
gammainc = elementwise(
    "gammainc", "order x", from_scipy("gammainc"), {"x": lambda order, x: gamma_density(order, x)},
    on_complex=only_real("gammainc"), latex="P($order, $x)",
    doc="Regularised lower incomplete gamma function; its derivative in the order is refused.",
    samples=((2.0, 1.5), (0.5, 0.25), (30.0, 20.0)), source="DLMF 8.8.13", undefined=_LEFT,
    tolerance=512.0, slope_tolerance=8.0, tolerance_reason=_INCOMPLETE,
)  # fmt: skip
gammaincc = elementwise(
    "gammaincc", "order x", from_scipy("gammaincc"), {"x": lambda order, x: -gamma_density(order, x)},
    on_complex=only_real("gammaincc"), latex="Q($order, $x)",
    doc="Regularised upper incomplete gamma function; its derivative in the order is refused.",
    samples=((2.0, 1.5), (0.5, 0.25), (30.0, 20.0)), source="DLMF 8.8.14", undefined=_LEFT,
    tolerance=512.0, slope_tolerance=8.0, tolerance_reason=_INCOMPLETE,
)  # fmt: skip
zeta = elementwise(
    "zeta", "order x", from_scipy("zeta"),
    {"x": lambda order, x: where(order <= 1.0, NAN, -order * zeta(order + 1.0, x))},
    on_complex=only_real("zeta"), latex=r"\zeta($order, $x)",
    doc="Hurwitz zeta function Σ (k + x)^(-order); its derivative in the order is refused."
    " Left of 0 it takes |x| steps.",
    samples=((2.0, 1.5), (3.5, 0.25), (2.0, 20.0)), source="DLMF 25.11.17",
    undefined={"order <= 1": "the sum diverges: NaN", "x < 0": "only whole orders have a real value there"},
    tolerance=12.0, slope_tolerance=12.0, tolerance_reason="SciPy's sum is up to 10 ulp off",
)  # fmt: skip
