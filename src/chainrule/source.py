"""Where in the user's program something happened, and tracebacks that stay there.

A place is stored as `(code object, f_lasti)`, which costs nothing to take; lines and columns are
decoded only when somebody asks (`Source.line` …).
"""

from __future__ import annotations

import functools
import linecache
import os
import sys
from collections.abc import Callable
from itertools import islice
from types import CodeType, FrameType, TracebackType
from typing import ParamSpec, TypeVar

from chainrule import config

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep

P = ParamSpec("P")
R = TypeVar("R")


class Source:
    """One instruction of the user's program: `file`, `line`, `function` and `text` of the line."""

    __slots__ = ("code", "lasti")

    scope: str | None = None  # the user-level operation that the instruction called (`Step`)
    call: int | None = None

    def __init__(self, code: CodeType, lasti: int) -> None:
        self.code, self.lasti = code, lasti

    @property
    def positions(self) -> tuple[int | None, int | None, int | None, int | None]:
        """First line, last line, first column, last column (columns count bytes)."""
        if self.lasti < 0:
            return (self.code.co_firstlineno, None, None, None)
        return next(islice(self.code.co_positions(), self.lasti // 2, None), (None,) * 4)

    @property
    def file(self) -> str:
        return self.code.co_filename

    @property
    def line(self) -> int:
        return self.positions[0] or self.code.co_firstlineno

    @property
    def function(self) -> str:
        return self.code.co_name

    @property
    def text(self) -> str:
        """The line as written, or "" where the source is not at hand."""
        return linecache.getline(self.file, self.line).strip()

    @property
    def place(self) -> str:
        """`file.py:8`, or `cell [12]:3` in a notebook."""
        name = os.path.basename(self.file)
        if self.file.startswith("<ipython-input-"):
            name = f"cell [{self.file.split('-')[2]}]"
        return f"{name}:{self.line}"

    def __str__(self) -> str:
        where = self.place if self.function == "<module>" else f"{self.place}, in {self.function}"
        return f"{where}:  {self.text}" if self.text else where

    def __repr__(self) -> str:
        return f"Source({self.place})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Source) and self.code is other.code and self.lasti == other.lasti

    def __hash__(self) -> int:
        return hash((id(self.code), self.lasti))


class Step(Source):
    """An instruction that called a user-level operation: its name, and which call of it."""

    __slots__ = ("call", "scope")

    def __init__(self, code: CodeType, lasti: int, scope: str, call: int) -> None:
        self.code, self.lasti, self.scope, self.call = code, lasti, scope, call


class Pullback(Source):
    """An instruction whose derivative is computed: what is recorded of that has its line."""

    __slots__ = ()

    call = -1


def user_frame(depth: int = 1) -> FrameType:
    """Nearest frame outside the package (the outermost one if there is none)."""
    frame = sys._getframe(depth)
    while frame.f_code.co_filename.startswith(_PACKAGE) and frame.f_back is not None:
        frame = frame.f_back
    return frame


def here() -> Source:
    """The user's line that is being executed."""
    frame = user_frame(2)
    return Source(frame.f_code, frame.f_lasti)


def is_ours(code: CodeType) -> bool:
    """Whether a code object belongs to this package."""
    return code.co_filename.startswith(_PACKAGE)


def trim(err: BaseException) -> None:
    """Take the package's frames out of the traceback of `err`, and tell it the user's line."""
    from chainrule.errors import ChainruleError

    if isinstance(err, ChainruleError) and err.source is None:
        err.source = here()
    if config.TRACEBACK != "full":
        err.with_traceback(_user_part(err.__traceback__))


def boundary(fn: Callable[P, R]) -> Callable[P, R]:
    """Mark a public function: tracebacks that leave it show the user's frames only."""

    @functools.wraps(fn)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        __tracebackhide__ = True
        try:
            return fn(*args, **kwargs)
        except Exception as err:
            trim(err)
            raise  # a bare raise adds no frame of its own

    return call


def _user_part(tb: TracebackType | None) -> TracebackType | None:
    frames = []
    while tb is not None:
        if not tb.tb_frame.f_code.co_filename.startswith(_PACKAGE):
            frames.append(tb)
        tb = tb.tb_next
    rest = None
    for tb in reversed(frames):
        rest = TracebackType(rest, tb.tb_frame, tb.tb_lasti, tb.tb_lineno)
    return rest
