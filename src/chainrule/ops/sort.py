"""Sorting, and what rests on it: places are whole numbers without gradient, entries are gathered from them."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.dispatch import bind
from chainrule.errors import ArgumentError, IndexingError
from chainrule.ops import array, return_types
from chainrule.ops import elementwise as e
from chainrule.ops.arguments import one_dim, operation
from chainrule.ops.creation import as_tensor, make_leaf
from chainrule.ops.index import index_select
from chainrule.ops.reduce import found_along
from chainrule.table.primitive import TABLE


@operation
def argsort(input: Any, dim: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """Indices that sort `input` along `dim`; equal entries keep their order. It has no gradient."""
    return found_along("sort", "argsort", input, dim, descending=bool(descending)).indices


@operation
def sort(input: Any, dim: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """`(values, indices)` sorted along `dim`; the gradient follows each entry to its place.

    Equal entries keep their order, NaN counts as the largest number.
    """
    return found_along("sort", "argsort", input, dim, descending=bool(descending))


@operation
def msort(input: Any) -> Any:
    """Values sorted along the first dimension."""
    return found_along("sort", "argsort", input, 0, descending=False).values


def _check_k(name: str, k: Any, n: int, least: int) -> int:
    if not least <= k <= n:
        fix = f"use k={least}..{n}"
        raise IndexingError(f"k is out of range: {name} chooses from {n} entries", given=f"k={k}", fix=fix)
    return int(k)


@operation
def topk(input: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """The `k` largest (or smallest) entries along `dim`, in order, as `(values, indices)`.

    Of equal entries the first are taken; the whole gradient goes to the entries that are returned.
    """
    x = as_tensor(input)
    k = _check_k("topk", k, x.shape[one_dim(dim, x.dim())] if x.dim() else 1, 0)
    if not x.dim():
        return _of_number("topk", x, k)
    return found_along("topk", "argtopk", x, dim, k=k, largest=bool(largest))


def _of_number(name: str, x: Any, k: int) -> Any:
    found = found_along(name, "argsort", x, 0, descending=False)
    return found if k else getattr(return_types, name)(*(array.reshape(v, 1)[:0] for v in found))


@operation
def kthvalue(input: Any, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """The `k`-th smallest entry along `dim` (from 1), as `(values, indices)`; it gets the whole gradient."""
    x = as_tensor(input)
    k = _check_k("kthvalue", k, x.shape[one_dim(dim, x.dim())] if x.dim() else 1, 1)
    return found_along("kthvalue", "argkth", x, dim, keepdim, k=k)


@operation
def mode(input: Any, dim: int = -1, keepdim: bool = False) -> Any:
    """The most frequent entry along `dim` (the smallest of such), as `(values, indices)` of its last occurrence."""
    x = as_tensor(input)
    if x.dim() and not x.shape[one_dim(dim, x.dim())]:
        fix = "check the size first"
        raise IndexingError("mode of no entries", given=f"shape {list(x.shape)}", fix=fix)
    return found_along("mode", "argmode", x, dim, keepdim)


# --- places in sorted lines -------------------------------------------------------------------------


@operation
def searchsorted(
    sorted_sequence: Any,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Any = None,
) -> Any:
    """How many entries of each sorted line are smaller than each value (`right`: or equal). No gradient."""
    if side not in (None, "left", "right") or (right and side == "left"):
        fix = 'use right=True or side="right", which mean the same'
        raise ArgumentError(
            "side and right say different things", given=f"right={right}, side={side!r}", fix=fix
        )
    lines, x = as_tensor(sorted_sequence), as_tensor(input)
    if sorter is not None:
        lines = bind(TABLE["take_along"], lines, as_tensor(sorter), axis=lines.dim() - 1)
    found = bind(TABLE["searchsorted"], lines, x, right=bool(right) or side == "right")
    return e.cast(found, np.int32) if out_int32 else found


@operation
def bucketize(input: Any, boundaries: Any, *, out_int32: bool = False, right: bool = False) -> Any:
    """The bucket that each value falls into: how many of the sorted `boundaries` are smaller. No gradient."""
    found = bind(TABLE["searchsorted"], as_tensor(boundaries), as_tensor(input), right=bool(right))
    return e.cast(found, np.int32) if out_int32 else found


@operation
def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Any:
    """Whether each entry of `elements` is among `test_elements`; `invert`: whether it is not."""
    found = bind(TABLE["isin"], as_tensor(elements), as_tensor(test_elements))
    return e.logical_not(found) if invert else found


# --- different entries ------------------------------------------------------------------------------


@operation
def unique(
    input: Any,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The different entries (or slices along `dim`), sorted; the gradient goes to the first occurrence of each.

    `return_inverse` adds for each entry its place in the result, `return_counts` how often each occurs.
    """
    x, axis = _flat_unless(input, dim)
    v = np.asarray(x.v)
    _, first, inverse, counts = np.unique(
        v, return_index=True, return_inverse=True, return_counts=True, axis=axis, equal_nan=False
    )
    inverse = inverse.reshape(as_tensor(input).shape if dim is None else -1)
    return _with_extras(x, axis, first, inverse, counts, return_inverse, return_counts)


@operation
def unique_consecutive(
    input: Any, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The entries (or slices along `dim`) that differ from the one before; else as `unique`."""
    x, axis = _flat_unless(input, dim)
    v = np.moveaxis(np.asarray(x.v), axis, 0)
    new = np.ones(len(v), bool)
    new[1:] = (v[1:] != v[:-1]).any(tuple(range(1, v.ndim)))
    first = np.flatnonzero(new)
    inverse = (np.cumsum(new) - 1).reshape(as_tensor(input).shape if dim is None else -1)
    counts = np.diff(np.append(first, len(v)))
    return _with_extras(x, axis, first, inverse, counts, return_inverse, return_counts)


def _flat_unless(input: Any, dim: int | None) -> tuple[Any, int]:
    x = as_tensor(input)
    return (array.reshape(x, -1), 0) if dim is None else (x, one_dim(dim, x.dim()))


def _with_extras(x: Any, axis: int, first: Any, inverse: Any, counts: Any, *wanted: bool) -> Any:
    values = index_select(x, axis, first)
    extras = [make_leaf(a) for a, w in zip((inverse, counts), wanted, strict=True) if w]
    return (values, *extras) if extras else values


__all__ = [
    "argsort",
    "bucketize",
    "isin",
    "kthvalue",
    "mode",
    "msort",
    "searchsorted",
    "sort",
    "topk",
    "unique",
    "unique_consecutive",
]

METHODS = """
    argsort sort msort topk kthvalue mode unique unique_consecutive
"""  # of Tensor
