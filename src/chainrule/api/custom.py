"""Calls that a user gives the derivative of: one node of the tape, whatever happens inside.

A `Call` knows how its outputs are laid out, and the user's two programs. Where one of the programs is missing the other
is transposed: it is linear in tangents (or cotangents), so the tape of one run of it is the map that is wanted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from weakref import ref

import numpy as np

from chainrule import dispatch
from chainrule.api.run import alias
from chainrule.dispatch import Handle, node_of, wrap
from chainrule.eager.backward import collect, pull_back
from chainrule.errors import DerivativeError, ShapeError, UnsupportedError
from chainrule.ir.types import Type
from chainrule.ops import array, creation, join
from chainrule.source import Source
from chainrule.table.primitive import Custom, Primitive
from chainrule.tape.modes import current, enable_grad, no_grad, scope
from chainrule.tape.node import Node
from chainrule.tape.promote import is_inexact
from chainrule.tape.pull import settle
from chainrule.tape.traced import Traced
from chainrule.transforms.derive import sum_to

Tensors = list[Any]


class Layout:
    """Several outputs as one flat tensor, so that a call is one node.

    A single output is itself.
    """

    def __init__(self, outs: Sequence[Any]) -> None:
        self.types = [(tuple(t.shape), t.dtype) for t in outs]
        self.dtype = np.result_type(*(dtype for _, dtype in self.types)) if outs else None

    def pack(self, outs: Sequence[Any]) -> Any:
        """The flat tensor; None is zero."""
        if len(self.types) == 1:
            return outs[0]
        flat = []
        for t, (shape, dtype) in zip(outs, self.types, strict=True):
            t = creation.zeros(*shape, dtype=dtype) if t is None else t
            t = t.reshape(-1)
            flat.append(t if t.dtype == self.dtype else dispatch.emit("cast", t, dtype=self.dtype))
        return join.cat(flat)

    def unpack(self, flat: Any) -> Tensors:
        """The outputs."""
        if len(self.types) == 1:
            return [flat]
        outs, at = [], 0
        for shape, dtype in self.types:
            size = int(np.prod(shape, dtype=int))
            t = array.to_shape(flat[at : at + size], shape)
            outs.append(t if t.dtype == dtype else dispatch.emit("cast", t, dtype=dtype))
            at += size
        return outs


class Call:
    """One call of a function with a rule of its own; the subclasses know how to run the user's programs.

    name, source
        The function, and the user's line of the call.
    marked_once
        The user said so: the reverse program may compute outside of chainrule.
    node
        Weak reference to the node of the call.
    elementwise
        Entry i of the output depends on entry i of each input only.
    """

    name = "a custom function"
    marked_once = False
    elementwise = False
    node: Any = None
    has_pull = has_push = False

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        frame = dispatch.source_code()
        self.source = Source(*frame)

    def pull(self, primals: Tensors, out: Any, ct: Any, wanted: Sequence[bool]) -> Tensors:
        """The user's reverse program: a cotangent of each wanted input, or None for zero."""
        raise NotImplementedError

    def push(self, primals: Tensors, out: Any, tangents: Tensors) -> Any:
        """The user's forward program: the tangent of `out`, given those of the inputs (None: zero)."""
        raise NotImplementedError

    @property
    def once(self) -> str | None:
        """Why the results of the rule cannot be differentiated again; None as far as can be seen."""
        return None

    def release(self) -> None:
        """Let go what is kept for the backward pass."""

    def record(self, p: Primitive, inputs: Tensors, out: Any) -> Any:
        """The output (packed) as a tensor that hangs on the inputs."""
        traced = next((t.v for t in inputs if t.v.__class__ is Traced and t.v.live), None)
        if traced is not None:
            how = traced.recorder.name
            raise UnsupportedError(
                f"a gradient would have to flow through {self.name} inside of {how}, past its rule",
                fix=f"differentiate inside: {how}(grad(f)) in place of grad({how}(f))",
            )
        value = dispatch.plain(out.v)
        if isinstance(value, np.ndarray) and any(
            np.may_share_memory(value, t.v) for t in inputs if t.v.__class__ is np.ndarray
        ):
            value = np.array(value)  # results share no memory with arguments
        with scope(self.name, *dispatch.source_code()):
            n = dispatch.record(
                p, [t.v for t in inputs], list(map(node_of, inputs)), value, {"call": self}, current()
            )
        self.node = ref(n)
        return wrap(value, n)


# --- the rule, in the domains of numbers and of recorded tensors -------------------------------------


def _pull(emit: Any, args: Any, out: Any, ct: Any, mask: Any, wanted: Any, *, call: Call) -> Iterator[Any]:
    recorded = _recorded(ct, call)
    primals, out, ct = [_tensor(a) for a in args], _tensor(out), _tensor(ct)
    if not call.has_pull and not call.has_push:
        raise _missing(call, "reverse", fix="give it a jvp or a vjp")
    cts = (
        _differentiable(call, primals, out, ct, wanted)
        if recorded
        else _plainly(call, primals, out, ct, wanted)
    )
    for k, c in enumerate(cts):
        if c is not None and wanted[k]:
            c = c if recorded else _number(c)
            yield (k, *_masked(emit, call, c, mask))


def _push(emit: Any, args: Any, out: Any, tangents: Any, *, call: Call) -> Any:
    ts = [None if t is None else _tensor(t) for t in tangents]
    recorded = _recorded(next(t for t in tangents if t is not None), call)
    primals, result = [_tensor(a) for a in args], _tensor(out)
    with enable_grad() if recorded else no_grad():
        if call.has_push:
            pushed = call.push(primals, result, ts)
        elif call.has_pull and not call.marked_once:
            pushed = _transposed_pull(call, primals, result, ts, recorded)
        else:
            raise _missing(call, "forward", _OUTSIDE if call.marked_once else "")
        if recorded and call.once is not None and pushed is not None:
            pushed = _final(call, call.once, pushed, ts)
    return None if pushed is None else pushed if recorded else _number(pushed)


def _masked(emit: Any, call: Call, c: Any, mask: Any) -> tuple[Any, Any]:
    """Nothing passes a route that was not taken: entry by entry where that is known, else if none was taken."""
    if mask is None:
        return c, None
    if call.elementwise and mask.shape == c.shape:
        return emit("where", mask, c, 0.0), mask
    some = emit("any", mask, axis=tuple(range(len(mask.shape))), keepdims=False) if mask.shape else mask
    return emit("where", some, c, 0.0), None


def _recorded(v: Any, call: Call) -> bool:
    """Whether the domain is that of recorded tensors; numbers are the other one that is possible."""
    if isinstance(v, Handle):
        return True
    if isinstance(v, (float, np.ndarray, np.generic, Traced)):
        return False
    raise UnsupportedError(
        f"{call.name} has a rule written for tensors, which cannot become part of a graph", source=call.source,
        fix="differentiate the function that calls it instead of its graph",
    )  # fmt: skip


def _tensor(v: Any) -> Any:
    return v if isinstance(v, (Handle, Type)) else creation.make_leaf(v)


def _number(t: Any) -> Any:
    return np.float64(t.v) if t.v.__class__ is float else t.v


_OUTSIDE = "its reverse rule computes outside of chainrule"


def _missing(
    call: Call, mode: str, because: str = "", fix: str = "give it a jvp, or use reverse mode"
) -> UnsupportedError:
    what = f"{call.name} has no derivative in {mode} mode"
    return UnsupportedError(
        f"{what}: {because}" if because else what, given=f"called at {call.source}", fix=fix
    )


# --- one mode from the other -------------------------------------------------------------------------


def _transposed_push(call: Call, primals: Tensors, out: Any, ct: Any, wanted: Any, recorded: bool) -> Tensors:
    """Reverse from forward: the tape of t ↦ J·t, walked backwards. Where on it does not matter: it is linear."""
    with enable_grad():
        ts = [alias(_zeros(x)) if w else None for x, w in zip(primals, wanted, strict=True)]
        nodes = [None if t is None else t.n for t in ts]
        pushed = call.push(primals, out, ts)
    if pushed is None or node_of(pushed).pull is None:
        _check_zero(call, pushed)
        return [None if t is None else _zeros(t) for t in ts]
    _check_zero(call, pushed)
    weight = ct if recorded else settle(ct.v, pushed.v)
    cts, _ = pull_back([(node_of(pushed), weight)], {n for n in nodes if n is not None}, recorded)
    found = [None if n is None else cts.get(n) for n in nodes]
    return [c if c is None or recorded else creation.make_leaf(c) for c in found]


def _zeros(x: Any) -> Any:
    return creation.zeros(*x.shape, dtype=x.dtype)


def _check_zero(call: Call, pushed: Any) -> None:
    if pushed is None or pushed.v.__class__ is Traced:
        return
    values = np.asarray(pushed.detach())
    if np.any(values[np.isfinite(values)] != 0):
        raise DerivativeError(
            f"the jvp of {call.name} is not linear in the tangents", given="tangents of 0 give a tangent that is not 0",
            fix="multiply every term of it by a tangent", source=call.source,
        )  # fmt: skip


def _transposed_pull(call: Call, primals: Tensors, out: Any, ts: Tensors, recorded: bool) -> Any:
    """Forward from reverse: the tape of ct ↦ ctᵀJ, walked backwards with the tangents as cotangents."""
    with enable_grad():
        ct = alias(creation.make_leaf(_some_numbers(out)))
        start = ct.n
        try:
            cts = call.pull(primals, out, ct, [t is not None for t in ts])
        except DerivativeError as err:  # it asked a tracked tensor for its numbers
            raise _missing(call, "forward", _OUTSIDE) from err
    roots = []
    for c, t in zip(cts, ts, strict=True):
        if c is not None and t is not None:
            if _depends(c, start):
                roots.append((node_of(c), t if recorded else settle(t.v, c.v)))
            elif _not_zero(c):
                raise _missing(call, "forward", _OUTSIDE)
    found = pull_back(roots, {start}, recorded)[0].get(start) if roots else None
    return None if found is None else found if recorded else creation.make_leaf(found)


def _some_numbers(out: Any) -> Any:
    """Numbers of no pattern, so that a result which depends on them is not 0 by chance."""
    shape, dtype = tuple(out.shape), out.dtype
    k = np.arange(1, int(np.prod(shape, dtype=int)) + 1, dtype=float)
    return (np.mod(k * 0.6180339887498949, 1.0) + 0.5).reshape(shape).astype(dtype)


def _depends(t: Any, on: Node) -> bool:
    n = node_of(t)
    return n.pull is not None and on in set(collect([n]))


# --- results of reverse mode that may be differentiated again ------------------------------------------


def _plainly(call: Call, primals: Tensors, out: Any, ct: Any, wanted: Any) -> Tensors:
    """The cotangents, not recorded."""
    with no_grad():
        if call.has_pull:
            return call.pull(primals, out, ct, wanted)
        return _transposed_push(call, primals, out, ct, wanted, False)


def _differentiable(call: Call, primals: Tensors, out: Any, ct: Any, wanted: Any) -> Tensors:
    """The cotangents, recorded; one that has lost its history, but is not constant, refuses to be differentiated."""
    once = call.once
    if not call.has_pull:
        cts = _transposed_push(call, primals, out, ct, wanted, True)
    elif call.marked_once:
        cts = _plainly(call, *_bare(primals, out, ct), wanted)
    else:
        try:
            with enable_grad():
                cts = call.pull(primals, out, ct, wanted)
                if (
                    once is None
                    and any(map(_lost, cts))
                    and not _linear_only(call, primals, out, ct, wanted, cts)
                ):
                    once = _OUTSIDE
        except DerivativeError:  # it asked a tracked tensor for its numbers
            cts, once = _plainly(call, *_bare(primals, out, ct), wanted), _OUTSIDE
    return cts if once is None else [None if c is None else _final(call, once, c, [ct]) for c in cts]


def _bare(primals: Tensors, out: Any, ct: Any) -> tuple[Tensors, Any, Any]:
    """Without history."""
    return [_untracked(t) for t in primals], _untracked(out), _untracked(ct)


def _untracked(t: Any) -> Any:
    return creation.make_leaf(t.v) if isinstance(t, Handle) else t


def _linear_only(call: Call, primals: Tensors, out: Any, ct: Any, wanted: Any, cts: Tensors) -> bool:
    """Whether cotangents without a history depend on `ct` alone: then a run with `ct` tracked shows it."""
    start = alias(ct)
    n = start.n
    try:
        again = call.pull(primals, out, start, wanted)
    except DerivativeError:  # it asked a tracked tensor for its numbers
        return False
    return all(not _lost(c) or _depends(d, n) for c, d in zip(cts, again, strict=True))


def _lost(c: Any) -> bool:
    return c is not None and node_of(c).pull is None and _not_zero(c)


def _not_zero(t: Any) -> bool:
    """Whether an entry is not 0; of a traced value nobody knows, so it may be."""
    return t.v.__class__ is Traced or bool(np.any(np.asarray(t.detach()) != 0))


def _final(call: Call, why: str, c: Any, also: Sequence[Any]) -> Any:
    """A result of a rule with a node that hangs on the inputs of the call, and has no derivative."""
    n = call.node()
    nodes = [
        q
        for q in (*(n.parents if n is not None else ()), *map(node_of, also))
        if q is not None and q.pull is not None
    ]
    if not nodes:
        return c
    values = [c.v, *[0.0] * len(nodes)]  # nobody reads them
    return wrap(
        c.v, dispatch.record(FINAL, values, [None, *nodes], c.v, {"call": call, "why": why}, current())
    )


def _refuse(emit: Any, *args: Any, call: Call, why: str) -> Any:
    raise DerivativeError(
        f"the gradient of {call.name} cannot be differentiated: {why}", given=f"called at {call.source}",
        fix="write its rule with chainrule's operations on tensors, all of them arguments or outputs of the call",
    )  # fmt: skip


def _no_value(*args: Any, **params: Any) -> Any:
    raise UnsupportedError("a custom function has no value outside of its call", fix="call the function")


def _released(params: dict[str, Any]) -> None:
    params["call"].release()


def _primitive(name: str, rule: Custom) -> Primitive:
    return Primitive(
        name,
        ("*xs",),
        _no_value,
        _no_value,
        rule,
        text=f"{name}($xs)",
        latex=rf"\operatorname{{{name}}}($xs)",
    )


# Not in the table: what they do is in the call. The first keeps its inputs and output, the second its inputs, the
# others what the call keeps.
RULE = _primitive("custom", Custom(_push, _pull))
COMPILED = _primitive("compiled", Custom(_push, _pull, keeps_out=False))
FUNCTION = _primitive("custom", Custom(_push, _pull, keeps=False, keeps_out=False))
SAVING = _primitive("custom", Custom(_push, _pull, keeps=False, keeps_out=False, release=_released))
FINAL = _primitive("gradient of custom", Custom(_refuse, _refuse, keeps=False, keeps_out=False))


def is_tensor(v: Any) -> bool:
    """Whether a value is a Tensor."""
    return isinstance(v, Handle)


def checked_cotangent(c: Any, x: Any, what: str, source: Source | None) -> Any:
    """A cotangent that fits its input `x`: of its shape, or one that was repeated from it, which is summed."""
    t = creation.as_tensor(c)
    if not is_inexact(t.dtype):
        t = t.to(x.dtype)
    if tuple(t.shape) == tuple(x.shape):
        return t
    try:
        fits = np.broadcast_shapes(t.shape, x.shape) == tuple(t.shape)
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(
            f"{what} does not have the shape of its input", given=f"gradient {list(t.shape)}, input {list(x.shape)}",
            fix="return a gradient of the shape of the input, or None where there is none", source=source,
        )  # fmt: skip
    return sum_to(dispatch.emit, t, tuple(x.shape))


__all__ = ["COMPILED", "FUNCTION", "RULE", "SAVING", "Call", "Layout", "checked_cotangent", "is_tensor"]
