"""Neighbouring rows that a kernel computes at once are the rows that it would compute one by one."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.codegen import jit
from chainrule.codegen.program import Program
from chainrule.ir.evaluate import evaluate
from chainrule.transforms.reverse import vjp

pytestmark = pytest.mark.skipif(not jit.is_available(), reason="llvmlite knows no target here")
RNG = np.random.default_rng(11)


def product(a, x):
    return cr.tanh(cr.einsum("kij,nkj->nki", a, x)).sum()


def distances(c, x):
    return cr.exp(-((x[:, None, :] - c[None]) ** 2).sum(2)).sum(0)


def gathered(c, x):
    """A reduction over rows that an index picks, in reverse order and from the end."""
    return (x[:, None, :] * c[[2, 0, -1, 1, 1, 0]][None, ::-1]).sum(2).sum(0)


def shifted(c, x):
    """Neighbours of a row beside the row itself: reads that run along the loop that is taken in groups."""
    return ((c[1:] - c[:-1])[None] * x[:, None, :]).sum(2).amax(0)


def middle(c, x):
    """A sum over the loop that would be taken in groups."""
    return cr.einsum("nkj,kj->j", x, c)


CASES = [
    *[(product, (4, r, 5), (90, 4, 5)) for r in (1, 2, 3, 4, 5, 6, 7, 8, 12)],
    *[(distances, (r, 3), (70, 3)) for r in (2, 5, 7, 20)],
    *[(gathered, (3, d), (130, d)) for d in (2, 7)],
    *[(shifted, (r, 4), (101, 4)) for r in (3, 5, 9)],
    *[(middle, (r, 4), (80, r, 4)) for r in (2, 4, 5)],
]


def given_for(v):
    """Cotangents, and places for an index."""
    if v.dtype.kind == "f":
        return np.asarray(RNG.normal(size=v.shape), v.dtype)
    return (np.arange(v.type.size) % 3).reshape(v.shape).astype(v.dtype)


@pytest.mark.parametrize("f, left, right", CASES)
@pytest.mark.parametrize("tile", [32, 4096])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_values_and_pullbacks(f, left, right, tile, dtype):
    args = [RNG.normal(size=left).astype(dtype), RNG.normal(size=right).astype(dtype)]
    g = cr.graph_of(f, *args)
    for graph in (g, vjp(g)):
        arrays = [given_for(v) for v in graph.inputs[2:]]
        found = Program(graph, tile=tile)([*args, *arrays])
        rtol = 1e-12 if dtype is np.float64 else 1e-4
        for out, reference in zip(found, evaluate(graph, *args, *arrays), strict=True):
            np.testing.assert_allclose(out, reference, rtol=rtol, atol=rtol * np.max(np.abs(reference)))
