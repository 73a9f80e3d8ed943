"""Reductions, scans and softmax of large arrays by compiled loops (codegen/rows, codegen/scans), and their pullbacks.

None is the answer wherever NumPy's way is to be taken: without llvmlite, for other dtypes and layouts, and where a
result leaves the range in which the order of the steps does not matter.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.codegen import rows, scans
from chainrule.codegen.address import address
from chainrule.codegen.row_program import Layout, Number, Pass, Program
from chainrule.codegen.scalar import LOWER
from chainrule.table.formula import Apply, Formula, Param, Symbol, apply, reads
from chainrule.table.primitive import Primitive, partials_of
from chainrule.table.select import where
from chainrule.transforms.derive import times

_REAL = (np.dtype(np.float64), np.dtype(np.float32))
_TINY = {dtype: float(np.finfo(dtype).tiny) for dtype in _REAL}


# --- what is done with each row ------------------------------------------------------------------


def _symbols(names: str) -> list[Symbol]:
    return [Symbol(n) for n in names.split()]


x, ct, out, written, count = _symbols("x ct out written count")
top, shift, total, scale, mean = _symbols("top shift total scale mean")

_SUM = Pass("total", "add", x)
_MEAN = (_SUM, Number("mean", total / count))
_SHIFT = (Pass("top", "maximum", x), Number("shift", where(apply("isfinite", top), top, 0.0)))
_EXP = apply("exp", x - shift)
_WEIGHTS = (*_SHIFT, Pass("total", "add", _EXP, writes=_EXP))  # e^(x - top), and their sum
_LOG = Number("log", apply("log", total))

VALUES = {
    "sum": Program((_SUM,), "total"),
    "mean": Program(_MEAN, "mean"),
    "prod": Program((Pass("total", "mul", x),), "total"),
    "amax": Program((Pass("top", "maximum", x),), "top"),
    "amin": Program((Pass("top", "minimum", x),), "top"),
    "logsumexp": Program((*_SHIFT, Pass("total", "add", _EXP), _LOG, Number("sum", Symbol("log") + shift)), "sum"),
    "softmax": Program((*_WEIGHTS, Number("scale", 1.0 / total), Pass(writes=written * scale)), "written"),
    "log_softmax": Program(
        (*_SHIFT, Pass("total", "add", _EXP), _LOG, Pass(writes=x - shift - Symbol("log"))), "written"
    ),
    "var": (_SQUARES := Program((*_MEAN, Pass("squares", "add", (x - mean) * (x - mean))), "squares")),
    "std": _SQUARES,
}  # fmt: skip

PULLS = {
    "softmax": Program(
        (Pass("total", "add", out * ct), Pass(writes=out * (ct - total))), "written", ("out", "ct")
    ),
    "log_softmax": Program(
        (*_WEIGHTS, Pass("sum", "add", ct), Number("scale", Symbol("sum") / total), Pass(writes=ct - written * scale)),
        "written", ("x", "ct"),
    ),
    "logsumexp": Program(
        (*_WEIGHTS, Number("scale", ct / total), Pass(writes=written * scale)), "written", ("x",), ("ct",)
    ),
    "prod": Program((Pass(writes=out / x * ct),), "written", ("x",), ("ct", "out")),
}  # fmt: skip
SCANS = {
    "cumsum": scans.SUM,
    "cumprod": scans.PRODUCT,
    "linear_recurrence": scans.RECURRENCE,
    "argcummax": scans.LARGEST,
    "argcummin": scans.SMALLEST,
}


# --- how rows lie in memory ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lines:
    """An array as (outer, n, inner) in the order of its memory."""

    outer: int
    n: int
    inner: int
    order: tuple[int, ...] | None  # its axes in that order; None: as they are
    shape: tuple[int, ...]  # in that order
    each: tuple[int, ...]  # the shape with 1 along the rows

    def laid(self, a: np.ndarray) -> np.ndarray:
        """An array of the same axes in the same order of memory."""
        return np.ascontiguousarray(a if self.order is None else a.transpose(self.order))

    def back(self, a: np.ndarray) -> np.ndarray:
        """An array in the order of memory with the axes of the original."""
        return a if self.order is None else a.transpose(np.argsort(self.order))


def lines(a: Any, axis: int | tuple[int, ...]) -> Lines | None:
    """How an array is gone through along axes; None if these do not lie together in memory without gaps."""
    if a.__class__ is not np.ndarray or a.dtype not in _REAL or not a.size:
        return None
    order = None
    if not a.flags.c_contiguous:
        order = tuple(sorted(range(a.ndim), key=lambda k: -a.strides[k]))
        if not a.transpose(order).flags.c_contiguous:
            return None
    return _lines(a.shape, (axis,) if isinstance(axis, int) else axis, order)


@functools.lru_cache(maxsize=256)
def _lines(shape: tuple[int, ...], axes: tuple[int, ...], order: tuple[int, ...] | None) -> Lines | None:
    laid = shape if order is None else tuple(shape[k] for k in order)
    along = [k in axes for k in (range(len(shape)) if order is None else order)]
    places = [k for k, n in enumerate(laid) if along[k] and n > 1]
    if not places:
        return None
    first, last = places[0], places[-1] + 1
    if any(not along[k] and laid[k] > 1 for k in range(first, last)):
        return None
    outer, n, inner = (math.prod(part) for part in (laid[:first], laid[first:last], laid[last:]))
    return Lines(outer, n, inner, order, laid, tuple(1 if a else n for a, n in zip(along, laid, strict=True)))


def _run(program: Program, at: Lines, dtype: np.dtype, inputs: dict[str, np.ndarray]) -> np.ndarray | None:
    """The result of a program for arrays and columns that lie in order."""
    compiled = rows.kernel(program, Layout.of(dtype, at.n, at.inner, program.width))
    if compiled is None:
        return None
    result = np.empty(at.shape if program.result == "written" else at.each, dtype)
    given = [address(inputs[name]) for name in (*program.arrays, *program.columns)]
    compiled.call(at.outer, at.n, at.inner, address(result), *given)
    return at.back(result)


# --- values --------------------------------------------------------------------------------------


def value(name: str, values: Sequence[Any], params: dict[str, Any]) -> Any:
    """The value of a primitive of kernels.ALONG_AXES."""
    if name in SCANS:
        return _scan(SCANS[name], values, **params)
    (a,) = values
    at = lines(a, params["axis"])
    if at is None:
        return None
    result = _run(VALUES[name], at, a.dtype, {"x": a})
    if result is None:
        return None
    if name in ("var", "std"):
        result /= a.dtype.type(max(at.n - params["correction"], 0))
        result = np.sqrt(result, out=result) if name == "std" else result
    if name == "prod" and not _is_normal(result):
        return None
    if params.get("keepdims", True):
        return result
    return result.squeeze(params["axis"])[()]


def _is_normal(a: np.ndarray) -> bool:
    """Finite and with all digits: a product whose parts leave this range depends on the order of its factors."""
    if a.size == 1:  # as Python's numbers: of a call on a large vector NumPy's would be a tenth
        return bool(_TINY[a.dtype] <= abs(a.item()) < math.inf)
    size = np.abs(a)
    return bool(((size >= _TINY[a.dtype]) & (size < math.inf)).all())


def _scan(scan: scans.Scan, values: Sequence[Any], *, axis: int, reverse: bool = False) -> Any:
    at = lines(values[-1], axis)
    if at is None:
        return None
    given = [at.laid(v) for v in values]
    layout = Layout.of(given[-1].dtype, at.n, at.inner)
    if any(v.dtype != layout.dtype or v.shape != at.shape for v in given):
        return None
    if scan.places and not scans.can_place(layout, at.n):
        return None
    compiled = scans.kernel(scan, layout, reverse)
    if compiled is None:
        return None
    result = np.empty(at.shape, np.int64 if scan.places else layout.dtype)
    bad = np.zeros(16, layout.dtype)
    addresses = [address(v) for v in (result, *given, *([bad] if compiled.fast else []))]
    compiled.call(at.outer, at.n, at.inner, *addresses)
    return None if np.isnan(bad).any() else at.back(result)


# --- pullbacks -----------------------------------------------------------------------------------


def pull(p: Primitive, a: Any, result: Any, params: dict[str, Any], cotangent: Any) -> Any:
    """The cotangent of the input; `a` or `result` is only a type where the rule does not read it."""
    if p.name in ("softmax", "log_softmax"):
        return _pull_whole(p.name, result if p.name == "softmax" else a, params, cotangent)
    at = lines(a, params["axis"])
    program = PULLS.get(p.name) or _of_formula(p)
    if at is None or program is None:
        return None
    if p.name == "prod":
        result = value("prod", [a], params)
    if result is None:
        return None
    env = {**params, "count": at.n, "ct": cotangent, "out": result}
    columns = {name: _column(env[name] if name in env else _PARAMETERS[name].evaluate(env), at, a, params)
               for name in program.columns}  # fmt: skip
    return _run(program, at, a.dtype, {"x": at.laid(a), **columns})


def _pull_whole(name: str, a: Any, params: dict[str, Any], cotangent: Any) -> Any:
    """The pullback of softmax and its logarithm, whose cotangent is an array of all entries."""
    at = lines(a, params["axis"])
    if at is None or np.shape(cotangent) != a.shape or cotangent.dtype != a.dtype:
        return None
    (kept, _) = PULLS[name].arrays
    return _run(PULLS[name], at, a.dtype, {kept: at.laid(a), "ct": at.laid(cotangent)})


def _column(v: Any, at: Lines, a: np.ndarray, params: dict[str, Any]) -> np.ndarray:
    """One number for each row, in the order of memory: from one number, or what a reduction of `a` gave."""
    axis = params["axis"]
    each = tuple(
        1 if k == axis or (axis.__class__ is tuple and k in axis) else n for k, n in enumerate(a.shape)
    )
    v = np.asarray(v, a.dtype)
    return at.laid(v.reshape(each) if v.ndim else np.broadcast_to(v, each))


_PARAMETERS: dict[
    str, Param
] = {}  # numbers of a rule that are made of parameters, by the names of their columns


@functools.cache
def _of_formula(p: Primitive) -> Program | None:
    """The pullback of a reduction whose slope is a formula of entries, the result, and sums or means over the row."""
    steps: list[Pass | Number] = []
    slope = _unfolded(partials_of(p)["x"], steps)
    if slope is None:
        return None
    found = {name: Symbol(name) for name in reads([slope])}
    steps.append(Pass(writes=times(slope, ct, found, {}, apply, {})))
    made = {"x", *Program(tuple(steps), "written").numbers}
    read = reads(f for s in steps for f in (s.of, getattr(s, "writes", None)) if f is not None)
    return Program(tuple(steps), "written", ("x",), tuple(sorted(read - made)))


def _unfolded(f: Formula, steps: list[Pass | Number]) -> Formula | None:
    """The formula with the names of numbers in the place of sums and means, which become `steps`."""
    if isinstance(f, Param):
        name = next((n for n, g in _PARAMETERS.items() if g.key == f.key), f"parameter{len(_PARAMETERS)}")
        _PARAMETERS[name] = f
        return Symbol(name)
    if not isinstance(f, Apply):
        return f
    if f.name == "cast_like":
        condition = _unfolded(f.args[0], steps)
        return None if condition is None else where(condition, 1.0, 0.0)
    args = [_unfolded(g, steps) for g in f.args]
    if f.name in ("sum", "mean") and args[0] is not None:
        name = f"{f.name} {len(steps)}"
        steps += [Pass(name, "add", args[0])]
        if f.name == "mean":
            steps += [Number(f"{name} / count", Symbol(name) / count)]
        return Symbol(steps[-1].fold if isinstance(steps[-1], Pass) else steps[-1].name)
    if f.params or f.name not in LOWER or any(a is None for a in args):
        return None
    return Apply(f.name, tuple(args), {})
