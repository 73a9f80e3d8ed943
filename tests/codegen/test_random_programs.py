"""Random programs and their derivatives agree with the reference engine."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.codegen.prepare import planned
from chainrule.codegen.program import Program
from chainrule.transforms.forward import jvp
from chainrule.transforms.reverse import vjp
from tests.codegen.agreement import check_agreement
from tests.codegen.programs import arguments, program
from tests.codegen.test_program import ENGINES, check, given_arrays, needs_llvm

TILES = st.sampled_from([32, 96, 4096])


def derivative(g, order):
    """The graph, its pullback, and pushforwards of that."""
    for k in range(order):
        wrt = [i for i, v in enumerate(g.inputs) if v.dtype.kind == "f"][:4]
        g = vjp(g, wrt) if k == 0 else jvp(g, wrt)
    return g


def compare(seed, order, tile, long=64, dtype=np.float64, empty=False):
    args = arguments(np.random.default_rng(seed), dtype=dtype, empty=empty)
    g = derivative(cr.graph_of(program(seed, size=8 if order < 2 else 5), *args), order)
    arrays = given_arrays(g, args)
    for engine in ENGINES:
        check_agreement(engine(g, tile=tile, long=long)(arrays), g, arrays)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**9), st.integers(0, 2), TILES)
def test_programs_on_long_arrays(seed, order, tile):
    compare(seed, order, tile)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**9), st.integers(0, 1), TILES)
def test_programs_in_single_precision_with_empty_arrays(seed, order, tile):
    compare(seed, order, tile, dtype=np.float32, empty=True)


# A value that is read at its own sample and at another one, which another tile holds.
CROSSING = {
    "backwards": lambda x: (y := cr.sin(x)) * cr.flip(y, [0]),
    "backwards, with arguments as they come": lambda x: x[:, None] ** 2 / (1 + cr.flip(x[:, None], [0]) ** 2),
    "rows as columns": lambda x: (y := cr.sin(x).reshape(20, 10)) * 2 + cr.softmax(y.T.reshape(20, 10), 0),
    "one sample for all": lambda x: (y := cr.exp(-x * x)) * y[3],
    "a diagonal": lambda x: (
        (y := cr.sin(x[:, None] * cr.linspace(0.0, 1.0, 201)[None, :])).T @ y,
        cr.diagonal(y, 1),
    ),
    "the other end": lambda x: cr.where(x > cr.flip(x, [0]), x, cr.tanh(cr.flip(cr.tanh(x), [0]))),
}


@pytest.mark.parametrize("name", CROSSING)
@pytest.mark.parametrize("order", [0, 1, 2])
def test_samples_that_read_other_samples_wait_for_them(name, order):
    x = np.random.default_rng(0).normal(size=200)
    check(derivative(cr.graph_of(CROSSING[name], x), order), [x], rtol=1e-10, least=1e-3, tile=32)


# Each sample with each: an array goes along two dimensions of one value.
PAIRS = {
    "distances": lambda x: cr.exp(-((x[:, None] - x[None]) ** 2)).sum(),
    "sums of both kinds": lambda x: (d := cr.sin(x[:, None] * x[None])).sum(0) + d.sum(1) + x,
    "points": lambda x: (y := x.reshape(50, 4), ((y[:, None] - y[None]) ** 2).sum(2).amax(1))[1],
    "with itself turned": lambda x: (d := cr.tanh(x[:, None] + 2 * x[None])) * d.T,
    "a triangle": lambda x: cr.tril(cr.exp(-(x[:, None] ** 2) * x[None] ** 2)).sum(1) * x,
    "products of rows and columns": lambda x: (d := cr.sin(x[:, None] - x[None])) @ (d.T @ cr.cos(d)) @ x,
    "normalised": lambda x: cr.softmax(x[:, None] * x[None], 1) @ x,
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("order", [0, 1, 2])
def test_each_sample_with_each(name, order):
    x = np.random.default_rng(0).normal(size=200)
    check(derivative(cr.graph_of(PAIRS[name], x), order), [x], rtol=1e-10, least=1e-3, tile=32)


@pytest.mark.parametrize("order", [0, 1])
def test_what_each_sample_has_with_each_is_in_tiles(order):
    plan = planned(derivative(cr.graph_of(PAIRS["distances"], np.ones(200)), order))
    assert plan.axis.extent == 200
    assert max(v.type.size for v in plan.places) <= 200


@pytest.mark.parametrize("f", [cr.isfinite, cr.isnan, cr.isinf, cr.signbit])
def test_truth_values_of_a_tile_of_one_sample(f):
    """A column of the result: NumPy 2.4.6 writes there wrongly when it is asked to."""
    x = np.random.default_rng(0).normal(size=(65, 65)).astype(np.float32)
    expected = {cr.isfinite: np.isfinite, cr.isnan: np.isnan, cr.isinf: np.isinf, cr.signbit: np.signbit}[f](
        x
    )
    g = cr.graph_of(lambda x: (f(x), cr.sin(x).sum(1)), x)
    for engine in ENGINES:
        for _ in range(5):
            np.testing.assert_array_equal(engine(g, tile=64)([x])[0], expected)


@needs_llvm
def test_a_wrong_digit_is_caught(monkeypatch):
    """What rounding explains is far less than a relative error of 1e-9."""
    from chainrule.codegen import scalar

    right = scalar.LOWER["tanh"]
    monkeypatch.setitem(scalar.LOWER, "tanh", lambda x: right(x) * (1 + 1e-9))
    x = np.linspace(-1, 1, 100)
    g = cr.graph_of(lambda x: cr.tanh(x) + x.sum(), x)
    with pytest.raises(AssertionError, match="of 100 entries"):
        check_agreement(Program(g)([x]), g, [x])


def test_what_is_kept_for_a_tile_is_not_read_at_samples_of_another(monkeypatch):
    """The first and the last sample of a condition that every sample of a tile reads several times."""
    from chainrule.codegen import places
    from chainrule.codegen.on_numpy import NumpyProgram

    monkeypatch.setattr(places, "_SMALL", 3)  # as if the condition were a long one

    def f(x):
        z = x * 1.0
        z[np.array([0, -1])] = x[0:1] * 0.3
        return cr.where((z > 0.1) & ~(x > 0.3), cr.sin(z), 0.0)

    x = np.random.default_rng(0).normal(size=192)
    x[[0, -1]] = 0.2, 0.7  # one end is on the route, the other is not
    g = vjp(cr.graph_of(f, x))
    arrays = given_arrays(g, [x])
    for engine in (Program, NumpyProgram):
        check_agreement(engine(g, tile=32, long=64)(arrays), g, arrays)
