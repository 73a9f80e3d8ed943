"""Parts of tensors along a dimension: all of them are views."""

from __future__ import annotations

import itertools
import operator
from typing import Any

import numpy as np

from chainrule.dispatch import Handle, bind
from chainrule.errors import ArgumentError, IndexingError, ShapeError
from chainrule.ops.arguments import lengths, one_dim, operation
from chainrule.ops.creation import as_tensor
from chainrule.table.primitive import TABLE

WHOLE = ("slice", None, None, None)


def along(dim: int, item: tuple[Any, ...]) -> tuple[tuple[Any, ...], ...]:
    """The key that applies `item` to one dimension."""
    return (*(WHOLE,) * dim, item)


def _has_dims(x: Any, name: str, least: int = 1) -> None:
    if x.dim() < least:
        raise ShapeError(
            f"{name} needs a tensor with at least {least} dimension{'s'[: least > 1]}",
            given=f"shape {list(x.shape)}", fix="give it more dimensions, e.g. x.reshape(1, -1)",
        )  # fmt: skip


def _part(x: Any, dim: int, start: int, stop: int) -> Any:
    return bind(TABLE["index"], x, spec=along(dim, ("slice", start, stop, 1)))


@operation
def split(input: Any, split_size_or_sections: Any, dim: int = 0) -> Any:
    """Pieces of the length that is given (the last may be shorter), or of the lengths in a list."""
    x = as_tensor(input)
    d = one_dim(dim, x.dim())
    _has_dims(x, "split")
    n = x.shape[d]
    if hasattr(split_size_or_sections, "__index__"):
        size = operator.index(split_size_or_sections)
        if size < 0 or (size == 0 and n):
            raise ArgumentError(f"pieces of length {size}", fix="use a length of 1 or more")
        sizes = [min(size, n - i) for i in range(0, n, size)] if n else [0]
    else:
        sizes = list(lengths((split_size_or_sections,), "list of lengths"))
    if sum(sizes) != n or any(k < 0 for k in sizes):
        raise ShapeError(f"pieces {sizes} do not add up to {n}", given=f"shape {list(x.shape)}, dim {d}",
                         fix="choose lengths whose sum is the length of that dimension")  # fmt: skip
    edges = itertools.pairwise(np.cumsum([0, *sizes]).tolist())
    return tuple(_part(x, d, a, b) for a, b in edges)


@operation
def chunk(input: Any, chunks: int, dim: int = 0) -> Any:
    """At most `chunks` pieces of equal length, the last one shorter if need be."""
    x = as_tensor(input)
    d = one_dim(dim, x.dim())
    _has_dims(x, "chunk")
    n = x.shape[d]
    if chunks <= 0:
        raise ArgumentError(f"{chunks} pieces", fix="ask for 1 piece or more")
    return split(x, max(-(-n // chunks), 1), dim) if n else (split(x, 1, dim)[0],) * chunks


@operation
def tensor_split(input: Any, indices_or_sections: Any, dim: int = 0) -> Any:
    """Pieces between the places that are given, or that many pieces, the first ones longer by one if need be."""
    x = as_tensor(input)
    d = one_dim(dim, x.dim())
    _has_dims(x, "tensor_split")
    n, given = x.shape[d], indices_or_sections
    if isinstance(given, Handle):
        given = given.tolist()
    if hasattr(given, "__index__"):
        count = operator.index(given)
        if count < 1:
            raise ArgumentError(f"{count} pieces", fix="ask for 1 piece or more")
        places = [k * (n // count) + min(k, n % count) for k in range(count + 1)]
    else:
        inner = [slice(i).indices(n)[1] for i in lengths((given,), "list of places")]
        places = [0, *inner, n]
    return tuple(_part(x, d, a, max(b, a)) for a, b in itertools.pairwise(places))


def _equal_parts(input: Any, given: Any, d: int, name: str) -> Any:
    x = as_tensor(input)
    if hasattr(given, "__index__") and (given < 1 or x.shape[d] % given):
        raise ShapeError(
            f"{x.shape[d]} entries do not split into {given} equal parts", given=f"shape {list(x.shape)}, dim {d}",
            fix="choose a divisor, or use tensor_split, whose parts may differ by one",
        )  # fmt: skip
    return tensor_split(x, given, d)


@operation
def hsplit(input: Any, indices_or_sections: Any) -> Any:
    """Equal pieces side by side (of a vector along dimension 0), or the pieces between places."""
    x = as_tensor(input)
    _has_dims(x, "hsplit")
    return _equal_parts(x, indices_or_sections, 0 if x.dim() == 1 else 1, "hsplit")


@operation
def vsplit(input: Any, indices_or_sections: Any) -> Any:
    """Equal pieces below each other, or the pieces between places."""
    x = as_tensor(input)
    _has_dims(x, "vsplit", 2)
    return _equal_parts(x, indices_or_sections, 0, "vsplit")


@operation
def dsplit(input: Any, indices_or_sections: Any) -> Any:
    """Equal pieces behind each other, along dimension 2, or the pieces between places."""
    x = as_tensor(input)
    _has_dims(x, "dsplit", 3)
    return _equal_parts(x, indices_or_sections, 2, "dsplit")


@operation
def narrow(input: Any, dim: int, start: Any, length: int) -> Any:
    """`length` entries from `start` on along `dim`; a negative start counts from the end."""
    x = as_tensor(input)
    d = one_dim(dim, x.dim())
    _has_dims(x, "narrow")
    n, first = x.shape[d], operator.index(start)
    first += n if first < 0 else 0
    if not 0 <= first <= first + length <= n:
        raise ShapeError(
            f"{length} entries from {start} on exceed the length {n}", given=f"shape {list(x.shape)}, dim {d}",
            fix="choose start and length inside the dimension",
        )  # fmt: skip
    return _part(x, d, first, first + length)


@operation
def select(input: Any, dim: int, index: int) -> Any:
    """The slice at `index` along `dim`, without that dimension."""
    x = as_tensor(input)
    d = one_dim(dim, x.dim())
    _has_dims(x, "select")
    return bind(TABLE["index"], x, spec=along(d, ("int", place(x, d, index))))


def place(x: Any, dim: int, index: Any) -> int:
    """An index along one dimension, checked."""
    i = operator.index(index)
    n = x.shape[dim]
    if not -n <= i < n:
        raise IndexingError(
            f"index {i} is out of range for dimension {dim} of length {n}", given=f"shape {list(x.shape)}",
            fix=f"use {-n}..{n - 1}" if n else "the dimension has no entries",
        )  # fmt: skip
    return i


@operation
def unbind(input: Any, dim: int = 0) -> Any:
    """The slices along `dim`, without it, as a tuple."""
    x = as_tensor(input)
    d = one_dim(dim, x.dim())
    _has_dims(x, "unbind")
    return tuple(bind(TABLE["index"], x, spec=along(d, ("int", i))) for i in range(x.shape[d]))


@operation
def unfold(input: Any, dimension: int, size: int, step: int = 1) -> Any:
    """Windows of `size` entries along a dimension, `step` apart, each as a new last dimension: a view.

    An entry that several windows see gets the sum of their gradients. Overlapping windows can't be written to.
    """
    x = as_tensor(input)
    if x.dim() == 0:
        return unfold(x.reshape(1), dimension, size, step)[0]
    return bind(TABLE["windows"], x, axis=one_dim(dimension, x.dim(), "dimension"), size=size, step=step)


__all__ = [
    "chunk",
    "dsplit",
    "hsplit",
    "narrow",
    "select",
    "split",
    "tensor_split",
    "unbind",
    "vsplit",
]

METHODS = """
    split chunk tensor_split hsplit vsplit dsplit narrow select unbind unfold
"""  # of Tensor
