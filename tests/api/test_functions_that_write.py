"""Functions that write to parts of their tensors: any mix of views of one memory, against central differences."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.errors import OverwrittenError

VIEWS = {
    "x": "x0.clone()",
    "v": "x[1:]",
    "w": "x[:2]",
    "u": "x[0]",
    "m": "x.reshape(1, 3)",
    "q": "x[::2]",
    "t": "x.flip(0)",
}
NUMBERS = ("x[0]", "x[1]", "u", "v.sum()", "w[1]", "m.sum()", "q[0]", "x[2] * x[1]", "v[0].sin()", "t[0]")
AT = np.array([0.5, 1.2, -0.7])


def function(seed):
    """Source of a function that changes its views in random order, and the function."""
    r = random.Random(seed)
    lines = [f"{name} = {view}" for name, view in VIEWS.items()]
    for _ in range(r.randint(1, 4)):
        lines.append(f"{r.choice('xvwumqt')} {r.choice(('+=', '*=', '-='))} {r.choice(NUMBERS)}")
        if r.random() < 0.4:
            place = r.choice(("0", "1:", "[0, 2]", "::2", "-1"))
            lines.append(f"x[{place}] {r.choice(('=', '*=', '+='))} {r.choice(NUMBERS)}")
    source = "\n    ".join(["def f(x0):", *lines, "return (x * x).sum() + v.sum() * u + t.sum() * q[1]"])
    names = {}
    exec(source, names)
    return source, names["f"]


def slopes(f):
    """Central differences, with the step at which rounding and truncation are alike."""
    h, units = 6e-6, np.eye(3)
    with cr.no_grad():
        return np.array(
            [(f(cr.tensor(AT + h * e)).item() - f(cr.tensor(AT - h * e)).item()) / (2 * h) for e in units]
        )


@given(seed=st.integers(0, 2**32 - 1))
def test_gradients_through_changes_in_place_are_right_or_refused(seed):
    source, f = function(seed)
    x = cr.tensor(AT, requires_grad=True)
    try:
        f(x).backward()
        functional = cr.grad(f)(AT)
    except OverwrittenError:
        return
    expected = slopes(f)
    np.testing.assert_allclose(
        x.grad.numpy(), expected, rtol=1e-6, atol=1e-6 * max(1, abs(expected).max()), err_msg=source
    )
    assert np.array_equal(functional.numpy(), x.grad.numpy())


def test_most_of_these_functions_are_differentiated():
    """The property above would hold for an engine that refuses everything."""
    done = 0
    for seed in range(100):
        x = cr.tensor(AT, requires_grad=True)
        try:
            function(seed)[1](x).backward()
            done += 1
        except cr.ChainruleError:
            pass
    assert done >= 50


def test_a_number_read_from_the_memory_that_is_written_keeps_its_old_value():
    def f(x):
        x = x.clone()
        v = x[1:]
        v *= x[0]
        x[0] += v.sum()
        return (x * x).sum()

    # L = (a + ab + ac)² + a²b² + a²c²
    np.testing.assert_allclose(cr.grad(f)(np.array([1.0, 2.0, 3.0])).numpy(), [98.0, 16.0, 18.0], rtol=1e-14)


def test_flip_and_repeat_have_memory_of_their_own():
    x = cr.tensor([1.0, 2.0])
    for copy in (x.flip(0), x.repeat(1), x.repeat(2), cr.tile(x, (1,)), cr.flip(x, ()), x[[0, 1]], x.clone()):
        copy += 1
    assert x.tolist() == [1.0, 2.0]


def test_contiguous_of_a_strided_view_has_memory_of_its_own():
    x = cr.tensor([1.0, 2.0, 3.0])
    y = x[::2].contiguous()
    y += 1
    assert x.tolist() == [1.0, 2.0, 3.0]


def test_an_overwritten_tensor_stays_connected_with_slope_zero():
    for change in (lambda y: y.zero_(), lambda y: y.fill_(3.0), lambda y: y.copy_(cr.tensor(1.0))):
        x = cr.tensor(2.0, requires_grad=True)
        y = x * x
        change(y)
        assert y.requires_grad
        y.backward()
        assert x.grad.item() == 0.0


def test_copying_a_leaf_does_not_make_a_leaf():
    x, y = cr.tensor([1.0, 2.0], requires_grad=True), cr.zeros(2)
    y.copy_(x)
    assert not y.is_leaf
    y += 1
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]


def test_multiplying_picked_entries_in_place():
    x = cr.tensor([2.0, 3.0], requires_grad=True)
    y = x * 1.0
    y[[0]] *= x[[1]]
    y.sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


@pytest.mark.parametrize("dtype", [cr.float32, cr.float64])
def test_a_view_of_a_number_looks_at_its_memory(dtype):
    x = cr.tensor(2.0, dtype=dtype, requires_grad=True)
    y = x * 1.0
    view = y[None]
    view *= 3.0
    assert y.item() == 6.0
    (y * y).backward()
    assert x.grad.item() == 36.0


def test_a_view_looked_at_first_under_no_grad_is_still_tracked():
    x = cr.tensor([1.0, 2.0], requires_grad=True)
    y = x * 1.0
    view = y[:1]
    y *= 2
    with cr.no_grad():
        view + 1
    assert view.requires_grad
    view.sum().backward()
    assert x.grad.tolist() == [2.0, 0.0]


def test_a_view_of_a_number_passes_its_gradient_to_a_chain_of_numbers():
    x = cr.tensor(0.5, requires_grad=True)
    (x.sin()[None] * 2).sum().backward()
    np.testing.assert_allclose(x.grad.item(), 2 * np.cos(0.5), rtol=1e-15)


def test_a_number_apart_from_an_index_array_is_applied_first_as_in_torch():
    x = cr.arange(24).reshape(2, 3, 4)
    assert tuple(x[0, :, [0, 1]].shape) == (3, 2)
    assert np.array_equal(x[0, :, [0, 1]].numpy(), x.numpy()[0][:, [0, 1]])
    y = x.double()
    y[1, :, [0, 3]] = 5.0
    assert np.array_equal(y.numpy()[1][:, [0, 3]], np.full((3, 2), 5.0))
    assert np.array_equal(y.numpy()[0], x.numpy()[0])
