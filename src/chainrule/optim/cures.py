"""What would have helped: other settings, tried by running the descent again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from chainrule.errors import ChainruleError

if TYPE_CHECKING:
    from chainrule.optim.result import Descent

_SECONDS = 2.0  # a run that took longer is not repeated to make a sentence
_TRIES = 10


class Cure(NamedTuple):
    """A setting that helps, as it is typed, and what came of trying it (nothing, where it was not tried)."""

    setting: str
    outcome: str

    def __str__(self) -> str:
        return f"{self.setting} → {self.outcome}" if self.outcome else self.setting


class Rate(NamedTuple):
    """What each step multiplies the gradient by, and the curvature that makes it so."""

    factor: float
    curvature: float
    steps: int  # to be expected

    @property
    def formula(self) -> str:
        """`0.98 (= 1 - 2·lr)`."""
        return f"{self.factor:.4g} (= 1 - {self.curvature:.4g}·lr)"


def affordable(r: Descent) -> bool:
    """Whether the function is quick enough to be run again for the sake of an explanation."""
    return r.evidence.seconds <= _SECONDS


def tried(r: Descent, *, lr: float | None = None, dtype: type | None = None) -> Descent | None:
    """The descent with another setting; None where the function failed there. At most three times as long."""
    from chainrule.optim.descent import descend

    e = r.evidence
    start = e.start
    if dtype is np.float64:
        start = np.asarray(start, np.float64)
        start = start.item() if start.ndim == 0 else start
    limit = min(3 * r.steps + 1000, 100_000)
    try:
        return descend(e.f, start, lr=r.lr if lr is None else lr, tol=r.tol, maxiter=limit, source=e.source)
    except ChainruleError:
        return None


def round_rates(lr: float, up: bool) -> Iterator[float]:
    """The next learning rates that one would type: 0.02, 0.05, 0.1 … or 0.5, 0.2, 0.1 …"""
    exponent = math.floor(math.log10(lr))
    ladder = [float(f"{m}e{e}") for e in range(exponent - _TRIES, exponent + _TRIES) for m in (1, 2, 5)]
    chosen = (
        [x for x in ladder if x > lr * (1 + 1e-9)]
        if up
        else [x for x in reversed(ladder) if x < lr * (1 - 1e-9)]
    )
    yield from chosen[:_TRIES]


def other_rate(r: Descent, *, up: bool) -> Cure | None:
    """The nearest round learning rate that converges."""
    slow, spent = None, 0.0
    for lr in round_rates(r.lr, up):
        if spent > _SECONDS:
            break
        t = tried(r, lr=lr)
        spent += 0.0 if t is None else t.evidence.seconds
        if t is not None and t.success:
            return Cure(f"lr={lr:g}", f"{_steps(t, r)} in {dtype_name(r)}")
        if up and (t is None or t.status in ("diverged", "oscillating", "non_finite")):
            return None
        if (
            slow is None
            and t is not None
            and t.status == "max_iterations"
            and t.norm < 0.9 * t.history.norms[0]
        ):
            slow = Cure(f"lr={lr:g}", f"‖∇L‖ = {t.norm:.2g} after {t.steps} steps, and falling")
    return None if up else slow


def more_digits(r: Descent) -> Cure | None:
    """float64, where the descent ran in less."""
    if dtype_name(r) == "float64":
        return None
    t = tried(r, dtype=np.float64)
    return Cure('dtype="float64"', f"converges in {_steps(t, r)}") if t is not None and t.success else None


def looser(r: Descent) -> Cure:
    """The tolerance, one digit, that the descent did reach."""
    reached = max(r.evidence.norms[-max(r.evidence.period, 1) :])
    exponent = math.floor(math.log10(reached))
    return Cure(f"tol={float(f'{math.ceil(reached / 10.0**exponent)}e{exponent}'):.0e}", "")


def best_rate(r: Descent, rate: Rate) -> Descent | None:
    """With the learning rate 1/curvature, which takes the direction that was slowest to its minimum at once."""
    lr = float(f"{1 / rate.curvature:.3g}")
    t = tried(r, lr=lr) if abs(lr - r.lr) > 1e-3 * lr else None
    return t if t is not None and t.success and t.steps < r.steps else None


def rate_of(r: Descent) -> Rate | None:
    """The factor per step, where nearly all steps had the same; None where they differ or do not shrink."""
    norms = r.history.norms
    if r.history.every > 1 or len(norms) < 12:
        return None
    pairs = pairwise(norms)
    ratios = np.array([b / a for a, b in pairs if a > 0 and math.isfinite(a) and math.isfinite(b)])
    if len(ratios) < 10:
        return None
    factor = float(np.median(ratios))
    alike = np.mean(np.abs(ratios - factor) < 0.01 * (1 - factor) + 1e-9) if factor < 1 else 0.0
    if alike < 0.6 or factor <= 0 or r.tol <= 0:
        return None
    expected = 1 + max(0, math.ceil(math.log(r.tol / norms[0]) / math.log(factor)))
    signed = -factor if r.evidence.reverses else factor
    return Rate(signed, (1 - signed) / r.lr, expected)


def dtype_name(r: Descent) -> str:
    """The dtype that the descent ran in."""
    return str(r.w.dtype)


def _steps(t: Descent, r: Descent) -> str:
    raised = f" (maxiter={_ceiling(t.steps)})" if t.steps > r.maxiter else ""
    return f"{t.steps} steps{raised}"


def _ceiling(n: int) -> int:
    exponent = 10 ** (len(str(n)) - 1)
    return -(-n // exponent) * exponent
