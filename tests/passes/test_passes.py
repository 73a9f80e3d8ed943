"""Every pass keeps the meaning of a graph and its rules, on random graphs, their pullbacks and their tangents."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.codegen.expand import EXPAND, expand
from chainrule.codegen.prepare import PASSES, prepare
from chainrule.ir.evaluate import evaluate
from chainrule.ir.text import parse
from chainrule.ir.verify import verify
from chainrule.passes.cse import cse
from chainrule.passes.dce import dce
from chainrule.passes.fold import fold
from chainrule.testing.fuzz import fuzz_graph
from chainrule.transforms.forward import jvp
from chainrule.transforms.reverse import vjp
from tests.codegen.agreement import check_agreement
from tests.codegen.programs import arguments, program
from tests.codegen.test_program import given_arrays

SEEDS, ORDERS = st.integers(0, 10**9), st.integers(0, 2)
EXACT = [fold, cse, dce]
EVERY = [*EXACT, expand, prepare]


def some_graph(seed, order):
    """A random graph of the table, or of what users write, and arguments for it or for its derivative."""
    rng = np.random.default_rng(seed)
    if seed % 2:
        g, args = fuzz_graph(rng, size=12)
    else:
        args = arguments(rng)
        g = cr.graph_of(program(seed), *args)
    if order:
        wrt = [k for k, v in enumerate(g.inputs) if v.dtype.kind == "f"][:3]
        g = vjp(g, wrt) if order == 1 else jvp(g, wrt)
    return g, given_arrays(g, args)


def same_bits(found, expected):
    """NaNs may differ in their payload; both zeros may not be taken for each other."""
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)
        assert np.asarray(a).dtype == np.asarray(b).dtype
        if np.asarray(a).dtype.kind == "f":
            np.testing.assert_array_equal(np.signbit(a) & ~np.isnan(a), np.signbit(b) & ~np.isnan(b))


def corners(arrays, seed):
    """The same arrays with entries that identities may not forget."""
    rng = np.random.default_rng(seed)
    found = []
    for a in arrays:
        b = np.array(a)
        if b.dtype.kind == "f":
            b[rng.random(b.shape) < 0.3] = rng.choice([0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324])
        found.append(b)
    return found


@pytest.mark.parametrize("step", EXACT, ids=lambda p: p.__name__)
@given(SEEDS, ORDERS)
def test_the_values_are_the_same_to_the_last_bit(step, seed, order):
    """Of NaN, infinities and both zeros, too."""
    g, arrays = some_graph(seed, order)
    changed = verify(step(verify(g)))
    same_bits(evaluate(changed, *arrays), evaluate(g, *arrays))
    odd = corners(arrays, seed)
    same_bits(evaluate(changed, *odd), evaluate(g, *odd))


@pytest.mark.parametrize("step", [expand, prepare], ids=lambda p: p.__name__)
@given(SEEDS, ORDERS)
def test_what_is_taken_apart_is_the_same_but_for_rounding(step, seed, order):
    g, arrays = some_graph(seed, order)
    if step is prepare:  # its last step makes equations for kernels, which the reference engine does not know
        changed = g
        for p in PASSES:
            changed = verify(p(changed))
    else:
        changed = verify(step(g))
    assert not {e.name for e in changed.equations} & EXPAND.keys() or any(0 in a.shape for a in arrays)
    check_agreement(evaluate(changed, *arrays), g, arrays)


@pytest.mark.parametrize("step", EVERY, ids=lambda p: p.__name__)
@given(SEEDS)
def test_the_graph_that_was_given_stays(step, seed):
    g, _ = some_graph(seed, 1)
    before = str(g)
    step(g)
    assert str(g) == before


@pytest.mark.parametrize("step", EXACT, ids=lambda p: p.__name__)
@given(SEEDS, ORDERS)
def test_a_second_time_changes_nothing(step, seed, order):
    once = dce(step(some_graph(seed, order)[0]))
    assert dce(step(once)) == once


@given(SEEDS, ORDERS)
def test_no_pass_adds_work(seed, order):
    """What is left is no more than what was given: neither dropping nor joining makes equations."""
    g = dce(some_graph(seed, order)[0])
    assert len(dce(cse(g)).equations) <= len(g.equations)
    assert len(dce(fold(g)).equations) <= len(g.equations) + _views(fold(g))


def _views(g):
    return sum(e.name in ("broadcast", "reshape") for e in g.equations)


@given(SEEDS)
def test_joined_equations_are_all_different(seed):
    g = cse(some_graph(seed, 1)[0])
    keys = [(e.name, tuple(map(id, e.inputs)), repr(sorted(e.params.items()))) for e in g.equations]
    random = [k for k in keys if not k[0].startswith("random")]
    assert len(random) == len(set(random))


@given(SEEDS)
def test_dropped_equations_are_read_by_nothing(seed):
    g, _ = some_graph(seed, 1)
    kept = dce(g)
    read = {v for e in kept.equations for v in e.reads} | {*kept.outputs}
    assert all(not read.isdisjoint(e.outs) for e in kept.equations)
    assert all(v in read for v in kept.constants)


def test_a_pass_that_breaks_a_graph_is_caught():
    """The verifier after each pass can fail."""
    g = parse("{ x:float64[] -> a:float64[] = sin x  b:float64[] = cos a -> b }")
    g.equations.reverse()
    with pytest.raises(ValueError, match="not defined before"):
        verify(g)


def test_an_identity_that_forgets_negative_zero_is_caught(monkeypatch):
    """x + 0 is x, but for -0: the comparison of bits sees it."""
    from chainrule.passes import fold as module

    wrong = lambda f, e, inputs: inputs[0] if f.is_zero(inputs[1]) else None
    monkeypatch.setitem(module.RULES, "add", wrong)
    g = parse("{ x:float64[] -> a:float64[] = add x 0.0 -> a }")
    with pytest.raises(AssertionError):
        same_bits(evaluate(dce(fold(g)), -0.0), evaluate(g, -0.0))
    assert math.copysign(1.0, evaluate(g, -0.0)[0]) == 1.0
