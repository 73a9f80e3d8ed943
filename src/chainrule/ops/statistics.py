"""Statistics: variance and deviation, medians, quantiles, counts in bins."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.dispatch import Handle, bind
from chainrule.errors import ArgumentError, IndexingError
from chainrule.ops import array, split
from chainrule.ops import elementwise as e
from chainrule.ops.arguments import one_dim, operation
from chainrule.ops.creation import as_tensor, make_leaf
from chainrule.ops.reduce import found_along, inexact, reduced
from chainrule.table.primitive import TABLE


def _correction(unbiased: Any, correction: Any, ddof: Any) -> float:
    if ddof is not None:
        return ddof
    if unbiased is not None:
        return 1 if unbiased else 0
    return 1 if correction is None else correction


def _spread(
    name: str, input: Any, dim: Any, unbiased: Any, keepdim: bool, correction: Any, ddof: Any = None
) -> Any:
    """`var` or `std`; torch also reads `var(x, False)` as unbiased=False."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    x = inexact(name, input)
    return reduced(name, x, dim, keepdim, correction=_correction(unbiased, correction, ddof))


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
    return _spread("var", input, dim, unbiased, keepdim, correction, ddof)


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
    return _spread("std", input, dim, unbiased, keepdim, correction, ddof)


def _with_mean(name: str, input: Any, dim: Any, unbiased: Any, keepdim: bool, correction: Any) -> Any:
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    x = inexact(name, input)
    mean = reduced("mean", x, dim, keepdim)
    return _spread(name.removesuffix("_mean"), x, dim, unbiased, keepdim, correction), mean


@operation
def var_mean(
    input: Any, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None
) -> Any:
    """`(var, mean)` over `dim`, as `var` and `mean` give them."""
    return _with_mean("var_mean", input, dim, unbiased, keepdim, correction)


@operation
def std_mean(
    input: Any, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None
) -> Any:
    """`(std, mean)` over `dim`, as `std` and `mean` give them."""
    return _with_mean("std_mean", input, dim, unbiased, keepdim, correction)


# --- medians and quantiles ------------------------------------------------------------------------


def _median(name: str, input: Any, dim: Any, keepdim: bool) -> Any:
    x = as_tensor(input)
    if dim is None:
        return reduced(name, x, None, False)
    if 0 in x.shape and not x.shape[one_dim(dim, x.dim())]:
        fix = "check the size first; the median of nothing has no place"
        raise IndexingError("median of no entries", given=f"shape {list(x.shape)}", fix=fix)
    return found_along(name, "argmedian", x, dim, keepdim, skip_nan=name == "nanmedian")


@operation
def median(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Median of all entries, or `(values, indices)` along `dim`; of two middle entries the lower one.

    Along `dim` the whole gradient goes to the entry that is returned; without, k equal entries get 1/k each.
    NaN if an entry is NaN: `nanmedian` leaves these out.
    """
    return _median("median", input, dim, keepdim)


@operation
def nanmedian(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Median of the entries that are numbers, or `(values, indices)` along `dim`; else as `median`."""
    return _median("nanmedian", input, dim, keepdim)


_BETWEEN = ("linear", "lower", "higher", "midpoint", "nearest")


def _fractions(q: Any, x: Any) -> Any:
    """The wanted fractions as a tensor of the dtype of `x`, each between 0 and 1."""
    q = e.cast(as_tensor(q), x.dtype)
    if q.dim() > 1:
        raise ArgumentError(
            "q has more than one dimension", given=f"shape {list(q.shape)}", fix="flatten it first"
        )
    v = np.asarray(q.v)
    if not ((v >= 0) & (v <= 1)).all():
        raise ArgumentError(
            "a quantile is a fraction between 0 and 1", given=f"q={v}", fix="0.5 is the median"
        )
    return q


def _quantile(
    name: str, input: Any, q: Any, dim: Any, keepdim: bool, interpolation: str, skip_nan: bool
) -> Any:
    x = inexact(name, input)
    if interpolation not in _BETWEEN:
        raise ArgumentError(
            f"{name} has no interpolation={interpolation!r}", fix=f"use one of {', '.join(_BETWEEN)}"
        )
    q = _fractions(q, x)
    axis = 0 if dim is None else one_dim(dim, x.dim())
    lines = array.reshape(x, -1) if dim is None or not x.dim() else array.movedim(x, axis, -1)
    n = lines.shape[-1]
    if not n:
        raise IndexingError(
            f"{name} of no entries", given=f"shape {list(x.shape)}", fix="check the size first"
        )
    ordered = _ordered(lines)
    rank = e.times(array.reshape(q, -1), _last_rank(ordered, n, skip_nan))
    found = _between(ordered, rank, interpolation, skip_nan)
    out = array.movedim(found, -1, 0) if q.dim() else array.squeeze(found, -1)
    if not keepdim:
        return out
    kept = (1,) * x.dim() if dim is None else tuple(1 if k == axis else n for k, n in enumerate(x.shape))
    return array.reshape(out, *q.shape, *kept)


def _ordered(lines: Any) -> Any:
    """Each line in ascending order, NaN last."""
    axis = lines.dim() - 1
    return bind(
        TABLE["take_along"], lines, bind(TABLE["argsort"], lines, axis=axis, descending=False), axis=axis
    )


def _last_rank(ordered: Any, n: int, skip_nan: bool) -> Any:
    """Rank of the largest entry that counts."""
    if not skip_nan:
        return n - 1
    count = reduced("sum", e.cast(e.eq(ordered, ordered), ordered.dtype), -1, True)
    return e.clamp(e.minus(count, 1.0), min=0.0)


def _between(ordered: Any, rank: Any, interpolation: str, skip_nan: bool) -> Any:
    """Entries at the ranks (…, m), which may be fractions."""
    n, axis = ordered.shape[-1], ordered.dim() - 1
    shape = (*ordered.shape[:-1], rank.shape[-1])
    rank = array.broadcast_to(rank, shape)
    if not skip_nan:  # a NaN comes last, and is the answer
        last = split.narrow(ordered, -1, n - 1, 1)
        rank = e.where(array.broadcast_to(e.isnan(last), shape), float(n - 1), rank)

    def at(place: Any) -> Any:
        return bind(TABLE["take_along"], ordered, e.cast(place, np.int64), axis=axis)

    if interpolation in ("lower", "higher", "nearest"):
        return at({"lower": e.floor, "higher": e.ceil, "nearest": e.round_}[interpolation](rank))
    low = e.floor(rank)
    weight = e.minus(rank, low)
    below, above = at(low), at(e.ceil(rank))
    part = e.times(weight if interpolation == "linear" else 0.5, e.minus(above, below))
    return e.where(e.eq(weight, 0.0), below, e.plus(below, part))


@operation
def quantile(
    input: Any, q: Any, dim: Any = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Any:
    """Quantiles `q` (a fraction, or several) of all entries or along `dim`; of several, they come first in the shape.

    Between two entries: "linear" (also in its gradient), "lower", "higher", "nearest" or "midpoint". NaN if an entry
    is NaN: `nanquantile` leaves these out.
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation, False)


@operation
def nanquantile(
    input: Any, q: Any, dim: Any = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Any:
    """Quantiles of the entries that are numbers; else as `quantile`."""
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, True)


# --- counts -----------------------------------------------------------------------------------------


@operation
def histc(input: Any, bins: int = 100, min: float = 0, max: float = 0) -> Any:
    """How many entries lie in each of `bins` bins of equal width from `min` to `max`; it has no gradient.

    With min = max the bins cover the range of the entries.
    """
    if bins < 1 or min > max:
        raise ArgumentError(
            "histc needs bins, and min below max",
            given=f"bins={bins}, min={min}, max={max}",
            fix="e.g. bins=10, min=0, max=1",
        )
    return bind(TABLE["histogram"], inexact("histc", input), bins=int(bins), lo=float(min), hi=float(max))


@operation
def bincount(input: Any, weights: Any = None, minlength: int = 0) -> Any:
    """How often each whole number from 0 occurs, or the sum of its `weights`, to which gradients flow."""
    i = as_tensor(input)
    v = np.asarray(i.v)
    if v.ndim != 1 or v.dtype.kind not in "iu" or (v.size and v.min() < 0):
        given = f"{v.dtype}, shape {list(v.shape)}"
        raise ArgumentError(
            "bincount counts whole numbers from 0 in one dimension", given=given, fix="flatten it"
        )
    n = int(v.max(initial=-1)) + 1
    n = n if n > minlength else int(minlength)
    if weights is None:
        return make_leaf(np.bincount(v, minlength=n))
    w = as_tensor(weights)
    if w.shape != i.shape:
        raise ArgumentError(
            "weights and input differ in shape",
            given=f"{list(w.shape)}, {list(i.shape)}",
            fix="give one each",
        )
    w = w if isinstance(w, Handle) and w.dtype.kind in "fc" else e.cast(w, np.float64)
    return bind(TABLE["scatter_add"], w, np.array(v), shape=(n,), spec=(("array", 0),))


__all__ = [
    "bincount",
    "histc",
    "median",
    "nanmedian",
    "nanquantile",
    "quantile",
    "std",
    "std_mean",
    "var",
    "var_mean",
]

METHODS = """
    var std median nanmedian quantile nanquantile histc bincount
"""  # of Tensor
