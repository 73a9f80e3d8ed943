"""torch.autograd.Function: an operation with forward and backward as static methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from chainrule.api.custom import FUNCTION, SAVING, Call, Layout, checked_cotangent, is_tensor
from chainrule.dispatch import node_of, wrap
from chainrule.eager.backward import changed_after
from chainrule.errors import (
    ArgumentError,
    DerivativeError,
    GraphFreedError,
    OverwrittenError,
    ShapeError,
    UnsupportedError,
)
from chainrule.ops import creation
from chainrule.source import Source, boundary
from chainrule.tape.memory import written_after
from chainrule.tape.modes import current, no_grad
from chainrule.tape.node import ancestors
from chainrule.tape.promote import is_inexact

F = TypeVar("F", bound=Callable[..., Any])


def once_differentiable(fn: F) -> F:
    """Mark a backward whose result must not be differentiated again: it may use NumPy. A second derivative is refused.

    Examples
    --------
    >>> import chainrule as cr
    >>> class Sin(cr.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x.sin()
    ...     @staticmethod
    ...     @cr.autograd.function.once_differentiable
    ...     def backward(ctx, g):
    ...         (x,) = ctx.saved_tensors
    ...         return g * x.cos()
    >>> cr.grad(Sin.apply)(0.0)
    tensor(1.)
    """
    fn.once_differentiable = True  # type: ignore[attr-defined]
    return fn


class FunctionCtx:
    """What `forward` leaves for `backward`: tensors by `save_for_backward`, anything else as attributes.

    needs_input_grad
        For each argument of `forward`, whether a gradient of it is wanted.
    """

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        self._given: dict[str, tuple[Any, ...]] = {}
        self._marked: tuple[Any, ...] = ()
        self._materialize = True
        self._call: Any = None

    @boundary
    def save_for_backward(self, *tensors: Any) -> None:
        """Keep inputs, outputs or other tensors for `backward`; None is kept too."""
        self._save("backward", tensors)

    @boundary
    def save_for_forward(self, *tensors: Any) -> None:
        """Keep tensors for `jvp`."""
        self._save("forward", tensors)

    def _save(self, mode: str, tensors: tuple[Any, ...]) -> None:
        for t in tensors:
            if t is not None and not is_tensor(t):
                fix = "put what is no tensor on ctx: ctx.n = n"
                raise ArgumentError(f"save_for_{mode} takes tensors, not a {type(t).__name__}", fix=fix)
        self._given[mode] = tensors

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What was saved: inputs and outputs with their history, so that a gradient can be differentiated again."""
        if self._call is None:
            return self._given.get("backward", self._given.get("forward", ()))
        return self._call.saved()

    @boundary
    def mark_non_differentiable(self, *outputs: Any) -> None:
        """Say of outputs that they have no derivative: their gradient is None where they came from."""
        self._marked = outputs

    @boundary
    def mark_dirty(self, *inputs: Any) -> None:
        """Refused: an operation of this kind returns new tensors."""
        fix = "return a new tensor; x.copy_(…) on the result writes it into the old one"
        raise UnsupportedError("a custom operation cannot change its inputs in place", fix=fix)

    def set_materialize_grads(self, value: bool) -> None:
        """Whether a gradient that is zero comes as zeros (the default) or as None, for outputs without a derivative."""
        self._materialize = value


class Function:
    """An operation with a derivative of its own: subclass it, and call ``MyFunction.apply(…)``.

    ``forward(ctx, *args)`` computes the outputs, a tensor or a tuple, and saves what the derivative needs; or
    ``forward(*args)`` computes and ``setup_context(ctx, inputs, output)`` saves. ``backward(ctx, *grads)`` returns a
    gradient for each argument, None for those without. ``jvp(ctx, *tangents)`` is for forward mode; of `backward` and
    `jvp` one is enough, the other follows by transposing. Inside `forward` nothing is recorded.

    `backward` is differentiated again for second derivatives. What it reads must then be inputs or outputs (saved with
    `save_for_backward`); where it reads what only `forward` knows, second derivatives are refused, not guessed.

    Raises
    ------
    ArgumentError (E104), ShapeError (E101)
        `backward` returns another number of gradients than there are arguments, or one of another shape.
    UnsupportedError (E106)
        A mode for which there is no program; `mark_dirty`.
    DerivativeError (E201)
        A second derivative of what is once differentiable.

    Cost
    ----
    One operation on the tape; kept is what was saved.

    Examples
    --------
    >>> import chainrule as cr
    >>> class Exp(cr.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         y = x.exp()
    ...         ctx.save_for_backward(y)
    ...         return y
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         (y,) = ctx.saved_tensors
    ...         return g * y
    >>> x = cr.tensor(0.0, requires_grad=True)
    >>> Exp.apply(x).backward()
    >>> x.grad, cr.grad(cr.grad(Exp.apply))(0.0)
    (tensor(1.), tensor(1.))
    """

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Compute the outputs; to be written by the subclass."""
        raise UnsupportedError("the function has no forward", fix="write a static method forward(ctx, …)")

    setup_context: Any = None
    backward: Any = None
    jvp: Any = None

    @classmethod
    @boundary
    def apply(cls, *args: Any) -> Any:
        """Run `forward` on the arguments (NumPy arrays as tensors), and record it as one operation."""
        args = tuple(creation.as_tensor(a) if isinstance(a, np.ndarray) else a for a in args)
        tracked = [is_tensor(a) and node_of(a).pull is not None for a in args]
        recording = current().grad and any(tracked)
        ctx = FunctionCtx(tuple(t and recording for t in tracked))
        with no_grad():
            if cls.setup_context is not None:
                result = cls.forward(*args)
                cls.setup_context(ctx, args, result)
            else:
                result = cls.forward(ctx, *args)
        outs = _outputs(cls, result)
        if recording:
            outs = _FunctionCall.made(cls, ctx, args, outs)
        return tuple(outs) if isinstance(result, tuple | list) else outs[0]


class _FunctionCall(Call):
    """One `apply`: the saved tensors, and which of the outputs have a derivative."""

    def __init__(self, cls: Any, ctx: FunctionCtx, args: Any, outs: Any, live: list[int]) -> None:
        super().__init__(Layout([outs[k] for k in live]))
        self.cls, self.ctx, self.live = cls, ctx, live
        self.places = [k for k, a in enumerate(args) if is_tensor(a)]
        self.count, self.shapes = (
            len(args),
            [(tuple(t.shape), t.dtype) if is_tensor(t) else None for t in outs],
        )
        self.name = cls.__name__
        self.has_pull, self.has_push = cls.backward is not None, cls.jvp is not None
        self.inputs = [(args[k], node_of(args[k])) for k in self.places]
        self.start = 0
        self.marked_once = getattr(cls.backward, "once_differentiable", False)
        self.mode = "backward"
        self.out: Any = None
        self.kept = {mode: [self._place(t, args, outs) for t in ts] for mode, ts in ctx._given.items()}
        ctx._given, ctx._marked = {}, ()

    @classmethod
    def made(cls, function: Any, ctx: FunctionCtx, args: Any, outs: list[Any]) -> list[Any]:
        """Record the call; returns the outputs, those with a derivative connected with the arguments."""
        marked = {id(t) for t in ctx._marked}
        live = [k for k, t in enumerate(outs) if is_tensor(t) and is_inexact(t.dtype) and id(t) not in marked]
        if not live:
            return outs
        call = cls(function, ctx, args, outs, live)
        packed = call.record(
            SAVING if call.kept else FUNCTION,
            [t for t, _ in call.inputs],
            call.layout.pack([outs[k] for k in live]),
        )
        call.start = packed.n.serial
        if any(kind == "out" for places in call.kept.values() for kind, *_ in places):
            call.out = packed.v
        if not call.kept:
            call.inputs = []
        ctx._call = call
        outs = list(outs)
        for k, t in zip(live, call.layout.unpack(packed), strict=True):
            outs[k] = t
        return outs

    def _place(self, t: Any, args: Any, outs: Any) -> tuple[str, Any]:
        """Where a saved tensor is: an argument, an output with a derivative, or itself."""
        for k, a in enumerate(args):
            if a is t and t is not None:
                return "in", self.places.index(k)
        for j, k in enumerate(self.live):
            if outs[k] is t:
                return "out", j
        return "own", t

    @property
    def once(self) -> str | None:
        """Why the result of `backward` cannot be differentiated, if that can be seen in what it reads."""
        if self.marked_once:
            return "its backward is marked once_differentiable"
        sources = {q for q in self.node().parents if q is not None and q.pull is not None}
        own = [("a saved tensor", t) for places in self.kept.values() for kind, t in places if kind == "own"]
        attributes = [(f"ctx.{k}", v) for k, v in vars(self.ctx).items() if not k.startswith("_")]
        for name, v in (*own, *attributes):
            if isinstance(v, np.ndarray) and v.dtype.kind in "fc":
                return f"{name} is a NumPy array, of which it is not known how it depends on the inputs"
            if not is_tensor(v) or not is_inexact(v.dtype) or node_of(v) in sources:
                continue
            if sources & set(ancestors(node_of(v))):
                return f"{name} was computed in forward from the inputs, where nothing is recorded"
        return None

    def saved(self) -> tuple[Any, ...]:
        """The saved tensors, connected with the tape where operations are recorded."""
        if self.kept is None:
            raise GraphFreedError(
                f"what {self.name} saved was freed by an earlier backward", given=f"called at {self.source}",
                fix="call backward(retain_graph=True) the first time",
            )  # fmt: skip
        places = self.kept.get(self.mode, self.kept.get("backward", self.kept.get("forward", [])))
        return tuple(self._found(kind, what) for kind, what in places)

    def _found(self, kind: str, what: Any) -> Any:
        if kind == "own":
            return what
        if kind == "out":
            n = self.node()
            packed = wrap(self.out, n) if current().grad and n is not None else creation.make_leaf(self.out)
            return self.layout.unpack(packed)[what]
        t, n = self.inputs[what]
        hit = changed_after(n, self.start) or written_after(t.v, self.start)
        if hit is not None or node_of(t) is not n:
            raise OverwrittenError(
                f"{self.name} saved an input for the backward pass, and it was changed in place afterwards",
                given=f"{self.name} at {self.source}; changed in place at {hit}",
                fix="compute a new tensor instead (x = x + 1, not x += 1)",
            )  # fmt: skip
        return t if current().grad else creation.make_leaf(t.v)

    def release(self) -> None:
        self.kept, self.inputs, self.out = None, [], None  # type: ignore[assignment]

    def pull(self, primals: Any, out: Any, ct: Any, wanted: Any) -> Any:
        self.mode = "backward"
        weights = dict(zip(self.live, self.layout.unpack(ct), strict=True))
        grads = [weights[k] if k in weights else self._no_gradient(s) for k, s in enumerate(self.shapes)]
        given = self.cls.backward(self.ctx, *grads)
        found = list(given) if isinstance(given, tuple | list) else [given]
        line, what = _line(self.cls.backward), f"{self.name}.backward"
        while len(found) > self.count and found[-1] is None:
            found.pop()
        if len(found) != self.count:
            raise ArgumentError(
                f"{what} returned {_many(len(found), 'gradient')} for {_many(self.count, 'argument')} of forward",
                given=f"called at {self.source}", fix="return one for each, None where there is none", source=line,
            )  # fmt: skip
        for k, g in enumerate(found):
            if g is not None and k not in self.places:
                raise ArgumentError(
                    f"{what} returned a gradient for argument {k}, which is no tensor",
                    given=f"called at {self.source}", fix="return None for it", source=line,
                )  # fmt: skip
        return [
            None
            if found[k] is None or not w
            else checked_cotangent(found[k], x, f"gradient {k} that {what} returned", line)
            for k, x, w in zip(self.places, primals, wanted, strict=True)
        ]

    def push(self, primals: Any, out: Any, tangents: Any) -> Any:
        self.mode = "forward"
        ts: list[Any] = [None] * self.count
        for k, t in zip(self.places, tangents, strict=True):
            ts[k] = t
        given = self.cls.jvp(self.ctx, *ts)
        found = list(given) if isinstance(given, tuple | list) else [given]
        line = _line(self.cls.jvp)
        if len(found) != len(self.shapes):
            raise ArgumentError(
                f"{self.name}.jvp returned {_many(len(found), 'tangent')} for {_many(len(self.shapes), 'output')}",
                given=f"called at {self.source}", fix="return one for each output, None where it is zero", source=line,
            )  # fmt: skip
        parts = []
        for k in self.live:
            t = None if found[k] is None else creation.as_tensor(found[k])
            if t is not None and tuple(t.shape) != self.shapes[k][0]:  # type: ignore[index]
                raise ShapeError(
                    f"tangent {k} that {self.name}.jvp returned does not have the shape of its output",
                    given=f"tangent {list(t.shape)}, output {list(self.shapes[k][0])}",  # type: ignore[index]
                    fix="return one of the shape of the output", source=line,
                )  # fmt: skip
            parts.append(t)
        return None if all(t is None for t in parts) else self.layout.pack(parts)

    def _no_gradient(self, shape: Any) -> Any:
        if shape is None or not self.ctx._materialize:
            return None
        return creation.zeros(*shape[0], dtype=shape[1])


def _outputs(cls: Any, result: Any) -> list[Any]:
    outs = list(result) if isinstance(result, tuple | list) else [result]
    if not any(is_tensor(t) for t in outs):
        raise DerivativeError(
            f"{cls.__name__}.forward returned a {type(result).__name__}, not a tensor", source=_line(cls.forward),
            fix="return a tensor, or a tuple with tensors in it",
        )  # fmt: skip
    return [creation.make_leaf(t.v) if is_tensor(t) and node_of(t).pull is not None else t for t in outs]


def _many(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _line(fn: Any) -> Source | None:
    code = getattr(fn, "__code__", None)
    return None if code is None else Source(code, -1)


__all__ = ["Function", "FunctionCtx", "once_differentiable"]
