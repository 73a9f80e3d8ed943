"""SGD and Adam with torch's numbers, over many steps, in both precisions."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr

START = [np.array([[1.5, -0.25], [0.75, -2.0]]), np.array([0.5, 0.1]), np.array(0.3)]
UNIT = st.floats(0.0, 0.95)
SGD = st.fixed_dictionaries(
    dict(lr=st.floats(1e-3, 0.1), momentum=UNIT, dampening=UNIT, weight_decay=st.sampled_from([0, 0.01, 0.3]),
         nesterov=st.booleans(), maximize=st.booleans())
)  # fmt: skip
ADAM = st.fixed_dictionaries(
    dict(lr=st.floats(1e-3, 0.1), betas=st.tuples(UNIT, UNIT), eps=st.sampled_from([1e-8, 1e-3]),
         weight_decay=st.sampled_from([0, 0.01]), amsgrad=st.booleans(), maximize=st.booleans())
)  # fmt: skip


def run(m, name, options, dtype, steps):
    params = [m.tensor(a, dtype=getattr(m, dtype), requires_grad=True) for a in START]
    optimizer = getattr(m.optim, name)(
        [{"params": params[:1]}, {"params": params[1:], "lr": 0.01}], **options
    )
    for _ in range(steps):
        optimizer.zero_grad()
        w, b, c = params
        loss = m.cos(w @ b - c).sum() + m.tanh(w).sum() * 0.1  # bounded, uphill too
        loss.backward()
        optimizer.step()
    return [p.detach().numpy() for p in params]


def compare(name, options, dtype, steps, rtol):
    ours, theirs = (run(m, name, options, dtype, steps) for m in (cr, torch))
    for a, b in zip(ours, theirs, strict=True):
        assert np.asarray(a).dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)


@given(SGD)
def test_sgd_in_double_precision(options):
    if options["nesterov"]:
        options = {**options, "momentum": max(options["momentum"], 0.1), "dampening": 0}
    compare("SGD", options, "float64", 30, 1e-10)


@given(ADAM)
def test_adam_in_double_precision(options):
    compare("Adam", options, "float64", 30, 1e-9)  # where a gradient is near 0, its sign decides the step


@pytest.mark.parametrize(
    "name, options",
    [("SGD", dict(lr=0.01)), ("SGD", dict(lr=0.01, momentum=0.9, nesterov=True)), ("Adam", dict(lr=0.01)),
     ("Adam", dict(lr=0.01, amsgrad=True, weight_decay=0.01))],
)  # fmt: skip
@pytest.mark.parametrize("dtype, rtol", [("float64", 1e-12), ("float32", 2e-5)])
def test_two_hundred_steps_agree_to_rounding(name, options, dtype, rtol):
    """float32: 200 steps, each rounded to 6e-8."""
    compare(name, options, dtype, 200, rtol)


def test_a_wrong_recurrence_is_seen(monkeypatch):
    right = cr.optim.SGD.update
    monkeypatch.setattr(cr.optim.SGD, "update", lambda *args: right(*args) * 1.0001)
    with pytest.raises(AssertionError):
        compare("SGD", dict(lr=0.01), "float64", 3, 1e-10)
