"""Adam, as `torch.optim.Adam`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, DtypeError
from chainrule.optim.one_pass import OnePass
from chainrule.optim.optimizer import Optimizer, memory, number
from chainrule.source import boundary
from chainrule.table.formula import Symbol, apply


class Adam(Optimizer):
    """Steps of about `lr` in each entry, whatever the size of its gradient: the mean gradient over its mean size.

    Parameters
    ----------
    params
        Leaves that require gradients, pairs ("name", leaf), or dicts ``{"params": [w], "lr": 0.1}``, a group each.
    lr
        Length of the step.
    betas
        How much of the running means of the gradient and of its square is kept in each step.
    eps
        Added to the root of the mean square.
    weight_decay
        Added to the gradient: ``weight_decay * w``.
    amsgrad
        Divide by the largest mean square so far.
    maximize
        Go uphill.

    Raises
    ------
    ArgumentError (E104)
        A setting out of range, or a parameter that was computed: "can't optimize a non-leaf Tensor".
    DtypeError (E102)
        A complex parameter.
    DerivativeError (E201)
        In `step`: a gradient that is NaN or infinite.

    Cost
    ----
    Some ten passes over each parameter; memory of twice its size (three times with `amsgrad`).

    Source: Kingma and Ba (2015), algorithm 1, and Reddi, Kale and Kumar (2018) for `amsgrad`.

    Examples
    --------
    >>> import chainrule as cr
    >>> w = cr.tensor([100.0, -0.01], requires_grad=True)
    >>> opt = cr.optim.Adam([w], lr=0.001)
    >>> (w**2).sum().backward()
    >>> opt.step()
    >>> w
    tensor([ 9.9999e+01, -9.0000e-03], requires_grad=True)
    """

    @boundary
    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad, maximize=maximize),
        )

    def check(self, group: dict[str, Any]) -> None:
        """Refuse settings that mean nothing."""
        for name in ("lr", "eps", "weight_decay"):
            number(group[name], name, 0.0)
        if not isinstance(group["betas"], tuple | list) or len(group["betas"]) != 2:
            raise ArgumentError(
                f"betas is {group['betas']!r}", fix="use two numbers, e.g. betas=(0.9, 0.999)"
            )
        for k, beta in enumerate(group["betas"]):
            if number(beta, f"betas[{k}]", 0.0, 1.0) == 1:
                raise ArgumentError(f"betas[{k}] is 1: nothing would be learned", fix="use a number below 1")
        for k, p in enumerate(group["params"]):
            if hasattr(p, "dtype") and p.dtype.kind == "c":
                raise DtypeError(f"Adam of the complex parameter {k}", given=str(p.dtype),
                                 fix="optimise its real and imaginary part, or use SGD")  # fmt: skip

    def advance(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        """m += (1 - β₁)(g - m) and v = β₂ v + (1 - β₂) g²."""
        beta1, beta2 = group["betas"]
        state["step"] = state.get("step", 0) + 1
        m, v = memory(state, "exp_avg", p), memory(state, "exp_avg_sq", p)
        if 1 - beta1 >= 0.5:  # near g the other form rounds less
            np.subtract(g, (g - m) * beta1, out=m)
            np.multiply(v, beta2, out=v)
            np.add(v, g * g * (1 - beta2), out=v)
        elif not _MEANS((m, v), m=m, v=v, g=g, share1=1 - beta1, beta2=beta2, share2=1 - beta2):
            np.add(m, (g - m) * (1 - beta1), out=m)
            np.multiply(v, beta2, out=v)
            np.add(v, g * g * (1 - beta2), out=v)
        if group["amsgrad"]:
            largest = memory(state, "max_exp_avg_sq", p)
            np.maximum(largest, v, out=largest)

    def update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> Any:
        """-lr · m̂ / (√v̂ + eps), where the hats undo that the means began at 0."""
        n = self._numbers(p, state, group)
        return n["m"] * n["size"] / (np.sqrt(n["v"]) / n["root"] + n["eps"])

    def move(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> bool:
        """The parameter and the update, added entry by entry."""
        return _MOVED((p.v,), w=p.v, **self._numbers(p, state, group))

    def _numbers(self, p: Any, state: dict[str, Any], group: dict[str, Any]) -> dict[str, Any]:
        beta1, beta2 = group["betas"]
        t = int(state["step"])
        return {
            "m": memory(state, "exp_avg", p),
            "v": memory(state, "max_exp_avg_sq" if group["amsgrad"] else "exp_avg_sq", p),
            "size": -number(group["lr"], "lr", 0.0) / (1 - beta1**t),
            "root": math.sqrt(1 - beta2**t),
            "eps": group["eps"],
        }


_m, _v, _g, _w = map(Symbol, ("m", "v", "g", "w"))
_MEANS = OnePass(_m + (_g - _m) * Symbol("share1"), _v * Symbol("beta2") + _g * _g * Symbol("share2"))
_MOVED = OnePass(_w + _m * Symbol("size") / (apply("sqrt", _v) / Symbol("root") + Symbol("eps")))

__all__ = ["Adam"]
