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


# --- with vmap: functions of arrays, entry by entry or mixing the entries of one example ---------------------

ORDERS = [
    s for n in (2, 3) for s in itertools.product(("grad", "jvp", "vjp", "vmap"), repeat=n) if "vmap" in s
]


def mixing(r: random.Random) -> Callable[[Any], Callable[[Any], Any]]:
    """A random function of an array of any shape that gives one of that shape; for either library's functions."""
    a, b, c = (round(r.uniform(0.3, 1.4), 3) for _ in range(3))
    kind = r.randrange(6)

    def of(F: Any) -> Callable[[Any], Any]:
        return [
            lambda x: F.sin(a * x) * F.exp(-b * x * x),
            lambda x: F.tanh(x - c) * (x * x).sum() + x,
            lambda x: F.where(x > b - 1, x**3 * a, F.cos(x)),
            lambda x: F.log(1.5 + x * x) / (1 + F.exp(c * x).sum()),
            lambda x: x * F.where(x > 0, F.exp(-x), x).sum(),
            lambda x: F.exp(F.sin(x) * a) - x.max() * b,
        ][kind]

    return of


def step(lib: Any, how: str, f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return {
        "grad": lambda: lib.grad(lambda x: f(x).sum()),
        "jvp": lambda: lambda x: lib.jvp(f, (x,), (x * 0 + 1.0,))[1],
        "vjp": lambda: lambda x: lib.vjp(f, x)[1](x * 0 + 1.0)[0],
        "vmap": lambda: lib.vmap(f),
    }[how]()


def agree(stack: tuple[str, ...], seed: int) -> None:
    import jax.numpy as jnp
    import numpy as np

    of = mixing(random.Random(seed))
    ours, theirs = of(cr), of(jnp)
    for how in stack:
        ours, theirs = step(cr, how, ours), step(jax, how, theirs)
    x = np.random.default_rng(seed).uniform(-1, 1, size=(2, 2, 3, 2))
    found, wanted = np.asarray(ours(cr.tensor(x)).detach()), np.asarray(theirs(jnp.asarray(x)))
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9 * max(1.0, np.abs(wanted).max()))


@pytest.mark.parametrize("stack", ORDERS, ids="-".join)
@MANY
@given(seed=st.integers(0, 2**32 - 1))
def test_stacks_with_vmap_are_jaxs(stack, seed):
    agree(stack, seed)


@given(
    stack=st.tuples(*[st.sampled_from(["grad", "jvp", "vjp", "vmap"])] * 4), seed=st.integers(0, 2**32 - 1)
)
def test_mixed_stacks_of_depth_four_are_jaxs(stack, seed):
    agree(stack, seed)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_linearize_is_jaxs(order):
    import jax.numpy as jnp
    import numpy as np

    f = lambda F: lambda x: F.sin(x) * F.exp(x).sum() + x**3
    ours, theirs = f(cr), f(jnp)
    x, t = np.array([0.3, -0.7]), np.array([1.0, 2.0])
    along = lambda lib, g: lambda z: lib.linearize(g, z)[1](z * 0 + 1.0)
    for _ in range(order):
        ours, theirs = along(cr, ours), along(jax, theirs)
    np.testing.assert_allclose(
        np.asarray(ours(cr.tensor(x)).detach()), np.asarray(theirs(jnp.asarray(x))), rtol=1e-11
    )
    push, push_jax = cr.linearize(f(cr), x)[1], jax.linearize(f(jnp), jnp.asarray(x))[1]
    np.testing.assert_allclose(np.asarray(push(t)), np.asarray(push_jax(jnp.asarray(t))), rtol=1e-12)
