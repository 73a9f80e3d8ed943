"""Vector code as LLVM text, written with the operators of Python.

A `Value` is one vector register: `fma(x, x, 1.0)` and `x < 0` append a line to the block of `x`. Equal expressions
are written once, so formulas need not share their parts by hand.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

# WHOLE numbers are as wide as the real ones (their bits), LONG ones have 64 bits: integers of a program.
REAL, WHOLE, LONG, TRUTH = "real", "whole", "long", "truth"


class Value:
    """A vector of real numbers, of whole numbers, or of truth values."""

    __slots__ = ("block", "kind", "level", "name")

    def __init__(self, block: Block, name: str, kind: str, level: int = 0) -> None:
        self.block, self.name, self.kind, self.level = block, name, kind, level

    def _with(self, op: str, other: Any, reverse: bool = False) -> Value:
        y = self.block.value(other, self.kind)
        a, b = (y, self) if reverse else (self, y)
        return self.block.operation(f"{op} {self.block.types[self.kind]} {a.name}, {b.name}", self.kind, a, b)

    def __add__(self, y: Any) -> Value:
        return self._with("fadd" if self.kind == REAL else "add", y)

    def __radd__(self, y: Any) -> Value:
        return self._with("fadd" if self.kind == REAL else "add", y, reverse=True)

    def __sub__(self, y: Any) -> Value:
        return self._with("fsub" if self.kind == REAL else "sub", y)

    def __rsub__(self, y: Any) -> Value:
        return self._with("fsub" if self.kind == REAL else "sub", y, reverse=True)

    def __mul__(self, y: Any) -> Value:
        return self._with("fmul" if self.kind == REAL else "mul", y)

    def __rmul__(self, y: Any) -> Value:
        return self._with("fmul" if self.kind == REAL else "mul", y, reverse=True)

    def __truediv__(self, y: Any) -> Value:
        return self._with("fdiv", y)

    def __rtruediv__(self, y: Any) -> Value:
        return self._with("fdiv", y, reverse=True)

    def __neg__(self) -> Value:
        if self.kind != REAL:
            return self._with("sub", 0, reverse=True)
        return self.block.operation(f"fneg {self.block.types[self.kind]} {self.name}", self.kind, self)

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
        return b.operation(f"{op} {how} {b.types[self.kind]} {self.name}, {other.name}", TRUTH, self, other)

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


class Index:
    """A whole number that addresses memory: a constant (then `name` is its text) or a scalar register."""

    __slots__ = ("level", "name")

    def __init__(self, name: str, level: int = 0) -> None:
        self.name, self.level = name, level


class Level:
    """The lines of one loop body (level 0: the function), and the expressions that are written there."""

    __slots__ = ("label", "lines", "names")

    def __init__(self, label: str) -> None:
        self.label = label  # of the basic block that grows
        self.lines: list[str] = []
        self.names: dict[str, str] = {}


class Block:
    """The body of a function: nested loops, and in each of them what depends on its index and on no inner one.

    An expression is written in the outermost loop that has all its operands, so what does not change in a loop is
    computed before it.

    dtype
        float64 or float32: the real numbers.
    lanes
        Entries of a vector; 1: plain numbers.
    functions
        The functions of the module for long formulas (functions.py); None: they are written here.
    """

    def __init__(self, dtype: np.dtype, lanes: int, functions: Any = None) -> None:
        self.dtype, self.lanes, self.functions = np.dtype(dtype), lanes, functions
        self.bits = 8 * self.dtype.itemsize
        self.real = "double" if self.bits == 64 else "float"
        of = (lambda t: f"<{lanes} x {t}>") if lanes > 1 else lambda t: t
        self.types = {REAL: of(self.real), WHOLE: of(f"i{self.bits}"), LONG: of("i64"), TRUTH: of("i1")}
        self.suffix = f"v{lanes}" if lanes > 1 else ""
        self.levels = [Level("entry")]
        self.declared: dict[str, str] = {}  # intrinsics and functions of libm: name -> declaration
        self.called: set[str] = set()  # functions of libm
        self._count = 0

    # --- lines -----------------------------------------------------------------------------------

    def fresh(self) -> str:
        self._count += 1
        return f"%v{self._count}"

    def line(self, text: str, level: int) -> None:
        self.levels[level].lines.append(f"  {text}")

    def named(self, text: str, level: int) -> str:
        """The register of one instruction; an equal instruction is not written again."""
        here = self.levels[level]
        name = here.names.get(text)
        if name is None:
            name = here.names[text] = self.fresh()
            here.lines.append(f"  {name} = {text}")
        return name

    def operation(self, text: str, kind: str, *operands: Value) -> Value:
        level = max((v.level for v in operands), default=0)
        return Value(self, self.named(text, level), kind, level)

    # --- loops -----------------------------------------------------------------------------------

    def loop(
        self, stop: Index, step: int, carried: Sequence[Value], body: Callable[..., Sequence[Value]]
    ) -> list[Value]:
        """`for i in range(0, stop, step): carried = body(i, *carried)`, at least once; what is carried at the end."""
        n, outer = self._label(), self.levels[-1]
        index, _, after, inner = self._body(n, f"loop{n}", carried, body)
        outer.lines += [
            *inner.lines,
            f"  %next{n} = add i64 {index.name}, {step}",
            f"  %more{n} = icmp slt i64 %next{n}, {stop.name}",
            f"  br i1 %more{n}, label %loop{n}, label %done{n}",
            f"done{n}:",
        ]
        outer.label = f"done{n}"
        return [Value(self, v.name, v.kind, len(self.levels) - 1) for v in after]

    def loop_or_none(
        self, stop: Index, carried: Sequence[Value], body: Callable[..., Sequence[Value]]
    ) -> list[Value]:
        """As `loop` with steps of 1, and not once if `stop` is 0."""
        n, outer = self._label(), self.levels[-1]
        index, inside, _, inner = self._body(n, f"body{n}", carried, body)
        outer.lines += [
            f"  %more{n} = icmp slt i64 {index.name}, {stop.name}",
            f"  br i1 %more{n}, label %body{n}, label %done{n}",
            f"body{n}:",
            *inner.lines,
            f"  %next{n} = add i64 {index.name}, 1",
            f"  br label %loop{n}",
            f"done{n}:",
        ]
        outer.label = f"done{n}"
        return [Value(self, v.name, v.kind, len(self.levels) - 1) for v in inside]

    def _body(
        self, n: int, label: str, carried: Sequence[Value], body: Callable[..., Sequence[Value]]
    ) -> tuple[Index, list[Value], Sequence[Value], Level]:
        """The head of loop n, and its body: index, what is carried in and out, lines."""
        outer, depth = self.levels[-1], len(self.levels)
        self.levels.append(Level(label))
        index = Index(f"%i{n}", depth)
        inside = [Value(self, self.fresh(), v.kind, depth) for v in carried]
        after = body(index, *inside)
        inner = self.levels.pop()
        outer.lines += [f"  br label %loop{n}", f"loop{n}:"]
        outer.lines.append(f"  {index.name} = phi i64 [ 0, %{outer.label} ], [ %next{n}, %{inner.label} ]")
        for v, was, now in zip(inside, carried, after, strict=True):
            pairs = f"[ {was.name}, %{outer.label} ], [ {now.name}, %{inner.label} ]"
            outer.lines.append(f"  {v.name} = phi {self.types[v.kind]} {pairs}")
        return index, inside, after, inner

    def when(self, condition: str, body: Callable[[], None]) -> None:
        """`if condition: body()`; what is computed inside stays inside."""
        n, outer = self._label(), self.levels[-1]
        self.levels.append(Level(f"then{n}"))
        body()
        inner = self.levels.pop()
        outer.lines += [f"  br i1 {condition}, label %then{n}, label %after{n}", f"then{n}:", *inner.lines]
        outer.lines += [f"  br label %after{n}", f"after{n}:"]
        outer.label = f"after{n}"

    # --- values ----------------------------------------------------------------------------------

    def value(self, v: Any, kind: str = REAL) -> Value:
        """`v` as a vector: a number repeated in every lane."""
        if isinstance(v, Value):
            return v
        if kind == TRUTH:
            return Value(self, self._repeated("i1", "true" if v else "false"), TRUTH)
        if kind in (WHOLE, LONG):
            width = self.bits if kind == WHOLE else 64
            return Value(self, self._repeated(f"i{width}", str(int(v))), kind)
        return Value(self, self._repeated(self.real, literal(float(v), self.dtype)), REAL)

    def _repeated(self, scalar: str, text: str) -> str:
        return text if self.lanes == 1 else "<" + ", ".join([f"{scalar} {text}"] * self.lanes) + ">"

    def repeat(self, scalar: str, level: int = 0, kind: str = REAL) -> Value:
        """A scalar register in every lane."""
        if self.lanes == 1:
            return Value(self, scalar, kind, level)
        t = self.types[kind]
        one = self.named(f"insertelement {t} poison, {t.split()[-1][:-1]} {scalar}, i32 0", level)
        mask = f"<{self.lanes} x i32> zeroinitializer"
        return Value(self, self.named(f"shufflevector {t} {one}, {t} poison, {mask}", level), kind, level)

    # --- numbers that address memory -------------------------------------------------------------

    def summed(self, terms: Sequence[tuple[Index, int]], offset: int = 0) -> Index:
        """offset + Σ index·stride; outer loops are summed first."""
        place, level = str(offset), 0
        for index, stride in sorted((t for t in terms if t[1]), key=lambda t: t[0].level):
            level = max(level, index.level)
            moved = index.name if stride == 1 else self.named(f"mul i64 {index.name}, {stride}", index.level)
            place = moved if place == "0" else self.named(f"add i64 {place}, {moved}", level)
        return Index(place, level)

    def index(self, op: str, x: Index, y: int) -> Index:
        """One instruction on two numbers."""
        return Index(self.named(f"{op} i64 {x.name}, {y}", x.level), x.level)

    def limited(self, x: Index, most: int) -> Index:
        """x, but at least 0 and at most `most`."""
        name = x.name
        for fn, bound in (("llvm.smax.i64", 0), ("llvm.smin.i64", most)):
            self.declared[fn] = f"declare i64 @{fn}(i64, i64)"
            name = self.named(f"call i64 @{fn}(i64 {name}, i64 {bound})", x.level)
        return Index(name, x.level)

    def first(self, v: Value) -> Index:
        """The whole number in the first lane."""
        if self.lanes == 1:
            return Index(v.name, v.level)
        return Index(self.named(f"extractelement {self.types[v.kind]} {v.name}, i32 0", v.level), v.level)

    def flag(self, mask: Value, pointer: str) -> None:
        """Write 1 to a byte if a truth value holds in some lane: once for each, in a branch that is rarely taken."""
        here = self.levels[mask.level]
        key = f"flag {pointer} {mask.name}"
        if key in here.names:
            return
        n = here.names[key] = str(self._label())
        here.lines += [
            f"  br i1 {self.any(mask)}, label %bad{n}, label %good{n}",
            f"bad{n}:",
            f"  store i8 1, ptr {pointer}",
            f"  br label %good{n}",
            f"good{n}:",
        ]
        here.label = f"good{n}"

    def steps(self, n: int) -> Value:
        """0, n, 2n … in the lanes."""
        if self.lanes == 1:
            return self.value(0, LONG)
        return Value(self, "<" + ", ".join(f"i64 {n * k}" for k in range(self.lanes)) + ">", LONG)

    # --- memory ----------------------------------------------------------------------------------

    def at(
        self, pointer: str, terms: Sequence[tuple[Index, int]], offset: int = 0, entry: str | None = None
    ) -> Index:
        """The address pointer[offset + Σ index·stride], in entries of a type."""
        place = self.summed(terms, offset)
        text = f"getelementptr {entry or self.real}, ptr {pointer}, i64 {place.name}"
        return Index(self.named(text, place.level), place.level)

    def load(self, address: Index, mask: Value | None = None) -> Value:
        """The vector at an address, 0 where the mask is false; entries need not be aligned to more than their size."""
        t, size = self.types[REAL], self.bits // 8
        if mask is None:
            text = f"load {t}, ptr {address.name}, align {size}"
            return Value(self, self.named(text, address.level), REAL, address.level)
        fn, truth = f"llvm.masked.load.{self.suffix}f{self.bits}.p0", self.types[TRUTH]
        self.declared[fn] = f"declare {t} @{fn}(ptr, i32, {truth}, {t})"
        text = f"call {t} @{fn}(ptr {address.name}, i32 {size}, {truth} {mask.name}, {t} zeroinitializer)"
        level = max(address.level, mask.level)
        return Value(self, self.named(text, level), REAL, level)

    def store(self, v: Value, address: Index, mask: Value | None = None) -> None:
        """Store the lanes for which the mask is true."""
        t, size, level = self.types[REAL], self.bits // 8, max(v.level, address.level)
        if mask is None:
            return self.line(f"store {t} {v.name}, ptr {address.name}, align {size}", level)
        fn, truth = f"llvm.masked.store.{self.suffix}f{self.bits}.p0", self.types[TRUTH]
        self.declared[fn] = f"declare void @{fn}({t}, ptr, i32, {truth})"
        text = f"call void @{fn}({t} {v.name}, ptr {address.name}, i32 {size}, {truth} {mask.name})"
        return self.line(text, max(level, mask.level))

    def inside(self, n: str, first: int = 0, level: int = 0) -> Value:
        """Which of the places first, first + 1, … of the lanes lie before the whole number `n`."""
        whole, t = f"i{self.bits}", self.types[WHOLE]
        n = n if self.bits == 64 else self.named(f"trunc i64 {n} to i32", level)
        one = self.named(f"insertelement {t} poison, {whole} {n}, i32 0", level)
        every = self.named(
            f"shufflevector {t} {one}, {t} poison, <{self.lanes} x i32> zeroinitializer", level
        )
        places = ", ".join(f"{whole} {first + k}" for k in range(self.lanes))
        return Value(self, self.named(f"icmp slt {t} <{places}>, {every}", level), TRUTH, level)

    def shuffle(self, v: Value, lanes: Sequence[int], other: str = "poison") -> Value:
        """The lanes of a vector in this order; numbers from `lanes` on are lanes of `other`."""
        t, mask = self.types[v.kind], ", ".join(f"i32 {k}" for k in lanes)
        text = f"shufflevector {t} {v.name}, {t} {other}, <{len(lanes)} x i32> <{mask}>"
        return self.operation(text, v.kind, v)

    # --- calls -----------------------------------------------------------------------------------

    def intrinsic(self, name: str, *xs: Value) -> Value:
        """llvm.NAME on vectors of real numbers."""
        t = self.types[REAL]
        full = f"llvm.{name}.{self.suffix}f{self.bits}"
        self.declared[full] = f"declare {t} @{full}({', '.join([t] * len(xs))})"
        args = ", ".join(f"{t} {x.name}" for x in xs)
        return self.operation(f"call {t} @{full}({args})", REAL, *xs)

    def by_lane(self, name: str, mask: Value, usual: Value, *xs: Value) -> Value:
        """`usual`, but where the mask holds the function NAME of libm: lane by lane, for arguments that are rare."""
        return self._rarely(mask, usual, self._libm(name, len(xs)), xs)

    def rarely(
        self, name: str, mask: Value, usual: Value, formula: Callable[..., Value], *xs: Value
    ) -> Value:
        """`usual`, but where the mask holds a formula, for arguments that are rare: as a function of the module."""
        function = f"{name}.{self.suffix}f{self.bits}"
        if function not in self.declared:
            inner = Block(self.dtype, self.lanes)
            self.declared[function] = inner.as_function(function, formula, len(xs), "cold")
            self.declared.update({n: t for n, t in inner.declared.items() if n not in self.declared})
            self.called |= inner.called
        return self._rarely(mask, usual, function, xs)

    def as_function(self, name: str, formula: Callable[..., Value], count: int, kind: str = "") -> str:
        """This block, which is empty, as the function NAME of a module: a formula of `count` vectors."""
        t = self.types[REAL]
        xs = [Value(self, f"%x{k}", REAL) for k in range(count)]
        out = formula(*xs)
        head = f"define internal {t} @{name}({', '.join(f'{t} {x.name}' for x in xs)}) {kind} {{"
        return "\n".join([head, "entry:", *self.levels[0].lines, f"  ret {t} {out.name}", "}"])

    def _rarely(self, mask: Value, usual: Value, function: str, xs: Sequence[Value]) -> Value:
        """`usual`, but where the mask holds what the function returns, which is called if that is so in some lane."""
        level, t = max(v.level for v in (mask, usual, *xs)), self.types[REAL]
        here = self.levels[level]
        args = ", ".join(f"{t} {x.name}" for x in xs)
        key = f"{function}({args}) where {mask.name} else {usual.name}"
        if key in here.names:
            return Value(self, here.names[key], REAL, level)
        n, slow, chosen, out = self._label(), self.fresh(), self.fresh(), self.fresh()
        here.names[key] = out
        here.lines += [
            f"  br i1 {self.any(mask)}, label %rare{n}, label %usual{n}",
            f"rare{n}:",
            f"  {slow} = call {t} @{function}({args})",
            f"  {chosen} = select {self.types[TRUTH]} {mask.name}, {t} {slow}, {t} {usual.name}",
            f"  br label %usual{n}",
            f"usual{n}:",
            f"  {out} = phi {t} [ {chosen}, %rare{n} ], [ {usual.name}, %{here.label} ]",
        ]
        here.label = f"usual{n}"
        return Value(self, out, REAL, level)

    def any(self, mask: Value) -> str:
        """Whether a truth value holds in some lane, as a scalar register."""
        if self.lanes == 1:
            return mask.name
        fn = f"llvm.vector.reduce.or.v{self.lanes}i1"
        self.declared[fn] = f"declare i1 @{fn}({self.types[TRUTH]})"
        return self.named(f"call i1 @{fn}({self.types[TRUTH]} {mask.name})", mask.level)

    def _libm(self, name: str, count: int) -> str:
        """A function of libm for vectors: of several lanes a function of the module that calls it for each."""
        fn = name + ("" if self.bits == 64 else "f")
        self.declared[fn] = f"declare {self.real} @{fn}({', '.join([self.real] * count)})"
        self.called.add(fn)
        if self.lanes == 1:
            return fn
        vector = f"{fn}.{self.suffix}"
        if vector not in self.declared:
            self.declared[vector] = self._by_lanes(vector, fn, count)
        return vector

    def _by_lanes(self, vector: str, fn: str, count: int) -> str:
        """The function `vector`: `fn` of each lane."""
        real, t = self.real, self.types[REAL]
        xs, out = [f"%x{k}" for k in range(count)], "poison"
        lines = [f"define internal {t} @{vector}({', '.join(f'{t} {x}' for x in xs)}) cold {{"]
        for lane in range(self.lanes):
            lines += [f"  {x}.{lane} = extractelement {t} {x}, i32 {lane}" for x in xs]
            lines.append(f"  %y{lane} = call {real} @{fn}({', '.join(f'{real} {x}.{lane}' for x in xs)})")
            lines.append(f"  %out{lane} = insertelement {t} {out}, {real} %y{lane}, i32 {lane}")
            out = f"%out{lane}"
        return "\n".join([*lines, f"  ret {t} {out}", "}"])

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
    return b.operation(
        f"select {b.types[TRUTH]} {condition.name}, {t} {x.name}, {t} {y.name}", kind, condition, x, y
    )


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
    return b.operation(f"bitcast {b.types[REAL]} {x.name} to {b.types[WHOLE]}", WHOLE, x)


def of_bits(n: Value) -> Value:
    """Real numbers of these bits."""
    b = n.block
    return b.operation(f"bitcast {b.types[WHOLE]} {n.name} to {b.types[REAL]}", REAL, n)


def converted(x: Value, kind: str) -> Value:
    """x as numbers of another kind: truth values become 1 and 0, real numbers are cut off towards 0."""
    if x.kind == kind:
        return x
    if kind == TRUTH:
        return x != 0
    if x.kind == TRUTH:
        return where(x, x.block.value(1, kind), 0)
    b, op = x.block, "sitofp" if kind == REAL else "fptosi"
    return b.operation(f"{op} {b.types[x.kind]} {x.name} to {b.types[kind]}", kind, x)


def polynomial(x: Value, coefficients: tuple[float, ...], square: Value | None = None) -> Value:
    """Σ cₖ xᵏ by Horner's rule; `coefficients` begin with the highest power.

    Who has the square of x gets even and odd powers in two chains, which take half the time of one.
    """
    if square is not None:
        highest, next_to_it = (polynomial(square, coefficients[k::2]) for k in (0, 1))
        even, odd = (next_to_it, highest) if len(coefficients) % 2 == 0 else (highest, next_to_it)
        return fma(odd, x, even)
    out = x.block.value(coefficients[0])
    for c in coefficients[1:]:
        out = fma(out, x, c)
    return out
