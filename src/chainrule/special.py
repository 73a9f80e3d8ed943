"""torch.special's names, as far as they are there."""

from chainrule.ops.elementwise import erf, erfc, exp2, expm1, log1p, round, sigmoid, xlogy
from chainrule.ops.softmax import log_softmax, logsumexp, softmax

expit = sigmoid

__all__ = [
    "erf",
    "erfc",
    "exp2",
    "expit",
    "expm1",
    "log1p",
    "log_softmax",
    "logsumexp",
    "round",
    "softmax",
    "xlogy",
]
