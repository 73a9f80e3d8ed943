"""What a program does, in words: what is fused, tiled, called, kept and repeated, what moves, and what that costs."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from chainrule.codegen.counted import flop_of, functions_in, kernels_in
from chainrule.codegen.machine import Machine, measured
from chainrule.codegen.on_numpy import NumpyProgram
from chainrule.codegen.plan import Plan
from chainrule.codegen.reading import operands
from chainrule.codegen.steps import Call, Gemm, Kernel, Output, Phase
from chainrule.codegen.timed import step_seconds
from chainrule.codegen.views import is_view
from chainrule.ir.graph import Equation, Graph, Var
from chainrule.passes.cost import Cost, cost, nbytes
from chainrule.source import Pullback

_NAMES = 6  # operations of a row that are named
_SILENT = frozenset({"zeros", "cast", "cast_like", "reshape"})  # no arithmetic that a person asks about


@dataclass(frozen=True, slots=True)
class Row:
    """A value that is written: the loops around it, the operations fused into it, where it goes, the user's line."""

    loops: str
    operations: tuple[str, ...]
    to: str
    place: str


@dataclass(frozen=True, slots=True)
class Step:
    """Something that runs on its own.

    kind
        "loop", "phase" (several loops on one tile after the other) or "NumPy"; `reason` says why that.
    moved, flop
        Bytes read from and written to arrays; operations on floating-point numbers (None: not known).
    seconds, limit
        What it took, and what it takes at least; None where nobody asked.
    """

    kind: str
    title: str
    rows: tuple[Row, ...]
    moved: int
    flop: int | None
    reason: str = ""
    seconds: float | None = None
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What was compiled of a function: `print` it, or read the parts.

    recorded, computed, fused
        Operations that the function recorded, that are left to compute, and that never reach memory.
    repeated
        Those that are computed in several places rather than kept: `(name, place, times)`.
    tile, between
        Bytes kept for each sample of a tile, and in arrays from one step to the next.
    alone
        What it would cost if every recorded operation ran on its own.
    why
        Why nothing was compiled; "" otherwise.
    """

    name: str
    recorded: int
    alone: Cost
    computed: int = 0
    fused: int = 0
    dtype: str = ""
    samples: int = 0
    steps: tuple[Step, ...] = ()
    repeated: tuple[tuple[str, str, int], ...] = ()
    tile: int = 0
    between: int = 0
    machine: Machine | None = None
    why: str = ""

    @property
    def moved(self) -> int:
        """Bytes that all steps read from and write to arrays."""
        return sum(s.moved for s in self.steps)

    @property
    def flop(self) -> int:
        """Operations on floating-point numbers of all steps in machine code."""
        return sum(s.flop or 0 for s in self.steps)

    def __str__(self) -> str:
        return "\n".join(line.rstrip() for line in _lines(self))

    __repr__ = __str__

    def to_json(self) -> dict[str, Any]:
        """All of it as dictionaries, lists, text and numbers for `json.dumps`."""
        machine = None if self.machine is None else self.machine._asdict()
        counted = {"moved": self.moved, "flop": self.flop, "alone": self.alone._asdict()}
        return {**asdict(self), **counted, "machine": machine}


def report(name: str, graph: Graph, program: Any, times: bool = False) -> Report:
    """The report of a graph and its `Program`, or the `NumpyProgram` that stands in for it without LLVM.

    times
        Also run each step on numbers of the same shapes, and measure the machine.
    """
    recorded, plan = len(graph.equations), program.plan
    why = "llvmlite is not there, so NumPy runs these steps" if isinstance(program, NumpyProgram) else ""
    steps = list(_steps(plan, getattr(program, "text", None)))
    machine = None
    if times:
        machine = measured() if not why else None
        steps = _with_times(plan, steps, step_seconds(program), machine)
    stored = {plan.made[o.var] for k in _kernels(plan) for o in k.outputs}
    stored |= {s.equation for s in plan.steps if isinstance(s, Call)}
    return Report(
        name, recorded, cost(graph),
        computed=len(plan.graph.equations),
        fused=sum(e not in stored for e in plan.graph.equations),
        dtype=plan.dtype.name,
        samples=plan.axis.extent or 0,
        steps=tuple(steps),
        repeated=tuple(_repeated(plan)),
        tile=_bytes_of_tile(plan),
        between=sum(nbytes(v) for v in plan.places if v not in plan.graph.outputs),
        machine=machine,
        why=why,
    )  # fmt: skip


# --- the parts of a plan -------------------------------------------------------------------------------


def _kernels(plan: Plan) -> Iterator[Kernel | Gemm]:
    for step in plan.steps:
        if not isinstance(step, Call):
            yield from step.kernels if isinstance(step, Phase) else [step]


def _repeated(plan: Plan) -> Iterator[tuple[str, str, int]]:
    """Operations that several kernels compute: name, place, how many."""
    inside = ({e for o in k.outputs for e in _inside(plan, o, k.phase)} for k in _kernels(plan))
    for e, times in Counter(e for found in inside for e in found).most_common():
        if times > 1 and e.name not in _SILENT:
            yield e.name, place_of(e), times


def _bytes_of_tile(plan: Plan) -> int:
    """Bytes that are kept for each sample of a tile, in the phase that keeps most."""
    if not plan.axis.extent:
        return 0
    return max((sum(map(nbytes, kept)) // plan.axis.extent for kept in plan.tiles.values()), default=0)


def _steps(plan: Plan, text: str | None) -> Iterator[Step]:
    """The steps; without machine code nobody counts what they compute."""
    texts = itertools.repeat(None) if text is None else iter(kernels_in(text))
    functions = {} if text is None else functions_in(text)
    for step in plan.steps:
        moved = _moved(plan, step)
        if isinstance(step, Call):
            e = step.equation
            yield Step("NumPy", e.name, (Row("", (e.name,), "array", place_of(e)),), moved, None, step.reason)
        elif isinstance(step, Kernel):
            text = next(texts)
            flop = (
                None if text is None else flop_of(text, step.axes[-1].extent if step.vector else 0, functions)
            )
            yield Step("loop", "", tuple(_rows(plan, step)), moved, flop)
        else:
            chunks = f", in {step.chunks} chunks for threads" if step.chunks > 1 else ""
            tiles = f", {step.tile} at a time" if step.tile < step.samples else " in one tile"
            title = f"{step.samples} samples{tiles}{chunks}"
            rows = tuple(row for k in step.kernels for row in _rows(plan, k))
            counts = [
                _flop_of_phase(k, t, step, functions) for k, t in zip(step.kernels, texts, strict=False)
            ]
            yield Step("phase", title, rows, moved, None if None in counts else sum(filter(None, counts)))


def _flop_of_phase(
    kernel: Kernel | Gemm, text: str | None, phase: Phase, functions: Mapping[str, int]
) -> int | None:
    if isinstance(kernel, Gemm):
        return 2 * math.prod(a.extent for a in (*kernel.batch, kernel.m, kernel.n, kernel.k))
    if text is None:
        return None
    tiles, rest = divmod(phase.samples, phase.tile)
    last = flop_of(text, rest, functions) if rest else 0
    return tiles * flop_of(text, phase.tile, functions) + last


def _rows(plan: Plan, kernel: Kernel | Gemm) -> Iterator[Row]:
    """A row for each value that a kernel writes; equal ones are one."""
    if isinstance(kernel, Gemm):
        shape = f"{kernel.m.extent} × {kernel.k.extent} × {kernel.n.extent}"
        loops = " × ".join([*(str(a.extent) for a in kernel.batch), f"BLAS {shape}"])
    else:
        loops = " × ".join(str(a.extent) for a in kernel.axes) or "one number"
    found = []
    for o in kernel.outputs:
        e = plan.made[o.var]
        fused = [f.name for f in reversed(_inside(plan, o, kernel.phase)) if f.name not in _SILENT]
        same = (
            e.name == "cast" and e.inputs[0].dtype == e.outs[0].dtype
        )  # the planner's: another order in memory
        rare = ", zeros passed over" if getattr(kernel, "guard", None) is not None else ""
        found.append(Row(loops, (*fused, "copy" if same else e.name), _TO[o.place] + rare, place_of(e)))
    for row, times in Counter(found).items():
        yield row if times == 1 else Row(row.loops, row.operations, f"{row.to}, {times} times", row.place)


_TO = {"tile": "tile", "whole": "array", "sum": "over all samples"}


def _inside(plan: Plan, out: Output, phase: int | None) -> list[Equation]:
    """The operations that are computed in registers on the way to an output, the last one first."""
    found: dict[Equation, None] = {}
    stack = list(out.factors) if out.combine else operands(plan.made[out.var], out.idx)
    seen = set()
    while stack:
        v, idx = stack.pop()
        if (v, idx) in seen or plan.is_array(v) or plan.is_kept(v, phase):
            continue
        seen.add((v, idx))
        e = plan.made[v]
        if not is_view(e):
            found[e] = None
        stack += operands(e, idx)
    return sorted(found, key=plan.graph.equations.index, reverse=True)


def _moved(plan: Plan, step: Kernel | Phase | Call) -> int:
    """Bytes that a step reads from and writes to arrays, each array once: what is met again is in the cache."""
    if isinstance(step, Call):
        touched: set[Var] = {*step.equation.inputs, *step.equation.outs}
    else:
        touched = set()
        for kernel in step.kernels if isinstance(step, Phase) else [step]:
            for o in kernel.outputs:
                touched |= {v for v in plan.reads(o, kernel.phase) if plan.is_array(v) or v in plan.places}
                touched |= {o.var} & plan.places.keys()
    written_out = {v for v, c in plan.graph.constants.items() if c.ndim == 0}
    return sum(map(nbytes, touched - written_out))


def place_of(e: Equation) -> str:
    """The user's line of an operation; of a derivative that of what is differentiated."""
    if e.source is None:
        return ""
    return f"∂ {e.source.place}" if isinstance(e.source, Pullback) else e.source.place


# --- times ---------------------------------------------------------------------------------------------


def _with_times(
    plan: Plan, steps: Sequence[Step], seconds: Sequence[float], machine: Machine | None
) -> list[Step]:
    """The steps with what each took; loops that run in one call are one step then."""
    parts = []
    for kind, group in itertools.groupby(zip(plan.steps, steps, strict=True), lambda pair: type(pair[0])):
        pairs = list(group)
        parts += [pairs] if kind is Kernel and len(seconds) < len(steps) else [[pair] for pair in pairs]
    return [
        _timed([s for _, s in part], getattr(part[0][0], "chunks", 1), taken, machine)
        for part, taken in zip(parts, seconds, strict=True)
    ]


def _timed(steps: Sequence[Step], parts: int, seconds: float, machine: Machine | None) -> Step:
    first = steps[0]
    moved, flop = sum(s.moved for s in steps), sum(s.flop or 0 for s in steps)
    rows = tuple(row for s in steps for row in s.rows)
    limit = None if first.flop is None or machine is None else machine.at_least(moved, flop, parts)
    return Step(first.kind, first.title, rows, moved, first.flop and flop, first.reason, seconds, limit)


# --- text ----------------------------------------------------------------------------------------------


def _lines(r: Report) -> Iterator[str]:
    if r.why:
        yield f"{r.name} is not compiled: {r.why}; chainrule doctor says how to get it."
    run = "" if r.computed == r.recorded else f" recorded, {r.computed} to run"
    kernels = any(s.kind != "NumPy" for s in r.steps)
    how = f"{r.dtype}, {_many(len(r.steps), 'step')}" if kernels else "all in NumPy"
    yield f"{r.name}: {_many(r.recorded, 'operation')}{run}; {how if r.steps else 'nothing to compute'}"
    rows = [_cells(row) for step in r.steps if step.kind != "NumPy" for row in step.rows]
    widths = [min(max((len(row[i]) for row in rows), default=0), _WIDEST) for i in range(3)]
    for k, step in enumerate(r.steps, 1):
        yield from _step_lines(k, step, widths)
    yield from _summary(r)


def _cells(row: Row) -> tuple[str, str, str, str]:
    return row.loops, _fused(row.operations), f"→ {row.to}", row.place


def _step_lines(k: int, step: Step, widths: Sequence[int]) -> Iterator[str]:
    cells = map(_cells, step.rows)
    lines = ["  ".join([*(f"{c:{w}}" for c, w in zip(row, widths, strict=False)), row[3]]) for row in cells]
    if step.kind == "NumPy":
        (row,) = step.rows
        lines = [f"{row.operations[0]}: {step.reason}   {row.place}"]
    cost = ", ".join(_costs(step))
    if step.kind == "phase":
        lines = [f"{step.title}: {cost}", *lines]
    elif step.seconds is not None:
        lines.append(f"({cost})")
    for n, line in enumerate(lines):
        yield f"{k:3} {step.kind:5}  {line}" if n == 0 else f"{'':11}{line}"


_WIDEST = 48  # of a column


def _costs(step: Step) -> Iterator[str]:
    yield f"moves {size(step.moved)}"
    if step.flop:
        yield f"{amount(step.flop)}flop"
    if step.seconds is not None:
        yield f"takes {duration(step.seconds)}"
    if step.limit is not None:
        yield f"at least {duration(step.limit)} here"


def _fused(names: Sequence[str]) -> str:
    """`mul, sub ×2, exp`: in the order in which they first come, the last one last."""
    *inner, last = names
    counted = [f"{n} ×{times}" if times > 1 else n for n, times in Counter(inner).items()]
    if len(counted) > _NAMES:
        counted = [*counted[:_NAMES], f"{len(inner)} in all"]
    return ", ".join([*counted, last])


def _summary(r: Report) -> Iterator[str]:
    if r.fused:
        never, they = ("never reach", "they are") if r.fused > 1 else ("never reaches", "it is")
        yield f"fused:    {_many(r.fused, 'operation')} {never} memory: {they} computed where {they} read"
    if r.repeated:
        names = [
            f"{name} {f'({place}) ' if place else ''}{times} times" for name, place, times in r.repeated[:3]
        ]
        more = f", and {len(r.repeated) - 3} more" if len(r.repeated) > 3 else ""
        yield f"repeated: rather than kept, {', '.join(names)}{more}"
    kept = [f"{size(r.tile)} for each sample of a tile, in the cache"] if r.tile else []
    kept += [f"{size(r.between)} in arrays from step to step"] if r.between else []
    if kept:
        yield f"kept:     {', '.join(kept)}"
    ratio = f", {r.flop / r.moved:.3g} for each byte" if r.flop and r.moved else ""
    counted = f"; {amount(r.flop)}flop{ratio}" if any(s.flop is not None for s in r.steps) else ""
    yield f"all:      {size(r.moved)} in and out of arrays{counted}"
    if r.alone.moved > r.moved:
        yield f"alone:    one operation after the other would move {size(r.alone.moved)} and keep {size(r.alone.peak)}"
    if any(s.seconds is not None for s in r.steps):
        limits = [s.limit for s in r.steps if s.limit is not None]
        least = f"; at least {duration(sum(limits))} here" if limits else ""
        yield f"time:     {duration(sum(s.seconds or 0.0 for s in r.steps))}{least}"
    if r.machine is not None:
        yield f"machine:  {r.machine}"


def _many(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def size(n: int) -> str:
    """Bytes as people read them."""
    for unit, one in (("GB", 2**30), ("MB", 2**20), ("kB", 2**10)):
        if n >= one:
            return f"{n / one:.1f} {unit}"
    return f"{n} bytes"


def amount(n: float) -> str:
    """A count with a prefix: `1.9 M`."""
    for prefix, one in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if n >= one:
            return f"{n / one:.3g} {prefix}"
    return f"{n:.0f} "


def duration(s: float) -> str:
    """Seconds as people read them."""
    for unit, one in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if s >= one:
            return f"{s / one:.3g} {unit}"
    return f"{s / 1e-9:.0f} ns"


__all__ = ["Report", "Row", "Step", "report"]
