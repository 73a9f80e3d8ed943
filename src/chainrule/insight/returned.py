"""What a leaf is that nobody made by hand: a result of a transform, of a compiled function, or a gradient.

Such a result is a number whose history ended with the call. The call is read from the program's text, so that the way
out can name the function and the point.
"""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

from chainrule.insight.asked import call_at
from chainrule.insight.naming import Variables
from chainrule.source import Source
from chainrule.tape.node import Node

_LONG = 60  # characters of code that still fit into a sentence
_WRAP = frozenset({"grad", "value_and_grad"})  # grad(f)(x)
_TAKE = frozenset({"jvp", "vjp", "hvp", "vhp"})  # jvp(f, (x,), (t,))
_GRADIENT = re.compile(r"(?:value_and_)?grad\((\w+)\)")
_PRODUCTS = frozenset({"hvp", "vhp"})


class Returned(NamedTuple):
    """A result of a call: `what` it is and what it was computed by, where, why it has no history, and what to ask."""

    what: str
    source: Source
    why: str
    ask: str


def returned(n: Node, variables: Variables) -> Returned | None:
    """What a leaf is, if it is the result of a transform or of a compiled function, or a gradient."""
    params = n.params or {}
    if n.p is not None or n.pull is not None or not params:
        return None
    call = _Written.at(n.source)
    if "compiled" in params:
        name = params["compiled"]
        what = "is a gradient," if name.startswith("grad(") else "was"
        why = "No gradient flows from it to what went in, so how it came about was not kept."
        inner = _GRADIENT.fullmatch(name)
        if inner:  # what is asked about is the function inside
            call = call._replace(function=inner[1]) if call.point else _Written()
        what = f"{what} computed by the compiled function {name}"
        return Returned(what, n.source, why, call.ask(of_gradient=bool(inner)))
    owner = params["gradient_of"]() if "gradient_of" in params else None
    if owner is not None and owner in variables.by_node:
        of = variables.by_node[owner]
        why = f"A gradient is numbers; how they came about is told of the result: explain(L, {of})."
        return Returned(f"is a gradient with respect to {of}, computed", n.source, why, "")
    kind = "gradient" if "gradient_of" in params else params.get("returned")
    if kind is None:
        return None
    product = kind == "gradient" and call.name in _PRODUCTS
    what = "a Hessian times a vector" if product else f"a {kind}"
    by = f" by {call.by}" if call.by else ""
    why = "A transform returns numbers: how they came about is not kept, and no gradient flows through them."
    known = call if call.name in _WRAP | _TAKE else _Written()
    ask = known.ask(of_gradient=kind == "gradient" and not product)
    return Returned(f"is {what}, computed{by}", n.source, why, ask)


class _Written(NamedTuple):
    """A call as it is written: the name of what is called, the whole of it, the function inside, and the point."""

    name: str = ""
    by: str = ""
    function: str = ""
    point: str = ""

    @classmethod
    def at(cls, source: Source) -> _Written:
        call = call_at(source)
        if call is None:
            return cls()
        name, by, point, inner = _name(call.func), _short(call.func), call.args, call.func
        if name in _TAKE and len(point) > 1:
            inner, by = point[0], _short(call)
            point = point[1].elts if isinstance(point[1], ast.Tuple) else point[1:2]
        while name not in _WRAP | _TAKE and isinstance(inner, ast.Call) and inner.args:
            name, inner = _name(inner.func), inner.args[0]
            name = name if name in _WRAP else ""  # compile(…) is looked through
        function, at = ast.unparse(inner), ", ".join(map(ast.unparse, point))
        plain = not call.keywords and not any(isinstance(a, ast.Starred) for a in point)
        return cls(name, by, function, at) if plain and len(function + at) <= _LONG else cls(name, by)

    def ask(self, *, of_gradient: bool = False) -> str:
        """The question that tells how such a result comes about."""
        what, hint = f"({self.function}, {self.point})", ""
        if not self.function:
            what, hint = "(f, x)", ", with the function and its point,"
        also = f", why{what} where the gradient comes from" if of_gradient else ""
        return f"To see how it comes about: explain{what}{hint} tells every step{also}."


def _name(e: ast.expr) -> str:
    return e.attr if isinstance(e, ast.Attribute) else e.id if isinstance(e, ast.Name) else ""


def _short(e: ast.expr) -> str:
    """Code that fits into a sentence, without the package's name; else ""."""
    text = ast.unparse(e).removeprefix("chainrule.").removeprefix("cr.")
    return text if len(text) <= _LONG else ""


__all__ = ["Returned", "returned"]
