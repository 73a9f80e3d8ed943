"""Indexing: keys as NumPy takes them, turned into the table's static form."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from chainrule.dispatch import Handle, bind, node_of, wrap
from chainrule.errors import ArgumentError, DtypeError, IndexingError, ShapeError
from chainrule.ops.arguments import one_dim, operation, shape_of
from chainrule.ops.creation import as_tensor, make_leaf
from chainrule.table.primitive import TABLE
from chainrule.tape import traced
from chainrule.tape.modes import current
from chainrule.tape.traced import Traced, refuse


def spec_of(key: Any, shape: tuple[int, ...]) -> tuple[tuple[tuple[Any, ...], ...], list[Any]]:
    """A key as `(spec, index arrays)`: see table/index.py. Truth values become the indices of their true entries."""
    spec: list[tuple[Any, ...]] = []
    index: list[Any] = []
    for k in key if isinstance(key, tuple) else (key,):
        if k is None:
            spec.append(("new",))
        elif k is Ellipsis:
            spec.append(("rest",))
        elif isinstance(k, slice):
            spec.append(("slice", *(None if b is None else _whole(b) for b in (k.start, k.stop, k.step))))
        elif k.__class__ is int or (isinstance(k, int | np.integer) and not isinstance(k, bool | np.bool_)):
            spec.append(("int", int(k)))
        else:
            _add_array(k, spec, index, shape)
    return tuple(spec), index


def _whole(b: Any) -> int:
    try:
        return operator.index(b.item() if isinstance(b, Handle) else b)
    except TypeError:
        fix = "use whole numbers, e.g. x[1:3]"
        raise ArgumentError(f"a slice with the bound {b!r}", fix=fix) from None


def _add_array(k: Any, spec: list[Any], index: list[Any], shape: tuple[int, ...]) -> None:
    if isinstance(k, Handle) and k.v.__class__ is Traced:
        _add_traced(k, spec, index)
        return
    a = np.asarray(k.v) if isinstance(k, Handle) else np.asarray(k)
    if a.size == 0 and isinstance(k, list):
        a = a.astype(np.intp)
    if a.dtype == np.bool_ and not a.ndim:
        if not a:
            raise IndexingError(
                "an index False picks nothing", fix="use a mask of the tensor's shape, or x[:0]"
            )
        spec.append(("new",))
        return
    if a.dtype == np.bool_:
        place = sum(1 if s[0] in ("int", "slice", "array") else 0 for s in spec)
        if ("rest",) not in spec and a.shape != tuple(shape[place : place + a.ndim]):
            raise IndexingError(
                f"a mask of shape {list(a.shape)} does not fit", given=f"tensor of shape {list(shape)}",
                fix="make the mask as large as the dimensions that it selects from",
            )  # fmt: skip
        arrays = list(np.nonzero(a))
    elif a.dtype.kind in "iu":
        arrays = [_places(k, a)]
        if a.ndim == 0:
            spec.append(("int", int(a)))
            return
    else:
        fix = "index with whole numbers, slices, None, ..., or truth values"
        raise IndexingError(f"an index of dtype {a.dtype}", given=repr(k)[:60], fix=fix)
    for array in arrays:
        spec.append(("array", len(index)))
        index.append(array)


def _places(k: Any, a: np.ndarray) -> Any:
    """Places that nobody changes; where a graph is recorded that runs again, the user's own: it may change between."""
    recorder = current().recorder
    runs_again = recorder is not None and recorder.base is not None
    if isinstance(k, Handle) and a.ndim:
        return k if runs_again else own(k)
    if runs_again:
        return a if k is a else make_leaf(a)  # of a list: made inside, so a constant of the graph
    return np.array(a)


def _add_traced(k: Any, spec: list[Any], index: list[Any]) -> None:
    """An index that is not known yet: whole numbers are an input of the graph, also a single one."""
    if k.dtype.kind not in "iu":
        refuse(
            k.v, f"an index of dtype {k.dtype} picks as many entries as it is true",
            "keep the shape: where(mask, x, 0.0), then sum or the like",
        )  # fmt: skip
    spec.append(("array", len(index)))
    index.append(k)


def own(i: Any) -> Any:
    """An index in memory of its own: the backward pass reads it, whatever becomes of the user's array."""
    return wrap(traced.own(i.v), node_of(i))


def getitem(x: Any, key: Any) -> Any:
    """Entries of x at a key; with integers and slices only, a view."""
    spec, index = spec_of(key, x.shape)
    first = numbers_first(spec)
    if first is not None:
        x, spec = picked(x, [], first[0]), first[1]
    return picked(x, index, spec)


def numbers_first(spec: Any) -> tuple[Any, Any] | None:
    """A key with numbers and arrays apart, as in ``x[0, :, [1, 2]]``, as two keys: torch applies the numbers first.

    NumPy takes the 0 for an array too, and puts the dimension of `[1, 2]` in front. None: both mean the same.
    """
    kinds = [s[0] for s in spec]
    advanced = [i for i, kind in enumerate(kinds) if kind in ("int", "array")]
    if "array" not in kinds or "int" not in kinds or advanced[-1] - advanced[0] == len(advanced) - 1:
        return None
    whole = ("slice", None, None, None)
    numbers = tuple(whole if s[0] in ("slice", "array") else s for s in spec if s[0] != "new")
    return numbers, tuple(s for s in spec if s[0] != "int")


def picked(x: Any, index: list[Any], spec: Any) -> Any:
    """The primitive `index`, with an error that says what is in range."""
    try:
        return bind(TABLE["index"], x, *index, spec=spec)
    except IndexingError:
        raise
    except IndexError as err:
        places = ", ".join(f"{-n}..{n - 1} in dimension {i}" for i, n in enumerate(x.shape))
        text = str(err).replace("axis", "dimension")
        raise IndexingError(text, given=f"tensor of shape {list(x.shape)}", fix=f"use {places}") from None


def check_whole(i: Any) -> None:
    """Raise unless an index is made of whole numbers."""
    if i.dtype.kind not in "iu":
        raise IndexingError(
            f"an index of dtype {i.dtype}", given=str(i.dtype), fix="index with whole numbers: i.long()"
        )


@operation
def gather(input: Any, dim: int, index: Any) -> Any:
    """out[i][j] = input[index[i][j]][j] for dim 0: one entry per line along `dim`."""
    x, i = as_tensor(input), as_tensor(index)
    d = one_dim(dim, x.dim())
    check_whole(i)
    if x.dim() == 0 or i.dim() == 0 == x.dim() - 1:  # a number counts as a vector with one entry
        return gather(x.reshape(-1), 0, i.reshape(-1)).reshape(i.shape)
    if not i.numel() and i.dim() != x.dim():
        return x.reshape(-1)[:0].reshape(i.shape)
    if i.dim() != x.dim():
        raise ShapeError(
            "the index has another number of dimensions than the tensor",
            given=f"index {list(i.shape)}, tensor {list(x.shape)}",
            fix="make the dimensions equal, e.g. index.unsqueeze(0)",
        )
    cut = tuple(slice(None) if k == d else slice(0, n) for k, n in enumerate(i.shape))
    x = x[cut] if any(n < m for k, (n, m) in enumerate(zip(i.shape, x.shape, strict=True)) if k != d) else x
    v = i.v if i.v.__class__ is Traced else np.asarray(i.v)
    if v.__class__ is not Traced and v.size and (v.min() < -x.shape[d] or v.max() >= x.shape[d]):
        wrong = v[(v < -x.shape[d]) | (v >= x.shape[d])].flat[0]
        raise IndexingError(
            f"index {wrong} of gather is out of range for dimension {d} of length {x.shape[d]}",
            given=f"tensor {list(shape_of(input))}, index {list(i.shape)}", fix=f"use {-x.shape[d]}..{x.shape[d] - 1}",
        )  # fmt: skip
    return bind(TABLE["take_along"], x, own(i), axis=d)


@operation
def take_along_dim(input: Any, indices: Any, dim: int | None = None) -> Any:
    """As `gather`, with tensor and index broadcast outside of `dim`; without `dim` they are flattened."""
    x, i = as_tensor(input), as_tensor(indices)
    if dim is None:
        return gather(x.reshape(-1), 0, i.reshape(-1))
    d = one_dim(dim, x.dim())
    if x.dim() != i.dim():
        raise ShapeError(
            "the index has another number of dimensions than the tensor",
            given=f"index {list(i.shape)}, tensor {list(x.shape)}",
            fix="make the dimensions equal, e.g. index.unsqueeze(0)",
        )  # fmt: skip
    pairs = enumerate(zip(x.shape, i.shape, strict=True))
    try:
        common = [0 if k == d else np.broadcast_shapes((n,), (m,))[0] for k, (n, m) in pairs]
    except ValueError:
        raise ShapeError(
            f"the index does not fit outside of dimension {d}", given=f"index {list(i.shape)}, tensor {list(x.shape)}",
            fix="make the other lengths equal, or 1 where they should repeat",
        ) from None  # fmt: skip
    shapes = ([v.shape[k] if k == d else n for k, n in enumerate(common)] for v in (x, i))
    x, i = (v if list(v.shape) == s else v.expand(*s) for v, s in zip((x, i), shapes, strict=True))
    return gather(x, d, i)


@operation
def index_select(input: Any, dim: int, index: Any) -> Any:
    """The slices of `input` along `dim` at the places `index`."""
    x, i = as_tensor(input), as_tensor(index)
    d = one_dim(dim, x.dim())
    check_whole(i)
    if i.dim() > 1:
        raise ShapeError("index_select takes a vector of places", given=f"index {list(i.shape)}",
                         fix="give x.reshape(-1) as index, or use x[index]")  # fmt: skip
    if x.dim() == 0:
        return index_select(x.reshape(1), 0, i).reshape(()) if i.numel() == 1 else x.reshape(1)[i]
    return picked(x, [own(i.reshape(-1))], spec=(*(("slice", None, None, None),) * d, ("array", 0)))


@operation
def masked_select(input: Any, mask: Any) -> Any:
    """The entries of `input` where the mask is true, in one dimension."""
    x, m = mask_of(input, mask)
    return getitem(x, m)


def mask_of(input: Any, mask: Any) -> tuple[Any, np.ndarray]:
    """A tensor and truth values, spread to the shape that they share."""
    x, m = as_tensor(input), as_tensor(mask)
    if m.dtype != np.bool_:
        raise DtypeError("the mask is no truth value", given=str(m.dtype), fix="compare first, e.g. x > 0")
    try:
        shape = np.broadcast_shapes(x.shape, m.shape)
    except ValueError:
        raise ShapeError(
            "the mask does not fit", given=f"mask {list(m.shape)}, tensor {list(x.shape)}",
            fix="give the mask the shape of the tensor, or 1 where it should repeat",
        ) from None  # fmt: skip
    return x if x.shape == shape else x.expand(*shape), np.broadcast_to(np.asarray(m.v), shape)


@operation
def nonzero(input: Any, *, as_tuple: bool = False) -> Any:
    """Indices of the entries that are not 0: (count, ndim), or a tuple of one tensor per dimension."""
    v = np.asarray(as_tensor(input).v)
    if as_tuple:
        return tuple(make_leaf(i) for i in np.nonzero(np.atleast_1d(v)))
    return make_leaf(np.argwhere(v))


@operation
def argwhere(input: Any) -> Any:
    """Indices of the entries that are not 0, one row for each."""
    return make_leaf(np.argwhere(np.asarray(as_tensor(input).v)))


__all__ = [
    "argwhere",
    "gather",
    "index_select",
    "masked_select",
    "nonzero",
    "take_along_dim",
]

METHODS = """
    gather take_along_dim index_select masked_select nonzero argwhere
"""  # of Tensor
