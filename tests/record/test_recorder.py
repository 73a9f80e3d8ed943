"""The recorder: functions run on shapes and dtypes become graphs with the eager values and derivatives."""

import gc
import weakref

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import LeafInPlaceError, NotTrackedError, ShapeError, TraceError
from chainrule.ir.evaluate import evaluate
from chainrule.ir.types import Type, type_of
from chainrule.ir.verify import verify
from chainrule.record.recorder import Drawn, Output, record
from chainrule.transforms.reverse import vjp

FLOAT = np.dtype(float)
RNG = np.random.default_rng(5)
X = RNG.normal(size=6)


def recorded(f, *args, **options):
    """The recording of a function that returns a tensor or a tuple of them, checked."""
    leaves = lambda *ts: (lambda r: list(r) if isinstance(r, tuple) else [r])(f(*ts))
    found = record(leaves, [type_of(np.asarray(a)) for a in args], name="record", **options)
    verify(found.graph)
    return found


def values(recording, *args):
    """Its outputs at `args`, with the captured values as they are now."""
    captured = [np.asarray(t.make() if isinstance(t, Drawn) else t) for t in recording.captured]
    return evaluate(recording.graph, *args, *captured)


def names(recording):
    return [e.name for e in recording.graph.equations]


# --- operations ------------------------------------------------------------------------------------------


def test_operations_become_equations_in_order_with_the_users_lines():
    def f(x):
        y = cr.sin(x)
        return y * x

    g = recorded(f, X).graph
    first = f.__code__.co_firstlineno
    assert [(e.name, e.source.line - first) for e in g.equations] == [("sin", 1), ("mul", 2)]


def test_an_operation_of_several_primitives_is_one_step():
    sources = [e.source for e in recorded(lambda x: cr.log_softmax(x, 0), X).graph.equations]
    assert {s.scope for s in sources} == {"log_softmax"}
    assert len({s.call for s in sources}) == 1


def test_what_does_not_depend_on_the_arguments_is_computed_outside():
    calls = []

    def f(x):
        c = cr.exp(cr.tensor(2.0))
        calls.append(float(c))
        return x * c

    assert names(recorded(f, 1.0)) == ["mul"]
    assert calls == [np.exp(2.0)]


def test_a_tensor_from_outside_is_captured_once():
    w = cr.tensor([1.0, 2.0], requires_grad=True)
    found = recorded(lambda x: w * x + w, np.ones(2))
    assert len(found.captured) == 1
    assert found.captured[0] is w


def test_an_array_from_outside_is_captured_as_it_was_when_it_was_read():
    def f(x):
        a = np.zeros(2)
        a[0] = 1.0
        y = x * a
        a[0] = 5.0
        return y + x * a

    np.testing.assert_array_equal(values(recorded(f, np.ones(2)), np.ones(2))[0], [6.0, 0.0])


def test_numbers_become_constants():
    found = recorded(lambda x: x * 2.0 + 1, 1.0)
    assert found.captured == []
    assert values(found, 3.0) == (7.0,)


def test_a_result_that_does_not_depend_on_the_arguments_is_passed_through():
    c = cr.tensor(3.0)
    found = recorded(lambda x: (c, x, "name"), 1.0)
    assert found.leaves[0] is c
    assert found.leaves[1:] == [Output(0), "name"]


def test_shapes_that_do_not_fit_are_refused_with_the_line():
    with pytest.raises(ShapeError, match=r"(?s)float64\[6\].*float64\[4\].*test_recorder.py"):
        recorded(lambda x: x + np.ones(4), X)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x.reshape(2, 3).t().sum(0),
        lambda x: cr.where(x > 0, x, -x).max(),
        lambda x: x[1:4] @ x[:3] + x.max(0)[0],
        lambda x: cr.softmax(x, 0).var() + cr.logsumexp(x, 0),
        lambda x: np.sin(x) + np.ones(6) * x,
        lambda x: x.float().sum().double(),
        lambda x: (x > 0).sum() * x.mean(),
        lambda x: cr.einsum("i,i->", x, x) ** 0.5,
    ],
)
def test_the_graph_has_the_value_of_the_function(f):
    (value,) = values(recorded(f, X), X)
    np.testing.assert_allclose(value, np.asarray(f(cr.tensor(X))), rtol=1e-14)


# --- recorders inside each other -------------------------------------------------------------------------


def test_an_operation_goes_to_the_innermost_recorder_among_its_operands():
    inner = []

    def f(x):
        def g(y):
            return [cr.exp(x) * y + x * x]

        inner.append(record(g, [Type((), FLOAT)], name="inner"))
        return x

    outer = recorded(f, 1.0)
    assert names(outer) == ["exp", "mul"]
    assert names(inner[0]) == ["mul", "add"]
    assert len(inner[0].captured) == 2


def test_with_whole_every_operation_is_recorded():
    w = cr.tensor(2.0)
    found = recorded(lambda x: x * cr.exp(w), 1.0, whole=True)
    assert names(found) == ["exp", "mul"]
    w.fill_(0.0)
    assert values(found, 3.0) == (3.0,)


# --- the tape on traced values ---------------------------------------------------------------------------


def loss(x):
    y = x.reshape(2, 3)
    return (
        (cr.tanh(y @ y.t()).sum(0) ** 2).sum() + cr.amax(x) * cr.log(1 + cr.exp(x[0])) + x[[0, 0, 2]].prod()
    )


def derivative(how):
    t = np.arange(6.0)
    return {
        "grad": lambda x: cr.grad(loss)(x),
        "jvp": lambda x: cr.jvp(loss, (x,), (t,))[1],
        "vjp": lambda x: cr.vjp(loss, x)[1](2.0)[0],
        "hvp": lambda x: cr.hvp(loss, x, cr.tensor(t))[1],
        "hessian": lambda x: cr.hessian(loss)(x),
        "grad of jvp": lambda x: cr.grad(lambda y: cr.jvp(loss, (y,), (t,))[1])(x),
        "jvp of vjp": lambda x: cr.jvp(lambda y: cr.vjp(loss, y)[1](2.0)[0], (x,), (t,))[1],
    }[how]


@pytest.mark.parametrize("how", ["grad", "jvp", "vjp", "hvp", "hessian", "grad of jvp", "jvp of vjp"])
def test_derivatives_inside_are_those_of_the_eager_engine(how):
    f = derivative(how)
    (value,) = values(recorded(f, X), X)
    np.testing.assert_allclose(value, np.asarray(f(cr.tensor(X)).detach()), rtol=1e-12, atol=1e-12)


def test_backward_and_grad_work_inside():
    def f(x):
        w = (x * 2).detach().requires_grad_()
        (w**3).sum().backward()
        w.sum().backward()
        return w.grad

    np.testing.assert_allclose(values(recorded(f, X), X)[0], 12 * X**2 + 1)


def test_autograd_grad_works_inside_and_can_be_repeated():
    def f(x):
        w = x.detach().requires_grad_()
        (g,) = cr.autograd.grad((w**3).sum(), w, create_graph=True)
        return cr.autograd.grad(g.sum(), w)[0]

    np.testing.assert_allclose(values(recorded(f, X), X)[0], 6 * X)


def test_hooks_run_once_while_recording():
    def f(x):
        w = x.detach().requires_grad_()
        w.register_hook(lambda g: g * 10)
        (w * w).sum().backward()
        return w.grad

    np.testing.assert_allclose(values(recorded(f, X), X)[0], 20 * X)


def test_the_gradient_of_a_leaf_from_outside_is_an_output_and_the_leaf_stays_as_it_was():
    w = cr.tensor([2.0, 3.0], requires_grad=True)

    def f(x):
        (w * x).sum().backward()
        return x

    found = recorded(f, np.ones(2))
    assert w.grad is None
    (written,) = found.written
    assert (written.cell, written.what) == (w.n, "grad")
    np.testing.assert_array_equal(values(found, np.array([5.0, 7.0]))[written.value.k], [5.0, 7.0])


def test_gradients_are_added_to_those_that_a_leaf_from_outside_has():
    w = cr.tensor(2.0, requires_grad=True)
    (3 * w).backward()

    def f(x):
        (w * x).backward()
        return x

    found = recorded(f, 1.0)
    assert w.grad.item() == 3.0
    assert values(found, 5.0)[found.written[0].value.k] == 8.0


@pytest.mark.parametrize("order", [1, 2, 3])
def test_a_branch_not_taken_contributes_nothing_in_any_order(order):
    f = lambda x: cr.where(x > 0, cr.log(x), 0.0)
    for _ in range(order):
        f = cr.grad(f)
    assert values(recorded(f, 1.0), 0.0) == (0.0,)
    assert values(recorded(f, 1.0), 2.0)[0] == [0.5, -0.25, 0.25][order - 1]


def test_under_no_grad_nothing_is_tracked():
    w = cr.tensor(2.0, requires_grad=True)

    def f(x):
        with cr.no_grad():
            y = w * x
        assert not y.requires_grad
        assert (w * x).requires_grad
        with pytest.raises(NotTrackedError):
            y.backward()
        return y

    recorded(f, 1.0)


def test_what_is_not_tracked_inside_is_detached_in_the_graph():
    def f(x):
        with cr.no_grad():
            y = x * 2
        return y * x

    assert names(recorded(f, 1.0)) == ["mul", "mul"]
    assert names(recorded(f, 1.0, tracked=[True])) == ["detach", "mul", "mul"]


def test_a_leaf_cannot_be_changed_in_place_inside_either():
    def f(x):
        w = x.detach().requires_grad_()
        w *= 2
        return w

    with pytest.raises(LeafInPlaceError):
        recorded(f, X)


# --- in-place operations and views -----------------------------------------------------------------------


def assigned(x):
    y = cr.zeros(6)
    y[0] = x[5]
    y[1:3] = x[:2] * 2
    y[[3, 4]] = x[[4, 3]]
    y[-1] += 1
    return y


def through_views(x):
    y = x * 1.0
    v, u = y.view(2, 3), y[2:]
    w = v[1]
    u *= 10
    v += 1
    w[0] = 7.0
    return cr.cat([y, v.reshape(6), u, w])


def transposed(x):
    y = x * 1.0
    t = y.reshape(2, 3).t()
    t[0] = t[1] * 3
    c = t.reshape(6)  # a copy: what is written to it stays there
    c[0] = -1.0
    return cr.cat([y, c])


def shifted(x):
    y = x.clone()
    for i in range(1, 6):
        y[i] = y[i] + y[i - 1] * 0.5
    return y


def detached(x):
    y = x * 1.0
    d = y.detach()
    d[0] = 9.0
    return y + d


def under_no_grad(x):
    w = x.detach().requires_grad_()
    for _ in range(3):
        (w**2).sum().backward()
        with cr.no_grad():
            w -= 0.1 * w.grad
            w[0] = 1.0
        w.grad.zero_()
    return w


def swapped(x):
    y = x * 1.0
    a, b = y[0].clone(), y[1].clone()
    y[0], y[1] = b, a
    y.data = y.detach() * 2
    return y


def overwritten_without_recording(x):
    y = x * 2.0
    with cr.no_grad():
        y *= 3.0
        y[0] = 1.0
    return y * y


PROGRAMS = [
    assigned,
    through_views,
    transposed,
    shifted,
    detached,
    under_no_grad,
    swapped,
    overwritten_without_recording,
]


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("f", PROGRAMS)
def test_programs_that_write_have_the_eager_value(f, whole):
    (value,) = values(recorded(f, X, whole=whole), X)
    np.testing.assert_allclose(value, np.asarray(f(cr.tensor(X)).detach()), rtol=1e-14)


@pytest.mark.parametrize("f", [f for f in PROGRAMS if f is not under_no_grad])
def test_programs_that_write_have_the_eager_gradient(f):
    weights = np.arange(1.0, 1 + f(cr.tensor(X)).numel())
    g = cr.grad(lambda x: (f(x) * weights).sum())
    np.testing.assert_allclose(values(recorded(g, X), X)[0], np.asarray(g(cr.tensor(X))), rtol=1e-13)


@pytest.mark.parametrize("f", [f for f in PROGRAMS if f is not under_no_grad])
def test_the_graphs_of_programs_that_write_have_the_eager_gradient(f):
    weights = np.arange(1.0, 1 + f(cr.tensor(X)).numel())
    g = cr.grad(lambda x: (f(x) * weights).sum())
    found = recorded(f, X, tracked=[True])
    (out,) = [leaf.k for leaf in found.leaves]
    backward = verify(vjp(found.graph, [0]))
    cts = [weights if k == out else np.zeros(v.shape) for k, v in enumerate(found.graph.outputs)]
    captured = [np.asarray(t) for t in found.captured]
    np.testing.assert_allclose(
        evaluate(backward, X, *captured, *cts)[-1], np.asarray(g(cr.tensor(X))), rtol=1e-13
    )


def test_an_argument_that_is_written_is_an_output_too():
    def f(x):
        x[0] = 5.0
        return x.sum()

    found = recorded(f, X)
    (written,) = found.written
    assert (written.cell, written.what) == (0, "value")
    assert values(found, X)[written.value.k][0] == 5.0


def test_a_cell_from_outside_that_is_written_is_an_output_and_stays_as_it_was():
    b = cr.zeros(3)
    view = b[1:]

    def f(x):
        view[0] = x
        return b.sum() + view[0]

    found = recorded(f, 1.0)
    np.testing.assert_array_equal(b, np.zeros(3))
    np.testing.assert_array_equal(view, np.zeros(2))
    (written,) = found.written
    assert written.cell is b
    total, after = values(found, 4.0)
    assert total == 8.0
    np.testing.assert_array_equal(after, [0.0, 4.0, 0.0])


def test_a_tensor_made_inside_is_no_cell_from_outside():
    def f(x):
        b = cr.zeros(3)
        b[0] = x
        return b

    assert recorded(f, 1.0).written == []


def test_what_was_captured_before_an_overwrite_by_numbers_keeps_its_value():
    w = cr.tensor([1.0, 2.0])

    def f(x):
        y = x * w
        w.mul_(10)
        return y + x * w

    np.testing.assert_array_equal(values(recorded(f, np.ones(2)), np.ones(2))[0], [11.0, 22.0])
    np.testing.assert_array_equal(w, [10.0, 20.0])


def test_an_error_leaves_every_cell_as_it_was():
    b = cr.zeros(2)
    w = cr.tensor(1.0, requires_grad=True)

    def f(x):
        b[0] = x
        (w * x).backward()
        raise KeyError

    with pytest.raises(KeyError):
        recorded(f, 1.0)
    np.testing.assert_array_equal(b, np.zeros(2))
    assert w.grad is None


# --- numbers that are asked for, values that are kept ------------------------------------------------------

ASKS = {
    "if": lambda x: x if x.sum() > 0 else -x,
    "float": lambda x: x * float(x[0]),
    "item": lambda x: x * x[0].item(),
    "int": lambda x: list(range(3))[int(x[0])],
    "index": lambda x: [1, 2][x.argmax()],
    "tolist": lambda x: x.tolist(),
    "numpy": lambda x: x.numpy(),
    "asarray": lambda x: np.asarray(x),
    "mask as index": lambda x: x[x > 0],
    "masked_select": lambda x: x.masked_select(x > 0),
    "nonzero": lambda x: cr.nonzero(x),
    "assignment by mask": lambda x: x.__setitem__(x > 0, 0.0),
    "range": lambda x: cr.arange(x[0]),
    "copy of numbers": lambda x: cr.tensor([x[0], x[1]]),
    "contains": lambda x: 1.0 in x,
    "format": lambda x: f"{x[0]:.3f}",
    "into an array": lambda x: np.add(np.zeros(6), 1.0, out=np.zeros(6)) + np.copyto(np.zeros(6), x),
}


@pytest.mark.parametrize("name", ASKS)
def test_a_number_that_is_asked_for_is_refused_with_the_line_and_a_way_out(name):
    with pytest.raises(TraceError) as info:
        recorded(ASKS[name], X)
    assert "record" in info.value.what
    assert info.value.fix
    assert "test_recorder.py" in str(info.value)


def test_a_tensor_can_be_printed_inside():
    shown = []
    recorded(lambda x: (shown.append(repr(x)), x)[1], X)
    assert shown == ["tensor(float64[6], traced by record)"]


def test_a_value_that_is_kept_is_refused_later_with_both_lines():
    kept = []

    def f(x):
        kept.append(cr.exp(x))
        return x

    recorded(f, 1.0)
    for use in (
        lambda t: t + 1,
        lambda t: t * np.ones(3),
        float,
        repr,
        lambda t: recorded(lambda y: y + t, 1.0),
    ):
        if use is repr:
            assert "traced by record" in repr(kept[0])
            continue
        with pytest.raises(
            TraceError, match=r"(?s)after it ended.*cr\.exp\(x\).*called at.*to fix it: return it"
        ):
            use(kept[0])


# --- random numbers ----------------------------------------------------------------------------------------


def test_draws_are_inputs_that_are_drawn_anew_in_the_eager_order():
    f = lambda x: x + cr.rand(2) + cr.randn(2)
    found = recorded(f, np.zeros(2), randomness="call")
    cr.manual_seed(3)
    wanted = [np.asarray(f(cr.zeros(2))) for _ in range(2)]
    cr.manual_seed(3)
    for w in wanted:
        np.testing.assert_array_equal(values(found, np.zeros(2))[0], w)


def test_draws_can_be_refused():
    with pytest.raises(TraceError, match=r'(?s)random numbers.*randomness="different"'):
        recorded(lambda x: x + cr.rand(2), np.zeros(2), randomness="error")


# --- memory --------------------------------------------------------------------------------------------------


def test_nothing_stays_alive_without_the_garbage_collector():
    refs = []

    def f(x):
        y = cr.exp(x)
        refs.extend([weakref.ref(y), weakref.ref(y.n)])
        return cr.grad(lambda z: (z * y).sum())(x)

    gc.collect()
    gc.disable()
    try:
        found = recorded(f, X)
        assert [r() for r in refs] == [None, None]
        del found
    finally:
        gc.enable()
