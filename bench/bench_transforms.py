"""Transforms: what checkpoint costs and saves, the price of a product with a derivative."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np

import chainrule as cr
from bench.harness import Ratio, benchmark, race

LAYERS, GROUPS = 64, 8


def layer(x):
    """Three operations, each of which keeps one array."""
    return cr.exp(cr.sin(x)) * x


def chain(x):
    for _ in range(LAYERS):
        x = layer(x)
    return x.sum()


def checkpointed(x):
    return cr.utils.checkpoint.checkpoint_sequential([layer] * LAYERS, GROUPS, x).sum()


def peak(f, x) -> int:
    """Bytes at the worst moment of a gradient."""
    cr.grad(f)(x)
    gc.collect()
    tracemalloc.start()
    try:
        cr.grad(f)(x)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@benchmark(goal=Ratio(1.5, "everything kept"))
def checkpoint_64_layers():
    """Gradient of 64 layers that keep 3 arrays of 100,000 numbers each, in 8 checkpointed groups; before timing it is
    checked that the peak of memory falls to a quarter. Limit: one more forward pass, 1.33 of the time without."""
    x = np.full(100_000, 0.1)
    whole, groups = peak(chain, x), peak(checkpointed, x)
    print(f"  memory: {whole / 1e6:.0f} MB kept, {groups / 1e6:.0f} MB in groups, {whole / groups:.1f}× less")
    assert groups <= whole / 4, "the peak of memory did not fall to a quarter"
    plain, grouped = cr.grad(chain), cr.grad(checkpointed)
    return race(plain(x).numpy(), {"chainrule": lambda: grouped(x), "everything kept": lambda: plain(x)})


@benchmark(goal=Ratio(5, "function"))
def hessian_vector_product():
    """Product of a Hessian of 100,000 unknowns with a vector. Limit: a gradient of a gradient, 4 of the function."""
    x, v = np.linspace(-1, 1, 100_000), np.ones(100_000)
    f = lambda x: (cr.sin(x) * cr.exp(x)).sum()
    np.testing.assert_allclose(cr.hvp(f, x, v)[1].numpy(), 2 * np.cos(x) * np.exp(x), rtol=1e-12, atol=1e-13)
    return {"chainrule": lambda: cr.hvp(f, x, v), "function": lambda: f(cr.tensor(x))}


@benchmark(goal=Ratio(0.02, "loop"))
def gradients_of_1000_points():
    """Gradient of a logistic loss at each of 1000 points, eager: recorded once and run on all, or a loop. Limit: the
    arithmetic, 20,000 numbers; what is left is Python's, once."""
    rng = np.random.default_rng(0)
    w, xs, ys = rng.normal(size=5), rng.normal(size=(1000, 5)), np.sign(rng.normal(size=1000))
    one = cr.grad(lambda w, x, y: cr.softplus(-y * (w * x).sum()))
    many = cr.vmap(one, in_dims=(None, 0, 0))
    slope = -ys / (1 + np.exp(ys * (xs @ w)))
    np.testing.assert_allclose(many(w, xs, ys).numpy(), slope[:, None] * xs, rtol=1e-12)
    return {
        "chainrule": lambda: many(w, xs, ys),
        "loop": lambda: [one(w, x, y) for x, y in zip(xs, ys, strict=True)],
    }


@benchmark(goal=Ratio(600, "gradient"))
def hessian_of_200():
    """Dense Hessian of 200 unknowns: one recorded gradient, 200 passes that run together. Limit: 200 gradients; the
    goal allows three for each row."""
    a, x = np.linspace(-1, 1, 40_000).reshape(200, 200) / 200, np.linspace(-1, 1, 200)
    f = lambda x: cr.sin(a @ x).sum() + (x[1:] * x[:-1]).sum()
    step = np.diag(np.ones(199), 1)
    wanted = -(a.T * np.sin(a @ x)) @ a + step + step.T
    np.testing.assert_allclose(cr.hessian(f)(x).numpy(), wanted, rtol=1e-12, atol=1e-13)
    return {"chainrule": lambda: cr.hessian(f)(x), "gradient": lambda: cr.grad(f)(x)}
