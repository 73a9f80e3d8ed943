"""What a compiled gradient costs beside the value alone, on the problems of bench_compiled.py: at most 3."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import chainrule as cr
from bench import problems
from bench.harness import Contenders, Ratio, benchmark

RNG = np.random.default_rng(0)


def _pair(f: Callable, arrays: Sequence[Any], argnums: tuple[int, ...] = (0,)) -> Contenders:
    """Value with gradient, and the value, both compiled; the values are compared first."""
    cr.set_num_threads(1)
    given = [cr.tensor(a) for a in arrays]
    value, both = cr.compile(f), cr.compile(cr.value_and_grad(f, argnums))
    np.testing.assert_allclose(both(*given)[0].numpy(), value(*given).numpy(), rtol=1e-12)
    return {"chainrule": lambda: both(*given), "value": lambda: value(*given)}


def _gmm(d: int, k: int) -> Contenders:
    return _pair(lambda *args: problems.gmm(cr, *args), problems.gmm_data(d, k, 1000), (0, 1, 2, 3))


@benchmark(goal=Ratio(3.0, "value"), rounds=9)
def gradient_gmm_2_5() -> Contenders:
    """Gradient of the mixture with d = 2, k = 5 beside its value. Limit: the same exponentials, 1.5."""
    return _gmm(2, 5)


@benchmark(goal=Ratio(3.0, "value"), rounds=9)
def gradient_gmm_10_25() -> Contenders:
    """Gradient of the mixture with d = 10, k = 25 beside its value. Limit: three products for one, 3."""
    return _gmm(10, 25)


@benchmark(goal=Ratio(3.0, "value"), rounds=5)
def gradient_gmm_64_50() -> Contenders:
    """Gradient of the mixture with d = 64, k = 50 beside its value. Limit: three products for one, 3."""
    return _gmm(64, 50)


@benchmark(goal=Ratio(3.0, "value"), rounds=9)
def gradient_lse_640000() -> Contenders:
    """Gradient of a log-sum-exp of 640 000 numbers beside its value. Limit: three passes for two, 1.5."""
    return _pair(lambda x: problems.lse(cr, x), [RNG.normal(size=640_000)])


@benchmark(goal=Ratio(3.0, "value"), rounds=9)
def gradient_llsq_16392_128() -> Contenders:
    """Gradient of least squares with 128 powers beside its value. Limit: one more sum over the same powers, 1.5."""
    t = np.linspace(-1.0, 1.0, 16_392)
    return _pair(lambda x, t: problems.llsq(cr, x, t), [RNG.normal(size=128), t])


@benchmark(goal=Ratio(3.0, "value"), rounds=9)
def gradient_kmeans_100_8() -> Contenders:
    """Gradient of k-means with k = 100, d = 8 beside its value. Limit: one centre in a hundred is moved, 1.1."""
    return _pair(
        lambda c, p: problems.kmeans(cr, c, p), [RNG.normal(size=(100, 8)), RNG.normal(size=(10_000, 8))]
    )


@benchmark(goal=Ratio(3.0, "value"), rounds=3)
def gradient_kmeans_1000_16() -> Contenders:
    """Gradient of k-means with k = 1000, d = 16 beside its value. Limit: one centre in a thousand is moved, 1.1."""
    arrays = [RNG.normal(size=(1000, 16)), RNG.normal(size=(10_000, 16))]
    return _pair(lambda c, p: problems.kmeans(cr, c, p), arrays)


@benchmark(goal=Ratio(3.0, "value"))
def gradient_chain_200() -> Contenders:
    """Gradient of 200 chained operations beside their value. Limit: a cosine more for each sine, 2."""
    return _pair(lambda x: problems.chain(cr, x), [np.float64(0.7)])
