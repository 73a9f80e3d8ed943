"""The tour: right numbers, a wrong one noticed, a report that is whole and always the same."""

from __future__ import annotations

import dataclasses
import hashlib
import html.parser
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import chainrule as cr
from chainrule.insight import lecture, tour


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tour.run(tmp_path_factory.mktemp("report"))


def ours(result: Any, start: str) -> str:
    return next(row.ours for row in result.rows if row.case.startswith(start))


@pytest.mark.parametrize(
    "case, number",
    [
        ("4w + w³", "7"),
        ("4w − w³", "-2.75"),
        ("w₁ + w₂² at (1, 2)", "(1, 4)"),
        ("… as one vector", "(1, 4)"),
        ("(w1+c1)²", "-2"),
        ("… w2", "None"),
        ("… unnamed", "4"),
        ("(2z, z⁴)", "-2"),
        ("… its Jacobian", "(2, -4)"),
        ("descent, float64", "783 steps"),
        ("descent, float32", "1.27949e-05"),
        ("… frozen", "659"),
        ("… steps run", "10000"),
    ],
)
def test_the_numbers_are_those_of_the_lecture(result: Any, case: str, number: str) -> None:
    assert ours(result, case) == number


def test_the_summary_fits_a_terminal(result: Any) -> None:
    cells = [(f"✓ {r.case}", r.ours, r.closed_form, r.difference) for r in result.rows]
    assert sum(max(map(len, column)) + 2 for column in zip(*cells, strict=True)) <= 80


def test_every_case_is_right(result: Any) -> None:
    assert result.ok
    assert result.wrong == ()


def test_the_eight_vector_gets_twice_itself(result: Any) -> None:
    visit = next(v for v in result.visits if v.case.slug == "5_squared_norm")
    assert visit.explanation.trace.leaves[0].gradient.entries == pytest.approx([0.2, 0.0] * 4)


def test_a_wrong_number_is_noticed_and_named(tmp_path: Path) -> None:
    wrong = dataclasses.replace(lecture.SLOPE, program=lecture.SLOPE.program.replace("w**3", "w**2"))
    found = tour.run(tmp_path, cases=[wrong, lecture.NEGATIVE])
    assert not found.ok
    assert found.wrong == ("4w + w³ at 1",)
    assert "4w + w³ at 1" in (tmp_path / "report.txt").read_text(encoding="utf-8").split("Summary")[0]


def test_a_case_that_breaks_is_a_wrong_answer_and_not_the_end(tmp_path: Path) -> None:
    broken = dataclasses.replace(lecture.SLOPE, program="L = nonsense\n")
    found = tour.run(tmp_path, cases=[broken, lecture.NEGATIVE])
    assert [row.ok for row in found.rows] == [False, True]
    assert "NameError" in (tmp_path / "report.txt").read_text(encoding="utf-8")


def test_comparing_tells_a_small_difference() -> None:
    assert lecture.compare("", [7.0], [7.0], [7.0]).ok
    assert not lecture.compare("", [7.0 + 1e-9], [7.0], [7.0]).ok
    assert not lecture.compare("", [7.0], [7.0], [7.00001]).ok
    assert not lecture.compare("", None, [7.0], [7.0]).ok


def test_differences_of_plain_numbers_are_exact_for_cubes() -> None:
    assert lecture.differences(lambda x: x**3, [2.0]) == pytest.approx([12.0], rel=1e-10)


def test_the_report_says_where_text_and_code_of_the_lecture_differ(result: Any) -> None:
    notes = " ".join(result.notes)
    for piece in ("1000 iterations, its code 10000", "a.grad where it means z.grad",
                  "says that c2 becomes a constant",
                  "783 steps", "After step 659", "1.27949e-05"):  # fmt: skip
        assert piece in notes


def test_what_the_lecture_says_otherwise_has_a_section_of_its_own(result: Any) -> None:
    page = tour.report_page(result)
    section = next(s for s in page.sections if s.title.startswith("What the lecture says"))
    rows = {said: found.text for said, found in section.blocks[1].rows}
    assert len(rows) == 5
    html = result.report.read_text(encoding="utf-8")
    for found in (cell for _, cell in section.blocks[1].rows):
        link = found.html.partition("#")[2].partition('"')[0]
        title = found.text.rpartition(": ")[2]
        assert f'<h2 id="{link}">' in html
        assert (
            html.partition(f'<h2 id="{link}">')[2].partition("</h2>")[0].endswith(title.replace("'", "&#39;"))
        )
    found = " ".join(rows.values())
    for piece in ("c2.grad is None", "a.grad is None", "z.grad = -2", "783 are needed in float64",
                  "stops moving after step 659, at ‖∇L‖ = 1.279e-05, and runs on to 10000"):  # fmt: skip
        assert piece in found


def test_the_descents_say_how_they_ended(result: Any) -> None:
    printed = {v.case.slug: v.printed for v in result.visits}
    assert "converged in 783 steps" in printed["8_descent_float64"]
    assert "stalled at step 660 of 10000" in printed["9_descent_float32"]
    assert "converges in 783 steps" in printed["9_descent_float32"]


class Tags(html.parser.HTMLParser):
    """Open and close tags in balance, and every address that the page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in ("meta", "input", "br", "link", "img"):
            self.open.append(tag)
        given = dict(attrs)
        self.loads += [
            v for k, v in given.items() if k in ("src", "href", "xlink:href") and not v.startswith("#")
        ]
        self.ids += [given["id"]] if "id" in given else []

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_loads_nothing(result: Any) -> None:
    tags = Tags()
    tags.feed(result.report.read_text(encoding="utf-8"))
    assert tags.open == []
    assert tags.loads == []


def test_no_file_names_an_address_outside(result: Any) -> None:
    for path in result.report.parent.iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/", "")
        assert "http:" not in text, path.name
        assert "https:" not in text, path.name


def test_each_case_has_its_program_its_picture_and_its_graph(result: Any) -> None:
    names = {path.name for path in result.report.parent.iterdir()}
    for case in lecture.CASES:
        assert f"{case.slug}.py" in names
        assert f"{case.slug}_graph.svg" in names
        assert f"{case.slug}.svg" in names or f"{case.slug}_1.svg" in names


def test_each_section_has_program_explanation_and_answer(result: Any) -> None:
    text = (result.report.parent / "report.txt").read_text(encoding="utf-8")
    assert text.count("The program\n") == len(lecture.CASES)
    assert text.count("cr.explain(") == len(lecture.CASES)
    assert "3·w² = 3" in text
    assert "was made without requires_grad=True" in text


def test_the_data_is_json_with_the_same_numbers(result: Any) -> None:
    data = json.loads((result.report.parent / "data.json").read_text(encoding="utf-8"))
    assert data["ok"] is True
    assert data["cases"][0]["explanation"]["leaves"][0]["gradient"] == 7.0
    assert result.to_json()["report"] == str(result.report)


def test_the_default_dtype_is_as_it_was(tmp_path: Path) -> None:
    cr.set_default_dtype(cr.float32)
    try:
        assert tour.run(tmp_path, cases=[lecture.NORM]).ok
        assert cr.get_default_dtype() == cr.float32
    finally:
        cr.set_default_dtype(cr.float64)


def test_progress_hears_of_each_case(tmp_path: Path) -> None:
    heard: list[str] = []
    tour.run(tmp_path, progress=heard.append, cases=[lecture.SLOPE, lecture.NEGATIVE])
    assert heard == [lecture.SLOPE.title, lecture.NEGATIVE.title]


_DIGEST = """
import hashlib, pathlib, sys
from chainrule.insight import lecture, tour
tour.run(sys.argv[1], cases=lecture.CASES[:8])
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    print(path.name, hashlib.sha256(path.read_bytes()).hexdigest())
"""


def test_the_report_is_the_same_under_every_hash_seed(tmp_path: Path) -> None:
    found = set()
    for seed in ("0", "7"):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", _DIGEST, str(tmp_path / seed)]
        found.add(subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout)
    assert len(found) == 1
    assert hashlib.sha256(b"").hexdigest() not in found.pop()
