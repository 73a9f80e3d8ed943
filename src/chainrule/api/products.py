"""vjp, jvp and hvp: products with a derivative that is never formed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chainrule.api import trees
from chainrule.api.run import Run, check_function, hessian_product, ones_like
from chainrule.errors import ArgumentError
from chainrule.source import boundary


@boundary
def vjp(f: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """Value of `f` and a function that pulls a cotangent of it back to the arguments.

    Parameters
    ----------
    f
        Function of tensors, arrays or numbers, or of dicts, lists, tuples and dataclasses of them; it may return any
        of these too. It runs once, here.
    primals
        The point: all arguments of `f`.
    has_aux
        `f` returns ``(value, anything else)``.

    Returns
    -------
    ``(value, pullback)``, or ``(value, pullback, anything else)``. ``pullback(ct)`` takes a cotangent built like the
    value (None where it is zero; nothing at all for 1 if the value is one number) and returns a tuple with ctᵀJ for
    each argument, built like it. It may be called any number of times.

    Raises
    ------
    ShapeError (E101), ArgumentError (E104)
        A cotangent does not have the shape, or the structure, of the value.
    DtypeError (E102)
        An argument is made of integers.

    Cost
    ----
    One run of `f`; each call of `pullback` about 1 to 3 times that. The pullback holds what `f` computed.

    Examples
    --------
    >>> import chainrule as cr
    >>> value, pullback = cr.vjp(lambda z: cr.cat([2 * z, z**4]), cr.tensor([-1.0]))
    >>> pullback(cr.tensor([1.0, 1.0]))
    (tensor([-2.]),)
    >>> value, pullback = cr.vjp(lambda x, y: {"product": x * y, "sum": x + y}, 2.0, 3.0)
    >>> pullback({"product": 1.0, "sum": 10.0})
    (tensor(13.), tensor(12.))
    """
    check_function(f, "vjp", "vjp(f, x)")
    run = Run(f, primals, {}, tuple(range(len(primals))), has_aux)

    @boundary
    def pullback(cotangent: Any = None) -> tuple[Any, ...]:
        if cotangent is None:
            run.check_scalar("a pullback without a cotangent")
            return run.pack(run.pull([ones_like(run.out)]))
        return run.pack(run.pull(run.cotangents(cotangent)))

    return (run.value(), pullback, run.aux) if has_aux else (run.value(), pullback)


@boundary
def jvp(
    f: Callable[..., Any],
    primals: Sequence[Any],
    tangents: Sequence[Any],
    *,
    strict: bool = False,
    has_aux: bool = False,
) -> Any:
    """Value of `f` and its derivative along a direction: J·tangent.

    Parameters
    ----------
    f
        As for `vjp`.
    primals, tangents
        Tuples with one entry per argument of `f`; a tangent is built like its argument, with equal shapes (None
        where it is zero).
    strict
        Accepted for PyTorch's sake: an output that does not depend on the arguments has the tangent 0.
    has_aux
        `f` returns ``(value, anything else)``.

    Returns
    -------
    ``(value, tangent of the value)``, built alike; with `has_aux` also the rest.

    Raises
    ------
    ShapeError (E101), ArgumentError (E104)
        A tangent does not have the shape, or the structure, of its argument.
    DtypeError (E102)
        An argument is made of integers.

    Cost
    ----
    About the cost of `f` once more, whatever the number of arguments and outputs.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.jvp(lambda w: 4 * w + w**3, (1.0,), (1.0,))
    (tensor(5.), tensor(7.))
    """
    check_function(f, "jvp", "jvp(f, (x,), (t,))")
    _check_tuples("jvp", primals, tangents)
    run = Run(f, tuple(primals), {}, tuple(range(len(primals))), has_aux)
    pushed = trees.unflatten(run.out_spec, run.push(run.tangents(tangents)))
    return (run.value(), pushed, run.aux) if has_aux else (run.value(), pushed)


@boundary
def hvp(f: Callable[..., Any], primals: Any, tangents: Any) -> Any:
    """Value of `f` and Hessian times vector, without the Hessian.

    Parameters
    ----------
    f
        Function of one argument or several that returns one number; arguments as for `value_and_grad`.
    primals, tangents
        The point and the direction: the argument itself, or tuples with one entry per argument.

    Returns
    -------
    ``(value, product)``, the product built like `primals`: for several arguments it has all blocks of the Hessian in
    it, Σⱼ ∂²f/∂xᵢ∂xⱼ · tⱼ.

    Raises
    ------
    NotScalarError (E203)
        `f` returns more than one number.
    ShapeError (E101), ArgumentError (E104)
        A tangent does not have the shape, or the structure, of its argument.

    Cost
    ----
    About 3 to 5 times `f`, for all arguments together, and never the n² numbers of a Hessian: tangents are carried
    forward over the operations of `f`, then the gradient and how it changes backward, in one walk. About three
    times that where the gradient is recorded first: inside another transform, and with `custom_rule` or linear
    algebra in `f`.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.hvp(lambda w: (w**3).sum(), cr.tensor([1.0, 2.0]), cr.tensor([1.0, 1.0]))
    (tensor(9.), tensor([ 6., 12.]))
    >>> cr.hvp(lambda x, y: x**2 * y, (2.0, 3.0), (1.0, 10.0))
    (tensor(12.), (tensor(46.), tensor(4.)))
    """
    check_function(f, "hvp", "hvp(f, x, t)")
    single = not isinstance(primals, tuple | list)
    ps, ts = ((primals,), (tangents,)) if single else (primals, tangents)
    _check_tuples("hvp", ps, ts)
    value, products = hessian_product(f, ps, ts, "hvp")
    return value, products[0] if single else products


def _check_tuples(name: str, primals: Any, tangents: Any) -> None:
    if not isinstance(primals, tuple | list) or not isinstance(tangents, tuple | list):
        raise ArgumentError(
            f"{name} takes the arguments and the tangents as tuples",
            given=f"{type(primals).__name__}, {type(tangents).__name__}", fix=f"write {name}(f, (x,), (t,))",
        )  # fmt: skip
    if len(primals) != len(tangents):
        fix = "pass one tangent per argument, as tuples"
        raise ArgumentError(f"{len(primals)} primals and {len(tangents)} tangents", fix=fix)


__all__ = ["hvp", "jvp", "vjp"]
