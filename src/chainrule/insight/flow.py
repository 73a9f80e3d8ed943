"""Cotangents, local derivatives and fresh values on a tape that is only read: what explanations are made of.

The numbers come from the rules of the table, by the reader that `backward` uses (`transforms/derive.py`).
Unlike `backward` this works after the graph was freed, from the numbers that nodes keep; where an array was
dropped, the result is `LOST`, and so is all that would follow from it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from chainrule.eager.backward import changed_after, overwritten_since
from chainrule.errors import ChainruleError
from chainrule.ir.types import Type, type_of
from chainrule.table.primitive import TABLE, Custom, Linear, Primitive, nondifferentiable, values_read
from chainrule.tape import numbers
from chainrule.tape.memory import written_after
from chainrule.tape.node import Node, serial_of
from chainrule.tape.pull import Freed, index_pull, scalar_pull, settle
from chainrule.transforms.derive import join, pullback
from chainrule.transforms.walk import reverse


class _Lost:
    """A number that cannot be told any more, because an array it needs was not kept."""

    def __repr__(self) -> str:
        return "lost"


LOST = _Lost()


class Operation(NamedTuple):
    """A step as its derivative sees it: a recognised composite is the function it is read as."""

    p: Primitive
    parents: tuple[Node | None, ...]
    args: tuple[Any, ...]
    params: dict[str, Any]
    out: Any

    @property
    def names(self) -> tuple[str, ...]:
        """The name of the primitive's input behind each argument."""
        names = self.p.inputs
        if not names or not names[-1].startswith("*"):
            return names
        return (*names[:-1], *[names[-1]] * (len(self.args) - len(names) + 1))


def operation(n: Node) -> Operation:
    """The operation that made a value, composites read as one function; with the values as they were then."""
    if n.reading is None:
        parents = n.parents
        args = tuple(as_read(q, v, n.serial) for q, v in zip(parents, n.args, strict=True))
        return Operation(n.p, parents, args, n.params or {}, as_read(n, n.out, n.serial))
    name, x, params = n.reading
    out, value = n.out, as_read(x.node, x.value, n.serial)
    if value.__class__ is not Type:
        with np.errstate(all="ignore"):
            out = TABLE[name].value(lift(value), **params)
    return Operation(TABLE[name], (x.node,), (value,), params, out)


def as_read(q: Node | None, v: Any, serial: int) -> Any:
    """A value as operation number `serial` read it: put back if it was changed in place since; else its type."""
    if v.__class__ is float or v.__class__ is Type or q is None or not overwritten_since(serial):
        return v
    if changed_after(q, serial) is None:
        return v if written_after(v, serial) is None else type_of(v)
    if q.p is None:
        return _before(q, v, serial)
    if not q.p.view or q.p.name == "alias":
        return type_of(v)
    whole = as_read(q.parents[0], q.args[0], serial)
    return type_of(v) if whole.__class__ is Type else q.p.value(lift(whole), *q.args[1:], **(q.params or {}))


def _before(q: Node, v: Any, serial: int) -> Any:
    since, value = getattr(q, "before", (serial + 1, None))[:2]
    return value if since <= serial and value is not None else type_of(v)


def value_at(n: Node, serial: int, in_reach: Mapping[Node, Any] = MappingProxyType({})) -> Any:
    """The value of a node when operation number `serial` ran; a large one as a tensor in reach still holds it."""
    mark = getattr(n, "overwritten", None)
    if n.p is None and n.out.__class__ is float and mark is not None and mark[0] > serial:
        return _before(n, n.out, serial)
    v = as_read(n, n.out, max(serial, n.serial))
    return as_read(n, in_reach[n], max(serial, n.serial)) if v.__class__ is Type and n in in_reach else v


def lift(v: Any) -> Any:
    """A value in the domain of plain numbers."""
    return np.float64(v) if v.__class__ is float else v


def is_number(v: Any) -> bool:
    """Whether a value is one number that was kept."""
    return v.__class__ is not Type and type_of(v).shape == ()


# --- who is on the way -----------------------------------------------------------------------------


class Flow:
    """The nodes that a result depends on, and which of them a gradient flows through.

    Parameters
    ----------
    root
        The node of the result.
    also
        Untracked leaves to treat as if they were tracked: "what would the gradient have been?"
    """

    def __init__(self, root: Node, also: Collection[Node] = ()) -> None:
        self.root = root
        self.extra = _reached(root, also) if also else frozenset()
        self._order: list[Node] = []
        self._cotangents: dict[Node, Any] = {}
        self._ways: dict[Node, list[Node]] = {}

    def is_live(self, n: Node | None) -> bool:
        """Whether a gradient flows through this node."""
        return n is not None and (n.pull is not None or n in self.extra)

    def wanted(self, op: Operation) -> list[bool]:
        """Which arguments of an operation a gradient flows to."""
        if op.p.rule is None:
            return [False] * len(op.args)
        skip = nondifferentiable(op.p)
        return [self.is_live(q) and name not in skip for q, name in zip(op.parents, op.names, strict=True)]

    def order(self) -> list[Node]:
        """Live nodes below the root, itself included, latest first. Iterative."""
        if self._order:
            return self._order
        seen, stack, extra = {self.root}, [self.root], self.extra
        while stack:
            for q in stack.pop().parents:
                if q is not None and q not in seen and (q.pull is not None or q in extra):
                    seen.add(q)
                    stack.append(q)
        self._order = sorted(seen, key=serial_of, reverse=True)
        return self._order

    def way_from(self, leaf: Node) -> list[Node]:
        """The steps between a leaf and the result, the first one first; composites lead over what is inside them."""
        found = self._ways.get(leaf)
        if found is None:
            above, found = {leaf}, []
            for n in reversed(self.order()):
                if n.p is None:
                    continue
                parents = n.parents if n.reading is None else (n.reading.x.node,)
                if not above.isdisjoint(parents):
                    above.add(n)
                    found.append(n)
            self._ways[leaf] = found
        return found

    def cotangents(self, seed: Any = None) -> dict[Node, Any]:
        """d(root)/d(node) for every live node, by one reverse walk; several entries: of their sum."""
        plain = seed is None
        if plain and self._cotangents:
            return self._cotangents
        seed = ones_like(self.root.out) if plain else seed
        steps = self.order()
        with np.errstate(all="ignore"):
            cts = self._walk(steps, seed)
            if any(map(_has_nan, cts.values())) and any(map(_may_mask, steps)):
                cts = self._walk_masked(steps, seed)
        if plain:
            self._cotangents = cts
        return cts

    def _walk(self, steps: list[Node], seed: Any) -> dict[Node, Any]:
        cts: dict[Node, Any] = {self.root: seed}
        seen: dict[Node, Any] = {}

        def take(n: Node) -> Any:
            ct = cts.get(n)
            if ct is not None:
                seen[n] = ct = ct if ct is LOST or ct.__class__ is float else numbers.dense(ct)
            return ct

        reverse(steps, cts, take, self.pull, _add)
        return seen

    def _walk_masked(self, steps: list[Node], seed: Any) -> dict[Node, Any]:
        cts: dict[Node, Any] = {self.root: (lift(seed), None)}

        def pull(n: Node, pair: Any) -> list[tuple[Node, Any]]:
            return [(q, (c, m)) for q, c, m in self._pull_general(n, *pair)]

        def add(a: Any, b: Any) -> Any:
            if a[0] is LOST or b[0] is LOST:
                return LOST, None
            return numbers.emit("add", a[0], b[0]), join(numbers.emit, a[1], b[1])

        reverse(steps, cts, cts.get, pull, add)
        return {n: c if c is LOST else settle(c, n.out) for n, (c, _) in cts.items()}

    def pull(self, n: Node, ct: Any) -> Iterable[tuple[Node, Any]]:
        """Cotangents of the inputs of a step, given its own."""
        if n.p is None:
            return ()
        if ct.__class__ is float and n.reading is None and _all_floats(n):
            if not self.extra and n.pull.__class__ is not Freed and n.pull is not None:
                return n.pull(n, ct)  # type: ignore[no-any-return]
            wanted = tuple([self.is_live(q) for q in n.parents])
            if n.p.rule is None or True not in wanted:
                return ()
            return scalar_pull(n.p, wanted)(n, ct)  # type: ignore[no-any-return]
        if n.p.name == "index" and ct is not LOST and self.is_live(n.parents[0]):
            if any(i.__class__ is Type for i in n.args[1:]):
                return ((n.parents[0], LOST),)
            return tuple((n.parents[0], c) for _, c in index_pull(n, ct))
        return [(q, c if c is LOST else settle(c, q.out)) for q, c, _ in self._pull_general(n, ct, None)]

    def _pull_general(self, n: Node, ct: Any, mask: Any) -> list[tuple[Node, Any, Any]]:
        if n.p is None:
            return []
        op = operation(n)
        wanted = self.wanted(op)
        if not any(wanted):
            return []
        if ct is LOST or _needs_lost(op, wanted):
            return [(q, LOST, None) for q, w in zip(op.parents, wanted, strict=True) if w]
        indicator = [_is_indicator(q) for q in op.parents] if op.p.name == "mul" else ()
        args, out = [lift(v) for v in op.args], lift(op.out)
        try:
            pulled = list(
                pullback(op.p, args, out, op.params, lift(ct), mask, wanted, numbers.emit, indicator)
            )
        except ChainruleError:  # an operation that has no reverse mode
            return [(q, LOST, None) for q, w in zip(op.parents, wanted, strict=True) if w]
        return [(op.parents[k], c, m) for k, c, m in pulled]

    def until(self, part: Collection[Node], q: Node) -> Any:
        """d(root)/d(q) along the nodes of `part` only."""
        steps = [n for n in self.order() if n in part]
        cts: dict[Node, Any] = {self.root: ones_like(self.root.out)}
        with np.errstate(all="ignore"):
            reverse(steps, cts, cts.get, self.pull, _add)
        return cts.get(q)

    def local(self, n: Node, k: int) -> Any:
        """∂(step)/∂(argument k): a number, an array of the argument's shape, or None for a matrix.

        For a step with several entries this exists only entry by entry.
        """
        op = operation(n)
        out, x = type_of(op.out), type_of(op.args[k])
        entrywise = op.p.kind == "elementwise" or op.p.name in ("cast", "alias")
        if out.shape != () and not (entrywise and x.shape == out.shape):
            return None
        wanted = [i == k for i in range(len(op.args))]
        if _needs_lost(op, wanted):
            return LOST
        with np.errstate(all="ignore"):
            if n.reading is None and _all_floats(n) and op.p.rule is not None:
                return scalar_pull(op.p, tuple(wanted))(n, 1.0)[0][1]
            try:
                args, seed = [lift(v) for v in op.args], lift(ones_like(op.out))
                pulled = list(pullback(op.p, args, lift(op.out), op.params, seed, None, wanted, numbers.emit))
            except ChainruleError:
                return None
        return settle(pulled[0][1], op.args[k]) if pulled else None


def ones_like(v: Any) -> Any:
    """The cotangent with which a walk begins."""
    t = type_of(v)
    return 1.0 if v.__class__ is float else np.ones(t.shape, t.dtype)


def _reached(root: Node, leaves: Collection[Node]) -> frozenset[Node]:
    """Nodes between the leaves and the root."""
    found, order = {root: None}, []
    stack = [root]
    while stack:
        n = stack.pop()
        order.append(n)
        for q in n.parents:
            if q is not None and q not in found:
                found[q] = None
                stack.append(q)
    reached = set(leaves)
    for n in sorted(order, key=serial_of):
        if any(q in reached for q in n.parents):
            reached.add(n)
    return frozenset(reached)


def _all_floats(n: Node) -> bool:
    p = n.p
    return (
        n.out.__class__ is float
        and p.kind == "elementwise"
        and not p.nary
        and n.x.__class__ is float
        and (n.y.__class__ is float or len(p.inputs) == 1)
    )


def _needs_lost(op: Operation, wanted: Sequence[bool]) -> bool:
    names = tuple(dict.fromkeys(i for i, w in zip(op.names, wanted, strict=True) if w))
    reads = values_read(op.p, names)
    values = {**dict(zip(op.names, op.args, strict=True)), "out": op.out}
    starred = [v for i, v in zip(op.names, op.args, strict=True) if i.startswith("*") and i in reads]
    linear = isinstance(op.p.rule, Linear)
    named = [values[i] for i in reads if i in values and not (linear and i in names and i.startswith("*"))]
    return any(v.__class__ is Type for v in (*named, *([] if linear else starred)))


def _is_indicator(q: Node | None) -> bool:
    return q is not None and q.name == "cast" and type_of(q.x).dtype == np.bool_


def _may_mask(n: Node) -> bool:
    if n.p is None:
        return False
    rule = n.p.rule
    return (
        n.p.selects
        or (isinstance(rule, Linear) and rule.holes)
        or (n.p.name == "mul" and any(map(_is_indicator, n.parents)))
    )


def _add(a: Any, b: Any) -> Any:
    return LOST if a is LOST or b is LOST else numbers.add(a, b)


def _has_nan(c: Any) -> bool:
    return c != c if c.__class__ is float else c is not LOST and bool(np.isnan(c).any())


# --- the value once more, with other inputs ----------------------------------------------------------


class Replay:
    """The computation of `root`, run again from the tape with another value for one leaf.

    `possible` is False where an array that is read was not kept, and where a step is a function of the user's, or a
    compiled one: it ran once, and is not kept to be run again.
    """

    def __init__(self, root: Node, at: Node) -> None:
        self.root, self.at = root, at
        found = _reached(root, [at])
        self.steps = sorted((n for n in found if n is not at and n.p is not None), key=serial_of)
        self.possible = root in found and all(self._is_kept(n, found) for n in self.steps)

    @staticmethod
    def _is_kept(n: Node, found: Collection[Node]) -> bool:
        return not isinstance(n.p.rule, Custom) and all(
            q in found or as_read(q, v, n.serial).__class__ is not Type
            for q, v in zip(n.parents, n.args, strict=True)
        )

    def value(self, v: Any) -> Any:
        """The value of the root where the leaf has the value `v`."""
        values: dict[Node, Any] = {self.at: v}
        with np.errstate(all="ignore"):
            for n in self.steps:
                args = [
                    lift(values[q] if q in values else as_read(q, a, n.serial))
                    for q, a in zip(n.parents, n.args, strict=True)
                ]
                values[n] = self._run(n, args)
        return values[self.root]

    @staticmethod
    def _run(n: Node, args: list[Any]) -> Any:
        params = n.params or {}
        if n.p.name == "cast" and params["dtype"].kind == "f":
            return args[0]  # a check in double precision is a better check
        return n.p.value(*args, **params)


def central_difference(root: Node, at: Node, limit: int = 16, flow: Flow | None = None) -> Any:
    """d(sum of root)/d(at) by central differences in double precision, or None where that cannot be had.

    Only leaves with at most `limit` entries: it costs four runs of the program per entry.
    """
    value = value_at(at, root.serial)
    t = type_of(value)
    if value.__class__ is Type or t.size > limit or t.dtype.kind != "f":
        return None
    if flow is not None and len(flow.way_from(at)) * t.size > 5_000:
        return None
    replay = Replay(root, at)
    if not replay.possible or len(replay.steps) * t.size > 5_000:
        return None
    x = np.array(value, np.float64)
    out = np.empty(t.shape)
    for i in np.ndindex(t.shape):
        h = 6e-6 * max(1.0, abs(float(x[i])))
        coarse, fine = _difference(replay, x, i, 2 * h), _difference(replay, x, i, h)
        if not abs(coarse - fine) <= 1e-5 * max(1e-6, abs(fine)):
            return None  # near a pole or an edge, or lost in rounding: no check
        out[i] = fine
    return out if t.shape else float(out)


def _difference(replay: Replay, x: np.ndarray, i: tuple[int, ...], h: float) -> float:
    ends = []
    for step in (h, -h):
        moved = x.copy()
        moved[i] += step
        ends.append(float(np.sum(replay.value(moved if x.shape else np.float64(moved)))))
    return (ends[0] - ends[1]) / (2 * h)
