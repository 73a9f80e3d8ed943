"""Common subexpressions: equations that compute the same are computed once."""

from __future__ import annotations

from typing import Any

from chainrule.ir.graph import Equation, Graph, Var


def cse(graph: Graph) -> Graph:
    """The graph in which equal equations of equal inputs are one.

    Equations with sub-graphs, and those that draw random numbers, stay as they are. Readings are kept with the first.

    Examples
    --------
    >>> from chainrule.ir import parse
    >>> print(cse(parse("{ x:float64[] -> a:float64[] = sin x  b:float64[] = sin x  c:float64[] = mul a b -> c }")))
    { a:float64[] ->
      b:float64[] = sin a
      c:float64[] = mul b b
      -> c }
    """
    same: dict[Var, Var] = {}
    known: dict[Any, tuple[Var, ...]] = {}
    kept: list[Equation] = []
    for e in graph.equations:
        inputs = tuple([same.get(v, v) for v in e.inputs])
        reading = e.reading
        if reading is not None and reading.x in same:
            reading = reading._replace(x=same[reading.x])
        key = _key(e, inputs)
        found = known.get(key) if key is not None else None
        if found is not None:
            same.update(zip(e.outs, found, strict=True))
            continue
        changed = inputs != e.inputs or reading is not e.reading
        kept.append(Equation(e.primitive, inputs, e.params, e.outs, e.source, reading) if changed else e)
        if key is not None:
            known[key] = e.outs
    outputs = [same.get(v, v) for v in graph.outputs]
    return Graph(graph.inputs, kept, outputs, graph.constants)


def _key(e: Equation, inputs: tuple[Var, ...]) -> Any:
    if any(v.__class__ is Graph for v in e.params.values()) or e.name.startswith("random"):
        return None
    if e.primitive.commutative and len(inputs) == 2:
        inputs = tuple(sorted(inputs, key=id))
    return e.name, inputs, tuple((k, v.__class__, repr(v)) for k, v in sorted(e.params.items()))
