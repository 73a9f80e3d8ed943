"""Exercises on gradients: a function with blanks, a check that says what went wrong, hints, a solution.

>>> from chainrule.learn import ____, ex2
>>> ex2.title
'Negative slope'
>>> print(ex2.hint())
hint 1/3: which rule turns -w³ into a slope?      (ex2.hint() again for more)
"""

from chainrule.learn.blank import ____ as ____
from chainrule.learn.course import EXERCISES as EXERCISES
from chainrule.learn.exercise import Exercise as Exercise
from chainrule.learn.exercise import Mistake as Mistake
from chainrule.learn.exercise import Outcome as Outcome
from chainrule.learn.progress import forget as forget
from chainrule.learn.progress import keep as keep
from chainrule.learn.progress import progress as progress

ex1, ex2, ex3, ex4, ex5, ex6, ex7, ex8, ex9 = EXERCISES
