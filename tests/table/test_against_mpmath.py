"""Values and derivatives of elementwise entries, to the last digits, against mpmath with up to 900 digits."""

import dataclasses
import itertools
import math
from functools import cache

import mpmath as mp
import numpy as np
import pytest

import chainrule as cr
from chainrule.dispatch import bind
from chainrule.table import TABLE
from chainrule.table.formula import fold
from chainrule.table.primitive import Partials, partials_of
from chainrule.tape import numbers
from chainrule.tape.pull import scalar_function
from chainrule.testing.samples import cases

HUGE = 1e300
EXP = 1e5  # e to larger powers has too many digits for mpmath


def _sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def _trunc(x):
    return mp.sign(x) * mp.floor(abs(x))


def _sinc(x):
    return mp.sinpi(x) / (mp.pi * x) if x else mp.mpf(1)


def _i0e(x):
    return mp.exp(-abs(x)) * mp.besseli(0, x)


def _i1e(x):
    return mp.exp(-abs(x)) * mp.besseli(1, x)


def _step(x, y, n):
    return mp.psi(n, x + y) - mp.psi(n, x) if min(x, y) > 0 else mp.nan


def _density(order, x):
    return x ** (order - 1) * mp.exp(-x) / mp.gamma(order) if order > 0 and x >= 0 else mp.nan


def _lower_gamma(order, x):
    return mp.gammainc(order, 0, x, regularized=True) if order > 0 and x >= 0 else mp.nan


# name -> (function of mpmath, largest |x| it is asked for)
ORACLE = {
    "add": (lambda x, y: x + y, HUGE),
    "sub": (lambda x, y: x - y, HUGE),
    "mul": (lambda x, y: x * y, HUGE),
    "div": (lambda x, y: x / y, HUGE),
    "neg": (lambda x: -x, HUGE),
    "abs": (lambda x: abs(x), HUGE),
    "sign": (mp.sign, HUGE),
    "floor": (mp.floor, HUGE),
    "ceil": (mp.ceil, HUGE),
    "trunc": (lambda x: _trunc(x), HUGE),
    "round": (mp.nint, HUGE),
    "floor_divide": (lambda x, y: mp.floor(x / y), 1e12),
    "remainder": (lambda x, y: x - y * mp.floor(x / y), 1e12),
    "fmod": (lambda x, y: x - y * _trunc(x / y), 1e12),
    "frac": (lambda x: x - _trunc(x), HUGE),
    "copysign": (lambda x, y: abs(x) * mp.sign(y), HUGE),
    "ldexp": (lambda x, y: x * mp.mpf(2) ** y, EXP),
    "lerp": (lambda start, end, weight: start + weight * (end - start), HUGE),
    "integer_pow": (lambda x, n: x**n, HUGE),
    "exp": (mp.exp, EXP),
    "exp2": (lambda x: mp.mpf(2) ** x, EXP),
    "expm1": (mp.expm1, EXP),
    "log": (mp.log, HUGE),
    "log2": (lambda x: mp.log(x) / mp.log(2), HUGE),
    "log10": (lambda x: mp.log(x) / mp.log(10), HUGE),
    "log1p": (lambda x: mp.log(1 + x), HUGE),
    "sqrt": (mp.sqrt, HUGE),
    "rsqrt": (lambda x: 1 / mp.sqrt(x), HUGE),
    "pow": (lambda x, y: x**y, EXP),
    "sigmoid": (_sigmoid, EXP),
    "falling_sigmoid": (lambda x: _sigmoid(-x), EXP),
    "softplus": (lambda x: mp.log(1 + mp.exp(x)), EXP),
    "logaddexp": (lambda x, y: mp.log(mp.exp(x) + mp.exp(y)), EXP),
    "hypot": (mp.hypot, HUGE),
    "xlogy": (lambda x, y: x * mp.log(y), HUGE),
    "xlog1py": (lambda x, y: x * mp.log(1 + y), HUGE),
    "entr": (lambda x: -x * mp.log(x), HUGE),
    "logit": (lambda x: mp.log(x / (1 - x)), HUGE),
    "logaddexp2": (lambda x, y: mp.log(mp.mpf(2) ** x + mp.mpf(2) ** y, 2), EXP),
    "sin": (mp.sin, HUGE),
    "cos": (mp.cos, HUGE),
    "tan": (mp.tan, HUGE),
    "asin": (mp.asin, HUGE),
    "acos": (mp.acos, HUGE),
    "atan": (mp.atan, HUGE),
    "atan2": (mp.atan2, HUGE),
    "sinh": (mp.sinh, EXP),
    "cosh": (mp.cosh, EXP),
    "tanh": (mp.tanh, EXP),
    "sech2": (lambda x: 1 / mp.cosh(x) ** 2, EXP),
    "asinh": (mp.asinh, HUGE),
    "acosh": (mp.acosh, HUGE),
    "atanh": (mp.atanh, HUGE),
    "erf": (mp.erf, 30.0),
    "erfc": (mp.erfc, 30.0),
    "gaussian": (lambda x: mp.exp(-x * x), 30.0),
    "normal_density": (mp.npdf, 40.0),
    "erfcx": (lambda x: mp.exp(x * x) * mp.erfc(x), 26.6),
    "erfcx_derivative": (lambda x, n: mp.diff(ORACLE["erfcx"][0], x, n), 26.5),
    "ndtr": (mp.ncdf, 40.0),
    "log_ndtr": (lambda x: mp.log1p(-mp.ncdf(-x)) if x > 0 else mp.log(mp.ncdf(x)), 40.0),
    "erfinv": (mp.erfinv, 1.0),
    "ndtri": (lambda x: -mp.sqrt(2) * mp.erfinv(1 - 2 * x), 1.0),
    "sinc": (_sinc, 1e3),
    "sinc_derivative": (lambda x, n: mp.diff(ORACLE["sinc"][0], x, n), 1e3),
    "lgamma": (lambda x: mp.log(abs(mp.gamma(x))), 1e3),
    "digamma": (mp.digamma, 1e3),
    "polygamma": (lambda x, n: mp.psi(n, x), 1e3),
    "polygamma_step": (_step, 1e3),
    "betaln": (lambda x, y: mp.log(mp.beta(x, y)) if min(x, y) > 0 else mp.nan, 1e3),
    "gamma_density": (_density, 1e3),
    "gammainc": (_lower_gamma, 30.0),
    "gammaincc": (lambda order, x: 1 - _lower_gamma(order, x), 30.0),
    "zeta": (lambda order, x: mp.zeta(order, x) if order > 1 and x > 0 else mp.nan, 1e3),
    "bessel_j": (lambda x, n: mp.besselj(n, x), 1e3),
    "bessel_j0": (lambda x: mp.besselj(0, x), 1e3),
    "bessel_j1": (lambda x: mp.besselj(1, x), 1e3),
    "bessel_i": (lambda x, n: mp.besseli(n, x), 700.0),
    "i0": (lambda x: mp.besseli(0, x), 700.0),
    "i1": (lambda x: mp.besseli(1, x), 700.0),
    "i0e": (_i0e, 1e3),
    "i1e": (_i1e, 1e3),
    "i0e_derivative": (lambda x, n: mp.diff(ORACLE["i0e"][0], x, n), 1e3),
    "i1e_derivative": (lambda x, n: mp.diff(ORACLE["i1e"][0], x, n), 1e3),
    "where": (lambda condition, x, y: x if condition else y, HUGE),
    "maximum": (max, HUGE),
    "minimum": (min, HUGE),
    "clamp": (lambda x, lo, hi: min(max(x, lo), hi), HUGE),
    "relu": (lambda x: max(x, mp.mpf(0)), HUGE),
    "fmax": (max, HUGE),
    "fmin": (min, HUGE),
    "heaviside": (lambda x, y: y if x == 0 else mp.mpf(x > 0), HUGE),
    "nan_to_num": (lambda x, **fill: x, HUGE),
}
# Of these mpmath takes long with many digits: they are asked for where 80 digits are enough.
SPECIAL_FUNCTIONS = set(
    list(ORACLE)[list(ORACLE).index("gaussian") : list(ORACLE).index("i1e_derivative") + 1]
)
NEARLY_1 = {
    "ndtr",
    "log_ndtr",
    "gammainc",
    "gammaincc",
}  # a slope of 1e-300 is a difference in the 300th digit


def _amplitude(x):
    return math.sqrt(2 / (math.pi * max(abs(x), 1.0)))


def _logarithm(x, y=1.0):
    return 1.0 + abs(math.log(abs(x) or 1.0)) + abs(math.log(abs(y) or 1.0))


# Size of the terms that a value or slope is the sum of: near a zero its error is counted in units of them.
TERMS = {
    "lgamma": _logarithm,
    "digamma": _logarithm,
    "betaln": _logarithm,
    "bessel_j": _amplitude,
    "bessel_j0": _amplitude,
    "bessel_j1": _amplitude,
    "i1e": lambda x: 0.1 / (1 + abs(x)) ** 1.5,
    "i1e_derivative": lambda x: 0.1 / (1 + abs(x)) ** 2.5,
}
TRUTH = {"eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor", "logical_not",
         "isnan", "isinf", "isfinite", "signbit", "isclose"}  # fmt: skip

GRID = (0.0, 1e-300, 1e-17, 1e-8, 0.1, 0.3, 0.49, 0.7, 0.9, 0.999, 1.0, 1.3, 2.7, 6.5, 10.1, 20.0, 26.5, 40.0,
        123.4, 350.0, 400.0, 709.5, 745.0, 800.0, 1e5, 1e10, 1e100, 1e300)  # fmt: skip
PAIRS = (-1e10, -400.0, -20.5, -1.25, -1e-9, 1e-9, 0.3, 1.0, 2.5, 20.5, 400.0, 1e10)
NAMES = [p.name for p in TABLE.values() if p.kind == "elementwise" and p.name not in TRUTH]


def test_every_elementwise_entry_has_an_oracle():
    assert set(NAMES) == set(ORACLE)


def points(p):
    """Samples, and a grid over the domain: tuples of numbers with parameters."""
    found = [(tuple(a.item() for a in c.args), c.params) for c in cases(p)]
    cap, params = ORACLE[p.name][1], found[0][1]
    if len(p.inputs) == 1:
        lo, hi = p.domain[0] if p.domain else (-math.inf, math.inf)
        least = 1e-8 if p.name in SPECIAL_FUNCTIONS else 0.0
        line = (s * x for x in GRID for s in (1, -1) if x <= cap and (x >= least or x == 0))
        return found + [((x,), params) for x in line if lo < x < hi]
    if p.inputs[0] == "condition" or len(p.inputs) > 2:
        return found
    return found + [((x, y), params) for x in PAIRS for y in PAIRS if max(abs(x), abs(y)) <= cap]


def exact(p, args, params):
    """The value with all the digits that a difference needs; None where there is none among real numbers."""
    f = ORACLE[p.name][0]
    try:
        value = f(*(a if isinstance(a, bool) else mp.mpf(a) for a in args), **params)
    except (ZeroDivisionError, ValueError, OverflowError):
        return None
    return value if isinstance(value, mp.mpf | int) and mp.isfinite(value) else None


def digits(p, args):
    if p.name in SPECIAL_FUNCTIONS:
        return 400 if p.name in NEARLY_1 else 80
    return 80 if all(1e-10 < abs(a) < 15 or a == 0 for a in args) else 900


def ulps(got, true, size=0.0):
    """Distance in units of the last place of `true`, or of `size` if that is larger."""
    if got != got:
        return math.inf
    nearest = float(true)  # rounds to nearest, inf beyond the range
    if math.isinf(nearest) or math.isinf(got):
        return 0.0 if got == nearest else math.inf
    return float(abs(mp.mpf(got) - true) / mp.mpf(math.ulp(max(abs(nearest), size))))


def size_of_terms(p, args):
    return TERMS[p.name](*args) if p.name in TERMS else 0.0


@pytest.mark.parametrize("name", NAMES)
def test_value_is_right_to_the_last_digits(name):
    check_values(TABLE[name])


def check_values(p):
    for args, params in points(p):
        with mp.workdps(digits(p, args)):
            true = exact(p, args, params)
            if true is None:
                continue
            with np.errstate(all="ignore"):
                got = p.value(*(np.array([a])[0] for a in args), **params)
            assert ulps(float(got), true, size_of_terms(p, args)) <= p.tolerance, (
                args,
                float(got),
                mp.nstr(true, 20),
            )


@cache
def slope(name, args, k, params, order=1):
    """∂ᵏ/∂(argument) by mpmath, or None where the function is not smooth there."""
    p = TABLE[name]
    if name.endswith("_derivative"):  # one difference of a higher order, not differences of differences
        p, params, order = TABLE[name.removesuffix("_derivative")], (), order + dict(params)["n"]

    def along(x):
        value = exact(p, (*args[:k], x, *args[k + 1 :]), dict(params))
        if value is None:
            raise ValueError
        return value

    with mp.workdps(digits(p, args)):
        try:
            return mp.diff(along, mp.mpf(args[k]), order, relative=args[k] != 0)
        except (ValueError, ZeroDivisionError):
            return None


def at_kink(p, args):
    x, y, *_ = (*args, None)
    return (
        (p.name in ("lgamma", "digamma", "polygamma") and x <= 0 and x == math.floor(x))
        or (p.name in ("abs", "sign", "relu", "floor", "ceil", "trunc", "frac") and x == math.floor(x))
        or (p.name in ("copysign", "heaviside", "i0e", "i1e", "i0e_derivative", "i1e_derivative") and x == 0)
        or (p.name == "round" and (x + 0.5 == math.floor(x + 0.5) or abs(x) > 1e15))
        or (p.name == "clamp" and abs(x) == 1.0)
        or (p.name in ("maximum", "minimum", "fmax", "fmin") and x == y)
        or (p.name in ("floor_divide", "remainder", "fmod") and (x / y == math.floor(x / y) or abs(x / y) > 1e15))
    )  # fmt: skip


@pytest.mark.parametrize("name", [n for n in NAMES if TABLE[n].rule is not None])
def test_first_derivative_is_right_to_the_last_digits(name):
    check_slopes(TABLE[name])


def check_slopes(p):
    checked = 0
    for args, params in points(p):
        if at_kink(p, args):
            continue
        for k, got in enumerate(partials(p, args, params), len(p.inputs) - len(partials_of(p))):
            true = slope(p.name, args, k, tuple(params.items()))
            if true is not None:
                assert ulps(float(got), true, size_of_terms(p, args)) <= p.slope_tolerance, (
                    p.inputs[k],
                    args,
                    float(got),
                    mp.nstr(true, 20),
                )
                checked += 1
    assert checked, "no point of the grid lies where mpmath has a derivative"


def partials(p, args, params):
    values = [np.array([a])[0] for a in args]
    with np.errstate(all="ignore"):
        env = {**dict(zip(p.inputs, values, strict=True)), "out": p.value(*values, **params)}
        return [fold(f, env, params, numbers.emit) for f in partials_of(p).values()]


# --- three times, at the tails -------------------------------------------------------------------

TAILS = (20.0, -20.0, 400.0, -400.0, 800.0, -800.0)
NEAR = (0.9375, -0.9375, 0.25, 0.0)
TAIL_PAIRS = (
    (20.0, 1.5),
    (400.0, -2.5),
    (3.0, 20.0),
    (0.5, 800.0),
    (400.0, 400.25),
    (800.0, 30.0),
    (1.5, -20.0),
)


def smooth_points(p):
    if len(p.inputs) > 2:
        return [tuple(a.item() for a in c.args) for c in cases(p)]
    if len(p.inputs) == 2:
        return [a for a in TAIL_PAIRS if not at_kink(p, a)]
    lo, hi = p.domain[0] if p.domain else (-math.inf, math.inf)
    return [(x,) for x in (*TAILS, *NEAR) if lo < x < hi and not at_kink(p, (x,))]


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("name", [n for n in NAMES if TABLE[n].rule is not None and n != "where"])
def test_derivatives_of_every_order_are_right_at_the_tails(name, order):
    check_tails(TABLE[name], order)


def check_tails(p, order):
    found, params = smooth_points(p), next(cases(p)).params
    columns = [np.array(c) for c in zip(*found, strict=True)]
    for k in range(len(columns)):
        if p.inputs[k] == "order":
            continue

        def f(x, k=k):
            return bind(p, *columns[:k], x, *columns[k + 1 :], **params)

        for _ in range(order):
            f = cr.grad(lambda x, f=f: f(x).sum())
        for args, got in zip(found, np.asarray(f(columns[k])), strict=True):
            tiny = 1e-60 if 0.0 in args else 1e-300  # mpmath has 80 digits at 0
            tiny = 1e-15 if p.name == "erfinv" else tiny  # even orders at 0: a difference of terms of size 1
            true = slope(p.name, args, k, tuple(params.items()), order)
            if true is not None and abs(true) < 1e300:
                assert abs(mp.mpf(float(got)) - true) <= 1e-9 * abs(true) + tiny, (
                    args,
                    got,
                    mp.nstr(true, 20),
                )


# --- the form for Python floats ------------------------------------------------------------------

SPECIAL = (0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan, 1e308, -1e308, 1e-310, -1e-310, 0.5, -0.5,
           2.5, -3.5, 700.0, -745.2)  # fmt: skip
ZERO_OF_EITHER_SIGN = {
    "maximum",
    "minimum",
    "fmax",
    "fmin",
    "relu",
    "clamp",
}  # IEEE 754 leaves it open, and so does NumPy
DIFFERS = {
    ("pow", (-math.inf, 0.5)),
    ("pow", (-0.0, 0.5)),
}  # NumPy takes the root: NaN and -0; C says inf and 0


@pytest.mark.parametrize("p", [p for p in TABLE.values() if p.kind == "elementwise"], ids=lambda p: p.name)
def test_form_for_floats_agrees_with_the_form_for_arrays(p):
    check_scalar(p)


def check_scalar(p):
    params, f = next(cases(p)).params, scalar_function(p)
    lines = [(True, False) if name == "condition" else SPECIAL for name in p.inputs]
    for args in itertools.product(*lines):
        if (p.name, args) in DIFFERS:
            continue
        try:
            got = f(*args, **params)
        except (ArithmeticError, ValueError):
            continue  # then the form for arrays is used
        with np.errstate(all="ignore"):
            expected = p.value(*(np.array([a])[0] for a in args), **params)
        assert same(got, expected.item(), p), (args, got, expected)


def same(a, b, p):
    if isinstance(b, bool):
        return a is b
    if a != a or b != b or math.isinf(a) or math.isinf(b):
        return a == b or (a != a and b != b)
    if a == b == 0:
        return p.name in ZERO_OF_EITHER_SIGN or math.copysign(1, a) == math.copysign(1, b)
    return abs(a - b) <= 4 * math.ulp(b)


# --- powers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [*range(-8, 65)])
def test_whole_powers_are_right_to_the_last_digits(n):
    p = TABLE["integer_pow"]
    for x in (-3.7, -1.1, -0.3, 0.01, 0.9999, 1.0001, 2.5, 41.0):
        true = mp.mpf(x) ** n
        for got in (p.value(np.float64(x), n=n), scalar_function(p)(x, n=n)):
            assert ulps(float(got), true) <= 3


# --- the checks can fail -------------------------------------------------------------------------


def test_a_value_that_is_off_by_a_thousandth_is_caught():
    with pytest.raises(AssertionError):
        check_values(dataclasses.replace(TABLE["exp"], value=lambda x: np.exp(x) * 1.001))


def test_a_value_that_is_off_by_ten_ulps_is_caught():
    with pytest.raises(AssertionError):
        check_values(dataclasses.replace(TABLE["exp"], value=lambda x: np.exp(x) * (1 + 10 * 2.3e-16)))


def test_a_slope_that_is_lost_in_the_tail_is_caught():
    with pytest.raises(AssertionError):
        check_slopes(
            dataclasses.replace(TABLE["tanh"], rule=Partials({"x": lambda out: (1.0 - out) * (1.0 + out)}))
        )


def test_a_formula_that_breaks_in_the_third_order_is_caught():
    """1/cosh² is right once and NaN when it is differentiated twice more at 400."""
    from chainrule.table.trigonometric import cosh

    p = dataclasses.replace(TABLE["tanh"], rule=Partials({"x": lambda x: 1.0 / cosh(x) ** 2}))
    check_tails(p, 1)
    with pytest.raises(AssertionError):
        check_tails(p, 3)


def test_a_form_for_floats_that_differs_is_caught():
    with pytest.raises(AssertionError):
        check_scalar(
            dataclasses.replace(TABLE["floor"], scalar=lambda x: float(math.floor(x)))
        )  # floor(-0.0) is -0.0
