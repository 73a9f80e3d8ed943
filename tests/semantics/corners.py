"""The table of corner values: kinks, zeros and infinities, in first and second order.

One row each: what is computed, at which point, the gradient in each argument, and the second derivatives: a number for
a function of one number, else the matrix over all entries of all arguments. `None`: there is none, because the first
derivative jumps or is undefined. Expected are the values of mathematics, and at kinks those that docs/rules.md chooses,
never our own output.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import chainrule as cr

INF, NAN = np.inf, np.nan
HALF = 0.5


class Row(NamedTuple):
    f: Callable[..., Any]
    points: list[Any]
    gradient: list[Any]
    second: Any


def zeros(n: int) -> list[list[float]]:
    return np.zeros((n, n)).tolist()


def every(value: float, n: int) -> list[list[float]]:
    return np.full((n, n), value).tolist()


THREE, ONE_ONE_ZERO = [0.0, 4.0, -1.0], [1.0, 1.0, 0.0]
ROOT = [[0, 0, 0], [0, -1 / 32, 0], [0, 0, 0]]  # second derivatives of √4 = 2, in the middle

ROWS = {
    # --- absolute values and bounds
    "abs at 0": Row(cr.abs, [0.0], [0.0], 0.0),
    "relu at 0": Row(cr.relu, [0.0], [0.0], 0.0),
    "maximum(x, number) at 0": Row(lambda x: cr.maximum(x, 0.0), [0.0], [0.0], 0.0),
    "minimum(x, number) at 0": Row(lambda x: cr.minimum(x, 0.0), [0.0], [0.0], 0.0),
    "maximum(number, x) at 0": Row(lambda x: cr.maximum(0.0, x), [0.0], [0.0], 0.0),
    "maximum(x, tensor) at 0": Row(lambda x: cr.maximum(x, cr.tensor(0.0)), [0.0], [HALF], 0.0),
    "clamp(min=0) at 0": Row(lambda x: cr.clamp(x, min=0), [0.0], [0.0], 0.0),
    "clamp(max=0) at 0": Row(lambda x: cr.clamp(x, max=0), [0.0], [0.0], 0.0),
    "clip(-1, 1) at -1": Row(lambda x: cr.clip(x, -1, 1), [-1.0], [0.0], 0.0),
    "clip(-1, 1) at 1": Row(lambda x: cr.clip(x, -1, 1), [1.0], [0.0], 0.0),
    "clip(-1, 1) at 2": Row(lambda x: cr.clip(x, -1, 1), [2.0], [0.0], 0.0),
    "clip(-1, 1) inside": Row(lambda x: cr.clip(x, -1, 1), [0.5], [1.0], 0.0),
    # --- the larger of several
    "maximum(x, y) at a tie": Row(cr.maximum, [1.0, 1.0], [HALF, HALF], zeros(2)),
    "minimum(x, y) at a tie": Row(cr.minimum, [1.0, 1.0], [HALF, HALF], zeros(2)),
    "fmax(x, y) at a tie": Row(cr.fmax, [1.0, 1.0], [HALF, HALF], zeros(2)),
    "fmin(x, y) at a tie": Row(cr.fmin, [1.0, 1.0], [HALF, HALF], zeros(2)),
    "max of [1, 1, 0]": Row(lambda x: x.max(), [ONE_ONE_ZERO], [[HALF, HALF, 0.0]], zeros(3)),
    "amax of [1, 1, 0]": Row(lambda x: cr.amax(x, 0), [ONE_ONE_ZERO], [[HALF, HALF, 0.0]], zeros(3)),
    "max(dim) of [1, 1, 0]": Row(lambda x: x.max(0).values, [ONE_ONE_ZERO], [[1.0, 0.0, 0.0]], zeros(3)),
    "min of [0, 1, 0]": Row(lambda x: x.min(), [[0.0, 1.0, 0.0]], [[HALF, 0.0, HALF]], zeros(3)),
    "median of [1, 1, 3]": Row(cr.median, [[1.0, 1.0, 3.0]], [[HALF, HALF, 0.0]], zeros(3)),
    "median(dim) of [1, 1, 3]": Row(
        lambda x: cr.median(x, 0).values * 1.0, [[1.0, 2.0, 3.0]], [[0.0, 1.0, 0.0]], zeros(3)),
    # --- norms
    "norm at 0": Row(cr.norm, [[0.0, 0.0]], [[0.0, 0.0]], None),
    "sqrt(sum(x*x)) at 0": Row(lambda x: cr.sqrt((x * x).sum()), [[0.0, 0.0]], [[0.0, 0.0]], None),
    "sqrt(sum(x**2)) at 0": Row(lambda x: cr.sqrt((x**2).sum()), [[0.0, 0.0]], [[0.0, 0.0]], None),
    "sqrt(x**2) at 0": Row(lambda x: cr.sqrt(x**2), [0.0], [0.0], 0.0),
    "sqrt(x*x) at 0": Row(lambda x: cr.sqrt(x * x), [0.0], [0.0], 0.0),
    "sqrt(x*x) at 2": Row(lambda x: cr.sqrt(x * x), [2.0], [1.0], 0.0),
    "norm(p=0.5) at (0, 1)": Row(lambda x: cr.norm(x, 0.5), [[0.0, 1.0]], [[NAN, 1.0]], None),
    "norm(inf) at (1, -1)": Row(lambda x: cr.norm(x, INF), [[1.0, -1.0]], [[HALF, -HALF]], zeros(2)),
    "norm(1) at (0, 2)": Row(lambda x: cr.norm(x, 1), [[0.0, 2.0]], [[0.0, 1.0]], zeros(2)),
    "hypot at (0, 0)": Row(cr.hypot, [0.0, 0.0], [0.0, 0.0], None),
    "normalize at 0": Row(lambda x: cr.nn.functional.normalize(x, dim=0).sum(), [[0.0, 0.0]], [[1e12, 1e12]], None),
    # --- roots and logarithms
    "sqrt at 0": Row(cr.sqrt, [0.0], [INF], -INF),
    "sqrt at -1": Row(cr.sqrt, [-1.0], [NAN], NAN),
    "log at 0": Row(cr.log, [0.0], [INF], -INF),
    "log at -1": Row(cr.log, [-1.0], [NAN], None),
    "sqrt(x)*sqrt(x) at 0": Row(lambda x: cr.sqrt(x) * cr.sqrt(x), [0.0], [NAN], NAN),
    "0.0*sqrt(x) at 0": Row(lambda x: 0.0 * cr.sqrt(x), [0.0], [NAN], NAN),
    "x log x at 0": Row(lambda x: x * cr.log(x), [0.0], [NAN], NAN),
    "xlogy(x, x) at 0": Row(lambda x: cr.xlogy(x, x), [0.0], [-INF], INF),
    "xlogy(x, x) at 1": Row(lambda x: cr.xlogy(x, x), [1.0], [1.0], 1.0),
    # --- routes that are not taken
    "where(x > 0, log x, 0) at 0": Row(lambda x: cr.where(x > 0, cr.log(x), 0.0), [0.0], [0.0], 0.0),
    "where(x > 0, sqrt x, 0)": Row(
        lambda x: cr.where(x > 0, cr.sqrt(x), 0.0).sum(), [THREE], [[0.0, 0.25, 0.0]], ROOT),
    "double where": Row(
        lambda x: cr.where(x > 0, cr.sqrt(cr.where(x > 0, x, 1.0)), 0.0).sum(), [THREE], [[0.0, 0.25, 0.0]], ROOT),
    "x[x > 0].sqrt()": Row(lambda x: x[x > 0].sqrt().sum(), [THREE], [[0.0, 0.25, 0.0]], ROOT),
    "where(x != 0, sin(x)/x, 1) at 0": Row(lambda x: cr.where(x != 0, cr.sin(x) / x, 1.0), [0.0], [0.0], 0.0),
    # --- powers and quotients
    "x**2 at 0": Row(lambda x: x**2, [0.0], [0.0], 2.0),
    "x**1 at 0": Row(lambda x: x**1, [0.0], [1.0], 0.0),
    "x**0 at 0": Row(lambda x: x**0, [0.0], [0.0], 0.0),
    "x**3 at 0": Row(lambda x: x**3, [0.0], [0.0], 0.0),
    "x**0.5 at 0": Row(lambda x: x**0.5, [0.0], [INF], -INF),
    "x**-1 at 0": Row(lambda x: x**-1, [0.0], [-INF], INF),
    "pow(x, y) at (0, 0)": Row(cr.pow, [0.0, 0.0], [0.0, 0.0], None),
    "pow(x, y) at (0, 2)": Row(cr.pow, [0.0, 2.0], [0.0, 0.0], [[2.0, 0.0], [0.0, 0.0]]),
    "pow(x, y) at (0, -1)": Row(cr.pow, [0.0, -1.0], [-INF, NAN], None),
    "pow(x, y) at (-2, 3)": Row(cr.pow, [-2.0, 3.0], [12.0, NAN], [[-12.0, NAN], [NAN, NAN]]),
    "1/x at 0": Row(lambda x: 1 / x, [0.0], [-INF], INF),
    "x/x at 0": Row(lambda x: x / x, [0.0], [NAN], NAN),
    "atan2 at (0, 0)": Row(cr.atan2, [0.0, 0.0], [NAN, NAN], None),
    # --- products and spreads
    "prod of [0, 2, 3]": Row(cr.prod, [[0.0, 2.0, 3.0]], [[6.0, 0.0, 0.0]], [[0, 3, 2], [3, 0, 0], [2, 0, 0]]),
    "prod of [0, 0, 3]": Row(cr.prod, [[0.0, 0.0, 3.0]], [[0.0, 0.0, 0.0]], [[0, 3, 0], [3, 0, 0], [0, 0, 0]]),
    "cumprod with a zero": Row(
        lambda x: cr.cumprod(x, 0).sum(), [[0.0, 2.0, 3.0]], [[9.0, 0.0, 0.0]], [[0, 4, 2], [4, 0, 0], [2, 0, 0]]),
    "std of constants": Row(cr.std, [[2.0, 2.0, 2.0]], [[0.0, 0.0, 0.0]], None),
    "var of constants": Row(cr.var, [[2.0, 2.0, 2.0]], [[0.0, 0.0, 0.0]], (np.eye(3) - 1 / 3).tolist()),
    # --- exponentials: far out, and with nothing left
    "logsumexp of all -inf": Row(lambda x: cr.logsumexp(x, 0), [[-INF, -INF]], [[NAN, NAN]], every(NAN, 2)),
    "softmax of all -inf": Row(lambda x: cr.softmax(x, 0)[0], [[-INF, -INF]], [[NAN, NAN]], every(NAN, 2)),
    "1/(1+exp(-x)) at -1000": Row(lambda x: 1 / (1 + cr.exp(-x)), [-1000.0], [0.0], 0.0),
    "sigmoid at -1000": Row(cr.sigmoid, [-1000.0], [0.0], 0.0),
    "log(1+exp(x)) at 1000": Row(lambda x: cr.log(1 + cr.exp(x)), [1000.0], [1.0], 0.0),
    "softplus at 1000": Row(cr.softplus, [1000.0], [1.0], 0.0),
    "log(sum(exp(x))) at (1000, 0)": Row(
        lambda x: cr.log(cr.exp(x).sum()), [[1000.0, 0.0]], [[1.0, 0.0]], zeros(2)),
    "tanh at 20": Row(cr.tanh, [20.0], [4 * np.exp(-40.0)], -8 * np.exp(-40.0)),
    "tanh at 0.5": Row(cr.tanh, [0.5], [np.cosh(0.5) ** -2], -2 * np.tanh(0.5) / np.cosh(0.5) ** 2),
    # --- chosen per operation, and flat ones
    "relu(x) - relu(-x) at 0": Row(lambda x: cr.relu(x) - cr.relu(-x), [0.0], [0.0], 0.0),
    "round, floor, ceil, sign, trunc": Row(
        lambda x: x.round() + x.floor() + x.ceil() + x.sign() + x.trunc(), [0.5], [0.0], 0.0),
}  # fmt: skip
if hasattr(cr.Tensor, "sinc"):
    ROWS["sinc at 0"] = Row(cr.sinc, [0.0], [0.0], -(np.pi**2) / 3)

# Rows whose functions are not there yet: the day they are, a test asks for the row.
LATER = """nn.functional.hardtanh nn.functional.relu6 nn.functional.leaky_relu nn.functional.elu
    nn.functional.cosine_similarity nn.functional.binary_cross_entropy linalg.eigvalsh linalg.eigh linalg.svd linalg.det
    linalg.slogdet linalg.inv""".split()  # noqa: SIM905
