"""What a program refuses while it runs: an index that is out of range, a whole number divided by 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.errors import ChainruleError, IndexingError
from chainrule.ir.graph import Equation, Graph

REFUSALS = (IndexError, ChainruleError)


def refusal(e: Equation, err: Exception) -> ChainruleError:
    """The error of an equation, with the line it comes from; of NumPy's, with what is in range."""
    if isinstance(err, ChainruleError):
        return err.at(e.source)
    shape = e.params.get("shape", e.inputs[0].shape)
    places = ", ".join(f"{-n}..{n - 1} in dimension {k}" for k, n in enumerate(shape))
    text = str(err).replace("axis", "dimension")
    return IndexingError(text, given=f"tensor of shape {list(shape)}", fix=f"use {places}", source=e.source)


def first_refusal(graph: Graph, arrays: Sequence[Any]) -> ChainruleError:
    """The error of the first equation that refuses what it is given, found by computing one after the other."""
    values = {**dict(zip(graph.inputs, arrays, strict=True)), **graph.constants}
    with np.errstate(all="ignore"):
        for e in graph.equations:
            try:
                result = e.primitive.value(*[values[v] for v in e.inputs], **e.params)
            except REFUSALS as err:
                return refusal(e, err)
            values.update(zip(e.outs, result if result.__class__ is tuple else (result,), strict=True))
    return IndexingError(
        "an index is out of range", fix="compare the indices with the shapes that they pick from"
    )
