"""A recorder for tangents: the linear part of a program, and its transpose.

Primals stay what they are (numbers, tensors, equations); tangents are variables of a small program. Whatever does not
touch a tangent is computed at once by the outer `emit`; what is recorded is the linear map, and its free values
are its residuals. No partial evaluation is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from chainrule.ir.types import Type, broadcast_shapes, type_of
from chainrule.table.formula import Emit
from chainrule.table.primitive import TABLE, Primitive
from chainrule.transforms.derive import join, pullback
from chainrule.transforms.walk import reverse


class _Tangent:
    """A variable of the linear program."""

    __slots__ = ("dtype", "shape")

    def __init__(self, t: Type) -> None:
        self.shape, self.dtype = t.shape, t.dtype


class _Step:
    """One recorded equation of the linear program."""

    __slots__ = ("args", "out", "p", "params")

    def __init__(self, p: Primitive, args: Sequence[Any], params: dict[str, Any], out: _Tangent) -> None:
        self.p, self.args, self.params, self.out = p, args, params, out


def _infer(p: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Type:
    types = [type_of(a) for a in args]
    if p.kind == "elementwise":
        tangents = [t for a, t in zip(args, types, strict=True) if isinstance(a, _Tangent)]
        return Type(broadcast_shapes(*(t.shape for t in types)), tangents[0].dtype)
    return p.type_rule(*types, **params)


def pull_jvp(
    p: Primitive,
    args: Sequence[Any],
    out: Any,
    params: dict[str, Any],
    ct: Any,
    mask: Any,
    wanted: Sequence[bool],
    emit: Emit,
) -> Iterator[tuple[int, Any, Any]]:
    """Pullback of a `Jvp` rule: its push, recorded on tangent variables and transposed.

    Cotangents travel with their masks, see Note [Inactive routes] in derive.py.
    """
    steps: list[_Step] = []

    def record(name: str, *xs: Any, **ps: Any) -> Any:
        if not any(isinstance(x, _Tangent) for x in xs):
            return emit(name, *xs, **ps)
        q = TABLE[name]
        steps.append(_Step(q, xs, ps, _Tangent(_infer(q, xs, ps))))
        return steps[-1].out

    record.simplifies = True  # type: ignore[attr-defined]
    tangents = [_Tangent(type_of(a)) if w else None for a, w in zip(args, wanted, strict=True)]
    result = p.rule.push(record, args, tangents, out, **params)  # type: ignore[union-attr]

    def pull(step: _Step, pair: Any) -> Iterator[tuple[Any, Any]]:
        linear = [isinstance(a, _Tangent) for a in step.args]
        for k, c, m in pullback(
            step.p, step.args, step.out, step.params, *pair, linear, emit, masks=mask is not None
        ):
            yield step.args[k], (c, m)

    def add(a: Any, b: Any) -> Any:
        return emit("add", a[0], b[0]), join(emit, a[1], b[1])

    cts = {result: (ct, mask)}
    reverse(reversed(steps), cts, lambda s: cts.get(s.out), pull, add)
    for k, t in enumerate(tangents):
        if t is not None:  # each wanted input gets a cotangent, as from every other kind of rule
            yield k, *(cts[t] if t in cts else (emit("zeros", shape=t.shape, dtype=t.dtype), None))
