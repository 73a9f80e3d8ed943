"""A function with its point, as what is explained: run once on fresh leaves."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.dispatch import Handle
from chainrule.errors import ArgumentError, DataError
from chainrule.insight.naming import Variable, Variables
from chainrule.insight.words import a
from chainrule.ops.creation import tensor
from chainrule.tape.modes import enable_grad
from chainrule.tape.promote import get_default_dtype


def at_point(f: Callable[..., Any], point: Sequence[Any]) -> tuple[Handle, list[Handle]]:
    """The result of a function at a point, and the leaves that stand for the point."""
    if not point:
        raise ArgumentError(
            "a function is explained at a point, and none was given",
            fix="pass the point too, e.g. explain(f, 1.0)",
        )
    leaves = [_leaf(v, k) for k, v in enumerate(point)]
    with enable_grad():
        out = f(*leaves)
    if not isinstance(out, Handle):
        raise DataError(
            f"the function returned {a(type(out).__name__)}, not a Tensor",
            fix="return the tensor itself: no .item(), no float(…)",
        )
    return out, leaves


def _leaf(v: Any, k: int) -> Handle:
    value = np.array(v.v if isinstance(v, Handle) else v)
    if value.dtype.kind not in "buifc":
        raise DataError(
            f"argument {k} is {a(type(v).__name__)}, no number and no array", fix="pass numbers or tensors"
        )
    return tensor(
        value, dtype=value.dtype if value.dtype.kind in "fc" else get_default_dtype(), requires_grad=True
    )


def parameter_names(f: Callable[..., Any], leaves: Sequence[Handle]) -> Variables:
    """The leaves under the names of the function's parameters."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    star = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "x")
    names += [f"{star}[{k - len(names)}]" for k in range(len(names), len(leaves))]
    return Variables([Variable(name, leaf) for name, leaf in zip(names, leaves, strict=False)])


__all__ = ["at_point", "parameter_names"]
