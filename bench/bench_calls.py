"""What a call of a compiled function costs where the work is little.

"python" is a function of Python that returns what was computed before: less than that no call takes.
"""

import operator
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

import chainrule as cr
from bench.harness import Beyond, Contenders, Thunk, benchmark, race, rival

WARM = 3  # calls until the native entry is there


def _calls(f: Callable, program: Callable, args: tuple) -> Contenders:
    """`f`, a function of arrays of any module, compiled by us and by JAX; `program` is a transform of it or itself."""
    expected = _flat(program(cr, f)(*args))
    given = tuple(map(cr.tensor, args))
    ours, jax = cr.compile(program(cr, f)), rival("jax")
    for _ in range(WARM):
        ours(*args), ours(*given)
    return race(
        tuple(map(np.asarray, expected)),
        {
            "chainrule": lambda: ours(*args),
            "tensors": lambda: ours(*given),
            "jax": _jax(jax, program(jax, f), args) if jax else None,
            "python": _nothing(expected, args),
        },
        result=lambda thunk: _flat(thunk()),
    )


def _jax(jax: Any, program: Callable, args: tuple) -> Thunk:
    jax.config.update("jax_enable_x64", True)
    compiled, given = jax.jit(program), tuple(map(jax.numpy.asarray, args))
    return lambda: jax.block_until_ready(compiled(*given))


def _nothing(result: Any, args: tuple) -> Thunk:
    function = lambda *given: result
    return lambda: function(*args)


def _flat(result: Any) -> tuple:
    return tuple(x for part in result for x in _flat(part)) if isinstance(result, tuple) else (result,)


value = lambda module, f: f
gradient = lambda module, f: module.grad(f)


def polynomial(x: Any) -> Any:
    return (x * 0.5 + 1.0) * x


def plane(x: Any, y: Any) -> Any:
    return x * y + x


def total(*xs: Any) -> Any:
    return (reduce(operator.add, xs) ** 2).sum()


ARRAYS = tuple(np.linspace(k, k + 1, 8) for k in range(10))


@benchmark(goal=Beyond(2.5e-6, "python"))
def call_of_one_number() -> Contenders:
    """A quadratic of one Python float. Limit: 0.5 µs, half of it what Python does around a built-in function."""
    return _calls(polynomial, value, (0.7,))


@benchmark(goal=Beyond(2.5e-6, "python"))
def call_of_two_numbers() -> Contenders:
    """A product of two Python floats. Limit: 0.5 µs, half of it what Python does around a built-in function."""
    return _calls(plane, value, (0.7, 2.0))


@benchmark(goal=Beyond(2.5e-6, "python"))
def gradient_of_one_number() -> Contenders:
    """The slope of a quadratic, compile(grad(f)). Limit: 0.5 µs, as for a value."""
    return _calls(polynomial, gradient, (0.7,))


@benchmark(goal=Beyond(2.5e-6, "python"))
def value_and_gradient_of_two_numbers() -> Contenders:
    """A product of two Python floats and its slopes, compile(value_and_grad(f, (0, 1))). Limit: 0.7 µs."""
    return _calls(plane, lambda module, f: module.value_and_grad(f, (0, 1)), (0.7, 2.0))


@benchmark(goal=Beyond(10e-6, "python"))
def call_of_ten_arrays() -> Contenders:
    """The sum of squares of a sum of ten arrays of 8 numbers. Limit: 0.7 µs, 10 ns for each array."""
    return _calls(total, value, ARRAYS)


@benchmark(goal=Beyond(10e-6, "python"))
def value_and_gradients_of_ten_arrays() -> Contenders:
    """The same with its gradients in all ten. Limit: 3 µs, 0.2 µs for each array that comes back."""
    return _calls(total, lambda module, f: module.value_and_grad(f, tuple(range(10))), ARRAYS)
