"""Values written, added or reduced into places: scatter, index_put and their kin.

Out of place each is a program of linear maps (`index_update`, `scatter_add`, `put_along`); an entry that is
overwritten is an inactive route. Where places repeat, what is written last stays, and only that gets a gradient;
what is added counts each time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.dispatch import Handle, bind
from chainrule.errors import ArgumentError, DtypeError, IndexingError, ShapeError
from chainrule.ops import elementwise as e
from chainrule.ops import reduce as reductions
from chainrule.ops.arguments import one_dim, operation
from chainrule.ops.array import to_shape
from chainrule.ops.creation import as_tensor
from chainrule.ops.index import check_whole, mask_of, numbers_first, own, picked, spec_of
from chainrule.ops.join import cat
from chainrule.ops.split import along, place
from chainrule.table.index import mesh, numpy_key
from chainrule.table.primitive import TABLE
from chainrule.tape.numbers import quiet
from chainrule.tape.traced import Traced

# --- what the functions share ------------------------------------------------------------------------


def write(x: Any, v: Any, index: Sequence[Any], spec: Any) -> Any:
    """x with the entries at a key replaced by v, which has their shape; of repeated places the last one stays."""
    if index and isinstance(v, Handle) and v.requires_grad:
        v = last_ones(v, x, index, spec)
    return bind(TABLE["index_update"], x, v, *index, spec=spec)


def add_to(x: Any, v: Any, index: Sequence[Any], spec: Any) -> Any:
    """x with v added at a key; repeated places get every value."""
    return e.plus(x, bind(TABLE["scatter_add"], v, *index, shape=tuple(x.shape), spec=spec))


def last_ones(v: Any, x: Any, index: Sequence[Any], spec: Any) -> Any:
    """Of the values written to one place only the last remains: the others become 0, and get no gradient."""
    if any(map(_is_traced, index)):
        return _last_traced(v, x, index, spec)
    arrays = [np.asarray(i.v) if isinstance(i, Handle) else i for i in index]
    places = np.arange(x.numel()).reshape(x.shape)[numpy_key(spec, tuple(arrays))].reshape(-1)
    order = np.arange(places.size)
    last = np.empty(x.numel(), np.intp)
    last[places] = order
    stays = last[places] == order
    return v if stays.all() else bind(TABLE["where"], stays.reshape(v.shape), v, 0.0)


def _is_traced(i: Any) -> bool:
    return isinstance(i, Handle) and i.v.__class__ is Traced


def _last_traced(v: Any, x: Any, index: Sequence[Any], spec: Any) -> Any:
    """`last_ones` where the places are not known yet: each writes its number, and looks whose number is there."""
    flat = (("array", 0),)
    places = picked(as_tensor(np.arange(x.numel()).reshape(x.shape)), list(index), spec).reshape(-1)
    order = as_tensor(np.arange(v.numel()))
    last = bind(TABLE["index_update"], as_tensor(np.zeros(x.numel(), np.int64)), order, places, spec=flat)
    stays = e.eq(bind(TABLE["index"], last, places, spec=flat), order)
    return bind(TABLE["where"], stays.reshape(v.shape), v, 0.0)


def _values(v: Any, x: Any, shape: tuple[int, ...], name: str) -> Any:
    """Values to be written to `shape` places of x: in its dtype, repeated along dimensions of length 1."""
    if isinstance(v, bool | int | float | complex | np.generic):
        v = np.asarray(v.item() if isinstance(v, np.generic) else v)
        kinds = "bui" if x.dtype.kind in "ui" else "buif" if x.dtype.kind == "f" else "buifc"
        if v.dtype.kind not in (kinds if x.dtype.kind != "b" else "b"):
            raise _no_dtype(v, x, name)
    v = as_tensor(v)
    if v.dtype != x.dtype:
        if np.result_type(v.dtype, x.dtype).kind != x.dtype.kind:
            raise _no_dtype(v, x, name)
        v = e.cast(v, x.dtype)
    if v.shape == shape:
        return v
    try:
        np.broadcast_to(np.empty(v.shape, bool), shape)
    except ValueError:
        raise ShapeError(
            f"the values of {name} do not fit", given=f"values {list(v.shape)}, places {list(shape)}",
            fix=f"give a number, or a tensor that broadcasts to {list(shape)}",
        ) from None  # fmt: skip
    return bind(TABLE["broadcast"], v, shape=shape)


def _no_dtype(v: Any, x: Any, name: str) -> DtypeError:
    return DtypeError(
        f"the values of {name} are {v.dtype}, which does not fit into {x.dtype}",
        given=f"{v.dtype} into {x.dtype}", fix=f"cast one of them first, e.g. x.to({v.dtype})",
    )  # fmt: skip


def _places_along(x: Any, dim: int, index: Any, name: str) -> tuple[Any, int, Any]:
    """x and an index of whole numbers, in range, each with at least one dimension; and the dimension."""
    i = as_tensor(index)
    check_whole(i)
    d = one_dim(dim, x.dim())
    x, i = (to_shape(v, (1,)) if v.dim() == 0 else v for v in (x, i))
    if _is_traced(i):
        return x, d, i
    n, v = x.shape[d], np.asarray(i.v)
    if v.size and (v.min() < -n or v.max() >= n):
        wrong = v[(v < -n) | (v >= n)].flat[0]
        raise IndexingError(
            f"index {wrong} of {name} is out of range for dimension {d} of length {n}",
            given=f"tensor {list(x.shape)}, index {list(i.shape)}",
            fix=f"use {-n}..{n - 1}" if n else "the dimension has no entries",
        )  # fmt: skip
    return x, d, own(i)


# --- along one dimension: an index with as many dimensions as the tensor -----------------------------


def _scatter_parts(input: Any, dim: int, index: Any, src: Any, name: str) -> tuple[Any, int, Any, Any]:
    """The tensor, the dimension, the index and the values of the shape of the index."""
    x = as_tensor(input)
    whole, d, i = _places_along(x, dim, index, name)
    if i.numel() and (
        i.dim() != whole.dim()
        or any(a > b for k, (a, b) in enumerate(zip(i.shape, whole.shape, strict=True)) if k != d)
    ):
        raise ShapeError(
            f"the index of {name} does not fit the tensor",
            given=f"index {list(i.shape)}, tensor {list(x.shape)}, dim {d}",
            fix=f"give it {whole.dim()} dimensions, none longer than the tensor's except along dim {d}",
        )  # fmt: skip
    if isinstance(src, Handle | np.ndarray) and np.ndim(src.v if isinstance(src, Handle) else src):
        v = as_tensor(src)
        if v.dim() != i.dim() or any(a > b for a, b in zip(i.shape, v.shape, strict=True)):
            raise ShapeError(
                f"{name} needs a value for each index", given=f"index {list(i.shape)}, values {list(v.shape)}",
                fix="give values at least as large as the index in every dimension",
            )  # fmt: skip
        if v.shape != i.shape:
            v = bind(TABLE["index"], v, spec=tuple(("slice", 0, n, 1) for n in i.shape))
        src = v
    return whole, d, i, _values(src, whole, tuple(i.shape), name)


def _full_key(i: Any, d: int) -> tuple[Any, ...]:
    """The key of one array per dimension; the index itself stays an operand."""
    key = list(mesh(np.empty(i.shape, bool), d))
    key[d] = i
    return tuple(key)


def _each(x: Any) -> Any:
    return tuple(("array", k) for k in range(x.dim()))


@operation
def scatter(
    input: Any, dim: int, index: Any, src: Any = None, *, value: Any = None, reduce: str | None = None
) -> Any:
    """A copy with ``out[index[i][j]][j] = src[i][j]`` (for dim 0): one value per index, or one number for all.

    Where an index repeats, the last value stays, and only it gets a gradient. What was overwritten gets none.

    Parameters
    ----------
    input, dim
        The tensor, and the dimension that `index` runs along.
    index
        Whole numbers, with as many dimensions as `input`.
    src, value
        A tensor at least as large as `index`, or a number.
    reduce
        "add" or "multiply" instead of replacing (as `scatter_reduce` with "sum", "prod").

    Raises
    ------
    IndexingError (E103), ShapeError (E101), DtypeError (E102)
        An index out of range, shapes that do not fit, values that the tensor cannot hold.

    Cost
    ----
    A copy of `input`.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.scatter(cr.zeros(3), 0, cr.tensor([2, 0]), cr.tensor([5.0, 7.0]))
    tensor([7., 0., 5.])
    """
    given = value if src is None else src
    if given is None:
        raise ArgumentError("scatter of no values", fix="pass src=tensor or value=number")
    if reduce is not None:
        names = {"add": "sum", "multiply": "prod"}
        if reduce not in names:
            raise ArgumentError(
                f"scatter has no reduce={reduce!r}", fix='use "add", "multiply" or scatter_reduce'
            )
        if not isinstance(given, Handle | np.ndarray):
            given = np.full(as_tensor(index).shape, given, as_tensor(input).dtype)
        return scatter_reduce(input, dim, index, given, names[reduce])
    x, d, i, v = _scatter_parts(input, dim, index, given, "scatter")
    if not i.numel():
        return as_tensor(input).clone()
    return to_shape(write(x, v, _full_key(i, d), _each(x)), as_tensor(input).shape)


@operation
def scatter_add(input: Any, dim: int, index: Any, src: Any) -> Any:
    """A copy with ``out[index[i][j]][j] += src[i][j]`` (for dim 0); an index that repeats gets every value."""
    x, d, i, v = _scatter_parts(input, dim, index, src, "scatter_add")
    if not i.numel():
        return as_tensor(input).clone()
    added = bind(TABLE["put_along"], v, i, axis=d, shape=tuple(x.shape))
    return to_shape(e.plus(x, added), as_tensor(input).shape)


@operation
def scatter_reduce(
    input: Any, dim: int, index: Any, src: Any, reduce: str, *, include_self: bool = True
) -> Any:
    """A copy in which each place has the sum, prod, mean, amax or amin of what is sent there.

    Parameters
    ----------
    input, dim, index, src
        As in `scatter`.
    reduce
        "sum", "prod", "mean", "amax" or "amin". Of several equal extremes each gets an equal share of the gradient.
    include_self
        Whether the entry of `input` counts; places that nothing is sent to keep theirs.

    Raises
    ------
    ArgumentError (E104)
        No such reduction; else as `scatter`.

    Cost
    ----
    Sums and means: one pass. Others: a sort of the places, and one reduction for each number of values that some
    place gets.

    Examples
    --------
    >>> import chainrule as cr
    >>> x, i = cr.tensor([1.0, 2.0, 3.0, 4.0]), cr.tensor([0, 0, 1, 1])
    >>> cr.scatter_reduce(cr.zeros(2), 0, i, x, "amax", include_self=False)
    tensor([2., 4.])
    """
    if reduce not in _REDUCTIONS:
        raise ArgumentError(f"scatter_reduce has no reduce={reduce!r}",
                            fix=f"use one of {', '.join(map(repr, _REDUCTIONS))}")  # fmt: skip
    x, d, i, v = _scatter_parts(input, dim, index, src, "scatter_reduce")
    if not i.numel():
        return as_tensor(input).clone()
    key = _full_key(i, d)
    places = np.arange(x.numel()).reshape(x.shape)[tuple(np.asarray(getattr(k, "v", k)) for k in key)]
    out = _REDUCTIONS[reduce](x, v, key, places, include_self)
    return to_shape(out, as_tensor(input).shape)


def _sums(x: Any, v: Any, key: Any, places: Any, include_self: bool) -> Any:
    start = x if include_self else write(x, _values(0, x, places.shape, "scatter_reduce"), key, _each(x))
    return add_to(start, v, key, _each(x))


def _means(x: Any, v: Any, key: Any, places: Any, include_self: bool) -> Any:
    count = np.bincount(places.reshape(-1), minlength=x.numel()).reshape(x.shape)
    count = np.maximum(count + int(include_self), 1).astype(x.dtype)
    divide = e.true_divide if x.dtype.kind in "fc" else e.floor_divide
    return divide(_sums(x, v, key, places, include_self), count)


def _grouped(reduction: Callable[..., Any]) -> Callable[..., Any]:
    """Each place gets the reduction of all that is sent there."""

    def reduce(x: Any, v: Any, key: Any, places: Any, include_self: bool) -> Any:
        stays = _stays(x, places, include_self)
        member = np.concatenate([stays, x.numel() + np.arange(places.size)])
        pool = cat([x.reshape(-1), v.reshape(-1)])
        return _reduced(pool, x.shape, member, np.concatenate([stays, places.reshape(-1)]), reduction)

    return reduce


def _extreme(at: Callable[..., Any], reduction: Callable[..., Any]) -> Callable[..., Any]:
    """As `_grouped`, of those entries only that are as large (small) as any: mostly one for each place."""
    grouped = _grouped(reduction)

    def reduce(x: Any, v: Any, key: Any, places: Any, include_self: bool) -> Any:
        if _is_traced(x) or _is_traced(v) or x.dtype != v.dtype or x.dtype.kind not in "iuf":
            return grouped(x, v, key, places, include_self)
        entries, sent = np.asarray(x.v).reshape(-1), np.asarray(v.v).reshape(-1)
        stays, goes_to, best = _stays(x, places, include_self), places.reshape(-1), entries.copy()
        if not include_self:
            best[goes_to[::-1]] = sent[::-1]  # one of those that are sent there
        with quiet():
            at(best, goes_to, sent)
        stays = stays[_as_good(entries[stays], best, stays)]
        winners = np.flatnonzero(_as_good(sent, best, goes_to))
        pool = cat([_picked(x.reshape(-1), stays), _picked(v.reshape(-1), winners)])
        member = np.arange(stays.size + winners.size)
        return _reduced(pool, x.shape, member, np.concatenate([stays, goes_to[winners]]), reduction)

    return reduce


def _as_good(numbers: Any, best: Any, places: Any) -> Any:
    """Which numbers are the best of their places; all where that is NaN, as none of them decides then."""
    good = numbers == best.take(places)
    nan = best != best
    return good | nan[places] if nan.any() else good


def _stays(x: Any, places: Any, include_self: bool) -> Any:
    """The places whose own entry counts."""
    stays = np.ones(x.numel(), bool)
    if not include_self:
        stays[places] = False
    return np.flatnonzero(stays)


def _reduced(pool: Any, shape: Any, member: Any, goes_to: Any, reduction: Callable[..., Any]) -> Any:
    """Entries `member` of the pool, reduced at the places they go to: those of equally many as rows of a matrix."""
    n = math.prod(shape)
    count = np.bincount(goes_to, minlength=n)
    alone = count[goes_to] == 1
    picked, rows = [_picked(pool, member[alone])], [goes_to[alone]]
    member, goes_to = member[~alone], goes_to[~alone]
    order = member[np.argsort(goes_to, kind="stable")]
    count[count == 1] = 0
    start = np.cumsum(count) - count
    for width in np.unique(count[count > 0]):
        row = np.flatnonzero(count == width)
        picked.append(reduction(_picked(pool, order[start[row][:, None] + np.arange(width)]), 1))
        rows.append(row)
    back = np.empty(n, np.int64)
    back[np.concatenate(rows)] = np.arange(n)
    return _picked(cat(picked), back).reshape(shape)


def _picked(x: Any, places: Any) -> Any:
    return bind(TABLE["index"], x, places, spec=(("array", 0),))


_REDUCTIONS: dict[str, Callable[..., Any]] = {
    "sum": _sums,
    "mean": _means,
    "prod": _grouped(reductions.prod),
    "amax": _extreme(np.maximum.at, reductions.amax),
    "amin": _extreme(np.minimum.at, reductions.amin),
}

# --- whole slices: an index with one dimension -------------------------------------------------------


def _slices(
    input: Any, dim: int, index: Any, source: Any, name: str
) -> tuple[Any, tuple[Any, ...], Any, Any]:
    """The tensor, the key of the slices, their index, and values of their shape."""
    x = as_tensor(input)
    whole, d, i = _places_along(x, dim, index, name)
    if i.dim() > 1:
        raise ShapeError(f"the index of {name} has several dimensions", given=f"index {list(i.shape)}",
                         fix="give a vector of whole numbers, or use scatter")  # fmt: skip
    shape = (*whole.shape[:d], i.numel(), *whole.shape[d + 1 :])
    v = _values(source, whole, shape, name)
    return whole, along(d, ("array", 0)), i, v


@operation
def index_add(input: Any, dim: int, index: Any, source: Any, *, alpha: Any = 1) -> Any:
    """A copy with `alpha` times the slices of `source` added at the places `index` along `dim`."""
    x, spec, i, v = _slices(input, dim, index, source, "index_add")
    v = v if isinstance(alpha, int | float) and alpha == 1 else e.times(v, alpha)
    return to_shape(add_to(x, v, [i], spec), as_tensor(input).shape)


@operation
def index_copy(input: Any, dim: int, index: Any, source: Any) -> Any:
    """A copy with the slices at the places `index` along `dim` replaced by those of `source`."""
    x, spec, i, v = _slices(input, dim, index, source, "index_copy")
    return to_shape(write(x, v, [i], spec), as_tensor(input).shape)


@operation
def index_fill(input: Any, dim: int, index: Any, value: Any) -> Any:
    """A copy with every entry of the slices at the places `index` along `dim` replaced by one number."""
    x, spec, i, v = _slices(input, dim, index, value, "index_fill")
    return to_shape(write(x, v, [i], spec), as_tensor(input).shape)


@operation
def index_reduce(
    input: Any, dim: int, index: Any, source: Any, reduce: str, *, include_self: bool = True
) -> Any:
    """A copy in which the slices at the places `index` are the prod, mean, amax or amin of those sent there."""
    x, spec, i, v = _slices(input, dim, index, source, "index_reduce")
    d = len(spec) - 1
    column = np.asarray(i.v).reshape((-1,) + (1,) * (x.dim() - d - 1))
    places = np.broadcast_to(column, v.shape)
    return to_shape(
        scatter_reduce(x, d, places, v, reduce, include_self=include_self), as_tensor(input).shape
    )


# --- any key -----------------------------------------------------------------------------------------


@operation
def index_put(input: Any, indices: Any, values: Any, accumulate: bool = False) -> Any:
    """A copy with ``out[indices] = values``, or with ``+=`` for every index where `accumulate`.

    `indices` is a tuple of index tensors or masks, one per dimension; the values broadcast to what they pick.
    """
    if not isinstance(indices, tuple | list):
        raise ArgumentError("index_put takes a tuple of indices", given=type(indices).__name__,
                            fix="write x.index_put((i,), values)")  # fmt: skip
    x = as_tensor(input)
    spec, index = spec_of(tuple(slice(None) if k is None else k for k in indices), tuple(x.shape))
    if numbers_first(spec) is not None:
        index, spec = _numbers_as_arrays(index, spec)
    shape = picked(x, [i if _is_traced(i) else np.asarray(getattr(i, "v", i)) for i in index], spec).shape
    v = _values(values, x, tuple(shape), "index_put")
    return add_to(x, v, index, spec) if accumulate else write(x, v, index, spec)


def _numbers_as_arrays(index: list[Any], spec: Any) -> tuple[list[Any], Any]:
    """0-d indices as arrays, so that all advanced indices go together."""
    out, items = [], []
    for item in spec:
        if item[0] in ("int", "array"):
            out.append(np.array(item[1]) if item[0] == "int" else index[item[1]])
            item = ("array", len(out) - 1)
        items.append(item)
    return out, tuple(items)


@operation
def take(input: Any, index: Any) -> Any:
    """The entries at places of the flattened tensor, in the shape of `index`."""
    x, _, i = _places_along(as_tensor(input).reshape(-1), 0, index, "take")
    return to_shape(bind(TABLE["index"], x, i, spec=(("array", 0),)), as_tensor(index).shape)


@operation
def put(input: Any, index: Any, source: Any, accumulate: bool = False) -> Any:
    """A copy with values written to (or added at) places of the flattened tensor."""
    x = as_tensor(input)
    flat, _, i = _places_along(x.reshape(-1), 0, index, "put")
    v = as_tensor(source)
    if v.numel() != i.numel():
        raise ShapeError(f"put needs a value for each of {i.numel()} places", given=f"{v.numel()} values",
                         fix="give as many values as places")  # fmt: skip
    v = _values(v.reshape(i.shape), flat, tuple(i.shape), "put")
    out = (add_to if accumulate else write)(flat, v, [i], (("array", 0),))
    return out.reshape(x.shape)


@operation
def masked_scatter(input: Any, mask: Any, source: Any) -> Any:
    """A copy with the entries where the mask is true replaced by those of `source`, in order."""
    x, m = mask_of(input, mask)
    places = np.nonzero(m)
    v, count = as_tensor(source).reshape(-1), int(m.sum())
    if v.numel() < count:
        raise ShapeError(f"the mask is true {count} times, and there are {v.numel()} values",
                         given=f"mask {list(m.shape)}, source {list(as_tensor(source).shape)}",
                         fix=f"give at least {count} values")  # fmt: skip
    v = _values(v[:count], x, (count,), "masked_scatter")
    if not x.dim():
        return to_shape(v, ()) if count else x.clone()
    return write(x, v, places, tuple(("array", k) for k in range(x.dim())))


@operation
def select_scatter(input: Any, src: Any, dim: int, index: int) -> Any:
    """A copy with the slice at `index` along `dim` replaced by `src`."""
    x = as_tensor(input)
    d = one_dim(dim, x.dim())
    spec = along(d, ("int", place(x, d, index)))
    return write(x, _values(src, x, (*x.shape[:d], *x.shape[d + 1 :]), "select_scatter"), [], spec)


@operation
def slice_scatter(
    input: Any, src: Any, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Any:
    """A copy with the entries from `start` up to `end` along `dim` replaced by `src`."""
    x = as_tensor(input)
    d = one_dim(dim, x.dim())
    if step < 1:
        raise ArgumentError(f"a step of {step}", fix="use a step of 1 or more")
    start, end, _ = slice(start, end).indices(x.shape[d])
    shape = (*x.shape[:d], len(range(start, end, step)), *x.shape[d + 1 :])
    spec = along(d, ("slice", start, max(end, start), step))
    return write(x, _values(src, x, shape, "slice_scatter"), [], spec)


@operation
def diagonal_scatter(input: Any, src: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """A copy with a diagonal replaced by `src`."""
    x = as_tensor(input)
    params = {"offset": offset, "axes": (one_dim(dim1, x.dim(), "dim1"), one_dim(dim2, x.dim(), "dim2"))}
    p = TABLE["diagonal"]
    shape = bind(p, x, **params).shape  # says what is wrong with the dimensions
    places = p.value(np.arange(x.numel()).reshape(x.shape), **params).reshape(-1)
    v = _values(src, x, tuple(shape), "diagonal_scatter")
    return write(x.reshape(-1), v.reshape(-1), [places], (("array", 0),)).reshape(x.shape)


__all__ = [
    "diagonal_scatter",
    "index_add",
    "index_copy",
    "index_fill",
    "index_put",
    "index_reduce",
    "masked_scatter",
    "put",
    "scatter",
    "scatter_add",
    "scatter_reduce",
    "select_scatter",
    "slice_scatter",
    "take",
]

METHODS = " ".join(__all__)  # of Tensor

# Their forms that change the tensor itself, as `x.scatter_(…)`.
IN_PLACE = """
    index_add index_copy index_fill index_put index_reduce masked_scatter put scatter scatter_add scatter_reduce
"""
