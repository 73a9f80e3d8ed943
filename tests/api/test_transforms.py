"""grad, value_and_grad, vjp, jvp, jacobians, hessian and hvp against closed forms."""

from __future__ import annotations

import math
import traceback

import numpy as np
import pytest

import chainrule as cr

ALL = ("grad", "value_and_grad", "vjp", "jvp", "jacrev", "jacfwd", "jacobian", "hessian", "hvp")


def near(found, expected, rtol=1e-13):
    v = np.asarray(found.detach()) if isinstance(found, cr.Tensor) else np.asarray(found)
    assert v.shape == np.shape(expected)
    np.testing.assert_allclose(v, expected, rtol=rtol, atol=1e-14)


def test_near_notices_a_wrong_number_and_a_wrong_shape():
    with pytest.raises(AssertionError):
        near(cr.tensor(1.0), 1.0 + 1e-9)
    with pytest.raises(AssertionError):
        near(cr.tensor([1.0]), 1.0)


def derivative(name, f, x):
    """f'(x) of a function of one number, by each of the transforms."""
    if name == "vjp":
        return cr.vjp(f, x)[1]()[0]
    if name == "jvp":
        return cr.jvp(f, (x,), (1.0,))[1]
    if name == "value_and_grad":
        return cr.value_and_grad(f)(x)[1]
    return getattr(cr, name)(f)(x)


FIRST_ORDER = ("grad", "value_and_grad", "vjp", "jvp", "jacrev", "jacfwd", "jacobian")


# --- values ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FIRST_ORDER)
def test_the_lectures_derivative(name):
    near(derivative(name, lambda w: 4 * w + w**3, 1.0), 7.0)


@pytest.mark.parametrize("name", FIRST_ORDER)
def test_a_python_float_a_numpy_number_an_array_and_a_tensor_are_arguments(name):
    for x in (0.5, np.float64(0.5), np.array(0.5), cr.tensor(0.5)):
        near(derivative(name, cr.sin, x), math.cos(0.5))


@pytest.mark.parametrize("name", FIRST_ORDER)
def test_numpy_functions_in_the_function_are_differentiated(name):
    near(
        derivative(name, lambda x: np.sin(x) * np.exp(x), 0.3),
        math.exp(0.3) * (math.sin(0.3) + math.cos(0.3)),
        1e-12,
    )


@pytest.mark.parametrize("name", FIRST_ORDER)
@pytest.mark.parametrize("x", [3, True, np.array(3), cr.tensor(3)], ids=["int", "bool", "array", "tensor"])
def test_whole_numbers_have_no_derivative(name, x):
    with pytest.raises(cr.ChainruleError, match="E102") as info:
        derivative(name, lambda w: w * w, x)
    assert isinstance(info.value, TypeError)


@pytest.mark.parametrize("name", FIRST_ORDER)
def test_a_function_that_ignores_its_argument_has_the_derivative_zero(name):
    near(derivative(name, lambda x: cr.tensor(3.0), 1.5), 0.0)


@pytest.mark.parametrize("name", FIRST_ORDER)
def test_a_function_that_returns_a_python_number_has_the_derivative_zero(name):
    near(derivative(name, lambda x: 3.0, 1.5), 0.0)


@pytest.mark.parametrize("name", FIRST_ORDER)
def test_the_identity_has_the_derivative_one(name):
    near(derivative(name, lambda x: x, 1.5), 1.0)


def test_the_value_comes_with_the_gradient():
    value, gradient = cr.value_and_grad(lambda x: (x**2).sum())(np.array([1.0, 2.0]))
    near(value, 5.0)
    near(gradient, [2.0, 4.0])
    assert not value.requires_grad
    assert not gradient.requires_grad


def test_gradient_keeps_the_dtype_of_the_argument():
    g = cr.grad(lambda x, y: (x * y).sum(), (0, 1))(
        cr.ones(2, dtype=cr.float32), cr.ones(2, dtype=cr.float64)
    )
    assert [t.dtype for t in g] == [np.float32, np.float64]


@pytest.mark.parametrize("name", ["jacrev", "jacfwd", "jacobian"])
def test_jacobian_of_a_vector_function(name):
    x = np.array([0.3, 0.7])
    f = lambda x: cr.stack([x[0] * x[1], cr.sin(x[0]), x[1] ** 2])
    near(getattr(cr, name)(f)(x), [[0.7, 0.3], [math.cos(0.3), 0.0], [0.0, 1.4]])


@pytest.mark.parametrize("name", ["jacrev", "jacfwd", "jacobian"])
@pytest.mark.parametrize(
    "out, inp",
    [
        ((), ()),
        ((2,), ()),
        ((), (3,)),
        ((2, 1), (3,)),
        ((2,), (3, 1)),
        ((0,), (3,)),
        ((2,), (0,)),
        ((0, 2), (3, 0)),
    ],
)
def test_a_jacobian_has_the_shape_output_then_input(name, out, inp):
    jac = getattr(cr, name)(lambda x: cr.ones(out) * (x * x).sum())(cr.ones(inp))
    assert tuple(jac.shape) == out + inp
    near(jac, np.full(out + inp, 2.0))


@pytest.mark.parametrize("name", ["jacrev", "jacfwd", "jacobian"])
def test_jacobians_of_several_arguments_are_a_tuple(name):
    a, b = getattr(cr, name)(lambda x, y: x * y, argnums=(0, 1))(np.array([2.0, 3.0]), np.array([5.0, 7.0]))
    near(a, np.diag([5.0, 7.0]))
    near(b, np.diag([2.0, 3.0]))


def test_the_hessian_of_a_polynomial():
    near(cr.hessian(lambda w: w[0] ** 2 * w[1])(np.array([1.0, 3.0])), [[6.0, 2.0], [2.0, 0.0]])


def test_the_hessian_of_a_linear_function_is_zero():
    near(cr.hessian(lambda w: (3 * w).sum(), np.ones(2)), np.zeros((2, 2)))


def test_hvp_is_the_hessian_times_the_vector():
    value, product = cr.hvp(lambda w: (w**3).sum(), np.array([1.0, 2.0]), np.array([1.0, -1.0]))
    near(value, 9.0)
    near(product, [6.0, -12.0])


def test_hvp_of_several_arguments_is_a_tuple():
    # f = x² y: H = [[2y, 2x], [2x, 0]] at (2, 3), times (1, 10)
    _, (hx, hy) = cr.hvp(lambda x, y: x**2 * y, (2.0, 3.0), (1.0, 10.0))
    near(hx, 6.0 + 40.0)
    near(hy, 4.0)


def test_zero_size_arguments_give_zero_size_gradients():
    g = cr.grad(lambda x, y: (x * x).sum() + y, (0, 1))(np.zeros((2, 0)), 1.0)
    assert tuple(g[0].shape) == (2, 0)
    near(g[1], 1.0)


def test_a_pullback_runs_any_number_of_times():
    _, pull = cr.vjp(lambda x: x.exp(), np.array([0.0, 1.0]))
    for weight in (1.0, 2.0, -3.0):
        near(pull(np.array([weight, 0.0]))[0], [weight, 0.0])


# --- argnums, has_aux, keywords ---------------------------------------------------------------------


@pytest.mark.parametrize("argnums, expected", [(0, 12.0), (1, 9.0), (-1, 9.0), (-2, 12.0)])
def test_argnums_counts_from_both_ends(argnums, expected):
    near(cr.grad(lambda x, y: x**2 * y, argnums)(3.0, 2.0), expected)


def test_several_argnums_give_a_tuple_in_their_order():
    for argnums in ((0, 1), [0, 1], (1, 0), (0,), (-1, 0)):
        g = cr.grad(lambda x, y: x**2 * y, argnums)(3.0, 2.0)
        assert isinstance(g, tuple)
        for k, found in zip(argnums, g, strict=True):
            near(found, (12.0, 9.0)[k])


@pytest.mark.parametrize("argnums", [2, -3, 0.5, "x", (0, 7), None])
@pytest.mark.parametrize("name", ["grad", "value_and_grad", "jacrev", "jacfwd"])
def test_argnums_that_name_no_argument_are_refused(name, argnums):
    with pytest.raises(cr.ChainruleError, match="argnums") as info:
        getattr(cr, name)(lambda x, y: x * y, argnums)(1.0, 2.0)
    assert info.value.fix


def test_aux_comes_back_as_it_is():
    f = lambda x: (x**2, {"half": x / 2, "name": "f"})
    g, aux = cr.grad(f, has_aux=True)(3.0)
    near(g, 6.0)
    assert aux["name"] == "f"
    near(aux["half"], 1.5)
    (value, aux), g = cr.value_and_grad(f, has_aux=True)(3.0)
    near(value, 9.0)
    assert aux["name"] == "f"
    value, pull, aux = cr.vjp(f, 3.0, has_aux=True)
    near(pull()[0], 6.0)
    value, tangent, aux = cr.jvp(f, (3.0,), (1.0,), has_aux=True)
    near(tangent, 6.0)
    for name in ("jacrev", "jacfwd", "jacobian"):
        jac, aux = getattr(cr, name)(f, has_aux=True)(3.0)
        near(jac, 6.0)


def test_has_aux_wants_a_pair():
    with pytest.raises(cr.ChainruleError, match="pair"):
        cr.grad(lambda x: x * x, has_aux=True)(1.0)


def test_keyword_arguments_reach_the_function_and_are_not_differentiated():
    f = lambda x, *, power=2, scale: scale * x**power
    near(cr.grad(f)(2.0, scale=5.0), 20.0)
    near(cr.grad(f)(2.0, power=3, scale=1.0), 12.0)
    near(cr.jacfwd(f)(2.0, scale=5.0), 20.0)


def test_other_arguments_may_be_anything():
    near(cr.grad(lambda x, flag, table: x * table["c"] if flag else x)(1.0, True, {"c": 4.0}), 4.0)


# --- closures, modes, in-place, generators -------------------------------------------------------------


def test_a_closed_over_leaf_is_connected():
    w = cr.tensor(3.0, requires_grad=True)
    g = cr.grad(lambda x: w * x**2)(2.0)
    assert g.requires_grad
    g.backward()
    near(g, 12.0)
    near(w.grad, 4.0)


@pytest.mark.parametrize("name", FIRST_ORDER)
def test_every_transform_connects_a_closed_over_leaf(name):
    w = cr.tensor(3.0, requires_grad=True)
    g = derivative(name, lambda x: w * w * x**2, 2.0)
    g.sum().backward()
    near(w.grad, 2 * 3.0 * 4.0)


def test_a_tracked_argument_is_connected():
    x = cr.tensor(2.0, requires_grad=True)
    g = cr.grad(lambda x: x**3)(x)
    g.backward()
    near(x.grad, 12.0)


def test_the_gradient_of_the_function_does_not_touch_grad_of_the_argument():
    x = cr.tensor(2.0, requires_grad=True)
    cr.grad(lambda x: x**3)(x)
    assert x.grad is None


def test_a_tracked_tangent_is_connected():
    t = cr.tensor(2.0, requires_grad=True)
    _, dy = cr.jvp(cr.sin, (0.5,), (t,))
    dy.backward()
    near(t.grad, math.cos(0.5))


def test_a_tracked_cotangent_is_connected():
    c = cr.tensor(2.0, requires_grad=True)
    (g,) = cr.vjp(cr.sin, 0.5)[1](c)
    g.backward()
    near(c.grad, math.cos(0.5))


@pytest.mark.parametrize("name", FIRST_ORDER)
def test_no_grad_around_changes_the_connection_and_not_the_derivative(name):
    w = cr.tensor(3.0, requires_grad=True)
    with cr.no_grad():
        g = derivative(name, lambda x: w * x**2, 2.0)
    near(g, 12.0)
    assert not g.requires_grad


@pytest.mark.parametrize("name", FIRST_ORDER)
def test_inference_mode_around_changes_nothing_about_the_derivative(name):
    with cr.inference_mode():
        g = derivative(name, lambda x: cr.sin(x) * x, 2.0)
        near(g, math.sin(2.0) + 2 * math.cos(2.0))


@pytest.mark.parametrize("name", FIRST_ORDER)
def test_no_grad_inside_cuts(name):
    def f(x):
        with cr.no_grad():
            c = x * x
        return c * x

    near(derivative(name, f, 2.0), 4.0)


@pytest.mark.parametrize("name", FIRST_ORDER)
def test_detach_inside_cuts(name):
    near(derivative(name, lambda x: (x * x).detach() * x, 2.0), 4.0)


@pytest.mark.parametrize("name", FIRST_ORDER)
def test_a_change_in_place_leaves_the_callers_array_alone(name):
    def f(x):
        x *= 2
        x[0] = 1.0
        return (x * x).sum()

    for make in (np.array, cr.tensor):
        a = make([3.0, 4.0])
        if name in ("vjp", "jvp"):
            g = cr.vjp(f, a)[1]()[0] if name == "vjp" else None
        else:
            g = getattr(cr, name)(f)(a)
        if g is not None:
            near(g[1] if name == "value_and_grad" else g, [0.0, 32.0])
        assert np.array_equal(np.asarray(a), [3.0, 4.0])


def test_a_change_in_place_of_a_number_leaves_the_callers_tensor_alone():
    def f(x):
        x += 1
        return x * x

    x = cr.tensor(2.0)
    near(cr.grad(f)(x), 6.0)
    assert x.item() == 2.0


def test_the_caller_may_change_the_argument_between_value_and_pullback():
    a = np.array([1.0, 2.0])
    _, pull = cr.vjp(lambda x: (x * x).sum(), a)
    a[:] = 100.0
    near(pull()[0], [2.0, 4.0])


def test_the_result_shares_no_memory_with_the_argument():
    a = cr.tensor([1.0, 2.0])
    value, g = cr.value_and_grad(lambda x: (x * 1.0).sum())(a)
    out, _ = cr.vjp(lambda x: x, a)
    out += 1
    g += 1
    near(a, [1.0, 2.0])
    near(value, 3.0)


def test_a_function_that_raises_leaves_the_modes_and_the_next_call_alone():
    def f(x):
        if x > 1:
            raise KeyError("mine")
        return x * x

    with cr.no_grad():
        with pytest.raises(KeyError, match="mine"):
            cr.grad(f)(2.0)
        assert not cr.is_grad_enabled()
    assert cr.is_grad_enabled()
    near(cr.grad(f)(0.5), 1.0)


def test_control_flow_runs_on_numbers():
    def f(x):
        while x < 100:
            x = x * x if x > 2 else x + 1
        return x

    near(cr.grad(f)(1.5), 8 * 2.5**7)  # 1.5 → 2.5 → 2.5² → 2.5⁴ = 39 → 2.5⁸


def test_backward_inside_a_function_stays_inside():
    def f(x):
        w = cr.tensor(2.0, requires_grad=True)
        (w * w * 3).backward()
        return w.grad * x

    near(cr.grad(f)(5.0), 12.0)


def test_autograd_grad_inside_a_function():
    def f(x):
        y = x**3
        (g,) = cr.autograd.grad(y, x, create_graph=True)
        return g

    near(cr.grad(f)(2.0), 12.0)


def test_generators_do_not_leak_modes_into_a_transform():
    def numbers():
        with cr.no_grad():
            yield 1.0
            yield 2.0

    def f(x):
        total = 0.0
        for c in numbers():
            total = total + c * x * x
        return total

    near(cr.grad(f)(3.0), 18.0)


# --- errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["grad", "value_and_grad", "hessian"])
def test_a_function_of_several_numbers_has_no_single_gradient(name):
    with pytest.raises(cr.ChainruleError, match="E203") as info:
        getattr(cr, name)(lambda x: x * 2)(np.ones(3))
    assert isinstance(info.value, RuntimeError)
    assert "jacobian" in info.value.fix


def test_a_pullback_wants_a_cotangent_of_the_shape_of_the_output():
    _, pull = cr.vjp(lambda x: x * 2, np.ones(3))
    with pytest.raises(cr.ChainruleError, match="E203"):
        pull()
    with pytest.raises(cr.ChainruleError, match="E101"):
        pull(np.ones(2))


def test_jvp_wants_one_tangent_per_argument_and_of_its_shape():
    with pytest.raises(cr.ChainruleError, match="2 primals and 1 tangents"):
        cr.jvp(lambda x, y: x * y, (1.0, 2.0), (1.0,))
    with pytest.raises(cr.ChainruleError, match="tangent 1"):
        cr.jvp(lambda x, y: x * y, (1.0, np.ones(2)), (1.0, np.ones(3)))


@pytest.mark.parametrize("name", FIRST_ORDER)
def test_a_result_that_is_no_tensor_is_named(name):
    with pytest.raises(cr.ChainruleError) as info:
        derivative(name, lambda x: "one", 1.0)
    assert info.value.fix


@pytest.mark.parametrize("name", FIRST_ORDER)
def test_a_missing_argument_is_a_message_not_a_crash(name):
    if name in ("vjp", "jvp"):
        pytest.skip("they take their arguments at once")
    with pytest.raises((cr.ChainruleError, TypeError)):
        getattr(cr, name)(lambda x: x)()


def test_tracebacks_show_the_users_frames_only(monkeypatch):
    monkeypatch.delenv("CHAINRULE_TRACEBACK", raising=False)
    with pytest.raises(cr.ChainruleError) as info:
        cr.grad(lambda x: x + np.ones(2) @ np.ones((2, 3)) * x)(1.0)
    frames = traceback.extract_tb(info.value.__traceback__)
    assert all("/src/chainrule/" not in f.filename for f in frames), [f.filename for f in frames]


# --- jacobian of tensors --------------------------------------------------------------------------------


def test_the_jacobian_of_a_computed_tensor():
    z = cr.tensor([-1.0], requires_grad=True)
    near(cr.jacobian(cr.cat([2 * z, z**4]), z), [[2.0], [-4.0]])
    assert z.grad is None


def test_the_jacobian_reads_the_tape_and_keeps_it():
    z = cr.tensor([1.0, 2.0], requires_grad=True)
    y = z.exp()
    for _ in range(2):
        near(cr.jacobian(y, z), np.diag(np.exp([1.0, 2.0])))
    y.sum().backward()


def test_the_jacobian_with_respect_to_a_computed_tensor():
    x = cr.tensor(0.5, requires_grad=True)
    s = x.sin()
    near(cr.jacobian(s * s * x, s), 2 * math.sin(0.5) * 0.5)


def test_the_jacobian_of_independent_tensors_is_zero():
    x, y = cr.ones(2, requires_grad=True), cr.ones(3, requires_grad=True)
    near(cr.jacobian(x * 2, y), np.zeros((2, 3)))


def test_the_jacobian_of_a_tensor_wants_to_know_with_respect_to_what():
    x = cr.ones(2, requires_grad=True)
    with pytest.raises(cr.ChainruleError, match="differentiate with respect to"):
        cr.jacobian(x * 2)
    with pytest.raises(cr.ChainruleError, match="second tensor"):
        cr.jacobian(x * 2, cr.ones(2))
    with pytest.raises(cr.ChainruleError, match="first tensor"):
        cr.jacobian(cr.ones(2), x)
