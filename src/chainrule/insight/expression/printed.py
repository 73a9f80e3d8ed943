"""Tree → text: as it is typed, which parses back to the same tree, and as it is written by hand."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chainrule.insight.formulas import ATOM, POWER, PRODUCT, SIGN, SUM, Printed
from chainrule.insight.notation import pretty

if TYPE_CHECKING:
    from chainrule.insight.expression.tree import Expression

_LEVELS = {"+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT, "**": POWER}


def as_typed(x: Expression, args: list[Printed]) -> Printed:
    """Text that parses back to the same tree."""
    inside = ", ".join(a.text for a in args)
    match x.op:
        case "number":
            return Printed(number_text(float(x.value or 0)), ATOM)
        case "name":
            return Printed(str(x.value), ATOM)
        case "list":
            return Printed(f"[{inside}]", ATOM)
        case "call":
            return Printed(f"{x.value}({inside})", ATOM)
        case "item":
            needed = ATOM + (x.args[0].op == "number")  # 2[0] reads as a product
            return Printed(f"{args[0].at(needed)}[{x.value}]", ATOM)
        case "neg":
            return Printed("-" + args[0].at(POWER), SIGN)
    left, right = _operands(x, args)
    sign = f" {x.op} " if x.op in "+-" else x.op
    return Printed(f"{left}{sign}{right}", _LEVELS[x.op])


def _operands(x: Expression, args: list[Printed]) -> tuple[str, str]:
    """Both sides with the brackets they need: a - (b - c), (a**b)**c, a*(-b)."""
    level = _LEVELS[x.op]
    to_right = x.op == "**"
    right = ATOM if x.args[1].op == "neg" else level + (not to_right)
    return args[0].at(level + to_right), args[1].at(right)


def by_hand(x: Expression, args: list[Printed]) -> Printed:
    """Text as on paper: 4w, w³, 2(w + 1), |w|, √w; for reading only."""
    if x.op == "name" and x.value == "pi":
        return Printed("π", ATOM)
    if x.op == "call" and x.value in ("abs", "norm"):
        bar = "|" if x.value == "abs" else "‖"
        return Printed(f"{bar}{args[0].text}{bar}", ATOM)
    if x.op == "call" and x.value == "sqrt":
        plain = x.args[0].op in ("number", "name") or args[0].text[0] in "|‖"
        return Printed("√" + (args[0].text if plain else f"({args[0].text})"), ATOM)
    if x.op == "**" and (exponent := _whole(x.args[1])) is not None:
        return Printed(args[0].at(ATOM) + pretty(f"**({exponent})"), POWER)
    if x.op == "number":
        text = number_text(float(x.value or 0))
        return Printed(text if len(text) <= 12 else f"{x.value:.6g}", ATOM)
    if x.op == "*":
        left, right = _operands(x, args)
        first = x.args[0].args[0] if x.args[0].op == "neg" else x.args[0]
        beside = first.op == "number" and not re.match(r"[0-9.]|[eE][0-9]", right)
        return Printed(f"{left}{'' if beside else '·'}{right}", PRODUCT)
    return as_typed(x, args)


def _whole(x: Expression) -> int | None:
    """The whole number that an exponent is, if it is one."""
    sign, number = (-1, x.args[0]) if x.op == "neg" else (1, x)
    value = number.value if number.op == "number" else None
    return sign * int(value) if isinstance(value, float) and value.is_integer() and value < 100 else None


def number_text(value: float) -> str:
    """The shortest text of a number: `4`, `0.5`."""
    return repr(value).removesuffix(".0")


def short(x: Expression) -> str:
    """At most 40 characters of the text, for messages."""
    text = str(x)
    return text if len(text) <= 40 else f"{text[:39]}…"
