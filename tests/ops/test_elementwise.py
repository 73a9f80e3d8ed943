"""Elementwise operations under torch's names: values, who gets a gradient, dtypes, in-place forms, what is refused."""

import math

import mpmath
import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ArgumentError, ChainruleError, DtypeError

X = np.array([1.5, -2.25, 0.0, 7.5])
Y = np.array([2.0, 0.5, -3.0, -2.0])

# operation, the same in NumPy
UNARY = {
    "frac": lambda x: x - np.trunc(x),
    "deg2rad": np.deg2rad,
    "rad2deg": np.rad2deg,
    "sgn": np.sign,
    "nan_to_num": np.nan_to_num,
    "signbit": np.signbit,
    "isposinf": np.isposinf,
    "isneginf": np.isneginf,
}
BINARY = {
    "fmod": np.fmod,
    "copysign": np.copysign,
    "fmax": np.fmax,
    "fmin": np.fmin,
    "heaviside": np.heaviside,
    "logaddexp2": np.logaddexp2,
    "float_power": np.float_power,
    "isclose": np.isclose,
    "clamp_min": np.maximum,
    "clamp_max": np.minimum,
}


@pytest.mark.parametrize("name", UNARY)
def test_operation_of_one_number_is_numpys(name):
    for found in (getattr(cr, name)(cr.tensor(X)), getattr(cr.tensor(X), name)(), getattr(cr, name)(X)):
        np.testing.assert_allclose(found.numpy(), UNARY[name](X), rtol=1e-15)


@pytest.mark.parametrize("name", BINARY)
def test_operation_of_two_numbers_is_numpys(name):
    with np.errstate(divide="ignore"):
        expected = BINARY[name](np.abs(X), Y)
    x, y = cr.tensor(np.abs(X)), cr.tensor(Y)
    for found in (getattr(cr, name)(x, y), getattr(x, name)(y), getattr(cr, name)(x, Y)):
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-15)


NUMPYS = [np.fmod, np.copysign, np.fmax, np.fmin, np.heaviside, np.logaddexp2]


@pytest.mark.parametrize("ufunc", NUMPYS, ids=lambda f: f.__name__)
def test_numpys_function_of_tensors_keeps_the_gradient(ufunc):
    x, y = cr.tensor(X, requires_grad=True), cr.tensor(Y, requires_grad=True)
    found = ufunc(x, y)
    assert found.requires_grad
    np.testing.assert_allclose(found.detach().numpy(), ufunc(X, Y))


@pytest.mark.parametrize("function", [np.deg2rad, np.degrees, np.nan_to_num, np.isposinf, np.signbit])
def test_numpys_function_of_one_tensor_is_ours(function):
    np.testing.assert_allclose(function(cr.tensor(X)).numpy(), function(X))


def test_rsub_is_the_difference_the_other_way_round():
    np.testing.assert_array_equal(cr.rsub(cr.tensor(X), Y, alpha=2).numpy(), Y - 2 * X)


def test_lerp_is_exact_at_both_ends():
    a, b = cr.tensor([0.1, 1e16]), cr.tensor([0.3, 1.0])
    assert cr.lerp(a, b, 0.0).tolist() == [0.1, 1e16]
    assert a.lerp(b, 1.0).tolist() == [0.3, 1.0]
    np.testing.assert_allclose(cr.lerp(a, b, cr.tensor(0.25)).numpy(), [0.15, 0.75e16 + 0.25], rtol=1e-15)


def test_addcmul_and_addcdiv_take_a_factor():
    """x + v·a·b has the slopes 1, v·b, v·a; x + v·a/b has 1, v/b, -v·a/b²."""
    x, a, b = (cr.tensor([v], requires_grad=True) for v in (1.0, 2.0, 4.0))
    product = cr.addcmul(x, a, b, value=3)
    assert product.item() == 25.0
    assert [g.item() for g in cr.autograd.grad(product, [x, a, b])] == [1.0, 12.0, 6.0]
    quotient = x.addcdiv(a, b, value=-0.5)
    assert quotient.item() == 0.75
    assert [g.item() for g in cr.autograd.grad(quotient, [x, a, b])] == [1.0, -0.125, 0.0625]


@pytest.mark.parametrize("power", [3, 3.0, cr.tensor([1, 2], dtype="int32")])
def test_ldexp_multiplies_by_a_power_of_two(power):
    x = cr.tensor([0.75, -1.5], dtype="float32")
    found = cr.ldexp(x, power)
    assert found.dtype == cr.float32
    np.testing.assert_array_equal(found.numpy(), x.numpy() * 2.0 ** np.asarray(power))


def test_ldexp_overflows_only_where_the_result_does():
    """2^1100 is no double, 1e-300·2^1100 is."""
    assert cr.ldexp(cr.tensor(1e-300), 1100).item() == math.ldexp(1e-300, 1100)


@pytest.mark.parametrize("dtype", ["float32", "int32", "float64", "bool"])
def test_float_power_is_double_whatever_comes_in(dtype):
    assert cr.float_power(cr.ones(2, dtype=dtype), 2).dtype == cr.float64


def test_float_power_of_complex_numbers_is_double_too():
    assert cr.float_power(cr.ones(2, dtype="complex64"), 0.5).dtype == cr.complex128


def test_float_power_casts_the_gradient_back():
    x = cr.ones(2, dtype="float32", requires_grad=True)
    cr.float_power(x, 3).sum().backward()
    assert (x.grad.dtype, x.grad.tolist()) == (cr.float32, [3.0, 3.0])


@pytest.mark.parametrize("name", ["frac", "fmod", "fmax", "fmin", "nan_to_num", "sgn"])
def test_operations_that_choose_or_cut_keep_whole_numbers(name):
    x = cr.tensor([7, -7, 0], dtype="int32")
    found = getattr(cr, name)(x) if name in UNARY else getattr(cr, name)(x, cr.tensor(3, dtype="int32"))
    assert found.dtype == cr.int32


def test_sign_of_a_complex_number_is_z_over_its_modulus():
    z = cr.tensor([3 + 4j, 0j, -2 + 0j])
    np.testing.assert_allclose(cr.sgn(z).numpy(), [0.6 + 0.8j, 0, -1], rtol=1e-15)


def test_sign_of_a_complex_number_only_turns():
    """L = Re z/|z| at 3 + 4i: ∂L/∂x = y²/|z|³, ∂L/∂y = -xy/|z|³; at 0 the route is not taken."""
    z = cr.tensor([3 + 4j, 0j], requires_grad=True)
    cr.sgn(z).sum().backward(cr.tensor(1 + 0j))
    np.testing.assert_allclose(z.grad.numpy(), [(16 - 12j) / 125, 0], rtol=1e-14)


def test_sign_needs_an_order():
    with pytest.raises(DtypeError, match="order") as info:
        cr.sign(cr.tensor([1j]))
    assert "sgn" in info.value.fix


def test_covered_entries_get_no_gradient_whatever_follows():
    x = cr.tensor([0.0, 4.0], requires_grad=True)
    x.sqrt().masked_fill(x == 0, 0.0).sum().backward()
    assert x.grad.tolist() == [0.0, 0.25]


def test_a_value_that_covers_gets_the_gradient_of_what_it_covers():
    v = cr.tensor(5.0, requires_grad=True)
    cr.masked_fill(cr.zeros(3), cr.tensor([True, False, True]), v).sum().backward()
    assert v.grad.item() == 2.0


def test_replaced_numbers_get_no_gradient_whatever_follows():
    x = cr.tensor([0.0, 4.0, -1.0], requires_grad=True)
    cr.nan_to_num(x.log(), neginf=0.0).sum().backward()
    assert x.grad.tolist() == [0.0, 0.25, 0.0]


def test_nan_to_num_takes_a_number_for_each():
    x = cr.tensor([math.nan, math.inf, -math.inf, 2.0])
    assert cr.nan_to_num(x, 1.0, 3.0, 4.0).tolist() == [1.0, 3.0, 4.0, 2.0]
    assert cr.nan_to_num(x.float()).tolist()[1] == np.finfo(np.float32).max


def test_nan_is_close_to_nan_only_if_asked():
    x, y = cr.tensor([math.nan, math.inf, 1.0, math.inf]), cr.tensor([math.nan, math.inf, 1.1, 1.0])
    assert cr.isclose(x, y).tolist() == [False, True, False, False]
    assert x.isclose(y, rtol=0.2, equal_nan=True).tolist() == [True, True, True, False]


def test_logit_with_eps_is_flat_beyond_it():
    x = cr.tensor([0.0, 0.5, 0.95], requires_grad=True)
    found = cr.logit(x, eps=0.1)
    np.testing.assert_allclose(found.detach().numpy(), [math.log(1 / 9), 0, math.log(9)], rtol=1e-15)
    found.sum().backward()
    assert x.grad.tolist() == [0.0, 4.0, 0.0]


IN_PLACE = {
    "frac_": (), "fmod_": (2.0,), "copysign_": (-1.0,), "deg2rad_": (), "sgn_": (), "lerp_": (cr.tensor(Y), 0.25),
    "addcmul_": (cr.tensor(Y), cr.tensor(Y)), "heaviside_": (cr.tensor(Y),), "nan_to_num_": (),
    "masked_fill_": (cr.tensor(Y > 0), 3.0), "clamp_min_": (0.5,), "square_": (), "lt_": (1.0,),
    "atan2_": (cr.tensor(Y),),
}  # fmt: skip


@pytest.mark.parametrize("name", IN_PLACE)
def test_form_in_place_writes_into_the_same_tensor(name):
    x = cr.tensor(X)
    memory = x.numpy()
    assert getattr(x, name)(*IN_PLACE[name]) is x
    expected = getattr(cr.tensor(X), name[:-1])(*IN_PLACE[name]).numpy()
    np.testing.assert_array_equal(memory, expected.astype(float))


def test_form_in_place_has_the_gradient_of_the_other_one():
    x = cr.tensor(X, requires_grad=True)
    y = x * 2
    y.masked_fill_(y > 2, 0.0).copysign_(-1.0).sum().backward()
    assert x.grad.tolist() == [0.0, 2.0, 0.0, 0.0]


@pytest.mark.parametrize("name", ["log_", "deg2rad_", "sqrt_"])
def test_whole_numbers_do_not_become_fractions_in_place(name):
    with pytest.raises(DtypeError, match="does not fit"):
        getattr(cr.tensor([1, 2]), name)()


@pytest.mark.parametrize("shape", [(), (0,), (2, 0)])
def test_numbers_and_empty_tensors_go_through(shape):
    x = cr.tensor(np.full(shape, 0.75), requires_grad=True)
    for name in ("frac", "deg2rad", "logit", "nan_to_num"):
        assert getattr(x, name)().shape == shape
    out = x.lerp(cr.tensor(2.0), 0.5) + x.fmod(2.0) + x.addcmul(x, x) + cr.fmax(x, 0.5)
    out.sum().backward()
    assert x.grad.shape == shape


@pytest.mark.parametrize(
    "call",
    [
        lambda: cr.isclose(cr.tensor(1.0), 1.0, rtol=-1.0),
        lambda: cr.masked_fill(cr.zeros(2), cr.tensor([1, 0]), 2.0),
        lambda: cr.lerp(cr.zeros(2), cr.zeros(3), 0.5),
        lambda: cr.fmax(cr.tensor([1j]), cr.tensor([1j])),
        lambda: cr.addcmul(cr.zeros(2), cr.zeros(2)),
        lambda: cr.clamp_min(cr.zeros(2), None),
    ],
)
def test_wrong_use_is_said_with_a_way_out(call):
    with pytest.raises(ChainruleError) as info:
        call()
    assert info.value.fix


def test_the_value_of_masked_fill_is_one_number():
    with pytest.raises(ArgumentError, match="one number"):
        cr.masked_fill(cr.zeros(2), cr.tensor([True, False]), cr.zeros(2))


# --- whole numbers stay whole --------------------------------------------------------------------


@pytest.mark.parametrize("call, expected", [
    (lambda a, b: a**b, [-8, 1, 1, 0]), (lambda a, b: cr.pow(a, b), [-8, 1, 1, 0]), (lambda a, b: 2**b, [8, 1, 4, 2]),
    (lambda a, b: cr.round(a), [-2, 7, 1, 0]), (lambda a, b: cr.heaviside(a, b), [0, 1, 1, 1]),
    (lambda a, b: cr.div(a * 7 - 2, b + 1, rounding_mode="trunc"), [-4, 47, 1, -1]),
    (lambda a, b: cr.div(-9, b + 1, rounding_mode="trunc"), [-2, -9, -3, -4]),
])  # fmt: skip
def test_functions_of_whole_numbers_that_give_whole_numbers(call, expected):
    found = call(cr.tensor([-2, 7, 1, 0]), cr.tensor([3, 0, 2, 1]))
    assert found.dtype == cr.int64
    assert found.tolist() == expected


def test_a_negative_power_among_whole_numbers_is_refused_with_a_way_out():
    with pytest.raises(DtypeError, match=r"negative powers.*\n.*-1(.*\n)*.*double"):
        cr.tensor([2, 3]) ** cr.tensor([2, -1])
    assert (cr.tensor([2.0, 4.0]) ** cr.tensor([2, -1])).tolist() == [4.0, 0.25]


def test_softplus_is_the_line_above_a_threshold_that_is_given():
    x = cr.tensor([-1.0, 0.05, 0.07, 3.0], requires_grad=True)
    y = cr.nn.functional.softplus(x, beta=3, threshold=0.2)
    smooth = np.log1p(np.exp([-3.0, 0.15])) / 3
    np.testing.assert_allclose(y.tolist(), [*smooth, 0.07, 3.0], rtol=1e-15)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.tolist(), [*1 / (1 + np.exp([3.0, -0.15])), 1.0, 1.0], rtol=1e-15)


def test_the_gradient_of_asinh_at_complex_numbers():
    """The conjugate of 1/√(1 + z²), which has the sign of 1 on the right half plane."""
    z = np.array([0.5 + 1j, -2.0 + 0.3j, 3j + 0.1])
    x = cr.tensor(z, requires_grad=True)
    cr.asinh(x).backward(cr.tensor(np.ones(3, complex)))
    np.testing.assert_allclose(cr.asinh(cr.tensor(z)).numpy(), np.arcsinh(z), rtol=1e-14)
    expected = np.conj([complex(1 / mpmath.sqrt(1 + mpmath.mpc(v) ** 2)) for v in z])
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-13)


def test_tensors_as_complex_numbers():
    x = cr.tensor([1.0, 2.0])
    assert [x.cfloat().dtype, x.cdouble().dtype] == [np.complex64, np.complex128]
