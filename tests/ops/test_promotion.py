"""The dtype of a result: torch's table, for all pairs of dtypes, 0-d tensors and Python numbers."""

import json
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr

# Made with PyTorch; "how" in the file says which version, and under which default dtype.
ROWS = json.loads((Path(__file__).parent / "promotion.json").read_text())["rows"]
NUMBERS = {"bool": True, "int": 2, "float": 2.5, "complex": 1 + 2j}


def operand(dtype, kind):
    if kind == "number":
        return NUMBERS[dtype]
    return cr.ones(*((2,) if kind == "tensor" else ()), dtype=dtype)


@pytest.mark.parametrize("row", ROWS, ids=lambda r: f"{r[0]} {r[1]}, {r[2]} {r[3]}")
def test_products_and_quotients_have_torchs_dtype(row):
    a, kind_a, b, kind_b, product, quotient = row
    x, y = operand(a, kind_a), operand(b, kind_b)
    assert (x * y).dtype.name == product
    assert (y * x).dtype.name == product
    assert (x / y).dtype.name == quotient


def test_every_pair_is_in_the_table():
    assert len(ROWS) == 7 * 7 * 4 + 7 * 4 * 2


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_a_cotangent_has_the_dtype_of_the_value(dtype):
    w = cr.ones(3, dtype=dtype, requires_grad=True)
    loss = cr.abs(w * cr.ones(3, dtype="float64")).sum()
    loss.backward()
    assert w.grad.dtype == np.dtype(dtype)


@pytest.mark.parametrize(
    "f, dtype",
    [(cr.sin, "float64"), (cr.sum, "int64"), (cr.prod, "int64"), (cr.abs, "int32")],
)
def test_functions_of_whole_numbers(f, dtype):
    assert f(cr.ones(3, dtype="int32")).dtype.name == dtype


def test_the_default_dtype_decides_what_python_floats_become():
    cr.set_default_dtype(cr.float32)
    try:
        assert cr.tensor(1.0).dtype == cr.float32
        assert (cr.tensor([1, 2]) * 0.5).dtype == cr.float32
        assert cr.sin(cr.tensor([1, 2])).dtype == cr.float32
        assert (cr.tensor(1.0) * 0.5).dtype == cr.float32
    finally:
        cr.set_default_dtype(cr.float64)
    assert cr.tensor(1.0).dtype == cr.float64


def test_numpy_scalars_count_as_numbers_where_python_floats_do():
    x = cr.ones(2, dtype="float32")
    assert (x * np.float64(2.5)).dtype == cr.float32
    assert (np.float64(2.5) * x).dtype == cr.float32


@pytest.mark.parametrize("f", [cr.maximum, cr.add, cr.mul, cr.div, cr.atan2], ids=lambda f: f.__name__)
def test_two_python_numbers_make_a_tensor_of_the_default_dtype(f):
    cr.set_default_dtype(cr.float32)
    try:
        assert f(1.0, 2.0).dtype == np.float32
    finally:
        cr.set_default_dtype(cr.float64)


def test_the_mean_and_variance_of_many_half_precision_numbers_are_right():
    """70000 is beyond float16's largest number, 65504; of 1, 3, 1, 3, … the mean is 2, the variance 1."""
    x = cr.tensor(np.tile([1.0, 3.0], 35000).astype(np.float16))
    assert (x.mean().item(), x.var().item(), x.std().item()) == (2, 1, 1)
    assert {x.mean().dtype, x.var().dtype, x.std().dtype} == {np.dtype(np.float16)}


def test_the_variance_of_many_half_precision_numbers_has_a_gradient():
    """2(x - mean)/(n - 1) = ±2/69999, to a subnormal float16's 6e-8."""
    x = cr.tensor(np.tile([1.0, 3.0], 35000).astype(np.float16), requires_grad=True)
    x.var().backward()
    np.testing.assert_allclose(x.grad.numpy()[:2], [-2 / 69999, 2 / 69999], atol=6e-8)
