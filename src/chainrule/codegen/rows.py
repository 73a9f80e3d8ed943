"""Sums, products, extremes, softmax of the rows of an array, compiled: `row_program` as loops over vectors.

All passes go over one row, or the rows of one strip, before the next: so only the first reads from memory.
"""

from __future__ import annotations

import functools

from chainrule.codegen import jit
from chainrule.codegen.block import REAL, Index, Value
from chainrule.codegen.row_pass import Functions, ended, value, vector
from chainrule.codegen.row_program import Layout, Pass, Program
from chainrule.codegen.scalar import lower


class Rows:
    """A compiled program: `call(outer, n, inner, result, inputs …)`, the inputs as the program names them."""

    def __init__(self, program: Program, layout: Layout) -> None:
        text, libm = text_of(program, layout)
        self.module = jit.Module(text, ["kernel"], libm)
        self.call = self.module.function("kernel", 4 + len(program.arrays) + len(program.columns))


@functools.cache
def kernel(program: Program, layout: Layout) -> Rows | None:
    """The compiled program, made once; None without llvmlite."""
    return Rows(program, layout) if jit.is_available() else None


def text_of(program: Program, layout: Layout) -> tuple[str, list[str]]:
    """LLVM text of a program, and the functions of libm that it calls."""
    functions = Functions(program, layout)
    lines = [line for k, p in enumerate(program.steps) if isinstance(p, Pass) for line in functions.of(k, p)]
    lines += _Kernel(functions).text()
    return "\n".join([*functions.declared.values(), *lines]) + "\n", sorted(functions.called)


class _Kernel:
    """The function `kernel`, which calls the passes for each row or strip of rows.

    Here `entry` and `column` are where the rows at hand begin in arrays of all entries and in those of one number each.
    """

    def __init__(self, functions: Functions) -> None:
        self.functions, self.program, self.layout = functions, functions.program, functions.layout
        self.b = functions.block()
        self.level = 0  # of the loop over rows or strips
        self.each = 1 if self.layout.along else self.layout.width  # vectors of a number
        self.lines, self.valid, self.stride = "%n", "%inner", "%inner"  # as the passes read them

    def text(self) -> list[str]:
        b, names = self.b, (*self.program.arrays, *self.program.columns)
        width = self.layout.width
        buffers = {"numbers": len(self.program.numbers) * self.each, "into": width, "edge": width}
        for name, size in buffers.items():
            b.line(f"%{name} = alloca [{size} x {b.types[REAL]}]", 0)
        b.loop(Index("%outer"), 1, [], self._row if self.layout.along else self._strips)
        pointers = ", ".join(f"ptr %{n}" for n in ("result", *names))
        return [f"define void @kernel(i64 %outer, i64 %n, i64 %inner, {pointers}) {{", *ended(b)]

    def _row(self, o: Index) -> list[Value]:
        """One row that lies in order: its lines, and the rest."""
        b, size = self.b, self.layout.entries
        self.lines, self.stride = b.named(f"sdiv i64 %n, {size}", 0), str(size)
        self.valid = "%n" if self.layout.narrow else b.named(f"srem i64 %n, {size}", 0)
        self.level = o.level
        self._steps(b.named(f"mul i64 {o.name}, %n", o.level), o.name)
        return []

    def _strips(self, o: Index) -> list[Value]:
        """The rows of one outer index in strips; the last one begins earlier where it would reach too far."""
        b, size = self.b, self.layout.entries
        before = b.named(f"mul i64 {o.name}, %inner", o.level)

        def body(s: Index) -> list[Value]:
            first, self.level = s.name, s.level
            if not self.layout.narrow:
                last = b.named(f"sub i64 %inner, {size}", 0)
                early = b.named(f"icmp slt i64 {s.name}, {last}", s.level)
                first = b.named(f"select i1 {early}, i64 {s.name}, i64 {last}", s.level)
            entry = b.named(f"mul i64 {before}, %n", o.level)
            self._steps(*(b.named(f"add i64 {v}, {first}", s.level) for v in (entry, before)))
            return []

        b.loop(Index("%inner"), size, [], body)
        return []

    def _steps(self, entry: str, column: str) -> None:
        """All steps for the rows at hand."""
        b = self.b
        known = {n: self._column(n, column) for n in self.program.columns}
        known["count"] = [b.repeat(b.named(f"sitofp i64 %n to {b.real}", 0))] * self.each
        for name, vectors in known.items():
            self._remember(name, vectors)
        written = ["result"] if self.program.result == "written" else []
        pointers = [
            b.named(f"getelementptr {b.real}, ptr %{n}, i64 {entry}", self.level)
            for n in (*written, *self.program.arrays)
        ]
        for k, s in enumerate(self.program.steps):
            if isinstance(s, Pass):
                made, name = self._run(k, s, pointers), s.fold
            else:
                made = [value(b, s.of, {n: v[j] for n, v in known.items()}, {}) for j in range(self.each)]
                name = s.name
            if name:
                known[name] = self._remember(name, made)
        if not written:
            self._result(known[self.program.result], column)

    def _run(self, k: int, p: Pass, pointers: list[str]) -> list[Value]:
        """Call the functions of a pass; the numbers that it folds."""
        b, along, narrow = self.b, self.layout.along, self.layout.narrow
        if along and narrow:
            folded = self._call(f"edge{k}", "1", pointers, "%edge", p)
        else:
            folded = self._call(f"fold{k}" if p.fold else f"leaf{k}", self.lines, pointers, "%into", p)
        if along and not narrow:
            done = b.named(f"mul i64 {self.lines}, {self.stride}", 0)
            moved = [b.named(f"getelementptr {b.real}, ptr {q}, i64 {done}", self.level) for q in pointers]
            edge = self._call(f"edge{k}", "1", moved, "%edge", p)
            folded = [lower(b, p.how, x, y) for x, y in zip(folded, edge, strict=True)]
        return [self._together(p.how, folded)] if along and p.fold else folded

    def _call(self, name: str, lines: str, pointers: list[str], into: str, p: Pass) -> list[Value]:
        b, given = self.b, "".join(f"ptr {q}, " for q in pointers)
        shared = f"i64 {lines}, i64 {self.valid}, i64 {self.stride}, {given}ptr %numbers, ptr {into}"
        b.line(f"call void @{name}({shared})", self.level)
        return [self._reread(into, j) for j in range(self.layout.width)] if p.fold else []

    def _reread(self, pointer: str, j: int) -> Value:
        """A load that is done anew: a function has written there."""
        b, name = self.b, self.b.fresh()
        b.line(f"{name} = load {b.types[REAL]}, ptr {vector(b, pointer, j).name}", self.level)
        return Value(b, name, REAL, self.level)

    def _together(self, how: str, parts: list[Value]) -> Value:
        """All lanes of some vectors folded pairwise: the result in every lane."""
        while len(parts) > 1:
            pairs = zip(parts[::2], parts[1::2], strict=False)
            parts = [*(lower(self.b, how, x, y) for x, y in pairs), *parts[len(parts) & ~1 :]]
        v, lanes = parts[0], self.layout.lanes
        distance = lanes // 2
        while distance:
            turned = self.b.shuffle(v, [(k + distance) % lanes for k in range(lanes)])
            v = lower(self.b, how, v, turned)
            distance //= 2
        return v

    # --- numbers of the rows at hand -------------------------------------------------------------

    def _remember(self, name: str, vectors: list[Value]) -> list[Value]:
        """Put a number where the passes read it."""
        b = self.b
        for j, v in enumerate(vectors):
            at = vector(b, "%numbers", self.functions.place(name, j))
            b.line(f"store {b.types[REAL]} {v.name}, ptr {at.name}", self.level)
        return vectors

    def _column(self, name: str, column: str) -> list[Value]:
        """A number of the rows at hand from an array of one number for each row."""
        b, first = self.b, self._first(name, column)
        if self.layout.along:
            return [b.repeat(b.named(f"load {b.real}, ptr {first}", self.level), self.level)]
        return [b.load(self._beside(first, j), self._mask(j)) for j in range(self.each)]

    def _result(self, vectors: list[Value], column: str) -> None:
        b, first = self.b, self._first("result", column)
        if self.layout.along:
            one = b.named(f"extractelement {b.types[REAL]} {vectors[0].name}, i32 0", self.level)
            return b.line(f"store {b.real} {one}, ptr {first}", self.level)
        for j, v in enumerate(vectors):
            b.store(v, self._beside(first, j), self._mask(j))
        return None

    def _first(self, name: str, column: str) -> str:
        return self.b.named(f"getelementptr {self.b.real}, ptr %{name}, i64 {column}", self.level)

    def _beside(self, first: str, j: int) -> Index:
        place = f"getelementptr {self.b.real}, ptr {first}, i64 {j * self.layout.lanes}"
        return Index(self.b.named(place, self.level), self.level)

    def _mask(self, j: int) -> Value | None:
        return self.b.inside("%inner", j * self.layout.lanes) if self.layout.narrow else None
