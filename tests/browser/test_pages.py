"""The report and the pictures as a browser draws them: both themes, on a telephone and on a desktop."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import chainrule as cr
from chainrule.draw import Figure, Page, Section
from chainrule.insight import tour
from docs import pictures

SIZES = pytest.mark.parametrize("width", [360, 1280])
_NARROW = "<!DOCTYPE html><meta name=viewport content='width=device-width'>"
THEMES = pytest.mark.parametrize("theme", ["light", "dark"])


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tour.run(tmp_path_factory.mktemp("report")).report


@pytest.fixture(scope="session")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gallery") / "pictures.html"
    path.write_text(pictures.page().to_html(), encoding="utf-8")
    return path


@THEMES
@SIZES
@pytest.mark.parametrize("which", ["report", "gallery"])
def test_nothing_is_cut_covered_or_pale(
    browser: Any, look: str, request: Any, which: str, width: int, theme: str
):
    browser.open(request.getfixturevalue(which), width=width, theme=theme)
    assert browser.run(look) == []


@pytest.mark.parametrize("which", ["report", "gallery"])
def test_nothing_is_requested_from_outside(browser: Any, request: Any, which: str):
    browser.open(request.getfixturevalue(which), width=1280, theme="light")
    outside = [url for url in browser.requests if not url.startswith(("file:", "data:"))]
    assert outside == []


def test_the_choice_of_colours_wins_over_the_system(browser: Any, report: Path):
    browser.open(report, width=1280, theme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = browser.run(ground)
    browser.run("document.getElementById('theme-dark').click()")
    dark = browser.run(ground)
    browser.open(report, width=1280, theme="dark")
    assert browser.run(ground) == dark != light


def test_paper_is_light_and_shows_no_controls(browser: Any, report: Path):
    browser.open(report, width=1280, theme="dark", media="print")
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.run("getComputedStyle(document.querySelector('nav')).display") == "none"


def test_a_card_shows_its_picture_in_both_themes(browser: Any, tmp_path: Path):
    """The picture in an <img> follows the system; its ground is its own."""
    w = cr.tensor(1.0, requires_grad=True)
    card = cr.graph(4 * w + w**3)._repr_mimebundle_()["text/html"]
    (tmp_path / "card.html").write_text(_NARROW + card, encoding="utf-8")
    for theme in ("light", "dark"):
        browser.open(tmp_path / "card.html", width=360, theme=theme)
        assert browser.run("document.images[0].decode().then(() => document.images[0].naturalWidth)") > 300
        assert browser.run("document.images[0].getBoundingClientRect().width") <= 360


def test_the_eye_sees_what_is_wrong(browser: Any, look: str, tmp_path: Path):
    """The check above can fail: text on text, pale text, text that is cut, a page that is too wide."""
    svg = (
        '<svg aria-label="p" width="100" height="50" xmlns="http://www.w3.org/2000/svg"><title>p</title>'
        '<rect width="100" height="50" fill="#fff"/><text x="5" y="20" fill="#000">one</text>'
        '<text x="8" y="22" fill="#000">two</text><text x="80" y="40" fill="#000">far too long</text>'
        '<text x="5" y="45" fill="#ccc">pale</text></svg>'
    )
    body = f'<p style="width:2000px;color:#bbb">dim</p>{svg}'
    (tmp_path / "bad.html").write_text(f"<!DOCTYPE html><title>bad</title>{body}", encoding="utf-8")
    browser.open(tmp_path / "bad.html", width=1280, theme="light")
    found = " | ".join(browser.run(look))
    for words in (
        "wide in a window",
        '"one" and "two" lie on each other',
        "is cut off",
        '"pale" has a contrast',
        '"dim"',
    ):
        assert words in found


@THEMES
def test_axe_finds_nothing(browser: Any, report: Path, theme: str):
    """axe-core, where it was brought with npm (CHAINRULE_AXE names its file): a check for developers."""
    file = Path(os.environ.get("CHAINRULE_AXE", "build/browser/node_modules/axe-core/axe.min.js"))
    if not file.exists():
        pytest.skip("axe-core is not here: npm install --prefix build/browser axe-core")
    browser.open(report, width=1280, theme=theme)
    browser.run(file.read_text(encoding="utf-8") + "; 0")
    found = browser.run("axe.run().then(r => r.violations.map(v => v.id + ': ' + v.nodes[0].target))")
    assert found == []


def test_every_example_of_the_gallery_is_a_figure():
    page = pictures.page()
    assert isinstance(page, Page)
    blocks = [b for s in page.sections if isinstance(s, Section) for b in s.blocks]
    assert sum(isinstance(b, Figure) for b in blocks) >= 8
