"""graph: the tree as the data of a picture."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.errors import ArgumentError, DataError
from chainrule.insight.folding import components
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


def looped(turns: int) -> tuple[cr.Tensor, ...]:
    x = cr.tensor(0.5, requires_grad=True)
    b = cr.tensor(2.0, requires_grad=True)
    y = x
    for _ in range(turns):
        h = y * b
        y = cr.tanh(h) + 1.0
    L = y * y
    return x, b, y, L


def test_lines_of_a_loop_that_use_each_other_are_one_box() -> None:
    x, b, _, L = looped(40)
    g = graph(L)
    kinds = [n.kind for n in g.nodes if n.kind != "unused"]
    assert kinds == ["leaf", "leaf", "computed", "output"]
    loop = g.nodes[2]
    assert loop.rows[0].startswith("lines ")
    assert loop.rows[1] == "120 values, 40 times"
    assert len(g.edges) == 3
    L.backward()
    assert g.nodes[1].rows[2] == f"∂L/∂b = {b.grad.item():.6g}"
    assert x.grad is not None


def test_up_to_eighty_values_are_told_step_by_step() -> None:
    _, _, _, L = looped(25)  # 2 leaves, 75 steps, the result
    assert len([n for n in graph(L).nodes if n.kind != "unused"]) == 78


def test_a_focus_shows_what_lies_around_it() -> None:
    x, b, _, L = looped(40)
    g = graph(L, focus=x, depth=2)
    assert b.requires_grad
    assert [n.kind for n in g.nodes] == ["leaf", "leaf", "computed", "computed"]
    assert g.nodes[2].rows[0] == "u = x·b"
    assert {e.chip for e in g.edges if e.source == g.nodes[0].id} == {"2"}
    assert "(4 of 123 values)" in g.title


def test_a_depth_alone_is_counted_from_the_result() -> None:
    _, _, y, L = looped(40)
    assert y.requires_grad
    assert [n.rows[0] for n in graph(L, depth=1).nodes] == ["y = … + 1", "L = y·y"]


def test_folded_and_whole_agree_on_the_gradients() -> None:
    x, b, _, L = looped(40)
    found = {n.rows[0]: n.rows[2] for n in graph(L).nodes if n.kind == "leaf"}
    L.backward()
    assert found == {name: f"∂L/∂{name} = {t.grad.item():.6g}" for name, t in (("x", x), ("b", b))}


def test_a_long_chain_on_one_line_has_one_box_for_it() -> None:
    x = cr.tensor(0.5, requires_grad=True)
    y = x
    for _ in range(100):
        y = y * 1.01
    assert [n.rows[0] for n in graph(y).nodes if n.kind in ("leaf", "computed", "output")] == [
        "x",
        "y = y * 1.01",
        "y",
    ]


def test_larger_arrays_are_shape_smallest_mean_and_largest() -> None:
    w = cr.tensor([0.1, 0.0] * 4, requires_grad=True)
    n = graph((w * w).sum()).nodes[0]
    assert n.rows[1] == "(8,) min 0 · mean 0.05 · max 0.1"
    assert n.rows[2:] == ("∂L/∂w", "min 0 · mean 0.1 · max 0.2")
    assert graph((cr.tensor([1.0, 2.0], requires_grad=True) ** 2).sum()).nodes[0].rows[1] == "[1, 2]"


@pytest.mark.parametrize(
    "after, expected",
    [
        ([], []),
        ([[1], [2], []], [[0], [1], [2]]),
        ([[1], [2], [0], [0]], [[0, 1, 2], [3]]),
        ([[1], [0], [3], [2]], [[0, 1], [2, 3]]),
        ([[0]], [[0]]),
    ],
)
def test_components_are_what_reaches_each_other(after: list[list[int]], expected: list[list[int]]) -> None:
    assert sorted(components(after)) == expected


@settings(max_examples=100)
@given(st.integers(1, 7).flatmap(lambda n: st.lists(st.lists(st.integers(0, n - 1)), min_size=n, max_size=n)))
def test_components_agree_with_reachability(after: list[list[int]]) -> None:
    def reached(v: int) -> set[int]:
        found, stack = {v}, [v]
        while stack:
            stack += [u for u in after[stack.pop()] if u not in found and not found.add(u)]
        return found

    reach = [reached(v) for v in range(len(after))]
    together = {frozenset(u for u in reach[v] if v in reach[u]) for v in range(len(after))}
    assert {frozenset(c) for c in components(after)} == together


_SAME = """
import chainrule as cr
w1 = cr.tensor(1.0, requires_grad=True); c1 = cr.tensor(-2.0); w3 = cr.tensor(0.0, requires_grad=True)
c2 = cr.tensor(10.0, requires_grad=True) + 1.0
L = (w1 + c1) ** 2 + 4 * c2
y = w1
for _ in range(50):
    h = y * 0.5
    y = cr.sin(h) + c1
r = cr.minimize(lambda w: (w[0] - 2) ** 2 + (w[1] + 3) ** 2, [0.0, 0.0], lr=0.1)
for p in (cr.graph(L), cr.graph(y), cr.graph(y, focus=w1), r.plot(), r.plot("convergence"), cr.plot(cr.sin, at=1.0)):
    print(p.to_svg(), p.to_text(), p.to_json(), p._repr_mimebundle_())
"""


def test_pictures_are_the_same_bytes_under_every_hash_seed(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(_SAME, encoding="utf-8")
    found = set()
    for seed in ("0", "1", "77"):
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"}
        command = [sys.executable, "program.py"]
        found.add(subprocess.run(command, capture_output=True, check=True, env=env, cwd=tmp_path).stdout)
    assert len(found) == 1
    assert b"lines " in found.pop()


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda L: graph(L, focus=3.0), DataError, "no way to a result"),
        (lambda L: graph(L, focus=cr.tensor(1.0)), ArgumentError, "not on the way"),
        (lambda L: graph(L, depth=0), ArgumentError, "1 or more"),
        (lambda L: graph(L, depth=True), ArgumentError, "1 or more"),
    ],
)
def test_a_focus_or_depth_that_means_nothing_is_refused(call: Any, error: type, words: str) -> None:
    w = cr.tensor(1.0, requires_grad=True)
    with pytest.raises(error, match=words):
        call(w * 2)


@pytest.mark.parametrize("tracked", [False, True])
def test_a_tensor_that_was_made_is_a_picture_of_itself(tracked: bool) -> None:
    c = cr.tensor(3.0, requires_grad=tracked)
    (box,) = [n for n in graph(c).nodes if n.kind != "unused"]
    assert box.rows[:2] == ("c", "3")
    assert box.kind == "output"


def test_the_picture_is_drawn() -> None:
    w = cr.tensor(1.0, requires_grad=True)
    assert "<svg" in graph(4 * w + w**3).to_svg()


def test_what_is_no_tensor_is_refused() -> None:
    with pytest.raises(DataError):
        graph(3.0)


def test_what_shows_on_hovering_is_the_whole_chain() -> None:
    w = cr.tensor(1.0, requires_grad=True)
    L = 4 * w + w**3
    notes = {n.rows[0]: n.note for n in graph(L).nodes}
    assert "4 = ∂L/∂u · ∂u/∂w = 1 · 4; 3 = ∂L/∂p · ∂p/∂w = 1 · 3" in notes["w"]
    assert "∂p/∂w = 3·w² = 3; test_picture.py:" in notes["p = w³"]
