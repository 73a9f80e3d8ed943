"""Straight-line vector code as LLVM text, written with the operators of Python.

A `Value` is one vector register: `fma(x, x, 1.0)` and `x < 0` append a line to the block of `x`. Equal expressions
are written once, so formulas need not share their parts by hand.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np

REAL, WHOLE, TRUTH = "real", "whole", "truth"


class Value:
    """A vector of real numbers, of whole numbers as wide as these, or of truth values."""

    __slots__ = ("block", "kind", "name")

    def __init__(self, block: Block, name: str, kind: str) -> None:
        self.block, self.name, self.kind = block, name, kind

    def _with(self, op: str, other: Any, reverse: bool = False) -> Value:
        y = self.block.value(other, self.kind)
        a, b = (y, self) if reverse else (self, y)
        return self.block.operation(f"{op} {self.block.types[self.kind]} {a.name}, {b.name}", self.kind)

    def __add__(self, y: Any) -> Value:
        return self._with("fadd" if self.kind == REAL else "add", y)

    def __radd__(self, y: Any) -> Value:
        return self._with("fadd" if self.kind == REAL else "add", y, reverse=True)

    def __sub__(self, y: Any) -> Value:
        return self._with("fsub" if self.kind == REAL else "sub", y)

    def __rsub__(self, y: Any) -> Value:
        return self._with("fsub" if self.kind == REAL else "sub", y, reverse=True)

    def __mul__(self, y: Any) -> Value:
        return self._with("fmul", y)

    def __rmul__(self, y: Any) -> Value:
        return self._with("fmul", y, reverse=True)

    def __truediv__(self, y: Any) -> Value:
        return self._with("fdiv", y)

    def __rtruediv__(self, y: Any) -> Value:
        return self._with("fdiv", y, reverse=True)

    def __neg__(self) -> Value:
        return self.block.operation(f"fneg {self.block.types[self.kind]} {self.name}", self.kind)

    def __and__(self, y: Any) -> Value:
        return self._with("and", y)

    def __or__(self, y: Any) -> Value:
        return self._with("or", y)

    def __xor__(self, y: Any) -> Value:
        return self._with("xor", y)

    def __lshift__(self, n: int) -> Value:
        return self._with("shl", n)

    def __rshift__(self, n: int) -> Value:
        """Shifts zeros in: whole numbers count as unsigned here."""
        return self._with("lshr", n)

    def _compared(self, how: str, y: Any) -> Value:
        b, other = self.block, self.block.value(y, self.kind)
        op = "fcmp" if self.kind == REAL else "icmp"
        return b.operation(f"{op} {how} {b.types[self.kind]} {self.name}, {other.name}", TRUTH)

    # Ordered comparisons: NaN compares as false, as in NumPy; only != is true for it.
    def __lt__(self, y: Any) -> Value:
        return self._compared("olt" if self.kind == REAL else "slt", y)

    def __le__(self, y: Any) -> Value:
        return self._compared("ole" if self.kind == REAL else "sle", y)

    def __gt__(self, y: Any) -> Value:
        return self._compared("ogt" if self.kind == REAL else "sgt", y)

    def __ge__(self, y: Any) -> Value:
        return self._compared("oge" if self.kind == REAL else "sge", y)

    def __eq__(self, y: object) -> Value:  # type: ignore[override]
        return self._compared("oeq" if self.kind == REAL else "eq", y)

    def __ne__(self, y: object) -> Value:  # type: ignore[override]
        return self._compared("une" if self.kind == REAL else "ne", y)

    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        raise TypeError("a vector has no truth value: choose with where(…)")


class Block:
    """The lines of one basic block, and what it calls.

    dtype
        float64 or float32: the real numbers.
    lanes
        Entries of a vector.
    """

    def __init__(self, dtype: np.dtype, lanes: int) -> None:
        self.dtype, self.lanes = np.dtype(dtype), lanes
        self.bits = 8 * self.dtype.itemsize
        self.real = "double" if self.bits == 64 else "float"
        self.types = {
            REAL: f"<{lanes} x {self.real}>",
            WHOLE: f"<{lanes} x i{self.bits}>",
            TRUTH: f"<{lanes} x i1>",
        }
        self.lines: list[str] = []
        self.label = "loop"  # of the basic block that grows
        self.declared: dict[str, str] = {}  # intrinsics and functions of libm: name -> declaration
        self.called: set[str] = set()  # functions of libm
        self._names: dict[str, str] = {}
        self._count = 0

    # --- values ----------------------------------------------------------------------------------

    def fresh(self) -> str:
        self._count += 1
        return f"%v{self._count}"

    def operation(self, text: str, kind: str) -> Value:
        """The result of one instruction; an equal instruction is not written again."""
        name = self._names.get(text)
        if name is None:
            name = self._names[text] = self.fresh()
            self.lines.append(f"  {name} = {text}")
        return Value(self, name, kind)

    def value(self, v: Any, kind: str = REAL) -> Value:
        """`v` as a vector: a number repeated in every lane."""
        if isinstance(v, Value):
            return v
        if kind == TRUTH:
            return Value(self, self._repeated("i1", "true" if v else "false"), TRUTH)
        if kind == WHOLE:
            return Value(self, self._repeated(f"i{self.bits}", str(int(v))), WHOLE)
        return Value(self, self._repeated(self.real, literal(float(v), self.dtype)), REAL)

    def _repeated(self, scalar: str, text: str) -> str:
        return "<" + ", ".join([f"{scalar} {text}"] * self.lanes) + ">"

    def load(self, pointer: str) -> Value:
        """The vector at a pointer; entries need not be aligned to more than their own size."""
        name = self.fresh()
        self.lines.append(f"  {name} = load {self.types[REAL]}, ptr {pointer}, align {self.bits // 8}")
        return Value(self, name, REAL)

    def store(self, v: Value, pointer: str) -> None:
        self.lines.append(f"  store {self.types[REAL]} {v.name}, ptr {pointer}, align {self.bits // 8}")

    def repeat(self, scalar: str) -> Value:
        """A scalar register in every lane."""
        t = self.types[REAL]
        one = self.operation(f"insertelement {t} poison, {self.real} {scalar}, i32 0", REAL)
        mask = f"<{self.lanes} x i32> zeroinitializer"
        return self.operation(f"shufflevector {t} {one.name}, {t} poison, {mask}", REAL)

    # --- calls -----------------------------------------------------------------------------------

    def intrinsic(self, name: str, *xs: Value) -> Value:
        """llvm.NAME on vectors of real numbers."""
        t = self.types[REAL]
        full = f"llvm.{name}.v{self.lanes}f{self.bits}"
        self.declared[full] = f"declare {t} @{full}({', '.join([t] * len(xs))})"
        args = ", ".join(f"{t} {x.name}" for x in xs)
        return self.operation(f"call {t} @{full}({args})", REAL)

    def by_lane(self, name: str, mask: Value, usual: Value, *xs: Value) -> Value:
        """`usual`, but where the mask holds the function NAME of libm: lane by lane, for arguments that are rare."""
        suffix = "" if self.bits == 64 else "f"
        fn, real, t, n = name + suffix, self.real, self.types[REAL], self._label()
        self.declared[fn] = f"declare {real} @{fn}({', '.join([real] * len(xs))})"
        self.called.add(fn)
        reduce = f"llvm.vector.reduce.or.v{self.lanes}i1"
        self.declared[reduce] = f"declare i1 @{reduce}({self.types[TRUTH]})"
        some = self.fresh()
        self.lines.append(f"  {some} = call i1 @{reduce}({self.types[TRUTH]} {mask.name})")
        self.lines.append(f"  br i1 {some}, label %rare{n}, label %usual{n}")
        before = self.label
        self.lines.append(f"rare{n}:")
        slow = "poison"
        for lane in range(self.lanes):
            parts = [self.fresh() for _ in xs]
            for part, x in zip(parts, xs, strict=True):
                self.lines.append(f"  {part} = extractelement {t} {x.name}, i32 {lane}")
            result, slow_next = self.fresh(), self.fresh()
            args = ", ".join(f"{real} {p}" for p in parts)
            self.lines.append(f"  {result} = call {real} @{fn}({args})")
            self.lines.append(f"  {slow_next} = insertelement {t} {slow}, {real} {result}, i32 {lane}")
            slow = slow_next
        chosen, out = self.fresh(), self.fresh()
        self.lines.append(
            f"  {chosen} = select {self.types[TRUTH]} {mask.name}, {t} {slow}, {t} {usual.name}"
        )
        self.lines += [f"  br label %usual{n}", f"usual{n}:"]
        self.lines.append(f"  {out} = phi {t} [ {chosen}, %rare{n} ], [ {usual.name}, %{before} ]")
        self.label = f"usual{n}"
        return Value(self, out, REAL)

    def _label(self) -> int:
        self._count += 1
        return self._count


def literal(v: float, dtype: np.dtype) -> str:
    """A number as LLVM reads it exactly: the bits of a double, also for float."""
    return "0x" + struct.pack(">d", float(np.dtype(dtype).type(v))).hex().upper()


# --- operations that have no operator --------------------------------------------------------------


def where(condition: Value, x: Any, y: Any) -> Value:
    """x where the condition holds, else y."""
    b = condition.block
    kind = next((v.kind for v in (x, y) if isinstance(v, Value)), REAL)
    x, y = b.value(x, kind), b.value(y, kind)
    t = b.types[kind]
    return b.operation(f"select {b.types[TRUTH]} {condition.name}, {t} {x.name}, {t} {y.name}", kind)


def fma(x: Value, y: Any, z: Any) -> Value:
    """x·y + z, rounded once."""
    b = x.block
    return b.intrinsic("fma", x, b.value(y), b.value(z))


def absolute(x: Value) -> Value:
    return x.block.intrinsic("fabs", x)


def copysign(x: Value, y: Value) -> Value:
    """The magnitude of x with the sign of y."""
    return x.block.intrinsic("copysign", x, y)


def rounding(name: str) -> Callable[[Value], Value]:
    return lambda x: x.block.intrinsic(name, x)


sqrt, floor, ceil, trunc, nearest = (rounding(n) for n in ("sqrt", "floor", "ceil", "trunc", "rint"))


def bits_of(x: Value) -> Value:
    """The bits of real numbers as whole numbers."""
    b = x.block
    return b.operation(f"bitcast {b.types[REAL]} {x.name} to {b.types[WHOLE]}", WHOLE)


def of_bits(n: Value) -> Value:
    """Real numbers of these bits."""
    b = n.block
    return b.operation(f"bitcast {b.types[WHOLE]} {n.name} to {b.types[REAL]}", REAL)


def polynomial(x: Value, coefficients: tuple[float, ...]) -> Value:
    """Σ cₖ xᵏ by Horner's rule; `coefficients` begin with the highest power."""
    out = x.block.value(coefficients[0])
    for c in coefficients[1:]:
        out = fma(out, x, c)
    return out
