"""How elementwise primitives are lowered to vectors: one line each.

A primitive that is missing here has no machine code yet; who asks is told so (`can_lower`) and runs its `value`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from chainrule.codegen import block as b
from chainrule.codegen import integers
from chainrule.codegen.block import LONG, TRUTH, Value, absolute, copysign, where
from chainrule.codegen.vecmath import error_function as ef
from chainrule.codegen.vecmath import exponential as e
from chainrule.codegen.vecmath import gamma as g
from chainrule.codegen.vecmath import rounding as r
from chainrule.codegen.vecmath import trigonometric as t
from chainrule.table.formula import Apply, Formula, Symbol, walk


def _power(x: Value, *, n: int) -> Value:
    """xⁿ by squaring, a negative power as the reciprocal of the positive one, as NumPy-side `integer_pow` has it."""
    if n == 0:
        return where(x == x, 1.0, 1.0)  # of NaN too
    out, square, k = None, x, abs(n)
    while k:
        if k & 1:
            out = square if out is None else out * square
        k >>= 1
        square = square * square if k else square
    return 1.0 / out if n < 0 else out


def _nan_wins(choose: Callable[[Value, Value], Value]) -> Callable[[Value, Value], Value]:
    """maximum and minimum: a NaN on either side is the result; `choose` takes y unless x is better, so also a NaN."""
    return lambda x, y: where(x != x, x, choose(x, y))


def _number_wins(choose: Callable[[Value, Value], Value]) -> Callable[[Value, Value], Value]:
    """fmax and fmin: a NaN is passed over for the other one."""
    return lambda x, y: where(x != x, y, where(y != y, x, choose(x, y)))


def _sign(x: Value) -> Value:
    return where(x > 0.0, 1.0, where(x < 0.0, -1.0, where(x != x, x, 0.0)))


def _clamp(x: Value, *, lo: float, hi: float) -> Value:
    raised = where(x <= lo, lo, x)  # then the upper end: it wins where lo > hi
    return where(raised >= hi, hi, raised)


LOWER: dict[str, Callable[..., Value]] = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "neg": lambda x: -x,
    "abs": absolute,
    "sqrt": b.sqrt,
    "rsqrt": lambda x: 1.0 / b.sqrt(x),
    "integer_pow": _power,
    "floor": b.floor,
    "ceil": b.ceil,
    "trunc": b.trunc,
    "round": b.nearest,
    "sign": _sign,
    "copysign": copysign,
    "maximum": _nan_wins(lambda x, y: where(x > y, x, y)),
    "minimum": _nan_wins(lambda x, y: where(x < y, x, y)),
    "fmax": _number_wins(lambda x, y: where(x > y, x, y)),
    "fmin": _number_wins(lambda x, y: where(x < y, x, y)),
    "clamp": _clamp,
    "relu": lambda x: where(x <= 0.0, 0.0, x),
    "where": where,
    "floor_divide": r.floor_divide,
    "remainder": r.remainder,
    "fmod": r.fmod,
    "frac": r.frac,
    "ldexp": r.ldexp,
    "lerp": r.lerp,
    "hypot": r.hypot,
    "heaviside": r.heaviside,
    "nan_to_num": r.nan_to_num,
    "isclose": r.isclose,
    "signbit": lambda x: b.bits_of(x) < 0,
    "eq": lambda x, y: x == y,
    "ne": lambda x, y: x != y,
    "lt": lambda x, y: x < y,
    "le": lambda x, y: x <= y,
    "gt": lambda x, y: x > y,
    "ge": lambda x, y: x >= y,
    "isnan": lambda x: x != x,
    "isinf": lambda x: absolute(x) == math.inf,
    "isfinite": lambda x: absolute(x) < math.inf,
    "logical_and": lambda x, y: x & y,
    "logical_or": lambda x, y: x | y,
    "logical_xor": lambda x, y: x ^ y,
    "logical_not": lambda x: x ^ x.block.value(True, TRUTH),
    "exp": e.exp,
    "exp2": e.exp2,
    "expm1": e.expm1,
    "log": e.log,
    "log2": e.log2,
    "log10": e.log10,
    "log1p": e.log1p,
    "pow": e.power,
    "sigmoid": e.sigmoid,
    "falling_sigmoid": lambda x: e.sigmoid(-x),
    "softplus": e.softplus,
    "logaddexp": e.logaddexp,
    "logaddexp2": e.logaddexp2,
    "logit": e.logit,
    "xlogy": e.xlogy,
    "xlog1py": e.xlog1py,
    "entr": e.entr,
    "sinh": e.sinh,
    "cosh": e.cosh,
    "tanh": e.tanh,
    "sech2": e.sech2,
    "asinh": e.asinh,
    "acosh": e.acosh,
    "atanh": e.atanh,
    "sin": t.sin,
    "cos": t.cos,
    "tan": t.tan,
    "asin": t.asin,
    "acos": t.acos,
    "atan": t.atan,
    "atan2": t.atan2,
    "sinc": t.sinc,
    "gaussian": ef.gaussian,
    "normal_density": ef.normal_density,
    "erf": ef.erf,
    "erfc": ef.erfc,
    "erfcx": ef.erfcx,
    "ndtr": ef.ndtr,
    "log_ndtr": ef.log_ndtr,
    "lgamma": g.lgamma,
    "digamma": g.digamma,
}
# Those of some thirty instructions and more, of real numbers.
LONG_FORMULAS = frozenset(list(LOWER)[list(LOWER).index("exp") :])

# Arguments of these are truth values; all others are real numbers, and so are their numbers.
_LOGICAL = frozenset({"logical_and", "logical_or", "logical_xor", "logical_not"})

# What can read truth values, besides index maps; all others are called for them.
ON_TRUTH = _LOGICAL | {"where", "eq", "ne", "cast", "cast_like", "any", "all", "reshape"}


def lower(block: b.Block, name: str, *args: Any, **params: Any) -> Value:
    """Append the lines of one primitive to a block: the domain of vectors, as `emit` of the transforms."""
    values = [
        block.value(a, TRUTH if name in _LOGICAL or (name == "where" and k == 0) else b.REAL)
        for k, a in enumerate(args)
    ]
    if name in _LOGICAL:
        values = [v if v.kind == TRUTH else v != 0.0 for v in values]
    if name in integers.LOWER and any(v.kind == LONG for v in values):
        return integers.LOWER[name](*values, **params)
    if block.functions is not None and name in block.functions.names:
        return block.functions.call(block, name, values)
    return LOWER[name](*values, **params)


def can_lower(formulas: Iterable[Formula]) -> bool:
    """Whether every operation of the formulas has machine code, and their results are real numbers."""
    return all(
        isinstance(g, Symbol) or not isinstance(g, Apply) or g.name in LOWER
        for f in formulas
        for g in walk(f)
    )
