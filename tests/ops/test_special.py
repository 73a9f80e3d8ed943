"""Special functions under torch's names: which they are, in what they have a derivative, dtypes, what is refused.

Values and derivatives to the last digits are in tests/table/test_against_mpmath.py.
"""

import mpmath as mp
import numpy as np
import pytest
import scipy.special

import chainrule as cr
from chainrule.errors import ArgumentError, DtypeError, UnsupportedError

X = np.array([0.3, 0.5, 0.9])
# torch's name, SciPy's
OF_ONE = {
    "expit": "expit", "gammaln": "gammaln", "psi": "psi", "digamma": "psi", "entr": "entr", "erf": "erf",
    "erfc": "erfc", "erfcx": "erfcx", "erfinv": "erfinv", "ndtr": "ndtr", "log_ndtr": "log_ndtr", "ndtri": "ndtri",
    "i0": "i0", "i0e": "i0e", "i1": "i1", "i1e": "i1e",
    "bessel_j0": "j0", "bessel_j1": "j1", "logit": "logit", "exp2": "exp2",
    "expm1": "expm1", "log1p": "log1p",
}  # fmt: skip
OF_TWO = {
    "xlogy": "xlogy",
    "xlog1py": "xlog1py",
    "betaln": "betaln",
    "gammainc": "gammainc",
    "gammaincc": "gammaincc",
}


@pytest.mark.parametrize("name", OF_ONE)
def test_function_of_one_number_is_scipys(name):
    f = getattr(cr.special, name)
    expected = getattr(scipy.special, OF_ONE[name])(X)
    for found in (f(cr.tensor(X)), f(X)):
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-14)


@pytest.mark.parametrize("name", OF_TWO)
def test_function_of_two_numbers_is_scipys(name):
    f, y = getattr(cr.special, name), X[::-1] + 1
    expected = getattr(scipy.special, OF_TWO[name])(X, y)
    for found in (f(cr.tensor(X), cr.tensor(y)), f(cr.tensor(X), y)):
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-13)


def test_sums_are_the_same_functions_as_in_the_package():
    for name in ("logsumexp", "softmax", "log_softmax"):
        assert getattr(cr.special, name) is getattr(cr, name)


@pytest.mark.parametrize("name", ["sinc", "lgamma", "digamma", "erfinv", "i0"])
def test_function_of_the_package_is_a_method_and_has_a_form_in_place(name):
    expected = getattr(cr, name)(X).numpy()
    np.testing.assert_array_equal(getattr(cr.tensor(X), name)().numpy(), expected)
    x = cr.tensor(X)
    assert getattr(x, f"{name}_")() is x
    np.testing.assert_array_equal(x.numpy(), expected)


def test_sinc_is_zero_at_whole_numbers():
    """sin(πx) of a rounded πx is 1e-16 there."""
    assert cr.sinc(cr.tensor([-3.0, 1.0, 1e6])).tolist() == [0.0, 0.0, 0.0]


def test_sinc_has_all_its_derivatives_at_zero():
    """sinc = 1 - (πx)²/6 + (πx)⁴/120 - …: 0, -π²/3, 0, π⁴/5."""
    f, found = cr.sinc, []
    for _ in range(4):
        f = cr.grad(f)
        found.append(f(0.0).item())
    np.testing.assert_allclose(found, [0, -(np.pi**2) / 3, 0, np.pi**4 / 5], rtol=1e-15)


def test_sinc_of_complex_numbers_is_holomorphic():
    z = 0.3 + 0.4j
    x = cr.tensor(z, requires_grad=True)
    cr.sinc(x).backward(cr.tensor(1 + 0j))
    with mp.workdps(30):
        true = mp.diff(lambda w: mp.sin(mp.pi * w) / (mp.pi * w), mp.mpc(z))
    assert x.grad.item() == pytest.approx(np.conj(complex(true)), rel=1e-14)


def test_numpys_sinc_and_i0_keep_the_gradient():
    x = cr.tensor(X, requires_grad=True)
    for f in (np.sinc, np.i0):
        assert f(x).requires_grad
        np.testing.assert_allclose(f(x).detach().numpy(), f(X), rtol=1e-14)


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_polygamma_takes_its_order_first_and_as_a_method_last(n):
    expected = scipy.special.polygamma(n, X)
    np.testing.assert_allclose(cr.polygamma(n, cr.tensor(X)).numpy(), expected, rtol=1e-14)
    np.testing.assert_allclose(cr.tensor(X).polygamma(n).numpy(), expected, rtol=1e-14)


def test_polygamma_far_left_of_zero_is_quick_and_right():
    """A sum of |x| terms would not end; by reflection ψ'(x) = π²/sin²(πx) - ψ'(1 - x)."""
    assert cr.polygamma(1, cr.tensor(-1e15 - 0.5)).item() == pytest.approx(np.pi**2, rel=1e-14)


@pytest.mark.parametrize("n", [-1, 1.0, True, None])
def test_polygamma_of_an_order_that_is_none_is_refused(n):
    with pytest.raises(ArgumentError, match="whole number") as info:
        cr.polygamma(n, cr.tensor(X))
    assert "polygamma(1, x)" in info.value.fix


@pytest.mark.parametrize("p", [1, 2, 5])
def test_multigammaln_is_scipys(p):
    x = X + 3
    expected = scipy.special.multigammaln(x, p)
    np.testing.assert_allclose(cr.special.multigammaln(cr.tensor(x), p).numpy(), expected, rtol=1e-14)
    np.testing.assert_allclose(cr.tensor(x).mvlgamma(p).numpy(), expected, rtol=1e-14)


def test_multigammaln_has_the_sum_of_digammas_as_slope():
    x = cr.tensor(3.0, requires_grad=True)
    cr.mvlgamma(x, 3).backward()
    assert x.grad.item() == pytest.approx(sum(scipy.special.psi(3 - j / 2) for j in range(3)), rel=1e-15)


def test_multigammaln_below_its_domain_is_refused():
    with pytest.raises(ArgumentError, match="above 1"):
        cr.special.multigammaln(cr.tensor([2.0, 1.0]), 3)


@pytest.mark.parametrize("f", [cr.special.gammainc, cr.special.gammaincc, cr.special.zeta, cr.igamma])
def test_a_derivative_in_the_order_is_refused_by_name(f):
    a = cr.tensor(2.0, requires_grad=True)
    with pytest.raises(UnsupportedError, match="first argument") as info:
        f(a, 1.5)
    assert "detach" in info.value.fix
    with cr.no_grad():
        assert not f(a, 1.5).requires_grad
    with pytest.raises(UnsupportedError):
        cr.jvp(lambda a: f(a, 1.5), (2.0,), (1.0,))


def test_gammainc_has_the_density_as_slope():
    """∂P/∂x = xᵃ⁻¹e⁻ˣ/Γ(a): for a = 3 x²e⁻ˣ/2."""
    x = cr.tensor([0.0, 1.5], requires_grad=True)
    cr.special.gammainc(cr.tensor(3), x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [0.0, 1.5**2 * np.exp(-1.5) / 2], rtol=1e-15)


@pytest.mark.parametrize("name", [*OF_ONE, "sinc", "lgamma"])
def test_single_precision_stays_and_whole_numbers_become_double(name):
    f = getattr(cr.special, name, None) or getattr(cr, name)
    x = cr.tensor(X, dtype="float32", requires_grad=True)
    out = f(x)
    out.sum().backward()
    assert (out.dtype, x.grad.dtype) == (cr.float32, cr.float32)
    np.testing.assert_allclose(out.detach().numpy(), f(X).numpy(), rtol=1e-6)
    assert f(cr.ones(2, dtype="int32")).dtype == cr.float64
    assert f(cr.tensor([True])).dtype == cr.float64


@pytest.mark.parametrize("name", ["erf", "lgamma", "erfcx", "i0", "ndtr", "bessel_j0", "erfinv"])
def test_complex_numbers_are_refused_by_name(name):
    f = getattr(cr.special, name, None) or getattr(cr, name)
    with pytest.raises(DtypeError, match=f"{name} of complex numbers"):
        f(cr.tensor([1j]))


@pytest.mark.parametrize("shape", [(), (0,), (2, 0)])
@pytest.mark.parametrize("name", [*OF_ONE, "sinc"])
def test_numbers_and_empty_tensors_go_through_twice(name, shape):
    f = getattr(cr.special, name)
    x = cr.tensor(np.full(shape, 0.4))
    second = cr.grad(lambda x: cr.grad(lambda x: f(x).sum())(x).sum())(x)
    assert second.shape == shape
    assert np.isfinite(second.numpy()).all()


def test_many_numbers_go_through_the_integrals_in_rows():
    """The slope of erfcx is a sum of 83 terms: of 10⁵ numbers not all at once."""
    x = np.linspace(-3, 30, 100_001)
    some = cr.grad(lambda x: cr.special.erfcx(x).sum())(x).numpy()[::10_000]
    np.testing.assert_array_equal(some, [cr.grad(cr.special.erfcx)(v).item() for v in x[::10_000]])
