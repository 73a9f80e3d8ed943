"""Ready-made figures. Each function answers one question and returns data: a `Drawing`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chainrule.draw.drawing import Bar, Contour, Curve, Drawing, Line, Matrix, Path, Point, Segment, floats
from chainrule.draw.geometry import contour_lines
from chainrule.draw.scale import format_number
from chainrule.errors import ShapeError

Floats = Sequence[Any]


def sample_curve(
    f: Callable[[float], Any], lo: float, hi: float, *, n: int = 201
) -> tuple[list[float], list[float]]:
    """`f` at `n` evenly spaced numbers from `lo` to `hi`: the first two arguments of `plot_function`.

    Examples
    --------
    >>> sample_curve(lambda w: w**2, 0.0, 1.0, n=3)
    ([0.0, 0.5, 1.0], [0.0, 0.25, 1.0])
    """
    xs = [lo + (hi - lo) * k / (n - 1) for k in range(n)]
    return xs, [float(f(x)) for x in xs]


def sample_grid(
    f: Callable[[float, float], Any],
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    *,
    n: int = 41,
) -> tuple[list[float], list[float], list[list[float]]]:
    """`f` on a grid of `n` × `n` points: the first three arguments of `plot_contour`.

    Examples
    --------
    >>> sample_grid(lambda u, v: u + 10 * v, (0.0, 1.0), (0.0, 2.0), n=2)
    ([0.0, 1.0], [0.0, 2.0], [[0.0, 1.0], [20.0, 21.0]])
    """
    xs, ys = ([lo + (hi - lo) * k / (n - 1) for k in range(n)] for lo, hi in (x_range, y_range))
    return xs, ys, [[float(f(x, y)) for x in xs] for y in ys]


def plot_function(
    xs: Floats,
    ys: Floats,
    *,
    point: tuple[Any, Any] | None = None,
    slope: Any = None,
    title: str = "",
    labels: tuple[str, str] = ("w", "L"),
) -> Drawing:
    """Curve, point and tangent: what does the derivative at this point mean?

    Parameters
    ----------
    xs, ys
        ``(n,)`` numbers each, in the units of the two quantities. Places where y is not finite stay empty.
    point
        The place ``(x, y)`` of the tangent.
    slope
        The derivative there, in units of y per unit of x.
    title, labels
        Title; names of the quantities on the x and y axis.

    Examples
    --------
    >>> d = plot_function(*sample_curve(lambda w: 4*w + w**3, -2, 2), point=(1.0, 5.0), slope=7.0)
    >>> d.segments[0].label, d.points[0].label
    ('tangent, slope 7', 'L(1) = 5')
    """
    x_name, y_name = labels
    curve = Curve(xs, ys, label=f"{y_name}({x_name})")
    points: tuple[Point, ...] = ()
    segments: tuple[Segment, ...] = ()
    if point is not None:
        x, y = floats(point)
        points = (Point(x, y, f"{y_name}({format_number(x)}) = {format_number(y)}"),)
        if slope is not None:
            segments = (_tangent(curve, x, y, float(slope)),)
    zero = (Line("x", 0.0), Line("y", 0.0))
    return Drawing(
        title, x_label=x_name, y_label=y_name, curves=(curve,), segments=segments, points=points, lines=zero
    )


def _tangent(curve: Curve, x: float, y: float, slope: float) -> Segment:
    """A piece of the tangent that covers half of the curve's width; the frame cuts what is steep."""
    finite = [u for u in curve.xs if math.isfinite(u)]
    reach = (max(finite) / 4 - min(finite) / 4) if finite else 1.0
    return Segment(
        x - reach, y - slope * reach, x + reach, y + slope * reach, f"tangent, slope {format_number(slope)}"
    )


def plot_components(
    labels: Sequence[str],
    values: Sequence[Any] | Mapping[str, Sequence[Any]],
    *,
    title: str = "",
    unit: str = "",
) -> Drawing:
    """Bar per entry: on which entries does the result depend, how strongly, and in which direction?

    Parameters
    ----------
    labels
        Name of each of the ``n`` entries.
    values
        ``(n,)`` numbers, or None where there is no gradient; or several such series by name, to compare for
        example values with gradients.
    title, unit
        Title; unit of the values.

    Examples
    --------
    >>> print(plot_components(["w1", "w2"], [-2.0, 4.0], title="dL/dw").to_text(width=4))
    dL/dw
    w1 ██│ −2
    w2   │████ 4
    """
    series = values if isinstance(values, Mapping) else {"": values}
    for name, entries in series.items():
        if len(entries) != len(labels):
            raise ShapeError(
                "there are not as many values as labels",
                given=f"{len(labels)} labels, {len(entries)} values{' in ' * bool(name)}{name}",
                fix="give one value (or None) for each label",
            )
    bars = (
        Bar(str(label), None if v is None else float(v), str(name))
        for label, *entry in zip(labels, *series.values(), strict=True)
        for name, v in zip(series, entry, strict=True)
    )
    return Drawing(title, unit=unit, bars=tuple(bars))


def plot_gradient_norms(norms: Mapping[str, Any], *, title: str = "gradient norm by parameter") -> Drawing:
    """Bar per parameter, largest first: which parameters learn and which stand still?

    Parameters
    ----------
    norms
        Parameter name -> Euclidean norm of its gradient, in units of the loss per unit of the parameter.

    Examples
    --------
    >>> print(plot_gradient_norms({"b": 0.5, "w": 2.0}).to_text(width=4))
    gradient norm by parameter
    w ████ 2
    b █ 0.5
    """
    bars = sorted((Bar(name, float(n)) for name, n in norms.items()), key=lambda b: -b.value)
    return Drawing(title, bars=tuple(bars))


def plot_convergence(
    series: Mapping[str, Floats],
    *,
    tolerance: float | None = None,
    title: str = "",
    labels: tuple[str, str] = ("step", "‖∇L‖"),
    show_steps: int | None = None,
) -> Drawing:
    """Size of the gradient against the step, on a log scale: does the descent converge, stall or blow up?

    Parameters
    ----------
    series
        Name -> ``(n,)`` norms, the first one after step 1. Zeros and non-finite norms interrupt the line.
    tolerance
        Where the descent would stop; a dashed line.
    title, labels
        Title; names of the axes.
    show_steps
        Draw this many steps at most; the label of a longer series says how many there were.

    Examples
    --------
    >>> d = plot_convergence({"float64": [1.0, 0.1, 0.01]}, tolerance=0.05)
    >>> d.curves[0].label, d.lines[0].label
    ('float64: 3 steps, ends at 0.01', 'tolerance 0.05')
    """
    curves = []
    for name, norms in series.items():
        ys = floats(norms)
        shown = len(ys) if show_steps is None else min(show_steps, len(ys))
        end = f", ends at {format_number(ys[-1])}" if ys else ""
        cut = f" ({shown} shown)" if shown < len(ys) else ""
        curves.append(Curve(range(1, shown + 1), ys[:shown], f"{name}: {len(ys)} steps{end}{cut}"))
    lines = (
        () if tolerance is None else (Line("y", float(tolerance), f"tolerance {format_number(tolerance)}"),)
    )
    x_name, y_name = labels
    return Drawing(title, x_label=x_name, y_label=y_name, curves=tuple(curves), lines=lines, log_y=True)


def plot_contour(
    xs: Floats,
    ys: Floats,
    values: Sequence[Floats],
    *,
    path: Sequence[tuple[Any, Any]] = (),
    levels: Floats | None = None,
    points: Sequence[tuple[Any, Any, str]] = (),
    title: str = "",
    labels: tuple[str, str] = ("w₁", "w₂"),
) -> Drawing:
    """Lines of equal value of a function of two variables, and a descent across them: which way does it take?

    Parameters
    ----------
    xs, ys
        ``(n,)`` and ``(m,)`` coordinates of the grid, in the units of the two variables.
    values
        ``(m, n)`` values, ``values[j][i]`` at ``(xs[i], ys[j])``; cells with a NaN or infinity stay empty.
    path
        Points ``(x, y)`` of a descent, first to last.
    levels
        Values of the lines; by default about eight that share the area evenly.
    points
        Marks ``(x, y, label)``; hollow where the path starts.

    Examples
    --------
    >>> grid = sample_grid(lambda u, v: u * u + v * v, (-2, 2), (-2, 2))
    >>> d = plot_contour(*grid, path=[(2, 1), (0, 0)], levels=[1, 4])
    >>> [c.level for c in d.contours], d.paths[0].label
    ([1.0, 4.0], 'descent, 1 step')
    """
    grid_x, grid_y, grid = floats(xs), floats(ys), [floats(row) for row in values]
    if len(grid) != len(grid_y) or any(len(row) != len(grid_x) for row in grid):
        raise ShapeError(
            "the grid of values does not fit its coordinates",
            given=f"{len(grid_x)} x, {len(grid_y)} y, rows of {[len(row) for row in grid][:6]}",
            fix="values[j][i] belongs to (xs[i], ys[j]): one row per y, one entry per x",
        )
    chosen = _levels(grid) if levels is None else sorted(floats(levels))
    contours = (
        Contour(level, tuple(tuple(piece) for piece in contour_lines(grid_x, grid_y, grid, level)))
        for level in chosen
    )
    spots = [(float(x), float(y)) for x, y in path]
    start, steps = spots[:1], len(spots) - 1
    route = (
        (Path(*zip(*spots, strict=True), label=f"descent, {steps} step{'s' * (steps != 1)}"),)
        if spots
        else ()
    )
    return Drawing(
        title,
        x_label=labels[0],
        y_label=labels[1],
        contours=tuple(c for c in contours if c.pieces),
        paths=route,
        points=tuple(Point(x, y, label, hollow=[(x, y)] == start) for x, y, label in points),
        equal=True,
    )


def _levels(grid: Sequence[Floats], *, count: int = 8) -> list[float]:
    """Values at evenly spaced ranks, with two digits: lines that share the area, whatever the range."""
    ranked = sorted(v for row in grid for v in row if math.isfinite(v))
    if not ranked or ranked[0] == ranked[-1]:
        return []
    picked = (ranked[len(ranked) * (2 * k + 1) // (2 * count)] for k in range(count))
    return list(dict.fromkeys(float(f"{v:.1e}") for v in picked))


def plot_matrix(
    values: Sequence[Floats], rows: Sequence[str], columns: Sequence[str], *, title: str = ""
) -> Drawing:
    """A small matrix with named rows and columns: how does each output depend on each input?

    Parameters
    ----------
    values
        ``(m, n)`` numbers; for a Jacobian, ``values[i][j]`` is ∂(output i)/∂(input j).
    rows, columns
        Names of the ``m`` outputs and the ``n`` inputs.

    Raises
    ------
    ShapeError (E101)
        Names and numbers do not fit.

    Examples
    --------
    >>> print(plot_matrix([[2.0], [-4.0]], ["a₁", "a₂"], ["z"], title="∂a/∂z at z = −1").to_text())
    ∂a/∂z at z = −1
          z
    a₁ [  2 ]
    a₂ [ −4 ]
    """
    return Drawing(
        title, matrix=Matrix(tuple(map(str, rows)), tuple(map(str, columns)), tuple(map(floats, values)))
    )
