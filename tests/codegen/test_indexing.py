"""What moves entries by keys: parts and neighbours of arrays, written and read in place."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.codegen import jit
from chainrule.codegen.keys import Along, Pick, places_of
from chainrule.codegen.program import Program
from chainrule.codegen.steps import Call
from chainrule.table.index import numpy_key
from tests.codegen.test_program import check
from tests.codegen.test_random_programs import derivative

pytestmark = pytest.mark.skipif(not jit.is_available(), reason="llvmlite knows no target here")
RNG = np.random.default_rng(0)
pad = cr.nn.functional.pad


def assigned(x):
    y = x * 2.0
    y[1:-1] = cr.sin(x[2:])
    y[0] = 3.0
    y[..., 5::3] = x[7]
    return cr.tanh(y) * x


def rows_assigned(x):
    y = cr.zeros(x.shape[0], 6)
    y[:, 1:4] = x
    y[:, 4] = x[:, 0] * x[:, 1]
    y[3] = cr.exp(y[4])
    return y * y.sum(0)


# Programs of one array, and its shape.
PROGRAMS = {
    "differences": (lambda x: ((x[1:] - x[:-1]) ** 2).sum(), (301,)),
    "second differences": (lambda x: cr.sin(x[2:] - 2 * x[1:-1] + x[:-2]), (301,)),
    "differences of columns": (lambda x: cr.tanh(x[:, 1:] - x[:, :-1]), (100, 5)),
    "differences of rows": (lambda x: cr.tanh(x[1:] - x[:-1]).sum(0), (100, 5)),
    "every third": (lambda x: cr.exp(x[1::3]) * x[:100], (301,)),
    "every second, backwards": (lambda x: cr.flip(x[::2], [0]) * x[100:201], (201,)),
    "convolution": (lambda x: sum(x[k : 296 + k] * x[k] for k in range(5)) ** 2, (300,)),
    "padded": (lambda x: cr.sin(pad(x, (1, 2))) * 2, (130,)),
    "padded, read once more": (lambda x: pad(cr.exp(x), (3, 0))[:-3] * x, (130,)),
    "framed": (lambda x: cr.tanh(pad(x, (1, 1, 2, 0))), (20, 70)),
    "laplacian": (lambda x: (u := pad(x, (1, 1, 1, 1)))[1:-1, 2:] + u[1:-1, :-2] + u[2:, 1:-1] - 4 * x * x, (20, 70)),
    "joined": (lambda x: cr.tanh(cr.cat([x, x * x, x[:5]])), (130,)),
    "joined columns": (lambda x: cr.cat([x, cr.sin(x), x[:, :1]], 1).sum(1) * x[:, 0], (130, 4)),
    "stacked": (lambda x: cr.exp(cr.stack([x, x * x], -1)).sum(0), (130,)),
    "rolled": (lambda x: cr.roll(x, 3, 0) * x - cr.roll(cr.sin(x), -1, 0), (130,)),
    "rolled columns": (lambda x: (cr.roll(x, 1, 1) - x) ** 2, (90, 6)),
    "assigned": (assigned, (130,)),
    "rows assigned": (rows_assigned, (130, 3)),
    "diagonal": (lambda x: cr.diagonal(x * x, 1).sum() + cr.sin(cr.diagonal(x)), (80, 80)),
    "on a diagonal": (lambda x: cr.tanh(cr.diag_embed(x) + cr.diag(x, -2)[2:, 2:]), (70,)),
    "windows": (lambda x: cr.tanh(x.unfold(0, 5, 1)).sum(1), (140,)),
    "windows apart": (lambda x: cr.exp(x.unfold(1, 4, 3)), (5, 100)),
    "wide windows": (lambda x: cr.tanh(x.unfold(0, 20, 1)).sum(1), (140,)),
    "wide windows of rows": (lambda x: cr.exp(x.unfold(1, 17, 2)), (5, 50)),
    "triangles": (lambda x: cr.exp(cr.tril(x)) * cr.triu(x, 1).sum(0), (70, 70)),
    "repeated": (lambda x: cr.sin(x.repeat(2, 3)).sum(0), (65, 4)),
    "numbers": (lambda x: x[3] * x[-1] + cr.cat([x[:1], x[2:3] * x[5]]), (70,)),
    "parts of parts": (lambda x: pad(pad(x[2:], (1, 1))[:-1], (4, 0))[3:], (70,)),
}  # fmt: skip


def without_calls(f, args, order, **how):
    g = derivative(cr.graph_of(f, *args), order)
    assert not any(isinstance(s, Call) for s in Program(g, **how).plan.steps)
    check(g, args, rtol=1e-10, least=1e-3, **how)


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("how", [dict(tile=32), dict(tile=4096), dict(long=10**9)])
def test_programs_and_their_derivatives_have_kernels(name, order, how):
    f, shape = PROGRAMS[name]
    without_calls(f, [RNG.normal(size=shape)], order, **how)


@pytest.mark.parametrize("name", ["differences", "laplacian", "joined columns", "rows assigned"])
def test_single_precision(name):
    f, shape = PROGRAMS[name]
    args = [RNG.normal(size=shape).astype(np.float32)]
    check(derivative(cr.graph_of(f, *args), 1), args, rtol=1e-4, least=1e-2, tile=32)


@pytest.mark.parametrize("dtype", [bool, np.int64])
def test_truth_values_and_whole_numbers_move_too(dtype):
    x = RNG.integers(0, 2, 100).astype(dtype)

    def f(x):
        y = cr.cat([x, x[1:], x[:1]])
        y[3:5] = x[7]
        return cr.roll(y, 5, 0)

    (found,) = Program(cr.graph_of(f, x), tile=32)([x])
    y = np.concatenate([x, x[1:], x[:1]])
    y[3:5] = x[7]
    np.testing.assert_array_equal(found, np.roll(y, 5))
    assert found.dtype == dtype


def test_empty_parts():
    x = RNG.normal(size=70)

    def f(x):
        y = x * 2
        y[5:5] = 7.0
        return cr.cat([x[:0], y, x[3:3]])

    without_calls(f, [x], 1, tile=32)


def test_a_stencil_and_its_gradient_are_one_loop():
    """What neighbours read is computed again rather than kept: one pass over the argument."""
    plan = Program(derivative(cr.graph_of(lambda x: ((x[1:] - x[:-1]) ** 2).sum(), np.zeros(500)), 1)).plan
    written = {o.var for s in plan.steps for k in getattr(s, "kernels", [s]) for o in k.outputs}
    assert written == {plan.graph.outputs[0], plan.graph.outputs[1]}


SHAPES = {"row": (3,), "column": (2, 1), "number": ()}
KEYS = st.lists(st.sampled_from(["slice", "int", "new", "rest", *SHAPES]), max_size=5)


@settings(max_examples=200, deadline=None)
@given(KEYS, st.integers(0, 10**6))
def test_places_are_those_that_numpy_picks(kinds, seed):
    """On an array whose entries are their own places."""
    rng = np.random.default_rng(seed)
    whole = tuple(int(n) for n in rng.integers(2, 5, size=4))
    spec, arrays = [], []
    for kind in kinds:
        consumed = sum(item[0] not in ("new", "rest") for item in spec)
        if (kind == "rest" and ("rest",) in spec) or (kind not in ("new", "rest") and consumed == 4):
            continue
        if kind in SHAPES:
            arrays.append(rng.integers(0, 2, size=SHAPES[kind]))
            spec.append(("array", len(arrays) - 1))
        else:
            step = int(rng.choice([-2, 1, 2]))
            spec.append({"slice": ("slice", None, None, step), "int": ("int", -1)}.get(kind, (kind,)))
    flat = np.arange(np.prod(whole)).reshape(whole)
    expected = flat[numpy_key(spec, arrays)]
    places, entries = places_of(spec, whole, [a.shape for a in arrays])
    assert entries == expected.shape
    for entry in np.ndindex(*entries):
        at = tuple(_place(p, entry, arrays) for p in places)
        assert flat[at] == expected[entry]


def _place(place, entry, arrays):
    if isinstance(place, Along):
        return place.offset + sum(step * entry[k] for k, step in place.steps)
    assert isinstance(place, Pick)
    return arrays[place.index][tuple(0 if k is None else entry[k] for k in place.dims)]
