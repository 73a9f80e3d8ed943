"""Two threads: what they save where arithmetic decides, and how much of the memory's bandwidth they take."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

import chainrule as cr
from bench import problems
from bench.harness import Contenders, Ratio, Thunk, benchmark


def _with_threads(n: int, thunk: Thunk) -> Thunk:
    def run() -> object:
        cr.set_num_threads(n)
        return thunk()

    return run


@benchmark(goal=Ratio(1 / 1.7, "one thread"), rounds=7)
def threads_gmm_64_50() -> Contenders:
    """Value and gradient of the mixture with d = 64, k = 50, by two threads. Limit: half the time."""
    given = [cr.tensor(a) for a in problems.gmm_data(64, 50, 1000)]
    program = cr.compile(cr.value_and_grad(lambda *args: problems.gmm(cr, *args), (0, 1, 2, 3)))
    one, two = (_with_threads(n, lambda: program(*given)) for n in (1, 2))
    for a, b in zip(one()[1], two()[1], strict=True):
        assert np.array_equal(a.numpy(), b.numpy()), "the bits depend on the number of threads"
    return {"chainrule": two, "one thread": one}


@benchmark(goal=Ratio(1 / 0.9, "copy"), rounds=7)
def threads_lse_10000000() -> Contenders:
    """Gradient of a log-sum-exp of 10⁷ numbers by two threads, beside two that copy as many bytes as its three phases
    move (three times 8 read, 8 written, for each number). Limit: the bandwidth of both cores, 1."""
    n = 10_000_000
    x = cr.tensor(np.random.default_rng(0).normal(size=n))
    gradient = cr.compile(cr.grad(lambda x: problems.lse(cr, x)))
    ours = _with_threads(2, lambda: gradient(x))
    weights = np.exp(x.numpy() - x.numpy().max())
    np.testing.assert_allclose(ours().numpy(), weights / weights.sum(), rtol=1e-11)
    source, target = np.ones(2 * n), np.zeros(2 * n)  # 16 bytes of each number read, 16 written
    pool = ThreadPoolExecutor(2)
    halves = [slice(0, n), slice(n, 2 * n)]
    copy = lambda: list(pool.map(lambda half: np.copyto(target[half], source[half]), halves))
    return {"chainrule": ours, "copy": copy}
