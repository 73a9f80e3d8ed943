"""The one reader of rules: pullback and pushforward of a single operation, in any domain.

A domain is a function `emit(name, *args, **params)`: NumPy numbers, Tensors that are recorded, or equations of a
graph. The mathematics below does not know which. Values have `shape` and `dtype`; an argument that no rule
reads may be a `Type`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from chainrule.errors import UnsupportedError
from chainrule.ir.types import FLOAT, type_of
from chainrule.table.formula import Apply, Const, Emit, Formula, apply, fold, is_const
from chainrule.table.primitive import (
    TABLE,
    Body,
    Custom,
    Jvp,
    Linear,
    Partials,
    Primitive,
    count_along,
    is_bounded,
    partials_of,
    reduced_shape,
    transpose_reads,
)
from chainrule.table.reduce import spread
from chainrule.table.shape import spread_axes

# Note [Inactive routes]
# A cotangent travels as a pair (ct, mask): where the mask is false, a selecting operation did not take this route, and
# nothing is passed on whatever local derivatives follow (docs/rules.md, rule 4). None: active everywhere. The mask is a
# fact of the program, not "the number is 0": sqrt(x)*sqrt(x) at 0 stays NaN. Forward mode needs no mask: a selecting
# operation pushes where(∂ != 0, ∂·t, 0).

Pulled = Iterator[tuple[int, Any, Any]]


def pullback(
    p: Primitive,
    args: Sequence[Any],
    out: Any,
    params: dict[str, Any],
    ct: Any,
    mask: Any,
    wanted: Sequence[bool],
    emit: Emit,
    indicator: Sequence[bool] = (),
    masks: bool = True,
) -> Pulled:
    """Cotangents of the wanted inputs: triples (position, ct, mask).

    `indicator[k]`: argument k is a truth value cast to numbers, so a product with it selects. Without `masks` no mask
    begins here: the plain walk has none.
    """
    emit = _simplifying(emit)
    rule = p.rule
    if isinstance(rule, Partials):
        pulled = _pull_partials(p, args, out, params, ct, mask, wanted, emit, indicator)
    elif isinstance(rule, Linear) or (isinstance(rule, Jvp) and _only_linear(p, rule, wanted)):
        pulled = _pull_linear(p, rule, args, params, ct, mask, wanted, emit, masks)
    elif isinstance(rule, Jvp):
        from chainrule.transforms.linearize import pull_jvp

        pulled = pull_jvp(p, args, out, params, ct, mask, wanted, emit)
    elif isinstance(
        rule, Body
    ):  # with several outputs out, ct and mask are tuples, None for a ct that is zero
        pulled = rule.pull(emit, args, out, ct, mask, wanted, **params)
    elif isinstance(rule, Custom):
        pulled = rule.vjp(emit, args, out, ct, mask, wanted, **params)
    else:
        raise UnsupportedError(
            f"{p.name} has no derivative in reverse mode", fix="detach its result if that is meant"
        )
    for k, c, m in pulled:
        t = type_of(args[k])
        c = sum_to(emit, c, t.shape)
        if m is not None:
            m = any_to(emit, m, t.shape)
        yield k, _as_dtype(emit, c, t.dtype), m


def pushforward(
    p: Primitive,
    args: Sequence[Any],
    out: Any,
    params: dict[str, Any],
    tangents: Sequence[Any],
    emit: Emit,
    indicator: Sequence[bool] = (),
) -> Any:
    """Tangent of the output; a tangent that is None is zero, and so is the result if all are.

    `indicator` as in `pullback`.
    """
    if all(t is None for t in tangents) or p.rule is None:
        return None
    emit = _simplifying(emit)
    rule = p.rule
    if isinstance(rule, Partials):
        result = _push_partials(p, args, out, params, tangents, emit, indicator)
    elif isinstance(rule, Linear):
        result = _push_linear(p, rule, args, params, tangents, emit)
    elif isinstance(rule, Jvp):
        result = rule.push(emit, args, tangents, out, **params)
    elif isinstance(rule, Body):
        return rule.push(emit, args, out, tangents, **params)
    elif isinstance(rule, Custom):
        result = rule.jvp(emit, args, out, tangents, **params)
        if result is None:
            return None
    else:
        raise UnsupportedError(
            f"{p.name} has no derivative in forward mode", fix="use reverse mode for this function"
        )
    t = type_of(out)
    if type_of(result).shape != t.shape:
        result = emit("broadcast", result, shape=t.shape)
    return _as_dtype(emit, result, t.dtype)


# --- partials ----------------------------------------------------------------------------------


def _pull_partials(
    p: Primitive,
    args: Any,
    out: Any,
    params: Any,
    ct: Any,
    mask: Any,
    wanted: Any,
    emit: Emit,
    indicator: Any,
) -> Pulled:
    if p.kind == "reduction":
        ct, mask, out = (_spread_reduced(emit, v, args[0], params) for v in (ct, mask, out))
    values, env, memo = _environment(p, args, out, params)
    for k, name in enumerate(p.inputs):
        if not (k < len(wanted) and wanted[k]):
            continue
        f = _conjugate(p, _partial(p, name), args[k])
        c = times(f, ct, values, env, emit, memo)
        m = mask
        if p.selects:
            m = _and(emit, mask, emit("ne", fold(f, values, env, emit, memo), 0.0))
            c = emit("where", _fit(emit, m, c), c, 0.0)
        elif p.name == "mul" and len(indicator) == 2 and indicator[1 - k]:
            m = _and(emit, mask, emit("ne", args[1 - k], 0.0))
            c = emit("where", _fit(emit, m, c), c, 0.0)
        elif mask is not None and not is_bounded(p):
            c = emit("where", mask, c, 0.0)
        yield k, c, None if m is None else _fit(emit, m, c)


def _push_partials(
    p: Primitive, args: Any, out: Any, params: Any, tangents: Any, emit: Emit, indicator: Any
) -> Any:
    if p.kind == "reduction":
        out = _spread_reduced(emit, out, args[0], params)
    values, env, memo = _environment(p, args, out, params)
    total = None
    for k, name in enumerate(p.inputs):
        if k >= len(tangents) or tangents[k] is None:
            continue
        f = _for_dtype(_partial(p, name), args[k])
        t = times(f, tangents[k], values, env, emit, memo)
        if p.selects:
            t = emit("where", emit("ne", fold(f, values, env, emit, memo), 0.0), t, 0.0)
        elif p.name == "mul" and len(indicator) == 2 and indicator[1 - k]:
            t = emit("where", emit("ne", args[1 - k], 0.0), t, 0.0)
        total = t if total is None else emit("add", total, t)
    if p.kind == "reduction":
        axis = params["axis"]
        axis = (axis,) if isinstance(axis, int) else axis
        total = emit("sum", total, axis=axis, keepdims=params.get("keepdims", False))
    return total


def _partial(p: Primitive, name: str) -> Formula:
    """∂out/∂(input); an input without one that is asked for is refused, not taken for zero."""
    try:
        return partials_of(p)[name]
    except KeyError:
        fix = "hold it fixed: detach it, or leave it out of the arguments that are differentiated"
        raise UnsupportedError(f"{p.name} has no derivative in its {name}", fix=fix) from None


def times(f: Formula, ct: Any, values: Any, params: Any, emit: Emit, memo: Any) -> Any:
    """ct · f, without products by 1, and with `where(c, a, b)` as a choice between ct·a and ct·b.

    Numbers in a choice stay Python numbers (they take the dtype of ct); 0 and NaN need no product.
    """
    if isinstance(f, Const):
        if f.value == 0:
            return emit("zeros", shape=ct.shape, dtype=ct.dtype)
        return ct if f.value == 1 else emit("neg", ct) if f.value == -1 else emit("mul", ct, f.value)
    if isinstance(f, Apply) and f.name == "neg":
        return emit("neg", times(f.args[0], ct, values, params, emit, memo))
    if isinstance(f, Apply) and f.name == "where" and any(isinstance(a, Const) for a in f.args[1:]):
        condition = fold(f.args[0], values, params, emit, memo)
        a, b = (g.value if _absorbs(g) else times(g, ct, values, params, emit, memo) for g in f.args[1:])
        return emit("where", condition, a, b)
    if isinstance(f, Apply) and f.name == "div" and (is_const(f.args[0], 1) or _is_guarded(f.args[0])):
        above = times(f.args[0], ct, values, params, emit, memo)
        return emit("div", above, fold(f.args[1], values, params, emit, memo))
    return emit("mul", ct, fold(f, values, params, emit, memo))


def _absorbs(f: Formula) -> bool:
    return isinstance(f, Const) and (f.value == 0 or f.value != f.value)


def _environment(
    p: Primitive, args: Any, out: Any, params: Any
) -> tuple[dict[str, Any], dict[str, Any], dict]:
    values = dict(zip(p.inputs, args, strict=True))
    values["out"] = out
    env = dict(params)
    if p.kind == "reduction":
        shape, axis = type_of(args[0]).shape, params["axis"]
        env["count"] = count_along(shape, (axis,) if isinstance(axis, int) else axis)
    return values, env, {}


def _conjugate(p: Primitive, f: Formula, arg: Any) -> Formula:
    """Reverse mode multiplies by the conjugate of a holomorphic partial (⟨a, b⟩ = Re āb, torch's convention)."""
    if type_of(arg).dtype.kind != "c" or isinstance(f, Const):
        return f
    return Apply("conj", (_for_dtype(f, arg),), {})


def _for_dtype(f: Formula, arg: Any) -> Formula:
    """The guard of a domain of real numbers (log, artanh) means nothing to complex ones."""
    if type_of(arg).dtype.kind != "c":
        return f
    if _is_guarded(f):
        return f.args[2]  # type: ignore[attr-defined]
    if isinstance(f, Apply) and f.name == "div" and _is_guarded(f.args[0]):
        return apply("div", f.args[0].args[2], f.args[1])  # type: ignore[attr-defined]
    return f


def _is_guarded(f: Formula) -> bool:
    """Whether a formula is NaN outside of a domain."""
    return (
        isinstance(f, Apply)
        and f.name == "where"
        and is_const(f.args[1])
        and f.args[1].value != f.args[1].value
    )  # type: ignore[attr-defined]


def _spread_reduced(emit: Emit, v: Any, x: Any, params: Any) -> Any:
    if v is None or _is_type(v):  # a type: a value that no formula reads
        return v
    if v.__class__ is bool:  # a mask of one number that is known already
        return emit("broadcast", v, shape=type_of(x).shape)
    axis = params["axis"]
    axis = (axis,) if isinstance(axis, int) else axis
    return spread(emit, v, type_of(x).shape, axis, params.get("keepdims", False))


# --- linear maps ---------------------------------------------------------------------------------


def _only_linear(p: Primitive, rule: Jvp, wanted: Sequence[bool]) -> bool:
    return all(name in rule.transpose for name, w in zip(p.inputs, wanted, strict=False) if w)


def _pull_linear(
    p: Primitive,
    rule: Linear | Jvp,
    args: Any,
    params: Any,
    ct: Any,
    mask: Any,
    wanted: Any,
    emit: Emit,
    masks: bool,
) -> Pulled:
    starred = p.inputs[0].startswith("*") and p.inputs[0] in rule.transpose
    if starred:
        fn = rule.transpose[p.inputs[0]]
        types = [type_of(a) for a in args]
        cts = fn(emit, ct, *types, **params)
        bits = (
            [None] * len(args)
            if mask is None
            else _bits(emit, fn(emit, _count(emit, mask, _of_counts(ct)), *types, **params))
        )
        yield from ((k, cts[k], bits[k]) for k, w in enumerate(wanted) if w)
        return
    named, index = _named(p, args)
    for k, name in enumerate(p.inputs):
        if not (k < len(wanted) and wanted[k]):
            continue
        fn = rule.transpose[name]
        reads = [type_of(args[k]) if r == name else named[r] for r in transpose_reads(fn)]
        c = fn(emit, ct, *[_adjoint(emit, r) for r in reads], *index, **params)
        yield k, c, _carry(rule, fn, reads, index, params, ct, mask, name, emit) if masks else None


def _adjoint(emit: Emit, factor: Any) -> Any:
    """A fixed factor as the transpose reads it: conjugated, as in ⟨ct, A t⟩ = ⟨Aᴴ ct, t⟩."""
    return emit("conj", factor) if not _is_type(factor) and type_of(factor).dtype.kind == "c" else factor


def _carry(
    rule: Any, fn: Any, reads: Any, index: Any, params: Any, ct: Any, mask: Any, name: str, emit: Emit
) -> Any:
    """The mask of an argument: the transpose, applied to the mask as zeros and ones, other factors as ones.

    Indices stay what they are.
    """
    dtype = _of_counts(ct)
    if mask is None:
        if not getattr(rule, "holes", False):
            return None
        mask = _all_true(emit, ct, dtype)
    ones = [
        r if r_name == "index" or _is_type(r) else _count(emit, _all_true(emit, r, dtype), dtype)
        for r_name, r in zip(transpose_reads(fn), reads, strict=True)
    ]
    return emit("ne", fn(emit, _count(emit, mask, dtype), *ones, *index, **params), 0.0)


def _is_type(v: Any) -> bool:
    return type_of(v) is v


def _all_true(emit: Emit, v: Any, dtype: Any) -> Any:
    return emit("eq", emit("zeros", shape=type_of(v).shape, dtype=dtype), 0.0)


def _count(emit: Emit, mask: Any, dtype: Any) -> Any:
    return emit("cast", mask, dtype=dtype)


def _of_counts(ct: Any) -> Any:
    """The dtype in which masks of a cotangent are counted: its own, if it is one for which there is machine code."""
    dtype = type_of(ct).dtype
    return dtype if dtype.kind == "f" and dtype.itemsize == 4 else FLOAT.dtype


def _bits(emit: Emit, counts: list[Any]) -> list[Any]:
    return [emit("ne", c, 0.0) for c in counts]


def _named(p: Primitive, args: Any) -> tuple[dict[str, Any], tuple[Any, ...]]:
    """Arguments by name, and those behind a final ``*index``."""
    if p.inputs and p.inputs[-1] == "*index":
        n = len(p.inputs) - 1
        return dict(zip(p.inputs[:n], args[:n], strict=True)), tuple(args[n:])
    return dict(zip(p.inputs, args, strict=True)), ()


def _push_linear(p: Primitive, rule: Linear, args: Any, params: Any, tangents: Any, emit: Emit) -> Any:
    fixed = [k for k, name in enumerate(p.inputs) if name not in rule.transpose and name != "*index"]
    if rule.joint:
        full = [
            t
            if t is not None
            else args[k]
            if k in fixed or k >= _linear_count(p, args)
            else _zeros(emit, args[k])
            for k, t in enumerate(_padded(tangents, len(args)))
        ]
        return emit(p.name, *full, **params)
    total = None
    for k, t in enumerate(tangents):
        if t is not None:
            term = emit(p.name, *args[:k], t, *args[k + 1 :], **params)
            total = term if total is None else emit("add", total, term)
    return total


def _linear_count(p: Primitive, args: Any) -> int:
    """How many leading arguments may be differentiated: all but a final ``*index``."""
    return len(p.inputs) - 1 if p.inputs[-1] == "*index" else len(args)


def _padded(tangents: Any, n: int) -> list[Any]:
    return [*tangents, *[None] * (n - len(tangents))]


def _zeros(emit: Emit, v: Any) -> Any:
    t = type_of(v)
    return emit("zeros", shape=t.shape, dtype=t.dtype)


# --- shapes, dtypes, masks -----------------------------------------------------------------------


def sum_to(emit: Emit, ct: Any, shape: tuple[int, ...]) -> Any:
    """`ct` summed over the axes along which an input of this shape was repeated."""
    large = type_of(ct).shape
    if large == shape:
        return ct
    if len(large) < len(shape) or any(
        n not in (1, m) for n, m in zip(reversed(shape), reversed(large), strict=False)
    ):
        return emit("broadcast", ct, shape=shape)  # a partial that does not depend on this input's entries
    axes = spread_axes(shape, large)
    out = emit("sum", ct, axis=axes, keepdims=False) if axes else ct
    return emit("reshape", out, shape=shape) if reduced_shape(large, axes, False) != shape else out


def any_to(emit: Emit, mask: Any, shape: tuple[int, ...]) -> Any:
    """As `sum_to`, for masks: active where any repetition is."""
    large = type_of(mask).shape
    if large == shape:
        return mask
    if len(large) < len(shape):
        return emit("broadcast", mask, shape=shape)
    axes = spread_axes(shape, large)
    out = emit("any", mask, axis=axes, keepdims=False) if axes else mask
    return emit("reshape", out, shape=shape) if reduced_shape(large, axes, False) != shape else out


def join(emit: Emit, a: Any, b: Any) -> Any:
    """Mask of two routes together: active where one of them is; None wins."""
    return None if a is None or b is None else emit("logical_or", a, b)


def _and(emit: Emit, a: Any, b: Any) -> Any:
    return b if a is None else emit("logical_and", a, b)


def _fit(emit: Emit, mask: Any, c: Any) -> Any:
    shape = type_of(c).shape
    return mask if type_of(mask).shape == shape else emit("broadcast", mask, shape=shape)


def _as_dtype(emit: Emit, v: Any, dtype: Any) -> Any:
    return v if type_of(v).dtype == dtype else emit("cast", v, dtype=dtype)


def _simplifying(emit: Emit) -> Emit:
    """`emit` that first asks the entry for an exact simplification (x¹ = x)."""
    if getattr(emit, "simplifies", False):
        return emit

    def simplified(name: str, *args: Any, **params: Any) -> Any:
        p = TABLE[name]
        if p.simplify is not None:
            easier = p.simplify(*args, **params)
            if easier is not None:
                return easier
        return emit(name, *args, **params)

    simplified.simplifies = True  # type: ignore[attr-defined]
    return simplified
