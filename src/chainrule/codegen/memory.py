"""Where values are in memory, and how vectors of samples are read from there and written."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

from chainrule.codegen.block import LONG, REAL, TRUTH, Block, Index, Value
from chainrule.codegen.layout import Layout
from chainrule.codegen.plan import Plan
from chainrule.codegen.steps import Phase
from chainrule.codegen.views import Axis, Terms
from chainrule.ir.graph import Var


class Slots:
    """The table of pointers that a program is called with: one slot for each array it reads or writes."""

    def __init__(self) -> None:
        self.of: dict[Any, int] = {}

    def __getitem__(self, key: Any) -> int:
        return self.of.setdefault(key, len(self.of))


class Addresses(Layout):
    """Where the entries of kept values are: pointers of the table, strides, the loops' indices."""

    def __init__(
        self, plan: Plan, slots: Slots, phase: Phase | None, block: Block, samples: Axis | None
    ) -> None:
        super().__init__(plan, phase)
        self.slots, self.b, self.samples = slots, block, samples
        self.at: dict[Axis, Index] = {}

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
        return self.b.at(self._pointer(key), found, offset, memory_type(v, self.b)), apart

    def _pointer(self, key: Any) -> str:
        slot = self.b.named(f"getelementptr ptr, ptr %table, i64 {self.slots[key]}", 0)
        return self.b.named(f"load ptr, ptr {slot}, !invariant.load !0", 0)


def kind_of(v: Var) -> str:
    return {"b": TRUTH, "i": LONG}.get(v.dtype.kind, REAL)


def memory_type(v: Var, b: Block) -> str:
    return {"b": "i8", "i": "i64"}.get(v.dtype.kind, b.real)


def bytes_of(v: Var) -> int:
    return v.dtype.itemsize


def short_name(t: str) -> str:
    return {"double": "f64", "float": "f32"}.get(t, t)


class Memory(Addresses):
    """Loads and stores at the loops' indices: a number where the samples do not matter, else a vector of samples."""

    mask: Value | None = None  # which lanes are samples, where the last vector may reach beyond them

    def load(self, v: Var, idx: Terms) -> Value:
        address, apart = self.address(v, idx)
        t = memory_type(v, self.b)
        in_tile = self.in_tile(v)
        if self.b.lanes == 1 or apart == 0:
            one = self.b.named(f"load {t}, ptr {address.name}", address.level)
            return self._as_value(self._repeated(one, t, address.level), v, address.level)
        vector = f"<{self.b.lanes} x {t}>"
        if apart == 1 and (self.mask is None or in_tile):
            text = f"load {vector}, ptr {address.name}, align {bytes_of(v)}"
        elif apart == 1:
            text = self._masked("load", vector, t, f"ptr align {bytes_of(v)} {address.name}", address.level)
        else:
            text = self._masked("gather", vector, t, self._pointers(address, apart, t, v), address.level)
        return self._as_value(self.b.named(text, address.level), v, address.level)

    def store(self, v: Var, idx: Terms, value: Value) -> None:
        b = self.b
        address, apart = self.address(v, idx)
        t = memory_type(v, b)
        level = len(b.levels) - 1
        in_tile = self.in_tile(v)
        vector = f"<{b.lanes} x {t}>" if b.lanes > 1 else t
        name = value.name
        if value.kind == TRUTH:
            name = b.fresh()
            b.line(f"{name} = zext {b.types[TRUTH]} {value.name} to {vector}", level)
        if b.lanes == 1 or (apart == 1 and (self.mask is None or in_tile)):
            b.line(f"store {vector} {name}, ptr {address.name}, align {bytes_of(v)}", level)
            return
        mask = self._every() if self.mask is None else self.mask.name
        kind = f"{b.suffix}{short_name(t)}"
        if apart == 1:
            fn, to, pt = f"llvm.masked.store.{kind}.p0", f"ptr align {bytes_of(v)} {address.name}", "ptr"
        else:
            fn, pt = f"llvm.masked.scatter.{kind}.{b.suffix}p0", f"<{b.lanes} x ptr>"
            to = self._pointers(address, apart, t, v)
        b.declared[fn] = f"declare void @{fn}({vector}, {pt}, <{b.lanes} x i1>)"
        b.line(f"call void @{fn}({vector} {name}, {to}, <{b.lanes} x i1> {mask})", level)

    def _masked(self, how: str, vector: str, t: str, where: str, level: int) -> str:
        b = self.b
        kind = f"{b.suffix}{short_name(t)}"
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
        return f"<{n} x ptr> align {bytes_of(v)} {name}"

    def _repeated(self, scalar: str, t: str, level: int) -> str:
        n = self.b.lanes
        if n == 1:
            return scalar
        one = self.b.named(f"insertelement <{n} x {t}> poison, {t} {scalar}, i32 0", level)
        return self.b.named(
            f"shufflevector <{n} x {t}> {one}, <{n} x {t}> poison, <{n} x i32> zeroinitializer", level
        )

    def _as_value(self, name: str, v: Var, level: int) -> Value:
        if kind_of(v) != TRUTH:
            return Value(self.b, name, kind_of(v), level)
        t = f"<{self.b.lanes} x i8>" if self.b.lanes > 1 else "i8"
        zero = "zeroinitializer" if self.b.lanes > 1 else "0"
        return Value(self.b, self.b.named(f"icmp ne {t} {name}, {zero}", level), TRUTH, level)


def function(name: str, lines: Sequence[str]) -> str:
    """A kernel: the samples of one tile, from `%start` on; `%begin` is where those of its chunk begin."""
    head = f"define internal void @{name}(ptr %table, i64 %begin, i64 %start, i64 %len) {{"
    return "\n".join([head, "entry:", *lines, "  ret void", "}"])
