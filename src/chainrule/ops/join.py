"""Tensors joined, or combined in every way, under torch's names."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from chainrule.dispatch import bind
from chainrule.errors import ArgumentError, DataError, ShapeError
from chainrule.ops import elementwise as e
from chainrule.ops.arguments import one_dim, operation
from chainrule.ops.array import atleast_1d, atleast_2d, atleast_3d, to_shape
from chainrule.ops.creation import as_tensor, zeros
from chainrule.table.primitive import TABLE


def _tensors(tensors: Any, name: str) -> list[Any]:
    if hasattr(tensors, "dtype") or not isinstance(tensors, tuple | list):
        raise DataError(
            f"{name} takes a list of tensors", given=type(tensors).__name__, fix=f"write {name}([a, b])"
        )
    if not tensors:
        raise ArgumentError(f"{name} of no tensors", fix="pass at least one tensor")
    return [as_tensor(x) for x in tensors]


@operation
def cat(tensors: Any, dim: int = 0) -> Any:
    """Tensors one after the other along `dim`. 0-d tensors have no dimension to join along: use `stack`."""
    xs = _tensors(tensors, "cat")
    if any(x.dim() == 0 for x in xs):
        raise ShapeError(
            "0-d tensors have no dimension to join along",
            given=", ".join(f"shape {list(x.shape)}" for x in xs),
            fix="use stack(…), which makes a new dimension",
        )
    xs = [x for x in xs if x.shape != (0,)] or xs[:1]
    return bind(TABLE["concatenate"], *xs, axis=one_dim(dim, xs[0].dim()))


concat = concatenate = cat


@operation
def stack(tensors: Any, dim: int = 0) -> Any:
    """Tensors of one shape along a new dimension; the gradient reaches each of them."""
    xs = _tensors(tensors, "stack")
    shapes = {x.shape for x in xs}
    if len(shapes) > 1:
        raise ShapeError("stack needs tensors of one shape", given=", ".join(f"{list(x.shape)}" for x in xs),
                         fix="reshape them, or join them with cat")  # fmt: skip
    d = one_dim(dim, xs[0].dim() + 1)
    shape = (*xs[0].shape[:d], 1, *xs[0].shape[d:])
    return bind(TABLE["concatenate"], *(bind(TABLE["reshape"], x, shape=shape) for x in xs), axis=d)


@operation
def hstack(tensors: Any) -> Any:
    """Tensors side by side (along dimension 1; vectors and numbers along 0)."""
    xs = [atleast_1d(x) for x in _tensors(tensors, "hstack")]
    return cat(xs, 0 if xs[0].dim() == 1 else 1)


@operation
def vstack(tensors: Any) -> Any:
    """Tensors below each other; vectors become rows."""
    return cat([atleast_2d(x) for x in _tensors(tensors, "vstack")], 0)


row_stack = vstack


@operation
def dstack(tensors: Any) -> Any:
    """Tensors behind each other, along dimension 2; matrices get one of length 1."""
    return cat([atleast_3d(x) for x in _tensors(tensors, "dstack")], 2)


@operation
def column_stack(tensors: Any) -> Any:
    """Tensors side by side; vectors become columns."""
    xs = [to_shape(x, (x.numel(), 1)) if x.dim() <= 1 else x for x in _tensors(tensors, "column_stack")]
    return cat(xs, 1)


@operation
def block_diag(*tensors: Any) -> Any:
    """Matrices along the diagonal of a larger one, zeros elsewhere; vectors become rows."""
    xs = [as_tensor(x) for x in tensors]
    if not xs:
        return zeros(1, 0)
    if any(x.dim() > 2 for x in xs):
        raise ShapeError("block_diag takes matrices", given=", ".join(f"shape {list(x.shape)}" for x in xs),
                         fix="give tensors with at most two dimensions")  # fmt: skip
    xs = [atleast_2d(x) for x in xs]
    width = sum(x.shape[1] for x in xs)
    rows, left = [], 0
    for x in xs:
        n = x.shape[1]
        rows.append(bind(TABLE["pad"], x, width=((0, 0), (left, width - left - n))))
        left += n
    return bind(TABLE["concatenate"], *rows, axis=0)


@operation
def broadcast_tensors(*tensors: Any) -> Any:
    """All tensors in the shape that they share after broadcasting."""
    xs = [as_tensor(x) for x in tensors]
    shape = broadcast_shapes(*(x.shape for x in xs))
    return tuple(bind(TABLE["broadcast"], x, shape=shape) for x in xs)


@operation
def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape that tensors of these shapes have after broadcasting."""
    try:
        return np.broadcast_shapes(*((s,) if isinstance(s, int) else tuple(s) for s in shapes))
    except ValueError:
        raise ShapeError(
            "the shapes do not broadcast", given=", ".join(f"{list(s)}" for s in shapes),
            fix="make the lengths equal, or 1 where they should repeat (compared from the last dimension)",
        ) from None  # fmt: skip


def _vectors(tensors: tuple[Any, ...], name: str) -> list[Any]:
    """Tensors given one by one or as a list, each a vector (a number counts as one entry)."""
    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], list | tuple) else tensors
    xs = _tensors(list(given), name)
    if any(x.dim() > 1 for x in xs):
        raise ShapeError(f"{name} takes vectors", given=", ".join(f"shape {list(x.shape)}" for x in xs),
                         fix="flatten them first, e.g. x.ravel()")  # fmt: skip
    return [atleast_1d(x) for x in xs]


@operation
def meshgrid(*tensors: Any, indexing: str = "ij") -> Any:
    """The coordinates of a grid: one tensor per vector, all of the shape of the grid, views.

    With ``indexing="ij"`` (torch's default) dimension k runs along vector k; ``"xy"`` (NumPy's) exchanges the first
    two.
    """
    if indexing not in ("ij", "xy"):
        raise ArgumentError(f"indexing is {indexing!r}", fix='use indexing="ij" or indexing="xy"')
    xs = _vectors(tensors, "meshgrid")
    order = list(range(len(xs)))
    if indexing == "xy" and len(xs) > 1:
        order[:2] = [1, 0]
    shape = tuple(xs[k].numel() for k in order)
    grids = []
    for k, x in enumerate(xs):
        place = order.index(k)
        column = to_shape(x, (*(1,) * place, x.numel(), *(1,) * (len(xs) - place - 1)))
        grids.append(bind(TABLE["broadcast"], column, shape=shape))
    return tuple(grids)


@operation
def cartesian_prod(*tensors: Any) -> Any:
    """Every combination of one entry of each vector, as rows; of one vector itself."""
    xs = _vectors(tensors, "cartesian_prod")
    return xs[0] if len(xs) == 1 else stack([g.ravel() for g in meshgrid(*xs)], -1)


@operation
def combinations(input: Any, r: int = 2, with_replacement: bool = False) -> Any:
    """Every choice of `r` entries of a vector, in order, as rows."""
    x = as_tensor(input)
    if x.dim() != 1:
        raise ShapeError("combinations of a vector", given=f"shape {list(x.shape)}", fix="pass x.ravel()")
    if r < 0:
        raise ArgumentError(f"choices of {r} entries", fix="choose r >= 0")
    if r == 0:
        return x[:0]
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = np.array(list(choose(range(x.numel()), r)), np.intp).reshape(-1, r)
    return bind(TABLE["index"], x, rows, spec=(("array", 0),))


@operation
def kron(input: Any, other: Any) -> Any:
    """Kronecker product: each entry of `input` times the whole of `other`, as blocks."""
    x, y = as_tensor(input), as_tensor(other)
    n = max(x.dim(), y.dim())
    a, b = ((1,) * (n - v.dim()) + tuple(v.shape) for v in (x, y))
    blocks = e.times(
        to_shape(x, tuple(k for m in a for k in (m, 1))), to_shape(y, tuple(k for m in b for k in (1, m)))
    )
    return to_shape(blocks, tuple(math.prod(pair) for pair in zip(a, b, strict=True)))


__all__ = [
    "block_diag",
    "broadcast_shapes",
    "broadcast_tensors",
    "cartesian_prod",
    "cat",
    "column_stack",
    "combinations",
    "concat",
    "concatenate",
    "dstack",
    "hstack",
    "kron",
    "meshgrid",
    "row_stack",
    "stack",
    "vstack",
]

METHODS = "kron"  # of Tensor
