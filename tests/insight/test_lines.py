"""Every operation remembers the user's line, not one of ours."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.source import is_ours

ROOT = os.path.dirname(cr.__file__) + os.sep
PLACES = {
    "": cr,
    "special": cr.special,
    "linalg": cr.linalg,
    "nn.functional": cr.nn.functional,
    "Tensor": cr.Tensor,
}
NAMES = [
    pytest.param(place, name, id=f"{place}.{name}".strip("."))
    for place, owner in PLACES.items()
    for name in dir(owner)
    if not name.startswith("_")
    and callable(getattr(owner, name))
    and not isinstance(getattr(owner, name), type)
]


def arguments() -> Iterator[tuple[Any, ...]]:
    """What functions are tried with: numbers, vectors and matrices, alone and in pairs."""
    for data in (0.7, [0.7, 0.3], [[0.7, 0.3], [0.1, 0.9]]):
        for tracked in (True, False):
            x, y = (cr.tensor(data, requires_grad=tracked) for _ in range(2))
            yield from ((x,), (x, y), (x, 2.0), (x, 2), (x, y, x), ([x, y],))


def lines_of(f: Any) -> list[str]:
    """Where the results of a function say that they were computed, if that is in our code."""
    found = []
    for args in arguments():
        with warnings.catch_warnings(), contextlib.suppress(Exception), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            out = f(*args)
            results = out if isinstance(out, tuple | list) else (out,)
            nodes = [t.n for t in results if isinstance(t, cr.Tensor)]
            found += [n.source.place for n in nodes if is_ours(n.code)]
    return found


@pytest.mark.parametrize("place, name", NAMES)
def test_the_line_is_the_users(place: str, name: str) -> None:
    assert lines_of(getattr(PLACES[place], name)) == []


def test_a_line_of_ours_would_be_noticed() -> None:
    inside = compile("def call(x): return exp(x)", ROOT + "wrapper.py", "exec")
    names: dict[str, Any] = {"exp": cr.exp}
    exec(inside, names)
    assert lines_of(names["call"])
