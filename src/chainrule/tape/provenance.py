"""The switch of what untracked results remember."""

from __future__ import annotations

from typing import Any

from chainrule.tape.node import remember_history


class provenance:
    """Whether results that require no gradient remember how they were computed, for `explain` and `why`.

    They do, to a bounded depth. A long loop without gradients can do without: ``provenance(False)`` from now on, or
    ``with provenance(False): …``. Gradients, and what explains them, do not change: their tape is kept by `backward`'s
    own needs. The switch holds for all threads.

    Parameters
    ----------
    on
        True or False.

    Cost
    ----
    Remembering costs about a fifth of the time of an operation on numbers.

    Examples
    --------
    >>> import chainrule as cr
    >>> c = cr.tensor(2.0)
    >>> with cr.provenance(False):
    ...     y = (c + 1) * 3
    >>> print(str(cr.explain(y)).splitlines()[-1])
    The history goes back 1 step; what came before was not kept.
    """

    __slots__ = ("_before",)

    def __init__(self, on: bool) -> None:
        self._before = remember_history(bool(on))

    def __enter__(self) -> provenance:
        return self

    def __exit__(self, *exc: Any) -> None:
        remember_history(self._before)


__all__ = ["provenance"]
