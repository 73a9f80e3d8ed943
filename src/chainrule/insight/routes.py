"""Routes that add up, the Jacobian behind a sum, and the check beside a gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.insight.flow import LOST, Flow, central_difference
from chainrule.insight.nonfinite import entries
from chainrule.insight.shown import number
from chainrule.insight.trace import Given, Local, Route, Trace
from chainrule.ir.types import type_of
from chainrule.tape.node import Node


def routes_text(tree: Trace, g: Given, check: Any, entry: tuple[int, ...] | None = None) -> list[str]:
    """Each route with what it contributes, their sum, and the check beside it."""
    assert g.gradient is not None
    total, tail = g.gradient.text, check_text(check)
    routes = [r for r in g.routes if not entry or r.entry in (None, entry)]
    rows = [(_way(tree, r, g.name), _contribution(r), _rule(r)) for r in routes]
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(2)]
    told = [f"    {a:{widths[0]}}   {b:{widths[1]}}   {c}".rstrip() for a, b, c in rows]
    if any(r.entry for r in routes):
        return [
            f"  {g.name} reaches {tree.output} through its entries:",
            *told,
            *([f"    {tail}"] if tail else []),
        ]
    if len(routes) == 1:
        return [f"  {g.name} reaches {tree.output} by one route:", *told, *([f"    {tail}"] if tail else [])]
    head = f"  {g.name} reaches {tree.output} by {len(routes)} routes; their contributions add:"
    line = f"    {'':{widths[0]}}   {'─' * max(5, len(total))}"
    return [head, *told, line, f"    {'':{widths[0]}}   {total:{widths[1]}}   {tail}".rstrip()]


def _way(tree: Trace, r: Route, leaf: str) -> str:
    """w → 4·w → L: each step by its formula, the result by its name."""
    steps = [tree.step(i) for i in reversed(r.ids)]
    inner = [s.name if s.named or s.formula is None else s.formula.text for s in steps[1:-1]]
    return " → ".join([r.names[-1] if r.entry else leaf, *inner, tree.output])


def _contribution(r: Route) -> str:
    """The factors that are not 1, in symbols, and the number."""
    factors = [e for e in r.locals if e.value is None or e.value.text != "1"]
    symbols = " · ".join(_bracketed(e, alone=len(factors) == 1) for e in factors)
    text = number(r.product)
    return text if symbols in ("", text) else f"{symbols} = {text}"


def _bracketed(e: Local, *, alone: bool) -> str:
    text = e.formula.text if e.formula is not None else e.value.text if e.value is not None else "?"
    return f"({text})" if not alone and (" " in text or text.startswith("-")) else text


def _rule(r: Route) -> str:
    """The rule behind a contribution, where there is one step that counts."""
    factors = [e for e in r.locals if e.value is None or e.value.text != "1"]
    if len(factors) != 1 or factors[0].formula is None:
        return ""
    e = factors[0]
    if e.value is not None and e.formula is not None and e.formula.text == e.value.text:
        return f"the factor {e.value.text}"
    return e.rule if e.rule in ("power rule", "product rule") else ""


def contribution(r: Route) -> str:
    """The factors of a route that are not 1, and their product."""
    return _contribution(r)


def check_text(check: Any) -> str:
    """What a central difference of the same program gives."""
    if check is None:
        return ""
    return f"check: central difference {_digits(check)}"


def _digits(v: Any) -> str:
    if isinstance(v, float):
        return f"{v:.7f}" if 1e-3 <= abs(v) < 1e6 or v == 0 else f"{v:.7g}"
    return "[" + ", ".join(_digits(float(u)) for u in np.ravel(v)) + "]"


def check_of(root: Node, leaf: Node, flow: Flow | None = None) -> Any:
    """A central difference, unless it would not be finite or the root has several entries of its own kind."""
    v = central_difference(root, leaf, flow=flow)
    return v if v is not None and np.all(np.isfinite(v)) else None


def same(a: Any, b: Any) -> bool:
    """Whether two gradients agree to rounding."""
    if a is None or b is None or a is LOST or b is LOST:
        return False
    x, y = entries(a), entries(b)
    return x.shape == y.shape and bool(np.allclose(x, y, rtol=1e-5, atol=1e-12, equal_nan=True))


def jacobian_rows(root: Node, leaf: Node, flow: Flow) -> list[list[float]] | None:
    """d(root[i])/d(leaf[j]) of a small root and leaf, one reverse walk per row."""
    out, x = type_of(root.out), type_of(leaf.out)
    if not 1 < out.size <= 6 or not 1 <= x.size <= 6:
        return None
    rows = []
    for i in range(out.size):
        seed = np.zeros(out.size, out.dtype)
        seed[i] = 1
        ct = flow.cotangents(seed.reshape(out.shape)).get(leaf, 0.0)
        if ct is LOST:
            return None
        rows.append([float(v) for v in np.broadcast_to(entries(ct), x.shape).reshape(-1)])
    return rows


__all__ = ["check_of", "check_text", "contribution", "jacobian_rows", "routes_text", "same"]
