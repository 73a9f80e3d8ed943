"""gradcheck, gradgradcheck, check_grad: they pass what is right, fail what is wrong, and say why."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.errors import GradcheckError

X = np.array([0.5, 2.0, -1.3])


def wrong(factor=1.0, *, jvp=None, value=cr.sin):
    """sin with a slope that is off by a factor; a jvp of its own if given."""
    return cr.custom_rule(lambda x: value(x), vjp=lambda p, ct, out: ct * cr.cos(p[0]) * factor, jvp=jvp)


def failure(f, *args, **kwargs):
    with pytest.raises(GradcheckError) as info:
        cr.check_grad(f, *args, **kwargs)
    return str(info.value)


# --- what is right passes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "f, args",
    [
        (lambda x: cr.sin(x) * x, (X,)),
        (lambda x, y: (x * y).sum() / y, (X, 2.0)),
        (lambda p: {"a": p["u"] * p["v"], "b": [cr.exp(p["u"])]}, ({"u": X, "v": 3.0},)),
        (lambda x, n: x**n, (X, 3)),
        (lambda z: z * z, (np.array([1 + 2j, 0.5j]),)),
        (lambda x: cr.exp(1j * x), (X,)),
        (lambda z: cr.abs(z), (1 + 2j,)),
        (lambda x: x.sum(), (np.zeros((0, 2)),)),
        (lambda x: (cr.log(x), 3), (np.array([1e-3, 1e6]),)),
        (cr.sin, (X.astype(np.float32),)),
    ],
)
def test_right_derivatives_pass(f, args):
    rtol = 1e-3 if getattr(args[0], "dtype", None) == np.float32 else 1e-6
    assert cr.check_grad(f, *args, rtol=rtol, atol=1e-5 if rtol == 1e-3 else 1e-8)


def test_the_report_says_how_much_was_compared():
    report = cr.check_grad(lambda x: x * x, X, order=2)
    assert report.checked == 2 * 9 + 2 * 3 * 6
    assert str(report).startswith(
        f"right: {report.checked} derivatives in reverse mode and forward mode agree"
    )


@given(seed=st.integers(0, 2**32 - 1))
def test_random_programs_pass_and_with_a_wrong_factor_fail(seed):
    rng = np.random.default_rng(seed)
    a, x = rng.normal(size=(3, 3)), rng.normal(size=3)
    f = lambda g: lambda x: cr.tanh(cr.as_tensor(a) @ g(x)) * x
    assert cr.check_grad(f(wrong(1.0)), x, order=2)
    assert not cr.check_grad(f(wrong(1.001)), x, raise_exception=False)


def test_torchs_forms_return_true():
    x = cr.tensor(X, requires_grad=True)
    for module in (cr, cr.autograd):
        assert module.gradcheck(cr.sin, x, eps=1e-6, atol=1e-4, check_forward_ad=True) is True
        assert module.gradgradcheck(cr.sin, (x,), check_fwd_over_rev=True) is True


def test_only_inputs_that_require_a_gradient_are_checked():
    f = cr.custom_rule(lambda x, y: x * y, vjp=lambda p, ct, out: (ct * p[1], ct))  # wrong in y
    x, y = cr.tensor(X, requires_grad=True), cr.tensor(X)
    assert cr.gradcheck(f, (x, y))
    with pytest.raises(GradcheckError):
        cr.gradcheck(f, (x, y.requires_grad_()))
    with pytest.raises(ValueError, match="no input requires a gradient"):
        cr.gradcheck(cr.sin, cr.tensor(X))


def test_float32_passes_where_torchs_misleads():
    assert cr.gradcheck(cr.sin, cr.tensor([0.25, 1.0], dtype=cr.float32, requires_grad=True))


# --- what is wrong fails, with the entry, the mode, both numbers --------------------------------------------------


def test_a_wrong_factor_is_found_and_named():
    text = failure(wrong(2.0), X)
    assert "both modes are wrong in 3 of 9 derivatives" in text
    assert "∂f[1]/∂x[1] where x[1] = 2" in text or "∂f[0]/∂x[0] where x[0] = 0.5" in text
    assert "2 times too large" in text
    assert "both modes say the same" in text


@pytest.mark.parametrize("check", [cr.gradcheck, cr.autograd.gradcheck])
def test_gradcheck_fails_on_a_wrong_rule(check):
    x = cr.tensor(X, requires_grad=True)
    with pytest.raises(RuntimeError, match="reverse mode is wrong"):
        check(wrong(1.01), x)
    assert check(wrong(1.01), x, raise_exception=False) is False


@pytest.mark.parametrize("check", [cr.gradgradcheck, cr.autograd.gradgradcheck])
def test_gradgradcheck_fails_where_only_the_second_derivative_is_wrong(check):
    f = cr.custom_rule(lambda x: cr.sin(x), vjp=lambda p, ct, out: ct * cr.cos(p[0].detach()))
    x = cr.tensor(X, requires_grad=True)
    assert cr.gradcheck(f, x)
    with pytest.raises(RuntimeError, match="the gradient of"):
        check(f, x)
    with pytest.raises(GradcheckError, match="the gradient of"):
        cr.check_grad(f, X, order=2)


def test_modes_that_differ_are_told_apart():
    f = wrong(1.0, jvp=lambda p, t, out: 1.5 * t[0] * cr.cos(p[0]))
    text = failure(f, X)
    assert "forward mode is wrong" in text
    assert "reverse mode is wrong" not in text
    assert "the modes differ" in text


def test_a_wrong_sign_is_named():
    assert "wrong sign" in failure(wrong(-1.0), X)


def test_a_cut_graph_is_suspected_where_the_rule_says_zero():
    assert "was the graph cut" in failure(lambda x: x.detach() ** 2, X)


def test_a_kink_is_recognised_with_both_slopes_and_the_tables_sentence():
    text = failure(lambda x: x.clamp(min=0.0), np.array([0.0, 1.0]))
    assert "the point is a kink: the slope is 0 to the left and 1 to the right" in text
    assert "the rule's number lies between" in text
    assert "kink of clamp at test_gradcheck.py" in text


def test_a_point_at_the_edge_of_the_domain_is_named():
    assert "edge of the domain" in failure(cr.sqrt, np.array([0.0, 1.0]))


def test_a_function_that_bends_too_sharply_for_the_step_is_named():
    f = cr.custom_rule(lambda x: cr.sin(x * 1e12), vjp=lambda p, ct, out: ct * 1.0)
    assert "have not settled" in failure(f, np.array([0.1]))


def test_waves_shorter_than_the_first_step_are_found():
    assert cr.check_grad(lambda x: cr.sin(x * 3e4), np.array([0.1, 0.2]), atol=1e-3)


def test_a_failure_in_float32_says_so():
    assert "float32" in failure(wrong(1.5), X.astype(np.float32), rtol=1e-3, atol=1e-4)


def test_a_function_with_random_numbers_is_refused():
    with pytest.raises(GradcheckError, match="differs between two runs"):
        cr.check_grad(lambda x: x * cr.rand(3), X)
    x = cr.tensor(X, requires_grad=True)
    with pytest.raises(GradcheckError, match="differs between two runs"):
        cr.gradcheck(lambda x: x + 1e-9 * cr.rand(3), x)


def test_trees_are_named_as_python_writes_them():
    f = lambda p: wrong(3.0)(p["w"][0]) + p["b"]
    assert "∂f/∂x['w'][0] where x['w'][0] = 0.5" in failure(f, {"w": [0.5], "b": 1.0})


@pytest.mark.parametrize(
    "call",
    [
        lambda: cr.check_grad(cr.sin, 3),
        lambda: cr.check_grad(cr.sin, 1.0, order=3),
        lambda: cr.check_grad(cr.sin, 1.0, modes=("sideways",)),
    ],
)
def test_questions_without_meaning_are_refused(call):
    with pytest.raises(cr.ChainruleError) as info:
        call()
    assert info.value.fix
