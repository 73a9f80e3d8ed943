"""Rows turned over in registers: every entry comes to its place, and nothing outside is touched."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.codegen import jit
from chainrule.codegen.prepare import planned
from chainrule.codegen.program import Program
from chainrule.codegen.steps import Phase
from chainrule.transforms.reverse import vjp
from tests.codegen.test_program import check
from tests.codegen.test_walls import are_possible, run_between_walls

needs_llvm = pytest.mark.skipif(not jit.is_available(), reason="llvmlite knows no target here")
SHAPES = (
    st.sampled_from([(64,), (65,), (71,), (100,), (128,), (300,)]),
    st.sampled_from([1, 2, 3, 4, 5, 7, 8, 20]),
)


def from_largest(x):
    """Exact: no rounding hides an entry that is another one."""
    return x - x.amax(-1, keepdim=True)


def turns(f, *args):
    """The copies that turn over, each with whether it goes to a tile."""
    plan = planned(cr.graph_of(f, *args))
    kernels = [k for s in plan.steps if isinstance(s, Phase) for k in s.kernels]
    return [k.outputs[0].place == "tile" for k in kernels if getattr(k, "turns", False)]


@needs_llvm
@settings(deadline=None, max_examples=40)
@given(*SHAPES, st.sampled_from([(), (2,), (3, 4)]), st.sampled_from([np.float64, np.float32]),
       st.sampled_from([32, 64, 4096]))  # fmt: skip
def test_rows_come_and_go_without_a_change(n, entries, between, dtype, tile):
    x = np.random.default_rng(0).normal(size=(*n, *between, entries)).astype(dtype)
    (found,) = Program(cr.graph_of(from_largest, x), tile=tile)([x])
    np.testing.assert_array_equal(found, x - x.max(-1, keepdims=True))


@pytest.mark.skipif(not are_possible(), reason="pages cannot be protected here")
@needs_llvm
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [64, 65, 71, 79, 95, 130])
@pytest.mark.parametrize("entries", [2, 3, 4, 5, 7])
def test_nothing_outside_is_read_or_written(n, entries, dtype):
    x = np.random.default_rng(n).normal(size=(n, entries)).astype(dtype)
    run_between_walls(cr.graph_of(from_largest, x), [x], tile=64)


def test_what_comes_in_rows_and_goes_in_rows_is_turned_once_each():
    assert turns(from_largest, np.ones((500, 12))) == [True, False]
    assert turns(lambda x: cr.exp(from_largest(x)).sum(), np.ones((500, 12))) == [True]
    assert turns(lambda x: cr.softmax(x, 0), np.ones((12, 500))) == []  # samples lie next to each other


def test_blas_reads_rows_as_they_are():
    assert turns(lambda x, w: (x @ w).sum(), np.ones((500, 64)), np.ones((64, 32))) == []


@pytest.mark.parametrize("f", [
    lambda x: (from_largest(x), from_largest(x)),
    lambda x: ((y := from_largest(x)), y.T, y.sum(0)),
    lambda x: (x, cr.sin(x) / cr.sin(x).sum(-1, keepdim=True)),
    lambda x: cr.softmax(x, -1) @ cr.linspace(0.0, 1.0, 36).reshape(12, 3),
    lambda x: cr.cumsum(from_largest(x), 0) + from_largest(x),
])  # fmt: skip
def test_results_of_every_kind_and_their_gradients(f):
    x = np.random.default_rng(1).normal(size=(200, 12))
    g = cr.graph_of(f, x)
    check(g, [x], tile=64)
    check(vjp(g), [x], rtol=1e-10, tile=64)
