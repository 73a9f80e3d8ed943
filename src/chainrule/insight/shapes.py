"""Shapes that met by accident: a column and a row of equal length made a square, where each entry has one partner."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from chainrule.insight.flow import operation
from chainrule.insight.zeros import written
from chainrule.ir.types import type_of
from chainrule.tape.node import Node

_DELIBERATE = frozenset({"index", "reshape", "broadcast"})  # who writes x[:, None] wants a column


def squares(nodes: Iterable[Node], names: Callable[[Node | None, Any], Any]) -> Iterator[str]:
    """A sentence for each step in which shapes (n, 1) and (n,) made (n, n), unless somebody wrote [:, None]."""
    for n in nodes:
        if n.out.__class__ is float or n.p is None or n.p.kind != "elementwise" or len(n.args) < 2:
            continue
        shapes = [type_of(v).shape for v in n.args]
        for k, column in enumerate(shapes):
            if len(column) != 2 or column[1] != 1 or column[0] < 2 or (column[0],) not in shapes:
                continue
            q = n.parents[k]
            if q is None or q.name in _DELIBERATE:
                continue
            name = names(q, n.args[k])
            row = f"({column[0]},)"
            yield (
                f"{written(operation(n), names)} at {n.source.place} meets every entry with every other: shapes "
                f"{column} and {row} made {(column[0],) * 2}. If each has one partner, write {name}.squeeze(1)"
            )


__all__ = ["squares"]
