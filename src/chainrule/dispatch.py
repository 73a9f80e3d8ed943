"""The one place that runs and records operations.

`bind` is the general way and the definition; `quick.py` stands in front of it for plain floats and float64 arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from types import CodeType
from typing import Any
from weakref import WeakSet

import numpy as np

from chainrule.config import KEEP_BYTES
from chainrule.errors import ChainruleError, DataError, DtypeError, InferenceError, ShapeError
from chainrule.ir.types import type_of
from chainrule.source import user_frame
from chainrule.table.composite import COMPOSITES
from chainrule.table.primitive import TABLE, Primitive, nondifferentiable
from chainrule.tape import kernels
from chainrule.tape.modes import Mode, current
from chainrule.tape.node import Node, ScopedNode, history, kept, leaf, new, next_serial, set_depth
from chainrule.tape.numbers import quiet
from chainrule.tape.promote import FLOAT64, get_default_dtype, is_inexact, result_dtype
from chainrule.tape.pull import array_pull, composite_pull, scalar_pull
from chainrule.tape.reading import read_as
from chainrule.tape.traced import Traced, cut

_ndarray = np.ndarray


class Handle:
    """Layout of a Tensor: the value, the node, and for a view where it looks.

    v
        Value: a Python float (0-d float64), a NumPy array or scalar, or `Traced` while a graph is recorded.
    n
        Node of the tape.
    base
        `View` of another tensor's memory, or None. A view by one operation on a tensor that owns its memory stores
        just that tensor: the rest is in the node (see `view`).
    """

    __slots__ = ("__weakref__", "base", "n", "v")
    v: Any
    n: Any
    base: Any


class View:
    """What a tensor that shares another one's memory remembers.

    root
        The tensor that owns the memory.
    at, seen
        The root's node, and where a graph is recorded its value, when the view was made or renewed.
    ops
        `(primitive, params, index values)` that lead from the root to the view.
    """

    __slots__ = ("at", "ops", "root", "seen")

    def __init__(self, root: Any, at: Node, ops: tuple[tuple[Primitive, dict[str, Any]], ...]) -> None:
        self.root, self.at, self.ops, self.seen = (
            root,
            at,
            ops,
            root.v if root.v.__class__ is Traced else None,
        )


Tensor: Any = Handle  # eager.tensor puts its class here when it is imported
_REFRESH: list[
    Callable[[Any], Node]
] = []  # eager.inplace: the node of a view whose base was changed in place


def node_of(t: Any) -> Node:
    """The node of a tensor; that of a view is made anew if its base was changed in place."""
    base = t.base
    if base is None:
        return t.n
    if base.__class__ is not View:
        n = t.n
        if base.n is (n.a[0] if n.p.nary else n.a) and base.v.__class__ is not Traced:
            return n
    return _REFRESH[0](t)


def wrap(v: Any, n: Node) -> Any:
    """A Tensor of a value and its node."""
    t = new(Tensor)
    t.v, t.n, t.base = v, n, None
    return t


# --- the general way -----------------------------------------------------------------------------

# Nodes of view primitives whose large result is a copy after all: a reshape of a transposed array.
COPIED: WeakSet[Node] = WeakSet()
_FLOATING = frozenset({"mean", "var", "std", "logsumexp", "norm"})
_PROMOTED = frozenset({"dot_general", "concatenate", "linear_recurrence"}) | _FLOATING


def bind(p: Primitive, *args: Any, **params: Any) -> Any:
    """Run a primitive on tensors, arrays and numbers, and record it: operands, promotion, value, node, Tensor.

    Where a graph is recorded the operands are its variables, and the value is what its recorder appends.
    """
    m = current()
    values, nodes, strong = operands(args)
    r = None if m.recorder is None else m.recorder.innermost(values)
    if r is not None:
        values = [r.lift(a, v, n) for a, v, n in zip(args, values, nodes, strict=True)]
        if not m.grad and p.rule is not None:
            values = list(map(cut, values))
    if p.on_complex is not None and any(
        v.__class__ is complex or getattr(v, "dtype", FLOAT64).kind == "c" for v in values
    ):
        return p.on_complex(emit, *args, **params)
    if (p.kind == "elementwise" or p.name in _PROMOTED) and not _one_dtype(values, strong):
        promote(p, values, nodes, strong, m)
    if r is not None:
        out = r.run(p, values, params)
    else:
        if p.view and values[0].__class__ is not _ndarray and isinstance(args[0], Handle):
            values[0] = share(args[0])
        out = compute(p, values, params)
    t = new(Tensor)
    t.v = np.float64(out) if m.inference and out.__class__ is float else out  # not for the quick ways
    t.n = record(p, values, nodes, out, params, m)
    t.base = None
    if p.view and out.__class__ is not float and isinstance(args[0], Handle):
        if out.__class__ is not _ndarray:
            if out.__class__ is Traced and _shows(args[0], p, params):
                t.base = view_of(args[0], p, params)
        elif np.may_share_memory(out, values[0]):
            t.base = view_of(args[0], p, params)
        elif out.nbytes > KEEP_BYTES:  # of smaller ones the node has the memory itself
            COPIED.add(t.n)
    return t


def _one_dtype(values: list[Any], strong: list[bool]) -> bool:
    """Nothing to promote: floating point values of one dtype, and numbers, which take it."""
    dtype = None
    for v, s in zip(values, strong, strict=True):
        if s:
            d = FLOAT64 if v.__class__ is float else v.dtype
            if dtype is None:
                dtype = d
            elif d is not dtype:
                return False
        elif v.__class__ is not float and v.__class__ is not int:
            return False
    if dtype is None or dtype.kind not in "fc":
        return False
    if dtype is not FLOAT64 and not all(strong):
        with quiet():
            values[:] = [v if s else _number(v, dtype) for v, s in zip(values, strong, strict=True)]
    elif not all(strong):
        values[:] = [float(v) if v.__class__ is int else v for v in values]
    return True


def share(t: Any) -> _ndarray:
    """The value as memory that others can look at: a computed 0-d number becomes an array for good."""
    if t.v.__class__ is not _ndarray:
        t.v = np.array(t.v)
    return t.v


def view(t: Any) -> View:
    """The `View` of a tensor whose `base` is not None."""
    base = t.base
    if base.__class__ is not View:
        n = t.n
        t.base = base = View(base, n.parents[0], ((n.p, n.params),))
        base.seen = None  # it was made of numbers: quick.entry
    return base


def view_of(t: Any, p: Primitive, params: dict[str, Any]) -> View:
    """The view that `p` makes of `t`."""
    if t.base is None:
        return View(t, t.n, ((p, params),))
    v = view(t)
    return View(v.root, v.at, (*v.ops, (p, params)))


def _shows(t: Any, p: Primitive, params: dict[str, Any]) -> bool:
    """Whether `p` of a traced tensor is a view: what it would be if the tensor lay in memory in order."""
    if p.name == "index":
        return all(item[0] != "array" for item in params["spec"])
    if p.name != "reshape" or t.base is None:
        return True
    v = view(t)
    a = np.empty(v.root.shape, bool)
    for q, ps in v.ops:
        a = q.value(a, **ps)
    return np.may_share_memory(a, p.value(a, **params))


def emit(name: str, *args: Any, **params: Any) -> Any:
    """The domain of recorded Tensors, as the transforms want it."""
    return bind(TABLE[name], *args, **params)


def operands(args: Sequence[Any]) -> tuple[list[Any], list[Node | None], list[bool]]:
    """Values, nodes, and which operands are no mere Python numbers."""
    values, nodes, strong = [], [], []
    for a in args:
        if isinstance(a, Handle):
            nodes.append(a.n if a.base is None else node_of(a))
            values.append(a.v)
            strong.append(True)
        elif a.__class__ is float or isinstance(a, (bool, int, complex)) or a.__class__ is np.float64:
            if isinstance(a, int):
                _in_range(a)
            values.append(a if a.__class__ is not np.float64 else float(a))
            nodes.append(None)
            strong.append(False)
        elif isinstance(a, (np.ndarray, np.generic)):
            values.append(numeric(a))
            nodes.append(None)
            strong.append(True)
        else:
            fix = "pass a Tensor, a NumPy array or a number; make one of a list with tensor(…)"
            raise DataError(f"an operand is a {type(a).__name__}", given=_shown(a), fix=fix)
    return values, nodes, strong


def numeric(a: Any) -> Any:
    """An array or NumPy number as operations take it: of numbers, and no subclass: its `*` may differ."""
    if a.dtype.kind not in "buifc" or a.dtype.char in "gG":
        fix = "convert it to numbers first, e.g. a.astype(float)"
        raise DtypeError(f"an operand is a NumPy array of dtype {a.dtype}", given=_shown(a), fix=fix)
    if not a.dtype.isnative:
        a = a.astype(a.dtype.newbyteorder("="))
    if a.__class__ is _ndarray or not isinstance(a, _ndarray):
        return a
    if np.ma.is_masked(a):
        fix = "fill the masked entries, a.filled(0.), or choose with where(mask, x, y)"
        raise DataError("an array has masked entries, which have no value", given=_shown(a), fix=fix)
    return np.asarray(a)


def _in_range(a: int) -> None:
    try:
        float(a)
    except OverflowError:
        digits = int(a.bit_length() * 0.30103) + 1
        fix = "use a smaller number: the largest is about 1.8e308; for more compute with logarithms"
        raise DtypeError(f"a whole number of {digits} digits is too large for a tensor", fix=fix) from None


def _shown(a: Any) -> str:
    text = repr(a)
    return text if len(text) <= 60 else text[:57] + "…"


def promote(p: Primitive, values: list[Any], nodes: list[Node | None], strong: list[bool], m: Mode) -> None:
    """Give all operands one dtype, by casts that are recorded."""
    first = 1 if p.inputs[:1] == ("condition",) else 0
    if all(v.__class__ is float for v in values[first:]) and any(strong[first:]):
        return
    dtype = result_dtype(values[first:], strong[first:])
    if (p.result == "inexact" and not is_inexact(dtype)) or (p.name in _FLOATING and not is_inexact(dtype)):
        dtype = get_default_dtype()
    for k in range(first, len(values)):
        v = values[k]
        if v.__class__ is float and dtype == FLOAT64:
            continue
        if not strong[k]:
            values[k] = _number(v, dtype)
        elif v.__class__ is float or v.dtype != dtype:
            values[k], nodes[k] = _cast(v, nodes[k], dtype, m)


def _number(v: Any, dtype: np.dtype) -> Any:
    """A Python number in a dtype."""
    try:
        with quiet():
            return dtype.type(v)
    except OverflowError:
        fix = "use a floating point tensor, or a smaller number"
        raise DtypeError(f"the number {v:.3e} does not fit into {dtype}", fix=fix) from None


def _cast(v: Any, n: Node | None, dtype: np.dtype, m: Mode) -> tuple[Any, Node | None]:
    p, params = TABLE["cast"], {"dtype": dtype}
    if v.__class__ is Traced:
        out = v.recorder.run(p, [v], params)
    else:
        out = plain(p.value(np.float64(v) if v.__class__ is float else v, **params))
    return out, None if n is None else record(p, [v], [n], out, params, m)


def compute(p: Primitive, values: list[Any], params: dict[str, Any]) -> Any:
    """The value of a primitive on NumPy arrays, IEEE arithmetic without warnings; a Python float is a float64."""
    out = kernels.value(p, values, params)
    if out is not None:
        return out
    try:
        with quiet():
            out = p.value(*[np.float64(v) if v.__class__ is float else v for v in values], **params)
    except ChainruleError:
        raise
    except (ValueError, IndexError, TypeError):
        explain_failure(p, values, params)
        raise
    except OverflowError:
        fix = "use a smaller number: the largest is about 1.8e308"
        raise DtypeError(f"a number is too large for {p.name}", fix=fix) from None
    return out if p.view and out.__class__ is _ndarray else plain(out)


def plain(out: Any) -> Any:
    """A 0-d float64 as a Python float."""
    if out.__class__ is np.float64:
        return float(out)
    if out.__class__ is _ndarray and out.ndim == 0 and out.dtype == FLOAT64:
        return out.item()
    return out


def explain_failure(p: Primitive, arrays: list[Any], params: dict[str, Any]) -> None:
    """Raise the error that the type rule has for these inputs, or say that the shapes do not broadcast."""
    types = [type_of(a) for a in arrays]
    if p.kind == "elementwise":
        try:
            np.broadcast_shapes(*(t.shape for t in types))
        except ValueError:
            raise ShapeError(
                f"shapes do not fit in {p.name}", given=", ".join(map(str, types)),
                fix="make the shapes equal, or 1 where they should repeat (compared from the last dimension)",
            ) from None  # fmt: skip
        raise DtypeError(
            f"{p.name} is not there for {types[-1].dtype}", given=", ".join(map(str, types)),
            fix="cast to numbers first, e.g. x.double()",
        ) from None  # fmt: skip
    try:
        p.type_rule(*types, **params)
    except ChainruleError as err:
        raise err from None


class Plan:
    """How an operation is recorded, given which of its inputs are tracked; worked out once."""

    __slots__ = ("keep", "keep_out", "pull")

    def __init__(self, keep: tuple[bool, ...], keep_out: bool, pull: Callable[[Node, Any], Any]) -> None:
        self.keep, self.keep_out, self.pull = keep, keep_out, pull


@cache
def plan_for(p: Primitive, tracked: tuple[bool, ...], complex_: bool, floats: bool) -> Plan | None:
    """None: no gradient flows to any input. `floats`: all values are Python floats."""
    names = input_names(p, len(tracked))
    skip = nondifferentiable(p)
    wanted = tuple(t and n not in skip for n, t in zip(names, tracked, strict=True))
    if not any(wanted):
        return None
    reads = kept(p, tuple(dict.fromkeys(n for n, w in zip(names, wanted, strict=True) if w)))
    pull = scalar_pull(p, wanted) if floats else array_pull(p, wanted, complex_)
    return Plan(tuple(n in reads for n in names), "out" in reads, pull)


def input_names(p: Primitive, count: int) -> tuple[str, ...]:
    """Input names, a starred one repeated."""
    if p.inputs and p.inputs[-1].startswith("*"):
        return (*p.inputs[:-1], *[p.inputs[-1]] * (count - len(p.inputs) + 1))
    return p.inputs


def record(
    p: Primitive,
    values: Sequence[Any],
    nodes: Sequence[Node | None],
    out: Any,
    params: dict[str, Any],
    m: Mode,
) -> Node:
    """The node of an operation: tracked if a gradient can flow through it, else a bounded piece of history."""
    plan = reading = None
    if m.grad and p.rule is not None and (out.__class__ is float or out.dtype.kind in "fc"):
        tracked = tuple([q is not None and q.pull is not None for q in nodes])
        if True in tracked:
            floats = out.__class__ is float and p.kind == "elementwise" and not p.nary and _all_floats(values)
            plan = plan_for(p, tracked, not floats and _any_complex(values, out), floats)
            real = out.__class__ is float or out.dtype.kind == "f"
            if plan is not None and real and p.name in COMPOSITES:
                reading = read_as(p, values, nodes, params)
    n = new(Node if m.scope is None and reading is None else ScopedNode)
    n.serial = next_serial()
    n.p = p
    n.params = params or None
    if m.scope is None:
        frame = user_frame(2)
        n.code = frame.f_code
        n.at = frame.f_lasti
    else:
        _, n.code, n.at, _ = m.scope
    if n.__class__ is ScopedNode:
        n.reading = reading
        n.scope, n.call = (m.scope[0], m.scope[3]) if m.scope else (None, None)
    if plan is not None:
        check_inference(nodes, plan.keep)
        n.pull = plan.pull if reading is None else composite_pull
        n.out = out if plan.keep_out else small_or_type(out)
        kept_values = [v if k else small_or_type(v) for v, k in zip(values, plan.keep, strict=True)]
    else:
        n.pull = None
        n.out = small_or_type(out)
        kept_values = [small_or_type(v) for v in values]
        n.depth = INFERENCE
        parents, nodes = nodes, [None if m.inference else history(q) for q in nodes]
    if p.nary:
        n.a, n.x, n.b, n.y = tuple(nodes), tuple(kept_values), None, None
    elif len(kept_values) == 1:
        n.a, n.x, n.b, n.y = nodes[0], kept_values[0], None, None
    else:
        (n.a, n.b), (n.x, n.y) = nodes, kept_values
    if plan is None and not m.inference and not (p.view and _shows_inference(parents[0], values[0], out)):
        set_depth(n, parents)
    return n


def _all_floats(values: Sequence[Any]) -> bool:
    return all(v.__class__ is float for v in values)


def _any_complex(values: Sequence[Any], out: Any) -> bool:
    if out.__class__ is not float and out.dtype.kind == "c":
        return True
    return any(v.__class__ is not float and hasattr(v, "dtype") and v.dtype.kind == "c" for v in values)


def small_or_type(v: Any) -> Any:
    """A value as a node keeps it that does not need it: itself if it is small, else its type."""
    if v.__class__ is float or v.__class__ is int or v.__class__ is bool or v.nbytes <= KEEP_BYTES:
        return v
    return type_of(v)


INFERENCE = -1  # depth of nodes made under inference_mode: they have no history and never take part in one


def made_under_inference(n: Node) -> bool:
    """Whether a node was made under `inference_mode`."""
    return n.pull is None and n.depth == INFERENCE


def _shows_inference(q: Node | None, value: Any, out: Any) -> bool:
    """Whether the result of a view primitive shows a tensor of `inference_mode`: then it is one itself."""
    return q is not None and made_under_inference(q) and np.may_share_memory(out, value)


def check_inference(nodes: Sequence[Node | None], keep: Sequence[bool]) -> None:
    for q, k in zip(nodes, keep, strict=True):
        if k and q is not None and made_under_inference(q):
            raise InferenceError(
                "a tensor made under inference_mode would be kept for a backward pass",
                given=f"made at {q.source}", fix="make it under no_grad instead, or pass its .clone()",
            )  # fmt: skip


def source_code() -> tuple[CodeType, int]:
    """The user's instruction, as nodes store it."""
    m = current()
    if m.scope is not None:
        return m.scope[1], m.scope[2]
    frame = user_frame(2)
    return frame.f_code, frame.f_lasti


def leaf_of(value: Any) -> Node:
    """An untracked beginning of a history, at the user's line."""
    return leaf(value, False, *source_code())
