"""torch.utils's names."""

from chainrule.errors import refusing as _refusing
from chainrule.utils import checkpoint

__all__ = ["checkpoint"]

__getattr__ = _refusing("chainrule.utils", __all__, "loop over slices of the tensors: x[i:i + size]")
