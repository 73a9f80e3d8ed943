"""From a graph to its plan: folded, primitives taken apart, equal equations joined, unused ones dropped,
sums taken before products, planned."""

from __future__ import annotations

from chainrule import config
from chainrule.codegen.expand import expand
from chainrule.codegen.indexing import indexed
from chainrule.codegen.plan import Plan
from chainrule.codegen.reading import real_dtype
from chainrule.ir.graph import Graph
from chainrule.passes.cse import cse
from chainrule.passes.dce import dce
from chainrule.passes.fold import fold
from chainrule.passes.hoist import hoist


def expanded(graph: Graph) -> Graph:
    """`expand`, and what can be folded of the parts."""
    parts = expand(graph)
    return graph if parts is graph else fold(parts)


PASSES = (fold, expanded, cse, dce, hoist)  # before `indexed`, whose equations are not those of the table


def prepare(graph: Graph) -> Graph:
    """The graph after every pass; verified after each where `config.VERIFY` is set."""
    for step in PASSES:
        graph = step(graph)
        if config.VERIFY:
            from chainrule.ir.verify import verify

            verify(graph)
    return indexed(graph, real_dtype(graph))


def planned(graph: Graph, **how: int) -> Plan:
    """The plan of a graph; see `Plan` for what else can be given."""
    plan = Plan(prepare(graph), **how)
    if config.VERIFY:
        from chainrule.codegen.verify_plan import verify_plan

        return verify_plan(plan)
    return plan
