"""A plane as text: lines in Braille dots (2 × 4 per character), ticks, and a legend at the right."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING

from chainrule.draw.geometry import Spot, clip_line, thin
from chainrule.draw.lettering import cells, clean, pad
from chainrule.draw.scale import Axis, format_number
from chainrule.errors import ArgumentError

if TYPE_CHECKING:
    from chainrule.draw.drawing import Drawing

# Dots of a Braille character by column and row (Unicode, block U+2800).
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
# Which dots of a line are drawn: all; a long dash; every third; …
_PATTERNS = ("1", "111110000", "100", "1111100100")
_SAMPLES = ("⎯", "╌", "┈", "╍")
_NARROW = 44  # a frame beside its legend is no narrower
_TANGENT, _LEVEL = "100", "1000"


class _Canvas:
    """Braille dots and, over them, marks of one character."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.dots = [[0] * width for _ in range(height)]
        self.marks: dict[tuple[int, int], str] = {}

    def line(self, spots: Iterable[Spot], pattern: str) -> None:
        """Draw through points given as fractions of the frame, from the lower left corner."""
        w, h = 2 * self.width - 1, 4 * self.height - 1
        for piece in clip_line(((x * w, (1 - y) * h) for x, y in spots), w, h):
            corners, n = thin(piece, 1.0), 0
            self._dot(*corners[0])
            for (x0, y0), (x1, y1) in pairwise(corners):
                steps = math.ceil(
                    abs(x1 - x0) + abs(y1 - y0)
                )  # of at most one dot, sideways or up: no gaps at corners
                for k in range(1, steps + 1):
                    if pattern[(n + k) % len(pattern)] == "1":
                        self._dot(x0 + k / steps * (x1 - x0), y0 + k / steps * (y1 - y0))
                n += steps

    def _dot(self, x: float, y: float) -> None:
        column, row = round(x), round(y)
        self.dots[row // 4][column // 2] |= _DOTS[column % 2][row % 4]

    def mark(self, x: float, y: float, mark: str) -> None:
        """Put one character at a point given as fractions; points outside are left out."""
        if 0 <= x <= 1 and 0 <= y <= 1:  # False for NaN
            self.marks[round((1 - y) * (4 * self.height - 1)) // 4, round(x * (2 * self.width - 1)) // 2] = (
                mark
            )

    def rows(self) -> list[str]:
        """The picture, a string per row, without spaces at the end."""
        rows = [[chr(0x2800 + d) if d else " " for d in row] for row in self.dots]
        for (row, column), mark in self.marks.items():
            rows[row][column] = mark
        return ["".join(row).rstrip() for row in rows]


def plane_text(d: Drawing, *, width: int, height: int, columns: int | None = None) -> str:
    """Title, frame with `width` × `height` characters inside, ticks, names of the axes, legend.

    Where the whole would be wider than `columns`, the frame is narrower, or the legend stands below it.
    """
    if width < 1 or height < 1:
        raise ArgumentError(
            "a frame has at least one cell", given=f"{width} × {height}", fix="use for example 56 × 14"
        )
    x, y = d.axes()
    names = _y_names(y, height)
    side = max(map(cells, names.values()), default=0)
    legend = _legend(d)
    width, beside = _fit(width, side, legend, columns)
    canvas = _Canvas(width, height)
    _draw(d, canvas, x, y)
    lines = [clean(d.title)] + ([clean(d.y_label)] if d.y_label else [])
    notes = list(legend) if beside else []
    for i, row in enumerate(canvas.rows()):
        note = notes.pop(0) if notes else ""
        text = f"{pad(names.get(i, ''), side, right=True)} │{pad(row, width) if note else row}"
        lines.append(f"{text}   {note}".rstrip())
    lines += [" " * (side + width + 5) + note for note in notes]
    lines += [" " * (side + 1) + "└" + "─" * width, (" " * (side + 2) + _x_names(x, width)).rstrip()]
    if d.x_label:
        name = clean(d.x_label)
        lines.append(" " * (side + 2 + max(0, (width - cells(name)) // 2)) + name)
    return "\n".join(lines + ([] if beside else [" " * (side + 2) + note for note in legend]))


def _fit(width: int, side: int, legend: list[str], columns: int | None) -> tuple[int, bool]:
    """Width of the frame, and whether the legend stands beside it."""
    if columns is None:
        return width, True
    room = columns - side - 2
    left = room - max(map(cells, legend), default=-3) - 3
    return (min(width, left), True) if left >= _NARROW else (max(1, min(width, room)), False)


def _draw(d: Drawing, canvas: _Canvas, x: Axis, y: Axis) -> None:
    def spots(xs: Iterable[float], ys: Iterable[float]) -> list[Spot]:
        return [(x.fraction(u), y.fraction(v)) for u, v in zip(xs, ys, strict=True)]

    for contour in d.contours:
        for piece in contour.pieces:
            canvas.line(spots(*zip(*piece, strict=True)), _LEVEL)
    for line in d.lines:
        if line.label and line.axis == "x":
            canvas.line([(x.fraction(line.at), 0.0), (x.fraction(line.at), 1.0)], "10")
        elif line.label:
            canvas.line([(0.0, y.fraction(line.at)), (1.0, y.fraction(line.at))], "10")
    for s in d.segments:
        canvas.line(spots((s.x0, s.x1), (s.y0, s.y1)), _TANGENT)
    for i, curve in enumerate(d.curves):
        canvas.line(spots(curve.xs, curve.ys), _PATTERNS[i % len(_PATTERNS)])
    for path in d.paths:
        steps = spots(path.xs, path.ys)
        canvas.line(steps, "1")
        for (u, v), mark in zip(steps[:1] + steps[-1:], "○●", strict=False):
            canvas.mark(u, v, mark)
    for p in d.points:
        canvas.mark(x.fraction(p.x), y.fraction(p.y), "○" if p.hollow else "●")


def _legend(d: Drawing) -> list[str]:
    items = [(_SAMPLES[i % len(_SAMPLES)], c.label) for i, c in enumerate(d.curves)]
    items += [("⋯", s.label) for s in d.segments] + [("⋯", line.label) for line in d.lines]
    items += [("○⎯●", p.label) for p in d.paths] + [("○" if p.hollow else "●", p.label) for p in d.points]
    notes = [f"{sample} {clean(label)}" for sample, label in items if label]
    if d.contours:
        notes.append("⋯ levels " + ", ".join(format_number(c.level) for c in d.contours))
    return notes


def _y_names(y: Axis, height: int) -> dict[int, str]:
    names: dict[int, str] = {}
    for value, name in y.marks(target=max(1, height // 3)):
        names.setdefault(round((1 - y.fraction(value)) * (4 * height - 1)) // 4, name)
    return names


def _x_names(x: Axis, width: int) -> str:
    """Names of the ticks, centred under their places, without those that would touch the one before."""
    text = ""
    for mark, name in x.marks(target=max(1, min(5, width // 10))):
        start = round(x.fraction(mark) * (2 * width - 1)) // 2 - (len(name) - 1) // 2
        start = max(0, min(start, width - len(name)))
        if not text or start >= len(text) + 2:
            text = text.ljust(start) + name
    return text
