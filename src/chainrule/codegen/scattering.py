"""Keys the other way round: for each place of an array the few entries that go there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from chainrule.codegen.keys import Entry, Fixed, Known, Named, Pick, Place, Tabled, Test, solved
from chainrule.ir.graph import Graph, Var


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
    if not all(p.sure for _, p in picks) or not along <= set(opened):
        return None
    tables = _tables(g, shape, picks, opened, arrays, whole, few, last)
    if tables is None:
        return None
    dims, found, made = tuple(d for d, _ in picks), [], list[Var]()
    for table in tables:
        first = 1 + len(made)
        made += [g.constant(t) for t in table]
        tabled = {k: Tabled(first + j, dims, shape[k]) for j, k in enumerate(opened)}
        one = tuple(tabled.get(k, entry) for k, entry in enumerate(entries))
        found.append((one, (*tests, Known(first, dims))))
    return ByPlace(found, made)


def _at(pick: Pick, entries: Sequence[Entry]) -> tuple[Entry, ...]:
    return tuple(None if k is None else entries[k] for k in pick.dims)


def _tables(
    g: Graph, shape: Sequence[int], picks: Sequence[tuple[int, Pick]], opened: Sequence[int], arrays: Sequence[Var],
    whole: Sequence[int], few: int, last: bool,
) -> list[tuple[np.ndarray, ...]] | None:  # fmt: skip
    """For each place the first entry that goes there (of each opened dimension, -1: none), the second …"""
    lengths, target = [shape[k] for k in opened], [whole[d] for d, _ in picks]
    flat = np.zeros(lengths, np.int64)
    for (_, p), n in zip(picks, target, strict=True):
        at = g.constants[arrays[p.index - 1]]
        along = [1] * len(opened)
        for k, length in zip(p.dims, at.shape, strict=True):
            if k is not None:
                along[opened.index(k)] = length
        flat = flat * n + at.reshape(along)
    flat = flat.ravel()
    order = np.argsort(flat, kind="stable")
    ordered = flat[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    rank = np.arange(len(flat)) - np.repeat(starts, np.diff(np.r_[starts, len(flat)]))
    if last:
        chosen = [np.r_[ordered[1:] != ordered[:-1], True]]
    else:
        most = int(rank.max()) + 1
        if most > few:
            return None
        chosen = [rank == r for r in range(most)]
    found = []
    for c in chosen:
        tables = np.full((len(opened), math.prod(target)), -1, np.int64)
        tables[:, ordered[c]] = np.unravel_index(order[c], lengths)
        found.append(tuple(t.reshape(target) for t in tables))
    return found


__all__ = ["ByPlace", "by_place"]
