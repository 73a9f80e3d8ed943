"""The note on reading `.grad` of a computed tensor: its name, and the gradient that flowed through it."""

from __future__ import annotations

import warnings

import pytest

import chainrule as cr


def test_it_names_the_tensor_and_the_gradient_that_flowed() -> None:
    c2 = cr.tensor(10.0, requires_grad=True) + 1.0
    L = 4 * c2
    L.backward()
    with pytest.warns(cr.GradientNote, match=r"c2 is an intermediate result: its gradient \(4\) was used"):
        assert c2.grad is None
    assert L.item() == 44.0


def test_it_points_at_the_leaf_that_has_a_gradient() -> None:
    z = cr.tensor([-1.0], requires_grad=True)
    a = cr.cat([2 * z, z**4])
    a.sum().backward()
    with pytest.warns(cr.GradientNote, match=r"You probably want z\.grad \(here \[-2\]\)"):
        assert a.grad is None


def test_before_a_backward_it_claims_no_number() -> None:
    w = cr.tensor(1.0, requires_grad=True)
    h = 2 * w
    L = h * h
    with pytest.warns(
        cr.GradientNote, match=r"h is an intermediate result: its gradient is passed on by backward"
    ):
        assert h.grad is None
    assert L.item() == 4.0


def test_an_entry_of_a_list_is_named_as_it_was_written() -> None:
    w = cr.tensor(1.0, requires_grad=True)
    hs = [2 * w]
    with pytest.warns(cr.GradientNote, match=r"hs\[0\] is an intermediate result"):
        assert hs[0].grad is None


def test_why_is_not_accompanied_by_the_same_note() -> None:
    w = cr.tensor(1.0, requires_grad=True)
    h = 2 * w
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cr.why(h.grad).reason == "result"


def test_without_source_it_says_where_the_tensor_was_computed() -> None:
    names = {"cr": cr}
    exec("h = 2 * cr.tensor(1.0, requires_grad=True)", names)
    with pytest.warns(cr.GradientNote, match=r"a computed tensor \(mul at <string>:1\)"):
        exec("h.grad", names)


def test_it_changes_nothing() -> None:
    w = cr.tensor(1.0, requires_grad=True)
    h = 2 * w
    L = h * h
    L.backward()
    with pytest.warns(cr.GradientNote):
        assert h.grad is None
    assert (w.grad.item(), h.item(), L.item()) == (8.0, 2.0, 4.0)
