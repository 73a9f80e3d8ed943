"""Keys as maps: at which place of an array each entry that a key picks lies, and the other way round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np


class Along(NamedTuple):
    """The place offset + Σ step·i, where i is the place along a dimension of the entries."""

    steps: tuple[tuple[int, int], ...]  # (dimension, step)
    offset: int


class Pick(NamedTuple):
    """The place that index array `index` names; its dimensions go along `dims` of the entries (None: it has one)."""

    index: int
    dims: tuple[int | None, ...]
    sure: bool = False  # every number is a place, and counted from the beginning


class Solved(NamedTuple):
    """The entry (i - offset)/step of `extent`, where i is the place along dimension `dim` of the array."""

    dim: int
    step: int
    offset: int
    extent: int


class Fixed(NamedTuple):
    """One entry, whatever the place."""

    place: int


class Tabled(NamedTuple):
    """The entry whose number array `index` has for the place along `dims` of the array: dimension `k` of its place.

    lengths
        Entries are numbered in C order in an array of this shape.
    """

    index: int
    dims: tuple[int, ...]
    lengths: tuple[int, ...]
    k: int


class Within(NamedTuple):
    """lo ≤ Σ c·i < hi, and a multiple of step away from lo; i are the places along dimensions of the array."""

    form: tuple[tuple[int, int], ...]  # (dimension, c)
    lo: int
    hi: int
    step: int


class Known(NamedTuple):
    """Array `index` has an entry, no -1, for the place along `dims` of the array."""

    index: int
    dims: tuple[int, ...]


class Named(NamedTuple):
    """Index array `index` names, at these of its entries, the place along dimension `dim` of the array."""

    index: int
    entries: tuple[Entry, ...]
    dim: int
    extent: int
    sure: bool


Place = Along | Pick
Entry = Solved | Fixed | Tabled | None  # None: the only one
Test = Within | Known | Named
FULL = ("slice", None, None, None)


def places_of(
    spec: Sequence[tuple[Any, ...]], whole: Sequence[int], shapes: Sequence[tuple[int, ...]]
) -> tuple[tuple[Place, ...], tuple[int, ...]]:
    """Places in an array of shape `whole` that a key picks with arrays of these shapes, and the shape of the entries.

    As NumPy has it: integers count as arrays where there are some, and dimensions of arrays that are not next to each
    other come first.
    """
    items = _spelled_out(spec, len(whole))
    advanced = [k for k, item in enumerate(items) if item[0] == "array" or (shapes and item[0] == "int")]
    joined = np.broadcast_shapes(*shapes)
    together = advanced == list(range(advanced[0], advanced[-1] + 1)) if advanced else True
    entries: list[int] = []
    front = -1
    if not together:
        front, entries = 0, list(joined)
    places: list[Place] = []
    for k, item in enumerate(items):
        if together and advanced and k == advanced[0]:
            front = len(entries)
            entries += joined
        if item[0] == "slice":
            start, stop, step = slice(*item[1:]).indices(whole[len(places)])
            places.append(Along(((len(entries), step),), start))
            entries.append(len(range(start, stop, step)))
        elif item[0] == "int":
            places.append(Along((), item[1] % whole[len(places)]))
        elif item[0] == "array":
            shape = shapes[item[1]]
            first = front + len(joined) - len(shape)
            dims = tuple(first + j if n > 1 else None for j, n in enumerate(shape))
            places.append(Pick(item[1], dims))
        elif item[0] == "new":
            entries.append(1)
    return tuple(places), tuple(entries)


def _spelled_out(spec: Sequence[tuple[Any, ...]], rank: int) -> list[tuple[Any, ...]]:
    """The key with whole slices for what it leaves out; `rest` stays where it was, as it separates arrays."""
    missing = [FULL] * (rank - sum(item[0] not in ("new", "rest") for item in spec))
    found: list[tuple[Any, ...]] = []
    for item in spec:
        found += [item, *missing] if item[0] == "rest" else [item]
    return found if ("rest",) in spec else found + missing


def solved(
    places: Sequence[Place], entries: Sequence[int]
) -> tuple[tuple[Entry, ...], tuple[Within, ...], list[int]]:
    """Which entry a place of the array gets, what must hold of the place, and dimensions of entries that are left open.

    Where an entry along dimensions that are left open goes, arrays tell, or several dimensions together.
    """
    found: dict[int, Solved] = {}
    tests = []
    for d, place in enumerate(places):
        if isinstance(place, Pick) or len(place.steps) > 1:
            continue
        if not place.steps:
            tests.append(Within(((d, 1),), place.offset, place.offset + 1, 1))
            continue
        ((k, step),) = place.steps
        last = place.offset + step * (entries[k] - 1)
        lo, hi = min(place.offset, last), max(place.offset, last) + 1
        if k in found:  # both dimensions go along together, as on a diagonal
            first = found[k]
            at = first.step * place.offset - step * first.offset
            tests.append(Within(((d, first.step), (first.dim, -step)), at, at + 1, 1))
        else:
            found[k] = Solved(d, step, place.offset, entries[k])
            tests.append(Within(((d, 1),), lo, hi, abs(step)))
    opened = [k for k, n in enumerate(entries) if n > 1 and k not in found]
    return tuple(found.get(k) if n > 1 else None for k, n in enumerate(entries)), tuple(tests), opened


def known(place: Pick, array: np.ndarray, extent: int) -> Along | np.ndarray | None:
    """Places of known numbers: along one dimension of the entries, if they are evenly spaced there, or the numbers.

    Counted from the beginning. None: one of them is out of range.
    """
    if array.size == 0 or array.min() < -extent or array.max() >= extent:
        return None
    at = np.where(array < 0, array + extent, array).astype(np.int64)
    first = int(at.flat[0])
    for k, n in enumerate(at.shape):
        if n == 1:
            continue
        line = np.moveaxis(at, k, -1)
        step = int(line.flat[1]) - first
        dim = place.dims[k]
        if (
            step
            and dim is not None
            and np.array_equal(line, np.broadcast_to(first + step * np.arange(n), line.shape))
        ):
            return Along(((dim, step),), first)
    return Along((), first) if (at == first).all() else at
