"""Compiled calls, opened: the steps inside one are those of its graph, run again by the reference engine.

A compiled call is one node of the tape. Who asks sees the steps inside as if the function had run eagerly: the graph is
replayed on the inputs that the node keeps, and what was computed from the call is seen as copies that hang on the
replayed steps. The tape is only read, the value of the call stays the one that the machine code gave, and nothing is
kept afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple
from weakref import ref

import numpy as np

from chainrule.api.graph_function import GraphCall
from chainrule.dispatch import Handle, node_of, wrap
from chainrule.errors import ChainruleError
from chainrule.insight.flow import as_read
from chainrule.insight.naming import Variables
from chainrule.ir.graph import Graph
from chainrule.ir.types import Type, type_of
from chainrule.ops.creation import make_leaf
from chainrule.passes.dce import dce
from chainrule.record.replay import replay
from chainrule.table.primitive import TABLE
from chainrule.tape.cuts import Cut
from chainrule.tape.modes import enable_grad
from chainrule.tape.node import Node, ScopedNode, ancestors, leaf, new, next_serial, serial_of
from chainrule.tape.pull import Freed, array_pull
from chainrule.tape.reading import Operand

_BYTES = 2**30  # of the arrays that the steps of all calls together may take
_STEPS = 20_000
_ROUNDING = 1e-4  # of the largest entry; a difference above that is none of rounding, in float32 either
_CLOSED, _CAREFUL = "is told as one step", "CAREFUL"
_ALIAS = TABLE["alias"]


class Opened(ScopedNode):
    """A step as it is seen with the compiled calls below it opened. It stands for the node `of`, and equals it."""

    __slots__ = ("of",)

    of: Node

    def __eq__(self, other: object) -> bool:
        return original(self) is original(other)

    def __hash__(self) -> int:
        return hash(self.of)


def original(n: Any) -> Any:
    """The node on the tape that a step stands for."""
    return n.of if n.__class__ is Opened else n


class View(NamedTuple):
    """The node of a result with the compiled calls below it opened, and what there is to say about them.

    notes, doubts
        Sentences; the doubts are those without which an answer could mislead.
    cuts
        Where values left the graph inside of a call.
    """

    root: Node
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    cuts: Mapping[Node, list[Cut]] = MappingProxyType({})


def opened(root: Node, variables: Variables) -> View:
    """A result, seen through the compiled calls on the way to it.

    variables
        Tensors in reach: a call whose large inputs were freed can be run again on them.
    """
    nodes = list(ancestors(root))[::-1]
    if all(_call_of(n) is None for n in nodes):
        return View(root)
    opening = _Opening({v.tensor.n: v.tensor.v for v in variables.all})
    for n in nodes:
        opening.see(n)
    notes = tuple(opening.notes())
    doubts = tuple(s for s in notes if _CAREFUL in s or _CLOSED in s)
    return View(opening.seen.get(root, root), notes, doubts, opening.cuts)


def parents_of(n: Node) -> Iterable[Node | None]:
    """The parents of a node; of a compiled call those that its outputs depend on."""
    call = _call_of(n)
    if call is None:
        return n.parents
    used = frozenset().union(*call.function.routes)
    return [q for k, q in enumerate(n.parents) if k in used]


def _call_of(n: Node) -> GraphCall | None:
    call = (n.params or {}).get("call") if n.p is not None else None
    return call if isinstance(call, GraphCall) else None


class _Told(NamedTuple):
    """A call that was opened, or not (`why` says why not), how many steps it has, how far its result is off."""

    name: str
    place: str
    steps: int
    off: float
    why: str


class _Opening:
    """Nodes, earliest first → as they are seen.

    seen
        Node → what stands for it, where that is another one.
    """

    def __init__(self, in_reach: Mapping[Node, Any]) -> None:
        self.in_reach = in_reach
        self.seen: dict[Node, Node] = {}
        self.told: list[_Told] = []
        self.cuts: dict[Node, list[Cut]] = {}
        self._outputs: dict[Node, list[Node]] = {}
        self._bytes = self._steps = 0

    def see(self, n: Node) -> None:
        call = _call_of(n)
        if call is not None:
            self._open(n, call)
            return
        if any(q in self.seen for q in n.parents if q is not None):
            self.seen[n] = _copied(n, n.serial, self.seen)
            return
        source, k = _output_of(n)
        if source in self._outputs and k is not None:
            self.seen[n] = _standing_for(n, self._outputs[source][k])

    # --- one call ----------------------------------------------------------------------------------

    def _open(self, n: Node, call: GraphCall) -> None:
        graph = dce(call.function.graph)
        values = [self._value(q, v, n.serial) for q, v in zip(n.parents, n.args, strict=True)]
        why = self._why_not(graph, values)
        if not why:
            try:
                outs, steps = self._run(graph, n, values)
            except ChainruleError as err:  # what the engine of single operations refuses
                why = str(err.what)
        if why:
            self.told.append(_Told(call.name, n.source.place, 0, 0.0, why))
            if any(q in self.seen for q in n.parents if q is not None):
                self.seen[n] = _copied(n, n.serial, self.seen)
            return
        found = [outs[k] for k in call.function.inexact]
        off = _difference(n.out, [t.out for t in found])
        self.told.append(_Told(call.name, n.source.place, steps, off, ""))
        if len(found) == 1:
            self.seen[n] = step = _standing_for(n, found[0])
            step.serial = n.serial
        else:
            self._outputs[n] = found

    def _value(self, q: Node | None, v: Any, serial: int) -> Any:
        """An input of a call; one that was freed is read where the program still has it."""
        found = as_read(q, v, serial)
        return as_read(q, self.in_reach.get(q, v), serial) if found.__class__ is Type else found

    def _why_not(self, graph: Graph, values: Sequence[Any]) -> str:
        self._steps += len(graph.equations)
        self._bytes += sum(v.type.size * v.dtype.itemsize for e in graph.equations for v in e.outs)
        if any(v.__class__ is Type for v in values):
            return "backward() freed the arrays over 4 kB that it read"
        if self._steps > _STEPS:
            return f"with it there would be {self._steps} steps"
        return f"its steps would take {self._bytes / 2**30:.1f} GB" if self._bytes > _BYTES else ""

    def _run(self, graph: Graph, n: Node, values: Sequence[Any]) -> tuple[list[Node], int]:
        """The nodes of the outputs, and how many steps there are inside."""
        start = next_serial()
        every: dict[Any, Any] = {}
        tensors = [
            make_leaf(v) if q is None else wrap(v, self.seen.get(q, q))
            for q, v in zip(n.parents, values, strict=True)
        ]
        with enable_grad():
            outs = replay(graph, tensors, values=every)
        made = _made((t for t, _ in every.values()), start)
        inside, unrecorded = dict[Node, Node](), dict[Node, Node]()
        for k, m in enumerate(made, 1):
            serial: Any = (
                n.serial - 1 + k / (len(made) + 1)
            )  # between the operations before and after the call
            if m.p is None:
                m.serial = serial
            elif m.p.name == "detach":
                inside[m] = self._cut(m, serial, inside, unrecorded)
            else:
                inside[m] = step = _copied(m, serial, inside if m.pull is not None else inside | unrecorded)
                step.call = None if m.call is None else (n.serial, m.call)  # type: ignore[assignment]
                if n.pull.__class__ is Freed and step.pull is not None:
                    step.pull = n.pull
        return [_output(t, inside) for t, _ in outs], sum(m.__class__ is Opened for m in inside.values())

    def _cut(self, m: Node, serial: Any, inside: Mapping[Node, Node], unrecorded: dict[Node, Node]) -> Node:
        """A leaf in place of a detached value, as `detach` makes one; where nothing is recorded, the value itself."""
        value = m.parents[0] or leaf(m.out, False, m.code, m.at)
        value = inside.get(value, value)
        if "detach" in m.source.text:
            self.cuts.setdefault(value, []).append(Cut("detach", m.source))
        else:
            unrecorded[m] = value
        if value.pull is None:
            return value
        end = leaf(m.out, False, m.code, m.at)
        end.serial = serial
        return end

    # --- words -------------------------------------------------------------------------------------

    def notes(self) -> Iterable[str]:
        """What to say about the calls, those of one function together."""
        for name, place in dict.fromkeys((t.name, t.place) for t in self.told):
            same = [t for t in self.told if (t.name, t.place) == (name, place)]
            yield from _note(name, place, [t for t in same if not t.why])
            for why in dict.fromkeys(t.why for t in same if t.why):
                yield f"{name} (compiled, {place}) {_CLOSED}: {why}."


def _note(name: str, place: str, told: Sequence[_Told]) -> Iterable[str]:
    if not told:
        return
    times = "" if len(told) == 1 else f" {len(told)} times"
    steps = "the step inside is" if told[0].steps == 1 else f"the {told[0].steps} steps inside are"
    head = f"{name} ran{times} as machine code ({place}); {steps} told as NumPy computes them"
    off = max(t.off for t in told)  # NaN compares as smaller: then nothing is known, and nothing said
    if off == 0:
        yield f"{head}, to the same last digit."
    elif off <= _ROUNDING:
        yield f"{head}, the same up to rounding ({off:.1g} of the largest entry)."
    elif off > _ROUNDING:
        yield f"{head}. {_CAREFUL}: their result is another one, by {off:.1g} of the largest entry."
    else:
        yield f"{head}."


def _made(values: Iterable[Any], start: int) -> list[Node]:
    """The nodes of a replay, earliest first; what was larger than a tape keeps is there."""
    found: dict[Node, None] = {}
    for t in values:
        if isinstance(t, Handle):
            n = node_of(t)
            found.update((m, None) for m in ancestors(n) if m.serial > start)
            if n in found and n.out.__class__ is Type:
                n.out = t.v
    return sorted(found, key=serial_of)


def _output(t: Any, inside: Mapping[Node, Node]) -> Node:
    """What made an output: a step inside, or an argument or a constant that is returned as it is."""
    return inside.get(node_of(t), node_of(t))


def _standing_for(n: Node, made_by: Node) -> Opened:
    """The step that made an output, as what the output is on the tape."""
    if made_by.__class__ is Opened and original(made_by).serial > n.serial:
        m: Any = made_by
    else:  # it is an argument, or stands for another output already
        m = _alias(made_by, n.serial)
    m.of, m.out = n, m.out if n.out.__class__ is Type else n.out
    _mark(m, n)
    return m


def _alias(n: Node, serial: int) -> Opened:
    m = new(Opened)
    m.p, m.a, m.b, m.x, m.y, m.out = _ALIAS, n, None, n.out, None, n.out
    m.pull = None if n.pull is None else array_pull(_ALIAS, (True,), False)
    m.params = m.reading = m.scope = m.call = None
    m.code, m.at, m.serial, m.depth = n.code, n.at, serial, 0
    return m


def _copied(n: Node, serial: float, seen: Mapping[Node, Node]) -> Opened:
    """A step that hangs on what its parents are seen as."""
    m = new(Opened)
    m.of = n
    for name in ("p", "params", "b", "x", "y", "out", "pull", "code", "at", "reading", "scope", "call"):
        setattr(m, name, getattr(n, name))
    m.serial = serial
    if n.p.nary:
        m.a = tuple(_held(a, seen) for a in n.a)
    else:
        m.a, m.b = _held(n.a, seen), _held(n.b, seen)
    if n.reading is not None:
        x = n.reading.x
        m.reading = n.reading._replace(x=Operand(seen.get(x.node, x.node), x.value))
    if n.pull is None:
        m.depth, m.oldest = n.depth, getattr(n, "oldest", n.serial)
    _mark(m, n)
    return m


def _held(a: Any, seen: Mapping[Node, Node]) -> Any:
    """A parent as a node holds it: seen as it is, or as it was."""
    q = a() if a.__class__ is ref else a
    return seen.get(q, a)


def _mark(m: Opened, n: Node) -> None:
    if hasattr(n, "overwritten"):
        m.overwritten = n.overwritten


def _difference(packed: Any, outs: Sequence[Any]) -> float:
    """How far the values of a replay are from those of the call, relative to the largest; NaN if that is not known."""
    if packed.__class__ is Type or any(v.__class__ is Type for v in outs):
        return math.nan
    was, now = np.ravel(packed), np.concatenate([np.ravel(v) for v in outs])
    with np.errstate(all="ignore"):
        apart = np.where((was == now) | (np.isnan(was) & np.isnan(now)), 0.0, np.abs(was - now))
        size = np.max(np.abs(now), initial=0.0, where=np.isfinite(now))
        return float(np.max(apart, initial=0.0) / (size or 1.0))


def _output_of(n: Node) -> tuple[Node | None, int | None]:
    """The call that a step takes the results of apart, and which result it is (None: it is on the way to one)."""
    m = n
    while m.p is not None and m.p.name in ("cast", "reshape") and m.parents[0] is not None:
        m = m.parents[0]
    source = m.parents[0] if m.p is not None and m.p.name == "index" else None
    call = None if source is None else _call_of(source)
    spec = m.params["spec"] if call is not None else ()  # type: ignore[index]
    if call is None or len(spec) != 1 or spec[0][0] != "slice":
        return None, None
    end, t = 0, type_of(n.out)
    for k, (shape, dtype) in enumerate(call.layout.types):
        begin, end = end, end + math.prod(shape)
        if (begin, end) == spec[0][1:3] and (tuple(t.shape), t.dtype) == (shape, dtype):
            return source, k
    return source, None


__all__ = ["Opened", "View", "opened", "original", "parents_of"]
