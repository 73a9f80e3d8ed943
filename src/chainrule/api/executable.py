"""What `compile` makes for one signature: the graph, what it reads and writes besides the arguments, its results.

The general way of a call is here: arguments are operands (tensors, arrays, floats), and what is tracked gets a node.
Small programs have a native entry besides, which `Compiled` tries first.
"""

from __future__ import annotations

import functools
import operator
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.api import trees
from chainrule.api.graph_function import GraphFunction, is_tracked, value_of
from chainrule.api.run import name_of
from chainrule.dispatch import Handle, node_of
from chainrule.ir.types import type_of
from chainrule.ops import creation
from chainrule.record.recorder import Drawn, Output, Recording, Written, record
from chainrule.tape.modes import Mode, no_grad
from chainrule.tape.node import next_serial
from chainrule.tape.promote import get_default_dtype
from chainrule.tape.traced import own


class Executable:
    """A function for one signature.

    mode, dtype
        The mode in which it was recorded, and the default dtype.
    outside, captured
        What the names of the function meant in the latest call; what the code reads besides the arguments.
    call, pack
        The native entry, or None where there is none; what makes the result of what it returns (None: it is that).
    """

    call: Callable[..., Any] | None = None
    is_offered = False  # whether it was tried
    pack: Callable[[Any], Any] | None = None

    def __init__(
        self, f: Any, leaves: Sequence[Any], spec: Any, operands: Sequence[Any], outside: Sequence[Any], mode: Mode
    ) -> None:  # fmt: skip
        self.mode, self.dtype = mode, get_default_dtype()
        self.outside = outside
        self._is_flat = spec.__class__ is int
        self._fixed = [None if is_array(a) else (a,) for a in leaves]
        tracked = [mode.grad and is_tracked(a) for a in operands]

        def flat(*traced: Any) -> list[Any]:
            given = iter(traced)
            found = [next(given) if c is None else c[0] for c in self._fixed]
            args, kwargs = (found, {}) if self._is_flat else trees.unflatten(spec, found)
            result, self._build = _taken_apart(f(*args, **kwargs))
            return result

        types, self._start = [type_of(value_of(a)) for a in operands], next_serial()
        r = record(flat, types, name="compile", tracked=tracked, whole=True, randomness="call")
        self.function, self._written = GraphFunction(r.graph, name_of(f)), r.written
        self.function.owner = weakref.ref(self)
        self.captured: Sequence[Any] = r.captured
        self._name_what_is_outside(r, outside)

    def _name_what_is_outside(self, r: Recording, outside: Sequence[Any]) -> None:
        """What is read whole is looked up in every call. What the function writes to, and what it took something else
        from (a number, a mask, the items of a list), must stay the same object."""
        where = {id(v): k for k, v in enumerate(outside) if isinstance(v, Handle | np.ndarray)}
        named = lambda a: (None, where[id(a)]) if id(a) in where else (a, None)
        self._captured, self._leaves = list(map(named, r.captured)), list(map(named, r.leaves))
        cells, read = {id(w.cell) for w in r.written}, {id(a) for a in (*r.captured, *r.leaves)}
        self._pinned = [
            k
            for k, v in enumerate(outside)
            if _is_written(v, cells) or (id(v) not in read and v.__class__ not in FIXED)
        ]
        self._types = [_state(c) for c in r.captured]

    def still_holds(self, outside: Sequence[Any]) -> bool:
        """Whether what the function reads from outside has the types, and what it writes to is what it was."""
        return all(outside[k] is self.outside[k] for k in self._pinned) and self._types == [
            _state(c) for c in self._read(outside)
        ]

    def _read(self, outside: Sequence[Any]) -> list[Any]:
        """The tensors and arrays from outside, as they are now."""
        return [c if k is None else outside[k] for c, k in self._captured]

    def __call__(self, operands: Sequence[Any], outside: Sequence[Any]) -> Any:
        self.captured = self._read(outside)
        self.outside = outside
        read = [c.make() if c.__class__ is Drawn else c for c in self.captured]
        if not self._written:
            outs = self.function([*operands, *read])
        else:  # a step of a descent: it has done its own backward
            operands = [creation.as_tensor(a) for a in operands]
            with no_grad():
                outs = self.function([*operands, *read])
        result = [
            outs[leaf.k] if leaf.__class__ is Output else self._passed(leaf) if k is None else outside[k]
            for leaf, k in self._leaves
        ]
        for w in self._written:
            _write(w, operands, outs)
        return self._build(result)

    def _passed(self, leaf: Any) -> Any:
        """A leaf of the result that was not computed. What the function made is made anew in every call."""
        if leaf.__class__ is np.ndarray:
            return leaf.copy()
        if not isinstance(leaf, Handle) or leaf.n.serial < self._start:
            return leaf
        if any(leaf is w.cell for w in self._written):
            return leaf
        return creation.make_leaf(own(leaf.v), node_of(leaf).pull is not None)

    def offer_entry(self) -> None:
        """Make the native entry, if everything that a call does can be done there."""
        from chainrule.codegen.entry import entry, has_entry

        self.is_offered = True
        program, layout = self.function.program, _layout()
        plain = (
            self._is_flat and not self._written and {Output} == {leaf.__class__ for leaf, _ in self._leaves}
        )
        drawn = any(c.__class__ is Drawn for c in self.captured)
        if layout is None or not plain or drawn or not has_entry(program):
            return
        positions = iter(range(len(program.schedule.inputs)))
        arguments = [next(positions) if c is None else c for c in self._fixed]
        call = entry(program, [*arguments, *positions], layout, made=self.function.made, grad=self.mode.grad)
        build = self._build
        single = len(self._leaves) == 1
        if build is not (_only if single else tuple):
            self.pack = (lambda t: build([t])) if single else build
        self.call = call


@functools.cache
def _layout() -> Any:
    from chainrule.codegen.objects import layout_of

    return layout_of(creation.make_leaf(1.0), next_serial)


# Of what a name can mean: another one is another signature.
FIXED = (float, int, bool, str, complex, np.float64, np.float32, np.int64)


def is_array(a: Any) -> bool:
    """Whether an argument is a tensor, array or number: what is not fixed."""
    return isinstance(a, Handle | np.ndarray | np.generic | float | complex)


def _state(c: Any) -> Any:
    """What the code relies on in something from outside: its type, and whether it is tracked."""
    return None if c.__class__ is Drawn else (type_of(value_of(c)), is_tracked(c))


def _is_written(v: Any, cells: set[int]) -> bool:
    return isinstance(v, Handle) and (id(v) in cells or id(v.n) in cells)


_only = operator.itemgetter(0)


def _taken_apart(result: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """The leaves of a result, and what puts it together again."""
    if isinstance(result, Handle):
        return [result], _only
    if result.__class__ is tuple and all(isinstance(r, Handle) for r in result):
        return list(result), tuple
    return trees.taken_apart(result)


def _write(w: Written, operands: Sequence[Any], outs: Sequence[Any]) -> None:
    """Put what the function left in a cell there."""
    cell = operands[w.cell] if isinstance(w.cell, int) else w.cell
    value = outs[w.value.k] if isinstance(w.value, Output) else w.value
    if w.what == "value":
        with no_grad():
            cell.copy_(value.detach())
        return
    leaf: Any = node_of(cell) if isinstance(cell, Handle) else cell
    leaf.grad, leaf.contributions = None if value is None else value.detach(), None
    if value is not None:
        leaf.grad.n.params = {
            **(value.n.params or {}),
            "gradient_of": weakref.ref(leaf),
        }  # explanations read it


__all__ = ["FIXED", "Executable", "is_array"]
