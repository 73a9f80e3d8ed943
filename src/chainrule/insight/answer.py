"""What `why` answers: a reason of a closed list, the value, the line, the way out, and the text that says so."""

from __future__ import annotations

from typing import Any

from chainrule.source import Source

# Every reason that `why` can give, and what it means.
REASONS = {
    # there is a gradient
    "gradient": "the gradient is what the routes add up to",
    "accumulated": "several backward calls added to it",
    "sum": "the sensitivities of several outputs were added",
    "weighted": "the sensitivities of several outputs were added with weights",
    "kink": "the point is a kink, and a subgradient was chosen",
    "flat": "a step on the way is constant around this point",
    "unselected": "where, maximum or indexing took another branch",
    "zero_factor": "a factor on the way is 0",
    "cancelled": "contributions on different routes cancel",
    "saturated": "a step on the way is so flat that almost nothing passes",
    "underflow": "a product of slopes is smaller than the dtype can hold",
    "nan": "an undefined step: 0·inf, inf - inf, or a value outside the domain",
    "infinite": "the slope of a step is infinite",
    "lost_update": "the step was smaller than half the spacing of the numbers: the parameter did not move",
    "hook": "a hook changed it",
    "itself": "backward was called on this very tensor",
    "by_hand": "it was assigned or changed by the program, not by backward",
    "forgotten": "it was stored, but the result that it came from is gone",
    "retained": "retain_grad() kept the gradient of a computed tensor",
    # there is none
    "constant": "made without requires_grad=True",
    "integer": "whole numbers and truth values have no small changes",
    "unused": "no result was computed from it",
    "unreached": "no backward was called",
    "cleared": "it was cleared after the backward",
    "freed": "a backward is not possible any more: an earlier one freed the graph",
    "overwritten": "a value that backward needs was changed in place",
    "intermediate": "computed tensors do not keep their gradient",
    "result": "it is the result itself, where backward begins",
    "renamed": "the name now stands for another tensor than the parameter",
    "cut": "the value left the graph (item, float, numpy, detach, no_grad, tensor(...), a step function)",
    "untracked": "nothing that it was computed from requires a gradient",
    # others
    "not_stored": "a gradient that autograd.grad or a transform returned",
    "descent": "the result of minimize: its own account",
    "unknown": "None was passed, and the source of the call is not at hand",
}


class Answer:
    """The answer of `why`: `str()` is the text.

    Attributes
    ----------
    reason
        A key of `REASONS`, the closed list of what can be the matter.
    about
        The name of the tensor.
    value
        The gradient as JSON holds it: a number, a dictionary for arrays, or None.
    place
        The line of the program that decides, ``"train.py:8"``; None where there is none.
    fix
        What to do, in one sentence; "" where nothing is wrong.
    lines
        The sentences.
    """

    def __init__(
        self,
        reason: str,
        about: str,
        lines: list[str],
        *,
        value: Any = None,
        place: Source | None = None,
        fix: str = "",
        data: dict[str, Any] | None = None,
    ) -> None:
        assert reason in REASONS, reason
        self.reason, self.about, self.value, self.fix = reason, about, value, fix
        self.place = None if place is None else place.place
        said = any(fix in line for line in lines)
        self.lines = tuple(lines) if said else (*lines, f"  {fix}")
        self._data = data or {}

    def __str__(self) -> str:
        return "\n".join(self.lines)

    __repr__ = __str__

    def to_json(self) -> dict[str, Any]:
        """Reason, name, value, line, way out, text and the numbers, for `json.dumps`."""
        return {
            "reason": self.reason, "about": self.about, "value": self.value, "place": self.place,
            "fix": self.fix, "text": str(self), **self._data,
        }  # fmt: skip


__all__ = ["REASONS", "Answer"]
