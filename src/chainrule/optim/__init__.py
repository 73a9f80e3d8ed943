"""Finding a minimum: `minimize`, which says honestly how far it got, and torch's optimisers, for loops of one's own."""

from chainrule.optim.adam import Adam as Adam
from chainrule.optim.descent import State as State
from chainrule.optim.descent import minimize as minimize
from chainrule.optim.history import History as History
from chainrule.optim.optimizer import Optimizer as Optimizer
from chainrule.optim.result import Descent as Descent
from chainrule.optim.sgd import SGD as SGD
from chainrule.source import boundary as _boundary


@_boundary
def __getattr__(name: str) -> object:
    from chainrule.errors import UnsupportedError

    if name.startswith("_"):  # protocols that Python asks for
        raise AttributeError(name)
    raise UnsupportedError(
        f"chainrule.optim has no {name!r}", fix="use optim.SGD, optim.Adam or minimize(f, x0)"
    )
