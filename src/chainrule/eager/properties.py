"""Tensors in another dtype, new ones like them, and what can be asked about their memory."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from chainrule import dispatch
from chainrule.dispatch import Handle
from chainrule.eager.backward import node_of
from chainrule.errors import UnsupportedError
from chainrule.ops import creation
from chainrule.ops import elementwise as e
from chainrule.ops.arguments import one_dim
from chainrule.ops.device import DEVICES, check_device
from chainrule.source import boundary

# --- in another dtype ------------------------------------------------------------------------------


@boundary
def to(self: Any, *args: Any, dtype: Any = None, device: Any = None, copy: bool = False, **_: Any) -> Any:
    """In another dtype (itself if it has it); a device other than the CPU is refused by name."""
    for a in args:
        if isinstance(a, Handle):
            dtype = a.dtype
        elif isinstance(a, str) and a.split(":")[0] in DEVICES:
            device = a
        elif a is not None and not isinstance(a, builtins.bool):
            dtype = a
    check_device(device)
    out = self if dtype is None else e.cast(self, dtype)
    return out.clone() if copy and out is self else out


@boundary
def type(self: Any, dtype: Any = None) -> Any:
    """The name of the dtype, or the tensor in another dtype."""
    return f"{self.dtype.name}" if dtype is None else e.cast(self, getattr(dtype, "dtype", dtype))


def type_as(self: Any, other: Any) -> Any:
    """In the dtype of another tensor."""
    return e.cast(self, other.dtype)


def double(self: Any) -> Any:
    """As float64."""
    return e.cast(self, np.float64)


def float(self: Any) -> Any:
    """As float32, as in torch."""
    return e.cast(self, np.float32)


def cfloat(self: Any) -> Any:
    """As complex64."""
    return e.cast(self, np.complex64)


def cdouble(self: Any) -> Any:
    """As complex128."""
    return e.cast(self, np.complex128)


def long(self: Any) -> Any:
    """As int64; no gradient passes."""
    return e.cast(self, np.int64)


def int(self: Any) -> Any:
    """As int32; no gradient passes."""
    return e.cast(self, np.int32)


def bool(self: Any) -> Any:
    """As truth values; no gradient passes."""
    return e.cast(self, np.bool_)


def cpu(self: Any) -> Any:
    """Itself."""
    return self


# --- new ones like it --------------------------------------------------------------------------------


@boundary
def new_tensor(
    self: Any, data: Any, *, dtype: Any = None, requires_grad: Any = False, device: Any = None
) -> Any:
    """A new leaf, with this dtype unless another is given."""
    return creation.tensor(data, dtype=dtype or self.dtype, requires_grad=requires_grad, device=device)


@boundary
def new_zeros(
    self: Any, *size: Any, dtype: Any = None, requires_grad: Any = False, device: Any = None
) -> Any:
    """Zeros of a shape, with this dtype unless another is given."""
    return creation.zeros(*size, dtype=dtype or self.dtype, requires_grad=requires_grad, device=device)


@boundary
def new_ones(self: Any, *size: Any, dtype: Any = None, requires_grad: Any = False, device: Any = None) -> Any:
    """Ones of a shape, with this dtype unless another is given."""
    return creation.ones(*size, dtype=dtype or self.dtype, requires_grad=requires_grad, device=device)


@boundary
def new_empty(
    self: Any, *size: Any, dtype: Any = None, requires_grad: Any = False, device: Any = None
) -> Any:
    """A tensor to be filled, with this dtype unless another is given; its entries start as zeros here."""
    return creation.empty(*size, dtype=dtype or self.dtype, requires_grad=requires_grad, device=device)


@boundary
def new_full(
    self: Any,
    size: Any,
    fill_value: Any,
    *,
    dtype: Any = None,
    requires_grad: Any = False,
    device: Any = None,
) -> Any:
    """One number everywhere, with this dtype unless another is given."""
    return creation.full(
        size, fill_value, dtype=dtype or self.dtype, requires_grad=requires_grad, device=device
    )


# --- what can be asked -------------------------------------------------------------------------------


def dim(self: Any) -> Any:
    """Number of dimensions."""
    return len(self.shape)


def numel(self: Any) -> Any:
    """Number of entries."""
    return getattr(self.v, "size", 1)


@boundary
def size(self: Any, dim: Any = None) -> Any:
    """The shape, or the length of one dimension."""
    return self.shape if dim is None else self.shape[one_dim(dim, len(self.shape))]


def element_size(self: Any) -> Any:
    """Bytes per entry."""
    return self.dtype.itemsize


def is_contiguous(self: Any) -> Any:
    """Whether the entries lie one after the other in memory, the last dimension first."""
    return not isinstance(self.v, np.ndarray) or self.v.flags.c_contiguous


def stride(self: Any, dim: Any = None) -> Any:
    """How many entries of memory lie between neighbours, for each dimension or for one."""
    v = np.asarray(self.v)
    steps = tuple(s // v.itemsize for s in v.strides)
    return steps if dim is None else steps[one_dim(dim, v.ndim)]


@boundary
def data_ptr(self: Any) -> Any:
    """Refused: an address outlives the memory it points to."""
    raise UnsupportedError(
        "tensors have no data_ptr here: their memory is NumPy's, and a number in Python has none",
        fix="use x.detach().numpy(), or np.shares_memory(a, b) to ask whether two share memory",
    )


def is_inference(self: Any) -> Any:
    """Whether the tensor was made under `inference_mode`."""
    return dispatch.made_under_inference(node_of(self))


def is_floating_point(self: Any) -> Any:
    """Whether the dtype is float64, float32 or float16."""
    return self.dtype.kind == "f"


def is_complex(self: Any) -> Any:
    """Whether the dtype is complex."""
    return self.dtype.kind == "c"


ndimension, nelement = dim, numel

METHODS = """
    to type type_as double float cfloat cdouble long int bool cpu new_tensor new_zeros new_ones new_empty new_full
    dim ndimension numel
    nelement size element_size is_contiguous stride data_ptr is_inference is_floating_point is_complex
"""  # of Tensor
