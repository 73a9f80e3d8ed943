"""Scans along an axis: cumsum cumprod logcumsumexp, and the linear recurrence behind the last two."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.errors import DtypeError, ShapeError
from chainrule.table.primitive import Jvp, Linear, Primitive, check_axes, refuse_complex, register
from chainrule.table.shape import _axis_type
from chainrule.table.sort import place_type

LONG = 1024  # steps from which a recurrence of few lanes is cut into rows


def _edge(x: Any, *, axis: int, last: bool) -> Any:
    out = np.zeros_like(x)
    if x.shape[axis]:
        out[(slice(None),) * axis + (-1 if last else 0,)] = 1
    return out


edge = register(
    Primitive(
        name="edge",
        inputs=("x",),
        value=_edge,
        type_rule=_axis_type("edge"),
        rule=None,
        text="edge($x)",
        latex=r"\mathbb{1}_{\text{edge}}",
        doc="1 in the first (or last) place along an axis, else 0; it does not depend on x.",
        samples=(dict(shapes=[(4,)], axis=0, last=False), dict(shapes=[(2, 3)], axis=1, last=True)),
        source="a constant",
    )
)


def _cumulate(x: Any, axis: int, reverse: bool, ufunc: np.ufunc) -> Any:
    x = np.flip(x, axis) if reverse else x
    out = ufunc.accumulate(x, axis=axis)
    return np.flip(out, axis) if reverse else out


cumsum = register(
    Primitive(
        name="cumsum",
        inputs=("x",),
        value=lambda x, *, axis, reverse: _cumulate(x, axis, reverse, np.add),
        type_rule=_axis_type("cumsum"),
        rule=Linear(
            transpose={
                "x": lambda emit, ct, x, *, axis, reverse: emit("cumsum", ct, axis=axis, reverse=not reverse)
            }
        ),
        text="cumsum($x)",
        latex=r"\operatorname{cumsum}($x)",
        doc="Running sum along an axis (from the end if `reverse`).",
        samples=(dict(shapes=[(4,)], axis=0, reverse=False), dict(shapes=[(2, 3)], axis=1, reverse=True)),
        source="the transpose runs the other way",
    )
)


def _cumprod_push(emit: Any, args: Any, tangents: Any, out: Any, *, axis: int, reverse: bool) -> Any:
    (x,), (t,) = args, tangents
    step = -1 if reverse else 1
    before = emit("add", emit("shift", out, axis=axis, step=step), emit("edge", x, axis=axis, last=reverse))
    return emit("linear_recurrence", x, emit("mul", t, before), axis=axis, reverse=reverse)


cumprod = register(
    Primitive(
        name="cumprod",
        inputs=("x",),
        value=lambda x, *, axis, reverse: _cumulate(x, axis, reverse, np.multiply),
        type_rule=_axis_type("cumprod"),
        rule=Jvp(_cumprod_push),
        text="cumprod($x)",
        latex=r"\operatorname{cumprod}($x)",
        doc="Running product along an axis (from the end if `reverse`).",
        samples=(dict(shapes=[(4,)], axis=0, reverse=False), dict(shapes=[(2, 3)], axis=1, reverse=True)),
        source="yᵢ = xᵢ yᵢ₋₁, so ẏᵢ = xᵢ ẏᵢ₋₁ + ẋᵢ yᵢ₋₁: a linear recurrence",
    )
)


def _recurrence(a: Any, b: Any, *, axis: int, reverse: bool) -> Any:
    """yᵢ = aᵢ yᵢ₋₁ + bᵢ; the first entry is b₀, whatever a₀ is."""
    a, b = np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0)
    if reverse:
        a, b = a[::-1], b[::-1]
    n, out = len(b), np.empty(b.shape, b.dtype)
    if n >= LONG and b[0].size * 8 <= n**0.5:
        _in_rows(a.reshape(n, -1), b.reshape(n, -1), out.reshape(n, -1))
    elif n:
        _step_by_step(a, b, out, b[0])
    return np.moveaxis(out[::-1] if reverse else out, 0, axis)


def _step_by_step(a: Any, b: Any, out: Any, first: Any) -> None:
    """Fill `out` along the first axis, the first entry being given: two NumPy calls per step."""
    out[0] = first
    for i in range(1, len(b)):
        np.multiply(a[i], out[i - 1], out=out[i, ...])
        out[i, ...] += b[i]


def _in_rows(a: Any, b: Any, out: Any) -> None:
    """A long recurrence of few lanes (n, lanes), cut into √n rows that run side by side.

    Each row runs once from 0; from its last entry and the product of its factors follows where the next row begins.
    Then every row runs from its true beginning. Where that product leaves the range of the dtype, the row is run
    through by itself to find its end.
    """
    n, lanes = b.shape
    width = math.isqrt(n)
    rows = n // width
    cut = rows * width
    ra, rb = (
        np.ascontiguousarray(np.swapaxes(v[:cut].reshape(rows, width, lanes), 0, 1)) for v in (a, b)
    )  # (width, rows, lanes): a step is one vector over all rows
    y = np.empty_like(rb)
    _step_by_step(ra, rb, y, rb[0])
    factor, ends = np.multiply.reduce(ra, 0), y[-1].copy()
    zero = (factor == 0) & (ra == 0).any(0)
    safe = np.isfinite(ends) & np.isfinite(factor) & (zero | (np.abs(factor) >= np.finfo(b.dtype).tiny))
    first, alone = rb[0].copy(), ~safe.all(1)
    for r in range(1, rows):
        first[r] += ra[0, r] * ends[r - 1]
        if alone[r]:
            _step_by_step(ra[:, r], rb[:, r], y[:, r], first[r])
            ends[r] = y[-1, r]
        else:
            ends[r] += factor[r] * ends[r - 1]
    _step_by_step(ra, rb, y, first)
    out[:cut] = np.swapaxes(y, 0, 1).reshape(cut, lanes)
    _step_by_step(a[cut - 1 :], b[cut - 1 :], out[cut - 1 :], out[cut - 1])


def _recurrence_push(emit: Any, args: Any, tangents: Any, out: Any, *, axis: int, reverse: bool) -> Any:
    (a, _), (ta, tb) = args, tangents
    if ta is not None:
        from_a = emit("mul", ta, emit("shift", out, axis=axis, step=-1 if reverse else 1))
        tb = from_a if tb is None else emit("add", tb, from_a)
    return emit("linear_recurrence", a, tb, axis=axis, reverse=reverse)


def _recurrence_transpose(emit: Any, ct: Any, a: Any, b: Any, *, axis: int, reverse: bool) -> Any:
    """λᵢ = aᵢ₊₁ λᵢ₊₁ + ctᵢ: the same recurrence, run the other way with `a` moved by one."""
    moved = emit("shift", a, axis=axis, step=1 if reverse else -1)
    return emit("linear_recurrence", moved, ct, axis=axis, reverse=not reverse)


def _recurrence_type(a: Any, b: Any, *, axis: int, reverse: bool) -> Any:
    check_axes("linear_recurrence", b, (axis,))
    if a != b:
        fix = "make shapes and dtypes equal"
        raise ShapeError("the factors and the terms of a recurrence differ", given=f"{a}, {b}", fix=fix)
    return b


linear_recurrence = register(
    Primitive(
        name="linear_recurrence",
        inputs=("a", "b"),
        value=_recurrence,
        type_rule=_recurrence_type,
        rule=Jvp(_recurrence_push, transpose={"b": _recurrence_transpose}),
        text="linear_recurrence($a, $b)",
        latex=r"y_i = ${a}_i y_{i-1} + ${b}_i",
        doc="yᵢ = aᵢ yᵢ₋₁ + bᵢ along an axis, y₀ = b₀.",
        samples=(
            dict(shapes=[(4,), (4,)], axis=0, reverse=False),
            dict(shapes=[(2, 3), (2, 3)], axis=1, reverse=True),
        ),
        source="differentiate the recurrence",
    )
)


def _before(emit: Any, x: Any, out: Any, axis: int, reverse: bool) -> Any:
    """What a running ln Σ eˣ was before each entry: -inf before the first."""
    first = emit("ne", emit("edge", x, axis=axis, last=reverse), 0.0)
    return first, emit("where", first, -math.inf, emit("shift", out, axis=axis, step=-1 if reverse else 1))


def _logcumsumexp_push(emit: Any, args: Any, tangents: Any, out: Any, *, axis: int, reverse: bool) -> Any:
    """The weights of what was before and of the new entry, σ(before - x) and σ(x - before), add up to 1."""
    (x,), (t,) = args, tangents
    first, before = _before(emit, x, out, axis, reverse)
    empty = emit("logical_and", emit("eq", before, -math.inf), emit("eq", x, -math.inf))
    gain = emit("where", empty, 0.0, emit("sub", x, before))
    new = emit("where", first, 1.0, emit("sigmoid", gain))
    old = emit("sigmoid", emit("neg", gain))
    pushed = emit("linear_recurrence", old, emit("mul", new, t), axis=axis, reverse=reverse)
    undefined = emit("logical_and", empty, emit("logical_not", first))
    return emit("mul", pushed, emit("where", undefined, math.nan, 1.0))


def _refuse_branches(emit: Any, x: Any, **params: Any) -> Any:
    fix = "compute log(cumsum(exp(x))) if one branch is meant"
    raise DtypeError(
        "logcumsumexp of complex numbers: the logarithm has branches", given=str(x.dtype), fix=fix
    )


def _logcumsumexp(x: Any, *, axis: int, reverse: bool) -> Any:
    if x.dtype == np.float16:
        return _cumulate(x.astype(np.float32), axis, reverse, np.logaddexp).astype(np.float16)
    return _cumulate(x, axis, reverse, np.logaddexp)


logcumsumexp = register(
    Primitive(
        name="logcumsumexp",
        inputs=("x",),
        value=_logcumsumexp,
        type_rule=_axis_type("logcumsumexp"),
        rule=Jvp(_logcumsumexp_push),
        text="logcumsumexp($x)",
        latex=r"\ln \operatorname{cumsum}(e^{$x})",
        doc="Running ln Σ eˣ along an axis (from the end if `reverse`), without overflow.",
        samples=(dict(shapes=[(4,)], axis=0, reverse=False), dict(shapes=[(2, 3)], axis=1, reverse=True)),
        undefined={"two or more entries, all -inf": "the weights 0/0 have no value: NaN"},
        on_complex=_refuse_branches,
        source="yᵢ = ln(e^{yᵢ₋₁} + e^{xᵢ}), so ẏᵢ = σ(yᵢ₋₁ - xᵢ) ẏᵢ₋₁ + σ(xᵢ - yᵢ₋₁) ẋᵢ: a linear recurrence",
    )
)


def _best_so_far(x: Any, axis: int, ufunc: np.ufunc) -> Any:
    """Where the running extreme was found: the last of equal entries; a NaN stays the extreme."""
    at = np.arange(x.shape[axis]).reshape([-1 if k == axis else 1 for k in range(x.ndim)])
    found = (x == ufunc.accumulate(x, axis)) | (x != x)
    return np.maximum.accumulate(np.where(found, at, 0), axis)


def _running(name: str, ufunc: np.ufunc, word: str) -> Primitive:
    return register(
        Primitive(
            name=name,
            inputs=("x",),
            value=lambda x, *, axis: _best_so_far(x, axis, ufunc),
            type_rule=place_type(name),
            rule=None,
            text=f"{name}($x)",
            latex=rf"\operatorname{{{name}}} $x",
            doc=f"Place of the {word} entry so far along an axis, the last one of equals.",
            samples=(dict(shapes=[(4,)], axis=0), dict(shapes=[(2, 3)], axis=1)),
            on_complex=refuse_complex(name),
            source="a place, not a differentiable value",
        )
    )


argcummax = _running("argcummax", np.maximum, "largest")
argcummin = _running("argcummin", np.minimum, "smallest")


def _others(x: Any, *, axis: int) -> Any:
    """∏ of the other entries: the quotient where no digit is lost, else from the left times from the right."""
    if x.dtype.kind == "f" and x.size:
        total = np.multiply.reduce(x, axis, keepdims=True)
        if np.all((np.abs(total) >= np.finfo(x.dtype).tiny) & np.isfinite(total)):
            return total / x
    left, right = (_before_product(x, axis, reverse) for reverse in (False, True))
    return left * right


def _before_product(x: Any, axis: int, reverse: bool) -> Any:
    """∏ of the entries before each, 1 before the first."""
    out = np.ones_like(x)
    cut = [slice(None)] * x.ndim
    into, taken = cut.copy(), cut.copy()
    into[axis], taken[axis] = (
        (slice(None, -1), slice(1, None)) if reverse else (slice(1, None), slice(None, -1))
    )
    out[tuple(into)] = _cumulate(x[tuple(taken)], axis, reverse, np.multiply)
    return out


def _others_push(emit: Any, args: Any, tangents: Any, out: Any, *, axis: int) -> Any:
    """Left·right, each a running product: no division, so that it is right with zeros too."""
    (x,), (t,) = args, tangents
    total = None
    for reverse in (False, True):
        other = _product_before(emit, x, axis, not reverse)
        running = emit("cumprod", x, axis=axis, reverse=reverse)
        change = _cumprod_push(emit, (x,), (t,), running, axis=axis, reverse=reverse)
        moved = emit("shift", change, axis=axis, step=-1 if reverse else 1)
        part = emit("mul", moved, other)
        total = part if total is None else emit("add", total, part)
    return total


def _product_before(emit: Any, x: Any, axis: int, reverse: bool) -> Any:
    running = emit("cumprod", x, axis=axis, reverse=reverse)
    moved = emit("shift", running, axis=axis, step=-1 if reverse else 1)
    return emit("add", moved, emit("edge", x, axis=axis, last=reverse))


others = register(
    Primitive(
        name="others",
        inputs=("x",),
        value=_others,
        type_rule=_axis_type("others"),
        rule=Jvp(_others_push),
        text="others($x)",
        latex=r"\prod_{j \ne i} $x",
        doc="For each entry the product of the others along an axis: the slope of prod, right with zeros.",
        samples=(dict(shapes=[(4,)], axis=0), dict(shapes=[(2, 3)], axis=1)),
        source="∏ from the left times ∏ from the right",
    )
)
