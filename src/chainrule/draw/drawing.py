"""Figures as data: what is drawn, in the user's units. Renderers make SVG, text, JSON or matplotlib."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, Protocol

from chainrule.draw import card, svg_plane, svg_tables, text_plane, text_tables
from chainrule.draw.geometry import Spot
from chainrule.draw.lettering import cells
from chainrule.draw.scale import Axis, axis_for, format_number
from chainrule.errors import ArgumentError, ShapeError


class Picture(Protocol):
    """What a page or a notebook needs of anything that can be shown."""

    title: str

    def to_svg(self, *, theme: str = "auto") -> str:
        """One standalone SVG element."""

    def to_text(self) -> str:
        """The same for a terminal."""

    def to_json(self) -> dict[str, Any]:
        """The same as data for `json.dumps`."""


def floats(values: Iterable[Any]) -> tuple[float, ...]:
    """Numbers of any kind (also 0-d arrays and tensors) as Python floats."""
    return tuple(float(v) for v in values)


@dataclass(frozen=True, slots=True)
class Curve:
    """Line through the points (xs[i], ys[i]). NaN and infinity interrupt it."""

    xs: tuple[float, ...]
    ys: tuple[float, ...]
    label: str = ""

    def __post_init__(self) -> None:
        _set_pairs(self)


@dataclass(frozen=True, slots=True)
class Path:
    """Steps of a descent through the points (xs[i], ys[i]): start and end are marked."""

    xs: tuple[float, ...]
    ys: tuple[float, ...]
    label: str = ""

    def __post_init__(self) -> None:
        _set_pairs(self)


@dataclass(frozen=True, slots=True)
class Point:
    """Mark at (x, y), hollow where it is a beginning rather than a result."""

    x: float
    y: float
    label: str = ""
    hollow: bool = False

    def __post_init__(self) -> None:
        _set_floats(self, "x", "y")


@dataclass(frozen=True, slots=True)
class Segment:
    """Straight piece from (x0, y0) to (x1, y1), for tangents: it never widens the frame."""

    x0: float
    y0: float
    x1: float
    y1: float
    label: str = ""

    def __post_init__(self) -> None:
        _set_floats(self, "x0", "y0", "x1", "y1")


@dataclass(frozen=True, slots=True)
class Line:
    """Straight line across the frame: ``Line("y", 0.0)`` is the line y = 0."""

    axis: str
    at: float
    label: str = ""

    def __post_init__(self) -> None:
        if self.axis not in ("x", "y"):
            raise ArgumentError("a line lies across an axis", given=repr(self.axis), fix="use 'x' or 'y'")
        _set_floats(self, "at")


@dataclass(frozen=True, slots=True)
class Contour:
    """Line (in pieces) along which a function of two variables has the value `level`."""

    level: float
    pieces: tuple[tuple[Spot, ...], ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """One value with its name. None is a value that does not exist, such as the gradient of a constant."""

    name: str
    value: float | None
    series: str = ""


@dataclass(frozen=True, slots=True)
class Matrix:
    """Table of numbers: ``values[i][j]`` belongs to ``rows[i]`` and ``columns[j]``."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        if len(self.values) != len(self.rows) or any(len(v) != len(self.columns) for v in self.values):
            raise ShapeError(
                "the labels do not fit the matrix",
                given=f"{len(self.rows)} row labels, {len(self.columns)} column labels, "
                f"rows of {[len(row) for row in self.values]}",
                fix="give one label per row and one per column",
            )


@dataclass(frozen=True, slots=True, repr=False)
class Drawing:
    """One figure: a plane with curves and points, or bars, or a matrix.

    At a prompt it shows as text, in a notebook drawn.

    Parameters
    ----------
    title
        Says what is shown; also the name of the picture for screen readers.
    x_label, y_label, unit
        Names of the axes; unit of the bars.
    curves, segments, points, lines, paths, contours
        What lies in the plane, drawn in the order contours, lines, curves, segments, paths, points.
    bars, matrix
        Instead of a plane.
    log_y
        Logarithmic y axis; values that are not positive interrupt a curve.
    x_range, y_range
        Limits of the axes; from the data where None.
    equal
        One unit has the same length in both directions, so that gradients look perpendicular to contours.
    description
        A sentence for those who do not see the picture; made from the content where empty.
    """

    title: str
    x_label: str = ""
    y_label: str = ""
    unit: str = ""
    curves: tuple[Curve, ...] = ()
    segments: tuple[Segment, ...] = ()
    points: tuple[Point, ...] = ()
    lines: tuple[Line, ...] = ()
    paths: tuple[Path, ...] = ()
    contours: tuple[Contour, ...] = ()
    bars: tuple[Bar, ...] = ()
    matrix: Matrix | None = None
    log_y: bool = False
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    equal: bool = False
    description: str = ""

    def to_svg(self, *, theme: str = "auto") -> str:
        """Standalone SVG with a ground of its own.

        Parameters
        ----------
        theme
            ``"light"``, ``"dark"``, ``"auto"`` (one file for both, the reader's system decides, also inside
            ``<img>``), or ``"page"`` (for inline use in a `chainrule.draw.Page`, whose style sheet decides).
        """
        if self.matrix is not None:
            return svg_tables.matrix_svg(self, theme=theme)
        return svg_tables.bars_svg(self, theme=theme) if self.bars else svg_plane.plane_svg(self, theme=theme)

    def to_text(self, width: int = 56, height: int = 14, *, columns: int | None = None) -> str:
        """Text for a terminal.

        Parameters
        ----------
        width, height
            Characters of the frame, or of the longest bar.
        columns
            Of the terminal: the frame is made narrower, and the legend put below it, where it would not fit.
        """
        if self.matrix is not None:
            return text_tables.matrix_text(self)
        if self.bars:
            text = text_tables.bars_text(self, width=width)
            too_much = max(map(cells, text.splitlines())) - (columns or math.inf)
            return text_tables.bars_text(self, width=max(8, width - int(too_much))) if too_much > 0 else text
        return text_plane.plane_text(self, width=width, height=height, columns=columns)

    def to_json(self) -> dict[str, Any]:
        """Content as dictionaries and lists; numbers that JSON cannot hold (NaN, infinity) are None."""
        return {"kind": "drawing", **_plain(self), "description": self.describe()}

    def to_matplotlib(self, ax: Any = None) -> Any:
        """Draw on a matplotlib axes (a new one where None), in the style that is set; returns the axes."""
        from chainrule.draw.matplotlib_axes import draw_on  # matplotlib: half a second

        return draw_on(self, ax)

    def save(self, path: str | FilePath) -> None:
        """Write it as .svg, .html, .txt or .json, whatever the name ends with."""
        card.save(self, path)

    def __repr__(self) -> str:
        return self.to_text()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return card.bundle(self)

    def to_rows(self) -> tuple[Sequence[str], card.Rows]:
        """Heads and rows of a table that says the same; curves are told in words, not point by point."""
        if self.matrix is not None:
            m = self.matrix
            return ["", *m.columns], [
                [name, *map(format_number, row)] for name, row in zip(m.rows, m.values, strict=True)
            ]
        if self.bars:
            rows = [[b.name, b.series, f"{format_value(b.value)} {self.unit}".strip()] for b in self.bars]
            return ["name", "series", "value"], rows
        x, y = self.axes()
        spans = [[self.x_label or "x", _span(x)], [self.y_label or "y", _span(y)]]
        return ["what", "where"], spans + [[what, where] for what, where in self._contents()]

    def axes(self) -> tuple[Axis, Axis]:
        """The x and y axes: all points of curves, paths, contours and points lie inside."""
        xs, ys = self._coordinates()
        x_axis = _given_axis(self.x_range) if self.x_range else axis_for(xs, margin=0.02)
        return x_axis, _given_axis(self.y_range, self.log_y) if self.y_range else axis_for(ys, log=self.log_y)

    def _coordinates(self) -> tuple[list[float], list[float]]:
        pairs = [(x, y) for c in (*self.curves, *self.paths) for x, y in zip(c.xs, c.ys, strict=True)]
        pairs += [(p.x, p.y) for p in self.points]
        pairs += [spot for c in self.contours for piece in c.pieces for spot in piece]
        seen = [(x, y) for x, y in pairs if math.isfinite(x) and math.isfinite(y)]
        levels = [line.at for line in self.lines if line.axis == "y" and line.label]
        return [x for x, _ in seen], [y for _, y in seen] + levels

    def describe(self) -> str:
        """The picture in words."""
        if self.description:
            return self.description
        if self.matrix is not None:
            return f"Matrix of {len(self.matrix.rows)} rows and {len(self.matrix.columns)} columns."
        if self.bars:
            return "; ".join(_bar_words(b, self.unit) for b in self.bars[:40]) + "."
        x, y = self.axes()
        spans = f"{self.x_label or 'x'} {_span(x)}, {self.y_label or 'y'} {_span(y)}"
        return " ".join(
            f"{part}." for part in (spans, *(f"{a}: {b}".strip(": ") for a, b in self._contents()))
        )

    def _contents(self) -> list[tuple[str, str]]:
        """What lies in the plane, as pairs: kind, and label or place."""
        levels = [("Contour lines", f"at {', '.join(format_number(c.level) for c in self.contours)}")]
        return [
            *(("Curve", c.label) for c in self.curves if c.label),
            *levels * bool(self.contours),
            *(("Line", s.label) for s in (*self.lines, *self.segments) if s.label),
            *((f"Path of {len(p.xs)} points", p.label) for p in self.paths),
            *((f"Point ({format_number(p.x)}, {format_number(p.y)})", p.label) for p in self.points),
        ]


def _span(axis: Axis) -> str:
    return f"from {format_number(axis.lo)} to {format_number(axis.hi)}" + (
        ", logarithmic" if axis.log else ""
    )


def format_value(value: float | None) -> str:
    """Text of a bar's value."""
    return "None" if value is None else format_number(value)


def _bar_words(bar: Bar, unit: str) -> str:
    return f"{bar.name}{' ' * bool(bar.series)}{bar.series}: {format_value(bar.value)} {unit}".rstrip()


def _given_axis(limits: tuple[float, float], log: bool = False) -> Axis:
    lo, hi = floats(limits)
    if not (math.isfinite(lo) and math.isfinite(hi) and lo < hi and (lo > 0 or not log)):
        raise ArgumentError(
            "an axis has two finite limits, the smaller first (above 0 where it is logarithmic)",
            given=f"{lo}, {hi}",
            fix="leave them out to take the range of the data",
        )
    return Axis(lo, hi, log=log)


def _set_floats(item: Any, *names: str) -> None:
    for name in names:
        object.__setattr__(item, name, float(getattr(item, name)))  # frozen, but still under construction


def _set_pairs(line: Curve | Path) -> None:
    xs, ys = floats(line.xs), floats(line.ys)
    if len(xs) != len(ys):
        raise ShapeError(
            "a line needs as many x as y values",
            given=f"{len(xs)} x, {len(ys)} y",
            fix="give one y for each x",
        )
    object.__setattr__(line, "xs", xs)
    object.__setattr__(line, "ys", ys)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
