"""torch.func's names: transforms of functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chainrule.api.functional import grad, hessian, jacfwd, jacrev, jvp, value_and_grad, vjp
from chainrule.source import boundary


@boundary
def grad_and_value(
    func: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """As `value_and_grad`, with the gradient first.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.func.grad_and_value(lambda w: 4 * w + w**3)(1.0)
    (tensor(7.), tensor(5.))
    """
    both = value_and_grad(func, argnums, has_aux)

    @boundary
    def gradient_first(*args: Any, **kwargs: Any) -> Any:
        value, gradient = both(*args, **kwargs)
        return gradient, value

    return gradient_first


__all__ = ["grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "value_and_grad", "vjp"]
