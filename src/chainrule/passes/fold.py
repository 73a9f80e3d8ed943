"""Folding: what is known before the program runs, and what amounts to something simpler for every float.

A rule holds to the last bit, for NaN, infinities and both zeros too: `x·1` is `x`, but `x + 0` is not (of -0) and
`x·0` is not 0 (of infinity).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule.ir.evaluate import value_of
from chainrule.ir.graph import Equation, Graph, Var
from chainrule.passes.cost import shares_memory
from chainrule.table.primitive import reduced_shape

_SMALL = 4096  # entries of a constant that is computed at once


def fold(graph: Graph) -> Graph:
    """The graph with fewer equations, that has the same values to the last bit.

    Examples
    --------
    >>> from chainrule.ir import parse
    >>> print(fold(parse("{ x:float64[] -> a:float64[] = exp 0.0  b:float64[] = mul a x -> b }")))
    { a:float64[] ->
      -> a }
    """
    return _Fold(graph).run()


class _Fold:
    """One walk: `same` says what stands for a variable, `number` whose entries all are one number."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.out = Graph(graph.inputs, (), (), graph.constants)
        self.same: dict[Var, Var] = {}
        self.number: dict[Var, Any] = {}
        self.made: dict[Var, Equation] = {}

    def run(self) -> Graph:
        for v, c in self.graph.constants.items():
            if c.ndim == 0:
                self.number[v] = c
            elif _is_uniform(c):
                self.same[v] = self._filled(v, c.flat[0])
        for e in self.graph.equations:
            inputs = tuple([self.same.get(v, v) for v in e.inputs])
            rule = RULES.get(e.name)
            found = self._known(e, inputs) if len(e.outs) == 1 else None
            if found is None and rule is not None:
                found = rule(self, e, inputs)
            if found is not None:
                self.same[e.outs[0]] = found
            else:
                self._append(e, inputs)
        self.out.outputs = [self.same.get(v, v) for v in self.graph.outputs]
        return self.out

    def _append(self, e: Equation, inputs: tuple[Var, ...]) -> None:
        reading = e.reading
        if reading is not None:
            reading = reading._replace(x=self.same.get(reading.x, reading.x))
        changed = inputs != e.inputs or reading is not e.reading
        kept = Equation(e.primitive, inputs, e.params, e.outs, e.source, reading) if changed else e
        self.out.equations.append(kept)
        self.made.update(dict.fromkeys(e.outs, kept))
        if shares_memory(e) and inputs[0] in self.number:
            self.number[e.outs[0]] = self.number[inputs[0]]

    def emit(self, e: Equation, name: str, *inputs: Var, **params: Any) -> Var:
        """A new equation in the place of `e`, or what it amounts to."""
        v = self.out.emit(name, *inputs, source=e.source, **params)
        new = self.out.equations.pop()
        rule = RULES.get(name)
        found = self._known(new, inputs)
        if found is None and rule is not None:
            found = rule(self, new, inputs)
        if found is None:
            self._append(new, inputs)
            return v
        return found

    # --- what is known -----------------------------------------------------------------------------

    def _known(self, e: Equation, inputs: tuple[Var, ...]) -> Var | None:
        """The output, if all entries of all inputs are one number, or if the inputs are small constants."""
        if e.name == "zeros":
            self.number[e.outs[0]] = e.params["dtype"].type(0)
            return None
        if e.primitive.kind != "elementwise" or not inputs or e.primitive.outs != 1:
            return None
        out = e.outs[0]
        numbers = [self.number.get(v) for v in inputs]
        if all(n is not None for n in numbers):
            return self._filled(out, out.dtype.type(value_of(e, numbers)))
        arrays = [self.out.constants.get(v) for v in inputs]
        if out.type.size <= _SMALL and all(a is not None for a in arrays):
            return self.out.constant(value_of(e, arrays), out.dtype)
        return None

    def _filled(self, like: Var, number: Any) -> Var:
        """A variable of this type, filled with a number."""
        v = self.out.constant(number, like.dtype)
        self.number[v] = self.out.constants[v]
        if like.shape:
            v = self.out.emit("broadcast", v, shape=like.shape)
            self.made[v] = self.out.equations[-1]
            self.number[v] = self.out.constants[self.made[v].inputs[0]]
        return v

    def is_number(self, v: Var, number: float) -> bool:
        """Whether all entries are this number, with its sign."""
        n = self.number.get(v)
        return (
            n is not None and n.dtype.kind in "iuf" and n == number and (n != 0 or _sign(n) == _sign(number))
        )

    def is_zero(self, v: Var) -> bool:
        n = self.number.get(v)
        return n is not None and bool(n == 0)

    def is_nonzero(self, v: Var) -> bool:
        """Whether no entry can be 0."""
        n = self.number.get(v)
        if n is not None:
            return bool(n != 0)
        e = self.made.get(v)
        if e is None:
            return False
        if e.name in ("broadcast", "reshape", "neg"):
            return self.is_nonzero(e.inputs[0])
        if e.name == "where":
            return self.is_nonzero(e.inputs[1]) and self.is_nonzero(e.inputs[2])
        if e.name == "div":
            top = self.number.get(e.inputs[0])
            return top is not None and bool(abs(top) == 1) and self._is_count(e.inputs[1])
        return False

    def _is_count(self, v: Var) -> bool:
        """Whether a number says how many truth values hold."""
        v = self.behind(v)
        e = self.made.get(v)
        return e is not None and e.name == "sum" and self.truth_of(e.inputs[0]) is not None

    def truth_of(self, v: Var) -> Var | None:
        """The truth values that were cast to these numbers."""
        e = self.made.get(v)
        if e is not None and e.name in ("cast", "cast_like") and e.inputs[0].dtype.kind == "b":
            return e.inputs[0]
        return None

    def behind(self, v: Var) -> Var:
        """What is repeated or only changed in shape to give v."""
        while (e := self.made.get(v)) is not None and e.name in ("broadcast", "reshape"):
            (v,) = e.inputs
        return v


def _is_uniform(c: Any) -> bool:
    """Whether all entries of an array have the same bits."""
    if c.size < 2 or c.dtype.kind not in "biuf" or not c.flags.c_contiguous:
        return False
    bits = c.reshape(-1).view(f"u{c.dtype.itemsize}")
    return bool(bits[0] == bits[-1] and (bits == bits[0]).all())


def _sign(n: Any) -> bool:
    return str(float(n)).startswith("-")


# --- rules: (fold, equation, inputs) -> what it amounts to -------------------------------------------


def _mul(f: _Fold, e: Equation, inputs: tuple[Var, ...]) -> Var | None:
    x, y = inputs
    return y if f.is_number(x, 1.0) else x if f.is_number(y, 1.0) else None


def _div(f: _Fold, e: Equation, inputs: tuple[Var, ...]) -> Var | None:
    return inputs[0] if f.is_number(inputs[1], 1.0) and e.outs[0].dtype == inputs[0].dtype else None


def _add(f: _Fold, e: Equation, inputs: tuple[Var, ...]) -> Var | None:
    x, y = inputs
    return y if f.is_number(x, -0.0) else x if f.is_number(y, -0.0) else None


def _sub(f: _Fold, e: Equation, inputs: tuple[Var, ...]) -> Var | None:
    return inputs[0] if f.is_number(inputs[1], 0.0) else None


def _neg(f: _Fold, e: Equation, inputs: tuple[Var, ...]) -> Var | None:
    before = f.made.get(inputs[0])
    return before.inputs[0] if before is not None and before.name == "neg" else None


def _pow(f: _Fold, e: Equation, inputs: tuple[Var, ...]) -> Var | None:
    """x^½ is √x, as NumPy has it: -0 for -0, NaN for -∞."""
    x, y = inputs
    return f.emit(e, "sqrt", x) if x.dtype.kind == "f" and f.is_number(y, 0.5) else None


def _where(f: _Fold, e: Equation, inputs: tuple[Var, ...]) -> Var | None:
    condition, x, y = inputs
    known = f.number.get(condition)
    if known is not None:
        return x if known else y
    if x is y:
        return x
    test = f.made.get(condition)
    if test is not None and test.name == "isfinite" and test.inputs[0] is x and f.is_number(y, 0.0):
        difference = f.made.get(f.behind(x))
        if (
            difference is not None
            and difference.name == "sub"
            and difference.inputs[0] is difference.inputs[1]
        ):
            return y  # x is 0 or NaN
    a, b = f.made.get(x), f.made.get(y)
    if a is not None and a.name == "where" and a.inputs[0] is condition:
        return f.emit(e, "where", condition, a.inputs[1], y)
    if b is not None and b.name == "where" and b.inputs[0] is condition:
        return f.emit(e, "where", condition, x, b.inputs[2])
    return None


def _ne(f: _Fold, e: Equation, inputs: tuple[Var, ...]) -> Var | None:
    """Whether numbers are not 0: the masks of inactive routes."""
    x, zero = inputs
    if not f.is_zero(zero):
        return None
    truth = f.truth_of(x)
    if truth is not None:
        return truth
    before = f.made.get(x)
    if before is None:
        return None
    if before.name in ("broadcast", "reshape"):
        (u,) = before.inputs
        return f.emit(e, before.name, f.emit(e, "ne", u, f._filled(u, 0)), **before.params)
    if before.name == "where" and f.is_nonzero(before.inputs[1]):
        condition, _, y = before.inputs
        return (
            condition
            if f.is_zero(y)
            else f.emit(e, "logical_or", condition, f.emit(e, "ne", y, f._filled(y, 0)))
        )
    return None


def _logical_or(f: _Fold, e: Equation, inputs: tuple[Var, ...]) -> Var | None:
    x, y = inputs
    return x if x is y or f.is_zero(y) else y if f.is_zero(x) else None


def _logical_and(f: _Fold, e: Equation, inputs: tuple[Var, ...]) -> Var | None:
    x, y = inputs
    if x.dtype.kind != "b" or y.dtype.kind != "b":
        return None
    return x if x is y or f.is_nonzero(y) else y if f.is_nonzero(x) else None


def _reduction(f: _Fold, e: Equation, inputs: tuple[Var, ...]) -> Var | None:
    """Without the dimensions of length 1, which come back as a view: so that equal reductions are seen to be equal."""
    if not e.params["keepdims"]:
        return None
    out = f.emit(e, e.name, *inputs, **{**e.params, "keepdims": False})
    return f.emit(e, "reshape", out, shape=e.outs[0].shape)


def _extreme(f: _Fold, e: Equation, inputs: tuple[Var, ...]) -> Var | None:
    """max(x - max x) is max x - max x: 0, or NaN where that is no number."""
    difference = f.made.get(inputs[0])
    repeated = (
        f.made.get(difference.inputs[1]) if difference is not None and difference.name == "sub" else None
    )
    if difference is None or repeated is None or repeated.name != "broadcast":
        return _reduction(f, e, inputs)
    x, (t,) = difference.inputs[0], repeated.inputs
    largest = f.made.get(f.behind(t))
    same = largest is not None and (largest.name, largest.inputs) == (e.name, (x,))
    if largest is None or not same or largest.params["axis"] != e.params["axis"]:
        return _reduction(f, e, inputs)
    if t.shape not in (reduced_shape(x.shape, e.params["axis"], True), ()):
        return _reduction(f, e, inputs)
    out = f.emit(e, "sub", largest.outs[0], largest.outs[0])
    shape = e.outs[0].shape
    return out if out.shape == shape else f.emit(e, "reshape", out, shape=shape)


def _cast(f: _Fold, e: Equation, inputs: tuple[Var, ...]) -> Var | None:
    """A cast to its own dtype; `cast_like` without what it is like."""
    x, out = inputs[0], e.outs[0]
    if x.dtype == out.dtype:
        return x
    if x in f.number and out.dtype.kind in "biuf":
        return f._filled(out, f.number[x].astype(out.dtype))
    real = x.dtype.kind in "biuf" and out.dtype.kind in "biuf"
    return f.emit(e, "cast", x, dtype=out.dtype) if e.name == "cast_like" and real else None


def _of_view(f: _Fold, e: Equation, inputs: tuple[Var, ...]) -> Var | None:
    """A view that changes nothing; one of the same kind before it."""
    (x,) = inputs
    if x.shape == e.outs[0].shape:
        return x
    before = f.made.get(x)
    if before is None or before.name != e.name:
        return None
    return f.emit(e, e.name, before.inputs[0], **e.params)


def _only_new_axes(e: Equation) -> bool:
    """Whether a key takes everything and adds dimensions of length 1, as x[:, None]."""
    whole = ("slice", None, None, None)
    return len(e.inputs) == 1 and all(i[0] in ("new", "ellipsis") or i == whole for i in e.params["spec"])


def _index(f: _Fold, e: Equation, inputs: tuple[Var, ...]) -> Var | None:
    return f.emit(e, "reshape", inputs[0], shape=e.outs[0].shape) if _only_new_axes(e) else None


def _scatter_add(f: _Fold, e: Equation, inputs: tuple[Var, ...]) -> Var | None:
    """0 + x is x where that is not -0."""
    x, out = inputs[0], e.outs[0]
    if not _only_new_axes(e) or x.type.size != out.type.size or x.dtype.kind != "f":
        return None
    number, before = f.number.get(x), f.made.get(f.behind(x))
    added = before is not None and before.name == "sum"
    if not added and (number is None or (number == 0 and _sign(number))):
        return None
    return f.emit(e, "reshape", x, shape=out.shape)


RULES: dict[str, Callable[[_Fold, Equation, tuple[Var, ...]], Var | None]] = {
    "mul": _mul,
    "div": _div,
    "add": _add,
    "sub": _sub,
    "neg": _neg,
    "pow": _pow,
    "where": _where,
    "ne": _ne,
    "logical_or": _logical_or,
    "logical_and": _logical_and,
    "amax": _extreme,
    "amin": _extreme,
    "sum": _reduction,
    "any": _reduction,
    "all": _reduction,
    "cast": _cast,
    "cast_like": _cast,
    "broadcast": _of_view,
    "reshape": _of_view,
    "index": _index,
    "scatter_add": _scatter_add,
    "alias": lambda f, e, inputs: inputs[0],
}

__all__ = ["fold"]
