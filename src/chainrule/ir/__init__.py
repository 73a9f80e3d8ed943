"""The program form: typed equations over the primitives of the table."""

from chainrule.ir.types import Type, type_of

__all__ = ["Type", "type_of"]
