"""Results of transforms and compiled functions: what they are, why they have no history, and what to ask instead."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import chainrule as cr

X = np.array([1.0, 2.0])


def loss(x, n=3):
    return (x**n).sum()


fast = cr.compile(cr.grad(loss))
value = cr.compile(loss)
both = cr.compile(cr.value_and_grad(loss))


def test_a_gradient_that_a_transform_returned() -> None:
    g = cr.grad(loss)(X)
    answer = cr.why(g)
    assert answer.reason == "not_stored"
    assert answer.value["entries"] == [3.0, 12.0]
    assert "is a gradient, computed by grad(loss) at test_returned.py:" in str(answer)
    assert answer.fix.startswith("To see how it comes about: explain(loss, X) tells every step, why(loss, X)")
    assert "explain(loss, X)" in str(cr.explain(g))
    assert cr.why(loss, X).value["entries"] == [3.0, 12.0]


@pytest.mark.parametrize(
    "result, what, ask",
    [
        (lambda: cr.value_and_grad(loss)(X)[0], "a value, computed by value_and_grad(loss)", "explain(loss, X)"),
        (lambda: cr.value_and_grad(loss)(X)[1], "a gradient, computed by value_and_grad(loss)", "why(loss, X)"),
        (lambda: cr.jvp(loss, (X,), (X,))[1], "a tangent, computed by jvp(loss, (X,), (X,))", "explain(loss, X)"),
        (lambda: cr.hvp(loss, X, X)[1], "a Hessian times a vector, computed by hvp(loss, X, X)", "explain(loss, X)"),
        (lambda: cr.grad(cr.grad(lambda a: a**3))(2.0), "a gradient", "why(cr.grad(lambda a: a ** 3), 2.0)"),
        (lambda: cr.vjp(loss, X)[1]()[0], "a gradient", "explain(f, x), with the function and its point,"),
        (lambda: cr.grad(loss)(X, n=2), "a gradient", "explain(f, x), with the function and its point,"),
        (lambda: fast(X), "a gradient, computed by the compiled function grad(loss)", "why(loss, X)"),
        (lambda: both(X)[0], "was computed by the compiled function value_and_grad(loss)", "explain(loss, X)"),
        (lambda: value(X), "was computed by the compiled function loss", "explain(value, X)"),
        (lambda: cr.compile(cr.grad(loss))(X), "a gradient", "explain(loss, X)"),
    ],
)  # fmt: skip
def test_each_result_says_what_it_is_and_what_to_ask(result, what, ask) -> None:
    t = result()
    for text in (str(cr.why(t)), str(cr.explain(t))):
        assert what in text
        assert ask in text
        assert "requires_grad=True" not in text


def test_what_is_to_be_asked_of_a_compiled_gradient_tells_its_steps() -> None:
    told = cr.explain(fast, X)
    assert told.trace.steps[-1].value.entries == (3.0, 12.0)
    assert "grad(loss) ran as machine code" in str(told)


def test_a_gradient_of_a_leaf_points_at_its_result() -> None:
    w = cr.tensor(X, requires_grad=True)
    L = loss(w)
    (g,) = cr.autograd.grad(L, [w])
    assert "is a gradient with respect to w, computed at test_returned.py:" in str(cr.explain(g))
    assert "explain(L, w)" in str(cr.explain(g))


def test_a_function_that_grad_made_has_its_name_and_parameters() -> None:
    assert cr.grad(loss).__name__ == "grad(loss)"
    assert list(inspect.signature(cr.grad(loss)).parameters) == ["x", "n"]
    assert repr(fast) == "<compiled grad(loss)>"
