"""why: 40 programs with something to say (`scenarios.txt`), and 20 in which there is nothing (`healthy.txt`)."""

from __future__ import annotations

import json
import linecache
import re
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import chainrule as cr
from chainrule.insight.answer import REASONS
from chainrule.insight.why import why


class Scenario(NamedTuple):
    """A program, the question, and what the answer must hold.

    value
        The gradient: a number or a list, None for none.
    fix
        A piece of the way out, "" where there is nothing to do.
    says
        Pieces of the text.
    """

    name: str
    code: str
    ask: str
    reason: str
    value: Any
    fix: str
    says: tuple[str, ...]

    @property
    def line(self) -> int | None:
        """Number of the marked line."""
        marked = [k for k, line in enumerate(self.code.splitlines(), 1) if line.endswith("#!")]
        return marked[0] if marked else None


def _sections(file: str) -> list[tuple[str, list[str]]]:
    text = (Path(__file__).parent / file).read_text(encoding="utf-8")
    found = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    return [
        (head.strip(), body.strip("\n").splitlines()) for head, _, body in (s.partition("\n") for s in found)
    ]


def _scenario(name: str, lines: list[str]) -> Scenario:
    code = [line for line in lines if line[:2] not in ("? ", "= ", "! ", "+ ")]
    marked = {mark: [line[2:] for line in lines if line.startswith(f"{mark} ")] for mark in "?=!+"}
    reason, _, value = marked["="][0].partition(" ")
    return Scenario(
        name,
        "\n".join(code),
        marked["?"][0],
        reason,
        json.loads(value),
        "".join(marked["!"]),
        tuple(marked["+"]),
    )


SCENARIOS = [_scenario(name, lines) for name, lines in _sections("scenarios.txt")]
HEALTHY = {name: "\n".join(lines) for name, lines in _sections("healthy.txt")}


def run(code: str, cell: int) -> dict[str, Any]:
    """Run a program as a notebook's cell with that number; its names afterwards."""
    file = f"<ipython-input-{cell}-0>"
    linecache.cache[file] = (len(code), None, code.splitlines(keepends=True), file)
    names: dict[str, Any] = {"cr": cr, "np": np, "__name__": "__main__"}
    exec(compile(code, file, "exec"), names)
    return names


def answer_to(s: Scenario, cell: int) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cr.GradientNote)
        return run(f"{s.code}\nanswer = cr.why({s.ask})", cell)["answer"]


def entries(v: Any) -> Any:
    v = v["entries"] if isinstance(v, dict) else v
    return [float(str(e).replace("Infinity", "inf")) for e in (v if isinstance(v, list) else [v])]


def check(s: Scenario, answer: Any, cell: int) -> None:
    """Reason, number, line, way out."""
    assert answer.reason == s.reason, str(answer)
    if s.value is None:
        assert answer.value is None
    else:
        np.testing.assert_allclose(entries(answer.value), entries(s.value), rtol=1e-12)
    assert answer.place == (None if s.line is None else f"cell [{cell}]:{s.line}"), str(answer)
    assert s.fix in answer.fix
    assert (answer.fix != "") == (s.fix != "")
    for piece in (s.fix, *s.says):
        assert piece in str(answer), str(answer)
    json.dumps(answer.to_json(), allow_nan=False)


@pytest.mark.parametrize(
    "cell, s", list(enumerate(SCENARIOS)), ids=[s.name.replace(" ", "_") for s in SCENARIOS]
)
def test_the_reason_the_number_the_line_and_the_way_out(cell: int, s: Scenario) -> None:
    check(s, answer_to(s, cell), cell)


@pytest.mark.parametrize(
    "change",
    [{"reason": "unused"}, {"value": 2.0}, {"fix": "pray"}, {"says": ("no such words",)}, {"code": "#!"}],
)
def test_a_wrong_answer_is_noticed(change: dict[str, Any]) -> None:
    s = next(s for s in SCENARIOS if s.name == "accumulated")
    answer = answer_to(s, 900)
    check(s, answer, 900)
    with pytest.raises(AssertionError):
        check(s._replace(**change), answer, 900)


def test_the_scenarios_give_every_reason_but_those_that_other_tests_give() -> None:
    assert len(SCENARIOS) >= 40
    assert set(REASONS) - {s.reason for s in SCENARIOS} == {"gradient", "descent", "unknown"}


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_program_is_left_in_peace(name: str) -> None:
    cell = 500 + list(HEALTHY).index(name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        names = run(HEALTHY[name], cell)
        leaves = [
            (k, v) for k, v in names.items() if isinstance(v, cr.Tensor) and v.requires_grad and v.is_leaf
        ]
        answers = [(k, why(v)) for k, v in leaves]
    assert answers
    for k, answer in answers:
        assert answer.reason == "gradient", str(answer)
        assert answer.fix == ""
        assert answer.place == f"cell [{cell}]:{_line_of_backward(HEALTHY[name])}"
        np.testing.assert_allclose(entries(answer.value), np.ravel(names[k].grad.numpy()), rtol=1e-12)


def _line_of_backward(code: str) -> int:
    return max(k for k, line in enumerate(code.splitlines(), 1) if ".backward(" in line)


def test_there_are_twenty_healthy_programs() -> None:
    assert len(HEALTHY) >= 20
