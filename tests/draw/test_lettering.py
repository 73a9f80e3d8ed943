import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.draw.lettering import cells, clean, clean_block, escape, pad, shorten, text_width, wrap

ANY_TEXT = st.text(st.characters())  # with control characters and lone surrogates


@given(ANY_TEXT)
def test_escaped_text_is_well_formed_as_content_and_as_attribute(text):
    element = ET.fromstring(f'<a b="{escape(text)}">{escape(text)}</a>')
    assert (element.text or "") == element.get("b") == clean(text)


@pytest.mark.parametrize("text", ["\x00", "\x1b", "\ud800", "\ufffe", "\u202e"])
def test_what_could_break_or_disguise_a_text_is_replaced(text):
    """NUL and a lone surrogate are not XML; ESC drives terminals; U+202E turns the direction around."""
    assert clean(f"a{text}b") == "a\ufffdb"


def test_white_space_becomes_one_line_or_stays_in_a_block():
    assert clean("a\nb\tc\u2028d") == "a b c d"
    assert clean_block("a\n\tb") == "a\n    b"


def test_wide_and_combining_characters_are_counted_in_cells():
    assert cells("w₁²") == 3
    assert cells("漢字") == 4
    assert cells("e\u0301") == 1
    assert pad("漢", 4) == "漢  "
    assert pad("漢", 4, right=True) == "  漢"


@given(ANY_TEXT, st.floats(20, 300))
def test_shortened_text_fits_and_says_that_it_was_cut(text, width):
    short = shorten(clean(text), width, 12)
    assert text_width(short, 12) <= width
    assert short == clean(text) or short.endswith("…")


@given(st.text("abc W", max_size=200), st.floats(40, 400))
def test_wrapped_text_fits_in_width_and_number_of_lines(text, width):
    lines = wrap(text, width, 12, lines=2)
    assert len(lines) <= 2
    assert all(text_width(line, 12) <= width for line in lines)


def test_text_is_broken_at_spaces():
    assert wrap("one two", text_width("one tw", 10), 10) == ["one", "two"]
