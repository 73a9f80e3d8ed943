"""torch.autograd.Function: both styles, what is saved, what may be differentiated again, errors."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import chainrule as cr
from chainrule.autograd import Function
from chainrule.autograd.function import once_differentiable

X, Y = np.array([0.3, -2.0]), np.array([1.2, 0.7])


class Exp(Function):
    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * y


class ProductAndPower(Function):
    """Several outputs, one without a derivative; an argument that is no tensor."""

    @staticmethod
    def forward(x, y, n):
        return x * y, x**n, x > 0

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, y, n = inputs
        ctx.save_for_backward(x, y)
        ctx.n = n

    @staticmethod
    def backward(ctx, a, b, c):
        x, y = ctx.saved_tensors
        return a * y + b * ctx.n * x ** (ctx.n - 1), a * x if ctx.needs_input_grad[1] else None, None


class ForwardOnly(Function):
    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_forward(x, y)
        return x * cr.sin(y)

    @staticmethod
    def jvp(ctx, s, t):
        x, y = ctx.saved_tensors
        total = 0.0 * x
        if s is not None:
            total = total + s * cr.sin(y)
        return total if t is None else total + x * cr.cos(y) * t


def exp_chain(f):
    return lambda x: (f(f(x) * 0.1) * x).sum()


def two(f):
    return lambda x, y: (lambda r: (r[0] * r[1]).sum())(f(x, y, 3))


PAIRS = {
    "saved output": (exp_chain(Exp.apply), exp_chain(cr.exp), (X,)),
    "several outputs": (two(ProductAndPower.apply), two(lambda x, y, n: (x * y, x**n)), (X, Y)),
    "jvp only": (
        lambda x, y: (ForwardOnly.apply(x, y) ** 2).sum(),
        lambda x, y: ((x * cr.sin(y)) ** 2).sum(),
        (X, Y),
    ),
}
HOW = {
    "grad": lambda f, xs: cr.grad(f, tuple(range(len(xs))))(*xs),
    "one argument": lambda f, xs: cr.grad(f)(*xs),
    "jvp": lambda f, xs: cr.jvp(f, xs, xs),
    "hessian": lambda f, xs: cr.hessian(f)(*xs),
    "hvp": lambda f, xs: cr.hvp(f, xs, xs)[1],
    "forward over forward": lambda f, xs: cr.jacfwd(cr.jacfwd(f))(*xs),
}


def flat(tree):
    if isinstance(tree, tuple | list):
        return np.concatenate([flat(t) for t in tree])
    return np.asarray(tree.detach()).ravel()


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("name", PAIRS)
def test_both_modes_and_second_derivatives(name, how):
    f, plain, xs = PAIRS[name]
    np.testing.assert_allclose(flat(HOW[how](f, xs)), flat(HOW[how](plain, xs)), rtol=1e-12, atol=1e-13)


def test_needs_input_grad_says_what_is_wanted():
    seen = []

    class F(Function):
        @staticmethod
        def forward(ctx, x, y, n):
            seen.append(ctx.needs_input_grad)
            return x * y

        @staticmethod
        def backward(ctx, g):
            seen.append(ctx.needs_input_grad)
            return g, None, None

    x = cr.tensor(1.0, requires_grad=True)
    F.apply(x, cr.tensor(2.0), 3).backward()
    assert seen == [(True, False, False)] * 2
    with cr.no_grad():
        F.apply(x, cr.tensor(2.0), 3)
    assert seen[-1] == (False, False, False)


def test_marked_outputs_have_no_derivative_and_come_back_as_zeros():
    seen = []

    class F(Function):
        @staticmethod
        def forward(ctx, x):
            order = x * 2
            ctx.mark_non_differentiable(order)
            return x * 3, order

        @staticmethod
        def backward(ctx, g, none):
            seen.append(none.tolist())
            return g * 3

    x = cr.tensor(X, requires_grad=True)
    y, order = F.apply(x)
    assert not order.requires_grad
    y.sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]
    assert seen == [[0.0, 0.0]]


def test_without_materialized_gradients_they_are_none():
    class F(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 3, (x > 0)

        @staticmethod
        def backward(ctx, g, none):
            assert none is None
            return g * 3

    x = cr.tensor(1.0, requires_grad=True)
    F.apply(x)[0].backward()
    assert x.grad.item() == 3.0


def test_inside_forward_nothing_is_recorded():
    class F(Function):
        @staticmethod
        def forward(ctx, x):
            assert not cr.is_grad_enabled()
            assert x.requires_grad
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    assert F.apply(cr.tensor(1.0, requires_grad=True)).requires_grad


def test_a_once_differentiable_backward_may_use_numpy():
    class Sin(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return cr.tensor(np.sin(x.detach().numpy()))

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return cr.tensor(g.numpy() * np.cos(x.numpy()))

    np.testing.assert_allclose(cr.grad(lambda x: Sin.apply(x).sum())(X).numpy(), np.cos(X), rtol=1e-15)
    with pytest.raises(RuntimeError, match="Sin cannot be differentiated: its backward is marked once"):
        cr.hessian(lambda x: Sin.apply(x).sum())(X)
    with pytest.raises(NotImplementedError, match="Sin has no derivative in forward mode"):
        cr.jvp(Sin.apply, (X,), (X,))


class KeepsTensor(Function):
    @staticmethod
    def forward(ctx, x):
        c = x.cos()
        ctx.save_for_backward(c)
        return x.sin()

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0]


class KeepsAttribute(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.cos = x.cos()
        return x.sin()

    @staticmethod
    def backward(ctx, g):
        return g * ctx.cos


class KeepsArray(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.cos = np.cos(x.detach().numpy())
        return x.sin()

    @staticmethod
    def backward(ctx, g):
        return g * ctx.cos


@pytest.mark.parametrize("f", [KeepsTensor, KeepsAttribute, KeepsArray])
def test_what_only_forward_knows_is_refused_in_second_derivatives(f):
    np.testing.assert_allclose(cr.grad(lambda x: f.apply(x).sum())(X).numpy(), np.cos(X), rtol=1e-15)
    with pytest.raises(RuntimeError, match="cannot be differentiated"):  # torch says 0 here, silently
        cr.hessian(lambda x: f.apply(x).sum())(X)


def test_a_constant_that_was_kept_is_no_reason_to_refuse():
    class Scale(Function):
        @staticmethod
        def forward(ctx, x, factor):
            ctx.factor = factor
            ctx.mask = x > 0
            return x * factor

        @staticmethod
        def backward(ctx, g):
            return g * ctx.factor, None

    f = lambda x: (Scale.apply(x, 3.0) ** 2).sum()
    np.testing.assert_allclose(cr.hessian(f)(X).numpy(), 18 * np.eye(2))


def test_an_input_changed_after_it_was_saved_is_refused():
    x = cr.tensor(X, requires_grad=True) * 1.0
    y = ProductAndPower.apply(x, cr.tensor(Y), 2)[0]
    x += 1
    with pytest.raises(RuntimeError, match="changed in place afterwards"):
        y.sum().backward()


def test_a_second_backward_is_an_error_only_where_something_was_saved():
    class Double(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = cr.tensor(1.0, requires_grad=True)
    y = Double.apply(x)
    y.backward()
    y.backward()
    assert x.grad.item() == 4.0
    z = Exp.apply(x)
    z.backward(retain_graph=True)
    z.backward()
    with pytest.raises(RuntimeError, match="freed"):
        z.backward()


def test_what_was_saved_is_let_go_after_the_backward():
    x = cr.tensor(np.ones(1000), requires_grad=True)
    y = Exp.apply(x * 1.0)
    held = weakref.ref(y.n.params["call"].inputs[0][0]) if y.n.params["call"].inputs else None
    y.sum().backward()
    gc.collect()
    assert held is None or held() is None


# --- errors that name what is wrong ------------------------------------------------------------------------------


def operation(forward, backward):
    return type("Mine", (Function,), {"forward": staticmethod(forward), "backward": staticmethod(backward)})


@pytest.mark.parametrize(
    "forward, backward, words",
    [
        (lambda ctx, x: x * 2, lambda ctx, g: (g, g), "Mine.backward returned 2 gradients for 1 argument"),
        (lambda ctx, x, y=None: x * 2, lambda ctx, g: (), "0 gradients for 1 argument"),
        (lambda ctx, x: x * 2, lambda ctx, g: g[:1], "gradient 0 that Mine.backward returned"),
        (lambda ctx, x: 3.0, lambda ctx, g: g, "Mine.forward returned a float"),
        (lambda ctx, x: ctx.mark_dirty(x), lambda ctx, g: g, "cannot change its inputs in place"),
        (lambda ctx, x: ctx.save_for_backward(1.0), lambda ctx, g: g, "takes tensors, not a float"),
    ],
)
def test_what_does_not_fit_is_named(forward, backward, words):
    with pytest.raises(cr.ChainruleError, match=words) as info:
        cr.grad(lambda x: operation(forward, backward).apply(x).sum())(X)
    assert info.value.fix
    assert "test_function.py" in str(info.value.source)


def test_a_gradient_for_what_is_no_tensor_is_named():
    f = operation(lambda ctx, x, n: x * n, lambda ctx, g: (g, g))
    with pytest.raises(cr.ChainruleError, match="argument 1, which is no tensor"):
        cr.grad(lambda x: f.apply(x, 2).sum())(X)


def test_trailing_nones_may_be_left_over():
    f = operation(lambda ctx, x: x * 2, lambda ctx, g: (g * 2, None, None))
    assert cr.grad(f.apply)(1.0).item() == 2.0


def test_a_gradient_that_was_repeated_is_summed():
    f = operation(lambda ctx, x: x * cr.ones(3), lambda ctx, g: g)
    assert cr.grad(lambda x: f.apply(x).sum())(1.0).item() == 3.0


def test_an_operation_without_programs_is_refused_by_name():
    class Nothing(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

    with pytest.raises(NotImplementedError, match="Nothing has no derivative in reverse mode"):
        cr.grad(Nothing.apply)(1.0)


def test_functions_inside_checkpoints():
    big = np.linspace(0.1, 2, 700)
    f = lambda x: (Exp.apply(Exp.apply(x) * 0.1) * x).sum()
    for how in (lambda g: cr.grad(g)(big), lambda g: cr.hvp(g, big, big)[1]):
        assert np.array_equal(how(cr.checkpoint(f)).numpy(), how(f).numpy())


def test_explain_names_the_operation():
    x = cr.tensor(0.5, requires_grad=True)
    y = Exp.apply(x) * x
    text = str(cr.explain(y))
    assert "Exp(x)" in text
    assert "1.64872" in text
