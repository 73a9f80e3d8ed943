"""How a picture shows in a notebook, and how it is saved: one place for every kind of picture.

Note [Cards]
JupyterLab's sanitiser, which every notebook received from somebody else goes through, drops `svg`, `math`, `style`
and scripts; it keeps `<img>` with a data address, `<details>`, tables and inline styles. Inside `<img>` no style of
the page applies, so the picture brings its own opaque ground. The table below it says the same to a screen reader.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from chainrule.draw.lettering import clean, escape
from chainrule.errors import ArgumentError

Rows = Sequence[Sequence[str]]


class Shown(Protocol):
    """What a card needs of a picture."""

    title: str

    def to_svg(self, *, theme: str = "auto") -> str: ...
    def to_text(self) -> str: ...
    def to_json(self) -> dict[str, Any]: ...
    def describe(self) -> str: ...
    def to_rows(self) -> tuple[Sequence[str], Rows]: ...


def bundle(picture: Shown) -> dict[str, str]:
    """The forms that a front end chooses from: a card, the bare SVG, and text."""
    svg = picture.to_svg()
    return {"text/html": card(picture, svg), "image/svg+xml": svg, "text/plain": picture.to_text()}


def card(picture: Shown, svg: str = "") -> str:
    """The picture as an image, and folded below it the same as a table."""
    data = base64.b64encode((svg or picture.to_svg()).encode()).decode("ascii")
    words = escape(f"{picture.title}. {picture.describe()}".strip(". "))
    image = f'<img src="data:image/svg+xml;base64,{data}" alt="{words}" style="max-width:100%;height:auto">'
    columns, rows = picture.to_rows()
    return f"<div>{image}\n<details><summary>as a table</summary>{table(columns, rows)}</details></div>"


def table(columns: Sequence[str], rows: Rows) -> str:
    """A plain table; the first cell of a row is its head."""
    head = "".join(f'<th scope="col" style="text-align:left">{escape(c)}</th>' for c in columns)
    lines = (
        "<tr>"
        + "".join(
            f'<th scope="row" style="text-align:left">{escape(cell)}</th>'
            if j == 0
            else f'<td style="text-align:left">{escape(cell)}</td>'
            for j, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def save(picture: Shown, path: str | Path) -> None:
    """Write a picture to a file; the ending says in which form: .svg, .html, .txt or .json."""
    forms = {
        ".svg": lambda: picture.to_svg(),
        ".html": lambda: _document(picture),
        ".txt": lambda: picture.to_text() + "\n",
        ".json": lambda: json.dumps(picture.to_json(), ensure_ascii=False, indent=1, allow_nan=False) + "\n",
    }
    form = forms.get(Path(path).suffix.lower())
    if form is None:
        fix = "end the name with .svg, .html, .txt or .json; for .png: ax = picture.to_matplotlib(), then savefig"
        raise ArgumentError("a picture is not written in this form", given=str(path), fix=fix)
    Path(path).write_text(form(), encoding="utf-8", newline="\n")


def _document(picture: Shown) -> str:
    from chainrule.draw.page import Figure, Page, Section  # imported here: page.py imports the pictures

    title = clean(picture.title) or "Picture"
    return Page(title, "", [Section(title, [Figure(picture)])]).to_html()
