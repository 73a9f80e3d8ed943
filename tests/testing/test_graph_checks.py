"""The checks of graphs can fail, and random graphs are what they claim to be."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.ir.evaluate import evaluate
from chainrule.ir.graph import Equation, needed_parameters
from chainrule.ir.text import parse
from chainrule.ir.verify import verify
from chainrule.table.primitive import TABLE, Linear, Partials, nondifferentiable
from chainrule.testing.fuzz import fuzz_graph
from chainrule.testing.graphs import check_graph, check_hessian_is_symmetric, check_modes_agree

RNG = np.random.default_rng(5)
X = np.array([0.5, -1.0, 2.0])


def wrong_rule(monkeypatch, name, rule):
    monkeypatch.setitem(TABLE, name, dataclasses.replace(TABLE[name], rule=rule))


def test_a_transpose_that_is_not_the_transpose_is_caught(monkeypatch):
    wrong_rule(
        monkeypatch,
        "cumsum",
        Linear({"x": lambda emit, ct, x, *, axis, reverse: emit("cumsum", ct, axis=axis, reverse=reverse)}),
    )
    g = parse("{ x:float64[3] -> y:float64[3] = cumsum x axis=0 reverse=False -> y }")
    with pytest.raises(AssertionError, match="<ct, J t>"):
        check_modes_agree(g, [X], RNG)


def test_a_rule_whose_second_derivative_is_not_symmetric_is_caught(monkeypatch):
    """A field of slopes that is no gradient: ∂/∂y (∂f/∂x) = 1, ∂/∂x (∂f/∂y) = 2."""
    wrong_rule(monkeypatch, "hypot", Partials({"x": lambda x, y: y, "y": lambda x, y: 2.0 * x}))
    g = parse("{ x:float64[3] y:float64[3] -> r:float64[3] = hypot x y -> r }")
    check_modes_agree(g, [X, X + 1], RNG)
    with pytest.raises(AssertionError, match="uᵀHv"):
        check_hessian_is_symmetric(g, [X, X + 1], RNG)


def test_a_derivative_that_is_not_finite_proves_nothing():
    g = parse("{ x:float64[] -> y:float64[] = sqrt x -> y }")
    with pytest.raises(AssertionError, match="not finite"):
        check_modes_agree(g, [np.float64(0.0)], RNG)


def test_a_graph_that_is_illegal_is_caught():
    g = parse("{ x:float64[] -> y:float64[] = sqrt x -> y }")
    g.equations.append(Equation(TABLE["sin"], (g.inputs[0],), {}, g.equations[0].outs))
    with pytest.raises(Exception, match="defined twice"):
        check_graph(g)


@given(st.integers(0, 10**9))
def test_random_graphs_are_legal_finite_and_repeatable(seed):
    g, args = fuzz_graph(np.random.default_rng(seed))
    assert all(np.all(np.isfinite(v)) for v in evaluate(verify(g), *args))
    assert fuzz_graph(np.random.default_rng(seed)).graph == g


def test_random_graphs_use_most_of_the_table():
    used = {e.name for seed in range(150) for e in fuzz_graph(np.random.default_rng(seed)).graph.equations}
    left = {
        "alias", "all", "any", "argmax", "argmin", "cast", "cast_like", "edge", "isinf", "zeros",
        "add_windows", "on_diagonal", "others", "conj", "imag", "real",
    }  # fmt: skip  # made by rules or for complex numbers, or without derivative
    # of an order or other parameters: each has tests of its own over its whole domain
    entrywise = [p for p in TABLE.values() if p.kind == "elementwise"]
    left |= {p.name for p in entrywise if needed_parameters(p) or nondifferentiable(p)}
    missing = {p.name for p in TABLE.values() if p.rule is not None} - used - left
    assert len(missing) <= 8, missing


def test_random_graphs_contain_recognised_composites():
    names = {
        e.reading.name
        for seed in range(150)
        for e in fuzz_graph(np.random.default_rng(seed)).graph.equations
        if e.reading
    }
    assert names == {"norm", "abs", "softplus", "logsumexp", "falling_sigmoid"}


def test_random_graphs_in_single_precision_stay_so():
    g, args = fuzz_graph(np.random.default_rng(3), dtype=np.float32)
    assert {v.dtype.name for e in g.equations for v in e.outs} <= {"float32", "bool"}
    assert {a.dtype.name for a in args} == {"float32"}
