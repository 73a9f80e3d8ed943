"""Comparisons, truth values, and the operations that select: where, maximum, fmax, clamp, relu, nan_to_num …"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from chainrule.errors import DtypeError
from chainrule.table.primitive import (
    Linear,
    Primitive,
    elementwise,
    elementwise_type,
    refuse_complex,
    register,
)


def _compare(name: str, sign: str, value: Any, scalar: Any) -> Primitive:
    return elementwise(
        name, "x y", value, None, scalar=scalar, result="bool", text=f"$x {sign} $y",
        latex=f"$x {_LATEX_SIGNS.get(sign, sign)} $y", commutative=sign in ("==", "!="),
        on_complex=None if sign in ("==", "!=") else refuse_complex(name),
        doc=f"Whether x {sign} y, entry by entry; a truth value, so it has no gradient.",
        samples=((1.0, 2.0), (2.0, 2.0), (3.0, 2.0)),
        source="IEEE 754 comparison; NaN compares false (!= true)",
    )  # fmt: skip


_LATEX_SIGNS = {"==": "=", "!=": r"\ne", "<=": r"\le", ">=": r"\ge"}

eq = _compare("eq", "==", np.equal, operator.eq)
ne = _compare("ne", "!=", np.not_equal, operator.ne)
lt = _compare("lt", "<", np.less, operator.lt)
le = _compare("le", "<=", np.less_equal, operator.le)
gt = _compare("gt", ">", np.greater, operator.gt)
ge = _compare("ge", ">=", np.greater_equal, operator.ge)


def _logical(name: str, inputs: str, value: Any, template: str, text: str, latex: str) -> Primitive:
    return elementwise(
        name, inputs, value, None, scalar=template, result="bool", text=text, latex=latex,
        doc=f"{name.replace('_', ' ')} of truth values.",
        commutative=" " in inputs,
        samples=tuple((a, b) if " " in inputs else (a,) for a in (0.0, 1.0) for b in (0.0, 1.0)),
        source="Boolean algebra",
    )  # fmt: skip


logical_and = _logical(
    "logical_and", "x y", np.logical_and, "(bool({0}) and bool({1}))", "$x and $y", r"$x \land $y"
)
logical_or = _logical(
    "logical_or", "x y", np.logical_or, "(bool({0}) or bool({1}))", "$x or $y", r"$x \lor $y"
)
logical_xor = _logical(
    "logical_xor", "x y", np.logical_xor, "(bool({0}) != bool({1}))", "$x != $y", r"$x \oplus $y"
)
logical_not = _logical("logical_not", "x", np.logical_not, "(not {0})", "not $x", r"\lnot $x")


def _test(name: str, value: Any, scalar: Any, doc: str) -> Primitive:
    return elementwise(
        name, "x", value, None, scalar=scalar, result="bool", doc=doc,
        samples=((1.0,), (math.inf,), (math.nan,)), source="IEEE 754",
    )  # fmt: skip


isnan = _test("isnan", np.isnan, math.isnan, "Whether an entry is NaN.")
isinf = _test("isinf", np.isinf, math.isinf, "Whether an entry is infinite.")
isfinite = _test("isfinite", np.isfinite, math.isfinite, "Whether an entry is a finite number.")
signbit = _test(
    "signbit", np.signbit, lambda x: math.copysign(1.0, x) < 0, "Whether an entry has a minus sign, -0.0 too."
)


def _isclose_float(x: float, y: float, *, rtol: float, atol: float, equal_nan: bool) -> bool:
    return bool(np.isclose(x, y, rtol=rtol, atol=atol, equal_nan=equal_nan))


isclose = elementwise(
    "isclose", "x y", lambda x, y, *, rtol, atol, equal_nan: np.isclose(x, y, rtol, atol, equal_nan), None,
    scalar=_isclose_float, result="bool",
    text="isclose($x, $y)", latex=r"|$x - $y| \le $atol + $rtol \cdot |$y|",
    doc="Whether |x - y| <= atol + rtol·|y|; equal infinities are close, NaN only with `equal_nan`.",
    samples=(dict(at=(1.0, 1.000001), rtol=1e-5, atol=1e-8, equal_nan=False),
             dict(at=(1.0, 1.1), rtol=1e-5, atol=1e-8, equal_nan=False)),
    source="the definition",
)  # fmt: skip


_where_types = elementwise_type("where", "same", conditions=1)


def _where_type(condition: Any, x: Any, y: Any) -> Any:
    if condition.dtype != np.bool_:
        fix = "compare first, e.g. where(c != 0, x, y)"
        raise DtypeError("the condition of where is not a truth value", given=str(condition), fix=fix)
    return _where_types(condition, x, y)


# Note [NaN goes through]
# max(NaN, y) is NaN: the NaN was selected, and its slope is 1, as that of any entry that is selected.
# The rules below say
# "0 where another one wins", not "1 where this one wins", which would stop the gradient at the NaN
# without a word.

where = elementwise(
    "where", "condition x y", np.where,
    {"x": lambda condition: where(condition, 1.0, 0.0), "y": lambda condition: where(condition, 0.0, 1.0)},
    scalar="({1} if {0} else {2})", result="same", bounded=True, selects=True, type_rule=_where_type,
    text="where($condition, $x, $y)",
    latex=r"\begin{cases}$x & $condition\\ $y & \text{otherwise}\end{cases}",
    doc="x where the condition holds, else y. The branch that is not taken adds nothing to the gradient.",
    samples=((True, 1.5, -2.0), (False, 1.5, -2.0)), source="the derivative of the branch that is taken",
)  # fmt: skip


def _extreme(name: str, value: Any, scalar: Any, loses: Any, latex: str, word: str) -> Primitive:
    return elementwise(
        name, "x y", value,
        {"x": lambda x, y: where(loses(x, y), 0.0, where(x == y, 0.5, 1.0)),
         "y": lambda x, y: where(loses(y, x), 0.0, where(x == y, 0.5, 1.0))},
        scalar=scalar, result="same", bounded=True, selects=True, commutative=True,
        on_complex=refuse_complex(name),
        latex=latex + "($x, $y)", doc=f"The {word} of two numbers.",
        samples=((1.5, -2.0), (-2.0, 1.5)),
        kinks={"x = y": "the shortest subgradient over both inputs jointly: ½ each"},
        source="the derivative of the input that is selected",
    )  # fmt: skip


def _float_max(x: float, y: float) -> float:
    return x if x > y or x != x else y


def _float_min(x: float, y: float) -> float:
    return x if x < y or x != x else y


maximum = _extreme("maximum", np.maximum, _float_max, operator.lt, r"\max", "larger")
minimum = _extreme("minimum", np.minimum, _float_min, operator.gt, r"\min", "smaller")


def _of_two(name: str, value: Any, wins: Any, scalar: Any, word: str) -> Primitive:
    """fmax and fmin: a NaN loses against a number, so what is not NaN is selected."""

    def slope(x: Any, y: Any) -> Any:
        return where(wins(x, y) | isnan(y), 1.0, where(x == y, 0.5, 0.0))

    return elementwise(
        name, "x y", value, {"x": lambda x, y: slope(x, y), "y": lambda x, y: slope(y, x)},
        scalar=scalar, result="same", bounded=True, selects=True, commutative=True,
        on_complex=refuse_complex(name), latex=rf"\operatorname{{{name}}}($x, $y)",
        doc=f"The {word} of two numbers; a NaN is passed over for the other one.",
        samples=((1.5, -2.0), (-2.0, 1.5)),
        kinks={"x = y": "the shortest subgradient over both inputs jointly: ½ each"},
        source="the derivative of the input that is selected",
    )  # fmt: skip


fmax = _of_two("fmax", np.fmax, operator.gt, lambda x, y: x if x > y or y != y else y, "larger")
fmin = _of_two("fmin", np.fmin, operator.lt, lambda x, y: x if x < y or y != y else y, "smaller")


def _heaviside(x: Any, y: Any) -> Any:
    return np.heaviside(x, y).astype(np.result_type(x, y), copy=False)  # NumPy's makes whole numbers real


heaviside = elementwise(
    "heaviside", "x y", _heaviside, {"x": None, "y": lambda x: where(x == 0, 1.0, 0.0)},
    scalar=lambda x, y: x if x != x else y if x == 0 else float(x > 0), result="same", bounded=True,
    selects=True, on_complex=refuse_complex("heaviside"),
    doc="0 left of 0, 1 right of it, and y at 0.", samples=((1.5, 0.5), (-2.0, 0.5)),
    kinks={"x = 0": "a jump: for x the slope on both sides, 0, is used; y is what is selected there"},
    source="a step function has derivative 0 almost everywhere",
)  # fmt: skip


def _nan_to_num(x: Any, *, nan: float, posinf: float | None, neginf: float | None) -> Any:
    return np.nan_to_num(x, copy=True, nan=nan, posinf=posinf, neginf=neginf)


def _nan_to_num_float(x: float, **fill: Any) -> float:
    return x if math.isfinite(x) else float(_nan_to_num(np.float64(x), **fill))


def _nan_to_num_complex(emit: Any, x: Any, **fill: Any) -> Any:
    parts = [emit("nan_to_num", emit(part, x), **fill) for part in ("real", "imag")]
    return emit("add", parts[0], emit("mul", parts[1], 1j))


nan_to_num = elementwise(
    "nan_to_num", "x", _nan_to_num, {"x": lambda x: where(isfinite(x), 1.0, 0.0)},
    scalar=_nan_to_num_float, result="same", bounded=True, selects=True, on_complex=_nan_to_num_complex,
    doc="x with a number in place of NaN and of ±inf (None: the largest finite number).",
    samples=(dict(at=(1.5,), nan=0.0, posinf=None, neginf=None), dict(at=(-2.0,), nan=1.0, posinf=2.0, neginf=3.0)),
    kinks={"x = NaN, x = ±inf": "replaced by a constant: a route that is not taken, slope 0"},
    source="1 where x is kept, 0 where it is replaced",
)  # fmt: skip


def _clamp(x: Any, *, lo: float, hi: float) -> Any:
    return np.minimum(np.maximum(x, lo), hi)


clamp = elementwise(
    "clamp", "x", _clamp, {"x": lambda x, *, lo, hi: where((x <= lo) | (x >= hi), 0.0, 1.0)},
    scalar=lambda x, *, lo, hi: _float_min(_float_max(x, lo), hi), result="same", bounded=True,
    selects=True, monotone=True,
    on_complex=refuse_complex("clamp"), text="clamp($x, $lo, $hi)",
    latex=r"\operatorname{clamp}($x, $lo, $hi)",
    doc="x limited to the interval from lo to hi (numbers).",
    samples=(dict(at=(0.25,), lo=-1.0, hi=1.0), dict(at=(2.0,), lo=-1.0, hi=1.0),
             dict(at=(-7.0,), lo=-1.0, hi=float("inf"))),
    kinks={"x = lo, x = hi": "of the subgradients between 0 and 1 the shortest, 0, is taken"},
    source="1 inside the interval, 0 outside",
)  # fmt: skip
relu = elementwise(
    "relu", "x", lambda x: np.maximum(x, 0), {"x": lambda x: where(x <= 0, 0.0, 1.0)},
    scalar=lambda x: _float_max(x, 0.0), result="same", bounded=True, selects=True, monotone=True,
    on_complex=refuse_complex("relu"), text="relu($x)", latex=r"\operatorname{relu}($x)",
    doc="max(x, 0).", samples=((1.5,), (-2.0,)),
    kinks={"x = 0": "convex: of the subgradients [0, 1] the shortest, 0, is taken"},
    source="the derivative of the input that is selected",
)  # fmt: skip


def _cast(x: Any, *, dtype: np.dtype) -> Any:
    if np.iscomplexobj(x) and dtype.kind != "c":
        x = np.real(x)
    return np.asarray(x).astype(dtype)


cast = register(
    Primitive(
        name="cast",
        inputs=("x",),
        value=_cast,
        type_rule=lambda x, *, dtype: type(x)(x.shape, dtype),
        rule=Linear(transpose={"x": lambda emit, ct, x, *, dtype: emit("cast", ct, dtype=x.dtype)}),
        text="$dtype($x)",
        latex=r"\mathrm{$dtype}($x)",
        doc="x in another dtype. Its cotangent is cast back.",
        samples=(
            dict(shapes=[(3,)], dtype=np.dtype(np.float64)),
            dict(shapes=[()], dtype=np.dtype(np.float64)),
        ),
        source="the identity, up to rounding; real → complex has `real` as transpose",
    )
)
