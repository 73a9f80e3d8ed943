"""The public problems of the AD literature (ADBench, GradBench), written anew: data, and programs for each rival.

Programs for modules with torch's names take the module as `m`; those for NumPy's names (JAX, autograd) as `np`.
"""

import math
from typing import Any

import numpy


def gmm_data(d: int, k: int, n: int) -> tuple[numpy.ndarray, ...]:
    """Weights, means, logarithms of diagonals, lower triangles column by column, samples."""
    rng = numpy.random.default_rng(0)
    return (
        rng.normal(size=k), rng.normal(size=(k, d)), 0.1 * rng.normal(size=(k, d)),
        0.1 * rng.normal(size=(k, d * (d - 1) // 2)), rng.normal(size=(n, d)),
    )  # fmt: skip


def lower_indices(d: int) -> tuple[list[int], list[int]]:
    """Rows and columns of a lower triangle, column by column."""
    pairs = [(row, column) for column in range(d) for row in range(column + 1, d)]
    return [r for r, _ in pairs], [c for _, c in pairs]


def gmm(m: Any, alphas: Any, means: Any, q: Any, entries: Any, x: Any) -> Any:
    """Log posterior of a Gaussian mixture with a Wishart prior (γ = 1, m = 0)."""
    (k, d), n = means.shape, x.shape[0]
    rows, columns = lower_indices(d)
    lower = m.zeros(k, d, d, dtype=m.float64)
    lower[:, rows, columns] = entries
    diagonal = m.exp(q)
    centred = x[:, None, :] - means[None]
    y = diagonal * centred + m.einsum("kij,nkj->nki", lower, centred)
    main = alphas + q.sum(1) - 0.5 * (y**2).sum(2)
    prior = 0.5 * ((diagonal**2).sum() + (entries**2).sum())
    constant = -0.5 * n * d * math.log(2 * math.pi)
    return constant + m.logsumexp(main, 1).sum() - n * m.logsumexp(alphas, 0) + prior


def gmm_numpy(np: Any, logsumexp: Any, alphas: Any, means: Any, q: Any, entries: Any, x: Any) -> Any:
    """The same in NumPy's names, without assignment."""
    (k, d), n = means.shape, x.shape[0]
    place = numpy.zeros((d * (d - 1) // 2, d * d))
    for at, (r, c) in enumerate(zip(*lower_indices(d), strict=True)):
        place[at, r * d + c] = 1
    lower = np.reshape(entries @ place, (k, d, d))
    diagonal = np.exp(q)
    centred = x[:, None, :] - means[None]
    y = diagonal * centred + np.einsum("kij,nkj->nki", lower, centred)
    main = alphas + q.sum(1) - 0.5 * (y**2).sum(2)
    prior = 0.5 * ((diagonal**2).sum() + (entries**2).sum())
    constant = -0.5 * n * d * math.log(2 * math.pi)
    return constant + logsumexp(main, 1).sum() - n * logsumexp(alphas, 0) + prior


def lse(m: Any, x: Any) -> Any:
    """log Σ exp(x - max x) + max x."""
    top = m.max(x)
    return m.log(m.exp(x - top).sum()) + top


def llsq(m: Any, x: Any, t: Any) -> Any:
    """½ Σᵢ (sign tᵢ - Σⱼ xⱼ tᵢʲ)²."""
    p = (x * t[:, None] ** m.arange(float(len(x)))).sum(1)
    return 0.5 * ((m.sign(t) - p) ** 2).sum()


def lse_casadi(ca: Any, x: Any) -> Any:
    """log Σ exp(x - max x) + max x, in CasADi's names."""
    top = ca.mmax(x)
    return ca.log(ca.sum1(ca.exp(x - top))) + top


def llsq_casadi(ca: Any, x: Any, t: Any) -> Any:
    """½ Σᵢ (sign tᵢ - Σⱼ xⱼ tᵢʲ)², in CasADi's names."""
    n, m = t.shape[0], x.shape[0]
    powers = ca.repmat(t, 1, m) ** ca.repmat(ca.DM(range(m)).T, n, 1)
    return 0.5 * ca.sumsqr(ca.sign(t) - ca.mtimes(powers, x))


def kmeans(m: Any, centres: Any, points: Any) -> Any:
    """Σᵢ minⱼ ‖pᵢ - cⱼ‖²."""
    return m.amin(((points[:, None, :] - centres[None]) ** 2).sum(2), 1).sum()


def chain(m: Any, x: Any) -> Any:
    """Some 200 operations on one number."""
    y = x
    for i in range(50):
        y = m.exp(m.sin(y * 1.01 + 0.1)) if i % 2 else (y - x) * 0.5 + y
    return y
