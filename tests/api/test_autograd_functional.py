"""chainrule.autograd.functional: closed forms, create_graph, strict."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr

F = cr.autograd.functional
CUBE = lambda x: (x**3).sum()


def test_results_have_no_history_unless_asked_for():
    x = cr.tensor([1.0, 2.0], requires_grad=True)
    assert not any(t.requires_grad for t in F.hvp(CUBE, x, cr.ones(2)))
    assert not F.jacobian(lambda x: x**2, x).requires_grad


def test_with_create_graph_results_are_differentiated_again():
    x = cr.tensor([1.0, 2.0], requires_grad=True)
    for product in (
        F.hvp(CUBE, x, cr.ones(2), create_graph=True),
        F.vhp(CUBE, x, cr.ones(2), create_graph=True),
    ):
        (g,) = cr.autograd.grad(product[1].sum(), x)
        assert g.tolist() == [6.0, 6.0]
    (g,) = cr.autograd.grad(F.jacobian(lambda x: x**2, x, create_graph=True).sum(), x)
    assert g.tolist() == [2.0, 2.0]


@pytest.mark.parametrize("strategy", ["reverse-mode", "forward-mode"])
def test_jacobians_of_several_inputs_and_outputs_are_tuples_of_tuples(strategy):
    j = F.jacobian(lambda x, y: (x * y, x), (cr.tensor(2.0), cr.tensor(3.0)), strategy=strategy)
    assert [[t.item() for t in row] for row in j] == [[3.0, 2.0], [1.0, 0.0]]


def test_products_of_several_inputs():
    at, v = (cr.tensor(2.0), cr.tensor(3.0)), (cr.tensor(1.0), cr.tensor(10.0))
    for name in ("hvp", "vhp"):
        value, product = getattr(F, name)(lambda x, y: x**2 * y, at, v)
        assert value.item() == 12.0
        assert [t.item() for t in product] == [46.0, 4.0]


def test_the_vector_may_be_left_out_for_one_number():
    assert F.vjp(CUBE, cr.tensor([1.0, 2.0]))[1].tolist() == [3.0, 12.0]
    assert F.jvp(lambda x: x**2, cr.tensor(3.0))[1].item() == 6.0
    for call in (
        lambda: F.jvp(CUBE, cr.ones(2)),
        lambda: F.vjp(lambda x: x, cr.ones(2)),
        lambda: F.hvp(CUBE, cr.ones(2)),
    ):
        with pytest.raises(RuntimeError, match="may be left out only"):
            call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: F.jacobian(lambda x, y: x, (cr.ones(2), cr.ones(2)), strict=True),
        lambda: F.vjp(lambda x, y: x.sum(), (cr.ones(2), cr.ones(2)), strict=True),
        lambda: F.jvp(lambda x, y: x.sum(), (cr.ones(2), cr.ones(2)), (cr.ones(2), cr.ones(2)), strict=True),
        lambda: F.hessian(lambda x: x.sum(), cr.ones(2), strict=True),
        lambda: F.hvp(lambda x: x.sum(), cr.ones(2), cr.ones(2), strict=True),
        lambda: F.vhp(lambda x: x.sum(), cr.ones(2), cr.ones(2), strict=True),
    ],
)
def test_strict_refuses_what_does_not_depend_on_an_input(call):
    with pytest.raises(RuntimeError, match="does not depend on input"):
        call()


def test_without_strict_it_is_zero():
    assert F.hessian(lambda x: x.sum(), cr.ones(2)).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert np.array_equal(F.hvp(lambda x: x.sum(), cr.ones(2), cr.ones(2))[1].numpy(), np.zeros(2))


def test_dicts_belong_to_the_other_transforms():
    with pytest.raises(TypeError, match="no tensor"):
        F.vjp(lambda p: p["a"], {"a": cr.ones(2)})


def test_a_function_of_several_numbers_has_no_hessian_here():
    with pytest.raises(RuntimeError, match="a Hessian is for one"):
        F.hessian(lambda x: x, cr.ones(2))
