"""Backward where composites, in-place changes, kept gradients and threads meet; closed forms."""

from __future__ import annotations

import gc
import sys
import threading

import numpy as np
import pytest

import chainrule as cr


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_an_update_between_forward_and_backward_leaves_a_composite_right():
    w = cr.tensor([3.0, 4.0], requires_grad=True)
    loss = cr.log(1 + cr.exp(w)).sum()
    with cr.no_grad():
        w -= 1.0
    loss.backward()
    np.testing.assert_allclose(w.grad, sigmoid(np.array([3.0, 4.0])), rtol=1e-14)


def test_a_composite_whose_variable_is_computed_and_changed_is_taken_as_written():
    x = cr.tensor([3.0, 4.0], requires_grad=True)
    y = x * 2
    z = cr.exp(y)
    y.mul_(0.0)
    cr.log(1 + z).sum().backward()
    # y is exp's input before the change; the in-place product comes after exp: d/dx log(1 + e^{2x}) = 2σ(2x)
    np.testing.assert_allclose(x.grad, 2 * sigmoid(np.array([6.0, 8.0])), rtol=1e-14)


@pytest.mark.parametrize(
    "change", [lambda s: s.mul_(4.0), lambda s: s.data.mul_(4.0)], ids=["no_grad", "data"]
)
def test_an_expression_that_was_changed_in_between_is_no_composite(change):
    x = cr.tensor([3.0, 4.0], requires_grad=True)
    s = (x * x).sum().reshape(1)
    with cr.no_grad():
        change(s)
    cr.sqrt(s).sum().backward()
    np.testing.assert_allclose(x.grad, np.array([3.0, 4.0]) / 10, rtol=1e-14)  # 2x / (2·√100)


def test_asking_for_one_intermediate_leaves_other_composites_alone():
    x = cr.tensor([1.0, 2.0], requires_grad=True)
    y = cr.tensor([0.0, 0.0], requires_grad=True)
    s = x * x
    s.retain_grad()
    (cr.sqrt(s.sum()) + cr.sqrt((y * y).sum())).backward()
    assert y.grad.tolist() == [0.0, 0.0]
    np.testing.assert_allclose(s.grad, np.full(2, 0.5 / np.sqrt(5)), rtol=1e-14)


def test_the_root_of_a_complex_square_is_no_absolute_value():
    z = cr.tensor([0.3 - 0.7j, 1.2 + 0.4j], requires_grad=True)
    (cr.sqrt(z * z).sum() * (1 + 2j)).backward(cr.tensor(1 + 0j))
    # √z² = z where Re z > 0: the gradient is the conjugate of 1 + 2j
    np.testing.assert_allclose(z.grad, [1 - 2j, 1 - 2j], rtol=1e-14)


def test_a_gradient_may_be_carried_on_from_a_computed_tensor():
    x = cr.tensor(2.0, requires_grad=True)
    y = x.exp()
    loss = (y**2).sum()
    (g,) = cr.autograd.grad(loss, y)
    y.backward(g)
    assert x.grad.item() == pytest.approx(2 * np.exp(4.0), rel=1e-14)


def test_backward_leaves_no_reference_cycle():
    def round_() -> None:
        x = cr.tensor(np.zeros(10), requires_grad=True)
        y = x * 2
        y.retain_grad()
        y.sum().backward()

    round_()
    gc.collect()
    gc.disable()
    try:
        for _ in range(5):
            round_()
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_recorded_gradients_do_not_share_memory():
    x = cr.tensor([1.0, 2.0], requires_grad=True)
    y = cr.tensor([3.0, 4.0], requires_grad=True)
    weights = cr.tensor([5.0, 6.0])
    (x + y).backward(weights, create_graph=True)
    with cr.no_grad():
        x.grad.zero_()
    assert y.grad.tolist() == [5.0, 6.0]
    assert weights.tolist() == [5.0, 6.0]


def test_threads_that_share_a_leaf_lose_no_contribution():
    x = cr.tensor(1.0, requires_grad=True)

    def work() -> None:
        for _ in range(200):
            (x * 1.0).backward()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    finally:
        sys.setswitchinterval(interval)
    assert x.grad.item() == 800.0


def test_a_kept_gradient_follows_the_tensor_through_an_in_place_change():
    x = cr.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    y.retain_grad()
    z = y * 1
    y.mul_(3.0)
    (y + z).sum().backward()
    assert y.grad.tolist() == [1.0, 1.0]
    assert x.grad.tolist() == [8.0, 8.0]


def test_gradients_of_infinity_and_minus_infinity_add_without_a_warning():
    x = cr.tensor([1.0], requires_grad=True)
    (x * np.inf).sum().backward()
    (x * -np.inf).sum().backward()
    assert np.isnan(x.grad.item())
