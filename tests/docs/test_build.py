"""The generated reference: complete, and it fails where an entry lacks something."""

import dataclasses

import pytest

from chainrule.errors import ShapeError
from chainrule.table import TABLE
from docs import pictures
from docs.build import build, codes, error, index, operation


@pytest.mark.parametrize("p", TABLE.values(), ids=lambda p: p.name)
def test_every_operation_has_a_page_with_its_parts(p):
    written = operation(p).to_text()
    for part in (p.doc.split()[0], "Formula", "Derivative", "Where it is special", "Samples", "Source"):
        assert part in written


def test_page_shows_formula_derivative_and_what_is_kept():
    written = operation(TABLE["sin"]).to_text()
    assert "sin(x)" in written
    assert r"\sin(x)" in written
    assert "cos(x)" in written
    assert "<svg" in operation(TABLE["sin"]).to_html()


def test_page_names_kinks_and_holes():
    written = operation(TABLE["sqrt"]).to_text()
    assert "by continuity" in written
    assert "no real root exists" in written


@pytest.mark.parametrize("missing", [{"doc": ""}, {"latex": ""}, {"source": ""}, {"samples": ()}])
def test_an_entry_that_lacks_something_stops_the_build(missing):
    with pytest.raises(ValueError, match="lacks"):
        operation(dataclasses.replace(TABLE["sin"], **missing))


def test_every_code_has_a_page_that_says_what_catches_it():
    assert len({c.code for c in codes()}) == len(codes())
    written = error(ShapeError).to_text()
    assert "E101" in written
    assert "ValueError" in written


def test_index_leads_to_every_page(tmp_path):
    n = build(tmp_path)
    assert n == len(list(tmp_path.rglob("*.html"))) == len(TABLE) + len(codes()) + 4
    html = index().to_html()
    for path in tmp_path.rglob("*.html"):
        assert path.name == "index.html" or f'href="{path.relative_to(tmp_path).as_posix()}"' in html


def test_the_picture_in_the_readme_is_the_one_that_is_drawn():
    assert pictures.README_PICTURE.read_text(encoding="utf-8") == pictures.mixed().to_svg() + "\n"
