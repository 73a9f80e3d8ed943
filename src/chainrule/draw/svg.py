"""Writing SVG: elements, coordinates, and the frame that every picture shares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from chainrule.draw.geometry import Spot
from chainrule.draw.lettering import escape
from chainrule.draw.palette import Brush

FONT = "system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif"


def coordinate(value: float) -> str:
    """Pixels rounded to 0.1: the same bytes on every machine."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def element(name: str, content: str | None = None, **attributes: object) -> str:
    """One element. `content` is markup already; attributes are escaped, and left out where None or empty.

    Examples
    --------
    >>> element("text", "a &lt; b", x=1.04, text_anchor="end")
    '<text x="1" text-anchor="end">a &lt; b</text>'
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{coordinate(v) if isinstance(v, float) else escape(v)}"'
        for key, v in attributes.items()
        if v is not None and v != ""
    )
    return f"<{name}{written}/>" if content is None else f"<{name}{written}>{content}</{name}>"


def path_data(pieces: Iterable[Sequence[Spot]]) -> str:
    """`d` of a path through each piece; a piece of one point becomes a dot (with round line ends)."""
    commands = []
    for piece in pieces:
        spots = [f"{coordinate(x)} {coordinate(y)}" for x, y in piece]
        commands.append("M" + "L".join(spots) + ("h0" if len(spots) == 1 else ""))
    return "".join(commands)


def letters(brush: Brush, x: float, y: float, text: str, *, role: str = "ink", **attributes: object) -> str:
    """Text that starts (or ends, or is centred, by `text_anchor`) at x, with its base line at y."""
    return element("text", escape(text), x=float(x), y=float(y), **{**brush.paint(fill=role), **attributes})


def halo(brush: Brush) -> dict[str, object]:
    """Attributes that keep text readable on top of lines: an outline in the colour of the ground."""
    outline = brush.paint(fill="ink", stroke="back", width=3.5)
    return {**outline, "paint-order": "stroke"}


def document(
    brush: Brush,
    width: float,
    height: float,
    title: str,
    description: str,
    body: Iterable[str],
    *,
    size: int = 13,
) -> str:
    """A whole picture: names for screen readers, an opaque ground, then the body."""
    content = [element("title", escape(title)), element("desc", escape(description))]
    if brush.style:
        content.append(element("style", brush.style))
    content.append(element("rect", width="100%", height="100%", **brush.paint(fill="back")))
    return element(
        "svg",
        "\n" + "\n".join([*content, *body]) + "\n",
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {coordinate(width)} {coordinate(height)}",
        width=float(width),
        height=float(height),
        role="img",
        aria_label=title,
        font_family=FONT,
        font_size=str(size),
        class_="cr-auto" if brush.style else None,
    )
