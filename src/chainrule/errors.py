"""Every error chainrule raises, as one tree.

    ChainruleError                    fields: what, given, fix, source; a code per class
    ├── ShapeError            E101    shapes do not fit                       RuntimeError, ValueError
    ├── DtypeError            E102    a dtype cannot do this                  RuntimeError, TypeError
    ├── IndexingError         E103    an index or dimension is out of range   IndexError
    ├── ArgumentError         E104    an argument has no meaning here         TypeError, ValueError, RuntimeError
    ├── DataError             E105    data that is no array of numbers        TypeError, ValueError
    ├── UnsupportedError      E106    an operation that is not there          NotImplementedError, AttributeError
    ├── DerivativeError       E201    no derivative can be taken              RuntimeError
    │   ├── NotTrackedError   E202    nothing asked for a gradient
    │   ├── NotScalarError    E203    several outputs: "the gradient" is ambiguous
    │   ├── GraphFreedError   E204    a value was freed by an earlier backward
    │   ├── OverwrittenError  E205    a value was changed in place after it was read
    │   ├── LeafInPlaceError  E206    an in-place change of a leaf that records
    │   ├── UnusedError       E207    the output does not depend on an input
    │   ├── LeafFlagError     E208    a flag that only leaves have
    │   ├── InferenceError    E209    a tensor made under inference_mode
    │   └── GradcheckError    E210    a derivative differs from differences
    ├── GraphError            E301    a graph that breaks its own rules       ValueError
    ├── TraceError            E302    a number that is not known yet          RuntimeError, TypeError
    ├── ExpressionError       E601    text that is no expression              ValueError
    └── BlankError            E701    a blank of an exercise is still there   NameError

Each class also derives from what PyTorch raises in the same place, so that code written for torch
catches it. The text is made in one place, `ChainruleError.__str__`.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from chainrule.source import Source

__all__ = [
    "ArgumentError",
    "BlankError",
    "ChainruleError",
    "DataError",
    "DerivativeError",
    "DtypeError",
    "ExpressionError",
    "GradcheckError",
    "GradientNote",
    "GraphError",
    "GraphFreedError",
    "IndexingError",
    "InferenceError",
    "LeafFlagError",
    "LeafInPlaceError",
    "NotScalarError",
    "NotTrackedError",
    "OverwrittenError",
    "ShapeError",
    "TraceError",
    "UnsupportedError",
    "UnusedError",
]


class ChainruleError(Exception):
    """An error with fields: what happened, what was given, where, and what to do.

    Parameters
    ----------
    what
        One sentence in the present tense.
    given
        What was given, e.g. ``"float64[3], float64[2]"``.
    fix
        One thing to do.
    source
        The line of the user's program (`chainrule.source.Source`); added with `at` by the place that knows it.
    """

    code = "E000"

    def __init__(
        self, what: str, *, given: str | None = None, fix: str | None = None, source: Source | None = None
    ) -> None:
        super().__init__(what)
        self.what, self.given, self.fix, self.source = what, given, fix, source

    def at(self, source: Source | None) -> ChainruleError:
        """Add the user's line, unless a place nearer to it already did."""
        if self.source is None:
            self.source = source
        return self

    def __str__(self) -> str:
        lines = [f"[{self.code}] {self.what}"]
        if self.given:
            lines.append(f"  given: {self.given}")
        if self.source is not None:
            lines.append(f"  asked for at: {self.source}")
        if self.fix:
            lines.append(f"  to fix it: {self.fix}")
        return "\n".join(lines)


class ShapeError(ChainruleError, RuntimeError, ValueError):
    """Shapes do not fit."""

    code = "E101"


class DtypeError(ChainruleError, RuntimeError, TypeError):
    """A dtype cannot do what was asked."""

    code = "E102"


class IndexingError(ChainruleError, IndexError):
    """An index or a dimension is out of range."""

    code = "E103"


class ArgumentError(ChainruleError, TypeError, ValueError, RuntimeError):
    """An argument has no meaning here."""

    code = "E104"


class DataError(ChainruleError, TypeError, ValueError):
    """Data that is no rectangular array of numbers."""

    code = "E105"


class UnsupportedError(ChainruleError, NotImplementedError, AttributeError):
    """An operation, argument or attribute that chainrule does not have."""

    code = "E106"


class DerivativeError(ChainruleError, RuntimeError):
    """No derivative can be taken here."""

    code = "E201"


class NotTrackedError(DerivativeError):
    """Nothing in the computation asked for a gradient."""

    code = "E202"


class NotScalarError(DerivativeError, TypeError):
    """Several outputs, so "the gradient" is ambiguous."""

    code = "E203"


class GraphFreedError(DerivativeError):
    """A value that the backward pass reads was freed by an earlier one."""

    code = "E204"


class OverwrittenError(DerivativeError):
    """A value that the backward pass reads was changed in place."""

    code = "E205"


class LeafInPlaceError(DerivativeError):
    """A leaf that requires a gradient is changed in place while operations are recorded."""

    code = "E206"


class UnusedError(DerivativeError):
    """The output does not depend on one of the inputs."""

    code = "E207"


class LeafFlagError(DerivativeError):
    """A flag of leaves was set on a computed tensor."""

    code = "E208"


class InferenceError(DerivativeError):
    """A tensor made under `inference_mode` meets a computation that is recorded."""

    code = "E209"


class GradcheckError(DerivativeError):
    """A derivative by rules differs from differences of the function; raised by the checks."""

    code = "E210"


class GraphError(ChainruleError, ValueError):
    """A graph breaks a rule of graphs; raised by the verifier and the parser."""

    code = "E301"


class TraceError(ChainruleError, RuntimeError, TypeError):
    """The number of a value is asked for where a function is recorded, or after that."""

    code = "E302"


class ExpressionError(ChainruleError, ValueError):
    """Text that is no expression, or that cannot be computed.

    `text` is what was typed (unprintable characters shown as �) and `column` the place in it, counted from 1;
    with a column, `given` shows both, with an arrow under the place.
    """

    code = "E601"

    def __init__(
        self, what: str, *, text: str | None = None, column: int | None = None, fix: str | None = None
    ) -> None:
        self.text = None if text is None else "".join(c if c.isprintable() else "\ufffd" for c in text)
        self.column = column
        super().__init__(what, given=self._shown(), fix=fix)

    def _shown(self) -> str | None:
        """The text around the column, and an arrow under it; lines that fit a narrow terminal."""
        if self.text is None or self.column is None:
            return self.text if self.text is None or len(self.text) <= 60 else self.text[:59] + "…"
        at = self.column - 1
        start = max(0, at - 40)
        end = start + 60
        head = ("…" if start else "") + self.text[start:at]
        tail = self.text[at:end] + ("…" if end < len(self.text) else "")
        return f"{head}{tail}\n{' ' * (9 + _width(head))}↑"


def _width(text: str) -> int:
    """Columns of a terminal that `text` takes: Chinese and its kin take two, combining marks none."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)


class BlankError(ChainruleError, NameError):
    """A blank of an exercise, `____`, was used before something was written there."""

    code = "E701"


class GradientNote(UserWarning):
    """A hint about gradients; filter it with `warnings.simplefilter("ignore", chainrule.GradientNote)`."""


def refusing(module: str, names: Sequence[str], fix: str) -> Callable[[str], Any]:
    """The `__getattr__` of a module with torch's name: what is not there is refused by name, with a way out.

    names, fix
        What is there, for a slip of the pen; else what to do without.
    """
    from difflib import get_close_matches

    from chainrule.source import boundary

    @boundary
    def __getattr__(name: str) -> Any:
        if name.startswith("_"):  # protocols that Python asks for
            raise AttributeError(name)
        near = get_close_matches(name, names, 1, cutoff=0.8)
        raise UnsupportedError(f"{module} has no {name!r}", fix=f"did you mean {near[0]!r}?" if near else fix)

    return __getattr__
