"""What single kernels compute: sums in sums, signs of zero, the ends of ranges; against NumPy and closed forms."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.codegen import jit

pytestmark = pytest.mark.skipif(not jit.is_available(), reason="llvmlite knows no target here")
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("outer", [1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize("inner", [1, 3, 4, 5, 9])
def test_a_sum_in_which_a_factor_is_the_same_for_every_round_of_a_short_outer_loop(outer, inner):
    """Short loops are written out: the inner loop is there several times, and each time runs over its entries."""
    x, mu = RNG.normal(size=(70, inner)), RNG.normal(size=(outer, inner))
    f = cr.compile(lambda x, mu: ((x[:, None, :] - mu) ** 2).sum((1, 2)))
    np.testing.assert_allclose(f(x, mu), ((x[:, None] - mu) ** 2).sum((1, 2)), rtol=1e-13)
    again = cr.compile(lambda x: x.expand(outer, *x.shape).sum((0, 2)))
    np.testing.assert_allclose(again(x), outer * x.sum(1), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (1, 70), (70, 1), (70, 3), (203, 9)])
@pytest.mark.parametrize("dim", [0, 1, (0, 1)])
def test_a_sum_of_negative_zeros_is_zero_as_in_numpy(shape, dim):
    f = cr.compile(lambda x: 1.0 / x.sum(dim))
    assert np.all(np.asarray(f(np.full(shape, -0.0))) == np.inf)


@pytest.mark.parametrize("n", [1, 2, 4, 7])
@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 20])
def test_a_product_of_matrices_whose_terms_are_negative_zeros_is_zero_as_in_numpy(n, k):
    x, y = np.full((70, k), -0.5), np.zeros((k, n))
    for f in (lambda x, y: 1.0 / (x @ y), lambda x, y: 1.0 / cr.einsum("i,j->ij", x[:, 0], y[0])):
        np.testing.assert_array_equal(cr.compile(f)(x, y), np.full((70, n), np.inf))
        np.testing.assert_array_equal(f(cr.tensor(x), cr.tensor(y)), np.full((70, n), np.inf))


@pytest.mark.parametrize(
    "lo, hi", [(-1.0, 1.0), (0.0, -0.0), (-0.0, 0.0), (0.0, np.inf), (-np.inf, -0.0), (1.0, -1.0)]
)
def test_clamp_at_its_ends_is_that_of_numpy(lo, hi):
    x = np.array([-2.0, -1.0, -0.0, 0.0, 0.5, 1.0, 2.0, np.inf, -np.inf, np.nan] * 21)
    found = cr.compile(lambda x: cr.clamp(x, lo, hi))(x).numpy()
    expected = np.minimum(np.maximum(x, lo), hi)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.signbit(found[~np.isnan(x)]), np.signbit(expected[~np.isnan(x)]))


def test_sinc_of_the_largest_numbers_is_zero():
    x = np.array([1e308, -1e308, 1e30, 1e31, 4.0, np.inf, np.nan])
    np.testing.assert_array_equal(cr.compile(cr.sinc)(x), [0.0, 0.0, 0.0, 0.0, 0.0, np.nan, np.nan])
