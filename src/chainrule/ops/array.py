"""Shapes and joins under torch's names."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.dispatch import bind
from chainrule.errors import ArgumentError, ShapeError
from chainrule.ops.arguments import dims, fill_in, lengths, one_dim, operation, quick_first, shape_of
from chainrule.ops.creation import as_tensor
from chainrule.quick import reshaped
from chainrule.table.primitive import TABLE


def to_shape(x: Any, shape: tuple[int, ...]) -> Any:
    """x in another shape (x itself if it has it)."""
    return x if x.shape == shape else bind(TABLE["reshape"], x, shape=shape)


def to_order(x: Any, perm: tuple[int, ...]) -> Any:
    """x with its dimensions in another order."""
    return x if perm == tuple(range(len(perm))) else bind(TABLE["transpose"], x, perm=perm)


@quick_first(reshaped, by_position=9, by_name=frozenset())
@operation
def reshape(input: Any, *shape: Any) -> Any:
    """The same entries in another shape; one length may be -1. Shares memory where that is possible."""
    x = as_tensor(input)
    return bind(TABLE["reshape"], x, shape=fill_in(lengths(shape), x.numel()))


@operation
def view(input: Any, *shape: Any) -> Any:
    """The same memory in another shape; one length may be -1. Where that needs a copy it is refused: use `reshape`."""
    x = as_tensor(input)
    wanted = fill_in(lengths(shape), x.numel())
    out = bind(TABLE["reshape"], x, shape=wanted)
    if out.base is None and out.v.__class__ is np.ndarray and x.numel():  # a traced value has no memory
        raise ShapeError(
            f"no view has the shape {list(wanted)}: the entries do not lie in that order in memory",
            given=f"shape {list(x.shape)}, strides {list(x.stride())}",
            fix="use reshape, which copies where it must, or x.contiguous().view(…)",
        )
    return out


@operation
def reshape_as(input: Any, other: Any) -> Any:
    """The same entries in the shape of `other`."""
    return reshape(input, shape_of(other))


@operation
def view_as(input: Any, other: Any) -> Any:
    """The same memory in the shape of `other`."""
    return view(input, shape_of(other))


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
    none = isinstance(dim, tuple | list) and not dim
    chosen = () if none else range(x.dim()) if dim is None else dims(dim, x.dim())
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


@operation
def swapaxes(input: Any, axis0: int, axis1: int) -> Any:
    """Two dimensions exchanged, under NumPy's name."""
    return transpose(input, axis0, axis1)


swapdims = transpose


@operation
def adjoint(input: Any) -> Any:
    """The conjugate transpose: the last two dimensions exchanged."""
    x = as_tensor(input)
    if x.dim() < 2:
        raise ShapeError(
            "the adjoint of a matrix", given=f"shape {list(x.shape)}", fix="give it two dimensions"
        )
    out = transpose(x, -2, -1)
    return bind(TABLE["conj"], out) if out.dtype.kind == "c" else out


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
    return bind(TABLE["broadcast"], as_tensor(input), shape=shape_of(other))


def _each(tensors: tuple[Any, ...], lift: Callable[[Any], Any]) -> Any:
    """The tensor lifted; of several, or of a list, a tuple."""
    several = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], tuple | list) else tensors
    lifted = tuple(lift(as_tensor(x)) for x in several)
    return lifted[0] if several is tensors and len(tensors) == 1 else lifted


@operation
def atleast_1d(*tensors: Any) -> Any:
    """x with at least one dimension; several tensors give a tuple."""
    return _each(tensors, lambda x: x if x.dim() else to_shape(x, (1,)))


@operation
def atleast_2d(*tensors: Any) -> Any:
    """x with at least two dimensions, vectors become rows; several tensors give a tuple."""
    return _each(tensors, lambda x: x if x.dim() >= 2 else to_shape(x, (1, x.numel())))


@operation
def atleast_3d(*tensors: Any) -> Any:
    """x with at least three dimensions: [n] becomes [1, n, 1], [m, n] becomes [m, n, 1]; several give a tuple."""

    def lift(x: Any) -> Any:
        if x.dim() >= 3:
            return x
        return to_shape(x, (*x.shape, 1) if x.dim() == 2 else (1, x.numel(), 1))

    return _each(tensors, lift)


__all__ = [
    "adjoint",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "broadcast_to",
    "flatten",
    "moveaxis",
    "movedim",
    "permute",
    "ravel",
    "reshape",
    "squeeze",
    "swapaxes",
    "swapdims",
    "t",
    "transpose",
    "unflatten",
    "unsqueeze",
]

METHODS = """
    reshape reshape_as view view_as flatten ravel unflatten squeeze unsqueeze permute transpose swapaxes swapdims t
    movedim moveaxis broadcast_to expand expand_as adjoint
"""  # of Tensor
