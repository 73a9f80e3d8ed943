"""Steps of a tape as they are looked at: copies that hang on other parents, or have values that the tape lacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from weakref import ref

from chainrule.ir.types import Type
from chainrule.table.primitive import TABLE
from chainrule.tape.node import Node, ScopedNode, new
from chainrule.tape.pull import array_pull
from chainrule.tape.reading import Operand

_ALIAS = TABLE["alias"]


class Opened(ScopedNode):
    """A step as it is seen with the compiled calls below it opened. It stands for the node `of`, and equals it."""

    __slots__ = ("of",)

    of: Node

    def __eq__(self, other: object) -> bool:
        return original(self) is original(other)

    def __hash__(self) -> int:
        return hash(self.of)


def original(n: Any) -> Any:
    """The node on the tape that a step stands for."""
    return n.of if n.__class__ is Opened else n


def standing_for(n: Node, made_by: Node) -> Opened:
    """The step that made an output, as what the output is on the tape."""
    if made_by.__class__ is Opened and original(made_by).serial > n.serial:
        m: Any = made_by
    else:  # it is an argument, or stands for another output already
        m = _alias(made_by, n.serial)
    m.of, m.out = n, m.out if n.out.__class__ is Type else n.out
    _mark(m, n)
    return m


def _alias(n: Node, serial: int) -> Opened:
    m = new(Opened)
    m.p, m.a, m.b, m.x, m.y, m.out = _ALIAS, n, None, n.out, None, n.out
    m.pull = None if n.pull is None else array_pull(_ALIAS, (True,), False)
    m.params = m.reading = m.scope = m.call = None
    m.code, m.at, m.serial, m.depth = n.code, n.at, serial, 0
    return m


def copied(n: Node, serial: float, seen: Mapping[Node, Node]) -> Opened:
    """A step that hangs on what its parents are seen as."""
    m = new(Opened)
    m.of = n
    for name in ("p", "params", "b", "x", "y", "out", "pull", "code", "at", "reading", "scope", "call"):
        setattr(m, name, getattr(n, name))
    m.serial = serial
    if n.p.nary:
        m.a = tuple(_held(a, seen) for a in n.a)
    else:
        m.a, m.b = _held(n.a, seen), _held(n.b, seen)
    if n.reading is not None:
        x = n.reading.x
        m.reading = n.reading._replace(x=Operand(seen.get(x.node, x.node), x.value))
    if n.pull is None:
        m.depth, m.oldest = n.depth, getattr(n, "oldest", n.serial)
    _mark(m, n)
    return m


def _held(a: Any, seen: Mapping[Node, Node]) -> Any:
    """A parent as a node holds it: seen as it is, or as it was."""
    q = a() if a.__class__ is ref else a
    return seen.get(q, a)


def _mark(m: Opened, n: Node) -> None:
    if hasattr(n, "overwritten"):
        m.overwritten = n.overwritten


__all__ = ["Opened", "copied", "original", "standing_for"]
