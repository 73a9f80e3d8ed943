"""Simplification: an expression as a sum of products of powers, with equal terms and equal bases joined."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from fractions import Fraction

from chainrule.errors import ExpressionError
from chainrule.insight.expression.tree import Expression

Coefficient = Fraction | float
Factors = dict[Expression, Coefficient]  # base → exponent, in order of appearance


def out_of_range() -> ExpressionError:
    return ExpressionError("a constant of the derivative leaves the range of float64", fix="rescale")


def constant(value: Coefficient) -> Expression:
    """A number as a tree: -2 with its sign outside, 1/3 as a fraction."""
    if isinstance(value, Fraction) and value.denominator != 1:
        top = constant(Fraction(value.numerator))
        return Expression("/", (top, Expression("number", value=float(value.denominator))))
    if not math.isfinite(value):
        raise out_of_range()
    number = Expression("number", value=abs(float(value)))
    return Expression("neg", (number,)) if value < 0 else number


def _exact(value: float) -> Coefficient:
    """Whole numbers as fractions, so that 1/3 stays 1/3; others as they are."""
    return Fraction(value) if value.is_integer() and abs(value) < 2**53 else value


def factors_of(x: Expression) -> tuple[Coefficient, Factors]:
    """x as coefficient · Π base**exponent."""
    coefficient: Coefficient = Fraction(1)
    factors: Factors = {}
    waiting: list[tuple[Expression, Coefficient]] = [(x, Fraction(1))]
    while waiting:
        part, k = waiting.pop()
        if part.op == "number" and (value := _number_power(float(part.value or 0), k)) is not None:
            coefficient = _times(coefficient, value)
        elif part.op == "neg" and k % 2 in (0, 1):
            coefficient = -coefficient if k % 2 else coefficient
            waiting.append((part.args[0], k))
        elif part.op in ("*", "/") and k % 1 == 0:
            waiting += [(part.args[1], k if part.op == "*" else -k), (part.args[0], k)]
        elif part.op == "**" and k % 1 == 0 and (exponent := _pure_number(part.args[1])) is not None:
            waiting.append((part.args[0], _times(exponent, k)))
        else:
            factors[part] = factors.get(part, Fraction(0)) + k
    return coefficient, {base: k for base, k in factors.items() if k != 0}


def _times(a: Coefficient, b: Coefficient) -> Coefficient:
    return a * b if type(a) is type(b) else float(a) * float(b)


def _number_power(value: float, k: Coefficient) -> Coefficient | None:
    """value**k, or None where that is no finite real number."""
    exact = _exact(value)
    if k == 1:
        return exact
    try:
        power = exact**k if isinstance(exact, Fraction) and k % 1 == 0 and abs(k) <= 8 else value ** float(k)
    except (ArithmeticError, ValueError):
        return None
    return power if math.isfinite(power) else None


def _pure_number(x: Expression) -> Coefficient | None:
    coefficient, factors = factors_of(x)
    return None if factors else coefficient


def product_of(xs: Iterable[Expression], *, below: Iterable[Expression] = ()) -> Expression:
    """Π xs / Π below, with equal bases joined."""
    coefficient: Coefficient = Fraction(1)
    factors: Factors = {}
    for x in [*xs, *(Expression("/", (constant(1), x)) for x in below)]:
        c, fs = factors_of(x)
        coefficient = _times(coefficient, c)
        for base, exponent in fs.items():
            factors[base] = factors.get(base, Fraction(0)) + exponent
    return rebuild(coefficient, {base: k for base, k in factors.items() if k != 0})


def power_of(x: Expression, exponent: Expression) -> Expression:
    k = _pure_number(exponent)
    if k is None:
        return Expression("**", (x, exponent))
    return constant(1) if k == 0 else product_of([x if k == 1 else Expression("**", (x, constant(k)))])


def rebuild(coefficient: Coefficient, factors: Factors) -> Expression:
    """The product as a tree: number, names, brackets, functions; negative powers under a fraction bar."""
    if coefficient == 0:
        return constant(0)
    below = {base: -k for base, k in factors.items() if k < 0}
    if isinstance(coefficient, float) and below and (1 / coefficient).is_integer():
        coefficient = 1 / Fraction(int(1 / coefficient))
    top, bottom = _ratio(abs(coefficient))
    over = [_raised(base, k) for base, k in sorted(factors.items(), key=_rank) if k > 0]
    under = [_raised(base, k) for base, k in sorted(below.items(), key=_rank)]
    over = ([constant(top)] if top != 1 or not over else []) + over
    under = ([constant(bottom)] if bottom != 1 else []) + under
    if coefficient < 0:
        over[0] = Expression("neg", (over[0],))
    product = functools.reduce(lambda a, b: Expression("*", (a, b)), over)
    if not under:
        return product
    return Expression("/", (product, functools.reduce(lambda a, b: Expression("*", (a, b)), under)))


def _ratio(x: Coefficient) -> tuple[Coefficient, Coefficient]:
    if isinstance(x, Fraction):
        return Fraction(x.numerator), Fraction(x.denominator)
    return x, Fraction(1)


def _rank(factor: tuple[Expression, Coefficient]) -> int:
    """Names before brackets before functions."""
    return {"name": 0, "item": 0, "call": 2}.get(factor[0].op, 1)


def _raised(base: Expression, k: Coefficient) -> Expression:
    return base if k == 1 else Expression("**", (base, constant(k)))


def sum_of(xs: Iterable[Expression]) -> Expression:
    """Σ xs, with equal terms joined."""
    terms: dict[frozenset[tuple[Expression, Coefficient]], tuple[Coefficient, Factors]] = {}
    waiting = [(x, 1) for x in xs][::-1]
    while waiting:
        x, sign = waiting.pop()
        if x.op in ("+", "-"):
            waiting += [(x.args[1], sign if x.op == "+" else -sign), (x.args[0], sign)]
            continue
        c, factors = factors_of(x)
        key = frozenset(factors.items())
        before = terms[key][0] if key in terms else Fraction(0)
        terms[key] = (before + c * sign, factors)
    return _joined([rebuild(c, factors) for c, factors in terms.values() if c != 0])


def _joined(terms: list[Expression]) -> Expression:
    """a + b - c, with a positive term first if there is one."""
    terms.sort(key=_is_negative)
    total: Expression | None = None
    for term in terms:
        if total is None:
            total = term
        elif _is_negative(term):
            total = Expression("-", (total, product_of([constant(-1), term])))
        else:
            total = Expression("+", (total, term))
    return total if total is not None else constant(0)


def _is_negative(x: Expression) -> bool:
    while x.op in ("*", "/"):
        x = x.args[0]
    return x.op == "neg"
