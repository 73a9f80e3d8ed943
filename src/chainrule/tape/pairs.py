"""Tangents, and pairs (cotangent, its tangent), through one node on plain numbers: what a Hessian times a vector needs.

Rules of elementwise operations become functions as in `pull.py`: a value's cotangent and how it changes are computed in
one pass. Everything else runs in the domain of pairs. No masks: where a NaN arrives the caller walks another way.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from chainrule.table.formula import Apply, Formula, Symbol, is_const, reads, walk
from chainrule.table.primitive import TABLE, Linear, Partials, Primitive, partials_of
from chainrule.tape import numbers
from chainrule.tape.node import Node
from chainrule.tape.pull import for_any_size, on_arrays, products, settle
from chainrule.transforms.derive import pullback, pushforward, times
from chainrule.transforms.dual import NoFormulaError, dual, paired, parts, symbols, tangent, with_numbers

_emit_pairs = dual(numbers.emit)


class Operation(NamedTuple):
    """What a node computed, as it is differentiated: a composite is the function that it is read as."""

    p: Primitive
    args: tuple[Any, ...]
    out: Any
    params: dict[str, Any]
    parents: tuple[Node | None, ...]


def is_plain(n: Node) -> bool:
    """Whether the rule of a node is data, on real numbers."""
    rule = n.p.rule  # type: ignore[union-attr]
    real = n.out.__class__ is float or n.out.dtype.kind == "f"
    return real and isinstance(rule, Partials | Linear)


def operation(n: Node) -> Operation:
    """The operation of a node, with NumPy's numbers."""
    if n.reading is None:
        return Operation(n.p, tuple(map(_array, n.args)), _array(n.out), n.params or {}, n.parents)  # type: ignore[arg-type]
    p, x, params = TABLE[n.reading.name], n.reading.x, n.reading.params
    value = _array(x.value)
    return Operation(p, (value,), p.value(value, **params), params, (x.node,))


def push(op: Operation, ts: Sequence[Any]) -> Any:
    """Tangent of the result, given those of the inputs (None: zero)."""
    given = tuple(t is not None for t in ts)
    if not any(given):
        return None
    key = _key(op)
    function = None if key is None else _pushing(op.p, key, given)
    if function is None:
        out = pushforward(op.p, op.args, op.out, op.params, ts, numbers.emit)
    else:
        out = function.run(_values(op, ts))[0]
    return None if out is None else _array(settle(out, op.out))


def pull(op: Operation, ct: Any, dct: Any, ts: Sequence[Any], t_out: Any, needed: Sequence[Any]) -> Any:
    """Triples (position, cotangent, its tangent) of the wanted inputs.

    dct, ts, t_out
        Tangents of the cotangent, of the inputs and of the result; None: zero, and so it is in the triples.
    needed
        For each input: None if it is not wanted, whether its cotangent is to be computed too.
    """
    key = _key(op)
    given = (dct is not None, t_out is not None, *[t is not None for t in ts])
    function = None if key is None else _pulling(op.p, key, given, tuple(needed))
    if function is None:
        wanted = [w is not None for w in needed]
        args = [paired(a, t) for a, t in zip(op.args, ts, strict=True)]
        pulled = pullback(
            op.p,
            args,
            paired(op.out, t_out),
            op.params,
            paired(ct, dct),
            None,
            wanted,
            _emit_pairs,
            masks=False,
        )
        return [(k, *parts(c)) for k, c, _ in pulled]
    values = {**_values(op, ts), "ct": _compact(ct), "t_ct": _compact(dct), "t_out": t_out}
    cts = function.run(values)
    shape = op.out.shape
    return [
        (k, *(None if at is None else _fitting(cts[at], shape, op.args[k]) for at in places))
        for k, places in function.places
    ]


class _Function:
    """Formulas as a function of the values that they read.

    places
        Pairs (input, (position of its cotangent, position of the tangent of that)); None: not computed, or zero.
    """

    __slots__ = ("call", "names", "places")

    def __init__(self, title: str, formulas: list[Formula], places: Any = ()) -> None:
        self.names, self.places = sorted(reads(formulas)), places
        call = on_arrays(title, formulas, self.names)
        several = sum(isinstance(g, Apply) for f in formulas for g in walk(f)) > 1
        self.call = for_any_size(call, formulas, self.names) if several else call

    def run(self, values: dict[str, Any]) -> tuple[Any, ...]:
        return self.call(*[values[n] for n in self.names], {})


@lru_cache(maxsize=1024)
def _pushing(p: Primitive, params: tuple[Any, ...], given: tuple[bool, ...]) -> _Function | None:
    names: dict[str, Any] = {n: Symbol(n) for n in (*p.inputs, "out")}
    total = None
    for n, g in zip(p.inputs, given, strict=True):
        if g and n in partials_of(p) and not is_const(partials_of(p)[n], 0):
            partial = with_numbers(partials_of(p)[n], dict(params))
            term = times(partial, Symbol(f"t_{n}"), names, {}, symbols, {})
            total = term if total is None else symbols("add", total, term)
    return None if total is None else _Function(f"pushforward of {p.name}", [total])


@lru_cache(maxsize=1024)
def _pulling(
    p: Primitive, params: tuple[Any, ...], given: tuple[bool, ...], needed: tuple[Any, ...]
) -> _Function | None:
    names = ("ct", "out", *p.inputs)
    ts = {n: Symbol(f"t_{n}") for n, g in zip(names, given, strict=True) if g}
    wanted = [k for k, w in enumerate(needed) if w is not None]
    pulled = products(p, tuple(w is not None for w in needed))
    formulas: list[Formula] = []
    places = []
    for k, f in zip(wanted, pulled, strict=True):
        f = with_numbers(f, dict(params))
        try:
            changes = tangent(f, ts, {})
        except NoFormulaError:
            return None
        at: list[int | None] = [None, None]
        for i, g in enumerate((f if needed[k] else None, changes)):
            if g is not None:
                at[i] = len(formulas)
                formulas.append(g)
        places.append((k, tuple(at)))
    return _Function(f"pullback of {p.name}, with tangents", formulas, places) if formulas else None


def _key(op: Operation) -> tuple[Any, ...] | None:
    """The parameters, if functions are made of the rule with them: bounds and the like may differ in every call."""
    if op.p.kind != "elementwise" or any(v.__class__ is not int for v in op.params.values()):
        return None
    return tuple(sorted(op.params.items()))


def _values(op: Operation, ts: Sequence[Any]) -> dict[str, Any]:
    names = op.p.inputs
    tangents = {f"t_{n}": t for n, t in zip(names, ts, strict=True)}
    return {**dict(zip(names, op.args, strict=True)), **tangents, "out": op.out}


def _array(v: Any) -> Any:
    return np.float64(v) if v.__class__ is float else v


def _compact(v: Any) -> Any:
    """One number that is repeated (the cotangent of a sum) as that number."""
    if v.__class__ is np.ndarray and v.size and not any(v.strides):
        return v[(0,) * v.ndim]
    return v


def _fitting(c: Any, shape: tuple[int, ...], v: Any) -> Any:
    """A cotangent of `v`, given for each entry of the result."""
    if np.shape(c) != shape:
        c = np.broadcast_to(c, shape)
    return _array(settle(c, v))
