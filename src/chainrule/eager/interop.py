"""NumPy's functions and operators on Tensors, in both operand orders."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.source import boundary, user_frame
from chainrule.tape.modes import scope


@boundary
def array_ufunc(self: Any, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """A NumPy ufunc on tensors is the operation of the same name, so that the graph is kept."""
    from chainrule.eager import numpy_names

    frame = user_frame(1)
    with scope("", frame.f_code, frame.f_lasti):  # no name of its own, but the user's line
        return numpy_names.call_ufunc(ufunc, method, inputs, kwargs)


@boundary
def array_function(self: Any, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
    """A NumPy function on tensors is the operation of the same name, so that the graph is kept."""
    from chainrule.eager import numpy_names

    frame = user_frame(1)
    with scope(func.__name__, frame.f_code, frame.f_lasti):
        return numpy_names.call_function(func, args, kwargs)
