"""Primitives that move entries: reshape transpose broadcast flip pad concatenate shift. All are linear."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.errors import ShapeError
from chainrule.table.primitive import Linear, Primitive, check_axes, register

# Note [Explicit broadcast]
# Inside a graph, elementwise primitives take inputs of equal shape: `broadcast` is an equation of its
# own (eager nodes
# broadcast by themselves and sum once, in derive.sum_to). So no rule ever sums over broadcast axes.


def _reshape_type(x: Any, *, shape: tuple[int, ...]) -> Any:
    if math.prod(shape) != math.prod(x.shape):
        raise ShapeError(
            f"{math.prod(x.shape)} entries do not fill the shape {list(shape)}", given=str(x),
            fix=f"choose a shape with {math.prod(x.shape)} entries, or -1 for one of its lengths",
        )  # fmt: skip
    return type(x)(shape, x.dtype)


reshape = register(
    Primitive(
        name="reshape",
        inputs=("x",),
        value=lambda x, *, shape: np.reshape(x, shape),
        type_rule=_reshape_type,
        rule=Linear(transpose={"x": lambda emit, ct, x, *, shape: emit("reshape", ct, shape=x.shape)}),
        view=True,
        text="reshape($x, $shape)",
        latex=r"\operatorname{reshape}($x)",
        doc="The same entries in another shape, in C order.",
        samples=(
            dict(shapes=[(4, 3)], shape=(2, 6)),
            dict(shapes=[()], shape=(1, 1)),
            dict(shapes=[(2, 0)], shape=(0,)),
        ),
        source="a bijection of entries; its transpose is its inverse",
    )
)


def _transpose_type(x: Any, *, perm: tuple[int, ...]) -> Any:
    if sorted(perm) != list(range(len(x.shape))):
        fix = f"name each of the {len(x.shape)} dimensions once"
        raise ShapeError(f"{list(perm)} is no order of the dimensions", given=str(x), fix=fix)
    return type(x)(tuple(x.shape[i] for i in perm), x.dtype)


def _inverse(perm: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(range(len(perm)), key=perm.__getitem__))


transpose = register(
    Primitive(
        name="transpose",
        inputs=("x",),
        value=lambda x, *, perm: np.transpose(x, perm),
        type_rule=_transpose_type,
        rule=Linear(transpose={"x": lambda emit, ct, x, *, perm: emit("transpose", ct, perm=_inverse(perm))}),
        view=True,
        text="transpose($x, $perm)",
        latex=r"$x^{\mathsf{T}}",
        doc="Dimensions in another order.",
        samples=(
            dict(shapes=[(4, 3)], perm=(1, 0)),
            dict(shapes=[(2, 3, 4)], perm=(2, 0, 1)),
            dict(shapes=[(0, 2)], perm=(1, 0)),
        ),
        source="a bijection of entries",
    )
)


def _broadcast_type(x: Any, *, shape: tuple[int, ...]) -> Any:
    tail = shape[len(shape) - len(x.shape) :] if len(shape) >= len(x.shape) else None
    if tail is None or any(n not in (1, m) for n, m in zip(x.shape, tail, strict=True)):
        fix = "each dimension must be equal, or 1 where it should repeat"
        what = f"a tensor of shape {list(x.shape)} cannot be spread to the shape {list(shape)}"
        raise ShapeError(what, given=str(x), fix=fix)
    return type(x)(shape, x.dtype)


def spread_axes(small: tuple[int, ...], large: tuple[int, ...]) -> tuple[int, ...]:
    """Axes of `large` along which a value of shape `small` repeats."""
    lead = len(large) - len(small)
    return tuple(i for i, m in enumerate(large) if i < lead or (small[i - lead] == 1 and m != 1))


def _broadcast_transpose(emit: Any, ct: Any, x: Any, *, shape: tuple[int, ...]) -> Any:
    axes = spread_axes(x.shape, shape)
    out = emit("sum", ct, axis=axes, keepdims=False) if axes else ct
    return emit("reshape", out, shape=x.shape) if len(x.shape) + len(axes) != len(shape) else out


broadcast = register(
    Primitive(
        name="broadcast",
        inputs=("x",),
        value=lambda x, *, shape: np.broadcast_to(x, shape),
        type_rule=_broadcast_type,
        rule=Linear(transpose={"x": _broadcast_transpose}),
        view=True,
        text="broadcast($x, $shape)",
        latex=r"\operatorname{broadcast}($x)",
        doc="x repeated along new dimensions and dimensions of length 1.",
        samples=(
            dict(shapes=[(3, 1)], shape=(2, 3, 4)),
            dict(shapes=[()], shape=(3,)),
            dict(shapes=[(1,)], shape=(0,)),
        ),
        source="the transpose of repeating is summing",
    )
)


def _axis_type(name: str) -> Any:
    def rule(x: Any, *, axis: int, **params: Any) -> Any:
        check_axes(name, x, (axis,))
        return x

    return rule


flip = register(
    Primitive(
        name="flip",
        inputs=("x",),
        value=lambda x, *, axis: np.array(np.flip(x, axis)),  # memory of its own, as in torch
        type_rule=_axis_type("flip"),
        rule=Linear(transpose={"x": lambda emit, ct, x, *, axis: emit("flip", ct, axis=axis)}),
        text="flip($x, $axis)",
        latex=r"\operatorname{flip}_{$axis} $x",
        doc="Entries in reverse order along one axis.",
        samples=(dict(shapes=[(4,)], axis=0), dict(shapes=[(2, 3)], axis=1), dict(shapes=[(2, 0)], axis=0)),
        source="an involution",
    )
)


def _shift(x: Any, *, axis: int, step: int) -> Any:
    out = np.zeros_like(x)
    n = x.shape[axis]
    lead = (slice(None),) * axis
    if step >= 0:
        out[(*lead, slice(step, None))] = x[(*lead, slice(None, max(n - step, 0)))]
    else:
        out[(*lead, slice(None, max(n + step, 0)))] = x[(*lead, slice(-step, None))]
    return out


shift = register(
    Primitive(
        name="shift",
        inputs=("x",),
        value=_shift,
        type_rule=_axis_type("shift"),
        rule=Linear(
            transpose={"x": lambda emit, ct, x, *, axis, step: emit("shift", ct, axis=axis, step=-step)},
            holes=True,  # what left
        ),
        text="shift($x, $axis, $step)",
        latex=r"\operatorname{shift}_{$step} $x",
        doc="Entries moved by `step` along one axis; zeros come in, what leaves is lost.",
        samples=(
            dict(shapes=[(4,)], axis=0, step=1),
            dict(shapes=[(2, 3)], axis=1, step=-2),
            dict(shapes=[(2, 0)], axis=1, step=1),
        ),
        source="the transpose of moving right is moving left",
    )
)


def _pad_type(x: Any, *, width: tuple[tuple[int, int], ...]) -> Any:
    if len(width) != len(x.shape) or any(w < 0 for pair in width for w in pair):
        fix = "give one pair of numbers >= 0 per dimension; slice to make an array smaller"
        raise ShapeError(
            "pad needs a pair (before, after) for each dimension", given=f"{x}, width {width}", fix=fix
        )
    return type(x)(tuple(n + a + b for n, (a, b) in zip(x.shape, width, strict=True)), x.dtype)


def _pad_transpose(emit: Any, ct: Any, x: Any, *, width: tuple[tuple[int, int], ...]) -> Any:
    spec = tuple(("slice", a, a + n, 1) for n, (a, _) in zip(x.shape, width, strict=True))
    return emit("index", ct, spec=spec)


pad = register(
    Primitive(
        name="pad",
        inputs=("x",),
        value=lambda x, *, width: np.pad(x, width) if width else x,
        type_rule=_pad_type,
        rule=Linear(transpose={"x": _pad_transpose}),
        text="pad($x, $width)",
        latex=r"\operatorname{pad}($x)",
        doc="Zeros around x.",
        samples=(dict(shapes=[(3,)], width=((1, 2),)), dict(shapes=[(2, 3)], width=((0, 1), (2, 0)))),
        source="the transpose of padding is slicing",
    )
)


def _concatenate_type(*xs: Any, axis: int) -> Any:
    first = xs[0]
    _axis_type("concatenate")(first, axis=axis)
    for x in xs:
        if len(x.shape) != len(first.shape) or any(
            n != m for i, (n, m) in enumerate(zip(x.shape, first.shape, strict=True)) if i != axis
        ):
            given = ", ".join(map(str, xs))
            raise ShapeError(
                f"shapes differ outside dimension {axis}", given=given, fix="make all other dimensions equal"
            )
    n = sum(x.shape[axis] for x in xs)
    return type(first)((*first.shape[:axis], n, *first.shape[axis + 1 :]), first.dtype)


def _concatenate_transpose(emit: Any, ct: Any, *xs: Any, axis: int) -> list[Any]:
    """One cotangent per input: the slices of ct."""
    out, start = [], 0
    for x in xs:
        stop = start + x.shape[axis]
        spec = (*(("slice", None, None, None),) * axis, ("slice", start, stop, 1))
        out.append(emit("index", ct, spec=spec))
        start = stop
    return out


concatenate = register(
    Primitive(
        name="concatenate",
        inputs=("*xs",),
        value=lambda *xs, axis: np.concatenate(xs, axis),
        type_rule=_concatenate_type,
        rule=Linear(transpose={"*xs": _concatenate_transpose}, joint=True),
        text="cat($xs)",
        latex=r"\operatorname{cat}($xs)",
        doc="Arrays one after the other along an axis.",
        samples=(dict(shapes=[(2,), (3,)], axis=0), dict(shapes=[(2, 1), (2, 3), (2, 0)], axis=1)),
        source="the transpose of joining is cutting",
    )
)
zeros = register(
    Primitive(
        name="zeros",
        inputs=(),
        value=lambda *, shape, dtype: np.zeros(shape, dtype),
        type_rule=None,  # type: ignore[arg-type]  # its parameters are its type: see ir.graph.infer
        rule=None,
        text="zeros($shape)",
        latex="0",
        doc="Zeros of a given shape and dtype.",
        samples=(),
        source="a constant",
    )
)
alias = register(
    Primitive(
        name="alias",
        inputs=("x",),
        value=lambda x: x,
        type_rule=lambda x: x,
        rule=Linear(transpose={"x": lambda emit, ct, x: ct}),
        view=True,
        text="$x",
        latex="$x",
        doc="The same value under a new identity, for a functional transform to differentiate by.",
        samples=(dict(shapes=[(3,)]), dict(shapes=[()])),
        source="the identity",
    )
)
detach = register(
    Primitive(
        name="detach",
        inputs=("x",),
        value=lambda x: x,
        type_rule=lambda x: x,
        rule=None,
        view=True,
        text="detach($x)",
        latex=r"\operatorname{detach}($x)",
        doc="The same value, through which no derivative passes.",
        samples=(dict(shapes=[(3,)]), dict(shapes=[()])),
        source="a constant for every derivative",
    )
)
