"""A computation graph as text: a line per node, in the order in which the values were made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainrule.draw.lettering import cells, clean, pad

if TYPE_CHECKING:
    from chainrule.draw.graphs import Edge, GraphDrawing, Node

_BRACKETS = {
    "leaf": "()",
    "unnamed": "()",
    "computed": "[]",
    "output": "╔╗",
    "constant": "┆┆",
    "unused": "┆┆",
}


def graph_text(g: GraphDrawing) -> str:
    """Name, other rows, kind, and after ◀ what the value uses, with the local derivatives in parentheses."""
    from chainrule.draw.graphs import KINDS  # imported here: graphs.py imports this file

    uses: dict[str | int, list[Edge]] = {}
    for e in g.edges:
        uses.setdefault(e.target, []).append(e)
    names = {n.id: clean(n.rows[0]) if n.rows else "" for n in g.nodes}
    rows = [_row(n) for n in g.nodes]
    widths = [
        max((cells(r[i]) for r in rows if i < len(r)), default=0)
        for i in range(max(map(len, rows), default=0))
    ]
    lines = [clean(g.title)]
    for node, row in zip(g.nodes, rows, strict=True):
        filled = [*row, *[""] * (len(widths) - len(row))]
        parts = [pad(t, w) for t, w in zip(filled, widths, strict=True)]
        kind = "" if node.kind == "computed" else KINDS[node.kind]  # square brackets say it
        sources = ", ".join(_source(e, names) for e in uses.get(node.id, ()))
        parts += [kind] * bool(kind) + [f"◀ {sources}"] * bool(sources)
        lines.append("  ".join(parts).rstrip())
    return "\n".join(lines)


def graph_rows(g: GraphDrawing) -> tuple[list[str], list[list[str]]]:
    """The same as a table: value, its other rows, what it is, and what it uses with which local derivative."""
    from chainrule.draw.graphs import KINDS  # imported here: graphs.py imports this file

    names = {n.id: clean(n.rows[0]) if n.rows else "" for n in g.nodes}
    uses: dict[str | int, list[str]] = {}
    for e in g.edges:
        uses.setdefault(e.target, []).append(_source(e, names))
    rows = [
        [names[n.id], ", ".join(map(clean, n.rows[1:])), KINDS[n.kind], ", ".join(uses.get(n.id, ()))]
        for n in g.nodes
    ]
    return ["value", "numbers", "what it is", "uses (local derivative)"], rows


def _row(node: Node) -> list[str]:
    left, right = _BRACKETS[node.kind]
    first, *rest = [clean(r) for r in node.rows] or [""]
    return [left + first + right, *rest]


def _source(e: Edge, names: dict[str | int, str]) -> str:
    name = names[e.source].partition(" = ")[0]
    if not e.live:
        return f"{name} (not tracked)"
    return f"{name} ({clean(e.chip)})" if e.chip else name
