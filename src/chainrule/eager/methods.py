"""Which functions are methods of Tensor, and in which form: plain, reflected, or changing the tensor itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import dispatch, quick
from chainrule.dispatch import Handle
from chainrule.eager import hooks, inplace, properties
from chainrule.ops import (
    array,
    contract,
    diagonals,
    index,
    join,
    norm,
    queries,
    reduce,
    repeat,
    scan,
    scatter,
    select,
    softmax,
    sort,
    special,
    split,
    statistics,
)
from chainrule.ops import elementwise as e
from chainrule.source import trim

# Each of these files lists in METHODS which of its functions are methods too.
_FILES = (
    e, select, special, reduce, statistics, norm, softmax, scan, sort, array, contract, diagonals, index, join, queries,
    repeat, scatter, split, hooks, properties,
)  # fmt: skip

_IN_PLACE = """
    add sub subtract mul multiply div divide true_divide floor_divide remainder fmod pow float_power clamp clip
    clamp_min clamp_max abs absolute neg negative sign sgn floor ceil trunc fix frac round exp exp2 expm1 log log2
    log10 log1p sqrt rsqrt square reciprocal sin cos tan asin arcsin acos arccos atan arctan sinh cosh tanh
    asinh arcsinh acosh arccosh atanh arctanh atan2 arctan2 hypot sigmoid logit erf erfc relu deg2rad rad2deg
    copysign ldexp lerp addcmul addcdiv xlogy heaviside nan_to_num masked_fill eq ne not_equal lt less le less_equal gt
    greater ge greater_equal logical_and logical_or logical_xor logical_not tril triu
    sinc digamma lgamma erfinv i0 igamma igammac mvlgamma polygamma
"""
_UPDATES = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.true_divide}

_REFLECTED = {
    "radd": "add",
    "rsub": "sub",
    "rmul": "mul",
    "rtruediv": "div",
    "rfloordiv": "floor_divide",
    "rmod": "remainder",
}


def reflected(op: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        return op(other, self)

    return method


def comparable(op: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """== and != with what is no number: Python then compares identities, so `x == None` is False."""

    def method(self: Any, other: Any) -> Any:
        if other is None or isinstance(other, (str, bytes, dict, set)):
            return NotImplemented
        return op(self, other)

    return method


def in_place(op: Callable[..., Any], name: str, ufunc: np.ufunc | None = None) -> Callable[..., Any]:
    """The in-place form of an operation; `ufunc` does the plain update step in one pass."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            if ufunc is not None and len(args) == 1 and not kwargs and inplace.quick(self, args[0], ufunc):
                return self
            return inplace.apply(self, op, args, kwargs, name)
        except Exception as err:
            trim(err)
            raise

    method.__name__ = method.__qualname__ = name
    method.__doc__ = (
        f"In-place form of `{name.rstrip('_')}`; a leaf that requires a gradient needs no_grad()."
    )
    return method


def where(self: Any, condition: Any, other: Any) -> Any:
    """This tensor where the condition holds, else `other`."""
    return e.where(condition, self, other)


def attach(tensor: Any) -> None:
    """Give the class its methods."""
    for module in _FILES:
        for name in module.METHODS.split():
            if not hasattr(Handle, name):
                setattr(tensor, name, getattr(module, name))
    tensor.round, tensor.where, tensor.__rpow__ = e.round_, where, reflected(e.power)
    tensor.polygamma = special.polygamma_of
    for name in (*_IN_PLACE.split(), *scatter.IN_PLACE.split()):
        setattr(tensor, f"{name}_", in_place(getattr(tensor, name), f"{name}_", _UPDATES.get(name)))
    for name, primitive in _REFLECTED.items():
        op = quick.reflected(dispatch.TABLE[primitive], watch=primitive == "div")
        setattr(tensor, f"__{name}__", op)
