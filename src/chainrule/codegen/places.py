"""Where the values of a graph are kept, and in which phase they are made.

Every value has a place:
    inline   computed again wherever it is read (register)
    tile     kept for one tile of samples
    whole    an array
    sum      an array into which the tiles are summed (or whose largest entry they find)
A reduction over the samples whose result is read along the samples again ends a phase: the next phase goes through
the tiles once more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chainrule.codegen.indexing import is_adding, is_moving, opened
from chainrule.codegen.lengths import Lengths
from chainrule.codegen.powers import consecutive_powers
from chainrule.codegen.reading import (
    Read,
    factors_of,
    has_loops,
    operands,
    real_dtype,
    times_read,
    why_called,
)
from chainrule.codegen.samples import SampleAxis, staged
from chainrule.codegen.views import Axis, Terms, by_axis, identity, is_view, leading, strides, tile_strides
from chainrule.ir.graph import Equation, Graph, Var

_CHEAP = frozenset(
    """
    add sub mul neg abs maximum minimum clamp relu where cast cast_like eq ne lt le gt ge logical_and logical_or
    logical_xor logical_not isnan isinf isfinite sign copysign floor ceil trunc round zeros
    """.split()  # noqa: SIM905
)
_SMALL = 40  # operations: what is inlined twice is not longer
_QUICK, _AGAIN = 8, 3  # cheap operations, and how often these take no longer than to write and read a number


class Places:
    """What is known of the values of a graph.

    places
        Var -> "whole" or "sum".
    tiles
        Phase -> what is kept in its tiles.
    roots
        Phase -> what its tiles must produce.
    """

    def __init__(self, graph: Graph, long: int) -> None:
        self.dtype = real_dtype(graph)
        self._look_at(graph, long)
        graph = staged(graph, self.dtype, self.calls, self.axis)
        if graph is not self.graph:
            self._look_at(graph, long)
        self.made = {v: e for e in graph.equations for v in e.outs}
        self.products = {e for e in graph.equations if e not in self.calls and self.axis.is_product(e)}
        self.places: dict[Var, str] = {}
        self.tiles: dict[int, set[Var]] = {}
        self.kept: set[Var] = set()  # in the tiles of every phase that reads them
        self.ready: dict[Var, int] = {}
        self.roots: dict[int, list[Equation]] = {}
        self._heavy: set[Var] = set()
        self._order = {e: k for k, e in enumerate(graph.equations)}
        self._time()
        self._place()

    def _look_at(self, graph: Graph, long: int) -> None:
        self.graph = graph
        self.calls = {e: r for e in graph.equations if (r := why_called(e, self.dtype)) is not None}
        self.axis = SampleAxis(graph, self.calls, long)
        self._summing = {e for e in graph.equations if self.axis.extent and self._sums(e)}

    # --- what is known of a value ------------------------------------------------------------------

    def is_array(self, v: Var) -> bool:
        """Whether a value is an array from the beginning: an input or a constant."""
        return v not in self.made

    def is_tiled(self, v: Var) -> bool:
        return self.axis.dim(v) is not None

    def sums_samples(self, e: Equation) -> bool:
        """Whether an equation reduces over the samples."""
        return e in self._summing

    def _sums(self, e: Equation) -> bool:
        """The same, found out."""
        if e in self.calls or self.is_tiled(e.outs[0]) or is_view(e):
            return False
        if is_adding(e):
            return self.axis.dim(e.inputs[0]) in opened(e)
        return self.axis.summed(e) is not None

    def is_turned(self, e: Equation) -> bool:
        """Whether an equation is a copy of rows to tiles, or back, of which some neighbours are taken at once."""
        if e.name != "cast" or e in self.calls:
            return False
        (x,), (out,) = e.inputs, e.outs
        return (
            x.dtype == out.dtype == self.dtype
            and self.axis.dim(out) not in (None, len(out.shape) - 1)
            and out.shape[-1] > 1
            and (self.is_array(x) or x in self.places) != (out in self.places)
        )

    def _elsewhere(self, e: Equation) -> list[Var]:
        """Values along the samples that an equation reads at other samples than its own: they are whole before it."""
        if not self.axis.extent or e in self.calls or (is_adding(e) and self.sums_samples(e)):
            return []
        return [v for v in self.axis.elsewhere(e) if not self.is_array(v)]

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
            else:
                latest = max([latest, *(self.ready[v] + 1 for v in self._elsewhere(e))])
                latest += self.sums_samples(e)
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
            elif self.sums_samples(e):
                self.places[e.outs[0]] = "sum"
            elif is_adding(e):
                self.places[e.outs[0]] = "whole"
            elif e.name == "reshape" and not is_view(e):
                self._keep(e.inputs[0])
            if self.is_tiled(e.outs[0]) or not is_moving(e):
                for v in self._elsewhere(e):
                    self._keep(v)
        for e in [e for e in self.graph.equations if e in self.products]:
            self._place_product(e)
        uses, length = self._uses(self.graph.equations), Lengths(self.places)
        self._place_turned(uses)
        self._place_for_others(uses)
        for e in self.graph.equations:
            v = e.outs[0]
            too_long = length.add(e)
            if has_loops(e) or any(u in self._heavy and u not in self.places for u in e.inputs):
                self._heavy.add(v)
            if v in self.places or v in self.kept or e in self.calls or is_view(e):
                continue
            readers = uses.get(v, [])
            if self.is_tiled(v):
                later = any(self._phase_of(r) > self.ready[v] for r, _ in readers)
                keep = later and self._is_heavy(e)
            else:
                keep = (
                    too_long
                    or self._worth_keeping(e, readers)
                    or any(self._repeats(r, often) for r, often in readers)
                )
            if keep:
                self.places[v] = "whole"
        self._find_roots()
        for p in range(max(self.ready.values(), default=0) + 1):
            self._place_tiles(p)

    def _place_turned(self, uses: Mapping[Var, Sequence[tuple[Equation, bool]]]) -> None:
        """Tiles for what is copied from rows, unless only BLAS reads it, which reads rows as well, and for results."""
        for e in self.graph.equations:
            if not self.is_turned(e):
                continue
            (x,), (out,) = e.inputs, e.outs
            if out in self.places:
                self._tile(x)
            elif any(r not in self.products for r, _ in uses.get(out, ())):
                self._tile(out)

    def _place_for_others(self, uses: Mapping[Var, Sequence[tuple[Equation, bool]]]) -> None:
        """An array for what is along the samples and read by what is not, or for what that is computed from."""
        again: dict[Var, tuple[int, int]] = {}  # how often, and how many operations before it is read
        for e in reversed(self.graph.equations):
            v = e.outs[0]
            if v in self.places or e in self.calls or is_view(e) or not self.is_tiled(v):
                continue
            readers = uses.get(v, [])
            others = [again.get(r.outs[0], (1, 0)) for r, _ in readers
                      if r.outs[0] in again or self._reads_elsewhere(r, v)]  # fmt: skip
            if not others:
                continue
            times, steps = sum(n for n, _ in others), 1 + max(k for _, k in others)
            quick = _is_cheap(e) and times <= _AGAIN and steps <= _QUICK
            in_tiles = v in self.kept or self._worth_keeping(
                e, readers
            )  # there others would not find their samples
            if in_tiles or not quick:
                self.places[v] = "whole"
            else:
                again[v] = times, steps

    def _place_product(self, e: Equation) -> None:
        """Memory for the factors of a product; where BLAS cannot read them it is computed by loops."""
        _, m, n, k, left, right = factors_of(e)
        copies = []
        for read, rows, columns in ((left, m, k), (right, k, n)):
            if self._is_matrix(*self.behind_read(read), rows, columns):
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
            self.places[v] = "sum" if self.sums_samples(self.made[v]) else "whole"

    def _phase_of(self, e: Equation) -> int:
        """The phase in which an equation runs, if it is along the samples or reduces over them."""
        v = e.outs[0]
        return self.ready[v] - (self.sums_samples(e))

    def _reads_elsewhere(self, r: Equation, v: Var) -> bool:
        """Whether a reader of a value along the samples is not itself along them: it looks at other entries."""
        return not (self.is_tiled(r.outs[0]) or self.sums_samples(r))

    def _repeats(self, r: Equation, often: bool) -> bool:
        """Whether a reader along the samples computes a value that is not along them more than once."""
        return (self.is_tiled(r.outs[0]) or self.sums_samples(r)) and (often or not is_moving(r))

    def _is_heavy(self, e: Equation) -> bool:
        """Whether computing a value again would repeat a reduction, or much else."""
        return e.outs[0] in self._heavy or self._size(e) > _SMALL

    def _worth_keeping(self, e: Equation, readers: Sequence[tuple[Equation, bool]]) -> bool:
        """Whether a value is kept rather than computed again where it is read."""
        if any(repeated for _, repeated in readers) or (e.name == "pow" and self._is_row_of_powers(e)):
            return True
        several = len({id(r) for r, _ in readers}) > 1
        if has_loops(e):
            return several or any(has_loops(r) for r, _ in readers)
        return several and (not _is_cheap(e) or self._is_heavy(e))

    def _is_row_of_powers(self, e: Equation) -> bool:
        """Whether a power is the one before, times x, along a loop that is not that of the samples."""
        axes, where = [Axis(n) for n in e.outs[0].shape], self.axis.dim(e.outs[0])
        return where is not None and consecutive_powers(self, e, identity(axes), axes[where]) is not None

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
            for v in e.inputs:
                base = self.behind(v)
                found.setdefault(base, []).append((e, base.type.size < times_read(e, v)))
        return found

    def behind(self, v: Var) -> Var:
        """The value that a chain of views looks at."""
        while (e := self._looking(v)) is not None:
            v = e.inputs[0]
        return v

    def behind_read(self, read: Read) -> Read:
        """The value that a chain of views looks at, and at which entry."""
        v, idx = read
        while (e := self._looking(v)) is not None:
            ((v, idx),) = operands(e, idx)
        return v, idx

    def _looking(self, v: Var) -> Equation | None:
        """The view that a value is, if it is one and has no memory of its own."""
        e = self.made.get(v)
        return e if e is not None and is_view(e) and e not in self.calls and v not in self.places else None

    def _place_tiles(self, p: int) -> None:
        """What is kept in the tiles of phase p: seen backwards from what the phase must produce."""
        needed: set[Equation] = set()
        stack = list(self.roots.get(p, ()))
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
        uses, tile = self._uses(order), self.tiles.setdefault(p, set())
        length = Lengths(self.places, tile)
        for e in order:
            v = e.outs[0]
            too_long = length.add(e)
            if not self.is_tiled(v) or v in self.places or is_view(e):
                continue
            if too_long or v in self.kept or self._worth_keeping(e, uses.get(v, ())):
                tile.add(v)

    def _find_roots(self) -> None:
        for e in self.graph.equations:
            v = e.outs[0]
            if e in self.calls or v not in self.places:
                continue
            if self.sums_samples(e):
                self.roots.setdefault(self.ready[v] - 1, []).append(e)
            elif self.is_tiled(v) and self.places[v] == "whole":
                self.roots.setdefault(self.ready[v], []).append(e)


def _is_cheap(e: Equation) -> bool:
    return e.name in _CHEAP or is_moving(e)
