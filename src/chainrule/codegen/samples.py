"""The axis of the samples: the longest one that runs through a program."""

from __future__ import annotations

import itertools
import math
from collections.abc import Container, Iterable, Iterator, Sequence

import numpy as np

from chainrule.codegen.computed import counts_along
from chainrule.codegen.indexing import is_adding
from chainrule.codegen.reading import REDUCTIONS, axes_of, dot_axes, operands
from chainrule.codegen.views import Axis, identity, is_view
from chainrule.ir.graph import Equation, Graph, Var
from chainrule.passes.cost import operations

Dim = tuple[Var, int]  # of a value, by number

_PRODUCT = 256  # entries of a matrix from which BLAS is quicker than a loop


def staged(graph: Graph, dtype: np.dtype, calls: Container[Equation], axis: SampleAxis) -> Graph:
    """The graph in which arrays whose samples do not lie next to each other are read, and written, through a copy.

    Copies are equations like others. Results that others read, too, that are views, or that BLAS writes, have none.
    """
    apart = lambda v: axis.dim(v) not in (None, len(v.shape) - 1) and v.dtype == dtype
    arrays = [*graph.inputs, *graph.constants, *(v for e in graph.equations if e in calls for v in e.outs)]
    read = {v for v in arrays if apart(v)}
    outputs = set(graph.outputs)
    others_read = {v for e in graph.equations for v in e.inputs}
    written = {
        v
        for e in graph.equations
        for v in e.outs
        if v in outputs and v not in others_read and apart(v)
        and not (e in calls or is_view(e) or is_adding(e) or axis.is_product(e))
    }  # fmt: skip
    if not read and not written:
        return graph
    copies: dict[Var, Var] = {}
    staged = Graph(graph.inputs, (), (), graph.constants)

    def copy(variables: Iterable[Var]) -> None:
        copies.update((v, staged.emit("cast", v, dtype=dtype)) for v in variables)

    copy(v for v in (*graph.inputs, *graph.constants) if v in read)
    for e in graph.equations:
        # BLAS reads rows as well as columns.
        others = e.inputs if e in calls or axis.is_product(e) else axis.elsewhere(e)
        inputs = tuple([v if v in others else copies.get(v, v) for v in e.inputs])
        staged.equations.append(Equation(e.primitive, inputs, e.params, e.outs, e.source, e.reading))
        copy(v for v in e.outs if v in read or v in written)
    staged.outputs = [copies[v] if v in written else v for v in graph.outputs]
    return staged


class SampleAxis:
    """The longest axis that runs through the program: dimensions of values that go along with each other.

    extent
        Its length; 0: no axis is worth tiles.
    """

    def __init__(self, graph: Graph, calls: Container[Equation], long: int) -> None:
        self.extent = 0
        self._dims: dict[Var, int] = {}
        self._long = max(long, 2)
        if all(n < self._long for v in _values(graph) for n in v.shape):
            return
        # What is added up entry by entry is an array: where it is read it goes along with nothing.
        self._alone = {e.outs[0] for e in graph.equations if is_adding(e)}
        ties = [t for e in graph.equations if e not in calls for t in _ties(e)]
        self._parent: dict[Dim, Dim] = {}
        for a, b in ties:
            if a[0] not in self._alone and b[0] not in self._alone:
                self._parent[self._root(b)] = self._root(a)  # what is made later: ways stay short
        classes = self._classes(graph)
        best, is_usable = self._heaviest(graph, calls, classes)
        if not is_usable:
            self._tie_apart(graph, ties)
            classes = self._classes(graph)
            best, is_usable = self._heaviest(graph, calls, classes)
        if not is_usable:
            return
        for v, found in classes.items():
            for r, k in found:
                if r == best:
                    self._dims[v], self.extent = k, v.shape[k]

    def _tie_apart(self, graph: Graph, ties: Sequence[tuple[Dim, Dim]]) -> None:
        """Let go along with each other only what leaves the dimensions of each value apart.

        For each number with each other: x[:, None] - x[None] goes along x twice. So an array goes along with the first
        that reads it, others read it at any place; and a sum of what two dimensions were left with goes along with one.
        """
        self._parent = {}
        arrays, met = {*graph.inputs, *graph.constants}, set()
        members: dict[Dim, set[Var]] = {}
        for a, b in ties:
            if a[0] in self._alone or b[0] in self._alone or a in met:
                continue
            if a[0] in arrays:
                met.add(a)
            first, second = self._root(a), self._root(b)
            mine, others = members.get(first, {first[0]}), members.get(second, {second[0]})
            if first == second or not mine.isdisjoint(others):
                continue
            few, many = sorted((mine, others), key=len)
            many |= few
            self._parent[second] = first
            members[first] = many

    def dim(self, v: Var) -> int | None:
        """Which dimension of a value is along the samples."""
        return self._dims.get(v)

    def is_product(self, e: Equation) -> bool:
        """Whether BLAS computes an equation on tiles: a product of matrices, and of some size."""
        if e.name != "dot_general" or not self.extent:
            return False
        _, free_x, free_y, contracted = dot_axes(e)
        if len(free_x) != 1 or len(free_y) != 1 or len(contracted) != 1:
            return False
        along = [self.dim(v) for v in e.inputs]
        (cx, cy), (bx, by) = e.params["contract"], e.params["batch"]
        if along[0] in bx or along[1] in by or along == [None, None]:
            return False
        if along[0] in cx or along[1] in cy:  # a sum over the samples
            return along == [cx[0], cy[0]] and free_x[0].extent * free_y[0].extent >= _PRODUCT
        if None not in along:
            return False
        other = free_x[0] if along[0] is None else free_y[0]
        return other.extent * contracted[0].extent >= _PRODUCT

    def summed(self, e: Equation) -> tuple[int, ...] | None:
        """Where an equation reduces over the samples: along which dimension of each input. None: it does not."""
        if self.dim(e.outs[0]) is not None:
            return None
        if e.name in REDUCTIONS:
            where = self.dim(e.inputs[0])
            return (where,) if where is not None and where in axes_of(e) else None
        if e.name != "dot_general":
            return None
        along = lambda pair: sum(self.dim(v) == k for v, k in zip(e.inputs, pair, strict=True))
        pair = max(zip(*e.params["contract"], strict=True), key=along, default=None)
        return pair if pair is not None and along(pair) else None

    def elsewhere(self, e: Equation) -> list[Var]:
        """What is along the samples and is read at other samples than that of the entry that is computed.

        Or at a place that depends on the number of the sample, as on a diagonal: tiles count their own samples.
        """
        (out,) = e.outs
        where, summed = self.dim(out), self.summed(e)
        if summed is not None:
            return [v for v, k in zip(e.inputs, summed, strict=True) if self.dim(v) not in (None, k)]
        if e.primitive.kind == "elementwise":
            return [v for v in e.inputs if self.dim(v) not in (None, where)]
        axes = [Axis(n) for n in out.shape]
        if e.name == "reshape" and not is_view(e):
            x = e.inputs[0]
            kept = where is not None and ((x, self.dim(x)), (out, where)) in _kept_dimensions(e)
            return [x] if self.dim(x) is not None and not kept else []
        along = None if where is None else axes[where]
        return [
            v
            for v, idx in operands(e, identity(axes))
            if (k := self.dim(v)) is not None
            and (idx[k] != (along, 1, 0) or counts_along(idx[:k] + idx[k + 1 :], along))
        ]

    def _root(self, d: Dim) -> Dim:
        """The representative of a class; the way there becomes shorter each time it is gone."""
        parent = self._parent
        while (up := parent.get(d, d)) != d:
            parent[d] = top = parent.get(up, up)
            d = top
        return d

    def _classes(self, graph: Graph) -> dict[Var, list[tuple[Dim, int]]]:
        """Values with long dimensions: the class of each of these, and which it is."""
        found = {}
        for v in _values(graph):
            long = [(self._root((v, k)), k) for k, n in enumerate(v.shape) if n >= self._long]
            if long:
                found[v] = long
        return found

    def _heaviest(
        self, graph: Graph, calls: Container[Equation], classes: dict[Var, list[tuple[Dim, int]]]
    ) -> tuple[Dim | None, bool]:
        """The class of dimensions that takes part in most of the work, and whether it is once in each value."""
        weights: dict[Dim, list[int]] = {}
        twice = set()
        for found in classes.values():
            roots = [r for r, _ in found]
            twice.update(r for r in roots if roots.count(r) > 1)
            for r in roots:
                weights.setdefault(r, [0, 0, 0])
        for e in graph.equations:
            if e in calls:
                continue
            for r in {r for v in (*e.inputs, *e.outs) for r, _ in classes.get(v, ())}:
                weights[r][0] += operations(e)
        for v in graph.inputs:
            for r, k in classes.get(v, ()):
                weights[r][1] += 1
                weights[r][2] += k == len(v.shape) - 1
        usable = [r for r in weights if r[0] not in self._alone]
        best = max(usable, key=weights.__getitem__, default=None)
        return best, best is not None and best not in twice


def _values(graph: Graph) -> Iterator[Var]:
    yield from graph.inputs
    yield from graph.constants
    for e in graph.equations:
        yield from e.outs


def _ties(e: Equation) -> Iterator[tuple[Dim, Dim]]:
    """Dimensions that an equation lets go along with each other: entry i of one meets entry i of the other."""
    (out,) = e.outs
    if e.primitive.kind == "elementwise":
        yield from (((v, k), (out, k)) for v in e.inputs for k in range(len(out.shape)))
        return
    axes = [Axis(n) for n in out.shape]
    if e.name == "reshape" and not is_view(e):
        yield from _kept_dimensions(e)
        return
    of = {a: k for k, a in enumerate(axes)}
    contracted: dict[Axis, list[Dim]] = {}
    for v, idx in operands(e, identity(axes)):
        for k, (axis, step, offset) in enumerate(idx):
            if not isinstance(axis, Axis) or v.shape[k] != axis.extent or step != 1 or offset != 0:
                continue
            if axis in of:
                yield (v, k), (out, of[axis])
            else:
                contracted.setdefault(axis, []).append((v, k))
    for ends in contracted.values():
        yield from itertools.pairwise(ends)


def _kept_dimensions(e: Equation) -> Iterator[tuple[Dim, Dim]]:
    """Dimensions that a change of shape leaves alone: as many entries before them on both sides."""
    (x,), (out,) = e.inputs, e.outs
    before = {(math.prod(x.shape[:k]), n): k for k, n in enumerate(x.shape) if n > 1}
    for k, n in enumerate(out.shape):
        at = before.get((math.prod(out.shape[:k]), n))
        if n > 1 and at is not None:
            yield (x, at), (out, k)
