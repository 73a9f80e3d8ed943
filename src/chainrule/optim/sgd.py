"""Gradient descent with momentum, as `torch.optim.SGD`."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.optim.one_pass import OnePass
from chainrule.optim.optimizer import Optimizer, memory, number
from chainrule.source import boundary
from chainrule.table.formula import Symbol


class SGD(Optimizer):
    """Gradient descent: ``w -= lr * w.grad``, with momentum, Nesterov's look ahead and weight decay.

    Parameters
    ----------
    params
        Leaves that require gradients, pairs ("name", leaf), or dicts ``{"params": [w], "lr": 0.1}``, a group each.
    lr
        Length of the step, per unit of gradient.
    momentum, dampening
        ``b = momentum * b + (1 - dampening) * grad`` is followed instead of the gradient (the first b is the gradient).
    weight_decay
        Added to the gradient: ``weight_decay * w``.
    nesterov
        Follow ``grad + momentum * b``; needs momentum and no dampening.
    maximize
        Go uphill.

    Raises
    ------
    ArgumentError (E104)
        A setting out of range, or a parameter that was computed: "can't optimize a non-leaf Tensor".
    DerivativeError (E201)
        In `step`: a gradient that is NaN or infinite.

    Cost
    ----
    One pass over each parameter, two with momentum, which takes memory of the size of the parameter.

    Examples
    --------
    >>> import chainrule as cr
    >>> w = cr.tensor([1.0, -2.0], requires_grad=True)
    >>> opt = cr.optim.SGD([w], lr=0.25)
    >>> for _ in range(2):
    ...     opt.zero_grad()
    ...     (w**2).sum().backward()
    ...     opt.step()
    >>> w
    tensor([ 0.2500, -0.5000], requires_grad=True)
    """

    @boundary
    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, dict(lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay,
                                      nesterov=nesterov, maximize=maximize))  # fmt: skip

    def check(self, group: dict[str, Any]) -> None:
        """Refuse settings that mean nothing."""
        for name in ("lr", "momentum", "weight_decay"):
            number(group[name], name, 0.0)
        number(group["dampening"], "dampening", float("-inf"))
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ArgumentError("nesterov needs momentum, and no dampening",
                                given=f"momentum={group['momentum']}, dampening={group['dampening']}",
                                fix="e.g. momentum=0.9, dampening=0")  # fmt: skip

    def advance(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        """b = momentum · b + (1 - dampening) · g."""
        if not group["momentum"]:
            return
        first = "momentum_buffer" not in state
        b = memory(state, "momentum_buffer", p)
        if first:
            b[...] = g
        elif not _FOLLOWED((b,), b=b, g=g, momentum=group["momentum"], share=1 - group["dampening"]):
            np.multiply(b, group["momentum"], out=b)
            np.add(b, g * (1 - group["dampening"]), out=b)

    def update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> Any:
        """-lr · b, or that of Nesterov's rule."""
        return _direction(p, g, state, group) * -number(group["lr"], "lr", 0.0)

    def move(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> bool:
        """p - lr · b, entry by entry."""
        size = -number(group["lr"], "lr", 0.0)
        return _MOVED((p.v,), w=p.v, b=_direction(p, g, state, group), size=size)


def _direction(p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> Any:
    if not group["momentum"]:
        return g
    b = memory(state, "momentum_buffer", p)
    return g + b * group["momentum"] if group["nesterov"] else b


_b, _g, _w, _momentum, _share, _size = map(Symbol, ("b", "g", "w", "momentum", "share", "size"))
_FOLLOWED = OnePass(_b * _momentum + _g * _share)
_MOVED = OnePass(_w + _b * _size)


__all__ = ["SGD"]
