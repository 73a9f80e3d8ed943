"""Keys the other way round: for each place of an array the few entries that go there."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from chainrule.codegen.integers import INT64
from chainrule.codegen.keys import Entry, Fixed, Known, Named, Pick, Place, Tabled, Test, solved
from chainrule.ir.graph import Equation, Graph, Var
from chainrule.ir.types import Type
from chainrule.table.primitive import TABLE, Primitive

PICKS, PIECES, ADDS = "picks", "pieces", "adds"


@functools.cache
def as_kind(p: Primitive, kind: str) -> Primitive:
    """A primitive under its name, whose equations are of one of our kinds."""
    return dataclasses.replace(p, kind=kind)


class ByPlace(NamedTuple):
    """Entries and tests of the pieces, in the order of the entries, and the arrays that these name: inputs 1, 2 …"""

    found: list[tuple[tuple[Entry, ...], tuple[Test, ...]]]
    arrays: list[Var]


def by_place(
    g: Graph, shape: Sequence[int], places: Sequence[Place], arrays: Sequence[Var], whole: Sequence[int], few: int,
    last: bool = False,
) -> ByPlace | None:  # fmt: skip
    """The entries (of an array of this shape) that each place gets; None if that can be more than `few`.

    last
        Of entries that go to one place the last one counts.
    """
    entries, tests, opened = solved(places, shape)
    picks = [(d, p) for d, p in enumerate(places) if isinstance(p, Pick)]
    if math.prod(shape[k] for k in opened) <= few:
        found = []
        for combination in np.ndindex(*(shape[k] for k in opened)):
            fixed = dict(zip(opened, map(Fixed, combination), strict=True))
            one = tuple(fixed.get(k, entry) for k, entry in enumerate(entries))
            named = [Named(p.index, _at(p, one), d, whole[d], p.sure) for d, p in picks]
            found.append((one, (*tests, *named)))
        return ByPlace(found, list(arrays))
    along = {k for _, p in picks for k in p.dims if k is not None}
    if not along <= set(opened):
        return None
    lengths, target = tuple(shape[k] for k in opened), tuple(whole[d] for d, _ in picks)
    aligned = [
        p._replace(dims=tuple(None if k is None else opened.index(k) for k in p.dims)) for _, p in picks
    ]
    if all(p.sure for p in aligned):
        tables = _tables(g, lengths, target, aligned, arrays, few, last)
    else:
        tables = [_last(g, lengths, target, aligned, arrays)] if last else None
    if tables is None:
        return None
    dims = tuple(d for d, _ in picks)
    found = []
    for n in range(1, len(tables) + 1):
        tabled = {k: Tabled(n, dims, lengths, j) for j, k in enumerate(opened)}
        found.append(
            (tuple(tabled.get(k, entry) for k, entry in enumerate(entries)), (*tests, Known(n, dims)))
        )
    return ByPlace(found, tables)


def _at(pick: Pick, entries: Sequence[Entry]) -> tuple[Entry, ...]:
    return tuple(None if k is None else entries[k] for k in pick.dims)


def _tables(
    g: Graph, lengths: Sequence[int], target: Sequence[int], picks: Sequence[Pick], arrays: Sequence[Var], few: int,
    last: bool,
) -> list[Var] | None:  # fmt: skip
    """For each place the number of the first entry that goes there (-1: none), of the second …"""
    places = np.zeros(lengths, np.int64)
    for p, n in zip(picks, target, strict=True):
        at, along = g.constants[arrays[p.index - 1]], [1] * len(lengths)
        for k, length in zip(p.dims, at.shape, strict=True):
            if k is not None:
                along[k] = length
        places = places * n + at.reshape(along)
    order = np.argsort(places, axis=None, kind="stable")
    ordered = places.ravel()[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(np.r_[starts, len(order)]))
    most = int(rank.max()) + 1
    if last:
        chosen = [np.r_[ordered[1:] != ordered[:-1], True]]
    elif most <= few:
        chosen = [rank == r for r in range(most)]
    else:
        return None
    found = []
    for c in chosen:
        table = np.full(math.prod(target), -1, np.int64)
        table[ordered[c]] = order[c]
        found.append(g.constant(table.reshape(target)))
    return found


def _last(
    g: Graph, lengths: Sequence[int], target: tuple[int, ...], picks: Sequence[Pick], arrays: Sequence[Var]
) -> Var:
    """For each place the number of the last entry that goes there (-1: none), made anew in each run."""
    numbers = g.constant(np.arange(math.prod(lengths)).reshape(lengths))
    table = Var(Type(target, INT64))
    params = {"places": tuple(picks), "combine": "maximum"}
    g.equations.append(Equation(as_kind(TABLE["scatter_add"], ADDS), (numbers, *arrays), params, (table,)))
    return table


__all__ = ["ByPlace", "by_place"]
