"""Formulas that a long program uses often, as functions of its module: LLVM takes long for each time they are written.

In a short program they are written where they are used: there a call costs more than it saves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from chainrule.codegen import scalar
from chainrule.codegen.block import REAL, Block, Value
from chainrule.ir.graph import Graph

_OFTEN = 16  # times that long formulas are used from which their functions pay


class Functions:
    """The functions of one module.

    names
        The primitives that are called and not written where they are used.
    texts, declared, called
        As of a `Block`.
    """

    def __init__(self, graph: Graph) -> None:
        used = Counter(e.name for e in graph.equations if e.name in scalar.LONG_FORMULAS)
        self.names = frozenset(used) if used.total() >= _OFTEN else frozenset[str]()
        self.texts: dict[str, str] = {}
        self.declared: dict[str, str] = {}
        self.called: set[str] = set()

    def call(self, b: Block, name: str, xs: Sequence[Value]) -> Value:
        """The value of a primitive in a block, by a call."""
        t = b.types[REAL]
        function = f"{name}.{b.suffix}f{b.bits}"
        if function not in self.texts:
            self._write(function, name, len(xs), Block(b.dtype, b.lanes))
        return b.operation(f"call {t} @{function}({', '.join(f'{t} {x.name}' for x in xs)})", REAL, *xs)

    def _write(self, function: str, name: str, count: int, b: Block) -> None:
        self.texts[function] = b.as_function(function, scalar.LOWER[name], count)
        self.declared |= b.declared
        self.called |= b.called


__all__ = ["Functions"]
