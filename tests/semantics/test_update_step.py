"""Corner cases: the update step, and precision."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import LeafInPlaceError, NotTrackedError, OverwrittenError

VALUES = pytest.mark.parametrize("value", [1.0, [1.0]], ids=["number", "array"])


def leaf(value=1.0, **options):
    return cr.tensor(value, requires_grad=True, **options)


@VALUES
def test_an_update_inside_no_grad_keeps_the_leaf_and_its_grad(value):
    w = leaf(value)
    (w * w).sum().backward()
    with cr.no_grad():
        w -= 0.1 * w.grad
    assert w.is_leaf
    assert w.requires_grad
    assert (w.item(), w.grad.item()) == (0.8, 2.0)


def test_a_tracked_update_makes_a_result_and_the_next_step_finds_no_grad():
    w = leaf()
    (w * w).backward()
    w = w - 0.1 * w.grad
    assert not w.is_leaf
    (w * w).backward()
    with pytest.warns(cr.GradientNote), pytest.raises(TypeError, match="'float' and 'NoneType'"):
        w = w - 0.1 * w.grad


def test_an_update_by_assignment_inside_no_grad_makes_a_constant():
    w = old = leaf()
    (w * w).backward()
    with cr.no_grad():
        w = w - 0.1 * w.grad
    assert w.is_leaf
    assert not w.requires_grad
    assert w.grad is None
    assert old.grad.item() == 2.0
    with pytest.raises(NotTrackedError, match="requires a gradient"):
        (w * w).backward()


def test_requires_grad_afterwards_makes_a_fresh_leaf_each_step():
    w = leaf()
    for _ in range(2):
        (w * w).backward()
        with cr.no_grad():
            w = w - 0.1 * w.grad
        w.requires_grad_()
        assert w.grad is None
    np.testing.assert_allclose(w.item(), 0.64)


@VALUES
def test_an_update_outside_no_grad_is_refused_and_leaves_the_value(value):
    w = leaf(value)
    (w * w).sum().backward()
    with pytest.raises(LeafInPlaceError) as info:
        w -= 0.1 * w.grad
    assert "no_grad()" in info.value.fix
    assert w.item() == 1.0


@VALUES
def test_an_update_through_data_works(value):
    w = leaf(value)
    (w * w).sum().backward()
    w.data -= 0.1 * w.grad
    assert w.is_leaf
    assert w.requires_grad
    assert w.item() == 0.8


def test_without_zeroing_the_gradients_add_up():
    w, seen = leaf(), []
    for _ in range(5):
        (w * w).backward()
        seen.append(w.grad.item())
        with cr.no_grad():
            w -= 0.1 * w.grad
    np.testing.assert_allclose(seen, [2, 3.6, 4.48, 4.464, 3.5552], rtol=1e-12)
    np.testing.assert_allclose(w.item(), -0.80992, rtol=1e-12)


def test_a_float32_update_below_half_a_spacing_is_lost():
    w = leaf(1.0, dtype=cr.float32)
    with cr.no_grad():
        w -= cr.tensor(2e-8, dtype=cr.float32)
    assert w.item() == 1.0


def test_the_descent_in_float32_stalls_where_the_table_says():
    w, c = np.float32(0), np.float32(1000.1)

    def step(w):
        x = cr.tensor(w, requires_grad=True)
        ((x - c) ** 2 / 2).backward()
        return x - 1e-3 * x.grad, x.grad

    w, g = cr.tensor(1000.0694580078125, dtype=cr.float32), None
    new, g = step(w.numpy())
    assert new.dtype == cr.float32
    assert new.item() == w.item()
    assert g.item() == -0.030517578125


def test_a_float32_parameter_times_a_float64_constant_gives_a_float32_gradient():
    w = leaf([2.0], dtype=cr.float32)
    loss = (w * cr.tensor([3.0], dtype=cr.float64)).sum()
    assert loss.dtype == cr.float64
    loss.backward()
    assert w.grad.dtype == cr.float32
    assert w.grad.item() == 3.0


def test_whole_numbers_are_fine_as_constants():
    w = leaf([2.0, 4.0])
    (w * cr.tensor([1, 2])).sum().backward()
    assert w.grad.tolist() == [1.0, 2.0]


# --- optimisers ------------------------------------------------------------------------------------


def test_sgd_of_a_computed_tensor_is_refused_with_torchs_words():
    with pytest.raises(ValueError, match="can't optimize a non-leaf Tensor"):
        cr.optim.SGD([leaf() * 2], lr=0.1)


def test_sgd_of_a_tensor_without_gradient_warns_at_the_users_line():
    with pytest.warns(cr.GradientNote, match="does not require a gradient") as found:
        cr.optim.SGD([cr.tensor(1.0)], lr=0.1)
    assert found[0].filename == __file__


def test_a_parameter_with_grad_none_is_skipped_and_said_to_be():
    w, b = leaf(), leaf()
    opt = cr.optim.SGD([("w", w), ("b", b)], lr=0.1)
    (w * w).backward()
    opt.step()
    assert (w.item(), b.item()) == (0.8, 1.0)
    assert "b   skipped" in str(opt.report())


def test_a_nan_gradient_moves_nothing_and_is_explained():
    w = leaf([0.0, 4.0])
    opt = cr.optim.SGD([w], lr=0.1)
    (w.sqrt() * cr.tensor([0.0, 1.0])).sum().backward()
    with pytest.raises(RuntimeError, match="not finite") as info:
        opt.step()
    assert "grad[0] = nan" in info.value.given
    assert w.tolist() == [0.0, 4.0]


def test_an_optimiser_step_between_two_backwards_names_its_line():
    a, b = leaf([2.0]), leaf([3.0])
    opt = cr.optim.SGD([a, b], lr=0.1)
    loss = (b * a).sum()
    loss.backward(retain_graph=True)
    opt.step()
    with pytest.raises(OverwrittenError) as info:
        loss.backward()
    assert "loss = (b * a).sum()" in info.value.given
    assert "opt.step()" in info.value.given


def test_zero_grad_sets_to_none():
    w = leaf()
    (w * w).backward()
    cr.optim.SGD([w], lr=0.1).zero_grad()
    assert w.grad is None
