"""Pictures of a descent, as data."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.draw import Drawing, plot_contour, plot_convergence, sample_grid
from chainrule.ops.creation import make_leaf
from chainrule.tape.modes import no_grad

if TYPE_CHECKING:
    from chainrule.optim.result import Descent

_POINTS = 200  # of a path: more are not told apart


def convergence(r: Descent) -> Drawing:
    """‖∇L‖ against the step."""
    name = f"lr = {r.lr:g}, {r.w.dtype}"
    every = f" (every {r.history.every}th)" if r.history.every > 1 else ""
    return plot_convergence(
        {name: r.history.norms}, tolerance=r.tol or None, title=f"size of the gradient, step by step: {r.status}",
        labels=(f"step{every}", "‖∇L‖"),
    )  # fmt: skip


def path(r: Descent) -> Drawing:
    """The way across the contour lines of L."""
    spots = [p for p in r.history.path if all(map(math.isfinite, p))]
    end = tuple(np.asarray(r.w).ravel().tolist())
    # equal distances along the list of steps, and both ends
    picked = [spots[i] for i in sorted({round(i * (len(spots) - 1) / _POINTS) for i in range(_POINTS + 1)})]
    ranges = [_range([p[i] for p in (*picked, end)]) for i in (0, 1)]
    first, second = r.unknowns
    drawing = plot_contour(
        *sample_grid(_value_at(r), *ranges), path=[*picked, end],
        points=[(*spots[0], "start"), (*end, f"after {r.at_step} steps")],
        title=f"L along the descent: {r.status}", labels=(first, second),
    )  # fmt: skip
    route = replace(drawing.paths[0], label=f"descent, {r.steps} steps")
    return replace(drawing, paths=(route,))


def _value_at(r: Descent) -> Any:
    w = np.asarray(r.w)

    def value(a: float, b: float) -> float:
        with no_grad():
            return float(r.evidence.f(make_leaf(np.array([a, b], w.dtype).reshape(w.shape))))

    return value


def _range(xs: list[float]) -> tuple[float, float]:
    lo, hi = min(xs), max(xs)
    margin = 0.4 * (hi - lo) or 0.1 * max(1.0, abs(lo))
    return lo - margin, hi + margin
