"""A graph as a function of tensors: one node of the tape, whose derivatives are functions of the same kind.

So every order and both modes follow: the pullback of a graph is the graph of its pullback, compiled in its turn when it
is first needed.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.api.custom import COMPILED, Call, Layout
from chainrule.dispatch import plain
from chainrule.ir.graph import Graph, Var
from chainrule.ops import creation
from chainrule.passes.dce import dce
from chainrule.tape.modes import current
from chainrule.transforms.forward import jvp
from chainrule.transforms.reverse import vjp


class GraphFunction:
    """`function(tensors)` → tensors, one for each output of the graph.

    graph, name
        What is computed, and what it is called in explanations.
    """

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph, self.name = graph, name
        self._made = {"compiled": name}
        self._pulls: dict[tuple[bool, ...], GraphFunction] = {}
        self._pushes: dict[tuple[bool, ...], GraphFunction] = {}

    @functools.cached_property
    def program(self) -> Any:
        """The machine code; where LLVM is not to be had, NumPy on tiles."""
        from chainrule.codegen import jit

        if not jit.is_available():
            from chainrule.codegen.on_numpy import NumpyProgram

            return NumpyProgram(self.graph)
        from chainrule.codegen.program import Program

        return Program(self.graph)

    @functools.cached_property
    def inexact(self) -> list[int]:
        """Positions of the outputs that can have a derivative."""
        return [k for k, v in enumerate(self.graph.outputs) if v.dtype.kind in "fc"]

    @functools.cached_property
    def routes(self) -> list[frozenset[int]]:
        """For each output, the positions of the inputs that it can be differentiated by."""
        found = {v: frozenset([k]) for k, v in enumerate(self.graph.inputs) if v.dtype.kind in "fc"}
        for e in self.graph.equations:
            if e.primitive.rule is not None:
                reached = frozenset().union(*(found.get(v, ()) for v in e.reads))
                found.update((v, reached) for v in e.outs if v.dtype.kind in "fc")
        return [found.get(v, frozenset()) for v in self.graph.outputs]

    def __call__(self, inputs: Sequence[Any]) -> list[Any]:
        arrays = [_array(t, v) for t, v in zip(inputs, self.graph.inputs, strict=True)]
        outs = [
            creation.make_leaf(a if a.__class__ is float else plain(a if a.ndim else a[()]))
            for a in self.program(arrays)
        ]
        for t in outs:
            t.n.params = self._made  # what explanations say of a result without history
        if not current().grad or not self.inexact or all(t.n.pull is None for t in inputs):
            return outs
        floats = [outs[k] for k in self.inexact]
        call = GraphCall(self, Layout(floats))
        for k, t in zip(
            self.inexact,
            call.layout.unpack(call.record(COMPILED, list(inputs), call.layout.pack(floats))),
            strict=True,
        ):
            outs[k] = t
        return outs

    def pullback(self, wanted: tuple[bool, ...]) -> GraphFunction:
        """Cotangents of the wanted inputs, as a function of the inputs and of the cotangents of inexact outputs."""
        found = self._pulls.get(wanted)
        if found is None:
            g = vjp(self.graph, [k for k, w in enumerate(wanted) if w])
            found = self._pulls[wanted] = GraphFunction(self._without_values(g), f"pullback of {self.name}")
        return found

    def pushforward(self, given: tuple[bool, ...]) -> GraphFunction:
        """Tangents of the inexact outputs, as a function of the inputs and of their tangents."""
        found = self._pushes.get(given)
        if found is None:
            g = jvp(self.graph, [k for k, w in enumerate(given) if w])
            found = self._pushes[given] = GraphFunction(
                self._without_values(g), f"pushforward of {self.name}"
            )
        return found

    def _without_values(self, g: Graph) -> Graph:
        return dce(Graph(g.inputs, g.equations, g.outputs[len(self.graph.outputs) :], g.constants))


class GraphCall(Call):
    """One call of a graph on tracked tensors."""

    has_pull = has_push = True

    def __init__(self, function: GraphFunction, layout: Layout) -> None:
        super().__init__(layout)
        self.function, self.name = function, function.name

    def pull(self, primals: list[Any], out: Any, ct: Any, wanted: Sequence[bool]) -> list[Any]:
        used = frozenset().union(
            *self.function.routes
        )  # what no output depends on gets no gradient, not one of 0
        wanted = tuple(w and k in used for k, w in enumerate(wanted))
        if not any(wanted):
            return [None] * len(wanted)
        pulled = iter(self.function.pullback(wanted)([*primals, *self.layout.unpack(ct)]))
        return [next(pulled) if w else None for w in wanted]

    def push(self, primals: list[Any], out: Any, tangents: list[Any]) -> Any:
        given = tuple(t is not None for t in tangents)
        pushed = self.function.pushforward(given)([*primals, *[t for t in tangents if t is not None]])
        return self.layout.pack(pushed)


def _array(t: Any, v: Var) -> Any:
    """The numbers of a tensor in C order; a float64 number as a Python float."""
    a = t.v
    if a.__class__ is not np.ndarray:
        return a if a.__class__ is float else np.asarray(a, v.dtype)
    if a.ndim == 0 and a.dtype == np.float64:
        return a.item()
    return a if a.flags.c_contiguous else np.array(a, order="C")


__all__ = ["GraphCall", "GraphFunction"]
