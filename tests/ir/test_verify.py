"""The verifier finds what a wrong transform could do to a graph."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.errors import GraphError
from chainrule.ir.graph import Equation, Graph, Var
from chainrule.ir.text import parse
from chainrule.ir.types import Type
from chainrule.ir.verify import verify
from chainrule.source import here
from chainrule.table.composite import Reading
from chainrule.table.primitive import TABLE
from chainrule.testing.fuzz import fuzz_graph

FLOAT, SINGLE = np.dtype(np.float64), np.dtype(np.float32)
SCALAR = Type((), FLOAT)


@given(st.integers(0, 10**9))
def test_random_graphs_pass(seed):
    g = fuzz_graph(np.random.default_rng(seed), size=6).graph
    assert verify(g) is g


def test_the_empty_graph_passes():
    verify(Graph())


def chain():
    return parse("{ x:float64[3] -> y:float64[3] = sin x  z:float64[3] = mul x y -> z }")


def wrong(change):
    """A legal graph after `change(graph)`, and the message of the verifier."""
    g = chain()
    change(g)
    with pytest.raises(GraphError) as caught:
        verify(g)
    return str(caught.value)


def replace(g, k, **fields):
    e = g.equations[k]
    kept = {n: getattr(e, n) for n in ("primitive", "inputs", "params", "outs", "source", "reading")}
    g.equations[k] = Equation(**(kept | fields))


def test_a_value_that_is_read_before_it_is_defined():
    assert "not defined before" in wrong(lambda g: g.equations.reverse())


def test_a_value_that_is_defined_nowhere():
    assert "not defined before" in wrong(lambda g: g.equations.pop(0))


def test_a_value_that_is_defined_twice():
    assert "defined twice" in wrong(lambda g: g.equations.append(g.equations[0]))


def test_an_input_that_is_given_twice():
    assert "by input 0 and by input 1" in wrong(lambda g: g.inputs.append(g.inputs[0]))


def test_an_output_that_is_defined_nowhere():
    assert "output 1 is defined nowhere" in wrong(lambda g: g.outputs.append(Var(SCALAR)))


def test_a_type_that_is_not_the_one_of_the_type_rule():
    def change(g):
        out = Var(Type((3,), SINGLE))
        replace(g, 1, outs=(out,))
        g.outputs = [out]

    assert "not of the type that mul gives, float64[3]" in wrong(change)


def test_inputs_of_different_shapes():
    def change(g):
        g.inputs.append(Var(SCALAR))
        replace(g, 1, inputs=(g.inputs[0], g.inputs[1]))

    assert "differ in shape (float64[3], float64[])" in wrong(change)


def test_a_parameter_that_the_primitive_does_not_have():
    assert "no parameter 'axis'" in wrong(lambda g: replace(g, 0, params={"axis": 0}))


@pytest.mark.parametrize(
    "value", [[1], np.zeros(2), np.float64(1.0), {"a": 1}, object()], ids=lambda v: type(v).__name__
)
def test_a_parameter_without_a_text(value):
    def change(g):
        g.equations.append(
            Equation(TABLE["clamp"], (g.outputs[0],), {"lo": value, "hi": 1.0}, (Var(Type((3,), FLOAT)),))
        )

    assert "has no text" in wrong(change)


def test_a_primitive_that_is_not_in_the_table(monkeypatch):
    g = chain()
    monkeypatch.delitem(TABLE, "sin")
    with pytest.raises(GraphError, match="sin is not the primitive"):
        verify(g)


def test_a_constant_that_is_not_of_its_type():
    def change(g):
        g.constants[Var(SCALAR)] = np.ones(3)

    assert "a constant is not of its type" in wrong(change)


@pytest.mark.parametrize(
    "name, params, what",
    [("norm", {"axis": (0,), "keepdims": False}, "gives float64[]"), ("unheard", {}, "does not have"),
     ("norm", {}, "no value for")],
)  # fmt: skip
def test_a_reading_of_another_type(name, params, what):
    def change(g):
        replace(g, 1, reading=Reading(name, g.inputs[0], params))

    assert what in wrong(change)


def test_a_reading_of_a_value_that_is_not_defined():
    assert "not defined before" in wrong(
        lambda g: replace(g, 1, reading=Reading("abs", Var(Type((3,), FLOAT)), {}))
    )


def test_the_message_has_the_equation_and_the_users_line():
    line = here()
    message = wrong(lambda g: replace(g, 1, params={"axis": 0}, source=line))
    assert "given: c:float64[3] = mul a b  axis=0" in message
    assert "asked for at: test_verify.py:" in message
