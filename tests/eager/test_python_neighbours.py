"""What Python itself does with tensors: formats, conversions, comparisons, containers, copies."""

import copy
import math
import operator
import pickle

import pytest

import chainrule as cr
from chainrule.errors import ArgumentError, DtypeError, ShapeError, UnsupportedError

NUMBER = 2.5678


@pytest.fixture(params=[False, True], ids=["constant", "tracked"])
def s(request):
    return cr.tensor(NUMBER, requires_grad=request.param)


@pytest.fixture
def v():
    return cr.tensor([3.0, 1.0, 2.0])


@pytest.mark.parametrize("spec", ["", ".3f", "8.2e", "+g", ">10"])
def test_a_number_is_formatted_like_a_float(s, spec):
    assert format(s, spec) == format(NUMBER, spec)
    assert f"{s:.3f}" == "2.568"


def test_percent_formats_take_numbers(s):
    assert "%.2f" % s == "2.57"  # noqa: UP031
    assert "%.2f" % s.item() == "2.57"  # noqa: UP031


def test_a_vector_is_formatted_like_its_repr(v):
    assert f"{v}" == repr(v)
    with pytest.raises(ArgumentError) as info:
        f"{v:.2f}"
    assert "set_printoptions" in info.value.fix


@pytest.mark.parametrize("f", [float, math.sin, math.exp, math.ceil, math.floor, math.trunc, int, complex])
def test_conversions_give_the_number(s, f):
    assert f(s) == f(NUMBER)
    assert type(f(s)) is type(f(NUMBER))


def test_round_is_the_operation(s):
    assert round(s).item() == 3.0
    assert round(s, 1).item() == pytest.approx(2.6)
    assert round(s).requires_grad == s.requires_grad


def test_divmod_is_floor_divide_and_remainder():
    q, r = divmod(cr.tensor(7.5), 2)
    assert (q.item(), r.item()) == (3.0, 1.5)
    q, r = divmod(7.5, cr.tensor(2.0))
    assert (q.item(), r.item()) == (3.0, 1.5)


def test_a_whole_number_is_an_index():
    n = cr.tensor(2)
    assert list(range(n)) == [0, 1]
    assert [10, 20, 30][n] == 30
    assert operator.index(n) == 2


@pytest.mark.parametrize("t", [cr.tensor(1.0), cr.tensor([1, 2])], ids=["float", "vector"])
def test_anything_else_is_no_index(t):
    with pytest.raises(ArgumentError, match="whole number"):
        [10, 20, 30][t]


@pytest.mark.parametrize("tracked", [False, True])
def test_numbers_are_compared_and_sorted(tracked):
    a, b, c = (cr.tensor(x, requires_grad=tracked) for x in (3.0, 1.0, 2.0))
    assert [x.item() for x in sorted([a, b, c])] == [1.0, 2.0, 3.0]
    assert min(a, b, c) is b
    assert max([a, b, c]) is a
    assert sum([a, b, c]).item() == 6.0
    assert math.prod([a, b, c]).item() == 6.0
    assert a > b
    assert a >= 3.0
    assert not b > c
    assert b == 1.0
    assert b != 2.0
    assert 0.5 < b < 1.5


def test_comparisons_give_truth_values_of_numpy_kind():
    t = cr.tensor(2.0, requires_grad=True) > 1
    assert t.dtype == cr.bool
    assert not t.requires_grad
    assert t.shape == ()


def test_the_builtins_sum_and_max_keep_the_gradient():
    x = cr.tensor([3.0, 1.0, 2.0], requires_grad=True)
    (sum(x) + max(x)).backward()
    assert x.grad.tolist() == [2.0, 1.0, 1.0]


def test_truth_is_that_of_the_number(s):
    assert s
    assert not cr.tensor(0.0)
    assert cr.tensor([1.0])
    assert (1 if s > 2 else 0) == 1


def test_the_truth_of_several_is_ambiguous(v):
    with pytest.raises(ShapeError, match="ambiguous") as info:
        bool(v)
    assert ".any()" in info.value.fix


def test_a_vector_is_a_sequence(v):
    assert len(v) == 3
    assert 2.0 in v
    assert 5.0 not in v
    assert cr.tensor(1.0) in v
    assert [x.item() for x in v] == [3.0, 1.0, 2.0]
    a, b, c = v
    assert (a + b + c).item() == 6.0
    assert [x.item() for x in reversed(v)] == [2.0, 1.0, 3.0]
    assert [(i, x.item()) for i, x in enumerate(v)] == [(0, 3.0), (1, 1.0), (2, 2.0)]


@pytest.mark.parametrize("f", [len, iter, list])
def test_a_number_is_none(f):
    with pytest.raises(TypeError, match="0-d tensor"):
        f(cr.tensor(1.0))


def test_equality_is_entry_by_entry_and_identity_makes_the_key(v):
    assert (v == cr.tensor([3.0, 0.0, 2.0])).tolist() == [True, False, True]
    assert {v: "one", cr.tensor([1.0]): "two"}[v] == "one"
    assert len({v, v, cr.tensor([3.0, 1.0, 2.0])}) == 2
    assert hash(v) == hash(v)


@pytest.mark.parametrize("other", [None, "a", {}, b"a"])
def test_a_tensor_equals_nothing_that_is_no_number(v, other):
    assert (v == other) is False
    assert (v != other) is True
    assert (other == v) is False


def test_isinstance_and_types(v):
    assert isinstance(v, cr.Tensor)
    assert type(v * 2) is cr.Tensor


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
def test_copies_are_leaves_with_the_same_flags(s, twin):
    t = twin(s)
    assert t is not s
    assert t.item() == NUMBER
    assert t.requires_grad == s.requires_grad
    assert t.is_leaf


def test_a_deepcopy_has_memory_of_its_own(v):
    twin = copy.deepcopy(v)
    twin[0] = 100.0
    assert v.tolist() == [3.0, 1.0, 2.0]


def test_tensors_may_be_subclassed_nowhere_but_hold_no_new_attributes(v):
    with pytest.raises(AttributeError):
        v.foo = 1


def test_a_missing_attribute_names_a_near_one(v):
    with pytest.raises(UnsupportedError) as info:
        v.bakward
    assert "'backward'" in info.value.fix
    assert not hasattr(v, "foo")
    assert getattr(v, "__array_interface__", None) is None


@pytest.mark.parametrize("name", ["cuda", "half", "to_sparse"])
def test_other_devices_are_refused_by_name(v, name):
    with pytest.raises(UnsupportedError, match=name):
        getattr(v, name)()


@pytest.mark.parametrize("x", [2.0, [2.0]], ids=["number", "vector"])
@pytest.mark.parametrize(
    "f",
    [
        lambda t, n: n * t,
        lambda t, n: cr.add(t, n),
        lambda t, n: t**n,
        lambda t, n: n - t,
        lambda t, n: t.mul_(n),
    ],
    ids=["product", "sum", "power", "difference", "in place"],
)
def test_a_whole_number_beyond_the_largest_float_is_refused(f, x):
    with pytest.raises(DtypeError, match="401 digits is too large"):
        f(cr.tensor(x), 10**400)


@pytest.mark.parametrize("bounded", [cr.maximum, cr.minimum, lambda t, b: cr.clamp(t, max=b)])
def test_a_bound_that_no_tensor_can_hold_is_refused_by_us(bounded):
    with pytest.raises(cr.ChainruleError, match="too large"):
        bounded(cr.tensor([1.0, 2.0]), 10**400)
