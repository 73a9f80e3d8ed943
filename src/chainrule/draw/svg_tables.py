"""SVG of bars and of a matrix."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from chainrule.draw.lettering import clean, escape, shorten, text_width, wrap
from chainrule.draw.palette import SERIES, Brush, brush_for
from chainrule.draw.scale import Axis, format_number
from chainrule.draw.svg import document, element, letters

if TYPE_CHECKING:
    from chainrule.draw.drawing import Bar, Drawing

WIDTH = 400.0
EDGE = 12.0
SMALL = 12
_NAME_WIDTH = 130.0  # of the longest name that is written in full


def bars_svg(d: Drawing, *, theme: str = "auto") -> str:
    """Horizontal bars from a common zero, each with its name at the left and its value at its end."""
    brush = brush_for(theme)
    kinds = list(dict.fromkeys(b.series for b in d.bars))
    parts, top = title_lines(brush, d.title, WIDTH)
    if len(kinds) > 1:
        parts += _legend(brush, kinds, top + 16)
        top += 24
    left = EDGE + min(max(text_width(clean(b.name), SMALL) for b in d.bars), _NAME_WIDTH) + 10
    scale = _Scale(d.bars, left, WIDTH - EDGE, d.unit)
    y, thick = top + 8, 16.0 if len(kinds) == 1 else 12.0
    previous = None
    for bar in d.bars:
        if bar.name != previous:
            y += 7
            name = shorten(clean(bar.name), _NAME_WIDTH, SMALL)
            parts.append(
                letters(brush, left - 10, y + thick / 2 + 4, name, text_anchor="end", font_size=str(SMALL))
            )
        parts.append(_bar(bar, scale, y, thick, kinds.index(bar.series), brush))
        previous, y = bar.name, y + thick + 2
    zero = element(
        "path", d=f"M{scale.zero:.1f} {top + 8:.1f}V{y + 6:.1f}", **brush.paint(stroke="muted", width=1)
    )
    return document(brush, WIDTH, y + 6 + EDGE, d.title, d.describe(), [*parts, zero])


class _Scale:
    """Where the bars lie: room for the text of the values is kept at both ends."""

    def __init__(self, bars: Sequence[Bar], left: float, right: float, unit: str) -> None:
        self.unit = clean(unit)
        values = [b.value for b in bars if b.value is not None and math.isfinite(b.value)]
        texts = [text_width(self.text(b), SMALL) + 12 for b in bars]
        self.left = left + (max(texts) if any(v < 0 for v in values) else 0)
        self.right = max(right - max(texts), self.left + 40)
        lo, hi = min([0.0, *values]), max([0.0, *values])
        self.axis = Axis(lo, hi) if hi / 2 - lo / 2 > 1e-300 else Axis(0.0, 1.0)
        self.zero = self.place(0.0)

    def place(self, value: float) -> float:
        return self.left + self.axis.fraction(value) * (self.right - self.left)

    def text(self, bar: Bar) -> str:
        return f"{'None' if bar.value is None else format_number(bar.value)} {self.unit}".rstrip()


def _bar(bar: Bar, scale: _Scale, y: float, thick: float, series: int, brush: Brush) -> str:
    """Group of one bar and its value; its title is the full text for hovering."""
    known = bar.value is not None and math.isfinite(bar.value)
    end = scale.place(bar.value) if known else scale.zero
    words = f"{bar.name} {bar.series}".rstrip() + f": {scale.text(bar)}"
    inside = [element("title", escape(words))]
    if abs(end - scale.zero) >= 0.05:
        x, width = min(end, scale.zero), abs(end - scale.zero)
        shape = (
            brush.paint(fill=SERIES[series % len(SERIES)]) if series % 2 == 0 else _outlined(brush, series)
        )
        inside.append(element("rect", x=x, y=float(y), width=width, height=thick, rx=1.5, **shape))
    leftwards = known and bar.value < 0
    spot = end - 6 if leftwards else end + 6
    role = "ink" if known else "muted"
    anchor = "end" if leftwards else None
    inside.append(
        letters(
            brush,
            spot,
            y + thick / 2 + 4,
            scale.text(bar),
            role=role,
            text_anchor=anchor,
            font_size=str(SMALL),
        )
    )
    return element("g", "".join(inside))


def _outlined(brush: Brush, series: int) -> dict[str, object]:
    """Every second series is hollow, so that it is told apart without colour."""
    return brush.paint(fill="panel", stroke=SERIES[series % len(SERIES)], width=1.6)


def _legend(brush: Brush, kinds: Sequence[str], y: float) -> list[str]:
    parts, x = [], EDGE
    for i, kind in enumerate(kinds):
        shape = brush.paint(fill=SERIES[i % len(SERIES)]) if i % 2 == 0 else _outlined(brush, i)
        parts.append(element("rect", x=x, y=y - 10, width=18.0, height=11.0, rx=1.5, **shape))
        parts.append(letters(brush, x + 24, y, clean(kind), font_size=str(SMALL)))
        x += 24 + text_width(clean(kind), SMALL) + 16
    return parts


def title_lines(brush: Brush, title: str, width: float) -> tuple[list[str], float]:
    """The title in bold, and the height it takes."""
    lines = wrap(clean(title), width - 2 * EDGE, 15)
    parts = [
        letters(brush, EDGE, EDGE + 16 + 18 * i, line, font_size="15", font_weight="600")
        for i, line in enumerate(lines)
    ]
    return parts, EDGE + 4 + 18 * len(lines)


def matrix_svg(d: Drawing, *, theme: str = "auto") -> str:
    """Grid of numbers, shaded by size, blue where positive, orange where negative (numbers say it too)."""
    brush, m = brush_for(theme), d.matrix
    texts = [[format_number(v) for v in row] for row in m.values]
    columns, rows = [clean(c) for c in m.columns], [clean(r) for r in m.rows]
    widest = max(
        [text_width(t, 13) for row in texts for t in row] + [text_width(c, 13) for c in columns], default=0.0
    )
    cell = min(max(widest + 20, 56.0), 160.0)
    side = min(max((text_width(r, 13) for r in rows), default=0.0), 160.0)
    left = EDGE + side + 12
    width = max(left + cell * len(columns) + EDGE, 220.0)
    parts, top = title_lines(brush, d.title, width)
    top += 28
    middle = [left + cell * (j + 0.5) for j in range(len(columns))]
    parts += [
        letters(brush, x, top - 8, shorten(c, cell, 13), role="muted", text_anchor="middle")
        for x, c in zip(middle, columns, strict=True)
    ]
    largest = max((abs(v) for row in m.values for v in row if math.isfinite(v)), default=0.0)
    for i, (name, row) in enumerate(zip(rows, m.values, strict=True)):
        y = top + 34 * i
        parts.append(
            letters(brush, left - 12, y + 22, shorten(name, side + 1, 13), role="muted", text_anchor="end")
        )
        for j, value in enumerate(row):
            parts += _cell(brush, left + cell * j, y, cell, value, largest)
            parts.append(
                letters(brush, middle[j], y + 22, shorten(texts[i][j], cell - 8, 13), text_anchor="middle")
            )
    return document(brush, width, top + 34 * len(rows) + EDGE, d.title, d.describe(), parts)


def _cell(brush: Brush, x: float, y: float, width: float, value: float, largest: float) -> list[str]:
    box = {"x": x + 1, "y": y + 1, "width": width - 2, "height": 32.0, "rx": 3.0}
    parts = [element("rect", **box, **brush.paint(fill="panel"))]
    if math.isfinite(value) and value != 0:
        shade = f"{0.06 + 0.24 * abs(value) / largest:.2f}"
        parts.append(
            element("rect", **box, **brush.paint(fill="blue" if value > 0 else "orange"), fill_opacity=shade)
        )
    return parts
