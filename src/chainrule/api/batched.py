"""vmap: a function of one example on many at once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.api import trees
from chainrule.api.run import check_function
from chainrule.dispatch import Handle, node_of
from chainrule.eager.inplace import overwrite
from chainrule.errors import ArgumentError, DataError, IndexingError, ShapeError, TraceError
from chainrule.ir.types import Type, type_of
from chainrule.ops import array, creation, join
from chainrule.record.recorder import Output, Recording, record
from chainrule.record.replay import replay
from chainrule.source import boundary
from chainrule.tape.modes import current

_RANDOMNESS = ("error", "same", "different")


@boundary
def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """A function of one example, on many at once: ``vmap(f)(xs)`` is ``stack([f(x) for x in xs])``, without the loop.

    Parameters
    ----------
    func
        A function of tensors (or dicts, lists, tuples, dataclasses of them) for one example. It runs once, on shapes
        and dtypes: Python's `if` cannot look at a number of an example.
    in_dims
        The dimension of each argument that counts the examples: a number for all, a tuple with one entry per argument,
        or trees as the arguments. None: the same for all examples, passed as it is. Keyword arguments are the same for
        all.
    out_dims
        Where the examples stand in the results. None: a result that is the same for all.
    randomness
        What a random draw in `func` gives: "error" refuses it, "different" numbers for each example, or the "same".
    chunk_size
        Run at most so many examples at once, for less memory.

    Returns
    -------
    Function with the arguments of `func`; each result has one dimension more.

    Raises
    ------
    ShapeError (E101)
        The arguments have different numbers of examples.
    TraceError (E302)
        `func` asks for a number, draws random numbers unasked, or writes other values for each example to a tensor from
        outside.
    UnsupportedError (E106)
        An operation that cannot run on many examples at once.

    Cost
    ----
    About 20 µs per operation of `func`, once per call, and each operation on arrays that are larger by the number of
    examples.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.vmap(lambda x: x @ x)(cr.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([ 5., 25.])

    The gradient of each example's loss:

    >>> loss = lambda w, x: (w * x).sum() ** 2
    >>> cr.vmap(cr.grad(loss), in_dims=(None, 0))(cr.tensor([1.0, 1.0]), cr.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[ 6., 12.],
            [42., 56.]])
    """
    check_function(func, "vmap")
    if randomness not in _RANDOMNESS:
        fix = "use " + ", ".join(map(repr, _RANDOMNESS))
        raise ArgumentError(f"vmap has no randomness {randomness!r}", fix=fix)
    if chunk_size is not None and chunk_size < 1:
        raise ArgumentError(f"chunk_size is {chunk_size}", fix="use 1 or more, or None")

    @boundary
    @functools.wraps(func)
    def batched(*args: Any, **kwargs: Any) -> Any:
        call = _Call(func, args, kwargs, in_dims)
        tensors = [_to_front(m) for m in call.mapped]
        if chunk_size is None or chunk_size >= call.lanes:
            values, spec = call.run(tensors, randomness, call.lanes)
        else:
            values, spec = _in_chunks(call, tensors, randomness, chunk_size)
        dims = _one_each(out_dims, spec, len(values), "out_dims")
        return trees.unflatten(spec, [_placed(v, d, call.lanes) for v, d in zip(values, dims, strict=True)])

    return batched


class _Mapped(NamedTuple):
    """A tensor among the arguments whose dimension `dim` counts the examples; `name` is how people reach it."""

    tensor: Any
    dim: int
    name: str


class _Call:
    """The arguments of one call, taken apart."""

    def __init__(self, func: Any, args: Sequence[Any], kwargs: dict[str, Any], in_dims: Any) -> None:
        self.func, self.kwargs = func, kwargs
        self.mapped: list[_Mapped] = []
        self.rest: list[
            tuple[Any, list[Any]]
        ] = []  # structure, leaves: a number stands for that mapped tensor
        for k, (arg, dims) in enumerate(zip(args, _per_argument(in_dims, len(args)), strict=True)):
            self._add(arg, dims, f"argument {k}")
        self.lanes = self._count()

    def _add(self, arg: Any, dims: Any, name: str) -> None:
        leaves, spec = ([arg], None) if dims is None else trees.flatten(arg)
        paths = trees.paths(spec, name) if spec is not None else [name] * len(leaves)
        slots: list[Any] = []
        for leaf, dim, path in zip(leaves, _one_each(dims, spec, len(leaves), "in_dims"), paths, strict=True):
            if dim is None:
                slots.append(_Fixed(creation.as_tensor(leaf) if isinstance(leaf, np.ndarray) else leaf))
            else:
                slots.append(len(self.mapped))
                self.mapped.append(_mapped(leaf, dim, path))
        self.rest.append((spec, slots))

    def _count(self) -> int:
        if not self.mapped:
            raise ArgumentError(
                "no argument is mapped: it is not known how many examples there are",
                fix="pass a tensor whose first dimension counts them, and in_dims=0 for it",
            )
        sizes = [m.tensor.shape[m.dim] for m in self.mapped]
        if len(set(sizes)) > 1:
            given = "; ".join(
                f"{m.name}: {n} (dimension {m.dim} of {type_of(m.tensor.v)})"
                for m, n in zip(self.mapped, sizes, strict=True)
            )
            fix = "make these lengths equal, or in_dims=None for what is the same for all examples"
            raise ShapeError("the arguments have different numbers of examples", given=given, fix=fix)
        return sizes[0]

    def run(self, tensors: Sequence[Any], randomness: str, lanes: int) -> tuple[list[Any], Any]:
        """The result for tensors with lanes in front: leaves as pairs (value, whether it has lanes); structure."""
        types = [_without_lanes(t) for t in tensors]
        specs: list[Any] = []

        def one(*examples: Any) -> list[Any]:
            leaves, spec = trees.flatten(self.func(*self._arguments(examples), **self.kwargs))
            specs.append(spec)
            return leaves

        grad = current().grad
        tracked = [grad and node_of(t).pull is not None for t in tensors]
        recording = record(one, types, name="vmap", tracked=tracked, randomness=randomness, lanes=lanes)
        flags = [k < len(types) or k in recording.batched for k in range(len(recording.graph.inputs))]
        outs = replay(recording.graph, [*tensors, *recording.captured], flags, lanes)
        _write_back(recording, outs)
        return [
            outs[v.k] if isinstance(v, Output) else (_constant(v), False) for v in recording.leaves
        ], specs[0]

    def _arguments(self, examples: Sequence[Any]) -> list[Any]:
        return [
            trees.unflatten(spec, [s.value if isinstance(s, _Fixed) else examples[s] for s in slots])
            for spec, slots in self.rest
        ]


class _Fixed(NamedTuple):
    """A leaf that is the same for all examples."""

    value: Any


def _per_argument(in_dims: Any, n: int) -> Sequence[Any]:
    if in_dims is None or isinstance(in_dims, int):
        return [in_dims] * n
    if isinstance(in_dims, tuple | list) and len(in_dims) == n:
        return in_dims
    given = f"{len(in_dims)} entries" if isinstance(in_dims, tuple | list) else repr(in_dims)
    raise ArgumentError(
        f"in_dims does not fit the {n} argument{'' if n == 1 else 's'} of the call", given=given,
        fix="give a number for all, or a tuple with one entry per argument: in_dims=(0, None)",
    )  # fmt: skip


def _one_each(dims: Any, spec: Any, count: int, what: str) -> list[Any]:
    """One dimension for each leaf, of a number for all of them or a tree (which may end earlier)."""
    if dims is None or isinstance(dims, int):
        return [dims] * count
    if spec is None:
        raise ArgumentError(
            f"{what} has a {type(dims).__name__} for one tensor", fix="give a number, or None"
        )
    import optree

    is_leaf = lambda d: d is None
    found: list[Any] = []
    try:
        trees.flatten(dims)  # registers dataclasses
        parts, prefix = optree.tree_flatten(
            dims, is_leaf=is_leaf, none_is_leaf=False, namespace=trees.NAMESPACE
        )
        filled = trees.unflatten(spec, list(range(count)))
        for d, part in zip(parts, prefix.flatten_up_to(filled), strict=True):
            found += [d] * len(trees.flatten(part)[0])
    except (ValueError, TypeError):
        raise ArgumentError(
            f"{what} is not built like what it belongs to", given=f"{dims!r} for {trees.spec_text(spec)}",
            fix="give a number for all, or the same dicts, lists and tuples with a number or None for each tensor",
        ) from None  # fmt: skip
    return found


def _mapped(leaf: Any, dim: Any, name: str) -> _Mapped:
    if not isinstance(dim, int) or isinstance(dim, bool):
        raise ArgumentError(f"the dimension of {name} is {dim!r}", fix="use a whole number, or None")
    if isinstance(leaf, str | bytes) or leaf is None or callable(leaf):
        raise DataError(
            f"{name} is a {type(leaf).__name__}, which has no examples", fix="use in_dims=None for it"
        )
    t = creation.as_tensor(leaf)
    n = len(t.shape)
    if not -n <= dim < n:
        what = (
            f"{name} has no dimension {dim}" if n else f"{name} is one number: no dimension counts examples"
        )
        fix = f"use {-n}..{n - 1}" if n else "use in_dims=None for it: it is then the same for all"
        raise IndexingError(what, given=str(type_of(t.v)), fix=fix)
    return _Mapped(t, dim % n, name)


def _to_front(m: _Mapped) -> Any:
    return array.movedim(m.tensor, m.dim, 0) if m.dim else m.tensor


def _without_lanes(t: Any) -> Type:
    whole = type_of(t.v)
    return Type(whole.shape[1:], whole.dtype)


# --- results -------------------------------------------------------------------------------------------


def _constant(leaf: Any) -> Any:
    """A result that does not depend on the examples."""
    if isinstance(leaf, str | bytes) or callable(leaf):
        raise DataError(
            f"the function returns a {type(leaf).__name__}", fix="return tensors, or trees of tensors"
        )
    return leaf if isinstance(leaf, Handle) else creation.as_tensor(leaf)


def _placed(value: tuple[Any, bool], dim: Any, lanes: int) -> Any:
    """A result with its examples in dimension `dim`."""
    t, has_lanes = value
    if dim is None:
        if has_lanes:
            raise ArgumentError(
                "out_dims is None for a result that differs between the examples", given=str(type_of(t.v)),
                fix="name the dimension that counts them, e.g. out_dims=0",
            )  # fmt: skip
        return t
    if not has_lanes:
        t = array.broadcast_to(t, (lanes, *t.shape))
    n = len(t.shape)
    if not -n <= dim < n:
        fix = f"use {-n}..{n - 1}"
        raise IndexingError(
            f"out_dims is {dim} for a result of {n} dimensions", given=str(type_of(t.v)), fix=fix
        )
    return array.movedim(t, 0, dim) if dim % n else t


def _write_back(recording: Recording, outs: list[tuple[Any, bool]]) -> None:
    """Give tensors from outside what the function wrote to them, if that is the same for all examples."""
    for written in recording.written:
        if isinstance(written.cell, int) and written.what == "value":
            continue  # each example has a copy of its own
        value, has_lanes = outs[written.value.k]
        if has_lanes or written.what == "grad":
            what = "adds to the gradient of a tensor" if written.what == "grad" else "writes to a tensor"
            raise TraceError(
                f"the function {what} from outside, and each example would leave another value",
                given=f"a tensor {_shown(written.cell)}",
                fix="return the value instead"
                + (", e.g. with grad in place of backward()" if written.what == "grad" else ""),
            )  # fmt: skip
        overwrite(written.cell, value, "vmap")


def _shown(cell: Any) -> str:
    if isinstance(cell, int):
        return f"in argument {cell}"
    n = node_of(cell) if isinstance(cell, Handle) else cell
    return f"{type_of(n.out)} made at {n.source}"


def _in_chunks(
    call: _Call, tensors: Sequence[Any], randomness: str, size: int
) -> tuple[list[tuple[Any, bool]], Any]:
    parts, spec = [], None
    for start in range(0, call.lanes, size):
        some = [t[start : start + size] for t in tensors]
        values, spec = call.run(some, randomness, min(size, call.lanes - start))
        parts.append(values)
    joined = []
    for pieces in zip(*parts, strict=True):
        lanes = pieces[0][1]
        joined.append((join.cat([t for t, _ in pieces], 0) if lanes else pieces[0][0], lanes))
    return joined, spec


__all__ = ["vmap"]
