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
from chainrule.dispatch import Handle, node_of, plain, source_code, wrap
from chainrule.ir.graph import Graph, Var
from chainrule.ops import creation
from chainrule.passes.dce import dce
from chainrule.tape import kernels
from chainrule.tape.modes import PLAIN, current
from chainrule.tape.node import leaf
from chainrule.transforms.forward import jvp
from chainrule.transforms.reverse import vjp


class GraphFunction:
    """`function(tensors)` → tensors, one for each output of the graph.

    graph, name
        What is computed, and what it is called in explanations.
    made
        What explanations say of a result without history.
    inexact
        Positions of the outputs that can have a derivative.
    owner
        Weak reference to what calls it, if that reads arrays from outside (`captured`, the last operands).
    """

    owner: Any = None

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph, self.name = graph, name
        self.made = {"compiled": name}
        self.inexact = [k for k, v in enumerate(graph.outputs) if v.dtype.kind in "fc"]
        self._program: Any = None
        self._pulls: dict[tuple[bool, ...], GraphFunction] = {}
        self._pushes: dict[tuple[bool, ...], GraphFunction] = {}

    @property
    def program(self) -> Any:
        """The machine code; where LLVM is not to be had, NumPy on tiles."""
        if self._program is None:  # no cached_property, which up to Python 3.11 has a lock for all objects
            self._program = _program(self.graph)
        return self._program

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
        """Tensors for operands: tensors, arrays, and floats for float64 numbers."""
        arrays = [_array(a, v) for a, v in zip(inputs, self.graph.inputs, strict=True)]
        outs = _leaves([a if a.__class__ is float or a.ndim else plain(a[()]) for a in self.program(arrays)])
        for t in outs:
            t.n.params = self.made
        if not current().grad:
            return outs
        tracked = [k for k, a in enumerate(inputs) if is_tracked(a)]
        live = [k for k in self.inexact if not self.routes[k].isdisjoint(tracked)] if tracked else []
        if not live:
            return outs
        call = GraphCall(self, live, outs)
        packed = call.layout.pack([outs[k] for k in live])
        recorded = call.record(COMPILED, [creation.as_tensor(a) for a in inputs], packed)
        for k, t in zip(live, call.layout.unpack(recorded), strict=True):
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
    """One call of a graph on tracked tensors.

    live
        Positions of the outputs that a tracked input has a route to.
    """

    has_pull = has_push = True

    def __init__(self, function: GraphFunction, live: list[int], outs: Sequence[Any]) -> None:
        super().__init__(Layout([outs[k] for k in live]))
        self.function, self.name, self.live = function, function.name, live

    def _cotangents(self, ct: Any) -> list[Any]:
        """One for each inexact output: zeros where nothing flows back."""
        given = dict(zip(self.live, self.layout.unpack(ct), strict=True))
        types = [(k, self.function.graph.outputs[k].type) for k in self.function.inexact]
        return [given[k] if k in given else creation.zeros(*t.shape, dtype=t.dtype) for k, t in types]

    def pull(self, primals: list[Any], out: Any, ct: Any, wanted: Sequence[bool]) -> list[Any]:
        used = frozenset().union(*(self.function.routes[k] for k in self.live))
        wanted = tuple(w and k in used for k, w in enumerate(wanted))  # no gradient is not one of 0
        if not any(wanted):
            return [None] * len(wanted)
        pulled = iter(self.function.pullback(wanted)([*primals, *self._cotangents(ct)]))
        return [next(pulled) if w else None for w in wanted]

    def push(self, primals: list[Any], out: Any, tangents: list[Any]) -> Any:
        given = tuple(t is not None for t in tangents)
        pushed = self.function.pushforward(given)([*primals, *[t for t in tangents if t is not None]])
        found = dict(zip(self.function.inexact, pushed, strict=True))
        return self.layout.pack([found[k] for k in self.live])


def _program(graph: Graph) -> Any:
    from chainrule.codegen import jit

    if not jit.is_available():
        from chainrule.codegen.on_numpy import NumpyProgram

        return NumpyProgram(graph)
    from chainrule.codegen.program import Program

    return Program(graph, kernels.value)


def value_of(a: Any) -> Any:
    """The numbers of an operand."""
    return a.v if isinstance(a, Handle) else a


def is_tracked(a: Any) -> bool:
    """Whether an operand is a tensor that gradients flow to."""
    return isinstance(a, Handle) and node_of(a).pull is not None


def _array(a: Any, v: Var) -> Any:
    """The numbers of an operand as machine code reads them; a float64 number as a Python float."""
    a = value_of(a)
    if a.__class__ is float:
        return a
    if a.__class__ is not np.ndarray:
        return np.asarray(a, v.dtype)
    if a.ndim == 0 and v.dtype == np.float64:
        return a.item()
    fits = a.flags.c_contiguous and a.flags.aligned and a.dtype.isnative
    return a if fits else np.array(a, v.dtype, order="C")


def _leaves(values: Sequence[Any]) -> list[Any]:
    """Tensors that begin a history, all at one instruction of the user."""
    if current() is not PLAIN:
        return list(map(creation.make_leaf, values))
    code, at = source_code()
    return [wrap(v, leaf(v, False, code, at)) for v in values]


__all__ = ["GraphCall", "GraphFunction", "is_tracked", "value_of"]
