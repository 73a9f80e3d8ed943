"""The explanation tree: what was computed, how the result feels each step, and who gets which gradient.

Text, LaTeX, pictures and JSON render this one tree. It is read from the tape and the table, computes no
derivative of its own, and holds no node and no array: only text and a few numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.insight.copies import original
from chainrule.insight.flow import LOST, Flow, Operation, operation, value_at
from chainrule.insight.history import history_note
from chainrule.insight.naming import Variables, assigned_names, fresh_names
from chainrule.insight.notation import Formula, local_derivative, step_formula
from chainrule.insight.returned import returned
from chainrule.insight.saved import NOTHING, Saved, saved
from chainrule.insight.shapes import squares
from chainrule.insight.shown import Shown, show
from chainrule.ir.types import Type, type_of
from chainrule.source import Source
from chainrule.tape.node import Leaf, Node, ancestors, serial_of
from chainrule.tape.numbers import dense

STEPS_SHOWN = 60  # a longer computation is told line by line
_ROUTES = 8
_ROUTE_STEPS = 40


@dataclass(frozen=True, slots=True)
class Place:
    """A line of the user's program."""

    place: str
    text: str

    @classmethod
    def of(cls, source: Source) -> Place:
        return cls(source.place, source.text)

    def __str__(self) -> str:
        return f"{self.place}:  {self.text}" if self.text else self.place


@dataclass(frozen=True, slots=True)
class Local:
    """∂(step)/∂(operand): in symbols where the rule is a formula, in numbers where they were kept.

    `rule` is the table's word for it ("power rule").
    """

    operand: str
    id: int
    formula: Formula | None
    value: Shown | None
    note: str = ""
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One value: computed by an operation, or the beginning of a history.

    kind
        "leaf", "unnamed" (a leaf that no variable holds), "constant", "computed" or "output".
    name, named
        The user's variable, else a letter.
    formula
        Of computed steps; `operands` are `(name, id)`, with id None for a plain number.
    cotangent
        d(result)/d(step); None where nothing is tracked, or where it cannot be told (`note` says why).
    entry
        Of a step that reads one entry of an array, as in ``w[0]``: which one.
    """

    id: int
    kind: str
    name: str
    named: bool
    formula: Formula | None
    operands: tuple[tuple[str, int | None], ...]
    value: Shown
    locals: tuple[Local, ...]
    cotangent: Shown | None
    tracked: bool
    place: Place
    note: str = ""
    entry: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """One way from a leaf to the result, the last step first: names, local derivatives, and their product.

    entry
        Of a leaf that is an array: the entry that the route begins at; `names` ends with it, as in ``w[0]``.
    """

    ids: tuple[int, ...]
    names: tuple[str, ...]
    locals: tuple[Local, ...]
    product: float
    entry: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """What a leaf gets: the gradient by this result, and what `.grad` holds now.

    contributions
        `(place, number or None)` of each backward that added to `.grad`.
    """

    id: int
    name: str
    named: bool
    value: Shown
    gradient: Shown | None
    stored: Shown | None
    routes: tuple[Route, ...]
    contributions: tuple[tuple[Place, Any], ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Line:
    """All steps of one line of the program, for computations that are too long to tell step by step.

    times
        How often the line ran; `number` is its number in the file, `function` where it stands.
    """

    place: Place
    steps: int
    times: int
    operations: tuple[str, ...]
    value: Shown
    cotangent: Shown | None
    number: int = 0
    function: str = ""


@dataclass(frozen=True, slots=True)
class Loop:
    """Lines that ran equally often, one after the other: ``lines[first:last + 1]``."""

    first: int
    last: int
    times: int


@dataclass(frozen=True, slots=True)
class Trace:
    """The whole tree.

    output
        Name of the result; `size` is its number of entries (the gradients are those of their sum).
    steps
        In the order of creation, leaves and constants among them; empty where `lines` tells the story.
    unused
        Names of leaves in the caller's reach that this result does not depend on.
    loops
        Groups of `lines` that ran equally often.
    saved
        What is kept for the backward pass.
    origin
        Of a leaf that a call returned: what it is, and what to ask instead.
    """

    output: str
    size: int
    tracked: bool
    count: int
    steps: tuple[Step, ...]
    lines: tuple[Line, ...]
    leaves: tuple[Given, ...]
    constants: tuple[str, ...]
    unused: tuple[str, ...]
    notes: tuple[str, ...] = ()
    loops: tuple[Loop, ...] = ()
    saved: Saved = NOTHING
    origin: tuple[str, ...] = ()

    def step(self, id: int) -> Step:
        """The step with this id."""
        return next(s for s in self.steps if s.id == id)


# --- making it ---------------------------------------------------------------------------------------


def trace(
    root: Node,
    variables: Variables,
    *,
    also: tuple[Node, ...] = (),
    name: str | None = None,
    flow: Flow | None = None,
    with_saved: bool = False,
    notes: tuple[str, ...] = (),
) -> Trace:
    """The explanation tree of a result.

    also
        Untracked leaves to treat as if they required a gradient.
    name
        Name of the result, where no variable holds it.
    flow
        That of the result, if it was walked already.
    with_saved
        Also tell what is kept for the backward pass.
    notes
        Sentences to add to those that the tape gives.
    """
    return _Builder(root, variables, also, name, flow).build(with_saved, notes)


def operand_names(
    root: Node, variables: Variables, flow: Flow | None = None
) -> Callable[[Node | None, Any], Any]:
    """How the operands of steps below `root` are written: a variable, a letter, or the number."""
    return _Builder(root, variables, (), None, flow)._operand


def changed_since(n: Node, root: Node) -> Source | None:
    """The line that changed a value in place after `root` was computed from it, if one did."""
    mark = getattr(n, "overwritten", None)
    return mark[1] if mark is not None and mark[0] > root.serial else None


class _Builder:
    """What is looked at while a tree is made."""

    def __init__(
        self,
        root: Node,
        variables: Variables,
        also: tuple[Node, ...],
        name: str | None,
        flow: Flow | None = None,
    ) -> None:
        self.root, self.variables = root, variables
        self.flow = flow or Flow(root, also)
        self.nodes = list(ancestors(root))[::-1]
        self.parts, self.group = _groups(self.nodes, root)
        self.hidden = _inside_composites(self.nodes)
        self.names = self._names(name)

    @cached_property
    def cts(self) -> dict[Node, Any]:
        """d(result)/d(value) of everything on the way."""
        return self.flow.cotangents() if self.flow.is_live(self.root) else {}

    def build(self, with_saved: bool, notes: tuple[str, ...] = ()) -> Trace:
        steps = [n for n in self.nodes if n.p is None or self.group.get(n, n) is n]
        computed = [n for n in steps if n.p is not None]
        long = len(computed) > STEPS_SHOWN
        told = () if long else tuple(self._step(n) for n in steps if self._is_worth_telling(n))
        edges = {s.id: s for s in told}
        leaves = [n for n in self.nodes if n.p is None and self.flow.is_live(n)]
        shown = leaves if not long else leaves[:STEPS_SHOWN]
        below = set(self.nodes)
        unused = [v.name for v in self.variables.all if self._is_unused(v.tensor.n, below)]
        lines = tuple(self._lines(computed)) if long else ()
        constants = [
            self.names[n] for n in steps if n.p is None and not self.flow.is_live(n) and self._named(n)
        ]
        return Trace(
            output=self.names[self.root],
            size=type_of(self.root.out).size,
            tracked=self.flow.is_live(self.root),
            count=len(computed),
            steps=told,
            lines=lines,
            leaves=tuple(self._given(n, edges) for n in shown),
            constants=tuple(constants),
            unused=tuple(dict.fromkeys(unused)),
            notes=(*notes, *self._notes(steps)),
            loops=tuple(_loops(lines)),
            saved=self._saved() if with_saved else NOTHING,
            origin=self._origin() if self.root.p is None else (),
        )

    def _saved(self) -> Saved:
        """What the tape itself keeps: of a compiled call what it reads, not what its steps would."""
        root = original(self.root)
        return saved(root, self.flow if root is self.root else Flow(root), self.names)

    def _origin(self) -> tuple[str, ...]:
        found = returned(self.root, self.variables)
        if found is None:
            return ()
        value = f"{self.names[self.root]} = {self._value(self.root).text}"
        return f"{value} {found.what} at {Place.of(found.source)}", found.why, *filter(None, [found.ask])

    # names

    def _named(self, n: Node) -> bool:
        return n in self.variables.by_node

    def _names(self, name: str | None) -> dict[Node, str]:
        names = {n: self.variables.by_node[n] for n in self.nodes if self._named(n)}
        if self.root not in names:
            names[self.root] = name or ("L" if "L" not in names.values() else "result")
        taken = {*names.values(), *(v.name for v in self.variables.all)}
        long = len(self.nodes) > 20 * STEPS_SHOWN  # told line by line: steps need no names
        inner = {} if long else assigned_names(self.nodes, taken)
        letters, ts = fresh_names([*taken, *inner.values()])
        names |= self._names_of_arrays(taken)
        for n in self.nodes:
            if n not in names and (n.p is None or (not long and self.group.get(n, n) is n)):
                names[n] = inner.get(n) or self._new_name(n, names, letters, ts)
        return names

    def _names_of_arrays(self, taken: set[str]) -> dict[Node, str]:
        """Constants that are NumPy arrays of the program: they have its names, one array in several steps too."""
        arrays = self.variables.arrays
        if not arrays:
            return {}
        read = ((q, v) for n in self.nodes for q, v in zip(n.parents, n.args, strict=True) if q is not None)
        found = {q: arrays[id(v)][0] for q, v in read if q.p is None and q.pull is None and id(v) in arrays}
        return {q: name for q, name in found.items() if name not in taken}

    def _new_name(self, n: Node, names: dict[Node, str], letters: Iterator[str], ts: Iterator[str]) -> str:
        if n.p is None:
            is_number = type_of(n.out).shape == () and n.out.__class__ is not Type
            if not self.flow.is_live(n) and is_number:
                return show(n.out).text
            return next(ts)
        if n.p.name == "index" and n.parents[0] in names and len(n.args) == 1:
            return step_formula(n.p, [names[n.parents[0]]], n.params or {}).text  # w[0] is its own name
        if n.p.result == "bool" and not n.scope and len(n.args) == 2:  # x > 0 is its own name
            written = [names.get(q) or self._operand(q, v) for q, v in zip(n.parents, n.args, strict=True)]
            return step_formula(n.p, written, n.params or {}).text
        return next(letters)

    # steps

    def _is_worth_telling(self, n: Node) -> bool:
        """A number that is written into the formulas needs no line of its own."""
        return n.p is not None or self.flow.is_live(n) or self._named(n) or type_of(n.out).shape != ()

    def _operation(self, n: Node) -> tuple[Operation, Formula]:
        """The operation of a step and its formula; what belongs together under one name is one function."""
        part = self.parts.get(n)
        op = Operation(n.p, n.parents, n.args, n.params or {}, n.out)
        if part is None:
            return op, step_formula(
                n.p, [self._operand(q, v) for q, v in zip(n.parents, n.args, strict=True)], op.params, n.args
            )
        inside = sorted(part, key=serial_of)
        parents = tuple(
            dict.fromkeys(q for m in inside for q in m.parents if q is not None and q not in part)
        )
        text = f"{n.scope}({', '.join(self.names.get(q, '…') for q in parents)})"
        latex = rf"\operatorname{{{n.scope}}}({', '.join(self.names.get(q, '…') for q in parents)})"
        return Operation(n.p, parents, tuple(q.out for q in parents), {}, n.out), Formula(
            text, text, latex.replace("_", r"\_")
        )

    def _operand(self, q: Node | None, v: Any) -> Any:
        """A name, or the number itself."""
        if q is not None and not (
            q.p is None and not self._named(q) and not self.flow.is_live(q) and _is_number(v)
        ):
            return self.names.get(q) or self.names.get(self.group.get(q, q)) or "…"
        if _is_number(v):
            return v if v.__class__ is float else np.asarray(v).item()
        return f"constant{list(type_of(v).shape)}"

    def _step(self, n: Node) -> Step:
        live = self.flow.is_live(n)
        if n.p is None:
            kind = ("leaf" if self._named(n) else "unnamed") if live else "constant"
            return Step(n.serial, kind, self.names[n], self._named(n), None, (), self._value(n), (),
                        self._cotangent(n), live, Place.of(n.source))  # fmt: skip
        op, formula = self._operation(n)
        operands = tuple(
            (
                str(o) if isinstance(o, str) else show(o).text,
                None if q is None or not isinstance(o, str) else q.serial,
            )
            for q, o in ((q, self._operand(q, v)) for q, v in zip(op.parents, op.args, strict=True))
        )
        kind = "output" if n is self.root else "computed"
        return Step(n.serial, kind, self.names[n], self._named(n), formula, operands, self._value(n),
                    tuple(self._locals(n)) if live else (), self._cotangent(n), live, Place.of(n.source),
                    self._note(n), _entry(n))  # fmt: skip

    def _value(self, n: Node) -> Shown:
        """The value as the result was computed from it."""
        return show(value_at(n, self.root.serial, self.variables.values))

    def _cotangent(self, n: Node) -> Shown | None:
        ct = self.cts.get(n)
        return None if ct is None or ct is LOST else show(dense(ct))

    def _note(self, n: Node) -> str:
        if n.reading is not None:
            x = self._operand(n.reading.x.node, n.reading.x.value)
            return f"read as {step_formula(operation(n).p, [x], n.reading.params).text}"
        if n in self.hidden:
            return f"part of {self.names[self.hidden[n]]}, see there"
        if n in self.cts and self.cts[n] is LOST:
            return "an array it needs was freed"
        return ""

    def _locals(self, n: Node) -> Iterator[Local]:
        part = self.parts.get(n)
        if part is not None:
            yield from self._locals_of_group(n, part)
            return
        op = operation(n)
        wanted = self.flow.wanted(op)
        operands = [self._operand(q, v) for q, v in zip(op.parents, op.args, strict=True)]
        values = zip((*op.names, "out"), (*op.args, op.out), strict=True)
        known = {i: v for i, v in values if v.__class__ is not Type}
        for k, (q, w) in enumerate(zip(op.parents, wanted, strict=True)):
            if w and q is not None:
                formula = local_derivative(op.p, op.names[k], operands, self.names[n], op.params, known)
                v = self.flow.local(n, k)
                owner = self.group.get(q, q)
                yield Local(
                    str(operands[k]), owner.serial, formula, _shown(v), _rule_in_words(op, k, v), op.p.source
                )

    def _locals_of_group(self, n: Node, part: frozenset[Node]) -> Iterator[Local]:
        """The derivative of what belongs together: the walk, begun at its result with 1."""
        inside = Flow(n, self.flow.extra)
        for q in dict.fromkeys(q for m in sorted(part, key=lambda m: m.serial) for q in m.parents):
            if q is None or q in part or not self.flow.is_live(q):
                continue
            v = inside.until(part, q) if type_of(n.out).shape == () else None
            yield Local(
                self.names.get(q, "…"), q.serial, None, _shown(v), "" if v is not None else _matrix(n, q)
            )

    # leaves

    def _given(self, n: Node, told: dict[int, Step]) -> Given:
        stored = n.grad if isinstance(n, Leaf) else None
        contributions = getattr(n, "contributions", None) or ()
        return Given(
            n.serial, self.names[n], self._named(n), self._value(n), self._cotangent(n),
            None if stored is None else show(stored.v), tuple(_routes(n.serial, self.root.serial, told)),
            tuple((Place.of(c[0]), None if c[1] is None else show(c[1]).to_json()) for c in contributions),
            Place.of(n.source),
        )  # fmt: skip

    def _is_unused(self, n: Node, below: set[Node]) -> bool:
        return isinstance(n, Leaf) and n.pull is not None and n not in below

    def _lines(self, computed: list[Node]) -> Iterator[Line]:
        """Steps grouped by line, in the order in which the lines ran first."""
        groups: dict[tuple[Any, int], list[Node]] = {}
        lines: dict[tuple[Any, int], int] = {}
        for n in computed:
            at = (n.code, n.at)
            if at not in lines:
                lines[at] = n.source.line
            groups.setdefault((n.code, lines[at]), []).append(n)
        for nodes in groups.values():
            first = [m for m in nodes if m.at == nodes[0].at and m.p is nodes[0].p]
            operations = tuple(dict.fromkeys(m.scope or m.name for m in nodes))
            last = nodes[-1]
            yield Line(
                Place.of(last.source),
                len(nodes),
                len(first),
                operations,
                show(last.out),
                self._cotangent(last),
                last.source.line,
                last.source.function,
            )

    def _notes(self, steps: list[Node]) -> Iterator[str]:
        marks = ((n, changed_since(n, self.root)) for n in steps if n in self.names)
        changed = [(self.names[n], source) for n, source in marks if source is not None]
        for name, source in changed[:3]:
            yield f"{name} was changed in place afterwards, at {source.place}: the numbers here are those of before."
        yield from (f"{s}." for s in squares(self.nodes, self._operand))
        yield from history_note(self.root)
        if any(ct is LOST for ct in self.cts.values()):
            yield (
                "Some numbers are missing: backward() freed the arrays over 4 kB that they need. "
                "Ask before backward(), or use backward(retain_graph=True)."
            )


def _shown(v: Any) -> Shown | None:
    return None if v is None or v is LOST else show(dense(v))


def _is_number(v: Any) -> bool:
    return v.__class__ is float or (v.__class__ is not Type and type_of(v).shape == ())


def _rule_in_words(op: Operation, k: int, v: Any) -> str:
    """What a linear rule does, where its matrix is too large to show."""
    if v is not None and v is not LOST:
        return ""
    if op.p.name == "dot_general":
        return (
            "linear: the other factor, "
            f"{'transposed' if len(type_of(op.args[1 - k]).shape) > 1 else 'as it is'}"
        )
    rows, columns = type_of(op.out).size, type_of(op.args[k]).size
    return f"linear map, {rows}×{columns}" if v is None else "an array it needs was freed"


def _matrix(n: Node, q: Node) -> str:
    return f"Jacobian, {type_of(n.out).size}×{type_of(q.out).size}"


def _groups(nodes: list[Node], root: Node) -> tuple[dict[Node, frozenset[Node]], dict[Node, Node]]:
    """Nodes of one user-level operation: result → its parts, and part → result.

    A part belongs to its readers' operation if all of them are of the same call.
    """
    readers: dict[Node, list[Node]] = {}
    if not any(n.scope for n in nodes):
        return {}, {}
    for n in nodes:
        for q in n.parents:
            if q is not None:
                readers.setdefault(q, []).append(n)
    head: dict[Node, Node] = {}
    for n in reversed(nodes):
        if n.p is None or not n.scope:
            continue
        heads = {head.get(r) for r in readers.get(n, ())}
        first = heads.pop() if len(heads) == 1 and n is not root else None
        same = first is not None and first.call == n.call
        head[n] = first if same and first is not None else n
    parts: dict[Node, set[Node]] = {}
    for n, h in head.items():
        parts.setdefault(h, set()).add(n)
    whole = {h: frozenset(ms) for h, ms in parts.items() if len(ms) > 1}
    return whole, {n: h for n, h in head.items() if h in whole}


def _inside_composites(nodes: list[Node]) -> dict[Node, Node]:
    """Nodes that only serve a recognised composite: node → the composite."""
    hidden: dict[Node, Node] = {}
    for n in nodes:
        if n.reading is None:
            continue
        end = n.reading.x.node
        stack = [q for q in n.parents if q is not None and q is not end]
        while stack:
            q = stack.pop()
            if q.p is not None and q.serial > end.serial and q not in hidden:
                hidden[q] = n
                stack += [r for r in q.parents if r is not None and r is not end]
    return hidden


def _entry(n: Node) -> tuple[int, ...] | None:
    """The entry that a step reads, if it is `w[0]` of an array."""
    spec = (n.params or {}).get("spec", ()) if n.p is not None and n.p.name == "index" else ()
    ints = bool(spec) and len(n.args) == 1 and all(item[0] == "int" for item in spec)
    if not ints or type_of(n.out).shape != ():
        return None
    return tuple(i % m for (_, i), m in zip(spec, type_of(n.args[0]).shape, strict=True))


def _loops(lines: Sequence[Line]) -> Iterator[Loop]:
    """Neighbouring lines of one function that ran equally often, more than once."""
    k = 0
    while k < len(lines):
        end, line = k, lines[k]
        while end + 1 < len(lines) and (lines[end + 1].times, lines[end + 1].function) == (
            line.times,
            line.function,
        ):
            end += 1
        if line.times > 1:
            yield Loop(k, end, line.times)
        k = end + 1


def _routes(leaf: int, root: int, told: dict[int, Step]) -> Iterator[Route]:
    """Every way from the leaf, or an entry of it, to the result along single numbers; none if there are too many."""
    counts: dict[int, int] = {leaf: 1}
    for i in sorted(told):
        if i != leaf:
            counts[i] = sum(counts.get(e.id, 0) for e in told[i].locals)
    if not told or root not in told or not 0 < counts.get(root, 0) <= _ROUTES:
        return
    stack: list[tuple[int, tuple[int, ...], tuple[Local, ...]]] = [(root, (root,), ())]
    while stack:
        at, ids, passed = stack.pop()
        entry = (
            told[at].entry if told[at].entry and told[at].locals and told[at].locals[0].id == leaf else None
        )
        if at == leaf or entry is not None:
            numbers = [e.value.scalar if e.value is not None else None for e in passed]
            if any(v is None or e.value.shape != () for v, e in zip(numbers, passed, strict=True)):
                return
            product = float(np.prod(np.array(numbers, dtype=float))) if passed else 1.0
            yield Route(ids, tuple(told[i].name for i in ids), passed, product, entry)
            continue
        if len(ids) > _ROUTE_STEPS:
            return
        for e in reversed(told[at].locals):
            if counts.get(e.id, 0):
                stack.append((e.id, (*ids, e.id), (*passed, e)))


__all__ = [
    "Given",
    "Line",
    "Local",
    "Place",
    "Route",
    "Step",
    "Trace",
    "changed_since",
    "operand_names",
    "trace",
]
