"""Graphs that a person reads: recorded, transformed by their methods, printed and read back."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.ir import Type, parse
from chainrule.ir.evaluate import evaluate
from chainrule.ir.verify import verify

X = np.array([0.5, -1.0, 2.0])
f = lambda x: cr.where(x > 0, cr.log(x), 0.0).sum() * x[0]


def steps():
    g = cr.graph_of(f, X)
    return {
        "value": g,
        "vjp": g.vjp(),
        "jvp": g.jvp(),
        "vmap": g.vmap(3),
        "jvp of vjp": g.vjp().jvp([0]),
        "vjp of vmap": g.vmap(3).vjp(),
        "vmap of vjp": g.vjp().vmap(3, [True, False]),
        "of a gradient": cr.graph_of(cr.grad(f), X),
        "of a vmap": cr.graph_of(cr.vmap(f), np.stack([X, X])),
        "of a jvp": cr.graph_of(lambda x: cr.jvp(f, (x,), (x,))[1], X),
    }


@pytest.mark.parametrize("name", steps())
def test_the_text_is_read_back_as_the_same_graph(name):
    g = verify(steps()[name])
    assert parse(str(g)) == g


def test_what_reverse_mode_produced_can_be_read():
    assert str(cr.graph_of(lambda x: cr.sin(x) * x, 1.0).vjp()) == "\n".join(
        [
            "{ a:float64[] b:float64[] ->",
            "  c:float64[] = sin a",
            "  d:float64[] = mul c a",
            "  e:float64[] = mul b a",
            "  f:float64[] = mul b c",
            "  g:float64[] = cos a",
            "  h:float64[] = mul e g",
            "  i:float64[] = add f h",
            "  -> d i }",
        ]
    )


def test_the_methods_agree_with_the_transforms_of_functions():
    g = cr.graph_of(f, X)
    wanted = np.asarray(cr.grad(f)(X))
    np.testing.assert_allclose(evaluate(g.vjp(), X, 1.0)[1], wanted)
    np.testing.assert_allclose(evaluate(cr.graph_of(cr.grad(f), X), X)[0], wanted)
    many = np.stack([X, 2 * X, X + 1])
    np.testing.assert_allclose(
        evaluate(g.vjp().vmap(3, [True, False]), many, 1.0)[1], np.asarray(cr.vmap(cr.grad(f))(many))
    )


def test_types_are_enough():
    assert cr.graph_of(f, Type((3,), np.dtype(float))) == cr.graph_of(f, X)
