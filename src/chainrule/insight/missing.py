"""Why there is no gradient: constants, names that moved on, cuts, backward calls that did not happen."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from chainrule.eager.backward import RETAINED, check_overwritten
from chainrule.errors import OverwrittenError
from chainrule.insight import routes, stops, updates
from chainrule.insight.answer import Answer
from chainrule.insight.flow import LOST, Flow, value_at
from chainrule.insight.history import history_note
from chainrule.insight.nonfinite import first_overflow
from chainrule.insight.question import Question
from chainrule.insight.shapes import squares
from chainrule.insight.shown import literal, show
from chainrule.insight.trace import operand_names, trace
from chainrule.insight.zeros import readings
from chainrule.ir.types import Type, type_of
from chainrule.tape.cuts import cuts_of, origin_of
from chainrule.tape.node import Leaf, Node, ancestors, lost_parent
from chainrule.tape.numbers import dense


def missing(q: Question) -> Answer:
    """The answer for a leaf that requires a gradient and has none."""
    if q.results:
        return _not_reached(q)
    q.look_inside()
    cuts = stops.cuts_below(q.n, [], q.lost_ways, q)
    if cuts is not None:
        return _cut(q, cuts)
    return _unused(q)


def _not_reached(q: Question) -> Answer:
    """A result depends on the leaf, and yet it has no gradient."""
    name, root = q.name, q.results[0]
    out, flow = q.result_name(root), q.flow_of(root)
    call = f"{out}.backward()" if type_of(root.out).size == 1 else f"{out}.sum().backward()"
    if q.latest not in q.results:
        cuts = stops.cuts_below(q.n, flow.way_from(q.n), q.lost_ways, q)
        if cuts is not None:
            return _cut(q, cuts)
    way = flow.way_from(q.n)
    ct = flow.cotangents().get(q.n)
    would = "" if ct is None or ct is LOST else f" {q.d_of(root)}/d{name} = {show(dense(ct)).text}."
    if stops.passed_through(way) or stops.has_given(flow, root):
        lines = [f"None because {name}.grad was cleared after the backward of {out} (zero_grad does that), "
                 f"or left out by backward(inputs=…).{would}"]  # fmt: skip
        return q.say(
            "cleared",
            lines,
            place=stops.freed_at(way),
            fix=f"To get it again: compute {out} anew and call {call}.",
        )
    try:
        check_overwritten([m for m in flow.order() if m.p is not None])
    except OverwrittenError as err:
        lines = [f"None because a backward from {out} is refused: {err.what}.",
                 *(f"  {part.strip()}" for part in (err.given or "").split("; "))]  # fmt: skip
        return q.say("overwritten", lines, place=stops.change_at(flow), fix=err.fix or "")
    freed = next((m for m in flow.order() if stops.is_freed(m)), None)
    if freed is not None:
        lines = [f"None because a backward from {out} is not possible any more: {freed.name} at {freed.source}",
                 f"  was freed by the backward at {freed.pull.source}.{would}"]  # type: ignore[union-attr]  # fmt: skip
        fix = "Call that backward with retain_graph=True, or compute the shared part again."
        return q.say("freed", lines, place=freed.pull.source, fix=fix)  # type: ignore[union-attr]
    lines = [f"None because no backward has reached {name} yet: {out} depends on it, "
             f"but backward() was not called.{would}"]  # fmt: skip
    return q.say("unreached", lines, place=root.source, fix=f"To get it: {call}")


def _cut(q: Question, cuts: stops.Cuts) -> Answer:
    lines = [f"None because {q.name} left the graph before a result was computed:", *cuts.lines]
    return q.say("cut", lines, place=cuts.source, fix=cuts.fix)


def _unused(q: Question) -> Answer:
    name, n = q.name, q.n
    if q.latest is None:
        lines = [
            f"None because nothing in reach was computed with {name}. Not the same as 0: nothing was added to it."
        ]
    else:
        out = q.result_name(q.latest)
        lines = [f"None because {out} was computed without {name} (no route from {name} to {out}). "
                 "Not the same as 0: nothing was added to it."]  # fmt: skip
        earlier = stops.leaf_called(name, q.latest, q.variables)
        if earlier is not None:
            lines.append(
                f"  {out} was computed from another tensor that was called {name}, made at {earlier.source}"
            )
            lines.append(f"  The name {name} was given to a new tensor at {n.source}")
            return q.say("renamed", lines, place=n.source,
                         fix=f"Use another name for the new tensor, or compute {out} again from it.")  # fmt: skip
    lines.append(f"  {name} was made at {n.source}")
    for m in q.untracked:
        if lost_parent(m):
            lines.append(
                f"  {q.result_name(m)} ({m.source.place}) carries no gradient: if it was meant to use {name}, "
                f"ask why({q.result_name(m)})."
            )
    return q.say("unused", lines, place=n.source, fix=f"To get a gradient: use {name} in the computation.")


# --- constants -------------------------------------------------------------------------------------------


def constant(q: Question) -> Answer:
    """The answer for a leaf that does not require a gradient."""
    n, name = q.n, q.name
    t = type_of(n.out)
    if t.dtype.kind not in "fc":
        lines = [
            f"None because {name} holds {t.dtype} numbers: whole numbers and truth values have no small changes."
        ]
        return q.say(
            "integer", lines, place=n.source, fix=f"To get a gradient, make it floating point: {_again(n)}"
        )
    origin = origin_of(n) if isinstance(n, Leaf) else None
    if origin is not None:
        lines = [f"None because {name} was made from the numbers of other tensors by {origin.how}: "
                 "the graph ends there.",
                 f"  {origin.source}"]  # fmt: skip
        return q.say("cut", lines, place=origin.source, fix=stops.way_out(origin.how))
    out = q.result_name(q.results[0]) if q.results else "a result"
    frozen = next((c for c in cuts_of(n) if c.how == "requires_grad"), None)
    if frozen is not None:
        lines = [f"None because {name} was told not to require a gradient, at {frozen.source}"]
        source, fix = frozen.source, f"To get it: {name}.requires_grad_() before {out} is computed."
    else:
        lines = [f"None because {name} was made without requires_grad=True, "
                 f"so {out} was never asked how it depends on {name}.",
                 f"  {name} was made at {n.source}"]  # fmt: skip
        source, fix = n.source, f"To get it: {_again(n)}"
    ways = _would_have_been(q)
    return q.say("constant", [*lines, *([f"  {ways}"] if ways else [])], place=source, fix=fix)


def _would_have_been(q: Question) -> str:
    for root in q.results[:2]:
        tree = trace(root, q.variables, also=(q.n,))
        g = next((g for g in tree.leaves if g.id == q.n.serial), None)
        if g is not None and g.gradient is not None:
            text = f"d{tree.output}/d{q.name}"
            if len(g.routes) == 1:
                return f"Would have been: {text} = {routes.contribution(g.routes[0])}."
            return f"Would have been: {text} = {g.gradient.text}."
    return ""


def _again(n: Node) -> str:
    """The call that makes a constant a leaf that gets a gradient."""
    v = n.out
    if v.__class__ is not Type and type_of(v).dtype.kind not in "fc":
        v = np.asarray(v, float)
    return literal(show(v), ", requires_grad=True")


# --- computed tensors --------------------------------------------------------------------------------------


def computed(q: Question) -> Answer:
    """The answer for a tensor that was computed and is tracked."""
    n, name = q.n, q.name
    if n in RETAINED and RETAINED[n] is not None:
        kept = RETAINED[n].v
        line = f"{name}.grad = {show(kept).text} was kept because retain_grad() was called on {name}{_how_made(q)}."
        return q.say("retained", [line], value=kept, place=n.source)
    earlier = stops.leaf_renamed(n, name, q.variables)
    if earlier is not None:
        return _renamed(q, earlier)
    if not q.results:
        return _result(q)
    root = q.results[0]
    flow = q.flow_of(root)
    ct = flow.cotangents().get(n)
    lines = [
        f"None because {name} is not a leaf: it was computed{_how_made(q)}. Gradients are stored in leaves only."
    ]
    flowed = None
    if ct is not None and ct is not LOST:
        flowed = show(dense(ct))
        lines.append(
            f"  It is NOT a constant: d{q.result_name(root)}/d{name} = {flowed.text} flowed through it."
        )
    lines += _delivered(q, root, flow)
    fix = f"To keep it: {name}.retain_grad() before backward()."
    return q.say(
        "intermediate", lines, place=n.source, fix=fix, flowed=None if flowed is None else flowed.to_json()
    )


def _renamed(q: Question, earlier: Node) -> Answer:
    n, name = q.n, q.name
    grad = earlier.grad if isinstance(earlier, Leaf) else None
    held = "and no gradient" if grad is None else f"and grad {show(grad.v).text}"
    v = value_at(earlier, n.serial)
    lines = [f"None because {name} now names the result of {n.scope or n.name}, computed at {n.source}",
             f"  The tensor that you created, with value {show(v).text} {held}, lost its name at that line;",
             f"  it was made at {earlier.source}, and backward() stores in it, not in {name}."]  # fmt: skip
    lost = updates.replaced(n, name)
    lines += [f"  {lost[0]}"] if lost else []
    if n.p.name == "cast":
        more = f", dtype={type_of(n.out).dtype}, requires_grad=True"
        fix = f"Make it in that dtype at once: {literal(show(v), more)}."
    else:
        fix = f"Give the result another name; to update a parameter: with no_grad(): {name} -= …"
    return q.say("renamed", lines, place=n.source, fix=fix)


def _result(q: Question) -> Answer:
    """A tensor that nothing in reach was computed from."""
    n, name = q.n, q.name
    flow = q.flow_of(n)
    names = operand_names(flow.root, q.variables, flow)
    value = show(value_at(n, n.serial))
    line = (
        f"{name} = {value.text} is a result{_how_made(q)}: backward begins at it, and stores gradients in the leaves, "
        f"not in {name}."
    )
    bad = (
        None
        if n.out.__class__ is Type or np.isfinite(np.asarray(n.out)).all()
        else first_overflow(flow, names)
    )
    lines = [line, *(f"  {s}." for s in (*readings_below(flow, names), *squares(flow.order(), names)))]
    if bad is not None:
        reason = "nan" if np.isnan(np.asarray(n.out)).any() else "infinite"
        return q.say(
            reason, [*lines, "  First bad step going forward:", *bad.lines], place=bad.source, fix=bad.fix
        )
    lines += _delivered(q, n, flow)
    leaves = [m for m in flow.order() if m.p is None]
    read = ", ".join(f"{q.variables.by_node[m]}.grad" for m in leaves[::-1] if m in q.variables.by_node)
    done = any(isinstance(m, Leaf) and m.grad is not None for m in leaves)
    call = f"{name}.backward()" if type_of(n.out).size == 1 else f"{name}.sum().backward()"
    fix = f"Read {read or 'the .grad of its leaves'}" + ("." if done else f" after {call}.")
    return q.say("result", lines, place=n.source, fix=fix)


def readings_below(flow: Flow, names: object) -> Iterator[str]:
    """Composites anywhere below a result that were differentiated as one function."""
    leaves = [m for m in flow.order() if m.p is None]
    return iter(dict.fromkeys(s for leaf in leaves[:4] for s in readings(flow, leaf, names)))


def _how_made(q: Question) -> str:
    tree = q.own_tree
    step = next((s for s in tree.steps if s.id == q.flow_of(q.n).root.serial), None)
    return "" if step is None or step.formula is None else f" ({q.name} = {step.formula.text})"


def _delivered(q: Question, root: Node, flow: Flow) -> Iterator[str]:
    """To which leaves the gradient of a computed value was passed on."""
    cts = flow.cotangents()
    below = q.own_tree
    of_root = q.name if root is q.n else q.result_name(root)
    of_root = of_root if type_of(root.out).size == 1 else f"(Σ{of_root})"
    for leaf in (m for m in ancestors(q.n) if m.p is None and m.pull is not None):
        g = next((g for g in below.leaves if g.id == leaf.serial), None)
        ct = cts.get(leaf)
        if g is None or ct is None:
            continue
        text = "?" if ct is LOST else show(dense(ct)).text
        if g.named:
            line = f"d{of_root}/d{g.name} = {text}"
            yield (
                f"  {line}"
                if root is q.n
                else f"  It was passed on to the leaf {g.name}: {line}; read {g.name}.grad."
            )
            continue
        yield (f"  It was delivered to {g.name}, the unnamed {literal(g.value)} that no variable holds: "
               f"d{of_root}/d{g.name} = {text}.")  # fmt: skip
        yield f"    {g.place}"
        made = literal(g.value, ", requires_grad=True")
        yield f"  Usual fix, give the leaf a name: {g.name} = {made}, then use {g.name}."


# --- computed, and not tracked -----------------------------------------------------------------------------


def untracked(q: Question) -> Answer:
    """The answer for a tensor that was computed and carries no gradient."""
    n, name = q.n, q.name
    dtype = type_of(n.out).dtype
    if dtype.kind not in "fc":
        what = (
            "an index, which is no number that varies"
            if n.name.startswith("arg")
            else f"{dtype} values, which have no small changes"
        )
        lines = [
            f"None because {name} holds {dtype} numbers: {n.scope or n.name} gives {what}, at {n.source}"
        ]
        fix = stops.FIX_FOR_STEPS.get(n.scope or n.name, "Use a smooth function in its place.")
        return q.say("integer", lines, place=n.source, fix=fix)
    stop = stops.where_it_stops(n)
    if stop is not None and stop.kind == "mode" and stops.takes_its_own_name(n, name):
        return _replaced(q)
    if stop is not None:
        lines = [f"None because {name} does not carry a gradient: {stop.line}"]
        return q.say("cut", lines, place=stop.source, fix=stop.fix)
    for leaf in (m for m in ancestors(n) if isinstance(m, Leaf)):
        origin = origin_of(leaf)
        if origin is not None:
            lines = [f"None because {name} was computed from numbers that left their graph by {origin.how}:",
                     f"  {origin.source}"]  # fmt: skip
            return q.say("cut", lines, place=origin.source, fix=stops.way_out(origin.how))
    lines = [f"None because nothing that {name} was computed from requires a gradient ({n.source.place}).",
             *(f"  {line}" for line in history_note(n))]  # fmt: skip
    return q.say(
        "untracked", lines, place=n.source, fix="To get one: make the input with requires_grad=True."
    )


def _replaced(q: Question) -> Answer:
    """`with no_grad(): w = w - lr * w.grad`."""
    n, name = q.n, q.name
    lines = [f"None because {name} was replaced by a constant, at {n.source}",
             f"  {n.scope or n.name} ran inside no_grad() and made a new tensor, which requires no gradient; "
             f"it took the name {name}."]  # fmt: skip
    lost = updates.replaced(n, name)
    lines += [f"  {lost[0]}"] if lost else []
    fix = f"Change the tensor that is there: {name} -= … inside no_grad(), which keeps it a leaf."
    return q.say("renamed", lines, place=n.source, fix=fix)


__all__ = ["computed", "constant", "missing", "untracked"]
