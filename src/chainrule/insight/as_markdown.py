"""The explanation tree as Markdown, with formulas in LaTeX: what notebooks show."""

from __future__ import annotations

from collections.abc import Iterator

from chainrule.insight import as_latex, as_text
from chainrule.insight.notation import latex_name
from chainrule.insight.shown import number, place
from chainrule.insight.trace import Given, Step, Trace


def page(t: Trace, detail: str, wrt: int | None, entry: as_text.Entry | None) -> str:
    """The steps as a table and the gradients as a list; long computations as their text."""
    if t.count == 0 or t.lines:
        return f"```\n{chr(10).join(as_text.lines(t, detail, wrt, entry))}\n```\n"
    chosen = as_text.on_route(t, wrt, entry)
    parts = [_table(t, chosen)] if detail == "full" and as_text.told_steps(t, chosen) else []
    parts.append("\n".join(_gradients(t, wrt, entry)) if t.tracked else f"No gradients: nothing that "
                 f"{_code(t.output)} was computed from was made with `requires_grad=True`.")  # fmt: skip
    if t.unused:
        parts.append(f"Not in this graph: {', '.join(map(_code, t.unused))}")
    if t.constants:
        parts.append(f"Constants: {', '.join(map(_code, t.constants))}")
    return "\n\n".join([*parts, *map(_plain, t.notes)]) + "\n"


def _table(t: Trace, chosen: set[int] | None) -> str:
    out = rf"$\mathrm{{d}}{latex_name(t.output)}/\mathrm{{d}}(\cdot)$"
    head = ["#", "step", "value", *(["local derivative", out] if t.tracked else [])]
    rows = [_row(k, s, chosen, t.tracked) for k, s in enumerate(as_text.told_steps(t, chosen), 1)]
    lines = [head, ["--:", *["---"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _row(k: int, s: Step, chosen: set[int] | None, tracked: bool) -> list[str]:
    own = s.formula is not None and s.formula.text == s.name
    cells = [
        str(k),
        _math(latex_name(s.name) if own else as_latex.equation(s)),
        _math(as_latex.value(s.value)),
    ]
    if not tracked:
        return cells
    locals_ = ", ".join(
        _math(as_latex.local(s.name, e)) for e in s.locals if chosen is None or e.id in chosen
    )
    note = _plain(s.note) if s.note else ""
    told = locals_ if s.tracked else "not tracked"
    return [
        *cells,
        f"{told} {note}".strip() or "–",
        "–" if s.cotangent is None else _math(as_latex.value(s.cotangent)),
    ]


def _gradients(t: Trace, wrt: int | None, entry: as_text.Entry | None) -> Iterator[str]:
    leaves = [g for g in t.leaves if wrt is None or g.id == wrt]
    if not leaves:
        yield from (_plain(line) for line in as_text.lines(t, "short", wrt, entry))
    for g in leaves:
        yield from _gradient(t, g, entry)


def _gradient(t: Trace, g: Given, entry: as_text.Entry | None) -> Iterator[str]:
    if g.gradient is None:
        yield f"- {_code(g.name)}: not known any more"
        return
    where = "" if g.named else f" (unnamed, made at {_code(g.place.place)})"
    if entry is not None:
        name = f"{g.name}{place(entry.index)}"
        shown = "?" if entry.value is None else as_latex.value(entry.value)
        yield f"- {_math(f'{as_latex.derivative(t.output, name)} = {shown}')}{where}"
        return
    yield f"- {_math(f'{as_latex.derivative(t.output, g.name)} = {as_latex.gradient(g)}')}{where}"
    if len(g.routes) > 1:
        for r in g.routes:
            names = (*r.names[:-1], r.names[-1] if r.entry else g.name)
            way = r" \to ".join(latex_name(n) for n in reversed(names))
            yield f"    - {_math(f'{way}: {number(r.product)}')}"


def _math(latex: str) -> str:
    """A formula inside a line; a bar would end a table's cell, and < would begin an element of HTML."""
    for mark, word in (("|", r"\vert "), ("<", r"\lt "), (">", r"\gt ")):
        latex = latex.replace(mark, word)
    return f"${latex}$"


def _code(name: str) -> str:
    return f"`{name.replace('`', '')}`"


def _plain(text: str) -> str:
    """Text of ours, with what Markdown would read as markup escaped."""
    for mark in "\\`*_|<>#$[]":
        text = text.replace(mark, f"\\{mark}")
    return text


__all__ = ["page"]
