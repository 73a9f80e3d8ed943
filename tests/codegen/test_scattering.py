"""Entries picked by arrays of places, and added where such arrays tell: values, derivatives, refusals, threads."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.codegen import jit
from chainrule.codegen.program import Program
from chainrule.codegen.steps import Call
from chainrule.transforms.reverse import vjp
from tests.codegen.test_program import check, given_arrays, same_bits_for_any_number_of_threads
from tests.codegen.test_random_programs import derivative

pytestmark = pytest.mark.skipif(not jit.is_available(), reason="llvmlite knows no target here")
RNG = np.random.default_rng(0)
IDS = RNG.integers(-20, 20, 150)
ROWS, COLUMNS = (list(i) for i in np.triu_indices(6, 1))


def triangle(q):
    u = cr.zeros(7, 6, 6)
    u[:, ROWS, COLUMNS] = q
    return cr.sin(u @ u.transpose(1, 2)).sum(0)


def overwritten(x):
    y = x * 2.0
    y[[3, 1, 3, -1]] = cr.sin(x[:4])
    return y * y


def written(x, i, v):
    """Entries written at places that are not known beforehand: the last one stays."""
    y = x * 2.0
    y[i] = cr.sin(v)
    return y * y + x


def blocks_written(x, i, j, v):
    y = cr.exp(x)
    y[:, i[:, None], j] = v * 2.0
    return y * x


def message(h, src, dst):
    """Messages along the edges of a graph, summed at the nodes."""
    m = cr.tanh(h[src] - h[dst])
    return cr.zeros(*h.shape).index_add(0, dst, m) * h


def entropy(x, labels):
    return -cr.log_softmax(x, 1)[cr.arange(x.shape[0]), labels].mean()


def entropy_gathered(x, labels):
    return -cr.gather(cr.log_softmax(x, 1), 1, labels[:, None]).sum()


def nearest(centres, points):
    """Distances to the nearest centres, which are looked for first."""
    i = ((points[:, None] - centres) ** 2).sum(2).detach().argmin(1)
    return ((points - centres[i]) ** 2).sum()


# Programs, and their arguments: numbers, and arrays of places.
PROGRAMS = {
    "rows by a list": (lambda w: cr.tanh(w[list(IDS)]).sum(0), [(20, 3)]),
    "rows": (lambda w, i: cr.tanh(w[i]).sum(0), [(20, 3), IDS]),
    "few rows": (lambda w, i: cr.tanh(w[i]), [(90, 3), IDS[:3]]),
    "columns": (lambda w, i: cr.tanh(w[:, i]).sum(1), [(3, 20), IDS]),
    "columns of samples": (lambda x, i: cr.tanh(x[:, i]) * x[:, :2], [(130, 20), IDS[:2]]),
    "many columns of samples": (lambda x, i: cr.tanh(x[:, i] * x.sum(1)[:, None]), [(90, 20), IDS[:30]]),
    "of a computed array": (lambda w, i: (cr.exp(w) * w)[i].sum(), [(20,), IDS]),
    "of every sample": (lambda x, i: cr.sin(x)[i] * x, [(150,), RNG.integers(0, 150, 150)]),
    "one by one": (lambda x, i: x[i[0]] * x[i[1]] + x, [(70,), IDS[:2]]),
    "points": (lambda x, i, j: cr.exp(x[i, j]), [(20, 30), IDS, np.arange(150) % 30]),
    "rows of columns": (lambda x, i, j: cr.exp(x[i[:, None], j]), [(20, 30), IDS[:80], np.array([0, 7, 7])]),
    "a number and an array": (lambda x, i: cr.exp(x[2, :, i]) * 2, [(3, 4, 20), IDS]),
    "apart": (lambda x, i: cr.exp(x[i, :, i]), [(20, 4, 20), IDS]),
    "computed places": (lambda x, i: x[(i * 7 + 3) % 20] * x[cr.abs(i) // 2], [(20,), IDS]),
    "nearest": (nearest, [(5, 2), (140, 2)]),
    "largest": (lambda x: cr.exp(x.max(1).values) * 2, [(130, 7)]),
    "entropy": (entropy, [(130, 7), RNG.integers(0, 7, 130)]),
    "entropy, gathered": (entropy_gathered, [(130, 7), RNG.integers(0, 7, 130)]),
    "gathered along the samples": (lambda x, i: cr.gather(x, 0, i) ** 2, [(90, 3), RNG.integers(0, 90, (100, 3))]),
    "gathered by many": (lambda x, i: cr.gather(cr.sin(x), 1, i), [(90, 9), RNG.integers(0, 9, (90, 8))]),
    "triangle": (triangle, [(7, 15)]),
    "overwritten": (overwritten, [(90,)]),
    "written": (written, [(90,), RNG.integers(-90, 90, 150), (150,)]),
    "rows written": (written, [(20, 3), IDS, (150, 3)]),
    "one value written": (written, [(90,), RNG.integers(-90, 90, 50), ()]),
    "blocks written": (blocks_written, [(3, 20, 9), IDS[:30], np.array([8, 0, 8]), (3, 30, 3)]),
    "blocks written at known places": (
        lambda x, v: blocks_written(x, cr.arange(30) % 20, cr.arange(3) ** 2, v), [(3, 20, 9), (3, 30, 3)],
    ),
    "one value added to one place": (lambda v: cr.zeros(3).index_add(0, cr.tensor([1] * 9), v.expand(9)) * 2, [()]),
    "one row many times": (lambda x: (x[[0] * 9] ** 2).sum(0), [(1, 70)]),
    "permuted": (lambda x: cr.exp(x[list(range(69, -1, -1))][[*range(35, 70), *range(35)]]) * x, [(70,)]),
    "repeated": (lambda x: cr.tanh(cr.repeat_interleave(x, 3, 0)).sum(1), [(60, 2)]),
    "histogram": (lambda x, i: cr.zeros(20).index_add(0, i, x) ** 2, [(150,), IDS]),
    "messages": (message, [(20, 3), IDS, RNG.integers(0, 20, 150)]),
    "put": (lambda x, i: cr.zeros(90, 9).scatter_add(1, i, x) ** 2, [(90, 2), RNG.integers(0, 9, (90, 2))]),
    "windows of places": (lambda x, i: x[i[:, None] + cr.arange(3)].sum(1) * 2, [(30,), IDS % 20]),
    "picked and padded": (lambda x, i: cr.nn.functional.pad(cr.sin(x[i]), (2, 1))[1:] * 2, [(20,), IDS]),
}  # fmt: skip


def arguments(given):
    return [RNG.normal(size=a) if isinstance(a, tuple) else a for a in given]


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("how", [dict(tile=32), dict(tile=4096), dict(long=10**9)])
def test_programs_and_their_derivatives_have_kernels(name, order, how):
    f, given = PROGRAMS[name]
    args = arguments(given)
    g = derivative(cr.graph_of(f, *args), order)
    assert not any(isinstance(s, Call) for s in Program(g, **how).plan.steps)
    check(g, args, rtol=1e-10, least=1e-3, **how)


@pytest.mark.parametrize("name", ["rows", "entropy", "triangle", "histogram"])
def test_single_precision(name):
    f, given = PROGRAMS[name]
    args = [a.astype(np.float32) if a.dtype == float else a for a in arguments(given)]
    check(derivative(cr.graph_of(f, *args), 1), args, rtol=1e-4, least=1e-2, tile=32)


def test_gradients_of_rows_are_sums_over_their_places():
    w, ids = RNG.normal(size=(20, 3)), IDS % 20
    gradient = cr.compile(cr.grad(lambda w, i: (w[i] ** 3).sum()))(w, ids)
    np.testing.assert_allclose(gradient, 3 * w**2 * np.bincount(ids, minlength=20)[:, None], rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_places_of_any_whole_dtype(dtype):
    x, i = RNG.normal(size=20), (IDS % 20).astype(dtype)
    found = cr.compile(lambda x, i: x[i] * 2)(x, cr.tensor(i))
    np.testing.assert_array_equal(found, x[i] * 2)


SEARCHED = np.array(
    [[3.0, 3.0, 1.0], [-np.inf] * 3, [np.inf, -np.inf, np.inf], [1.0, np.nan, np.nan], [0.0, -0.0, 0.0]]
)


@pytest.mark.parametrize("search", [cr.argmax, cr.argmin])
@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize("how", [dict(tile=32), dict(long=10**9)])
def test_the_first_of_equal_ones_is_found_and_the_first_nan(search, dim, how):
    x = np.resize(SEARCHED, (40 * 5, 3)) if dim else np.ascontiguousarray(np.resize(SEARCHED, (40 * 5, 3)).T)
    check(
        cr.graph_of(lambda x: (search(x, dim), search((x > 1).to(cr.int64), dim, keepdim=True)), x),
        [x],
        **how,
    )


OUT_OF_RANGE = {
    "index": lambda x, i: x[i],
    "index, behind others": lambda x, i: cr.sin(x * 2).sum() + x[i].sum(),
    "gather": lambda x, i: cr.gather(x, 0, i),
    "scatter": lambda x, i: cr.zeros(20).index_add(0, i, x[:7] * 1.0),
    "computed": lambda x, i: x[i * 1 + 0],
    "gradient": cr.grad(lambda x, i: (x[i] ** 2).sum()),
}


@pytest.mark.parametrize("name", OUT_OF_RANGE)
@pytest.mark.parametrize("bad", [20, -21, 10**12, -(10**12)])
@pytest.mark.parametrize("n", [7, 150])
def test_a_place_out_of_range_is_refused_as_without_compiling(name, bad, n):
    f, x = OUT_OF_RANGE[name], RNG.normal(size=20)
    good = np.resize(np.arange(-20, 20), n) if name != "scatter" else np.arange(7)
    wrong = good.copy()
    wrong[5] = bad
    g = cr.compile(f)
    expected = g(x, cr.tensor(good))
    with pytest.raises(cr.errors.IndexingError, match=str(bad)):
        f(cr.tensor(x), cr.tensor(wrong))
    with pytest.raises(cr.errors.IndexingError, match=str(bad)) as error:
        g(x, cr.tensor(wrong))
    assert "test_scattering.py" in str(error.value)
    np.testing.assert_array_equal(g(x, cr.tensor(good)), expected)  # and the next call is as before


def test_sums_at_places_are_the_same_to_the_last_bit_for_any_number_of_threads(monkeypatch):
    from chainrule.codegen import plan

    monkeypatch.setattr(plan, "_CHUNK_WORK", 100)
    args = [RNG.normal(size=(20, 3)), RNG.integers(0, 20, 1000)]
    g = vjp(cr.graph_of(PROGRAMS["rows"][0], *args), [0])
    same_bits_for_any_number_of_threads(Program(g, tile=32), given_arrays(g, args))


def test_what_is_added_at_one_place_is_added_in_order():
    """As NumPy's add.at: bit for bit, where there is one chunk."""
    x, i = RNG.normal(size=1000) * 10.0 ** RNG.integers(-8, 8, 1000), RNG.integers(0, 3, 1000)
    (found,) = Program(cr.graph_of(lambda x, i: cr.zeros(3).index_add(0, i, x), x, i))([x, i])
    expected = np.zeros(3)
    np.add.at(expected, i, x)
    assert found.tobytes() == expected.tobytes()
