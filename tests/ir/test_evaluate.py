"""The reference engine: values, checked arguments, memory of its own."""

import math
import weakref

import numpy as np
import pytest

from chainrule.errors import DtypeError, GraphError, ShapeError
from chainrule.ir.evaluate import evaluate, last_readers
from chainrule.ir.graph import Graph
from chainrule.ir.text import parse
from chainrule.ir.types import Type
from chainrule.ir.verify import verify
from chainrule.source import here

LECTURE = parse(
    "{ w:float64[] -> u:float64[] = mul 4.0 w  p:float64[] = integer_pow w n=3  L:float64[] = add u p -> L }"
)


def test_the_first_case_of_the_lecture():
    assert evaluate(LECTURE, 1.0) == (5.0,)


def test_an_array_of_another_shape_is_refused():
    with pytest.raises(ShapeError, match=r"input 0 of the graph is float64\[\]"):
        evaluate(LECTURE, np.ones(2))


def test_an_array_of_another_dtype_is_refused_with_the_way_out():
    with pytest.raises(DtypeError, match=r"astype\('float64'\)"):
        evaluate(LECTURE, np.float32(1.0))


def test_a_python_number_fits_an_input_of_a_higher_category():
    assert evaluate(LECTURE, 1) == (5.0,)


def test_a_python_float_does_not_fit_an_integer():
    with pytest.raises(DtypeError):
        evaluate(parse("{ n:int64[] -> -> n }"), 1.5)


def test_arithmetic_is_ieee_and_silent():
    g = parse(
        "{ x:float64[] -> y:float64[] = div 1.0 x  z:float64[] = log x  w:float64[] = mul y z -> y z w }"
    )
    assert evaluate(g, 0.0) == (math.inf, -math.inf, -math.inf)


def test_results_share_no_memory_with_arguments_constants_or_each_other():
    g = parse("""{ x:float64[2] -> c:float64[2] = constant [1.0, 2.0]
                 r:float64[2,1] = reshape x shape=(2, 1) -> x x c r }""")
    x = np.array([3.0, 4.0])
    outs = evaluate(g, x)
    for k, out in enumerate(outs):
        out += k + 1
    assert x.tolist() == [3.0, 4.0]
    assert [o.ravel().tolist() for o in outs] == [[4.0, 5.0], [5.0, 6.0], [4.0, 5.0], [7.0, 8.0]]
    assert [o.ravel().tolist() for o in evaluate(g, x)][2] == [1.0, 2.0]


def test_a_failure_at_run_time_names_the_users_line():
    g = Graph()
    x, i = g.input(Type((2,), np.dtype(float))), g.input(Type((1,), np.dtype(int)))
    g.outputs.append(g.emit("index", x, i, spec=(("array", 0),), source=here()))
    with pytest.raises(GraphError, match=r"(?s)out of bounds.*test_evaluate.py"):
        evaluate(g, np.ones(2), np.array([5]))


def test_a_value_is_freed_after_its_last_reader(monkeypatch):
    g = parse("{ x:float64[3] -> a:float64[3] = sin x  b:float64[3] = cos a  c:float64[3] = exp b -> c }")
    sin, exp = g.equations[0].primitive, g.equations[2].primitive
    seen = []

    class Watched(np.ndarray):
        pass

    def watch(x):
        out = np.sin(x).view(Watched)
        seen.append(weakref.ref(out))
        return out

    def look(x):
        assert seen[0]() is None, "the value of sin is still held"
        return np.exp(np.asarray(x))

    values = {sin.name: watch, exp.name: look, "cos": lambda x: np.cos(np.asarray(x))}
    fields = {e: e.primitive for e in g.equations}
    try:
        for e in g.equations:
            object.__setattr__(e, "primitive", _Fake(fields[e], values[e.name]))
        evaluate(g, np.ones(3))
    finally:
        for e, p in fields.items():
            object.__setattr__(e, "primitive", p)
    assert seen


class _Fake:
    def __init__(self, p, value):
        self.name, self.value = p.name, value


def test_outputs_are_never_freed():
    g = parse("{ x:float64[] -> a:float64[] = sin x  b:float64[] = cos a -> a b }")
    assert [g.outputs[0] in dead for dead in last_readers(g)] == [False, False]


def test_a_chain_of_100_000_equations_prints_parses_verifies_and_evaluates():
    g = Graph()
    y = g.input(Type((), np.dtype(float)))
    for _ in range(50_000):
        y = g.emit("sin", g.emit("cos", y))
    g.outputs.append(y)
    verify(g)
    assert str(g).count("\n") == 100_001
    want = 0.5
    for _ in range(50_000):
        want = math.sin(math.cos(want))
    assert evaluate(g, 0.5)[0] == pytest.approx(want, rel=1e-14)
