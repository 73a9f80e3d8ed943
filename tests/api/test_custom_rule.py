"""custom_rule: a derivative stated in one mode is right in both, to every order, or refused by name."""

from __future__ import annotations

import gc
import itertools
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr

X, Y = np.array([0.3, -2.0]), np.array([1.2, 0.7])


def plain(x, y):
    return x * cr.sin(y)


@cr.custom_rule
def by_jvp(x, y):
    return cr.tensor(np.asarray(x.detach()) * np.sin(np.asarray(y.detach())))


@by_jvp.def_jvp
def _(primals, tangents, out):
    (x, y), (s, t) = primals, tangents
    return s * cr.sin(y) + x * cr.cos(y) * t


def _pull(primals, ct, out):
    x, y = primals
    return ct * cr.sin(y), ct * x * cr.cos(y)


by_vjp = cr.custom_rule(plain, vjp=_pull, elementwise=True)

HOW = {
    "grad": lambda f: cr.grad(lambda x, y: f(x, y).sum(), (0, 1))(X, Y),
    "jacrev": lambda f: cr.jacrev(f, (0, 1))(X, Y),
    "jacfwd": lambda f: cr.jacfwd(f, (0, 1))(X, Y),
    "one argument": lambda f: (cr.jacfwd(f, 1)(X, Y), cr.jacrev(f, 0)(X, Y)),
    "hessian": lambda f: cr.hessian(lambda x, y: f(x, y).sum(), argnums=(0, 1))(X, Y),
    "forward over reverse": lambda f: cr.jacfwd(cr.jacrev(f, (0, 1)), (0, 1))(X, Y),
    "reverse over forward": lambda f: cr.jacrev(cr.jacfwd(f, (0, 1)), (0, 1))(X, Y),
    "forward over forward": lambda f: cr.jacfwd(cr.jacfwd(f, (0, 1)), (0, 1))(X, Y),
    "third": lambda f: cr.jacfwd(cr.jacrev(cr.jacfwd(f)))(X, Y),
    "chained": lambda f: cr.hessian(lambda x: (f(f(x, x * x), x) ** 2).sum())(X),
}


def flat(tree):
    return (
        np.concatenate([flat(t) for t in tree])
        if isinstance(tree, tuple)
        else np.asarray(tree.detach()).ravel()
    )


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("f", [by_jvp, by_vjp], ids=["from a jvp", "from a vjp"])
def test_both_modes_and_every_order_follow_from_one(f, how):
    np.testing.assert_allclose(flat(HOW[how](f)), flat(HOW[how](plain)), rtol=1e-12, atol=1e-13)


STEPS = {
    "grad": lambda f: cr.grad(f),
    "jvp": lambda f: lambda x: cr.jvp(f, (x,), (1.0,))[1],
    "vjp": lambda f: lambda x: cr.vjp(f, x)[1](1.0)[0],
}


@pytest.mark.parametrize("stack", list(itertools.product(STEPS, repeat=3)), ids="-".join)
@given(x=st.floats(-2, 2))
def test_every_stack_of_depth_three(stack, x):
    expected, found = {}, {}
    for results, f in ((expected, plain), (found, by_jvp), (found, by_vjp)):
        g = lambda v, f=f: f(v, f(v, v * 0.5) + v)
        for how in stack:
            g = STEPS[how](g)
        results[f] = g(x).item()
    for f in found:
        np.testing.assert_allclose(found[f], expected[plain], rtol=1e-10, atol=1e-10)


def test_backward_and_grad_of_leaves():
    for f in (by_jvp, by_vjp):
        x, y = cr.tensor(X, requires_grad=True), cr.tensor(Y)
        f(x, y).sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), np.sin(Y), rtol=1e-15)
        (g,) = cr.autograd.grad((f(x, y) ** 2).sum(), x, create_graph=True)
        (h,) = cr.autograd.grad(g.sum(), x)
        np.testing.assert_allclose(h.numpy(), 2 * np.sin(Y) ** 2, rtol=1e-14)


def test_trees_keywords_and_what_is_no_tensor():
    @cr.custom_rule
    def f(p, n, *, scale):
        return {"a": p["u"] ** n * scale, "b": [p["u"] + p["v"]]}

    @f.def_vjp
    def _(primals, ct, out, *, scale):
        p, n = primals
        return {"u": ct["a"] * n * p["u"] ** (n - 1) * scale + ct["b"][0], "v": ct["b"][0]}, None

    g = cr.jacobian(lambda p: f(p, 3, scale=2.0))({"u": 2.0, "v": 5.0})
    assert g["a"]["u"].item() == 24.0
    assert [g["b"][0][k].item() for k in "uv"] == [1.0, 1.0]
    assert g["a"]["v"].item() == 0.0


def test_numbers_with_a_point_reach_a_rule_as_tensors_and_whole_numbers_as_they_are():
    seen = []

    @cr.custom_rule
    def f(x, y, n):
        return x * y * n

    @f.def_jvp
    def _(primals, tangents, out):
        seen.append((primals[1].item(), tangents[1].item(), primals[2], tangents[2]))
        return (tangents[0] * primals[1] + primals[0] * tangents[1]) * primals[2]

    assert cr.jvp(lambda x: f(x, 2.0, 3), (5.0,), (1.0,))[1].item() == 6.0
    assert seen == [(2.0, 0.0, 3, None)]


def test_results_of_several_dtypes_keep_them():
    @cr.custom_rule
    def f(x):
        return x.to(cr.float32), x * 2

    @f.def_vjp
    def _(primals, ct, out):
        assert [t.dtype for t in out] == [np.float32, np.float64]
        return ct[0].double() + 2 * ct[1]

    a, b = f(cr.tensor(X, requires_grad=True))
    assert (a.dtype, b.dtype) == (np.float32, np.float64)
    assert cr.grad(lambda x: f(x)[0].sum() + f(x)[1].sum())(X).tolist() == [3.0, 3.0]


def test_nothing_is_recorded_where_nothing_is_tracked():
    assert not by_vjp(cr.tensor(X), cr.tensor(Y)).requires_grad
    with cr.no_grad():
        assert not by_vjp(cr.tensor(X, requires_grad=True), cr.tensor(Y)).requires_grad


def test_the_result_shares_no_memory_with_the_argument():
    same = cr.custom_rule(lambda x: x, vjp=lambda primals, ct, out: ct)
    x = cr.tensor(X, requires_grad=True)
    y = same(x)
    with cr.no_grad():
        y += 1
    assert np.array_equal(x.detach().numpy(), X)


# --- routes that were not taken -----------------------------------------------------------------------------


def test_an_elementwise_rule_masks_single_entries():
    log = cr.custom_rule(cr.log, vjp=lambda primals, ct, out: ct / primals[0], elementwise=True)
    f = lambda x: cr.where(x > 0, log(x), 0.0).sum()
    assert cr.grad(f)(np.array([0.0, 2.0])).tolist() == [0.0, 0.5]
    assert cr.grad(lambda x: cr.grad(f)(x).sum())(np.array([0.0, 2.0])).tolist() == [0.0, -0.25]


def test_any_rule_is_masked_where_nothing_of_it_was_taken():
    log = cr.custom_rule(cr.log, vjp=lambda primals, ct, out: ct / primals[0])
    assert cr.grad(lambda x: cr.where(x > 0, log(x), 0.0))(0.0).item() == 0.0


# --- what does not follow -------------------------------------------------------------------------------------


@cr.custom_rule
def opaque(x):
    return cr.tensor(np.sin(x.numpy()))


@opaque.def_vjp
def _(primals, ct, out):
    return cr.tensor(ct.numpy() * np.cos(primals[0].numpy()))


@cr.custom_rule
def quietly_opaque(x):
    return cr.sin(x)


@quietly_opaque.def_vjp
def _(primals, ct, out):
    return cr.tensor(np.asarray(ct) * np.cos(np.asarray(primals[0])))


@pytest.mark.parametrize("f", [opaque, quietly_opaque], ids=["numpy()", "asarray"])
def test_a_rule_in_numpy_serves_first_derivatives_and_refuses_the_rest_by_name(f):
    np.testing.assert_allclose(cr.grad(lambda x: f(x).sum())(X).numpy(), np.cos(X), rtol=1e-15)
    with pytest.raises(NotImplementedError, match=f"{f.__name__} has no derivative in forward mode"):
        cr.jvp(f, (X,), (X,))
    with pytest.raises(RuntimeError, match=f"gradient of {f.__name__} cannot be differentiated"):
        cr.hessian(lambda x: f(x).sum())(X)


def test_a_rule_in_numpy_does_not_stand_in_the_way_of_others():
    f = lambda x: (opaque(X) * x**3).sum()
    np.testing.assert_allclose(cr.hessian(f)(X).numpy(), np.diag(6 * X * np.sin(X)), rtol=1e-14)


def test_a_linear_function_has_a_second_derivative_of_zero():
    double = cr.custom_rule(lambda x: 2 * x, vjp=lambda primals, ct, out: 2 * ct)
    assert cr.hessian(lambda x: double(x).sum())(X).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    np.testing.assert_allclose(cr.hessian(lambda x: (double(x) ** 2).sum())(X).numpy(), 8 * np.eye(2))


def test_a_jvp_that_is_not_linear_is_refused():
    f = cr.custom_rule(cr.sin, jvp=lambda primals, tangents, out: tangents[0] + 1.0)
    with pytest.raises(cr.ChainruleError, match="not linear in the tangents"):
        cr.grad(lambda x: f(x).sum())(X)


def test_a_jvp_that_forgets_an_argument_gives_zero_for_it():
    f = cr.custom_rule(lambda x, y: x + y, jvp=lambda primals, tangents, out: tangents[0])
    a, b = cr.grad(lambda x, y: f(x, y).sum(), (0, 1))(X, Y)
    assert (a.tolist(), b.tolist()) == ([1.0, 1.0], [0.0, 0.0])


@pytest.mark.parametrize(
    "f, words",
    [
        (cr.custom_rule(lambda x: x * x), "has no rule"),
        (cr.custom_rule(lambda x: x * x, vjp=lambda p, ct, out: (ct, ct)), "2 cotangents for 1 argument"),
        (cr.custom_rule(lambda x: x * x, vjp=lambda p, ct, out: ct[:1]), "shape of its input"),
        (cr.custom_rule(lambda x: (x > 0).long(), vjp=lambda p, ct, out: ct), "whole numbers"),
    ],
)
def test_rules_that_do_not_fit_are_named(f, words):
    with pytest.raises(cr.ChainruleError, match=words) as info:
        cr.grad(lambda x: f(x).sum())(X)
    assert info.value.fix


def test_a_jvp_of_another_shape_is_named_with_its_line():
    f = cr.custom_rule(lambda x: x * x, jvp=lambda p, t, out: t[0].sum())
    with pytest.raises(cr.ChainruleError, match="tangent of another shape") as info:
        cr.jacfwd(f)(X)
    assert "test_custom_rule.py" in str(info.value.source)


def test_a_closed_over_leaf_is_refused_instead_of_forgotten():
    w = cr.tensor(2.0, requires_grad=True)
    f = cr.custom_rule(lambda x: w * x, vjp=lambda p, ct, out: w * ct)
    with pytest.raises(cr.ChainruleError, match="closes over"):
        cr.grad(f)(1.0)


def test_a_function_that_changes_its_argument_is_refused():
    def f(x):
        x *= 2
        return x * 1.0

    with pytest.raises(cr.ChainruleError, match="in place"):
        cr.grad(cr.custom_rule(f, vjp=lambda p, ct, out: 2 * ct))(1.0)


def test_overwriting_what_a_rule_reads_is_refused():
    x = cr.tensor(X, requires_grad=True) * 1.0
    y = by_vjp(x, cr.tensor(Y))
    x += 1
    with pytest.raises(cr.ChainruleError, match="E205"):
        y.sum().backward()


def test_the_graph_of_a_computed_call_is_refused_by_name_and_that_of_the_function_is_there():
    y = by_vjp(cr.tensor(X, requires_grad=True), Y)
    with pytest.raises(cr.ChainruleError, match="plain has a rule of its own"):
        cr.graph_of(y)
    assert "sin" in str(cr.graph_of(by_vjp, X, Y))


@pytest.mark.parametrize("how", ["gradient", "second", "jvp", "both"])
@pytest.mark.parametrize("rule", ["jvp", "vjp"])
def test_derivatives_inside_vmap(rule, how):
    square = {
        "jvp": cr.custom_rule(lambda x: x * x, jvp=lambda p, t, out: 2 * t[0] * p[0]),
        "vjp": cr.custom_rule(lambda x: x * x, vjp=lambda p, ct, out: 2 * ct * p[0]),
    }[rule]
    take = {
        "gradient": cr.grad,
        "second": lambda f: cr.grad(cr.grad(f)),
        "jvp": lambda f: lambda x: cr.jvp(f, (x,), (x,))[1],
        "both": lambda f: cr.jacfwd(cr.jacrev(f)),
    }[how]
    f = lambda g: cr.vmap(take(lambda x: g(g(x) * x)))(X)
    np.testing.assert_allclose(f(square).numpy(), f(lambda x: x * x).numpy(), rtol=1e-13)


def test_a_gradient_from_outside_of_vmap_is_refused_instead_of_cut():
    square = cr.custom_rule(lambda x: x * x, vjp=lambda p, ct, out: 2 * ct * p[0])
    with pytest.raises(cr.ChainruleError, match="past its rule"):
        cr.grad(lambda x: cr.vmap(square)(x).sum())(X)


def test_checkpoints_around_custom_rules():
    big = np.linspace(0.1, 2, 700)
    f = lambda x: by_vjp(by_jvp(x, x), x * x).sum()
    for how in (lambda g: cr.grad(g)(big), lambda g: cr.hvp(g, big, big)[1]):
        assert np.array_equal(how(cr.checkpoint(f)).numpy(), how(f).numpy())


def test_rules_made_in_a_loop_do_not_stay_alive():
    held = []

    def call():
        big = np.ones(1000)
        held.append(weakref.ref(big))
        f = cr.custom_rule(lambda x: x * 2, vjp=lambda p, ct, out: ct * cr.as_tensor(big) * 2)
        cr.grad(lambda x: f(x).sum())(np.ones(1000))

    call()
    gc.collect()
    assert held[0]() is None
