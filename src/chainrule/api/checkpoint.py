"""checkpoint: compute again in the backward pass instead of keeping.

The function runs once, recorded as ever; then its part of the tape loses its arrays (`tape/segments.py`). Parents,
hooks, lines and numbers stay, so every mode and every order works as without: only that a walk runs the function again.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from chainrule.api import trees
from chainrule.api.run import check_function
from chainrule.dispatch import Handle, node_of
from chainrule.eager.backward import changed_after
from chainrule.errors import OverwrittenError
from chainrule.ops.random_numbers import default_generator
from chainrule.source import boundary
from chainrule.tape.memory import written_after
from chainrule.tape.modes import current, enable_grad
from chainrule.tape.node import Node, next_serial
from chainrule.tape.segments import Segment, not_repeated


@boundary
def checkpoint(f: Callable[..., Any], *, preserve_rng_state: bool = True) -> Callable[..., Any]:
    """The same function with less memory: what it computes on the way is not kept, but computed again when needed.

    Also a decorator. `utils.checkpoint.checkpoint(f, *args)` is PyTorch's form.

    Parameters
    ----------
    f
        Function of anything that returns tensors, or dicts, lists, tuples and dataclasses with tensors in them. Tensors
        over which it closes are connected as ever. It runs a second time in each backward or forward walk that
        passes, so it depends on its arguments and closures alone, and leaves them as they are.
    preserve_rng_state
        Draw the same random numbers again: chainrule's, and those of `numpy.random`'s functions. Other generators
        are not known here; a result that differs is noticed and refused.

    Returns
    -------
    Function with the arguments and results of `f`. Gradients, hooks, modes and all orders are those of `f`.

    Raises
    ------
    OverwrittenError (E205)
        `f` changed an argument in place, or somebody did before the backward pass.
    DerivativeError (E201)
        The second run did something else.

    Cost
    ----
    One more run of `f` for each backward pass. Memory: its arguments, and while the walk is inside what one run keeps;
    of n layers, checkpoint groups of about √n. A function checkpointed inside another runs twice more.

    Examples
    --------
    >>> import chainrule as cr
    >>> block = cr.checkpoint(lambda x: cr.exp(cr.sin(x)) * x)
    >>> cr.grad(lambda x: block(block(x)).sum())(cr.zeros(2))
    tensor([1., 1.])
    """
    check_function(f, "checkpoint")

    @boundary
    @functools.wraps(f)
    def call(*args: Any, **kwargs: Any) -> Any:
        m = current()
        if not m.grad or m.recorder is not None:  # a graph that is recorded keeps no arrays
            return f(*args, **kwargs)
        return _Call(f, args, kwargs, preserve_rng_state).run()

    return call


class _Call:
    """One call of a checkpointed function: what is needed to run it again."""

    def __init__(self, f: Any, args: Any, kwargs: Any, preserve_rng_state: bool) -> None:
        self.f, self.args, self.kwargs = f, args, kwargs
        self.randomness = _randomness() if preserve_rng_state else None
        self.start = next_serial()
        given = [t for a in (*args, *kwargs.values()) for t in _tensors(a)]
        self.given: list[tuple[Any, Node]] = [(t, node_of(t)) for t in given]

    def run(self) -> Any:
        result = self.f(*self.args, **self.kwargs)
        outs = _tensors(result)
        if self.randomness is not None and self.randomness[0][0] is None:  # not seeded before: maybe now
            self.randomness = ((default_generator.get_state()[0], None), self.randomness[1])
        self.check_arguments("the function itself")
        self.samples = [_sample(t) for t in outs]
        Segment([node_of(t) for t in outs], self.start, self.again)
        return result

    def again(self) -> Sequence[Node]:
        self.check_arguments("somebody")
        with enable_grad(), _drawing(self.randomness):
            outs = _tensors(self.f(*self.args, **self.kwargs))
        for k, (t, before) in enumerate(zip(outs, self.samples, strict=False)):
            after = _sample(t)
            if not np.allclose(before, after, rtol=1e-6, atol=1e-300, equal_nan=True):
                raise not_repeated(f"output {k} began with {before[0]:.6g}, then with {after[0]:.6g}")
        return [node_of(t) for t in outs]

    def check_arguments(self, who: str) -> None:
        for t, n in self.given:
            hit = changed_after(n, self.start) or written_after(t.v, self.start)
            if hit is not None or node_of(t) is not n:
                raise OverwrittenError(
                    f"{who} changed an argument of a checkpointed function in place, and it must run again on it",
                    given=None if hit is None else f"changed in place at {hit}",
                    fix="compute a new tensor instead (x = x + 1, not x += 1), or pass x.clone()",
                )  # fmt: skip


def _tensors(tree: Any) -> list[Any]:
    if isinstance(tree, Handle):
        return [tree]
    if tree is None or isinstance(tree, str | bytes | float | int | complex | np.ndarray):
        return []
    return [t for t in trees.flatten(tree)[0] if isinstance(t, Handle)]


def _sample(t: Any) -> np.ndarray:
    """A few entries, to notice a second run that differs."""
    if t.v.__class__ is float or t.v.size <= 4:
        return np.ravel(t.v)
    return np.array([t.v.flat[k] for k in range(0, t.v.size, -(-t.v.size // 4))])


def _randomness() -> tuple[Any, Any]:
    """Where chainrule's generator stands, and NumPy's if somebody has loaded it."""
    numpy = sys.modules.get("numpy.random")
    return default_generator.get_state(), None if numpy is None else numpy.get_state()


@contextmanager
def _drawing(state: tuple[Any, Any] | None) -> Iterator[None]:
    """The random numbers of an earlier time, and afterwards those that would have come."""
    if state is None:
        yield
        return
    now = _randomness()
    try:
        _set_randomness(state)
        yield
    finally:
        _set_randomness(now)


def _set_randomness(state: tuple[Any, Any]) -> None:
    default_generator.set_state(state[0])
    if state[1] is not None:
        sys.modules["numpy.random"].set_state(state[1])


__all__ = ["checkpoint"]
