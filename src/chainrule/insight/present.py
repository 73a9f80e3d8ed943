"""Why a gradient that is there has its value."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from chainrule.eager.backward import HOOKS
from chainrule.insight import stops, updates
from chainrule.insight.answer import Answer
from chainrule.insight.flow import LOST, value_at
from chainrule.insight.nonfinite import (
    Finding,
    entries,
    first_bad_slope,
    first_bad_value,
    first_infinite_slope,
    first_overflow,
    has_nan,
)
from chainrule.insight.question import Question, Walked
from chainrule.insight.routes import check_of, check_text, jacobian_rows, routes_text, same
from chainrule.insight.shapes import squares
from chainrule.insight.shown import Shown, factor, number, place, show
from chainrule.insight.trace import Trace, changed_since, operand_names
from chainrule.insight.zeros import (
    FIX,
    empty_entries,
    kinks_on_the_way,
    readings,
    saturated_steps,
    why_zero,
)
from chainrule.ir.types import type_of
from chainrule.source import Source
from chainrule.tape.numbers import dense

_CLEAR = "Gradients add up until they are cleared: write {}.grad = None before each backward()."


def present(q: Question, grad: Any) -> Answer:
    """The answer for a leaf that has a gradient (a Tensor)."""
    value = dense(grad.v)
    walks = q.walks()
    if has_nan(value):
        return _nan(q, value, walks)
    if not np.isfinite(np.asarray(value)).all():
        return _infinite(q, value, walks)
    numbers = [c[1] for c in q.contributions]
    if len(numbers) > 1:
        return _accumulated(q, value, walks)
    fits = next((w for w in walks if any(same(w.cts.get(q.n), v) for v in (value, *numbers[-1:]))), None)
    if fits is None or not q.contributions:
        return _changed(q, grad, value, walks, fits)
    return _explained(q, value, fits)


def _place(q: Question) -> Source | None:
    """The line of the backward that stored the gradient."""
    call = q.last_call
    return None if call is None else call.source


def _head(q: Question, value: Any, w: Walked) -> str:
    at = value_at(q.n, w.root.serial, q.variables.values)
    out, name = q.result_name(w.root), q.name
    if q.entry and np.ndim(value) == len(q.entry):
        i = place(q.entry)
        at_entry = (
            "" if np.ndim(at) != len(q.entry) else f" at {name}{i} = {number(np.asarray(at)[q.entry].item())}"
        )
        return f"d{out}/d{name}{i} = {number(np.asarray(value)[q.entry].item())}{at_entry}"
    return f"d{out}/d{name} = {show(value).text} at {name} = {show(at).text}"


def _explained(q: Question, value: Any, w: Walked) -> Answer:
    """A gradient that one backward of a result in reach has stored."""
    if w.root == q.n:
        head = f"{q.name}.grad = {show(value).text} because backward was called on {q.name} itself"
        lines = [f"{head}: d{q.name}/d{q.name} = 1."]
        fix = f"Call it on the result that was computed from {q.name}: L.backward()."
        return q.say("itself", lines, value=value, place=_place(q), fix=fix)
    names = operand_names(w.root, q.variables, w.flow)
    if type_of(w.root.out).size > 1:
        return _summed(q, value, w)
    head = _head(q, value, w)
    focus = value if not q.entry or np.ndim(value) != len(q.entry) else np.asarray(value)[q.entry]
    kinks = dict(kinks_on_the_way(w.flow, q.n, w.cts, names))
    if kinks:
        close = "  Subgradients are chosen step by step; a sum of chosen ones need not be one."
        fix = "Nothing is broken; move the point off the kink to get a derivative."
        return q.say("kink", [head + ", at a kink", *(f"  {s}" for s in kinks), close], value=value,
                     place=next(iter(kinks.values())), fix=fix)  # fmt: skip
    if not np.any(np.asarray(focus) != 0):
        return _zero(q, value, w, head, names)
    squashed = dict(saturated_steps(w.flow, q.n, w.cts, names))
    if squashed and np.all(np.abs(entries(focus)) < 1e-6):
        return q.say("saturated", [head, *(f"  {s}" for s in squashed)], value=value,
                     place=next(iter(squashed.values())), fix=FIX["saturated"])  # fmt: skip
    body = [*_routes(q, w), *empty_entries(w.flow, q.n, value, names, q.name)]
    body += [f"  {s}." for s in (*readings(w.flow, q.n, names), *squares(w.flow.way_from(q.n), names))]
    found = updates.lost_update(q)
    if found is not None:
        line, source = found
        return q.say("lost_update", [head, *body, f"  {line}"], value=value, place=source, fix=updates.FIX)
    body += [*_cut(q), *_afterwards(q, w)]
    return q.say("gradient", [head, *body], value=value, place=_place(q), check=_json(_check(q, w)))


def _cut(q: Question) -> list[str]:
    """The first place where the number of the leaf went on without its history: gradient and check do not know it."""
    cut = next((c for c in q.cuts_of(q.n) if c.how in ("detach", "item", "float", "tensor")), None)
    if cut is None:
        return []
    return [
        f"  {q.name} also left the graph by {cut.how} at {cut.source}:",
        "  what was computed from that number counts as constant here, in the check too.",
    ]


def _afterwards(q: Question, w: Walked) -> list[str]:
    changed = changed_since(q.n, w.root)
    if changed is None:
        return []
    return [
        f"  {q.name} was changed in place afterwards ({changed.place}): the gradient is that of its value before.",
        f"  {q.name}.grad is still there: the next backward() adds to it, unless it is cleared.",
    ]


def _check(q: Question, w: Walked) -> Any:
    return (
        None if q.last_call is not None and q.last_call.weights is not None else check_of(w.root, q.n, w.flow)
    )


def _routes(q: Question, w: Walked) -> list[str]:
    tree = q.tree_of(w.root)
    g = next((g for g in tree.leaves if g.id == q.n.serial), None)
    check = _check(q, w)
    if g is not None and g.routes and g.gradient is not None:
        return routes_text(tree, g, check, q.entry)
    return _way(q, tree, check)


def _way(q: Question, tree: Trace, check: Any) -> list[str]:
    way = stops.steps_between(tree, q.n.serial)
    lines = [f"  {q.name} reaches {tree.output} through {', '.join(way)}"] if way else []
    tail = check_text(check)
    return lines + ([f"  {tail}"] if tail else [])


def _zero(q: Question, value: Any, w: Walked, head: str, names: Any) -> Answer:
    zero = why_zero(w.flow, q.n, w.cts, names, q.entry)
    if zero is None:
        return q.say("gradient", [head, *_routes(q, w)], value=value, place=_place(q))
    lines = [f"  {line}" for line, _ in zero.lines]
    if zero.reason == "cancelled":
        tree = q.tree_of(w.root)
        g = next((g for g in tree.leaves if g.id == q.n.serial), None)
        routes = routes_text(tree, g, _check(q, w)) if g is not None and len(g.routes) > 1 else []
        lines = ["  0 because the contributions of its routes cancel:", *routes] if routes else lines
    return q.say(zero.reason, [head, *lines], value=value, place=zero.lines[0][1], fix=zero.fix)


# --- sums ------------------------------------------------------------------------------------------------


def _summed(q: Question, value: Any, w: Walked) -> Answer:
    """backward of several outputs: their sum, or a weighted one, with the Jacobian behind it."""
    size, out, call = type_of(w.root.out).size, q.result_name(w.root), q.last_call
    weights = None if call is None or call.root() != w.root else call.weights
    even = weights is None or bool(np.all(np.asarray(weights) == 1))
    rows = jacobian_rows(w.root, q.n, w.flow)
    kind = "a SUM" if even else "a WEIGHTED SUM"
    lines = [
        f"{q.name}.grad = {show(value).text} is {kind} of {size} sensitivities, one for each entry of {out}."
    ]
    if not even:
        lines.append(
            f"  The weights are {show(weights).text}, given to backward(…): v[0]·row 0 + v[1]·row 1 + …"
        )
    if rows is not None:
        lines = _jacobian_lines(q, lines, rows, show(value), out, even)
    zeros = ", ".join("0" * len(type_of(w.root.out).shape))
    fix = f"Each one: chainrule.jacobian({out}, {q.name}).  One of them: {out}[{zeros}].backward()."
    return q.say("sum" if even else "weighted", lines, value=value, place=_place(q), fix=fix, jacobian=rows)


def _jacobian_lines(
    q: Question, lines: list[str], rows: list[list[float]], value: Shown, out: str, even: bool
) -> list[str]:
    size, width = len(rows), max(len(number(v)) for row in rows for v in row)
    if len(rows[0]) == 1 and even:
        parts = " + ".join(f"d{out}[{i}]/d{q.name}" for i in range(size))
        lines[0] = (f"{q.name}.grad = {value.text} is a SUM of {size} sensitivities: "
                    f"{parts} = {' + '.join(factor(r[0]) for r in rows)}")  # fmt: skip
    inputs = "1 input" if len(rows[0]) == 1 else f"{len(rows[0])} inputs"
    lines.append(f"  Summing loses them. The Jacobian ({size} outputs × {inputs}), row by row:")
    lines += [
        f"    {out}[{i}] [ {'  '.join(f'{number(v):>{width}}' for v in r)} ]" for i, r in enumerate(rows)
    ]
    return lines


def _accumulated(q: Question, value: Any, walks: list[Walked]) -> Answer:
    contributions, calls = q.contributions, getattr(q.n, "calls", 0)
    parts = [v for _, v, *_ in contributions]
    text = show(value).text
    if len(parts) == calls and all(isinstance(v, int | float) for v in parts):
        text += f" = {' + '.join(factor(v) for v in parts)}"
    lines = [f"{q.name}.grad = {text}: {calls} backward calls added to it."]
    lines += _listed(contributions, calls - len(contributions))
    latest = next((w for w in walks if same(w.cts.get(q.n), parts[-1])), None)
    if latest is not None:
        lines.append(f"  The latest result alone gives d{q.result_name(latest.root)}/d{q.name} = "
                     f"{show(dense(latest.cts[q.n])).text}.")  # fmt: skip
    data = [
        {"place": s.place, "number": None if v is None else show(v).to_json()} for s, v, *_ in contributions
    ]
    return q.say(
        "accumulated", lines, value=value, place=_place(q), fix=_CLEAR.format(q.name), contributions=data
    )


def _listed(contributions: list[Any], more: int) -> list[str]:
    """A line for each contribution; many equal ones in a row are one line."""
    rows = [f"  + {'an array' if v is None else show(v).text}   {source}" for source, v, *_ in contributions]
    if more:
        rows.insert(-1, f"  … and {more} more")
    found: list[str] = []
    for row, same_rows in itertools.groupby(rows):
        times = len(list(same_rows))
        found += [row] * times if times < 4 else [f"{row}   ({times} times)"]
    return found


# --- not what backward gives -----------------------------------------------------------------------------


def _changed(q: Question, grad: Any, value: Any, walks: list[Walked], fits: Walked | None) -> Answer:
    """A gradient that no result in reach gives: assigned, changed by a hook, or its result is gone."""
    head = f"{q.name}.grad = {show(value).text}"
    if not q.contributions:
        mark = getattr(grad.n, "overwritten", None)
        by = (grad.n.params or {}).get("compiled")
        if by is not None and mark is None:
            line = f"  A backward inside of the compiled function {by} stored it, at {grad.n.source}"
            return q.say("gradient", [head, line], value=value, place=grad.n.source)
        where = grad.n.source if mark is None else mark[1]
        zero = not np.any(np.asarray(value) != 0)
        what = "was assigned" if mark is None else "was set to 0 in place" if zero else "was changed in place"
        tail = "" if fits is None else f" d{q.result_name(fits.root)}/d{q.name} is the same number."
        line = f"  It {what}, at {where}: no backward() stored it.{tail}"
        fix = f"Call backward() to store a gradient; {q.name}.grad = None clears it."
        return q.say("by_hand", [head, line], value=value, place=where, fix=fix)
    source, v, *_ = q.contributions[-1]
    hooked = next((w for w in walks if any(m in HOOKS for m in w.flow.order())), None)
    stored = [f"  {'stored' if v is None else show(v).text + ', added'} by {source}"]
    if hooked is not None and hooked.cts.get(q.n) is not None:
        without = show(dense(hooked.cts[q.n])).text
        line = f"  A hook changed it on the way: without hooks d{q.result_name(hooked.root)}/d{q.name} = {without}."
        return q.say("hook", [head, *stored, line], value=value, place=source,
                     fix="Take the hook away with handle.remove() to get the plain gradient.")  # fmt: skip
    if walks and v is not None and not same(np.asarray(v), value):
        line = "  It was changed after backward() had stored it."
        fix = f"Read {q.name}.grad before it is changed, or keep a copy: g = {q.name}.grad.clone()."
        return q.say("by_hand", [head, *stored, line], value=value, place=source, fix=fix)
    fix = "Keep the result in a variable (L = …; L.backward()) and ask again."
    if any(w.cts.get(q.n) is LOST for w in walks):
        lines = [head, *stored, "  backward() freed the arrays over 4 kB that would tell how it came about."]
        fix = "Ask before backward(), or use backward(retain_graph=True)."
        return q.say("forgotten", lines, value=value, place=source, fix=fix)
    if walks:
        lines = [
            head,
            *stored,
            "  No result in reach gives this number: the result that it came from is gone.",
        ]
        return q.say("forgotten", lines, value=value, place=source, fix=fix)
    return q.say(
        "forgotten", [head, *stored, "  The result it came from is gone."], value=value, place=source, fix=fix
    )


# --- NaN and infinity --------------------------------------------------------------------------------------


def _nan(q: Question, value: Any, walks: list[Walked]) -> Answer:
    a = np.asarray(value)
    at = place(tuple(int(i) for i in np.argwhere(np.isnan(a))[0]))
    count = int(np.isnan(a).sum())
    more = f" and {count - 1} more of {a.size} entries" if count > 1 else ""
    head = f"NaN in {q.name}.grad{at}{more}."
    for w in walks:
        names = operand_names(w.root, q.variables, w.flow)
        before, slope = first_bad_value(w.flow, names), first_bad_slope(w.flow, w.cts, names)
        found: list[Finding] = [f for f in (before, slope) if f is not None]
        began = None if before is None else first_overflow(w.flow, names, poles=False)
        if began is not None and before is not None and began.step != before.step:
            lines = [head, *before.lines, "It began earlier, with a value that is not finite:", *began.lines]
            return q.say("nan", lines, value=value, place=began.source, fix=began.fix)
        if found:
            lines = [line for f in found for line in f.lines]
            return q.say("nan", [head, *lines], value=value, place=found[0].source, fix=found[-1].fix)
    lines = [head, "The result it came from is gone, or its arrays were freed."]
    return q.say("nan", lines, value=value, place=_place(q),
                 fix="Keep the result in a variable and ask before backward(), or use retain_graph=True.")  # fmt: skip


def _infinite(q: Question, value: Any, walks: list[Walked]) -> Answer:
    lines = [f"{q.name}.grad = {show(value).text} is infinite: the slope grows without bound there."]
    where, fix = _place(q), "Keep the input away from that point."
    for w in walks:
        names = operand_names(w.root, q.variables, w.flow)
        found = first_infinite_slope(w.flow, w.cts, names) or first_overflow(w.flow, names)
        if found:
            lines += found.lines
            where, fix = found.source, found.fix
            break
    return q.say("infinite", lines, value=value, place=where, fix=fix)


def _json(check: Any) -> Any:
    return None if check is None else np.asarray(check).tolist()


__all__ = ["present"]
