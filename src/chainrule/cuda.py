"""torch.cuda's questions, answered for a library that computes on the CPU: there is no device."""

from __future__ import annotations


def is_available() -> bool:
    """False: tensors live on the CPU."""
    return False


def device_count() -> int:
    """0: there is no such device."""
    return 0


__all__ = ["device_count", "is_available"]
