"""chainrule descend: what is printed, and the exit status."""

from __future__ import annotations

import json
from typing import Any

import pytest

BOWL = ("(w1-2)**2 + (w2+3)**2", "w1=0", "w2=0")


def test_the_lectures_descent(run: Any) -> None:
    result = run("descend", *BOWL, columns=120)
    assert result.exit_code == 0
    assert result.stderr == ""
    assert result.stdout.splitlines()[-2:] == [
        "converged in 783 steps: ‖∇L‖ = 9.73e-07 ≤ tol 1e-06      w = [1.9999997, -2.9999996]",
        "each step multiplies the error by 0.98 (= 1 - 2·lr), so 783 steps were to be expected; lr = 0.5 would need 2.",
    ]


def test_in_float32_it_stalls_by_name_and_fails(run: Any) -> None:
    result = run("descend", *BOWL, "--float32", columns=160)
    assert result.exit_code == 1
    assert "stalled at step 660 of 10000" in result.stdout
    assert "next float32 after w2 = -2.9999943 is 2.4e-07 away" in result.stdout
    assert "lr=0.2 → 33 steps in float32" in result.stdout


def test_it_fits_a_narrow_terminal(run: Any) -> None:
    for extra in ([], ["--float32"]):
        lines = run("descend", *BOWL, *extra, columns=60).stdout.splitlines()
        assert max(map(len, lines)) <= 60


@pytest.mark.parametrize("lr, steps", [("0.2", 33), ("0.5", 2)])
def test_the_learning_rate_is_an_option(run: Any, lr: str, steps: int) -> None:
    answer = json.loads(run("descend", *BOWL, "--float32", "--lr", lr, "--json").stdout)
    assert (answer["status"], answer["steps"], answer["dtype"]) == ("converged", steps, "float32")


def test_json_names_the_unknowns(run: Any) -> None:
    result = run("descend", "(a-1)**2 + norm(x)**2", "a=0", "x=[1,2]", "--lr", "0.5", "--json")
    answer = json.loads(result.stdout)
    assert result.stdout.count("\n") == 1
    assert answer["w"] == {"a": 1.0, "x": [0.0, 0.0]}
    assert answer["success"] is True


def test_json_stays_strict_where_numbers_are_not(run: Any) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    result = run("descend", "log(w)", "w=-1", "--json")
    answer = json.loads(result.stdout, parse_constant=refuse)
    assert result.exit_code == 1
    assert (answer["status"], answer["value"]) == ("non_finite", "NaN")


def test_plot_draws_convergence_and_path(run: Any) -> None:
    shown = run("descend", *BOWL, "--plot").stdout
    assert "loss and gradient, step by step" in shown
    assert "descent, 783 steps" in shown


def test_csv_writes_the_steps(run: Any, tmp_path: Any) -> None:
    path = tmp_path / "path.csv"
    assert run("descend", *BOWL, "--csv", str(path)).exit_code == 0
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "step,value,norm,largest_step,w1,w2"
    assert len(lines) == 784


@pytest.mark.parametrize(
    "args, words",
    [
        (["w +", "w=1"], "cannot read"),
        (["(w-2)**2"], "'w' has no value"),
        (["3"], "nothing to vary"),
        (["w**2", "w=1", "--lr", "0"], "lr=0.01"),
        (["w**2", "w=1", "--tol", "-1"], "tol=1e-6"),
        (["w**2", "w=1", "--rate=3"], "there is no option"),
        (["w**2", "w=1", "--csv", "/nowhere/at/all.csv"], "choose another file"),
        (["round(w)*0 + floor(3)", "v=1"], "has no value"),
    ],
)
def test_what_cannot_be_done_is_said_with_a_way_out(run: Any, args: list[str], words: str) -> None:
    result = run("descend", *args)
    assert result.exit_code == 2
    assert words in result.stderr
