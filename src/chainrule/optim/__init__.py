"""Finding a minimum: `minimize`, which says honestly how far it got, and torch's optimisers, for loops of one's own."""

from chainrule.optim.adam import Adam as Adam
from chainrule.optim.descent import State as State
from chainrule.optim.descent import minimize as minimize
from chainrule.optim.history import History as History
from chainrule.optim.optimizer import Optimizer as Optimizer
from chainrule.optim.result import Descent as Descent
from chainrule.optim.sgd import SGD as SGD
