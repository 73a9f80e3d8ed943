"""torch.nn.functional's names, as far as they are there."""

from chainrule.ops.elementwise import relu, sigmoid, softplus, tanh
from chainrule.ops.reduce import log_softmax, softmax
from chainrule.ops.repeat import pad

__all__ = ["log_softmax", "pad", "relu", "sigmoid", "softmax", "softplus", "tanh"]
