"""Pictures in notebooks and in files."""

import base64
import html.parser
import re
from pathlib import Path

import pytest

import chainrule
from chainrule.draw import Edge, GraphDrawing, Node, plot_components, plot_function, plot_matrix
from chainrule.errors import ArgumentError

EVIL = '<script>alert("x")</script>'
GRAPH = GraphDrawing(
    EVIL, (Node("w", (EVIL, "1"), "leaf"), Node("L", ("L", "2"), "output")), (Edge("w", "L", EVIL),)
)
PICTURES = [
    GRAPH,
    plot_function([0.0, 1.0], [0.0, 1.0], point=(1.0, 1.0), slope=1.0, title=EVIL, labels=(EVIL, "L")),
    plot_components([EVIL], [1.0], title=EVIL),
    plot_matrix([[1.0]], [EVIL], ["z"], title=EVIL),
]

# JupyterLab's sanitiser keeps these and drops all others; of addresses it keeps data: in images.
KEPT = {"div", "img", "details", "summary", "table", "thead", "tbody", "tr", "th", "td"}


class Elements(html.parser.HTMLParser):
    """Names and attributes of all elements, and the visible text."""

    def __init__(self, text):
        super().__init__()
        self.found, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)


@pytest.mark.parametrize("picture", PICTURES, ids=lambda p: type(p).__name__)
def test_a_card_survives_the_sanitiser_of_jupyterlab(picture):
    elements = Elements(picture._repr_mimebundle_()["text/html"])
    assert {tag for tag, _ in elements.found} <= KEPT
    assert not [name for _, given in elements.found for name in given if name.startswith("on")]


@pytest.mark.parametrize("picture", PICTURES, ids=lambda p: type(p).__name__)
def test_the_image_of_a_card_is_the_picture(picture):
    found = picture._repr_mimebundle_()
    (image,) = (given for tag, given in Elements(found["text/html"]).found if tag == "img")
    head, _, data = image["src"].partition(",")
    assert head == "data:image/svg+xml;base64"
    assert base64.b64decode(data).decode() == found["image/svg+xml"] == picture.to_svg()
    assert image["alt"].startswith(EVIL)


def test_the_table_of_a_card_says_what_the_picture_says():
    words = " ".join(Elements(GRAPH._repr_mimebundle_()["text/html"]).words)
    assert "a leaf: gets a gradient" in words
    assert f"{EVIL} ({EVIL})" in words  # the use, with its local derivative
    columns, rows = plot_components(["w1", "w2"], [-2.0, None]).to_rows()
    assert list(columns) == ["name", "series", "value"]
    assert rows == [["w1", "", "−2"], ["w2", "", "None"]]
    assert plot_matrix([[2.0], [-4.0]], ["a", "b"], ["z"]).to_rows() == (["", "z"], [["a", "2"], ["b", "−4"]])


def test_at_a_prompt_a_picture_is_its_text():
    assert repr(GRAPH) == GRAPH.to_text() == GRAPH._repr_mimebundle_()["text/plain"]
    assert repr(PICTURES[1]) == PICTURES[1].to_text()


@pytest.mark.parametrize(
    "ending, start", [("svg", "<svg"), ("html", "<!DOCTYPE html>"), ("txt", "<script>"), ("json", "{")]
)
def test_the_ending_of_the_name_says_the_form(tmp_path, ending, start):
    path = tmp_path / f"picture.{ending}"
    GRAPH.save(path)
    assert path.read_text(encoding="utf-8").startswith(start)


def test_a_page_of_one_picture_loads_nothing(tmp_path):
    PICTURES[1].save(tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text(encoding="utf-8").replace("http://www.w3.org/", "")
    assert not re.search(r"https?:|<script", text)


def test_another_form_is_refused_with_the_way_out(tmp_path):
    with pytest.raises(ArgumentError, match=r"(?s)a\.png.*savefig"):
        GRAPH.save(tmp_path / "a.png")


def test_nothing_that_is_shipped_names_an_address_to_load():
    """No address in any file of the package, the name of the SVG language excepted: pages work without a network."""
    root = Path(chainrule.__file__).parent
    found = [
        f"{path.relative_to(root)}: {match[0]}"
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
        for match in re.finditer(
            r"(?:https?:)?//[\w.-]+\.(?:org|com|net|io)\S*", path.read_text(encoding="utf-8")
        )
        if match[0].rstrip('",') != "http://www.w3.org/2000/svg"
    ]
    assert found == []
