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
    """What a graph repeats to a shape: in elementwise operations it stays the number, or array, that the user wrote."""

    __slots__ = ("dtype", "of", "shape", "whole")

    def __init__(self, of: Any, shape: tuple[int, ...]) -> None:
        self.of, self.shape, self.dtype, self.whole = of, shape, of.dtype, None

    def spread(self) -> Any:
        if self.whole is None:
            self.whole = bind(TABLE["broadcast"], whole(self.of), shape=self.shape)
        return self.whole


def _emit(name: str, *args: Any, **params: Any) -> Any:
    """The domain: tensors, and numbers that are repeated when somebody looks at their entries."""
    p = TABLE[name]
    if name == "broadcast" and isinstance(args[0], np.generic):
        return _Repeated(args[0], params["shape"])
    if p.kind == "elementwise":
        short = [a.of if a.__class__ is _Repeated else a for a in args]
        if not all(isinstance(a, np.generic) for a in short) and _repeats_itself(args, short):
            return bind(p, *short, **params)
    return bind(p, *map(whole, args), **params)


def _repeats_itself(args: Sequence[Any], short: Sequence[Any]) -> bool:
    """Whether an operation on what is not repeated has the shape of the one on what is."""
    arrays = (a for a in args if a.__class__ is _Repeated and not isinstance(a.of, np.generic))
    return all(np.broadcast_shapes(*(s.shape for s in short)) == a.shape for a in arrays)


def _emit_alone(name: str, *args: Any, **params: Any) -> Any:
    """The same without lanes: arrays too are repeated by the operation that reads them."""
    if name != "broadcast":
        return _emit(name, *args, **params)
    return _Repeated(args[0].of if args[0].__class__ is _Repeated else args[0], params["shape"])


def whole(a: Any) -> Any:
    """A tensor in place of a number, or of what is repeated."""
    return a.spread() if a.__class__ is _Repeated else make_leaf(a) if isinstance(a, np.generic) else a


def replay(
    graph: Graph,
    tensors: Sequence[Any],
    batched: Sequence[bool] = (),
    lanes: int = 0,
    values: dict[Var, tuple[Any, bool]] | None = None,
) -> list[Any]:
    """The outputs of a graph at tensors, as pairs (tensor, whether it has lanes).

    Parameters
    ----------
    graph
        As it was recorded; what no output needs is not computed.
    tensors
        One per input, with lanes as the first dimension where `batched` says so.
    values
        Filled with such a pair for each variable, for who wants to see them all.
    """
    flags = [*batched, *[False] * (len(tensors) - len(batched))]
    values = {} if values is None else values
    values.update((v, (t, flag)) for v, t, flag in zip(graph.inputs, tensors, flags, strict=True))
    values.update((v, (c, False)) for v, c in graph.constants.items())
    where = Lanes(_emit if lanes else _emit_alone, lanes, lambda: make_leaf(np.arange(lanes)))
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
