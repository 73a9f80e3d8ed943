"""Tensors from data and shapes, under torch's names."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np

from chainrule import dispatch
from chainrule.dispatch import Handle
from chainrule.errors import ArgumentError, DataError, DtypeError, GradientNote, ShapeError, TraceError
from chainrule.ops.arguments import lengths
from chainrule.ops.device import check_device
from chainrule.source import Source, boundary
from chainrule.tape.cuts import note_cut, note_origin
from chainrule.tape.memory import note_shared
from chainrule.tape.modes import current
from chainrule.tape.node import leaf
from chainrule.tape.promote import as_dtype, complex_of, get_default_dtype, is_inexact
from chainrule.tape.traced import cut


def make_leaf(value: Any, requires_grad: bool = False) -> Any:
    """A Tensor that begins a history, at the user's line."""
    value = cut(dispatch.plain(value))
    dtype = np.dtype(np.float64) if value.__class__ is float else value.dtype
    if requires_grad and not is_inexact(dtype):
        raise integer_gradient(dtype)
    n = leaf(value, bool(requires_grad), *dispatch.source_code())
    if current().inference:
        n.depth = dispatch.INFERENCE
        value = np.float64(value) if value.__class__ is float else value  # not for the quick ways
    return dispatch.wrap(value, n)


def integer_gradient(dtype: np.dtype) -> DtypeError:
    """The error for a gradient of whole numbers."""
    return DtypeError(
        f"only floating point and complex tensors can require gradients: {dtype.name} has no small changes",
        given=str(dtype), fix="write the numbers with a point (1. instead of 1), or pass dtype=float64",
    )  # fmt: skip


def _contains(data: Any) -> list[Any]:
    """Tensors inside nested lists."""
    found, stack = [], [data]
    while stack:
        d = stack.pop()
        if isinstance(d, Handle):
            found.append(d)
        elif isinstance(d, list | tuple):
            stack.extend(d)
    return found


def _numbers(data: Any) -> Any:
    """Nested lists with their tensors replaced by numbers. Iterative over the outermost list only: depth ≤ 64."""
    if isinstance(data, Handle):
        return np.asarray(data.v)
    if isinstance(data, list | tuple):
        return [_numbers(d) for d in data]
    return data


def array_of(data: Any, dtype: Any = None) -> np.ndarray:
    """A new NumPy array of the data, with torch's choice of dtype."""
    if isinstance(data, str | bytes | dict | set) or data is None:
        raise DataError(
            f"a {type(data).__name__} is no array of numbers",
            fix="pass a number, nested lists or a NumPy array",
        )
    _check_depth(data)
    inner = _contains(data)
    if _is_masked_array(data):
        data = dispatch.numeric(data)
    try:
        array = np.array(_numbers(data) if inner else data)
    except TraceError:
        raise
    except (ValueError, TypeError, OverflowError) as err:
        raise _ragged(data, err) from None
    if array.dtype == object or array.dtype.kind not in "buifc":
        raise _ragged(data, None)
    if dtype is None:
        dtype = _choose(data, array, bool(inner))
    return array.astype(as_dtype(dtype), copy=False)


def _is_masked_array(data: Any) -> bool:
    """Whether this is one of numpy.ma, which is slow to load: while it is not loaded there are none."""
    return isinstance(data, np.ndarray) and "numpy.ma" in sys.modules and isinstance(data, np.ma.MaskedArray)


def _check_depth(data: Any) -> None:
    depth = 0
    while isinstance(data, list | tuple) and data:
        data, depth = data[0], depth + 1
        if depth > 64:
            raise DataError(
                "the data is nested more than 64 lists deep", fix="pass a NumPy array, or flatter lists"
            )


def _choose(data: Any, array: np.ndarray, tensors: bool) -> np.dtype:
    if isinstance(data, Handle | np.ndarray | np.generic):
        return as_dtype(array.dtype)
    if array.dtype.kind == "f" and (array.dtype == np.float64 or array.size == 0) and not tensors:
        return get_default_dtype()
    if array.dtype.kind == "c" and not tensors:
        return complex_of(get_default_dtype())
    return as_dtype(array.dtype)


def _length(d: Any) -> int | None:
    return len(d) if isinstance(d, list | tuple) or (hasattr(d, "shape") and d.shape) else None


def _ragged(data: Any, err: BaseException | None) -> DataError:
    if isinstance(data, list | tuple):
        sizes = [_length(d) for d in data]
        if len(set(sizes)) > 1:
            shown = ", ".join("a number" if n is None else f"length {n}" for n in sizes[:6])
            return DataError(
                "the rows differ in length, so this is no array",
                given=shown,
                fix="make all rows equally long",
            )
    text = repr(data)
    reason = (
        "the data is no rectangular array of numbers"
        if err is None
        else f"the data is no array of numbers: {err}"
    )
    return DataError(
        reason,
        given=text if len(text) < 60 else text[:57] + "…",
        fix="pass numbers, nested lists of equal length, or a NumPy array",
    )


@boundary
def tensor(data: Any, *, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Any:
    """A tensor with a copy of the data: a leaf.

    Parameters
    ----------
    data
        A number, nested lists, a NumPy array or a Tensor. Of Tensors only the numbers are copied: the graph is cut.
    dtype
        Unless given: of Python floats the default dtype (float64), of integers int64, of arrays their own.
    requires_grad
        Whether `backward` computes ``.grad`` for this tensor.

    Raises
    ------
    DataError (E105)
        The rows differ in length, or entries are no numbers.
    DtypeError (E102)
        Integers cannot require gradients.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.tensor([[1.0, 2.0], [3.0, 4.0]])
    tensor([[1., 2.],
            [3., 4.]])
    """
    check_device(device)
    value = array_of(data, dtype)
    made = make_leaf(value, requires_grad)
    if _cuts(data):
        note_origin(made.n, "tensor", Source(made.n.code, made.n.at))
        warnings.warn(_COPIED, GradientNote, stacklevel=3)
    return made


def _cuts(data: Any) -> bool:
    """Whether gradients end where these numbers are copied; then that is remembered, for `why`."""
    cut = [n for n in (dispatch.node_of(t) for t in _contains(data)) if n.pull is not None]
    for n in cut:
        note_cut(n, "tensor")
    return bool(cut)


_COPIED = (
    "tensor(…) copies the numbers of tensors that require a gradient; none flows back to them. "
    "Keep the graph with stack([a, b]), or say that a copy is meant with x.detach()."
)


@boundary
def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Any:
    """The data as a Tensor: itself if it is one, sharing memory with a NumPy array, a copy of anything else."""
    check_device(device)
    if isinstance(data, Handle):
        return data if dtype is None else data.to(dtype)
    if _is_masked_array(data):
        data = dispatch.numeric(data)
    if (
        isinstance(data, np.ndarray)
        and data.dtype.kind in "buifc"
        and data.dtype.isnative
        and (dtype is None or data.dtype == as_dtype(dtype))
    ):
        data = np.asarray(data)
        note_shared(data)
        return make_leaf(data)
    if _cuts(data):
        warnings.warn(_COPIED, GradientNote, stacklevel=3)
    return make_leaf(array_of(data, dtype))


asarray = as_tensor


@boundary
def from_numpy(ndarray: np.ndarray) -> Any:
    """A tensor that shares the memory of a NumPy array."""
    if not isinstance(ndarray, np.ndarray):
        raise DataError(
            f"from_numpy takes a NumPy array, not a {type(ndarray).__name__}", fix="use tensor(…)"
        )
    if as_dtype(ndarray.dtype) != ndarray.dtype:
        raise DataError(
            "the array has its bytes in another order than this machine",
            fix='use tensor(…), which copies, or a.astype(a.dtype.newbyteorder("="))',
        )
    ndarray = dispatch.numeric(ndarray)
    made = make_leaf(ndarray)
    made.v = ndarray
    note_shared(ndarray)
    return made


def shape_from(size: tuple[Any, ...]) -> tuple[int, ...]:
    shape = lengths(size)
    if any(n < 0 for n in shape):
        raise ShapeError("a length is negative", given=str(list(shape)), fix="use lengths >= 0")
    return shape


def number_of(v: Any, name: str) -> Any:
    """A bound of a range as a Python number."""
    v = v.item() if isinstance(v, Handle) or getattr(v, "shape", None) == () else v
    if not isinstance(v, int | float | np.number):
        raise ArgumentError(f"{name} is a {type(v).__name__}", given=repr(v)[:60], fix="pass a number")
    return v


def _filled(size: tuple[Any, ...], value: Any, dtype: Any, requires_grad: bool, device: Any = None) -> Any:
    check_device(device)
    shape = shape_from(size)
    return make_leaf(
        np.full(shape, value, get_default_dtype() if dtype is None else as_dtype(dtype)), requires_grad
    )


@boundary
def zeros(*size: Any, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Any:
    """Zeros of a shape given as numbers or as one sequence."""
    return _filled(size, 0, dtype, requires_grad, device)


@boundary
def ones(*size: Any, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Any:
    """Ones of a shape given as numbers or as one sequence."""
    return _filled(size, 1, dtype, requires_grad, device)


@boundary
def empty(*size: Any, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Any:
    """A tensor to be filled; its entries start as zeros here."""
    return _filled(size, 0, dtype, requires_grad, device)


@boundary
def full(
    size: Any, fill_value: Any, *, dtype: Any = None, requires_grad: bool = False, device: Any = None
) -> Any:
    """A tensor with one number everywhere; the dtype follows the number."""
    value = fill_value.item() if isinstance(fill_value, Handle) else fill_value
    return _filled((size,), value, array_of(value).dtype if dtype is None else dtype, requires_grad, device)


def _like(x: Any, value: Any, dtype: Any, requires_grad: bool, device: Any) -> Any:
    x = as_tensor(x)
    return _filled((x.shape,), value, x.dtype if dtype is None else dtype, requires_grad, device)


@boundary
def zeros_like(input: Any, *, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Any:
    """Zeros with the shape and dtype of `input`."""
    return _like(input, 0, dtype, requires_grad, device)


@boundary
def ones_like(input: Any, *, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Any:
    """Ones with the shape and dtype of `input`."""
    return _like(input, 1, dtype, requires_grad, device)


@boundary
def empty_like(input: Any, *, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Any:
    """A tensor to be filled, with the shape and dtype of `input`; its entries start as zeros here."""
    return _like(input, 0, dtype, requires_grad, device)


@boundary
def full_like(
    input: Any, fill_value: Any, *, dtype: Any = None, requires_grad: bool = False, device: Any = None
) -> Any:
    """One number everywhere, with the shape and dtype of `input`."""
    return _like(input, fill_value, dtype, requires_grad, device)


@boundary
def eye(
    n: int, m: int | None = None, *, dtype: Any = None, requires_grad: bool = False, device: Any = None
) -> Any:
    """Identity matrix, (n, n) or (n, m)."""
    check_device(device)
    n, m = shape_from((n, n if m is None else m))
    return make_leaf(
        np.eye(n, m, dtype=get_default_dtype() if dtype is None else as_dtype(dtype)), requires_grad
    )


@boundary
def arange(
    start: Any,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: Any = None,
    requires_grad: bool = False,
    device: Any = None,
) -> Any:
    """Numbers from `start` (0) up to, without, `end`; whole numbers give int64."""
    check_device(device)
    if end is None:
        start, end = 0, start
    start, end, step = number_of(start, "start"), number_of(end, "end"), number_of(step, "step")
    if step == 0:
        raise ArgumentError("the step is 0", fix="use a step that is not 0")
    whole = all(isinstance(n, int | np.integer) for n in (start, end, step))
    chosen = np.dtype(np.int64) if whole else get_default_dtype()
    return make_leaf(
        np.arange(start, end, step, dtype=chosen if dtype is None else as_dtype(dtype)), requires_grad
    )


@boundary
def linspace(
    start: Any, end: Any, steps: int, *, dtype: Any = None, requires_grad: bool = False, device: Any = None
) -> Any:
    """`steps` numbers from `start` to `end`, both included, at equal distances."""
    check_device(device)
    chosen = get_default_dtype() if dtype is None else as_dtype(dtype)
    (steps,) = shape_from((steps,))
    return make_leaf(
        np.linspace(float(number_of(start, "start")), float(number_of(end, "end")), steps).astype(chosen),
        requires_grad,
    )


@boundary
def logspace(
    start: Any,
    end: Any,
    steps: int,
    base: float = 10.0,
    *,
    dtype: Any = None,
    requires_grad: bool = False,
    device: Any = None,
) -> Any:
    """`steps` numbers from base**start to base**end, at equal ratios."""
    check_device(device)
    chosen = get_default_dtype() if dtype is None else as_dtype(dtype)
    (steps,) = shape_from((steps,))
    return make_leaf(
        np.logspace(float(number_of(start, "start")), float(number_of(end, "end")), steps, base=base).astype(
            chosen
        ),
        requires_grad,
    )


__all__ = [
    "arange",
    "as_tensor",
    "asarray",
    "empty",
    "empty_like",
    "eye",
    "from_numpy",
    "full",
    "full_like",
    "linspace",
    "logspace",
    "ones",
    "ones_like",
    "tensor",
    "zeros",
    "zeros_like",
]
