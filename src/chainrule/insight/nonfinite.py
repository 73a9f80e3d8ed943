"""Where a NaN or an infinity began: in the values, or going backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from chainrule.insight.flow import LOST, Flow, operation
from chainrule.insight.notation import step_formula
from chainrule.insight.shown import factor, number, place
from chainrule.ir.types import Type
from chainrule.source import Source
from chainrule.tape.node import Node, serial_of
from chainrule.tape.numbers import dense


class Finding(NamedTuple):
    """Sentences, the line of the program that they are about, and what to do."""

    lines: list[str]
    source: Source
    fix: str
    step: int = 0  # serial number of the step


def entries(v: Any) -> np.ndarray:
    return np.asarray(dense(v))


def has_nan(v: Any) -> bool:
    """Whether there is a NaN in a number or an array that was kept."""
    return v is not None and v is not LOST and v.__class__ is not Type and bool(np.isnan(entries(v)).any())


ADVICE = {
    "log": "Keep its input above 0. Use cr.xlogy(x, x) for x·log(x), or choose with "
    "where(x > 0, cr.log(x), 0): "
    "a route that is not taken contributes nothing.",
    "sqrt": "Keep its input above 0, or choose with where(x > 0, cr.sqrt(x), 0).",
    "div": "Keep the denominator away from 0, or choose with where(y != 0, x / y, 0).",
    "pow": "Keep the base above 0.",
    "softmax": "For log(softmax(x)) use log_softmax(x), which does not round to log(0).",
    "exp": "Keep its input below 700; for log(Σ eˣ) use cr.logsumexp, for log(1 + eˣ) use softplus.",
}
_OTHER_ADVICE = "Keep the inputs of this step inside the function's domain."


def advice(p: str) -> str:
    """What to do about a step that gave NaN or infinity."""
    return ADVICE.get(p, _OTHER_ADVICE)


def first_bad_value(flow: Flow, names: Callable[[Node | None, Any], Any]) -> Finding | None:
    """The first step, going forward, whose value is NaN although its inputs are not."""
    found = _first_value(flow, names, np.isnan)
    if found is None:
        return None
    n, line = found
    head = f"The value is NaN already, before any derivative. First bad step going forward, at {n.source}:"
    return Finding([head, line], n.source, advice(n.p.name), n.serial)


_POLES = frozenset({"log", "log2", "log10", "log1p", "div", "rsqrt", "atanh", "xlogy"})


def first_overflow(
    flow: Flow, names: Callable[[Node | None, Any], Any], *, poles: bool = True
) -> Finding | None:
    """The first step, going forward, whose value is infinite or NaN although its inputs are finite.

    poles
        Whether an infinity is told that is the value there, as of log(0).
    """
    found = _first_value(flow, names, lambda v: ~np.isfinite(v))
    if found is None:
        return None
    n, line = found
    if n.p.name in _POLES and not poles:
        return None
    return Finding([f"{line}   ({n.source})"], n.source, advice(n.p.name), n.serial)


def _first_value(flow: Flow, names: Any, bad: Callable[[Any], Any]) -> tuple[Node, str] | None:
    def is_bad(v: Any) -> bool:
        return v.__class__ is not Type and bool(np.any(bad(entries(v))))

    for n in sorted(flow.order(), key=serial_of):
        if n.p is None or not is_bad(n.out) or any(map(is_bad, n.args)):
            continue
        at = tuple(int(i) for i in np.argwhere(bad(entries(n.out)))[0])
        operands = [names(q, v) for q, v in zip(n.parents, n.args, strict=True)]
        inputs = _inputs(operands, n.args, at)
        text = step_formula(n.p, operands, n.params or {}, n.args).text
        return n, f"  {text} is {number(_at(n.out, at))}{', ' + inputs if inputs else ''}"
    return None


def _inputs(operands: list[Any], values: Any, at: tuple[int, ...]) -> str:
    """x[0] = 0, y = 2: each operand that has a name, once."""
    shown = (
        f"{o}{place(at) if np.ndim(entries(v)) else ''} = {number(_at(v, at))}"
        for o, v in zip(operands, values, strict=True)
        if isinstance(o, str) and _at(v, at) is not None
    )
    return ", ".join(dict.fromkeys(shown))


def first_bad_slope(
    flow: Flow, cts: dict[Node, Any], names: Callable[[Node | None, Any], Any]
) -> Finding | None:
    """The first step, going backward, that turns a cotangent without NaN into one with NaN: both factors."""
    for n in flow.order():
        ct = cts.get(n)
        if n.p is None or ct is None or ct is LOST or has_nan(ct):
            continue
        with np.errstate(all="ignore"):
            pulled = [(q, c) for q, c in flow.pull(n, dense(ct)) if has_nan(c) and has_nan(cts.get(q))]
        if pulled:
            return _bad_step(flow, n, pulled[0][0], ct, pulled[0][1], names)
    return None


def _bad_step(flow: Flow, n: Node, q: Node, ct: Any, c: Any, names: Any) -> Finding:
    op = operation(n)
    operands = [names(p, v) for p, v in zip(op.parents, op.args, strict=True)]
    at = tuple(int(i) for i in np.argwhere(np.isnan(entries(c)))[0])
    ways = [i for i, p in enumerate(op.parents) if p is q]
    slopes, cotangent = [_at(flow.local(n, k), at) for k in ways], _at(ct, at)
    head = f"{step_formula(op.p, operands, op.params, op.args).text}, {_inputs(operands, op.args, at)}"
    with np.errstate(all="ignore"):
        products = [] if cotangent is None or None in slopes else [np.float64(cotangent) * s for s in slopes]
    if not products:
        worst = entries(ct).reshape(-1)
        worst = worst[~np.isfinite(worst)]
        what = (
            f"a cotangent of {number(worst[0])} arrives, and is multiplied by 0"
            if len(worst)
            else "no value there"
        )
        line = f"  {head}: {what}" if len(worst) else f"  {head}: its derivative has {what}"
    elif np.isinf(products).all():
        terms = " + ".join(f"{factor(cotangent)} · {factor(s)}" for s in slopes)
        line = f"  {head}: the contributions of this step are {terms} = nan"
    else:
        k = next((i for i, v in enumerate(products) if np.isnan(v)), 0)
        product = f"{factor(cotangent)} · {factor(slopes[k])} = nan"
        line = f"  {head}: cotangent {number(cotangent)}, local derivative {number(slopes[k])}, {product}"
    fix = advice(op.p.name)
    return Finding([f"First bad step going backward, at {n.source}:", line, fix], n.source, fix)


def first_infinite_slope(flow: Flow, cts: dict[Node, Any], names: Any) -> Finding | None:
    """The step that makes a gradient infinite."""
    for n in flow.order():
        ct = cts.get(n)
        if n.p is None or ct is None or ct is LOST or not np.isfinite(entries(ct)).all():
            continue
        op = operation(n)
        for k, q in enumerate(op.parents):
            c = cts.get(q)
            if c is not None and c is not LOST and np.isinf(entries(c)).any():
                operands = [names(p, v) for p, v in zip(op.parents, op.args, strict=True)]
                at = tuple(int(i) for i in np.argwhere(np.isinf(entries(c)))[0])
                slope = _at(flow.local(n, k), at)
                x = _at(op.args[k], at)
                where = "" if x is None else f" at {operands[k]}{place(at)} = {number(x)}"
                tail = "" if slope is None else f": local derivative {number(slope)}"
                line = (
                    f"  {step_formula(op.p, operands, op.params, op.args).text}{where}{tail}   ({n.source})"
                )
                return Finding([line], n.source, advice(op.p.name))
    return None


def _at(v: Any, at: tuple[int, ...]) -> Any:
    """An entry of a value with as many dimensions (or of a number); None if there is none."""
    if v is None or v is LOST or v.__class__ is Type:
        return None
    a = entries(v)
    if a.size == 1:
        return a.reshape(-1)[0].item()
    return (
        a[at].item() if a.ndim == len(at) and all(i < m for i, m in zip(at, a.shape, strict=True)) else None
    )


__all__ = [
    "Finding",
    "advice",
    "entries",
    "first_bad_slope",
    "first_bad_value",
    "first_infinite_slope",
    "first_overflow",
    "has_nan",
]
