"""How much a kernel computes, counted in its LLVM text: additions, multiplications … of all turns of all loops."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

_ARITHMETIC = re.compile(r"= f(?:add|sub|mul|div|neg)\b[a-z ]* (?:<(\d+) x )?")
_CALL = re.compile(
    r"= call [a-z ]*(?:<(\d+) x [a-z]+>|[a-z]+) @llvm\.(fma|sqrt|vector\.reduce\.fadd\.v(\d+))"
)
_FUNCTION = re.compile(r"= call (?:<\d+ x [a-z]+>|[a-z]+) @([a-z0-9_]+\.(?:v\d+)?f\d+)\(")
_DEFINED = re.compile(r"^define internal (?!void)[^@]*@([\w.]+)\([^\n]*\n(.*?)^}", re.DOTALL | re.MULTILINE)
_LABEL = re.compile(r"(loop|done|rare|usual|then|after)(\d+):")
_STEP = re.compile(r"%next\d+ = add i64 %i\d+, (\d+)")
_STOP = re.compile(r"%more\d+ = icmp slt i64 %\w+, (\S+)")
_PASSED_OVER = {"rare": "usual", "then": "after"}  # what begins and what ends it


def flop_of(text: str, length: int, functions: Mapping[str, int] = MappingProxyType({})) -> int:
    """Operations on floating-point numbers in one call of a kernel for `length` samples.

    `functions` are those of the module, with their own counts (`functions_in`).

    A fused multiplication and addition counts twice, every lane of a vector once, comparisons and choices not. What
    only rare numbers need (a sine of 1e9, the one entry of many that is the largest) is left out.
    """
    loops = [_Loop()]
    until = ""
    for line in text.splitlines():
        label = _LABEL.match(line)
        if until:
            until = "" if label and label[0] == until else until
        elif label and label[1] in _PASSED_OVER:
            until = f"{_PASSED_OVER[label[1]]}{label[2]}:"
        elif label and label[1] == "loop":
            loops.append(_Loop())
        elif label and label[1] == "done":
            inner = loops.pop()
            loops[-1].count += inner.count * inner.turns(length)
        elif found := _STEP.search(line):
            loops[-1].step = int(found[1])
        elif found := _STOP.search(line):
            loops[-1].stop = found[1]
        else:
            called = _FUNCTION.search(line)
            loops[-1].count += _flop(line) if called is None else functions.get(called[1], 0)
    return loops[0].count


class _Loop:
    """What is known of a loop: operations in one turn, and how far its index runs."""

    def __init__(self) -> None:
        self.count, self.step, self.stop = 0, 1, "1"

    def turns(self, length: int) -> int:
        stop = length if self.stop == "%len" else int(self.stop) if self.stop.isdigit() else 1
        return -(-stop // self.step)


def _flop(line: str) -> int:
    found = _ARITHMETIC.search(line)
    if found:
        return int(found[1] or 1)
    found = _CALL.search(line)
    if not found:
        return 0
    return int(found[3]) if found[3] else int(found[1] or 1) * (2 if found[2] == "fma" else 1)


def kernels_in(text: str) -> list[str]:
    """The texts of the kernels of a module, in their order."""
    return [f.partition("\n}")[0] for f in text.split("define internal void @kernel")[1:]]


def functions_in(text: str) -> dict[str, int]:
    """The formulas that a long program has as functions, and the operations of each."""
    return {found[1]: flop_of(found[2], 0) for found in _DEFINED.finditer(text)}


__all__ = ["flop_of", "functions_in", "kernels_in"]
