"""Views of chosen places: diagonals and windows, with the maps that put values back there."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, ShapeError
from chainrule.table.primitive import Linear, Primitive, check_axes, register

# --- diagonals -----------------------------------------------------------------------------------


def _diagonal(x: Any, *, offset: int, axes: tuple[int, int]) -> Any:
    """As `numpy.diagonal`, which hands out read-only memory: ours may be written to where x may."""
    out = np.diagonal(x, offset, *axes)
    if out.base is not None:
        out.flags.writeable = x.flags.writeable
    return out


def _diagonal_shape(shape: tuple[int, ...], offset: int, axes: tuple[int, int]) -> tuple[int, ...]:
    rows, columns = shape[axes[0]], shape[axes[1]]
    length = min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns)
    return (*(n for i, n in enumerate(shape) if i not in axes), max(length, 0))


def _diagonal_type(x: Any, *, offset: int, axes: tuple[int, int]) -> Any:
    check_axes("diagonal", x, axes)
    if axes[0] == axes[1]:
        raise ArgumentError(
            "a diagonal runs along two dimensions",
            given=f"dimension {axes[0]} twice, {x}",
            fix="name two dimensions that differ",
        )
    return type(x)(_diagonal_shape(x.shape, offset, axes), x.dtype)


def _on_diagonal(x: Any, *, offset: int, axes: tuple[int, int], shape: tuple[int, ...]) -> Any:
    out = np.zeros(shape, np.asarray(x).dtype)
    _diagonal(out, offset=offset, axes=axes)[...] = x
    return out


def _on_diagonal_type(x: Any, *, offset: int, axes: tuple[int, int], shape: tuple[int, ...]) -> Any:
    whole = type(x)(shape, x.dtype)
    place = _diagonal_type(whole, offset=offset, axes=axes)
    if place.shape != x.shape:
        raise ShapeError(
            f"the diagonal has the shape {list(place.shape)}",
            given=f"{x}, shape {list(shape)}, offset {offset}",
            fix=f"give values of shape {list(place.shape)}",
        )
    return whole


diagonal = register(
    Primitive(
        name="diagonal",
        inputs=("x",),
        value=_diagonal,
        type_rule=_diagonal_type,
        rule=Linear(
            transpose={
                "x": lambda emit, ct, x, *, offset, axes: emit(
                    "on_diagonal", ct, offset=offset, axes=axes, shape=x.shape
                )
            },
            holes=True,
        ),
        view=True,
        text="diagonal($x, $offset, $axes)",
        latex=r"\operatorname{diagonal}_{$offset}($x)",
        doc="Entries [i, i + offset] along two axes, as a last dimension.",
        samples=(
            dict(shapes=[(3, 4)], offset=0, axes=(0, 1)),
            dict(shapes=[(2, 3, 4)], offset=-1, axes=(2, 1)),
            dict(shapes=[(2, 2)], offset=5, axes=(0, 1)),
        ),
        source="the transpose of reading places is writing to them, zeros elsewhere",
    )
)
on_diagonal = register(
    Primitive(
        name="on_diagonal",
        inputs=("x",),
        value=_on_diagonal,
        type_rule=_on_diagonal_type,
        rule=Linear(
            transpose={
                "x": lambda emit, ct, x, *, offset, axes, shape: emit(
                    "diagonal", ct, offset=offset, axes=axes
                )
            }
        ),
        text="on_diagonal($x, $offset, $axes, $shape)",
        latex=r"\operatorname{diag}_{$offset}($x)",
        doc="Zeros of a given shape with x on a diagonal.",
        samples=(
            dict(shapes=[(3,)], offset=0, axes=(0, 1), shape=(3, 4)),
            dict(shapes=[(2, 2)], offset=1, axes=(1, 2), shape=(2, 2, 3)),
        ),
        source="the transpose of diagonal",
    )
)

# --- windows -------------------------------------------------------------------------------------


def _windows(x: Any, *, axis: int, size: int, step: int) -> Any:
    """A view; where windows overlap an entry is seen several times, so it can't be written to."""
    out = np.lib.stride_tricks.sliding_window_view(x, size, axis, writeable=bool(x.flags.writeable))
    out = out[(*(slice(None),) * axis, slice(None, None, step))]
    if step < size:
        out.flags.writeable = False
    return out


def _windows_type(x: Any, *, axis: int, size: int, step: int) -> Any:
    check_axes("unfold", x, (axis,))
    if not 0 <= size <= x.shape[axis] or step < 1:
        raise ArgumentError(
            f"windows of {size} entries, {step} apart, do not fit",
            given=f"{x}, dimension {axis} of length {x.shape[axis]}",
            fix=f"choose a size of at most {x.shape[axis]} and a step of at least 1",
        )
    count = (x.shape[axis] - size) // step + 1
    return type(x)((*x.shape[:axis], count, *x.shape[axis + 1 :], size), x.dtype)


def _add_windows(x: Any, *, axis: int, step: int, shape: tuple[int, ...]) -> Any:
    out = np.zeros(shape, np.asarray(x).dtype)
    lead, count = (slice(None),) * axis, x.shape[axis]
    for k in range(x.shape[-1] if count else 0):
        out[(*lead, slice(k, k + (count - 1) * step + 1, step))] += x[..., k]
    return out


def _add_windows_type(x: Any, *, axis: int, step: int, shape: tuple[int, ...]) -> Any:
    whole = type(x)(shape, x.dtype)
    place = _windows_type(whole, axis=axis, size=x.shape[-1], step=step)
    if place.shape != x.shape:
        raise ShapeError(
            f"the windows have the shape {list(place.shape)}",
            given=f"{x}, shape {list(shape)}",
            fix=f"give values of shape {list(place.shape)}",
        )
    return whole


windows = register(
    Primitive(
        name="windows",
        inputs=("x",),
        value=_windows,
        type_rule=_windows_type,
        rule=Linear(
            transpose={
                "x": lambda emit, ct, x, *, axis, size, step: emit(
                    "add_windows", ct, axis=axis, step=step, shape=x.shape
                )
            },
            holes=True,
        ),
        view=True,
        text="unfold($x, $axis, $size, $step)",
        latex=r"\operatorname{unfold}_{$axis}($x)",
        doc="Windows of `size` entries along an axis, `step` apart, each as a last dimension.",
        samples=(
            dict(shapes=[(5,)], axis=0, size=3, step=1),
            dict(shapes=[(2, 7)], axis=1, size=2, step=3),
            dict(shapes=[(4, 2)], axis=0, size=2, step=2),
        ),
        source="an entry that several windows see gets the sum of their cotangents",
    )
)
add_windows = register(
    Primitive(
        name="add_windows",
        inputs=("x",),
        value=_add_windows,
        type_rule=_add_windows_type,
        rule=Linear(
            transpose={
                "x": lambda emit, ct, x, *, axis, step, shape: emit(
                    "windows", ct, axis=axis, size=x.shape[-1], step=step
                )
            }
        ),
        text="add_windows($x, $axis, $step, $shape)",
        latex=r"\operatorname{fold}_{$axis}($x)",
        doc="Zeros of a given shape with x added in windows along an axis.",
        samples=(
            dict(shapes=[(3, 3)], axis=0, step=1, shape=(5,)),
            dict(shapes=[(2, 2, 2)], axis=1, step=3, shape=(2, 7)),
        ),
        source="the transpose of windows",
    )
)
