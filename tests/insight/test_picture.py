"""graph: the tree as the data of a picture."""

from __future__ import annotations

import pytest

import chainrule as cr
from chainrule.errors import DataError
from chainrule.insight.picture import graph


def test_leaf_constant_unused_unnamed_and_output_are_told_apart() -> None:
    w1 = cr.tensor(1.0, requires_grad=True)
    c1 = cr.tensor(-2.0)
    w3 = cr.tensor(0.0, requires_grad=True)
    c2 = cr.tensor(10.0, requires_grad=True) + 1.0
    L = (w1 + c1) ** 2 + 4 * c2
    kinds = {n.rows[0]: n.kind for n in graph(L).nodes}
    assert kinds["w1"] == "leaf"
    assert kinds["c1"] == "constant"
    assert kinds["w3"] == "unused"
    assert kinds["t, unnamed"] == "unnamed"
    assert kinds["c2 = t + 1"] == "computed"
    assert [k for k in kinds.values() if k == "output"] == ["output"]
    assert w3.grad is None


def test_lines_carry_local_derivatives_and_constants_are_dashed() -> None:
    w = cr.tensor(3.0, requires_grad=True)
    c = cr.tensor(2.0)
    L = c * w
    edges = {(e.chip, e.live) for e in graph(L).edges}
    assert edges == {("2", True), ("", False)}


def test_a_value_used_twice_has_two_lines() -> None:
    w = cr.tensor(3.0, requires_grad=True)
    L = w * w
    assert [e.chip for e in graph(L).edges] == ["3", "3"]


def test_a_long_computation_has_a_box_for_each_line() -> None:
    x = cr.tensor(0.5, requires_grad=True)
    y = x
    for _ in range(100):
        y = y * 1.01
    assert len(graph(y).nodes) == 1


def test_the_picture_is_drawn() -> None:
    w = cr.tensor(1.0, requires_grad=True)
    assert "<svg" in graph(4 * w + w**3).to_svg()


def test_what_is_no_tensor_is_refused() -> None:
    with pytest.raises(DataError):
        graph(3.0)
