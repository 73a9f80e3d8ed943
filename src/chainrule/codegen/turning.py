"""Copies that turn an array over: from rows along its last axis to tiles with the samples next to each other, and back.

Vectors of samples would be gathered entry by entry. Instead a few neighbours of each of as many samples as a register
has lanes are loaded, and turned over in registers.
"""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.codegen.block import Block, Index
from chainrule.codegen.memory import Addresses
from chainrule.codegen.plan import Plan
from chainrule.codegen.reading import Read, operands
from chainrule.codegen.steps import Kernel, Phase

_REGISTER = 64  # bytes; LLVM splits them on narrower machines
_TOGETHER = (
    4,
    2,
    1,
)  # neighbours of a sample that are taken at once: as many fours as there are, then the rest


class TurningWriter(Addresses):
    """One copy → the lines of a function, see `memory.function`."""

    def __init__(self, plan: Plan, kernel: Kernel, phase: Phase) -> None:
        lanes = _REGISTER // plan.dtype.itemsize
        *self.outer, self.entries, samples = kernel.axes
        super().__init__(plan, phase, Block(plan.dtype, lanes), samples)
        (o,) = kernel.outputs
        (read,) = operands(plan.made[o.var], o.idx)
        self.to_tile = self.in_tile(o.var)
        written: Read = (o.var, o.idx)
        self.rows, self.columns = (read, written) if self.to_tile else (written, read)

    def lines(self) -> list[str]:
        """The body of the function."""
        samples = self.samples
        assert samples is not None
        self.nest(self.outer, lambda: self.loop_along(samples, "%len", self.b.lanes, self._turn_all))
        return self.b.levels[0].lines

    def _turn_all(self) -> None:
        """All entries of some samples."""
        most, *fewer = _TOGETHER
        end = self.entries.extent
        done = end // most * most
        if done:
            self.loop_along(self.entries, str(done), most, lambda: self._turn(most))
        for n in fewer:
            if end - done >= n:
                self.at[self.entries] = Index(str(done))
                self._turn(n)
                done += n

    def _turn(self, n: int) -> None:
        """Some neighbours of some samples."""
        b, level = self.b, len(self.b.levels) - 1
        rows = [self._row(r) for r in range(b.lanes)]
        columns = [self._column(k) for k in range(n)]
        load = lambda count, at: b.named(f"load {_type(b, count)}, ptr {at}, align {b.bits // 8}", level)
        if self.to_tile:
            for v, at in zip(turned(b, [load(n, r) for r in rows], n), columns, strict=True):
                b.line(f"store {_type(b, b.lanes)} {v}, ptr {at}, align {b.bits // 8}", level)
            return
        for r, v in enumerate(turned(b, [load(b.lanes, c) for c in columns], b.lanes)):
            self._store_row(r, f"{_type(b, n)} {v}", rows[r])

    def _row(self, r: int) -> str:
        """Where the neighbours of sample r of the vector begin; instead of what is no sample that of the last one."""
        b = self.b
        address, apart = self.address(*self.rows)
        if not self._may_end(r):
            return b.named(f"getelementptr {b.real}, ptr {address.name}, i64 {r * apart}", address.level)
        b.declared["llvm.smin.i64"] = "declare i64 @llvm.smin.i64(i64, i64)"
        left = self._left()
        last = b.named(f"call i64 @llvm.smin.i64(i64 {left.name}, i64 {r})", left.level)
        far = b.named(f"mul i64 {last}, {apart}", left.level)
        return b.named(f"getelementptr {b.real}, ptr {address.name}, i64 {far}", address.level)

    def _column(self, k: int) -> str:
        """Where the vector of samples for neighbour k begins."""
        b = self.b
        address, _ = self.address(*self.columns)
        stride = self.by_axis(*self.columns)[0][self.entries]
        return b.named(f"getelementptr {b.real}, ptr {address.name}, i64 {k * stride}", address.level)

    def _store_row(self, r: int, v: str, at: str) -> None:
        b, level = self.b, len(self.b.levels) - 1
        store = lambda level: b.line(f"store {v}, ptr {at}, align {b.bits // 8}", level)
        if not self._may_end(r):
            return store(level)
        left = self._left()
        return b.when(b.named(f"icmp sge i64 {left.name}, {r}", left.level), lambda: store(level + 1))

    def _may_end(self, r: int) -> bool:
        """Whether lane r can lie behind the last sample."""
        assert self.samples is not None
        return r > 0 and bool(self.samples.extent % self.b.lanes)

    def _left(self) -> Index:
        """How many samples follow the first one of the vector."""
        assert self.samples is not None
        i = self.at[self.samples]
        end = self.b.named("sub i64 %len, 1", 0)
        return Index(self.b.named(f"sub i64 {end}, {i.name}", i.level), i.level)


def turned(b: Block, rows: Sequence[str], width: int) -> list[str]:
    """`width` vectors, one for each column of these rows; powers of two.

    Neighbouring groups of rows are joined: columns one after the other, in each the rows. What would be longer than a
    register is cut between columns.
    """
    groups, columns, count = [[row] for row in rows], width, 1
    while len(groups) > 1:
        kept = columns if 2 * count * columns <= b.lanes else columns // 2
        cuts = range(0, columns, kept)
        groups = [
            [
                _joined(b, x, y, columns, count, range(c, c + kept))
                for x, y in zip(*pair, strict=True)
                for c in cuts
            ]
            for pair in zip(groups[::2], groups[1::2], strict=True)
        ]
        columns, count = kept, 2 * count
    (pieces,) = groups
    if columns == 1:
        return pieces
    parts = [range(c * count, (c + 1) * count) for c in range(columns)]
    return [_shuffled(b, p, "poison", columns * count, part) for p in pieces for part in parts]


def _joined(b: Block, x: str, y: str, columns: int, count: int, kept: range) -> str:
    """Some columns of two groups of `count` rows, each of `columns` columns."""
    first = [range(c * count, (c + 1) * count) for c in kept]
    lanes = [k + behind for part in first for behind in (0, columns * count) for k in part]
    return _shuffled(b, x, y, columns * count, lanes)


def _shuffled(b: Block, x: str, y: str, length: int, lanes: Sequence[int]) -> str:
    """Lanes of two vectors of a length."""
    t, mask = _type(b, length), ", ".join(f"i32 {k}" for k in lanes)
    return b.named(f"shufflevector {t} {x}, {t} {y}, <{len(lanes)} x i32> <{mask}>", len(b.levels) - 1)


def _type(b: Block, count: int) -> str:
    return f"<{count} x {b.real}>"


__all__ = ["TurningWriter", "turned"]
