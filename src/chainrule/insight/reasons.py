"""Why a gradient that is there has its value: routes that add up, sums, kinks, zeros, the first NaN."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from chainrule.insight.flow import LOST, Flow, Operation, central_difference, lift, operation
from chainrule.insight.notation import step_formula
from chainrule.insight.shown import factor, number, place, show
from chainrule.insight.trace import Given, Local, Route, Trace
from chainrule.ir.types import Type, type_of
from chainrule.tape.node import Node, serial_of
from chainrule.tape.numbers import dense


class Finding(NamedTuple):
    """A reason with its sentences."""

    reason: str
    lines: list[str]


def _entries(v: Any) -> np.ndarray:
    return np.asarray(dense(v))


def has_nan(v: Any) -> bool:
    """Whether there is a NaN in a number or an array that was kept."""
    return v is not None and v is not LOST and v.__class__ is not Type and bool(np.isnan(_entries(v)).any())


# --- NaN and infinity ---------------------------------------------------------------------------------

ADVICE = {
    "log": "Keep its input above 0. Use cr.xlogy(x, x) for x·log(x), or choose with "
    "where(x > 0, cr.log(x), 0): "
    "a route that is not taken contributes nothing.",
    "sqrt": "Keep its input above 0, or choose with where(x > 0, cr.sqrt(x), 0).",
    "div": "Keep the denominator away from 0, or choose with where(y != 0, x / y, 0).",
    "pow": "Keep the base above 0.",
}
_OTHER_ADVICE = "Keep the inputs of this step inside the function's domain."


def first_bad_value(flow: Flow, names: Callable[[Node | None, Any], Any]) -> Finding | None:
    """The first step, going forward, whose value is NaN although its inputs are not."""
    for n in sorted(flow.order(), key=serial_of):
        if n.p is None or not has_nan(n.out) or any(has_nan(v) for v in n.args):
            continue
        at = tuple(int(i) for i in np.argwhere(np.isnan(_entries(n.out)))[0])
        inputs = ", ".join(f"{names(q, v)}{place(at)} = {number(_at(v, at))}"
                           for q, v in zip(n.parents, n.args, strict=True)
                           if isinstance(names(q, v), str) and _at(v, at) is not None)  # fmt: skip
        formula = step_formula(
            n.p, [names(q, v) for q, v in zip(n.parents, n.args, strict=True)], n.params or {}
        )
        lines = [
            f"The value is NaN already, before any derivative. First bad step going forward, at {n.source}:"
        ]
        lines.append(f"  {formula.text} is nan{', ' + inputs if inputs else ''}")
        return Finding("nan", lines)
    return None


def first_bad_slope(
    flow: Flow, cts: dict[Node, Any], names: Callable[[Node | None, Any], Any]
) -> Finding | None:
    """The first step, going backward, that turns a cotangent without NaN into one with NaN: both factors."""
    for n in flow.order():
        ct = cts.get(n)
        if n.p is None or ct is None or ct is LOST or has_nan(ct):
            continue
        with np.errstate(all="ignore"):
            pulled = [(q, c) for q, c in flow.pull(n, dense(ct)) if has_nan(c) and has_nan(cts.get(q))]
        if pulled:
            return _bad_step(flow, n, pulled[0][0], ct, pulled[0][1], names)
    return None


def _bad_step(flow: Flow, n: Node, q: Node, ct: Any, c: Any, names: Any) -> Finding:
    op = operation(n)
    operands = [names(p, v) for p, v in zip(op.parents, op.args, strict=True)]
    at = tuple(int(i) for i in np.argwhere(np.isnan(_entries(c)))[0])
    k = next(i for i, p in enumerate(op.parents) if p is q)
    values = ", ".join(
        f"{o}{place(at)} = {number(_at(v, at))}" for o, v in zip(operands, op.args, strict=True)
        if isinstance(o, str) and _at(v, at) is not None
    )  # fmt: skip
    local = flow.local(n, k)
    slope, cotangent = _at(local, at), _at(ct, at)
    lines = [f"First bad step going backward, at {n.source}:"]
    what = step_formula(op.p, operands, op.params).text
    if slope is None or cotangent is None:
        lines.append(f"  {what}, {values}: its derivative has no value there")
    else:
        product = f"{factor(cotangent)} · {factor(slope)} = nan"
        lines.append(
            f"  {what}, {values}: cotangent {number(cotangent)}, local derivative {number(slope)}, {product}"
        )
    lines.append(ADVICE.get(op.p.name, _OTHER_ADVICE))
    return Finding("nan", lines)


def first_infinite_slope(flow: Flow, cts: dict[Node, Any], names: Any) -> list[str]:
    """The step that makes a gradient infinite."""
    for n in flow.order():
        ct = cts.get(n)
        if n.p is None or ct is None or ct is LOST or not np.isfinite(_entries(ct)).all():
            continue
        op = operation(n)
        for k, q in enumerate(op.parents):
            c = cts.get(q)
            if c is not None and c is not LOST and np.isinf(_entries(c)).any():
                operands = [names(p, v) for p, v in zip(op.parents, op.args, strict=True)]
                at = tuple(int(i) for i in np.argwhere(np.isinf(_entries(c)))[0])
                slope = _at(flow.local(n, k), at)
                x = _at(op.args[k], at)
                where = "" if x is None else f" at {operands[k]}{place(at)} = {number(x)}"
                tail = "" if slope is None else f": local derivative {number(slope)}"
                return [f"  {step_formula(op.p, operands, op.params).text}{where}{tail}   ({n.source})"]
    return []


def _at(v: Any, at: tuple[int, ...]) -> Any:
    """An entry of a value with as many dimensions (or of a number); None if there is none."""
    if v is None or v is LOST or v.__class__ is Type:
        return None
    a = _entries(v)
    if a.size == 1:
        return a.reshape(-1)[0].item()
    return (
        a[at].item() if a.ndim == len(at) and all(i < m for i, m in zip(at, a.shape, strict=True)) else None
    )


# --- kinks and flat places -----------------------------------------------------------------------------


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
    "at the steps": lambda x, y, out, p: _whole(x),
    "x/y an integer": lambda x, y, out, p: _whole(x / y),
}


def at_kink(op: Operation) -> str | None:
    """The condition of the first kink of the table that a step sits on; None if it sits on none."""
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
            if np.any(test(v, y, lift(op.out), op.params)):
                return condition
    return None


def kinks_on_the_way(flow: Flow, leaf: Node, cts: dict[Node, Any], names: Any) -> Iterator[str]:
    """A sentence for each step between the leaf and the result that sits on a kink."""
    above = {leaf}
    for n in sorted(flow.order(), key=serial_of):
        if n.p is None:
            continue
        if not any(q in above for q in (n.parents if n.reading is None else (n.reading.x.node,))):
            continue
        above.add(n)
        if n.reading is None and not n.p.kinks:
            continue
        op = operation(n)
        condition = at_kink(op) if n in cts else None
        if condition is None:
            continue
        operands = [names(q, v) for q, v in zip(op.parents, op.args, strict=True)]
        what = step_formula(op.p, operands, op.params).text
        if n.reading is not None:
            as_written = step_formula(
                n.p, [names(q, v) for q, v in zip(n.parents, n.args, strict=True)], n.params or {}
            )
            what = f"{as_written.text} is read as {what}; it"
        yield f"{what} has a kink at {condition}: {op.p.kinks[condition]}."


def flat_steps(flow: Flow, leaf: Node, names: Any) -> Iterator[str]:
    """Steps between the leaf and the result whose local derivative is 0."""
    above = {leaf}
    for n in sorted(flow.order(), key=serial_of):
        if n.p is None:
            continue
        op = operation(n)
        found = [k for k, q in enumerate(op.parents) if q in above and flow.is_live(q)]
        if found:
            above.add(n)
        for k in found:
            v = flow.local(n, k)
            if v is None or v is LOST or np.any(_entries(v) != 0):
                continue
            operands = [names(q, v) for q, v in zip(op.parents, op.args, strict=True)]
            others = [o for i, o in enumerate(operands) if i != k]
            if op.p.name == "mul":
                yield f"{step_formula(op.p, operands, op.params).text} multiplies by {others[0]}, which is 0."
            else:
                x = f" at {operands[k]} = {show(op.args[k]).text}" if op.args[k].__class__ is not Type else ""
                yield f"{step_formula(op.p, operands, op.params).text} is flat{x}: its local derivative is 0."


# --- routes that add up ----------------------------------------------------------------------------------


def routes_text(tree: Trace, g: Given, check: Any) -> list[str]:
    """Each route with what it contributes, their sum, and the check beside it."""
    assert g.gradient is not None
    total = g.gradient.text
    if len(g.routes) == 1:
        lines = [f"  {g.name} reaches {tree.output} by one route:"]
    else:
        lines = [f"  {g.name} reaches {tree.output} by {len(g.routes)} routes; their contributions add:"]
    rows = [(_way(tree, r, g.name), _contribution(r), _rule(r)) for r in g.routes]
    widths = [max(len(row[i]) for row in rows) for i in range(2)]
    lines += [f"    {a:{widths[0]}}   {b:{widths[1]}}   {c}".rstrip() for a, b, c in rows]
    if len(rows) > 1:
        lines.append(f"    {'':{widths[0]}}   {'─' * max(5, len(total))}")
    tail = check_text(check)
    if len(rows) > 1:
        lines.append(f"    {'':{widths[0]}}   {total:{widths[1]}}   {tail}".rstrip())
    elif tail:
        lines.append(f"    {tail}")
    return lines


def _way(tree: Trace, r: Route, leaf: str) -> str:
    """w → 4·w → L: each step by its formula, the result by its name."""
    steps = [tree.step(i) for i in reversed(r.ids)]
    inner = [s.name if s.named or s.formula is None else s.formula.text for s in steps[1:-1]]
    return " → ".join([leaf, *inner, tree.output])


def _contribution(r: Route) -> str:
    """The factors that are not 1, in symbols, and the number."""
    factors = [e for e in r.locals if e.value is None or e.value.text != "1"]
    symbols = " · ".join(_bracketed(e, alone=len(factors) == 1) for e in factors)
    text = number(r.product)
    return text if symbols in ("", text) else f"{symbols} = {text}"


def _bracketed(e: Local, *, alone: bool) -> str:
    text = e.formula.text if e.formula is not None else e.value.text if e.value is not None else "?"
    return f"({text})" if not alone and (" " in text or text.startswith("-")) else text


def _rule(r: Route) -> str:
    """The rule behind a contribution, where there is one step that counts."""
    factors = [e for e in r.locals if e.value is None or e.value.text != "1"]
    if len(factors) != 1 or factors[0].formula is None:
        return ""
    e = factors[0]
    if e.value is not None and e.formula is not None and e.formula.text == e.value.text:
        return f"the factor {e.value.text}"
    return e.rule if e.rule in ("power rule", "product rule") else ""


def contribution(r: Route) -> str:
    """The factors of a route that are not 1, and their product."""
    return _contribution(r)


def check_text(check: Any) -> str:
    """What a central difference of the same program gives."""
    if check is None:
        return ""
    return f"check: central difference {_digits(check)}"


def _digits(v: Any) -> str:
    if isinstance(v, float):
        return f"{v:.7f}" if 1e-3 <= abs(v) < 1e6 or v == 0 else f"{v:.7g}"
    return "[" + ", ".join(_digits(float(u)) for u in np.ravel(v)) + "]"


def check_of(root: Node, leaf: Node) -> Any:
    """A central difference, unless it would not be finite or the root has several entries of its own kind."""
    v = central_difference(root, leaf)
    return v if v is not None and np.all(np.isfinite(v)) else None


def same(a: Any, b: Any) -> bool:
    """Whether two gradients agree to rounding."""
    if a is None or b is None or a is LOST or b is LOST:
        return False
    x, y = _entries(a), _entries(b)
    return x.shape == y.shape and bool(np.allclose(x, y, rtol=1e-5, atol=1e-12, equal_nan=True))


def jacobian_rows(root: Node, leaf: Node, flow: Flow) -> list[list[float]] | None:
    """d(root[i])/d(leaf[j]) of a small root and leaf, one reverse walk per row."""
    out, x = type_of(root.out), type_of(leaf.out)
    if not 1 < out.size <= 6 or not 1 <= x.size <= 6:
        return None
    rows = []
    for i in range(out.size):
        seed = np.zeros(out.size, out.dtype)
        seed[i] = 1
        ct = flow.cotangents(seed.reshape(out.shape)).get(leaf, 0.0)
        if ct is LOST:
            return None
        rows.append([float(v) for v in np.broadcast_to(_entries(ct), x.shape).reshape(-1)])
    return rows


__all__ = ["Finding", "check_of", "first_bad_slope", "first_bad_value", "same"]
