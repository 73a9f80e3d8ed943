"""Forward mode on the tape: tangents of inputs become tangents of outputs, first operation first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import dispatch
from chainrule.dispatch import wrap
from chainrule.eager.backward import (
    check_overwritten,
    collect,
    is_indicator,
    lift_number,
    lift_tensor,
    restrict,
)
from chainrule.table.primitive import TABLE
from chainrule.tape import numbers, segments
from chainrule.tape.modes import enable_grad, no_grad
from chainrule.tape.node import Node
from chainrule.tape.pull import Freed, freed
from chainrule.tape.segments import values_of
from chainrule.tape.traced import Traced, cut
from chainrule.transforms.derive import pushforward
from chainrule.transforms.walk import forward


def push_forward(roots: Sequence[Node], tangents: dict[Node, Any], recorded: bool) -> dict[Node, Any]:
    """Tangents of the roots that depend on some nodes, given tangents of these: the tape walked upwards."""
    order = restrict(collect(roots), set(tangents))
    steps = [n for n in reversed(order) if n.p is not None and n not in tangents]
    written = check_overwritten(list(reversed(steps)))
    traced = not recorded and any(
        v.__class__ is Traced for v in (*(n.out for n in roots), *tangents.values())
    )
    emit, lift = (dispatch.emit, lift_tensor) if recorded or traced else (numbers.emit, lift_number)
    ts = {n: wrap(t, dispatch.leaf_of(t)) for n, t in tangents.items()} if traced else dict(tangents)

    def push(n: Node, ts: dict[Any, Any]) -> list[tuple[Node, Any]]:
        if n.pull.__class__ is Freed:
            raise freed(n)
        have = values_of(n)
        if n.reading is not None and n not in written:
            q, x = TABLE[n.reading.name], n.reading.x
            if x.node not in ts:
                return []
            value = lift(have.reading.x.value, x.node)  # type: ignore[union-attr]
            out = emit(q.name, value, **n.reading.params)
            return [(n, pushforward(q, (value,), out, n.reading.params, (ts[x.node],), emit))]
        args = [lift(v, q) for v, q in zip(have.args, n.parents, strict=True)]
        tangents = [ts.get(q) for q in n.parents]
        indicator = [is_indicator(q) for q in n.parents] if n.p.name == "mul" else ()
        t = pushforward(n.p, args, lift(have.out, n), have.params or {}, tangents, emit, indicator)
        return [] if t is None else [(n, t)]

    with np.errstate(all="ignore"), no_grad() if traced else enable_grad(), segments.walking():
        forward(steps, ts, push)
    found = {n: ts[n] for n in roots if n in ts}
    return {n: cut(t.v) for n, t in found.items()} if traced else found


__all__ = ["push_forward"]
