"""Updates of large arrays in one pass through memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.table.formula import Formula
from chainrule.tape import kernels


class OnePass:
    """Formulas of arrays, written into some of these by a compiled loop.

    Returns whether that was done: only for large arrays of one shape and dtype that lie in order, and with llvmlite.
    """

    def __init__(self, *formulas: Formula) -> None:
        self.formulas = list(formulas)

    def __call__(self, into: tuple[Any, ...], **values: Any) -> bool:
        if not all(map(_is_plain, into)):
            return False
        values = {name: float(v) if v.__class__ is int else v for name, v in values.items()}
        return kernels.run(self.formulas, values, {}, into) is not None


def _is_plain(a: Any) -> bool:
    return (
        a.__class__ is np.ndarray and a.size >= kernels.LEAST and a.flags.c_contiguous and a.flags.writeable
    )
