"""Compiled loops over arrays: every length, repeated numbers, several results, what has no lowering."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.codegen import jit
from chainrule.codegen.elementwise import kernel
from chainrule.dispatch import bind
from chainrule.table.formula import Apply, Const, Symbol, apply
from chainrule.table.primitive import TABLE
from chainrule.tape import kernels

pytestmark = pytest.mark.skipif(not jit.is_available(), reason="llvmlite knows no target here")
F64 = np.dtype(np.float64)
X, Y = Symbol("x"), Symbol("y")


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [1, 7, 8, 9, 15, 16, 17, 100, 1003])
def test_every_entry_is_computed_once_whatever_the_length(n, dtype):
    x, y = np.arange(n, dtype=dtype), np.full(n, 0.5, dtype)
    (out,) = kernel([X * Y + 1.0], ["x", "y"], [False, False], np.dtype(dtype), {})([x, y])
    np.testing.assert_array_equal(out, x * y + 1)


def test_a_number_is_repeated():
    x = np.arange(11.0)
    (out,) = kernel([X * Y], ["x", "y"], [False, True], F64, {})([x, 3.0])
    np.testing.assert_array_equal(out, 3 * x)


def test_several_results_come_from_one_pass():
    x = np.linspace(-1, 1, 37)
    both = kernel([apply("sin", X), apply("cos", X)], ["x"], [False], F64, {})([x])
    np.testing.assert_allclose(both, [np.sin(x), np.cos(x)], rtol=1e-15, atol=1e-16)


def test_equal_parts_are_computed_once():
    compiled = kernel([apply("exp", X) * apply("exp", X)], ["x"], [False], F64, {})
    assert compiled.module.text.count("fdiv") == 0
    once = kernel([apply("exp", X)], ["x"], [False], F64, {})
    assert compiled.module.text.count("@llvm.fma") == once.module.text.count("@llvm.fma")


def test_choices_and_truth_values():
    x = np.array([-1.0, 0.0, 2.0, np.nan])
    f = Apply("where", ((X > 0) & ~(X == 2), Const(1.0), apply("neg", X)), {})
    (out,) = kernel([f], ["x"], [False], F64, {})([x])
    np.testing.assert_array_equal(out, [1.0, 0.0, -2.0, np.nan])


def test_what_has_no_lowering_has_no_kernel():
    assert kernel([apply("bessel_j0", X)], ["x"], [False], F64, {}) is None


N = kernels.LEAST + 3


@pytest.mark.parametrize("name", sorted(kernels.QUICKER))
def test_large_arrays_take_the_kernel_and_agree_with_numpy(name):
    p = TABLE[name]
    rng = np.random.default_rng(0)
    x = rng.uniform(1.1, 3, N) if name == "acosh" else rng.uniform(0.1, 0.9, N)
    arrays = [x, rng.uniform(0.1, 2, N), rng.uniform(0, 1, N)][: len(p.inputs)]
    params = {"n": 3} if name == "integer_pow" else {}
    found = kernels.value(p, arrays, params)
    assert found is not None
    rtol = 1e-14 if name == "lgamma" else 2e-15  # SciPy's cancels next to 1, where it is 0
    np.testing.assert_allclose(found, p.value(*arrays, **params), rtol=rtol)


def test_gradients_of_large_arrays_agree_with_those_of_small_ones():
    f = lambda x: (cr.tanh(x) * cr.sin(x) + cr.sigmoid(x) ** 3 + cr.log1p(x * x)).sum()
    x = np.random.default_rng(1).uniform(-3, 3, N)
    large = cr.grad(f)(x).numpy()
    np.testing.assert_allclose(large[:2000], cr.grad(f)(x[:2000]).numpy(), rtol=1e-13, atol=1e-15)
    second = cr.jvp(cr.grad(f), (x,), (np.ones(N),))[1].numpy()
    np.testing.assert_allclose(
        second[:100], cr.jvp(cr.grad(f), (x[:100],), (np.ones(100),))[1].numpy(), rtol=1e-12
    )


@pytest.mark.parametrize("make", [lambda x: x[::2], lambda x: x.astype(np.float16), lambda x: x.astype(int),
                                  lambda x: x.reshape(-1, 2).T, lambda x: x + 0j])  # fmt: skip
def test_other_layouts_and_dtypes_keep_numpys_way(make):
    x = make(np.arange(2.0 * N) % 7)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(cr.exp(cr.as_tensor(x)).numpy(), np.exp(x), rtol=1e-3)


def test_broadcast_operands_and_numbers():
    x = np.random.default_rng(2).uniform(0.5, 2, N)
    np.testing.assert_allclose((cr.tensor(x) ** 2.5).numpy(), x**2.5, rtol=1e-15)
    np.testing.assert_allclose(cr.atan2(cr.tensor(x), cr.tensor(2.0)).numpy(), np.arctan2(x, 2.0), rtol=1e-15)
    rows = x[: N - N % 4].reshape(4, -1)
    np.testing.assert_allclose(
        cr.atan2(cr.tensor(rows), cr.tensor(rows[:1])).numpy(), np.arctan2(rows, rows[:1])
    )


def test_the_cotangent_of_a_sum_is_one_number_for_the_kernel(monkeypatch):
    x = np.random.default_rng(3).uniform(-2, 2, N)
    ct = np.broadcast_to(np.float64(0.5), N)
    found = kernels.run([apply("sin", Symbol("x")) * Symbol("ct")], {"x": x, "ct": ct}, {})
    assert found is not None
    np.testing.assert_allclose(found[0], 0.5 * np.sin(x), rtol=1e-15)


def test_the_gradient_of_a_sum_over_broadcast_rows_is_summed():
    """The cotangent is one number everywhere, and has another shape than the row."""
    row, x = np.random.default_rng(4).uniform(0.5, 2, (2, N // 3))
    a, b = (
        cr.tensor(row[None], requires_grad=True),
        cr.tensor(np.stack([x, x + 1, x + 2]), requires_grad=True),
    )
    cr.atan2(a, b).sum().backward()
    size = row**2 + b.detach().numpy() ** 2
    np.testing.assert_allclose(a.grad.numpy()[0], (b.detach().numpy() / size).sum(0), rtol=1e-13)
    np.testing.assert_allclose(b.grad.numpy(), -row / size, rtol=1e-13)
    c = cr.tensor(np.tile(row, 4), requires_grad=True)
    (cr.sin(c) + cr.zeros(3, 4 * len(row))).sum().backward()
    np.testing.assert_allclose(c.grad.numpy(), 3 * np.cos(c.detach().numpy()), rtol=1e-13)


def test_the_slope_of_a_first_power_is_one():
    """The slope of integer_pow with n = 1 is a power of 0."""
    x = cr.tensor(np.arange(float(N)), requires_grad=True)
    bind(TABLE["integer_pow"], x, n=1).sum().backward()
    assert (x.grad.numpy() == 1.0).all()


def test_without_llvm_numpy_serves(monkeypatch):
    monkeypatch.setattr(jit, "is_available", lambda: False)
    x = np.linspace(0, 1, N + 1)
    f = apply("sin", apply("sin", apply("cos", X)))
    assert kernel([f], ["x"], [False], F64, {}) is None
    np.testing.assert_allclose(cr.sin(cr.tensor(x)).numpy(), np.sin(x), rtol=1e-15)
