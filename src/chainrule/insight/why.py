"""`why(x)`: why a gradient has its value, or why there is none."""

from __future__ import annotations

from typing import Any

from chainrule.dispatch import Handle
from chainrule.eager.backward import RETAINED, node_of
from chainrule.errors import DataError
from chainrule.insight.answer import REASONS, Answer
from chainrule.insight.asked import Asked, argument_text, asked_about
from chainrule.insight.functions import at_point, parameter_names
from chainrule.insight.missing import computed, constant, missing, untracked
from chainrule.insight.naming import Variables
from chainrule.insight.present import present
from chainrule.insight.question import Question, gradient_of, is_stored
from chainrule.insight.returned import Returned, returned
from chainrule.insight.shown import place, show
from chainrule.insight.words import a
from chainrule.ops.creation import ones_like
from chainrule.source import boundary, user_frame
from chainrule.tape.node import Leaf, Node


@boundary
def why(x: Any, *at: Any) -> Answer:
    """Why a gradient has its value, or why it is None, zero, NaN, infinite, doubled or a sum.

    It reads the tape that computed the number, changes nothing and keeps nothing alive.

    Parameters
    ----------
    x
        A tensor, its ``.grad``, an entry of one, or None written as ``why(x.grad)``: the call reads its own source
        to find x. Also the result of `minimize`, or a function, with
    at
        the point: ``why(f, 1.0)`` asks about the gradient of f there with respect to its first argument.

    Returns
    -------
    An answer whose text says it; `reason` is a short code, `place` the line, `fix` the way out; `to_json()` has all.

    Raises
    ------
    DataError (E105)
        `x` is no tensor.

    Cost
    ----
    About one backward pass for each result in reach that depends on `x`, and a few runs of the program.

    Examples
    --------
    >>> import chainrule as cr
    >>> w = cr.tensor(1.0, requires_grad=True)
    >>> L = 4 * w + w**3
    >>> L.backward()
    >>> print(cr.why(w))
    dL/dw = 7 at w = 1
      w reaches L by 2 routes; their contributions add:
        w → 4·w → L   4          the factor 4
        w → w³ → L    3·w² = 3   power rule
                      ─────
                      7          check: central difference 7.0000000
    """
    frame = user_frame()
    if callable(x) and not isinstance(x, Handle):
        return _of_function(x, at)
    if not isinstance(x, Handle) and callable(getattr(x, "why", None)):
        return Answer("descent", argument_text(frame) or "", [str(x.why())])
    variables = Variables.of_frame(frame)
    name = argument_text(frame)
    if x is None:
        asked = asked_about(frame)
        if asked is None:
            what = "I was given None, which does not say whose gradient it is: call why(x) instead of why(x.grad)."
            return Answer("unknown", "", [what], fix="call why(x) instead of why(x.grad).")
        name, x = asked
    elif isinstance(x, Handle) and x.n.p is not None:  # a gradient with a history, of create_graph=True
        asked = asked_about(frame)
        if asked is not None and asked.tensor.n.__class__ is Leaf and asked.tensor.n.grad is x:
            name, x = asked
    if not isinstance(x, Handle):
        raise DataError(
            f"{a(type(x).__name__)} has no gradient", fix="pass a Tensor, e.g. why(w) or why(w.grad)"
        )
    return why_with(x, variables, name=name)


def why_with(x: Handle, variables: Variables, *, name: str | None = None) -> Answer:
    """`why`, with the names given."""
    n, entry = node_of(x), None
    owner = gradient_of(n)
    if owner is None and n.p is not None and n not in variables.by_node:
        n, entry, owner = _entry_of(n)
    if (
        owner is not None
        and owner.p is not None
        and RETAINED.get(owner) is not None
        and RETAINED[owner].n is n
    ):
        return _answer(Question(owner, _name(owner, name, variables), variables))
    if owner is None or owner.p is not None:
        found = returned(n, variables)
        if found is not None:
            return _returned(n, found, name or variables.by_node.get(n, "this tensor"))
    if owner is not None:
        if not is_stored(n, owner):
            return _not_stored(n, owner, variables, name)
        n, name = owner, None
    return _answer(Question(n, _name(n, None if entry else name, variables), variables, entry))


def _name(n: Node, asked: str | None, variables: Variables) -> str:
    """As it was written, if that says more than a name; else the first variable that holds it."""
    if asked is not None and not asked.isidentifier():
        return asked
    return variables.by_node.get(n) or asked or "x"


def _answer(q: Question) -> Answer:
    n = q.n
    if n.p is not None:
        return computed(q) if n.pull is not None else untracked(q)
    if n.pull is None:
        return constant(q)
    grad = n.grad if isinstance(n, Leaf) else None
    return missing(q) if grad is None else present(q, grad)


def _entry_of(n: Node) -> tuple[Node, tuple[int, ...] | None, Node | None]:
    """For `w[0]` and `w.grad[0]`: the leaf (or the gradient), the index, and whose gradient it is."""
    params = n.params or {}
    if (
        n.p is None
        or n.p.name != "index"
        or len(n.args) != 1
        or any(item[0] != "int" for item in params["spec"])
    ):
        return n, None, None
    whole = n.parents[0]
    if whole is None or whole.p is not None:
        return n, None, None
    return whole, tuple(item[1] for item in params["spec"]), gradient_of(whole)


def _not_stored(n: Node, owner: Node, variables: Variables, name: str | None) -> Answer:
    """A gradient that was returned, not stored: by autograd.grad, by a transform, or of an earlier backward."""
    about = name or "this tensor"
    of = variables.by_node.get(owner, f"the tensor made at {owner.source.place}")
    lines = [f"{about} = {show(n.out).text} is a gradient with respect to {of}, computed at {n.source}",
             f"  It is not what {of}.grad holds: it was returned, or another backward followed."]  # fmt: skip
    fix = "Ask for it with create_graph=True to differentiate it again."
    return Answer("not_stored", about, lines, value=show(n.out).to_json(), place=n.source, fix=fix)


def _returned(n: Node, found: Returned, name: str) -> Answer:
    """A result of a transform or of a compiled function."""
    lines = [f"{name} = {show(n.out).text} {found.what} at {found.source}", f"  {found.why}"]
    reason = "not_stored" if "gradient" in found.what else "untracked"
    return Answer(reason, name, lines, value=show(n.out).to_json(), place=n.source, fix=found.ask)


def _of_function(f: Any, at: tuple[Any, ...]) -> Answer:
    out, points = at_point(f, at)
    variables = parameter_names(f, points)
    out.backward(None if out.numel() == 1 else ones_like(out.detach()))
    name = variables.all[0].name
    return why_with(points[0], variables, name=name)


__all__ = ["REASONS", "Answer", "Asked", "place", "why", "why_with"]
