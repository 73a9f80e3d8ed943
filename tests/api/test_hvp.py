"""hvp: forward over reverse in one walk, against closed forms and reverse over forward."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import dispatch
from chainrule.api import run
from chainrule.table.primitive import TABLE, Partials
from chainrule.tape import pairs


def point(sample):
    """Arguments and parameters of a sample of the table."""
    if not isinstance(sample, dict):
        return tuple(sample), {}
    return tuple(sample["at"]), {k: v for k, v in sample.items() if k != "at"}


def _is_real(p):
    return all(isinstance(v, float | bool) for v in point(p.samples[0])[0])


ELEMENTWISE = [
    p
    for p in TABLE.values()
    if isinstance(p.rule, Partials) and p.kind == "elementwise" and p.samples and _is_real(p)
]


def reverse_over_forward(f, x, t):
    """The same product by the other order of modes."""
    return cr.grad(lambda z: cr.jvp(f, (z,), (t,))[1])(x).numpy()


@pytest.fixture
def walked(monkeypatch):
    """Whether each hvp was walked on plain numbers (True) or recorded (False)."""
    found, before = [], run.gradient_along

    def watched(*args):
        product = before(*args)
        found.append(product is not None)
        return product

    monkeypatch.setattr(run, "gradient_along", watched)
    return found


@pytest.mark.parametrize("size", [3, 70_000, 120_001])
def test_a_chain_of_elementwise_functions_is_walked_once(walked, size):
    x, v = np.linspace(-1, 1, size), np.linspace(1, 2, size)
    value, product = cr.hvp(lambda x: (cr.sin(x) * cr.exp(x)).sum(), x, v)
    np.testing.assert_allclose(product.numpy(), 2 * np.cos(x) * np.exp(x) * v, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(value.item(), (np.sin(x) * np.exp(x)).sum(), rtol=1e-12)
    assert walked == [True]


@pytest.mark.parametrize("p", ELEMENTWISE, ids=lambda p: p.name)
def test_every_elementwise_rule_agrees_with_reverse_over_forward(p):
    at, params = point(p.samples[0])
    k = next(i for i, n in enumerate(p.inputs) if n in p.rule.partials)
    x, t = np.array([at[k], at[k] * 1.01]), np.array([1.0, -2.0])

    def f(z):
        return (dispatch.bind(p, *at[:k], z, *at[k + 1 :], **params) * z).sum()

    np.testing.assert_allclose(
        cr.hvp(f, x, t)[1].numpy(), reverse_over_forward(f, x, t), rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize(
    "f",
    [
        lambda x: cr.logsumexp(x * x, 0),
        lambda x: cr.log(1 + cr.exp(x * 3)).sum(),
        lambda x: ((x @ x) ** 2).sum(),
        lambda x: cr.sin(cr.tensor(np.arange(12.0).reshape(4, 3)) @ x).sum(),
        lambda x: (x[:, None] * cr.exp(x)).sum(),
        lambda x: (x[1:] ** 3 * x[:-1]).mean(),
        lambda x: x.max() ** 3,
        lambda x: cr.relu(x).pow(3).sum() + x.abs().sum(),
        lambda x: cr.cat([x, x**2]).prod(),
        lambda x: cr.softmax(x, 0)[0] * x[1],
        lambda x: (x / (1 + x.norm())).std(),
        lambda x: x[0] ** 2.5 * cr.atan2(x[1], x[2]) + 0 * x.sum(),
        lambda x: (x * 2).clamp(-1, 1.5).cumsum(0).square().sum(),
    ],
)  # fmt: skip
def test_programs_of_many_kinds_agree_with_reverse_over_forward(f):
    x, t = np.array([0.7, -1.2, 0.4]), np.array([1.0, 0.5, -2.0])
    np.testing.assert_allclose(
        cr.hvp(f, x, t)[1].numpy(), reverse_over_forward(f, x, t), rtol=1e-10, atol=1e-12
    )


@pytest.mark.parametrize("n, wanted", [(1, 0.0), (2, 2.0), (3, 0.0)])
def test_a_small_power_has_its_second_derivative_at_0(walked, n, wanted):
    assert cr.hvp(lambda x: (x**n).sum() + 0 * x.sum(), np.zeros(2), np.ones(2))[1].tolist() == [wanted] * 2
    assert walked == [True]


def test_a_route_that_was_not_taken_adds_nothing(walked):
    f = lambda x: cr.where(x > 0, cr.log(x), x * x).sum()
    product = cr.hvp(f, np.array([0.0, 2.0]), np.ones(2))[1]
    np.testing.assert_allclose(product.numpy(), [2.0, -0.25])
    assert walked == [False]


def test_a_nan_of_the_active_route_stays(walked):
    product = cr.hvp(lambda x: (cr.sqrt(x) * cr.sqrt(x)).sum(), np.zeros(1), np.ones(1))[1]
    assert np.isnan(product.numpy()).all()
    assert walked == [True]


def test_single_precision_stays(walked):
    x = np.linspace(0, 1, 5, dtype=np.float32)
    product = cr.hvp(lambda x: cr.exp(x * 2).sum(), x, np.ones(5, np.float32))[1]
    assert product.dtype == np.float32
    np.testing.assert_allclose(product.numpy(), 4 * np.exp(2 * x), rtol=1e-6)
    assert walked == [True]


def test_numbers_are_walked_as_arrays_are(walked):
    value, products = cr.hvp(lambda x, y: x**2 * y / (1 + x), (2.0, 3.0), (1.0, 10.0))
    np.testing.assert_allclose(value.item(), 4.0)
    # ∂xx = 2y/(1+x)³, ∂xy = (x²+2x)/(1+x)², ∂yy = 0
    np.testing.assert_allclose([p.item() for p in products], [6 / 27 + 10 * 8 / 9, 8 / 9])
    assert walked == [True]


def test_a_product_of_no_tangent_is_zero():
    products = cr.hvp(lambda x, y: (x * y * y).sum(), (np.ones(2), np.ones(2)), (None, np.ones(2)))[1]
    assert [p.tolist() for p in products] == [[2.0, 2.0], [2.0, 2.0]]


def test_the_product_is_memory_of_its_own():
    v = np.ones(3)
    product = cr.hvp(lambda x: (x * x).sum() / 2, np.zeros(3), v)[1]
    product.numpy()[:] = 7
    assert v.tolist() == [1.0, 1.0, 1.0]


def test_a_tracked_value_from_outside_keeps_its_gradient():
    a = cr.tensor(3.0, requires_grad=True)
    product = cr.hvp(lambda x: (a * x**3).sum(), np.array([2.0]), np.ones(1))[1]
    product.sum().backward()
    assert a.grad.item() == 12.0


def test_the_function_runs_once_whichever_way_is_walked():
    calls = []

    def f(x):
        calls.append(1)
        return cr.where(x > 0, cr.log(x), x).sum()

    cr.hvp(f, np.zeros(2), np.ones(2))
    assert len(calls) == 1


def test_a_wrong_rule_is_seen_by_the_comparison(monkeypatch):
    right = pairs.tangent
    monkeypatch.setattr(
        pairs, "tangent", lambda f, ts, memo: right(f, {"ct": ts["ct"]} if "ct" in ts else {}, memo)
    )
    pairs._pulling.cache_clear()
    x, t = np.array([0.7, -1.2]), np.ones(2)
    f = lambda x: (cr.sin(x) * x).sum()
    try:
        assert not np.allclose(cr.hvp(f, x, t)[1].numpy(), reverse_over_forward(f, x, t))
    finally:
        pairs._pulling.cache_clear()
