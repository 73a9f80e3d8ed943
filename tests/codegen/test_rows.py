"""Compiled passes over rows and scans: every shape and layout, exactness, what is not finite."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

import chainrule as cr
from chainrule.codegen import jit
from chainrule.table.primitive import TABLE
from chainrule.tape import kernels, rows

pytestmark = pytest.mark.skipif(not jit.is_available(), reason="llvmlite knows no target here")
EPS = {np.float64: 2.0**-52, np.float32: 2.0**-23}
F64, F32 = np.float64, np.float32
NAN, INF = math.nan, math.inf


@pytest.fixture
def at_any_size(monkeypatch):
    """Small arrays take the compiled way too."""
    monkeypatch.setattr(kernels, "LEAST", 1)


def wide(x):
    return x.astype(np.longdouble)


def soft(x, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


# Values in a wider type, whose rounding does not count.
EXACT = {
    "sum": lambda x, axis: wide(x).sum(axis, keepdims=True),
    "mean": lambda x, axis: wide(x).mean(axis, keepdims=True),
    "prod": lambda x, axis: wide(x).prod(axis, keepdims=True),
    "amax": lambda x, axis: x.max(axis, keepdims=True),
    "amin": lambda x, axis: x.min(axis, keepdims=True),
    "var": lambda x, axis: wide(x).var(axis, keepdims=True),
    "std": lambda x, axis: wide(x).std(axis, keepdims=True),
    "softmax": lambda x, axis: soft(wide(x), axis),
    "log_softmax": lambda x, axis: np.log(soft(wide(x), axis)),
    "logsumexp": lambda x, axis: np.log(np.exp(wide(x)).sum(axis, keepdims=True)),
    "cumsum": lambda x, axis: wide(x).cumsum(axis),
    "cumprod": lambda x, axis: wide(x).cumprod(axis),
}
ONE_AXIS = {"prod", "cumsum", "cumprod"}


def parameters(name, axis):
    given = {"axis": axis[0] if name in ONE_AXIS else axis}
    if name in ("cumsum", "cumprod"):
        return given | {"reverse": False}
    if "softmax" in name:
        return given
    return given | {"keepdims": True} | ({"correction": 0} if name in ("var", "std") else {})


@st.composite
def arrays(draw):
    """An array with some axes next to each other in memory, in order or transposed."""
    shape = tuple(draw(st.lists(st.sampled_from([1, 2, 3, 7, 8, 17, 33, 65, 140]), min_size=1, max_size=3)))
    dtype = draw(st.sampled_from([F64, F32]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    order = draw(st.permutations(range(len(shape))))
    x = rng.uniform(0.7, 1.3, shape).astype(dtype) * rng.choice([-1, 1], shape).astype(dtype)
    first = draw(st.integers(0, len(shape) - 1))
    last = draw(st.integers(first + 1, len(shape)))
    axis = tuple(sorted(order.index(k) for k in range(first, last)))
    return x.transpose(order), axis


@pytest.mark.parametrize("name", EXACT)
@settings(max_examples=60, deadline=None)
@given(array=arrays())
def test_every_shape_layout_and_dtype(name, array):
    x, axis = array
    axis = axis[:1] if name in ONE_AXIS else axis
    found = rows.value(name, [x], parameters(name, axis))
    n = math.prod(x.shape[a] for a in axis)
    assert (found is None) == (n == 1)
    if found is None:
        return
    expected = EXACT[name](x, axis[0] if name in ONE_AXIS else axis)
    size = np.abs(wide(x)).sum(axis, keepdims=True) if "sum" in name or name == "mean" else 1
    tolerance = (8 + 2 * math.log2(n)) * EPS[x.dtype.type]
    tolerance = 2 * n * EPS[x.dtype.type] if "cum" in name or name == "prod" else tolerance
    assert found.shape == expected.shape
    assert found.dtype == x.dtype
    assert (np.abs(found - expected) <= tolerance * (size + np.abs(expected))).all()


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    "shape, axis", [((1003,), 0), ((5, 77), 1), ((9, 45), 0), ((3, 8, 5), 1), ((2, 1), 0)]
)
@pytest.mark.parametrize("dtype", [F64, F32])
def test_scans_from_either_end(dtype, shape, axis, reverse):
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0.9, 1.1, shape).astype(dtype), rng.normal(size=shape).astype(dtype)
    turn = (lambda v: np.flip(v, axis)) if reverse else (lambda v: v)
    rtol = 2e4 * EPS[dtype]
    for name, expected in (("cumsum", np.cumsum), ("cumprod", np.cumprod)):
        found = rows.value(name, [a], {"axis": axis, "reverse": reverse})
        np.testing.assert_allclose(found, turn(expected(turn(wide(a)), axis)), rtol=rtol)
    found = rows.value("linear_recurrence", [a, b], {"axis": axis, "reverse": reverse})
    y, steps = [], zip(np.moveaxis(turn(wide(a)), axis, 0), np.moveaxis(turn(wide(b)), axis, 0), strict=True)
    for factor, term in steps:
        y.append(factor * y[-1] + term if y else term)
    np.testing.assert_allclose(found, turn(np.stack(y, axis)), rtol=rtol, atol=100 * rtol)


@pytest.mark.parametrize(
    "shape, axis", [((1003,), 0), ((5, 77), 1), ((9, 45), 0), ((30, 7), 0), ((3, 50, 5), 1)]
)
@pytest.mark.parametrize("dtype", [F64, F32])
@pytest.mark.parametrize("name", ["argcummax", "argcummin"])
@pytest.mark.parametrize("kind", ["few numbers and NaN", "walks", "rising", "infinite", "zeros"])
def test_places_of_running_extremes(kind, name, dtype, shape, axis):
    """Of equal ones the last, and once there is a NaN the last NaN: entry by entry in Python."""
    rng = np.random.default_rng(5)
    x = {
        "few numbers and NaN": np.where(rng.random(shape) < 0.02, NAN, rng.integers(-9, 9, shape)),
        "walks": np.cumsum(rng.integers(-1, 2, shape), axis),
        "rising": np.cumsum(np.ones(shape), axis),
        "infinite": rng.choice([INF, -INF, NAN, 1.0], shape, p=[0.01, 0.6, 0.01, 0.38]),
        "zeros": rng.choice([0.0, -0.0, -1.0], shape),
    }[kind].astype(dtype)
    found = rows.value(name, [x], {"axis": axis})
    better = (lambda v, best: v >= best) if name == "argcummax" else (lambda v, best: v <= best)
    for line, places in zip(
        *(np.moveaxis(v, axis, -1).reshape(-1, v.shape[axis]) for v in (x, found)), strict=True
    ):
        best, place = line[0], 0
        for i, v in enumerate(line):
            if better(v, best) or v != v:
                best, place = v, i
            assert places[i] == place
    assert found.dtype == np.int64


# --- exactness -----------------------------------------------------------------------------------


def errors(x, found):
    exact = [math.fsum(row) for row in x]
    return np.abs([float(wide(np.float64(f)) - e) for f, e in zip(found, exact, strict=True)])


@pytest.mark.parametrize("n", [100, 1000, 4096, 100_000, 1_000_003])
def test_sums_are_as_exact_as_numpys_pairwise_ones(n):
    rng = np.random.default_rng(n)
    x = np.concatenate([rng.normal(size=(10, n)), rng.uniform(0, 1, (10, n)), np.full((1, n), 0.1)])
    found = rows.value("sum", [x], {"axis": (1,), "keepdims": False})
    ours, numpys = errors(x, found), errors(x, x.sum(1))
    assert ours.sum() <= 1.5 * numpys.sum() + np.spacing(np.abs(x.sum(1))).sum()
    assert (ours <= (11 + math.log2(n)) * EPS[F64] * np.abs(x).sum(1)).all()


def test_sums_along_a_leading_axis_are_pairwise_too():
    x = np.full((100_000, 9), 0.1)
    found = rows.value("sum", [x], {"axis": (0,), "keepdims": False})
    exact = math.fsum([0.1] * 100_000)
    assert np.abs(found - exact).max() <= 4 * math.ulp(exact)
    assert np.abs(x.sum(0) - exact).max() > 1000 * math.ulp(exact)  # one after the other


@pytest.mark.parametrize("n", [1000, 1_000_000])
def test_running_sums_are_no_less_exact_than_one_after_the_other(n):
    rng = np.random.default_rng(n)
    for x in (rng.uniform(0, 1, n), rng.normal(size=n), np.full(n, 0.1)):
        exact = np.cumsum(wide(x))
        ours = np.abs(rows.value("cumsum", [x], {"axis": 0, "reverse": False}) - exact)
        numpys = np.abs(np.cumsum(x) - exact)
        assert ours.max() <= numpys.max()
        assert ours.mean() <= numpys.mean()


LINES = [1, 7, 8, 9, 31, 32, 33, 127, 128, 129, 255, 256, 257, 300, 1000]


@pytest.mark.parametrize("lines", LINES)
@pytest.mark.parametrize("dtype", [F64, F32])
def test_every_entry_is_added_once_whatever_the_number_of_lines(dtype, lines):
    """Of whole numbers, whose sums are exact in every order: around the sizes at which sums are taken together."""
    rng = np.random.default_rng(lines)
    for shape, axis in (
        ((2, 32 * lines + 5), 1),
        ((lines + 1, 70), 0),
        ((lines + 1, 130), 0),
        ((2, lines + 1, 3), 1),
    ):
        x = rng.integers(-9, 9, shape).astype(dtype)
        found = rows.value("sum", [x], {"axis": (axis,), "keepdims": False})
        np.testing.assert_array_equal(found, x.astype(int).sum(axis))


@pytest.mark.parametrize("name, sign", [("amax", 1), ("amin", -1)])
@pytest.mark.parametrize("shape, axis", [((1, 9 * 32 + 5), 1), ((140, 70), 0)], ids=str)
@pytest.mark.parametrize("best", [10.0, INF, NAN])
def test_extremes_are_found_at_every_place(best, shape, axis, name, sign):
    rng = np.random.default_rng(6)
    x = rng.uniform(-2, 2, shape)
    for k in range(0, x.shape[axis], 3):
        y = x.copy()
        y[(slice(None), k) if axis else k] = sign * best
        found = rows.value(name, [y], {"axis": (axis,), "keepdims": False})
        np.testing.assert_array_equal(found, np.full(found.shape, sign * best))


# --- what is not finite --------------------------------------------------------------------------

SPECIAL = [
    [INF, 1.0], [-INF, 1.0], [INF, -INF], [NAN, 1.0], [NAN, INF], [-0.0, -0.0], [-0.0, 0.0],
    [5e-324, 0.5, 4.0], [0.0, INF], [1e200, 1e-200, 1e200, 1e-200],
]  # fmt: skip


@pytest.mark.parametrize("numbers", SPECIAL, ids=str)
@pytest.mark.parametrize("shape", [(100,), (3, 70), (70, 3)], ids=str)
@pytest.mark.parametrize("name", EXACT)
def test_what_is_not_finite_comes_out_as_numpys_value(name, shape, numbers, at_any_size):
    """Signs of zeros too. A product may keep within the range where NumPy's, one after the other, has left it."""
    rng = np.random.default_rng(0)
    p = TABLE[name]
    for fill in (1.0, numbers[-1]):
        x = np.full(shape, fill)
        places = rng.permutation(x.size)[: 3 * len(numbers)]
        x.ravel()[np.sort(places)] = numbers * 3
        for axis in range(x.ndim):
            params = parameters(name, (axis,))
            with np.errstate(all="ignore"):
                expected = p.value(x, **params)
                compiled = kernels.value(p, [x], params)
                exact = EXACT[name](x, axis) if name == "prod" else expected
            found = expected if compiled is None else compiled
            same = np.isclose(found, expected, rtol=1e-13, atol=1e-300, equal_nan=True)
            assert (same | np.isclose(found, exact.astype(float), rtol=1e-13)).all()
            zero = expected == 0
            if name not in ("amax", "amin"):  # which of two zeros is the larger one is left open
                np.testing.assert_array_equal(np.signbit(found[zero]), np.signbit(expected[zero]))


def test_a_running_sum_that_overflows_inside_a_vector_is_made_one_after_the_other():
    x = np.tile([-1e308, 1e308, 1e308, -1e308], 20)
    assert rows.value("cumsum", [x], {"axis": 0, "reverse": False}) is None
    np.testing.assert_array_equal(TABLE["cumsum"].value(x, axis=0, reverse=False), np.cumsum(x))


# --- gradients -----------------------------------------------------------------------------------


def pulled_softmax(x, w, axis):
    s = soft(x, axis)
    return s * (w - (s * w).sum(axis, keepdims=True))


SLOPES = {
    "softmax": pulled_softmax,
    "log_softmax": lambda x, w, axis: w - soft(x, axis) * w.sum(axis, keepdims=True),
    "logsumexp": lambda x, w, axis: w * soft(x, axis),
    "var": lambda x, w, axis: w * 2 * (x - x.mean(axis, keepdims=True)) / (x.shape[axis] - 1),
    "std": lambda x, w, axis: w * (x - x.mean(axis, keepdims=True))
    / (x.shape[axis] - 1) / x.std(axis, keepdims=True, ddof=1),
}  # fmt: skip


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [F64, F32])
@pytest.mark.parametrize("name", SLOPES)
def test_gradients_are_those_of_closed_forms(name, dtype, order, axis, at_any_size):
    rng = np.random.default_rng(1)
    x = np.asarray(rng.normal(size=(37, 70, 3)).astype(dtype), order=order)
    t = cr.tensor(x, requires_grad=True)
    out = getattr(cr, name)(t, axis)
    w = rng.normal(size=out.shape).astype(dtype)
    out.backward(cr.tensor(w))
    w = w.reshape(
        x.shape if "softmax" in name else [1 if k == axis % 3 else n for k, n in enumerate(x.shape)]
    )
    expected = SLOPES[name](wide(x), wide(w), axis % 3)
    np.testing.assert_allclose(t.grad.numpy(), expected, rtol=1e3 * EPS[dtype], atol=100 * EPS[dtype])


@pytest.mark.parametrize("name", SLOPES)
def test_gradients_of_whole_arrays_and_cotangents_that_are_one_number(name, at_any_size):
    x = np.random.default_rng(2).normal(size=1003)
    t = cr.tensor(x, requires_grad=True)
    out = getattr(cr, name)(t, 0)
    out.sum().backward()
    expected = SLOPES[name](wide(x), np.ones(x.shape if "softmax" in name else 1), 0)
    np.testing.assert_allclose(t.grad.numpy(), expected, rtol=1e-12, atol=1e-15)


def test_the_slope_of_a_deviation_is_0_where_all_entries_are_equal(at_any_size):
    t = cr.tensor(np.ones((20, 30)), requires_grad=True)
    t.std(1).sum().backward()
    assert not t.grad.numpy().any()


def test_gradients_of_rows_without_a_largest_number(at_any_size):
    """All entries -inf: no weights. One entry inf: it has all the weight, as a limit; NumPy's way says NaN too."""
    x = np.full((3, 40), -INF)
    x[1, 3], x[2] = 1.0, 0.0
    t = cr.tensor(x, requires_grad=True)
    cr.logsumexp(t, 1).sum().backward()
    expected = np.stack([np.full(40, NAN), np.eye(40)[3], np.full(40, 1 / 40)])
    np.testing.assert_allclose(t.grad.numpy(), expected, rtol=1e-15)


# --- which way is taken --------------------------------------------------------------------------

N = kernels.LEAST


@pytest.mark.parametrize("name", EXACT)
def test_large_arrays_take_the_compiled_way(name):
    x = np.random.default_rng(3).uniform(0.999, 1.001, (2, N))
    assert kernels.value(TABLE[name], [x], parameters(name, (1,))) is not None
    assert kernels.value(TABLE[name], [x[:, : N // 4]], parameters(name, (1,))) is None


@pytest.mark.parametrize("x, axis", [
    (np.zeros((4, N))[:, ::2], (1,)), (np.zeros((4, N), np.float16), (1,)), (np.zeros((4, N), int), (1,)),
    (np.zeros((4, N), complex), (1,)), (np.zeros((3, 4, N)), (0, 2)), (np.zeros((4, N)), ()), (np.zeros((0, N)), (0,)),
    (np.broadcast_to(np.zeros(N), (4, N)), (0,)),
], ids=str)  # fmt: skip
def test_what_lies_otherwise_goes_numpys_way(x, axis):
    assert rows.value("sum", [x], {"axis": axis, "keepdims": False}) is None


def test_without_llvm_numpy_serves(monkeypatch):
    monkeypatch.setattr(jit, "is_available", lambda: False)
    rows.rows.kernel.cache_clear()
    rows.scans.kernel.cache_clear()
    x = np.random.default_rng(4).normal(size=(2, N))
    try:
        t = cr.tensor(x, requires_grad=True)
        (cr.softmax(t, 1) * cr.cumsum(t, 1)).sum().backward()
        s, c = special.softmax(x, 1), np.cumsum(x, 1)
        expected = s * (c - (s * c).sum(1, keepdims=True)) + np.cumsum(s[:, ::-1], 1)[:, ::-1]
        np.testing.assert_allclose(t.grad.numpy(), expected, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(cr.tensor(x).var(1).numpy(), x.var(1, ddof=1), rtol=1e-13)
    finally:
        rows.rows.kernel.cache_clear()
        rows.scans.kernel.cache_clear()
