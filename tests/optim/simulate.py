"""The same descent in plain NumPy, gradient by hand: what the tests of `minimize` compare with."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Path(NamedTuple):
    """Points w₀ … wₖ and the norms of the gradients there."""

    points: list[np.ndarray]
    norms: list[float]

    @property
    def first_unchanged(self) -> int | None:
        """The first step that changed nothing."""
        pairs = zip(self.points, self.points[1:], strict=False)
        return next((k for k, (a, b) in enumerate(pairs, 1) if np.array_equal(a, b)), None)

    def steps_to(self, tol: float) -> int | None:
        """Steps of the lecture's loop: it ends with the step that begins where the norm is within `tol`."""
        return next((k for k, norm in enumerate(self.norms, 1) if norm <= tol), None)


def descend(
    gradient: Callable[[np.ndarray], np.ndarray], start: list[float], lr: float, steps: int, dtype: type
) -> Path:
    """`steps` steps of w − lr·g, in one dtype throughout."""
    w, rate = np.array(start, dtype), dtype(lr)
    points, norms = [w], []
    with np.errstate(all="ignore"):
        for _ in range(steps):
            g = gradient(w)
            norms.append(float(np.sqrt(np.sum(g * g, dtype=dtype))))
            w = w - rate * g
            points.append(w)
    return Path(points, norms)


def bowl(w: np.ndarray) -> np.ndarray:
    """∇ of (w₀ − 2)² + (w₁ + 3)²."""
    two = w.dtype.type(2)
    return two * (w - np.array([2, -3], w.dtype))
