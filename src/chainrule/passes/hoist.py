"""Hoisting: a sum over many products with one matrix is one product, of that matrix with the sum.

Σᵢ A·bᵢ = A·Σᵢ bᵢ. The gradient in a shift asks for it: of f(A(xᵢ - m)) in m. NaN and infinities come out where they
did, up to overflow on the way: an infinite entry of A times numbers of both signs, or times 0, is NaN in the sum of
products, and is made NaN here.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from chainrule.ir.emitter import Emitter
from chainrule.ir.graph import Equation, Graph, Var
from chainrule.passes.dce import dce

_ROWS = 8  # of the matrix, from which one reduction of the other factor costs less than the products
_SUMMED = 16  # products
_DEPTH = 16  # equations between the sum and the product


def hoist(graph: Graph) -> Graph:
    """The graph in which sums are taken before products, where nothing else reads the products.

    Examples
    --------
    >>> from chainrule.ir import parse
    >>> g = parse('''{ a:float64[9,9] b:float64[9,50] ->
    ...     p:float64[9,50] = dot_general a b batch=((), ()) contract=((1,), (0,))
    ...     s:float64[9] = sum p axis=(1,) keepdims=False -> s }''')
    >>> [e.name for e in hoist(g).equations if e.name in ("sum", "dot_general")]
    ['sum', 'dot_general', 'dot_general']
    """
    if not any(e.name == "sum" for e in graph.equations) or not any(map(_is_product, graph.equations)):
        return graph
    return _Hoist(graph).run()


class _Hoist:
    """One walk; `readers` counts who reads a value."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.made = {v: e for e in graph.equations for v in e.outs}
        self.readers = Counter([*graph.outputs, *(v for e in graph.equations for v in e.reads)])
        self.emit = Emitter(Graph(graph.inputs, (), graph.outputs, graph.constants))

    def run(self) -> Graph:
        equations = self.emit.graph.equations
        changed = False
        for e in self.graph.equations:
            self.emit.source = e.source
            if _is_sum(e) and self._sum(e.inputs[0], e.params["axis"], _DEPTH) is not None:
                last = equations.pop()
                e = Equation(last.primitive, last.inputs, last.params, e.outs, e.source, e.reading)
                changed = True
            equations.append(e)
        return dce(self.emit.graph) if changed else self.graph

    def _sum(self, v: Var, axis: Sequence[int], depth: int) -> Var | None:
        """The sum of a value without its products; None if there is no such product in it.

        A sum is never -0, so that negative sums are differences: 0 - 0 is 0.
        """
        e = self.made.get(v)
        if e is None or self.readers[v] > 1 or not depth:
            return None
        if _is_product(e):
            return self._product(e, axis)
        if e.name == "transpose":
            return self._transposed(e, axis, depth)
        if e.name not in ("add", "sub", "neg"):
            return None
        found = [self._sum(x, axis, depth - 1) for x in e.inputs]
        if found.count(None) == len(found):
            return None
        found = [
            self.emit("sum", x, axis=tuple(axis), keepdims=False) if s is None else s
            for x, s in zip(e.inputs, found, strict=True)
        ]
        return self.emit("sub", 0.0, *found) if e.name == "neg" else self.emit(e.name, *found)

    def _transposed(self, e: Equation, axis: Sequence[int], depth: int) -> Var | None:
        perm = e.params["perm"]
        inner = [perm[a] for a in axis]
        found = self._sum(e.inputs[0], sorted(inner), depth - 1)
        if found is None:
            return None
        left = [k for k in perm if k not in inner]
        return self.emit("transpose", found, perm=tuple(sorted(left).index(k) for k in left))

    def _product(self, e: Equation, axis: Sequence[int]) -> Var | None:
        """The product of one factor with the sum of the other, if that runs along all that is summed."""
        side, dims = _summed_dims(e, axis)
        fixed, summed = e.inputs[1 - side], e.inputs[side]
        count = math.prod([summed.shape[k] for k in dims])
        shared = _shared(e, 1 - side)
        rows = math.prod([n for k, n in enumerate(fixed.shape) if k not in shared])
        if not dims or count < _SUMMED or rows < _ROWS:
            return None
        emit, over = self.emit, {"axis": tuple(dims), "keepdims": False}
        low, high = emit("amin", summed, **over), emit("amax", summed, **over)
        mixed = emit("logical_and", emit("le", low, 0.0), emit("ge", high, 0.0))
        total = self._dot(e, side, dims, fixed, emit("sum", summed, **over))
        as_number = lambda truth: emit("cast", truth, dtype=fixed.dtype)
        spoiled = self._dot(e, side, dims, as_number(emit("isinf", fixed)), as_number(mixed))
        return emit("where", emit("gt", spoiled, 0.0), math.nan, total)

    def _dot(self, e: Equation, side: int, dims: Sequence[int], fixed: Var, reduced: Var) -> Any:
        """The product `e` of factors of which one has lost some dimensions."""
        left = [k for k in range(len(e.inputs[side].shape)) if k not in dims]
        new = lambda of: tuple(
            tuple(left.index(k) for k in ks) if n == side else tuple(ks) for n, ks in enumerate(of)
        )
        factors = (reduced, fixed) if side == 0 else (fixed, reduced)
        return self.emit(
            "dot_general", *factors, batch=new(e.params["batch"]), contract=new(e.params["contract"])
        )


def _is_product(e: Equation) -> bool:
    return e.name == "dot_general" and e.outs[0].dtype.kind == "f"


def _is_sum(e: Equation) -> bool:
    return e.name == "sum" and not e.params["keepdims"]


def _shared(e: Equation, side: int) -> tuple[int, ...]:
    """The dimensions of a factor that the other has, too."""
    return (*e.params["batch"][side], *e.params["contract"][side])


def _summed_dims(e: Equation, axis: Sequence[int]) -> tuple[int, list[int]]:
    """Which factor has all dimensions of the product that are summed, and which of its own they are (none: neither)."""
    first = len(e.params["batch"][0])
    for side in (0, 1):
        free = [k for k in range(len(e.inputs[side].shape)) if k not in _shared(e, side)]
        if all(first <= a < first + len(free) for a in axis):
            return side, [free[a - first] for a in axis]
        first += len(free)
    return 0, []


__all__ = ["hoist"]
