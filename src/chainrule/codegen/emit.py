"""The steps of a plan as one LLVM module."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from chainrule.codegen.alike import Likeness
from chainrule.codegen.functions import Functions
from chainrule.codegen.gemm import GemmWriter
from chainrule.codegen.kernel import KernelWriter
from chainrule.codegen.memory import function
from chainrule.codegen.plan import Plan
from chainrule.codegen.schedule import Slots
from chainrule.codegen.steps import Gemm, Kernel, Phase
from chainrule.codegen.turning import TurningWriter
from chainrule.ir.graph import Var

_CALLS = 32  # that are written out: LLVM takes as long for each as for several operations
_CALL = "{ ptr, ptr, i64 }"  # kernel, slots, samples


class Known:
    """A kernel that was written.

    name
        The function that takes its slots; empty until a second kernel is like it.
    """

    def __init__(self, lines: Sequence[str], like: Likeness, pointers: Iterable[Any]) -> None:
        self.lines, self.name = lines, ""
        self._pointers = [(like.values[v], tiled) for v, tiled in map(_value, pointers)]

    def keys(self, like: Likeness, phase: Phase | None) -> list[Any]:
        """What another kernel has in the place of each pointer."""
        values = list(like.values)
        return [(values[k], phase.number) if tiled and phase else values[k] for k, tiled in self._pointers]


def _value(pointer: Any) -> tuple[Var, bool]:
    """The value that is pointed at, and whether it is in a tile."""
    return (pointer[0], True) if isinstance(pointer, tuple) else (pointer, False)


class Writer:
    """Collects functions: `kernels` and `phase` add one that the program calls by name."""

    def __init__(self, plan: Plan, slots: Slots) -> None:
        self.plan, self.slots, self.functions = plan, slots, Functions(plan.graph)
        self.texts: list[str] = []
        self.declared: dict[str, str] = {}
        self.externals: set[str] = set()
        self.names: list[str] = []
        self._known: dict[Any, Known] = {}  # kernels by what makes them alike

    def text(self) -> str:
        """The module."""
        f = self.functions
        declared = (self.declared | f.declared).values()
        return "\n".join([*declared, *f.texts.values(), *self.texts, "!0 = !{}"]) + "\n"

    def kernels(self, kernels: Sequence[Kernel]) -> str:
        """`NAME(ptr %table)`: kernels on whole arrays, one after the other."""
        calls = [(*self._add(k, None), k.axes[-1].extent if k.vector else 0) for k in kernels]
        if len(calls) > _CALLS:
            return self._define("ptr %table", self._in_a_loop(calls))
        lines = [f"  call void @{k}(ptr %table, ptr {slots}, i64 0, i64 0, i64 {n})" for k, slots, n in calls]
        return self._define("ptr %table", lines)

    def _in_a_loop(self, calls: Sequence[tuple[str, str, int]]) -> list[str]:
        """Many calls, listed in memory."""
        name = f"calls{len(self.texts)}"
        listed = ", ".join(f"{_CALL} {{ ptr @{k}, ptr {slots}, i64 {n} }}" for k, slots, n in calls)
        self.texts.append(f"@{name} = private constant [{len(calls)} x {_CALL}] [{listed}]")
        return [
            "  br label %loop",
            "loop:",
            "  %k = phi i64 [ 0, %entry ], [ %next, %loop ]",
            f"  %kernel.at = getelementptr {_CALL}, ptr @{name}, i64 %k",
            f"  %slots.at = getelementptr {_CALL}, ptr %kernel.at, i64 0, i32 1",
            f"  %len.at = getelementptr {_CALL}, ptr %kernel.at, i64 0, i32 2",
            "  %kernel = load ptr, ptr %kernel.at",
            "  %slots = load ptr, ptr %slots.at",
            "  %len = load i64, ptr %len.at",
            "  call void %kernel(ptr %table, ptr %slots, i64 0, i64 0, i64 %len)",
            "  %next = add i64 %k, 1",
            f"  %more = icmp slt i64 %next, {len(calls)}",
            "  br i1 %more, label %loop, label %after",
            "after:",
        ]

    def phase(self, phase: Phase) -> str:
        """`NAME(ptr %table, i64 %begin, i64 %end)`: the tiles of some samples."""
        calls = [
            f"  call void @{name}(ptr %table, ptr {slots}, i64 %begin, i64 %start, i64 %len)"
            for name, slots in [self._add(kernel, phase) for kernel in phase.kernels]
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

    def _add(self, kernel: Kernel | Gemm, phase: Phase | None) -> tuple[str, str]:
        """The function of a kernel, and the slots it is called with; one like an earlier one is not written again."""
        if isinstance(kernel, Gemm):
            assert phase is not None
            return self._new(GemmWriter(self.plan, kernel, phase))[0], "null"
        if kernel.turns:
            assert phase is not None
            return self._new(TurningWriter(self.plan, kernel, phase))[0], "null"
        like = Likeness(self.plan, kernel, phase)
        first = self._known.get(like.key) if like.key is not None else None
        if first is not None:
            return self._again(first, [self.slots[key] for key in first.keys(like, phase)])
        writer = KernelWriter(self.plan, kernel, phase, self.functions)
        name, lines = self._new(writer)
        if like.key is not None:
            self._known[like.key] = Known(lines, like, writer.pointers)
        return name, "null"

    def _new(self, writer: Any) -> tuple[str, Sequence[str]]:
        lines = writer.lines()
        self.declared.update(writer.b.declared)
        self.externals |= writer.b.called | self.functions.called
        return self._write(lines, [self.slots[key] for key in writer.pointers]), lines

    def _again(self, first: Known, slots: Sequence[int]) -> tuple[str, str]:
        """An earlier kernel with other pointers."""
        first.name = first.name or self._write(first.lines, None)
        name = f"slots{len(self.texts)}"
        numbers = ", ".join(f"i64 {slot}" for slot in slots)
        self.texts.append(f"@{name} = private constant [{len(slots)} x i64] [{numbers}]")
        return first.name, f"@{name}"

    def _write(self, lines: Sequence[str], slots: Sequence[int] | None) -> str:
        name = f"kernel{len(self.texts)}"
        self.texts.append(function(name, lines, slots))
        return name
