"""Corner cases: backward, lifetime of the graph, accumulation, higher order; one test per row."""

import copy

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import (
    DerivativeError,
    GraphFreedError,
    NotScalarError,
    NotTrackedError,
    OverwrittenError,
    ShapeError,
)


def leaf(value=3.0):
    return cr.tensor(value, requires_grad=True)


def test_backward_of_several_outputs_offers_the_ways_out_with_the_users_names():
    x = leaf([1.0, 2.0, 3.0])
    outputs = x * 2
    with pytest.raises(NotScalarError, match="outputs has 3 components") as info:
        outputs.backward()
    for way in (
        "outputs[0].backward()",
        "outputs.sum().backward()",
        "outputs.backward(weights)",
        "cr.jacobian(outputs, x)",
    ):
        assert way in info.value.fix


def test_the_ways_out_that_the_error_offers_work():
    z = leaf([-1.0])
    a = cr.cat([2 * z, z**4])
    assert cr.jacobian(a, z).tolist() == [[2.0], [-4.0]]
    a.sum().backward(retain_graph=True)
    a[0].backward(retain_graph=True)
    a.backward(cr.tensor([0.0, 1.0]))
    assert z.grad.tolist() == [-2.0 + 2.0 - 4.0]


@pytest.mark.parametrize(
    "weights", [cr.ones(3), [1.0, 1.0, 1.0], np.ones(3), (1, 1, 1)], ids=["tensor", "list", "array", "tuple"]
)
def test_weights_may_be_a_tensor_an_array_or_a_list(weights):
    x = leaf([1.0, 2.0, 3.0])
    (x * 2).backward(weights)
    assert x.grad.tolist() == [2.0, 2.0, 2.0]


def test_weights_of_another_shape_are_refused_and_nothing_changes():
    x = leaf([1.0, 2.0, 3.0])
    with pytest.raises(ShapeError, match="weights"):
        (x * 2).backward(cr.ones(2))
    assert x.grad is None


def test_one_entry_is_enough_whatever_the_shape():
    x = leaf([[1.0]])
    (x * 2).backward()
    assert x.grad.tolist() == [[2.0]]


@pytest.mark.parametrize(
    "f", [lambda x: x**2, lambda x: x * 2, lambda x: cr.exp(x)], ids=["x**2", "x*2", "exp"]
)
@pytest.mark.parametrize("value", [3.0, [3.0]], ids=["number", "array"])
def test_a_second_backward_needs_what_the_first_one_freed(f, value):
    x = leaf(value)
    y = f(x)
    y.backward()
    with pytest.raises(GraphFreedError, match="freed by an earlier backward") as info:
        y.backward()
    assert "retain_graph=True" in info.value.fix


@pytest.mark.parametrize("value", [3.0, [3.0]], ids=["number", "array"])
def test_a_second_backward_works_where_nothing_was_freed(value):
    """Rule 8: `add` reads nothing."""
    x = leaf(value)
    y = x + 2
    y.backward()
    y.backward()
    assert x.grad.item() == 2.0


def test_retain_graph_allows_a_second_backward_and_accumulates():
    x = leaf()
    y = x**2
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 12.0


def test_three_backwards_accumulate():
    x = leaf()
    seen = []
    for _ in range(3):
        (x**2).backward()
        seen.append(x.grad.item())
    assert seen == [6.0, 12.0, 18.0]


def test_a_gradient_that_somebody_holds_does_not_change():
    x = leaf()
    (x * 2).backward()
    held = x.grad
    (x * 2).backward()
    assert held.item() == 2.0
    assert x.grad.item() == 4.0


def test_zero_of_a_missing_gradient_is_pythons_own_error():
    with pytest.raises(AttributeError, match="'NoneType' object has no attribute 'zero_'"):
        leaf().grad.zero_()


def test_create_graph_gives_second_derivatives():
    x = leaf()
    (g,) = cr.autograd.grad(x**3, x, create_graph=True)
    (h,) = cr.autograd.grad(g, x)
    assert (g.item(), h.item()) == (27.0, 18.0)


def test_a_gradient_without_create_graph_says_what_to_ask_for():
    x = leaf()
    (g,) = cr.autograd.grad(x**3, x)
    with pytest.raises(NotTrackedError) as info:
        cr.autograd.grad(g, x)
    assert "without recording" in info.value.given
    assert "create_graph=True" in info.value.fix


def test_a_constant_gradient_says_that_it_does_not_depend_on_the_input():
    x = leaf()
    (g,) = cr.autograd.grad(x * 2, x, create_graph=True)
    assert g.item() == 2.0
    assert not g.requires_grad
    with pytest.raises(NotTrackedError) as info:
        cr.autograd.grad(g, x)
    assert "does not depend on it" in info.value.given
    assert cr.grad(cr.grad(lambda v: v * 2))(3.0).item() == 0.0


def test_backward_of_a_recorded_gradient_adds_the_second_derivative():
    x = leaf()
    y = x**3
    y.backward(create_graph=True)
    assert x.grad.item() == 27.0
    x.grad.backward()
    assert x.grad.item() == 45.0


def test_recorded_gradients_accumulate():
    x = leaf()
    y = x**3
    y.backward(create_graph=True)
    y.backward(create_graph=True)
    assert x.grad.item() == 54.0
    (h,) = cr.autograd.grad(x.grad, x)
    assert h.item() == 36.0


@pytest.mark.parametrize("value", [3.0, [3.0]], ids=["number", "array"])
def test_a_step_between_two_backwards_is_an_error_with_both_lines(value):
    a, b = leaf(value), leaf(value)
    loss = (a * b).sum()
    loss.backward(retain_graph=True)
    with cr.no_grad():
        a -= 0.1 * a.grad
    with pytest.raises(OverwrittenError) as info:
        loss.backward()
    assert "loss = (a * b).sum()" in info.value.given
    assert "a -= 0.1 * a.grad" in info.value.given


def test_a_state_that_is_reused_across_iterations_names_its_step():
    h, w = cr.tensor(1.0), leaf(0.5)
    h = h * w
    h.backward()
    h = h * w
    with pytest.raises(GraphFreedError) as info:
        h.backward()
    assert "h = h * w" in info.value.given


def test_detaching_the_state_cures_it():
    h, w = cr.tensor(1.0), leaf(0.5)
    for _ in range(3):
        h = h.detach() * w
        h.backward()
    np.testing.assert_allclose(w.grad.item(), 1 + 0.5 + 0.25)


def test_backward_works_inside_no_grad():
    x = leaf()
    y = x * x
    with cr.no_grad():
        y.backward()
    assert x.grad.item() == 6.0


def test_deepcopy_of_a_computed_tensor_is_a_leaf():
    y = leaf() ** 2
    z = copy.deepcopy(y)
    assert z.is_leaf
    assert z.requires_grad
    assert z.item() == 9.0


def test_backward_accumulates_into_chosen_inputs_only():
    x, y = leaf(), leaf(4.0)
    (x * y).backward(inputs=[x])
    assert x.grad.item() == 4.0
    assert y.grad is None


def test_an_input_that_requires_no_gradient_is_refused_and_nothing_changes():
    x = leaf()
    with pytest.raises(DerivativeError, match="input 1"):
        (x * 2).backward(inputs=[x, cr.tensor(1.0)])
    assert x.grad is None


def test_a_backward_that_fails_in_the_middle_changes_no_gradient():
    x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    late = cr.exp(x)
    loss = (y * 2).sum() + (late * late).sum()
    late += 1
    with pytest.raises(OverwrittenError):
        loss.backward()
    assert x.grad is None
    assert y.grad is None


def test_leaves_do_not_share_the_memory_of_their_gradients():
    a, b = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    (a + b).sum().backward()
    a.grad.mul_(10)
    assert b.grad.tolist() == [1.0, 1.0]


def test_the_weights_are_not_the_gradient():
    a, weights = leaf([1.0, 2.0]), cr.ones(2)
    (a + 0).backward(weights)
    a.grad.mul_(10)
    assert weights.tolist() == [1.0, 1.0]


def test_a_name_bound_anew_inside_no_grad_is_the_reason_not_the_gradient_used_there():
    w = cr.tensor(1.5, requires_grad=True)
    (w**2).backward()
    with cr.no_grad():
        w = w - 0.1 * w.grad
    with pytest.raises(cr.ChainruleError) as info:
        (w**2).backward()
    assert "computed where nothing is recorded (no_grad, inference_mode): sub at " in info.value.given
