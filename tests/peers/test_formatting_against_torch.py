"""The text of a tensor is torch's, character by character, but for `torch.` in front of a dtype."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chainrule.eager.formatting import set_printoptions, tensor_repr
from chainrule.tape import promote

FLOATS = (np.float64, np.float32, np.float16)
COMPLEX = (np.complex128, np.complex64)
INTEGERS = (np.int64, np.int32, np.int16, np.int8, np.uint8)
CAST = {"over": "ignore", "under": "ignore", "invalid": "ignore"}  # 1e300 as float16 is inf here, and meant

OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "precision": st.integers(0, 12),
        "threshold": st.sampled_from([0, 5, 50, float("inf")]),
        "edgeitems": st.integers(0, 5),
        "linewidth": st.integers(0, 200),
        "profile": st.sampled_from(["default", "short", "full"]),
        "sci_mode": st.sampled_from([True, False, None]),
    },
)
NEAR_A_RULE = [1e-4, 9.9999e-5, 1.0, 1000.0, 1001.0, 9.99995, 99999999.0, 1e8, 100000001.0]
ODD = [0.0, -0.0, np.nan, np.inf, -np.inf]
SHAPES = st.lists(st.integers(0, 8), max_size=4) | st.sampled_from([[1001], [7, 150], [12, 12, 12], [1, 40]])


@pytest.fixture(autouse=True, scope="module")
def _restore():
    yield
    configure({}, np.float64)
    torch.set_default_dtype(torch.float32)


def configure(options, default):
    """The same default dtype and options on both sides."""
    promote.set_default_dtype(default)
    torch.set_default_dtype(torch.from_numpy(np.empty(0, default)).dtype)
    for side in (set_printoptions, torch.set_printoptions):
        side(profile="default")
        side(**options)


@st.composite
def floats(draw, n):
    """float64 values of one magnitude or of many, whole or not, some of them odd."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    values = {
        "whole": lambda: rng.integers(-2000, 2000, n).astype(float),
        "one magnitude": lambda: rng.normal(size=n) * 10.0 ** rng.integers(-300, 301),
        "powers": lambda: rng.choice([-1, 1], n) * 10.0 ** rng.integers(-6, 10, n),
        "magnitudes": lambda: rng.normal(size=n) * 10.0 ** rng.integers(-3, 5, n),
        "rules": lambda: rng.choice(NEAR_A_RULE, n),
        "drawn": lambda: np.resize(draw(st.lists(st.floats(), min_size=1, max_size=6)), n),
    }[draw(st.sampled_from(["whole", "one magnitude", "powers", "magnitudes", "rules", "drawn"]))]()
    odd = rng.random(n) < draw(st.sampled_from([0.0, 0.0, 0.2, 1.0]))
    return np.where(odd, rng.choice(ODD, n), values)


@st.composite
def arrays(draw, dtypes=FLOATS * 2 + COMPLEX * 2 + INTEGERS + (np.bool_,)):
    dtype, shape = np.dtype(draw(st.sampled_from(dtypes))), draw(SHAPES)
    n = int(np.prod(shape))
    values = draw(floats(n))
    with np.errstate(**CAST):
        if dtype.kind == "c":
            a = np.empty(n, dtype)
            a.real, a.imag = values, draw(floats(n))
        elif dtype.kind == "f":
            a = values.astype(dtype)
        else:
            a = np.clip(np.nan_to_num(values), -1e18, 1e18).astype(np.int64).astype(dtype)
    return a.reshape(shape)


def torch_text(t):
    return repr(t).replace("torch.", "")


@pytest.mark.parametrize("dtype", [*FLOATS, *COMPLEX, *INTEGERS, np.bool_])
def test_the_edges_of_the_rules(dtype):
    configure({}, np.float64)
    pairs = [[1, 1000], [1, 1001], [0.5, 500], [0.5, 500.5], [1, 99.5], [0, -0.0], [-1, -0.0], [np.nan, 1]]
    single = [
        [1e8],
        [1e8 - 0.5],
        [1e8 + 2],
        [1e-4],
        [9.999e-5],
        [5e-324, 1e308],
        [np.inf],
        [-np.inf, 0.5],
        [],
    ]
    for values in pairs + single:
        with np.errstate(**CAST):
            a = np.array(values)
            a = (
                a.astype(dtype)
                if np.dtype(dtype).kind in "fc"
                else np.nan_to_num(a).clip(0, 100).astype(dtype)
            )
        assert tensor_repr(a, requires_grad=False, grad_fn=None) == torch_text(torch.from_numpy(a))


@given(a=arrays(), options=OPTIONS, default=st.sampled_from([np.float64, np.float64, np.float32]))
def test_values(a, options, default):
    configure(options, default)
    assert tensor_repr(a[()], requires_grad=False, grad_fn=None) == torch_text(torch.from_numpy(a))


@given(a=arrays(FLOATS + COMPLEX), options=OPTIONS)
def test_tensors_that_record(a, options):
    configure(options, np.float64)
    leaf = torch.from_numpy(a).requires_grad_()
    made = leaf.reshape(-1)
    assert tensor_repr(a, requires_grad=True, grad_fn=None) == torch_text(leaf)
    name = type(made.grad_fn).__name__
    assert tensor_repr(a.ravel(), requires_grad=True, grad_fn=name) == torch_text(made)


@given(a=arrays(FLOATS), linewidth=st.integers(20, 100))
def test_classes_of_their_own_indent_by_their_name(a, linewidth):
    configure({"linewidth": linewidth}, np.float64)
    Weight = type("Weight", (torch.Tensor,), {})
    expected = torch_text(torch.from_numpy(a).as_subclass(Weight))
    assert tensor_repr(a, requires_grad=False, grad_fn=None, name="Weight") == expected


@given(value=st.floats())
def test_python_numbers(value):
    configure({}, np.float64)
    assert tensor_repr(value, requires_grad=False, grad_fn=None) == torch_text(torch.tensor(value))


def test_options_that_are_not_given_stay_except_the_scientific_mode():
    for side in (set_printoptions, torch.set_printoptions):
        side(profile="default")
        side(precision=2, edgeitems=1, sci_mode=True)
        side(threshold=5)
    a = np.linspace(0, 1, 9)
    assert tensor_repr(a, requires_grad=False, grad_fn=None) == torch_text(torch.from_numpy(a))
