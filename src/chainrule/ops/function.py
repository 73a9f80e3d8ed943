"""The public function of an elementwise primitive, made from its entry in the table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule import quick
from chainrule.dispatch import bind
from chainrule.source import trim
from chainrule.table.composite import COMPOSITES
from chainrule.table.primitive import TABLE, Primitive


def function(name: str) -> Callable[..., Any]:
    """The public function of an elementwise primitive."""
    p = TABLE[name]
    if p.rule is None:
        op = _without_gradient(p)
    else:
        make = quick.unary if len(p.inputs) == 1 else quick.binary
        op = make(p, watch=name in COMPOSITES)
    op.__name__ = op.__qualname__ = p.torch or name
    op.__doc__ = _doc(p)
    return op


def _without_gradient(p: Primitive) -> Callable[..., Any]:
    """The operation of a primitive whose result is no number that could vary: comparisons and tests."""
    if len(p.inputs) == 1:

        def test(input: Any) -> Any:
            try:
                return bind(p, input)
            except Exception as err:
                trim(err)
                raise

        return test

    def compare(input: Any, other: Any) -> Any:
        try:
            return bind(p, input, other)
        except Exception as err:
            trim(err)
            raise

    return compare


def _doc(p: Primitive) -> str:
    lines = [p.doc, "", "Works entry by entry on tensors, arrays and numbers; shapes broadcast."]
    lines += [f"At {where}: {why}." for where, why in p.kinks.items()]
    lines += [f"Undefined where {where}: {why}." for where, why in p.undefined.items()]
    return "\n".join([*lines, "", f"Source: {p.source}."])
