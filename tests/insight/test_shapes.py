"""A column and a row that made a square by accident are pointed at; one that somebody wrote is not."""

from __future__ import annotations

import pytest

import chainrule as cr

X = cr.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
T = cr.tensor([1.0, 2.0, 3.0])
SAID = "meets every entry with every other: shapes (3, 1) and (3,) made (3, 3)"


def loss(W, t):
    p = X @ W
    return ((p - t) ** 2).mean()


@pytest.mark.parametrize("f", [loss, cr.compile(loss)], ids=["eager", "compiled"])
def test_a_loss_of_a_column_and_a_row(f) -> None:
    W = cr.tensor([[0.5], [0.1]], requires_grad=True)
    L = f(W, T)
    assert SAID in str(cr.explain(L))
    assert SAID in str(cr.why(L))
    L.backward()
    answer = cr.why(W.grad)
    assert SAID in str(answer)
    assert "p.squeeze(1)" in str(answer)
    assert answer.reason == "gradient"


@pytest.mark.parametrize(
    "meet",
    [
        lambda p, t: p.squeeze(1) - t,
        lambda p, t: p - t[:, None],
        lambda p, t: t[:, None] - t + p,  # somebody wrote it
        lambda p, t: p - t.reshape(3, 1),
        lambda p, t: p - t[:2],
    ],
)
def test_what_fits_or_was_meant_is_left_in_peace(meet) -> None:
    W = cr.tensor([[0.5], [0.1]], requires_grad=True)
    L = (meet(X @ W, T) ** 2).mean()
    assert "every entry with every other" not in str(cr.explain(L))
    assert "every entry with every other" not in str(cr.why(L))
