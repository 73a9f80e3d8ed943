"""The table of a descent: step, value, norm of the gradient, largest step, in bounded memory."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

KEPT = 100_000  # rows: 2.4 MB and the path
_PATH = 8  # so many unknowns at most have their path kept too


class Row(NamedTuple):
    """Step `step` left a point where L was `value` and ‖∇L‖ was `norm`; no coordinate moved further than `largest`."""

    step: int
    value: float
    norm: float
    largest: float


class History:
    """The steps of a descent, as a table: `len`, `[i]`, iteration give a `Row`; `str` shows a few of them.

    The first 100 000 steps are kept as they are. A longer run keeps every second one, then every fourth …, and
    always the first and the last: `every` says which.

    Examples
    --------
    >>> import chainrule as cr
    >>> r = cr.minimize(lambda w: (w - 1) ** 2, 0.0, lr=0.25)
    >>> r.history[0]
    Row(step=1, value=1.0, norm=2.0, largest=0.5)
    >>> r.history.path[:3]
    [(0.0,), (0.5,), (0.75,)]
    """

    def __init__(self, unknowns: int, kept: int = KEPT) -> None:
        self.every = 1
        self.width = unknowns if unknowns <= _PATH else 0
        self._kept = kept
        self._steps, self._path = array("q"), array("d")
        self._values, self._norms, self._largest = array("d"), array("d"), array("d")

    def add(self, step: int, value: float, norm: float, largest: float, point: Sequence[float]) -> None:
        """One step, if it is one of those that are kept; `point` is where it began."""
        if (step - 1) % self.every:
            return
        self._append(step, value, norm, largest, point)
        if len(self._steps) > self._kept:
            self._thin()

    def add_last(self, step: int, value: float, norm: float, largest: float, point: Sequence[float]) -> None:
        """The last step, which is kept in any case."""
        if not self._steps or self._steps[-1] != step:
            self._append(step, value, norm, largest, point)

    def _append(self, step: int, value: float, norm: float, largest: float, point: Sequence[float]) -> None:
        self._steps.append(step)
        self._values.append(value)
        self._norms.append(norm)
        self._largest.append(largest)
        if self.width:
            self._path.extend(point)

    def _thin(self) -> None:
        self.every *= 2
        for name in ("_steps", "_values", "_norms", "_largest"):
            setattr(self, name, getattr(self, name)[::2])
        if self.width:
            self._path = array("d", (x for point in self.path[::2] for x in point))

    # --- reading ------------------------------------------------------------------------------------

    @property
    def steps(self) -> list[int]:
        """The numbers of the steps, from 1."""
        return self._steps.tolist()

    @property
    def values(self) -> list[float]:
        """L at the points where the steps began."""
        return self._values.tolist()

    @property
    def norms(self) -> list[float]:
        """‖∇L‖ at the points where the steps began."""
        return self._norms.tolist()

    @property
    def largest(self) -> list[float]:
        """How far the coordinate that moved most was to move."""
        return self._largest.tolist()

    @property
    def path(self) -> list[tuple[float, ...]]:
        """The points where the steps began, where there are no more than 8 unknowns; else empty."""
        w = self.width
        return [tuple(self._path[i : i + w]) for i in range(0, len(self._path), w)] if w else []

    def __len__(self) -> int:
        return len(self._steps)

    def __getitem__(self, i: int) -> Row:
        return Row(self._steps[i], self._values[i], self._norms[i], self._largest[i])

    def __iter__(self) -> Iterator[Row]:
        return map(Row, self._steps, self._values, self._norms, self._largest)

    def __str__(self) -> str:
        lines = [HEAD, *(row_text(self[i]) for i in self._shown())]
        if self.every > 1:
            lines.append(f"  (of more than {self._kept} steps, every {self.every}th is kept)")
        return "\n".join(lines)

    def __repr__(self) -> str:
        thinned = f", every {self.every}th kept" if self.every > 1 else ""
        return f"History({len(self)} rows{thinned})"

    def _shown(self) -> list[int]:
        """Rows of steps 1, 10, 100 …, half of the last decade, and the last; the next kept one where one is missing."""
        if not self._steps:
            return []
        last, wanted = self._steps[-1], [1]
        while wanted[-1] * 10 <= last:
            wanted.append(wanted[-1] * 10)
        wanted += [5 * wanted[-1]] * (wanted[-1] > 1 and 5 * wanted[-1] < last) + [last]
        rows = [min(-((1 - k) // self.every), len(self) - 1) for k in wanted[:-1]] + [len(self) - 1]
        return list(dict.fromkeys(rows))

    def to_csv(self, path: str | Path, names: Sequence[str]) -> None:
        """Write the table, with the path of the coordinates `names` where it was kept."""
        columns = list(names) if self.width else []
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([safe_cell(c) for c in ("step", "value", "norm", "largest_step", *columns)])
            points = self.path or [()] * len(self)
            writer.writerows([*row, *point] for row, point in zip(self, points, strict=True))


HEAD = "  k        L(w)         ‖∇L‖       largest step"


def row_text(row: Row) -> str:
    """One line of the table."""
    return f"  {row.step:<7}  {row.value:.4e}".ljust(22) + f"  {row.norm:.3e}  {row.largest:.1e}"


def safe_cell(text: str) -> str:
    """Text that a spreadsheet takes for text: a name such as `=cmd(…)` would be run as a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
