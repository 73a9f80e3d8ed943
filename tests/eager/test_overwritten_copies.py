"""A reshape of a transposed array copies: what is done to the original later does not matter."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import OverwrittenError


@pytest.mark.parametrize(
    "n", [4, 40]
)  # values that a node keeps itself, and those of which it keeps the type
def test_a_reshape_that_copied_does_not_mind_a_change_of_the_original(n):
    start = np.arange(float(n * n)).reshape(n, n)
    x = cr.tensor(start, requires_grad=True)
    a = x * 1
    b = a.t().reshape(-1)
    c = (b * b).sum()
    a.mul_(2.0)
    c.backward()
    assert np.array_equal(x.grad.numpy(), 2 * start)


@pytest.mark.parametrize("n", [4, 40])
def test_a_reshape_that_shares_memory_minds_a_change_of_the_original(n):
    x = cr.ones((n, n), requires_grad=True)
    a = x * 1
    b = a.reshape(-1)
    c = (b * b).sum()
    a.mul_(2.0)
    with pytest.raises(OverwrittenError):
        c.backward()


@pytest.mark.parametrize("n", [4, 40])
def test_a_reshape_that_copied_minds_a_change_of_itself(n):
    x = cr.ones((n, n), requires_grad=True)
    b = (x * 1).t().reshape(-1)
    c = (b * b).sum()
    b.mul_(2.0)
    with pytest.raises(OverwrittenError):
        c.backward()
