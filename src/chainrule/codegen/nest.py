"""Kernels and products of a plan as lists of NumPy operations, each on a whole loop nest at once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.codegen import computed, indexing
from chainrule.codegen.layout import Layout
from chainrule.codegen.plan import Plan
from chainrule.codegen.reading import REDUCTIONS, SEARCHES, has_loops, operands
from chainrule.codegen.steps import Gemm, Kernel, Output, Phase
from chainrule.codegen.views import Axis, Terms, is_view
from chainrule.ir.graph import Equation, Var
from chainrule.table.primitive import TABLE

Loops = frozenset[Axis]


class At(NamedTuple):
    """What an operation runs on: memory (whole values by Var, tiles by Var and phase), and which samples.

    first
        Whether this is the first tile: sums have no value yet.
    """

    memory: dict[Any, np.ndarray]
    start: int
    length: int
    first: bool


def view(
    layout: Layout, v: Var, idx: Terms, dims: Sequence[Axis], samples: Axis | None
) -> Callable[[At], Any]:
    """Entry `idx` of a kept value as an array with one dimension for each loop, of length 1 if it is not along it."""
    by, offset = layout.by_axis(v, idx)
    in_tile, size = layout.in_tile(v), v.dtype.itemsize
    key = (v, layout.phase.number) if in_tile and layout.phase else v
    shape = tuple([a.extent if a in by else 1 for a in dims])
    steps = tuple([by.get(a, 0) * size for a in dims])
    if samples not in by:
        return lambda at: np.ndarray(shape, v.dtype, at.memory[key], offset * size, steps)
    k = dims.index(samples)
    before, after, apart = shape[:k], shape[k + 1 :], 0 if in_tile else by[samples]

    def tile(at: At) -> Any:
        begin = (offset + at.start * apart) * size
        return np.ndarray((*before, at.length, *after), v.dtype, at.memory[key], begin, steps)

    return tile


class Product:
    """A product of matrices on each tile."""

    def __init__(self, plan: Plan, gemm: Gemm, phase: Phase) -> None:
        g, out = gemm, gemm.output
        sides = ((out.var, out.idx, g.m, g.n), (*g.left, g.m, g.k), (*g.right, g.k, g.n))
        self._views = [
            view(Layout(plan, phase), v, idx, [*g.batch, rows, columns], g.samples)
            for v, idx, rows, columns in sides
        ]
        self._adds = out.combine is not None

    def __call__(self, at: At) -> None:
        out, left, right = [v(at) for v in self._views]
        if self._adds and not at.first:
            out += np.matmul(left, right)
        else:
            np.matmul(left, right, out=out)


class Nest:
    """A kernel: operations on registers, in order.

    A register holds an array with one dimension for each loop: the last ones are those of the kernel, in front of them
    those of the reductions inside it. So what depends on fewer loops is broadcast, as NumPy does.
    """

    def __init__(self, plan: Plan, kernel: Kernel, phase: Phase | None) -> None:
        self.plan, self.kernel = plan, kernel
        self.layout = Layout(plan, phase)
        self.samples = kernel.axes[-1] if phase is not None else None
        self.depth = {
            a: k for k, a in enumerate(reversed(kernel.axes))
        }  # of dimensions, counted from the last
        self.along: list[Loops] = [frozenset()]  # the loops of each register; the first holds what we run on
        self.known: dict[tuple[Var, Terms], int] = {}
        self.code: list[tuple[Callable[..., Any], tuple[int, ...], int, tuple[int, ...]]] = []
        for o in kernel.outputs:
            if o.scattered:
                self._add_entries(o)
            else:
                self._store(o) if o.combine is None else self._accumulate(o)
        self._find_dead()

    def __call__(self, at: At) -> None:
        values: list[Any] = [None] * len(self.along)
        values[0] = at
        for fn, args, out, dead in self.code:
            values[out] = fn(*[values[k] for k in args])
            for k in dead:
                values[k] = None

    def _emit(self, fn: Callable[..., Any], args: Iterable[int], loops: Loops) -> int:
        self.code.append((fn, tuple(args), len(self.along), ()))
        self.along.append(loops)
        return len(self.along) - 1

    def _find_dead(self) -> None:
        """After which operation no other reads a register: its memory is used again while it is in cache."""
        seen = {0}
        for k in reversed(range(len(self.code))):
            fn, args, out, _ = self.code[k]
            dead = {out, *args} - seen
            seen |= dead
            self.code[k] = fn, args, out, tuple(dead)

    # --- outputs -----------------------------------------------------------------------------------

    def _store(self, o: Output) -> None:
        e = self.plan.made[o.var]
        into = self._place(o)
        # NumPy 2.4 writes what isfinite and its like find into a column of a matrix to other entries.
        writes = isinstance(e.primitive.value, np.ufunc) and o.var.dtype.kind != "b"
        if writes and not is_view(e):
            args = [self.pull(v, idx) for v, idx in operands(e, o.idx)]
            self._emit(functools.partial(_into, e.primitive.value), (into, *args), frozenset())
        else:
            self._emit(np.copyto, (into, self._define(e, o.idx)), frozenset())
        self.known[o.var, o.idx] = into

    def _accumulate(self, o: Output) -> None:
        assert o.combine is not None
        over = [a for a in self.kernel.axes if a not in _axes(o.idx)]
        part = self._joined(o.combine, [self.pull(v, idx) for v, idx in o.factors], over, keep=True)
        join = functools.partial(_add_up, TABLE[o.combine].value)
        self._emit(join, (0, self._place(o), part), frozenset())

    def _place(self, o: Output) -> int:
        """Where an output is written, with a dimension for every loop of the kernel."""
        at = view(self.layout, o.var, o.idx, self.kernel.axes, self.samples)
        return self._emit(at, (0,), _axes(o.idx))

    # --- values ------------------------------------------------------------------------------------

    def pull(self, v: Var, idx: Terms) -> int:
        """The register of entry `idx` of a value.

        What it is computed from comes first, however much that is: Python's stack is short.
        """
        stack = [(v, idx)]
        while stack:
            read = stack[-1]
            missing = next((r for r in self.layout.computed_from(*read) if r not in self.known), None)
            if missing is not None:
                stack.append(missing)
                continue
            stack.pop()
            if read not in self.known:
                self.known[read] = self._load_or_define(*read)
        return self.known[v, idx]

    def _load_or_define(self, v: Var, idx: Terms) -> int:
        """Read from memory if it is kept there, else computed."""
        number = self.plan.graph.constants.get(v)
        if number is not None and number.ndim == 0:
            return self._emit(lambda: number, (), frozenset())
        if self.plan.is_array(v) or self.plan.is_kept(v, self.kernel.phase):
            return self._view(v, idx)
        return self._define(self.plan.made[v], idx)

    def _view(self, v: Var, idx: Terms) -> int:
        by, offset = self.layout.by_axis(v, idx)
        if not all(isinstance(a, Axis) for a in by):
            return self._gather(v, by, offset)
        loops = frozenset(by)
        return self._emit(view(self.layout, v, idx, self._dims(loops), self.samples), (0,), loops)

    def _dims(self, loops: Loops) -> list[Any]:
        """What each dimension is along, from the first to the last (None: nothing)."""
        at = {self.depth[a]: a for a in loops}
        return [at.get(k) for k in range(max(at, default=-1), -1, -1)]

    def _define(self, e: Equation, idx: Terms) -> int:
        out = e.outs[0]
        if has_loops(e):
            return self._reduce(e, idx)
        if e.name == "zeros":
            return self._emit(lambda: out.dtype.type(0), (), frozenset())
        if indexing.is_moving(e):
            return self._moved(e, idx)
        (x, moved), *others = operands(e, idx)
        first = self.pull(x, moved)
        if is_view(e) or e.name == "reshape":
            return first
        if e.name in ("cast", "cast_like"):
            if x.dtype == out.dtype:
                return first
            return self._emit(lambda a: a.astype(out.dtype), (first,), self.along[first])
        args = [first, *[self.pull(v, i) for v, i in others]]
        loops = frozenset().union(*[self.along[a] for a in args])
        value = functools.partial(e.primitive.value, **e.params) if e.params else e.primitive.value
        return self._emit(value, args, loops)

    # --- places that are computed ------------------------------------------------------------------

    def _moved(self, e: Equation, idx: Terms) -> int:
        """An entry that an equation picks, or that its pieces have."""
        if e.primitive.kind == indexing.PICKS:
            return self.pull(*indexing.picked(e, idx))
        zero, adds = e.outs[0].dtype.type(0), e.params["adds"]
        out = self._emit(lambda: zero, (), frozenset())
        for x, terms, tests in reversed(indexing.pieces(e, idx)):
            one = self._chosen(
                [self._holds(t) for t in tests], self.pull(x, terms), out if not adds else None
            )
            out = self._apply(np.add, one, out) if adds else one
        return out

    def _chosen(self, tests: Sequence[int], x: int, rest: int | None) -> int:
        """x where all tests hold, else the rest (None: 0)."""
        if not tests:
            return x
        where = lambda *tests_and_values: np.where(functools.reduce(np.logical_and, tests_and_values[:-2]),
                                                   *tests_and_values[-2:])  # fmt: skip
        return self._apply(where, *tests, x, self._emit(lambda: 0, (), frozenset()) if rest is None else rest)

    def _apply(self, fn: Callable[..., Any], *args: int) -> int:
        return self._emit(fn, args, frozenset().union(*[self.along[a] for a in args]))

    def _holds(self, test: indexing.Condition) -> int:
        if isinstance(test, indexing.There):
            return self._apply(lambda entry: entry >= 0, self.pull(test.var, test.idx))
        if isinstance(test, indexing.Equal):
            return self._apply(np.equal, self._index(test.place, False), self._total((test.term,)))
        lo, hi, step = test.lo, test.hi, test.step
        inside = lambda n: (n >= lo) & (n < hi) & ((n - lo) % step == 0)
        return self._apply(inside, self._total(test.form))

    def _total(self, form: computed.Form, within: bool = False) -> int:
        """A sum of terms as whole numbers; samples are counted from the first of all, or of the tile."""
        offset, steps = sum(o for _, _, o in form), [s for a, s, _ in form if a is not None]
        total = lambda *places: offset + sum(s * p for s, p in zip(steps, places, strict=True))
        return self._apply(total, *[self._index(a, within) for a, _, _ in form if a is not None])

    def _index(self, axis: Any, within: bool) -> int:
        """The place along a loop, or one that is computed; where there is none, one near by."""
        if isinstance(axis, computed.Inside):
            limited = lambda n: np.clip(n // axis.divisor, 0, axis.extent - 1)
            return self._apply(limited, self._total(axis.form))
        if isinstance(axis, computed.Picked):
            found = self.pull(axis.var, axis.idx)
            if axis.how == "checked":
                return self._apply(functools.partial(_from_the_end, axis.extent), found)
            return self._apply(lambda n: np.maximum(n, 0), found)
        shape = (-1, *(1,) * self.depth[axis])
        if axis is not self.samples:
            return self._emit(lambda: np.arange(axis.extent).reshape(shape), (), frozenset([axis]))
        return self._emit(lambda at: np.arange(at.length).reshape(shape) + (0 if within else at.start), (0,),
                          frozenset([axis]))  # fmt: skip

    def _gather(self, v: Var, by: dict[Axis, int], offset: int) -> int:
        """Entries of a kept value at places that are computed."""
        in_tile = self.layout.in_tile(v)
        key = (v, self.layout.phase.number) if in_tile and self.layout.phase else v
        form = [(a, stride, 0) for a, stride in by.items()]
        places = self._total((*form, (None, 0, offset)), within=in_tile)
        take = lambda at, n: np.asarray(at.memory[key]).reshape(-1)[n]
        return self._emit(take, (0, places), self.along[places])

    def _add_entries(self, o: Output) -> None:
        """Add to entries that index arrays tell, one after the other: the first time to zeros."""
        by, offset = self.layout.by_axis(o.var, o.idx)
        ((x, idx),) = o.factors
        part = self._spread(self.pull(x, idx), self.kernel.axes)  # what is repeated is added each time
        places = self._total((*[(a, s, 0) for a, s in by.items()], (None, 0, offset)))
        join, start = (np.add, 0) if o.combine == "add" else (np.maximum, -1)

        def add(at: At, n: Any, part: Any) -> None:
            into = at.memory[o.var].reshape(-1)
            if at.first:
                into[...] = start
            n, part = np.broadcast_arrays(n, part)
            join.at(into, n.ravel(), part.ravel())

        self._emit(add, (0, places, part), frozenset())

    # --- reductions --------------------------------------------------------------------------------

    def _reduce(self, e: Equation, idx: Terms) -> int:
        """Σ (or the largest …) over loops of its own, whose dimensions are put in front."""
        reads, outside = operands(e, idx), _axes(idx)
        over = [
            a for a in dict.fromkeys(a for _, ts in reads for a in computed.loops(ts)) if a not in outside
        ]
        first = 1 + max([self.depth[a] for a in outside], default=-1)
        self.depth.update((a, first + k) for k, a in enumerate(over))
        factors = [self.pull(v, i) for v, i in reads]
        if e.name in SEARCHES:
            x = self._spread(factors[0], over)
            find = functools.partial(getattr(np, e.name), axis=-1 - self.depth[over[0]])
            return self._emit(find, (x,), self.along[x] - {*over})
        return self._joined(REDUCTIONS.get(e.name, "add"), factors, over, keep=False)

    def _joined(self, combine: str, factors: Sequence[int], over: Sequence[Axis], *, keep: bool) -> int:
        """The product of the factors, added up over some loops; keep: these stay, as dimensions of length 1."""
        factors = [self._spread(f, over) for f in factors]
        loops = frozenset().union(*[self.along[f] for f in factors]) - {*over}
        if len(factors) == 2:
            return self._emit(self._contraction(*factors, over, keep), factors, loops)
        join, dims = TABLE[combine].value, tuple([-1 - self.depth[a] for a in over])
        return self._emit(lambda x: join.reduce(x, axis=dims, keepdims=keep), factors, loops)

    def _spread(self, x: int, over: Sequence[Axis]) -> int:
        """A register with real dimensions along the loops `over`: what is the same there is repeated."""
        missing = {*over} - self.along[x]
        if not missing:
            return x
        dims = [a if a in missing else None for a in self._dims(frozenset(over))]

        def spread(at: At, a: Any) -> Any:
            shape = [1 if d is None else at.length if d is self.samples else d.extent for d in dims]
            return np.broadcast_to(a, np.broadcast_shapes(np.shape(a), shape))

        return self._emit(spread, (0, x), self.along[x] | missing)

    def _contraction(self, x: int, y: int, over: Sequence[Axis], keep: bool) -> Callable[[Any, Any], Any]:
        """Σ x·y over some loops: by matrices where both have loops of their own, else entry by entry."""
        outermost = lambda loops: sorted(loops, key=self.depth.__getitem__, reverse=True)
        of_x, of_y = outermost(self.along[x]), outermost(self.along[y])
        batch = [a for a in of_x if a in of_y and a not in over]
        rows, columns = [a for a in of_x if a not in of_y], [a for a in of_y if a not in of_x]
        found = outermost([*batch, *rows, *columns])
        dims = self._dims(frozenset([*found, *over] if keep else found))
        at = tuple([slice(None) if a in found else None for a in dims])
        pick_x, pick_y = _picked(self._dims(self.along[x])), _picked(self._dims(self.along[y]))
        if batch and not (rows and columns):
            labels = [[self.depth[a] for a in loops] for loops in (of_x, of_y, found)]
            return lambda a, b: np.einsum(pick_x(a), labels[0], pick_y(b), labels[1], labels[2])[at]
        where = lambda axes: tuple([tuple([of.index(a) for a in axes]) for of in (of_x, of_y)])
        product = functools.partial(TABLE["dot_general"].value, contract=where(over), batch=where(batch))
        order = [[*batch, *rows, *columns].index(a) for a in found]
        return lambda a, b: product(pick_x(a), pick_y(b)).transpose(order)[at]


def _axes(idx: Terms) -> Loops:
    return frozenset(computed.loops(idx))


def _picked(dims: Sequence[Axis | None]) -> Callable[[Any], Any]:
    """An array without the dimensions of length 1 that stand for no loop."""
    at = tuple([0 if a is None else slice(None) for a in dims])
    return lambda x: x[(0,) * (np.ndim(x) - len(at)) + at]


def _from_the_end(extent: int, n: Any) -> Any:
    """Places counted from the beginning; IndexError where one is out of range."""
    if np.any((n < -extent) | (n >= extent)):
        raise IndexError("an index is out of range")
    return np.where(n < 0, n + extent, n).astype(np.int64)


def _into(value: np.ufunc, into: Any, *args: Any) -> None:
    value(*args, out=into)


def _add_up(join: np.ufunc, at: At, into: Any, part: Any) -> None:
    np.copyto(into, part) if at.first else join(into, part, out=into)
