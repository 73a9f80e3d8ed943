"""Corner cases: when hooks run, and what they may do."""

import pytest

import chainrule as cr
from chainrule.errors import ArgumentError, DerivativeError, LeafFlagError, ShapeError


def leaf(value=3.0):
    return cr.tensor(value, requires_grad=True)


def test_hooks_run_from_the_output_to_the_leaf_and_the_post_accumulate_hook_last():
    log = []
    x = leaf()
    y = 2 * x
    z = y * y
    x.register_post_accumulate_grad_hook(lambda t: log.append(("accumulated", t.grad.item())))
    x.register_hook(lambda g: log.append(("x", g.item())))
    y.register_hook(lambda g: log.append(("y first", g.item())))
    y.register_hook(lambda g: log.append(("y second", g.item())))
    z.register_hook(lambda g: log.append(("z", g.item())))
    z.backward()
    assert log == [("z", 1.0), ("y first", 12.0), ("y second", 12.0), ("x", 24.0), ("accumulated", 24.0)]


def test_retain_grad_between_two_hooks_stores_the_value_after_all_hooks():
    x = leaf()
    y = 2 * x
    y.register_hook(lambda g: g * 1)
    y.retain_grad()
    y.register_hook(lambda g: g * 100)
    (y * y).backward()
    assert y.grad.item() == 1200.0


def test_a_leaf_hook_runs_once_with_the_summed_gradient():
    log = []
    x = leaf()
    x.register_hook(lambda g: log.append(g.item()))
    (x * 2 + x * 3).backward()
    assert log == [5.0]


def test_autograd_grad_runs_tensor_hooks_but_no_post_accumulate_hooks():
    log = []
    x = leaf()
    x.register_hook(lambda g: g * 10)
    x.register_post_accumulate_grad_hook(lambda t: log.append("accumulated"))
    (g,) = cr.autograd.grad(x * 2, x)
    assert g.item() == 20.0
    assert log == []
    assert x.grad is None


@pytest.mark.parametrize("value", [1.0, [1.0, 1.0]], ids=["number", "array"])
@pytest.mark.parametrize("on_leaf", [True, False], ids=["leaf", "computed"])
def test_a_hook_that_changes_its_argument_in_place_is_effective(value, on_leaf):
    x = leaf(value)
    y = x * 2

    def double(g):
        g *= 2

    (x if on_leaf else y).register_hook(double)
    y.sum().backward()
    assert x.grad.max().item() == 4.0


def test_a_hook_may_return_a_constant():
    x = leaf([1.0, 2.0])
    x.register_hook(lambda g: cr.zeros(2))
    (x * 2).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0]


def test_a_hook_that_returns_another_shape_is_an_error_and_nothing_changes():
    x = leaf([1.0, 2.0])
    x.register_hook(lambda g: g.sum())
    with pytest.raises(ShapeError, match="changed the shape"):
        (x * 2).sum().backward()
    assert x.grad is None


def test_a_hook_that_returns_no_tensor_is_an_error():
    x = leaf()
    x.register_hook(lambda g: 3)
    with pytest.raises(ArgumentError, match="returned a int"):
        (x * 2).backward()


def test_an_error_inside_a_hook_changes_no_gradient():
    x, y = leaf(1.0), leaf(2.0)

    def fail(g):
        raise ValueError("from the hook")

    x.register_hook(fail)
    with pytest.raises(ValueError, match="from the hook"):
        (x * y).backward()
    assert x.grad is None
    assert y.grad is None


def test_a_hook_on_a_constant_is_an_error():
    with pytest.raises(DerivativeError, match="requires a gradient"):
        cr.tensor(1.0).register_hook(lambda g: g)


def test_a_hook_is_a_function():
    with pytest.raises(ArgumentError, match="not a int"):
        leaf().register_hook(3)


def test_only_leaves_have_post_accumulate_hooks():
    with pytest.raises(LeafFlagError, match="leaves"):
        (leaf() * 2).register_post_accumulate_grad_hook(lambda t: None)


def test_a_removed_hook_does_not_run():
    log = []
    x = leaf()
    handle = x.register_hook(lambda g: log.append(1))
    (x * 2).backward()
    handle.remove()
    handle.remove()  # once is enough
    (x * 2).backward()
    assert log == [1]


def test_the_handle_is_a_context_manager():
    log = []
    x = leaf()
    with x.register_hook(lambda g: log.append(1)):
        (x * 2).backward()
    (x * 2).backward()
    assert log == [1]


def test_a_hook_may_remove_itself():
    log = []
    x = leaf()

    def once(g):
        log.append("once")
        handle.remove()

    handle = x.register_hook(once)
    x.register_hook(lambda g: log.append("always"))
    (x * 2).backward()
    (x * 2).backward()
    assert log == ["once", "always", "always"]


def test_hooks_take_part_in_second_derivatives():
    """g = 2y·x·2x with y = x². The second backward runs the hook too: ∂g/∂y·x·2x + ∂g/∂x = 4x²·x·2x + 8xy."""
    x = leaf(2.0)
    y = x**2
    y.register_hook(lambda g: g * x)
    (g,) = cr.autograd.grad(y**2, x, create_graph=True)
    (h,) = cr.autograd.grad(g, x)
    assert (g.item(), h.item()) == (4 * 2.0**4, 4 * 2.0**2 * 2.0 * 4.0 + 8 * 2.0 * 4.0)


def test_hooks_see_no_nan_of_a_route_that_was_not_taken():
    seen = []
    x = leaf([0.0, 1.0])
    y = cr.log(x)
    y.register_hook(lambda g: seen.append(g.tolist()))
    cr.where(x > 0, y, 0.0).sum().backward()
    assert seen == [[0.0, 1.0]]
    assert x.grad.tolist() == [0.0, 1.0]


def test_hooks_run_inside_functional_transforms():
    seen = []

    def f(x):
        y = x * x
        y.register_hook(lambda g: seen.append(g.item()))
        return y * 2

    assert cr.grad(f)(3.0).item() == 12.0
    assert seen == [2.0]


def test_retain_grad_of_a_constant_is_an_error():
    with pytest.raises(DerivativeError):
        cr.tensor(1.0).retain_grad()
