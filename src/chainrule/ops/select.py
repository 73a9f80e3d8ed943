"""Operations that choose between numbers, and tests of them, under torch's names."""

from __future__ import annotations

import math
from typing import Any

from chainrule.dispatch import bind
from chainrule.errors import ArgumentError
from chainrule.ops import elementwise as e
from chainrule.ops.arguments import operation
from chainrule.ops.function import function
from chainrule.table.primitive import TABLE

fmax = function("fmax")
fmin = function("fmin")
signbit = function("signbit")
_heaviside = function("heaviside")


@operation
def heaviside(input: Any, values: Any) -> Any:
    """0 left of 0, 1 right of it, and `values` where `input` is 0, which is where `values` has a gradient."""
    return _heaviside(input, values)


@operation
def isposinf(input: Any) -> Any:
    """Whether an entry is +inf."""
    return e.eq(input, math.inf)


@operation
def isneginf(input: Any) -> Any:
    """Whether an entry is -inf."""
    return e.eq(input, -math.inf)


@operation
def isclose(input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Any:
    """Whether |input - other| <= atol + rtol·|other|, entry by entry; NaN equals NaN only with `equal_nan`."""
    if rtol < 0 or atol < 0:
        raise ArgumentError("a tolerance is negative", given=f"rtol={rtol}, atol={atol}", fix="use 0 or more")
    return bind(TABLE["isclose"], input, other, rtol=rtol, atol=atol, equal_nan=bool(equal_nan))


@operation
def nan_to_num(input: Any, nan: Any = None, posinf: Any = None, neginf: Any = None) -> Any:
    """NaN replaced by `nan` (0), ±inf by `posinf` and `neginf` (the largest finite numbers); there the slope is 0."""
    fill = {"nan": 0.0 if nan is None else nan, "posinf": posinf, "neginf": neginf}
    return bind(TABLE["nan_to_num"], input, **fill)


@operation
def masked_fill(input: Any, mask: Any, value: Any) -> Any:
    """`value`, a number or a 0-d tensor, where `mask` is true, else `input`; what is covered gets no gradient."""
    shape = getattr(value, "shape", ())
    if len(shape):
        raise ArgumentError(
            "the value of masked_fill is one number", given=f"shape {list(shape)}",
            fix="use where(mask, value, input) for a value per entry",
        )  # fmt: skip
    return e.where(mask, value, input)


@operation
def clamp_min(input: Any, min: Any) -> Any:
    """x, and `min` where x is smaller: `clamp(x, min=min)`."""
    return e.clamp(input, min=min)


@operation
def clamp_max(input: Any, max: Any) -> Any:
    """x, and `max` where x is larger: `clamp(x, max=max)`."""
    return e.clamp(input, max=max)


__all__ = [
    "clamp_max", "clamp_min", "fmax", "fmin", "heaviside", "isclose", "isneginf", "isposinf", "masked_fill",
    "nan_to_num", "signbit",
]  # fmt: skip

METHODS = """
    clamp_max clamp_min fmax fmin heaviside isclose isneginf isposinf masked_fill nan_to_num signbit
"""  # of Tensor
