"""Kinks, and why a gradient is zero: flat steps, branches not taken, products with 0, cancelling routes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from chainrule.insight.flow import LOST, Flow, Operation, lift, ones_like, operation
from chainrule.insight.nonfinite import entries
from chainrule.insight.notation import step_formula
from chainrule.insight.shown import number, place, show
from chainrule.ir.types import Type, type_of
from chainrule.source import Source
from chainrule.tape.node import Node
from chainrule.tape.numbers import dense


def _whole(v: Any) -> Any:
    return v == np.floor(v)


# The `kinks` of the table, in words there, as tests here: condition → (x, y, out, params) → where it holds.
KINK_TESTS: dict[str, Callable[[Any, Any, Any, Any], Any]] = {
    "x = 0": lambda x, y, out, p: x == 0,
    "x = y": lambda x, y, out, p: x == y,
    "x = y = 0": lambda x, y, out, p: (x == 0) & (y == 0),
    "x = 0, y <= 0": lambda x, y, out, p: (x == 0) & (y <= 0),
    "x = 0, y >= 0": lambda x, y, out, p: (x == 0) & (y >= 0),
    "x = lo, x = hi": lambda x, y, out, p: (x == p["lo"]) | (x == p["hi"]),
    "k entries tie": lambda x, y, out, p: np.sum(x == out) > max(np.size(out), 1),
    "all entries equal": lambda x, y, out, p: out == 0,
    "x an integer": lambda x, y, out, p: _whole(x),
    "x an integer, not 0": lambda x, y, out, p: _whole(x) & (x != 0),
    "x halfway between integers": lambda x, y, out, p: _whole(x - 0.5),
    "y = 0": lambda x, y, out, p: y == 0,
    "x = NaN, x = ±inf": lambda x, y, out, p: ~np.isfinite(x),
    "x = 0, y <= -1": lambda x, y, out, p: (x == 0) & (y <= -1),
    "x/y an integer": lambda x, y, out, p: _whole(x / y),
}


def at_kink(op: Operation) -> tuple[str, str] | None:
    """The condition of the first kink of the table that a step sits on, and in which entries; None if on none."""
    if not op.p.kinks or any(v.__class__ is Type for v in (*op.args, op.out)):
        return None
    x = lift(op.args[0])
    y = lift(op.args[1]) if len(op.args) > 1 else np.float64(1)
    for condition in op.p.kinks:
        test = KINK_TESTS.get(condition)
        if test is None:
            continue
        v = lift(op.out) if op.p.kind == "reduction" and condition == "x = 0" else x
        with np.errstate(all="ignore"):
            hit = test(v, y, lift(op.out), op.params)
        if np.any(hit):
            return condition, _places(hit) if np.size(hit) > 1 else ""
    return None


def _places(hit: Any) -> str:
    """The entries where something holds, the first few: `[0], [2]`."""
    found = np.argwhere(hit)
    shown = ", ".join(place(tuple(map(int, at))) for at in found[:3])
    return shown + (", …" if len(found) > 3 else "")


def kinks_on_the_way(
    flow: Flow, leaf: Node, cts: dict[Node, Any], names: Any
) -> Iterator[tuple[str, Source]]:
    """A sentence, and the line, for each step between the leaf and the result that sits on a kink."""
    for n in flow.way_from(leaf):
        if (not n.p.kinks and n.reading is None) or not _any(cts.get(n)):
            continue
        op = operation(n)
        found = at_kink(op)
        if found is None:
            continue
        condition, places = found
        what = written(op, names)
        if n.reading is not None:
            what = f"{_as_written(n, names)} is read as {what}; it"
        where = f", here in entry {places}" if places else ""
        yield f"{what} has a kink at {condition}{where}: {op.p.kinks[condition]}.", n.source


def written(op: Operation, names: Any) -> str:
    """A step as people write it, with the names of its operands."""
    operands = [names(q, v) for q, v in zip(op.parents, op.args, strict=True)]
    return step_formula(op.p, operands, op.params, op.args).text


def _as_written(n: Node, names: Any) -> str:
    return step_formula(
        n.p, [names(q, v) for q, v in zip(n.parents, n.args, strict=True)], n.params or {}
    ).text


# --- zero ------------------------------------------------------------------------------------------------

_SATURATES = frozenset(
    {"sigmoid", "tanh", "falling_sigmoid", "erf", "erfc", "softplus", "exp", "exp2", "expm1", "atan", "sech2",
     "softmax", "logsumexp", "elu", "gelu", "silu", "selu", "logsigmoid", "mish"}
)  # fmt: skip
_CHOOSES = frozenset(
    {"where", "maximum", "minimum", "amax", "amin", "index", "gather", "take_along", "index_update"}
)
_STEPS = frozenset({"round", "floor", "ceil", "trunc", "sign", "floor_divide"})

FIX = {
    "flat": "Move the input off the flat piece, or use a function that slopes there (leaky_relu, softplus).",
    "step": "Its slope is 0 almost everywhere: use a smooth function in its place.",
    "unselected": "A route that is not taken contributes nothing: choose the condition so that it is taken here, "
    "if it should count.",
    "zero_factor": "Nothing is broken: with another factor the gradient is another number.",
    "cancelled": "Nothing is broken: at this point the result does not change with it, to first order.",
    "saturated": "Keep the input smaller (scale it), or use a loss on logits, such as softplus or logsumexp.",
    "underflow": "Use float64, or compute with logarithms so that slopes add up instead of multiplying.",
}


class Zero(NamedTuple):
    """Why nothing arrives: a reason, sentences with their lines, and what to do."""

    reason: str
    lines: list[tuple[str, Source]]
    fix: str


def why_zero(
    flow: Flow, leaf: Node, cts: dict[Node, Any], names: Any, entry: tuple[int, ...] | None = None
) -> Zero | None:
    """Where the cotangent becomes 0, going backward from the result to a leaf whose gradient is 0."""
    found: list[tuple[str, str, Source]] = []
    shape = type_of(leaf.out).shape
    way = flow.way_from(leaf)
    inside = {*way, leaf}
    for n in reversed(way):
        if not _any(_at_entry(cts.get(n), entry, shape)):
            continue
        op = operation(n)
        dead = [k for k, q in enumerate(op.parents) if q in inside and flow.is_live(q)
                and cts.get(q) is not LOST and not _any(_at_entry(cts.get(q), entry, shape))]  # fmt: skip
        found += [_step(flow, n, op, k, cts[n], names, entry, shape) for k in dead]
    if not found:
        return None
    reason = found[0][0]
    same = [(line, source) for r, line, source in found if r == reason]
    what = "step" if reason == "flat" and any(q.p.name in _STEPS for q in way) else reason
    return Zero(reason, list(dict.fromkeys(same))[:4], FIX[what])


def _step(
    flow: Flow, n: Node, op: Operation, k: int, ct: Any, names: Any, entry: Any, shape: Any
) -> tuple[str, str, Source]:
    """What happened to the cotangent on its way from a step to one of its operands."""
    operands = [names(q, v) for q, v in zip(op.parents, op.args, strict=True)]
    text, source = written(op, names), n.source
    local = _at_entry(flow.local(n, k), entry, shape)
    if local is not None and not _any(local):
        if op.p.name == "mul":
            return "zero_factor", f"{text} multiplies by {operands[1 - k]}, which is 0.", source
        if op.p.name in _SATURATES:
            return (
                "saturated",
                f"{text} is saturated{_where(operands[k], op.args[k])}: its slope is too small to be told from 0.",
                source,
            )
        if op.p.name in _CHOOSES:
            if op.p.name in ("amax", "amin") and entry:
                return "unselected", f"{text} took another entry.", source
            return "unselected", f"{text} did not take {operands[k]}{_because(op, operands, k)}.", source
        return "flat", f"{text} is flat{_where(operands[k], op.args[k])}: its local derivative is 0.", source
    with np.errstate(all="ignore"):
        pulled = [c for q, c in flow.pull(n, dense(ct)) if q is op.parents[k]]
    if any(_any(_at_entry(c, entry, shape)) for c in pulled):
        name = operands[k]
        return "cancelled", f"the contributions to {name} cancel: {text} is one of its readers.", source
    if op.p.name in _CHOOSES:
        return "unselected", f"{text} did not take this entry.", source
    if local is None:
        return "zero_factor", f"{text} multiplies by 0.", source
    size = _decades(flow, n)
    exact = "" if size is None else f"; the exact product is about 1e{size}"
    small = number(np.finfo(type_of(op.out).dtype).smallest_subnormal)
    dtype = type_of(op.out).dtype
    what = (
        f"{text}: cotangent {_shown(ct)} times local derivative {_shown(local)} is below the smallest {dtype} number, "
        f"{small}{exact}."
    )
    return "underflow", what, source


def _because(op: Operation, operands: list[Any], k: int) -> str:
    if op.p.name == "where" and op.args[0].__class__ is not Type and np.size(op.args[0]) == 1:
        return f", because its condition {operands[0]} is {bool(np.all(op.args[0]))}"
    if (
        op.p.name in ("maximum", "minimum")
        and np.size(op.args[1 - k]) == 1
        and op.args[1 - k].__class__ is not Type
    ):
        which = "larger" if op.p.name == "maximum" else "smaller"
        return (
            f": {operands[1 - k]} = {show(op.args[1 - k]).text} is {which}"
            if isinstance(operands[1 - k], str)
            else f": {operands[1 - k]} is {which}"
        )
    return ""


def _where(operand: Any, v: Any) -> str:
    return f" at {operand} = {show(v).text}" if v.__class__ is not Type and isinstance(operand, str) else ""


def _shown(v: Any) -> str:
    return show(dense(v)).text


def _any(v: Any) -> bool:
    return v is not None and v is not LOST and bool(np.any(entries(v) != 0))


def _at_entry(v: Any, entry: tuple[int, ...] | None, shape: tuple[int, ...]) -> Any:
    """The entry that is asked about, of values of the leaf's shape."""
    if v is None or v is LOST or entry is None or not entry:
        return v
    a = entries(v)
    return a[entry] if a.shape == shape else a


def _decades(flow: Flow, end: Node) -> int | None:
    """log10 of the product of all local derivatives below the result, for a chain of numbers; else None."""
    total = 0.0
    for n in flow.order():
        if n.p is None:
            continue
        op = operation(n)
        ways = [k for k, q in enumerate(op.parents) if flow.is_live(q)]
        local = flow.local(n, ways[0]) if len(ways) == 1 else None
        if local is None or local is LOST or np.size(entries(local)) != 1 or not _any(local):
            return None
        total += math.log10(abs(float(entries(local).reshape(-1)[0])))
    return round(total)


# --- nearly zero, and zero in some entries ---------------------------------------------------------------

_TINY = 1e-6  # a local derivative below this lets almost nothing pass


def saturated_steps(flow: Flow, leaf: Node, cts: dict[Node, Any], names: Any) -> Iterator[tuple[str, Source]]:
    """Steps that squash: all of whose local derivatives are tiny."""
    for n in flow.way_from(leaf):
        if (n.p.name not in _SATURATES and n.reading is None) or n not in cts:
            continue
        op = operation(n)
        if op.p.name not in _SATURATES:
            continue
        for k, q in enumerate(op.parents):
            local = flow.local(n, k) if flow.is_live(q) else None
            if local is None or local is LOST or not np.all(np.abs(entries(local)) < _TINY):
                continue
            operand = names(q, op.args[k])
            yield (
                f"{written(op, names)} is saturated{_where(operand, op.args[k])}: its slope is {_shown(local)}.",
                n.source,
            )


def empty_entries(flow: Flow, leaf: Node, value: Any, names: Any, name: str) -> Iterator[str]:
    """For a gradient that is 0 in some entries only: the steps that let nothing through there."""
    a = entries(value)
    if a.ndim == 0 or not (a == 0).any() or not (a != 0).any():
        return
    for n in flow.way_from(leaf):
        op = operation(n)
        for k, q in enumerate(op.parents):
            asked = flow.is_live(q) and (op.p.selects or op.p.name in _CHOOSES) and op.p.name != "index"
            local = _passes(flow, n, op, k) if asked else None
            if local is None or local is LOST or entries(local).shape != a.shape:
                continue
            dead = (entries(local) == 0) & (a == 0)
            if dead.any():
                places = _places(dead)
                operand = names(q, op.args[k])
                if op.p.name == "index_update":
                    verb = f"put another value in place of {operand}"
                else:
                    verb = f"did not take {operand}" if op.p.name in _CHOOSES else "is flat"
                yield f"  {name}.grad is 0 at {places}: {written(op, names)} {verb} there."


def _passes(flow: Flow, n: Node, op: Operation, k: int) -> Any:
    """The local derivative; of an assignment to entries, what passes to the old ones."""
    if op.p.name != "index_update" or k != 0:
        return flow.local(n, k)
    pulled = [c for q, c in flow.pull(n, ones_like(op.out)) if q is op.parents[0]]
    return dense(pulled[0]) if pulled and pulled[0] is not LOST else None


def readings(flow: Flow, leaf: Node, names: Any) -> Iterator[str]:
    """Composites on the way that were differentiated as one function."""
    for n in flow.way_from(leaf):
        if n.reading is not None:
            op = operation(n)
            function = written(op, names)
            yield (
                f"{_as_written(n, names)} is read as {function} ({n.source.place}), and has the slope of that "
                f"function; write {function} to get its value as well"
            )


__all__ = ["FIX", "KINK_TESTS", "Zero", "at_kink", "empty_entries", "kinks_on_the_way", "readings",
           "saturated_steps", "why_zero", "written"]  # fmt: skip
