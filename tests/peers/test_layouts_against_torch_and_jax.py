"""Trees of arguments and results come out as in torch.func and JAX, and autograd.functional gives PyTorch's numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr

jax = pytest.importorskip("jax")
pytestmark = [pytest.mark.usefixtures("doubles"), pytest.mark.filterwarnings("ignore")]


@pytest.fixture(autouse=True, scope="module")
def _double_precision():
    jax.config.update("jax_enable_x64", True)


def plain(tree: Any) -> Any:
    """The tree with nested lists in the place of tensors."""
    if isinstance(tree, dict):
        return {k: plain(tree[k]) for k in sorted(tree)}
    if isinstance(tree, tuple | list):
        return type(tree)(plain(v) for v in tree)
    return np.asarray(tree.detach() if hasattr(tree, "detach") else tree)


def same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, tuple | list):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return a.shape == b.shape and np.allclose(a, b, rtol=1e-12, atol=1e-12)


def test_a_wrong_number_and_a_wrong_structure_are_noticed():
    assert same((np.ones(2),), (np.ones(2),))
    assert not same((np.ones(2),), [np.ones(2)])
    assert not same({"a": np.ones(2)}, {"a": np.ones(2) + 1e-6})


NUMBERS = (np.array([0.3, -1.2]), np.array([[0.5], [2.0]]), np.array(0.7))
FUNCTIONS = {
    "tensor": lambda a, p: a.sum() * p["w"] + p["b"][0],
    "dict": lambda a, p: {
        "u": a * p["b"][0],
        "v": (p["w"] * a.sum()).sin() if hasattr(a, "detach") else jax.numpy.sin(p["w"] * a.sum()),
    },
    "nested": lambda a, p: [a * a, ({"x": p["w"] ** 2}, p["b"][0] * a[0])],
}


def at(make: Any) -> tuple[Any, Any]:
    a, w, b = map(make, NUMBERS)
    return a, {"w": w, "b": (b,)}


@pytest.mark.parametrize("name", ["jacrev", "jacfwd"])
@pytest.mark.parametrize("argnums", [0, 1, (0,), (0, 1), (1, 0)])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_jacobians_of_trees(function, argnums, name):
    f = FUNCTIONS[function]
    ours = plain(getattr(cr, name)(f, argnums)(*at(cr.tensor)))
    assert same(ours, plain(getattr(torch.func, name)(f, argnums)(*at(torch.tensor))))
    assert same(ours, plain(getattr(jax, name)(f, argnums)(*at(jax.numpy.array))))


@pytest.mark.parametrize("argnums", [0, 1, (0, 1)])
def test_hessians_of_trees(argnums):
    f = lambda a, p: ((a * p["b"][0]) ** 2).sum() * p["w"].sum() ** 2
    ours = plain(cr.func.hessian(f, argnums)(*at(cr.tensor)))
    assert same(ours, plain(cr.hessian(f, argnums=argnums)(*at(cr.tensor))))
    assert same(ours, plain(torch.func.hessian(f, argnums)(*at(torch.tensor))))
    assert same(ours, plain(jax.hessian(f, argnums)(*at(jax.numpy.array))))


@pytest.mark.parametrize("function", ["dict", "nested"])
def test_products_with_trees(function):
    f = FUNCTIONS[function]
    value, pull = cr.func.vjp(f, *at(cr.tensor))
    theirs, their_pull = torch.func.vjp(f, *at(torch.tensor))
    assert same(plain(value), plain(theirs))
    assert same(plain(pull(value)), plain(their_pull(theirs)))
    ours = cr.func.jvp(f, at(cr.tensor), at(cr.tensor))
    assert same(plain(ours), plain(torch.func.jvp(f, at(torch.tensor), at(torch.tensor))))


F, T = cr.autograd.functional, torch.autograd.functional
SCALAR = lambda x, y: (x * y).sum() ** 2 + (x**3).sum()
VECTOR = lambda x, y: (x * y.sum(), (x * x).sum())


@given(seed=st.integers(0, 2**32 - 1))
@pytest.mark.parametrize("name", ["hvp", "vhp", "hessian", "jacobian", "vjp", "jvp"])
def test_autograd_functional(name, seed):
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=2) for _ in range(4)]
    f = SCALAR if name in ("hvp", "vhp", "hessian") else VECTOR

    def run(lib: Any, module: Any) -> Any:
        x, y, v, w = map(lib.tensor, arrays)
        if name in ("hessian", "jacobian"):
            return getattr(module, name)(f, (x, y))
        weights = (v, w[0]) if name == "vjp" else (v, w)
        return getattr(module, name)(f, (x, y), weights)

    assert same(plain(run(cr, F)), plain(run(torch, T)))


@pytest.mark.parametrize(
    "call",
    [
        lambda lib, F: F.jacobian(lambda x, y: x, (lib.ones(2), lib.ones(2)), strict=True),
        lambda lib, F: F.hessian(lambda x: x.sum(), lib.ones(2), strict=True),
        lambda lib, F: F.hessian(lambda x: x, lib.ones(2)),
        lambda lib, F: F.jvp(lambda x: x, lib.ones(2)),
        lambda lib, F: F.vjp(lambda x: x, lib.ones(2)),
        lambda lib, F: F.hvp(lambda x: x.sum(), lib.ones(2)),
    ],
)
def test_autograd_functional_refuses_what_pytorch_refuses(call):
    for lib, module in ((torch, T), (cr, F)):
        with pytest.raises(RuntimeError):
            call(lib, module)
