"""The reference engine: walks the equations of a graph and calls `value` of each primitive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, ChainruleError, DtypeError, GraphError, ShapeError
from chainrule.ir.graph import Equation, Graph, Var
from chainrule.ir.types import Type


def evaluate(graph: Graph, *arrays: Any) -> tuple[Any, ...]:
    """Values of the outputs of a graph.

    Parameters
    ----------
    graph
        A verified graph.
    arrays
        One array per input, of its shape and dtype. Python numbers fit inputs of their category.

    Returns
    -------
    Arrays (NumPy scalars for shape ``[]``), one per output; none of them shares memory with an argument or
    with another.

    Raises
    ------
    ShapeError (E101), DtypeError (E102)
        An array is not of the type of its input.
    ArgumentError (E104)
        The number of arrays is not that of the inputs.

    Examples
    --------
    >>> from chainrule.ir import parse
    >>> g = parse("{ w:float64[] -> a:float64[] = mul 4.0 w  b:float64[] = add a 3.0 -> b }")
    >>> evaluate(g, 1.0)
    (np.float64(7.0),)
    """
    if len(arrays) != len(graph.inputs):
        given = ", ".join(str(v.type) for v in graph.inputs) or "none"
        fix = f"pass {len(graph.inputs)} arrays"
        raise ArgumentError(
            f"{len(arrays)} arrays for a graph of {len(graph.inputs)} inputs", given=given, fix=fix
        )
    values = {v: _checked(k, v.type, a) for k, (v, a) in enumerate(zip(graph.inputs, arrays, strict=True))}
    values.update(graph.constants)
    dying = last_readers(graph)
    with np.errstate(all="ignore"):
        for e, dead in zip(graph.equations, dying, strict=True):
            _run(e, values)
            for v in dead:
                del values[v]
    return _results([values[v] for v in graph.outputs], arrays)


def last_readers(graph: Graph) -> list[list[Var]]:
    """For each equation the variables that nothing reads after it; inputs and constants die, too."""
    seen = set(graph.outputs)
    found: list[list[Var]] = []
    for e in reversed(graph.equations):
        dead = [v for v in dict.fromkeys((*e.outs, *e.inputs)) if v not in seen]
        seen.update(dead)
        found.append(dead)
    found.reverse()
    return found


def _run(e: Equation, values: dict[Var, Any]) -> None:
    try:
        result = e.primitive.value(*[values[v] for v in e.inputs], **e.params)
    except (ValueError, IndexError, TypeError, KeyError) as err:
        if isinstance(err, ChainruleError):
            raise err.at(e.source) from None
        given = ", ".join(str(v.type) for v in e.inputs)
        raise GraphError(
            f"{e.name} cannot compute its value: {err}", given=given, source=e.source,
            fix="check the values that go in (an index out of range?), and the graph with verify(graph)",
        ) from err  # fmt: skip
    if result.__class__ is tuple:
        values.update(zip(e.outs, result, strict=True))
    else:
        (out,) = e.outs
        values[out] = result


def value_of(e: Equation, inputs: Sequence[Any]) -> Any:
    """The value of one equation with one output."""
    values = dict(zip(e.inputs, inputs, strict=True))
    with np.errstate(all="ignore"):
        _run(e, values)
    return values[e.outs[0]]


def _checked(k: int, t: Type, a: Any) -> Any:
    """`a` as an array of the type `t`."""
    weak = a.__class__ in (bool, int, float, complex)
    v = np.asarray(a)
    if v.shape != t.shape:
        shape = f"{v.dtype.name}[{','.join(map(str, v.shape))}]"
        fix = f"pass an array of shape {list(t.shape)}"
        raise ShapeError(f"input {k} of the graph is {t}", given=shape, fix=fix)
    if v.dtype != t.dtype:
        if not weak or "biufc".index(v.dtype.kind) > "biufc".index(t.dtype.kind):
            fix = f"convert it with .astype({t.dtype.name!r})"
            raise DtypeError(
                f"input {k} of the graph is {t}", given=f"{v.dtype.name}{list(v.shape)}", fix=fix
            )
        v = v.astype(t.dtype)
    return v if v.ndim else v[()]


def _results(outs: list[Any], arrays: Sequence[Any]) -> tuple[Any, ...]:
    """Outputs with memory of their own."""
    taken = {id(a) for a in arrays}
    found = []
    for out in outs:
        if isinstance(out, np.ndarray):
            if id(out) in taken or out.base is not None or not out.flags.writeable:
                out = np.array(out)
            taken.add(id(out))
            out = out if out.ndim else out[()]
        found.append(out)
    return tuple(found)
