"""Pullbacks of nodes on plain numbers: rules folded once into Python functions.

The functions are derived from the table (the same `times` and formulas as everywhere) and compiled at first use;
their source is registered, so that a traceback can show it.
"""

from __future__ import annotations

import linecache
import math
import os
import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from chainrule.errors import GraphFreedError
from chainrule.ir.types import FLOAT, Type, type_of
from chainrule.source import Source
from chainrule.table.blocks import BLOCK, LARGE, is_large
from chainrule.table.formula import Apply, Const, Formula, Param, Symbol, apply, walk
from chainrule.table.index import numpy_key
from chainrule.table.primitive import TABLE, Custom, Partials, Primitive, partials_of, values_read
from chainrule.tape import numbers
from chainrule.tape.kernels import instead, pull_along_axes
from chainrule.tape.node import Node
from chainrule.tape.numbers import Scattered, dense
from chainrule.tape.reduced import pull_rows
from chainrule.tape.traced import Traced
from chainrule.transforms.derive import pullback, sum_to, times

_FOLDER = os.path.dirname(os.path.abspath(__file__)) + os.sep
_INFIX = {
    "add": "({0} + {1})",
    "sub": "({0} - {1})",
    "mul": "({0} * {1})",
    "div": "({0} / {1})",
    "neg": "(-{0})",
}
_SLOTS = ("x", "y")
_PARENTS = ("a", "b")


def products(p: Primitive, wanted: tuple[bool, ...]) -> list[Formula]:
    """ct · ∂out/∂(input) for each wanted input, as formulas."""
    symbols: dict[str, Any] = {name: Symbol(name) for name in (*p.inputs, "out")}
    params = _Named()
    return [
        times(partials_of(p)[name], _Cotangent(), symbols, params, apply, {})
        for name, w in zip(p.inputs, wanted, strict=True)
        if w
    ]


class _Named(dict):
    """Parameters as symbols: formulas stay formulas."""

    def __missing__(self, name: str) -> Param:
        return Param.named(name)


class _Cotangent(Symbol):
    """The symbol ct; zeros of its shape are the constant 0."""

    __slots__ = ("dtype", "shape")

    def __init__(self) -> None:
        super().__init__("ct")
        self.shape, self.dtype = (), np.dtype(np.float64)


class _Writer:
    """Formulas → Python expressions, subexpressions shared through local names."""

    def __init__(self, call: Callable[[Apply, list[str], str], str]) -> None:
        self.lines: list[str] = []
        self.names: dict[tuple, str] = {}
        self.call = call

    def write(self, f: Formula, counts: dict[tuple, int]) -> str:
        if f.key in self.names:
            return self.names[f.key]
        if isinstance(f, Symbol):
            return f.name
        if isinstance(f, Const):
            return _constant(f.value)
        if isinstance(f, Param):
            return f.text
        assert isinstance(f, Apply)
        if f.name == "zeros":
            return "0.0"
        args = [self.write(a, counts) for a in f.args]
        params = "".join(f", {k}={v.text if isinstance(v, Param) else repr(v)}" for k, v in f.params.items())
        text = self.call(f, args, params)
        if counts.get(f.key, 0) > 1:
            name = f"t{len(self.lines)}"
            self.lines.append(f"{name} = {text}")
            self.names[f.key] = text = name
        return text


def _constant(v: Any) -> str:
    return repr(v) if isinstance(v, int) or math.isfinite(v) else f"float('{v}')"


def _count(f: Formula, counts: dict[tuple, int]) -> None:
    counts[f.key] = counts.get(f.key, 0) + 1
    if isinstance(f, Apply) and counts[f.key] == 1:
        for g in f.args:
            _count(g, counts)


def _compile(name: str, head: str, body: list[str], namespace: dict[str, Any]) -> Callable[..., Any]:
    source = "\n".join([head, *("    " + line for line in body)]) + "\n"
    file = f"{_FOLDER}<{name}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    exec(compile(source, file, "exec"), namespace)
    return namespace["pull"]


def _param_lines(formulas: list[Formula]) -> list[str]:
    names: set[str] = set()
    for f in formulas:
        for g in walk(f):
            found = (
                [g]
                if isinstance(g, Param)
                else [v for v in getattr(g, "params", {}).values() if isinstance(v, Param)]
            )
            for v in found:
                names.update(w for w in _words(v.text))
    return [f"{n} = params[{n!r}]" for n in sorted(names)]


def _words(text: str) -> list[str]:
    return re.findall(r"[A-Za-z_]\w*", text)


# --- Python floats -------------------------------------------------------------------------------


def _scalar_call(namespace: dict[str, Any]) -> Callable[[Apply, list[str], str], str]:
    def call(f: Apply, args: list[str], params: str) -> str:
        p = TABLE[f.name]
        if isinstance(p.scalar, str):
            return p.scalar.format(*args)
        namespace[f.name] = scalar_function(p)
        return f"{f.name}({', '.join(args)}{params})"

    return call


@cache
def scalar_function(p: Primitive) -> Callable[..., Any]:
    """The primitive on Python floats; may raise ArithmeticError or ValueError where the value is inf or NaN."""
    if callable(p.scalar):
        return p.scalar
    if isinstance(p.scalar, str):
        names = [f"v{i}" for i in range(len(p.inputs))]
        return eval(f"lambda {', '.join(names)}: {p.scalar.format(*names)}")

    def careful(*args: float, **params: Any) -> float:
        with numbers.quiet():
            return float(p.value(*map(np.float64, args), **params))

    return careful


@cache
def scalar_pull(p: Primitive, wanted: tuple[bool, ...]) -> Callable[[Node, Any], Any]:
    """pull(node, ct) for a node whose values are all Python floats."""
    formulas = products(p, wanted)
    counts: dict[tuple, int] = {}
    for f in formulas:
        _count(f, counts)
    namespace: dict[str, Any] = {"careful": _careful}
    writer = _Writer(_scalar_call(namespace))
    results = [writer.write(f, {} if _has_choice(f) else counts) for f in formulas]
    text = " ".join([*writer.lines, *results])
    load = [f"{i} = node.{s}" for i, s in zip(p.inputs, _SLOTS, strict=False) if i in _words(text)]
    load += ["out = node.out"] if "out" in _words(text) else []
    params = _param_lines(formulas)
    load += ["params = node.params", *params] if params else []
    parents = [s for s, w in zip(_PARENTS, wanted, strict=False) if w]
    pairs = "".join(f"(node.{s}, {r}), " for s, r in zip(parents, results, strict=True))
    body = ["try:", *("    " + line for line in [*load, *writer.lines, f"return ({pairs})"])]
    body += ["except (ArithmeticError, ValueError):", "    return careful(node, ct)"]
    pull = _compile(f"pullback of {p.name} on floats", "def pull(node, ct):", body, namespace)
    return _with_reads(pull, NUMBERS if _uses_values(p, wanted) else NOTHING)


def _uses_values(p: Primitive, wanted: tuple[bool, ...]) -> bool:
    return bool(values_read(p, tuple(n for n, w in zip(p.inputs, wanted, strict=True) if w)))


def _has_choice(f: Formula) -> bool:
    """A formula with `where` computes only the branch it takes: sharing would compute both."""
    return any(isinstance(g, Apply) and g.name == "where" for g in walk(f))


def _careful(node: Node, ct: Any) -> Any:
    """The same pullback in NumPy's arithmetic, where 1/0 is inf: for the points at which Python raises."""
    return general_pull(node, np.float64(ct))


# --- arrays --------------------------------------------------------------------------------------


def _array_call(namespace: dict[str, Any]) -> Callable[[Apply, list[str], str], str]:
    def call(f: Apply, args: list[str], params: str) -> str:
        if f.name in _INFIX:
            return _INFIX[f.name].format(*args)
        namespace[f.name] = TABLE[f.name].value
        return f"{f.name}({', '.join(args)}{params})"

    return call


@cache
def array_function(p: Primitive, wanted: tuple[bool, ...]) -> Callable[..., tuple[Any, ...]]:
    """pull(ct, *inputs, out, params) → cotangents before they are summed to the shapes of the inputs."""
    return on_arrays(f"pullback of {p.name}", products(p, wanted), ("ct", *p.inputs, "out"))


def on_arrays(title: str, formulas: list[Formula], names: Sequence[str]) -> Callable[..., tuple[Any, ...]]:
    """function(*values of the names, params) → the formulas, in NumPy's arithmetic."""
    counts: dict[tuple, int] = {}
    for f in formulas:
        _count(f, counts)
    namespace: dict[str, Any] = {}
    writer = _Writer(_array_call(namespace))
    results = [writer.write(f, counts) for f in formulas]
    body = [*_param_lines(formulas), *writer.lines, f"return ({', '.join(results)},)"]
    return _compile(title, f"def pull({', '.join(names)}, params):", body, namespace)


def for_any_size(
    function: Callable[..., tuple[Any, ...]], formulas: list[Formula], names: Sequence[str]
) -> Callable[..., tuple[Any, ...]]:
    """What `on_arrays` gave, large arrays in one pass through memory: by a kernel, or block by block."""
    return instead(_in_blocks(function), formulas, names)


Pull = Callable[[Node, Any], Any]


def elementwise_pull(p: Primitive, wanted: tuple[bool, ...]) -> Pull:
    """Pullback of an elementwise node on real arrays; its function is made when the first one is pulled."""
    function: Callable[..., tuple[Any, ...]] | None = None
    live = [k for k, w in enumerate(wanted) if w]
    nary, two = p.nary, len(p.inputs) == 2

    def pull(node: Node, ct: Any) -> Any:
        nonlocal function
        if function is None:
            function = _for_any_size(p, wanted)
        if ct.__class__ is Scattered:
            ct = ct.dense()
        elif ct.__class__ is float:
            ct = np.float64(ct)
        if nary:
            parents, args = node.a, node.x
        elif two:
            parents, args = (node.a, node.b), (node.x, node.y)
        else:
            return ((node.a, settle(function(ct, node.x, node.out, node.params)[0], node.x)),)
        cts = function(ct, *args, node.out, node.params)
        return [(parents[k], settle(c, args[k])) for k, c in zip(live, cts, strict=True)]

    return pull


def _for_any_size(p: Primitive, wanted: tuple[bool, ...]) -> Callable[..., tuple[Any, ...]]:
    function, formulas = array_function(p, wanted), products(p, wanted)
    if all(_operations(f) <= 1 for f in formulas):
        return function
    return for_any_size(function, formulas, ("ct", *p.inputs, "out"))


def _operations(f: Formula) -> int:
    return sum(isinstance(g, Apply) for g in walk(f))


def _in_blocks(function: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
    """Large arrays of one shape are gone through in blocks: the formula's temporaries stay in cache."""

    def call(*args: Any) -> tuple[Any, ...]:
        *values, params = args
        large = next((v for v in values if v.__class__ is np.ndarray and v.ndim), None)
        if large is None or large.size < LARGE or not all(_goes_along(v, large.shape) for v in values):
            return function(*args)
        shape, size = large.shape, large.size
        flat = [v.reshape(-1) if v.__class__ is np.ndarray and v.shape == shape else v for v in values]
        whole: list[Any] = []
        for i in range(0, size, BLOCK):
            parts = function(
                *[v[i : i + BLOCK] if v.__class__ is np.ndarray and v.ndim else v for v in flat], params
            )
            if not whole:
                whole = [np.empty(size, part.dtype) if hasattr(part, "dtype") else None for part in parts]
            for out, part in zip(whole, parts, strict=True):
                if out is not None:
                    out[i : i + BLOCK] = part
        return tuple(
            part if out is None else out.reshape(shape) for out, part in zip(whole, parts, strict=True)
        )

    return call


def _goes_along(v: Any, shape: tuple[int, ...]) -> bool:
    """Whether a value can be cut into the same blocks: of this shape and contiguous, a number, or not read."""
    if v.__class__ is np.ndarray:
        return v.ndim == 0 or (v.shape == shape and (v.flags.c_contiguous or v.ndim == 1))
    return not isinstance(v, Type) or v.shape == shape or v.shape == ()


SOFTMAX = ("softmax", "log_softmax")


def along_axes_pull(node: Node, ct: Any) -> Any:
    """Pullback of a reduction by a formula, or softmax; of a large array in one pass, by a kernel or in blocks."""
    p, params = node.p, node.params or {}
    ct = dense(ct)
    c = pull_along_axes(p, node.x, node.out, params, ct)
    if c is None and p.kind == "reduction" and is_large(node.x):
        c = pull_rows(p, node.x, node.out, params, ct)
    return general_pull(node, ct) if c is None else ((node.a, c),)


def index_pull(node: Node, ct: Any) -> Any:
    """Pullback of basic or advanced indexing: a cotangent with few entries."""
    args = node.x
    x = args[0]
    spec = node.params["spec"]  # type: ignore[index]
    if len(spec) == 1 == len(x.shape) and spec[0][0] == "int":
        key = spec[0][1]
    else:
        key = numpy_key(spec, args[1:])
    part = (key, ct.dense() if ct.__class__ is Scattered else ct, len(args) > 1)
    ct = Scattered(x.shape, x.dtype, [part])
    return ((node.a[0], ct if x.shape else ct.dense()[()]),)  # the pull of a number reads a number


def general_pull(node: Node, ct: Any) -> Any:
    """Pullback of any node, by the general reader of rules."""
    ct = dense(ct)
    if ct.__class__ is float:
        ct = np.float64(ct)
    parents, args = node.parents, node.args
    wanted = [q is not None and q.pull is not None for q in parents]
    pulled = pullback(
        node.p,
        _arrays(args),
        _array(node.out),
        node.params or {},
        ct,
        None,
        wanted,
        numbers.emit,
        masks=False,
    )
    return [(parents[k], settle(c, args[k])) for k, c, _ in pulled]


def composite_pull(node: Node, ct: Any) -> Any:
    """Pullback of a recognised composite: that of the function it is read as, straight to its variable."""
    assert node.reading is not None
    name, x, params = node.reading
    p, value = TABLE[name], _array(x.value)
    ct = _array(dense(ct))
    out = p.value(value, **params)
    pulled = pullback(p, (value,), out, params, ct, None, (True,), numbers.emit)
    return [(x.node, settle(c, x.value)) for _, c, _ in pulled]


def _array(v: Any) -> Any:
    return np.float64(v) if v.__class__ is float else v


def _arrays(args: tuple[Any, ...]) -> list[Any]:
    return [_array(a) for a in args]


def settle(c: Any, v: Any) -> Any:
    """A cotangent with the shape and dtype of the value `v` (or its type); a Python float for 0-d float64."""
    t = FLOAT if v.__class__ is float else type_of(v)
    if c.__class__ is float:
        if t.shape == () and t.dtype == FLOAT.dtype:
            return c
        return np.full(t.shape, c, t.dtype)
    if c.__class__ is Traced:
        return c if c.dtype == t.dtype else c.recorder.run(TABLE["cast"], [c], {"dtype": t.dtype})
    if c.shape != t.shape:
        c = sum_to(numbers.emit, c, t.shape)
    if c.dtype != t.dtype:
        c = c.real.astype(t.dtype) if c.dtype.kind == "c" and t.dtype.kind != "c" else c.astype(t.dtype)
    return c.item() if t is FLOAT or (t.shape == () and t.dtype == FLOAT.dtype) else c


# --- which pullback a node gets ------------------------------------------------------------------

# What backward frees afterwards is told by an attribute of each pull: see `reads`.
NOTHING, NUMBERS, ARRAYS = 0, 1, 2


def _with_reads(pull: Pull, reads: int) -> Pull:
    """`pull.reads`: what it reads of the node: NOTHING, NUMBERS (kept for explanations) or ARRAYS (dropped)."""
    pull.reads = reads  # type: ignore[attr-defined]
    return pull


@cache
def array_pull(p: Primitive, wanted: tuple[bool, ...], complex_: bool) -> Pull:
    """The pullback of a node on arrays, `wanted` as the node's inputs."""
    names = p.inputs
    if p.nary and names and names[-1].startswith("*"):
        names = (*names[:-1], *[names[-1]] * (len(wanted) - len(names) + 1))
    found = values_read(p, tuple(dict.fromkeys(n for n, w in zip(names, wanted, strict=True) if w)))
    own = isinstance(p.rule, Custom) and p.rule.release is not None
    reads = ARRAYS if own or found - {"index", "*index"} else NOTHING
    if p.name == "index":
        return _with_reads(lambda node, ct: index_pull(node, ct), NOTHING)
    if isinstance(p.rule, Partials) and p.kind == "elementwise" and not complex_:
        return _with_reads(elementwise_pull(p, wanted), reads)
    along_axes = p.name in SOFTMAX or (isinstance(p.rule, Partials) and p.kind == "reduction")
    if along_axes and not complex_:
        return _with_reads(lambda node, ct: along_axes_pull(node, ct), reads)
    return _with_reads(lambda node, ct: general_pull(node, ct), reads)


class Freed:
    """The pullback of a node whose values an earlier backward freed; `source` is the line of that backward."""

    __slots__ = ("source",)
    reads = NOTHING

    def __init__(self, source: Source) -> None:
        self.source = source

    def __call__(self, node: Node, ct: Any) -> Any:
        raise freed(node)


def freed(node: Node) -> GraphFreedError:
    """The error of a backward through a node that was freed."""
    pull: Any = node.pull
    return GraphFreedError(
        f"the values that {node.name} kept for the backward pass were freed by an earlier backward",
        given=f"{node.name} at {node.source}; freed by the backward at {pull.source}",
        fix="call backward(retain_graph=True) the first time, or compute the loss again; "
        "detach() what a loop carries over",
    )


_with_reads(composite_pull, ARRAYS)
