"""`why(x)`: why a gradient has its value, or why there is none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.dispatch import Handle
from chainrule.eager.backward import RETAINED, node_of
from chainrule.errors import DataError
from chainrule.insight import reasons, stops
from chainrule.insight.asked import asked_about
from chainrule.insight.flow import LOST, Flow
from chainrule.insight.naming import Variables
from chainrule.insight.shown import factor, json_number, literal, number, show
from chainrule.insight.trace import Trace, changed_since, operand_names, trace
from chainrule.ir.types import Type, type_of
from chainrule.source import boundary, user_frame
from chainrule.tape.cuts import cuts_of, origin_of
from chainrule.tape.node import Leaf, Node, ancestors
from chainrule.tape.numbers import dense

_RESULTS = 32  # results in the caller's reach that are looked at, the latest first


class Answer:
    """The answer of `why`: `str()` is the text.

    Attributes
    ----------
    reason
        One of "gradient", "accumulated", "sum", "kink", "zero", "nan", "infinite" (there is a gradient);
        "constant", "integer", "unused", "unreached", "cleared", "intermediate", "cut",
        "untracked" (there is none);
        "retained", "unknown".
    about
        The name of the tensor.
    lines
        The sentences.
    """

    def __init__(self, reason: str, about: str, lines: list[str], data: dict[str, Any] | None = None) -> None:
        self.reason, self.about, self.lines, self._data = reason, about, tuple(lines), data or {}

    def __str__(self) -> str:
        return "\n".join(self.lines)

    __repr__ = __str__

    def to_json(self) -> dict[str, Any]:
        """Reason, name, text and the numbers, for `json.dumps`."""
        return {"reason": self.reason, "about": self.about, "text": str(self), **self._data}


@boundary
def why(x: Any) -> Answer:
    """Why a gradient has its value, or why it is None, zero, NaN, infinite, doubled or a sum.

    It changes nothing and keeps nothing alive.

    Parameters
    ----------
    x
        A tensor, its ``.grad``, or None written as ``why(x.grad)``: the call reads its own source to find x.

    Returns
    -------
    An answer whose text says it; `reason` is a short code, `to_json()` the same as data.

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
    variables = Variables.of_frame(frame)
    name = None
    if x is None:
        asked = asked_about(frame)
        if asked is None:
            what = (
                "I was given None, which does not say whose gradient it is: call why(x) instead "
                "of why(x.grad)."
            )
            return Answer("unknown", "", [what])
        name, x = asked
    if not isinstance(x, Handle):
        raise DataError(
            f"a {type(x).__name__} has no gradient", fix="pass a Tensor, e.g. why(w) or why(w.grad)"
        )
    return why_with(x, variables, name=name)


def why_with(x: Handle, variables: Variables, *, name: str | None = None) -> Answer:
    """`why`, with the names given."""
    n = node_of(x)
    params = n.params or {}
    if n.p is None and "gradient_of" in params:
        n = params["gradient_of"]() or n
        name = variables.by_node.get(n)
    return _Case(n, name or variables.by_node.get(n) or "x", variables).answer()


class _Case:
    """One question: the node, its name, and the results in reach that may explain it."""

    def __init__(self, n: Node, name: str, variables: Variables) -> None:
        self.n, self.name, self.variables = n, name, variables
        variables.by_node.setdefault(n, name)
        computed = {v.tensor.n: v for v in variables.all if v.tensor.n.p is not None and v.tensor.n is not n}
        latest = sorted(computed, key=lambda m: m.serial, reverse=True)[:_RESULTS]
        below = stops.all_below(latest)
        latest = list(below)
        tracked = [m for m in latest if m.pull is not None]
        ends = [m for m in tracked if not any(m in below[k] for k in tracked if k is not m)]
        self.latest = ends[0] if ends else None
        self.results = [m for m in (*ends, *(t for t in tracked if t not in ends)) if n in below[m]]
        self.lost_ways = [m for m in latest if m.pull is None and n in below[m]]

    def answer(self) -> Answer:
        n = self.n
        if n.p is not None:
            return self._intermediate() if n.pull is not None else self._untracked()
        if n.pull is None:
            return self._constant()
        grad = n.grad if isinstance(n, Leaf) else None
        return self._missing() if grad is None else self._present(grad.v)

    def _say(self, reason: str, lines: list[str], **data: Any) -> Answer:
        return Answer(reason, self.name, lines, data)

    def _result_name(self, root: Node) -> str:
        return self.variables.by_node.get(root, "L")

    # --- there is a gradient ----------------------------------------------------------------------

    def _present(self, grad: Any) -> Answer:
        value = dense(grad)
        flows = [(root, Flow(root)) for root in self.results[:4]]
        found = [(root, flow, flow.cotangents()) for root, flow in flows]
        if reasons.has_nan(value):
            return self._nan(value, found)
        if not np.isfinite(np.asarray(value)).all():
            return self._infinite(value, found)
        numbers = [c[1] for c in getattr(self.n, "contributions", None) or ()]
        fits = [f for f in found if any(reasons.same(f[2].get(self.n), v) for v in (value, *numbers[-1:]))]
        if len(numbers) > 1:
            return self._accumulated(value, fits)
        if not fits:
            return self._without_a_graph(value, bool(found))
        return self._explained(value, *fits[0])

    def _explained(self, value: Any, root: Node, flow: Flow, cts: dict[Node, Any]) -> Answer:
        out, names = self._result_name(root), operand_names(root, self.variables)
        is_zero = not np.any(np.asarray(value) != 0)
        kinks = list(dict.fromkeys(reasons.kinks_on_the_way(flow, self.n, cts, names)))
        changed = changed_since(self.n, root)
        check = None if kinks or changed else reasons.check_of(root, self.n)
        if type_of(root.out).size > 1:
            return self._summed(value, root, flow, out)
        head = f"d{out}/d{self.name} = {show(value).text} at {self.name} = {show(self.n.out).text}"
        if is_zero and not kinks:
            flat = list(reasons.flat_steps(flow, self.n, names))
            if flat:
                return self._say("zero", [head, *(f"  {s}" for s in flat)], gradient=show(value).to_json())
        tree = trace(root, self.variables)
        body = self._body(tree, check)
        if kinks:
            at = [f"  {s}" for s in kinks]
            close = "  Subgradients are chosen step by step; a sum of chosen ones need not be one."
            return self._say("kink", [f"{head}, at a kink", *at, close], gradient=show(value).to_json())
        routes = next((g.routes for g in tree.leaves if g.id == self.n.serial), ())
        if changed is not None:
            note = (
                f"  {self.name} was changed in place afterwards ({changed.place}): the gradient "
                "is that of its value before."
            )
            body.append(note)
        if is_zero and len(routes) > 1:
            body.insert(0, "  0 because the contributions of its routes cancel:")
            return self._say("zero", [head, *body], gradient=show(value).to_json())
        return self._say("gradient", [head, *body], gradient=show(value).to_json(), check=_json(check))

    def _body(self, tree: Trace, check: Any) -> list[str]:
        g = next((g for g in tree.leaves if g.id == self.n.serial), None)
        if g is not None and g.routes and g.gradient is not None:
            return reasons.routes_text(tree, g, check)
        way = stops.steps_between(tree, self.n.serial)
        lines = [f"  {self.name} reaches {tree.output} through {', '.join(way)}"] if way else []
        tail = reasons.check_text(check)
        return lines + ([f"  {tail}"] if tail else [])

    def _summed(self, value: Any, root: Node, flow: Flow, out: str) -> Answer:
        size = type_of(root.out).size
        rows = reasons.jacobian_rows(root, self.n, flow)
        lines = [
            f"{self.name}.grad = {show(value).text} is a SUM of {size} sensitivities, one for "
            f"each entry of {out}."
        ]
        if rows is not None:
            width = max(len(number(v)) for row in rows for v in row)
            if len(rows[0]) == 1:
                parts = " + ".join(f"d{out}[{i}]/d{self.name}" for i in range(size))
                lines[0] = (
                    f"{self.name}.grad = {show(value).text} is a SUM of {size} sensitivities: "
                    f"{parts} = {' + '.join(factor(r[0]) for r in rows)}"
                )
            lines.append(
                f"  Summing loses them. The Jacobian ({size} outputs × {len(rows[0])} inputs), row by row:"
            )
            lines += [
                f"    {out}[{i}] [ {'  '.join(f'{number(v):>{width}}' for v in r)} ]"
                for i, r in enumerate(rows)
            ]
        lines.append(
            f"  Each one: chainrule.jacobian({out}, {self.name}).  One of them: {out}[0].backward()."
        )
        return self._say("sum", lines, gradient=show(value).to_json(), jacobian=rows)

    def _accumulated(self, value: Any, fits: list[Any]) -> Answer:
        contributions = list(getattr(self.n, "contributions", None) or ())
        parts = [v for _, v, *_ in contributions]
        text = show(value).text
        if all(isinstance(v, int | float) for v in parts):
            text += f" = {' + '.join(factor(v) for v in parts)}"
        lines = [f"{self.name}.grad = {text}: {len(parts)} backward calls added to it."]
        lines += [
            f"  {'+ ' + number(v) if v is not None else '+ an array'}   {source}"
            for source, v, *_ in contributions
        ]
        if fits:
            root, _, cts = fits[0]
            lines.append(f"  The latest result alone gives d{self._result_name(root)}/d{self.name} = "
                         f"{show(dense(cts[self.n])).text}.")  # fmt: skip
        lines.append(
            f"  Gradients add up until they are cleared: write {self.name}.grad = None before "
            "each backward()."
        )
        data = [{"place": s.place, "number": json_number(v)} for s, v, *_ in contributions]
        return self._say("accumulated", lines, gradient=show(value).to_json(), contributions=data)

    def _without_a_graph(self, value: Any, other: bool) -> Answer:
        contributions = list(getattr(self.n, "contributions", None) or ())
        lines = [f"{self.name}.grad = {show(value).text}"]
        lines += [
            f"  {'stored' if v is None else number(v) + ', added'} by {source}"
            for source, v, *_ in contributions
        ]
        if not contributions:
            lines.append("  It was assigned or changed by hand: no backward() stored it.")
        elif other:
            lines.append(
                "  No result in reach gives this number by itself (weights, hooks or a change in place?)."
            )
        else:
            lines.append(
                "  The result it came from is gone: keep it in a variable (L = …; "
                "L.backward()) and ask again."
            )
        return self._say("gradient", lines, gradient=show(value).to_json())

    def _nan(self, value: Any, found: list[Any]) -> Answer:
        a = np.asarray(value)
        at = reasons.place(tuple(int(i) for i in np.argwhere(np.isnan(a))[0]))
        count = int(np.isnan(a).sum())
        head = (
            f"NaN in {self.name}.grad{at}"
            + (f" and {count - 1} more of {a.size} entries" if count > 1 else "")
            + "."
        )
        for root, flow, cts in found:
            names = operand_names(root, self.variables)
            before = reasons.first_bad_value(flow, names)
            slope = reasons.first_bad_slope(flow, cts, names)
            lines = [line for f in (before, slope) if f is not None for line in f.lines]
            if lines:
                return self._say("nan", [head, *lines], gradient=show(value).to_json())
        return self._say("nan", [head, "The result it came from is gone, or its arrays were freed: "
                                       "ask before backward(), or keep it in a variable."])  # fmt: skip

    def _infinite(self, value: Any, found: list[Any]) -> Answer:
        lines = [f"{self.name}.grad = {show(value).text} is infinite: the slope grows without bound there."]
        for root, flow, cts in found:
            more = reasons.first_infinite_slope(flow, cts, operand_names(root, self.variables))
            if more:
                lines += more
                break
        return self._say(
            "infinite", [*lines, "  Keep the input away from that point."], gradient=show(value).to_json()
        )

    # --- there is none ----------------------------------------------------------------------------

    def _missing(self) -> Answer:
        name = self.name
        if self.results:
            root = self.results[0]
            out, flow = self._result_name(root), Flow(root)
            ct = flow.cotangents().get(self.n)
            would = "" if ct is None or ct is LOST else f" d{out}/d{name} = {show(dense(ct)).text}."
            if stops.was_differentiated(flow, self.n):
                lines = [f"None because {name}.grad was cleared after the backward of {out} "
                         "(zero_grad does that), "
                         f"or left out by backward(inputs=…).{would}"]  # fmt: skip
                return self._say(
                    "cleared", [*lines, f"  To get it again: compute {out} anew and call backward()."]
                )
            lines = [f"None because no backward has reached {name} yet: {out} depends on it, "
                     f"but backward() was not called.{would}"]  # fmt: skip
            return self._say("unreached", [*lines, f"  To get it: {out}.backward()"])
        cuts = self._cuts()
        if cuts:
            return self._say(
                "cut", [f"None because {name} left the graph before a result was computed:", *cuts]
            )
        out = "any result in reach" if self.latest is None else self._result_name(self.latest)
        route = "" if self.latest is None else f" (no route from {name} to {out})"
        lines = [
            f"None because {out} was computed without {name}{route}. Not the same as 0: "
            "nothing was added to it."
        ]
        if self.latest is None:
            lines = [
                f"None because nothing in reach was computed with {name}. Not the same as 0: "
                "nothing was added to it."
            ]
        lines.append(f"  {name} was made at {self.n.source}")
        lines.append(f"  To get a gradient: use {name} in the computation.")
        return self._say("unused", lines)

    def _cuts(self) -> list[str]:
        lines = [stops.cut_line(self.name, cut) for cut in cuts_of(self.n)]
        for m in self.lost_ways:
            step = stops.where_it_stops(m)
            if step is not None:
                lines.append(f"  {self._result_name(m)} does not carry a gradient: {stops.stop_line(step)}")
        return lines

    def _constant(self) -> Answer:
        n, name = self.n, self.name
        t = type_of(n.out)
        origin = origin_of(n) if isinstance(n, Leaf) else None
        if t.dtype.kind not in "fc":
            lines = [
                f"None because {name} holds {t.dtype} numbers: whole numbers and truth values "
                "have no small changes."
            ]
            return self._say("integer", [*lines, f"  To get a gradient, make it floating point: {_again(n)}"])
        if origin is not None:
            lines = [f"None because {name} was made from the numbers of other tensors by {origin.how}: "
                     "the graph ends there."]  # fmt: skip
            lines.append(f"  {origin.source}")
            return self._say("cut", [*lines, f"  {stops.way_out(origin.how)}"])
        out = self._result_name(self.results[0]) if self.results else "a result"
        lines = [f"None because {name} was made without requires_grad=True, "
                 f"so {out} was never asked how it depends on {name}."]  # fmt: skip
        lines.append(f"  {name} was made at {n.source}")
        ways = self._would_have_been()
        lines += [f"  {ways}"] if ways else []
        return self._say("constant", [*lines, f"  To get it: {_again(n)}"])

    def _would_have_been(self) -> str:
        for root in self.results[:2]:
            tree = trace(root, self.variables, also=(self.n,))
            g = next((g for g in tree.leaves if g.id == self.n.serial), None)
            if g is not None and g.gradient is not None:
                text = f"d{tree.output}/d{self.name}"
                if len(g.routes) == 1:
                    symbols = reasons.contribution(g.routes[0])
                    return f"Would have been: {text} = {symbols}."
                return f"Would have been: {text} = {g.gradient.text}."
        return ""

    def _intermediate(self) -> Answer:
        n, name = self.n, self.name
        root = self.results[0] if self.results else n
        flow = Flow(root)
        ct = flow.cotangents().get(n)
        out = self._result_name(root)
        made = self._how_made(root)
        gradient = None if ct is None or ct is LOST else show(dense(ct))
        if n in RETAINED and RETAINED[n] is not None:
            kept = show(RETAINED[n].v).text
            return self._say(
                "retained",
                [f"{name}.grad = {kept} was kept because retain_grad() was called on {name}{made}."],
            )
        lines = [
            f"None because {name} is not a leaf: it was computed{made}. Gradients are stored in leaves only."
        ]
        if root is n:
            lines.append(
                f"  {name} is itself the last result in reach, where backward begins: its own gradient is 1."
            )
        elif gradient is not None:
            lines.append(f"  It is NOT a constant: d{out}/d{name} = {gradient.text} flowed through it.")
        lines += self._delivered(root, flow)
        lines.append(f"  To keep it: {name}.retain_grad() before backward().")
        data = None if gradient is None else gradient.to_json()
        return self._say("intermediate", lines, flowed=data)

    def _how_made(self, root: Node) -> str:
        tree = trace(self.n, self.variables, name=self.name)
        step = next((s for s in tree.steps if s.id == self.n.serial), None)
        if step is None or step.formula is None:
            return ""
        return f" ({self.name} = {step.formula.text})"

    def _delivered(self, root: Node, flow: Flow) -> Iterator[str]:
        """To which leaves the gradient of an intermediate value was passed on."""
        cts = flow.cotangents()
        below = trace(self.n, self.variables, name=self.name)
        of_root = self._result_name(root)
        of_root = of_root if type_of(root.out).size == 1 else f"(Σ{of_root})"
        for leaf in (m for m in ancestors(self.n) if m.p is None and m.pull is not None):
            g = next((g for g in below.leaves if g.id == leaf.serial), None)
            ct = cts.get(leaf)
            if g is None or ct is None:
                continue
            text = "?" if ct is LOST else show(dense(ct)).text
            if g.named:
                yield (
                    f"  It was passed on to the leaf {g.name}: d{of_root}/d{g.name} = {text}; "
                    f"read {g.name}.grad."
                )
                continue
            yield (f"  It was delivered to {g.name}, the unnamed {literal(g.value)} that no variable holds: "
                   f"d{of_root}/d{g.name} = {text}.")  # fmt: skip
            yield f"    {g.place}"
            yield (
                f"  Usual fix, give the leaf a name: {g.name} = "
                f"{literal(g.value, ', requires_grad=True')}, then use {g.name}."
            )

    def _untracked(self) -> Answer:
        name = self.name
        stop = stops.where_it_stops(self.n)
        if stop is not None:
            return self._say(
                "cut", [f"None because {name} does not carry a gradient: {stops.stop_line(stop)}"]
            )
        for leaf in (m for m in ancestors(self.n) if isinstance(m, Leaf)):
            origin = origin_of(leaf)
            if origin is not None:
                lines = [
                    f"None because {name} was computed from numbers that left their graph by {origin.how}:"
                ]
                fix = stops.way_out(origin.how)
                return self._say("cut", [*lines, f"  {origin.source}", f"  {fix}"])
        lines = [
            f"None because nothing that {name} was computed from requires a gradient ({self.n.source.place})."
        ]
        return self._say("untracked", [*lines, "  To get one: make the input with requires_grad=True."])


def _again(n: Node) -> str:
    """The call that makes a constant a leaf that gets a gradient."""
    v = n.out
    if v.__class__ is not Type and type_of(v).dtype.kind not in "fc":
        v = np.asarray(v, float)
    return literal(show(v), ", requires_grad=True")


def _json(check: Any) -> Any:
    return None if check is None else np.asarray(check).tolist()


__all__ = ["Answer", "why", "why_with"]
