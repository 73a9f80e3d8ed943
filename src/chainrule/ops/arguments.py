"""Canonical arguments: dims, shapes, numpy's names for torch's keywords."""

from __future__ import annotations

import contextlib
import functools
import inspect
import operator
from collections.abc import Callable
from typing import Any, TypeVar

from chainrule import dispatch
from chainrule.errors import ArgumentError, IndexingError, ShapeError
from chainrule.source import trim, user_frame
from chainrule.tape.modes import scope

F = TypeVar("F", bound=Callable[..., Any])

_NUMPY_NAMES = {"axis": "dim", "keepdims": "keepdim", "axis1": "dim0", "axis2": "dim1"}


def operation(fn: F) -> F:
    """A public operation: NumPy's keywords are accepted, tracebacks end at the user's line, and what it is made of
    counts as one step (see `modes.scope`)."""
    parameters = inspect.signature(fn).parameters
    takes = {new: old for new, old in _NUMPY_NAMES.items() if old in parameters}
    starred = next((q.name for q in parameters.values() if q.kind is q.VAR_POSITIONAL), None)
    name = fn.__name__.rstrip("_")

    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        frame = user_frame(2)
        try:
            if kwargs and takes:
                kwargs = {takes.get(k, k): v for k, v in kwargs.items()}
            if starred in kwargs:  # permute(x, dims=(1, 0))
                args = (*args, kwargs.pop(starred))
            try:
                with scope(name, frame.f_code, frame.f_lasti):
                    return fn(*args, **kwargs)
            except TypeError as err:
                if _is_call_error(fn, err):
                    raise _signature_error(fn, err) from None
                raise
        except Exception as err:
            trim(err)
            raise

    return call  # type: ignore[return-value]


_BY_NAME = frozenset({"dim", "keepdim"})  # what quick ways may be given by name


def quick_first(
    quick: Callable[..., Any], by_position: int = 3, by_name: frozenset[str] = _BY_NAME
) -> Callable[[F], F]:
    """An operation that has a quick way, for so many arguments by position; it returns None where it does not apply."""

    def decorate(op: F) -> F:
        @functools.wraps(op)
        def call(*args: Any, **kwargs: Any) -> Any:
            if 0 < len(args) <= by_position and (not kwargs or by_name.issuperset(kwargs)):
                out = quick(*args, **kwargs)
                if out is not None:
                    return out
            try:
                return op(*args, **kwargs)
            except Exception as err:
                trim(err)
                raise

        return call  # type: ignore[return-value]

    return decorate


def _is_call_error(fn: Callable[..., Any], err: TypeError) -> bool:
    return not isinstance(err, ArgumentError) and str(err).startswith(f"{fn.__qualname__}()")


def _signature_error(fn: Callable[..., Any], err: TypeError) -> ArgumentError:
    name = fn.__name__.rstrip("_")
    return ArgumentError(str(err).replace(f"{fn.__qualname__}()", name), fix=f"call it as {name}{_shown(fn)}")


def _shown(fn: Callable[..., Any]) -> str:
    """The signature without annotations."""
    signature = inspect.signature(fn)
    bare = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    return str(signature.replace(parameters=bare, return_annotation=signature.empty))


def shape_of(x: Any) -> tuple[int, ...]:
    """Shape of a tensor, array or number."""
    v = x.v if isinstance(x, dispatch.Handle) else x
    return getattr(v, "shape", ())


def one_dim(dim: Any, ndim: int, what: str = "dim") -> int:
    """A dimension as 0..ndim-1; a 0-d tensor counts as having one, as in torch."""
    try:
        d = operator.index(dim)
    except TypeError:
        fix = f"pass a whole number, e.g. {what}=0"
        raise ArgumentError(f"{what} is a {type(dim).__name__}", given=repr(dim), fix=fix) from None
    n = max(ndim, 1)
    if not -n <= d < n:
        raise IndexingError(
            f"{what} {d} is out of range: the tensor has {ndim} dimension{'' if ndim == 1 else 's'}",
            given=f"{what}={d}", fix=f"use {-n}..{n - 1}",
        )  # fmt: skip
    return d % n


def dims(dim: Any, ndim: int) -> tuple[int, ...]:
    """Dimensions to reduce: sorted, not negative, each once; None or () means all."""
    if dim is None or (isinstance(dim, (tuple, list)) and not dim):
        return tuple(range(ndim))
    chosen = [one_dim(d, ndim) for d in dim] if isinstance(dim, (tuple, list)) else [one_dim(dim, ndim)]
    if len(set(chosen)) != len(chosen):
        raise ArgumentError("a dimension is named twice", given=f"dim={dim}", fix="name each dimension once")
    return tuple(sorted(chosen)) if ndim else ()


def lengths(args: tuple[Any, ...], what: str = "shape") -> tuple[int, ...]:
    """A shape given as numbers or as one sequence."""
    if len(args) == 1 and not hasattr(args[0], "__index__"):
        with contextlib.suppress(TypeError):
            args = tuple(args[0])
    try:
        return tuple(operator.index(n) for n in args)
    except TypeError:
        fix = "pass whole numbers, e.g. zeros(2, 3)"
        raise ArgumentError(f"a {what} is made of whole numbers", given=repr(args), fix=fix) from None


def fill_in(shape: tuple[int, ...], size: int) -> tuple[int, ...]:
    """A shape with its -1 replaced by the length that fits."""
    if shape.count(-1) > 1 or any(n < -1 for n in shape):
        fix = "leave at most one length to be computed, as -1"
        raise ShapeError("a shape can have one unknown length", given=str(list(shape)), fix=fix)
    if -1 not in shape:
        return shape
    known = 1
    for n in shape:
        known *= n if n != -1 else 1
    if known == 0 or size % known:
        fix = f"choose lengths whose product divides {size}"
        raise ShapeError(
            f"{size} entries do not fill the shape {list(shape)}", given=str(list(shape)), fix=fix
        )
    return tuple(size // known if n == -1 else n for n in shape)
