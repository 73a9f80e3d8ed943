"""Text → expression → number: what people type is read by an allow-list and never run.

    4*w + w**3  →  words with columns  →  ast.parse  →  Expression  →  the engine's operations

Between the text and the engine stands a small immutable tree that knows numbers, names, + - * / **,
the functions of one list, subscripts and lists, and nothing else.
"""

from __future__ import annotations

import ast
import difflib
import functools
import itertools
import keyword
import math
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple, TypeVar

from chainrule.errors import ChainruleError, ExpressionError

__all__ = [
    "CONSTANTS",
    "FUNCTIONS",
    "Expression",
    "Sensitivity",
    "Slope",
    "derivative",
    "parse_expression",
    "parse_point",
    "sensitivity",
]

MAX_CHARACTERS = 2000
MAX_PARTS = 500
MAX_DEPTH = 60
MAX_NAME = 40

CONSTANTS = {"pi": math.pi, "e": math.e}

# Names as torch has them; nothing else can be called.
_OF_ONE = """sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh exp expm1 log log2 log10 log1p sqrt
square abs sign floor ceil round sigmoid softplus relu erf erfc sum mean prod norm var std logsumexp"""
_OF_TWO = "maximum minimum atan2 hypot pow dot"

# Name → fewest and most arguments.
FUNCTIONS: dict[str, tuple[int, int]] = {
    **dict.fromkeys(_OF_ONE.split(), (1, 1)),
    **dict.fromkeys(_OF_TWO.split(), (2, 2)),
    **dict.fromkeys(("max", "min"), (1, 2)),
}

# What people write from habit, and what it is called here.
_ELSEWHERE = """ln=log lg=log10 tg=tan arcsin=asin arccos=acos arctan=atan arctg=atan sh=sinh ch=cosh th=tanh
arcsinh=asinh arccosh=acosh arctanh=atanh arctan2=atan2 fabs=abs sgn=sign power=pow product=prod average=mean
logistic=sigmoid expit=sigmoid"""
_KNOWN_ELSEWHERE: dict[str, str] = dict(pair.split("=") for pair in _ELSEWHERE.split())

_BINARY: dict[type, str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}
_PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2, "neg": 3, "**": 4}
_ATOM = 5

T = TypeVar("T")
_Functions = Mapping[str, Callable[..., Any]]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Expression:
    """An expression or a part of one: what it is (`op`), its arguments, and a value where the op carries one.

    ===============  =====================  ================================
    op               args                   value
    ===============  =====================  ================================
    number                                  float, finite and not negative
    name                                    str
    neg              (x,)
    + - * / ``**``   (x, y)
    call             one or two             str, a key of `FUNCTIONS`
    item             (x,)                   int, the index
    list             the entries
    ===============  =====================  ================================

    Examples
    --------
    >>> e = parse_expression("4*w+w**3")
    >>> e.names, str(e), e.pretty(), e.evaluate({"w": 1.0})
    (('w',), '4*w + w**3', '4w + w³', 5.0)
    """

    op: str
    args: tuple[Expression, ...] = ()
    value: float | int | str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The free variables in order of appearance (`pi` and `e` are constants)."""
        found = dict.fromkeys(str(x.value) for x in self.parts() if x.op == "name")
        return tuple(name for name in found if name not in CONSTANTS)

    def parts(self) -> list[Expression]:
        """Every part, left to right, arguments before what they are arguments of; itself last."""
        found: list[Expression] = []
        self.fold(lambda x, _: found.append(x))
        return found

    def fold(self, visit: Callable[[Expression, list[T]], T]) -> T:
        """`visit(part, results of its arguments)` on every part, arguments first. Not recursive."""
        return _post_order(self, lambda x: x.args, visit)

    def evaluate(self, env: Mapping[str, Any], functions: _Functions | None = None) -> Any:
        """The value where the names have the values of `env`.

        Parameters
        ----------
        env
            name → number, Tensor, or anything that `functions` take.
        functions
            name → function, for those of `FUNCTIONS` that occur; "tensor" makes an operand of a number and
            "stack" a vector of operands. Left out: chainrule's own.

        Raises
        ------
        ExpressionError (E601)
            a name has no value, or a part cannot be computed (shapes, indices); the message names the part.
        """
        chosen = _engine() if functions is None else functions
        return self.fold(lambda x, args: _compute(x, args, env, chosen))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and str(self) == str(other)  # nothing here is recursive

    def __hash__(self) -> int:
        return hash(str(self))

    def __str__(self) -> str:
        return self.fold(_as_text)[0]

    def __repr__(self) -> str:
        return f"Expression({str(self)!r})"

    def pretty(self) -> str:
        """The text as it is written by hand: ``4w − w³``."""
        return self.fold(_by_hand)[0].replace("-", "−")


def _post_order(root: Any, below: Callable[[Any], Sequence[Any]], visit: Callable[[Any, list[T]], T]) -> T:
    stack: list[tuple[Any, bool]] = [(root, False)]
    done: list[T] = []
    while stack:
        node, ready = stack.pop()
        children = below(node)
        if not ready:
            stack.append((node, True))
            stack.extend((child, False) for child in reversed(children))
            continue
        first = len(done) - len(children)
        done[first:] = [visit(node, done[first:])]
    return done.pop()


# ── text → words ────────────────────────────────────────────────────────────────────────────────────────
# Note [Words first]
# `ast.parse` alone would read correct text. Its errors, however, change with the version of Python, 10⁵
# brackets make it raise RecursionError or MemoryError, ^ is "exclusive or" to it and 4300 digits too many.
# So the text is first cut into words that know their column. Limits and the usual mistakes are found there,
# and `ast.parse` sees five operators, brackets, commas, names and floats: nothing that can surprise it.


class _Word(NamedTuple):
    kind: str  # number, name, operator, or the character itself: ( ) [ ] , ^
    text: str  # as `ast.parse` will see it
    column: int  # from 1
    typed: str


_WORD = re.compile(
    r"""(?P<space>\s+)
      | (?P<number>(?:[0-9]+(?:_[0-9]+)*\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
      | (?P<power>[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]+)
      | (?P<name>π|(?:(?![0-9⁰¹²³⁴-⁹ⁿⁱπ])\w)(?:(?![⁰¹²³⁴-⁹ⁿⁱπ])\w)*)
      | (?P<operator>\*\*|[-+*]|/(?!/))
      | (?P<bracket>[()\[\],^])
      | (?P<other>//|.)""",
    re.VERBOSE | re.DOTALL,
)
_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_SAME_AS = str.maketrans(
    {chr(c): chr(c - 0xFEE0) for c in range(0xFF01, 0xFF5F)}  # full-width forms of ASCII
    | dict.fromkeys("·⋅∙×∗•", "*")
    | dict.fromkeys("−–—‐‑", "-")
    | dict.fromkeys("÷∕⁄", "/")
)
_ADVICE = {
    "=": "leave out '='; values are given after the expression, as in  w=1",
    ".": "leave it out; parts of things, such as 'a.b', are not read",
    "//": "write floor(a/b)",
    "|": "write an absolute value as abs(w)",
    "√": "write a root as sqrt(w)",
    "!": "write a factorial as a product; there is no '!'",
    "%": "leave out '%'; there is no remainder and no per cent",
    "?": "fill the blank '?'",
    "{": "use ( and ) for grouping",
    "}": "use ( and ) for grouping",
    "ⁿ": "write a power with **, as in  w**n",
    "∞": "use finite numbers",
    **dict.fromkeys("'\"`", "leave out the quotes; text is not read, only numbers, names and functions"),
    **dict.fromkeys("<>", "leave out the comparison; maximum(a, b) and abs(w) often say the same"),
    **dict.fromkeys(":;", "write one expression; statements and slices are not read"),
}


_IN_PYTHON = "write it as a Python function and use chainrule.grad"


def _unreadable(text: str, column: int, reason: str, fix: str) -> ExpressionError:
    return ExpressionError(
        f"cannot read the expression at column {column}: {reason}", text=text, column=column, fix=fix
    )


def _words(text: str) -> list[_Word]:
    """Cut the text; every character ends up in a word, a space or an error."""
    found = []
    for match in _WORD.finditer(text.translate(_SAME_AS)):
        kind, word, column = str(match.lastgroup), match.group(), match.start() + 1
        if kind == "other":
            raise _unreadable(text, column, f"{_called(word)} has no meaning here", _advice(word))
        if kind == "power":
            found += _superscript(text, word, column)
        elif kind == "number":
            found.append(_Word(kind, _float(text, word, column), column, word))
        elif kind == "name":
            found.append(_Word(kind, _name(text, word, column), column, word))
        elif kind != "space":
            found.append(_Word(word if kind == "bracket" else kind, word, column, word))
    return found


def _called(character: str) -> str:
    if character == "'":
        return '"\'"'
    if not character.isprintable():
        return f"the character U+{ord(character):04X}"
    if character.isascii() or not (name := unicodedata.name(character, "")):
        return f"'{character}'"
    return f"'{character}' ({name.lower()})"


def _advice(character: str) -> str:
    return _ADVICE.get(character, "leave it out; what can be written is shown by  chainrule grad --help")


def _superscript(text: str, word: str, column: int) -> list[_Word]:
    """The words ** and 2 for the ² of w², and likewise for w⁻¹."""
    digits = word.translate(_SUPERSCRIPT)
    if not re.fullmatch(r"[+-]?[0-9]+", digits):
        raise _unreadable(text, column, f"'{word}' is no exponent", "write a power with **, as in  w**2")
    power = [_Word("operator", "**", column, word)]
    if digits[0] == "-":
        power.append(_Word("operator", "-", column, word))
    return [*power, _Word("number", _float(text, digits.lstrip("+-"), column), column, word)]


def _float(text: str, word: str, column: int) -> str:
    """The number as text of a float: ``9`` → ``9.0``, so that no integer arithmetic can happen anywhere."""
    value = float(word)
    shown = word if len(word) <= 20 else f"{word[:17]}..."
    if math.isinf(value):
        raise _unreadable(text, column, f"'{shown}' is too large for a float64", "use numbers below 1.8e308")
    if value == 0 and re.match("[0_.]*[1-9]", word):
        raise _unreadable(text, column, f"'{shown}' is too small for a float64", "use numbers above 1e-308")
    return repr(value)


def _name(text: str, word: str, column: int) -> str:
    """The name as Python would know it: w₁ is w1, π is pi."""
    name = "pi" if word == "π" else unicodedata.normalize("NFKC", word)
    if len(name) > MAX_NAME:
        reason = f"the name '{name[:12]}...' has {len(name)} characters"
        raise _unreadable(text, column, reason, f"use names of at most {MAX_NAME} characters")
    if keyword.iskeyword(name) or not name.isidentifier():
        what = "is a word of Python" if name.isidentifier() else "cannot be a name"
        raise _unreadable(text, column, f"'{word}' {what}", "leave it out, or use another name")
    if name in ("inf", "nan", "infinity"):
        raise _unreadable(text, column, f"'{word}' is no number to differentiate at", "use finite numbers")
    return name


# ── words in the right order ────────────────────────────────────────────────────────────────────────────

_CLOSING = {"(": ")", "[": "]"}
_OPERAND_ENDS = ("number", "name", ")", "]")
_OPERAND_STARTS = ("number", "name", "(", "[")


def _check_order(text: str, words: list[_Word]) -> None:
    """Operands and operators take turns; the first mistake becomes an error with a cure."""
    for i, word in enumerate(words):
        before = words[i - 1] if i else None
        ended = before is not None and before.kind in _OPERAND_ENDS
        calls = i + 1 < len(words) and words[i + 1].kind == "("
        if word.kind == "^":
            fix = _instead("a power is written **", words)
            raise _unreadable(text, word.column, "'^' is no operator here", fix)
        if before is not None and ended and word.kind in _OPERAND_STARTS and not _continues(before, word):
            raise _side_by_side(text, words, before, word)
        if not ended and word.kind not in _OPERAND_STARTS and word.text not in ("+", "-"):
            raise _missing(text, words, before, word)
        if word.kind == "name" and calls != (word.text in FUNCTIONS):
            raise _no_function(text, words, word) if calls else _no_variable(text, words, i)
    if words[-1].kind not in _OPERAND_ENDS:
        raise _missing(text, words, words[-1], None)


def _check_brackets(text: str, words: list[_Word]) -> None:
    """Brackets close what they open, not too deep; commas stand inside."""
    opened: list[_Word] = []
    for word in words:
        if word.kind in _CLOSING:
            opened.append(word)
            if len(opened) > MAX_DEPTH:
                raise _too_deep(text, word.column)
        elif word.kind in (")", "]"):
            if not opened or _CLOSING[opened[-1].kind] != word.kind:
                fix = f"close '{opened[-1].kind}' first" if opened else f"leave out '{word.kind}'"
                raise _unreadable(text, word.column, f"'{word.kind}' closes nothing", fix)
            opened.pop()
        elif word.kind == "," and not opened:
            fix = "write decimals with a point, as in 4.5, and a vector in brackets, as in [4, 5]"
            raise _unreadable(text, word.column, "a comma stands outside brackets", fix)
    if opened:
        start, fix = opened[-1], f"add '{_CLOSING[opened[-1].kind]}'"
        raise _unreadable(text, start.column, f"'{start.kind}' is never closed", fix)


def _continues(before: _Word, word: _Word) -> bool:
    """sin( and w[ go on with what stands before them."""
    return (word.kind == "(" and before.kind == "name") or (word.kind == "[" and before.kind != "number")


def _side_by_side(text: str, words: list[_Word], before: _Word, word: _Word) -> ExpressionError:
    if before.kind == "name" and before.text in FUNCTIONS:
        return _no_variable(text, words, words.index(before))
    if before.kind == word.kind == "number":
        return _unreadable(text, word.column, "two numbers side by side", "put an operator between them")
    return _unreadable(text, word.column, "an operator is missing", _instead("a product is written *", words))


def _missing(text: str, words: list[_Word], before: _Word | None, word: _Word | None) -> ExpressionError:
    where = f"after '{before.typed}'" if before else f"before '{words[0].typed}'"
    column = word.column if word else len(text.rstrip()) + 1
    fix = "write a number, a name or a function there"
    return _unreadable(text, column, f"something is missing {where}", fix)


def _no_function(text: str, words: list[_Word], word: _Word) -> ExpressionError:
    """f(…) where f is no function: another name for one, a typing mistake, or a product."""
    near = difflib.get_close_matches(word.text.lower(), FUNCTIONS, 1)
    name = _KNOWN_ELSEWHERE.get(word.text, near[0] if near else None)
    fix = "use one of the functions listed by  chainrule grad --help"
    if name is not None:
        fix = f"did you mean '{name}'?"
    elif len(word.text) <= 2:
        fix = _instead("a product is written *", words)
    return _unreadable(text, word.column, f"there is no function '{word.text}'", fix)


def _no_variable(text: str, words: list[_Word], at: int) -> ExpressionError:
    name, argument = words[at].text, words[at + 1] if at + 1 < len(words) else None
    shown = argument.text if argument and argument.kind == "name" else "w"
    fix = f"give it an argument: {name}({shown})"
    return _unreadable(text, words[at].column, f"'{name}' is a function", fix)


def _too_deep(text: str, column: int) -> ExpressionError:
    reason = f"more than {MAX_DEPTH} levels inside each other"
    return _unreadable(text, column, reason, _IN_PYTHON)


def _instead(rule: str, words: list[_Word]) -> str:
    """The rule, with the whole expression as it was probably meant, if that can be read."""
    try:
        meant = _read(_repaired(words))
    except ExpressionError:
        return rule
    return f"{rule}; did you mean  {meant}  ?"


def _repaired(words: list[_Word]) -> str:
    """With ** for ^ and *^, and * where it was left out."""
    text = ""
    for i, word in enumerate(words):
        before = words[i - 1] if i else _Word("(", "(", 0, "(")
        call = word.kind == "(" and before.kind == "name" and before.text in FUNCTIONS
        joined = call or (word.kind == "[" and before.kind != "number") or before.kind not in _OPERAND_ENDS
        if word.kind in _OPERAND_STARTS and not joined:
            text += "*"
        text = text.removesuffix(" * ") if word.kind == "^" else text
        text += " ** " if word.kind == "^" else f" {word.text} "
    return text


# ── words → tree ────────────────────────────────────────────────────────────────────────────────────────


def parse_expression(text: str) -> Expression:
    """Read an expression such as ``4*w + w**3``; it is never run.

    Parameters
    ----------
    text
        Numbers, names, ``+ - * / **``, brackets, the functions of `FUNCTIONS` under torch's names, ``pi``
        and ``e``, ``[a, b]`` for a vector and ``w[0]`` for an entry. ``w²``, ``·``, ``×``, ``−``, ``π`` and
        ``w₁`` are read too. At most 2000 characters, 500 parts and 60 levels.

    Raises
    ------
    ExpressionError (E601)
        The text cannot be read; with the column and, where it is clear, what was meant.

    Cost
    ----
    About 5 µs per character.

    Examples
    --------
    >>> parse_expression("4*w + w³").names
    ('w',)
    """
    if not isinstance(text, str):
        raise ExpressionError(f"an expression is text, not '{type(text).__name__}'", fix='write "4*w + w**3"')
    if len(text) > MAX_CHARACTERS:
        what = f"the expression has {len(text)} characters, more than {MAX_CHARACTERS}"
        raise ExpressionError(what, text=text[:80], fix=_IN_PYTHON)
    return _read(text)


def _read(text: str) -> Expression:
    words = _words(text)
    if not words:
        raise ExpressionError("the expression is empty", fix='write one, such as "4*w + w**3"')
    parts = sum(word.kind in ("number", "name", "operator") for word in words)
    if parts > MAX_PARTS:
        what = f"the expression has {parts} numbers, names and operators, more than {MAX_PARTS}"
        raise ExpressionError(what, text=text, fix=_IN_PYTHON)
    _check_order(text, words)
    _check_brackets(text, words)
    return _tree(text, words)


def _tree(text: str, words: list[_Word]) -> Expression:
    source = " ".join(word.text for word in words)
    ends = list(itertools.accumulate(len(word.text.encode()) + 1 for word in words))

    def column(node: ast.AST) -> int:
        return words[bisect_right(ends, node.col_offset)].column if hasattr(node, "col_offset") else 1

    try:
        root = ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ExpressionError("cannot read the expression", text=text, fix=_IN_PYTHON) from None

    def below(node: ast.AST) -> list[ast.expr]:
        return _below(text, node, column(node))

    tree = _post_order(root, below, lambda node, args: _part(text, node, args, column))
    if tree.fold(_depth) > MAX_DEPTH:
        raise _too_deep(text, words[-1].column)
    return tree


def _below(text: str, node: ast.AST, column: int) -> list[ast.expr]:
    """The parts of a node of `ast`, for the types on the allow-list; any other type ends here."""
    match node:
        case ast.Constant(value=float()) | ast.Name():
            return []
        case ast.BinOp(op=op) if type(op) in _BINARY:
            return [node.left, node.right]
        case ast.UnaryOp(op=ast.UAdd() | ast.USub()):
            return [node.operand]
        case ast.Call(func=ast.Name(), keywords=[]):
            return node.args
        case ast.Subscript():
            return [node.value]
        case ast.Tuple() | ast.List():
            return node.elts
    fix = "use numbers, names, + - * / ** and functions"
    raise _unreadable(text, column, "this is no part of an expression", fix)


def _part(text: str, node: ast.AST, args: list[Expression], column: Callable[[ast.AST], int]) -> Expression:
    match node:
        case ast.Constant(value=float() as value):
            return Expression("number", value=value)
        case ast.Name(id=name):
            return Expression("name", value=name)
        case ast.BinOp(op=op):
            return Expression(_BINARY[type(op)], tuple(args))
        case ast.UnaryOp(op=op):
            return Expression("neg", tuple(args)) if isinstance(op, ast.USub) else args[0]
        case ast.Call(func=ast.Name(id=name)):
            _check_arguments(text, name, len(args), column(node))
            return Expression("call", tuple(args), name)
        case ast.Subscript(slice=at):
            return Expression("item", tuple(args), _index(text, at, column(at)))
    return Expression("list", tuple(args))


def _check_arguments(text: str, name: str, given: int, column: int) -> None:
    fewest, most = FUNCTIONS[name]
    if fewest <= given <= most:
        return
    takes = f"{fewest} or {most} arguments" if fewest < most else f"{most} argument{'s' * (most > 1)}"
    more = given > most and most < 2
    fix = f"give a vector: {name}([a, b])" if more else f"write {name}({', '.join('ab'[:most])})"
    raise _unreadable(text, column, f"'{name}' takes {takes}, not {given}", fix)


def _index(text: str, at: ast.AST, column: int) -> int:
    match at:
        case ast.Constant(value=float() as value) if value.is_integer() and value < 2**31:
            return int(value)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=float() as value)) if value.is_integer():
            return -int(min(value, 2.0**31))
    fix = "write w[0] for the first entry, w[-1] for the last"
    raise _unreadable(text, column, "an index is one whole number", fix)


def _depth(x: Expression, args: list[int]) -> int:
    """Levels inside each other; a long sum or product is one level, however many terms it has."""
    if x.op in _PRECEDENCE and len(args) == 2 and x.op != "**":
        return max(args[0], args[1] + 1)
    return 1 + max(args, default=0)


# ── tree → text ─────────────────────────────────────────────────────────────────────────────────────────

_Printed = tuple[str, int]  # text, precedence


def _wrap(printed: _Printed, at_least: int) -> str:
    text, precedence = printed
    return text if precedence >= at_least else f"({text})"


def _number(value: float) -> str:
    return repr(value).removesuffix(".0")


def _as_text(x: Expression, args: list[_Printed]) -> _Printed:
    """Text that parses back to the same tree."""
    inside = ", ".join(text for text, _ in args)
    match x.op:
        case "number":
            return _number(float(x.value or 0)), _ATOM
        case "name":
            return str(x.value), _ATOM
        case "list":
            return f"[{inside}]", _ATOM
        case "call":
            return f"{x.value}({inside})", _ATOM
        case "item":
            needed = _ATOM + (x.args[0].op == "number")  # 2[0] reads as a product
            return f"{_wrap(args[0], needed)}[{x.value}]", _ATOM
        case "neg":
            return "-" + _wrap(args[0], _PRECEDENCE["**"]), _PRECEDENCE["neg"]
    left, right = _operands(x, args)
    return (f"{left} {x.op} {right}" if x.op in "+-" else f"{left}{x.op}{right}"), _PRECEDENCE[x.op]


def _operands(x: Expression, args: list[_Printed]) -> tuple[str, str]:
    """Both sides with the brackets they need: a - (b - c), (a**b)**c, a*(-b)."""
    rank = _PRECEDENCE[x.op]
    to_right = x.op == "**"
    right = _ATOM if x.args[1].op == "neg" else rank + (not to_right)
    return _wrap(args[0], rank + to_right), _wrap(args[1], right)


def _by_hand(x: Expression, args: list[_Printed]) -> _Printed:
    """Text as on paper: 4w, w³, 2(w + 1), |w|, √w; for reading only."""
    if x.op == "name" and x.value == "pi":
        return "π", _ATOM
    if x.op == "call" and x.value in ("abs", "norm"):
        bar = "|" if x.value == "abs" else "‖"
        return f"{bar}{args[0][0]}{bar}", _ATOM
    if x.op == "call" and x.value == "sqrt":
        plain = x.args[0].op in ("number", "name") or args[0][0][0] in "|‖"
        return "√" + (args[0][0] if plain else f"({args[0][0]})"), _ATOM
    if x.op == "**" and (exponent := _whole(x.args[1])) is not None:
        return _wrap(args[0], _ATOM) + str(exponent).translate(_RAISED), _PRECEDENCE["**"]
    if x.op == "number":
        text = _number(float(x.value or 0))
        return (text if len(text) <= 12 else f"{x.value:.6g}"), _ATOM
    if x.op == "*":
        left, right = _operands(x, args)
        first = x.args[0].args[0] if x.args[0].op == "neg" else x.args[0]
        beside = first.op == "number" and not re.match(r"[0-9.]|[eE][0-9]", right)
        return f"{left}{'' if beside else '·'}{right}", _PRECEDENCE["*"]
    return _as_text(x, args)


def _whole(x: Expression) -> int | None:
    """The whole number that an exponent is, if it is one."""
    sign, number = (-1, x.args[0]) if x.op == "neg" else (1, x)
    value = number.value if number.op == "number" else None
    return sign * int(value) if isinstance(value, float) and value.is_integer() and value < 100 else None


# ── tree → number ───────────────────────────────────────────────────────────────────────────────────────


@functools.cache
def _engine() -> _Functions:
    import chainrule as cr
    from chainrule.ops import elementwise

    own = {name: getattr(cr, name) for name in FUNCTIONS if hasattr(cr, name)}
    return own | {
        "tensor": cr.tensor,
        "stack": cr.stack,
        "round": elementwise.round_,
        "softplus": elementwise.softplus,  # torch has it in nn.functional only
        "max": lambda x, *y: cr.maximum(x, *y) if y else cr.max(x),
        "min": lambda x, *y: cr.minimum(x, *y) if y else cr.min(x),
        "logsumexp": lambda x: cr.logsumexp(x, 0),
    }


def _compute(x: Expression, args: list[Any], env: Mapping[str, Any], functions: _Functions) -> Any:
    """One part. Operations on numbers alone are the engine's too: Python's own integers may hang."""
    match x.op:
        case "number":
            return x.value
        case "name":
            return _look_up(str(x.value), env, functions)
        case "neg" if isinstance(args[0], float):
            return -args[0]
        case "item" if isinstance(args[0], float):
            raise ExpressionError(f"'{x.args[0]}' is one number and has no entries", fix="leave out [ ]")
    constant = all(isinstance(a, float) for a in args) and x.op != "list"
    try:
        value = _apply(x, [functions["tensor"](a) for a in args] if constant else args, functions)
    except ChainruleError as err:
        raise ExpressionError(f"'{_short(x)}' cannot be computed: {err.what}", fix=err.fix) from None
    return value.item() if constant and hasattr(value, "item") else value


def _apply(x: Expression, args: list[Any], functions: _Functions) -> Any:
    match x.op:
        case "+":
            return args[0] + args[1]
        case "-":
            return args[0] - args[1]
        case "*":
            return args[0] * args[1]
        case "/":
            return args[0] / args[1]
        case "**":
            return args[0] ** args[1]
        case "neg":
            return -args[0]
        case "item":
            return args[0][x.value]
        case "list":
            return functions["stack"]([functions["tensor"](a) if isinstance(a, float) else a for a in args])
    return functions[str(x.value)](*args)


def _look_up(name: str, env: Mapping[str, Any], functions: _Functions) -> Any:
    if name in env:
        value = env[name]
        if isinstance(value, list):
            return functions["tensor"](value)
        return float(value) if isinstance(value, int) else value
    if name in CONSTANTS:
        return CONSTANTS[name]
    raise ExpressionError(f"'{name}' has no value", fix=f"give it one, as in  {name}=1")


def _short(x: Expression) -> str:
    text = str(x)
    return text if len(text) <= 40 else f"{text[:39]}…"


# ── the point ───────────────────────────────────────────────────────────────────────────────────────────


def parse_point(items: Sequence[str], names: Sequence[str] | None = None) -> dict[str, float | list[float]]:
    """Read values such as ``["w=1", "b=-2.5", "x=[1, 2]"]``.

    Parameters
    ----------
    items
        One ``name=value`` each; a value is a number, a vector of numbers in [ ], or an expression of numbers
        (``w=pi/2``).
    names
        The names that must be given, all of them and no others; left out: not checked.

    Raises
    ------
    ExpressionError (E601)
        An item cannot be read, or a name is given twice, missing, or not asked for.

    Examples
    --------
    >>> parse_point(["w=1", "x=[1, 2.5]"])
    {'w': 1.0, 'x': [1.0, 2.5]}
    """
    point: dict[str, float | list[float]] = {}
    for item in items:
        name, value = _assignment(item, names)
        if name in point:
            raise ExpressionError(f"'{name}' is given twice", text=" ".join(items), fix="give it one value")
        point[name] = value
    if names is not None:
        _check_names(point, names)
    return point


def _assignment(item: str, names: Sequence[str] | None) -> tuple[str, float | list[float]]:
    left, equals, right = item.partition("=")
    example = (names or ["w"])[0]
    if not equals:
        fix = f"write name=value without spaces, as in  {example}=1, and put the expression in quotes"
        raise ExpressionError(f"'{item}' gives no value to a name", fix=fix)
    words = _words(left)
    if len(words) != 1 or words[0].kind != "name" or words[0].text in FUNCTIONS:
        what = f"'{left.strip()}' is no name for a value"
        raise ExpressionError(what, text=item, fix=f"write  {example}=1")
    name = words[0].text
    if name in CONSTANTS:
        what = f"'{name}' always is {CONSTANTS[name]:.6g} and takes no value"
        raise ExpressionError(what, text=item, fix="use another name in the expression")
    if not right.strip():
        raise ExpressionError(f"'{name}' has no value", text=item, fix=f"write  {name}=1")
    return name, _value(name, parse_expression(right))


def _value(name: str, x: Expression) -> float | list[float]:
    if x.names:
        what = f"the value of '{name}' depends on '{x.names[0]}'"
        raise ExpressionError(what, text=f"{name}={x}", fix=f"write a number, as in  {name}=1")
    if x.op != "list":
        return _finite(name, x)
    if not x.args or any(entry.op == "list" for entry in x.args):
        fix = f"write a vector of numbers, as in  {name}=[1,2]"
        raise ExpressionError(f"'{name}' is neither a number nor a vector", text=f"{name}={x}", fix=fix)
    return [_finite(name, entry) for entry in x.args]


def _finite(name: str, x: Expression) -> float:
    plain = x.op == "number" or (x.op == "neg" and x.args[0].op == "number")
    value = float(str(x)) if plain else x.evaluate({})  # the engine is not loaded for w=-1.5
    if not isinstance(value, float):
        raise ExpressionError(f"'{x}' is not one number", text=f"{name}={x}", fix=f"write  {name}=1")
    if not math.isfinite(value):
        raise ExpressionError(f"'{x}' is {value}", text=f"{name}={x}", fix="give a finite number")
    return value


def _check_names(point: Mapping[str, Any], names: Sequence[str]) -> None:
    for name in names:
        if name not in point:
            raise ExpressionError(f"'{name}' has no value", fix=f"add one at the end, as in  {name}=1")
    for name in point:
        if name not in names:
            known = ", ".join(f"'{n}'" for n in names) or "no names"
            what = f"'{name}' does not occur in the expression, which has {known}"
            raise ExpressionError(what, fix=f"leave out {name}=…")


# ── derivative ──────────────────────────────────────────────────────────────────────────────────────────
# Note [Formulas of the table]
# The local derivatives are those of the table, run on expressions instead of numbers, so the formula that is
# shown and the number that the engine gives have one source. Stated here are only the three linear functions
# whose table entry is a transpose, not a formula: sum, mean and dot. Guards of single points (x = 0) and of
# points outside the domain are left out: a formula for reading is for the places between.

_LONGEST_LIST = 8
_PRIMITIVES = {"+": "add", "-": "sub", "*": "mul", "/": "div", "**": "pow"}
_REDUCTIONS = ("sum", "mean", "prod", "norm", "var", "std", "logsumexp", "dot", "max", "min")
_Coefficient = Fraction | float
_Factors = dict[Expression, _Coefficient]  # base → exponent, in order of appearance


def derivative(expression: Expression, name: str, lengths: Mapping[str, int] | None = None) -> Expression:
    """∂expression/∂name, simplified, as an expression in the same names.

    Parameters
    ----------
    expression
        With one number as its value.
    name
        The variable; one that does not occur has the derivative 0.
    lengths
        Number of entries of the names that are vectors; the others are numbers. For a vector, the result is
        the vector of the derivatives, or one expression where it is the same in each entry.

    Raises
    ------
    ExpressionError (E601)
        No formula without cases exists (``relu``, ``max``), or it would be too long to read.

    Cost
    ----
    Grows with the square of the number of parts; 500 parts take less than a second.

    Examples
    --------
    >>> str(derivative(parse_expression("4*w + w**3"), "w"))
    '4 + 3*w**2'
    """
    lengths = lengths or {}
    if _length(expression, lengths) is not None:
        what = f"'{_short(expression)}' has several values, so it has several derivatives"
        raise ExpressionError(what, fix="take one entry, or the sum")
    try:
        result = _walk_back(expression, name, lengths)
    except OverflowError:
        raise _out_of_range() from None
    if len(result.parts()) > MAX_PARTS:
        raise _too_long(name)
    return result


def _too_long(name: str) -> ExpressionError:
    return ExpressionError(f"the derivative in '{name}' is too long to read", fix="read its number")


def _out_of_range() -> ExpressionError:
    return ExpressionError("a constant of the derivative leaves the range of float64", fix="rescale")


def _walk_back(expression: Expression, name: str, lengths: Mapping[str, int]) -> Expression:
    """Reverse mode on expressions: cotangents from the root to each place where the name stands."""
    dependent: set[int] = set()

    def visit(x: Expression, args: list[bool]) -> bool:
        depends = any(args) or (x.op == "name" and x.value == name)
        if depends:
            dependent.add(id(x))
        return depends

    expression.fold(visit)
    found: list[tuple[int | None, Expression]] = []
    waiting: list[tuple[Expression, Expression, int | None]] = [(expression, _constant(1), None)]
    size = 0
    while waiting:
        part, ct, at = waiting.pop()
        if part.op == "name" and part.value == name:
            found.append((at, ct))
            size += len(ct.parts())
            if size > 10 * MAX_PARTS:
                raise _too_long(name)
        elif id(part) in dependent:
            waiting.extend(reversed(list(_to_arguments(part, dependent, ct, at, lengths))))
    return _collect(found, lengths.get(name), lengths)


def _collect(
    found: list[tuple[int | None, Expression]], length: int | None, lengths: Mapping[str, int]
) -> Expression:
    whole = _sum(ct for at, ct in found if at is None)
    single = any(at is not None for at, _ in found)
    if length is None or (not single and _length(whole, lengths) is not None):
        return whole
    if length > _LONGEST_LIST:
        if single:
            raise ExpressionError(
                f"the derivative has {length} entries of their own", fix="use fewer entries"
            )
        return whole
    entries = (_sum([_entry(whole, i, lengths), *(ct for at, ct in found if at == i)]) for i in range(length))
    return Expression("list", tuple(entries))


def _to_arguments(
    part: Expression, dependent: set[int], ct: Expression, at: int | None, lengths: Mapping[str, int]
) -> Iterator[tuple[Expression, Expression, int | None]]:
    """Each dependent argument with its cotangent; `at`: only this entry of `part` has one."""
    if part.op == "item":
        n = _length(part.args[0], lengths) or 0
        yield part.args[0], ct, int(part.value or 0) % max(n, 1)
        return
    for i, x in enumerate(part.args):
        if id(x) not in dependent:
            continue
        if part.op == "list":
            if at in (None, i):
                yield x, ct if at is not None else _entry(ct, i, lengths), None
            continue
        local, single = _local(part, i, lengths), _length(x, lengths) is None
        if at is not None:
            yield x, _product([ct, _entry(local, at, lengths)]), None if single else at
            continue
        ct_x, count = _product([ct, local]), _length(part, lengths)
        yield x, _added_up(ct_x, count, lengths) if count is not None and single else ct_x, None


def _local(part: Expression, i: int, lengths: Mapping[str, int]) -> Expression:
    """∂part/∂(its i-th argument)."""
    from chainrule.table import TABLE
    from chainrule.table.formula import fold
    from chainrule.table.primitive import Partials, partials_of

    x, n = part.args[i], _length(part.args[i], lengths)
    match part.value if part.op == "call" else part.op:
        case "sum":
            return _constant(1)
        case "mean":
            return _constant(Fraction(1, n or 1))
        case "dot":
            return part.args[1 - i]
        case "square":
            return _product([_constant(2), x])
        case function:
            p = TABLE.get(_PRIMITIVES.get(str(function), str(function)))
    if p is None or not isinstance(p.rule, Partials) or p.name == "prod":
        raise _no_formula(part)
    values: dict[str, Any] = dict(zip(p.inputs, part.args, strict=True)) | {"out": part}
    params = {"axis": (0,), "count": n or 1, "correction": 1}
    found = fold(partials_of(p)[p.inputs[i]], values, params, functools.partial(_emit, part))
    return _as_expression(found, part)


def _no_formula(part: Expression) -> ExpressionError:
    what = f"the derivative of '{_short(part)}' has no short formula"
    return ExpressionError(what, fix="read its number")


def _as_expression(value: Any, part: Expression) -> Expression:
    if isinstance(value, Expression):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _no_formula(part)
    return _constant(value)


_CASES = object()  # stands for what has no formula without cases


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _emit(part: Expression, primitive: str, *args: Any, **params: Any) -> Any:
    """A primitive of a formula, on expressions. A condition is True if it holds at single points only."""
    match primitive:
        case "eq":
            return True
        case "logical_and":
            return args[0] is True or args[1] is True
        case "lt" | "le" | "gt" | "ge" | "logical_or":
            return False
        case "where":
            return args[2] if args[0] is True or _is_nan(args[1]) else args[1] if _is_nan(args[2]) else _CASES
    if any(a is _CASES for a in args):
        return _CASES
    x, *rest = (_as_expression(a, part) for a in args)
    match primitive:
        case "add":
            return _sum([x, *rest])
        case "sub":
            return _sum([x, _product([_constant(-1), *rest])])
        case "neg":
            return _product([_constant(-1), x])
        case "mul":
            return _product([x, *rest])
        case "div":
            return _product([x], below=rest)
        case "integer_pow" | "pow":
            return _power(x, rest[0] if rest else _constant(params["n"]))
        case "sech2":
            return _power(Expression("call", (x,), "cosh"), _constant(-2))
        case "softmax":
            shift = _product([_constant(-1), Expression("call", (x,), "logsumexp")])
            return Expression("call", (_sum([x, shift]),), "exp")
    if primitive not in FUNCTIONS or primitive == "sum":
        return _CASES
    return Expression("call", (x, *rest), primitive)


def _length(x: Expression, lengths: Mapping[str, int]) -> int | None:
    """Number of entries; None for a number."""

    def visit(x: Expression, args: list[int | None]) -> int | None:
        if x.op == "name":
            return lengths.get(str(x.value))
        if x.op == "list":
            if any(n is not None for n in args):
                raise ExpressionError(f"'{_short(x)}' is a matrix", fix="use vectors")
            return len(args)
        if x.op == "item" or (
            x.op == "call" and x.value in _REDUCTIONS and len(x.args) <= FUNCTIONS[x.value][0]
        ):
            return None
        return next((n for n in args if n is not None), None)

    return x.fold(visit)


def _entry(x: Expression, i: int, lengths: Mapping[str, int]) -> Expression:
    """Entry i of a vector, carried to the names and lists in it: (2*w)[1] → 2*w[1]. Numbers stay."""

    def visit(x: Expression, args: list[Expression]) -> Expression:
        if _length(x, lengths) is None:
            return x
        if x.op == "list":
            return x.args[i]
        return Expression("item", (x,), i) if x.op == "name" else Expression(x.op, tuple(args), x.value)

    return x.fold(visit)


def _added_up(x: Expression, n: int, lengths: Mapping[str, int]) -> Expression:
    """Σ over the n entries of x; what is the same in each entry stands before the sum."""
    coefficient, factors = _factors(x)
    inside = {b: k for b, k in factors.items() if _length(b, lengths) is not None}
    outside = {b: k for b, k in factors.items() if b not in inside}
    if not inside:
        return _product([_constant(n), x])
    return _product(
        [_rebuild(coefficient, outside), Expression("call", (_rebuild(Fraction(1), inside),), "sum")]
    )


# ── simplification: sums of products of powers ──────────────────────────────────────────────────────────


def _constant(value: _Coefficient) -> Expression:
    if isinstance(value, Fraction) and value.denominator != 1:
        top = _constant(Fraction(value.numerator))
        return Expression("/", (top, Expression("number", value=float(value.denominator))))
    if not math.isfinite(value):
        raise _out_of_range()
    number = Expression("number", value=abs(float(value)))
    return Expression("neg", (number,)) if value < 0 else number


def _exact(value: float) -> _Coefficient:
    """Whole numbers as fractions, so that 1/3 stays 1/3; others as they are."""
    return Fraction(value) if value.is_integer() and abs(value) < 2**53 else value


def _factors(x: Expression) -> tuple[_Coefficient, _Factors]:
    """x as coefficient · Π base**exponent."""
    coefficient: _Coefficient = Fraction(1)
    factors: _Factors = {}
    waiting: list[tuple[Expression, _Coefficient]] = [(x, Fraction(1))]
    while waiting:
        part, k = waiting.pop()
        if part.op == "number" and (value := _number_power(float(part.value or 0), k)) is not None:
            coefficient = _times(coefficient, value)
        elif part.op == "neg" and k % 2 in (0, 1):
            coefficient = -coefficient if k % 2 else coefficient
            waiting.append((part.args[0], k))
        elif part.op in ("*", "/") and k % 1 == 0:
            waiting += [(part.args[1], k if part.op == "*" else -k), (part.args[0], k)]
        elif part.op == "**" and k % 1 == 0 and (exponent := _pure_number(part.args[1])) is not None:
            waiting.append((part.args[0], _times(exponent, k)))
        else:
            factors[part] = factors.get(part, Fraction(0)) + k
    return coefficient, {base: k for base, k in factors.items() if k != 0}


def _times(a: _Coefficient, b: _Coefficient) -> _Coefficient:
    return a * b if type(a) is type(b) else float(a) * float(b)


def _number_power(value: float, k: _Coefficient) -> _Coefficient | None:
    """value**k, or None where that is no finite real number."""
    exact = _exact(value)
    if k == 1:
        return exact
    try:
        power = exact**k if isinstance(exact, Fraction) and k % 1 == 0 and abs(k) <= 8 else value ** float(k)
    except (ArithmeticError, ValueError):
        return None
    return power if math.isfinite(power) else None


def _pure_number(x: Expression) -> _Coefficient | None:
    coefficient, factors = _factors(x)
    return None if factors else coefficient


def _product(xs: Iterable[Expression], *, below: Iterable[Expression] = ()) -> Expression:
    """Π xs / Π below, with equal bases joined."""
    coefficient: _Coefficient = Fraction(1)
    factors: _Factors = {}
    for x in [*xs, *(Expression("/", (_constant(1), x)) for x in below)]:
        c, fs = _factors(x)
        coefficient = _times(coefficient, c)
        for base, exponent in fs.items():
            factors[base] = factors.get(base, Fraction(0)) + exponent
    return _rebuild(coefficient, {base: k for base, k in factors.items() if k != 0})


def _power(x: Expression, exponent: Expression) -> Expression:
    k = _pure_number(exponent)
    if k is None:
        return Expression("**", (x, exponent))
    return _constant(1) if k == 0 else _product([x if k == 1 else Expression("**", (x, _constant(k)))])


def _rebuild(coefficient: _Coefficient, factors: _Factors) -> Expression:
    """The product as a tree: number, names, brackets, functions; negative powers under a fraction bar."""
    if coefficient == 0:
        return _constant(0)
    below = {base: -k for base, k in factors.items() if k < 0}
    if isinstance(coefficient, float) and below and (1 / coefficient).is_integer():
        coefficient = 1 / Fraction(int(1 / coefficient))
    top, bottom = _ratio(abs(coefficient))
    over = [_raised(base, k) for base, k in sorted(factors.items(), key=_rank) if k > 0]
    under = [_raised(base, k) for base, k in sorted(below.items(), key=_rank)]
    over = ([_constant(top)] if top != 1 or not over else []) + over
    under = ([_constant(bottom)] if bottom != 1 else []) + under
    if coefficient < 0:
        over[0] = Expression("neg", (over[0],))
    product = functools.reduce(lambda a, b: Expression("*", (a, b)), over)
    if not under:
        return product
    return Expression("/", (product, functools.reduce(lambda a, b: Expression("*", (a, b)), under)))


def _ratio(x: _Coefficient) -> tuple[_Coefficient, _Coefficient]:
    if isinstance(x, Fraction):
        return Fraction(x.numerator), Fraction(x.denominator)
    return x, Fraction(1)


def _rank(factor: tuple[Expression, _Coefficient]) -> int:
    """Names before brackets before functions."""
    return {"name": 0, "item": 0, "call": 2}.get(factor[0].op, 1)


def _raised(base: Expression, k: _Coefficient) -> Expression:
    return base if k == 1 else Expression("**", (base, _constant(k)))


def _sum(xs: Iterable[Expression]) -> Expression:
    """Σ xs, with equal terms joined."""
    terms: dict[frozenset[tuple[Expression, _Coefficient]], tuple[_Coefficient, _Factors]] = {}
    waiting = [(x, 1) for x in xs][::-1]
    while waiting:
        x, sign = waiting.pop()
        if x.op in ("+", "-"):
            waiting += [(x.args[1], sign if x.op == "+" else -sign), (x.args[0], sign)]
            continue
        c, factors = _factors(x)
        key = frozenset(factors.items())
        before = terms[key][0] if key in terms else Fraction(0)
        terms[key] = (before + c * sign, factors)
    return _joined([_rebuild(c, factors) for c, factors in terms.values() if c != 0])


def _joined(terms: list[Expression]) -> Expression:
    """a + b - c, with a positive term first if there is one."""
    terms.sort(key=_is_negative)
    total: Expression | None = None
    for term in terms:
        if total is None:
            total = term
        elif _is_negative(term):
            total = Expression("-", (total, _product([_constant(-1), term])))
        else:
            total = Expression("+", (total, term))
    return total if total is not None else _constant(0)


def _is_negative(x: Expression) -> bool:
    while x.op in ("*", "/"):
        x = x.args[0]
    return x.op == "neg"


# ── value and gradient at a point, with evidence ────────────────────────────────────────────────────────

_Point = Mapping[str, float | list[float]]
_STEPS = tuple(10.0 ** (-k / 2) for k in range(2, 21))


@dataclass(frozen=True, slots=True)
class Slope:
    """∂L/∂name at a point, and what speaks for it.

    name, at, value
        The variable, its value, and the derivative: a number, or a vector of them.
    formula
        The derivative in symbols; None where no short one exists.
    difference, agrees
        The same by central differences (NaN where L is not defined on both sides), and whether both agree
        (None where differences are too rough to say).
    entry, step, change
        For a vector the entry of the steepest slope; what L really does when it is raised by `step`.
    trouble
        A sentence that says why no derivative exists here, or None.
    """

    name: str
    at: float | list[float]
    value: float | list[float]
    formula: Expression | None
    difference: float | list[float]
    agrees: bool | None
    entry: int | None
    step: float
    change: float
    trouble: str | None


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Value of an expression at a point, its slopes, and what went wrong (`failure`, or None)."""

    expression: Expression
    point: _Point
    value: float
    slopes: tuple[Slope, ...]
    failure: str | None

    def along(self, name: str, entry: int | None = None) -> Callable[[float], float]:
        """L as a function of one number, the others staying where they are."""
        return _along(self.expression, self.point, name, entry)

    def to_json(self) -> dict[str, Any]:
        """Plain data for strict JSON: what JSON lacks are the strings "NaN", "Infinity", "-Infinity"."""
        answer = {
            "value": _plain(self.value),
            "grad": {s.name: _plain(s.value) for s in self.slopes},
            "expr": {s.name: None if s.formula is None else str(s.formula) for s in self.slopes},
            "check": {s.name: {"fd": _plain(_rounded(s.difference)), "ok": s.agrees} for s in self.slopes},
        }
        return answer if self.failure is None else {**answer, "failure": self.failure}


def sensitivity(expression: Expression, point: _Point) -> Sensitivity:
    """Value and gradient of an expression, from the engine, with formulas and differences beside them.

    Parameters
    ----------
    expression
        With one number as its value.
    point
        A number or a vector (list) for each of its names, as `parse_point` gives them.

    Raises
    ------
    ExpressionError (E601)
        Names and point do not fit, a part cannot be computed, or the value is a vector.

    Cost
    ----
    One forward and backward pass, and 20 to 160 evaluations for each number of the point.

    Examples
    --------
    >>> s = sensitivity(parse_expression("4*w + w**3"), {"w": 1.0})
    >>> s.value, s.slopes[0].value, str(s.slopes[0].formula)
    (5.0, 7.0, '4 + 3*w**2')
    """
    import chainrule as cr

    _check_names(point, expression.names)
    leaves = {name: cr.tensor(value, requires_grad=True) for name, value in point.items()}
    out = expression.evaluate(leaves)
    value = _one_number(expression, out)
    if leaves:
        out.backward()
    grads = {name: _gradient(leaf, point[name]) for name, leaf in leaves.items()}
    slopes = tuple(_slope(expression, point, name, grad) for name, grad in grads.items())
    troubles = [s.trouble for s in slopes if s.trouble]
    if not math.isfinite(value):
        troubles.insert(0, _why_not_finite(expression, point, value))
    return Sensitivity(expression, point, value, slopes, troubles[0] if troubles else None)


def _one_number(expression: Expression, out: Any) -> float:
    values = out if isinstance(out, float) else out.tolist()
    if not isinstance(values, list):
        return float(values)
    what = f"'{_short(expression)}' has {len(values)} values, so 'the gradient' is ambiguous"
    raise ExpressionError(what, fix=f"choose one, or the sum:  sum({_short(expression)})")


def _gradient(leaf: Any, at: float | list[float]) -> float | list[float]:
    if leaf.grad is None:  # flat everywhere
        return [0.0] * len(at) if isinstance(at, list) else 0.0
    return leaf.grad.tolist()


def _why_not_finite(expression: Expression, point: _Point, value: float) -> str:
    """Names the first part whose value is not finite, though its arguments are."""
    import chainrule as cr

    env = {name: cr.tensor(at) for name, at in point.items()}
    culprits: list[Expression] = []

    def visit(x: Expression, args: list[Any]) -> Any:
        out = _compute(x, args, env, _engine())
        if not _finite_everywhere(out) and all(map(_finite_everywhere, args)):
            culprits.append(x)
        return out

    expression.fold(visit)
    first = culprits[0] if culprits else expression
    result = first.evaluate(env)
    what = f"'{_short(first)}' is {'not finite' if getattr(result, 'shape', ()) else float(result)}"
    used = {name: point[name] for name in first.names}
    where = f" at {_shown_point(used)}" if used else ""
    return f"{what}{where}" if first == expression else f"{what}{where}, so L is {value}"


def _finite_everywhere(value: Any) -> bool:
    numbers = value.tolist() if hasattr(value, "tolist") else value
    return all(map(_finite_everywhere, numbers)) if isinstance(numbers, list) else math.isfinite(numbers)


def _shown_point(point: _Point) -> str:
    def shown(value: float | list[float]) -> str:
        return f"[{', '.join(map(shown, value))}]" if isinstance(value, list) else _number(value)

    return ", ".join(f"{name} = {shown(value)}" for name, value in point.items())


def _slope(expression: Expression, point: _Point, name: str, value: float | list[float]) -> Slope:
    at = point[name]
    lengths = {n: len(v) for n, v in point.items() if isinstance(v, list)}
    try:
        formula = derivative(expression, name, lengths)
    except ExpressionError:
        formula = None
    entries = value if isinstance(value, list) else [value]
    many, places = isinstance(at, list), at if isinstance(at, list) else [at]
    looks = [_look_around(_along(expression, point, name, i), w) for i, w in enumerate(places)]
    verdicts = [look.agrees(v) for look, v in zip(looks, entries, strict=True)]
    steepest = max(range(len(entries)), key=lambda i: abs(entries[i]))
    trouble = next((t for i, v in enumerate(entries) if (t := _trouble(name, at, i, v, looks[i]))), None)
    slopes = [look.slope for look in looks]
    return Slope(
        name=name,
        at=at,
        value=value,
        formula=formula,
        difference=slopes if many else slopes[0],
        agrees=False if False in verdicts else None if None in verdicts else True,
        entry=steepest if many else None,
        step=looks[steepest].step,
        change=looks[steepest].change,
        trouble=trouble,
    )


@dataclass(frozen=True, slots=True)
class _Look:
    """What L does around a point when one number is changed."""

    slope: float  # by central differences; NaN where L is not finite on both sides
    error: float
    left: float  # one-sided slopes
    right: float
    bends: bool  # they differ, however near one looks
    jump: float  # how far L moves within a few roundings of the point …
    jump_width: float  # … that are this far apart
    height: float
    step: float
    change: float

    def agrees(self, value: float) -> bool | None:
        if math.isnan(self.slope) or math.isnan(value):
            return None
        size = max(abs(value), abs(self.slope))
        if abs(value - self.slope) <= 1e-6 * size + 10 * self.error:
            return True
        return False if self.error < 1e-3 * abs(self.slope) else None

    def jumps(self, value: float) -> bool:
        return self.jump > 100 * abs(value) * self.jump_width + 1e-9 * max(1.0, abs(self.height))


def _along(expression: Expression, point: _Point, name: str, entry: int | None) -> Callable[[float], float]:
    import chainrule as cr

    others = {n: cr.tensor(v) for n, v in point.items() if n != name}
    at = point[name]

    def f(moved: float) -> float:
        new = [*at[:entry], moved, *at[entry + 1 :]] if isinstance(at, list) and entry is not None else moved
        return float(expression.evaluate({**others, name: cr.tensor(new)}))

    return f


def _look_around(f: Callable[[float], float], w: float) -> _Look:
    slope, error = _central_difference(f, w)
    scale, f0 = abs(w) or 1.0, f(w)
    tiny = 1e-13 * scale
    jump = abs(f(w + tiny) - f(w - tiny))
    step = 0.01 if w == 0 or 0.1 <= abs(w) < 100 else 10.0 ** (math.floor(math.log10(abs(w))) - 2)
    left, right, bends = _sides(f, w, scale)
    return _Look(slope, error, left, right, bends, jump, 2 * tiny, f0, step, f(w + step) - f0)


def _sides(f: Callable[[float], float], w: float, scale: float) -> tuple[float, float, bool]:
    """Slopes on the left and on the right, and whether they differ however near one looks."""
    f0 = f(w)
    (l1, r1), (l2, r2), (l3, r3) = (
        ((f0 - f(w - h)) / h, (f(w + h) - f0) / h) for h in (1e-5 * scale, 1e-7 * scale, 1e-10 * scale)
    )
    bend, noise = abs(r2 - l2), 1e-15 * abs(f0) / scale
    steady = max(abs(l1 - l2), abs(r1 - r2)) < 0.1 * bend
    stays = abs(r3 - l3) > 0.5 * bend or noise / 1e-10 > 0.1 * bend  # a kink that is near by is not here
    return l2, r2, steady and stays and bend > 1e-4 * max(abs(l2), abs(r2)) + noise / 1e-7


def _central_difference(f: Callable[[float], float], w: float) -> tuple[float, float]:
    """Slope of f at w by differences of fourth order, and its error; the step is chosen by the results."""
    best, lowest = (math.nan, math.inf), math.inf
    for scale in dict.fromkeys((abs(w) or 1.0, max(1.0, abs(w)))):  # near by first
        before = math.nan
        for h in (k * scale for k in _STEPS):
            a, b, c, d = f(w - 2 * h), f(w - h), f(w + h), f(w + 2 * h)
            slope, height = (8 * (c - b) - (d - a)) / (12 * h), max(abs(b), abs(c))
            error = abs(slope - before) + 2.2e-16 * height / h
            relative = error / (max(abs(slope), 1e-8 * height / scale) or 1.0)
            if relative < lowest:
                best, lowest = (slope, error), relative
            if relative <= 1e-11:
                return best
            before = slope
    return best


def _trouble(name: str, at: float | list[float], entry: int, value: float, look: _Look) -> str | None:
    """Why no derivative exists here, as far as the numbers tell."""
    one = f"{name}[{entry}]" if isinstance(at, list) else name
    where = f"at {_shown_point({one: at[entry] if isinstance(at, list) else at})}"
    if not math.isfinite(value):
        return f"dL/d{one} is {value} {where}"
    if look.jumps(value):
        return f"L jumps {where}: no slope exists there, and {value:g} is the one beside it"
    if look.bends:
        sides = f"slope {look.left:.4g} on its left, {look.right:.4g} on its right"
        return f"L has a kink {where} ({sides}): no slope exists there, and {value:g} is a choice"
    if look.agrees(value) is False:
        return f"dL/d{one} = {value:g} {where}, but differences give {look.slope:g}"
    return None


def _plain(value: float | list[float]) -> Any:
    """A number for strict JSON."""
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _rounded(value: float | list[float]) -> float | list[float]:
    """Nine digits: a difference has no more to show."""
    return [float(f"{v:.9g}") for v in value] if isinstance(value, list) else float(f"{value:.9g}")
