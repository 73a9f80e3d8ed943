"""Calls of compiled functions: the native entry and the general way give the same, whatever the arguments are."""

import inspect
import math

import numpy as np
import pytest

import chainrule as cr
from chainrule.codegen import jit
from chainrule.codegen.objects import layout_of

needs_llvm = pytest.mark.skipif(not jit.is_available(), reason="llvmlite knows no target here")


def warm(f, *args):
    """Call until the native entry is there, if there can be one; whether there is."""
    for _ in range(3):
        f(*args)
    return f._latest.call is not None


def line_of(t):
    return t.n.source.line


# --- the native entry ---------------------------------------------------------------------------------


@needs_llvm
@pytest.mark.parametrize("x", [0.7, np.float64(0.7), cr.tensor(0.7)], ids=["float", "float64", "tensor"])
def test_one_number(x):
    f = cr.compile(lambda x: cr.sin(x) * x)
    assert warm(f, x)
    y = f(x)
    assert type(y) is cr.Tensor
    assert y.item() == pytest.approx(0.7 * math.sin(0.7), rel=1e-15)


@needs_llvm
def test_value_and_gradients_of_two_numbers():
    f = cr.compile(cr.value_and_grad(lambda x, y: cr.exp(x) * y, (0, 1)))
    assert warm(f, 0.5, 2.0)
    value, (dx, dy) = f(0.5, 2.0)
    e = math.exp(0.5)
    assert [value.item(), dx.item(), dy.item()] == pytest.approx([2 * e, 2 * e, e], rel=1e-15)


@needs_llvm
@pytest.mark.parametrize("make", [np.asarray, cr.tensor], ids=["numpy", "tensor"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_ten_arrays(make, dtype):
    arrays = [np.arange(8, dtype=dtype) + k for k in range(10)]
    f = cr.compile(lambda *xs: sum(xs[1:], xs[0]))
    assert warm(f, *map(make, arrays))
    y = f(*map(make, arrays))
    assert y.dtype == dtype
    assert y.tolist() == (10 * np.arange(8) + 45).tolist()


@needs_llvm
def test_several_results_in_a_tree():
    f = cr.compile(lambda x, y: {"b": (x * 2, [y]), "a": x.sum()})
    x = np.arange(3.0)
    assert warm(f, x, 1.5)
    out = f(x, 1.5)
    assert out["b"][0].tolist() == [0.0, 2.0, 4.0]
    assert [type(out["b"][1]), out["b"][1][0].item(), out["a"].item()] == [list, 1.5, 3.0]


@needs_llvm
def test_results_that_are_arguments_constants_or_twice_the_same():
    def f(x, n):
        y = x + 1
        return y, y, x, cr.ones(2) * 3, n, n

    g = cr.compile(f)
    x = np.array([1.0, 2.0])
    assert warm(g, x, 4.0)
    outs = g(x, 4.0)
    assert [t.tolist() for t in outs] == [[2.0, 3.0], [2.0, 3.0], [1.0, 2.0], [3.0, 3.0], 4.0, 4.0]
    for t in outs:
        t += 10  # none of them looks at another, at the argument or at the constant
    assert x.tolist() == [1.0, 2.0]
    assert [t.tolist() for t in outs] == [[12.0, 13.0], [12.0, 13.0], [11.0, 12.0], [13.0, 13.0], 14.0, 14.0]
    assert [t.tolist() for t in g(x, 4.0)[:4]] == [[2.0, 3.0], [2.0, 3.0], [1.0, 2.0], [3.0, 3.0]]


@needs_llvm
def test_a_result_is_a_leaf_of_the_line_that_called():
    f = cr.compile(lambda x: x * 2)
    warm(f, 1.0)
    y, line = f(1.0), inspect.currentframe().f_lineno
    assert (line_of(y), y.is_leaf, y.requires_grad, y.grad) == (line, True, False, None)
    y.requires_grad_()
    (y * 3).backward()
    assert y.grad.item() == 3.0
    late = f(1.0)
    assert late.n.serial > y.n.serial


@needs_llvm
def test_a_large_result_is_not_kept_by_its_node():
    f = cr.compile(lambda x: x * 2)
    x = np.ones(1000)
    assert warm(f, x)
    y = f(x)
    assert str(y.n.out) == "float64[1000]"
    assert f(x[:0]).shape == (0,)


@needs_llvm
@pytest.mark.parametrize(
    "other",
    [
        np.array([1, 2, 3]),
        np.array([1.0, 2.0, 3.0], np.float32),
        np.array([1.0, 2.0, 3.0], ">f8"),
        np.array([[1.0, 2.0, 3.0]]),
        np.array([1.0, 2.0]),
        np.arange(6.0)[::2],
        np.zeros(0),
        np.ma.array([1.0, 2.0, 3.0]),
        np.frombuffer(b"\0" * 4 + np.ones(3).tobytes(), offset=4),
        cr.tensor([1.0, 2.0, 3.0, 4.0])[:3],
        cr.tensor([1.0, 2.0, 3.0], requires_grad=True),
        cr.tensor([1.0, 2.0, 3.0], dtype=cr.float32),
        2.0,
    ],
    ids=["int64", "float32", "big-endian", "a row", "shorter", "strided", "empty", "masked", "not aligned", "view",
         "tracked", "float32 tensor", "number"],
)  # fmt: skip
def test_an_argument_of_another_kind_takes_the_general_way_and_back(other):
    f = lambda x: (x * 2.0 + 1.0) * 0.5
    g, x = cr.compile(f), np.arange(3.0)
    assert warm(g, x)
    expected = f(cr.as_tensor(other))
    found = g(other)
    assert (found.dtype, found.requires_grad) == (expected.dtype, expected.requires_grad)
    np.testing.assert_array_equal(found.detach().numpy(), expected.detach().numpy())
    assert g(x).tolist() == [0.5, 1.5, 2.5]


@needs_llvm
def test_read_only_memory_is_read():
    x = np.arange(3.0)
    x.flags.writeable = False
    f = cr.compile(lambda x: x + x)
    assert warm(f, x)
    assert f(x).tolist() == [0.0, 2.0, 4.0]


@needs_llvm
def test_fixed_arguments_must_be_the_same():
    f = cr.compile(lambda x, n, flag: x**n if flag else x * n)
    assert warm(f, 3.0, 2, True)
    assert [f(3.0, 2, True).item(), f(3.0, 3, True).item(), f(3.0, 2, False).item()] == [9.0, 27.0, 6.0]
    assert [f(3.0, 2, True).item(), f(3.0, 2, flag=True).item()] == [9.0, 9.0]
    with pytest.raises(TypeError):
        f(3.0)


@needs_llvm
def test_modes_hold():
    x = cr.tensor(2.0, requires_grad=True)
    f = cr.compile(lambda x: x * x)
    assert warm(f, 1.0)
    y = f(x)
    assert y.requires_grad
    with cr.no_grad():
        assert warm(f, x)
        assert not f(x).requires_grad
    with cr.inference_mode():
        inside = f(1.0)
    with pytest.raises(cr.errors.InferenceError):
        inside.requires_grad_()
    y.backward()
    assert x.grad.item() == 4.0
    assert f(x).requires_grad


def test_the_default_dtype_is_a_part_of_the_signature():
    f = cr.compile(lambda x: x * cr.tensor([1.0, 2.0]))
    x = np.float64(3.0)
    half = cr.compile(lambda x: x * 0.5)
    try:
        for dtype in (cr.float64, cr.float32, cr.float64):
            cr.set_default_dtype(dtype)
            warm(f, x)
            warm(half, 2.0)
            assert f(x).dtype == dtype
            assert half(2.0).dtype == dtype
    finally:
        cr.set_default_dtype(cr.float64)


def test_without_the_expected_layout_calls_take_the_general_way(monkeypatch):
    from chainrule.api import executable

    class Other:
        n = None

    assert layout_of(Other(), int) is None
    monkeypatch.setattr(executable, "_layout", lambda: None)
    f = cr.compile(lambda x: x * 2)
    assert not warm(f, 1.0)
    assert f(1.0).item() == 2.0


def test_work_that_takes_long_has_no_entry():
    """Python's lock is held in one: other threads would wait."""
    f = cr.compile(lambda x: cr.sin(x).sum())
    assert not warm(f, np.ones(100_000))
    assert f(np.ones(100_000)).item() == pytest.approx(100_000 * math.sin(1), rel=1e-12)


# --- what is read from outside --------------------------------------------------------------------------


def test_a_name_that_comes_to_mean_another_tensor_of_the_type_is_not_recorded_anew():
    recorded = []
    w = cr.tensor([1.0, 2.0])

    def f(x):
        recorded.append(x)
        return w * x

    g = cr.compile(f)
    for k in range(4):
        w = cr.tensor([k, k + 1.0])
        assert g(2.0).tolist() == [2.0 * k, 2.0 * k + 2]
        assert g(3.0).tolist() == [3.0 * k, 3.0 * k + 3]
    assert len(recorded) == 1
    w = cr.tensor([1.0, 2.0, 3.0])
    assert g(2.0).tolist() == [2.0, 4.0, 6.0]
    assert len(recorded) == 2


def test_two_names_may_begin_to_mean_one_tensor():
    a, b = cr.tensor(2.0), cr.tensor(3.0)
    f = cr.compile(lambda x: a * b * x)
    assert f(1.0).item() == 6.0
    b = a
    assert f(1.0).item() == 4.0
    b = cr.tensor(5.0)
    assert f(1.0).item() == 10.0


def test_a_tensor_from_outside_that_gets_another_shape_is_noticed():
    class Model:
        w = cr.ones(3)

    f = cr.compile(lambda x: (Model.w * x).sum())
    for n in (3, 5, 2, 2):
        Model.w.data = cr.ones(n)
        warm(f, 2.0)
        assert f(2.0).item() == 2.0 * n


def test_a_tensor_from_outside_that_begins_to_require_a_gradient_gets_one():
    w = cr.tensor([1.0, 2.0])
    f = cr.compile(lambda x: (w * x).sum())
    warm(f, 3.0)
    w.requires_grad_()
    f(3.0).backward()
    assert w.grad.tolist() == [3.0, 3.0]


def test_a_step_that_changes_a_tensor_follows_its_name():
    w = cr.tensor([1.0, 2.0])

    def step():
        w.sub_(0.5 * w)

    f = cr.compile(step)
    f()
    f()
    first, w = w, cr.tensor([8.0, 16.0])
    f()
    assert (first.tolist(), w.tolist()) == ([0.25, 0.5], [4.0, 8.0])


# --- what the function makes ----------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda: np.arange(3.0), lambda: cr.arange(3.0), lambda: [np.arange(3.0)]])
def test_what_the_function_makes_is_new_in_every_call(make):
    f = cr.compile(lambda x: (x, make()))
    entry = lambda made: made[0] if isinstance(made, list) else made
    for _ in range(3):
        made = entry(f(1.0)[1])
        assert np.asarray(made).tolist() == [0.0, 1.0, 2.0]
        made += 1


def test_a_leaf_that_the_function_makes_requires_a_gradient_in_every_call():
    f = cr.compile(lambda x: (x, cr.tensor(2.0, requires_grad=True)))
    first, second = f(1.0)[1], f(1.0)[1]
    (first * 3).backward()
    assert (first.grad.item(), second.grad, second.is_leaf) == (3.0, None, True)


def test_an_array_from_outside_comes_back_as_itself():
    a = np.ones(2)
    f = cr.compile(lambda x: (x, a))
    assert f(1.0)[1] is a
    a = np.zeros(2)
    assert f(1.0)[1] is a


def read_only(*numbers):
    a = np.array(numbers)
    a.flags.writeable = False
    return a


MEANINGS = [
    ("x * c", read_only(1.0, 2.0), read_only(3.0, 4.0)),
    ("x * c", np.array([1.0, 2.0]), np.array([3.0, 4.0])),
    ("x * c", cr.tensor([1.0, 2.0]), cr.tensor([3.0, 4.0])),
    ("x[c]", np.array([True, False]), np.array([False, True])),  # a mask
    ("x[c]", np.array([0, 0]), np.array([1, 0])),
    ("x[c]", cr.tensor([0, 0]), cr.tensor([1, 0])),
    ("x[c]", [0, 0], [1, 0]),
    ("x * float(c[0])", np.array([2.0]), np.array([3.0])),
    ("x * c.item()", cr.tensor(2.0), cr.tensor(3.0)),
    ("x * c[0]", [2.0], [3.0]),
    ("x * c['a']", {"a": 2.0}, {"a": 3.0}),
]


@pytest.mark.parametrize("program, first, second", MEANINGS)
def test_what_a_name_comes_to_mean_is_what_the_next_call_reads(program, first, second):
    x, scope = cr.tensor([5.0, 7.0]), {"c": first}
    eager = eval(f"lambda x: {program}", scope)
    f = cr.compile(eager)
    for meaning in (first, first, first, second, second, first):
        scope["c"] = meaning
        np.testing.assert_array_equal(f(x).numpy(), eager(x).numpy())
