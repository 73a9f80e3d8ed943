"""What a program refuses while it runs: an index that is out of range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.errors import IndexingError
from chainrule.ir.graph import Equation, Graph


def out_of_range(e: Equation, err: IndexError) -> IndexingError:
    """NumPy's error in an equation, with the line it comes from and what is in range."""
    shape = e.params.get("shape", e.inputs[0].shape)
    places = ", ".join(f"{-n}..{n - 1} in dimension {k}" for k, n in enumerate(shape))
    text = str(err).replace("axis", "dimension")
    return IndexingError(text, given=f"tensor of shape {list(shape)}", fix=f"use {places}", source=e.source)


def first_out_of_range(graph: Graph, arrays: Sequence[Any]) -> IndexingError:
    """The error of the first equation that refuses an index, found by computing one after the other."""
    values = {**dict(zip(graph.inputs, arrays, strict=True)), **graph.constants}
    with np.errstate(all="ignore"):
        for e in graph.equations:
            try:
                result = e.primitive.value(*[values[v] for v in e.inputs], **e.params)
            except IndexError as err:
                return out_of_range(e, err)
            values.update(zip(e.outs, result if result.__class__ is tuple else (result,), strict=True))
    return IndexingError(
        "an index is out of range", fix="compare the indices with the shapes that they pick from"
    )
