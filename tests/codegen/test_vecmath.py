"""The vector functions against mpmath, in units of the last place, and against C at the corners."""

import math

import mpmath as mp
import numpy as np
import pytest

from chainrule.codegen import jit
from chainrule.codegen.elementwise import kernel
from chainrule.codegen.scalar import LOWER
from chainrule.table.formula import Apply, Const, Symbol, apply
from chainrule.table.primitive import TABLE

pytestmark = pytest.mark.skipif(not jit.is_available(), reason="llvmlite knows no target here")

F64, F32 = np.dtype(np.float64), np.dtype(np.float32)


def mp_fmod(x, y):
    return mp.sign(x) * (abs(x) - mp.floor(abs(x) / abs(y)) * abs(y))


def mp_log_ndtr(x):
    return mp.log1p(-mp.ncdf(-x)) if x > 0 else mp.log(mp.erfc(-x / mp.sqrt(2)) / 2)


# Name -> (mpmath's function, ranges to draw from ("log": magnitudes), bound in ulp for float64, for float32).
# The bounds are what was measured on some 10⁴ points, rounded up.
FUNCTIONS = {
    "exp": (mp.exp, [(-745, 709), (-2, 2)], 1.1, 1.2),
    "exp2": (lambda x: mp.mpf(2) ** x, [(-1070, 1020), (-2, 2)], 1.1, 1.2),
    "expm1": (mp.expm1, [(-40, 709), (-1, 1), "log"], 2.0, 2.0),
    "log": (mp.log, [(0.1, 10), "log"], 1.0, 1.0),
    "log2": (lambda x: mp.log(x, 2), [(0.1, 10), "log"], 1.0, 1.0),
    "log10": (mp.log10, [(0.1, 10), "log"], 1.0, 1.0),
    "log1p": (mp.log1p, [(-0.9999, 10), "log"], 1.0, 1.0),
    "sigmoid": (lambda x: 1 / (1 + mp.exp(-x)), [(-700, 700), (-3, 3)], 2.0, 2.2),
    "falling_sigmoid": (lambda x: 1 / (1 + mp.exp(x)), [(-700, 700), (-3, 3)], 2.0, 2.2),
    "softplus": (lambda x: mp.log1p(mp.exp(x)), [(-700, 700), (-3, 3)], 2.0, 2.0),
    "sinh": (mp.sinh, [(-709, 709), (-1, 1), "log"], 2.3, 2.3),
    "cosh": (mp.cosh, [(-709, 709), (-1, 1)], 2.0, 2.0),
    "tanh": (mp.tanh, [(-20, 20), (-1, 1), "log"], 2.5, 2.5),
    "sech2": (lambda x: mp.sech(x) ** 2, [(-300, 300), (-2, 2)], 3.0, 3.5),
    "asinh": (mp.asinh, [(-1e3, 1e3), (-1, 1), "log"], 2.0, 2.0),
    "acosh": (mp.acosh, [(1, 100), (1, 1.01)], 2.5, 2.5),
    "atanh": (mp.atanh, [(-0.9999, 0.9999), "log"], 2.5, 2.5),
    "sin": (mp.sin, [(-100, 100), (-9e5, 9e5), (-1e15, 1e15), "log"], 1.0, 1.0),
    "cos": (mp.cos, [(-100, 100), (-9e5, 9e5), (-1e15, 1e15)], 1.0, 1.0),
    "tan": (mp.tan, [(-100, 100), (-9e5, 9e5), "log"], 2.5, 2.5),
    "asin": (mp.asin, [(-1, 1), "log"], 1.5, 1.5),
    "acos": (mp.acos, [(-1, 1)], 1.5, 1.5),
    "atan": (mp.atan, [(-20, 20), (-1, 1), "log"], 2.2, 2.2),
    "sinc": (lambda x: mp.sin(mp.pi * x) / (mp.pi * x), [(-20, 20), (-1e5, 1e5)], 2.5, 2.5),
    "logit": (lambda x: mp.log(x / (1 - x)), [(0, 1), (0.45, 0.55)], 2.5, 2.5),
    "entr": (lambda x: -x * mp.log(x), [(0.01, 5), "log"], 2.0, 2.0),
    "gaussian": (lambda x: mp.exp(-x * x), [(-26, 26), (-2, 2)], 1.5, 1.5),
    "normal_density": (mp.npdf, [(-37, 37), (-2, 2)], 2.0, 2.0),
    "erf": (mp.erf, [(-6, 6), (-1.2, 1.2), "log"], 1.5, 1.6),
    "erfc": (mp.erfc, [(-6, 26), (-2, 2)], 2.5, 2.5),
    "erfcx": (lambda x: mp.exp(x * x) * mp.erfc(x), [(-26, 26), (-2, 2), (0, 1e6)], 2.0, 2.0),
    "ndtr": (mp.ncdf, [(-37, 8), (-2, 2)], 3.0, 3.0),
    "log_ndtr": (mp_log_ndtr, [(-1e3, 37), (-2, 2)], 3.0, 3.0),
    "lgamma": (mp.loggamma, [(0, 3), (0.9, 2.1), (2, 50), (50, 1e6), "log"], 2.5, 2.5),
    "digamma": (mp.digamma, [(0, 3), (1.3, 1.6), (2, 50), (50, 1e6), "log"], 2.5, 2.5),
    "sqrt": (mp.sqrt, [(0, 10), "log"], 0.5, 0.5),
    "rsqrt": (lambda x: 1 / mp.sqrt(x), [(0.01, 10)], 1.5, 1.5),
}
PAIRS = {
    "pow": (mp.power, [((0.01, 5), (-5, 5)), ((0.999, 1.001), (-5e4, 5e4))], 1.5, 1.5),
    "atan2": (mp.atan2, [((-3, 3), (-3, 3))], 2.5, 2.5),
    "logaddexp2": (lambda x, y: mp.log(2**x + 2**y, 2), [((0, 30), (0, 30))], 2.0, 2.0),
    "hypot": (mp.hypot, [((-3, 3), (-3, 3)), ((0, 1e-30), (0, 1e-30)), ((0, 1e30), (0, 1e30))], 1.1, 1.1),
    "xlogy": (lambda x, y: x * mp.log(y), [((-3, 3), (0.1, 10))], 1.5, 1.5),
    "xlog1py": (lambda x, y: x * mp.log1p(y), [((-3, 3), (-0.9, 10))], 1.5, 1.6),
    "fmod": (mp_fmod, [((-3, 3), (-1, 1)), ((-1e20, 1e20), (-3, 3))], 0.5, 0.5),
    "logaddexp": (lambda x, y: mp.log(mp.exp(x) + mp.exp(y)), [((0, 30), (0, 30))], 2.0, 2.0),
}
DOMAIN = {
    "acosh": 1.0,
    **dict.fromkeys(["log", "log2", "log10", "sqrt", "rsqrt", "logit", "entr", "lgamma", "digamma"], 0.0),
}
CORNERS = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    2.0,
    -2.0,
    0.5,
    -0.5,
    3.0,
    -3.0,
    2.5,
    math.inf,
    -math.inf,
    math.nan,
    1e-310,
    1e30,
    -1e30,
]
SAME_IN_NUMPY = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh", "acosh": "arccosh",
                 "atanh": "arctanh", "pow": "power", "atan2": "arctan2"}  # fmt: skip


PARAMS = {
    "integer_pow": {"n": 3},
    "clamp": {"lo": -1.0, "hi": 2.0},
    "isclose": {"rtol": 1e-5, "atol": 1e-8},
    "nan_to_num": {"nan": 0.5, "posinf": None, "neginf": -7.0},
}


def run(name, *arrays, **params):
    names = TABLE[name].inputs
    formula = Apply(name, tuple(map(Symbol, names)), params)
    compiled = kernel([formula], names, [False] * len(names), arrays[0].dtype, {})
    return compiled(arrays)[0]


def draw(name, where, dtype, rng, n):
    """Points of one range; float32 keeps to what it can hold."""
    if where == "log":
        reach = 300 if dtype == F64 else 37
        x = 10.0 ** rng.uniform(
            -reach, 0 if name in ("atanh", "asin", "erf", "expm1", "sin", "tan", "sinh") else reach, n
        )
        return (x if DOMAIN.get(name) == 0.0 or name == "log1p" else x * rng.choice([-1, 1], n)).astype(dtype)
    lo, hi = where
    if dtype == F32 and name not in ("sin", "cos", "tan", "pow"):
        lo, hi = max(lo, -85), min(hi, 85)
    return np.maximum(rng.uniform(lo, hi, n), DOMAIN.get(name, -math.inf)).astype(dtype)


def worst_ulp(found, exact, *arrays):
    """Largest error in units of the last place of the exact value, among normal numbers."""
    worst, dtype = 0.0, found.dtype.type
    with mp.workprec(300):
        for out, *xs in zip(found, *arrays, strict=True):
            true = exact(*[mp.mpf(float(x)) for x in xs])
            size = abs(true)
            if size > float(np.finfo(dtype).max) or 0 < size < float(np.finfo(dtype).tiny):
                continue
            assert np.isfinite(out), (xs, out)
            ulp = mp.mpf(float(np.spacing(dtype(float(size)))))
            worst = max(worst, float(abs(mp.mpf(float(out)) - true) / ulp))
    return worst


@pytest.mark.parametrize("dtype", [F64, F32], ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_within_its_bound(name, dtype):
    exact, ranges, *bounds = FUNCTIONS[name]
    rng = np.random.default_rng(1)
    x = np.concatenate([draw(name, r, dtype, rng, 203) for r in ranges])
    assert worst_ulp(run(name, x), exact, x) <= bounds[dtype == F32]


@pytest.mark.parametrize("dtype", [F64, F32], ids=str)
@pytest.mark.parametrize("name", PAIRS)
def test_a_function_of_two_numbers_is_within_its_bound(name, dtype):
    exact, ranges, *bounds = PAIRS[name]
    rng = np.random.default_rng(2)
    for of_x, of_y in ranges:
        x, y = draw(name, of_x, dtype, rng, 403), draw(name, of_y, dtype, rng, 403)
        assert worst_ulp(run(name, x, y), exact, x, y) <= bounds[dtype == F32]


@pytest.mark.parametrize("dtype", [F64, F32], ids=str)
@pytest.mark.parametrize("of_x", [(1.3, 1.42), (0.7, 0.75), (1.42, 1.6), (0.1, 3.0)], ids=str)
def test_powers_near_the_ends_of_the_range_are_within_the_bound(of_x, dtype):
    """Where y·ln x is large, its error is that of the result."""
    exact, _, *bounds = PAIRS["pow"]
    rng = np.random.default_rng(9)
    x, reach = rng.uniform(*of_x, 1003).astype(dtype), 700 if dtype == F64 else 86
    y = (rng.uniform(-reach, reach, 1003) / np.log(x.astype(float))).astype(dtype)
    sign = rng.choice([-1, 1], 1003)
    assert worst_ulp(run("pow", x, y), exact, x, y) <= bounds[dtype == F32]
    whole = np.rint(y)
    assert (
        worst_ulp(run("pow", (x * sign).astype(dtype), whole), exact, x * sign, whole) <= bounds[dtype == F32]
    )


def test_the_measure_of_error_can_fail():
    x = np.linspace(0.1, 1, 20)
    assert worst_ulp(np.exp(x) * (1 + 1e-15), mp.exp, x) > 3


@pytest.mark.parametrize("dtype", [F64, F32], ids=str)
@pytest.mark.parametrize("name", ["log", "log2", "log10"])
def test_logarithms_of_subnormal_numbers_are_within_the_bound_of_others(name, dtype):
    exact, _, *bounds = FUNCTIONS[name]
    tiny = float(np.finfo(dtype).tiny)
    x = (tiny * 2.0 ** np.random.default_rng(8).uniform(-22, 0, 200)).astype(dtype)
    assert worst_ulp(run(name, x), exact, x) <= bounds[dtype == F32]


@pytest.mark.parametrize("dtype", [F64, F32], ids=str)
@pytest.mark.parametrize("name", ["sinh", "cosh"])
def test_half_an_exponential_may_be_finite_where_the_exponential_is_not(name, dtype):
    exact, _, *bounds = FUNCTIONS[name]
    largest = math.log(float(np.finfo(dtype).max))
    x = np.linspace(largest - 1, largest + 0.69, 200).astype(dtype)
    assert worst_ulp(run(name, x), exact, x) <= bounds[dtype == F32]


@pytest.mark.parametrize("dtype", [F64, F32], ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_nan_with_bits_of_its_own_stays_one(name, dtype):
    whole = np.dtype(f"u{dtype.itemsize}")
    x = (np.full(40, math.nan, dtype).view(whole) | np.arange(40, dtype=whole) * 97).view(dtype)
    assert np.isnan(run(name, x)).all()
    assert np.isnan(run(name, -x)).all()


def same(found, expected):
    close = np.isclose(found, expected, rtol=1e-6, atol=0) | (found == expected)
    return np.where(np.isnan(expected), np.isnan(found), close & (np.signbit(found) == np.signbit(expected)))


@pytest.mark.parametrize("dtype", [F64, F32], ids=str)
@pytest.mark.parametrize("name", sorted(n for n in LOWER if n in TABLE and TABLE[n].kind == "elementwise"))
def test_corners_are_those_of_the_table(name, dtype):
    """Zeros with their sign, infinities, NaN, subnormal numbers: the same as the entry's value in NumPy."""
    p = TABLE[name]
    if p.result == "bool" or name in ("where", "logical_not") or name.startswith("logical"):
        pytest.skip("truth values: see test_elementwise.py")
    with np.errstate(all="ignore"):
        corners = np.array(CORNERS, dtype)
    params = PARAMS.get(name, {})
    arrays = [a.ravel().copy() for a in np.meshgrid(*[corners] * len(p.inputs))]
    found = run(name, *arrays, **params)
    with np.errstate(all="ignore"):
        expected = p.value(*arrays, **params)
    ok = same(found, expected)
    assert ok.all(), [(*(a[k] for a in arrays), found[k], expected[k]) for k in np.flatnonzero(~ok)]


@pytest.mark.parametrize("n", [-3, -1, 1, 2, 3, 7, 10])
def test_whole_powers_are_products(n):
    x = np.random.default_rng(3).uniform(-2, 2, 100)
    np.testing.assert_allclose(run("integer_pow", x, n=n), x**n, rtol=1e-14)


@pytest.mark.parametrize("dtype", [F64, F32], ids=str)
@pytest.mark.parametrize("name", ["remainder", "floor_divide", "fmod"])
def test_remainders_are_exact(name, dtype):
    rng = np.random.default_rng(4)
    x = (rng.choice([-1, 1], 2000) * 10.0 ** rng.uniform(-5, 25, 2000)).astype(dtype)
    y = (rng.choice([-1, 1], 2000) * 10.0 ** rng.uniform(-5, 25, 2000)).astype(dtype)
    whole = rng.integers(-9, 10, (2, 500)).astype(dtype)
    x, y = np.concatenate([x, whole[0]]), np.concatenate([y, whole[1]])
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(run(name, x, y), TABLE[name].value(x, y))


@pytest.mark.parametrize("dtype", [F64, F32], ids=str)
def test_powers_of_two_are_scaled_in_exactly_with_one_rounding(dtype):
    rng = np.random.default_rng(5)
    reach = 1100 if dtype == F64 else 150
    x = (rng.normal(size=4000) * 2.0 ** rng.integers(-reach, reach - 80, 4000)).astype(dtype)
    y = rng.integers(-2 * reach, 2 * reach, 4000).astype(dtype)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(run("ldexp", x, y), np.ldexp(x, y.astype(int)))


@pytest.mark.parametrize("equal_nan", [False, True])
def test_numbers_that_are_close_are_those_of_numpy(equal_nan):
    x, y = (a.ravel() for a in np.meshgrid(CORNERS, [*CORNERS, 1.0000001, 2.1]))
    x, y = x.copy(), y.copy()
    f = Apply("where", (Apply("isclose", (Symbol("x"), Symbol("y")), PARAMS["isclose"] | {"equal_nan": equal_nan}),
                        Const(1.0), Const(0.0)), {})  # fmt: skip
    (found,) = kernel([f], ["x", "y"], [False, False], F64, {})([x, y])
    np.testing.assert_array_equal(found == 1, np.isclose(x, y, 1e-5, 1e-8, equal_nan))


def test_a_sign_is_seen_on_zero_and_nan():
    x = np.array([*CORNERS, -math.nan])
    f = Apply("where", (apply("signbit", Symbol("x")), Const(1.0), Const(0.0)), {})
    (found,) = kernel([f], ["x"], [False], F64, {})([x])
    np.testing.assert_array_equal(found == 1, np.signbit(x))


@pytest.mark.parametrize("dtype", [F64, F32], ids=str)
def test_digamma_left_of_zero_is_within_a_few_places_of_its_larger_term(dtype):
    x = np.random.default_rng(6).uniform(-20, 0, 500).astype(dtype)
    x = x[x != np.rint(x)]
    with mp.workprec(200):
        exact = np.array([float(mp.digamma(mp.mpf(float(v)))) for v in x])
    terms = 3.0 + np.abs(np.pi / np.tan(np.pi * x.astype(float)))
    assert np.max(np.abs(run("digamma", x) - exact) / terms) < 3 * np.finfo(dtype).eps
