"""The native entry of a small program: from the arguments of a Python call to the tensors that come back."""

# Note [Native entry]
# `enter.ll` serves every program: it walks the tables that `entry` fills. It is a built-in function of Python and runs
# with Python's lock held from beginning to end. So one workspace is enough for all threads, and only programs of little
# work have an entry. Numbers are read out of the workspace before a tensor is made: making one may collect garbage,
# which may call the program again.

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.codegen.address import address
from chainrule.codegen.objects import Layout
from chainrule.codegen.program import Program
from chainrule.codegen.schedule import Tiled
from chainrule.codegen.workspace import is_number
from chainrule.config import KEEP_BYTES
from chainrule.ir.graph import Equation, Var

_MOST_WORK = 50_000  # operations for which Python's lock is held: some 0.05 ms
_FIXED, _NUMBER, _ARRAY = range(3)  # kinds of arguments, as `take` in enter.ll knows them


def has_entry(program: Any) -> bool:
    """Whether a program is small and one piece of machine code."""
    return (
        isinstance(program, Program)
        and not any(
            isinstance(s, Equation) or (isinstance(s, Tiled) and s.chunks > 1) for s in program.schedule.steps
        )
        and program.schedule.work <= _MOST_WORK
        and not program.may_refuse()
        and all(is_number(v) or v.shape for v in program.schedule.outputs)
    )


def entry(
    program: Program, arguments: Sequence[int | tuple[Any]], layout: Layout, *, made: Any, grad: bool
) -> Callable[..., Any]:
    """A program as a built-in function of Python: ``call(code, at, *arguments)``.

    It returns the tensor of a single output, else a tuple of them, made at the user's instruction. Arguments are
    numbers, arrays and untracked tensors; if they do not have the signature it returns None, and nothing has happened.

    Parameters
    ----------
    program
        One for which `has_entry` holds.
    arguments
        For each: the position of the graph's input that it is, or (the object that it must be,).
    layout
        See `objects`.
    made
        What the nodes of the results have as their parameters.
    grad
        Whether gradients are recorded: then a tracked tensor does not have the signature.
    """
    return layout.built_in(_Tables(program, arguments, layout).described(made, grad))


class _Tables:
    """What `enter` reads: tables of words, whose rows are the types at the head of enter.ll."""

    def __init__(self, program: Program, arguments: Sequence[int | tuple[Any]], layout: Layout) -> None:
        self.program, self.arguments = program, arguments
        self.workspace = program.workspace()
        (self.table,) = self.workspace.tables(1)
        self.elsewhere: dict[Var, int] = {}  # pointers that no kernel reads
        self.alive: list[Any] = [program, arguments, layout, self.workspace]  # as long as the function

    def described(self, made: Any, grad: bool) -> Any:
        """The row of the program, which keeps the others alive."""
        inputs, outputs = self.program.schedule.inputs, self.program.schedule.outputs
        taken = [
            self._input(a, inputs[a]) if isinstance(a, int) else (_FIXED, id(a[0]), 0, 0, 0)
            for a in self.arguments
        ]
        given = [self._output(k, v) for k, v in enumerate(outputs)]
        tables = [
            word for rows in (taken, given, self.program.functions) for word in (len(rows), self._rows(rows))
        ]
        described = self._words([*tables, ctypes.addressof(self.table), not grad, id(made)])
        described.alive = [*self.alive, made]
        return described

    def _input(self, k: int, v: Var) -> tuple[int, ...]:
        """kind, dtype, where to put the number or the pointer, shape."""
        if is_number(v):
            return _NUMBER, 0, ctypes.addressof(self.workspace.numbers) + 8 * k, 0, 0
        return _ARRAY, self._dtype(v), self._pointer(v), len(v.shape), self._address(v.shape)

    def _output(self, k: int, v: Var) -> tuple[int, ...]:
        """A row of outputs; one that the program does not make for this place is copied."""
        if is_number(v):
            return 0, self._number(k, v), 0, 0, 0, 0, 0
        size = v.type.size * v.dtype.itemsize
        self.alive.append(v.type)
        kept = id(v.type) if size > KEEP_BYTES else 0
        row = self._dtype(v), len(v.shape), self._address(v.shape), kept
        if v in self.program.schedule.made and self.program.schedule.outputs.index(v) == k:
            return row[0], self._pointer(v), *row[1:], 0, 0
        return row[0], self._address([0]), *row[1:], self._pointer(v), size

    def _number(self, k: int, v: Var) -> int:
        """Where a number is that comes back: an argument, a constant, or computed."""
        w, s = self.workspace, self.program.schedule
        if v in s.inputs:
            return ctypes.addressof(w.numbers) + 8 * s.inputs.index(v)
        if v in s.constants:
            w.results[k] = float(s.constants[v])
            return ctypes.addressof(w.results) + 8 * k
        return ctypes.addressof(w.results) + 8 * s.outputs.index(v)

    def _dtype(self, v: Var) -> int:
        dtype = np.dtype(v.dtype.type)  # the one object that stands for it
        self.alive.append(dtype)
        return id(dtype)

    def _pointer(self, v: Var) -> int:
        """Where the pointer to the entries of an array is."""
        slot = self.program.schedule.slots.get(v)
        if slot is not None:
            return ctypes.addressof(self.table) + 8 * slot
        if v not in self.elsewhere:
            a = self.workspace.arrays.get(v)
            self.elsewhere[v] = self._address([0 if a is None else address(a)])
        return self.elsewhere[v]

    def _rows(self, rows: Sequence[Sequence[int]]) -> int:
        return self._address([word for row in rows for word in row])

    def _address(self, words: Sequence[int]) -> int:
        memory = self._words(words)
        self.alive.append(memory)
        return ctypes.addressof(memory)

    @staticmethod
    def _words(words: Sequence[int]) -> Any:
        return (ctypes.c_int64 * max(1, len(words)))(*words)


__all__ = ["entry", "has_entry"]
