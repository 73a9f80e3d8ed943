"""A recorded graph, run on tensors through `dispatch.bind`: the tape sees ordinary nodes with the recorded lines.

With lanes or without: the rules are those of transforms/batch.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.dispatch import bind
from chainrule.errors import ChainruleError, IndexingError
from chainrule.ir.graph import Equation, Graph, Var
from chainrule.ops.creation import make_leaf
from chainrule.passes.dce import dce
from chainrule.source import Source
from chainrule.table.primitive import TABLE
from chainrule.tape.modes import at_line
from chainrule.transforms.batch import Lanes, run


class _Repeated:
    """A number that a graph repeats to a shape: in elementwise operations it stays the number that the user wrote."""

    __slots__ = ("dtype", "number", "shape")

    def __init__(self, number: Any, shape: tuple[int, ...]) -> None:
        self.number, self.shape, self.dtype = number, shape, number.dtype

    def spread(self) -> Any:
        return bind(TABLE["broadcast"], make_leaf(self.number), shape=self.shape)


def _emit(name: str, *args: Any, **params: Any) -> Any:
    """The domain: tensors, and numbers that are repeated when somebody looks at their entries."""
    p = TABLE[name]
    if name == "broadcast" and isinstance(args[0], np.generic):
        return _Repeated(args[0], params["shape"])
    if p.kind == "elementwise" and not all(isinstance(a, _Repeated | np.generic) for a in args):
        return bind(p, *[a.number if a.__class__ is _Repeated else a for a in args], **params)
    return bind(p, *map(whole, args), **params)


def whole(a: Any) -> Any:
    """A tensor in place of a number, repeated or not."""
    return a.spread() if a.__class__ is _Repeated else make_leaf(a) if isinstance(a, np.generic) else a


def replay(graph: Graph, tensors: Sequence[Any], batched: Sequence[bool] = (), lanes: int = 0) -> list[Any]:
    """The outputs of a graph at tensors, as pairs (tensor, whether it has lanes).

    Parameters
    ----------
    graph
        As it was recorded; what no output needs is not computed.
    tensors
        One per input, with lanes as the first dimension where `batched` says so.
    """
    flags = [*batched, *[False] * (len(tensors) - len(batched))]
    values: dict[Var, tuple[Any, bool]] = {
        v: (t, flag) for v, t, flag in zip(graph.inputs, tensors, flags, strict=True)
    }
    values.update((v, (c, False)) for v, c in graph.constants.items())
    where = Lanes(_emit, lanes, lambda: make_leaf(np.arange(lanes)))
    line = at_line()
    source: Source | None = None

    def at(e: Equation) -> None:
        nonlocal source
        source = e.source
        line.move(source)

    with line:
        try:
            return [(whole(t), flag) for t, flag in run(dce(graph), values, where, at)]
        except ChainruleError as err:
            raise err.at(source) from None
        except IndexError as err:  # NumPy's, of indices that were not known before
            text = str(err).replace("axis", "dimension")
            raise IndexingError(text, fix="check the indices", source=source) from None


__all__ = ["replay"]
