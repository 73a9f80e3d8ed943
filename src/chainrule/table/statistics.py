"""Statistics along axes: var std, and the median of all entries."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.table.blocks import as_rows, row_squares, row_sums
from chainrule.table.formula import Param, apply
from chainrule.table.primitive import Partials, count_along, reduced_shape, reduction
from chainrule.table.reduce import AXES, _mean, selection
from chainrule.table.select import where


def _centred(x: Any, axis: Any) -> Any:
    return x - apply("mean", x, axis=axis, keepdims=True)


def _var(x: Any, *, axis: tuple[int, ...], keepdims: bool, correction: float) -> Any:
    if x.dtype == np.float16:
        wide = _var(x.astype(np.float32), axis=axis, keepdims=keepdims, correction=correction)
        return wide.astype(np.float16)
    n = count_along(x.shape, axis)
    freedom = x.dtype.type(max(n - correction, 0))
    rows = as_rows(x, axis)
    if rows is not None:
        squares = row_squares(rows, row_sums(rows) / x.dtype.type(n))
        return (squares / freedom).reshape(reduced_shape(x.shape, axis, keepdims))[()]
    d = x - _mean(x, axis=axis, keepdims=True)
    return np.sum(d * d, axis, keepdims=keepdims) / freedom


def _share(times: float) -> Param:
    """times/(count - correction): one number, as a large count does not fit into float16."""

    def value(env: Any) -> float:
        freedom = env["count"] - env["correction"]
        return times / freedom if freedom > 0 else math.inf

    return Param(f"({times:g} / max(count - correction, 0))", value)


def _complex_var(emit: Any, z: Any, **params: Any) -> Any:
    """The mean squared distance |z - mean|²: that of the real parts, and that of the imaginary parts."""
    return emit("add", *(emit("var", emit(part, z), **params) for part in ("real", "imag")))


def _complex_std(emit: Any, z: Any, **params: Any) -> Any:
    return emit("hypot", *(emit("std", emit(part, z), **params) for part in ("real", "imag")))


_CORRECTED = tuple({**s, "correction": c} for s, c in zip(AXES, (1, 0, 1), strict=True))

var = reduction(
    "var", _var,
    Partials({"x": lambda x, *, axis, count, correction: _share(2.0) * _centred(x, axis)}),
    on_complex=_complex_var, result_dtype="real",
    latex=r"\operatorname{var}($x)", doc="Variance over axes, divided by count - correction.",
    samples=_CORRECTED,
    source="∂/∂xᵢ Σ(x - mean)² = 2(xᵢ - mean): the terms through the mean cancel",
)  # fmt: skip
std = reduction(
    "std", lambda x, **params: np.sqrt(_var(x, **params)),
    Partials({"x": lambda x, out, *, axis, count, correction:
              where(out == 0, 0.0, _share(1.0) * _centred(x, axis) / out)}),
    on_complex=_complex_std, result_dtype="real",
    latex=r"\operatorname{std}($x)", doc="Standard deviation over axes, √var.", samples=_CORRECTED,
    kinks={"all entries equal": "convex: the shortest subgradient, 0, is taken"}, source="chain rule on var",
)  # fmt: skip


def _median(x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    """The lower of two middle entries; NaN if there is one, or nothing."""
    lines = _lines(x, axis)
    n = lines.shape[-1]
    if not n:
        return np.full(reduced_shape(x.shape, axis, keepdims), np.nan, x.dtype)
    out = np.partition(lines, [(n - 1) // 2, n - 1], -1)
    middle = np.where(out[..., -1] != out[..., -1], out[..., -1], out[..., (n - 1) // 2])
    return middle.reshape(reduced_shape(x.shape, axis, keepdims))


def _nanmedian(x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    """The median of what is a number; NaN if nothing is."""
    lines = np.sort(_lines(x, axis), -1)  # NaN comes last
    if not lines.shape[-1]:
        return _median(x, axis=axis, keepdims=keepdims)
    middle = np.maximum(np.sum(lines == lines, -1, keepdims=True) - 1, 0) // 2
    return np.take_along_axis(lines, middle, -1).reshape(reduced_shape(x.shape, axis, keepdims))


def _lines(x: Any, axis: tuple[int, ...]) -> Any:
    """The entries that go into one result as one last axis."""
    shape = (*reduced_shape(x.shape, axis, False), count_along(x.shape, axis))
    return np.moveaxis(x, axis, range(-len(axis), 0)).reshape(shape)


median = selection("median", _median, r"\operatorname{med}", "Median, the lower of two middle entries,")
nanmedian = selection(
    "nanmedian", _nanmedian, r"\operatorname{med}", "Median of the entries that are numbers,"
)
