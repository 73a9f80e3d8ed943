"""Where values are in memory, and how vectors of samples are read from there and written."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Any

from chainrule.codegen.block import LONG, REAL, TRUTH, Block, Index, Value, where
from chainrule.codegen.layout import Layout
from chainrule.codegen.locations import Locations
from chainrule.codegen.plan import Plan
from chainrule.codegen.schedule import FAULT
from chainrule.codegen.steps import Phase
from chainrule.codegen.views import Axis, Terms
from chainrule.ir.graph import Var


class Addresses(Layout):
    """Where the entries of kept values are: pointers of the table, strides, the loops' indices."""

    def __init__(self, plan: Plan, phase: Phase | None, block: Block, samples: Axis | None) -> None:
        super().__init__(plan, phase)
        self.b, self.samples = block, samples
        self.pointers: dict[Any, int] = {}  # what is read and written -> its number in this kernel
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

    def nest(self, axes: Sequence[Axis], then: Callable[[], None]) -> None:
        """Loops over these axes, the first one outermost, around what `then` writes."""
        if not axes:
            return then()
        first, *rest = axes
        return self.loop_along(first, str(first.extent), 1, lambda: self.nest(rest, then))

    def loop_along(self, axis: Axis, stop: str, step: int, then: Callable[[], None]) -> None:
        """A loop over every so many places of an axis."""

        def body(i: Index) -> list[Value]:
            self.at[axis] = i
            then()
            return []

        self.b.loop(Index(stop), step, [], body)

    def _pointer(self, key: Any) -> str:
        number = self.pointers.setdefault(key, len(self.pointers))
        return self.b.named(f"{_POINTER}{number}", 0)


def kind_of(v: Var) -> str:
    return {"b": TRUTH, "i": LONG}.get(v.dtype.kind, REAL)


def memory_type(v: Var, b: Block) -> str:
    return {"b": "i8", "i": f"i{8 * v.dtype.itemsize}"}.get(v.dtype.kind, b.real)


def bytes_of(v: Var) -> int:
    return v.dtype.itemsize


def short_name(t: str) -> str:
    return {"double": "f64", "float": "f32"}.get(t, t)


class Memory(Locations, Addresses):
    """Loads and stores at the loops' indices: a number where the samples do not matter, else a vector of samples."""

    mask: Value | None = None  # which lanes are samples, where the last vector may reach beyond them
    guard: Value | None = None  # which lanes will be used: others may address what is not there

    def located(self, v: Var, idx: Terms) -> tuple[Index, int, Value | None]:
        """Where an entry is, how far apart those of neighbouring samples are, and what is added in each lane."""
        by, offset = self.by_axis(v, idx)
        found = self.total(tuple((axis, stride, 0) for axis, stride in by.items()))
        terms = [(found.base, 1)]
        if self.phase is not None and found.apart and not self.in_tile(v):
            terms.append((Index("%start"), found.apart))
        key = (v, self.phase.number) if self.in_tile(v) and self.phase else v
        address = self.b.at(self._pointer(key), terms, offset, memory_type(v, self.b))
        return address, found.apart, found.lanes

    def load(self, v: Var, idx: Terms) -> Value:
        address, apart, lanes = self.located(v, idx)
        t = memory_type(v, self.b)
        if self.b.lanes == 1 or (apart == 0 and lanes is None):
            one = self.b.named(f"load {t}, ptr {address.name}", address.level)
            return self._as_value(self._repeated(one, t, address.level), v, address.level)
        mask = self.used(None if self.in_tile(v) else self.mask)
        level = max(x.level for x in (address, mask, lanes) if x is not None)
        vector = f"<{self.b.lanes} x {t}>"
        if apart != 1 or lanes is not None:
            text = self._masked("gather", vector, t, self._pointers(address, apart, t, v, lanes), mask)
        elif mask is None:
            text = f"load {vector}, ptr {address.name}, align {bytes_of(v)}"
        else:
            text = self._masked("load", vector, t, f"ptr align {bytes_of(v)} {address.name}", mask)
        return self._as_value(self.b.named(text, level), v, level)

    def refuse(self, bad: Value) -> None:
        """Tell the program that something cannot be, if it is one of those that count."""
        mask = self.used(self.mask)
        self.b.flag(bad if mask is None else bad & mask, self._pointer(FAULT))

    def used(self, mask: Value | None) -> Value | None:
        """Those lanes of a mask (None: of all) that will be used."""
        if mask is None or self.guard is None:
            return self.guard if mask is None else mask
        return mask & self.guard

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
        if t == "i32":
            name = b.fresh()
            b.line(f"{name} = trunc {b.types[LONG]} {value.name} to {vector}", level)
        if b.lanes == 1 or (apart == 1 and (self.mask is None or in_tile)):
            b.line(f"store {vector} {name}, ptr {address.name}, align {bytes_of(v)}", level)
            return
        mask = self._lanes_of(self.mask)
        kind = f"{b.suffix}{short_name(t)}"
        if apart == 1:
            fn, to, pt = f"llvm.masked.store.{kind}.p0", f"ptr align {bytes_of(v)} {address.name}", "ptr"
        else:
            fn, pt = f"llvm.masked.scatter.{kind}.{b.suffix}p0", f"<{b.lanes} x ptr>"
            to = self._pointers(address, apart, t, v)
        b.declared[fn] = f"declare void @{fn}({vector}, {pt}, <{b.lanes} x i1>)"
        b.line(f"call void @{fn}({vector} {name}, {to}, <{b.lanes} x i1> {mask})", level)

    def clear(self, v: Var, combine: str) -> None:
        """0 for all of a value, or -1 if the largest is looked for, where the samples begin."""
        b = self.b
        b.declared["llvm.memset"] = "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)"
        first = b.named("icmp eq i64 %start, %begin", 0)
        bytes_ = b.named(f"select i1 {first}, i64 {v.type.size * bytes_of(v)}, i64 0", 0)
        what = f"ptr {self._pointer(v)}, i8 {0 if combine == 'add' else -1}, i64 {bytes_}, i1 false"
        b.line(f"call void @llvm.memset.p0.i64({what})", 0)

    def add(self, v: Var, idx: Terms, value: Value, combine: str) -> None:
        """Add to entries of a value in memory, or make them larger, lane after lane, as several may be one."""
        b, level, t = self.b, len(self.b.levels) - 1, memory_type(v, self.b)
        address, apart, lanes = self.located(v, idx)
        op = "fadd" if value.kind == REAL else "add"
        if combine != "add":
            b.declared["llvm.smax.i64"] = "declare i64 @llvm.smax.i64(i64, i64)"
        places = b.steps(apart) if lanes is None else lanes + b.steps(apart) if apart else lanes
        if self.mask is not None:  # lanes behind the end change nothing, at an entry that exists
            value = where(self.mask, value, 0 if combine == "add" else -1)
            places = where(self.mask, places, 0)
        for k in range(b.lanes):
            at, one = address.name, value.name
            if b.lanes > 1:
                place, one, at = b.fresh(), b.fresh(), b.fresh()
                b.line(f"{place} = extractelement {b.types[LONG]} {places.name}, i32 {k}", level)
                b.line(f"{one} = extractelement {b.types[value.kind]} {value.name}, i32 {k}", level)
                b.line(f"{at} = getelementptr {t}, ptr {address.name}, i64 {place}", level)
            old, new = b.fresh(), b.fresh()
            b.line(f"{old} = load {t}, ptr {at}, align {bytes_of(v)}", level)
            text = (
                f"{op} {t} {old}, {one}"
                if combine == "add"
                else f"call i64 @llvm.smax.i64(i64 {old}, i64 {one})"
            )
            b.line(f"{new} = {text}", level)
            b.line(f"store {t} {new}, ptr {at}, align {bytes_of(v)}", level)

    def _masked(self, how: str, vector: str, t: str, where: str, mask: Value | None) -> str:
        b = self.b
        kind = f"{b.suffix}{short_name(t)}"
        fn = f"llvm.masked.{how}.{kind}.{'p0' if how == 'load' else f'{b.suffix}p0'}"
        pt = "ptr" if how == "load" else f"<{b.lanes} x ptr>"
        b.declared[fn] = f"declare {vector} @{fn}({pt}, <{b.lanes} x i1>, {vector})"
        lanes = f"<{b.lanes} x i1> {self._lanes_of(mask)}"
        return f"call {vector} @{fn}({where}, {lanes}, {vector} zeroinitializer)"

    def _lanes_of(self, mask: Value | None) -> str:
        return "<" + ", ".join(["i1 true"] * self.b.lanes) + ">" if mask is None else mask.name

    def _pointers(self, address: Index, apart: int, t: str, v: Var, lanes: Value | None = None) -> str:
        b, steps = self.b, self.b.steps(apart)
        places = steps if lanes is None else lanes + steps if apart else lanes
        level = max(address.level, places.level)
        name = b.named(f"getelementptr {t}, ptr {address.name}, <{b.lanes} x i64> {places.name}", level)
        return f"<{b.lanes} x ptr> align {bytes_of(v)} {name}"

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
            if memory_type(v, self.b) == "i32":
                short = f"<{self.b.lanes} x i32>" if self.b.lanes > 1 else "i32"
                name = self.b.named(f"sext {short} {name} to {self.b.types[LONG]}", level)
            return Value(self.b, name, kind_of(v), level)
        t = f"<{self.b.lanes} x i8>" if self.b.lanes > 1 else "i8"
        zero = "zeroinitializer" if self.b.lanes > 1 else "0"
        return Value(self.b, self.b.named(f"icmp ne {t} {name}, {zero}", level), TRUTH, level)


_POINTER = "pointer "  # no instruction: `function` writes it out


def function(name: str, lines: Sequence[str], slots: Sequence[int] | None) -> str:
    """A kernel: the samples of one tile, from `%start` on; `%begin` is where those of its chunk begin.

    slots
        Of its pointers in the table; None: they are read from `%slots`, so that one kernel serves several places.
    """
    head = f"define internal void @{name}(ptr %table, ptr %slots, i64 %begin, i64 %start, i64 %len) {{"
    body: list[str] = []
    for line in lines:
        v, is_pointer, number = line.partition(f" = {_POINTER}")
        body += _pointer(v.strip(), int(number), slots) if is_pointer else (line,)
    return "\n".join([head, "entry:", *body, "  ret void", "}"])


def _pointer(v: str, number: int, slots: Sequence[int] | None) -> list[str]:
    slot, before = f"{v}.slot", []
    if slots is not None:
        slot = str(slots[number])
    else:
        before = [
            f"  {v}.at = getelementptr i64, ptr %slots, i64 {number}",
            f"  {slot} = load i64, ptr {v}.at, !invariant.load !0",
        ]
    return [
        *before,
        f"  {v}.in = getelementptr ptr, ptr %table, i64 {slot}",
        f"  {v} = load ptr, ptr {v}.in, !invariant.load !0",
    ]
