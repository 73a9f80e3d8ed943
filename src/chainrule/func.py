"""torch.func's names and signatures: transforms of functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chainrule.api import gradient, jacobian, products
from chainrule.errors import refusing as _refusing
from chainrule.source import boundary

Argnums = int | Sequence[int]


@boundary
def grad(func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that returns the gradient of a function of one number: `chainrule.grad`.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.func.grad(cr.sin)(cr.tensor(0.0))
    tensor(1.)
    """
    return gradient.grad(func, argnums, has_aux)


@boundary
def grad_and_value(
    func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """As `chainrule.value_and_grad`, with the gradient first.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.func.grad_and_value(lambda w: 4 * w + w**3)(1.0)
    (tensor(7.), tensor(5.))
    """
    both = gradient.value_and_grad(func, argnums, has_aux)

    @boundary
    def gradient_first(*args: Any, **kwargs: Any) -> Any:
        value, found = both(*args, **kwargs)
        return found, value

    return gradient_first


@boundary
def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """Value of a function and its pullback: `chainrule.vjp`.

    Examples
    --------
    >>> import chainrule as cr
    >>> value, pullback = cr.func.vjp(cr.sin, cr.tensor([0.0, 0.0]))
    >>> pullback(cr.tensor([1.0, 2.0]))
    (tensor([1., 2.]),)
    """
    return products.vjp(func, *primals, has_aux=has_aux)


@boundary
def jvp(
    func: Callable[..., Any],
    primals: Sequence[Any],
    tangents: Sequence[Any],
    *,
    strict: bool = False,
    has_aux: bool = False,
) -> Any:
    """Value of a function and its derivative along a direction: `chainrule.jvp`.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.func.jvp(cr.sin, (cr.tensor(0.0),), (cr.tensor(2.0),))
    (tensor(0.), tensor(2.))
    """
    return products.jvp(func, primals, tangents, strict=strict, has_aux=has_aux)


@boundary
def jacrev(
    func: Callable[..., Any],
    argnums: Argnums = 0,
    *,
    has_aux: bool = False,
    chunk_size: int | None = None,
    _preallocate_and_copy: bool = False,
) -> Callable[..., Any]:
    """Jacobian by reverse mode: `chainrule.jacrev`.

    `chunk_size` is accepted: rows are computed one after another, so there is no batch of them to cut up.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.func.jacrev(lambda x: x**2)(cr.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    return jacobian.jacrev(func, argnums, has_aux)


@boundary
def jacfwd(
    func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False, *, randomness: str = "error"
) -> Callable[..., Any]:
    """Jacobian by forward mode: `chainrule.jacfwd`.

    `randomness` is accepted: the function runs once, so its random numbers are the same for every column.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.func.jacfwd(lambda x: x**2)(cr.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    return jacobian.jacfwd(func, argnums, has_aux)


@boundary
def hessian(func: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """All second derivatives of a function of one number, or of each number that it returns.

    Returns
    -------
    A function that gives tensors of shape ``output shape + input shape + input shape``.

    Cost
    ----
    As `chainrule.hessian`, times the number of outputs.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.func.hessian(lambda x: x**3)(cr.tensor([1.0, 2.0])).shape
    (2, 2, 2)
    """
    return jacobian.jacrev(jacobian.jacrev(func, argnums), argnums)


@boundary
def linearize(func: Callable[..., Any], *primals: Any) -> Any:
    """Value of a function, and its derivative there as a function of the tangents: `chainrule.linearize`.

    Examples
    --------
    >>> import chainrule as cr
    >>> value, push = cr.func.linearize(cr.sin, cr.tensor(0.0))
    >>> push(cr.tensor(3.0))
    tensor(3.)
    """
    from chainrule.api import linear

    return linear.linearize(func, *primals)


@boundary
def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """A function of one example, on many at once: `chainrule.vmap`.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.func.vmap(cr.func.grad(lambda x: x**3))(cr.tensor([1.0, 2.0]))
    tensor([ 3., 12.])
    """
    from chainrule.api import batched

    return batched.vmap(func, in_dims, out_dims, randomness, chunk_size=chunk_size)


__all__ = ["grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize", "vjp", "vmap"]

__getattr__ = _refusing("chainrule.func", __all__, "use one of those in dir(chainrule.func)")
