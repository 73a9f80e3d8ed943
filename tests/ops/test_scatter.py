"""Writing, adding and reducing into places, against loops over the entries.

The oracle says for each place which entries arrive there, in order; values, gradients and second derivatives follow
from that by hand: of what is written the last one counts, of a sum each, of a product the product of the others.
"""

import itertools
import math

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ArgumentError, ChainruleError, DtypeError, IndexingError, ShapeError

RNG = np.random.default_rng(4)
X = RNG.normal(size=(3, 4))
SRC = RNG.normal(size=(3, 5))
INDEX = np.array([[0, 2, 2, 0, 1], [1, 1, 1, 1, 3], [3, 0, 3, 0, 3]])  # along dim 1, places repeat
DOWN = np.array([[2, 0, 1, 1], [2, 2, 0, 1]])  # along dim 0, fewer rows than X
SRC_DOWN = RNG.normal(size=(2, 4))
CASES = {"along 1": (1, INDEX, SRC), "along 0": (0, DOWN, SRC_DOWN), "smaller": (1, INDEX[:2, :3], SRC)}
REDUCE = ("sum", "prod", "mean", "amax", "amin")


def arrivals(shape, dim, index):
    """For each flat place the flat entries of the index that arrive there, in order."""
    found = {k: [] for k in range(int(np.prod(shape)))}
    for n, at in enumerate(np.ndindex(index.shape)):
        target = list(at)
        target[dim] = index[at]
        found[int(np.ravel_multi_index(target, shape))].append(n)
    return found


def cut(src, index):
    return src[tuple(slice(0, n) for n in index.shape)]


def leaf(a):
    return cr.tensor(a, requires_grad=True)


def uncut(g, src, index):
    out = np.zeros_like(src)
    out[tuple(slice(0, n) for n in index.shape)] = g.reshape(index.shape)
    return out


@pytest.mark.parametrize("case", CASES)
def test_scatter_writes_the_last_value_and_only_that_has_a_gradient(case):
    dim, index, src = CASES[case]
    values, w = cut(src, index).ravel(), RNG.normal(size=X.size)
    expected, gx, gs = X.ravel().copy(), w.copy(), np.zeros(index.size)
    for place, entries in arrivals(X.shape, dim, index).items():
        if entries:
            expected[place], gx[place], gs[entries[-1]] = values[entries[-1]], 0.0, w[place]
    x, s = leaf(X), leaf(src)
    out = cr.scatter(x, dim, cr.tensor(index), s)
    np.testing.assert_array_equal(out.detach().numpy().ravel(), expected)
    (out.reshape(-1) * w).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy().ravel(), gx)
    np.testing.assert_array_equal(s.grad.numpy(), uncut(gs, src, index))


@pytest.mark.parametrize("case", CASES)
def test_scatter_add_adds_every_value(case):
    dim, index, src = CASES[case]
    values, w = cut(src, index).ravel(), RNG.normal(size=X.size)
    expected, gs = X.ravel().copy(), np.zeros(index.size)
    for place, entries in arrivals(X.shape, dim, index).items():
        expected[place] += values[entries].sum()
        gs[entries] = w[place]
    x, s = leaf(X), leaf(src)
    out = x.scatter_add(dim, cr.tensor(index), s)
    np.testing.assert_allclose(out.detach().numpy().ravel(), expected, rtol=1e-14)
    (out.reshape(-1) * w).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy().ravel(), w)
    np.testing.assert_array_equal(s.grad.numpy(), uncut(gs, src, index))


def reduced(reduce, values):
    """The value of a group, its gradient and its second derivative."""
    k, v = len(values), np.asarray(values)
    none = np.zeros((k, k))
    if reduce in ("sum", "mean"):
        by = 1 if reduce == "sum" else k
        return v.sum() / by, np.full(k, 1 / by), none
    if reduce == "prod":
        others = np.array([math.prod(np.delete(v, i)) for i in range(k)])
        for i, j in itertools.permutations(range(k), 2):
            none[i, j] = math.prod(np.delete(v, [i, j]))
        return math.prod(v), others, none
    best = v.max() if reduce == "amax" else v.min()
    return best, (v == best) / (v == best).sum(), none


@pytest.mark.parametrize("include_self", [True, False])
@pytest.mark.parametrize("reduce", REDUCE)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", ["numbers", "ties", "zeros"])
def test_scatter_reduce_is_the_reduction_of_each_group(case, reduce, include_self, kind):
    dim, index, src = CASES[case]
    a = {"numbers": X, "ties": np.sign(X), "zeros": np.where(X > 0, X, 0.0)}[kind]
    src = {"numbers": src, "ties": np.sign(src), "zeros": np.where(src > 0.5, src, 0.0)}[kind]
    values, w = cut(src, index).ravel(), RNG.normal(size=X.size)
    tx, ts = RNG.normal(size=X.shape), RNG.normal(size=src.shape)
    moved = cut(ts, index).ravel()
    expected, gx, gs = a.ravel().copy(), w.copy(), np.zeros(index.size)
    hx, hs = np.zeros(X.size), np.zeros(index.size)
    for place, entries in arrivals(X.shape, dim, index).items():
        if not entries:
            continue
        own = [a.ravel()[place]] if include_self else []
        value, first, second = reduced(reduce, [*own, *values[entries]])
        along = second @ np.array([*([tx.ravel()[place]] if include_self else []), *moved[entries]])
        expected[place] = value
        gx[place], hx[place] = (w[place] * v[0] if include_self else 0.0 for v in (first, along))
        gs[entries], hs[entries] = (w[place] * v[len(own) :] for v in (first, along))

    def f(x, s):
        return cr.scatter_reduce(x, dim, cr.tensor(index), s, reduce, include_self=include_self)

    def loss(x, s):
        return (f(x, s).reshape(-1) * w).sum()

    np.testing.assert_allclose(f(cr.tensor(a), cr.tensor(src)).numpy().ravel(), expected, rtol=1e-13)
    x, s = leaf(a), leaf(src)
    loss(x, s).backward()
    np.testing.assert_allclose(x.grad.numpy().ravel(), gx, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(s.grad.numpy(), uncut(gs, src, index), rtol=1e-12, atol=1e-15)
    gradient_x, gradient_s = (cr.jvp(cr.grad(loss, argnums=k), (a, src), (tx, ts))[1] for k in (0, 1))
    np.testing.assert_allclose(gradient_x.numpy().ravel(), hx, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(gradient_s.numpy(), uncut(hs, src, index), rtol=1e-12, atol=1e-13)
    _, t = cr.jvp(loss, (a, src), (tx, ts))
    np.testing.assert_allclose(t.item(), (gx * tx.ravel()).sum() + (gs * moved).sum(), rtol=1e-11)


@pytest.mark.parametrize("include_self", [True, False])
def test_many_entries_at_each_place(include_self):
    """Most places have one largest entry, some several, some a NaN, which has no share; some get nothing."""
    places, values = RNG.integers(0, 40, 300), np.round(RNG.normal(size=300), 1)
    start = np.round(RNG.normal(size=50), 1)
    values[[7, 8]] = np.nan
    x, s = leaf(start), leaf(values)
    out = cr.scatter_reduce(x, 0, cr.tensor(places), s, "amax", include_self=include_self)
    out.sum().backward()
    for k in range(50):
        sent = values[places == k]
        group = np.concatenate([start[k : k + 1], sent]) if include_self or not sent.size else sent
        shares = (group == group.max()) / max((group == group.max()).sum(), 1)
        shares = np.full(group.size, np.nan) if np.isnan(group).any() and group.size > 1 else shares
        np.testing.assert_array_equal(out.detach().numpy()[k], group.max())
        np.testing.assert_allclose(s.grad.numpy()[places == k], shares[group.size - sent.size :], rtol=1e-15)


def test_a_group_whose_extreme_was_not_selected_passes_nothing_on():
    """log has slope inf at 0: the route of the smaller entry was not taken."""
    x = leaf([0.0, 2.0])
    cr.scatter_reduce(cr.zeros(1), 0, cr.tensor([0, 0]), x.log(), "amax").sum().backward()
    assert x.grad.tolist() == [0.0, 0.5]


def test_an_overwritten_entry_is_an_inactive_route():
    x = leaf([0.0, 2.0])
    cr.index_fill(x.log(), 0, cr.tensor([0]), 5.0).sum().backward()
    assert x.grad.tolist() == [0.0, 0.5]
    y = leaf([0.0, 2.0])
    z = y.log()
    z[y <= 0] = 0.0
    z.sum().backward()
    assert y.grad.tolist() == [0.0, 0.5]


def test_scatter_takes_a_number_and_its_gradient_counts_the_places():
    v = leaf(2.0)
    out = cr.scatter(cr.zeros(2, 3), 1, cr.tensor([[0, 0], [2, 1]]), v)
    assert out.tolist() == [[2, 0, 0], [0, 2, 2]]
    out.sum().backward()
    assert v.grad.item() == 3.0
    assert cr.scatter(cr.zeros(3), 0, cr.tensor([1]), value=7).tolist() == [0, 7, 0]
    assert cr.scatter(
        cr.ones(3), 0, cr.tensor([1, 1]), cr.tensor([2.0, 3.0]), reduce="multiply"
    ).tolist() == [1, 6, 1]
    assert cr.scatter(cr.ones(3), 0, cr.tensor([1, 1]), 2.0, reduce="add").tolist() == [1, 5, 1]


# --- slices and keys: NumPy does the same assignment, on values and on a map of places ---------------

I = np.array([2, 0, 2])  # noqa: E741
ROWS = RNG.normal(size=(3, 4))


def _assign(key, values, add=False):
    """NumPy's out[key] = values (or +=) on a copy."""

    def f(a, v):
        out = a.copy()
        if add:
            np.add.at(out, key, v)
        else:
            out[key] = v
        return out

    return f, values


# name → ours, NumPy's, values
KEYED = {
    "index_add": (lambda x, v: cr.index_add(x, 0, cr.tensor(I), v), *_assign(I, ROWS, add=True)),
    "index_add of a column": (lambda x, v: x.index_add(-1, cr.tensor(1), v),
                              *_assign((slice(None), [1]), ROWS[:, :1], add=True)),
    "index_copy": (lambda x, v: cr.index_copy(x, 0, cr.tensor(I), v), *_assign(I, ROWS)),
    "index_fill": (lambda x, v: x.index_fill(1, cr.tensor([0, 3, 0]), v),
                   *_assign((slice(None), [0, 3, 0]), np.array(1.5))),
    "index_put": (lambda x, v: cr.index_put(x, (cr.tensor(I), cr.tensor([1, 3, 1])), v),
                  *_assign((I, np.array([1, 3, 1])), ROWS[0, :3])),
    "index_put one": (lambda x, v: x.index_put((cr.tensor(I),), v), *_assign(I, ROWS[0])),
    "index_put mask": (lambda x, v: x.index_put((cr.tensor(X > 0),), v), *_assign(X > 0, np.array(3.0))),
    "index_put accumulate": (lambda x, v: x.index_put((cr.tensor(I), cr.tensor(1)), v, accumulate=True),
                             *_assign((I, np.array([1, 1, 1])), ROWS[0, :3], add=True)),
    "masked_scatter": (lambda x, v: cr.masked_scatter(x, cr.tensor(X > 0), v),
                       *_assign(X > 0, ROWS.ravel()[: (X > 0).sum()])),
    "select_scatter": (lambda x, v: cr.select_scatter(x, v, 1, -1), *_assign((slice(None), -1), ROWS[:, 0])),
    "slice_scatter": (lambda x, v: x.slice_scatter(v, 1, 1, None, 2),
                      *_assign((slice(None), slice(1, None, 2)), ROWS[:, :2])),
    "diagonal_scatter": (lambda x, v: cr.diagonal_scatter(x, v, 1), *_assign(([0, 1, 2], [1, 2, 3]), ROWS[0, :3])),
    "put": (lambda x, v: cr.put(x, cr.tensor([[1, 11], [1, -12]]), v),
            *_assign(([0, 2, 0, 0], [1, 3, 1, 0]), ROWS[0])),
    "put accumulate": (lambda x, v: x.put(cr.tensor([1, 11, 1, 0]), v, True),
                       *_assign(([0, 2, 0, 0], [1, 3, 1, 0]), ROWS[0], add=True)),
}  # fmt: skip


@pytest.mark.parametrize("name", KEYED)
def test_a_keyed_write_is_numpys_assignment(name):
    ours, theirs, values = KEYED[name]
    np.testing.assert_allclose(ours(cr.tensor(X), cr.tensor(values)).numpy(), theirs(X, values), rtol=1e-15)


@pytest.mark.parametrize("name", KEYED)
def test_its_derivatives_are_those_of_a_linear_map(name):
    """Columns of the Jacobian are the map applied to unit vectors: forward, reverse and second order."""
    ours, theirs, values = KEYED[name]
    zero_x, zero_v = np.zeros_like(X), np.zeros_like(values)
    w = RNG.normal(size=X.shape)
    gx, gv = np.zeros(X.size), np.zeros(values.size)
    for g, zero, put in ((gx, zero_x, lambda u: (u, zero_v)), (gv, zero_v, lambda u: (zero_x, u))):
        for k in range(g.size):
            unit = zero.copy().reshape(-1)
            unit[k] = 1.0
            g[k] = (theirs(*put(unit.reshape(zero.shape))) * w).sum()
    x, v = leaf(X), leaf(values)
    (ours(x, v) * w).sum().backward()
    np.testing.assert_allclose(x.grad.numpy().ravel(), gx, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(v.grad.numpy().ravel(), gv, rtol=1e-13, atol=1e-15)
    tx, tv = RNG.normal(size=X.shape), RNG.normal(size=values.shape)
    _, t = cr.jvp(ours, (X, values), (tx, tv))
    np.testing.assert_allclose(t.numpy(), theirs(tx, tv), rtol=1e-14)
    cubes = [cr.grad(lambda x, v: (ours(x, v) ** 3).sum() / 6, argnums=k) for k in (0, 1)]
    hx, hv = (cr.jvp(cube, (X, values), (tx, tv))[1] for cube in cubes)
    bent = ours(cr.tensor(X), cr.tensor(values)).numpy() * theirs(tx, tv)
    x, v = leaf(X), leaf(values)
    (ours(x, v) * bent).sum().backward()
    np.testing.assert_allclose(hx.numpy(), x.grad.numpy(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(hv.numpy(), v.grad.numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("reduce", ["prod", "mean", "amax", "amin"])
def test_index_reduce_is_scatter_reduce_of_slices(reduce):
    x, v = leaf(X), leaf(ROWS)
    out = cr.index_reduce(x, 0, cr.tensor(I), v, reduce)
    spread = np.repeat(I[:, None], 4, 1)
    expected = cr.scatter_reduce(cr.tensor(X), 0, cr.tensor(spread), cr.tensor(ROWS), reduce)
    np.testing.assert_array_equal(out.detach().numpy(), expected.numpy())


def test_take_reads_the_flattened_tensor():
    x = leaf(X)
    out = cr.take(x, cr.tensor([[0, 11], [-1, 0]]))
    np.testing.assert_array_equal(out.detach().numpy(), np.take(X, [[0, 11], [-1, 0]]))
    out.sum().backward()
    assert x.grad.numpy().ravel()[[0, 11]].tolist() == [2.0, 2.0]
    assert x.grad.numpy().sum() == 4.0


def test_take_along_dim_broadcasts_outside_of_the_dimension():
    places = np.array([[1], [0], [3]])
    x = leaf(X[:1])
    out = cr.take_along_dim(x, cr.tensor(places), 1)
    np.testing.assert_array_equal(out.detach().numpy(), X[:1][0, places])
    out.sum().backward()
    assert x.grad.tolist() == [[1, 1, 0, 1]]


@pytest.mark.parametrize(
    "write, expected",
    [
        (lambda x, i: x.scatter(0, i, x[:2]), [1, 1, 1]),
        (lambda x, i: x.scatter_add(0, i, x[:2]), [2, 2, 1]),
        (lambda x, i: x.scatter_reduce(0, i, x[:2], "sum"), [2, 2, 1]),
        (lambda x, i: x.index_add(0, i, x[:2]), [2, 2, 1]),
        (lambda x, i: x.index_put((i,), x[1:]), [0, 1, 2]),
        (lambda x, i: x.put(i, x[1:]), [0, 1, 2]),
        (lambda x, i: x.take(i), [1, 1, 0]),
        (lambda x, i: x.gather(0, i), [1, 1, 0]),
        (lambda x, i: x[i], [1, 1, 0]),
    ],
)
def test_an_index_tensor_may_change_after_its_use(write, expected):
    places = cr.tensor([0, 1])
    x = leaf([1.0, 2.0, 3.0])
    y = write(x, places)
    places.fill_(2)
    y.sum().backward()
    assert x.grad.tolist() == expected


# --- in place ------------------------------------------------------------------------------------

IN_PLACE = {
    "scatter": (1, cr.tensor(INDEX), cr.tensor(SRC)),
    "scatter_add": (1, cr.tensor(INDEX), cr.tensor(SRC)),
    "scatter_reduce": (1, cr.tensor(INDEX), cr.tensor(SRC), "prod"),
    "index_add": (0, cr.tensor(I), cr.tensor(ROWS)),
    "index_copy": (0, cr.tensor(I), cr.tensor(ROWS)),
    "index_fill": (0, cr.tensor(I), 2.0),
    "index_put": ((cr.tensor(I),), cr.tensor(ROWS)),
    "index_reduce": (0, cr.tensor(I), cr.tensor(ROWS), "amax"),
    "masked_scatter": (cr.tensor(X > 0), cr.tensor(ROWS)),
    "put": (cr.tensor([1, 11, 1]), cr.tensor(ROWS[0, :3])),
    "tril": (1,),
    "triu": (),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_the_form_with_an_underscore_changes_the_tensor_itself(name):
    arguments, w = IN_PLACE[name], RNG.normal(size=X.shape)
    x, pure = leaf(X), leaf(X)
    y = x * 1.0
    memory = y.detach()
    assert getattr(y, f"{name}_")(*arguments) is y
    expected = getattr(pure * 1.0, name)(*arguments)
    np.testing.assert_array_equal(memory.numpy(), expected.detach().numpy())
    (y * w).sum().backward()
    (expected * w).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), pure.grad.numpy())


def test_every_form_in_place_has_a_case():
    from chainrule.ops import scatter

    assert {*scatter.IN_PLACE.split(), "tril", "triu"} == set(IN_PLACE)


@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (5, 2), (3, 3, 3)])
@pytest.mark.parametrize("wrap", [False, True])
def test_fill_diagonal_is_numpys(shape, wrap):
    a = RNG.normal(size=shape)
    x = leaf(a)
    y = x * 1.0
    y.fill_diagonal_(7.0, wrap)
    expected = a.copy()
    np.fill_diagonal(expected, 7.0, wrap)
    np.testing.assert_array_equal(y.detach().numpy(), expected)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), expected != 7.0)


# --- what is refused -----------------------------------------------------------------------------

T = cr.zeros(3, 4)
K = cr.tensor([[0, 1]])


@pytest.mark.parametrize(
    "call, error, said",
    [
        (lambda: T.scatter(1, cr.tensor([[7]]), 1.0), IndexingError, "index 7 of scatter.*dimension 1 of length 4"),
        (lambda: T.scatter(2, K, 1.0), IndexingError, "-2..1"),
        (lambda: T.scatter(1, cr.tensor([0]), 1.0), ShapeError, "2 dimensions"),
        (lambda: T.scatter(1, cr.tensor([[0.5]]), 1.0), IndexingError, "whole numbers"),
        (lambda: T.scatter(1, K, cr.zeros(1, 1)), ShapeError, "at least as large"),
        (lambda: T.scatter(1, K), ArgumentError, "src=tensor"),
        (lambda: T.scatter(1, K, 1.0, reduce="max"), ArgumentError, "scatter_reduce"),
        (lambda: T.scatter_reduce(1, K, cr.zeros(1, 2), "max"), ArgumentError, "'amax'"),
        (lambda: T.long().scatter(1, K, 0.5), DtypeError, "does not fit into int64"),
        (lambda: T.scatter_add(1, K, cr.zeros(1, 2, dtype=cr.complex128)), DtypeError, "complex128"),
        (lambda: T.index_add(0, cr.tensor([3]), cr.zeros(1, 4)), IndexingError, "index 3 of index_add"),
        (lambda: T.index_add(0, cr.tensor([0, 1]), cr.zeros(3, 4)), ShapeError, r"broadcasts to \[2, 4\]"),
        (lambda: T.index_copy(0, cr.tensor([[0]]), T), ShapeError, "vector"),
        (lambda: T.index_put(cr.tensor([0]), 1.0), ArgumentError, "tuple"),
        (lambda: T.index_put((cr.tensor([5]),), 1.0), IndexError, "-3..2 in dimension 0"),
        (lambda: T.take(cr.tensor([12])), IndexingError, "length 12"),
        (lambda: T.put(cr.tensor([0, 1]), cr.zeros(3)), ShapeError, "2 places"),
        (lambda: T.masked_scatter(cr.ones(3, 4) > 0, cr.zeros(3)), ShapeError, "12 times"),
        (lambda: T.select_scatter(cr.zeros(4), 0, 3), IndexingError, "dimension 0 of length 3"),
        (lambda: T.slice_scatter(T, 0, 0, 2), ShapeError, r"broadcasts to \[2, 4\]"),
        (lambda: T.slice_scatter(T, step=0), ArgumentError, "step"),
        (lambda: T.diagonal_scatter(cr.zeros(4)), ShapeError, r"\[3\]"),
        (lambda: cr.zeros(2, 3, 3).fill_diagonal_(1), ShapeError, "equally long"),
        (lambda: T.gather(1, cr.tensor([[4]])), IndexingError, "index 4 of gather"),
        (lambda: cr.take_along_dim(T, cr.tensor([[0], [1]]), 1), ShapeError, "outside of dimension 1"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_an_error_with_a_way_out(call, error, said):
    with pytest.raises(error, match=said) as info:
        call()
    assert isinstance(info.value, ChainruleError)
    assert info.value.fix
    assert info.value.source is not None


@pytest.mark.parametrize("name", ["scatter", "scatter_add"])
def test_an_empty_index_changes_nothing(name):
    x = leaf(X)
    out = getattr(x, name)(0, cr.zeros(0, dtype=cr.int64), cr.zeros(0))
    np.testing.assert_array_equal(out.detach().numpy(), X)
    assert cr.gather(x, 1, cr.zeros(0, dtype=cr.int64)).shape == (0,)


@pytest.mark.parametrize("reduce", REDUCE)
def test_numbers_have_one_place(reduce):
    x = leaf(2.0)
    out = cr.scatter_reduce(x, 0, cr.tensor(0), cr.tensor(3.0), reduce)
    expected = {"sum": 5.0, "prod": 6.0, "mean": 2.5, "amax": 3.0, "amin": 2.0}[reduce]
    assert (out.item(), out.shape) == (expected, ())
