"""Running sums and products, and linear recurrences along the rows of an array, compiled.

Rows side by side go through as vectors, each lane in order. A row that lies in order is one chain of dependent steps;
sums of it are made eight at a time (Note [Sums in steps of a vector]), extremes where an entry is better than before.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chainrule.codegen import jit
from chainrule.codegen.block import REAL, TRUTH, Block, Index, Value, fma, literal, where
from chainrule.codegen.row_pass import ended
from chainrule.codegen.row_program import Layout

# Note [Sums in steps of a vector]
# The running sums inside a vector are made by adding it to itself, moved by 1, 2 and 4 places; what came before is
# added last. So sums wait for each other once in eight entries, and each is of fewer rounded terms than one after the
# other. Where a sum leaves the range of the dtype the two orders differ: `bad`, a sum of 0·result, is NaN then, and the
# caller takes the plain order.


@dataclass(frozen=True, eq=False)
class Scan:
    """What is carried from entry to entry: `first(entries)`, then `step(carried, number of the entry, entries)`.

    The last value that is carried is written; as a whole number if `places`.

    takes, least
        Of places of best entries: whether an entry is one, given the best before; what every entry is as good as.
    """

    inputs: tuple[str, ...]
    step: Callable[..., tuple[Value, ...]]
    first: Callable[..., tuple[Value, ...]] = lambda *entries: entries[-1:]
    takes: Callable[[Value, Value], Value] | None = None
    least: float = 0.0

    @property
    def places(self) -> bool:
        return self.takes is not None


def _best(better: Callable[[Value, Value], Value], least: float) -> Scan:
    """The place of the best entry so far, the last one of equals; from a NaN on, of the last NaN."""

    def takes(x: Value, best: Value) -> Value:
        return better(x, best) | (x != x)

    def step(carried: tuple[Value, ...], i: Value, x: Value) -> tuple[Value, ...]:
        best, place = carried
        found = takes(x, best)
        return where(found, x, best), where(found, i, place)

    return Scan(("x",), step, lambda x: (x, x.block.value(0.0)), takes, least)


SUM = Scan(("x",), lambda carried, i, x: (carried[0] + x,))
PRODUCT = Scan(("x",), lambda carried, i, x: (carried[0] * x,))
RECURRENCE = Scan(("a", "b"), lambda carried, i, a, b: (a * carried[0] + b,))
LARGEST = _best(lambda x, best: x >= best, -math.inf)
SMALLEST = _best(lambda x, best: x <= best, math.inf)


class Compiled:
    """A compiled scan: `call(outer, n, inner, out, inputs …)`, and of `fast` sums at last the address of `bad`."""

    def __init__(self, scan: Scan, layout: Layout, reverse: bool) -> None:
        self.fast = scan is SUM and layout.along
        text = self._text(scan, layout, reverse)
        self.module = jit.Module(text, ["kernel"], [])
        self.call = self.module.function("kernel", 4 + len(scan.inputs) + self.fast)

    def _text(self, scan: Scan, layout: Layout, reverse: bool) -> str:
        if self.fast:
            return _fast_sum(layout, reverse)
        if scan.takes is not None and layout.along and not reverse:
            return _fast_extreme(layout, scan.takes, scan.step, scan.least)
        return _in_order(scan, layout, reverse)


@functools.cache
def kernel(scan: Scan, layout: Layout, reverse: bool) -> Compiled | None:
    """The compiled scan, from the end if `reverse`; None without llvmlite."""
    return Compiled(scan, layout, reverse) if jit.is_available() else None


def _function(b: Block, names: tuple[str, ...]) -> str:
    pointers = ", ".join(f"ptr %{n}" for n in names)
    head = f"define void @kernel(i64 %outer, i64 %n, i64 %inner, {pointers}) {{"
    return "\n".join([*b.declared.values(), head, *ended(b)]) + "\n"


def _in_order(scan: Scan, layout: Layout, reverse: bool) -> str:
    """Entry by entry: strips of rows side by side, or one row of plain numbers."""
    b = Block(layout.dtype, 1 if layout.along else layout.lanes)
    width = 1 if layout.along else layout.width
    size, narrow = width * b.lanes, layout.narrow and not layout.along

    def strip(first: str, level: int) -> None:
        masks = [b.inside("%inner", j * b.lanes) if narrow else None for j in range(width)]
        step = b.named("sub i64 0, %inner", 0) if reverse else "%inner"
        begin = first
        if reverse:
            last = b.named(f"mul i64 {b.named('sub i64 %n, 1', 0)}, %inner", 0)
            begin = b.named(f"add i64 {first}, {last}", level)

        def at(name: str, k: str, j: int, level: int) -> Index:
            moved = b.named(f"mul i64 {k}, {step}", level)
            place = b.named(f"add i64 {b.named(f'add i64 {begin}, {moved}', level)}, {j * b.lanes}", level)
            entry = "i64" if name == "out" and scan.places else b.real
            return Index(b.named(f"getelementptr {entry}, ptr %{name}, i64 {place}", level), level)

        def entries(k: str, j: int, level: int) -> list[Value]:
            return [b.load(at(n, k, j, level), masks[j]) for n in scan.inputs]

        def put(carried: tuple[Value, ...], k: str, j: int, level: int) -> tuple[Value, ...]:
            _write(b, carried[-1], at("out", k, j, level), masks[j], scan.places)
            return carried

        def body(i: Index, *so_far: Value) -> list[Value]:
            k = b.named(f"add i64 {i.name}, 1", i.level)
            number = b.repeat(b.named(f"sitofp i64 {k} to {b.real}", i.level), i.level)
            after: list[Value] = []
            for j in range(width):
                carried = so_far[j * size_of : (j + 1) * size_of]
                after += put(scan.step(carried, number, *entries(k, j, i.level)), k, j, i.level)
            return after

        start = [v for j in range(width) for v in put(scan.first(*entries("0", j, level)), "0", j, level)]
        size_of = len(start) // width
        b.loop_or_none(Index(b.named("sub i64 %n, 1", 0)), start, body)

    def strips(o: Index) -> list[Value]:
        def body(s: Index) -> list[Value]:
            first = s.name
            if not narrow and size > 1:
                last = b.named(f"sub i64 %inner, {size}", 0)
                early = b.named(f"icmp slt i64 {s.name}, {last}", s.level)
                first = b.named(f"select i1 {early}, i64 {s.name}, i64 {last}", s.level)
            row = b.named(f"mul i64 {o.name}, {b.named('mul i64 %n, %inner', 0)}", o.level)
            strip(b.named(f"add i64 {row}, {first}", s.level), s.level)
            return []

        b.loop(Index("%inner"), size, [], body)
        return []

    b.loop(Index("%outer"), 1, [], strips)
    return _function(b, ("out", *scan.inputs))


def _write(b: Block, v: Value, at: Index, mask: Value | None, places: bool) -> None:
    """Store what is carried; a place, which is carried as a real number, as 8 bytes."""
    if not places:
        return b.store(v, at, mask)
    wide = f"<{b.lanes} x i64>" if b.lanes > 1 else "i64"
    whole = b.named(f"fptosi {b.types[REAL]} {v.name} to {wide}", v.level)
    if mask is None:
        return b.line(f"store {wide} {whole}, ptr {at.name}, align 8", max(v.level, at.level))
    fn, truth = f"llvm.masked.store.{b.suffix}i64.p0", b.types[TRUTH]
    b.declared[fn] = f"declare void @{fn}({wide}, ptr, i32, {truth})"
    text = f"call void @{fn}({wide} {whole}, ptr {at.name}, i32 8, {truth} {mask.name})"
    return b.line(text, max(v.level, at.level, mask.level))


def can_place(layout: Layout, n: int) -> bool:
    """Whether places along rows of n entries fit into the dtype."""
    return layout.dtype.itemsize == 8 or n <= 1 << 24


def _fast_sum(layout: Layout, reverse: bool) -> str:
    """Rows that lie in order, a vector at a time, and the rest of each row in one that is not full."""
    b = Block(layout.dtype, layout.lanes)
    lanes = b.lanes
    nothing = b.value(-0.0)
    full, rest = b.named(f"sdiv i64 %n, {lanes}", 0), b.named(f"srem i64 %n, {lanes}", 0)
    inside = b.inside(rest)
    backwards = list(range(lanes))[::-1]

    def sums(v: Value) -> Value:
        """Running sums inside a vector."""
        distance = 1
        while distance < lanes:
            moved = b.shuffle(v, [(k - distance) % (2 * lanes) for k in range(lanes)], nothing.name)
            v, distance = v + moved, 2 * distance
        return v

    def vector(start: str, level: int, before: Value, bad: Value, mask: Value | None) -> list[Value]:
        """The sums of one vector; what comes before the next one, and `bad`."""
        of = lambda name: Index(b.named(f"getelementptr {b.real}, ptr %{name}, i64 {start}", level), level)
        v = b.load(of("x"), mask)
        v = v if mask is None else where(mask, v, nothing)
        inner = sums(b.shuffle(v, backwards) if reverse else v)
        y = inner + before
        b.store(b.shuffle(y, backwards) if reverse else y, of("out"), mask)
        return [before + b.shuffle(inner, [lanes - 1] * lanes), fma(y, 0.0, bad)]

    def row(o: Index, bad: Value) -> list[Value]:
        begin = b.named(f"mul i64 {o.name}, %n", o.level)
        end = b.named(f"add i64 {begin}, %n", o.level)

        def body(i: Index, *so_far: Value) -> list[Value]:
            moved = b.named(f"mul i64 {i.name}, {lanes}", i.level)
            if reverse:
                moved = b.named(f"add i64 {moved}, {lanes}", i.level)
                return vector(b.named(f"sub i64 {end}, {moved}", i.level), i.level, *so_far, None)
            return vector(b.named(f"add i64 {begin}, {moved}", i.level), i.level, *so_far, None)

        before, bad = b.loop_or_none(Index(full), [nothing, bad], body)
        left = begin if reverse else b.named(f"sub i64 {end}, {rest}", o.level)
        return [vector(left, o.level, before, bad, inside)[1]]

    (bad,) = b.loop(Index("%outer"), 1, [b.value(0.0)], row)
    b.store(bad, Index("%bad"))
    return _function(b, ("out", "x", "bad"))


def _fast_extreme(layout: Layout, takes: Callable[..., Value], step: Callable[..., Any], least: float) -> str:
    """Places of running extremes of rows that lie in order, a vector at a time as `_fast_sum`.

    The step of the scan joins two stretches of a row as it joins one and an entry. The best so far and its place are
    kept in memory, in every lane: a vector without a better entry, as most are, gets that place.
    """
    b = Block(layout.dtype, layout.lanes)
    lanes = b.lanes
    nothing = (b.value(least), b.value(0.0))  # every entry is as good as this
    numbers = Value(b, f"<{', '.join(f'{b.real} {literal(k, b.dtype)}' for k in range(lanes))}>", REAL)
    full, rest = b.named(f"sdiv i64 %n, {lanes}", 0), b.named(f"srem i64 %n, {lanes}", 0)
    inside = b.inside(rest)
    kept = Index("%best"), Index("%place")
    for at in kept:
        b.line(f"{at.name} = alloca {b.types[REAL]}", 0)

    def keep(best: tuple[Value, ...], level: int) -> None:
        for v, at in zip(best, kept, strict=True):
            b.line(f"store {b.types[REAL]} {v.name}, ptr {at.name}", level)

    def reread(at: Index, level: int) -> Value:
        name = b.fresh()
        b.line(f"{name} = load {b.types[REAL]}, ptr {at.name}", level)
        return Value(b, name, REAL, level)

    def vector(begin: str, first: str, level: int, mask: Value | None) -> None:
        """The places of one vector, whose first entry has that number."""
        start = b.named(f"add i64 {begin}, {first}", level)
        at = Index(b.named(f"getelementptr i64, ptr %out, i64 {start}", level), level)
        v = b.load(Index(b.named(f"getelementptr {b.real}, ptr %x, i64 {start}", level), level), mask)
        v = v if mask is None else where(mask, v, nothing[0])
        before = tuple(reread(k, level) for k in kept)
        _write(b, before[-1], at, mask, True)

        def better() -> None:
            place = numbers + b.repeat(b.named(f"sitofp i64 {first} to {b.real}", level + 1), level + 1)
            so_far, distance = (Value(b, v.name, REAL, level + 1), place), 1
            while distance < lanes:
                order = [(k - distance) % (2 * lanes) for k in range(lanes)]
                earlier = tuple(b.shuffle(s, order, n.name) for s, n in zip(so_far, nothing, strict=True))
                so_far, distance = step(earlier, so_far[1], so_far[0]), 2 * distance
            so_far = step(before, so_far[1], so_far[0])
            _write(b, so_far[-1], at, mask, True)
            keep(tuple(b.shuffle(s, [lanes - 1] * lanes) for s in so_far), level + 1)

        b.when(b.any(takes(v, before[0])), better)

    def row(o: Index) -> list[Value]:
        begin = b.named(f"mul i64 {o.name}, %n", o.level)
        keep(nothing, o.level)

        def body(i: Index) -> list[Value]:
            vector(begin, b.named(f"mul i64 {i.name}, {lanes}", i.level), i.level, None)
            return []

        b.loop_or_none(Index(full), [], body)
        vector(begin, b.named(f"sub i64 %n, {rest}", o.level), o.level, inside)
        return []

    b.loop(Index("%outer"), 1, [], row)
    return _function(b, ("out", "x"))
