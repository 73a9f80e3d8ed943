"""What an expression does around a point, by differences that know no rule: slopes, kinks and jumps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from chainrule.insight.expression.compute import engine_of_columns
from chainrule.insight.expression.point import Point
from chainrule.insight.expression.tree import Expression

_STEPS = tuple(10.0 ** (-k / 2) for k in range(2, 21))
_MOST_AT_ONCE = 2**15  # numbers in one operand: larger ones leave the processor's cache

_OneNumber = Callable[[float], float]


@dataclass(frozen=True, slots=True)
class Look:
    """What L does around a point when one number is changed."""

    slope: float  # by central differences; NaN where L is not finite on both sides
    error: float
    left: float  # one-sided slopes
    right: float
    bends: bool  # they differ, however near one looks
    jump: float  # how far L moves within a few roundings of the point …
    jump_width: float  # … that are this far apart
    height: float
    step: float
    change: float

    def agrees(self, value: float) -> bool | None:
        """Whether the differences say the same; None where they are too rough to say."""
        if math.isnan(self.slope) or math.isnan(value):
            return None
        size = max(abs(value), abs(self.slope))
        if abs(value - self.slope) <= 1e-6 * size + 10 * self.error:
            return True
        return False if self.error < 1e-3 * abs(self.slope) else None

    def jumps(self, value: float) -> bool:
        """Whether L moves more, very near the point, than this slope explains."""
        return self.jump > 100 * abs(value) * self.jump_width + 1e-9 * max(1.0, abs(self.height))


# Note [All places at once]
# A look wants L at about 160 places: one after the other, 160 evaluations for each number of the point. So a
# look is taken twice, first on a function that only notes where it is asked, then on the heights there, which
# one evaluation gives for the places of many numbers together.


def look_around(expression: Expression, point: Point) -> dict[str, list[Look]]:
    """One look for each number of the point, the others staying where they are."""
    numbers = [(name, i, w) for name, at in point.items() for i, w in enumerate(_entries(at))]
    longest = max((len(_entries(at)) for at in point.values()), default=1)
    found: dict[str, list[Look]] = {name: [] for name in point}
    waiting = [(name, i, w, _places(w)) for name, i, w in numbers]
    while waiting:
        together = max(1, _MOST_AT_ONCE // (longest * len(waiting[0][3])))
        group, waiting = waiting[:together], waiting[together:]
        heights = _heights(expression, point, [(name, i, places) for name, i, _, places in group])
        for name, _, w, places in group:
            known = dict(zip(places, islice(heights, len(places)), strict=True))
            found[name].append(_look(known.__getitem__, w))
    return found


def _entries(at: float | list[float]) -> list[float]:
    return at if isinstance(at, list) else [at]


def _places(w: float) -> list[float]:
    """Where a look at `w` asks."""
    asked: dict[float, float] = {}
    _look(lambda place: asked.setdefault(place, math.nan), w)
    return list(asked)


def _heights(
    expression: Expression, point: Point, moved: list[tuple[str, int, list[float]]]
) -> Iterator[float]:
    """L with one number moved to each of its places, then the next: all by one evaluation."""
    import chainrule as cr

    count = sum(len(places) for _, _, places in moved)
    columns = {name: np.repeat(np.array(point[name])[..., None], count, axis=-1) for name, _, _ in moved}
    start = 0
    for name, i, places in moved:
        np.atleast_2d(columns[name])[i, start : start + len(places)] = places
        start += len(places)
    env = {**point, **{name: cr.tensor(values) for name, values in columns.items()}}
    out = expression.evaluate(env, engine_of_columns())
    return iter(np.broadcast_to(np.asarray(out, dtype=float), count).tolist())


def along(expression: Expression, point: Point, name: str, entry: int | None) -> _OneNumber:
    """L as a function of one number, the others staying where they are."""
    import chainrule as cr

    others = {n: cr.tensor(v) for n, v in point.items() if n != name}
    at = point[name]

    def f(moved: float) -> float:
        new = [*at[:entry], moved, *at[entry + 1 :]] if isinstance(at, list) and entry is not None else moved
        return float(expression.evaluate({**others, name: cr.tensor(new)}))

    return f


def _look(f: _OneNumber, w: float) -> Look:
    slope, error = _central_difference(f, w)
    scale, f0 = abs(w) or 1.0, f(w)
    tiny = 1e-13 * scale
    jump = abs(f(w + tiny) - f(w - tiny))
    left, right, bends = _sides(f, w, scale)
    step = _telling_step(f, w, slope)
    return Look(slope, error, left, right, bends, jump, 2 * tiny, f0, step, f(w + step) - f0)


def _telling_step(f: _OneNumber, w: float, slope: float) -> float:
    """A round step after which L is still near its tangent; 0.01, or that of the size of w, where none is."""
    exponent = -2 if w == 0 or 0.1 <= abs(w) < 100 else math.floor(math.log10(abs(w))) - 2
    steps = [10.0 ** (exponent - k) for k in range(9)]
    near = (h for h in steps if abs(f(w + h) - f(w) - slope * h) < 0.2 * abs(slope * h))
    return next(near, steps[0])


def _sides(f: _OneNumber, w: float, scale: float) -> tuple[float, float, bool]:
    """Slopes on the left and on the right, and whether they differ however near one looks."""
    f0 = f(w)
    (l1, r1), (l2, r2), (l3, r3) = (
        ((f0 - f(w - h)) / h, (f(w + h) - f0) / h) for h in (1e-5 * scale, 1e-7 * scale, 1e-10 * scale)
    )
    bend, noise = abs(r2 - l2), 1e-15 * abs(f0) / scale
    steady = max(abs(l1 - l2), abs(r1 - r2)) < 0.1 * bend
    stays = abs(r3 - l3) > 0.5 * bend or noise / 1e-10 > 0.1 * bend  # a kink that is near by is not here
    return l2, r2, steady and stays and bend > 1e-4 * max(abs(l2), abs(r2)) + noise / 1e-7


def _central_difference(f: _OneNumber, w: float) -> tuple[float, float]:
    """Slope of f at w by differences of fourth order, and its error; the step is chosen by the results."""
    best, lowest = (math.nan, math.inf), math.inf
    for scale in dict.fromkeys((abs(w) or 1.0, max(1.0, abs(w)))):  # near by first
        before = math.nan
        for h in (k * scale for k in _STEPS):
            a, b, c, d = f(w - 2 * h), f(w - h), f(w + h), f(w + 2 * h)
            slope, height = (8 * (c - b) - (d - a)) / (12 * h), max(abs(b), abs(c))
            error = abs(slope - before) + 2.2e-16 * height / h
            relative = error / (max(abs(slope), 1e-8 * height / scale) or 1.0)
            if relative < lowest:
                best, lowest = (slope, error), relative
            if relative <= 1e-11:
                return best
            before = slope
    return best
