"""The verifier: a graph keeps its own rules. Run after every transform and pass in the tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.errors import ChainruleError, GraphError
from chainrule.ir.graph import Equation, Graph, Var, infer
from chainrule.ir.text import line_of
from chainrule.ir.types import type_of
from chainrule.table.primitive import TABLE

_PRINTABLE = (type(None), bool, int, float, complex, str, np.dtype)


def verify(graph: Graph) -> Graph:
    """Check a graph, and return it.

    Each variable is defined once and before it is read; every type is what the type rule says; parameters are
    known to the primitive, hashable and printable; sub-graphs are graphs; a reading is of the type of its
    equation.

    Raises
    ------
    GraphError (E301)
        With the equation as text, and the user's line it comes from.
    """
    known: dict[Var, str] = {}
    for k, v in enumerate(graph.inputs):
        _define(v, f"input {k}", known, None, graph)
    for v, c in graph.constants.items():
        _define(v, "a constant", known, None, graph)
        if type_of(c) != v.type:
            raise GraphError(
                "a constant is not of its type",
                given=f"{type_of(c)} for {v.type}",
                fix="make it with Graph.constant",
            )
    for e in graph.equations:
        _check_equation(e, known, graph)
    for k, v in enumerate(graph.outputs):
        if v not in known:
            fix = "make the output of an equation, an input or a constant the output"
            raise GraphError(f"output {k} is defined nowhere in the graph", given=repr(v), fix=fix)
    return graph


def _check_equation(e: Equation, known: dict[Var, str], graph: Graph) -> None:
    for v in e.reads:
        if v.__class__ is not Var or v not in known:
            raise _error("an equation reads a value that is not defined before it", e, graph,
                         "emit the equation that defines it first")  # fmt: skip
    if TABLE.get(e.name) is not e.primitive:
        raise _error(
            f"{e.name} is not the primitive that the table has", e, graph, "make equations with Graph.emit"
        )
    for name, value in e.params.items():
        _check_param(name, value, e, graph)
    try:
        types = infer(e.primitive, [v.type for v in e.inputs], e.params)
    except ChainruleError as err:
        what = f"{err.what} ({err.given})" if err.given else err.what
        raise _error(what, e, graph, err.fix or "make equations with Graph.emit") from None
    types = types if types.__class__ is tuple else (types,)
    if [v.type for v in e.outs] != list(types):
        given = " ".join(map(str, types))
        raise _error(
            f"an output is not of the type that {e.name} gives, {given}",
            e,
            graph,
            "make equations with Graph.emit",
        )
    for v in e.outs:
        _define(v, "an equation", known, e, graph)
    if e.reading is not None:
        _check_reading(e, graph)


def _define(v: Var, by: str, known: dict[Var, str], e: Equation | None, graph: Graph) -> None:
    if v in known:
        what = f"a value is defined twice, by {known[v]} and by {by}"
        fix = "give each definition a Var of its own"
        raise GraphError(what, given=repr(v), fix=fix) if e is None else _error(what, e, graph, fix)
    known[v] = by


def _check_param(name: str, value: Any, e: Equation, graph: Graph) -> None:
    if isinstance(value, Graph):
        try:
            verify(value)
        except GraphError as err:
            raise _error(f"in its sub-graph {name!r}: {err.what}", e, graph, err.fix or "") from None
    elif not _printable(value):
        what = f"the parameter {name!r} is a {type(value).__name__}, which has no text"
        raise _error(what, e, graph, "use numbers, strings, tuples, dtypes or graphs; pass arrays as inputs")


def _printable(value: Any) -> bool:
    stack = [value]
    while stack:
        v = stack.pop()
        if v.__class__ is tuple:
            stack.extend(v)
        elif v.__class__ not in _PRINTABLE and not isinstance(v, np.dtype):
            return False
    return True


def _check_reading(e: Equation, graph: Graph) -> None:
    assert e.reading is not None
    name, x, params = e.reading
    if name not in TABLE:
        raise _error(
            f"it is read as {name}, which the table does not have",
            e,
            graph,
            "read it as a primitive of the table",
        )
    try:
        t = infer(TABLE[name], [x.type], params)
    except ChainruleError as err:
        raise _error(f"it cannot be read as {name}: {err.what}", e, graph, err.fix or "") from None
    if len(e.outs) != 1 or e.outs[0].type != t:
        raise _error(
            f"it is read as {name}, which gives {t}", e, graph, "read it as a function of the same type"
        )


def _error(what: str, e: Equation, graph: Graph, fix: str) -> GraphError:
    return GraphError(what, given=line_of(e, graph), source=e.source, fix=fix)
