"""Random well-typed graphs over the table, with arguments at which they are smooth.

For tests of transforms, passes and engines: every graph is legal, every value finite, and nothing lies near a
kink or the edge of a domain, so that two ways of computing the same derivative must agree to rounding error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.ir.emitter import Emitter
from chainrule.ir.graph import Graph, Var, needed_parameters
from chainrule.ir.types import Type
from chainrule.table.primitive import TABLE, Primitive, nondifferentiable

LARGE = 30.0  # values above this are not taken further: second derivatives of exp would drown the rest
MARGIN = 0.05  # distance from kinks and from the edges of domains

Values = dict[Var, Any]
Move = tuple[
    Any, tuple[Any, ...], dict[str, Any]
]  # name of a primitive (or a builder), arguments, parameters


class Program(NamedTuple):
    """A graph, and one array per input.

    Attributes
    ----------
    graph
        Verified or not: what `fuzz_graph` builds is meant to pass `verify`.
    args
        Arrays and NumPy scalars at which the graph is smooth.
    """

    graph: Graph
    args: list[Any]


def fuzz_graph(
    rng: np.random.Generator, *, size: int = 10, inputs: int = 3, dtype: Any = np.float64
) -> Program:
    """A random graph with about `size` operations.

    Parameters
    ----------
    rng
        Source of every choice: the same generator state gives the same graph.
    size
        Number of operations; broadcasts come on top.
    inputs
        Number of inputs, of 0 to 2 dimensions with lengths 1 to 3.
    dtype
        float64 or float32.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.testing.fuzz import fuzz_graph
    >>> program = fuzz_graph(np.random.default_rng(1), size=3)
    >>> len(program.args)
    3
    """
    g = Graph()
    emit = Emitter(g)
    values: Values = {}
    for _ in range(inputs):
        shape = tuple(int(n) for n in rng.integers(1, 4, size=rng.integers(0, 3)))
        values[g.input(Type(shape, np.dtype(dtype)))] = rng.normal(size=shape).astype(dtype)[()]
    args, known = list(values.values()), dict(values)
    made = 0
    for _ in range(40 * size):
        if made >= size:
            break
        made += _step(rng, emit, values, known)
    floats = [v for v in values if v.dtype.kind == "f" and v not in g.inputs]
    g.outputs = floats[-2:] or list(g.inputs)
    return Program(g, args)


def replay(graph: Graph, emit: Callable[..., Any], *args: Any) -> list[Any]:
    """The outputs of a graph in another domain: with `chainrule.dispatch.emit`, on Tensors."""
    values: dict[Var, Any] = dict(zip(graph.inputs, args, strict=True))
    values.update(graph.constants)
    for e in graph.equations:
        result = emit(e.name, *[values[v] for v in e.inputs], **e.params)
        values.update(zip(e.outs, result if len(e.outs) > 1 else (result,), strict=True))
    return [values[v] for v in graph.outputs]


def _step(rng: np.random.Generator, emit: Emitter, values: Values, known: Values) -> bool:
    """Try one random operation; keep it if its value is a good one."""
    move = _MOVES[int(rng.integers(len(_MOVES)))](rng, values)
    if move is None:
        return False
    name, args, params = move
    g = emit.graph
    start = len(g.equations)
    out = name(emit) if callable(name) else emit(name, *args, **params)
    if not isinstance(out, Var) or out in known:  # x¹ is x
        return False
    known.update(g.constants)
    with np.errstate(all="ignore"):
        for e in g.equations[start:]:
            known[e.outs[0]] = e.primitive.value(*[known[v] for v in e.inputs], **e.params)
    value = known[out]
    if not np.all(np.isfinite(value)) or np.any(np.abs(value) > LARGE) or np.size(value) > 64:
        del g.equations[start:]
        emit.forget()
        return False
    values[out] = value
    return True


# --- moves ---------------------------------------------------------------------------------------


def _pick(rng: np.random.Generator, values: Values, good: Callable[[Var, Any], bool]) -> Var | None:
    found = [v for v, value in values.items() if v.dtype.kind == "f" and good(v, value)]
    return found[rng.integers(len(found))] if found else None


def _plain(inputs: int) -> list[Primitive]:
    """Elementwise primitives of so many inputs, differentiable in each of them, that need no parameters."""
    return [
        p for p in TABLE.values()
        if p.kind == "elementwise" and len(p.inputs) == inputs and p.result != "bool" and p.rule is not None
        and not needed_parameters(p) and not nondifferentiable(p)
    ]  # fmt: skip


_UNARY, _BINARY = _plain(1), _plain(2)


def _inside(p: Primitive, k: int, value: Any) -> bool:
    """Whether every entry lies well inside the domain of input k, away from 0 and from whole numbers."""
    low, high = p.domain[k] if k < len(p.domain) else (-np.inf, np.inf)
    away = np.abs(value - np.rint(value)) > MARGIN / 2
    return bool(np.all((value > low + MARGIN) & (value < high - MARGIN) & away))


def _unary(rng: np.random.Generator, values: Values) -> Move | None:
    p = _UNARY[rng.integers(len(_UNARY))]
    x = _pick(rng, values, lambda v, value: _inside(p, 0, value))
    return None if x is None else (p.name, (x,), {})


def _binary(rng: np.random.Generator, values: Values) -> Move | None:
    p = _BINARY[rng.integers(len(_BINARY))]
    x = _pick(rng, values, lambda v, value: _inside(p, 0, value))
    if x is None:
        return None
    if rng.random() < 0.2:
        return p.name, (x, float(rng.choice([0.75, 1.5, 2.25]))), {}
    y = _pick(rng, values, lambda v, value: _inside(p, 1, value) and _fits(v, x) and _apart(values[x], value))
    return None if y is None else (p.name, (x, y), {})


def _fits(v: Var, x: Var) -> bool:
    return all(1 in (m, n) or m == n for m, n in zip(reversed(v.shape), reversed(x.shape), strict=False))


def _apart(a: Any, b: Any) -> bool:
    """No ties, no quotient near a whole number: remainder and maximum are smooth here. Not x with itself."""
    quotient = np.asarray(a) / b
    return bool(np.all(np.abs(quotient - np.rint(quotient)) > MARGIN / 2))


def _power(rng: np.random.Generator, values: Values) -> Move | None:
    x = _pick(rng, values, lambda v, value: bool(np.all(np.abs(value) > MARGIN)))
    return None if x is None else ("integer_pow", (x,), {"n": int(rng.choice([-2, -1, 2, 3, 4, 5]))})


def _clamp(rng: np.random.Generator, values: Values) -> Move | None:
    x = _pick(rng, values, lambda v, value: bool(np.all(np.abs(np.abs(value) - 1.5) > MARGIN)))
    return None if x is None else ("clamp", (x,), {"lo": -1.5, "hi": 1.5})


def _choice(rng: np.random.Generator, values: Values) -> Move | None:
    """where, on a comparison that is made when there is none that fits."""
    conditions = [v for v in values if v.dtype.kind == "b"]
    x = _pick(rng, values, lambda v, value: bool(np.all(np.abs(value - 0.5) > MARGIN)))
    if x is None:
        return None
    found = [c for c in conditions if _fits(c, x)]
    if found and rng.random() < 0.2:
        return _logic(rng, found)
    if not found or rng.random() < 0.3:
        return str(rng.choice(["lt", "gt", "le", "ge"])), (x, 0.5), {}
    c = found[rng.integers(len(found))]
    y = _pick(rng, values, lambda v, value: _fits(v, x) and _fits(v, c))
    return "where", (c, x, 0.0 if y is None else y), {}


def _logic(rng: np.random.Generator, conditions: list[Var]) -> Move:
    a, b = (conditions[k] for k in rng.integers(len(conditions), size=2))
    if rng.integers(2):
        return str(rng.choice(["logical_not", "isnan", "isfinite"])), (a,), {}
    if not _fits(a, b):
        b = a
    return str(rng.choice(["logical_and", "logical_or", "logical_xor", "eq", "ne"])), (a, b), {}


def _axes(rng: np.random.Generator, n: int) -> tuple[int, ...]:
    return tuple(sorted(int(a) for a in rng.choice(n, size=rng.integers(1, n + 1), replace=False)))


def _reduction(rng: np.random.Generator, values: Values) -> Move | None:
    x = _pick(rng, values, lambda v, value: v.shape != ())
    if x is None:
        return None
    name = str(rng.choice(["sum", "mean", "amax", "amin", "var", "std", "logsumexp", "norm", "prod"]))
    axis, value = _axes(rng, len(x.shape)), np.asarray(values[x])
    params: dict[str, Any] = {"keepdims": bool(rng.integers(2))}
    if name == "prod":
        return name, (x,), {"axis": axis[0], **params}
    if name in ("var", "std"):
        if np.any(np.std(value, axis) < MARGIN):
            return None
        params["correction"] = int(rng.integers(2))
    if name == "norm" and np.any(np.sum(value * value, axis) < MARGIN):
        return None
    if name in ("amax", "amin") and len(np.unique(value)) < value.size:
        return None
    return name, (x,), {"axis": axis, **params}


def _scan(rng: np.random.Generator, values: Values) -> Move | None:
    x = _pick(rng, values, lambda v, value: v.shape != ())
    if x is None:
        return None
    axis, reverse = int(rng.integers(len(x.shape))), bool(rng.integers(2))
    name = str(rng.choice(["cumsum", "cumprod", "linear_recurrence", "flip", "shift", "softmax"]))
    if name == "softmax":
        return name, (x,), {"axis": _axes(rng, len(x.shape))}
    if name == "flip":
        return name, (x,), {"axis": axis}
    if name == "shift":
        return name, (x,), {"axis": axis, "step": int(rng.integers(-2, 3))}
    if name != "linear_recurrence":
        return name, (x,), {"axis": axis, "reverse": reverse}
    y = _pick(rng, values, lambda v, value: v.shape == x.shape)
    return None if y is None else (name, (x, y), {"axis": axis, "reverse": reverse})


def _shape(rng: np.random.Generator, values: Values) -> Move | None:
    x = _pick(rng, values, lambda v, value: True)
    if x is None:
        return None
    n = len(x.shape)
    kind = rng.integers(4)
    if kind == 0:
        return "reshape", (x,), {"shape": (*x.shape[::-1], 1)[: n + 1] if n < 3 else (x.type.size,)}
    if kind == 1:
        return "transpose", (x,), {"perm": tuple(int(i) for i in rng.permutation(n))}
    if kind == 2:
        return "broadcast", (x,), {"shape": (2, *x.shape)} if n < 3 else {"shape": x.shape}
    return "pad", (x,), {"width": tuple((int(a), int(b)) for a, b in rng.integers(0, 2, size=(n, 2)))}


def _join(rng: np.random.Generator, values: Values) -> Move | None:
    x = _pick(rng, values, lambda v, value: v.shape != ())
    if x is None:
        return None
    axis = int(rng.integers(len(x.shape)))
    rest = (*x.shape[:axis], *x.shape[axis + 1 :])
    y = _pick(
        rng,
        values,
        lambda v, value: len(v.shape) == len(x.shape) and (*v.shape[:axis], *v.shape[axis + 1 :]) == rest,
    )
    return "concatenate", (x, y or x, x), {"axis": axis}


def _index(rng: np.random.Generator, values: Values) -> Move | None:
    x = _pick(rng, values, lambda v, value: v.shape != ())
    if x is None:
        return None
    n, kind = x.shape[0], rng.integers(7)
    several = rng.integers(0, n, size=3)
    if kind == 0:
        return "index", (x,), {"spec": (("int", int(rng.integers(-n, n))),)}
    if kind == 1:
        return (
            "index",
            (x,),
            {"spec": (("rest",), ("slice", None, None, -1 if rng.integers(2) else 2), ("new",))},
        )
    if kind == 2:
        return "index", (x, several), {"spec": (("array", 0),)}
    if kind == 3:
        index = rng.integers(0, n, size=(2, *x.shape[1:]))
        return "take_along", (x, index), {"axis": 0}
    if kind == 4:
        index = rng.integers(0, 4, size=x.shape)
        return "put_along", (x, index), {"axis": 0, "shape": (4, *x.shape[1:])}
    if kind == 5:
        shape = (n + 1, *x.shape[1:])
        place = rng.integers(0, n + 1, size=n)
        return "scatter_add", (x, place), {"shape": shape, "spec": (("array", 0),)}
    v = _pick(rng, values, lambda v, value: v.shape == x.shape[1:])
    return None if v is None else ("index_update", (x, v), {"spec": (("int", int(rng.integers(n))),)})


def _dot(rng: np.random.Generator, values: Values) -> Move | None:
    x = _pick(rng, values, lambda v, value: 0 < len(v.shape) <= 3)
    if x is None:
        return None
    i = int(rng.integers(len(x.shape)))
    y = _pick(rng, values, lambda v, value: x.shape[i] in v.shape and len(v.shape) <= 3)
    if y is None:
        return None
    j = y.shape.index(x.shape[i])
    a, b = [k for k in range(len(x.shape)) if k != i], [k for k in range(len(y.shape)) if k != j]
    batch = ((a[0],), (b[0],)) if a and b and x.shape[a[0]] == y.shape[b[0]] and rng.integers(2) else ((), ())
    return "dot_general", (x, y), {"contract": ((i,), (j,)), "batch": batch}


_COMPOSITES: Sequence[Callable[[Emitter, Var, tuple[int, ...]], Any]] = (
    lambda emit, x, axis: emit("sqrt", emit("sum", emit("mul", x, x), axis=axis, keepdims=False)),
    lambda emit, x, axis: emit("sqrt", emit("integer_pow", x, n=2)),
    lambda emit, x, axis: emit("log", emit("add", 1.0, emit("exp", x))),
    lambda emit, x, axis: emit("log1p", emit("exp", x)),
    lambda emit, x, axis: emit("log", emit("sum", emit("exp", x), axis=axis, keepdims=True)),
    lambda emit, x, axis: emit("div", 1.0, emit("add", 1.0, emit("exp", x))),
)


def _composite(rng: np.random.Generator, values: Values) -> Move | None:
    """An expression that is read as one function."""
    x = _pick(rng, values, lambda v, value: v.shape != () and bool(np.all(np.abs(value) > MARGIN)))
    if x is None:
        return None
    build, axis = _COMPOSITES[int(rng.integers(len(_COMPOSITES)))], _axes(rng, len(x.shape))
    return (lambda emit: build(emit, x, axis)), (), {}


_MOVES: Sequence[Callable[[np.random.Generator, Values], Move | None]] = (
    _unary, _unary, _unary, _binary, _binary, _binary, _power, _clamp, _choice, _choice, _reduction,
    _reduction, _scan, _shape, _join, _index, _index, _dot, _composite,
)  # fmt: skip

__all__ = ["Program", "fuzz_graph", "replay"]
