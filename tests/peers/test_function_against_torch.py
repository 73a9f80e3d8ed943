"""autograd.Function and the checks run programs written for PyTorch, unchanged, with PyTorch's numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import chainrule as cr

pytestmark = [pytest.mark.usefixtures("doubles"), pytest.mark.filterwarnings("ignore")]
X, Y = np.array([0.3, -2.0]), np.array([1.2, 0.7])

# `lib` is torch or chainrule
PROGRAMS = {
    "saved inputs": """
class F(lib.autograd.Function):
    @staticmethod
    def forward(ctx, x, y, n):
        ctx.save_for_backward(x, y)
        ctx.n = n
        return x ** n * y, x + y
    @staticmethod
    def backward(ctx, a, b):
        x, y = ctx.saved_tensors
        gx = gy = None
        if ctx.needs_input_grad[0]:
            gx = a * ctx.n * x ** (ctx.n - 1) * y + b
        if ctx.needs_input_grad[1]:
            gy = a * x ** ctx.n + b
        return gx, gy, None
f = lambda x, y: (lambda r: (r[0] * r[1]).sum())(F.apply(x, y, 3))
""",
    "saved output, setup_context": """
class F(lib.autograd.Function):
    @staticmethod
    def forward(x, y):
        return (x * y).exp()
    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs, output)
    @staticmethod
    def backward(ctx, g):
        x, y, z = ctx.saved_tensors
        return g * z * y, g * z * x
f = lambda x, y: (F.apply(x, y) * x).sum()
""",
    "two operations that call each other": """
class Inner(lib.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x ** 3
    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return Outer.apply(g, x)
class Outer(lib.autograd.Function):
    @staticmethod
    def forward(ctx, g, x):
        ctx.save_for_backward(g, x)
        return 3 * g * x ** 2
    @staticmethod
    def backward(ctx, h):
        g, x = ctx.saved_tensors
        return 3 * h * x ** 2, 6 * h * g * x
f = lambda x, y: (Inner.apply(x) * y).sum()
""",
}


def program(name: str, lib: Any) -> Any:
    names: dict[str, Any] = {"lib": lib}
    exec(PROGRAMS[name], names)
    return names["f"]


def derivatives(lib: Any, f: Any) -> list[np.ndarray]:
    """First and second derivatives by backward, and the numbers in `.grad`."""
    x, y = lib.tensor(X, requires_grad=True), lib.tensor(Y, requires_grad=True)
    first = lib.autograd.grad(f(x, y), (x, y), create_graph=True)
    second = lib.autograd.grad((first[0] * first[1]).sum(), (x, y))
    f(x, y).backward()
    return [np.asarray(t.detach()) for t in (*first, *second, x.grad, y.grad)]


@pytest.mark.parametrize("name", PROGRAMS)
def test_operations_written_for_torch_give_torchs_derivatives(name):
    ours, theirs = (derivatives(lib, program(name, lib)) for lib in (cr, torch))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_checks_agree_with_torchs(name):
    for lib in (cr, torch):
        f = program(name, lib)
        inputs = (lib.tensor(X, requires_grad=True), lib.tensor(Y, requires_grad=True))
        assert lib.autograd.gradcheck(f, inputs, eps=1e-6, atol=1e-4)
        assert lib.autograd.gradgradcheck(f, inputs)


WRONG = """
class F(lib.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x ** 3
    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return {result}
f = F.apply
"""


@pytest.mark.parametrize("result", ["2 * g * x ** 2", "(g, g)", "g[:1]"])
def test_what_torch_refuses_is_refused(result):
    for lib in (cr, torch):
        names: dict[str, Any] = {"lib": lib}
        exec(WRONG.format(result=result), names)
        x = lib.tensor(X, requires_grad=True)
        with pytest.raises(RuntimeError):
            lib.autograd.gradcheck(names["f"], x)


def test_checkpoint_is_torchs():
    def run(lib: Any) -> list[np.ndarray]:
        from importlib import import_module

        checkpoint = import_module(f"{lib.__name__}.utils.checkpoint")
        x, w = lib.tensor(X, requires_grad=True), lib.tensor(Y, requires_grad=True)
        layer = lambda x, power=2: (x * w).sin() ** power
        y = checkpoint.checkpoint(layer, x, power=3, use_reentrant=False)
        y = checkpoint.checkpoint_sequential([layer, lambda x: x.exp(), layer], 2, y, use_reentrant=False)
        (g,) = lib.autograd.grad(y.sum(), x, create_graph=True)
        g.sum().backward()
        return [np.asarray(t.detach()) for t in (y, g, x.grad, w.grad)]

    for a, b in zip(run(cr), run(torch), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
