"""Where gradients stop: cuts, modes, steps without a slope, names that moved on; which results to ask about."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from chainrule.eager.backward import changed_after
from chainrule.insight.flow import Flow
from chainrule.insight.inside import parents_of
from chainrule.insight.naming import Variables
from chainrule.insight.trace import Trace
from chainrule.ir.types import type_of
from chainrule.source import Source
from chainrule.tape.node import Leaf, Node, ancestors, lost_parent
from chainrule.tape.pull import Freed

if TYPE_CHECKING:
    from chainrule.insight.question import Question

_NODES = 200_000  # values below the results that are looked at

_WAY_OUT = {
    "detach": "detach() is there to stop gradients: leave it out where the gradient should pass.",
    "item": "Leave out .item(): compute with the tensor itself.",
    "float": "Leave out float(…): compute with the tensor itself, and with chainrule.sin, not math.sin.",
    "int": "A whole number has no slope: compute with the tensor itself.",
    "numpy": "Compute with the tensor itself: NumPy's functions take it and keep the graph.",
    "tensor": "tensor(…) copies numbers only: join tensors with stack([a, b]) or cat, which keep the graph.",
}
_SMOOTH = "To get a gradient: use a smooth function in its place."
FIX_FOR_STEPS = {
    "argmax": "Use the value at the index (x.max()), or softmax(x), which varies smoothly.",
    "argmin": "Use the value at the index (x.min()), or softmax(-x), which varies smoothly.",
    "gt": "Use a smooth stand-in, e.g. sigmoid(k * (x - c)) for x > c.",
    "ge": "Use a smooth stand-in, e.g. sigmoid(k * (x - c)) for x >= c.",
    "lt": "Use a smooth stand-in, e.g. sigmoid(k * (c - x)) for x < c.",
    "le": "Use a smooth stand-in, e.g. sigmoid(k * (c - x)) for x <= c.",
}


def way_out(how: str) -> str:
    """What to do about a cut."""
    return _WAY_OUT.get(how, _WAY_OUT["tensor"])


def all_below(results: list[Node]) -> dict[Node, set[Node]]:
    """What each result depends on, the latest first, until that is a lot."""
    found: dict[Node, set[Node]] = {}
    for m in results:
        found[m] = below(m) or set()
        if sum(map(len, found.values())) > _NODES:
            break
    return found


def below(root: Node, limit: int | None = None) -> set[Node] | None:
    """Everything that a result depends on, as far as it can be told, itself included; None if that is too much."""
    seen, stack = {root}, [root]
    while stack:
        if limit is not None and len(seen) > limit:
            return None
        for q in parents_of(stack.pop()):
            if q is not None and q not in seen:
                seen.add(q)
                stack.append(q)
    return seen


# --- cuts and stops --------------------------------------------------------------------------------------


class Cuts(NamedTuple):
    """Where a value left the graph: sentences, the first line, and what to do there."""

    lines: list[str]
    source: Source
    fix: str


def cuts_below(n: Node, way: list[Node], lost_ways: list[Node], q: Question) -> Cuts | None:
    """The cuts of a node and of the steps that lead on from it; None if there are none."""
    found: list[tuple[str, Source, str]] = []
    for m in (n, *way):
        for cut in q.cuts_of(m):
            name = q.variables.by_node.get(m, f"{m.name} at {m.source.place}")
            found.append(
                (f"  {name} left the graph by {cut.how} at {cut.source}", cut.source, way_out(cut.how))
            )
    for m in lost_ways:
        stop = where_it_stops(m)
        if stop is not None:
            found.append(
                (f"  {q.result_name(m)} does not carry a gradient: {stop.line}", stop.source, stop.fix)
            )
    if not found:
        return None
    return Cuts(list(dict.fromkeys(line for line, _, _ in found)), found[0][1], found[0][2])


class Stop(NamedTuple):
    """The step at which a gradient ends. kind: "step" (it has no slope) or "mode" (nothing was recorded)."""

    kind: str
    line: str
    source: Source
    fix: str


def where_it_stops(n: Node) -> Stop | None:
    """The first untracked step (going back from n) that has a tracked input."""
    for m in ancestors(n):
        if (
            m.p is not None
            and m.pull is None
            and (lost_parent(m) or any(q is not None and q.pull is not None for q in m.parents))
        ):
            dtype, name = type_of(m.out).dtype, m.scope or m.name
            if m.p.rule is None or dtype.kind not in "fc":
                line = f"{name} gives {dtype} values, which have no slope, at {m.source}"
                return Stop("step", line, m.source, FIX_FOR_STEPS.get(name, _SMOOTH))
            line = f"{name} ran where nothing is recorded (no_grad or inference_mode), at {m.source}"
            return Stop("mode", line, m.source, "To get a gradient: move this line out of the no_grad block.")
    return None


# --- backward calls ----------------------------------------------------------------------------------------


def is_freed(n: Node) -> bool:
    """Whether a backward went through this step and freed it."""
    return n.pull.__class__ is Freed


def passed_through(way: list[Node]) -> bool:
    """Whether a backward went along these steps, as far as they show."""
    return any(map(is_freed, way))


def freed_at(way: list[Node]) -> Source | None:
    """The line of the backward that freed the first of these steps that was."""
    return next((n.pull.source for n in way if is_freed(n)), None)  # type: ignore[union-attr]


def has_given(flow: Flow, root: Node) -> bool:
    """Whether a backward from this result has stored a gradient in any leaf."""
    given = (c for m in flow.order() if isinstance(m, Leaf) for c in m.contributions or ())
    return any(call.root() is root for _, _, call in given)


def change_at(flow: Flow) -> Source | None:
    """The line of the first in-place change of a value after it was read."""
    for n in flow.order():
        for q in (n, *n.parents):
            hit = None if q is None else changed_after(q, n.serial)
            if hit is not None:
                return hit
    return None


# --- names -------------------------------------------------------------------------------------------------


def takes_its_own_name(n: Node, name: str) -> bool:
    """Whether a step is the line `name = … name …`."""
    return any(target == name and name in read for target, read in _assignments(n.source))


def _assignments(source: Source) -> Iterator[tuple[str, set[str]]]:
    """`(name, names read)` of the assignments on a line, as far as it can be read by itself."""
    try:
        tree = ast.parse(source.text)
    except (SyntaxError, ValueError):
        return
    for s in ast.walk(tree):
        if isinstance(s, ast.Assign) and len(s.targets) == 1 and isinstance(s.targets[0], ast.Name):
            yield s.targets[0].id, {e.id for e in ast.walk(s.value) if isinstance(e, ast.Name)}


def leaf_called(name: str, root: Node, variables: Variables) -> Node | None:
    """A leaf without a name now that was made by an assignment to `name`."""
    for m in ancestors(root):
        unnamed = m.p is None and m.pull is not None and m not in variables.by_node
        if unnamed and any(target == name for target, _ in _assignments(m.source)):
            return m
    return None


def leaf_renamed(n: Node, name: str, variables: Variables) -> Node | None:
    """The leaf whose name a step took: `w = w - step`, or `x = tensor(…).double()`."""
    if takes_its_own_name(n, name):
        return leaf_called(name, n, variables)
    if n.p is not None and n.p.name == "cast":
        parent = n.parents[0]
        if parent is not None and parent.p is None and parent not in variables.by_node:
            return parent
    return None


def steps_between(tree: Trace, leaf: int) -> list[str]:
    """The steps that lead from a leaf to the result, by their formulas."""
    reached, found = {leaf}, []
    for s in sorted(tree.steps, key=lambda s: s.id):
        if any(e.id in reached for e in s.locals):
            reached.add(s.id)
            found.append(
                s.name if s.formula is None or s.formula.text == s.name else f"{s.name} = {s.formula.text}"
            )
    return found if len(found) <= 8 else [*found[:6], "…", found[-1]]
