"""The text of tensors. The expected strings are torch's; tests/peers compares many more."""

import numpy as np
import pytest

from chainrule.eager.formatting import set_printoptions, tensor_repr
from chainrule.errors import ArgumentError
from chainrule.tape import promote


@pytest.fixture(autouse=True)
def _restore():
    yield
    set_printoptions(profile="default")
    promote.set_default_dtype(np.float64)


def text(value, *, requires_grad=False, grad_fn=None, **more):
    return tensor_repr(value, requires_grad=requires_grad, grad_fn=grad_fn, **more)


@pytest.mark.parametrize(
    "value, expected",
    [
        (7.0, "tensor(7.)"),
        (0.1, "tensor(0.1000)"),
        (1e-5, "tensor(1.0000e-05)"),
        (1e8, "tensor(100000000.)"),
        (1e9, "tensor(1.0000e+09)"),
        (float("nan"), "tensor(nan)"),
        (1 + 2j, "tensor(1.+2.j)"),
        (True, "tensor(True)"),
    ],
)
def test_a_number_is_written_as_a_0d_tensor(value, expected):
    assert text(value) == expected


@pytest.mark.parametrize(
    "values, expected",
    [
        ([1.0, 2.0], "tensor([1., 2.])"),
        ([-1.5, 1500.0], "tensor([  -1.5000, 1500.0000])"),
        ([1.0, 1001.0], "tensor([1.0000e+00, 1.0010e+03])"),
        ([0.0, 1e-300, 1e300], "tensor([ 0.0000e+00, 1.0000e-300, 1.0000e+300])"),
        ([0.5, np.nan, -np.inf], "tensor([0.5000,    nan,   -inf])"),
        ([1.5 + 2j, 3 - 4j], "tensor([1.5000+2.j, 3.0000-4.j])"),
        ([True, False], "tensor([ True, False])"),
        ([1, -20], "tensor([  1, -20])"),
    ],
)
def test_values_share_one_notation_and_width(values, expected):
    assert text(np.array(values)) == expected


def test_rows_stand_below_each_other_and_matrices_apart():
    expected = "tensor([[[0, 1],\n         [2, 3]],\n\n        [[4, 5],\n         [6, 7]]])"
    assert text(np.arange(8).reshape(2, 2, 2)) == expected


@pytest.mark.parametrize(
    "shape, dtype, expected",
    [
        ((0,), float, "tensor([])"),
        ((0, 3), float, "tensor([], size=(0, 3))"),
        ((0,), np.int64, "tensor([], dtype=int64)"),
    ],
)
def test_no_values_say_neither_shape_nor_dtype(shape, dtype, expected):
    assert text(np.zeros(shape, dtype)) == expected


@pytest.mark.parametrize("default, shown", [(np.float64, np.float32), (np.float32, np.float64)])
def test_only_a_dtype_that_is_not_the_default_is_named(default, shown):
    promote.set_default_dtype(default)
    assert text(np.ones(1, default)) == "tensor([1.])"
    assert text(np.ones(1, promote.complex_of(np.dtype(default)))) == "tensor([1.+0.j])"
    assert text(np.ones(1, shown)) == f"tensor([1.], dtype={shown.__name__})"


def test_the_operation_is_named_or_else_that_the_tensor_records():
    assert text(7.0, requires_grad=True) == "tensor(7., requires_grad=True)"
    assert text(7.0, requires_grad=True, grad_fn="MulBackward0") == "tensor(7., grad_fn=<MulBackward0>)"


def test_a_suffix_that_does_not_fit_has_a_line_of_its_own():
    lines = text(np.full(9, 0.5), requires_grad=True).split("\n")
    assert lines == [f"tensor([{', '.join(['0.5000'] * 9)}],", "       requires_grad=True)"]


def test_long_rows_are_wrapped_and_indented_by_the_name():
    first, rest = "Parameter([" + "0, " * 23, " " * 11 + "0, " * 16 + "0])"
    assert text(np.zeros(40, int), name="Parameter") == f"{first.rstrip()}\n{rest}"


def test_above_a_thousand_values_only_the_edges_are_shown():
    assert text(np.arange(1001)) == "tensor([   0,    1,    2,  ...,  998,  999, 1000])"
    lines = text(np.zeros((1001, 1), int)).split("\n")
    assert [line.strip() for line in lines] == [
        "tensor([[0],",
        "[0],",
        "[0],",
        "...,",
        "[0],",
        "[0],",
        "[0]])",
    ]


def test_the_documented_options():
    set_printoptions(precision=2)
    assert text(np.array([1.12345])) == "tensor([1.12])"
    set_printoptions(threshold=5)
    assert text(np.arange(10)) == "tensor([0, 1, 2,  ..., 7, 8, 9])"
    set_printoptions(profile="default")
    assert text(np.array([1.12345])) == "tensor([1.1235])"
    assert text(np.arange(10)) == "tensor([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])"


def test_scientific_notation_can_be_asked_for_and_lasts_until_the_next_call():
    set_printoptions(sci_mode=True)
    assert text(1.5) == "tensor(1.5000e+00)"
    set_printoptions(precision=2)
    assert text(1.5) == "tensor(1.50)"


def test_a_line_without_end_and_one_without_room():
    set_printoptions(profile="full", linewidth=float("inf"))
    assert "\n" not in text(np.arange(2000), requires_grad=True)
    set_printoptions(linewidth=0)
    assert text(np.arange(2)) == "tensor([0,\n        1])"


@pytest.mark.parametrize(
    "option",
    [
        {"precision": -1},
        {"precision": 2.5},
        {"edgeitems": -1},
        {"threshold": float("nan")},
        {"linewidth": "80"},
    ],
)
def test_options_that_are_no_numbers_are_refused_and_change_nothing(option):
    with pytest.raises(ArgumentError, match=next(iter(option))):
        set_printoptions(**{"precision": 1} | option)
    assert text(0.25) == "tensor(0.2500)"


def test_an_unknown_profile_is_refused_with_those_there_are():
    with pytest.raises(ArgumentError, match="'default', 'short', 'full'"):
        set_printoptions(profile="long")
