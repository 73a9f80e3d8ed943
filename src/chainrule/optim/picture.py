"""Pictures of a descent, as data."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.draw import Curve, Drawing, Line, format_number, plot_contour, sample_grid
from chainrule.errors import ArgumentError
from chainrule.ops.creation import make_leaf
from chainrule.source import boundary
from chainrule.tape.modes import no_grad

if TYPE_CHECKING:
    from chainrule.optim.result import Descent

_POINTS = 200  # of a path: more are not told apart


@boundary
def plot_descent(r: Descent, kind: str | None = None, *, ax: Any = None) -> Any:
    """A picture of a descent: its way across the contour lines for two unknowns, else loss and ‖∇L‖ by step.

    Parameters
    ----------
    r
        What `minimize` returned.
    kind
        "path" or "convergence", to choose.
    ax
        A matplotlib axes to draw on (needs ``pip install "chainrule[plot]"``); it is returned.

    Returns
    -------
    A `chainrule.draw.Drawing`: text at a prompt, a picture in a notebook; with `ax`, the axes.

    Raises
    ------
    ArgumentError (E104)
        `r` is no descent, or a path is asked for of other than two unknowns.

    Cost
    ----
    The path evaluates the function 1681 times; convergence none.

    Examples
    --------
    >>> import chainrule as cr
    >>> r = cr.minimize(lambda w: (w[0] - 2) ** 2 + (w[1] + 3) ** 2, [0.0, 0.0], lr=0.1)
    >>> cr.plot_descent(r).title
    'L along the descent: converged'
    """
    from chainrule.optim.result import Descent

    if not isinstance(r, Descent):
        fix = "write plot_descent(minimize(f, x0)); a function is drawn by plot(f, at=1.0)"
        raise ArgumentError(f"plot_descent takes the result of minimize, not a {type(r).__name__}", fix=fix)
    two = r.w.numel() == 2 and bool(r.history.path)
    if kind not in (None, "path", "convergence"):
        raise ArgumentError(
            "the picture is not known", given=f"kind={kind!r}", fix="use 'path' or 'convergence'"
        )
    if kind == "path" and not two:
        what = f"a path is drawn for two unknowns, and there are {r.w.numel()}"
        raise ArgumentError(
            what if r.steps else "no step was taken: there is no path", fix="use plot('convergence')"
        )
    drawing = path(r) if two and kind != "convergence" else convergence(r)
    return drawing if ax is None else drawing.to_matplotlib(ax)


def convergence(r: Descent) -> Drawing:
    """‖∇L‖ against the step, and how far L is above the lowest it reached."""
    steps, values = r.history.steps, r.history.values
    every = f" (every {r.history.every}th)" if r.history.every > 1 else ""
    norm = Curve(steps, r.history.norms, f"‖∇L‖: {r.steps} steps, ends at {format_number(r.norm)}")
    lowest = min((v for v in (*values, r.value) if math.isfinite(v)), default=math.nan)
    above = Curve(steps, [v - lowest for v in values], f"L above its lowest, {format_number(lowest)}")
    lines = (Line("y", r.tol, f"tolerance {format_number(r.tol)}"),) if r.tol else ()
    title = f"loss and gradient, step by step: {r.status} (lr = {r.lr:g}, {r.w.dtype})"
    return Drawing(
        title, x_label=f"step{every}", y_label="log scale", curves=(norm, above), lines=lines, log_y=True,
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
    return replace(drawing, paths=(route,), x_range=ranges[0], y_range=ranges[1])


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
