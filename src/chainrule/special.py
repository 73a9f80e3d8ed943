"""torch.special's names, and SciPy's betaln."""

from chainrule.errors import refusing as _refusing
from chainrule.ops.elementwise import erf, erfc, exp2, expm1, log1p, logit, round, sigmoid, xlogy
from chainrule.ops.softmax import log_softmax, logsumexp, softmax
from chainrule.ops.special import (
    bessel_j0,
    bessel_j1,
    betaln,
    digamma,
    entr,
    erfcx,
    erfinv,
    gammainc,
    gammaincc,
    i0,
    i0e,
    i1,
    i1e,
    lgamma,
    log_ndtr,
    multigammaln,
    ndtr,
    ndtri,
    polygamma,
    sinc,
    xlog1py,
    zeta,
)

expit, gammaln, psi = sigmoid, lgamma, digamma
modified_bessel_i0, modified_bessel_i1 = i0, i1

__all__ = [
    "bessel_j0", "bessel_j1", "betaln", "digamma", "entr", "erf", "erfc", "erfcx", "erfinv", "exp2", "expit", "expm1",
    "gammainc", "gammaincc", "gammaln", "i0", "i0e", "i1", "i1e", "log1p", "log_ndtr", "log_softmax", "logit",
    "logsumexp", "modified_bessel_i0", "modified_bessel_i1", "multigammaln", "ndtr", "ndtri", "polygamma", "psi",
    "round", "sinc", "softmax", "xlog1py", "xlogy", "zeta",
]  # fmt: skip

__getattr__ = _refusing("chainrule.special", __all__, "use SciPy in custom_rule, and state the derivative")
