"""Functional transforms give torch.func's results on random functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import programs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr

pytestmark = [pytest.mark.usefixtures("doubles"), pytest.mark.filterwarnings("ignore")]

SEEDS, LENGTHS = st.integers(0, 2**32 - 1), st.integers(1, 8)
MANY = settings(max_examples=max(60, settings.default.max_examples))


def function_of(program: programs.Program, lib: Any) -> tuple[Callable[..., Any], list[Any]]:
    """The steps of a program as a function of its leaves, and the leaves."""
    body = "\n".join("    " + line for step in [*program.steps, program.loss] for line in step.splitlines())
    names: dict[str, Any] = {"torch": lib}
    source = f"def f({', '.join(program.leaves)}):\n{body}\n    return loss\n"
    exec(compile(source, "<function>", "exec"), names)
    for line in program.head:
        exec(line.replace(", requires_grad=True", ""), names)
    return names["f"], [names[k] for k in program.leaves]


def both(seed: int, length: int) -> tuple[programs.Program, Any, Any]:
    # Under torch.func a tensor has no numbers to look at, so `.item()` would be refused there: the program has none.
    program = programs.program(torch, seed, length, inplace=False)
    steps = [s for s in program.steps if ".item()" not in s]
    if len(steps) < len(program.steps):
        program = programs.program(torch, seed, 0, inplace=False)
    return program, function_of(program, torch), function_of(program, cr)


def assert_close(ours: Any, theirs: Any, what: Any, rtol: float) -> None:
    if isinstance(theirs, tuple | list):
        for a, b in zip(ours, theirs, strict=True):
            assert_close(a, b, what, rtol)
        return
    a, b = programs.num(ours), programs.num(theirs)
    assert a.shape == b.shape, what
    assert np.all(np.abs(a - b) <= rtol * max(1.0, np.abs(b).max(initial=0.0))), (
        f"{what!r}: {ours} is not {theirs}"
    )


def everything(n: int) -> tuple[int, ...]:
    return tuple(range(n))


@MANY
@given(seed=SEEDS, length=LENGTHS)
def test_grad_and_value(seed, length):
    program, (f, xs), (g, ys) = both(seed, length)
    theirs = torch.func.grad_and_value(f, everything(len(xs)))(*xs)
    assert_close(cr.func.grad_and_value(g, everything(len(ys)))(*ys), theirs, program, 1e-10)


@MANY
@given(seed=SEEDS, length=LENGTHS)
def test_vjp(seed, length):
    program, (f, xs), (g, ys) = both(seed, length)
    value, pull = torch.func.vjp(f, *xs)
    ours, our_pull = cr.vjp(g, *ys)
    assert_close(ours, value, program, 1e-12)
    assert_close(our_pull(cr.tensor(0.7)), pull(torch.tensor(0.7)), program, 1e-10)


@MANY
@given(seed=SEEDS, length=LENGTHS)
def test_jvp(seed, length):
    program, (f, xs), (g, ys) = both(seed, length)
    rng = np.random.default_rng(seed)
    ts = [rng.standard_normal(x.shape) for x in xs]
    theirs = torch.func.jvp(f, tuple(xs), tuple(map(torch.tensor, ts)))
    assert_close(cr.jvp(g, tuple(ys), tuple(map(cr.tensor, ts))), theirs, program, 1e-10)


@MANY
@given(seed=SEEDS, length=st.integers(1, 6))
@pytest.mark.parametrize("name", ["jacrev", "jacfwd"])
def test_jacobians(name, seed, length):
    program, (f, xs), (g, ys) = both(seed, length)
    several = lambda h, lib: lambda *a: lib.stack([h(*a), a[0].sum() * h(*a)])
    theirs = getattr(torch.func, name)(several(f, torch), everything(len(xs)))(*xs)
    assert_close(getattr(cr, name)(several(g, cr), everything(len(ys)))(*ys), theirs, program, 1e-9)


@MANY
@given(seed=SEEDS, length=st.integers(1, 5))
def test_hessian(seed, length):
    program, (f, xs), (g, ys) = both(seed, length)
    theirs = torch.func.jacrev(torch.func.jacrev(f))(*xs)
    assert_close(cr.hessian(g)(*ys), theirs, program, 1e-8)


def test_a_wrong_gradient_is_noticed():
    with pytest.raises(AssertionError):
        assert_close((cr.tensor([1.0]),), (torch.tensor([1.0 + 1e-6]),), "f", 1e-10)
