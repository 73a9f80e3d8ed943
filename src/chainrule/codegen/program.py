"""A graph as a program that can be called: kernels in machine code, NumPy where a primitive has no lowering."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.codegen import jit
from chainrule.codegen.emit import Slots, native
from chainrule.codegen.expand import expand
from chainrule.codegen.plan import Call, Phase, Plan
from chainrule.ir.graph import Graph, Var
from chainrule.passes.cse import cse
from chainrule.passes.dce import dce


class Program:
    """`program(arrays)` → arrays, one for each output of the graph.

    plan, text
        What runs in which order, and the LLVM text.
    """

    def __init__(self, graph: Graph, **how: int) -> None:
        self.graph = dce(cse(expand(graph)))
        self.plan = Plan(self.graph, **how)
        self._slots = Slots()
        self._runs: list[Any] = []
        self._lock = threading.Lock()  # what is kept between kernels has one place
        self._compile()
        self._prepare()

    def _compile(self) -> None:
        texts: list[str] = []
        declared: dict[str, str] = {}
        called: set[str] = set()
        names: list[str] = []
        steps = list(self.plan.steps)
        while steps:
            if isinstance(steps[0], Call):
                self._runs.append(steps.pop(0))
                continue
            count = next((k for k, s in enumerate(steps) if isinstance(s, Call)), len(steps))
            names.append(f"part{len(names)}")
            more, declares, calls = native(self.plan, steps[:count], self._slots, names[-1])  # type: ignore[arg-type]
            texts += more
            declared.update(declares)
            called |= calls
            self._runs.append(names[-1])
            del steps[:count]
        self.text = "\n".join([*declared.values(), *texts, "!0 = !{}"]) + "\n"
        if names:
            self.module = jit.Module(self.text, names, sorted(called))
            functions = {n: self.module.function(n, 1) for n in names}
            self._runs = [functions[r] if isinstance(r, str) else r for r in self._runs]

    def _prepare(self) -> None:
        """Memory for what is kept between kernels, made once."""
        plan, g = self.plan, self.graph
        self._arrays: dict[Any, np.ndarray] = {
            v: np.ascontiguousarray(c) for v, c in g.constants.items() if np.ndim(c)
        }
        outputs = set(g.outputs)
        called = {v for s in plan.steps if isinstance(s, Call) for v in s.equation.outs}
        for v in plan.places:
            if v not in outputs and v not in called:
                self._arrays[v] = np.empty(v.shape, v.dtype)
        for step in plan.steps:
            if isinstance(step, Phase):
                for v in plan.tiles[step.number]:
                    size = v.type.size // step.samples * step.tile
                    self._arrays[v, step.number] = np.empty(size, v.dtype)
        self._table = (ctypes.c_void_p * max(1, len(self._slots.of)))()
        for key, slot in self._slots.of.items():
            if key in self._arrays:
                self._table[slot] = self._arrays[key].ctypes.data

    def __call__(self, arrays: Sequence[Any]) -> tuple[Any, ...]:
        """Arrays of the types of the inputs, in C order; the results have memory of their own."""
        with self._lock:
            values: dict[Var, Any] = dict(zip(self.graph.inputs, arrays, strict=True))
            made = {v: np.empty(v.shape, v.dtype) for v in self.graph.outputs if v in self.plan.places}
            values.update(made)
            for v, a in values.items():
                self._point(v, a)
            for run in self._runs:
                if isinstance(run, Call):
                    self._call(run, values)
                else:
                    run(ctypes.addressof(self._table))
            return self._results(values, arrays)

    def _point(self, v: Var, a: Any) -> None:
        slot = self._slots.of.get(v)
        if slot is not None:
            self._table[slot] = a.ctypes.data

    def _call(self, call: Call, values: dict[Var, Any]) -> None:
        e = call.equation
        args = [
            values[v] if v in values else self._arrays[v] if v in self._arrays else self.graph.constants[v]
            for v in e.inputs
        ]
        with np.errstate(all="ignore"):
            result = e.primitive.value(*args, **e.params)
        outs = result if result.__class__ is tuple else (result,)
        for v, out in zip(e.outs, outs, strict=True):
            values[v] = np.ascontiguousarray(out, v.dtype).reshape(v.shape)
            self._point(v, values[v])

    def _results(self, values: dict[Var, Any], arrays: Sequence[Any]) -> tuple[Any, ...]:
        found, taken = [], {id(a) for a in arrays}
        for v in self.graph.outputs:
            out = values[v] if v in values else self._arrays.get(v, self.graph.constants.get(v))
            if id(out) in taken or not isinstance(out, np.ndarray) or v in self.graph.constants:
                out = np.array(out)
            taken.add(id(out))
            found.append(out)
        return tuple(found)
