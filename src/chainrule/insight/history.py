"""How far back an untracked history goes: what is kept is bounded, and where it ends is said."""

from __future__ import annotations

from collections.abc import Iterator

from chainrule.tape.node import CUT, Node, ancestors


def history_note(n: Node) -> Iterator[str]:
    """Says that a history does not go back to the beginning."""
    count, cut = 0, False
    for m in ancestors(n):
        count += m.p is not None
        cut = cut or is_cut_off(m)
    if cut:
        steps = "1 step" if count == 1 else f"{count} steps"
        yield f"The history goes back {steps}; what came before was not kept."


def is_cut_off(n: Node) -> bool:
    """Whether parents of an untracked step were left out, to bound what is kept or by `provenance(False)`."""
    if n.p is None or n.pull is not None:
        return False
    return any(a is CUT for a in (n.a if n.a.__class__ is tuple else (n.a, n.b)))


__all__ = ["history_note", "is_cut_off"]
