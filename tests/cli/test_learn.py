"""chainrule learn."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chainrule import learn
from chainrule.learn import EXERCISES


@pytest.fixture(autouse=True)
def _begin_anew() -> Any:
    learn.forget()
    yield
    learn.forget()


def test_alone_it_lists_the_exercises(run: Any) -> None:
    shown = run("learn").stdout
    assert all(f"{e.name}  {e.title}" in shown for e in EXERCISES)
    assert max(map(len, run("learn", columns=60).stdout.splitlines())) <= 71  # the two commands stay whole
    assert [e["name"] for e in json.loads(run("learn", "--json").stdout)["exercises"]] == [
        e.name for e in EXERCISES
    ]


def test_a_name_prints_a_file_that_can_be_completed_and_checked(run: Any, tmp_path: Any) -> None:
    file = tmp_path / "ex2.py"
    file.write_text(run("learn", "ex2").stdout, encoding="utf-8")
    untouched = run("learn", "ex2", "--check", str(file))
    assert untouched.exit_code == 1
    assert untouched.stdout.startswith("○ not started: blank 1 of 4")
    file.write_text(f"import chainrule as cr\n{learn.ex2.solved}", encoding="utf-8")
    solved = run("learn", "ex2", "--check", str(file))
    assert solved.exit_code == 0
    assert solved.stdout.startswith("✓ correct: -2.75.")
    assert json.loads(run("learn", "ex2", "--check", str(file), "--json").stdout)["status"] == "correct"


def test_hints_are_shown_as_many_as_asked_for(run: Any) -> None:
    lines = run("learn", "ex2", "--hints", "2").stdout.splitlines()
    assert [line[:8] for line in lines] == ["hint 1/3", "hint 2/3"]


@pytest.mark.parametrize(
    "args, content, words",
    [
        (("ex99",), None, "use one of: ex1"),
        (("ex2", "--check", "missing.py"), None, "cannot be read"),
        (("ex2", "--check", "a.py"), "def slope(:\n", "no Python"),
        (("ex2", "--check", "a.py"), "1 / 0\n", "ZeroDivisionError"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_way_out(
    run: Any, tmp_path: Any, monkeypatch: Any, args: tuple[str, ...], content: str | None, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / "a.py").write_text(content, encoding="utf-8")
    result = run("learn", *args)
    assert result.exit_code == 2
    assert words in result.stderr
