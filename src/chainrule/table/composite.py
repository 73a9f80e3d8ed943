"""Recognised composites: expressions that are another function than the sum of their parts.

√Σx² at 0 has slope 0/0 by the chain rule and 0 as a norm; log(1+eˣ) at 1000 has inf·0 and 1 as softplus.
Where the outer operation is recorded and its producers match a pattern here, the *derivative* is that of the
function it is read as, in every engine; the *value* stays what the code as written computes.

This is the whole list.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from chainrule.table.exponential import exp, log, log1p, sqrt
from chainrule.table.formula import Apply, Const, Formula, Param, Symbol, apply


class Producer(NamedTuple):
    """How a value came about: a primitive's name, the values that went in, its parameters."""

    name: str
    inputs: tuple[Any, ...]
    params: dict[str, Any]


class Reading(NamedTuple):
    """What a value is read as: primitive `name` of the value `x` with `params`."""

    name: str
    x: Any
    params: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Composite:
    """`pattern` over one variable x, read as the primitive `name`."""

    name: str
    pattern: Apply


def _sum(x: Formula) -> Formula:
    return apply("sum", x, axis=Param.named("axis"), keepdims=Param.named("keepdims"))


def _composite(name: str, *patterns: Callable[[Any], Any]) -> list[Composite]:
    return [Composite(name, p(Symbol("x"))) for p in patterns]


_ALL = [
    *_composite("norm", lambda x: sqrt(_sum(x * x)), lambda x: sqrt(_sum(x**2))),
    *_composite("abs", lambda x: sqrt(x * x), lambda x: sqrt(x**2)),
    *_composite("softplus", lambda x: log(1 + exp(x)), lambda x: log(exp(x) + 1), lambda x: log1p(exp(x))),
    *_composite("logsumexp", lambda x: log(_sum(exp(x)))),
    *_composite("falling_sigmoid", lambda x: 1 / (1 + exp(x)), lambda x: 1 / (exp(x) + 1)),
]

# Outer primitive → composites it can end; the only names that the recording of an operation has to look at.
COMPOSITES: dict[str, list[Composite]] = {}
for _c in _ALL:
    COMPOSITES.setdefault(_c.pattern.name, []).append(_c)

# Producers whose input must be kept, although their own rule does not read it: the variable of a pattern.
KEEPS_INPUT = frozenset({"exp"})


def recognise(
    name: str, inputs: tuple[Any, ...], params: dict[str, Any], producer: Callable[[Any], Producer | None]
) -> Reading | None:
    """What the operation `name(*inputs)` is read as, if its producers match a composite.

    `producer` tells how a value came about (None: a leaf); numbers are passed as they are.
    """
    for c in COMPOSITES.get(name, ()):
        binding: dict[str, Any] = {}
        if _match(c.pattern, Producer(name, inputs, params), producer, binding):
            x = binding.pop("x")
            return Reading(c.name, x, binding)
    return None


def _match(f: Apply, made: Producer | None, producer: Any, binding: dict[str, Any]) -> bool:
    if made is None or made.name != f.name or len(made.inputs) != len(f.args):
        return False
    for key, wanted in f.params.items():
        if isinstance(wanted, Param):
            binding[key] = made.params[key]
        elif made.params.get(key) != wanted:
            return False
    return all(_match_input(g, v, producer, binding) for g, v in zip(f.args, made.inputs, strict=True))


def _match_input(g: Formula, v: Any, producer: Any, binding: dict[str, Any]) -> bool:
    if isinstance(g, Symbol):
        return binding.setdefault(g.name, v) == v
    if isinstance(g, Const):
        return isinstance(v, int | float) and v == g.value
    assert isinstance(g, Apply)
    return not isinstance(v, int | float) and _match(g, producer(v), producer, binding)
