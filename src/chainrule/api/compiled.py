"""compile: a function as machine code, recorded once for each signature of its arguments."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from chainrule.api import trees
from chainrule.api.graph_function import GraphFunction
from chainrule.api.run import check_function, name_of
from chainrule.dispatch import Handle, node_of
from chainrule.errors import ArgumentError
from chainrule.ir.graph import Graph
from chainrule.ir.types import type_of
from chainrule.ops import creation
from chainrule.record.recorder import Drawn, Output, Recording, Written, record
from chainrule.source import boundary
from chainrule.tape.modes import current, no_grad
from chainrule.tape.node import next_serial
from chainrule.tape.traced import Traced

_ARRAYS = (Handle, np.ndarray, np.generic, float, complex)


@boundary
def compile(f: Callable[..., Any] | None = None) -> Any:
    """The same function as machine code: its loops over entries are fused and run without Python. Also a decorator.

    The first call with arguments of some shapes and dtypes runs `f` once, on shapes alone, and compiles the operations
    that it records; later calls with such arguments run the code.

    Parameters
    ----------
    f
        Function of tensors, arrays and numbers, or of dicts, lists, tuples and dataclasses of these, that returns such.
        Its shapes may not depend on numbers, and Python's `if` cannot look at them: ``where(condition, a, b)``
        chooses. Whole numbers, truth values, strings and None are fixed: another one is another signature.
        A tensor from outside is read anew in every call, so its numbers may change. Where a name that `f` itself uses
        comes to mean another tensor or number, that is another signature; attributes, items of lists, and names of the
        functions that it calls stay as they were. `f` may change tensors in place (``w -= …`` under no_grad) and call
        ``backward``, as a step of a descent does: then no gradient flows through its results.

    Returns
    -------
    Function with the arguments of `f`. It can be differentiated and batched like `f`, in every order; and transforms
    can be compiled: ``compile(grad(f))``. For the gradient of large losses the latter is quickest: value and
    gradient in one pass.

    report(), graph, llvm, asm
        What was compiled for the latest signature: in words, and as text.

    Raises
    ------
    TraceError (E302)
        `f` asks for a number: `if`, `float(x)`, a mask as an index. The error shows the line.

    Cost
    ----
    Some 10 to 100 ms for each signature, less where the code is kept on disk from an earlier process.
    A call costs some microseconds besides the work.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> f = cr.compile(lambda x: (cr.sin(x) * cr.exp(x)).sum())
    >>> f(np.zeros(3))
    tensor(0.)
    >>> cr.compile(cr.grad(f))(np.zeros(3))
    tensor([1., 1., 1.])
    """
    if f is None:
        return compile
    check_function(f, "compile")
    return Compiled(f)


class Compiled:
    """A compiled function; see `compile`."""

    def __init__(self, f: Callable[..., Any]) -> None:
        functools.update_wrapper(self, f)
        self._f = f
        code = getattr(f, "__code__", None)
        self._cells = getattr(f, "__closure__", None) or ()
        self._globals = getattr(f, "__globals__", {})
        # names that are modules or functions now are left out: they cost a look-up in every call
        self._names = [n for n in (code.co_names if code else ()) if not callable(self._globals.get(n, len))
                       and not isinstance(self._globals[n], ModuleType)]  # fmt: skip
        self._known: dict[Any, _Executable] = {}
        self._latest: _Executable | None = None

    @boundary
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves, spec = (
            (args, len(args)) if not kwargs and all(map(_is_leaf, args)) else trees.flatten((args, kwargs))
        )
        grad = current().grad  # what is recorded without gradients is cut off from them
        tensors, key = [], [spec, grad, *self._outside()]
        for a in leaves:
            if not isinstance(a, _ARRAYS):
                key.append((a.__class__, a))
                continue
            t = a if isinstance(a, Handle) else creation.as_tensor(a)
            v, tracked = t.v, t.n.pull is not None and grad
            if v.__class__ is Traced:
                return self._f(*args, **kwargs)  # a part of what is being recorded
            tensors.append(t)
            key.append(tracked if v.__class__ is float else (v.shape, v.dtype, tracked))
        signature = tuple(key)
        try:
            found = self._known.get(signature)
        except TypeError:
            raise _unhashable(key) from None
        if found is None:
            found = _Executable(self._f, leaves, spec, tensors, grad)
            if found.reads_traced:
                return self._f(*args, **kwargs)  # what it closes over is being recorded
            self._known[signature] = found
        self._latest = found
        return found(tensors)

    def __repr__(self) -> str:
        return f"<compiled {name_of(self._f)}>"

    def _outside(self) -> list[Any]:
        """What the names mean that the function uses from outside: which tensor, which number."""
        found: list[Any] = [_meaning(self._globals.get(name)) for name in self._names]
        for cell in self._cells:
            try:
                found.append(_meaning(cell.cell_contents))
            except ValueError:  # not filled yet
                found.append(None)
        return found

    def __get__(self, owner: Any, kind: Any = None) -> Any:
        return self if owner is None else functools.partial(self, owner)

    def __reduce__(self) -> Any:
        return compile, (self._f,)

    def _made(self) -> _Executable:
        if self._latest is None:
            raise ArgumentError("nothing is compiled yet", fix="call the function once")
        return self._latest

    def _machine_code(self) -> Any:
        program = self._made().function.program
        if not hasattr(program, "text"):
            raise ArgumentError(
                "there is no machine code: llvmlite is not there, so NumPy runs the program",
                fix="install llvmlite, or read f.report() for what runs",
            )
        return program

    @boundary
    def report(self) -> str:
        """What was compiled for the latest arguments: kernels, phases, calls of NumPy with their reasons, bytes."""
        from chainrule.codegen.report import report

        return report(self._made().function.program)

    @property
    @boundary
    def graph(self) -> Graph:
        """The graph of the latest arguments; ``print(f.graph)`` shows it."""
        return self._made().function.graph

    @property
    @boundary
    def llvm(self) -> str:
        """The LLVM text of the latest arguments."""
        return self._machine_code().text

    @property
    @boundary
    def asm(self) -> str:
        """The machine code of the latest arguments, as text."""
        return self._machine_code().module.assembly


def _meaning(v: Any) -> Any:
    """A value from outside, as a part of a signature: which tensor or array it is, or which number."""
    if isinstance(v, Handle | np.ndarray):
        return id(v)
    return (v.__class__, v) if v.__class__ in (float, int, bool, str) else None


def _is_leaf(a: Any) -> bool:
    """Whether an argument is no tree: a tensor, array or number, or one of the simplest fixed values."""
    return isinstance(a, Handle) or a.__class__ in _LEAVES


_LEAVES = frozenset({float, int, bool, str, complex, np.ndarray, np.float64, np.float32})


class _Executable:
    """A function for one signature: its graph, what it reads and writes, how its result is built."""

    def __init__(self, f: Any, leaves: Sequence[Any], spec: Any, tensors: Sequence[Any], grad: bool) -> None:
        self._fixed = [None if isinstance(a, _ARRAYS) else (a,) for a in leaves]
        tracked = [t.n.pull is not None and grad for t in tensors]

        def flat(*traced: Any) -> list[Any]:
            given = iter(traced)
            found = [next(given) if c is None else c[0] for c in self._fixed]
            args, kwargs = (found, {}) if spec.__class__ is int else trees.unflatten(spec, found)
            result, self._build = _taken_apart(f(*args, **kwargs))
            return result

        types, start = [type_of(t.v) for t in tensors], next_serial()
        self.recording: Recording = record(
            flat, types, name="compile", tracked=tracked, whole=True, randomness="call"
        )
        self.function = GraphFunction(self.recording.graph, name_of(f))
        r = self.recording
        # Tensors that `f` made, and that depend on nothing: each call makes new ones.
        self._made = {
            k for k, t in enumerate(r.leaves)
            if isinstance(t, Handle) and t.n.serial > start and not any(t is w.cell for w in r.written)
        }  # fmt: skip
        self.reads_traced = any(isinstance(c, Handle) and c.v.__class__ is Traced for c in r.captured)

    def __call__(self, tensors: Sequence[Any]) -> Any:
        r = self.recording
        inputs = list(tensors)
        for c in r.captured:
            inputs.append(creation.as_tensor(c.make() if c.__class__ is Drawn else c))
        if not r.written:
            outs = self.function(inputs)
        else:  # a step of a descent: it has done its own backward
            with no_grad():
                outs = self.function(inputs)
        result = [outs[leaf.k] if leaf.__class__ is Output else leaf for leaf in r.leaves]
        for k in self._made:
            result[k] = result[k].clone()
        for w in r.written:
            _write(w, tensors, outs)
        return self._build(result)


def _taken_apart(result: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """The leaves of a result, and what puts it together again."""
    if isinstance(result, Handle):
        return [result], operator.itemgetter(0)
    if result.__class__ is tuple and all(isinstance(r, Handle) for r in result):
        return list(result), tuple
    leaves, spec = trees.flatten(result)
    return leaves, functools.partial(trees.unflatten, spec)


def _write(w: Written, tensors: Sequence[Any], outs: Sequence[Any]) -> None:
    """Put what the function left in a cell there."""
    cell = tensors[w.cell] if isinstance(w.cell, int) else w.cell
    value = outs[w.value.k] if isinstance(w.value, Output) else w.value
    if w.what == "value":
        with no_grad():
            cell.copy_(value.detach())
        return
    leaf: Any = node_of(cell) if isinstance(cell, Handle) else cell
    leaf.grad, leaf.contributions = None if value is None else value.detach(), None


def _unhashable(key: Sequence[Any]) -> ArgumentError:
    kind = next(k[0].__name__ for k in key if k.__class__ is tuple and k[0].__hash__ is None)
    return ArgumentError(
        f"a compiled function takes no {kind} as a fixed argument",
        fix="pass tensors, numbers, strings or None",
    )


__all__ = ["Compiled", "compile"]
