"""Tree → number: the engine's operations, at one point or at many points at once."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from chainrule.errors import ChainruleError, ExpressionError
from chainrule.insight.expression.printed import short
from chainrule.insight.expression.words import CONSTANTS, FUNCTIONS

if TYPE_CHECKING:
    from chainrule.insight.expression.tree import Expression

Functions = Mapping[str, Callable[..., Any]]
_OPERATORS: dict[str, Callable[..., Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
    "neg": operator.neg,
}


@functools.cache
def engine() -> Functions:
    """The engine's functions, under the names of `FUNCTIONS`."""
    import chainrule as cr
    from chainrule.ops import elementwise

    own = {name: getattr(cr, name) for name in FUNCTIONS if hasattr(cr, name)}
    return own | {
        "tensor": cr.tensor,
        "stack": cr.stack,
        "round": elementwise.round_,
        "softplus": elementwise.softplus,  # torch has it in nn.functional only
        "max": lambda x, *y: cr.maximum(x, *y) if y else cr.max(x),
        "min": lambda x, *y: cr.minimum(x, *y) if y else cr.min(x),
        "logsumexp": lambda x: cr.logsumexp(x, 0),
    }


@functools.cache
def engine_of_columns() -> Functions:
    """The same at many points at once: the last axis of each operand counts the points."""
    import chainrule as cr

    def over_entries(f: Callable[..., Any]) -> Callable[[Any], Any]:
        return lambda x: f(x.reshape(-1, x.shape[-1]), dim=0)

    reductions = ("sum", "mean", "prod", "norm", "var", "std", "logsumexp")
    largest, smallest = over_entries(cr.amax), over_entries(cr.amin)
    return (
        engine()
        | {name: over_entries(getattr(cr, name)) for name in reductions}
        | {
            "tensor": lambda value: cr.tensor(value).unsqueeze(-1),
            "stack": lambda xs: cr.stack(cr.broadcast_tensors(*xs)),
            "dot": lambda x, y: (x * y).sum(0),
            "max": lambda x, *y: cr.maximum(x, *y) if y else largest(x),
            "min": lambda x, *y: cr.minimum(x, *y) if y else smallest(x),
        }
    )


def compute_part(x: Expression, args: list[Any], env: Mapping[str, Any], functions: Functions) -> Any:
    """One part. Operations on numbers alone are the engine's too: Python's own integers may hang."""
    match x.op:
        case "number":
            return x.value
        case "name":
            return _look_up(str(x.value), env, functions)
        case "neg" if isinstance(args[0], float):
            return -args[0]
        case "item" if isinstance(args[0], float):
            raise ExpressionError(f"'{x.args[0]}' is one number and has no entries", fix="leave out [ ]")
    constant = all(isinstance(a, float) for a in args) and x.op != "list"
    try:
        value = _apply(x, [functions["tensor"](a) for a in args] if constant else args, functions)
    except ChainruleError as err:
        raise ExpressionError(f"'{short(x)}' cannot be computed: {err.what}", fix=err.fix) from None
    return value.item() if constant and hasattr(value, "item") else value


def _apply(x: Expression, args: list[Any], functions: Functions) -> Any:
    if x.op in _OPERATORS:
        return _OPERATORS[x.op](*args)
    if x.op == "item":
        return args[0][x.value]
    if x.op == "list":
        return functions["stack"]([functions["tensor"](a) if isinstance(a, float) else a for a in args])
    return functions[str(x.value)](*args)


def _look_up(name: str, env: Mapping[str, Any], functions: Functions) -> Any:
    if name in env:
        value = env[name]
        if isinstance(value, list):
            return functions["tensor"](value)
        return float(value) if isinstance(value, int) else value
    if name in CONSTANTS:
        return CONSTANTS[name]
    raise ExpressionError(f"'{name}' has no value", fix=f"give it one, as in  {name}=1")
