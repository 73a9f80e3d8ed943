"""Formulas: what a rule lambda returns when it is run once on symbols.

A formula is data. It can be folded with any meaning of the primitives (numbers, tensors, equations of
a graph, text, LaTeX), compiled to a Python function, and asked which values it reads.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

Emit = Callable[..., Any]  # emit(name, *args, **params) -> value, in whatever domain the caller works


class Formula:
    """A node of an expression over primitives. Operators build larger formulas."""

    __slots__ = ("key",)
    key: tuple

    def __add__(self, other: Any) -> Formula:
        return apply("add", self, other)

    def __radd__(self, other: Any) -> Formula:
        return apply("add", other, self)

    def __sub__(self, other: Any) -> Formula:
        return apply("sub", self, other)

    def __rsub__(self, other: Any) -> Formula:
        return apply("sub", other, self)

    def __mul__(self, other: Any) -> Formula:
        return apply("mul", self, other)

    def __rmul__(self, other: Any) -> Formula:
        return apply("mul", other, self)

    def __truediv__(self, other: Any) -> Formula:
        return apply("div", self, other)

    def __rtruediv__(self, other: Any) -> Formula:
        return apply("div", other, self)

    def __pow__(self, n: Any) -> Formula:
        return apply("integer_pow", self, n=n) if isinstance(n, int) else apply("pow", self, n)

    def __neg__(self) -> Formula:
        return apply("neg", self)

    def __eq__(self, other: object) -> Formula:  # type: ignore[override]
        return apply("eq", self, other)

    def __ne__(self, other: object) -> Formula:  # type: ignore[override]
        return apply("ne", self, other)

    def __lt__(self, other: Any) -> Formula:
        return apply("lt", self, other)

    def __le__(self, other: Any) -> Formula:
        return apply("le", self, other)

    def __gt__(self, other: Any) -> Formula:
        return apply("gt", self, other)

    def __ge__(self, other: Any) -> Formula:
        return apply("ge", self, other)

    def __and__(self, other: Any) -> Formula:
        return apply("logical_and", self, other)

    def __or__(self, other: Any) -> Formula:
        return apply("logical_or", self, other)

    def __invert__(self) -> Formula:
        return apply("logical_not", self)

    def __hash__(self) -> int:
        return hash(self.key)

    def __bool__(self) -> bool:
        raise TypeError("a rule runs once, on symbols: use where(…) instead of `if`")


class Symbol(Formula):
    """An input of the primitive, or its output `out`."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name, self.key = name, ("symbol", name)


class Const(Formula):
    """A number."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value, self.key = value, ("const", type(value).__name__, repr(value))


class Param(Formula):
    """A parameter of the primitive (`n`, `count` …), or arithmetic on parameters; known at use."""

    __slots__ = ("evaluate", "text")

    def __init__(self, text: str, evaluate: Callable[[Mapping[str, Any]], Any]) -> None:
        self.text, self.evaluate, self.key = text, evaluate, ("param", text)

    @classmethod
    def named(cls, name: str) -> Param:
        return cls(name, operator.itemgetter(name))


class Apply(Formula):
    """A primitive applied to formulas."""

    __slots__ = ("args", "name", "params")

    def __init__(self, name: str, args: tuple[Formula, ...], params: dict[str, Any]) -> None:
        self.name, self.args, self.params = name, args, params
        shown = tuple((k, v.key if isinstance(v, Formula) else repr(v)) for k, v in sorted(params.items()))
        self.key = (name, tuple(a.key for a in args), shown)


_ARITHMETIC = {"add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv}
_SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}


def apply(name: str, *args: Any, **params: Any) -> Formula:
    """The formula `name(*args, **params)`, simplified where that is exact (1·x, x/1, constants)."""
    fs = tuple(a if isinstance(a, Formula) else Const(a) for a in args)
    if name in _ARITHMETIC:
        if all(isinstance(f, Const) for f in fs):
            return Const(_ARITHMETIC[name](*(f.value for f in fs)))  # type: ignore[attr-defined]
        if all(isinstance(f, Const | Param) for f in fs):
            return _param_arithmetic(name, *fs)
        return _simplify(name, *fs)
    if name == "neg" and isinstance(fs[0], Const):
        return Const(-fs[0].value)
    return Apply(name, fs, params)


def _param_arithmetic(name: str, x: Formula, y: Formula) -> Param:
    (tx, fx), (ty, fy) = _as_param(x), _as_param(y)
    op = _ARITHMETIC[name]
    return Param(f"({tx} {_SIGNS[name]} {ty})", lambda env: op(fx(env), fy(env)))


def _as_param(f: Formula) -> tuple[str, Callable[[Mapping[str, Any]], Any]]:
    if isinstance(f, Param):
        return f.text, f.evaluate
    assert isinstance(f, Const)
    return repr(f.value), lambda env, value=f.value: value


def _simplify(name: str, x: Formula, y: Formula) -> Formula:
    """Only identities that hold for every float, inf and NaN included (0·x is not one of them)."""
    if name == "mul" and is_const(x, 1):
        return y
    if name in ("mul", "div") and is_const(y, 1):
        return x
    if name == "mul" and is_const(x, -1):
        return apply("neg", y)
    if name == "mul" and is_const(y, -1):
        return apply("neg", x)
    return Apply(name, (x, y), {})


def is_const(f: Formula, value: float | None = None) -> bool:
    """Whether `f` is a number (equal to `value`, if one is given)."""
    return isinstance(f, Const) and (value is None or f.value == value)


def walk(f: Formula) -> Iterator[Formula]:
    """`f` and everything below it, each structure once."""
    seen: set[tuple] = set()
    stack = [f]
    while stack:
        g = stack.pop()
        if g.key in seen:
            continue
        seen.add(g.key)
        yield g
        if isinstance(g, Apply):
            stack.extend(g.args)


def reads(formulas: Iterable[Formula]) -> frozenset[str]:
    """Names of the values that the formulas read: what must be kept to evaluate them later."""
    return frozenset(g.name for f in formulas for g in walk(f) if isinstance(g, Symbol))


def resolve(params: Mapping[str, Any], env: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters with their `Param`s replaced by numbers."""
    return {k: v.evaluate(env) if isinstance(v, Param) else v for k, v in params.items()}


def fold(
    f: Formula,
    values: Mapping[str, Any],
    params: Mapping[str, Any],
    emit: Emit,
    memo: dict[tuple, Any] | None = None,
) -> Any:
    """The value of `f`: symbols from `values`, parameters from `params`, primitives by `emit`.

    `memo` shares subexpressions between formulas that are folded with the same values.
    """
    memo = {} if memo is None else memo
    if f.key in memo:
        return memo[f.key]
    if isinstance(f, Symbol):
        result = values[f.name]
    elif isinstance(f, Const):
        result = f.value
    elif isinstance(f, Param):
        result = f.evaluate(params)
    else:
        assert isinstance(f, Apply)
        args = [fold(a, values, params, emit, memo) for a in f.args]
        result = emit(f.name, *args, **resolve(f.params, params))
    memo[f.key] = result
    return result
