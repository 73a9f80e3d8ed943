"""The steps of a plan as one LLVM module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.codegen.functions import Functions
from chainrule.codegen.gemm import GemmWriter
from chainrule.codegen.kernel import KernelWriter
from chainrule.codegen.memory import Slots, function
from chainrule.codegen.plan import Plan
from chainrule.codegen.steps import Gemm, Kernel, Phase


class Writer:
    """Collects functions: `kernels` and `phase` add one that the program calls by name."""

    def __init__(self, plan: Plan, slots: Slots) -> None:
        self.plan, self.slots, self.functions = plan, slots, Functions(plan.graph)
        self.texts: list[str] = []
        self.declared: dict[str, str] = {}
        self.externals: set[str] = set()
        self.names: list[str] = []
        self._bodies: dict[str, str] = {}  # of kernels -> the function that takes its slots, if there is one

    def text(self) -> str:
        """The module."""
        f = self.functions
        declared = (self.declared | f.declared).values()
        return "\n".join([*declared, *f.texts.values(), *self.texts, "!0 = !{}"]) + "\n"

    def kernels(self, kernels: Sequence[Kernel]) -> str:
        """`NAME(ptr %table)`: kernels on whole arrays, one after the other."""
        lines = []
        for kernel in kernels:
            extent = kernel.axes[-1].extent if kernel.vector else 0
            lines.append(f"  call void {self._add(kernel, None)}, i64 0, i64 0, i64 {extent})")
        return self._define("ptr %table", lines)

    def phase(self, phase: Phase) -> str:
        """`NAME(ptr %table, i64 %begin, i64 %end)`: the tiles of some samples."""
        calls = [
            f"  call void {self._add(kernel, phase)}, i64 %begin, i64 %start, i64 %len)"
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
        """The beginning of a call of a kernel; one that is like an earlier one is not written again."""
        if isinstance(kernel, Gemm):
            assert phase is not None
            writer: Any = GemmWriter(self.plan, kernel, phase)
        else:
            writer = KernelWriter(self.plan, kernel, phase, self.functions)
        lines = writer.lines()
        slots, body = [self.slots[key] for key in writer.pointers], "\n".join(lines)
        alike = self._bodies.get(body)
        if alike is None:
            self._bodies[body] = ""
            self.declared.update(writer.b.declared)
            self.externals |= writer.b.called | self.functions.called
            return f"@{self._write(lines, slots)}(ptr %table, ptr null"
        if not alike:
            alike = self._bodies[body] = self._write(lines, None)
        name = f"slots{len(self.texts)}"
        numbers = ", ".join(f"i64 {slot}" for slot in slots)
        self.texts.append(f"@{name} = private constant [{len(slots)} x i64] [{numbers}]")
        return f"@{alike}(ptr %table, ptr @{name}"

    def _write(self, lines: Sequence[str], slots: Sequence[int] | None) -> str:
        name = f"kernel{len(self.texts)}"
        self.texts.append(function(name, lines, slots))
        return name
