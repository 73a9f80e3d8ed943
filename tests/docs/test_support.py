"""The page of what works: every operation is on it, and a mark is an answer that was checked."""

import pytest

import chainrule as cr
from docs import support
from docs.support import FLAT, METHODS, NO, YES, operations, page, row

OPERATIONS = (*operations(), *METHODS)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_has_its_value_and_derivatives_of_both_orders(name):
    found = row(name)
    assert found.marks[0] == YES, found.said
    assert set(found.marks[1:4]) <= {YES, FLAT}, found.said


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_refuses_says_so_with_a_code(name):
    found = row(name)
    assert len(found.said) == found.marks.count(NO)
    assert all("[E" in words for words in found.said)


def test_page_has_a_line_for_every_operation():
    written = page().to_text()
    assert all(name in written for name in OPERATIONS)


@pytest.mark.parametrize(
    "way, f",
    [
        ("reverse", lambda x: x.detach() * x),  # half of the slope of a square
        ("second order", lambda x: x**3 - x.detach() ** 3 / 2),
        ("forward", lambda x: x.sin()),
        ("vmap", lambda x: x - x.mean()),
    ],
)
def test_a_wrong_answer_gets_no_mark(way, f, monkeypatch):
    if way == "forward":
        monkeypatch.setattr(cr, "jvp", lambda f, at, ts: (f(*at), ts[0]))
    if way == "vmap":
        monkeypatch.setattr(cr, "vmap", lambda f: f, raising=False)
    if way == "second order":
        monkeypatch.setattr(support, "_gradient", lambda f: lambda x: x.detach() * x)
    with pytest.raises(AssertionError):
        support.WAYS[way](f)
