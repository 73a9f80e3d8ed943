"""What a tensor gives to Python and NumPy: numbers, lists, arrays, copies. The graph ends at most of them."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule import dispatch
from chainrule.dispatch import Handle, share
from chainrule.eager.backward import node_of
from chainrule.eager.formatting import tensor_repr
from chainrule.errors import ArgumentError, DerivativeError, ShapeError
from chainrule.ir.types import type_of
from chainrule.ops import elementwise as e
from chainrule.source import Source, boundary, here
from chainrule.tape.cuts import note_cut, note_origin
from chainrule.tape.memory import note_shared
from chainrule.tape.modes import current
from chainrule.tape.node import leaf
from chainrule.tape.traced import Traced, cut, own


class Values(Handle):
    """The part of `Tensor` that hands values out."""

    __slots__ = ()

    @boundary
    def item(self) -> Any:
        """The value of a tensor with one entry, as a Python number; the graph ends there."""
        v = self.v
        if self.n.pull is not None:
            note_cut(node_of(self), "item")
        if v.__class__ is float:
            return v
        if v.size != 1:
            fix = "read one entry, e.g. x[0].item(), or all of them with tolist()"
            raise ShapeError(
                f"a tensor with {v.size} entries is no single number", given=str(type_of(v)), fix=fix
            )
        return v.item()

    def tolist(self) -> Any:
        """The values as nested lists (a number for a 0-d tensor)."""
        return self.v if self.v.__class__ is float else self.v.tolist()

    @boundary
    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The values as a NumPy array that shares memory; refused where a gradient would be lost unseen."""
        n = node_of(self)
        if n.pull is not None and not force:
            raise DerivativeError(
                "numpy() of a tensor that requires a gradient would cut the graph", given=f"{n.name} at {n.source}",
                fix="use x.detach().numpy(), or np.asarray(x)",
            )  # fmt: skip
        note_cut(n, "numpy")
        return share(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        note_cut(node_of(self), "numpy")
        a = np.asarray(self.v) if self.v.__class__ is float else self.v
        return np.array(a, dtype=dtype, copy=True if copy or copy is None else None)

    @boundary
    def detach(self) -> Any:
        """The same memory without history; the graph is not kept alive."""
        note_cut(node_of(self), "detach")
        if self.v.__class__ is Traced:
            return dispatch.emit("detach", self)
        t = dispatch.wrap(share(self), leaf(self.v, False, *dispatch.source_code()))
        note_shared(t.v)
        if self.n.pull is not None:
            note_origin(t.n, "detach", Source(t.n.code, t.n.at))
        return t

    @boundary
    def detach_(self) -> Any:
        """Forget the history of this tensor."""
        note_cut(node_of(self), "detach")
        self.v = cut(self.v)
        self.n, self.base = leaf(self.v, False, *dispatch.source_code()), None
        return self

    @boundary
    def clone(self, *, memory_format: Any = None) -> Any:
        """A copy in memory of its own; the gradient flows through."""
        return self._copy("K")

    @boundary
    def contiguous(self, memory_format: Any = None) -> Any:
        """Itself, or a copy if its entries do not lie one after the other, the last dimension first."""
        flat = self.v.__class__ is not np.ndarray or self.v.flags.c_contiguous
        return self if flat else self._copy("C")

    def _copy(self, order: Any) -> Any:
        p = dispatch.TABLE["alias"]
        values, nodes, _ = dispatch.operands((self,))
        out = np.array(values[0], order=order) if order == "C" else own(values[0])
        out = out if current().grad else cut(out)
        return dispatch.wrap(out, dispatch.record(p, values, nodes, out, {}, current()))

    @boundary
    def __float__(self) -> float:
        return float(_number(self, "float"))

    @boundary
    def __int__(self) -> int:
        return int(_number(self, "int"))

    @boundary
    def __complex__(self) -> complex:
        return complex(_number(self, "complex"))

    @boundary
    def __index__(self) -> int:
        v = np.asarray(self.v)
        if v.size != 1 or v.dtype.kind not in "bui":
            raise ArgumentError(
                "only a tensor with one whole number is an index", given=str(type_of(v)),
                fix="use int(x), which cuts the fraction off" if v.size == 1 else "read one entry of it",
            )  # fmt: skip
        return operator.index(v.item())

    @boundary
    def __bool__(self) -> bool:
        if self.v.__class__ is float:
            return self.v != 0.0
        if self.v.size != 1:
            fix = "use .any() or .all(), or where(…) to choose entry by entry"
            what = f"the truth of a tensor with {self.v.size} entries is ambiguous"
            raise ShapeError(what, given=str(type_of(self.v)), fix=fix)
        return bool(self.v)

    @boundary
    def __len__(self) -> int:
        if not self.shape:
            raise ArgumentError("a 0-d tensor has no length", fix="read its value with .item()")
        return self.shape[0]

    @boundary
    def __iter__(self) -> Iterator[Any]:
        if not self.shape:
            raise ArgumentError(
                "a 0-d tensor has no entries to go through", fix="read its value with .item()"
            )
        return iter([self[i] for i in range(self.shape[0])])

    def __contains__(self, x: Any) -> bool:
        return bool(np.any(np.asarray(self.v) == (x.v if isinstance(x, Handle) else x)))

    def __repr__(self) -> str:
        n = node_of(self)
        name = _torch_name(n) if n.p is not None and n.pull is not None else None
        return tensor_repr(self.v, requires_grad=n.pull is not None, grad_fn=name)

    @boundary
    def __format__(self, spec: str) -> str:
        if not self.shape:
            return format(self.item(), spec) if spec else str(self.item())
        if spec:
            raise ArgumentError(
                f"a tensor with {self.numel()} entries has no format {spec!r}", given=f"shape {list(self.shape)}",
                fix="format one entry, f\"{x[0]:.3f}\", or set the digits with set_printoptions(precision=3)",
            )  # fmt: skip
        return repr(self)

    def __round__(self, ndigits: Any = None) -> Any:
        return e.round_(self, decimals=0 if ndigits is None else ndigits)

    def __trunc__(self) -> int:
        return int(self)

    def __divmod__(self, other: Any) -> Any:
        return e.floor_divide(self, other), e.remainder(self, other)

    def __rdivmod__(self, other: Any) -> Any:
        return e.floor_divide(other, self), e.remainder(other, self)


def _number(t: Any, how: str) -> Any:
    n = node_of(t)
    if n.pull is not None:
        note_cut(n, how)
    if t.numel() != 1:
        fix = "read one entry, e.g. x[0].item()"
        raise ShapeError(
            f"a tensor with {t.numel()} entries is no single number", given=str(type_of(t.v)), fix=fix
        ).at(here())
    return t.v if t.v.__class__ is float else t.v.item()


def _torch_name(n: Any) -> str:
    name = n.scope or {"integer_pow": "pow", "concatenate": "cat"}.get(n.p.name, n.p.name)
    return "".join(w[:1].upper() + w[1:] for w in name.split("_")) + "Backward0"
