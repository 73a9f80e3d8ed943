"""Operations of whole numbers: those that are written otherwise than for real numbers, and which there are."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from chainrule.codegen.block import LONG, TRUTH, Value, where
from chainrule.ir.graph import Equation

INT64, INT32 = np.dtype(np.int64), np.dtype(np.int32)
DTYPES = (INT64, INT32)  # of memory; registers have 64 bits
START = {"add": 0, "maximum": int(np.iinfo(INT64).min), "minimum": int(np.iinfo(INT64).max)}
ACROSS = {"add": "add", "maximum": "smax", "minimum": "smin"}


def _quotient(x: Value, y: Value) -> tuple[Value, Value]:
    """x/y rounded down, and the remainder with the sign of y; anything where y is 0, which is refused.

    The instruction stops the process at a division by 0, and by -1 where the quotient does not fit.
    """
    zero, negated = y == 0, y == -1
    safe = where(zero | negated, 1, y)
    cut = divided(x, safe)
    rest = where(zero | negated, 0, x - cut * safe)
    low = (rest != 0) & ((rest < 0) ^ (y < 0))
    down = where(negated, -x, where(low, cut - 1, cut))
    return down, where(low, rest + y, rest)


def divided(x: Value, y: Value) -> Value:
    """x/y cut off towards 0, where that is a whole number of 64 bits."""
    return x.block.operation(f"sdiv {x.block.types[LONG]} {x.name}, {y.name}", LONG, x, y)


def has_divisor(e: Equation) -> bool:
    """Whether an equation divides whole numbers: a divisor of 0 is refused."""
    return e.name in ("floor_divide", "remainder") and e.outs[0].dtype in DTYPES


def wrapped(x: Value) -> Value:
    """The number that is left of x in 32 bits."""
    b, t = x.block, x.block.types[LONG]
    high = x << 32
    return b.operation(f"ashr {t} {high.name}, {b.value(32, LONG).name}", LONG, high)


def _clamp(x: Value, *, lo: float, hi: float) -> Value:
    x = where(x < lo, lo, x) if lo > -math.inf else x
    return where(x > hi, hi, x) if hi < math.inf else x


LOWER: dict[str, Callable[..., Value]] = {
    "abs": lambda x: where(x < 0, -x, x),
    "maximum": lambda x, y: where(x > y, x, y),
    "minimum": lambda x, y: where(x < y, x, y),
    "clamp": _clamp,
    "floor_divide": lambda x, y: _quotient(x, y)[0],
    "remainder": lambda x, y: _quotient(x, y)[1],
    **dict.fromkeys(("floor", "ceil", "trunc", "round"), lambda x: x),
    **dict.fromkeys(("isnan", "isinf"), lambda x: x != x),
    "isfinite": lambda x: x == x,
    "signbit": lambda x: x < 0,
    "logical_not": lambda x: (x != 0) ^ x.block.value(True, TRUTH),
}
# These formulas of real numbers are right for whole ones, too; values of other primitives are called.
_SUMS = frozenset({"sum", "amax", "amin"})
_ALIKE = frozenset(
    """
    add sub mul neg sign eq ne lt le gt ge relu where integer_pow logical_and logical_or logical_xor
    cast cast_like zeros sum amax amin any all
    """.split()  # noqa: SIM905
)


# Results of these may not fit 32 bits.
_GROWING = frozenset({"add", "sub", "mul", "neg", "abs", "integer_pow", "floor_divide", "cast", "cast_like"})


def is_lowered(e: Equation) -> bool:
    """Whether a kernel computes an equation of whole numbers."""
    limits = [e.params[k] for k in ("lo", "hi") if k in e.params]
    fit = all(v.__class__ is int or abs(v) == math.inf for v in limits) and e.params.get("n", 1) > 0
    short_sums = e.name in _SUMS and e.outs[0].dtype == INT32
    return (e.name in LOWER or e.name in _ALIKE) and fit and not short_sums


def grows(e: Equation) -> bool:
    """Whether a result is to be cut to 32 bits."""
    return e.outs[0].dtype == INT32 and e.name in _GROWING


__all__ = [
    "ACROSS",
    "DTYPES",
    "INT64",
    "LOWER",
    "START",
    "divided",
    "grows",
    "has_divisor",
    "is_lowered",
    "wrapped",
]
