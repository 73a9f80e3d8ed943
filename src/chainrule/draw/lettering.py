"""User text made safe, and how wide it is: in terminal cells and in pixels. No font is ever asked."""

from __future__ import annotations

import unicodedata

# Advance per em, from DejaVu Sans, the widest of the common interface fonts: boxes are never too narrow.
_ADVANCES = (
    (0.30, "'ijl|IJ"),
    (0.36, ",. ·/:;\\f-!²³ⁿ₀₁₂₃₄₅₆₇₈₉⁰¹⁴⁵⁶⁷⁸⁹"),
    (0.42, '()[]rt"'),
    (0.55, "sz∂?c*_`‖LkF"),
    (0.60, "vxyPaoTYγλδ"),
    (0.66, "bdeghnpquEKSΣσκαφβμ0123456789${}√∇"),
    (0.78, "ABCDGHNQRUVXZO&"),
    (0.84, "w#+<=>^~−→←≤≥×∞M"),
    (1.00, "mW@%…"),
)
_ADVANCE = {ch: w for w, chars in _ADVANCES for ch in chars}


def clean(text: object) -> str:
    """One line that XML, HTML and terminals accept: white space becomes a space, what they refuse `�`.

    Examples
    --------
    >>> clean("two\\nlines, escape \\x1b[31m")
    'two lines, escape �[31m'
    """
    return "".join(map(_clean_character, str(text)))


def clean_block(text: object) -> str:
    """The same for text of several lines: line breaks stay, tabs become four spaces."""
    return "\n".join(clean(line.replace("\t", "    ")) for line in str(text).splitlines())


def _clean_character(ch: str) -> str:
    if ch.isprintable():
        return ch
    if ch.isspace():
        return " "
    # Cc: control, Cs: lone surrogate, Cn: no character, Cf: invisible, among them those that turn the
    # direction of the text around and could make a name read as another one.
    return "" if ch in "\u200b\u200d\ufeff" else "\ufffd"


def escape(text: object) -> str:
    """Text for the inside of an XML or HTML element or attribute.

    Examples
    --------
    >>> escape('<script> & "x"')
    '&lt;script&gt; &amp; &quot;x&quot;'
    """
    return _escape_marks(clean(text))


def escape_block(text: object) -> str:
    """The same for text of several lines."""
    return _escape_marks(clean_block(text))


def _escape_marks(text: str) -> str:
    for mark, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#39;")):
        text = text.replace(mark, name)
    return text


def cells(text: str) -> int:
    """Columns of a terminal that the text takes."""
    return sum(
        0 if unicodedata.combining(ch) else 2 if unicodedata.east_asian_width(ch) in "WF" else 1
        for ch in text
    )


def pad(text: str, width: int, *, right: bool = False) -> str:
    """The text with spaces up to `width` columns, to its left when `right`."""
    space = " " * (width - cells(text))
    return space + text if right else text + space


def text_width(text: str, size: float) -> float:
    """Pixels that the text takes at most in a proportional interface font of that size."""
    return size * sum(
        _ADVANCE.get(ch, 1.0 if ord(ch) > 0x2E7F else 0.0 if unicodedata.combining(ch) else 0.7)
        for ch in text
    )


def shorten(text: str, width: float, size: float) -> str:
    """The text, cut and ended with `…` where it is wider than `width` pixels."""
    if text_width(text, size) <= width:
        return text
    room, kept = width - text_width("…", size), []
    for ch in text:
        room -= text_width(ch, size)
        if room < 0:
            break
        kept.append(ch)
    return "".join(kept).rstrip() + "…"


def wrap(text: str, width: float, size: float, *, lines: int = 3) -> list[str]:
    """The text in at most `lines` lines of at most `width` pixels, broken at spaces."""
    broken: list[str] = []
    for word in text.split():
        longer = f"{broken[-1]} {word}" if broken else word
        if broken and text_width(longer, size) <= width:
            broken[-1] = longer
        elif len(broken) < lines:
            broken.append(word)
        else:
            broken[-1] = longer  # cut below
    return [shorten(line, width, size) for line in broken]
