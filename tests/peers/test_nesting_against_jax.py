"""Stacks of grad, jvp and vjp to depth 3, with closures and Python's `if`, give JAX's numbers."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr

jax = pytest.importorskip("jax")
pytestmark = pytest.mark.filterwarnings("ignore")
MANY = settings(max_examples=max(12, settings.default.max_examples // 4))


@pytest.fixture(autouse=True, scope="module")
def _double_precision():
    jax.config.update("jax_enable_x64", True)


class Library:
    """grad, jvp and vjp as derivatives of a function of one number, and the elementary functions."""

    def __init__(self, lib: Any, functions: Any) -> None:
        self.f = functions
        self.how = {
            "grad": lambda f, x: lib.grad(f)(x),
            "jvp": lambda f, x: lib.jvp(f, (x,), (1.0,))[1],
            "vjp": lambda f, x: lib.vjp(f, x)[1](functions.ones(()))[0],
        }


def expression(r: random.Random, xs: list[str]) -> str:
    """A smooth expression of some of the variables, of moderate size."""
    a, b, c = r.choice(xs), r.choice(xs), round(r.uniform(0.2, 1.5), 3)
    return r.choice(
        (
            f"F.sin({a} * {b} + {c})",
            f"{a} * {b}",
            f"F.exp(-{a} * {a}) * {b}",
            f"F.tanh({a} - {c} * {b})",
            f"{a} ** 2 * {b}",
            f"F.log(1.5 + {a} * {a}) + {b}",
            f"{a} / (1 + {b} * {b})",
            f"F.cos({a}) * F.exp({c} * {b})",
        )
    )


def source(stack: tuple[str, ...], r: random.Random) -> str:
    """def f0(x0): … D(f1)(…) …, each function closing over the variables of those around it."""
    lines: list[str] = []

    def write(level: int, xs: list[str], pad: str) -> None:
        x = f"x{level}"
        mine = [*xs, x]
        lines.append(f"{pad}def f{level}({x}):")
        body = pad + "    "
        if level < len(stack):
            write(level + 1, mine, body)
            lines.append(f"{body}inner = D['{stack[level]}'](f{level + 1}, {expression(r, mine)})")
            mine.append("inner")
        lines.append(f"{body}if {r.choice(mine)} > {r.uniform(-1, 1):.3f}:")
        lines.append(f"{body}    return {expression(r, mine)} + {expression(r, mine)} * {mine[-1]}")
        lines.append(f"{body}return {expression(r, mine)} - {mine[-1]}")

    write(0, [], "")
    return "\n".join(lines)


def run(text: str, lib: Library, at: float, outer: str | None) -> float:
    names: dict[str, Any] = {"F": lib.f, "D": lib.how}
    exec(text, names)
    f: Callable[[Any], Any] = names["f0"]
    return float(f(at)) if outer is None else float(lib.how[outer](f, at))


STACKS = [s for n in (1, 2, 3) for s in itertools.product(("grad", "jvp", "vjp"), repeat=n)]


@pytest.mark.parametrize("stack", STACKS, ids="-".join)
@MANY
@given(seed=st.integers(0, 2**32 - 1))
def test_nested_derivatives_are_jaxs(stack, seed):
    import jax.numpy as jnp

    r = random.Random(seed)
    text, at = source(stack[1:], r), r.uniform(-1, 1)
    expected = run(text, Library(jax, jnp), at, stack[0])
    found = run(text, Library(cr, cr), at, stack[0])
    assert abs(found - expected) <= 1e-9 * max(1.0, abs(expected)), f"at {at}:\n{text}"


def test_a_confused_perturbation_would_be_noticed():
    import jax.numpy as jnp

    # d/dx (x · d/dy (x + y)) is 1; engines that confuse the two perturbations say 2.
    text = "def f0(x0):\n    return x0 * D['jvp'](lambda x1: x0 + x1, 1.0)"
    assert run(text, Library(jax, jnp), 0.5, "jvp") == 1.0
    assert run(text, Library(cr, cr), 0.5, "jvp") == 1.0
