"""Along one dimension: running sums, products and extremes, differences, trapezoids, slopes on a grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.dispatch import bind
from chainrule.errors import ArgumentError, ShapeError
from chainrule.ops import array, join, split
from chainrule.ops import elementwise as e
from chainrule.ops.arguments import dims, one_dim, operation
from chainrule.ops.creation import as_tensor
from chainrule.ops.reduce import found_along, inexact, numbers, reduced
from chainrule.table.primitive import TABLE
from chainrule.tape.promote import get_default_dtype, is_inexact


def _scan(name: str, x: Any, dim: int) -> Any:
    axis = one_dim(dim, x.dim())
    return x if x.dim() == 0 else bind(TABLE[name], x, axis=axis, reverse=False)


@operation
def cumsum(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """Running sum along `dim`."""
    return _scan("cumsum", numbers(input, dtype), dim)


@operation
def cumprod(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """Running product along `dim`; its gradient is right with zeros among the entries.

    Cost: the gradient is a linear recurrence, some 40 ns per entry along one long dimension.
    """
    return _scan("cumprod", numbers(input, dtype), dim)


@operation
def logcumsumexp(input: Any, dim: int) -> Any:
    """Running ln Σ eˣ along `dim`, without overflow.

    Cost: the gradient is a linear recurrence, some 40 ns per entry along one long dimension.
    """
    return _scan("logcumsumexp", inexact("logcumsumexp", input), dim)


@operation
def cummax(input: Any, dim: int) -> Any:
    """`(values, indices)` of the largest entry so far along `dim`; each gets the whole gradient."""
    return found_along("cummax", "argcummax", input, dim)


@operation
def cummin(input: Any, dim: int) -> Any:
    """`(values, indices)` of the smallest entry so far along `dim`; each gets the whole gradient."""
    return found_along("cummin", "argcummin", input, dim)


# --- differences ------------------------------------------------------------------------------------


def _ends(x: Any, dim: int) -> tuple[Any, Any]:
    """All entries but the last, and all but the first, along `dim`."""
    n = max(x.shape[dim] - 1, 0)
    return split.narrow(x, dim, 0, n), split.narrow(x, dim, x.shape[dim] - n, n)


@operation
def diff(input: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """Differences of neighbours along `dim`, taken `n` times; `prepend` and `append` are put on first (not for n=0)."""
    parts = [as_tensor(v) for v in (prepend, input, append) if v is not None]
    if n < 0 or not parts[0].dim():
        given = f"n={n}, shape {list(parts[0].shape)}"
        fix = "use n=0, 1, 2 … and a tensor with a dimension"
        raise ArgumentError("diff takes neighbours along a dimension", given=given, fix=fix)
    x = join.cat(parts, dim) if len(parts) > 1 and n else as_tensor(input)
    axis = one_dim(dim, x.dim())
    for _ in range(n):
        low, high = _ends(x, axis)
        x = e.logical_xor(high, low) if x.dtype == np.bool_ else e.minus(high, low)
    return x


def _steps(y: Any, x: Any, dx: Any, axis: int) -> Any:
    """Widths of the intervals between the entries of y: one number, or a tensor that fits."""
    if x is None:
        return 1.0 if dx is None else dx
    if dx is not None:
        raise ArgumentError("the points x and the spacing dx are both given", fix="give one of them")
    x = as_tensor(x)
    if x.dim() == 1:
        if x.shape[0] != y.shape[axis]:
            given = f"{x.shape[0]} points, {y.shape[axis]} values"
            raise ShapeError(
                "as many points as values are needed", given=given, fix="give one point per value"
            )
        low, high = _ends(x, 0)
        return array.reshape(e.minus(high, low), -1, *(1,) * (y.dim() - 1 - axis))
    low, high = _ends(x, axis - y.dim())
    return e.minus(high, low)


def _areas(y: Any, x: Any, dx: Any, dim: int) -> tuple[Any, int]:
    """Areas of the trapezoids between neighbours along `dim`."""
    y = as_tensor(y)
    if not is_inexact(y.dtype):
        y = e.cast(y, get_default_dtype())
    if not y.dim():
        fix = "give a tensor with a dimension"
        raise ArgumentError(
            "a trapezoid lies between neighbours along a dimension", given="one number", fix=fix
        )
    axis = one_dim(dim, y.dim())
    low, high = _ends(y, axis)
    area = e.times(e.times(e.plus(low, high), 0.5), _steps(y, x, dx, axis))
    return area, axis - y.dim()


@operation
def trapezoid(y: Any, x: Any = None, *, dx: Any = None, dim: int = -1) -> Any:
    """Area under the values `y` along `dim` by the trapezoid rule, at points `x` or at distance `dx` (1).

    Gradients flow to `y` and to `x`.
    """
    area, axis = _areas(y, x, dx, dim)
    return reduced("sum", area, axis, False)


@operation
def cumulative_trapezoid(y: Any, x: Any = None, *, dx: Any = None, dim: int = -1) -> Any:
    """Running area under the values `y` along `dim`, one entry less than `y`; else as `trapezoid`."""
    area, axis = _areas(y, x, dx, dim)
    return _scan("cumsum", area, axis)


# --- slopes -----------------------------------------------------------------------------------------


@operation
def gradient(input: Any, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1) -> Any:
    """Slopes of values on a grid by central differences: one tensor for each of `dim` (all, if None).

    `spacing` is a distance for all, a list of one distance for each dimension, or a list of tensors with the
    coordinates along each. At the edges, `edge_order` 1 takes the nearest difference, 2 a parabola. Gradients flow to
    `input` and to coordinates that are tensors. (The derivative of a *function* is `chainrule.grad`.)
    """
    x = as_tensor(input)
    if not is_inexact(x.dtype):
        x = e.cast(x, get_default_dtype())
    axes = (
        dims(dim, x.dim()) if dim is None or isinstance(dim, int) else tuple(one_dim(d, x.dim()) for d in dim)
    )
    if edge_order not in (1, 2):
        raise ArgumentError(f"gradient has no edge_order={edge_order}", fix="use 1 or 2")
    for axis in axes:
        if x.shape[axis] <= edge_order:
            given = f"{x.shape[axis]} in dimension {axis}"
            raise ArgumentError(
                f"gradient needs {edge_order + 1} values", given=given, fix="give more values"
            )
    return tuple(
        _slopes(x, axis, h, edge_order) for axis, h in zip(axes, _spacings(spacing, axes), strict=True)
    )


def _spacings(spacing: Any, axes: tuple[int, ...]) -> Sequence[Any]:
    """For each dimension a distance, or coordinates in one dimension."""
    if spacing is None:
        spacing = 1.0
    given = list(spacing) if isinstance(spacing, list | tuple) else [spacing] * len(axes)
    if len(given) != len(axes):
        fix = "give one for all, or one for each dimension"
        raise ArgumentError(f"{len(given)} spacings for {len(axes)} dimensions", fix=fix)
    return given


def _slopes(x: Any, axis: int, h: Any, edge_order: int) -> Any:
    n = x.shape[axis]

    def part(i: int, length: int = 1) -> Any:
        return split.narrow(x, axis, i, length)

    def step(i: int, length: int = 1) -> Any:
        """Widths of intervals, counted from the first."""
        return split.narrow(widths, axis, i, length)

    if (hasattr(h, "dim") and h.dim()) or (isinstance(h, np.ndarray) and h.ndim):
        widths = _steps(x, h, None, axis)
        widths = array.reshape(widths, *(-1 if k == axis else 1 for k in range(x.dim())))
    else:
        widths = array.broadcast_to(
            e.cast(as_tensor(h), x.dtype), [n - 1 if k == axis else 1 for k in range(x.dim())]
        )
    change = e.true_divide(e.minus(part(1, n - 1), part(0, n - 1)), widths)  # slope of each interval

    def slope(i: int, length: int = 1) -> Any:
        return split.narrow(change, axis, i, length)

    def weighted(i: int, length: int = 1) -> Any:
        """Slope at points between two intervals: that of the parabola through three points."""
        left, right = step(i, length), step(i + 1, length)
        share = e.true_divide(right, e.plus(left, right))
        return e.plus(e.times(share, slope(i, length)), e.times(e.minus(1.0, share), slope(i + 1, length)))

    inner = [weighted(0, n - 2)] if n > 2 else []
    if edge_order == 1:
        return join.cat([slope(0), *inner, slope(n - 2)], axis)
    first = e.minus(e.times(2.0, slope(0)), split.narrow(inner[0], axis, 0, 1))
    last = e.minus(e.times(2.0, slope(n - 2)), split.narrow(inner[0], axis, n - 3, 1))
    return join.cat([first, *inner, last], axis)


__all__ = [
    "cummax",
    "cummin",
    "cumprod",
    "cumsum",
    "cumulative_trapezoid",
    "diff",
    "gradient",
    "logcumsumexp",
    "trapezoid",
]

METHODS = """
    cumsum cumprod cummax cummin logcumsumexp diff
"""  # of Tensor
