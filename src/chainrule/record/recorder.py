"""The recorder: a function of tensors, run once on shapes and dtypes, becomes a graph.

recording = record(f, [Type((3,), float64)], name="vmap")
recording.graph         inputs: the arguments, then what the function read from outside
recording.captured      the tensors and arrays for the latter, in order
recording.leaves        what the function returned: outputs of the graph, and values that do not depend on it
recording.written       cells from outside that it changed: further outputs of the graph
"""

# Note [Recorders]
# A tensor inside a recording has a `Traced` value: a variable of the recorder's graph. `dispatch.bind` gives each
# operation to the innermost recorder among its operands. So what does not depend on the arguments of the recorded
# function is computed once, outside (by numbers, or in an outer recorder), and what the function reads from outside
# becomes a captured input, through which gradients reach it. With `whole`, operations on numbers alone are recorded
# too, so that the graph can run again after they have changed.
#
# The tape works on traced values as on numbers: nodes, leaves, `backward` are what they are outside (§ eager/backward).
# A traced value is `live` where a gradient from outside will flow through it when the graph runs; what the tape does
# not track must not be live, so `no_grad`, `detach` and unrecorded gradients become `detach` equations there, and
# nowhere else.
#
# A tensor is a cell. An in-place operation puts another variable into it (eager/inplace.py); a cell that held another
# value before gets that back when the recording ends, and its last variable becomes an output: `written`.

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.dispatch import Handle, node_of, source_code, wrap
from chainrule.errors import TraceError
from chainrule.ir.emitter import Emitter
from chainrule.ir.graph import Graph, Var
from chainrule.ir.types import Type, type_of
from chainrule.source import Pullback, Source, Step, here, user_frame
from chainrule.table.primitive import Primitive
from chainrule.tape.memory import is_shared, owner
from chainrule.tape.modes import current, recording
from chainrule.tape.node import Leaf, Node, leaf, next_serial
from chainrule.tape.traced import Traced, cut, escaped, own


class Drawn(NamedTuple):
    """A captured input that is drawn anew each time the graph runs: `make()` gives the tensor."""

    make: Callable[[], Any]


class Written(NamedTuple):
    """A cell that the recorded function changed.

    cell
        The tensor from outside, or the position of an argument; for "grad" the `Leaf`, or the position of an argument.
    what
        "value", or "grad": the `.grad` of a leaf.
    value
        What it holds at the end: an `Output`; for a gradient also None.
    """

    cell: Any
    what: str
    value: Any


class Output(NamedTuple):
    """A leaf of the result, or a written value: output `k` of the graph."""

    k: int


class Recording(NamedTuple):
    """What `record` returns; see the head of this file.

    batched
        Positions of graph inputs whose tensor has a leading axis of lanes (random numbers under vmap).
    """

    graph: Graph
    captured: list[Any]
    leaves: list[Any]
    written: list[Written]
    batched: frozenset[int]


def record(
    f: Callable[..., Iterable[Any]],
    types: Sequence[Type],
    *,
    name: str,
    tracked: Sequence[bool] = (),
    whole: bool = False,
    randomness: str = "same",
    lanes: int = 0,
) -> Recording:
    """The graph of a function of tensors of these types; `f` runs once, and returns the leaves of its result.

    Parameters
    ----------
    f
        Takes one Tensor per type. Its leaves that are no tensors, or tensors that do not depend on the arguments, are
        passed through.
    types
        Shape and dtype of each argument.
    name
        What records, for errors: "vmap".
    tracked
        Whether the value that will be passed for each argument is tracked: then it is so inside, too.
    whole
        Record every operation, also on numbers alone: for a graph that runs again.
    randomness
        What a random draw inside gives: "same" numbers, drawn now; "different" ones for each of `lanes` lanes;
        "call": anew each time the graph runs (captured as `Drawn`); "error": it is refused.

    Raises
    ------
    TraceError (E302)
        `f` asks for a number (`if`, `float(x)`, a mask as an index), or uses a tensor of a recording that ended.
    """
    r = Recorder(name, whole, randomness, lanes)
    args = [r.argument(t, k < len(tracked) and tracked[k]) for k, t in enumerate(types)]
    try:
        with recording(r):
            leaves = [r.output(leaf) for leaf in f(*args)]
            written = r.cells_written(args)
        return Recording(r.graph, r.captured, leaves, written, frozenset(r.batched))
    finally:
        r.close()


class Recorder:
    """Appends the operations that touch its variables to a graph, while `tape.modes.recording` holds."""

    def __init__(self, name: str, whole: bool, randomness: str, lanes: int) -> None:
        self.name, self.whole, self.randomness, self.lanes = name, whole, randomness, lanes
        self.source, self.serial, self.closed = here(), next_serial(), False
        self.outer: Recorder | None = current().recorder
        # Who takes operations on numbers alone: the nearest that records everything, if there is one.
        self.base = self if whole else None if self.outer is None else self.outer.base
        self.graph = Graph()
        self.emit = Emitter(self.graph, simplify=False)
        self.captured: list[Any] = []
        self.batched: list[int] = []
        self._inputs: dict[Node, Traced] = {}
        self._arrays: dict[int, tuple[Traced, np.ndarray]] = {}
        self._cells: dict[int, _Cell] = {}
        self._grads: dict[Leaf, tuple[Any, Any]] = {}
        self._touched: set[Node] = set()
        self._leaves: list[Leaf] = []

    # --- operations, as dispatch.bind gives them -------------------------------------------------

    def innermost(self, values: Sequence[Any]) -> Recorder | None:
        """The recorder that an operation on these values goes to; None where it is computed."""
        r = self.base
        for v in values:
            if v.__class__ is Traced:
                if v.recorder.closed:
                    raise escaped(v)
                if r is None or v.recorder.serial > r.serial:
                    r = v.recorder
        return r

    def lift(self, a: Any, v: Any, n: Node | None) -> Any:
        """One operand: `a` is what the user passed, `v` its value, `n` its node (None: a number or an array)."""
        if v.__class__ is Traced and v.recorder is self:
            return v
        if n is None:
            return self._array(v) if v.__class__ is np.ndarray else v
        found = self._inputs.get(n)
        if found is None and self._made_inside(v, n):
            if v.__class__ is not np.ndarray or not v.ndim:
                return v if v.__class__ is float else v[()]
            found = self._inputs[n] = Traced(
                self, self.graph.constant(v), False
            )  # made inside: always the same
        if found is None:
            t = a if isinstance(a, Handle) and a.v is v else wrap(v, n)
            if not self.whole and is_shared(v):
                t = wrap(np.array(v), n)  # NumPy code may change it before the graph runs
            found = self._inputs[n] = self._capture(t, type_of(v), n.pull is not None)
        return found

    def _made_inside(self, v: Any, n: Node) -> bool:
        """Whether a tensor was made of numbers while this records: a constant, as long as nobody writes to it."""
        made = (n.p is None or self.whole) and n.pull is None and n.serial > self.serial
        return made and v.__class__ is not Traced and not is_shared(v)

    def _array(self, a: np.ndarray) -> Traced:
        """A captured NumPy array; unless the graph runs again as it is now: the function may fill it anew."""
        found, copy = self._arrays.get(id(a), (None, None))
        if found is None or not (copy is a or _same(copy, a)):
            copy = a if self.whole else np.array(a)
            found = self._capture(copy, type_of(a), False)
            self._arrays[id(a)] = found, copy
        return found

    def _capture(self, t: Any, type: Type, live: bool) -> Traced:
        self.captured.append(t)
        return Traced(self, self.graph.input(type), live)

    def run(self, p: Primitive, values: Sequence[Any], params: dict[str, Any]) -> Traced:
        """Append an operation."""
        self.emit.source = _instruction()
        out = self.emit(p.name, *[v.var if v.__class__ is Traced else v for v in values], **params)
        live = out.dtype.kind in "fc" and p.rule is not None and any(map(_is_live, values))
        return Traced(self, out, live)

    def cut(self, v: Traced) -> Traced:
        """The value without the gradients from outside."""
        self.emit.source = _instruction()
        return Traced(self, self.emit.shared("detach", v.var), False)

    def renew(self, old: Traced, new: Traced) -> Traced:
        """The value of `new` under the history of `old`, which goes on: new + (old - detach old)."""
        new = cut(new)
        if not old.live:
            return new
        still = self.emit("sub", old.var, self.cut(old).var)
        still = self.emit("where", self.emit("isfinite", old.var), still, 0.0)
        return Traced(self, self.emit("add", new.var, still), True)

    # --- arguments, results, random numbers ------------------------------------------------------

    def argument(self, type: Type, tracked: bool) -> Any:
        """A tensor for an argument of the function: a leaf."""
        v = Traced(self, self.graph.input(type), tracked)
        self._leaves.append(leaf(v, tracked, self.source.code, self.source.lasti))
        return wrap(v, self._leaves[-1])

    def output(self, t: Any) -> Any:
        """A leaf of the result: an `Output`, or what it is if it does not depend on the arguments."""
        if not isinstance(t, Handle):
            return t
        node_of(t)  # a view may have to be renewed
        v = t.v
        if v.__class__ is not Traced:
            return t
        if v.recorder.closed:
            raise escaped(v)
        return self._out(v) if v.recorder is self else t

    def _out(self, v: Traced) -> Output:
        self.graph.outputs.append(v.var)
        return Output(len(self.graph.outputs) - 1)

    def draw(self, make: Callable[[tuple[int, ...]], Any], type: Type, lanes: tuple[int, ...] = ()) -> Any:
        """Random numbers: `make(lanes)` draws a tensor of this type, with these dimensions in front."""
        if self.randomness == "error":
            raise TraceError(
                f"random numbers are drawn inside {self.name}, and it is not said whether each lane gets its own",
                fix=f'pass randomness="different" (each its own) or "same" to {self.name}; '
                "or draw them outside and pass them in",
            )  # fmt: skip
        if self.randomness == "call":
            return self._drawn(Drawn(lambda: make(lanes)), Type((*lanes, *type.shape), type.dtype))
        if self.randomness == "same":
            return make(lanes) if self.outer is None else self.outer.draw(make, type, lanes)
        wider = (self.lanes, *lanes)
        t = make(wider) if self.outer is None else self.outer.draw(make, type, wider)
        self.batched.append(len(self.graph.inputs))
        return self._drawn(t, Type((*lanes, *type.shape), type.dtype))

    def _drawn(self, source: Any, type: Type) -> Any:
        v = self._capture(source, type, False)
        return wrap(v, leaf(v, False, *source_code()))

    # --- cells -----------------------------------------------------------------------------------

    def keep_cell(self, t: Any) -> None:
        """A tensor is about to hold a variable of this recorder: it gets back at the end what it holds now."""
        cell = self._cells.get(id(t))
        if cell is None or cell.tensor() is not t:
            self._cells[id(t)] = _Cell(weakref.ref(t), t.v, t.n, t.base, self._is_outside(t.n))

    def keep_memory(self, t: Any) -> None:
        """The memory of a tensor is about to be changed, by numbers: what was captured of it stays as it was."""
        if t.n.serial < self.serial:
            self._touched.add(t.n)
        stale = {t.n}
        for k, c in enumerate(self.captured if not self.whole else ()):
            if isinstance(c, Handle) and (c is t or _share_memory(c.v, t.v)):
                self.captured[k] = wrap(own(c.v), c.n)
                stale.add(c.n)
        for n in stale & self._inputs.keys():
            del self._inputs[n]
        if self.outer is not None:
            self.outer.keep_memory(t)

    def keep_grad(self, n: Leaf) -> None:
        """The `.grad` of a leaf is about to be set."""
        self._grads.setdefault(n, (n.grad, n.contributions))
        if self.outer is not None:
            self.outer.keep_grad(n)

    def _is_outside(self, n: Node) -> bool:
        return n.serial < self.serial or n in self._touched

    def cells_written(self, args: Sequence[Any]) -> list[Written]:
        """What the function changed: arguments, tensors from outside, and gradients of leaves."""
        found = []
        for k, t in enumerate(args):
            if t.v.var is not self.graph.inputs[k]:
                found.append(Written(k, "value", self._out(t.v)))
        for cell in self._cells.values():
            t = cell.tensor()
            if t is not None and cell.outside and cell.base is None:
                found.append(Written(t, "value", self._out(t.v)))
        position = {n: k for k, n in enumerate(self._leaves)}
        for n in self._grads:
            g = n.grad
            if n in position or n.serial < self.serial:
                if self._is_mine(g):
                    found.append(Written(position.get(n, n), "grad", self._out(g.v)))
                elif self.whole:
                    found.append(Written(position.get(n, n), "grad", g))
        return found

    def _is_mine(self, t: Any) -> bool:
        return t is not None and t.v.__class__ is Traced and t.v.recorder is self

    def line_of(self, var: Var) -> Source | None:
        """Where a variable was computed; None for an input."""
        e = self.emit.made_by(var)
        return None if e is None else e.source

    def close(self) -> None:
        """The recording ends: cells get back what they held before it."""
        self.closed = True
        for cell in self._cells.values():
            t = cell.tensor()
            if t is not None:
                t.v, t.n, t.base = cell.v, cell.n, cell.base
        for n, (grad, contributions) in self._grads.items():
            if self.whole or self._is_mine(n.grad):
                n.grad, n.contributions = grad, contributions
        self._inputs.clear()
        self._arrays.clear()
        self._cells.clear()
        self._grads.clear()


class _Cell(NamedTuple):
    """What a tensor held before it held a variable, and whether it was there before the recording."""

    tensor: Any
    v: Any
    n: Any
    base: Any
    outside: bool


def _share_memory(a: Any, b: Any) -> bool:
    return a.__class__ is b.__class__ is np.ndarray and owner(a) is owner(b)


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")


def _is_live(v: Any) -> bool:
    return v.__class__ is Traced and v.live


def _instruction() -> Source:
    """The user's line, and the user-level operation that it called."""
    m = current()
    if m.scope is not None:
        name, code, at, call = m.scope
        return Pullback(code, at) if call == Pullback.call else Step(code, at, name, call)
    frame = user_frame(2)
    return Source(frame.f_code, frame.f_lasti)


__all__ = ["Drawn", "Output", "Recorder", "Recording", "Written", "record"]
