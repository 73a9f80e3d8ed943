"""Reductions along axes: sum mean amax amin prod any all argmax argmin."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.errors import ShapeError
from chainrule.table.blocks import as_rows, row_sums
from chainrule.table.formula import apply
from chainrule.table.primitive import (
    Linear,
    Partials,
    Primitive,
    check_axes,
    count_along,
    reduced_shape,
    reduction,
    refuse_complex,
    register,
)
from chainrule.table.select import where

# Note [Partials over an axis]
# ∂out/∂xᵢ is a formula in x and `out`, where `out` is spread back over the reduced axes. Forward mode is
# Σ d·t,
# reverse mode spread(ct)·d (transforms/derive.py). The parameter `count` is the number of entries per result.

AXES = (
    dict(shapes=[(4,)], axis=(0,), keepdims=False),
    dict(shapes=[(2, 3)], axis=(1,), keepdims=True),
    dict(shapes=[(2, 3, 2)], axis=(0, 2), keepdims=False),
)


def spread(emit: Any, ct: Any, shape: tuple[int, ...], axis: tuple[int, ...], keepdims: bool) -> Any:
    """`ct` of a reduction, repeated over the reduced axes."""
    kept = reduced_shape(shape, axis, True)
    if not keepdims and kept != ct.shape:
        ct = emit("reshape", ct, shape=kept)
    return emit("broadcast", ct, shape=shape) if kept != shape else ct


def _sum_transpose(emit: Any, ct: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    return spread(emit, ct, x.shape, axis, keepdims)


def _sum(x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    rows = as_rows(x, axis)
    if rows is None:
        return np.add.reduce(x, axis, keepdims=keepdims)
    return row_sums(rows).reshape(reduced_shape(x.shape, axis, keepdims))[()]


sum_ = reduction(
    "sum", _sum, Linear(transpose={"x": _sum_transpose}),
    latex=r"\sum $x", doc="Sum over axes.",
    samples=(*AXES, dict(shapes=[(0, 3)], axis=(0,), keepdims=False)),
    source="the transpose of summing is repeating",
)  # fmt: skip


def _mean_transpose(emit: Any, ct: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    n = count_along(x.shape, axis)
    return spread(emit, emit("mul", ct, 1.0 / n if n else math.nan), x.shape, axis, keepdims)


def _mean(x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    n = count_along(x.shape, axis)
    if x.dtype == np.float16:  # neither the sum nor the count of many entries fits
        wide = np.add.reduce(x, axis, keepdims=keepdims, dtype=np.float32)
        return (wide / np.float32(n)).astype(np.float16)
    return _sum(x, axis=axis, keepdims=keepdims) / x.dtype.type(n)


mean = reduction(
    "mean", _mean, Linear(transpose={"x": _mean_transpose}),
    latex=r"\operatorname{mean}($x)", doc="Mean over axes; NaN over none.", samples=AXES,
    source="sum / count",
)  # fmt: skip


def selection(name: str, value: Any, latex: str, what: str) -> Primitive:
    """A reduction whose result is one of its entries."""

    def partial(x: Any, out: Any, *, axis: Any) -> Any:
        count = apply("sum", apply("cast_like", x == out, x), axis=axis, keepdims=True)
        share = 1.0 / count  # infinite where the result is NaN, which no entry is equal to
        return where(x == out, share, 0.0 * share)

    return reduction(
        name, value, Partials({"x": partial}),
        bounded=True, selects=True, on_complex=refuse_complex(name), latex=latex + " $x",
        doc=f"{what} along axes.", samples=AXES, kinks={"k entries tie": "the shortest subgradient: 1/k each"},
        source="the derivative of the entries that are selected",
    )  # fmt: skip


def _amax(x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    return np.max(x, axis, keepdims=keepdims)


def _amin(x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    return np.min(x, axis, keepdims=keepdims)


amax = selection("amax", _amax, r"\max", "Largest entry")
amin = selection("amin", _amin, r"\min", "Smallest entry")


def _along_one(name: str, dtype: np.dtype | None = None) -> Any:
    """Type rule of a reduction along one axis."""

    def rule(x: Any, *, axis: int, keepdims: bool) -> Any:
        check_axes(name, x, (axis,))
        return type(x)(reduced_shape(x.shape, (axis,), keepdims), dtype or x.dtype)

    return rule


prod = register(
    Primitive(
        name="prod",
        inputs=("x",),
        value=lambda x, *, axis, keepdims: np.prod(x, axis, keepdims=keepdims),
        type_rule=_along_one("prod"),
        rule=Partials({"x": lambda x, *, axis: apply("others", x, axis=axis)}),
        kind="reduction",
        text="prod($x)",
        latex=r"\prod $x",
        doc="Product along one axis.",
        samples=(dict(shapes=[(4,)], axis=0, keepdims=False), dict(shapes=[(2, 3)], axis=1, keepdims=True)),
        source="product rule: ∂/∂xᵢ is the product of the others",
    )
)


def _cast_like_type(x: Any, y: Any) -> Any:
    if x.shape != y.shape:
        fix = "make the shapes equal"
        raise ShapeError("inputs of cast_like differ in shape", given=f"{x}, {y}", fix=fix)
    return y


cast_like = register(
    Primitive(
        name="cast_like",
        inputs=("x", "y"),
        value=lambda x, y: np.asarray(x).astype(np.asarray(y).dtype),
        type_rule=_cast_like_type,
        rule=None,
        text="cast($x)",
        latex=r"\left[$x\right]",
        doc="A truth value as the numbers 0 and 1, in the dtype of y. It has no slope in either.",
        samples=(dict(shapes=[(3,), (3,)]), dict(shapes=[(0,), (0,)])),
        source="the indicator function",
    )
)


def _boolean(name: str, value: Any, doc: str) -> Primitive:
    return reduction(
        name, lambda x, *, axis, keepdims: value(x, axis, keepdims=keepdims), None, result_dtype="bool",
        doc=doc,
        samples=AXES, source="Boolean algebra",
    )  # fmt: skip


any_ = _boolean("any", np.any, "Whether any entry is true (not 0).")
all_ = _boolean("all", np.all, "Whether all entries are true (not 0).")


def _place(name: str, value: Any, doc: str) -> Primitive:
    return register(
        Primitive(
            name=name,
            inputs=("x",),
            value=lambda x, *, axis, keepdims: value(x, axis, keepdims=keepdims),
            type_rule=_along_one(name, np.dtype(np.int64)),
            rule=None,
            text=f"{name}($x)",
            latex=rf"\operatorname{{{name}}} $x",
            doc=doc,
            samples=(
                dict(shapes=[(4,)], axis=0, keepdims=False),
                dict(shapes=[(2, 3)], axis=1, keepdims=True),
            ),
            source="a place, not a differentiable value",
            on_complex=refuse_complex(name),
        )
    )


argmax = _place("argmax", np.argmax, "Place of the first largest entry along an axis.")
argmin = _place("argmin", np.argmin, "Place of the first smallest entry along an axis.")
