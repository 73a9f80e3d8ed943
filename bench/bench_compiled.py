"""The compiled engine on the public problems, against PyTorch, JAX, autograd, CasADi and C++ written by hand.

Value and gradient together, float64, one thread each. Goals: `performance` in bench/README.md.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import chainrule as cr
from bench import by_hand, problems
from bench.contenders import Arrays
from bench.contenders import autograd as _autograd
from bench.contenders import eager as _eager
from bench.contenders import flat as _flat
from bench.contenders import jax as _jax
from bench.contenders import ours as _ours
from bench.contenders import torch as _torch
from bench.harness import Contenders, Net, Ratio, Thunk, benchmark, race, rival


def _casadi(f: Callable, arrays: Arrays) -> Thunk | None:
    """Value and gradient in the first argument; symbols of scalars for numbers, of matrices for arrays."""
    ca = rival("casadi")
    if ca is None:
        return None
    symbols = [(ca.MX if a.ndim else ca.SX).sym("x", *(a.shape or (1,))) for a in arrays]
    value = f(ca, *symbols)
    program = ca.Function("f", symbols, [value, ca.gradient(value, symbols[0])])
    given, shape = [ca.DM(a) for a in arrays], arrays[0].shape

    def value_and_gradient() -> tuple:
        value, gradient = program(*given)
        return float(value), gradient.full().reshape(shape)

    return value_and_gradient


def _by_hand(name: str, before: Sequence[Any], shapes: Sequence[Any]) -> Thunk | None:
    if by_hand.library() is None:
        return None
    outs = [np.empty(shape) for shape in shapes]
    return lambda: (by_hand.call(name, *before, *outs), *outs)


def _numpy_modules() -> tuple[Any, Any]:
    """JAX's and autograd's NumPy, or None."""
    jax, autograd = rival("jax"), rival("autograd")
    return jax and jax.numpy, autograd and __import__("autograd.numpy").numpy


def _race(contenders: dict[str, Thunk | None], rtol: float = 1e-9) -> Contenders:
    """The first that is there and not ours is the reference."""
    reference = contenders["C++"] or contenders["eager"] or contenders["chainrule"]
    assert reference is not None
    expected = tuple(np.array(a) for a in reference())
    scale = max(float(np.max(np.abs(a))) for a in expected[1:])
    return race(expected, contenders, rtol=rtol, atol=rtol * scale)


def _gmm(d: int, k: int, n: int = 1000) -> Contenders:
    arrays = problems.gmm_data(d, k, n)
    wrt = (0, 1, 2, 3)
    jnp, anp = _numpy_modules()
    torch = rival("torch")
    program = lambda m: lambda *args: problems.gmm(m, *args)
    lse_jax = jnp and __import__("jax.scipy.special").scipy.special.logsumexp
    lse_autograd = anp and __import__("autograd.scipy.special").scipy.special.logsumexp
    return _race({
        "chainrule": _ours(program(cr), arrays, wrt),
        "eager": _eager(program(cr), arrays, wrt),
        "torch": _torch(program(torch), arrays, wrt) if torch else None,
        "jax": _jax(lambda *args: problems.gmm_numpy(jnp, lse_jax, *args), arrays, wrt) if jnp else None,
        "autograd": _autograd(lambda *args: problems.gmm_numpy(anp, lse_autograd, *args), arrays, wrt) if anp else None,
        "C++": _by_hand("gmm", [*arrays, d, k, n], [a.shape for a in arrays[:4]]),
    })  # fmt: skip


@benchmark(goal=Ratio(1.0, "C++"), rounds=7)
def gmm_2_5() -> Contenders:
    """Gaussian mixture, d = 2, k = 5, n = 1000: value and gradient.

    Limit: 5000 exponentials of 1 ns and 0.2 Mflop: 0.02 ms.
    """
    return _gmm(2, 5)


@benchmark(goal=Ratio(1.0, "C++"), rounds=7)
def gmm_10_25() -> Contenders:
    """Gaussian mixture, d = 10, k = 25, n = 1000: value and gradient.

    Limit: 15 Mflop at 20 Gflop/s: 0.8 ms.
    """
    return _gmm(10, 25)


@benchmark(goal=Ratio(1.0, "C++"), rounds=5)
def gmm_64_50() -> Contenders:
    """Gaussian mixture, d = 64, k = 50, n = 1000: value and gradient.

    Limit: 1.2 Gflop of products at 40 Gflop/s: 31 ms.
    """
    return _gmm(64, 50)


@benchmark(goal=Ratio(1.0, "C++"), rounds=9)
def lse_640000() -> Contenders:
    """log Σ exp x of 640 000 numbers: value and gradient.

    Limit: three passes over 5 MB and one exponential of 0.7 ns each: 1 ms.
    """
    x = np.random.default_rng(0).normal(size=640_000)
    jnp, anp = _numpy_modules()
    torch = rival("torch")
    return _race({
        "chainrule": _ours(lambda x: problems.lse(cr, x), [x], (0,)),
        "eager": _eager(lambda x: problems.lse(cr, x), [x], (0,)),
        "torch": _torch(lambda x: problems.lse(torch, x), [x], (0,)) if torch else None,
        "jax": _jax(lambda x: problems.lse(jnp, x), [x], (0,)) if jnp else None,
        "autograd": _autograd(lambda x: problems.lse(anp, x), [x], (0,)) if anp else None,
        "casadi": _casadi(problems.lse_casadi, [x]),
        "C++": _by_hand("lse", [x, x.size], [x.shape]),
    })  # fmt: skip


@benchmark(goal=Ratio(1.0, "C++"), rounds=9)
def llsq_16392_128() -> Contenders:
    """Least squares with 128 powers of 16 392 numbers: value and gradient.

    Limit: 2.1 million powers by one product each, and 8 Mflop: 1.5 ms.
    """
    n, m = 16_392, 128
    t = np.linspace(-1.0, 1.0, n)
    x = np.random.default_rng(0).normal(size=m)
    jnp, anp = _numpy_modules()
    torch = rival("torch")
    fixed = lambda module, f: lambda x: f(module, x, t)
    return _race({
        "chainrule": _ours(lambda x, t: problems.llsq(cr, x, t), [x, t], (0,)),
        "eager": _eager(lambda x, t: problems.llsq(cr, x, t), [x, t], (0,)),
        "torch": _torch(lambda x, t: problems.llsq(torch, x, t), [x, t], (0,)) if torch else None,
        "jax": _jax(lambda x, t: problems.llsq(jnp, x, t), [x, t], (0,)) if jnp else None,
        "autograd": _autograd(fixed(anp, problems.llsq), [x], (0,)) if anp else None,
        "casadi": _casadi(problems.llsq_casadi, [x, t]),
        "C++": _by_hand("llsq", [x, m, n], [x.shape]),
    })  # fmt: skip


def _kmeans(k: int, n: int, d: int) -> Contenders:
    """Value, gradient and the diagonal of the Hessian: it is diagonal, so its product with ones."""
    rng = np.random.default_rng(0)
    points, centres = rng.normal(size=(n, d)), rng.normal(size=(k, d))
    cr.set_num_threads(1)
    f = lambda c, p: problems.kmeans(cr, c, p)

    def ours(c: Any, p: Any) -> Any:
        gradient, diagonal = cr.jvp(lambda c: cr.grad(f)(c, p), (c,), (cr.ones_like(c),))
        return f(c, p), gradient, diagonal

    program, given = cr.compile(ours), (cr.tensor(centres), cr.tensor(points))
    return _race({
        "chainrule": lambda: program(*given),
        "torch": _kmeans_torch(centres, points),
        "jax": _kmeans_jax(centres, points),
        "C++": _by_hand("kmeans", [points, centres, n, k, d], [centres.shape] * 2),
        "eager": (lambda: ours(*given)) if k * n * d < 10**7 else None,  # its arrays would not fit beside torch's
    })  # fmt: skip


def _kmeans_torch(centres: np.ndarray, points: np.ndarray) -> Thunk | None:
    torch = rival("torch")
    if torch is None:
        return None
    c, p = torch.tensor(centres), torch.tensor(points)
    f = lambda c: problems.kmeans(torch, c, p)

    def all_three() -> tuple:
        x = c.clone().requires_grad_()
        value = f(x)
        (gradient,) = torch.autograd.grad(value, x, create_graph=True)
        (diagonal,) = torch.autograd.grad(gradient.sum(), x)
        return value.detach(), gradient.detach(), diagonal

    return all_three


def _kmeans_jax(centres: np.ndarray, points: np.ndarray) -> Thunk | None:
    jax = rival("jax")
    if jax is None:
        return None
    jax.config.update("jax_enable_x64", True)
    f = lambda c, p: problems.kmeans(jax.numpy, c, p)

    @jax.jit
    def all_three(c: Any, p: Any) -> Any:
        gradient, diagonal = jax.jvp(lambda c: jax.grad(f)(c, p), (c,), (jax.numpy.ones_like(c),))
        return f(c, p), gradient, diagonal

    given = [jax.numpy.asarray(a) for a in (centres, points)]
    return lambda: jax.block_until_ready(all_three(*given))


@benchmark(goal=Ratio(1.0, "C++"), rounds=5)
def kmeans_100_8() -> Contenders:
    """k-means, k = 100, n = 10 000, d = 8: value, gradient, Hessian diagonal.

    Limit: 24 Mflop of distances at 20 Gflop/s: 1.2 ms.
    """
    return _kmeans(100, 10_000, 8)


@benchmark(goal=Ratio(1.0, "C++"), rounds=3)
def kmeans_1000_16() -> Contenders:
    """k-means, k = 1000, n = 10 000, d = 16: value, gradient, Hessian diagonal.

    Limit: 480 Mflop of distances at 20 Gflop/s: 24 ms; as one product of matrices 10 ms.
    """
    return _kmeans(1000, 10_000, 16)


@benchmark(goal=Net(1.1, "C++", ("empty call", "empty C++ call")))
def chain_200() -> Contenders:
    """200 chained operations on one number, compiled call: value and gradient.

    What is compared is the work: the time of a call that passes the same argument and results, and computes nothing, is
    taken off ours and off that of C++ (which is called through ctypes). bench_calls.py has the cost of calls.

    Limit: 50 functions of libm, 0.8 µs.
    """
    x = np.float64(0.7)
    jnp, anp = _numpy_modules()
    contenders = _race({
        "chainrule": _ours(lambda x: problems.chain(cr, x), [x], (0,)),
        "eager": _eager(lambda x: problems.chain(cr, x), [x], (0,)),
        "jax": _jax(lambda x: problems.chain(jnp, x), [x], (0,)) if jnp else None,
        "autograd": _autograd(lambda x: problems.chain(anp, x), [x], (0,)) if anp else None,
        "casadi": _casadi(problems.chain, [x]),
        "C++": _by_hand("chain", [0.7], [()]),
    })  # fmt: skip
    empty, given = cr.compile(lambda x: (x, (x,))), cr.tensor(x)
    for _ in range(3):  # until the native entry is there
        empty(given)
    nothing = _by_hand("nothing", [0.7], [()])
    return contenders | {
        "empty call": lambda: _flat(empty(given)),
        **({"empty C++ call": nothing} if nothing else {}),
    }
