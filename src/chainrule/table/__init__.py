"""The derivative table: everything mathematical about each primitive, stated once.

`TABLE["tanh"]` is the entry of tanh. Families are imported in an order in which each uses earlier ones only.
"""

from chainrule.table import arithmetic, select, exponential, trigonometric, special  # noqa: I001
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

__all__ = ["TABLE", "Primitive", "arithmetic", "complex_parts", "composite", "contract", "exponential",
           "index", "norm", "reduce", "scan", "select", "shape", "softmax", "sort",
           "special", "statistics", "trigonometric", "views"]  # fmt: skip
