"""What torch's optimisers share: parameter groups, state, the step, and a report on what it did."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from chainrule.dispatch import share
from chainrule.eager.inplace import mark
from chainrule.eager.tensor import Tensor
from chainrule.errors import ArgumentError, DataError, DerivativeError, GradientNote, ShapeError
from chainrule.ops.creation import make_leaf, zeros_like
from chainrule.optim.report import Report, movement, stillness
from chainrule.source import boundary, user_frame
from chainrule.tape.modes import enable_grad
from chainrule.tape.node import Leaf
from chainrule.tape.numbers import emit, quiet


class Optimizer:
    """Base of the optimisers: holds parameters in groups, each with its own settings, and moves them in `step`.

    A subclass says in `advance` how its memory (momentum …) takes up a gradient, and in `update` which step follows.
    """

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[Any, dict[str, Any]] = {}
        self._skipped: list[Any] = []
        self._steps = 0
        if isinstance(params, Tensor):
            raise ArgumentError("the parameters are one Tensor, not a list of them", fix="pass [w]")
        if not isinstance(params, Iterable):
            raise ArgumentError(f"the parameters are a {type(params).__name__}", fix="pass a list of Tensors")
        given = list(params)
        if not given:
            raise ArgumentError("there are no parameters to optimise", fix="pass the tensors, e.g. [w, b]")
        for group in given if isinstance(given[0], dict) else [{"params": given}]:
            self.add_param_group(group)

    # --- what a subclass says ------------------------------------------------------------------------

    def advance(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Take the gradient `g` (an array) up into the memory of parameter `p`."""
        raise NotImplementedError

    def update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> Any:
        """What is added to the parameter, given the memory; changes nothing."""
        raise NotImplementedError

    def move(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> bool:
        """Add the update to a large parameter in one pass; whether that was done."""
        return False

    def check(self, group: dict[str, Any]) -> None:
        """Refuse settings that mean nothing."""
        raise NotImplementedError

    # --- what a user calls -----------------------------------------------------------------------------

    @boundary
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter that has a gradient; returns what `closure` (which computes the loss anew) returns.

        Raises
        ------
        DerivativeError (E201)
            A gradient has entries that are NaN or infinite: then no parameter is moved.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        moving, self._skipped = [], []
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    self._skipped.append(p)
                else:
                    self._check_finite(p)
                    moving.append((p, group))
        with quiet():
            for p, group in moving:
                g = gradient_of(p, group)
                state = self.state.setdefault(p, {})
                self.advance(p, g, state, group)
                mark(p)
                if not self.move(p, g, state, group):
                    _add(p, self.update(p, g, state, group))
        self._steps += 1
        return loss

    @boundary
    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients: `.grad` becomes None, or zeros where `set_to_none` is False."""
        for p in self._parameters():
            if p.grad is None:
                continue
            if set_to_none:
                p.grad = None
            else:
                p.grad = zeros_like(p)

    @boundary
    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with settings of their own: ``{"params": [w], "lr": 0.1}``."""
        if not isinstance(param_group, dict) or "params" not in param_group:
            raise ArgumentError("a group of parameters is a dict with the key 'params'",
                                given=repr(param_group)[:60], fix='write {"params": [w], "lr": 0.1}')  # fmt: skip
        group = {**self.defaults, **param_group}
        given = group["params"]
        given = [given] if isinstance(given, Tensor) else list(given)
        if given and isinstance(given[0], tuple):
            group["param_names"], given = [n for n, _ in given], [p for _, p in given]
        seen = {id(p) for p in self._parameters()}
        for k, p in enumerate(given):
            _check_parameter(p, k)
            if id(p) in seen:
                raise ArgumentError("a parameter is given twice, and would be moved twice",
                                    given=f"parameter {k}, made at {p.n.source}",
                                    fix="give each parameter once")  # fmt: skip
            seen.add(id(p))
        group["params"] = given
        unknown = set(group) - {*self.defaults, "params", "param_names", "initial_lr"}
        if unknown:
            raise ArgumentError(f"{type(self).__name__} has no setting {min(unknown)!r}",
                                fix=f"use {', '.join(self.defaults)}")  # fmt: skip
        self.check(group)
        self.param_groups.append(group)

    @boundary
    def state_dict(self) -> dict[str, Any]:
        """Settings and memory as plain data, which `chainrule.save` takes; parameters are named by their number."""
        number = {id(p): k for k, p in enumerate(self._parameters())}
        groups = [{**g, "params": [number[id(p)] for p in g["params"]]} for g in self.param_groups]
        return {"state": {number[id(p)]: dict(s) for p, s in self.state.items()}, "param_groups": groups}

    @boundary
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up settings and memory that `state_dict` gave, for the same parameters in the same order."""
        if not isinstance(state_dict, dict) or not {"state", "param_groups"} <= set(state_dict):
            raise DataError("this is no state of an optimiser", given=type(state_dict).__name__,
                            fix="pass what optimizer.state_dict() gave")  # fmt: skip
        groups = copy.deepcopy(state_dict["param_groups"])
        sizes = [[len(g["params"]) for g in gs] for gs in (self.param_groups, groups)]
        if sizes[0] != sizes[1]:
            raise ShapeError("the state is of other groups of parameters",
                             given=f"groups of {sizes[1]}, this optimiser has {sizes[0]}",
                             fix="make the optimiser with the same parameters as the one that was saved")  # fmt: skip
        params = list(self._parameters())
        numbers = [k for g in groups for k in g["params"]]
        by_number = dict(zip(numbers, params, strict=True))
        state = {by_number[k]: _restored(s, by_number[k], k) for k, s in state_dict["state"].items()}
        for mine, theirs in zip(self.param_groups, groups, strict=True):
            new = {**mine, **{k: v for k, v in theirs.items() if k != "params"}}
            self.check(new)
            mine.update(new)
        self.state = state

    @boundary
    def report(self) -> Report:
        """What the last `step` did with each parameter: how far it moved, was it skipped, was it lost to rounding.

        Ask before `zero_grad`: the steps are computed again from the gradients.

        Examples
        --------
        >>> import chainrule as cr
        >>> w = cr.tensor(1.0, requires_grad=True, dtype=cr.float32)
        >>> b = cr.tensor(0.0, requires_grad=True)
        >>> opt = cr.optim.SGD([("w", w), ("b", b)], lr=1e-8)
        >>> (w**2).backward()
        >>> opt.step()
        >>> print(opt.report())
        SGD, after step 1
          w   stands still: the step of 2e-08 is 0.34 of the spacing of float32 below 1
          b   skipped: its .grad is None, so the loss did not depend on it
        """
        rows = []
        skipped = set(map(id, self._skipped))
        for group in self.param_groups:
            for k, p in enumerate(group["params"]):
                names = group.get("param_names")
                name = names[k] if names else f"parameter {len(rows)} ({p.n.source.place})"
                if not self._steps:
                    rows.append((name, "not moved yet: step() was not called"))
                elif id(p) in skipped:
                    rows.append((name, "skipped: its .grad is None, so the loss did not depend on it"))
                elif p.grad is None:
                    rows.append((name, "its gradient is gone: ask before zero_grad()"))
                else:
                    rows.append((name, self._told(p, group)))
        return Report(type(self).__name__, self._steps, tuple(rows))

    def _told(self, p: Any, group: dict[str, Any]) -> str:
        value = np.asarray(p.v)
        with quiet():
            step = np.asarray(self.update(p, gradient_of(p, group), self.state[p], group))
        return stillness(value, step) or movement(step)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for k, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {k}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if not key.startswith("param")]
        return "\n".join([*lines, ")"])

    def _parameters(self) -> Iterable[Any]:
        return (p for g in self.param_groups for p in g["params"])

    def _check_finite(self, p: Any) -> None:
        g = np.asarray(p.grad.v)
        with quiet():
            if np.isfinite(emit("sum", g, axis=tuple(range(g.ndim)), keepdims=False)):
                return
        wrong = ~np.isfinite(g)
        if not wrong.any():
            return
        first = tuple(int(i) for i in np.argwhere(wrong)[0])
        number = next(k for k, q in enumerate(self._parameters()) if q is p)
        at = f"[{', '.join(map(str, first))}]" if first else ""
        raise DerivativeError(
            f"a gradient is not finite ({int(wrong.sum())} of {g.size} entries): no parameter was moved",
            given=f"grad{at} = {g[first]} of parameter {number}, made at {p.n.source}",
            fix="ask chainrule.why(w.grad) where it arose; to go on without it, call zero_grad() instead of step()",
        )


def gradient_of(p: Any, group: dict[str, Any]) -> Any:
    """The gradient as torch's optimisers take it: turned round to maximise, with weight decay."""
    g = np.asarray(p.grad.v)
    if group["maximize"]:
        g = -g
    if group["weight_decay"]:
        g = g + np.asarray(p.v) * group["weight_decay"]
    return g


def memory(state: dict[str, Any], name: str, p: Any) -> np.ndarray:
    """The array of a state tensor of the shape of `p`, zeros at first."""
    if name not in state:
        state[name] = make_leaf(np.zeros(p.shape, p.dtype))
    return share(state[name])


def number(v: Any, name: str, low: float, high: float = float("inf")) -> float:
    """A setting as a number from `low` to `high`."""
    value = v.item() if isinstance(v, Tensor) else v
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not low <= value <= high:
        span = f"from {low} on" if high == float("inf") else f"from {low} up to {high}"
        raise ArgumentError(f"{name} is {v!r}", fix=f"use a number {span}")
    return value


def _check_parameter(p: Any, k: int) -> None:
    if not isinstance(p, Tensor):
        raise ArgumentError(f"parameter {k} is a {type(p).__name__}, not a Tensor", given=repr(p)[:60],
                            fix="make it with tensor(…, requires_grad=True)")  # fmt: skip
    if not p.is_leaf:
        raise ArgumentError(
            f"can't optimize a non-leaf Tensor: parameter {k} was computed", given=f"{p.n.name} at {p.n.source}",
            fix="optimise what it was computed from, or w = w.detach().requires_grad_()",
        )  # fmt: skip
    if not p.requires_grad:
        frame = user_frame()
        warnings.warn_explicit(
            f"parameter {k} (made at {p.n.source.place}) does not require a gradient: step() will never move it. "
            "Mark it with requires_grad=True, or leave it out.",
            GradientNote, frame.f_code.co_filename, frame.f_lineno,
            registry=frame.f_globals.setdefault("__warningregistry__", {}),
        )  # fmt: skip


def _add(p: Any, step: Any) -> None:
    """p += step, in the memory that it has."""
    if p.v.__class__ is np.ndarray:
        np.add(p.v, step, out=p.v)
    else:
        p.v = type(p.v)(p.v + step)
    if isinstance(p.n, Leaf):
        p.n.out = p.v if p.v.__class__ is float else p.n.out


def _restored(state: dict[str, Any], p: Any, number: int) -> dict[str, Any]:
    """The memory of one parameter, copied, in its dtype."""
    found = {}
    for name, v in state.items():
        if isinstance(v, Tensor) and v.dim() and v.shape != p.shape:
            raise ShapeError(f"{name} of parameter {number} has another shape than the parameter",
                             given=f"{list(v.shape)} for {list(p.shape)}",
                             fix="load the state of an optimiser with the same parameters")  # fmt: skip
        if isinstance(v, Tensor):
            found[name] = make_leaf(
                np.array(v.v, p.dtype if v.shape == p.shape and name != "step" else v.dtype)
            )
        else:
            found[name] = copy.deepcopy(v)
    return found


__all__ = ["Optimizer"]
