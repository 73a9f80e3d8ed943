"""grad and value_and_grad: the derivative of a function of one number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chainrule.api.run import Run, called_as, check_function, ones_like
from chainrule.source import boundary


@boundary
def value_and_grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that returns the value of `f` together with its gradient.

    Parameters
    ----------
    f
        Function of tensors, arrays or numbers, or of dicts, lists, tuples, named tuples and dataclasses of them,
        that returns one number. It runs once per call, on concrete values: Python `if` and `while` work.
    argnums
        Position (or positions, also negative) of the arguments to differentiate with respect to. The others, and
        keyword arguments, may be anything.
    has_aux
        `f` returns ``(value, anything else)``; the result is then ``((value, anything else), gradient)``.

    Returns
    -------
    Function with the arguments of `f`. It returns ``(value, gradient)``; the gradient is built like the argument,
    with the shapes and dtypes of its tensors (a tuple for several `argnums`). Zeros where `f` does not depend on it.

    Raises
    ------
    NotScalarError (E203)
        `f` returns more than one number.
    ArgumentError (E104)
        `f` returns several tensors, or `argnums` names no argument.
    DtypeError (E102)
        An argument, or a part of one, is made of integers.

    Cost
    ----
    One forward and one backward pass: about 2 to 4 times `f`, and memory for the values that the backward pass
    reads (see `checkpoint`).

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.value_and_grad(lambda w: 4 * w + w**3)(1.0)
    (tensor(5.), tensor(7.))
    >>> cr.value_and_grad(lambda p: p["a"] * p["b"])({"a": 2.0, "b": 3.0})
    (tensor(6.), {'a': tensor(3.), 'b': tensor(2.)})
    """
    check_function(f, "value_and_grad")

    @boundary
    def gradient_with_value(*args: Any, **kwargs: Any) -> Any:
        run, gradient = _gradient(f, args, kwargs, argnums, has_aux)
        value = run.value()
        return ((value, run.aux), gradient) if has_aux else (value, gradient)

    return called_as(gradient_with_value, "value_and_grad", f)


@boundary
def grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that returns the gradient of a function of one number.

    Parameters, errors and cost are those of `value_and_grad`; with `has_aux` the result is
    ``(gradient, anything else)``. The result can be differentiated again, to any order.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import grad, sin
    >>> grad(lambda x: (x * sin(x)).sum())(np.array([0.0, np.pi]))
    tensor([ 0.0000, -3.1416])
    >>> grad(grad(lambda x: x**3))(2.0)
    tensor(12.)
    >>> grad(lambda x, y: x * y**2, argnums=(0, 1))(2.0, 3.0)
    (tensor(9.), tensor(12.))
    """
    check_function(f, "grad")

    @boundary
    def gradient(*args: Any, **kwargs: Any) -> Any:
        run, result = _gradient(f, args, kwargs, argnums, has_aux)
        return (result, run.aux) if has_aux else result

    return called_as(gradient, "grad", f)


def _gradient(f: Any, args: Any, kwargs: Any, argnums: Any, has_aux: bool) -> tuple[Run, Any]:
    run = Run(f, args, kwargs, argnums, has_aux)
    run.check_scalar("a gradient")
    return run, run.pack(run.pull([ones_like(run.out)]))


__all__ = ["grad", "value_and_grad"]
