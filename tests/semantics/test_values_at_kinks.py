"""Corner cases: kinks, zeros and infinities, in every mode of differentiation."""

import numpy as np
import pytest

import chainrule as cr

INF, NAN = np.inf, np.nan
HALF = 0.5

# id → (function, point(s), gradient in each argument). Expected: the table's column "exact".
FIRST = {
    "abs at 0": (cr.abs, [0.0], [0.0]),
    "relu at 0": (cr.relu, [0.0], [0.0]),
    "maximum(x, number) at 0": (lambda x: cr.maximum(x, 0.0), [0.0], [0.0]),
    "minimum(x, number) at 0": (lambda x: cr.minimum(x, 0.0), [0.0], [0.0]),
    "maximum(number, x) at 0": (lambda x: cr.maximum(0.0, x), [0.0], [0.0]),
    "maximum(x, tensor) at 0": (lambda x: cr.maximum(x, cr.tensor(0.0)), [0.0], [HALF]),
    "clamp(min=0) at 0": (lambda x: cr.clamp(x, min=0), [0.0], [0.0]),
    "clamp(max=0) at 0": (lambda x: cr.clamp(x, max=0), [0.0], [0.0]),
    "clip(-1, 1) at -1": (lambda x: cr.clip(x, -1, 1), [-1.0], [0.0]),
    "clip(-1, 1) at 1": (lambda x: cr.clip(x, -1, 1), [1.0], [0.0]),
    "clip(-1, 1) at 2": (lambda x: cr.clip(x, -1, 1), [2.0], [0.0]),
    "clip(-1, 1) inside": (lambda x: cr.clip(x, -1, 1), [0.5], [1.0]),
    "maximum(x, y) at a tie": (cr.maximum, [1.0, 1.0], [HALF, HALF]),
    "minimum(x, y) at a tie": (cr.minimum, [1.0, 1.0], [HALF, HALF]),
    "max of [1, 1, 0]": (lambda x: x.max(), [[1.0, 1.0, 0.0]], [[HALF, HALF, 0.0]]),
    "amax of [1, 1, 0]": (lambda x: cr.amax(x, 0), [[1.0, 1.0, 0.0]], [[HALF, HALF, 0.0]]),
    "max(dim) of [1, 1, 0]": (lambda x: x.max(0).values, [[1.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]]),
    "min of [0, 1, 0]": (lambda x: x.min(), [[0.0, 1.0, 0.0]], [[HALF, 0.0, HALF]]),
    "norm at 0": (cr.norm, [[0.0, 0.0]], [[0.0, 0.0]]),
    "sqrt(sum(x*x)) at 0": (lambda x: cr.sqrt((x * x).sum()), [[0.0, 0.0]], [[0.0, 0.0]]),
    "sqrt(sum(x**2)) at 0": (lambda x: cr.sqrt((x**2).sum()), [[0.0, 0.0]], [[0.0, 0.0]]),
    "sqrt(x**2) at 0": (lambda x: cr.sqrt(x**2), [0.0], [0.0]),
    "sqrt(x*x) at 0": (lambda x: cr.sqrt(x * x), [0.0], [0.0]),
    "norm(p=0.5) at (0, 1)": (lambda x: cr.norm(x, 0.5), [[0.0, 1.0]], [[NAN, 1.0]]),
    "norm(inf) at (1, -1)": (lambda x: cr.norm(x, INF), [[1.0, -1.0]], [[HALF, -HALF]]),
    "norm(1) at (0, 2)": (lambda x: cr.norm(x, 1), [[0.0, 2.0]], [[0.0, 1.0]]),
    "sqrt at 0": (cr.sqrt, [0.0], [INF]),
    "sqrt at -1": (cr.sqrt, [-1.0], [NAN]),
    "log at 0": (cr.log, [0.0], [INF]),
    "where(x > 0, log x, 0) at 0": (lambda x: cr.where(x > 0, cr.log(x), 0.0), [0.0], [0.0]),
    "where(x > 0, sqrt x, 0)": (
        lambda x: cr.where(x > 0, cr.sqrt(x), 0.0).sum(), [[0.0, 4.0, -1.0]], [[0.0, 0.25, 0.0]]),
    "double where": (
        lambda x: cr.where(x > 0, cr.sqrt(cr.where(x > 0, x, 1.0)), 0.0).sum(),
        [[0.0, 4.0, -1.0]], [[0.0, 0.25, 0.0]]),
    "x[x > 0].sqrt()": (lambda x: x[x > 0].sqrt().sum(), [[0.0, 4.0, -1.0]], [[0.0, 0.25, 0.0]]),
    "where(x != 0, sin(x)/x, 1) at 0": (lambda x: cr.where(x != 0, cr.sin(x) / x, 1.0), [0.0], [0.0]),
    "x log x at 0": (lambda x: x * cr.log(x), [0.0], [NAN]),
    "xlogy(x, x) at 0": (lambda x: cr.xlogy(x, x), [0.0], [-INF]),
    "x**2 at 0": (lambda x: x**2, [0.0], [0.0]),
    "x**1 at 0": (lambda x: x**1, [0.0], [1.0]),
    "x**0 at 0": (lambda x: x**0, [0.0], [0.0]),
    "x**0.5 at 0": (lambda x: x**0.5, [0.0], [INF]),
    "x**-1 at 0": (lambda x: x**-1, [0.0], [-INF]),
    "pow(x, y) at (0, 0)": (cr.pow, [0.0, 0.0], [0.0, 0.0]),
    "pow(x, y) at (0, 2)": (cr.pow, [0.0, 2.0], [0.0, 0.0]),
    "pow(x, y) at (0, -1)": (cr.pow, [0.0, -1.0], [-INF, NAN]),
    "pow(x, y) at (-2, 3)": (cr.pow, [-2.0, 3.0], [12.0, NAN]),
    "1/x at 0": (lambda x: 1 / x, [0.0], [-INF]),
    "x/x at 0": (lambda x: x / x, [0.0], [NAN]),
    "sqrt(x)*sqrt(x) at 0": (lambda x: cr.sqrt(x) * cr.sqrt(x), [0.0], [NAN]),
    "0.0*sqrt(x) at 0": (lambda x: 0.0 * cr.sqrt(x), [0.0], [NAN]),
    "atan2 at (0, 0)": (cr.atan2, [0.0, 0.0], [NAN, NAN]),
    "hypot at (0, 0)": (cr.hypot, [0.0, 0.0], [0.0, 0.0]),
    "prod of [0, 2, 3]": (cr.prod, [[0.0, 2.0, 3.0]], [[6.0, 0.0, 0.0]]),
    "prod of [0, 0, 3]": (cr.prod, [[0.0, 0.0, 3.0]], [[0.0, 0.0, 0.0]]),
    "std of constants": (cr.std, [[2.0, 2.0, 2.0]], [[0.0, 0.0, 0.0]]),
    "var of constants": (cr.var, [[2.0, 2.0, 2.0]], [[0.0, 0.0, 0.0]]),
    "logsumexp of all -inf": (lambda x: cr.logsumexp(x, 0), [[-INF, -INF]], [[NAN, NAN]]),
    "1/(1+exp(-x)) at -1000": (lambda x: 1 / (1 + cr.exp(-x)), [-1000.0], [0.0]),
    "sigmoid at -1000": (cr.sigmoid, [-1000.0], [0.0]),
    "log(1+exp(x)) at 1000": (lambda x: cr.log(1 + cr.exp(x)), [1000.0], [1.0]),
    "softplus at 1000": (cr.softplus, [1000.0], [1.0]),
    "log(sum(exp(x))) at (1000, 0)": (lambda x: cr.log(cr.exp(x).sum()), [[1000.0, 0.0]], [[1.0, 0.0]]),
    "tanh at 20": (cr.tanh, [20.0], [4 * np.exp(-40.0)]),
    "relu(x) - relu(-x) at 0": (lambda x: cr.relu(x) - cr.relu(-x), [0.0], [0.0]),
    "cumprod with a zero": (lambda x: cr.cumprod(x, 0).sum(), [[0.0, 2.0, 3.0]], [[9.0, 0.0, 0.0]]),
    "round, floor, ceil, sign, trunc": (
        lambda x: x.round() + x.floor() + x.ceil() + x.sign() + x.trunc(), [0.5], [0.0]),
}  # fmt: skip

# id → (function, point, second derivative). There the function is twice differentiable, or its chosen first
# derivative is differentiable by the entry of the table: |x|' = sign(x), relu' = (x > 0).
SECOND = {
    "abs at 0": (cr.abs, 0.0, 0.0),
    "relu at 0": (cr.relu, 0.0, 0.0),
    "maximum(x, number) at 0": (lambda x: cr.maximum(x, 0.0), 0.0, 0.0),
    "clip at a bound": (lambda x: cr.clip(x, -1, 1), 1.0, 0.0),
    "where(x > 0, log x, 0) at 0": (lambda x: cr.where(x > 0, cr.log(x), 0.0), 0.0, 0.0),
    "where(x > 0, sqrt x, 0) at 4": (lambda x: cr.where(x > 0, cr.sqrt(x), 0.0), 4.0, -1 / 32),
    "where(x > 0, sqrt x, 0) at 0": (lambda x: cr.where(x > 0, cr.sqrt(x), 0.0), 0.0, 0.0),
    "x**2 at 0": (lambda x: x**2, 0.0, 2.0),
    "x**1 at 0": (lambda x: x**1, 0.0, 0.0),
    "x**3 at 0": (lambda x: x**3, 0.0, 0.0),
    "1/x at 0": (lambda x: 1 / x, 0.0, INF),
    "sigmoid at -1000": (cr.sigmoid, -1000.0, 0.0),
    "1/(1+exp(-x)) at -1000": (lambda x: 1 / (1 + cr.exp(-x)), -1000.0, 0.0),
    "softplus at 1000": (cr.softplus, 1000.0, 0.0),
    "log(1+exp(x)) at 1000": (lambda x: cr.log(1 + cr.exp(x)), 1000.0, 0.0),
    "tanh at 0.5": (cr.tanh, 0.5, -2 * np.tanh(0.5) / np.cosh(0.5) ** 2),
    "tanh at 20": (cr.tanh, 20.0, -8 * np.exp(-40.0)),
    "sqrt(x*x) at 2": (lambda x: cr.sqrt(x * x), 2.0, 0.0),
    "xlogy(x, x) at 1": (lambda x: cr.xlogy(x, x), 1.0, 1.0),
}


def backward(f, points):
    xs = [cr.tensor(p, requires_grad=True) for p in points]
    f(*xs).backward()
    return [x.grad for x in xs]


def autograd_grad(f, points):
    xs = [cr.tensor(p, requires_grad=True) for p in points]
    return list(cr.autograd.grad(f(*xs), xs))


def functional_grad(f, points):
    return list(cr.grad(f, tuple(range(len(points))))(*map(cr.tensor, points)))


def by_rows(f, points):
    return list(cr.jacrev(f, tuple(range(len(points))))(*map(cr.tensor, points)))


def by_columns(f, points):
    return list(cr.jacfwd(f, tuple(range(len(points))))(*map(cr.tensor, points)))


def recorded(f, points):
    """The gradient that is itself recorded (create_graph): the walk with masks."""
    xs = [cr.tensor(p, requires_grad=True) for p in points]
    return list(cr.autograd.grad(f(*xs), xs, create_graph=True))


MODES = {m.__name__: m for m in (backward, autograd_grad, functional_grad, by_rows, by_columns, recorded)}


# One tangent per entry: the entry that is held still has the tangent 0, and 0·∞ is NaN (rule 4).
NAN_BY_COLUMNS = {"norm(p=0.5) at (0, 1)": [[NAN, NAN]]}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("row", FIRST)
def test_the_gradient_is_the_one_of_the_table(row, mode):
    f, points, expected = FIRST[row]
    if mode == "by_columns":
        expected = NAN_BY_COLUMNS.get(row, expected)
    for found, wanted in zip(MODES[mode](f, points), expected, strict=True):
        np.testing.assert_allclose(found.tolist(), wanted, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize(
    "row", [row for row, (_, points, _) in FIRST.items() if all(isinstance(p, float) for p in points)]
)
def test_a_batch_of_such_points_gives_the_same_as_the_point_alone(row):
    """Arrays take other ways through the engine than single numbers."""
    f, points, expected = FIRST[row]
    xs = [cr.tensor([p, p], requires_grad=True) for p in points]
    f(*xs).sum().backward()
    for x, wanted in zip(xs, expected, strict=True):
        np.testing.assert_allclose(x.grad.tolist(), [wanted, wanted], rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("row", SECOND)
@pytest.mark.parametrize("mode", ["hessian", "grad of grad", "forward over reverse", "backward twice"])
def test_the_second_derivative_is_the_one_of_the_rule(row, mode):
    f, x, expected = SECOND[row]
    if mode == "hessian":
        found = cr.hessian(f)(x)
    elif mode == "grad of grad":
        found = cr.grad(cr.grad(f))(x)
    elif mode == "forward over reverse":
        found = cr.jvp(cr.grad(f), (x,), (1.0,))[1]
    else:
        leaf = cr.tensor(x, requires_grad=True)
        (g,) = cr.autograd.grad(f(leaf), leaf, create_graph=True)
        if not g.requires_grad:
            found = cr.tensor(0.0)  # the gradient does not depend on x
        else:
            (found,) = cr.autograd.grad(g, leaf, allow_unused=True, materialize_grads=True)
    np.testing.assert_allclose(found.item(), expected, rtol=1e-12, atol=1e-300)


def test_a_value_is_what_the_code_as_written_computes():
    """Rule 6: a recognised composite changes the derivative only."""
    assert cr.log(1 + cr.exp(cr.tensor(1000.0, requires_grad=True))).item() == np.inf


def test_forty_sigmoids_in_float64_do_not_lose_the_slope():
    """The row has 400 in float32, where the slope is below the smallest number; 40 in float64 are not."""

    def f(x):
        for _ in range(40):
            x = cr.sigmoid(x)
        return x

    def slope(x):
        product = 1.0
        for _ in range(40):
            x = 1 / (1 + np.exp(-x))
            product *= x * (1 - x)
        return product

    np.testing.assert_allclose(cr.grad(f)(0.3).item(), slope(0.3), rtol=1e-12)


def test_a_wrong_expectation_is_caught():
    """The check above can fail."""
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(backward(cr.abs, [0.0])[0].tolist(), 1.0, rtol=1e-12, atol=1e-300)
