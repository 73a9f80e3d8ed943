import dataclasses
import json
import math
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.draw import Bar, Curve, Drawing, Line, Matrix, Path, Point, Segment, plot_contour
from chainrule.errors import ArgumentError, ShapeError

THEMES = ("light", "dark", "auto", "page")
ANY = st.floats()
NASTY = "<script>alert('x')</script> & \"q\" \x00"
EVERYTHING = Drawing(
    NASTY,
    x_label=NASTY,
    y_label=NASTY,
    curves=(Curve([0, 1, 2], [0, 1, 4], NASTY),),
    segments=(Segment(0, 0, 2, 4, NASTY),),
    points=(Point(1, 1, NASTY),),
    lines=(Line("y", 2.0, NASTY), Line("x", 0.5, NASTY)),
    paths=(Path([0, 1], [1, 2], NASTY),),
)
BARS = Drawing(NASTY, unit=NASTY, bars=(Bar(NASTY, 1.0, NASTY), Bar("n", None), Bar("m", -2.0)))
MATRIX = Drawing(NASTY, matrix=Matrix((NASTY,), (NASTY, "b"), ((1.0, math.nan),)))


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("drawing", [EVERYTHING, BARS, MATRIX], ids=["plane", "bars", "matrix"])
def test_user_text_is_escaped_everywhere(drawing, theme, read_svg):
    svg = drawing.to_svg(theme=theme)
    assert "<script" not in svg
    picture = read_svg(svg)
    assert picture.title == NASTY.replace("\x00", "\ufffd")
    assert picture.all("script") == []
    assert "\x00" not in drawing.to_text()


@pytest.mark.parametrize("drawing", [EVERYTHING, BARS, MATRIX], ids=["plane", "bars", "matrix"])
def test_a_picture_has_an_opaque_ground_and_loads_nothing(drawing, read_svg):
    for theme, ground in (("light", "#ffffff"), ("dark", "#14171c"), ("auto", "#ffffff")):
        svg = drawing.to_svg(theme=theme)
        assert read_svg(svg).all("rect", width="100%")[0].get("fill") == ground
        assert svg.count("http") == 1  # the name space
        assert "url(" not in svg
        assert " id=" not in svg  # two pictures in one page must not share names


def test_one_file_carries_both_themes():
    svg = EVERYTHING.to_svg()
    assert "prefers-color-scheme:dark" in svg
    assert ".cr-auto .f-back{fill:#14171c}" in svg
    assert "prefers-color-scheme" not in EVERYTHING.to_svg(theme="page")


def test_a_curve_is_drawn_at_its_place(read_svg):
    """y = x over [0, 1] without margins: from the lower left to the upper right corner of the frame."""
    d = Drawing("t", curves=(Curve([0, 1], [0, 1]),), x_range=(0, 1), y_range=(0, 1))
    picture = read_svg(d.to_svg(theme="light"))
    (curve,) = picture.all("path", stroke="#0072b2")
    frame = picture.all("path", stroke="#57606a")[-1].get("d")  # M left top V bottom H right
    left, top, bottom, right = (
        float(v) for v in frame.replace("M", "").replace("V", " ").replace("H", " ").split()
    )
    assert curve.get("d") == f"M{left:g} {bottom:g}L{right:g} {top:g}"


def test_nan_and_infinity_interrupt_a_curve(read_svg):
    d = Drawing("t", curves=(Curve(range(7), [1, 2, math.nan, 2, 1, math.inf, 0]),))
    (curve,) = read_svg(d.to_svg(theme="light")).all("path", stroke="#0072b2")
    assert curve.get("d").count("M") == 3
    assert curve.get("d").endswith("h0")  # the last point stands alone: a dot


@pytest.mark.parametrize(
    "ys",
    [
        [],
        [1.0],
        [3.0, 3.0, 3.0],
        [1e-300, 1e300],
        [-1.8e308, 1.8e308],
        [0.0, 5e-324],
        [math.nan],
        [math.inf, -math.inf],
    ],
    ids=str,
)
@pytest.mark.parametrize("log_y", [False, True])
def test_strange_curves_are_pictures_too(ys, log_y, read_svg):
    d = Drawing("t", curves=(Curve(range(len(ys)), ys, "c"),), log_y=log_y)
    assert "c" in read_svg(d.to_svg()).words
    lines = d.to_text(width=20, height=5).splitlines()
    assert len(lines) == 8  # title, 5 rows, axis, ticks
    json.dumps(d.to_json(), allow_nan=False)


def test_an_empty_picture_says_so(read_svg):
    assert "nothing to show" in read_svg(Drawing("empty").to_svg()).words


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(ANY, ANY)),
    st.tuples(ANY, ANY),
    st.tuples(ANY, ANY, ANY, ANY),
    st.booleans(),
    st.booleans(),
)
def test_no_number_breaks_a_plane(read_svg, pairs, point, ends, log_y, equal):
    xs, ys = zip(*pairs, strict=True) if pairs else ((), ())
    d = Drawing(
        "t",
        curves=(Curve(xs, ys, "c"),),
        paths=(Path(ys, xs, "p"),),
        points=(Point(*point, "here"),),
        segments=(Segment(*ends, "s"),),
        lines=(Line("x", point[0], "l"), Line("y", point[1], "m")),
        log_y=log_y,
        equal=equal,
    )
    for theme in ("light", "auto"):
        read_svg(d.to_svg(theme=theme))
    rows = d.to_text(width=30, height=6).splitlines()[1:7]
    assert all("│" in row for row in rows)
    json.dumps(d.to_json(), allow_nan=False)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.text(), st.none() | ANY, st.sampled_from(["", "a", "b"])), min_size=1))
def test_no_number_breaks_bars(read_svg, entries):
    d = Drawing("t", bars=tuple(Bar(*e) for e in entries))
    read_svg(d.to_svg())
    lines = d.to_text(width=10).splitlines()
    assert len(lines) == 1 + len(entries)
    assert all(line.count("█") <= 10 for line in lines)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 4), st.integers(0, 4), st.data())
def test_no_number_breaks_a_matrix(read_svg, m, n, data):
    values = data.draw(st.lists(st.lists(ANY, min_size=n, max_size=n), min_size=m, max_size=m))
    d = Drawing("t", matrix=Matrix(tuple("abcd"[:m]), tuple("wxyz"[:n]), tuple(map(tuple, values))))
    assert len(read_svg(d.to_svg()).words) == 1 + m + n + m * n  # title, names, numbers
    assert len(d.to_text().split("\n")) == 2 + m


def test_json_holds_the_numbers_and_none_for_what_json_lacks():
    data = Drawing("t", curves=(Curve([0.0, 1.0], [2.0, math.nan], "c"),)).to_json()
    assert data["kind"] == "drawing"
    assert data["curves"] == [{"xs": [0.0, 1.0], "ys": [2.0, None], "label": "c"}]
    assert json.loads(json.dumps(data, allow_nan=False)) == data


def test_the_description_says_what_is_to_be_seen(read_svg):
    curve, end = Curve([0, 1], [0, 2], "L(w)"), Point(1, 2, "end")
    limits = {"x_range": (0, 1), "y_range": (0, 2)}
    d = Drawing("t", x_label="w", y_label="L", curves=(curve,), points=(end,), **limits)
    expected = "w from 0 to 1, L from 0 to 2. Curve: L(w). Point (1, 2): end."
    assert d.describe() == expected
    assert read_svg(d.to_svg()).root[1].text == expected
    assert dataclasses.replace(d, description="mine").describe() == "mine"


def test_the_text_of_a_diagonal_exactly():
    """One Braille cell is 2 × 4 dots; two cells in one row, from the lower left to the upper right dot."""
    d = Drawing("y = x", curves=(Curve([0, 1], [0, 1], "c"),), x_range=(0, 1), y_range=(0, 1))
    assert d.to_text(width=2, height=1).splitlines()[0] == "y = x"
    row = d.to_text(width=2, height=1).splitlines()[1]
    assert row.endswith("   ⎯ c")
    drawn = row.split("│")[1][:2]
    assert next(ord(c) - 0x2800 for c in drawn) & 0x40  # lower left dot
    assert [ord(c) - 0x2800 for c in drawn][1] & 0x08  # upper right dot


def test_points_cover_lines_in_text():
    """y = 0 is the middle of 4 dots: one of the two rows there, the third (dots 3 and 6 of a cell)."""
    d = Drawing(
        "t", curves=(Curve([0, 1], [0, 0]),), points=(Point(0.5, 0.0),), x_range=(0, 1), y_range=(-1, 1)
    )
    assert d.to_text(width=3, height=1).splitlines()[1].endswith("│⠤●⠤")


def test_lines_of_different_length_are_refused():
    with pytest.raises(ShapeError, match="2 x, 1 y"):
        Curve([1, 2], [1])


def test_other_bad_input_is_refused_with_the_way_out():
    with pytest.raises(ArgumentError, match="use 'x' or 'y'"):
        Line("z", 0.0)
    with pytest.raises(ShapeError, match="one label per row"):
        Matrix(("a",), ("b",), ((1.0, 2.0),))
    with pytest.raises(ArgumentError, match="two finite limits"):
        Drawing("t", x_range=(1.0, 1.0)).to_svg()
    with pytest.raises(ArgumentError, match="at least one cell"):
        Drawing("t").to_text(width=0)


_PROGRAM = """
from chainrule.draw import *
d = plot_contour(*sample_grid(lambda u, v: u*u + v*v*v, (-2, 2), (-2, 2), n=15), path=[(1, 1), (0, 0)])
g = GraphDrawing("g", tuple(Node(f"n{i}", (f"n{i}",)) for i in range(30)),
                 tuple(Edge(f"n{i // 2}", f"n{i}", "1") for i in range(1, 30)))
print(d.to_svg(), d.to_text(), g.to_svg(), g.to_text(), g.to_json(),
      Page("p", "l", [Section("s", [Figure(d), Figure(g)])]).to_html())
"""


def test_pictures_are_the_same_bytes_in_every_process():
    outputs = []
    for seed in ("0", "1", "4242"):
        env = {
            **os.environ,
            "PYTHONHASHSEED": seed,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "PYTHONIOENCODING": "utf-8",
        }
        run = subprocess.run([sys.executable, "-c", _PROGRAM], env=env, capture_output=True, check=True)
        outputs.append(run.stdout)
    assert len(outputs[0]) > 10_000
    assert outputs[0] == outputs[1] == outputs[2]


def test_matplotlib_gets_the_same_numbers():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    before = dict(matplotlib.rcParams)
    ax = Figure().subplots()
    assert EVERYTHING.to_matplotlib(ax) is ax
    assert list(ax.lines[2].get_ydata()) == [0, 1, 4]  # after the two straight lines
    assert ax.get_title().startswith("<script>")
    ax = Figure().subplots()
    BARS.to_matplotlib(ax)
    assert sorted(patch.get_width() for patch in ax.patches) == [-2, 0, 1]
    ax = Figure().subplots()
    MATRIX.to_matplotlib(ax)
    assert [t.get_text() for t in ax.texts] == ["1", "nan"]
    ax = Figure().subplots()
    plot_contour([0, 1], [0, 1], [[0, 1], [0, 1]], levels=[0.5], title="cost in $ and $").to_matplotlib(ax)
    assert list(ax.lines[0].get_xdata()) == [0.5, 0.5]
    assert ax.get_title() == r"cost in \$ and \$"  # not mathematics
    assert dict(matplotlib.rcParams) == before


def test_importing_pictures_imports_neither_numpy_nor_matplotlib():
    """`chainrule` itself imports NumPy, so this asks for the imports of this folder only."""
    import ast
    import pathlib

    import chainrule.draw

    for path in sorted(pathlib.Path(chainrule.draw.__file__).parent.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        top = [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
        names = {a.name for n in top if isinstance(n, ast.Import) for a in n.names}
        names |= {n.module for n in top if isinstance(n, ast.ImportFrom)}
        ours = {n for n in names if n.startswith("chainrule")}
        assert all(n.startswith("chainrule.draw") or n == "chainrule.errors" for n in ours), path.name
        assert {n.partition(".")[0] for n in names} - {"chainrule"} <= set(sys.stdlib_module_names), path.name


def test_text_fits_the_terminal_with_the_legend_beside_or_below():
    d = Drawing("t", curves=(Curve([0, 1], [0, 1], "a legend of thirty letters here"),), x_label="x")
    beside, below = d.to_text(columns=90), d.to_text(columns=50)
    assert max(map(len, beside.splitlines())) <= 90
    assert beside.splitlines()[1].endswith("   ⎯ a legend of thirty letters here")
    assert max(map(len, below.splitlines())) <= 50
    assert below.splitlines()[-1].strip() == "⎯ a legend of thirty letters here"
