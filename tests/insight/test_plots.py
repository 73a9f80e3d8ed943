"""plot and plot_descent: the spec holds the right numbers, in every form."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ArgumentError, NotScalarError, UnsupportedError


def cubic(w):
    return 4 * w + w**3


def bowl(w):
    return (w[0] - 2) ** 2 + (w[1] + 3) ** 2


def test_a_curve_has_its_point_and_its_tangent():
    d = cr.plot(cubic, at=1.0)
    (curve,), (point,), (tangent,) = d.curves, d.points, d.segments
    assert np.allclose(curve.ys, [4 * x + x**3 for x in curve.xs], rtol=1e-14)
    assert (point.x, point.y) == (1.0, 5.0)
    assert (tangent.y1 - tangent.y0) / (tangent.x1 - tangent.x0) == pytest.approx(7.0)
    assert (min(curve.xs), max(curve.xs)) == (-2.0, 2.0)


def test_names_are_those_of_the_function():
    d = cr.plot(cubic, at=1.0)
    assert (d.x_label, d.y_label, d.title) == ("w", "cubic", "cubic around w = 1")
    d = cr.plot(lambda a, b: a * b, at=(1.0, 2.0))
    assert (d.x_label, d.y_label, d.title) == ("a", "b", "L around a = 1, b = 2")
    assert cr.plot(lambda x: x[0] * x[1], at=[1.0, 2.0]).x_label == "x[0]"
    assert cr.plot(cr.sin, at=1.0).curves[0].label == "sin(x)"


def test_limits_choose_the_frame_and_need_no_point():
    d = cr.plot(cubic, between=(0, 3), names=("x", "y"))
    assert (d.curves[0].xs[0], d.curves[0].xs[-1]) == (0.0, 3.0)
    assert (d.x_label, d.y_label, d.points) == ("x", "y", ())


def test_where_the_function_has_no_value_the_curve_has_a_gap():
    assert math.isnan(cr.plot(cr.log, at=1.0).curves[0].ys[0])
    assert math.isnan(cr.plot(math.log, between=(-1, 1)).curves[0].ys[0])


def test_a_point_without_a_value_is_said_and_not_drawn():
    d = cr.plot(cr.log, at=-1.0)
    assert d.points == d.segments == ()
    assert "no value at x = −1" in d.title


@pytest.mark.parametrize("f", [bowl, lambda a, b: (a - 2) ** 2 + (b + 3) ** 2], ids=["vector", "two numbers"])
def test_two_unknowns_have_contour_lines_and_an_arrow_down(f):
    d = cr.plot(f, at=(0.0, 0.0))
    assert d.contours
    (arrow,) = d.segments
    dx, dy = arrow.x1 - arrow.x0, arrow.y1 - arrow.y0
    assert dy / dx == pytest.approx(-1.5)  # against the gradient (-4, 6)
    assert dx > 0
    assert "(−4, 6)" in arrow.label
    assert d.points[0].label.endswith(" = 13")


def test_every_point_of_a_contour_line_has_its_level():
    d = cr.plot(lambda w: w[0] + 2 * w[1], at=[0.0, 0.0])  # linear: interpolation is exact
    for line in d.contours:
        for piece in line.pieces:
            assert np.allclose([x + 2 * y for x, y in piece], line.level, atol=1e-12)


def test_at_a_minimum_there_is_no_way_down():
    assert cr.plot(bowl, at=(2.0, -3.0)).segments == ()


def test_more_unknowns_are_bars_of_value_and_slope():
    d = cr.plot(lambda w: cr.norm(w) ** 2, at=[0.1, 0.0, 2.0])
    slopes = [b.value for b in d.bars if b.series == "slope"]
    assert slopes == pytest.approx([0.2, 0.0, 4.0])
    assert [b.name for b in d.bars][::2] == ["w[0]", "w[1]", "w[2]"]


def test_many_unknowns_are_cut_and_said():
    d = cr.plot(lambda w: (w * w).sum(), at=np.ones(100))
    assert len(d.bars) == 80
    assert "60 more are not shown" in d.title


def test_the_function_runs_without_recording_for_the_curve():
    seen = []
    cr.plot(lambda w: seen.append(cr.is_grad_enabled()) or w * w, at=1.0)
    assert seen.count(True) == 1  # for the slope


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: cr.plot(3.0), ArgumentError, "plot takes a function"),
        (lambda: cr.plot(cubic), ArgumentError, "where to draw"),
        (lambda: cr.plot(cubic, at="x"), ArgumentError, "finite numbers"),
        (lambda: cr.plot(cubic, at=math.nan), ArgumentError, "finite numbers"),
        (lambda: cr.plot(cubic, between=(2, 1)), ArgumentError, "the smaller first"),
        (lambda: cr.plot(bowl, at=(0, 0), between=(0, 1)), ArgumentError, "the smaller first"),
        (lambda: cr.plot(cubic, at=1.0, names="wL"), ArgumentError, "as many names"),
        (lambda: cr.plot(lambda w: w * cr.ones(2), between=(0, 1)), NotScalarError, "returns 2 numbers"),
        (lambda: cr.plot_descent(3), ArgumentError, "the result of minimize"),
    ],
)
def test_bad_input_is_refused_with_a_way_out(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert caught.value.fix


# --- descents --------------------------------------------------------------------------------------------


def test_a_descent_of_two_unknowns_is_drawn_with_its_path():
    r = cr.minimize(bowl, [0.0, 0.0], lr=0.1)
    d = cr.plot_descent(r)
    assert d.paths[0].label == f"descent, {r.steps} steps"
    assert d.x_range[0] < 0 < 2 < d.x_range[1]
    assert d.to_json() == r.plot().to_json()


def test_a_descent_of_many_unknowns_shows_loss_and_gradient():
    r = cr.minimize(lambda w: ((w - 1) ** 2).sum(), [0.0] * 12, lr=0.1)
    norm, above = cr.plot_descent(r).curves
    assert list(norm.ys) == r.history.norms
    assert above.ys[0] == pytest.approx(12.0)
    assert list(norm.xs) == r.history.steps


def test_what_is_no_axes_and_a_missing_matplotlib_are_said(monkeypatch):
    pytest.importorskip("matplotlib")
    with pytest.raises(ArgumentError, match="a int is no axes"):
        cr.plot(cubic, at=1.0, ax=3)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UnsupportedError, match="not installed") as caught:
        cr.plot(cubic, at=1.0).to_matplotlib()
    assert "chainrule[plot]" in caught.value.fix


def test_the_axes_that_are_given_are_drawn_on_and_returned():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    figure, ax = pyplot.subplots()
    try:
        assert cr.plot(cubic, at=1.0, ax=ax) is ax
        drawn = {line.get_label(): line for line in ax.lines}
        assert drawn["cubic(w)"].get_ydata()[0] == pytest.approx(-16.0)
        r = cr.minimize(bowl, [0.0, 0.0], lr=0.1)
        assert r.plot(ax=figure.add_subplot(2, 1, 2)).get_xlabel() == "w[0]"
    finally:
        pyplot.close(figure)
