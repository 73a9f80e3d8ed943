"""Diagonals and triangles of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.dispatch import bind
from chainrule.errors import ShapeError
from chainrule.ops import elementwise as e
from chainrule.ops.arguments import one_dim, operation
from chainrule.ops.creation import as_tensor, make_leaf
from chainrule.ops.reduce import sum as sum_
from chainrule.table.primitive import TABLE


@operation
def diagonal(input: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """The entries [i, i + offset] along two dimensions, as the last dimension: a view."""
    x = as_tensor(input)
    axes = one_dim(dim1, x.dim(), "dim1"), one_dim(dim2, x.dim(), "dim2")
    return bind(TABLE["diagonal"], x, offset=offset, axes=axes)


@operation
def diag_embed(input: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """Matrices with the last dimension of `input` on a diagonal, zeros elsewhere."""
    x = as_tensor(input)
    if not x.dim():
        raise ShapeError("diag_embed of a number", given="shape []", fix="make it a vector: x.reshape(1)")
    axes = one_dim(dim1, x.dim() + 1, "dim1"), one_dim(dim2, x.dim() + 1, "dim2")
    shape = [int(n) for n in x.shape[:-1]]
    for d in sorted(axes):
        shape.insert(d, x.shape[-1] + abs(offset))
    return bind(TABLE["on_diagonal"], x, offset=offset, axes=axes, shape=tuple(shape))


@operation
def diag(input: Any, diagonal: int = 0) -> Any:
    """Of a vector the matrix with it on a diagonal; of a matrix a diagonal, as a copy (a view: `diagonal`)."""
    x = as_tensor(input)
    if x.dim() == 1:
        return diag_embed(x, diagonal)
    if x.dim() != 2:
        raise ShapeError("diag takes a vector or a matrix", given=f"shape {list(x.shape)}",
                         fix="use diagonal(x, dim1=-2, dim2=-1) or diag_embed(x) for batches")  # fmt: skip
    return bind(TABLE["diagonal"], x, offset=diagonal, axes=(0, 1)).clone()


@operation
def diagflat(input: Any, offset: int = 0) -> Any:
    """The matrix with all entries of `input` on a diagonal."""
    return diag_embed(as_tensor(input).reshape(-1), offset)


@operation
def trace(input: Any) -> Any:
    """Sum of the diagonal of a matrix."""
    x = as_tensor(input)
    if x.dim() != 2:
        raise ShapeError("trace takes a matrix", given=f"shape {list(x.shape)}",
                         fix="use x.diagonal(dim1=-2, dim2=-1).sum(-1) for batches")  # fmt: skip
    return sum_(bind(TABLE["diagonal"], x, offset=0, axes=(0, 1)))


def _triangle(input: Any, diagonal: int, name: str) -> Any:
    x = as_tensor(input)
    if x.dim() < 2:
        raise ShapeError(f"{name} takes matrices", given=f"shape {list(x.shape)}",
                         fix="give it at least two dimensions")  # fmt: skip
    return x, np.tri(*x.shape[-2:], k=diagonal, dtype=bool)


@operation
def tril(input: Any, diagonal: int = 0) -> Any:
    """The lower triangle of a matrix, zeros above; entries above get no gradient."""
    x, lower = _triangle(input, diagonal, "tril")
    return e.where(lower, x, 0)


@operation
def triu(input: Any, diagonal: int = 0) -> Any:
    """The upper triangle of a matrix, zeros below; entries below get no gradient."""
    x, lower = _triangle(input, diagonal - 1, "triu")
    return e.where(~lower, x, 0)


@operation
def tril_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None) -> Any:
    """Rows and columns of the lower triangle of a (row, col) matrix, as a (2, n) tensor."""
    places = np.stack(np.nonzero(np.tri(row, col, k=offset, dtype=bool)))
    return make_leaf(places.astype(np.int64 if dtype is None else dtype))


@operation
def triu_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None) -> Any:
    """Rows and columns of the upper triangle of a (row, col) matrix, as a (2, n) tensor."""
    places = np.stack(np.nonzero(~np.tri(row, col, k=offset - 1, dtype=bool)))
    return make_leaf(places.astype(np.int64 if dtype is None else dtype))


__all__ = [
    "diag",
    "diag_embed",
    "diagflat",
    "diagonal",
    "trace",
    "tril",
    "tril_indices",
    "triu",
    "triu_indices",
]

METHODS = """
    diag diag_embed diagflat diagonal trace tril triu
"""  # of Tensor
