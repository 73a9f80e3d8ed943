"""Formulas of steps with the user's names, in three notations: Python, text for people, LaTeX."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.insight import formulas
from chainrule.insight.shown import number
from chainrule.ir.types import type_of
from chainrule.table.formula import Const
from chainrule.table.primitive import Custom, Partials, Primitive, partials_of

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_GREEK = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "eta",
    "theta",
    "lambda",
    "mu",
    "nu",
    "xi",
    "rho",
    "sigma",
    "tau",
    "phi",
    "chi",
    "psi",
    "omega",
]
_NAME = re.compile(r"([A-Za-z]|" + "|".join(_GREEK) + r")_?(\d*)((?:\[[\d, :-]*\])?)")


class Formula(NamedTuple):
    """One formula: `python` can be evaluated, `text` is for people (2·u, w³)."""

    python: str
    text: str
    latex: str


def pretty(python: str) -> str:
    """An expression of Python as people write it: `3*w**2` is 3·w²."""
    raised = re.sub(
        r"\*\*(?:(\d+)|\((-?\d+)\))(?![\w.])", lambda m: (m[1] or m[2]).translate(_RAISED), python
    )
    return re.sub(r"(?<!\*)\*(?!\*)", "·", raised)


def latex_name(name: str) -> str:
    """A variable's name in LaTeX: w1 → w_{1}, alpha → \\alpha, everything else upright and escaped."""
    found = _NAME.fullmatch(name)
    if found is None:
        escaped = re.sub(
            r"([\\{}_^#%&$~])", lambda m: r"\textbackslash{}" if m[1] == "\\" else "\\" + m[1], name
        )
        return rf"\mathrm{{{escaped}}}"
    letter, digits, index = found.groups()
    letter = "\\" + letter if letter in _GREEK else letter
    return (
        f"{letter}_{{{digits}}}" if digits else letter
    ) + index  # w[1] is not w_1, which is the variable w1


def _written(v: Any) -> str:
    """An operand in Python: its name, or the number itself."""
    if isinstance(v, str):
        return v
    if isinstance(v, complex | np.complexfloating):
        return repr(complex(v))
    if isinstance(v, bool | np.bool_ | int | np.integer):
        return str(int(v))
    f = float(v)
    if not np.isfinite(f):
        return f"float('{f}')"
    return str(int(f)) if f == int(f) and abs(f) < 1e6 else repr(f)


def _names(p: Primitive, operands: Sequence[Any], out: str | None = None) -> dict[str, str]:
    """Names of the inputs of a primitive; a starred input is all that are behind it."""
    texts = [_written(o) for o in operands]
    names = dict(zip(p.inputs, texts, strict=False))
    if p.inputs and p.inputs[-1].startswith("*"):
        names.pop(p.inputs[-1], None)
        names[p.inputs[-1].lstrip("*")] = ", ".join(texts[len(p.inputs) - 1 :])
    return names if out is None else {**names, "out": out}


def _three(python: str, latex: str) -> Formula:
    return Formula(python, pretty(_short_numbers(python)), latex)


def _short_numbers(text: str) -> str:
    """Long decimals with six digits."""
    return re.sub(r"(?<![\w.])\d+\.\d{6,}(?:e[-+]?\d+)?", lambda m: number(float(m[0])), text)


def step_formula(
    p: Primitive, operands: Sequence[Any], params: Mapping[str, Any], values: Sequence[Any] = ()
) -> Formula:
    """The formula of a step; an operand is a name (text) or a constant (number), `values` are what they stand for."""
    names = _names(p, operands)
    if isinstance(p.rule, Custom):
        name, inputs = params["call"].name, [_written(o) for o in operands]
        called = rf"\operatorname{{{latex_name(name)}}}\left({', '.join(map(latex_name, inputs))}\right)"
        return Formula(f"{name}({', '.join(inputs)})", f"{name}({', '.join(inputs)})", called)
    if p.name == "dot_general" and values:
        subscripts = _subscripts([len(type_of(v).shape) for v in values], params["contract"], params["batch"])
        if subscripts is not None:
            x, y = names["x"], names["y"]
            python = f"einsum('{subscripts}', {x}, {y})"
            to = subscripts.replace("->", r" \to ")
            return Formula(
                python, python, rf"\operatorname{{einsum}}_{{{to}}}({latex_name(x)}, {latex_name(y)})"
            )
    if p.name == "alias":
        return Formula(names["x"], names["x"], latex_name(names["x"]))
    return _three(formulas.text(p, names, **params), formulas.latex(p, names, **params))


def _subscripts(ndims: list[int], contract: Any, batch: Any) -> str | None:
    """The subscripts of a product for `einsum`; None where it is what `@` means."""
    nx, ny, b = *ndims, len(batch[0])
    leading = batch[0] == batch[1] == tuple(range(b))
    if contract == ((nx - 1,), (b,)) and leading and (nx == ny == b + 2 if b else ny <= 2):
        return None
    letters = iter("ijklmnopqrstuvwxyzabcdefgh")
    x = [next(letters) for _ in range(nx)]
    y = [""] * ny
    for i, j in zip(contract[0] + batch[0], contract[1] + batch[1], strict=True):
        y[j] = x[i]
    y = [c or next(letters) for c in y]
    free = [c for i, c in enumerate(x) if i not in contract[0] + batch[0]]
    free += [c for j, c in enumerate(y) if j not in contract[1] + batch[1]]
    return f"{''.join(x)},{''.join(y)}->{''.join(x[i] for i in batch[0])}{''.join(free)}"


def local_derivative(
    p: Primitive,
    name: str,
    operands: Sequence[Any],
    out: str,
    params: Mapping[str, Any],
    values: Mapping[str, Any] | None = None,
) -> Formula | None:
    """∂(step)/∂(input `name`) in symbols, from the table; None where the rule is no formula.

    operands, out
        Names (text) or constants (numbers) of the inputs, and the name of the result.
    values
        Numbers behind the inputs and `out`, where they are known: a choice is written as the branch taken.
    """
    if not isinstance(p.rule, Partials) or name not in partials_of(p):
        return None
    f = partials_of(p)[name]
    if isinstance(f, Const):
        python = _written(f.value)
        return Formula(python, number(f.value), number(f.value))
    known = values if values is not None and set(values) >= {*p.inputs, "out"} else None
    found = formulas.local_derivative(p, name, _names(p, operands, out), known, params)
    return _three(found.text, found.latex)


__all__ = ["Formula", "latex_name", "local_derivative", "pretty", "step_formula"]
