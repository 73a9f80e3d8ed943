"""Threads for the chunks of a phase.

A phase is cut into chunks whose number depends on sizes only; each has sums of its own, which are added in order. So
results are the same to the last bit for any number of threads.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from chainrule import config
from chainrule.errors import ArgumentError

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

_pool: ThreadPoolExecutor | None = None
_wanted: int | None = None


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def get_num_threads() -> int:
    """Threads that large compiled work uses: what `set_num_threads` said, else the number of cores."""
    return _wanted or config.NUM_THREADS or cores()


def set_num_threads(n: int) -> None:
    """Let large compiled work use up to `n` threads; results do not depend on it.

    Parameters
    ----------
    n
        A whole number from 1. CHAINRULE_NUM_THREADS sets it from outside.

    Examples
    --------
    >>> import chainrule as cr
    >>> before = cr.get_num_threads()
    >>> cr.set_num_threads(1)
    >>> cr.get_num_threads()
    1
    >>> cr.set_num_threads(before)
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ArgumentError(f"the number of threads is {n!r}", fix="use a whole number from 1")
    global _wanted
    _wanted = n


def run(work: Callable[[int, int], None], chunks: int, workers: int) -> None:
    """`work(worker, chunk)` for every chunk, on so many threads; this one is worker 0."""
    take = itertools.count().__next__  # one thread gets each number
    stopped: list[bool] = []

    def worker(w: int) -> None:
        while not stopped and (chunk := take()) < chunks:
            work(w, chunk)

    if workers == 1:
        worker(0)
        return
    with single_threaded_blas():
        others = [_threads().submit(worker, w) for w in range(1, workers)]
        try:
            worker(0)
        except BaseException:  # Ctrl-C: the memory is theirs until they end
            stopped.append(True)
            raise
        finally:
            for other in others:
                other.exception()
        for other in others:
            other.result()


def _threads() -> ThreadPoolExecutor:
    global _pool
    if _pool is None:
        from concurrent.futures import ThreadPoolExecutor  # with logging, 5 ms

        _pool = ThreadPoolExecutor(thread_name_prefix="chainrule")
    return _pool


def _forget() -> None:
    global _pool
    _pool = None  # a forked process has none of the threads


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@functools.cache
def blas_threads() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """How many threads SciPy's OpenBLAS uses, and how to say so; None where it does not tell."""
    import ctypes
    from pathlib import Path

    import scipy

    for path in sorted((Path(scipy.__file__).parent.parent / "scipy.libs").glob("*openblas*")):
        library = ctypes.CDLL(str(path))
        for prefix, suffix in itertools.product(("scipy_", ""), ("", "64_")):
            names = [f"{prefix}openblas_{verb}_num_threads{suffix}" for verb in ("get", "set")]
            found: list[Any] = [getattr(library, n, None) for n in names]
            if None not in found:
                return found[0], found[1]
    return None


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Products inside call a BLAS of one thread each; the setting is the process's, and is put back."""
    control = blas_threads()
    before = 1 if control is None else control[0]()
    if control is None or before == 1:
        yield
        return
    control[1](1)
    try:
        yield
    finally:
        control[1](before)


__all__ = ["blas_threads", "cores", "get_num_threads", "run", "set_num_threads", "single_threaded_blas"]
