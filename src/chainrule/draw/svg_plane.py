"""SVG of a plane: axes, curves, contours, paths, tangents and points with labels that avoid what is drawn."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from chainrule.draw.geometry import clip_segment
from chainrule.draw.lettering import text_width, wrap
from chainrule.draw.palette import DASHES, SERIES, Brush, brush_for, level_role
from chainrule.draw.scale import Axis
from chainrule.draw.svg import document, element, letters, path_data
from chainrule.draw.svg_labels import SIZE, WIDTH, Frame, labels

if TYPE_CHECKING:
    from chainrule.draw.drawing import Drawing

PLANE_HEIGHT = 230.0
SMALL = 12  # size of the letters of ticks and legend
EDGE = 12.0  # between anything and the border of the picture


def plane_svg(d: Drawing, *, theme: str = "auto") -> str:
    """The whole picture, from top to bottom: title, legend, name of the y axis, frame, name of the x axis."""
    brush = brush_for(theme)
    head, top = _head(d, brush)
    x, y = d.axes()
    left = EDGE + 6 + max((text_width(name, SMALL) for _, name in y.marks()), default=0.0)
    width = WIDTH - left - EDGE - 6
    frame = Frame(left, top, width, _frame_height(d, width, x, y), x, y)
    body = [*head, *_axes(d, frame, brush), *_layers(d, frame, brush), *labels(d, frame, brush)]
    if not any((d.curves, d.points, d.contours, d.paths, d.segments)):
        spot = (left + width / 2, top + frame.height / 2)
        body.append(letters(brush, *spot, "nothing to show", role="muted", text_anchor="middle"))
    height = top + frame.height + 22 + (18 if d.x_label else 0) + 6
    return document(brush, WIDTH, height, d.title, d.describe(), body, size=SIZE)


def _frame_height(d: Drawing, width: float, x: Axis, y: Axis) -> float:
    if not d.equal or y.log:
        return PLANE_HEIGHT
    ratio = (y.hi / 2 - y.lo / 2) / (x.hi / 2 - x.lo / 2)
    return min(max(width * ratio, 160.0), 480.0)


def _head(d: Drawing, brush: Brush) -> tuple[list[str], float]:
    """Title, legend and name of the y axis; and the height they take."""
    parts, y = [], EDGE - 2
    for line in wrap(d.title, WIDTH - 2 * EDGE, 15):
        y += 18
        parts.append(letters(brush, EDGE, y, line, font_size="15", font_weight="600"))
    x = WIDTH
    for sample, label in _legend(d, brush):
        (name,) = wrap(label, WIDTH - 2 * EDGE - 32, SMALL, lines=1) or [""]
        needed = 32 + text_width(name, SMALL) + 14
        if x + needed - 14 > WIDTH - EDGE:
            x, y = EDGE, y + 20
        parts.append(element("g", sample, transform=f"translate({x:.1f} {y - 4:.1f})"))
        parts.append(letters(brush, x + 32, y, name, font_size=str(SMALL)))
        x += needed
    if d.y_label:
        y += 20
        parts.append(letters(brush, EDGE, y, d.y_label, role="muted", font_size=str(SMALL)))
    return parts, y + 12


def _legend(d: Drawing, brush: Brush) -> list[tuple[str, str]]:
    """Pairs of a 26 px wide sample and its label."""

    def stroke(role: str, width: float, dash: str = "") -> str:
        return element("path", d="M0 0H26", **brush.paint(stroke=role, width=width, dash=dash))

    items = [(stroke(*_series(i)), c.label) for i, c in enumerate(d.curves)]
    items += [(stroke("orange", 2, "6 4"), s.label) for s in d.segments[:1]]
    items += [(stroke("orange", 2) + _dot(brush, 13, 0), p.label) for p in d.paths]
    return [(sample, label) for sample, label in items if label]


def _series(index: int) -> tuple[str, float, str]:
    return SERIES[index % len(SERIES)], 2.2, DASHES[index % len(DASHES)]


def _dot(brush: Brush, x: float, y: float, *, hollow: bool = False) -> str:
    colours = brush.paint(fill="back", stroke="orange", width=2) if hollow else None
    return element(
        "circle",
        cx=float(x),
        cy=float(y),
        r=4.5,
        **(colours or brush.paint(fill="orange", stroke="back", width=1.5)),
    )


def _axes(d: Drawing, f: Frame, brush: Brush) -> list[str]:
    """Grid, ticks with their names, name of the x axis, and the two sides of the frame."""
    right, bottom = f.left + f.width, f.top + f.height
    across = [(f.top + f.place(f.x.lo, v)[1], name) for v, name in f.y.marks()]
    along = _fitting([(f.left + f.place(v, f.y.lo)[0], name) for v, name in f.x.marks()])
    grid = "".join(f"M{f.left:.1f} {y:.1f}H{right:.1f}" for y, _ in across)
    grid += "".join(f"M{x:.1f} {f.top:.1f}V{bottom:.1f}" for x, _ in along)
    parts = [element("path", d=grid, **brush.paint(stroke="grid", width=1))] if grid else []
    parts += [
        letters(brush, f.left - 6, y + 4, n, role="muted", text_anchor="end", font_size=str(SMALL))
        for y, n in across
    ]
    for x, name in along:
        parts.append(
            letters(brush, x, bottom + 17, name, role="muted", text_anchor="middle", font_size=str(SMALL))
        )
    if d.x_label:
        middle = f.left + f.width / 2
        parts.append(
            letters(
                brush,
                middle,
                bottom + 36,
                d.x_label,
                role="muted",
                text_anchor="middle",
                font_size=str(SMALL),
            )
        )
    border = brush.paint(stroke="muted", width=1)
    return [*parts, element("path", d=f"M{f.left:.1f} {f.top:.1f}V{bottom:.1f}H{right:.1f}", **border)]


def _fitting(marks: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """Every tick, or every second or third …, so that the names do not touch."""
    for stride in range(1, len(marks) + 1):
        chosen = marks[::stride]
        pairs = pairwise(chosen)
        if all((text_width(n, SMALL) + text_width(m, SMALL)) / 2 + 8 < b - a for (a, n), (b, m) in pairs):
            return chosen
    return []


def _layers(d: Drawing, f: Frame, brush: Brush) -> list[str]:
    parts = []
    for i, contour in enumerate(d.contours):
        data = path_data(p for piece in contour.pieces for p in f.pieces(*zip(*piece, strict=True)))
        if data:
            parts.append(
                element("path", d=data, **brush.paint(stroke=level_role(i, len(d.contours)), width=1.4))
            )
    parts += [part for line in d.lines for part in _line(line, f, brush)]
    for i, curve in enumerate(d.curves):
        data = path_data(f.pieces(curve.xs, curve.ys))
        role, width, dash = _series(i)
        if data:
            parts.append(element("path", d=data, **brush.paint(stroke=role, width=width, dash=dash)))
    parts += [part for s in d.segments for part in _tangent(s, f, brush)]
    parts += [part for p in d.paths for part in _descent(p, f, brush)]
    for p in d.points:
        x, y = f.place(p.x, p.y)
        if 0 <= x <= f.width and 0 <= y <= f.height:
            parts.append(_dot(brush, f.left + x, f.top + y, hollow=p.hollow))
    return parts


def _line(line, f: Frame, brush: Brush) -> list[str]:
    at = (f.x if line.axis == "x" else f.y).fraction(line.at)
    if not 0 <= at <= 1:  # NaN too
        return []
    if line.axis == "x":
        data = f"M{f.left + at * f.width:.1f} {f.top:.1f}v{f.height:.1f}"
    else:
        data = f"M{f.left:.1f} {f.top + (1 - at) * f.height:.1f}h{f.width:.1f}"
    return [
        element("path", d=data, **brush.paint(stroke="muted", width=1.3, dash="5 4" if line.label else ""))
    ]


def _tangent(s, f: Frame, brush: Brush) -> list[str]:
    """Dashed segment with an arrow head where x grows: up or down is the sign of the slope."""
    a, b = f.place(s.x0, s.y0), f.place(s.x1, s.y1)
    part = None if math.isnan(sum(a) + sum(b)) else clip_segment(a, b, f.width, f.height)
    if part is None:
        return []
    (x0, y0), (x1, y1) = [(f.left + x, f.top + y) for x, y in part]
    return [
        element(
            "path", d=path_data([[(x0, y0), (x1, y1)]]), **brush.paint(stroke="orange", width=2, dash="6 4")
        ),
        arrow_head(brush, x1, y1, x1 - x0, y1 - y0, role="orange"),
    ]


def arrow_head(brush: Brush, x: float, y: float, dx: float, dy: float, *, role: str) -> str:
    """Triangle with its tip at (x, y), along (dx, dy). Not a marker: those need names unique in the page."""
    length = math.hypot(dx, dy)
    if length == 0:
        return ""
    ux, uy = dx / length, dy / length
    back = [(x - 9 * ux - s * 4.5 * uy, y - 9 * uy + s * 4.5 * ux) for s in (1, -1)]
    return element("path", d=path_data([[(x, y), *back]]) + "Z", **brush.paint(fill=role))


def _descent(p, f: Frame, brush: Brush) -> list[str]:
    pieces = f.pieces(p.xs, p.ys)
    if not pieces:
        return []
    parts = [element("path", d=path_data(pieces), **brush.paint(stroke="orange", width=2))]
    longest = max(pieces, key=len)
    if len(longest) > 2:
        k = len(longest) // 2
        (x0, y0), (x1, y1) = longest[k - 1], longest[k]
        parts.append(arrow_head(brush, x1, y1, x1 - x0, y1 - y0, role="orange"))
    return [*parts, _dot(brush, *pieces[0][0], hollow=True), _dot(brush, *pieces[-1][-1])]
