"""Which values of a graph carry a derivative."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from chainrule.errors import ArgumentError, DtypeError
from chainrule.ir.graph import Equation, Graph, Var
from chainrule.table.primitive import Body


def is_inexact(v: Var) -> bool:
    """Whether a value has small changes: floating point or complex."""
    return v.dtype.kind in "fc"


def inputs_named(graph: Graph, wrt: Sequence[int] | None) -> list[Var]:
    """The inputs in the positions `wrt`; None: all that are made of floating point numbers."""
    if wrt is None:
        return [v for v in graph.inputs if is_inexact(v)]
    found = []
    for k in wrt:
        if not 0 <= k < len(graph.inputs):
            raise ArgumentError(
                f"the graph has no input {k}", given=f"{len(graph.inputs)} inputs",
                fix=f"use positions in 0..{len(graph.inputs) - 1}",
            )  # fmt: skip
        v = graph.inputs[k]
        if not is_inexact(v):
            fix = "leave it out: integers and truth values have no small changes"
            raise DtypeError(f"input {k} carries no derivative", given=str(v.type), fix=fix)
        found.append(v)
    return found


def active(graph: Graph, inputs: Iterable[Var]) -> set[Var]:
    """The values through which a derivative with respect to the inputs flows, the inputs among them."""
    found = set(inputs)
    for e in graph.equations:
        if e.primitive.rule is not None and not found.isdisjoint(e.reads):
            found.update(filter(is_inexact, e.outs))
    return found


def steps(graph: Graph, through: set[Var]) -> list[Equation]:
    """The equations that define active values."""
    return [e for e in graph.equations if not through.isdisjoint(e.outs)]


def is_single(e: Equation) -> bool:
    """Whether the rule of an equation speaks of one output; a `Body` rule speaks of a tuple, also of one."""
    return len(e.outs) == 1 and not isinstance(e.primitive.rule, Body)
