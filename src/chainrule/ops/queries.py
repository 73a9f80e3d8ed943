"""Small questions about tensors, and torch's old names for making them."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.dispatch import Handle
from chainrule.errors import ShapeError
from chainrule.ops import creation
from chainrule.ops.arguments import operation
from chainrule.ops.creation import as_tensor
from chainrule.tape.promote import as_dtype, result_dtype


@operation
def allclose(input: Any, other: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Whether all entries agree to ``atol + rtol·|other|``; NaN agrees with NaN only if `equal_nan`."""
    a, b = np.asarray(as_tensor(input).v), np.asarray(as_tensor(other).v)
    try:
        return bool(np.allclose(a, b, rtol, atol, equal_nan))
    except ValueError:
        raise ShapeError("the shapes of allclose do not fit", given=f"{list(a.shape)}, {list(b.shape)}",
                         fix="make them equal, or 1 where they should repeat") from None  # fmt: skip


@operation
def equal(input: Any, other: Any) -> bool:
    """Whether two tensors have the same shape and the same entries (NaN equals nothing)."""
    return bool(np.array_equal(np.asarray(as_tensor(input).v), np.asarray(as_tensor(other).v)))


def is_tensor(obj: Any) -> bool:
    """Whether an object is a Tensor."""
    return isinstance(obj, Handle)


@operation
def is_floating_point(input: Any) -> bool:
    """Whether the dtype is float64 or float32."""
    return as_tensor(input).dtype.kind == "f"


@operation
def is_complex(input: Any) -> bool:
    """Whether the dtype is complex."""
    return as_tensor(input).dtype.kind == "c"


@operation
def is_nonzero(input: Any) -> bool:
    """Whether a tensor with one entry is not 0."""
    return bool(as_tensor(input))


@operation
def numel(input: Any) -> int:
    """Number of entries."""
    return as_tensor(input).numel()


@operation
def clone(input: Any, *, memory_format: Any = None) -> Any:
    """A copy in memory of its own; the gradient flows through."""
    return as_tensor(input).clone()


@operation
def detach(input: Any) -> Any:
    """The same memory without history."""
    return as_tensor(input).detach()


@operation
def result_type(tensor1: Any, tensor2: Any) -> np.dtype:
    """The dtype that an operation on both has: Python numbers take that of the tensor where they can."""
    operands = (tensor1, tensor2)
    strong = [isinstance(v, Handle | np.ndarray | np.generic) for v in operands]
    values = [v.v if isinstance(v, Handle) else v for v in operands]
    return result_dtype(values, strong)


@operation
def promote_types(type1: Any, type2: Any) -> np.dtype:
    """The smallest dtype that two dtypes fit into, as torch promotes them."""
    return result_dtype([np.empty(1, as_dtype(t)) for t in (type1, type2)], [True, True])


class TypedTensor:
    """A constructor for one dtype, under a name of torch's before `dtype=` was there."""

    def __init__(self, name: str, dtype: Any) -> None:
        self.__name__ = name
        self.dtype = np.dtype(dtype)
        self.__doc__ = (
            f"A {self.dtype} tensor of the data, or of a shape (filled with zeros): `tensor(data, dtype=…)`."
        )

    def __call__(self, *args: Any) -> Any:
        """A tensor of one list or array of data; of numbers as a shape."""
        if len(args) == 1 and not isinstance(args[0], int | np.integer):
            return creation.tensor(args[0], dtype=self.dtype)
        return creation.zeros(*(args or (0,)), dtype=self.dtype)

    def __instancecheck__(self, obj: Any) -> bool:
        return isinstance(obj, Handle) and obj.dtype == self.dtype  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        return f"<chainrule.{self.__name__}>"


DoubleTensor = TypedTensor("DoubleTensor", np.float64)
FloatTensor = TypedTensor("FloatTensor", np.float32)
LongTensor = TypedTensor("LongTensor", np.int64)
IntTensor = TypedTensor("IntTensor", np.int32)
BoolTensor = TypedTensor("BoolTensor", np.bool_)

__all__ = [
    "BoolTensor",
    "DoubleTensor",
    "FloatTensor",
    "IntTensor",
    "LongTensor",
    "allclose",
    "clone",
    "detach",
    "equal",
    "is_complex",
    "is_floating_point",
    "is_nonzero",
    "is_tensor",
    "numel",
    "promote_types",
    "result_type",
]

METHODS = "allclose equal is_nonzero"  # of Tensor
