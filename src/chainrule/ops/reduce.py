"""Reductions under torch's names: `dim` is a number, several, or None for all; NumPy's `axis`, `keepdims` work too."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from chainrule.dispatch import bind
from chainrule.errors import ArgumentError, IndexingError
from chainrule.ops import elementwise as e
from chainrule.ops.arguments import dims, one_dim, operation, quick_first, shape_of
from chainrule.quick import whole
from chainrule.table.primitive import TABLE
from chainrule.tape.modes import no_grad
from chainrule.tape.promote import get_default_dtype, is_inexact


class ValuesIndices(NamedTuple):
    """Entries and where they were found."""

    values: Any
    indices: Any


def _reduce(name: str, x: Any, dim: Any, keepdim: bool, **params: Any) -> Any:
    return bind(TABLE[name], x, axis=dims(dim, len(shape_of(x))), keepdims=bool(keepdim), **params)


def _numbers(x: Any) -> Any:
    """Truth values and small integers as int64, which sums and products are taken in."""
    dtype = getattr(x, "dtype", None)
    return (
        e.cast(_tensor(x), np.int64)
        if dtype is not None and dtype.kind in "bui" and dtype.itemsize < 8
        else x
    )


def _tensor(x: Any) -> Any:
    from chainrule.ops.creation import as_tensor

    return as_tensor(x)


@quick_first(whole(TABLE["sum"]))
@operation
def sum(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """Sum over the dimensions `dim` (all, if None)."""
    x = _numbers(input) if dtype is None else e.cast(_tensor(input), dtype)
    return _reduce("sum", x, dim, keepdim)


@quick_first(whole(TABLE["mean"]))
@operation
def mean(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """Mean over the dimensions `dim` (all, if None); integers are averaged as the default dtype."""
    return _reduce("mean", input if dtype is None else e.cast(_tensor(input), dtype), dim, keepdim)


@operation
def prod(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """Product along one dimension, or of all entries; its gradient is right with zeros among them."""
    x = _numbers(_tensor(input)) if dtype is None else e.cast(_tensor(input), dtype)
    if dim is None:
        return bind(TABLE["prod"], bind(TABLE["reshape"], x, shape=(x.numel(),)), axis=0, keepdims=False)
    if x.dim() == 0:
        return x
    return bind(TABLE["prod"], x, axis=one_dim(dim, x.dim()), keepdims=bool(keepdim))


def _not_empty(name: str, x: Any, dim: Any) -> None:
    shape = shape_of(x)
    if 0 in [shape[d] for d in dims(dim, len(shape))]:
        fix = f"check the size first; the {name} of nothing has no value"
        error = ArgumentError if dim is None and name in ("max", "min") else IndexingError  # as torch
        raise error(f"{name} of no entries", given=f"shape {list(shape)}", fix=fix)


@operation
def amax(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Largest entry over the dimensions `dim`; k entries that tie share the gradient, 1/k each."""
    _not_empty("amax", input, dim)
    return _reduce("amax", input, dim, keepdim)


@operation
def amin(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Smallest entry over the dimensions `dim`; k entries that tie share the gradient, 1/k each."""
    _not_empty("amin", input, dim)
    return _reduce("amin", input, dim, keepdim)


def _extreme(name: str, place: str, two: Any, input: Any, dim: Any, keepdim: bool, other: Any) -> Any:
    if other is not None or hasattr(dim, "dtype"):
        return two(input, dim if other is None else other)
    if dim is None:
        _not_empty(name, input, None)
        return _reduce(f"a{name}", input, None, False)
    x = _tensor(input)
    if x.dim() == 0:
        return ValuesIndices(
            x,
            bind(
                TABLE["cast"],
                bind(TABLE["zeros"], shape=(), dtype=np.dtype(np.int64)),
                dtype=np.dtype(np.int64),
            ),
        )
    axis = one_dim(dim, x.dim())
    _not_empty(name, x, axis)
    index = bind(TABLE[place], x, axis=axis, keepdims=True)
    return ValuesIndices(
        *(_unkeep(v, axis, keepdim) for v in (bind(TABLE["take_along"], x, index, axis=axis), index))
    )


def _unkeep(x: Any, axis: int, keepdim: bool) -> Any:
    if keepdim:
        return x
    return bind(TABLE["reshape"], x, shape=tuple(n for i, n in enumerate(x.shape) if i != axis))


@operation
def max(input: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """Largest entry (all of `input`), `(values, indices)` along `dim`, or the larger of two tensors.

    Along `dim` the whole gradient goes to the entry that is returned; without, k entries that tie get 1/k each.
    """
    return _extreme("max", "argmax", e.maximum, input, dim, keepdim, other)


@operation
def min(input: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """Smallest entry (all of `input`), `(values, indices)` along `dim`, or the smaller of two tensors."""
    return _extreme("min", "argmin", e.minimum, input, dim, keepdim, other)


def _place(name: str, input: Any, dim: Any, keepdim: bool) -> Any:
    x = _tensor(input)
    _not_empty(name, x, dim)
    if dim is None:
        with no_grad():  # an index has no gradient; so its history leads to x itself
            flat = bind(TABLE["reshape"], x, shape=(x.numel(),))
        return bind(TABLE[name], flat, axis=0, keepdims=False)
    if x.dim() == 0:
        return bind(TABLE[name], bind(TABLE["reshape"], x, shape=(1,)), axis=0, keepdims=False)
    return bind(TABLE[name], x, axis=one_dim(dim, x.dim()), keepdims=bool(keepdim))


@operation
def argmax(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Index of the first largest entry, in the flattened tensor or along `dim`; it has no gradient."""
    return _place("argmax", input, dim, keepdim)


@operation
def argmin(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Index of the first smallest entry, in the flattened tensor or along `dim`; it has no gradient."""
    return _place("argmin", input, dim, keepdim)


def _correction(unbiased: Any, correction: Any, ddof: Any) -> float:
    if ddof is not None:
        return ddof
    if unbiased is not None:
        return 1 if unbiased else 0
    return 1 if correction is None else correction


@operation
def var(
    input: Any,
    dim: Any = None,
    unbiased: Any = None,
    keepdim: bool = False,
    *,
    correction: Any = None,
    ddof: Any = None,
) -> Any:
    """Variance over `dim`: Σ(x - mean)²/(n - correction), correction 1 unless given (NumPy's is 0)."""
    dim, unbiased = _unbiased_first(dim, unbiased)
    return _reduce("var", input, dim, keepdim, correction=_correction(unbiased, correction, ddof))


@operation
def std(
    input: Any,
    dim: Any = None,
    unbiased: Any = None,
    keepdim: bool = False,
    *,
    correction: Any = None,
    ddof: Any = None,
) -> Any:
    """Standard deviation over `dim`, the root of `var`; where all entries are equal its gradient is 0."""
    dim, unbiased = _unbiased_first(dim, unbiased)
    return _reduce("std", input, dim, keepdim, correction=_correction(unbiased, correction, ddof))


def _unbiased_first(dim: Any, unbiased: Any) -> tuple[Any, Any]:
    """torch also reads `var(x, False)` as unbiased=False."""
    return (None, dim) if isinstance(dim, bool) else (dim, unbiased)


@quick_first(whole(TABLE["logsumexp"]))
@operation
def logsumexp(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """ln Σ eˣ over `dim`, without overflow."""
    return _reduce("logsumexp", input, dim, keepdim)


@quick_first(whole(TABLE["norm"]))
@operation
def norm(input: Any, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    """Vector norm (Σ|x|ᵖ)^(1/p) over `dim`; p 2 or "fro" is the Euclidean one, whose gradient at 0 is 0.

    p may also be 1, inf, -inf, 0 (how many entries are not 0) or any other number.
    """
    x = _tensor(input) if dtype is None else e.cast(_tensor(input), dtype)
    if p in ("fro", None) or p == 2:
        return _reduce("norm", x, dim, keepdim)
    if not isinstance(p, int | float):
        raise ArgumentError(
            f"norm has no p={p!r}", fix='use a number, inf or "fro"; matrix norms are in linalg'
        )
    if p == 1:
        return _reduce("sum", e.abs(x), dim, keepdim)
    if p == 0:
        return _reduce(
            "sum", e.cast(e.ne(x, 0), x.dtype if is_inexact(x.dtype) else np.float64), dim, keepdim
        )
    if math.isinf(p):
        return _reduce("amax" if p > 0 else "amin", e.abs(x), dim, keepdim)
    return e.power(_reduce("sum", e.power(e.abs(x), float(p)), dim, keepdim), 1.0 / p)


@operation
def any(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Whether any entry is true (not 0)."""
    return _reduce("any", input, dim, keepdim)


@operation
def all(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Whether all entries are true (not 0)."""
    return _reduce("all", input, dim, keepdim)


@operation
def count_nonzero(input: Any, dim: Any = None) -> Any:
    """How many entries are not 0."""
    return _reduce("sum", e.cast(e.ne(_tensor(input), 0), np.int64), dim, False)


@operation
def cumsum(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """Running sum along `dim`."""
    x = _numbers(_tensor(input)) if dtype is None else e.cast(_tensor(input), dtype)
    return _scan("cumsum", x, dim)


@operation
def cumprod(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """Running product along `dim`; its gradient is right with zeros among the entries."""
    x = _numbers(_tensor(input)) if dtype is None else e.cast(_tensor(input), dtype)
    return _scan("cumprod", x, dim)


def _scan(name: str, x: Any, dim: int) -> Any:
    axis = one_dim(dim, x.dim())
    return x if x.dim() == 0 else bind(TABLE[name], x, axis=axis, reverse=False)


@operation
def softmax(input: Any, dim: int | None = None, dtype: Any = None) -> Any:
    """eˣ/Σeˣ along `dim`, without overflow."""
    x = _tensor(input) if dtype is None else e.cast(_tensor(input), dtype)
    if dim is None:
        raise ArgumentError("softmax needs a dimension", fix="say along which, e.g. dim=-1")
    if not is_inexact(x.dtype):
        x = e.cast(x, get_default_dtype())
    return bind(TABLE["softmax"], x, axis=dims(dim, x.dim()))


@operation
def log_softmax(input: Any, dim: int | None = None, dtype: Any = None) -> Any:
    """x - ln Σ eˣ along `dim`, without overflow."""
    x = _tensor(input) if dtype is None else e.cast(_tensor(input), dtype)
    if dim is None:
        raise ArgumentError("softmax needs a dimension", fix="say along which, e.g. dim=-1")
    return e.minus(x, _reduce("logsumexp", x, dim, True))


__all__ = [
    "all",
    "amax",
    "amin",
    "any",
    "argmax",
    "argmin",
    "count_nonzero",
    "cumprod",
    "cumsum",
    "log_softmax",
    "logsumexp",
    "max",
    "mean",
    "min",
    "norm",
    "prod",
    "softmax",
    "std",
    "sum",
    "var",
]

METHODS = """
    sum mean prod amax amin max min argmax argmin var std logsumexp norm any all count_nonzero cumsum
    cumprod softmax log_softmax
"""  # of Tensor
