"""Reductions, scans and sorting of large arrays against PyTorch: the value, and value and gradient."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import numpy as np

import chainrule as cr
from bench.harness import Contenders, Ratio, Thunk, benchmark, race, rival

SIZE = 1_000_000


@dataclass(frozen=True, slots=True)
class Reduction:
    """A function of one array with torch's names, and in NumPy with the gradient of ⟨weights, value⟩ (in x, out, w)."""

    program: Callable[[ModuleType, object], object]
    value: Callable[[np.ndarray], object]
    gradient: Callable[[np.ndarray, object, object], np.ndarray]
    reads: str  # what the machine would allow
    near_one: bool = False  # entries near 1, so that a product stays a number


def _ranked(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    g = np.empty_like(x)
    g[np.argsort(x)] = w
    return g


def _softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _softmax_gradient(x, s, w):
    return s * (w - (s * w).sum(-1, keepdims=True))


def _rows(x: np.ndarray) -> np.ndarray:
    return x.reshape(1000, -1)


_PLACES = np.random.default_rng(1).integers(0, 1000, SIZE)


@functools.cache
def _places(m: ModuleType) -> object:
    return m.tensor(_PLACES)


def _largest_sent(x: np.ndarray) -> np.ndarray:
    out = np.zeros(1000)
    np.maximum.at(out, _PLACES, x)
    return out


def _unpadded(w: np.ndarray) -> np.ndarray:
    """What the edges of a mirrored array hand back to the lines that they repeat."""
    for _ in range(2):
        w = w.T
        inside = w[1:-1].copy()
        inside[1] += w[0]
        inside[-2] += w[-1]
        w = inside
    return w


ONE_PASS = "one pass of 8 bytes per element: 0.2 ns"
TWO_PASSES = "two passes of 8 bytes per element: 0.4 ns"
EXP = "e to each entry at 0.7 ns, and three passes: 1.3 ns"
IN_ORDER = "each entry waits for the one before, 4 cycles: 1.3 ns"

REDUCTIONS = {
    "mean": Reduction(lambda m, x: x.mean(), np.mean, lambda x, out, w: np.full_like(x, w / x.size), ONE_PASS),
    "var": Reduction(
        lambda m, x: x.var(), lambda x: x.var(ddof=1),
        lambda x, out, w: w * 2 * (x - x.mean()) / (x.size - 1), TWO_PASSES
    ),
    "std": Reduction(
        lambda m, x: x.std(), lambda x: x.std(ddof=1),
        lambda x, out, w: w * (x - x.mean()) / out / (x.size - 1), TWO_PASSES
    ),
    "amax": Reduction(lambda m, x: x.amax(), np.max, lambda x, out, w: w * (x == out) / (x == out).sum(), ONE_PASS),
    "logsumexp": Reduction(
        lambda m, x: m.logsumexp(x, 0), lambda x: np.log(np.exp(x).sum()), lambda x, out, w: w * _softmax(x), EXP
    ),
    "norm": Reduction(lambda m, x: x.norm(), np.linalg.norm, lambda x, out, w: w * x / out, ONE_PASS),
    "prod": Reduction(lambda m, x: x.prod(), np.prod, lambda x, out, w: w * out / x, ONE_PASS, near_one=True),
    "sum_of_rows": Reduction(
        lambda m, x: _rows(x).sum(1), lambda x: _rows(x).sum(1),
        lambda x, out, w: np.repeat(w, x.size // 1000), ONE_PASS
    ),
    "sum_of_columns": Reduction(
        lambda m, x: _rows(x).sum(0), lambda x: _rows(x).sum(0),
        lambda x, out, w: np.tile(w, 1000), ONE_PASS
    ),
    "amax_of_rows": Reduction(
        lambda m, x: _rows(x).amax(1), lambda x: _rows(x).max(1),
        lambda x, out, w: ((_rows(x) == out[:, None]) * w[:, None]).ravel(), ONE_PASS
    ),
    "amin": Reduction(lambda m, x: x.amin(), np.min, lambda x, out, w: w * (x == out) / (x == out).sum(), ONE_PASS),
    "softmax_of_rows": Reduction(
        lambda m, x: m.softmax(_rows(x), 1), lambda x: _softmax(_rows(x)),
        lambda x, out, w: _softmax_gradient(_rows(x), out, w).ravel(), EXP,
    ),
    "log_softmax_of_rows": Reduction(
        lambda m, x: m.log_softmax(_rows(x), 1), lambda x: np.log(_softmax(_rows(x))),
        lambda x, out, w: (w - np.exp(out) * w.sum(1, keepdims=True)).ravel(), EXP,
    ),
    "cumsum": Reduction(lambda m, x: m.cumsum(x, 0), np.cumsum, lambda x, out, w: np.cumsum(w[::-1])[::-1], IN_ORDER),
    "cumsum_of_columns": Reduction(
        lambda m, x: m.cumsum(_rows(x), 0), lambda x: np.cumsum(_rows(x), 0),
        lambda x, out, w: np.cumsum(w[::-1], 0)[::-1].ravel(), TWO_PASSES
    ),
    "cumprod": Reduction(
        lambda m, x: m.cumprod(x, 0), np.cumprod,
        lambda x, out, w: np.cumsum((w * out)[::-1])[::-1] / x, IN_ORDER, near_one=True
    ),
    "cummax": Reduction(
        lambda m, x: m.cummax(x, 0)[0], np.maximum.accumulate,
        lambda x, out, w: np.bincount(np.maximum.accumulate(np.where(x == out, np.arange(x.size), 0)), w, x.size),
        IN_ORDER,
    ),
    "logcumsumexp": Reduction(
        lambda m, x: m.logcumsumexp(x, 0), np.logaddexp.accumulate,
        lambda x, out, w: np.exp(x) * np.cumsum((w * np.exp(-out))[::-1])[::-1], "an exp and a log each: 10 ns"
    ),
    "scatter_amax": Reduction(
        lambda m, x: m.scatter_reduce(m.zeros(1000, dtype=m.float64), 0, _places(m), x, "amax"),
        lambda x: _largest_sent(x), lambda x, out, w: w[_PLACES] * (x == out[_PLACES]), "one pass, at random: 1 ns",
    ),
    "pad_reflect": Reduction(
        lambda m, x: m.nn.functional.pad(x.reshape(1, 1, 1000, -1), (1, 1, 1, 1), mode="reflect"),
        lambda x: np.pad(_rows(x), 1, mode="reflect")[None, None],
        lambda x, out, w: _unpadded(w[0, 0]).ravel(), TWO_PASSES,
    ),
    "sort": Reduction(lambda m, x: m.sort(x)[0], np.sort, lambda x, out, w: _ranked(x, w), "NumPy's sort: 10 ns"),
    "median": Reduction(
        lambda m, x: x.median(), lambda x: np.partition(x, (x.size - 1) // 2)[(x.size - 1) // 2],
        lambda x, out, w: w * (x == out), "NumPy's partition: 3 ns",
    ),
    "topk": Reduction(
        lambda m, x: m.topk(x, 10)[0], lambda x: np.sort(x)[:-11:-1],
        lambda x, out, w: np.where(x >= out[-1], np.interp(x, out[::-1], w[::-1]), 0.0), "NumPy's partition: 3 ns",
    ),
}  # fmt: skip


def _ours_and_torch(thunk: Callable[[ModuleType], Thunk]) -> dict[str, Thunk | None]:
    torch = rival("torch")
    return {"chainrule": thunk(cr), "torch": thunk(torch) if torch else None}


def _register(name: str, r: Reduction) -> None:
    def numbers(n: int) -> np.ndarray:
        rng = np.random.default_rng(0)
        return rng.uniform(0.999, 1.001, n) if r.near_one else rng.uniform(-2, 2, n)

    def value(n: int) -> Contenders:
        x = numbers(n)

        def thunk(m: ModuleType) -> Thunk:
            t = m.tensor(x)
            return lambda: r.program(m, t)

        return race(r.value(x), {**_ours_and_torch(thunk), "numpy": lambda: r.value(x)}, rtol=1e-9, atol=1e-9)

    def gradient(n: int) -> Contenders:
        x = numbers(n)
        out = r.value(x)
        w = np.cos(np.arange(np.size(out))).reshape(np.shape(out))

        def thunk(m: ModuleType) -> Thunk:
            t, weights = m.tensor(x, requires_grad=True), m.tensor(w)

            def forward_and_backward() -> object:
                t.grad = None
                r.program(m, t).backward(weights)
                return t.grad

            return forward_and_backward

        return race(r.gradient(x, out, w), _ours_and_torch(thunk), rtol=1e-9, atol=1e-9)

    value.__doc__ = f"{name} of x. Limit: {r.reads}"
    gradient.__doc__ = (
        f"{name} of x, value and gradient. Limit: {r.reads}, and one array written for the gradient"
    )
    how = {"sizes": (SIZE,), "per": "element", "goal": Ratio(1.3, "torch")}
    benchmark(name=f"{name}_value", **how)(value)
    benchmark(name=f"{name}_gradient", **how)(gradient)


for _name, _reduction in REDUCTIONS.items():
    _register(_name, _reduction)
