"""A report as one HTML file: no script, no request, light and dark, for screens from 360 px and for paper."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from chainrule.draw.drawing import Picture
from chainrule.draw.graphs import GraphDrawing
from chainrule.draw.lettering import cells, clean, clean_block, escape, escape_block, pad
from chainrule.draw.page_style import style_sheet
from chainrule.draw.scale import format_number
from chainrule.errors import ShapeError

_COLUMNS = 88  # of the text form


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text."""

    text: str

    def to_html(self) -> str:
        """A `p` element."""
        return f"<p>{escape(self.text)}</p>"

    def to_text(self) -> str:
        """Text for a terminal."""
        return textwrap.fill(clean(self.text), _COLUMNS)


@dataclass(frozen=True, slots=True)
class Text:
    """Text whose line breaks and spaces count: code, terminal output. `caption` stands above it.

    With `wrap`, sentences are broken on narrow screens, where one would have to scroll to read them.
    """

    text: str
    caption: str = ""
    wrap: bool = False

    def to_html(self) -> str:
        """HTML, escaped."""
        head = f"<figcaption>{escape(self.caption)}</figcaption>" if self.caption else ""
        label = escape(self.caption or "text")
        return (
            f'<figure class="code{" wrap" * self.wrap}">{head}<pre tabindex="0" role="group" aria-label="{label}">'
            f"{escape_block(self.text)}</pre></figure>"
        )

    def to_text(self) -> str:
        """Text for a terminal."""
        body = textwrap.indent(clean_block(self.text), "    ")
        return f"{clean(self.caption)}\n{body}" if self.caption else body


@dataclass(frozen=True, slots=True)
class Markup:
    """HTML or MathML that the program made itself: it is not escaped. Never pass text of a user.

    `text` is what the text form shows, and the accessible name of mathematics should say the same.
    """

    html: str
    text: str

    def to_html(self) -> str:
        """The markup as it is."""
        return f'<div class="scroll">{self.html}</div>'

    def to_text(self) -> str:
        """Text for a terminal."""
        return clean_block(self.text)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under column heads; the first cell of each row is its head.

    Parameters
    ----------
    caption
        Says what the table shows; every table has one.
    columns
        Heads of the columns.
    rows
        Cells: text, numbers (written by `format_number`, flush right), None, or `Markup`.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple(self.columns))  # frozen, but still under construction
        object.__setattr__(self, "rows", tuple(tuple(row) for row in self.rows))
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ShapeError(
                "a row has more or fewer cells than the table has columns",
                given=f"{len(self.columns)} columns, rows of {[len(row) for row in self.rows]}",
                fix="give one cell per column, None where there is nothing",
            )

    def to_html(self) -> str:
        """HTML, escaped."""
        head = "".join(
            f'<th scope="col"{self._class(j)}>{escape(c)}</th>' for j, c in enumerate(self.columns)
        )
        lines = []
        for row in self.rows:
            parts = [
                f"<{tag}{self._class(j)}>{_cell_html(cell)}</{tag.partition(' ')[0]}>"
                for j, cell in enumerate(row)
                for tag in (['th scope="row"'] if j == 0 else ["td"])
            ]
            lines.append(f"<tr>{''.join(parts)}</tr>")
        # The group can be scrolled on a narrow screen, so it must be reachable with the keyboard.
        return (
            f'<div class="scroll" tabindex="0" role="group" aria-label="{escape(self.caption)}"><table>'
            f"<caption><span>{escape(self.caption)}</span></caption>\n"
            f"<thead><tr>{head}</tr></thead>\n<tbody>\n" + "\n".join(lines) + "\n</tbody></table></div>"
        )

    def to_text(self) -> str:
        """Text for a terminal."""
        texts = [[_cell_text(c) for c in row] for row in self.rows]
        heads = [clean(c) for c in self.columns]
        widths = [max([cells(h), *(cells(row[j]) for row in texts)]) for j, h in enumerate(heads)]
        right = [self._numeric(j) for j in range(len(heads))]
        lines = [_line(row, widths, right) for row in (heads, *texts)]
        rule = "  ".join("─" * w for w in widths)
        return "\n".join([clean(self.caption), lines[0], rule, *lines[1:]])

    def _numeric(self, j: int) -> bool:
        return bool(self.rows) and all(isinstance(row[j], int | float) or row[j] is None for row in self.rows)

    def _class(self, j: int) -> str:
        return ' class="number"' if self._numeric(j) else ""


def _line(row: list[str], widths: list[int], right: list[bool]) -> str:
    return "  ".join(pad(t, w, right=r) for t, w, r in zip(row, widths, right, strict=True)).rstrip()


def _cell_text(cell: object) -> str:
    if isinstance(cell, Markup):
        return clean(cell.text)
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return format_number(cell)
    return clean(cell)


def _cell_html(cell: object) -> str:
    return cell.html if isinstance(cell, Markup) else escape(_cell_text(cell))


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture with its caption; `details` adds its text form, folded away.

    Parameters
    ----------
    picture
        A `Drawing` or a `GraphDrawing`.
    caption
        What to see in it.
    wide
        Keep the natural size and scroll sideways on narrow screens instead of shrinking; graphs always do.
    details
        Offer the text form below the picture.
    """

    picture: Picture
    caption: str = ""
    wide: bool = False
    details: bool = True

    def to_html(self) -> str:
        """HTML, escaped."""
        svg = self.picture.to_svg(theme="page")
        if self.wide or isinstance(self.picture, GraphDrawing):
            label = escape(self.picture.title or self.caption)
            svg = f'<div class="scroll wide" tabindex="0" role="group" aria-label="{label}">{svg}</div>'
        caption = f"<figcaption>{escape(self.caption)}</figcaption>" if self.caption else ""
        folded = f"<details><summary>as text</summary>{Text(self.picture.to_text()).to_html()}</details>"
        return f"<figure>{svg}{caption}</figure>{folded if self.details else ''}"

    def to_text(self) -> str:
        """Text for a terminal."""
        drawn = self.picture.to_text()
        return f"{drawn}\n\n{textwrap.fill(clean(self.caption), _COLUMNS)}" if self.caption else drawn


Block = Paragraph | Text | Table | Figure | Markup


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it."""

    title: str
    blocks: tuple[Block, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocks", tuple(self.blocks))  # frozen, but still under construction


@dataclass(frozen=True, slots=True)
class Page:
    """A report: title, one sentence of what it says, sections.

    Examples
    --------
    >>> page = Page("Tour", "One case.", [Section("4w + w³", [Paragraph("The slope at 1 is 7.")])])
    >>> print(page.to_text())
    Tour
    ════
    One case.
    <BLANKLINE>
    4w + w³
    ───────
    The slope at 1 is 7.
    >>> page.to_html().startswith("<!DOCTYPE html>")
    True
    """

    title: str
    lead: str
    sections: tuple[Section, ...]
    lang: str = "en"

    def __post_init__(self) -> None:
        object.__setattr__(self, "sections", tuple(self.sections))  # frozen, but still under construction

    def to_html(self) -> str:
        """The whole page as one file. It may load nothing from elsewhere, and says so to the browser."""
        return "\n".join(self._html_lines()) + "\n"

    def _html_lines(self) -> Iterator[str]:
        title = escape(self.title)
        yield "<!DOCTYPE html>"
        yield f'<html lang="{escape(self.lang)}">\n<head>\n<meta charset="utf-8">'
        yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
        policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
        yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        yield f'<meta name="color-scheme" content="light dark">\n<title>{title}</title>'
        yield f"<style>\n{style_sheet()}</style>\n</head>\n<body>"
        yield '<a class="skip" href="#content">Skip to the content</a>'
        yield f'<header>\n<h1>{title}</h1>\n<p class="lead">{escape(self.lead)}</p>'
        yield f"{_THEME_CHOICE}\n</header>"
        if len(self.sections) > 1:
            items = (
                f'<li><a href="#section-{i}">{escape(s.title)}</a></li>'
                for i, s in enumerate(self.sections, 1)
            )
            yield f'<nav aria-label="Sections"><ol>{"".join(items)}</ol></nav>'
        yield '<main id="content">'
        for i, section in enumerate(self.sections, 1):
            yield f'<section aria-labelledby="section-{i}">'
            yield f'<h2 id="section-{i}">{escape(section.title)}</h2>'
            yield from (block.to_html() for block in section.blocks)
            yield "</section>"
        yield "</main>\n</body>\n</html>"

    def to_text(self) -> str:
        """The same for a terminal."""
        lead = textwrap.fill(clean(self.lead), _COLUMNS)
        parts = [_heading(self.title, "═") + ("\n" + lead if lead else "")]
        for section in self.sections:
            blocks = "\n\n".join(block.to_text() for block in section.blocks)
            parts.append(f"{_heading(section.title, '─')}\n{blocks}".rstrip())
        return "\n\n".join(parts)


def _heading(title: str, rule: str) -> str:
    title = clean(title)
    return f"{title}\n{rule * cells(title)}"


# Three radio buttons and CSS (`:has`) instead of a script: the choice holds while the page is open.
_THEME_CHOICE = """<fieldset class="theme"><legend>Colours</legend>
<label><input type="radio" name="theme" id="theme-auto" checked> system</label>
<label><input type="radio" name="theme" id="theme-light"> light</label>
<label><input type="radio" name="theme" id="theme-dark"> dark</label></fieldset>"""
