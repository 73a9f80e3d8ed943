"""How long each step of a program takes, on numbers of the shapes that it is compiled for."""

from __future__ import annotations

from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from chainrule.ir.types import Type

_SECONDS = 0.3  # of all rounds together
_ROUNDS = 3, 25


def step_seconds(program: Any) -> list[float]:
    """Median seconds of everything that `program` calls, in order."""
    arrays = [_numbers(v.type) for v in program.graph.inputs]
    runs, taken = program._runs, [[] for _ in program._runs]  # type: list[Any], list[list[float]]

    def timed(k: int) -> Any:
        def run(values: Any) -> None:
            start = perf_counter()
            runs[k](values)
            taken[k].append(perf_counter() - start)

        return run

    program(arrays)
    program._runs = [timed(k) for k in range(len(runs))]
    try:
        begin = perf_counter()
        for r in range(_ROUNDS[1]):
            program(arrays)
            if r >= _ROUNDS[0] and perf_counter() - begin > _SECONDS:
                break
    finally:
        program._runs = runs
    return [median(ts) for ts in taken]


def _numbers(t: Type) -> Any:
    """Some numbers of a type: between ½ and 1½, so that most functions have a value; whole numbers are 0."""
    a = np.zeros(t.shape, t.dtype)
    if t.dtype.kind in "fc":
        a = np.random.default_rng(0).uniform(0.5, 1.5, t.shape).astype(t.dtype)
    return a.item() if t.shape == () and t.dtype == np.float64 else a


__all__ = ["step_seconds"]
