"""`____`: what stands where something is to be filled in. Every use of it says so."""

from __future__ import annotations

import dis
import linecache
from collections.abc import Callable
from types import CodeType
from typing import Any, NamedTuple, NoReturn

from chainrule.errors import BlankError
from chainrule.source import boundary

NAME = "____"


@boundary
def _refuse(self: Any, *_: Any, **__: Any) -> NoReturn:
    raise BlankError(
        "there is still a blank on this line",
        fix="write what belongs there instead of ____; the exercise's hint() helps",
    )


class Blank:
    """The object behind `____`: it can be assigned and passed on, and does nothing else."""

    __slots__ = ()

    def __repr__(self) -> str:
        return NAME

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):  # a notebook or a debugger that looks at it, not a learner
            raise AttributeError(name)
        _refuse(self)

    __call__ = __bool__ = __iter__ = __len__ = __getitem__ = __float__ = __int__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _refuse
    __pow__ = __rpow__ = __neg__ = __matmul__ = __rmatmul__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __array__ = __enter__ = __exit__ = __abs__ = _refuse


____ = Blank()


class Gap(NamedTuple):
    """A blank that is left: its line number and its line."""

    line: int
    text: str


def gaps(f: Callable[..., Any]) -> list[Gap]:
    """The blanks in a function, in the order of its code; also in functions inside it."""
    found: list[Gap] = []
    codes: list[CodeType] = [f.__code__] if hasattr(f, "__code__") else []
    while codes:
        code = codes.pop()
        line = code.co_firstlineno
        for step in dis.get_instructions(code):
            line = (step.positions.lineno if step.positions else None) or line
            if step.argval == NAME:
                found.append(Gap(line, linecache.getline(code.co_filename, line).strip()))
        codes += [c for c in code.co_consts if isinstance(c, CodeType)]
    return sorted(found, key=lambda gap: gap.line)
