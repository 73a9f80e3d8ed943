"""An expression at a point, explained step by step."""

from __future__ import annotations

from collections.abc import Mapping

from chainrule.dispatch import Handle
from chainrule.errors import ArgumentError
from chainrule.insight.explain import Explanation, explain_with
from chainrule.insight.expression.tree import Expression
from chainrule.insight.naming import Variables
from chainrule.ops.creation import tensor


def explained(expression: Expression, point: Mapping[str, float | list[float]]) -> Explanation:
    """The explanation of the value of an expression; its names are leaves that ask for a gradient.

    Raises
    ------
    ArgumentError (E104)
        The expression has no names.
    """
    leaves = {name: tensor(v, requires_grad=True) for name, v in point.items()}
    out = expression.evaluate(leaves)
    if not isinstance(out, Handle) or not leaves:
        what = "the expression has no names, so it depends on nothing"
        raise ArgumentError(
            what, given=expression.pretty(), fix='use one, as in  chainrule explain "w**2" w=3'
        )
    return explain_with(out, Variables.of_scopes([{**leaves, "L": out} if "L" not in leaves else leaves]))


__all__ = ["explained"]
