"""Recognised composites on the tape (table/composite.py): nodes and values as patterns compare them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.table.composite import Producer, Reading, recognise
from chainrule.table.primitive import Primitive
from chainrule.tape.memory import written_after
from chainrule.tape.node import Node
from chainrule.tape.traced import Traced


class Operand:
    """A value with its node, as patterns compare it."""

    __slots__ = ("node", "value")

    def __init__(self, node: Node, value: Any) -> None:
        self.node, self.value = node, value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Operand) and self.node is other.node

    __hash__ = None  # type: ignore[assignment]


def _operand(node: Node | None, value: Any) -> Any:
    if node is not None:
        return Operand(node, value)
    if isinstance(value, (int, float)):
        return value
    return value.item() if getattr(value, "ndim", 1) == 0 and value.__class__ is not Traced else None


def _producer(v: Any) -> Producer | None:
    n = v.node if isinstance(v, Operand) else None
    if n is None or n.p is None or n.pull is None or hasattr(n, "overwritten"):
        return None  # a leaf, or what it is now is not what was computed
    if written_after(v.value, n.serial):
        return None
    return Producer(n.p.name, tuple(map(_operand, n.parents, n.args)), n.params or {})


def read_as(
    p: Primitive, values: Sequence[Any], nodes: Sequence[Node | None], params: dict[str, Any]
) -> Reading | None:
    """What a tracked operation is read as."""
    reading = recognise(p.name, tuple(map(_operand, nodes, values)), params, _producer)
    if reading is None or not isinstance(reading.x, Operand) or reading.x.node.pull is None:
        return None
    return reading
