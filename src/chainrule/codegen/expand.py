"""Primitives that the planner takes apart: a program over simpler ones, with the same value up to rounding."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from chainrule.ir.emitter import Emitter
from chainrule.ir.graph import Graph, Var
from chainrule.table.primitive import count_along


def _mean(emit: Any, x: Any, *, axis: Any, keepdims: bool) -> Any:
    return emit("div", emit("sum", x, axis=axis, keepdims=keepdims), float(count_along(x.shape, axis)))


def _kept(emit: Any, x: Any, v: Any, axis: Any) -> Any:
    return emit("broadcast", v, shape=x.shape)


def _shifted_exp(emit: Any, x: Any, axis: Any) -> tuple[Any, Any]:
    """The largest entry (0 where it is infinite), and e^(x - largest)."""
    top = emit("amax", x, axis=axis, keepdims=True)
    top = emit("where", emit("isfinite", top), top, 0.0)
    return top, emit("exp", emit("sub", x, _kept(emit, x, top, axis)))


def _softmax(emit: Any, x: Any, *, axis: Any) -> Any:
    _, e = _shifted_exp(emit, x, axis)
    return emit("div", e, _kept(emit, x, emit("sum", e, axis=axis, keepdims=True), axis))


def _logsumexp(emit: Any, x: Any, *, axis: Any, keepdims: bool) -> Any:
    top, e = _shifted_exp(emit, x, axis)
    out = emit("add", emit("log", emit("sum", e, axis=axis, keepdims=True)), top)
    shape = out.shape if keepdims else tuple(n for k, n in enumerate(out.shape) if k not in axis)
    return out if keepdims else emit("reshape", out, shape=shape)


def _var(emit: Any, x: Any, *, axis: Any, keepdims: bool, correction: float) -> Any:
    d = emit("sub", x, _kept(emit, x, _mean(emit, x, axis=axis, keepdims=True), axis))
    freedom = max(count_along(x.shape, axis) - correction, 0.0)
    total = emit("sum", emit("mul", d, d), axis=axis, keepdims=keepdims)
    return emit("div", total, float(freedom)) if freedom else emit("mul", total, math.nan)


EXPAND: dict[str, Callable[..., Any]] = {
    "mean": _mean,
    "softmax": _softmax,
    "logsumexp": _logsumexp,
    "var": _var,
    "std": lambda emit, x, **params: emit("sqrt", _var(emit, x, **params)),
}


def expand(graph: Graph) -> Graph:
    """The graph without the primitives of EXPAND; equations keep the user's lines."""
    if not any(e.name in EXPAND for e in graph.equations):
        return graph
    g = Graph(graph.inputs, (), (), graph.constants)
    emit = Emitter(g)
    new: dict[Var, Var] = {}
    for e in graph.equations:
        emit.source = e.source
        inputs = [new.get(v, v) for v in e.inputs]
        if e.name in EXPAND and all(v.dtype.kind == "f" and v.type.size for v in e.inputs):
            new[e.outs[0]] = EXPAND[e.name](emit, *inputs, **e.params)
            continue
        outs = g.emit(e.name, *inputs, source=e.source, **e.params)
        new.update(zip(e.outs, outs if outs.__class__ is tuple else (outs,), strict=True))
    g.outputs = [new.get(v, v) for v in graph.outputs]
    return g
