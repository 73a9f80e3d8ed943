"""Where chainrule and PyTorch differ on purpose on PyTorch's sample inputs, and what chainrule refuses.

Each row: entries of `op_db`, checks, the samples that are meant, and why. A row that no sample needs any more fails a
test. The numbers that are right are in tests/semantics/deliberate_differences.json, by the name that `why` begins with.
"""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatch
from typing import Any, NamedTuple


class Row(NamedTuple):
    """`kind`: "differs" (both answer, differently) or "refused" (chainrule raises, and says what to do)."""

    entries: str
    checks: str
    kind: str
    at: Callable[[Any], bool]
    why: str

    def speaks_of(self, key: str, check: str) -> bool:
        """Whether the row is about this entry and this check; names may be patterns."""
        return any(fnmatch(key, e) for e in self.entries.split()) and any(
            fnmatch(check.replace(" ", "-"), c) for c in self.checks.split()
        )


def always(s: Any) -> bool:
    return True


def number(k: int, name: str, default: Any = None) -> Callable[[Any], Any]:
    """The argument at place `k`, or of that name."""
    return lambda s: s.args[k] if len(s.args) > k else s.kwargs.get(name, default)


order = number(1, "ord")
p_of = number(1, "p")


def has_zero(s: Any) -> bool:
    return bool((s.args[0] == 0).any())


def matrix(s: Any) -> bool:
    """Whether `linalg.norm` is asked for a norm of matrices."""
    dim = number(2, "dim")(s)
    pair = isinstance(dim, tuple | list) and len(dim) == 2
    return order(s) not in (None, "fro") and (pair or (dim is None and s.args[0].dim() == 2))


GRADIENTS = "gradient tangent second complex-gradient"
ROWS: tuple[Row, ...] = (
    Row("pow __rpow__", "int64", "refused", lambda s: any(bool((a < 0).any()) for a in s.args),
        "a whole number to a negative power is none: torch cuts its fraction off"),
    Row("linalg.norm*", "*", "refused", matrix, "matrix norms need singular values: not there yet"),
    Row("norm linalg.norm* linalg.vector_norm", GRADIENTS, "differs",
        lambda s: isinstance(order(s), int | float) and order(s) < 1 and has_zero(s),
        "norm with p = 1/2 at a zero entry: NaN, a cusp"),
    Row("linalg.norm.subgradients_at_zero", "second", "differs", lambda s: not bool(s.args[0].any()),
        "second derivative of a norm at 0: that of the chosen subgradient, 0"),
    Row("logsumexp", "complex-gradient", "differs", lambda s: bool((abs(s.args[0]) > 1e5).any()),
        "weights as e^(x - out) lose the digits of out where it is large"),
    Row("logcumsumexp", "tangent second", "differs", always, "torch's weights pass through logarithms of tangents"),
    Row("logcumsumexp", "complex*", "refused", always, "of complex numbers: branches of the logarithm"),
    Row("kthvalue topk mode", "int64", "differs", always,
        "which of equal entries: the first ones in order (mode: the last); torch leaves it open"),
    Row("arange linspace* logspace*", "int64", "differs",
        lambda s: any(v != int(v) for v in (*s.args, s.kwargs.get("end", 0))),
        "torch rounds the bounds of a range of whole numbers first, chainrule each number"),
    Row("norm.nuc", "*", "refused", always, "matrix norms need singular values: not there yet"),
    Row("tensordot", "*", "refused", lambda s: s.args[0].shape == (1, 1, 1),
        "torch repeats a length of 1 in a contraction"),
    Row("__rand__ __ror__ __rxor__", "int64", "refused", always, "bits of whole numbers: & | ^ are for truth values"),
    Row("scatter", "int64", "refused", lambda s: isinstance(s.args[-1], float),
        "torch cuts the fraction of 2.5 off without a word"),
    Row("logaddexp", "complex*", "refused", always, "of complex numbers: branches of the logarithm"),
    Row("polygamma.* special.polygamma.*", "value method arrays in-place int64", "differs", always,
        "torch's polygamma has errors of 1e-11 (mpmath: 0.151695808306314 for order 1 at 7.079551004226393)"),
    Row("special.bessel_j0 special.bessel_j1", "value arrays int64", "differs", always,
        "torch's Bessel functions have errors of 1e-6 (mpmath: J0(-5.213403451469078) = -0.105686224883278)"),
    Row("digamma", "tangent", "differs", always, "torch's trigamma, the slope of digamma, has errors of 1e-9"),
    Row("special.ndtr", "value arrays", "differs", always,
        "torch loses digits of the normal distribution in the tail (9.27035240090398e-8 at -5.213403451469078)"),
    Row("sinc", "int64", "differs", always, "sinc of a whole number is 0, not 4e-17"),
)  # fmt: skip

# Not there yet, where torch has them.
WAITED_FOR: frozenset[str] = frozenset()
