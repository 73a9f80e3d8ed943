"""vmap of a graph: the same program on many examples at once, along a new first dimension, the lanes.

One rule per kind of primitive, written over `emit`: equations of a graph here, tensors in record/replay.py. A value
without lanes is the same for all examples; what is computed of such values alone stays without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from chainrule.errors import ArgumentError, UnsupportedError
from chainrule.ir.emitter import Emitter
from chainrule.ir.graph import Equation, Graph, Var
from chainrule.ir.types import Type, broadcast_shapes, type_of
from chainrule.table.primitive import TABLE


class Lanes(NamedTuple):
    """Where a batched program is computed.

    emit
        The domain, as in transforms/derive.py.
    count
        Number of lanes.
    numbers
        `numbers()` is a value of the domain that holds 0 … count - 1.
    """

    emit: Callable[..., Any]
    count: int
    numbers: Callable[[], Any]


def vmap(graph: Graph, lanes: int, batched: Sequence[bool] | None = None) -> Graph:
    """Graph of the program on many examples.

    Parameters
    ----------
    graph
        The program for one example.
    lanes
        Number of examples.
    batched
        Which inputs differ between examples (None: all): they get a first dimension of this length. The others are the
        same for all examples. Every output has the dimension.

    Raises
    ------
    UnsupportedError (E106)
        An operation that cannot run on many examples at once (`REFUSED`).

    Cost
    ----
    About as many equations as `graph`.

    Examples
    --------
    >>> from chainrule.ir import parse
    >>> print(vmap(parse("{ x:float64[3] y:float64[3] -> p:float64[3] = mul x y -> p }"), 5, [True, False]))
    { a:float64[5,3] b:float64[3] ->
      c:float64[5,3] = broadcast b  shape=(5, 3)
      d:float64[5,3] = mul       a c
      -> d }
    """
    flags = [True] * len(graph.inputs) if batched is None else list(batched)
    if len(flags) != len(graph.inputs):
        fix = f"give one truth value per input, {len(graph.inputs)}"
        raise ArgumentError(f"{len(flags)} flags for a graph of {len(graph.inputs)} inputs", fix=fix)
    g = Graph()
    emit = Emitter(g)
    values = {
        v: (g.input(Type((lanes, *v.shape), v.dtype) if flag else v.type), flag)
        for v, flag in zip(graph.inputs, flags, strict=True)
    }
    values |= {v: (g.constant(c), False) for v, c in graph.constants.items()}

    def at(e: Equation) -> None:
        emit.source = e.source

    where = Lanes(emit, lanes, lambda: g.constant(range(lanes)))
    for out, flag in run(graph, values, where, at):
        g.outputs.append(_spread(where, out, flag))
    return g


def run(
    graph: Graph, values: dict[Var, tuple[Any, bool]], where: Lanes, at: Callable[[Equation], None]
) -> list[tuple[Any, bool]]:
    """Compute a graph in a domain: pairs (output, whether it has lanes).

    values
        Variable → (value, whether it has lanes), for inputs and constants; it is filled.
    at
        Called with each equation before it is computed.
    """
    for e in graph.equations:
        at(e)
        given = [values[v] for v in e.inputs]
        args = [a for a, _ in given]
        if any(flag for _, flag in given):
            out = rule_of(e)(where, e, args, [flag for _, flag in given])
            values[e.outs[0]] = out, True
        else:
            values[e.outs[0]] = where.emit(e.name, *args, **e.params), False
    return [values[v] for v in graph.outputs]


Rule = Callable[[Lanes, Equation, list[Any], list[bool]], Any]


def rule_of(e: Equation) -> Rule:
    """How an equation is computed for all lanes."""
    rule = RULES.get(e.name)
    if rule is None and e.primitive is TABLE.get(e.name):
        rule = {"elementwise": _entrywise, "reduction": _shifted}.get(e.primitive.kind)
    if rule is None or len(e.outs) != 1:
        raise UnsupportedError(
            f"{e.name} cannot run on many examples at once" + (f": {REFUSED[e.name]}" if e.name in REFUSED else ""),
            given=", ".join(str(v.type) for v in e.inputs),
            fix="loop over the examples, and join the results with stack([...])", source=e.source,
        )  # fmt: skip
    return rule


def _spread(where: Lanes, a: Any, has_lanes: bool) -> Any:
    """A value with lanes."""
    return a if has_lanes else where.emit("broadcast", a, shape=(where.count, *type_of(a).shape))


def _all(where: Lanes, args: Iterable[Any], flags: Iterable[bool]) -> list[Any]:
    return [_spread(where, a, flag) for a, flag in zip(args, flags, strict=True)]


def _example(a: Any, has_lanes: bool) -> Type:
    """The type of a value in one lane."""
    t = type_of(a)
    return Type(t.shape[1:], t.dtype) if has_lanes else t


# --- entry by entry, and along dimensions -----------------------------------------------------------


def _entrywise(where: Lanes, e: Equation, args: list[Any], flags: list[bool]) -> Any:
    """Inputs have equal shapes in one lane: what has no lanes repeats by the rules of broadcasting."""
    return where.emit(e.name, *args, **e.params)


def _shifted(where: Lanes, e: Equation, args: list[Any], flags: list[bool]) -> Any:
    """The same operation, every dimension that a parameter names one further."""
    params = {k: _MOVED[k](v, where.count) if k in _MOVED else v for k, v in e.params.items()}
    return where.emit(e.name, *_all(where, args, flags), **params)


def _next(axis: Any, lanes: int) -> Any:
    return tuple([a + 1 for a in axis]) if axis.__class__ is tuple else axis + 1


_MOVED: dict[str, Callable[[Any, int], Any]] = {
    "axis": _next,
    "axes": _next,
    "shape": lambda shape, lanes: (lanes, *shape),
    "perm": lambda perm, lanes: (0, *_next(perm, lanes)),
    "width": lambda width, lanes: ((0, 0), *width),
}


def _broadcast(where: Lanes, e: Equation, args: list[Any], flags: list[bool]) -> Any:
    x, shape = _ranked(where, args[0], len(e.params["shape"])), e.params["shape"]
    return where.emit("broadcast", x, shape=(where.count, *shape))


def _ranked(where: Lanes, x: Any, ndim: int) -> Any:
    """A value with lanes, with dimensions of length 1 behind them until it has `ndim` in one lane."""
    n, *shape = type_of(x).shape
    ones = ndim - len(shape)
    return where.emit("reshape", x, shape=(n, *(1,) * ones, *shape)) if ones > 0 else x


def _to_order(where: Lanes, x: Any, perm: Sequence[int]) -> Any:
    perm = tuple(perm)
    return x if perm == tuple(range(len(perm))) else where.emit("transpose", x, perm=perm)


# --- products ----------------------------------------------------------------------------------------


def _dot_general(where: Lanes, e: Equation, args: list[Any], flags: list[bool]) -> Any:
    """Lanes on both sides are one more batch; on one side a free dimension, which is then moved to the front."""
    (cx, cy), (bx, by) = e.params["contract"], e.params["batch"]
    lanes_x, lanes_y = flags
    cx, bx = (_next(cx, 0), _next(bx, 0)) if lanes_x else (cx, bx)
    cy, by = (_next(cy, 0), _next(by, 0)) if lanes_y else (cy, by)
    if lanes_x and lanes_y:
        return where.emit("dot_general", *args, contract=(cx, cy), batch=((0, *bx), (0, *by)))
    out = where.emit("dot_general", *args, contract=(cx, cy), batch=(bx, by))
    at = len(bx) if lanes_x else len(type_of(args[0]).shape) - len(cx)
    ndim = len(type_of(out).shape)
    return _to_order(where, out, (at, *[k for k in range(ndim) if k != at]))


# --- indexing ------------------------------------------------------------------------------------------

# Note [Keys with lanes]
# NumPy puts the dimensions of the index arrays where the first of them stands if all stand side by side, else in
# front. A key with lanes is the same key behind a full slice, or, where the index arrays have lanes themselves, behind
# one more index array: the number of the lane. Where that moves dimensions, `perm` puts the picked entries into the
# order (lanes, as in one lane).


class _Key(NamedTuple):
    spec: tuple[tuple[Any, ...], ...]
    index: list[Any]
    perm: tuple[int, ...]


_WHOLE = ("slice", None, None, None)


def _key(where: Lanes, e: Equation, x: Type, lanes_x: bool, index: list[Any], flags: list[bool]) -> _Key:
    """The key of an equation for a value of which one lane has type `x`."""
    spec = e.params["spec"]
    types = [_example(i, flag) for i, flag in zip(index, flags, strict=True)]
    picked = TABLE["index"].type_rule(x, *types, spec=spec)
    ndim = 1 + len(picked.shape)
    straight = tuple(range(ndim))
    if not index:
        return _Key((_WHOLE, *spec), [], straight)
    depth = len(broadcast_shapes(*(t.shape for t in types)))
    before = _before(spec, x)  # dimensions in front of the index arrays; None: they are apart, and come first
    if not any(flags):
        perm = (depth, *[k for k in straight if k != depth]) if before is None else straight
        return _Key((_WHOLE, *spec), index, perm)
    index = [_ranked(where, i, depth) if flag else i for i, flag in zip(index, flags, strict=True)]
    if not lanes_x:
        at = before or 0
        return _Key(spec, index, (at, *[k for k in straight if k != at]))
    lanes = where.emit("reshape", where.numbers(), shape=(where.count, *(1,) * depth))
    perm = (0, *range(1 + depth, 1 + depth + (before or 0)), *range(1, 1 + depth))
    return _Key((("array", len(index)), *spec), [*index, lanes], (*perm, *range(len(perm), ndim)))


def _before(spec: Any, x: Type) -> int | None:
    """Dimensions of the result in front of those of the index arrays; None if these do not stand side by side."""
    advanced = [k for k, item in enumerate(spec) if item[0] in ("int", "array")]
    if advanced[-1] - advanced[0] != len(advanced) - 1:
        return None
    taken = sum(item[0] in ("int", "array", "slice") for item in spec)
    lengths = {"slice": 1, "new": 1, "rest": len(x.shape) - taken}
    return sum(lengths[item[0]] for item in spec[: advanced[0]])


def _inverse(perm: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(range(len(perm)), key=perm.__getitem__))


def _index(where: Lanes, e: Equation, args: list[Any], flags: list[bool]) -> Any:
    x, *index = args
    key = _key(where, e, _example(x, flags[0]), flags[0], index, flags[1:])
    return _to_order(where, where.emit("index", x, *key.index, spec=key.spec), key.perm)


def _scatter_add(where: Lanes, e: Equation, args: list[Any], flags: list[bool]) -> Any:
    x, *index = args
    whole = Type(e.params["shape"], type_of(x).dtype)
    key = _key(where, e, whole, True, index, flags[1:])
    x = _ranked(where, _spread(where, x, flags[0]), len(key.perm) - 1)
    x = _to_order(where, x, _inverse(key.perm))
    return where.emit("scatter_add", x, *key.index, shape=(where.count, *whole.shape), spec=key.spec)


def _index_update(where: Lanes, e: Equation, args: list[Any], flags: list[bool]) -> Any:
    x, v, *index = args
    key = _key(where, e, _example(x, flags[0]), True, index, flags[2:])
    v = _ranked(where, _spread(where, v, flags[1]), len(key.perm) - 1)
    v = _to_order(where, v, _inverse(key.perm))
    return where.emit("index_update", _spread(where, x, flags[0]), v, *key.index, spec=key.spec)


def _searchsorted(where: Lanes, e: Equation, args: list[Any], flags: list[bool]) -> Any:
    """One sorted line serves every value; a line for each lane wants its values as one line."""
    edges, x = args
    if not flags[0] and len(type_of(edges).shape) == 1:
        return where.emit("searchsorted", edges, x, **e.params)
    edges, x = _all(where, args, flags)
    shape = type_of(x).shape
    if len(type_of(edges).shape) == 2:
        x = where.emit("reshape", x, shape=(where.count, _size(shape[1:])))
    out = where.emit("searchsorted", edges, x, **e.params)
    return out if type_of(out).shape == shape else where.emit("reshape", out, shape=shape)


def _isin(where: Lanes, e: Equation, args: list[Any], flags: list[bool]) -> Any:
    if not flags[1]:
        return where.emit("isin", *args)
    x, values = _all(where, args, flags)
    shape = type_of(x).shape
    x = where.emit("reshape", x, shape=(where.count, _size(shape[1:]), 1))
    values = where.emit("reshape", values, shape=(where.count, 1, _size(type_of(values).shape[1:])))
    found = where.emit("any", where.emit("eq", x, values), axis=(2,), keepdims=False)
    return where.emit("reshape", found, shape=shape)


def _size(shape: Sequence[int]) -> int:
    return Type(tuple(shape), None).size  # type: ignore[arg-type]


_SHIFTED = """
    cast reshape transpose flip shift pad concatenate alias detach take_along put_along diagonal on_diagonal windows
    add_windows cast_like argmax argmin softmax log_softmax argsort argtopk argkth argmedian argmode edge cumsum cumprod
    linear_recurrence others logcumsumexp argcummax argcummin real imag conj
"""

# Elementwise primitives and reductions need no line here.
RULES: dict[str, Rule] = {
    **dict.fromkeys(_SHIFTED.split(), _shifted),
    "broadcast": _broadcast,
    "dot_general": _dot_general,
    "index": _index,
    "scatter_add": _scatter_add,
    "index_update": _index_update,
    "searchsorted": _searchsorted,
    "isin": _isin,
}

# Primitive → why it has no rule.
REFUSED: dict[str, str] = {
    "histogram": "each example would have entries of its own to count",
    "zeros": "it has no inputs, so it is the same for all examples",
}

__all__ = ["REFUSED", "RULES", "Lanes", "run", "vmap"]
