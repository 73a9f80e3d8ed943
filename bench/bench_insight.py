"""What explanations cost: recording for them while a program runs, and asking afterwards."""

import re
from collections.abc import Callable
from itertools import repeat
from pathlib import Path
from types import ModuleType

import chainrule as cr
from bench.harness import Beyond, Contenders, Ratio, benchmark, race
from chainrule import quick
from chainrule.table import TABLE

# --- recording, where gradients flow ---


def _without_lines() -> ModuleType:
    """The quick ways of the engine without what is recorded for explanations only: the user's instruction."""
    source = Path(quick.__file__).read_text(encoding="utf-8")
    kept = re.sub(
        r"^ +(frame = _getframe\(\d\)|n\.code = frame\.f_code|n\.at = frame\.f_lasti)\n",
        "",
        source,
        flags=re.MULTILINE,
    )
    assert source.count("n.code") - kept.count("n.code") >= 5, (
        "the lines that record the instruction look different now"
    )
    module = ModuleType("chainrule.quick")
    exec(compile(kept, quick.__file__, "exec"), vars(module))
    vars(module)["Tensor"] = quick.Tensor
    return module


def _chain(ways: ModuleType) -> Callable[[], tuple[float, float]]:
    add, sub, mul = (ways.binary(TABLE[name]) for name in ("add", "sub", "mul"))
    sin, tanh = (ways.unary(TABLE[name]) for name in ("sin", "tanh"))
    x = cr.tensor(0.7, requires_grad=True)

    def value_and_gradient() -> tuple[float, float]:
        x.grad = None
        y = x
        for _ in repeat(None, 40):
            y = tanh(add(mul(y, 1.01), sin(sub(y, x))))
        y.backward()
        return y.item(), x.grad.item()

    return value_and_gradient


@benchmark(goal=Ratio(1.25, "without"))
def recording_of_lines() -> Contenders:
    """200 operations on numbers, value and gradient, beside the same engine that remembers no line.

    Limit: one look at the caller's frame, about 0.05 µs of 1 µs.
    """
    with_lines, without = _chain(quick), _chain(_without_lines())
    return race(without(), {"chainrule": with_lines, "without": without})


# --- recording, where none flow ---


def _untracked(on: bool) -> Callable[[], float]:
    c = cr.tensor(0.7)

    def value() -> float:
        with cr.provenance(on):
            y = c
            for _ in repeat(None, 100):
                y = (y * 1.01 + 0.1).sin()
        return y.item()

    return value


@benchmark(goal=Ratio(1.25, "without"))
def recording_of_history() -> Contenders:
    """300 operations on numbers without gradients, with their bounded history and with provenance(False).

    Limit: two references more for each operation.
    """
    return race(_untracked(False)(), {"chainrule": _untracked(True), "without": _untracked(False)})


# --- asking ---

_STEPS = 50_000


def _long() -> tuple[cr.Tensor, cr.Tensor]:
    x = cr.tensor(0.5, requires_grad=True)
    y = x
    for _ in repeat(None, _STEPS):
        y = y * 1.00001
        y = y + 0.1
    return x, y


def _asking(what: Callable[[cr.Tensor, cr.Tensor], float]) -> Contenders:
    x, y = _long()
    y.backward(retain_graph=True)

    def backward() -> float:
        x.grad = None
        y.backward(retain_graph=True)
        return x.grad.item()

    return race(1.00001**_STEPS, {"chainrule": lambda: what(x, y), "backward": backward}, rtol=1e-9)


@benchmark(goal=Beyond(2.0, "backward"), rounds=5)
def why_of_100_000_steps() -> Contenders:
    """`why(x.grad)` in a graph of 100 000 steps, beside the backward itself.

    Limit: one reverse walk for the gradient, and one for the sentence.
    """
    return _asking(lambda x, y: cr.why(x).value)


@benchmark(goal=Beyond(2.0, "backward"), rounds=5)
def explain_of_100_000_steps() -> Contenders:
    """`explain(y)` of 100 000 steps, told line by line, beside the backward itself.

    Limit: one reverse walk, and one look at each step.
    """
    return _asking(lambda x, y: cr.explain(y).trace.leaves[0].gradient.scalar)
