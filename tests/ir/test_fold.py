"""Folding keeps every value to the last bit, and leaves out what the docstring says."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.ir import parse
from chainrule.ir.evaluate import evaluate
from chainrule.passes.dce import dce
from chainrule.passes.fold import fold

CORNERS = np.array([0.0, -0.0, 1.0, -2.5, np.inf, -np.inf, np.nan, 5e-324])


def same_bits(a, b):
    """NaNs may differ in their payload; both zeros may not be taken for each other."""
    a, b = np.asarray(a), np.asarray(b)
    return np.array_equal(a, b, equal_nan=True) and np.array_equal(
        np.signbit(a[a == 0]), np.signbit(b[b == 0])
    )


def names(graph):
    return [e.name for e in graph.equations]


@pytest.mark.parametrize(
    "operation, left",
    [
        ("mul 1.0 x", []),
        ("mul x 1.0", []),
        ("div x 1.0", []),
        ("sub x 0.0", []),
        ("add x -0.0", []),
        ("add x 0.0", ["add"]),
        ("sub x -0.0", ["sub"]),
        ("mul x 0.0", ["mul"]),
        ("neg x", ["neg"]),
    ],
)
@pytest.mark.parametrize("value", CORNERS)
def test_what_changes_no_number_is_left_out(operation, left, value):
    g = parse("{ x:float64[] -> a:float64[] = " + operation + " -> a }")
    folded = dce(fold(g))
    assert names(folded) == left
    assert same_bits(evaluate(folded, value)[0], evaluate(g, value)[0])


def test_numbers_are_computed_at_once():
    g = cr.graph_of(lambda x: x * (cr.exp(cr.zeros(3)) + 1.0) / 2.0, np.ones(3))
    assert names(dce(fold(g))) == ["broadcast", "mul", "broadcast", "div"]


@pytest.mark.parametrize("value", CORNERS)
def test_the_largest_of_what_the_largest_was_taken_from(value):
    x = np.array([1.0, 2.0, 0.5])
    for given in (x, np.full(3, value), np.where(x == 2.0, value, x)):
        g = cr.graph_of(lambda x: cr.amax(x - cr.amax(x)), given)
        folded = dce(fold(g))
        assert names(folded) == ["amax", "sub"]
        with np.errstate(invalid="ignore"):
            assert same_bits(evaluate(folded, given)[0], np.max(given - np.max(given)))


def test_the_mask_of_a_route_is_the_condition_that_chose_it():
    text = """{ x:float64[4] z:float64[4] ->
      c:bool[4] = gt x z
      one:float64[4] = broadcast 1.0 shape=(4,)
      zero:float64[4] = broadcast 0.0 shape=(4,)
      m:float64[4] = where c one zero
      d:bool[4] = ne m zero
      -> d }"""
    g = parse(text)
    folded = dce(fold(g))
    assert names(folded) == ["gt"]
    x, z = np.array([1.0, np.nan, -0.0, 3.0]), np.array([0.0, 1.0, 0.0, np.inf])
    assert np.array_equal(evaluate(folded, x, z)[0], evaluate(g, x, z)[0])
    assert evaluate(folded, x, z)[0].tolist() == [True, False, False, False]


def test_a_sum_over_ones_and_a_filled_constant():
    g = cr.graph_of(lambda x: (x * np.full((4, 3), 2.0)).sum(), np.ones((4, 3)))
    folded = dce(fold(g))
    assert all(np.ndim(c) == 0 for c in folded.constants.values())
    assert evaluate(folded, *([np.ones((4, 3))] + [np.full((4, 3), 2.0)] * (len(g.inputs) - 1)))[0] == 24.0
