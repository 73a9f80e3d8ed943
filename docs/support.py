"""What works with which operation, found by running each: value, reverse, forward, second order, vmap, compiled.

A mark is an answer that was checked, never a statement: the gradient against differences of the value, forward mode and
the second derivative against the gradient, vmap and compile against the value. What does not work refuses by name.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np

import chainrule as cr
from chainrule.codegen.prepare import planned
from chainrule.draw import Page, Paragraph, Section, Table
from chainrule.ir.graph import Graph
from chainrule.table import TABLE
from chainrule.testing.finite import central
from chainrule.testing.graphs import graph_of_case
from chainrule.testing.samples import cases

COLUMNS = ("value", "reverse", "forward", "second order", "vmap", "compiled")
YES, NO, FLAT, NOT_YET, CALLED = "yes", "refuses", "flat", "not yet", "through NumPy"

_RNG = np.random.default_rng(3)
NAMES: dict[str, Any] = {
    "cr": cr,
    "x": _RNG.uniform(0.2, 0.8, (4, 4)),
    "y": cr.tensor(_RNG.uniform(0.3, 0.9, (4, 4))),
    "v": cr.tensor(_RNG.uniform(0.3, 0.9, 4)),
    "mask": cr.tensor(_RNG.random((4, 4)) < 0.5),
    "index": cr.tensor(np.array([2, 0, 3])),
    "places": cr.tensor(_RNG.permuted(np.tile(np.arange(4), (4, 1)), axis=0)),
}
# How an argument without a default is filled, by its name.
FILL = {
    **dict.fromkeys(("input", "A", "a"), "x"),
    **dict.fromkeys(("other", "exponent", "b", "mat2", "end", "src", "tensor1", "y"), "y"),
    **dict.fromkeys(("vec", "vec2", "value", "values", "weight"), "v"),
    **dict.fromkeys(("dim", "dim0", "axis0", "source", "row"), "0"),
    **dict.fromkeys(("dim1", "axis1", "destination", "start", "shifts", "k"), "1"),
    **dict.fromkeys(("length", "chunks", "split_size_or_sections", "indices_or_sections"), "2"),
    **dict.fromkeys(("tensors", "operands", "args"), "[x, y]"),
    "dims": "(1, 0)", "mask": "mask", "condition": "mask", "index": "index", "indices": "places", "q": "0.3",
    "tensor2": "y", "sizes": "(2, 2)", "size": "(4, 4)", "shape": "(4, 4)", "fill_value": "2.0", "n": "2",
}  # fmt: skip
# Calls that cannot be told from the names of the parameters.
CALLS = {
    "acosh": "cr.acosh(x + 1.0)", "mv": "cr.mv(x, v)", "dot": "cr.dot(x[0], v)", "vdot": "cr.vdot(x[0], v)",
    "outer": "cr.outer(x[0], v)", "bmm": "cr.bmm(x[None], y[None])", "einsum": 'cr.einsum("ij,jk->ik", x, y)',
    "broadcast_to": "cr.broadcast_to(x, (2, 4, 4))", "unflatten": "cr.unflatten(x, 0, (2, 2))",
    "gather": "cr.gather(x, 0, places)", "scatter": "cr.scatter(x, 0, places, y)",
    "scatter_add": "cr.scatter_add(x, 0, places, y)",
    "scatter_reduce": 'cr.scatter_reduce(x, 0, places, y, "sum")', "index_add": "cr.index_add(x, 0, index, y[:3])",
    "index_copy": "cr.index_copy(x, 0, index, y[:3])", "index_fill": "cr.index_fill(x, 0, index, 2.0)",
    "index_put": "cr.index_put(x, (index,), y[:3])", "index_select": "cr.index_select(x, 0, index)",
    "take": "cr.take(x, index)", "select_scatter": "cr.select_scatter(x, v, 0, 1)",
    "masked_fill": "cr.masked_fill(x, mask, 2.0)", "where": "cr.where(mask, x, y)", "bincount": "cr.bincount(index)",
    "masked_scatter": "cr.masked_scatter(x, mask, y)", "diagonal_scatter": "cr.diagonal_scatter(x, v)",
    "slice_scatter": "cr.slice_scatter(x, y[:2], 0, 0, 2)", "searchsorted": "cr.searchsorted(v.sort()[0], x)",
    "bucketize": "cr.bucketize(x, v.sort()[0])", "nn.functional.pad": "cr.nn.functional.pad(x, (1, 2))",
    "cartesian_prod": "cr.cartesian_prod(x[0], v)", "isin": "cr.isin(x, y)",
    "pow": "cr.pow(x, y)", "float_power": "cr.float_power(x, y)", "lerp": "cr.lerp(x, y, 0.3)",
    "combinations": "cr.combinations(x[0])", "cross": "cr.cross(x[:, :3], y[:, :3])",
    "polygamma": "cr.polygamma(1, x)", "special.polygamma": "cr.special.polygamma(1, x)",
    "mvlgamma": "cr.mvlgamma(x + 2.0, 2)", "special.multigammaln": "cr.special.multigammaln(x + 2.0, 2)",
    "special.zeta": "cr.special.zeta(y + 1.5, x)", "special.gammainc": "cr.special.gammainc(y, x)",
    "igamma": "cr.igamma(y, x)", "special.gammaincc": "cr.special.gammaincc(y, x)", "igammac": "cr.igammac(y, x)",
    "special.betaln": "cr.special.betaln(x, y)", "clamp": "cr.clamp(x, 0.3, 0.6)", "clip": "cr.clip(x, 0.3, 0.6)",
    "tensordot": "cr.tensordot(x, y, 1)", "repeat_interleave": "cr.repeat_interleave(x, 2)",
    "tile": "cr.tile(x, (2, 1))",
    "take_along_dim": "cr.take_along_dim(x, places, 0)", "broadcast_tensors": "cr.broadcast_tensors(x, v)",
    "squeeze": "cr.squeeze(x[None])", "roll": "cr.roll(x, 1)", "t": "cr.t(x)",
    "clamp_min": "cr.clamp_min(x, 0.4)", "clamp_max": "cr.clamp_max(x, 0.6)", "one_hot": "cr.one_hot(index)",
    "dsplit": "cr.dsplit(x.reshape(2, 2, 4), 2)", "meshgrid": "cr.meshgrid(x[0], v)", "put": "cr.put(x, index, v[:3])",
    "index_reduce": 'cr.index_reduce(x, 0, index, y[:3], "amax")', "select": "cr.select(x, 0, 1)",
    "broadcast_shapes": "cr.zeros(cr.broadcast_shapes((4, 4), (4,))) + x",
    "linalg.vector_norm": "cr.linalg.vector_norm(x)",
    **{name: f"cr.{name}(x, 0)" for name in ("softmax", "log_softmax", "nn.functional.softmin")},
}  # fmt: skip
# Operations that are methods or operators only.
METHODS = {
    "Tensor[…]": "x[1:, [0, 2]]", "Tensor.expand": "x.expand(2, 4, 4)",
    "Tensor.expand_as": "x.expand_as(cr.stack([y, y]))",
    "Tensor.repeat": "x.repeat(2, 1)", "Tensor.view": "x.view(2, 8)", "Tensor.unfold": "x.unfold(0, 2, 1)",
    "Tensor.T": "x.T", "Tensor.mT": "x.mT", "Tensor @": "x @ y",
}  # fmt: skip
MODULES = ("", "special.", "linalg.", "nn.functional.")
# Modules of ops whose names make tensors or ask about them; and functions that make indices.
NO_OPERATIONS = ("creation", "random_numbers", "queries", "function")
MAKE_INDICES = ("tril_indices", "triu_indices")


class Row(NamedTuple):
    """One operation: its names, the call that was run, a mark per column, and what it said where it refused."""

    names: tuple[str, ...]
    call: str
    marks: tuple[str, ...]
    said: tuple[str, ...]


# --- which operations ------------------------------------------------------------------------------


def operations() -> dict[str, tuple[Callable[..., Any], tuple[str, ...]]]:
    """Name → function and all its names; names of one function are one row."""
    found: dict[int, tuple[Callable[..., Any], list[str]]] = {}
    for start in MODULES:
        place = cr
        for part in filter(None, start.split(".")):
            place = getattr(place, part)
        for name in getattr(place, "__all__", None) or dir(place):
            f = getattr(place, name)
            if not name.startswith("_") and inspect.isroutine(f) and _is_operation(f):
                found.setdefault(id(f), (f, []))[1].append(start + name)
    rows = {names[0]: (f, tuple(names)) for f, names in found.values()}
    return dict(sorted(rows.items()))


def _is_operation(f: Any) -> bool:
    module = getattr(f, "__module__", "") or ""
    inside = module.startswith(tuple(f"chainrule.{m}" for m in ("quick", "ops.", "linalg", "nn", "special")))
    return inside and f.__name__ not in MAKE_INDICES and module.rpartition(".")[2] not in NO_OPERATIONS


def call_of(name: str, f: Any) -> str:
    """The call as text; KeyError where a parameter is not in FILL and the call is not in CALLS."""
    if name in CALLS:
        return CALLS[name]
    given = []
    for q in inspect.signature(f).parameters.values():
        if q.kind is q.VAR_POSITIONAL:
            given.append("x, y" if q.name in ("tensors", "operands", "args") else FILL[q.name])
        elif q.default is q.empty and q.kind is not q.VAR_KEYWORD:
            given.append(FILL[q.name])
    return f"cr.{name}({', '.join(given)})"


# --- running one -----------------------------------------------------------------------------------


def function_of(call: str) -> Callable[[Any], Any]:
    """The call as a function of x that returns one tensor: the parts of several results are joined."""
    code = compile(call, f"<{call}>", "eval")

    def f(x: Any) -> Any:
        out = eval(code, {**NAMES, "x": x})
        parts = [o for o in (out if isinstance(out, tuple | list) else (out,)) if isinstance(o, cr.Tensor)]
        floating = [o for o in parts if o.is_floating_point()]
        if len(floating) < 2:
            return (floating or parts or [cr.as_tensor(out)])[0]
        return cr.cat([o.reshape(-1) for o in floating])

    return f


@cache
def row(name: str) -> Row:
    """Run one operation in every way."""
    f, names = operations().get(name, (None, (name,)))
    call = METHODS.get(name) or call_of(name, f)
    marks, said = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for column in COLUMNS:
            try:
                marks.append(WAYS[column](function_of(call)))
            except cr.ChainruleError as err:
                marks.append(NO)
                said.append(f"{column}: {str(err).splitlines()[0]}")
    return Row(names, call, tuple(marks), tuple(said))


def _x() -> Any:
    return cr.tensor(NAMES["x"])


def _weights(out: Any, seed: int = 5) -> Any:
    return cr.tensor(np.random.default_rng(seed).normal(size=tuple(out.shape)))


def _close(got: Any, expected: Any, rtol: float) -> str:
    a, b = np.asarray(got), np.asarray(expected)
    np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * max(1.0, np.max(np.abs(b), initial=0.0)))
    return YES


def _value(f: Callable[[Any], Any]) -> str:
    f(_x())
    return YES


def _gradient(f: Callable[[Any], Any]) -> Any:
    """∇⟨w, f⟩, or None where the result has no derivative."""
    out = f(_x())
    if not out.is_floating_point():
        return None
    w = _weights(out)
    return cr.grad(lambda x: (f(x) * w).sum())


def _reverse(f: Callable[[Any], Any]) -> str:
    gradient = _gradient(f)
    if gradient is None:
        return FLAT
    w, t = _weights(f(_x())), _weights(_x(), 6)
    along = central(lambda s: np.asarray((f(_x() + s * t) * w).sum()))
    return _close((gradient(_x()) * t).sum(), along, 1e-7)


def _forward(f: Callable[[Any], Any]) -> str:
    gradient = _gradient(f)
    if gradient is None:
        return FLAT
    w, t = _weights(f(_x())), _weights(_x(), 6)
    return _close((cr.jvp(f, (_x(),), (t,))[1] * w).sum(), (gradient(_x()) * t).sum(), 1e-10)


def _second(f: Callable[[Any], Any]) -> str:
    gradient = _gradient(f)
    if gradient is None:
        return FLAT
    u, t = _weights(_x(), 7), _weights(_x(), 6)
    along = central(lambda s: np.asarray((gradient(_x() + s * t) * u).sum()))
    return _close((cr.grad(lambda x: (gradient(x) * u).sum())(_x()) * t).sum(), along, 1e-6)


def _vmap(f: Callable[[Any], Any]) -> str:
    if not hasattr(cr, "vmap"):
        return NOT_YET
    xs = cr.stack([_x(), _x() * 0.9])
    return _close(cr.vmap(f)(xs), cr.stack([f(xs[0]), f(xs[1])]), 1e-12)


def _compiled(f: Callable[[Any], Any]) -> str:
    if not hasattr(cr, "compile"):
        return NOT_YET
    compiled = cr.compile(f)
    mark = _close(compiled(_x()), f(_x()), 1e-12)
    return CALLED if called(compiled.graph) else mark


WAYS = dict(zip(COLUMNS, (_value, _reverse, _forward, _second, _vmap, _compiled), strict=True))


# --- what compile leaves to NumPy ------------------------------------------------------------------


def called(graph: Graph) -> dict[str, str]:
    """Primitives of a graph that run in NumPy between kernels, and why; arrays without entries do not count."""
    calls = planned(graph).calls
    return {e.name: why for e, why in calls.items() if all(v.type.size for v in (*e.inputs, *e.outs))}


def without_machine_code() -> dict[str, str]:
    """Primitives of the table that have no machine code for all of their samples, and why."""
    found: dict[str, str] = {}
    for p in TABLE.values():
        for case in cases(p):
            found |= called(graph_of_case(case))
    return dict(sorted(found.items()))


# --- the page --------------------------------------------------------------------------------------


def page() -> Page:
    """The table of all operations, and what they say where they refuse."""
    rows = [row(name) for name in (*operations(), *METHODS)]
    table = Table(
        "What works", ("operation", "call", *COLUMNS), [(", ".join(r.names), r.call, *r.marks) for r in rows]
    )
    counts = ", ".join(
        f"{column}: {sum(r.marks[k] == YES for r in rows)}" for k, column in enumerate(COLUMNS)
    )
    words = Paragraph(
        f"Found by running {len(rows)} operations. {YES}: the answer was checked. {FLAT}: the result is a truth value "
        f"or a place, which has no derivative. {NO}: an error that names the operation, below. {NOT_YET}: the "
        f"transform is not there. {CALLED}: compiled programs call NumPy for it; the answer was checked."
    )
    sections = [Section("Operations", [words, Paragraph(f"{YES}: {counts}."), table])]
    said = list(_said(rows))
    if said:
        sections.append(Section("What refuses", [Table("In its own words", ("operation", "says"), said)]))
    rest = Table("No machine code", ("primitive", "why"), list(without_machine_code().items()))
    sections.append(Section("What compiled programs call NumPy for", [rest]))
    return Page(
        "What works with which operation",
        "Value, derivatives, vmap and compiled, found by running.",
        sections,
    )


def _said(rows: list[Row]) -> Iterator[tuple[str, str]]:
    for r in rows:
        for words in r.said:
            yield r.names[0], words
