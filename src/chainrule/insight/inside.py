"""Compiled calls, opened, and values that are not kept, computed again: the tape as it is looked at.

A compiled call is one node of the tape. Who asks sees the steps inside as if the function had run eagerly: the graph
is replayed, operation by operation, on the inputs that the node keeps, and what was computed from the call is seen as
copies that hang on the replayed steps. Steps whose large arrays the tape does not keep, or a backward has freed, are
seen as copies with these arrays, computed once more from what the tape or the program still has. The tape is only read,
the value of a call stays the one that the machine code gave, and nothing is kept afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, product
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from chainrule.api.custom import COMPILED
from chainrule.api.graph_function import GraphCall, value_of
from chainrule.dispatch import Handle, node_of, wrap
from chainrule.errors import ChainruleError
from chainrule.insight.copies import Opened, copied, standing_for
from chainrule.insight.flow import as_read, lift
from chainrule.insight.naming import Variables
from chainrule.ir.graph import Graph
from chainrule.ir.types import Type, type_of
from chainrule.ops.creation import make_leaf
from chainrule.passes.dce import dce
from chainrule.record.replay import replay
from chainrule.table.primitive import Custom
from chainrule.tape.cuts import Cut
from chainrule.tape.modes import enable_grad
from chainrule.tape.node import Node, ancestors, leaf, next_serial, serial_of
from chainrule.tape.pull import Freed
from chainrule.tape.reading import Operand

_BYTES = 2**30  # of the arrays that the steps of all calls together may take
_STEPS = 20_000
_TRIES = 6  # choices of arrays that may be those that were freed
_ROUNDING = 1e-4  # of the largest entry; a difference above that is none of rounding, in float32 either
_FREED = "backward() freed the arrays over 4 kB that it read"
_CLOSED, _CAREFUL = "is told as one step", "CAREFUL"


class View(NamedTuple):
    """The node of a result as it is looked at, and what there is to say about its compiled calls.

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
    """A result, seen through the compiled calls on the way to it, with the values that are not kept.

    variables
        Tensors in reach: what was freed is computed again from them.
    """
    nodes = list(ancestors(root))[::-1]
    if not any(map(_lacks_something, nodes)):
        return View(root)
    opening = _Opening(variables)
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


def _lacks_something(n: Node) -> bool:
    return n.p is COMPILED or _lacks_values(n)


def _lacks_values(n: Node) -> bool:
    """Whether an array of a tracked step is not there: the backward pass does not read it, or has freed it."""
    if n.p is None or n.pull is None:
        return False
    given = n.x if n.x.__class__ is tuple else (n.x, n.y)
    return n.out.__class__ is Type or any(v.__class__ is Type for v in given)


def _call_of(n: Node) -> GraphCall | None:
    return n.params["call"] if n.p is COMPILED else None  # type: ignore[index]


class _Told(NamedTuple):
    """A call that was opened, or not (`why` says why not), how many steps it has, how far its result is off.

    taken
        Names of arrays of the program that stand in for what was freed.
    """

    name: str
    place: str
    steps: int = 0
    off: float = 0.0
    why: str = ""
    taken: tuple[str, ...] = ()


class _Opening:
    """Nodes, earliest first → as they are seen.

    seen
        Node → what stands for it, where that is another one.
    """

    def __init__(self, variables: Variables) -> None:
        self.in_reach, self.arrays = variables.values, variables.arrays
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
        source, k = (None, None) if self._hangs_on_a_copy(n) else _output_of(n)
        if source not in self._outputs:
            self._copy(n)
        elif k is not None:
            self.seen[n] = standing_for(n, self._outputs[source][k])

    def _hangs_on_a_copy(self, n: Node) -> bool:
        return any(q in self.seen for q in n.parents if q is not None)

    def _copy(self, n: Node) -> None:
        """See a step as a copy, if it hangs on one or lacks values."""
        refill = _lacks_values(n)
        if refill or self._hangs_on_a_copy(n):
            self.seen[n] = m = copied(n, n.serial, self.seen)
            if refill and not isinstance(n.p.rule, Custom):  # type: ignore[union-attr]
                self._refill(m)

    def _refill(self, m: Opened) -> None:
        """Put in the values that are not there, as far as they can be had."""
        args = [self._value(q, v, m.serial) for q, v in zip(m.parents, m.args, strict=True)]
        if m.p.nary:  # type: ignore[union-attr]
            m.x = tuple(args)
        else:
            m.x, m.y = (*args, None)[:2]
        if m.reading is not None:
            x = m.reading.x
            m.reading = m.reading._replace(x=Operand(x.node, self._value(x.node, x.value, m.serial)))
        t = type_of(m.out)
        self._bytes += t.size * t.dtype.itemsize
        if m.out.__class__ is Type and self._bytes <= _BYTES and all(v.__class__ is not Type for v in args):
            with np.errstate(all="ignore"):
                m.out = np.asarray(m.p.value(*map(lift, args), **(m.params or {})), t.dtype).reshape(t.shape)  # type: ignore[union-attr]

    # --- one call ----------------------------------------------------------------------------------

    def _open(self, n: Node, call: GraphCall) -> None:
        graph = dce(call.function.graph)
        values = [self._value(q, v, n.serial) for q, v in zip(n.parents, n.args, strict=True)]
        _read_from_outside(call, values)
        why = self._too_much(graph)
        found: list[Node] = []
        for given, taken in [] if why else self._completed(values):
            try:
                outs, steps = self._run(graph, n, given)
            except ChainruleError as err:  # what the engine of single operations refuses
                why = str(err.what)
                break
            off = _difference(n.out, [outs[k].out for k in call.live])
            if not taken or off <= _ROUNDING:
                found = [outs[k] for k in call.live]
                self.told.append(_Told(call.name, n.source.place, steps, off, taken=taken))
                break
        if not found:
            self.told.append(_Told(call.name, n.source.place, why=why or _FREED))
            self._copy(n)
            return
        if len(found) == 1:
            self.seen[n] = step = standing_for(n, found[0])
            step.serial = n.serial
        else:
            self._outputs[n] = found

    def _value(self, q: Node | None, v: Any, serial: int) -> Any:
        """An operand; one that was freed is taken from the step that made it, or read where the program has it."""
        for found in (v, self.in_reach.get(q, v), v if q is None else self.seen.get(q, q).out):
            found = as_read(q, found, serial)
            if found.__class__ is not Type:
                return found
        return type_of(v)

    def _completed(self, values: list[Any]) -> Iterator[tuple[list[Any], tuple[str, ...]]]:
        """The operands, with arrays of the program for what was freed: the result shows whether it was these."""
        missing = [k for k, v in enumerate(values) if v.__class__ is Type]
        fits = [[(name, a) for name, a in self.arrays.values() if type_of(a) == values[k]] for k in missing]
        for chosen in islice(product(*fits), _TRIES):
            given = list(values)
            for k, (_, a) in zip(missing, chosen, strict=True):
                given[k] = a
            yield given, tuple(name for name, _ in chosen)

    def _too_much(self, graph: Graph) -> str:
        self._steps += len(graph.equations)
        self._bytes += sum(v.type.size * v.dtype.itemsize for e in graph.equations for v in e.outs)
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
                inside[m] = step = copied(m, serial, inside if m.pull is not None else inside | unrecorded)
                if (
                    m.scope
                ):  # calls of user-level operations have numbers of their own in each call of the graph
                    step.call = (n.serial, m.call)  # type: ignore[assignment]
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


def _read_from_outside(call: GraphCall, values: list[Any]) -> None:
    """Put in the arrays that a function reads from outside, where backward freed them: it still has them."""
    owner = call.function.owner() if call.function.owner is not None else None
    captured = [] if owner is None else owner.captured
    first = len(values) - len(captured)
    for k, c in enumerate(map(value_of, captured), first):
        if values[k].__class__ is Type and c.__class__ is np.ndarray and type_of(c) == values[k]:
            values[k] = c


def _note(name: str, place: str, told: Sequence[_Told]) -> Iterable[str]:
    if not told:
        return
    times = "" if len(told) == 1 else f" {len(told)} times"
    steps = "the step inside is" if told[0].steps == 1 else f"the {told[0].steps} steps inside are"
    head = f"{name} ran{times} as machine code ({place}); {steps} told as NumPy computes them"
    taken = list(dict.fromkeys(a for t in told for a in t.taken))
    head += f", with {' and '.join(taken)} as it is now" if taken else ""
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


__all__ = ["View", "opened", "parents_of"]
