"""Small names that programs written for torch use."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ArgumentError, ShapeError, UnsupportedError

X = cr.tensor([1.0, 2.0])


def test_allclose_is_a_truth_value_with_torchs_tolerances():
    assert cr.allclose(X, X + 1e-6)
    assert not cr.allclose(X, X + 1e-3)
    assert not X.allclose(X + 1e-6, rtol=0, atol=1e-7)
    nan = cr.tensor([float("nan")])
    assert (cr.allclose(nan, nan), cr.allclose(nan, nan, equal_nan=True)) == (False, True)
    assert isinstance(cr.allclose(X, np.array([1, 2])), bool)
    with pytest.raises(ShapeError, match=r"\[2\], \[3\]"):
        cr.allclose(X, cr.zeros(3))


def test_equal_compares_shapes_too():
    assert cr.equal(X, cr.tensor([1, 2]))
    assert not X.equal(cr.tensor([[1.0, 2.0]]))
    assert not cr.equal(cr.tensor(float("nan")), cr.tensor(float("nan")))


def test_what_a_tensor_is_can_be_asked():
    assert (cr.is_tensor(X), cr.is_tensor([1.0])) == (True, False)
    assert (cr.is_floating_point(X), cr.is_complex(X)) == (True, False)
    assert (cr.numel(cr.zeros(2, 3)), cr.is_nonzero(cr.tensor(0.0))) == (6, False)
    assert (X.element_size(), X.itemsize, X.nbytes, cr.tensor(1.0).nbytes) == (8, 8, 16, 8)
    assert (cr.zeros(3, 4).stride(), cr.zeros(3, 4).T.stride(), cr.zeros(3, 4).stride(0)) == (
        (4, 1),
        (1, 4),
        4,
    )
    assert (cr.zeros(3, 4).is_contiguous(), cr.zeros(3, 4).T.is_contiguous(), cr.tensor(1.0).is_contiguous()) == (
        True, False, True,
    )  # fmt: skip
    assert cr.result_type(cr.tensor([1]), 1.5) == cr.get_default_dtype()
    assert cr.promote_types(cr.int64, cr.float32) == cr.float32


def test_new_tensors_take_the_dtype():
    x = X.float()
    for made, expected in [
        (x.new_zeros(2, 1), [[0], [0]]), (x.new_ones((2,)), [1, 1]), (x.new_full((2,), 7), [7, 7]),
        (x.new_tensor([3]), [3]),
    ]:  # fmt: skip
        assert made.dtype == cr.float32
        assert made.tolist() == expected
    assert x.new_empty(3).shape == (3,)
    assert x.new_zeros(1, dtype=cr.int64).dtype == cr.int64


@pytest.mark.parametrize(
    "name, dtype", [("DoubleTensor", "float64"), ("FloatTensor", "float32"), ("LongTensor", "int64"),
                    ("IntTensor", "int32"), ("BoolTensor", "bool")],
)  # fmt: skip
def test_the_old_constructors_make_tensors_of_their_dtype(name, dtype):
    make = getattr(cr, name)
    x = make([[1, 0]])
    assert (x.dtype, x.tolist()) == (np.dtype(dtype), [[1, 0]])
    assert (make(2, 3).shape, make().shape, make(cr.zeros(2)).shape) == ((2, 3), (0,), (2,))
    assert isinstance(x, make)
    assert not isinstance([1], make)
    assert X.type(make).dtype == np.dtype(dtype)
    assert name in repr(make)


def test_clone_and_detach_are_functions_too():
    w = cr.tensor([1.0], requires_grad=True)
    copy = cr.clone(w)
    copy.sum().backward()
    assert w.grad.tolist() == [1.0]
    assert np.shares_memory(cr.detach(w).numpy(), w.detach().numpy())


def test_code_that_looks_for_a_device_finds_the_cpu():
    place = cr.device("cuda" if cr.cuda.is_available() else "cpu")
    assert X.to(place) is X
    assert X.device == place == "cpu"
    assert (place.type, repr(place), cr.cuda.device_count()) == ("cpu", "device(type='cpu')", 0)
    assert cr.zeros(2, device=place).tolist() == [0, 0]
    with pytest.raises(ArgumentError, match="no device 'cuda:0'") as info:
        cr.device("cuda:0")
    assert info.value.source is not None


@pytest.mark.parametrize("name", ["cuda", "half", "bfloat16", "data_ptr"])
def test_what_is_not_there_is_refused_by_name(name):
    with pytest.raises(UnsupportedError, match=name) as info:
        getattr(X, name)()
    assert info.value.fix
