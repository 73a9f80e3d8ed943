r"""The explanation tree as LaTeX: one `aligned` display, or single formulas for tables."""

from __future__ import annotations

from chainrule.insight.notation import latex_name
from chainrule.insight.shown import Shown, factor
from chainrule.insight.trace import Given, Local, Route, Step, Trace


def display(t: Trace) -> str:
    """The steps with their derivatives, and the gradients, as LaTeX for one display."""
    rows = [f"{_head(s)} = {value(s.value)}{_locals(s)}" for s in t.steps if s.formula is not None]
    rows += [f"{derivative(t.output, g.name)} &= {gradient(g)}" for g in t.leaves if g.gradient is not None]
    return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


def _head(s: Step) -> str:
    """The equation with its alignment; of a step that is its own name, as w[0], just the name."""
    own = s.formula is not None and s.formula.text == s.name
    return f"{latex_name(s.name)} &" if own else equation(s).replace(" = ", " &= ", 1)


def equation(s: Step) -> str:
    """`u = w_{1} + c_{1}`."""
    assert s.formula is not None
    return f"{latex_name(s.name)} = {s.formula.latex}"


def derivative(above: str, below: str) -> str:
    """∂above/∂below as a fraction."""
    return rf"\frac{{\partial {latex_name(above)}}}{{\partial {latex_name(below)}}}"


def local(step: str, e: Local) -> str:
    """A local derivative in symbols and numbers."""
    body = [derivative(step, e.operand)]
    if e.formula is not None:
        body.append(e.formula.latex)
    if e.value is not None and (e.formula is None or e.formula.text != e.value.text):
        body.append(value(e.value))
    return " = ".join(body)


def gradient(g: Given) -> str:
    """What a leaf gets, as a product where there is one route."""
    assert g.gradient is not None
    body = (
        _chain(g.routes[0])
        if len(g.routes) == 1 and g.routes[0].entry is None and len(g.routes[0].locals) > 1
        else ""
    )
    return f"{body}{value(g.gradient)}"


def value(v: Shown) -> str:
    """A value: numbers as they are, arrays in brackets."""
    text = v.text if v.entries is not None else rf"\text{{{v.text}}}"
    return text.replace("…", r"\dots").replace("nan", r"\mathrm{NaN}").replace("inf", r"\infty")


def _locals(s: Step) -> str:
    return (r" &\quad " + r",\; ".join(local(s.name, e) for e in s.locals)) if s.locals else ""


def _chain(r: Route) -> str:
    return " \\cdot ".join(factor(e.value.scalar) for e in r.locals if e.value is not None) + " = "


__all__ = ["derivative", "display", "equation", "gradient", "local", "value"]
