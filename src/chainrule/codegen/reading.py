"""What equations read: which entries of their inputs meet in an entry of the output, and what has no kernel."""

from __future__ import annotations

import numpy as np

from chainrule.codegen import indexing, integers
from chainrule.codegen.scalar import LOWER, ON_TRUTH
from chainrule.codegen.views import FLAT, Axis, Terms, identity, is_view, reduced, strides, through
from chainrule.ir.graph import Equation, Graph, Var
from chainrule.passes.cost import operations

REDUCTIONS = {"sum": "add", "amax": "maximum", "amin": "minimum", "any": "logical_or", "all": "logical_and"}
SEARCHES = {
    "argmax": "gt",
    "argmin": "lt",
}  # the place of the first entry that is greater, or less, than the others
_LOOPS = frozenset({*REDUCTIONS, *SEARCHES, "dot_general"})
_FEW_SEARCHES = 16  # of one entry after the other, where NumPy's are quicker: they look at several at once

Read = tuple[Var, Terms]


def why_called(e: Equation, dtype: np.dtype) -> str | None:
    """Why no kernel computes an equation (None: one does)."""
    if len(e.outs) != 1:
        return "it has several outputs"
    for v in (*e.inputs, *e.outs):
        if v.dtype not in (dtype, np.bool_, *integers.DTYPES):
            return f"its values are {v.dtype}, and kernels are for {dtype}, int64 and int32"
    if any(n == 0 for v in (*e.inputs, *e.outs) for n in v.shape):
        return "it has no entries"
    if indexing.is_moving(e) or indexing.is_adding(e):
        return None
    if _reads_truth(e) and e.name not in ON_TRUTH and not is_view(e):
        return "there is no machine code for it on truth values yet"
    if e.name in SEARCHES:
        return None if e.outs[0].type.size >= _FEW_SEARCHES else "there are few of it, and NumPy is quicker"
    whole = any(v.dtype.kind == "i" for v in (*e.inputs, *e.outs))
    if whole and not integers.is_lowered(e) and not is_view(e) and e.name != "reshape":
        of = " on whole numbers" if any(v.dtype.kind == "i" for v in e.inputs) else ""
        return f"there is no machine code for it{of} yet"
    if e.primitive.kind == "elementwise" and e.name in (*LOWER, "cast", "cast_like"):
        return None
    if (
        e.name in REDUCTIONS
        or e.name in ("dot_general", "zeros", "cast_like", "cast", "reshape")
        or is_view(e)
    ):
        return None
    return "there is no machine code for it yet"


def _reads_truth(e: Equation) -> bool:
    """Whether an equation reads truth values where most have numbers: not as the condition of a choice."""
    return any(v.dtype == np.bool_ for v in (e.inputs[1:] if e.name == "where" else e.inputs))


def has_loops(e: Equation) -> bool:
    """Whether an entry is computed from many, in a loop."""
    return e.name in _LOOPS


def real_dtype(graph: Graph) -> np.dtype:
    """float32 where most numbers of a program are, else float64: kernels are for one of them."""
    entries = {np.dtype(np.float32): 0, np.dtype(np.float64): 0}
    for e in graph.equations:
        for v in e.outs:
            if v.dtype in entries:
                entries[v.dtype] += v.type.size
    return max(reversed(entries), key=entries.__getitem__)


def axes_of(e: Equation) -> tuple[int, ...]:
    axis = e.params["axis"]
    return (axis,) if isinstance(axis, int) else tuple(axis)


def dot_axes(e: Equation) -> tuple[list[Axis], list[Axis], list[Axis], list[Axis]]:
    """Loops of a product: batch, free of x, free of y, contracted."""
    x, y = e.inputs
    (cx, cy), (bx, by) = e.params["contract"], e.params["batch"]
    free = lambda v, c, b: [Axis(n) for k, n in enumerate(v.shape) if k not in c and k not in b]
    return [Axis(x.shape[k]) for k in bx], free(x, cx, bx), free(y, cy, by), [Axis(x.shape[k]) for k in cx]


def dot_idx(e: Equation, idx: Terms, contracted: Terms) -> tuple[Terms, Terms]:
    """The entries of both factors that meet in entry `idx` of the product."""
    x, y = e.inputs
    contract, batch = e.params["contract"], e.params["batch"]
    nb = len(batch[0])
    free_x = len(x.shape) - nb - len(contract[0])
    found = []
    for v, c, b, rest in (
        (x, contract[0], batch[0], idx[nb : nb + free_x]),
        (y, contract[1], batch[1], idx[nb + free_x :]),
    ):
        free = iter(rest)
        found.append(tuple(idx[b.index(k)] if k in b else contracted[c.index(k)] if k in c else next(free)
                           for k in range(len(v.shape))))  # fmt: skip
    return found[0], found[1]


def factors_of(e: Equation) -> tuple[list[Axis], Axis, Axis, Axis, Read, Read]:
    """Loops and factors of a product of matrices: batch, m, n, k, left[…, m, k] and right[…, k, n]."""
    batch, (m,), (n,), (k,) = dot_axes(e)
    left, right = zip(e.inputs, dot_idx(e, identity([*batch, m, n]), identity([k])), strict=True)
    return batch, m, n, k, left, right


def _flat(e: Equation, idx: Terms) -> Terms:
    """An entry of a reshaped array by its place in memory, which is kept in C order: FLAT, then terms in entries."""
    places = strides(e.params["shape"])
    return (
        FLAT,
        *[(axis, step * s, offset * s) for (axis, step, offset), s in zip(idx, places, strict=True)],
    )


def operands(e: Equation, idx: Terms) -> list[tuple[Var, Terms]]:
    """Which entries of its inputs entry `idx` of an equation reads; reductions read along loops of their own."""
    if e.primitive.kind == "elementwise":
        return [(v, idx) for v in e.inputs]
    if is_view(e):
        moved = through(e, idx)
        assert moved is not None
        return [(e.inputs[0], moved)]
    if indexing.is_moving(e) or indexing.is_adding(e):
        return indexing.operands(e, idx)
    if e.name == "reshape":
        return [(e.inputs[0], _flat(e, idx))]
    if e.name in REDUCTIONS or e.name in SEARCHES:
        x, axis = e.inputs[0], axes_of(e)
        axes = [Axis(x.shape[k]) for k in axis]
        return [(x, reduced(idx, axes, axis, e.params.get("keepdims", False)))]
    if e.name == "dot_general":
        return list(zip(e.inputs, dot_idx(e, idx, identity(dot_axes(e)[3])), strict=True))
    return [(v, idx) for v in e.inputs]


def times_read(e: Equation, v: Var) -> int:
    """How often an equation reads entries of an input."""
    if e.primitive.kind == "elementwise":
        return e.outs[0].type.size
    if indexing.is_adding(e):
        return e.inputs[0].type.size
    if not indexing.is_moving(e):
        return operations(e)
    return (
        e.outs[0].type.size
        if v in indexing.index_of(e) or e.primitive.kind == indexing.PICKS
        else v.type.size
    )
