"""What compiling costs: the first value and gradient of compiled functions, each in a process of its own."""

import json
import os
import subprocess
import sys
import tempfile
from typing import Any

import chainrule as cr
from bench import in_a_process
from bench.harness import AtMost, Beyond, Clocked, Contenders, Thunk, benchmark, race, rival

ROUNDS = 5
FIRST, EACH = 0.060, 0.1e-3  # seconds for the first call of a small program, and for each equation beyond
ALLOWED = "0.1 ms each"


def _process(*args: object, cache: str = "off") -> dict[str, Any]:
    """What bench.in_a_process prints."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"CHAINRULE_CACHE": cache, "CHAINRULE_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "bench.in_a_process", *map(str, args)]
    done = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def _first_call(program: str, size: int, *options: str, cache: str = "off") -> Clocked:
    """The first call of `program`, measured there: without Python's start and `import chainrule`."""

    def run() -> tuple[object, dict[str, float]]:
        found = _process("chainrule", program, size, *options, cache=cache)
        return tuple(found["result"]), found["parts"]

    return Clocked(run)


def _eager(program: str, size: int) -> tuple[float, ...]:
    """What each contender must find."""
    f, args = in_a_process.PROGRAMS[program](cr, size)
    return tuple(in_a_process.flat(*cr.value_and_grad(f, in_a_process.wanted(program))(*args)))


def _race(program: str, size: int, contenders: dict[str, Thunk | None]) -> Contenders:
    return race(_eager(program, size), contenders, rtol=1e-9, atol=1e-9)


def _many(program: str, size: int) -> Contenders:
    """The first call of a long program, what its equations may take, and what the parts are for each equation."""
    found: dict[str, Any] = {}

    def run() -> tuple[object, dict[str, float]]:
        found.update(_process("chainrule", program, size, "loaded"))
        return tuple(found["result"]), found["parts"]

    def allowed() -> tuple[object, dict[str, float]]:
        return tuple(found["result"]), {"equations": EACH * found["equations"]}

    def each() -> tuple[object, dict[str, float]]:
        return tuple(found["result"]), {k: v / found["equations"] for k, v in found["parts"].items()}

    runs = {"chainrule": run, ALLOWED: allowed, "each": each}  # ours runs first
    return _race(program, size, {name: Clocked(r) for name, r in runs.items()})


_KEPT = tempfile.TemporaryDirectory()  # the cache of the warm ones: the check before the timing fills it


@benchmark(goal=AtMost(FIRST), rounds=ROUNDS)
def first_call_number() -> Contenders:
    """First call of x² + sin x with its gradient, LLVM in memory, nothing on disk.

    Limit: LLVM writes a function of 150 instructions in 5 ms.
    """
    contenders = {"chainrule": _first_call("small", 0, "loaded"), "unloaded": _first_call("small", 0)}
    return _race("small", 0, contenders)


@benchmark(goal=AtMost(FIRST), rounds=ROUNDS)
def first_call_kernel() -> Contenders:
    """First call of Σ x² + sin x of 1000 numbers with its gradient: one kernel.

    Limit: LLVM writes it in 8 ms.
    """
    contenders = {"chainrule": _first_call("kernel", 1000, "loaded"), "unloaded": _first_call("kernel", 1000)}
    return _race("kernel", 1000, contenders)


@benchmark(goal=AtMost(0.010), rounds=ROUNDS)
def first_call_from_disk() -> Contenders:
    """First call of Σ x² + sin x of 1000 numbers with its gradient, as an earlier process has left it on disk.

    Limit: 12 operations recorded at 20 µs, one file read.
    """
    contenders = {
        "chainrule": _first_call("kernel", 1000, "loaded", cache=_KEPT.name),
        "unloaded": _first_call("kernel", 1000, cache=_KEPT.name),
    }
    return _race("kernel", 1000, contenders)


@benchmark(goal=AtMost(0.010), rounds=ROUNDS)
def first_call_gmm_from_disk() -> Contenders:
    """First call of a Gaussian mixture (d = 2, k = 5) with its gradient, as an earlier process has left it on disk.

    Limit: 60 operations recorded at 20 µs, one file read.
    """
    contenders = {
        "chainrule": _first_call("gmm", 1000, "loaded", cache=_KEPT.name),
        "unloaded": _first_call("gmm", 1000, cache=_KEPT.name),
    }
    return _race("gmm", 1000, contenders)


@benchmark(sizes=(100, 1000), goal=Beyond(FIRST, ALLOWED), rounds=3)
def per_equation_chain(size: int) -> Contenders:
    """First call of elementwise operations of an array in a row, with the gradient.

    Limit: 20 µs to record and derive it, 8 µs for each of some 5 instructions.
    """
    return _many("chain", size)


@benchmark(sizes=(100, 1000), goal=Beyond(FIRST, ALLOWED), rounds=3)
def per_equation_numbers(size: int) -> Contenders:
    """The same of one number.

    Limit: as of the array.
    """
    return _many("numbers", size)


@benchmark(sizes=(100, 1000), goal=Beyond(FIRST, ALLOWED), rounds=3)
def per_equation_wide(size: int) -> Contenders:
    """The same of a sum of many functions of one array.

    Limit: as of the chain.
    """
    return _many("wide", size)


@benchmark(sizes=(100, 1000), goal=Beyond(FIRST, ALLOWED), rounds=3)
def per_equation_products(size: int) -> Contenders:
    """The same of an unrolled loop of products of 4 × 4 matrices.

    Limit: 20 µs to record and derive it; the kernels are always the same few.
    """
    return _many("products", size)


def _fresh(program: str, size: int) -> Contenders:
    fresh = lambda engine, cache="off": lambda: tuple(_process(engine, program, size, cache=cache)["result"])
    contenders: dict[str, Thunk | None] = {"chainrule": fresh("chainrule")}
    contenders["from disk"] = fresh("chainrule", _KEPT.name)
    contenders |= {engine: fresh(engine) if rival(engine) else None for engine in ("torch", "jax")}
    return _race(program, size, contenders)


@benchmark(goal=AtMost(0.350), rounds=ROUNDS)
def fresh_number() -> Contenders:
    """A fresh process to the first gradient of x² + sin x: compiled (chainrule, JAX), eager (PyTorch).

    Limit: Python and NumPy, 0.1 s, and LLVM, 0.05 s.
    """
    return _fresh("small", 0)


@benchmark(goal=AtMost(0.800), rounds=ROUNDS)
def fresh_gmm() -> Contenders:
    """The same of a Gaussian mixture, d = 2, k = 5, n = 1000.

    Limit: Python and NumPy, 0.1 s, LLVM, 0.05 s, and 10 kernels of 8 ms.
    """
    return _fresh("gmm", 1000)
