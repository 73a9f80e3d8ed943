"""Pullbacks of reductions of large arrays: the same formulas, block by block.

The general reader spreads the cotangent and the result over the reduced axes and evaluates the formula in whole arrays.
Here they stay one number for each row of entries, what the formula reduces is worked out first, and the rest is
evaluated in blocks that stay in cache.
"""

from __future__ import annotations

from typing import Any, TypeGuard

import numpy as np

from chainrule.ir.types import Type
from chainrule.table.blocks import LARGE, as_rows, cut
from chainrule.table.formula import Apply, Formula, Symbol, fold, resolve
from chainrule.table.primitive import TABLE, Primitive, partials_of, reduced_shape
from chainrule.tape import numbers
from chainrule.transforms.derive import times


def pull_rows(p: Primitive, x: Any, out: Any, params: dict[str, Any], ct: Any) -> Any:
    """Cotangent of the large real array `x` that `p` reduced; None where the general way is needed."""
    axis = params["axis"]
    axis = (axis,) if isinstance(axis, int) else axis
    rows = as_rows(x, axis)
    if rows is None:
        return None
    formula = partials_of(p)["x"]
    if _is_one_step(formula):
        found = TABLE[formula.name].value(x, **resolve(formula.params, params))
        return np.multiply(found, np.reshape(ct, reduced_shape(x.shape, axis, True)), out=found)
    columns = {"ct": _column(ct), "out": out if isinstance(out, Type) else _column(out)}
    env = {**params, "axis": (1,), "count": rows.shape[1]}
    known: dict[tuple, np.ndarray] = {}
    _reduce_first(formula, rows, columns, env, known, isinstance(params["axis"], int))
    whole = np.empty_like(x)  # and no view of another array: backward would copy it
    result = whole.reshape(rows.shape)
    for i, j in cut(rows, LARGE):
        memo = {key: _part(v, i, j) for key, v in known.items()}
        values = {"x": rows[i, j], "out": _part(columns["out"], i, j)}
        result[i, j] = times(formula, _part(columns["ct"], i, j), values, env, numbers.emit, memo)
    return whole


def _is_one_step(f: Formula) -> TypeGuard[Apply]:
    """Whether the slope is one primitive of x that is not elementwise: softmax, the product of the others."""
    return (
        isinstance(f, Apply) and TABLE[f.name].kind == "array" and all(isinstance(a, Symbol) for a in f.args)
    )


def _column(v: Any) -> Any:
    return np.reshape(v, (-1, 1))


def _part(v: Any, i: slice, j: slice) -> Any:
    """The part of a column or of whole rows that goes with a block; a type is not read."""
    if isinstance(v, Type):
        return v
    return v[i] if v.shape[1] == 1 else v[i, j]


def _reduce_first(
    f: Formula, rows: Any, columns: Any, env: Any, known: dict[tuple, Any], one_axis: bool
) -> None:
    """Work out the steps of the formula that are not elementwise: columns, or whole rows."""
    if not isinstance(f, Apply) or f.key in known:
        return
    for g in f.args:
        _reduce_first(g, rows, columns, env, known, one_axis)
    p = TABLE[f.name]
    if p.kind == "elementwise" or f.name == "cast_like":
        return
    params = resolve(f.params, env)
    if "axis" in params and one_axis:
        params["axis"] = 1
    if f.name == "sum":
        known[f.key] = _sum_of(f.args[0], rows, columns, env, known)
        return
    values = {"x": rows, "out": columns["out"]}
    known[f.key] = p.value(*[fold(g, values, env, numbers.emit, dict(known)) for g in f.args], **params)


def _sum_of(f: Formula, rows: Any, columns: Any, env: Any, known: Any) -> Any:
    """Σ of an elementwise formula over each row; truth values are counted."""
    counted = isinstance(f, Apply) and f.name == "cast_like"
    f = f.args[0] if counted else f  # type: ignore[attr-defined]
    add = np.count_nonzero if counted else np.add.reduce
    total = np.zeros((len(rows), 1), rows.dtype)
    for i, j in cut(rows, LARGE):
        memo = {key: _part(v, i, j) for key, v in known.items()}
        values = {"x": rows[i, j], "out": _part(columns["out"], i, j)}
        total[i] += add(fold(f, values, env, numbers.emit, memo), axis=1, keepdims=True)
    return total
