"""compile: the same function, in every order, in every combination with the other transforms."""

import itertools
import pickle

import numpy as np
import pytest

import chainrule as cr
from chainrule.codegen import jit
from chainrule.errors import ArgumentError, ChainruleError, TraceError

RNG = np.random.default_rng(0)
X = RNG.normal(size=7)


def smooth(x):
    return (cr.tanh(x) * cr.sin(x) + cr.exp(-x * x)).sum()


def chosen(x):
    return cr.where(x > 0, cr.log1p(x * x), x**3).sum()


def mixture(x):
    return cr.logsumexp(x[:, None] * x[None, :], 1).sum()


FUNCTIONS = [smooth, chosen, mixture]


def ones_like(x):
    return np.ones(x.shape)


TRANSFORMS = {
    "grad": lambda f: cr.grad(lambda x: f(x).sum()),
    "jvp": lambda f: lambda x: cr.jvp(f, (x,), (ones_like(x),))[1],
    "vjp": lambda f: lambda x: cr.vjp(f, x)[1](cr.ones_like(f(x)))[0],
    "vmap": lambda f: lambda x: cr.vmap(f)(cr.stack([cr.as_tensor(x), cr.as_tensor(x) * 0.5])).sum(0),
}


@pytest.mark.parametrize("f", FUNCTIONS)
@pytest.mark.parametrize(
    "stack", [s for n in (1, 2) for s in itertools.product(TRANSFORMS, repeat=n)], ids="-".join
)
def test_compile_at_any_place_of_a_stack_changes_nothing(f, stack):
    def through(at):
        g = cr.compile(f) if at == 0 else f
        for k, name in enumerate(stack, 1):
            g = TRANSFORMS[name](g)
            g = cr.compile(g) if at == k else g
        return np.asarray(g(X))

    expected = through(-1)
    for at in range(len(stack) + 1):
        np.testing.assert_allclose(through(at), expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("f", FUNCTIONS)
def test_hessians_in_both_orders(f):
    expected = cr.hessian(f)(X).numpy()
    for g in (cr.compile(cr.hessian(f)), cr.hessian(cr.compile(f)), cr.jacobian(cr.compile(cr.grad(f)))):
        np.testing.assert_allclose(g(X).numpy(), expected, rtol=1e-11, atol=1e-12)


def test_third_order_through_compiled_calls():
    f = cr.compile(lambda x: cr.sin(x) * x)
    third = cr.grad(cr.grad(cr.grad(f)))(0.7)
    assert float(third) == pytest.approx(-3 * np.sin(0.7) - 0.7 * np.cos(0.7), rel=1e-12)


def test_backward_of_a_compiled_call_reaches_arguments_and_what_it_closes_over():
    w = cr.tensor([1.0, 2.0], requires_grad=True)
    x = cr.tensor([3.0, 4.0], requires_grad=True)
    f = cr.compile(lambda x: (w * x**2).sum())
    f(x).backward()
    assert w.grad.tolist() == [9.0, 16.0]
    assert x.grad.tolist() == [6.0, 16.0]
    with cr.no_grad():
        w += 1
    assert f(x).item() == 2 * 9 + 3 * 16


def test_an_argument_that_is_not_used_gets_no_gradient():
    x = cr.tensor(5.0, requires_grad=True)
    y = cr.tensor(6.0, requires_grad=True)
    cr.compile(lambda x, y: x * y.detach())(x, y).backward()
    assert x.grad.item() == 6.0
    assert y.grad is None


def test_a_result_without_a_route_requires_no_gradient():
    x = cr.tensor([1.0, 2.0], requires_grad=True)
    cut, live, other = cr.compile(lambda x, y: (x.detach() * 2, x * y, y * 2))(x, cr.tensor(3.0))
    assert [t.requires_grad for t in (cut, live, other)] == [False, True, False]
    (cut * live + other).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), 2 * np.array([1.0, 2.0]) * 3)
    assert not cr.compile(lambda x: x.detach() * 2)(x).requires_grad
    _, t = cr.jvp(cr.compile(lambda x: (x * 3, x.detach())), (cr.tensor(2.0),), (cr.tensor(1.0),))
    assert [v.item() for v in t] == [3.0, 0.0]


def test_a_result_may_be_changed_in_place():
    x = cr.tensor([1.0, 2.0], requires_grad=True)
    y = cr.compile(lambda x: x * 2)(x)
    y += 1
    (y * y).sum().backward()
    assert x.grad.tolist() == [12.0, 20.0]


def test_inactive_routes_contribute_nothing_in_every_order():
    f = lambda x: cr.where(x > 0, cr.sqrt(x), x * 0).sum()
    x = np.array([0.0, 4.0, -1.0])
    for g in (cr.compile(cr.grad(f)), cr.grad(cr.compile(f))):
        np.testing.assert_array_equal(g(x).numpy(), [0.0, 0.25, 0.0])
    second = cr.compile(lambda x: cr.jvp(cr.grad(f), (x,), (cr.ones(3),))[1])
    np.testing.assert_allclose(second(x).numpy(), [0.0, -0.03125, 0.0])


def test_recognised_composites_keep_their_slope():
    f = lambda x: cr.log(1 + cr.exp(x))
    assert cr.compile(cr.grad(f))(1000.0).item() == 1.0
    assert cr.grad(cr.compile(f))(1000.0).item() == 1.0
    assert cr.compile(f)(1000.0).item() == np.inf


# --- arguments and results --------------------------------------------------------------------------


def test_trees_in_and_out():
    f = cr.compile(lambda p, *, scale: {"y": p["w"] @ p["x"] * scale, "n": (p["w"].sum(), 3)})
    p = {"w": np.ones((2, 3)), "x": np.arange(3.0)}
    out = f(p, scale=2.0)
    assert out["y"].tolist() == [6.0, 6.0]
    assert out["n"][0].item() == 6.0
    assert out["n"][1] == 3
    g = cr.grad(lambda p: f(p, scale=2.0)["y"].sum())(p)
    np.testing.assert_array_equal(g["w"].numpy(), [[0, 2, 4]] * 2)


def test_each_signature_is_recorded_once():
    seen = []

    @cr.compile
    def f(x, n=1):
        seen.append((x.shape, n))
        return (x**n).sum()

    for x, n in [(np.ones(2), 2), (np.ones(2) * 3, 2), (np.ones(3), 2), (np.ones(2), 3), (np.ones(2), 2)]:
        assert f(x, n).item() == pytest.approx((x**n).sum())
    assert seen == [((2,), 2), ((3,), 2), ((2,), 3)]


def test_dtypes_are_kept():
    f = cr.compile(lambda x: cr.sin(x) * 2)
    assert f(np.ones(3, np.float32)).dtype == np.float32
    assert f(np.ones(3)).dtype == np.float64
    assert cr.compile(lambda x: x > 0)(np.ones(3)).dtype == np.bool_
    assert cr.compile(lambda x: x.argmax())(np.array([1.0, 3.0])).item() == 1


@pytest.mark.parametrize(
    "x", [np.zeros(0), np.zeros((0, 3)), np.float64(2.0), 2.0, np.ones((2, 3))[:, ::2], np.arange(3)]
)
def test_any_array_is_an_argument(x):
    f = lambda x: (x * 2.0).sum()
    assert cr.compile(f)(x).item() == np.sum(np.asarray(x) * 2.0)


def test_results_do_not_change_with_the_next_call():
    f = cr.compile(lambda x: (x * 2, x + 1))
    first = f(np.ones(3))
    f(np.zeros(3))
    assert [t.tolist() for t in first] == [[2.0] * 3] * 2


def test_an_argument_that_comes_back_is_a_copy():
    x = cr.ones(3)
    y = cr.compile(lambda x: x)(x)
    y.zero_()
    assert x.tolist() == [1.0] * 3


def test_methods_and_pickling():
    class Model:
        w = 3.0

        @cr.compile
        def loss(self, x):
            return (self.w * x).sum()

    assert Model().loss(np.ones(2)).item() == 6.0
    assert pickle.loads(pickle.dumps(cr.compile(smooth)))(X).item() == pytest.approx(
        smooth(cr.tensor(X)).item()
    )


# --- what changes ------------------------------------------------------------------------------------


def test_a_step_of_a_descent_compiles_as_it_is_written():
    def descend(step, w):
        for _ in range(40):
            loss = step()
        return w.tolist(), loss.item()

    def make():
        w = cr.tensor([0.0, 0.0], requires_grad=True)

        def step():
            if w.grad is not None:
                w.grad.zero_()
            loss = (w[0] - 2) ** 2 + (w[1] + 3) ** 2
            loss.backward()
            with cr.no_grad():
                w.sub_(0.1 * w.grad)
            return loss

        return step, w

    step, w = make()
    compiled, v = make()
    ours, theirs = descend(cr.compile(lambda: compiled()), v), descend(step, w)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-12)
    assert ours[1] == pytest.approx(theirs[1], rel=1e-10)


def test_random_numbers_are_drawn_anew_in_every_call():
    f = cr.compile(lambda x: x + cr.rand(3))
    first, second = f(np.zeros(3)), f(np.zeros(3))
    assert first.tolist() != second.tolist()


def test_an_array_from_outside_is_read_anew():
    a = np.ones(3)
    f = cr.compile(lambda x: (x * a).sum())
    assert f(np.ones(3)).item() == 3
    a[0] = 5
    assert f(np.ones(3)).item() == 7


# --- what is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize("f", [lambda x: x if x.sum() > 0 else -x, lambda x: x * float(x[0]), lambda x: x[x > 0].sum(),
                               lambda x: cr.tensor([x[0].item()])])  # fmt: skip
def test_a_number_that_is_asked_for_is_refused_with_a_way_out(f):
    with pytest.raises(TraceError, match="compile knows shapes and dtypes only"):
        cr.compile(f)(X)


def test_a_value_that_leaves_the_function_is_refused():
    kept = []
    cr.compile(lambda x: kept.append(x * 2) or x)(X)
    with pytest.raises(TraceError):
        kept[0] + 1


def test_another_shape_is_another_signature_and_its_error_is_that_of_the_operation():
    f = cr.compile(lambda x: x + cr.ones(3))
    f(np.ones(3))
    with pytest.raises(ChainruleError, match="shapes do not fit"):
        f(np.ones(4))


def test_what_is_no_function_or_no_argument_is_refused():
    with pytest.raises(ArgumentError, match="compile takes a function"):
        cr.compile(3)
    with pytest.raises(ArgumentError, match="fixed argument"):
        cr.compile(lambda s, x: x)({1, 2}, X)
    with pytest.raises(ArgumentError, match="call the function once"):
        cr.compile(smooth).report()


# --- what can be seen --------------------------------------------------------------------------------


@pytest.mark.skipif(not jit.is_available(), reason="llvmlite knows no target here")
def test_report_graph_and_code_can_be_read():
    f = cr.compile(lambda x: cr.sort(cr.sin(x)).values.sum())
    f(np.ones(200))
    assert "sin" in str(f.graph)
    assert "define void" in f.llvm
    assert f.asm.strip()
    text = str(f.report())
    assert "NumPy  argsort: there is no machine code for it yet   test_compile.py:" in text


def test_without_llvm_numpy_serves(monkeypatch):
    monkeypatch.setattr(jit, "is_available", lambda: False)
    f = cr.compile(smooth)
    assert f(X).item() == pytest.approx(smooth(cr.tensor(X)).item(), rel=1e-14)
    np.testing.assert_allclose(cr.grad(f)(X).numpy(), cr.grad(smooth)(X).numpy(), rtol=1e-13)
    assert "smooth is not compiled: llvmlite is not there" in str(f.report())
    with pytest.raises(ArgumentError, match="no machine code"):
        _ = f.llvm


def test_set_num_threads_refuses_what_is_no_number():
    for n in (0, -1, 2.0, True):
        with pytest.raises(ArgumentError):
            cr.set_num_threads(n)


def test_a_compiled_function_shows_its_name():
    assert repr(cr.compile(cr.sin)) == "<compiled sin>"


def test_a_name_that_comes_to_mean_another_number_or_tensor_is_another_signature():
    k, t = 2.0, cr.tensor(2.0)
    f = cr.compile(lambda x: k * x + t)
    assert f(1.0).item() == 4.0
    k = 5.0
    with cr.no_grad():
        t += 1
    assert f(1.0).item() == 8.0
    t = cr.tensor(100.0)
    assert f(1.0).item() == 105.0


OUTSIDE = cr.tensor(2.0)


def test_a_global_name_may_come_to_mean_another_tensor(monkeypatch):
    f = cr.compile(lambda x: OUTSIDE * x)
    assert f(3.0).item() == 6.0
    monkeypatch.setitem(globals(), "OUTSIDE", cr.tensor(5.0))
    assert f(3.0).item() == 15.0
