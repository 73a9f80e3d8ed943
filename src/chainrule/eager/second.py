"""Forward over reverse on plain numbers: how a gradient changes along a direction, without recording it."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.eager.backward import (
    HOOKS,
    RETAINED,
    _asked_inside,
    _doubtful,
    check_overwritten,
    collect,
    restrict,
)
from chainrule.tape import numbers, pairs
from chainrule.tape.node import Node
from chainrule.tape.pull import Freed, settle
from chainrule.tape.segments import Dropped


def gradient_along(root: Node, tangents: dict[Node, Any], ends: set[Node]) -> dict[Node, Any] | None:
    """The derivative of the gradient of one number along a direction: Hessian times vector, by node.

    root
        Node of the number.
    tangents
        The direction: numbers by node; the gradient is with respect to these nodes.
    ends
        Nodes that belong to the arguments and may lie behind these.

    Returns None where the walk has to be a recorded one: a tracked value from outside or a rule that is a program is
    on the way, hooks watch, values were dropped or changed, or a NaN may have come by a route that was not taken.
    """
    found = collect([root])
    order = restrict(found, set(tangents))
    inner = set(order)
    if any(n not in inner and n not in ends for n in found):
        return None
    steps = [n for n in order if n not in tangents]
    if not all(map(_is_ordinary, steps)) or check_overwritten(steps) or _asked_inside(order, set(tangents)):
        return None
    with numbers.quiet():
        products = _walk(root, steps, tangents)
        return None if _doubtful(products.values(), steps) else products


def _is_ordinary(n: Node) -> bool:
    return (
        pairs.is_plain(n)
        and n.pull.__class__ not in (Dropped, Freed)
        and not ((HOOKS.data or RETAINED.data) and (n in HOOKS or n in RETAINED))
    )


def _walk(root: Node, steps: list[Node], tangents: dict[Node, Any]) -> dict[Node, Any]:
    ts: dict[Any, Any] = dict(tangents)
    operations = {n: pairs.operation(n) for n in steps}
    for n in reversed(steps):
        op = operations[n]
        ts[n] = pairs.push(op, [ts.get(q) for q in op.parents])
    one = np.float64(1.0) if root.out.__class__ is float else np.ones(root.out.shape, root.out.dtype)
    cts: dict[Any, tuple[Any, Any]] = {root: (one, None)}
    for n in steps:
        pair = cts.pop(n, None)
        if pair is None:  # a composite leaps over it
            continue
        op = operations.pop(n)
        needed = [None if q is None or q.pull is None else q not in tangents for q in op.parents]
        for k, ct, dct in pairs.pull(op, *pair, [ts.get(q) for q in op.parents], ts[n], needed):
            q = op.parents[k]
            a = cts.get(q)
            cts[q] = (ct, dct) if a is None else (_sum(a[0], ct), _sum(a[1], dct))
    return {n: settle(dct, n.out) for n, (_, dct) in cts.items() if dct is not None}


def _sum(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else a + b
