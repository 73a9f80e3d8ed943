"""Along one dimension: running sums, products and extremes, differences, trapezoids, slopes on a grid."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate
from scipy.special import logsumexp

import chainrule as cr
from chainrule.errors import ArgumentError, DtypeError, ShapeError
from chainrule.table import TABLE

A = np.array([[1.5, -2.0, 0.25], [0.5, 3.0, -1.0]])


def gradient_of(f, x):
    return np.asarray(cr.grad(lambda v: f(v).sum())(np.array(x)))


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_running_sums_and_products_are_numpys(dim):
    np.testing.assert_array_equal(cr.cumsum(cr.tensor(A), dim), np.cumsum(A, dim))
    np.testing.assert_array_equal(cr.cumprod(cr.tensor(A), dim), np.cumprod(A, dim))


def test_running_logsumexp_is_that_of_each_beginning():
    x = np.array([3.0, -700.0, 1000.0, 999.0, -np.inf])
    expected = [logsumexp(x[: k + 1]) for k in range(5)]
    np.testing.assert_allclose(np.asarray(cr.logcumsumexp(cr.tensor(x), 0)), expected, rtol=1e-15)


def test_slope_of_running_logsumexp_is_the_softmax_of_each_beginning():
    x = np.array([0.3, -1.0, 2.0, 1.5])
    jacobian = np.zeros((4, 4))
    for k in range(4):
        jacobian[k, : k + 1] = np.exp(x[: k + 1]) / np.exp(x[: k + 1]).sum()
    np.testing.assert_allclose(
        np.asarray(cr.jacobian(lambda v: cr.logcumsumexp(v, 0), x)), jacobian, rtol=1e-14
    )


def test_running_extremes_keep_the_last_of_equal_entries_and_a_nan():
    found = cr.cummax(cr.tensor([1.0, 3.0, 3.0, 2.0, np.nan, 5.0]), 0)
    np.testing.assert_array_equal(found.values, [1.0, 3.0, 3.0, 3.0, np.nan, np.nan])
    np.testing.assert_array_equal(found.indices, [0, 1, 2, 2, 4, 4])
    assert cr.cummin(cr.tensor([2.0, 1.0, 4.0]), 0).indices.tolist() == [0, 1, 1]


def test_a_running_maximum_gives_its_gradient_to_the_entry_it_shows():
    assert gradient_of(lambda v: cr.cummax(v, 0).values, [1.0, 3.0, 2.0, 4.0]).tolist() == [
        1.0,
        2.0,
        0.0,
        1.0,
    ]


def products_by_hand(x):
    """Gradient and Hessian of the sum of all beginnings' products, as sums over subsets: no division."""
    n = len(x)
    g, h = np.zeros(n), np.zeros((n, n))
    for k in range(1, n + 1):
        for i in range(k):
            g[i] += math.prod(x[j] for j in range(k) if j != i)
            for m in range(k):
                if m != i:
                    h[i, m] += math.prod(x[j] for j in range(k) if j not in (i, m))
    return g, h


@pytest.mark.parametrize("x", [[2.0, 0.0, 3.0, 0.5], [0.0, 0.0, 1.5, 2.0], [1.5, -2.0, 0.5, 3.0]], ids=str)
def test_slopes_of_running_products_are_right_with_zeros_in_both_orders(x):
    g, h = products_by_hand(x)
    f = lambda v: cr.cumprod(v, 0).sum()
    np.testing.assert_allclose(np.asarray(cr.grad(f)(np.array(x))), g, rtol=1e-14)
    np.testing.assert_allclose(np.asarray(cr.hessian(f)(np.array(x))), h, rtol=1e-14)


# --- the linear recurrence --------------------------------------------------------------------------


def recurrence_by_hand(a, b):
    y = [b[0]]
    for i in range(1, len(b)):
        y.append(a[i] * y[-1] + b[i])
    return np.array(y)


FACTORS = {
    "ordinary": lambda rng, n: (rng.normal(size=n), rng.normal(size=n)),
    "with zeros": lambda rng, n: (rng.normal(size=n) * (rng.random(n) < 0.98), rng.normal(size=n)),
    "products overflow": lambda rng, n: (
        np.where(np.arange(n) == n // 2, 0.0, 1e3 * rng.normal(size=n)),
        np.where(np.arange(n) < n // 2, 0.0, rng.normal(size=n)),
    ),
    "products underflow": lambda rng, n: (1e-8 * rng.normal(size=n), rng.normal(size=n)),
}


@pytest.mark.parametrize("kind", FACTORS)
@pytest.mark.parametrize("n", [1, 2, 1023, 1024, 1500, 5000])
def test_a_long_recurrence_cut_into_rows_is_the_one_step_by_step(kind, n):
    """A row's end is found by another order of the same sums and products: some hundred roundings of 1e-16."""
    a, b = FACTORS[kind](np.random.default_rng(n), n)
    value = TABLE["linear_recurrence"].value
    with np.errstate(all="ignore"):
        forward, backward = recurrence_by_hand(a, b), recurrence_by_hand(a[::-1], b[::-1])[::-1]
        np.testing.assert_allclose(value(a, b, axis=0, reverse=False), forward, rtol=1e-11)
        np.testing.assert_allclose(value(a, b, axis=0, reverse=True), backward, rtol=1e-11)


def test_a_recurrence_runs_along_any_axis():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0.5, 1.5, (2, 3, 2000))
    got = TABLE["linear_recurrence"].value(a, b, axis=1, reverse=False)
    np.testing.assert_allclose(got, [recurrence_by_hand(*r) for r in zip(a, b, strict=True)], rtol=1e-11)
    got = TABLE["linear_recurrence"].value(a.T, b.T, axis=0, reverse=True)
    expected = [recurrence_by_hand(p[::-1], q[::-1])[::-1] for p, q in zip(a, b, strict=True)]
    np.testing.assert_allclose(got.T, expected, rtol=1e-11)


# --- differences and areas --------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("dim", [0, -1])
def test_differences_are_numpys(n, dim):
    x, more = np.random.default_rng(0).normal(size=(4, 4)), np.ones((4, 4))
    np.testing.assert_array_equal(cr.diff(cr.tensor(x), n, dim), np.diff(x, n, dim))
    got = cr.diff(cr.tensor(x), n, dim, prepend=cr.tensor(more), append=cr.tensor(2 * more))
    np.testing.assert_array_equal(got, np.diff(x, n, dim, more, 2 * more) if n else x)


def test_differences_of_truth_values_are_changes():
    assert cr.diff(cr.tensor([True, True, False])).tolist() == [False, True]


@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize("given", ["dx", "points", "points each"])
def test_areas_are_scipys(dim, given):
    y = np.random.default_rng(0).normal(size=(4, 5))
    x = np.sort(np.random.default_rng(1).normal(size=y.shape[dim] if given == "points" else y.shape), -1)
    ours = {"dx": 0.25} if given == "dx" else {"x": cr.tensor(x)}
    theirs = {"dx": 0.25} if given == "dx" else {"x": x}
    np.testing.assert_allclose(
        cr.trapezoid(cr.tensor(y), **ours, dim=dim), integrate.trapezoid(y, **theirs, axis=dim), rtol=1e-13
    )
    np.testing.assert_allclose(
        cr.cumulative_trapezoid(cr.tensor(y), **ours, dim=dim),
        integrate.cumulative_trapezoid(y, **theirs, axis=dim),
        rtol=1e-12,
    )


def test_an_area_has_a_slope_in_the_points_too():
    """∂/∂x of Σ (yᵢ + yᵢ₊₁)/2 (xᵢ₊₁ - xᵢ)."""
    y, x = np.array([1.0, 3.0, 2.0]), np.array([0.0, 1.0, 3.0])
    got = cr.grad(lambda v: cr.trapezoid(cr.tensor(y), v))(x)
    np.testing.assert_allclose(np.asarray(got), [-2.0, -0.5, 2.5])


@pytest.mark.parametrize("edge_order", [1, 2])
@pytest.mark.parametrize("coordinates", [False, True])
def test_slopes_on_a_grid_are_numpys(edge_order, coordinates):
    f = np.random.default_rng(0).normal(size=(5, 6))
    grid = [np.cumsum(np.random.default_rng(k).uniform(0.5, 2.0, n)) for k, n in enumerate(f.shape)]
    expected = np.gradient(f, *(grid if coordinates else (0.5, 2.0)), edge_order=edge_order)
    spacing = [cr.tensor(g) for g in grid] if coordinates else [0.5, 2.0]
    got = cr.gradient(cr.tensor(f), spacing=spacing, edge_order=edge_order)
    for g, e in zip(got, expected, strict=True):
        np.testing.assert_allclose(np.asarray(g), e, rtol=1e-12)
    one = cr.gradient(cr.tensor(f), spacing=0.5, dim=-1, edge_order=edge_order)
    np.testing.assert_allclose(
        np.asarray(one[0]), np.gradient(f, 0.5, axis=-1, edge_order=edge_order), rtol=1e-12
    )


@given(st.integers(2, 9), st.booleans())
def test_the_gradient_of_slopes_is_their_transpose(n, whole):
    """Slopes are linear: the gradient of ⟨c, slopes(f)⟩ is Σ cᵢ times row i of the matrix."""
    f, c = np.arange(float(n)) ** 2, np.cos(np.arange(float(n)))
    matrix = np.stack([np.gradient(row) for row in np.eye(n)])  # of unit vectors
    got = cr.grad(lambda v: (cr.gradient(v)[0] * c).sum())(f)
    np.testing.assert_allclose(np.asarray(got), matrix @ c, atol=1e-14)


# --- what is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, error",
    [
        (lambda x: cr.logcumsumexp(x.long(), 0), DtypeError),
        (lambda x: cr.diff(x, -1), ArgumentError),
        (lambda x: cr.diff(cr.tensor(1.0)), ArgumentError),
        (lambda x: cr.trapezoid(x, x, dx=1.0), ArgumentError),
        (lambda x: cr.trapezoid(x, cr.ones(2)), ShapeError),
        (lambda x: cr.gradient(x, edge_order=3), ArgumentError),
        (lambda x: cr.gradient(x, edge_order=2, dim=0), ArgumentError),
        (lambda x: cr.gradient(x, spacing=[1.0]), ArgumentError),
    ],
)
def test_wrong_use_is_refused_with_a_way_out(call, error):
    with pytest.raises(error) as info:
        call(cr.tensor(A))
    assert info.value.fix


@pytest.mark.parametrize("name", ["cumsum", "cumprod", "logcumsumexp", "cummax", "cummin"])
def test_scans_take_numbers_and_nothing(name):
    f = getattr(cr, name)
    for x in (cr.tensor(2.0), cr.zeros(0), cr.zeros(0, 3)):
        found = f(x, 0)
        values = found.values if isinstance(found, tuple) else found
        assert values.shape == x.shape
        assert values.tolist() == x.tolist()


def test_small_whole_numbers_are_summed_and_multiplied_in_int64():
    for f, dtype in itertools.product((cr.cumsum, cr.cumprod), (cr.bool, cr.uint8, cr.int32)):
        assert f(cr.tensor([1, 0, 1]).to(dtype), 0).dtype == cr.int64
