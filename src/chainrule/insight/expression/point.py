"""The point: name=value, read by the same rules as expressions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from chainrule.errors import ExpressionError
from chainrule.insight.expression.parse import parse_expression
from chainrule.insight.expression.tree import Expression
from chainrule.insight.expression.words import CONSTANTS, FUNCTIONS, split_words

Point = Mapping[str, float | list[float]]


def parse_point(items: Sequence[str], names: Sequence[str] | None = None) -> dict[str, float | list[float]]:
    """Read values such as ``["w=1", "b=-2.5", "x=[1, 2]"]``.

    Parameters
    ----------
    items
        One ``name=value`` each; a value is a number, a vector of numbers in [ ], or an expression of numbers
        (``w=pi/2``).
    names
        The names that must be given, all of them and no others; left out: not checked.

    Raises
    ------
    ExpressionError (E601)
        An item cannot be read, or a name is given twice, missing, or not asked for.

    Examples
    --------
    >>> parse_point(["w=1", "x=[1, 2.5]"])
    {'w': 1.0, 'x': [1.0, 2.5]}
    """
    point: dict[str, float | list[float]] = {}
    for item in items:
        name, value = _assignment(item, names)
        if name in point:
            raise ExpressionError(f"'{name}' is given twice", text=" ".join(items), fix="give it one value")
        point[name] = value
    if names is not None:
        check_names(point, names)
    return point


def _assignment(item: str, names: Sequence[str] | None) -> tuple[str, float | list[float]]:
    left, equals, right = item.partition("=")
    example = (names or ["w"])[0]
    if not equals:
        fix = f"write name=value without spaces, as in  {example}=1, and put the expression in quotes"
        raise ExpressionError(f"'{item}' gives no value to a name", fix=fix)
    words = split_words(left)
    if len(words) != 1 or words[0].kind != "name" or words[0].text in FUNCTIONS:
        what = f"'{left.strip()}' is no name for a value"
        raise ExpressionError(what, text=item, fix=f"write  {example}=1")
    name = words[0].text
    if name in CONSTANTS:
        what = f"'{name}' always is {CONSTANTS[name]:.6g} and takes no value"
        raise ExpressionError(what, text=item, fix="use another name in the expression")
    if not right.strip():
        raise ExpressionError(f"'{name}' has no value", text=item, fix=f"write  {name}=1")
    return name, _value(name, parse_expression(right))


def _value(name: str, x: Expression) -> float | list[float]:
    if x.names:
        what = f"the value of '{name}' depends on '{x.names[0]}'"
        raise ExpressionError(what, text=f"{name}={x}", fix=f"write a number, as in  {name}=1")
    if x.op != "list":
        return _finite(name, x)
    if not x.args or any(entry.op == "list" for entry in x.args):
        fix = f"write a vector of numbers, as in  {name}=[1,2]"
        raise ExpressionError(f"'{name}' is neither a number nor a vector", text=f"{name}={x}", fix=fix)
    return [_finite(name, entry) for entry in x.args]


def _finite(name: str, x: Expression) -> float:
    plain = x.op == "number" or (x.op == "neg" and x.args[0].op == "number")
    value = float(str(x)) if plain else x.evaluate({})  # the engine is not loaded for w=-1.5
    if not isinstance(value, float):
        raise ExpressionError(f"'{x}' is not one number", text=f"{name}={x}", fix=f"write  {name}=1")
    if not math.isfinite(value):
        raise ExpressionError(f"'{x}' is {value}", text=f"{name}={x}", fix="give a finite number")
    return value


def check_names(point: Mapping[str, Any], names: Sequence[str]) -> None:
    for name in names:
        if name not in point:
            raise ExpressionError(f"'{name}' has no value", fix=f"add one at the end, as in  {name}=1")
    for name in point:
        if name not in names:
            known = ", ".join(f"'{n}'" for n in names) or "no names"
            what = f"'{name}' does not occur in the expression, which has {known}"
            raise ExpressionError(what, fix=f"leave out {name}=…")
