"""jacobian, jacrev and jacfwd: the derivative of each output with respect to each input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.api import trees
from chainrule.api.passes import each_unit
from chainrule.api.run import Run, check_function
from chainrule.dispatch import Handle, node_of
from chainrule.eager.backward import _gradient_tensor, pull_back
from chainrule.errors import ArgumentError, DerivativeError, DtypeError
from chainrule.ops import array, creation
from chainrule.source import boundary
from chainrule.tape.pull import settle

_MODES = ("auto", "reverse", "forward")
_LAYOUTS = ("numerator", "denominator")


class Plan(NamedTuple):
    """How a Jacobian is computed: `mode` "reverse" (one pass per output entry) or "forward" (one per input entry)."""

    mode: str
    outputs: int
    inputs: int

    @property
    def passes(self) -> int:
        """Number of passes over the tape."""
        return self.outputs if self.mode == "reverse" else self.inputs

    def __str__(self) -> str:
        each = {"reverse": ("output", self.outputs), "forward": ("input", self.inputs)}
        entry, passes = each[self.mode]
        other, instead = each["forward" if self.mode == "reverse" else "reverse"]
        plural = "" if passes == 1 else "es"
        return (
            f"{self.mode} mode: {passes} pass{plural}, one per {entry} entry (the other mode: {instead}, one per "
            f"{other} entry)"
        )


class JacobianFunction:
    """The function that `jacobian(f)` returns: call it with the arguments of `f`.

    `plan(…)` with the same arguments says which mode it takes there, and how many passes that is.
    """

    def __init__(
        self,
        f: Callable[..., Any],
        argnums: int | Sequence[int],
        has_aux: bool,
        mode: str = "auto",
        layout: str = "numerator",
    ) -> None:
        self.f, self.argnums, self.has_aux, self.mode, self.layout = f, argnums, has_aux, mode, layout

    @boundary
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        run = Run(self.f, args, kwargs, self.argnums, self.has_aux)
        blocks = blocks_of(run, self._plan(run).mode)
        if self.layout == "denominator":
            blocks = [
                [_transposed(b, len(out.shape)) for b in row]
                for row, out in zip(blocks, run.outs, strict=True)
            ]
        result = trees.unflatten(run.out_spec, [run.pack(row) for row in blocks])
        return (result, run.aux) if self.has_aux else result

    @boundary
    def plan(self, *args: Any, **kwargs: Any) -> Plan:
        """The mode that is taken at these arguments, and how many passes; `f` runs once."""
        return self._plan(Run(self.f, args, kwargs, self.argnums, self.has_aux))

    def _plan(self, run: Run) -> Plan:
        outputs, inputs = (sum(t.numel() for t in ts) for ts in (run.outs, run.inputs))
        mode = self.mode
        if mode == "auto":
            mode = "reverse" if outputs <= inputs and not _complex(run) else "forward"
        return Plan(mode, outputs, inputs)


# Note [Complex Jacobians]
# A pass of reverse mode at complex numbers gives the direction of steepest ascent of one real number, which is no row
# of a Jacobian. A pass of forward mode gives a column of it if the function is holomorphic; that is looked at: the
# derivative along the imaginary axis must be i times that along the real one.


def _complex(run: Run) -> bool:
    return any(t.dtype.kind == "c" for t in (*run.outs, *run.inputs))


def _check_holomorphic(columns: list[Any], along: list[Any]) -> None:
    for c, i in zip(columns, along, strict=True):
        a, b = np.asarray(c.detach()) * 1j, np.asarray(i.detach())
        if not np.allclose(a, b, rtol=1e-6, atol=1e-9 * np.max(np.abs(a), initial=1.0), equal_nan=True):
            raise DerivativeError(
                "the function is not holomorphic, so its derivative at complex numbers is no single number",
                given="the derivative along the imaginary axis is not i times the one along the real axis",
                fix="differentiate by the real and the imaginary part, or use grad for one real output",
            )


@boundary
def jacobian(
    f: Any,
    x: Any = None,
    /,
    *args: Any,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    mode: str = "auto",
    layout: str = "numerator",
    sparse: bool = False,
) -> Any:
    """Jacobian: the derivative of each output with respect to each input.

    Parameters
    ----------
    f
        A function (as for `vjp`: tensors, dicts, lists, tuples, dataclasses in and out), or a Tensor that is
        computed already.
    x, args
        Unless given, the result is a function with the arguments of `f`. With a function: the point. With a
        Tensor: the tensor (leaf or computed) to differentiate with respect to; the tape is read and kept.
    argnums
        Position (or positions) of the arguments to differentiate with respect to.
    has_aux
        `f` returns ``(value, anything else)``; the result is then ``(Jacobian, anything else)``.
    mode
        "auto" takes the one with fewer passes, reverse if they are equal and forward for complex outputs;
        ``jacobian(f).plan(x)`` says which, and how many passes. "reverse" and "forward" decide it.
    layout
        "numerator": shape ``output shape + input shape``, row i holds the derivatives of output i.
        "denominator": the transpose, ``input shape + output shape``, as some books and courses write it.
    sparse
        A ``scipy.sparse.csr_array`` of ``output entries × input entries``: which entries can differ from 0 is read off
        the graph of `f`, and columns (or rows) that meet nowhere share a pass. For one argument that is an array; `f`
        is recorded, so Python's `if` cannot look at its numbers. ``jacobian(f, sparse=True).plan(x)`` has the pattern.

    Returns
    -------
    Tensor; for dicts, lists and tuples the structure of the outputs, in each of its places that of the inputs:
    ``J["loss"]["w"]``.

    Raises
    ------
    DtypeError (E102)
        An argument is made of integers.
    DerivativeError (E201)
        A tensor, or what to differentiate it by, does not require a gradient; or a function of complex numbers is
        not holomorphic.

    Cost
    ----
    One run of `f`, and one pass per output entry (reverse) or per input entry (forward), whichever are fewer. Many
    passes run together, as by `vmap`. With `sparse`: as many passes as colours (a band of width b takes b).

    Examples
    --------
    >>> import chainrule as cr
    >>> z = cr.tensor([-1.0], requires_grad=True)
    >>> a = cr.cat([2 * z, z**4])
    >>> cr.jacobian(a, z)
    tensor([[ 2.],
            [-4.]])
    >>> f = lambda z: cr.cat([2 * z, z**4])
    >>> cr.jacobian(f, cr.tensor([-1.0]), layout="denominator")
    tensor([[ 2., -4.]])
    >>> print(cr.jacobian(f).plan(cr.tensor([-1.0])))
    forward mode: 1 pass, one per input entry (the other mode: 2, one per output entry)
    >>> print(cr.jacobian(lambda x: x[1:] * x[:-1], sparse=True).plan(cr.ones(100)))
    99 × 100 with 198 entries that can differ from 0, in 2 passes of forward mode
    """
    for name, value, known in (("mode", mode, _MODES), ("layout", layout, _LAYOUTS)):
        if value not in known:
            raise ArgumentError(
                f"jacobian has no {name} {value!r}", fix=f"use {' or '.join(map(repr, known))}"
            )
    if isinstance(f, Handle):
        if not isinstance(x, Handle):
            raise ArgumentError(
                "the Jacobian of a tensor needs the tensor to differentiate with respect to",
                fix="write jacobian(a, z)",
            )
        a: Any = f
        found = _of_tensor(a, x)
        return _transposed(found, len(a.shape)) if layout == "denominator" else found
    check_function(f, "jacobian")
    if sparse:
        by_colours = _by_colours(f, argnums, has_aux, mode, layout)
        return by_colours if x is None and not args else by_colours(x, *args)
    by = JacobianFunction(f, argnums, has_aux, mode, layout)
    return by if x is None and not args else by(x, *args)


def _by_colours(f: Any, argnums: Any, has_aux: bool, mode: str, layout: str) -> Any:
    from chainrule.api.sparse import sparse_jacobian

    if has_aux or layout != "numerator":
        fix = "leave out has_aux; transpose the matrix, J.T, for the other layout"
        raise ArgumentError("a sparse Jacobian comes alone, outputs × inputs", fix=fix)
    return sparse_jacobian(f, argnums, mode)


@boundary
def jacrev(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Jacobian by reverse mode: one backward pass per output entry. Best for few outputs; see `jacobian`.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.jacrev(lambda p: {"area": p["a"] * p["b"]})({"a": 2.0, "b": 3.0})
    {'area': {'a': tensor(3.), 'b': tensor(2.)}}
    """
    check_function(f, "jacrev")
    return JacobianFunction(f, argnums, has_aux, "reverse")


@boundary
def jacfwd(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Jacobian by forward mode: one pass per input entry. Best for few inputs; see `jacobian`.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.jacfwd(lambda t: cr.stack([t**2, t**3]))(1.0)
    tensor([2., 3.])
    """
    check_function(f, "jacfwd")
    return JacobianFunction(f, argnums, has_aux, "forward")


# --- blocks: for each output, one for each input -----------------------------------------------------


def blocks_of(run: Run, mode: str) -> list[list[Any]]:
    """The Jacobian of each output by each input, in the mode "reverse" or "forward"."""
    return (_rows if mode == "reverse" else _columns)(run)


def _rows(run: Run) -> list[list[Any]]:
    """Output shape + input shape, one pullback per output entry."""
    if _complex(run):
        raise DtypeError(
            "a Jacobian at complex numbers cannot be made of reverse passes", given=str(run.out.dtype),
            fix="use jacfwd or jacobian, for holomorphic functions; or grad for one real output",
        )  # fmt: skip
    return [_row(run, k, out) for k, out in enumerate(run.outs)]


def _row(run: Run, k: int, out: Any) -> list[Any]:
    def walk(unit: Any) -> list[Any]:
        weights: list[Any] = [None] * len(run.outs)
        weights[k] = unit
        return run.pull(weights)

    if not out.numel():
        return [creation.zeros(*out.shape, *x.shape, dtype=x.dtype) for x in run.inputs]
    rows = each_unit(walk, out, run.outs, run.outside)
    return [array.to_shape(r, (*out.shape, *x.shape)) for r, x in zip(rows, run.inputs, strict=True)]


def _columns(run: Run) -> list[list[Any]]:
    """Output shape + input shape, one pushforward per input entry."""
    columns = [_column(run, j, x) for j, x in enumerate(run.inputs)]
    return [list(blocks) for blocks in zip(*columns, strict=True)] if columns else [[] for _ in run.outs]


def _column(run: Run, j: int, x: Any) -> list[Any]:
    """The derivatives of each output with respect to input j."""

    def walk(unit: Any) -> list[Any]:
        tangents: list[Any] = [None] * len(run.inputs)
        tangents[j] = unit
        return run.push(tangents)

    if not x.numel():
        return [creation.zeros(*out.shape, *x.shape, dtype=out.dtype) for out in run.outs]
    columns = each_unit(walk, x, run.outs, run.outside)
    if x.dtype.kind == "c":
        along = each_unit(lambda unit: walk(unit * 1j), x, run.outs, run.outside)
        _check_holomorphic(columns, along)
    return [
        array.to_shape(array.movedim(c, 0, -1), (*out.shape, *x.shape))
        for c, out in zip(columns, run.outs, strict=True)
    ]


def _transposed(block: Any, outputs: int) -> Any:
    """The dimensions of the output behind those of the input."""
    n = len(block.shape)
    return array.permute(block, (*range(outputs, n), *range(outputs))) if 0 < outputs < n else block


def _of_tensor(a: Any, x: Any) -> Any:
    n, target = node_of(a), node_of(x)
    if n.pull is None or target.pull is None:
        which = "the first tensor" if n.pull is None else "the second tensor"
        raise DerivativeError(
            f"{which} does not require a gradient", fix="mark the inputs with requires_grad=True"
        )

    def walk(unit: Any) -> list[Any]:
        cts, _ = pull_back([(n, settle(unit.v, a.v))], {target}, False)
        if target in cts:
            return [_gradient_tensor(cts[target], target)]
        return [creation.zeros(*x.shape, dtype=x.dtype)]

    if not a.numel():
        return creation.zeros(*a.shape, *x.shape, dtype=x.dtype)
    (rows,) = each_unit(walk, a, [a])
    return array.to_shape(rows, (*a.shape, *x.shape))


__all__ = ["JacobianFunction", "Plan", "jacfwd", "jacobian", "jacrev"]
