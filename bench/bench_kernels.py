"""Elementwise functions of large arrays: the loops that are compiled for them against NumPy's and SciPy's.

The contenders may differ in the last places: tests/codegen/test_vecmath.py has the bounds against mpmath.
"""

import numpy as np

from bench.harness import Contenders, Ratio, benchmark, race
from chainrule.table.formula import Apply, Symbol
from chainrule.table.primitive import TABLE
from chainrule.tape import kernels

SIZE = 200_000


def _register(name: str) -> None:
    p = TABLE[name]
    params = {"n": 3} if name == "integer_pow" else {}

    def large(n: int) -> Contenders:
        rng = np.random.default_rng(0)
        lo, hi = (1.1, 3.0) if name == "acosh" else (0.1, 0.9)
        arrays = [rng.uniform(lo, hi, n), rng.uniform(0.1, 2.0, n), rng.uniform(0.0, 1.0, n)][: len(p.inputs)]
        formulas = [Apply(name, tuple(map(Symbol, p.inputs)), params)]
        values = dict(zip(p.inputs, arrays, strict=True))
        contenders = {
            "chainrule": lambda: kernels.run(formulas, values, {})[0],
            "numpy": lambda: p.value(*arrays, **params),
        }
        return race(p.value(*arrays, **params), contenders, rtol=1e-13)

    large.__doc__ = f"{name} of large arrays. Limit: one pass of 8 bytes per element and array: 0.2 ns each"
    benchmark(name=f"{name}_large", sizes=(SIZE,), per="element", goal=Ratio(1.0, "numpy"))(large)


for _name in sorted(kernels.QUICKER):
    _register(_name)
