"""Equations that move entries by keys, as kernels read them.

`indexed` rewrites them to two kinds, which keep the primitive's name:
    picks    an entry is one of the input's, at a place that its own place and index arrays tell
    pieces   an entry is that of the first piece that has one there, or the sum over all that have, else 0
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.codegen import computed
from chainrule.codegen.integers import INT64
from chainrule.codegen.keys import Along, Entry, Place, Solved, Within, places_of, solved
from chainrule.codegen.views import FIRST, Terms, is_view
from chainrule.ir.graph import Equation, Graph, Var
from chainrule.table.primitive import Primitive

PICKS, PIECES = "picks", "pieces"
_MOST_PIECES = 16  # of a sum, which are all written out


class Piece(NamedTuple):
    """Entries of input `read`, at places of the output where all tests hold."""

    read: int
    entries: tuple[Entry, ...]
    tests: tuple[Within, ...]


class Bounds(NamedTuple):
    """lo ≤ Σ terms < hi, and a multiple of step away from lo."""

    form: computed.Form
    lo: int
    hi: int
    step: int


# --- what kernels and the planner ask -----------------------------------------------------------


def is_moving(e: Equation) -> bool:
    """Whether an equation is of these kinds."""
    return e.primitive.kind in (PICKS, PIECES)


def operands(e: Equation, idx: Terms) -> list[tuple[Var, Terms]]:
    """Which entries of its inputs entry `idx` reads."""
    if e.primitive.kind == PICKS:
        return [picked(e, idx)]
    return [(v, terms) for v, terms, _ in pieces(e, idx)]


def picked(e: Equation, idx: Terms) -> tuple[Var, Terms]:
    """The entry that entry `idx` of an equation that picks is."""
    x = e.inputs[0]
    return x, tuple(_place(place, idx, n) for place, n in zip(e.params["places"], x.shape, strict=True))


def _place(place: Along, idx: Terms, extent: int) -> computed.Term:
    form = [(axis, s * step, o * step) for k, step in place.steps for axis, s, o in [idx[k]]]
    return computed.term([*form, (None, 0, place.offset)], 1, extent)


def pieces(e: Equation, idx: Terms) -> list[tuple[Var, Terms, tuple[Bounds, ...]]]:
    """Of each piece the entry for entry `idx`, and what must hold there."""
    return [
        (e.inputs[p.read], tuple(_entry(x, idx) for x in p.entries), tuple(_bounds(t, idx) for t in p.tests))
        for p in e.params["pieces"]
    ]


def _entry(entry: Entry, idx: Terms) -> computed.Term:
    if entry is None:
        return FIRST
    axis, step, offset = idx[entry.dim]
    return computed.term([(axis, step, offset - entry.offset)], entry.step, entry.extent)


def _bounds(test: Within, idx: Terms) -> Bounds:
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
    kinds = all(v.dtype in (dtype, np.bool_, INT64) for v in (*e.inputs, *e.outs))
    some = e.outs[0].type.size and all(v.type.size for v in e.inputs)
    joins = e.name in ("concatenate", "index_update") and e.outs[0].type.size  # parts of them may be empty
    return bool(kinds and (some or joins)) and not is_view(e)


@functools.cache
def _as_kind(p: Primitive, kind: str) -> Primitive:
    return dataclasses.replace(p, kind=kind)


def _picks(e: Equation, places: Sequence[Place]) -> Equation:
    return Equation(_as_kind(e.primitive, PICKS), e.inputs, {"places": tuple(places)}, e.outs, e.source)


def _pieces(e: Equation, inputs: Sequence[Var], found: Sequence[Piece], adds: bool = False) -> Equation:
    """`adds`: the pieces are added up; else the first one that has an entry has it."""
    params = {"pieces": tuple(found), "adds": adds}
    return Equation(_as_kind(e.primitive, PIECES), tuple(inputs), params, e.outs, e.source)


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


def _scatter_add(g: Graph, e: Equation) -> Equation | None:
    ct, *index = e.inputs
    places, shape = places_of(e.params["spec"], e.params["shape"], [v.shape for v in index])
    if index:
        return None
    entries, tests, _ = solved(places, shape)
    return _pieces(e, [_spread(g, e, ct, shape)], [Piece(0, entries, tests)])


def _index_update(g: Graph, e: Equation) -> Equation | None:
    x, v, *index = e.inputs
    places, shape = places_of(e.params["spec"], x.shape, [i.shape for i in index])
    if index:
        return None
    entries, tests, _ = solved(places, shape)
    rest = Piece(1, tuple(_whole(x.shape)), ())
    if not v.type.size or 0 in shape:
        return _pieces(e, [x], [rest._replace(read=0)])  # nothing is overwritten
    return _pieces(e, [_spread(g, e, v, shape), x], [Piece(0, entries, tests), rest])


def _on_line(params: dict[str, Any], rank: int) -> list[Along]:
    """Places of the entries of a diagonal in an array of so many dimensions."""
    offset, axes = params["offset"], params["axes"]
    rest = iter(range(rank - 2))
    along = {axes[0]: max(-offset, 0), axes[1]: max(offset, 0)}
    return [
        Along(((rank - 2, 1),), along[k]) if k in along else Along(((next(rest), 1),), 0) for k in range(rank)
    ]


def _diagonal(g: Graph, e: Equation) -> Equation:
    return _picks(e, _on_line(e.params, len(e.inputs[0].shape)))


def _on_diagonal(g: Graph, e: Equation) -> Equation:
    (x,) = e.inputs
    entries, tests, _ = solved(_on_line(e.params, len(e.outs[0].shape)), x.shape)
    return _pieces(e, [x], [Piece(0, entries, tests)])


def _windows(g: Graph, e: Equation) -> Equation:
    rank, axis = len(e.inputs[0].shape), e.params["axis"]
    steps = lambda k: ((k, e.params["step"]), (rank, 1)) if k == axis else ((k, 1),)
    return _picks(e, [Along(steps(k), 0) for k in range(rank)])


def _add_windows(g: Graph, e: Equation) -> Equation | None:
    (x,) = e.inputs
    axis, step, (*shape, size) = e.params["axis"], e.params["step"], x.shape
    if size > _MOST_PIECES:
        return None
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
    "index_update": _index_update,
    "diagonal": _diagonal,
    "on_diagonal": _on_diagonal,
    "windows": _windows,
    "add_windows": _add_windows,
}

__all__ = ["PICKS", "PIECES", "Bounds", "indexed", "is_moving", "operands", "picked", "pieces"]
