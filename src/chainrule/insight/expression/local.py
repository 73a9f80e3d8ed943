"""The derivative of one part by one of its arguments, read from the table."""

from __future__ import annotations

import functools
import math
from fractions import Fraction
from typing import Any

from chainrule.errors import ExpressionError
from chainrule.insight.expression.printed import short
from chainrule.insight.expression.products import constant, power_of, product_of, sum_of
from chainrule.insight.expression.tree import Expression
from chainrule.insight.expression.words import FUNCTIONS
from chainrule.table.formula import fold
from chainrule.table.primitive import TABLE, Partials, partials_of

# Note [Formulas of the table]
# The local derivatives are those of the table, run on expressions instead of numbers, so the formula that is
# shown and the number that the engine gives have one source. Stated here are only the three linear functions
# whose table entry is a transpose, not a formula: sum, mean and dot. Guards of single points (x = 0) and of
# points outside the domain are left out: a formula for reading is for the places between.

_PRIMITIVES = {"+": "add", "-": "sub", "*": "mul", "/": "div", "**": "pow"}


def local_derivative(part: Expression, i: int, n: int | None) -> Expression:
    """∂part/∂(its i-th argument), which has `n` entries, or is a number (None)."""
    x = part.args[i]
    match part.value if part.op == "call" else part.op:
        case "sum":
            return constant(1)
        case "mean":
            return constant(Fraction(1, n or 1))
        case "dot":
            return part.args[1 - i]
        case "square":
            return product_of([constant(2), x])
        case function:
            p = TABLE.get(_PRIMITIVES.get(str(function), str(function)))
    if p is None or not isinstance(p.rule, Partials) or p.name == "prod":
        raise _no_formula(part)
    values: dict[str, Any] = dict(zip(p.inputs, part.args, strict=True)) | {"out": part}
    params = {"axis": (0,), "count": n or 1, "correction": 1}
    found = fold(partials_of(p)[p.inputs[i]], values, params, functools.partial(_emit, part))
    return _as_expression(found, part)


def _no_formula(part: Expression) -> ExpressionError:
    what = f"the derivative of '{short(part)}' has no short formula"
    return ExpressionError(what, fix="read its number")


def _as_expression(value: Any, part: Expression) -> Expression:
    if isinstance(value, Expression):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _no_formula(part)
    return constant(value)


_CASES = object()  # stands for what has no formula without cases


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _emit(part: Expression, primitive: str, *args: Any, **params: Any) -> Any:
    """A primitive of a formula, on expressions. A condition is True if it holds at single points only."""
    match primitive:
        case "eq":
            return True
        case "logical_and":
            return args[0] is True or args[1] is True
        case "lt" | "le" | "gt" | "ge" | "logical_or":
            return False
        case "where":
            return args[2] if args[0] is True or _is_nan(args[1]) else args[1] if _is_nan(args[2]) else _CASES
    if any(a is _CASES for a in args):
        return _CASES
    x, *rest = (_as_expression(a, part) for a in args)
    match primitive:
        case "add":
            return sum_of([x, *rest])
        case "sub":
            return sum_of([x, product_of([constant(-1), *rest])])
        case "neg":
            return product_of([constant(-1), x])
        case "mul":
            return product_of([x, *rest])
        case "div":
            return product_of([x], below=rest)
        case "integer_pow" | "pow":
            return power_of(x, rest[0] if rest else constant(params["n"]))
        case "sech2":
            return power_of(Expression("call", (x,), "cosh"), constant(-2))
        case "softmax":
            shift = product_of([constant(-1), Expression("call", (x,), "logsumexp")])
            return Expression("call", (sum_of([x, shift]),), "exp")
    if primitive not in FUNCTIONS or primitive == "sum":
        return _CASES
    return Expression("call", (x, *rest), primitive)
