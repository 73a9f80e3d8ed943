import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.draw.geometry import clip_line, clip_segment, contour_lines, thin

COORDINATE = st.floats(-1e6, 1e6)
SPOT = st.tuples(COORDINATE, COORDINATE)


def test_a_segment_through_the_frame_is_cut_at_both_sides():
    assert clip_segment((-10.0, 5.0), (20.0, 5.0), 10, 10) == ((0.0, 5.0), (10.0, 5.0))


def test_a_segment_beside_the_frame_is_gone():
    assert clip_segment((-5.0, 0.0), (5.0, 30.0), 10, 10) is None
    assert clip_segment((-1.0, 0.0), (-1.0, 10.0), 10, 10) is None


@given(SPOT, SPOT)
def test_what_is_left_of_a_segment_lies_in_the_frame(a, b):
    part = clip_segment(a, b, 100, 50)
    inside = [0 <= x <= 100 and 0 <= y <= 50 for x, y in (a, b)]
    assert part is not None or not any(inside)
    for x, y in part or ():
        assert -1e-6 <= x <= 100 + 1e-6
        assert -1e-6 <= y <= 50 + 1e-6


def test_nan_breaks_a_line_and_a_lonely_point_stays():
    nan = math.nan
    line = [(1.0, 1.0), (2.0, 2.0), (nan, 3.0), (4.0, 4.0), (5.0, nan), (6.0, 6.0), (7.0, 7.0)]
    assert clip_line(line, 10, 10) == [[(1.0, 1.0), (2.0, 2.0)], [(4.0, 4.0)], [(6.0, 6.0), (7.0, 7.0)]]


def test_a_line_that_leaves_the_frame_comes_back_as_a_second_piece():
    line = [(5.0, 5.0), (15.0, 5.0), (15.0, 7.0), (5.0, 7.0)]
    assert clip_line(line, 10, 10) == [[(5.0, 5.0), (10.0, 5.0)], [(10.0, 7.0), (5.0, 7.0)]]


def test_thinning_keeps_the_ends_and_the_shape():
    line = [(k / 100, 0.0) for k in range(101)]
    kept = thin(line, 0.4)
    assert kept[0] == (0.0, 0.0)
    assert kept[-1] == (1.0, 0.0)
    assert len(kept) == 4  # 0, 0.4, 0.8, 1
    assert thin([(3.0, 4.0)], 1.0) == [(3.0, 4.0)]


def test_the_contour_of_a_cone_is_one_closed_circle():
    """The distance to the origin is linear along rays: interpolation errs by less than a sagitta."""
    grid = [-2 + k / 10 for k in range(41)]
    lines = contour_lines(grid, grid, [[math.hypot(x, y) for x in grid] for y in grid], 1.5)
    assert len(lines) == 1
    assert lines[0][0] == lines[0][-1]
    assert all(math.hypot(x, y) == pytest.approx(1.5, abs=0.002) for x, y in lines[0])


def test_a_saddle_is_split_by_its_mean():
    """x·y on one cell: corners +1, −1, +1, −1; the level 0.1 lies above the mean 0: two separate corners."""
    lines = contour_lines([-1.0, 1.0], [-1.0, 1.0], [[1.0, -1.0], [-1.0, 1.0]], 0.1)
    assert len(lines) == 2
    corners = sorted(math.copysign(1, sum(x + y for x, y in line)) for line in lines)
    assert corners == [-1, 1]  # one line around (−1, −1), one around (1, 1): where x·y is 1


def test_cells_with_nan_are_left_out():
    values = [[0.0, 1.0, 0.0], [0.0, 1.0, math.nan]]
    assert contour_lines([0.0, 1.0, 2.0], [0.0, 1.0], values, 0.5) == [[(0.5, 0.0), (0.5, 1.0)]]


@given(
    st.lists(st.lists(st.floats(), min_size=4, max_size=4), min_size=4, max_size=4),
    st.floats(allow_nan=False),
)
def test_contours_of_anything_are_finite_and_inside_the_grid(values, level):
    for line in contour_lines([0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0], values, level):
        assert len(line) >= 2
        assert all(-1e-9 <= c <= 3 + 1e-9 for spot in line for c in spot)  # interpolation rounds


@given(st.lists(st.lists(st.sampled_from([0.0, 1.0]), min_size=5, max_size=5), min_size=5, max_size=5))
def test_every_crossed_side_is_on_exactly_one_line(values):
    grid = [0.0, 1.0, 2.0, 3.0, 4.0]
    across = sum(values[j][i] != values[j][i + 1] for j in range(5) for i in range(4))
    up = sum(values[j][i] != values[j + 1][i] for j in range(4) for i in range(5))
    lines = contour_lines(grid, grid, values, 0.5)
    spots = [spot for line in lines for spot in (line[:-1] if line[0] == line[-1] else line)]
    assert len(spots) == len(set(spots)) == across + up
