"""custom_rule: a function whose derivative the user states, once, in the mode that is easier."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.api import trees
from chainrule.api.custom import RULE, Call, Layout, checked_cotangent
from chainrule.api.run import check_function
from chainrule.dispatch import Handle, node_of
from chainrule.eager.backward import changed_after
from chainrule.errors import ArgumentError, ChainruleError, DerivativeError, ShapeError
from chainrule.ops import creation
from chainrule.source import Source, boundary
from chainrule.tape.modes import current
from chainrule.tape.promote import is_inexact

_NUMBERS = (np.ndarray, np.inexact, float, complex)


class CustomRule:
    """A function with a rule; what `custom_rule` returns. Call it like the function."""

    def __init__(self, f: Callable[..., Any], jvp: Any, vjp: Any, elementwise: bool) -> None:
        functools.update_wrapper(self, f)
        self.f, self.push, self.pull, self.elementwise = f, jvp, vjp, elementwise

    @boundary
    def def_jvp(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Give ``rule(primals, tangents, out)`` → tangent of the result. A decorator."""
        check_function(rule, "def_jvp")
        self.push = rule
        return rule

    @boundary
    def def_vjp(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Give ``rule(primals, cotangent, out)`` → tuple with a cotangent per argument. A decorator."""
        check_function(rule, "def_vjp")
        self.pull = rule
        return rule

    @boundary
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        flat = [_with_tensors(*trees.flatten(a)) for a in args]
        leaves = [v for vs, _ in flat for v in vs]
        inputs = [v for v in leaves if isinstance(v, Handle)]
        if not current().grad or not any(node_of(t).pull is not None for t in inputs):
            return self.f(*_arguments([(len(vs), s) for vs, s in flat], leaves), **kwargs)
        if self.push is None and self.pull is None:
            name = getattr(self.f, "__name__", "f")
            raise DerivativeError(
                f"{name} has no rule", fix=f"give it one with @{name}.def_jvp or @{name}.def_vjp"
            )
        return _RuleCall.made(self, flat, leaves, kwargs)


class _RuleCall(Call):
    def __init__(
        self, rule: CustomRule, flat: Any, leaves: Any, kwargs: Any, spec: Any, layout: Layout
    ) -> None:
        super().__init__(layout)
        self.rule, self.leaves, self.kwargs, self.spec = rule, leaves, kwargs, spec
        self.shape = [(len(vs), s) for vs, s in flat]
        self.name = getattr(rule.f, "__name__", "a custom function")
        self.elementwise = rule.elementwise
        self.has_push, self.has_pull = rule.push is not None, rule.pull is not None

    @classmethod
    def made(cls, rule: CustomRule, flat: Any, leaves: Any, kwargs: Any) -> Any:
        """Run the function, and record the call as one operation."""
        inputs = [v for v in leaves if isinstance(v, Handle)]
        bare = [creation.make_leaf(v.v) if isinstance(v, Handle) else v for v in leaves]
        before = [(t, t.n, t.v) for t in bare if isinstance(t, Handle)]
        result = rule.f(*_arguments([(len(vs), s) for vs, s in flat], bare), **kwargs)
        outs, spec = trees.flatten(result)
        outs = [creation.as_tensor(t) for t in outs]
        _check_run(rule, before, outs)
        layout = Layout(outs)
        call = cls(rule, flat, [None if isinstance(v, Handle) else v for v in leaves], kwargs, spec, layout)
        packed = call.record(RULE, inputs, layout.pack(outs))
        return trees.unflatten(spec, layout.unpack(packed))

    def pull(self, primals: Any, out: Any, ct: Any, wanted: Any) -> Any:
        given = self._program(self.rule.pull, primals, out, ct)
        what, source = f"the vjp of {self.name}", _line(self.rule.pull)
        listed = isinstance(given, tuple) or (isinstance(given, list) and len(self.shape) != 1)
        cts = given if listed else (given,)  # of one argument the cotangent alone is enough
        if len(cts) != len(self.shape):
            raise ArgumentError(
                f"{what} returned {len(cts)} cotangents for {len(self.shape)} arguments",
                given=f"called at {self.source}", source=source,
                fix="return a tuple with one for each, None where it is zero",
            )  # fmt: skip
        parts: list[Any] = []
        for k, (c, (count, spec)) in enumerate(zip(cts, self.shape, strict=True)):
            parts += (
                [None] * count if c is None else trees.flatten_like(spec, c, f"cotangent {k} of {self.name}")
            )
        kept = [c for c, fixed in zip(parts, self.leaves, strict=True) if fixed is None]
        return [
            None
            if c is None or not w
            else checked_cotangent(c, x, f"cotangent {k} that {what} returned", source)
            for k, (c, x, w) in enumerate(zip(kept, primals, wanted, strict=True))
        ]

    def push(self, primals: Any, out: Any, tangents: Any) -> Any:
        ts = [creation.zeros_like(x) if t is None else t for t, x in zip(tangents, primals, strict=True)]
        filled = self._filled(ts, zeros=True)
        args = self._filled(primals)
        given = self.rule.push(args, filled, self._result(out), **self.kwargs)
        parts = trees.flatten_like(self.spec, given, f"tangent that the jvp of {self.name} returned")
        parts = [None if t is None else creation.as_tensor(t) for t in parts]
        for t, (shape, _) in zip(parts, self.layout.types, strict=True):
            if t is not None and tuple(t.shape) != shape:
                raise ShapeError(
                    f"the jvp of {self.name} returned a tangent of another shape than the result",
                    given=f"tangent {list(t.shape)}, result {list(shape)}", fix="return one of the shape of the result",
                    source=_line(self.rule.push),
                )  # fmt: skip
        return None if all(t is None for t in parts) else self.layout.pack(parts)

    def _program(self, rule: Any, primals: Any, out: Any, ct: Any) -> Any:
        try:
            return rule(self._filled(primals), self._result(ct), self._result(out), **self.kwargs)
        except ChainruleError as err:
            err.at(_line(rule))
            raise

    def _filled(self, tensors: Any, zeros: bool = False) -> tuple[Any, ...]:
        """The arguments with these tensors in their places; a tangent of what is no tensor is None."""
        it = iter(tensors)
        leaves = [next(it) if v is None else None if zeros else v for v in self.leaves]
        return _arguments(self.shape, leaves)

    def _result(self, packed: Any) -> Any:
        return trees.unflatten(self.spec, self.layout.unpack(packed))


def _with_tensors(leaves: list[Any], spec: Any) -> tuple[list[Any], Any]:
    """NumPy arrays and numbers with a point as tensors: function and rules are written for these."""
    return [creation.as_tensor(v) if isinstance(v, _NUMBERS) else v for v in leaves], spec


def _arguments(shape: Sequence[tuple[int, Any]], leaves: Sequence[Any]) -> tuple[Any, ...]:
    found, at = [], 0
    for count, spec in shape:
        found.append(trees.unflatten(spec, leaves[at : at + count]))
        at += count
    return tuple(found)


def _check_run(rule: CustomRule, before: Any, outs: Any) -> None:
    name = getattr(rule.f, "__name__", "f")
    if any(node_of(t).pull is not None for t in outs):
        raise DerivativeError(
            f"{name} closes over a tensor that requires a gradient, which its rule could not reach",
            fix="pass the tensor as an argument, or use its .detach() if no gradient is meant",
        )
    if any(_changed(t, n, v) for t, n, v in before):
        raise DerivativeError(f"{name} changes an argument in place", fix="compute a new tensor instead")
    if not all(is_inexact(t.dtype) for t in outs):
        given = ", ".join(str(t.dtype) for t in outs)
        raise DerivativeError(
            f"{name} returns whole numbers, which have no derivative",
            given=given,
            fix="return them from a function of their own",
        )


def _changed(t: Any, n: Any, v: Any) -> bool:
    """Whether a tensor that had the node `n` and the value `v` was changed in place."""
    number = v.__class__ is float and repr(v) != repr(float(t.v))  # repr: NaN is NaN
    return t.n is not n or number or changed_after(n, n.serial) is not None


def _line(fn: Any) -> Source | None:
    code = getattr(fn, "__code__", None)
    return None if code is None else Source(code, -1)


@boundary
def custom_rule(
    f: Callable[..., Any] | None = None, *, jvp: Any = None, vjp: Any = None, elementwise: bool = False
) -> Any:
    """A function whose derivative you state: by forward or by reverse mode, and the other follows. Also a decorator.

    Parameters
    ----------
    f
        Function of tensors, dicts, lists, tuples and other arguments, that returns tensors. Arrays and numbers with a
        point reach it, and the rules, as tensors. What happens inside is not looked at: it may use NumPy, SciPy or a
        solver. It may not close over tensors that require gradients.
    jvp
        ``jvp(primals, tangents, out)`` → tangent of the result. `primals` and `tangents` are tuples with one entry
        per argument (the tangent of a whole number, or of what is no number, is None), `out` is what `f` returned.
        Reverse mode is its transpose.
    vjp
        ``vjp(primals, cotangent, out)`` → tuple with one cotangent per argument, None for zero. Forward mode is its
        transpose, if it computes with chainrule's operations; if it uses NumPy, forward mode is refused.
    elementwise
        Entry i of the result depends on entry i of each argument only: then ``where`` around it masks single entries
        (docs/rules.md, rule 4).

    Keyword arguments reach `f` and the rules. Rules may also be given later, with ``@f.def_jvp`` and ``@f.def_vjp``.
    Higher orders differentiate the rules, so they are right to every order if the rules are.

    Raises
    ------
    DerivativeError (E201)
        No rule; a jvp that is not linear in its tangents; a second derivative of a rule that uses NumPy.
    UnsupportedError (E106)
        A mode that cannot follow from the rule that is there.
    ShapeError (E101), ArgumentError (E104)
        A rule returns something that does not fit the arguments, or the result.

    Cost
    ----
    One operation on the tape, which keeps the arguments and the result; and in the mode that was not given one run of
    the rule and a walk over it.

    Examples
    --------
    >>> import chainrule as cr
    >>> @cr.custom_rule
    ... def log1pexp(x):
    ...     return cr.log(1 + cr.exp(x))
    >>> @log1pexp.def_jvp
    ... def _(primals, tangents, out):
    ...     return tangents[0] * cr.sigmoid(primals[0])
    >>> cr.grad(log1pexp)(0.0), cr.grad(cr.grad(log1pexp))(0.0)
    (tensor(0.5000), tensor(0.2500))
    """
    if f is None:
        return lambda f: custom_rule(f, jvp=jvp, vjp=vjp, elementwise=elementwise)
    check_function(f, "custom_rule")
    for rule in (jvp, vjp):
        if rule is not None:
            check_function(rule, "custom_rule", "custom_rule(f, vjp=rule)")
    return CustomRule(f, jvp, vjp, elementwise)


__all__ = ["CustomRule", "custom_rule"]
