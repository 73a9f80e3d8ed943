"""Indexing with keys of every kind: values against NumPy, gradients against the count of each entry."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import IndexingError

A = np.arange(24.0).reshape(2, 3, 4)
KEYS = {
    "int": 1,
    "negative int": -1,
    "two ints": (1, 2),
    "three ints": (0, -1, 3),
    "slice": slice(0, 1),
    "open slice": (slice(None), slice(1, None)),
    "step": (slice(None), slice(None), slice(None, None, 2)),
    "negative step": (slice(None, None, -1), slice(None), slice(3, 0, -2)),
    "empty slice": (slice(None), slice(2, 1)),
    "none": None,
    "none in between": (0, None, slice(None), None),
    "ellipsis": ...,
    "ellipsis and int": (..., 0),
    "int, ellipsis, slice": (0, ..., slice(1, 3)),
    "list": [1, 0, 1],
    "list and slice": (slice(None), [2, 0], slice(1, 3)),
    "two lists": ([0, 1], [2, 0]),
    "lists around a slice": ([0, 1], slice(None), [3, 0]),
    "int array": np.array([[0, 1], [1, 1]]),
    "negative entries": (slice(None), np.array([-1, 0])),
    "broadcast arrays": (np.array([[0], [1]]), np.array([0, 2])),
    "bool array": A > 7.5,
    "bool row": np.array([True, False]),
    "bool in the middle": (slice(None), np.array([True, False, True])),
    "bool matrix and int": (np.array([[True, False, True], [False, True, True]]), 1),
    "list of bools": [True, False],
    "empty list": [],
    "empty array": np.zeros((0,), int),
    "nothing true": np.zeros(2, bool),
    "numpy int": np.int64(1),
    "int and list": (1, [0, 2]),
    "none and list": (None, [0, 1]),
    "true": True,
    "empty tuple": (),
}


def weights(shape):
    return 1.0 + np.arange(float(np.prod(shape, dtype=int))).reshape(shape)


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS.keys())
def test_values_are_numpys(key):
    found = cr.tensor(A)[key]
    np.testing.assert_array_equal(found.numpy(), A[key])
    assert found.shape == A[key].shape


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS.keys())
def test_the_gradient_lands_on_the_entries_that_were_picked(key):
    x = cr.tensor(A, requires_grad=True)
    w = weights(A[key].shape)
    expected = np.zeros_like(A)
    np.add.at(expected, key, w)
    (x[key] * w).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), expected)
    np.testing.assert_array_equal(cr.grad(lambda v: (v[key] * w).sum())(A).numpy(), expected)


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS.keys())
def test_the_second_derivative_passes_through(key):
    """f = Σ w·x[key]³: along ones, the second derivative is 6·w·x on the entries that were picked."""
    w = weights(A[key].shape)
    expected = np.zeros_like(A)
    np.add.at(expected, key, w)
    found = cr.jvp(cr.grad(lambda v: (v[key] ** 3 * w).sum()), (A,), (np.ones_like(A),))[1]
    np.testing.assert_allclose(found.numpy(), 6 * A * expected, rtol=1e-14)


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS.keys())
def test_forward_mode_picks_the_tangent(key):
    np.testing.assert_array_equal(cr.jvp(lambda v: v[key], (A,), (A + 1,))[1].numpy(), (A + 1)[key])


@pytest.mark.parametrize(
    "make", [cr.tensor, lambda k: [cr.tensor(v) for v in k]], ids=["tensor", "list of tensors"]
)
def test_tensors_are_indices(make):
    key = make([1, 0, 1])
    np.testing.assert_array_equal(cr.tensor(A)[key].numpy(), A[[1, 0, 1]])


def test_masks_are_tensors_too():
    x = cr.tensor(A)
    np.testing.assert_array_equal(x[x > 7].numpy(), A[A > 7])
    np.testing.assert_array_equal(x[cr.tensor([True, False])].numpy(), A[[True, False]])
    np.testing.assert_array_equal(x[:, cr.tensor(1)].numpy(), A[:, 1])
    np.testing.assert_array_equal(x[cr.tensor(0) : cr.tensor(1)].numpy(), A[0:1])


@pytest.mark.parametrize(
    "key",
    [2, -3, (0, 3), (0, 0, 4), (0, 0, 0, 0), [0, 2], ([0], [3]), np.array([5]), 0.5, [0.5], "a", (..., ...),
     np.ones((3, 3), bool), np.ones(5, bool), ([0, 1], [0, 1, 2]), (0, [True, False]), {"a": 1},
     slice(0.5, 1)],
    ids=str,
)  # fmt: skip
def test_keys_that_name_no_entry_are_errors_with_a_way_out(key):
    with pytest.raises((IndexError, TypeError)) as info:
        cr.tensor(A)[key]
    assert info.value.fix
    assert info.value.source is not None


def test_the_range_is_named():
    with pytest.raises(IndexingError) as info:
        cr.tensor(A)[0, 7]
    assert "-2..1 in dimension 0, -3..2 in dimension 1, -4..3 in dimension 2" in info.value.fix


def test_a_0d_tensor_is_indexed_like_an_array():
    x = cr.tensor(5.0, requires_grad=True)
    assert x[...].item() == 5.0
    assert x[None].shape == (1,)
    assert x[()].item() == 5.0
    with pytest.raises(IndexingError, match="too many indices"):
        x[0]


def test_gather_and_its_kin_are_numpys():
    x = cr.tensor(A[0], requires_grad=True)
    places = np.array([[0, 2, 2, 1], [1, 1, 0, 0]])
    np.testing.assert_array_equal(
        cr.gather(x, 0, places).detach().numpy(), np.take_along_axis(A[0], places, 0)
    )
    np.testing.assert_array_equal(cr.index_select(x, 1, cr.tensor([3, 0])).detach().numpy(), A[0][:, [3, 0]])
    np.testing.assert_array_equal(cr.masked_select(x, x > 4).detach().numpy(), A[0][A[0] > 4])
    cr.gather(x, 0, places).sum().backward()
    expected = np.zeros_like(A[0])
    np.add.at(expected, (places, np.arange(4)[None]), 1.0)
    np.testing.assert_array_equal(x.grad.numpy(), expected)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x.gather(0, cr.tensor([[0, 5, 0, 0]])),
        lambda x: x.gather(0, cr.tensor([0])),
        lambda x: x.gather(0, cr.tensor([[0.5]])),
        lambda x: cr.index_select(x, 0, cr.tensor([9])),
        lambda x: cr.index_select(x, 0, cr.tensor([0.5])),
        lambda x: cr.masked_select(x, cr.tensor([True, False])),
        lambda x: cr.masked_select(x, cr.tensor([1, 0, 1, 0])),
    ],
)
def test_indices_that_do_not_fit_are_errors_with_a_way_out(call):
    with pytest.raises((IndexError, RuntimeError)) as info:
        call(cr.tensor(A[0]))
    assert info.value.fix


def test_reading_many_entries_costs_no_array_each():
    """w[i] in a loop: the cotangents are kept apart until they are read."""
    w = cr.zeros(2000, requires_grad=True)
    total = cr.tensor(0.0)
    for i in range(2000):
        total = total + w[i] * i
    total.backward()
    np.testing.assert_array_equal(w.grad.numpy(), np.arange(2000.0))


def test_an_assignment_keeps_its_own_copy_of_the_index():
    x = cr.tensor([1.0, 2.0, 3.0], requires_grad=True)
    k = cr.tensor([0, 1])
    y = x * 1.0
    y[k] = cr.tensor([5.0, 6.0])
    k.fill_(2)
    y.sum().backward()
    assert x.grad.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    "pick",
    [
        lambda x, i: x[i],
        lambda x, i: cr.gather(x, 0, i),
        lambda x, i: cr.index_select(x, 0, i),
        lambda x, i: cr.take_along_dim(x, i, 0),
        lambda x, i: x[cr.from_numpy(i)],
    ],
)
def test_an_index_array_may_be_written_to_after_its_use(pick):
    x = cr.tensor([1.0, 2.0, 3.0], requires_grad=True)
    i = np.array([0, 1])
    y = pick(x, i)
    i[:] = 2
    y.sum().backward()
    assert x.grad.tolist() == [1, 1, 0]


def test_picked_entries_lie_in_order_so_that_view_takes_them():
    x = cr.tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    picked = x[0:, cr.tensor([-2, -2])]
    assert picked.view(1, -1).tolist() == [[1.0, 1.0, 4.0, 4.0]]
