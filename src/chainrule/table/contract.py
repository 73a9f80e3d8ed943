"""Products of arrays: dot_general, where matmul, tensordot and einsum land."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.errors import DtypeError, ShapeError
from chainrule.table.primitive import Linear, Primitive, check_axes, register

Axes = tuple[tuple[int, ...], tuple[int, ...]]


def _free(ndim: int, contract: tuple[int, ...], batch: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(i for i in range(ndim) if i not in contract and i not in batch)


def _dot_general(x: Any, y: Any, *, contract: Axes, batch: Axes) -> Any:
    """Batch axes first, then the free axes of x, then those of y; one call of matmul (BLAS)."""
    if not batch[0] and len(contract[0]) == 1 and 0 < x.ndim <= 2 and 0 < y.ndim <= 2:
        return np.matmul(x if contract[0] == (x.ndim - 1,) else x.T, y if contract[1] == (0,) else y.T)
    fx, fy = _free(x.ndim, contract[0], batch[0]), _free(y.ndim, contract[1], batch[1])
    rows, cols = tuple(x.shape[i] for i in fx), tuple(y.shape[i] for i in fy)
    lead = tuple(x.shape[i] for i in batch[0])
    k = math.prod(x.shape[i] for i in contract[0])
    a = np.transpose(x, batch[0] + fx + contract[0]).reshape(*lead, math.prod(rows), k)
    b = np.transpose(y, batch[1] + contract[1] + fy).reshape(*lead, k, math.prod(cols))
    return np.matmul(a, b).reshape(lead + rows + cols)


def _dot_type(x: Any, y: Any, *, contract: Axes, batch: Axes) -> Any:
    check_axes("the first factor", x, contract[0] + batch[0])
    check_axes("the second factor", y, contract[1] + batch[1])
    for i, j in zip(contract[0] + batch[0], contract[1] + batch[1], strict=True):
        if x.shape[i] != y.shape[j]:
            raise ShapeError(
                f"dimension {i} of the first factor has length {x.shape[i]}, "
                f"dimension {j} of the second {y.shape[j]}",
                given=f"{x}, {y}", fix="make these two lengths equal, e.g. transpose one factor",
            )  # fmt: skip
    if x.dtype != y.dtype:
        raise DtypeError("the factors differ in dtype", given=f"{x}, {y}", fix="cast them to one dtype")
    fx, fy = _free(len(x.shape), contract[0], batch[0]), _free(len(y.shape), contract[1], batch[1])
    shape = (*(x.shape[i] for i in (*batch[0], *fx)), *(y.shape[j] for j in fy))
    return type(x)(shape, x.dtype)


def _argsort(seq: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(range(len(seq)), key=seq.__getitem__))


def _dot_transpose_x(emit: Any, ct: Any, x: Any, y: Any, *, contract: Axes, batch: Axes) -> Any:
    """ct has axes (batch, free x, free y): contract the last with y's free axes, then put x in order."""
    nb, fx = len(batch[0]), _free(len(x.shape), contract[0], batch[0])
    fy = _free(len(y.shape), contract[1], batch[1])
    places = tuple(range(nb + len(fx), nb + len(fx) + len(fy)))
    out = emit("dot_general", ct, y, contract=(places, fy), batch=(tuple(range(nb)), batch[1]))
    # out: batch, free x, then the contracted axes in the order they have in y
    order = _argsort(contract[1])
    axes = (*batch[0], *fx, *(contract[0][i] for i in order))
    perm = _argsort(axes)
    return emit("transpose", out, perm=perm) if perm != tuple(range(len(perm))) else out


def _dot_transpose_y(emit: Any, ct: Any, x: Any, y: Any, *, contract: Axes, batch: Axes) -> Any:
    nb, fx = len(batch[0]), _free(len(x.shape), contract[0], batch[0])
    fy = _free(len(y.shape), contract[1], batch[1])
    places = tuple(range(nb, nb + len(fx)))
    out = emit("dot_general", x, ct, contract=(fx, places), batch=(batch[0], tuple(range(nb))))
    # out: batch, the contracted axes in the order they have in x, then free y
    order = _argsort(contract[0])
    axes = (*batch[1], *(contract[1][i] for i in order), *fy)
    perm = _argsort(axes)
    return emit("transpose", out, perm=perm) if perm != tuple(range(len(perm))) else out


dot_general = register(
    Primitive(
        name="dot_general",
        inputs=("x", "y"),
        value=_dot_general,
        type_rule=_dot_type,
        rule=Linear(transpose={"x": _dot_transpose_x, "y": _dot_transpose_y}),
        text="$x @ $y",
        latex="$x $y",
        doc="Sum of products over the axes `contract`, for each place in `batch`; out: batch, then the rest.",
        samples=(
            dict(shapes=[(2, 3), (3, 4)], contract=((1,), (0,)), batch=((), ())),
            dict(shapes=[(3,), (3,)], contract=((0,), (0,)), batch=((), ())),
            dict(shapes=[(2, 3), (3,)], contract=((1,), (0,)), batch=((), ())),
            dict(shapes=[(2,), (3,)], contract=((), ()), batch=((), ())),
            dict(shapes=[(5, 2, 3), (5, 3, 4)], contract=((2,), (1,)), batch=((0,), (0,))),
            dict(shapes=[(3, 2, 5), (4, 5, 3)], contract=((2, 0), (1, 2)), batch=((), ())),
            dict(shapes=[(2, 0), (0, 3)], contract=((1,), (0,)), batch=((), ())),
        ),
        source="bilinear: each transpose is a product with the other factor",
    )
)
