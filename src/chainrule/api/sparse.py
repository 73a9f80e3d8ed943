"""Jacobians and Hessians as sparse matrices: the pattern from the graph, then a few passes for all columns together."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from chainrule.api.batched import vmap
from chainrule.api.gradient import grad
from chainrule.api.linear import linearize
from chainrule.api.products import vjp
from chainrule.dispatch import Handle
from chainrule.errors import ArgumentError, GradientNote
from chainrule.ops import creation
from chainrule.record.graph_of import graph_of
from chainrule.source import boundary
from chainrule.transforms import jacobian as colouring

_DENSE = 0.5  # of the entries: beyond it a sparse matrix saves neither time nor memory


class SparsePlan:
    """How a sparse matrix is computed at arguments of some shapes.

    pattern
        scipy.sparse array of truth values, output entries × input entries in C order.
    colours
        Of the columns (or rows) that share a pass.
    mode
        "forward", "reverse" or "symmetric".
    """

    def __init__(self, pattern: Any, colours: np.ndarray, mode: str) -> None:
        self.pattern, self.colours, self.mode = pattern, colours, mode

    @property
    def passes(self) -> int:
        """Number of passes."""
        return int(self.colours.max(initial=-1)) + 1

    def __str__(self) -> str:
        rows, columns = self.pattern.shape
        entries = self.pattern.nnz
        return (
            f"{rows} × {columns} with {entries} entries that can differ from 0, in {self.passes} passes of "
            f"{'forward' if self.mode != 'reverse' else 'reverse'} mode"
        )


class SparseFunction:
    """What `jacobian(f, sparse=True)` and `hessian(f, sparse=True)` return: call it with the arguments of `f`.

    `plan(…)` with the same arguments has the pattern, and says how many passes it takes.
    """

    def __init__(
        self, f: Callable[..., Any], argnum: Any, compute: Callable[..., Any], plan: Callable[..., SparsePlan]
    ) -> None:
        self.f, self.argnum, self._compute, self._plan = f, argnum, compute, plan

    @boundary
    def __call__(self, *args: Any) -> Any:
        x = _argument(args, self.argnum)
        plan = self._plan(self.f, args, self.argnum)
        _say_if_dense(plan)
        return self._compute(self.f, args, self.argnum, x, plan)

    @boundary
    def plan(self, *args: Any) -> SparsePlan:
        """Pattern, colours and number of passes; only shapes count."""
        _argument(args, self.argnum)
        return self._plan(self.f, args, self.argnum)


def sparse_jacobian(f: Callable[..., Any], argnum: Any, mode: str = "auto") -> SparseFunction:
    """The Jacobian by one argument as a scipy.sparse.csr_array; see `jacobian`."""
    return SparseFunction(f, argnum, _jacobian, partial(jacobian_plan, mode=mode))


def sparse_hessian(f: Callable[..., Any], argnum: Any) -> SparseFunction:
    """The Hessian by one argument as a scipy.sparse.csr_array; see `hessian`."""
    return SparseFunction(f, argnum, _hessian, hessian_plan)


def _jacobian(f: Callable[..., Any], args: tuple[Any, ...], argnum: int, x: Any, plan: SparsePlan) -> Any:
    only = lambda v: f(*args[:argnum], v, *args[argnum + 1 :])
    directions = colouring.seeds(plan.colours)
    if plan.mode == "forward":
        _, push = linearize(only, x)
        products = _together(push, directions, x)
        return colouring.recover(plan.pattern, plan.colours, products)
    value, pull = vjp(only, x)
    products = _together(lambda ct: pull(ct)[0], directions, value)
    return colouring.recover(plan.pattern.T.tocsr(), plan.colours, products).T.tocsr()


def _hessian(f: Callable[..., Any], args: tuple[Any, ...], argnum: int, x: Any, plan: SparsePlan) -> Any:
    _, push = linearize(lambda v: grad(f, argnum)(*args[:argnum], v, *args[argnum + 1 :]), x)
    products = _together(push, colouring.seeds(plan.colours), x)
    return colouring.recover_symmetric(plan.pattern, plan.colours, products)


def jacobian_plan(
    f: Callable[..., Any], args: tuple[Any, ...], argnum: int, *, mode: str = "auto"
) -> SparsePlan:
    """Pattern and colours: of the columns (forward) or of the rows (reverse), whichever need fewer passes."""
    found = colouring.pattern(graph_of(f, *args), argnum)
    plans = []
    if mode != "reverse":
        plans.append(SparsePlan(found, colouring.colour_columns(found), "forward"))
    if mode != "forward":
        plans.append(SparsePlan(found, colouring.colour_columns(found.T.tocsr()), "reverse"))
    return min(plans, key=lambda plan: plan.passes)


def hessian_plan(f: Callable[..., Any], args: tuple[Any, ...], argnum: int) -> SparsePlan:
    """Pattern and star colouring."""
    found = colouring.pattern(graph_of(grad(f, argnum), *args), argnum)
    found = (found + found.T).astype(bool).tocsr()
    return SparsePlan(found, colouring.colour_symmetric(found), "symmetric")


def _argument(args: tuple[Any, ...], argnum: Any) -> Any:
    if not isinstance(argnum, int) or not -len(args) <= argnum < len(args):
        raise ArgumentError(
            "a sparse matrix is by one argument", given=f"argnums={argnum!r}, {len(args)} arguments",
            fix="give the position of one, and ask for each in turn",
        )  # fmt: skip
    x = args[argnum]
    if not isinstance(x, Handle | np.ndarray | float | np.generic):
        raise ArgumentError(
            "a sparse matrix is by one tensor or array", given=type(x).__name__,
            fix="pass the unknowns as one array, and take it apart in the function",
        )  # fmt: skip
    return creation.as_tensor(x)


def _together(apply: Callable[[Any], Any], directions: np.ndarray, like: Any) -> np.ndarray:
    """A linear map on every direction, all at once: directions (built like a tensor) × entries of the result."""
    if not len(directions):
        return np.zeros((0, 0))
    units = creation.as_tensor(directions.astype(like.dtype).reshape(len(directions), *like.shape))
    return np.asarray(vmap(apply)(units).detach()).reshape(len(directions), -1)


def _say_if_dense(plan: SparsePlan) -> None:
    size = plan.pattern.shape[0] * plan.pattern.shape[1]
    if size > 1 and plan.pattern.nnz > _DENSE * size:
        warnings.warn(
            f"sparse=True: {100 * plan.pattern.nnz / size:.0f} % of the entries can differ from 0 "
            f"({plan}); without it it takes no longer",
            GradientNote, stacklevel=4,
        )  # fmt: skip


__all__ = ["SparseFunction", "SparsePlan", "sparse_hessian", "sparse_jacobian"]
