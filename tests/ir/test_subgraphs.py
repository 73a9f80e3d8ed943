"""Equations that carry graphs: checked, printed, evaluated, cleaned and differentiated like any other.

The table has no such primitive yet; `call` below is the smallest one, with a `Body` rule made of the
transforms of its body, as loops and branches will be.
"""

import numpy as np
import pytest

from chainrule.errors import GraphError, ShapeError
from chainrule.ir.evaluate import evaluate
from chainrule.ir.graph import Equation, Graph
from chainrule.ir.text import parse
from chainrule.ir.types import Type
from chainrule.ir.verify import verify
from chainrule.passes.dce import dce
from chainrule.source import here
from chainrule.table.primitive import TABLE, Body, Primitive
from chainrule.transforms.forward import jvp
from chainrule.transforms.reverse import vjp

FLOAT = np.dtype(np.float64)


def call_type(*xs, body):
    if list(xs) != [v.type for v in body.inputs]:
        raise ShapeError(
            "the arguments are not the inputs of the body",
            given=", ".join(map(str, xs)),
            fix="pass its inputs",
        )
    return tuple(v.type for v in body.outputs)


def push(emit, args, outs, tangents, *, body):
    """The same primitive on the jvp of the body."""
    wrt = [k for k, t in enumerate(tangents) if t is not None]
    found = iter(emit("call", *args, *[tangents[k] for k in wrt], body=jvp(body, wrt))[len(outs) :])
    return tuple(next(found) if v.dtype.kind == "f" else None for v in outs)


def pull(emit, args, outs, cts, masks, wanted, *, body):
    """The same primitive on the vjp of the body; a masked cotangent is cut off before it goes in."""
    wrt = [k for k, w in enumerate(wanted) if w]
    seeds = [
        emit("zeros", shape=v.shape, dtype=v.dtype) if c is None else c
        for v, c in zip(outs, cts, strict=True)
    ]
    seeds = [c if m is None else emit("where", m, c, 0.0) for c, m in zip(seeds, masks, strict=True)]
    seeds = [c for c, v in zip(seeds, outs, strict=True) if v.dtype.kind == "f"]
    found = emit("call", *args, *seeds, body=vjp(body, wrt))[len(outs) :]
    return [(k, c, None) for k, c in zip(wrt, found, strict=True)]


@pytest.fixture(autouse=True)
def call(monkeypatch):
    p = Primitive("call", ("*xs",), lambda *xs, body: evaluate(body, *xs), call_type, Body(push, pull))
    monkeypatch.setitem(TABLE, "call", p)
    return p


# x·y and sin(x), with a value that nobody reads
BODY = """{ x:float64[3] y:float64[3] ->
  p:float64[3] = mul x y
  s:float64[3] = sin x
  unread:float64[3] = cosh y
  big:bool[3] = gt p s
  -> p s big }"""
PROGRAM = f"""{{ x:float64[3] y:float64[3] ->
  e:float64[3] = exp x
  a:float64[3] b:float64[3] c:bool[3] = call e y  body={BODY}
  m:float64[3] = mul a b
  w:float64[3] = where c m a
  s:float64[] = sum w axis=(0,) keepdims=False
  -> s }}"""
X, Y = np.array([0.5, -1.0, 0.25]), np.array([1.5, 0.5, -2.0])


def inlined():
    """The same program without the call."""
    return parse("""{ x:float64[3] y:float64[3] ->
      e:float64[3] = exp x  a:float64[3] = mul e y  b:float64[3] = sin e
      c:bool[3] = gt a b  m:float64[3] = mul a b  w:float64[3] = where c m a
      s:float64[] = sum w axis=(0,) keepdims=False -> s }""")


def test_an_equation_has_several_outputs():
    assert [v.type.shape for v in parse(PROGRAM).equations[1].outs] == [(3,), (3,), (3,)]


def test_a_sub_graph_prints_and_reads_back():
    g = parse(PROGRAM)
    assert parse(str(g)) == g
    assert parse(PROGRAM.replace("sin", "cos")) != g


def test_a_sub_graph_is_a_value_that_can_be_hashed():
    body = parse(BODY)
    assert {body: 1}[parse(BODY)] == 1


def test_a_call_evaluates_as_its_body():
    assert evaluate(parse(PROGRAM), X, Y) == evaluate(inlined(), X, Y)


def test_the_verifier_looks_into_sub_graphs_and_names_the_users_line():
    body = parse(BODY)
    g = Graph()
    x, y = g.input(Type((3,), FLOAT)), g.input(Type((3,), FLOAT))
    g.outputs += g.emit("call", x, y, body=body, source=here())
    verify(g)
    body.equations.reverse()
    with pytest.raises(GraphError, match=r"(?s)in its sub-graph 'body'.*test_subgraphs.py"):
        verify(g)


def test_arguments_that_do_not_fit_the_body_are_refused():
    with pytest.raises(GraphError, match="not the inputs of the body"):
        parse(PROGRAM.replace("call e y", "call e"))


def test_dead_code_is_dropped_inside_sub_graphs():
    (e,) = [e for e in dce(parse(PROGRAM)).equations if e.name == "call"]
    assert [f.name for f in e.params["body"].equations] == ["mul", "sin", "gt"]


def test_an_equation_stays_while_one_of_its_outputs_is_read():
    g = parse(PROGRAM)
    g.outputs = [g.equations[1].outs[1]]
    assert [e.name for e in dce(g).equations] == ["exp", "call"]


def test_dead_code_elimination_does_not_change_the_graph_it_is_given():
    g = parse(PROGRAM)
    dce(g)
    assert g == parse(PROGRAM)
    assert isinstance(g.equations[1], Equation)


@pytest.mark.parametrize("wrt", [(0, 1), (0,), (1,)])
def test_reverse_mode_goes_through_sub_graphs(wrt):
    found = evaluate(verify(vjp(parse(PROGRAM), wrt)), X, Y, 1.0)
    for a, b in zip(found, evaluate(vjp(inlined(), wrt), X, Y, 1.0), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)


@pytest.mark.parametrize("wrt", [(0, 1), (0,), (1,)])
def test_forward_mode_goes_through_sub_graphs(wrt):
    ts = [np.array([1.0, -2.0, 0.5])] * len(wrt)
    found = evaluate(verify(jvp(parse(PROGRAM), wrt)), X, Y, *ts)
    for a, b in zip(found, evaluate(jvp(inlined(), wrt), X, Y, *ts), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)


def test_second_derivatives_go_through_sub_graphs():
    t = np.array([1.0, -2.0, 0.5])
    (of_call, of_parts) = (verify(jvp(vjp(g, (0,)), (0,))) for g in (parse(PROGRAM), inlined()))
    np.testing.assert_allclose(
        evaluate(of_call, X, Y, 1.0, t)[-1], evaluate(of_parts, X, Y, 1.0, t)[-1], rtol=1e-13
    )
    (of_call, of_parts) = (verify(vjp(vjp(g, (0,)), (0,))) for g in (parse(PROGRAM), inlined()))
    args = (X, Y, 1.0, 0.0, t)
    np.testing.assert_allclose(evaluate(of_call, *args)[-1], evaluate(of_parts, *args)[-1], rtol=1e-13)


def test_nested_sub_graphs_print_and_read_back():
    inner = "{ a:float64[] -> b:float64[] = sin a -> b }"
    middle = f"{{ a:float64[] -> b:float64[] = call a body={inner} -> b }}"
    g = parse(f"{{ a:float64[] -> b:float64[] = call a body={middle} -> b }}")
    assert parse(str(g)) == g
    assert evaluate(vjp(g), 0.0, 1.0) == (0.0, 1.0)


def test_sub_graphs_that_nest_without_end_are_refused():
    source = "{ a:float64[] -> b:float64[] = call a body=" * 10_000
    with pytest.raises(GraphError, match="too deep"):
        parse(source)
