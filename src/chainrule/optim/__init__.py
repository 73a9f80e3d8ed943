"""Finding a minimum, and saying honestly how far it got."""

from chainrule.optim.descent import State as State
from chainrule.optim.descent import minimize as minimize
from chainrule.optim.history import History as History
from chainrule.optim.result import Descent as Descent
