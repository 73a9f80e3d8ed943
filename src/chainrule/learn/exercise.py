"""An exercise is data: a task, a function with blanks, what it should return, and what mistakes return."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from chainrule.errors import ArgumentError
from chainrule.learn.checking import NOT_YET, Outcome, checked
from chainrule.source import boundary, user_frame

_TRIES = 2  # after so many the solution may be seen


@dataclass(frozen=True, slots=True)
class Mistake:
    """A usual mistake, told by what it gives.

    says
        What is said of it; ``{got}`` is the number, ``{at}`` the point.
    change
        What is written instead of what in the solution: the tests make the mistake so.
    gives
        What the function then returns, in closed form: recognised where that holds at every point.
    raises
        Name of the error that it ends in, instead; with `words` that the message has.
    """

    says: str
    change: tuple[str, str]
    gives: Callable[..., Any] | None = None
    raises: str = ""
    words: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """Text that shows as it is at a prompt, and as Markdown in a notebook."""

    text: str
    markdown: str = ""

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        return self.markdown or f"```\n{self.text}\n```"


@dataclass(slots=True)
class Record:
    """How far a learner is."""

    tries: int = 0
    hints: int = 0
    solved: bool = False
    last: Outcome | None = None


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Exercise:
    """One exercise.

    `ex` shows the task, `ex.check()` looks at the function of the right name, `ex.hint()` helps step by step, and
    `ex.solution()` shows how it is done, after two tries or all hints.

    Parameters
    ----------
    name, title, task
        As it is called, and what is to be done.
    function
        Name of the function to be completed; `template` is its text with blanks, `solved` without.
    at
        Arguments of the question.
    others
        Random numbers → arguments of other calls: what is written in as a number fails there.
    truth
        The right answer for given arguments, in closed form on plain numbers.
    mistakes, hints, after
        What is recognised, what helps, and what a right answer shows.

    Examples
    --------
    >>> from chainrule.learn import ex2
    >>> ex2.check(lambda at: 4 * at - at**3)
    ✗ not yet.  You have 2.625. That is L(1.5), the value; the question asks for the slope dL/dw.
    """

    name: str
    title: str
    task: str
    function: str
    template: str
    solved: str
    at: tuple[Any, ...]
    others: Callable[[random.Random], tuple[Any, ...]]
    truth: Callable[..., Any]
    mistakes: tuple[Mistake, ...]
    hints: tuple[str, ...]
    after: str
    record: Record = field(default_factory=Record)

    @boundary
    def check(self, f: Callable[..., Any] | None = None) -> Outcome:
        """Look at the answer: the function of the exercise's name where you call this, or the one given.

        Returns
        -------
        An `Outcome`: "not started", "not yet", "error in your code" or "correct", with what can be said of it.
        """
        if f is None:
            frame = user_frame()
            f = {**frame.f_globals, **frame.f_locals}.get(self.function)
        outcome = checked(self, f)
        self.record.last = outcome
        if outcome.correct:
            self.record.solved = True
        elif outcome.status != "not started":
            self.record.tries += 1
        return outcome

    @boundary
    def hint(self) -> Text:
        """The next hint; the last one stays."""
        self.record.hints = min(self.record.hints + 1, len(self.hints))
        n = self.record.hints
        more = f"      ({self.name}.hint() again for more)" if n < len(self.hints) else ""
        return Text(f"hint {n}/{len(self.hints)}: {self.hints[n - 1]}{more}")

    @boundary
    def solution(self) -> Text:
        """How it is done, once it was solved, tried twice, or all hints were read.

        Raises
        ------
        ArgumentError (E104)
            It was not tried yet.
        """
        r = self.record
        if not (r.solved or r.tries >= _TRIES or r.hints == len(self.hints)):
            raise ArgumentError(
                f"the solution of {self.name} is shown after {_TRIES} tries or all {len(self.hints)} hints",
                given=f"{r.tries} tries, {r.hints} hints",
                fix=f"try {self.name}.check(), or {self.name}.hint()",
            )
        return Text(self.solved, f"```python\n{self.solved}```")

    def __repr__(self) -> str:
        return f"{self.name}: {self.title}\n{self.task}\n\n{self.template}\nFill the blanks, then {self.name}.check()"

    def _repr_markdown_(self) -> str:
        return (
            f"**{self.name}: {self.title}.** {self.task}\n\n```python\n{self.template}```\n\n"
            f"Fill the blanks, then `{self.name}.check()`"
        )

    def points(self) -> list[tuple[Any, ...]]:
        """The question's arguments, then three others: the same ones each time."""
        numbers = random.Random(self.name)
        return [self.at, *(self.others(numbers) for _ in range(3))]

    @property
    def state(self) -> str:
        """One word for the table of progress."""
        if self.record.solved:
            return "correct"
        return self.record.last.status if self.record.last is not None else "not started"


__all__ = ["NOT_YET", "Exercise", "Mistake", "Outcome", "Record", "Text"]
