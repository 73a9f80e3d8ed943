"""Nested transforms: no confusion of perturbations, every order, every stack; threads; long programs; memory."""

from __future__ import annotations

import gc
import itertools
import math
import threading
import weakref

import numpy as np
import programs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr

HOW = {
    "grad": lambda f: cr.grad(f),
    "jvp": lambda f: lambda x: cr.jvp(f, (x,), (1.0,))[1],
    "vjp": lambda f: lambda x: cr.vjp(f, x)[1](1.0)[0],
}
STACKS = [s for n in (1, 2, 3) for s in itertools.product(HOW, repeat=n)]


def near(found, expected, rtol=1e-12):
    np.testing.assert_allclose(np.asarray(found.detach()), expected, rtol=rtol, atol=1e-12)


@pytest.mark.parametrize("stack", STACKS, ids="-".join)
def test_every_stack_gives_the_derivative_of_that_order(stack):
    f = lambda x: cr.sin(x) * cr.exp(2 * x)
    for how in stack:
        f = HOW[how](f)
    # (e^((2+i)x))' = (2+i)·…: the imaginary part of (2+i)ⁿ e^((2+i)x)
    near(f(0.3), ((2 + 1j) ** len(stack) * np.exp((2 + 1j) * 0.3)).imag)


@pytest.mark.parametrize("outer", HOW)
@pytest.mark.parametrize("inner", HOW)
def test_x_times_the_derivative_of_x_plus_y_has_slope_one(outer, inner):
    f = lambda x: x * HOW[inner](lambda y: x + y)(1.0)
    near(HOW[outer](f)(5.0), 1.0)


@pytest.mark.parametrize("stack", [s for s in STACKS if len(s) == 3], ids="-".join)
def test_three_closures_inside_each_other(stack):
    a, b, c = (HOW[s] for s in stack)
    # ∂/∂z (x y z²) at z = y is 2xy²; ∂/∂y (2xy²) at y = x is 4x²; its slope is 8x
    f = lambda x: b(lambda y: c(lambda z: x * y * z**2)(y))(x)
    near(a(f)(1.5), 8 * 1.5)


def test_the_inner_point_may_depend_on_the_outer_variable():
    # d/dx [ (d/dy y³ at y = x²) ] = d/dx 3x⁴ = 12x³
    near(cr.grad(lambda x: cr.grad(lambda y: y**3)(x * x))(2.0), 96.0)


def test_the_inner_function_may_forget_its_variable():
    near(cr.grad(lambda x: cr.grad(lambda y: x * 2.0)(x) + x)(3.0), 1.0)
    near(cr.grad(lambda x: cr.jvp(lambda y: x * 2.0, (x,), (1.0,))[1] + x)(3.0), 1.0)


def test_the_tangent_may_depend_on_the_outer_variable():
    near(cr.grad(lambda x: cr.jvp(cr.sin, (0.5,), (x * x,))[1])(3.0), 6 * math.cos(0.5))


def test_the_cotangent_may_depend_on_the_outer_variable():
    near(cr.grad(lambda x: cr.vjp(cr.sin, 0.5)[1](x * x)[0])(3.0), 6 * math.cos(0.5))


@pytest.mark.parametrize("order", range(1, 7))
def test_orders_one_to_six_of_a_power(order):
    f = lambda x: x**6
    for _ in range(order):
        f = cr.grad(f)
    near(f(1.5), math.perm(6, order) * 1.5 ** (6 - order))


@pytest.mark.parametrize("a", ["jacrev", "jacfwd"])
@pytest.mark.parametrize("b", ["jacrev", "jacfwd"])
def test_every_hessian_is_the_hessian(a, b):
    f = lambda w: w[0] ** 2 * cr.sin(w[1]) + w[0]
    x, y = 1.5, 0.7
    expected = [[2 * math.sin(y), 2 * x * math.cos(y)], [2 * x * math.cos(y), -(x**2) * math.sin(y)]]
    near(getattr(cr, a)(getattr(cr, b)(f))(np.array([x, y])), expected)


def test_a_gradient_in_a_recorded_loss_trains():
    w = cr.tensor(2.0, requires_grad=True)
    penalty = cr.grad(lambda x: w * x**3)(1.0) ** 2  # (3w)²
    penalty.backward()
    near(w.grad, 36.0)


# --- masks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stack", STACKS, ids="-".join)
@pytest.mark.parametrize("branch", [cr.log, cr.sqrt, lambda x: 1 / x], ids=["log", "sqrt", "reciprocal"])
def test_a_branch_not_taken_contributes_nothing_in_any_order(stack, branch):
    f = lambda x: cr.where(x > 0, branch(x), 0.0)
    for how in stack:
        f = HOW[how](f)
    near(f(0.0), 0.0)


@pytest.mark.parametrize("stack", STACKS, ids="-".join)
def test_a_branch_taken_has_its_derivative_in_every_order(stack):
    f = lambda x: cr.where(x > 0, cr.log(x), 0.0)
    for how in stack:
        f = HOW[how](f)
    near(f(2.0), {1: 0.5, 2: -0.25, 3: 0.25}[len(stack)])


@pytest.mark.parametrize("stack", STACKS, ids="-".join)
def test_nested_choices_are_masked_too(stack):
    f = lambda x: cr.where(x > -1, cr.where(x > 0, cr.sqrt(x) * cr.log(x), 2 * x), cr.log(-1 - x))
    for how in stack:
        f = HOW[how](f)
    near(f(0.0), 2.0 if len(stack) == 1 else 0.0)


def test_an_active_product_of_zero_and_infinity_stays_undefined():
    assert np.isnan(cr.grad(lambda x: cr.sqrt(x) * cr.sqrt(x))(0.0).item())


def test_the_hessian_of_masked_entries_is_finite():
    f = lambda x: cr.where(x > 0, x * cr.log(x), 0.0).sum()
    near(cr.hessian(f)(np.array([0.0, 2.0])), [[0.0, 0.0], [0.0, 0.5]])


# --- recognised composites -------------------------------------------------------------------------------

COMPOSITES = {
    "norm": (lambda x: cr.sqrt((x * x).sum()), np.zeros(3), np.zeros(3)),
    "norm of one direction": (
        lambda x: cr.sqrt((x**2).sum()),
        np.array([0.0, 3.0, 4.0]),
        np.array([0.0, 0.6, 0.8]),
    ),
    "abs": (lambda x: cr.sqrt(x * x), 0.0, 0.0),
    "abs left": (lambda x: cr.sqrt(x**2), -2.0, -1.0),
    "softplus": (lambda x: cr.log(1 + cr.exp(x)), 1000.0, 1.0),
    "softplus far left": (lambda x: cr.log(1 + cr.exp(x)), -800.0, 0.0),
    "sigmoid": (lambda x: 1 / (1 + cr.exp(-x)), -1000.0, 0.0),
    "sigmoid at 0": (lambda x: 1 / (1 + cr.exp(-x)), 0.0, 0.25),
    "logsumexp": (lambda x: cr.log(cr.exp(x).sum()), np.array([1000.0, 1000.0]), np.array([0.5, 0.5])),
}


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("name", COMPOSITES)
def test_composites_are_differentiated_as_one_function_in_reverse(name):
    f, x, expected = COMPOSITES[name]
    near(cr.grad(f)(x), expected)
    leaf = cr.tensor(x, requires_grad=True)
    f(leaf).backward()
    near(leaf.grad, expected)


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("name", COMPOSITES)
def test_composites_are_differentiated_as_one_function_forward(name):
    f, x, expected = COMPOSITES[name]
    near(cr.jacfwd(f)(x), expected)


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("name", COMPOSITES)
def test_composites_are_differentiated_as_one_function_when_recorded(name):
    f, x, expected = COMPOSITES[name]
    leaf = cr.tensor(x, requires_grad=True)
    (g,) = cr.autograd.grad(f(leaf), leaf, create_graph=True)
    near(g, expected)


def test_a_retained_intermediate_of_a_composite_has_its_gradient():
    x = cr.tensor([3.0, 4.0], requires_grad=True)
    s = (x * x).sum()
    s.retain_grad()
    s.sqrt().backward()
    near(s.grad, 0.1)
    near(x.grad, [0.6, 0.8])


def test_the_gradient_with_respect_to_an_intermediate_of_a_composite():
    x = cr.tensor([3.0, 4.0], requires_grad=True)
    s = (x * x).sum()
    n = s.sqrt()
    (gs,) = cr.autograd.grad(n, s, retain_graph=True)
    near(gs, 0.1)
    gs, gx = cr.autograd.grad(n, [s, x])
    near(gs, 0.1)
    near(gx, [0.6, 0.8])


def test_a_hook_inside_a_composite_sees_and_changes_the_gradient():
    x = cr.tensor([3.0, 4.0], requires_grad=True)
    s = (x * x).sum()
    seen = []
    s.register_hook(lambda g: seen.append(g.item()) or g * 2)
    s.sqrt().backward()
    assert seen == [0.1]
    near(x.grad, [1.2, 1.6])


# --- threads, length, memory ---------------------------------------------------------------------------


def test_eight_threads_give_the_answers_of_one():
    def work(k):
        f = lambda x: (cr.sin(x) * k).sum() if k % 2 else cr.where(x > 0, cr.log(x), x * k).sum()
        x = np.linspace(-1, 1, 20)
        with cr.no_grad() if k % 3 == 0 else cr.enable_grad():
            return (
                np.asarray(cr.grad(f)(x)),
                np.asarray(cr.hessian(f)(x)),
                np.asarray(cr.jvp(f, (x,), (x,))[1]),
            )

    expected = [work(k) for k in range(8)]
    found = [None] * 8

    def run(k):
        for _ in range(5):
            found[k] = work(k)

    threads = [threading.Thread(target=run, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for a, b in zip(expected, found, strict=True):
        assert all(np.array_equal(u, v, equal_nan=True) for u, v in zip(a, b, strict=True))


def test_a_hundred_thousand_operations():
    def f(x):
        for _ in range(100_000):
            x = x * 0.5 + 1.0
        return x

    near(cr.grad(f)(3.0), 0.0)
    near(cr.jvp(f, (3.0,), (1.0,))[1], 0.0)


def test_a_hundred_thousand_operations_keep_their_slope():
    def f(x):
        y = x
        for _ in range(50_000):
            y = y + x * 1e-4
        return y

    near(cr.grad(f)(3.0), 6.0, rtol=1e-9)
    near(cr.grad(lambda x: f(x) ** 2)(3.0), 2 * 18.0 * 6.0, rtol=1e-9)


class Held:
    """Arrays over which a function closes, to see whether they stay alive."""

    def __init__(self) -> None:
        self.refs: list[weakref.ref] = []

    def note(self, t):
        self.refs.append(weakref.ref(t))
        self.refs.append(weakref.ref(t.n))
        return t

    @property
    def alive(self) -> int:
        return sum(r() is not None for r in self.refs)


@pytest.mark.parametrize("name", ["grad", "value_and_grad", "vjp", "jvp", "jacrev", "jacfwd", "hessian"])
def test_nothing_stays_alive_without_the_garbage_collector(name):
    held = Held()

    def f(x):
        return held.note(held.note(x * 2).exp()).sum()

    x = np.ones(1000 if name not in ("jacrev", "jacfwd", "hessian") else 3)
    gc.collect()
    gc.disable()
    try:
        if name == "vjp":
            result = cr.vjp(f, x)
            result[1](1.0)
        elif name == "jvp":
            result = cr.jvp(f, (x,), (x,))
        else:
            result = getattr(cr, name)(f)(x)
        assert held.refs
        if name != "vjp":  # its pullback needs the tape
            assert held.alive == 0
        del result
        assert held.alive == 0
    finally:
        gc.enable()


def test_an_error_in_the_function_leaves_nothing_alive():
    held = Held()

    def f(x):
        held.note(x * 2)
        raise KeyError

    def call():
        with pytest.raises(KeyError):
            cr.grad(f)(np.ones(1000))

    call()
    gc.collect()
    assert held.alive == 0


# --- properties on random programs -----------------------------------------------------------------------

SEEDS, LENGTHS = st.integers(0, 2**32 - 1), st.integers(1, 8)


def function_of(seed, length):
    """A random program as a function of its leaves that returns two numbers, and the leaves."""
    program = programs.program(cr, seed, length, inplace=False)
    steps = [*program.steps, program.loss]
    body = "\n".join("    " + line for step in steps for line in step.splitlines())
    names = {"torch": cr}
    exec(
        f"def f({', '.join(program.leaves)}):\n{body}\n    return torch.stack([loss, loss.sin() * x0.sum()])\n",
        names,
    )
    for line in program.head:
        exec(line.replace(", requires_grad=True", ""), names)
    return names["f"], [names[k] for k in program.leaves], program


def inner(us, vs):
    return sum(float((programs.num(u) * programs.num(v)).sum()) for u, v in zip(us, vs, strict=True))


def agree(a, b, what, rtol=1e-10):
    assert abs(a - b) <= rtol * max(1.0, abs(a), abs(b)), f"{a} is not {b} in {what!r}"


@given(seed=SEEDS, length=LENGTHS)
def test_vjp_is_the_transpose_of_jvp(seed, length):
    f, xs, program = function_of(seed, length)
    rng = np.random.default_rng(seed)
    ts = [cr.tensor(rng.standard_normal(x.shape)) for x in xs]
    ct = cr.tensor(rng.standard_normal(2))
    value, pull = cr.vjp(f, *xs)
    same, tangent = cr.jvp(f, tuple(xs), tuple(ts))
    assert np.array_equal(programs.num(value), programs.num(same))
    agree(inner([ct], [tangent]), inner(pull(ct), ts), program)


@given(seed=SEEDS, length=LENGTHS)
def test_jacfwd_is_jacrev(seed, length):
    f, xs, program = function_of(seed, length)
    everything = tuple(range(len(xs)))
    for a, b in zip(cr.jacfwd(f, everything)(*xs), cr.jacrev(f, everything)(*xs), strict=True):
        u, v = programs.num(a), programs.num(b)
        assert u.shape == v.shape
        assert np.all(np.abs(u - v) <= 1e-10 * max(1.0, np.abs(v).max(initial=0.0))), repr(program)


@given(seed=SEEDS, length=st.integers(1, 6))
def test_the_hessian_is_symmetric_and_hvp_multiplies_by_it(seed, length):
    f, xs, program = function_of(seed, length)
    g = lambda x: f(x, *xs[1:]).sum()
    n = xs[0].numel()
    h = programs.num(cr.hessian(g)(xs[0])).reshape(n, n)
    scale = max(1.0, np.abs(h).max(initial=0.0))
    assert np.all(np.abs(h - h.T) <= 1e-9 * scale), repr(program)
    t = np.random.default_rng(seed).standard_normal(xs[0].shape)
    _, product = cr.hvp(g, xs[0], cr.tensor(t))
    assert np.all(np.abs(h @ t.reshape(-1) - programs.num(product).reshape(-1)) <= 1e-9 * scale * n), repr(
        program
    )


def test_a_wrong_transpose_would_be_noticed():
    with pytest.raises(AssertionError):
        agree(1.0, 1.0 + 1e-6, "a program")
