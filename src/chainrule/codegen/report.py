"""What a program does, in words: kernels, phases, calls, and what moves through memory."""

from __future__ import annotations

from typing import Any

from chainrule.codegen.on_numpy import NumpyProgram
from chainrule.codegen.plan import Plan
from chainrule.codegen.steps import Call, Gemm, Kernel, Phase
from chainrule.ir.graph import Var


def report(program: Any) -> str:
    """The steps of a program, one line each, and what they read and write.

    `program` is a `codegen.program.Program`, or the `NumpyProgram` that stands in for it without LLVM.
    """
    plan: Plan = program.plan
    counted = f"{len(plan.graph.equations)} operations"
    lines = [f"{counted} in {plan.dtype.name}, {len(plan.steps)} steps"]
    if plan.axis.extent:
        lines[0] += f"; samples: an axis of {plan.axis.extent}"
    for k, step in enumerate(plan.steps, 1):
        lines += [f"{k:3} {line}" if n == 0 else f"    {line}" for n, line in enumerate(_step(plan, step))]
    moved = _moved(plan)
    lines.append(f"memory: {_size(moved)} pass in and out of arrays; {_kept(plan)}")
    if isinstance(program, NumpyProgram):
        lines.insert(
            0, "not compiled: llvmlite is not there, so NumPy runs these steps (see chainrule doctor)"
        )
    return "\n".join(lines)


def _step(plan: Plan, step: Any) -> list[str]:
    if isinstance(step, Call):
        return [f"NumPy     {step.equation.name}: {step.reason}{_line(step.equation)}"]
    if isinstance(step, Kernel):
        return [f"kernel    {_kernel(plan, step)}"]
    chunks = f" in {step.chunks} chunks for threads" if step.chunks > 1 else ""
    head = f"phase     {step.samples} samples, {step.tile} at a time{chunks}"
    return [
        head,
        *[f"  {'BLAS  ' if isinstance(q, Gemm) else 'kernel'} {_kernel(plan, q)}" for q in step.kernels],
    ]


def _kernel(plan: Plan, kernel: Kernel | Gemm) -> str:
    """What a kernel writes, and where to."""
    if isinstance(kernel, Gemm):
        shape = f"{kernel.m.extent} × {kernel.k.extent} × {kernel.n.extent}"
        if kernel.batch:
            shape = " × ".join(str(a.extent) for a in kernel.batch) + f" products of {shape}"
    else:
        shape = " × ".join(str(a.extent) for a in kernel.axes) or "one number"
    outs = [f"{plan.made[o.var].name} → {_PLACES[o.place]}{_line(plan.made[o.var])}" for o in kernel.outputs]
    return f"{shape}: {', '.join(outs)}"


_PLACES = {"tile": "tile", "whole": "array", "sum": "sum"}


def _line(e: Any) -> str:
    return "" if e.source is None else f" ({e.source.place})"


def _moved(plan: Plan) -> int:
    """Bytes that the steps read from and write to arrays: each array once for every step that touches it."""
    total = 0
    for step in plan.steps:
        touched: set[Var] = set()
        for kernel in step.kernels if isinstance(step, Phase) else [step] if isinstance(step, Kernel) else []:
            for o in kernel.outputs:
                touched |= {v for v in plan.reads(o, kernel.phase) if plan.is_array(v) or v in plan.places}
                touched |= {o.var} & plan.places.keys()
        if isinstance(step, Call):
            touched = {*step.equation.inputs, *step.equation.outs}
        total += sum(v.type.size * v.dtype.itemsize for v in touched)
    return total


def _kept(plan: Plan) -> str:
    tiles = max((sum(v.type.size // plan.axis.extent for v in t) for t in plan.tiles.values()), default=0)
    if not tiles:
        return "nothing else is kept"
    return f"{_size(tiles * plan.dtype.itemsize)} for each sample of a tile stay in cache"


def _size(n: int) -> str:
    for unit, size in (("GB", 2**30), ("MB", 2**20), ("kB", 2**10)):
        if n >= size:
            return f"{n / size:.1f} {unit}"
    return f"{n} bytes"


__all__ = ["report"]
