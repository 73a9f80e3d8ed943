"""What is kept for the backward pass: which values, how many bytes, and which steps read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.insight.flow import Flow
from chainrule.ir.types import Type, type_of
from chainrule.table.primitive import values_read
from chainrule.tape.memory import owner
from chainrule.tape.node import Node
from chainrule.tape.pull import Freed

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Kept:
    """One value that the backward pass reads; `by` names the operations."""

    name: str
    type: str
    bytes: int
    by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Saved:
    """What backward reads of a computation.

    Attributes
    ----------
    values
        The kept values, the first one first; memory that is shared counts once.
    freed
        How many steps a backward has freed already.
    """

    values: tuple[Kept, ...] = ()
    freed: int = 0

    @property
    def bytes(self) -> int:
        """Bytes of all kept values together."""
        return sum(v.bytes for v in self.values)

    def __str__(self) -> str:
        count = len(self.values)
        head = f"{count} value{'' if count == 1 else 's'} kept for backward: {self.bytes} bytes"
        lines = [head if count else "nothing is kept for backward"]
        rows = [(v.name, v.type, f"{v.bytes} B", f"read by {', '.join(v.by)}") for v in self.values[:_SHOWN]]
        widths = [max((len(r[i]) for r in rows), default=0) for i in range(3)]
        lines += [f"  {a:{widths[0]}}  {b:{widths[1]}}  {c:>{widths[2]}}   {d}" for a, b, c, d in rows]
        lines += [f"  … and {count - _SHOWN} more"] if count > _SHOWN else []
        if self.freed:
            lines.append(
                f"  freed by backward already: what {self.freed} step{'' if self.freed == 1 else 's'} kept"
            )
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Bytes, values and the number of freed steps, for `json.dumps`."""
        values = [
            {"name": v.name, "type": v.type, "bytes": v.bytes, "read_by": list(v.by)} for v in self.values
        ]
        return {"bytes": self.bytes, "freed_steps": self.freed, "values": values}


NOTHING = Saved()


def saved(root: Node, flow: Flow, names: Mapping[Node, str]) -> Saved:
    """What the tape below a result holds for its backward pass."""
    found: dict[Any, list[Any]] = {}
    freed = 0
    for n in reversed(flow.order()) if flow.is_live(root) else ():
        if n.pull.__class__ is Freed:
            freed += 1
            continue
        for name, q, v in _read(n):
            if v.__class__ is Type or (q is None and v.__class__ is float):  # a plain number of the program
                continue
            key = id(owner(v)) if isinstance(v, np.ndarray) else (n, name) if q is None else q
            label = names.get(q, "") if q is not None else ""
            entry = found.setdefault(key, [label or f"a value of {n.scope or n.name}", v, []])
            entry[2].append(n.scope or n.name)
    kept = (
        Kept(label, str(type_of(v)), _bytes(v), tuple(dict.fromkeys(by))) for label, v, by in found.values()
    )
    return Saved(tuple(kept), freed)


def _read(n: Node) -> Iterator[tuple[str, Node | None, Any]]:
    """What the pullback of a step reads: name, node (None: a constant) and value."""
    if n.p is None or n.p.rule is None:
        return
    if n.reading is not None:
        yield "x", n.reading.x.node, n.reading.x.value
        return
    names = n.p.inputs
    if names and names[-1].startswith("*"):
        names = (*names[:-1], *[names[-1]] * (len(n.args) - len(names) + 1))
    given = list(zip(names, n.parents, n.args, strict=True))
    wanted = tuple(dict.fromkeys(i for i, q, _ in given if q is not None and q.pull is not None))
    reads = values_read(n.p, wanted)
    yield from ((i, q, v) for i, q, v in given if i in reads)
    if "out" in reads:
        yield "out", n, n.out


def _bytes(v: Any) -> int:
    return 8 if v.__class__ is float else int(np.asarray(v).nbytes)


__all__ = ["NOTHING", "Kept", "Saved", "saved"]
