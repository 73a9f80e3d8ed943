"""PyTorch's own sample inputs (`op_db`), run under PyTorch and under chainrule, and compared.

Four comparisons of one sample: the value (shape, dtype, numbers), the gradient for random weights of the outputs, the
tangent of the outputs in a random direction, and the gradient of a random combination of the gradients.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.autograd import forward_ad
from torch.testing._internal.common_methods_invocations import op_db

import chainrule as cr

DTYPES = {
    "float64": torch.float64, "float32": torch.float32, "complex128": torch.complex128, "int64": torch.int64,
}  # fmt: skip
# Of the numbers of one result, relative to the largest: rounding of sums, and of torch's own special functions.
CLOSE = {"value": 1e-12, "gradient": 1e-11, "tangent": 1e-11, "second": 1e-9}
SINGLE = 2e-5
MOST = 60  # samples of one entry: of more, every k-th


class Unlike(AssertionError):
    """The two libraries differ."""


class Sample(NamedTuple):
    """One call: the same arguments for both libraries."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    process: Callable[..., Any]
    broadcasts: bool

    def __repr__(self) -> str:
        shown = [*map(show, self.args), *(f"{k}={show(v)}" for k, v in self.kwargs.items())]
        return f"({', '.join(shown)})"


def show(v: Any) -> str:
    if isinstance(v, torch.Tensor):
        numbers = f" {v.tolist()}" if v.numel() <= 4 else ""
        return f"{str(v.dtype).removeprefix('torch.')}{list(v.shape)}{numbers}"
    if isinstance(v, list | tuple):
        return f"[{', '.join(map(show, v))}]"
    return repr(v)


# --- entries and what they call ------------------------------------------------------------------


@functools.cache
def entries() -> dict[str, Any]:
    """Entries of `op_db` by name and variant: "round", "round.decimals_3"."""
    found: dict[str, Any] = {}
    for op in op_db:
        key = f"{op.name}.{op.variant_test_name}" if op.variant_test_name else op.name
        found.setdefault(key, op)
    return found


@functools.lru_cache(maxsize=8)  # the checks of an entry follow one another
def samples(key: str, dtype: str, *, grad: bool) -> list[Sample]:
    """The sample inputs of an entry; the same on every run.

    Not by `op.sample_inputs`: that looks through the whole stack for a unittest, which takes longer than the samples.
    """
    op = entries()[key]
    torch.manual_seed(0)
    with torch.no_grad():
        made = list(op.sample_inputs_func(op, "cpu", DTYPES[dtype], grad))
    found = [
        Sample((s.input, *s.args), s.kwargs, s.output_process_fn_grad, s.broadcasts_input)
        for s in made
        if "memory_format" not in s.kwargs
    ]
    return found[:: max(1, -(-len(found) // MOST))]


class Missing(Exception):
    """chainrule has no such name."""


def reach(start: Any, name: str) -> Any:
    """`reach(torch, "special.erf")`"""
    return functools.reduce(getattr, filter(None, name.split(".")), start)


def dotted(name: str) -> Any:
    """The function or method of chainrule that has torch's name."""
    for start in (cr, cr.Tensor):
        try:
            found = reach(start, name)
        except (AttributeError, cr.ChainruleError):
            continue
        if callable(found) and not isinstance(found, np.dtype):  # `cdouble` is a dtype, and a method
            return found
    raise Missing(name)


def translated(function: Any, name: str) -> Callable[..., Any]:
    """Ours for a function of torch: by name, or where `op_db` has a lambda, its text with `torch` meaning chainrule."""
    found = dotted(name)
    if isinstance(function, types.FunctionType) and function.__name__ == "<lambda>":
        names = {**function.__globals__, "torch": cr}
        return types.FunctionType(
            function.__code__, names, function.__name__, function.__defaults__, function.__closure__
        )
    return found


def ours(op: Any) -> Callable[..., Any]:
    return translated(op.op, op.name)


def is_method(op: Any) -> bool:
    """Whether the entry is a method only: `x.expand(…)`."""
    start, _, name = op.name.rpartition(".")
    return not callable(getattr(reach(torch, start), name, None))


def torch_method(op: Any) -> Callable[..., Any] | None:
    """torch's method under the name of the entry, if there is one beside the function."""
    name = getattr(op.method_variant, "__name__", "<lambda>")
    return (
        getattr(torch.Tensor, name, None) if name != "<lambda>" and op.method_variant is not op.op else None
    )


def method(op: Any) -> Callable[..., Any]:
    return getattr(cr.Tensor, op.method_variant.__name__)


# --- arguments -----------------------------------------------------------------------------------


def leaves(v: Any) -> Iterator[torch.Tensor]:
    """The tensors in the arguments that have a gradient, in order."""
    if isinstance(v, torch.Tensor):
        if v.requires_grad:
            yield v
    elif isinstance(v, dict):
        for k in v:
            yield from leaves(v[k])
    elif isinstance(v, list | tuple):
        for x in v:
            yield from leaves(x)


def convert(v: Any, tensor: Callable[[torch.Tensor], Any]) -> Any:
    """The same argument for chainrule; `tensor` says what becomes of a tensor."""
    if isinstance(v, torch.Tensor):
        return tensor(v)
    if isinstance(v, torch.dtype):
        return np.dtype(str(v).removeprefix("torch."))
    if isinstance(v, dict):
        return {k: convert(x, tensor) for k, x in v.items()}
    if isinstance(v, torch.Size):
        return tuple(v)
    if isinstance(v, list | tuple) and type(v) in (list, tuple):
        return type(v)(convert(x, tensor) for x in v)
    return v


def plain(v: torch.Tensor) -> Any:
    return cr.tensor(v.numpy(force=True).copy())


def bare(v: torch.Tensor) -> Any:
    """A NumPy array; of whole numbers a Tensor, since those may be indices, for which torch asks for tensors."""
    return v.numpy(force=True).copy() if v.is_floating_point() or v.is_complex() else plain(v)


def outputs(result: Any) -> list[Any]:
    """The tensors and numbers of a result, in order."""
    if isinstance(result, tuple | list):
        return [x for r in result for x in outputs(r)]
    return [result]


def array(v: Any) -> np.ndarray:
    if isinstance(v, torch.Tensor):
        return v.numpy(force=True)
    return v.detach().numpy() if isinstance(v, cr.Tensor) else np.asarray(v)


def differentiable(results: list[Any]) -> list[int]:
    return [i for i, r in enumerate(results) if isinstance(r, torch.Tensor) and r.requires_grad]


def weights(like: list[torch.Tensor], seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(r.shape, dtype=r.dtype, generator=generator) for r in like]


# --- comparisons ---------------------------------------------------------------------------------


def check_close(got: Any, expected: Any, rtol: float, what: str, floor: float = 0.0) -> None:
    """Raise unless shape, dtype and numbers agree; `rtol` is relative to the largest number, or `floor`."""
    a, b = array(got), array(expected)
    if a.shape != b.shape:
        raise Unlike(f"{what}: shape {a.shape}, not {b.shape}")
    if a.dtype != b.dtype:
        raise Unlike(f"{what}: dtype {a.dtype}, not {b.dtype}")
    if a.dtype.kind not in "fc":
        if not np.array_equal(a, b):
            raise Unlike(f"{what}: {first_unlike(a, b, a != b)}")
        return
    if a.dtype.itemsize == (4 if a.dtype.kind == "f" else 8):
        rtol = max(rtol, SINGLE)
    with np.errstate(all="ignore"):
        size = max(floor, largest(b))
        same = (a == b) | (np.isnan(a) & np.isnan(b)) | (np.abs(a - b) <= rtol * np.maximum(np.abs(b), size))
    if not np.all(same):
        raise Unlike(f"{what}: {first_unlike(a, b, ~same)}")


def cancelling(terms: Any) -> float:
    """The size below which a sum of products with `terms` may be rounding: 1e-14 of them, for CLOSE of 1e-11."""
    return 1e-3 * max((largest(array(t)) for t in terms), default=0.0)


def largest(v: np.ndarray) -> float:
    return float(np.max(np.abs(v), initial=0.0, where=np.isfinite(v)))


def first_unlike(a: np.ndarray, b: np.ndarray, unlike: np.ndarray) -> str:
    at = tuple(map(int, np.argwhere(unlike)[0]))
    return f"{a[at]!r}, not {b[at]!r}, at {at} ({int(unlike.sum())} of {a.size} differ)"


def same_results(got: Any, expected: Any, rtol: float, what: str) -> None:
    a, b = outputs(got), outputs(expected)
    if len(a) != len(b):
        raise Unlike(f"{what}: {len(a)} results, not {len(b)}")
    for k, (x, y) in enumerate(zip(a, b, strict=True)):
        check_close(x, y, rtol, f"{what} {k}" if len(a) > 1 else what)


def check_value(
    function: Callable[..., Any],
    theirs: Callable[..., Any],
    s: Sample,
    tensor: Callable[[torch.Tensor], Any] = plain,
) -> None:
    """Shape, dtype and numbers of the results; `tensor` makes what chainrule is given for a tensor."""
    args, kwargs = convert(s.args, tensor), convert(s.kwargs, tensor)
    same_results(function(*args, **kwargs), theirs(*s.args, **s.kwargs), CLOSE["value"], "value")


def check_in_place(op: Any, s: Sample) -> None:
    """The first argument afterwards, where torch allows the change."""
    if s.broadcasts:
        return
    theirs = s.args[0].clone()
    try:
        op.inplace_variant(theirs, *s.args[1:], **s.kwargs)
    except (RuntimeError, TypeError):
        return  # another dtype, another shape, or no such form of the arguments
    mine, *rest = convert(s.args, plain)
    getattr(cr.Tensor, op.inplace_variant.__name__)(mine, *rest, **convert(s.kwargs, plain))
    check_close(mine, theirs, CLOSE["value"], "in place")


def check_derivatives(
    function: Callable[..., Any], theirs: Callable[..., Any], s: Sample, *, second: bool
) -> None:
    """The gradient for random weights of the outputs, and of a random combination of that gradient."""
    xs = list(leaves((s.args, s.kwargs)))
    outs = outputs(s.process(theirs(*s.args, **s.kwargs)))
    chosen = differentiable(outs)
    if not xs or not chosen:
        return
    made: list[Any] = []

    def leaf(v: torch.Tensor) -> Any:
        t = plain(v)
        if v.requires_grad:
            made.append(t.requires_grad_())
        return t

    args, kwargs = convert(s.args, leaf), convert(s.kwargs, leaf)
    mine = outputs(s.process(function(*args, **kwargs)))
    cts = weights([outs[k] for k in chosen], 1)
    gs = torch.autograd.grad(
        [outs[k] for k in chosen], xs, cts, create_graph=second, allow_unused=True, materialize_grads=True
    )
    tracked = [(mine[k], c) for k, c in zip(chosen, cts, strict=True) if mine[k].requires_grad]
    if not tracked:
        raise Unlike("gradient: no result is connected with an argument")
    hs = grad_of([m for m, _ in tracked], made, [plain(c) for _, c in tracked], second)
    floor = cancelling(cts)
    for k, (h, g) in enumerate(zip(hs, gs, strict=True)):
        check_close(h, g, CLOSE["gradient"], f"gradient {k}", floor)
    if second:
        check_second(hs, gs, made, xs, floor)


def grad_of(outs: list[Any], made: list[Any], cts: list[Any], second: bool) -> Any:
    return cr.autograd.grad(
        outs, made, cts, create_graph=second, allow_unused=True, materialize_grads=True, retain_graph=True
    )


def check_second(hs: Any, gs: Any, made: list[Any], xs: list[Any], floor: float) -> None:
    theirs = [k for k, g in enumerate(gs) if g.requires_grad]
    mine = [k for k, h in enumerate(hs) if h.requires_grad]
    ws = weights(list(gs), 2)
    expected = [torch.zeros_like(x) for x in xs]
    if theirs:
        expected = torch.autograd.grad(
            [gs[k] for k in theirs], xs, [ws[k] for k in theirs], allow_unused=True, materialize_grads=True
        )
    got = [cr.zeros_like(m) for m in made]
    if mine:
        got = grad_of([hs[k] for k in mine], made, [plain(ws[k]) for k in mine], False)
    floor = max(floor, cancelling(gs))
    for k, (h, g) in enumerate(zip(got, expected, strict=True)):
        check_close(h, g, CLOSE["second"], f"second derivative {k}", floor)


def check_tangent(function: Callable[..., Any], theirs: Callable[..., Any], s: Sample) -> None:
    """J·t in a random direction against torch's forward mode."""
    xs = list(leaves((s.args, s.kwargs)))
    if not xs:
        return
    ts = weights(xs, 3)
    with forward_ad.dual_level():
        duals = {id(x): forward_ad.make_dual(x.detach(), t) for x, t in zip(xs, ts, strict=True)}
        args, kwargs = (swapped(v, duals) for v in (s.args, s.kwargs))
        outs = [forward_ad.unpack_dual(o) if isinstance(o, torch.Tensor) else (o, None)
                for o in outputs(s.process(theirs(*args, **kwargs)))]  # fmt: skip
        expected = [
            torch.zeros_like(v) if t is None else t.detach().clone()
            for v, t in outs
            if isinstance(v, torch.Tensor) and (v.is_floating_point() or v.is_complex())
        ]

    def f(*values: Any) -> Any:
        found = dict(zip(map(id, xs), values, strict=True))
        pick = lambda v: found[id(v)] if id(v) in found else plain(v)
        outs = outputs(s.process(function(*convert(s.args, pick), **convert(s.kwargs, pick))))
        return tuple(o for o in outs if isinstance(o, cr.Tensor) and array(o).dtype.kind in "fc")

    at, directions = tuple(map(plain, xs)), tuple(map(plain, ts))
    for k, t in enumerate(expected):
        got = cr.jvp(lambda *v, k=k: f(*v)[k], at, directions)[1]
        check_close(got, t, CLOSE["tangent"], f"tangent {k}", cancelling(ts))


def swapped(v: Any, duals: dict[int, Any]) -> Any:
    if isinstance(v, torch.Tensor):
        return duals.get(id(v), v)
    if isinstance(v, dict):
        return {k: swapped(x, duals) for k, x in v.items()}
    return type(v)(swapped(x, duals) for x in v) if type(v) in (list, tuple) else v
