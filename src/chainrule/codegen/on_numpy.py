"""A graph as a program that NumPy runs tile by tile, by the plan that the machine code has, too.

It serves where LLVM is not to be had, and tests plans apart from machine code: a plan that is wrong is wrong here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.codegen.nest import At, Nest, Product
from chainrule.codegen.prepare import planned
from chainrule.codegen.refused import REFUSALS, first_refusal
from chainrule.codegen.steps import Call, Gemm, Phase
from chainrule.ir.graph import Graph

Memory = dict[Any, Any]

# More samples at a time than in machine code: each operation of a tile costs a call of NumPy.
_TILE, _CACHE = 16384, 2**20


class NumpyProgram:
    """`program(arrays)` → arrays, one for each output of the graph; see `codegen.program.Program`.

    plan
        What runs in which order.
    """

    def __init__(self, graph: Graph, **how: int) -> None:
        self._given = graph
        self.plan = plan = planned(graph, **{"tile": _TILE, "cache": _CACHE, **how})
        self.graph = plan.graph
        self._lock = threading.Lock()  # what is kept between kernels has one place
        self._kept: Memory = {v: np.asarray(c, order="C") for v, c in self.graph.constants.items()}
        called = {v for s in plan.steps if isinstance(s, Call) for v in s.equation.outs}
        self._results = [v for v in plan.places if v in self.graph.outputs and v not in called]
        for v in plan.places.keys() - called - {*self._results}:
            self._kept[v] = np.empty(v.shape, v.dtype)
        self._runs = [self._run(step) for step in plan.steps]

    def _run(self, step: Any) -> Callable[[Memory], None]:
        if isinstance(step, Call):
            return lambda memory: self._call(step, memory)
        if not isinstance(step, Phase):
            nest = Nest(self.plan, step, None)
            return lambda memory: nest(At(memory, 0, 0, True))
        kernels = [(Product if isinstance(k, Gemm) else Nest)(self.plan, k, step) for k in step.kernels]
        for v in self.plan.tiles[step.number]:
            self._kept[v, step.number] = np.empty(v.type.size // step.samples * step.tile, v.dtype)

        def tiles(memory: Memory) -> None:
            for start in range(0, step.samples, step.tile):
                at = At(memory, start, min(step.tile, step.samples - start), start == 0)
                for kernel in kernels:
                    kernel(at)

        return tiles

    def __call__(self, arrays: Sequence[Any]) -> list[Any]:
        """The outputs for arrays of the types of the inputs, in C order; a float64 number is a Python float.

        Results have memory of their own.
        """
        given = [np.asarray(a, v.dtype) for a, v in zip(arrays, self.graph.inputs, strict=True)]
        made = {v: np.empty(v.shape, v.dtype) for v in self._results}
        with self._lock, np.errstate(all="ignore"):
            memory = {**self._kept, **dict(zip(self.graph.inputs, given, strict=True)), **made}
            try:
                for run in self._runs:
                    run(memory)
            except REFUSALS:
                raise first_refusal(self._given, given) from None
        outs: list[Any] = []
        for k, v in enumerate(self.graph.outputs):
            fresh = v not in self.graph.outputs[:k] and not self.plan.is_array(v)
            outs.append(_result(memory[v] if fresh else np.array(memory[v])))
        return outs

    def _call(self, call: Call, memory: Memory) -> None:
        e = call.equation
        args = [memory[v] for v in e.inputs]
        result = e.primitive.value(*args, **e.params)
        for v, out in zip(e.outs, result if result.__class__ is tuple else (result,), strict=True):
            found = np.ascontiguousarray(out, v.dtype).reshape(v.shape)
            if v in self.graph.outputs and any(np.may_share_memory(found, a) for a in args):
                found = found.copy()  # a view of what it was made from, and results have memory of their own
            memory[v] = found


def _result(a: np.ndarray) -> Any:
    return a.item() if a.shape == () and a.dtype == np.float64 else a


__all__ = ["NumpyProgram"]
