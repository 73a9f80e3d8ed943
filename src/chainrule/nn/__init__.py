"""torch.nn's names, as far as they are there: `nn.functional`."""

from chainrule.errors import refusing as _refusing
from chainrule.nn import functional

__all__ = ["functional"]

__getattr__ = _refusing(
    "chainrule.nn",
    __all__,
    "write a layer with tensors, e.g. relu(x @ W + b)",
)
