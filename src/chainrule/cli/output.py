"""How commands print: text that keeps its lines, tables that fit the terminal, JSON on one line."""

from __future__ import annotations

import difflib
import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from chainrule.errors import ArgumentError, ChainruleError


def width() -> int:
    """Columns of the terminal: COLUMNS if set, 80 where there is no terminal."""
    return max(20, shutil.get_terminal_size().columns)


def say(text: str = "") -> None:
    """A line or several, as they are."""
    print(text)


def say_wrapped(text: str, indent: str = "") -> None:
    """A sentence, broken between words; its later lines are indented."""
    print("\n".join(wrapped(text, later=indent)))


def wrapped(text: str, first: str = "", later: str = "") -> list[str]:
    """Lines that fit the terminal. A word that is too long stays whole: it may be a path or a formula."""
    filler = textwrap.TextWrapper(width(), first, later, break_long_words=False, break_on_hyphens=False)
    return filler.wrap(text)


def say_json(data: Any) -> None:
    """One JSON object on one line, in ASCII. Strict: NaN and infinity are strings by now, or an error."""
    print(json.dumps(data, allow_nan=False))


def say_table(rows: Iterable[Sequence[str]], *, head: Sequence[str] = (), indent: int = 2) -> None:
    """Columns without rules; the last one wraps. Colour only on a terminal, and not with NO_COLOR.

    With a `head`, rows that are too wide become paragraphs: the first cell, and below it the others by name.
    """
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=bool(head), pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    rows = [list(row) for row in rows]
    columns = len(head or rows[0])
    widths = [max(cell_len(row[i]) for row in [head or rows[0], *rows]) for i in range(columns)]
    if head and indent + sum(widths) + 2 * (columns - 1) > width():
        _say_paragraphs(rows, head)
        return
    for i in range(columns):
        table.add_column(head[i] if head else "", no_wrap=i < columns - 1, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style=_style(cell)) for cell in row))
    plain = bool(os.environ.get("NO_COLOR"))
    console = Console(width=width() - indent, highlight=False, color_system=None if plain else "auto")
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        print((" " * indent + line).rstrip())


def _say_paragraphs(rows: Sequence[Sequence[str]], head: Sequence[str]) -> None:
    for first, *others in rows:
        say_wrapped(first, indent="  ")
        cells = [f"{name} {cell}" for name, cell in zip(head[1:], others, strict=True) if cell]
        together = ", ".join(cell.replace(" ", "\xa0") for cell in cells)  # a cell is not broken
        print("\n".join(wrapped(together, first="    ", later="    ")).replace("\xa0", " "))


def _style(cell: str) -> str:
    """By the mark at the start; every mark has a word beside it, so colour says nothing of its own."""
    return {"✓ ": "green", "✗ ": "bold red", "- ": "yellow"}.get(cell[:2], "")


def say_picture(picture: Any) -> None:
    """A figure as text: as wide as it is drawn best, or as the terminal allows."""
    say(picture.to_text(columns=width()).strip("\n"))


def save_picture(picture: Any, path: str) -> None:
    """A picture in a file; the ending of its name says in which form."""
    try:
        picture.save(path)
    except OSError as err:
        what = f"the picture cannot be written to '{path}': {(err.strerror or 'error').lower()}"
        raise ArgumentError(what, fix="choose another file with --out") from None


def check_options(known: Sequence[str], *texts: str) -> None:
    """Options that do not exist arrive as text, because -w**2 is an expression: they are refused here."""
    for text in texts:
        if text.startswith("--") and text[2:3].isalpha() and text.isascii():
            near = difflib.get_close_matches(text, known, 1)
            fix = f"did you mean {near[0]}?" if near else f"a double minus is written  -(-{text[2:]})"
            if "=" in text:
                fix = f"write values without dashes:  {text[2:]}"
            raise ArgumentError(f"there is no option '{text}'", fix=fix)


def say_progress(text: str) -> None:
    """One line that is written over again, in the end by nothing; only where a person watches."""
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        print(f"\r\x1b[K{text[: width() - 1]}", end="", file=sys.stderr, flush=True)


def say_error(what: str, code: str = "", given: str | None = None, fix: str | None = None) -> None:
    """One message on stderr: what, what was given, what to do."""
    lines = wrapped(f"error: {what} ({code})" if code else f"error: {what}", later="  ")
    if given:
        text, *below = given.split("\n")
        lines += [f"  {text}", *(f"  {line.removeprefix(' ' * len('  given: '))}" for line in below)]
    if fix:
        lines += wrapped(fix, first="  ", later="  ")
    print("\n".join(map(_printable, lines)), file=sys.stderr)


def _printable(text: str) -> str:
    """Without what a terminal would take for a command."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def error_as_json(err: ChainruleError) -> dict[str, Any]:
    """The same error as data."""
    fields = {"code": err.code, "what": err.what, "fix": err.fix}
    column = getattr(err, "column", None)
    return {"error": fields if column is None else {**fields, "column": column}}
