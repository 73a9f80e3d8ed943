"""chainrule tour: the cases of the lecture, computed, checked, and written to a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chainrule.cli import output


def tour(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the report.")] = Path(
        "chainrule-tour"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """The cases of the lecture: our number, the closed form, a finite difference.

    \b
    Writes a folder with a report (HTML for the browser, text for the terminal)
    and a picture for each case. The last line is the path of the report.
    Exit status: 0 if every case agrees, else 1.

    \b
    Examples
      chainrule tour
      chainrule tour --out week3
    """
    from chainrule.insight import tour as lecture

    result = lecture.run(out)
    ...
