"""torch.autograd's names: gradients of tensors that are computed already, and the modes."""

from __future__ import annotations

from typing import Any

from chainrule.api.function import Function
from chainrule.autograd import function, functional
from chainrule.eager import backward as _engine
from chainrule.errors import refusing as _refusing
from chainrule.source import boundary
from chainrule.tape.modes import enable_grad, inference_mode, no_grad, set_grad_enabled
from chainrule.testing.gradcheck import gradcheck, gradgradcheck


@boundary
def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """Gradients of the sum of `outputs` with respect to each of `inputs`; `.grad` of the leaves stays as it is.

    Parameters
    ----------
    outputs, inputs
        A Tensor or several. Inputs may be leaves or computed tensors.
    grad_outputs
        Weights of the outputs, of their shapes; needed for outputs with several entries.
    retain_graph
        Keep what the graph saved for another pass (default: `create_graph`).
    create_graph
        Record the gradients, for second derivatives.
    allow_unused, materialize_grads
        For an input that the outputs do not depend on: None instead of an error, or zeros.

    Returns
    -------
    One Tensor per input, of its shape and dtype.

    Raises
    ------
    UnusedError (E207)
        An output does not depend on an input (see `allow_unused`).
    NotScalarError (E203), NotTrackedError (E202), GraphFreedError (E204), OverwrittenError (E205)
        As `Tensor.backward`.

    Cost
    ----
    About 1 to 3 times the computation of the outputs; only what lies between inputs and outputs is walked.

    Examples
    --------
    >>> import chainrule as cr
    >>> x = cr.tensor(3.0, requires_grad=True)
    >>> (g,) = cr.autograd.grad(x**3, x, create_graph=True)
    >>> g, cr.autograd.grad(g, x)
    (tensor(27., grad_fn=<MulBackward0>), (tensor(18.),))
    """
    return _engine.grad(
        outputs, inputs, grad_outputs, retain_graph, create_graph, allow_unused, materialize_grads
    )


@boundary
def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Accumulate the gradients of the sum of several tensors in `.grad` of the leaves; see `Tensor.backward`."""
    _engine.backward(tensors, grad_tensors, retain_graph, create_graph, inputs)


__all__ = [
    "Function",
    "backward",
    "enable_grad",
    "function",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "no_grad",
    "set_grad_enabled",
]

__getattr__ = _refusing(
    "chainrule.autograd",
    __all__,
    "use what dir(chainrule.autograd) lists; a NaN: why(x)",
)
