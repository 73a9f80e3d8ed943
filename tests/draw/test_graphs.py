import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.draw import Edge, GraphDrawing, Node
from chainrule.draw.graphs import KINDS
from chainrule.errors import ArgumentError, GraphError

MIXED = GraphDrawing(
    "(w1 + c1)² + w2³",
    (
        Node("w1", ("w1", "1", "∂L/∂w1 = −2"), "leaf"),
        Node("c1", ("c1", "−2"), "constant"),
        Node("w2", ("w2", "2"), "constant"),
        Node("u", ("u = w1 + c1", "−1", "∂L/∂u = −2")),
        Node("p", ("p = u²", "1", "∂L/∂p = 1")),
        Node("q", ("q = w2³", "8"), "constant"),
        Node("L", ("L = p + q", "9", "∂L/∂L = 1"), "output"),
        Node("w3", ("w3", "0", "∂L/∂w3 = None"), "unused"),
    ),
    (
        Edge("w1", "u", "1"),
        Edge("c1", "u", live=False),
        Edge("u", "p", "2u = −2"),
        Edge("w2", "q", live=False),
        Edge("p", "L", "1"),
        Edge("q", "L", live=False),
    ),
)


def test_the_mixed_case_as_text():
    assert MIXED.to_text() == "\n".join(
        [
            "(w1 + c1)² + w2³",
            "(w1)           1   ∂L/∂w1 = −2    a leaf: gets a gradient",
            "┆c1┆           −2                 a constant: not tracked",
            "┆w2┆           2                  a constant: not tracked",
            "[u = w1 + c1]  −1  ∂L/∂u = −2     ◀ w1 (1), c1 (not tracked)",
            "[p = u²]       1   ∂L/∂p = 1      ◀ u (2u = −2)",
            "┆q = w2³┆      8                  a constant: not tracked  ◀ w2 (not tracked)",
            "╔L = p + q╗    9   ∂L/∂L = 1      the output  ◀ p (1), q (not tracked)",
            "┆w3┆           0   ∂L/∂w3 = None  not used by the output",
        ]
    )


def box(picture, text):
    """The rectangle of the node whose hover text begins with `text`."""
    ns = "{http://www.w3.org/2000/svg}"
    (found,) = [g for g in picture.all("g") for t in g.findall(f"{ns}title") if t.text.startswith(text)]
    return found.find(f"{ns}rect")


def test_shape_and_border_tell_the_kind(read_svg):
    picture = read_svg(MIXED.to_svg(theme="light"))
    leaf, computed, constant, unused, output = (box(picture, t) for t in ("w1", "u =", "c1", "w3", "L ="))
    assert leaf.get("rx")
    assert computed.get("rx") is None
    assert float(leaf.get("stroke-width")) > float(computed.get("stroke-width"))
    assert float(output.get("stroke-width")) > float(leaf.get("stroke-width"))
    assert output.get("stroke") not in (leaf.get("stroke"), computed.get("stroke"))
    assert constant.get("stroke-dasharray")
    assert unused.get("stroke-dasharray")
    assert computed.get("stroke-dasharray") is None


def test_the_legend_names_the_kinds_that_occur(read_svg):
    words = read_svg(MIXED.to_svg()).words
    assert {"leaf", "computed", "constant", "output", "not used"} <= set(words)
    assert "leaf without a name" not in words


def test_live_edges_carry_their_derivative_and_dead_ones_are_dashed(read_svg):
    picture = read_svg(MIXED.to_svg(theme="light"))
    assert "2u = −2" in picture.words
    curves = [p for p in picture.all("path") if "C" in p.get("d")]
    assert [bool(p.get("stroke-dasharray")) for p in curves] == [not e.live for e in MIXED.edges]


def test_the_longest_chip_fits_between_its_boxes():
    g = GraphDrawing("t", (Node(0, ("a",)), Node(1, ("b",))), (Edge(0, 1, "a very long derivative"),))
    data = g.to_json()
    first, second = data["nodes"]
    from chainrule.draw.lettering import text_width

    assert second["x"] - (first["x"] + first["width"]) >= text_width("a very long derivative", 12) + 24


def test_json_has_the_places_of_everything():
    data = MIXED.to_json()
    assert json.loads(json.dumps(data)) == data
    assert [n["id"] for n in data["nodes"]] == [n.id for n in MIXED.nodes]
    assert all(0 <= n["x"] <= n["x"] + n["width"] <= data["width"] + 0.1 for n in data["nodes"])
    assert all(0 <= n["y"] <= n["y"] + n["height"] <= data["height"] + 0.1 for n in data["nodes"])
    assert data["edges"][2]["chip"] == "2u = −2"


def test_user_text_is_escaped(read_svg):
    nasty = '<script> & "x" \x1b[31m'
    g = GraphDrawing(nasty, (Node(0, (nasty, nasty), "leaf", nasty), Node(1, (nasty,))), (Edge(0, 1, nasty),))
    for theme in ("light", "dark", "auto", "page"):
        svg = g.to_svg(theme=theme)
        assert "<script" not in svg
        assert read_svg(svg).title == nasty.replace("\x1b", "\ufffd")
    assert "\x1b" not in g.to_text()


def test_long_rows_are_cut_in_the_box_and_whole_when_hovering(read_svg):
    long = "x" * 400
    picture = read_svg(GraphDrawing("t", (Node(0, (long,)),)).to_svg())
    assert long not in picture.words
    assert any(w.startswith("xxx") and w.endswith("…") for w in picture.words)
    assert any(long in (t.text or "") for t in picture.all("title"))


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_is_drawn_in_every_form(kind, read_svg):
    g = GraphDrawing("t", (Node(0, ("name",), kind),))
    assert "name" in read_svg(g.to_svg()).words
    assert "name" in g.to_text()


def test_an_empty_graph_is_a_picture(read_svg):
    g = GraphDrawing("nothing", ())
    assert read_svg(g.to_svg()).words == ["nothing"]
    assert g.to_text() == "nothing"


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 12), st.data())
def test_any_graph_is_a_picture(read_svg, n, data):
    nodes = tuple(
        Node(i, tuple(data.draw(st.lists(st.text(), max_size=3))), data.draw(st.sampled_from(list(KINDS))))
        for i in range(n)
    )
    pairs = data.draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=20))
    edges = tuple(
        Edge(min(p), max(p), data.draw(st.text()), data.draw(st.booleans())) for p in pairs if p[0] != p[1]
    )
    g = GraphDrawing(data.draw(st.text()), nodes, edges)
    read_svg(g.to_svg())
    assert len(g.to_text().splitlines()) == 1 + n


def test_ten_thousand_nodes_in_a_chain_and_in_a_star_are_no_problem(read_svg):
    n = 10_000
    nodes = tuple(Node(i, (f"n{i}",)) for i in range(n))
    chain = GraphDrawing(
        "chain", nodes, (*tuple(Edge(i, i + 1, "2") for i in range(n - 1)), Edge(0, n - 1, "1"))
    )
    star = GraphDrawing("star", nodes, tuple(Edge(i, n - 1, "2") for i in range(n - 1)))
    for g in (chain, star):
        assert g.to_svg().count("<rect") > n
        assert len(g.to_text().splitlines()) == n + 1


def test_bad_graphs_are_refused_with_the_way_out():
    with pytest.raises(GraphError, match="same id"):
        GraphDrawing("t", (Node(0, ("a",)), Node(0, ("b",))))
    with pytest.raises(GraphError, match="no node"):
        GraphDrawing("t", (Node(0, ("a",)),), (Edge(0, 1),))
    with pytest.raises(ArgumentError, match="'leaf'"):
        Node(0, ("a",), "root")
    with pytest.raises(GraphError, match="circle"):
        GraphDrawing("t", (Node(0, ("a",)), Node(1, ("b",))), (Edge(0, 1), Edge(1, 0))).to_svg()
