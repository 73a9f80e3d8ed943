"""Corner cases: changes in place; one test per row."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import DtypeError, LeafInPlaceError, OverwrittenError


def leaf(value):
    return cr.tensor(value, requires_grad=True)


def _add(x):
    x += 1


def _assign(x):
    x[0] = 5


def _through_a_view(x):
    x[:2].mul_(2)


def _zero(x):
    x.zero_()


@pytest.mark.parametrize("change", [_add, _assign, _through_a_view, _zero])
def test_a_leaf_that_records_is_not_changed_in_place(change):
    x = leaf([1.0, 2.0, 3.0])
    with pytest.raises(LeafInPlaceError) as info:
        change(x)
    assert "no_grad()" in info.value.fix
    assert x.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("value", [1.0, [1.0, 2.0]], ids=["number", "array"])
def test_a_result_that_its_own_rule_keeps_may_not_be_overwritten(value):
    x = leaf(value)
    y = x.exp()
    y += 1
    with pytest.raises(OverwrittenError, match="exp needs its result") as info:
        y.sum().backward()
    assert "y = x.exp()" in info.value.given
    assert "y += 1" in info.value.given


def test_an_input_that_was_kept_may_not_be_overwritten():
    x = leaf([1.0, 2.0])
    a = x * 2
    b = a * a
    a[0] = 0
    with pytest.raises(OverwrittenError, match="mul needs its input") as info:
        b.sum().backward()
    assert "b = a * a" in info.value.given
    assert "a[0] = 0" in info.value.given


def test_a_change_before_the_use_is_part_of_the_function():
    x = leaf([1.0, 2.0])
    a = x * 2
    a[0] = 0
    b = a * a
    b.sum().backward()
    assert x.grad.tolist() == [0.0, 16.0]


@pytest.mark.parametrize("share", [lambda a: a.data, lambda a: a.detach()], ids=["data", "detach"])
def test_a_change_behind_the_back_of_the_tape_is_seen(share):
    """PyTorch is silently wrong through .data here: [400, 16] where [8, 16] is right."""
    x = leaf([1.0, 2.0])
    a = x * 2
    b = a * a
    share(a)[0] = 100
    with pytest.raises(OverwrittenError):
        b.sum().backward()


def test_indexing_assignment_on_a_kept_result_is_seen():
    x = leaf([1.0, 2.0])
    y = x.exp()
    y[[0, 0]] = cr.tensor([5.0, 6.0])
    with pytest.raises(OverwrittenError):
        y.sum().backward()


def test_hooks_see_the_version_on_which_they_were_registered():
    log = []
    x = leaf([1.0])
    y = x * 1
    y.register_hook(lambda g: log.append(("before", g.item())))
    y *= 5
    y.register_hook(lambda g: log.append(("after", g.item())))
    y.sum().backward()
    assert log == [("after", 1.0), ("before", 5.0)]


def test_memory_shared_with_a_detached_tensor_is_watched():
    x, w = cr.tensor([1.0, 2.0]), leaf([1.0, 1.0])
    y = (w * x.detach()).sum()
    x += 1
    with pytest.raises(OverwrittenError):
        y.backward()


def test_memory_shared_with_another_tensor_of_the_same_array_is_watched():
    a = np.ones(2)
    x, z, w = cr.from_numpy(a), cr.from_numpy(a), leaf([1.0, 1.0])
    y = (w * z).sum()
    x += 1
    with pytest.raises(OverwrittenError):
        y.backward()


def test_a_number_read_out_of_an_array_is_kept_as_it_was():
    """A recurrence in place, which PyTorch refuses: each step read the number that was there."""
    r, x = leaf(0.5), cr.zeros(5)
    x[0] = 1.0
    for i in range(1, 5):
        x[i] = x[i - 1] * r
    x.sum().backward()
    assert r.grad.item() == 1 + 2 * 0.5 + 3 * 0.5**2 + 4 * 0.5**3


@pytest.mark.parametrize(
    "a, change",
    [
        ([4, 2], lambda a: a.div_(cr.tensor([2, 1]))),
        ([True, False], lambda a: a.sub_(cr.tensor([True, True]))),
    ],
    ids=["quotient of whole numbers", "difference of truth values"],
)
def test_a_refused_change_in_place_says_the_dtype_and_changes_nothing(a, change):
    x = cr.tensor(a)
    with pytest.raises(DtypeError):
        change(x)
    assert x.tolist() == a
