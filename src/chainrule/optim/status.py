"""How a descent ends: each rule a small function with its reason, asked after every measurement.

A rule sees the walk after `k` steps, with value and gradient measured at its present point, and returns the status
or None. The first answer counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import islice, pairwise

import numpy as np

from chainrule.optim.walk import WINDOW, Walk, opposed, same

_BLOWN_UP = 1e3  # times the gradient at the start
_RISING = 10  # steps in a row
_ULPS = 16  # a cycle no wider than this is one of rounding


def not_finite(s: Walk) -> str | None:
    """NaN and infinity stay: no later step can bring w back."""
    if s.norm < math.inf and s.value - s.value == 0.0:
        return None
    return "diverged" if blew_up(s) else "non_finite"


def blew_up(s: Walk) -> bool:
    """Whether the gradient had been growing before it overflowed: steps too long, not a point outside the domain."""
    finite = [x for x in s.norms if x < math.inf]
    if len(finite) < 3 or any(b <= a for a, b in pairwise(finite[-3:])):
        return False
    return finite[-1] > _BLOWN_UP * s.first_norm


def converged(s: Walk) -> str | None:
    """The gradient was within the tolerance where the last step began, and is so at the point that is returned.

    The first is the lecture's test, so that steps are counted as there; the second makes the answer true of `w`.
    """
    return "converged" if s.old_norm <= s.tol and s.norm <= s.tol else None


def flat(s: Walk) -> str | None:
    """A gradient of exactly 0 at the start says nothing of where a minimum is: there is no direction to go."""
    return "flat" if s.k == 0 and s.norm == 0.0 else None


def stalled(s: Walk) -> str | None:
    """The last step changed no coordinate: each was below half the spacing of the numbers around it.

    The next step would be the same, and so on for ever. That the gradient is the same when it is measured again
    shows that f gives one answer for one point; of a random f nothing could be said.
    """
    return "stalled" if s.still and same(s.g, s.old_g) else None


def repeating(s: Walk) -> str | None:
    """w is bit for bit where it was, twice after the same number of steps: it will go round for ever.

    Where the circle is as small as rounding makes it, nothing better can be had in this dtype: cycling. Else each
    step leaps over the minimum and the next one back: oscillating.
    """
    if not s.repeats():
        return None
    return "cycling" if of_rounding(s) else "oscillating"


def of_rounding(s: Walk) -> bool:
    """Whether a cycle is one of rounding: a few spacings wide, or tiny beside what the gradient was."""
    w, old = np.asarray(s.w), np.asarray(s.old_w)
    spacing = np.spacing(np.maximum(np.abs(w), np.abs(old)))
    return (
        bool((np.abs(w - old) <= _ULPS * spacing).all())
        or s.norm < math.sqrt(np.finfo(w.dtype).eps) * s.top_norm
    )


def diverging(s: Walk) -> str | None:
    """L and ‖∇L‖ rose with each of the last ten steps, and ‖∇L‖ is a thousand times what it was: it feeds itself.

    A step downhill that is short enough lowers L; one that raises it was too long, and where ‖∇L‖ rises too, the
    next one is longer still.
    """
    if not s.norm > _BLOWN_UP * s.first_norm or s.k < _RISING:
        return None
    rises = all(_rises(series) for series in (s.values, s.norms))
    return "diverged" if rises and s.value > s.first_value else None


def _rises(series: object) -> bool:
    last = list(series)[-_RISING - 1 :]  # type: ignore[call-overload]
    return all(b > a for a, b in pairwise(last))


def oscillating(s: Walk) -> str | None:
    """For 64 steps neither L nor ‖∇L‖ got below what they had been, and each step turns back on the one before.

    Looked at every 16 steps. A factor of −0.9999 per step still gets somewhere and shows in the window; −1 does not.
    A circle of rounding is left to `repeating`, which knows its length.
    """
    if s.k % 16 or len(s.norms) < WINDOW or not opposed(s.g, s.old_g, 0.9) or of_rounding(s):
        return None
    half = WINDOW // 2
    for series in (s.norms, s.values):
        early, late = list(islice(series, half)), list(islice(series, half, None))
        if min(late) < min(early) - 1e-12 * abs(min(early)):
            return None
    grows = max(islice(s.norms, half, None)) > 1.01 * max(islice(s.norms, half))
    return None if grows else "oscillating"


RULES: tuple[Callable[[Walk], str | None], ...] = (
    not_finite,
    converged,
    flat,
    stalled,
    repeating,
    diverging,
    oscillating,
)


def ending(s: Walk, maxiter: int) -> str | None:
    """The status, if the descent ends here."""
    for rule in RULES:
        status = rule(s)
        if status is not None:
            return status
    return None if s.k < maxiter else "converged" if s.norm <= s.tol else "max_iterations"


def lecture_ending(s: Walk, maxiter: int) -> str | None:
    """The lecture's own loop: `while k < maxiter and norm > tol`, with the norm where the step began.

    Where the loop ends, the status is what was measured at the point it ends at.
    """
    if s.k < maxiter and (s.k == 0 or s.old_norm > s.tol):
        return None
    if not_finite(s) is not None:
        return not_finite(s)
    return "converged" if s.norm <= s.tol else "max_iterations" if s.k >= maxiter else "oscillating"
