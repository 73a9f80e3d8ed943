"""The errors of a backward that can't begin, in the words of the user's own line."""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.dispatch import Handle, node_of
from chainrule.errors import NotScalarError, NotTrackedError
from chainrule.ir.types import type_of
from chainrule.source import Source, user_frame
from chainrule.tape.cuts import origin_of
from chainrule.tape.node import Leaf, Node, ancestors, lost_parent

_SHOWN = 40  # characters of an expression that still read as a name
_LISTED = 4  # inputs that are named in an error


# --- several outputs -------------------------------------------------------------------------------


def not_scalar(t: Any, call: str) -> NotScalarError:
    """The error for "the gradient" of several outputs, with the things that can be meant.

    call
        "backward()" or "grad": how it was asked for.
    """
    frame = user_frame(2)
    name = expression(Source(frame.f_code, frame.f_lasti), call.rstrip("()")) or "t"
    first = f"{name}[{', '.join('0' for _ in t.shape)}]"
    module = _name_of_package(frame) or "chainrule"
    leaf = _name_of_leaf(t, frame) or "x"
    ways = [
        (f"{first}.backward()", "one component"),
        (f"{name}.sum().backward()", "the sum of all"),
        (f"{name}.backward(weights)", f"a weighted sum, weights of shape {list(t.shape)}"),
        (f"{module}.jacobian({name}, {leaf})", "each one, nothing lost"),
    ]
    width = max(len(code) for code, _ in ways)
    shown = "\n".join(f"    {code:<{width}}   {what}" for code, what in ways)
    return NotScalarError(
        f'{name} has {t.numel()} components, so "the gradient" is ambiguous',
        given=f"shape {list(t.shape)}", fix=f"say which is meant:\n{shown}",
    )  # fmt: skip


def expression(source: Source, method: str) -> str | None:
    """What the user called `method` on (or passed to it first), as written, if it is short."""
    try:
        tree = ast.parse(_segment(source), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Attribute) or tree.func.attr != method:
        return None
    target = tree.func.value if method == "backward" else (tree.args or [None])[0]
    if target is None or isinstance(target, ast.List | ast.Tuple | ast.Starred):
        return None
    if method == "backward" and isinstance(target, ast.Name) and tree.args and target.id.endswith("autograd"):
        target = tree.args[0]
    text = ast.unparse(target)
    simple = isinstance(target, ast.Name | ast.Attribute | ast.Subscript | ast.Call)
    return None if len(text) > _SHOWN else text if simple else f"({text})"


def _segment(source: Source) -> str:
    """The text of the instruction; columns count bytes."""
    first, last, start, end = source.positions
    if None in (first, last, start, end):
        return ""
    lines = [linecache.getline(source.file, k).encode() for k in range(first, last + 1)]  # type: ignore[operator, arg-type]
    lines[-1] = lines[-1][:end]
    lines[0] = lines[0][start:]
    return b"".join(lines).decode(errors="replace")


def _variables(frame: Any) -> Iterator[tuple[str, Any]]:
    yield from list(frame.f_locals.items())
    yield from list(frame.f_globals.items())


def _name_of_package(frame: Any) -> str | None:
    package = sys.modules[__name__.partition(".")[0]]
    return next((name for name, v in _variables(frame) if v is package), None)


def _name_of_leaf(t: Any, frame: Any) -> str | None:
    """A variable of the user that holds a leaf of the graph."""
    found = {n for n in ancestors(node_of(t)) if n.p is None and n.pull is not None}
    return next((name for name, v in _variables(frame) if isinstance(v, Handle) and v.n in found), None)


# --- nothing that is tracked -----------------------------------------------------------------------


def not_tracked(t: Any) -> NotTrackedError:
    """The error for a backward from a value that nothing tracks, with the nearest reason."""
    n = node_of(t)
    for q in ancestors(n):
        reason = _reason(q)
        if reason is not None:
            given, fix = reason
            return NotTrackedError(
                "nothing in the computation of this tensor requires a gradient", given=given, fix=fix
            )
    leaves = [q for q in ancestors(n) if q.p is None]
    given = f"computed by {n.name} at {n.source}" if n.p is not None else f"made at {n.source}"
    if n.p is not None and leaves:
        given += "; of " + ", ".join(f"{_shown(q)} made at {q.source.place}" for q in leaves[:_LISTED])
    return NotTrackedError(
        "nothing in the computation of this tensor requires a gradient", given=given,
        fix="mark what you differentiate with respect to: tensor(…, requires_grad=True)",
    )  # fmt: skip


def _shown(q: Node) -> str:
    v = q.out
    return f"the number {v:g}" if v.__class__ is float else f"a tensor {type_of(v)}"


def _reason(q: Node) -> tuple[str, str] | None:
    """Why nothing flows through this node, and what to do; None if it is not here that a gradient ends."""
    if q.p is None:
        return _reason_of_leaf(q)
    if not lost_parent(q) and not any(r is not None and r.pull is not None for r in q.parents):
        return None
    where = f"{q.name} at {q.source}"
    dtype = type_of(q.out).dtype
    if dtype == np.bool_:
        return (
            f"the gradient ends at a comparison, which does not change by little: {where}",
            "use a smooth surrogate, e.g. sigmoid(k * x) for x > 0",
        )
    if q.name == "cast":
        return (
            f"the gradient ends at a cast: whole numbers have no small changes: {where}",
            f"leave the cast to {dtype} out, or differentiate before it",
        )
    if dtype.kind not in "fc":
        return (
            f"the gradient ends at an index, which is no number that varies: {where}",
            "use the value at the index",
        )
    return (
        f"computed where nothing is recorded (no_grad, inference_mode): {where}",
        "compute it outside of no_grad(), or under enable_grad()",
    )


def _reason_of_leaf(q: Node) -> tuple[str, str] | None:
    if not isinstance(q, Leaf) or q.pull is not None:
        return None
    is_gradient = q.params is not None and "gradient_of" in q.params
    if is_gradient and q.params.get("constant"):  # type: ignore[union-attr]
        of = q.params["gradient_of"]()  # type: ignore[index]
        where = "" if of is None else f" of the value made at {of.source}"
        return f"this gradient{where} does not depend on it", "its derivative is 0: nothing to do"
    if is_gradient:
        return (
            "this gradient was computed without recording",
            "ask for it with create_graph=True, or use chainrule.grad(chainrule.grad(f))",
        )
    origin = origin_of(q)
    if origin is None:
        return None
    if origin.how == "detach":
        return f"detach() cut the graph at {origin.source}", "leave detach() out"
    return (
        f"tensor(…) copied the numbers only, at {origin.source}",
        "keep the graph with stack([a, b]) (or cat), which joins tensors",
    )


__all__ = ["expression", "not_scalar", "not_tracked"]
