"""A `Drawing` on a matplotlib axes. The only file that imports matplotlib; it changes no global style."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from chainrule.draw.lettering import clean
from chainrule.draw.scale import format_number
from chainrule.errors import ArgumentError, UnsupportedError

if TYPE_CHECKING:
    from chainrule.draw.drawing import Drawing

_STYLES = ("-", "--", ":", "-.")
_HUE = "#c46a00"  # for tangents, paths and points: contrast above 3 on white and on black


def draw_on(d: Drawing, ax: Any = None) -> Any:
    """Draw `d` with the colours and fonts of the current style; see `Drawing.to_matplotlib`."""
    try:
        import matplotlib as mpl
        import matplotlib.pyplot as plt
    except ImportError:
        fix = 'pip install "chainrule[plot]"; to_svg(), to_text() and save("name.svg") need nothing'
        raise UnsupportedError("matplotlib is not installed here", fix=fix) from None
    if ax is not None and not hasattr(ax, "set_title"):
        fix = "pass axes of matplotlib, from plt.subplots(), or leave them out"
        raise ArgumentError(f"a {type(ax).__name__} is no axes to draw on", fix=fix)
    if ax is None:
        ax = plt.subplots()[1]
    ink = mpl.rcParams["text.color"]
    if d.matrix is not None:
        _matrix(d, ax)
    elif d.bars:
        _bars(d, ax, ink)
    else:
        _plane(d, ax, ink)
    ax.set_title(_literal(d.title))
    return ax


def _literal(text: object) -> str:
    """Text that matplotlib does not take for mathematics."""
    return clean(text).replace("$", r"\$")


def _plane(d: Drawing, ax: Any, ink: str) -> None:
    for contour in d.contours:
        for piece in contour.pieces:
            ax.plot(
                *zip(*piece, strict=True),
                color=ink,
                alpha=0.45,
                linewidth=1,
                gid=format_number(contour.level),
            )
    for line in d.lines:
        mark = ax.axvline if line.axis == "x" else ax.axhline
        mark(
            line.at,
            color=ink,
            linewidth=0.8,
            linestyle="--" if line.label else "-",
            label=_literal(line.label),
        )
    for i, c in enumerate(d.curves):
        ax.plot(_finite(c.xs), _finite(c.ys), linestyle=_STYLES[i % len(_STYLES)], label=_literal(c.label))
    x_axis, y_axis = d.axes()
    for s in d.segments:
        ax.plot((s.x0, s.x1), (s.y0, s.y1), color=_HUE, linestyle="--", label=_literal(s.label))
    for p in d.paths:
        ax.plot(p.xs, p.ys, color=_HUE, marker=".", markersize=3, label=_literal(p.label))
    for p in d.points:
        ax.plot(
            [p.x], [p.y], "o", color=_HUE, fillstyle="none" if p.hollow else "full", label=_literal(p.label)
        )
    if d.log_y:
        ax.set_yscale("log")
    if d.equal:
        ax.set_aspect("equal")
    ax.set(xlim=(x_axis.lo, x_axis.hi), ylim=(y_axis.lo, y_axis.hi))
    ax.set(xlabel=_literal(d.x_label), ylabel=_literal(d.y_label))
    if any(item.label for item in (*d.curves, *d.segments, *d.paths, *d.points, *d.lines)):
        ax.legend()


def _finite(values: tuple[float, ...]) -> list[float]:
    """NaN instead of infinity: both interrupt the line."""
    return [v if math.isfinite(v) else math.nan for v in values]


def _bars(d: Drawing, ax: Any, ink: str) -> None:
    kinds = list(dict.fromkeys(b.series for b in d.bars))
    names = list(dict.fromkeys(b.name for b in d.bars))
    thick = 0.8 / len(kinds)
    for k, kind in enumerate(kinds):
        chosen = [b for b in d.bars if b.series == kind]
        places = [names.index(b.name) + (k - (len(kinds) - 1) / 2) * thick for b in chosen]
        sizes = [b.value if b.value is not None and math.isfinite(b.value) else 0.0 for b in chosen]
        ax.barh(places, sizes, thick, label=_literal(kind))
    ax.axvline(0.0, color=ink, linewidth=0.8)
    ax.set_yticks(range(len(names)), [_literal(n) for n in names])
    ax.invert_yaxis()  # first entry on top, as in the other renderings
    ax.set_xlabel(_literal(d.unit))
    if len(kinds) > 1:
        ax.legend()


def _matrix(d: Drawing, ax: Any) -> None:
    m = d.matrix
    largest = max((abs(v) for row in m.values for v in row if math.isfinite(v)), default=0.0) or 1.0
    ax.imshow([list(row) for row in m.values], cmap="PuOr_r", vmin=-2 * largest, vmax=2 * largest)
    for i, row in enumerate(m.values):
        for j, value in enumerate(row):
            ax.text(j, i, format_number(value), ha="center", va="center", color="black")
    ax.set_xticks(range(len(m.columns)), [_literal(c) for c in m.columns])
    ax.set_yticks(range(len(m.rows)), [_literal(r) for r in m.rows])
    ax.xaxis.tick_top()
