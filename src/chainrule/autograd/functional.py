"""torch.autograd.functional's names and signatures: products and matrices of derivatives at a point.

`func` takes one tensor or several, and returns a tensor or a tuple of them. `create_graph=False`, the default, gives
results without a history; `create_graph=True` connects them with `inputs`. `strict=True` refuses functions whose
outputs were computed without one of the inputs, instead of saying that the derivative is 0. `vectorize` is accepted.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from chainrule.api.jacobian import blocks_of
from chainrule.api.run import Run, check_function, gradient_run, ones_like
from chainrule.errors import ArgumentError, UnusedError
from chainrule.source import boundary
from chainrule.tape.modes import no_grad

Function = Callable[..., Any]


@boundary
def vjp(func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """Outputs, and vᵀJ for each input; `v` is built like the outputs and may be left out for one number.

    Cost: one run, and one backward pass.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.autograd.functional.vjp(lambda x: x**2, cr.tensor([1.0, 2.0]), cr.tensor([1.0, 1.0]))
    (tensor([1., 4.]), tensor([2., 4.]))
    """
    with _recording(create_graph):
        run = _run(func, inputs, strict)
        if v is None:
            if run.out_spec is not None or run.out.numel() != 1:
                raise _no_vector("output of the function")
            weights = [ones_like(run.out)]
        else:
            weights = run.cotangents(_like(v, run.out_spec))
        return run.value(), run.pack(run.pull(weights))


@boundary
def jvp(func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """Outputs, and J·v for each output; `v` is built like the inputs and may be left out for one number.

    Cost: one run, and one forward walk.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.autograd.functional.jvp(lambda x: x**2, cr.tensor([1.0, 2.0]), cr.tensor([1.0, 1.0]))
    (tensor([1., 4.]), tensor([2., 4.]))
    """
    with _recording(create_graph):
        run = _run(func, inputs, strict)
        tangents = run.push(run.tangents(_direction(run, v)))
        return run.value(), tuple(tangents) if run.out_spec is not None else tangents[0]


@boundary
def jacobian(
    func: Function,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """Jacobian of each output by each input: a Tensor, or a tuple (outputs) of tuples (inputs) of them.

    strategy
        "reverse-mode" (one pass per output entry) or "forward-mode" (one per input entry).

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.autograd.functional.jacobian(lambda x: x**2, cr.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    _check_strategy(strategy)
    with _recording(create_graph):
        run = _run(func, inputs, strict)
        rows = [run.pack(row) for row in blocks_of(run, strategy.removesuffix("-mode"))]
        return tuple(rows) if run.out_spec is not None else rows[0]


@boundary
def hessian(
    func: Function,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """Second derivatives of a function of one number: a Tensor, or a tuple of tuples of them.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.autograd.functional.hessian(lambda x, y: x**2 * y, (cr.tensor(1.0), cr.tensor(3.0)))
    ((tensor(6.), tensor(2.)), (tensor(2.), tensor(0.)))
    """
    _check_strategy(outer_jacobian_strategy)
    with _recording(create_graph):
        run = _gradient_run(func, inputs, strict)
        rows = [run.pack(row) for row in blocks_of(run, outer_jacobian_strategy.removesuffix("-mode"))[1:]]
        return tuple(rows) if isinstance(inputs, tuple | list) else rows[0][0]


@boundary
def hvp(func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """Value, and the Hessian times `v`; `v` is built like the inputs.

    Cost: one recorded gradient, and one forward walk over it.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.autograd.functional.hvp(lambda x: (x**3).sum(), cr.tensor([1.0, 2.0]), cr.tensor([1.0, 1.0]))
    (tensor(9.), tensor([ 6., 12.]))
    """
    with _recording(create_graph):
        run = _gradient_run(func, inputs, strict)
        products = run.pack(run.push(run.tangents(_direction(run, v)))[1:])
        return run.plain(run.out), products if isinstance(inputs, tuple | list) else products[0]


@boundary
def vhp(func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """Value, and vᵀ times the Hessian: as `hvp`, but by a second backward pass; equal, as Hessians are symmetric.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.autograd.functional.vhp(lambda x: (x**3).sum(), cr.tensor([1.0, 2.0]), cr.tensor([1.0, 1.0]))
    (tensor(9.), tensor([ 6., 12.]))
    """
    with _recording(create_graph):
        run = _gradient_run(func, inputs, strict)
        products = run.pack(run.pull([None, *run.tangents(_direction(run, v))]))
        return run.plain(run.out), products if isinstance(inputs, tuple | list) else products[0]


# --- what they share -------------------------------------------------------------------------------


def _recording(create_graph: bool) -> Any:
    return nullcontext() if create_graph else no_grad()


def _check_strategy(strategy: str) -> None:
    if strategy not in ("reverse-mode", "forward-mode"):
        raise ArgumentError(f"there is no strategy {strategy!r}", fix="use 'reverse-mode' or 'forward-mode'")


def _run(func: Function, inputs: Any, strict: bool) -> Run:
    """The function at its inputs; every input and output is a tensor."""
    several = isinstance(inputs, tuple | list)
    args = tuple(inputs) if several else (inputs,)
    run = Run(func, args, {}, tuple(range(len(args))) if several else 0)
    _check_tensors(run)
    if strict:
        _check_used(run)
    return run


def _check_tensors(run: Run) -> None:
    if any(spec is not None for spec, _ in run.specs):
        fix = "pass a tensor or a tuple of them; jacobian, vjp and jvp of chainrule take dicts and lists"
        raise ArgumentError("an input is no tensor", fix=fix)


def _check_used(run: Run, *, first: int = 0) -> None:
    """Raise if an output from number `first` on does not depend on an input."""
    for k, j in run.unused():
        if k >= first:
            what = f"output {k}" if not first else f"the gradient by input {k - first}"
            raise UnusedError(
                f"{what} does not depend on input {j}, and strict=True wants every one to",
                fix="leave out strict=True to get zeros, or leave out the input",
            )


def _gradient_run(func: Function, inputs: Any, strict: bool) -> Run:
    """Value and gradients, flat, as outputs of a run."""
    check_function(func, "the gradient")
    args = tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)
    run = gradient_run(func, args, "a Hessian")
    _check_tensors(run)
    if strict:
        _check_used(run, first=1)
    return run


def _direction(run: Run, v: Any) -> tuple[Any, ...]:
    if v is None:
        if len(run.inputs) != 1 or run.inputs[0].numel() != 1:
            raise _no_vector("input")
        return (ones_like(run.inputs[0]),)
    vs = tuple(v) if isinstance(v, tuple | list) else (v,)
    if len(vs) != len(run.specs):
        fix = "pass v as a tuple with one tensor per input"
        raise ArgumentError(f"{len(vs)} tensors in v, and {len(run.specs)} inputs", fix=fix)
    return vs


def _like(v: Any, spec: Any) -> Any:
    return tuple(v) if spec is not None and isinstance(v, list) else v


def _no_vector(of: str) -> ArgumentError:
    return ArgumentError(
        f"the vector v may be left out only where there is one {of} with one entry",
        fix=f"pass v with the shape of the {of}",
    )


__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]
