"""compile: what is recorded holds in every mode, and results share no memory with anything."""

import numpy as np
import pytest

import chainrule as cr


def test_gradients_flow_after_a_first_call_without_them():
    w = cr.tensor([1.0, 2.0], requires_grad=True)
    f = cr.compile(lambda x: (w * x).sum())
    with cr.no_grad():
        f(np.ones(2))
    f(np.ones(2)).backward()
    assert w.grad.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    "f", [lambda x: x[:2], lambda x: x.reshape(3, 1), lambda x: x.expand(1, 3), lambda x: x]
)
def test_results_that_are_views_of_whole_numbers_are_copies(f):
    x = cr.tensor([1, 2, 3])
    cr.compile(f)(x).zero_()
    assert x.tolist() == [1, 2, 3]


def test_one_result_that_looks_at_another_is_a_copy():
    f = cr.compile(lambda x: (cr.sort(x).indices, cr.sort(x).indices[1:]))
    a, b = f(np.array([3.0, 1.0, 2.0]))
    a.zero_()
    assert b.tolist() == [2, 0]


def test_a_tensor_that_the_function_makes_is_a_new_one_in_every_call():
    f = cr.compile(lambda x: (x, cr.arange(3)))
    f(1.0)[1].zero_()
    assert f(1.0)[1].tolist() == [0, 1, 2]


def test_a_tensor_from_outside_comes_back_as_itself():
    w = cr.ones(2)
    assert cr.compile(lambda x: w)(1.0) is w


@pytest.mark.parametrize("outer", [cr.compile, cr.grad, lambda f: lambda x: cr.vmap(f)(cr.full((2,), x))[0]])
def test_a_compiled_function_that_closes_over_what_is_being_recorded(outer):
    f = outer(lambda x: cr.compile(lambda y: x * x * y)(2.0))
    assert f(3.0).item() == (12.0 if outer is cr.grad else 18.0)
