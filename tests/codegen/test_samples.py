"""Every sample of the table in four engines: value, cotangents, tangents, and tangents of the cotangents."""

import itertools

import numpy as np
import pytest

import chainrule as cr
from chainrule.codegen import jit
from chainrule.codegen.on_numpy import NumpyProgram
from chainrule.codegen.program import Program
from chainrule.dispatch import bind
from chainrule.ir.evaluate import evaluate
from chainrule.ir.graph import Graph
from chainrule.ir.types import type_of
from chainrule.table.primitive import TABLE
from chainrule.testing.rules import filled
from chainrule.testing.samples import Case, cases
from chainrule.transforms.forward import jvp
from chainrule.transforms.reverse import vjp

pytestmark = pytest.mark.skipif(not jit.is_available(), reason="llvmlite knows no target here")
RTOL = 1e-11  # slopes cancel: 1 - x² near 1 loses as much as x is near


def graph_of_cases(found):
    """All cases as one graph, each with inputs of its own."""
    g = Graph()
    for c in found:
        inputs = [g.input(type_of(a)) for a in c.args]
        g.outputs.append(g.emit(c.p.name, *inputs, **c.params))
    return g


def with_derivatives(found):
    """The graph of the cases with their pullback, and the tangents of both; by the inputs that carry a derivative."""
    g, wrt, k = graph_of_cases(found), [], 0
    for c in found:
        wrt += [k + i for i in c.differentiable()]
        k += len(c.args)
    return jvp(vjp(g, wrt), wrt) if wrt else g


def arrays_for(g, found):
    """The arguments of the cases, and directions for the inputs that the transforms added."""
    rng = np.random.default_rng(7)
    args = [a for c in found for a in c.args]
    more = [rng.normal(size=v.shape).astype(v.dtype) for v in g.inputs[len(args) :]]
    return [np.array(a, v.dtype, order="C") for a, v in zip([*args, *more], g.inputs, strict=True)]


def eager(found, arrays):
    """Values, cotangents and tangents of the tape, in the order of the graph's outputs."""
    count, slopes = sum(len(c.args) for c in found), [c for c in found if c.differentiable()]
    seeds, ts = iter(arrays[count:]), iter(arrays[count + len(slopes) :])
    values, cotangents, tangents = [bind(c.p, *c.args, **c.params) for c in found], [], []
    for c in slopes:
        wanted = c.differentiable()
        f = lambda *xs, c=c, wanted=wanted: bind(c.p, *filled(c, wanted, xs), **c.params)
        xs = [cr.tensor(c.args[k]) for k in wanted]
        cotangents += cr.vjp(f, *xs)[1](next(seeds))
        tangents.append(cr.jvp(f, xs, [next(ts) for _ in wanted])[1])
    return [np.asarray(v) for v in (*values, *cotangents, *tangents)]


def same(found, expected, said):
    """Equal but for rounding: the same NaN and infinities, and zeros of the same sign."""
    for k, (out, right) in enumerate(zip(found, expected, strict=True)):
        out, right, said = np.asarray(out), np.asarray(right), f"{said}, output {k}"
        assert out.shape == right.shape, said
        assert out.dtype == right.dtype, said
        atol = 0.0
        if right.ndim and right.dtype.kind in "fc":
            atol = RTOL * np.max(np.abs(right), initial=0.0, where=np.isfinite(right))
        np.testing.assert_allclose(out, right, rtol=RTOL, atol=atol, err_msg=said)
        if right.dtype.kind == "f":
            zero = (out == 0) & (right == 0)
            assert np.array_equal(np.signbit(out[zero]), np.signbit(right[zero])), f"{said}: sign of zero"


def check_engines(found):
    g = with_derivatives(found)
    arrays = arrays_for(g, found)
    compiled, tape = Program(g)(arrays), eager(found, arrays)
    expected = evaluate(g, *arrays)
    same(compiled, expected, "machine code and the reference engine")
    same(NumpyProgram(g)(arrays), expected, "NumPy on tiles and the reference engine")
    same(compiled[: len(tape)], tape, "machine code and the tape")


DIFFERENT = [p for p in TABLE.values() if p.samples]


@pytest.mark.parametrize("p", DIFFERENT, ids=lambda p: p.name)
def test_samples(p):
    check_engines(list(cases(p)))


def many(p, n=203):
    """Elementwise samples with equal parameters as arrays: neighbours in a vector take different ways."""
    key = lambda c: repr(sorted(c.params.items()))
    for _, group in itertools.groupby(sorted(cases(p), key=key), key):
        same_params = list(group)
        columns = zip(*[c.args for c in same_params], strict=True)
        yield Case(p, tuple(np.resize(np.array(column), n) for column in columns), same_params[0].params)


@pytest.mark.parametrize("p", [p for p in DIFFERENT if p.kind == "elementwise"], ids=lambda p: p.name)
def test_samples_side_by_side(p):
    check_engines(list(many(p)))


def test_a_wrong_lowering_is_caught(monkeypatch):
    from chainrule.codegen import scalar

    right = scalar.LOWER["sech2"]  # the slope of tanh
    monkeypatch.setitem(scalar.LOWER, "sech2", lambda x: right(x) * (1 + 1e-9))
    with pytest.raises(AssertionError, match="machine code and the reference engine"):
        check_engines(list(cases(TABLE["tanh"])))
