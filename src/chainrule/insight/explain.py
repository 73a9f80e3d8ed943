"""`explain(L)`: the forward values, the local derivatives, and how the result feels each step."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.dispatch import Handle
from chainrule.eager.backward import node_of
from chainrule.errors import ArgumentError, DataError
from chainrule.insight import as_json, as_latex, as_markdown, as_text
from chainrule.insight.as_text import Entry
from chainrule.insight.flow import LOST, Flow
from chainrule.insight.functions import at_point, parameter_names
from chainrule.insight.inside import opened
from chainrule.insight.naming import Variables
from chainrule.insight.saved import Saved
from chainrule.insight.shown import show
from chainrule.insight.trace import Trace, trace
from chainrule.insight.words import a
from chainrule.source import boundary, user_frame
from chainrule.tape.numbers import dense

_DETAILS = ("full", "short")


@boundary
def explain(x: Any, *at: Any, wrt: Any = None, detail: str = "full") -> Explanation:
    """What was computed on the way to `x`, and how `x` depends on each step.

    Works before and after `backward()`; it changes nothing and keeps nothing alive.

    Parameters
    ----------
    x
        A Tensor that was computed. With several entries, the derivatives are those of their sum. Or a function, with
    at
        the point: ``explain(f, 1.0)`` runs f there once. After a Tensor: `wrt`.
    wrt
        A tensor that `x` depends on: only the routes from it. Also an entry, as ``explain(L, w[0])``.
    detail
        ``"full"``, or ``"short"``: the gradients without the steps.

    Returns
    -------
    An object whose text is the explanation; `markdown()`, `latex()`, `to_json()`, `graph()` give it in other forms,
    `saved` is what is kept for the backward pass, `save("L.html")` writes a page.

    Raises
    ------
    DataError (E105)
        `x` is no Tensor and no function.
    ArgumentError (E104)
        `wrt` is no tensor, `detail` is unknown, or a function comes without its point.

    Cost
    ----
    About one backward pass, and some text; long computations are told line by line.

    Examples
    --------
    >>> import chainrule as cr
    >>> w = cr.tensor(1.0, requires_grad=True)
    >>> L = 4 * w + w**3
    >>> print(cr.explain(L, detail="short"))
    GRADIENTS that backward() would store
      w = 7   the sum over 2 routes:
        4 = ∂L/∂u · ∂u/∂w = 1 · 4
        3 = ∂L/∂p · ∂p/∂w = 1 · 3
    """
    if detail not in _DETAILS:
        raise ArgumentError(f"there is no detail {detail!r}", fix='use detail="full" or detail="short"')
    if not isinstance(x, Handle):
        if callable(x):
            return _of_function(x, at, wrt, detail)
        what = "None has no history" if x is None else f"{a(type(x).__name__)} has no history"
        raise DataError(
            what, fix="pass a Tensor, or a function and its point; for a missing gradient ask why(x)"
        )
    if len(at) > 1 or (at and wrt is not None):
        raise ArgumentError(
            f"explain takes one tensor after the result, not {len(at) + (wrt is not None)}",
            fix="ask for one at a time, e.g. explain(L, w)",
        )
    wrt = at[0] if at else wrt
    if wrt is not None and not isinstance(wrt, Handle):
        raise ArgumentError(
            "wrt is no tensor", given=repr(type(wrt).__name__), fix="pass one tensor, e.g. explain(L, w)"
        )
    return explain_with(x, Variables.of_frame(user_frame()), wrt=wrt, detail=detail)


def _of_function(f: Callable[..., Any], at: tuple[Any, ...], wrt: Any, detail: str) -> Explanation:
    if wrt is not None:
        raise ArgumentError(
            "a function has no wrt: its arguments are what it depends on",
            fix="leave wrt out, e.g. explain(f, 1.0)",
        )
    out, leaves = at_point(f, at)
    return explain_with(out, parameter_names(f, leaves), detail=detail)


def explain_with(x: Handle, variables: Variables, *, wrt: Any = None, detail: str = "full") -> Explanation:
    """`explain`, with the names given."""
    view = opened(node_of(x), variables)
    flow = Flow(view.root)
    tree = trace(view.root, variables, flow=flow, with_saved=True, notes=view.notes)
    if wrt is None:
        return Explanation(tree, detail)
    n = node_of(wrt)
    if n.p is None or n.p.name != "index" or n.serial in {s.id for s in tree.steps if s.named}:
        return Explanation(tree, detail, n.serial)
    spec = (n.params or {})["spec"]
    if len(n.args) != 1 or n.parents[0] is None or any(item[0] != "int" for item in spec):
        return Explanation(tree, detail, n.serial)
    shape = n.args[0].shape
    index = tuple(i % m for (_, i), m in zip(spec, shape, strict=False))
    ct = flow.cotangents().get(n.parents[0]) if tree.tracked else None
    value = None if ct is None or ct is LOST else show(np.asarray(dense(ct))[index])
    return Explanation(tree, detail, n.parents[0].serial, Entry(index, value))


class Explanation:
    """An explanation: `str()` is the text; it holds text and a few numbers, and keeps no tensor alive.

    Attributes
    ----------
    trace
        The tree that everything here is written from.
    """

    def __init__(
        self, tree: Trace, detail: str = "full", wrt: int | None = None, entry: Entry | None = None
    ) -> None:
        self.trace, self._detail, self._wrt, self._entry = tree, detail, wrt, entry

    def __str__(self) -> str:
        return "\n".join(as_text.lines(self.trace, self._detail, self._wrt, self._entry)).rstrip()

    __repr__ = __str__

    @property
    def saved(self) -> Saved:
        """What is kept for the backward pass: `print` it, or read `bytes` and `values`."""
        return self.trace.saved

    def to_json(self) -> dict[str, Any]:
        """The tree as dictionaries, lists, text and numbers for `json.dumps`."""
        return as_json.tree(self.trace)

    def latex(self) -> str:
        """The steps with their derivatives, and the gradients, as LaTeX for one display."""
        return as_latex.display(self.trace)

    def markdown(self) -> str:
        """The same as text, as Markdown: a table of the steps with formulas in LaTeX, and the gradients."""
        return as_markdown.page(self.trace, self._detail, self._wrt, self._entry)

    _repr_markdown_ = markdown

    def graph(self) -> Any:
        """The picture of the computation, as data for `chainrule.draw`."""
        from chainrule.insight.picture import graph_of

        return graph_of(self.trace)

    @boundary
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file: ``.html`` (a page with the picture), ``.md``, ``.tex``, ``.json`` or ``.txt``."""
        from chainrule.insight.saving import save

        save(self, path)


__all__ = ["Explanation", "explain", "explain_with"]
