"""explain: the tree is read from the tape, and every number in it agrees with an independent one."""

from __future__ import annotations

import gc
import json
import math
import weakref
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.errors import ArgumentError, DataError
from chainrule.insight.explain import explain
from chainrule.insight.flow import LOST, Flow, central_difference


def mixed() -> dict[str, Any]:
    """The lecture's mixed case."""
    w1 = cr.tensor(1.0, requires_grad=True)
    c1 = cr.tensor(-2.0)
    w2 = cr.tensor(2.0)
    w3 = cr.tensor(0.0, requires_grad=True)
    c2 = cr.tensor(10.0, requires_grad=True) + 1.0
    L = (w1 + c1) ** 2 + w2**3 + 4 * c2
    return {"text": str(explain(L)), "json": explain(L).to_json(), "keep": (w1, w3, L)}


def test_steps_have_names_values_and_local_derivatives_in_symbols_and_numbers() -> None:
    text = mixed()["text"]
    for piece in (
        "u = w1 + c1",
        "p = u²",
        "∂p/∂u = 2·u = -2",
        "q = w2³",
        "(not tracked)",
        "c2 = t + 1",
        "s = 4·c2",
    ):
        assert piece in text


def test_cotangents_are_shown_with_the_product_they_are() -> None:
    text = mixed()["text"]
    assert "dL/du = 2·u · 1 = -2" in text
    assert "dL/dc2 = 4 · 1 = 4" in text


def test_a_route_is_a_product_of_local_derivatives() -> None:
    assert "∂L/∂r · ∂r/∂p · ∂p/∂u · ∂u/∂w1 = 1 · 1 · (-2) · 1" in mixed()["text"]


def test_an_unnamed_leaf_is_named_and_its_line_is_shown() -> None:
    text = mixed()["text"]
    assert "t is the unnamed tensor(10.0) made at\n    test_explain.py:" in text
    assert "c2 = cr.tensor(10.0, requires_grad=True) + 1.0" in text


def test_what_takes_no_part_is_said() -> None:
    text = mixed()["text"]
    assert "NOT in this graph: w3" in text
    assert "Constants: c1, w2" in text


def test_the_json_of_the_mixed_case_holds_the_gradients() -> None:
    data = mixed()["json"]
    json.dumps(data, allow_nan=False)
    assert {g["name"]: g["gradient"] for g in data["leaves"]} == {"w1": -2.0, "t": 4.0}


def test_it_works_after_backward_freed_the_graph() -> None:
    w = cr.tensor(1.5, requires_grad=True)
    L = 4 * w - w**3
    L.backward()
    text = str(explain(L))
    assert "w = -2.75   the sum over 2 routes:" in text
    assert "GRADIENTS that were stored" in text


def test_two_backward_calls_are_told_apart_from_one() -> None:
    w = cr.tensor(1.0, requires_grad=True)
    L = 4 * w + w**3
    L.backward(retain_graph=True)
    L.backward()
    assert "w.grad holds 14 now = 7 + 7, from 2 backward calls" in str(explain(L))


def test_a_named_intermediate_that_was_asked_for_restricts_the_routes() -> None:
    w = cr.tensor(2.0, requires_grad=True)
    b = cr.tensor(5.0, requires_grad=True)
    L = w**2 + b * 3
    text = str(explain(L, w))
    assert "w²" in text
    assert "b" not in text.split("NOT")[0].replace("backward()", "").replace("BACKWARD", "")


def test_one_entry_of_a_vector_can_be_asked_for() -> None:
    w = cr.tensor([0.1, 0.0, 0.3], requires_grad=True)
    L = cr.norm(w) ** 2
    assert "w[2] = 0.6" in str(explain(L, w[2]))


def test_a_scoped_operation_is_one_step() -> None:
    x = cr.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = cr.softmax(x, 0)
    assert len([s for s in explain(y).trace.steps if s.formula is not None]) == 1


def test_a_recognised_composite_says_what_it_is_read_as() -> None:
    x = cr.tensor([3.0, 4.0], requires_grad=True)
    n = cr.sqrt((x * x).sum())
    text = str(explain(n))
    assert "read as norm(x)" in text
    assert "x = [0.6, 0.8]" in text


def test_arrays_that_were_freed_are_said_to_be_missing() -> None:
    x = cr.ones(1000, requires_grad=True)
    L = (x * x).sum()
    L.backward()
    assert (
        explain(L).trace.leaves[0].gradient.entries == (2.0,) * 8
    )  # computed again, from the tensor in reach
    with cr.no_grad():
        x += 1
    assert "Some numbers are missing" in str(explain(L))


def test_a_value_changed_in_place_afterwards_is_marked() -> None:
    w = cr.tensor([1.0, 2.0], requires_grad=True)
    L = w[0] * w[1]
    L.backward()
    with cr.no_grad():
        w -= 0.5
    assert "w was changed in place afterwards, at test_explain.py:" in str(explain(L))


def test_nothing_is_kept_alive_and_nothing_changes() -> None:
    w = cr.tensor(1.0, requires_grad=True)
    L = w * w
    before = (L.item(), w.grad, L.grad_fn)
    kept = explain(L)
    assert (L.item(), w.grad, L.grad_fn) == before
    node = weakref.ref(L.grad_fn)
    del L, before
    gc.collect()
    assert node() is None
    assert "w·w" in str(kept)


def test_the_locals_of_a_caller_who_holds_them_stay() -> None:
    w = cr.tensor(1.0, requires_grad=True)
    held = locals()
    explain(w * w)
    assert held["w"] is w


def test_a_computation_of_100_000_steps_is_told_by_line() -> None:
    x = cr.tensor(0.5, requires_grad=True)
    y = x
    for _ in range(50_000):
        y = y * 1.00001
        y = y + 0.1
    text = str(explain(y))
    assert "100000 steps on 2 lines" in text
    assert f"x = {1.00001**50000:.6g}" in text


def test_latex_has_the_derivatives() -> None:
    w = cr.tensor(1.0, requires_grad=True)
    L = 4 * w + w**3
    text = explain(L).latex()
    assert r"\frac{\partial L}{\partial w}" in text
    assert text.startswith(r"\begin{aligned}")


def test_a_result_without_gradients_is_explained_forward_only() -> None:
    c = cr.tensor(2.0)
    y = c**3
    text = str(explain(y))
    assert "y = c³" in text
    assert "No gradients" in text


def test_a_leaf_has_nothing_to_explain_and_says_so() -> None:
    w = cr.tensor(2.0, requires_grad=True)
    assert "was made, not computed" in str(explain(w))


def test_what_is_no_tensor_is_refused() -> None:
    with pytest.raises(DataError, match="why"):
        explain(None)
    w = cr.tensor(2.0, requires_grad=True)
    with pytest.raises(ArgumentError):
        explain(w * 2, wrt=3)
    with pytest.raises(ArgumentError):
        explain(w * 2, detail="long")


# --- properties, on random programs ------------------------------------------------------------------------

_UNARY = ["sin", "cos", "tanh", "exp", "sigmoid", "atan", "relu", "abs", "neg"]
_BINARY = ["add", "sub", "mul"]
STEPS = st.lists(
    st.tuples(st.sampled_from(_UNARY + _BINARY + ["square", "cube"]), st.integers(0, 9), st.integers(0, 9)),
    min_size=1,
    max_size=8,
)
POINTS = st.lists(st.floats(-1.5, 1.5).filter(lambda v: abs(v) > 0.05), min_size=2, max_size=2)


def build(steps: Any, point: Any) -> tuple[Any, Any]:
    leaves = [cr.tensor(v, requires_grad=True) for v in point]
    values = [*leaves]
    for name, i, j in steps:
        a, b = values[i % len(values)], values[j % len(values)]
        if name in _BINARY:
            values.append(getattr(cr, name)(a, b))
        elif name in ("square", "cube"):
            values.append(a ** (2 if name == "square" else 3))
        else:
            values.append(getattr(cr, name)(a))
    return leaves, values[-1] + 0 * leaves[0]


FUNCTIONS = {
    **{n: getattr(math, n) for n in ("sin", "cos", "tanh", "exp", "atan", "cosh", "sqrt")},
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "sign": lambda x: float(np.sign(x)),
    "where": lambda c, a, b: a if c else b,
}


@given(STEPS, POINTS)
def test_every_printed_local_derivative_evaluates_to_its_number(steps: Any, point: Any) -> None:
    _, out = build(steps, point)
    told = explain(out).trace
    values = {s.name: s.value.scalar for s in told.steps}
    for s in told.steps:
        for e in s.locals:
            assert e.formula is not None
            assert e.value is not None
            found = eval(e.formula.python, {**FUNCTIONS, **values})
            assert found == pytest.approx(e.value.scalar, rel=1e-9, abs=1e-12)


@given(STEPS, POINTS)
def test_products_along_the_routes_sum_to_the_gradient(steps: Any, point: Any) -> None:
    leaves, out = build(steps, point)
    told = explain(out).trace
    out.backward()
    for leaf, g in zip(leaves, sorted(told.leaves, key=lambda g: g.id), strict=False):
        if g.routes:
            total = sum(r.product for r in g.routes)
            assert total == pytest.approx(leaf.grad.item(), rel=1e-9, abs=1e-12)


@given(STEPS, POINTS)
def test_explaining_random_programs_never_fails(steps: Any, point: Any) -> None:
    _, out = build(steps, point)
    told = explain(out)
    assert str(told)
    assert told.latex()
    json.dumps(told.to_json(), allow_nan=False)


@given(STEPS, POINTS)
def test_a_replay_of_the_tape_agrees_with_the_slope(steps: Any, point: Any) -> None:
    leaves, out = build(steps, point)
    out.backward()
    found = central_difference(out.grad_fn, leaves[0].n)
    told = (
        found is not None
    )  # None: two step sizes disagree, as where the slope is 0 and the third derivative large
    if told and abs(out.item()) < 1e6 and not any(name in ("relu", "abs") for name, _, _ in steps):
        assert found == pytest.approx(leaves[0].grad.item(), rel=1e-4, abs=1e-4)


def test_the_replay_check_can_fail() -> None:
    """A number that is not the slope is not what a replay gives."""
    w = cr.tensor(1.0, requires_grad=True)
    L = w**3
    assert central_difference(L.grad_fn, w.n) != pytest.approx(3.01, rel=1e-4)


def test_a_route_that_is_not_taken_passes_no_nan() -> None:
    """As in backward: where(x > 0, log(x), 0) at 0 has slope 0 (semantics, rule 4)."""
    x = cr.tensor([0.0, 2.0], requires_grad=True)
    y = cr.where(x > 0, cr.log(x), 0.0).sum()
    ct = Flow(y.grad_fn).cotangents()[x.n]
    assert ct is not LOST
    assert ct.tolist() == [0.0, 0.5]
