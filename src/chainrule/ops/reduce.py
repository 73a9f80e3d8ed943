"""Reductions under torch's names: `dim` is a number, several, or None for all; NumPy's `axis`, `keepdims` work too."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.dispatch import bind, operands
from chainrule.errors import ArgumentError, DtypeError, IndexingError
from chainrule.ops import elementwise as e
from chainrule.ops import return_types
from chainrule.ops.arguments import dims, one_dim, operation, quick_first, shape_of
from chainrule.ops.creation import as_tensor
from chainrule.quick import reduction
from chainrule.table.primitive import TABLE
from chainrule.tape.modes import no_grad
from chainrule.tape.promote import is_inexact


def reduced(name: str, x: Any, dim: Any, keepdim: bool, **params: Any) -> Any:
    """The reduction `name` of the table over `dim`."""
    return bind(TABLE[name], x, axis=dims(dim, len(shape_of(x))), keepdims=bool(keepdim), **params)


def _operand(x: Any) -> Any:
    """A tensor of an array or a number; a list is refused, as in torch."""
    if isinstance(x, list | tuple):
        operands((x,))
    return as_tensor(x)


def numbers(x: Any, dtype: Any = None) -> Any:
    """A tensor in `dtype`; None: truth values and small integers as int64, which sums and products are taken in."""
    x = _operand(x)
    if dtype is not None:
        return e.cast(x, dtype)
    return e.cast(x, np.int64) if x.dtype.kind in "bui" and x.dtype.itemsize < 8 else x


def inexact(name: str, x: Any, dtype: Any = None) -> Any:
    """A tensor (in `dtype`) of floating point or complex numbers; others are refused, as in torch."""
    x = _operand(x) if dtype is None else e.cast(_operand(x), dtype)
    if not is_inexact(x.dtype):
        fix = f"convert it first, e.g. x.double().{name}(), or give dtype= where the function takes it"
        raise DtypeError(f"{name} needs floating point numbers", given=f"a tensor of {x.dtype}", fix=fix)
    return x


@quick_first(reduction(TABLE["sum"]))
@operation
def sum(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """Sum over the dimensions `dim` (all, if None)."""
    return reduced("sum", numbers(input, dtype), dim, keepdim)


@quick_first(reduction(TABLE["mean"]))
@operation
def mean(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """Mean over the dimensions `dim` (all, if None); of whole numbers with `dtype`, as in torch."""
    return reduced("mean", inexact("mean", input, dtype), dim, keepdim)


@operation
def nansum(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """Sum of the entries that are numbers: a NaN counts as 0, and no gradient reaches it."""
    x = numbers(input, dtype)
    if is_inexact(x.dtype):
        x = e.where(e.isnan(x), 0.0, x)
    return reduced("sum", x, dim, keepdim)


@operation
def nanmean(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """Mean of the entries that are numbers; no gradient reaches a NaN. NaN where no entry is a number."""
    x = inexact("nanmean", input, dtype)
    missing = e.isnan(x)
    total = reduced("sum", e.where(missing, 0.0, x), dim, keepdim)
    return e.true_divide(total, reduced("sum", e.cast(e.logical_not(missing), x.dtype), dim, keepdim))


@quick_first(reduction(TABLE["prod"], one_axis=True))
@operation
def prod(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """Product along one dimension, or of all entries; its gradient is right with zeros among them."""
    x = numbers(input, dtype)
    if dim is None:
        x = x if x.dim() == 1 else bind(TABLE["reshape"], x, shape=(x.numel(),))
        return bind(TABLE["prod"], x, axis=0, keepdims=False)
    if x.dim() == 0:
        return x
    return bind(TABLE["prod"], x, axis=one_dim(dim, x.dim()), keepdims=bool(keepdim))


def _not_empty(name: str, x: Any, dim: Any) -> None:
    shape = shape_of(x)
    if 0 in [shape[d] for d in dims(dim, len(shape))]:
        fix = f"check the size first; the {name} of nothing has no value"
        error = ArgumentError if dim is None and name in ("max", "min") else IndexingError  # as torch
        raise error(f"{name} of no entries", given=f"shape {list(shape)}", fix=fix)


@quick_first(reduction(TABLE["amax"]))
@operation
def amax(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Largest entry over the dimensions `dim`; k entries that tie share the gradient, 1/k each."""
    _not_empty("amax", input, dim)
    return reduced("amax", input, dim, keepdim)


@quick_first(reduction(TABLE["amin"]))
@operation
def amin(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Smallest entry over the dimensions `dim`; k entries that tie share the gradient, 1/k each."""
    _not_empty("amin", input, dim)
    return reduced("amin", input, dim, keepdim)


@operation
def aminmax(input: Any, *, dim: Any = None, keepdim: bool = False) -> Any:
    """`(min, max)` of all entries or along `dim`; entries that tie share the gradient, as in amin and amax."""
    x = as_tensor(input)
    _not_empty("aminmax", x, dim)
    return return_types.aminmax(*(reduced(name, x, dim, keepdim) for name in ("amin", "amax")))


def found_along(name: str, place: str, input: Any, dim: Any, keepdim: bool = True, **params: Any) -> Any:
    """`(values, indices)` of the entries that the table's `place` finds along `dim`: a gather.

    Its derivative is that of the gather: the whole cotangent goes to the entry that is returned.
    """
    x = as_tensor(input)
    axis = one_dim(dim, x.dim())
    line = x if x.dim() else bind(TABLE["reshape"], x, shape=(1,))
    index = bind(TABLE[place], line, axis=axis, **params)
    parts = bind(TABLE["take_along"], line, index, axis=axis), index
    if not x.dim():
        parts = (_in_shape(v, () if v.shape == (1,) else v.shape) for v in parts)
    elif not keepdim:
        shape = tuple(n for i, n in enumerate(x.shape) if i != axis)
        parts = (_in_shape(v, shape) for v in parts)
    return getattr(return_types, name)(*parts)


def _in_shape(x: Any, shape: tuple[int, ...]) -> Any:
    return x if x.shape == shape else bind(TABLE["reshape"], x, shape=shape)


def _extreme(name: str, two: Any, input: Any, dim: Any, keepdim: bool, other: Any) -> Any:
    if other is not None or hasattr(dim, "dtype"):
        return two(input, dim if other is None else other)
    _not_empty(name, input, dim)
    if dim is None:
        return reduced(f"a{name}", input, None, False)
    return found_along(name, f"arg{name}", input, dim, keepdim, keepdims=True)


@operation
def max(input: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """Largest entry (all of `input`), `(values, indices)` along `dim`, or the larger of two tensors.

    Along `dim` the whole gradient goes to the entry that is returned; without, k entries that tie get 1/k each.
    """
    return _extreme("max", e.maximum, input, dim, keepdim, other)


@operation
def min(input: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """Smallest entry (all of `input`), `(values, indices)` along `dim`, or the smaller of two tensors."""
    return _extreme("min", e.minimum, input, dim, keepdim, other)


def _place(name: str, input: Any, dim: Any, keepdim: bool) -> Any:
    x = as_tensor(input)
    _not_empty(name, x, dim)
    if dim is None or x.dim() == 0:
        if dim is not None:
            one_dim(dim, 0)
        with no_grad():  # an index has no gradient; so its history leads to x itself
            flat = bind(TABLE["reshape"], x, shape=(x.numel(),))
        index = bind(TABLE[name], flat, axis=0, keepdims=False)
        return _in_shape(index, (1,) * x.dim() if keepdim else ())
    return bind(TABLE[name], x, axis=one_dim(dim, x.dim()), keepdims=bool(keepdim))


@operation
def argmax(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Index of the first largest entry, in the flattened tensor or along `dim`; it has no gradient."""
    return _place("argmax", input, dim, keepdim)


@operation
def argmin(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Index of the first smallest entry, in the flattened tensor or along `dim`; it has no gradient."""
    return _place("argmin", input, dim, keepdim)


@operation
def any(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Whether any entry is true (not 0)."""
    return reduced("any", input, dim, keepdim)


@operation
def all(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Whether all entries are true (not 0)."""
    return reduced("all", input, dim, keepdim)


@operation
def count_nonzero(input: Any, dim: Any = None) -> Any:
    """How many entries are not 0, in all or over `dim`."""
    return reduced("sum", e.cast(e.ne(as_tensor(input), 0), np.int64), dim, False)


__all__ = [
    "all",
    "amax",
    "amin",
    "aminmax",
    "any",
    "argmax",
    "argmin",
    "count_nonzero",
    "max",
    "mean",
    "min",
    "nanmean",
    "nansum",
    "prod",
    "sum",
]

METHODS = """
    sum mean prod amax amin aminmax max min argmax argmin any all count_nonzero nansum nanmean
"""  # of Tensor
