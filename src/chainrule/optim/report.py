"""What a step did with each parameter, in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Report:
    """One row per parameter: its name, and what happened to it.

    Attributes
    ----------
    optimizer
        Name of the class.
    steps
        How many steps were taken.
    rows
        Pairs (name, what happened).
    """

    optimizer: str
    steps: int
    rows: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        width = max((len(name) for name, _ in self.rows), default=0)
        when = f"after step {self.steps}" if self.steps else "before the first step"
        return "\n".join(
            [f"{self.optimizer}, {when}", *(f"  {n.ljust(width + 2)} {what}" for n, what in self.rows)]
        )

    __repr__ = __str__


def movement(step: np.ndarray) -> str:
    """How far the entries moved."""
    size = float(np.max(np.abs(step), initial=0.0))
    if size == 0.0:
        return "did not move: the step is 0"
    return f"moved by {size:.3g}" if step.size == 1 else f"moved by at most {size:.3g}"


def stillness(value: np.ndarray, step: np.ndarray) -> str | None:
    """Which entries a step did not reach because it was lost to rounding; None if none."""
    before = value - step  # to rounding: where the step is lost, the value it began from
    still = (step != 0) & (before == value)
    if value.dtype.kind != "f" or not still.any():
        return None
    at = tuple(np.argwhere(still)[0])
    v, s = value[at], step[at]
    spacing = abs(float(np.nextafter(v, v.dtype.type(np.inf if s > 0 else -np.inf))) - float(v))
    side = "above" if s > 0 else "below"
    share = abs(float(s)) / spacing
    if value.size == 1:
        head = "stands still: the step"
    else:
        head = f"{int(still.sum())} of {value.size} entries stand still: at {list(map(int, at))} the step"
    return (
        f"{head} of {abs(float(s)):.3g} is {share:.2g} of the spacing of {value.dtype} {side} {float(v):.4g}"
    )
