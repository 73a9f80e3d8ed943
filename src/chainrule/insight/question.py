"""One question of `why`: the tensor, its name, and the results in reach that may explain it."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

from chainrule.insight import stops
from chainrule.insight.answer import Answer
from chainrule.insight.flow import Flow
from chainrule.insight.inside import opened
from chainrule.insight.naming import Variables
from chainrule.insight.shown import show
from chainrule.insight.trace import Trace, trace
from chainrule.ir.types import type_of
from chainrule.source import Source
from chainrule.tape.cuts import Cut, cuts_of
from chainrule.tape.node import Leaf, Node, ancestors

_RESULTS = 32  # results in the caller's reach that are looked at, the latest first
_WALKED = 4  # and walked backward, to find the one that a gradient came from


class Walked(NamedTuple):
    """A result, and its reverse walk."""

    root: Node
    flow: Flow
    cts: dict[Node, Any]


class Question:
    """What is asked about, and what there is to answer it from.

    n, name, entry
        The node; its name; an index if the question is about one entry of it.
    results
        Tracked results in reach that depend on `n`: ends of computations first, the latest first.
    lost_ways
        Results that were computed from `n` but carry no gradient.
    latest
        The last end of a tracked computation in reach.
    """

    def __init__(
        self, n: Node, name: str, variables: Variables, entry: tuple[int, ...] | None = None
    ) -> None:
        self.n, self.name, self.variables, self.entry = n, name, variables, entry
        variables.by_node.setdefault(n, name)
        computed = {v.tensor.n: v for v in variables.all if v.tensor.n.p is not None and v.tensor.n is not n}
        latest = sorted(computed, key=lambda m: m.serial, reverse=True)[:_RESULTS]
        below = stops.all_below(latest)
        latest = list(below)
        tracked = [m for m in latest if m.pull is not None]
        ends = [m for m in tracked if not any(m in below[k] for k in tracked if k is not m)]
        self.latest = ends[0] if ends else None
        self.results = [m for m in (*ends, *(t for t in tracked if t not in ends)) if n in below[m]]
        self.lost_ways = [m for m in latest if m.pull is None and n in below[m]]
        self.untracked = [m for m in latest if m.pull is None]
        self._below = below
        self._flows: dict[Node, Flow] = {}
        self._cuts_inside: list[Any] = []
        self.doubts: dict[str, None] = {}  # what cannot be told of compiled calls

    @property
    def contributions(self) -> list[Any]:
        """What backward calls added to the leaf: `(source, number, call)`."""
        return list(getattr(self.n, "contributions", None) or ())

    @property
    def last_call(self) -> Any:
        """The last backward that stored something here, if one did."""
        return self.contributions[-1][2] if self.contributions else None

    def result_name(self, root: Node) -> str:
        """How a result is written: a variable, or L."""
        return self.variables.by_node.get(root, "L")

    def d_of(self, root: Node) -> str:
        """The numerator of a derivative of a result: dL, or d(Σa) for several entries."""
        out = self.result_name(root)
        return f"d{out}" if type_of(root.out).size == 1 else f"d(Σ{out})"

    def cuts_of(self, n: Node) -> list[Cut]:
        """Where the value of a node left the graph, also inside the compiled calls that were looked into."""
        return [*cuts_of(n), *(cut for cuts in self._cuts_inside for cut in cuts.get(n, ()))]

    def look_inside(self) -> None:
        """Open the compiled calls that `n` is passed to, and that no result depends on it through."""
        for m in [m for m, known in self._below.items() if self.n not in known][:_WALKED]:
            if self.n in set(ancestors(m)):
                self.flow_of(m)

    def flow_of(self, root: Node) -> Flow:
        """The flow of a result, compiled calls opened; made once."""
        if root not in self._flows:
            view = opened(root, self.variables)
            self._flows[root] = Flow(view.root)
            self.doubts.update(dict.fromkeys(view.doubts))
            self._cuts_inside.append(view.cuts)
        return self._flows[root]

    def tree_of(self, root: Node) -> Trace:
        """The explanation tree of a result."""
        flow = self.flow_of(root)
        return trace(flow.root, self.variables, flow=flow)

    @cached_property
    def own_tree(self) -> Trace:
        """The explanation tree of the tensor itself, under its name."""
        flow = self.flow_of(self.n)
        return trace(flow.root, self.variables, name=self.name, flow=flow)

    def walks(self) -> list[Walked]:
        """The results that may explain the gradient, walked: the one of the last backward first."""
        call = self.last_call
        root = call.root() if call is not None else None
        if root is not None and (root in self.results or self.n in set(self.flow_of(root).order())):
            flow = self.flow_of(root)
            return [Walked(flow.root, flow, flow.cotangents(call.weights))]
        found = []
        for root in self.results[:_WALKED]:
            flow = self.flow_of(root)
            found.append(Walked(flow.root, flow, flow.cotangents()))
        return found

    def say(self, reason: str, lines: list[str], *, value: Any = None, place: Source | None = None,
            fix: str = "", **data: Any) -> Answer:  # fmt: skip
        """The answer, about this tensor."""
        shown = None if value is None else show(value).to_json()
        lines = [*lines, *(f"  {doubt}" for doubt in self.doubts)]
        return Answer(reason, self.name, lines, value=shown, place=place, fix=fix, data=data)


def gradient_of(n: Node) -> Node | None:
    """Whose gradient a tensor is, if it is one."""
    params = n.params or {}
    return params["gradient_of"]() if n.p is None and "gradient_of" in params else None


def is_stored(n: Node, owner: Node) -> bool:
    """Whether a gradient tensor is the `.grad` of its owner now."""
    return isinstance(owner, Leaf) and owner.grad is not None and owner.grad.n is n


__all__ = ["Question", "Walked", "gradient_of", "is_stored"]
