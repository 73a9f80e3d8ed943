"""torch.linalg's names, as far as they are there."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.errors import refusing as _refusing
from chainrule.ops.contract import matmul
from chainrule.ops.norm import norm as _norm
from chainrule.source import boundary


@boundary
def vector_norm(x: Any, ord: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """(Σ|x|ᵒʳᵈ)^(1/ord) over `dim` (all, if None); its gradient at 0 is 0.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.linalg.vector_norm(cr.tensor([3.0, 4.0]))
    tensor(5.)
    """
    return _norm(x, ord, dim, keepdim, dtype)


@boundary
def norm(A: Any, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """Euclidean norm of all entries, or the vector norm of order `ord` over `dim`.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.linalg.norm(cr.tensor([[3.0, 0.0], [0.0, 4.0]]))
    tensor(5.)
    """
    pair = isinstance(dim, tuple | list) and len(dim) == 2
    if ord not in (None, "fro") and (pair or (dim is None and np.ndim(A) == 2)):
        from chainrule.errors import UnsupportedError

        raise UnsupportedError(
            f"the matrix norm of order {ord!r} is not there",
            fix="give dim= for a vector norm, or use ord=None (Frobenius)",
        )
    return _norm(A, 2 if ord in (None, "fro") else ord, dim, keepdim, dtype)


__all__ = ["matmul", "norm", "vector_norm"]

__getattr__ = _refusing("chainrule.linalg", __all__, "use NumPy in custom_rule, and state the derivative")
