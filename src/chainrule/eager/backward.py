"""backward and autograd.grad: the reverse walk on the tape (the forward walk: eager/forward.py).

Cotangents are plain numbers, walked with compiled pullbacks; only where a derivative is itself to be differentiated
(create_graph) are they Tensors. Plain numbers carry no masks: if a NaN arrives at an input and a selecting
operation is on the way, the walk is repeated with masks (Note [Inactive routes] in transforms/derive.py).
"""

from __future__ import annotations

import operator
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from chainrule import dispatch
from chainrule.config import KEEP_BYTES
from chainrule.dispatch import Handle, node_of, wrap
from chainrule.eager.refusals import not_scalar, not_tracked
from chainrule.errors import (
    ArgumentError,
    DerivativeError,
    NotScalarError,
    OverwrittenError,
    ShapeError,
    UnusedError,
)
from chainrule.ir.types import type_of
from chainrule.source import Pullback, Source, here
from chainrule.table.primitive import TABLE, Linear, values_read
from chainrule.tape import numbers, segments
from chainrule.tape.memory import written_after
from chainrule.tape.modes import at_line, current, enable_grad, no_grad
from chainrule.tape.node import Leaf, Node, ScopedNode, leaf
from chainrule.tape.pull import ARRAYS, Freed, freed, general_pull, settle
from chainrule.tape.segments import Dropped, forget, pull_again, values_of
from chainrule.tape.traced import Traced, cut, own
from chainrule.transforms.derive import join, pullback
from chainrule.transforms.walk import reverse

Ct = Any
# Rare things live in side tables. `.data` is the plain dict inside: its truth costs nothing on the ordinary way.
HOOKS: WeakKeyDictionary[Node, dict[int, Callable[[Any], Any]]] = WeakKeyDictionary()
AFTER: WeakKeyDictionary[Node, dict[int, Callable[[Any], Any]]] = WeakKeyDictionary()
RETAINED: WeakKeyDictionary[Node, Any] = WeakKeyDictionary()  # node → its gradient, or None before a backward
_last_overwrite = 0
_overwriting = threading.Lock()


def mark_overwritten(n: Node, serial: int, source: Source) -> None:
    """The value of `n` was changed in place: nodes recorded before `serial` read another value than is there now."""
    global _last_overwrite
    n.overwritten = (serial, source)
    with _overwriting:  # a thread that drew its serial earlier and comes later must not hide this one
        _last_overwrite = max(_last_overwrite, serial)


def overwritten_since(serial: int) -> bool:
    """Whether any value was changed in place after operation number `serial`."""
    return _last_overwrite > serial


_SERIAL = operator.attrgetter("serial")

# --- what is walked --------------------------------------------------------------------------------


def collect(roots: Sequence[Node]) -> list[Node]:
    """Tracked nodes that the roots depend on, latest first. Iterative: depth costs nothing."""
    stack = list(roots) if len(roots) == 1 else list(dict.fromkeys(roots))
    seen = set(stack)
    order: list[Node] = []
    while stack:
        n = stack.pop()
        order.append(n)
        a = n.a
        if a is None:
            pass
        elif a.__class__ is tuple:
            for q in a:
                if q is not None and q.pull is not None and q not in seen:
                    seen.add(q)
                    stack.append(q)
            continue
        elif a.pull is not None and a not in seen:
            seen.add(a)
            stack.append(a)
        b = n.b
        if b is not None and b.pull is not None and b not in seen:
            seen.add(b)
            stack.append(b)
    order.sort(key=_SERIAL, reverse=True)
    return order


def restrict(order: list[Node], targets: set[Node]) -> list[Node]:
    """The nodes through which an output depends on one of the targets."""
    needed = set(targets)
    for n in reversed(order):
        if any(q in needed for q in n.parents):
            needed.add(n)
    return [n for n in order if n in needed]


def check_overwritten(steps: list[Node]) -> set[Node]:
    """Refuse to read a value that is not the one that was recorded.

    Returns the composites whose variable was changed in place: they must be differentiated as written.
    """
    written: set[Node] = set()
    if not steps or _last_overwrite < steps[-1].serial:
        return written
    for n in steps:
        if n.reading is not None and _variable_changed(n):
            written.add(n)
        for name, value_node, value in _reads(n):
            hit = changed_after(value_node, n.serial) if value_node is not None else None
            hit = hit or written_after(value, n.serial)
            if hit is not None:
                what = f"its result ({n.name} keeps it)" if name == "out" else f"its input '{name}'"
                fix = "compute a new tensor instead (y = y + 1, not y += 1), or change it before it is used"
                if value_node is not None and value_node.p is None:
                    fix = (
                        "call backward() before the parameter is changed, or compute the loss again after it"
                    )
                raise OverwrittenError(
                    f"{n.name} needs {what} for the backward pass, and that value was changed in place afterwards",
                    given=f"{n.name} at {n.source}; changed in place at {hit}", fix=fix,
                )  # fmt: skip
    return written


def _variable_changed(n: Node) -> bool:
    """Whether the variable of a composite was changed in place after the first operation of the composite."""
    x = n.reading.x  # type: ignore[union-attr]
    first = min((q.serial for q in _between(n)), default=n.serial)
    return bool(changed_after(x.node, first) or written_after(x.value, first))


_COPIED = {"index", "*index"}


def _reads(n: Node) -> list[tuple[str, Node | None, Any]]:
    """What the pullback of a node reads: name, node (None: a constant) and value."""
    p = n.p
    given = list(zip(dispatch.input_names(p, len(n.parents)), n.parents, n.args, strict=True))
    wanted = tuple(i for i, q, _ in given if q is not None and q.pull is not None)
    reads = values_read(p, wanted if not p.inputs[0].startswith("*") else p.inputs)
    reads = reads - _COPIED  # of an index every operation keeps a copy of its own
    found = [(i, q, v) for i, q, v in given if i in reads and not _entry(q, v)]
    return [*found, ("out", n, n.out)] if "out" in reads else found


def _entry(q: Node | None, v: Any) -> bool:
    """A number read out of an array, as in `x[i] = x[i - 1] * r`: kept as it was, whatever becomes of the array."""
    return v.__class__ is float and q is not None and q.p is not None and q.p.view


def changed_after(value: Node, serial: int) -> Source | None:
    """The line that changed the memory of a value after `serial`; views look at their base."""
    q: Node | None = value
    while q is not None:
        hit = getattr(q, "overwritten", None)
        if hit is not None and hit[0] > serial:
            return hit[1]
        q = _looked_at(q)
    return None


def _looked_at(q: Node) -> Node | None:
    """The node whose memory a view shows; None where the memory is its own."""
    if q.p is None or not q.p.view or q.p.name == "alias" or q in dispatch.COPIED:
        return None
    if q.p.name == "index" and any(item[0] == "array" for item in q.params["spec"]):  # type: ignore[index]
        return None  # indexing with arrays copies
    root = q.parents[0]
    out, whole = q.out, None if root is None else root.out
    copied = out.__class__ is whole.__class__ is np.ndarray and not np.may_share_memory(out, whole)
    return None if copied else root  # a reshape may copy


# --- pulls -----------------------------------------------------------------------------------------


def plain_pull(written: set[Node]) -> Callable[[Node, Ct], Any]:
    """The pull on plain numbers, with the composites in `written` by the chain rule."""

    def pull(n: Node, ct: Ct) -> Any:
        if n not in written or n.pull.__class__ is Freed:
            return n.pull(n, ct)  # type: ignore[misc]
        return pull_again(n, ct, general_pull) if n.pull.__class__ is Dropped else general_pull(n, ct)

    return pull


def domain_pull(
    emit: Any, lift: Callable[[Any, Node | None], Any], written: set[Node]
) -> Callable[[Node, Ct], Any]:
    """The pull in any domain, on pairs (ct, mask). `lift` makes a value of the domain of a number and its node."""

    def pull(n: Node, pair: Ct) -> Any:
        if n.pull.__class__ is Freed:
            raise freed(n)
        ct, mask = pair
        parents, have = n.parents, values_of(n)
        if n.reading is not None and n not in written:
            q, x = TABLE[n.reading.name], n.reading.x
            value = lift(have.reading.x.value, x.node)  # type: ignore[union-attr]
            out = emit(q.name, value, **n.reading.params)
            pulled = pullback(q, (value,), out, n.reading.params, ct, mask, (True,), emit)
            return [(x.node, (c, m)) for _, c, m in pulled]
        args = [lift(v, q) for v, q in zip(have.args, parents, strict=True)]
        wanted = [q is not None and q.pull is not None for q in parents]
        indicator = [is_indicator(q) for q in parents] if n.p.name == "mul" else ()
        pulled = pullback(n.p, args, lift(have.out, n), have.params or {}, ct, mask, wanted, emit, indicator)
        return [(parents[k], (c, m)) for k, c, m in pulled]

    return pull


def is_indicator(q: Node | None) -> bool:
    """Whether a value is a truth value cast to numbers."""
    return q is not None and q.name == "cast" and type_of(q.x).dtype == np.bool_


def lift_number(v: Any, q: Node | None) -> Any:
    return np.float64(v) if v.__class__ is float else v


def lift_tensor(v: Any, q: Node | None) -> Any:
    if q is None and v.__class__ is Traced:
        return wrap(v, dispatch.leaf_of(v))
    return v if q is None or v.__class__ is type_of(v).__class__ else wrap(v, q)


def _add_pairs(emit: Any) -> Callable[[Ct, Ct], Ct]:
    return lambda a, b: (emit("add", a[0], b[0]), join(emit, a[1], b[1]))


# --- the walk --------------------------------------------------------------------------------------


def pull_back(
    roots: Sequence[tuple[Node, Ct]], targets: set[Node] | None, create_graph: bool
) -> tuple[dict[Node, Ct], list[Node]]:
    """Cotangents of leaves (or of the targets), and the steps that were walked.

    roots
        Nodes and their cotangents: numbers, or Tensors with `create_graph`.
    """
    order = collect([n for n, _ in roots])
    if targets is not None:
        order = restrict(order, targets)
    steps = [n for n in order if n.p is not None] if targets is None else _steps_to(order, targets)
    written = check_overwritten(steps)
    keep: Any = targets or _NOBODY
    watched = bool((HOOKS.data or RETAINED.data) and any(n in HOOKS or n in RETAINED for n in order))
    composites = ScopedNode in set(map(type, order))
    if composites and (watched or keep):
        written |= _asked_inside(order, keep)
    with segments.walking():
        if create_graph:
            with enable_grad():
                return _walk_recorded(roots, order, steps, keep, written), steps
        if any(n.out.__class__ is Traced or ct.__class__ is Traced for n, ct in roots):
            return _walk_traced(roots, order, steps, keep, written), steps
        with numbers.quiet():
            if watched and any(_may_mask(n) for n in steps):
                return _walk_general(roots, order, steps, keep, written, numbers.emit, lift_number), steps
            cts = _walk_plain(roots, order, steps, keep, written, watched or bool(keep), composites)
            if _doubtful(cts.values(), steps):
                cts = _walk_general(roots, order, steps, keep, written, numbers.emit, lift_number)
        return cts, steps


_NOBODY: frozenset[Node] = frozenset()


def _steps_to(order: list[Node], targets: set[Node]) -> list[Node]:
    """Operations to pull through: not a target that leads to no other one, it is the end of its route."""
    inner = set(order)
    return [n for n in order if n.p is not None and (n not in targets or any(q in inner for q in n.parents))]


def _walk_plain(
    roots: Any,
    order: list[Node],
    steps: list[Node],
    keep: Any,
    written: set[Node],
    watched: bool,
    composites: bool,
) -> dict[Node, Ct]:
    cts: dict[Node, Ct] = {}
    for n, ct in roots:
        cts[n] = numbers.add(cts[n], ct) if n in cts else ct

    def take(n: Node) -> Ct:
        ct = cts.pop(n, None)
        return None if ct is None else _arrive(n, ct, cts, keep)

    # Every step has its cotangent when its turn comes, but for those that a composite leaps over.
    plain = cts.pop if not composites else lambda n: cts.pop(n, None)
    reverse(steps, cts, take if watched else plain, plain_pull(written) if written else None, numbers.add)
    if watched:
        walked = set(steps)
        for n in order:
            if n not in walked and n in cts:
                cts[n] = _arrive(n, cts[n], cts, keep)
    return {
        n: c.dense() if c.__class__ is numbers.Scattered else c
        for n, c in cts.items()
        if n.p is None or n in keep
    }


def _arrive(n: Node, ct: Ct, cts: dict[Node, Ct], keep: set[Node]) -> Ct:
    """A step's cotangent is complete: hooks see it, then it may be kept."""
    if n in HOOKS:
        ct = _run_hooks(n, numbers.dense(ct))
    if n in RETAINED:
        retain(n, _gradient_tensor(numbers.dense(ct), n))
    if n in keep:
        cts[n] = ct
    return ct


def retain(n: Node, g: Any) -> None:
    """Add a gradient to what a computed tensor retains."""
    before = RETAINED.get(n)
    if before is not None:
        g = dispatch.emit("add", before, g)
    RETAINED[n] = g


def _walk_general(
    roots: Any, order: list[Node], steps: list[Node], keep: Any, written: set[Node], emit: Any, lift: Any,
    at: Callable[[Node], None] | None = None,
) -> dict[Node, Ct]:  # fmt: skip
    recorded = emit is dispatch.emit
    cts: dict[Node, Any] = {}
    add = _add_pairs(emit)
    for n, ct in roots:
        c = (ct if recorded else lift_number(ct, n), None)
        cts[n] = add(cts[n], c) if n in cts else c

    def take(n: Node) -> Any:
        pair = cts.pop(n, None)
        return None if pair is None else arrive(n, *pair)

    def arrive(n: Node, ct: Any, mask: Any) -> Any:
        if n in HOOKS:
            ct = _run_hooks(n, ct, recorded)
        if n in RETAINED:
            retain(n, ct if recorded else _gradient_tensor(settle(ct, n.out), n))
        if n in keep:
            cts[n] = (ct, mask)
        return ct, mask

    pull = domain_pull(emit, lift, written)
    if at is not None:
        plain, pull = pull, lambda n, pair: (at(n), plain(n, pair))[1]
    reverse(steps, cts, take, pull, add)
    walked = set(steps)
    for n in order:
        if n not in walked and n in cts:
            cts[n] = arrive(n, *cts[n])
    found = {n: c for n, (c, _) in cts.items() if n.p is None or n in keep}
    return found if recorded else {n: settle(c, n.out) for n, c in found.items()}


def _walk_traced(
    roots: Any, order: list[Node], steps: list[Node], keep: Any, written: set[Node]
) -> dict[Node, Ct]:
    """The walk where a graph is recorded: on tensors, whose operations the recorder takes; nothing is tracked."""
    with no_grad():
        roots = [(n, wrap(ct, dispatch.leaf_of(ct))) for n, ct in roots]
        cts = _walk_recorded(roots, order, steps, keep, written)
    return {n: cut(ct.v) for n, ct in cts.items()}


def _walk_recorded(
    roots: Any, order: list[Node], steps: list[Node], keep: Any, written: set[Node]
) -> dict[Node, Ct]:
    """The walk on tensors. In a graph each operation of it has the line of the step that it is the derivative of."""
    if not any(n.out.__class__ is Traced for n, _ in roots):
        return _walk_general(roots, order, steps, keep, written, dispatch.emit, lift_tensor)
    line = at_line()

    def at(n: Node) -> None:
        line.move(Pullback(n.code, n.at))

    with line:
        return _walk_general(roots, order, steps, keep, written, dispatch.emit, lift_tensor, at)


def _may_mask(n: Node) -> bool:
    rule = n.p.rule
    return (
        n.p.selects
        or (isinstance(rule, Linear) and rule.holes)
        or (n.p.name == "mul" and any(map(is_indicator, n.parents)))
    )


def _asked_inside(order: list[Node], keep: set[Node]) -> set[Node]:
    """Composites in which somebody wants the gradient of a value between: then it must exist."""
    asked = {n for n in order if n in HOOKS or n in RETAINED or n in keep}
    return {n for n in order if n.reading is not None and _between(n) & asked}


def _between(n: Node) -> set[Node]:
    """Nodes strictly between a composite and its variable."""
    assert n.reading is not None
    end, found = n.reading.x.node, set()
    stack = [q for q in n.parents if q is not None and q is not end]
    while stack:
        q = stack.pop()
        if q.serial > end.serial and q not in found:
            found.add(q)
            stack.extend(r for r in q.parents if r is not None and r is not end)
    return found


def _doubtful(cts: Iterable[Ct], steps: list[Node]) -> bool:
    """Whether a NaN arrived that may have come by a route which was not taken."""
    arrays = []
    for c in cts:
        if c.__class__ is not float:
            arrays.append(c)
        elif c != c:
            return any(_may_mask(n) for n in steps)
    if not arrays or (arrays[0].size > _SMALL and not any(_may_mask(n) for n in steps)):
        return False
    # a sum of squares: inf - inf can't arise in it
    return any(np.isnan(np.vdot(c, c)) for c in arrays) and any(_may_mask(n) for n in steps)


_SMALL = 1000  # entries whose sum costs less than a look at the steps


def _run_hooks(n: Node, ct: Ct, recorded: bool = False) -> Ct:
    grad = ct if recorded else _gradient_tensor(settle(ct, n.out) if not hasattr(ct, "v") else ct, n)
    for hook in list(HOOKS[n].values()):
        result = hook(grad)
        if result is not None:
            if not isinstance(result, Handle):
                fix = "return a Tensor of the gradient's shape, or None"
                raise ArgumentError(
                    f"a hook returned a {type(result).__name__}", given=f"hook of {n.name}", fix=fix
                )
            if result.shape != grad.shape:
                given = f"{list(result.shape)} for {list(grad.shape)}"
                fix = "return a Tensor of the gradient's shape, or None"
                raise ShapeError(
                    f"a hook changed the shape of the gradient of {_named(n)}", given=given, fix=fix
                )
            grad = result
    return grad if recorded else settle(grad.v, n.out)


def _named(n: Node) -> str:
    return "a leaf" if n.p is None else f"the result of {n.name}"


def gradient_tensor(v: Any, n: Node, source: Source) -> Any:
    """A Tensor of a gradient of the value of `n`; it knows whose it is."""
    g = leaf(v, False, source.code, source.lasti)
    g.params = {"gradient_of": weakref.ref(n)}  # weak: the leaf holds its gradient
    return wrap(v, g)


def _gradient_tensor(ct: Ct, n: Node) -> Any:
    return gradient_tensor(own(settle(ct, n.out)), n, here())


# --- after the walk --------------------------------------------------------------------------------


def release(steps: Iterable[Node], source: Source) -> None:
    """Drop what the walk read: a second backward through it is an error, as in torch."""
    freed_here = Freed(source)
    for n in steps:
        reads = n.pull.reads  # type: ignore[union-attr]
        if reads:
            n.pull = freed_here
            if reads == ARRAYS:
                forget(n)


_REMEMBERED = 16  # contributions to a gradient that `why` can list: the first ones and the last one


class Call(NamedTuple):
    """One call of `backward`, as `why` tells of it.

    root
        Weak reference to the (first) output's node: what is remembered keeps no graph alive.
    weights
        The cotangent that it began with; None where that is 1, where it is large, or of several outputs.
    """

    source: Source
    root: weakref.ref[Node]
    weights: Any


def _call(roots: list[tuple[Node, Ct]], given: bool, recorded: bool, source: Source) -> Call:
    n, weights = roots[0]
    told = given and not recorded and len(roots) == 1
    return _new_call(Call, (source, weakref.ref(n), _remembered(weights) if told else None))


_new_call = tuple.__new__  # a third of the time of Call(…)


def _remembered(v: Any, copy: Any = None) -> Any:
    """A number, or a small array: a copy of its own, unless one is given that nobody changes; else None."""
    if v.__class__ is float or v.__class__ is Traced:
        return v if v.__class__ is float else None
    if v.size == 1:
        return v.item()
    return None if v.nbytes > KEEP_BYTES else np.array(v) if copy is None else copy


def accumulate_grad(n: Leaf, ct: Ct, recorded: bool, call: Call) -> None:
    """Add to `.grad` of a leaf; a new tensor each time, so that a gradient someone holds does not change."""
    recorder = current().recorder
    if recorder is not None:
        recorder.keep_grad(n)
    with _ACCUMULATING:
        before = n.grad
        if recorded:
            with enable_grad():
                n.grad = ct.clone() if before is None else dispatch.emit("add", before, ct)
            number = None
        else:
            number = _remembered(ct, ct)
            n.grad = gradient_tensor(ct if before is None else _plain_sum(before, ct), n, call.source)
        if before is None or n.contributions is None:
            n.contributions, n.calls = [], 0
        n.calls += 1
        if n.calls > _REMEMBERED:
            n.contributions.pop()
        n.contributions.append((call.source, number, call))
    if AFTER.data and n in AFTER:
        for hook in list(AFTER[n].values()):
            hook(n.grad)


_ACCUMULATING = threading.RLock()  # two threads may add to one leaf


def _plain_sum(before: Any, ct: Ct) -> Any:
    m = current()
    if m.recorder is not None and m.recorder.innermost((before.v, ct)) is not None:
        with no_grad():
            return dispatch.emit("add", before, wrap(ct, dispatch.leaf_of(ct))).v
    with numbers.quiet():
        total = before.v + ct
    return total.item() if total.__class__ is np.float64 else total


# --- the public ways in ----------------------------------------------------------------------------


def seed(t: Any, gradient: Any, create_graph: bool, call: str) -> tuple[Node, Ct]:
    """Node of an output and the cotangent that the walk begins with."""
    n = node_of(t)
    if n.pull is None:
        raise not_tracked(t)
    if gradient is None:
        if t.numel() != 1:
            raise not_scalar(t, call)
        if t.dtype.kind == "c":
            fix = "differentiate its real part or its absolute value, or pass gradient="
            raise NotScalarError("a complex output has no single gradient", given=str(type_of(t)), fix=fix)
        value = 1.0 if t.v.__class__ is float else np.ones(t.shape, t.dtype)
    else:
        from chainrule.ops.creation import as_tensor

        g = as_tensor(gradient)
        if tuple(g.shape) != tuple(t.shape):
            raise ShapeError(
                "the weights do not have the shape of the output",
                given=f"weights {list(g.shape)}, output {list(t.shape)}",
                fix=f"pass one weight per component: shape {list(t.shape)}",
            )
        if create_graph:
            return n, dispatch.emit("cast", g, dtype=t.dtype) if g.dtype != t.dtype else g
        node_of(g)
        value = settle(cut(g.v), t.v)
    if create_graph:
        with no_grad():
            return n, wrap(value, leaf(value, False, *dispatch.source_code()))
    return n, value


def _roots(tensors: Any, weights: Any, create_graph: bool, call: str = "backward()") -> list[tuple[Node, Ct]]:
    """Outputs with their weights: one of each, or lists of equal length."""
    several = isinstance(tensors, (tuple, list))
    ts = list(tensors) if several else [tensors]
    listed = isinstance(weights, (tuple, list)) and (
        several or (len(weights) == 1 and isinstance(weights[0], Handle))
    )
    ws = list(weights) if listed else [weights] * (len(ts) if weights is None else 1)
    if len(ws) != len(ts):
        fix = "pass one tensor of weights (or None) per output"
        raise ArgumentError(f"{len(ts)} outputs and {len(ws)} weights", fix=fix)
    for t in ts:
        if not isinstance(t, Handle):
            raise ArgumentError(f"an output is a {type(t).__name__}", fix="pass Tensors that were computed")
    return [seed(t, w, create_graph, call) for t, w in zip(ts, ws, strict=True)]


def _input_nodes(inputs: Any) -> list[Node]:
    """Nodes of the tensors to differentiate with respect to."""
    nodes = []
    for k, t in enumerate(inputs if isinstance(inputs, (tuple, list)) else [inputs]):
        if not isinstance(t, Handle):
            raise ArgumentError(
                f"input {k} is a {type(t).__name__}", fix="pass tensors that require a gradient"
            )
        n = node_of(t)
        if n.pull is None:
            raise DerivativeError(
                f"input {k} does not require a gradient",
                given=f"made at {n.source}",
                fix="mark it with requires_grad=True before it is used",
            )
        nodes.append(n)
    return nodes


def backward(
    tensors: Any,
    gradients: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Accumulate the gradients of leaves into `.grad` (of `inputs` only, if given)."""
    if isinstance(tensors, Handle) and (gradients is None or isinstance(gradients, Handle)):
        roots = [seed(tensors, gradients, create_graph, "backward()")]
    else:
        roots = _roots(tensors, gradients, create_graph)
    targets = None
    if inputs is not None:
        targets = set(_input_nodes(inputs))
    cts, steps = pull_back(roots, targets, create_graph)
    source = here()
    if not (create_graph if retain_graph is None else retain_graph):
        release(steps, source)
    call = _call(roots, gradients is not None, create_graph, source)
    for n in list(cts):
        held = [cts.pop(n)]
        if not create_graph and held[0].__class__ is np.ndarray and not _is_alone(held):
            held[0] = np.array(held[0])  # somebody else has this memory: another leaf, the caller's weights
        ct = held.pop()
        if n.__class__ is Leaf and n.pull is not None and (targets is None or n in targets):
            accumulate_grad(n, ct, create_graph, call)
        elif targets is not None and n in targets:
            retain(n, ct if create_graph else _gradient_tensor(ct, n))


def _is_alone(held: list[np.ndarray]) -> bool:
    """Whether nobody but the list has the memory of its array: its own, or all of one that only it refers to."""
    if sys.getrefcount(held[0]) != 2:  # of the list, and of the call
        return False
    flags, whole = held[0].flags, held[0].base.__class__ is np.ndarray
    if not whole:
        return bool(flags.owndata)
    all_of_it = held[0].base.flags.owndata and held[0].base.nbytes == held[0].nbytes
    return all_of_it and flags.writeable and sys.getrefcount(held[0].base) == 2


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """Gradients of the sum of outputs with respect to the inputs, as new tensors; `.grad` stays as it is."""
    ins = list(inputs) if isinstance(inputs, (tuple, list)) else [inputs]
    nodes = _input_nodes(ins)
    roots = _roots(outputs, grad_outputs, create_graph, "grad")
    cts, steps = pull_back(roots, set(nodes), create_graph)
    if not (create_graph if retain_graph is None else retain_graph):
        release(steps, here())
    return tuple(
        _one_result(k, t, n, cts, create_graph, bool(allow_unused), materialize_grads)
        for k, (t, n) in enumerate(zip(ins, nodes, strict=True))
    )


def _one_result(
    k: int, t: Any, n: Node, cts: Any, recorded: bool, allow_unused: bool, materialize: bool
) -> Any:
    if n in cts:
        return _recorded(cts[n], n) if recorded else _gradient_tensor(cts[n], n)
    if materialize:
        return _gradient_tensor(np.zeros(t.shape, t.dtype), n)
    if not allow_unused:
        raise UnusedError(
            f"the outputs do not depend on input {k}", given=f"made at {n.source}",
            fix="pass allow_unused=True to get None for it, or materialize_grads=True for zeros",
        )  # fmt: skip
    return None


def _recorded(ct: Any, n: Node) -> Any:
    """A recorded gradient; one that depends on nothing says so when it is differentiated again."""
    if node_of(ct).pull is not None:
        return ct
    g = gradient_tensor(ct.v, n, here())
    g.n.params["constant"] = True
    return g


__all__ = ["backward", "grad", "pull_back"]
