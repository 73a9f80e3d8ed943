"""Entries in another order, or several times: flip, roll, rot90, tile, repeat, pad."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.dispatch import Handle, bind
from chainrule.errors import ArgumentError, ShapeError
from chainrule.ops.arguments import lengths, one_dim, operation
from chainrule.ops.array import to_order, to_shape
from chainrule.ops.creation import as_tensor, make_leaf
from chainrule.ops.join import cat
from chainrule.ops.split import along
from chainrule.table.primitive import TABLE


@operation
def flip(input: Any, *dims: Any) -> Any:
    """Entries in reverse order along the dimensions that are named; a copy."""
    x = out = as_tensor(input)
    chosen = [one_dim(d, x.dim()) for d in lengths(dims, "list of dims")]
    if len(set(chosen)) != len(chosen):
        raise ArgumentError("a dimension is named twice", given=f"dims={chosen}", fix="name each once")
    for d in chosen if x.dim() else ():
        out = bind(TABLE["flip"], out, axis=d)
    return x.clone() if out is x else out


@operation
def fliplr(input: Any) -> Any:
    """Columns in reverse order; a copy."""
    return flip(_at_least(input, 2, "fliplr"), 1)


@operation
def flipud(input: Any) -> Any:
    """Rows in reverse order; a copy."""
    return flip(_at_least(input, 1, "flipud"), 0)


def _at_least(input: Any, least: int, name: str) -> Any:
    x = as_tensor(input)
    if x.dim() < least:
        raise ShapeError(f"{name} needs at least {least} dimensions", given=f"shape {list(x.shape)}",
                         fix="use flip(x, dim)")  # fmt: skip
    return x


@operation
def roll(input: Any, shifts: Any, dims: Any = None) -> Any:
    """Entries moved by `shifts` along `dims`; what leaves at one end comes in at the other."""
    x = as_tensor(input)
    steps = lengths((shifts,), "number of steps")
    if dims is None or (isinstance(dims, tuple | list) and not dims):
        if len(steps) != 1:
            raise ArgumentError(f"{len(steps)} shifts and no dims", fix="name one dimension per shift")
        return to_shape(roll(x.reshape(-1), steps, 0), x.shape)
    chosen = lengths((dims,), "list of dims")
    if len(steps) != len(chosen):
        raise ArgumentError("shifts and dims differ in number", given=f"shifts={shifts}, dims={dims}",
                            fix="give one shift for each dimension")  # fmt: skip
    out = x
    for step, dim in zip(steps, (one_dim(d, x.dim()) for d in chosen), strict=True):
        n = out.shape[dim] if x.dim() else 0
        if n and step % n:
            cut = n - step % n
            parts = (("slice", cut, n, 1), ("slice", 0, cut, 1))
            pieces = [bind(TABLE["index"], out, spec=along(dim, part)) for part in parts]
            out = bind(TABLE["concatenate"], *pieces, axis=dim)
    return x.clone() if out is x else out


@operation
def rot90(input: Any, k: int = 1, dims: Any = (0, 1)) -> Any:
    """Turned by k quarter turns, from the first of two dimensions towards the second; a copy."""
    x = as_tensor(input)
    chosen = lengths((dims,), "list of dims")
    pair = [one_dim(d, x.dim()) for d in chosen]
    if len(pair) != 2 or pair[0] == pair[1] or x.dim() < 2:
        raise ArgumentError(
            "rot90 turns in the plane of two dimensions",
            given=f"dims={list(chosen)}, shape {list(x.shape)}", fix="name two that differ",
        )  # fmt: skip
    i, j = pair
    order = list(range(x.dim()))
    order[i], order[j] = j, i
    turns = {
        0: lambda: x.clone(),
        1: lambda: to_order(flip(x, j), tuple(order)).clone(),
        2: lambda: flip(x, i, j),
        3: lambda: flip(to_order(x, tuple(order)), j),
    }
    return turns[k % 4]()


def _tiled(x: Any, reps: tuple[int, ...]) -> Any:
    """x repeated as a whole, once per number; in memory of its own."""
    if any(r < 0 for r in reps):
        raise ArgumentError("a number of repetitions is negative", given=f"{list(reps)}", fix="use 0 or more")
    out = to_shape(x, (1,) * (len(reps) - x.dim()) + tuple(x.shape))
    pairs = [(r, n) for r, n in zip(reps, out.shape, strict=True)]
    out = to_shape(out, tuple(k for _, n in pairs for k in (1, n)))
    out = bind(TABLE["broadcast"], out, shape=tuple(k for r, n in pairs for k in (r, n)))
    out = to_shape(out, tuple(r * n for r, n in pairs))
    return out.clone() if out is x or out.base is not None else out


@operation
def tile(input: Any, *dims: Any) -> Any:
    """x repeated as a whole along its dimensions; missing numbers are ones in front."""
    x = as_tensor(input)
    reps = lengths(dims, "number of repetitions")
    return _tiled(x, (1,) * (x.dim() - len(reps)) + reps)


@operation
def repeat(input: Any, *repeats: Any) -> Any:
    """x repeated as a whole, one number for each dimension (entry by entry: `repeat_interleave`)."""
    x = as_tensor(input)
    reps = lengths(repeats, "number of repetitions")
    if len(reps) < x.dim():
        raise ShapeError(
            f"{len(reps)} repetitions for {x.dim()} dimensions", given=f"shape {list(x.shape)}, repeats {list(reps)}",
            fix="give a number for each dimension, or use tile",
        )  # fmt: skip
    return _tiled(x, reps)


@operation
def repeat_interleave(
    input: Any, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
) -> Any:
    """Each entry along `dim` (of all of them, without) as often as `repeats` says: one number, or one for each."""
    if repeats is None:
        counts = np.asarray(as_tensor(input).v)
        return make_leaf(np.repeat(np.arange(counts.size), counts))
    x = as_tensor(input)
    x, d = (x.reshape(-1), 0) if dim is None or not x.dim() else (x, one_dim(dim, x.dim()))
    times = np.asarray(repeats.v if isinstance(repeats, Handle) else repeats)
    n = x.shape[d]
    if times.dtype.kind not in "iu" or times.ndim > 1 or (times < 0).any():
        raise ArgumentError("repeats are whole numbers >= 0", given=repr(repeats)[:60],
                            fix="give one number, or one for each entry")  # fmt: skip
    if times.ndim and times.size not in (1, n):
        raise ShapeError(f"{times.size} repeats for {n} entries", given=f"shape {list(x.shape)}, dim {d}",
                         fix="give one number, or one for each entry")  # fmt: skip
    places = np.repeat(np.arange(n), times)
    if output_size is not None and output_size != places.size:
        raise ArgumentError(f"the output has {places.size} entries", given=f"output_size={output_size}",
                            fix="leave output_size out")  # fmt: skip
    return bind(TABLE["index"], x, places, spec=along(d, ("array", 0)))


# --- pad ---------------------------------------------------------------------------------------------

# Where the entry at place i of a padded dimension of length n comes from; i runs from -before to n + after - 1. What a
# negative width cuts off stays outside of a:b; a circle closes without it.
_SOURCES = {
    "reflect": lambda i, n, a, b: (n - 1) - np.abs((n - 1) - np.abs(i) % max(2 * (n - 1), 1)),
    "replicate": lambda i, n, a, b: np.clip(i, 0, n - 1),
    "circular": lambda i, n, a, b: a + (i - a) % max(b - a, 1),
}


@operation
def pad(input: Any, pad: Any, mode: str = "constant", value: Any = None) -> Any:
    """x with entries added around it (negative widths cut off), as `torch.nn.functional.pad`.

    Parameters
    ----------
    input
        Any shape.
    pad
        Pairs (before, after) for the dimensions, the last dimension first: ``(1, 2)`` pads the last one.
    mode
        "constant" (`value`, 0 unless given), "reflect" (mirrored at the edge, which is not repeated), "replicate" (the
        edge repeated) or "circular" (from the other end). An entry that is used several times gets the sum of the
        gradients.

    Raises
    ------
    ArgumentError (E104), ShapeError (E101)
        No such mode, an odd count of widths, more pairs than dimensions, or wider than the dimension allows.

    Cost
    ----
    One copy; modes other than "constant" read by index.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.nn.functional.pad(cr.tensor([1.0, 2.0, 3.0]), (2, 1), mode="reflect")
    tensor([3., 2., 1., 2., 3., 2.])
    """
    x = as_tensor(input)
    width = _widths(x, lengths((pad,), "list of widths"))
    if mode == "constant":
        return _constant(x, width, 0.0 if value is None else value)
    if mode not in _SOURCES:
        modes = ", ".join(map(repr, ("constant", *_SOURCES)))
        raise ArgumentError(f"pad has no mode {mode!r}", fix=f"use one of {modes}")
    out = x
    for d, (before, after) in enumerate(width):
        if before or after:
            _check_width(x, d, before, after, mode)
            out = _around(out, d, before, after, mode)
    return x.clone() if out is x else out


def _around(x: Any, d: int, before: int, after: int, mode: str) -> Any:
    """x along dimension d, less what negative widths cut off, between edges that are read by index."""
    n = x.shape[d]
    a, b = max(-before, 0), n - max(-after, 0)
    left, right = (
        bind(TABLE["index"], x, _SOURCES[mode](i, n, a, b), spec=along(d, ("array", 0)))
        for i in (np.arange(-max(before, 0), 0), np.arange(n, n + max(after, 0)))
    )
    return cat([left, bind(TABLE["index"], x, spec=along(d, ("slice", a, max(a, b), 1))), right], d)


def _widths(x: Any, widths: tuple[int, ...]) -> list[tuple[int, int]]:
    """One pair (before, after) per dimension, the first dimension first."""
    if len(widths) % 2 or len(widths) > 2 * x.dim():
        raise ArgumentError(
            "pad takes a pair (before, after) for each dimension, from the last one backwards",
            given=f"{len(widths)} widths for shape {list(x.shape)}", fix="e.g. pad(x, (1, 1)) for the last dimension",
        )  # fmt: skip
    pairs = [(widths[i], widths[i + 1]) for i in range(0, len(widths), 2)]
    full = [*[(0, 0)] * (x.dim() - len(pairs)), *reversed(pairs)]
    for d, (before, after) in enumerate(full):
        if x.shape[d] + before + after < 0:
            raise ShapeError(
                f"{-before - after} entries can't be cut off dimension {d}", given=f"shape {list(x.shape)}",
                fix="cut off at most as many as there are",
            )  # fmt: skip
    return full


def _check_width(x: Any, d: int, before: int, after: int, mode: str) -> None:
    n = x.shape[d]
    most = {"reflect": n - 1, "circular": n, "replicate": math.inf if n else 0}[mode]
    if max(before, after) > most:
        raise ShapeError(
            f"{mode} padding adds at most {most} entries at each end of dimension {d}",
            given=f"shape {list(x.shape)}, widths ({before}, {after})", fix="use smaller widths, or another mode",
        )  # fmt: skip


def _constant(x: Any, width: list[tuple[int, int]], value: Any) -> Any:
    if any(w < 0 for pair in width for w in pair):
        cuts = [(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, width, strict=True)]
        x = bind(TABLE["index"], x, spec=tuple(("slice", a, max(b, a), 1) for a, b in cuts))
        width = [(max(a, 0), max(b, 0)) for a, b in width]
        x = x if any(w for pair in width for w in pair) else x.clone()
    if isinstance(value, int | float) and value == 0:
        return bind(TABLE["pad"], x, width=tuple(width))
    shape = tuple(n + a + b for n, (a, b) in zip(x.shape, width, strict=True))
    inside = tuple(("slice", a, a + n, 1) for n, (a, _) in zip(x.shape, width, strict=True))
    filled = np.full(shape, value.item() if isinstance(value, Handle) else value, x.dtype)
    return bind(TABLE["index_update"], filled, x, spec=inside)


__all__ = [
    "flip",
    "fliplr",
    "flipud",
    "repeat_interleave",
    "roll",
    "rot90",
    "tile",
]

METHODS = """
    flip fliplr flipud roll rot90 tile repeat repeat_interleave
"""  # of Tensor
