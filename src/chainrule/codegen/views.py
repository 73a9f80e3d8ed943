"""Index maps: which entry of its input an equation that only moves entries reads.

An entry of a value is named by a tuple of terms, one for each dimension: `(axis, step, offset)` is the place
step·i + offset, where i runs along a loop `axis` (None: the place is `offset`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from chainrule.ir.graph import Equation, Var


class Axis:
    """A loop: `extent` rounds."""

    __slots__ = ("extent",)

    def __init__(self, extent: int) -> None:
        self.extent = extent


Term = tuple[Axis | None, int, int]
Terms = tuple[Term, ...]
FIRST: Term = (None, 0, 0)
FLAT: Term = (None, 0, -1)  # in front of terms that are places in memory, not entries of dimensions


def identity(axes: Sequence[Axis]) -> Terms:
    """Entry i, j, … of a value whose dimensions are these loops."""
    return tuple((a, 1, 0) for a in axes)


def _moved(t: Term, step: int, offset: int) -> Term:
    axis, s, o = t
    return axis, step * s, step * o + offset


def _broadcast(e: Equation, idx: Terms) -> Terms:
    shape = e.inputs[0].shape
    behind = idx[len(idx) - len(shape) :]
    return tuple(FIRST if n == 1 else t for n, t in zip(shape, behind, strict=True))


def _transpose(e: Equation, idx: Terms) -> Terms:
    found: list[Term] = [FIRST] * len(idx)
    for t, k in zip(idx, e.params["perm"], strict=True):
        found[k] = t
    return tuple(found)


def _reshape(e: Equation, idx: Terms) -> Terms | None:
    """Dimensions of length 1 come and go; None for any other change of shape."""
    shape, out = e.inputs[0].shape, e.params["shape"]
    if [n for n in shape if n != 1] != [n for n in out if n != 1]:
        return None
    rest = iter([t for t, n in zip(idx, out, strict=True) if n != 1])
    return tuple(FIRST if n == 1 else next(rest) for n in shape)


def _index(e: Equation, idx: Terms) -> Terms | None:
    spec, shape = e.params["spec"], e.inputs[0].shape
    if len(e.inputs) > 1:
        return None
    taken = sum(item[0] in ("slice", "int") for item in spec)
    found: list[Term] = []
    rest = iter(idx)
    for item in spec:
        if item[0] == "slice":
            start, _, step = slice(*item[1:]).indices(shape[len(found)])
            found.append(_moved(next(rest), step, start))
        elif item[0] == "int":
            found.append((None, 0, item[1] % shape[len(found)]))
        elif item[0] == "new":
            next(rest)
        else:
            found += [next(rest) for _ in range(len(shape) - taken)]
    return (*found, *rest)


def _flip(e: Equation, idx: Terms) -> Terms:
    axis = e.params["axis"]
    n = e.inputs[0].shape[axis]
    return tuple(_moved(t, -1, n - 1) if k == axis else t for k, t in enumerate(idx))


def _scatter_whole(e: Equation, idx: Terms) -> Terms | None:
    """scatter_add at a key that names every entry once: new axes are dropped, nothing is added."""
    if len(e.inputs) > 1:
        return None
    found: list[Term] = []
    rest, shape, out = iter(idx), e.inputs[0].shape, e.params["shape"]
    if len(shape) != len(out) + sum(item[0] == "new" for item in e.params["spec"]):
        return None  # a value that is repeated, or a dimension that is picked
    for item in e.params["spec"]:
        if item[0] == "new":
            found.append(FIRST)
        elif item[0] == "slice":
            k = sum(t is not FIRST for t in found)
            if slice(*item[1:]).indices(out[k]) != (0, out[k], 1):
                return None
            found.append(next(rest))
        else:
            return None
    found += rest
    return tuple(found) if len(found) == len(shape) else None


VIEWS: dict[str, Callable[[Equation, Terms], Terms | None]] = {
    "broadcast": _broadcast,
    "transpose": _transpose,
    "reshape": _reshape,
    "index": _index,
    "flip": _flip,
    "scatter_add": _scatter_whole,
    "alias": lambda e, idx: idx,
    "detach": lambda e, idx: idx,
}


def through(e: Equation, idx: Terms) -> Terms | None:
    """The entry of the input that is entry `idx` of the output; None where that is no index map."""
    return VIEWS[e.name](e, idx)


_ALWAYS = frozenset({"broadcast", "transpose", "flip", "alias", "detach"})  # index maps, whatever the shapes


def is_view(e: Equation) -> bool:
    """Whether the equation only moves entries, by an index map."""
    if e.name not in VIEWS or e.primitive.kind != "array":  # of another kind: see indexing.py
        return False
    return e.name in _ALWAYS or through(e, identity([Axis(n) for n in e.outs[0].shape])) is not None


def strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Entries between neighbours along each dimension of a C-ordered array."""
    found = [1] * len(shape)
    for k in range(len(shape) - 2, -1, -1):
        found[k] = found[k + 1] * shape[k + 1]
    return tuple(found)


def tile_strides(shape: Sequence[int], samples: int, tile: int) -> tuple[int, ...]:
    """The same in a tile, where the samples (dimension `samples`) lie next to each other."""
    found, size = [1] * len(shape), tile
    for k in reversed(range(len(shape))):
        if k != samples:
            found[k], size = size, size * shape[k]
    return tuple(found)


def by_axis(idx: Terms, places: Sequence[int]) -> tuple[dict[Axis, int], int]:
    """Entries between neighbours along each loop, and the place of the first; `places` are the strides."""
    found: dict[Axis, int] = {}
    offset = 0
    for (axis, step, o), stride in zip(idx, places, strict=True):
        offset += o * stride
        if axis is not None:
            found[axis] = found.get(axis, 0) + step * stride
    return found, offset


def leading(rows: int, columns: int, down: int, across: int) -> tuple[str, int] | None:
    """How BLAS reads a matrix of so many rows and columns: as it is (N) or transposed (T), and its leading dimension.

    `down` and `across` are the entries to the next row and column. None: BLAS cannot read it, since neither rows nor
    columns lie in one piece, or they run backwards or lie over each other.
    """
    if (across == 1 or columns == 1) and (down >= columns or rows == 1):
        return "N", max(down, columns)
    if (down == 1 or rows == 1) and (across >= rows or columns == 1):
        return "T", max(across, rows)
    return None


def repeats(v: Var, shape: Sequence[int]) -> bool:
    """Whether a value of fewer entries stands behind one of this shape."""
    return v.type.size < math.prod(shape)


def reduced(idx: Terms, axes: Sequence[Axis], axis: Sequence[int], keepdims: bool) -> Terms:
    """The entries that a reduction puts into entry `idx`: the loops `axes` in the places of the reduced dimensions."""
    rank = len(idx) if keepdims else len(idx) + len(axis)
    rest: Any = iter(t for k, t in enumerate(idx) if not (keepdims and k in axis))
    inner = iter(identity(axes))
    return tuple(next(inner) if k in axis else next(rest) for k in range(rank))
