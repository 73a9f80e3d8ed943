"""Primitives that the planner takes apart: a program over simpler ones, with the same value up to rounding."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from chainrule.ir.emitter import Emitter
from chainrule.ir.graph import Equation, Graph, Var
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


def _log_softmax(emit: Any, x: Any, *, axis: Any) -> Any:
    """(x - largest) - ln Σ, as `value` has it."""
    top, e = _shifted_exp(emit, x, axis)
    total = emit("log", emit("sum", e, axis=axis, keepdims=True))
    return emit("sub", emit("sub", x, _kept(emit, x, top, axis)), _kept(emit, x, total, axis))


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
    "log_softmax": _log_softmax,
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
    ones = _SumsToOne(emit)
    for e in graph.equations:
        emit.source = e.source
        inputs = [new.get(v, v) for v in e.inputs]
        one = ones.sum_of(e)
        if one is not None:
            new[e.outs[0]] = one
        elif e.name in EXPAND and all(v.dtype.kind == "f" and v.type.size for v in e.inputs):
            out = new[e.outs[0]] = EXPAND[e.name](emit, *inputs, **e.params)
            ones.see(e, out)
        else:
            outs = g.emit(e.name, *inputs, source=e.source, **e.params)
            new.update(zip(e.outs, outs if outs.__class__ is tuple else (outs,), strict=True))
            ones.see(e, outs)
    g.outputs = [new.get(v, v) for v in graph.outputs]
    return g


class _SumsToOne:
    """Sums of a softmax over its own axis: 1, or NaN where it is NaN. The derivative of a loss that subtracts its
    largest entry asks for them."""

    def __init__(self, emit: Emitter) -> None:
        self._emit = emit
        self._known: dict[
            Var, tuple[tuple[int, ...], Var, bool]
        ] = {}  # axis, sum of the exponentials, negated

    def see(self, e: Equation, out: Any) -> None:
        """`out` stands for the value of `e`."""
        if e.name == "softmax":
            axis, made = e.params["axis"], self._emit.made_by(out)
            if made is not None and made.name == "div":
                self._known[e.outs[0]] = (axis, made.inputs[1], False)
        elif e.name == "neg" and e.inputs[0] in self._known:
            axis, total, negated = self._known[e.inputs[0]]
            self._known[e.outs[0]] = (axis, total, not negated)

    def sum_of(self, e: Equation) -> Var | None:
        found = self._known.get(e.inputs[0]) if e.name == "sum" else None
        if found is None or found[0] != e.params["axis"]:
            return None
        _, total, negated = found
        (total,) = self._emit.made_by(total).inputs  # before it is repeated
        one = self._emit("div", total, total)  # NaN for 0, infinity and NaN
        one = self._emit("neg", one) if negated else one
        return one if one.shape == e.outs[0].shape else self._emit("reshape", one, shape=e.outs[0].shape)


__all__ = ["EXPAND", "expand"]
