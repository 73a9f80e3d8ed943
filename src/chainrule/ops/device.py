"""Where tensors live: on the CPU, and nowhere else. Code written for others is told so."""

from __future__ import annotations

from typing import Any

from chainrule.errors import ArgumentError
from chainrule.source import boundary

DEVICES = ("cpu", "cuda", "mps", "xpu", "hpu", "xla", "meta")


class device(str):
    """The place of a tensor's memory; there is one, "cpu". Equal to its name, so both spellings compare.

    Raises
    ------
    ArgumentError (E104)
        Another device than the CPU.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.device("cpu")
    device(type='cpu')
    >>> cr.zeros(2).device == "cpu"
    True
    """

    __slots__ = ()
    type = "cpu"
    index = None

    @boundary
    def __new__(cls, type: Any = "cpu", index: int | None = None) -> device:
        check_device(type)
        return super().__new__(cls, "cpu")

    def __repr__(self) -> str:
        return "device(type='cpu')"


def check_device(place: Any) -> None:
    """Only the CPU is there; code that asks for another device is told so."""
    if place is not None and str(place).split(":")[0] != "cpu":
        raise ArgumentError(f"there is no device {str(place)!r}", fix='leave device out, or pass "cpu"')


CPU = device("cpu")

__all__ = ["device"]
