"""Equations that move entries by keys, as kernels read them.

`indexed` rewrites them to two kinds, which keep the primitive's name:
    picks    an entry is one of the input's, at a place that its own place and index arrays tell
    pieces   an entry is that of the first piece that has one there, or the sum over all that have, else 0
    adds     zeros, and the entries of the input added to them at the places that these and index arrays tell;
             or -1, and the largest of these entries
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.codegen import computed, scattering
from chainrule.codegen.integers import DTYPES, INT64
from chainrule.codegen.keys import (
    Along,
    Entry,
    Fixed,
    Known,
    Named,
    Pick,
    Place,
    Solved,
    Tabled,
    Test,
    Within,
    known,
    places_of,
    solved,
)
from chainrule.codegen.scattering import ADDS, PICKS, PIECES, as_kind
from chainrule.codegen.views import FIRST, Axis, Terms, identity, is_view
from chainrule.ir.graph import Equation, Graph, Var

_MOST_PIECES = 16  # of a sum, which are all written out
_FEW = 4  # entries that may have one place: these are looked for, rather than added where they belong


class Piece(NamedTuple):
    """Entries of input `read`, at places of the output where all tests hold."""

    read: int
    entries: tuple[Entry, ...]
    tests: tuple[Test, ...]


class Bounds(NamedTuple):
    """lo ≤ Σ terms < hi, and a multiple of step away from lo."""

    form: computed.Form
    lo: int
    hi: int
    step: int


class Equal(NamedTuple):
    """A place that is picked is that of a term."""

    place: computed.Picked
    term: computed.Term


class There(NamedTuple):
    """An entry is no -1."""

    var: Var
    idx: Terms


Condition = Bounds | Equal | There

# --- what kernels and the planner ask -----------------------------------------------------------


def is_moving(e: Equation) -> bool:
    """Whether an equation only looks where its entries are."""
    return e.primitive.kind in (PICKS, PIECES)


def is_adding(e: Equation) -> bool:
    """Whether an equation goes through its input and adds entries to where they belong."""
    return e.primitive.kind == ADDS


def operands(e: Equation, idx: Terms) -> list[tuple[Var, Terms]]:
    """Which entries of its inputs entry `idx` reads."""
    if e.primitive.kind == PICKS:
        return [picked(e, idx), *_index_reads(e, idx)]
    if e.primitive.kind == ADDS:
        return _added(e, idx)
    found = []
    for v, terms, tests in pieces(e, idx):
        found.append((v, terms))
        found += [(a.var, a.idx) for a in computed.picked(terms)]
        found += [(t.var, t.idx) for t in tests if isinstance(t, There)]
        found += [(t.place.var, t.place.idx) for t in tests if isinstance(t, Equal)]
    return found


def added(e: Equation, axes: Sequence[Axis]) -> tuple[Var, Terms]:
    """What entry `axes` of the input is added to."""
    idx = identity(axes)
    (out,) = e.outs
    return out, tuple(_place(e, p, idx, n) for p, n in zip(e.params["places"], out.shape, strict=True))


def opened(e: Equation) -> list[int]:
    """Dimensions of the input of an equation that adds whose places only arrays tell."""
    return solved(e.params["places"], e.inputs[0].shape)[2]


def _added(e: Equation, idx: Terms) -> list[tuple[Var, Terms]]:
    """What may be added to entry `idx`, along loops of its own where arrays tell."""
    x = e.inputs[0]
    entries, _, loops = solved(e.params["places"], x.shape)
    own = {k: (Axis(x.shape[k]), 1, 0) for k in loops}
    terms = tuple(own.get(k) or _entry(e, entry, idx) for k, entry in enumerate(entries))
    return [(x, terms), *_index_reads(e, terms)]


def picked(e: Equation, idx: Terms) -> tuple[Var, Terms]:
    """The entry that entry `idx` of an equation that picks is."""
    x = e.inputs[0]
    return x, tuple(_place(e, place, idx, n) for place, n in zip(e.params["places"], x.shape, strict=True))


def _index_reads(e: Equation, idx: Terms) -> list[tuple[Var, Terms]]:
    """Which entries of index arrays tell the place."""
    return [_index_read(e, p, idx) for p in e.params["places"] if isinstance(p, Pick)]


def _index_read(e: Equation, place: Pick, idx: Terms) -> tuple[Var, Terms]:
    return e.inputs[place.index], tuple(FIRST if k is None else idx[k] for k in place.dims)


def _place(e: Equation, place: Place, idx: Terms, extent: int) -> computed.Term:
    if isinstance(place, Pick):
        how = "sure" if place.sure else "checked"
        return computed.Picked(*_index_read(e, place, idx), extent, how), 1, 0
    form = [(axis, s * step, o * step) for k, step in place.steps for axis, s, o in [idx[k]]]
    return computed.term([*form, (None, 0, place.offset)], 1, extent)


def pieces(e: Equation, idx: Terms) -> list[tuple[Var, Terms, list[Condition]]]:
    """Of each piece the entry for entry `idx`, and what must hold there."""
    return [
        (
            e.inputs[p.read],
            tuple(_entry(e, x, idx) for x in p.entries),
            [_condition(e, t, idx) for t in p.tests],
        )
        for p in e.params["pieces"]
    ]


def _entry(e: Equation, entry: Entry, idx: Terms) -> computed.Term:
    if entry is None:
        return FIRST
    if isinstance(entry, Fixed):
        return (None, 0, entry.place)
    if isinstance(entry, Tabled):
        return _tabled(e.inputs[entry.index], entry, idx)
    axis, step, offset = idx[entry.dim]
    return computed.term([(axis, step, offset - entry.offset)], entry.step, entry.extent)


def _tabled(table: Var, entry: Tabled, idx: Terms) -> computed.Term:
    """One dimension of the entry whose number a table has."""
    total, extent = math.prod(entry.lengths), entry.lengths[entry.k]
    inner = math.prod(entry.lengths[entry.k + 1 :])
    number = (computed.Picked(table, tuple(idx[d] for d in entry.dims), total, "table"), 1, 0)
    row = computed.term([number], inner, total // inner)
    above, _, _ = computed.term([row], extent, total // inner // extent)
    return computed.term([row, (above, -extent, 0)], 1, extent) if entry.k else row


def _condition(e: Equation, test: Test, idx: Terms) -> Condition:
    if isinstance(test, Known):
        return There(e.inputs[test.index], tuple(idx[d] for d in test.dims))
    if isinstance(test, Named):
        at = tuple(_entry(e, x, idx) for x in test.entries)
        how = "sure" if test.sure else "checked"
        return Equal(computed.Picked(e.inputs[test.index], at, test.extent, how), idx[test.dim])
    form = [(axis, s * c, o * c) for d, c in test.form for axis, s, o in [idx[d]]]
    return Bounds(computed.joined(form), test.lo, test.hi, test.step)


# --- the pass -------------------------------------------------------------------------------------


def indexed(graph: Graph, dtype: np.dtype) -> Graph:
    """The graph with equations of these kinds, where kernels are for their values."""
    if not any(e.name in _REWRITE for e in graph.equations):
        return graph
    g = Graph(graph.inputs, (), graph.outputs, graph.constants)
    for e in graph.equations:
        rewrite = _REWRITE.get(e.name)
        new = rewrite(g, e) if rewrite is not None and _fits(e, dtype) else None
        g.equations.append(new or e)
    return g


def _fits(e: Equation, dtype: np.dtype) -> bool:
    """Whether kernels are for the values of an equation, and it is no index map anyway."""
    index = index_of(e)
    kinds = all(v.dtype in (dtype, np.bool_, *DTYPES) for v in (*e.inputs, *e.outs) if v not in index)
    some = e.outs[0].type.size and all(v.type.size for v in e.inputs)
    joins = e.name in ("concatenate", "index_update") and e.outs[0].type.size  # parts of them may be empty
    return bool(kinds and (some or joins)) and not is_view(e)


def index_of(e: Equation) -> tuple[Var, ...]:
    """The index arrays of an equation."""
    return e.inputs[sum(name not in ("index", "*index") for name in e.primitive.inputs) :]


def _picks(e: Equation, inputs: Sequence[Var], places: Sequence[Place]) -> Equation:
    return Equation(as_kind(e.primitive, PICKS), tuple(inputs), {"places": tuple(places)}, e.outs, e.source)


def _pieces(e: Equation, inputs: Sequence[Var], found: Sequence[Piece], adds: bool = False) -> Equation:
    """`adds`: the pieces are added up; else the first one that has an entry has it."""
    params = {"pieces": tuple(found), "adds": adds}
    return Equation(as_kind(e.primitive, PIECES), tuple(inputs), params, e.outs, e.source)


def _whole(shape: Sequence[int]) -> list[Entry]:
    return [Solved(k, 1, 0, n) if n > 1 else None for k, n in enumerate(shape)]


def _moved(read: int, shape: Sequence[int], offsets: dict[int, int]) -> Piece:
    """The entries of an array whose first one lies at these offsets."""
    entries = _whole(shape)
    for k, offset in offsets.items():
        entries[k] = Solved(k, 1, offset, shape[k]) if shape[k] > 1 else None
    tests = [Within(((k, 1),), offset, offset + shape[k], 1) for k, offset in offsets.items()]
    return Piece(read, tuple(entries), tuple(tests))


def _pad(g: Graph, e: Equation) -> Equation:
    offsets = {k: before for k, (before, _) in enumerate(e.params["width"])}
    return _pieces(e, e.inputs, [_moved(0, e.inputs[0].shape, offsets)])


def _shift(g: Graph, e: Equation) -> Equation:
    return _pieces(e, e.inputs, [_moved(0, e.inputs[0].shape, {e.params["axis"]: e.params["step"]})])


def _concatenate(g: Graph, e: Equation) -> Equation:
    axis = e.params["axis"]
    inputs = [v for v in e.inputs if v.type.size]
    found, start = [], 0
    for k, v in enumerate(inputs):
        found.append(_moved(k, v.shape, {axis: start}))
        start += v.shape[axis]
    return _pieces(e, inputs, found)


def _spread(g: Graph, e: Equation, v: Var, shape: tuple[int, ...]) -> Var:
    """A value repeated to the shape of the entries that a key picks."""
    return v if v.shape == shape else g.emit("broadcast", v, shape=shape, source=e.source)


def _resolved(
    g: Graph, e: Equation, places: Sequence[Place], whole: Sequence[int], first: int
) -> tuple[list[Place], list[Var]] | None:
    """Places without arrays where these are known and evenly spaced, and the arrays that are left.

    first
        The position of the first array among the inputs. None: a known place is out of range.
    """
    index, found = list(index_of(e)), []
    rest: list[Var] = []
    for place, extent in zip(places, whole, strict=True):
        if not isinstance(place, Pick):
            found.append(place)
            continue
        v = index[place.index]
        array = g.constants.get(v)
        at = None if array is None else known(place, np.asarray(array), extent)
        if array is not None and at is None:
            return None
        if isinstance(at, Along):
            found.append(at)
            continue
        if at is not None:
            v = g.constant(at)
        elif v.dtype not in DTYPES:
            v = g.emit("cast", v, dtype=INT64, source=e.source)
        found.append(place._replace(index=first + len(rest), sure=at is not None))
        rest.append(v)
    return found, rest


def _index(g: Graph, e: Equation) -> Equation | None:
    x, *index = e.inputs
    places, _ = places_of(e.params["spec"], x.shape, [v.shape for v in index])
    found = _resolved(g, e, places, x.shape, 1)
    return found and _picks(e, [x, *found[1]], found[0])


def _take_along(g: Graph, e: Equation) -> Equation | None:
    x, index = e.inputs
    found = _resolved(g, e, _along(index.shape, e.params["axis"]), x.shape, 1)
    return found and _picks(e, [x, *found[1]], found[0])


def _along(shape: Sequence[int], axis: int) -> list[Place]:
    """Places that an index along one axis names."""
    dims = tuple(k if n > 1 else None for k, n in enumerate(shape))
    return [Pick(0, dims) if k == axis else Along(((k, 1),), 0) for k in range(len(shape))]


def _scatter_add(g: Graph, e: Equation) -> Equation | None:
    ct, *index = e.inputs
    whole = e.params["shape"]
    places, entries = places_of(e.params["spec"], whole, [v.shape for v in index])
    return _scattered(g, e, _spread(g, e, ct, entries), places)


def _put_along(g: Graph, e: Equation) -> Equation | None:
    ct, index = e.inputs
    return _scattered(g, e, _spread(g, e, ct, index.shape), _along(index.shape, e.params["axis"]))


def _scattered(g: Graph, e: Equation, x: Var, places: Sequence[Place]) -> Equation | None:
    """Entries of x added to zeros at places: looked for, if few can have one place, else added where they belong."""
    whole = e.outs[0].shape
    found = _resolved(g, e, places, whole, 1)
    if found is None or not x.type.size:
        return None
    places, arrays = found
    pieces = scattering.by_place(g, x.shape, places, arrays, whole, _FEW)
    if pieces is not None:
        return _pieces(
            e, [x, *pieces.arrays], [Piece(0, *p) for p in pieces.found], adds=len(pieces.found) > 1
        )
    return _adds(e, [x, *arrays], places)


def _adds(e: Equation, inputs: Sequence[Var], places: Sequence[Place]) -> Equation | None:
    """Entries added in memory: of numbers as wide as registers."""
    if e.outs[0].dtype.kind != "f" and e.outs[0].dtype != INT64:
        return None
    params = {"places": tuple(places), "combine": "add"}
    return Equation(as_kind(e.primitive, ADDS), tuple(inputs), params, e.outs, e.source)


def _index_update(g: Graph, e: Equation) -> Equation | None:
    x, v, *index = e.inputs
    places, entries = places_of(e.params["spec"], x.shape, [i.shape for i in index])
    rest = tuple(_whole(x.shape))
    if not v.type.size or 0 in entries:
        return _pieces(e, [x], [Piece(0, rest, ())])  # nothing is overwritten
    found = _resolved(g, e, places, x.shape, 1)
    if found is None:
        return None
    pieces = scattering.by_place(g, entries, *found, x.shape, _FEW, last=True)
    if pieces is None:
        return None
    inputs = [_spread(g, e, v, entries), *pieces.arrays, x]
    written = [Piece(0, *p) for p in reversed(pieces.found)]  # what is written last stays
    return _pieces(e, inputs, [*written, Piece(len(inputs) - 1, rest, ())])


def _on_line(params: dict[str, Any], rank: int) -> list[Along]:
    """Places of the entries of a diagonal in an array of so many dimensions."""
    offset, axes = params["offset"], params["axes"]
    rest = iter(range(rank - 2))
    along = {axes[0]: max(-offset, 0), axes[1]: max(offset, 0)}
    return [
        Along(((rank - 2, 1),), along[k]) if k in along else Along(((next(rest), 1),), 0) for k in range(rank)
    ]


def _diagonal(g: Graph, e: Equation) -> Equation:
    return _picks(e, e.inputs, _on_line(e.params, len(e.inputs[0].shape)))


def _on_diagonal(g: Graph, e: Equation) -> Equation:
    (x,) = e.inputs
    entries, tests, _ = solved(_on_line(e.params, len(e.outs[0].shape)), x.shape)
    return _pieces(e, [x], [Piece(0, entries, tests)])


def _windows(g: Graph, e: Equation) -> Equation:
    rank, axis = len(e.inputs[0].shape), e.params["axis"]
    steps = lambda k: ((k, e.params["step"]), (rank, 1)) if k == axis else ((k, 1),)
    return _picks(e, e.inputs, [Along(steps(k), 0) for k in range(rank)])


def _add_windows(g: Graph, e: Equation) -> Equation | None:
    (x,) = e.inputs
    axis, step, (*shape, size) = e.params["axis"], e.params["step"], x.shape
    if size > _MOST_PIECES:
        steps = lambda d: ((d, step), (len(shape), 1)) if d == axis else ((d, 1),)
        return _adds(e, [x], [Along(steps(d), 0) for d in range(len(shape))])
    windows = g.emit("transpose", x, perm=(len(shape), *range(len(shape))), source=e.source)
    inputs, found = [], []
    for k in range(size):
        inputs.append(g.emit("index", windows, spec=(("int", k),), source=e.source))
        places = [Along(((d, step if d == axis else 1),), k if d == axis else 0) for d in range(len(shape))]
        entries, tests, _ = solved(places, shape)
        found.append(Piece(k, entries, tests))
    return _pieces(e, inputs, found, adds=True)


_REWRITE: dict[str, Callable[[Graph, Equation], Equation | None]] = {
    "pad": _pad,
    "shift": _shift,
    "concatenate": _concatenate,
    "scatter_add": _scatter_add,
    "put_along": _put_along,
    "index_update": _index_update,
    "diagonal": _diagonal,
    "on_diagonal": _on_diagonal,
    "index": _index,
    "take_along": _take_along,
    "windows": _windows,
    "add_windows": _add_windows,
}

__all__ = [
    "PICKS",
    "PIECES",
    "Bounds",
    "added",
    "index_of",
    "indexed",
    "is_adding",
    "is_moving",
    "opened",
    "operands",
    "picked",
    "pieces",
]
