"""The explanation tree as dictionaries, lists, text and numbers."""

from __future__ import annotations

from typing import Any

from chainrule.insight.shown import Shown
from chainrule.insight.trace import Given, Line, Local, Step, Trace


def tree(t: Trace) -> dict[str, Any]:
    """The whole tree, for `json.dumps`."""
    return {
        "output": t.output,
        "size": t.size,
        "count": t.count,
        "steps": [_step(s) for s in t.steps],
        "lines": [_line(line) for line in t.lines],
        "loops": [{"lines": [loop.first, loop.last], "times": loop.times} for loop in t.loops],
        "leaves": [_given(g) for g in t.leaves],
        "constants": list(t.constants),
        "unused": list(t.unused),
        "notes": list(t.notes),
        "saved": t.saved.to_json(),
    }


def _shown(v: Shown | None) -> Any:
    return None if v is None else v.to_json()


def _line(line: Line) -> dict[str, Any]:
    return {"place": line.place.place, "code": line.place.text, "steps": line.steps, "times": line.times,
            "operations": list(line.operations), "value": line.value.to_json(),
            "cotangent": _shown(line.cotangent)}  # fmt: skip


def _local(e: Local) -> dict[str, Any]:
    return {"operand": e.operand, "id": e.id, "formula": None if e.formula is None else e.formula.python,
            "value": _shown(e.value), "note": e.note}  # fmt: skip


def _step(s: Step) -> dict[str, Any]:
    return {
        "id": s.id, "kind": s.kind, "name": s.name, "named": s.named,
        "formula": None if s.formula is None else s.formula.python,
        "operands": [{"name": n, "id": i} for n, i in s.operands],
        "value": s.value.to_json(), "cotangent": _shown(s.cotangent), "tracked": s.tracked,
        "local_derivatives": [_local(e) for e in s.locals],
        "place": s.place.place, "code": s.place.text, "note": s.note,
    }  # fmt: skip


def _given(g: Given) -> dict[str, Any]:
    return {
        "id": g.id, "name": g.name, "named": g.named, "value": g.value.to_json(),
        "gradient": _shown(g.gradient),
        "grad": _shown(g.stored), "place": g.place.place, "code": g.place.text,
        "routes": [
            {"steps": list(r.names), "factors": [_shown(e.value) for e in r.locals], "product": r.product,
             "entry": None if r.entry is None else list(r.entry)}
            for r in g.routes
        ],
        "contributions": [{"place": p.place, "number": v} for p, v in g.contributions],
    }  # fmt: skip


__all__ = ["tree"]
