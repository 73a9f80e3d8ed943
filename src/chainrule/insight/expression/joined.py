"""The numbers of a point in one vector: for functions that vary all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chainrule.insight.expression.tree import Expression

Value = float | list[float]


def entries(value: Value) -> list[float]:
    """The numbers of one value."""
    return value if isinstance(value, list) else [value]


def entry_names(point: Mapping[str, Value]) -> list[str]:
    """One name for each number of a point: `w1`, or `x[0]`, `x[1]` of a vector."""
    return [
        name if not isinstance(v, list) else f"{name}[{i}]"
        for name, v in point.items()
        for i in range(len(entries(v)))
    ]


def of_one_vector(expression: Expression, point: Mapping[str, Value]) -> Callable[[Any], Any]:
    """The expression as a function of all its numbers in one vector, in the order of the point."""
    places: dict[str, Any] = {}
    at = 0
    for name, v in point.items():
        places[name] = slice(at, at + len(v)) if isinstance(v, list) else at
        at += len(entries(v))
    return lambda w: expression.evaluate({name: w[place] for name, place in places.items()})
