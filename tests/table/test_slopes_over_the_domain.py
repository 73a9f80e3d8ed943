"""First derivatives of elementwise entries over their whole domain, against mpmath, in units of the last place.

Points: dense and random, logarithmic up to the tails, beside the edges of the domain, beside kinks, and beside the
zeros of value and slope, which are searched for. `--hypothesis-profile=long` takes twenty times as many.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from exact import CAP, SLOPES, WITHOUT_ROW, Terms
from hypothesis import settings

import chainrule as cr
from chainrule.dispatch import bind
from chainrule.table import TABLE
from chainrule.table.formula import fold
from chainrule.table.primitive import Partials, Primitive, nondifferentiable, partials_of
from chainrule.tape import kernels, numbers
from chainrule.testing.samples import cases

EPS, SMALLEST = 2.0**-52, 2.0**-1022
MANY = 20 if settings.default.max_examples > 50 else 1
ENTRIES = [p for p in TABLE.values() if p.kind == "elementwise" and isinstance(p.rule, Partials)]
ENTRIES = [p for p in ENTRIES if p.name not in WITHOUT_ROW]


def parameters(p: Primitive) -> list[dict[str, Any]]:
    """The different parameters among the samples."""
    found: list[dict[str, Any]] = []
    for c in cases(p):
        if c.params not in found:
            found.append(c.params)
    return found


# --- points --------------------------------------------------------------------------------------


def line(lo: float, hi: float, cap: float, rng: np.random.Generator, n: int) -> np.ndarray:
    """Points of an interval, everywhere and of every size, and beside its edges."""
    size = 10.0 ** rng.uniform(-300, math.log10(cap), n)
    middle = 10.0 ** rng.uniform(-9, min(9, math.log10(cap)), n)
    dense = rng.uniform(max(lo, -min(cap, 30.0)), min(hi, min(cap, 30.0)), 2 * n)
    unit = rng.uniform(max(lo, -3.0), min(hi, 3.0), 2 * n)
    whole = np.arange(-4.0, 5.0)
    beside = 2.0 ** -rng.integers(1, 53, n).astype(float)
    edges = [e + s * beside * max(1.0, abs(e)) for e in (lo, hi) if math.isfinite(e) for s in (-1, 1)]
    near = [whole[:, None] * (1 + s * 2.0 ** -np.arange(4.0, 53.0, 6.0)) for s in (-1, 1)]
    parts = [size, -size, middle, -middle, dense, unit, *edges, *(v.ravel() for v in near)]
    x = np.concatenate(parts)
    return np.unique(x[(x > lo) & (x < hi) & (np.abs(x) <= cap)])


def plane(p: Primitive, rng: np.random.Generator, n: int) -> list[np.ndarray]:
    """Tuples of points: independent ones, ones of every size, and ones that are nearly equal or opposite."""
    k, cap = len(p.inputs), CAP.get(p.name, 1e300)
    reach = min(cap, 20.0)
    dense = [rng.uniform(-reach, reach, n) for _ in range(k)]
    small = [rng.uniform(-2, 2, n) for _ in range(k)]
    sized = [rng.choice((-1, 1), n) * 10.0 ** rng.uniform(-12, min(12, math.log10(cap)), n) for _ in range(k)]
    near = [small[0] * rng.choice((-1, 1), n) * (1 + j * 2.0 ** -rng.integers(2, 52, n)) for j in range(k)]
    whole = [rng.integers(-5, 6, n).astype(float) for _ in range(k)]
    mixed = [whole[0], *small[1:]]
    mixed_too = [*small[:-1], whole[-1]]
    found = [np.concatenate(v) for v in zip(dense, small, sized, near, mixed, mixed_too, strict=True)]
    inside = np.ones(found[0].shape, bool)
    for x, (lo, hi) in zip(found, p.domain, strict=False):
        inside &= (x > lo) & (x < hi)
    return [x[inside] for x in found]


def points(p: Primitive, params: dict[str, Any]) -> list[np.ndarray]:
    rng, n = np.random.default_rng(7), 16 * MANY
    if p.inputs[0] == "condition":
        values = [rng.normal(size=n) for _ in p.inputs[1:]]
        return [rng.random(n) < 0.5, *values]
    if len(p.inputs) > 1:
        return plane(p, rng, n)
    lo, hi = p.domain[0] if p.domain else (-math.inf, math.inf)
    cap = CAP.get(p.name, 1e300)
    x = line(lo, hi, cap, rng, n)
    return [np.unique(np.concatenate([x, *beside_zeros(p, params, lo, hi, cap)]))]


def beside_zeros(
    p: Primitive, params: dict[str, Any], lo: float, hi: float, cap: float
) -> Iterator[np.ndarray]:
    """Points around the zeros of value and slope, found by bisection of changes of sign."""
    grid = np.linspace(max(lo, -min(cap, 12.0)), min(hi, min(cap, 12.0)), 487)[1:-1]

    def value(x: Any) -> Any:
        with np.errstate(all="ignore"):
            return p.value(x, **params)

    for f in (value, lambda x: slopes(p, [x], params)[0]):
        y = np.broadcast_to(f(grid), grid.shape)
        (at,) = np.nonzero((np.sign(y[1:]) * np.sign(y[:-1]) < 0) & (np.abs(y[1:]) < 1e3))
        for a, b in zip(grid[at][:6], grid[at + 1][:6], strict=True):
            for _ in range(60):
                middle = 0.5 * (a + b)
                a, b = (
                    (middle, b)
                    if np.sign(f(np.array([middle])))[0] == np.sign(f(np.array([a])))[0]
                    else (a, middle)
                )
            yield a + abs(a) * np.concatenate([s * 2.0 ** -np.arange(2.0, 54.0, 5.0) for s in (-1, 1)])


# --- ours and the truth --------------------------------------------------------------------------


def slopes(p: Primitive, args: list[np.ndarray], params: dict[str, Any]) -> list[np.ndarray]:
    """The partials of the entry, folded with NumPy."""
    with np.errstate(all="ignore"):
        env = {**dict(zip(p.inputs, args, strict=True)), "out": p.value(*args, **params)}
        return [fold(f, env, params, numbers.emit) for f in partials_of(p).values()]


def certain(f: Callable[..., Any], args: tuple[float, ...], params: dict[str, Any]) -> tuple[Any, Any] | None:
    """f at `args` to 25 digits, and the sum of the magnitudes of its terms; None where it has no value."""
    last = None
    for digits in (40, 80, 160, 320, 640, 1280):
        with mp.workdps(digits):
            try:
                got = f(*(a if isinstance(a, bool) else mp.mpf(a) for a in args), **params)
                terms = got if isinstance(got, Terms) else (got,)
                value, size = mp.fsum(terms), mp.fsum(terms, absolute=True)
            except (ZeroDivisionError, ValueError, OverflowError):
                return None
            if not isinstance(value, mp.mpf) or not mp.isfinite(value):
                return None
            if last is not None and abs(value - last) <= abs(value) * mp.mpf(10) ** -25:
                return value, size
            last = value
    raise AssertionError(f"mpmath does not settle at {args}")


def ulps(got: float, true: Any) -> float:
    """Distance in units of the last place of `true`. Gradual underflow is not asked for: below 2⁻¹⁰²² all is 0."""
    if math.isnan(got):
        return math.inf
    if abs(true) < SMALLEST and abs(got) <= SMALLEST:
        return 0.0
    nearest = float(true)
    if math.isinf(nearest) or math.isinf(got):
        return 0.0 if got == nearest else math.inf
    return float(abs(mp.mpf(got) - true) / mp.mpf(math.ulp(nearest)))


def excess(got: float, true: Any, size: Any) -> float:
    """Error in ulp; within 4 eps of the terms' magnitudes it counts as none where they cancel (near a zero)."""
    if 2 * abs(true) < size and abs(mp.mpf(got) - true) <= 4 * EPS * size:
        return 0.0
    return ulps(got, true)


def worst(
    p: Primitive, make: Callable[..., list[np.ndarray]] = slopes
) -> dict[str, tuple[float, Any, float, str]]:
    """For each input, the largest error of its partial: (ulp, where, ours, right)."""
    found: dict[str, tuple[float, Any, float, str]] = {}
    for params in parameters(p):
        args = points(p, params)
        names = [i for i in p.inputs if i not in nondifferentiable(p)]
        for name, f, ours in zip(names, SLOPES[p.name], make(p, args, params), strict=True):
            for at in zip(
                *(np.asarray(a).tolist() for a in (*args, np.broadcast_to(ours, args[0].shape))), strict=True
            ):
                truth = certain(f, at[:-1], params)
                if truth is None:
                    continue
                e = excess(at[-1], *truth)
                if e > found.get(name, (-1.0,))[0]:
                    found[name] = (e, (*at[:-1], params), at[-1], mp.nstr(truth[0], 20))
    return found


def by_floats(p: Primitive, args: list[np.ndarray], params: dict[str, Any]) -> list[np.ndarray]:
    """The gradient of Python floats: other functions than NumPy's compute it."""
    ks = tuple(k for k, i in enumerate(p.inputs) if i not in nondifferentiable(p))
    gradient = cr.grad(lambda *xs: bind(p, *xs, **params), ks)
    rows = [gradient(*at) for at in zip(*(a.tolist() for a in args), strict=True)]
    return [np.array([float(g) for g in column]) for column in zip(*rows, strict=True)]


def by_arrays(p: Primitive, args: list[np.ndarray], params: dict[str, Any]) -> list[np.ndarray]:
    """`backward` of arrays: of large ones, which compiled loops may compute, if LEAST is small."""
    xs = [cr.tensor(a, requires_grad=a.dtype == float) for a in args]
    bind(p, *xs, **params).sum().backward()
    return [x.grad.numpy() for x, i in zip(xs, p.inputs, strict=True) if i not in nondifferentiable(p)]


@pytest.mark.parametrize("p", ENTRIES, ids=lambda p: p.name)
def test_slope_is_right_to_the_last_digits_everywhere(p):
    check(p)


@pytest.mark.parametrize("p", [p for p in ENTRIES if p.name in kernels.QUICKER], ids=lambda p: p.name)
def test_compiled_slope_of_large_arrays_is_right_to_the_last_digits(p, monkeypatch):
    pytest.importorskip("llvmlite")
    monkeypatch.setattr(kernels, "LEAST", 1)
    check(p, by_arrays)


@pytest.mark.parametrize("p", [p for p in ENTRIES if p.scalar], ids=lambda p: p.name)
def test_slope_of_python_floats_is_right_to_the_last_digits(p):
    check(p, by_floats)


def check(p: Primitive, make: Callable[..., list[np.ndarray]] = slopes) -> None:
    assert p.name in SLOPES, f"exact.py lacks the derivatives of {p.name} in mpmath"
    found = worst(p, make)
    assert found, "no point has a derivative"
    for name, (error, at, got, true) in found.items():
        assert error <= p.slope_tolerance, f"∂/∂{name} at {at}: {got!r}, not {true}: {error:.3g} ulp"


# --- the check can fail --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, rule",
    [
        ("exp", {"x": lambda out: out * (1 + 12 * EPS)}),
        ("tanh", {"x": lambda out: 1.0 - out * out}),  # PyTorch's: nothing is left in the tail
        ("sigmoid", {"x": lambda out: out * (1.0 - out)}),
        ("expm1", {"x": lambda out: out + 1.0}),
        ("atanh", {"x": lambda x: 1.0 / (1.0 - x * x)}),  # loses what is near 1
    ],
)
def test_a_rule_that_loses_digits_is_caught(name, rule):
    with pytest.raises(AssertionError, match="ulp"):
        check(dataclasses.replace(TABLE[name], rule=Partials(rule)))


@pytest.mark.parametrize("make", [by_floats, by_arrays])
def test_the_ways_of_tensors_are_checked_too(make, monkeypatch):
    monkeypatch.setattr(kernels, "LEAST", 1)
    p = dataclasses.replace(TABLE["exp"], rule=Partials({"x": lambda out: out * (1 + 12 * EPS)}))
    with pytest.raises(AssertionError, match="ulp"):
        check(p, make)
