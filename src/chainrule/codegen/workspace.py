"""What a call of a program works in: the pointers that its code is given, and memory for what is kept on the way.

A workspace serves one call at a time, so that several threads may call one program without waiting for each other.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.codegen.schedule import FAULT, Schedule, Tiled
from chainrule.ir.graph import Var


class Workspace:
    """Memory for one call of a program.

    table
        The pointers: one for each slot.
    numbers, results
        float64 numbers that are arguments and results, by position.
    arrays, sums
        What is kept between kernels, and for the chunks of a phase.
    fault
        A byte that is not 0 when something was refused: an index, a divisor.
    values
        Of a program with calls of NumPy: arguments, and what the calls returned.
    """

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._phases = [step for step in schedule.steps if isinstance(step, Tiled)]
        self.values: dict[Var, Any] = {}
        self.arrays = {v: np.ascontiguousarray(c) for v, c in schedule.constants.items() if v.shape}
        self.arrays |= {v: np.empty(v.shape, v.dtype) for v in schedule.kept}
        self.sums = {
            v: np.empty((step.chunks, *v.shape), v.dtype)
            for step in self._phases if step.chunks > 1 for v, _ in step.sums
        }  # fmt: skip
        self.numbers = (ctypes.c_double * max(1, len(schedule.inputs)))()
        self.results = (ctypes.c_double * max(1, len(schedule.outputs)))()
        self.fault = (ctypes.c_byte * 1)()
        self.table = self._table()
        self._workers: list[_Worker] = []
        self._spare: dict[int, np.ndarray] = {}
        self._point()

    def _table(self) -> Any:
        return (ctypes.c_void_p * max(1, self._schedule.size))()

    def _point(self) -> None:
        """The pointers that stay the same in every call."""
        at = self._schedule.slots
        for v, a in self.arrays.items():
            if v in at:
                self.table[at[v]] = a.ctypes.data
        if FAULT in at:
            self.table[at[FAULT]] = ctypes.addressof(self.fault)
        for memory, variables in (
            (self.results, self._schedule.outputs),
            (self.numbers, self._schedule.inputs),
        ):
            for k, v in enumerate(variables):
                if is_number(v) and v in at and variables.index(v) == k:
                    self.table[at[v]] = ctypes.addressof(memory) + 8 * k

    def result(self, k: int, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Memory for an output: of a large one that of the call before, if nobody has that result any more."""
        spare = self._spare
        if k in spare and _references(spare, k) == _ALONE:
            return spare[k]
        out = np.empty(shape, dtype)
        if out.nbytes >= _LARGE:
            spare[k] = out
        return out

    def tables(self, count: int) -> list[Any]:
        """The pointers for each of so many threads, which have tiles of their own."""
        while len(self._workers) < count:
            self._workers.append(_Worker(self._table(), self._phases))
        for worker in self._workers[:count]:
            worker.follow(self.table)
        return [worker.table for worker in self._workers[:count]]

    def array(self, v: Var) -> np.ndarray:
        """The memory that a slot points at, as an array."""
        at = self.table[self._schedule.slots[v]]
        memory = (ctypes.c_byte * (v.type.size * v.dtype.itemsize)).from_address(at)
        return np.frombuffer(memory, v.dtype).reshape(v.shape)


class _Worker:
    """The pointers of one thread: those of the workspace, but tiles of its own."""

    def __init__(self, table: Any, phases: Sequence[Tiled]) -> None:
        self.table = table
        tiles = [tile for step in phases for tile in step.tiles]
        self._tiles = {slot: np.empty(entries, dtype) for slot, entries, dtype in tiles}

    def follow(self, table: Any) -> None:
        """Take the workspace's pointers."""
        ctypes.memmove(self.table, table, ctypes.sizeof(table))
        for slot, a in self._tiles.items():
            self.table[slot] = a.ctypes.data


# Fresh memory of some size costs more than the work on it: the system clears each page when it is first touched.
_LARGE = 2**20  # bytes


def _references(arrays: dict[int, np.ndarray], k: int) -> int:
    return sys.getrefcount(arrays[k])


_ALONE = _references({0: np.empty(1)}, 0)  # of an array that is only there


def is_number(v: Var) -> bool:
    """Whether a value is passed as a Python float."""
    return v.shape == () and v.dtype == np.float64
