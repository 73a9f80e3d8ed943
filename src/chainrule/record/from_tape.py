"""The tape as a graph: the same operations, with variables in the place of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import ref

from chainrule.dispatch import node_of
from chainrule.errors import GraphError
from chainrule.ir.emitter import Emitter
from chainrule.ir.graph import Graph, Var
from chainrule.ir.types import Type, type_of
from chainrule.source import Source
from chainrule.table.primitive import Custom
from chainrule.tape.node import Node, ancestors
from chainrule.tape.segments import values_of, walking

# Note [What a tape does not have]
# A tape is the record of one run. Where Python looked at a number (`if`, `float(x)`, `x.detach()`, a mask
# used as an index, the order that `sort` found), the graph has what came of it at this point. Values over
# 4 kB that no derivative reads are not kept on the tape, and an untracked history may be cut (Note [Bounded
# history] in tape/node.py): where the graph would need such a value it is refused, never guessed.


def graph_of_tensor(t: Any) -> Graph:
    """The graph of a computed tensor: its leaves that require gradients become the inputs."""
    root = node_of(t)
    order = _history(root)
    reader = _Reader([n for n in order if n.p is None and n.pull is not None])
    with walking():
        for n in order:
            reader.read(n)
    g = reader.graph
    g.outputs = [reader.value(t.v, root)]
    return g


def _history(root: Node) -> list[Node]:
    """Every node that the root came from, earliest first."""
    return list(reversed(list(ancestors(root))))


class _Reader:
    """Nodes, earliest first → equations."""

    def __init__(self, inputs: Sequence[Node]) -> None:
        self.graph = Graph()
        self.emit = Emitter(self.graph, simplify=False)
        self.vars: dict[Node, Var] = {n: self.graph.input(type_of(n.out)) for n in inputs}

    def read(self, n: Node) -> None:
        """Emit the equation of a node; nothing for a node that depends on no input, which is a constant."""
        if n in self.vars or n.p is None:
            return
        if not any(q in self.vars for q in n.parents if q is not None):
            _check_whole(n)
            return
        if isinstance(n.p.rule, Custom):
            raise GraphError(
                f"{n.params['call'].name} has a rule of its own, which is no operation that a graph can have",  # type: ignore[index]
                source=n.source, fix="take the graph of a function, graph_of(f, x): it has what happens inside",
            )  # fmt: skip
        args = [
            self.argument(n, k, v, q)
            for k, (v, q) in enumerate(zip(values_of(n).args, n.parents, strict=True))
        ]
        if n.p.name == "alias":
            self.vars[n] = args[0]
            return
        self.emit.source = n.source
        out = self.emit(n.p.name, *args, **(n.params or {}))
        t = type_of(n.out)
        if out.dtype != t.dtype:
            out = self.emit("cast", out, dtype=t.dtype)
        self.vars[n] = self.emit.broadcast(out, t.shape)

    def argument(self, n: Node, k: int, v: Any, q: Node | None) -> Any:
        """An operand: a variable, or the number or array that it was."""
        if q in self.vars:
            return self.vars[q]
        if q is None and _is_gone(n, k):
            raise _lost(n, "an operand's history is gone: nothing else on the tape holds it")
        found = v if v.__class__ is not Type else q.out if q is not None else v
        if found.__class__ is Type:
            raise _lost(
                n, f"the tape has not kept an operand of {n.name}, {found}: its derivative does not read it"
            )
        return found

    def value(self, v: Any, n: Node) -> Var:
        """The variable of an output."""
        return self.vars[n] if n in self.vars else self.graph.constant(v)


def _is_gone(n: Node, k: int) -> bool:
    """Whether parent `k` was a node that is no more."""
    assert n.p is not None
    held = n.a[k] if n.p.nary else (n.a, n.b)[k]
    return held.__class__ is ref


def _check_whole(n: Node) -> None:
    """Refuse a constant whose history was cut: it may have come from an input."""
    gone = any(_is_gone(n, k) for k, q in enumerate(n.parents) if q is None)
    if gone or (n.pull is None and n.depth == 0 and n.p is not None and n.p.inputs):
        raise _lost(n, f"the history of {n.name} was cut, so it cannot be told from a constant")


def _lost(n: Node, what: str) -> GraphError:
    source: Source = n.source
    return GraphError(
        what, source=source, given=f"{n.name} of {', '.join(str(type_of(v)) for v in n.args)}",
        fix="take the graph of the function that computes it: graph_of(f, *args) records what the tape does not keep",
    )  # fmt: skip


__all__ = ["graph_of_tensor"]
