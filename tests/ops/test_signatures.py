"""Arguments: torch's names and NumPy's, negative and several dims, empty and 0-d tensors, what is refused."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ArgumentError, ChainruleError, DataError, IndexingError

A = np.array([[1.5, -2.0, 0.25], [0.5, 3.0, -1.0]])
REDUCTIONS = ["sum", "mean", "prod", "amax", "amin", "all", "any"]


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("axis", [0, 1, -1, -2])
@pytest.mark.parametrize("keep", [False, True])
def test_a_reduction_takes_dim_and_axis_alike(name, axis, keep):
    f, x = getattr(cr, name), cr.tensor(A)
    expected = getattr(np, name)(A, axis=axis, keepdims=keep)
    for found in (
        f(x, axis, keep),
        f(x, dim=axis, keepdim=keep),
        f(x, axis=axis, keepdims=keep),
        getattr(x, name)(axis, keep),
    ):
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-15)
        assert found.shape == expected.shape


@pytest.mark.parametrize("name", ["sum", "mean", "amax", "amin", "all", "any"])
@pytest.mark.parametrize("dim", [None, (0, 1), [0, 1], (-1, 0), ()], ids=str)
def test_a_reduction_takes_several_dims(name, dim):
    """An empty tuple means all, as in torch (NumPy: none)."""
    found = getattr(cr, name)(cr.tensor(A), dim)
    np.testing.assert_allclose(found.numpy(), getattr(np, name)(A), rtol=1e-15)


@pytest.mark.parametrize("correction", [0, 1])
@pytest.mark.parametrize("dim", [None, 0, -1])
def test_var_and_std_take_torchs_and_numpys_correction(correction, dim):
    x = cr.tensor(A)
    np.testing.assert_allclose(
        cr.var(x, dim, correction=correction).numpy(), np.var(A, axis=dim, ddof=correction)
    )
    np.testing.assert_allclose(cr.std(x, dim, ddof=correction).numpy(), np.std(A, axis=dim, ddof=correction))
    np.testing.assert_allclose(cr.std(x, dim, bool(correction)).numpy(), np.std(A, axis=dim, ddof=correction))


@pytest.mark.parametrize("name", ["max", "min"])
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_max_and_min_along_a_dim_give_values_and_places(name, dim):
    found = getattr(cr, name)(cr.tensor(A), dim)
    np.testing.assert_array_equal(found.values.numpy(), getattr(np, name)(A, axis=dim))
    np.testing.assert_array_equal(found.indices.numpy(), getattr(np, f"arg{name}")(A, axis=dim))


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_sort_follows_each_entry_to_its_place(descending, dim):
    x = cr.tensor(A, requires_grad=True)
    values, places = cr.sort(x, dim, descending)
    expected = np.sort(A, axis=dim)
    np.testing.assert_array_equal(values.detach().numpy(), np.flip(expected, dim) if descending else expected)
    np.testing.assert_array_equal(np.take_along_axis(A, places.numpy(), dim), values.detach().numpy())
    weights = np.arange(6.0).reshape(2, 3)
    (values * weights).sum().backward()
    expected = np.zeros_like(A)
    np.put_along_axis(expected, places.numpy(), weights, dim)
    np.testing.assert_array_equal(x.grad.numpy(), expected)


@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3)])
def test_sums_and_products_of_nothing(shape):
    x = cr.zeros(*shape, requires_grad=True)
    assert x.sum().item() == 0.0
    assert x.prod().item() == 1.0
    (x * 2).sum().backward()
    assert x.grad.shape == shape


@pytest.mark.parametrize("name", ["max", "min", "amax", "amin", "argmax", "argmin"])
def test_the_extreme_of_nothing_is_an_error(name):
    with pytest.raises(ChainruleError, match="of no entries"):
        getattr(cr.zeros(0), name)()


@pytest.mark.parametrize(
    "name", ["sum", "mean", "amax", "cumsum", "softmax", "logsumexp", "flip", "unsqueeze", "sort", "unbind"]
)
def test_a_0d_tensor_has_no_dimension_5(name):
    with pytest.raises(IndexError, match="out of range"):
        getattr(cr, name)(cr.tensor(1.0), 5)


@pytest.mark.parametrize("name", ["sum", "mean", "amax", "logsumexp", "cumsum", "prod"])
@pytest.mark.parametrize("dim", [0, -1])
def test_a_0d_tensor_counts_as_having_one_dimension(name, dim):
    np.testing.assert_allclose(getattr(cr, name)(cr.tensor(1.5), dim).item(), 1.5)


def test_cat_split_and_stack_are_numpys():
    x = cr.tensor(A)
    np.testing.assert_array_equal(cr.cat([x, x], -1).numpy(), np.concatenate([A, A], -1))
    np.testing.assert_array_equal(cr.stack([x, x], -1).numpy(), np.stack([A, A], -1))
    for found, expected in zip(cr.split(x, [1, 2], 1), np.split(A, [1], 1), strict=True):
        np.testing.assert_array_equal(found.numpy(), expected)
    assert [p.shape for p in cr.split(x, 2, 1)] == [(2, 2), (2, 1)]
    assert [p.shape for p in x.chunk(2, 1)] == [(2, 2), (2, 1)]


def test_arrays_and_numbers_are_operands():
    assert cr.sin(0.0).item() == 0.0
    np.testing.assert_array_equal(cr.add(A, 1).numpy(), A + 1)
    np.testing.assert_array_equal(cr.sum(A, 0).numpy(), A.sum(0))


@pytest.mark.parametrize(
    "f",
    [cr.sin, cr.sum, cr.max, cr.exp, lambda x: cr.tensor([1.0, 2.0]) + x],
    ids=["sin", "sum", "max", "exp", "+"],
)
def test_lists_are_no_operands_and_the_error_says_how(f):
    with pytest.raises(DataError, match="an operand is a list") as info:
        f([1.0, 2.0])
    assert "tensor(…)" in info.value.fix


@pytest.mark.parametrize(
    "dim, error",
    [
        ("x", ArgumentError),
        (1.5, ArgumentError),
        ((0, 0), ArgumentError),
        (2, IndexingError),
        (-3, IndexingError),
    ],
)
def test_a_dim_without_meaning_is_named(dim, error):
    with pytest.raises(error) as info:
        cr.sum(cr.tensor(A), dim)
    assert repr(dim) in str(info.value)


@pytest.mark.parametrize(
    "call", [lambda: cr.sum(A, foo=1), lambda: cr.cumsum(A), lambda: cr.reshape(), lambda: cr.add(1, 2, 3)]
)
def test_a_call_with_other_arguments_shows_the_signature(call):
    with pytest.raises(TypeError) as info:
        call()
    assert isinstance(info.value, ChainruleError)
    assert "call it as " in info.value.fix
    assert "Any" not in info.value.fix


@pytest.mark.parametrize("op", [lambda a, b: a // b, lambda a, b: a % b])
def test_whole_numbers_are_not_divided_by_zero(op):
    """NumPy gives 0 there, silently."""
    with pytest.raises(ArgumentError, match="by 0"):
        op(cr.tensor([5, 6]), cr.tensor([1, 0]))


@pytest.mark.parametrize("op", [lambda a, b: a & b, lambda a, b: a | b, lambda a, b: a ^ b, lambda a, b: ~a])
def test_bits_of_whole_numbers_are_refused_by_name(op):
    with pytest.raises(NotImplementedError, match="truth values"):
        op(cr.tensor([1, 2]), cr.tensor([3, 1]))


def test_a_float_exponent_makes_whole_numbers_floating_point():
    assert (cr.tensor(2) ** -1.0).item() == 0.5
    with pytest.raises(RuntimeError, match="negative powers"):
        cr.tensor(2) ** -1


@pytest.mark.parametrize("op", [lambda t: t - t, lambda t: -t], ids=["-", "neg"])
def test_truth_values_are_not_subtracted(op):
    with pytest.raises(TypeError) as info:
        op(cr.tensor([True, False]))
    assert isinstance(info.value, ChainruleError)
