"""compile at any place among the transforms, on random programs, orders 0 to 3: the numbers of the tape."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from tests.codegen.agreement import check_agreement
from tests.codegen.programs import arguments, program
from tests.codegen.test_program import given_arrays


def total_of(f):
    """Σ of what a program gives; nothing of it is without a gradient."""

    def total(*xs):
        return sum((o * o * 0.5 + o).mean() for o in f(*xs) if o.is_floating_point()) + 0.0 * xs[0].sum()

    return total


def value(f, n):
    return f, [cr.compile(f)]


def gradient(f, n):
    total, by = total_of(f), tuple(range(n))
    return cr.grad(total, by), [
        cr.compile(cr.grad(total, by)), cr.grad(cr.compile(total), by), cr.grad(total_of(cr.compile(f)), by)
    ]  # fmt: skip


def tangent(f, n):
    along = lambda f: lambda *xs: cr.jvp(f, xs[:n], xs[n:])[1]
    return along(f), [cr.compile(along(f)), along(cr.compile(f))]


def second(f, n):
    total, by = total_of(f), tuple(range(n))
    along = lambda g: lambda *xs: cr.jvp(g, xs[:n], xs[n:])[1]
    slope = lambda g: cr.grad(
        lambda *xs: sum((a * t).sum() for a, t in zip(g(*xs[:n]), xs[n:], strict=True)), by
    )
    g = cr.grad(total, by)
    return along(g), [
        cr.compile(along(g)), along(cr.compile(g)), along(cr.grad(cr.compile(total), by)), cr.compile(slope(g)),
        slope(cr.compile(g)),
    ]  # fmt: skip


def third(f, n):
    total, by = total_of(f), tuple(range(n))
    g = cr.grad(total, by)
    along = lambda g: lambda *xs: cr.jvp(g, xs[:n], xs[n:])[1]
    twice = lambda g: lambda *xs: cr.jvp(lambda *ys: along(g)(*ys, *xs[n:]), xs[:n], xs[n:])[1]
    return twice(g), [cr.compile(twice(g)), twice(cr.compile(g))]


def batch(f, n):
    return cr.vmap(f), [cr.compile(cr.vmap(f)), cr.vmap(cr.compile(f))]


def batch_of_gradients(f, n):
    g, compiled = gradient(f, n)
    return cr.vmap(g), [cr.compile(cr.vmap(g)), cr.vmap(compiled[0]), cr.vmap(compiled[1])]


def columns(f, n):
    flat = lambda *xs: cr.cat(
        [xs[0].reshape(-1)[:1], *[o.reshape(-1)[:5] for o in f(*xs) if o.is_floating_point()]]
    )
    return cr.jacfwd(flat), [
        cr.compile(cr.jacfwd(flat)),
        cr.jacfwd(cr.compile(flat)),
        cr.jacrev(cr.compile(flat)),
    ]


WAYS = {f.__name__: (f, size) for f, size in [
    (value, 8), (gradient, 6), (tangent, 6), (second, 4), (third, 3), (batch, 6), (batch_of_gradients, 4), (columns, 4)
]}  # fmt: skip


def prepared(way, seed):
    """Arguments that fit the way: tangents behind them, three examples of each, or only the first few entries."""
    args = arguments(np.random.default_rng(seed))
    if way == "columns":
        args = [np.ascontiguousarray(a[tuple(slice(6) for _ in a.shape)]) for a in args]
    if way.startswith("batch"):
        return len(args), [np.stack([a, 1.1 * a, 0.9 * a]) for a in args]
    if way in ("tangent", "second", "third"):
        rng = np.random.default_rng(1)
        return len(args), [*args, *[np.asarray(rng.normal(size=a.shape)) for a in args]]
    return len(args), args


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=3)
@given(st.integers(0, 10**9))
def test_random_programs(way, seed):
    make, size = WAYS[way]
    n, args = prepared(way, seed)
    expected, compiled = make(program(seed, size=size), n)
    flat = lambda f: lambda *xs: outs if isinstance(outs := f(*xs), tuple) else (outs,)
    g = cr.graph_of(flat(expected), *args)
    right = [np.asarray(v) for v in flat(expected)(*map(cr.tensor, args))]
    for f in compiled:
        found = [np.asarray(v) for v in flat(f)(*args)]
        check_agreement(found, g, given_arrays(g, args), reference=right)


@pytest.mark.parametrize("seed", range(10))
def test_random_numbers_are_those_of_the_tape(seed):
    """The same draws in the same order."""
    args = arguments(np.random.default_rng(seed))
    f = program(seed, size=6, draws=True)
    drawn = []
    for g in (f, cr.compile(f)):
        cr.manual_seed(5)
        drawn.append([np.asarray(v) for v in (*g(*map(cr.tensor, args)), *g(*map(cr.tensor, args)))])
    for a, b in zip(*drawn, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-9)
