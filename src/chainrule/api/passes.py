"""A walk over one tape for every unit vector: recorded once, run on all of them together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.dispatch import node_of
from chainrule.eager.backward import collect
from chainrule.errors import TraceError, UnsupportedError
from chainrule.ir.types import type_of
from chainrule.ops import creation, join

# From how many passes on recording pays: measured on tapes of small arrays, where a plain pass takes a tenth of
# recording one, and a pass that is itself recorded a third.
_PLAIN, _RECORDED = 16, 4
# Entries of the largest value of the tape, times passes that run together: 32 MB of doubles.
_TOGETHER = 1 << 22


def each_unit(
    walk: Callable[[Any], list[Any]], t: Any, outs: Sequence[Any], recorded: bool = False
) -> list[Any]:
    """`walk(u)` for every unit vector u of the space of `t`: its results, stacked along a new first dimension.

    `outs` are the tensors whose tape is walked, `recorded` says whether the walk is itself recorded. Walks that cannot
    be recorded (a rule of the user that looks at numbers, an operation that has no rule for many examples) are done one
    by one: the results are the same.
    """
    units = np.eye(t.numel(), dtype=t.dtype).reshape(t.numel(), *t.shape)
    if t.numel() >= (_RECORDED if recorded else _PLAIN):
        from chainrule.api.batched import vmap

        try:
            return list(vmap(lambda u: tuple(walk(u)), chunk_size=max(1, _TOGETHER // _largest(outs)))(units))
        except (TraceError, UnsupportedError):
            pass
    found = [walk(creation.make_leaf(u)) for u in units]
    return [join.stack(column) for column in zip(*found, strict=True)]


def _largest(outs: Sequence[Any]) -> int:
    nodes = collect([n for n in map(node_of, outs) if n.pull is not None])
    return max([type_of(n.out).size for n in nodes], default=1) or 1


__all__ = ["each_unit"]
