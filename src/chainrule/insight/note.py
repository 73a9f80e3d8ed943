"""The note on reading `.grad` of a computed tensor: its name, and the gradient that flowed through it."""

from __future__ import annotations

import ast
import linecache
from types import FrameType

from chainrule.dispatch import Handle
from chainrule.eager.backward import node_of
from chainrule.errors import GradientNote
from chainrule.insight import stops
from chainrule.insight.flow import LOST, Flow
from chainrule.insight.naming import Variables
from chainrule.insight.shown import show
from chainrule.source import Source, user_frame
from chainrule.tape.node import Leaf, Node
from chainrule.tape.numbers import dense

_STEPS = 2000  # a larger computation is not walked for a note
_RESULTS = 8


def note(t: Handle) -> str | None:
    """What to say when `.grad` of a computed tensor is read; None where `why` is asked the same."""
    frame = user_frame()
    read = _reading(frame)
    if read is not None and read[1]:
        return None
    n = node_of(t)
    name = read[0] if read is not None else f"a computed tensor ({n.scope or n.name} at {n.source.place})"
    keep = f"Keep it with {read[0] if read else 't'}.retain_grad() before backward()"
    ask = f", or ask chainrule.why({read[0]}.grad)." if read else ", or ask chainrule.autograd.grad for it."
    if _was_shown(frame):  # the filter shows it once a line: no need to walk again
        return f"{name} is an intermediate result: its gradient is passed on by backward(), not kept. {keep}{ask}"
    flowed, leaves = _known(n, Variables.of_frame(frame))
    told = (
        f"its gradient ({flowed}) was used and passed on"
        if flowed
        else "its gradient is passed on by backward()"
    )
    wanted = f" You probably want {leaves}." if leaves else ""
    return f"{name} is an intermediate result: {told}, not kept. {keep}{ask}{wanted}"


def _reading(frame: FrameType) -> tuple[str, bool] | None:
    """The expression before `.grad`, and whether it stands in a call of `why`; None where the source is not at hand."""
    first, last, begin, end = Source(frame.f_code, frame.f_lasti).positions
    if first is None or first != last or begin is None or end is None:
        return None
    line = linecache.getline(frame.f_code.co_filename, first).encode()
    try:
        e = ast.parse(line[begin:end].decode().strip(), mode="eval").body
    except (SyntaxError, ValueError):
        return None
    if not isinstance(e, ast.Attribute) or e.attr != "grad":
        return None
    before = line[:begin].decode().rstrip()
    asked = before.endswith("why(")
    return (
        (ast.unparse(e.value), asked)
        if asked or isinstance(e.value, ast.Name | ast.Attribute | ast.Subscript)
        else None
    )


def _was_shown(frame: FrameType) -> bool:
    """Whether Python has shown this note for this line already."""
    shown = frame.f_globals.get("__warningregistry__") or {}
    return any(isinstance(k, tuple) and k[1] is GradientNote and k[2] == frame.f_lineno for k in shown)


def _known(n: Node, variables: Variables) -> tuple[str, str]:
    """The gradient that flowed through a value in a backward of a result in reach, and leaves that hold theirs."""
    found = {v.tensor.n for v in variables.all if v.tensor.n.p is not None and v.tensor.n.pull is not None}
    for root in sorted(found | {n}, key=lambda m: -m.serial)[:_RESULTS]:
        below = stops.below(root, _STEPS)
        if below is None or n not in below:
            continue
        flow = Flow(root)
        if not stops.has_given(flow, root) and not (root is n and _leaves(flow, variables)):
            continue
        ct = None if root is n else flow.cotangents().get(n)
        flowed = "" if ct is None or ct is LOST else show(dense(ct)).text
        return flowed, _leaves(Flow(n), variables)
    return "", ""


def _leaves(flow: Flow, variables: Variables) -> str:
    """`z.grad (here [-2])`: leaves with a name below a value that have a gradient."""
    held = [
        m
        for m in reversed(flow.order())
        if isinstance(m, Leaf) and m.grad is not None and m in variables.by_node
    ]
    return " or ".join(f"{variables.by_node[m]}.grad (here {show(m.grad.v).text})" for m in held[:3])


__all__ = ["note"]
