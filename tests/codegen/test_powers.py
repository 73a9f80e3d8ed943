"""Rows of powers with consecutive exponents: exact to the last place, and right at the corners."""

import mpmath
import numpy as np
import pytest

import chainrule as cr
from chainrule.codegen import jit
from chainrule.codegen.program import Program
from chainrule.codegen.steps import Kernel, Phase

pytestmark = pytest.mark.skipif(not jit.is_available(), reason="llvmlite knows no target here")
CORNERS = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e200, -1e-200, 5e-324, 1.0 + 2**-52]


def rows(x, first, count, dtype=np.float64):
    """x[:, None] ** (first, …), as machine code; whether its products run on."""
    powers = lambda x: x[:, None] ** (cr.arange(float(count), dtype=x.dtype) + float(first))
    program = Program(cr.graph_of(powers, x))
    kernels = [
        k for s in program.plan.steps if isinstance(s, Phase) for k in s.kernels if isinstance(k, Kernel)
    ]
    return program([x])[0], any(k.powers for k in kernels)


@pytest.mark.parametrize("first", [0, 1, 5])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_every_power_is_right_to_the_last_place(first, dtype):
    x = np.random.default_rng(3).uniform(-1.1, 1.1, 200).astype(dtype)
    found, running = rows(x, first, 60)
    assert running
    worst = 0.0
    for i in range(0, 200, 7):
        for j in range(60):
            exact = mpmath.mpf(float(x[i])) ** (first + j)
            if abs(exact) > 1e-30:
                worst = max(
                    worst,
                    abs((mpmath.mpf(float(found[i, j])) - exact) / float(np.spacing(abs(dtype(exact))))),
                )
    assert worst <= (2.0 if first == 5 else 0.51)


@pytest.mark.parametrize("first", [0, 1, 2])
def test_zeros_infinities_and_nan_are_those_of_pow(first):
    x = np.resize(CORNERS, 90)
    found, running = rows(x, first, 8)
    assert running
    with np.errstate(all="ignore"):
        expected = np.power(x[:, None], np.arange(8.0) + first)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_array_equal(
        np.signbit(found), np.signbit(expected) & ~np.isnan(expected) | np.signbit(found) & np.isnan(found)
    )
    np.testing.assert_allclose(found, expected, rtol=4e-16, atol=0)


@pytest.mark.parametrize(
    "exponents", [[0.0, 1.0, 3.0, 4.0], [-1.0, 0.0, 1.0, 2.0], [0.5, 1.5, 2.5, 3.5], [3.0, 2.0, 1.0, 0.0]]
)
def test_other_exponents_are_powers_one_by_one(exponents):
    x = np.random.default_rng(4).uniform(0.5, 1.5, 100)
    program = Program(cr.graph_of(lambda x: x[:, None] ** cr.tensor(exponents), x))
    kernels = [
        k for s in program.plan.steps if isinstance(s, Phase) for k in s.kernels if isinstance(k, Kernel)
    ]
    assert not any(k.powers for k in kernels)
    np.testing.assert_allclose(program([x])[0], np.power(x[:, None], exponents), rtol=1e-15)


def test_a_polynomial_and_its_gradient():
    t, c = np.linspace(-1.0, 1.0, 300), np.random.default_rng(5).normal(size=17)
    loss = lambda c, t: ((c * t[:, None] ** cr.arange(17.0)).sum(1) ** 2).sum()
    value, gradient = cr.compile(cr.value_and_grad(loss))(c, t)
    table = np.vander(t, 17, increasing=True)
    np.testing.assert_allclose(value.item(), np.sum((table @ c) ** 2), rtol=1e-13)
    np.testing.assert_allclose(gradient.numpy(), 2 * table.T @ (table @ c), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("size", [1, 7, 300_000])
def test_the_power_one_half_is_a_root_at_negative_zero_and_infinity(size, dtype):
    """As in NumPy and PyTorch; by the power it would be 0 and ∞."""
    x = np.resize(np.array([-0.0, -np.inf, 4.0, np.inf, 3.0, np.nan, -1.0], dtype), size)
    found = cr.compile(lambda x: x**0.5)(x).numpy()
    with np.errstate(invalid="ignore"):
        expected = np.sqrt(x)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.signbit(found[::7]), np.signbit(expected[::7]))
    np.testing.assert_array_equal(found, (cr.tensor(x) ** 0.5).numpy())


@pytest.mark.parametrize("dtype", [cr.float64, cr.float32])
@pytest.mark.parametrize("shapes", [((), (5,)), ((5,), ()), ((2, 1), (5,)), ((1,), (1,)), ((0,), ())])
def test_the_power_one_half_has_the_shape_and_dtype_of_other_powers(shapes, dtype):
    x, half = (cr.tensor(v, dtype=dtype).expand(s) for v, s in zip((4.0, 0.5), shapes, strict=True))
    root, other = x**half, x ** (half * 1.5)
    assert (root.shape, root.dtype) == (other.shape, other.dtype)
    assert (root.numpy() == 2.0).all()
    assert (x.numpy()[..., None] ** 0.5).dtype == root.numpy().dtype
