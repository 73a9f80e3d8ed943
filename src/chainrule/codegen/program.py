"""A graph as a program that can be called: kernels in machine code, NumPy where a primitive has no lowering."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.codegen import jit, kept, threads
from chainrule.codegen.address import address
from chainrule.codegen.refused import REFUSALS, first_refusal, refusal
from chainrule.codegen.schedule import FAULT, Schedule, Tiled
from chainrule.codegen.workspace import Workspace, is_number
from chainrule.ir.graph import Equation, Graph, Var

if TYPE_CHECKING:
    from chainrule.codegen.plan import Plan
    from chainrule.codegen.written import Written

_IN_ORDER = {
    "add": np.add.reduce, "maximum": np.maximum.reduce, "minimum": np.minimum.reduce,
    "logical_or": np.logical_or.reduce, "logical_and": np.logical_and.reduce,
}  # fmt: skip


class Program:
    """`program(arrays)` → arrays, one for each output of the graph.

    schedule, code
        What runs, the memory that it needs, and the machine code: kept on disk by an earlier process, or made.
    functions
        Of each kernel or phase the address of its machine code, and the range of samples.

    Parameters
    ----------
    value
        A quicker way to the value of a primitive, for calls between kernels; None where it knows none.
    """

    def __init__(self, graph: Graph, value: Callable[..., Any] | None = None, **how: int) -> None:
        self._given, self._quick, self._how = graph, value, how
        self._written: Written | None = None
        self.schedule, self.code = self._compiled()
        self.functions = [(self.code.address(f), 0, end) for f, end in self.schedule.functions.items()]
        self._runs = list(map(self._run, self.schedule.steps))
        self._idle: list[Workspace] = []  # of calls that ended: several threads may call at once
        self._place_arguments()
        self._place_results()

    def _compiled(self) -> tuple[Schedule, jit.Code]:
        """What runs, and its code: as an earlier process has left it on disk, else planned, written and compiled."""
        name = kept.name_of(self._given, self._how)
        found = kept.read(name) if name is not None else None
        if found is not None:
            return found
        schedule, module = self.written.schedule, self._module()
        if name is not None:
            kept.write(name, schedule, module.name)
        return schedule, module

    def _module(self) -> jit.Module:
        schedule = self.written.schedule
        return jit.Module(self.text, list(schedule.functions), schedule.externals)

    @property
    def written(self) -> Written:
        """How this was made; of a program from disk made again when somebody asks."""
        if self._written is None:
            from chainrule.codegen.written import written

            self._written = written(self._given, **self._how)
        return self._written

    @property
    def plan(self) -> Plan:
        """What runs in which order."""
        return self.written.plan

    @property
    def graph(self) -> Graph:
        """The graph after the passes."""
        return self.plan.graph

    @property
    def text(self) -> str:
        """The LLVM text."""
        return self.written.text

    @property
    def assembly(self) -> str:
        """The machine code as text."""
        return jit.assembly(self.text)

    def _run(self, step: str | Tiled | Equation) -> Callable[[Workspace], None]:
        if isinstance(step, Equation):
            return lambda w: self._call(step, w)
        if isinstance(step, Tiled):
            function = self.code.function(step.function, 3)
            return lambda w: self._phase(step, w, function)
        kernels = self.code.function(step, 1)
        return lambda w: kernels(ctypes.addressof(w.table))

    def _place_arguments(self) -> None:
        """Numbers are written to memory of the workspace, arrays are pointed at."""
        inputs, slots = self.schedule.inputs, self.schedule.slots
        self._number_inputs = [k for k, v in enumerate(inputs) if is_number(v)]
        self._array_inputs = [(k, slots[v]) for k, v in enumerate(inputs) if not is_number(v) and v in slots]

    def _place_results(self) -> None:
        """For each output: a number in memory of the workspace, a fresh array, or something that must be looked up."""
        s = self.schedule
        self.called = s.called
        made = [v in s.made and s.outputs.index(v) == k for k, v in enumerate(s.outputs)]
        self._number_outputs = [k for k, v in enumerate(s.outputs) if made[k] and is_number(v)]
        self._array_outputs = [
            (k, v.shape, v.dtype, s.slots[v]) for k, v in enumerate(s.outputs) if made[k] and not is_number(v)
        ]
        self._other_outputs = [k for k, m in enumerate(made) if not m]

    def may_refuse(self) -> bool:
        """Whether something it is given can be refused: an index, a divisor."""
        return FAULT in self.schedule.slots

    def workspace(self) -> Workspace:
        """Memory for one call at a time."""
        return Workspace(self.schedule)

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
        outs: list[Any] = [None] * len(self.schedule.outputs)
        for k, shape, dtype, slot in self._array_outputs:
            outs[k] = out = w.result(k, shape, dtype)
            w.table[slot] = address(out)
        if self.called:
            w.values = dict(zip(self.schedule.inputs, arrays, strict=True))
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
        inputs, outputs = self.schedule.inputs, self.schedule.outputs
        v = outputs[k]
        first = outputs.index(v)
        if first < k:
            found = outs[first]
        elif v in inputs:
            found = arrays[inputs.index(v)]
        else:
            found = self._value(v, w)
            if v in self.called:
                return found
        return found if found.__class__ is float else np.array(found)

    # --- phases ------------------------------------------------------------------------------------

    def _phase(self, phase: Tiled, w: Workspace, function: Callable[..., None]) -> None:
        chunks, bounds = phase.chunks, phase.bounds
        most = min(threads.get_num_threads(), chunks)
        if phase.has_products and threads.blas_threads() is None:
            most = 1  # a BLAS that cannot be told to use one thread would fight with ours
        tables = w.tables(most)

        def work(worker: int, chunk: int) -> None:
            table = tables[worker]
            if chunks > 1:
                for v, _ in phase.sums:
                    sums = w.sums[v]
                    table[self.schedule.slots[v]] = sums.ctypes.data + chunk * sums.strides[0]
            function(ctypes.addressof(table), bounds[chunk], bounds[chunk + 1])

        threads.run(work, chunks, most)
        if chunks > 1:
            for v, combine in phase.sums:
                self._join(v, w, combine)

    def _join(self, v: Var, w: Workspace, combine: str) -> None:
        """Add the sums of the chunks in order."""
        parts, whole = w.sums[v], w.array(v).reshape(-1)
        with np.errstate(all="ignore"):
            _IN_ORDER[combine](parts.reshape(len(parts), -1), axis=0, dtype=v.dtype, out=whole)

    # --- NumPy -------------------------------------------------------------------------------------

    def _call(self, e: Equation, w: Workspace) -> None:
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
            if v in self.schedule.outputs and any(np.may_share_memory(found, a) for a in args):
                found = found.copy()  # a view of what it was made from, and results have memory of their own
            w.values[v] = found
            if v in self.schedule.slots:
                w.table[self.schedule.slots[v]] = found.ctypes.data

    def _value(self, v: Var, w: Workspace) -> Any:
        for known in (w.values, w.arrays, self.schedule.constants):
            if v in known:
                return known[v]
        return w.array(v)  # an output, which is read on the way


__all__ = ["Program"]
