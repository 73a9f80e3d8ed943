"""Long computations as small graphs: a box per line of the program, or the part around one value.

Read from the tape, like `trace`; where that tells every step, this tells what belongs together.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.draw import Edge, Node
from chainrule.insight.flow import LOST, Flow
from chainrule.insight.naming import Variables, fresh_names
from chainrule.insight.notation import step_formula
from chainrule.insight.shown import Shown, show
from chainrule.insight.trace import Place
from chainrule.ir.types import Type, type_of
from chainrule.source import Source
from chainrule.tape.node import Leaf, ancestors, serial_of
from chainrule.tape.node import Node as Step
from chainrule.tape.numbers import dense

BOXES = 80  # a graph of more is folded


class View:
    """The computation of a result, with the names of its values."""

    def __init__(self, root: Step, variables: Variables) -> None:
        self.root, self.variables = root, variables
        self.flow = Flow(root)
        self.nodes = [n for n in list(ancestors(root))[::-1] if self._is_shown(n)]
        taken = set(variables.by_node.values())
        self.output = variables.by_node.get(root) or ("L" if "L" not in taken else "result")

    @cached_property
    def cts(self) -> dict[Step, Any]:
        """d(result)/d(value) of everything on the way."""
        return self.flow.cotangents() if self.flow.is_live(self.root) else {}

    @property
    def unused(self) -> list[str]:
        """Names of leaves in the caller's reach that are not on the way."""
        below = set(self.nodes)
        found = (
            v for v in self.variables.all if isinstance(v.tensor.n, Leaf) and v.tensor.n.pull is not None
        )
        return list(dict.fromkeys(v.name for v in found if v.tensor.n not in below))

    def _is_shown(self, n: Step) -> bool:
        """A number without a name is written where it is used."""
        plain = (
            n.p is None
            and n is not self.root
            and not self.flow.is_live(n)
            and n not in self.variables.by_node
        )
        return not plain or type_of(n.out).shape != ()

    def kind(self, n: Step) -> str:
        """What the border of its box says."""
        if n is self.root:
            return "output"
        if not self.flow.is_live(n):
            return "constant"
        if n.p is not None:
            return "computed"
        return "leaf" if n in self.variables.by_node else "unnamed"

    def cotangent(self, n: Step) -> Shown | None:
        """d(result)/d(value), where it can be told."""
        ct = self.cts.get(n)
        return None if ct is None or ct is LOST else show(dense(ct))

    def named(self, chosen: Collection[Step]) -> Variables:
        """The variables, with letters for those of the chosen values that have no name."""
        found = Variables(self.variables.all)
        letters, ts = fresh_names(v.name for v in self.variables.all)
        found.by_node[self.root] = self.output
        for n in sorted(chosen, key=serial_of):
            if n not in found.by_node:
                found.by_node[n] = next(ts if n.p is None else letters)
        return found


# --- step by step ----------------------------------------------------------------------------------------


def around(view: View, focus: Step, depth: int) -> list[Step]:
    """Values at most `depth` uses before or behind one, and the leaves that these use; in the order of creation."""
    readers: dict[Step, list[Step]] = {n: [] for n in view.nodes}
    for n in view.nodes:
        for q in n.parents:
            if q in readers:
                readers[q].append(n)
    found = {focus}
    for near in (lambda n: [q for q in n.parents if q in readers], readers.__getitem__):
        edge = [focus]
        for _ in range(depth):
            edge = list(dict.fromkeys(q for n in edge for q in near(n)))
            found.update(edge)
    found.update(q for n in list(found) for q in n.parents if q in readers and q.p is None)
    return sorted(found, key=serial_of)


def steps(view: View, chosen: Sequence[Step], out: str) -> tuple[list[Node], list[Edge]]:
    """A box for each of the chosen values, and a line for each use between them."""
    names = view.named(chosen)
    inside = set(chosen)
    boxes, lines = [], []
    for n in chosen:
        boxes.append(_step_box(view, n, names.by_node, out))
        for k, q in enumerate(n.parents):
            if q in inside:
                local = view.flow.local(n, k) if view.flow.is_live(n) and view.flow.is_live(q) else None
                chip = "" if local is None or local is LOST else show(dense(local)).spread
                lines.append(
                    Edge(q.serial, n.serial, chip, live=view.flow.is_live(n) and view.flow.is_live(q))
                )
    return boxes, lines


def _step_box(view: View, n: Step, names: Mapping[Step, str], out: str) -> Node:
    head = name = names[n]
    if n.p is not None:
        operands = [_operand(q, v, names) for q, v in zip(n.parents, n.args, strict=True)]
        formula = step_formula(n.p, operands, n.params or {}).text
        head = name if formula == name else f"{name} = {formula}"
    elif view.kind(n) == "unnamed":
        head = f"{name}, unnamed"
    rows = (head, *_numbers(view, n, name, out))
    return Node(n.serial, rows, view.kind(n), f"{', '.join(rows)}; {Place.of(n.source)}")


def _operand(q: Step | None, v: Any, names: Mapping[Step, str]) -> Any:
    """A name, the number itself, or an ellipsis for what the picture leaves out."""
    if q in names:
        return names[q]
    is_number = v.__class__ is not Type and type_of(v).shape == ()
    if is_number and (q is None or q.p is None):
        return v if v.__class__ is float else np.asarray(v).item()
    return "…"


def _numbers(view: View, n: Step, name: str, out: str) -> list[str]:
    """The value, and how the result feels it."""
    value = "not kept" if n.out.__class__ is Type else show(n.out).brief
    if not view.flow.is_live(n):
        return [value]
    return [value, *felt(f"∂{out}/∂{name}", view.cotangent(n))]


def felt(what: str, ct: Shown | None) -> list[str]:
    """Rows on how the result feels a value: one for a number, two for a larger array."""
    if ct is None:
        return [f"{what} is not kept"]
    return [f"{what} = {ct.text}"] if ct.span is None else [what, ct.spread]


# --- line by line ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Group:
    """Values that share a box: those of one line, or of the lines of a loop; `places` are those lines."""

    nodes: tuple[Step, ...]
    places: tuple[Source, ...]


def folded(view: View, out: str) -> tuple[list[Node], list[Edge]]:
    """A box for each named leaf and constant, and for each line of the program, and the uses between them."""
    groups = _without_circles(view, _by_line(view))
    owner = {n: i for i, g in enumerate(groups) for n in g.nodes}
    uses: dict[tuple[int, int], bool] = {}
    for n in view.nodes:
        for q in n.parents:
            if q in owner and owner[q] != owner[n]:
                pair = (owner[q], owner[n])
                uses[pair] = uses.get(pair, False) or (view.flow.is_live(n) and view.flow.is_live(q))
    boxes = [_group_box(view, i, g, out) for i, g in enumerate(groups)]
    return boxes, [Edge(a, b, live=live) for (a, b), live in uses.items()]


def _by_line(view: View) -> list[Group]:
    """Values by line; by function where there are too many lines. A leaf or constant with a name stands alone."""
    lines = _grouped(view, lambda code, line: (code, line))
    return lines if len(lines) <= BOXES else _grouped(view, lambda code, line: code)


def _grouped(view: View, key: Callable[[Any, int], Any]) -> list[Group]:
    line_of: dict[tuple[Any, int], int] = {}
    found: dict[Any, list[Step]] = {}
    named = sum(n.p is None and n in view.variables.by_node for n in view.nodes)
    for n in view.nodes:
        at = (n.code, n.at)
        if at not in line_of:
            line_of[at] = n.source.line
        alone = n.p is None and n in view.variables.by_node and named <= BOXES // 2
        found.setdefault(n if alone else key(n.code, line_of[at]), []).append(n)
    return [Group(tuple(nodes), _places(nodes, line_of)) for nodes in found.values()]


def _places(nodes: Sequence[Step], line_of: dict[tuple[Any, int], int]) -> tuple[Source, ...]:
    """The lines of the nodes, in the order of the program."""
    by_line = {(n.code.co_filename, line_of[n.code, n.at]): n for n in nodes}
    return tuple(by_line[k].source for k in sorted(by_line))


def _without_circles(view: View, groups: list[Group]) -> list[Group]:
    """Lines of a loop use each other's results: they become one box (strongly connected components)."""
    owner = {n: i for i, g in enumerate(groups) for n in g.nodes}
    sources: list[dict[int, None]] = [{} for _ in groups]
    for n in view.nodes:
        for q in n.parents:
            if q in owner and owner[q] != owner[n]:
                sources[owner[n]][owner[q]] = None
    merged = []
    for members in components([list(s) for s in sources]):
        nodes = sorted((n for i in members for n in groups[i].nodes), key=serial_of)
        lines = {(p.file, p.line): p for i in members for p in groups[i].places}
        places = tuple(lines[k] for k in sorted(lines))
        if (
            nodes[-1] is view.root and len(nodes) > 1 and _runs(nodes) > 1
        ):  # the result of a loop stands alone
            merged.append(Group((nodes.pop(),), places))
        merged.append(Group(tuple(nodes), places))
    return sorted(merged, key=lambda g: g.nodes[0].serial)


def components(after: Sequence[Sequence[int]]) -> list[list[int]]:
    """Strongly connected components of a graph (Kosaraju), without recursion; each sorted."""
    before: list[list[int]] = [[] for _ in after]
    for a, ends in enumerate(after):
        for b in ends:
            before[b].append(a)
    finished = list(_finishing_order(after))
    found: list[list[int]] = []
    seen: set[int] = set()
    for v in reversed(finished):
        if v in seen:
            continue
        seen.add(v)
        members, stack = [v], [v]
        while stack:
            fresh = [u for u in before[stack.pop()] if u not in seen]
            fresh = list(dict.fromkeys(fresh))
            seen.update(fresh)
            members += fresh
            stack += fresh
        found.append(sorted(members))
    return found


def _finishing_order(after: Sequence[Sequence[int]]) -> Iterator[int]:
    seen: set[int] = set()
    for start in range(len(after)):
        if start in seen:
            continue
        seen.add(start)
        stack = [(start, iter(after[start]))]
        while stack:
            v, ends = stack[-1]
            following = next((u for u in ends if u not in seen), None)
            if following is None:
                stack.pop()
                yield v
            else:
                seen.add(following)
                stack.append((following, iter(after[following])))


def _group_box(view: View, i: int, g: Group, out: str) -> Node:
    last = g.nodes[-1]
    value = "not kept" if last.out.__class__ is Type else show(last.out).brief
    live = any(view.flow.is_live(n) for n in g.nodes)
    if len(g.nodes) == 1 and (last.p is None or last is view.root):
        return _alone(view, i, last, out)
    if last is view.root:
        rows = (g.places[0].text or view.output, *_numbers(view, last, view.output, out))
        return Node(i, rows, "output", str(Place.of(g.places[0])))
    head = g.places[0].text or g.places[0].place
    if len(g.places) > 1:
        head = f"lines {g.places[0].line}–{g.places[-1].line}: {head} …"
    times = max(_runs(g.nodes), 1)
    count = f"{len(g.nodes)} value{'s' * (len(g.nodes) > 1)}" + (f", {times} times" if times > 1 else "")
    rows = [head, count, f"last: {value}"]
    ct = view.cotangent(last)
    if live and ct is not None:
        rows += felt(f"∂{out}/∂(last)", ct)
    where = "; ".join(str(Place.of(p)) for p in g.places[:8])
    return Node(i, tuple(rows), "computed" if live else "constant", where)


def _runs(nodes: Sequence[Step]) -> int:
    """How often the busiest instruction ran."""
    counts: dict[tuple[Any, int, Any], int] = {}
    for n in nodes:
        key = (n.code, n.at, n.p)
        counts[key] = counts.get(key, 0) + 1
    return max(counts.values(), default=0)


def _alone(view: View, i: int, n: Step, out: str) -> Node:
    """A leaf, a constant or the result: by its name, without a formula."""
    name = view.named([n]).by_node[n]
    rows = _numbers(view, n, name, out)
    head = f"{name}, unnamed" if view.kind(n) == "unnamed" else name
    return Node(i, (head, *rows), view.kind(n), f"{', '.join((head, *rows))}; {Place.of(n.source)}")


__all__ = ["BOXES", "View", "around", "components", "folded", "steps"]
