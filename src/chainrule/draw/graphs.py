"""Pictures of computation graphs: boxes with names, values, gradients; lines with local derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chainrule.draw import card, svg_graph, text_graph
from chainrule.draw.layout import Layout
from chainrule.errors import ArgumentError, GraphError

KINDS = {
    "leaf": "a leaf: gets a gradient",
    "unnamed": "a leaf that no variable holds",
    "computed": "computed",
    "output": "the output",
    "constant": "a constant: not tracked",
    "unused": "not used by the output",
}


@dataclass(frozen=True, slots=True)
class Node:
    """One value of a computation.

    Parameters
    ----------
    id
        Unique name; edges refer to it. Never shown.
    rows
        Lines of text in the box: usually name or formula, value, gradient.
    kind
        ``"leaf"``, ``"unnamed"`` (a leaf that no variable holds), ``"computed"``, ``"output"``,
        ``"constant"`` or ``"unused"``.
    note
        Text for hovering; the rows and the kind where empty.
    """

    id: str | int
    rows: tuple[str, ...]
    kind: str = "computed"
    note: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ArgumentError(
                "there is no such kind of node", given=repr(self.kind), fix=f"use one of {list(KINDS)}"
            )
        object.__setattr__(self, "rows", tuple(map(str, self.rows)))  # frozen, but still under construction


@dataclass(frozen=True, slots=True)
class Edge:
    """Use of one value in another: solid with its local derivative (`chip`) when `live`, else dashed."""

    source: str | int
    target: str | int
    chip: str = ""
    live: bool = True


@dataclass(frozen=True, slots=True, repr=False)
class GraphDrawing:
    """A computation, left to right: by which routes do inputs reach the output, with which factors?

    At a prompt it shows as text, in a notebook drawn.

    Parameters
    ----------
    title
        Also the name of the picture for screen readers.
    nodes
        In the order in which the values were made; columns keep it where nothing else decides.
    edges
        In any order; two edges between the same nodes (x·x) are drawn beside each other.
    description
        A sentence for those who do not see the picture; made from the content where empty.

    Examples
    --------
    >>> w = Node("w", ("w", "1", "∂L/∂w = 7"), "leaf")
    >>> out = Node("L", ("L = 4·w + w³", "5", "∂L/∂L = 1"), "output")
    >>> print(GraphDrawing("dL/dw", (w, out), (Edge("w", "L", "7"),)).to_text())
    dL/dw
    (w)             1  ∂L/∂w = 7  a leaf: gets a gradient
    ╔L = 4·w + w³╗  5  ∂L/∂L = 1  the output  ◀ w (7)
    """

    title: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...] = ()
    description: str = ""

    def __post_init__(self) -> None:
        known = {n.id: n for n in self.nodes}
        if len(known) < len(self.nodes):
            raise GraphError("two nodes have the same id", given=f"{len(self.nodes)} nodes, {len(known)} ids",
                             fix="give each node an id of its own")  # fmt: skip
        for e in self.edges:
            for end in (e.source, e.target):
                if end not in known:
                    raise GraphError(
                        "an edge ends at no node", given=repr(end), fix="add the node to `nodes`"
                    )

    def to_svg(self, *, theme: str = "auto") -> str:
        """Standalone SVG; themes as in `Drawing.to_svg`. Each box has a title for hovering."""
        return svg_graph.graph_svg(self, theme=theme)

    def to_text(self) -> str:
        """A line per node: its name in brackets, (leaf), [computed], ┆constant┆, ╔output╗; values; uses."""
        return text_graph.graph_text(self)

    def to_json(self) -> dict[str, Any]:
        """Nodes and edges with their places in pixels, to 0.1, so that every surface shows one picture."""
        layout, sizes = svg_graph.arrange(self)
        boxes = zip(self.nodes, layout.boxes, sizes, strict=True)
        return {
            "kind": "graph",
            "title": self.title,
            "description": self.describe(),
            "width": round(layout.width, 1),
            "height": round(layout.height, 1),
            "nodes": [
                {"id": n.id, "rows": list(n.rows), "kind": n.kind, "note": n.note,
                 "x": round(x, 1), "y": round(y, 1), "width": round(w, 1), "height": round(h, 1)}
                for n, (x, y), (w, h) in boxes
            ],
            "edges": [
                {"source": e.source, "target": e.target, "chip": e.chip, "live": e.live,
                 "route": [[round(x, 1), round(y, 1)] for x, y in route]}
                for e, route in zip(self.edges, layout.routes, strict=True)
            ],
        }  # fmt: skip

    def save(self, path: str | Path) -> None:
        """Write it as .svg, .html, .txt or .json, whatever the name ends with."""
        card.save(self, path)

    def __repr__(self) -> str:
        return self.to_text()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return card.bundle(self)

    def to_rows(self) -> tuple[Sequence[str], card.Rows]:
        """Heads and rows of a table that says the same: each value, what it is, and what it uses."""
        return text_graph.graph_rows(self)

    def layout(self) -> Layout:
        """Places of boxes and lines."""
        return svg_graph.arrange(self)[0]

    def describe(self) -> str:
        """The picture in words."""
        if self.description:
            return self.description
        outputs = ", ".join(n.rows[0] for n in self.nodes if n.kind == "output" and n.rows)
        live = sum(e.live for e in self.edges)
        ends = f" Output: {outputs}." if outputs else ""
        size = f"{len(self.nodes)} values and {len(self.edges)} uses, {live} on a tracked route"
        return f"Computation graph of {size}.{ends}"
