"""One run of a function whose arguments have a new identity, and the walks over its tape.

Each transform gives the arguments an alias node, runs the function on concrete values, and walks the tape between
outputs and aliases. A derivative is taken with respect to nodes, so nested transforms cannot be confused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule import dispatch
from chainrule.api import trees
from chainrule.dispatch import Handle, node_of, wrap
from chainrule.eager.backward import _gradient_tensor, collect, pull_back, restrict
from chainrule.eager.forward import push_forward
from chainrule.eager.second import gradient_along
from chainrule.errors import ArgumentError, ChainruleError, NotScalarError, ShapeError
from chainrule.ops import creation
from chainrule.table.primitive import TABLE
from chainrule.tape.modes import current, enable_grad
from chainrule.tape.node import Node, new, next_serial, small
from chainrule.tape.promote import is_inexact
from chainrule.tape.pull import array_pull, settle
from chainrule.tape.traced import Traced, own

_ALIAS = TABLE["alias"]


def alias(x: Any) -> Any:
    """A copy of `x` under a new identity, tracked: the function may change it in place, the caller may change `x`."""
    t = creation.as_tensor(x)
    if not is_inexact(t.dtype):
        raise creation.integer_gradient(t.dtype)
    source = node_of(t)
    n = new(Node)
    n.serial, n.p, n.a, n.b = next_serial(), _ALIAS, source if source.pull is not None else None, None
    n.x, n.y, n.params = small(t.v), None, None
    n.out, n.pull = small(t.v), array_pull(_ALIAS, (True,), False)
    n.code, n.at = dispatch.source_code()
    return wrap(own(t.v), n)


class Run:
    """One run of a function on aliased arguments.

    inputs, nodes
        The tensors to differentiate with respect to, all leaves of the arguments `argnums` in order, and their nodes.
    outs, out_spec
        The leaves of the result as tensors, and its structure (none if the function returns them `listed`).
    outside
        Whether a tracked value from outside is on the way: then the walks are recorded, so that they can be
        differentiated in their turn.
    """

    def __init__(
        self,
        f: Callable[..., Any],
        args: Sequence[Any],
        kwargs: dict[str, Any],
        argnums: Any,
        has_aux: bool = False,
        *,
        listed: bool = False,
    ) -> None:
        self.single = not isinstance(argnums, tuple | list)
        full = list(args)
        self.inputs: list[Any] = []
        self.specs: list[tuple[Any, int]] = []  # structure and number of leaves of each argument
        for k in _positions((argnums,) if self.single else argnums, len(args)):
            leaves, spec = trees.flatten(args[k])
            aliases = [alias(leaves[0])] if spec is None else _aliases(leaves, spec, k)
            self.inputs += aliases
            self.specs.append((spec, len(aliases)))
            full[k] = trees.unflatten(spec, aliases)
        self.nodes = [t.n for t in self.inputs]  # now: the function may change an argument in place
        self.recorded = current().grad
        with enable_grad():
            result = f(*full, **kwargs)
        self.aux = None
        if has_aux:
            result, self.aux = _pair(result)
        self.out_spec: Any
        leaves, self.out_spec = (result, None) if listed else trees.flatten(result)
        self.outs = leaves if listed else _outputs(leaves, self.out_spec, result)
        self.outside = self.recorded and self._reaches_outside(self.outs)
        if has_aux:
            self.aux = self._without_tape(self.aux)

    @property
    def out(self) -> Any:
        """The one output."""
        return self.outs[0]

    def pack(self, values: Sequence[Any]) -> Any:
        """One value for each input, in the structure of the arguments."""
        if len(self.specs) == 1 and self.specs[0][0] is None:
            return values[0] if self.single else tuple(values)
        packed, at = [], 0
        for spec, count in self.specs:
            packed.append(trees.unflatten(spec, values[at : at + count]))
            at += count
        return packed[0] if self.single else tuple(packed)

    def value(self) -> Any:
        """The result of the function, without the tape of this run."""
        return trees.unflatten(self.out_spec, [self.plain(t) for t in self.outs])

    def plain(self, t: Any) -> Any:
        """A tensor without the tape of this run."""
        if self.outside:
            return t
        n = node_of(t)
        return t if n.pull is None else _returned(own(t.v), "value")

    def _without_tape(self, aux: Any) -> Any:
        leaves, spec = trees.flatten(aux)
        if self.outside or (
            self.recorded and self._reaches_outside([t for t in leaves if isinstance(t, Handle)])
        ):
            return aux
        return (
            trees.unflatten(spec, [self.plain(t) if isinstance(t, Handle) else t for t in leaves])
            if leaves
            else aux
        )

    def _reaches_outside(self, tensors: Sequence[Any]) -> bool:
        roots = [n for n in map(node_of, tensors) if n.pull is not None]
        if not roots:
            return False
        if any(n.a is not None for n in self.nodes):
            return True
        order = collect(roots)
        inner = set(restrict(order, set(self.nodes)))
        return any(n not in inner for n in order)

    def unused(self) -> list[tuple[int, int]]:
        """Pairs (output, input) such that the output was computed without the input."""
        found = []
        for k, t in enumerate(self.outs):
            n = node_of(t)
            reached = set() if n.pull is None else set(collect([n]))
            found += [(k, j) for j, source in enumerate(self.nodes) if source not in reached]
        return found

    # --- walks -----------------------------------------------------------------------------------

    def pull(self, weights: Sequence[Any]) -> list[Any]:
        """Cotangents of the inputs, given one of each output (None: zero); zeros where no output depends on one."""
        recorded = self.outside or (self.recorded and any(map(_is_tracked, weights)))
        roots = [
            (n, _seed(t, w, recorded))
            for t, n, w in zip(self.outs, map(node_of, self.outs), weights, strict=True)
            if w is not None and n.pull is not None
        ]
        cts = pull_back(roots, set(self.nodes), recorded)[0] if roots else {}
        return [
            _zeros(t, "gradient") if n not in cts else cts[n] if recorded else _gradient_tensor(cts[n], n)
            for t, n in zip(self.inputs, self.nodes, strict=True)
        ]

    def push(self, tangents: Sequence[Any]) -> list[Any]:
        """Tangents of the outputs, given one of each input (None: zero)."""
        recorded = self.outside or (self.recorded and any(map(_is_tracked, tangents)))
        pushed = [
            (n, t, x) for n, t, x in zip(self.nodes, tangents, self.inputs, strict=True) if t is not None
        ]
        if recorded:
            seeds = {
                n: t if t.dtype == x.dtype else dispatch.emit("cast", t, dtype=x.dtype) for n, t, x in pushed
            }
        else:
            seeds = {n: _array(settle(t.v, x.v)) for n, t, x in pushed}
        roots = [node_of(t) for t in self.outs]
        found = push_forward([n for n in roots if n.pull is not None], seeds, recorded) if seeds else {}
        return [
            _zeros(t, "tangent")
            if n not in found
            else found[n]
            if recorded
            else _returned(settle(found[n], t.v), "tangent")
            for t, n in zip(self.outs, roots, strict=True)
        ]

    def gradients_along(self, tangents: Sequence[Any]) -> list[Any] | None:
        """How the gradients of the one output change along the tangents; None where that has to be recorded."""
        given = [
            (n, t, x) for n, t, x in zip(self.nodes, tangents, self.inputs, strict=True) if t is not None
        ]
        root, behind = node_of(self.out), {n.a for n in self.nodes if n.a is not None}
        traced = any(t.v.__class__ is Traced for t in (self.out, *self.inputs, *(t for _, t, _ in given)))
        if root.pull is None or traced or any(_is_tracked(t) for _, t, _ in given):
            return None
        if any(n.a is not None for n in behind):
            return None
        ts = dict.fromkeys(self.nodes) | {n: _array(settle(t.v, x.v)) for n, t, x in given}
        found = gradient_along(root, ts, behind)
        if found is None:
            return None
        return [
            _gradient_tensor(found[n], n) if n in found else _zeros(t, "gradient")
            for n, t in zip(self.nodes, self.inputs, strict=True)
        ]

    def cotangents(self, ct: Any) -> list[Any]:
        """A cotangent of the result as tensors, one of each output."""
        parts = trees.flatten_like(self.out_spec, ct, "cotangent")
        names = trees.paths(self.out_spec) if self.out_spec is not None else [""]
        return [
            _fitting(w, t, f"cotangent{name}", "output")
            for w, t, name in zip(parts, self.outs, names, strict=True)
        ]

    def tangents(self, given: Sequence[Any]) -> list[Any]:
        """Tangents of the arguments as tensors, one of each input; None for one that is zero."""
        found, at = [], 0
        for k, ((spec, count), tangent) in enumerate(zip(self.specs, given, strict=True)):
            names = trees.paths(spec) if spec is not None else [""]
            parts = [None] * count if tangent is None else trees.flatten_like(spec, tangent, f"tangent {k}")
            for t, x, name in zip(parts, self.inputs[at : at + count], names, strict=True):
                found.append(_fitting(t, x, f"tangent {k}{name}", "argument"))
            at += count
        return found

    def check_scalar(self, name: str) -> None:
        """Raise unless the function returned one real number."""
        if self.out_spec is not None:
            raise ArgumentError(
                f"the function returns {_built(self.out_spec, len(self.outs))}, and {name} is for one number",
                fix="return the sum of them, or (value, anything else) with has_aux=True; "
                "for the derivative of each, use jacobian",
            )  # fmt: skip
        out = self.out
        if out.dtype.kind == "c":
            raise NotScalarError(
                f"the function returns a complex number, and {name} is for a real one", given=str(out.dtype),
                fix="return its real part, or abs(…) of it",
            )  # fmt: skip
        if out.numel() != 1:
            raise NotScalarError(
                f"the function returns {out.numel()} numbers, and {name} is for one",
                given=f"shape {list(out.shape)}",
                fix="return a sum or a mean, or use jacobian for the derivative of each",
            )


# --- arguments -------------------------------------------------------------------------------------


def gradient_run(f: Callable[..., Any], args: Sequence[Any], name: str) -> Run:
    """A run of (value, gradients by all arguments …) as outputs, to be differentiated once more."""
    nums = tuple(range(len(args)))

    def value_and_gradients(*xs: Any) -> list[Any]:
        inner = Run(f, xs, {}, nums)
        inner.check_scalar(name)
        return [inner.plain(inner.out), *inner.pull([ones_like(inner.out)])]

    return Run(value_and_gradients, args, {}, nums, listed=True)


def hessian_product(f: Callable[..., Any], args: Sequence[Any], tangents: Sequence[Any], name: str) -> Any:
    """Value, and the Hessian times the tangents packed as the arguments.

    Plain numbers are walked once, forward over reverse. Where that does not serve (`gradient_along` says when) the
    gradient is recorded, and walked forward.
    """
    nums = tuple(range(len(args)))
    products: list[Any] | None = None

    def value_and_gradients(*xs: Any) -> list[Any]:
        nonlocal products
        inner = Run(f, xs, {}, nums)
        inner.check_scalar(name)
        products = inner.gradients_along(inner.tangents(tangents))
        if products is not None:
            return [creation.make_leaf(own(inner.out.v))]
        return [inner.plain(inner.out), *inner.pull([ones_like(inner.out)])]

    run = Run(value_and_gradients, args, {}, nums, listed=True)
    found = run.push(run.tangents(tangents))[1:] if products is None else products
    return run.plain(run.out), run.pack(found)


def check_function(f: Any, name: str, usage: str | None = None) -> None:
    """Raise unless `f` can be called; `usage` is what to write."""
    if not callable(f):
        fix = f"write {usage or name + '(f)(x)'}: first the function, then the point"
        raise ArgumentError(f"{name} takes a function, not a {type(f).__name__}", fix=fix)


def name_of(f: Any) -> str:
    """What a function is called in explanations."""
    return getattr(f, "__name__", None) or "f"


def called_as(g: Callable[..., Any], transform: str, f: Any) -> Callable[..., Any]:
    """A function that a transform made of `f`: it says so, and shows the parameters of `f`."""
    g.__name__ = g.__qualname__ = f"{transform}({name_of(f)})"
    g.__wrapped__ = f  # type: ignore[attr-defined]
    return g


def _positions(argnums: Sequence[Any], n: int) -> list[int]:
    found: list[int] = []
    for k in argnums:
        if not isinstance(k, int) or not -n <= k < n:
            fix = f"use 0..{n - 1}" if n else "pass the point as an argument; or argnums=() for no derivative"
            given = f"the function was called with {n} argument{'' if n == 1 else 's'}"
            raise ArgumentError(f"argnums names argument {k!r}", given=given, fix=fix)
        if k % n in found:
            raise ArgumentError(f"argnums names argument {k % n} twice", fix="name each argument once")
        found.append(k % n)
    return found


def _aliases(leaves: Sequence[Any], spec: Any, k: int) -> list[Any]:
    found = []
    for leaf, path in zip(leaves, trees.paths(spec), strict=True):
        try:
            found.append(alias(leaf))
        except ChainruleError as err:
            err.what = f"argument {k}{path}: {err.what}"
            raise
    return found


# --- results ---------------------------------------------------------------------------------------


def _pair(result: Any) -> Any:
    if not isinstance(result, tuple) or len(result) != 2:
        fix = "return (value, anything else)"
        raise ArgumentError("with has_aux the function returns a pair", given=type(result).__name__, fix=fix)
    return result


def _outputs(leaves: Sequence[Any], spec: Any, result: Any) -> list[Any]:
    if result is None:
        raise ArgumentError("the function returns None", fix="end it with a return of what it computed")
    if spec is None:
        return [creation.as_tensor(leaves[0])]
    found = []
    for leaf, path in zip(leaves, trees.paths(spec), strict=True):
        try:
            found.append(creation.as_tensor(leaf))
        except ChainruleError as err:
            err.what = f"result{path}: {err.what}"
            raise
    return found


def _built(spec: Any, count: int) -> str:
    return f"a {spec.type.__name__} of {count}" if spec.type is not None else f"{count} tensors"


def _zeros(t: Any, kind: str) -> Any:
    return _returned(0.0 if t.v.__class__ is float else np.zeros(t.shape, t.dtype), kind)


_KINDS = {kind: {"returned": kind} for kind in ("value", "gradient", "tangent")}


def _returned(value: Any, kind: str) -> Any:
    """A tensor that begins a history, and knows that a transform returned it."""
    t = creation.make_leaf(value)
    t.n.params = _KINDS[kind]
    return t


# --- cotangents and tangents -----------------------------------------------------------------------


def ones_like(t: Any) -> Any:
    """The cotangent 1 of one number."""
    return creation.make_leaf(1.0 if t.v.__class__ is float else np.ones(t.shape, t.dtype))


def _is_tracked(w: Any) -> bool:
    return isinstance(w, Handle) and node_of(w).pull is not None


def _fitting(given: Any, x: Any, what: str, of: str) -> Any:
    """A cotangent or tangent as a tensor of the shape of `x`; None stays None."""
    if given is None:
        return None
    t = creation.as_tensor(given)
    if tuple(t.shape) != tuple(x.shape):
        raise ShapeError(
            f"{what} does not have the shape of its {of}",
            given=f"{what.split()[0]} {list(t.shape)}, {of} {list(x.shape)}", fix="make the shapes equal",
        )  # fmt: skip
    return t


def _seed(t: Any, w: Any, recorded: bool) -> Any:
    if recorded:
        return w if w.dtype == t.dtype else dispatch.emit("cast", w, dtype=t.dtype)
    return settle(w.v, t.v)


def _array(v: Any) -> Any:
    return np.float64(v) if v.__class__ is float else v


__all__ = ["Run", "alias", "check_function", "gradient_run", "hessian_product", "ones_like"]
