"""The notebook: made from its text, runs as it is, and with the solutions every check says correct."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip(
    "IPython", reason="IPython is not here: the notebook was not run (pip install chainrule[dev])"
)
pytest.importorskip(
    "jupytext", reason="jupytext is not here: the notebook was not built (pip install chainrule[dev])"
)

from chainrule.learn import EXERCISES
from docs.notebooks import build

RUNNER = Path(__file__).with_name("run_notebook.py")


def executed(path: Path, folder: Path) -> list[dict[str, Any]]:
    env = {**os.environ, "IPYTHONDIR": str(folder), "PYTHONIOENCODING": "utf-8", "PYTHONWARNINGS": "default"}
    out = subprocess.run(
        [sys.executable, str(RUNNER), str(path)], capture_output=True, text=True, env=env, check=True
    )
    return json.loads(out.stdout)


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return executed(build.FOLDER / "gradients.ipynb", tmp_path_factory.mktemp("ipython"))


@pytest.fixture(scope="module")
def solved(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return executed(build.FOLDER / "gradients_solutions.ipynb", tmp_path_factory.mktemp("ipython"))


@pytest.mark.parametrize("path", build.written(), ids=lambda p: p.stem)
def test_the_notebook_is_the_one_its_text_makes(path: Path):
    assert path.read_text(encoding="utf-8") == build.written()[path], "run: python -m docs.notebooks.build"


def test_untouched_every_cell_runs_and_every_check_says_not_started(untouched: Any):
    assert [c["error"] for c in untouched if not c["ok"]] == []
    checks = [c["text"] for c in untouched if c["source"].endswith(".check()")]
    assert len(checks) == len(EXERCISES)
    assert all(text.startswith("○ not started: blank 1 of ") for text in checks)


def test_with_the_solutions_every_check_says_correct(solved: Any):
    assert [c["error"] for c in solved if not c["ok"]] == []
    assert all(c["text"].startswith("✓ correct") for c in solved if c["source"].endswith(".check()"))
    assert solved[-1]["text"].endswith("9 of 9 are correct")


def test_no_solution_is_left_in_the_learners_notebook():
    text = (build.FOLDER / "gradients.ipynb").read_text(encoding="utf-8")
    for e in EXERCISES:
        assert json.dumps(e.solved, ensure_ascii=False)[1:-1].replace("\\n", "") not in text.replace(
            "\\n", ""
        )
        assert e.hints[-1] not in text


def test_pictures_show_as_cards_and_answers_as_text(untouched: Any):
    drawn = [
        c for c in untouched if c["source"].split("\n")[-1].startswith(("cr.plot", "cr.graph", "r.plot"))
    ]
    assert len(drawn) == 4
    for c in drawn:
        assert {"text/html", "image/svg+xml", "text/plain"} <= set(c["forms"])


@pytest.mark.parametrize(
    "start, words",
    [
        ("s = ", "tensor(6.)"),
        ("cr.why(s.grad)", "= 6 at s = 3"),
        ("cr.why(tax.grad)", "made without requires_grad=True"),
        ("cr.why(discount.grad)", "None because"),
        ("v = ", "8 = 4 + 4"),
        ("short =", "stalled at step"),
        ("def valley", "converged in 150 steps"),
    ],
)
def test_what_the_text_says_is_what_the_cells_show(untouched: Any, start: str, words: str):
    (cell,) = [c for c in untouched if c["source"].startswith(start)]
    assert words in cell["text"] + cell["printed"]


def test_the_jacobian_keeps_apart_what_the_sum_hides(untouched: Any):
    (jacobian,) = [c["text"] for c in untouched if "cr.jacobian(position, t)" in c["source"]]
    (total,) = [c["text"] for c in untouched if c["source"].startswith("position.sum()")]
    assert jacobian.split() == ["tensor([[", "3.],", "[-3.]])"]
    assert total == "tensor([0.])"
