"""Numbers as text, tick marks, and the map from data to a frame of width 1."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

# Python floats end at 1.8e308; limits stay below, so that half a range never overflows.
_LARGEST = 1.7e308
_SMALLEST = 1e-300
_LOWEST_EXPONENT = -307.0
# Fractions beyond this lie a million frames outside: only the direction matters there.
_FAR = 1e6
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def format_number(value: float, *, digits: int = 4) -> str:
    """Text of a number: whole ones below a million in full, others with `digits` digits; a true minus sign.

    Examples
    --------
    >>> format_number(10000), format_number(0.1 + 0.2), format_number(-1.27949e-05)
    ('10000', '0.3', '−1.279e−5')
    """
    v = float(value)
    if math.isnan(v):
        return "nan"
    if math.isinf(v):
        return "inf" if v > 0 else "−inf"
    if v == math.trunc(v) and abs(v) < 1e6:
        return str(int(v)).replace("-", "−")  # int: a negative zero shows as 0
    mantissa, e, exponent = f"{v:.{digits}g}".partition("e")
    return (mantissa + (f"e{int(exponent)}" if e else "")).replace("-", "−")


def format_together(values: Iterable[float]) -> list[str]:
    """Text of several different numbers with as many digits as keep them apart: 100000.1, 100000.2, …"""
    values, texts = list(values), []
    for digits in range(4, 18):
        texts = [format_number(v, digits=digits) for v in values]
        if all(a != b for a, b in pairwise(texts)):
            break
    return texts


def ticks(lo: float, hi: float, *, target: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) from `lo` to `hi`, about `target` of them.

    Examples
    --------
    >>> ticks(-2.0, 2.0)
    [-2.0, -1.0, 0.0, 1.0, 2.0]
    >>> ticks(0.0, 0.31)
    [0.0, 0.1, 0.2, 0.3]
    """
    distance = hi / target - lo / target  # hi - lo may overflow
    if not 1e-306 < distance < math.inf:
        return [lo, hi] if lo < hi else [lo]
    exponent = math.floor(math.log10(distance))
    factor = next((m for m in (1, 2, 5) if float(f"{m}e{exponent}") >= distance * (1 - 1e-9)), 10)
    step = float(f"{factor}e{exponent}")
    first, last = math.ceil(lo / step - 1e-9), math.floor(hi / step + 1e-9)
    marks = [
        float(f"{k * factor}e{exponent}") for k in range(first, min(last, first + 20) + 1)
    ]  # exact decimals
    return [m + 0.0 for m in dict.fromkeys(marks) if math.isfinite(m)]


def log_ticks(lo: float, hi: float, *, target: int = 6) -> list[float]:
    """Powers of ten from `lo` to `hi` (both positive), about `target`; round numbers within one decade."""
    first, last = math.ceil(math.log10(lo) - 1e-9), math.floor(math.log10(hi) + 1e-9)
    if last - first < 1:
        return [t for t in ticks(lo, hi) if t > 0]
    stride = next(s for s in (1, 2, 3, 5, 10, 20, 50, 100, 200) if (last - first) / s <= target)
    marks = [float(f"1e{k}") for k in range(first, last + 1) if k % stride == 0]
    return [m for m in marks if m > 0]


@dataclass(frozen=True, slots=True)
class Axis:
    """One direction of a frame: data from `lo` to `hi`, linear or logarithmic."""

    lo: float
    hi: float
    log: bool = False

    def fraction(self, value: float) -> float:
        """Place of a value: 0 at `lo`, 1 at `hi`; NaN where the axis has no place for it."""
        if not math.isfinite(value) or (self.log and value <= 0):
            return math.nan
        v, lo, hi = (math.log10(u) if self.log else u / 2 for u in (value, self.lo, self.hi))
        return min(max((v - lo) / (hi - lo), -_FAR), _FAR)

    def ticks(self, *, target: int = 5) -> list[float]:
        """Round numbers inside the axis."""
        marks = log_ticks(self.lo, self.hi) if self.log else ticks(self.lo, self.hi, target=target)
        return [m for m in marks if -1e-9 <= self.fraction(m) <= 1 + 1e-9]

    def marks(self, *, target: int = 5) -> list[tuple[float, str]]:
        """The ticks with their names; powers of ten, where they are all, as 10⁻⁶."""
        values = self.ticks(target=target)
        exponents = [round(math.log10(v)) for v in values] if self.log else []
        if len(exponents) > 1 and all(float(f"1e{k}") == v for k, v in zip(exponents, values, strict=True)):
            return [(v, f"10{str(k).translate(_RAISED)}") for k, v in zip(exponents, values, strict=True)]
        return list(zip(values, format_together(values), strict=True))


def axis_for(values: Iterable[float], *, log: bool = False, margin: float = 0.05) -> Axis:
    """Axis that holds all finite values with a margin; one of its own where there are none or all equal."""
    shown = [v for v in values if math.isfinite(v) and (v > 0 or not log)]
    if log:
        # below 1e-307 powers of ten lose their digits; such values lie at the lower end
        exponents = [max(math.log10(v), _LOWEST_EXPONENT) for v in shown] or [0.0]
        lo, hi = min(exponents), max(exponents)
        extra = (hi - lo) * margin if hi - lo > 1e-9 else 0.5
        return Axis(10 ** max(lo - extra, _LOWEST_EXPONENT), 10 ** min(hi + extra, 308.2), log=True)
    lo, hi = (min(shown), max(shown)) if shown else (0.0, 1.0)
    size = max(abs(lo), abs(hi))
    half = hi / 2 - lo / 2
    if half <= size * 1e-12 or size < _SMALLEST:
        extra = size / 10 if size >= _SMALLEST else 1.0
    else:
        extra = 2 * margin * half
    return Axis(max(lo - extra, -_LARGEST), min(hi + extra, _LARGEST))
