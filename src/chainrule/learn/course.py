"""The nine exercises, in order."""

from chainrule.learn.routes import EX6, EX7, EX8, EX9
from chainrule.learn.slopes import EX1, EX2, EX3, EX4, EX5

EXERCISES = (EX1, EX2, EX3, EX4, EX5, EX6, EX7, EX8, EX9)

__all__ = ["EXERCISES"]
