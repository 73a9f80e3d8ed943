"""torch.nn's names, as far as they are there: `nn.functional`."""

from chainrule.nn import functional

__all__ = ["functional"]
