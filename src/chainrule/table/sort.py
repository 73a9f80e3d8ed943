"""Where sorted entries come from: whole numbers, without derivative; a Linear gather (`take_along`) picks the entries.

Order is total: NaN counts as the largest number, equal entries keep their order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, ShapeError
from chainrule.table.primitive import Primitive, check_axes, refuse_complex, register

INT = np.dtype(np.int64)


def place_type(name: str, length: Callable[..., int] | None = None) -> Any:
    """Type rule of places along one axis, whose length becomes `length(**params)`."""

    def rule(x: Any, *, axis: int, **params: Any) -> Any:
        check_axes(name, x, (axis,))
        shape = list(x.shape)
        if length is not None:
            n = shape[axis]
            shape[axis] = length(**params)
            if not 0 <= shape[axis] <= n:
                fix = f"use at most {n}"
                raise ArgumentError(f"{name} of more entries than there are", given=str(x), fix=fix)
        return type(x)(tuple(shape), INT)

    return rule


def _places(
    name: str, value: Any, doc: str, length: Callable[..., int] | None = None, **params: Any
) -> Primitive:
    return register(
        Primitive(
            name=name,
            inputs=("x",),
            value=value,
            type_rule=place_type(name, length),
            rule=None,
            text=f"{name}($x)",
            latex=rf"\operatorname{{{name}}} $x",
            doc=doc,
            samples=(dict(shapes=[(4,)], axis=0, **params), dict(shapes=[(2, 3)], axis=1, **params)),
            on_complex=refuse_complex(name),
            source="a place, not a differentiable value",
        )
    )


def _argsort(x: Any, *, axis: int, descending: bool) -> Any:
    if descending:  # from the end, so that equal entries keep their order
        return x.shape[axis] - 1 - np.flip(_argsort(np.flip(x, axis), axis=axis, descending=False), axis)
    if x.dtype.kind != "f" or x.size < 1000:
        return np.argsort(x, axis, kind="stable")
    order = np.argsort(x, axis)  # four times as quick, and the same where no two entries are equal
    s = np.moveaxis(np.take_along_axis(x, order, axis), axis, -1)
    if (s[..., 1:] > s[..., :-1]).all():
        return order
    return np.argsort(x, axis, kind="stable")


def _nth(x: Any, n: int, axis: int) -> Any:
    """Place of the n-th smallest entry, from 0; of equal entries the one that comes n-th in order."""
    v = np.take(np.partition(x, n, axis), [n], axis)
    nan = v != v
    less, same = np.where(nan, x == x, x < v), np.where(nan, x != x, x == v)
    seen = np.cumsum(same, axis)
    return np.argmax(seen == n - np.sum(less, axis, keepdims=True) + 1, axis, keepdims=True)


# Note [Candidates]
# The k-th best of the bests of some blocks is no better than the k-th best entry: k blocks have one that is as good. So
# the k best entries, and all that tie with them, are among those as good as this bound: mostly few more than k.
_BLOCKS = 1024


def _candidates(line: Any, k: int, largest: bool) -> Any:
    """Places, in order, of entries of a line among which its k best are; None if these are too many to gain by it."""
    blocks = max(_BLOCKS, 4 * k)
    size = len(line) // blocks
    best = np.maximum if largest else np.fmin  # a NaN is larger than any number
    bests = best.reduce(line[: blocks * size].reshape(blocks, size), 1)
    n = blocks - k if largest else k - 1
    bound = np.partition(bests, n)[n]
    if bound != bound:
        return None
    places = np.flatnonzero(~(line < bound) if largest else line <= bound)
    return places if 8 * len(places) <= len(line) else None


def _argtopk_by_lines(x: Any, k: int, largest: bool) -> Any:
    """Places of the k best of long lines that lie along the last axis; None if some line has too many candidates."""
    found = np.empty((*x.shape[:-1], k), INT)
    for at in np.ndindex(x.shape[:-1]):
        line = np.ascontiguousarray(x[at])
        places = _candidates(line, k, largest)
        if places is None:
            return None
        found[at] = places[_argtopk(line[places], k=k, axis=0, largest=largest)]
    return found


def _argtopk(x: Any, *, k: int, axis: int, largest: bool) -> Any:
    n = x.shape[axis]
    if n >= 16 * max(_BLOCKS, 4 * k) and k:
        found = _argtopk_by_lines(np.moveaxis(x, axis, -1), k, largest)
        if found is not None:
            return np.moveaxis(found, -1, axis)
    if k == 0 or k > n // 8 or n < 64:
        return np.take(_argsort(x, axis=axis, descending=largest), range(k), axis)
    x = np.moveaxis(x, axis, -1)
    edge = np.take(np.partition(x, n - k if largest else k - 1, -1), [n - k if largest else k - 1], -1)
    nan = edge != edge
    if nan.any():
        same = np.where(nan, x != x, x == edge)
        better = (x > edge) | ((x != x) & ~nan) if largest else np.where(nan, x == x, x < edge)
    else:
        same, better = x == edge, ~(x <= edge) if largest else x < edge  # a NaN is larger
    room = k - np.count_nonzero(better, -1, keepdims=True)
    if (np.count_nonzero(same, -1, keepdims=True) > room).any():  # of equal entries the first
        same &= np.cumsum(same, -1) <= room
    chosen = better | same
    places = np.nonzero(chosen)[-1].reshape(*x.shape[:-1], k)
    order = _argsort(np.take_along_axis(x, places, -1), axis=x.ndim - 1, descending=largest)
    return np.moveaxis(np.take_along_axis(places, order, -1), -1, axis)


def _argmedian(x: Any, *, axis: int, skip_nan: bool) -> Any:
    """The lower of two middle entries; the first NaN, if there is one that counts."""
    n, nan = x.shape[axis], x != x
    if not nan.any():
        return _nth(x, (n - 1) // 2, axis)
    if not skip_nan:
        return np.where(
            nan.any(axis, keepdims=True), np.argmax(nan, axis, keepdims=True), _nth(x, (n - 1) // 2, axis)
        )
    middle = np.maximum(n - np.sum(nan, axis, keepdims=True) - 1, 0) // 2
    return np.take_along_axis(_argsort(x, axis=axis, descending=False), middle, axis)


def _argmode(x: Any, *, axis: int) -> Any:
    """The last place of the most frequent entry, the smallest of such entries."""
    order = np.moveaxis(np.argsort(x, axis, kind="stable"), axis, -1)
    s = np.take_along_axis(np.moveaxis(x, axis, -1), order, -1)
    at = np.broadcast_to(np.arange(s.shape[-1]), s.shape)
    begins = np.ones(s.shape, bool)
    begins[..., 1:] = s[..., 1:] != s[..., :-1]
    run = at - np.maximum.accumulate(np.where(begins, at, 0), -1)
    last = np.argmax(run, -1, keepdims=True)
    return np.moveaxis(np.take_along_axis(order, last, -1), -1, axis)


argsort = _places(
    "argsort", _argsort, "Places that sort x along an axis; equal entries keep their order.", descending=False
)
argtopk = _places(
    "argtopk",
    _argtopk,
    "Places of the k largest (or smallest) entries along an axis, in their order.",
    lambda *, k, largest: k,
    k=2,
    largest=True,
)
argkth = _places(
    "argkth",
    lambda x, *, axis, k: _nth(x, k - 1, axis),
    "Place of the k-th smallest entry along an axis.",
    lambda *, k: 1,
    k=2,
)
argmedian = _places(
    "argmedian",
    _argmedian,
    "Place of the median along an axis, the lower of two middle entries.",
    lambda *, skip_nan: 1,
    skip_nan=False,
)
argmode = _places("argmode", _argmode, "Place of the most frequent entry along an axis.", lambda: 1)


def _search(edges: Any, x: Any, *, right: bool) -> Any:
    side = "right" if right else "left"
    if edges.ndim == 1:
        return np.asarray(np.searchsorted(edges, x, side))
    lines = math.prod(edges.shape[:-1])
    rows, values = edges.reshape(lines, edges.shape[-1]), x.reshape(lines, x.shape[-1])
    found = [np.searchsorted(r, v, side) for r, v in zip(rows, values, strict=True)]
    return np.array(found, INT).reshape(x.shape)


def _search_type(edges: Any, x: Any, *, right: bool) -> Any:
    if len(edges.shape) != 1 and edges.shape[:-1] != x.shape[:-1]:
        fix = "give one sorted line, or one for each line of values"
        raise ShapeError("the sorted lines do not fit the values", given=f"{edges}, {x}", fix=fix)
    return type(x)(x.shape, INT)


searchsorted = register(
    Primitive(
        name="searchsorted",
        inputs=("edges", "x"),
        value=_search,
        type_rule=_search_type,
        rule=None,
        text="searchsorted($edges, $x)",
        latex=r"\operatorname{searchsorted}($edges, $x)",
        doc="Where values would be put into sorted lines: how many entries are smaller (`right`: or equal).",
        samples=(dict(shapes=[(4,), (2, 3)], right=False), dict(shapes=[(2, 4), (2, 3)], right=True)),
        source="a place, not a differentiable value",
    )
)
isin = register(
    Primitive(
        name="isin",
        inputs=("x", "values"),
        value=lambda x, values: np.isin(x, values),
        type_rule=lambda x, values: type(x)(x.shape, np.dtype(bool)),
        rule=None,
        text="isin($x, $values)",
        latex="$x \\in $values",
        doc="Whether each entry of x is among some values.",
        samples=(dict(shapes=[(2, 3), (2,)]),),
        source="membership",
    )
)


def _histogram(x: Any, *, bins: int, lo: float, hi: float) -> Any:
    """Counts in bins of equal width; what lies outside is not counted."""
    x = x.reshape(-1)
    if lo == hi and x.size:
        lo, hi = float(np.min(x)), float(np.max(x))
    if lo == hi:
        lo, hi = lo - 1.0, hi + 1.0
    return np.histogram(x[(x >= lo) & (x <= hi)], bins, (lo, hi))[0].astype(x.dtype)


histogram = register(
    Primitive(
        name="histogram",
        inputs=("x",),
        value=_histogram,
        type_rule=lambda x, *, bins, lo, hi: type(x)((bins,), x.dtype),
        rule=None,
        text="histogram($x)",
        latex=r"\operatorname{histogram}($x)",
        doc="How many entries lie in each of some bins of equal width from lo to hi (equal: the range of x).",
        samples=(dict(shapes=[(9,)], bins=3, lo=-2.0, hi=2.0), dict(shapes=[(2, 3)], bins=2, lo=0.0, hi=0.0)),
        source="counting: piecewise constant",
    )
)
