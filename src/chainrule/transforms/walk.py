"""The one reverse walk and the one forward walk, over nodes of a tape and equations of a graph alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


def reverse(
    steps: Iterable[Any],
    cts: dict[Any, Any],
    take: Callable[[Any], Any],
    pull: Callable[[Any, Any], Iterable[tuple[Any, Any]]] | None,
    add: Callable[[Any, Any], Any],
) -> None:
    """Carry cotangents from outputs to inputs, last step first; `cts` maps values to cotangents and is filled.

    take(step) gives the cotangent of a step's output (None: nothing downstream depends on it), pull(step, ct) the
    pairs (input, cotangent) (None: every step brings its own pull), add(a, b) the sum of two routes, in the order in
    which they arrive.
    """
    for step in steps:
        ct = take(step)
        if ct is None:
            continue
        for v, c in (pull or step.pull)(step, ct):
            cts[v] = add(cts[v], c) if v in cts else c


def forward(
    steps: Iterable[Any], ts: dict[Any, Any], push: Callable[[Any, dict[Any, Any]], Iterable[tuple[Any, Any]]]
) -> None:
    """Carry tangents from inputs to outputs, first step first; push(step, ts) gives pairs (output, tangent)."""
    for step in steps:
        ts.update(push(step, ts))
