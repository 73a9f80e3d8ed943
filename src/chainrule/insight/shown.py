"""Values as people read them: numbers with six digits, small arrays in full, large ones by shape."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.ir.types import Type, type_of

_IN_FULL = 8  # entries of an array that are written out
_EDGE = 3
_IN_PICTURES = 4  # the same in a picture, where there is less room


def number(v: Any) -> str:
    """A number with six digits: `-2`, `0.333333`, `1.27949e-05`; complex ones as Python writes them."""
    if isinstance(v, bool | np.bool_):
        return str(bool(v))
    if isinstance(v, complex | np.complexfloating):
        return f"({number(v.real)}{'-' if math.copysign(1, v.imag) < 0 else '+'}{number(abs(v.imag))}j)"
    if isinstance(v, int | np.integer):
        return str(int(v))
    f = float(v)
    if f == 0:
        return "0"
    return str(int(f)) if math.isfinite(f) and f == int(f) and abs(f) < 1e6 else f"{f:.6g}"


def factor(v: Any) -> str:
    """A number as a factor of a product: negative ones in brackets."""
    text = number(v)
    return f"({text})" if text.startswith("-") else text


@dataclass(frozen=True, slots=True)
class Shown:
    """A value that was looked at: its shape, dtype and entries (None where only the type was kept).

    `entries` are Python numbers in C order, at most `_IN_FULL` of them unless it was a number. `span` is smallest,
    mean and largest entry of a real array of several.
    """

    shape: tuple[int, ...]
    dtype: str
    entries: tuple[Any, ...] | None
    text: str
    span: tuple[float, float, float] | None = None

    @property
    def brief(self) -> str:
        """The text in a picture: larger arrays as shape, smallest, mean and largest entry."""
        return self.text if self.span is None else f"{_shape(self.shape)} {self.spread}"

    @property
    def spread(self) -> str:
        """Smallest, mean and largest entry of a larger array, else the text; three digits of the largest are shown."""
        if self.span is None:
            return self.text
        size = max(map(abs, self.span))
        texts = ["0" if abs(v) < 1e-9 * size else f"{v:.3g}" for v in self.span]
        return "min {} · mean {} · max {}".format(*texts)

    @property
    def scalar(self) -> Any:
        """The number, if it is one that was kept."""
        return self.entries[0] if self.entries is not None and len(self.entries) == 1 else None

    def to_json(self) -> Any:
        """A number (text where JSON has none), or a dictionary with shape, dtype and the entries shown."""
        if self.shape == () and self.entries is not None:
            return json_number(self.entries[0])
        entries = None if self.entries is None else [json_number(e) for e in self.entries]
        return {"shape": list(self.shape), "dtype": self.dtype, "entries": entries}


def json_number(v: Any) -> Any:
    """A number as JSON holds it: NaN, infinities and complex numbers as text."""
    if isinstance(v, float) and not math.isfinite(v):
        return "NaN" if math.isnan(v) else "Infinity" if v > 0 else "-Infinity"
    return str(v) if isinstance(v, complex) else v


def show(v: Any) -> Shown:
    """What there is to say about a value, an array or a `Type`; nothing of it is kept alive."""
    t = type_of(v)
    if v.__class__ is Type:
        return Shown(t.shape, t.dtype.name, None, f"{t}, not kept")
    a = np.asarray(v)
    if a.size > _IN_FULL:
        flat = a.reshape(-1)
        edge = [number(e) for e in flat[:_EDGE].tolist()] + ["…", number(flat[-1].item())]
        text = f"{_shape(t.shape)} [{', '.join(edge)}]"
        return Shown(t.shape, t.dtype.name, tuple(flat[:_IN_FULL].tolist()), text, _span(a))
    return Shown(t.shape, t.dtype.name, tuple(a.reshape(-1).tolist()), _nested(a.tolist()), _span(a))


def _span(a: Any) -> tuple[float, float, float] | None:
    if a.size <= _IN_PICTURES or a.dtype.kind not in "fiu":
        return None
    with np.errstate(all="ignore"):
        return float(a.min()), float(a.mean()), float(a.max())


def _shape(shape: tuple[int, ...]) -> str:
    return "(" + "×".join(map(str, shape)) + ")" if len(shape) > 1 else f"({shape[0]},)"


def _nested(v: Any) -> str:
    return f"[{', '.join(map(_nested, v))}]" if isinstance(v, list) else number(v)


def literal(v: Shown, more: str = "") -> str:
    """The call that makes such a tensor: `tensor(10.0)`; an ellipsis stands for what was not shown."""
    if v.entries is None or "…" in v.text:
        return f"tensor(…{more})"
    real = v.dtype.startswith("float")
    texts = iter([repr(float(e)) if real else repr(e) for e in v.entries])
    body = re.sub(r"[^\[\], ]+", lambda _: next(texts), v.text) if v.shape else next(texts)
    return f"tensor({body}{more})"


def place(index: tuple[int, ...]) -> str:
    """`[0]`, `[1, 2]`, or nothing for a number."""
    return f"[{', '.join(map(str, index))}]" if index else ""
