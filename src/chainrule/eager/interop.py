"""NumPy's functions and operators on Tensors, in both operand orders."""

from __future__ import annotations

from typing import Any

import numpy as np


def array_ufunc(self: Any, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """A NumPy ufunc on tensors is the operation of the same name, so that the graph is kept."""
    from chainrule.eager import numpy_names

    return numpy_names.call_ufunc(ufunc, method, inputs, kwargs)


def array_function(self: Any, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
    """A NumPy function on tensors is the operation of the same name, so that the graph is kept."""
    from chainrule.eager import numpy_names

    return numpy_names.call_function(func, args, kwargs)
