"""∂expression/∂name as an expression: reverse mode with symbols in the place of numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import TypeVar

from chainrule.errors import ExpressionError
from chainrule.insight.expression.local import local_derivative
from chainrule.insight.expression.printed import short
from chainrule.insight.expression.products import (
    constant,
    factors_of,
    out_of_range,
    product_of,
    rebuild,
    sum_of,
)
from chainrule.insight.expression.tree import Expression
from chainrule.insight.expression.words import FUNCTIONS, MAX_FORMULA

_LONGEST_LIST = 8
_REDUCTIONS = ("sum", "mean", "prod", "norm", "var", "std", "logsumexp", "dot", "max", "min")

Lengths = Mapping[str, int]  # of the names that are vectors
_Cotangent = tuple[Expression, int | None]  # and the only entry that has one; None: all have
T = TypeVar("T")


def derivative(expression: Expression, name: str, lengths: Lengths | None = None) -> Expression:
    """∂expression/∂name, simplified, as an expression in the same names.

    Parameters
    ----------
    expression
        With one number as its value.
    name
        The variable; one that does not occur has the derivative 0.
    lengths
        Number of entries of the names that are vectors; the others are numbers. For a vector, the result is
        the vector of the derivatives, or one expression where it is the same in each entry.

    Raises
    ------
    ExpressionError (E601)
        No formula without cases exists (``relu``, ``max``), or it would be too long to read.

    Cost
    ----
    Grows with the square of the number of parts; 500 parts take less than a second.

    Examples
    --------
    >>> from chainrule.insight.expression import parse_expression
    >>> str(derivative(parse_expression("4*w + w**3"), "w"))
    '4 + 3*w**2'
    """
    found = derivatives(expression, (name,), lengths or {})[name]
    if isinstance(found, ExpressionError):
        raise found
    return found


def derivatives(
    expression: Expression, names: Iterable[str], lengths: Lengths
) -> dict[str, Expression | ExpressionError]:
    """The derivative in each name, or why there is no formula; one walk for all of them."""
    names = tuple(names)
    try:
        return _walk_back(expression, names, lengths)
    except ExpressionError as err:
        return dict.fromkeys(names, err)


def _walk_back(
    expression: Expression, names: tuple[str, ...], lengths: Lengths
) -> dict[str, Expression | ExpressionError]:
    """Reverse mode on expressions: cotangents from the root to each place where a name stands."""
    sizes = _sizes(expression, lengths)
    if sizes[id(expression)] is not None:
        what = f"'{short(expression)}' has several values, so it has several derivatives"
        raise ExpressionError(what, fix="take one entry, or the sum")
    dependent = _dependent(expression, names)
    found: dict[str, list[_Cotangent]] = {name: [] for name in names}
    failed: dict[str, ExpressionError] = {}
    waiting: list[tuple[Expression, _Cotangent]] = []
    if id(expression) in dependent:
        waiting.append((expression, (constant(1), None)))
    while waiting and len(failed) < len(names):
        part, ct = waiting.pop()
        if part.op == "name":
            found[str(part.value)].append(ct)
            continue
        for i, x in reversed([*enumerate(part.args)]):
            if id(x) not in dependent:
                continue
            passed = _readable(lambda part=part, i=i, ct=ct: _passed(part, i, ct, sizes, lengths))
            if isinstance(passed, ExpressionError):
                failed |= {name: failed.get(name, passed) for name in x.names if name in found}
            elif passed is not None:
                waiting.append((x, passed))
    return {
        name: failed.get(name)
        or _readable(lambda name=name: _collect(found[name], lengths.get(name), lengths))
        for name in names
    }


def _readable(compute: Callable[[], T]) -> T | ExpressionError:
    """The result, or why there is none: another name may have a formula all the same."""
    try:
        return compute()
    except ExpressionError as err:
        return err
    except OverflowError:
        return out_of_range()


def _dependent(expression: Expression, names: tuple[str, ...]) -> set[int]:
    """The `id` of each part in which one of the names stands."""
    found: set[int] = set()

    def visit(x: Expression, args: list[bool]) -> bool:
        depends = any(args) or (x.op == "name" and x.value in names)
        if depends:
            found.add(id(x))
        return depends

    expression.fold(visit)
    return found


def _passed(
    part: Expression, i: int, ct: _Cotangent, sizes: Mapping[int, int | None], lengths: Lengths
) -> _Cotangent | None:
    """The cotangent of the i-th argument; None where the entry that has one is another."""
    whole, at = ct
    if part.op == "item":
        n = sizes[id(part.args[0])] or 1
        return whole, int(part.value or 0) % n
    if part.op == "list":
        return (whole if at == i else _entry(whole, i, lengths), None) if at in (None, i) else None
    n, count = sizes[id(part.args[i])], sizes[id(part)]
    local = local_derivative(part, i, n)
    if at is not None:
        return product_of([whole, _entry(local, at, lengths)]), None if n is None else at
    product = product_of([whole, local])
    if len(product.parts()) > 2 * MAX_FORMULA:
        raise _too_long()
    return _added_up(product, count, lengths) if count is not None and n is None else product, None


def _collect(found: list[_Cotangent], length: int | None, lengths: Lengths) -> Expression:
    """The sum of what arrived at a name; for a vector the list of its entries, if they differ."""
    if sum(len(ct.parts()) for ct, _ in found) > 10 * MAX_FORMULA:
        raise _too_long()  # before time is spent on adding them up
    whole, single = sum_of(ct for ct, at in found if at is None), any(at is not None for _, at in found)
    if length is not None and (single or _length(whole, lengths) is None):
        if length > _LONGEST_LIST and single:
            what = f"the derivative has {length} entries of their own"
            raise ExpressionError(what, fix="use fewer entries")
        if length <= _LONGEST_LIST:
            parts = ([_entry(whole, i, lengths), *(ct for ct, at in found if at == i)] for i in range(length))
            whole = Expression("list", tuple(map(sum_of, parts)))
    if len(whole.parts()) > MAX_FORMULA:
        raise _too_long()
    return whole


def _too_long() -> ExpressionError:
    return ExpressionError("the derivative is too long to read", fix="read its number")


# ── vectors ─────────────────────────────────────────────────────────────────────────────────────────────


def _sizes(x: Expression, lengths: Lengths) -> dict[int, int | None]:
    """`id` of each part → number of its entries; None for a number."""
    found: dict[int, int | None] = {}

    def visit(x: Expression, args: list[int | None]) -> int | None:
        found[id(x)] = n = _size(x, args, lengths)
        return n

    x.fold(visit)
    return found


def _length(x: Expression, lengths: Lengths) -> int | None:
    return x.fold(lambda part, args: _size(part, args, lengths))


def _size(x: Expression, args: list[int | None], lengths: Lengths) -> int | None:
    """Number of entries of a part whose arguments have `args` entries; None for a number."""
    if x.op == "name":
        return lengths.get(str(x.value))
    if x.op == "list":
        if any(n is not None for n in args):
            raise ExpressionError(f"'{short(x)}' is a matrix", fix="use vectors")
        return len(args)
    reduces = x.op == "call" and x.value in _REDUCTIONS and len(args) <= FUNCTIONS[str(x.value)][0]
    if x.op == "item" or reduces:
        return None
    return next((n for n in args if n is not None), None)


def _entry(x: Expression, i: int, lengths: Lengths) -> Expression:
    """Entry i of a vector, carried to the names and lists in it: (2*w)[1] → 2*w[1]. Numbers stay."""
    sizes = _sizes(x, lengths)

    def visit(x: Expression, args: list[Expression]) -> Expression:
        if sizes[id(x)] is None:
            return x
        if x.op == "list":
            return x.args[i]
        return Expression("item", (x,), i) if x.op == "name" else Expression(x.op, tuple(args), x.value)

    return x.fold(visit)


def _added_up(x: Expression, n: int, lengths: Lengths) -> Expression:
    """Σ over the n entries of x; what is the same in each entry stands before the sum."""
    coefficient, factors = factors_of(x)
    inside = {b: k for b, k in factors.items() if _length(b, lengths) is not None}
    outside = {b: k for b, k in factors.items() if b not in inside}
    if not inside:
        return product_of([constant(n), x])
    return product_of(
        [rebuild(coefficient, outside), Expression("call", (rebuild(Fraction(1), inside),), "sum")]
    )
