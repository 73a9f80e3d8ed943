"""One pass over arrays of one shape: formulas of their entries, as a loop over vectors.

For large arrays, where a chain of NumPy calls is bound by memory; a formula that cannot be lowered has no kernel.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.codegen import jit
from chainrule.codegen.address import address
from chainrule.codegen.block import Block, Index, Value
from chainrule.codegen.scalar import can_lower, lower
from chainrule.table.formula import Formula, fold

_LANES = {8: 8, 4: 16}  # by bytes of an entry; LLVM splits vectors on narrower machines

Kernel = Callable[[Sequence[Any]], tuple[np.ndarray, ...]]


class Elementwise:
    """A compiled loop: `kernel(arrays)` → one array for each formula.

    names, repeated
        The symbols of the formulas in the order of the arrays, and which of these are single numbers.
    """

    def __init__(
        self, formulas: Sequence[Formula], names: Sequence[str], repeated: Sequence[bool], dtype: np.dtype,
        params: dict[str, Any],
    ) -> None:  # fmt: skip
        self.dtype, self.repeated = np.dtype(dtype), tuple(repeated)
        text, libm = loop(formulas, names, repeated, self.dtype, params)
        self.module = jit.Module(text, ["kernel"], libm)
        self._call = self.module.function("kernel", 1 + len(formulas) + len(names))
        self._outs = len(formulas)

    def __call__(
        self, arrays: Sequence[Any], into: tuple[np.ndarray, ...] | None = None
    ) -> tuple[np.ndarray, ...]:
        """Arrays of one shape, contiguous and of the kernel's dtype; numbers where `repeated` says so.

        The results are written `into` arrays that are given, which may be among the arguments.
        """
        whole = [a for a, r in zip(arrays, self.repeated, strict=True) if not r]
        outs = into or tuple(np.empty(whole[0].shape, self.dtype) for _ in range(self._outs))
        given = [np.asarray(a, self.dtype) if r else a for a, r in zip(arrays, self.repeated, strict=True)]
        self._call(whole[0].size, *[address(a) for a in (*outs, *given)])
        return outs


def loop(
    formulas: Sequence[Formula], names: Sequence[str], repeated: Sequence[bool], dtype: np.dtype,
    params: dict[str, Any],
) -> tuple[str, list[str]]:  # fmt: skip
    """LLVM text of a function `kernel(n, outputs …, inputs …)`, and the functions of libm that it calls.

    The main loop works on whole vectors. What is left is copied into one vector of each array, which goes through the
    same body.
    """
    b = Block(dtype, _LANES[dtype.itemsize])
    ones = [n for n, once in zip(names, repeated, strict=True) if once]
    values: dict[str, Any] = {n: b.repeat(b.named(f"load {b.real}, ptr %in.{n}", 0)) for n in ones}

    def body(i: Index) -> list[Value]:
        values.update({n: b.load(b.at(f"%in.{n}", [(i, 1)])) for n in names if n not in ones})
        memo: dict[tuple, Any] = {}
        for k, f in enumerate(formulas):
            out = b.value(fold(f, values, params, functools.partial(lower, b), memo))
            b.store(out, b.at(f"%out.{k}", [(i, 1)]))
        return []

    b.loop(Index("%n"), b.lanes, [], body)
    return _around(b, len(formulas), names, repeated), sorted(b.called)


def _around(b: Block, outs: int, names: Sequence[str], repeated: Sequence[bool]) -> str:
    """The functions around the lines of a block: `body` loops over vectors, `kernel` calls it twice."""
    pointers = ", ".join([f"ptr %out.{k}" for k in range(outs)] + [f"ptr %in.{n}" for n in names])
    declared = [*b.declared.values(), "declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)"]
    body = [
        f"define internal void @body(i64 %n, {pointers}) {{",
        "entry:",
        *b.levels[0].lines,
        "  ret void",
        "}",
    ]
    kernel = [
        f"define void @kernel(i64 %n, {pointers}) {{",
        "entry:",
        f"  %rest = and i64 %n, {b.lanes - 1}",
        f"  %bytes = mul i64 %rest, {b.bits // 8}",
        "  %full = sub i64 %n, %rest",
        "  %any = icmp sgt i64 %full, 0",
        "  br i1 %any, label %vectors, label %tail",
        "vectors:",
        f"  call void @body(i64 %full, {pointers})",
        "  br label %tail",
        "tail:",
        "  %left = icmp sgt i64 %rest, 0",
        "  br i1 %left, label %copy, label %end",
        "copy:",
        *_tail(b, outs, names, repeated),
        "  br label %end",
        "end:",
        "  ret void",
        "}",
    ]
    return "\n".join([*declared, *body, *kernel]) + "\n"


def _tail(b: Block, outs: int, names: Sequence[str], repeated: Sequence[bool]) -> list[str]:
    """The entries behind the last whole vector: in and out through a vector of memory for each array."""
    vector = b.types["real"]
    before: list[str] = []
    after: list[str] = []
    for array in [f"out.{k}" for k in range(outs)] + [
        f"in.{n}" for n, once in zip(names, repeated, strict=True) if not once
    ]:
        lines = after if array.startswith("out") else before
        target, source = f"%end.{array}", f"%buffer.{array}"
        before.append(f"  %buffer.{array} = alloca {vector}")
        if lines is before:
            target, source = source, target
            before.append(f"  store {vector} zeroinitializer, ptr %buffer.{array}")
        lines.append(f"  %end.{array} = getelementptr {b.real}, ptr %{array}, i64 %full")
        lines.append(f"  call void @llvm.memcpy.p0.p0.i64(ptr {target}, ptr {source}, i64 %bytes, i1 false)")
    passed = [f"ptr %buffer.out.{k}" for k in range(outs)]
    passed += [f"ptr %{'' if once else 'buffer.'}in.{n}" for n, once in zip(names, repeated, strict=True)]
    return [*before, f"  call void @body(i64 1, {', '.join(passed)})", *after]


@functools.lru_cache(maxsize=512)
def _compiled(key: tuple[Any, ...]) -> Elementwise | None:
    formulas, names, repeated, dtype, params = key
    plain = [f.formula for f in formulas]
    if not can_lower(plain):
        return None
    return Elementwise(plain, names, repeated, dtype, dict(params))


class _Keyed:
    """A formula as a key: formulas compare by building an equation."""

    __slots__ = ("formula",)

    def __init__(self, formula: Formula) -> None:
        self.formula = formula

    def __hash__(self) -> int:
        return hash(self.formula.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Keyed) and self.formula.key == other.formula.key


def kernel(
    formulas: Sequence[Formula], names: Sequence[str], repeated: Sequence[bool], dtype: np.dtype,
    params: dict[str, Any],
) -> Elementwise | None:  # fmt: skip
    """The compiled loop of these formulas, made once; None where there is no llvmlite or no lowering."""
    key = (tuple(map(_Keyed, formulas)), tuple(names), tuple(repeated), dtype, tuple(sorted(params.items())))
    return _compiled(key) if jit.is_available() else None
