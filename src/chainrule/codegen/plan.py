"""From a graph to a plan: which values are kept, where, in which order they are made, and in which loops.

Most programs are long along one axis, that of the samples. Values along it are made tile by tile, so that what is
between two of them stays in cache; in a tile the samples lie next to each other, so that every loop works on
vectors of samples, however short the other axes are.

Every value has a place:
    inline   computed again wherever it is read (register)
    tile     kept for one tile of samples
    whole    an array
    sum      an array into which the tiles are summed (or whose largest entry they find)
A reduction over the samples whose result is read along the samples again ends a phase: the next phase goes through
the tiles once more. A value that no kernel can compute is a call of the primitive's `value` between kernels.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.codegen.scalar import LOWER, ON_TRUTH
from chainrule.codegen.views import (
    FIRST,
    FLAT,
    Axis,
    Terms,
    by_axis,
    identity,
    is_view,
    leading,
    reduced,
    strides,
    through,
    tile_strides,
)
from chainrule.ir.graph import Equation, Graph, Var

REDUCTIONS = {"sum": "add", "amax": "maximum", "amin": "minimum", "any": "logical_or", "all": "logical_and"}
_CHEAP = frozenset(
    """
    add sub mul neg abs maximum minimum clamp relu where cast cast_like eq ne lt le gt ge logical_and logical_or
    logical_xor logical_not isnan isinf isfinite sign copysign floor ceil trunc round zeros
    """.split()  # noqa: SIM905
)
LONG = 64  # samples from which tiles pay
_TILE_BYTES = (
    192 * 1024
)  # of the values kept for a tile: they and what is read stay in the second-level cache
_TILE_MOST = 4096
_MOST_CHUNKS = 16
_CHUNK_WORK = 200_000  # operations: some 0.1 ms, several times what it costs to wake a thread
_SUM_ENTRIES = 500_000  # of all chunks together: 4 MB, which are added once more
_PRODUCT = 256  # entries of a matrix from which BLAS is quicker than a loop
_SMALL = 40  # operations: what is inlined twice is not longer


Read = tuple[Var, Terms]


@dataclass(eq=False)
class Output:
    """What a kernel writes.

    var, idx, place
        The value, at which entry, and where to.
    combine
        None: the value is computed there. Else the primitive that joins it with what is there: the loops run over more
        than the entries of the value, and each adds the product of `factors`.
    """

    var: Var
    idx: Terms
    place: str
    combine: str | None = None
    factors: list[Read] = field(default_factory=list)


@dataclass(eq=False)
class Kernel:
    """A loop nest: `axes` from outside to inside, the last along vectors; everything it writes."""

    axes: tuple[Axis, ...]
    vector: bool
    phase: int | None
    outputs: list[Output] = field(default_factory=list)

    def multiplies(self, plan: Plan) -> bool:
        """Whether products of matrices are most of the work: then wide vectors keep the multipliers busy."""
        return any(plan.made[o.var].name == "dot_general" for o in self.outputs)

    def signature(self) -> tuple[Any, ...]:
        return tuple(a.extent for a in self.axes), self.vector, self.phase


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


class Plan:
    """The steps of a graph, and the places of what they keep.

    steps
        `Kernel` (on whole arrays), `Phase` and `Call`, in order.
    places
        Var -> "whole" or "sum".
    tiles
        Phase -> what is kept in its tiles.

    Parameters
    ----------
    long, tile
        Samples from which an axis is that of the samples, and the most in a tile: tests make them small.
    """

    def __init__(self, graph: Graph, *, long: int = LONG, tile: int = _TILE_MOST) -> None:
        graph = _staged(graph, long)
        self.graph, self._most = graph, tile
        self.made = {v: e for e in graph.equations for v in e.outs}
        self.dtype = _real_dtype(graph)
        self.calls = {e: r for e in graph.equations if (r := why_called(e, self.dtype)) is not None}
        self.axis = SampleAxis(graph, self.calls, long)
        self.products = {e for e in graph.equations if e not in self.calls and self._is_product(e)}
        self.places: dict[Var, str] = {}
        self.tiles: dict[int, set[Var]] = {}
        self.kept: set[Var] = set()  # in the tiles of every phase that reads them
        self.ready: dict[Var, int] = {}
        self.steps: list[Kernel | Phase | Call] = []
        self._order = {e: k for k, e in enumerate(graph.equations)}
        self._time()
        self._place()
        self._schedule()

    # --- what is known of a value ------------------------------------------------------------------

    def is_array(self, v: Var) -> bool:
        """Whether a value is an array from the beginning: an input or a constant."""
        return v not in self.made

    def is_tiled(self, v: Var) -> bool:
        return self.axis.dim(v) is not None

    def _sums_samples(self, e: Equation) -> bool:
        """Whether an equation reduces over the samples."""
        if e in self.calls or self.is_tiled(e.outs[0]) or is_view(e):
            return False
        if e.name in REDUCTIONS:
            return self.axis.dim(e.inputs[0]) in _axes_of(e) if self.is_tiled(e.inputs[0]) else False
        if e.name == "dot_general":
            return any(self.axis.dim(v) in c for v, c in zip(e.inputs, e.params["contract"], strict=True))
        return False

    def _elsewhere(self, e: Equation) -> list[Var]:
        """Values along the samples that an equation reads at other samples than its own: they are whole before it."""
        if e in self.calls or self._sums_samples(e):
            return []
        return [v for v in self.axis.elsewhere(e) if not self.is_array(v)]

    def _is_product(self, e: Equation) -> bool:
        """Whether BLAS computes an equation on tiles: a product of matrices, and of some size."""
        if e.name != "dot_general":
            return False
        _, free_x, free_y, contracted = dot_axes(e)
        if len(free_x) != 1 or len(free_y) != 1 or len(contracted) != 1:
            return False
        along = [self.axis.dim(v) for v in e.inputs]
        (cx, cy), (bx, by) = e.params["contract"], e.params["batch"]
        if along[0] in bx or along[1] in by or along == [None, None]:
            return False
        if self._sums_samples(e):
            return along == [cx[0], cy[0]] and free_x[0].extent * free_y[0].extent >= _PRODUCT
        if None not in along:
            return False
        other = free_x[0] if along[0] is None else free_y[0]
        return other.extent * contracted[0].extent >= _PRODUCT

    def _time(self) -> None:
        """Phase of each value: in which it can be computed, along the samples, or before which it is there."""
        for v in (*self.graph.inputs, *self.graph.constants):
            self.ready[v] = 0
        for e in self.graph.equations:
            latest = max((self.ready[v] for v in e.inputs), default=0)
            if e in self.calls:
                latest = max(
                    (self.ready[v] + (self.is_tiled(v) and not self.is_array(v)) for v in e.inputs), default=0
                )
            elif self._sums_samples(e) or (
                not self.is_tiled(e.outs[0])
                and any(self.is_tiled(v) and not self.is_array(v) for v in e.inputs)
            ):
                latest += 1
            else:
                latest = max([latest, *(self.ready[v] + 1 for v in self._elsewhere(e))])
            self.ready.update(dict.fromkeys(e.outs, latest))

    # --- places ------------------------------------------------------------------------------------

    def _place(self) -> None:
        """Whole arrays first; then, phase by phase, what is kept for a tile."""
        for v in self.graph.outputs:
            if not self.is_array(v):
                self._keep(v)
        for e in self.graph.equations:
            if e in self.calls:
                for v in e.outs:
                    self.places[v] = "whole"
                for v in e.inputs:
                    self._keep(v)
            elif self._sums_samples(e):
                self.places[e.outs[0]] = "sum"
            elif e.name == "reshape" and not is_view(e):
                self._keep(e.inputs[0])
            for v in self._elsewhere(e):
                self._keep(v)
        for e in [e for e in self.graph.equations if e in self.products]:
            self._place_product(e)
        uses = self._uses(self.graph.equations)
        for e in self.graph.equations:
            v = e.outs[0]
            if v in self.places or v in self.kept or e in self.calls or is_view(e):
                continue
            readers = uses.get(v, [])
            if self.is_tiled(v):
                later = [r for r, _ in readers if self._phase_of(r) > self.ready[v]]
                if any(self._reads_elsewhere(r, v) for r, _ in readers) or (later and self._is_heavy(e)):
                    self.places[v] = "whole"
            elif self._worth_keeping(e, readers) or any(
                self.is_tiled(r.outs[0]) or self._sums_samples(r) for r, _ in readers
            ):
                self.places[v] = "whole"
        for p in range(max(self.ready.values(), default=0) + 1):
            self._place_tiles(p)

    def _place_product(self, e: Equation) -> None:
        """Memory for the factors of a product; where BLAS cannot read them it is computed by loops."""
        _, m, n, k, left, right = _factors(e)
        copies = []
        for read, rows, columns in ((left, m, k), (right, k, n)):
            if self._is_matrix(*self._behind(read), rows, columns):
                continue
            if self.is_tiled(read[0]) or not self._is_matrix(*read, rows, columns):
                self.products.discard(e)
                return
            copies.append(read[0])
        self.places.update(dict.fromkeys(copies, "whole"))
        for v in e.inputs:
            base = self.behind(v)
            if not self.is_array(base):
                self._tile(base) if self.is_tiled(base) else self._keep(base)
        if self.is_tiled(e.outs[0]):
            self._tile(e.outs[0])

    def _is_matrix(self, v: Var, idx: Terms, rows: Axis, columns: Axis) -> bool:
        """Whether BLAS can read a matrix of a value in the place that the value will have."""
        where = self.axis.dim(v)
        if where is None or self.is_array(v) or v in self.places:
            places = strides(v.shape)
        else:
            places = tile_strides(v.shape, where, self.axis.extent)
        by, _ = by_axis(idx, places)
        return leading(rows.extent, columns.extent, by.get(rows, 0), by.get(columns, 0)) is not None

    def _tile(self, v: Var) -> None:
        """A place in the tiles for v, unless it is an array."""
        if v not in self.places:
            self.kept.add(v)

    def _keep(self, v: Var) -> None:
        """An array for v; for what a view is made of, if v is one that cannot be read otherwise."""
        if not self.is_array(v):
            self.places[v] = "sum" if self._sums_samples(self.made[v]) else "whole"

    def _phase_of(self, e: Equation) -> int:
        """The phase in which an equation runs, if it is along the samples or reduces over them."""
        v = e.outs[0]
        return self.ready[v] - (self._sums_samples(e))

    def _reads_elsewhere(self, r: Equation, v: Var) -> bool:
        """Whether a reader of a value along the samples is not itself along them: it looks at other entries."""
        return not (self.is_tiled(r.outs[0]) or self._sums_samples(r))

    def _is_heavy(self, e: Equation) -> bool:
        """Whether computing a value again would repeat a reduction."""
        stack, seen = [e], {e}
        while stack:
            f = stack.pop()
            if f.name in REDUCTIONS or f.name == "dot_general":
                return True
            for v in f.inputs:
                g = self.made.get(v)
                if g is not None and g not in seen and v not in self.places and g not in self.calls:
                    seen.add(g)
                    stack.append(g)
        return False

    def _worth_keeping(self, e: Equation, readers: Sequence[tuple[Equation, bool]]) -> bool:
        """Whether a value is kept rather than computed again where it is read."""
        if any(repeated for _, repeated in readers):
            return True
        several = len({id(r) for r, _ in readers}) > 1
        if e.name in REDUCTIONS or e.name == "dot_general":
            return several or any(r.name in REDUCTIONS or r.name == "dot_general" for r, _ in readers)
        return several and (e.name not in _CHEAP or self._is_heavy(e) or self._size(e) > _SMALL)

    def _size(self, e: Equation) -> int:
        """Operations that inlining a value repeats, counted up to a little over _SMALL."""
        count, stack, seen = 0, [e], {e}
        while stack and count <= _SMALL:
            f = stack.pop()
            count += 1
            for v in f.inputs:
                g = self.made.get(v)
                if g is not None and g not in seen and v not in self.places:
                    seen.add(g)
                    stack.append(g)
        return count

    def _uses(self, equations: Sequence[Equation]) -> dict[Var, list[tuple[Equation, bool]]]:
        """Who reads a value, views looked through, and whether it is repeated on the way."""
        found: dict[Var, list[tuple[Equation, bool]]] = {}
        for e in equations:
            if is_view(e) and e not in self.calls:
                continue
            room = _room(e)
            for v in e.inputs:
                base = self.behind(v)
                found.setdefault(base, []).append((e, base.type.size < room))
        return found

    def behind(self, v: Var) -> Var:
        """The value that a chain of views looks at."""
        return self._behind((v, identity([Axis(n) for n in v.shape])))[0]

    def _behind(self, read: Read) -> Read:
        """The value that a chain of views looks at, and at which entry."""
        v, idx = read
        while (
            v in self.made
            and is_view(self.made[v])
            and self.made[v] not in self.calls
            and v not in self.places
        ):
            ((v, idx),) = operands(self.made[v], idx)
        return v, idx

    def _place_tiles(self, p: int) -> None:
        """What is kept in the tiles of phase p: seen backwards from what the phase must produce."""
        needed: set[Equation] = set()
        stack = [e for e in self.graph.equations if self._is_root(e, p)]
        while stack:
            e = stack.pop()
            if e in needed:
                continue
            needed.add(e)
            for v in e.inputs:
                g = self.made.get(v)
                if (
                    g is not None
                    and self.is_tiled(v)
                    and g not in self.calls
                    and not (v in self.places and self.ready[v] < p)
                ):
                    stack.append(g)
        order = sorted(needed, key=self._order.__getitem__)
        uses = self._uses(order)
        self.tiles[p] = {
            e.outs[0] for e in order
            if self.is_tiled(e.outs[0]) and e.outs[0] not in self.places and not is_view(e)
            and (e.outs[0] in self.kept or self._worth_keeping(e, uses.get(e.outs[0], [])))
        }  # fmt: skip

    def _is_root(self, e: Equation, p: int) -> bool:
        v = e.outs[0]
        if e in self.calls or v not in self.places:
            return False
        if self._sums_samples(e):
            return self.ready[v] == p + 1
        return self.is_tiled(v) and self.ready[v] == p and self.places[v] == "whole"

    # --- kernels -----------------------------------------------------------------------------------

    def _schedule(self) -> None:
        last = max(self.ready.values(), default=0)
        for p in range(last + 1):
            for e in self.graph.equations:
                v = e.outs[0]
                if (
                    self.ready[v] != p
                    or (self.is_tiled(v) and e not in self.calls)
                    or self.places.get(v) in (None, "sum")
                ):
                    continue
                if e in self.calls:
                    self.steps.append(Call(e, self.calls[e]))
                else:
                    self._add(self.steps, self._kernel(e, None))
            kernels: list[Any] = []
            for e in self.graph.equations:
                if e.outs[0] in self.tiles[p] or self._is_root(e, p):
                    if e in self.products:
                        kernels.append(self._product(e, p))
                    else:
                        self._add(kernels, self._kernel(e, p))
            if kernels:
                phase = Phase(p, self.axis.extent, self._length(p), kernels)
                phase.chunks = self._chunks(phase)
                self.steps.append(phase)

    def _chunks(self, phase: Phase) -> int:
        """Chunks of a phase: as many as pay, as there are tiles, and as there is room for sums."""
        work = sum(_room(self.made[o.var]) for k in phase.kernels for o in k.outputs)
        sums = sum(o.var.type.size for o in phase.sums)
        room = _SUM_ENTRIES // sums if sums else _MOST_CHUNKS
        return max(1, min(_MOST_CHUNKS, work // _CHUNK_WORK, -(-phase.samples // phase.tile), room))

    def _length(self, p: int) -> int:
        """Samples in a tile: whole vectors of the widest kernels, as many as the cache holds of what is kept."""
        widest = 256 // self.dtype.itemsize
        per_sample = sum(v.type.size // self.axis.extent for v in self.tiles[p]) * self.dtype.itemsize
        most = _TILE_BYTES // per_sample if per_sample else self._most
        return max(widest, min(self._most, most) // widest * widest)

    def _kernel(self, e: Equation, phase: int | None) -> Kernel:
        """The loops of one value: its own dimensions, along the samples last; of a sum those of what is summed."""
        v = e.outs[0]
        if phase is not None and self._sums_samples(e):
            axes, where, out = self._summed(e)
        else:
            axes = [Axis(n) for n in v.shape]
            where = self.axis.dim(v) if phase is not None else len(axes) - 1
            place = "tile" if phase is not None and v in self.tiles[phase] else "whole"
            out = Output(v, identity(axes), place)
        inner = [axes[where]] if axes else []
        outer = [a for k, a in enumerate(axes) if not inner or k != where]
        vector = bool(inner) and (phase is not None or inner[0].extent > 1)
        return Kernel((*outer, *inner), vector, phase, [out])

    def _product(self, e: Equation, phase: int) -> Gemm:
        batch, m, n, k, left, right = _factors(e)
        combine = "add" if self._sums_samples(e) else None
        place = "sum" if combine else "whole" if e.outs[0] in self.places else "tile"
        out = Output(e.outs[0], identity([*batch, m, n]), place, combine, [left, right])
        samples = k if combine else n if self.axis.dim(e.inputs[0]) is None else m
        left, right = self.in_memory(left, phase), self.in_memory(right, phase)
        if place == "tile" and samples is m:  # there they lie next to each other
            m, n, left, right = n, m, right, left
        return Gemm(out, batch, m, n, k, samples, left, right, phase)

    def in_memory(self, read: Read, phase: int) -> Read:
        """The kept value behind views, and its entry."""
        v, idx = read
        while not self.is_array(v) and not self.is_kept(v, phase):
            ((v, idx),) = operands(self.made[v], idx)
        return v, idx

    def _summed(self, e: Equation) -> tuple[list[Axis], int, Output]:
        """Loops over what is summed, which of them is along the samples, and what they add up."""
        combine = REDUCTIONS.get(e.name, "add")
        if e.name in REDUCTIONS:
            x = e.inputs[0]
            axes = [Axis(n) for n in x.shape]
            axis, keep = _axes_of(e), e.params.get("keepdims", False)
            where = self.axis.dim(x)
            assert where is not None
            idx = tuple(
                FIRST if k in axis else (a, 1, 0) for k, a in enumerate(axes) if keep or k not in axis
            )
            return axes, where, Output(e.outs[0], idx, "sum", combine, [(x, identity(axes))])
        batch, free_x, free_y, contracted = dot_axes(e)
        idx = identity([*batch, *free_x, *free_y])
        where = next(k for k, i in enumerate(e.params["contract"][0]) if self.axis.dim(e.inputs[0]) == i)
        factors = list(zip(e.inputs, dot_idx(e, idx, identity(contracted)), strict=True))
        axes = [*batch, *free_x, *free_y, *contracted]
        return axes, len(axes) - len(contracted) + where, Output(e.outs[0], idx, "sum", combine, factors)

    def _add(self, steps: list[Any], kernel: Kernel) -> None:
        """Append a kernel, or let an earlier one with the same loops write its output too."""
        (out,) = kernel.outputs
        reads = self.reads(out, kernel.phase)
        for k in range(len(steps) - 1, -1, -1):
            other = steps[k]
            alike = other.__class__ is Kernel and other.signature() == kernel.signature()
            if alike and self._fits(other, kernel, reads):
                out.idx = _renamed(out.idx, kernel.axes, other.axes)
                out.factors = [(v, _renamed(ts, kernel.axes, other.axes)) for v, ts in out.factors]
                other.outputs.append(out)
                return
            if self._writes(other) & reads.keys():
                break
        steps.append(kernel)

    def _fits(self, other: Kernel, kernel: Kernel, reads: dict[Var, list[Terms]]) -> bool:
        """What the new output reads of the other kernel's it must read at the entry that is just written."""
        for o in other.outputs:
            for idx in reads.get(o.var, ()):
                if o.combine is not None or _renamed(idx, kernel.axes, other.axes) != o.idx:
                    return False
        return True

    def _writes(self, step: Any) -> set[Var]:
        if isinstance(step, Kernel | Gemm):
            return {o.var for o in step.outputs}
        if step.__class__ is Call:
            return set(step.equation.outs)
        return {o.var for k in step.kernels for o in k.outputs}

    def reads(self, out: Output, phase: int | None) -> dict[Var, list[Terms]]:
        """The kept values that an output reads, and at which entries."""
        found: dict[Var, list[Terms]] = {}
        seen: set[Read] = set()
        stack = list(out.factors) if out.combine else operands(self.made[out.var], out.idx)
        while stack:
            v, idx = stack.pop()
            if (v, idx) in seen:
                continue
            seen.add((v, idx))
            if self.is_array(v) or self.is_kept(v, phase):
                found.setdefault(v, []).append(idx)
            else:
                stack += operands(self.made[v], idx)
        return found

    def is_kept(self, v: Var, phase: int | None) -> bool:
        """Whether a kernel of this phase reads v from memory rather than computing it."""
        return v in self.places or (phase is not None and v in self.tiles[phase])


def _renamed(idx: Terms, of: Sequence[Axis], to: Sequence[Axis]) -> Terms:
    new = dict(zip(of, to, strict=True))
    return tuple((new.get(axis, axis), step, offset) for axis, step, offset in idx)


# --- the axis of the samples -------------------------------------------------------------------------


def _staged(graph: Graph, long: int) -> Graph:
    """The graph in which arrays whose samples do not lie next to each other are read through a copy.

    The copy is an equation like others: kept in the tiles where it is read repeatedly, inlined if not.
    """
    dtype = _real_dtype(graph)
    calls = {e for e in graph.equations if why_called(e, dtype) is not None}
    axis = SampleAxis(graph, calls, long)
    copies: dict[Var, Var] = {}
    staged = Graph(graph.inputs, (), graph.outputs, graph.constants)

    def copy(v: Var) -> None:
        if axis.dim(v) not in (None, len(v.shape) - 1) and v.dtype == dtype:
            copies[v] = staged.emit("cast", v, dtype=dtype)

    for v in (*graph.inputs, *graph.constants):
        copy(v)
    for e in graph.equations:
        others = e.inputs if e in calls else axis.elsewhere(e)
        inputs = tuple([v if v in others else copies.get(v, v) for v in e.inputs])
        staged.equations.append(Equation(e.primitive, inputs, e.params, e.outs, e.source, e.reading))
        if e in calls:
            for v in e.outs:
                copy(v)
    return staged


class SampleAxis:
    """The longest axis that runs through the program: dimensions of values that go along with each other.

    extent
        Its length; 0: no axis is worth tiles.
    """

    def __init__(self, graph: Graph, calls: Container[Equation], long: int) -> None:
        self._long = long
        self._parent: dict[tuple[Var, int], tuple[Var, int]] = {}
        for e in graph.equations:
            if e not in calls:
                for a, b in _ties(e):
                    self._parent[self._root(a)] = self._root(b)
        self._dims: dict[Var, int] = {}
        self.extent = 0
        best = self._heaviest(graph, calls)
        if best is None:
            return
        for v in _values(graph):
            for k, n in enumerate(v.shape):
                if n > 1 and self._root((v, k)) == best:
                    self._dims[v], self.extent = k, n

    def dim(self, v: Var) -> int | None:
        """Which dimension of a value is along the samples."""
        return self._dims.get(v)

    def elsewhere(self, e: Equation) -> list[Var]:
        """What is along the samples and is read at other samples than that of the entry that is computed."""
        (out,) = e.outs
        axes = [Axis(n) for n in out.shape]
        where = self.dim(out)
        if e.name == "reshape" and not is_view(e):
            x = e.inputs[0]
            kept = where is not None and ((x, self.dim(x)), (out, where)) in _kept_dimensions(e)
            return [x] if self.dim(x) is not None and not kept else []
        here = None if where is None else (axes[where], 1, 0)
        return [
            v for v, idx in operands(e, identity(axes)) if (k := self.dim(v)) is not None and idx[k] != here
        ]

    def _root(self, d: tuple[Var, int]) -> tuple[Var, int]:
        while (up := self._parent.get(d, d)) != d:
            d = up
        return d

    def _heaviest(self, graph: Graph, calls: Container[Equation]) -> tuple[Var, int] | None:
        """The class of dimensions that takes part in most of the work, once in each value."""
        weights: dict[tuple[Var, int], list[int]] = {}
        twice = set()
        for v in _values(graph):
            roots = [self._root((v, k)) for k, n in enumerate(v.shape) if n >= self._long]
            twice.update(r for r in roots if roots.count(r) > 1)
            for r in roots:
                weights.setdefault(r, [0, 0, 0])
        for e in graph.equations:
            if e in calls:
                continue
            for r in {self._root((v, k)) for v in (*e.inputs, *e.outs) for k in range(len(v.shape))}:
                if r in weights:
                    weights[r][0] += _room(e)
        for v in graph.inputs:
            for k in range(len(v.shape)):
                r = self._root((v, k))
                if r in weights:
                    weights[r][1] += 1
                    weights[r][2] += k == len(v.shape) - 1
        usable = [r for r in weights if r not in twice]
        return max(usable, key=weights.__getitem__, default=None)


def _values(graph: Graph) -> Iterator[Var]:
    yield from graph.inputs
    yield from graph.constants
    for e in graph.equations:
        yield from e.outs


def _ties(e: Equation) -> Iterator[tuple[tuple[Var, int], tuple[Var, int]]]:
    """Dimensions that an equation lets go along with each other: entry i of one meets entry i of the other."""
    (out,) = e.outs
    axes = [Axis(n) for n in out.shape]
    if e.name == "reshape" and not is_view(e):
        yield from _kept_dimensions(e)
        return
    of = {a: k for k, a in enumerate(axes)}
    contracted: dict[Axis, list[tuple[Var, int]]] = {}
    for v, idx in operands(e, identity(axes)):
        for k, (axis, step, offset) in enumerate(idx):
            if axis is None or v.shape[k] != axis.extent or step != 1 or offset != 0:
                continue
            if axis in of:
                yield (v, k), (out, of[axis])
            else:
                contracted.setdefault(axis, []).append((v, k))
    for ends in contracted.values():
        yield from itertools.pairwise(ends)


def _kept_dimensions(e: Equation) -> Iterator[tuple[tuple[Var, int], tuple[Var, int]]]:
    """Dimensions that a change of shape leaves alone: as many entries before them on both sides."""
    (x,), (out,) = e.inputs, e.outs
    before = {(math.prod(x.shape[:k]), n): k for k, n in enumerate(x.shape) if n > 1}
    for k, n in enumerate(out.shape):
        at = before.get((math.prod(out.shape[:k]), n))
        if n > 1 and at is not None:
            yield (x, at), (out, k)


# --- equations ---------------------------------------------------------------------------------------


def why_called(e: Equation, dtype: np.dtype) -> str | None:
    """Why no kernel computes an equation (None: one does)."""
    if len(e.outs) != 1:
        return "it has several outputs"
    for v in (*e.inputs, *e.outs):
        if v.dtype != dtype and v.dtype != np.bool_:
            return f"its values are {v.dtype}, and kernels are for {dtype}"
    if any(n == 0 for v in (*e.inputs, *e.outs) for n in v.shape):
        return "it has no entries"
    if _reads_truth(e) and e.name not in ON_TRUTH and not is_view(e):
        return f"{e.name} of truth values has no lowering"
    if e.primitive.kind == "elementwise" and e.name in (*LOWER, "cast", "cast_like"):
        return None
    if (
        e.name in REDUCTIONS
        or e.name in ("dot_general", "zeros", "cast_like", "cast", "reshape")
        or is_view(e)
    ):
        return None
    return f"{e.name} has no lowering"


def _reads_truth(e: Equation) -> bool:
    """Whether an equation reads truth values where most have numbers: not as the condition of a choice."""
    return any(v.dtype == np.bool_ for v in (e.inputs[1:] if e.name == "where" else e.inputs))


def _real_dtype(graph: Graph) -> np.dtype:
    """float32 for a program of float32 numbers, else float64."""
    kinds = {v.dtype for e in graph.equations for v in e.outs if v.dtype.kind == "f"}
    return np.dtype(np.float32) if kinds == {np.dtype(np.float32)} else np.dtype(np.float64)


def _axes_of(e: Equation) -> tuple[int, ...]:
    axis = e.params["axis"]
    return (axis,) if isinstance(axis, int) else tuple(axis)


def dot_axes(e: Equation) -> tuple[list[Axis], list[Axis], list[Axis], list[Axis]]:
    """Loops of a product: batch, free of x, free of y, contracted."""
    x, y = e.inputs
    (cx, cy), (bx, by) = e.params["contract"], e.params["batch"]
    free = lambda v, c, b: [Axis(n) for k, n in enumerate(v.shape) if k not in c and k not in b]
    return [Axis(x.shape[k]) for k in bx], free(x, cx, bx), free(y, cy, by), [Axis(x.shape[k]) for k in cx]


def dot_idx(e: Equation, idx: Terms, contracted: Terms) -> tuple[Terms, Terms]:
    """The entries of both factors that meet in entry `idx` of the product."""
    x, y = e.inputs
    contract, batch = e.params["contract"], e.params["batch"]
    nb = len(batch[0])
    free_x = len(x.shape) - nb - len(contract[0])
    found = []
    for v, c, b, rest in (
        (x, contract[0], batch[0], idx[nb : nb + free_x]),
        (y, contract[1], batch[1], idx[nb + free_x :]),
    ):
        free = iter(rest)
        found.append(tuple(idx[b.index(k)] if k in b else contracted[c.index(k)] if k in c else next(free)
                           for k in range(len(v.shape))))  # fmt: skip
    return found[0], found[1]


def _factors(e: Equation) -> tuple[list[Axis], Axis, Axis, Axis, Read, Read]:
    """Loops and factors of a product of matrices: batch, m, n, k, left[…, m, k] and right[…, k, n]."""
    batch, (m,), (n,), (k,) = dot_axes(e)
    left, right = zip(e.inputs, dot_idx(e, identity([*batch, m, n]), identity([k])), strict=True)
    return batch, m, n, k, left, right


def _flat(e: Equation, idx: Terms) -> Terms:
    """An entry of a reshaped array by its place in memory, which is kept in C order: FLAT, then terms in entries."""
    places = strides(e.params["shape"])
    return (
        FLAT,
        *[(axis, step * s, offset * s) for (axis, step, offset), s in zip(idx, places, strict=True)],
    )


def operands(e: Equation, idx: Terms) -> list[tuple[Var, Terms]]:
    """Which entries of its inputs entry `idx` of an equation reads; reductions read along loops of their own."""
    if is_view(e):
        moved = through(e, idx)
        assert moved is not None
        return [(e.inputs[0], moved)]
    if e.name == "reshape":
        return [(e.inputs[0], _flat(e, idx))]
    if e.name in REDUCTIONS:
        x, axis = e.inputs[0], _axes_of(e)
        axes = [Axis(x.shape[k]) for k in axis]
        return [(x, reduced(idx, axes, axis, e.params.get("keepdims", False)))]
    if e.name == "dot_general":
        return list(zip(e.inputs, dot_idx(e, idx, identity(dot_axes(e)[3])), strict=True))
    return [(v, idx) for v in e.inputs]


def _room(e: Equation) -> int:
    """How often an equation computes with its operands."""
    if e.name == "dot_general":
        count = e.outs[0].type.size
        for k in e.params["contract"][0]:
            count *= e.inputs[0].shape[k]
        return count
    return max([v.type.size for v in (*e.inputs, *e.outs)], default=1)
