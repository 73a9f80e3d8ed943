"""From a graph to what is compiled: its plan, the LLVM text of that, and the schedule that runs it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from chainrule.codegen.emit import Writer
from chainrule.codegen.plan import Plan
from chainrule.codegen.prepare import planned
from chainrule.codegen.schedule import FAULT, Schedule, Slots, Tiled
from chainrule.codegen.steps import Call, Gemm, Kernel, Phase
from chainrule.ir.graph import Equation, Graph, Var
from chainrule.passes.cost import operations


class Written(NamedTuple):
    """plan, text
        What runs in which order, and the LLVM text.
    schedule
        What calls the functions in it.
    """

    plan: Plan
    text: str
    schedule: Schedule


def written(graph: Graph, **how: int) -> Written:
    """Everything that is made of a graph but the machine code; see `Plan` for what else can be given."""
    plan, slots = planned(graph, **how), Slots()
    writer = Writer(plan, slots)
    named = list(_named(plan.steps, writer))  # before the slots are looked at: writing gives them
    steps = tuple(_step(plan, slots, step, name) for step, name in named)
    return Written(plan, writer.text(), _schedule(plan, slots, steps, sorted(writer.externals)))


def _named(steps: Sequence[Kernel | Phase | Call], writer: Writer) -> Iterator[tuple[Any, str]]:
    """What a call runs in order, and its function; kernels on whole arrays in a row are one."""
    for kind, group in itertools.groupby(steps, type):
        if kind is Kernel:
            yield None, writer.kernels(list(group))  # type: ignore[arg-type]
        else:
            yield from ((s, writer.phase(s) if isinstance(s, Phase) else "") for s in group)


def _step(plan: Plan, slots: Slots, step: Phase | Call | None, name: str) -> str | Tiled | Equation:
    if step is None:
        return name
    if isinstance(step, Call):
        return step.equation
    in_tiles = [(slots.of.get((v, step.number)), v) for v in plan.tiles[step.number]]
    tiles = sorted(
        (slot, v.type.size // step.samples * step.tile, v.dtype.str)
        for slot, v in in_tiles
        if slot is not None
    )
    sums = tuple((o.var, o.combine or "") for o in step.sums)
    has_products = any(isinstance(k, Gemm) for k in step.kernels)
    return Tiled(name, tuple(step.bounds()), sums, tuple(tiles), has_products)


def _schedule(plan: Plan, slots: Slots, steps: tuple[Any, ...], externals: Sequence[str]) -> Schedule:
    g, of = plan.graph, slots.of
    called = {v for s in plan.steps if isinstance(s, Call) for v in s.equation.outs}
    read = {*of, *g.outputs, *(v for s in plan.steps if isinstance(s, Call) for v in s.equation.inputs)}
    return Schedule(
        tuple(g.inputs), tuple(g.outputs),
        {v: c for v, c in g.constants.items() if v in read},
        tuple(v for v in plan.places if v not in g.outputs and v not in called),
        frozenset(v for v in g.outputs if v in plan.places and v not in called),
        {key: slot for key, slot in of.items() if isinstance(key, Var) or key == FAULT},
        len(of),
        sum(map(operations, g.equations)),
        steps,
        tuple(externals),
    )  # fmt: skip


__all__ = ["Written", "written"]
