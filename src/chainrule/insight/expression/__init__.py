"""Text → expression → number: what people type is read by an allow-list and never run.

    4*w + w**3  →  words with columns  →  ast.parse  →  Expression  →  the engine's operations

Between the text and the engine stands a small immutable tree that knows numbers, names, + - * / **,
the functions of one list, subscripts and lists, and nothing else.
"""

from chainrule.insight.expression.differentiate import derivative
from chainrule.insight.expression.joined import entries, entry_names, of_one_vector
from chainrule.insight.expression.parse import parse_expression
from chainrule.insight.expression.point import parse_point
from chainrule.insight.expression.slopes import Sensitivity, Slope, sensitivity
from chainrule.insight.expression.tree import Expression
from chainrule.insight.expression.words import CONSTANTS, FUNCTIONS

__all__ = [
    "CONSTANTS",
    "FUNCTIONS",
    "Expression",
    "Sensitivity",
    "Slope",
    "derivative",
    "entries",
    "entry_names",
    "of_one_vector",
    "parse_expression",
    "parse_point",
    "sensitivity",
]
