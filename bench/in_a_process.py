"""The first value and gradient of a program in a fresh process; prints what was found and how long it took, as JSON.

python -m bench.in_a_process ENGINE PROGRAM SIZE [loaded]

ENGINE is chainrule, jax or torch, PROGRAM one of `PROGRAMS`. With `loaded`, LLVM is loaded before the clock starts.
"""

import builtins
import functools
import importlib
import json
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from bench import problems

# --- programs: (module with torch's names, size) → function and its first argument, then arguments that are held ---


def small(m: Any, size: int) -> tuple[Callable, list]:
    return lambda x: x**2 + m.sin(x), [0.7]


def kernel(m: Any, size: int) -> tuple[Callable, list]:
    return lambda x: (x**2 + m.sin(x)).sum(), [np.linspace(-1.0, 1.0, size)]


def gmm(m: Any, size: int) -> tuple[Callable, list]:
    return lambda *args: problems.gmm(m, *args), list(problems.gmm_data(2, 5, size))


def chain(m: Any, size: int) -> tuple[Callable, list]:
    """Elementwise operations in a row; a contraction, so that rounding does not grow."""

    def f(x: Any) -> Any:
        y = x
        for k in range(size // 4):
            y = m.exp(m.sin(y * 0.3 + 0.1)) if k % 2 else (y - x) * 0.5 + x
        return y.sum()

    return f, [np.linspace(-1.0, 1.0, 1000)]


def numbers(m: Any, size: int) -> tuple[Callable, list]:
    """The same of one number."""
    return chain(m, size)[0], [0.7]


def wide(m: Any, size: int) -> tuple[Callable, list]:
    """Many values of one array, and their sum."""

    def f(x: Any) -> Any:
        total = m.sin(x)
        for k in range(1, size // 3):
            total = total + m.sin(x * float(k))
        return total.sum()

    return f, [np.linspace(-1.0, 1.0, 100)]


def products(m: Any, size: int) -> tuple[Callable, list]:
    """An unrolled loop of small matrix products."""

    def f(a: Any, x: Any) -> Any:
        for _ in range(size // 2):
            x = m.tanh(a @ x)
        return x.sum()

    return f, [0.2 * np.eye(4) + 0.1, np.ones((4, 4))]


PROGRAMS = {f.__name__: f for f in (small, kernel, gmm, chain, numbers, wide, products)}


def flat(value: Any, gradients: Any) -> list[float]:
    """The value, and one number for each gradient."""
    many = gradients if isinstance(gradients, tuple | list) else [gradients]
    return [float(value), *[float(np.abs(np.asarray(g)).sum()) for g in many]]


def wanted(program: str) -> tuple[int, ...]:
    return (0, 1, 2, 3) if program == "gmm" else (0,)


# --- engines -----------------------------------------------------------------------------------------------------


def chainrule(program: str, size: int, loaded: bool) -> dict[str, Any]:
    import chainrule as cr

    f, args = PROGRAMS[program](cr, size)
    compiled = cr.compile(cr.value_and_grad(f, wanted(program)))
    if loaded:
        from chainrule.codegen import jit

        jit.is_available()
    clock = Clock()
    found = compiled(*args)
    parts = clock.stop()
    return {
        "result": flat(*found),
        "parts": parts,
        "equations": len(compiled._made().function.program.graph.equations),
    }


def torch(program: str, size: int, loaded: bool) -> dict[str, Any]:
    import torch

    f, args = PROGRAMS[program](torch, size)
    given = [torch.tensor(a, dtype=torch.float64) for a in args]
    leaves = [given[k].requires_grad_() for k in wanted(program)]
    value = f(*given)
    gradients = torch.autograd.grad(value, leaves)
    return {"result": flat(value.detach(), gradients)}


def jax(program: str, size: int, loaded: bool) -> dict[str, Any]:
    import jax

    jax.config.update("jax_enable_x64", True)
    f, args = PROGRAMS[program](jax.numpy, size)
    if program == "gmm":
        lse = importlib.import_module("jax.scipy.special").logsumexp
        f = lambda *args: problems.gmm_numpy(jax.numpy, lse, *args)
    return {"result": flat(*jax.jit(jax.value_and_grad(f, wanted(program)))(*args))}


# --- parts -------------------------------------------------------------------------------------------------------

# Part -> functions whose time it is, without that of other parts inside them: module, name.
PARTS = {
    "record": [("chainrule.api.executable", "record")],
    "backward": [("chainrule.api.run", "pull_back")],
    "look up": [("chainrule.codegen.kept", "name_of"), ("chainrule.codegen.kept", "read")],
    "passes": [("chainrule.codegen.prepare", "prepare")],
    "plan": [("chainrule.codegen.prepare", "Plan")],
    "text": [("chainrule.codegen.written", "written")],
    "load LLVM": [("chainrule.codegen.jit", name) for name in ("_machine", "_linker")],
    "LLVM": [("chainrule.codegen.jit", "_object")],
    "link": [("chainrule.codegen.jit", "_link")],
    "entry": [("chainrule.api.executable", "Executable.offer_entry")],
    "first run": [("chainrule.codegen.program", "Program.__call__")],
}


class Clock:
    """Takes the time of each part from now on, of imports (but those of LLVM), and until `stop` that of the rest."""

    def __init__(self) -> None:
        self.parts = dict.fromkeys(("import", *PARTS), 0.0)
        self._inside: list[
            tuple[str, list[float]]
        ] = []  # parts that run now, and the seconds of others in them
        self._waiting = [(part, *function) for part, functions in PARTS.items() for function in functions]
        self._import, self._timed_import = builtins.__import__, self._timed("import", builtins.__import__)
        builtins.__import__ = self._imported
        self._wrap()
        self._start = perf_counter()

    def stop(self) -> dict[str, float]:
        rest = perf_counter() - self._start - sum(self.parts.values())
        return self.parts | {"rest": rest}

    def _imported(self, *args: Any, **kwargs: Any) -> Any:
        if any(part in ("import", "load LLVM") for part, _ in self._inside):
            return self._import(*args, **kwargs)
        module = self._timed_import(*args, **kwargs)
        self._wrap()
        return module

    def _wrap(self) -> None:
        """Have the time taken of what has been imported by now."""
        waiting, self._waiting = self._waiting, []
        for part, module, name in waiting:
            *path, last = name.split(".")
            owner = functools.reduce(lambda o, step: getattr(o, step, None), path, sys.modules.get(module))
            if hasattr(owner, last):
                setattr(owner, last, self._timed(part, getattr(owner, last)))
            else:
                self._waiting.append((part, module, name))

    def _timed(self, part: str, f: Callable) -> Callable:
        def call(*args: Any, **kwargs: Any) -> Any:
            start = perf_counter()
            self._inside.append((part, [0.0]))
            try:
                return f(*args, **kwargs)
            finally:
                seconds = perf_counter() - start
                _, (inner,) = self._inside.pop()
                self.parts[part] += seconds - inner
                if self._inside:
                    self._inside[-1][1][0] += seconds

        return call


if __name__ == "__main__":
    engine, program, size, *rest = sys.argv[1:]
    print(json.dumps(globals()[engine](program, int(size), "loaded" in rest)))
