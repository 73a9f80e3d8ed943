"""Products of arrays under torch's names; all of them land on the primitive `dot_general`."""

from __future__ import annotations

import string
from typing import Any

import numpy as np

from chainrule.dispatch import bind
from chainrule.errors import ArgumentError, ShapeError
from chainrule.ops.arguments import dims, operation
from chainrule.ops.array import to_order
from chainrule.ops.creation import as_tensor
from chainrule.table.primitive import TABLE

Pair = tuple[tuple[int, ...], tuple[int, ...]]


def dot_general(x: Any, y: Any, contract: Pair, batch: Pair = ((), ())) -> Any:
    """Sum of products over `contract`, axis by axis over `batch`."""
    for i, j in zip(contract[0] + batch[0], contract[1] + batch[1], strict=True):
        if x.shape[i] != y.shape[j]:
            raise ShapeError(
                f"length {x.shape[i]} of the first factor meets length {y.shape[j]} of the second",
                given=f"shapes {list(x.shape)} and {list(y.shape)}", fix="make the lengths that are summed over equal",
            )  # fmt: skip
    return bind(TABLE["dot_general"], x, y, contract=contract, batch=batch)


@operation
def matmul(input: Any, other: Any) -> Any:
    """Matrix product: a vector is a row (left) or a column (right); leading dimensions are a batch and broadcast."""
    x, y = as_tensor(input), as_tensor(other)
    if x.dim() == 0 or y.dim() == 0:
        fix = "multiply by a number with *"
        raise ShapeError(
            "a matrix product needs dimensions", given=f"shapes {list(x.shape)} and {list(y.shape)}", fix=fix
        )
    if y.dim() <= 2:
        return dot_general(x, y, ((x.dim() - 1,), (0,)))
    if x.dim() == 1:
        return dot_general(
            to_order(y, (*range(y.dim() - 2), y.dim() - 1, y.dim() - 2)), x, ((y.dim() - 1,), (0,))
        )
    return _batched(x, y)


def _batched(x: Any, y: Any) -> Any:
    try:
        lead = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    except ValueError:
        raise ShapeError(
            "the batch dimensions do not fit", given=f"shapes {list(x.shape)} and {list(y.shape)}",
            fix="make them equal, or 1 where they should repeat",
        ) from None  # fmt: skip
    x = bind(TABLE["broadcast"], x, shape=(*lead, *x.shape[-2:])) if x.shape[:-2] != lead else x
    y = bind(TABLE["broadcast"], y, shape=(*lead, *y.shape[-2:])) if y.shape[:-2] != lead else y
    n, b = len(lead), tuple(range(len(lead)))
    return dot_general(x, y, ((n + 1,), (n,)), (b, b))


@operation
def mm(input: Any, mat2: Any) -> Any:
    """Product of two matrices."""
    return matmul(input, mat2)


bmm = mm


@operation
def mv(input: Any, vec: Any) -> Any:
    """Matrix times vector."""
    return matmul(input, vec)


@operation
def dot(input: Any, other: Any) -> Any:
    """Sum of products of two vectors of equal length."""
    x, y = as_tensor(input), as_tensor(other)
    if x.dim() != 1 or y.dim() != 1:
        raise ShapeError(
            "dot takes two vectors",
            given=f"shapes {list(x.shape)} and {list(y.shape)}",
            fix="use matmul for matrices",
        )
    return dot_general(x, y, ((0,), (0,)))


@operation
def vdot(input: Any, other: Any) -> Any:
    """Σ conj(xᵢ)·yᵢ of two vectors of equal length."""
    x = as_tensor(input)
    return dot(bind(TABLE["conj"], x) if x.dtype.kind == "c" else x, other)


@operation
def inner(input: Any, other: Any) -> Any:
    """Sum of products over the last dimension of both; a number multiplies."""
    x, y = as_tensor(input), as_tensor(other)
    if x.dim() == 0 or y.dim() == 0:
        return bind(TABLE["mul"], x, y)
    return dot_general(x, y, ((x.dim() - 1,), (y.dim() - 1,)))


@operation
def outer(input: Any, vec2: Any) -> Any:
    """All products of an entry of one vector with one of the other."""
    x, y = as_tensor(input), as_tensor(vec2)
    if x.dim() != 1 or y.dim() != 1:
        raise ShapeError(
            "outer takes two vectors",
            given=f"shapes {list(x.shape)} and {list(y.shape)}",
            fix="flatten them first",
        )
    return dot_general(x, y, ((), ()))


@operation
def tensordot(a: Any, b: Any, dims: Any = 2) -> Any:
    """Sum of products over the last `dims` dimensions of a and the first of b, or over two lists of dimensions."""
    x, y = as_tensor(a), as_tensor(b)
    if isinstance(dims, int):
        left, right = tuple(range(x.dim() - dims, x.dim())), tuple(range(dims))
    else:
        left, right = (tuple(d % n for d in ds) for ds, n in zip(dims, (x.dim(), y.dim()), strict=True))
    return dot_general(x, y, (left, right))


@operation
def einsum(equation: str, *operands: Any) -> Any:
    """Einstein summation, e.g. ``einsum("bij,bjk->bik", x, y)``; `...` stands for dimensions without a letter.

    Several operands are multiplied in the order that `numpy.einsum_path` finds cheapest.
    """
    if not isinstance(equation, str):
        raise ArgumentError(
            f"the equation is a {type(equation).__name__}",
            fix='write the equation first: einsum("ij,jk->ik", x, y)',
        )
    xs = [
        as_tensor(x)
        for x in (operands[0] if len(operands) == 1 and isinstance(operands[0], tuple | list) else operands)
    ]
    terms, out = _parse(equation, xs)
    labelled = [_own(x, term) for x, term in zip(xs, terms, strict=True)]
    while len(labelled) > 1:
        i, j = _cheapest(labelled, out)
        y, x = labelled.pop(max(i, j)), labelled.pop(min(i, j))
        later = set("".join(t for _, t in labelled)) | set(out)
        labelled.append(_product(x, y, later))
    x, term = labelled[0]
    x, term = _sum_out(x, term, set(out))
    return to_order(x, tuple(term.index(c) for c in out))


def _parse(equation: str, xs: list[Any]) -> tuple[list[str], str]:
    """Letters of each operand and of the result, `...` written out."""
    text = equation.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(xs):
        raise ArgumentError(
            f"the equation has {len(terms)} operands, {len(xs)} are given",
            given=equation,
            fix="name each operand once",
        )
    spare = [c for c in string.ascii_letters if c not in text]
    ndots = [x.dim() - len(t.replace("...", "")) for t, x in zip(terms, xs, strict=True)]
    widest = max([n for t, n in zip(terms, ndots, strict=True) if "..." in t], default=0)
    dots = "".join(spare[:widest])
    full = [t.replace("...", dots[len(dots) - n :] if n else "") for t, n in zip(terms, ndots, strict=True)]
    for t, x in zip(full, xs, strict=True):
        if len(t) != x.dim() or not all(c.isalpha() for c in t):
            raise ArgumentError(
                f"the term {t!r} does not fit a tensor of {x.dim()} dimensions",
                given=equation,
                fix="write one letter per dimension",
            )
    if not arrow:
        every = "".join(full)
        out = dots + "".join(sorted(c for c in set(every) if every.count(c) == 1 and c not in dots))
    else:
        out = right.replace("...", dots)
    if len(set(out)) != len(out) or not set(out) <= set("".join(full)):
        raise ArgumentError(
            f"the result {right!r} names a letter twice, or one that no operand has",
            given=equation,
            fix="name letters of the operands, each once",
        )
    return full, out


def _own(x: Any, term: str) -> tuple[Any, str]:
    """An operand whose letters differ: repeated ones become a diagonal."""
    while len(set(term)) != len(term):
        c = next(c for c in term if term.count(c) > 1)
        i = term.index(c)
        j = term.index(c, i + 1)
        if x.shape[i] != x.shape[j]:
            raise ShapeError(
                f"letter {c!r} has the lengths {x.shape[i]} and {x.shape[j]}", fix="use different letters"
            )
        rest = [k for k in range(x.dim()) if k not in (i, j)]
        x = to_order(x, (i, j, *rest))
        n = np.arange(x.shape[0])
        x = bind(TABLE["index"], x, n, n, spec=(("array", 0), ("array", 1)))
        term = c + "".join(term[k] for k in rest)
    return x, term


def _cheapest(labelled: list[tuple[Any, str]], out: str) -> tuple[int, int]:
    if len(labelled) == 2:
        return 0, 1
    probes = [np.broadcast_to(np.empty(()), x.shape) for x, _ in labelled]
    path, _ = np.einsum_path(",".join(t for _, t in labelled) + "->" + out, *probes, optimize="greedy")
    return path[1][0], path[1][-1]


def _product(x_: tuple[Any, str], y_: tuple[Any, str], later: set[str]) -> tuple[Any, str]:
    """Two operands as one: letters that are needed later are kept."""
    (x, tx), (y, ty) = x_, y_
    x, tx = _sum_out(x, tx, later | set(ty))
    y, ty = _sum_out(y, ty, later | set(tx))
    x, y = _stretch(x, tx, y, ty), _stretch(y, ty, x, tx)
    batch = [c for c in tx if c in ty and c in later]
    contract = [c for c in tx if c in ty and c not in later]
    out = dot_general(x, y, _places(contract, tx, ty), _places(batch, tx, ty))
    free = [c for c in tx if c not in ty] + [c for c in ty if c not in tx]
    return out, "".join(batch + free)


def _places(letters: list[str], tx: str, ty: str) -> Pair:
    return tuple(tx.index(c) for c in letters), tuple(ty.index(c) for c in letters)


def _stretch(x: Any, tx: str, y: Any, ty: str) -> Any:
    """Lengths of 1 repeat, as in NumPy."""
    shape = tuple(y.shape[ty.index(c)] if c in ty and n == 1 else n for c, n in zip(tx, x.shape, strict=True))
    return x if shape == x.shape else bind(TABLE["broadcast"], x, shape=shape)


def _sum_out(x: Any, term: str, needed: set[str]) -> tuple[Any, str]:
    gone = [i for i, c in enumerate(term) if c not in needed]
    if gone:
        x = bind(TABLE["sum"], x, axis=dims(gone, x.dim()), keepdims=False)
    return x, "".join(c for c in term if c in needed)


__all__ = [
    "bmm",
    "dot",
    "einsum",
    "inner",
    "matmul",
    "mm",
    "mv",
    "outer",
    "tensordot",
    "vdot",
]

METHODS = """
    matmul mm bmm mv dot vdot inner outer
"""  # of Tensor
