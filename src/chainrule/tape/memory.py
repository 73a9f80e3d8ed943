"""Memory that several tensors look at without a common history: detached tensors, NumPy arrays wrapped twice.

An overwrite is marked at the node of the tensor that was written. Tensors that share its memory behind the
back of the tape are found here, by the array that owns the memory.
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from chainrule.source import Source

# id of an owning array → its weak reference (it removes the entry), and the last overwrite
_SHARED: dict[int, list[Any]] = {}


def owner(v: np.ndarray) -> np.ndarray:
    """The array that owns the memory of `v`."""
    while v.base.__class__ is np.ndarray:
        v = v.base
    return v


def note_shared(v: Any) -> None:
    """From now on writes to the memory of `v` are remembered by memory."""
    if v.__class__ is not np.ndarray:
        return
    a = owner(v)
    key = id(a)
    if key not in _SHARED:
        _SHARED[key] = [weakref.ref(a, lambda _, key=key: _SHARED.pop(key, None)), None]


def is_shared(v: Any) -> bool:
    """Whether the memory of `v` can be written behind the back of the tape."""
    return bool(_SHARED) and v.__class__ is np.ndarray and id(owner(v)) in _SHARED


def note_written(v: Any, serial: int, source: Source) -> None:
    """The memory of `v` was changed in place."""
    if _SHARED and v.__class__ is np.ndarray:
        entry = _SHARED.get(id(owner(v)))
        if entry is not None:
            entry[1] = (serial, source)


def written_after(v: Any, serial: int) -> Source | None:
    """The line that changed shared memory after operation number `serial`."""
    if not _SHARED or v.__class__ is not np.ndarray:
        return None
    entry = _SHARED.get(id(owner(v)))
    return entry[1][1] if entry is not None and entry[1] is not None and entry[1][0] > serial else None


__all__ = ["is_shared", "note_shared", "note_written", "owner", "written_after"]
