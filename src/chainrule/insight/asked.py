"""What a call was asked about, read from its own source: `why(c2.grad)` is handed None and still finds c2."""

from __future__ import annotations

import ast
import builtins
import linecache
import warnings
from types import FrameType
from typing import Any, NamedTuple

from chainrule.dispatch import Handle
from chainrule.insight.naming import namespace
from chainrule.source import Source

_SHORT = 40  # characters of an expression that still read as a name


class Asked(NamedTuple):
    """The tensor whose `.grad` was passed, and the user's expression for it."""

    name: str
    tensor: Handle


def asked_about(frame: FrameType) -> Asked | None:
    """The tensor in `why(<tensor>.grad)`, for the call that the frame is executing; or None.

    Only names, attributes and constant subscripts are followed: nothing is called, so nothing happens twice.
    """
    call = _call(frame)
    if call is None or not call.args:
        return None
    argument = call.args[0]
    if not isinstance(argument, ast.Attribute) or argument.attr != "grad":
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            owner = _resolve(argument.value, frame)
    except (LookupError, AttributeError, TypeError, ValueError):
        return None
    return Asked(ast.unparse(argument.value), owner) if isinstance(owner, Handle) else None


def argument_text(frame: FrameType) -> str | None:
    """The first argument of the call that the frame is executing, if it reads as a name: `w`, `ws[1]`, `net.w`."""
    call = _call(frame)
    if call is None or not call.args:
        return None
    argument = call.args[0]
    if isinstance(argument, ast.Attribute) and argument.attr == "grad":
        argument = argument.value
    text = ast.unparse(argument)
    if isinstance(argument, ast.Name | ast.Attribute | ast.Subscript):
        return text
    return f"({text})" if len(text) <= _SHORT else None


def _call(frame: FrameType) -> ast.Call | None:
    return call_at(Source(frame.f_code, frame.f_lasti))


def call_at(source: Source) -> ast.Call | None:
    """The call that an instruction of the program executes, as it is written; None where the text is not at hand."""
    first, last, begin, end = source.positions
    if first is None or last is None or begin is None or end is None:
        return None
    lines = [linecache.getline(source.file, k).encode() for k in range(first, last + 1)]
    if not all(lines):
        return None
    lines[-1] = lines[-1][:end]
    lines[0] = lines[0][begin:]
    try:
        tree = ast.parse(b"".join(lines).decode(), mode="eval")
    except (SyntaxError, ValueError):
        return None
    return tree.body if isinstance(tree.body, ast.Call) else None


def _resolve(e: ast.expr, frame: FrameType) -> Any:
    if isinstance(e, ast.Name):
        for scope in (namespace(frame), frame.f_globals, vars(builtins)):
            if e.id in scope:
                return scope[e.id]
        raise LookupError(e.id)
    if isinstance(e, ast.Attribute):
        return getattr(_resolve(e.value, frame), e.attr)
    if isinstance(e, ast.Subscript):
        return _resolve(e.value, frame)[ast.literal_eval(e.slice)]
    raise LookupError(type(e).__name__)
