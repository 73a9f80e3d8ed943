"""A graph as a program that can be called: kernels in machine code, NumPy where a primitive has no lowering."""

from __future__ import annotations

import ctypes
import itertools
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.codegen import jit, threads
from chainrule.codegen.emit import Writer
from chainrule.codegen.memory import Slots
from chainrule.codegen.plan import Plan
from chainrule.codegen.prepare import prepare
from chainrule.codegen.steps import Call, Gemm, Kernel, Phase
from chainrule.ir.graph import Graph, Var
from chainrule.table.primitive import TABLE

Values = dict[Var, Any]


class Program:
    """`program(arrays)` → arrays, one for each output of the graph.

    plan, text
        What runs in which order, and the LLVM text.
    """

    def __init__(self, graph: Graph, **how: int) -> None:
        self.plan = Plan(prepare(graph), **how)
        self.graph = self.plan.graph
        self._slots = Slots()
        self._lock = threading.Lock()  # what is kept between kernels has one place
        self._runs = self._compile()
        self._prepare()

    def _compile(self) -> list[Callable[[Values], None]]:
        """What a call runs, in order."""
        writer = Writer(self.plan, self._slots)
        found: list[tuple[Any, str]] = []
        for kind, group in itertools.groupby(self.plan.steps, type):
            if kind is Kernel:
                found.append((None, writer.kernels(list(group))))  # type: ignore[arg-type]
            else:
                found += [(s, writer.phase(s) if isinstance(s, Phase) else "") for s in group]
        self.text = writer.text()
        if writer.names:
            self.module = jit.Module(self.text, writer.names, sorted(writer.externals))
        return [self._run(step, name) for step, name in found]

    def _run(self, step: Phase | Call | None, name: str) -> Callable[[Values], None]:
        if isinstance(step, Call):
            return lambda values: self._call(step, values)
        if isinstance(step, Phase):
            function = self.module.function(name, 3)
            return lambda values: self._phase(step, function)
        kernels = self.module.function(name, 1)
        return lambda values: kernels(ctypes.addressof(self._table))

    def _prepare(self) -> None:
        """Memory for what is kept between kernels, and the places of arguments and results, made once."""
        plan, g = self.plan, self.graph
        self._arrays: dict[Any, np.ndarray] = {
            v: np.ascontiguousarray(c) for v, c in g.constants.items() if np.ndim(c)
        }
        self._called = {v for s in plan.steps if isinstance(s, Call) for v in s.equation.outs}
        for v in plan.places:
            if v not in g.outputs and v not in self._called:
                self._arrays[v] = np.empty(v.shape, v.dtype)
        self._table = (ctypes.c_void_p * max(1, len(self._slots.of)))()
        for key, slot in self._slots.of.items():
            if key in self._arrays:
                self._table[slot] = self._arrays[key].ctypes.data
        self._place_arguments()
        self._place_results()
        self._workers: list[_Worker] = []
        self._sums = {
            o.var: np.empty((step.chunks, *o.var.shape), o.var.dtype)
            for step in plan.steps if isinstance(step, Phase) and step.chunks > 1 for o in step.sums
        }  # fmt: skip

    def _place_arguments(self) -> None:
        """Numbers are written to memory of ours, arrays are pointed at."""
        inputs = [(k, v, self._slots.of.get(v)) for k, v in enumerate(self.graph.inputs)]
        self._numbers = (ctypes.c_double * max(1, len(inputs)))()
        self._number_inputs = [k for k, v, _ in inputs if _is_number(v)]
        self._array_inputs = [(k, slot) for k, v, slot in inputs if not _is_number(v) and slot is not None]
        for k, v, slot in inputs:
            if _is_number(v) and slot is not None:
                self._table[slot] = ctypes.addressof(self._numbers) + 8 * k

    def _place_results(self) -> None:
        """For each output: a number in memory of ours, a fresh array, or something that must be looked up."""
        outputs = self.graph.outputs
        made = [
            v in self.plan.places and v not in self._called and outputs.index(v) == k
            for k, v in enumerate(outputs)
        ]
        self._results = (ctypes.c_double * max(1, len(outputs)))()
        self._number_outputs = [k for k, v in enumerate(outputs) if made[k] and _is_number(v)]
        self._array_outputs = [
            (k, v.shape, v.dtype, self._slots.of[v])
            for k, v in enumerate(outputs)
            if made[k] and not _is_number(v)
        ]
        self._other_outputs = [k for k, m in enumerate(made) if not m]
        for k in self._number_outputs:
            self._table[self._slots.of[outputs[k]]] = ctypes.addressof(self._results) + 8 * k

    def __call__(self, arrays: Sequence[Any]) -> list[Any]:
        """The outputs for arrays of the types of the inputs, in C order; a float64 number is a Python float.

        Results have memory of their own.
        """
        table = self._table
        outs: list[Any] = [None] * len(self.graph.outputs)
        with self._lock:
            for k in self._number_inputs:
                self._numbers[k] = arrays[k]
            for k, slot in self._array_inputs:
                table[slot] = address(arrays[k])
            for k, shape, dtype, slot in self._array_outputs:
                outs[k] = out = np.empty(shape, dtype)
                table[slot] = address(out)
            values: Values = dict(zip(self.graph.inputs, arrays, strict=True)) if self._called else {}
            for run in self._runs:
                run(values)
            for k in self._number_outputs:
                outs[k] = self._results[k]
            for k in self._other_outputs:
                outs[k] = self._other(k, arrays, values, outs)
        return outs

    def _other(self, k: int, arrays: Sequence[Any], values: Values, outs: Sequence[Any]) -> Any:
        """An output that is an argument, a constant, the result of a call, or an earlier output."""
        v = self.graph.outputs[k]
        first = self.graph.outputs.index(v)
        if first < k:
            found = outs[first]
        elif v in self.graph.inputs:
            found = arrays[self.graph.inputs.index(v)]
        else:
            found = self._value(v, values)
            if v in self._called:
                return found
        return found if found.__class__ is float else np.array(found)

    # --- phases ------------------------------------------------------------------------------------

    def _phase(self, phase: Phase, function: Callable[..., None]) -> None:
        chunks, bounds = phase.chunks, phase.bounds()
        most = min(threads.get_num_threads(), chunks)
        if any(isinstance(k, Gemm) for k in phase.kernels) and threads.blas_threads() is None:
            most = 1  # a BLAS that cannot be told to use one thread would fight with ours
        while len(self._workers) < most:
            self._workers.append(_Worker(self.plan, self._slots))
        for worker in self._workers[:most]:
            worker.follow(self._table)

        def work(w: int, chunk: int) -> None:
            table = self._workers[w].table
            if chunks > 1:
                for o in phase.sums:
                    sums = self._sums[o.var]
                    table[self._slots[o.var]] = sums.ctypes.data + chunk * sums.strides[0]
            function(ctypes.addressof(table), bounds[chunk], bounds[chunk + 1])

        threads.run(work, chunks, most)
        if chunks > 1:
            for o in phase.sums:
                self._join(o.var, o.combine)

    def _join(self, v: Var, combine: str | None) -> None:
        """Add the sums of the chunks in order."""
        assert combine is not None
        parts = self._sums[v]
        memory = (ctypes.c_byte * (v.type.size * v.dtype.itemsize)).from_address(
            self._table[self._slots.of[v]]
        )
        whole = np.frombuffer(memory, v.dtype)
        flat = parts.reshape(len(parts), -1)
        whole[...] = flat[0]
        for part in flat[1:]:
            whole[...] = TABLE[combine].value(whole, part)

    # --- NumPy -------------------------------------------------------------------------------------

    def _call(self, call: Call, values: Values) -> None:
        e = call.equation
        args = [self._value(v, values) for v in e.inputs]
        with np.errstate(all="ignore"):
            result = e.primitive.value(*args, **e.params)
        outs = result if result.__class__ is tuple else (result,)
        for v, out in zip(e.outs, outs, strict=True):
            found = np.ascontiguousarray(out, v.dtype).reshape(v.shape)
            if v in self.graph.outputs and any(np.may_share_memory(found, a) for a in args):
                found = found.copy()  # a view of what it was made from, and results have memory of their own
            values[v] = found
            if v in self._slots.of:
                self._table[self._slots.of[v]] = values[v].ctypes.data

    def _value(self, v: Var, values: Values) -> Any:
        if v in values:
            return values[v]
        if v in self._arrays:
            return self._arrays[v]
        if v in self.graph.constants:
            return self.graph.constants[v]
        return np.frombuffer(
            (ctypes.c_byte * (v.type.size * v.dtype.itemsize)).from_address(self._table[self._slots.of[v]]),
            v.dtype,
        ).reshape(v.shape)  # an output, which is read on the way


def _is_number(v: Var) -> bool:
    return v.shape == () and v.dtype == np.float64


def _offset() -> int | None:
    """Where an array object keeps the address of its entries; None if that cannot be told."""
    a = np.empty(3)
    for k in range(2, 8):
        at = k * ctypes.sizeof(ctypes.c_void_p)
        if ctypes.c_void_p.from_address(id(a) + at).value == a.ctypes.data:
            return at
    return None


_AT = _offset()  # reading it there takes 0.2 µs, `ctypes.data` 1 µs


def address(a: np.ndarray) -> int:
    """Address of the first entry of an array."""
    return a.ctypes.data if _AT is None else _POINTER(id(a) + _AT).value


_POINTER = ctypes.c_void_p.from_address


class _Worker:
    """The pointers of one thread: those of the program, but tiles of its own."""

    def __init__(self, plan: Plan, slots: Slots) -> None:
        self.table = (ctypes.c_void_p * max(1, len(slots.of)))()
        self._tiles: dict[int, np.ndarray] = {}
        for step in plan.steps:
            if isinstance(step, Phase):
                for v in plan.tiles[step.number]:
                    slot = slots.of.get((v, step.number))
                    if slot is not None:
                        self._tiles[slot] = np.empty(v.type.size // step.samples * step.tile, v.dtype)

    def follow(self, table: Any) -> None:
        """Take the program's pointers."""
        ctypes.memmove(self.table, table, ctypes.sizeof(table))
        for slot, a in self._tiles.items():
            self.table[slot] = a.ctypes.data


__all__ = ["Program"]
