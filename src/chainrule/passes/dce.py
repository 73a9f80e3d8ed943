"""Dead code elimination: what no output depends on is dropped."""

from __future__ import annotations

from chainrule.ir.graph import Equation, Graph, Var, subgraphs


def dce(graph: Graph) -> Graph:
    """The graph without equations and constants that no output depends on; the inputs all stay.

    An equation with several outputs stays whole while one of them is read. Sub-graphs are cleaned, too.

    Examples
    --------
    >>> from chainrule.ir import parse
    >>> print(dce(parse("{ x:float64[] -> y:float64[] = sin x  z:float64[] = cos x -> y }")))
    { a:float64[] ->
      b:float64[] = sin a
      -> b }
    """
    live: set[Var] = set(graph.outputs)
    kept: list[Equation] = []
    for e in reversed(graph.equations):
        if not live.isdisjoint(e.outs):
            live.update(e.reads)
            kept.append(_cleaned(e))
    kept.reverse()
    constants = {v: c for v, c in graph.constants.items() if v in live}
    return Graph(graph.inputs, kept, graph.outputs, constants)


def _cleaned(e: Equation) -> Equation:
    inner = dict(subgraphs(e))
    if not inner:
        return e
    params = e.params | {name: dce(g) for name, g in inner.items()}
    return Equation(e.primitive, e.inputs, params, e.outs, e.source, e.reading)
