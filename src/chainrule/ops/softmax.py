"""Softmax and its kin."""

from __future__ import annotations

from typing import Any

from chainrule.dispatch import bind
from chainrule.errors import ArgumentError
from chainrule.ops import elementwise as e
from chainrule.ops.arguments import dims, operation, quick_first
from chainrule.ops.creation import as_tensor
from chainrule.ops.reduce import reduced
from chainrule.quick import reduction
from chainrule.table.primitive import TABLE
from chainrule.tape.promote import get_default_dtype, is_inexact


@quick_first(reduction(TABLE["logsumexp"]))
@operation
def logsumexp(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """ln Σ eˣ over `dim`, without overflow."""
    return reduced("logsumexp", input, dim, keepdim)


def _along(name: str, x: Any, dim: Any) -> Any:
    if dim is None:
        raise ArgumentError(f"{name} needs a dimension", fix="say along which, e.g. dim=-1")
    return bind(TABLE[name], x, axis=dims(dim, x.dim()))


def _floating(input: Any, dtype: Any) -> Any:
    """A tensor in `dtype`; None: its own, or the default one for whole numbers."""
    x = as_tensor(input)
    if dtype is None:
        return x if is_inexact(x.dtype) else e.cast(x, get_default_dtype())
    return e.cast(x, dtype)


@operation
def softmax(input: Any, dim: int | None = None, dtype: Any = None) -> Any:
    """eˣ/Σeˣ along `dim`, without overflow."""
    return _along("softmax", _floating(input, dtype), dim)


@operation
def log_softmax(input: Any, dim: int | None = None, dtype: Any = None) -> Any:
    """x - ln Σ eˣ along `dim`, without overflow."""
    return _along("log_softmax", _floating(input, dtype), dim)


@operation
def softmin(input: Any, dim: int | None = None, dtype: Any = None) -> Any:
    """Softmax of -x along `dim`: the smallest entry gets the largest weight."""
    return _along("softmax", e.neg(_floating(input, dtype)), dim)


__all__ = ["log_softmax", "logsumexp", "softmax"]

METHODS = """
    logsumexp softmax log_softmax
"""  # of Tensor
