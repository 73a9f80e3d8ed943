"""Arguments and results that are dicts, lists, tuples, named tuples and dataclasses: as flat ones."""

from __future__ import annotations

import subprocess
import sys
from collections import OrderedDict, namedtuple
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.api import trees

Pair = namedtuple("Pair", "left right")


@dataclass
class Layer:
    weight: Any
    bias: Any
    name: str = field(default="layer", metadata={"pytree_node": False})


def number(t):
    return np.asarray(t.detach() if isinstance(t, cr.Tensor) else t)


def built_alike(a, b):
    return trees.flatten(a)[1] == trees.flatten(b)[1]


# --- random trees ------------------------------------------------------------------------------------------

SHAPES = st.sampled_from([(), (2,), (1, 3), (0,), (2, 1)])


def grown(leaves):
    """Trees of every kind of node, over the leaves."""
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3),
            st.lists(inner, min_size=1, max_size=3).map(tuple),
            st.dictionaries(st.sampled_from("abcd"), inner, min_size=1, max_size=3),
            st.tuples(inner, inner).map(lambda p: Pair(*p)),
            st.tuples(inner, inner).map(lambda p: Layer(*p)),
            st.dictionaries(st.sampled_from("xy"), inner, min_size=1).map(OrderedDict),
        ),
        max_leaves=4,
    )


def point(shapes, seed):
    rng = np.random.default_rng(seed)
    leaves, spec = trees.flatten(shapes)
    return trees.unflatten(spec, [rng.normal(size=s.shape) for s in leaves])


def sizes(tree):
    return [number(v).size for v in trees.flatten(tree)[0]]


TREES = grown(SHAPES.map(np.zeros))


def both(inputs, outputs, seed):
    """A nonlinear function from trees like `inputs` to trees like `outputs`, and the same on flat vectors."""
    in_leaves, _ = trees.flatten(inputs)
    out_leaves, out_spec = trees.flatten(outputs)
    n, m = sum(sizes(inputs)), sum(sizes(outputs))
    a = np.random.default_rng(seed).normal(size=(m, n))

    def flat(x):
        return cr.sin(cr.as_tensor(a) @ x) + (x * x).sum()

    def f(tree):
        leaves = trees.flatten(tree)[0]
        y = flat(cr.cat([v.reshape(-1) for v in leaves]))
        parts, at = [], 0
        for v in out_leaves:
            parts.append(y[at : at + v.size].reshape(v.shape))
            at += v.size
        return trees.unflatten(out_spec, parts)

    return f, flat, np.concatenate([np.ravel(v) for v in in_leaves])


@pytest.mark.parametrize("name", ["jacrev", "jacfwd", "jacobian"])
@given(shapes=TREES, outs=TREES, seed=st.integers(0, 2**32 - 1))
def test_the_jacobian_of_a_tree_has_the_numbers_of_the_flat_one(name, shapes, outs, seed):
    x = point(shapes, seed)
    f, flat, at = both(x, outs, seed)
    jac = getattr(cr, name)(f)(x)
    expected = number(getattr(cr, name)(flat)(at))
    out_leaves, out_spec = trees.flatten(outs)
    rows = trees.flatten_like(out_spec, jac, "jacobian")
    top = 0
    for row, out in zip(rows, out_leaves, strict=True):
        blocks, left = trees.flatten_like(trees.flatten(x)[1], row, "row"), 0
        for block, leaf in zip(blocks, trees.flatten(x)[0], strict=True):
            assert tuple(block.shape) == out.shape + leaf.shape
            part = expected[top : top + out.size, left : left + leaf.size]
            np.testing.assert_allclose(number(block).reshape(part.shape), part, rtol=1e-12, atol=1e-12)
            left += leaf.size
        top += out.size


@given(shapes=TREES, outs=TREES, seed=st.integers(0, 2**32 - 1))
def test_products_with_trees_are_transposes_of_each_other(shapes, outs, seed):
    x, t, ct = point(shapes, seed), point(shapes, seed + 1), point(outs, seed + 2)
    f, _, _ = both(x, outs, seed)
    value, pushed = cr.jvp(f, (x,), (t,))
    other, pull = cr.vjp(f, x)
    (pulled,) = pull(ct)
    assert built_alike(value, outs)
    assert built_alike(pushed, outs)
    assert built_alike(pulled, x)
    dot = lambda a, b: sum(
        np.vdot(number(u), number(v)) for u, v in zip(trees.flatten(a)[0], trees.flatten(b)[0], strict=True)
    )
    np.testing.assert_allclose(dot(ct, pushed), dot(pulled, t), rtol=1e-10, atol=1e-10)
    for u, v in zip(trees.flatten(value)[0], trees.flatten(other)[0], strict=True):
        assert np.array_equal(number(u), number(v))


@given(shapes=TREES, seed=st.integers(0, 2**32 - 1))
def test_the_gradient_of_a_tree_is_built_like_it(shapes, seed):
    x = point(shapes, seed)
    f = lambda tree: sum((cr.as_tensor(v) ** 3).sum() for v in trees.flatten(tree)[0])
    g = cr.grad(f)(x)
    assert built_alike(g, x)
    for found, v in zip(trees.flatten(g)[0], trees.flatten(x)[0], strict=True):
        np.testing.assert_allclose(number(found), 3 * v**2, rtol=1e-13)
    _, product = cr.hvp(f, (x,), (x,))
    for found, v in zip(trees.flatten(product[0])[0], trees.flatten(x)[0], strict=True):
        np.testing.assert_allclose(number(found), 6 * v**2, rtol=1e-13)


# --- layouts ------------------------------------------------------------------------------------------------


def test_the_jacobian_of_a_dict_of_tensors_is_a_dict_of_dicts():
    f = lambda p: {"sum": p["a"] + p["b"], "product": p["a"] * p["b"]}
    j = cr.jacobian(f)({"a": 2.0, "b": 3.0})
    assert {k: {n: v.item() for n, v in row.items()} for k, row in j.items()} == {
        "sum": {"a": 1.0, "b": 1.0},
        "product": {"a": 3.0, "b": 2.0},
    }


def test_several_argnums_stand_inside_the_structure_of_the_outputs():
    j = cr.jacrev(lambda x, y: {"p": x * y}, argnums=(-1, 0))(2.0, 3.0)
    assert [t.item() for t in j["p"]] == [2.0, 3.0]


def test_the_hessian_by_a_dict_is_a_dict_of_dicts():
    h = cr.hessian(lambda p: p["a"] ** 2 * p["b"].sum())({"a": 2.0, "b": np.array([3.0, 5.0])})
    np.testing.assert_allclose(number(h["a"]["a"]), 16.0)
    np.testing.assert_allclose(number(h["a"]["b"]), [4.0, 4.0])
    np.testing.assert_allclose(number(h["b"]["a"]), [4.0, 4.0])
    np.testing.assert_allclose(number(h["b"]["b"]), np.zeros((2, 2)))


def test_the_hessian_of_several_arguments_is_a_tuple_of_tuples():
    h = cr.hessian(lambda x, y: x**2 * y, argnums=(0, 1))(2.0, 3.0)
    assert [[t.item() for t in row] for row in h] == [[6.0, 4.0], [4.0, 0.0]]


def test_a_function_of_a_list_returns_the_gradient_as_a_list():
    g = cr.grad(lambda ws: ws[0] ** 2 * ws[1])([3.0, 2.0])
    assert isinstance(g, list)
    assert [t.item() for t in g] == [12.0, 9.0]


def test_a_dataclass_keeps_its_fields_that_are_no_numbers():
    g = cr.grad(lambda m: m.weight * 2 + m.bias**2)(Layer(1.0, 3.0, name="first"))
    assert (g.weight.item(), g.bias.item(), g.name) == (2.0, 6.0, "first")


def test_none_in_a_tree_has_no_derivative_and_stays():
    g = cr.grad(lambda p: p["a"] ** 2)({"a": 3.0, "b": None})
    assert g["a"].item() == 6.0
    assert g["b"] is None


def test_a_tangent_or_cotangent_that_is_none_is_zero():
    _, t = cr.jvp(
        lambda p, q: p["a"] * p["b"] * q, ({"a": 2.0, "b": 3.0}, 5.0), ({"a": 1.0, "b": None}, None)
    )
    assert t.item() == 15.0
    _, pull = cr.vjp(lambda x: {"u": x * 2, "v": x * 3}, 1.0)
    assert pull({"u": None, "v": 1.0})[0].item() == 3.0


def test_aux_is_handed_out_without_a_tape():
    _, aux = cr.grad(lambda x: (x**2, {"half": [x / 2], "name": "f"}), has_aux=True)(3.0)
    assert not aux["half"][0].requires_grad
    assert aux["name"] == "f"


def test_aux_of_an_inner_gradient_is_connected_with_the_outer_one():
    f = lambda x: cr.grad(lambda y: (y * y, y * x), has_aux=True)(x)[1]
    assert cr.grad(f)(3.0).item() == 6.0


def test_nested_gradients_of_trees():
    inner = lambda p: cr.grad(lambda q: q["a"] ** 3 * p["b"])(p)["a"]
    g = cr.grad(inner)({"a": 2.0, "b": 5.0})  # 3a²b: 6ab, 3a²
    assert (g["a"].item(), g["b"].item()) == (60.0, 12.0)


# --- functions without inputs or with strange results ----------------------------------------------------------


def test_functions_without_arguments():
    value, pull = cr.vjp(lambda: cr.ones(2))
    assert value.tolist() == [1.0, 1.0]
    assert pull(np.ones(2)) == ()
    value, tangent = cr.jvp(lambda: cr.ones(2), (), ())
    assert tangent.tolist() == [0.0, 0.0]
    assert cr.jacobian(lambda: cr.ones(2), argnums=())() == ()


def test_a_constant_next_to_a_result_has_zeros():
    j = cr.jacobian(lambda x: (x * 2, 3.0, cr.arange(2)))(1.0)
    assert [t.tolist() for t in j] == [2.0, 0.0, [0, 0]]


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: cr.grad(lambda p: p["a"])({"a": 1}), r"argument 0\['a'\]"),
        (lambda: cr.grad(lambda p: p[0])([1.0, "x"]), r"argument 0\[1\]"),
        (lambda: cr.vjp(lambda x: None, 1.0), "returns None"),
        (lambda: cr.vjp(lambda x: {"a": x}, 1.0)[1]({"b": 1.0}), "cotangent is not built like"),
        (lambda: cr.vjp(lambda x: {"a": x}, 1.0)[1]({"a": np.ones(2)}), r"cotangent\['a'\]"),
        (lambda: cr.jvp(lambda x: x["a"], ({"a": 1.0},), ([1.0],)), "tangent 0 is not built like"),
        (lambda: cr.jvp(lambda x: x["a"], ({"a": 1.0},), ({"a": np.ones(2)},)), r"tangent 0\['a'\]"),
        (lambda: cr.grad(lambda x: (x, x))(1.0), "tuple of 2"),
        (lambda: cr.grad(lambda x, y: x * y, (0, 0))(1.0, 2.0), "argument 0 twice"),
        (lambda: cr.grad(lambda: 1.0)(), "names argument 0"),
        (lambda: cr.jacobian(lambda x: x, 1.0, mode="sideways"), "no mode 'sideways'"),
        (lambda: cr.jacobian(lambda x: x, 1.0, layout="left"), "no layout 'left'"),
    ],
)
def test_what_cannot_be_meant_is_named(call, words):
    with pytest.raises(cr.ChainruleError, match=words) as info:
        call()
    assert info.value.fix


# --- what costs nothing if it is not used ------------------------------------------------------------------------


def test_functions_of_tensors_do_not_load_optree():
    code = (
        "import sys, numpy as np, chainrule as cr\n"
        "f = lambda x, y: (x * y).sum()\n"
        "x = np.ones(2)\n"
        "cr.grad(f, (0, 1))(x, 2.0); cr.jvp(f, (x, 1.0), (x, 1.0)); cr.vjp(f, x, 1.0)[1]()\n"
        "cr.hessian(f)(x, 1.0); cr.jacobian(f)(x, 1.0); cr.hvp(f, (x, 1.0), (x, 1.0))\n"
        "print('optree' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
