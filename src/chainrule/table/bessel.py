"""Bessel functions of whole orders, and the modified ones, with and without their growth."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.table.blocks import row_by_row
from chainrule.table.primitive import elementwise
from chainrule.table.scipy_values import from_scipy, in_double, only_real

# --- J -------------------------------------------------------------------------------------------------

_FAR = 25.0


def _hankel(x: Any, n: int) -> Any:
    """J of order n for large x > 0 (DLMF 10.17.3); the phase from sin x and cos x: x - π/4 would be rounded."""
    p, q, term = np.ones_like(x), np.zeros_like(x), np.ones_like(x)
    for k in range(1, 25):
        term = term * ((4.0 * n * n - (2 * k - 1) ** 2) / (8.0 * k)) / x
        if k % 2:
            q = q + (term if k % 4 == 1 else -term)
        else:
            p = p + (term if k % 4 == 0 else -term)
    s, c = np.sin(x), np.cos(x)
    cosine, sine = c + s, s - c  # of x - π/4, times √2
    for _ in range(n % 4):
        cosine, sine = sine, -cosine
    return (p * cosine - q * sine) / np.sqrt(math.pi * x)


def _j_series(x: Any, n: int) -> Any:
    """J of order n for small x (DLMF 10.2.2)."""
    out, term = np.zeros_like(x), (0.5 * x) ** n / math.factorial(n)
    for k in range(1, 16):
        out, term = out + term, -term * np.square(0.5 * x) / (k * (n + k))
    return out


def _bessel_j(x: Any, n: int) -> Any:
    import scipy.special

    if n < 0:
        return (-1.0) ** n * _bessel_j(x, -n)
    r = np.abs(x)
    far = (r > _FAR + n * n) & np.isfinite(r)
    if n < 2:
        near = (scipy.special.j0, scipy.special.j1)[n](np.where(far, 1.0, r))
    else:
        near = np.where(r < 2.0, _j_series(np.minimum(r, 2.0), n), scipy.special.jv(n, np.where(far, 1.0, r)))
    out = np.where(far, _hankel(np.where(far, r, 100.0 + n * n), n), near)
    return np.where(np.isinf(r), 0.0, out) * np.where((x < 0) & (n % 2 == 1), -1.0, 1.0)


_AMPLITUDE = "SciPy's polynomials are up to 6 ulp of the amplitude √(2/πx) off"

bessel_j = elementwise(
    "bessel_j", "x", in_double(lambda x, *, n: _bessel_j(x, n)),
    {"x": lambda x, *, n: 0.5 * (bessel_j(x, n=n - 1) - bessel_j(x, n=n + 1))},
    bounded=True, on_complex=only_real("bessel_j"), text="bessel_j($n, $x)", latex="J_{$n}($x)",
    doc="Bessel function of the first kind, of a whole order.",
    samples=(dict(at=(1.5,), n=2), dict(at=(0.0,), n=2), dict(at=(-20.0,), n=3), dict(at=(100.0,), n=2)),
    source="DLMF 10.6.1", tolerance=8.0, slope_tolerance=8.0, tolerance_reason=_AMPLITUDE,
)  # fmt: skip
bessel_j0 = elementwise(
    "bessel_j0", "x", in_double(lambda x: _bessel_j(x, 0)), {"x": lambda x: -bessel_j1(x)},
    bounded=True, even=True, on_complex=only_real("bessel_j0"), latex="J_0($x)",
    doc="Bessel function of the first kind, of order 0.",
    samples=((1.5,), (0.0,), (-20.0,), (100.0,)), source="DLMF 10.6.3",
    tolerance=8.0, slope_tolerance=8.0, tolerance_reason=_AMPLITUDE,
)  # fmt: skip
bessel_j1 = elementwise(
    "bessel_j1", "x", in_double(lambda x: _bessel_j(x, 1)), {"x": lambda x: 0.5 * (bessel_j0(x) - bessel_j(x, n=2))},
    bounded=True, on_complex=only_real("bessel_j1"), latex="J_1($x)",
    doc="Bessel function of the first kind, of order 1.",
    samples=((1.5,), (0.0,), (-20.0,), (100.0,)), source="DLMF 10.6.1",
    tolerance=8.0, slope_tolerance=8.0, tolerance_reason=_AMPLITUDE,
)  # fmt: skip


# --- I -------------------------------------------------------------------------------------------------

_CHEBYSHEV = "SciPy's polynomials and series are up to 7 ulp off"


def _bessel_i(x: Any, *, n: int) -> Any:
    return from_scipy("iv")(abs(n), x)


bessel_i = elementwise(
    "bessel_i", "x", in_double(_bessel_i), {"x": lambda x, *, n: 0.5 * (bessel_i(x, n=n - 1) + bessel_i(x, n=n + 1))},
    on_complex=only_real("bessel_i"), text="bessel_i($n, $x)", latex="I_{$n}($x)",
    doc="Modified Bessel function of the first kind, of a whole order.",
    samples=(dict(at=(1.5,), n=2), dict(at=(0.0,), n=2), dict(at=(-20.0,), n=3)),
    source="DLMF 10.29.1", tolerance=8.0, slope_tolerance=8.0, tolerance_reason=_CHEBYSHEV,
)  # fmt: skip
i0 = elementwise(
    "i0", "x", from_scipy("i0"), {"x": lambda x: i1(x)},
    even=True, on_complex=only_real("i0"), latex="I_0($x)",
    doc="Modified Bessel function of the first kind, of order 0.",
    samples=((1.5,), (0.0,), (-20.0,)), source="DLMF 10.29.3",
    tolerance=8.0, slope_tolerance=8.0, tolerance_reason=_CHEBYSHEV,
)  # fmt: skip
i1 = elementwise(
    "i1", "x", from_scipy("i1"), {"x": lambda x: 0.5 * (i0(x) + bessel_i(x, n=2))},
    monotone=True, on_complex=only_real("i1"), latex="I_1($x)",
    doc="Modified Bessel function of the first kind, of order 1.",
    samples=((1.5,), (0.0,), (-20.0,)), source="DLMF 10.29.1: (I₀ + I₂)/2, which does not cancel as I₀ - I₁/x does",
    tolerance=8.0, slope_tolerance=8.0, tolerance_reason=_CHEBYSHEV,
)  # fmt: skip

# Note [Tilted integrals]
# e^(-x)·I₀(x) has the slope e^(-x)(I₁ - I₀), which cancels for large x, and every further order more so. But right of 0
# e^(-x)·I₀ = 1/π ∫₀^π e^(-x(1 - cos t)) dt (DLMF 10.32.3), whose n-th derivative has the factor (-(1 - cos t))ⁿ, of one
# sign; e^(-x)·I₁ has the factor cos t besides. The midpoint rule with 64 points is exact to rounding up to x = 30
# (the integrand is periodic); beyond, Laplace's series G(x) = 2ⁿΓ(n + ½)/π·(2x)^(-n-½)·Σ (½)ₛ(n + ½)ₛ/s!·(2x)⁻ˢ.

_POINTS = (np.arange(64) + 0.5) * (math.pi / 64)
_ONE_MINUS = 2.0 * np.square(np.sin(0.5 * _POINTS))


def _tilted_near(x: Any, n: int, with_cos: bool) -> Any:
    factor = _ONE_MINUS**n * (np.cos(_POINTS) if with_cos else 1.0)
    return np.sum(factor * np.exp(-x[..., None] * _ONE_MINUS), axis=-1) / 64


def _tilted_far(x: Any, n: int) -> Any:
    z, term, out = 2.0 * x, np.ones_like(x), np.ones_like(x)
    for s in range(30):
        term = term * ((s + 0.5) * (s + n + 0.5) / (s + 1)) / z
        out = out + term
    return 2.0**n * math.gamma(n + 0.5) / math.pi * z ** (-n - 0.5) * out


def _tilted(x: Any, *, n: int, with_cos: bool) -> Any:
    out, near = np.full(x.shape, np.nan), x <= 30.0
    out[near] = row_by_row(_tilted_near, x[near], n=n, with_cos=with_cos)
    far = x > 30.0
    out[far] = _tilted_far(x[far], n) - (_tilted_far(x[far], n + 1) if with_cos else 0.0)
    return out


@in_double
def _i0e_derivative(x: Any, *, n: int) -> Any:
    return np.sign(x) ** (n % 2) * (-1.0) ** n * _tilted(np.abs(x), n=n, with_cos=False)


@in_double
def _i1e_derivative(x: Any, *, n: int) -> Any:
    return np.sign(x) ** ((n + 1) % 2) * (-1.0) ** n * _tilted(np.abs(x), n=n, with_cos=True)


def _scaled(name: str, value: Any, **fields: Any) -> Any:
    slope = elementwise(
        f"{name}_derivative", "x", value, {"x": lambda x, *, n: slope(x, n=n + 1)},
        bounded=True, on_complex=only_real(name), text=f"{name}_derivative($n, $x)",
        latex=rf"\operatorname{{{name}}}^{{($n)}}($x)", doc=f"The n-th derivative of {name}.", kinks={"x = 0": _JUMP},
        samples=(dict(at=(1.5,), n=1), dict(at=(-20.0,), n=2), dict(at=(100.0,), n=1)),
        source="DLMF 10.32.3; Note [Tilted integrals]", tolerance=8.0, slope_tolerance=8.0,
        tolerance_reason="an integral as a sum of 64 terms; that of i1e cancels near its zero",
    )  # fmt: skip
    return elementwise(
        name, "x", from_scipy(name), {"x": lambda x: slope(x, n=1)}, bounded=True, on_complex=only_real(name),
        source="DLMF 10.32.3; Note [Tilted integrals]", tolerance=8.0, slope_tolerance=8.0,
        tolerance_reason=_CHEBYSHEV, **fields,
    )  # fmt: skip


_JUMP = "a derivative of odd order jumps where e^(-|x|) has its kink: 0, the middle, is used"
i0e = _scaled(
    "i0e", _i0e_derivative, even=True, latex="e^{-|$x|} I_0($x)", doc="e^(-|x|)·I₀(x).",
    samples=((1.5,), (-20.0,), (300.0,)),
    kinks={"x = 0": "concave: of the supergradients [-1, 1] the shortest, 0, is taken"},
)  # fmt: skip
i1e = _scaled(
    "i1e", _i1e_derivative, latex="e^{-|$x|} I_1($x)", doc="e^(-|x|)·I₁(x).",
    samples=((1.5,), (-20.0,), (300.0,)),
)  # fmt: skip
