"""One pass over rows, as functions in LLVM text.

Each pass k is a function `leaf<k>` over some lines, `edge<k>` over a line that is not full where rows lie in order,
and, if it folds, `fold<k>` over any number of lines. They share their arguments: the number of lines, the valid entries
of a line, the distance of lines, the arrays, the numbers of the row, and where the accumulators go.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from chainrule.codegen.block import REAL, Block, Index, Value, where
from chainrule.codegen.row_program import NEUTRAL, Layout, Pass, Program
from chainrule.codegen.scalar import lower
from chainrule.table.formula import Formula, fold

# Note [Order of a fold]
# Entries are taken in lines of some vectors: of neighbours in a row where the row lies in order, else of neighbouring
# rows. Each place of a line has an accumulator. Eight lines are added one after the other, four such sums make one of
# 32 lines, four of these a leaf. More lines than a leaf has are halved, and the sums of the halves added (pairwise
# summation): the error of a sum of n grows as log n. First halves are of full leaves, so that nearly all loops have
# one length, and the processor foresees where they end. What is left of a row is a line filled up with neutral
# entries. In the end the accumulators of one row are added pairwise. The order depends on the sizes alone, so the
# result is the same on every machine.
LEAF, PARTS = 128, (32, 8)


class Functions:
    """Writes the functions of the passes of a program; declarations and functions of libm are collected."""

    def __init__(self, program: Program, layout: Layout) -> None:
        self.program, self.layout = program, layout
        written = ("written",) if program.result == "written" else ()
        self.arrays = (*written, *program.arrays)
        self.declared: dict[str, str] = {}
        self.called: set[str] = set()

    def block(self) -> Block:
        b = Block(self.layout.dtype, self.layout.lanes)
        b.declared, b.called = self.declared, self.called
        return b

    def of(self, k: int, p: Pass) -> list[str]:
        """The lines of all functions of pass k."""
        along, narrow = self.layout.along, self.layout.narrow
        lines = self._leaf(f"edge{k}", p, True) if along else []
        if not (along and narrow):
            lines += self._leaf(f"leaf{k}", p, narrow)
            lines += self._fold(k, p) if p.fold else []
        return lines

    def _head(self, name: str) -> str:
        pointers = "".join(f"ptr %{a}, " for a in self.arrays)
        shared = f"i64 %lines, i64 %valid, i64 %stride, {pointers}ptr %numbers, ptr %into"
        return f"define internal void @{name}({shared}) {{"

    def _leaf(self, name: str, p: Pass, masked: bool) -> list[str]:
        b, layout = self.block(), self.layout
        masks = [b.inside("%valid", j * layout.lanes) if masked else None for j in range(layout.width)]
        numbers = [
            {n: self._number(b, n, j) for n in p.reads(self.program.numbers)} for j in range(layout.width)
        ]

        def add(line: Index, *so_far: Value) -> list[Value]:
            after: list[Value] = []
            for j, mask in enumerate(masks):
                found = {a: b.load(_at(b, a, line, j), mask) for a in p.reads(self.arrays)} | numbers[j]
                memo: dict[tuple, Value] = {}
                if p.writes is not None:
                    b.store(value(b, p.writes, found, memo), _at(b, "written", line, j), mask)
                if p.of is not None:
                    v = value(b, p.of, found, memo)
                    v = v if mask is None else where(mask, v, NEUTRAL[p.how])
                    after.append(lower(b, p.how, so_far[j], v))
            return after

        start = [b.value(NEUTRAL[p.how])] * layout.width if p.fold else []
        if masked and layout.along:  # the one line at the edge
            folded = add(Index("0"), *start)
        else:
            folded = _in_parts(b, p.how, start, add, Index("0"), Index("%lines"), PARTS if p.fold else ())
        for j, v in enumerate(folded):
            b.store(v, vector(b, "%into", j))
        return [self._head(name), *ended(b)]

    def _number(self, b: Block, name: str, j: int) -> Value:
        """A number of the rows that vector j of a line belongs to."""
        return b.load(vector(b, "%numbers", self.place(name, j)))

    def place(self, name: str, j: int) -> int:
        """Where the number is kept: one vector for a row that lies in order, else one for each vector of a line."""
        at = self.program.numbers.index(name)
        return at if self.layout.along else at * self.layout.width + j

    def _fold(self, k: int, p: Pass) -> list[str]:
        """Halves, and halves of these, down to LEAF lines."""
        b, width = self.block(), self.layout.width
        for j in range(width):
            halves = [b.load(vector(b, pointer, j)) for pointer in ("%into", "%second")]
            b.store(lower(b, p.how, *halves), vector(b, "%into", j))
        here = "".join(f"ptr %{a}, " for a in self.arrays)
        there = "".join(f"ptr %second.{a}, " for a in self.arrays)
        return [
            self._head(f"fold{k}"),
            "entry:",
            f"  %second = alloca [{width} x {b.types[REAL]}]",
            f"  %short = icmp sle i64 %lines, {LEAF}",
            "  br i1 %short, label %leaf, label %halves",
            "leaf:",
            f"  call void @leaf{k}(i64 %lines, i64 %valid, i64 %stride, {here}ptr %numbers, ptr %into)",
            "  ret void",
            "halves:",
            "  %middle = lshr i64 %lines, 1",
            f"  %above = add i64 %middle, {LEAF - 1}",
            f"  %half = and i64 %above, {-LEAF}",
            "  %rest = sub i64 %lines, %half",
            "  %skipped = mul i64 %half, %stride",
            *(f"  %second.{a} = getelementptr {b.real}, ptr %{a}, i64 %skipped" for a in self.arrays),
            f"  call void @fold{k}(i64 %half, i64 %valid, i64 %stride, {here}ptr %numbers, ptr %into)",
            f"  call void @fold{k}(i64 %rest, i64 %valid, i64 %stride, {there}ptr %numbers, ptr %second)",
            *ended(b)[1:],
        ]


def _in_parts(
    b: Block, how: str, start: list[Value], add: Callable[..., list[Value]],
    first: Index, lines: Index, parts: tuple[int, ...],
) -> list[Value]:  # fmt: skip
    """`add` over the lines from the first on: each part from the start, in parts of its own, then all together."""

    def body(k: Index, *so_far: Value) -> list[Value]:
        line = Index(b.named(f"add i64 {first.name}, {k.name}", k.level), k.level)
        if not parts:
            return add(line, *so_far)
        rest = Index(b.named(f"sub i64 {lines.name}, {k.name}", k.level), k.level)
        part = _in_parts(b, how, start, add, line, b.limited(rest, parts[0]), parts[1:])
        return [lower(b, how, x, y) for x, y in zip(so_far, part, strict=True)]

    return b.loop(lines, parts[0] if parts else 1, start, body)


def value(b: Block, f: Formula, values: dict[str, Value], memo: dict[tuple, Value]) -> Value:
    """A formula as lines of the block."""
    return b.value(fold(f, values, {}, functools.partial(lower, b), memo))


def vector(b: Block, pointer: str, k: int) -> Index:
    """The address of vector k of a buffer."""
    return b.at(pointer, [], k, b.types[REAL])


def ended(b: Block) -> list[str]:
    """The lines of a function body from its label to its end."""
    return ["entry:", *b.levels[0].lines, "  ret void", "}"]


def _at(b: Block, array: str, line: Index, j: int) -> Index:
    """The address of vector j of a line."""
    start = b.named(f"mul i64 {line.name}, %stride", line.level)
    place = b.named(f"add i64 {start}, {j * b.lanes}", line.level)
    return Index(b.named(f"getelementptr {b.real}, ptr %{array}, i64 {place}", line.level), line.level)
