"""torch.utils's names."""

from chainrule.utils import checkpoint

__all__ = ["checkpoint"]
