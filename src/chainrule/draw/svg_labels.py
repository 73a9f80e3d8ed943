"""Labels in a plane: each one stands where it covers least of what is drawn."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from chainrule.draw.geometry import Spot, clip_line, thin
from chainrule.draw.lettering import text_width
from chainrule.draw.palette import Brush
from chainrule.draw.scale import Axis, format_number
from chainrule.draw.svg import element, halo, letters

if TYPE_CHECKING:
    from chainrule.draw.drawing import Drawing

WIDTH = 400.0  # of the picture
SIZE = 13  # of the letters


@dataclass(frozen=True, slots=True)
class Frame:
    """Where the plane lies in the picture, and what its sides mean."""

    left: float
    top: float
    width: float
    height: float
    x: Axis
    y: Axis

    def place(self, x: float, y: float) -> Spot:
        """Pixels of a point, from the upper left corner of the frame; NaN where it has no place."""
        return self.x.fraction(x) * self.width, (1 - self.y.fraction(y)) * self.height

    def pieces(self, xs: Iterable[float], ys: Iterable[float]) -> list[list[Spot]]:
        """Visible pieces of a line, in pixels of the picture."""
        spots = (self.place(x, y) for x, y in zip(xs, ys, strict=True))
        found = [thin(piece, 0.4) for piece in clip_line(spots, self.width, self.height)]
        return [[(self.left + x, self.top + y) for x, y in piece] for piece in found]


def labels(d: Drawing, f: Frame, brush: Brush) -> list[str]:
    """Labels of points, lines and contours, each at the place near it where it covers least."""
    lines = [(c.xs, c.ys) for c in (*d.curves, *d.paths)] + [((s.x0, s.x1), (s.y0, s.y1)) for s in d.segments]
    drawn = [spot for xs, ys in lines for piece in f.pieces(xs, ys) for spot in _filled(piece)]
    taken: list[tuple[float, float, float, float]] = []
    parts = []
    for p in d.points:
        x, y = f.place(p.x, p.y)
        if p.label and 0 <= x <= f.width and 0 <= y <= f.height:
            parts.append(_put(p.label, _around(f.left + x, f.top + y, p.label, f), f, drawn, taken, brush))
    for line in d.lines:
        at = (f.x if line.axis == "x" else f.y).fraction(line.at)
        if line.label and 0 <= at <= 1:
            parts.append(_put(line.label, _along(line.axis, at, line.label, f), f, drawn, taken, brush))
    return parts + _level_labels(d, f, brush, drawn, taken)


def _filled(piece: list[Spot]) -> list[Spot]:
    """Points of a line at most 4 px apart, so that counting them tells how much of it a label would cover."""
    spots = piece[:1]
    for (x0, y0), (x1, y1) in pairwise(piece):
        n = math.ceil(max(abs(x1 - x0), abs(y1 - y0)) / 4) or 1
        spots += [(x0 + (x1 - x0) * k / n, y0 + (y1 - y0) * k / n) for k in range(1, n + 1)]
    return spots


def _around(x: float, y: float, text: str, f: Frame) -> list[Spot]:
    """Places (left end of the base line) for a label near a point, best first."""
    w = text_width(text, SIZE)
    beside = [
        (x + 9, y - 7),
        (x - 9 - w, y - 7),
        (x + 9, y + 17),
        (x - 9 - w, y + 17),
        (x + 12, y + 5),
        (x - 12 - w, y + 5),
    ]
    last = f.left + f.width - w - 4
    shifted = [
        (min(max(start, f.left + 4), last), y + drop)
        for drop in (-14, 24, -30, 40, -46, 56)
        for start in (x - w / 2, x + 4, x - 4 - w)
    ]
    return beside + shifted


def _along(axis: str, at: float, text: str, f: Frame) -> list[Spot]:
    w = text_width(text, SIZE)
    if axis == "x":
        x = f.left + at * f.width
        return [(x + shift, f.top + y) for y in (16, f.height - 10) for shift in (6, -6 - w)]
    y = f.top + (1 - at) * f.height
    return [(x, y + shift) for shift in (-6, 16) for x in (f.left + f.width - w - 6, f.left + 8)]


def _put(text: str, places: list[Spot], f: Frame, drawn: list[Spot], taken: list, brush: Brush) -> str:
    """Write the text at the place where it covers least of what is drawn; remember its box."""
    w = text_width(text, SIZE)
    boxes = [(x - 2, y - 12, x + w + 2, y + 4) for x, y in places]

    def cost(box: tuple[float, float, float, float]) -> float:
        x0, y0, x1, y1 = box
        outside = (
            max(2 - x0, 0) + max(x1 - WIDTH + 2, 0) + max(f.top - 6 - y0, 0) + max(y1 - f.top - f.height, 0)
        )
        covered = sum(x0 <= x <= x1 and y0 <= y <= y1 for x, y in drawn)
        return 100 * outside + covered + 50 * sum(_overlap(box, other) for other in taken)

    best = min(boxes, key=cost)
    taken.append(best)
    return letters(brush, best[0] + 2, best[3] - 4, text, **halo(brush))


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _level_labels(d: Drawing, f: Frame, brush: Brush, drawn: list[Spot], taken: list) -> list[str]:
    """The value on each contour line, once, where it covers no path and no other label; else not at all."""
    parts = []
    for contour in d.contours:
        pieces = [p for piece in contour.pieces for p in f.pieces(*zip(*piece, strict=True))]
        name = format_number(contour.level)
        half = text_width(name, 11) / 2 + 2
        for x, y in _spread(max(pieces, key=len, default=[])):
            box = (x - half, y - 7, x + half, y + 7)
            inside = (
                f.left < box[0] and box[2] < f.left + f.width and f.top < box[1] and box[3] < f.top + f.height
            )
            busy = any(box[0] - 4 < u < box[2] + 4 and box[1] - 4 < v < box[3] + 4 for u, v in drawn)
            if inside and not busy and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                # a halo around letters would leave bits of the line between them: a patch hides it
                patch = {"x": box[0], "y": box[1], "width": 2 * half, "height": 14.0}
                parts.append(element("rect", **patch, **brush.paint(fill="back")))
                parts.append(letters(brush, x, y + 4, name, text_anchor="middle", font_size="11"))
                break
    return parts


def _spread(piece: list[Spot]) -> list[Spot]:
    """Some points of a line, first those far apart: in the middle, at the quarters, …"""
    n = len(piece)
    return [piece[n * k // 16] for k in (8, 4, 12, 2, 6, 10, 14, 1, 3, 5, 7, 9, 11, 13, 15)] if n else []
