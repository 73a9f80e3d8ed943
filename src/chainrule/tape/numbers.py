"""The domain of plain numbers: primitives run at once on NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

try:  # what np.errstate(all="ignore") does, at a fifth of its cost (0.15 against 0.76 µs); private to NumPy
    from numpy._core.umath import _extobj_contextvar, _make_extobj

    _IGNORE = _make_extobj(all="ignore")
except ImportError:  # pragma: no cover
    _extobj_contextvar = None

from chainrule.table.primitive import TABLE
from chainrule.tape import kernels


def emit(name: str, *args: Any, **params: Any) -> Any:
    """The value of a primitive; Python floats take the dtype of the arrays, among themselves they are float64."""
    if set(map(type, args)) == {float}:
        args = tuple(map(np.float64, args))
    p = TABLE[name]
    out = kernels.value(p, args, params)
    return p.value(*args, **params) if out is None else out


class _Quiet:
    """IEEE arithmetic without warnings: ``with quiet(): …``."""

    __slots__ = ("_token",)

    def __enter__(self) -> None:
        self._token = _extobj_contextvar.set(_IGNORE)

    def __exit__(self, *exc: object) -> None:
        _extobj_contextvar.reset(self._token)


def _errstate() -> Any:
    return np.errstate(all="ignore")


quiet = _errstate if _extobj_contextvar is None else _Quiet


class Scattered:
    """A cotangent that is zero but for a few entries: what indexing pulls back, kept apart until it is read.

    Reading `w[i]` in a loop would otherwise add a full array for each `i`. `parts` are triples
    (key, cotangent, whether the key may name an entry twice); `whole` is the sum of those that are no such parts.
    """

    __slots__ = ("dtype", "parts", "shape", "whole")

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype, parts: list[tuple[Any, Any, bool]]) -> None:
        self.shape, self.dtype, self.parts, self.whole = shape, dtype, parts, None

    def dense(self) -> np.ndarray:
        """The array, in memory of its own."""
        out = np.zeros(self.shape, self.dtype)
        if self.whole is not None:
            out += self.whole
        for key, ct, repeats in self.parts:
            if repeats:
                np.add.at(out, key, ct)
            else:
                out[key] += ct
        return out


def dense(ct: Any) -> Any:
    """An ordinary array or number."""
    return ct.dense() if ct.__class__ is Scattered else ct


def add(a: Any, b: Any) -> Any:
    """Sum of two cotangents of one value."""
    if a.__class__ is not Scattered:
        a, b = b, a
    if a.__class__ is not Scattered:
        return b + a
    if b.__class__ is not Scattered:
        a.whole = b if a.whole is None else a.whole + b
        return a
    a.parts.extend(b.parts)
    if b.whole is not None:
        a.whole = b.whole if a.whole is None else a.whole + b.whole
    return a
