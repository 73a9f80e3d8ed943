"""Named results, as torch.return_types: tuples whose parts have names."""

from __future__ import annotations

from collections import namedtuple
from typing import Any


def _named(name: str, fields: str) -> Any:
    made = namedtuple(name, fields, module=__name__)  # type: ignore[misc]

    def shown(self: Any) -> str:
        parts = ",\n".join(f"{field}={part!r}" for field, part in zip(self._fields, self, strict=True))
        return f"chainrule.return_types.{name}(\n{parts})"

    made.__repr__ = shown  # type: ignore[method-assign]
    made.__doc__ = f"What `{name}` returns: {' and '.join(fields.split())}."
    return made


max, min, cummax, cummin, sort, topk, kthvalue, mode, median, nanmedian = (
    _named(name, "values indices")
    for name in ["max", "min", "cummax", "cummin", "sort", "topk", "kthvalue", "mode", "median", "nanmedian"]
)
aminmax = _named("aminmax", "min max")

__all__ = [
    "aminmax",
    "cummax",
    "cummin",
    "kthvalue",
    "max",
    "median",
    "min",
    "mode",
    "nanmedian",
    "sort",
    "topk",
]
