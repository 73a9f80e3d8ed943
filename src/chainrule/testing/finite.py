"""Derivatives by differences: the comparison that knows nothing of rules."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from chainrule.errors import DataError


def central(f: Callable[[float], Any], h: float = 1e-5) -> Any:
    """df/ds at s = 0 by central differences of fourth order.

    Parameters
    ----------
    f
        Function of a number; its result is a number or an array.
    h
        Step: the error is of order h⁴ for the formula and ε/h for rounding, where ε is that of `f`.

    Returns
    -------
    NumPy array of the shape of ``f(0.0)``.

    Raises
    ------
    DataError (E105)
        A difference is not finite: the points lie outside the domain, and a comparison would prove nothing.

    Cost
    ----
    Four calls of `f`.

    Examples
    --------
    >>> import math
    >>> round(float(central(math.exp)), 9)
    1.0
    """
    with np.errstate(all="ignore"):
        far, near = (np.asarray(f(k * h)) - f(-k * h) for k in (2, 1))
        numeric = (8 * near - far) / (12 * h)
    if not np.isfinite(numeric).all():
        raise DataError(
            "a difference is not finite", given=f"{numeric} with step {h:g}",
            fix="choose a point inside the domain, further than two steps from its edge",
        )  # fmt: skip
    return numeric


def richardson(f: Callable[[float], Any], h: float = 0.1, levels: int = 6) -> tuple[Any, float]:
    """df/ds at s = 0 by extrapolation to step 0, and an estimate of its error.

    Parameters
    ----------
    f
        Function of a number, smooth on ``[-h, h]``.
    h
        Largest step; it is halved `levels` - 1 times.

    Returns
    -------
    ``(derivative, error)``: a NumPy array, and the largest difference between the two best columns.

    Raises
    ------
    DataError (E105)
        A difference is not finite.

    Cost
    ----
    2 · `levels` calls of `f`.

    Examples
    --------
    >>> import math
    >>> slope, error = richardson(math.sin)
    >>> abs(slope - 1.0) < 1e-12 and error < 1e-9
    True
    """
    with np.errstate(all="ignore"):
        row = [(np.asarray(f(s)) - f(-s)) / (2 * s) for s in (h / 2**k for k in range(levels))]
    if not all(np.isfinite(v).all() for v in row):
        raise DataError(
            "a difference is not finite",
            given=f"step {h:g}",
            fix="choose a smaller h, or a point inside the domain",
        )
    best, error = row[-1], np.inf
    for k in range(1, levels):
        row = [b + (b - a) / (4**k - 1) for a, b in pairwise(row)]
        change = float(np.max(np.abs(row[-1] - best), initial=0.0))
        if change > error:
            break
        best, error = row[-1], change
    return best, error


def complex_step(f: Callable[[complex], Any], h: float = 1e-200) -> Any:
    """df/ds at s = 0 as Im f(ih)/h: exact to rounding, for analytic functions that take complex numbers.

    Examples
    --------
    >>> import cmath
    >>> complex_step(lambda s: cmath.exp(2 * s))
    2.0
    """
    value = f(complex(0.0, h))
    return np.imag(value) / h if hasattr(value, "dtype") else value.imag / h
