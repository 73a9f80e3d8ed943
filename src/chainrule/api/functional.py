"""Transforms of functions: grad, value_and_grad, vjp, jvp, jacobian, hessian.

Each gives the arguments of the function a new identity (an alias node), runs the function on concrete values, and
walks the tape between output and alias. A derivative is taken with respect to one node, so nested transforms
cannot confuse their perturbations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule import dispatch
from chainrule.dispatch import Handle, node_of, wrap
from chainrule.eager.backward import _gradient_tensor, collect, pull_back, push_forward, restrict
from chainrule.errors import ArgumentError, DerivativeError, NotScalarError, ShapeError
from chainrule.ops import array, creation, join
from chainrule.source import boundary
from chainrule.table.primitive import TABLE
from chainrule.tape.modes import current, enable_grad
from chainrule.tape.node import Node, new, next_serial, small
from chainrule.tape.promote import is_inexact
from chainrule.tape.pull import array_pull, settle

_ALIAS = TABLE["alias"]


def alias(x: Any) -> Any:
    """A copy of `x` under a new identity, tracked: the function may change it in place, the caller may change `x`."""
    t = creation.as_tensor(x)
    if not is_inexact(t.dtype):
        raise creation.integer_gradient(t.dtype)
    source = node_of(t)
    n = new(Node)
    n.serial, n.p, n.a, n.b = next_serial(), _ALIAS, source if source.pull is not None else None, None
    n.x, n.y, n.params = small(t.v), None, None
    n.out, n.pull = small(t.v), array_pull(_ALIAS, (True,), False)
    n.code, n.at = dispatch.source_code()
    return wrap(np.array(t.v) if t.v.__class__ is np.ndarray else t.v, n)


class _Run:
    """One run of a function on aliased arguments."""

    def __init__(
        self, f: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], argnums: Any, has_aux: bool
    ) -> None:
        _function(f, "grad, jvp or jacobian")
        self.single = not isinstance(argnums, tuple | list)
        nums = (argnums,) if self.single else tuple(argnums)
        self.nums = [_position(k, len(args)) for k in nums]
        self.recorded = current().grad
        full = list(args)
        for k in self.nums:
            full[k] = alias(args[k])
        self.inputs = [full[k] for k in self.nums]
        self.nodes = [t.n for t in self.inputs]
        with enable_grad():
            result = f(*full, **kwargs)
        self.aux = None
        if has_aux:
            if not isinstance(result, tuple) or len(result) != 2:
                fix = "return (value, anything else)"
                raise ArgumentError(
                    "with has_aux the function returns a pair", given=type(result).__name__, fix=fix
                )
            result, self.aux = result
        self.out = _one_tensor(result)
        self.outside = self.recorded and self._reaches_outside()

    def pack(self, values: Sequence[Any]) -> Any:
        return values[0] if self.single else tuple(values)

    def depends(self) -> bool:
        return node_of(self.out).pull is not None

    def _reaches_outside(self) -> bool:
        """Whether a tracked value from outside this transform is on the way: then the walk itself is recorded."""
        if not self.depends():
            return False
        if any(n.a is not None for n in self.nodes):
            return True
        order = collect([node_of(self.out)])
        inner = set(restrict(order, set(self.nodes)))
        return any(n not in inner for n in order)

    def plain(self, t: Any) -> Any:
        """A result without this transform's tape."""
        if self.outside:
            return t
        n = node_of(t)
        return t if n.pull is None else creation.make_leaf(t.v if t.v.__class__ is float else np.array(t.v))


def _one_tensor(result: Any) -> Any:
    """What the function returned, as a Tensor: made of a list of tensors it would lose the graph."""
    if isinstance(result, tuple | list) and any(isinstance(r, Handle) for r in result):
        raise ArgumentError(
            f"the function returns a {type(result).__name__} of {len(result)}, not one tensor",
            fix="join them with stack([a, b]) or cat; or return (value, anything else) with has_aux=True",
        )  # fmt: skip
    return creation.as_tensor(result)


def _function(f: Any, name: str) -> None:
    if not callable(f):
        fix = f"write {name}(f)(x): first the function, then the point"
        raise ArgumentError(f"{name} takes a function, not a {type(f).__name__}", fix=fix)


def _position(k: Any, n: int) -> int:
    if not isinstance(k, int) or not -n <= k < n:
        fix = f"the function was called with {n} argument{'' if n == 1 else 's'}: use 0..{n - 1}"
        raise ArgumentError(f"argnums names argument {k!r}", fix=fix)
    return k % n


def _seed(run: _Run, weights: Any, recorded: bool) -> Any:
    if weights is None:
        value = 1.0 if run.out.v.__class__ is float else np.ones(run.out.shape, run.out.dtype)
    else:
        w = creation.as_tensor(weights)
        if tuple(w.shape) != tuple(run.out.shape):
            given = f"cotangent {list(w.shape)}, output {list(run.out.shape)}"
            raise ShapeError(
                "the cotangent does not have the shape of the output",
                given=given,
                fix="make the shapes equal",
            )
        if recorded:
            return w if w.dtype == run.out.dtype else dispatch.emit("cast", w, dtype=run.out.dtype)
        value = settle(w.v, run.out.v)
    return wrap(value, dispatch.leaf_of(value)) if recorded else value


def _pull(run: _Run, weights: Any = None, recorded: bool | None = None) -> list[Any]:
    """Cotangents of the aliased arguments; zeros where the output does not depend on one."""
    recorded = run.outside or (_is_tracked(weights) and run.recorded) if recorded is None else recorded
    if run.depends():
        cts, _ = pull_back([(node_of(run.out), _seed(run, weights, recorded))], set(run.nodes), recorded)
    else:
        cts = {}
    return [_result(cts.get(n), t, n, recorded) for t, n in zip(run.inputs, run.nodes, strict=True)]


def _is_tracked(w: Any) -> bool:
    return isinstance(w, Handle) and node_of(w).pull is not None


def _result(ct: Any, t: Any, n: Node, recorded: bool) -> Any:
    if ct is None:
        return creation.make_leaf(0.0 if t.v.__class__ is float else np.zeros(t.shape, t.dtype))
    return ct if recorded else _gradient_tensor(ct, n)


def _check_scalar(run: _Run, name: str) -> None:
    if run.out.dtype.kind == "c":
        raise NotScalarError(
            f"the function returns a complex number, and {name} is for a real one", given=str(run.out.dtype),
            fix="return its real part, or abs(…) of it",
        )  # fmt: skip
    if run.out.numel() != 1:
        raise NotScalarError(
            f"the function returns {run.out.numel()} numbers, and {name} is for one",
            given=f"shape {list(run.out.shape)}",
            fix="return a sum or a mean, or use jacobian for the derivative of each",
        )


@boundary
def value_and_grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that returns the value of `f` together with its gradient.

    Parameters
    ----------
    f
        Function of tensors, arrays or numbers that returns one number. It runs once per call, on
        concrete values: Python `if` and `while` work.
    argnums
        Position (or positions) of the arguments to differentiate with respect to.
    has_aux
        `f` returns ``(value, anything else)``; the result is then ``((value, anything else), gradient)``.

    Returns
    -------
    Function with the arguments of `f`. It returns ``(value, gradient)``; the gradient has the shape and dtype of
    the argument (a tuple of them for several `argnums`). Zeros where `f` does not depend on it.

    Raises
    ------
    NotScalarError (E203)
        `f` returns more than one number.
    DtypeError (E102)
        An argument is made of integers.

    Cost
    ----
    One forward and one backward pass: about 2 to 4 times `f`.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.value_and_grad(lambda w: 4 * w + w**3)(1.0)
    (tensor(5.), tensor(7.))
    """

    @boundary
    def gradient_with_value(*args: Any, **kwargs: Any) -> Any:
        run = _Run(f, args, kwargs, argnums, has_aux)
        _check_scalar(run, "a gradient")
        gradient = run.pack(_pull(run))
        value = run.plain(run.out)
        return ((value, run.aux), gradient) if has_aux else (value, gradient)

    return gradient_with_value


@boundary
def grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that returns the gradient of a function of one number; see `value_and_grad`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import grad, sin
    >>> grad(lambda x: (x * sin(x)).sum())(np.array([0.0, np.pi]))
    tensor([ 0.0000, -3.1416])
    >>> grad(grad(lambda x: x**3))(2.0)
    tensor(12.)
    """

    @boundary
    def gradient(*args: Any, **kwargs: Any) -> Any:
        run = _Run(f, args, kwargs, argnums, has_aux)
        _check_scalar(run, "a gradient")
        result = run.pack(_pull(run))
        return (result, run.aux) if has_aux else result

    return gradient


@boundary
def vjp(f: Callable[..., Any], *args: Any, has_aux: bool = False) -> Any:
    """Value of `f` and a function that pulls a cotangent of it back to the arguments.

    Returns
    -------
    ``(value, pullback)``, or ``(value, pullback, aux)``; ``pullback(ct)`` gives a tuple with ctᵀJ for each argument and
    may be called any number of times.

    Examples
    --------
    >>> import chainrule as cr
    >>> value, pullback = cr.vjp(lambda z: cr.cat([2 * z, z**4]), cr.tensor([-1.0]))
    >>> pullback(cr.tensor([1.0, 1.0]))
    (tensor([-2.]),)
    """
    run = _Run(f, args, {}, tuple(range(len(args))), has_aux)

    @boundary
    def pullback(cotangent: Any = None) -> tuple[Any, ...]:
        if cotangent is None:
            _check_scalar(run, "a pullback without a cotangent")
        return tuple(_pull(run, cotangent))

    value = run.plain(run.out)
    return (value, pullback, run.aux) if has_aux else (value, pullback)


@boundary
def jvp(
    f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], *, has_aux: bool = False
) -> Any:
    """Value of `f` and its derivative along a direction: J·tangent.

    Parameters
    ----------
    primals, tangents
        One entry per argument of `f`, of equal shapes.

    Cost
    ----
    About the cost of `f` once more.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.jvp(lambda w: 4 * w + w**3, (1.0,), (1.0,))
    (tensor(5.), tensor(7.))
    """
    if not isinstance(primals, tuple | list) or not isinstance(tangents, tuple | list):
        raise ArgumentError(
            "jvp takes the arguments and the tangents as tuples",
            given=f"{type(primals).__name__}, {type(tangents).__name__}", fix="write jvp(f, (x,), (t,))",
        )  # fmt: skip
    if len(primals) != len(tangents):
        fix = "pass one tangent per argument, as tuples"
        raise ArgumentError(f"{len(primals)} primals and {len(tangents)} tangents", fix=fix)
    run = _Run(f, tuple(primals), {}, tuple(range(len(primals))), has_aux)
    value, tangent = run.plain(run.out), _push(run, tangents)
    return (value, tangent, run.aux) if has_aux else (value, tangent)


def _push(run: _Run, tangents: Sequence[Any]) -> Any:
    ts = [None if t is None else creation.as_tensor(t) for t in tangents]
    for k, (t, x) in enumerate(zip(ts, run.inputs, strict=True)):
        if t is not None and tuple(t.shape) != tuple(x.shape):
            given = f"tangent {list(t.shape)}, argument {list(x.shape)}"
            raise ShapeError(
                f"tangent {k} does not have the shape of its argument",
                given=given,
                fix="make the shapes equal",
            )
    recorded = run.outside or (run.recorded and any(_is_tracked(t) for t in ts))
    pushed = [(n, t, x) for n, t, x in zip(run.nodes, ts, run.inputs, strict=True) if t is not None]
    if recorded:
        seeds = {
            n: t if t.dtype == x.dtype else dispatch.emit("cast", t, dtype=x.dtype) for n, t, x in pushed
        }
    else:
        seeds = {n: _array(settle(t.v, x.v)) for n, t, x in pushed}
    out = push_forward(node_of(run.out), seeds, recorded) if run.depends() else None
    if out is None:
        return creation.make_leaf(
            0.0 if run.out.v.__class__ is float else np.zeros(run.out.shape, run.out.dtype)
        )
    return out if recorded else creation.make_leaf(settle(out, run.out.v))


def _array(v: Any) -> Any:
    return np.float64(v) if v.__class__ is float else v


@boundary
def jacrev(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Jacobian by reverse mode: one backward pass per output."""
    return _jacobian(f, argnums, has_aux, _rows)


@boundary
def jacfwd(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Jacobian by forward mode: one pass per input entry."""
    return _jacobian(f, argnums, has_aux, _columns)


def _jacobian(
    f: Any, argnums: Any, has_aux: bool, by: Callable[[_Run], list[Any]] | None
) -> Callable[..., Any]:
    @boundary
    def jacobian_of_f(*args: Any, **kwargs: Any) -> Any:
        run = _Run(f, args, kwargs, argnums, has_aux)
        how = by or (_rows if run.out.numel() <= sum(t.numel() for t in run.inputs) else _columns)
        result = run.pack(how(run))
        return (result, run.aux) if has_aux else result

    return jacobian_of_f


def _units(t: Any) -> list[np.ndarray]:
    out = []
    for k in range(t.numel()):
        u = np.zeros(t.numel(), t.dtype)
        u[k] = 1
        out.append(u.reshape(t.shape))
    return out


def _rows(run: _Run) -> list[Any]:
    """Output shape + input shape, one pullback per output entry."""
    rows = [_pull(run, u) for u in _units(run.out)]
    return [
        _assemble([r[k] for r in rows], t, (*run.out.shape, *t.shape), 0) for k, t in enumerate(run.inputs)
    ]


def _columns(run: _Run) -> list[Any]:
    """Output shape + input shape, one pushforward per input entry."""
    found = []
    for k, t in enumerate(run.inputs):
        columns = []
        for u in _units(t):
            seeds = [u if j == k else None for j in range(len(run.inputs))]
            columns.append(_push(run, seeds))
        found.append(_assemble(columns, t, (*run.out.shape, *t.shape), -1))
    return found


def _assemble(parts: list[Any], t: Any, shape: tuple[int, ...], dim: int) -> Any:
    if not parts:
        return creation.zeros(*shape, dtype=t.dtype)
    return array.to_shape(join.stack(parts, dim), shape)


@boundary
def jacobian(
    f: Any, x: Any = None, /, *args: Any, argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Any:
    """Jacobian: the derivative of each output with respect to each input.

    Parameters
    ----------
    f
        A function, or a Tensor that is computed already.
    x
        Unless given, the result is a function with the arguments of `f`. With a function: the point. With a
        Tensor: the tensor (leaf or computed) to differentiate with respect to; the tape is read and kept.

    Returns
    -------
    Tensor of shape ``output shape + input shape``: row i holds the derivatives of output i.

    Cost
    ----
    One pass per output (reverse) or per input entry (forward), whichever are fewer.

    Examples
    --------
    >>> import chainrule as cr
    >>> z = cr.tensor([-1.0], requires_grad=True)
    >>> a = cr.cat([2 * z, z**4])
    >>> cr.jacobian(a, z)
    tensor([[ 2.],
            [-4.]])
    """
    if isinstance(f, Handle):
        if x is None:
            raise ArgumentError(
                "the Jacobian of a tensor needs what to differentiate with respect to",
                fix="write jacobian(a, z)",
            )
        return _of_tensor(f, x)
    by = _jacobian(f, argnums, has_aux, None)
    return by if x is None and not args else by(x, *args)


def _of_tensor(a: Any, x: Any) -> Any:
    n, target = node_of(a), node_of(x)
    if n.pull is None or target.pull is None:
        which = "the first tensor" if n.pull is None else "the second tensor"
        raise DerivativeError(
            f"{which} does not require a gradient", fix="mark the inputs with requires_grad=True"
        )
    rows = []
    for u in _units(a):
        cts, _ = pull_back([(n, settle(u, a.v))], {target}, False)
        rows.append(_result(cts.get(target), x, target, False))
    return _assemble(rows, x, (*a.shape, *x.shape), 0)


@boundary
def hessian(f: Callable[..., Any], x: Any = None, /, *args: Any, argnums: int = 0) -> Any:
    """Hessian of a function of one number: all second derivatives.

    Returns
    -------
    Tensor of shape ``input shape + input shape`` (or, without a point, a function that returns it).

    Cost
    ----
    One recorded gradient, and one backward pass through it per input entry.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.hessian(lambda w: w[0] ** 2 * w[1], cr.tensor([1.0, 3.0]))
    tensor([[6., 2.],
            [2., 0.]])
    """
    by = jacrev(grad(f, argnums), argnums)
    return by if x is None and not args else by(x, *args)


@boundary
def hvp(f: Callable[..., Any], primals: Any, tangents: Any) -> Any:
    """Value of `f` and Hessian times vector, without the Hessian: forward mode over a gradient.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.hvp(lambda w: (w**3).sum(), cr.tensor([1.0, 2.0]), cr.tensor([1.0, 1.0]))
    (tensor(9.), tensor([ 6., 12.]))
    """
    single = not isinstance(primals, tuple | list)
    ps, ts = ((primals,), (tangents,)) if single else (tuple(primals), tuple(tangents))
    value = f(*ps)
    products = tuple(jvp(grad(f, k), ps, ts)[1] for k in range(len(ps)))
    return value, products[0] if single else products


__all__ = ["alias", "grad", "hessian", "hvp", "jacfwd", "jacobian", "jacrev", "jvp", "value_and_grad", "vjp"]
