"""The eager engine against PyTorch: small steps, long chains of scalars, large arrays.

The programs are written once, for a module `m` with torch's names, and run with both. Provenance is on.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np

import chainrule as cr
from bench.harness import Contenders, Ratio, Thunk, benchmark, race, rival


def _ours_and_torch(program: Callable[[ModuleType], Thunk]) -> dict[str, Thunk | None]:
    torch = rival("torch")
    return {"chainrule": program(cr), "torch": program(torch) if torch else None}


# --- scalars: what Python costs per operation ---


def _descent(m: ModuleType) -> Thunk:
    """The body of the lecture's loop: each call is one step, and returns ‖∇L‖."""
    w = m.tensor([0.0, 0.0], requires_grad=True, dtype=m.float64)
    lr = 1e-2

    def step() -> float:
        nonlocal w
        if w.grad is not None:
            w.grad.zero_()
        L = (w[0] - 2) ** 2 + (w[1] + 3) ** 2
        L.backward()
        with m.no_grad():
            w -= lr * w.grad
        return w.grad.norm().item()

    return step


@benchmark(goal=Ratio(0.3, "torch"))
def descent_step() -> Contenders:
    """One step of the lecture's descent: loss, backward, update under no_grad, norm.

    Limit: 0.12 of PyTorch's time, measured on straight-line Python generated for this step.
    """
    steps = 100
    norms = [math.sqrt(52) * 0.98**k for k in range(steps)]  # each step multiplies the error by 1 - 2·lr
    return race(norms, _ours_and_torch(_descent), result=lambda step: [step() for _ in range(steps)])


def _chain(m: ModuleType) -> Thunk:
    x = m.tensor(0.7, requires_grad=True, dtype=m.float64)

    def value_and_gradient() -> tuple[float, float]:
        x.grad = None
        y = x
        for i in range(50):
            y = (y * 1.01 + 0.1).sin().exp() if i % 2 else (y - x) * 0.5 + y
        y.backward()
        return y.item(), x.grad.item()

    return value_and_gradient


def _chain_by_hand(x: float) -> tuple[float, float]:
    """Value and derivative carried along together, in floats."""
    y, dy = x, 1.0
    for i in range(50):
        if i % 2:
            u, s = y * 1.01 + 0.1, math.sin(y * 1.01 + 0.1)
            y, dy = math.exp(s), math.exp(s) * math.cos(u) * 1.01 * dy
        else:
            y, dy = (y - x) * 0.5 + y, (dy - 1.0) * 0.5 + dy
    return y, dy


@benchmark(goal=Ratio(0.4, "torch"))
def chain_of_200() -> Contenders:
    """Some 200 chained operations on one number, value and gradient.

    Limit: 0.15 of PyTorch's time, measured on straight-line Python generated for this chain.
    """
    return race(_chain_by_hand(0.7), _ours_and_torch(_chain), rtol=1e-10)


# --- large arrays: what memory and BLAS allow ---


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation on arrays: with torch's names, and by hand in NumPy with the gradient of its sum."""

    what: str
    shapes: Callable[[int], Sequence[tuple[int, ...]]]
    program: Callable  # of a module and the operands
    value: Callable  # of the operands
    gradient: Callable
    value_limit: str
    gradient_limit: str
    positive: bool = False


def _memory(arrays: int) -> str:
    return f"{8 * arrays} bytes per element: {0.1 * arrays:.1f} ns in cache, {0.8 * arrays:.1f} ns in memory"


def _elementwise(
    what: str,
    program: Callable,
    value: Callable,
    gradient: Callable,
    operands: int = 1,
    *,
    writes: int = 1,
    positive: bool = False,
) -> Operation:
    """Reads its operands and writes its result; the gradient reads them and writes one array for each."""
    return Operation(
        what=what,
        shapes=lambda n: [(n,)] * operands,
        program=program,
        value=value,
        gradient=gradient,
        value_limit=_memory(operands + writes),
        gradient_limit=_memory(2 * operands),
        positive=positive,
    )


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _tanh_gradient(x):
    out = np.tanh(x)
    return (1 - out * out,)


def _dense(x, w, b):
    return np.tanh(x @ w + b)


def _dense_gradient(x, w, b):
    ct = 1 - _dense(x, w, b) ** 2
    return ct @ w.T, x.T @ ct, ct.sum(0)


ELEMENTWISE = {
    "exp": _elementwise("exp(x)", lambda m, x: m.exp(x), np.exp, lambda x: (np.exp(x),)),
    "log": _elementwise("log(x)", lambda m, x: m.log(x), np.log, lambda x: (1 / x,), positive=True),
    "sin": _elementwise("sin(x)", lambda m, x: m.sin(x), np.sin, lambda x: (np.cos(x),)),
    "sigmoid": _elementwise(
        "sigmoid(x)", lambda m, x: m.sigmoid(x), _sigmoid, lambda x: (_sigmoid(x) * _sigmoid(-x),)
    ),
    "softplus": _elementwise(
        "softplus(x)",
        lambda m, x: m.nn.functional.softplus(x),
        lambda x: np.logaddexp(x, 0),
        lambda x: (_sigmoid(x),),
    ),
    "pow": _elementwise(
        "x ** 0.7", lambda m, x: x**0.7, lambda x: x**0.7, lambda x: (0.7 * x**-0.3,), positive=True
    ),
    "tanh": _elementwise("tanh(x)", lambda m, x: m.tanh(x), np.tanh, _tanh_gradient),
    "sum": _elementwise("sum(x)", lambda m, x: m.sum(x), np.sum, lambda x: (np.ones_like(x),), writes=0),
    "product": _elementwise("x * y", lambda m, x, y: x * y, np.multiply, lambda x, y: (+y, +x), 2),
    "cube": _elementwise("x ** 3", lambda m, x: x**3, lambda x: x * x * x, lambda x: (3 * x * x,)),
}

DENSE = Operation(
    what="tanh(x @ w + b), square matrices",
    shapes=lambda n: [(n, n), (n, n), (n,)],
    program=lambda m, x, w, b: m.tanh(x @ w + b),
    value=_dense,
    gradient=_dense_gradient,
    value_limit="BLAS, one product of 0.27 Gflop at 50 Gflop/s: 5.4 ms",
    gradient_limit="BLAS, three products of 0.27 Gflop at 50 Gflop/s: 16 ms",
)


def _value(program: Callable, arrays: Sequence[np.ndarray], m: ModuleType) -> Thunk:
    inputs = [m.tensor(a) for a in arrays]
    return lambda: program(m, *inputs)


def _gradient(program: Callable, arrays: Sequence[np.ndarray], m: ModuleType) -> Thunk:
    leaves = [m.tensor(a, requires_grad=True) for a in arrays]

    def forward_and_backward() -> tuple:
        for leaf in leaves:
            leaf.grad = None
        program(m, *leaves).sum().backward()
        return tuple(leaf.grad for leaf in leaves)

    return forward_and_backward


def _register(name: str, operation: Operation, size: int, per: str) -> None:
    """Two benchmarks: the value, and value and gradient of the sum. NumPy's contender is written by hand."""

    def prepare(n: int, build: Callable, by_hand: Callable) -> Contenders:
        rng = np.random.default_rng(0)
        arrays = [rng.uniform(0.1 if operation.positive else -2, 2, shape) for shape in operation.shapes(n)]
        contenders = _ours_and_torch(lambda m: build(operation.program, arrays, m))
        contenders["numpy"] = lambda: by_hand(*arrays)
        return race(by_hand(*arrays), contenders, rtol=1e-10, atol=1e-12)

    def value(n: int) -> Contenders:
        return prepare(n, _value, operation.value)

    def gradient(n: int) -> Contenders:
        return prepare(n, _gradient, operation.gradient)

    value.__doc__ = f"{operation.what}. Limit: {operation.value_limit}"
    gradient.__doc__ = f"{operation.what}, value and gradient of its sum. Limit: {operation.gradient_limit}"
    how = {"sizes": (size,), "per": per, "goal": Ratio(1.3, "torch")}
    benchmark(name=f"{name}_value", **how)(value)
    benchmark(name=f"{name}_gradient", **how)(gradient)


for _name, _operation in ELEMENTWISE.items():
    _register(_name, _operation, 1_000_000, "element")
_register("dense", DENSE, 512, "call")


# --- steps of an optimiser ---


def _register_step(name: str, optimizer: str, options: dict[str, float], reads: str) -> None:
    def prepare(n: int) -> Contenders:
        start, slope = np.random.default_rng(0).normal(size=(2, n))

        def program(m: ModuleType) -> Thunk:
            w = m.tensor(start, requires_grad=True)
            w.grad = m.tensor(slope)
            step = getattr(m.optim, optimizer)([w], **options).step

            def moved() -> object:
                step()
                return w.detach()

            return moved

        return race(start, _ours_and_torch(program), rtol=1e-6, atol=1e-6)

    prepare.__doc__ = (
        f"One step of {optimizer} {options} with one parameter. Limit: {reads} of 8 bytes per element"
    )
    benchmark(name=name, sizes=(1_000_000,), per="element", goal=Ratio(1.3, "torch"))(prepare)


_register_step("sgd_step", "SGD", {"lr": 1e-12}, "2 reads and 1 write, and a read that looks for NaN:")
_register_step(
    "momentum_step", "SGD", {"lr": 1e-12, "momentum": 0.9}, "4 reads, 2 writes, and a read for NaN:"
)
_register_step("adam_step", "Adam", {"lr": 1e-12}, "6 reads, 3 writes, and a read for NaN:")
