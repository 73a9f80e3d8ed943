"""The tape as a graph: the same operations, with variables in the place of numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from weakref import ref

import numpy as np

from chainrule.dispatch import Handle, node_of
from chainrule.errors import ArgumentError, GraphError, UnsupportedError
from chainrule.ir.emitter import Emitter
from chainrule.ir.graph import Graph, Var
from chainrule.ir.types import Type, type_of
from chainrule.ops import creation
from chainrule.source import Source, boundary
from chainrule.tape.modes import enable_grad
from chainrule.tape.node import Node, ancestors
from chainrule.tape.segments import values_of, walking

# Note [What a tape does not have]
# A tape is the record of one run. Where Python looked at a number (`if`, `float(x)`, `x.detach()`, a mask
# used as an index, the order that `sort` found), the graph has what came of it at this point. Values over
# 4 kB that no derivative reads are not kept on the tape, and an untracked history may be cut (Note [Bounded
# history] in tape/node.py): where the graph would need such a value it is refused, never guessed.


@boundary
def graph_of(f: Any, *args: Any) -> Graph:
    """The graph of a function at a point, or of a computed tensor.

    Parameters
    ----------
    f
        A function of tensors that returns a tensor, or a tuple or list of them. It runs once, on `args`: what
        Python decides by their numbers (`if`, `float(x)`, masks as indices) is decided for the graph. Or a
        Tensor: its leaves that require gradients become the inputs, in the order in which they were made.
    args
        Arrays, tensors or numbers: the inputs of the graph, one for each.

    Returns
    -------
    Graph: the operations in order, each with its line; broadcasts and casts are equations.

    Raises
    ------
    GraphError (E301)
        The tape has not kept a value that the graph needs: pass it as an argument.

    Cost
    ----
    One run of `f`, and about 15 µs per operation.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule.record.from_tape import graph_of
    >>> print(graph_of(lambda w: 4 * w + w**3, 1.0))
    { a:float64[] ->
      b:float64[] = mul         4.0 a
      c:float64[] = integer_pow a  n=3
      d:float64[] = add         b c
      -> d }
    """
    if isinstance(f, Handle):
        if args:
            raise ArgumentError(
                "the graph of a tensor takes no point", fix="pass a function, or the tensor alone"
            )
        return _of_tensors([f], None)
    inputs = [_fresh(a) for a in args]
    nodes = [t.n for t in inputs]  # f may change an argument in place, which gives it another node
    with enable_grad():
        result = f(*inputs)
    return _of_tensors(_outputs(result), nodes)


def _fresh(a: Any) -> Any:
    """A tensor with a copy of the value and a history of its own; one of floats is tracked."""
    t = creation.as_tensor(a)
    v = t.v if t.v.__class__ is float else np.array(t.v)
    if type_of(v).dtype.kind not in "fc":
        return creation.make_leaf(v)
    return creation.make_leaf(v, requires_grad=True).clone()  # not a leaf: f may change it in place


def _outputs(result: Any) -> list[Any]:
    if isinstance(result, tuple | list):
        return [creation.as_tensor(r) for r in result]
    if isinstance(result, dict) or result is None:
        given = type(result).__name__
        raise UnsupportedError(
            "the function returns no tensor", given=given, fix="return a tensor, or a tuple of them"
        )
    return [creation.as_tensor(result)]


def _of_tensors(outs: Sequence[Any], inputs: Sequence[Node] | None) -> Graph:
    roots = [node_of(t) for t in outs]
    order = _history(roots, inputs or ())
    if inputs is None:
        inputs = [n for n in order if n.p is None and n.pull is not None]
    reader = _Reader(inputs)
    with walking():
        for n in order:
            reader.read(n)
    g = reader.graph
    g.outputs = [reader.value(t.v, n) for t, n in zip(outs, roots, strict=True)]
    return g


def _history(roots: Iterable[Node], ends: Sequence[Node]) -> list[Node]:
    """Every node that the roots came from, earliest first; what lies behind the ends is left out."""
    behind = {q for n in ends for q in n.parents}
    found = {n for root in roots for n in ancestors(root)} - behind
    return sorted(found, key=lambda n: n.serial)


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
        fix="pass the value that it is computed from as an argument of the function",
    )  # fmt: skip


__all__ = ["graph_of"]
