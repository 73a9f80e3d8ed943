"""What several exercises share: usual mistakes, and other arguments at random."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from chainrule.learn.exercise import Mistake

VALUE = "You have {got}. That is L({at}), the value; the question asks for the slope dL/dw."
_NO_MARK = (
    "nothing was marked, so nothing was recorded. Looks like: a tensor was made without "
    "requires_grad=True. (cr.why(w.grad) tells the same story.)"
)


def one_number(low: float, high: float) -> Callable[[random.Random], tuple[Any, ...]]:
    return lambda r: (round(r.uniform(low, high), 2),)


def numbers(count: int) -> Callable[[random.Random], tuple[Any, ...]]:
    return lambda r: tuple(round(r.uniform(-3, 3), 2) for _ in range(count))


def vector(r: random.Random) -> tuple[Any, ...]:
    return ([round(r.uniform(0.1, 3), 2) for _ in range(r.randint(2, 4))],)


def unmarked(change: tuple[str, str]) -> Mistake:
    return Mistake(_NO_MARK, change, raises="NotTrackedError")


def nothing_returned(change: tuple[str, str]) -> Mistake:
    says = "Your function returns None, or the gradient of a computed value. Leaves hold gradients: w.grad."
    return Mistake(says, change, gives=lambda *_: None)
