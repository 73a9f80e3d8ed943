"""checkpoint changes memory and nothing else: every mode, order, hook and random number is that of the function."""

# ruff: noqa: NPY002 (the global generator of NumPy is what is tested)

from __future__ import annotations

import gc
import threading
import tracemalloc
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.utils.checkpoint import checkpoint, checkpoint_sequential

X = np.linspace(-1.0, 1.5, 700)  # 5.6 kB: more than a node keeps for explanations


def layer(x):
    return cr.exp(cr.sin(x)) * x


def choosing(x):
    return cr.where(x > 0, cr.log(x), x * x).sum() + cr.sqrt((x * x).sum()) + cr.maximum(x, -x).sum()


HOW = {
    "value_and_grad": lambda f: cr.value_and_grad(f)(X)[1],
    "grad of grad": lambda f: cr.grad(lambda x: (cr.grad(f)(x) ** 2).sum())(X),
    "jvp": lambda f: cr.jvp(f, (X,), (X,))[1],
    "hvp": lambda f: cr.hvp(f, X, X)[1],
    "vjp": lambda f: cr.vjp(f, X)[1](2.0)[0],
    "grad of jvp": lambda f: cr.grad(lambda x: cr.jvp(f, (x,), (x,))[1])(X),
    "jvp of grad of jvp": lambda f: cr.jvp(cr.grad(lambda x: cr.jvp(f, (x,), (X,))[1]), (X,), (X,))[1],
}


@pytest.mark.filterwarnings("ignore:invalid")
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("f", [lambda x: layer(layer(x)).sum(), choosing], ids=["smooth", "choosing"])
def test_every_mode_and_order_gives_the_numbers_of_the_function(f, how):
    found, expected = HOW[how](cr.checkpoint(f)), HOW[how](f)
    assert np.array_equal(found.numpy(), expected.numpy(), equal_nan=True)


@pytest.mark.parametrize("how", HOW)
def test_checkpoints_inside_checkpoints(how):
    block = cr.checkpoint(lambda x: cr.checkpoint(layer)(cr.checkpoint(layer)(x)))
    f = lambda x: cr.checkpoint(lambda x: block(block(x)))(x).sum()
    plain = lambda x: layer(layer(layer(layer(x)))).sum()
    assert np.array_equal(HOW[how](f).numpy(), HOW[how](plain).numpy())


def test_backward_through_a_closed_over_leaf():
    w = cr.tensor(X, requires_grad=True)
    x = cr.tensor(X, requires_grad=True)
    cr.checkpoint(lambda x: (cr.exp(w) * cr.sin(x)).sum())(x).backward()
    np.testing.assert_allclose(w.grad.numpy(), np.exp(X) * np.sin(X), rtol=1e-15)
    np.testing.assert_allclose(x.grad.numpy(), np.exp(X) * np.cos(X), rtol=1e-15)


def test_only_a_closure_requires_a_gradient():
    w = cr.tensor(X, requires_grad=True)
    cr.checkpoint(lambda c: (cr.exp(w * c)).sum())(2.0).backward()
    np.testing.assert_allclose(w.grad.numpy(), 2 * np.exp(2 * X), rtol=1e-15)


def test_keyword_arguments_trees_and_several_results():
    @cr.checkpoint
    def f(p, *, scale, name):
        return {"a": cr.exp(p["u"] * scale), "b": [p["v"] * p["u"], name]}

    def loss(p):
        r = f(p, scale=2.0, name="n")
        return (r["a"] * r["b"][0]).sum()

    g = cr.grad(loss)({"u": X, "v": X + 1})
    np.testing.assert_allclose(g["v"].numpy(), np.exp(2 * X) * X, rtol=1e-14)


def test_one_of_two_results_may_be_forgotten():
    x = cr.tensor(X, requires_grad=True)
    a, b = cr.checkpoint(lambda x: (cr.exp(x), cr.sin(x) * x))(x)
    del b
    gc.collect()
    a.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.exp(X), rtol=1e-15)


def test_hooks_inside_run_once_and_see_the_gradient():
    seen = []

    def f(x):
        y = cr.exp(x)
        y.register_hook(lambda g: seen.append(g.clone()) or g * 2)
        return (y * y).sum()

    x = cr.tensor(X, requires_grad=True)
    cr.checkpoint(f)(x).backward()
    assert len(seen) == 1
    np.testing.assert_allclose(seen[0].numpy(), 2 * np.exp(X), rtol=1e-15)
    np.testing.assert_allclose(x.grad.numpy(), 4 * np.exp(2 * X), rtol=1e-15)


def test_no_grad_inside_cuts_both_times():
    def f(x):
        with cr.no_grad():
            c = cr.exp(x)
        return (c * cr.sin(x)).sum()

    assert np.array_equal(cr.grad(cr.checkpoint(f))(X).numpy(), cr.grad(f)(X).numpy())


def test_under_no_grad_it_is_the_function():
    with cr.no_grad():
        y = cr.checkpoint(layer)(cr.tensor(X, requires_grad=True))
    assert not y.requires_grad


@pytest.mark.parametrize(
    "draw", [lambda: cr.rand(700), lambda: np.random.rand(700)], ids=["chainrule", "numpy"]
)
def test_random_numbers_are_repeated_and_the_sequence_goes_on(draw):
    cr.manual_seed(3)
    np.random.seed(3)
    masks = []

    def dropout(x):
        mask = draw() > 0.5
        masks.append(np.asarray(mask))
        return cr.exp(x) * mask

    x = cr.tensor(X, requires_grad=True)
    y = cr.checkpoint(dropout)(x)
    after = np.asarray(draw())
    y.sum().backward()
    again = np.asarray(draw())
    assert len(masks) == 2
    assert np.array_equal(masks[0], masks[1])
    assert not np.array_equal(after, again)
    np.testing.assert_allclose(x.grad.numpy(), np.exp(X) * masks[0], rtol=1e-15)


def test_retained_graphs_are_walked_again():
    x = cr.tensor(X, requires_grad=True)
    y = cr.checkpoint(layer)(x).sum()
    y.backward(retain_graph=True)
    first = x.grad.numpy().copy()
    y.backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * first, rtol=1e-15)
    with pytest.raises(cr.ChainruleError, match="E204"):
        y.backward()


def test_eight_threads_walk_one_graph():
    x = cr.tensor(X, requires_grad=True)
    block = cr.checkpoint(lambda x: layer(layer(x)))
    y = block(block(block(x))).sum()
    (expected,) = cr.autograd.grad(y, x, retain_graph=True)
    wrong = []

    def walk():
        for _ in range(5):
            (g,) = cr.autograd.grad(y, x, retain_graph=True)
            if not np.array_equal(g.numpy(), expected.numpy()):
                wrong.append(g)

    threads = [threading.Thread(target=walk) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_inside_and_outside_of_vmap():
    x = np.stack([X, X + 1])
    f = lambda x: cr.exp(cr.sin(x)).sum()
    for how in (
        lambda g: cr.vmap(cr.grad(g))(x),
        lambda g: cr.grad(lambda x: cr.vmap(g)(x).sum())(x),
        lambda g: cr.vmap(lambda x: cr.hvp(g, x, x)[1])(x),
    ):
        assert np.array_equal(how(cr.checkpoint(f)).numpy(), how(f).numpy())


def test_the_graph_of_a_checkpointed_function_is_that_of_the_function():
    from chainrule.record.graph_of import graph_of

    assert str(graph_of(cr.checkpoint(layer), X)) == str(graph_of(layer, X))


@given(seed=st.integers(0, 2**32 - 1), groups=st.integers(1, 6))
def test_sequences_of_random_layers(seed, groups):
    r = np.random.default_rng(seed)
    choices = [
        cr.sin,
        cr.tanh,
        lambda x: x * x,
        lambda x: x[::2].exp().sum() * x,
        lambda x: cr.where(x > 0, x, -x),
    ]
    layers = [choices[k] for k in r.integers(0, len(choices), 6)]

    def plain(x):
        for f in layers:
            x = f(x)
        return x.sum()

    found = cr.grad(lambda x: checkpoint_sequential(layers, groups, x).sum())(X)
    assert np.array_equal(found.numpy(), cr.grad(plain)(X).numpy(), equal_nan=True)


# --- memory ---------------------------------------------------------------------------------------------------


def peak(f, x):
    cr.grad(f)(x)
    gc.collect()
    tracemalloc.start()
    try:
        cr.grad(f)(x)
        return tracemalloc.get_traced_memory()[1] / x.nbytes
    finally:
        tracemalloc.stop()


def test_the_arrays_of_one_group_are_there_at_a_time():
    layers = [layer] * 64  # each keeps 3 arrays

    def plain(x):
        for f in layers:
            x = f(x)
        return x.sum()

    whole = peak(plain, np.full(20_000, 0.1))
    groups = peak(lambda x: checkpoint_sequential(layers, 8, x).sum(), np.full(20_000, 0.1))
    assert whole > 180
    assert groups < whole / 4


def test_nothing_stays_alive_without_the_garbage_collector():
    refs = []

    def f(x):
        y = cr.exp(x) * 2
        refs.extend((weakref.ref(y), weakref.ref(y.n)))
        return y.sum()

    gc.collect()
    gc.disable()
    try:
        cr.grad(cr.checkpoint(f))(X)
        assert len(refs) == 4
        assert not any(r() for r in refs)
    finally:
        gc.enable()


# --- what cannot be repeated ------------------------------------------------------------------------------------


def test_a_function_that_changes_its_argument_is_refused():
    def f(x):
        x += 1
        return cr.exp(x).sum()

    with pytest.raises(cr.ChainruleError, match="changed an argument"):
        cr.checkpoint(f)(cr.tensor(X, requires_grad=True) * 1.0)


@pytest.mark.parametrize(
    "change", [lambda w: w.mul_(2), lambda w: w.detach().mul_(2)], ids=["itself", "detached"]
)
def test_an_argument_changed_before_the_backward_is_refused(change):
    w = cr.tensor(X, requires_grad=True) * 1.0
    y = cr.checkpoint(lambda w: cr.exp(w + 1).sum())(w)
    change(w)
    with pytest.raises(cr.ChainruleError, match="E205"):
        y.backward()


def test_a_closed_over_leaf_changed_before_the_backward_is_refused():
    w = cr.tensor(X, requires_grad=True)
    y = cr.checkpoint(lambda c: cr.exp(w + c).sum())(1.0)
    with cr.no_grad():
        w *= 2
    with pytest.raises(cr.ChainruleError, match="E205"):
        y.backward()


@pytest.mark.parametrize(
    "f",
    [
        lambda x, turn: cr.exp(x) if turn else cr.sin(x),
        lambda x, turn: cr.exp(x) if turn else cr.exp(x) * 1.0,
        lambda x, turn: cr.exp(x) * (1.0 if turn else 2.0),
        lambda x, turn: cr.exp(x)[: 5 if turn else 6],
    ],
)
def test_a_function_that_does_not_repeat_itself_is_refused(f):
    turns = [True]

    def unsteady(x):
        return f(x, turns.pop() if turns else False)

    y = cr.checkpoint(unsteady)(cr.tensor(X, requires_grad=True))
    with pytest.raises(cr.ChainruleError, match="something else"):
        y.sum().backward()


def test_an_error_in_the_function_is_the_users():
    with pytest.raises(KeyError, match="mine"):
        cr.grad(cr.checkpoint(lambda x: {}["mine"]))(1.0)


def test_torchs_form_takes_torchs_arguments():
    x = cr.tensor(X, requires_grad=True)
    checkpoint(layer, x, use_reentrant=False, preserve_rng_state=True).sum().backward()
    assert np.array_equal(x.grad.numpy(), cr.grad(lambda x: layer(x).sum())(X).numpy())


@pytest.mark.parametrize("groups", [0, 4, 1.5])
def test_groups_that_cannot_be_made_are_refused(groups):
    with pytest.raises(cr.ChainruleError, match="cannot be cut"):
        checkpoint_sequential([cr.sin] * 3, groups, cr.tensor(1.0))
