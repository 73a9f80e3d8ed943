"""Bars and a matrix as text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from chainrule.draw.lettering import cells, clean, pad
from chainrule.draw.scale import format_number

if TYPE_CHECKING:
    from chainrule.draw.drawing import Bar, Drawing


def bars_text(d: Drawing, *, width: int) -> str:
    """A line per bar; the longest takes `width` cells. Negative ones leave the common zero to the left."""
    sizes = [b.value for b in d.bars if b.value is not None and math.isfinite(b.value)]
    largest = max((abs(v) for v in sizes), default=0.0)
    names = [_name(b, previous) for b, previous in zip(d.bars, (None, *d.bars), strict=False)]
    series = [clean(b.series) for b in d.bars]
    widest, widest_series = max(map(cells, names)), max(map(cells, series))
    lengths = [_length(b.value, largest, width) for b in d.bars]
    below = max(
        (n for n, b in zip(lengths, d.bars, strict=True) if b.value is not None and b.value < 0), default=0
    )
    lines = [clean(d.title)]
    for bar, name, kind, n in zip(d.bars, names, series, lengths, strict=True):
        marks = "█" * n
        if below:
            marks = pad(marks, below, right=True) + "│" if _is_negative(bar) else " " * below + "│" + marks
        value = "None" if bar.value is None else format_number(bar.value)
        parts = [pad(name, widest, right=True), pad(kind, widest_series), marks, f"{value} {clean(d.unit)}"]
        lines.append(" ".join(p for p in parts if p.strip() or p is parts[0]).rstrip())
    return "\n".join(lines)


def _name(bar: Bar, previous: Bar | None) -> str:
    return "" if previous is not None and previous.name == bar.name else clean(bar.name)


def _is_negative(bar: Bar) -> bool:
    return bar.value is not None and bar.value < 0


def _length(value: float | None, largest: float, width: int) -> int:
    """Cells of a bar: at least one where the value is not 0, so that small and absent look different."""
    if value is None or not math.isfinite(value) or value == 0:
        return 0
    return max(1, round(abs(value) / largest * width))


def matrix_text(d: Drawing) -> str:
    """The matrix in brackets, with the names of its rows and columns."""
    m = d.matrix
    columns = [clean(c) for c in m.columns]
    texts = [[format_number(v) for v in row] for row in m.values]
    widths = [max([cells(c), *(cells(row[j]) for row in texts)]) for j, c in enumerate(columns)]
    side = max((cells(clean(r)) for r in m.rows), default=0)
    head = " " * (side + 3) + "  ".join(pad(c, w, right=True) for c, w in zip(columns, widths, strict=True))
    lines = [clean(d.title), head.rstrip()]
    for name, row in zip(m.rows, texts, strict=True):
        entries = "  ".join(pad(t, w, right=True) for t, w in zip(row, widths, strict=True))
        lines.append(f"{pad(clean(name), side, right=True)} [ {entries} ]")
    return "\n".join(lines)
