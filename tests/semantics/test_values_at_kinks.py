"""Corner cases: kinks, zeros and infinities, in every mode of differentiation."""

import math

import numpy as np
import pytest
from corners import LATER, NAN, ROWS

import chainrule as cr


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
@pytest.mark.parametrize("row", ROWS)
def test_the_gradient_is_the_one_of_the_table(row, mode):
    f, points, expected, _ = ROWS[row]
    if mode == "by_columns":
        expected = NAN_BY_COLUMNS.get(row, expected)
    for found, wanted in zip(MODES[mode](f, points), expected, strict=True):
        np.testing.assert_allclose(found.tolist(), wanted, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize(
    "row", [name for name, row in ROWS.items() if all(isinstance(p, float) for p in row.points)]
)
def test_a_batch_of_such_points_gives_the_same_as_the_point_alone(row):
    """Arrays take other ways through the engine than single numbers."""
    f, points, expected, _ = ROWS[row]
    xs = [cr.tensor([p, p], requires_grad=True) for p in points]
    f(*xs).sum().backward()
    for x, wanted in zip(xs, expected, strict=True):
        np.testing.assert_allclose(x.grad.tolist(), [wanted, wanted], rtol=1e-12, atol=1e-300)


def grad_of_grad(f, points, i, j):
    """∂²f/∂(argument i)∂(argument j), one row per entry of argument i."""
    return cr.jacrev(cr.grad(f, i), j)(*map(cr.tensor, points))


def forward_over_reverse(f, points, i, j):
    return cr.jacfwd(cr.grad(f, i), j)(*map(cr.tensor, points))


def hessian(f, points, i, j):
    return cr.hessian(f, argnums=tuple(range(len(points))))(*map(cr.tensor, points))[i][j]


def backward_twice(f, points, i, j):
    xs = [cr.tensor(p, requires_grad=True) for p in points]
    (g,) = cr.autograd.grad(f(*xs), [xs[i]], create_graph=True)
    rows = []
    for entry in g.reshape(-1):
        row = cr.zeros_like(xs[j])  # where the gradient does not depend on x
        if entry.requires_grad:
            (row,) = cr.autograd.grad(
                entry, [xs[j]], retain_graph=True, allow_unused=True, materialize_grads=True
            )
        rows.append(row.tolist())
    return cr.tensor(rows)


TWICE = {m.__name__: m for m in (grad_of_grad, forward_over_reverse, hessian, backward_twice)}


@pytest.mark.parametrize("mode", TWICE)
@pytest.mark.parametrize("row", [name for name, row in ROWS.items() if row.second is not None])
def test_the_second_derivative_is_the_one_of_the_table(row, mode):
    f, points, _, expected = ROWS[row]
    sizes = [np.size(p) for p in points]
    found = np.block(
        [
            [np.reshape(np.asarray(TWICE[mode](f, points, i, j)), (m, n)) for j, n in enumerate(sizes)]
            for i, m in enumerate(sizes)
        ]
    )
    wanted = np.reshape(expected, found.shape)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("name", LATER)
def test_a_function_that_arrives_brings_its_row(name):
    found = cr
    for part in name.split("."):
        found = getattr(found, part, None)
    assert found is None, "put its row of the corners into corners.py"


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


OUTSIDE = {
    "log": -1.0, "log2": -2.0, "log10": -0.5, "log1p": -3.0, "atanh": 1.5, "logit": 2.0, "sqrt": -1.0, "asin": 2.0,
    "acosh": 0.5,
}  # fmt: skip


@pytest.mark.parametrize("name", OUTSIDE)
def test_outside_of_its_domain_a_function_has_no_slope_of_any_order(name):
    f, x = getattr(cr, name, None) or getattr(cr.special, name), OUTSIDE[name]
    orders = [f]
    for _ in range(3):
        orders.append(cr.grad(orders[-1]))
    assert all(math.isnan(order(x)) for order in orders)
    assert math.isnan(cr.hessian(f)(x))
    assert math.isnan(cr.jvp(cr.grad(f), (x,), (1.0,))[1])
    where_taken = lambda x: cr.where(x > 1e3, f(x), 2.0 * x)
    assert cr.grad(cr.grad(where_taken))(x) == 0.0


def test_the_angle_of_the_origin_has_no_slope_of_any_order():
    angle = lambda v: cr.atan2(v[0], v[1])
    assert np.isnan(cr.grad(angle)(np.zeros(2)).numpy()).all()
    assert np.isnan(cr.hessian(angle)(np.zeros(2)).numpy()).all()
    np.testing.assert_allclose(cr.hessian(angle)(np.array([0.0, 2.0])).numpy(), [[0, -0.25], [-0.25, 0]])
