import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.draw.layout import columns, layered
from chainrule.errors import GraphError


@st.composite
def graphs(draw):
    """Edges always lead to a later node, so there is no circle."""
    n = draw(st.integers(1, 25))
    pairs = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda e: e[0] < e[1])
    return n, draw(st.lists(pairs, max_size=40)) if n > 1 else []


def test_a_value_stands_just_before_its_first_user():
    """w2 is made first, but used late: it stands beside its user. Nothing uses node 4: last column."""
    edges = [(1, 2), (2, 3), (0, 3)]
    assert columns(5, edges) == [1, 0, 1, 2, 2]


def test_a_circle_is_refused():
    with pytest.raises(GraphError, match="circle"):
        columns(3, [(0, 1), (1, 2), (2, 1)])
    with pytest.raises(GraphError, match="circle"):
        columns(1, [(0, 0)])


@settings(deadline=None)
@given(graphs())
def test_every_edge_leads_to_the_right_and_no_boxes_touch(graph):
    n, edges = graph
    sizes = [(40.0 + 5 * (v % 3), 30.0 + 10 * (v % 4)) for v in range(n)]
    layout = layered(sizes, edges, gaps=[50.0] * len(edges))
    assert all(layout.column[a] < layout.column[b] for a, b in edges)
    for (a, b), route in zip(edges, layout.routes, strict=True):
        assert len(route) % 2 == 0
        assert route[0][0] == pytest.approx(layout.boxes[a][0] + sizes[a][0])
        assert route[-1][0] == pytest.approx(layout.boxes[b][0])
        assert layout.boxes[b][1] <= route[-1][1] <= layout.boxes[b][1] + sizes[b][1]
        assert all(p[0] <= q[0] + 1e-6 for p, q in itertools.pairwise(route))
        assert route[-1][0] - route[-2][0] >= 50 - 1e-6  # room for the chip
    for (p, (w, h)), (q, (w2, h2)) in itertools.combinations(zip(layout.boxes, sizes, strict=True), 2):
        apart = p[0] + w <= q[0] or q[0] + w2 <= p[0] or p[1] + h <= q[1] + 1e-6 or q[1] + h2 <= p[1] + 1e-6
        assert apart
    assert all(x >= 0 and y >= -1e-6 for x, y in layout.boxes)
    assert all(x + w <= layout.width + 1e-6 for (x, _), (w, _) in zip(layout.boxes, sizes, strict=True))


def test_crossings_that_can_be_avoided_are():
    """Two chains written crosswise: 0→3 and 1→2. The ends stand in the order of the beginnings."""
    layout = layered([(10.0, 10.0)] * 4, [(0, 3), (1, 2)], gaps=[20.0] * 2)
    assert (layout.boxes[0][1] < layout.boxes[1][1]) == (layout.boxes[3][1] < layout.boxes[2][1])


def test_a_chain_is_straight():
    layout = layered([(10.0, 10.0)] * 5, [(k, k + 1) for k in range(4)], gaps=[20.0] * 4)
    assert {y for _, y in layout.boxes} == {0.0}
    assert [x for x, _ in layout.boxes] == [0.0, 30.0, 60.0, 90.0, 120.0]


def test_two_edges_between_the_same_boxes_are_apart():
    layout = layered([(40.0, 60.0)] * 2, [(0, 1), (0, 1)], gaps=[50.0] * 2, ports=22.0)
    first, second = layout.routes
    assert [q[1] - p[1] for p, q in zip(first, second, strict=True)] == [22.0, 22.0]


def test_an_edge_that_passes_a_box_goes_around_it():
    """0 → 1 → 2 and 0 → 2: the long edge bends beside node 1."""
    layout = layered([(40.0, 40.0)] * 3, [(0, 1), (1, 2), (0, 2)], gaps=[50.0] * 3)
    around = layout.routes[2][1][1]
    top, bottom = layout.boxes[1][1], layout.boxes[1][1] + 40
    assert around < top or around > bottom


def test_no_node_is_an_empty_layout():
    layout = layered([], [], gaps=[])
    assert (layout.boxes, layout.width, layout.height) == ((), 0, 0.0)
