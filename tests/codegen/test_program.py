"""Graphs as programs, in machine code and in NumPy, compute what the reference engine computes."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.codegen import jit
from chainrule.codegen.on_numpy import NumpyProgram
from chainrule.codegen.program import Program
from chainrule.codegen.steps import Call, Kernel, Phase
from chainrule.ir.emitter import Emitter
from chainrule.ir.evaluate import evaluate
from chainrule.ir.graph import Graph
from chainrule.ir.types import Type
from chainrule.testing.fuzz import fuzz_graph
from chainrule.transforms.reverse import vjp

needs_llvm = pytest.mark.skipif(not jit.is_available(), reason="llvmlite knows no target here")
ENGINES = [NumpyProgram, *([Program] if jit.is_available() else [])]
RNG = np.random.default_rng(0)


def given_arrays(graph, args):
    """Arguments as C-ordered arrays; random cotangents for the inputs that a transform added."""
    rest = [
        np.asarray(np.random.default_rng(7).normal(size=v.shape)).astype(v.dtype)
        for v in graph.inputs[len(args) :]
    ]
    return [np.array(a, v.dtype, order="C") for a, v in zip([*args, *rest], graph.inputs, strict=True)]


def check(graph, args, rtol=1e-12, least=0.0, **how):
    """`least`: errors are measured by the scale of an output, and by no less than this."""
    arrays = given_arrays(graph, args)
    expected = evaluate(graph, *arrays)
    for engine in ENGINES:
        found = engine(graph, **how)(arrays)
        for out, reference in zip(found, expected, strict=True):
            out = np.asarray(out)
            assert out.shape == np.shape(reference)
            assert out.dtype == np.asarray(reference).dtype
            real = out.dtype.kind == "f"
            scale = np.max(np.abs(reference), initial=0, where=np.isfinite(reference)) if real else 0
            np.testing.assert_allclose(
                out, reference, rtol=rtol, atol=rtol * max(scale, least), err_msg=engine.__name__
            )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9), st.sampled_from([2, 64]))
def test_random_graphs_and_their_gradients(seed, long):
    """`long=2` makes tiles of axes that an ordinary plan leaves alone."""
    program = fuzz_graph(np.random.default_rng(seed), size=8)
    check(program.graph, program.args, rtol=1e-10, long=long, tile=16)
    gradient = vjp(program.graph)
    check(gradient, program.args, rtol=1e-9, long=long, tile=16)


@needs_llvm
def test_the_comparison_can_fail(monkeypatch):
    from chainrule.codegen import scalar

    monkeypatch.setitem(scalar.LOWER, "add", lambda x, y: x + y * (1 + 1e-9))
    g = Graph()
    x = g.input(Type((3,), np.dtype(float)))
    g.outputs.append(g.emit("add", x, x))
    with pytest.raises(AssertionError):
        check(g, [np.ones(3)])


def lse(x):
    return cr.log(cr.exp(x - x.max()).sum()) + x.max()


def mixture(mu, x):
    """Distances to some centres, as a soft and a hard minimum."""
    d = ((x[:, None, :] - mu[None, :, :]) ** 2).sum(2)
    return cr.logsumexp(-d, 1).sum() + d.amin(1).sum()


def layer(w, b, x):
    return (cr.tanh(x @ w + b) ** 2).mean()


PROGRAMS = {
    "log of a sum": (lse, [(1000,)]),
    "soft and hard minimum": (mixture, [(5, 3), (200, 3)]),
    "layer": (layer, [(3, 4), (4,), (130, 3)]),
    "standardised": (lambda x: (((x - x.mean(0)) / x.std(0)) ** 3).sum(), [(100, 3)]),
    "softmax": (lambda x: (cr.softmax(x, 1) ** 2).sum(), [(77, 5)]),
    "neighbours": (lambda x: ((x[1:] - x[:-1] ** 2) ** 2).sum(), [(501,)]),
    "rows that a sum reads again": (
        lambda x: (cr.tanh(x)[..., None] * cr.arange(-1.0, 3.0)).sum(-1),
        [(170, 2)],
    ),
    "matrix": (lambda x: cr.sin(x @ x.T).sum(), [(70, 3)]),
    "picked": (lambda x: x[:, 2].sum() * x[3].sum() + x[-1, 0], [(90, 4)]),
    "flipped": (lambda x: (x * cr.flip(x, [0])).sum(), [(99,)]),
    "reshaped": (lambda x: (x.reshape(100, 6).sum(1) ** 2).sum() + x.reshape(-1).max(), [(100, 2, 3)]),
    "chosen": (lambda x: cr.where(x > 0, cr.log(x), x * 0.5).sum(), [(133,)]),
    "vector result": (lambda x: cr.exp(x) / cr.exp(x).sum(), [(120,)]),
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("tile", [16, 4096])
def test_programs_and_their_gradients(name, tile):
    f, shapes = PROGRAMS[name]
    args = [RNG.normal(size=s) for s in shapes]
    g = cr.graph_of(f, *args)
    check(g, args, tile=tile)
    check(vjp(g), args, rtol=1e-10, tile=tile)


def test_a_sum_over_samples_takes_one_phase_forward_and_backward():
    args = [RNG.normal(size=s) for s in [(3, 4), (4,), (1000, 3)]]
    plan = NumpyProgram(vjp(cr.graph_of(layer, *args), [0, 1])).plan
    assert sum(isinstance(s, Phase) for s in plan.steps) == 1
    assert not any(isinstance(s, Call) for s in plan.steps)


@pytest.mark.parametrize("engine", ENGINES)
def test_inactive_routes_stay_inactive(engine):
    g = vjp(cr.graph_of(lambda x: cr.where(x > 0, cr.sqrt(x), x * 0.0).sum(), np.zeros(70)))
    _, ct = engine(g)([np.linspace(0, 1, 70), np.ones(())])
    assert ct[0] == 0
    assert np.isfinite(ct).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_single_precision_stays_single(dtype):
    program = fuzz_graph(np.random.default_rng(5), size=8, dtype=dtype)
    check(program.graph, program.args, rtol=1e-12 if dtype is np.float64 else 1e-4, long=2, tile=16)


@pytest.mark.parametrize("engine", ENGINES)
def test_results_have_memory_of_their_own(engine):
    g = Graph()
    x = g.input(Type((70,), np.dtype(float)))
    y = Emitter(g)("mul", x, 2.0)
    g.outputs += [x, y, y]
    program = engine(g)
    a = np.ones(70)
    first, second, third = program([a])
    first += 1
    second += 5
    assert a.tolist() == [1.0] * 70
    assert third.tolist() == [2.0] * 70
    assert program([a])[1].tolist() == [2.0] * 70


def test_what_has_no_lowering_is_a_call_with_its_reason():
    plan = NumpyProgram(cr.graph_of(lambda x: cr.sort(cr.exp(x)).values.sum(), RNG.normal(size=80))).plan
    reasons = [s.reason for s in plan.steps if isinstance(s, Call)]
    assert reasons
    assert all(reasons)


def products(x, w, v):
    """Products large enough for BLAS: of tiles with a matrix, and of tiles with tiles."""
    y = cr.tanh(cr.sin(x) @ w) @ v
    return (y**2).sum()


@pytest.mark.parametrize("tile", [32, 64, 4096])
@pytest.mark.parametrize("shape", [(130, 20), (128, 20)])
def test_products_of_matrices_go_to_blas_tile_by_tile(tile, shape):
    args = [RNG.normal(size=s) for s in [shape, (20, 24), (24, 17)]]
    g = cr.graph_of(products, *args)
    assert len(NumpyProgram(g).plan.products) == 2
    check(g, args, tile=tile)
    check(vjp(g), args, rtol=1e-11, tile=tile)


def test_batched_products_and_transposed_factors():
    def f(q, x):
        y = cr.einsum("kij,nkj->nki", q, x[:, None, :] - q[None, :, 0, :])
        return (y * (x @ q[0].T)[:, None, :]).sum()

    args = [RNG.normal(size=(3, 18, 18)), RNG.normal(size=(100, 18))]
    check(vjp(cr.graph_of(f, *args)), args, rtol=1e-11)


def test_single_precision_products():
    args = [RNG.normal(size=s).astype(np.float32) for s in [(90, 20), (20, 24), (24, 17)]]
    check(vjp(cr.graph_of(products, *args)), args, rtol=2e-4)


def same_bits_for_any_number_of_threads(program, arrays):
    from chainrule.codegen import threads

    assert any(s.chunks > 4 for s in program.plan.steps if isinstance(s, Phase))
    before, found = threads.get_num_threads(), []
    try:
        for n in (1, 2, 3, 7):
            threads.set_num_threads(n)
            found.append([np.asarray(a).tobytes() for a in program(arrays)])
    finally:
        threads.set_num_threads(before)
    assert all(f == found[0] for f in found)


@needs_llvm
def test_results_are_the_same_to_the_last_bit_for_any_number_of_threads(monkeypatch):
    from chainrule.codegen import plan

    monkeypatch.setattr(plan, "_CHUNK_WORK", 100)  # chunks for little work
    args = [RNG.normal(size=s) for s in [(3, 4), (4,), (1000, 3)]]
    g = vjp(cr.graph_of(layer, *args))
    program, arrays = Program(g, tile=32), given_arrays(g, args)
    same_bits_for_any_number_of_threads(program, arrays)
    for out, reference in zip(program(arrays), evaluate(g, *arrays), strict=True):
        np.testing.assert_allclose(out, reference, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("shape", [(), (100,)])
def test_long_chains_of_operations(shape):
    """Expressions are inlined, and a loop of Python makes deep ones."""

    def grown(x):
        y = x
        for _ in range(500):
            y = y * 1.001 + x * 0.01
        return y

    g = cr.graph_of(grown, np.ones(shape))
    check(g, [RNG.normal(size=shape)])
    check(vjp(g), [RNG.normal(size=shape)])


def nearest(centres, points):
    return cr.amin(((points[:, None, :] - centres[None]) ** 2).sum(2), 1).sum()


@pytest.mark.parametrize("samples", [70, 64, 257])
@pytest.mark.parametrize("special", [None, "ties", "nan", "inf"])
def test_the_gradient_of_a_minimum_passes_over_what_is_not_the_smallest(samples, special):
    centres, points = RNG.normal(size=(20, 3)), RNG.normal(size=(samples, 3))
    if special == "ties":
        centres[7] = centres[3]
    elif special is not None:
        points[5, 1] = float(special)
    g = vjp(cr.graph_of(nearest, centres, points))
    program = NumpyProgram(g, tile=32)
    assert any(
        k.guard
        for s in program.plan.steps
        if isinstance(s, Phase)
        for k in s.kernels
        if isinstance(k, Kernel)
    )
    check(g, [centres, points, 1.0], tile=32, rtol=1e-10)
    check(g, [centres, points, 1.0], rtol=1e-10)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_program_may_be_called_by_several_threads_at_once(engine):
    from concurrent.futures import ThreadPoolExecutor

    program = engine(cr.graph_of(lambda x: (cr.sin(x) ** 2).sum(), np.ones(500)))
    points = [np.full(500, float(k)) for k in range(40)]
    with ThreadPoolExecutor(8) as pool:
        found = [out[0] for out in pool.map(lambda x: program([x]), points)]
    np.testing.assert_allclose(found, [500 * np.sin(k) ** 2 for k in range(40)], rtol=1e-13)


@needs_llvm
@pytest.mark.parametrize("first", ["", "import scipy.linalg"])
def test_blas_is_found_without_the_rest_of_scipy_linalg(first):
    """In a process of its own; scipy.linalg can be imported before and after."""
    code = f"""
import sys
import os
import subprocess
import sys

import numpy as np
import chainrule as cr
{first}
f = cr.compile(lambda a, b: cr.tanh(a @ b))
a, b = np.ones((200, 64)), np.eye(64)
np.testing.assert_allclose(f(a, b), np.tanh(a))
assert f._made().function.program.plan.products, "BLAS is not asked"
assert ("scipy.linalg" in sys.modules) is {bool(first)}
import scipy.linalg
assert scipy.linalg.blas.dgemm(2.0, b, b)[3, 3] == 2.0 and round(scipy.linalg.det(2 * np.eye(3))) == 8
np.testing.assert_allclose(f(2 * a, b), np.tanh(2 * a))
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "CHAINRULE_CACHE": "off"})
