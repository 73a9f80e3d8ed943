"""linearize: the same numbers as jvp, in every nesting; the function runs once."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ArgumentError, ShapeError

RNG = np.random.default_rng(6)
X, T, W = RNG.normal(size=4), RNG.normal(size=(3, 4)), RNG.normal(size=(4, 4))


def near(found, wanted, rtol=1e-12):
    np.testing.assert_allclose(np.asarray(found.detach()), np.asarray(wanted), rtol=rtol, atol=1e-13)


def f(x):
    return cr.softmax(W @ x, 0) * cr.where(x > 0, cr.log(x), 0.0) + cr.sort(x).values * x.prod()


def test_each_application_is_a_jvp():
    value, push = cr.linearize(f, X)
    near(value, f(cr.tensor(X)))
    for t in T:
        near(push(t), cr.jvp(f, (X,), (t,))[1])


def test_the_function_runs_once_and_looks_at_numbers():
    runs = []

    def g(x):
        runs.append(1)
        return x**2 if x.sum() > 0 else -x

    _, push = cr.linearize(g, np.ones(2))
    near(push(np.ones(2)), [2.0, 2.0])
    near(push(np.zeros(2)), [0.0, 0.0])
    assert runs == [1]


def test_trees_go_in_and_out_and_a_tangent_may_be_missing():
    g = lambda p, y: {"product": p["a"] * y, "sum": p["b"] + 0.0}
    value, push = cr.linearize(g, {"a": 2.0, "b": 3.0}, 5.0)
    near(value["product"], 10.0)
    found = push({"a": 1.0, "b": 7.0}, None)
    near(found["product"], 5.0)
    near(found["sum"], 7.0)
    near(push({"a": 0.0, "b": None}, 1.0)["product"], 2.0)


def test_an_output_that_does_not_depend_on_the_arguments_has_the_tangent_zero():
    _, push = cr.linearize(lambda x: (cr.tensor([1.0, 2.0]), x), 1.0)
    near(push(1.0)[0], [0.0, 0.0])


def test_the_map_is_linear_and_differentiable_in_the_tangent():
    _, push = cr.linearize(f, X)
    near(push(2 * T[0] - T[1]), np.asarray(2 * push(T[0]) - push(T[1])))
    near(cr.jacobian(push)(T[0]), cr.jacobian(f)(X))
    near(cr.vmap(push)(T), np.stack([np.asarray(push(t)) for t in T]))


def test_the_map_is_differentiable_in_the_point():
    g = lambda x: cr.linearize(f, x)[1](cr.tensor(T[0])).sum()
    near(cr.grad(g)(X), cr.grad(lambda x: cr.jvp(f, (x,), (T[0],))[1].sum())(X))


def test_a_result_without_outer_derivatives_has_no_tape():
    _, push = cr.linearize(f, X)
    assert not push(T[0]).requires_grad
    w = cr.tensor(2.0, requires_grad=True)
    _, push = cr.linearize(lambda x: w * x, X)
    push(T[0]).sum().backward()
    near(w.grad, T[0].sum())


def test_linearize_inside_vmap_and_of_vmap():
    xs = np.abs(RNG.normal(size=(5, 4)))
    found = cr.vmap(lambda x: cr.linearize(f, x)[1](cr.tensor(T[0])))(xs)
    near(found, np.stack([np.asarray(cr.jvp(f, (x,), (T[0],))[1]) for x in xs]))
    _, push = cr.linearize(cr.vmap(f), xs)
    near(push(xs), cr.jvp(cr.vmap(f), (xs,), (xs,))[1])


def test_tangents_that_do_not_fit_are_refused():
    _, push = cr.linearize(f, X)
    with pytest.raises(ShapeError, match="tangent 0"):
        push(np.ones(3))
    with pytest.raises(ArgumentError, match="2 tangents for 1 argument"):
        push(X, X)
    with pytest.raises(ArgumentError, match="takes a function"):
        cr.linearize(3, X)
