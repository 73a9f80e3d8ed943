"""How far back an untracked history goes: what is kept is bounded, and where it ends is said."""

from __future__ import annotations

from collections.abc import Iterator

from chainrule.tape.node import Node, ancestors


def history_note(n: Node) -> Iterator[str]:
    """Says that a history does not go back to the beginning."""
    count, cut = 0, False
    for m in ancestors(n):
        count += m.p is not None
        cut = cut or is_cut_off(m)
    if cut:
        yield f"  The history goes back {count} steps; what came before was not kept."


def is_cut_off(n: Node) -> bool:
    """Whether the parents of an untracked step were dropped to bound what is kept."""
    if n.p is None or n.pull is not None:
        return False
    held = n.a if n.a.__class__ is tuple else (n.a, n.b)
    return all(q is None for q in held)
