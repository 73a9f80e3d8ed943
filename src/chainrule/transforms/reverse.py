"""vjp: the graph of vᵀJ. The loop is walk.reverse, the mathematics derive.pullback."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from chainrule.ir.emitter import Emitter, is_indicator, zeros_like
from chainrule.ir.graph import Equation, Graph, Var
from chainrule.source import Pullback
from chainrule.table.primitive import TABLE
from chainrule.transforms.activity import active, inputs_named, is_inexact, is_single, steps
from chainrule.transforms.derive import join, pullback
from chainrule.transforms.walk import reverse

Pair = tuple[Any, Any]  # cotangent and mask, see Note [Inactive routes] in derive.py


def vjp(graph: Graph, wrt: Sequence[int] | None = None) -> Graph:
    """Graph of the vector-Jacobian product.

    It takes the inputs of `graph`, then one cotangent per output that carries a derivative; it returns the
    outputs of `graph`, then the cotangent of each input named by `wrt` (None: all of floating point), zeros
    where no output depends on it. Values that nobody asked for are emitted too: `passes.dce` drops them.

    Raises
    ------
    ArgumentError (E104), DtypeError (E102)
        `wrt` names no input, or one of integers.

    Cost
    ----
    About 3 to 5 equations for each of `graph`, 20 µs for each of these.

    Examples
    --------
    >>> from chainrule.ir import parse
    >>> from chainrule.passes.dce import dce
    >>> print(dce(vjp(parse("{ x:float64[] -> y:float64[] = sin x -> y }"))))
    { a:float64[] b:float64[] ->
      c:float64[] = sin a
      d:float64[] = cos a
      e:float64[] = mul b d
      -> c e }
    """
    inputs = inputs_named(graph, wrt)
    g = graph.copy()
    emit = Emitter(g)
    through = active(graph, inputs)
    cts: dict[Var, Pair] = {}

    def add(a: Pair, b: Pair) -> Pair:
        return emit("add", a[0], b[0]), join(emit, a[1], b[1])

    for out in filter(is_inexact, graph.outputs):  # one Var may be two outputs
        seed = (g.input(out.type), None)
        cts[out] = add(cts[out], seed) if out in cts else seed

    def take(e: Equation) -> Any:
        if is_single(e):
            return cts.pop(e.outs[0], None)
        pairs = [cts.pop(v, None) for v in e.outs]
        return None if all(p is None for p in pairs) else pairs

    reverse(reversed(steps(graph, through)), cts, take, lambda e, ct: _pull(e, ct, through, emit), add)
    g.outputs += [cts[v][0] if v in cts else zeros_like(emit, v.type) for v in inputs]
    return g


def _pull(e: Equation, pair: Any, through: set[Var], emit: Emitter) -> Iterable[tuple[Var, Pair]]:
    """Cotangents of the active inputs of one equation; a composite's go straight to its variable."""
    emit.source = e.source and Pullback(e.source.code, e.source.lasti)
    if e.reading is not None:
        name, x, params = e.reading
        ct, mask = pair
        out = emit(name, x, **params)
        pulled = pullback(TABLE[name], (x,), out, params, ct, mask, (True,), emit)
        return [(x, (c, m)) for _, c, m in pulled]
    wanted = [v in through for v in e.inputs]
    if is_single(e):
        out, (ct, mask) = e.outs[0], pair
    else:
        out = e.outs
        ct, mask = zip(*[(None, None) if p is None else p for p in pair], strict=True)
    indicator = [is_indicator(emit, v) for v in e.inputs] if e.name == "mul" else ()
    pulled = pullback(e.primitive, e.inputs, out, e.params, ct, mask, wanted, emit, indicator)
    return [(e.inputs[k], (c, m)) for k, c, m in pulled]
