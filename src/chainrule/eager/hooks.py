"""Functions that are called during backward, when a gradient is complete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule.eager.backward import AFTER, HOOKS, RETAINED, node_of
from chainrule.errors import ArgumentError, DerivativeError, LeafFlagError
from chainrule.source import boundary
from chainrule.tape.node import Leaf


class HookHandle:
    """What `register_hook` returns: `remove()` takes the hook away; also a context manager."""

    def __init__(self, table: Any, n: Any, key: int) -> None:
        self._table, self._node, self._key = table, n, key

    def remove(self) -> None:
        """Take the hook away (once is enough)."""
        hooks = self._table.get(self._node)
        if hooks is not None:
            hooks.pop(self._key, None)
            if not hooks:
                del self._table[self._node]

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


@boundary
def register_hook(self: Any, hook: Callable[[Any], Any]) -> Any:
    """Call `hook(gradient)` when the gradient of this tensor is complete; a tensor that it returns replaces it."""
    return _register(HOOKS, self, hook)


@boundary
def register_post_accumulate_grad_hook(self: Any, hook: Callable[[Any], Any]) -> Any:
    """Call `hook(tensor)` after `.grad` of this leaf was updated."""
    if not isinstance(node_of(self), Leaf):
        raise LeafFlagError("only leaves accumulate a gradient", fix="use register_hook on a computed tensor")
    return _register(AFTER, self, lambda _grad: hook(self))


@boundary
def retain_grad(self: Any) -> None:
    """Keep `.grad` of this computed tensor in the next backward."""
    n = node_of(self)
    if n.pull is None:
        raise DerivativeError(
            "a tensor that requires no gradient has none to keep", fix="mark it with requires_grad=True"
        )
    if not isinstance(n, Leaf):
        RETAINED.setdefault(n, None)


def _register(table: Any, t: Any, hook: Callable[[Any], Any]) -> HookHandle:
    n = node_of(t)
    if not callable(hook):
        raise ArgumentError(
            f"a hook is a function, not a {type(hook).__name__}", fix="pass a function of the gradient"
        )
    if n.pull is None:
        fix = "mark it with requires_grad=True first"
        raise DerivativeError(
            "a hook needs a tensor that requires a gradient", given=f"made at {n.source}", fix=fix
        )
    hooks = table.setdefault(n, {})
    key = max(hooks, default=-1) + 1
    hooks[key] = hook
    return HookHandle(table, n, key)


METHODS = """
    register_hook register_post_accumulate_grad_hook retain_grad
"""  # of Tensor
