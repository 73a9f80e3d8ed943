"""A graph as a program that can be called: kernels in machine code, NumPy where a primitive has no lowering."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.codegen import jit, threads
from chainrule.codegen.emit import Writer
from chainrule.codegen.memory import FAULT, Slots
from chainrule.codegen.plan import Plan
from chainrule.codegen.prepare import planned
from chainrule.codegen.refused import REFUSALS, first_refusal, refusal
from chainrule.codegen.steps import Call, Gemm, Kernel, Phase
from chainrule.codegen.workspace import Workspace, address, is_number
from chainrule.ir.graph import Graph, Var

_IN_ORDER = {
    "add": np.add.reduce, "maximum": np.maximum.reduce, "minimum": np.minimum.reduce,
    "logical_or": np.logical_or.reduce, "logical_and": np.logical_and.reduce,
}  # fmt: skip


class Program:
    """`program(arrays)` → arrays, one for each output of the graph.

    plan, text
        What runs in which order, and the LLVM text.
    functions
        Of each kernel or phase the address of its machine code, and the range of samples.

    Parameters
    ----------
    value
        A quicker way to the value of a primitive, for calls between kernels; None where it knows none.
    """

    def __init__(self, graph: Graph, value: Callable[..., Any] | None = None, **how: int) -> None:
        self._given, self._quick = graph, value
        self.plan: Plan = planned(graph, **how)
        self.graph = self.plan.graph
        self.slots = Slots()
        self._runs = self._compile()
        self._idle: list[Workspace] = []  # of calls that ended: several threads may call at once
        self._place_arguments()
        self._place_results()

    def _compile(self) -> list[Callable[[Workspace], None]]:
        """What a call runs, in order."""
        writer = Writer(self.plan, self.slots)
        found: list[tuple[Any, str]] = []
        for kind, group in itertools.groupby(self.plan.steps, type):
            if kind is Kernel:
                found.append((None, writer.kernels(list(group))))  # type: ignore[arg-type]
            else:
                found += [(s, writer.phase(s) if isinstance(s, Phase) else "") for s in group]
        self.text = writer.text()
        if writer.names:
            self.module = jit.Module(self.text, writer.names, sorted(writer.externals))
        self.functions = [
            (self.module.address(name), 0, step.samples if step is not None else 0)
            for step, name in found
            if name
        ]
        return [self._run(step, name) for step, name in found]

    def _run(self, step: Phase | Call | None, name: str) -> Callable[[Workspace], None]:
        if isinstance(step, Call):
            return lambda w: self._call(step, w)
        if isinstance(step, Phase):
            function = self.module.function(name, 3)
            return lambda w: self._phase(step, w, function)
        kernels = self.module.function(name, 1)
        return lambda w: kernels(ctypes.addressof(w.table))

    def _place_arguments(self) -> None:
        """Numbers are written to memory of the workspace, arrays are pointed at."""
        inputs = self.graph.inputs
        self._number_inputs = [k for k, v in enumerate(inputs) if is_number(v)]
        self._array_inputs = [
            (k, self.slots.of[v]) for k, v in enumerate(inputs) if not is_number(v) and v in self.slots.of
        ]

    def _place_results(self) -> None:
        """For each output: a number in memory of the workspace, a fresh array, or something that must be looked up."""
        outputs = self.graph.outputs
        self.called = {v for s in self.plan.steps if isinstance(s, Call) for v in s.equation.outs}
        made = [
            v in self.plan.places and v not in self.called and outputs.index(v) == k
            for k, v in enumerate(outputs)
        ]
        self._number_outputs = [k for k, v in enumerate(outputs) if made[k] and is_number(v)]
        self._array_outputs = [
            (k, v.shape, v.dtype, self.slots.of[v])
            for k, v in enumerate(outputs)
            if made[k] and not is_number(v)
        ]
        self._other_outputs = [k for k, m in enumerate(made) if not m]

    def may_refuse(self) -> bool:
        """Whether something it is given can be refused: an index, a divisor."""
        return FAULT in self.slots.of

    def workspace(self) -> Workspace:
        """Memory for one call at a time."""
        return Workspace(self.plan, self.slots, self.called)

    def __call__(self, arrays: Sequence[Any]) -> list[Any]:
        """The outputs for arrays of the types of the inputs, in C order; a float64 number is a Python float.

        Results have memory of their own.
        """
        try:
            w = self._idle.pop()
        except IndexError:
            w = self.workspace()
        for k in self._number_inputs:
            w.numbers[k] = arrays[k]
        for k, slot in self._array_inputs:
            w.table[slot] = address(arrays[k])
        outs: list[Any] = [None] * len(self.graph.outputs)
        for k, shape, dtype, slot in self._array_outputs:
            outs[k] = out = w.result(k, shape, dtype)
            w.table[slot] = address(out)
        if self.called:
            w.values = dict(zip(self.graph.inputs, arrays, strict=True))
        for run in self._runs:
            run(w)
        if w.fault[0]:
            raise first_refusal(self._given, arrays)
        for k in self._number_outputs:
            outs[k] = w.results[k]
        for k in self._other_outputs:
            outs[k] = self._other(k, arrays, w, outs)
        w.values = {}
        self._idle.append(w)  # not after an error: threads may still work in it
        return outs

    def _other(self, k: int, arrays: Sequence[Any], w: Workspace, outs: Sequence[Any]) -> Any:
        """An output that is an argument, a constant, the result of a call, or an earlier output."""
        v = self.graph.outputs[k]
        first = self.graph.outputs.index(v)
        if first < k:
            found = outs[first]
        elif v in self.graph.inputs:
            found = arrays[self.graph.inputs.index(v)]
        else:
            found = self._value(v, w)
            if v in self.called:
                return found
        return found if found.__class__ is float else np.array(found)

    # --- phases ------------------------------------------------------------------------------------

    def _phase(self, phase: Phase, w: Workspace, function: Callable[..., None]) -> None:
        chunks, bounds = phase.chunks, phase.bounds()
        most = min(threads.get_num_threads(), chunks)
        if any(isinstance(k, Gemm) for k in phase.kernels) and threads.blas_threads() is None:
            most = 1  # a BLAS that cannot be told to use one thread would fight with ours
        tables = w.tables(most)

        def work(worker: int, chunk: int) -> None:
            table = tables[worker]
            if chunks > 1:
                for o in phase.sums:
                    sums = w.sums[o.var]
                    table[self.slots[o.var]] = sums.ctypes.data + chunk * sums.strides[0]
            function(ctypes.addressof(table), bounds[chunk], bounds[chunk + 1])

        threads.run(work, chunks, most)
        if chunks > 1:
            for o in phase.sums:
                self._join(o.var, w, o.combine)

    def _join(self, v: Var, w: Workspace, combine: str | None) -> None:
        """Add the sums of the chunks in order."""
        assert combine is not None
        parts, whole = w.sums[v], w.array(v).reshape(-1)
        with np.errstate(all="ignore"):
            _IN_ORDER[combine](parts.reshape(len(parts), -1), axis=0, dtype=v.dtype, out=whole)

    # --- NumPy -------------------------------------------------------------------------------------

    def _call(self, call: Call, w: Workspace) -> None:
        e = call.equation
        args = [self._value(v, w) for v in e.inputs]
        with np.errstate(all="ignore"):
            try:
                result = None if self._quick is None else self._quick(e.primitive, args, e.params)
                if result is None:
                    result = e.primitive.value(*args, **e.params)
            except REFUSALS as err:
                raise refusal(e, err) from None
        outs = result if result.__class__ is tuple else (result,)
        for v, out in zip(e.outs, outs, strict=True):
            found = np.ascontiguousarray(out, v.dtype).reshape(v.shape)
            if v in self.graph.outputs and any(np.may_share_memory(found, a) for a in args):
                found = found.copy()  # a view of what it was made from, and results have memory of their own
            w.values[v] = found
            if v in self.slots.of:
                w.table[self.slots.of[v]] = found.ctypes.data

    def _value(self, v: Var, w: Workspace) -> Any:
        for known in (w.values, w.arrays, self.graph.constants):
            if v in known:
                return known[v]
        return w.array(v)  # an output, which is read on the way


__all__ = ["Program"]
