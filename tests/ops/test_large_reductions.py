"""Reductions of arrays that are gone through in blocks: NumPy's values, and the slopes of closed forms."""

import math

import numpy as np
import pytest
from scipy.special import logsumexp, softmax

import chainrule as cr
from chainrule.table.blocks import LARGE, as_rows, cut, row_squares, row_sums
from chainrule.tape import pull

RNG = np.random.default_rng(0)
SHAPES = [
    ((LARGE + 137,), (0,)),
    ((300, 301), (1,)),
    ((3, LARGE // 2), (1,)),
    ((50, 40, 50), (1, 2)),
    ((300, 301), (0, 1)),
]
IN_BLOCKS = pytest.mark.parametrize("shape, axis", SHAPES, ids=str)


def numbers(shape):
    return np.round(RNG.normal(size=shape), 2)  # so that some are equal


def spread(v, axis):
    return np.expand_dims(v, axis)


def centred(x, axis):
    return x - x.mean(axis, keepdims=True)


def count(x, axis):
    return math.prod(x.shape[a] for a in axis)


def ties(x, out, axis):
    hit = x == spread(out, axis)
    return hit / hit.sum(axis, keepdims=True)


REDUCTIONS = {
    "sum": (np.sum, lambda x, out, axis: np.ones_like(x)),
    "mean": (np.mean, lambda x, out, axis: np.full_like(x, 1 / count(x, axis))),
    "var": (
        lambda x, axis: np.var(x, axis, ddof=1),
        lambda x, out, axis: 2 * centred(x, axis) / (count(x, axis) - 1),
    ),
    "std": (
        lambda x, axis: np.std(x, axis, ddof=1),
        lambda x, out, axis: centred(x, axis) / spread(out, axis) / (count(x, axis) - 1),
    ),
    "amax": (np.max, ties),
    "amin": (np.min, ties),
    "logsumexp": (logsumexp, lambda x, out, axis: softmax(x, axis)),
    "norm": (lambda x, axis: np.sqrt(np.sum(x * x, axis)), lambda x, out, axis: x / spread(out, axis)),
}


@IN_BLOCKS
@pytest.mark.parametrize("name", REDUCTIONS)
def test_value_and_gradient_in_blocks_are_those_of_whole_arrays(name, shape, axis):
    x, (value, slope) = numbers(shape), REDUCTIONS[name]
    t = cr.tensor(x, requires_grad=True)
    out = cr.norm(t, dim=axis) if name == "norm" else getattr(cr, name)(t, axis)
    expected = np.asarray(value(x, axis=axis))
    np.testing.assert_allclose(out.detach().numpy(), expected, rtol=1e-12, atol=1e-10)
    weights = np.cos(np.arange(expected.size)).reshape(expected.shape)
    out.backward(cr.tensor(weights))
    np.testing.assert_allclose(
        t.grad.numpy(), spread(weights, axis) * slope(x, expected, axis), rtol=1e-11, atol=1e-15
    )


@IN_BLOCKS
@pytest.mark.parametrize("name", ["std", "amax", "norm", "logsumexp"])
def test_blocks_and_the_general_reader_give_the_same(name, shape, axis, monkeypatch):
    x = numbers(shape).astype(np.float32)

    def gradient():
        t = cr.tensor(x, requires_grad=True)
        (cr.norm(t, dim=axis) if name == "norm" else getattr(cr, name)(t, axis)).sum().backward()
        return t.grad.numpy()

    in_blocks = gradient()
    monkeypatch.setattr(pull, "is_large", lambda x: False)
    assert in_blocks.dtype == np.float32
    np.testing.assert_allclose(in_blocks, gradient(), rtol=1e-5)


def test_the_slope_of_a_long_product_is_the_product_of_the_others():
    x = RNG.uniform(0.99, 1.01, LARGE)
    t = cr.tensor(x, requires_grad=True)
    t.prod().backward()
    np.testing.assert_allclose(t.grad.numpy(), np.prod(x) / x, rtol=1e-12)


def test_a_deviation_of_many_equal_numbers_has_the_slope_0():
    t = cr.tensor(np.full(LARGE, 0.1), requires_grad=True)
    t.std().backward()
    assert np.abs(t.grad.numpy()).max() <= 1e-3  # the mean of tenths is rounded, so no entry is quite at it
    t = cr.tensor(np.full(LARGE, 0.5), requires_grad=True)
    t.std().backward()
    assert not t.grad.numpy().any()


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_of_large_arrays_is_scipys(name):
    x = 50 * numbers((300, 301))
    got = getattr(cr, name)(cr.tensor(x), 1).numpy()
    np.testing.assert_allclose(
        got if name == "softmax" else np.exp(got), softmax(x, 1), rtol=1e-12, atol=1e-300
    )


@IN_BLOCKS
def test_blocks_cover_each_entry_once(shape, axis):
    rows = as_rows(np.zeros(shape), axis)
    seen = np.zeros(rows.shape, int)
    for i, j in cut(rows):
        seen[i, j] += 1
    assert (seen == 1).all()


def test_sums_of_rows_are_as_exact_as_pairwise_ones():
    """A running sum of 10⁶ tenths is off by 10⁻⁶, these by some units of the last place."""
    exact = math.fsum([0.1] * 10**6)
    assert abs(row_sums(np.full((1, 10**6), 0.1))[0] - exact) <= 32 * math.ulp(exact)
    x = np.full((1, 10**6), 1e9 + 0.1)
    assert row_squares(x, np.array([1e9]))[0] == pytest.approx(1e6 * (x[0, 0] - 1e9) ** 2, rel=1e-13)


@pytest.mark.parametrize(
    "x, axis",
    [
        (np.zeros((300, 301)), (0,)),
        (np.zeros((300, 301)).T, (1,)),
        (np.zeros(5), (0,)),
        (np.zeros((300, 301)), ()),
    ],
)
def test_what_is_small_or_lies_otherwise_is_not_cut(x, axis):
    assert as_rows(x, axis) is None
