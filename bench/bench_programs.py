"""Compiled programs as users write them, against PyTorch and JAX: value and gradient, float64, one thread each.

The public problems of `bench_compiled` are few; these are to show that nothing was made for them alone.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

import chainrule as cr
from bench.contenders import eager, jax, ours, torch
from bench.harness import Contenders, Ratio, benchmark, race, rival

RNG = np.random.default_rng(0)


def _some(*shape: int) -> np.ndarray:
    return 0.3 * RNG.normal(size=shape)


def _register(program: Callable, arrays: Callable[[], list[np.ndarray]], count: int) -> None:
    """A benchmark of `program(m, *arrays)`, for modules with the names of torch and NumPy, in the first `count`."""

    def measured() -> Contenders:
        given, wanted = arrays(), tuple(range(count))
        names = {"torch": rival("torch"), "jax": (j := rival("jax")) and j.numpy}
        of = {n: (lambda *args, m=m: program(m, *args)) for n, m in names.items() if m}
        f = lambda *args: program(cr, *args)
        contenders = {
            "chainrule": ours(f, given, wanted),
            "torch": torch(of["torch"], given, wanted) if "torch" in of else None,
            "jax": jax(of["jax"], given, wanted) if "jax" in of else None,
        }
        expected = tuple(np.array(a) for a in eager(f, given, wanted)())
        scale = max(float(np.max(np.abs(a))) for a in expected)
        return race(expected, contenders, rtol=1e-8, atol=1e-10 * scale)

    measured.__name__, measured.__doc__ = f"program_{program.__name__}", program.__doc__
    benchmark(goal=Ratio(1.0, "torch"), rounds=9)(measured)


def logistic(m: Any, w: Any, x: Any, y: Any) -> Any:
    """Logistic regression of 5000 samples with 50 numbers each. Limit: 2 MB read twice: 0.1 ms."""
    s = x @ w
    return (m.log1p(m.exp(s)) - y * s).mean()


def cross_entropy(m: Any, w: Any, x: Any, y: Any) -> Any:
    """Softmax regression of 4000 samples with 64 numbers each, 20 classes. Limit: 20 Mflop: 0.5 ms."""
    s = x @ w
    return (m.log(m.exp(s).sum(1)) - (s * y).sum(1)).mean()


def layer_norm(m: Any, x: Any, w: Any, b: Any) -> Any:
    """Squares of 2000 rows of 256 numbers, normalised. Limit: 4 MB read, 4 MB written: 0.4 ms."""
    d = x - x.mean(1)[:, None]
    return ((d / m.sqrt((d * d).mean(1) + 1e-5)[:, None] * w + b) ** 2).sum()


def attention(m: Any, q: Any, k: Any, v: Any) -> Any:
    """Softmax attention, 8 heads, 128 places, 64 numbers. Limit: six products, 100 Mflop: 2.2 ms."""
    e = m.exp(m.einsum("hik,hjk->hij", q, k) / 8.0)
    return (m.einsum("hij,hjk->hik", e / e.sum(2)[:, :, None], v) ** 2).sum()


def perceptron(m: Any, w1: Any, b1: Any, w2: Any, b2: Any, x: Any) -> Any:
    """Two layers, 64 × 128 × 10, of 2000 samples. Limit: five products, 80 Mflop: 1.8 ms."""
    return ((m.tanh(x @ w1 + b1) @ w2 + b2) ** 2).mean()


def recurrent(m: Any, w: Any, u: Any, x: Any) -> Any:
    """20 steps of a recurrent layer of 32 for 64 sequences of 16 numbers. Limit: 12 Mflop, 41,000 tanh: 0.4 ms."""
    h = 0.0 * x[0, :, :1] + 0.0 * u[:1]
    for t in range(20):
        h = m.tanh(x[t] @ u + h @ w)
    return h.sum()


def bodies(m: Any, x: Any) -> Any:
    """Energy of 400 bodies. Limit: 160,000 distances of 5 ns, twice: 0.8 ms."""
    d = x[:, None, :] - x[None, :, :]
    return (1.0 / m.sqrt((d * d).sum(2) + 1e-3)).sum()


def gaussian_kernel(m: Any, x: Any, width: Any) -> Any:
    """Sum of a Gaussian kernel between 800 numbers. Limit: 640,000 exponentials of 0.8 ns, twice: 1 ms."""
    d = x[:, None] - x[None, :]
    return m.exp(-(d * d) / (2.0 * width * width)).sum()


def convolution(m: Any, x: Any, w: Any) -> Any:
    """64 signals of 2000 numbers, 9 weights. Limit: 1 MB read, 1 MB written, 7 Mflop: 0.3 ms."""
    return (sum(x[:, k : k + 2000] * w[k] for k in range(9)) ** 2).sum()


def elementwise(m: Any, x: Any) -> Any:
    """Five functions of each of 10⁶ numbers. Limit: five functions of 1 ns, and their slopes: 6 ms."""
    e = m.exp(-m.abs(x))
    return (m.log1p(e) * m.tanh(x) + m.sin(x) ** 2 / (1.0 + e)).sum()


_register(logistic, lambda: [_some(50), _some(5000, 50), (_some(5000) > 0) * 1.0], 1)
_register(cross_entropy, lambda: [_some(64, 20), _some(4000, 64), np.eye(20)[RNG.integers(0, 20, 4000)]], 1)
_register(layer_norm, lambda: [_some(2000, 256), _some(256), _some(256)], 3)
_register(attention, lambda: [_some(8, 128, 64), _some(8, 128, 64), _some(8, 128, 64)], 3)
_register(perceptron, lambda: [_some(64, 128), _some(128), _some(128, 10), _some(10), _some(2000, 64)], 4)
_register(recurrent, lambda: [_some(32, 32), _some(16, 32), _some(20, 64, 16)], 2)
_register(bodies, lambda: [_some(400, 3)], 1)
_register(gaussian_kernel, lambda: [_some(800), np.array(0.7)], 2)
_register(convolution, lambda: [_some(64, 2008), _some(9)], 2)
_register(elementwise, lambda: [_some(1_000_000)], 1)
