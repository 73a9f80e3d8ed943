"""Checks of one rule of the table at one case. Each raises AssertionError where the rule is wrong.

Structure comes first: the transpose identity and linearity need no step size, so they hold to rounding and
catch what differences cannot see.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.ir.types import type_of
from chainrule.tape import numbers
from chainrule.testing.finite import central
from chainrule.testing.samples import Case
from chainrule.transforms.derive import pullback, pushforward

RTOL = 1e-12


def push(case: Case, tangents: Sequence[Any], emit: Callable[..., Any] = numbers.emit) -> Any:
    """J·t in the domain of numbers; a tangent that is None is zero. The result may be None: zero."""
    with np.errstate(all="ignore"):
        return pushforward(case.p, case.args, case.value(), case.params, tangents, emit)


def pull(
    case: Case, ct: Any, wanted: Sequence[int], emit: Callable[..., Any] = numbers.emit
) -> dict[int, Any]:
    """Jᵀ·ct in the domain of numbers: position of an input → its cotangent, for the `wanted` ones."""
    flags = [k in wanted for k in range(len(case.args))]
    with np.errstate(all="ignore"):
        out = case.value()
        pulled = pullback(case.p, case.args, out, case.params, ct, None, flags, emit)
        return {k: numbers.dense(c) for k, c, _ in pulled}


def random_like(rng: np.random.Generator, v: Any) -> Any:
    """Normal numbers with the shape and dtype of `v`."""
    t = type_of(v)
    if t.dtype.kind == "c":
        return (rng.normal(size=t.shape) + 1j * rng.normal(size=t.shape)).astype(t.dtype)
    return np.asarray(rng.normal(size=t.shape)).astype(t.dtype)[()]


def tangents_for(case: Case, wanted: Sequence[int], rng: np.random.Generator) -> list[Any]:
    """A random tangent for each wanted input, None for the others."""
    return [random_like(rng, a) if k in wanted else None for k, a in enumerate(case.args)]


def inner(a: Any, b: Any) -> tuple[float, float]:
    """⟨a, b⟩ = Re Σ āb, and the sum of the absolute values: the scale of its rounding error."""
    products = np.real(np.conj(np.asarray(a)) * b).ravel()
    return float(np.sum(products)), float(np.sum(np.abs(products)))


def check_transpose(case: Case, wanted: Sequence[int], rng: np.random.Generator) -> None:
    """⟨ct, J t⟩ = ⟨Jᵀ ct, t⟩ for random ct and t, to rounding error."""
    ts, ct = tangents_for(case, wanted, rng), random_like(rng, case.value())
    check_transpose_of(case, push(case, ts), pull(case, ct, wanted), ts, ct)


def check_transpose_of(case: Case, jt: Any, cts: dict[int, Any], ts: Sequence[Any], ct: Any) -> None:
    """The identity for a tangent and cotangents that were computed in any domain."""
    assert all(np.shape(c) == case.args[k].shape for k, c in cts.items()), "a cotangent has another shape"
    assert all(np.asarray(c).dtype == case.args[k].dtype for k, c in cts.items()), "a cotangent changed dtype"
    left, scale = (0.0, 0.0) if jt is None else inner(ct, jt)
    pairs = [inner(c, ts[k]) for k, c in cts.items()]
    right = sum(value for value, _ in pairs)
    scale += sum(size for _, size in pairs)
    eps = max(np.finfo(a.dtype).eps for a in (*case.args, case.value()) if a.dtype.kind in "fc")
    assert abs(left - right) <= RTOL * eps / np.finfo(float).eps * scale, (
        f"<ct, J t> = {left}, <Jᵀct, t> = {right}"
    )


def check_linear(case: Case, wanted: Sequence[int], rng: np.random.Generator) -> None:
    """J(2t) = 2·J t exactly (a factor 2 does not round), and J(s + t) = J s + J t."""
    ts, ss = tangents_for(case, wanted, rng), tangents_for(case, wanted, rng)
    jt, js = push(case, ts), push(case, ss)
    if jt is None:
        return
    twice = push(case, [None if t is None else 2 * t for t in ts])
    np.testing.assert_array_equal(twice, 2 * np.asarray(jt))
    both = push(case, [None if t is None else s + t for s, t in zip(ss, ts, strict=True)])
    size = np.max(np.abs(jt), initial=0.0) + np.max(np.abs(js), initial=0.0)
    np.testing.assert_allclose(both, js + jt, rtol=RTOL, atol=RTOL * size)


def check_differences(case: Case, rng: np.random.Generator, rtol: float = 1e-8, atol: float = 1e-9) -> None:
    """J t agrees with central differences of the value, each argument moved in proportion to its size.

    The absolute tolerance is a billionth of the largest entry; a point outside the domain is an error.
    """
    wanted = case.differentiable()
    ts = [
        t if t is None else t * _size(case, a)
        for t, a in zip(tangents_for(case, wanted, rng), case.args, strict=True)
    ]

    def moved(s: float) -> Any:
        return case.value(*(a if t is None else a + s * t for a, t in zip(case.args, ts, strict=True)))

    numeric, scale = _scaled(moved)
    jt = push(case, ts)
    jt = np.zeros(numeric.shape) if jt is None else np.asarray(jt) / scale
    np.testing.assert_allclose(
        jt, numeric, rtol=rtol, atol=atol * max(1.0, np.max(np.abs(numeric), initial=0.0))
    )


def _scaled(moved: Callable[[float], Any]) -> tuple[Any, float]:
    """Differences of a value in units of its own size: 1e300 and 1e-300 alike."""
    top = float(np.max(np.abs(moved(0.0)), initial=0.0))
    scale = top if 0 < top < np.inf else 1.0
    return central(lambda s: np.asarray(moved(s)) / scale), scale


def check_second_order(case: Case, rng: np.random.Generator) -> None:
    """The gradient of ⟨ct, f⟩, differentiated along a direction: agrees with differences, is symmetric."""
    from chainrule.api.gradient import grad
    from chainrule.api.products import jvp
    from chainrule.dispatch import bind

    wanted = case.differentiable()
    ct = random_like(rng, case.value())
    weights = np.asarray(ct)

    def weighted(*xs: Any) -> Any:
        out = bind(case.p, *filled(case, wanted, xs), **case.params)
        return (out * weights).sum()

    gradient = grad(weighted, argnums=tuple(range(len(wanted))))
    at = [case.args[k] for k in wanted]
    ts, ss = ([random_like(rng, a) * _size(case, a) for a in at] for _ in range(2))
    ht, hs = (jvp(lambda *xs: _flat(gradient(*xs)), at, d)[1] for d in (ts, ss))
    moved = lambda s: _flat_array(gradient(*(a + s * t for a, t in zip(at, ts, strict=True))))
    numeric, scale = _scaled(moved)
    ht, hs = (np.asarray(v) / scale for v in (ht, hs))
    atol = 1e-7 * max(1.0, np.max(np.abs(numeric), initial=0.0))
    np.testing.assert_allclose(ht, numeric, rtol=1e-7, atol=atol)
    (left, size), (right, more) = inner(_flat_array(ss), ht), inner(_flat_array(ts), hs)
    assert abs(left - right) <= 1e-11 * (size + more), f"<s, H t> = {left}, <t, H s> = {right}"


def _size(case: Case, a: Any) -> Any:
    """How far to move `a`: by its own size, or where it is 0 by that of the largest argument."""
    top = max((float(np.max(np.abs(case.args[k]), initial=0.0)) for k in case.differentiable()), default=0.0)
    return np.where(a == 0, top or 1.0, np.abs(a))


def filled(case: Case, wanted: Sequence[int], xs: Sequence[Any]) -> list[Any]:
    """The arguments of the case with `xs` in the wanted places."""
    args = list(case.args)
    for k, x in zip(wanted, xs, strict=True):
        args[k] = x
    return args


def _flat(xs: Sequence[Any]) -> Any:
    from chainrule.ops.join import cat

    return cat([x.reshape(-1) for x in xs])


def _flat_array(xs: Sequence[Any]) -> np.ndarray:
    return np.concatenate([np.asarray(x).reshape(-1) for x in xs])
