"""Conditions that rarely hold: that an entry is the largest or the smallest of many.

The gradient of a minimum goes to one entry of a row. Where it is summed over the samples, vectors of samples in which
no entry is the smallest are passed over.
"""

from __future__ import annotations

import math

from chainrule.codegen.places import Places
from chainrule.codegen.reading import Read, axes_of, operands
from chainrule.codegen.views import Terms, is_view
from chainrule.ir.graph import Var

_MANY = 16  # entries of which one is chosen: then most vectors have none


def rare_condition(plan: Places, v: Var, idx: Terms) -> Read | None:
    """The rare condition without which entry `idx` of a value is 0."""
    while (e := plan.made.get(v)) is not None and e not in plan.calls:
        if e.name == "neg" or is_view(e):
            ((v, idx),) = operands(e, idx)
        elif e.name == "where" and _is_zero(plan, e.inputs[2]):
            condition = e.inputs[0]
            return plan.behind_read((condition, idx)) if _is_rare(plan, condition) else None
        else:
            return None
    return None


def _is_zero(plan: Places, v: Var) -> bool:
    number = plan.graph.constants.get(plan.behind(v))
    return number is not None and number.ndim == 0 and bool(number == 0)


def _is_rare(plan: Places, condition: Var) -> bool:
    e = plan.made.get(plan.behind(condition))
    if e is None or e in plan.calls:
        return False
    if e.name in ("logical_or", "logical_and"):
        return any(_is_rare(plan, v) for v in e.inputs)
    return e.name == "eq" and any(_is_extreme_of(plan, *pair) for pair in (e.inputs, e.inputs[::-1]))


def _is_extreme_of(plan: Places, x: Var, extreme: Var) -> bool:
    """Whether one value is the largest or smallest along an axis of the other."""
    e = plan.made.get(plan.behind(extreme))
    if e is None or e.name not in ("amax", "amin"):
        return False
    return (
        plan.behind(e.inputs[0]) is plan.behind(x)
        and math.prod(e.inputs[0].shape[k] for k in axes_of(e)) >= _MANY
    )


__all__ = ["rare_condition"]
