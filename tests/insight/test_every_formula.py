"""Every printed formula evaluates to the printed number, and to the engine's: on random programs of the whole table."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule import dispatch
from chainrule.insight.explain import explain
from chainrule.insight.trace import Step
from chainrule.testing.fuzz import fuzz_graph, replay

SEEDS = st.integers(0, 100_000)

# What the words of formulas mean, in NumPy and `math`: nothing of chainrule.
_SAME = """sin cos tan sinh cosh tanh exp expm1 log log2 log10 log1p sqrt sign floor ceil trunc abs maximum minimum
hypot logaddexp isnan isinf isfinite where einsum"""
WORDS: dict[str, Any] = {
    **{n: getattr(np, n) for n in _SAME.split()},
    **{n: getattr(np, f"arc{n[1:]}") for n in ("asin", "acos", "atan", "asinh", "acosh", "atanh")},
    "atan2": np.arctan2, "round": np.rint, "inf": math.inf, "nan": math.nan, "pi": math.pi,
    "erf": np.vectorize(math.erf, otypes=[float]), "erfc": np.vectorize(math.erfc, otypes=[float]),
    "sigmoid": lambda x: 1 / (1 + np.exp(-np.float64(x))), "relu": lambda x: np.maximum(x, 0.0),
    "softplus": lambda x: np.logaddexp(x, 0.0), "clamp": lambda x, lo, hi: np.clip(x, lo, hi),
    "xlogy": lambda x, y: np.where(np.equal(x, 0), 0.0, x * np.log(np.where(np.equal(x, 0), 1.0, y))),
    "float": float,
}  # fmt: skip

# Formulas of these name a map of entries, whose axes and shapes are no part of the text: checked by other tests.
_MAPS = """reshape transpose broadcast flip shift pad cat take_along put_along diagonal on_diagonal unfold add_windows
scatter_add update cumsum cumprod linear_recurrence sum mean amax amin var std softmax logsumexp norm prod edge cast
any all argmax argmin float64 float32 real imag conj"""
MAPS = frozenset(_MAPS.split())
_RAISED = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def python_of(text: str) -> str:
    """What people read (3·w²) as Python."""
    powers = re.sub("[⁻⁰¹²³⁴-⁹]+", lambda m: f"**({m[0].translate(_RAISED)})", text)
    return powers.replace("·", "*")


def evaluate(python: str, values: dict[str, Any]) -> Any:
    """The number of a printed formula; None if it names a map of entries."""
    words = set(compile(python, "formula", "eval").co_names)
    if words & MAPS or any(op in python for op in (" and ", " or ", "not ", "constant[")):
        return None
    with np.errstate(all="ignore"):
        return eval(python, {"__builtins__": {}}, {**WORDS, **values})


def full(shown: Any) -> Any:
    """A value that was shown in full, as an array; None for one that was not."""
    if shown is None or shown.entries is None or len(shown.entries) < math.prod(shown.shape):
        return None
    return np.array(shown.entries).reshape(shown.shape)


def values_of(steps: tuple[Step, ...]) -> dict[str, Any]:
    return {s.name: full(s.value) for s in steps if s.name.isidentifier() and full(s.value) is not None}


def close(found: Any, number: Any, rtol: float = 1e-7) -> None:
    """Python's form has all digits of its numbers, the one for people six: hence its 1e-4."""
    np.testing.assert_allclose(np.broadcast_to(found, np.shape(number)), number, rtol=rtol, atol=rtol / 100)


def checked(seed: int) -> tuple[int, int]:
    """How many step formulas and local derivatives of a random program were evaluated, and agreed."""
    program = fuzz_graph(np.random.default_rng(seed), size=8, inputs=2)
    leaves = [cr.tensor(a, requires_grad=True) for a in program.args]
    out = replay(program.graph, dispatch.emit, *leaves)[-1]
    told = explain(out).trace
    values, steps, slopes = values_of(told.steps), 0, 0
    for s in told.steps:
        number = full(s.value)
        if s.formula is not None and number is not None and _known(s.formula.python, values):
            found = evaluate(s.formula.python, values)
            if found is not None:
                close(found, number)
                close(evaluate(python_of(s.formula.text), values), number, rtol=1e-4)
                steps += 1
        for e in s.locals:
            if e.formula is None or full(e.value) is None or not _known(e.formula.python, values):
                continue
            found = evaluate(e.formula.python, values)
            if found is not None:
                close(found, full(e.value))
                close(evaluate(python_of(e.formula.text), values), full(e.value), rtol=1e-4)
                slopes += 1
    return steps, slopes


def _known(python: str, values: dict[str, Any]) -> bool:
    """Whether the values behind all names were shown in full."""
    try:
        words = compile(python, "formula", "eval").co_names
    except SyntaxError:
        return "[" in python  # w[1:, 0] of an index that is an array
    return all(w in values or w in WORDS or w in MAPS for w in words)


@given(SEEDS)
def test_printed_formulas_evaluate_to_the_printed_numbers(seed: int) -> None:
    checked(seed)


def test_that_many_formulas_are_checked() -> None:
    counts = np.sum([checked(seed) for seed in range(60)], axis=0)
    assert counts[0] > 30
    assert counts[1] > 30


def test_a_wrong_formula_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WORDS, "exp", lambda x: np.exp(x) * 1.0001)
    monkeypatch.setitem(WORDS, "sin", lambda x: np.sin(x) + 0.0001)
    monkeypatch.setitem(WORDS, "tanh", lambda x: np.tanh(x) + 0.0001)
    with pytest.raises(AssertionError):
        test_that_many_formulas_are_checked()


@given(SEEDS)
def test_the_numbers_are_the_engines(seed: int) -> None:
    """Values, gradients and sums over routes, against `backward`."""
    program = fuzz_graph(np.random.default_rng(seed), size=8, inputs=2)
    leaves = [cr.tensor(a, requires_grad=True) for a in program.args]
    out = replay(program.graph, dispatch.emit, *leaves)[-1]
    told = explain(out).trace
    if full(told.steps[-1].value) is not None:
        np.testing.assert_array_equal(full(told.steps[-1].value), out.detach().numpy())
    if not told.tracked:
        return
    out.sum().backward()
    by_id = {leaf.n.serial: leaf for leaf in leaves}
    for g in told.leaves:
        leaf = by_id[g.id]
        if full(g.gradient) is not None:
            np.testing.assert_allclose(full(g.gradient), leaf.grad.numpy(), rtol=1e-12, atol=1e-14)
        if g.routes and g.routes[0].entry is None and not g.value.shape:
            np.testing.assert_allclose(
                sum(r.product for r in g.routes), leaf.grad.item(), rtol=1e-9, atol=1e-12
            )


@given(SEEDS)
def test_every_form_is_well_formed(seed: int) -> None:
    """LaTeX has its brackets in pairs, Markdown its columns, also of random programs."""
    program = fuzz_graph(np.random.default_rng(seed), size=8, inputs=2)
    out = replay(program.graph, dispatch.emit, *[cr.tensor(a, requires_grad=True) for a in program.args])[-1]
    told = explain(out)
    latex = told.latex()
    assert latex.count("{") == latex.count("}")
    assert latex.count(r"\left") == latex.count(r"\right")
    rows = [line for line in told.markdown().splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in rows}) == 1
    assert all(line.count("$") % 2 == 0 for line in told.markdown().splitlines() if "\\$" not in line)
