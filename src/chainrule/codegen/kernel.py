"""One kernel as LLVM text: loops, the scalar body, reductions."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from chainrule.codegen import indexing, integers, neighbours, powers
from chainrule.codegen.block import LONG, REAL, TRUTH, Block, Index, Value, converted, fma, literal, where
from chainrule.codegen.computed import loops, runs_along
from chainrule.codegen.functions import Functions
from chainrule.codegen.memory import Memory, kind_of
from chainrule.codegen.plan import Plan
from chainrule.codegen.reading import REDUCTIONS, SEARCHES, Read, operands
from chainrule.codegen.scalar import lower
from chainrule.codegen.steps import Kernel, Output, Phase
from chainrule.codegen.views import Axis, Terms, is_view
from chainrule.ir.graph import Equation, Var

LANES = {64: 8, 32: 16}  # of vectors; LLVM splits them on narrower machines
_UNROLL = 4  # rounds of a reduction that are written out

_START = {
    "add": 0.0,
    "maximum": -float("inf"),
    "minimum": float("inf"),
    "logical_or": False,
    "logical_and": True,
}
_ACROSS = {
    "add": "fadd",
    "maximum": "fmaximum",
    "minimum": "fminimum",
    "logical_or": "or",
    "logical_and": "and",
}


class KernelWriter(Memory):
    """One kernel → the lines of a function, see `memory.function`."""

    def __init__(
        self, plan: Plan, kernel: Kernel, phase: Phase | None, functions: Functions | None = None
    ) -> None:
        self.kernel = kernel
        self.outputs, self.axes = kernel.outputs, kernel.axes
        self.rows = neighbours.taken_together(plan, kernel)
        if self.rows is not None:
            self.axes, self.outputs = self.rows.axes, self.rows.outputs
        self._row = 0  # which of them is written
        extent = kernel.axes[-1].extent if kernel.vector else 0
        lanes = LANES[8 * plan.dtype.itemsize]
        lanes *= 2 if self.rows else 4 if kernel.multiplies(plan.made) else 1
        if not extent:
            lanes = 1
        elif phase is None:
            lanes = min(lanes, 1 << (extent - 1).bit_length())  # no more than there are entries
        super().__init__(
            plan, phase, Block(plan.dtype, lanes, functions), kernel.axes[-1] if extent else None
        )
        self.partial = bool(kernel.vector and extent % self.b.lanes)
        self.memo: dict[tuple[Var, Terms], Value] = {}
        self.guarded: dict[str, dict[tuple[Var, Terms], Value]] = {}  # the same, of what holds under a guard
        self.mask: Value | None = None

    def lines(self) -> list[str]:
        """The body of the function."""
        outer = list(self.axes[:-1] if self.kernel.vector else self.axes)
        for o in self.outputs:
            if o.scattered:
                self.clear(o.var, o.combine or "add")
        if self.kernel.guard is not None:
            self._guarded(outer, *self.kernel.guard)
        elif self.kernel.powers is not None:
            self.nest([a for a in outer if a is not self.kernel.powers.along], self._row_of_powers)
        else:
            self.nest(outer, self._innermost)
        return self.b.levels[0].lines

    # --- loops -------------------------------------------------------------------------------------

    def _innermost(self) -> None:
        summed = [o for o in self.outputs if o.combine is not None and not o.scattered]
        start = [self._start(o.combine, kind_of(o.var)) for o in summed]
        if not self.kernel.vector:
            self._write_all(start)
            return

        def body(i: Index, *so_far: Value) -> list[Value]:
            assert self.samples is not None
            self.at[self.samples] = i
            self.mask = self._lanes_inside(i) if self.partial else None
            return self._write_all(so_far)

        ends = self.b.loop(Index("%len"), self.b.lanes, start, body)
        for o, v in zip(summed, ends, strict=True):
            self._join(o, v)

    def _row_of_powers(self) -> None:
        """For each vector the powers one after the other."""
        (o,), p = self.kernel.outputs, self.kernel.powers
        assert p is not None

        def vector(i: Index | None) -> list[Value]:
            if i is not None and self.samples is not None:
                self.at[self.samples] = i
                self.mask = self._lanes_inside(i) if self.partial else None
            x = self.pull(*p.x)

            def body(j: Index, high: Value, low: Value) -> Sequence[Value]:
                self.at[p.along] = j
                self.store(o.var, o.idx, powers.value(high, low))
                return powers.following(x, high, low)

            self.b.loop(Index(str(p.along.extent)), 1, powers.start(x, p.first), body)
            return []

        if self.kernel.vector:
            self.b.loop(Index("%len"), self.b.lanes, [], vector)
        else:
            vector(None)

    def _guarded(self, outer: Sequence[Axis], guard: Var, idx: Terms) -> None:
        """Sums of what is 0 where the guard does not hold."""
        b, kept = self.b, set(loops(idx))
        b.when(b.named("icmp eq i64 %start, %begin", 0), lambda: self.nest(outer, self._clear))

        def body(i: Index) -> list[Value]:
            assert self.samples is not None
            self.at[self.samples] = i
            self.mask = self._lanes_inside(i) if self.partial else None
            holds = self.pull(guard, idx)
            b.when(b.any(holds if self.mask is None else holds & self.mask), lambda: add(i))
            return []

        def add(i: Index) -> None:
            assert self.samples is not None
            # Nothing along the samples is computed before.
            self.at[self.samples] = Index(i.name, len(b.levels) - 1)
            self.nest([a for a in outer if a not in kept], self._add_vectors)

        def vectors() -> None:
            b.loop(Index("%len"), b.lanes, [], body)

        self.nest([a for a in outer if a in kept], vectors)

    def _clear(self) -> None:
        for o in self.kernel.outputs:
            at = self.address(o.var, o.idx)[0]
            self.b.line(
                f"store {self.b.real} {literal(0.0, self.b.dtype)}, ptr {at.name}", len(self.b.levels) - 1
            )

    def _add_vectors(self) -> None:
        for o in self.kernel.outputs:
            v = self._product(o)
            self._join(o, v if self.mask is None else where(self.mask, v, 0.0), cleared=True)

    def _write_all(self, so_far: Sequence[Value]) -> list[Value]:
        """Compute every output at the current entry: stores, and what the summed ones have become."""
        found, rest = [], iter(so_far)
        for k, o in enumerate(self.outputs):
            self._row = k % self.rows.number if self.rows is not None else 0
            if o.combine is None:
                v = self._define(self.plan.made[o.var], o.idx)
                self.memo[o.var, o.idx] = v
                self.store(o.var, o.idx, v)
                continue
            v = self._product(o)
            if o.scattered:
                self.add(o.var, o.idx, v, o.combine)
                continue
            before = next(rest)
            if self.mask is not None:
                v = where(self.mask, v, self._start(o.combine, v.kind))
            found.append(lower(self.b, o.combine, before, v))
        return found

    def _start(self, combine: str | None, kind: str) -> Value:
        """What a reduction begins with."""
        assert combine is not None
        return self.b.value((integers.START if kind == LONG else _START)[combine], kind)

    def _product(self, o: Output) -> Value:
        first, *others = [self.pull(v, idx) for v, idx in o.factors]
        return functools.reduce(lambda x, y: x * y, others, first)

    def _lanes_inside(self, i: Index) -> Value:
        """Which lanes are samples: the last vector of a row may reach beyond it."""
        b = self.b
        return b.inside(b.named(f"sub i64 %len, {i.name}", i.level), level=i.level)

    def _join(self, o: Output, v: Value, cleared: bool = False) -> None:
        """Add what the vectors found to the entry in memory; the first time there is nothing yet, unless `cleared`."""
        b, level, combine = self.b, len(self.b.levels) - 1, o.combine
        assert combine is not None
        kind, short = {REAL: (b.real, f"f{b.bits}"), LONG: ("i64", "i64"), TRUTH: ("i1", "i1")}[v.kind]
        across = (integers.ACROSS if v.kind == LONG else _ACROSS)[combine]
        fn = f"llvm.vector.reduce.{across}.{b.suffix}{short}"
        real_sum = combine == "add" and v.kind == REAL
        lead, flag = (f"{kind} {literal(-0.0, b.dtype)}, ", "reassoc ") if real_sum else ("", "")
        t = b.types[v.kind]
        b.declared[fn] = f"declare {kind} @{fn}({f'{kind}, ' if lead else ''}{t})"
        total = b.fresh()
        b.line(f"{total} = call {flag}{kind} @{fn}({lead}{t} {v.name})", level)
        address = self.address(o.var, o.idx)[0]
        memory = "i8" if v.kind == TRUTH else kind
        old, new, out = b.fresh(), b.fresh(), b.fresh()
        b.line(f"{old} = load {memory}, ptr {address.name}", level)
        if v.kind == TRUTH:
            wide = b.fresh()
            b.line(f"{wide} = zext i1 {total} to i8", level)
            total = wide
        b.line(f"{new} = {self._scalar(across, old, total, memory)}", level)
        if not cleared:
            b.line(f"{out} = select i1 {self._first_time(o, level)}, {memory} {total}, {memory} {new}", level)
        b.line(f"store {memory} {new if cleared else out}, ptr {address.name}", level)

    def _scalar(self, op: str, x: str, y: str, t: str) -> str:
        if op in ("fadd", "add", "or", "and"):
            return f"{op} {t} {x}, {y}"
        fn = f"llvm.{op[1:]}.f{self.b.bits}" if op.startswith("f") else f"llvm.{op}.i64"
        self.b.declared[fn] = f"declare {t} @{fn}({t}, {t})"
        return f"call {t} @{fn}({t} {x}, {t} {y})"

    def _first_time(self, o: Output, level: int) -> str:
        """Whether nothing was added to the entry yet: the first tile, and the first round of every summed loop."""
        b = self.b
        kept = {axis for axis, _, _ in o.idx}
        first = b.named("icmp eq i64 %start, %begin", 0)
        for a in self.axes[:-1]:
            if a not in kept:
                here = b.named(f"icmp eq i64 {self.at[a].name}, 0", self.at[a].level)
                both = b.fresh()
                b.line(f"{both} = and i1 {first}, {here}", level)
                first = both
        return first

    # --- values ------------------------------------------------------------------------------------

    def pull(self, v: Var, idx: Terms) -> Value:
        """Entry `idx` of a value: read from memory if it is kept there, else computed.

        What it is computed from comes first, however much that is: Python's stack is short.
        """
        stack: list[tuple[Read, list[Read] | None]] = [((v, idx), None)]  # what is pulled, and computed from
        while stack:
            read, parts = stack.pop()
            if read in self.memo:
                continue
            parts = self.computed_from(*read) if parts is None else parts
            missing = [(r, None) for r in parts if r not in self.memo]
            if missing:
                stack += [(read, parts), *reversed(missing)]
                continue
            out = self._load_or_define(*read)
            self.memo[read] = out  # only now: what a loop inside has computed is forgotten
        return self.memo[v, idx]

    def _load_or_define(self, v: Var, idx: Terms) -> Value:
        number = self.plan.graph.constants.get(v)
        if number is not None and number.ndim == 0:
            return self.b.value(number.item(), kind_of(v))
        if self.plan.is_array(v) or self.plan.is_kept(v, self.kernel.phase):
            return self.load(v, idx)
        return self._define(self.plan.made[v], idx)

    def _define(self, e: Equation, idx: Terms) -> Value:
        v = self._computed(e, idx)
        return integers.wrapped(v) if integers.grows(e) else v

    def _computed(self, e: Equation, idx: Terms) -> Value:
        if is_view(e) or (e.name == "reshape"):
            ((x, moved),) = operands(e, idx)
            return self.pull(x, moved)
        if e.primitive.kind == indexing.PICKS:
            return self.pull(*indexing.picked(e, idx))
        if e.primitive.kind == indexing.PIECES:
            return self._pieces(e, idx)
        if e.name in SEARCHES:
            return self._search(e, idx)
        if e.name in REDUCTIONS or e.name == "dot_general":
            return self._reduction(e, idx)
        if e.name == "zeros":
            return self.b.value(0.0, kind_of(e.outs[0]))
        if e.name in ("cast", "cast_like"):
            return converted(self.pull(e.inputs[0], idx), kind_of(e.outs[0]))
        given = [self.pull(v, i) for v, i in operands(e, idx)]
        if integers.has_divisor(e) and not self._is_never_zero(e.inputs[1]):
            self.refuse(given[1] == 0)
        return lower(self.b, e.name, *given, **e.params)

    def _is_never_zero(self, v: Var) -> bool:
        """Whether a value is a constant without zeros."""
        while v in self.plan.made and is_view(self.plan.made[v]):
            (v,) = self.plan.made[v].inputs
        constant = self.plan.graph.constants.get(v)
        return constant is not None and bool(constant.all())

    def _search(self, e: Equation, idx: Terms) -> Value:
        """The place of the first largest or smallest entry, or of the first NaN."""
        ((x, terms),) = operands(e, idx)
        outside = {axis for axis, _, _ in idx}
        (axis,) = [a for a, _, _ in terms if isinstance(a, Axis) and a not in outside]
        kind = kind_of(x)

        def body(i: Index, most: Value, place: Value) -> list[Value]:
            self.at[axis] = i
            v = self.pull(x, terms)
            better = lower(self.b, SEARCHES[e.name], v, most)
            if kind == REAL:
                better = better | ((v != v) & (most == most))
            return [where(better, v, most), where(better, self.b.repeat(i.name, i.level, LONG), place)]

        start = self._start("maximum" if e.name == "argmax" else "minimum", kind)
        return self.b.loop(Index(str(axis.extent)), 1, [start, self.b.value(0, LONG)], body)[1]

    def _pieces(self, e: Equation, idx: Terms) -> Value:
        """The sum of the pieces that have the entry, or the first of them."""
        found = []
        for x, terms, tests in indexing.pieces(e, idx):
            held = [self.holds(t) for t in tests]
            if any(h is False for h in held):
                continue
            conditions = [h for h in held if h is not True]
            found.append((conditions, self._pull_where(conditions, x, terms)))
            if not conditions and not e.params["adds"]:
                break
        out: Value = self.b.value(0, kind_of(e.outs[0]))
        for conditions, v in reversed(found):
            rest = out if not e.params["adds"] else 0
            one = functools.reduce(lambda v, c: where(c, v, rest), conditions, v)
            out = one + out if e.params["adds"] else one
        return out

    def _pull_where(self, conditions: Sequence[Value], v: Var, idx: Terms) -> Value:
        """An entry that is used only in lanes where the conditions hold."""
        before, memo = self.guard, self.memo
        for c in conditions:
            self.guard = c if self.guard is None else self.guard & c
        if self.guard is not None:
            self.memo = self.guarded.setdefault(self.guard.name, {})
        out = self.pull(v, idx)
        self.guard, self.memo = before, memo
        return out

    def _reduction(self, e: Equation, idx: Terms) -> Value:
        """Σ (or the largest …); of the first of several rows, those of the others too: they share what they read."""
        reads, r = operands(e, idx), self.rows
        several = r is not None and self._row == 0 and runs_along(idx, r.axis)
        rows = (
            [[(v, r.shifted(ts, k)) for v, ts in reads] for k in range(r.number)]
            if r and several
            else [reads]
        )
        found = self._reduce(REDUCTIONS.get(e.name, "add"), rows, idx, kind_of(e.outs[0]))
        for k, value in enumerate(found[1:], 1):
            self.memo[e.outs[0], r.shifted(idx, k)] = value  # type: ignore[union-attr]
        return found[0]

    def _reduce(self, combine: str, rows: list[list[Read]], idx: Terms, kind: str) -> list[Value]:
        """For each row Σ (or the largest …) over the loops that the reads run along and `idx` does not."""
        outside = {axis for axis, _, _ in idx}
        axes = list(
            dict.fromkeys(a for _, ts in rows[0] for a, _, _ in ts if a is not None and a not in outside)
        )

        def term(reads: list[Read], acc: Value | None) -> Value:
            values = [self.pull(*r) for r in reads]
            if len(values) == 2:
                return fma(values[0], values[1], 0.0 if acc is None else acc)  # a sum of -0 is 0
            if acc is None:
                return values[0] + 0.0 if combine == "add" else values[0]
            return lower(self.b, combine, acc, values[0])

        def over(rest: list[Axis], rows: list[list[Read]], accs: list[Any]) -> list[Value]:
            if not rest:
                return [term(reads, acc) for reads, acc in zip(rows, accs, strict=True)]
            axis, *inner = rest
            if axis.extent <= _UNROLL:
                for k in range(axis.extent):
                    accs = over(
                        inner, [[(v, _fixed(ts, axis, k)) for v, ts in reads] for reads in rows], accs
                    )
                return accs
            starts = [self._start(combine, kind) if acc is None else acc for acc in accs]

            def body(i: Index, *so_far: Value) -> list[Value]:
                self.at[axis] = i
                return over(inner, rows, list(so_far))

            totals = self.b.loop(Index(str(axis.extent)), 1, starts, body)
            depth = len(
                self.b.levels
            )  # what was computed in the loop is not there in the next one over this axis
            self.memo = {k: v for k, v in self.memo.items() if v.level < depth}
            return totals

        return over(axes, rows, [None] * len(rows))


def _fixed(idx: Terms, axis: Axis, k: int) -> Terms:
    """The terms at place k of a loop."""
    return tuple((None, 0, s * k + o) if a is axis else (a, s, o) for a, s, o in idx)
