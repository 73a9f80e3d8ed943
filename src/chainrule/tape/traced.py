"""Traced: what a tensor has in place of a number while its operations are recorded as a graph.

Shape and dtype are known, the number is not. All that asks for it ends here, in one of two errors: the number is
needed while the graph is recorded, or the value was kept longer than its recording.
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from chainrule.errors import TraceError
from chainrule.ir.types import Type


class Traced:
    """The value of a tensor that a recorder knows as a variable of its graph.

    recorder, var
        Who records it, and as which variable.
    live
        Whether a gradient from outside the recording flows through it once the graph runs: an argument or a captured
        tensor that is tracked, and what depends on one.
    """

    __slots__ = ("dtype", "live", "recorder", "shape", "var")
    nbytes = 0  # nodes keep it: it takes no memory

    def __init__(self, recorder: Any, var: Any, live: bool) -> None:
        self.recorder, self.var, self.live = recorder, var, live
        self.shape, self.dtype = var.shape, var.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return self.var.type.size

    def __repr__(self) -> str:
        return f"<traced {Type(self.shape, self.dtype)} of {self.recorder.name}>"

    def __deepcopy__(self, memo: Any) -> Traced:
        return self

    # --- what needs the number -------------------------------------------------------------------

    def __bool__(self) -> bool:
        refuse(
            self, "a truth value is needed",
            "choose with where(condition, a, b) in place of `if`; or pass what decides as an ordinary Python value",
        )  # fmt: skip

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        refuse(
            self, "the numbers are needed",
            "compute with operations of chainrule, whose shapes do not depend on the numbers (where, not a mask as an "
            "index; stack, not tensor([a, b])); or do this part outside",
        )  # fmt: skip

    def item(self) -> NoReturn:
        """Refused: there is no number."""
        refuse(
            self, "a Python number is needed",
            "keep it a tensor (sin(x), not math.sin(x)); or pass it as an ordinary Python number",
        )  # fmt: skip

    tolist = __float__ = __int__ = __complex__ = __index__ = item


def refuse(v: Traced, what: str, fix: str) -> NoReturn:
    """Raise the error of a value whose number is asked for."""
    if v.recorder.closed:
        raise escaped(v)
    raise TraceError(f"{what}, and {v.recorder.name} knows shapes and dtypes only", given=_origin(v), fix=fix)


def escaped(v: Traced) -> TraceError:
    """The error of a value that outlives its recording."""
    return TraceError(
        f"a tensor from inside {v.recorder.name} is used after it ended: it never had a number",
        given=_origin(v), fix=f"return it from the function that {v.recorder.name} was given",
    )  # fmt: skip


def _origin(v: Traced) -> str:
    """What the value is, and the lines that made it and began the recording."""
    made = v.recorder.line_of(v.var)
    what = f"{Type(v.shape, v.dtype)}, " + (f"computed at {made}" if made else "an argument of the function")
    return f"{what}; {v.recorder.name} called at {v.recorder.source}"


def own(v: Any) -> Any:
    """A value in memory of its own: a copy of an array."""
    return np.array(v) if v.__class__ is np.ndarray else v


def cut(v: Any) -> Any:
    """A value through which no gradient flows, also when the graph runs later."""
    return v.recorder.cut(v) if v.__class__ is Traced and v.live else v


__all__ = ["Traced", "cut", "escaped", "own", "refuse"]
