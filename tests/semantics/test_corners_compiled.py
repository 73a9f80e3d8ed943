"""Corner cases in machine code: the rows of `corners.py` alone and among many samples, compiled in either order."""

import numpy as np
import pytest
from corners import NAN, ROWS

import chainrule as cr
from chainrule.errors import TraceError

# Rows that compile refuses: their shapes depend on numbers.
REFUSED = {"x[x > 0].sqrt()": "as many entries as it is true"}
# One tangent per entry: the entry that is held still has the tangent 0, and 0·∞ is NaN (rule 4).
NAN_FORWARD = {"norm(p=0.5) at (0, 1)": [[NAN, NAN]]}
COMPILED = [name for name in ROWS if name not in REFUSED]


def compiled_gradient(f, n):
    return cr.compile(cr.grad(f, n))


def gradient_of_compiled(f, n):
    return cr.grad(cr.compile(f), n)


def compiled_columns(f, n):
    return cr.compile(cr.jacfwd(f, n))


def columns_of_compiled(f, n):
    return cr.jacfwd(cr.compile(f), n)


FIRST = {
    m.__name__: m for m in (compiled_gradient, gradient_of_compiled, compiled_columns, columns_of_compiled)
}


def same(found, wanted):
    np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("how", FIRST)
@pytest.mark.parametrize("row", COMPILED)
def test_a_point_alone(row, how):
    f, points, expected, _ = ROWS[row]
    if "columns" in how:
        expected = NAN_FORWARD.get(row, expected)
    for k, wanted in enumerate(expected):
        same(FIRST[how](f, k)(*map(cr.tensor, points)), wanted)


def compiled_hessian(f, i, j):
    return cr.compile(cr.jacrev(cr.grad(f, i), j))


def hessian_of_compiled(f, i, j):
    return cr.jacrev(cr.grad(cr.compile(f), i), j)


TWICE = {m.__name__: m for m in (compiled_hessian, hessian_of_compiled)}


@pytest.mark.parametrize("how", TWICE)
@pytest.mark.parametrize("row", [name for name in COMPILED if ROWS[name].second is not None])
def test_the_second_derivative_at_a_point_alone(row, how):
    f, points, _, expected = ROWS[row]
    xs, sizes = list(map(cr.tensor, points)), [np.size(p) for p in points]
    found = [[np.reshape(np.asarray(TWICE[how](f, i, j)(*xs)), (m, n)) for j, n in enumerate(sizes)]
             for i, m in enumerate(sizes)]  # fmt: skip
    same(np.block(found), np.reshape(expected, np.block(found).shape))


# --- among many samples ------------------------------------------------------------------------------

USUAL = 0.75  # what the samples are that are not at the corner


def many(row):
    """A number of samples (with all counts of left-over lanes among the rows), every third of them at the corner."""
    n = 200 + list(ROWS).index(row) % 33
    at = np.arange(n) % 3 == n % 3
    arrays = []
    for p in ROWS[row].points:
        a = np.full((n, *np.shape(p)), USUAL) + 0.01 * np.arange(np.size(p)).reshape(np.shape(p))
        a[at] = p
        arrays.append(a)
    return at, arrays


def compiled_batch(f, n):
    return cr.compile(cr.vmap(cr.grad(f, n)))


def sum_of_compiled(f, n):
    return cr.grad(lambda *xs: cr.compile(cr.vmap(f))(*xs).sum(), n)


MANY = {m.__name__: m for m in (compiled_batch, sum_of_compiled)}


@pytest.mark.parametrize("how", MANY)
@pytest.mark.parametrize("row", COMPILED)
def test_among_many_samples(row, how):
    f, _, expected, _ = ROWS[row]
    at, arrays = many(row)
    for k, wanted in enumerate(expected):
        found = np.asarray(MANY[how](f, k)(*arrays))
        same(found[at], np.broadcast_to(wanted, found[at].shape))


@pytest.mark.parametrize(
    "row", [name for name in COMPILED if all(isinstance(p, float) for p in ROWS[name].points)]
)
def test_written_for_arrays(row):
    """The same function on arrays, without vmap."""
    f, points, expected, second = ROWS[row]
    at, arrays = many(row)
    n = tuple(range(len(points)))
    total = lambda *xs: f(*xs).sum()
    for found in (cr.compile(cr.grad(total, n))(*arrays), cr.grad(cr.compile(total), n)(*arrays)):
        for g, wanted in zip(found, expected, strict=True):
            same(np.asarray(g)[at], wanted)
    if second is not None and len(points) == 1:
        ones = [np.ones_like(a) for a in arrays]
        (bend,) = cr.compile(lambda *xs: cr.jvp(cr.grad(total, n), xs, tuple(ones))[1])(*arrays)
        same(np.asarray(bend)[at], second)


@pytest.mark.parametrize("row", REFUSED)
def test_what_is_refused_says_why(row):
    with pytest.raises(TraceError, match=REFUSED[row]):
        cr.compile(ROWS[row].f)(*map(cr.tensor, ROWS[row].points))
