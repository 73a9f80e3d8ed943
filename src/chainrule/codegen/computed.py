"""Places that are computed: of terms that a loop's index alone does not give.

A term (views.py) runs along an `Axis`, or along one of these in its stead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from chainrule.codegen.views import Axis, Term, Terms
from chainrule.ir.graph import Var

Form = tuple[Term, ...]  # a sum of terms


class Inside(NamedTuple):
    """Σ terms / divisor, an entry of `extent`; where it would lie outside the nearest one, whose value is not used."""

    form: Form
    divisor: int
    extent: int


class Picked(NamedTuple):
    """The whole number that is entry `idx` of a value: the place of an entry of `extent`.

    how
        "checked": counted from the end where it is negative, and refused if it is out of range; "sure": it is in range;
        "table": -1 stands for no entry, and whose value is not used.
    """

    var: Var
    idx: Terms
    extent: int
    how: str


def term(form: Iterable[Term], divisor: int, extent: int) -> Term:
    """The entry Σ terms / divisor: a plain term where it is one, and never leaves the extent."""
    form = joined(form)
    if divisor < 0:
        form, divisor = tuple((a, -s, -o) for a, s, o in form), -divisor
    if len(form) == 1 and all(n % divisor == 0 for n in form[0][1:]):
        axis, step, offset = form[0]
        form, divisor = ((axis, step // divisor, offset // divisor),), 1
        lo, hi = span(form)
        if lo >= 0 and hi < extent:
            return form[0]
    return (Inside(form, divisor, extent), 1, 0)


def joined(form: Iterable[Term]) -> Form:
    """One term for each axis; the offset in the first."""
    steps: dict[Any, int] = {}
    total = 0
    for axis, step, offset in form:
        total += offset
        if axis is not None and step:
            steps[axis] = steps.get(axis, 0) + step
    found = [(axis, step, 0) for axis, step in steps.items() if step] or [(None, 0, 0)]
    found[0] = (*found[0][:2], total)
    return tuple(found)


def span(form: Iterable[Term]) -> tuple[int, int]:
    """The least and the greatest that a sum of terms can be."""
    lo = hi = 0
    for axis, step, offset in form:
        far = step * (axis.extent - 1) if axis is not None else 0
        lo, hi = lo + offset + min(far, 0), hi + offset + max(far, 0)
    return lo, hi


def renamed(axis: Any, new: Mapping[Any, Axis]) -> Any:
    """An axis, or what computes one, along other loops."""
    if isinstance(axis, Inside):
        return axis._replace(form=renamed_terms(axis.form, new))
    if isinstance(axis, Picked):
        return axis._replace(idx=renamed_terms(axis.idx, new))
    return new.get(axis, axis)


def renamed_terms(terms: Terms, new: Mapping[Any, Axis]) -> Terms:
    return tuple((renamed(axis, new), step, offset) for axis, step, offset in terms)


def changed(terms: Terms, axis: Axis, change: Callable[[int, int], Term]) -> Terms:
    """The terms in which those along a loop, of a step and an offset, are others."""
    found = []
    for a, step, offset in terms:
        if isinstance(a, Inside):
            a = a._replace(form=changed(a.form, axis, change))
        elif isinstance(a, Picked):
            a = a._replace(idx=changed(a.idx, axis, change))
        found.append(change(step, offset) if a is axis else (a, step, offset))
    return tuple(found)


def runs_along(terms: Iterable[Term], axis: Axis | None) -> bool:
    """Whether places change along a loop."""
    return axis in loops(terms)


def counts_along(terms: Iterable[Term], axis: Axis | None) -> bool:
    """Whether places are counted along a loop, other than those that are looked up in a value."""
    return axis is not None and any(
        a is axis or (isinstance(a, Inside) and counts_along(a.form, axis)) for a, _, _ in terms
    )


def loops(terms: Iterable[Term]) -> Iterator[Axis]:
    """The loops that places change along."""
    for axis, _, _ in terms:
        if isinstance(axis, Inside):
            yield from loops(axis.form)
        elif isinstance(axis, Picked):
            yield from loops(axis.idx)
        elif axis is not None:
            yield axis


def picked(terms: Iterable[Term]) -> Iterator[Picked]:
    """The values that places are looked up in, but not those that these are looked up at."""
    for axis, _, _ in terms:
        if isinstance(axis, Inside):
            yield from picked(axis.form)
        elif isinstance(axis, Picked):
            yield axis
