"""Arithmetic: sums, products, quotients and their remainders, signs, whole powers, and the steps of rounding."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, DtypeError
from chainrule.table.blocks import blocked
from chainrule.table.formula import apply
from chainrule.table.primitive import elementwise, refuse_complex

# Note [Two-operand samples]
# Samples lie inside the domain and away from kinks; points at kinks are tests of their own
# (tests/semantics), because differences prove nothing there.

add = elementwise(
    "add", "x y", np.add, {"x": lambda: 1.0, "y": lambda: 1.0},
    scalar="({0} + {1})", result="same", commutative=True, text="$x + $y", latex="$x + $y",
    doc="Sum.", samples=((1.5, -2.0), (1e300, 1e-300), (0.0, 0.0)),
    source="linearity of the derivative",
)  # fmt: skip
sub = elementwise(
    "sub", "x y", np.subtract, {"x": lambda: 1.0, "y": lambda: -1.0},
    scalar="({0} - {1})", result="same", text="$x - $y", latex="$x - $y",
    doc="Difference.", samples=((1.5, -2.0), (3.0, 3.0)),
    source="linearity of the derivative",
)  # fmt: skip
mul = elementwise(
    "mul", "x y", np.multiply, {"x": lambda y: y, "y": lambda x: x},
    scalar="({0} * {1})", result="same", commutative=True, text="$x*$y", latex=r"$x \cdot $y",
    doc="Product.", samples=((1.5, -2.0), (0.0, 3.0), (1e-200, 1e150)),
    source="product rule",
)  # fmt: skip
div = elementwise(
    "div", "x y", np.true_divide, {"x": lambda y: 1.0 / y, "y": lambda x, y: -(x / y) / y},
    # not out: `v = a / b; v += c` is common
    scalar="({0} / {1})", text="$x/$y", latex=r"\frac{$x}{$y}", torch="div",
    doc="Quotient.", samples=((1.5, -2.0), (0.0, 3.0), (1e10, 1e-10)),
    undefined={"x = 0, y = 0": "0/0 has no value and no slope"},
    source="quotient rule: ∂(x/y)/∂y = -(x/y)/y",
)  # fmt: skip
neg = elementwise(
    "neg", "x", np.negative, {"x": lambda: -1.0},
    scalar="(-{0})", result="same", text="-$x", latex="-$x",
    doc="Negative.", samples=((1.5,), (-2.0,), (0.0,)), source="linearity of the derivative",
)  # fmt: skip
sign = elementwise(
    "sign", "x", np.sign, {"x": None},
    scalar=lambda x: x if x != x else float((x > 0) - (x < 0)), result="same", bounded=True, monotone=True,
    on_complex=refuse_complex("sign", fix="use sgn, which is z/|z| for complex numbers"),
    text="sign($x)", latex=r"\operatorname{sign}($x)",
    doc="Sign: -1, 0 or 1.", samples=((1.5,), (-2.0,)),
    kinks={"x = 0": "flat on both sides; the step itself has no slope: 0 is used everywhere"},
    source="a step function has derivative 0 almost everywhere",
)  # fmt: skip


def _modulus(emit: Any, x: Any) -> Any:
    return emit("hypot", emit("real", x), emit("imag", x))


abs_ = elementwise(
    "abs", "x", np.abs, {"x": lambda x: sign(x)},
    scalar=abs, result="same", bounded=True, even=True, on_complex=_modulus, text="abs($x)",
    latex=r"\left|$x\right|",
    doc="Absolute value.", samples=((1.5,), (-2.0,), (1e-300,)),
    kinks={"x = 0": "convex: of the subgradients [-1, 1] the shortest, 0, is taken"},
    source="d|x|/dx = sign(x)",
)  # fmt: skip


def _flat(name: str, value: Any, scalar: Any, steps: str, doc: str) -> Any:
    """A step function, its steps where `steps` says: flat between them. `scalar` gives an int, which has no -0."""
    return elementwise(
        name, "x", value, {"x": None}, scalar=lambda x: math.copysign(scalar(x), x), result="same",
        bounded=True, monotone=True, doc=doc,
        samples=((1.25,), (-2.75,)),
        kinks={steps: "a step, where no slope exists; 0, the slope on both sides, is used"},
        source="a step function has derivative 0 almost everywhere",
    )  # fmt: skip


floor = _flat("floor", np.floor, math.floor, "x an integer", "Largest integer that is not above x.")
ceil = _flat("ceil", np.ceil, math.ceil, "x an integer", "Smallest integer that is not below x.")
trunc = _flat("trunc", np.trunc, math.trunc, "x an integer, not 0", "Integer part: x without its fraction.")
round_ = _flat(
    "round",
    lambda x: np.rint(x) if x.dtype.kind in "fc" else x,
    round,
    "x halfway between integers",
    "Nearest integer; halves go to the even one.",
)


def _dividing(name: str, value: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A quotient or remainder: among whole numbers a divisor 0 has no result, and no NaN to stand for it."""

    def checked(x: Any, y: Any) -> Any:
        if np.result_type(x, y).kind in "biu" and not np.all(y):
            raise ArgumentError(
                f"{name} of whole numbers by 0", given=f"divisor {y}",
                fix="make one operand floating point, e.g. x.double()",
            )  # fmt: skip
        return value(x, y)

    return checked


floor_divide = elementwise(
    "floor_divide", "x y", _dividing("floor_divide", np.floor_divide), {"x": None, "y": None},
    scalar="({0} // {1})", result="same", bounded=True, text="$x//$y",
    latex=r"\left\lfloor\frac{$x}{$y}\right\rfloor",
    doc="Quotient rounded down.", samples=((7.25, 2.0), (-7.25, 2.0)),
    kinks={"x/y an integer": "a step: 0 is used"},
    source="a step function has derivative 0 almost everywhere",
)  # fmt: skip
remainder = elementwise(
    "remainder", "x y", _dividing("remainder", np.remainder), {"x": lambda: 1.0, "y": lambda x, y: -floor_divide(x, y)},
    scalar="({0} % {1})", result="same", text="$x % $y", latex=r"$x \bmod $y",
    doc="x - floor(x/y)·y: the remainder with the sign of y, as Python's %.",
    samples=((7.25, 2.0), (-7.25, 2.0)),
    kinks={"x/y an integer": "a jump: the slope on both sides is used"},
    source="x - y·floor(x/y), where floor is locally constant",
)  # fmt: skip


fmod = elementwise(
    "fmod", "x y", _dividing("fmod", np.fmod), {"x": lambda: 1.0, "y": lambda x, y, out: -round_((x - out) / y)},
    scalar=math.fmod, result="same", text="fmod($x, $y)", latex=r"\operatorname{fmod}($x, $y)",
    doc="x - trunc(x/y)·y: the remainder with the sign of x, as C's fmod.",
    samples=((7.25, 2.0), (-7.25, 2.0), (7.25, -2.0)),
    kinks={"x/y an integer": "a jump: the slope on both sides is used"},
    source="x - y·trunc(x/y), where trunc is locally constant; (x - out)/y is that integer, up to rounding",
)  # fmt: skip
frac = elementwise(
    "frac", "x", lambda x: x - np.trunc(x), {"x": lambda: 1.0},
    scalar=lambda x: x - math.copysign(math.trunc(x), x), result="same",
    doc="x without its integer part; it has the sign of x.",
    samples=((1.25,), (-2.75,)), undefined={"x = ±inf": "an infinite number has no fraction: the value is NaN"},
    kinks={"x an integer": "a jump: the slope on both sides, 1, is used"},
    source="x - trunc(x), where trunc is locally constant",
)  # fmt: skip
copysign = elementwise(
    "copysign", "x y", np.copysign, {"x": lambda x, y: sign(x) * copysign(1.0, y), "y": None},
    scalar=math.copysign, bounded=True, doc="|x| with the sign of y (that of 0.0 and -0.0 too).",
    samples=((1.5, -2.0), (-1.5, -2.0), (-0.5, 3.0)),
    kinks={"x = 0": "as |x|: of the subgradients between -1 and 1 the shortest, 0, is taken",
           "y = 0": "a jump: 0, the slope on both sides, is used"},
    source="|x|·sign(y)",
)  # fmt: skip


def _ldexp(x: Any, y: Any) -> Any:
    """x·2ʸ; for a whole y by its exponent, which is exact and overflows only where the result does."""
    whole = np.trunc(y) == y
    if not np.all(whole):
        return np.where(whole, _shifted(x, np.where(whole, y, 0)), x * np.exp2(y))
    return _shifted(x, y)


def _shifted(x: Any, y: Any) -> Any:
    return np.ldexp(x, np.clip(y, -5000, 5000).astype(np.int32))


ldexp = elementwise(
    "ldexp", "x y", _ldexp,
    {"x": lambda y: apply("exp2", y), "y": lambda out: math.log(2.0) * out},
    text="$x*2**$y", latex="$x \\cdot 2^{$y}", doc="x·2ʸ.",
    on_complex=lambda emit, x, y: emit("mul", x, emit("exp2", y)),
    samples=((1.5, 2.0), (-0.75, -3.0), (3.0, 0.5)), source="product rule; 2ʸ = exp(y ln 2)",
)  # fmt: skip


def _lerp(start: Any, end: Any, weight: Any) -> Any:
    """From the nearer end, so that weight 0 and weight 1 give the ends exactly."""
    step = end - start
    return np.where(np.abs(weight) < 0.5, start + weight * step, end - step * (1 - weight))[()]


lerp = elementwise(
    "lerp", "start end weight", _lerp,
    {"start": lambda weight: 1.0 - weight, "end": lambda weight: weight, "weight": lambda start, end: end - start},
    result="same", latex="$start + $weight \\cdot ($end - $start)", text="$start + $weight*($end - $start)",
    doc="The point between start and end: start + weight·(end - start).",
    samples=((1.5, -2.0, 0.25), (1.5, -2.0, 0.75), (2.0, 5.0, -1.0)), source="linear in each of the three",
)  # fmt: skip


def _check_power(x: Any, n: int) -> None:
    if n < 0 and x.dtype.kind in "biu":
        raise DtypeError(
            "whole numbers have no negative powers among whole numbers", given=f"{x.dtype.name}, power {n}",
            fix="make the base floating point, e.g. x.double()",
        )  # fmt: skip


def _integer_pow_type(x: Any, *, n: int) -> Any:
    _check_power(x, n)
    return x


def _integer_pow(x: Any, *, n: int) -> Any:
    """xⁿ; small powers by products, which are exact to an ulp or two and 10 times faster than `pow`."""
    if n < 0:
        _check_power(x, n)
        return np.reciprocal(_integer_pow(x, n=-n))
    if n == 0:
        return np.ones_like(x)
    if n > 4:
        return np.power(x, n)
    if n == 4:
        return _fourth(x)
    return _cube(x) if n == 3 else np.square(x) if n == 2 else +x


def _cube(x: Any) -> Any:
    """x·x·x in two passes: the second writes into the first one's result."""
    out = np.square(x)
    return np.multiply(out, x, out=out) if isinstance(out, np.ndarray) else out * x


@blocked
def _fourth(x: Any) -> Any:
    return np.square(np.square(x))


def _integer_pow_float(x: float, *, n: int) -> float:
    if n == 2:
        return x * x
    if n == 3:
        return x * x * x
    if n == 1:
        return x
    if n == 4:
        x = x * x
        return x * x
    return 1.0 / _integer_pow_float(x, n=-n) if n < 0 else math.pow(x, n)


integer_pow = elementwise(
    "integer_pow", "x", _integer_pow, {"x": lambda x, *, n: n * apply("integer_pow", x, n=n - 1)},
    scalar=_integer_pow_float, result="same", type_rule=_integer_pow_type, text="$x**$n", latex="$x^{$n}",
    doc="x to a power that is a whole number known in advance.",
    samples=(dict(at=(1.5,), n=2), dict(at=(-2.0,), n=3), dict(at=(0.0,), n=1), dict(at=(-0.5,), n=-2),
             dict(at=(1.25,), n=5), dict(at=(3.0,), n=4)),
    simplify=lambda x, *, n: 1.0 if n == 0 else x if n == 1 else None,
    source="power rule",
)  # fmt: skip
