"""The domain of equations: what a transform emits into, with the conversions that a strict graph wants.

`Emitter` is a function `emit(name, *args, **params)` as transforms/derive.py takes it. Numbers become
constants, operands of elementwise primitives get explicit `broadcast` and `cast` equations, and recognised
composites get their reading, as on the tape.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.errors import ShapeError
from chainrule.ir.graph import Equation, Graph, Var, _unknown, alike
from chainrule.ir.types import Type
from chainrule.source import Source
from chainrule.table.composite import COMPOSITES, Producer, Reading, recognise
from chainrule.table.primitive import TABLE, Primitive

_CATEGORY = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}
FLOAT64 = np.dtype(np.float64)


class Emitter:
    """Appends equations to a graph.

    Parameters
    ----------
    graph
        The graph that grows.
    source
        The user's line that the first equations get.
    simplify
        Leave out what changes nothing (1·x, x¹) and compute with numbers at once. False: every operation as
        written.

    Attributes
    ----------
    source
        The user's line that the next equations get.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.ir import Emitter, Graph, Type
    >>> g = Graph()
    >>> x = g.input(Type((2,), np.dtype(float)))
    >>> g.outputs.append(Emitter(g)("mul", x, 3.0))
    >>> print(g)
    { a:float64[2] ->
      b:float64[2] = broadcast 3.0  shape=(2,)
      c:float64[2] = mul       a b
      -> c }
    """

    __slots__ = ("_made", "_simplify", "_spread", "graph", "source")
    simplifies = True  # derive.py need not ask the entries again

    def __init__(self, graph: Graph, source: Source | None = None, *, simplify: bool = True) -> None:
        self.graph, self.source, self._simplify = graph, source, simplify
        self._spread: dict[tuple[Any, ...], Var] = {}
        self.forget()

    def __call__(self, name: str, /, *args: Any, **params: Any) -> Any:
        p = TABLE.get(name)
        if p is None:
            raise _unknown(name, self.source)
        if self._simplify:
            easier = _easier(p, args, params)
            if easier is not None:
                return easier
        args = self._elementwise(p, args) if p.kind == "elementwise" else self._array(p, args)
        reading = self._read_as(p, args, params) if name in COMPOSITES else None
        out = self.graph.emit(name, *args, source=self.source, reading=reading, **params)
        e = self.graph.equations[-1]
        for v in e.outs:
            self._made[v] = e
        return out

    def made_by(self, v: Var) -> Equation | None:
        """The equation that defines a variable, if one does."""
        return self._made.get(v)

    def forget(self) -> None:
        """Look at the graph again, after equations were taken from it."""
        self._made = {out: e for e in self.graph.equations for out in e.outs}
        self._spread.clear()

    # --- operands --------------------------------------------------------------------------------

    def _elementwise(self, p: Primitive, args: tuple[Any, ...]) -> tuple[Var, ...]:
        """Operands of one shape and dtype; a condition keeps its dtype."""
        last = args[-1]
        fits = last.__class__ is Var and (p.result != "inexact" or last.dtype.kind in "fc")
        if fits and _uniform(args, last):
            return args
        skip = 1 if p.inputs[0] == "condition" else 0
        dtype = _common(args[skip:])
        if p.result == "inexact" and dtype.kind not in "fc":
            dtype = FLOAT64
        given = [self._var(a, None if k < skip else dtype) for k, a in enumerate(args)]
        shape = self._common_shape(p, given) if _differ(given) else given[0].shape
        return tuple(self.broadcast(v, shape) for v in given)

    def _common_shape(self, p: Primitive, given: list[Var]) -> tuple[int, ...]:
        try:
            return np.broadcast_shapes(*(v.shape for v in given))
        except ValueError:
            types = ", ".join(str(v.type) for v in given)
            fix = "make the shapes equal, or 1 where they should repeat"
            what = f"shapes do not fit in {p.name}"
            raise ShapeError(what, given=types, fix=fix, source=self.source) from None

    def _array(self, p: Primitive, args: tuple[Any, ...]) -> tuple[Var, ...]:
        if all(a.__class__ is Var for a in args) and (len(args) < 2 or not alike(p)):
            return args
        if alike(p):
            dtype = _common(args)
            return tuple(self._var(a, dtype) for a in args)
        first = next((a.dtype for a in args if a.__class__ is Var), FLOAT64)
        return tuple(self._var(a, first if isinstance(a, float) else None) for a in args)

    def _var(self, a: Any, dtype: np.dtype | None) -> Var:
        """A variable with this dtype (None: its own)."""
        if a.__class__ is not Var:
            return self.graph.constant(a, dtype)
        if dtype is None or a.dtype == dtype:
            return a
        return self.shared("cast", a, dtype=dtype)

    def broadcast(self, v: Var, shape: tuple[int, ...]) -> Var:
        """`v` repeated to a shape, by an equation if that is another one."""
        return v if v.shape == shape else self.shared("broadcast", v, shape=shape)

    def shared(self, name: str, v: Var, **params: Any) -> Var:
        """The equation `name(v)`, made once: what is defined earlier can be read by all that comes later."""
        key = (name, v, *params.values())
        if key not in self._spread:
            self._spread[key] = self(name, v, **params)
        return self._spread[key]

    # --- composites ------------------------------------------------------------------------------

    def _read_as(self, p: Primitive, args: tuple[Var, ...], params: dict[str, Any]) -> Reading | None:
        if any(v.dtype.kind == "c" for v in args):
            return None  # norm and |z| are no holomorphic functions: √z² is not |z| there
        reading = recognise(p.name, tuple([self._operand(v) for v in args]), params, self._producer)
        return reading if reading is not None and reading.x.__class__ is Var else None

    def _producer(self, v: Var) -> Producer | None:
        e = self._made.get(v)
        if e is None or len(e.outs) != 1:
            return None
        return Producer(e.name, tuple([self._operand(a) for a in e.inputs]), e.params)

    def _operand(self, v: Var) -> Any:
        """A variable as patterns compare it: a repeated number is that number."""
        u = v
        while (e := self._made.get(u)) is not None and e.name in ("broadcast", "cast"):
            (u,) = e.inputs
        number = self.graph.constants.get(u)
        return v if number is None or number.ndim or number.dtype.kind == "c" else number.item()


def _easier(p: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """What the operation amounts to, where that holds for every float (None: nothing easier)."""
    if p.simplify is not None:
        easier = p.simplify(*args, **params)
        if easier is not None:
            return easier
    if p.kind != "elementwise":
        return None
    if all(a.__class__ is float or a.__class__ is int for a in args):
        with np.errstate(all="ignore"):
            return p.value(*map(np.float64, args), **params).item()
    if p.name == "mul":
        for a, b in (args, args[::-1]):
            if a.__class__ is float and a == 1.0:
                return b
    return None


def _uniform(args: tuple[Any, ...], last: Var) -> bool:
    """Whether all operands are variables with the shape and dtype of the last."""
    return all(a.__class__ is Var and a.shape == last.shape and a.dtype is last.dtype for a in args)


def _differ(given: list[Var]) -> bool:
    first = given[0].shape
    return any(v.shape != first for v in given)


def _common(args: tuple[Any, ...]) -> np.dtype:
    """One dtype for variables, arrays and numbers; a number counts by its category only."""
    strong = [a.dtype for a in args if not isinstance(a, bool | int | float | complex)]
    weak = [np.dtype(type(a)) for a in args if isinstance(a, bool | int | float | complex)]
    if not strong:
        return max(weak, key=_category)
    dtype = strong[0]
    for d in strong[1:]:
        dtype = _pair(dtype, d)
    high = max(weak, key=_category, default=dtype)
    if _category(high) <= _category(dtype):
        return dtype
    return np.result_type(dtype, np.complex64) if high.kind == "c" and dtype.kind == "f" else high


def _category(d: np.dtype) -> int:
    return _CATEGORY[d.kind]


def _pair(a: np.dtype, b: np.dtype) -> np.dtype:
    if a == b:
        return a
    if _category(a) != _category(b) and max(_category(a), _category(b)) == 2:
        return max(a, b, key=_category)  # NumPy would make float64 of float32 and int64
    return np.promote_types(a, b)


def zeros_like(emit: Emitter, t: Type) -> Var:
    """Zeros of a type: one equation, made once."""
    key = ("zeros", t)
    if key not in emit._spread:
        emit._spread[key] = emit("zeros", shape=t.shape, dtype=t.dtype)
    return emit._spread[key]


def is_indicator(emit: Emitter, v: Var) -> bool:
    """Whether a variable is a truth value cast to numbers, repeated or not."""
    e = emit.made_by(v)
    while e is not None and e.name == "broadcast":
        e = emit.made_by(e.inputs[0])
    return e is not None and e.name in ("cast", "cast_like") and e.inputs[0].dtype == np.bool_


__all__ = ["Emitter", "is_indicator", "zeros_like"]
