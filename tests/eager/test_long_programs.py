"""Nothing is recursive, nothing grows: chains of 100 000 operations, endless loops, graphs that are freed."""

import copy
import gc
import pickle
import tracemalloc
import weakref

import numpy as np
import pytest

import chainrule as cr

LONG = 100_000


def chain(x, n=LONG):
    y = x
    for _ in range(n // 2):
        y = y * 0.5
        y = y + 1.0
    return y


@pytest.fixture
def no_cycles():
    """Objects that only the cyclic collector can free."""
    gc.collect()
    gc.disable()
    yield lambda: gc.collect()
    gc.enable()


def growth(step, rounds, settle=200):
    """Bytes that `rounds` further calls of `step` leave behind, after `settle` calls."""
    for _ in range(settle):
        step()
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(rounds):
        step()
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return after - before


@pytest.mark.parametrize("value", [1.0, [1.0, 2.0]], ids=["number", "array"])
def test_a_chain_of_100_000_operations_runs_differentiates_and_is_freed(value):
    x = cr.tensor(value, requires_grad=True)
    y = chain(x)
    y.sum().backward()
    assert x.grad.max().item() == 0.0  # 2**-50000
    node = weakref.ref(y.grad_fn)
    del y
    assert node() is None


def test_a_long_product_has_the_right_derivative():
    x = cr.tensor(1.0, requires_grad=True)
    y = x
    for _ in range(LONG):
        y = y * 1.0
    (y * x).backward()
    assert x.grad.item() == 2.0


def test_long_chains_under_the_functional_transforms():
    def f(x):
        return chain(x, LONG // 2) * x

    np.testing.assert_allclose(cr.grad(f)(3.0).item(), 2.0)  # y has settled at 2, and no longer depends on x
    np.testing.assert_allclose(cr.jvp(f, (3.0,), (1.0,))[1].item(), 2.0)


def test_a_second_derivative_of_a_long_chain():
    x = cr.tensor(3.0, requires_grad=True)
    y = x * x
    for _ in range(10_000):
        y = y + 1.0
    (g,) = cr.autograd.grad(y * y, x, create_graph=True)
    (h,) = cr.autograd.grad(g, x)
    # y = x² + c: d(y²)/dx = 4xy, second derivative 4y + 8x²
    assert h.item() == 4 * (9.0 + 10_000) + 8 * 9.0


def test_a_wide_graph_of_100_000_nodes():
    x = cr.tensor(2.0, requires_grad=True)
    total = cr.tensor(0.0)
    for _ in range(LONG // 2):
        total = total + x * 1.0
    total.backward()
    assert x.grad.item() == LONG // 2


def test_the_result_of_a_long_chain_is_copied_and_pickled():
    y = chain(cr.tensor(1.0, requires_grad=True))
    for twin in (copy.deepcopy(y), pickle.loads(pickle.dumps(y))):
        assert twin.is_leaf
        assert twin.requires_grad
        assert twin.item() == y.item()


def test_pickling_keeps_the_gradient():
    x = cr.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    twin = pickle.loads(pickle.dumps(x))
    assert twin.grad.tolist() == [2.0, 4.0]
    assert twin.tolist() == [1.0, 2.0]


def test_an_untracked_history_keeps_no_array_over_4_kilobytes():
    w, g = cr.zeros(1000), cr.ones(1000)
    first = weakref.ref(w.v)
    for _ in range(3):
        w = w - 0.1 * g
    assert first() is None


def test_an_untracked_loop_runs_in_constant_memory():
    state = {"w": cr.zeros(1000), "g": cr.ones(1000)}

    def step():
        state["w"] = state["w"] - 0.1 * state["g"]

    # The history that is told reaches 32 to 64 operations back, and breathes; a node per step would be 1 MB.
    assert growth(step, 5000) < 100_000


def test_detached_losses_keep_no_graph_alive():
    x = cr.tensor(np.ones(10_000), requires_grad=True)
    losses, nodes = [], []
    for _ in range(3):
        y = x * x
        loss = y.sum()
        nodes.append(weakref.ref(y.grad_fn))
        losses.append(loss.detach())
    del y, loss
    assert [n() for n in nodes] == [None] * 3


def test_a_freed_graph_frees_its_arrays():
    x = cr.tensor(np.ones(10_000), requires_grad=True)
    y = cr.exp(x)
    array = weakref.ref(y.v)
    loss = (y * y).sum()
    del y
    assert array() is not None
    loss.backward()
    assert array() is None, "after backward nothing is saved any more"


def test_backward_without_retain_graph_drops_large_arrays_and_keeps_numbers():
    x = cr.tensor(np.ones(10_000), requires_grad=True)
    loss = (x * x).sum() * 3.0
    node = loss.grad_fn
    loss.backward()
    assert node.out == 30_000.0
    assert not isinstance(node.a.x, np.ndarray)


def test_the_lectures_descent_runs_in_constant_memory():
    w1, w2 = (cr.tensor(0.0, requires_grad=True) for _ in range(2))

    def step():
        loss = (w1 - 2.0) ** 2 + (w2 + 3.0) ** 2
        loss.backward()
        with cr.no_grad():
            for w in (w1, w2):
                w -= 0.01 * w.grad
                w.grad.zero_()

    assert growth(step, 5000) < 20_000
    np.testing.assert_allclose([w1.item(), w2.item()], [2.0, -3.0])


def test_replacing_the_parameter_runs_in_constant_memory():
    state = {"w": cr.tensor([0.0, 0.0], requires_grad=True)}

    def step():
        w = state["w"]
        ((w - 1.0) ** 2).sum().backward()
        with cr.no_grad():
            w = w - 0.01 * w.grad
        state["w"] = w.requires_grad_()

    assert growth(step, 3000) < 20_000


@pytest.mark.parametrize(
    "work",
    [
        lambda x: (x * x).sum().backward(),
        lambda x: cr.grad(lambda w: (w * cr.exp(w)).sum())(x),
        lambda x: cr.jvp(lambda w: (w * w).sum(), (x,), (cr.ones(3),)),
        lambda x: cr.vjp(lambda w: (w * w).sum(), x)[1](1.0),
        lambda x: cr.hessian(lambda w: (w**3).sum())(x),
        lambda x: cr.autograd.grad((x**3).sum(), x, create_graph=True),
        lambda x: x[1:].sum().backward(),
        lambda x: x.reshape(3, 1)[0].sum().backward(),
        lambda x: (x * 1.0).add_(2.0).sum().backward(),
        lambda x: (x * 1.0).__setitem__(0, 2.0),
        lambda x: (x * 1.0).detach(),
        lambda x: x.max(0),
        lambda x: cr.softmax(x, 0).sum().backward(),
    ],
)
def test_no_operation_leaves_a_reference_cycle(no_cycles, work):
    x = cr.tensor([1.0, 2.0, 3.0], requires_grad=True)
    work(x)  # compiled pullbacks are made once
    no_cycles()
    work(x)
    x.grad = None
    assert no_cycles() == 0


def test_errors_leave_the_graph_alone(no_cycles):
    x = cr.tensor([1.0, 2.0, 3.0], requires_grad=True)
    with pytest.raises(RuntimeError):
        (x * 2).backward()
    (x * 2).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0, 2.0]


def test_the_measure_of_growth_sees_a_leak():
    kept = []
    assert growth(lambda: kept.append(bytes(100)), 1000) > 100_000
