"""Sorting and what rests on it: entries are gathered, so the whole gradient goes to the entry that is returned."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import stats

import chainrule as cr
from chainrule.errors import ArgumentError, IndexingError, ShapeError
from chainrule.table import TABLE

FEW = st.sampled_from([0.0, -1.5, 2.0, 3.25, np.inf, -np.inf, np.nan])  # so that entries are equal
BLOCKS = arrays(np.float64, array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=7), elements=FEW)


@given(BLOCKS, st.booleans())
def test_sorting_is_numpys_stable_sort(x, descending):
    values, places = cr.sort(cr.tensor(x), -1, descending)
    order = np.argsort(x, -1, kind="stable")
    np.testing.assert_array_equal(values, np.flip(np.sort(x, -1), -1) if descending else np.sort(x, -1))
    if not descending:
        np.testing.assert_array_equal(places, order)
    np.testing.assert_array_equal(np.take_along_axis(x, np.asarray(places), -1), values)


@given(BLOCKS)
def test_equal_entries_keep_their_order_when_descending_too(x):
    values, places = (np.asarray(v) for v in cr.sort(cr.tensor(x), -1, descending=True))
    same = (values[..., 1:] == values[..., :-1]) | (np.isnan(values[..., 1:]) & np.isnan(values[..., :-1]))
    assert (np.diff(places, axis=-1)[same] > 0).all()


@pytest.mark.parametrize("ties", [False, True])
def test_a_long_sort_is_the_stable_one_with_and_without_ties(ties):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 500, 3000).astype(float) if ties else rng.normal(size=3000)
    np.testing.assert_array_equal(cr.argsort(cr.tensor(x)), np.argsort(x, kind="stable"))


@given(BLOCKS, st.data())
def test_the_kth_value_is_the_kth_of_the_sorted_ones(x, data):
    k = data.draw(st.integers(1, x.shape[-1]))
    values, places = cr.kthvalue(cr.tensor(x), k)
    np.testing.assert_array_equal(values, np.sort(x, -1)[..., k - 1])
    np.testing.assert_array_equal(places, np.argsort(x, -1, kind="stable")[..., k - 1])


@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("n, k", [(6, 6), (6, 0), (200, 3), (200, 25), (200, 150)])
@pytest.mark.parametrize("ties", [False, True])
def test_the_top_k_are_the_first_k_of_the_sorted_ones(largest, n, k, ties):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 9, (3, n)).astype(float) if ties else rng.normal(size=(3, n))
    x[1, :2] = np.nan
    for dim, v in ((1, x), (0, np.ascontiguousarray(x.T))):
        found, expected = cr.topk(cr.tensor(v), k, dim, largest), cr.sort(cr.tensor(v), dim, largest)
        for got, whole in zip(found, expected, strict=True):
            np.testing.assert_array_equal(got, np.take(np.asarray(whole), range(k), dim))


@given(BLOCKS)
def test_the_mode_is_scipys(x):
    x = np.nan_to_num(x, nan=7.0)
    values, places = cr.mode(cr.tensor(x))
    np.testing.assert_array_equal(values, stats.mode(x, axis=-1).mode)
    np.testing.assert_array_equal(np.take_along_axis(x, np.asarray(places)[..., None], -1)[..., 0], values)


def test_the_whole_gradient_goes_to_the_entry_that_is_returned():
    x = np.array([2.0, 1.0, 2.0, 0.5])
    for f, expected in [
        (lambda v: cr.topk(v, 2).values, [1, 0, 1, 0]),
        (lambda v: cr.topk(v, 1).values, [1, 0, 0, 0]),
        (lambda v: cr.kthvalue(v, 3).values, [1, 0, 0, 0]),
        (lambda v: cr.mode(v).values, [0, 0, 1, 0]),
        (lambda v: cr.sort(v).values * np.arange(4.0), [2, 1, 3, 0]),
        (lambda v: cr.msort(v) * np.arange(4.0), [2, 1, 3, 0]),
        (lambda v: cr.unique(v), [1, 1, 0, 1]),
    ]:
        assert np.asarray(cr.grad(lambda v, f=f: f(v).sum())(x)).tolist() == expected


def test_results_have_names_and_print_as_torchs_do():
    found = cr.sort(cr.tensor([2.0, 1.0]))
    assert found._fields == ("values", "indices")
    assert repr(found) == "chainrule.return_types.sort(\nvalues=tensor([1., 2.]),\nindices=tensor([1, 0]))"


@pytest.mark.parametrize("right", [False, True])
def test_places_in_sorted_lines_are_numpys(right):
    side = "right" if right else "left"
    edges, x = np.array([1.0, 3.0, 3.0, 7.0]), np.array([[0.0, 3.0], [np.nan, 9.0]])
    expected = np.searchsorted(edges, x, side)
    np.testing.assert_array_equal(cr.searchsorted(cr.tensor(edges), cr.tensor(x), right=right), expected)
    np.testing.assert_array_equal(cr.searchsorted(edges, x, side=side, out_int32=True), expected)
    np.testing.assert_array_equal(cr.bucketize(cr.tensor(x), cr.tensor(edges), right=right), expected)
    rows = np.stack([edges, edges + 1])
    each = [np.searchsorted(r, v, side) for r, v in zip(rows, x, strict=True)]
    np.testing.assert_array_equal(cr.searchsorted(cr.tensor(rows), cr.tensor(x), right=right), each)


def test_a_sorter_says_in_which_order_the_line_is_sorted():
    assert cr.searchsorted([3.0, 1.0, 2.0], [2.5], sorter=[1, 2, 0]).tolist() == [2]


@pytest.mark.parametrize("dim", [None, 0, 1])
def test_different_entries_are_numpys(dim):
    x = np.array([[3.0, 1.0, 3.0], [3.0, 1.0, 3.0], [0.0, 5.0, 0.0]])
    got = cr.unique(cr.tensor(x), return_inverse=True, return_counts=True, dim=dim)
    values, inverse, counts = np.unique(x, return_inverse=True, return_counts=True, axis=dim)
    np.testing.assert_array_equal(got[0], values)
    np.testing.assert_array_equal(got[1], inverse.reshape(x.shape if dim is None else -1))
    np.testing.assert_array_equal(got[2], counts)


def test_consecutive_runs_are_counted():
    values, inverse, counts = cr.unique_consecutive(
        cr.tensor([1, 1, 2, 2, 3, 1, 1, 2]), return_inverse=True, return_counts=True
    )
    assert values.tolist() == [1, 2, 3, 1, 2]
    assert inverse.tolist() == [0, 0, 1, 1, 2, 3, 3, 4]
    assert counts.tolist() == [2, 2, 1, 2, 1]
    rows = cr.unique_consecutive(cr.tensor([[1, 2], [1, 2], [1, 3]]), dim=0)
    assert rows.tolist() == [[1, 2], [1, 3]]
    assert cr.unique_consecutive(cr.zeros(0)).shape == (0,)


def test_membership():
    assert cr.isin(cr.tensor([[1, 2], [3, 4]]), cr.tensor([2, 3])).tolist() == [[False, True], [True, False]]
    assert cr.isin(cr.tensor([1, 2]), 2, invert=True).tolist() == [True, False]


@pytest.mark.parametrize("name", ["argsort", "argkth", "argmedian", "argmode", "argcummax", "argtopk"])
def test_places_carry_no_derivative(name):
    assert TABLE[name].rule is None


@pytest.mark.parametrize(
    "call, error",
    [
        (lambda x: cr.topk(x, 4), IndexingError),
        (lambda x: cr.kthvalue(x, 0), IndexingError),
        (lambda x: cr.kthvalue(x, 1, 5), IndexingError),
        (lambda x: cr.mode(cr.zeros(0)), IndexingError),
        (lambda x: cr.searchsorted(x, cr.ones(3, 2)), ShapeError),
        (lambda x: cr.searchsorted(x, x, right=True, side="left"), ArgumentError),
    ],
)
def test_wrong_use_is_refused_with_a_way_out(call, error):
    with pytest.raises(error) as info:
        call(cr.tensor([[3.0, 1.0, 2.0], [1.0, 1.0, 0.0]]))
    assert info.value.fix


@pytest.mark.parametrize("shape", [(), (0,), (2, 0)])
def test_numbers_and_empty_tensors_are_sorted(shape):
    values, places = cr.sort(cr.zeros(*shape))
    assert values.shape == places.shape == shape
    assert places.dtype == cr.int64


def _line(rng, kind, shape):
    """Long lines: different entries, few different ones, NaN among them, sorted either way, zeros of both signs."""
    x = rng.normal(size=shape)
    if kind == "ties":
        return np.round(x, 1)
    if kind in ("some NaN", "many NaN"):
        return np.where(rng.random(shape) < (1e-3 if kind == "some NaN" else 0.6), np.nan, x)
    if kind == "zeros":
        return np.where(
            rng.random(shape) < 0.4, rng.choice([0.0, -0.0], shape), np.where(x > 3.5, np.inf, -abs(x))
        )
    return np.sort(x)[..., :: -1 if kind == "falling" else 1] if kind in ("rising", "falling") else x


@pytest.mark.parametrize("kind", ["different", "ties", "some NaN", "many NaN", "zeros", "rising", "falling"])
@pytest.mark.parametrize("k", [1, 10, 300])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_the_best_of_long_lines_are_the_first_of_all_in_order(dtype, k, kind):
    rng = np.random.default_rng(k)
    if dtype == np.int64 and "NaN" in kind:
        pytest.skip("whole numbers are no NaN")
    x = _line(rng, kind, (2, 40_001))
    x = np.clip(100 * x, -900, 900).astype(dtype) if dtype == np.int64 else x.astype(dtype)
    lasting = np.where(x != x, np.inf, x), x != x  # NaN is larger than inf
    for largest in (True, False):
        keys = [-v.astype(float) for v in lasting] if largest else lasting
        order = np.stack([np.lexsort((a, b)) for a, b in zip(*keys, strict=True)])[:, :k]
        for v, axis in ((x, 1), (x.T, 0)):
            found = TABLE["argtopk"].value(v, axis=axis, k=k, largest=largest)
            np.testing.assert_array_equal(found, order if axis else order.T)
            assert found.dtype == np.int64
