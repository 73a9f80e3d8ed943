"""What is shown while a descent runs: one line that is redrawn where a person watches, rows elsewhere.

In a terminal the line is written over ten times a second at most, in a notebook four times (each one is a message).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

from chainrule.errors import ArgumentError
from chainrule.notebook import Live, in_notebook
from chainrule.optim.history import HEAD, Row, row_text

_REDRAWN = 0.1  # seconds: ten times a second is as often as one can read
_IN_NOTEBOOK = 0.25
_PATIENCE = 1.0  # seconds: a run that is over by then needs no line
_BAR = 24


class Progress:
    """Called at each step; `finish` once. Nothing is written for a step that is not to be shown.

    write
        Takes text: whole rows, or with `line` the line anew.
    wait, pause
        Seconds before the line is first shown, and between two times.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        *,
        line: bool,
        wait: float,
        maxiter: int,
        pause: float = _REDRAWN,
    ) -> None:
        self._write, self._line, self._maxiter, self._pause = write, line, maxiter, pause
        self._next = time.monotonic() + wait
        self._begun = False

    def step(self, k: int, value: float, norm: float, largest: float) -> None:
        """Step `k` was taken from a point with this value and norm."""
        if not self._line:
            if _is_row(k):
                self._row(k, value, norm, largest)
            return
        now = time.monotonic()
        if now >= self._next:
            self._next, self._begun = now + self._pause, True
            self._write(self._text(k, norm))

    def finish(self, k: int, norm: float, status: str) -> None:
        """The last line stays, with the status."""
        if self._line and self._begun:
            self._write(f"{self._text(k, norm)}   {status}\n")
        elif not self._line:
            self._write(f"  {status} after {k} steps, ‖∇L‖ = {norm:.3e}\n")

    def _row(self, k: int, value: float, norm: float, largest: float) -> None:
        if not self._begun:
            self._begun = True
            self._write(HEAD + "\n")
        self._write(row_text(Row(k, value, norm, largest)) + "\n")

    def _text(self, k: int, norm: float) -> str:
        done = round(_BAR * min(1.0, k / max(self._maxiter, 1)))
        return f"descending {'━' * done}{' ' * (_BAR - done)} {k}/{self._maxiter}   ‖∇L‖ {norm:.3e}"


def _is_row(k: int) -> bool:
    """Steps 1, 5, 10, 50, 100, 500 …: twelve rows for a million steps."""
    while k >= 10 and k % 10 == 0:
        k //= 10
    return k in (1, 5)


def progress_of(wanted: Any, maxiter: int) -> Progress | None:
    """What `progress=` asks for: None (a person watches, and it takes a second), True, False, or a function of text."""
    if wanted is False:
        return None
    if callable(wanted):
        return Progress(wanted, line=False, wait=0.0, maxiter=maxiter)
    if wanted is not None and wanted is not True:
        raise ArgumentError(
            "progress is True, False, None, or a function that takes a line of text",
            given=f"progress={wanted!r}", fix="leave it out: a run that takes longer than a second then shows a line",
        )  # fmt: skip
    wait = 0.0 if wanted else _PATIENCE
    if in_notebook():
        live = Live()
        return Progress(
            lambda text: live.show(text.rstrip()), line=True, wait=wait, maxiter=maxiter, pause=_IN_NOTEBOOK
        )
    watched = sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    if not watched and wanted is None:
        return None
    return Progress(_write_over if watched else _write, line=watched, wait=wait, maxiter=maxiter)


def _write_over(text: str) -> None:
    _write("\r\x1b[K" + text)


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
