"""Writes into tensors and through views of them, against the same function without changes in place."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.errors import (
    ArgumentError,
    ChainruleError,
    DtypeError,
    IndexingError,
    OverwrittenError,
    ShapeError,
)

POINT = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


def leaf(value):
    return cr.tensor(value, requires_grad=True)


def _one_place(y, x):
    y[0, 1] = x[1, 2] * 10


def _row(y, x):
    y[0] = y[1] * 2


def _column(y, x):
    y[:, 1] *= 3


def _slice(y, x):
    y[:, 1:] *= x[:, :2]


def _transpose(y, x):
    y.T[0] += x.T[2]


def _reshape(y, x):
    y.reshape(6)[2:4] *= x.reshape(6)[:2]


def _chain(y, x):
    v = y[:, 1:]
    u = v.T
    w = u[0]
    w *= x[:, 0]
    u += 1


def _flat_then_view(y, x):
    v = y[0]
    y *= 2
    v += x[1]


def _mask(y, x):
    y[x > 2.5] = x[0, 0] * 7


def _mask_in_place(y, x):
    y[x > 2.5] *= 5


def _twice_the_same_row(y, x):
    y[[0, 0]] = cr.stack([x[1] * 2, x[1] * 2])


def _gathered(y, x):
    y[[1, 0], [0, 2]] += x[0, :2]


def _negative_step(y, x):
    y[:, ::-1] = x * 2


def _overlap(y, x):
    y[:, 1:] = y[:, :-1]


def _zero(y, x):
    y.zero_()
    y += x * 3


def _broadcast(y, x):
    y += x[0]
    y *= x[:, :1]


def _number(y, x):
    y[1] = 0.0
    y[0, 0] = 2


def _copy(y, x):
    y.copy_(x.flip(0))


def _own_rule(y, x):
    y *= y
    y **= 2
    y.exp_()


def _none_and_ellipsis(y, x):
    y[..., None, 0] = x[:, 2:]


def _programs():
    functions = [f for f in list(globals().values()) if hasattr(f, "__code__")]
    return {f.__name__: f for f in functions if f.__code__.co_varnames[:2] == ("y", "x")}


PROGRAMS = _programs()


def run(program, x):
    y = x * 1.0
    program(y, x)
    return y


def directional(program, x, t, h=1e-6):
    up, down = (run(program, cr.tensor(x + s * h * t)).numpy().copy() for s in (1, -1))
    return (up - down) / (2 * h)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_values_are_numpys(name):
    np.testing.assert_allclose(
        run(PROGRAMS[name], cr.tensor(POINT / 4)).numpy(), numpy_result(name, POINT / 4), rtol=1e-15
    )


def numpy_result(name, x):
    """The same program by assignments to a NumPy array."""
    y = x * 1.0
    rows = {
        "_one_place": lambda: y.__setitem__((0, 1), x[1, 2] * 10),
        "_row": lambda: y.__setitem__(0, y[1] * 2),
        "_column": lambda: y.__setitem__((slice(None), 1), y[:, 1] * 3),
        "_slice": lambda: y.__setitem__((slice(None), slice(1, None)), y[:, 1:] * x[:, :2]),
        "_transpose": lambda: y.__setitem__((slice(None), 0), y[:, 0] + x[:, 2]),
        "_reshape": lambda: y.reshape(6).__setitem__(slice(2, 4), y.reshape(6)[2:4] * x.reshape(6)[:2]),
        "_chain": lambda: (y.__setitem__((slice(None), 1), y[:, 1] * x[:, 0]),
                           y.__setitem__((slice(None), slice(1, None)), y[:, 1:] + 1)),
        "_mask": lambda: y.__setitem__(x > 2.5, x[0, 0] * 7),
        "_mask_in_place": lambda: y.__setitem__(x > 2.5, y[x > 2.5] * 5),
        "_twice_the_same_row": lambda: y.__setitem__(0, x[1] * 2),
        "_gathered": lambda: y.__setitem__(([1, 0], [0, 2]), y[[1, 0], [0, 2]] + x[0, :2]),
        "_negative_step": lambda: y.__setitem__((slice(None), slice(None, None, -1)), x * 2),
        "_overlap": lambda: y.__setitem__((slice(None), slice(1, None)), y[:, :-1].copy()),
        "_broadcast": lambda: y.__setitem__(..., (y + x[0]) * x[:, :1]),
        "_number": lambda: (y.__setitem__(1, 0.0), y.__setitem__((0, 0), 2)),
        "_zero": lambda: y.__setitem__(..., x * 3),
        "_copy": lambda: y.__setitem__(..., x[::-1]),
        "_own_rule": lambda: y.__setitem__(..., np.exp((x * x) ** 2)),
        "_flat_then_view": lambda: (y.__setitem__(..., y * 2), y.__setitem__(0, y[0] + x[1])),
        "_none_and_ellipsis": lambda: y.__setitem__((slice(None), 0), x[:, 2]),
    }  # fmt: skip
    rows[name]()
    return y


@pytest.mark.parametrize("name", PROGRAMS)
def test_reverse_forward_and_differences_agree(name):
    program = PROGRAMS[name]
    rng = np.random.default_rng(0)
    point = POINT / 4  # small enough for exp(x⁴)
    t, ct = rng.normal(size=POINT.shape), rng.normal(size=POINT.shape)
    x = leaf(point)
    (run(program, x) * ct).sum().backward()
    numeric = directional(program, point, t)
    np.testing.assert_allclose((x.grad.numpy() * t).sum(), (numeric * ct).sum(), rtol=1e-6)
    _, pushed = cr.jvp(lambda v: run(program, v), (point,), (t,))
    np.testing.assert_allclose(pushed.numpy(), numeric, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(
        cr.grad(lambda v: (run(program, v) * ct).sum())(point).numpy(), x.grad.numpy(), rtol=1e-14
    )


def test_programs_were_found():
    assert len(PROGRAMS) == 20


@pytest.mark.parametrize("transform", [cr.grad, cr.hessian, cr.jacfwd, cr.jacrev])
@pytest.mark.parametrize("make", [np.array, cr.tensor], ids=["array", "tensor"])
def test_a_function_may_change_its_argument_and_the_callers_array_stays(transform, make):
    def changing(w):
        w[0] = w[1] * w[0]
        w += 1
        v = w[1:]
        v *= w[0]
        return (w * w).sum()

    def pure(w):
        a, b, c = w[1] * w[0] + 1, w[1] + 1, w[2] + 1
        return a**2 + (a * b) ** 2 + (a * c) ** 2

    point = make([0.5, -1.5, 2.0])
    found, expected = transform(changing)(point), transform(pure)(make([0.5, -1.5, 2.0]))
    np.testing.assert_allclose(found.tolist(), expected.tolist(), rtol=1e-12)
    assert point.tolist() == [0.5, -1.5, 2.0]


def test_the_caller_may_change_the_point_before_the_pullback():
    point = np.array([1.0, 2.0])
    _, pullback = cr.vjp(lambda x: (x * x).sum(), point)
    point[0] = 100.0
    assert pullback(1.0)[0].tolist() == [2.0, 4.0]


def test_an_untracked_buffer_becomes_tracked_when_a_tracked_value_is_written():
    z, buffer = leaf([1.0, 2.0]), cr.zeros(3)
    view = buffer[:2]
    for i in range(3):
        buffer[i] = z[i % 2] * (i + 1)
    assert view.requires_grad
    buffer.sum().backward()
    assert z.grad.tolist() == [4.0, 2.0]


def test_an_update_by_a_view_that_has_become_tracked_is_recorded():
    z, buffer, total = leaf(2.0), cr.zeros(2), cr.zeros(2)
    view = buffer[:]
    buffer[0] = z * 3
    total += view
    assert total.requires_grad
    total.sum().backward()
    assert z.grad.item() == 3.0


def test_a_view_of_a_leaf_reads_the_update():
    w = leaf([1.0, 2.0])
    first = w[0]
    with cr.no_grad():
        w += 1
    assert first.item() == 2.0
    (first * first).backward()
    assert w.grad.tolist() == [4.0, 0.0]


def test_a_number_shares_memory_once_somebody_looks_at_it():
    x = cr.tensor(2.0)
    d = x.detach()
    d += 1
    x += 1
    assert (x.item(), d.item()) == (4.0, 4.0)


def test_numpy_and_tensor_share_memory_both_ways():
    x = cr.zeros(2)
    a = x.numpy()
    x += 1
    a[0] = 7
    assert x.tolist() == [7.0, 1.0]
    y = cr.from_numpy(a)
    y *= 2
    assert a.tolist() == [14.0, 2.0]


def _fails(change, error):
    x = cr.tensor([1.0, 2.0])
    with pytest.raises(error) as info:
        change(x)
    assert isinstance(info.value, ChainruleError)
    assert info.value.fix
    assert x.tolist() == [1.0, 2.0]


def _iadd(x, v):
    x += v


@pytest.mark.parametrize(
    "change, error",
    [
        (lambda x: x.__setitem__(slice(0, 2), cr.tensor([1.0, 2.0, 3.0])), ShapeError),
        (lambda x: _iadd(x, cr.tensor([1.0, 2.0, 3.0])), ShapeError),
        (lambda x: _iadd(x, cr.ones(2, 2)), ShapeError),
        (lambda x: _iadd(x, "a"), TypeError),
        (lambda x: _iadd(x, 1j), DtypeError),
        (lambda x: x.__setitem__(0, 1j), DtypeError),
        (lambda x: x.__setitem__(0, "a"), TypeError),
        (lambda x: x.__setitem__(5, 1.0), IndexingError),
        (lambda x: x.__setitem__([0, 5], 1.0), IndexingError),
        (lambda x: x.__setitem__(0.5, 1.0), IndexingError),
        (lambda x: x.__setitem__((0, 0), 1.0), IndexingError),
        (lambda x: x.__setitem__([True, False, True], 1.0), IndexingError),
    ],
    ids=[
        "slice",
        "+= 3",
        "+= 2x2",
        "+= str",
        "+= complex",
        "complex",
        "str",
        "range",
        "list range",
        "float",
        "two",
        "mask",
    ],
)
def test_a_change_that_fails_leaves_the_values(change, error):
    _fails(change, error)


@pytest.mark.parametrize("change", [lambda x: _iadd(x, 0.5), lambda x: x.div_(2), lambda x: x.sqrt_()])
def test_whole_numbers_do_not_take_fractions(change):
    x = cr.tensor([4, 2])
    with pytest.raises(DtypeError, match="does not fit into int64"):
        change(x)
    assert x.tolist() == [4, 2]


def test_whole_numbers_change_in_place():
    x = cr.tensor([1, 2, 3])
    x += 1
    x *= 2
    x[0] = 7
    x //= 2
    assert x.tolist() == [3, 3, 4]
    assert x.dtype == cr.int64


def test_an_expanded_tensor_is_not_written():
    x = cr.tensor([1.0])
    with pytest.raises(ArgumentError, match="several entries share") as info:
        _iadd(x.expand(3), 1)
    assert "clone()" in info.value.fix
    assert x.item() == 1.0


def test_a_view_that_was_changed_is_assigned_to_itself_once():
    """`x[1:] *= 2` is a change of the view and an assignment of it to its own place: one update, not two."""
    x = leaf([1.0, 2.0]) * 1.0
    x[1:] *= 2
    names = []
    n = x.grad_fn
    while n is not None:
        names.append(n.name)
        n = n.parents[0] if n.parents else None
    assert names.count("index_update") == 1


# --- random programs ------------------------------------------------------------------------------


KEYS = st.sampled_from(
    [0, -1, slice(0, 2), slice(1, 3), slice(None, None, 2), slice(None, None, -1), [0, 2], [2, 1]]
)
STEP = st.tuples(KEYS, st.sampled_from(["=", "+=", "*=", "-=", "view", "use"]), KEYS)


def in_place(steps, x):
    y, total = x * 1.0, 0.0
    for key, how, other in steps:
        value = cr.tanh(x[other]).sum()
        if how == "=":
            y[key] = value
        elif how == "+=":
            y[key] += value
        elif how == "*=":
            y[key] *= value
        elif how == "-=":
            y[key] -= y[other].sum()
        elif how == "view":
            v = y[::-1]
            y *= 0.5
            v += value
        else:
            total = total + y.sum()
    return total + (y * cr.arange(1.0, 5.0)).sum()


def functional(steps, x):
    """The same with one tensor per entry and no change in place."""
    y, total = [x[i] * 1.0 for i in range(4)], 0.0
    for key, how, other in steps:
        value = sum(cr.tanh(x[i]) for i in _places(other))
        old = list(y)
        for i in _places(key):
            if how == "=":
                y[i] = value
            elif how == "+=":
                y[i] = old[i] + value
            elif how == "*=":
                y[i] = old[i] * value
            elif how == "-=":
                y[i] = old[i] - sum(old[j] for j in _places(other))
        if how == "view":
            y = [v * 0.5 + value for v in y]
        elif how == "use":
            total = total + sum(y)
    return total + sum(v * (i + 1.0) for i, v in enumerate(y))


def _places(key):
    found = np.arange(4)[key]
    return found.reshape(-1).tolist()


@given(st.lists(STEP, max_size=6))
def test_random_programs_in_place_equal_their_functional_version(steps):
    point = np.array([0.3, -0.7, 1.1, 0.4])
    value, gradient = cr.value_and_grad(lambda x: in_place(steps, x))(point)
    wanted_value, wanted = cr.value_and_grad(lambda x: functional(steps, x))(point)
    np.testing.assert_allclose(value.item(), wanted_value.item(), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(gradient.numpy(), wanted.numpy(), rtol=1e-11, atol=1e-11)
    _, tangent = cr.jvp(lambda x: in_place(steps, x), (point,), (np.ones(4),))
    np.testing.assert_allclose(tangent.item(), wanted.numpy().sum(), rtol=1e-11, atol=1e-11)


@given(st.lists(STEP, max_size=5), KEYS)
def test_a_stale_read_is_an_error_whatever_happened_before(steps, key):
    x = leaf([0.3, -0.7, 1.1, 0.4])
    y = x * 1.0
    for k, how, _ in steps:
        if how == "=":
            y[k] = 1.5
        elif how == "view":
            y.T.mul_(2)
    loss = (y * y).sum()
    y[key] = 3.0
    with pytest.raises(OverwrittenError) as info:
        loss.backward()
    assert "loss = (y * y).sum()" in info.value.given
    assert "y[key] = 3.0" in info.value.given
    assert x.grad is None
