"""The steps of a plan as one LLVM module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.codegen.gemm import GemmWriter
from chainrule.codegen.kernel import KernelWriter
from chainrule.codegen.memory import Slots
from chainrule.codegen.plan import Plan
from chainrule.codegen.steps import Gemm, Kernel, Phase


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
