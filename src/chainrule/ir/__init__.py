"""The program form: typed equations over the primitives of the table.

What is more than types is imported when it is first asked for: an eager program has no graph. `text`,
`verify` and `evaluate` are in the modules of these names.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from chainrule.ir.types import Type, type_of

if TYPE_CHECKING:
    from chainrule.ir.emitter import Emitter
    from chainrule.ir.graph import Equation, Graph, Var
    from chainrule.ir.text import parse

_HOME = {"Emitter": "emitter", "Equation": "graph", "Graph": "graph", "Var": "graph", "parse": "text"}

__all__ = ["Emitter", "Equation", "Graph", "Type", "Var", "parse", "type_of"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    return value
