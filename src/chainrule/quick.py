"""The quick ways: what `bind` does, with nothing in between, where operands are plain floats or float64 arrays.

Closures made from the table. Each hands over to `dispatch.bind` whatever is not its case, so that `bind` stays the
definition; they are written out at length because each call saved is 50 ns of an operation's 0.8 µs.
"""

from __future__ import annotations

from collections.abc import Callable
from sys import _getframe
from types import FrameType
from typing import Any

import numpy as np

from chainrule.dispatch import (
    INFERENCE,
    Handle,
    bind,
    check_inference,
    history,
    made_under_inference,
    new,
    next_serial,
    node_of,
    plain,
    plan_for,
    set_depth,
    small_or_type,
    wrap,
)
from chainrule.source import trim, user_frame
from chainrule.table.primitive import TABLE, Primitive
from chainrule.tape import kernels
from chainrule.tape.modes import PLAIN, Mode, mode
from chainrule.tape.node import Node
from chainrule.tape.numbers import quiet
from chainrule.tape.promote import FLOAT64
from chainrule.tape.pull import scalar_function, scalar_pull

_ndarray = np.ndarray
_NO_PARAMS: dict[str, Any] = {}
Tensor: Any = Handle  # eager.tensor puts its class here when it is imported


def _careful(p: Primitive, *values: float) -> float:
    """The value where Python raises and IEEE arithmetic has inf or NaN."""
    with np.errstate(all="ignore"):
        return float(p.value(*map(np.float64, values)))


def _float_of(x: int) -> float | None:
    """A whole number as a float; None where it is too large: `bind` says so."""
    try:
        return float(x)
    except OverflowError:
        return None


def _finish_untracked(n: Node, a: Node | None, b: Node | None) -> None:
    n.pull = None
    set_depth(n, (a, b))


def unary(p: Primitive, watch: bool = False) -> Callable[[Any], Any]:
    """The operation of an elementwise primitive with one input. `watch`: it can end a composite."""
    scalar = scalar_function(p)
    pull = None
    raised = (ArithmeticError, ValueError)

    def op(input: Any) -> Any:
        nonlocal pull
        x = input
        if x.__class__ is not Tensor or mode() is not PLAIN or (watch and x.n.pull is not None):
            try:
                return bind(p, x)
            except Exception as err:
                trim(err)
                raise
        u, a = x.v, x.n
        if u.__class__ is not float:
            if u.__class__ is not _ndarray or u.ndim or u.dtype is not FLOAT64:
                try:
                    return bind(p, x)
                except Exception as err:
                    trim(err)
                    raise
            u = u.item()
            if x.base is not None:
                a = node_of(x)
        try:
            out = scalar(u)
        except raised:
            out = _careful(p, u)
        n = new(Node)
        n.serial = next_serial()
        n.p = p
        n.a = a
        n.x = u
        n.b = n.y = n.params = None
        n.out = out
        frame = _getframe(1)
        n.code = frame.f_code
        n.at = frame.f_lasti
        if a.pull is None:
            _finish_untracked(n, a, None)
        else:
            if pull is None:
                pull = scalar_pull(p, (True,))
            n.pull = pull
        t = new(Tensor)
        t.v = out
        t.n = n
        t.base = None
        return t

    return op


def binary(p: Primitive, watch: bool = False) -> Callable[[Any, Any], Any]:
    """The operation of an elementwise primitive with two inputs; the first may be a number."""
    scalar = scalar_function(p)
    pulls: list[Any] = [None, None, None, None]
    raised = (ArithmeticError, ValueError)

    def op(input: Any, other: Any) -> Any:
        x, y = input, other
        a = b = u = v = None
        if mode() is PLAIN and not watch:
            if x.__class__ is Tensor:
                u, a = x.v, x.n
                if u.__class__ is not float and u.__class__ is _ndarray and not u.ndim and u.dtype is FLOAT64:
                    u = u.item()
                    if x.base is not None:
                        a = node_of(x)
            elif x.__class__ is float:
                u = x
            elif x.__class__ is int:
                u = _float_of(x)
            if y.__class__ is Tensor:
                v, b = y.v, y.n
                if v.__class__ is not float and v.__class__ is _ndarray and not v.ndim and v.dtype is FLOAT64:
                    v = v.item()
                    if y.base is not None:
                        b = node_of(y)
            elif y.__class__ is float:
                v = y
            elif y.__class__ is int:
                v = _float_of(y)
        if u.__class__ is not float or v.__class__ is not float or (a is None and b is None):
            try:
                out = None if watch else _arrays(p, x, y, _getframe(1))
                return bind(p, x, y) if out is None else out
            except Exception as err:
                trim(err)
                raise
        try:
            out = scalar(u, v)
        except raised:
            out = _careful(p, u, v)
        n = new(Node)
        n.serial = next_serial()
        n.p = p
        n.a = a
        n.b = b
        n.x = u
        n.y = v
        n.params = None
        n.out = out
        frame = _getframe(1)
        n.code = frame.f_code
        n.at = frame.f_lasti
        which = (a is not None and a.pull is not None) + 2 * (b is not None and b.pull is not None)
        if which:
            pull = pulls[which]
            if pull is None:
                pull = pulls[which] = scalar_pull(p, (which % 2 == 1, which >= 2))
            n.pull = pull
        else:
            _finish_untracked(n, a, b)
        t = new(Tensor)
        t.v = out
        t.n = n
        t.base = None
        return t

    return op


def _array_operand(x: Any) -> tuple[Any, Node | None]:
    """Value and node of an operand of the quick way for arrays: float64; None if it is something else."""
    c = x.__class__
    if c is Tensor:
        v = x.v
        if v.__class__ is float or (v.__class__ is _ndarray and v.dtype is FLOAT64 and v.ndim):
            return v, x.n if x.base is None else node_of(x)
    elif c is float or (c is int and x.bit_length() < 1024):
        return float(x), None
    elif c is _ndarray and x.dtype is FLOAT64 and x.ndim:
        return x, None
    return None, None


def _arrays(p: Primitive, x: Any, y: Any, frame: FrameType) -> Any:
    """The quick way for float64 arrays, recorded or not; None where the general way is needed."""
    m = mode()
    if m is not PLAIN and not _is_ordinary(m):
        return None
    u, a = _array_operand(x)
    v, b = _array_operand(y)
    if u is None or v is None or (u.__class__ is float and v.__class__ is float):
        return None
    out = kernels.value(p, [u, v], _NO_PARAMS) if p.name in kernels.QUICKER else None
    if out is None:
        with quiet():
            try:
                out = p.value(u, v)
            except ValueError:
                return None  # `bind` says what does not fit
    n = new(Node)
    n.serial = next_serial()
    n.p = p
    n.params = None
    n.code = frame.f_code
    n.at = frame.f_lasti
    tracked = a is not None and a.pull is not None, b is not None and b.pull is not None
    if m.grad and p.rule is not None and (tracked[0] or tracked[1]):
        plan = plan_for(p, tracked, False, False)
        assert plan is not None
        check_inference((a, b), plan.keep)
        n.a, n.b = a, b
        n.x = u if plan.keep[0] else small_or_type(u)
        n.y = v if plan.keep[1] else small_or_type(v)
        n.out = out if plan.keep_out else small_or_type(out)
        n.pull = plan.pull
    else:
        n.a, n.b = history(a), history(b)
        n.x, n.y, n.out = small_or_type(u), small_or_type(v), small_or_type(out)
        _finish_untracked(n, a, b)
    return wrap(out, n)


def reflected(p: Primitive, watch: bool = False) -> Callable[[Any, Any], Any]:
    """`number ∘ tensor`: the method that Python calls with the operands exchanged."""
    scalar = scalar_function(p)
    pull = None
    raised = (ArithmeticError, ValueError)

    def op(y: Any, x: Any) -> Any:
        nonlocal pull
        v, b = y.v, y.n
        if (
            mode() is not PLAIN
            or v.__class__ is not float
            or (x.__class__ is not float and x.__class__ is not int)
        ):
            try:
                out = None if watch else _arrays(p, x, y, _getframe(1))
                return bind(p, x, y) if out is None else out
            except Exception as err:
                trim(err)
                raise
        if watch and b.pull is not None:
            return bind(p, x, y)
        try:
            u = float(x)
        except OverflowError:
            return bind(p, x, y)  # says that it is too large
        try:
            out = scalar(u, v)
        except raised:
            out = _careful(p, u, v)
        n = new(Node)
        n.serial = next_serial()
        n.p = p
        n.a = n.params = None
        n.b = b
        n.x = u
        n.y = v
        n.out = out
        frame = _getframe(1)
        n.code = frame.f_code
        n.at = frame.f_lasti
        if b.pull is None:
            _finish_untracked(n, None, b)
        else:
            if pull is None:
                pull = scalar_pull(p, (False, True))
            n.pull = pull
        return wrap(out, n)

    return op


_WHOLE = [{"axis": tuple(range(n)), "keepdims": False} for n in range(8)]
_FIRST: dict[str, Any] = {"axis": 0, "keepdims": False}


def reduction(p: Primitive, one_axis: bool = False) -> Callable[..., Any]:
    """The reduction of a float64 tensor, of all or along one dimension; None where the general way is needed.

    one_axis
        The primitive has a single axis: all entries are those of a vector.
    """

    def op(x: Any, dim: Any = None, keepdim: Any = False) -> Any:
        m = mode()
        if x.__class__ is not Tensor or (m is not PLAIN and not _is_ordinary(m)):
            return None
        v = x.v
        if v.__class__ is not _ndarray or v.dtype is not FLOAT64 or v.ndim >= len(_WHOLE) or not v.size:
            return None
        if dim is None and keepdim is False and not (one_axis and v.ndim != 1):
            params = _FIRST if one_axis else _WHOLE[v.ndim]
        elif dim.__class__ is int and keepdim.__class__ is bool and -v.ndim <= dim < v.ndim:
            axis = dim % v.ndim
            params = {"axis": axis if one_axis else (axis,), "keepdims": keepdim}
        else:
            return None
        a = x.n if x.base is None else node_of(x)
        out = kernels.value(p, (v,), params) if v.size >= kernels.LEAST else None
        if out is None:
            with quiet():
                out = p.value(v, **params)
        out = float(out) if out.__class__ is np.float64 else plain(out)
        n = new(Node)
        n.serial = next_serial()
        n.p = p
        n.params = params
        frame = user_frame(2)
        n.code = frame.f_code
        n.at = frame.f_lasti
        n.b = n.y = None
        if a.pull is None or not m.grad:
            n.a = a if a.pull is None else history(a)
            n.x = small_or_type(v)
            n.out = out if out.__class__ is float else small_or_type(out)
            _finish_untracked(n, a, None)
            return wrap(out, n)
        plan = plan_for(p, (True,), False, False)
        assert plan is not None
        n.a = a
        n.x = v if plan.keep[0] else small_or_type(v)
        n.out = out if plan.keep_out else small_or_type(out)
        n.pull = plan.pull
        return wrap(out, n)

    return op


def _is_ordinary(m: Mode) -> bool:
    """Whether results are recorded as usual, or not at all (`no_grad`)."""
    return not (m.frame or m.scope or m.inference or m.recorder)


_ENTRY: dict[int, dict[str, Any]] = {k: {"spec": (("int", k),)} for k in range(-64, 256)}
_INDEX = TABLE["index"]


def entry(x: Any, key: int) -> Any:
    """`x[k]` of a vector, a 0-d view; None where the general way is needed."""
    v, a = x.v, x.n
    params = _ENTRY.get(key)
    if (
        params is None
        or x.base is not None
        or v.__class__ is not _ndarray
        or v.ndim != 1
        or mode() is not PLAIN
    ):
        return None
    if not -len(v) <= key < len(v):
        return None
    out = v[key, ...]
    n = new(Node)
    n.serial = next_serial()
    n.p = _INDEX
    n.params = params
    n.out = out
    n.x = (small_or_type(v),)
    n.b = n.y = None
    frame = _getframe(2)
    n.code = frame.f_code
    n.at = frame.f_lasti
    n.a = (a,)
    if a.pull is None or v.dtype.kind not in "fc":
        if a.pull is not None:
            n.a = (history(a),)
        _finish_untracked(n, a, None)
        if made_under_inference(a):
            n.depth = INFERENCE
    else:
        n.pull = plan_for(_INDEX, (True,), False, False).pull  # type: ignore[union-attr]
    t = new(Tensor)
    t.v = out
    t.n = n
    t.base = x
    return t


_RESHAPE = TABLE["reshape"]


def reshaped(x: Any, *shape: Any) -> Any:
    """`x.reshape(shape)` of a float64 tensor that owns its memory, a view; None where the general way is needed."""
    if x.__class__ is not Tensor or x.base is not None or mode() is not PLAIN:
        return None
    v, a = x.v, x.n
    if v.__class__ is not _ndarray or v.dtype is not FLOAT64 or not v.size or not v.flags.c_contiguous:
        return None
    if len(shape) == 1 and shape[0].__class__ is tuple:
        (shape,) = shape
    if not shape or not v.ndim or any(n.__class__ is not int or n < -1 for n in shape):
        return None
    try:
        out = v.reshape(shape)
    except ValueError:
        return None  # the general way says what does not fit
    n = new(Node)
    n.serial = next_serial()
    n.p = _RESHAPE
    n.params = {"shape": out.shape}
    n.out = small_or_type(out)
    n.x = small_or_type(v)
    n.b = n.y = None
    frame = user_frame(2)
    n.code = frame.f_code
    n.at = frame.f_lasti
    n.a = a
    if a.pull is None:
        _finish_untracked(n, a, None)
        if made_under_inference(a):
            n.depth = INFERENCE
    else:
        n.pull = plan_for(_RESHAPE, (True,), False, False).pull  # type: ignore[union-attr]
    t = new(Tensor)
    t.v = out
    t.n = n
    t.base = x
    return t


def power_of(p: Primitive) -> Callable[[Any, int], Any]:
    """x to a power that is a whole number: the quick way of `integer_pow`."""
    scalar = scalar_function(p)
    pull = None

    def op(x: Any, k: int, frame: Any) -> Any:
        nonlocal pull
        u, a = x.v, x.n
        try:
            out = scalar(u, n=k)
        except (ArithmeticError, ValueError):
            with np.errstate(all="ignore"):
                out = float(p.value(np.float64(u), n=k))
        n = new(Node)
        n.serial = next_serial()
        n.p = p
        n.a = a
        n.x = u
        n.b = n.y = None
        n.params = {"n": k}
        n.out = out
        n.code = frame.f_code
        n.at = frame.f_lasti
        if a.pull is None:
            _finish_untracked(n, a, None)
        else:
            if pull is None:
                pull = scalar_pull(p, (True,))
            n.pull = pull
        return wrap(out, n)

    return op
