"""Norms along axes: Euclidean, and of any other order."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.table.blocks import as_rows
from chainrule.table.formula import Param, apply
from chainrule.table.primitive import Partials, reduced_shape, reduction
from chainrule.table.reduce import AXES
from chainrule.table.select import where


def _norm(x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    """√Σ|x|²; scaled only where the plain sum leaves the range of the dtype."""
    if x.dtype == np.float16:
        return _norm(x.astype(np.float32), axis=axis, keepdims=keepdims).astype(np.float16)
    if len(axis) == x.ndim and not keepdims and x.dtype == np.float64:
        total = np.vdot(x, x)  # one pass, no temporary
        if 1e-280 < total < 1e300 or (total == 0 and not x.any()):
            return np.sqrt(total)
    rows = as_rows(x, axis)
    if rows is None:
        squares = np.sum(np.square(np.abs(x) if x.dtype.kind == "c" else x), axis, keepdims=True)
    else:
        squares = np.vecdot(rows, rows).reshape(reduced_shape(x.shape, axis, True))
    out = np.sqrt(squares)
    tiny = np.sqrt(np.finfo(out.dtype).tiny) / np.finfo(out.dtype).eps
    if not np.all((out > tiny) & np.isfinite(out)):
        top = np.max(np.abs(x), axis, keepdims=True, initial=0)
        scale = np.where((top > 0) & np.isfinite(top), top, 1).astype(out.dtype)
        out = np.sqrt(np.sum(np.square(np.abs(x / scale)), axis, keepdims=True)) * scale
    return out if keepdims else out.reshape(reduced_shape(x.shape, axis, False))


norm = reduction(
    "norm", _norm, Partials({"x": lambda x, out: where(out == 0, 0.0, x / out)}), result_dtype="real",
    on_complex=lambda emit, x, **params: emit("norm", emit("abs", x), **params),
    latex=r"\left\lVert $x \right\rVert", doc="Euclidean norm √Σx² over axes, without overflow.",
    samples=AXES,
    kinks={"x = 0": "convex: of the unit ball of subgradients the shortest, 0, is taken"},
    source="∂‖x‖/∂x = x/‖x‖",
)  # fmt: skip


def _p_norm(x: Any, *, axis: tuple[int, ...], keepdims: bool, ord: float) -> Any:
    """(Σ|x|ᵖ)^(1/p), with |x| in units of the entry that counts most: so no power leaves the range."""
    if x.dtype == np.float16:
        return _p_norm(x.astype(np.float32), axis=axis, keepdims=keepdims, ord=ord).astype(np.float16)
    size = np.abs(x)
    top = (
        np.max(size, axis, keepdims=True, initial=0)
        if ord > 0
        else np.min(size, axis, keepdims=True, initial=np.inf)
    )
    scale = np.where((top > 0) & np.isfinite(top), top, np.ones((), size.dtype))
    total = np.add.reduce(np.power(size / scale, ord), axis, keepdims=True)
    out = np.power(total, 1 / ord) * scale
    return out if keepdims else out.reshape(reduced_shape(x.shape, axis, False))


def _p_slope(x: Any, out: Any, *, ord: Any) -> Any:
    """sign(x) (|x|/‖x‖)^(p-1); where all entries are 0 the shortest subgradient for p > 1, and NaN for p < 1."""
    at_zero = Param("(0 if p > 1 else nan)", lambda env: 0.0 if env["ord"] > 1 else math.nan)
    slope = apply("sign", x) * apply("pow", apply("abs", x) / out, ord - 1.0)
    return where((out == 0) & (x == 0), at_zero, slope)


p_norm = reduction(
    "p_norm", _p_norm, Partials({"x": _p_slope}), result_dtype="real",
    on_complex=lambda emit, x, **params: emit("p_norm", emit("abs", x), **params),
    latex=r"\left\lVert $x \right\rVert_{$ord}", text="p_norm($x, $ord)",
    doc="(Σ|x|ᵖ)^(1/p) over axes, without overflow; p is not 0, 1, 2 or infinite.",
    samples=tuple({**s, "ord": p} for s, p in zip(AXES, (3.0, 1.5, -2.0), strict=True)),
    kinks={"x = 0": "convex for p > 1: of the ball of subgradients the shortest, 0, is taken"},
    undefined={"an entry 0, p < 1": "a cusp, where slopes of both signs are infinite: NaN"},
    source="∂‖x‖/∂xᵢ = sign(xᵢ) |xᵢ|^(p-1) ‖x‖^(1-p)",
)  # fmt: skip
