"""Update steps that were lost: smaller than half the spacing of the numbers at the parameter."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.insight.question import Question
from chainrule.insight.shown import number, place
from chainrule.ir.types import Type, type_of
from chainrule.source import Source
from chainrule.tape.node import Node

FIX = "Use float64 (tensor(…, dtype=float64)), or a larger step; nothing else moves it."


def lost_update(q: Question) -> tuple[str, Source] | None:
    """The sentence and the line, if the last in-place change of a parameter left it where it was."""
    mark, before = getattr(q.n, "overwritten", None), getattr(q.n, "before", None)
    if mark is None or before is None or before[2] not in ("add_", "sub_"):
        return None
    old, new, step = before[1], q.n.out, before[3]
    if any(v is None or v.__class__ is Type for v in (old, new, step)):
        return None
    return sentence(q.name, np.asarray(old), np.asarray(new), np.asarray(step), before[2] == "sub_", mark[1])


def replaced(n: Node, name: str) -> tuple[str, Source] | None:
    """The same for `w = w - step`, which makes a new tensor."""
    if n.p is None or n.p.name not in ("add", "sub"):
        return None
    old, step = n.args
    if n.out.__class__ is Type or any(v.__class__ is Type for v in n.args) or type_of(old).dtype.kind != "f":
        return None
    return sentence(name, np.asarray(old), np.asarray(n.out), np.asarray(step), n.p.name == "sub", n.source)


def sentence(
    name: str, old: Any, new: Any, step: Any, down: bool, source: Source
) -> tuple[str, Source] | None:
    """None if any entry moved, or none was to be moved."""
    if old.dtype.kind != "f" or old.shape != new.shape:
        return None
    step = np.broadcast_to(step.astype(np.float64), old.shape)
    if not np.any(step != 0) or np.any((new != old) & (step != 0)):
        return None
    i = tuple(int(k) for k in np.argwhere(step != 0)[0])
    v, s = old[i], float(step[i])
    towards = old.dtype.type(-np.inf if down == (s > 0) else np.inf)
    spacing = abs(float(np.nextafter(v, towards)) - float(v))
    at = f"{name}{place(i)}"
    side = "below" if towards < 0 else "above"
    text = (
        f"{name} did not move: the update {number(s)} at {source.place} is {number(round(abs(s) / spacing, 2))} of the "
        f"spacing of {old.dtype} {side} {at} = {number(v)} ({number(spacing)}), less than half: it is rounded away."
    )
    return text, source


__all__ = ["FIX", "lost_update", "replaced", "sentence"]
