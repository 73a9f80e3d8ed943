"""Parts of the tape without their arrays: a walk that comes by computes them again.

A segment is what one call recorded. Its nodes stay: parents, lines, hooks and numbers are where they were. Their
arrays are dropped, and when a walk reaches such a node the call is repeated; the node's *twin* of that second run has
the values. Twins are held by the thread that walks, for one segment at a time (and those around it), so a walk over
many segments has the arrays of one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from weakref import ref

from chainrule.errors import DerivativeError, OverwrittenError
from chainrule.ir.types import type_of
from chainrule.table.primitive import Custom
from chainrule.tape.node import Node, next_serial, serial_of, small

Pairs = Iterable[tuple[Any, Any]]


class Segment:
    """What one call recorded.

    rerun
        Runs the call again, recorded, and returns the nodes of its outputs.
    nodes
        Weak references to the recorded nodes, earliest first.
    start
        Serial number before the call.
    around
        The segment whose repetition this call is a part of.
    """

    __slots__ = ("around", "nodes", "rerun", "start")

    def __init__(self, roots: Sequence[Node], start: int, rerun: Callable[[], Sequence[Node]]) -> None:
        self.rerun, self.start = rerun, start
        self.around = _state.running
        found = recorded_since(roots, start)
        self.nodes = [ref(n) for n in found]
        for n in found:
            n.pull = Dropped(self, n.pull.reads)  # type: ignore[union-attr]
            forget(n)


class Dropped:
    """The pull of a node whose arrays are dropped."""

    __slots__ = ("reads", "segment")

    def __init__(self, segment: Segment, reads: int) -> None:
        self.segment, self.reads = segment, reads

    def __call__(self, n: Node, ct: Any) -> Pairs:
        return pull_again(n, ct)


class _Twins:
    """A segment that was run again: twin of each node, and the node of each twin."""

    __slots__ = ("nodes", "segment", "twins")

    def __init__(self, segment: Segment, twins: dict[Node, Node]) -> None:
        self.segment, self.twins = segment, twins
        self.nodes = {twin: n for n, twin in twins.items()}


class _State(threading.local):
    """The repeated segments of this thread, each inside the one before, and the one whose call is running."""

    def __init__(self) -> None:
        self.repeated: list[_Twins] = []
        self.running: Segment | None = None


_state = _State()


def recorded_since(roots: Sequence[Node], start: int) -> list[Node]:
    """Tracked operations later than `start` that the roots depend on, earliest first."""
    stack = [n for n in roots if n.pull is not None and n.serial > start]
    seen = set(stack)
    while stack:
        for q in stack.pop().parents:
            if q is not None and q.pull is not None and q.serial > start and q not in seen:
                seen.add(q)
                stack.append(q)
    return sorted((n for n in seen if n.p is not None), key=serial_of)


def values_of(n: Node) -> Node:
    """The node that has the values of `n`: itself, or its twin."""
    while n.pull.__class__ is Dropped:
        n = _repeated(n.pull.segment).twins[n]  # type: ignore[union-attr]
    return n


def pull_again(n: Node, ct: Any, pull: Callable[[Node, Any], Pairs] | None = None) -> Pairs:
    """The cotangents of the parents of a node, by way of its twin; `pull` in the place of the twin's own."""
    repeated = _repeated(n.pull.segment)  # type: ignore[union-attr]
    twin, nodes = repeated.twins[n], repeated.nodes
    if twin.pull.__class__ is Dropped:
        pairs = pull_again(twin, ct, pull)
    else:
        pairs = (pull or twin.pull)(twin, ct)  # type: ignore[misc]
    return [(nodes.get(q, q), c) for q, c in pairs]


class walking:
    """During a walk twins may be made; afterwards this thread holds none but those that it held before."""

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before = tuple(_state.repeated)

    def __exit__(self, *exc: object) -> None:
        now = _state.repeated
        if now:
            now[:] = [a for a, b in zip(now, self._before, strict=False) if a is b]


def _repeated(segment: Segment) -> _Twins:
    """The twins of a segment; those of segments that are not around it are let go."""
    stack = _state.repeated
    while stack and stack[-1].segment is not segment and stack[-1].segment is not segment.around:
        stack.pop()
    if not stack or stack[-1].segment is not segment:
        stack.append(_repeat(segment))
    return stack[-1]


def _repeat(segment: Segment) -> _Twins:
    _check_outside(segment)
    start, before = next_serial(), _state.running
    _state.running = segment
    try:
        roots = segment.rerun()
    finally:
        _state.running = before
    again = recorded_since(roots, start)
    if len(again) != len(segment.nodes):
        raise not_repeated(f"{len(segment.nodes)} operations, then {len(again)}")
    twins = {}
    for r, twin in zip(segment.nodes, again, strict=True):
        n = r()
        if n is not None:  # else nothing depends on it any more
            _check_twin(n, twin, segment.start)
            twins[n] = twin
    return _Twins(segment, twins)


def _check_twin(n: Node, twin: Node, start: int) -> None:
    if n.p is not twin.p or type_of(n.out) != type_of(twin.out):
        raise not_repeated(
            f"{n.name} of {type_of(n.out)} at {n.source}, then {twin.name} of {type_of(twin.out)} at {twin.source}"
        )
    for q, again in zip(n.parents, twin.parents, strict=True):
        if q is not None and q.pull is not None and q.serial <= start and again is not q:
            raise not_repeated(f"{n.name} at {n.source} reads another tensor")


def _check_outside(segment: Segment) -> None:
    """Refuse to repeat a call that reads a tensor which was changed in place since."""
    for n in filter(None, (r() for r in segment.nodes)):
        for q in n.parents:
            changed = None if q is None else getattr(q, "overwritten", None)
            if changed is not None and q.serial <= segment.start < changed[0]:
                raise OverwrittenError(
                    "a tensor that a checkpointed function reads was changed in place, and the function must run again",
                    given=f"{n.name} at {n.source} reads it; changed in place at {changed[1]}",
                    fix="change it after the backward pass, or compute a new tensor instead",
                )  # fmt: skip


def not_repeated(given: str) -> DerivativeError:
    """The error for a call that does something else the second time."""
    return DerivativeError(
        "a checkpointed function did something else when it was run again for the backward pass", given=given,
        fix="let it depend on its arguments alone; random numbers of chainrule and of numpy.random are repeated",
    )  # fmt: skip


def forget(n: Node) -> None:
    """Drop the arrays of a node but for small ones, which explanations read."""
    n.x = tuple(map(_shrink, n.x)) if n.x.__class__ is tuple else _shrink(n.x)
    n.y, n.out = _shrink(n.y), _shrink(n.out)
    if n.reading is not None:
        x = n.reading.x
        n.reading = n.reading._replace(x=x.__class__(x.node, _shrink(x.value)))
    if isinstance(n.p.rule, Custom) and n.p.rule.release is not None:  # type: ignore[union-attr]
        n.p.rule.release(n.params)  # type: ignore[union-attr]


def _shrink(v: Any) -> Any:
    return small(v) if hasattr(v, "nbytes") else v


__all__ = [
    "Dropped",
    "Segment",
    "forget",
    "not_repeated",
    "pull_again",
    "recorded_since",
    "values_of",
    "walking",
]
