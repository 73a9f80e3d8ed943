"""Looking at an answer: blanks, errors, the right number, and the number of a mistake."""

from __future__ import annotations

import contextlib
import io
import linecache
import math
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chainrule.draw import format_number
from chainrule.errors import BlankError, ChainruleError, GradientNote
from chainrule.learn.blank import Blank, gaps

if TYPE_CHECKING:
    from chainrule.learn.exercise import Exercise, Mistake

NOT_STARTED, NOT_YET, ERROR, CORRECT = "not started", "not yet", "error in your code", "correct"
_MARKS = {NOT_STARTED: "○", NOT_YET: "✗", ERROR: "!", CORRECT: "✓"}
_CLOSE = 1e-6


@dataclass(frozen=True, slots=True, repr=False)
class Outcome:
    """What a check found. `correct` needs positive evidence: the right numbers, at several points."""

    status: str
    message: str

    @property
    def correct(self) -> bool:
        return self.status == CORRECT

    def __repr__(self) -> str:
        dot = ":" if self.status in (NOT_STARTED, CORRECT, ERROR) else "."
        return f"{_MARKS[self.status]} {self.status}{dot}{' ' * (1 + (dot == '.'))}{self.message}"


def checked(e: Exercise, f: Callable[..., Any] | None) -> Outcome:
    """The outcome for a function (None: there is none)."""
    unfinished = _unfinished(e, f)
    if unfinished is not None:
        return unfinished
    assert f is not None
    points = e.points()
    got: list[Any] = []
    for args in points:
        try:
            got.append(plain(_run(f, args, quiet=bool(got))))
        except BlankError as err:
            return Outcome(NOT_YET, f"there is still a blank: {err.source.text if err.source else '____'}")
        except Exception as err:
            return _failed(e, f, err)
    right = [same(g, plain(e.truth(*args))) for g, args in zip(got, points, strict=True)]
    if all(right):
        return Outcome(CORRECT, f"{shown(got[0])}.  {e.after}")
    return Outcome(NOT_YET, _diagnosis(e, points, got, right))


def _run(f: Callable[..., Any], args: tuple[Any, ...], *, quiet: bool) -> Any:
    """The answer at one point; it prints the first time only, and its notes are what the check is for."""
    nowhere = contextlib.redirect_stdout(io.StringIO()) if quiet else contextlib.nullcontext()
    with warnings.catch_warnings(), nowhere:
        warnings.simplefilter("ignore", GradientNote)
        return f(*args)


def _unfinished(e: Exercise, f: Any) -> Outcome | None:
    """Blanks that are left."""
    if f is None:
        return Outcome(NOT_STARTED, f"there is no function {e.function} yet; run the cell that defines it")
    if isinstance(f, Blank) or not callable(f):
        return Outcome(NOT_STARTED, f"{e.function} is to be a function; type {e.name} to see it")
    left, blanks = gaps(f), e.template.count("____")
    if not left:
        return None
    if len(left) >= blanks:
        return Outcome(NOT_STARTED, f"blank 1 of {blanks} is still ____  ({left[0].text})")
    verb = "is" if len(left) == 1 else "are"
    return Outcome(NOT_YET, f"{len(left)} of {blanks} blanks {verb} still ____, the first in  {left[0].text}")


def _failed(e: Exercise, f: Callable[..., Any], err: Exception) -> Outcome:
    """An error that a usual mistake ends in is told as that; any other as itself, with its line."""
    for m in e.mistakes:
        if m.raises and any(c.__name__ == m.raises for c in type(err).__mro__) and m.words in str(err):
            return Outcome(NOT_YET, m.says)
    what = err.what if isinstance(err, ChainruleError) else str(err)
    return Outcome(ERROR, f"{type(err).__name__}: {what}{_line_of(f, err)}")


def _line_of(f: Callable[..., Any], err: Exception) -> str:
    """The last line of the answer that the error passed through."""
    file = getattr(getattr(f, "__code__", None), "co_filename", None)
    lines = [frame for frame in traceback.extract_tb(err.__traceback__) if frame.filename == file]
    if not lines:
        return ""
    text = linecache.getline(lines[-1].filename, lines[-1].lineno or 0).strip()
    return f"\n  at line {lines[-1].lineno}:  {text}" if text else ""


def _diagnosis(
    e: Exercise, points: Sequence[tuple[Any, ...]], got: Sequence[Any], right: Sequence[bool]
) -> str:
    for m in e.mistakes:
        if m.gives is not None and _is_mistake(m, points, got):
            return m.says.format(got=shown(got[0]), at=_arguments(points[0]))
    if right[0] and all(same(g, got[0]) for g in got):
        where = _arguments(points[1])
        return (
            f"{shown(got[0])} is right at {_arguments(points[0])}, and comes at {where} too: is a number written in "
            "instead of computed?"
        )
    k = list(right).index(False)
    if got[k] is None:
        return f"{e.function}{_call(points[k])} gives None. Does it end with return, and with the gradient of a leaf?"
    if not _numbers(got[k]):
        return f"{e.function}{_call(points[k])} gives {got[k]!r}, and numbers are asked for."
    wanted = len(_flat(plain(e.truth(*points[k]))))
    if len(_flat(got[k])) != wanted:
        have = len(_flat(got[k]))
        return f"You have {shown(got[k])}: {have} number{'s' * (have != 1)}, and {wanted} asked for."
    return f"You have {shown(got[k])} at {_arguments(points[k])}. {e.name}.hint() helps."


def _is_mistake(m: Mistake, points: Sequence[tuple[Any, ...]], got: Sequence[Any]) -> bool:
    assert m.gives is not None
    return all(same(g, plain(m.gives(*args))) for g, args in zip(got, points, strict=True))


# --- numbers ---------------------------------------------------------------------------------------------


def plain(v: Any) -> Any:
    """Tensors and arrays as numbers and lists; tuples as lists."""
    if hasattr(v, "tolist"):
        return v.tolist()
    return [plain(u) for u in v] if isinstance(v, list | tuple) else v


def same(a: Any, b: Any) -> bool:
    """Whether two answers have the same shape and the same numbers, to six digits."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if a is None or b is None or isinstance(a, list) or isinstance(b, list):
        return a is b
    if not _numbers(a) or not _numbers(b):
        return False
    return abs(a - b) <= _CLOSE * max(1.0, abs(b)) or (math.isnan(a) and math.isnan(b))


def _flat(v: Any) -> list[Any]:
    return [x for u in v for x in _flat(u)] if isinstance(v, list) else [v]


def _numbers(v: Any) -> bool:
    return all((isinstance(x, int | float) and not isinstance(x, bool)) or x is None for x in _flat(v))


def shown(v: Any) -> str:
    """Numbers as people write them."""
    if isinstance(v, list):
        return f"[{', '.join(map(shown, v))}]"
    return format_number(v, digits=6).replace("−", "-") if isinstance(v, int | float) else str(v)


def _arguments(args: tuple[Any, ...]) -> str:
    return ", ".join(map(shown, args))


def _call(args: tuple[Any, ...]) -> str:
    return f"({_arguments(args)})"
