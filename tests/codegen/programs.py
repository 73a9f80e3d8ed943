"""Random programs on arrays long enough for tiles, partial vectors, chunks and products of matrices."""

import math

import numpy as np

import chainrule as cr

# Around whole vectors and tiles; programs combine two or three of them, so that shapes meet.
LENGTHS = (1, 2, 3, 7, 8, 9, 16, 20, 31, 32, 33, 63, 64, 65, 96, 100, 129, 160, 257)
MOST = 6000  # entries of a value


def arguments(rng, *, dtype=np.float64, empty=False):
    """Some arrays whose dimensions are drawn from the same few lengths."""
    lengths = [int(n) for n in rng.choice(LENGTHS, size=rng.integers(2, 4), replace=False)]
    if empty:
        lengths.append(0)
    found = []
    for _ in range(rng.integers(1, 4)):
        shape = [int(n) for n in rng.choice(lengths, size=rng.choice([0, 1, 1, 2, 2, 2, 3]))]
        while np.prod(shape) > MOST:
            shape.pop()
        found.append(rng.normal(size=shape).astype(dtype))
    return found


def program(seed, *, size=8):
    """A function of arrays: `size` operations, the same ones in every run; everything stays of moderate size."""

    def f(*xs):
        rng = np.random.default_rng(seed)
        values = list(xs)
        for _ in range(size):
            found = _step(rng, values)
            if found is not None and 0 <= found.numel() <= MOST:
                values.append(found)
        made = values[len(xs) :] or values
        return tuple(v * 1.0 for v in made[-int(rng.integers(1, 4)) :])

    return f


def _step(rng, values):
    x = values[rng.integers(len(values))]
    return _MOVES[rng.integers(len(_MOVES))](rng, x, values)


def _pick(rng, values, good):
    found = [v for v in values if good(v)]
    return found[rng.integers(len(found))] if found else None


def _fits(a, b):
    return all(1 in (m, n) or m == n for m, n in zip(reversed(a.shape), reversed(b.shape), strict=False))


def _unary(rng, x, values):
    return _FUNCTIONS[rng.integers(len(_FUNCTIONS))](x)


_FUNCTIONS = (
    cr.sin, cr.tanh, cr.sigmoid, cr.abs, cr.relu, cr.neg, cr.atan, lambda x: cr.exp(-x * x), lambda x: cr.log1p(x * x),
    lambda x: cr.sqrt(x * x + 0.1), lambda x: 1.0 / (x * x + 0.5), lambda x: cr.clamp(x, -0.5, 0.7), lambda x: x * 0.5,
    lambda x: cr.tanh(x) ** 3, lambda x: cr.erf(x), lambda x: cr.floor(x) + x,
)  # fmt: skip


def _binary(rng, x, values):
    y = _pick(rng, values, lambda v: _fits(v, x))
    k = rng.integers(6)
    if k == 0:
        return cr.maximum(x, y)
    if k == 1:
        return cr.where(x > y, x, y * 0.5)
    if k == 2:
        return x / (1.0 + y * y)
    if k == 3:
        return cr.where((x > 0.1) & ~(y > 0.3), cr.sin(x), 0.0)
    return cr.tanh(x * y) if k == 4 else (x - y) * 0.5


def _axes(rng, x):
    return tuple(int(k) for k in rng.choice(x.ndim, size=rng.integers(1, x.ndim + 1), replace=False))


def _reduction(rng, x, values):
    if x.ndim == 0:
        return None
    dim, keep, k = _axes(rng, x), bool(rng.integers(2)), rng.integers(9)
    if k >= 4 and x.numel() == 0:
        return None
    if k < 3:
        return cr.tanh(x.sum(dim, keepdim=keep) * 0.1)
    if k == 3:
        return (cr.any if rng.integers(2) else cr.all)(x > -0.5, dim[0], keepdim=keep) * 1.0
    if k == 4:
        return x.amax(dim, keepdim=keep) if rng.integers(2) else x.amin(dim, keepdim=keep)
    if k == 5:
        return cr.logsumexp(x, dim, keepdim=keep)
    if k == 6:
        return cr.softmax(x, dim[0])
    return x.mean(dim, keepdim=keep) if k == 7 else cr.tanh(x.var(dim, correction=0, keepdim=keep))


def _view(rng, x, values):
    k = rng.integers(10)
    if k == 0:
        return x.permute(*[int(i) for i in rng.permutation(x.ndim)])
    if k == 1:
        return x.reshape(*x.shape[::-1])
    if k == 2:
        return x.reshape(-1)
    if k == 3:
        return x[None] if rng.integers(2) else x[..., None]
    if k == 4:
        return x.expand(3, *x.shape)
    if x.ndim == 0:
        return None
    axis = int(rng.integers(x.ndim))
    before = (slice(None),) * axis
    if k == 5:
        return cr.flip(x, [axis])
    if k == 6:
        return x[(*before, slice(int(rng.integers(0, 3)), None, int(rng.integers(1, 4))))]
    if k == 7 and x.shape[axis]:
        return x[(*before, int(rng.integers(-x.shape[axis], x.shape[axis])))]
    if k == 8 and x.shape[axis] > 1:
        return x[(*before, slice(1, None))] - x[(*before, slice(None, -1))]
    if k == 9 and x.shape[axis] % 2 == 0 and x.shape[axis]:
        return x.reshape(*x.shape[:axis], x.shape[axis] // 2, 2, *x.shape[axis + 1 :])
    return None


def _product(rng, x, values):
    if x.ndim == 0:
        return None
    y = _pick(rng, values, lambda v: v.ndim and set(v.shape) & set(x.shape))
    n = next((n for n in x.shape if n in y.shape), None) if y is not None else None
    if n is None:
        return None
    a = cr.movedim(x, x.shape.index(n), -1)
    b = cr.movedim(y, y.shape.index(n), 0)
    a, b = a.reshape(math.prod(a.shape[:-1]), n), b.reshape(n, math.prod(b.shape[1:]))
    if a.shape[0] * b.shape[1] > MOST:
        return None
    return cr.tanh(a @ b * 0.2) if rng.integers(2) else (a @ b) * 0.1


def _called(rng, x, values):
    """What runs in NumPy between kernels."""
    if x.ndim == 0 or 0 in x.shape:
        return None
    k, dim = rng.integers(5), int(rng.integers(x.ndim))
    if k == 0:
        return cr.sort(x, dim).values
    if k == 1:
        return cr.argmax(x, dim) * 0.01
    if k == 2:
        return cr.tanh(cr.cumsum(x, dim) * 0.1)
    if k == 3:
        return x[(slice(None),) * dim + (np.array([0, -1, 0]),)]
    return cr.cat([x, x * 2.0], dim)


_MOVES = (_unary,) * 5 + (_binary,) * 5 + (_reduction,) * 4 + (_view,) * 4 + (_product,) * 3 + (_called,)
