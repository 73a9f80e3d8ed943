"""Pages that follow from the program: one per operation of the derivative table, one per code of an error.

python -m docs.build [folder]      writes site/ (or the folder); fails if an entry lacks something
"""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.draw import Curve, Drawing, Figure, Line, Markup, Page, Paragraph, Section, Table, Text
from chainrule.insight.formulas import latex, local_derivative, text
from chainrule.ir.types import type_of
from chainrule.table import TABLE, Primitive
from chainrule.table.primitive import Jvp, Linear, Partials, partials_of, values_read
from chainrule.testing.rules import pull
from chainrule.testing.samples import Case, cases
from docs import pictures, support

REACH = 4.0  # plots go this far from 0


def build(folder: Path) -> int:
    """Write all pages below `folder`; returns how many."""
    pages = {f"ops/{p.name}.html": operation(p) for p in TABLE.values()}
    pages |= {f"errors/{c.code}.html": error(c) for c in codes()}
    pages |= {"pictures.html": pictures.page(), "index.html": index()}
    pages |= {"support.html": support.page(), "accuracy.html": accuracy()}
    for name, page in pages.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page.to_html(), encoding="utf-8")
    return len(pages)


# --- operations ----------------------------------------------------------------------------------


def operation(p: Primitive) -> Page:
    """The page of one operation: what it is, its derivative, what is kept, kinks, samples, a plot, source."""
    missing = [what for what in ("doc", "latex", "text", "source") if not getattr(p, what)]
    if missing or (not p.samples and p.inputs):
        raise ValueError(f"the entry of {p.name} lacks {', '.join(missing or ['samples'])}")
    case = next(cases(p), Case(p, (), {}))
    sections = [
        Section("Formula", [Text(text(p, **case.params)), Text(latex(p, **case.params), "LaTeX")]),
        Section("Derivative", list(_derivative(p, case))),
        Section("Where it is special", list(_special(p))),
        Section("Samples", [_samples(p)]),
    ]
    picture = _plot(p, case)
    if picture is not None:
        sections.append(Section("Picture", [Figure(picture, "The value, and its slope.", details=False)]))
    sections.append(Section("Source", [Paragraph(p.source)]))
    return Page(p.name, p.doc, sections)


def _derivative(p: Primitive, case: Case) -> Iterator[Any]:
    if p.rule is None:
        yield Paragraph("None: the result is a truth value, a place or a constant.")
        return
    kind = {
        Partials: "partial derivatives",
        Linear: "a linear map: its transpose is stated",
        Jvp: "a pushforward",
    }
    yield Paragraph(f"Stated as {kind[type(p.rule)]}. Forward, reverse and second order follow from it.")
    names = [i for i in p.inputs if i in _stated(p)]
    rows = []
    for name in names:
        d = local_derivative(p, name, params=case.params)
        keeps = ", ".join(sorted(values_read(p, (name,)))) or "nothing"
        rows.append((name.lstrip("*"), d.text, d.latex, keeps))
    yield Table("Derivative for each input", ("input", "derivative", "LaTeX", "reverse mode keeps"), rows)


def _stated(p: Primitive) -> Sequence[str]:
    if isinstance(p.rule, Partials):
        return list(partials_of(p))
    return list(p.rule.transpose) if isinstance(p.rule, Linear) else p.inputs


def _special(p: Primitive) -> Iterator[Any]:
    facts = [f"Domain of {i}: [{lo:g}, {hi:g}]." for i, (lo, hi) in zip(p.inputs, p.domain, strict=False)]
    facts += [f"{word.capitalize()}." for word in ("commutative", "even", "monotone") if getattr(p, word)]
    facts += ["The slope is bounded."] if p.bounded else []
    facts += ["It selects: what is not taken contributes nothing."] if p.selects else []
    rows = [(where, why) for where, why in (*p.kinks.items(), *p.undefined.items())]
    if facts or not rows:
        yield Paragraph(" ".join(facts) or "Nowhere.")
    if rows:
        yield Table("Kinks and holes", ("where", "which slope, and why"), rows)


def _samples(p: Primitive) -> Any:
    found = list(cases(p))
    if not found:
        return Paragraph("It has no inputs.")
    rows = [(_arguments(c), _shown(c.value()), _slopes(c)) for c in found]
    return Table(
        "Value, and cotangents of the inputs for a cotangent of ones", ("at", "value", "cotangents"), rows
    )


def _arguments(c: Case) -> str:
    params = ", ".join(f"{k} = {v}" for k, v in c.params.items())
    given = ", ".join(f"{n.lstrip('*')} = {_shown(a)}" for n, a in zip(c.names(), c.args, strict=True))
    return f"{given}; {params}" if params else given


def _slopes(c: Case) -> str:
    wanted = c.differentiable()
    if not wanted:
        return "–"
    out = c.value()
    cts = pull(c, np.ones_like(out), wanted)
    return ", ".join(_shown(cts[k]) for k in wanted)


def _shown(v: Any) -> str:
    return str(type_of(v)) if np.size(v) > 4 else np.array2string(np.asarray(v), precision=6, separator=", ")


def _plot(p: Primitive, case: Case) -> Drawing | None:
    if p.kind != "elementwise" or len(p.inputs) != 1 or not isinstance(p.rule, Partials):
        return None
    lo, hi = p.domain[0] if p.domain else (-math.inf, math.inf)
    xs = np.linspace(max(lo, -REACH), min(hi, REACH), 401)
    line = Case(p, (xs,), case.params)
    slopes = pull(line, np.ones_like(xs), (0,))[0]
    curves = [
        Curve(list(xs), _clipped(ys), label) for ys, label in ((line.value(), p.name), (slopes, "slope"))
    ]
    return Drawing(p.name, x_label="x", y_label="", curves=curves, lines=[Line("x", 0.0), Line("y", 0.0)])


def _clipped(ys: Any) -> list[float]:
    """What leaves the picture is left out: one pole would flatten everything else."""
    return [y if abs(y) <= 3 * REACH else math.nan for y in np.asarray(ys, float).tolist()]


# --- errors --------------------------------------------------------------------------------------


def codes() -> list[type[errors.ChainruleError]]:
    """Classes of errors that have a code of their own."""
    found = {c for c in vars(errors).values() if inspect.isclass(c) and issubclass(c, errors.ChainruleError)}
    return sorted((c for c in found if c is not errors.ChainruleError), key=lambda c: c.code)


def error(c: type[errors.ChainruleError]) -> Page:
    """The page of one code."""
    doc = inspect.cleandoc(c.__doc__ or "")
    if not doc:
        raise ValueError(f"{c.__name__} lacks a docstring")
    first, _, rest = doc.partition("\n")
    caught = [
        b.__name__ for b in c.__mro__ if b.__module__ == "builtins" and b not in (object, BaseException)
    ]
    blocks = [Paragraph(rest.strip())] if rest.strip() else []
    blocks.append(
        Paragraph(f"`except` {', '.join(caught)} catches it too, as PyTorch's error in the same place.")
    )
    how = "Each error says what happened, what was given, at which line, and one thing to do."
    return Page(f"{c.code}: {c.__name__}", first, [Section("What it is", [*blocks, Paragraph(how)])])


def accuracy() -> Page:
    """Entries that are not exact to 4 units of the last place, with the bound that the tests hold them to."""
    loose = [p for p in TABLE.values() if max(p.tolerance, p.slope_tolerance) > 4.0]
    rows = [
        (
            _link(f"ops/{p.name}.html", p.name),
            f"{p.tolerance:g}",
            f"{p.slope_tolerance:g}",
            p.tolerance_reason,
        )
        for p in loose
    ]
    words = (
        "Values and first derivatives of elementwise operations lie within 4 ulp (units of the last place) of mpmath "
        "over the whole domain; beside a zero of the derivative, within 4 eps times the sum of the magnitudes of its "
        "terms. Below 2.2e-308, where numbers lose digits, an error of that size is allowed. These have a bound of "
        "their own:"
    )
    table = Table("Bounds, in ulp", ("operation", "value", "slope", "why"), rows)
    return Page(
        "Accuracy", "How exact values and slopes are.", [Section("Elementwise", [Paragraph(words), table])]
    )


def index() -> Page:
    """The page that leads to all others."""
    ops = [(_link(f"ops/{p.name}.html", p.name), p.doc) for p in TABLE.values()]
    found = [
        (_link(f"errors/{c.code}.html", c.code), c.__name__, (c.__doc__ or "").split("\n")[0])
        for c in codes()
    ]
    return Page(
        "chainrule: reference",
        "What every operation computes, its derivative, and every error.",
        [
            Section("Operations", [Table("Operations of the derivative table", ("name", "what"), ops)]),
            Section(
                "What works, and how exactly",
                [
                    _link("support.html", "Value, derivatives, vmap and compiled, operation by operation"),
                    _link("accuracy.html", "How exact values and slopes are"),
                ],
            ),
            Section("Pictures", [_link("pictures.html", "What chainrule draws")]),
            Section("Errors", [Table("Codes of errors", ("code", "class", "what"), found)]),
        ],
    )


def _link(to: str, shown: str) -> Markup:
    return Markup(f'<a href="{escape(to)}">{escape(shown)}</a>', shown)


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "site")
    print(f"{build(target)} pages in {target}")
