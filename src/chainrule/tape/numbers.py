"""The domain of plain numbers: primitives run at once on NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.ir.types import Type, type_of
from chainrule.table.primitive import TABLE


def emit(name: str, *args: Any, **params: Any) -> Any:
    """The value of a primitive; Python floats count as 0-d arrays."""
    return TABLE[name].value(*[np.float64(a) if a.__class__ is float else a for a in args], **params)


emit.constant = True  # type: ignore[attr-defined]


class Scattered:
    """A cotangent that is zero but for a few entries: what indexing pulls back, kept apart until it is read.

    Reading `w[i]` in a loop would otherwise add a full array for each `i`.
    """

    __slots__ = ("dtype", "parts", "shape")

    def __init__(self, t: Type, parts: list[tuple[Any, Any]]) -> None:
        self.shape, self.dtype, self.parts = t.shape, t.dtype, parts

    def dense(self) -> np.ndarray:
        """The array, in memory of its own."""
        out = np.zeros(self.shape, self.dtype)
        for key, ct in self.parts:
            if any(isinstance(k, np.ndarray) for k in key):
                np.add.at(out, key, ct)
            else:
                out[key] += ct
        return out


def dense(ct: Any) -> Any:
    """An ordinary array or number."""
    return ct.dense() if ct.__class__ is Scattered else ct


def add(a: Any, b: Any) -> Any:
    """Sum of two cotangents of one value."""
    if a.__class__ is Scattered:
        if b.__class__ is Scattered:
            return Scattered(type_of(a), a.parts + b.parts) if len(a.parts) < 8 else _extend(a, b)
        a = a.dense()
        a += b
        return a
    if b.__class__ is Scattered:
        b = b.dense()
        b += a
        return b
    return a + b


def _extend(a: Scattered, b: Scattered) -> Scattered:
    a.parts.extend(b.parts)
    return a
