"""Checks of graphs and of their derivatives. Each raises AssertionError where something is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.ir.evaluate import evaluate
from chainrule.ir.graph import Graph
from chainrule.ir.text import parse
from chainrule.ir.types import type_of
from chainrule.ir.verify import verify
from chainrule.passes.dce import dce
from chainrule.testing.rules import inner, random_like
from chainrule.testing.samples import Case
from chainrule.transforms.forward import jvp
from chainrule.transforms.reverse import vjp

# Sums of products of rounding errors: 1e-11 of their scale is some 10⁵ units in the last place, what a dozen
# badly conditioned operations in a row may lose (exp of 30 has condition 30, and the second derivative
# repeats it).
RTOL = 1e-11


def graph_of_case(case: Case) -> Graph:
    """The graph of one primitive, with the arguments of a sample as inputs."""
    g = Graph()
    inputs = [g.input(type_of(a)) for a in case.args]
    g.outputs.append(g.emit(case.p.name, *inputs, **case.params))
    return g


def check_graph(g: Graph) -> Graph:
    """`g` is legal, is read back from its text, and means the same without dead code. Returns `dce(g)`."""
    verify(g)
    text = str(g)
    assert parse(text) == g, f"the text is read as another graph:\n{text}"
    return verify(dce(g))


def check_modes_agree(
    g: Graph,
    args: Sequence[Any],
    rng: np.random.Generator,
    rtol: float = RTOL,
    wrt: Sequence[int] | None = None,
) -> None:
    """Value kept by both transforms, and ⟨ct, J t⟩ = ⟨Jᵀct, t⟩ for random ct and t.

    `wrt`: the inputs to differentiate by; None: all of floating point numbers.
    """
    wrt = [k for k, v in enumerate(g.inputs) if v.dtype.kind in "fc"] if wrt is None else wrt
    ts = [random_like(rng, args[k]) for k in wrt]
    values = evaluate(g, *args)
    cts = [random_like(rng, v) for v in values if v.dtype.kind in "fc"]
    forward = evaluate(check_graph(jvp(g, wrt)), *args, *ts)
    reverse = evaluate(check_graph(vjp(g, wrt)), *args, *cts)
    for v, a, b in zip(values, forward, reverse, strict=False):
        np.testing.assert_array_equal(a, v)
        np.testing.assert_array_equal(b, v)
    tangents, cotangents = forward[len(values) :], reverse[len(values) :]
    assert [type_of(c) for c in cotangents] == [g.inputs[k].type for k in wrt], "a cotangent has another type"
    left = [inner(c, t) for c, t in zip(cts, tangents, strict=True)]
    right = [inner(c, t) for c, t in zip(cotangents, ts, strict=True)]
    scale = sum(size for _, size in (*left, *right))
    # where a derivative is 0 by cancellation (softmax of equal entries), what cancels is as large as ct and t
    eps = max(np.finfo(a.dtype).eps for a in (*cts, *ts))
    scale += 8 * float(eps) / rtol * _size(cts) * _size(ts)
    pushed, pulled = sum(value for value, _ in left), sum(value for value, _ in right)
    assert np.isfinite(scale), "a derivative is not finite: this check would prove nothing"
    assert abs(pushed - pulled) <= rtol * scale, f"<ct, J t> = {pushed}, <Jᵀct, t> = {pulled}\n{g}"


def _size(arrays: Sequence[Any]) -> float:
    return sum(float(np.sum(np.abs(a))) for a in arrays)


def check_hessian_is_symmetric(
    g: Graph, args: Sequence[Any], rng: np.random.Generator, rtol: float = RTOL
) -> None:
    """⟨u, H v⟩ = ⟨v, H u⟩ for the Hessian of ⟨ct, g⟩, and the same number for forward over reverse, reverse
    over
    forward, and reverse over reverse."""
    wrt = [k for k, v in enumerate(g.inputs) if v.dtype.kind in "fc"]
    n, m = len(args), len(wrt)
    u, v = ([random_like(rng, args[k]) for k in wrt] for _ in range(2))
    values = evaluate(g, *args)
    cts = [random_like(rng, w) for w in values if w.dtype.kind in "fc"]
    none = [np.zeros_like(c) for c in values if c.dtype.kind in "fc"]
    # ⟨u, Hv⟩: the tangent along v of the gradient of ⟨ct, g⟩
    gradient = vjp(g, wrt)
    over = evaluate(check_graph(jvp(gradient, wrt)), *args, *cts, *v)[-m:]
    left = [inner(a, b) for a, b in zip(u, over, strict=True)]
    # the cotangent along u of the same gradient
    again = evaluate(check_graph(vjp(gradient, wrt)), *args, *cts, *none, *u)[-m:]
    right = [inner(a, b) for a, b in zip(v, again, strict=True)]
    # the gradient of ⟨ct, J v⟩
    mixed = evaluate(check_graph(vjp(jvp(g, wrt), wrt)), *args, *v, *none, *cts)[-m:]
    third = [inner(a, b) for a, b in zip(u, mixed, strict=True)]
    assert n >= m
    totals = [sum(value for value, _ in side) for side in (left, right, third)]
    scale = sum(size for side in (left, right, third) for _, size in side)
    # where the Hessian is 0 by cancellation (√x² twice), its terms were as large as the gradient
    scale += _size(evaluate(gradient, *args, *cts)[-m:])
    assert np.isfinite(scale), "a second derivative is not finite: this check would prove nothing"
    for other in totals[1:]:
        assert abs(totals[0] - other) <= rtol * scale, f"uᵀHv: {totals}\n{g}"


__all__ = ["check_graph", "check_hessian_is_symmetric", "check_modes_agree", "graph_of_case"]
