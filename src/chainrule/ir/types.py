"""The type of a value in a graph: shape and dtype."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np


class Type:
    """Shape and dtype; prints as ``float64[3,4]``. Also stands in for an array that was not kept."""

    __slots__ = ("dtype", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self.shape, self.dtype = shape, dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        n = 1
        for m in self.shape:
            n *= m
        return n

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Type) and self.shape == other.shape and self.dtype == other.dtype

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype))

    def __str__(self) -> str:
        return f"{self.dtype.name}[{','.join(map(str, self.shape))}]"

    def __repr__(self) -> str:
        return f"Type({self})"


FLOAT = Type((), np.dtype(np.float64))
broadcast_shapes = np.broadcast_shapes


@lru_cache(maxsize=4096)
def _interned(shape: tuple[int, ...], dtype: np.dtype) -> Type:
    return Type(shape, dtype if dtype.isnative else dtype.newbyteorder("="))


def type_of(v: Any) -> Type:
    """Type of a number, an array, or anything that has a `shape` and a `dtype`."""
    if v.__class__ is float:
        return FLOAT
    if v.__class__ is Type:
        return v
    try:
        return _interned(v.shape, v.dtype)
    except AttributeError:
        a = np.asarray(v)
        return _interned(a.shape, a.dtype)
