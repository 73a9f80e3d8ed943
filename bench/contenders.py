"""Value and gradient of one program, by us and by each rival: ready to be timed, None where the rival is missing."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import chainrule as cr
from bench.harness import Thunk, rival

Arrays = Sequence[np.ndarray]


def ours(f: Callable, arrays: Arrays, argnums: tuple[int, ...]) -> Thunk:
    cr.set_num_threads(1)
    program = cr.compile(cr.value_and_grad(f, argnums))
    given = [cr.tensor(a) for a in arrays]
    for _ in range(3):  # until the native entry is there
        program(*given)
    return lambda: flat(program(*given))


def flat(result: Any) -> tuple:
    value, gradients = result
    return value, *gradients


def eager(f: Callable, arrays: Arrays, argnums: tuple[int, ...]) -> Thunk:
    program = cr.value_and_grad(f, argnums)
    return lambda: flat(program(*arrays))


def torch(f: Callable, arrays: Arrays, argnums: tuple[int, ...]) -> Thunk | None:
    m = rival("torch")
    if m is None:
        return None
    given = [m.tensor(a, requires_grad=k in argnums) for k, a in enumerate(arrays)]
    leaves = [given[k] for k in argnums]

    def value_and_gradient() -> tuple:
        value = f(*given)
        return (value.detach(), *m.autograd.grad(value, leaves))

    return value_and_gradient


def jax(f: Callable, arrays: Arrays, argnums: tuple[int, ...]) -> Thunk | None:
    m = rival("jax")
    if m is None:
        return None
    m.config.update("jax_enable_x64", True)
    program = m.jit(m.value_and_grad(f, argnums))
    given = [m.numpy.asarray(a) for a in arrays]
    return lambda: flat(m.block_until_ready(program(*given)))


def autograd(f: Callable, arrays: Arrays, argnums: tuple[int, ...]) -> Thunk | None:
    m = rival("autograd")
    if m is None:
        return None
    program = m.value_and_grad(f, argnums)
    return lambda: flat(program(*arrays))
