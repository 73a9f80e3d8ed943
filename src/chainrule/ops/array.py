"""Shapes and joins under torch's names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.dispatch import bind
from chainrule.errors import ArgumentError, DataError, ShapeError
from chainrule.ops import elementwise as e
from chainrule.ops.arguments import dims, fill_in, lengths, one_dim, operation
from chainrule.ops.creation import as_tensor
from chainrule.table.primitive import TABLE


def to_shape(x: Any, shape: tuple[int, ...]) -> Any:
    """x in another shape (x itself if it has it)."""
    return x if x.shape == shape else bind(TABLE["reshape"], x, shape=shape)


def to_order(x: Any, perm: tuple[int, ...]) -> Any:
    """x with its dimensions in another order."""
    return x if perm == tuple(range(len(perm))) else bind(TABLE["transpose"], x, perm=perm)


@operation
def reshape(input: Any, *shape: Any) -> Any:
    """The same entries in another shape; one length may be -1. Shares memory where that is possible."""
    x = as_tensor(input)
    return bind(TABLE["reshape"], x, shape=fill_in(lengths(shape), x.numel()))


@operation
def view(input: Any, *shape: Any) -> Any:
    """As `reshape` (a dtype instead of a shape is refused)."""
    x = as_tensor(input)
    return bind(TABLE["reshape"], x, shape=fill_in(lengths(shape), x.numel()))


@operation
def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """The dimensions from `start_dim` to `end_dim` as one."""
    x = as_tensor(input)
    if x.dim() == 0:
        return to_shape(x, (1,))
    a, b = one_dim(start_dim, x.dim(), "start_dim"), one_dim(end_dim, x.dim(), "end_dim")
    if a > b:
        raise ArgumentError("start_dim lies behind end_dim", given=f"start_dim={start_dim}, end_dim={end_dim}",
                            fix="exchange them")  # fmt: skip
    return to_shape(x, (*x.shape[:a], math.prod(x.shape[a : b + 1]), *x.shape[b + 1 :]))


@operation
def ravel(input: Any) -> Any:
    """All entries in one dimension."""
    x = as_tensor(input)
    return to_shape(x, (x.numel(),))


@operation
def unflatten(input: Any, dim: int, sizes: Sequence[int]) -> Any:
    """Dimension `dim` as several, of the lengths `sizes` (one may be -1)."""
    x = as_tensor(input)
    d = one_dim(dim, x.dim())
    return to_shape(x, (*x.shape[:d], *fill_in(lengths((sizes,)), x.shape[d]), *x.shape[d + 1 :]))


@operation
def squeeze(input: Any, dim: Any = None) -> Any:
    """Without the dimensions of length 1 (all, or those named)."""
    x = as_tensor(input)
    chosen = range(x.dim()) if dim is None else dims(dim, x.dim())
    return bind(
        TABLE["reshape"], x, shape=tuple(n for i, n in enumerate(x.shape) if not (i in chosen and n == 1))
    )


@operation
def unsqueeze(input: Any, dim: int) -> Any:
    """With a new dimension of length 1 before `dim`."""
    x = as_tensor(input)
    d = one_dim(dim, x.dim() + 1)
    return bind(TABLE["reshape"], x, shape=(*x.shape[:d], 1, *x.shape[d:]))


@operation
def permute(input: Any, *dims: Any) -> Any:
    """Dimensions in the order that is given."""
    x = as_tensor(input)
    perm = tuple(one_dim(d, x.dim()) for d in lengths(dims, "order"))
    if sorted(perm) != list(range(x.dim())):
        raise ShapeError(f"{list(perm)} is no order of {x.dim()} dimensions", given=f"shape {list(x.shape)}",
                         fix="name each dimension once")  # fmt: skip
    return bind(TABLE["transpose"], x, perm=perm)


@operation
def transpose(input: Any, dim0: int, dim1: int) -> Any:
    """Two dimensions exchanged."""
    x = as_tensor(input)
    perm = list(range(x.dim()))
    if x.dim():
        i, j = one_dim(dim0, x.dim(), "dim0"), one_dim(dim1, x.dim(), "dim1")
        perm[i], perm[j] = perm[j], perm[i]
    return bind(TABLE["transpose"], x, perm=tuple(perm))


swapaxes = swapdims = transpose


@operation
def t(input: Any) -> Any:
    """Transpose of a matrix (a vector or number as it is)."""
    x = as_tensor(input)
    if x.dim() > 2:
        raise ShapeError(
            "t() takes at most two dimensions", given=f"shape {list(x.shape)}", fix="use x.mT or x.permute(…)"
        )
    return bind(TABLE["transpose"], x, perm=tuple(reversed(range(x.dim()))))


@operation
def movedim(input: Any, source: Any, destination: Any) -> Any:
    """Dimensions `source` moved to the places `destination`, the others in their order."""
    x = as_tensor(input)
    src = [one_dim(d, x.dim(), "source") for d in (source if isinstance(source, tuple | list) else (source,))]
    dst = [
        one_dim(d, x.dim(), "destination")
        for d in (destination if isinstance(destination, tuple | list) else (destination,))
    ]
    if len(src) != len(dst) or len(set(src)) != len(src) or len(set(dst)) != len(dst):
        raise ArgumentError(
            "source and destination do not match",
            given=f"{source}, {destination}",
            fix="name as many places as dimensions, each once",
        )
    order = [i for i in range(x.dim()) if i not in src]
    for d, s in sorted(zip(dst, src, strict=True)):
        order.insert(d, s)
    return bind(TABLE["transpose"], x, perm=tuple(order))


moveaxis = movedim


@operation
def broadcast_to(input: Any, shape: Any) -> Any:
    """x repeated to a larger shape, without copying."""
    x = as_tensor(input)
    return bind(TABLE["broadcast"], x, shape=lengths((shape,)))


@operation
def expand(input: Any, *shape: Any) -> Any:
    """x repeated to a larger shape; -1 keeps a length."""
    x = as_tensor(input)
    wanted = lengths(shape)
    lead = len(wanted) - x.dim()
    if lead < 0 or any(n == -1 for n in wanted[:lead]):
        raise ShapeError("expand cannot drop dimensions", given=f"shape {list(x.shape)} to {list(wanted)}",
                         fix="name a length for each dimension, new ones first")  # fmt: skip
    full = tuple(x.shape[i - lead] if n == -1 else n for i, n in enumerate(wanted))
    return bind(TABLE["broadcast"], x, shape=full)


@operation
def expand_as(input: Any, other: Any) -> Any:
    """x repeated to the shape of `other`."""
    return bind(TABLE["broadcast"], as_tensor(input), shape=other.shape)


@operation
def broadcast_tensors(*tensors: Any) -> Any:
    """All tensors in the shape that they share after broadcasting."""
    xs = [as_tensor(x) for x in tensors]
    shape = np.broadcast_shapes(*(x.shape for x in xs))
    return tuple(bind(TABLE["broadcast"], x, shape=shape) for x in xs)


@operation
def flip(input: Any, *dims: Any) -> Any:
    """Entries in reverse order along the dimensions that are named."""
    x = as_tensor(input)
    for d in lengths(dims, "list of dims"):
        x = bind(TABLE["flip"], x, axis=one_dim(d, x.dim()))
    return x.clone() if x is input else x


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


@operation
def atleast_1d(input: Any) -> Any:
    """x with at least one dimension."""
    x = as_tensor(input)
    return x if x.dim() else to_shape(x, (1,))


@operation
def atleast_2d(input: Any) -> Any:
    """x with at least two dimensions; vectors become rows."""
    x = as_tensor(input)
    return x if x.dim() >= 2 else to_shape(x, (1, x.numel()))


@operation
def split(input: Any, split_size_or_sections: Any, dim: int = 0) -> Any:
    """Pieces of the length that is given (the last may be shorter), or of the lengths in a list."""
    x = as_tensor(input)
    d = one_dim(dim, x.dim())
    n = x.shape[d]
    if isinstance(split_size_or_sections, int):
        size = split_size_or_sections
        if size <= 0 and n:
            raise ArgumentError(f"pieces of length {size}", fix="use a length of 1 or more")
        sizes = [min(size, n - i) for i in range(0, n, size)] if n else [0]
    else:
        sizes = list(split_size_or_sections)
    if sum(sizes) != n:
        raise ShapeError(f"pieces {sizes} do not add up to {n}", given=f"shape {list(x.shape)}, dim {d}",
                         fix="choose lengths whose sum is the length of that dimension")  # fmt: skip
    starts = np.cumsum([0, *sizes]).tolist()
    return tuple(narrow(x, d, a, k) for a, k in zip(starts, sizes, strict=False))


@operation
def chunk(input: Any, chunks: int, dim: int = 0) -> Any:
    """At most `chunks` pieces of equal length, the last one shorter if need be."""
    x = as_tensor(input)
    n = x.shape[one_dim(dim, x.dim())]
    if chunks <= 0:
        raise ArgumentError(f"{chunks} pieces", fix="ask for 1 piece or more")
    return split(x, max(-(-n // chunks), 1), dim)


@operation
def narrow(input: Any, dim: int, start: int, length: int) -> Any:
    """`length` entries from `start` on along `dim`."""
    x = as_tensor(input)
    d = one_dim(dim, x.dim())
    if not 0 <= start <= start + length <= x.shape[d]:
        raise ShapeError(
            f"{length} entries from {start} on exceed the length {x.shape[d]}",
            given=f"shape {list(x.shape)}",
            fix="choose start and length inside the dimension",
        )
    spec = (*(("slice", None, None, None),) * d, ("slice", start, start + length, 1))
    return bind(TABLE["index"], x, spec=spec)


@operation
def unbind(input: Any, dim: int = 0) -> Any:
    """The slices along `dim`, without it, as a tuple."""
    x = as_tensor(input)
    d = one_dim(dim, x.dim())
    lead = (("slice", None, None, None),) * d
    return tuple(bind(TABLE["index"], x, spec=(*lead, ("int", i))) for i in range(x.shape[d]))


@operation
def tril(input: Any, diagonal: int = 0) -> Any:
    """The lower triangle of a matrix, zeros above; entries above get no gradient."""
    x = as_tensor(input)
    return e.where(np.tri(*x.shape[-2:], k=diagonal, dtype=bool), x, 0)


@operation
def triu(input: Any, diagonal: int = 0) -> Any:
    """The upper triangle of a matrix, zeros below; entries below get no gradient."""
    x = as_tensor(input)
    return e.where(~np.tri(*x.shape[-2:], k=diagonal - 1, dtype=bool), x, 0)


@operation
def tile(input: Any, *dims: Any) -> Any:
    """x repeated as a whole along its dimensions."""
    x = as_tensor(input)
    reps = lengths(dims, "number of repetitions")
    reps = (1,) * (x.dim() - len(reps)) + reps
    x = to_shape(x, (1,) * (len(reps) - x.dim()) + tuple(x.shape))
    pairs = [(r, n) for r, n in zip(reps, x.shape, strict=True)]
    x = to_shape(x, tuple(k for _, n in pairs for k in (1, n)))
    x = bind(TABLE["broadcast"], x, shape=tuple(k for r, n in pairs for k in (r, n)))
    out = to_shape(x, tuple(r * n for r, n in pairs))
    return out.clone() if out is input or out.base is not None else out  # memory of its own, as in torch


repeat = tile


__all__ = [
    "atleast_1d",
    "atleast_2d",
    "broadcast_tensors",
    "broadcast_to",
    "cat",
    "chunk",
    "concat",
    "concatenate",
    "flatten",
    "flip",
    "hstack",
    "moveaxis",
    "movedim",
    "narrow",
    "permute",
    "ravel",
    "reshape",
    "split",
    "squeeze",
    "stack",
    "swapaxes",
    "swapdims",
    "t",
    "tile",
    "transpose",
    "tril",
    "triu",
    "unbind",
    "unflatten",
    "unsqueeze",
    "vstack",
]

METHODS = """
    reshape view flatten ravel unflatten squeeze unsqueeze permute transpose swapaxes swapdims t movedim
    moveaxis broadcast_to expand expand_as flip split chunk narrow unbind tril triu tile repeat
"""  # of Tensor
