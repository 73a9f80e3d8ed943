"""Reductions and scans along axes: sum mean prod amax amin var std logsumexp norm softmax any all argmax"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.errors import ShapeError
from chainrule.table.blocks import is_large, total
from chainrule.table.formula import Param, apply
from chainrule.table.primitive import (
    Jvp,
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
from chainrule.table.shape import _axis_type

# Note [Partials over an axis]
# ∂out/∂xᵢ is a formula in x and `out`, where `out` is spread back over the reduced axes. Forward mode is
# Σ d·t,
# reverse mode spread(ct)·d (transforms/derive.py). The parameter `count` is the number of entries per result.

_AXES = (
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
    if len(axis) == x.ndim and not keepdims and is_large(x) and x.dtype.kind == "f":
        return total(x)
    return np.add.reduce(x, axis, keepdims=keepdims)


sum_ = reduction(
    "sum", _sum, Linear(transpose={"x": _sum_transpose}),
    latex=r"\sum $x", doc="Sum over axes.",
    samples=(*_AXES, dict(shapes=[(0, 3)], axis=(0,), keepdims=False)),
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
    latex=r"\operatorname{mean}($x)", doc="Mean over axes; NaN over none.", samples=_AXES,
    source="sum / count",
)  # fmt: skip


def _extreme(name: str, value: Any, latex: str, word: str) -> Primitive:
    def partial(x: Any, out: Any, *, axis: Any) -> Any:
        selected = apply("cast_like", x == out, x)
        return selected / apply("sum", selected, axis=axis, keepdims=True)  # 0/0 where the result is NaN

    return reduction(
        name, lambda x, *, axis, keepdims: value(x, axis, keepdims=keepdims), Partials({"x": partial}),
        bounded=True, selects=True, on_complex=refuse_complex(name), latex=latex + " $x",
        doc=f"{word} entry along axes.", samples=_AXES,
        kinks={"k entries tie": "the shortest subgradient: 1/k each"},
        source="the derivative of the entries that are selected",
    )  # fmt: skip


amax = _extreme("amax", np.max, r"\max", "Largest")
amin = _extreme("amin", np.min, r"\min", "Smallest")


def _centred(x: Any, axis: Any) -> Any:
    return x - apply("mean", x, axis=axis, keepdims=True)


def _var(x: Any, *, axis: tuple[int, ...], keepdims: bool, correction: float) -> Any:
    if x.dtype == np.float16:
        wide = _var(x.astype(np.float32), axis=axis, keepdims=keepdims, correction=correction)
        return wide.astype(np.float16)
    n = count_along(x.shape, axis)
    d = x - _mean(x, axis=axis, keepdims=True)
    return np.sum(d * d, axis, keepdims=keepdims) / x.dtype.type(max(n - correction, 0))


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


_CORRECTED = tuple({**s, "correction": c} for s, c in zip(_AXES, (1, 0, 1), strict=True))

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


def _logsumexp(x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    top = (
        np.max(x, axis, keepdims=True)
        if count_along(x.shape, axis)
        else np.full(reduced_shape(x.shape, axis, True), -np.inf)
    )
    top = np.where(np.isfinite(top), top, 0).astype(x.dtype)
    out = np.log(np.sum(np.exp(x - top), axis, keepdims=True)) + top
    return out if keepdims else out.reshape(reduced_shape(x.shape, axis, False))


def _softmax(x: Any, *, axis: tuple[int, ...]) -> Any:
    if not x.size:
        return x
    top = np.max(x, axis, keepdims=True)
    e = np.exp(x - top)
    out = e / np.sum(e, axis, keepdims=True)
    return out if np.isfinite(top).all() else np.where(np.isfinite(top), out, e)


def _softmax_push(emit: Any, args: Any, tangents: Any, out: Any, *, axis: tuple[int, ...]) -> Any:
    (t,) = tangents
    mean_change = emit("sum", emit("mul", out, t), axis=axis, keepdims=True)
    return emit("mul", out, emit("sub", t, mean_change))


def _softmax_type(x: Any, *, axis: tuple[int, ...]) -> Any:
    check_axes("softmax", x, axis)
    return x


softmax = register(
    Primitive(
        name="softmax",
        inputs=("x",),
        value=_softmax,
        type_rule=_softmax_type,
        rule=Jvp(_softmax_push),
        bounded=True,
        text="softmax($x)",
        latex=r"\operatorname{softmax}($x)",
        doc="eˣ/Σeˣ over axes: the slope of logsumexp, without overflow.",
        samples=tuple(dict(shapes=s["shapes"], axis=s["axis"]) for s in _AXES),
        undefined={"all entries -inf": "the weights 0/0 have no value: NaN"},
        source="∂sᵢ/∂xⱼ = sᵢ(δᵢⱼ - sⱼ)",
    )
)
logsumexp = reduction(
    "logsumexp", _logsumexp, Partials({"x": lambda x, *, axis: apply("softmax", x, axis=axis)}),
    bounded=True, latex=r"\ln \sum e^{$x}", doc="ln Σ eˣ over axes, without overflow.", samples=_AXES,
    undefined={"all entries -inf": "the weights 0/0 have no value: NaN"},
    source="∂/∂xᵢ = e^{xᵢ}/Σeˣ; as e^{xᵢ - out} it would lose its digits where |x| is large",
)  # fmt: skip


def _norm(x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    """√Σ|x|²; scaled only where the plain sum leaves the range of the dtype."""
    if len(axis) == x.ndim and not keepdims and x.dtype == np.float64:
        total = np.vdot(x, x)  # one pass, no temporary
        if 1e-280 < total < 1e300 or (total == 0 and not x.any()):
            return np.sqrt(total)
    out = np.sqrt(np.sum(np.square(np.abs(x) if x.dtype.kind == "c" else x), axis, keepdims=True))
    tiny = np.sqrt(np.finfo(out.dtype).tiny) / np.finfo(out.dtype).eps
    if not np.all((out > tiny) & np.isfinite(out)):
        top = np.max(np.abs(x), axis, keepdims=True, initial=0)
        scale = np.where((top > 0) & np.isfinite(top), top, 1).astype(out.dtype)
        out = np.sqrt(np.sum(np.square(np.abs(x / scale)), axis, keepdims=True)) * scale
    return out if keepdims else out.reshape(reduced_shape(x.shape, axis, False))


norm = reduction(
    "norm", _norm, Partials({"x": lambda x, out: where(out == 0, 0.0, x / out)}), result_dtype="real",
    on_complex=lambda emit, x, **params: emit("norm", emit("abs", x), **params), bounded=True,
    latex=r"\left\lVert $x \right\rVert", doc="Euclidean norm √Σx² over axes, without overflow.",
    samples=_AXES,
    kinks={"x = 0": "convex: of the unit ball of subgradients the shortest, 0, is taken"},
    source="∂‖x‖/∂x = x/‖x‖",
)  # fmt: skip


def _others(x: Any, axis: int) -> Any:
    """∏ of the other entries: from the left times from the right, so zeros need no division."""
    left = apply("shift", apply("cumprod", x, axis=axis, reverse=False), axis=axis, step=1) + apply(
        "edge", x, axis=axis, last=False
    )
    right = apply("shift", apply("cumprod", x, axis=axis, reverse=True), axis=axis, step=-1) + apply(
        "edge", x, axis=axis, last=True
    )
    return left * right


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
        rule=Partials({"x": lambda x, *, axis: _others(x, axis)}),
        kind="reduction",
        text="prod($x)",
        latex=r"\prod $x",
        doc="Product along one axis.",
        samples=(dict(shapes=[(4,)], axis=0, keepdims=False), dict(shapes=[(2, 3)], axis=1, keepdims=True)),
        source="product rule: ∂/∂xᵢ is the product of the others",
    )
)


def _edge(x: Any, *, axis: int, last: bool) -> Any:
    out = np.zeros_like(x)
    if x.shape[axis]:
        out[(slice(None),) * axis + (-1 if last else 0,)] = 1
    return out


edge = register(
    Primitive(
        name="edge",
        inputs=("x",),
        value=_edge,
        type_rule=_axis_type("edge"),
        rule=None,
        text="edge($x)",
        latex=r"\mathbb{1}_{\text{edge}}",
        doc="1 in the first (or last) place along an axis, else 0; it does not depend on x.",
        samples=(dict(shapes=[(4,)], axis=0, last=False), dict(shapes=[(2, 3)], axis=1, last=True)),
        source="a constant",
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


def _cumulate(x: Any, axis: int, reverse: bool, ufunc: np.ufunc) -> Any:
    x = np.flip(x, axis) if reverse else x
    out = ufunc.accumulate(x, axis=axis)
    return np.flip(out, axis) if reverse else out


cumsum = register(
    Primitive(
        name="cumsum",
        inputs=("x",),
        value=lambda x, *, axis, reverse: _cumulate(x, axis, reverse, np.add),
        type_rule=_axis_type("cumsum"),
        rule=Linear(
            transpose={
                "x": lambda emit, ct, x, *, axis, reverse: emit("cumsum", ct, axis=axis, reverse=not reverse)
            }
        ),
        text="cumsum($x)",
        latex=r"\operatorname{cumsum}($x)",
        doc="Running sum along an axis (from the end if `reverse`).",
        samples=(dict(shapes=[(4,)], axis=0, reverse=False), dict(shapes=[(2, 3)], axis=1, reverse=True)),
        source="the transpose runs the other way",
    )
)


def _cumprod_push(emit: Any, args: Any, tangents: Any, out: Any, *, axis: int, reverse: bool) -> Any:
    (x,), (t,) = args, tangents
    step = -1 if reverse else 1
    before = emit("add", emit("shift", out, axis=axis, step=step), emit("edge", x, axis=axis, last=reverse))
    return emit("linear_recurrence", x, emit("mul", t, before), axis=axis, reverse=reverse)


cumprod = register(
    Primitive(
        name="cumprod",
        inputs=("x",),
        value=lambda x, *, axis, reverse: _cumulate(x, axis, reverse, np.multiply),
        type_rule=_axis_type("cumprod"),
        rule=Jvp(_cumprod_push),
        text="cumprod($x)",
        latex=r"\operatorname{cumprod}($x)",
        doc="Running product along an axis (from the end if `reverse`).",
        samples=(dict(shapes=[(4,)], axis=0, reverse=False), dict(shapes=[(2, 3)], axis=1, reverse=True)),
        source="yᵢ = xᵢ yᵢ₋₁, so ẏᵢ = xᵢ ẏᵢ₋₁ + ẋᵢ yᵢ₋₁: a linear recurrence",
    )
)


def _recurrence(a: Any, b: Any, *, axis: int, reverse: bool) -> Any:
    """yᵢ = aᵢ yᵢ₋₁ + bᵢ, y before the first entry being 0."""
    a, b = np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0)
    out = np.empty_like(b)
    y = np.zeros_like(b[0]) if len(b) else None
    for i in reversed(range(len(b))) if reverse else range(len(b)):
        y = out[i] = a[i] * y + b[i]
    return np.moveaxis(out, 0, axis)


def _recurrence_push(emit: Any, args: Any, tangents: Any, out: Any, *, axis: int, reverse: bool) -> Any:
    (a, _), (ta, tb) = args, tangents
    if ta is not None:
        from_a = emit("mul", ta, emit("shift", out, axis=axis, step=-1 if reverse else 1))
        tb = from_a if tb is None else emit("add", tb, from_a)
    return emit("linear_recurrence", a, tb, axis=axis, reverse=reverse)


def _recurrence_transpose(emit: Any, ct: Any, a: Any, b: Any, *, axis: int, reverse: bool) -> Any:
    """λᵢ = aᵢ₊₁ λᵢ₊₁ + ctᵢ: the same recurrence, run the other way with `a` moved by one."""
    moved = emit("shift", a, axis=axis, step=1 if reverse else -1)
    return emit("linear_recurrence", moved, ct, axis=axis, reverse=not reverse)


def _recurrence_type(a: Any, b: Any, *, axis: int, reverse: bool) -> Any:
    check_axes("linear_recurrence", b, (axis,))
    if a != b:
        fix = "make shapes and dtypes equal"
        raise ShapeError("the factors and the terms of a recurrence differ", given=f"{a}, {b}", fix=fix)
    return b


linear_recurrence = register(
    Primitive(
        name="linear_recurrence",
        inputs=("a", "b"),
        value=_recurrence,
        type_rule=_recurrence_type,
        rule=Jvp(_recurrence_push, transpose={"b": _recurrence_transpose}),
        text="linear_recurrence($a, $b)",
        latex=r"y_i = ${a}_i y_{i-1} + ${b}_i",
        doc="yᵢ = aᵢ yᵢ₋₁ + bᵢ along an axis.",
        samples=(
            dict(shapes=[(4,), (4,)], axis=0, reverse=False),
            dict(shapes=[(2, 3), (2, 3)], axis=1, reverse=True),
        ),
        source="differentiate the recurrence",
    )
)


def _boolean(name: str, value: Any, doc: str) -> Primitive:
    return reduction(
        name, lambda x, *, axis, keepdims: value(x, axis, keepdims=keepdims), None, result_dtype="bool",
        doc=doc,
        samples=_AXES, source="Boolean algebra",
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
