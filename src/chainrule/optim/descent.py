"""minimize: gradient descent that says how it ended."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.dispatch import Handle, source_code
from chainrule.eager.backward import node_of
from chainrule.errors import ArgumentError, DtypeError
from chainrule.ops.creation import integer_gradient, make_leaf, tensor
from chainrule.optim.progress import Progress, progress_of
from chainrule.optim.result import Descent, Evidence
from chainrule.optim.status import ending, lecture_ending
from chainrule.optim.walk import Best, Point, Walk
from chainrule.source import boundary
from chainrule.tape.modes import enable_grad


@dataclass(frozen=True, slots=True)
class State:
    """What a callback sees: a point of the descent, and what was measured there.

    step
        How many steps led here: 0 at the start.
    value, norm
        L and ‖∇L‖ at `w`.
    w, grad
        The point and ∇L there, as tensors of their own.
    """

    step: int
    value: float
    norm: float
    _w: Any = field(repr=False)
    _g: Any = field(repr=False)

    @property
    def w(self) -> Any:
        """The point."""
        return as_tensor(self._w)

    @property
    def grad(self) -> Any:
        """∇L at the point."""
        return as_tensor(self._g)


def as_tensor(v: Point) -> Any:
    """A tensor of its own of a point."""
    return make_leaf(v if v.__class__ is float else np.array(v))


@boundary
def minimize(
    f: Callable[[Any], Any],
    x0: Any,
    method: str = "gradient_descent",
    *,
    lr: float = 1e-2,
    tol: float = 1e-6,
    maxiter: int = 10_000,
    callback: Callable[[State], Any] | None = None,
    progress: Any = None,
    strict: bool = True,
) -> Descent:
    """Walk downhill from `x0` by ``w = w - lr * ∇f(w)``, and say how it ended.

    Parameters
    ----------
    f
        Function of one tensor, of the shape of `x0`, that returns one number. It runs once per step, on concrete
        values: Python `if` and `while` work.
    x0
        Where to start: a float, a list of floats, an array or a tensor. It is not changed. The descent runs in its
        dtype (float64 for Python numbers).
    method
        "gradient_descent" is the one there is.
    lr
        Learning rate, above 0: the step is `lr` times the gradient.
    tol
        Done when ‖∇f‖ is no larger, both where the last step began and at the point that is returned.
    maxiter
        The largest number of steps.
    callback
        Called with a `State` at each point; the descent ends there if it returns True or raises StopIteration.
    progress
        True: show a line in a terminal or notebook, rows elsewhere. A function of text gets the rows. None: a line in a
        terminal or notebook, once the run takes longer than a second. False: nothing.
    strict
        False runs the lecture's loop as it is: it ends at `tol` or at `maxiter`, also where w no longer changes.

    Returns
    -------
    `Descent`: `status`, `w`, `value`, `grad`, `steps`, `success`, `history`, `criteria`, `why()`, `plot()`,
    `to_csv(path)`. The status is converged, stalled, cycling, oscillating, diverged, flat, max_iterations,
    non_finite or interrupted (Ctrl-C, or the callback). Value and gradient are those of `w`.

    Raises
    ------
    ArgumentError (E104)
        A setting that has no meaning: lr ≤ 0, tol < 0, maxiter < 0, an unknown method.
    DtypeError (E102)
        `x0` is made of whole or complex numbers.
    NotScalarError (E203)
        `f` returns more than one number.
    UnusedError (E207)
        What `f` returns does not depend on its argument.

    Cost
    ----
    One forward and one backward pass per step, and one more at the end.

    Examples
    --------
    >>> import chainrule as cr
    >>> r = cr.minimize(lambda w: (w[0] - 2) ** 2 + (w[1] + 3) ** 2, [0.0, 0.0], lr=1e-2)
    >>> r.status, r.steps, r.w
    ('converged', 783, tensor([ 2.0000, -3.0000]))
    """
    _check(f, method, lr, tol, maxiter)
    start = start_of(x0)
    shown = progress_of(progress, maxiter)
    source = source_code()
    return descend(f, start, lr=float(lr), tol=float(tol), maxiter=int(maxiter), source=source,
                   callback=callback, shown=shown, strict=strict)  # fmt: skip


def descend(
    f: Callable[[Any], Any], start: Point, *, lr: float, tol: float, maxiter: int, source: tuple[Any, int],
    callback: Callable[[State], Any] | None = None, shown: Progress | None = None, strict: bool = True,
) -> Descent:  # fmt: skip
    """The loop, with checked arguments."""
    s = Walk(f, start, lr=lr, tol=tol, source=source)
    ends = ending if strict else lecture_ending
    begun = time.perf_counter()
    status, reason = None, ""
    try:
        with enable_grad():
            while True:
                s.measure()
                if callback is not None and _stops(callback, s):
                    status, reason = "interrupted", "callback"
                    break
                status = ends(s, maxiter)
                if status is not None:
                    break
                s.step()
                if shown is not None:
                    shown.step(s.k, s.value, s.norm, s.largest)
    except KeyboardInterrupt:
        if s.best is None:
            raise  # nothing was measured: there is nothing to return
        status, reason = "interrupted", "keyboard"
    s.close()
    if shown is not None:
        shown.finish(s.k, s.norm, status)
    evidence = Evidence(f, start, source, time.perf_counter() - begun, strict, reason)
    return _result(s, status, evidence, maxiter)


def _stops(callback: Callable[[State], Any], s: Walk) -> bool:
    try:
        return callback(State(s.k, s.value, s.norm, s.w, s.g)) is True
    except StopIteration:
        return True


def _result(s: Walk, status: str, evidence: Evidence, maxiter: int) -> Descent:
    """The last point; the best one where the last is none to be kept."""
    last = Best(s.w, s.value, s.g, s.norm, s.k)
    lost = evidence.reason == "keyboard" or (evidence.strict and status in ("diverged", "non_finite"))
    point = s.best if lost and s.best is not None else last
    return Descent(
        status=status, w=as_tensor(point.w), value=point.value, grad=as_tensor(point.g), norm=point.norm,
        steps=s.k, at_step=point.k, lr=s.lr, tol=s.tol, maxiter=maxiter, history=s.history,
        evidence=evidence.of(s),
    )  # fmt: skip


# --- what is given ----------------------------------------------------------------------------------------


def start_of(x0: Any) -> Point:
    """The values of `x0`, copied: a Python float for a 0-d float64, else an array."""
    t = x0 if isinstance(x0, Handle) else tensor(x0)
    dtype = t.dtype
    if dtype.kind == "c":
        fix = "pass the real and the imaginary parts as two numbers, and join them in the function"
        raise DtypeError(
            "a descent needs real numbers: complex ones have no downhill", given=str(dtype), fix=fix
        )
    if dtype.kind != "f":
        error = integer_gradient(dtype)
        error.what = f"x0 is made of whole numbers ({dtype.name}), which cannot change by a little"
        error.args = (error.what,)
        raise error
    if t.numel() == 0:
        raise ArgumentError(
            "x0 has no entries: nothing can be varied", given=f"shape {list(t.shape)}", fix="give a point"
        )
    node_of(t)  # a view of something that was changed in place is read anew
    v = t.v if t.v.__class__ is float else np.array(t.v)
    if not np.isfinite(v).all():
        raise ArgumentError("x0 is not finite", given=_named(v), fix="start at a point of finite numbers")
    return v.item() if v.__class__ is not float and v.ndim == 0 and v.dtype == np.float64 else v


def _named(v: Any) -> str:
    bad = np.argwhere(~np.isfinite(np.asarray(v)))[0].tolist()
    return f"x0{bad or ''} = {np.asarray(v)[tuple(bad)]}"


def _check(f: Any, method: Any, lr: Any, tol: Any, maxiter: Any) -> None:
    if not callable(f):
        fix = "write minimize(f, x0): first a function of the unknowns, then where to start"
        raise ArgumentError(f"minimize takes a function, not a {type(f).__name__}", fix=fix)
    if method != "gradient_descent":
        raise ArgumentError(
            "the method is not known",
            given=f"method={method!r}",
            fix="use 'gradient_descent', or leave it out",
        )
    _number("lr", lr, "lr=0.01 is a common start")
    if not lr > 0:
        why = "would stay where it is" if lr == 0 else "would walk uphill; to find a maximum minimise -f"
        raise ArgumentError(
            f"the learning rate is not above 0: the descent {why}", given=f"lr={lr}", fix="use lr=0.01"
        )
    _number("tol", tol, "tol=1e-6 is a common choice")
    if not tol >= 0:
        raise ArgumentError(
            "no norm is below 0, so the tolerance is never met", given=f"tol={tol}", fix="use tol=1e-6"
        )
    if isinstance(maxiter, bool) or not isinstance(maxiter, int | np.integer) or maxiter < 0:
        fix = "pass a whole number of steps, such as maxiter=10_000"
        raise ArgumentError("maxiter is the largest number of steps", given=f"maxiter={maxiter!r}", fix=fix)


def _number(name: str, x: Any, fix: str) -> None:
    if (
        isinstance(x, bool)
        or not isinstance(x, int | float | np.integer | np.floating)
        or not math.isfinite(x)
    ):
        raise ArgumentError(f"{name} is one finite number", given=f"{name}={x!r}", fix=fix)
