"""The explanation tree as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from chainrule.insight.shown import Shown, factor, literal, number, place
from chainrule.insight.trace import Given, Line, Local, Route, Step, Trace

_LINES_SHOWN = 40


class Entry(NamedTuple):
    """One entry of an array that is asked about, and its gradient."""

    index: tuple[int, ...]
    value: Shown | None


def lines(tree: Trace, detail: str, wrt: int | None, entry: Entry | None) -> Iterator[str]:
    """The lines of the text. `wrt` is the id of the leaf or step that is asked about, `entry` an entry of it."""
    if tree.count == 0:
        yield from _leaf_sentences(tree)
        return
    if detail == "full":
        table = list(_line_table(tree) if tree.lines else _step_table(tree, wrt, entry))
        yield from [*table, ""] if table else []
    if tree.tracked:
        yield from _gradients(tree, wrt, entry)
    else:
        yield f"No gradients: nothing that {tree.output} was computed from was made with requires_grad=True."
    last = []
    if tree.unused:
        last.append(f"NOT in this graph: {', '.join(tree.unused)} (no gradient from {tree.output})")
    if tree.constants:
        last.append(f"Constants: {', '.join(tree.constants)}")
    yield from ["      ".join(last)] if last else []
    yield from tree.notes


def _leaf_sentences(tree: Trace) -> Iterator[str]:
    if tree.origin:
        yield from tree.origin
        return
    s = tree.steps[0]
    yield f"{s.name} = {s.value.text} was made, not computed, at {s.place}"
    yield "There is nothing to explain in it; ask explain(L) for a result L that was computed from it."


# --- steps -------------------------------------------------------------------------------------------------


def on_route(tree: Trace, wrt: int | None, entry: Entry | None) -> set[int] | None:
    """Steps on a route from `wrt` (or from an entry of it), or None for all."""
    if wrt is None:
        return None
    reached = {wrt}
    for s in sorted(tree.steps, key=lambda s: s.id):
        other = entry is not None and s.entry is not None and s.entry != entry.index
        if any(e.id in reached for e in s.locals) and not (other and s.locals[0].id == wrt):
            reached.add(s.id)
    return reached


def told_steps(tree: Trace, chosen: set[int] | None) -> list[Step]:
    """The computed steps that are told."""
    return [s for s in tree.steps if s.formula is not None and (chosen is None or s.id in chosen)]


def _step_table(tree: Trace, wrt: int | None, entry: Entry | None) -> Iterator[str]:
    chosen = on_route(tree, wrt, entry)
    rows = [
        (str(k), equation(s), s.value.text, locals_text(s, chosen), feels(tree, s))
        for k, s in enumerate(told_steps(tree, chosen), 1)
    ]
    if not rows:
        return
    of = tree.output if tree.size == 1 else f"the sum of {tree.output}"
    head = ("#", "step", "value", "local derivative", f"d{d_name(tree)}/d(step)")
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(4)]
    left = f"{'FORWARD: what was computed':{sum(widths) + 14}}BACKWARD: how {of} feels it"
    yield left if tree.tracked else "FORWARD: what was computed"
    for row in (head, *rows):
        cells = [f"{row[0]:>{widths[0]}}", f"{row[1]:{widths[1]}}", f"{row[2]:>{widths[2]}}"]
        cells += [f"{row[3]:{widths[3]}}", row[4]] if tree.tracked else []
        yield ("  " + "   ".join(cells)).rstrip()


def d_name(tree: Trace) -> str:
    """What stands after the d: L, or (ΣL) for several entries."""
    return tree.output if tree.size == 1 else f"(Σ{tree.output})"


def equation(s: Step) -> str:
    """`u = w1 + c1`; a step that is its own name, as w[0], just that."""
    assert s.formula is not None
    return s.name if s.formula.text == s.name else f"{s.name} = {s.formula.text}"


def locals_text(s: Step, chosen: set[int] | None) -> str:
    """The local derivatives of a step, in symbols and numbers."""
    if not s.tracked:
        return "(not tracked)"
    if s.note and not s.locals:
        return ""
    texts = [local_text(s.name, e) for e in s.locals if chosen is None or e.id in chosen]
    if s.note and "read as" in s.note:
        texts.append(f"({s.note})")
    return ", ".join(texts)


def local_text(step: str, e: Local) -> str:
    """`∂p/∂u = 2·u = -2`: symbols, then the number unless it is the same."""
    parts = [f"∂{step}/∂{e.operand}"]
    if e.formula is not None:
        parts.append(e.formula.text)
    if e.value is not None and (e.formula is None or e.formula.text != e.value.text):
        parts.append(e.value.text)
    if e.note and e.value is None:
        parts.append(e.note)
    return " = ".join(parts)


def feels(tree: Trace, s: Step) -> str:
    """d(result)/d(step), as the product through the one step that reads it where that is short."""
    if s.cotangent is None:
        return s.note if s.note and s.tracked else "-"
    name = f"d{d_name(tree)}/d{s.name}"
    readers = [(r, e) for r in tree.steps for e in r.locals if e.id == s.id and r.cotangent is not None]
    if len(readers) == 1 and _is_number(s.cotangent) and _is_number(readers[0][0].cotangent):
        reader, e = readers[0]
        if e.formula is not None and e.formula.text != "1" and reader.cotangent is not None:
            sums = " + " in e.formula.text or " - " in e.formula.text
            symbols = f"({e.formula.text})" if sums else e.formula.text
            return f"{name} = {symbols} · {factor(reader.cotangent.scalar)} = {s.cotangent.text}"
    return f"{name} = {s.cotangent.text}"


def _is_number(v: Shown | None) -> bool:
    return v is not None and v.scalar is not None and v.shape == ()


# --- lines and loops -----------------------------------------------------------------------------------------


def _line_table(tree: Trace) -> Iterator[str]:
    yield f"{tree.count} steps on {len(tree.lines)} lines (value and derivative: of the last step of each line)"
    head = ("line", "steps", "value", f"d{d_name(tree)}/d(value)", "code")
    shown = tree.lines[:_LINES_SHOWN]
    inside = {k for loop in tree.loops for k in range(loop.first, loop.last + 1)}
    rows = [_line_row(line, k in inside) for k, line in enumerate(shown)]
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(4)]
    begins = {loop.first: loop for loop in tree.loops}
    yield _row(head, widths)
    for k, row in enumerate(rows):
        if k in begins:
            yield f"  {loop_text(tree, k, begins[k].last)} × {begins[k].times}"
        yield _row(row, widths)
    if len(tree.lines) > _LINES_SHOWN:
        yield f"  … and {len(tree.lines) - _LINES_SHOWN} lines more"


def loop_text(tree: Trace, first: int, last: int) -> str:
    """`train.py, lines 4–6`: the lines of a loop."""
    numbers = [line.number for line in tree.lines[first : last + 1]]
    file = tree.lines[first].place.place.rpartition(":")[0]
    low, high = min(numbers), max(numbers)
    return f"{file}, line {low}" if low == high else f"{file}, lines {low}–{high}"


def _line_row(line: Line, inside: bool) -> tuple[str, str, str, str, str]:
    steps = str(line.steps // line.times if line.times > 1 else line.steps)
    return ("  " * inside + line.place.place, steps, line.value.text,
            "-" if line.cotangent is None else line.cotangent.text,
            line.place.text or ", ".join(line.operations[:4]))  # fmt: skip


def _row(row: Sequence[str], widths: list[int]) -> str:
    return ("  " + "   ".join([*(f"{c:{w}}" for c, w in zip(row, widths, strict=False)), row[-1]])).rstrip()


# --- gradients -----------------------------------------------------------------------------------------------


def _gradients(tree: Trace, wrt: int | None, entry: Entry | None) -> Iterator[str]:
    leaves = [g for g in tree.leaves if wrt is None or g.id == wrt]
    if not leaves:
        yield from _other_gradient(tree, wrt)
        return
    stored = any(g.stored is not None for g in tree.leaves)
    yield "GRADIENTS that were stored" if stored else "GRADIENTS that backward() would store"
    width = max(len(g.name) for g in leaves)
    for g in leaves:
        yield from _gradient(tree, g, width, entry)


def _other_gradient(tree: Trace, wrt: int | None) -> Iterator[str]:
    found = next((s for s in tree.steps if s.id == wrt), None)
    if found is None:
        yield f"{tree.output} does not depend on this tensor: no route leads from it to {tree.output}."
    elif found.cotangent is None:
        yield f"No gradient flows to {found.name}: it is a constant here."
    else:
        yield f"d{d_name(tree)}/d{found.name} = {found.cotangent.text}"


def _gradient(tree: Trace, g: Given, width: int, entry: Entry | None) -> Iterator[str]:
    value = g.gradient
    text = "?" if value is None else value.text
    if entry is not None and value is not None:
        yield from _entry(tree, g, value, entry)
        return
    head = f"  {g.name:{width}} = {text}"
    if not g.named:
        yield f"{head}   {g.name} is the unnamed {literal(g.value)} made at"
        yield f"    {g.place}"
    elif g.routes and g.routes[0].entry is not None:
        yield f"{head}   entry by entry:"
        yield from (f"    {number(r.product)} = {_from_entry(tree, r)}" for r in g.routes)
    elif len(g.routes) > 1 and is_sum(g):
        yield f"{head}   the sum over {len(g.routes)} routes:"
        yield from (f"    {number(r.product)} = {chain(r, g.name)}" for r in g.routes)
    elif len(g.routes) == 1 and len(g.routes[0].locals) > 1:
        yield f"{head}   d{d_name(tree)}/d{g.name} = {chain(g.routes[0], g.name)}"
    else:
        yield head
    if g.stored is not None and (value is None or g.stored.text != value.text):
        yield f"  {'':{width}}   {g.name}.grad holds {g.stored.text} now{_sum_of(g)}"


def _entry(tree: Trace, g: Given, value: Shown, entry: Entry) -> Iterator[str]:
    own = "?" if entry.value is None else entry.value.text
    yield f"  {g.name}{place(entry.index)} = {own}   (all of them: {value.text})"
    yield from (
        f"    {number(r.product)} = {_from_entry(tree, r)}" for r in g.routes if r.entry == entry.index
    )


def _from_entry(tree: Trace, r: Route) -> str:
    return chain(r, r.names[-1]) if r.locals else f"∂{tree.output}/∂{r.names[-1]}"


def is_sum(g: Given) -> bool:
    """Whether the routes explain the gradient, rounding apart."""
    v = None if g.gradient is None else g.gradient.scalar
    return v is not None and abs(sum(r.product for r in g.routes) - v) <= 1e-6 * max(1.0, abs(v))


def chain(r: Route, leaf: str) -> str:
    """∂L/∂s · ∂s/∂p · … = 1 · 1 · …"""
    names = (*r.names[:-1], leaf)
    symbols = " · ".join(f"∂{a}/∂{b}" for a, b in pairwise(names))
    return f"{symbols} = {' · '.join(factor(e.value.scalar) for e in r.locals if e.value is not None)}"


def _sum_of(g: Given) -> str:
    numbers = [v for _, v in g.contributions if isinstance(v, int | float)]
    if len(numbers) < 2 or len(numbers) < len(g.contributions):
        return ""
    return f" = {' + '.join(factor(v) for v in numbers)}, from {len(numbers)} backward calls"


__all__ = ["Entry", "lines", "local_text"]
