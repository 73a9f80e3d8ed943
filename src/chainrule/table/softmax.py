"""Softmax and its kin along axes: softmax log_softmax logsumexp."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.table.blocks import as_rows, exp_of_difference, row_sums
from chainrule.table.formula import apply
from chainrule.table.primitive import (
    Jvp,
    Partials,
    Primitive,
    check_axes,
    reduced_shape,
    reduction,
    register,
)
from chainrule.table.reduce import AXES


def _weights(x: Any, axis: tuple[int, ...]) -> tuple[Any, Any, Any]:
    """Largest entry (0 where that is infinite), e^(x - largest), and the sum of these."""
    top = np.max(x.real, axis, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, np.zeros((), top.dtype))
    e = exp_of_difference(x, top)
    rows = as_rows(e, axis)
    total = np.add.reduce(e, axis, keepdims=True) if rows is None else row_sums(rows).reshape(top.shape)
    return top, e, total


def _wide(x: Any) -> Any:
    """float16 in float32, in which a sum of many entries fits."""
    return x.astype(np.float32) if x.dtype == np.float16 else x


def _logsumexp(x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    top, _, total = _weights(_wide(x), axis)
    out = (np.log(total) + top).astype(x.dtype, copy=False)
    return out if keepdims else out.reshape(reduced_shape(x.shape, axis, False))


def _softmax(x: Any, *, axis: tuple[int, ...]) -> Any:
    _, e, total = _weights(_wide(x), axis)
    return _into(np.divide, e, total).astype(x.dtype, copy=False)


def _log_softmax(x: Any, *, axis: tuple[int, ...]) -> Any:
    """(x - largest) - ln Σ: x - logsumexp(x) would lose the digits that a common large part takes."""
    wide = _wide(x)
    top, e, total = _weights(wide, axis)
    d = np.subtract(wide, top, out=e) if e.ndim else wide - top
    return _into(np.subtract, d, np.log(total)).astype(x.dtype, copy=False)


def _into(ufunc: np.ufunc, a: Any, b: Any) -> Any:
    """The result in the memory of `a`, which nobody else has."""
    return ufunc(a, b, out=a) if a.ndim else ufunc(a, b)


def _softmax_push(emit: Any, args: Any, tangents: Any, out: Any, *, axis: tuple[int, ...]) -> Any:
    (t,) = tangents
    mean_change = emit("sum", emit("mul", out, t), axis=axis, keepdims=True)
    return emit("mul", out, emit("sub", t, mean_change))


def _log_softmax_push(emit: Any, args: Any, tangents: Any, out: Any, *, axis: tuple[int, ...]) -> Any:
    (x,), (t,) = args, tangents
    weighted = emit("mul", emit("softmax", x, axis=axis), t)
    return emit("sub", t, emit("sum", weighted, axis=axis, keepdims=True))


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
        text="softmax($x)",
        latex=r"\operatorname{softmax}($x)",
        doc="eˣ/Σeˣ over axes: the slope of logsumexp, without overflow.",
        samples=tuple(dict(shapes=s["shapes"], axis=s["axis"]) for s in AXES),
        undefined={"all entries -inf": "the weights 0/0 have no value: NaN"},
        source="∂sᵢ/∂xⱼ = sᵢ(δᵢⱼ - sⱼ)",
    )
)
log_softmax = register(
    Primitive(
        name="log_softmax",
        inputs=("x",),
        value=_log_softmax,
        type_rule=_softmax_type,
        rule=Jvp(_log_softmax_push),
        text="log_softmax($x)",
        latex=r"\ln \operatorname{softmax}($x)",
        doc="x - ln Σeˣ over axes, without overflow.",
        samples=tuple(dict(shapes=s["shapes"], axis=s["axis"]) for s in AXES),
        undefined={"all entries -inf": "the weights 0/0 have no value: NaN"},
        source="∂lᵢ/∂xⱼ = δᵢⱼ - sⱼ",
    )
)
logsumexp = reduction(
    "logsumexp", _logsumexp, Partials({"x": lambda x, *, axis: apply("softmax", x, axis=axis)}),
    latex=r"\ln \sum e^{$x}", doc="ln Σ eˣ over axes, without overflow.", samples=AXES,
    undefined={"all entries -inf": "the weights 0/0 have no value: NaN"},
    source="∂/∂xᵢ = e^{xᵢ}/Σeˣ; as e^{xᵢ - out} it would lose its digits where |x| is large",
)  # fmt: skip
