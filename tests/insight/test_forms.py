"""explain in its other forms: functions, entries, loops, Markdown, LaTeX, files, what is kept for backward."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import chainrule as cr
from chainrule.errors import ArgumentError, DataError
from chainrule.insight.explain import explain
from chainrule.insight.why import why


def loss(a: Any, b: Any) -> Any:
    h = a * b
    return cr.sin(h) ** 2 + a


# --- functions ---------------------------------------------------------------------------------------------


def test_a_function_is_explained_at_its_point_under_its_own_names() -> None:
    told = explain(lambda w: 4 * w + w**3, 1.0).trace
    (g,) = told.leaves
    assert (g.name, g.gradient.scalar) == ("w", 7.0)
    assert [r.product for r in g.routes] == [4.0, 3.0]


def test_values_inside_a_function_have_the_names_that_they_had_there() -> None:
    told = explain(loss, 1.0, 2.0).trace
    h = next(s for s in told.steps if s.name == "h")
    assert h.formula is not None
    assert h.formula.text == "a·b"


def test_a_name_that_two_values_had_is_given_to_none() -> None:
    def f(w: Any) -> Any:
        h = w * 2
        h = h + 1
        return h * h

    assert "h" not in {s.name for s in explain(f, 1.0).trace.steps}


def test_a_function_of_arrays_and_tensors() -> None:
    told = explain(lambda x, y: (x * y).sum(), [1.0, 2.0], cr.tensor([3.0, 4.0])).to_json()
    assert {g["name"]: g["gradient"]["entries"] for g in told["leaves"]} == {"x": [3.0, 4.0], "y": [1.0, 2.0]}


def test_why_takes_a_function_with_its_point_too() -> None:
    answer = why(lambda w: 4 * w + w**3, 1.0)
    assert (answer.reason, answer.about, answer.value) == ("gradient", "w", 7.0)


def test_a_point_that_is_a_tensor_of_the_user_keeps_its_grad() -> None:
    w = cr.tensor(1.0, requires_grad=True)
    explain(lambda v: v**2, w)
    why(lambda v: v**2, w)
    assert w.grad is None


@pytest.mark.parametrize("wrong", [
    lambda: explain(loss), lambda: explain(loss, "a", 1.0), lambda: explain(lambda x: 3, 1.0),
    lambda: explain(loss, 1.0, 2.0, wrt=cr.tensor(1.0)), lambda: why(loss),
])  # fmt: skip
def test_a_function_without_a_point_or_without_a_tensor_is_refused(wrong: Any) -> None:
    with pytest.raises((ArgumentError, DataError)) as info:
        wrong()
    assert info.value.fix


def test_operands_of_a_user_level_operation_stand_in_their_order() -> None:
    steps = explain(lambda x, y: cr.stack([x * 2, y * 3, x * 5]), 1.0, 2.0).trace.steps
    names = {s.formula.text: s.name for s in steps if s.formula is not None}
    assert f"stack({names['x·2']}, {names['y·3']}, {names['x·5']})" in names


def test_why_of_a_function_of_several_outputs_is_a_sum() -> None:
    answer = why(lambda x: cr.stack([x[0] * x[1], x[0] ** 2]), [1.0, 2.0])
    assert (answer.reason, answer.value["entries"]) == ("sum", [4.0, 1.0])


def test_names_cannot_smuggle_markup_into_a_notebook() -> None:
    box = {"<b>": cr.tensor(1.0, requires_grad=True)}
    L = box["<b>"] * 2
    assert "<" not in explain(L).markdown()


# --- entries ---------------------------------------------------------------------------------------------------


def test_routes_lead_from_the_entries_of_a_vector() -> None:
    w = cr.tensor([1.0, 2.0], requires_grad=True)
    L = w[0] + w[1] ** 2
    (g,) = explain(L).trace.leaves
    assert {r.entry: r.product for r in g.routes} == {(0,): 1.0, (1,): 4.0}


def test_one_entry_leaves_the_steps_of_the_others_out() -> None:
    w = cr.tensor([1.0, 2.0], requires_grad=True)
    L = w[0] ** 3 + w[1] ** 2
    text = str(explain(L, w[1]))
    assert "w[1] = 4   (all of them: [3, 4])" in text
    assert "w[1]²" in text
    assert "w[0]³" not in text.partition("GRADIENTS")[0].replace("L = u + p", "")


def test_why_of_an_entry_names_the_entry() -> None:
    w = cr.tensor([1.0, 2.0], requires_grad=True)
    L = w[0] + w[1] ** 2
    L.backward()
    assert "dL/dw[1] = 4 at w[1] = 2" in str(why(w[1]))
    assert "dL/dw[1] = 4 at w[1] = 2" in str(why(w.grad[1]))
    assert L.item() == 5.0


# --- loops -------------------------------------------------------------------------------------------------------


def test_lines_of_a_loop_are_folded() -> None:
    x = cr.tensor(1.0, requires_grad=True)
    y = x
    for _ in range(40):
        g = 2 * y
        y = y - 0.1 * g
    L = y**2
    told = explain(L)
    (loop,) = told.trace.loops
    lines = told.trace.lines[loop.first : loop.last + 1]
    assert (loop.times, [line.place.text for line in lines]) == (40, ["g = 2 * y", "y = y - 0.1 * g"])
    assert f"test_forms.py, lines {lines[0].number}–{lines[1].number} × 40" in str(told)
    assert told.to_json()["loops"] == [{"lines": [0, 1], "times": 40}]


def test_a_user_level_operation_is_one_step_in_every_form() -> None:
    x = cr.tensor([1.0, 2.0, 3.0], requires_grad=True)
    told = explain(cr.softmax(x, 0))
    assert len([s for s in told.to_json()["steps"] if s["formula"]]) == 1
    assert told.markdown().count("softmax") == 1


# --- what is kept ------------------------------------------------------------------------------------------------


def test_what_is_kept_is_counted_once_and_named() -> None:
    x = cr.ones(100, requires_grad=True)
    h = cr.exp(x)
    L = (h * h).sum()
    saved = explain(L).saved
    assert saved.bytes == 800
    assert [(v.name, v.by) for v in saved.values] == [("h", ("exp", "mul"))]
    assert "1 value kept for backward: 800 bytes" in str(saved)


def test_addition_keeps_nothing() -> None:
    x = cr.ones(100, requires_grad=True)
    assert explain((x + 2).sum()).saved.bytes == 0


def test_after_backward_the_kept_values_are_freed() -> None:
    x = cr.ones(1000, requires_grad=True)
    L = (x * x).sum()
    L.backward()
    saved = explain(L).saved
    assert (saved.bytes, saved.freed) == (0, 1)


# --- files and notations -------------------------------------------------------------------------------------------


def test_markdown_is_a_table_with_formulas() -> None:
    w = cr.tensor(-2.0, requires_grad=True)
    L = cr.abs(w) + w**3
    text = explain(L).markdown()
    assert r"$u = \left\vert w\right\vert $" in text
    assert r"\frac{\partial L}{\partial w}" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 5
    assert {line.count("|") for line in rows} == {6}


def test_an_entry_and_a_numbered_name_are_told_apart_in_latex() -> None:
    w1, w = cr.tensor(1.0, requires_grad=True), cr.tensor([1.0, 2.0], requires_grad=True)
    L = w1 * w[1]
    text = explain(L).latex()
    assert "w_{1}" in text
    assert "w[1]" in text


@pytest.mark.parametrize("ending", ["html", "md", "tex", "json", "txt"])
def test_it_can_be_written_to_a_file(ending: str, tmp_path: Path) -> None:
    w = cr.tensor(1.0, requires_grad=True)
    L = 4 * w + w**3
    explain(L).save(tmp_path / f"L.{ending}")
    text = (tmp_path / f"L.{ending}").read_text(encoding="utf-8")
    assert "7" in text
    if ending == "json":
        assert json.loads(text)["leaves"][0]["gradient"] == 7.0
    if ending == "html":
        assert text.startswith("<!DOCTYPE html>")
        assert "http" not in text.replace("http://www.w3.org", "").replace("http-equiv", "")


def test_an_unknown_ending_is_refused(tmp_path: Path) -> None:
    w = cr.tensor(1.0, requires_grad=True)
    with pytest.raises(ArgumentError, match=r"\.pdf"):
        explain(w * 2).save(tmp_path / "L.pdf")


# --- the same on every run -------------------------------------------------------------------------------------------

_PROGRAM = """
import chainrule as cr
w1 = cr.tensor(1.0, requires_grad=True); c1 = cr.tensor(-2.0); w2 = cr.tensor(2.0)
w3 = cr.tensor(0.0, requires_grad=True); u1 = cr.tensor(0.0, requires_grad=True)
c2 = cr.tensor(10.0, requires_grad=True) + 1.0
x = cr.tensor([0.0, 1.0, 2.0], requires_grad=True)
L = (w1 + c1)**2 + w2**3 + 4*c2 + cr.softmax(x, 0)[0] + cr.where(x > 0, cr.log(x), 0.0).sum()
L.backward()
e = cr.explain(L)
print(e, e.markdown(), e.latex(), e.to_json(), e.saved, sep="\\n")
for t in (w1, c1, w2, w3, c2, x, x[0], L):
    a = cr.why(t)
    print(a, a.to_json())
"""


def run_with_seed(seed: str, tmp_path: Path) -> str:
    file = tmp_path / "program.py"
    file.write_text(_PROGRAM, encoding="utf-8")
    env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, env=env, check=True)
    return done.stdout


def test_the_text_is_the_same_under_every_hash_seed(tmp_path: Path) -> None:
    first, second = (run_with_seed(seed, tmp_path) for seed in ("1", "2"))
    assert first == second
    assert "dL/dw1 = -2 at w1 = 1" in first
