"""How much code values are: neither a kernel nor what is inlined into it grows with the program."""

from __future__ import annotations

from collections.abc import Container

from chainrule.codegen.reading import has_loops
from chainrule.ir.graph import Equation, Var

LONG = 500  # operations: what is inlined, even once, is not much longer


def length_of(e: Equation) -> int:
    """How much code an equation is, in elementwise operations."""
    if e.name == "dot_general":
        return 128  # a loop, or as many terms, for several rows at once
    return 32 if has_loops(e) else 1


class Lengths:
    """How much code it is to compute a value from what is kept; more than that, where parts are shared.

    kept
        The values that are kept, as far as that is known when they are asked for.
    """

    def __init__(self, *kept: Container[Var]) -> None:
        self._of: dict[Var, int] = {}
        self._kept = kept

    def add(self, e: Equation) -> bool:
        """Note an equation, after those that it reads; whether that is too much."""
        inlined = set(e.inputs)
        for kept in self._kept:
            inlined = {v for v in inlined if v not in kept}
        length = min(LONG, sum([self._of.get(v, 0) for v in inlined])) + length_of(e)
        self._of.update(dict.fromkeys(e.outs, length))
        return length > LONG


__all__ = ["Lengths", "length_of"]
