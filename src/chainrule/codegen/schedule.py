"""What a program runs, and the memory that it needs, without the equations behind it.

A plan says how each value is computed. Once that is machine code, a call needs far less: which function runs after
which, where the pointers go that it reads, how large what is kept is. That is a schedule. It is plain data, so it is
kept on disk beside the machine code (`codegen.kept`), and the next process runs a program that it has not planned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.ir.graph import Equation, Var
from chainrule.ir.types import Type

FAULT = "something is refused"  # the slot of the byte that says so


class Slots:
    """The table of pointers that a program is called with: one slot for each array it reads or writes."""

    def __init__(self) -> None:
        self.of: dict[Any, int] = {}

    def __getitem__(self, key: Any) -> int:
        return self.of.setdefault(key, len(self.of))


class Tiled(NamedTuple):
    """The tiles of a phase: a function of the table, the sample where it begins, and that where it ends.

    bounds
        Where its chunks begin, and the end.
    sums
        What the chunks add up, and the primitive that joins two of them.
    tiles
        What is kept in a tile: slot, entries, dtype.
    has_products
        Whether BLAS computes some of it.
    """

    function: str
    bounds: tuple[int, ...]
    sums: tuple[tuple[Var, str], ...]
    tiles: tuple[tuple[int, int, str], ...]
    has_products: bool

    @property
    def chunks(self) -> int:
        return len(self.bounds) - 1


class Schedule(NamedTuple):
    """What a program runs.

    inputs, outputs, constants
        As of a graph; the constants are those that are read.
    kept, made
        What has memory of the workspace from one step to the next; the outputs that steps write.
    slots, size
        Slots in the table of pointers, and how many there are.
    work
        Operations of a call, as `passes.cost` counts them.
    steps
        Names of functions of the table, for kernels on whole arrays; phases; equations that NumPy runs.
    externals
        Functions of libm and BLAS that are called.
    """

    inputs: tuple[Var, ...]
    outputs: tuple[Var, ...]
    constants: Mapping[Var, Any]
    kept: tuple[Var, ...]
    made: frozenset[Var]
    slots: Mapping[Any, int]
    size: int
    work: int
    steps: tuple[str | Tiled | Equation, ...]
    externals: tuple[str, ...]

    @property
    def functions(self) -> dict[str, int]:
        """The names of its machine code in order, and where the samples end (0: it works on whole arrays)."""
        named = [(s.function, s.bounds[-1]) if isinstance(s, Tiled) else (s, 0) for s in self.steps]
        return {name: end for name, end in named if isinstance(name, str)}

    @property
    def called(self) -> frozenset[Var]:
        """What the steps in NumPy return."""
        return frozenset(v for s in self.steps if isinstance(s, Equation) for v in s.outs)


# --- as numbers, texts and bytes -------------------------------------------------------------------------


def packed(s: Schedule) -> tuple[Any, ...] | None:
    """A schedule as tuples of numbers, texts and bytes: values are numbered. None where NumPy runs equations."""
    if any(isinstance(step, Equation) for step in s.steps):
        return None
    numbers: dict[Var, int] = {}
    number = lambda v: numbers.setdefault(v, len(numbers))
    many = lambda values: tuple(map(number, values))
    ends = many(s.inputs), many(s.outputs), many(s.kept), many(v for v in s.outputs if v in s.made)
    constants = tuple((number(v), np.asarray(c).tobytes()) for v, c in s.constants.items())
    slots = tuple((key if key == FAULT else number(key), slot) for key, slot in s.slots.items())
    steps = tuple(_plain_step(step, number) for step in s.steps)
    types = tuple((v.shape, v.dtype.str) for v in numbers)
    return types, ends, constants, slots, s.size, s.work, steps, s.externals


def unpacked(plain: tuple[Any, ...]) -> Schedule:
    """The schedule of which this is `packed`, on new variables."""
    types, ends, constants, slots, size, work, steps, externals = plain
    values = [Var(Type(shape, np.dtype(dtype))) for shape, dtype in types]
    inputs, outputs, kept, made = (tuple(values[k] for k in numbers) for numbers in ends)
    return Schedule(
        inputs, outputs,
        {values[k]: _constant(values[k], data) for k, data in constants},
        kept, frozenset(made),
        {key if key == FAULT else values[key]: slot for key, slot in slots},
        size, work,
        tuple(_step(step, values) for step in steps),
        externals,
    )  # fmt: skip


def _constant(v: Var, data: bytes) -> Any:
    a = np.frombuffer(data, v.dtype).reshape(v.shape)
    return a if v.shape else a[()]


def _plain_step(step: Any, number: Callable[[Var], int]) -> str | tuple[Any, ...]:
    if isinstance(step, str):
        return step
    return tuple(step._replace(sums=tuple((number(v), combine) for v, combine in step.sums)))


def _step(plain: Any, values: Sequence[Var]) -> str | Tiled:
    if isinstance(plain, str):
        return plain
    step = Tiled(*plain)
    return step._replace(sums=tuple((values[k], combine) for k, combine in step.sums))


__all__ = ["FAULT", "Schedule", "Slots", "Tiled", "packed", "unpacked"]
