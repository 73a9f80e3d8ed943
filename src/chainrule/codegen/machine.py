"""What this machine can do at most: how fast memory is, and arithmetic. Measured when asked for, in some 0.2 s."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from chainrule.codegen import threads
from chainrule.codegen.program import Program
from chainrule.ir.graph import Graph
from chainrule.ir.types import Type

_BYTES = 2**25  # of an array that no cache holds
_SIZE = 4096, 64  # samples, and entries of each: one chunk


class Machine(NamedTuple):
    """Bytes that memory moves in a second, and operations on float64 numbers that kernels do, on so many threads."""

    bandwidth: float
    flop_rate: float
    threads: int

    def at_least(self, moved: int, flop: int, parts: int) -> float:
        """Seconds that a step takes at least, cut into so many parts that may run at once."""
        alone = 1 if parts == 1 else min(parts, self.threads)
        return max(moved / self.bandwidth, flop / (self.flop_rate * alone))

    def __str__(self) -> str:
        count = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        rates = (
            f"{self.bandwidth / 1e9:.1f} GB/s of memory, {self.flop_rate / 1e9:.0f} Gflop/s for each thread"
        )
        return f"{rates}, {count}"


def measured() -> Machine:
    """The machine as it is now."""
    count = threads.get_num_threads()
    return Machine(_bandwidth(count), _flop_rate(), count)


def _seconds(work: Callable[[], object]) -> float:
    """Time of the best of some rounds: others may use the machine too, and a limit is what is possible."""
    found = []
    for _ in range(8):
        start = perf_counter()
        work()
        found.append(perf_counter() - start)
    return min(found)


def _bandwidth(count: int) -> float:
    """Bytes per second of a copy or of a sum, whichever is quicker."""
    a = np.ones((count, _BYTES // count // 8))
    b = np.zeros_like(a)
    copy = 2 * a.nbytes / _seconds(lambda: threads.run(lambda w, k: np.copyto(b[k], a[k]), count, count))
    x = a.reshape(-1)
    program = _program([x], "sum", axis=(0,), keepdims=False)
    return max(copy, x.nbytes / _seconds(lambda: program([x])))


def _flop_rate() -> float:
    """Operations per second of one thread: a product of matrices that stay in its cache."""
    n, depth = _SIZE
    a, b = np.ones((n, depth)), np.ones((depth, depth))
    program = _program([a, b], "dot_general", contract=((1,), (0,)), batch=((), ()))
    with threads.single_threaded_blas():
        return 2 * n * depth * depth / _seconds(lambda: program([a, b]))


def _program(arrays: list[np.ndarray], name: str, **params: Any) -> Program:
    g = Graph()
    inputs = [g.input(Type(a.shape, a.dtype)) for a in arrays]
    g.outputs = [g.emit(name, *inputs, **params)]
    return Program(g)


__all__ = ["Machine", "measured"]
