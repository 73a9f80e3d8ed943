"""What a graph costs, operation by operation: closed forms, and the memory that NumPy takes for the same program."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.ir.text import parse
from chainrule.passes.cost import Cost, cost, operations

N = 1000


def test_of_a_product_all_terms_are_counted():
    a, b = np.ones((3, 4, 5)), np.ones((3, 5, 6))
    g = cr.graph_of(lambda a, b: a @ b, a, b)
    assert cost(g) == Cost(3 * 4 * 5 * 6, 8 * (60 + 90 + 72), 8 * 72)


def test_a_reduction_reads_all_entries():
    (e,) = cr.graph_of(lambda x: x.sum(), np.ones(N)).equations
    assert operations(e) == N


@given(st.integers(1, 30))
def test_of_a_chain_two_arrays_are_there_at_a_time(length):
    def f(x):
        for _ in range(length):
            x = cr.sin(x)
        return x

    g = cr.graph_of(f, np.ones(N))
    assert cost(g) == Cost(length * N, 16 * N * length, 8 * N * min(length, 2))


@given(st.integers(2, 30))
def test_what_is_read_at_the_end_stays(width):
    def f(x):
        parts = [cr.sin(x * float(k)) for k in range(2, width + 2)]
        return cr.stack(parts).sum()

    g = cr.graph_of(f, np.ones(N))
    assert cost(g).peak == 8 * N * 2 * width  # all parts, and their stack


@pytest.mark.parametrize("view", ["broadcast x  shape=(5, 1000)", "reshape x  shape=(10, 100)"])
def test_views_move_nothing_and_keep_what_they_look_at(view):
    shape = view.partition("=")[2].replace("(", "[").replace(")", "]").replace(" ", "")
    text = f"{{ a:float64[1000] -> x:float64[1000] = sin a  y:float64{shape} = {view}  " + (
        f"z:float64[1000] = sin a  w:float64{shape} = exp y  -> z, w }}"
    )
    found = cost(parse(text.replace("z, w", "z w")))
    n = 5000 if "broadcast" in view else N
    assert found.operations == 2 * N + n
    assert found.moved == 8 * (4 * N + 2 * n)
    assert found.peak == 8 * (2 * N + n)


def test_the_peak_is_that_of_numpy():
    """The same program, written for NumPy with arrays that go when they are read for the last time."""
    n = 100_000

    def program(m, x):
        y = m.sin(x)
        z = m.exp(y)
        y = y * z
        del z
        return (y + x).sum()

    x = np.linspace(0.0, 1.0, n)
    tracemalloc.start()
    program(np, x)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert cost(cr.graph_of(lambda x: program(cr, x), x)).peak == pytest.approx(peak, rel=0.01)
