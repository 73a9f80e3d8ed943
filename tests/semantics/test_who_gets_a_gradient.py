"""Corner cases: who gets a gradient, one test per row."""

import math
import warnings

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import (
    DerivativeError,
    DtypeError,
    InferenceError,
    LeafFlagError,
    NotTrackedError,
    OverwrittenError,
    UnusedError,
)


def leaf(value=3.0, **options):
    return cr.tensor(value, requires_grad=True, **options)


def test_a_leaf_gets_its_gradient():
    x = leaf()
    (x**2).backward()
    assert x.grad.item() == 6.0
    assert cr.grad(lambda v: v**2)(3.0).item() == 6.0


def test_grad_is_none_without_a_warning_before_backward():
    assert leaf().grad is None


def test_an_intermediate_result_has_no_grad_but_a_note():
    x = leaf()
    y = x**2
    (y * 2).backward()
    with pytest.warns(cr.GradientNote, match="retain_grad"):
        assert y.grad is None
    assert x.grad.item() == 12.0


def test_retain_grad_keeps_the_gradient_of_an_intermediate_result():
    x = leaf()
    y = x**2
    y.retain_grad()
    (y * 2).backward()
    assert y.grad.item() == 2.0


def test_the_grad_of_an_unused_leaf_stays_none_silently():
    x, u = leaf(), leaf()
    (x**2).backward()
    assert u.grad is None
    assert (
        cr.grad(lambda a, b: a**2, argnums=1)(3.0, 1.0).item() == 0.0
    )  # the functional transforms return zeros


def test_autograd_grad_of_an_unused_input_is_an_error_that_names_it():
    x, u = leaf(), leaf()
    with pytest.raises(UnusedError, match="input 1") as info:
        cr.autograd.grad(x**2, [x, u])
    assert "allow_unused=True" in info.value.fix
    assert [g if g is None else g.item() for g in cr.autograd.grad(x**2, [x, u], allow_unused=True)] == [
        6.0,
        None,
    ]
    assert [g.item() for g in cr.autograd.grad(x**2, [x, u], materialize_grads=True)] == [6.0, 0.0]


def test_a_gradient_that_is_zero_is_no_missing_gradient():
    u = leaf()
    (u * 0).backward()
    assert u.grad.item() == 0.0


def test_backward_of_constants_says_that_nothing_was_marked():
    y = cr.tensor(3.0) ** 2
    with pytest.raises(NotTrackedError, match="requires a gradient") as info:
        y.backward()
    assert "the number 3 made at" in info.value.given
    assert "requires_grad=True" in info.value.fix


def test_a_constant_factor_gets_no_gradient():
    c, x = cr.tensor(3.0), leaf(2.0)
    (c * x).backward()
    assert c.grad is None
    assert x.grad.item() == 3.0


def test_autograd_grad_of_a_constant_says_which_input_it_is():
    c, x = cr.tensor(3.0), leaf(2.0)
    with pytest.raises(DerivativeError, match="input 0 does not require a gradient"):
        cr.autograd.grad(c * x, [c])


def test_a_cast_makes_a_computed_tensor():
    x = cr.rand(3, dtype=cr.float32, requires_grad=True).double()
    x.sum().backward()
    with pytest.warns(cr.GradientNote, match="x is an intermediate result"):
        assert x.grad is None


@pytest.mark.parametrize(
    "make", [lambda: cr.tensor([1, 2, 3], requires_grad=True), lambda: cr.tensor([1]).requires_grad_()]
)
def test_whole_numbers_cannot_require_gradients(make):
    with pytest.raises(DtypeError, match="int64 has no small changes") as info:
        make()
    assert "1. instead of 1" in info.value.fix


def test_a_cast_to_whole_numbers_cuts_the_graph_and_is_named():
    x = leaf()
    with pytest.raises(NotTrackedError) as info:
        (x.long().float() * 2).backward()
    assert "ends at a cast" in info.value.given
    assert "x.long()" in info.value.given


def test_the_derivative_of_steps_is_zero():
    x = leaf([0.5, -1.25])
    (x.round() + x.floor() + x.ceil() + x.sign()).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0]


def test_accuracy_has_no_gradient_and_the_comparison_is_named():
    x = leaf([1.0, -1.0])
    with pytest.raises(NotTrackedError) as info:
        (x > 0).float().mean().backward()
    assert "ends at a comparison" in info.value.given
    assert "smooth surrogate" in info.value.fix


@pytest.mark.parametrize("name", ["argmax", "argmin", "argsort"])
def test_an_index_requires_no_gradient(name):
    assert not getattr(leaf([1.0, 3.0, 2.0]), name)().requires_grad


def test_tensor_of_tensors_copies_the_numbers_with_a_note():
    a, b = leaf(1.0), leaf(2.0)
    with pytest.warns(cr.GradientNote, match="copies the numbers"):
        v = cr.tensor([a, b], requires_grad=True)
    v.sum().backward()
    assert a.grad is None
    assert b.grad is None
    assert v.grad.tolist() == [1.0, 1.0]


def test_backward_through_tensor_of_tensors_says_stack():
    a, b = leaf(1.0), leaf(2.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cr.GradientNote)
        v = cr.tensor([a, b])
    with pytest.raises(NotTrackedError) as info:
        v.sum().backward()
    assert "copied the numbers" in info.value.given
    assert "stack([a, b])" in info.value.fix


def test_stack_keeps_the_graph():
    a, b = leaf(1.0), leaf(2.0)
    cr.stack([a, b]).sum().backward()
    assert (a.grad.item(), b.grad.item()) == (1.0, 1.0)


def test_a_value_computed_inside_no_grad_names_its_line():
    x = leaf()
    with cr.no_grad():
        y = x * 2
    with pytest.raises(NotTrackedError) as info:
        y.backward()
    assert "y = x * 2" in info.value.given
    assert "no_grad" in info.value.given


def test_a_leaf_made_inside_no_grad_requires_a_gradient_and_its_products_there_do_not():
    with cr.no_grad():
        x = leaf()
        y = x * 2
    assert x.requires_grad
    assert not y.requires_grad
    assert (x * 2).requires_grad


def test_no_grad_in_a_generator_does_not_leak():
    def values():
        with cr.no_grad():
            yield 1

    values = values()
    next(values)
    assert cr.is_grad_enabled()
    assert (leaf() * 2).requires_grad


@pytest.mark.parametrize("value", [2.0, [2.0, 3.0]], ids=["number", "array"])
def test_a_tensor_of_inference_mode_cannot_be_kept_for_a_backward_pass(value):
    x = cr.tensor(value, requires_grad=True)
    with cr.inference_mode():
        a = cr.tensor(value)
        b = a * 2
    for t in (a, b):
        with pytest.raises(InferenceError, match="inference_mode"):
            t * x
        with pytest.raises(InferenceError, match="inference_mode"):
            x * t
        assert (x + t).requires_grad  # a sum keeps neither operand
        assert (x * t.clone()).requires_grad


def test_only_leaves_can_be_told_not_to_require_a_gradient():
    y = leaf() * 2
    with pytest.raises(LeafFlagError) as info:
        y.requires_grad = False
    assert "detach" in info.value.fix


def test_detach_shares_memory():
    x = leaf([0.0, 1.0])
    x.detach()[0] = 7
    assert x.tolist() == [7.0, 1.0]


def test_a_change_through_detach_of_a_value_that_is_needed_is_an_error():
    x = leaf([2.0, 1.0])
    y = (x * x).sum()
    x.detach()[0] = 7
    with pytest.raises(OverwrittenError):
        y.backward()


@pytest.mark.parametrize("read", [math.sin, float, lambda x: x.item()], ids=["math.sin", "float", "item"])
def test_reading_the_number_leaves_the_graph_silently(read):
    assert isinstance(read(leaf()), float)


def test_where_a_value_left_the_graph_is_remembered():
    from chainrule.tape.cuts import cuts_of

    x = leaf()
    y = x * 2
    math.sin(y)
    np.asarray(y)
    y.item()
    assert [cut.how for cut in cuts_of(y.grad_fn)] == ["float", "numpy", "item"]
    assert all("test_who_gets_a_gradient.py" in cut.source.place for cut in cuts_of(y.grad_fn))


def test_numpy_functions_keep_the_graph():
    x = leaf([1.0, 2.0])
    np.sin(x).sum().backward()
    np.testing.assert_allclose(x.grad.tolist(), np.cos([1.0, 2.0]))
    assert np.sum(leaf([[1.0, 2.0]]), axis=1).requires_grad


@pytest.mark.parametrize(
    "combine, slope",
    [
        (lambda a, t: a * t, [2.0, 3.0]),
        (lambda a, t: t * a, [2.0, 3.0]),
        (lambda a, t: a + t, [1.0, 1.0]),
        (lambda a, t: a - t, [-1.0, -1.0]),
        (lambda a, t: a / t, [-2.0 / 16, -3.0 / 25]),
        (lambda a, t: a**t, [16 * math.log(2), 243 * math.log(3)]),
    ],
    ids=["a*t", "t*a", "a+t", "a-t", "a/t", "a**t"],
)
def test_arrays_and_tensors_combine_in_both_orders(combine, slope):
    t = leaf([4.0, 5.0])
    out = combine(np.array([2.0, 3.0]), t)
    assert isinstance(out, cr.Tensor)
    out.sum().backward()
    np.testing.assert_allclose(t.grad.tolist(), slope, rtol=1e-14)
