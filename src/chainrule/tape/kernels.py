"""Compiled loops in the place of NumPy's, for large arrays: a primitive or its pullback in one pass.

NumPy makes a pass through memory for each step of a formula, and several of its functions are slow loops over libm.
Where llvmlite is there, arrays of LEAST entries and more go through a loop made of the same table entry. Its values
may differ from NumPy's in the last place (tests/codegen/test_vecmath.py has the bounds).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from chainrule.table import blocks
from chainrule.table.exponential import is_half
from chainrule.table.formula import Apply, Formula, Param, Symbol, apply, reads
from chainrule.table.primitive import Primitive

# Functions whose loop in NumPy is slower than one compiled pass (bench/bench_kernels.py); sums and products are not.
QUICKER = frozenset(
    """
    exp exp2 expm1 log log2 log10 log1p pow integer_pow rsqrt sigmoid falling_sigmoid softplus logaddexp
    sin cos tan asin acos atan atan2 sinh cosh tanh sech2 asinh acosh atanh sinc
    erf erfc erfcx ndtr log_ndtr gaussian normal_density lgamma digamma logit xlogy xlog1py entr logaddexp2
    hypot lerp ldexp fmod remainder floor_divide heaviside
    """.split()  # noqa: SIM905
)
# Functions along axes that codegen/rows and codegen/scans have.
ALONG_AXES = frozenset(
    """
    sum mean prod amax amin var std logsumexp softmax log_softmax cumsum cumprod linear_recurrence
    argcummax argcummin
    """.split()  # noqa: SIM905
)
LEAST = 100_000  # entries: below it NumPy is quick, and loading LLVM takes as long as a hundred calls
_REAL = (np.dtype(np.float64), np.dtype(np.float32))
_ndarray = np.ndarray


def value(p: Primitive, values: Sequence[Any], params: dict[str, Any]) -> Any:
    """The value of a primitive on large arrays, or None where NumPy's way is taken."""
    if p.name in ALONG_AXES:
        return _along_axes(p, values, params)
    if p.name not in QUICKER or not _is_large(values):
        return None
    if p.name == "pow" and is_half(values[1]):
        return None  # a root
    formula = Apply(p.name, tuple(map(Symbol, p.inputs)), {k: Param.named(k) for k in params})
    outs = run([formula], dict(zip(p.inputs, values, strict=True)), params)
    return None if outs is None else outs[0]


def _along_axes(p: Primitive, values: Sequence[Any], params: dict[str, Any]) -> Any:
    if not _is_large(values):
        return None
    from chainrule.tape import rows

    _keep_freed_memory()
    return rows.value(p.name, values, params)


def pull_along_axes(p: Primitive, x: Any, out: Any, params: dict[str, Any], ct: Any) -> Any:
    """The cotangent of the large array that a reduction or softmax had; None where the general way is taken."""
    if not _is_large([x, out]):
        return None
    from chainrule.tape import rows

    _keep_freed_memory()
    return rows.pull(p, x, out, params, ct)


_DIFFERENCE = apply("exp", Symbol("x") - Symbol("y"))


def _exp_of_difference(x: Any, y: Any) -> Any:
    """e^(x - y) of a large array; None where NumPy's way is taken."""
    if not _is_large([x]):
        return None
    if y.size == 1:
        outs = run([_DIFFERENCE], {"x": x, "y": y.reshape(())[()]}, {})
    else:
        d = x - y
        outs = run([_EXP], {"x": d}, {}, (d,))
    return None if outs is None else outs[0]


_EXP = apply("exp", Symbol("x"))
blocks.EXP.append(_exp_of_difference)


def _is_large(values: Sequence[Any]) -> bool:
    return any(v.__class__ is _ndarray and v.size >= LEAST for v in values)


def run(
    formulas: list[Formula],
    values: dict[str, Any],
    params: dict[str, Any],
    into: tuple[Any, ...] | None = None,
) -> tuple[Any, ...] | None:
    """The formulas on arrays of one shape and dtype (numbers are repeated); None where no kernel fits.

    The results are written `into` arrays that are given, or new ones.
    """
    names = sorted(reads(formulas))
    given = [values[n] for n in names]
    whole = next((v for v in given if v.__class__ is _ndarray and any(v.strides)), None)
    if whole is None or whole.size < LEAST or whole.dtype not in _REAL:
        return None
    given = [_once(v, whole) for v in given]
    repeated = [_is_number(v) for v in given]
    if not all(r or _goes_along(v, whole) for v, r in zip(given, repeated, strict=True)):
        return None
    if any(
        r and getattr(v, "dtype", whole.dtype) != whole.dtype for v, r in zip(given, repeated, strict=True)
    ):
        return None
    if any(v.__class__ is not int for v in params.values()):
        return None  # bounds and the like may be other numbers in every call: a kernel for each would not pay
    from chainrule.codegen.elementwise import kernel

    _keep_freed_memory()
    compiled = kernel(formulas, names, repeated, whole.dtype, params)
    return None if compiled is None else compiled(given, into)


def _once(v: Any, whole: Any) -> Any:
    """One number in the place of an array that shows it everywhere: the cotangent that a sum hands down."""
    if v.__class__ is _ndarray and v.ndim and not any(v.strides) and v.shape == whole.shape:
        return v[(0,) * v.ndim]
    return v


# Note [Freed memory]
# The C library returns freed memory to the system beyond twice the largest block that was ever freed, and
# a fresh page costs more than the arithmetic on it: four results of 10⁵ numbers took 2.1 ms in fresh pages, 0.15 ms in
# used ones (measured). The threshold of glibc grows with the largest block that is freed, up to 64 MB: one that is
# freed untouched costs nothing and sets it, as in any program that once had a large array. Other libraries pay no
# attention; who sets MALLOC_TRIM_THRESHOLD_ in the environment has what they set.


@cache
def _keep_freed_memory() -> None:
    """Let the C library keep up to 64 MB of freed memory for the next arrays: once, with the first large one."""
    np.empty((1 << 25) - (1 << 16), np.uint8)  # a little under the largest block that moves the threshold


def _is_number(v: Any) -> bool:
    return v.__class__ is float or (isinstance(v, np.generic | _ndarray) and v.ndim == 0)


def _goes_along(v: Any, whole: Any) -> bool:
    return (
        v.__class__ is _ndarray and v.shape == whole.shape and v.dtype == whole.dtype and v.flags.c_contiguous
    )


def instead(
    function: Callable[..., Any], formulas: list[Formula], names: Sequence[str]
) -> Callable[..., Any]:
    """A `function(*values of the names, params)`, or the kernel of its formulas where that fits."""

    def call(*args: Any) -> Any:
        *values, params = args
        if _is_large(values):
            outs = run(formulas, dict(zip(names, values, strict=True)), params or {})
            if outs is not None:
                return outs
        return function(*args)

    return call
