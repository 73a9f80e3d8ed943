"""The tour: every case of the lecture through the public API, checked, explained, and written to a report."""

from __future__ import annotations

import contextlib
import io
import json
import linecache
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chainrule.draw import Drawing, Figure, GraphDrawing, Markup, Page, Paragraph, Section, Table, Text
from chainrule.draw.lettering import escape
from chainrule.insight.explain import Explanation, explain_with
from chainrule.insight.lecture import CASES, EXPLANATION, Case, Row
from chainrule.insight.naming import Variables
from chainrule.insight.why import Answer, why_with
from chainrule.tape.promote import FLOAT64, get_default_dtype, set_default_dtype

_HEAD = "import chainrule as cr\n\n"


@dataclass(frozen=True, slots=True)
class Visit:
    """One case, worked through.

    printed
        What the program printed.
    answers
        `(expression, answer)` of what `why` was asked.
    claims
        Pairs: what the lecture says, and what is so.
    error
        Why there is nothing more, where the program failed.
    """

    case: Case
    rows: tuple[Row, ...]
    printed: str
    explanation: Explanation | None
    answers: tuple[tuple[str, Answer], ...]
    plots: tuple[tuple[Drawing, str], ...]
    remarks: tuple[str, ...]
    claims: tuple[tuple[str, str], ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class Tour:
    """What the tour found.

    rows
        Lines of the summary: case, our number, the closed form, a finite difference, and whether they agree.
    notes
        Sentences on what a student may trip over: the descents, and where the lecture's text and code differ.
    report
        The page, inside the folder of the report.
    """

    visits: tuple[Visit, ...]
    report: Path

    @property
    def rows(self) -> tuple[Row, ...]:
        return tuple(row for visit in self.visits for row in visit.rows)

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(remark for visit in self.visits for remark in visit.remarks)

    @property
    def ok(self) -> bool:
        """Whether every number is right."""
        return all(row.ok for row in self.rows)

    @property
    def wrong(self) -> tuple[str, ...]:
        """Names of the cases that are not right."""
        return tuple(row.case for row in self.rows if not row.ok)

    def to_json(self) -> dict[str, Any]:
        """The summary for `json.dumps`; the report's folder has everything in `data.json`."""
        return {
            "ok": self.ok,
            "report": str(self.report),
            "wrong": list(self.wrong),
            "rows": [_row(r) for r in self.rows],
        }


def run(
    out_dir: str | Path, *, progress: Callable[[str], None] | None = None, cases: Sequence[Case] = CASES
) -> Tour:
    """Work through the lecture's cases and write the report.

    Parameters
    ----------
    out_dir
        Folder of the report, made where it is missing. It gets ``index.html``, ``report.txt``, ``data.json``,
        and for each case its program and its pictures.
    progress
        Called with the title of each case before it runs.
    cases
        The lecture's, unless others are given.

    Returns
    -------
    The result: `rows`, `ok`, `notes`, `report` (the page), `to_json()`. Nothing is printed.

    Raises
    ------
    OSError
        The folder cannot be written.

    Cost
    ----
    About three seconds; nearly all of it for the descent in float32, which runs to its limit of 10000 steps.

    Examples
    --------
    >>> import tempfile
    >>> from chainrule.insight.lecture import SLOPE
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = run(folder, cases=[SLOPE])
    >>> result.ok, result.rows[0].ours
    (True, '7')
    """
    folder = Path(out_dir)
    folder.mkdir(parents=True, exist_ok=True)
    before = get_default_dtype()
    set_default_dtype(FLOAT64)
    try:
        visits = []
        for case in cases:
            if progress is not None:
                progress(case.title)
            visits.append(_visit(case))
    finally:
        set_default_dtype(before)
    return _write(Tour(tuple(visits), folder / "index.html"), folder)


def _visit(case: Case) -> Visit:
    try:
        return _worked(case)
    except Exception as err:  # a case that breaks is a wrong answer, not the end of the tour
        row = Row(case.title, "failed", "", "", False)
        return Visit(case, (row,), "", None, (), (), (), error=f"{type(err).__name__}: {err}")


def _worked(case: Case) -> Visit:
    source = _HEAD + case.program
    file = f"{case.slug}.py"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    names: dict[str, Any] = {"__name__": case.slug}
    printed = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(printed):
        warnings.simplefilter("ignore")  # notes about .grad of computed tensors: the report says more
        exec(compile(source, file, "exec"), names)
        variables = Variables.of_scopes([names])
        explanation = explain_with(names[case.explain], variables)
        names[EXPLANATION] = explanation
        answers = tuple((asked, _answer(asked, names)) for asked in case.ask)
        rows = tuple(case.rows(names))
        return Visit(case, rows, printed.getvalue(), explanation, answers,
                     tuple(case.plots(names)), tuple(case.remarks(names)), tuple(case.claims(names)))  # fmt: skip


def _answer(asked: str, names: dict[str, Any]) -> Answer:
    name = asked.removesuffix(".grad")
    return why_with(
        names[name], Variables.of_scopes([{k: v for k, v in names.items() if k != EXPLANATION}]), name=name
    )


# --- the report ----------------------------------------------------------------------------------------


def _write(tour: Tour, folder: Path) -> Tour:
    page = report_page(tour)
    _save(folder / "index.html", page.to_html())
    _save(folder / "report.txt", page.to_text() + "\n")
    _save(folder / "data.json", json.dumps(_data(tour), ensure_ascii=False, indent=1, allow_nan=False) + "\n")
    for visit in tour.visits:
        _save(folder / f"{visit.case.slug}.py", _HEAD + visit.case.program)
        for k, (picture, _) in enumerate(visit.plots, 1):
            number = "" if len(visit.plots) == 1 else f"_{k}"
            _save(folder / f"{visit.case.slug}{number}.svg", picture.to_svg())
        if visit.explanation is not None:
            _save(folder / f"{visit.case.slug}_graph.svg", visit.explanation.graph().to_svg())
    return tour


def _save(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def report_page(tour: Tour) -> Page:
    """The report as a page."""
    if tour.ok:
        lead = (
            "Every case of the lecture, computed by chainrule, checked against the closed form "
            "and a finite difference, and explained."
        )
    else:
        lead = f"Some numbers are wrong: {', '.join(tour.wrong)}."
    return Page(
        "Where gradients come from: a tour of the lecture",
        lead,
        [_summary(tour), *_differences(tour), *map(_section, tour.visits)],
    )


def _summary(tour: Tour) -> Section:
    rows = [(r.case, r.ours, r.closed_form or "–",
             r.difference or "–", "✓ right" if r.ok else "✗ wrong") for r in tour.rows]  # fmt: skip
    caption = "What chainrule computes, what is known by hand, and what differences of plain numbers give"
    table = Table(caption, ("case", "chainrule", "closed form", "finite difference", "verdict"), tuple(rows))
    how = Paragraph(
        "The closed form is worked out by hand. The finite difference is computed without "
        "chainrule, on plain "
        "numbers. A dash: there is nothing to compare with, because no derivative exists "
        "there or because rounding decides."
    )
    return Section("Summary", (table, how))


def _differences(tour: Tour) -> list[Section]:
    """What the lecture says otherwise, each with the case that shows it."""
    rows = [
        (said, _with_link(found, visit.case.title, section))
        for section, visit in enumerate(tour.visits, 3)  # after the summary and this one
        for said, found in visit.claims
    ]
    if not rows:
        return []
    words = Paragraph("Each of these is worked out below, with the numbers.")
    table = Table("Where the lecture and the numbers part", ("the lecture says", "what is so"), tuple(rows))
    return [Section("What the lecture says, and what is so", (words, table))]


def _with_link(found: str, title: str, section: int) -> Markup:
    return Markup(f'{escape(found)}: <a href="#section-{section}">{escape(title)}</a>', f"{found}: {title}")


def _section(visit: Visit) -> Section:
    case = visit.case
    blocks: list[Any] = [Paragraph(case.task), Text(_HEAD + case.program.rstrip(), caption="The program")]
    if visit.error:
        blocks.append(Text(visit.error, caption="It failed"))
    if visit.printed:
        blocks.append(Text(visit.printed.rstrip(), caption="It prints", wrap=True))
    blocks += [Figure(picture, caption) for picture, caption in visit.plots]
    blocks += [Paragraph(remark) for remark in visit.remarks]
    if visit.explanation is not None:
        blocks.append(Text(str(visit.explanation), caption=f"cr.explain({case.explain})"))
        blocks.append(Figure(_graph(visit.explanation), _GRAPH_CAPTION, wide=True))
    blocks += [Text(str(answer), caption=f"cr.why({asked})", wrap=True) for asked, answer in visit.answers]
    return Section(case.title, tuple(blocks))


_GRAPH_CAPTION = (
    "Values flow to the right, gradients back to the left. On each solid line stands the local derivative; "
    "along dashed lines none passes."
)


def _graph(explanation: Explanation) -> GraphDrawing:
    return explanation.graph()


def _row(r: Row) -> dict[str, Any]:
    return {
        "case": r.case,
        "ours": r.ours,
        "closed_form": r.closed_form,
        "difference": r.difference,
        "ok": r.ok,
    }


def _data(tour: Tour) -> dict[str, Any]:
    return {
        "ok": tour.ok,
        "cases": [
            {
                "slug": v.case.slug,
                "title": v.case.title,
                "program": _HEAD + v.case.program,
                "printed": v.printed,
                "error": v.error,
                "rows": [_row(r) for r in v.rows],
                "explanation": None if v.explanation is None else v.explanation.to_json(),
                "graph": None if v.explanation is None else v.explanation.graph().to_json(),
                "answers": [{"asked": asked, **_finite(answer.to_json())} for asked, answer in v.answers],
                "plots": [picture.to_json() for picture, _ in v.plots],
                "remarks": list(v.remarks),
                "claims": [{"said": said, "found": found} for said, found in v.claims],
            }
            for v in tour.visits
        ],
    }


def _finite(v: Any) -> Any:
    """Numbers that JSON cannot hold as None."""
    if isinstance(v, dict):
        return {k: _finite(u) for k, u in v.items()}
    if isinstance(v, list):
        return [_finite(u) for u in v]
    return None if isinstance(v, float) and not math.isfinite(v) else v


__all__ = ["Tour", "Visit", "report_page", "run"]
