"""jvp: the graph of J·t. The loop is walk.forward, the mathematics derive.pushforward."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from chainrule.ir.emitter import Emitter, is_indicator, zeros_like
from chainrule.ir.graph import Equation, Graph, Var
from chainrule.table.primitive import TABLE
from chainrule.transforms.activity import inputs_named, is_inexact, is_single
from chainrule.transforms.derive import pushforward
from chainrule.transforms.walk import forward


def jvp(graph: Graph, wrt: Sequence[int] | None = None) -> Graph:
    """Graph of the Jacobian-vector product.

    It takes the inputs of `graph`, then one tangent per input named by `wrt` (None: all of floating point);
    it returns the outputs of `graph`, then the tangent of each output that carries a derivative, zeros where
    it depends on none of these inputs.

    Raises
    ------
    ArgumentError (E104), DtypeError (E102)
        `wrt` names no input, or one of integers.

    Examples
    --------
    >>> from chainrule.ir import parse
    >>> print(jvp(parse("{ x:float64[] -> y:float64[] = sin x -> y }")))
    { a:float64[] b:float64[] ->
      c:float64[] = sin a
      d:float64[] = cos a
      e:float64[] = mul b d
      -> c e }
    """
    inputs = inputs_named(graph, wrt)
    g = graph.copy()
    emit = Emitter(g)
    ts: dict[Var, Any] = {v: g.input(v.type) for v in inputs}
    forward(graph.equations, ts, lambda e, ts: _push(e, ts, emit))
    emit.source = None
    g.outputs += [ts[v] if v in ts else zeros_like(emit, v.type) for v in graph.outputs if is_inexact(v)]
    return g


def _push(e: Equation, ts: dict[Var, Any], emit: Emitter) -> Iterable[tuple[Var, Any]]:
    """Tangents of the outputs of one equation; a composite's come straight from its variable."""
    emit.source = e.source
    if e.reading is not None:
        name, x, params = e.reading
        if x not in ts:
            return ()
        out = emit(name, x, **params)
        return [(e.outs[0], pushforward(TABLE[name], (x,), out, params, (ts[x],), emit))]
    if ts.keys().isdisjoint(e.inputs) or not any(map(is_inexact, e.outs)):
        return ()
    single = is_single(e)
    out = e.outs[0] if single else e.outs
    tangents = [ts.get(v) for v in e.inputs]
    indicator = [is_indicator(emit, v) for v in e.inputs] if e.name == "mul" else ()
    found = pushforward(e.primitive, e.inputs, out, e.params, tangents, emit, indicator)
    found = (found,) if single else found or (None,) * len(e.outs)
    return [(v, t) for v, t in zip(e.outs, found, strict=True) if t is not None]
