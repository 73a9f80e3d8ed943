"""dtype promotion, by torch's rules: category first (bool < int < float < complex), then who has dimensions.

NumPy never promotes by itself here: casts are inserted, so that a cotangent is cast back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, DtypeError
from chainrule.source import boundary

_CATEGORY = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}
FLOAT64 = np.dtype(np.float64)
_default = FLOAT64


def get_default_dtype() -> np.dtype:
    """dtype of tensors that are made from Python floats (float64 unless changed)."""
    return _default


@boundary
def set_default_dtype(dtype: Any) -> None:
    """Set the dtype of tensors that are made from Python floats: `float64` or `float32`.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.set_default_dtype(cr.float32)
    >>> cr.tensor(1.0).dtype
    dtype('float32')
    >>> cr.set_default_dtype(cr.float64)
    """
    global _default
    dtype = as_dtype(dtype)
    if dtype.kind != "f":
        fix = "choose float64 or float32"
        raise DtypeError("the default dtype is a floating point type", given=str(dtype), fix=fix)
    _default = dtype


_NAMES = (
    "float64",
    "float32",
    "complex128",
    "complex64",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "bool",
    "float16",
)


def as_dtype(dtype: Any) -> np.dtype:
    """A dtype of ours, in the machine's order of bytes, from a dtype, a Python type or a name."""
    try:
        d = np.dtype(dtype)
    except TypeError:
        d = None
    if d is None or d.name not in _NAMES:
        raise ArgumentError(
            f"{dtype!r} is no dtype of chainrule", fix=f"use one of {', '.join(_NAMES[:6])}, bool"
        )
    return d if d.isnative else d.newbyteorder("=")


def is_inexact(dtype: np.dtype) -> bool:
    """Whether values of this dtype can carry gradients: floating point or complex."""
    return dtype.kind in "fc"


def complex_of(dtype: np.dtype) -> np.dtype:
    return np.dtype(np.complex64 if dtype.itemsize <= 4 else np.complex128)


def pair(a: np.dtype, b: np.dtype) -> np.dtype:
    """Common dtype of two values of equal standing."""
    if a == b:
        return a
    ca, cb = _CATEGORY[a.kind], _CATEGORY[b.kind]
    if ca != cb and max(ca, cb) == 2:
        return a if ca > cb else b
    if ca != cb and max(ca, cb) == 3:
        high, low = (a, b) if ca > cb else (b, a)
        return np.promote_types(high, complex_of(low)) if low.kind == "f" else high
    return np.promote_types(a, b)


def _combine(higher: np.dtype | None, lower: np.dtype | None) -> np.dtype | None:
    """The dtype of the group that counts more, raised to the category of the other."""
    if higher is None or lower is None:
        return lower if higher is None else higher
    ch, cl = _CATEGORY[higher.kind], _CATEGORY[lower.kind]
    if cl <= ch:
        return higher
    return complex_of(higher) if ch == 2 else lower if ch == 0 or cl >= 2 else higher


def _python(v: Any) -> np.dtype:
    if v.__class__ is bool:
        return np.dtype(bool)
    if isinstance(v, int):
        return np.dtype(np.int64)
    return complex_of(_default) if isinstance(v, complex) else _default


def result_dtype(values: Sequence[Any], strong: Sequence[bool]) -> np.dtype:
    """Common dtype of operands; `strong[k]` is false for a Python number that is no tensor."""
    groups: list[np.dtype | None] = [None, None, None]  # with dimensions, 0-d, Python numbers
    for v, s in zip(values, strong, strict=True):
        if v.__class__ is float and s:
            g, d = 1, FLOAT64
        elif s:
            g, d = (0 if v.ndim else 1), v.dtype
        else:
            g, d = 2, _python(v)
        before = groups[g]
        groups[g] = d if before is None else pair(before, d)
    found = _combine(groups[0], _combine(groups[1], groups[2]))
    assert found is not None
    return found
