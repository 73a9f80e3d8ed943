"""Value and gradient at a point, with evidence: a formula, differences, and what a small step really does."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chainrule.errors import ExpressionError
from chainrule.insight.expression.compute import compute_part, engine
from chainrule.insight.expression.differences import Look, along, look_around
from chainrule.insight.expression.differentiate import derivatives
from chainrule.insight.expression.point import Point, check_names
from chainrule.insight.expression.printed import number_text, short
from chainrule.insight.expression.tree import Expression


@dataclass(frozen=True, slots=True)
class Slope:
    """∂L/∂name at a point, and what speaks for it.

    name, at, value
        The variable, its value, and the derivative: a number, or a vector of them.
    formula
        The derivative in symbols; None where no short one exists.
    difference, agrees
        The same by central differences (NaN where L is not defined on both sides), and whether both agree
        (None where differences are too rough to say).
    entry, step, change
        For a vector the entry of the steepest slope; what L really does when it is raised by `step`.
    trouble
        A sentence that says why no derivative exists here, or None.
    """

    name: str
    at: float | list[float]
    value: float | list[float]
    formula: Expression | None
    difference: float | list[float]
    agrees: bool | None
    entry: int | None
    step: float
    change: float
    trouble: str | None


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Value of an expression at a point, its slopes, and what went wrong (`failure`, or None)."""

    expression: Expression
    point: Point
    value: float
    slopes: tuple[Slope, ...]
    failure: str | None

    def along(self, name: str, entry: int | None = None) -> Callable[[float], float]:
        """L as a function of one number, the others staying where they are."""
        return along(self.expression, self.point, name, entry)

    def to_json(self) -> dict[str, Any]:
        """Plain data for strict JSON: what JSON lacks are the strings "NaN", "Infinity", "-Infinity"."""
        answer = {
            "value": _plain(self.value),
            "grad": {s.name: _plain(s.value) for s in self.slopes},
            "expr": {s.name: None if s.formula is None else str(s.formula) for s in self.slopes},
            "check": {s.name: {"fd": _plain(_rounded(s.difference)), "ok": s.agrees} for s in self.slopes},
        }
        return answer if self.failure is None else {**answer, "failure": self.failure}


def sensitivity(expression: Expression, point: Point) -> Sensitivity:
    """Value and gradient of an expression, from the engine, with formulas and differences beside them.

    Parameters
    ----------
    expression
        With one number as its value.
    point
        A number or a vector (list) for each of its names, as `parse_point` gives them.

    Raises
    ------
    ExpressionError (E601)
        Names and point do not fit, a part cannot be computed, or the value is a vector.

    Cost
    ----
    One forward and backward pass, and one evaluation at about 160 places for each number of the point.

    Examples
    --------
    >>> from chainrule.insight.expression import parse_expression
    >>> s = sensitivity(parse_expression("4*w + w**3"), {"w": 1.0})
    >>> s.value, s.slopes[0].value, str(s.slopes[0].formula)
    (5.0, 7.0, '4 + 3*w**2')
    """
    import chainrule as cr

    check_names(point, expression.names)
    leaves = {name: cr.tensor(value, requires_grad=True) for name, value in point.items()}
    out = expression.evaluate(leaves)
    value = _one_number(expression, out)
    if leaves:
        out.backward()
    grads = {name: _gradient(leaf, point[name]) for name, leaf in leaves.items()}
    formulas = derivatives(expression, point, {n: len(at) for n, at in point.items() if isinstance(at, list)})
    looks = look_around(expression, point)
    slopes = tuple(
        _slope(name, at, grads[name], looks[name], formula if isinstance(formula, Expression) else None)
        for (name, at), formula in zip(point.items(), formulas.values(), strict=True)
    )
    troubles = [s.trouble for s in slopes if s.trouble]
    if not math.isfinite(value):
        troubles.insert(0, _why_not_finite(expression, point, value))
    return Sensitivity(expression, point, value, slopes, troubles[0] if troubles else None)


def _one_number(expression: Expression, out: Any) -> float:
    values = out if isinstance(out, float) else out.tolist()
    if not isinstance(values, list):
        return float(values)
    what = f"'{short(expression)}' has {len(values)} values, so 'the gradient' is ambiguous"
    raise ExpressionError(what, fix=f"choose one, or the sum:  sum({short(expression)})")


def _gradient(leaf: Any, at: float | list[float]) -> float | list[float]:
    if leaf.grad is None:  # flat everywhere
        return [0.0] * len(at) if isinstance(at, list) else 0.0
    return leaf.grad.tolist()


def _why_not_finite(expression: Expression, point: Point, value: float) -> str:
    """Names the first part whose value is not finite, though its arguments are."""
    import chainrule as cr

    env = {name: cr.tensor(at) for name, at in point.items()}
    culprits: list[Expression] = []

    def visit(x: Expression, args: list[Any]) -> Any:
        out = compute_part(x, args, env, engine())
        if not _finite_everywhere(out) and all(map(_finite_everywhere, args)):
            culprits.append(x)
        return out

    expression.fold(visit)
    first = culprits[0] if culprits else expression
    result = first.evaluate(env)
    what = f"'{short(first)}' is {'not finite' if getattr(result, 'shape', ()) else float(result)}"
    used = {name: point[name] for name in first.names}
    where = f" at {shown_point(used)}" if used else ""
    return f"{what}{where}" if first == expression else f"{what}{where}, so L is {value}"


def _finite_everywhere(value: Any) -> bool:
    numbers = value.tolist() if hasattr(value, "tolist") else value
    return all(map(_finite_everywhere, numbers)) if isinstance(numbers, list) else math.isfinite(numbers)


def shown_point(point: Point) -> str:
    def shown(value: float | list[float]) -> str:
        return f"[{', '.join(map(shown, value))}]" if isinstance(value, list) else number_text(value)

    return ", ".join(f"{name} = {shown(value)}" for name, value in point.items())


def _slope(
    name: str,
    at: float | list[float],
    value: float | list[float],
    looks: list[Look],
    formula: Expression | None,
) -> Slope:
    values = value if isinstance(value, list) else [value]
    verdicts = [look.agrees(v) for look, v in zip(looks, values, strict=True)]
    steepest = max(range(len(values)), key=lambda i: abs(values[i]))
    trouble = next((t for i, v in enumerate(values) if (t := _trouble(name, at, i, v, looks[i]))), None)
    many, slopes = isinstance(at, list), [look.slope for look in looks]
    return Slope(
        name=name,
        at=at,
        value=value,
        formula=formula,
        difference=slopes if many else slopes[0],
        agrees=False if False in verdicts else None if None in verdicts else True,
        entry=steepest if many else None,
        step=looks[steepest].step,
        change=looks[steepest].change,
        trouble=trouble,
    )


def _trouble(name: str, at: float | list[float], entry: int, value: float, look: Look) -> str | None:
    """Why no derivative exists here, as far as the numbers tell."""
    one = f"{name}[{entry}]" if isinstance(at, list) else name
    where = f"at {shown_point({one: at[entry] if isinstance(at, list) else at})}"
    if not math.isfinite(value):
        return f"dL/d{one} is {value} {where}"
    if look.jumps(value):
        return f"L jumps {where}: no slope exists there, and {value:g} is the one beside it"
    if look.bends:
        sides = f"slope {look.left:.4g} on its left, {look.right:.4g} on its right"
        return f"L has a kink {where} ({sides}): no slope exists there, and {value:g} is a choice"
    if look.agrees(value) is False:
        return f"dL/d{one} = {value:g} {where}, but differences give {look.slope:g}"
    return None


def _plain(value: float | list[float]) -> Any:
    """A number for strict JSON."""
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _rounded(value: float | list[float]) -> float | list[float]:
    """Nine digits: a difference has no more to show."""
    return [float(f"{v:.9g}") for v in value] if isinstance(value, list) else float(f"{value:.9g}")
