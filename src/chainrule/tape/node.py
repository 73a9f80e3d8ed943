"""Nodes of the tape: an equation with numbers attached.

The layout is measured, not dataclasses: a node is made by `object.__new__` and stores, and costs 0.2 µs.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Iterator, Sequence
from types import CodeType
from typing import Any

from chainrule import config
from chainrule.ir.types import type_of
from chainrule.source import Source
from chainrule.table.composite import KEEPS_INPUT, Reading
from chainrule.table.primitive import Primitive, values_read


class Node:
    """One recorded operation, or (with `p` None) the beginning of a history.

    serial
        Number of the operation: later ones are larger.
    p, params
        The primitive and its parameters (None for none).
    a, b, x, y
        Parents (None: a constant) and values of the first and second input. With more than two inputs, `a` and `x`
        are tuples. A value that the rule does not read and that is not small is replaced by its `Type`.
    out
        The value, or its `Type`.
    pull
        ``pull(node, ct)`` → pairs (parent, cotangent); None where nothing is tracked.
    code, at
        The user's instruction, as `Source` wants it.
    overwritten
        `(serial, source)` of the last in-place change of the value; not set before one happens.
    depth, oldest
        Of untracked nodes only: how far back the history may reach, and the serial number of the first operation in
        it; see Note [Bounded history].
    """

    __slots__ = (
        "__weakref__",
        "a",
        "at",
        "b",
        "code",
        "depth",
        "oldest",
        "out",
        "overwritten",
        "p",
        "params",
        "pull",
        "serial",
        "x",
        "y",
    )

    serial: int
    p: Primitive | None
    a: Any
    b: Any
    x: Any
    y: Any
    out: Any
    params: dict[str, Any] | None
    pull: Callable[[Any, Any], Any] | None
    code: CodeType
    at: int
    depth: int
    oldest: int
    overwritten: tuple[int, Source]

    reading: Reading | None = None  # what a recognised composite is read as (`Composite` nodes)
    scope: str | None = None  # the user-level operation this one is a part of
    call: int | None = None  # its serial number: which call of that operation

    @property
    def source(self) -> Source:
        """The user's line."""
        return Source(self.code, self.at)

    @property
    def parents(self) -> tuple[Any, ...]:
        """Nodes of the inputs (None: a constant, or a history that is gone)."""
        p = self.p
        if p is None:
            return ()
        if self.pull is not None:  # a tracked node holds its parents strongly
            return self.a if p.nary else (self.a,) if len(p.inputs) == 1 else (self.a, self.b)
        if p.nary:
            return tuple(_strong(a) for a in self.a)
        return (_strong(self.a),) if len(p.inputs) == 1 else (_strong(self.a), _strong(self.b))

    @property
    def args(self) -> tuple[Any, ...]:
        """Values (or types) of the inputs."""
        if self.p is None:
            return ()
        if self.p.nary:
            return self.x
        return (self.x,) if len(self.p.inputs) == 1 else (self.x, self.y)

    @property
    def tracked(self) -> bool:
        """Whether a gradient flows through."""
        return self.pull is not None

    @property
    def name(self) -> str:
        """Name of the primitive, "leaf" for the beginning of a history."""
        return self.p.name if self.p is not None else "leaf"

    def __repr__(self) -> str:
        return f"<{self.name} #{self.serial} at {self.source.place}>"


class ScopedNode(Node):
    """A node inside a user-level operation, or one that is read as another function."""

    __slots__ = ("call", "reading", "scope")


class Leaf(Node):
    """The node of a tensor that was not computed; owns `.grad`.

    grad
        The accumulated gradient (a Tensor), or None.
    contributions
        `(source, number or small array or None, call)` of each backward that added to `grad`: the first ones and the
        last; `calls` is how many there were. Not set before a backward reaches the leaf.
    before
        `(serial, value, operation, operand)`: what the last in-place change replaced, if that is small. Values that
        were read after operation number `serial` and before the change are this one. Not set before a change.
    """

    __slots__ = ("before", "calls", "contributions", "grad")

    calls: int
    before: tuple[int, Any, str, Any]


_serials = itertools.count(1)
next_serial = _serials.__next__
new = object.__new__


def leaf(value: Any, tracked: bool, code: CodeType, at: int) -> Leaf:
    """The node of a tensor that was made, not computed."""
    n = new(Leaf)
    n.serial = next_serial()
    n.p = n.a = n.b = n.x = n.y = n.params = n.grad = n.contributions = None
    n.out = value if value.__class__ is float else small(value)
    n.pull = accumulate if tracked else None
    n.code, n.at, n.depth = code, at, 0
    return n


def accumulate(node: Node, ct: Any) -> tuple[()]:
    """The pullback of a leaf: its cotangent stays where it is, and becomes `.grad`."""
    return ()


def small(v: Any) -> Any:
    """The value if it is small enough to be kept for explanations, else its type."""
    return v if v.__class__ is float or v.nbytes <= config.KEEP_BYTES else type_of(v)


def kept(p: Primitive, wanted: tuple[str, ...]) -> frozenset[str]:
    """Values that a node keeps: what the pullback reads, and the variable of a composite."""
    reads = values_read(p, wanted)
    return reads | {p.inputs[0]} if p.name in KEEPS_INPUT else reads


# Note [Bounded history]
# An untracked result can tell how it was made, to a depth of HISTORY_DEPTH operations; what lies further back is cut
# off. It holds no array over KEEP_BYTES, and nodes of a tracked tape only weakly: `losses.append(loss.detach())`
# keeps no graph alive, and `w = w - lr*g` for ever runs in constant memory. A parent whose history begins more than
# HISTORY_SPAN operations before is left out, so that a balanced sum of 10⁶ terms does not keep 10⁶ nodes. Where a
# history was cut off stands CUT in place of a parent, and explanations say how far back it goes. `provenance(False)`
# keeps none.


_CUT_AT = 4 * config.HISTORY_DEPTH  # seldom enough that cutting costs little
_SPAN = config.HISTORY_SPAN


def history(parent: Node | None) -> Any:
    """A parent as an untracked node holds it."""
    if parent is None or parent.pull is None:
        return parent
    return weakref.ref(parent)


class _Nothing:
    """What CUT once referred to."""

    __slots__ = ("__weakref__",)


CUT: Any = weakref.ref(_Nothing())  # a reference that is dead from the beginning: it reads as None
_remembers = True


def remember_history(on: bool) -> bool:
    """Whether untracked results keep their history from now on; returns what held before."""
    global _remembers
    before, _remembers = _remembers, on
    return before


def set_depth(n: Node, parents: Sequence[Node | None]) -> None:
    """Depth of an untracked node; cuts what lies too far back."""
    if not _remembers:
        n.depth, n.oldest = 0, n.serial
        _cut_parents(n, parents)
        return
    depth, oldest = 0, n.serial
    for q in parents:
        if q is not None and q.pull is None and q.depth > 0:
            if q.depth > depth:
                depth = q.depth
            if q.oldest < oldest:
                oldest = q.oldest
    n.depth, n.oldest = depth + 1, oldest
    if n.serial - oldest > _SPAN:
        near = [
            q is None or q.pull is not None or q.depth <= 0 or n.serial - q.oldest <= _SPAN for q in parents
        ]
        _cut_parents(n, parents, near)
        held = [
            q.oldest
            for q, k in zip(parents, near, strict=True)
            if k and q is not None and q.pull is None and q.depth > 0
        ]
        n.oldest = min(held, default=n.serial)
    elif depth + 1 >= _CUT_AT:
        level = {n}
        for _ in range(config.HISTORY_DEPTH):
            level = {q for m in level for q in m.parents if q is not None and q.pull is None}
        for m in level:
            if m.p is not None:
                _cut_parents(m, m.parents)
                m.depth, m.oldest = 0, m.serial
        n.depth = config.HISTORY_DEPTH
        n.oldest = min((m.serial for m in level), default=oldest)


def _cut_parents(n: Node, parents: Sequence[Node | None], keep: Sequence[bool] = ()) -> None:
    """Leave the parents of an untracked node out, all of them or those that are not to be kept."""
    if n.a.__class__ is tuple:
        kept = keep or [q is None for q in parents]
        n.a = tuple(a if k else CUT for a, k in zip(n.a, kept, strict=True))
        return
    if n.a is not None and not (keep and keep[0]):
        n.a = CUT
    if n.b is not None and not (keep and keep[1]):
        n.b = CUT


def _strong(ref: Any) -> Any:
    return ref() if ref.__class__ is weakref.ref else ref


def serial_of(n: Node) -> int:
    return n.serial


def ancestors(root: Node) -> Iterator[Node]:
    """Every node that can still be told about, tracked or not, latest first."""
    seen = {root}
    stack = [root]
    found = []
    while stack:
        n = stack.pop()
        found.append(n)
        for q in n.parents:
            if q is not None and q not in seen:
                seen.add(q)
                stack.append(q)
    found.sort(key=serial_of, reverse=True)
    return iter(found)


def lost_parent(n: Node) -> bool:
    """Whether an untracked step was computed from something tracked that is gone by now."""
    held = n.a if n.a.__class__ is tuple else (n.a, n.b)
    return any(ref.__class__ is weakref.ref and ref is not CUT and ref() is None for ref in held)
