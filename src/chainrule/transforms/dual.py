"""The domain of pairs (value, tangent): what is computed in it is differentiated forward on the way.

A pullback that runs here gives the cotangents, and how they change along a direction: forward over reverse, without a
record of the reverse walk in between. Formulas have the same: `tangent` is the derivative of one, as a formula.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainrule.table.formula import Apply, Const, Emit, Formula, Symbol, apply, fold, is_const, reads
from chainrule.table.primitive import TABLE, Partials, partials_of
from chainrule.transforms.derive import pushforward, times


class Dual:
    """A value and its tangent, which has the same type."""

    __slots__ = ("tangent", "value")

    def __init__(self, value: Any, tangent: Any) -> None:
        self.value, self.tangent = value, tangent

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def dtype(self) -> Any:
        return self.value.dtype


def paired(value: Any, tangent: Any) -> Any:
    """The value in the domain of pairs; one whose tangent is zero (None) stays what it is."""
    return value if tangent is None else Dual(value, tangent)


def parts(v: Any) -> tuple[Any, Any]:
    """Value and tangent of what `paired` made."""
    return (v.value, v.tangent) if v.__class__ is Dual else (v, None)


def dual(emit: Emit) -> Emit:
    """The domain of pairs over another one."""

    def emit_pairs(name: str, *args: Any, **params: Any) -> Any:
        values, tangents = zip(*map(parts, args), strict=True) if args else ((), ())
        out = emit(name, *values, **params)
        return paired(out, pushforward(TABLE[name], values, out, params, tangents, emit))

    return emit_pairs


class NoFormulaError(Exception):
    """The derivative is not a formula of elementwise primitives."""


def tangent(f: Formula, tangents: Mapping[str, Formula], memo: dict[tuple, Any]) -> Formula | None:
    """The derivative of a formula, given those of its symbols; None where it is zero."""
    if f.key in memo:
        return memo[f.key]
    total = tangents.get(f.name) if isinstance(f, Symbol) else None
    if isinstance(f, Apply):
        ts = [tangent(a, tangents, memo) for a in f.args]
        p = TABLE[f.name]
        if p.rule is not None and any(t is not None for t in ts):
            if not isinstance(p.rule, Partials) or p.kind != "elementwise":
                raise NoFormulaError(f.name)
            values = {**dict(zip(p.inputs, f.args, strict=True)), "out": f}
            for name, t in zip(p.inputs, ts, strict=True):
                if t is None or name not in partials_of(p) or is_const(partials_of(p)[name], 0):
                    continue
                term = times(partials_of(p)[name], t, values, f.params, symbols, {})
                total = term if total is None else symbols("add", total, term)
    memo[f.key] = total
    return total


def symbols(name: str, *args: Any, **params: Any) -> Formula:
    """The domain of formulas, with the exact simplifications of the table (x¹ = x)."""
    simplify = TABLE[name].simplify
    easier = None if simplify is None else simplify(*args, **params)
    if easier is None:
        return apply(name, *args, **params)
    return easier if isinstance(easier, Formula) else Const(easier)


def with_numbers(f: Formula, params: Mapping[str, Any]) -> Formula:
    """The formula with numbers in the place of its parameters."""
    found = fold(f, {name: Symbol(name) for name in reads([f])}, params, symbols)
    return found if isinstance(found, Formula) else Const(found)


__all__ = ["Dual", "NoFormulaError", "dual", "paired", "parts", "symbols", "tangent", "with_numbers"]
