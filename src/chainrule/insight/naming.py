"""Names of values: the user's variables where there are some, else letters in the order of creation."""

from __future__ import annotations

import ast
import inspect
import itertools
import linecache
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from types import FrameType, MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from chainrule.dispatch import Handle
from chainrule.source import Pullback, Source
from chainrule.tape.node import Node

_LETTERS = ("u", "p", "q", "r", "s", "v", "g", "h")  # of computed values; t is kept for unnamed leaves
_CONTAINER = 64  # longer lists and dictionaries are not searched for tensors
_NOTEBOOK = frozenset({"In", "Out", "exit", "quit", "get_ipython"})


class Variable(NamedTuple):
    """A tensor that the caller can reach, and how."""

    name: str
    tensor: Handle


class Variables:
    """The tensors that a person who asks has names for: by name, and by node.

    Looked up when asked and forgotten afterwards, so nothing is kept alive.
    """

    def __init__(
        self, found: Iterable[Variable], arrays: Mapping[int, tuple[str, Any]] = MappingProxyType({})
    ) -> None:
        self.all, self.arrays = list(found), arrays  # NumPy arrays: id → name and array
        self.by_node: dict[Node, str] = {}
        self.values = {v.tensor.n: v.tensor.v for v in self.all}  # what they hold now
        for v in self.all:
            self.by_node.setdefault(v.tensor.n, v.name)

    @classmethod
    def of_frame(cls, frame: FrameType) -> Variables:
        """Those of a frame, then those of the frames of the same file that called it, then the module's."""
        file, scopes, f = frame.f_code.co_filename, [], frame
        for _ in range(16):
            if f.f_code.co_filename == file and f.f_code.co_name != "<module>":
                scopes.append(namespace(f))
            if f.f_back is None:
                break
            f = f.f_back
        scopes.append(frame.f_globals)
        return cls.of_scopes(scopes)

    @classmethod
    def of_scopes(cls, scopes: Iterable[Mapping[str, Any]]) -> Variables:
        """Those of some namespaces, the nearest first; an inner name hides an outer one."""
        plain: list[Variable] = []
        inside: list[Variable] = []
        arrays: dict[int, tuple[str, Any]] = {}
        seen: set[str] = set()
        for scope in scopes:
            for name, value in list(scope.items()):
                if name in seen or name in _NOTEBOOK or name[:1] in "_@":
                    continue
                seen.add(name)
                if isinstance(value, Handle):
                    plain.append(Variable(name, value))
                elif value.__class__ is np.ndarray:
                    arrays.setdefault(id(value), (name, value))
                else:
                    inside.extend(_inside(name, value))
        return cls([*plain, *inside], arrays)


def namespace(frame: FrameType) -> Mapping[str, Any]:
    """The local variables of a frame, without leaving a trace of having looked.

    Up to Python 3.12 a function's frame keeps the dictionary that `f_locals` makes, and with it every
    value, until the function returns. It is emptied here, unless somebody else (`locals()`) holds it too.
    """
    found = frame.f_locals
    if not frame.f_code.co_flags & inspect.CO_OPTIMIZED or found.__class__ is not dict:
        return found
    copied = dict(found)
    if sys.getrefcount(found) <= 3:  # the frame, this name, and the call
        found.clear()
    return copied


def _inside(name: str, value: Any) -> Iterator[Variable]:
    """Tensors in a list, tuple or dictionary, or in the attributes of an object such as `self`."""
    items: Iterable[tuple[str, Any]]
    if isinstance(value, list | tuple):
        items = ((f"{name}[{i}]", v) for i, v in enumerate(value[:_CONTAINER]))
    elif isinstance(value, dict):
        items = ((f"{name}[{k!r}]", v) for k, v in itertools.islice(list(value.items()), _CONTAINER))
    elif isinstance(getattr(value, "__dict__", None), dict) and not isinstance(value, type):
        if hasattr(value, "__spec__"):  # a module is no place where a user keeps tensors
            return
        items = ((f"{name}.{k}", v) for k, v in itertools.islice(list(vars(value).items()), _CONTAINER))
    else:
        return
    yield from (Variable(n, v) for n, v in items if isinstance(v, Handle))


def assigned_names(nodes: Iterable[Node], taken: Collection[str]) -> dict[Node, str]:
    """Names that values had inside functions that have returned: `h` of the line `h = 2 * w`.

    Only names that one value claims and no variable in reach has.
    """
    claims: dict[str, list[Node]] = {}
    for n in nodes:
        own = n.p is not None and n.code.co_name != "<module>" and n.call != Pullback.call
        name = _assigned(n.source) if own else None
        if name is not None and name not in taken:
            claims.setdefault(name, []).append(n)
    return {claimed[0]: name for name, claimed in claims.items() if len(claimed) == 1}


def _assigned(source: Source) -> str | None:
    """The variable that an instruction's whole value is assigned to, on a line of its own."""
    first, last, begin, end = source.positions
    line = linecache.getline(source.file, source.line)
    if first != last or not line.strip():
        return None
    try:
        body = ast.parse(line.strip()).body
    except (SyntaxError, ValueError):
        return None
    if len(body) != 1 or not isinstance(body[0], ast.Assign) or not isinstance(body[0].targets[0], ast.Name):
        return None
    indent, value = len(line) - len(line.lstrip()), body[0].value
    whole = (value.col_offset + indent, (value.end_col_offset or 0) + indent) == (begin, end)
    return body[0].targets[0].id if whole else None


def fresh_names(taken: Iterable[str]) -> tuple[Iterator[str], Iterator[str]]:
    """Names for unnamed computed values (u, p, q …, then s9, s10 …) and for unnamed leaves (t, t2, t3 …)."""
    used = set(taken)
    steps = itertools.chain(_LETTERS, (f"s{k}" for k in itertools.count(len(_LETTERS) + 1)))
    leaves = itertools.chain(("t",), (f"t{k}" for k in itertools.count(2)))
    return (n for n in steps if n not in used), (n for n in leaves if n not in used)
