"""Elementwise operations under torch's names. Docstrings come from the table."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from sys import _getframe
from typing import Any

import numpy as np

from chainrule import dispatch, quick
from chainrule.dispatch import bind
from chainrule.errors import ArgumentError, DtypeError, UnsupportedError
from chainrule.ops.arguments import operation
from chainrule.ops.function import function
from chainrule.source import trim
from chainrule.table.primitive import TABLE
from chainrule.tape.modes import PLAIN, mode
from chainrule.tape.promote import as_dtype, is_inexact


def _extreme(name: str, bounds: Callable[[Any], dict[str, Any]]) -> Callable[..., Any]:
    """maximum and minimum: a Python number as operand is a bound, so that at a tie the tensor gets 0 and not a half."""
    plain, clamps = function(name), TABLE["clamp"]

    @functools.wraps(plain)
    def op(input: Any, other: Any) -> Any:
        try:
            if isinstance(other, (int, float)) and is_inexact(getattr(input, "dtype", _NONE)):
                return bind(clamps, input, **bounds(other))
            if isinstance(input, (int, float)) and is_inexact(getattr(other, "dtype", _NONE)):
                return bind(clamps, other, **bounds(input))
            return bind(TABLE[name], input, other)
        except Exception as err:
            trim(err)
            raise

    return op


_NONE = np.dtype(bool)


def _plain(x: Any) -> Any:
    return x.v if isinstance(x, dispatch.Handle) else x


abs = absolute = function("abs")
neg = negative = function("neg")
sign = function("sign")
floor = function("floor")
ceil = function("ceil")
trunc = fix = function("trunc")
frac = function("frac")
exp = function("exp")
exp2 = function("exp2")
expm1 = function("expm1")
log = function("log")
log2 = function("log2")
log10 = function("log10")
log1p = function("log1p")
sqrt = function("sqrt")
rsqrt = function("rsqrt")
sigmoid = expit = function("sigmoid")
sin = function("sin")
cos = function("cos")
tan = function("tan")
asin = arcsin = function("asin")
acos = arccos = function("acos")
atan = arctan = function("atan")
sinh = function("sinh")
cosh = function("cosh")
tanh = function("tanh")
asinh = arcsinh = function("asinh")
acosh = arccosh = function("acosh")
atanh = arctanh = function("atanh")
erf = function("erf")
erfc = function("erfc")
relu = function("relu")
isnan = function("isnan")
isinf = function("isinf")
isfinite = function("isfinite")

plus = function("add")
minus = function("sub")
times = function("mul")
true_divide = divide = function("div")
floor_divide = function("floor_divide")
remainder = function("remainder")
maximum = _extreme("maximum", lambda b: {"lo": b, "hi": math.inf})
minimum = _extreme("minimum", lambda b: {"lo": -math.inf, "hi": b})
atan2 = arctan2 = function("atan2")
hypot = function("hypot")
fmod = function("fmod")
copysign = function("copysign")
ldexp = function("ldexp")
logaddexp = function("logaddexp")
logaddexp2 = function("logaddexp2")
xlogy = function("xlogy")
eq = function("eq")
ne = not_equal = function("ne")
lt = less = function("lt")
le = less_equal = function("le")
gt = greater = function("gt")
ge = greater_equal = function("ge")
_power = quick.power_of(TABLE["integer_pow"])


@operation
def add(input: Any, other: Any, *, alpha: Any = 1) -> Any:
    """input + alpha·other, entry by entry; shapes broadcast."""
    return plus(input, other if alpha == 1 else times(other, alpha))


@operation
def sub(input: Any, other: Any, *, alpha: Any = 1) -> Any:
    """input - alpha·other, entry by entry; shapes broadcast."""
    return minus(input, other if alpha == 1 else times(other, alpha))


subtract = sub


@operation
def mul(input: Any, other: Any) -> Any:
    """Product, entry by entry; shapes broadcast."""
    return times(input, other)


multiply = mul


@operation
def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Any:
    """Quotient, entry by entry; `rounding_mode` "floor" or "trunc" rounds it (its slope is then 0)."""
    if rounding_mode is None:
        return true_divide(input, other)
    if rounding_mode == "floor":
        return floor_divide(input, other)
    if rounding_mode == "trunc":
        if not (_is_integral(input) and _is_integral(other)):
            return trunc(true_divide(input, other))
        down = floor_divide(input, other)
        return plus(down, logical_and(ne(times(down, other), input), ne(lt(input, 0), lt(other, 0))))
    raise ArgumentError(f"rounding_mode is {rounding_mode!r}", fix='use None, "floor" or "trunc"')


def _is_integral(v: Any) -> bool:
    dtype = getattr(v, "dtype", None)
    return v.__class__ is int if dtype is None else dtype.kind in "iu"


def power(input: Any, exponent: Any) -> Any:
    """`input` to the power `exponent`, entry by entry; shapes broadcast.

    A power that is a whole number known in advance has the derivative n·xⁿ⁻¹, without a logarithm.
    """
    x, y = input, exponent
    n = _whole(y)
    try:
        if n is None or not isinstance(x, dispatch.Handle):
            return bind(TABLE["pow"], x, y)
        if n < 0 and y.__class__ is int and not is_inexact(x.dtype):
            raise DtypeError(
                "whole numbers have no negative powers among whole numbers", given=f"{x.dtype} ** {y}",
                fix="make the base floating point, e.g. x.double()",
            )  # fmt: skip
        if y.__class__ is float and not is_inexact(x.dtype):
            return bind(TABLE["pow"], x, y)
        if x.v.__class__ is float and mode() is PLAIN and x.__class__ is dispatch.Tensor:
            return _power(x, n, _getframe(1))
        return bind(TABLE["integer_pow"], x, n=n)
    except Exception as err:
        trim(err)
        raise


def _whole(y: Any) -> int | None:
    """`y` as a whole number with an exact rule of its own (0 has none: x⁰ at 0 needs the general rule)."""
    if y.__class__ is int or (y.__class__ is float and y.is_integer()):
        return int(y) if y != 0 and -64 <= y <= 64 else None
    return None


pow = power
pow.__name__ = "pow"


@operation
def float_power(input: Any, exponent: Any) -> Any:
    """`input` to the power `exponent`, in double precision whatever comes in."""
    return power(_doubled(input), _doubled(exponent))


def _doubled(x: Any) -> Any:
    """x in double precision; a Python number is that already."""
    if isinstance(x, dispatch.Handle):
        return cast(x, np.complex128 if x.dtype.kind == "c" else np.float64)
    if isinstance(x, np.ndarray | np.generic):
        return x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)
    return float(x) if isinstance(x, int) else x


@operation
def rsub(input: Any, other: Any, *, alpha: Any = 1) -> Any:
    """other - alpha·input, entry by entry; shapes broadcast."""
    return sub(other, input, alpha=alpha)


@operation
def lerp(input: Any, end: Any, weight: Any) -> Any:
    """input + weight·(end - input): `input` at weight 0 and `end` at weight 1, exactly."""
    return bind(TABLE["lerp"], input, end, weight)


@operation
def addcmul(input: Any, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Any:
    """input + value·tensor1·tensor2, entry by entry; shapes broadcast."""
    product = times(tensor1, tensor2)
    return plus(input, product if value == 1 else times(product, value))


@operation
def addcdiv(input: Any, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Any:
    """input + value·tensor1/tensor2, entry by entry; shapes broadcast."""
    quotient = true_divide(tensor1, tensor2)
    return plus(input, quotient if value == 1 else times(quotient, value))


@operation
def deg2rad(input: Any) -> Any:
    """Degrees as radians: x·π/180."""
    return times(input, math.pi / 180.0)


@operation
def rad2deg(input: Any) -> Any:
    """Radians as degrees: x·180/π."""
    return times(input, 180.0 / math.pi)


@operation
def sgn(input: Any) -> Any:
    """Sign of a real number; of a complex one z/|z|, and 0 at 0."""
    if getattr(input, "dtype", _NONE).kind != "c" and not isinstance(input, complex):
        return sign(input)
    modulus = abs(input)
    return where(eq(modulus, 0.0), 0.0, true_divide(input, where(eq(modulus, 0.0), 1.0, modulus)))


@operation
def logit(input: Any, eps: Any = None) -> Any:
    """ln(x/(1 - x)), the inverse of sigmoid; with `eps`, x is first limited to [eps, 1 - eps]."""
    return bind(TABLE["logit"], input if eps is None else clamp(input, eps, 1.0 - eps))


@operation
def square(input: Any) -> Any:
    """x², entry by entry."""
    return bind(TABLE["integer_pow"], input, n=2)


@operation
def reciprocal(input: Any) -> Any:
    """1/x, entry by entry."""
    return true_divide(1.0, input)


@operation
def positive(input: Any) -> Any:
    """x itself."""
    return input


@operation
def round_(input: Any, *, decimals: int = 0) -> Any:
    """Nearest integer (halves to even), or nearest number with `decimals` digits; its slope is 0."""
    if decimals == 0:
        return bind(TABLE["round"], input)
    scale = 10.0**decimals
    return true_divide(bind(TABLE["round"], times(input, scale)), scale)


@operation
def clamp(input: Any, min: Any = None, max: Any = None) -> Any:
    """x limited to [min, max]; at a bound that is a number the slope is 0 (see `kinks` of clamp).

    Bounds that are tensors are operands: at a tie each gets half, as with `maximum`.
    """
    if min is None and max is None:
        raise ArgumentError("clamp has no bound", fix="give min=, max= or both")
    out = input
    numbers = [b is None or isinstance(b, int | float) for b in (min, max)]
    if all(numbers):
        return bind(
            TABLE["clamp"], input, lo=-math.inf if min is None else min, hi=math.inf if max is None else max
        )
    if min is not None:
        out = maximum(out, min)
    return out if max is None else minimum(out, max)


clip = clamp


@operation
def where(condition: Any, input: Any = None, other: Any = None) -> Any:
    """`input` where the condition holds, else `other`; the branch that is not taken contributes no gradient.

    With the condition alone: the indices of its true entries, one tensor per dimension.
    """
    if input is None and other is None:
        from chainrule.ops.index import nonzero

        return nonzero(condition, as_tuple=True)
    if input is None or other is None:
        raise ArgumentError(
            "where has a condition and one branch",
            fix="give both: where(c, x, y); or the condition alone, for its indices",
        )
    dtype = getattr(condition, "dtype", None)
    if not isinstance(condition, bool) and dtype != np.bool_:
        raise DtypeError(
            "the condition of where is no truth value", given=str(dtype or type(condition).__name__),
            fix="compare first, e.g. where(c != 0, x, y)",
        )  # fmt: skip
    return bind(TABLE["where"], condition, input, other)


def _bitwise(name: str, sign: str) -> Callable[..., Any]:
    """The operator `&`, `|`, `^` or `~` of truth values; the bits of whole numbers are not there."""

    def op(*args: Any) -> Any:
        try:
            for a in args:
                dtype = getattr(a, "dtype", None)
                if not isinstance(a, bool) and dtype != np.bool_:
                    fix = f"compare first, e.g. (x > 0) {sign} (y > 0), or use logical_{name}(…), which tests for 0"
                    given = str(dtype or type(a).__name__)
                    raise UnsupportedError(f"{sign!r} is for truth values here", given=given, fix=fix)
            return bind(TABLE[f"logical_{name}"], *args)
        except Exception as err:
            trim(err)
            raise

    op.__name__ = op.__qualname__ = f"bitwise_{name}"
    return op


bitwise_and, bitwise_or = _bitwise("and", "&"), _bitwise("or", "|")
bitwise_xor, bitwise_not = _bitwise("xor", "^"), _bitwise("not", "~")


@operation
def softplus(input: Any, beta: float = 1, threshold: float = 20) -> Any:
    """ln(1 + e^(beta·x))/beta, which never overflows.

    It is x where beta·x is above a `threshold` below 20; from there on the difference is below 2.1e-9 and is kept.
    """
    scaled = input if beta == 1 else times(input, beta)
    smooth = bind(TABLE["softplus"], scaled)
    smooth = smooth if beta == 1 else true_divide(smooth, beta)
    return smooth if threshold >= 20 else where(gt(scaled, threshold), input, smooth)


def _truth(x: Any) -> Any:
    """A truth value: entries that are not 0."""
    dtype = getattr(x, "dtype", None)
    return x if isinstance(x, bool) or dtype == np.bool_ else ne(x, 0)


@operation
def logical_and(input: Any, other: Any) -> Any:
    """Whether both are true (not 0), entry by entry."""
    return bind(TABLE["logical_and"], _truth(input), _truth(other))


@operation
def logical_or(input: Any, other: Any) -> Any:
    """Whether one of both is true (not 0), entry by entry."""
    return bind(TABLE["logical_or"], _truth(input), _truth(other))


@operation
def logical_xor(input: Any, other: Any) -> Any:
    """Whether exactly one of both is true (not 0), entry by entry."""
    return bind(TABLE["logical_xor"], _truth(input), _truth(other))


@operation
def logical_not(input: Any) -> Any:
    """Whether an entry is false (0)."""
    return bind(TABLE["logical_not"], _truth(input))


def cast(x: Any, dtype: Any) -> Any:
    """x in another dtype (x itself if it has it already); the gradient is cast back."""
    dtype = as_dtype(dtype)
    return x if x.dtype == dtype else bind(TABLE["cast"], x, dtype=dtype)


round = round_


__all__ = [
    "abs", "absolute", "acos", "acosh", "add", "addcdiv", "addcmul", "arccos", "arccosh", "arcsin",
    "arcsinh", "arctan", "arctan2", "arctanh", "asin", "asinh", "atan", "atan2", "atanh", "ceil", "clamp",
    "clip", "copysign", "cos", "cosh", "deg2rad", "div", "divide", "eq", "erf", "erfc", "exp", "exp2",
    "expm1", "fix", "float_power", "floor", "floor_divide", "fmod", "frac", "ge", "greater",
    "greater_equal", "gt", "hypot", "isfinite", "isinf", "isnan", "ldexp", "le", "lerp", "less",
    "less_equal", "log", "log10", "log1p", "log2", "logaddexp", "logaddexp2", "logical_and", "logical_not",
    "logical_or", "logical_xor", "logit", "lt", "maximum", "minimum", "mul", "multiply", "ne", "neg",
    "negative", "not_equal", "positive", "pow", "rad2deg", "reciprocal", "relu", "remainder", "round",
    "rsqrt", "rsub", "sgn", "sigmoid", "sign", "sin", "sinh", "softplus", "sqrt", "square", "sub",
    "subtract", "tan", "tanh", "true_divide", "trunc", "where", "xlogy",
]  # fmt: skip

METHODS = """
    abs absolute neg negative sign floor ceil trunc fix exp exp2 expm1 log log2 log10 log1p sqrt rsqrt
    sigmoid sin cos tan asin arcsin acos arccos atan arctan sinh cosh tanh asinh arcsinh acosh arccosh atanh
    arctanh erf erfc relu isnan isinf isfinite add sub subtract mul multiply div divide true_divide
    floor_divide remainder maximum minimum atan2 arctan2 hypot logaddexp xlogy eq ne not_equal lt less le
    less_equal gt greater ge greater_equal pow float_power square reciprocal positive clamp clip logical_and
    logical_or logical_xor logical_not frac fmod copysign ldexp logaddexp2 lerp addcmul addcdiv deg2rad rad2deg
    sgn logit
"""  # of Tensor
