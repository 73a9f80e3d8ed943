"""Sums before products: the same numbers but for rounding, the same NaN, infinities and zeros."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.ir.evaluate import evaluate
from chainrule.ir.verify import verify
from chainrule.passes import hoist as hoisting
from chainrule.passes.cse import cse
from chainrule.passes.hoist import hoist

ODD = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0]


def products(kind, a, b, c):
    """Sums over the last axis of `a @ b`, a stack of matrices (2, 9, 5) by (2, 5, 40)."""
    p = a @ b
    if kind == "plain":
        return p.sum(-1)
    if kind == "negative":
        return (-p).sum(-1)
    if kind == "turned":
        return p.transpose(0, 2).sum(0)
    if kind == "left":
        return (b.transpose(1, 2) @ a.transpose(1, 2)).sum(1)
    if kind == "more":
        return (c - (p + c)).sum(-1)
    return (p.transpose(1, 2) - (c * c).transpose(1, 2)).sum(1)


KINDS = ["plain", "negative", "turned", "left", "more", "less"]


def some(seed, dtype, odd):
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=s).astype(dtype) for s in ((2, 9, 5), (2, 5, 40), (2, 9, 40))]
    for k, a in enumerate(arrays):
        if rng.random() < 0.5:
            arrays[k] = np.abs(a)  # of one sign: an infinite factor stays infinite
        if odd:
            arrays[k][rng.random(a.shape) < rng.choice([0.01, 0.2])] = rng.choice(ODD)
    return arrays


def check_same(found, expected, scale):
    """Equal but for rounding; NaN, infinities and the sign of 0 where they were."""
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
    tolerance = 1e3 * np.finfo(found.dtype).eps
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * scale)
    zero = (found == 0) & (expected == 0)
    np.testing.assert_array_equal(np.signbit(found[zero]), np.signbit(expected[zero]))


@pytest.mark.parametrize("kind", KINDS)
@given(st.integers(0, 10**9), st.sampled_from([np.float64, np.float32]), st.booleans())
def test_the_value_is_that_of_the_sum_of_products(kind, seed, dtype, odd):
    arrays = some(seed, dtype, odd)
    g = cr.graph_of(lambda *args: products(kind, *args), *arrays)
    moved = verify(hoist(g))
    assert moved is not g
    with np.errstate(all="ignore"):
        check_same(evaluate(moved, *arrays)[0], evaluate(g, *arrays)[0], 200.0)


@pytest.mark.parametrize("kind", KINDS)
def test_no_product_along_the_sum_is_left(kind):
    """What is 40 long is summed before the product."""
    g = cr.graph_of(lambda *args: products(kind, *args), *some(0, np.float64, False))
    made = [e for e in hoist(g).equations if e.name == "dot_general"]
    assert made
    assert all(40 not in e.outs[0].shape for e in made)


@pytest.mark.parametrize(
    "f",
    [
        lambda a, b, c: ((a @ b).sum(-1), a @ b),  # the products are wanted, too
        lambda a, b, c: cr.exp(a @ b).sum(-1),
        lambda a, b, c: (a @ b).sum(1),  # over the rows, of which there are few
        lambda a, b, c: (a @ b).sum(),  # along both factors
        lambda a, b, c: (c + c).sum(-1),
    ],
)
def test_other_sums_stay(f):
    g = cse(cr.graph_of(f, *some(0, np.float64, False)))
    assert hoist(g) is g


def test_empty_products():
    g = cr.graph_of(lambda a, b: (a @ b).sum(-1), np.ones((9, 0)), np.ones((0, 40)))
    np.testing.assert_array_equal(evaluate(hoist(g), np.ones((9, 0)), np.ones((0, 40)))[0], np.zeros(9))


def test_a_long_chain_of_additions_is_left_alone():
    def f(a, b, c):
        total = a @ b
        for _ in range(2000):
            total = total + c
        return total.sum(-1)

    g = cr.graph_of(f, *some(0, np.float64, False))
    assert hoist(g) is g


def test_the_gradient_in_a_shift_is_compiled_so():
    """d/dm Σᵢ |A(xᵢ - m)|²/2 = -AᵀA Σᵢ (xᵢ - m)."""
    rng = np.random.default_rng(1)
    a, x, m = rng.normal(size=(12, 12)), rng.normal(size=(500, 12)), rng.normal(size=12)
    f = cr.compile(cr.grad(lambda m, a, x: 0.5 * ((x - m) @ a.T).square().sum()))
    np.testing.assert_allclose(f(m, a, x).numpy(), -a.T @ a @ (x - m).sum(0), rtol=1e-12)


def test_a_pass_that_forgets_infinite_matrices_is_caught(monkeypatch):
    arrays = [
        np.full((2, 9, 5), np.inf),
        np.random.default_rng(0).normal(size=(2, 5, 40)),
        np.ones((2, 9, 40)),
    ]
    g = cr.graph_of(lambda *args: products("plain", *args), *arrays)
    monkeypatch.setattr(hoisting.math, "nan", 1.0, raising=True)
    wrong = hoist(g)
    monkeypatch.undo()
    with np.errstate(all="ignore"), pytest.raises(AssertionError):
        check_same(evaluate(wrong, *arrays)[0], evaluate(g, *arrays)[0], 200.0)
