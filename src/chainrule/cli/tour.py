"""chainrule tour: the cases of the lecture, computed, checked, and written to a report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from chainrule.cli import output
from chainrule.errors import ArgumentError

_OUT = Path("chainrule-tour")


def tour(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the report.")] = _OUT,
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
        # a line on a terminal only: the descent in float32 takes a second or two
        result = lecture.run(out, progress=_show_progress) if sys.stderr.isatty() else lecture.run(out)
    except OSError as err:
        what = f"the report cannot be written to '{out}': {(err.strerror or 'error').lower()}"
        raise ArgumentError(what, fix="choose another folder with --out") from None
    finally:
        if sys.stderr.isatty():
            _show_progress("")
    if as_json:
        output.say_json(result.to_json())
    else:
        output.say_table(
            (
                (f"✓ {r.case}" if r.ok else f"✗ {r.case}", r.ours, r.closed_form, r.difference)
                for r in result.rows
            ),
            head=("case", "chainrule", "closed form", "finite difference"),
            indent=0,
        )
        output.say()
        output.say(str(result.report))
    if not result.ok:
        raise typer.Exit(1)


def _show_progress(title: str) -> None:
    """The case that is being computed, on one line of the terminal that the next one overwrites."""
    print(f"\r\x1b[K{title[: output.width() - 1]}", end="", file=sys.stderr, flush=True)
