"""Formulas of steps in three notations: Python text (it can be evaluated), text for people, LaTeX."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.insight.shown import number
from chainrule.table.formula import Const, fold
from chainrule.table.primitive import TABLE, Partials, Primitive, partials_of

_SUM, _PRODUCT, _SIGN, _POWER, _ATOM = 1, 2, 3, 4, 5
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_GREEK = "alpha beta gamma delta epsilon eta theta lambda mu nu xi rho sigma tau phi chi psi omega".split()
STYLES = ("python", "text", "latex")


class Term(NamedTuple):
    """A piece of a formula, how tightly it binds, and its number where that is known."""

    text: str
    level: int = _ATOM
    value: Any = None

    def within(self, level: int, style: str) -> str:
        """The piece as part of a larger one: in brackets where it binds less tightly than that."""
        if self.level >= level:
            return self.text
        return rf"\left({self.text}\right)" if style == "latex" else f"({self.text})"


class Formula(NamedTuple):
    """One formula in the three notations."""

    python: str
    text: str
    latex: str


def name_term(name: str, style: str) -> Term:
    """A name: `w1` is w₁ in LaTeX."""
    return Term(latex_name(name) if style == "latex" else name)


def latex_name(name: str) -> str:
    """A variable's name in LaTeX: w1 → w_{1}, alpha → \\alpha, everything else upright and escaped."""
    found = re.fullmatch(r"([A-Za-z]|" + "|".join(_GREEK) + r")_?(\d*)((?:\[[\d, :-]*\])?)", name)
    if found is None:
        escaped = re.sub(r"([\\{}_^#%&$~])", lambda m: r"\textbackslash{}" if m[1] == "\\" else "\\" + m[1], name)
        return rf"\mathrm{{{escaped}}}"
    letter, digits, index = found.groups()
    letter = "\\" + letter if letter in _GREEK else letter
    below = ",".join(filter(None, [digits, index.strip("[]")]))
    return f"{letter}_{{{below}}}" if below else letter


def value_term(v: Any, style: str) -> Term:
    """A constant: exact in Python text, six digits for people."""
    if isinstance(v, complex | np.complexfloating):
        return Term(repr(complex(v)) if style == "python" else number(v))
    text = _exact(v) if style == "python" else number(v)
    if text in ("nan", "inf", "-inf") and style == "latex":
        text = {"nan": r"\mathrm{NaN}", "inf": r"\infty", "-inf": r"-\infty"}[text]
    if style == "latex" and "e" in text and text[-1].isdigit():
        mantissa, _, exponent = text.partition("e")
        text = rf"{mantissa} \cdot 10^{{{int(exponent)}}}"
        return Term(text, _PRODUCT, v)
    return Term(text, _SIGN if text.startswith("-") else _ATOM, v)


def _exact(v: Any) -> str:
    if isinstance(v, bool | np.bool_ | int | np.integer):
        return str(int(v))
    f = float(v)
    if not np.isfinite(f):
        return f"float('{f}')"
    return str(int(f)) if f == int(f) and abs(f) < 1e6 else repr(f)


def _emitter(style: str) -> Any:
    """The domain of text: primitives on pieces. Where the numbers are known, `where` is the branch it takes."""

    def emit(name: str, *args: Any, **params: Any) -> Term:
        p = TABLE[name]
        if p.simplify is not None:
            easier = p.simplify(*args, **params)
            if easier is not None:
                return _term(easier, style)
        terms = [_term(a, style) for a in args]
        if name == "where" and terms[0].value is not None:
            return terms[1 if terms[0].value else 2]
        if name == "add" and style != "python" and "0" in (terms[0].text, terms[1].text):
            return terms[terms[0].text == "0"]  # x + 0, which the table writes for the sign of a zero
        value = _number(p, terms, params)
        if value is not None and name in ("add", "sub", "mul", "neg") and all(map(_is_constant, terms)):
            return value_term(value, style)
        return compose(p, terms, params, style)._replace(value=value)

    emit.simplifies = True  # type: ignore[attr-defined]
    return emit


def _is_constant(t: Term) -> bool:
    return re.fullmatch(r"-?[\d.]+", t.text) is not None


def _number(p: Primitive, terms: Sequence[Term], params: Mapping[str, Any]) -> Any:
    if any(t.value is None for t in terms):
        return None
    with np.errstate(all="ignore"):
        return p.value(*(np.float64(t.value) for t in terms), **params)


def _term(v: Any, style: str) -> Term:
    return v if isinstance(v, Term) else value_term(v, style)


def compose(p: Primitive, args: Sequence[Term], params: Mapping[str, Any], style: str) -> Term:
    """A primitive applied to pieces."""
    special = _SPECIAL.get(p.name)
    if special is not None:
        return special(args, params, style)
    if style == "latex":
        return _latex(p, args, params)
    return Term(_template(p.text, p, [a.text for a in args], params))


def _infix(sign: str, latex: str, level: int, text: str = "") -> Any:
    def write(args: Sequence[Term], params: Any, style: str) -> Term:
        s = {"python": f" {sign} ", "text": text or f" {sign} ", "latex": f" {latex} "}[style]
        right = level + 1 if sign in "-/" or args[1].text.startswith("-") else level
        if sign == "*" and style != "latex" and args[1].level == _PRODUCT:
            right = level + 1 if "/" in args[1].text else level
        if style == "python" and sign in "*/":
            s = sign
        return Term(args[0].within(level, style) + s + args[1].within(right, style), level)

    return write


def _divide(args: Sequence[Term], params: Any, style: str) -> Term:
    if style == "latex":
        return Term(rf"\frac{{{args[0].text}}}{{{args[1].text}}}")
    return _infix("/", "", _PRODUCT, "/")(args, params, style)


def _negate(args: Sequence[Term], params: Any, style: str) -> Term:
    return Term("-" + args[0].within(_SIGN + (args[0].level == _SIGN), style), _SIGN)


def _raise(args: Sequence[Term], params: Any, style: str) -> Term:
    exponent = args[1] if len(args) > 1 else value_term(params["n"], style)
    base = args[0].within(_ATOM, style)
    if style == "latex":
        return Term(f"{base}^{{{exponent.text}}}", _POWER)
    if style == "text" and re.fullmatch(r"-?\d+", exponent.text):
        return Term(base + exponent.text.translate(_RAISED), _POWER)
    return Term(f"{base}**{exponent.within(_ATOM, style)}", _POWER)


def _compare(sign: str, latex: str) -> Any:
    return lambda args, params, style: Term(
        f"{args[0].text} {latex if style == 'latex' else sign} {args[1].text}", 0
    )


def _index(args: Sequence[Term], params: Mapping[str, Any], style: str) -> Term:
    inside = ", ".join(_key_text(item, args[1:]) for item in params["spec"])
    base = args[0].within(_ATOM, style)
    if style == "latex":
        return Term(f"{base}_{{[{inside}]}}")
    return Term(f"{base}[{inside}]")


def _key_text(item: tuple[Any, ...], arrays: Sequence[Term]) -> str:
    if item[0] == "slice":
        start, stop, step = ("" if v is None else str(v) for v in item[1:])
        return f"{start}:{stop}" + (f":{step}" if step not in ("", "1") else "")
    if item[0] == "array":
        return arrays[item[1]].text if item[1] < len(arrays) else "…"
    return {"int": lambda: str(item[1]), "new": lambda: "None", "rest": lambda: "..."}[item[0]]()


def _cast(args: Sequence[Term], params: Mapping[str, Any], style: str) -> Term:
    name = params["dtype"].name
    return Term(rf"\mathrm{{{name}}}({args[0].text})" if style == "latex" else f"{name}({args[0].text})")


_SPECIAL: dict[str, Any] = {
    "add": _infix("+", "+", _SUM),
    "sub": _infix("-", "-", _SUM),
    "mul": _infix("*", r"\cdot", _PRODUCT, "·"),
    "div": _divide,
    "neg": _negate,
    "integer_pow": _raise,
    "pow": _raise,
    "index": _index,
    "cast": _cast,
    "dot_general": _infix("@", "", _PRODUCT),
    **{n: _compare(s, t) for n, s, t in (("eq", "==", "="), ("ne", "!=", r"\ne"), ("lt", "<", "<"),
                                         ("le", "<=", r"\le"), ("gt", ">", ">"), ("ge", ">=", r"\ge"))},
    "alias": lambda args, params, style: args[0],
}  # fmt: skip


def _template(text: str, p: Primitive, args: Sequence[str], params: Mapping[str, Any]) -> str:
    """A template of the table with its names filled in."""
    values = dict(zip(p.inputs, args, strict=False))
    if p.inputs and p.inputs[-1].startswith("*"):
        values[p.inputs[-1].lstrip("*")] = ", ".join(args[len(p.inputs) - 1 :])

    def fill(m: re.Match[str]) -> str:
        if m[1] in values:
            return values[m[1]]
        return _param(params[m[1]]) if m[1] in params else m[0]

    return re.sub(r"\$([A-Za-z_]\w*)", fill, text)


def _param(v: Any) -> str:
    if isinstance(v, float):
        return number(v)
    return str(list(v)) if isinstance(v, tuple) else str(v)


def _latex(p: Primitive, args: Sequence[Term], params: Mapping[str, Any]) -> Term:
    bare = re.search(r"(?<![({])\$[A-Za-z_]\w*(?![)}])", p.latex) is not None
    texts = [a.within(_ATOM, "latex") if bare else a.text for a in args]
    return Term(_template(p.latex, p, texts, params))


def step_formula(p: Primitive, operands: Sequence[Any], params: Mapping[str, Any]) -> Formula:
    """The formula of a step; an operand is a name (text) or a constant (number)."""
    terms = ([_operand(o, s) for o in operands] for s in STYLES)
    return Formula(*(compose(p, ts, params, s).text for ts, s in zip(terms, STYLES, strict=True)))


def _operand(o: Any, style: str) -> Term:
    return name_term(o, style) if isinstance(o, str) else value_term(o, style)


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
        Numbers behind the inputs and `out`, where they are known: a choice is then written as the branch taken.
    """
    known = values or {}
    if not isinstance(p.rule, Partials):
        return None
    f = partials_of(p).get(name)
    if f is None:
        return None
    if isinstance(f, Const):
        return Formula(*(value_term(f.value, s).text for s in STYLES))
    written = []
    for style in STYLES:
        named = [*zip(p.inputs, operands, strict=False), ("out", out)]
        terms = {i: _operand(o, style)._replace(value=known.get(i)) for i, o in named}
        env = {"count": "n", **params}
        try:
            written.append(_term(fold(f, terms, env, _emitter(style)), style).text)
        except (TypeError, KeyError):  # arithmetic on a parameter that is known only for arrays
            return None
    return Formula(*written)
