"""The steps of a plan: loop nests, products of matrices, phases of tiles, calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from chainrule.codegen.reading import Read
from chainrule.codegen.views import Axis, Terms
from chainrule.ir.graph import Equation, Var


@dataclass(eq=False)
class Output:
    """What a kernel writes.

    var, idx, place
        The value, at which entry, and where to.
    combine
        None: the value is computed there. Else the primitive that joins it with what is there: the loops run over more
        than the entries of the value, and each adds the product of `factors`.
    scattered
        Index arrays tell to which entry, so one may be met again and again: it starts as 0, and is added to in memory.
    """

    var: Var
    idx: Terms
    place: str
    combine: str | None = None
    factors: list[Read] = field(default_factory=list)
    scattered: bool = False


class Powers(NamedTuple):
    """The powers of `x` with the exponents `first`, `first` + 1, … along a loop."""

    along: Axis
    first: float
    x: Read


@dataclass(eq=False)
class Kernel:
    """A loop nest: `axes` from outside to inside, the last along vectors; everything it writes.

    guard
        Truth values without which nothing is added to any output: vectors in which none holds are passed over.
    powers
        The only output is a row of powers: its loop is the innermost one.
    turns
        The only output is a copy from rows to tiles, or back (turning.py).
    """

    axes: tuple[Axis, ...]
    vector: bool
    phase: int | None
    outputs: list[Output] = field(default_factory=list)
    guard: Read | None = None
    powers: Powers | None = None
    turns: bool = False

    def multiplies(self, made: Mapping[Var, Equation]) -> bool:
        """Whether products of matrices are most of the work: then wide vectors keep the multipliers busy."""
        return any(made[o.var].name == "dot_general" for o in self.outputs)

    def signature(self) -> tuple[Any, ...]:
        return tuple(a.extent for a in self.axes), self.vector, self.phase, self.guard and self.guard[0]


@dataclass(eq=False)
class Gemm:
    """A product of matrices that BLAS computes on each tile: out[…, m, n] = Σₖ left[…, m, k] · right[…, k, n].

    batch, m, n, k, samples
        Loops, and which of them is along the samples. Neighbours along n lie next to each other in the output.
    left, right
        What is read, and at which entries.
    """

    output: Output
    batch: list[Axis]
    m: Axis
    n: Axis
    k: Axis
    samples: Axis
    left: Read
    right: Read
    phase: int

    @property
    def outputs(self) -> list[Output]:
        return [self.output]


@dataclass(eq=False)
class Phase:
    """Kernels and products that run one after the other on each tile.

    chunks
        Parts of the samples that may run at once, each with sums of its own.
    """

    number: int
    samples: int
    tile: int
    kernels: list[Kernel | Gemm]
    chunks: int = 1

    def bounds(self) -> list[int]:
        """Where the chunks begin, and the end: at the beginnings of tiles."""
        tiles = -(-self.samples // self.tile)
        return [min(self.tile * (tiles * c // self.chunks), self.samples) for c in range(self.chunks + 1)]

    @property
    def sums(self) -> list[Output]:
        return [o for k in self.kernels for o in k.outputs if o.combine is not None]


@dataclass(eq=False)
class Call:
    """An equation that runs in NumPy on whole arrays, and why."""

    equation: Equation
    reason: str
