"""The sessions on the pages of docs/ are run: what they print is what a reader gets."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(p for p in DOCS.glob("*.md") if ">>> " in p.read_text(encoding="utf-8"))
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def session(text: str) -> str:
    """The blocks of Python on a page as one session; what stands between stays as blank lines, for line numbers."""
    parts = re.split(r"^```(?:python)?\n?", text, flags=re.MULTILINE)
    return "\n".join(part if k % 2 else "\n" * part.count("\n") for k, part in enumerate(parts))


def failures(name: str, text: str) -> str:
    """What differs, as doctest tells it; "" if nothing does."""
    test = doctest.DocTestParser().get_doctest(session(text), {}, name, name, 0)
    said: list[str] = []
    doctest.DocTestRunner(optionflags=FLAGS, verbose=False).run(test, out=said.append)
    return "".join(said)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_a_page_prints_what_it_says(page):
    assert failures(page.name, page.read_text(encoding="utf-8")) == ""


def test_the_page_of_derivatives_is_among_them():
    assert "derivatives.md" in {p.name for p in PAGES}


def test_a_wrong_number_on_a_page_is_noticed():
    assert "Expected" in failures("page", "Text.\n\n```python\n>>> 1 + 1\n3\n\n```\n")
