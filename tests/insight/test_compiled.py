"""explain, why and graph see through compiled calls: they say what they say of the same function run eagerly."""

from __future__ import annotations

import gc
import linecache
import re
import warnings
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.insight import inside

_FOUND = re.split(
    r"^## ", (Path(__file__).parent / "compiled.txt").read_text(encoding="utf-8"), flags=re.MULTILINE
)[1:]
PROGRAMS = {name: code for name, _, code in (s.partition("\n") for s in _FOUND)}
QUESTIONS = ("explain(L)", "explain(L, x)", "graph(L)", "why(L)", "why(x.grad)", "why(y.grad)")


def answers(code: str, decorator: str, cell: int) -> list[str]:
    """What is answered to each question before and after backward, about a program that ran as a notebook's cell."""
    file, names = f"<ipython-input-{cell}-0>", {"cr": cr, "np": np, "__name__": "__main__"}
    code, found = code.replace("@compiled", decorator), []

    def run(line: str) -> Any:
        text = f"{code}{line}\n"
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        exec(compile("\n" * code.count("\n") + line, file, "exec"), names)
        return names.get("answer")

    exec(compile(code, file, "exec"), names)
    for backward in ("pass", "L.sum().backward() if L.numel() > 1 else L.backward()"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", cr.GradientNote)
            try:
                run(backward)
            except cr.errors.OverwrittenError as err:
                found.append(type(err).__name__)
            asked = [q for q in QUESTIONS if set(re.findall(r"\b[xy]\b", q)) <= names.keys()]
            found += [str(run(f"answer = cr.{q}")) for q in asked]
    return found


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_compiled_function_is_told_as_the_function_itself(name: str) -> None:
    cell = 2000 + list(PROGRAMS).index(name)
    eager = answers(PROGRAMS[name], "", cell)
    compiled = answers(PROGRAMS[name], "@cr.compile", cell)
    for a, b in zip(eager, compiled, strict=True):
        assert re.sub(r"\n?.* ran( \d+ times)? as machine code .*", "", b) == a


def gap(x: Any) -> Any:
    h = x[:, None] - x[None, :]
    return (h * h).sum()


def test_what_was_run_again_is_said_and_how_far_it_is_off() -> None:
    f = cr.compile(lambda x: cr.exp(x) * 2)
    x = cr.tensor(1.0, requires_grad=True)
    y = f(x)
    (note,) = cr.explain(y).trace.notes
    assert "ran as machine code (test_compiled.py:" in note
    assert "the 2 steps inside are told as NumPy computes them" in note
    assert cr.explain(y).trace.steps[-1].value.scalar == y.item()


def test_another_result_is_noticed() -> None:
    f = cr.compile(lambda x: cr.exp(x) * 2)
    x = cr.tensor(1.0, requires_grad=True)
    y = f(x)
    y.n.out = y.v * 1.5  # as if the machine code were wrong
    assert "CAREFUL: their result is another one" in str(cr.explain(y))
    assert "CAREFUL" in str(cr.why(y))


def test_several_results_and_one_that_is_an_argument() -> None:
    f = cr.compile(lambda x: {"a": 2 * x, "b": ((2 * x).sum(), x.reshape(1, 2).to(cr.float32)), "c": x})
    x = cr.tensor([0.5, -1.0], requires_grad=True)
    r = f(x)
    a, b, c = r["a"], r["b"], r["c"]
    L = (a * b[1]).sum() + b[0] * c.sum()
    steps = {s.name: s.formula.text for s in cr.explain(L).trace.steps if s.formula is not None}
    assert steps["a"] == "2·x"
    assert steps["c"] == "x"
    assert "float32" in steps["b[1]"]
    L.backward()
    answer = cr.why(x.grad)
    assert answer.reason == "gradient"
    np.testing.assert_allclose(x.grad.numpy(), 4 * x.detach().numpy() + 2 * 2 * x.sum().item(), rtol=1e-6)


def test_two_calls_of_one_function_are_two_steps() -> None:
    f = cr.compile(lambda x: cr.softmax(x, 0))
    x = cr.tensor([0.5, -1.0], requires_grad=True)
    steps = [s for s in cr.explain(f(f(x)).sum()).trace.steps if s.formula is not None]
    assert [s.formula.text.partition("(")[0] for s in steps] == ["softmax", "softmax", "sum"]


def test_what_backward_freed_is_read_where_the_program_has_it() -> None:
    x = cr.tensor(np.linspace(-1, 1, 1000), requires_grad=True)
    L = cr.compile(gap)(x)
    L.backward()
    told = cr.explain(L)
    assert told.trace.count == 5
    np.testing.assert_allclose(told.trace.leaves[0].gradient.entries, x.grad.numpy()[:8], rtol=1e-12)
    assert cr.why(x.grad).reason == "gradient"


def test_what_is_gone_is_told_as_one_step_with_the_reason() -> None:
    x = cr.tensor(np.linspace(-1, 1, 1000), requires_grad=True)
    f = cr.compile(gap)
    L = f(2 * x)
    L.backward()
    with cr.no_grad():
        x += 1
    assert "gap (compiled, test_compiled.py:" in str(cr.explain(L))
    assert "is told as one step: backward() freed the arrays over 4 kB that it read." in str(cr.explain(L))


def test_what_would_take_too_much_memory_stays_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inside, "_BYTES", 1000)
    x = cr.tensor(np.linspace(-1, 1, 50), requires_grad=True)
    L = cr.compile(gap)(x)
    assert "is told as one step: its steps would take" in str(cr.explain(L))
    assert [s.formula.text for s in cr.explain(L).trace.steps if s.formula is not None] == ["gap(x)"]


def test_nothing_is_kept_alive_and_nothing_changes() -> None:
    x = cr.tensor([1.0, 2.0], requires_grad=True)
    L = cr.compile(gap)(x)
    value, node, parents = L.item(), L.n, L.n.parents
    explanation, answer, picture = cr.explain(L), cr.why(L), cr.graph(L)
    assert (L.item(), L.n, L.n.parents) == (value, node, parents)
    kept = weakref.ref(L.n)
    del L, node
    gc.collect()
    assert kept() is None
    assert all(map(str, (explanation, answer, picture)))


def test_what_an_explanation_says_is_kept_is_what_the_call_keeps() -> None:
    x = cr.tensor(np.linspace(-1, 1, 10), requires_grad=True)
    assert cr.explain(cr.compile(gap)(x)).saved.bytes == 80
    assert cr.explain(gap(x)).saved.bytes == 800


DATA = np.cos(np.arange(3000.0)).reshape(1000, 3)


def test_arrays_from_outside_are_there_after_backward_and_have_their_names() -> None:
    f = cr.compile(lambda w: (cr.sigmoid(DATA @ w) ** 2).mean())
    w = cr.tensor([1.0, 2.0, 0.5], requires_grad=True)
    L = f(w)
    L.backward()
    with cr.no_grad():
        w -= 0.1 * w.grad
    told = cr.explain(L)
    assert told.trace.steps[-1].value.scalar == L.item()
    assert next(s.formula.text for s in told.trace.steps if s.formula is not None) == "DATA @ w"
    np.testing.assert_allclose(told.trace.leaves[0].gradient.entries, w.grad.numpy(), rtol=1e-12)
    answer = cr.why(w.grad)
    assert answer.reason == "gradient"
    np.testing.assert_allclose(answer.to_json()["check"], w.grad.numpy(), rtol=1e-7)


def test_an_array_of_the_program_stands_in_for_what_was_freed_if_the_result_is_the_same() -> None:
    f = cr.compile(lambda w, x: (cr.sigmoid(x @ w) ** 2).mean())
    x, w = 2 * DATA, cr.tensor([1.0, 2.0, 0.5], requires_grad=True)
    L = f(w, x)
    L.backward()
    assert ", with x as it is now, " in str(cr.explain(L))
    np.testing.assert_allclose(cr.explain(L).trace.leaves[0].gradient.entries, w.grad.numpy(), rtol=1e-12)
    x[0] = 7.0
    assert "is told as one step: backward() freed" in str(cr.explain(L))


def test_a_gradient_that_a_compiled_step_stored() -> None:
    @cr.compile
    def step(w):
        (w**2).sum().backward()
        with cr.no_grad():
            w -= 0.1 * w.grad

    w = cr.tensor([1.0, 2.0], requires_grad=True)
    step(w)
    answer = cr.why(w.grad)
    assert answer.reason == "gradient"
    assert "A backward inside of the compiled function step stored it, at test_compiled.py:" in str(answer)
    assert answer.value["entries"] == [2.0, 4.0]
