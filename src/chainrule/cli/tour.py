"""chainrule tour: the cases of the lecture, computed, checked, and written to a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chainrule.cli import output
from chainrule.errors import ArgumentError

if TYPE_CHECKING:
    from chainrule.insight.tour import Tour

_OUT = Path("chainrule-tour")


def tour(
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help=f"Folder for the report: {_OUT}.", show_default=False)
    ] = _OUT,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """The lecture's cases, checked, as a report.

    Each case is computed and compared with its closed form and with a finite difference. Writes a folder
    with a page for the browser, the same as text, and a picture for each case. The last line is the path of
    the page.

    Exit status: 0 if every case agrees, else 1.

    \b
    Examples
      chainrule tour
      chainrule tour --out week3
    """
    from chainrule.insight import tour as lecture

    try:
        result = lecture.run(out, progress=output.say_progress)
    except OSError as err:
        what = f"the report cannot be written to '{out}': {(err.strerror or 'error').lower()}"
        raise ArgumentError(what, fix="choose another folder with --out") from None
    finally:
        output.say_progress("")
    if as_json:
        output.say_json(result.to_json())
    else:
        _say(result)
    if not result.ok:
        raise typer.Exit(1)


def _say(result: Tour) -> None:
    rows = ((f"{'✓' if r.ok else '✗'} {r.case}", r.ours, r.closed_form, r.difference) for r in result.rows)
    output.say_table(rows, head=("case", "chainrule", "closed form", "finite difference"), indent=0)
    output.say()
    for note in result.notes:
        output.say_wrapped(f"• {note}", indent="  ")
    output.say()
    if not result.ok:
        what = f"not right: {', '.join(result.wrong)}"
        output.say_error(what, fix="the report has the program of each case, and what it printed")
    output.say_wrapped("Open this page: it has each program, its pictures, and where each number comes from.")
    output.say(str(result.report))
