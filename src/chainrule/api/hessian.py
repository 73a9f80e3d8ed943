"""hessian: all second derivatives of a function of one number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chainrule.api.gradient import grad
from chainrule.api.jacobian import jacrev
from chainrule.api.run import check_function
from chainrule.source import boundary


@boundary
def hessian(
    f: Callable[..., Any],
    x: Any = None,
    /,
    *args: Any,
    argnums: int | Sequence[int] = 0,
    sparse: bool = False,
) -> Any:
    """Hessian of a function of one number: all second derivatives.

    Parameters
    ----------
    f
        As for `grad`.
    x, args
        The point; without one, the result is a function with the arguments of `f`.
    argnums
        Position (or positions) of the arguments to differentiate with respect to.
    sparse
        A ``scipy.sparse.csr_array`` of ``input entries × input entries``: the pattern is read off the graph of the
        gradient, and a star colouring lets columns share passes. For one argument that is an array.

    Returns
    -------
    Tensor of shape ``input shape + input shape``. For several `argnums` a tuple of tuples, for dicts a dict of dicts:
    ``H["a"]["b"]`` is ∂²f/∂a∂b.

    Raises
    ------
    NotScalarError (E203)
        `f` returns more than one number (`func.hessian` takes such functions).

    Cost
    ----
    One recorded gradient, and one backward pass through it per input entry; many passes run together. For products
    with a vector use `hvp`. With `sparse`: one pass per colour, for a chain of any length three.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.hessian(lambda w: w[0] ** 2 * w[1], cr.tensor([1.0, 3.0]))
    tensor([[6., 2.],
            [2., 0.]])
    >>> cr.hessian(lambda p: p["a"] ** 2 * p["b"])({"a": 1.0, "b": 3.0})["a"]
    {'a': tensor(6.), 'b': tensor(2.)}
    >>> chain = lambda x: ((x[1:] - x[:-1] ** 2) ** 2).sum()
    >>> cr.hessian(chain, cr.ones(10_000), sparse=True).nnz
    29998
    """
    check_function(f, "hessian")
    if sparse:
        from chainrule.api.sparse import sparse_hessian

        by_colours = sparse_hessian(f, argnums)
        return by_colours if x is None and not args else by_colours(x, *args)
    by = jacrev(grad(f, argnums), argnums)
    return by if x is None and not args else by(x, *args)


__all__ = ["hessian"]
