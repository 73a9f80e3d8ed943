"""The text of a tensor, as PyTorch prints it: who reads torch's output reads ours.

It is made in three steps: the values at the edges are chosen, each is written to a common width, and the
words are laid out in lines. What a person sees is held against PyTorch in `tests/peers`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.ir.types import Type
from chainrule.tape import promote
from chainrule.tape.traced import Traced

__all__ = ["set_printoptions", "tensor_repr"]


@dataclass(frozen=True)
class PrintOptions:
    """How tensors are written; a value that is replaced as a whole, so one text is never made of two."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: float = 80
    sci_mode: bool | None = None


_PROFILES = {
    "default": PrintOptions(),
    "short": PrintOptions(precision=2, edgeitems=2),
    "full": PrintOptions(threshold=float("inf")),
}
_options = PrintOptions()
_lock = Lock()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: float | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors are printed, in all threads; what is not given stays, but `sci_mode` goes back to None.

    Parameters
    ----------
    precision
        Digits after the point (4).
    threshold
        The number of elements above which only the edges are shown (1000).
    edgeitems
        How many are shown at each edge of each dimension then (3).
    linewidth
        The columns of a line (80).
    profile
        `"default"`, `"short"` or `"full"`: values for all of these, which the others then change.
    sci_mode
        Whether floats are written like `1.0000e+03`; None decides by the values of each tensor.

    Raises
    ------
    ArgumentError
        E104: a number of digits or items that is none, or an unknown profile.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.set_printoptions(precision=2)
    >>> cr.tensor([1.12345])
    tensor([1.12])
    >>> cr.set_printoptions(profile="default")
    """
    global _options
    changes = {
        "precision": _count("precision", precision),
        "threshold": _limit("threshold", threshold),
        "edgeitems": _count("edgeitems", edgeitems),
        "linewidth": _limit("linewidth", linewidth),
    }
    if profile is not None and profile not in _PROFILES:
        fix = f"use one of {', '.join(map(repr, _PROFILES))}"
        raise ArgumentError("the profile is not known", given=f"profile={profile!r}", fix=fix)
    with _lock:
        before = _options if profile is None else _PROFILES[profile]
        given: dict[str, Any] = {name: n for name, n in changes.items() if n is not None}
        _options = replace(before, sci_mode=sci_mode, **given)


def tensor_repr(value: Any, *, requires_grad: bool, grad_fn: str | None, name: str = "tensor") -> str:
    """The text of a tensor: its values, and after them what they do not say.

    Parameters
    ----------
    value
        A NumPy array or scalar, or a Python number (a 0-d tensor); `Traced`: its type is all there is to show.
    requires_grad, grad_fn
        Whether the tensor records, and the name of the operation that made it, which is shown instead.
    name
        The class, in front of the parenthesis.

    Examples
    --------
    >>> tensor_repr(7.0, requires_grad=True, grad_fn=None)
    'tensor(7., requires_grad=True)'
    >>> tensor_repr(np.float32([0.5, 20]), requires_grad=True, grad_fn="MulBackward0")
    'tensor([ 0.5000, 20.0000], dtype=float32, grad_fn=<MulBackward0>)'
    """
    if value.__class__ is Traced:
        return f"{name}({Type(value.shape, value.dtype)}, traced by {value.recorder.name})"
    a, options = np.asarray(value), _options
    summarized = a.size > options.threshold
    suffixes = []
    if options.edgeitems == 0 if a.size else a.ndim != 1:
        suffixes.append(f"size={a.shape}")
    if not _is_implied(a.dtype, empty=a.size == 0):
        suffixes.append(f"dtype={a.dtype.name}")
    if grad_fn is not None:
        suffixes.append(f"grad_fn=<{grad_fn}>")
    elif requires_grad:
        suffixes.append("requires_grad=True")
    indent = len(name) + 1
    body = _body(a, options, indent, summarized=summarized) if a.size else "[]"
    return _with_suffixes(f"{name}({body}", suffixes, indent, options.linewidth)


def _is_implied(dtype: np.dtype, *, empty: bool) -> bool:
    """Whether the values alone say the dtype; no values say that it is the default."""
    default = promote.get_default_dtype()
    return dtype == default or (not empty and dtype in (np.int64, np.bool_, promote.complex_of(default)))


# Choosing the values


def _body(a: np.ndarray, options: PrintOptions, indent: int, *, summarized: bool) -> str:
    """The values in brackets; summarized, only those at the edges, and widths that fit these."""
    edge = options.edgeitems
    if summarized and a.ndim and edge == 0:
        return "[...]"
    elided = [summarized and n > 2 * edge for n in a.shape]
    for axis, n in enumerate(a.shape):
        if elided[axis]:
            a = a.take([*range(edge), *range(n - edge, n)], axis)
    words, width = _words(a.ravel(), options)
    shaped = np.array(words, dtype=object).reshape(a.shape)

    def per_line(start: int) -> int:
        fit = (options.linewidth - start) / (width + 2)
        return max(1, int(min(fit, len(words) + 1)))  # the dots are a word too

    return _layout(shaped, elided, indent, per_line)


# Writing the values


def _words(values: np.ndarray, options: PrintOptions) -> tuple[list[str], int]:
    """Each value as text, right-justified, and the width that lines are planned with.

    As in torch, zeros and what is not finite do not count for the width of floats: they may stick out.
    """
    if values.dtype.kind == "c":
        real, width = _words(values.real, options)
        imaginary, more = _float_words(values.imag, options)
        signed = (word if word[0] == "-" else "+" + word for word in imaginary)
        return [f"{re}{im}j" for re, im in zip(real, signed, strict=True)], width + more + 1
    if values.dtype.kind == "f":
        words, width = _float_words(values, options)
    else:
        words = [str(v) for v in values.tolist()]
        width = max(map(len, words))
    return [word.rjust(width) for word in words], width


def _float_words(values: np.ndarray, options: PrintOptions) -> tuple[list[str], int]:
    """Floats in the one notation that suits them all: `1.`, `1.5000` or `1.5000e+00`."""
    values = values.astype(np.float64)
    counted = np.isfinite(values) & (values != 0)
    write = _notation(np.abs(values[counted]), options)
    words = [write(v) for v in values.tolist()]
    return words, max((len(words[k]) for k in np.flatnonzero(counted)), default=1)


def _notation(sizes: np.ndarray, options: PrintOptions) -> Callable[[float], str]:
    """How to write floats whose sizes, those of zeros and infinities left out, are these."""
    whole = bool(np.all(sizes == np.floor(sizes)))
    if sizes.size:
        low, high = float(sizes.min()), float(sizes.max())
        scientific = high / low > 1000 or high > 1e8 or low < 1e-4
        if scientific if options.sci_mode is None else options.sci_mode:
            return f"{{:.{options.precision}e}}".format
    if whole:
        return lambda v: f"{v:.0f}." if np.isfinite(v) else str(v)
    return f"{{:.{options.precision}f}}".format


# Laying out the words


def _layout(words: np.ndarray, elided: Sequence[bool], indent: int, per_line: Callable[[int], int]) -> str:
    """Words in brackets, one pair for each dimension; `per_line` says how many fit after an indent."""
    if words.ndim == 0:
        return words.item()
    if words.ndim == 1:
        parts = words.tolist()
    else:
        parts = [_layout(inner, elided[1:], indent + 1, per_line) for inner in words]
    if elided[0]:
        parts.insert(len(parts) // 2, " ..." if words.ndim == 1 else "...")
    if words.ndim == 1:
        count = per_line(indent)
        parts = [", ".join(parts[k : k + count]) for k in range(0, len(parts), count)]
    newlines = "\n" * max(1, words.ndim - 1)
    return f"[{(',' + newlines + ' ' * (indent + 1)).join(parts)}]"


def _with_suffixes(text: str, suffixes: Sequence[str], indent: int, linewidth: float) -> str:
    """Suffixes and the closing parenthesis, each on the last line if it fits.

    Lines break where torch breaks them: a dtype counts with the six columns of `torch.`, and two stay free
    after the values.
    """
    last = len(text) - (text.rfind("\n") + 1) + 2
    for suffix in suffixes:
        columns = len(suffix) + len("torch.") * suffix.startswith("dtype=")
        if last + columns + 2 > linewidth:
            text += ",\n" + " " * indent + suffix
            last = indent + columns
        else:
            text += ", " + suffix
            last += columns + 2
    return text + ")"


# Checking the options


def _count(name: str, value: Any) -> int | None:
    """A number of digits or items, or None."""
    try:
        n = None if value is None else operator.index(value)
    except TypeError:
        n = -1
    if n is not None and n < 0:
        fix = f"give {name} as an integer that is not negative"
        raise ArgumentError(f"{name} counts something", given=f"{name}={value!r}", fix=fix)
    return n


def _limit(name: str, value: Any) -> float | None:
    """A number that may be infinite, or None."""
    if value is None or (isinstance(value, int | float | np.number) and value == value):
        return value
    raise ArgumentError(
        f"{name} is a number", given=f"{name}={value!r}", fix=f"give {name} as an integer or inf"
    )
