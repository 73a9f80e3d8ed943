"""`explain(L)`: the forward values, the local derivatives, and how the result feels each step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from chainrule.dispatch import Handle
from chainrule.eager.backward import node_of
from chainrule.errors import ArgumentError, DataError
from chainrule.insight.naming import Variables
from chainrule.insight.notation import latex_name
from chainrule.insight.shown import Shown, factor, literal, number
from chainrule.insight.trace import Given, Line, Local, Route, Step, Trace, trace
from chainrule.source import boundary, user_frame

_DETAILS = ("full", "short")


@boundary
def explain(x: Any, wrt: Any = None, *, detail: str = "full") -> Explanation:
    """What was computed on the way to `x`, and how `x` depends on each step.

    Works before and after `backward()`; it changes nothing and keeps nothing alive.

    Parameters
    ----------
    x
        A Tensor that was computed. With several entries, the derivatives are those of their sum.
    wrt
        A tensor that `x` depends on: only the routes from it. Also an entry, as ``explain(L, w[0])``.
    detail
        ``"full"``, or ``"short"``: the gradients without the steps.

    Returns
    -------
    An object whose text is the explanation; `to_json()`, `latex()`, `graph()` give it in other forms.

    Raises
    ------
    DataError (E105)
        `x` is no Tensor.
    ArgumentError (E104)
        `wrt` is no tensor, or `detail` is unknown.

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
    if not isinstance(x, Handle):
        what = "None has no history" if x is None else f"a {type(x).__name__} has no history"
        raise DataError(what, fix="pass a Tensor; for a missing gradient ask why(x)")
    if wrt is not None and not isinstance(wrt, Handle):
        raise ArgumentError(
            "wrt is no tensor", given=repr(type(wrt).__name__), fix="pass one tensor, e.g. explain(L, w)"
        )
    if detail not in _DETAILS:
        raise ArgumentError(f"there is no detail {detail!r}", fix='use detail="full" or detail="short"')
    variables = Variables.of_frame(user_frame())
    return explain_with(x, variables, wrt=wrt, detail=detail)


def explain_with(x: Handle, variables: Variables, *, wrt: Any = None, detail: str = "full") -> Explanation:
    """`explain`, with the names given."""
    tree = trace(node_of(x), variables)
    if wrt is None:
        return Explanation(tree, detail)
    n = node_of(wrt)
    entry: tuple[int, ...] | None = None
    if (
        n.p is not None
        and n.p.name == "index"
        and n.serial not in {s.id for s in tree.steps}
        and len(n.args) == 1
    ):
        spec = (n.params or {})["spec"]
        if all(item[0] == "int" for item in spec):
            entry, n = tuple(item[1] for item in spec), n.parents[0]
    return Explanation(tree, detail, n.serial, entry)


class Explanation:
    """An explanation: `str()` is the text; it holds text and a few numbers, and keeps no tensor alive.

    Attributes
    ----------
    trace
        The tree that everything here is written from.
    """

    def __init__(
        self, tree: Trace, detail: str = "full", wrt: int | None = None, entry: tuple[int, ...] | None = None
    ) -> None:
        self.trace, self._detail, self._wrt, self._entry = tree, detail, wrt, entry

    def __str__(self) -> str:
        return "\n".join(self._lines()).rstrip()

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        return f"$$\n{self.latex()}\n$$\n\n```\n{self}\n```"

    # --- text ------------------------------------------------------------------------------------

    def _lines(self) -> Iterator[str]:
        tree = self.trace
        if tree.count == 0:
            yield self._leaf_sentence()
            return
        if self._detail == "full":
            yield from (self._line_table() if tree.lines else self._step_table())
            yield ""
        if not tree.tracked:
            yield (
                f"No gradients: nothing that {tree.output} was computed from was made with "
                "requires_grad=True."
            )
        else:
            yield from self._gradients()
        last = []
        if tree.unused:
            last.append(f"NOT in this graph: {', '.join(tree.unused)} (no gradient from {tree.output})")
        if tree.constants:
            last.append(f"Constants: {', '.join(tree.constants)}")
        yield from ["      ".join(last)] if last else []
        yield from tree.notes

    def _leaf_sentence(self) -> str:
        s = self.trace.steps[0]
        made = f"{s.name} = {s.value.text} was made, not computed, at {s.place}"
        return (
            f"{made}\nThere is nothing to explain in it; ask explain(L) for a result L that was "
            "computed from it."
        )

    def _step_table(self) -> Iterator[str]:
        tree = self.trace
        chosen = self._on_route()
        rows = []
        steps = [s for s in tree.steps if s.formula is not None and (chosen is None or s.id in chosen)]
        for k, s in enumerate(steps, 1):
            rows.append((str(k), _equation(s), s.value.text, _locals_text(s, chosen), self._feels(s)))
        of = tree.output if tree.size == 1 else f"the sum of {tree.output}"
        head = ("#", "step", "value", "local derivative", f"d{_d(tree)}/d(step)")
        widths = [max(len(row[i]) for row in (head, *rows)) for i in range(5)]
        widths[4] = 0
        left = f"{'FORWARD: what was computed':{sum(widths[:4]) + 14}}BACKWARD: how {of} feels it"
        yield left if tree.tracked else "FORWARD: what was computed"
        for row in (head, *rows):
            cells = [f"{row[0]:>{widths[0]}}", f"{row[1]:{widths[1]}}", f"{row[2]:>{widths[2]}}"]
            cells += [f"{row[3]:{widths[3]}}", row[4]] if tree.tracked else []
            yield ("  " + "   ".join(cells)).rstrip()

    def _feels(self, s: Step) -> str:
        """d(result)/d(step), as the product through the one step that reads it where that is short."""
        if s.cotangent is None:
            return s.note if s.note and s.tracked else "-"
        name = f"d{_d(self.trace)}/d{s.name}"
        readers = [
            (r, e) for r in self.trace.steps for e in r.locals if e.id == s.id and r.cotangent is not None
        ]
        if len(readers) == 1 and s.cotangent.scalar is not None and s.cotangent.shape == ():
            reader, e = readers[0]
            if e.formula is not None and e.formula.text != "1" and reader.cotangent is not None:
                return f"{name} = {e.formula.text} · {factor(reader.cotangent.scalar)} = {s.cotangent.text}"
        return f"{name} = {s.cotangent.text}"

    def _line_table(self) -> Iterator[str]:
        tree = self.trace
        yield (
            f"{tree.count} steps on {len(tree.lines)} lines (value and derivative: of the last "
            "step of each line)"
        )
        head = ("line", "steps", "value", f"d{_d(tree)}/d(value)", "code")
        rows = [
            (line.place.place, _times(line),
             line.value.text, "-" if line.cotangent is None else line.cotangent.text,
             line.place.text or ", ".join(line.operations[:4]))
            for line in tree.lines[:_LINES_SHOWN]
        ]  # fmt: skip
        widths = [max(len(row[i]) for row in (head, *rows)) for i in range(5)]
        for row in (head, *rows):
            yield ("  " + "   ".join(f"{c:{w}}" for c, w in zip(row, widths, strict=True))).rstrip()
        if len(tree.lines) > _LINES_SHOWN:
            yield f"  … and {len(tree.lines) - _LINES_SHOWN} lines more"

    def _gradients(self) -> Iterator[str]:
        tree = self.trace
        stored = any(g.stored is not None for g in tree.leaves)
        leaves = [g for g in tree.leaves if self._wrt is None or g.id == self._wrt]
        if not leaves:
            yield from self._other_gradient()
            return
        yield "GRADIENTS that were stored" if stored else "GRADIENTS that backward() would store"
        width = max(len(g.name) for g in leaves)
        for g in leaves:
            yield from self._gradient(g, width)

    def _other_gradient(self) -> Iterator[str]:
        tree = self.trace
        found = [s for s in tree.steps if s.id == self._wrt]
        if not found:
            yield f"{tree.output} does not depend on this tensor: no route leads from it to {tree.output}."
        elif found[0].cotangent is None:
            yield f"No gradient flows to {found[0].name}: it is a constant here."
        else:
            s = found[0]
            yield f"d{_d(tree)}/d{s.name} = {s.cotangent.text if s.cotangent else '?'}"

    def _gradient(self, g: Given, width: int) -> Iterator[str]:
        tree, value = self.trace, g.gradient
        text = "?" if value is None else value.text
        if self._entry is not None and value is not None and value.entries is not None:
            text = _entry_text(value, self._entry)
            yield f"  {g.name}{list(self._entry)} = {text}   (all of them: {value.text})"
            return
        head = f"  {g.name:{width}} = {text}"
        if not g.named:
            yield f"{head}   {g.name} is the unnamed {literal(g.value)} made at"
            yield f"    {g.place}"
        elif len(g.routes) > 1 and _is_sum(g):
            yield f"{head}   the sum over {len(g.routes)} routes:"
            yield from (f"    {number(r.product)} = {_chain(r, g.name)}" for r in g.routes)
        elif len(g.routes) == 1 and len(g.routes[0].locals) > 1:
            yield f"{head}   d{_d(tree)}/d{g.name} = {_chain(g.routes[0], g.name)}"
        else:
            yield head
        if g.stored is not None and value is not None and g.stored.entries != value.entries:
            yield f"  {'':{width}}   {g.name}.grad holds {g.stored.text} now{_sum_of(g)}"

    def _on_route(self) -> set[int] | None:
        """Steps on a route from `wrt`, or None for all."""
        if self._wrt is None:
            return None
        reached = {self._wrt}
        for s in sorted(self.trace.steps, key=lambda s: s.id):
            if any(e.id in reached for e in s.locals):
                reached.add(s.id)
        return reached

    # --- other forms -------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """The tree as dictionaries, lists, text and numbers for `json.dumps`."""
        t = self.trace
        return {
            "output": t.output,
            "size": t.size,
            "count": t.count,
            "steps": [_step_json(s) for s in t.steps],
            "lines": [
                {"place": line.place.place, "code": line.place.text, "steps": line.steps, "times": line.times,
                 "operations": list(line.operations), "value": line.value.to_json(),
                 "cotangent": _json(line.cotangent)}
                for line in t.lines
            ],
            "leaves": [_given_json(g) for g in t.leaves],
            "constants": list(t.constants),
            "unused": list(t.unused),
            "notes": list(t.notes),
        }  # fmt: skip

    def latex(self) -> str:
        """The steps with their derivatives, and the gradients, as LaTeX for one display."""
        t = self.trace
        rows = [
            rf"{latex_name(s.name)} &= {s.formula.latex} = {_latex_value(s.value)}{_latex_locals(s)}"
            for s in t.steps if s.formula is not None
        ]  # fmt: skip
        out = latex_name(t.output)
        for g in t.leaves:
            if g.gradient is not None:
                body = _latex_chain(g.routes[0]) if len(g.routes) == 1 else ""
                d = rf"\frac{{\partial {out}}}{{\partial {latex_name(g.name)}}}"
                rows.append(rf"{d} &= {body}{_latex_value(g.gradient)}")
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"

    def graph(self) -> Any:
        """The picture of the computation, as data for `chainrule.draw`."""
        from chainrule.insight.picture import graph_of

        return graph_of(self.trace)


_LINES_SHOWN = 40


def _d(tree: Trace) -> str:
    return tree.output if tree.size == 1 else f"(Σ{tree.output})"


def _times(line: Line) -> str:
    """How many steps a line has, and how often it ran."""
    return f"{line.steps // line.times} × {line.times}" if line.times > 1 else str(line.steps)


def _equation(s: Step) -> str:
    assert s.formula is not None
    return s.name if s.formula.text == s.name else f"{s.name} = {s.formula.text}"


def _locals_text(s: Step, chosen: set[int] | None) -> str:
    if not s.tracked:
        return "(not tracked)"
    if s.note and not s.locals:
        return ""
    texts = [local_text(s.name, e) for e in s.locals if chosen is None or e.id in chosen]
    if s.note and "read as" in s.note:
        texts.append(f"({s.note})")
    return ", ".join(texts)


def local_text(step: str, e: Local) -> str:
    """`∂p/∂u = 2·u = -2`: symbols, then the number unless it is the same."""
    parts = [f"∂{step}/∂{e.operand}"]
    if e.formula is not None:
        parts.append(e.formula.text)
    if e.value is not None and (e.formula is None or e.formula.text != e.value.text):
        parts.append(e.value.text)
    if e.note and e.value is None:
        parts.append(e.note)
    return " = ".join(parts)


def _is_sum(g: Given) -> bool:
    """Whether the routes explain the gradient, rounding apart."""
    v = None if g.gradient is None else g.gradient.scalar
    return v is not None and abs(sum(r.product for r in g.routes) - v) <= 1e-6 * max(1.0, abs(v))


def _chain(r: Route, leaf: str) -> str:
    """∂L/∂s · ∂s/∂p · … = 1 · 1 · …"""
    names = (*r.names[:-1], leaf)
    symbols = " · ".join(f"∂{a}/∂{b}" for a, b in pairwise(names))
    return f"{symbols} = {' · '.join(factor(e.value.scalar) for e in r.locals if e.value is not None)}"


def _sum_of(g: Given) -> str:
    numbers = [v for _, v in g.contributions if isinstance(v, int | float)]
    if len(numbers) < 2 or len(numbers) < len(g.contributions):
        return ""
    return f" = {' + '.join(factor(v) for v in numbers)}, from {len(numbers)} backward calls"


def _entry_text(v: Shown, entry: Sequence[int]) -> str:
    at = 0
    for i, n in zip(entry, v.shape, strict=False):
        at = at * n + i % n
    assert v.entries is not None
    return number(v.entries[at]) if len(entry) == len(v.shape) and at < len(v.entries) else v.text


def _json(v: Shown | None) -> Any:
    return None if v is None else v.to_json()


def _step_json(s: Step) -> dict[str, Any]:
    return {
        "id": s.id, "kind": s.kind, "name": s.name, "named": s.named,
        "formula": None if s.formula is None else s.formula.python,
        "operands": [{"name": n, "id": i} for n, i in s.operands],
        "value": s.value.to_json(), "cotangent": _json(s.cotangent), "tracked": s.tracked,
        "local_derivatives": [
            {"operand": e.operand, "id": e.id, "formula": None if e.formula is None else e.formula.python,
             "value": _json(e.value), "note": e.note}
            for e in s.locals
        ],
        "place": s.place.place, "code": s.place.text, "note": s.note,
    }  # fmt: skip


def _given_json(g: Given) -> dict[str, Any]:
    return {
        "id": g.id, "name": g.name, "named": g.named, "value": g.value.to_json(),
        "gradient": _json(g.gradient),
        "grad": _json(g.stored), "place": g.place.place, "code": g.place.text,
        "routes": [
            {"steps": list(r.names), "factors": [_json(e.value) for e in r.locals], "product": r.product}
            for r in g.routes
        ],
        "contributions": [{"place": p.place, "number": v} for p, v in g.contributions],
    }  # fmt: skip


def _latex_value(v: Shown) -> str:
    text = v.text if v.entries is not None else rf"\text{{{v.text}}}"
    return text.replace("…", r"\dots").replace("nan", r"\mathrm{NaN}").replace("inf", r"\infty")


def _latex_locals(s: Step) -> str:
    parts = []
    for e in s.locals:
        body = [rf"\frac{{\partial {latex_name(s.name)}}}{{\partial {latex_name(e.operand)}}}"]
        if e.formula is not None:
            body.append(e.formula.latex)
        if e.value is not None and (e.formula is None or e.formula.text != e.value.text):
            body.append(_latex_value(e.value))
        parts.append(" = ".join(body))
    return (r" &\quad " + r",\; ".join(parts)) if parts else ""


def _latex_chain(r: Route) -> str:
    return " \\cdot ".join(factor(e.value.scalar) for e in r.locals if e.value is not None) + " = "


__all__ = ["Explanation", "explain", "explain_with"]
