"""SVG of a computation graph: the shape and border of a box say its kind, its rows say the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chainrule.draw.geometry import Spot
from chainrule.draw.layout import Layout, layered
from chainrule.draw.lettering import clean, escape, shorten, text_width
from chainrule.draw.palette import Brush, brush_for
from chainrule.draw.svg import coordinate, document, element, letters
from chainrule.draw.svg_tables import title_lines

if TYPE_CHECKING:
    from chainrule.draw.graphs import Edge, GraphDrawing, Node

EDGE = 14.0
ROW = 18.0
SIZE, CHIP_SIZE = 13, 12
_LONGEST = 260.0  # pixels of a row that is written in full
_CHIP_HEIGHT = 18.0
# kind -> role and width of the border, its dashes, radius of the corners, word in the legend
_LOOKS: dict[str, tuple[str, float, str, float, str]] = {
    "leaf": ("blue", 2.6, "", 14.0, "leaf"),
    "unnamed": ("blue", 2.6, "9 3", 14.0, "leaf without a name"),
    "computed": ("muted", 1.3, "", 0.0, "computed"),
    "output": ("orange", 3.6, "", 0.0, "output"),
    "constant": ("muted", 1.3, "4 3", 0.0, "constant"),
    "unused": ("muted", 1.3, "4 3", 14.0, "not used"),
}


def arrange(g: GraphDrawing) -> tuple[Layout, list[Spot]]:
    """Layout of the graph, and the (width, height) of its boxes."""
    sizes = [_size(n) for n in g.nodes]
    number = {n.id: i for i, n in enumerate(g.nodes)}
    pairs = [(number[e.source], number[e.target]) for e in g.edges]
    # 24 px beside the widest chip, and the length of the arrow head, which would else lie under it
    gaps = [_chip_width(e) + 44.0 if e.chip else 44.0 for e in g.edges]
    return layered(sizes, pairs, gaps=gaps), sizes


def _size(node: Node) -> Spot:
    widest = max((text_width(clean(r), SIZE) for r in node.rows), default=0.0)
    return max(min(widest, _LONGEST) + 26, 48.0), ROW * max(len(node.rows), 1) + 14


def _chip_width(edge: Edge) -> float:
    return min(text_width(clean(edge.chip), CHIP_SIZE), 160.0) + 12


def graph_svg(g: GraphDrawing, *, theme: str = "auto") -> str:
    """The whole picture: title, lines, boxes, chips, and a legend of the kinds that occur."""
    brush = brush_for(theme)
    layout, sizes = arrange(g)
    width = max(layout.width + 2 * EDGE, 320.0)
    parts, top = title_lines(brush, g.title, width)
    top += 12
    move = element(
        "g", "\n".join(_contents(g, layout, sizes, brush)), transform=f"translate({EDGE:.0f} {top:.1f})"
    )
    legend, height = _legend(g, brush, width, top + layout.height + 26)
    return document(brush, width, height, g.title, g.describe(), [*parts, move, *legend], size=SIZE)


def _contents(g: GraphDrawing, layout: Layout, sizes: Sequence[Spot], brush: Brush) -> list[str]:
    lines = [_edge(e, route, brush) for e, route in zip(g.edges, layout.routes, strict=True)]
    boxes = [_box(*item, brush) for item in zip(g.nodes, layout.boxes, sizes, strict=True)]
    taken: dict[tuple[int, int], list[tuple[float, float, float]]] = {}
    routes = zip(g.edges, layout.routes, strict=True)
    chips = [_chip(e, route, taken, brush) for e, route in routes if e.chip and e.live]
    return lines + boxes + chips


def _edge(e: Edge, route: Sequence[Spot], brush: Brush) -> str:
    """Curve, straight, curve, … and a triangle at the end."""
    role, width, dash = ("ink", 1.5, "") if e.live else ("muted", 1.2, "4 3")
    (x, y), tip = route[0], route[-1]
    stops = [*route[1:-1], (tip[0] - 7, tip[1])]
    data = f"M{coordinate(x)} {coordinate(y)}"
    for i, (u, v) in enumerate(stops):
        if i % 2:
            data += f"H{coordinate(u)}"
        else:
            middle = coordinate((x + u) / 2)
            data += f"C{middle} {coordinate(y)} {middle} {coordinate(v)} {coordinate(u)} {coordinate(v)}"
        x, y = u, v
    head = f"M{coordinate(tip[0])} {coordinate(tip[1])}l-9 -4.5v9Z"
    line = element("path", d=data, **brush.paint(stroke=role, width=width, dash=dash))
    return line + element("path", d=head, **brush.paint(fill=role))


def _box(node: Node, corner: Spot, size: Spot, brush: Brush) -> str:
    (x, y), (width, height) = corner, size
    role, border, dash, radius, word = _LOOKS[node.kind]
    rows = [clean(r) for r in node.rows]
    parts = [element("title", escape(node.note or f"{', '.join(rows)} ({word})"))]
    ground = "back" if dash else "panel"
    box = {"x": x, "y": y, "width": width, "height": height, "rx": radius or None}
    parts.append(element("rect", **box, **brush.paint(fill=ground, stroke=role, width=border, dash=dash)))
    for i, row in enumerate(rows):
        weight = {"font_weight": "600"} if i == 0 else {}
        line = shorten(row, _LONGEST, SIZE)
        spot = (x + width / 2, y + 7 + ROW * i + 14)
        parts.append(
            letters(brush, *spot, line, role="ink" if i < 2 else "muted", text_anchor="middle", **weight)
        )
    return element("g", "".join(parts))


def _chip(e: Edge, route: Sequence[Spot], taken: dict, brush: Brush) -> str:
    """Local derivative on the last curve of its line, at the first place where it touches no other chip.

    `taken` holds (x, y, width) of the chips so far, by the end of their lines and by height.
    """
    width, gap = _chip_width(e), round(route[-1][0])
    places = [_on_curve(*route[-2:], t) for t in (0.5, 0.38, 0.62, 0.28, 0.72)]

    def is_free(x: float, y: float) -> bool:
        row = int(y // _CHIP_HEIGHT)
        near = [other for r in (row - 1, row, row + 1) for other in taken.get((gap, r), ())]
        return all(abs(y - v) >= _CHIP_HEIGHT or abs(x - u) >= (width + w) / 2 for u, v, w in near)

    x, y = next((place for place in places if is_free(*place)), places[0])
    taken.setdefault((gap, int(y // _CHIP_HEIGHT)), []).append((x, y, width))
    box = {"x": x - width / 2, "y": y - _CHIP_HEIGHT / 2, "width": width, "height": _CHIP_HEIGHT, "rx": 9.0}
    ground = element("rect", **box, **brush.paint(fill="back", stroke="grid", width=1))
    text = shorten(clean(e.chip), 160, CHIP_SIZE)
    return ground + letters(brush, x, y + 4.3, text, text_anchor="middle", font_size=str(CHIP_SIZE))


def _on_curve(a: Spot, b: Spot, t: float) -> Spot:
    """Point of the cubic curve with level ends (Bernstein polynomials of its control points)."""
    s, middle = 1 - t, (a[0] + b[0] - 7) / 2
    near, far = s * s * (s + 3 * t), t * t * (t + 3 * s)
    return s**3 * a[0] + 3 * s * t * middle + t**3 * (b[0] - 7), near * a[1] + far * b[1]


def _legend(g: GraphDrawing, brush: Brush, width: float, y: float) -> tuple[list[str], float]:
    """A small box with its word for each kind that occurs; and the height of the whole picture."""
    parts: list[str] = []
    x = EDGE
    present = {n.kind: None for n in g.nodes}
    for kind, (role, border, dash, radius, word) in _LOOKS.items():
        if kind not in present:
            continue
        needed = 30 + text_width(word, CHIP_SIZE)
        if x + needed > width - EDGE and x > EDGE:
            x, y = EDGE, y + 22
        box = {"x": x, "y": y - 10, "width": 22.0, "height": 13.0, "rx": min(radius, 5.0) or None}
        paint = brush.paint(
            fill="back" if dash else "panel", stroke=role, width=min(border, 2.4), dash=dash and "3 2"
        )
        parts.append(element("rect", **box, **paint))
        parts.append(letters(brush, x + 30, y, word, role="muted", font_size=str(CHIP_SIZE)))
        x += needed + 18
    return parts, y + EDGE
