"""Compiled programs that pick, shift and add entries at places, against PyTorch, JAX and NumPy by hand.

Value and gradient together, float64, one thread each.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import chainrule as cr
from bench.contenders import jax, ours, torch
from bench.harness import Contenders, Ratio, Thunk, benchmark, race, rival

GOAL = Ratio(1.0, "numpy")


def _race(
    program: Callable, arrays: Sequence[np.ndarray], by_hand: Thunk, in_jax: Callable | None = None
) -> Contenders:
    """`program(m, *arrays)` for modules with torch's names, and its gradient by the first array."""
    t, j = rival("torch"), rival("jax")
    expected: Any = by_hand()
    scale = float(np.max(np.abs(expected[1])))
    return race(expected, {
        "chainrule": ours(lambda *args: program(cr, *args), arrays, (0,)),
        "torch": torch(lambda *args: program(t, *args), arrays, (0,)) if t else None,
        "jax": jax(lambda *args: (in_jax or program)(j.numpy, *args), arrays, (0,)) if j else None,
        "numpy": by_hand,
    }, rtol=1e-9, atol=1e-9 * scale)  # fmt: skip


@benchmark(goal=GOAL)
def embedding_5000() -> Contenders:
    """Squares of 5000 rows of a table of 2000 × 64, and the gradient of the table.

    Limit: 2.5 MB read and added once each, in caches: 0.3 ms.
    """
    rng = np.random.default_rng(0)
    table, rows = rng.normal(size=(2000, 64)), rng.integers(0, 2000, 5000)

    def by_hand() -> tuple:
        picked, gradient = table[rows], np.zeros_like(table)
        np.add.at(gradient, rows, 2 * picked)
        return (picked * picked).sum(), gradient

    return _race(lambda m, table, rows: (table[rows] ** 2).sum(), [table, rows], by_hand)


@benchmark(goal=GOAL)
def cross_entropy_5000() -> Contenders:
    """Softmax cross-entropy of 5000 samples with whole-numbered labels, 100 classes.

    Limit: 500 000 exponentials of 0.7 ns, 8 MB: 1 ms.
    """
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(5000, 100)), rng.integers(0, 100, 5000)
    every = np.arange(5000)

    def by_hand() -> tuple:
        d = logits - logits.max(1, keepdims=True)
        e = np.exp(d)
        total = e.sum(1)
        gradient = e / total[:, None]
        gradient[every, labels] -= 1
        return (np.log(total) - d[every, labels]).mean(), gradient / 5000

    def program(m: Any, x: Any, labels: Any) -> Any:
        d = x - m.amax(x, 1)[:, None]
        return (m.log(m.exp(d).sum(1)) - d[m.arange(5000), labels]).mean()

    return _race(program, [logits, labels], by_hand)


@benchmark(goal=GOAL)
def differences_100000() -> Contenders:
    """Squares of the differences of neighbours, 100 000 numbers.

    Limit: 1.6 MB: 0.1 ms.
    """
    x = np.random.default_rng(0).normal(size=100_000)

    def by_hand() -> tuple:
        d, gradient = x[1:] - x[:-1], np.zeros_like(x)
        gradient[1:] += 2 * d
        gradient[:-1] -= 2 * d
        return (d * d).sum(), gradient

    return _race(lambda m, x: ((x[1:] - x[:-1]) ** 2).sum(), [x], by_hand)


@benchmark(goal=GOAL)
def nearest_10000() -> Contenders:
    """k-means by places: the nearest of 25 centres is looked for, then picked; 10 000 points in 4 dimensions.

    Limit: 3 Mflop of distances, 1 Mbyte: 0.3 ms.
    """
    rng = np.random.default_rng(0)
    centres, points = rng.normal(size=(25, 4)), rng.normal(size=(10_000, 4))

    def by_hand() -> tuple:
        nearest = ((points[:, None] - centres) ** 2).sum(2).argmin(1)
        d, gradient = points - centres[nearest], np.zeros_like(centres)
        np.add.at(gradient, nearest, -2 * d)
        return (d * d).sum(), gradient

    def program(m: Any, centres: Any, points: Any) -> Any:
        nearest = m.argmin(((points[:, None] - centres) ** 2).sum(2), 1)
        return ((points - centres[nearest]) ** 2).sum()

    return _race(program, [centres, points], by_hand)
