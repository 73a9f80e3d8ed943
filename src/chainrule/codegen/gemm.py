"""One product of matrices as LLVM text: calls of BLAS."""

from __future__ import annotations

from chainrule.codegen.block import Block, Index, literal
from chainrule.codegen.memory import Addresses
from chainrule.codegen.plan import Plan
from chainrule.codegen.steps import Gemm, Phase
from chainrule.codegen.views import Axis, Terms, leading
from chainrule.ir.graph import Var

_GEMM = "declare void @{}(ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr)"


class GemmWriter(Addresses):
    """One product → the text of a function that calls BLAS, for each place of the batch.

    BLAS counts along columns first: a matrix of ours is its transpose there, so out = left·right is called as
    outᵀ = rightᵀ·leftᵀ.
    """

    def __init__(self, plan: Plan, gemm: Gemm, phase: Phase) -> None:
        super().__init__(plan, phase, Block(plan.dtype, 1), gemm.samples)
        self.gemm = gemm
        self.fn = "dgemm" if plan.dtype.itemsize == 8 else "sgemm"

    def lines(self) -> list[str]:
        """The body of the function."""
        self.nest(self.gemm.batch, self._call)
        self.b.declared[self.fn] = _GEMM.format(self.fn)
        self.b.called.add(self.fn)
        head = [f"  %{n} = alloca i32" for n in ("rows", "columns", "depth", "lda", "ldb", "ldc")]
        head += [
            f"  %one = alloca {self.b.real}",
            f"  %beta = alloca {self.b.real}",
            "  %ta = alloca i8",
            "  %tb = alloca i8",
        ]
        return [*head, *self.b.levels[0].lines]

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
