"""Special functions under torch's names (betaln: SciPy's)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.dispatch import Handle, bind, node_of
from chainrule.errors import ArgumentError, UnsupportedError
from chainrule.ops import elementwise as e
from chainrule.ops.arguments import operation
from chainrule.ops.function import function
from chainrule.table.primitive import TABLE
from chainrule.tape.modes import current

sinc = function("sinc")
entr = function("entr")
xlog1py = function("xlog1py")
lgamma = function("lgamma")
digamma = function("digamma")
betaln = function("betaln")
erfcx = function("erfcx")
erfinv = function("erfinv")
ndtr = function("ndtr")
log_ndtr = function("log_ndtr")
ndtri = function("ndtri")
i0 = function("i0")
i0e = function("i0e")
i1 = function("i1")
i1e = function("i1e")
bessel_j0 = function("bessel_j0")
bessel_j1 = function("bessel_j1")


def _of_order(name: str, what: str) -> Callable[[Any, Any], Any]:
    """A function of an order and a number; in the order it has no derivative here, which is said, not None."""
    p = TABLE[name]

    def op(input: Any, other: Any) -> Any:
        if current().grad and isinstance(input, Handle) and node_of(input).pull is not None:
            raise UnsupportedError(
                f"{name} has no derivative in {what}, its first argument", given="an argument that requires a gradient",
                fix="pass it detached, input.detach(), if it is a constant here",
            )  # fmt: skip
        return bind(p, input, other)

    op.__name__ = op.__qualname__ = name
    op.__doc__ = p.doc
    return operation(op)


gammainc = igamma = _of_order("gammainc", "the order")
gammaincc = igammac = _of_order("gammaincc", "the order")
zeta = _of_order("zeta", "the exponent")


def _count(n: Any, name: str, least: int) -> int:
    """A whole number that is at least `least`."""
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < least:
        raise ArgumentError(
            f"{name} is a whole number, {least} or more", given=f"{name}={n!r}",
            fix="give a Python int; the order comes first: polygamma(1, x)" if name == "n" else "give a Python int",
        )  # fmt: skip
    return int(n)


@operation
def polygamma(n: int, input: Any) -> Any:
    """The n-th derivative of digamma; polygamma(0, x) is digamma(x). As a method: x.polygamma(n)."""
    n = _count(n, "n", 0)
    return digamma(input) if n == 0 else bind(TABLE["polygamma"], input, n=n)


def polygamma_of(self: Any, n: int) -> Any:
    """The n-th derivative of digamma, at this tensor."""
    return polygamma(n, self)


@operation
def multigammaln(input: Any, p: int) -> Any:
    """ln of the multivariate gamma function of dimension p: p(p - 1)/4·ln π + Σ ln Γ(x - j/2), j < p."""
    p = _count(p, "p", 1)
    v = input.v if isinstance(input, Handle) else input
    if np.any(np.asarray(v) <= (p - 1) / 2):
        raise ArgumentError(
            f"multigammaln of dimension {p} is there for numbers above {(p - 1) / 2:g}",
            given=f"smallest entry {np.min(v)}", fix="shift the argument, or lower p",
        )  # fmt: skip
    out = lgamma(input)
    for j in range(1, p):
        out = e.plus(out, lgamma(e.minus(input, j / 2)))
    return e.plus(out, p * (p - 1) / 4 * math.log(math.pi)) if p > 1 else out


mvlgamma = multigammaln

__all__ = ["digamma", "erfinv", "i0", "igamma", "igammac", "lgamma", "mvlgamma", "polygamma", "sinc"]

METHODS = "digamma erfinv i0 igamma igammac lgamma mvlgamma sinc"  # of Tensor; polygamma with its operands exchanged
