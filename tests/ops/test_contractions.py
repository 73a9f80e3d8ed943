"""matmul, einsum and their kin: values against NumPy, gradients against differences."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ArgumentError, ShapeError

RNG = np.random.default_rng(1)
EINSUMS = [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("ij,jk", (2, 3), (3, 4)),
    ("ij,j->i", (2, 3), (3,)),
    ("ij,ij->", (2, 3), (2, 3)),
    ("i,j->ij", (2,), (3,)),
    ("ii->i", (3, 3)),
    ("ii", (3, 3)),
    ("ij->ji", (2, 3)),
    ("ij->", (2, 3)),
    ("ijk->j", (2, 3, 4)),
    ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)),
    ("...ij,...jk->...ik", (2, 3, 4), (2, 4, 5)),
    ("...ij,jk->...ik", (2, 3, 4), (4, 5)),
    ("i...->...", (2, 3)),
    ("ij,jk,kl->il", (2, 3), (3, 4), (4, 2)),
    ("i,i,i->i", (3,), (3,), (3,)),
    ("ii,ij->j", (3, 3), (3, 2)),
    ("ij,kl->", (2, 3), (3, 4)),
    ("iij->j", (2, 2, 3)),
    ("ab,b,c->ca", (2, 3), (3,), (4,)),
    (" i j , j -> i ", (2, 3), (3,)),
]
MATMULS = [
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 2)),
    ((2, 3), (3, 4)),
    ((5, 2, 3), (3, 4)),
    ((2, 3), (5, 3, 4)),
    ((5, 2, 3), (5, 3, 4)),
    ((1, 2, 3), (5, 3, 4)),
    ((2, 1, 2, 3), (5, 3, 4)),
    ((3,), (5, 3, 4)),
    ((5, 2, 3), (3,)),
    ((0, 3), (3, 2)),
    ((2, 0), (0, 3)),
]


def check_gradients(f, arrays):
    """Reverse and forward mode against central differences (almost exact: products of degree ≤ 3)."""
    out = f(*map(cr.tensor, arrays))
    ct = RNG.normal(size=out.shape)
    ts = [RNG.normal(size=a.shape) for a in arrays]
    argnums = tuple(range(len(arrays)))
    gradients = cr.grad(lambda *xs: (f(*xs) * ct).sum(), argnums)(*arrays)
    h = 1e-4
    up, down = (
        (f(*(cr.tensor(a + s * h * t) for a, t in zip(arrays, ts, strict=True))).numpy() * ct).sum()
        for s in (1, -1)
    )
    numeric = (up - down) / (2 * h)
    reverse = sum((g.numpy() * t).sum() for g, t in zip(gradients, ts, strict=True))
    forward = (cr.jvp(f, tuple(arrays), tuple(ts))[1].numpy() * ct).sum()
    np.testing.assert_allclose([reverse, forward], numeric, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("case", EINSUMS, ids=lambda c: c[0])
def test_einsum_is_numpys(case):
    equation, *shapes = case
    arrays = [RNG.normal(size=s) for s in shapes]
    found = cr.einsum(equation, *map(cr.tensor, arrays)).numpy()
    np.testing.assert_allclose(found, np.einsum(equation.replace(" ", ""), *arrays), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("case", EINSUMS, ids=lambda c: c[0])
def test_einsum_is_differentiated(case):
    equation, *shapes = case
    check_gradients(lambda *xs: cr.einsum(equation, *xs), [RNG.normal(size=s) for s in shapes])


@pytest.mark.parametrize("shapes", MATMULS, ids=str)
def test_matmul_is_numpys_and_is_differentiated(shapes):
    arrays = [RNG.normal(size=s) for s in shapes]
    found = cr.matmul(*map(cr.tensor, arrays)).numpy()
    np.testing.assert_allclose(found, np.matmul(*arrays), rtol=1e-12, atol=1e-14)
    check_gradients(cr.matmul, arrays)


def test_a_wrong_gradient_is_caught():
    def half(x):
        return x.detach() * 0.5 + x * 0.5

    with pytest.raises(AssertionError):
        check_gradients(half, [np.ones(3)])


@pytest.mark.parametrize(
    "shapes", [((2, 3), (2, 3)), ((3,), (2,)), ((2, 3, 4), (3, 4, 5)), ((), (3,))], ids=str
)
def test_shapes_that_do_not_fit_are_named(shapes):
    with pytest.raises(ShapeError) as info:
        cr.matmul(*(cr.ones(*s) for s in shapes))
    assert all(str(list(s)) in info.value.given for s in shapes)


@pytest.mark.parametrize("equation", ["ij,jk", "ij->k", "ijk", "i!", "ij->ii"])
def test_equations_that_do_not_fit_are_named(equation):
    with pytest.raises(ArgumentError) as info:
        cr.einsum(equation, cr.ones(2, 2))
    assert equation in info.value.given


@pytest.mark.parametrize("p", [1, 2, 3, 0.5, 2.5, np.inf, -np.inf, 0, "fro"], ids=str)
@pytest.mark.parametrize("dim", [None, 0, 1, -1, (0, 1)], ids=str)
def test_vector_norms_are_numpys(p, dim):
    a = RNG.normal(size=(3, 4))
    order = 2 if p == "fro" else p
    if dim in (None, (0, 1)):
        expected = np.linalg.norm(a.reshape(-1), order)
    else:
        expected = np.linalg.norm(a, order, axis=dim)
    np.testing.assert_allclose(cr.norm(cr.tensor(a), p, dim).numpy(), expected, rtol=1e-13)
