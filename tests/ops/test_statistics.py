"""Means, deviations, medians, quantiles, counts and norms: values are NumPy's, slopes closed forms."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.special import log_softmax, softmax

import chainrule as cr
import chainrule.nn.functional as F
from chainrule.errors import ArgumentError, DtypeError, IndexingError

INF, NAN = math.inf, math.nan
A = np.array([[1.5, -2.0, 0.25], [0.5, 3.0, -1.0]])
WITH_NAN = np.array([[1.5, NAN, 0.25, 4.0], [0.5, 3.0, -1.0, NAN], [NAN, NAN, NAN, NAN]])
NUMBERS = arrays(np.float64, array_shapes(min_dims=1, max_dims=2, max_side=6), elements=st.floats(-5, 5))


def gradient_of(f, x):
    return np.asarray(cr.grad(lambda v: f(v).sum())(np.array(x)))


# --- NaN left out -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [None, 0, 1])
@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:All-NaN")
def test_sums_and_means_without_nan_are_numpys(dim):
    np.testing.assert_allclose(cr.nansum(cr.tensor(WITH_NAN), dim), np.nansum(WITH_NAN, dim))
    np.testing.assert_allclose(cr.nanmean(cr.tensor(WITH_NAN), dim), np.nanmean(WITH_NAN, dim))


def test_no_gradient_reaches_a_nan():
    x = WITH_NAN
    there = ~np.isnan(x)
    np.testing.assert_array_equal(gradient_of(cr.nansum, x), there.astype(float))
    np.testing.assert_allclose(gradient_of(cr.nanmean, x), there / there.sum())
    rows = gradient_of(lambda v: cr.nanmean(v, 1), x)
    np.testing.assert_allclose(rows[:2], there[:2] / there[:2].sum(1, keepdims=True))
    np.testing.assert_array_equal(rows[2], 0.0)
    np.testing.assert_array_equal(gradient_of(lambda v: cr.nansum(cr.log(v)), [NAN, 2.0]), [0.0, 0.5])


# --- medians and quantiles --------------------------------------------------------------------------


@given(NUMBERS)
def test_the_median_is_the_lower_middle_entry(x):
    n = x.shape[-1]
    values, places = cr.median(cr.tensor(x), -1)
    np.testing.assert_array_equal(values, np.sort(x, -1)[..., (n - 1) // 2])
    np.testing.assert_array_equal(np.take_along_axis(x, np.asarray(places)[..., None], -1)[..., 0], values)
    assert cr.median(cr.tensor(x)).item() == np.sort(x, None)[(x.size - 1) // 2]


def test_a_nan_is_the_median_unless_it_is_left_out():
    x = cr.tensor([[3.0, NAN, 1.0], [2.0, 5.0, 4.0], [NAN, NAN, NAN]])
    values, places = x.median(1)
    np.testing.assert_array_equal(values, [NAN, 4.0, NAN])
    assert places.tolist() == [1, 2, 0]
    np.testing.assert_array_equal(x.nanmedian(1).values, [1.0, 4.0, NAN])
    assert np.isnan(x.median().item())
    assert x.nanmedian().item() == 3.0
    assert np.isnan(cr.zeros(0).median().item())


def test_the_median_of_all_shares_the_gradient_and_along_a_dim_it_does_not():
    x = [1.0, 1.0, 3.0]
    assert gradient_of(lambda v: v.median(), x).tolist() == [0.5, 0.5, 0.0]
    assert sorted(gradient_of(lambda v: v.median(0).values, x).tolist()) == [0.0, 0.0, 1.0]


@pytest.mark.parametrize("method", ["linear", "lower", "higher", "nearest", "midpoint"])
@pytest.mark.parametrize("dim", [None, 0, 1])
@pytest.mark.parametrize("keep", [False, True])
def test_quantiles_are_numpys(method, dim, keep):
    x = np.random.default_rng(0).normal(size=(5, 8))
    for q in (0.0, 0.3, 1.0, np.array([0.25, 0.5, 0.9])):
        got = cr.quantile(cr.tensor(x), cr.tensor(q), dim, keep, interpolation=method)
        expected = np.quantile(x, q, dim, method=method, keepdims=keep)
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=1e-13)


def test_quantiles_without_nan_are_numpys():
    x = WITH_NAN[:2]
    got = cr.nanquantile(cr.tensor(x), cr.tensor([0.2, 0.5]), 1)
    np.testing.assert_allclose(got, np.nanquantile(x, [0.2, 0.5], 1), rtol=1e-14)
    assert np.isnan(cr.quantile(cr.tensor(x), 0.2).item())
    assert np.isnan(cr.nanquantile(cr.tensor([NAN, NAN]), 0.5).item())


def test_a_quantile_between_two_entries_has_their_shares_as_slopes_and_a_slope_in_q():
    """At q = 0.3 of 5 entries the rank is 1.2: 0.8 of the second, 0.2 of the third, slope 4·(difference) in q."""
    x = np.array([4.0, 0.0, 1.0, 9.0, 2.0])
    np.testing.assert_allclose(gradient_of(lambda v: cr.quantile(v, 0.3), x), [0, 0, 0.8, 0, 0.2], atol=1e-15)
    assert np.asarray(cr.grad(lambda q: cr.quantile(cr.tensor(x), q))(0.3)) == pytest.approx(4.0)


def test_infinite_entries_are_quantiles_too():
    assert cr.quantile(cr.tensor([INF, INF, 1.0]), 0.5).item() == INF


# --- spread -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [None, 0, (0, 1)])
def test_spread_with_mean_gives_both(dim):
    for name in ("var", "std"):
        spread, mean = getattr(cr, f"{name}_mean")(cr.tensor(A), dim, correction=0)
        np.testing.assert_allclose(spread, getattr(np, name)(A, dim))
        np.testing.assert_allclose(mean, np.mean(A, dim))
    assert cr.var_mean(cr.tensor(A), False)[0].item() == pytest.approx(np.var(A))


def test_variance_of_numbers_far_from_zero_keeps_its_digits():
    """Two passes: with Σx² - n·mean² nothing would be left of it."""
    x = np.array([1e9 + 1, 1e9 + 2, 1e9 + 3])
    assert cr.var(cr.tensor(x)).item() == 1.0


def test_smallest_and_largest_come_together_and_share_at_ties():
    found = cr.aminmax(cr.tensor(A), dim=1)
    np.testing.assert_array_equal(found.min, A.min(1))
    np.testing.assert_array_equal(found.max, A.max(1))
    assert gradient_of(lambda v: cr.aminmax(v).max, [1.0, 2.0, 2.0]).tolist() == [0.0, 0.5, 0.5]


# --- counts -----------------------------------------------------------------------------------------


def test_counts_in_bins_are_numpys():
    x = np.random.default_rng(0).normal(size=(4, 25))
    np.testing.assert_array_equal(cr.histc(cr.tensor(x), 7, -1, 2), np.histogram(x, 7, (-1, 2))[0])
    np.testing.assert_array_equal(cr.histc(cr.tensor(x), 7), np.histogram(x, 7)[0])
    assert cr.histc(cr.tensor([2.0, 2.0]), 2).tolist() == [0.0, 2.0]


def test_bincount_is_numpys_and_its_weights_have_slopes():
    i = np.array([0, 3, 3, 1])
    assert cr.bincount(cr.tensor(i), minlength=6).tolist() == np.bincount(i, minlength=6).tolist()
    got = cr.grad(lambda w: (cr.bincount(cr.tensor(i), w) * np.arange(4.0)).sum())(np.ones(4))
    assert np.asarray(got).tolist() == [0.0, 3.0, 3.0, 1.0]


# --- softmax ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [0, 1])
def test_softmax_and_its_kin_are_scipys(dim):
    x = 50 * A
    np.testing.assert_allclose(cr.softmax(cr.tensor(x), dim), softmax(x, dim), rtol=1e-15)
    np.testing.assert_allclose(cr.log_softmax(cr.tensor(x), dim), log_softmax(x, dim), rtol=1e-15)
    np.testing.assert_allclose(F.softmin(cr.tensor(x), dim), softmax(-x, dim), rtol=1e-15)


def test_log_softmax_keeps_its_digits_beside_a_large_common_part():
    """x - logsumexp(x) at 1e15 is a multiple of 1/8."""
    got = cr.log_softmax(cr.tensor([1e15, 1e15 + 1]), 0)
    np.testing.assert_allclose(got, [-1 - math.log1p(math.exp(-1)), -math.log1p(math.exp(-1))], rtol=1e-15)


def test_hessian_of_logsumexp_is_that_of_softmax():
    x = np.array([0.3, -1.0, 2.0])
    s = softmax(x)
    got = np.asarray(cr.hessian(lambda v: cr.logsumexp(v, 0))(x))
    np.testing.assert_allclose(got, np.diag(s) - np.outer(s, s), rtol=1e-13)
    got = np.asarray(cr.hessian(lambda v: -cr.log_softmax(v, 0)[0])(x))
    np.testing.assert_allclose(got, np.diag(s) - np.outer(s, s), rtol=1e-13)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_a_row_of_minus_infinity_that_is_not_taken_has_no_gradient(name):
    """Its weights are 0/0, and where(…) did not take it: 0 in every order (a fully masked row of attention)."""
    taken = np.array([[False], [True]])
    f = lambda v: getattr(cr, name)(v, 1).reshape(2, -1)
    row = lambda v: (f(v)[1] ** 2).sum()
    both = lambda v: (cr.where(cr.tensor(taken), f(v), 0.0) ** 2).sum()
    x = np.array([[-INF, -INF], [0.3, 1.0]])
    alone = x[1:].repeat(2, 0)
    expected = np.asarray(cr.grad(row)(alone))
    np.testing.assert_allclose(np.asarray(cr.grad(both)(x)), [[0.0, 0.0], expected[1]], rtol=1e-14)
    second = np.asarray(cr.hessian(both)(x)).reshape(4, 4)
    np.testing.assert_allclose(second[2:, 2:], np.asarray(cr.hessian(row)(alone))[1, :, 1], rtol=1e-13)
    assert not second[:2].any()
    assert not second[:, :2].any()


def test_the_last_of_running_sums_does_not_see_beginnings_of_minus_infinity():
    assert gradient_of(lambda v: cr.logcumsumexp(v, 0)[-1], [-INF, -INF, 0.0]).tolist() == [0.0, 0.0, 1.0]


@pytest.mark.parametrize("name", ["var", "std", "logsumexp", "norm", "amax", "mean"])
def test_reductions_of_large_arrays_have_the_gradient_of_their_rows(name):
    """Values that no rule reads are not kept where they are large."""
    x = np.random.default_rng(0).normal(size=(1000, 3))
    f = lambda v: getattr(cr, name)(v, 1).sum()
    np.testing.assert_allclose(np.asarray(cr.grad(f)(x))[:10], np.asarray(cr.grad(f)(x[:10])), rtol=1e-14)


# --- norms ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0, 0.5, 1, 1.5, 2, 3, 7.3, -1, -2.5, INF, -INF])
@pytest.mark.parametrize("dim", [0, 1])
def test_norms_of_every_order_are_numpys(p, dim):
    got = cr.norm(cr.tensor(A), p, dim)
    np.testing.assert_allclose(got, np.linalg.norm(A, p, dim), rtol=1e-14)
    np.testing.assert_allclose(cr.linalg.vector_norm(cr.tensor(A), p, dim), got.numpy())


@pytest.mark.parametrize("p", [0.5, 1, 1.5, 2, 3, 30.0, -1, -2.5, INF, -INF])
@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e160, 1e300])
def test_norms_of_huge_and_tiny_vectors_neither_overflow_nor_underflow(p, scale):
    """The norm of c·x is c times that of x, and the slope is the same."""
    x = np.array([0.75, -0.5, 0.25])
    norm = lambda v: cr.norm(v, p)
    np.testing.assert_allclose(
        norm(cr.tensor(x * scale)).item(), norm(cr.tensor(x)).item() * scale, rtol=1e-13
    )
    np.testing.assert_allclose(gradient_of(norm, x * scale), gradient_of(norm, x), rtol=1e-13)


@pytest.mark.parametrize(
    "p, x, expected",
    [
        (2, [0.0, 0.0], [0.0, 0.0]),
        (1, [0.0, -2.0], [0.0, -1.0]),
        (INF, [1.0, -1.0], [0.5, -0.5]),
        (INF, [0.0, 0.0], [0.0, 0.0]),
        (-INF, [1.0, -1.0], [0.5, -0.5]),
        (3, [0.0, 0.0], [0.0, 0.0]),
        (0.5, [0.0, 1.0], [NAN, 1.0]),
        (0, [0.0, 3.0], [0.0, 0.0]),
    ],
)
def test_slopes_of_norms_at_their_kinks(p, x, expected):
    np.testing.assert_array_equal(gradient_of(lambda v: cr.norm(v, p), x), expected)


def test_second_derivative_of_a_norm_of_order_3():
    """∂²‖x‖/∂xᵢ∂xⱼ = 2/N (δᵢⱼ |xᵢ|/N - sᵢsⱼ), s = sign(x)(|x|/N)², N the norm."""
    x = np.array([1.0, -2.0, 0.0])
    norm = np.sum(np.abs(x) ** 3) ** (1 / 3)
    s = np.sign(x) * (np.abs(x) / norm) ** 2
    expected = 2 / norm * (np.diag(np.abs(x) / norm) - np.outer(s, s))
    np.testing.assert_allclose(
        np.asarray(cr.hessian(lambda v: cr.norm(v, 3))(x)), expected, rtol=1e-13, atol=1e-15
    )


def test_a_distance_is_the_norm_of_the_difference():
    assert cr.dist(cr.tensor([3.0, 1.0]), cr.tensor([0.0, 5.0])).item() == 5.0
    assert gradient_of(lambda v: cr.dist(v, v), [3.0, 1.0]).tolist() == [0.0, 0.0]


def test_normalize_keeps_torchs_eps():
    np.testing.assert_allclose(F.normalize(cr.tensor([[3.0, 4.0]])), [[0.6, 0.8]])
    np.testing.assert_array_equal(gradient_of(lambda v: F.normalize(v, dim=0), [0.0, 0.0]), [1e12, 1e12])


# --- products ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("x", [[0.0, 2.0, 3.0], [0.0, 0.0, 3.0], [-1.5, 2.0, 0.5]], ids=str)
def test_slopes_of_a_product_are_the_products_of_the_others_in_both_orders(x):
    n = range(len(x))
    first = [math.prod(x[j] for j in n if j != i) for i in n]
    second = [[0.0 if i == k else math.prod(x[j] for j in n if j not in (i, k)) for k in n] for i in n]
    np.testing.assert_allclose(np.asarray(cr.grad(cr.prod)(np.array(x))), first, rtol=1e-14)
    np.testing.assert_allclose(np.asarray(cr.hessian(cr.prod)(np.array(x))), second, rtol=1e-14)


def test_the_product_of_the_others_does_not_overflow_with_the_product():
    np.testing.assert_allclose(
        gradient_of(cr.prod, [1e200, 1e200, 1e-300]), [1e-100, 1e-100, INF], rtol=1e-14
    )
    np.testing.assert_allclose(gradient_of(cr.prod, [1e-200, 1e-200, 1e300]), [1e100, 1e100, 0.0], rtol=1e-14)


# --- dtypes, refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mean", "var", "std", "norm", "nanmean", "quantile", "histc"])
@pytest.mark.parametrize("dtype", ["int64", "bool"])
def test_whole_numbers_have_no_mean_as_in_torch(name, dtype):
    args = (0.5,) if name == "quantile" else ()
    with pytest.raises(DtypeError, match="floating point") as info:
        getattr(cr, name)(cr.ones(3, dtype=dtype), *args)
    assert isinstance(info.value, RuntimeError)


def test_whole_numbers_are_averaged_when_a_dtype_is_given():
    assert cr.mean(cr.tensor([1, 2]), dtype=cr.float32).item() == 1.5


def test_numpys_functions_average_whole_numbers():
    t = cr.tensor([1, 2, 4, 8])
    for f in (np.mean, np.std, np.var, np.median, np.linalg.norm):
        assert f(t).item() == pytest.approx(f(t.numpy()))


@pytest.mark.parametrize("name", ["mean", "var", "std", "logsumexp", "norm"])
def test_half_precision_is_summed_in_single_precision(name):
    """The sum of 4000 entries near 100, or of their squares, does not fit into float16."""
    x = (100 + np.arange(4000) % 7).astype(np.float16)
    args = (0,) if name == "logsumexp" else ()
    single = getattr(cr, name)(cr.tensor(x.astype(np.float32)), *args).item()
    half = getattr(cr, name)(cr.tensor(x, dtype="float16"), *args)
    assert half.dtype == np.float16
    assert half.item() == pytest.approx(single, rel=1e-3)


@pytest.mark.parametrize(
    "call, error",
    [
        (lambda x: cr.quantile(x, 1.5), ArgumentError),
        (lambda x: cr.quantile(x, 0.5, interpolation="cubic"), ArgumentError),
        (lambda x: cr.quantile(cr.zeros(0), 0.5), IndexingError),
        (lambda x: cr.norm(x, "nuc"), ArgumentError),
        (lambda x: cr.softmax(x), ArgumentError),
        (lambda x: cr.median(cr.zeros(0, 2), 0), IndexingError),
        (lambda x: cr.histc(x, 0), ArgumentError),
        (lambda x: cr.bincount(x), ArgumentError),
    ],
)
def test_wrong_use_is_refused_with_a_way_out(call, error):
    with pytest.raises(error) as info:
        call(cr.tensor(A))
    assert info.value.fix
