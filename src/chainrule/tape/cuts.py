"""Where a computation left the graph: remembered, so that `why` can point at the line."""

from __future__ import annotations

from typing import NamedTuple
from weakref import WeakKeyDictionary

from chainrule.source import Source, user_frame
from chainrule.tape.node import Leaf, Node

_KEPT = 4  # the first few places where one value left are enough to explain a missing gradient


class Cut(NamedTuple):
    """`how` a value left the graph ("item", "numpy", "detach" …) and where."""

    how: str
    source: Source


_CUTS: WeakKeyDictionary[Node, list[Cut]] = WeakKeyDictionary()
_MADE_FROM: WeakKeyDictionary[Leaf, Cut] = WeakKeyDictionary()


def note_cut(n: Node, how: str) -> None:
    """Remember that the value of a tracked node left the graph here."""
    if n.pull is None:
        return
    cuts = _CUTS.setdefault(n, [])
    if len(cuts) < _KEPT:
        frame = user_frame(2)
        cuts.append(Cut(how, Source(frame.f_code, frame.f_lasti)))


def cuts_of(n: Node) -> list[Cut]:
    """The first places where the value of a node left the graph."""
    return list(_CUTS.get(n, ()))


def note_origin(n: Leaf, how: str, source: Source) -> None:
    """Remember that a leaf was made of the numbers of tensors that a gradient flowed through."""
    _MADE_FROM[n] = Cut(how, source)


def origin_of(n: Leaf) -> Cut | None:
    """How and where a leaf was made of tracked tensors, if it was."""
    return _MADE_FROM.get(n)
