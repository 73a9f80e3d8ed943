"""Special functions. SciPy is imported when one of them first meets an array."""

from __future__ import annotations

import math
from typing import Any

from chainrule.table.exponential import exp
from chainrule.table.primitive import elementwise

TWO_OVER_SQRT_PI = 2.0 / math.sqrt(math.pi)
_TAIL = (
    "x² is rounded: exp(-x²) has a relative error of ½ ulp of x²: 512 ulp at 26.6, where it is last above 0"
)


def _scipy(name: str) -> Any:
    """`scipy.special.name`, imported at its first use (SciPy's modules cost about 150 ms each)."""

    def value(*args: Any) -> Any:
        import scipy.special

        return getattr(scipy.special, name)(*args)

    return value


erf = elementwise(
    "erf", "x", _scipy("erf"), {"x": lambda x: TWO_OVER_SQRT_PI * exp(-(x * x))},
    scalar=math.erf, bounded=True, monotone=True, latex=r"\operatorname{erf}($x)", doc="Error function.",
    samples=((0.0,), (0.5,), (-2.0,), (6.0,)), source="DLMF 7.2.1",
    slope_tolerance=600.0, tolerance_reason=_TAIL,
)  # fmt: skip
erfc = elementwise(
    "erfc", "x", _scipy("erfc"), {"x": lambda x: -TWO_OVER_SQRT_PI * exp(-(x * x))},
    scalar=math.erfc, bounded=True, monotone=True, latex=r"\operatorname{erfc}($x)",
    doc="1 - erf(x), exact in the right tail.",
    samples=((0.0,), (0.5,), (-2.0,), (6.0,), (20.0,)), source="DLMF 7.2.2",
    tolerance=600.0, slope_tolerance=600.0, tolerance_reason=_TAIL,
)  # fmt: skip
