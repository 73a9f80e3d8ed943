"""Graphs as text, and back: `parse(str(g)) == g`.

The form
--------
One equation per line, between the inputs and the outputs:

    { a:float64[3] b:float64[] ->
      c:float64[3] = broadcast b  shape=(3,)
      d:float64[3] = mul       a c
      e:float64[]  = sum       d  axis=(0,) keepdims=False
      -> e }

- Variables are named by position, in the order of their definition: a … z, a1 … z1, a2 … Each is written with
  its type where it is defined. An equation with several outputs lists them before the `=`.
- Constant numbers stand where they are read: `2.0` is float64, `3` is int64, `True` is bool, `(1+2j)` is
  complex128; other dtypes are written behind, as in `0.1:float32`. Floats are written by `repr`, so they are
  read back exactly; `nan`, `inf`, `-inf`.
- Constant arrays are lines of their own, before the equations: `c:float64[2] = constant [1.0, 2.0]`. Above
  `WHOLE` entries only a checksum is written, `constant 'sha256 …'`, and `parse` takes the array from its
  argument `constants`.
- Parameters are sorted by name. Values: None, True, numbers, strings, tuples, dtypes by name, and graphs.
- `as norm a axis=(0,) keepdims=False` behind an equation: its derivative is that of the norm of `a` (a
  recognised composite); its value is what the equation says.
- A sub-graph is a parameter, `body={ a:float64[] -> … }`, with names of its own.
- `#` begins a comment. Line breaks, blanks and `;` separate, and mean nothing else.

Source lines are not part of the form: `text(g, sources=True)` shows them as comments.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from chainrule.errors import ChainruleError, GraphError
from chainrule.ir.graph import Equation, Graph, Var, defined
from chainrule.ir.types import Type
from chainrule.table.composite import Reading

WHOLE = 1000  # constant arrays up to this many entries are written whole
_DEPTH = 50  # sub-graphs and tuples inside each other: far more than a program has

_PLAIN = {np.dtype(np.float64), np.dtype(np.int64), np.dtype(np.bool_), np.dtype(np.complex128)}


# --- writing -------------------------------------------------------------------------------------


def text(g: Graph, *, sources: bool = False, whole: bool = False) -> str:
    """The text of a graph.

    sources
        Show the user's line behind each equation, as a comment.
    whole
        Write large constants out, too.
    """
    return "\n".join(_lines(g, sources, whole))


def name_of(k: int) -> str:
    """Name of the variable in position k: a … z, a1 …"""
    return chr(97 + k % 26) + (str(k // 26) if k >= 26 else "")


def names(g: Graph) -> dict[Var, str]:
    """Variable → its name in the text; constant numbers are written themselves."""
    found = {v: number(c) for v, c in g.constants.items() if c.ndim == 0}
    for k, v in enumerate(defined(g)):
        found[v] = name_of(k)
    return found


def number(c: Any) -> str:
    """A constant number, with its dtype where that is not clear."""
    shown = repr(c.item()) if c.dtype.kind in "bi" or c.dtype in _PLAIN else str(c)
    return shown if c.dtype in _PLAIN else f"{shown}:{c.dtype.name}"


def checksum(a: np.ndarray) -> str:
    """Name of a large constant: of its type and bytes."""
    import hashlib

    h = hashlib.sha256(f"{a.dtype.str}{a.shape}".encode())
    h.update(np.ascontiguousarray(a).tobytes())
    return f"sha256 {h.hexdigest()[:32]}"


def large_constants(g: Graph) -> dict[str, np.ndarray]:
    """Checksum → array of the constants that `str(g)` does not write whole, those of sub-graphs too."""
    found = {checksum(c): c for c in g.constants.values() if c.size > WHOLE}
    for e in g.equations:
        for value in e.params.values():
            if value.__class__ is Graph:
                found |= large_constants(value)
    return found


def _lines(g: Graph, sources: bool, whole: bool) -> list[str]:
    name = names(g)
    rows = [_constant_row(name[v], v, c, whole) for v, c in g.constants.items() if c.ndim]
    rows += [_row(e, name, sources, whole) for e in g.equations]
    left = max((len(r[0]) for r in rows), default=0)
    middle = max((len(r[1]) for r in rows if r[1] != "constant"), default=0)
    lines = ["{ " + "".join(f"{name[v]}:{v.type} " for v in g.inputs) + "->"]
    for lhs, primitive, rest in rows:
        lines.append(f"  {lhs:<{left}} = {primitive:<{middle}} {rest}".rstrip())
    lines.append("  ->" + "".join(f" {name[v]}" for v in g.outputs) + " }")
    return lines


def _constant_row(name: str, v: Var, c: np.ndarray, whole: bool) -> tuple[str, str, str]:
    shown = str(c.tolist()) if whole or c.size <= WHOLE else repr(checksum(c))
    return f"{name}:{v.type}", "constant", shown


def _row(e: Equation, name: Mapping[Var, str], sources: bool, whole: bool) -> tuple[str, str, str]:
    lhs = " ".join(f"{name.get(v, '?')}:{v.type}" for v in e.outs)
    parts = [" ".join(name.get(v, "?") for v in e.inputs)] if e.inputs else []
    if e.params:
        parts.append(_params(e.params, sources, whole))
    if e.reading is not None:
        as_ = f"as {e.reading.name} {name.get(e.reading.x, '?')}"
        parts.append(f"{as_} {_params(e.reading.params, sources, whole)}".rstrip())
    if sources and e.source is not None:
        parts.append(f"# {e.source}")
    return lhs, e.name, "  ".join(parts)


def _params(params: Mapping[str, Any], sources: bool = False, whole: bool = False) -> str:
    return " ".join(f"{k}={_value(params[k], sources, whole)}" for k in sorted(params))


def _value(v: Any, sources: bool, whole: bool) -> str:
    if isinstance(v, Graph):
        first, *rest = _lines(v, sources, whole)
        return "\n".join([first, *("    " + line for line in rest)])
    if isinstance(v, np.dtype):
        return v.name
    if isinstance(v, tuple):
        inside = ", ".join(_value(u, sources, whole) for u in v)
        return f"({inside},)" if len(v) == 1 else f"({inside})"
    return repr(v)


def line_of(e: Equation, g: Graph) -> str:
    """One equation as text, for messages."""
    lhs, primitive, rest = _row(e, names(g), False, False)
    shown = f"{lhs} = {primitive} {rest}".rstrip()
    return shown if len(shown) <= 120 else shown[:119] + "…"


# --- reading -------------------------------------------------------------------------------------

_UNSIGNED = r"(?:\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|(?:inf|nan)(?!=))"
_TOKEN = re.compile(
    rf"""(?P<blank>[\s;]+|\#[^\n]*)
      | (?P<number>[-+]?{_UNSIGNED}(?:[-+]{_UNSIGNED}j|j)?(?![\w.]))
      | (?P<name>[A-Za-z_]\w*)
      | (?P<string>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")
      | (?P<sign>->|[{{}}()\[\],:=])""",
    re.VERBOSE,
)


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


def parse(text: str, *, constants: Mapping[str, np.ndarray] | None = None) -> Graph:
    """The graph that a text describes; types are inferred again and must agree.

    Parameters
    ----------
    text
        A text as `str(graph)` gives, see the module's docstring.
    constants
        Large constants by checksum: `large_constants(graph)`.

    Raises
    ------
    GraphError (E301)
        The text is no graph, or its types contradict each other. The message has the number of the line.

    Examples
    --------
    >>> from chainrule.ir import parse
    >>> print(parse("{ x:float64[] -> y:float64[] = mul 2.0 x -> y }"))
    { a:float64[] ->
      b:float64[] = mul 2.0 a
      -> b }
    """
    reader = _Reader(text, constants or {})
    g = reader.graph(0)
    if reader.peek().kind != "end":
        raise reader.error("the text goes on behind the graph", "end it after the outputs: -> a }")
    return g


class _Reader:
    """Recursive descent over the tokens of one text."""

    def __init__(self, text: str, constants: Mapping[str, np.ndarray]) -> None:
        self.text, self.constants, self.k = text, constants, 0
        self.tokens: list[_Token] = []
        at = 0
        while at < len(text):
            m = _TOKEN.match(text, at)
            if m is None:
                self.tokens.append(_Token("end", "", at))
                self.k = len(self.tokens) - 1
                raise self.error(
                    f"{text[at]!r} has no meaning in a graph", "see the form in chainrule.ir.text"
                )
            if m.lastgroup != "blank":
                self.tokens.append(_Token(m.lastgroup or "", m.group(), at))
            at = m.end()
        self.tokens.append(_Token("end", "", len(text)))

    # tokens

    def peek(self, ahead: int = 0) -> _Token:
        return self.tokens[min(self.k + ahead, len(self.tokens) - 1)]

    def next(self) -> _Token:
        t = self.peek()
        self.k += 1
        return t

    def take(self, wanted: str) -> bool:
        if self.peek().text != wanted or self.peek().kind == "string":
            return False
        self.k += 1
        return True

    def need(self, wanted: str) -> None:
        if not self.take(wanted):
            raise self.error(f"{wanted!r} is missing", f"write {wanted!r} here")

    def error(self, what: str, fix: str) -> GraphError:
        at = self.peek().at
        number = self.text.count("\n", 0, at) + 1
        line = (self.text.splitlines() or [""])[min(number, len(self.text.splitlines()) or 1) - 1].strip()
        shown = line if len(line) <= 100 else line[:99] + "…"
        return GraphError(f"cannot read a graph: {what}", given=f"line {number}: {shown}", fix=fix)

    # the form

    def graph(self, depth: int) -> Graph:
        if depth > _DEPTH:
            raise self.error("sub-graphs are too deep inside each other", f"at most {_DEPTH} are read")
        g = Graph()
        known: dict[str, Var] = {}
        self.need("{")
        while not self.take("->"):
            self.define(self.name(), g.input(self.type()), known)
        while not self.take("->"):
            self.equation(g, known, depth)
        while not self.take("}"):
            g.outputs.append(self.operand(g, known))
        return g

    def name(self) -> str:
        t = self.peek()
        if t.kind != "name":
            raise self.error(
                f"a name is missing before {t.text!r}" if t.text else "the text ends too early",
                "write name:type",
            )
        self.k += 1
        return t.text

    def define(self, name: str, v: Var, known: dict[str, Var]) -> None:
        if name in known:
            raise self.error(f"{name} is defined twice", "give each value a name of its own")
        known[name] = v

    def type(self) -> Type:
        """`:float64[3,4]`."""
        self.need(":")
        dtype = self.dtype()
        self.need("[")
        shape = []
        while not self.take("]"):
            shape.append(self.length())
            self.take(",")
        return Type(tuple(shape), dtype)

    def length(self) -> int:
        t = self.next()
        if not t.text.isdigit():
            self.k -= 1
            raise self.error(f"{t.text!r} is no length", "write a type as float64[3,4]")
        return int(t.text)

    def dtype(self) -> np.dtype:
        name = self.name()
        if name not in _DTYPES:
            self.k -= 1
            raise self.error(f"{name} is no dtype", "use one of " + ", ".join(_DTYPES))
        return _DTYPES[name]

    def equation(self, g: Graph, known: dict[str, Var], depth: int) -> None:
        start = self.k
        outs = []
        while not self.take("="):
            outs.append((self.name(), self.type()))
        primitive = self.name()
        if primitive == "constant" and len(outs) == 1:
            v = g.constant(self.array(outs[0][1]))
            if not v.shape:
                raise self.error("a constant number has a line of its own", "write it where it is read")
            self.define(outs[0][0], v, known)
            return
        args = []
        while self.at_operand():
            args.append(self.operand(g, known))
        params = self.params(depth)
        reading = None
        if self.take("as"):
            reading = Reading(self.name(), self.operand(g, known), self.params(depth))
        try:
            found = g.emit(primitive, *args, reading=reading, **params)
        except ChainruleError as err:
            self.k = start
            raise self.error(
                f"{err.what}" + (f" ({err.given})" if err.given else ""), err.fix or ""
            ) from None
        found = found if isinstance(found, tuple) else (found,)
        if [v.type for v in found] != [t for _, t in outs]:
            self.k = start
            types = " ".join(str(v.type) for v in found)
            raise self.error(f"{primitive} gives {types} here", f"write {types}")
        for (name, _), v in zip(outs, found, strict=True):
            self.define(name, v, known)

    def at_operand(self) -> bool:
        """Whether an operand comes, not a parameter, a reading, or the next equation."""
        t = self.peek()
        if t.kind == "name":
            return t.text != "as" and self.peek(1).text not in (":", "=")
        return t.kind == "number" or t.text == "("

    def operand(self, g: Graph, known: dict[str, Var]) -> Var:
        """A variable, or a constant number."""
        t = self.peek()
        if t.kind == "number" or t.text in ("True", "False") or t.text == "(":
            value = self.value(0)
            if isinstance(value, tuple):
                raise self.error("a tuple is no operand", "pass it as a parameter, name=(…)")
            return g.constant(value, self.dtype() if self.take(":") else None)
        name = self.name()
        if name not in known:
            self.k -= 1
            raise self.error(f"{name} is not defined before it is read", "define it above, or name an input")
        return known[name]

    def params(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self.peek().kind == "name" and self.peek(1).text == "=":
            name = self.name()
            self.need("=")
            found[name] = self.graph(depth + 1) if self.peek().text == "{" else self.value(0)
        return found

    def value(self, depth: int) -> Any:
        t = self.peek()
        if depth > _DEPTH:
            raise self.error("tuples are too deep inside each other", f"at most {_DEPTH} are read")
        if t.kind == "number":
            self.k += 1
            return _number(t.text)
        if t.kind == "string":
            self.k += 1
            return _string(t.text)
        if t.text in _WORDS:
            self.k += 1
            return _WORDS[t.text]
        if t.text == "(":
            return self.tuple(depth)
        return self.dtype()

    def tuple(self, depth: int) -> Any:
        """`(1, 2)`, `(1,)`, or a number in parentheses."""
        self.need("(")
        items, commas = [], 0
        while not self.take(")"):
            items.append(self.value(depth + 1))
            if not self.take(","):
                self.need(")")
                break
            commas += 1
        return items[0] if len(items) == 1 and not commas else tuple(items)

    def array(self, t: Type) -> np.ndarray:
        if self.peek().kind == "string":
            key = _string(self.next().text)
            if key not in self.constants:
                self.k -= 1
                fix = "pass constants=large_constants(graph), or write it with text(graph, whole=True)"
                raise self.error("a large constant is given by its checksum only", fix)
            return self.constants[key]
        items = []
        depth = 0
        while True:
            if self.take("["):
                depth += 1
            elif self.take("]"):
                depth -= 1
            elif not self.take(","):
                items.append(self.value(0))
            if not depth:
                break
        if len(items) != t.size:
            raise self.error(f"{len(items)} entries do not fill {t}", "write one number per entry")
        return np.array(items, t.dtype).reshape(t.shape)


_WORDS = {"None": None, "True": True, "False": False}
_DTYPES = {
    d.name: d
    for d in map(
        np.dtype, ("f8", "f4", "f2", "c16", "c8", "i8", "i4", "i2", "i1", "u1", "u2", "u4", "u8", "?")
    )
}


def _number(text: str) -> Any:
    if text[-1] == "j":
        return complex(text)
    return int(text) if re.fullmatch(r"[-+]?\d+", text) else float(text)


def _string(text: str) -> str:
    return text[1:-1].encode("latin-1", "backslashreplace").decode("unicode_escape")


__all__ = ["checksum", "large_constants", "line_of", "names", "parse", "text"]
