"""What a descent found, and how it ended: `Descent`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.optim.history import History

if TYPE_CHECKING:
    from chainrule.optim.walk import Walk

_SHOWN = 6  # entries of w that are printed


class Words(str):
    """Text of several lines that shows as it is, also at the prompt."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the verdict rests on: how the descent was run, and the last it saw.

    last, largest, last_move
        The last point, how far the last step was to go, and when coordinates stopped moving.
    norms
        The last ‖∇L‖, up to 64 of them.
    """

    f: Callable[[Any], Any]
    start: Any
    source: tuple[Any, int]
    seconds: float
    strict: bool
    reason: str
    last: Any = None
    gradient: Any = None
    last_value: float = 0.0
    still: bool = False
    period: int = 0
    last_move: dict[int, int] = field(default_factory=dict)
    norms: tuple[float, ...] = ()
    old_norm: float = 0.0
    reverses: bool = False
    lowest: tuple[float, int] = (0.0, 0)

    def of(self, s: Walk) -> Evidence:
        """With what a walk saw last."""
        lowest = (s.best.value, s.best.k) if s.best is not None else (s.value, s.k)
        return replace(
            self, last=s.w, gradient=s.g, last_value=s.value, still=s.k > 0 and s.still, period=s.period,
            last_move=dict(s.last_move), norms=tuple(s.norms), old_norm=s.old_norm, reverses=s.reverses, lowest=lowest,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Descent:
    """The result of `minimize`: where the descent ended, why, and how it got there.

    status
        converged, stalled, cycling, oscillating, diverged, flat, max_iterations, non_finite or interrupted.
    w, value, grad, norm
        The point, and L, ∇L, ‖∇L‖ measured there. The last point of the descent; the one with the smallest L where
        it diverged, met a number that is not finite, or was interrupted with Ctrl-C.
    steps
        How many steps were taken; `at_step` of them lead to `w`.
    history
        The table of the steps.

    `print(r)` shows the table and the verdict, `r.why()` the reason and what helps. Both may run the function again
    to say what would have helped, unless that takes longer than a second or two.

    Examples
    --------
    >>> import chainrule as cr
    >>> r = cr.minimize(lambda w: (w - 3) ** 2, 0.0, lr=0.1)
    >>> r
    Descent(status='converged', w=tensor(3.0000), value=1.56e-13, steps=71)
      criteria   ‖∇L‖ ≤ 1e-06   yes        steps < 10000   yes        finite   yes        still moving   yes
      measured at the returned w (value, gradient), not one step earlier
    """

    status: str
    w: Any
    value: float
    grad: Any
    norm: float
    steps: int
    at_step: int
    lr: float
    tol: float
    maxiter: int
    history: History
    evidence: Evidence
    names: tuple[str, ...] = ()

    @property
    def success(self) -> bool:
        """Whether it converged."""
        return self.status == "converged"

    @property
    def criteria(self) -> dict[str, bool]:
        """What was asked of the result, and whether it holds at `w`."""
        finite = bool(np.isfinite(self.value) and np.isfinite(self.norm))
        return {
            f"‖∇L‖ ≤ {self.tol:g}": bool(self.norm <= self.tol),
            f"steps < {self.maxiter}": self.steps < self.maxiter,
            "finite": finite,
            "still moving": self.steps > 0 and not self.evidence.still,
        }

    @property
    def message(self) -> str:
        """The verdict in one line."""
        from chainrule.optim.verdict import headline

        return headline(self)

    @property
    def unknowns(self) -> tuple[str, ...]:
        """The names of the coordinates: `w[0]`, `w[1]` …, unless others were given."""
        return self.names or coordinate_names(self.w.shape)

    def named(self, names: Sequence[str]) -> Descent:
        """The same result with names for the coordinates, in the order of the entries of `w`."""
        if len(names) != self.w.numel():
            given = f"{len(names)} names for {self.w.numel()} coordinates"
            raise ArgumentError(
                "each coordinate has one name", given=given, fix="give as many names as entries of w"
            )
        return replace(self, names=tuple(map(str, names)))

    def why(self) -> Words:
        """Why it ended so, with the numbers, and what helps."""
        from chainrule.optim.verdict import reason

        return Words(reason(self))

    def plot(self, kind: str | None = None, *, ax: Any = None) -> Any:
        """A picture: the way across the contour lines for two unknowns, else loss and ‖∇L‖ against the step.

        Parameters
        ----------
        kind
            "path" or "convergence", to choose.
        ax
            A matplotlib axes to draw on; it is returned.

        Raises
        ------
        ArgumentError (E104)
            A path of other than two unknowns.
        """
        from chainrule.optim.picture import plot_descent

        return plot_descent(self, kind, ax=ax)

    def to_csv(self, path: str | Path) -> None:
        """Write the history to a file; texts that a spreadsheet would run as formulas are quoted."""
        self.history.to_csv(path, self.unknowns)

    def __repr__(self) -> str:
        head = f"Descent(status={self.status!r}, w={self.w!r}, value={self.value:.4g}, steps={self.steps})"
        words = "        ".join(f"{what}   {'yes' if ok else 'no'}" for what, ok in self.criteria.items())
        return f"{head}\n  criteria   {words}\n  measured at the returned w (value, gradient), not one step earlier"

    def __str__(self) -> str:
        from chainrule.optim.verdict import verdict

        table = f"{self.history}\n" if len(self.history) else ""
        return table + verdict(self)


def coordinate_names(shape: tuple[int, ...]) -> tuple[str, ...]:
    """`w`, or `w[0]`, `w[1]` …, or `w[0, 0]` … ."""
    if shape == ():
        return ("w",)
    return tuple(f"w[{', '.join(map(str, index))}]" for index in np.ndindex(*shape))


def point_text(w: Any) -> str:
    """The entries of a point, eight digits each, a few where there are many."""
    entries = np.asarray(w).ravel().tolist()
    texts = [f"{x:.8g}" for x in entries]
    if len(texts) > _SHOWN:
        texts = [*texts[: _SHOWN - 2], "…", texts[-1]]
    return texts[0] if np.ndim(np.asarray(w)) == 0 else f"[{', '.join(texts)}]"
