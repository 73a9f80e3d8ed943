"""torch.nn.functional's names, as far as they are there."""

from chainrule.errors import refusing as _refusing
from chainrule.ops.elementwise import relu, sigmoid, softplus, tanh
from chainrule.ops.norm import normalize
from chainrule.ops.repeat import pad
from chainrule.ops.softmax import log_softmax, softmax, softmin

__all__ = ["log_softmax", "normalize", "pad", "relu", "sigmoid", "softmax", "softmin", "softplus", "tanh"]

__getattr__ = _refusing(
    "chainrule.nn.functional",
    __all__,
    "write it with operations, e.g. ((x - y) ** 2).mean()",
)
