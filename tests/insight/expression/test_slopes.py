"""Value and gradient at a point: what is told, what is suspected, and that it takes no time."""

from __future__ import annotations

import pytest

from chainrule.errors import ExpressionError
from chainrule.insight.expression import parse_expression, sensitivity, slopes


def test_the_case_of_the_lecture() -> None:
    s = sensitivity(parse_expression("4*w + w**3"), {"w": 1.0})
    assert s.to_json() == {
        "value": 5.0,
        "grad": {"w": 7.0},
        "expr": {"w": "4 + 3*w**2"},
        "check": {"w": {"fd": 7.0, "ok": True}},
    }
    assert s.failure is None
    (slope,) = s.slopes
    assert slope.step == 0.01
    assert slope.change == pytest.approx(4 * 0.01 + 1.01**3 - 1, rel=1e-12)


def test_vectors_and_numbers_together() -> None:
    s = sensitivity(parse_expression("a*norm(w)**2"), {"a": 2.0, "w": [0.1, 0.0, 2.0]})
    assert [slope.name for slope in s.slopes] == ["a", "w"]
    assert s.slopes[0].value == pytest.approx(4.01)
    assert s.slopes[1].value == pytest.approx([0.4, 0.0, 8.0])
    assert s.slopes[1].entry == 2
    assert s.slopes[1].agrees is True


@pytest.mark.parametrize(
    "text, at, words",
    [
        ("abs(w)", 0.0, "kink at w = 0 (slope -1 on its left, 1 on its right)"),
        ("relu(w - 1)", 1.0, "kink at w = 1 (slope 0 on its left, 1 on its right)"),
        ("maximum(w, 2*w)", 0.0, "kink"),
        ("1e6 + abs(w)", 0.0, "kink"),
        ("floor(w)", 2.0, "L jumps at w = 2"),
        ("sqrt(w)", 0.0, "dL/dw is inf at w = 0"),
        ("log(w)", -1.0, "'log(w)' is nan at w = -1"),
        ("w + log(w - 3.05)", 1.05, "'log(w - 3.05)' is nan at w = 1.05, so L is nan"),
        ("1/w", 0.0, "'1/w' is inf at w = 0"),
        ("9**9**9*w", 1.0, "'9**9**9' is inf, so L is inf"),
        ("exp(w)", 1000.0, "'exp(w)' is inf at w = 1000"),
    ],
)
def test_where_no_derivative_exists_it_is_said(text: str, at: float, words: str) -> None:
    failure = sensitivity(parse_expression(text), {"w": at}).failure
    assert failure is not None
    assert words in failure


@pytest.mark.parametrize(
    "text, at",
    [
        ("w**2", 0.0), ("w**3", 0.0), ("abs(w)", 1e-9), ("abs(w - 1)", 1.000000001), ("relu(w)", -1e-12),
        ("1/w", 1e-9), ("log(w)", 1e-200), ("sin(1000*w)", 1.0), ("1e10 + w", 1.0), ("1e-20*w", 1e-20),
        ("w", 1e300), ("exp(w)", 700.0), ("w*abs(w)", 0.0), ("sqrt(w)", 1e-12), ("0*w", 1.0),
        ("1e8*w**2", 0.0), ("maximum(w, 0)", 1e-300), ("w**1.5", 0.0), ("floor(w)", 2.5),
        ("tanh(1e4*w)", 0.0), ("sin(1e8*w)", 1.0),
        ("(w - 1)**9", 1.0), ("atan(1e6*w)", 1e-3),
    ],
)  # fmt: skip
def test_smooth_functions_are_not_suspected(text: str, at: float) -> None:
    s = sensitivity(parse_expression(text), {"w": at})
    assert s.failure is None
    assert s.slopes[0].agrees is not False


def test_a_wrong_gradient_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check can fail: a gradient that is off by 0.1 % does not pass."""
    right = slopes._gradient
    monkeypatch.setattr(slopes, "_gradient", lambda leaf, at: right(leaf, at) * 1.001)
    s = sensitivity(parse_expression("4*w + w**3"), {"w": 1.0})
    assert s.slopes[0].agrees is False
    assert "differences give 7" in (s.failure or "")


@pytest.mark.parametrize("sign, slope", [("+", 250), ("*", 250), ("/", -248)])
def test_the_longest_chain_is_differentiated(sign: str, slope: int) -> None:
    s = sensitivity(parse_expression(sign.join(["w"] * 250)), {"w": 1.0})
    assert s.slopes[0].value == slope
    assert s.failure is None


def test_several_values_have_no_gradient() -> None:
    with pytest.raises(ExpressionError, match="2 values") as caught:
        sensitivity(parse_expression("[2*z, z**4]"), {"z": -1.0})
    assert "sum([2*z, z**4])" in str(caught.value)


def test_an_expression_without_names_has_a_value() -> None:
    s = sensitivity(parse_expression("2 + 3"), {})
    assert (s.value, s.slopes, s.failure) == (5.0, (), None)


def test_json_is_strict() -> None:
    answer = sensitivity(parse_expression("sqrt(w)"), {"w": 0.0}).to_json()
    assert answer["grad"] == {"w": "Infinity"}
    assert answer["check"]["w"] == {"fd": "NaN", "ok": None}
    assert answer["failure"] == "dL/dw is inf at w = 0"


@pytest.mark.parametrize("text, step", [("w", 0.01), ("sin(1e8*w)", 1e-9), ("w - w", 0.01), ("abs(w)", 0.01)])
def test_the_step_that_is_told_stays_near_the_tangent(text: str, step: float) -> None:
    (slope,) = sensitivity(parse_expression(text), {"w": 1.0}).slopes
    assert slope.step == pytest.approx(step)
    assert slope.change == pytest.approx(slope.value * slope.step, rel=0.2)


def test_many_variables() -> None:
    point = {f"w{i}": 0.1 * i for i in range(120)}
    tree = parse_expression("+".join(f"{name}**2" for name in point))
    s = sensitivity(tree, point)
    assert [slope.value for slope in s.slopes] == pytest.approx([2 * w for w in point.values()])
    assert [slope.difference for slope in s.slopes] == pytest.approx(
        [2 * w for w in point.values()], abs=1e-9
    )
    assert str(s.slopes[119].formula) == "2*w119"


@pytest.mark.parametrize("count", [1, 2, 203, 500])  # also more than are computed together
def test_every_entry_of_a_vector_is_looked_at(count: int) -> None:
    at = [0.5 + 0.01 * i for i in range(count)]
    (slope,) = sensitivity(parse_expression("a*0 + sum(w**3)"), {"a": 1.0, "w": at}).slopes[1:]
    assert slope.difference == pytest.approx([3 * w**2 for w in at], rel=1e-9)
    assert slope.entry == count - 1
