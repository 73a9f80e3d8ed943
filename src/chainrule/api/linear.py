"""linearize: the derivative of a function at a point as a linear map, computed once and applied many times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule.api import trees
from chainrule.api.run import Run, check_function
from chainrule.dispatch import Handle
from chainrule.errors import ArgumentError
from chainrule.ir.types import type_of
from chainrule.ops import creation
from chainrule.record.recorder import Output, record
from chainrule.record.replay import replay
from chainrule.source import boundary


@boundary
def linearize(f: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """Value of `f`, and its derivative there as a linear map: a function of the tangents, to be applied many times.

    Parameters
    ----------
    f
        A function of tensors, or of dicts, lists, tuples and dataclasses of them. It runs once, here, on its numbers:
        Python's `if` works.
    primals
        The point: all arguments of `f`.
    has_aux
        `f` returns ``(value, anything else)``.

    Returns
    -------
    ``(value, pushforward)``, or ``(value, pushforward, anything else)``. ``pushforward(*tangents)`` takes one tangent
    for each argument, built like it (None where it is zero), and returns J·t, built like the value.

    Raises
    ------
    ShapeError (E101), ArgumentError (E104)
        A tangent does not have the shape, or the structure, of its argument.

    Cost
    ----
    One run of `f`, and once about 30 µs per operation for the map; each application about one run of `f`, less what
    does not depend on the tangents. For a single tangent `jvp` is quicker.

    Examples
    --------
    >>> import chainrule as cr
    >>> value, push = cr.linearize(lambda x, y: cr.sin(x) * y, 0.0, 2.0)
    >>> push(1.0, 0.0), push(0.0, 1.0)
    (tensor(2.), tensor(0.))
    """
    check_function(f, "linearize")
    run = Run(f, primals, {}, tuple(range(len(primals))), has_aux)
    recording = record(lambda *ts: run.push(ts), [type_of(x.v) for x in run.inputs], name="linearize")
    captured = recording.captured if run.outside else [_apart(t) for t in recording.captured]

    @boundary
    def pushforward(*tangents: Any) -> Any:
        if len(tangents) != len(primals):
            fix = "pass one tangent per argument; None for one that is zero"
            raise ArgumentError(f"{len(tangents)} tangents for {len(primals)} arguments", fix=fix)
        ts = [
            creation.zeros(*x.shape, dtype=x.dtype) if t is None else t.to(x.dtype)
            for t, x in zip(run.tangents(tangents), run.inputs, strict=True)
        ]
        outs = replay(recording.graph, [*ts, *captured])
        leaves = [outs[v.k][0] if isinstance(v, Output) else v for v in recording.leaves]
        return trees.unflatten(run.out_spec, leaves)

    return (run.value(), pushforward, run.aux) if has_aux else (run.value(), pushforward)


def _apart(t: Any) -> Any:
    """A value without the tape of the run."""
    return creation.make_leaf(t.v) if isinstance(t, Handle) else t


__all__ = ["linearize"]
