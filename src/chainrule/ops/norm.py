"""Norms and distances of vectors."""

from __future__ import annotations

import math
from typing import Any

from chainrule.errors import ArgumentError
from chainrule.ops import elementwise as e
from chainrule.ops.arguments import operation, quick_first
from chainrule.ops.reduce import inexact, reduced
from chainrule.quick import reduction
from chainrule.table.primitive import TABLE


@quick_first(reduction(TABLE["norm"]), by_position=1)
@operation
def norm(input: Any, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    """Vector norm (Σ|x|ᵖ)^(1/p) over `dim`; p 2 or "fro" is the Euclidean one, whose gradient at 0 is 0.

    p may also be 1, inf, -inf, 0 (how many entries are not 0) or any other number. Huge and tiny entries neither
    overflow nor underflow. Entries that tie for p = inf share the gradient; with p < 1 it is NaN at an entry 0.
    """
    x = inexact("norm", input, dtype)
    if p in ("fro", None) or p == 2:
        return reduced("norm", x, dim, keepdim)
    if not isinstance(p, int | float):
        fix = 'use a number, inf or "fro"'
        raise ArgumentError(f"norm has no p={p!r}", fix=fix)
    if p == 1:
        return reduced("sum", e.abs(x), dim, keepdim)
    if p == 0:
        return reduced("sum", e.sign(e.abs(x)), dim, keepdim)
    if math.isinf(p):
        return _extreme_size(x, p, dim, keepdim)
    return reduced("p_norm", x, dim, keepdim, ord=float(p))


def _extreme_size(x: Any, p: float, dim: Any, keepdim: bool) -> Any:
    """Largest |x| (of no entries: 0), or smallest."""
    size = e.abs(x)
    if p > 0 and 0 in size.shape:
        return reduced("norm", size, dim, keepdim)
    return reduced("amax" if p > 0 else "amin", size, dim, keepdim)


@operation
def dist(input: Any, other: Any, p: float = 2) -> Any:
    """The norm of order `p` of `input` - `other`."""
    return norm(e.minus(input, other), p)


@operation
def normalize(input: Any, p: float = 2.0, dim: Any = 1, eps: float = 1e-12) -> Any:
    """`input` divided by its norm of order `p` over `dim`, or by `eps` where the norm is smaller.

    As torch's: where the norm is below `eps` the result is x/eps, and so is the gradient, 1/eps = 1e12 at 0.
    """
    x = inexact("normalize", input)
    return e.true_divide(x, e.clamp(norm(x, p, dim, True), min=eps))


__all__ = ["dist", "norm"]

METHODS = """
    norm dist
"""  # of Tensor
