"""What untracked results remember is bounded, can be switched off, and is said to be."""

from __future__ import annotations

import gc

import pytest

import chainrule as cr
from chainrule import config
from chainrule.insight.explain import explain
from chainrule.insight.why import why
from chainrule.tape.node import Node, ancestors


def living_nodes() -> int:
    gc.collect()
    return sum(isinstance(o, Node) and o.p is not None for o in gc.get_objects())


def tree_sum(depth: int) -> cr.Tensor:
    """A balanced sum of 2**depth untracked terms."""
    if depth == 0:
        return cr.tensor(1.0) * 1.0
    return tree_sum(depth - 1) + tree_sum(depth - 1)


def test_a_long_chain_keeps_a_bounded_history_and_says_so() -> None:
    before = living_nodes()
    y = cr.tensor(1.0)
    for _ in range(10_000):
        y = y * 1.0001
    assert living_nodes() - before <= 4 * config.HISTORY_DEPTH + 1
    steps = sum(n.p is not None for n in ancestors(y.n))
    assert f"The history goes back {steps} steps; what came before was not kept." in str(explain(y))


def test_a_wide_history_is_bounded_too() -> None:
    before = living_nodes()
    total = tree_sum(14)  # some 33 000 operations
    assert total.item() == 2.0**14
    assert living_nodes() - before <= config.HISTORY_SPAN
    assert "what came before was not kept" in str(explain(total))


def test_a_history_within_the_bounds_is_whole() -> None:
    total = tree_sum(4)
    assert "what came before was not kept" not in str(explain(total))
    assert sum(n.p is not None for n in ancestors(total.n)) == 31


def test_one_operation_on_very_many_tensors_is_bounded() -> None:
    terms = [cr.tensor(1.0) * 2.0 for _ in range(6000)]
    total = cr.stack(terms).sum()
    del terms
    assert total.item() == 12_000.0
    assert sum(1 for _ in ancestors(total.n)) <= 2 * config.HISTORY_SPAN + 4


def test_a_constant_computed_long_ago_is_left_out_not_kept_for_ever() -> None:
    c = cr.tensor(2.0) * 3.0
    for _ in range(config.HISTORY_SPAN + 10):
        y = cr.tensor(1.0) + 1.0
    z = c * y
    assert z.item() == 12.0
    assert "what came before was not kept" in str(explain(z))


@pytest.mark.parametrize("as_block", [True, False], ids=["with", "call"])
def test_it_can_be_switched_off(as_block: bool) -> None:
    c = cr.tensor(2.0)
    if as_block:
        with cr.provenance(False):
            y = c * 3
    else:
        cr.provenance(False)
        try:
            y = c * 3
        finally:
            cr.provenance(True)
    assert list(ancestors(y.n)) == [y.n]
    assert "The history goes back 1 step; what came before was not kept." in str(why(y))
    assert list(ancestors((c * 3).n))[1:] == [c.n]


def test_gradients_and_their_explanations_do_not_need_it() -> None:
    with cr.provenance(False):
        w = cr.tensor(1.0, requires_grad=True)
        L = 4 * w + w**3
        L.backward()
        assert w.grad.item() == 7.0
        assert "2 routes" in str(why(w))
