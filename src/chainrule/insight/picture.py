"""`graph(L)`: the explanation tree as the data of a picture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chainrule.dispatch import Handle
from chainrule.draw import Edge, GraphDrawing, Node
from chainrule.eager.backward import node_of
from chainrule.errors import ArgumentError, DataError
from chainrule.insight.as_text import chain, is_sum, local_text
from chainrule.insight.folding import BOXES, View, around, felt, folded, steps
from chainrule.insight.inside import opened
from chainrule.insight.naming import Variables
from chainrule.insight.shown import number
from chainrule.insight.trace import Given, Line, Step, Trace, trace
from chainrule.ir.types import type_of
from chainrule.source import boundary, user_frame

_UNUSED = 8
_TOLD = 600  # a result of more values is told line by line, whatever belongs together


@boundary
def graph(x: Any, *, focus: Any = None, depth: int | None = None) -> GraphDrawing:
    """The computation of `x` as a picture: leaves, constants and steps, with values and derivatives.

    Parameters
    ----------
    x
        A Tensor that was computed.
    focus
        A tensor on the way: only what lies around it is drawn, step by step.
    depth
        How many uses away from `focus` (or from `x`) the picture reaches, up and down; 3 with a focus.

    Returns
    -------
    A `chainrule.draw.GraphDrawing`: text at a prompt, a picture in a notebook; `to_svg()`, `to_text()`, `to_json()`,
    `save("graph.svg")`. More than 80 values are folded: a box per line of the program, loops as one box.

    Raises
    ------
    DataError (E105)
        `x` or `focus` is no Tensor.
    ArgumentError (E104)
        `focus` is not on the way to `x`, or `depth` is no positive number.

    Cost
    ----
    About one backward pass, and the text of the boxes.

    Examples
    --------
    >>> import chainrule as cr
    >>> w = cr.tensor(1.0, requires_grad=True)
    >>> cr.graph(4 * w)
    how L was computed, and dL/d of each step
    (w)      1  ∂L/∂w = 4  a leaf: gets a gradient
    ╔L = 4·w╗  4  ∂L/∂L = 1  the output  ◀ w (4)
    """
    if not isinstance(x, Handle):
        raise DataError(f"a {type(x).__name__} has no graph", fix="pass a Tensor, e.g. graph(L)")
    if focus is not None and not isinstance(focus, Handle):
        raise DataError(
            f"a {type(focus).__name__} is on no way to a result", fix="pass a Tensor, e.g. focus=w1"
        )
    if depth is not None and (isinstance(depth, bool) or not isinstance(depth, int) or depth < 1):
        fix = "use depth=3: three uses up and down"
        raise ArgumentError("depth is a number of uses, 1 or more", given=f"depth={depth!r}", fix=fix)
    variables = Variables.of_frame(user_frame())
    root = opened(node_of(x), variables).root
    view = View(root, variables)
    if focus is not None or depth is not None:
        return _part(view, root if focus is None else node_of(focus), 3 if depth is None else depth)
    if len(view.nodes) > _TOLD or root.p is None:
        return _long(view)
    tree = trace(root, variables)
    return _long(view) if tree.lines else graph_of(tree)


def _part(view: View, focus: Any, depth: int) -> GraphDrawing:
    """What lies around one value."""
    if focus not in view.nodes:
        fix = "pass a tensor that the result was computed from"
        raise ArgumentError("the focus is not on the way to the result", given=repr(focus), fix=fix)
    chosen = around(view, focus, depth)
    near = view.named(chosen).by_node[focus]
    title = f"what lies at most {depth} uses around {near}, of the way to {view.output}"
    if len(chosen) < len(view.nodes):
        title += f" ({len(chosen)} of {len(view.nodes)} values)"
    boxes, lines = steps(view, chosen, _of(view.output, type_of(view.root.out).size))
    return GraphDrawing(title, tuple(boxes), tuple(lines))


def _long(view: View) -> GraphDrawing:
    """Step by step as long as that can be taken in, else line by line."""
    out = _of(view.output, type_of(view.root.out).size)
    title = _title(view.output, out, view.flow.is_live(view.root))
    if len(view.nodes) <= BOXES:
        boxes, lines = steps(view, view.nodes, out)
    else:
        boxes, lines = folded(view, out)
        title += f", line by line ({len(view.nodes)} values)"
    boxes += [Node(f"unused {name}", (name, "not used"), "unused") for name in view.unused[:_UNUSED]]
    return GraphDrawing(title, tuple(boxes), tuple(lines))


def _of(output: str, size: int) -> str:
    return output if size == 1 else f"Σ{output}"


def _title(output: str, out: str, tracked: bool) -> str:
    return f"how {output} was computed" + (f", and d{out}/d of each step" if tracked else "")


def graph_of(tree: Trace) -> GraphDrawing:
    """The picture of an explanation tree."""
    out = _of(tree.output, tree.size)
    title = _title(tree.output, out, tree.tracked)
    if tree.lines:
        boxes = tuple(_line_box(i, line, out) for i, line in enumerate(tree.lines))
        return GraphDrawing(f"{title}, line by line", boxes)
    told = {s.id: s for s in tree.steps}
    given = {g.id: g for g in tree.leaves}
    nodes = [_box(s, out, given.get(s.id)) for s in tree.steps]
    nodes += [Node(f"unused {name}", (name, "not used"), "unused") for name in tree.unused]
    edges: list[Edge] = []
    for s in tree.steps:
        edges += _edges(s, told)
    return GraphDrawing(title, tuple(nodes), tuple(edges))


def _box(s: Step, out: str, given: Given | None) -> Node:
    head = s.name if s.formula is None or s.formula.text == s.name else f"{s.name} = {s.formula.text}"
    rows = [f"{s.name}, unnamed" if s.kind == "unnamed" else head, s.value.brief]
    if s.tracked and s.cotangent is not None:
        rows += felt(f"∂{out}/∂{s.name}", s.cotangent)
    elif s.tracked:
        rows.append(s.note or "not kept")
    kind = "constant" if s.kind == "computed" and not s.tracked else s.kind
    told = [
        ", ".join(rows),
        *(local_text(s.name, e) for e in s.locals),
        *_routes(given),
        str(s.place),
        s.note,
    ]
    return Node(s.id, tuple(rows), kind, "; ".join(filter(None, told)))


def _routes(given: Given | None) -> Iterator[str]:
    """The chain rule along each route from a leaf: the whole story of its gradient."""
    routes = given.routes if given is not None and is_sum(given) else ()
    for r in routes:
        if len(r.locals) > 1:
            yield f"{number(r.product)} = {chain(r, given.name)}"  # type: ignore[union-attr]


def _edges(s: Step, told: dict[int, Step]) -> list[Edge]:
    """One line per use: solid with the local derivative where a gradient passes, else dashed."""
    live = [Edge(e.id, s.id, e.value.spread if e.value is not None else "") for e in s.locals if e.id in told]
    passed = {e.id for e in s.locals}
    dashed = [
        Edge(i, s.id, live=False) for _, i in s.operands if i is not None and i in told and i not in passed
    ]
    return live + list(dict.fromkeys(dashed))


def _line_box(i: int, line: Line, out: str) -> Node:
    rows = [line.place.text or line.place.place, f"{line.steps} steps", line.value.brief]
    if line.cotangent is not None:
        rows += felt(f"∂{out}/∂(last)", line.cotangent)
    return Node(i, tuple(rows), "computed", str(line.place))


__all__ = ["graph", "graph_of"]
