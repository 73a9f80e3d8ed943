"""`graph(L)`: the explanation tree as the data of a picture."""

from __future__ import annotations

from typing import Any

from chainrule.dispatch import Handle
from chainrule.draw import Edge, GraphDrawing, Node
from chainrule.eager.backward import node_of
from chainrule.errors import DataError
from chainrule.insight.naming import Variables
from chainrule.insight.trace import Line, Step, Trace, trace
from chainrule.source import boundary, user_frame


@boundary
def graph(x: Any) -> GraphDrawing:
    """The computation of `x` as a picture: leaves, constants and steps, with values and derivatives.

    Parameters
    ----------
    x
        A Tensor that was computed.

    Returns
    -------
    A `chainrule.draw.GraphDrawing`: `to_svg()`, `to_text()`, `to_json()`. A computation of more than 60
    steps shows one box per line of the program.

    Raises
    ------
    DataError (E105)
        `x` is no Tensor.

    Examples
    --------
    >>> import chainrule as cr
    >>> w = cr.tensor(1.0, requires_grad=True)
    >>> print(cr.graph(4 * w).to_text())
    how L was computed, and dL/d of each step
    (w)      1  ∂L/∂w = 4  a leaf: gets a gradient
    ╔L = 4·w╗  4  ∂L/∂L = 1  the output  ◀ w (4)
    """
    if not isinstance(x, Handle):
        raise DataError(f"a {type(x).__name__} has no graph", fix="pass a Tensor, e.g. graph(L)")
    return graph_of(trace(node_of(x), Variables.of_frame(user_frame())))


def graph_of(tree: Trace) -> GraphDrawing:
    """The picture of an explanation tree."""
    out = tree.output if tree.size == 1 else f"Σ{tree.output}"
    title = f"how {tree.output} was computed" + (f", and d{out}/d of each step" if tree.tracked else "")
    if tree.lines:
        boxes = tuple(_line_box(i, line, out) for i, line in enumerate(tree.lines))
        return GraphDrawing(f"{title}, line by line", boxes)
    steps = {s.id: s for s in tree.steps}
    nodes = [_box(s, out) for s in tree.steps]
    nodes += [Node(f"unused {name}", (name, "not used"), "unused") for name in tree.unused]
    edges: list[Edge] = []
    for s in tree.steps:
        edges += _edges(s, steps)
    return GraphDrawing(title, tuple(nodes), tuple(edges))


def _box(s: Step, out: str) -> Node:
    head = s.name if s.formula is None or s.formula.text == s.name else f"{s.name} = {s.formula.text}"
    rows = [f"{s.name}, unnamed" if s.kind == "unnamed" else head, s.value.text]
    if s.tracked:
        rows.append(
            f"∂{out}/∂{s.name} = {s.cotangent.text}" if s.cotangent is not None else s.note or "not kept"
        )
    kind = "constant" if s.kind == "computed" and not s.tracked else s.kind
    note = f"{', '.join(rows)}; {s.place}" + (f"; {s.note}" if s.note else "")
    return Node(s.id, tuple(rows), kind, note)


def _edges(s: Step, steps: dict[int, Step]) -> list[Edge]:
    """One line per use: solid with the local derivative where a gradient passes, else dashed."""
    live = [Edge(e.id, s.id, e.value.text if e.value is not None else "") for e in s.locals if e.id in steps]
    passed = {e.id for e in s.locals}
    dashed = [
        Edge(i, s.id, live=False) for _, i in s.operands if i is not None and i in steps and i not in passed
    ]
    return live + list(dict.fromkeys(dashed))


def _line_box(i: int, line: Line, out: str) -> Node:
    rows = [line.place.text or line.place.place, f"{line.steps} steps", line.value.text]
    if line.cotangent is not None:
        rows.append(f"∂{out}/∂(last) = {line.cotangent.text}")
    return Node(i, tuple(rows), "computed", str(line.place))


__all__ = ["graph", "graph_of"]
