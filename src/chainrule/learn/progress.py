"""How far a learner is: a table, and, if wanted, a file on this machine. Nothing is ever sent anywhere."""

from __future__ import annotations

import json
from pathlib import Path

from chainrule.errors import DataError
from chainrule.learn.course import EXERCISES
from chainrule.learn.exercise import Record, Text

_MARKS = {"correct": "✓", "not started": "○"}


def progress() -> Text:
    """The exercises, and how far each is.

    Examples
    --------
    >>> from chainrule import learn
    >>> learn.forget()
    >>> str(learn.progress()).splitlines()[0]
    '○ ex1  The slope at a point          not started'
    """
    rows = [(_MARKS.get(e.state, "✗"), e.name, e.title, e.state) for e in EXERCISES]
    width = max(len(title) for _, _, title, _ in rows)
    lines = [f"{mark} {name}  {title:{width}}  {state}" for mark, name, title, state in rows]
    done = sum(e.record.solved for e in EXERCISES)
    return Text("\n".join([*lines, f"{done} of {len(rows)} are correct"]))


def forget() -> None:
    """Begin anew: no tries, no hints, nothing solved."""
    for e in EXERCISES:
        e.record.tries = e.record.hints = 0
        e.record.solved, e.record.last = False, None


def keep(path: str | Path) -> None:
    """Take up what a file says of earlier progress, if it is there, and write the present state to it.

    Raises
    ------
    DataError (E105)
        The file is none that this function wrote.
    """
    file = Path(path)
    if file.exists():
        _take_up(file)
    state = {
        e.name: {"tries": e.record.tries, "hints": e.record.hints, "solved": e.record.solved}
        for e in EXERCISES
    }
    file.write_text(json.dumps(state, indent=1) + "\n", encoding="utf-8")


def _take_up(file: Path) -> None:
    try:
        found = dict(json.loads(file.read_text(encoding="utf-8")))
        records = {e: Record(int(found[e.name]["tries"]), int(found[e.name]["hints"]), found[e.name]["solved"] is True)
                   for e in EXERCISES if e.name in found}  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError) as err:
        fix = "give the file that learn.keep wrote, or a name that is not in use"
        raise DataError("the file holds no progress", given=f"{file.name}: {err}", fix=fix) from None
    for e, r in records.items():
        e.record.tries = max(e.record.tries, r.tries)
        e.record.hints = max(e.record.hints, r.hints)
        e.record.solved = e.record.solved or r.solved
