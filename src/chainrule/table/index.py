"""Indexing, both ways: index ↔ scatter_add, index_update; take_along ↔ put_along.

A key such as ``x[1:3, None, i]`` becomes a static `spec`, one item per entry of the key, and the integer
arrays in it become inputs:

    ("slice", start, stop, step)   ("int", i)   ("new",)   ("rest",)   ("array", k): the k-th index input
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.errors import IndexingError, ShapeError
from chainrule.table.primitive import Linear, Primitive, check_axes, register

Spec = tuple[tuple[Any, ...], ...]


def numpy_key(spec: Spec, index: tuple[Any, ...]) -> tuple[Any, ...]:
    """The key that NumPy understands; basic keys end in `...`, so that the result is a view even in 0-d."""
    key: list[Any] = []
    for item in spec:
        kind = item[0]
        if kind == "slice":
            key.append(slice(*item[1:]))
        elif kind == "int":
            key.append(item[1])
        elif kind == "new":
            key.append(None)
        elif kind == "rest":
            key.append(Ellipsis)
        else:
            key.append(index[item[1]])
    if not index and ("rest",) not in spec:
        key.append(Ellipsis)
    return tuple(key)


def _index(x: Any, *index: Any, spec: Spec) -> Any:
    out = np.asarray(x)[numpy_key(spec, index)]
    return (
        np.ascontiguousarray(out) if index and out.ndim else out
    )  # NumPy may lay out the picked entries otherwise


def _index_type(x: Any, *index: Any, spec: Spec) -> Any:
    """Shape by NumPy's own rules, on arrays that take no memory."""
    probe = np.broadcast_to(np.empty((), bool), x.shape)
    zeros = tuple(np.zeros(i.shape, np.intp) for i in index)
    try:
        shape = probe[numpy_key(spec, zeros)].shape
    except IndexError as err:
        text = str(err).replace("array", "tensor").replace("axis", "dimension")
        raise IndexingError(text, given=str(x), fix=_range_of(x)) from None
    return type(x)(shape, x.dtype)


def _range_of(x: Any) -> str:
    if not x.shape:
        return "a tensor of shape [] has one value: read it with .item()"
    return "use at most " + ", ".join(f"{-n}..{n - 1} in dimension {i}" for i, n in enumerate(x.shape))


def _scatter_add(ct: Any, *index: Any, shape: tuple[int, ...], spec: Spec) -> Any:
    out = np.zeros(shape, np.asarray(ct).dtype)
    if index:
        np.add.at(out, numpy_key(spec, index), ct)
    else:
        out[numpy_key(spec, index)] = ct
    return out


def _scatter_type(x: Any, *index: Any, shape: tuple[int, ...], spec: Spec) -> Any:
    whole = type(x)(shape, x.dtype)
    _check_fits(x, _index_type(whole, *index, spec=spec))
    return whole


def _check_fits(v: Any, place: Any) -> None:
    """Raise unless values of type `v` can be written to a `place`: equal shapes, or repeated along 1s."""
    small = v.shape[max(len(v.shape) - len(place.shape), 0) :]
    if len(v.shape) > len(place.shape) or any(
        n not in (1, m) for n, m in zip(reversed(small), reversed(place.shape), strict=False)
    ):
        fix = f"give values of shape {list(place.shape)}"
        raise ShapeError(f"the key picks entries of shape {list(place.shape)}", given=str(v), fix=fix)


# `index` and `scatter_add` are each other's transpose. Entries that the key does not pick are inactive:
# `holes`.
index = register(
    Primitive(
        name="index",
        inputs=("x", "*index"),
        value=_index,
        type_rule=_index_type,
        rule=Linear(
            transpose={
                "x": lambda emit, ct, x, *index, spec: emit(
                    "scatter_add", ct, *index, shape=x.shape, spec=spec
                )
            },
            holes=True,
        ),
        view=True,
        text="$x[$spec]",
        latex="${x}_{$spec}",
        doc="Entries of x picked by a key of integers, slices, new axes and integer arrays.",
        samples=(
            dict(shapes=[(4, 3)], spec=(("int", 1),)),
            dict(shapes=[(4, 3)], spec=(("slice", 1, None, 2), ("new",), ("int", -1))),
            dict(shapes=[(4, 3)], index=[np.array([0, 0, 3])], spec=(("array", 0),)),
            dict(
                shapes=[(4, 3)], index=[np.array([0, 2]), np.array([1, 1])], spec=(("array", 0), ("array", 1))
            ),
            dict(shapes=[(2, 3, 4)], spec=(("rest",), ("int", 0))),
        ),
        source="the transpose of picking is adding in place",
    )
)
scatter_add = register(
    Primitive(
        name="scatter_add",
        inputs=("x", "*index"),
        value=_scatter_add,
        type_rule=_scatter_type,
        rule=Linear(
            transpose={"x": lambda emit, ct, x, *index, shape, spec: emit("index", ct, *index, spec=spec)}
        ),
        text="scatter_add($x, $spec)",
        latex=r"\operatorname{scatter\_add}($x)",
        doc="Zeros of a given shape with x added at a key; an entry that is named twice gets both.",
        samples=(
            dict(shapes=[(3,)], shape=(4, 3), spec=(("int", 1),)),
            dict(shapes=[(3,)], index=[np.array([0, 0, 3])], shape=(4,), spec=(("array", 0),)),
        ),
        source="the transpose of index",
    )
)


def _index_update(x: Any, v: Any, *index: Any, spec: Spec) -> Any:
    out = np.array(x)
    out[numpy_key(spec, index)] = v
    return out


def _update_type(x: Any, v: Any, *index: Any, spec: Spec) -> Any:
    _check_fits(v, _index_type(x, *index, spec=spec))
    return x


index_update = register(
    Primitive(
        name="index_update",
        inputs=("x", "v", "*index"),
        value=_index_update,
        type_rule=_update_type,
        rule=Linear(
            transpose={
                "x": lambda emit, ct, x, *index, spec: emit("index_update", ct, 0.0, *index, spec=spec),
                "v": lambda emit, ct, v, *index, spec: emit("index", ct, *index, spec=spec),
            },
            holes=True,  # what was overwritten
            joint=True,
        ),
        text="update($x, $spec, $v)",
        latex=r"\operatorname{update}($x, $v)",
        doc="x with the entries at a key replaced by v: what `x[key] = v` records.",
        samples=(
            dict(shapes=[(4, 3), (3,)], spec=(("int", 1),)),
            dict(shapes=[(4,), (2,)], index=[np.array([0, 3])], spec=(("array", 0),)),
        ),
        source="the identity outside the key, v inside",
    )
)


def mesh(index: Any, axis: int) -> tuple[Any, ...]:
    """Open mesh that turns an index along one axis into a full NumPy key."""
    shape = np.shape(index)
    return tuple(
        index if i == axis else np.arange(n).reshape((-1,) + (1,) * (len(shape) - i - 1))
        for i, n in enumerate(shape)
    )


def _put_along(ct: Any, index: Any, *, axis: int, shape: tuple[int, ...]) -> Any:
    out = np.zeros(shape, np.asarray(ct).dtype)
    np.add.at(out, mesh(index, axis), ct)
    return out


def _take_along(x: Any, index: Any, *, axis: int) -> Any:
    if x.ndim == index.ndim == 1 and index.dtype == np.int64:
        return x.take(index)  # a third of the time of a key
    return x[mesh(index, axis)]


def _take_type(x: Any, index: Any, *, axis: int) -> Any:
    check_axes("take_along", x, (axis,))
    if len(index.shape) != len(x.shape) or any(
        n > m for k, (n, m) in enumerate(zip(index.shape, x.shape, strict=True)) if k != axis
    ):
        fix = f"give an index with {len(x.shape)} dimensions, no longer than the tensor outside of {axis}"
        raise ShapeError("the index does not fit the tensor", given=f"index {index}, tensor {x}", fix=fix)
    return type(x)(index.shape, x.dtype)


def _put_type(x: Any, index: Any, *, axis: int, shape: tuple[int, ...]) -> Any:
    whole = type(x)(shape, x.dtype)
    _check_fits(x, _take_type(whole, index, axis=axis))
    return whole


take_along = register(
    Primitive(
        name="take_along",
        inputs=("x", "index"),
        value=_take_along,
        type_rule=_take_type,
        rule=Linear(
            transpose={
                "x": lambda emit, ct, x, index, *, axis: emit(
                    "put_along", ct, index, axis=axis, shape=x.shape
                )
            },
            holes=True,
        ),
        text="take_along($x, $index, $axis)",
        latex=r"\operatorname{take}_{$axis}($x, $index)",
        doc="out[i, j] = x[index[i, j], j] for axis 0: one entry per line along an axis (torch's gather).",
        samples=(
            dict(shapes=[(3, 4)], index=[np.array([[0, 2, 2, 1]])], axis=0),
            dict(shapes=[(2, 3)], index=[np.array([[2], [2]])], axis=1),
        ),
        source="the transpose of picking is adding in place",
    )
)
put_along = register(
    Primitive(
        name="put_along",
        inputs=("x", "index"),
        value=_put_along,
        type_rule=_put_type,
        rule=Linear(
            transpose={
                "x": lambda emit, ct, x, index, *, axis, shape: emit("take_along", ct, index, axis=axis)
            }
        ),
        text="put_along($x, $index, $axis)",
        latex=r"\operatorname{put}_{$axis}($x, $index)",
        doc="Zeros of a given shape with x added at the entries that `take_along` would take.",
        samples=(dict(shapes=[(1, 4)], index=[np.array([[0, 2, 2, 1]])], axis=0, shape=(3, 4)),),
        source="the transpose of take_along",
    )
)
