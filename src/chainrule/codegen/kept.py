"""Programs on disk: what an earlier process has planned, written and compiled, found again by what it computes.

A file holds a schedule and the name of its object code, and is named by all that decides them: the graph, how it is to
be planned, and who plans: our own source files, NumPy and SciPy (which compute constants), LLVM, the processor. The
source lines of the user are not among them: they are in the graph at hand. What is kept is used as it is, so where
`config.VERIFY` is set nothing is: then every program is planned, and its plan verified.
"""

from __future__ import annotations

import functools
import importlib.machinery
import marshal
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule import config
from chainrule.codegen import cache, jit
from chainrule.codegen.schedule import Schedule, packed, unpacked
from chainrule.ir.graph import Graph, Var
from chainrule.table import BUILT_IN

_MOST = 2**20  # bytes of constants: hashing and reading more is no gain


def name_of(graph: Graph, how: Mapping[str, int]) -> str | None:
    """What a program is kept under; None if it is not kept."""
    if config.CACHE_DIR is None or config.VERIFY:
        return None
    planners = _planners()
    if planners is None or sum(c.nbytes for c in graph.constants.values()) > _MOST:
        return None
    try:
        return cache.key("program", *jit.made_by(), planners, repr((_described(graph), sorted(how.items()))))
    except _NotPlain:
        return None


def read(name: str) -> tuple[Schedule, jit.Code] | None:
    """What is kept under a name, with its object code; None if either is missing."""
    data = cache.read(name)
    if data is None:
        return None
    # No safer form is needed: whoever can write this folder can write machine code there.
    object_name, plain = marshal.loads(data)
    code = cache.read(object_name)
    if code is None:
        return None
    schedule = unpacked(plain)
    return schedule, jit.Code(code, list(schedule.functions), schedule.externals)


def write(name: str, schedule: Schedule, object_name: str) -> None:
    """Keep a schedule, if it can run without its graph."""
    plain = packed(schedule)
    if plain is not None and sum(len(data) for _, data in plain[2]) <= _MOST:
        cache.write(name, marshal.dumps((object_name, plain)))


# --- who plans -------------------------------------------------------------------------------------------


_FOLDER = os.path.dirname(os.path.dirname(__file__))
_PARTS = ("ir", "table", "passes", "codegen", os.path.join("codegen", "vecmath"))


@functools.cache
def _planners() -> str | None:
    """What a schedule depends on besides its graph and what compiles it; None if that cannot be told."""
    try:
        ours = _files(_FOLDER)
        scipy = importlib.machinery.PathFinder.find_spec("scipy")
        theirs = scipy and scipy.origin and os.stat(scipy.origin).st_mtime_ns
    except OSError:  # not files in a folder
        return None
    return cache.key(repr(ours), np.__version__, repr(theirs), str(marshal.version))


def _files(folder: str) -> list[tuple[str, int, int]]:
    """The source files that planning reads, as Python itself tells whether they changed: by time and size.

    With `__init__.py` of the package, which has the version.
    """
    found = [os.path.join(folder, "__init__.py")]
    for part in _PARTS:
        found += sorted(f.path for f in os.scandir(os.path.join(folder, part)) if f.name.endswith(".py"))
    return [(path, stat.st_mtime_ns, stat.st_size) for path in found for stat in [os.stat(path)]]


# --- what is computed ------------------------------------------------------------------------------------


class _NotPlain(Exception):
    """A graph holds something that has no description for all processes."""


def _described(graph: Graph) -> tuple[Any, ...]:
    """A graph as numbers and texts whose `repr` is the same in every process; variables are numbered."""
    numbers: dict[Var, int] = {}
    new = lambda v: numbers.setdefault(v, len(numbers))
    inputs = [(new(v), v.shape, v.dtype.str) for v in graph.inputs]
    constants = [
        (new(v), v.shape, v.dtype.str, cache.digest(c.tobytes())) for v, c in graph.constants.items()
    ]
    equations = []
    for e in graph.equations:
        if e.primitive not in BUILT_IN:
            raise _NotPlain
        read = [numbers[v] for v in e.inputs]
        reading = e.reading and (e.reading.name, numbers[e.reading.x], _plain_params(e.reading.params))
        equations.append((e.name, read, _plain_params(e.params), reading, [new(v) for v in e.outs]))
    return inputs, constants, equations, [numbers[v] for v in graph.outputs]


def _plain_params(params: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(name, _plain(params[name])) for name in sorted(params)] if params else []


_PLAIN = frozenset({int, float, complex, bool, str, type(None)})


def _plain(value: Any) -> Any:
    kind = value.__class__
    if kind in _PLAIN:
        return value
    if kind is tuple:
        return tuple([_plain(v) for v in value])
    if isinstance(value, np.dtype):
        return value.str
    if kind is Graph:
        return _described(value)
    raise _NotPlain


__all__ = ["name_of", "read", "write"]
