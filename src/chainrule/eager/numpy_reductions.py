"""Which operation of ours a NumPy reduction, scan or sort is, with NumPy's arguments and conventions."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.errors import UnsupportedError
from chainrule.ops import array, creation, norm, reduce, scan, sort, statistics
from chainrule.ops import elementwise as e
from chainrule.tape.promote import get_default_dtype, is_inexact

_NOT_GIVEN = (None, np._NoValue)


def unknown(name: str, fix: str | None = None) -> UnsupportedError:
    """The error for a NumPy function that has no counterpart."""
    return UnsupportedError(
        f"{name} has no counterpart for tensors",
        fix=fix or "use chainrule's own operations, or np.asarray(x) to go on without gradient",
    )


def _refuse_rest(name: str, out: Any, rest: dict[str, Any]) -> None:
    extra = [k for k, v in rest.items() if not any(v is n for n in _NOT_GIVEN)]
    if out is not None or extra:
        raise unknown(f"numpy.{name} with {', '.join(sorted(extra)) or 'out'}")


def _flag(keepdims: Any) -> bool:
    return False if keepdims is np._NoValue else bool(keepdims)


def _numbers(a: Any) -> Any:
    """A tensor; whole numbers in the default dtype, which NumPy averages them in."""
    a = creation.as_tensor(a)
    return a if is_inexact(a.dtype) else e.cast(a, get_default_dtype())


def _reduction(op: Callable[..., Any], prepare: Callable[[Any], Any] = lambda a: a) -> Callable[..., Any]:
    def call(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, **rest: Any
    ) -> Any:
        _refuse_rest(op.__name__, out, rest)
        options = {} if dtype is None else {"dtype": dtype}
        return op(prepare(a), axis, _flag(keepdims), **options)

    return call


def _extreme(op: Callable[..., Any], skip: float | None = None) -> Callable[..., Any]:
    """max, min, and their kin that leave NaN out: it then counts as `skip`, unless nothing else is there."""

    def call(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, **rest: Any) -> Any:
        _refuse_rest(op.__name__, out, rest)
        a, keep = creation.as_tensor(a), _flag(keepdims)
        if skip is None:
            return op(a, axis, keep)
        nan = e.isnan(a)
        found = op(e.where(nan, skip, a), axis, keep)
        return e.where(reduce.all(nan, axis, keep), np.nan, found)

    return call


def _spread(op: Callable[..., Any]) -> Callable[..., Any]:
    def call(
        a: Any,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        ddof: float = 0,
        keepdims: Any = False,
        correction: Any = None,
        **rest: Any,
    ) -> Any:
        _refuse_rest(op.__name__, out, rest)
        a = _numbers(a) if dtype is None else e.cast(creation.as_tensor(a), dtype)
        ddof = ddof if any(correction is n for n in _NOT_GIVEN) else correction
        return op(a, axis, keepdim=_flag(keepdims), correction=ddof)

    return call


def _place(op: Callable[..., Any]) -> Callable[..., Any]:
    def call(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Any:
        return op(a, axis, _flag(keepdims))

    return call


def _scan(op: Callable[..., Any]) -> Callable[..., Any]:
    def call(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        x = creation.as_tensor(a)
        return op(x.reshape(-1), 0, dtype=dtype) if axis is None else op(x, axis, dtype=dtype)

    return call


def _quantile(op: Callable[..., Any], scale: float = 1.0) -> Callable[..., Any]:
    """quantile and percentile; NumPy's other methods, and several axes at once, are not there."""

    def call(
        a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, method: str = "linear",
        keepdims: Any = False, **rest: Any,
    ) -> Any:  # fmt: skip
        _refuse_rest(op.__name__, out, rest)
        if isinstance(axis, tuple):
            raise unknown(f"numpy.{op.__name__} over several axes")
        q = creation.as_tensor(q, dtype=np.float64)
        return op(_numbers(a), q if scale == 1 else q / scale, axis, _flag(keepdims), interpolation=method)

    return call


def _median(op: Callable[..., Any]) -> Callable[..., Any]:
    """NumPy's median: the mean of two middle entries (torch's and ours is the lower one)."""

    def call(
        a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = False
    ) -> Any:
        return _quantile(op)(a, 0.5, axis, out, method="midpoint", keepdims=keepdims)

    return call


def _sorted(a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    a = creation.as_tensor(a)
    return sort.sort(array.ravel(a), 0).values if axis is None else sort.sort(a, axis).values


def _argsorted(
    a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: Any = None
) -> Any:
    a = creation.as_tensor(a)
    return sort.argsort(array.ravel(a), 0) if axis is None else sort.argsort(a, axis)


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    x = _numbers(x)
    matrix = x.dim() == 2 if axis is None else isinstance(axis, tuple) and len(axis) == 2
    if ord not in (None, "fro") and matrix:
        raise UnsupportedError(
            f"numpy.linalg.norm of a matrix with ord={ord!r} has no counterpart for tensors",
            fix='leave ord out for the root of the sum of squares (ord="fro"), or name one axis',
        )  # fmt: skip
    return norm.norm(x, 2 if ord is None else ord, axis, keepdims)


def _slopes(f: Any, *spacing: Any, axis: Any = None, edge_order: int = 1) -> Any:
    f = _numbers(f)
    distances: Any = 1 if not spacing else spacing[0] if len(spacing) == 1 else list(spacing)
    if len(spacing) == 1 and getattr(spacing[0], "ndim", 0):
        distances = list(spacing)
    found = scan.gradient(f, spacing=distances, dim=axis, edge_order=edge_order)
    return found[0] if len(found) == 1 else list(found)


def _unique(
    ar: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False,
    axis: int | None = None, **rest: Any,
) -> Any:  # fmt: skip
    if return_index or not rest.get("equal_nan", True):
        raise unknown("numpy.unique with return_index or equal_nan=False")
    return sort.unique(ar, True, return_inverse, return_counts, axis)


def _search(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    return sort.searchsorted(a, v, side=side, sorter=sorter)


def _trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    return scan.trapezoid(y, dx=dx, dim=axis) if x is None else scan.trapezoid(y, x, dim=axis)


def _average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, **rest: Any) -> Any:
    if returned or rest.get("keepdims"):
        raise unknown("numpy.average with returned or keepdims")
    a = _numbers(a)
    if weights is None:
        return reduce.mean(a, axis)
    w = creation.as_tensor(weights)
    if w.shape != a.shape:
        w = w.reshape(
            [-1 if k == (axis + a.dim() if axis < 0 else axis) else 1 for k in builtins.range(a.dim())]
        )
    w = array.broadcast_to(w, a.shape)
    return e.true_divide(reduce.sum(e.times(a, w), axis), reduce.sum(w, axis))


REDUCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    np.sum: _reduction(reduce.sum), np.mean: _reduction(reduce.mean, _numbers), np.prod: _reduction(reduce.prod),
    np.nansum: _reduction(reduce.nansum), np.nanmean: _reduction(reduce.nanmean, _numbers),
    np.any: _reduction(reduce.any), np.all: _reduction(reduce.all), np.average: _average,
    np.max: _extreme(reduce.amax), np.amax: _extreme(reduce.amax), np.min: _extreme(reduce.amin),
    np.amin: _extreme(reduce.amin), np.nanmax: _extreme(reduce.amax, -np.inf), np.nanmin: _extreme(reduce.amin, np.inf),
    np.ptp: lambda a, axis=None: e.minus(reduce.amax(a, axis), reduce.amin(a, axis)),
    np.std: _spread(statistics.std), np.var: _spread(statistics.var), np.argmax: _place(reduce.argmax),
    np.argmin: _place(reduce.argmin), np.median: _median(statistics.quantile),
    np.nanmedian: _median(statistics.nanquantile), np.quantile: _quantile(statistics.quantile),
    np.nanquantile: _quantile(statistics.nanquantile), np.percentile: _quantile(statistics.quantile, 100.0),
    np.nanpercentile: _quantile(statistics.nanquantile, 100.0), np.cumsum: _scan(scan.cumsum),
    np.cumprod: _scan(scan.cumprod), np.linalg.norm: _norm, np.trapezoid: _trapezoid, np.gradient: _slopes,
    np.diff: lambda a, n=1, axis=-1, prepend=None, append=None: scan.diff(a, n, axis, prepend, append),
    np.sort: _sorted, np.argsort: _argsorted, np.unique: _unique, np.searchsorted: _search,
    np.isin: lambda element, test_elements, **k: sort.isin(element, test_elements, invert=bool(k.get("invert"))),
    np.digitize: lambda x, bins, right=False: sort.bucketize(x, bins, right=not right),
    np.count_nonzero: lambda a, axis=None, **_: reduce.count_nonzero(a, axis),
}  # fmt: skip

# ufunc.reduce and ufunc.accumulate
REDUCED = {np.add: reduce.sum, np.multiply: reduce.prod, np.maximum: reduce.amax, np.minimum: reduce.amin}
ACCUMULATED = {
    np.add: scan.cumsum,
    np.multiply: scan.cumprod,
    np.logaddexp: scan.logcumsumexp,
    np.maximum: lambda x, axis: scan.cummax(x, axis).values,
    np.minimum: lambda x, axis: scan.cummin(x, axis).values,
}
