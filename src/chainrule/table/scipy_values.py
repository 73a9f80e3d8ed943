"""Values that SciPy computes. It is imported when one of them first meets an array: its modules cost about 150 ms."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.table.primitive import refuse_complex


def from_scipy(name: str) -> Callable[..., Any]:
    """`scipy.special.name`, imported at its first use."""

    def value(*args: Any) -> Any:
        import scipy.special

        return getattr(scipy.special, name)(*args)

    return value


def in_double(value: Callable[..., Any]) -> Callable[..., Any]:
    """A value that is computed in double precision and rounded to the dtype that came in."""

    @functools.wraps(value)
    def call(*args: Any, **params: Any) -> Any:
        dtype = np.result_type(*args)
        out = value(*(np.asarray(a, np.float64) for a in args), **params)
        return out.astype(dtype) if dtype.kind == "f" else out

    return call


def only_real(name: str) -> Callable[..., Any]:
    """An `on_complex` that refuses: the function of complex numbers is not there."""
    return refuse_complex(
        name, "of complex numbers is not there", "pass the real part, or the absolute value"
    )
