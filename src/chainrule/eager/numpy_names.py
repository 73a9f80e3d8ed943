"""Which operation of ours a NumPy function is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.dispatch import Handle
from chainrule.eager.numpy_reductions import ACCUMULATED, REDUCED, REDUCTIONS, unknown
from chainrule.errors import ArgumentError, UnsupportedError
from chainrule.ops import (
    array,
    contract,
    creation,
    diagonals,
    index,
    join,
    reduce,
    repeat,
    select,
    special,
    split,
)
from chainrule.ops import elementwise as e

UFUNCS: dict[np.ufunc, Callable[..., Any]] = {
    np.add: e.plus, np.subtract: e.minus, np.multiply: e.times, np.true_divide: e.true_divide, np.power: e.power,
    np.float_power: e.power, np.floor_divide: e.floor_divide, np.remainder: e.remainder, np.negative: e.neg,
    np.positive: e.positive, np.absolute: e.abs, np.fabs: e.abs, np.sign: e.sign, np.floor: e.floor, np.ceil: e.ceil,
    np.trunc: e.trunc, np.rint: e.round_, np.exp: e.exp, np.exp2: e.exp2, np.expm1: e.expm1, np.log: e.log,
    np.log2: e.log2, np.log10: e.log10, np.log1p: e.log1p, np.sqrt: e.sqrt, np.square: e.square,
    np.reciprocal: e.reciprocal, np.sin: e.sin, np.cos: e.cos, np.tan: e.tan, np.arcsin: e.asin, np.arccos: e.acos,
    np.arctan: e.atan, np.arctan2: e.atan2, np.hypot: e.hypot, np.sinh: e.sinh, np.cosh: e.cosh, np.tanh: e.tanh,
    np.arcsinh: e.asinh, np.arccosh: e.acosh, np.arctanh: e.atanh, np.logaddexp: e.logaddexp, np.maximum: e.maximum,
    np.minimum: e.minimum, np.equal: e.eq, np.not_equal: e.ne, np.less: e.lt, np.less_equal: e.le, np.greater: e.gt,
    np.greater_equal: e.ge, np.logical_and: e.logical_and, np.logical_or: e.logical_or, np.logical_xor: e.logical_xor,
    np.logical_not: e.logical_not, np.bitwise_and: e.bitwise_and, np.bitwise_or: e.bitwise_or, np.bitwise_xor: e.bitwise_xor, np.invert: e.bitwise_not,
    np.fmod: e.fmod, np.copysign: e.copysign, np.ldexp: e.ldexp, np.logaddexp2: e.logaddexp2, np.deg2rad: e.deg2rad,
    np.radians: e.deg2rad, np.rad2deg: e.rad2deg, np.degrees: e.rad2deg, np.fmax: select.fmax, np.fmin: select.fmin,
    np.heaviside: select.heaviside, np.signbit: select.signbit,
    np.isnan: e.isnan, np.isinf: e.isinf, np.isfinite: e.isfinite, np.matmul: contract.matmul,
}  # fmt: skip


def call_ufunc(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`ufunc(*inputs)` on tensors."""
    kwargs = {k: v for k, v in kwargs.items() if v is not None and k not in ("casting", "order", "subok")}
    target = kwargs.pop("out", None)
    if target is not None:
        return _into(target[0], ufunc, method, inputs, kwargs)
    if method == "__call__" and ufunc in UFUNCS and not kwargs:
        return UFUNCS[ufunc](*inputs)
    if method == "reduce" and ufunc in REDUCED:
        axis = kwargs.get("axis", 0)
        return REDUCED[ufunc](inputs[0], axis, bool(kwargs.get("keepdims", False)))
    if method == "accumulate" and ufunc in ACCUMULATED:
        return ACCUMULATED[ufunc](inputs[0], kwargs.get("axis", 0))
    if method == "outer" and ufunc is np.multiply:
        return contract.outer(*inputs)
    raise _unknown_ufunc(ufunc, method)


def _unknown_ufunc(ufunc: np.ufunc, method: str) -> UnsupportedError:
    name, call = ufunc.__name__, "" if method == "__call__" else f".{method}"
    if getattr(np, name, None) is ufunc:
        return unknown(f"numpy.{name}{call}")
    ours = hasattr(special, name) or hasattr(e, name)  # SciPy's have the same names
    fix = f"use chainrule.special.{name}" if ours and not call else None
    return unknown(f"the ufunc {name}{call}", fix)


def _into(target: Any, ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`array += tensor`: a Tensor takes the result, an array takes its values where nothing is lost."""
    result = call_ufunc(ufunc, method, inputs, kwargs)
    if isinstance(target, Handle):
        from chainrule.eager.inplace import replace

        return replace(target, result, ufunc.__name__)
    if result.requires_grad:
        raise UnsupportedError(
            f"a NumPy array cannot hold the result of numpy.{ufunc.__name__}: its gradient would be lost",
            fix="write a = a + t, which makes a Tensor, or add t.detach()",
        )  # fmt: skip
    np.copyto(target, result.v, casting="same_kind")
    return target


# --- functions ---------------------------------------------------------------------------------------


def _numbers(func: Callable[..., Any]) -> Callable[..., Any]:
    """The function on the values: shapes, printing, comparisons, nothing with a gradient."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return func(*map(_plain, args), **{k: _plain(v) for k, v in kwargs.items()})

    return call


def _plain(v: Any) -> Any:
    if isinstance(v, Handle):
        return np.asarray(v)
    return type(v)(map(_plain, v)) if isinstance(v, list | tuple) else v


def _clip(
    a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, *, min: Any = None, max: Any = None
) -> Any:
    return e.clamp(a, a_min if min is None else min, a_max if max is None else max)


def _reorder(a: Any, axes: Any = None) -> Any:
    a = creation.as_tensor(a)
    return array.permute(a, *(reversed(range(a.dim())) if axes is None else axes))


def _split(a: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    a = creation.as_tensor(a)
    n = a.shape[axis]
    if isinstance(indices_or_sections, int) and (indices_or_sections < 1 or n % indices_or_sections):
        raise ArgumentError(
            f"{n} entries do not split into {indices_or_sections} equal parts",
            fix="choose a divisor, or use chunk(…)",
        )
    return list(split.tensor_split(a, indices_or_sections, axis))


def _roll(a: Any, shift: Any, axis: Any = None) -> Any:
    if axis is not None and np.ndim(shift) != np.ndim(axis):  # one number for all of the others
        shift, axis = (np.broadcast_to(v, max(np.size(shift), np.size(axis))).tolist() for v in (shift, axis))
    return repeat.roll(a, shift, axis)


def _pad(array: Any, pad_width: Any, mode: str = "constant", *, constant_values: Any = 0) -> Any:
    modes = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}
    if mode not in modes or np.ndim(constant_values):
        raise UnsupportedError(
            f"numpy.pad with mode={mode!r}, constant_values={constant_values!r} has no counterpart for tensors",
            fix=f"use one of {', '.join(map(repr, modes))}, and one number as constant",
        )
    x = creation.as_tensor(array)
    width = np.broadcast_to(pad_width, (x.dim(), 2)).tolist()
    flat = [w for pair in reversed(width) for w in pair]
    return repeat.pad(x, flat, modes[mode], constant_values if mode == "constant" else None)


def _take(a: Any, indices: Any, axis: int | None = None, out: Any = None, mode: str = "raise") -> Any:
    x, places = creation.as_tensor(a), np.asarray(indices)
    if mode != "raise":
        raise unknown(f"numpy.take with mode={mode!r}")
    x, axis = (x.reshape(-1), 0) if axis is None else (x, axis % max(x.dim(), 1))
    return index.getitem(x, (*(slice(None),) * axis, places))


def _diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    return diagonals.diagonal(a, offset, axis1, axis2)


def _trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    return reduce.sum(_diagonal(a, offset, axis1, axis2), -1)


def _rot90(m: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    return repeat.rot90(m, k, axes)


def _same(a: Any, *_: Any, **__: Any) -> Any:
    return a.clone()


def _inner(a: Any, b: Any) -> Any:
    a, b = creation.as_tensor(a), creation.as_tensor(b)
    if a.dim() == 0 or b.dim() == 0:
        return e.times(a, b)
    return contract.tensordot(a, b, ((a.dim() - 1,), (b.dim() - 1,)))


def _dot(a: Any, b: Any) -> Any:
    a, b = creation.as_tensor(a), creation.as_tensor(b)
    if a.dim() == 0 or b.dim() == 0:
        return e.times(a, b)
    return contract.tensordot(a, b, ((a.dim() - 1,), (max(b.dim() - 2, 0),)))


def _broadcast_arrays(*xs: Any, **kwargs: Any) -> Any:
    if all(isinstance(x, Handle) or np.asarray(x).dtype != object for x in xs):
        return join.broadcast_tensors(*xs)
    return _numbers(np.broadcast_arrays)(*xs, **kwargs)  # matplotlib's bar: with None among them


def _outer(a: Any, b: Any) -> Any:
    return contract.outer(array.ravel(a), array.ravel(b))


FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    **REDUCTIONS, np.clip: _clip,
    np.nan_to_num: lambda x, copy=True, nan=0.0, posinf=None, neginf=None: select.nan_to_num(x, nan, posinf, neginf),
    np.sinc: special.sinc, np.i0: special.i0, np.isposinf: select.isposinf, np.isneginf: select.isneginf,
    np.where: e.where, np.reshape: lambda a, shape, **_: array.reshape(a, shape), np.ravel: lambda a, **_: array.ravel(a),
    np.transpose: _reorder, np.swapaxes: array.swapaxes, np.moveaxis: array.movedim, np.squeeze: array.squeeze,
    np.expand_dims: lambda a, axis: array.unsqueeze(a, axis), np.broadcast_to: lambda a, shape, **_: array.broadcast_to(a, shape),
    np.concatenate: lambda xs, axis=0, **_: join.cat(xs, axis), np.stack: lambda xs, axis=0, **_: join.stack(xs, axis),
    np.hstack: lambda xs, **_: join.hstack(xs), np.vstack: lambda xs, **_: join.vstack(xs), np.tile: lambda a, reps: repeat.tile(a, reps),
    np.flip: lambda a, axis=None: repeat.flip(a, range(np.ndim(a)) if axis is None else axis), np.atleast_1d: array.atleast_1d,
    np.atleast_2d: array.atleast_2d, np.tril: lambda a, k=0: diagonals.tril(a, k), np.triu: lambda a, k=0: diagonals.triu(a, k),
    np.round: lambda a, decimals=0, **_: e.round_(a, decimals=decimals), np.split: _split, np.roll: _roll,
    np.repeat: lambda a, repeats, axis=None: repeat.repeat_interleave(a, repeats, axis), np.copy: _same, np.trace: _trace,
    np.diagonal: _diagonal, np.diag: lambda v, k=0: diagonals.diag(v, k), np.diagflat: lambda v, k=0: diagonals.diagflat(v, k),
    np.pad: _pad, np.kron: lambda a, b: join.kron(a, b), np.take: _take, np.rot90: _rot90, np.fliplr: repeat.fliplr,
    np.flipud: repeat.flipud, np.atleast_3d: array.atleast_3d, np.dstack: lambda tup, **_: join.dstack(tup),
    np.column_stack: lambda tup: join.column_stack(tup), np.array_split: lambda a, n, axis=0: list(split.tensor_split(a, n, axis)),
    np.hsplit: lambda a, n: list(split.hsplit(a, n)), np.vsplit: lambda a, n: list(split.vsplit(a, n)), np.dsplit: lambda a, n: list(split.dsplit(a, n)),
    np.broadcast_arrays: _broadcast_arrays,
    np.meshgrid: lambda *xs, indexing="xy", **_: list(join.meshgrid(*xs, indexing=indexing)),
    np.extract: lambda condition, a: index.masked_select(a, creation.as_tensor(condition)),
    np.dot: _dot, np.inner: _inner, np.outer: _outer, np.tensordot: lambda a, b, axes=2: contract.tensordot(a, b, axes),
    np.einsum: lambda eq, *xs, **_: contract.einsum(eq, *xs), np.take_along_axis: lambda a, i, axis: index.take_along_dim(a, i, axis),
    np.zeros_like: lambda a, dtype=None, **_: creation.zeros_like(a, dtype=dtype),
    np.ones_like: lambda a, dtype=None, **_: creation.ones_like(a, dtype=dtype),
    np.full_like: lambda a, v, dtype=None, **_: creation.full_like(a, v, dtype=dtype),
}  # fmt: skip

_ON_VALUES = [
    "shape",
    "ndim",
    "size",
    "allclose",
    "isclose",
    "array_equal",
    "array_equiv",
    "array_repr",
    "array_str",
    "result_type",
    "can_cast",
    "iscomplexobj",
    "isrealobj",
    "may_share_memory",
    "shares_memory",
    "copyto",
    "save",
    "savez",
    "savetxt",
    "nonzero",
    "flatnonzero",
    "histogram",
    "bincount",
    "common_type",
    "min_scalar_type",
    "interp",
    "polyfit",
    "union1d",
    "round",
    "real",
    "imag",
    "append",
    "insert",
    "delete",
    "array2string",
    "histogram2d",
    "linspace",
]


def call_function(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`func(*args, **kwargs)` on tensors."""
    if func in FUNCTIONS:
        return FUNCTIONS[func](*args, **kwargs)
    tracked = any(t.requires_grad for t in _tensors((args, tuple(kwargs.values()))))
    if func.__name__ in _ON_VALUES and (not tracked or func.__name__ in _WITHOUT_GRADIENT):
        return _numbers(func)(*args, **kwargs)
    raise unknown(f"{func.__module__}.{func.__name__}")


_WITHOUT_GRADIENT = frozenset(
    [
        "shape",
        "ndim",
        "size",
        "allclose",
        "isclose",
        "array_equal",
        "array_equiv",
        "array_repr",
        "array_str",
        "result_type",
        "can_cast",
        "iscomplexobj",
        "isrealobj",
        "may_share_memory",
        "shares_memory",
        "save",
        "savez",
        "savetxt",
        "nonzero",
        "flatnonzero",
        "histogram",
        "bincount",
        "array2string",
        "histogram2d",
    ]
)


def _tensors(v: Any) -> list[Any]:
    if isinstance(v, Handle):
        return [v]
    return [t for w in v for t in _tensors(w)] if isinstance(v, list | tuple) else []
