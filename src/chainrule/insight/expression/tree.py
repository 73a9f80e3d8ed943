"""The tree of an expression: small, immutable, and walked without recursion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from chainrule.insight.expression.compute import Functions, compute_part, engine
from chainrule.insight.expression.printed import as_typed, by_hand
from chainrule.insight.expression.words import CONSTANTS

T = TypeVar("T")


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Expression:
    """An expression or a part of one: what it is (`op`), its arguments, and a value where the op carries one.

    ===============  =====================  ================================
    op               args                   value
    ===============  =====================  ================================
    number                                  float, finite and not negative
    name                                    str
    neg              (x,)
    + - * / ``**``   (x, y)
    call             one or two             str, a key of `FUNCTIONS`
    item             (x,)                   int, the index
    list             the entries
    ===============  =====================  ================================

    Examples
    --------
    >>> from chainrule.insight.expression import parse_expression
    >>> e = parse_expression("4*w+w**3")
    >>> e.names, str(e), e.pretty(), e.evaluate({"w": 1.0})
    (('w',), '4*w + w**3', '4w + w³', 5.0)
    """

    op: str
    args: tuple[Expression, ...] = ()
    value: float | int | str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The free variables in order of appearance (`pi` and `e` are constants)."""
        found = dict.fromkeys(str(x.value) for x in self.parts() if x.op == "name")
        return tuple(name for name in found if name not in CONSTANTS)

    def parts(self) -> list[Expression]:
        """Every part, left to right, arguments before what they are arguments of; itself last."""
        found: list[Expression] = []
        self.fold(lambda x, _: found.append(x))
        return found

    def fold(self, visit: Callable[[Expression, list[T]], T]) -> T:
        """`visit(part, results of its arguments)` on every part, arguments first. Not recursive."""
        return post_order(self, lambda x: x.args, visit)

    def evaluate(self, env: Mapping[str, Any], functions: Functions | None = None) -> Any:
        """The value where the names have the values of `env`.

        Parameters
        ----------
        env
            name → number, Tensor, or anything that `functions` take.
        functions
            name → function, for those of `FUNCTIONS` that occur; "tensor" makes an operand of a number and
            "stack" a vector of operands. Left out: chainrule's own.

        Raises
        ------
        ExpressionError (E601)
            a name has no value, or a part cannot be computed (shapes, indices); the message names the part.
        """
        chosen = engine() if functions is None else functions
        return self.fold(lambda x, args: compute_part(x, args, env, chosen))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and str(self) == str(other)  # nothing here is recursive

    def __hash__(self) -> int:
        return hash(str(self))

    def __str__(self) -> str:
        return self.fold(as_typed).text

    def __repr__(self) -> str:
        return f"Expression({str(self)!r})"

    def pretty(self) -> str:
        """The text as it is written by hand: ``4w − w³``."""
        return self.fold(by_hand).text.replace("-", "−")


def post_order(root: Any, below: Callable[[Any], Sequence[Any]], visit: Callable[[Any, list[T]], T]) -> T:
    """`visit(node, results of what is below)`, from the leaves to the root, left to right."""
    backwards, waiting = [], [root]
    while waiting:
        node = waiting.pop()
        children = below(node)
        backwards.append((node, len(children)))
        waiting.extend(children)
    done: list[T] = []
    for node, n in reversed(backwards):
        first = len(done) - n
        done[first:] = [visit(node, done[first:])]
    return done.pop()
