"""No kernel reads or writes outside of its arrays: arguments, results, tiles, sums and constants have walls."""

import ctypes
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.codegen import jit, plan, threads
from chainrule.codegen.program import Program
from tests.codegen.programs import arguments, program
from tests.codegen.test_program import given_arrays
from tests.codegen.test_random_programs import derivative
from tests.codegen.walls import Walls, are_possible

pytestmark = [
    pytest.mark.skipif(not jit.is_available(), reason="llvmlite knows no target here"),
    pytest.mark.skipif(not are_possible(), reason="pages cannot be protected here"),
]
RNG = np.random.default_rng(0)


def run_between_walls(g, args, **how):
    """The outputs are the same to the last bit, however the arrays lie."""
    arrays = given_arrays(g, args)
    plain = Program(g, **how)(arrays)
    for side in ("behind", "before"):
        walls = Walls(side)
        with walls.stand():
            found = Program(g, **how)([walls.copy(a) for a in arrays])
        walls.check()
        for out, same in zip(found, plain, strict=True):
            np.testing.assert_array_equal(out, same)


@pytest.mark.parametrize("seed", range(12))
def test_random_programs(seed, monkeypatch):
    monkeypatch.setattr(plan, "_CHUNK_WORK", (50, 200_000)[seed % 2])  # chunks, and sums for each
    args = arguments(np.random.default_rng(seed), dtype=np.float32 if seed % 3 == 0 else np.float64)
    g = derivative(cr.graph_of(program(seed, size=6), *args), seed % 2)
    run_between_walls(g, args, tile=(32, 96)[seed % 2], long=(2, 64)[seed // 2 % 2])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [1, 7, 8, 9, 17, 31, 33, 64, 95, 130])
def test_every_number_of_left_over_lanes(n, dtype):
    """Truth values, whole numbers, gathers and products of an axis that ends within a vector."""

    def f(x, w):
        y = cr.where((x > 0.1) & (x < 2.0), cr.sin(x), x.floor())
        i = cr.arange(x.shape[0])[:, None] % 3
        picked = cr.flip(y, [0]) * (i == 1) + y[:, ::2].sum(1, keepdim=True)
        return picked, (y > 0).any(0), y.T @ picked, cr.tanh(y @ w), i + 1, y.amax(0), (y > 0.5)

    rng = np.random.default_rng(n)
    args = [rng.normal(size=(n, 3)).astype(dtype), rng.normal(size=(3, 20)).astype(dtype)]
    g = cr.graph_of(f, *args)
    run_between_walls(derivative(g, 1), args, long=2, tile=32)


@pytest.mark.parametrize("threads_", [1, 2])
def test_chunks_on_several_threads(threads_, monkeypatch):
    monkeypatch.setattr(plan, "_CHUNK_WORK", 50)
    monkeypatch.setattr(threads, "_wanted", threads_)
    rng = np.random.default_rng(3)
    args = [rng.normal(size=(501, 5)), rng.normal(size=(5, 60))]
    g = cr.graph_of(lambda x, w: (cr.sin(x @ w) ** 2).sum(), *args)
    run_between_walls(derivative(g, 1), args, tile=64)


PICKS = {
    "picked": lambda x, i: cr.sin(x)[i] * 2.0,
    "picked twice": lambda x, i: x[i, i % 3],
    "picked of what is computed": lambda x, i: cr.tanh(x.sum(1))[i].sum(),
    "added": lambda x, i: cr.index_add(x, 0, i, cr.cos(x)[: i.shape[0]]),
    "put": lambda x, i: cr.index_copy(x * 1.0, 0, i, x[: i.shape[0]] * 3.0),
    "gathered": lambda x, i: cr.gather(x, 0, i[:, None] + cr.zeros(3, dtype=cr.int64)),
}


@pytest.mark.parametrize("name", PICKS)
@pytest.mark.parametrize("wrong", [None, 150, -151, 2**62, -(2**62)])
def test_places_that_are_not_there_are_refused_and_not_read(name, wrong):
    """Before the array, behind it, and so far that the address would not fit."""
    x, i = RNG.normal(size=(150, 3)), RNG.permutation(150)[:131] - 75
    if wrong is None:
        run_between_walls(cr.graph_of(PICKS[name], x, i), [x, i], tile=32)
        return
    i[[3, 130]] = wrong
    for side in ("behind", "before"):
        walls = Walls(side)
        with walls.stand():
            program = Program(cr.graph_of(PICKS[name], x, np.zeros_like(i)), tile=32)
            with pytest.raises(cr.ChainruleError):
                program([walls.copy(x), walls.copy(i)])
        walls.check()


ROOT = Path(__file__).parents[2]
TOO_FAR = """
import ctypes, sys
from tests.codegen.walls import Walls
a = Walls(sys.argv[1]).empty((5,))
address = a.ctypes.data + (a.nbytes if sys.argv[1] == "behind" else -8)
ctypes.c_double.from_address(address).value
"""


@pytest.mark.parametrize("side", ["behind", "before"])
def test_a_read_too_far_ends_the_process(side):
    ended = subprocess.run([sys.executable, "-c", TOO_FAR, side], capture_output=True, cwd=ROOT)
    assert ended.returncode < 0


def test_a_write_beside_an_array_is_seen():
    walls = Walls("behind")
    a = walls.empty((5,))
    walls.check()
    ctypes.c_double.from_address(a.ctypes.data - 8).value = 1.0
    with pytest.raises(AssertionError):
        walls.check()
