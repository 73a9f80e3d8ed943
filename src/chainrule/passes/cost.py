"""What the equations of a graph cost if each runs on its own, as they do in the reference engine."""

from __future__ import annotations

import math
from typing import NamedTuple

from chainrule.ir.graph import Equation, Graph, Var

_VIEWS = frozenset({"alias", "broadcast", "reshape", "transpose", "flip", "index"})


class Cost(NamedTuple):
    """
    operations
        Entries that are computed; of a product those of all its terms.
    moved
        Bytes that equations read and write; what only looks at memory in another way moves nothing.
    peak
        Bytes that are needed at most at a time, besides inputs and constants.
    """

    operations: int
    moved: int
    peak: int


def cost(graph: Graph) -> Cost:
    """The cost of a graph, equation by equation.

    Examples
    --------
    >>> from chainrule.ir import parse
    >>> cost(parse('''{ x:float64[1000] ->
    ...     y:float64[1000] = sin x
    ...     z:float64[1000] = exp y
    ...     s:float64[] = sum z  axis=(0,) keepdims=False -> s }'''))
    Cost(operations=3000, moved=40008, peak=16000)
    """
    run = [e for e in graph.equations if not shares_memory(e)]
    moved = sum(nbytes(v) for e in run for v in (*dict.fromkeys(e.inputs), *e.outs))
    return Cost(sum(map(operations, run)), moved, _peak(graph))


def operations(e: Equation) -> int:
    """How often an equation computes with its operands."""
    if e.name == "dot_general":
        x = e.inputs[0]
        return e.outs[0].type.size * math.prod(x.shape[k] for k in e.params["contract"][0])
    return max([v.type.size for v in (*e.inputs, *e.outs)], default=1)


def shares_memory(e: Equation) -> bool:
    """Whether an equation looks at the memory of its input in another way."""
    return e.name in _VIEWS and len(e.inputs) == 1


def nbytes(v: Var) -> int:
    """Memory for a value."""
    return v.type.size * v.dtype.itemsize


def _peak(graph: Graph) -> int:
    """The most memory at a time, if each array goes after the last equation that reads it or a view of it."""
    base: dict[Var, Var] = {}
    last: dict[Var, int] = {}
    for k, e in enumerate(graph.equations):
        last.update((base[v], k) for v in e.inputs if v in base)
        if shares_memory(e):
            base.update((e.outs[0], base[v]) for v in e.inputs if v in base)
        else:
            base.update((v, v) for v in e.outs)
            last.update(dict.fromkeys(e.outs, k))
    end = len(graph.equations)
    last.update((base[v], end) for v in graph.outputs if v in base)
    gone: dict[int, list[Var]] = {}
    for v, k in last.items():
        gone.setdefault(k, []).append(v)
    most = now = 0
    for k, e in enumerate(graph.equations):
        now += sum(nbytes(v) for v in e.outs if base.get(v) is v)
        most = max(most, now)
        now -= sum(map(nbytes, gone.get(k, ())))
    return most


__all__ = ["Cost", "nbytes", "cost", "shares_memory", "operations"]
