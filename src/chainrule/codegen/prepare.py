"""A graph as the planner takes it: folded, primitives taken apart, equal equations joined, unused ones dropped."""

from __future__ import annotations

from chainrule import config
from chainrule.codegen.expand import expand
from chainrule.codegen.indexing import indexed
from chainrule.codegen.reading import real_dtype
from chainrule.ir.graph import Graph
from chainrule.ir.verify import verify
from chainrule.passes.cse import cse
from chainrule.passes.dce import dce
from chainrule.passes.fold import fold

PASSES = (fold, expand, fold, cse, dce)  # before `indexed`, whose equations are not those of the table


def prepare(graph: Graph) -> Graph:
    """The graph after every pass; verified after each where `config.VERIFY` is set."""
    for step in PASSES:
        graph = step(graph)
        if config.VERIFY:
            verify(graph)
    return indexed(graph, real_dtype(graph))
