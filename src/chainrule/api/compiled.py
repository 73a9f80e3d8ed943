"""compile: a function as machine code, recorded once for each signature of its arguments."""

from __future__ import annotations

import functools
import operator
import sys
from collections.abc import Callable, Sequence
from types import CellType, ModuleType
from typing import Any

import numpy as np

from chainrule.api import trees
from chainrule.api.executable import FIXED, Executable, is_array
from chainrule.api.graph_function import is_tracked, value_of
from chainrule.api.run import check_function, name_of
from chainrule.dispatch import Handle
from chainrule.errors import ArgumentError
from chainrule.ir.graph import Graph
from chainrule.ops import creation
from chainrule.source import boundary, is_ours, trim, user_frame
from chainrule.tape.modes import current, mode, plain_mode
from chainrule.tape.promote import get_default_dtype
from chainrule.tape.traced import Traced


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
        A tensor from outside is read anew in every call, so its numbers may change, and a name that `f` itself uses may
        come to mean another one; where it comes to mean another number or list, `f` is recorded anew. What `f` takes
        out of these (``t.item()``, a mask as an index, items of a list), attributes, and names of the functions that it
        calls stay as they were. `f` may change tensors in place
        (``w -= …`` under no_grad) and call ``backward``, as a step of a descent does: then no gradient flows through
        its results.

    Returns
    -------
    Function with the arguments of `f`. It can be differentiated and batched like `f`, in every order; and transforms
    can be compiled: ``compile(grad(f))``. For the gradient of large losses the latter is quickest: value and
    gradient in one pass.

    report(), graph, llvm, asm
        What was compiled for the latest signature: in words (with `times=True` also how long each step takes, and what
        the machine needs at least), as equations, as LLVM text and as machine code.

    Its results are tensors like others: `explain`, `why` and `graph` tell the steps inside.

    Raises
    ------
    TraceError (E302)
        `f` asks for a number: `if`, `float(x)`, a mask as an index. The error shows the line.

    Cost
    ----
    Some 10 to 100 ms for each signature, less where the code is kept on disk from an earlier process.
    From the third call with one signature on, a call costs about a microsecond besides the work where that is small
    (up to some 0.05 ms), else, and where an argument requires a gradient, some tens of microseconds.

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
        self._cells: tuple[CellType, ...] = ()
        self._globals: dict[str, Any] = {}
        self._names: list[str] = []
        if code is not None and not is_ours(code):  # of a transform of ours the names mean the same for ever
            self._cells, self._globals = f.__closure__ or (), f.__globals__
            # names that are modules or functions now are left out: they cost a look-up in every call
            self._names = [n for n in code.co_names if not callable(self._globals.get(n, len))
                           and not isinstance(self._globals[n], ModuleType)]  # fmt: skip
        self._known: dict[Any, Executable] = {}
        self._latest: Executable | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        x = self._latest
        if (
            x is not None
            and x.call is not None
            and mode() is x.mode
            and get_default_dtype() is x.dtype
            and not kwargs
            and (not x.outside or all(map(operator.is_, self._outside(), x.outside)))
        ):
            frame = sys._getframe(1)
            if is_ours(frame.f_code):
                frame = user_frame(2)
            found = x.call(frame.f_code, frame.f_lasti, *args, *x.captured)
            if found is not None:
                return found if x.pack is None else x.pack(found)
        try:
            return self._general(args, kwargs)
        except Exception as err:
            trim(err)
            raise

    def _general(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Any call: the signature of its arguments, and the executable for it."""
        m = current()
        if m.recorder is not None:
            return self._f(*args, **kwargs)  # a part of what is being recorded
        leaves, spec = (
            (args, len(args)) if not kwargs and all(map(_is_leaf, args)) else trees.flatten((args, kwargs))
        )
        outside = self._outside()
        operands = [_operand(a) for a in leaves if is_array(a)]
        if any(value_of(a).__class__ is Traced for a in operands):
            return self._f(*args, **kwargs)  # what it was recorded in has ended: the error says so
        given = iter(operands)
        key = (
            (spec, m.grad, get_default_dtype()),
            *[_type(next(given), m.grad) if is_array(a) else (a.__class__, a) for a in leaves],
            *[_meaning(v, m.grad) for v in outside],
            *[next(k for k, w in enumerate(outside) if w is v) for v in outside],  # which are the same
        )
        try:
            x = self._known.get(key)
        except TypeError:
            raise _unhashable(key) from None
        if x is None or not x.still_holds(outside):
            x = self._known[key] = Executable(self._f, leaves, spec, operands, outside, plain_mode(m.grad))
        elif x is self._latest and not x.is_offered:
            x.offer_entry()
        self._latest = x
        return x(operands, outside)

    def __repr__(self) -> str:
        return f"<compiled {name_of(self._f)}>"

    def _outside(self) -> list[Any]:
        """What the names mean that the function uses from outside."""
        found = [self._globals.get(name) for name in self._names]
        for cell in self._cells:
            try:
                found.append(cell.cell_contents)
            except ValueError:  # not filled yet
                found.append(None)
        return found

    def __get__(self, owner: Any, kind: Any = None) -> Any:
        return self if owner is None else functools.partial(self, owner)

    def __reduce__(self) -> Any:
        return compile, (self._f,)

    def _made(self) -> Executable:
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
    def report(self, times: bool = False) -> Any:
        """What was compiled for the latest arguments: what is fused, tiled, kept, repeated, left to NumPy and why.

        Parameters
        ----------
        times
            Also run each step on numbers of the same shapes and measure the machine, which takes about a second.

        Returns
        -------
        A report that prints itself; ``steps``, ``moved`` (bytes), ``flop`` and the rest are its parts, and
        ``to_json()`` has them all. docs/compile.md reads one line by line.
        """
        from chainrule.codegen.report import report

        function = self._made().function
        return report(function.name, function.graph, function.program, times)

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
        return self._machine_code().assembly


def _type(a: Any, grad: bool) -> Any:
    """What the signature says of an operand: shape and dtype, and whether it is tracked."""
    v, tracked = value_of(a), grad and is_tracked(a)
    return tracked if v.__class__ is float else (v.shape, v.dtype, tracked)


def _meaning(v: Any, grad: bool) -> Any:
    """What the signature says of a name from outside: the type of a tensor or array, or which number it is."""
    if isinstance(v, Handle | np.ndarray):
        return _type(v, grad)
    return (v.__class__, v) if v.__class__ in FIXED else None


def _operand(a: Any) -> Any:
    """An argument as a tensor, an array, or a float for a float64 number."""
    if isinstance(a, Handle) or (a.__class__ is np.ndarray and a.ndim and a.dtype.kind in "buifc"):
        return a
    if isinstance(a, float) and get_default_dtype() == np.float64:
        return float(a)
    return creation.as_tensor(a)


def _is_leaf(a: Any) -> bool:
    """Whether an argument is no tree: a tensor, array or number, or one of the simplest fixed values."""
    return isinstance(a, Handle) or a.__class__ in _LEAVES


_LEAVES = frozenset({float, int, bool, str, complex, np.ndarray, np.float64, np.float32})


def _unhashable(key: Sequence[Any]) -> ArgumentError:
    kind = next(k[0].__name__ for k in key if k.__class__ is tuple and k[0].__hash__ is None)
    return ArgumentError(
        f"a compiled function takes no {kind} as a fixed argument",
        fix="pass tensors, numbers, strings or None",
    )


__all__ = ["Compiled", "compile"]
