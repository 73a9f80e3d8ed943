"""Running sums and products, and linear recurrences along the rows of an array, compiled.

Rows side by side go through as vectors, each lane in order. A row that lies in order is one chain of dependent steps;
sums of it are made eight at a time (Note [Sums in steps of a vector]).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

from chainrule.codegen import jit
from chainrule.codegen.block import Block, Index, Value, fma, where
from chainrule.codegen.row_pass import ended
from chainrule.codegen.row_program import Layout

# Note [Sums in steps of a vector]
# The running sums inside a vector are made by adding it to itself, moved by 1, 2 and 4 places; what came before is
# added last. So sums wait for each other once in eight entries, and each is of fewer rounded terms than one after the
# other. Where a sum leaves the range of the dtype the two orders differ: `bad`, a sum of 0·result, is NaN then, and the
# caller takes the plain order.


@dataclass(frozen=True, eq=False)
class Scan:
    """yᵢ = step(yᵢ₋₁, entries i of the inputs); y₀ is entry 0 of the last input."""

    inputs: tuple[str, ...]
    step: Callable[..., Value]


SUM = Scan(("x",), lambda y, x: y + x)
PRODUCT = Scan(("x",), lambda y, x: y * x)
RECURRENCE = Scan(("a", "b"), lambda y, a, b: a * y + b)


class Compiled:
    """A compiled scan: `call(outer, n, inner, out, inputs …)`, and of `fast` sums at last the address of `bad`."""

    def __init__(self, scan: Scan, layout: Layout, reverse: bool) -> None:
        self.fast = scan is SUM and layout.along
        text = _fast_sum(layout, reverse) if self.fast else _in_order(scan, layout, reverse)
        self.module = jit.Module(text, ["kernel"], [])
        self.call = self.module.function("kernel", 4 + len(scan.inputs) + self.fast)


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
            return Index(b.named(f"getelementptr {b.real}, ptr %{name}, i64 {place}", level), level)

        def body(i: Index, *so_far: Value) -> list[Value]:
            k, after = b.named(f"add i64 {i.name}, 1", i.level), []
            for j, y in enumerate(so_far):
                y = scan.step(y, *(b.load(at(n, k, j, i.level), masks[j]) for n in scan.inputs))
                b.store(y, at("out", k, j, i.level), masks[j])
                after.append(y)
            return after

        start = [b.load(at(scan.inputs[-1], "0", j, level), masks[j]) for j in range(width)]
        for j, y in enumerate(start):
            b.store(y, at("out", "0", j, level), masks[j])
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
