r"""Derivatives as people write them: formulas and primitives of the table as text and as LaTeX.

    >>> from chainrule.table import TABLE
    >>> local_derivative(TABLE["integer_pow"], "x", {"x": "w"}, {"x": 2.0}, {"n": 3})
    LocalDerivative(text='3*w**2', latex='3\\,w^{2}', number=12.0)

The text is an expression of Python. Nothing here states a derivative: it reads the rules of the table.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from string import Template
from typing import Any, NamedTuple

import numpy as np

from chainrule.insight.precedence import (
    ATOM,
    LOGIC,
    POWER,
    PRODUCT,
    SIGN,
    SUM,
    latex_levels,
    level_of,
    text_levels,
)
from chainrule.ir.types import type_of
from chainrule.table.formula import Apply, Const, Formula, Param, Symbol, fold, resolve
from chainrule.table.primitive import TABLE, Jvp, Partials, Primitive, partials_of
from chainrule.tape import numbers

# Constants of the table under the names that people know: value → (text, LaTeX); and those that are 1
# over one.
_NAMED = {
    2.0 / math.sqrt(math.pi): ("2/sqrt(pi)", r"\frac{2}{\sqrt{\pi}}"),
    math.log(2.0): ("log(2)", r"\ln 2"),
    math.log(10.0): ("log(10)", r"\ln 10"),
}
_RECIPROCAL = {1.0 / math.log(2.0): math.log(2.0), 1.0 / math.log(10.0): math.log(10.0)}


class LocalDerivative(NamedTuple):
    r"""∂out/∂input of one operation.

    Attributes
    ----------
    text, latex
        In symbols, e.g. ``"3*w**2"`` and ``"3\,w^{2}"``. For a linear operation of arrays the map itself,
        e.g. ``"sum(dw)"``; for one that is neither, its differential, e.g. ``"d(cumprod(w))"``.
    number
        The value: a float, an array (a slope per entry), or None where the operation mixes entries linearly.
    """

    text: str
    latex: str
    number: Any


class Printed(NamedTuple):
    """A piece of an expression, and how tightly it holds together."""

    text: str
    level: int

    def at(self, needed: int, parentheses: str = "({})") -> str:
        return self.text if self.level >= needed else parentheses.replace("{}", self.text)


def local_derivative(
    p: Primitive,
    input: str,
    names: Mapping[str, str] | None = None,
    values: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
) -> LocalDerivative:
    r"""The derivative of one operation with respect to one of its inputs, in symbols and as a number.

    Parameters
    ----------
    p
        The primitive.
    input
        Name of the input, as the table has it (``"x"``).
    names
        What the inputs are called, e.g. ``{"x": "w"}``; also ``"out"``, if the result has a name of its own.
    values
        Numbers or arrays of the inputs (and of ``"out"``), for `number`. They also decide which branch of a
        choice is shown, where all entries take the same one.
    params
        Parameters of the operation.

    Examples
    --------
    >>> from chainrule.table import TABLE
    >>> local_derivative(TABLE["log"], "x", {"x": "u"}, {"x": 4.0})
    LocalDerivative(text='1/u', latex='\\frac{1}{u}', number=0.25)
    """
    names, params = dict(names or {}), dict(params or {})
    known = _known(p, values, params)
    if not isinstance(p.rule, Partials):
        return _linear(p, input, names, known, params)
    f, env = partials_of(p)[input], _environment(p, known, params)
    shown = for_people(_without_out(p, for_people(f, env, known), names, params), env)
    number = None if known is None else _number(f, known, env)
    return LocalDerivative(text(shown, names), latex(shown, names), number)


def text(f: Formula | Primitive, names: Mapping[str, str] | None = None, **params: Any) -> str:
    """A formula, or a primitive applied to its inputs, as an expression of Python.

    Examples
    --------
    >>> from chainrule.table import TABLE
    >>> text(TABLE["mul"], {"x": "a + b", "y": "c"})
    '(a + b)*c'
    """
    return _Text(names or {}).write(_applied(f, params)).text


def latex(f: Formula | Primitive, names: Mapping[str, str] | None = None, **params: Any) -> str:
    r"""A formula, or a primitive applied to its inputs, as LaTeX.

    Examples
    --------
    >>> from chainrule.table import TABLE
    >>> latex(TABLE["div"], {"x": "a + b", "y": "c"})
    '\\frac{a + b}{c}'
    """
    return _Latex(names or {}).write(_applied(f, params)).text


def _applied(f: Formula | Primitive, params: Mapping[str, Any]) -> Formula:
    if isinstance(f, Formula):
        return for_people(f, params, None)
    return for_people(
        Apply(f.name, tuple(Symbol(i.lstrip("*")) for i in f.inputs), dict(params)), params, None
    )


# --- numbers -------------------------------------------------------------------------------------


def _known(
    p: Primitive, values: Mapping[str, Any] | None, params: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The values with `out`; None if one is missing."""
    if values is None or any(i not in values for i in p.inputs):
        return None
    known = {k: np.float64(v) if isinstance(v, float) else np.asarray(v)[()] for k, v in values.items()}
    if "out" not in known:
        with np.errstate(all="ignore"):
            known["out"] = p.value(*(known[i] for i in p.inputs), **params)
    if p.kind == "reduction" and np.ndim(known["out"]) < np.ndim(known["x"]):
        known["out"] = np.expand_dims(
            known["out"], params["axis"]
        )  # spread back over the axes by broadcasting
    return known


def _environment(p: Primitive, known: Mapping[str, Any] | None, params: Mapping[str, Any]) -> dict[str, Any]:
    env = dict(params)
    if p.kind == "reduction" and known is not None:
        axis = params["axis"]
        lengths = [np.shape(known["x"])[a] for a in ((axis,) if isinstance(axis, int) else axis)]
        env["count"] = math.prod(lengths)
    return env


def _number(f: Formula, known: Mapping[str, Any], env: Mapping[str, Any]) -> Any:
    with np.errstate(all="ignore"):
        found = np.asarray(fold(f, known, env, numbers.emit))
    return found.item() if found.ndim == 0 else found


def _linear(
    p: Primitive, input: str, names: dict[str, str], known: Mapping[str, Any] | None, params: dict[str, Any]
) -> LocalDerivative:
    """The map itself, applied to a change of the input; a number where there is only one entry."""
    name = input.lstrip("*")
    changed = {**names, name: f"d{names.get(name, name)}"}
    number = None
    if known is not None and input in known and type_of(known[input]).size == type_of(known["out"]).size == 1:
        one = np.ones_like(known[input])
        number = np.asarray(p.value(*(one if i == input else known[i] for i in p.inputs), **params)).item()
    if (
        isinstance(p.rule, Jvp) and input not in p.rule.transpose
    ):  # not linear in this input: its differential
        whole = text(p, names, **params), latex(p, names, **params)
        return LocalDerivative(f"d({whole[0]})", rf"\mathrm{{d}}\left({whole[1]}\right)", None)
    return LocalDerivative(text(p, changed, **params), latex(p, changed, **params), number)


# --- simplification ------------------------------------------------------------------------------


def _without_out(p: Primitive, f: Formula, names: Mapping[str, str], params: Mapping[str, Any]) -> Formula:
    """`out` as the operation itself, unless the result has a name."""
    if "out" in names:
        return f
    whole = Apply(p.name, tuple(map(Symbol, p.inputs)), dict(params))
    replaced: Callable[..., Any] = lambda name, *args, **params: Apply(name, args, params)
    return _rebuild(f, lambda s: whole if s.name == "out" else s, replaced)


def _rebuild(f: Formula, symbol: Callable[[Symbol], Formula], make: Callable[..., Formula]) -> Formula:
    if isinstance(f, Symbol):
        return symbol(f)
    if isinstance(f, Apply):
        return make(f.name, *(_rebuild(a, symbol, make) for a in f.args), **f.params)
    return f


def for_people(f: Formula, params: Mapping[str, Any], values: Mapping[str, Any] | None = None) -> Formula:
    """`f` as one would write it: parameters as numbers, x¹ as x, guards left out, the branch that is taken.

    Not for computing: identities are used that fail for infinite numbers.
    """
    if isinstance(f, Param):
        try:
            return Const(f.evaluate(params))
        except KeyError:
            return f
    if not isinstance(f, Apply):
        return f
    if f.name == "where":
        taken = _branch(f, params, values)
        if taken is not None:
            return for_people(taken, params, values)
    known = {**params, **resolve_known(f.params, params)}
    own = {k: known[k] for k in f.params} or (
        {k: params[k] for k in _placeholders(TABLE[f.name]) if k in params}
    )
    args = tuple(for_people(a, params, values) for a in f.args)
    if f.name == "integer_pow" and own.get("n") in (0, 1):
        return Const(1) if own["n"] == 0 else args[0]
    if f.name in ("add", "sub") and _is_zero(args[1]):
        return args[0]
    if f.name in ("mul", "div") and (_is_zero(args[0]) or (f.name == "mul" and _is_zero(args[1]))):
        return Const(0)
    if f.name == "rsqrt":
        return Apply("div", (Const(1), Apply("sqrt", args, {})), {})
    return Apply(f.name, args, own)


def resolve_known(own: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of a formula as numbers where they are known."""
    try:
        return resolve(own, params)
    except KeyError:
        return {k: Symbol(v.text) if isinstance(v, Param) else v for k, v in own.items()}


def _placeholders(p: Primitive) -> list[str]:
    found = Template(p.text + p.latex).get_identifiers()
    return [name for name in found if name not in {i.lstrip("*") for i in p.inputs}]


def _is_zero(f: Formula) -> bool:
    return isinstance(f, Const) and f.value == 0


def _branch(f: Apply, params: Mapping[str, Any], values: Mapping[str, Any] | None) -> Formula | None:
    """The branch that all entries take; without values, the one that is not merely a guard against NaN."""
    condition, x, y = f.args
    if values is None:
        guards = [isinstance(g, Const) and g.value != g.value for g in (x, y)]
        return y if guards[0] else x if guards[1] else None
    with np.errstate(all="ignore"):
        taken = np.unique(fold(condition, values, params, numbers.emit))
    return None if len(taken) != 1 else x if taken[0] else y


# --- products and sums ---------------------------------------------------------------------------


class _Product:
    """coefficient · Π base^exponent, in the order of first occurrence."""

    def __init__(self, f: Formula) -> None:
        self.coefficient, self.powers = 1.0, dict[tuple, list[Any]]()
        self._collect(f, 1)

    def _collect(self, f: Formula, sign: int) -> None:
        if isinstance(f, Const) and math.isfinite(f.value) and (f.value != 0 or sign > 0):
            self.coefficient *= f.value**sign
        elif isinstance(f, Apply) and f.name == "neg":
            self.coefficient = -self.coefficient
            self._collect(f.args[0], sign)
        elif isinstance(f, Apply) and f.name in ("mul", "div"):
            self._collect(f.args[0], sign)
            self._collect(f.args[1], sign if f.name == "mul" else -sign)
        elif isinstance(f, Apply) and f.name == "integer_pow" and isinstance(f.params.get("n"), int):
            self._raise(f.args[0], sign * f.params["n"])
        else:
            self._raise(f, sign)

    def _raise(self, base: Formula, n: int) -> None:
        self.powers.setdefault(base.key, [base, 0])[1] += n

    def parts(self) -> tuple[list[tuple[Formula, int]], list[tuple[Formula, int]]]:
        above = [(b, n) for b, n in self.powers.values() if n > 0]
        return above, [(b, -n) for b, n in self.powers.values() if n < 0]


def _terms(f: Formula, sign: int = 1) -> Iterator[tuple[int, Formula]]:
    if isinstance(f, Apply) and f.name in ("add", "sub"):
        yield from _terms(f.args[0], sign)
        yield from _terms(f.args[1], sign if f.name == "add" else -sign)
    else:
        yield sign, f


def _is_product(f: Formula) -> bool:
    return isinstance(f, Apply) and f.name in ("mul", "div", "neg", "integer_pow")


# --- text and LaTeX ------------------------------------------------------------------------------


class _Text:
    """Writes expressions of Python."""

    parentheses = "({})"

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names

    def write(self, f: Formula) -> Printed:
        if isinstance(f, Symbol):
            return self.symbol(self.names.get(f.name, f.name))
        if isinstance(f, Const):
            return self.number(f.value)
        if isinstance(f, Param):
            return self.symbol(f.text)
        assert isinstance(f, Apply)
        if f.name in ("add", "sub"):
            return self.sum(list(_terms(f)))
        if _is_product(f) and "n" not in {v.name for v in f.params.values() if isinstance(v, Symbol)}:
            return self.product(_Product(f))
        return self.indicator(f) if f.name == "cast_like" else self.template(TABLE[f.name], f)

    def indicator(self, f: Apply) -> Printed:
        return self.write(f.args[0])  # a truth value counts as 0 or 1

    def sum(self, terms: list[tuple[int, Formula]]) -> Printed:
        written = ""
        for sign, f in terms:
            shown = self.write(f)
            minus = shown.text.startswith("-") and shown.level >= PRODUCT
            body = shown.text[1:] if minus else shown.at(SUM if sign > 0 else PRODUCT, self.parentheses)
            negative = minus != (sign < 0)
            if not written:
                written = f"-{body}" if negative else body
            else:
                written += f" - {body}" if negative else f" + {body}"
        return Printed(written, SUM)

    def product(self, product: _Product) -> Printed:
        above, below = product.parts()
        c = product.coefficient
        sign, size = ("-", -c) if c < 0 or (c == 0 and math.copysign(1, c) < 0) else ("", c)
        factors, divisors = ([self.power(b, n) for b, n in part] for part in (above, below))
        if size in _RECIPROCAL:
            divisors.insert(0, self.number(_RECIPROCAL[size]))
            size = 1
        if size != 1 or not factors:
            shown = self.number(size)
            factors.insert(
                0, shown._replace(level=max(shown.level, POWER))
            )  # 2/sqrt(pi)*y needs no parentheses
        shown = self.quotient(factors, divisors)
        single = len(factors) == 1 and not divisors
        body = shown.at(POWER if single and sign else PRODUCT, self.parentheses)
        return Printed(
            sign + body, SIGN if sign and single else min(shown.level, PRODUCT) if sign else shown.level
        )

    def power(self, base: Formula, n: int) -> Printed:
        shown = self.write(base)
        return shown if n == 1 else self.raised(shown, n)

    def template(self, p: Primitive, f: Apply) -> Printed:
        own, needed = self.levels(p)
        shown: dict[str, str] = {k: self.parameter(v) for k, v in f.params.items()}
        inputs = [i.lstrip("*") for i in p.inputs]
        for name, arg in zip(inputs, f.args, strict=True):
            shown[name] = self.write(arg).at(needed.get(name, LOGIC), self.parentheses)
        return Printed(Template(self.source(p)).safe_substitute(shown).replace("$", ""), own)

    def parameter(self, v: Any) -> str:
        if isinstance(v, Symbol):
            return v.name
        if isinstance(v, np.dtype):
            return v.name
        return _spec(v) if _is_spec(v) else self.number(v).text if isinstance(v, int | float) else repr(v)

    # what differs between text and LaTeX

    def source(self, p: Primitive) -> str:
        return p.text

    def levels(self, p: Primitive) -> tuple[int, dict[str, int]]:
        return text_levels(p.text)

    def symbol(self, name: str) -> Printed:
        return Printed(name, level_of(name))

    def number(self, v: Any) -> Printed:
        if v in _NAMED:
            return Printed(_NAMED[v][0], PRODUCT if "/" in _NAMED[v][0] else POWER)
        shown = (
            str(int(v)) if not isinstance(v, complex) and v == int_or_nan(v) and abs(v) < 1e16 else repr(v)
        )
        return Printed(shown, SIGN if shown.startswith("-") else ATOM)

    def raised(self, base: Printed, n: int) -> Printed:
        return Printed(f"{base.at(ATOM)}**{n}", POWER)

    def quotient(self, above: list[Printed], below: list[Printed]) -> Printed:
        if len(above) == 1 and not below:
            return above[0]
        left, right = ("*".join(f.at(POWER) for f in part) for part in (above, below))
        if not below:
            return Printed(left, PRODUCT)
        return Printed(f"{left}/({right})" if len(below) > 1 else f"{left}/{right}", PRODUCT)


class _Latex(_Text):
    """Writes LaTeX."""

    parentheses = r"\left({}\right)"

    def source(self, p: Primitive) -> str:
        return p.latex

    def levels(self, p: Primitive) -> tuple[int, dict[str, int]]:
        return latex_levels(p.latex)

    def symbol(self, name: str) -> Printed:
        found = re.fullmatch(r"([A-Za-z]+?)_?(\d*)", name)
        if found is None:
            words = re.sub(r"[A-Za-z_]{2,}", _upright, name)
            return Printed(words.replace("**", "^").replace("*", r" \cdot "), level_of(name))
        word, digits = found.groups()
        word = word if len(word) == 1 or (word[0] == "d" and len(word) == 2) else rf"\mathrm{{{word}}}"
        return Printed(word + (f"_{{{digits}}}" if digits else ""), ATOM)

    def number(self, v: Any) -> Printed:
        if v in _NAMED:
            return Printed(_NAMED[v][1], PRODUCT if "frac" in _NAMED[v][1] else POWER)
        if isinstance(v, float) and not math.isfinite(v):
            return Printed(
                r"\mathrm{NaN}" if v != v else r"\infty" if v > 0 else r"-\infty", ATOM if v != v else SIGN
            )
        shown = super().number(v)
        found = re.fullmatch(r"(.*)e([+-]?\d+)", shown.text)
        return shown if found is None else Printed(rf"{found[1]} \cdot 10^{{{int(found[2])}}}", PRODUCT)

    def raised(self, base: Printed, n: int) -> Printed:
        return Printed(f"{base.at(ATOM, self.parentheses)}^{{{n}}}", POWER)

    def quotient(self, above: list[Printed], below: list[Printed]) -> Printed:
        if len(above) == 1 and not below:
            return above[0]
        left, right = self.joined(above), self.joined(below)
        if not below:
            return Printed(left, PRODUCT)
        return Printed(rf"\frac{{{left}}}{{{right}}}", PRODUCT)

    def indicator(self, f: Apply) -> Printed:
        return self.template(TABLE[f.name], f)

    def joined(self, factors: list[Printed]) -> str:
        if len(factors) == 1:
            return factors[0].text
        written = ""
        for f in factors:
            shown = f.at(PRODUCT if f.text.startswith("\\frac") else POWER, self.parentheses)
            written += shown if not written else (r" \cdot " if shown[0].isdigit() else r"\,") + shown
        return written


def _upright(word: re.Match[str]) -> str:
    return "\\mathrm{" + word[0].replace("_", r"\_") + "}"


def int_or_nan(v: Any) -> Any:
    """The whole part, or NaN for what has none."""
    return math.trunc(v) if math.isfinite(v) else math.nan


def _is_spec(v: Any) -> bool:
    return (
        isinstance(v, tuple)
        and bool(v)
        and all(isinstance(i, tuple) and i and isinstance(i[0], str) for i in v)
    )


def _spec(spec: Any) -> str:
    """The key of an indexing operation as it was written."""
    words = []
    for kind, *rest in spec:
        if kind == "slice":
            start, stop, step = ("" if r is None else str(r) for r in rest)
            words.append(f"{start}:{stop}" + (f":{step}" if step not in ("", "1") else ""))
        else:
            words.append(
                {"new": "None", "rest": "..."}.get(kind) or ("index" if kind == "array" else str(rest[0]))
            )
    return ", ".join(words)
