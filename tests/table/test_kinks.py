"""Which slope is taken where there is none, or several: what the sentences of the entries promise.

The expected numbers follow from the rules: the subgradient of least norm over all inputs jointly, the limit
from inside the domain, NaN where nothing is defined.
"""

import math

import numpy as np
import pytest

import chainrule as cr
from chainrule.dispatch import bind
from chainrule.table import TABLE

INF, NAN = math.inf, math.nan

_FILL = {"nan": 0.0, "posinf": None, "neginf": None}

# entry, point, slopes, parameters
AT_KINKS = [
    ("abs", (0.0,), (0.0,), {}),
    ("sign", (0.0,), (0.0,), {}),
    ("floor", (2.0,), (0.0,), {}),
    ("ceil", (2.0,), (0.0,), {}),
    ("trunc", (-2.0,), (0.0,), {}),
    ("round", (2.5,), (0.0,), {}),
    ("floor_divide", (4.0, 2.0), (0.0, 0.0), {}),
    ("remainder", (4.0, 2.0), (1.0, -2.0), {}),
    ("remainder", (-4.5, 2.0), (1.0, 3.0), {}),
    ("remainder", (4.5, -2.0), (1.0, 3.0), {}),
    ("fmod", (4.0, 2.0), (1.0, -2.0), {}),
    ("fmod", (-4.5, 2.0), (1.0, 2.0), {}),
    ("frac", (2.0,), (1.0,), {}),
    ("copysign", (0.0, 2.0), (0.0, 0.0), {}),
    ("copysign", (3.0, 0.0), (1.0, 0.0), {}),
    ("copysign", (3.0, -0.0), (-1.0, 0.0), {}),
    ("heaviside", (0.0, 0.5), (0.0, 1.0), {}),
    ("heaviside", (2.0, 0.5), (0.0, 0.0), {}),
    ("nan_to_num", (NAN,), (0.0,), _FILL),
    ("nan_to_num", (INF,), (0.0,), _FILL),
    ("fmax", (2.0, 2.0), (0.5, 0.5), {}),
    ("fmin", (2.0, 2.0), (0.5, 0.5), {}),
    ("fmax", (NAN, 2.0), (0.0, 1.0), {}),
    ("fmin", (2.0, NAN), (1.0, 0.0), {}),
    ("relu", (0.0,), (0.0,), {}),
    ("clamp", (-1.0,), (0.0,), {"lo": -1.0, "hi": 1.0}),
    ("clamp", (1.0,), (0.0,), {"lo": -1.0, "hi": 1.0}),
    ("maximum", (2.0, 2.0), (0.5, 0.5), {}),
    ("minimum", (2.0, 2.0), (0.5, 0.5), {}),
    ("hypot", (0.0, 0.0), (0.0, 0.0), {}),
    ("sqrt", (0.0,), (INF,), {}),
    ("pow", (0.0, 0.0), (0.0, 0.0), {}),
    ("pow", (0.0, 2.0), (0.0, 0.0), {}),
    ("pow", (0.0, 1.0), (1.0, 0.0), {}),
    ("pow", (0.0, 0.5), (INF, 0.0), {}),
    ("xlogy", (0.0, 0.0), (-INF, 0.0), {}),
    ("xlog1py", (0.0, -1.0), (-INF, 0.0), {}),
    ("i0e", (0.0,), (0.0,), {}),
    ("i0e_derivative", (0.0,), (0.0,), {"n": 2}),
    ("i1e_derivative", (0.0,), (0.0,), {"n": 1}),
]
UNDEFINED = [
    ("div", (0.0, 0.0), (INF, NAN), {}),  # out/y is 0/0; 1/y is infinite whatever x is
    ("log", (-1.0,), (NAN,), {}),
    ("log2", (-1.0,), (NAN,), {}),
    ("log10", (-1.0,), (NAN,), {}),
    ("log1p", (-2.0,), (NAN,), {}),
    ("sqrt", (-1.0,), (NAN,), {}),
    ("rsqrt", (-1.0,), (NAN,), {}),
    ("pow", (-2.0, 3.0), (12.0, NAN), {}),
    ("pow", (0.0, -1.0), (-INF, NAN), {}),
    ("xlogy", (1.0, -1.0), (NAN, NAN), {}),
    ("xlog1py", (1.0, -2.0), (NAN, NAN), {}),
    ("logit", (-0.5,), (NAN,), {}),
    ("logit", (1.5,), (NAN,), {}),
    ("entr", (-1.0,), (NAN,), {}),
    ("frac", (INF,), (1.0,), {}),
    ("sinc", (INF,), (NAN,), {}),
    ("sinc_derivative", (INF,), (NAN,), {"n": 1}),
    ("lgamma", (-1.0,), (NAN,), {}),
    ("digamma", (-1.0,), (INF,), {}),  # -ψ' is infinite on both sides
    ("polygamma", (-1.0,), (NAN,), {"n": 1}),
    ("polygamma_step", (-2.0, 2.0), (NAN, INF), {"n": 0}),
    ("betaln", (-2.0, -3.0), (NAN, NAN), {}),
    ("gamma_density", (2.0, -1.0), (0.0, NAN), {}),
    ("gammainc", (2.0, -1.0), (0.0, NAN), {}),
    ("gammaincc", (2.0, -1.0), (0.0, NAN), {}),
    ("zeta", (0.5, 2.0), (0.0, NAN), {}),
    ("logaddexp", (-INF, -INF), (NAN, NAN), {}),
    ("logaddexp2", (-INF, -INF), (NAN, NAN), {}),
    ("atan2", (0.0, 0.0), (NAN, NAN), {}),
    ("asin", (1.5,), (NAN,), {}),
    ("acos", (-1.5,), (NAN,), {}),
    ("acosh", (0.5,), (NAN,), {}),
    ("acosh", (-2.0,), (NAN,), {}),
    ("atanh", (1.5,), (NAN,), {}),
]
BY_CONTINUITY = [
    ("log", (0.0,), (INF,), {}),
    ("log", (-0.0,), (INF,), {}),
    ("log2", (-0.0,), (INF,), {}),
    ("log10", (-0.0,), (INF,), {}),
    ("log1p", (-1.0,), (INF,), {}),
    ("logit", (0.0,), (INF,), {}),
    ("logit", (-0.0,), (INF,), {}),
    ("logit", (1.0,), (INF,), {}),
    ("entr", (0.0,), (INF,), {}),
    ("xlog1py", (2.0, -1.0), (-INF, INF), {}),
    ("sqrt", (-0.0,), (INF,), {}),
    ("rsqrt", (0.0,), (-INF,), {}),
    ("asin", (1.0,), (INF,), {}),
    ("asin", (-1.0,), (INF,), {}),
    ("acos", (1.0,), (-INF,), {}),
    ("acosh", (1.0,), (INF,), {}),
    ("atanh", (1.0,), (INF,), {}),
    ("atanh", (-1.0,), (INF,), {}),
    ("div", (1.0, 0.0), (INF, -INF), {}),
    ("pow", (INF, 2.0), (INF, INF), {}),
    ("xlogy", (0.0, 3.0), (math.log(3.0), 0.0), {}),
    ("xlogy", (2.0, 0.0), (-INF, INF), {}),
    ("sigmoid", (-INF,), (0.0,), {}),
    ("sigmoid", (INF,), (0.0,), {}),
    ("tanh", (INF,), (0.0,), {}),
    ("softplus", (-INF,), (0.0,), {}),
    ("softplus", (INF,), (1.0,), {}),
    ("expm1", (-INF,), (0.0,), {}),
    ("atan", (INF,), (0.0,), {}),
    ("erf", (-INF,), (0.0,), {}),
    ("erfinv", (1.0,), (INF,), {}),
    ("erfinv", (-1.0,), (INF,), {}),
    ("ndtri", (0.0,), (INF,), {}),
    ("ndtri", (1.0,), (INF,), {}),
    ("log_ndtr", (-INF,), (INF,), {}),
    ("log_ndtr", (INF,), (0.0,), {}),
    ("ndtr", (-INF,), (0.0,), {}),
    ("gamma_density", (2.0, 0.0), (0.0, 1.0), {}),
    ("gammainc", (0.5, 0.0), (0.0, INF), {}),
    ("gammainc", (1.0, 0.0), (0.0, 1.0), {}),
    ("gammaincc", (2.0, 0.0), (0.0, 0.0), {}),
    ("bessel_j0", (0.0,), (0.0,), {}),
    ("sinc", (0.0,), (0.0,), {}),
]
NAN_GOES_THROUGH = [
    ("relu", (NAN,), (1.0,), {}),
    ("clamp", (NAN,), (1.0,), {"lo": -1.0, "hi": 1.0}),
    ("maximum", (NAN, 2.0), (1.0, 1.0), {}),
    ("minimum", (2.0, NAN), (1.0, 1.0), {}),
]
ROWS = AT_KINKS + UNDEFINED + BY_CONTINUITY + NAN_GOES_THROUGH


@pytest.mark.parametrize("made", [float, lambda v: np.array([v, v])], ids=["number", "array"])
@pytest.mark.parametrize("name, at, slopes, params", ROWS, ids=[f"{r[0]}{r[1]}" for r in ROWS])
def test_slope_is_the_one_the_rules_choose(name, at, slopes, params, made):
    gradient = cr.grad(lambda *xs: bind(TABLE[name], *xs, **params).sum(), argnums=tuple(range(len(at))))
    for got, expected in zip(gradient(*map(made, at)), slopes, strict=True):
        np.testing.assert_array_equal(np.asarray(got), made(expected))


@pytest.mark.parametrize("name, at, slopes, params", ROWS, ids=[f"{r[0]}{r[1]}" for r in ROWS])
def test_forward_mode_takes_the_same_slope(name, at, slopes, params):
    for k, expected in enumerate(slopes):
        f = lambda x, k=k: bind(TABLE[name], *at[:k], x, *at[k + 1 :], **params)
        assert np.array_equal(np.asarray(cr.jvp(f, (at[k],), (1.0,))[1]), expected, equal_nan=True)


def test_every_entry_that_speaks_of_kinks_or_holes_has_a_row():
    rows = {r[0] for r in ROWS} | {r[0] for r in REDUCTIONS}
    assert {p.name for p in TABLE.values() if p.kinks or p.undefined} <= rows


# --- reductions ----------------------------------------------------------------------------------

ALL = {"axis": (0,), "keepdims": False}
REDUCTIONS = [
    ("amax", [1.0, 1.0, 0.0], [0.5, 0.5, 0.0], ALL),
    ("amin", [1.0, 0.0, 0.0], [0.0, 0.5, 0.5], ALL),
    ("amax", [INF, 1.0, INF], [0.5, 0.0, 0.5], ALL),
    ("amax", [1.0, NAN], [NAN, NAN], ALL),  # the largest of nothing that can be compared
    ("norm", [0.0, 0.0], [0.0, 0.0], ALL),
    ("norm", [3e200, -4e200], [0.6, -0.8], ALL),
    ("norm", [3e-200, -4e-200], [0.6, -0.8], ALL),
    ("std", [2.0, 2.0, 2.0], [0.0, 0.0, 0.0], {**ALL, "correction": 1}),
    ("std", [2.0], [NAN], {**ALL, "correction": 1}),
    ("std", [2.0], [0.0], {**ALL, "correction": 0}),
    ("var", [2.0, 2.0], [0.0, 0.0], {**ALL, "correction": 1}),
    ("var", [2.0], [NAN], {**ALL, "correction": 1}),
    ("var", [1.0, 3.0], [-2.0, 2.0], {**ALL, "correction": 1}),
    ("logsumexp", [-INF, -INF], [NAN, NAN], ALL),
    ("logsumexp", [-INF, 1.0], [0.0, 1.0], ALL),
    ("logsumexp", [INF, 1.0], [NAN, 0.0], ALL),
    ("logsumexp", [1000.0, 1000.0], [0.5, 0.5], ALL),
    ("softmax", [-INF, -INF], [NAN, NAN], {"axis": (0,)}),
    ("log_softmax", [-INF, -INF], [NAN, NAN], {"axis": (0,)}),
    ("median", [1.0, 1.0, 3.0], [0.5, 0.5, 0.0], ALL),
    ("median", [4.0, 1.0, 3.0, 9.0], [0.0, 0.0, 1.0, 0.0], ALL),
    ("nanmedian", [1.0, NAN, 1.0, 3.0], [0.5, 0.0, 0.5, 0.0], ALL),
    ("p_norm", [0.0, 0.0], [0.0, 0.0], {**ALL, "ord": 3.0}),
    ("p_norm", [0.0, 2.0], [0.0, 1.0], {**ALL, "ord": 1.5}),
    ("p_norm", [0.0, 1.0], [NAN, 1.0], {**ALL, "ord": 0.5}),
    ("p_norm", [0.0, 0.0], [NAN, NAN], {**ALL, "ord": 0.5}),
    ("p_norm", [0.0, 1.0], [NAN, 0.0], {**ALL, "ord": -1.0}),
    ("p_norm", [1e200, -1e200], [0.5**0.75, -(0.5**0.75)], {**ALL, "ord": 4.0}),
    ("p_norm", [1e-200, -1e-200], [0.5**0.75, -(0.5**0.75)], {**ALL, "ord": 4.0}),
    ("logcumsumexp", [-INF, -INF, 0.0], [NAN, NAN, 1.0], {"axis": 0, "reverse": False}),
    ("logcumsumexp", [-INF, 0.0, 0.0], [1.0, 1.5, 0.5], {"axis": 0, "reverse": False}),
    ("logcumsumexp", [1000.0, 1000.0], [1.5, 0.5], {"axis": 0, "reverse": False}),
    ("cumprod", [0.0, 2.0, 3.0], [9.0, 0.0, 0.0], {"axis": 0, "reverse": False}),
    ("cumprod", [2.0, 0.0, 0.0], [1.0, 2.0, 0.0], {"axis": 0, "reverse": False}),
    ("prod", [0.0, 2.0, 3.0], [6.0, 0.0, 0.0], {"axis": 0, "keepdims": False}),
    ("prod", [0.0, 0.0, 3.0], [0.0, 0.0, 0.0], {"axis": 0, "keepdims": False}),
    ("prod", [2.0], [1.0], {"axis": 0, "keepdims": False}),
    ("sum", [], [], ALL),
    ("mean", [], [], ALL),
    ("logsumexp", [], [], ALL),
    ("norm", [], [], ALL),
]


@pytest.mark.parametrize("name, x, slopes, params", REDUCTIONS, ids=[f"{r[0]}-{r[1]}" for r in REDUCTIONS])
def test_slope_of_a_reduction_is_the_one_the_rules_choose(name, x, slopes, params):
    got = cr.grad(lambda v: bind(TABLE[name], v, **params).sum())(np.array(x))
    np.testing.assert_allclose(np.asarray(got), slopes, rtol=1e-14)


@pytest.mark.parametrize(
    "name, x, value, params",
    [
        ("logsumexp", [-INF, -INF], -INF, ALL),
        ("logsumexp", [INF, 1.0], INF, ALL),
        ("logsumexp", [NAN, 1.0], NAN, ALL),
        ("logsumexp", [], -INF, ALL),
        ("logsumexp", [1000.0, 1000.0], 1000.0 + math.log(2.0), ALL),
        ("norm", [3e200, 4e200], 5e200, ALL),
        ("norm", [3e-200, 4e-200], 5e-200, ALL),
        ("norm", [3e-320, 4e-320], 5e-320, ALL),
        ("norm", [INF, 1.0], INF, ALL),
        ("norm", [NAN, 1.0], NAN, ALL),
        ("norm", [], 0.0, ALL),
        ("mean", [], NAN, ALL),
        ("mean", [5.0], 5.0, ALL),
        ("var", [5.0], NAN, {**ALL, "correction": 1}),
        ("var", [], NAN, {**ALL, "correction": 0}),
        ("std", [5.0], 0.0, {**ALL, "correction": 0}),
        ("amax", [1.0, NAN], NAN, ALL),
        ("prod", [], 1.0, {"axis": 0, "keepdims": False}),
    ],
)
def test_value_of_a_reduction_at_the_edge(name, x, value, params):
    got = bind(TABLE[name], cr.tensor(np.array(x)), **params)
    np.testing.assert_allclose(float(got), value, rtol=1e-14)


def test_sum_is_accurate_pair_by_pair():
    """A million tenths: a running sum is off by 1e-6 of a unit, a pairwise sum by some ulps."""
    got = TABLE["sum"].value(np.full(10**6, 0.1), axis=(0,), keepdims=False)
    assert abs(got - math.fsum([0.1] * 10**6)) <= 32 * math.ulp(1e5)


def test_whole_numbers_have_no_negative_powers():
    with pytest.raises(cr.ChainruleError, match="floating point"):
        TABLE["integer_pow"].value(np.array([2, 3]), n=-1)


def test_second_derivative_at_zero_does_not_see_the_guard():
    """∂²(x ln y)/∂x∂y is 1/y also at x = 0; a guard for all of x = 0 would make it 0."""
    mixed = cr.grad(cr.grad(lambda x, y: bind(TABLE["xlogy"], x, y), argnums=1), argnums=0)
    assert float(mixed(0.0, 4.0)) == 0.25


def test_power_zero_is_differentiated_in_x_and_y():
    """∂²(xʸ)/∂x∂y at y = 0 is 1/x."""
    mixed = cr.grad(cr.grad(lambda x, y: bind(TABLE["pow"], x, y), argnums=0), argnums=1)
    assert float(mixed(4.0, 0.0)) == 0.25
