"""What the table says about a primitive, and the kinds of rule that state a derivative.

See Note [Rules] for the kinds, and CONTRIBUTING.md for how to add an entry.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from chainrule.errors import DtypeError, IndexingError, ShapeError
from chainrule.table.formula import Apply, Const, Formula, Param, Symbol, apply, is_const, walk

# Note [Rules]
# Nothing else in the package states a derivative; `transforms/derive.py` is the only reader.
#   Partials  ∂out/∂x as a formula in inputs, `out` and parameters. For elementwise primitives, and for
#             reductions (`out` is then spread back over the reduced axes). None: zero everywhere.
#   Linear    for each argument that the primitive is linear in, its transpose. The lambda's own argument is a
#             Type (by linearity its value can't matter); other arguments are values.
#   Jvp       the pushforward as a program, linear in the tangents; reverse mode transposes it.
#   Body      control flow: two builders made of the transforms of the sub-graphs.
#   Custom    what a user gave.


@dataclass(frozen=True, slots=True)
class Partials:
    """∂out/∂(input) as formulas; the parameter names of each lambda are what reverse mode keeps."""

    partials: Mapping[str, Callable[..., Any] | None]


@dataclass(frozen=True, slots=True)
class Linear:
    """The transpose in each argument that the primitive is linear in.

    holes
        The transposes leave entries that no cotangent reaches (indexing): they are inactive, see
        Note [Inactive routes] in transforms/derive.py.
    joint
        Linear in all its arguments together (concatenate), not in each with the others fixed (matmul).
    """

    transpose: Mapping[str, Callable[..., Any]]
    holes: bool = False
    joint: bool = False


@dataclass(frozen=True, slots=True)
class Jvp:
    """`push(emit, args, tangents, out, **params)` → tangent of `out`; a tangent that is None is zero.

    transpose
        Transposes for the arguments that the primitive is linear in, as in `Linear`: used when only those
        are wanted, and the end of the recursion for programs that push through the primitive itself.
    """

    push: Callable[..., Any]
    transpose: Mapping[str, Callable[..., Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Body:
    """Control flow: builders of the forward and the reverse equation, made of the sub-graphs' transforms."""

    push: Callable[..., Any]
    pull: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Custom:
    """A rule given by a user, as programs that are run each time.

    jvp
        `push(emit, args, out, tangents, **params)` → tangent of `out`; a tangent that is None is zero.
    vjp
        `pull(emit, args, out, ct, mask, wanted, **params)` → triples (position, cotangent, mask).
    keeps
        Whether the programs read the arguments; if not, they are not kept, and may come as types.
    keeps_out
        Whether they read `out` too.
    release
        ``release(params)`` lets go what the rule itself has kept; None where it keeps nothing.
    """

    jvp: Callable[..., Any]
    vjp: Callable[..., Any]
    keeps: bool = True
    keeps_out: bool = True
    release: Callable[[dict[str, Any]], None] | None = None


Rule = Partials | Linear | Jvp | Body | Custom


@dataclass(frozen=True, slots=True, eq=False)
class Primitive:
    """Everything mathematical about one primitive.

    name, inputs
        `inputs` are the names of the array arguments; ``("*xs",)`` takes any number.
    value
        Its meaning on NumPy arrays: ``value(*arrays, **params)``.
    type_rule
        ``type_rule(*types, **params)`` → type of the output (a tuple of them for several outputs).
    rule
        The derivative; None where the output is not differentiable (integers, truth values).
    kind
        "elementwise", "reduction" or "array".
    scalar
        Its meaning on Python floats: a template over ``{0}``, ``{1}`` … or a function of floats, which may
        raise ArithmeticError or ValueError where `value` gives inf or NaN.
    text, latex
        Templates over ``$x``: input names, and parameters.
    result
        dtype of an elementwise result: "inexact" (integers become the default float), "same", "bool".
    bounded
        Every partial is bounded: an inactive route needs no select here.
    selects
        A partial that is 0 means: this input was not selected (maximum, where, relu).
    view
        `value` may return memory of its input.
    kinks, undefined, facts, domain, source
        Sentences for people; `domain` is an interval per input.
    on_complex
        Where an input is complex, the operation is this program: ``on_complex(emit, *args, **params)``.
        For what is not holomorphic, or refused.
    tolerance, slope_tolerance, tolerance_reason
        Error of the value and of each partial, in units of the last place, and why it is more than 4.
    samples
        Points for tests, docs and plots: tuples of numbers, or dicts with `shapes` and parameters.
    """

    name: str
    inputs: tuple[str, ...]
    value: Callable[..., Any]
    type_rule: Callable[..., Any]
    rule: Rule | None
    kind: str = "array"
    scalar: str | Callable[..., Any] | None = None
    text: str = ""
    latex: str = ""
    result: str = "same"
    bounded: bool = False
    selects: bool = False
    view: bool = False
    commutative: bool = False
    even: bool = False
    monotone: bool = False
    outs: int = 1
    doc: str = ""
    torch: str | None = None
    domain: tuple[tuple[float, float], ...] = ()
    samples: tuple[Any, ...] = ()
    tolerance: float = 4.0
    slope_tolerance: float = 4.0
    tolerance_reason: str = ""
    kinks: Mapping[str, str] = field(default_factory=dict)
    undefined: Mapping[str, str] = field(default_factory=dict)
    simplify: Callable[..., Any] | None = None
    on_complex: Callable[..., Any] | None = None
    source: str = ""
    nary: bool = field(
        init=False, default=False
    )  # inputs are kept as tuples: none, more than two, or any number

    def __post_init__(self) -> None:
        nary = len(self.inputs) not in (1, 2) or any(i.startswith("*") for i in self.inputs)
        object.__setattr__(self, "nary", nary)

    def __call__(self, *args: Any, **params: Any) -> Formula:
        """Build a formula: primitives are called on symbols only, inside rules."""
        return apply(self.name, *args, **params)

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


TABLE: dict[str, Primitive] = {}


def register(p: Primitive) -> Primitive:
    """Put an entry into the table; names are unique, and a rule names inputs that exist."""
    if p.name in TABLE:
        raise ValueError(f"primitive {p.name!r} is in the table already")
    if isinstance(p.rule, Partials):
        names = set(p.rule.partials)
        if names != set(p.inputs) - set(nondifferentiable(p)):
            raise ValueError(f"{p.name}: partials {sorted(names)} do not match the inputs {p.inputs}")
    TABLE[p.name] = p
    return p


def nondifferentiable(p: Primitive) -> tuple[str, ...]:
    """Inputs that carry no derivative: conditions, indices, and the order of a special function.

    In the order a derivative exists that is not stated here: the operations of `ops` refuse one that asks for it.
    """
    return tuple(i for i in p.inputs if i in ("condition", "index", "*index", "order"))


@cache
def partials_of(p: Primitive) -> dict[str, Formula]:
    """The rule's lambdas, run on symbols: input name → formula. Run at first use, not at import."""
    assert isinstance(p.rule, Partials)
    return {name: _run(p, fn) for name, fn in p.rule.partials.items()}


def _run(p: Primitive, fn: Callable[..., Any] | None) -> Formula:
    if fn is None:
        return Const(0.0)
    names, keywords = arguments_of(fn)
    result = fn(*map(Symbol, names), **{name: Param.named(name) for name in keywords})
    return result if isinstance(result, Formula) else Const(float(result))


def arguments_of(fn: Callable[..., Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the arguments of a function of Python, and of those that are keyword-only.

    Read off its code: a first call asks for many, and `inspect.signature` takes 30 µs for each.
    """
    code = inspect.unwrap(fn).__code__
    positional, names = code.co_argcount, code.co_varnames
    return names[:positional], names[positional : positional + code.co_kwonlyargcount]


@cache
def transpose_reads(fn: Callable[..., Any]) -> tuple[str, ...]:
    """Names of the array arguments that a transpose takes, after `emit` and `ct`."""
    return arguments_of(fn)[0][2:]


@cache
def values_read(p: Primitive, wanted: tuple[str, ...]) -> frozenset[str]:
    """Which values the pullback to the inputs `wanted` reads ("out" among them): these must be kept."""
    rule = p.rule
    if isinstance(rule, Partials):
        fs = [partials_of(p)[w] for w in wanted if w in rule.partials]
        return frozenset(g.name for f in fs for g in walk(f) if isinstance(g, Symbol))
    if isinstance(rule, Linear):
        fns = [(w, rule.transpose[w]) for w in wanted if w in rule.transpose]
        return frozenset(n for w, fn in fns for n in transpose_reads(fn) if n != w) | _indices(p)
    if isinstance(rule, Custom):
        return frozenset((*p.inputs * rule.keeps, *("out",) * rule.keeps_out))
    return frozenset((*p.inputs, "out"))


def _indices(p: Primitive) -> frozenset[str]:
    return frozenset(i for i in p.inputs if i in ("index", "*index"))


def is_bounded(p: Primitive) -> bool:
    """Whether no partial can be infinite: stated in the entry, or all partials are constants."""
    return p.bounded or (isinstance(p.rule, Partials) and all(is_const(f) for f in partials_of(p).values()))


# --- builders shared by the families -------------------------------------------------------------


def elementwise_type(name: str, result: str, conditions: int = 0) -> Callable[..., Any]:
    """Type rule of an elementwise primitive: equal shapes and dtypes in, the same out (or bool).

    The first `conditions` inputs are truth values.
    """

    def rule(*types: Any, **params: Any) -> Any:
        first = types[-1]
        for k, t in enumerate(types):
            if t.shape != first.shape:
                given = ", ".join(map(str, types))
                fix = "make the shapes equal, or 1 where they should repeat"
                raise ShapeError(f"inputs of {name} differ in shape", given=given, fix=fix)
            if k >= conditions and t.dtype != first.dtype:
                given = ", ".join(map(str, types))
                raise DtypeError(
                    f"inputs of {name} differ in dtype", given=given, fix="cast them to one dtype"
                )
        dtype = np.dtype(bool) if result == "bool" else first.dtype
        return type(first)(first.shape, dtype)

    return rule


def _word(name: str) -> str:
    return name.replace("_", r"\_")


def elementwise(
    name: str,
    inputs: str,
    value: Callable[..., Any],
    partials: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Primitive:
    """Register an elementwise primitive; `inputs` are names separated by blanks."""
    result = fields.setdefault("result", "inexact")
    rule = None if partials is None else Partials(partials)
    names = tuple(inputs.split())
    fields.setdefault("latex", rf"\operatorname{{{_word(name)}}}({', '.join(f'${n}' for n in names)})")
    fields.setdefault("text", f"{name}({', '.join('$' + n for n in names)})")
    type_rule = fields.pop("type_rule", None) or elementwise_type(name, result)
    return register(Primitive(name, names, value, type_rule, rule, kind="elementwise", **fields))


def refuse_complex(
    name: str,
    what: str = "needs an order, and complex numbers have none",
    fix: str = "compare the absolute values, or the real parts",
) -> Callable[..., Any]:
    """An `on_complex` that raises: NumPy would compare real parts first, which means nothing."""

    def refuse(emit: Any, *args: Any, **params: Any) -> Any:
        raise DtypeError(
            f"{name} {what}", given=", ".join(str(getattr(a, "dtype", a)) for a in args), fix=fix,
        )  # fmt: skip

    return refuse


def count_along(shape: Sequence[int], axis: Sequence[int]) -> int:
    """Number of elements that a reduction over `axis` puts into each result."""
    n = 1
    for a in axis:
        n *= shape[a]
    return n


def reduced_shape(shape: Sequence[int], axis: Sequence[int], keepdims: bool) -> tuple[int, ...]:
    """Shape after reducing over `axis`."""
    if keepdims:
        return tuple(1 if i in axis else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in axis)


def check_axes(name: str, x: Any, axis: Sequence[int]) -> None:
    """Raise unless each of the canonical `axis` is a dimension of `x`."""
    for a in axis:
        if not 0 <= a < len(x.shape):
            fix = f"use an axis in 0..{len(x.shape) - 1}" if x.shape else "a tensor of shape [] has no axes"
            raise IndexingError(f"{name} has no axis {a}", given=str(x), fix=fix)


def reduction_type(name: str, result: str) -> Callable[..., Any]:
    """Type rule of a reduction with canonical `axis` (sorted, not negative) and `keepdims`."""

    def rule(x: Any, *, axis: tuple[int, ...], keepdims: bool, **params: Any) -> Any:
        check_axes(name, x, axis)
        dtype = {"bool": np.dtype(bool), "int": np.dtype(np.int64)}.get(result, x.dtype)
        if result == "real" and dtype.kind == "c":
            dtype = np.empty(0, dtype).real.dtype
        return type(x)(reduced_shape(x.shape, axis, keepdims), dtype)

    return rule


def reduction(name: str, value: Callable[..., Any], rule: Rule | None, **fields: Any) -> Primitive:
    """Register a reduction of `x` over the axes `axis`; `result` as in `reduction_type`."""
    result = fields.pop("result_dtype", "same")
    fields.setdefault("latex", rf"\operatorname{{{_word(name)}}}_{{$axis}}($x)")
    fields.setdefault("text", f"{name}($x)")
    return register(
        Primitive(name, ("x",), value, reduction_type(name, result), rule, kind="reduction", **fields)
    )


__all__ = [
    "TABLE",
    "Apply",
    "Body",
    "Custom",
    "Jvp",
    "Linear",
    "Partials",
    "Primitive",
    "Rule",
    "check_axes",
    "count_along",
    "elementwise",
    "elementwise_type",
    "is_bounded",
    "nondifferentiable",
    "partials_of",
    "reduced_shape",
    "reduction",
    "reduction_type",
    "refuse_complex",
    "register",
    "transpose_reads",
    "values_read",
]
