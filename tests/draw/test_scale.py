import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.draw.scale import Axis, axis_for, format_number, format_together, log_ticks, ticks

FINITE = st.floats(allow_nan=False, allow_infinity=False)
ANY = st.floats()


@pytest.mark.parametrize(
    "value, text",
    [
        (0.0, "0"),
        (-0.0, "0"),
        (7.0, "7"),
        (-2.75, "−2.75"),
        (10000.0, "10000"),
        (999999.0, "999999"),
        (1234567.0, "1.235e6"),
        (0.1 + 0.2, "0.3"),
        (1.27949e-05, "1.279e−5"),
        (-1e-300, "−1e−300"),
        (math.inf, "inf"),
        (-math.inf, "−inf"),
        (math.nan, "nan"),
    ],
)
def test_numbers_have_four_digits_and_a_true_minus_sign(value, text):
    assert format_number(value) == text


def test_neighbouring_numbers_get_as_many_digits_as_tell_them_apart():
    assert format_together([1000000.1, 1000000.2]) == ["1000000.1", "1000000.2"]


def test_equal_numbers_do_not_ask_for_ever_more_digits_in_vain():
    assert format_together([1.0, 1.0]) == ["1", "1"]


@pytest.mark.parametrize(
    "lo, hi, expected",
    [
        (-2.0, 2.0, [-2.0, -1.0, 0.0, 1.0, 2.0]),
        (0.0, 0.31, [0.0, 0.1, 0.2, 0.3]),
        (-16.0, 16.0, [-10.0, 0.0, 10.0]),
        (0.0, 1e300, [0.0, 2e299, 4e299, 6e299, 8e299, 1e300]),
    ],
)
def test_ticks_are_round_numbers(lo, hi, expected):
    assert ticks(lo, hi) == expected


@given(FINITE, FINITE)
def test_ticks_cover_the_range_with_at_most_ten_marks(a, b):
    lo, hi = min(a, b), max(a, b)
    span = hi / 2 - lo / 2
    marks = ticks(lo, hi)
    assert marks == sorted(set(marks))
    if span <= max(abs(lo), abs(hi)) * 1e-9 or span < 1e-300:
        return  # narrower than an axis ever is (see the next test)
    assert 2 <= len(marks) <= 10
    assert all(lo - span * 1e-8 <= m <= hi + span * 1e-8 for m in marks)
    step = marks[1] / 2 - marks[0] / 2
    assert marks[0] / 2 - lo / 2 < step * 1.001  # no room for one more before the first …
    assert hi / 2 - marks[-1] / 2 < step * 1.001  # … or after the last


@given(st.lists(ANY), st.booleans())
def test_an_axis_holds_all_values_that_it_can_show(values, log):
    axis = axis_for(values, log=log)
    assert math.isfinite(axis.lo)
    assert axis.lo < axis.hi < math.inf
    shown = [v for v in values if math.isfinite(v) and (v > 0 or not log)]
    # 1.7e308 is the largest limit, and below 1e-307 powers of ten lose digits
    inside = [v for v in shown if abs(v) < 1.7e308 and (v > 1e-307 or not log)]
    assert all(-1e-9 <= axis.fraction(v) <= 1 + 1e-9 for v in inside)
    assert 1 <= len(axis.marks()) <= 10
    names = [name for _, name in axis.marks()]
    assert len(set(names)) == len(names)


@given(ANY, FINITE, FINITE)
def test_a_place_is_a_bounded_number_or_nan(value, a, b):
    place = axis_for([a, b]).fraction(value)
    assert math.isnan(place) if not math.isfinite(value) else abs(place) <= 1e6


def test_a_constant_lies_in_the_middle():
    assert axis_for([5.0, 5.0]).fraction(5.0) == pytest.approx(0.5)
    assert axis_for([0.0]).fraction(0.0) == pytest.approx(0.5)


def test_a_logarithmic_axis_has_equal_steps_for_equal_ratios():
    axis = Axis(1e-6, 1e2, log=True)
    assert [axis.fraction(v) for v in (1e-6, 1e-4, 1e-2, 1e2)] == pytest.approx([0, 0.25, 0.5, 1])
    assert math.isnan(axis.fraction(0.0))
    assert math.isnan(axis.fraction(-1.0))


def test_logarithmic_ticks_are_powers_of_ten_and_named_so():
    assert Axis(1e-6, 1.0, log=True).marks() == [(10.0**k, f"10{t}") for k, t in
                                                  zip(range(-6, 1), ["⁻⁶", "⁻⁵", "⁻⁴", "⁻³", "⁻²", "⁻¹", "⁰"],
                                                      strict=True)]  # fmt: skip


def test_logarithmic_ticks_within_a_decade_are_round_numbers():
    assert log_ticks(2.0, 5.0) == [2.0, 3.0, 4.0, 5.0]


def test_logarithmic_ticks_over_many_decades_are_thinned():
    marks = log_ticks(1e-300, 1e300)
    assert marks == [1e-300, 1e-200, 1e-100, 1.0, 1e100, 1e200, 1e300]


@pytest.mark.parametrize("value", [5e-324, 1e-308, 1.7e308])
def test_a_logarithmic_axis_exists_at_the_ends_of_the_floats(value):
    axis = axis_for([value], log=True)
    assert 0 < axis.lo < axis.hi < math.inf
