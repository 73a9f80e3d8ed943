"""The derivative table: everything mathematical about each primitive, stated once.

`TABLE["tanh"]` is the entry of tanh. Families are imported in an order in which each uses earlier ones only.
"""

from chainrule.table import arithmetic, select, exponential, trigonometric, error_function  # noqa: I001
from chainrule.table import gamma, bessel
from chainrule.table import (
    shape,
    index,
    views,
    reduce,
    statistics,
    softmax,
    norm,
    sort,
    scan,
    contract,
    complex_parts,
    composite,
)
from chainrule.table.primitive import TABLE, Primitive

BUILT_IN = frozenset(TABLE.values())  # the entries that these files make, whoever registers more

__all__ = [
    "BUILT_IN", "TABLE", "Primitive", "arithmetic", "bessel", "complex_parts", "composite", "contract",
    "error_function", "exponential", "gamma", "index", "norm", "reduce", "scan", "select", "shape", "softmax",
    "sort", "statistics", "trigonometric", "views",
]  # fmt: skip
