"""What is done with the rows of an array: passes over their entries, as data.

An array is seen as (outer, n, inner): a row is the n entries that lie `inner` apart and go into one result. A pass
folds the entries of a row into a number, or writes an array; later passes know the numbers of those before.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from chainrule.table.formula import Formula, Symbol, reads

LANES = {8: 8, 4: 16}  # by bytes of an entry; LLVM splits vectors on narrower machines
WIDTH = 4  # vectors of a line: so many sums wait for each other no longer than for memory
WIDE = 8  # of rows side by side that are only folded: what registers hold, so that far lines are reached less often
NEUTRAL = {"add": 0.0, "mul": 1.0, "maximum": -math.inf, "minimum": math.inf}


@dataclass(frozen=True, eq=False)
class Pass:
    """One pass over the entries of a row.

    fold, how, of
        The number that is made of the row: its name, "add", "mul", "maximum" or "minimum", and of what.
    writes
        What is stored in the array `written`, which later passes may read.
    """

    fold: str | None = None
    how: str = "add"
    of: Formula | None = None
    writes: Formula | None = None

    def reads(self, names: tuple[str, ...]) -> list[str]:
        """Which of the names the pass reads."""
        read = reads(f for f in (self.of, self.writes) if f is not None)
        return [n for n in names if n in read]


@dataclass(frozen=True, eq=False)
class Number:
    """A number of each row, made of the numbers before; `count` is the number of entries."""

    name: str
    of: Formula


@dataclass(frozen=True, eq=False)
class Program:
    """Passes and numbers in order, and the name of the result: a number, or `written`.

    arrays, columns
        The inputs: arrays of all entries, and of one number for each row.
    """

    steps: tuple[Pass | Number, ...]
    result: str
    arrays: tuple[str, ...] = ("x",)
    columns: tuple[str, ...] = ()

    @property
    def numbers(self) -> tuple[str, ...]:
        """Names of all numbers of a row."""
        made = (s.fold if isinstance(s, Pass) else s.name for s in self.steps)
        return ("count", *self.columns, *(name for name in made if name))

    @functools.cached_property
    def width(self) -> int:
        """Vectors of a line of rows side by side."""
        (first, *others) = (s for s in self.steps if isinstance(s, Pass))
        return WIDE if not others and first.writes is None and isinstance(first.of, Symbol) else WIDTH


class Layout(NamedTuple):
    """How the rows lie: in order (`along`), or side by side in strips.

    width
        Vectors of a line: of one row, or of rows side by side.
    narrow
        One line that is not full holds a whole row, or all rows side by side.
    """

    dtype: np.dtype
    along: bool
    width: int
    narrow: bool

    @classmethod
    @functools.lru_cache(maxsize=256)
    def of(cls, dtype: np.dtype, n: int, inner: int, beside: int = WIDTH) -> Layout:
        lanes, along = LANES[dtype.itemsize], inner == 1
        length, width = (n, WIDTH) if along else (inner, beside)
        return cls(dtype, along, min(width, -(-length // lanes)), length < width * lanes)

    @property
    def lanes(self) -> int:
        return LANES[self.dtype.itemsize]

    @property
    def entries(self) -> int:
        """Entries of a line."""
        return self.width * self.lanes
