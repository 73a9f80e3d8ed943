import re
from html.parser import HTMLParser

import pytest

from chainrule.draw import (
    Edge,
    Figure,
    GraphDrawing,
    Markup,
    Node,
    Page,
    Paragraph,
    Section,
    Table,
    Text,
    plot_components,
    plot_function,
)
from chainrule.errors import ShapeError

NASTY = '<script>alert(1)</script> & "q" \x00'
GRAPH = GraphDrawing("g", (Node(0, ("w",), "leaf"), Node(1, ("L",), "output")), (Edge(0, 1, "2"),))
PAGE = Page(
    NASTY,
    NASTY,
    [
        Section(
            NASTY,
            [Paragraph(NASTY), Text(NASTY, NASTY), Table(NASTY, [NASTY, "n"], [[NASTY, 1.0], ["b", None]])],
        ),
        Section(
            "Pictures",
            [Figure(plot_function([0, 1], [0, 1], title=NASTY), NASTY), Figure(GRAPH, "two nodes")],
        ),
        Section("Formula", [Markup("<math aria-label='w²'><msup><mi>w</mi><mn>2</mn></msup></math>", "w²")]),
    ],
)
VOID = {"meta", "input", "br", "hr", "img", "link"}


class Reader(HTMLParser):
    """Elements in order; checks that every element is closed in its place."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag: str) -> list[dict]:
        return [attrs for name, attrs in self.seen if name == tag]


def test_the_reader_notices_a_wrong_nesting():
    with pytest.raises(AssertionError):
        Reader("<p><b></p></b>")


def test_a_page_is_well_formed_and_without_script():
    page = Reader(PAGE.to_html())
    assert page.all("script") == []
    assert not any(name.startswith("on") for _, attrs in page.seen for name in attrs)
    assert NASTY.replace("\x00", "\ufffd") in page.texts


def test_a_page_asks_for_nothing_from_elsewhere():
    html = PAGE.to_html()
    assert set(re.findall(r"https?://[^\"' ]*", html)) == {
        "http://www.w3.org/2000/svg"
    }  # a name, not an address
    assert "url(" not in html
    page = Reader(html)
    assert page.all("link") == page.all("img") == page.all("iframe") == []
    assert any("default-src 'none'" in attrs.get("content", "") for attrs in page.all("meta"))


def test_landmarks_language_and_names_for_screen_readers():
    page = Reader(PAGE.to_html())
    assert page.all("html") == [{"lang": "en"}]
    for landmark in ("header", "nav", "main", "h1"):
        assert len(page.all(landmark)) == 1
    sections = page.all("section")
    headings = page.all("h2")
    assert [s["aria-labelledby"] for s in sections] == [h["id"] for h in headings]
    assert {a["href"] for a in page.all("a")} == {"#content"} | {f"#{h['id']}" for h in headings}
    assert len(page.all("caption")) == len(page.all("table")) == 1
    assert {th["scope"] for th in page.all("th")} == {"col", "row"}
    assert all(svg["role"] == "img" and svg["aria-label"] for svg in page.all("svg"))


def test_ids_are_unique():
    ids = [attrs["id"] for _, attrs in Reader(PAGE.to_html()).seen if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_what_scrolls_sideways_can_be_reached_with_the_keyboard():
    page = Reader(PAGE.to_html())
    scrolling = [
        a for a in page.all("div") if a.get("class", "").startswith("scroll") and a.get("role")
    ] + page.all("pre")
    assert len(scrolling) == 5  # table, graph, code, and the text form of two pictures
    assert all(a["tabindex"] == "0" and a["aria-label"] for a in scrolling)


def test_both_themes_follow_the_system_and_can_be_chosen():
    html = PAGE.to_html()
    assert "@media (prefers-color-scheme:dark)" in html
    assert ":root:has(#theme-dark:checked)" in html
    assert '<input type="radio" name="theme" id="theme-dark">' in html
    assert "@media print" in html
    assert html.index("@media print") > html.index(
        "#theme-dark:checked"
    )  # paper is light whatever was chosen


def test_colours_of_pictures_come_from_the_page():
    assert ".f-blue{fill:var(--blue)}" in PAGE.to_html()
    assert 'class="cr-auto"' not in PAGE.to_html()


def test_numbers_stand_right_and_are_formatted():
    html = Table("t", ["name", "x"], [["a", -0.5], ["b", 1e-7], ["c", None]]).to_html()
    assert '<td class="number">−0.5</td>' in html
    assert '<td class="number">1e−7</td>' in html
    assert '<td class="number">None</td>' in html


def test_trusted_markup_is_the_only_thing_that_is_not_escaped():
    page = PAGE.to_html()
    assert "<msup><mi>w</mi><mn>2</mn></msup>" in page
    assert "<script" not in page
    assert "<b>x</b>" in Table("t", ["a"], [[Markup("<b>x</b>", "x")]]).to_html()


def test_a_page_as_text():
    page = Page(
        "Report",
        "One line.",
        [
            Section(
                "First",
                [Paragraph("A paragraph."), Text("code", "cell"), Table("t", ["name", "x"], [["a", -0.5]])],
            ),
            Section(
                "Second",
                [Figure(plot_components(["w"], [2.0], title="bars"), "One bar."), Markup("<i>m</i>", "m²")],
            ),
        ],
    )
    bar = "█" * 56
    assert page.to_text() == "\n".join(
        [
            "Report",
            "══════",
            "One line.",
            "",
            "First",
            "─────",
            "A paragraph.",
            "",
            "cell",
            "    code",
            "",
            "t",
            "name     x",
            "────  ────",
            "a     −0.5",
            "",
            "Second",
            "──────",
            "bars",
            f"w {bar} 2",
            "",
            "One bar.",
            "",
            "m²",
        ]
    )


def test_a_row_with_missing_cells_is_refused():
    with pytest.raises(ShapeError, match="one cell per column"):
        Table("t", ["a", "b"], [["x"]])


def test_a_page_of_one_section_needs_no_contents():
    assert "<nav" not in Page("t", "l", [Section("s", [])]).to_html()
