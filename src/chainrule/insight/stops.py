"""Where gradients stop: cuts, modes, steps without a slope; and which results are worth asking about."""

from __future__ import annotations

from chainrule.insight.flow import Flow
from chainrule.insight.trace import Trace
from chainrule.ir.types import type_of
from chainrule.tape.cuts import Cut
from chainrule.tape.node import Leaf, Node, ancestors
from chainrule.tape.pull import freed

_NODES = 200_000  # values below the results that are looked at

_WAY_OUT = {
    "detach": "detach() is there to stop gradients: leave it out where the gradient should pass.",
    "item": "Leave out .item(): compute with the tensor itself.",
    "float": "Leave out float(…): compute with the tensor itself, and with chainrule.sin, not math.sin.",
    "int": "A whole number has no slope: compute with the tensor itself.",
    "numpy": "Compute with the tensor itself: NumPy's functions take it and keep the graph.",
    "tensor": "tensor(…) copies numbers only: join tensors with stack([a, b]) or cat, which keep the graph.",
}


def way_out(how: str) -> str:
    """What to do about a cut."""
    return _WAY_OUT.get(how, _WAY_OUT["tensor"])


def all_below(results: list[Node]) -> dict[Node, set[Node]]:
    """What each result depends on, the latest first, until that is a lot."""
    found: dict[Node, set[Node]] = {}
    for m in results:
        found[m] = set(ancestors(m))
        if sum(map(len, found.values())) > _NODES:
            break
    return found


def cut_line(name: str, cut: Cut) -> str:
    """Where a value left the graph, and what to do."""
    return f"  {name} left the graph by {cut.how} at {cut.source}\n  {way_out(cut.how)}"


def where_it_stops(n: Node) -> tuple[Node, str] | None:
    """The first untracked step (going back from n) that has a tracked input, and what kind of stop it is."""
    for m in ancestors(n):
        if (
            m.p is not None
            and m.pull is None
            and any(q is not None and q.pull is not None for q in m.parents)
        ):
            kind = "step" if m.p.rule is None or type_of(m.out).dtype.kind not in "fc" else "mode"
            return m, kind
    return None


def stop_line(stop: tuple[Node, str]) -> str:
    """A stop in words, with what to do."""
    n, kind = stop
    if kind == "mode":
        return (
            f"{n.scope or n.name} ran where nothing is recorded (no_grad or inference_mode), at {n.source}\n"
            "  To get a gradient: move this line out of the no_grad block."
        )
    return (
        f"{n.name} gives {type_of(n.out).dtype} values, which have no slope, at {n.source}\n"
        "  To get a gradient: use a smooth function in its place."
    )


def was_differentiated(flow: Flow, leaf: Node) -> bool:
    """Whether a backward went through this result, as far as its nodes and other leaves show."""
    order = flow.order()
    others = (m for m in order if isinstance(m, Leaf) and m is not leaf)
    return any(m.pull is freed for m in order) or any(m.contributions for m in others)


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
