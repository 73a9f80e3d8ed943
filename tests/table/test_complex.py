"""Complex derivatives, by torch's convention: the gradient of a real L is ∂L/∂x + i ∂L/∂y. Values by hand."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.dispatch import bind
from chainrule.errors import DtypeError
from chainrule.table import TABLE
from chainrule.testing import rules
from chainrule.testing.samples import Case

Z = 1.0 + 2.0j


def op(name, *args, **params):
    return bind(TABLE[name], *args, **params)


def gradient(f, z=Z):
    x = cr.tensor(np.array(z), requires_grad=True)
    f(x).backward()
    return x.grad.numpy().item()


def test_real_part_of_a_square():
    """Re z² = x² - y²: 2x - 2iy."""
    assert gradient(lambda z: op("real", op("mul", z, z))) == 2 - 4j


def test_imaginary_part_of_a_square():
    """Im z² = 2xy: 2y + 2ix."""
    assert gradient(lambda z: op("imag", op("integer_pow", z, n=2))) == 4 + 2j


def test_squared_modulus():
    """z·conj(z) = x² + y²: 2z."""
    assert gradient(lambda z: op("real", op("mul", z, op("conj", z)))) == 2 * Z


def test_modulus():
    """|z|: z/|z|."""
    assert gradient(lambda z: op("abs", z), 3.0 + 4.0j) == pytest.approx(0.6 + 0.8j, rel=1e-15)


def test_modulus_at_zero_has_the_shortest_subgradient():
    assert gradient(lambda z: op("abs", z), 0j) == 0


def test_norm_of_complex_numbers():
    """‖z‖: z/‖z‖."""
    z = np.array([1 + 2j, 2 - 4j])
    x = cr.tensor(z, requires_grad=True)
    op("norm", x, axis=(0,), keepdims=False).backward()
    np.testing.assert_allclose(x.grad.numpy(), z / 5, rtol=1e-15)


def test_logarithm_left_of_zero():
    """Re ln z = ln |z|: z/|z|²; the guard of the real logarithm does not apply."""
    z = -1.0 + 1.0j
    assert gradient(lambda x: op("real", op("log", x)), z) == pytest.approx(z / 2, rel=1e-15)


def test_real_number_in_a_complex_product_gets_a_real_gradient():
    """Re(a·z) = a·x: x."""
    a = cr.tensor(3.0, requires_grad=True)
    op("real", op("mul", a, np.array([Z]))).sum().backward()
    assert a.grad.numpy() == 1.0
    assert a.grad.dtype == np.float64


HOLOMORPHIC = (
    "exp",
    "log",
    "sin",
    "cos",
    "tan",
    "sqrt",
    "sinh",
    "cosh",
    "tanh",
    "atan",
    "mul",
    "div",
    "neg",
    "pow",
)


@pytest.mark.parametrize("name", [*HOLOMORPHIC, "real", "imag", "conj"])
def test_transpose_identity_and_differences_hold_for_complex_numbers(name):
    rng = np.random.default_rng(2)
    p = TABLE[name]
    args = [np.array([0.3 + 0.4j, 1.5 - 0.7j]), np.array([0.8 - 1.1j, -0.6 + 0.9j])]
    case = Case(p, tuple(args[: len(p.inputs)]), {})
    rules.check_transpose(case, case.differentiable(), rng)
    rules.check_differences(case, rng)


@pytest.mark.parametrize("name", ["lt", "ge", "maximum", "minimum"])
def test_complex_numbers_have_no_order(name):
    with pytest.raises(DtypeError, match="order"):
        op(name, cr.tensor(np.array([Z])), cr.tensor(np.array([Z])))


def test_largest_complex_number_is_refused():
    with pytest.raises(DtypeError, match="order"):
        op("amax", cr.tensor(np.array([Z])), axis=(0,), keepdims=False)


@pytest.mark.parametrize("correction", [0, 1])
def test_variance_of_complex_numbers_is_real(correction):
    """var = Σ|z - m|²/(n - c), so ∂/∂x + i∂/∂y = 2(z - m)/(n - c)."""
    values = np.array([1 + 2j, 3 - 1j, 0.5j])
    z = cr.tensor(values, requires_grad=True)
    v = z.var(correction=correction)
    v.backward()
    assert v.dtype == np.float64
    assert v.item() == pytest.approx(np.var(values, ddof=correction))
    np.testing.assert_allclose(z.grad.numpy(), 2 * (values - values.mean()) / (3 - correction))


def test_standard_deviation_of_complex_numbers_is_the_root_of_the_variance():
    """s = √var, so the gradient is that of var over 2s."""
    values = np.array([1 + 2j, 3 - 1j, 0.5j])
    z = cr.tensor(values, requires_grad=True)
    s = z.std()
    s.backward()
    assert s.item() == pytest.approx(np.std(values, ddof=1))
    np.testing.assert_allclose(z.grad.numpy(), (values - values.mean()) / 2 / np.std(values, ddof=1))


def test_standard_deviation_of_equal_complex_numbers_has_gradient_zero():
    z = cr.tensor(np.array([1 + 2j, 1 + 2j]), requires_grad=True)
    z.std().backward()
    assert z.grad.tolist() == [0, 0]
