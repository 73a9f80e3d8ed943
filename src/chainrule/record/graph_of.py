"""graph_of: the graph of a function, or of a tensor that is computed already."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.dispatch import Handle
from chainrule.errors import ArgumentError, UnsupportedError
from chainrule.ir.graph import Graph
from chainrule.ir.types import Type, type_of
from chainrule.ops import creation
from chainrule.passes.dce import dce
from chainrule.record.from_tape import graph_of_tensor
from chainrule.record.recorder import Output, Recording, record
from chainrule.source import boundary
from chainrule.tape.modes import enable_grad


@boundary
def graph_of(f: Any, *args: Any) -> Graph:
    """The graph of a function, or of a computed tensor.

    Parameters
    ----------
    f
        A function of tensors that returns a tensor, or a tuple or list of them. It runs once, on shapes and dtypes:
        its numbers are not known. Or a Tensor: its leaves that require gradients become the inputs, in the order in
        which they were made.
    args
        Arrays, tensors, numbers, or `Type`s: the inputs of the graph, one for each; only shape and dtype count.

    Returns
    -------
    Graph: the operations in order, each with its line; broadcasts and casts are equations. What the function reads
    from outside, and what does not depend on the arguments, are constants. Transforms are its methods: ``g.vjp()``,
    ``g.jvp()``, ``g.vmap()``.

    Raises
    ------
    TraceError (E302)
        The function asks for a number: `if`, `float(x)`, a mask as an index.
    GraphError (E301)
        Of a tensor: the tape has not kept a value that the graph needs.

    Cost
    ----
    About 20 µs per operation.

    Examples
    --------
    >>> import chainrule as cr
    >>> print(cr.graph_of(lambda w: 4 * w + w**3, 1.0))
    { a:float64[] ->
      b:float64[] = mul         4.0 a
      c:float64[] = integer_pow a  n=3
      d:float64[] = add         b c
      -> d }
    """
    if isinstance(f, Handle):
        if args:
            raise ArgumentError(
                "the graph of a tensor takes no point", fix="pass a function, or the tensor alone"
            )
        return graph_of_tensor(f)
    if not callable(f):
        fix = "write graph_of(f, x), with the function first; or pass a computed tensor alone"
        raise ArgumentError(f"graph_of takes a function or a tensor, not a {type(f).__name__}", fix=fix)
    types = [a if a.__class__ is Type else type_of(creation.as_tensor(a).v) for a in args]
    with enable_grad():
        recording = record(lambda *ts: _leaves(f(*ts)), types, name="graph_of")
    return dce(_closed(recording, len(types)))


def _leaves(result: Any) -> list[Any]:
    if isinstance(result, tuple | list):
        return list(result)
    if isinstance(result, dict) or result is None:
        given = type(result).__name__
        raise UnsupportedError(
            "the function returns no tensor", given=given, fix="return a tensor, or a tuple of them"
        )
    return [result]


def _closed(recording: Recording, count: int) -> Graph:
    """The graph with the captured values as constants, and the result of the function as outputs."""
    g = recording.graph
    constants = dict(g.constants)
    for v, t in zip(g.inputs[count:], recording.captured, strict=True):
        a = np.array(creation.as_tensor(t).v)
        a.flags.writeable = False
        constants[v] = a if a.ndim else a[()]
    closed = Graph(g.inputs[:count], g.equations, (), constants)
    for leaf in recording.leaves:
        if isinstance(leaf, Output):
            closed.outputs.append(g.outputs[leaf.k])
        else:
            closed.outputs.append(closed.constant(creation.as_tensor(leaf).v))
    return closed


__all__ = ["graph_of"]
