"""Kernels of a plan as LLVM text: loops, loads through index maps, the scalar body, reductions, stores."""

from __future__ import annotations

import functools
from collections.abc import Container, Sequence
from typing import Any

from chainrule.codegen.block import REAL, TRUTH, Block, Index, Value, fma, literal, where
from chainrule.codegen.plan import REDUCTIONS, Gemm, Kernel, Output, Phase, Plan, operands
from chainrule.codegen.scalar import lower
from chainrule.codegen.views import FLAT, Axis, Terms, by_axis, is_view, leading, strides, tile_strides
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


class Slots:
    """The table of pointers that a program is called with: one slot for each array it reads or writes."""

    def __init__(self) -> None:
        self.of: dict[Any, int] = {}

    def __getitem__(self, key: Any) -> int:
        return self.of.setdefault(key, len(self.of))


class Addresses:
    """Where the entries of kept values are: pointers of the table, strides, the loops' indices."""

    def __init__(
        self, plan: Plan, slots: Slots, phase: Phase | None, block: Block, samples: Axis | None
    ) -> None:
        self.plan, self.slots, self.phase, self.b, self.samples = plan, slots, phase, block, samples
        self.at: dict[Axis, Index] = {}

    def in_tile(self, v: Var) -> bool:
        return self.phase is not None and v not in self.plan.places and not self.plan.is_array(v)

    def strides(self, v: Var) -> tuple[int, ...]:
        """Entries between neighbours along each dimension: in a tile the samples lie next to each other."""
        if not self.in_tile(v):
            return strides(v.shape)
        where = self.plan.axis.dim(v)
        assert self.phase is not None
        assert where is not None
        return tile_strides(v.shape, where, self.phase.tile)

    def by_axis(self, v: Var, idx: Terms) -> tuple[dict[Axis, int], int]:
        """Entries between neighbours along each loop, and the place of the first."""
        if idx[:1] == (FLAT,):
            return by_axis(idx[1:], (1,) * (len(idx) - 1))
        return by_axis(idx, self.strides(v))

    def address(self, v: Var, idx: Terms, loops: Container[Axis] | None = None) -> tuple[Index, int]:
        """Where an entry is, and how far apart those of neighbouring samples are.

        `loops`: only these have an index; the others are at their beginning.
        """
        by, offset = self.by_axis(v, idx)
        apart = by.get(self.samples, 0) if self.samples is not None else 0
        found = [(self.at[a], stride) for a, stride in by.items() if loops is None or a in loops]
        if self.phase is not None and apart and not self.in_tile(v):
            found.append((Index("%start"), apart))
        key = (v, self.phase.number) if self.in_tile(v) and self.phase else v
        return self.b.at(self._pointer(key), found, offset, _memory(v, self.b)), apart

    def _pointer(self, key: Any) -> str:
        slot = self.b.named(f"getelementptr ptr, ptr %table, i64 {self.slots[key]}", 0)
        return self.b.named(f"load ptr, ptr {slot}, !invariant.load !0", 0)


class KernelWriter(Addresses):
    """One kernel → the text of a function `@NAME(ptr %table, i64 %begin, i64 %start, i64 %len)`."""

    def __init__(self, plan: Plan, kernel: Kernel, slots: Slots, phase: Phase | None) -> None:
        self.kernel = kernel
        lanes = LANES[8 * plan.dtype.itemsize] * (4 if kernel.multiplies(plan) else 1)
        block = Block(plan.dtype, lanes if kernel.vector else 1)
        super().__init__(plan, slots, phase, block, kernel.axes[-1] if kernel.vector else None)
        extent = kernel.axes[-1].extent if kernel.vector else 0
        self.partial = bool(kernel.vector and extent % self.b.lanes)
        self.memo: dict[tuple[Var, Terms], Value] = {}
        self.mask: Value | None = None

    def text(self, name: str) -> str:
        outer = self.kernel.axes[:-1] if self.kernel.vector else self.kernel.axes
        self._nest(list(outer))
        lines = self.b.levels[0].lines
        return _function(name, lines)

    # --- loops -------------------------------------------------------------------------------------

    def _nest(self, outer: list[Axis]) -> None:
        if not outer:
            self._innermost()
            return

        def body(i: Index) -> list[Value]:
            self.at[outer[0]] = i
            self._nest(outer[1:])
            return []

        self.b.loop(Index(str(outer[0].extent)), 1, [], body)

    def _innermost(self) -> None:
        summed = [o for o in self.kernel.outputs if o.combine is not None]
        start = [self.b.value(_START[o.combine], _kind(o.var)) for o in summed]  # type: ignore[index]
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

    def _write_all(self, so_far: Sequence[Value]) -> list[Value]:
        """Compute every output at the current entry: stores, and what the summed ones have become."""
        found, rest = [], iter(so_far)
        for o in self.kernel.outputs:
            if o.combine is None:
                v = self._define(self.plan.made[o.var], o.idx)
                self.memo[o.var, o.idx] = v
                self._store(o.var, o.idx, v)
                continue
            v = self._product(o)
            before = next(rest)
            if self.mask is not None:
                v = where(self.mask, v, self.b.value(_START[o.combine], v.kind))
            found.append(lower(self.b, o.combine, before, v))
        return found

    def _product(self, o: Output) -> Value:
        first, *others = [self.pull(v, idx) for v, idx in o.factors]
        return functools.reduce(lambda x, y: x * y, others, first)

    def _lanes_inside(self, i: Index) -> Value:
        """Which lanes are samples: the last vector of a row may reach beyond it."""
        b, bits = self.b, self.b.bits
        left = b.named(f"sub i64 %len, {i.name}", i.level)
        left = left if bits == 64 else b.named(f"trunc i64 {left} to i32", i.level)
        t = b.types["whole"]
        one = b.named(f"insertelement {t} poison, i{bits} {left}, i32 0", i.level)
        every = b.named(f"shufflevector {t} {one}, {t} poison, <{b.lanes} x i32> zeroinitializer", i.level)
        lanes = "<" + ", ".join(f"i{bits} {k}" for k in range(b.lanes)) + ">"
        return Value(b, b.named(f"icmp slt {t} {lanes}, {every}", i.level), TRUTH, i.level)

    def _join(self, o: Output, v: Value) -> None:
        """Add what the vectors found to the entry in memory; the first time there is nothing yet."""
        b, level, combine = self.b, len(self.b.levels) - 1, o.combine
        assert combine is not None
        kind = b.real if v.kind == REAL else "i1"
        fn = f"llvm.vector.reduce.{_ACROSS[combine]}.{b.suffix}{f'f{b.bits}' if v.kind == REAL else 'i1'}"
        lead, flag = (f"{kind} {literal(-0.0, b.dtype)}, ", "reassoc ") if combine == "add" else ("", "")
        t = b.types[v.kind]
        b.declared[fn] = f"declare {kind} @{fn}({f'{kind}, ' if lead else ''}{t})"
        total = b.fresh()
        b.line(f"{total} = call {flag}{kind} @{fn}({lead}{t} {v.name})", level)
        address = self.address(o.var, o.idx)[0]
        memory = kind if v.kind == REAL else "i8"
        old, new, out = b.fresh(), b.fresh(), b.fresh()
        b.line(f"{old} = load {memory}, ptr {address.name}", level)
        if v.kind == TRUTH:
            wide = b.fresh()
            b.line(f"{wide} = zext i1 {total} to i8", level)
            total = wide
        b.line(f"{new} = {self._scalar(combine, old, total, memory)}", level)
        b.line(f"{out} = select i1 {self._first_time(o, level)}, {memory} {total}, {memory} {new}", level)
        b.line(f"store {memory} {out}, ptr {address.name}", level)

    def _scalar(self, combine: str, x: str, y: str, t: str) -> str:
        op = _ACROSS[combine]
        if op in ("fadd", "or", "and"):
            return f"{op} {t} {x}, {y}"
        fn = f"llvm.{op[1:]}.f{self.b.bits}"
        self.b.declared[fn] = f"declare {t} @{fn}({t}, {t})"
        return f"call {t} @{fn}({t} {x}, {t} {y})"

    def _first_time(self, o: Output, level: int) -> str:
        """Whether nothing was added to the entry yet: the first tile, and the first round of every summed loop."""
        b = self.b
        kept = {axis for axis, _, _ in o.idx}
        first = b.named("icmp eq i64 %start, %begin", 0)
        for a in self.kernel.axes[:-1]:
            if a not in kept:
                here = b.named(f"icmp eq i64 {self.at[a].name}, 0", self.at[a].level)
                both = b.fresh()
                b.line(f"{both} = and i1 {first}, {here}", level)
                first = both
        return first

    # --- values ------------------------------------------------------------------------------------

    def pull(self, v: Var, idx: Terms) -> Value:
        """Entry `idx` of a value: read from memory if it is kept there, else computed."""
        key = (v, idx)
        found = self.memo.get(key)
        if found is None or found.level >= len(self.b.levels):
            found = self.memo[key] = self._load_or_define(v, idx)
        return found

    def _load_or_define(self, v: Var, idx: Terms) -> Value:
        number = self.plan.graph.constants.get(v)
        if number is not None and number.ndim == 0:
            return self.b.value(number.item(), _kind(v))
        if self.plan.is_array(v) or self.plan.is_kept(v, self.kernel.phase):
            return self._load(v, idx)
        return self._define(self.plan.made[v], idx)

    def _define(self, e: Equation, idx: Terms) -> Value:
        if is_view(e) or (e.name == "reshape"):
            ((x, moved),) = operands(e, idx)
            return self.pull(x, moved)
        if e.name in REDUCTIONS:
            return self._reduce(REDUCTIONS[e.name], operands(e, idx), idx, _kind(e.outs[0]))
        if e.name == "dot_general":
            return self._reduce("add", operands(e, idx), idx, REAL)
        if e.name == "zeros":
            return self.b.value(0.0, _kind(e.outs[0]))
        if e.name in ("cast", "cast_like"):
            return self._cast(self.pull(e.inputs[0], idx), _kind(e.outs[0]))
        return lower(self.b, e.name, *[self.pull(v, i) for v, i in operands(e, idx)], **e.params)

    def _cast(self, v: Value, kind: str) -> Value:
        if v.kind == kind:
            return v
        return lower(self.b, "where", v, 1.0, 0.0) if kind == REAL else v != 0.0

    def _reduce(self, combine: str, reads: Sequence[tuple[Var, Terms]], idx: Terms, kind: str) -> Value:
        """Σ (or the largest …) over the loops that `reads` run along and `idx` does not."""
        outside = {axis for axis, _, _ in idx}
        axes = list(
            dict.fromkeys(a for _, ts in reads for a, _, _ in ts if a is not None and a not in outside)
        )
        factors = [list(ts) for _, ts in reads]

        def term(acc: Value | None) -> Value:
            values = [self.pull(v, tuple(ts)) for (v, _), ts in zip(reads, factors, strict=True)]
            if len(values) == 2:
                return values[0] * values[1] if acc is None else fma(values[0], values[1], acc)
            return values[0] if acc is None else lower(self.b, combine, acc, values[0])

        def over(rest: list[Axis], acc: Value | None) -> Value:
            if not rest:
                return term(acc)
            axis, *inner = rest
            if axis.extent <= _UNROLL:
                return self._written_out(axis, factors, lambda so_far: over(inner, so_far), acc)
            start = self.b.value(_START[combine], kind) if acc is None else acc

            def body(i: Index, so_far: Value) -> list[Value]:
                self.at[axis] = i
                return [over(inner, so_far)]

            return self.b.loop(Index(str(axis.extent)), 1, [start], body)[0]

        return over(axes, None)

    def _written_out(self, axis: Axis, factors: list[list[Any]], once: Any, acc: Value | None) -> Value:
        before = [list(ts) for ts in factors]
        for k in range(axis.extent):
            for ts, old in zip(factors, before, strict=True):
                ts[:] = [(None, 0, s * k + o) if a is axis else (a, s, o) for a, s, o in old]
            acc = once(acc)
        for ts, old in zip(factors, before, strict=True):
            ts[:] = old
        assert acc is not None
        return acc

    # --- memory ------------------------------------------------------------------------------------

    def _load(self, v: Var, idx: Terms) -> Value:
        address, apart = self.address(v, idx)
        t = _memory(v, self.b)
        in_tile = self.in_tile(v)
        if self.b.lanes == 1 or apart == 0:
            one = self.b.named(f"load {t}, ptr {address.name}", address.level)
            return self._as_value(self._repeated(one, t, address.level), v, address.level)
        vector = f"<{self.b.lanes} x {t}>"
        if apart == 1 and (self.mask is None or in_tile):
            text = f"load {vector}, ptr {address.name}, align {_bytes(v, self.b)}"
        elif apart == 1:
            text = self._masked(
                "load", vector, t, f"ptr align {_bytes(v, self.b)} {address.name}", address.level
            )
        else:
            text = self._masked("gather", vector, t, self._pointers(address, apart, t, v), address.level)
        return self._as_value(self.b.named(text, address.level), v, address.level)

    def _store(self, v: Var, idx: Terms, value: Value) -> None:
        b = self.b
        address, apart = self.address(v, idx)
        t = _memory(v, b)
        level = len(b.levels) - 1
        in_tile = self.in_tile(v)
        vector = f"<{b.lanes} x {t}>" if b.lanes > 1 else t
        name = value.name
        if value.kind == TRUTH:
            name = b.fresh()
            b.line(f"{name} = zext {b.types[TRUTH]} {value.name} to {vector}", level)
        if b.lanes == 1 or (apart == 1 and (self.mask is None or in_tile)):
            b.line(f"store {vector} {name}, ptr {address.name}, align {_bytes(v, b)}", level)
            return
        mask = self._every() if self.mask is None else self.mask.name
        kind = f"{b.suffix}{_short(t)}"
        if apart == 1:
            fn, to, pt = f"llvm.masked.store.{kind}.p0", f"ptr align {_bytes(v, b)} {address.name}", "ptr"
        else:
            fn, pt = f"llvm.masked.scatter.{kind}.{b.suffix}p0", f"<{b.lanes} x ptr>"
            to = self._pointers(address, apart, t, v)
        b.declared[fn] = f"declare void @{fn}({vector}, {pt}, <{b.lanes} x i1>)"
        b.line(f"call void @{fn}({vector} {name}, {to}, <{b.lanes} x i1> {mask})", level)

    def _masked(self, how: str, vector: str, t: str, where: str, level: int) -> str:
        b = self.b
        kind = f"{b.suffix}{_short(t)}"
        fn = f"llvm.masked.{how}.{kind}.{'p0' if how == 'load' else f'{b.suffix}p0'}"
        pt = "ptr" if how == "load" else f"<{b.lanes} x ptr>"
        b.declared[fn] = f"declare {vector} @{fn}({pt}, <{b.lanes} x i1>, {vector})"
        mask = self._every() if self.mask is None else self.mask.name
        return f"call {vector} @{fn}({where}, <{b.lanes} x i1> {mask}, {vector} zeroinitializer)"

    def _every(self) -> str:
        return "<" + ", ".join(["i1 true"] * self.b.lanes) + ">"

    def _pointers(self, address: Index, apart: int, t: str, v: Var) -> str:
        n = self.b.lanes
        steps = "<" + ", ".join(f"i64 {k * apart}" for k in range(n)) + ">"
        name = self.b.named(f"getelementptr {t}, ptr {address.name}, <{n} x i64> {steps}", address.level)
        return f"<{n} x ptr> align {_bytes(v, self.b)} {name}"

    def _repeated(self, scalar: str, t: str, level: int) -> str:
        n = self.b.lanes
        if n == 1:
            return scalar
        one = self.b.named(f"insertelement <{n} x {t}> poison, {t} {scalar}, i32 0", level)
        return self.b.named(
            f"shufflevector <{n} x {t}> {one}, <{n} x {t}> poison, <{n} x i32> zeroinitializer", level
        )

    def _as_value(self, name: str, v: Var, level: int) -> Value:
        if _kind(v) == REAL:
            return Value(self.b, name, REAL, level)
        t = f"<{self.b.lanes} x i8>" if self.b.lanes > 1 else "i8"
        zero = "zeroinitializer" if self.b.lanes > 1 else "0"
        return Value(self.b, self.b.named(f"icmp ne {t} {name}, {zero}", level), TRUTH, level)


_GEMM = "declare void @{}(ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr)"


class GemmWriter(Addresses):
    """One product → the text of a function that calls BLAS, for each place of the batch.

    BLAS counts along columns first: a matrix of ours is its transpose there, so out = left·right is called as
    outᵀ = rightᵀ·leftᵀ.
    """

    def __init__(self, plan: Plan, gemm: Gemm, slots: Slots, phase: Phase) -> None:
        super().__init__(plan, slots, phase, Block(plan.dtype, 1), gemm.samples)
        self.gemm = gemm
        self.fn = "dgemm" if plan.dtype.itemsize == 8 else "sgemm"

    def text(self, name: str) -> str:
        self._nest(list(self.gemm.batch))
        self.b.declared[self.fn] = _GEMM.format(self.fn)
        self.b.called.add(self.fn)
        head = [f"  %{n} = alloca i32" for n in ("rows", "columns", "depth", "lda", "ldb", "ldc")]
        head += [
            f"  %one = alloca {self.b.real}",
            f"  %beta = alloca {self.b.real}",
            "  %ta = alloca i8",
            "  %tb = alloca i8",
        ]
        lines = [*head, *self.b.levels[0].lines]
        return _function(name, lines)

    def _nest(self, batch: list[Axis]) -> None:
        if not batch:
            self._call()
            return

        def body(i: Index) -> list[Value]:
            self.at[batch[0]] = i
            self._nest(batch[1:])
            return []

        self.b.loop(Index(str(batch[0].extent)), 1, [], body)

    def _call(self) -> None:
        g, b, level = self.gemm, self.b, len(self.b.levels) - 1
        b.line("%short = trunc i64 %len to i32", level)
        extents = {a: "%short" if a is self.samples else str(a.extent) for a in (g.m, g.n, g.k)}
        (right, tb, ldb), (left, ta, lda) = self._matrix(g.right, g.k, g.n), self._matrix(g.left, g.m, g.k)
        by, _ = self.by_axis(g.output.var, g.output.idx)
        out, _ = self.address(g.output.var, g.output.idx, set(g.batch))
        numbers = {
            "rows": extents[g.n],
            "columns": extents[g.m],
            "depth": extents[g.k],
            "lda": ldb,
            "ldb": lda,
            "ldc": max(by[g.m], self._length(g.n)),
        }
        for name, n in numbers.items():
            b.line(f"store i32 {n}, ptr %{name}", level)
        for name, letter in (("ta", tb), ("tb", ta)):
            b.line(f"store i8 {ord(letter)}, ptr %{name}", level)
        one, zero = literal(1.0, b.dtype), literal(0.0, b.dtype)
        b.line(f"store {b.real} {one}, ptr %one", level)
        beta = zero
        if g.output.combine:
            first = b.named("icmp eq i64 %start, %begin", 0)
            beta = b.named(f"select i1 {first}, {b.real} {zero}, {b.real} {one}", 0)
        b.line(f"store {b.real} {beta}, ptr %beta", level)
        args = f"ptr %ta, ptr %tb, ptr %rows, ptr %columns, ptr %depth, ptr %one, ptr {right.name}, ptr %lda"
        b.line(
            f"call void @{self.fn}({args}, ptr {left.name}, ptr %ldb, ptr %beta, ptr {out.name}, ptr %ldc)",
            level,
        )

    def _matrix(self, read: tuple[Var, Terms], rows: Axis, columns: Axis) -> tuple[Index, str, int]:
        """Address, letter of BLAS and leading dimension of a matrix."""
        by, _ = self.by_axis(*read)
        at, _ = self.address(*read, set(self.gemm.batch))
        how = leading(self._length(rows), self._length(columns), by.get(rows, 0), by.get(columns, 0))
        assert how is not None, "the plan gives BLAS what it can read"
        return at, *how

    def _length(self, a: Axis) -> int:
        """The most places that a call sees along a loop."""
        assert self.phase is not None
        return min(a.extent, self.phase.tile) if a is self.samples else a.extent


def _function(name: str, lines: Sequence[str]) -> str:
    head = f"define internal void @{name}(ptr %table, i64 %begin, i64 %start, i64 %len) {{"
    return "\n".join([head, "entry:", *lines, "  ret void", "}"])


def _kind(v: Var) -> str:
    return TRUTH if v.dtype.kind == "b" else REAL


def _memory(v: Var, b: Block) -> str:
    return "i8" if v.dtype.kind == "b" else b.real


def _bytes(v: Var, b: Block) -> int:
    return 1 if v.dtype.kind == "b" else b.bits // 8


def _short(t: str) -> str:
    return {"double": "f64", "float": "f32", "i8": "i8"}[t]


class Writer:
    """Collects functions: `kernels` and `phase` add one that the program calls by name."""

    def __init__(self, plan: Plan, slots: Slots) -> None:
        self.plan, self.slots = plan, slots
        self.texts: list[str] = []
        self.declared: dict[str, str] = {}
        self.externals: set[str] = set()
        self.names: list[str] = []

    def text(self) -> str:
        """The module."""
        return "\n".join([*self.declared.values(), *self.texts, "!0 = !{}"]) + "\n"

    def kernels(self, kernels: Sequence[Kernel]) -> str:
        """`NAME(ptr %table)`: kernels on whole arrays, one after the other."""
        lines = []
        for kernel in kernels:
            extent = kernel.axes[-1].extent if kernel.vector else 0
            lines.append(f"  call void @{self._add(kernel, None)}(ptr %table, i64 0, i64 0, i64 {extent})")
        return self._define("ptr %table", lines)

    def phase(self, phase: Phase) -> str:
        """`NAME(ptr %table, i64 %begin, i64 %end)`: the tiles of some samples."""
        calls = [
            f"  call void @{self._add(kernel, phase)}(ptr %table, i64 %begin, i64 %start, i64 %len)"
            for kernel in phase.kernels
        ]
        lines = [
            "  br label %tile",
            "tile:",
            "  %start = phi i64 [ %begin, %entry ], [ %next, %tile ]",
            f"  %next = add i64 %start, {phase.tile}",
            "  %left = sub i64 %end, %start",
            f"  %short = icmp slt i64 %left, {phase.tile}",
            f"  %len = select i1 %short, i64 %left, i64 {phase.tile}",
            *calls,
            "  %more = icmp slt i64 %next, %end",
            "  br i1 %more, label %tile, label %after",
            "after:",
        ]
        return self._define("ptr %table, i64 %begin, i64 %end", lines)

    def _define(self, arguments: str, lines: list[str]) -> str:
        self.names.append(f"step{len(self.names)}")
        head = f"define void @{self.names[-1]}({arguments}) {{"
        self.texts.append("\n".join([head, "entry:", *lines, "  ret void", "}"]))
        return self.names[-1]

    def _add(self, kernel: Kernel | Gemm, phase: Phase | None) -> str:
        if isinstance(kernel, Gemm):
            assert phase is not None
            writer: Any = GemmWriter(self.plan, kernel, self.slots, phase)
        else:
            writer = KernelWriter(self.plan, kernel, self.slots, phase)
        name = f"kernel{len(self.texts)}"
        self.texts.append(writer.text(name))
        self.declared.update(writer.b.declared)
        self.externals |= writer.b.called
        return name
