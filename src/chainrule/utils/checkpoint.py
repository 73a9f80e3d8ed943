"""torch.utils.checkpoint's names: checkpoint and checkpoint_sequential."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from chainrule.api import checkpoint as _api
from chainrule.errors import ArgumentError
from chainrule.source import boundary


@boundary
def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    determinism_check: str = "default",
    debug: bool = False,
    **kwargs: Any,
) -> Any:
    """``function(*args, **kwargs)``, whose values are not kept but computed again: see `chainrule.checkpoint`.

    `use_reentrant`, `determinism_check` and `debug` are accepted: there is one way, which works with closures,
    keyword arguments and every order, and it always looks whether the second run did the same.

    Examples
    --------
    >>> import chainrule as cr
    >>> x = cr.tensor([0.0, 1.0], requires_grad=True)
    >>> cr.utils.checkpoint.checkpoint(cr.sin, x).sum().backward()
    >>> x.grad
    tensor([1.0000, 0.5403])
    """
    return _api.checkpoint(function, preserve_rng_state=preserve_rng_state)(*args, **kwargs)


@boundary
def checkpoint_sequential(
    functions: Iterable[Callable[..., Any]],
    segments: int,
    input: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
) -> Any:
    """Functions applied one after another, in `segments` groups, each of which is checkpointed.

    Memory: one tensor per group, and what one group keeps. With n functions √n groups are best.

    Examples
    --------
    >>> import chainrule as cr
    >>> x = cr.tensor(0.5, requires_grad=True)
    >>> y = cr.utils.checkpoint.checkpoint_sequential([cr.sin, cr.exp, cr.sin, cr.exp], 2, x)
    >>> y.backward()
    """
    layers = list(functions)
    if not isinstance(segments, int) or not 1 <= segments <= max(1, len(layers)):
        fix = f"use 1..{len(layers)}"
        raise ArgumentError(f"{len(layers)} functions cannot be cut into {segments!r} groups", fix=fix)
    for k in range(segments):
        group = layers[k * len(layers) // segments : (k + 1) * len(layers) // segments]
        input = _api.checkpoint(_chain(group), preserve_rng_state=preserve_rng_state)(input)
    return input


def _chain(layers: list[Callable[..., Any]]) -> Callable[[Any], Any]:
    def run(x: Any) -> Any:
        for layer in layers:
            x = layer(x)
        return x

    return run


__all__ = ["checkpoint", "checkpoint_sequential"]
