import itertools
import math

import pytest

from chainrule.draw import (
    plot_components,
    plot_contour,
    plot_convergence,
    plot_function,
    plot_gradient_norms,
    plot_matrix,
    sample_curve,
    sample_grid,
)
from chainrule.errors import ShapeError


def test_the_lecture_s_first_case():
    """L(w) = 4w + w³ at 1: value 5, slope 4 + 3 = 7; the tangent spans half of [−2, 2]: from 0 to 2."""
    xs, ys = sample_curve(lambda w: 4 * w + w**3, -2.0, 2.0, n=5)
    assert (xs, ys) == ([-2, -1, 0, 1, 2], [-16, -5, 0, 5, 16])
    d = plot_function(xs, ys, point=(1.0, 5.0), slope=7.0, title="4w + w³")
    (tangent,) = d.segments
    assert (tangent.x0, tangent.y0, tangent.x1, tangent.y1) == (0.0, -2.0, 2.0, 12.0)
    assert tangent.label == "tangent, slope 7"
    assert d.points[0].label == "L(1) = 5"
    assert (d.x_label, d.y_label, d.curves[0].label) == ("w", "L", "L(w)")


def test_the_lecture_s_second_case(read_svg):
    d = plot_function(
        *sample_curve(lambda w: 4 * w - w**3, -2, 2), point=(1.5, 2.625), slope=-2.75, labels=("w", "L")
    )
    assert d.segments[0].label == "tangent, slope −2.75"
    assert d.segments[0].y1 == 2.625 - 2.75
    words = read_svg(d.to_svg()).words
    assert "tangent, slope −2.75" in words
    assert "L(1.5) = 2.625" in words


def test_a_function_without_a_point_is_only_a_curve():
    d = plot_function([0, 1], [1, 2])
    assert d.points == d.segments == ()


def test_a_tangent_beside_an_empty_curve_is_no_error():
    assert plot_function([], [], point=(0, 0), slope=1).segments[0].x1 == 1.0


def test_the_gradient_of_the_squared_norm_as_text():
    w = [0.1, 0.0] * 2
    d = plot_components(
        [f"w[{i}]" for i in range(4)], {"value": w, "gradient": [2 * v for v in w]}, title="‖w‖²"
    )
    assert d.to_text(width=4) == "\n".join(
        [
            "‖w‖²",
            "w[0] value    ██ 0.1",
            "     gradient ████ 0.2",
            "w[1] value    0",
            "     gradient 0",
            "w[2] value    ██ 0.1",
            "     gradient ████ 0.2",
            "w[3] value    0",
            "     gradient 0",
        ]
    )


def test_none_is_a_word_and_zero_a_number(read_svg):
    d = plot_components(["w1", "w3"], [-2.0, None])
    assert d.to_text(width=2).splitlines()[1:] == ["w1 ██│ −2", "w3   │ None"]
    assert "None" in read_svg(d.to_svg()).words


def test_components_need_a_value_per_label():
    with pytest.raises(ShapeError, match="2 labels, 1 values in gradient"):
        plot_components(["a", "b"], {"value": [1, 2], "gradient": [1]})


def test_gradient_norms_as_text():
    drawing = plot_gradient_norms({"b<1>": 0.5, "w": 2.0})
    assert drawing.to_text(width=4) == "gradient norm by parameter\n   w ████ 2\nb<1> █ 0.5"
    assert "b&lt;1&gt;" in drawing.to_svg()


def test_convergence_counts_steps_from_one_and_cuts_what_is_too_long():
    d = plot_convergence({"float64": [1.0, 0.1], "float32": [1.0] * 10}, tolerance=1e-6, show_steps=4)
    assert d.log_y
    assert d.curves[0].xs == (1.0, 2.0)
    assert d.curves[0].label == "float64: 2 steps, ends at 0.1"
    assert len(d.curves[1].xs) == 4
    assert d.curves[1].label == "float32: 10 steps, ends at 1 (4 shown)"
    assert d.lines[0].at == 1e-6


def test_zero_norms_do_not_break_the_logarithm(read_svg):
    d = plot_convergence({"a": [1.0, 0.0, 0.01]})
    curve = read_svg(d.to_svg(theme="light")).all("path", stroke="#0072b2")[
        -1
    ]  # after its sample in the legend
    assert curve.get("d").count("M") == 2


def test_a_straight_descent_on_a_logarithmic_scale_is_a_straight_line(read_svg):
    d = plot_convergence({"a": [10.0**-k for k in range(7)]})
    curve = read_svg(d.to_svg(theme="light")).all("path", stroke="#0072b2")[
        -1
    ]  # after its sample in the legend
    spots = [tuple(map(float, s.split())) for s in curve.get("d")[1:].split("L")]
    slopes = [(y1 - y0) / (x1 - x0) for (x0, y0), (x1, y1) in itertools.pairwise(spots)]
    assert slopes == pytest.approx([slopes[0]] * 6, abs=0.01)


def test_a_contour_and_its_path(read_svg):
    grid = sample_grid(lambda u, v: (u - 2) ** 2 + (v + 3) ** 2, (-1, 5), (-6, 0), n=31)
    d = plot_contour(
        *grid, path=[(0, 0), (1, -1.5), (2, -3)], levels=[1.0, 4.0], points=[(0, 0, "start")], title="bowl"
    )
    assert [c.level for c in d.contours] == [1.0, 4.0]
    for contour in d.contours:
        (circle,) = contour.pieces
        assert all(
            math.hypot(x - 2, y + 3) == pytest.approx(math.sqrt(contour.level), abs=0.02) for x, y in circle
        )
    assert d.paths[0].label == "descent, 2 steps"
    assert d.points[0].hollow
    words = read_svg(d.to_svg()).words
    assert {"1", "4", "start", "descent, 2 steps"} <= set(words)


def test_contour_levels_share_the_area():
    """Ranks 1/16, 3/16, … of the values 0 … 99, each with two digits."""
    xs, ys = list(range(10)), list(range(10))
    d = plot_contour(xs, ys, [[10 * y + x for x in xs] for y in ys])
    assert [c.level for c in d.contours] == [6, 18, 31, 43, 56, 68, 81, 93]


def test_a_flat_or_undefined_function_has_no_contours(read_svg):
    for value in (1.0, math.nan):
        d = plot_contour([0, 1], [0, 1], [[value] * 2] * 2)
        assert d.contours == ()
        assert "nothing to show" in read_svg(d.to_svg()).words


def test_a_grid_must_fit_its_coordinates():
    with pytest.raises(ShapeError, match=r"one row per y"):
        plot_contour([0, 1], [0, 1, 2], [[0, 1], [0, 1]])


def test_the_lecture_s_jacobian_as_text():
    d = plot_matrix([[2.0], [-4.0]], ["a₁", "a₂"], ["z"], title="∂a/∂z")
    assert d.to_text() == "∂a/∂z\n      z\na₁ [  2 ]\na₂ [ −4 ]"


def test_numbers_of_arrays_are_taken():
    np = pytest.importorskip("numpy")
    xs = np.linspace(0, 1, 3)
    d = plot_function(xs, xs**2, point=(xs[1], xs[1] ** 2), slope=np.float32(1.0))
    assert d.curves[0].ys == (0.0, 0.25, 1.0)
    assert plot_contour(xs, xs, np.outer(xs, xs), path=np.array([[0, 0], [1, 1]]), levels=[0.5]).paths[
        0
    ].xs == (0, 1)
    assert plot_matrix(np.eye(2), "ab", "cd").matrix.values == ((1.0, 0.0), (0.0, 1.0))
