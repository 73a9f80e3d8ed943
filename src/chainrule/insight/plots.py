"""`plot(f, at=…)`: the function around a point, and what its gradient there means."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import FunctionType
from typing import Any

import numpy as np

from chainrule.api.gradient import value_and_grad
from chainrule.dispatch import Handle
from chainrule.draw import (
    Drawing,
    Segment,
    plot_components,
    plot_contour,
    plot_function,
    sample_curve,
    sample_grid,
)
from chainrule.draw.scale import format_number
from chainrule.errors import ArgumentError, NotScalarError
from chainrule.ops.creation import make_leaf
from chainrule.source import boundary
from chainrule.tape.modes import no_grad

_GRID = 41
_BARS = 40
_OUTSIDE = (ValueError, ZeroDivisionError, OverflowError)  # of `math`: there the curve has a gap


@boundary
def plot(
    f: Callable[..., Any],
    at: Any = None,
    *,
    between: Any = None,
    names: Sequence[str] | None = None,
    title: str = "",
    ax: Any = None,
) -> Any:
    """The curve of a function with its tangent at a point; contour lines and steepest descent for two unknowns.

    Parameters
    ----------
    f
        Function of one number; of two numbers, or of a vector, that returns one number.
    at
        The point: a number for a curve; two numbers for contour lines. More numbers are shown as bars, value and
        slope of each. Without it a curve is drawn alone.
    between
        Limits: ``(lo, hi)`` for a curve, ``((lo, hi), (lo, hi))`` for two unknowns; around the point where None.
    names
        Names of the unknowns and, last, of the value: ``("w", "L")``; as the function has them where None.
    title
        Title of the picture.
    ax
        A matplotlib axes to draw on (needs ``pip install "chainrule[plot]"``); it is returned.

    Returns
    -------
    A `chainrule.draw.Drawing`: text at a prompt, a picture in a notebook; `to_svg()`, `to_text()`, `to_json()`,
    `to_matplotlib(ax)`, `save("L.svg")`. With `ax`, the axes.

    Raises
    ------
    ArgumentError (E104)
        Limits or names that do not fit, or neither `at` nor `between`.
    NotScalarError (E203)
        `f` returns several numbers.

    Cost
    ----
    `f` runs 201 times for a curve, 1681 times for contour lines, and once with its gradient.

    Examples
    --------
    >>> import chainrule as cr
    >>> picture = cr.plot(lambda w: 4 * w + w**3, at=1.0)
    >>> picture.points[0].label, picture.segments[0].label
    ('L(1) = 5', 'tangent, slope 7')
    """
    if not callable(f):
        fix = "write plot(lambda w: 4*w + w**3, at=1.0); a result that was computed is drawn by graph(L)"
        raise ArgumentError(f"plot takes a function, not a {type(f).__name__}", fix=fix)
    point = _entries(at)
    if point is None and between is None:
        raise ArgumentError(
            "it is not said where to draw", fix="give a point, at=1.0, or limits, between=(-2, 2)"
        )
    if point is not None and len(point) > 1:
        drawing = _several(f, at, point, between, names, title)
    else:
        drawing = _curve(f, point[0] if point else None, between, names or _names(f, ["w"]), title)
    return drawing if ax is None else drawing.to_matplotlib(ax)


def _entries(at: Any) -> list[float] | None:
    """The numbers of a point, in order."""
    if at is None:
        return None
    values = np.asarray(at.v if isinstance(at, Handle) else at)
    if values.dtype.kind not in "fiub" or not values.size or not np.isfinite(values).all():
        raise ArgumentError(
            "a point is made of finite numbers", given=f"at={at!r}", fix="use at=1.0 or at=(0.0, 2.0)"
        )
    return [float(v) for v in values.ravel()]


def _limits(given: Any, word: str = "between") -> tuple[float, float]:
    try:
        lo, hi = (float(v) for v in given)
    except (TypeError, ValueError):
        lo = hi = math.nan
    if not (math.isfinite(lo) and math.isfinite(hi) and lo < hi):
        fix = "use between=(-2, 2); with two unknowns between=((-2, 2), (-1, 3))"
        raise ArgumentError(
            "limits are two finite numbers, the smaller first", given=f"{word}={given!r}", fix=fix
        )
    return lo, hi


# --- one unknown ---------------------------------------------------------------------------------------


def _curve(
    f: Callable[..., Any], at: float | None, between: Any, names: Sequence[str], title: str
) -> Drawing:
    _fits(names, 2)
    if between is None:
        assert at is not None
        reach = 2 * max(1.0, abs(at))
        lo, hi = -reach, reach
    else:
        lo, hi = _limits(between)
    xs, ys = sample_curve(lambda x: _value(f, x), lo, hi)
    x, y = names
    title = title or (
        f"{y} from {x} = {lo:g} to {hi:g}" if at is None else f"{y} around {x} = {format_number(at)}"
    )
    if at is None:
        return plot_function(xs, ys, title=title, labels=tuple(names))
    value, slope = value_and_grad(f)(at)
    here = (at, float(value)) if math.isfinite(float(value)) else None
    if here is None:
        title += f" (no value at {x} = {format_number(at)})"
    known = float(slope) if math.isfinite(float(slope)) else None
    return plot_function(xs, ys, point=here, slope=known, title=title, labels=tuple(names))


def _value(f: Callable[..., Any], *at: Any) -> float:
    """`f` at plain numbers; NaN where it has no value."""
    try:
        with no_grad():
            out = f(*(make_leaf(x) for x in at))
    except _OUTSIDE:
        return math.nan
    v = np.asarray(out.v if isinstance(out, Handle) else out)
    if v.size != 1:
        raise NotScalarError(f"the function returns {v.size} numbers, and one is drawn", given=f"shape {list(v.shape)}",
                             fix="draw one of them: lambda w: f(w)[0]")  # fmt: skip
    return float(v.reshape(()).real)


def _fits(names: Sequence[str], count: int) -> None:
    if len(names) != count or isinstance(names, str):
        fix = "name each unknown, and last the value: names=('w', 'L')"
        raise ArgumentError(
            "there are not as many names as unknowns and the value", given=f"names={names!r}", fix=fix
        )


# --- several -------------------------------------------------------------------------------------------


def _several(
    f: Callable[..., Any], at: Any, point: list[float], between: Any, names: Sequence[str] | None, title: str
) -> Drawing:
    separate = _takes_numbers(f, len(point))
    of_vector = _joined(f, len(point)) if separate else f
    start = (
        make_leaf(np.array(point)) if separate else make_leaf(np.array(point).reshape(np.shape(_array(at))))
    )
    value, gradient = value_and_grad(of_vector)(start)
    slopes = [float(g) for g in np.asarray(gradient.v).ravel()]
    if names is None and not separate:
        vector, value_name = _names(f, ["w"])
        names = [*(f"{vector}[{i}]" for i in range(len(point))), value_name]
    names = list(names or _names(f, [f"w{i + 1}" for i in range(len(point))]))
    _fits(names, len(point) + 1)
    if len(point) > 2:
        return _bars(names, point, slopes, title)
    shape = start.shape
    call = (
        (lambda a, b: _value(f, a, b))
        if separate
        else (lambda a, b: _value(f, np.array([a, b]).reshape(shape)))
    )
    return _contour(call, point, float(value), slopes, between, names, title)


def _array(at: Any) -> Any:
    return np.asarray(at.v if isinstance(at, Handle) else at)


def _names(f: Callable[..., Any], otherwise: list[str]) -> list[str]:
    """As the function calls its arguments, and itself; L for a lambda."""
    name = getattr(f, "__name__", "")
    try:
        own = [n if n != "input" else "x" for n in inspect.signature(f).parameters][: len(otherwise)]
    except (TypeError, ValueError):
        own = []
    known = isinstance(f, FunctionType) and len(own) == len(otherwise)
    return [*(own if known else otherwise), name if name.isidentifier() else "L"]


def _takes_numbers(f: Callable[..., Any], count: int) -> bool:
    """Whether `f` has an argument for each number, instead of one vector."""
    try:
        wanted = [p for p in inspect.signature(f).parameters.values() if p.default is p.empty]
    except (TypeError, ValueError):
        return False
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return len(wanted) == count and all(p.kind in plain for p in wanted)


def _joined(f: Callable[..., Any], count: int) -> Callable[[Any], Any]:
    return lambda w: f(*(w[i] for i in range(count)))


def _bars(names: Sequence[str], point: Sequence[float], slopes: Sequence[float], title: str) -> Drawing:
    shown, rest = min(len(point), _BARS), len(point) - _BARS
    title = title or f"each unknown, and the slope of {names[-1]} along it"
    if rest > 0:
        title += f" ({rest} more are not shown)"
    return plot_components(names[:shown], {"value": point[:shown], "slope": slopes[:shown]}, title=title)


def _contour(
    f: Callable[[float, float], float], at: list[float], value: float, slopes: list[float], between: Any,
    names: Sequence[str], title: str,
) -> Drawing:  # fmt: skip
    ranges = _frame(at) if between is None else tuple(_limits(b) for b in _two(between))
    first, second, result = names
    where = f"{result} = {format_number(value)}"
    title = title or f"{result} around {first} = {format_number(at[0])}, {second} = {format_number(at[1])}"
    grid = sample_grid(f, *ranges, n=_GRID)
    drawing = plot_contour(*grid, points=[(*at, where)], title=title, labels=(first, second))
    return replace(
        drawing, x_range=ranges[0], y_range=ranges[1], segments=_downhill(at, slopes, ranges, result)
    )


def _two(between: Any) -> tuple[Any, Any]:
    try:
        x, y = between
    except (TypeError, ValueError):
        x = y = None
    return x, y


def _frame(at: Sequence[float]) -> tuple[tuple[float, float], ...]:
    reach = 2 * max(1.0, *map(abs, at))
    return tuple((x - reach, x + reach) for x in at)


def _downhill(
    at: Sequence[float], slopes: Sequence[float], ranges: Sequence[tuple[float, float]], result: str
) -> tuple[Segment, ...]:
    """An arrow against the gradient, a quarter of the frame long: its direction counts, its label has the size."""
    size = math.hypot(*slopes)
    if not 0 < size < math.inf:
        return ()
    length = min(hi - lo for lo, hi in ranges) / 4
    ends = [x - length * s / size for x, s in zip(at, slopes, strict=True)]
    numbers = ", ".join(map(format_number, slopes))
    return (Segment(*at, *ends, f"steepest way down, ∇{result} = ({numbers})"),)


__all__ = ["plot"]
