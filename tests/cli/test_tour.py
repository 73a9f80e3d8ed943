"""chainrule tour: a thin cover of `chainrule.insight.tour`, here replaced by a small stand-in."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import chainrule.insight
from chainrule.cli import output


def row(case: str, ok: bool = True) -> SimpleNamespace:
    return SimpleNamespace(case=case, ours="7", closed_form="7" if ok else "8", difference="7.000000", ok=ok)


@pytest.fixture
def lecture(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("chainrule.insight.tour")
    monkeypatch.setitem(sys.modules, "chainrule.insight.tour", module)
    monkeypatch.setattr(chainrule.insight, "tour", module, raising=False)
    return module


def stand_in(lecture: Any, *rows: SimpleNamespace) -> None:
    lecture.run = lambda out, *, progress: SimpleNamespace(
        rows=rows,
        ok=all(r.ok for r in rows),
        wrong=tuple(r.case for r in rows if not r.ok),
        notes=("something to know",),
        report=Path(out) / "index.html",
        to_json=lambda: {"ok": all(r.ok for r in rows), "report": str(Path(out) / "index.html")},
    )


def test_the_path_of_the_report_comes_last(run: Any, lecture: Any) -> None:
    stand_in(lecture, row("4w + w³ at 1"), row("4w − w³ at 1.5"))
    result = run("tour", "--out", "week3")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0].split() == [
        "case",
        "chainrule",
        "closed",
        "form",
        "finite",
        "difference",
    ]
    assert "✓ 4w + w³ at 1" in result.stdout
    assert result.stdout.splitlines()[-1] == str(Path("week3") / "index.html")


def test_a_case_that_disagrees_is_marked_and_fails(run: Any, lecture: Any) -> None:
    stand_in(lecture, row("4w + w³ at 1"), row("w₁ + w₂²", ok=False))
    result = run("tour")
    assert result.exit_code == 1
    assert "✗ w₁ + w₂²" in result.stdout
    assert "error: not right: w₁ + w₂²\n" in result.stderr
    assert result.stdout.splitlines()[-1].endswith("index.html")


def test_a_narrow_terminal_gets_paragraphs(run: Any, lecture: Any) -> None:
    stand_in(lecture, row("‖w‖² at (0.1, 0, 0, 0, 0, 0, 0, 0)"))
    lines = run("tour", columns=60).stdout.splitlines()
    assert lines[0] == "✓ ‖w‖² at (0.1, 0, 0, 0, 0, 0, 0, 0)"
    assert lines[1] == "    chainrule 7, closed form 7, finite difference 7.000000"
    assert max(map(len, lines)) <= 60


def test_progress_is_for_people_who_watch(
    run: Any, lecture: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_with_progress(run, lecture).stderr == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    output.say_progress("descent")
    output.say_progress("")
    assert capsys.readouterr().err == "\r\x1b[Kdescent\r\x1b[K"


def run_with_progress(run: Any, lecture: Any) -> Any:
    stand_in(lecture, row("4w + w³ at 1"))
    told = lecture.run
    lecture.run = lambda out, *, progress: (progress("descent"), told(out, progress=progress))[1]
    return run("tour")


def test_json_is_one_object(run: Any, lecture: Any) -> None:
    stand_in(lecture, row("4w + w³ at 1"))
    assert json.loads(run("tour", "--json").stdout)["ok"] is True


def test_a_folder_that_cannot_be_written_is_an_error_with_a_way_out(run: Any, lecture: Any) -> None:
    def refuse(out: Path, *, progress: Any) -> None:
        raise PermissionError(13, "Permission denied", str(out))

    lecture.run = refuse
    result = run("tour", "--out", "locked")
    assert result.exit_code == 2
    assert "'locked': permission denied" in result.stderr
    assert "--out" in result.stderr


def test_what_is_worth_knowing_is_said_before_the_path(run: Any, lecture: Any) -> None:
    stand_in(lecture, row("4w + w³ at 1"))
    assert "• something to know" in run("tour").stdout.splitlines()[:-1]
