"""What can be written, and text → words: each knows its column, and every limit is kept here."""

from __future__ import annotations

import keyword
import math
import re
import unicodedata
from typing import NamedTuple

from chainrule.errors import ExpressionError

MAX_CHARACTERS = 2000
MAX_PARTS = 500
MAX_DEPTH = 60
MAX_FORMULA = 200  # parts of a derivative that is shown: about four lines
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
KNOWN_ELSEWHERE: dict[str, str] = dict(pair.split("=") for pair in _ELSEWHERE.split())

# Note [Words first]
# `ast.parse` alone would read correct text. Its errors, however, change with the version of Python, 10⁵
# brackets make it raise RecursionError or MemoryError, ^ is "exclusive or" to it and 4300 digits too many.
# So the text is first cut into words that know their column. Limits and the usual mistakes are found there,
# and `ast.parse` sees five operators, brackets, commas, names and floats: nothing that can surprise it.


class Word(NamedTuple):
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


IN_PYTHON = "write it as a Python function and use chainrule.grad"


def unreadable(text: str, column: int, reason: str, fix: str) -> ExpressionError:
    return ExpressionError(
        f"cannot read the expression at column {column}: {reason}", text=text, column=column, fix=fix
    )


def split_words(text: str) -> list[Word]:
    """Cut the text; every character ends up in a word, a space or an error."""
    found = []
    for match in _WORD.finditer(text.translate(_SAME_AS)):
        kind, word, column = str(match.lastgroup), match.group(), match.start() + 1
        if kind == "other":
            raise unreadable(text, column, f"{_called(word)} has no meaning here", _advice(word))
        if kind == "power":
            found += _superscript(text, word, column)
        elif kind == "number":
            found.append(Word(kind, _float(text, word, column), column, word))
        elif kind == "name":
            found.append(Word(kind, _name(text, word, column), column, word))
        elif kind != "space":
            found.append(Word(word if kind == "bracket" else kind, word, column, word))
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


def _superscript(text: str, word: str, column: int) -> list[Word]:
    """The words ** and 2 for the ² of w², and likewise for w⁻¹."""
    digits = word.translate(_SUPERSCRIPT)
    if not re.fullmatch(r"[+-]?[0-9]+", digits):
        raise unreadable(text, column, f"'{word}' is no exponent", "write a power with **, as in  w**2")
    power = [Word("operator", "**", column, word)]
    if digits[0] == "-":
        power.append(Word("operator", "-", column, word))
    return [*power, Word("number", _float(text, digits.lstrip("+-"), column), column, word)]


def _float(text: str, word: str, column: int) -> str:
    """The number as text of a float: ``9`` → ``9.0``, so that no integer arithmetic can happen anywhere."""
    value = float(word)
    shown = word if len(word) <= 20 else f"{word[:17]}..."
    if math.isinf(value):
        raise unreadable(text, column, f"'{shown}' is too large for a float64", "use numbers below 1.8e308")
    if value == 0 and re.match("[0_.]*[1-9]", word):
        raise unreadable(text, column, f"'{shown}' is too small for a float64", "use numbers above 1e-308")
    return repr(value)


def _name(text: str, word: str, column: int) -> str:
    """The name as Python would know it: w₁ is w1, π is pi."""
    name = "pi" if word == "π" else unicodedata.normalize("NFKC", word)
    if len(name) > MAX_NAME:
        reason = f"the name '{name[:12]}...' has {len(name)} characters"
        raise unreadable(text, column, reason, f"use names of at most {MAX_NAME} characters")
    if keyword.iskeyword(name) or not name.isidentifier():
        what = "is a word of Python" if name.isidentifier() else "cannot be a name"
        raise unreadable(text, column, f"'{word}' {what}", "leave it out, or use another name")
    if name in ("inf", "nan", "infinity"):
        raise unreadable(text, column, f"'{word}' is no number to differentiate at", "use finite numbers")
    return name
