"""In-place operations, views and indexing assignment.

No version counters: an in-place change moves the tensor to a new node and marks the old one as overwritten,
with the line. Backward looks at the marks only where a node was recorded before the last of them.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import dispatch
from chainrule.config import KEEP_BYTES
from chainrule.dispatch import Handle, View, record, share
from chainrule.eager.backward import RETAINED, mark_overwritten, node_of
from chainrule.errors import ArgumentError, DtypeError, LeafInPlaceError, ShapeError
from chainrule.ir.types import type_of
from chainrule.ops.creation import as_tensor
from chainrule.ops.index import numbers_first, picked, spec_of
from chainrule.ops.scatter import last_ones
from chainrule.source import Source, user_frame
from chainrule.table.primitive import TABLE
from chainrule.tape.memory import note_written, owner
from chainrule.tape.modes import current, enable_grad, scope
from chainrule.tape.node import Leaf, Node, next_serial, small
from chainrule.tape.numbers import quiet
from chainrule.tape.promote import pair
from chainrule.tape.traced import Traced, cut, own


def refresh(t: Any) -> Node:
    """Node of a view; made anew from the root's node if the root was changed in place since."""
    view: View = dispatch.view(t)
    node, value = view.root.n, view.root.v
    traced = value.__class__ is Traced
    if node is view.at and (value is view.seen if traced else not _is_stale(t.v)):
        return t.n
    view.at, view.seen = node, value if traced else None
    with enable_grad():  # whoever looks first, maybe under no_grad: the view has the history of its root
        for p, params in view.ops:
            out = value.recorder.run(p, [value], params) if traced else p.value(value, **params)
            node = record(p, [value], [node], out, params, current())
            value = out
    if traced:
        become(t, value, node)
    elif t.v.__class__ is Traced:
        t.v = value
    t.n = node
    return node


def _is_stale(v: Any) -> bool:
    """Whether the value of a view of numbers is from a recording that ended."""
    return v.__class__ is Traced and v.recorder.closed


dispatch._REFRESH.append(refresh)


# What an in-place operation itself keeps for the backward pass is the old value: it works on a copy where its
# rule reads its inputs, and the overwrite counts from before the operation: only what was recorded earlier is
# stale.
_READS_NOTHING = frozenset({"add_", "sub_", "neg_"})


def apply(t: Any, op: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], name: str) -> Any:
    """`t` becomes op(t, …), in the memory that it has."""
    serial = next_serial()
    operands: tuple[Any, ...] = (t, *args)
    if name not in _READS_NOTHING and current().grad and any(_tracked(a) for a in operands):
        operands = tuple(_apart(a, t) for a in operands)
    frame = user_frame(2)
    with scope(name.rstrip("_"), frame.f_code, frame.f_lasti):
        new = op(*operands, **kwargs)
    return replace(t, new, name, serial, args[0] if len(args) == 1 and not kwargs else None)


def _tracked(a: Any) -> bool:
    return isinstance(a, Handle) and node_of(a).pull is not None


def _apart(a: Any, t: Any) -> Any:
    """`a` with its value in memory of its own, if it lies in the memory of `t`: now or later it is overwritten."""
    if not isinstance(a, Handle) or a.v.__class__ is not np.ndarray or t.v.__class__ is not np.ndarray:
        return a
    return dispatch.wrap(np.array(a.v), node_of(a)) if owner(a.v) is owner(t.v) else a


def replace(t: Any, new: Any, name: str, serial: int | None = None, operand: Any = None) -> Any:
    """`t` becomes the value of `new`, in the memory that it has; `name` is the operation, for errors."""
    root = dispatch.view(t).root if t.base is not None else t
    _check(t, root, new, name)
    if _recorded(t, new):
        return _replace_traced(t, root, new)
    m = current()
    node = node_of(t)
    tracked = m.grad and (node.pull is not None or node_of(new).pull is not None)
    mark(root, serial, name if t is root else "", operand if t is root else None)
    if t.v.__class__ is np.ndarray:
        np.copyto(t.v, new.v, casting="unsafe")
    else:
        t.v = new.v if t.v.__class__ is type(new.v) else dispatch.plain(type_of(t.v).dtype.type(new.v))
        if node.__class__ is Leaf:
            node.out = t.v
    if t.base is not None:
        _write_root(t, root, node_of(new), tracked)
    elif tracked or (node.pull is None and node.__class__ is not Leaf):
        t.n = node_of(new)
    elif node.pull is None:
        _rewritten(t, node_of(new))
    if RETAINED.data and node in RETAINED and t.n is not node:
        RETAINED[t.n] = RETAINED.pop(node)
    return t


def _recorded(*tensors: Any) -> bool:
    """Whether an operation on these tensors goes into a graph."""
    r = current().recorder
    return r is not None and r.innermost([t.v for t in tensors]) is not None


def _replace_traced(t: Any, root: Any, new: Any) -> Any:
    """`replace` where a graph is recorded: another variable in the cell, nothing is overwritten."""
    m, node = current(), node_of(t)
    if new.dtype != t.dtype:
        new = dispatch.bind(TABLE["cast"], new, dtype=t.dtype)
    if t is not root:
        _write_traced(t, root, new)
        return t
    v = m.recorder.innermost((t.v, new.v)).lift(new, new.v, node_of(new))
    if node.pull is not None and not m.grad:
        _keep_history(t, v)
    else:
        become(t, v, node if node.params and "gradient_of" in node.params else node_of(new))
    return t


def _write_traced(t: Any, root: Any, new: Any) -> None:
    """A write through a view: an update of its root."""
    spec, index, shape = _region(dispatch.view(t), root)
    whole = root
    if shape is not None:
        whole = dispatch.bind(TABLE["reshape"], root, shape=(math.prod(shape),))
        new = dispatch.bind(TABLE["reshape"], new, shape=(new.numel(),))
    updated = dispatch.bind(TABLE["index_update"], whole, new, *index, spec=spec)
    if shape is not None:
        updated = dispatch.bind(TABLE["reshape"], updated, shape=shape)
    unseen = not current().grad or any(p.name == "detach" for p, _ in dispatch.view(t).ops)
    if unseen and root.n.pull is not None:
        _keep_history(root, updated.v)
    else:
        become(root, updated.v, updated.n)
    refresh(t)


def _keep_history(t: Any, v: Traced) -> None:
    """Another value where nothing is recorded: the history of `t` goes on."""
    old = v.recorder.lift(t, t.v, t.n)
    become(t, v.recorder.renew(old, v), t.n)


def renew(t: Any, new: Any) -> None:
    """`t.data = new`: other numbers under the same history."""
    if _recorded(t, new):
        v = current().recorder.innermost((t.v, new.v)).lift(new, new.v, node_of(new))
        if new.dtype == t.dtype and new.shape == t.shape:
            _keep_history(t, v)
        else:
            become(t, cut(v), t.n)
    else:
        mark(t)
        t.v = own(new.v)
    t.base = None


def become(t: Any, v: Traced, n: Node) -> None:
    """The cell `t` holds another variable; its recorder sees to what it held before."""
    if t.v.__class__ is not Traced or t.v.recorder is not v.recorder:
        v.recorder.keep_cell(t)
    t.v, t.n = v, n


def _rewritten(t: Any, n: Node) -> None:
    """An untracked leaf begins anew; a gradient keeps its owner, who is told that it is no sum any more."""
    params = t.n.params
    if params and "gradient_of" in params:
        owner = params["gradient_of"]()
        if isinstance(owner, Leaf):
            owner.contributions = None
        t.n.out = small(t.v) if t.v.__class__ is not float else t.v
        return
    t.n = n


def mark(root: Any, serial: int | None = None, name: str = "", operand: Any = None) -> None:
    """The value of `root` is about to change in place, by `name` with `operand`, in the user's line."""
    frame = user_frame(2)
    source = Source(frame.f_code, frame.f_lasti)
    serial = next_serial() if serial is None else serial
    recorder = current().recorder
    if recorder is not None:
        recorder.keep_memory(root)
    n = root.n
    if n.__class__ is Leaf and n.pull is not None:
        _remember(root, n, name, operand)
    mark_overwritten(n, serial, source)
    note_written(root.v, serial, source)


def _remember(root: Any, n: Leaf, name: str, operand: Any) -> None:
    """Keep what a parameter was, and by what it was changed, if that is small: `why` is asked after the update."""
    since = getattr(n, "overwritten", (0,))[0]
    v = root.v
    if v.__class__ is not float:
        v = np.array(v) if v.nbytes <= KEEP_BYTES else type_of(v)
    if operand.__class__ is not float and operand.__class__ is not int:
        o = operand.v if isinstance(operand, Handle) else operand
        kept = o.__class__ is float or getattr(o, "nbytes", KEEP_BYTES + 1) <= KEEP_BYTES
        operand = (o if o.__class__ is float else np.array(o)) if kept else None
    n.before = (since, v, name, operand)


def _check(t: Any, root: Any, new: Any, name: str) -> None:
    n = root.n
    if current().grad and isinstance(n, Leaf) and n.pull is not None:
        what = "a leaf that requires a gradient" if t is root else "a view of a leaf that requires a gradient"
        raise LeafInPlaceError(
            f"{what} is changed in place by {name}", given=f"the leaf was made at {n.source}",
            fix="do it inside no_grad() (an update step), or compute a new tensor: w = w - step",
        )  # fmt: skip
    if tuple(new.shape) != tuple(t.shape):
        raise ShapeError(
            f"{name} would change the shape", given=f"{list(t.shape)} to {list(new.shape)}",
            fix="compute a new tensor instead of changing this one",
        )  # fmt: skip
    if not _writeable(t):
        raise ArgumentError(
            f"{name} would write to memory that several entries share, or that may not be written",
            given=f"shape {list(t.shape)}, an expanded tensor, overlapping windows or a read-only array",
            fix="write to a copy: x = x.clone()",
        )  # fmt: skip
    have, want = type_of(t.v).dtype, type_of(new.v).dtype
    if pair(have, want).kind != have.kind and have.kind != want.kind:
        raise DtypeError(
            f"the result of {name} is {want}, which does not fit into {have}", given=f"{have} tensor",
            fix=f"make the tensor {want} first, e.g. x = x.to({want})",
        )  # fmt: skip


def _writeable(t: Any) -> bool:
    if t.v.__class__ is Traced:
        return t.base is None or all(p.name not in ("broadcast", "windows") for p, _ in dispatch.view(t).ops)
    return t.v.__class__ is not np.ndarray or t.v.flags.writeable


def _write_root(t: Any, root: Any, value: Node, tracked: bool) -> None:
    """A write through a view is an update of its root; other views find a new root node and renew theirs."""
    view: View = dispatch.view(t)
    n = root.n
    if not tracked:
        return
    spec, index, shape = _region(view, root)
    p = TABLE["index_update"]
    flat = TABLE["reshape"]
    m = current()
    old = n
    if shape is not None:
        old = record(flat, [root.v], [old], root.v.reshape(-1), {"shape": (root.v.size,)}, m)
        value = record(flat, [t.v], [value], t.v.reshape(-1), {"shape": (t.v.size,)}, m)
    values = [
        root.v.reshape(-1) if shape is not None else root.v,
        t.v.reshape(-1) if shape is not None else t.v,
        *index,
    ]
    new = record(p, values, [old, value, *[None] * len(index)], values[0], {"spec": spec}, m)
    if shape is not None:
        new = record(flat, [values[0]], [new], root.v, {"shape": shape}, m)
    root.n = new
    refresh(t)


def _region(view: View, root: Any) -> tuple[Any, list[Any], tuple[int, ...] | None]:
    """Where a view lies in its root: one basic key, or the flat positions, with the root's shape."""
    if len(view.ops) == 1 and view.ops[0][0].name == "index":
        return view.ops[0][1]["spec"], [], None
    places = np.arange(root.v.size).reshape(root.v.shape)
    for p, params in view.ops:
        places = p.value(places, **params)
    return (("array", 0),), [places.reshape(-1)], root.v.shape


def setitem(x: Any, key: Any, value: Any) -> None:
    """`x[key] = value`."""
    v = as_tensor(value)
    serial = next_serial()
    spec, index = spec_of(key, x.shape)
    first = numbers_first(spec)
    if first is not None:
        x, spec = _view_at(x, first[0]), first[1]
    if x.v.__class__ is not Traced:
        share(x)
    arrays = [np.asarray(i.v) if isinstance(i, Handle) and i.v.__class__ is not Traced else i for i in index]
    if not index:
        t = _view_at(x, spec)
        if _is_view_already(v, t):
            return
        replace(t, _fit(v, t, "assignment"), "an assignment", serial)
        if x.base is not None:
            refresh(x)
        return
    new = _fit(v, picked(x, arrays, spec), "assignment")
    if _tracked(new):
        new = last_ones(new, x, arrays, spec)
    updated = dispatch.bind(TABLE["index_update"], x, new, *arrays, spec=spec)
    replace(x, updated, "an assignment", serial)


def _view_at(x: Any, spec: Any) -> Any:
    """The part of x that is written to: a view also where it has no entries, so shares no memory."""
    t = picked(x, [], spec)
    if t.base is None:
        t.base = dispatch.view_of(x, TABLE["index"], {"spec": spec})
    return t


def _is_view_already(v: Any, t: Any) -> bool:
    """The last step of `x[1:3] *= 2`: Python assigns the view that was changed to the place where it is."""
    if v.base is None or dispatch.view(v).root is not dispatch.view(t).root:
        return False
    if v.v.__class__ is not np.ndarray or t.v.__class__ is not np.ndarray:
        return v.v.__class__ is t.v.__class__ is Traced and dispatch.view(v).ops == dispatch.view(t).ops
    same = v.v.__array_interface__["data"] == t.v.__array_interface__["data"]
    return bool(same and v.v.shape == t.v.shape and v.v.strides == t.v.strides and v.v.dtype == t.v.dtype)


def _fit(v: Any, t: Any, name: str) -> Any:
    """The value with the shape and dtype of the place it is written to."""
    shape, dtype = t.shape, t.dtype
    if v.dtype.kind == "c" and dtype.kind != "c":
        raise DtypeError(
            f"the value of the {name} is complex and would lose its imaginary part",
            given=f"{v.dtype} into {dtype}",
            fix="make the tensor complex first, or assign the real part",
        )  # fmt: skip
    if v.dtype != dtype:
        v = dispatch.bind(TABLE["cast"], v, dtype=dtype)
    if v.shape != shape:
        lead = max(len(v.shape) - len(shape), 0)
        if any(n != 1 for n in v.shape[:lead]):
            raise _no_fit(v, shape, name)
        v = dispatch.bind(TABLE["reshape"], v, shape=v.shape[lead:]) if lead else v
        try:
            np.broadcast_to(np.empty(v.shape, bool), shape)
        except ValueError:
            raise _no_fit(v, shape, name) from None
        v = dispatch.bind(TABLE["broadcast"], v, shape=shape)
    return v


def _no_fit(v: Any, shape: Any, name: str) -> ShapeError:
    fix = f"assign a number, or a tensor that broadcasts to {list(shape)}"
    return ShapeError(
        f"the value of the {name} does not fit", given=f"{list(v.shape)} into {list(shape)}", fix=fix
    )


_ON_FLOATS = {
    np.add: operator.add,
    np.subtract: operator.sub,
    np.multiply: operator.mul,
    np.true_divide: operator.truediv,
}

_NAMES = {np.add: "add_", np.subtract: "sub_", np.multiply: "mul_", np.true_divide: "div_"}


def quick(t: Any, other: Any, ufunc: np.ufunc) -> bool:
    """The update step: same dtype, shapes that fit, nothing recorded; in the memory of `t`, in one pass."""
    v, m = t.v, current()
    if t.base is not None or (m.recorder is not None and _recorded(t)):
        return False
    o = other
    if isinstance(other, Handle):
        o = other.v
        if m.grad and (t.n.pull is not None or node_of(other).pull is not None):
            return False
    elif t.n.pull is not None and m.grad:
        return False
    if o.__class__ is int and o.bit_length() > 1023:
        return False
    if v.__class__ is float:
        if (o.__class__ is not float and o.__class__ is not int) or (o == 0 and ufunc is np.true_divide):
            return False
        mark(t, None, _NAMES[ufunc], o)
        t.v = _ON_FLOATS[ufunc](v, float(o))
        if t.n.__class__ is Leaf:
            t.n.out = t.v
    elif v.__class__ is np.ndarray and v.flags.writeable and _in_memory_of(v, o, ufunc):
        mark(t, None, _NAMES[ufunc], o)
        with quiet():
            ufunc(v, o, out=v)
    else:
        return False
    n = t.n
    if n.pull is None and (n.__class__ is not Leaf or n.params):
        _rewritten(t, n if n.params else dispatch.leaf_of(t.v))
    return True


def _in_memory_of(v: np.ndarray, o: Any, ufunc: np.ufunc) -> bool:
    """Whether the result with `o` has the shape and dtype of `v`."""
    if v.dtype.kind not in "fc" and (v.dtype.kind == "b" or ufunc is np.true_divide):
        return False
    if o.__class__ is np.ndarray:
        return o.dtype is v.dtype and (o.shape == v.shape or _fits(o.shape, v.shape))
    return (o.__class__ is float or o.__class__ is int) and v.dtype.kind in "fc"


def _fits(small: tuple[int, ...], large: tuple[int, ...]) -> bool:
    """Whether an operand of the first shape can be spread to the second."""
    if len(small) > len(large):
        return False
    return all(n in (1, m) for n, m in zip(reversed(small), reversed(large), strict=False))


def fill(t: Any, value: float) -> Any:
    """Every entry becomes one number."""
    if (
        t.base is None
        and (t.n.pull is None or not current().grad)
        and not _recorded(t)
        and (t.v.__class__ is float or t.v.flags.writeable)
    ):
        mark(t)
        if t.v.__class__ is np.ndarray:
            t.v.fill(value)
        else:
            t.v = value if t.v.__class__ is float else type_of(t.v).dtype.type(value)
        n = t.n
        if n.__class__ is Leaf and n.pull is not None:
            n.out = small(t.v)
        if n.pull is None:
            if n.params and "gradient_of" in n.params:
                _rewritten(t, n)
            else:
                t.n = dispatch.leaf_of(t.v)
        return t
    return overwrite(t, as_tensor(np.full(t.shape, value, t.dtype)), "fill_")


def fill_diagonal(t: Any, value: Any, wrap: bool) -> None:
    """The entries [i, i, …] become one number."""
    shape = t.shape
    if len(shape) < 2 or (len(shape) > 2 and len(set(shape)) > 1):
        raise ShapeError(
            "fill_diagonal_ needs a matrix, or a tensor whose dimensions are equally long",
            given=f"shape {list(shape)}", fix="use x.diagonal(dim1=-2, dim2=-1).fill_(value) for batches",
        )  # fmt: skip
    step = sum(math.prod(shape[k + 1 :]) for k in range(len(shape)))
    tall = wrap and len(shape) == 2
    end = math.prod(shape) if tall else min(shape) * step
    setitem(t, tuple(np.unravel_index(np.arange(0, min(end, math.prod(shape)), step), shape)), value)


def overwrite(t: Any, new: Any, name: str) -> Any:
    """All of `t` becomes `new`, a tensor that others may hold too: it keeps its node, `t` gets one of its own.

    A tracked `t` stays tracked, as in torch: what it was computed from has the gradient 0, not None.
    """
    if current().grad and (_tracked(t) or _tracked(new)):
        new = dispatch.bind(TABLE["index_update"], t, new, spec=(("rest",),))
    return replace(t, new, name)


__all__ = ["apply", "become", "fill", "mark", "overwrite", "quick", "refresh", "replace", "setitem"]
