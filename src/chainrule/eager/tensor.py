"""Tensor: a value and a node, with torch's names. Methods are the functions of `ops`; nothing is computed here."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import dispatch, quick
from chainrule.dispatch import Handle
from chainrule.eager import backward as engine
from chainrule.eager import inplace, interop
from chainrule.eager.backward import RETAINED, node_of
from chainrule.eager.methods import attach, comparable, in_place, reflected
from chainrule.eager.values import Values
from chainrule.errors import (
    ArgumentError,
    ChainruleError,
    DtypeError,
    GradientNote,
    InferenceError,
    LeafFlagError,
    ShapeError,
    UnsupportedError,
)
from chainrule.ir.types import type_of
from chainrule.ops import array, contract, creation, index
from chainrule.ops import elementwise as e
from chainrule.ops.device import CPU
from chainrule.source import boundary, trim
from chainrule.tape.cuts import note_cut
from chainrule.tape.memory import note_shared
from chainrule.tape.modes import current
from chainrule.tape.node import Leaf, accumulate, leaf
from chainrule.tape.promote import get_default_dtype, is_inexact


class Tensor(Values):
    """An array of numbers that remembers how it was computed.

    Made by `tensor`, `zeros`, `from_numpy` … and by every operation. The default dtype is float64.

    Examples
    --------
    >>> import chainrule as cr
    >>> w = cr.tensor(1.0, requires_grad=True)
    >>> L = 4 * w + w**3
    >>> L.backward()
    >>> w.grad
    tensor(7.)
    """

    __slots__ = ()
    __hash__ = object.__hash__
    __array_priority__ = 1000
    __array_ufunc__ = interop.array_ufunc
    __array_function__ = interop.array_function

    def __new__(cls, data: Any = (), *, requires_grad: bool = False) -> Any:
        return creation.tensor(data, dtype=get_default_dtype(), requires_grad=requires_grad)

    # --- what it is ------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the dimensions."""
        return () if self.v.__class__ is float else self.v.shape

    @property
    def dtype(self) -> np.dtype:
        """dtype of the entries."""
        return type_of(self.v).dtype

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def device(self) -> Any:
        """Always `device("cpu")`."""
        return CPU

    @property
    def itemsize(self) -> int:
        """Bytes per entry."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all entries."""
        return self.dtype.itemsize * self.numel()

    @property
    def is_leaf(self) -> bool:
        """Whether `backward` would put a gradient here: made by the user, or not tracked at all."""
        n = node_of(self)
        return n.pull is None or n.p is None

    @property
    def requires_grad(self) -> bool:
        """Whether operations on this tensor are recorded."""
        return node_of(self).pull is not None

    @requires_grad.setter
    @boundary
    def requires_grad(self, flag: bool) -> None:
        self.requires_grad_(flag)

    @boundary
    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """Begin (or cease) to record operations on this leaf; returns the tensor."""
        n = node_of(self)
        if not isinstance(requires_grad, bool | np.bool_):
            kind = type(requires_grad).__name__
            raise ArgumentError(f"requires_grad is a {kind}, not True or False", fix="pass True or False")
        if n.p is not None and n.pull is not None:
            if requires_grad:
                return self
            raise LeafFlagError(
                "only leaves can be told not to require a gradient, and this tensor was computed",
                given=f"{n.name} at {n.source}", fix="use x.detach(), which has no history",
            )  # fmt: skip
        if requires_grad and not is_inexact(self.dtype):
            raise creation.integer_gradient(self.dtype)
        if requires_grad and dispatch.made_under_inference(n) and not current().inference:
            raise InferenceError(
                "a tensor made under inference_mode cannot require a gradient outside of it",
                given=f"made at {n.source}",
                fix="make it outside, or use x.clone().requires_grad_()",
            )
        if requires_grad and n.p is not None:
            n = self.n = leaf(self.v, False, *dispatch.source_code())
            if self.base is not None:
                note_shared(self.v)
                self.base = None
        if not requires_grad:
            note_cut(n, "requires_grad")
        n.pull = accumulate if requires_grad else None
        return self

    @property
    def grad_fn(self) -> Any:
        """The node that computed this tensor, or None for a leaf."""
        n = node_of(self)
        return n if n.p is not None and n.pull is not None else None

    @property
    def grad(self) -> Any:
        """The accumulated gradient of a leaf; None (with a note) for a computed tensor that did not retain it."""
        n = self.n
        if n.__class__ is Leaf:
            return n.grad
        n = node_of(self)
        if n in RETAINED:
            return RETAINED[n]
        if n.pull is not None:
            text = NOTE[-1](self)
            if text is not None:
                warnings.warn(text, GradientNote, stacklevel=2)
        return None

    @grad.setter
    @boundary
    def grad(self, g: Any) -> None:
        _assign_grad(self, g)

    @grad.deleter
    def grad(self) -> None:
        _assign_grad(self, None)

    @property
    def data(self) -> Any:
        """The values without history, in the same memory; a change through it is seen by `backward`."""
        return self.detach()

    @data.setter
    @boundary
    def data(self, value: Any) -> None:
        new = creation.as_tensor(value)
        if self.n.pull is not None and not is_inexact(new.dtype):
            raise creation.integer_gradient(new.dtype)
        dispatch.node_of(self)
        inplace.renew(self, new)

    # --- gradients -------------------------------------------------------------------------------

    def backward(
        self,
        gradient: Any = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Accumulate the gradient of this number in `.grad` of every leaf it depends on.

        Parameters
        ----------
        gradient
            Weights of the shape of this tensor; needed unless it has one entry.
        retain_graph
            Keep what the graph saved, so that another backward can follow (default: `create_graph`).
        create_graph
            Record the gradients themselves, for second derivatives.
        inputs
            Leaves to accumulate into (default: all).

        Raises
        ------
        NotScalarError (E203)
            Several entries and no `gradient`.
        NotTrackedError (E202)
            Nothing in its computation requires a gradient.
        GraphFreedError (E204), OverwrittenError (E205)
            A value that is read was freed by an earlier backward, or changed in place.

        Cost
        ----
        About 1 to 3 times the computation of this tensor.
        """
        try:
            engine.backward(self, gradient, retain_graph, create_graph, inputs)
        except Exception as err:
            trim(err)
            raise

    @property
    def retains_grad(self) -> bool:
        """Whether `retain_grad` was called on this computed tensor."""
        return node_of(self) in RETAINED

    # --- operators -------------------------------------------------------------------------------

    __add__ = e.plus
    __sub__ = e.minus
    __mul__ = e.times
    __truediv__ = e.true_divide
    __floordiv__ = e.floor_divide
    __mod__ = e.remainder
    __pow__ = e.power
    __neg__ = e.neg
    __abs__ = e.abs
    __eq__ = comparable(e.eq)  # type: ignore[assignment]
    __ne__ = comparable(e.ne)  # type: ignore[assignment]
    __lt__ = e.lt
    __le__ = e.le
    __gt__ = e.gt
    __ge__ = e.ge
    __matmul__ = contract.matmul
    __and__ = e.bitwise_and
    __or__ = e.bitwise_or
    __xor__ = e.bitwise_xor
    __invert__ = e.bitwise_not

    def __pos__(self) -> Any:
        return self

    __rmatmul__ = reflected(contract.matmul)
    __rand__ = __and__
    __ror__ = __or__
    __rxor__ = __xor__

    __iadd__ = in_place(e.plus, "add_", np.add)
    __isub__ = in_place(e.minus, "sub_", np.subtract)
    __imul__ = in_place(e.times, "mul_", np.multiply)
    __itruediv__ = in_place(e.true_divide, "div_", np.true_divide)
    __ipow__ = in_place(e.power, "pow_")
    __ifloordiv__ = in_place(e.floor_divide, "floor_divide_")

    def __getitem__(self, key: Any) -> Any:
        if key.__class__ is int:
            out = quick.entry(self, key)
            if out is not None:
                return out
        try:
            return index.getitem(self, key)
        except Exception as err:
            trim(err)
            raise

    @boundary
    def __setitem__(self, key: Any, value: Any) -> None:
        inplace.setitem(self, key, value)

    def zero_(self) -> Any:
        """Every entry becomes 0."""
        try:
            return inplace.fill(self, 0.0)
        except Exception as err:
            trim(err)
            raise

    @boundary
    def fill_(self, value: Any) -> Any:
        """Every entry becomes one number."""
        return inplace.fill(self, value.item() if isinstance(value, Handle) else value)

    @boundary
    def fill_diagonal_(self, fill_value: Any, wrap: bool = False) -> Any:
        """The entries [i, i, …] become one number; `wrap` begins the diagonal anew below a tall matrix."""
        inplace.fill_diagonal(self, fill_value, wrap)
        return self

    @boundary
    def copy_(self, src: Any) -> Any:
        """The entries become those of `src`, which is broadcast and cast."""
        return inplace.overwrite(self, inplace._fit(creation.as_tensor(src), self, "copy"), "copy_")

    @property
    def T(self) -> Any:
        """Dimensions in reverse order."""
        return array.permute(self, *reversed(range(self.dim())))

    @property
    def mT(self) -> Any:
        """The last two dimensions exchanged."""
        return array.transpose(self, -2, -1)

    @property
    def H(self) -> Any:
        """The conjugate transpose of a matrix."""
        if self.dim() not in (0, 2):
            raise ShapeError(
                "H is of a matrix", given=f"shape {list(self.shape)}", fix="use x.mH for batches"
            )
        return array.adjoint(self) if self.dim() else self

    @property
    def mH(self) -> Any:
        """The conjugate transpose of the last two dimensions."""
        return array.adjoint(self)

    # --- copies ----------------------------------------------------------------------------------

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        v = self.v if self.v.__class__ is float else copy.deepcopy(self.v, memo)
        t = dispatch.wrap(v, leaf(v, self.n.pull is not None, *dispatch.source_code()))
        if isinstance(self.n, Leaf) and self.n.grad is not None:
            t.n.grad = copy.deepcopy(self.n.grad, memo)
        return t

    def __reduce__(self) -> Any:
        grad = self.n.grad if isinstance(self.n, Leaf) else None
        v = self.v if self.v.__class__ is float else np.array(self.v)
        return _rebuild, (v, self.n.pull is not None, grad)

    @boundary
    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # protocols that libraries ask for: no search for a better name
            raise AttributeError(f"'Tensor' object has no attribute {name!r}", name=name, obj=self)
        raise missing(name)


def _rebuild(v: Any, requires_grad: bool, grad: Any) -> Any:
    t = creation.make_leaf(v, requires_grad)
    t.n.grad = grad
    return t


def missing(name: str) -> ChainruleError:
    """The error for an attribute that chainrule does not have."""
    import difflib

    if name in ("cuda", "mps", "xpu", "half", "bfloat16", "to_sparse", "pin_memory"):
        return UnsupportedError(
            f"tensors have no {name!r} here: they live on the CPU, dense", fix=f"leave out .{name}()"
        )
    plain = name.removesuffix("_")
    if plain != name and hasattr(Tensor, plain):
        return UnsupportedError(
            f"tensors have no {name!r}: there is no form of {plain} that changes the tensor itself",
            fix=f"write x = x.{plain}(…)",
        )
    near = difflib.get_close_matches(name, dir(Tensor), 1)
    return UnsupportedError(
        f"tensors have no attribute {name!r}",
        fix=f"did you mean {near[0]!r}?" if near else "see dir(chainrule.Tensor)",
    )


def _intermediate_note(t: Tensor) -> str | None:
    n = node_of(t)
    return (
        f".grad of a computed tensor ({n.name} at {n.source.place}) is None: its gradient was used and passed on, "
        "not kept. "
        "Keep it with retain_grad() before backward(), or ask chainrule.autograd.grad for it."
    )


# What is said on reading `.grad` of a computed tensor; the last one counts. `chainrule` adds that of `insight`, which
# knows names and numbers and is imported when it is first needed.
NOTE: list[Callable[[Tensor], str | None]] = [_intermediate_note]


@boundary
def _assign_grad(t: Tensor, g: Any) -> None:
    n, recorder = node_of(t), current().recorder
    if g is not None and not isinstance(g, Handle):
        raise DtypeError(
            f"a gradient is a Tensor or None, not a {type(g).__name__}", fix="wrap it: tensor(…)"
        )
    if g is not None and (tuple(g.shape) != tuple(t.shape) or g.dtype != t.dtype):
        raise ShapeError(
            "the gradient does not have the shape and dtype of the tensor",
            given=f"{type_of(g.v)} for {type_of(t.v)}",
            fix="assign a gradient of the same shape and dtype",
        )
    if isinstance(n, Leaf):
        if recorder is not None:
            recorder.keep_grad(n)
        n.grad, n.contributions = g, None
    elif g is None:
        RETAINED.pop(n, None)
    else:
        RETAINED[n] = g


attach(Tensor)
dispatch.Tensor = quick.Tensor = Tensor
