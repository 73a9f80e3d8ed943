"""chainrule grad: what is printed, byte for byte, and the exit status."""

from __future__ import annotations

import json
from typing import Any

import pytest


def test_the_case_of_the_lecture(run: Any) -> None:
    result = run("grad", "4*w + w**3", "w=1")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert result.stdout == (
        "L(w) = 4w + w³\n"
        "L(1) = 5        dL/dw = 4 + 3w² = 7\n"
        "\n"
        "Checked by differences: the same to 10 digits.\n"
        "Read it as: raise w by 0.01 and L rises by about 0.07 (it really rises by\n"
        "  0.070301).\n"
    )


def test_two_variables(run: Any) -> None:
    assert run("grad", "(w1-2)**2 + (w2+3)**2", "w1=0", "w2=0").stdout == (
        "L(w1, w2) = (w1 − 2)² + (w2 + 3)²\n"
        "L(0, 0) = 13\n"
        "dL/dw1 = 2(w1 − 2) = −4\n"
        "dL/dw2 = 2(w2 + 3) = 6\n"
        "\n"
        "Checked by differences: the same to 10 digits.\n"
        "Read it as: raise w1 by 0.01 and L falls by about 0.04 (it really falls by\n"
        "  0.0399).\n"
        "Raise w2 by 0.01 and L rises by about 0.06 (it really rises by 0.0601).\n"
    )


def test_a_vector_shows_its_steepest_entry(run: Any) -> None:
    assert run("grad", "norm(w)**2", "w=[0.1,0,0,2]").stdout == (
        "L(w) = ‖w‖²\n"
        "L([0.1, 0, 0, 2]) = 4.01        dL/dw = 2w = [0.2, 0, 0, 4]\n"
        "\n"
        "Checked by differences: the same to 10 digits.\n"
        "Read it as: raise w[3] by 0.01 and L rises by about 0.04 (it really rises by\n"
        "  0.0401).\n"
    )


def test_a_long_vector_is_shortened(run: Any) -> None:
    entries = ",".join(map(str, range(100)))
    assert "[0, 2, 4, 6, …, 196, 198]" in run("grad", "sum(w**2)", f"w=[{entries}]").stdout


def test_an_expression_may_begin_with_a_minus(run: Any) -> None:
    result = run("grad", "-w**2", "w=-3")
    assert "L(−3) = −9        dL/dw = −2w = 6\n" in result.stdout


def test_json_is_one_object_on_one_line(run: Any) -> None:
    result = run("grad", "4*w - w**3", "w=1.5", "--json")
    assert result.stdout == (
        '{"value": 2.625, "grad": {"w": -2.75}, "expr": {"w": "4 - 3*w**2"}, '
        '"check": {"w": {"fd": -2.75, "ok": true}}}\n'
    )
    assert result.stderr == ""


def strict(text: str) -> Any:
    """JSON as other languages read it: no NaN, no Infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize(
    "expression, at, key, value",
    [
        ("sqrt(w)", "w=0", "grad", {"w": "Infinity"}),
        ("log(w)", "w=-1", "value", "NaN"),
        ("-1/w", "w=0", "value", "-Infinity"),
    ],
)
def test_json_stays_strict_where_numbers_are_not(
    run: Any, expression: str, at: str, key: str, value: Any
) -> None:
    result = run("grad", expression, at, "--json")
    assert result.exit_code == 1
    assert result.stderr == ""
    answer = strict(result.stdout)
    assert answer[key] == value
    assert answer["failure"]


def test_an_error_in_json_mode_is_json(run: Any) -> None:
    result = run("grad", "4*w + w*^3", "w=1", "--json")
    assert result.exit_code == 2
    assert result.stderr == ""
    assert strict(result.stdout) == {
        "error": {
            "code": "E601",
            "what": "cannot read the expression at column 9: '^' is no operator here",
            "fix": "a power is written **; did you mean  4*w + w**3  ?",
            "column": 9,
        }
    }


def test_unreadable_input_is_shown_with_an_arrow(run: Any) -> None:
    result = run("grad", "4*w + w*^3", "w=1")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr == (
        "error: cannot read the expression at column 9: '^' is no operator here (E601)\n"
        "  4*w + w*^3\n"
        "          ↑\n"
        "  a power is written **; did you mean  4*w + w**3  ?\n"
    )


def test_leading_blanks_do_not_move_the_arrow(run: Any) -> None:
    _, text, arrow, _ = run("grad", " " * 20 + "w^2", "w=1").stderr.splitlines()
    assert text.index("^") == arrow.index("↑")


def test_a_kink_is_a_mathematical_failure(run: Any) -> None:
    result = run("grad", "abs(w)", "w=0")
    assert result.exit_code == 1
    assert result.stdout == "L(w) = |w|\nL(0) = 0        dL/dw = sign(w) = 0\n"
    assert result.stderr == (
        "error: L has a kink at w = 0 (slope -1 on its left, 1 on its right): no slope\n"
        "  exists there, and 0 is a choice\n"
        "  move the point a little, or ask chainrule.why in Python\n"
    )


@pytest.mark.parametrize(
    "args, words",
    [
        (["sqrt(w)", "w=0"], "dL/dw is inf at w = 0"),
        (["log(w)", "w=-1"], "'log(w)' is nan at w = -1"),
        (["floor(w)", "w=2"], "L jumps at w = 2"),
        (["9**9**9"], "'9**9**9' is inf"),
        (["9**9**9*w", "w=1"], "'9**9**9' is inf, so L is inf"),
    ],
)
def test_where_no_gradient_exists_the_status_is_1(run: Any, args: list[str], words: str) -> None:
    result = run("grad", *args)
    assert result.exit_code == 1
    assert words in result.stderr


@pytest.mark.parametrize(
    "args, words",
    [
        (["4*w"], "'w' has no value"),
        (["4*w", "w=1", "b=2"], "'b' does not occur"),
        (["4*w", "w=1", "w=2"], "'w' is given twice"),
        (["4*w", "w"], "write name=value"),
        (["4*w", "+", "w**3", "w=1"], "put the expression in quotes"),
        (["4*w", "w", "=", "1"], "without spaces"),
        (["4*w", "w=1", "--plto"], "did you mean --plot?"),
        (["--w", "w=1"], "a double minus is written  -(-w)"),
        (["4*w", "--w=1"], "write values without dashes:  w=1"),
        (["w=1", "4*w"], "values are given after the expression"),
        (["w + [1, 2, 3]", "w=[1,2]"], "'w + [1, 2, 3]' cannot be computed"),
        (["[2*w, w**4]", "w=-1"], "sum([2*w, w**4])"),
        ([], "missing argument 'EXPRESSION'"),
        (["__import__('os').system('true')", "w=1"], "cannot read"),
        (["(" * 100_000, "w=1"], "100000 characters"),
    ],
)
def test_input_that_cannot_be_used_has_status_2(run: Any, args: list[str], words: str) -> None:
    result = run("grad", *args)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_an_expression_without_names_says_so(run: Any) -> None:
    result = run("grad", "2 + 3")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "L = 5\n" in result.stdout
    assert "nothing to differentiate by" in result.stdout


def test_plot_draws_curve_and_tangent_within_the_terminal(run: Any) -> None:
    for columns in (80, 60):
        result = run("grad", "4*w + w**3", "w=1", "--plot", columns=columns)
        assert "tangent, slope 7" in result.stdout
        assert max(map(len, result.stdout.splitlines())) <= columns


def test_plot_of_a_vector_is_a_bar_per_entry(run: Any) -> None:
    result = run("grad", "norm(w)**2", "w=[0.1,0,2]", "--plot")
    assert "w[2] " in result.stdout
    assert "█" in result.stdout


def test_no_line_is_wider_than_a_narrow_terminal(run: Any) -> None:
    for args in (["exp(-a*t)*cos(t)*sin(t)**2", "a=0.5", "t=2"], ["4*w + w*^3", "w=1"], ["abs(w)", "w=0"]):
        result = run("grad", *args, columns=60)
        assert max(map(len, (result.stdout + result.stderr).splitlines())) <= 60


def test_terminal_codes_in_the_input_are_not_passed_on(run: Any) -> None:
    result = run("grad", "w\x1b[31m", "w=1")
    assert "\x1b" not in result.stderr
    assert "U+001B" in result.stderr


def test_help_teaches(run: Any) -> None:
    text = run("grad", "--help").stdout
    for line in ('chainrule grad "4*w + w**3" w=1', "a power is **", "Exit status", "--plot", "--json"):
        assert line in text


def test_every_function_is_in_the_help(run: Any) -> None:
    from chainrule.insight.expression import FUNCTIONS

    words = set(run("grad", "--help").stdout.split())
    assert set(FUNCTIONS) <= words
