"""A descent in words: one line for each status, the reason with its numbers, and what helps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.ops.creation import make_leaf
from chainrule.optim import cures
from chainrule.optim.result import point_text
from chainrule.tape.modes import no_grad

if TYPE_CHECKING:
    from chainrule.optim.result import Descent

_PROBED = 8  # unknowns whose neighbourhood is looked at


def headline(r: Descent) -> str:
    """The verdict in one line."""
    return _HEADLINES[r.status](r)


def verdict(r: Descent) -> str:
    """The lines below the table."""
    if r.status == "converged":
        return "\n".join([f"{headline(r)}      w = {point_text(r.w)}", *_expectation(r)])
    return reason(r)


def reason(r: Descent) -> str:
    """Why it ended so, and what helps."""
    lines = [headline(r), *(f"  {line}" for line in _REASONS[r.status](r))]
    if r.status == "converged":
        lines += [f"  {line}" for line in _expectation(r)]
    lines += [f"  {line}" for line in _lower(r)]
    helps = _CURES[r.status](r)
    return "\n".join(lines + ([f"  What helps:  {'      '.join(map(str, helps))}"] if helps else []))


# --- one line ---------------------------------------------------------------------------------------------


def _norm(r: Descent) -> str:
    sign = "≤" if r.norm <= r.tol else ">"
    return f"‖∇L‖ = {r.norm:.4g} {sign} tol {r.tol:g}"


def _so_far(r: Descent) -> str:
    return (
        f"w = {point_text(r.w)} after {_count(r.at_step)} is returned: L = {r.value:.6g}, ‖∇L‖ = {r.norm:.4g}"
    )


def _count(steps: int) -> str:
    return f"{steps} step{'s' * (steps != 1)}"


def _converged(r: Descent) -> str:
    return f"converged in {_count(r.steps)}: ‖∇L‖ = {r.norm:.3g} ≤ tol {r.tol:g}"


def _stalled(r: Descent) -> str:
    return (
        f"stalled at step {r.steps} of {r.maxiter}: w no longer changes, and never will.          {_norm(r)}"
    )


def _cycling(r: Descent) -> str:
    again = f"w comes back every {_count(r.evidence.period)}"
    return f"cycling at step {r.steps} of {r.maxiter}: {again}, and always will.          {_norm(r)}"


def _oscillating(r: Descent) -> str:
    e = r.evidence
    if r.norm > r.tol >= e.old_norm:
        at_w = f"at the returned w it is {r.norm:.3g} > tol {r.tol:g}"
        return f"oscillating: ‖∇L‖ was {e.old_norm:.3g} one step earlier, and {at_w}"
    lo, hi = min(e.norms), max(e.norms)
    stays = f"stays {hi:.3g}" if f"{lo:.3g}" == f"{hi:.3g}" else f"stays between {lo:.3g} and {hi:.3g}"
    return f"oscillating at step {r.steps} of {r.maxiter}: each step leaps over the minimum, and ‖∇L‖ {stays}"


def _diverged(r: Descent) -> str:
    grew = f"from {r.history.norms[0]:.3g} to {r.evidence.norms[-1]:.3g}"
    what = "L falls without bound" if _falls(r) else "each step leaps further than the one before"
    return f"diverged at step {r.steps} of {r.maxiter}: {what}, ‖∇L‖ went {grew}"


def _falls(r: Descent) -> bool:
    values = r.history.values
    return bool(values) and values[-1] < values[0]


def _flat(r: Descent) -> str:
    return f"flat: the gradient is exactly 0 at the start, w = {point_text(r.w)}: there is no direction to go"


def _max_iterations(r: Descent) -> str:
    return f"stopped at maxiter = {r.maxiter}, before it converged.          {_norm(r)}"


def _non_finite(r: Descent) -> str:
    e = r.evidence
    what = f"L = {e.last_value:g}" if not math.isfinite(e.last_value) else "the gradient is not finite"
    return f"not finite after {_count(r.steps)}: {what} at w = {point_text(e.last)}"


def _interrupted(r: Descent) -> str:
    who = "by the callback" if r.evidence.reason == "callback" else "with Ctrl-C"
    best = "" if r.evidence.reason == "callback" else ", the best so far,"
    what = _so_far(r).replace(" is returned", f"{best} is returned")
    return f"interrupted {who} at step {r.steps} of {r.maxiter}: {what}"


# --- the reason -----------------------------------------------------------------------------------------


def _expectation(r: Descent) -> list[str]:
    """What each step multiplies the error by, and so how many steps it takes."""
    rate = cures.rate_of(r)
    if rate is None:
        return []
    about = "" if rate.steps == r.steps else "about "
    near = abs(rate.steps - r.steps) <= 2 + 0.02 * r.steps
    line = f"each step multiplies the error by {rate.formula}"
    if near and r.success:
        line += f", so {about}{rate.steps} steps were to be expected"
    elif r.status == "max_iterations":
        line += f": it takes about {rate.steps} steps"
    better = cures.best_rate(r, rate) if r.success and cures.affordable(r) else None
    return [line + (f"; lr = {better.lr:g} would need {better.steps}." if better is not None else ".")]


def _why_stalled(r: Descent) -> list[str]:
    e, names, kind = r.evidence, r.unknowns, cures.dtype_name(r)
    w, g = np.atleast_1d(np.asarray(e.last)).ravel(), np.atleast_1d(np.asarray(e.gradient)).ravel()
    i = int(np.argmax(np.abs(g)))
    step = float(abs(w.dtype.type(r.lr) * g[i]))
    ahead = np.nextafter(w[i], w.dtype.type(-math.inf if g[i] > 0 else math.inf))
    gap = float(abs(ahead - w[i]))
    half = "less than half of that" if step < gap / 2 else "half of that, and rounds to the even one"
    lines = [
        f"next {kind} after {names[i]} = {w[i].item():.8g} is {gap:.1e} away; "
        f"your step lr·|∂L/∂{names[i]}| = {step:.3e} is {half},",
        f"so w - lr·grad rounds back to w.{_froze(r)}",
        f"{kind} with lr = {r.lr:g} cannot get below ‖∇L‖ ≈ {r.norm:.1e} here.     "
        f"{r.maxiter - _last_move(r)} of the {r.maxiter} steps would change nothing.",
    ]  # fmt: skip
    return lines if step else [f"lr·∂L/∂{names[i]} is too small for {kind}: it underflows to 0.", lines[2]]


def _last_move(r: Descent) -> int:
    return max(r.evidence.last_move.values(), default=r.steps - 1)


def _froze(r: Descent) -> str:
    moves, names = sorted(r.evidence.last_move.items(), key=lambda m: (m[1], m[0])), r.unknowns
    if len(moves) < 2:
        return f" ({names[0]} last moved with step {_last_move(r)}.)" if len(names) == 1 else ""
    (first, early), (last, late) = moves[0], moves[-1]
    if early == late:
        return f" (All froze after step {late}.)"
    return f" ({names[first]} froze first, after step {early}, {names[last]} after step {late}.)"


def _why_cycling(r: Descent) -> list[str]:
    lo, hi = _around(r)
    between = f"= {hi:.4g}" if lo == hi else f"between {lo:.4g} and {hi:.4g}"
    return [
        f"the minimum lies between neighbouring numbers of {cures.dtype_name(r)}, and each step leaps over it:",
        f"‖∇L‖ {between}, for ever; nothing nearer can be reached with lr = {r.lr:g}.",
    ]


def _around(r: Descent) -> tuple[float, float]:
    norms = r.evidence.norms[-max(r.evidence.period, 1) :]
    return min(norms), max(norms)


def _why_oscillating(r: Descent) -> list[str]:
    if r.norm > r.tol >= r.evidence.old_norm:
        return ["the last step led away from a point that was good enough: lr is too large for the minimum."]
    return [
        f"each step goes twice as far as the minimum is: the curvature there is 2/lr = {2 / r.lr:.4g},",
        "or the minimum is a kink (abs, norm, max), where ∇L does not get smaller.",
    ]


def _why_diverged(r: Descent) -> list[str]:
    norms = [x for x in r.evidence.norms if math.isfinite(x)]
    lines = ["there is no minimum that way: the further w goes, the faster L falls."] if _falls(r) else []
    if not lines and len(norms) > 1 and norms[-2] > 0:
        lines.append(
            f"the last step multiplied ‖∇L‖ by {norms[-1] / norms[-2]:.4g}; lr·curvature above 2 makes it so."
        )
    return [*lines, _so_far(r)] if r.evidence.strict else lines


def _why_flat(r: Descent) -> list[str]:
    """What the neighbourhood looks like, a small step along each axis, in both directions."""
    w = np.asarray(r.w)
    if w.size > _PROBED or not cures.affordable(r):
        return ["a minimum, a maximum, a saddle, or a flat piece (relu, round, clamp): try another start."]
    changes = _neighbours(r, w)
    if all(c == 0 for c in changes):
        return [
            "L does not change near it either: a flat piece (relu, round, clamp, a condition); start elsewhere."
        ]
    if all(c >= 0 for c in changes):
        return ["L rises in the directions that were tried: this may be the minimum already."]
    return ["L falls nearby: this is a maximum or a saddle; start a little beside it."]


def _neighbours(r: Descent, w: np.ndarray) -> list[float]:
    found = []
    reach = 1e-3 * np.maximum(1.0, np.abs(w))
    for i in range(w.size):
        for sign in (1.0, -1.0):
            v = w.astype(w.dtype).copy()
            v.reshape(-1)[i] += w.dtype.type(sign * reach.reshape(-1)[i])
            with no_grad():
                found.append(float(r.evidence.f(make_leaf(v))) - r.value)
    return found


def _why_max_iterations(r: Descent) -> list[str]:
    if r.evidence.still:
        since = _last_move(r)
        return [
            f"w has not changed since step {since}: {r.maxiter - since} steps changed nothing.",
            *_why_stalled(r)[:2],
        ]
    return [*_expectation(r), f"w = {point_text(r.w)}, L = {r.value:.6g}"]


def _why_non_finite(r: Descent) -> list[str]:
    e = r.evidence
    g = np.atleast_1d(np.asarray(e.gradient)).ravel()
    bad = np.flatnonzero(~np.isfinite(g))[:4].tolist()
    lines = [f"∂L/∂{r.unknowns[i]} = {g[i]:g}" for i in bad]
    if r.steps == 0:
        return [*lines, "this is the start: choose one where L and its gradient are finite."]
    return [*lines, f"the step before, L and its gradient were finite. {_so_far(r)}"] if e.strict else lines


def _nothing(r: Descent) -> list[str]:
    return []


def _lower(r: Descent) -> list[str]:
    """Where L was lower than at the returned point, by more than rounding."""
    lowest, k = r.evidence.lowest
    eps = float(np.finfo(np.asarray(r.w).dtype).eps)
    noise = (
        64 * eps * max(abs(lowest), abs(r.value), 1e-3 * abs(r.history[0].value) if len(r.history) else 0.0)
    )
    if r.status == "cycling" or not r.value - lowest > noise:
        return []
    return [f"L was lower after {_count(k)}: {lowest:.6g}, against {r.value:.6g} here."]


# --- what helps ------------------------------------------------------------------------------------------


_BOTTOM = "a function that has a minimum: add a penalty, or a bound"


def _steepens(r: Descent) -> bool:
    """Whether L fell, and its slope did not get smaller: perhaps there is no minimum."""
    return _falls(r) and r.norm >= 0.99 * r.history.norms[0]


def _cures_of_rounding(r: Descent) -> list[Any]:
    if not cures.affordable(r):
        return [
            'dtype="float64"',
            "a smaller lr" if r.status == "cycling" else "a larger lr",
            cures.looser(r),
        ]
    found = [cures.more_digits(r), cures.other_rate(r, up=r.status != "cycling"), cures.looser(r)]
    return [c for c in found if c is not None]


def _smaller_rate(r: Descent) -> list[Any]:
    cure = cures.other_rate(r, up=False) if cures.affordable(r) else None
    if cure is None and r.status == "oscillating":
        return ["a smaller lr brings w nearer to the minimum; at a kink ‖∇L‖ stays above tol with any lr"]
    return [cure or "a smaller lr"]


def _cures_of_max(r: Descent) -> list[Any]:
    if r.evidence.still:
        return _cures_of_rounding(r)
    rate = cures.rate_of(r)
    found: list[Any] = [f"maxiter={cures._ceiling(rate.steps)}" if rate is not None else "a larger maxiter"]
    faster = cures.other_rate(r, up=True) if cures.affordable(r) and r.steps else None
    return [*found, *([faster] if faster is not None else []), *([_BOTTOM] if _steepens(r) else [])]


def _go_on(r: Descent) -> list[Any]:
    return ["minimize(f, r.w, …) goes on from there"]


def _after_non_finite(r: Descent) -> list[Any]:
    return [*_smaller_rate(r), *([_BOTTOM] if _steepens(r) else [])] if r.steps else []


def _cures_of_divergence(r: Descent) -> list[Any]:
    return [_BOTTOM] if _falls(r) else _smaller_rate(r)


_Lines = Callable[["Descent"], list[Any]]
_HEADLINES: dict[str, Callable[[Any], str]] = {
    "converged": _converged, "stalled": _stalled, "cycling": _cycling, "oscillating": _oscillating,
    "diverged": _diverged, "flat": _flat, "max_iterations": _max_iterations, "non_finite": _non_finite,
    "interrupted": _interrupted,
}  # fmt: skip
_REASONS: dict[str, _Lines] = {
    "converged": _nothing, "stalled": _why_stalled, "cycling": _why_cycling, "oscillating": _why_oscillating,
    "diverged": _why_diverged, "flat": _why_flat, "max_iterations": _why_max_iterations,
    "non_finite": _why_non_finite, "interrupted": _nothing,
}  # fmt: skip
_CURES: dict[str, _Lines] = {
    "converged": _nothing, "stalled": _cures_of_rounding, "cycling": _cures_of_rounding,
    "oscillating": _smaller_rate, "diverged": _cures_of_divergence, "flat": _nothing,
    "max_iterations": _cures_of_max, "non_finite": _after_non_finite, "interrupted": _go_on,
}  # fmt: skip
