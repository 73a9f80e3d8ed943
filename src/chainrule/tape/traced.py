"""Traced: what a tensor has in place of a number while its operations are recorded as a graph.

Shape and dtype are known, the number is not. All that asks for it ends here, in one of two errors: the number is
needed while the graph is recorded, or the value was kept longer than its recording.
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from chainrule.errors import TraceError
from chainrule.ir.types import Type
from chainrule.source import here


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
            self, "Python asks whether a value is true (if, while, and, not)",
            "choose with where(condition, a, b) in place of `if`; or pass what decides as an ordinary Python value",
        )  # fmt: skip

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        refuse(
            self, "numbers are asked for",
            "compute with operations of chainrule, whose shapes do not depend on the numbers (where, not a mask as an "
            "index; stack, not tensor([a, b])); or do this part outside",
        )  # fmt: skip

    def item(self) -> NoReturn:
        """Refused: there is no number."""
        refuse(
            self, "a Python number is asked for",
            "keep it a tensor (sin(x), not math.sin(x)); or pass it as an ordinary Python number",
        )  # fmt: skip

    tolist = __float__ = __int__ = __complex__ = __index__ = item


def refuse(v: Traced, what: str, fix: str) -> NoReturn:
    """Raise the error of a value whose number is asked for."""
    if v.recorder.closed:
        raise escaped(v)
    made, r = v.recorder.line_of(v.var), v.recorder
    given = f"{Type(v.shape, v.dtype)} " + (
        f"computed at {made.place}" if made else f"given to the function by {r.name}"
    )
    raise TraceError(
        f"{what}, and {r.name} knows shapes and dtypes only", given=given, fix=fix, source=here()
    )


def escaped(v: Traced) -> TraceError:
    """The error of a value that outlives its recording: the lines that made it, and that began the recording."""
    r = v.recorder
    made = r.line_of(v.var)
    what = f"{Type(v.shape, v.dtype)}, " + (f"computed at {made}" if made else "an argument of the function")
    return TraceError(
        f"a tensor from inside {r.name} is used after it ended: it never had a number",
        given=f"{what}\n         {r.name} called at {r.source}",
        fix=f"return it from the function that {r.name} was given",
        source=here(),
    )


def own(v: Any) -> Any:
    """A value in memory of its own: a copy of an array."""
    return np.array(v) if v.__class__ is np.ndarray else v


def cut(v: Any) -> Any:
    """A value through which no gradient flows, also when the graph runs later."""
    return v.recorder.cut(v) if v.__class__ is Traced and v.live else v


__all__ = ["Traced", "cut", "escaped", "own", "refuse"]
