"""Functions and computed tensors as graphs, read from the tape."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule import dispatch
from chainrule.errors import ArgumentError, GraphError, UnsupportedError
from chainrule.ir.evaluate import evaluate
from chainrule.ir.text import parse
from chainrule.ir.verify import verify
from chainrule.record.graph_of import graph_of
from chainrule.testing.fuzz import fuzz_graph, replay
from chainrule.testing.graphs import check_graph
from chainrule.transforms.forward import jvp
from chainrule.transforms.reverse import vjp

RNG = np.random.default_rng(11)
W, X, B = RNG.normal(size=(4, 3)), RNG.normal(size=(5, 4)), RNG.normal(size=3)


def test_the_first_case_of_the_lecture_as_a_graph():
    wanted = """{ w:float64[] -> u:float64[] = mul 4.0 w  p:float64[] = integer_pow w n=3
                L:float64[] = add u p -> L }"""
    assert graph_of(lambda w: 4 * w + w**3, 1.0) == parse(wanted)


def test_broadcasts_become_equations():
    g = graph_of(lambda x, b: x * 2.0 + b, np.ones((2, 3)), np.ones(3))
    assert [e.name for e in verify(g).equations] == ["broadcast", "mul", "broadcast", "add"]


def test_casts_become_equations():
    g = graph_of(lambda x, y: x * y, np.ones(2, np.float32), np.ones(2))
    assert [e.name for e in verify(g).equations] == ["cast", "mul"]


def layer(w, x, b):
    h = cr.tanh(x @ w + b)
    s = (h * h).sum(0)
    return (
        cr.where(s > 1.0, cr.log(s), 0.5 * s).mean()
        + cr.logsumexp(h, 1).sum()
        + h[1:3, 0].prod()
        + cr.amax(h)
    )


def written(x):
    y = x * 1.0
    y[0] = y[1] * 2.0
    v = y.view(2, 3)
    v += 1.0
    return cr.cat([y, v.reshape(6)])


def looped(x):
    for k in range(3):
        x = x * k + cr.sin(x)
    return x


FUNCTIONS = [
    pytest.param(layer, (W, X, B), id="layer"),
    pytest.param(written, (RNG.normal(size=6),), id="in place"),
    pytest.param(looped, (X,), id="loop"),
    pytest.param(lambda x: cr.where(x > 0, x.exp(), x.sin()), (X,), id="where"),
    pytest.param(lambda x: x.float().exp().double() * 2, (X,), id="casts"),
    pytest.param(lambda x: cr.softmax(x, 1)[:, 0], (X,), id="softmax"),
    pytest.param(lambda x: x.max(0)[0] - x.std(1).sum(), (X,), id="max"),
    pytest.param(lambda x: cr.sqrt((x * x).sum()), (np.zeros(3),), id="norm at 0"),
]


@pytest.mark.parametrize("f, args", FUNCTIONS)
def test_the_graph_has_the_value_of_the_function_bit_for_bit(f, args):
    (value,) = evaluate(check_graph(graph_of(f, *args)), *args)
    np.testing.assert_array_equal(value, np.asarray(f(*map(cr.tensor, args))))


@pytest.mark.parametrize("f, args", FUNCTIONS)
def test_the_vjp_of_the_graph_is_the_eager_gradient(f, args):
    g = graph_of(f, *args)
    ct = np.ones(g.outputs[0].shape)
    found = evaluate(verify(vjp(g)), *args, ct)[1:]
    wanted = cr.grad(lambda *xs: f(*xs).sum(), tuple(range(len(args))))(*args)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, np.asarray(b), rtol=1e-12, atol=1e-14)


@given(st.integers(0, 10**9))
def test_random_programs_run_eagerly_as_the_reference_says(seed):
    """Values bit for bit, derivatives to rounding error, and the tape gives the program back."""
    rng = np.random.default_rng(seed)
    g, args = fuzz_graph(rng, size=6)
    held = []  # what only a condition read would be gone from the tape

    def emit(name, *xs, **params):
        held.append(dispatch.emit(name, *xs, **params))
        return held[-1]

    def run(*xs):
        return replay(g, emit, *xs)

    values = evaluate(g, *args)
    for a, b in zip(run(*map(cr.tensor, args)), values, strict=True):
        np.testing.assert_array_equal(np.asarray(a), b)
    weights = [rng.normal(size=v.shape) for v in values]
    total = lambda *xs: sum((t * w).sum() for t, w in zip(run(*xs), weights, strict=True))
    gradient = cr.grad(total, tuple(range(len(args))))(*args)
    for a, b in zip(evaluate(vjp(g), *args, *weights)[len(values) :], gradient, strict=True):
        np.testing.assert_allclose(a, np.asarray(b), rtol=1e-9, atol=1e-11)
    ts = [rng.normal(size=a.shape) for a in args]
    along = sum(
        np.sum(w * t) for w, t in zip(weights, evaluate(jvp(g), *args, *ts)[len(values) :], strict=True)
    )
    np.testing.assert_allclose(float(cr.jvp(total, tuple(args), tuple(ts))[1]), along, rtol=1e-9, atol=1e-9)
    again = check_graph(graph_of(run, *args))
    for a, b in zip(evaluate(again, *args), values, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_composite_keeps_its_reading():
    g = graph_of(lambda x: cr.log(1 + cr.exp(x)), 1000.0)
    assert g.equations[-1].reading.name == "softplus"
    assert evaluate(vjp(g), 1000.0, 1.0) == (np.inf, 1.0)


def test_every_equation_has_the_users_line():
    def f(x):
        y = cr.sin(x)
        return y * x

    first = f.__code__.co_firstlineno
    assert [e.source.line - first for e in graph_of(f, 1.0).equations] == [1, 2]


def test_the_graph_is_right_at_other_points():
    g = graph_of(lambda x: cr.where(x > 0, x * 2, x * 3), 1.0)
    assert evaluate(g, -1.0) == (-3.0,)


def test_a_tuple_of_results_gives_several_outputs():
    g = graph_of(lambda x: (x, x * 2, 3.0), 1.0)
    assert evaluate(g, 5.0) == (5.0, 10.0, 3.0)


def test_arguments_of_integers_are_inputs():
    g = graph_of(lambda x, i: x[i], np.array([1.0, 2.0, 4.0]), np.array([0, 2]))
    assert evaluate(g, np.array([1.0, 2.0, 4.0]), np.array([1, 1]))[0].tolist() == [2.0, 2.0]


def test_the_arguments_are_not_changed_by_the_function():
    def f(x):
        x[0] = 5.0
        return x.sum()

    a = np.ones(2)
    g = graph_of(f, a)
    assert a.tolist() == [1.0, 1.0]
    assert evaluate(g, a) == (6.0,)


def test_the_graph_of_a_tensor_has_its_leaves_as_inputs():
    w = cr.tensor(2.0, requires_grad=True)
    b = cr.tensor(5.0, requires_grad=True)
    c = cr.tensor(10.0)
    g = graph_of(b * w + c)
    assert g == parse("{ w:float64[] b:float64[] -> m:float64[] = mul b w  s:float64[] = add m 10.0 -> s }")


def test_what_does_not_depend_on_the_arguments_is_a_constant():
    c = cr.tensor(3.0)
    g = graph_of(lambda x: x * cr.exp(cr.sin(c) - cr.sin(c)), 2.0)
    assert g == parse("{ x:float64[] -> y:float64[] = mul x 1.0 -> y }")


def test_tracked_values_from_outside_are_constants():
    w = cr.tensor(3.0, requires_grad=True) * 2
    assert graph_of(lambda x: x * w, 2.0) == parse("{ x:float64[] -> y:float64[] = mul x 6.0 -> y }")


def leaf(value):
    return cr.tensor(value, requires_grad=True)


def test_a_large_value_that_the_tape_has_not_kept_is_refused():
    big = np.ones((100, 100))
    with pytest.raises(GraphError, match=r"(?s)has not kept.*float64\[100,100\].*graph_of\(f"):
        graph_of(leaf(1.0) + big)


def test_the_recorder_has_what_the_tape_has_not_kept():
    big = np.ones((100, 100))
    g = graph_of(lambda x: x + big, 1.0)
    np.testing.assert_array_equal(evaluate(g, 2.0)[0], big + 2.0)


def test_a_large_constant_that_the_derivative_reads_is_there():
    big = np.arange(10_000.0)
    g = graph_of(lambda x: (x * big).sum(), 1.0)
    assert evaluate(g, 2.0) == (2 * big.sum(),)


def test_a_condition_whose_history_is_gone_is_refused_and_not_taken_for_a_constant():
    x = leaf(X)
    with pytest.raises(GraphError, match=r"(?s)cut, so it cannot be told from a constant.*test_from_tape.py"):
        graph_of(cr.where(cr.sin(x) > 0, x, 0.0))


def test_the_recorder_knows_where_a_condition_came_from():
    g = graph_of(lambda x: cr.where(cr.sin(x) > 0, x, 0.0), X)
    np.testing.assert_array_equal(evaluate(g, X)[0], np.where(np.sin(X) > 0, X, 0.0))


def long(x, n):
    for _ in range(200):
        n = n + 1
    return x * n


def test_a_long_untracked_history_is_refused_and_not_taken_for_a_constant():
    with pytest.raises(GraphError, match="cut"):
        graph_of(long(leaf(1.0), cr.tensor(1)))


def test_the_recorder_cuts_no_history():
    assert evaluate(graph_of(long, 1.0, np.array(1)), 2.0, np.array(1)) == (402.0,)


def test_a_function_that_returns_no_tensor_is_refused():
    with pytest.raises(UnsupportedError, match="returns no tensor"):
        graph_of(lambda x: None, 1.0)


def test_what_is_no_function_is_refused():
    with pytest.raises(ArgumentError, match="takes a function or a tensor, not a int"):
        graph_of(3, 1.0)


def test_a_tensor_takes_no_point():
    with pytest.raises(ArgumentError, match="takes no point"):
        graph_of(cr.tensor(1.0), 1.0)


def test_a_tape_of_100_000_operations_becomes_a_graph():
    def f(x):
        for _ in range(50_000):
            x = cr.sin(-x)
        return x

    g = graph_of(f, 0.0)
    assert len(g.equations) == 100_000
    assert evaluate(g, 0.0) == (0.0,)
