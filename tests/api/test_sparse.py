"""Sparse Jacobians and Hessians: patterns, colours, numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.errors import ArgumentError, GradientNote, TraceError
from chainrule.testing.fuzz import fuzz_graph, replay
from chainrule.transforms import jacobian as colouring

RNG = np.random.default_rng(0)
W = np.where(RNG.random((6, 8)) < 0.3, RNG.normal(size=(6, 8)), 0.0)

# Function, shape of its argument, entries of its Jacobian that can differ from 0.
JACOBIANS = {
    "entrywise": (lambda x: cr.sin(x) * x, (7,), 7),
    "neighbours": (lambda x: x[1:] * x[:-1], (9,), 16),
    "band of five": (lambda x: x[:-4] + x[1:-3] ** 2 + x[2:-2] * x[3:-1] + x[4:], (12,), 40),
    "rows summed": (lambda x: (x**2).sum(1), (3, 4), 12),
    "row by row, spread": (lambda x: x / x.sum(1, keepdim=True), (3, 4), 48),
    "running sum": (lambda x: cr.cumsum(x, 0), (2, 3), 12),
    "sparse constant factor": (lambda x: cr.as_tensor(W) @ cr.exp(x), (8,), int((W != 0).sum())),
    "constant factor behind": (lambda x: cr.exp(x) @ cr.as_tensor(W), (5, 6), 5 * int((W != 0).sum())),
    "product of two": (lambda x: x @ x.T, (3, 2), 3 * 3 * 4 - 3 * 2),
    "picked": (lambda x: x[[0, 2, 2]] * 2, (4,), 3),
    "padded and rolled": (lambda x: cr.roll(x, 1, 0) + cr.cat([x[:2] * 3, x[2:]]), (5,), 10),
    "diagonal": (lambda x: cr.diagonal(x) ** 2, (4, 4), 4),
    "written into": (lambda x: cr.zeros(6).index_add(0, cr.tensor([1, 1, 4]), x), (3,), 3),
    "flat steps": (lambda x: cr.floor(x) + x[0], (4,), 4),
    "chosen": (lambda x: cr.where(x > 0, x, x.flip(0)), (6,), 12),
    "nothing": (lambda x: cr.ones(3) * 2, (4,), 0),
    "one output": (lambda x: (x[:3] ** 2).sum(), (8,), 3),
}


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
@pytest.mark.parametrize("name", JACOBIANS)
def test_a_sparse_jacobian_is_the_dense_one(name, mode, recwarn):
    f, shape, entries = JACOBIANS[name]
    x = RNG.normal(size=shape)
    sparse = cr.jacobian(f, x, sparse=True, mode=mode)
    dense = cr.jacobian(f)(x).numpy().reshape(sparse.shape)
    np.testing.assert_allclose(sparse.toarray(), dense, rtol=1e-12, atol=1e-14)
    assert cr.jacobian(f, sparse=True).plan(x).pattern.nnz == entries


def pairs(n, rng, count):
    i, j = rng.integers(0, n, count), rng.integers(0, n, count)
    return lambda x: (cr.sin(x[i] * x[j]) + x[i] ** 3).sum()


HESSIANS = {
    "chain": (lambda x: (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum(), (12,), 3),
    "arrow": (lambda x: (x[0] * x).sum() + (x**3).sum(), (20,), 2),
    "separable": (lambda x: cr.exp(x).sum(), (9,), 1),
    "grid": (lambda x: ((x[1:] - x[:-1]) ** 4).sum() + ((x[:, 1:] * x[:, :-1]) ** 2).sum(), (4, 5), None),
    "linear": (lambda x: (3 * x).sum(), (5,), 0),
}


@pytest.mark.parametrize("name", HESSIANS)
def test_a_sparse_hessian_is_the_dense_one(name, recwarn):
    f, shape, passes = HESSIANS[name]
    x = RNG.normal(size=shape)
    sparse = cr.hessian(f, x, sparse=True)
    dense = cr.hessian(f)(x).numpy().reshape(sparse.shape)
    np.testing.assert_allclose(sparse.toarray(), dense, rtol=1e-12, atol=1e-13)
    if passes is not None:
        assert cr.hessian(f, sparse=True).plan(x).passes == passes


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**9), st.integers(2, 14), st.integers(1, 30))
def test_random_symmetric_patterns_are_recovered(seed, n, count):
    f = pairs(n, np.random.default_rng(seed), count)
    x = np.random.default_rng(seed + 1).normal(size=n)
    plan = cr.hessian(f, sparse=True).plan(x)
    directions = colouring.seeds(plan.colours)
    dense = cr.hessian(f)(x).numpy()
    found = colouring.recover_symmetric(plan.pattern, plan.colours, directions @ dense)
    np.testing.assert_allclose(found.toarray(), dense, rtol=1e-12, atol=1e-13)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**9))
def test_no_entry_outside_the_pattern_of_a_random_program(seed):
    program = fuzz_graph(np.random.default_rng(seed), size=8)
    from chainrule import dispatch

    f = lambda *xs: replay(program.graph, dispatch.emit, *xs)[0]
    args = [cr.as_tensor(a) for a in program.args]
    found = colouring.pattern(cr.graph_of(f, *args), 0).toarray()
    dense = np.asarray(cr.jacobian(f)(*args)).reshape(found.shape)
    assert not np.any((dense != 0) & ~found)


def test_a_pattern_that_misses_an_entry_is_noticed():
    """The check above can fail: without one column the dense Jacobian has an entry outside."""
    f = lambda x: x[1:] * x[:-1]
    found = colouring.pattern(cr.graph_of(f, np.ones(4)), 0).toarray()
    found[:, 1] = False
    assert np.any((cr.jacobian(f)(np.ones(4)).numpy() != 0) & ~found)


def test_the_goal_of_few_passes_is_met():
    """200 residuals of bandwidth 5 take 5 passes, a chain of 10⁴ unknowns 3."""
    band = cr.jacobian(JACOBIANS["band of five"][0], sparse=True).plan(np.ones(204))
    assert (band.pattern.shape, band.passes) == ((200, 204), 5)
    chain = cr.hessian(HESSIANS["chain"][0], sparse=True).plan(np.ones(10_000))
    assert chain.passes == 3
    assert chain.pattern.nnz <= 30_000


def test_further_arguments_are_held_fixed():
    f = lambda a, x: a * x[1:] * x[:-1]
    J = cr.jacobian(f, 2.0, np.arange(1.0, 5), argnums=1, sparse=True)
    np.testing.assert_allclose(J.toarray()[0], [4.0, 2.0, 0, 0])


def test_a_dense_pattern_says_so():
    with pytest.warns(GradientNote, match=r"100 % of the entries can differ from 0"):
        cr.hessian(lambda x: x.sum() ** 2, np.ones(5), sparse=True)


def test_what_cannot_be_sparse_is_refused():
    f = lambda x: x**2
    with pytest.raises(ArgumentError, match="by one argument"):
        cr.jacobian(f, np.ones(3), argnums=(0,), sparse=True)
    with pytest.raises(ArgumentError, match="one tensor or array"):
        cr.jacobian(lambda d: d["a"], {"a": np.ones(3)}, sparse=True)
    with pytest.raises(ArgumentError, match="comes alone"):
        cr.jacobian(f, np.ones(3), sparse=True, layout="denominator")
    with pytest.raises(TraceError):
        cr.jacobian(lambda x: x if x[0] > 0 else -x, np.ones(3), sparse=True)
