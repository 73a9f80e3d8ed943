"""chainrule plot and chainrule explain."""

from __future__ import annotations

import json
from typing import Any

import pytest

CUBIC = ("4*w + w**3", "w=1")


def test_one_unknown_is_a_curve_with_its_tangent(run: Any) -> None:
    shown = run("plot", *CUBIC).stdout
    assert shown.startswith("L = 4w + w³\n")
    assert "tangent, slope 7" in shown
    assert "L(1) = 5" in shown


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_picture_fits_the_terminal(run: Any, columns: int) -> None:
    for args in (CUBIC, ("(w1-2)**2 + (w2+3)**2", "w1=0", "w2=0"), ("norm(w)", "w=[1,2,3]")):
        assert max(map(len, run("plot", *args, columns=columns).stdout.splitlines())) <= columns


def test_two_unknowns_are_contour_lines(run: Any) -> None:
    assert "∇L = (−4, 6)" in run("plot", "(w1-2)**2 + (w2+3)**2", "w1=0", "w2=0").stdout
    assert "∇L = (2, 4)" in run("plot", "norm(x)**2", "x=[1,2]").stdout


def test_limits_and_data(run: Any) -> None:
    data = json.loads(run("plot", *CUBIC, "--from", "-3", "--to", "4", "--json").stdout)
    assert (data["curves"][0]["xs"][0], data["curves"][0]["xs"][-1]) == (-3.0, 4.0)


def test_out_writes_a_file_and_says_which(run: Any, tmp_path: Any) -> None:
    path = tmp_path / "slope.svg"
    assert run("plot", *CUBIC, "--out", str(path)).stdout == f"{path}\n"
    assert path.read_text(encoding="utf-8").startswith("<svg")


def test_explain_tells_each_step(run: Any) -> None:
    shown = run("explain", *CUBIC).stdout
    assert "∂p/∂w = 3·w² = 3" in shown
    assert "w = 7" in shown


def test_explain_as_graph_as_latex_and_as_data(run: Any, tmp_path: Any) -> None:
    assert "(w)          1  ∂L/∂w = 7" in run("explain", *CUBIC, "--graph").stdout
    assert run("explain", *CUBIC, "--latex").stdout.startswith("\\begin{aligned}")
    assert json.loads(run("explain", *CUBIC, "--json").stdout)["leaves"][0]["gradient"] == 7.0
    path = tmp_path / "graph.html"
    assert run("explain", *CUBIC, "--out", str(path)).exit_code == 0
    assert "<svg" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "args, words",
    [
        (("plot", "3"), "nothing to vary"),
        (("explain", "3"), "depends on nothing"),
        (("plot", *CUBIC, "--out", "x.png"), "not written in this form"),
        (("plot", *CUBIC, "--out", "/nowhere/x.svg"), "cannot be written"),
        (("plot", *CUBIC, "--form", "1"), "did you mean --from?"),
        (("plot", *CUBIC, "--from", "2", "--to", "1"), "the smaller first"),
        (("plot", "a+b", "a=1", "b=2", "--to", "3"), "one unknown"),
        (("explain", "w*", "w=1"), "error:"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_a_way_out(run: Any, args: tuple[str, ...], words: str) -> None:
    result = run(*args)
    assert result.exit_code == 2
    assert words in result.stderr
