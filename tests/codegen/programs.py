"""Random programs on arrays long enough for tiles, partial vectors, chunks and products of matrices."""

import math

import numpy as np

import chainrule as cr

# Around whole vectors and tiles; programs combine two or three of them, so that shapes meet.
LENGTHS = (1, 2, 3, 7, 8, 9, 16, 20, 31, 32, 33, 63, 64, 65, 96, 100, 129, 160, 257)
MOST = 6000  # entries of a value
SPECIAL = (0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 2.0, 1e-30, -1e-40, 1e30, 3e38)


def arguments(rng, *, dtype=np.float64, empty=False, special=False):
    """Some arrays whose dimensions are drawn from the same few lengths, or with one long axis among short ones.

    `special`: some entries are zeros, infinite, NaN, whole, or at the ends of the range.
    """
    if rng.integers(2):
        shapes = _along_samples(rng)
    else:
        lengths = [int(n) for n in rng.choice(LENGTHS, size=rng.integers(2, 4), replace=False)]
        lengths += [0] * empty
        shapes = [
            [int(n) for n in rng.choice(lengths, size=rng.choice([0, 1, 1, 2, 2, 2, 3]))]
            for _ in range(rng.integers(1, 4))
        ]
    for shape in shapes:
        while np.prod(shape) > MOST:
            shape.pop()
    found = [rng.normal(size=shape).astype(dtype) for shape in shapes]
    if special:
        for a in found:
            at = rng.random(a.shape) < rng.choice([0.01, 0.3])
            a[at] = rng.choice(SPECIAL, size=int(at.sum()))
    return found


def _along_samples(rng):
    """Shapes with one long axis, which is the first, the last, or one between."""
    n, short = int(rng.integers(30, 300)), [int(k) for k in rng.integers(1, 7, size=2)]
    shapes = []
    for _ in range(rng.integers(1, 4)):
        shape = [int(k) for k in rng.choice(short, size=rng.integers(0, 3))]
        if rng.random() < 0.8:
            shape.insert(int(rng.integers(len(shape) + 1)), n)
        shapes.append(shape)
    return shapes


def program(seed, *, size=8, draws=False):
    """A function of arrays: `size` operations, the same ones in every run; everything stays of moderate size.

    `draws`: random numbers are among the operations.
    """
    moves = (*_MOVES, _drawn) if draws else _MOVES

    def f(*xs):
        rng = np.random.default_rng(seed)
        values = list(xs)
        for _ in range(size):
            x = _pick(rng, values, _is_real)
            found = moves[rng.integers(len(moves))](rng, x, values)
            if found is not None and 0 <= found.numel() <= MOST:
                values.append(found)
        made = values[len(xs) :] or values
        return tuple(v * 1.0 if _is_real(v) else v * 1 for v in made[-int(rng.integers(1, 4)) :])

    return f


def _pick(rng, values, good):
    found = [v for v in values if good(v)]
    return found[rng.integers(len(found))] if found else None


def _is_real(v):
    return v.is_floating_point()


def _is_truth(v):
    return v.dtype == np.bool_


def _is_whole(v):
    return v.dtype == np.int64


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
    y = _pick(rng, values, lambda v: _is_real(v) and _fits(v, x))
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


def _truth(rng, x, values):
    """A truth value, or a choice by one that is there."""
    c = _pick(rng, values, lambda v: _is_truth(v) and _fits(v, x))
    y = _pick(rng, values, lambda v: _is_real(v) and _fits(v, x) and (c is None or _fits(v, c)))
    if c is None or y is None or not rng.integers(3):
        return (x > 0.2, x <= x.mean(), x == cr.floor(x), cr.isfinite(x))[rng.integers(4)]
    k = rng.integers(6)
    if k < 3:
        return cr.where(c, x, 0.5 * y) if k else cr.where(c, cr.sqrt(cr.abs(x) + 0.5), 0.0)
    if k == 3:
        return (~c, c & (x > y), c | (x < 0.0), c ^ (x < 0.3))[rng.integers(4)]
    return c * x if k == 4 else c.sum() * 0.01 + x


def _whole(rng, x, values):
    """Whole numbers, made of real ones or computed with; a comparison or a real number of them."""
    i = _pick(rng, values, _is_whole)
    if i is None or not rng.integers(3):
        k = rng.integers(4 if x.ndim and 0 not in x.shape else 1)
        if k == 1:
            return cr.argsort(x, int(rng.integers(x.ndim)))
        if k == 2:
            return x.argmax(int(rng.integers(x.ndim)))
        return cr.arange(x.shape[-1]) if k == 3 else cr.floor(3.0 * x).to(cr.int64)
    j = _pick(rng, values, lambda v: _is_whole(v) and _fits(v, i))
    c = _pick(rng, values, lambda v: _is_truth(v) and _fits(v, i) and _fits(v, j))
    k = rng.integers(10)
    if k < 4:
        return (i + j, i - j, i * (j % 5), -i)[k]
    if k == 4:
        return i // (j.abs() + 1) if rng.integers(2) else i % -(j.abs() + 2)
    if k == 5:
        return (i // 3, i % -3, i.abs(), i**2 % 7)[rng.integers(4)]
    if k == 6:
        return cr.maximum(i, j) if c is None else cr.where(c, i, j)
    if k == 7:
        return (i > j, i == j, i % 2 == 0, i != 1)[rng.integers(4)]
    if k == 8 and i.ndim and 0 not in i.shape:
        dim = int(rng.integers(i.ndim))
        return (i.sum(dim), i.amax(dim), i.amin(dim), (i > 0).any(dim))[rng.integers(4)]
    return cr.tanh(i * 0.1) if rng.integers(2) else i.to(x.dtype) * 0.1


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
        if not rng.integers(3):
            return x[(*before, slice(None, None, -int(rng.integers(1, 4))))]
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
    y = _pick(rng, values, lambda v: _is_real(v) and v.ndim and set(v.shape) & set(x.shape))
    n = next((n for n in x.shape if n in y.shape), None) if y is not None else None
    if n is None:
        return None
    a = cr.movedim(x, x.shape.index(n), -1)
    b = cr.movedim(y, y.shape.index(n), 0)
    a, b = a.reshape(math.prod(a.shape[:-1]), n), b.reshape(n, math.prod(b.shape[1:]))
    if a.shape[0] * b.shape[1] > MOST:
        return None
    return cr.tanh(a @ b * 0.2) if rng.integers(2) else (a @ b) * 0.1


def _contraction(rng, x, values):
    """A product of any layout: letters that meet are kept (a batch) or summed; what only one side has, too."""
    y = _pick(rng, values, lambda v: _is_real(v) and v.ndim <= 3)
    if y is None or x.ndim > 3 or 0 in (*x.shape, *y.shape):
        return None
    letters = dict(zip("abc", x.shape, strict=False))
    right = ""
    for c, n in zip("xyz", y.shape, strict=False):
        same = [d for d in "abc" if letters.get(d) == n and d not in right]
        right += same[0] if same and rng.integers(4) else c
        letters[right[-1]] = n
    kept = [str(c) for c in rng.permutation(list(letters)) if rng.integers(3)]
    if math.prod(letters.values()) > 40 * MOST or math.prod(letters[c] for c in kept) > MOST:
        return None
    return cr.tanh(cr.einsum(f"{'abc'[: x.ndim]},{right}->{''.join(kept)}", x, y) * 0.1)


def _written(rng, x, values):
    """A copy that is changed in place, as a whole or in parts."""
    if x.ndim == 0 or 0 in x.shape:
        return None
    z, k = x * 1.0, rng.integers(6)
    at = int(rng.integers(x.shape[0]))
    if k == 0:
        z[at] = 0.5
    elif k == 1:
        z[at:] = cr.tanh(x[at:])
    elif k == 2:
        z[::2] *= 2.0
    elif k == 3:
        z += cr.sin(x)
        z.mul_(0.5)
    elif k == 4:
        z[..., np.array([0, -1])] = x[..., 0:1] * 0.3
    else:
        z[at] += x.sum(0) * 0.1
    return z


def _scattered(rng, x, values):
    """Entries at places of arrays of whole numbers: read, put and added up."""
    if x.ndim == 0 or 0 in x.shape:
        return None
    k, dim = rng.integers(6), int(rng.integers(x.ndim))
    n = x.shape[dim]
    places = rng.integers(0, n, size=int(rng.integers(1, 2 * n + 1)))
    if k == 0:
        return cr.index_select(x, dim, cr.tensor(places))
    if k == 1:
        y = cr.index_select(cr.sin(x), dim, cr.tensor(places))
        return cr.tanh(cr.index_add(x, dim, cr.tensor(places), y) * 0.2)
    everywhere = cr.tensor(rng.integers(0, n, size=x.shape))
    if k == 2:
        return cr.gather(x, dim, everywhere)
    if k == 3:
        return cr.tanh(cr.scatter_add(x * 0.5, dim, everywhere, cr.sin(x)) * 0.2)
    if k == 4:
        return x[(slice(None),) * dim + (x.argmax(dim).reshape(-1)[:5],)]
    return cr.roll(x, int(rng.integers(-n, n + 1)), dim)


def _drawn(rng, x, values):
    return (
        x * cr.rand(*x.shape, dtype=x.dtype)
        if rng.integers(2)
        else x + 0.1 * cr.randn(*x.shape, dtype=x.dtype)
    )


def _powers(rng, x, values):
    """Powers with consecutive exponents, or such that look alike; a softmax or distances to the nearest."""
    k = rng.integers(4)
    if k < 2:
        m = int(rng.integers(2, 9))
        first = float(rng.choice([0.0, 1.0, 2.0, -1.0, 0.5]))
        t = cr.tensor(np.arange(m) * 1.0 + first).to(x.dtype)
        if k and x.ndim:
            t = t.reshape(m, *[1] * x.ndim)
            return cr.tanh(x**t) if x.numel() * m <= MOST else None
        return cr.tanh(x[..., None] ** t)
    if x.ndim == 0 or x.shape[-1] > 20 or 0 in x.shape or x.numel() > 400:
        return None
    centres = cr.tensor(np.linspace(-1, 1, 18 * x.shape[-1]).reshape(18, x.shape[-1])).to(x.dtype)
    d = ((x[..., None, :] - centres) ** 2).sum(-1)
    return d.amin(-1) if k == 2 else cr.softmax(-d, -1)


def _called(rng, x, values):
    """What runs in NumPy between kernels."""
    if x.ndim == 0 or 0 in x.shape:
        return None
    k, dim = rng.choice([0, 1, 2, 5, 6, 7, 8]), int(rng.integers(x.ndim))
    if k == 5:
        return cr.tanh(cr.prod(cr.sin(x) + 1.5, dim) * 0.1)
    if k == 6:
        return cr.norm(x, 2, dim, keepdim=bool(rng.integers(2)))
    if k == 7:
        return cr.median(x, dim).values if rng.integers(2) else cr.log_softmax(x, dim)
    if k == 8:
        return cr.cummax(x, dim).values
    if k == 0:
        return cr.sort(x, dim).values
    if k == 1:
        return cr.argmax(x, dim) * 0.01
    return cr.tanh(cr.cumsum(x, dim) * 0.1)


def _moved(rng, x, values):
    """Parts put side by side, moved along, or written into."""
    if x.ndim == 0:
        return None
    k, dim = rng.integers(6), int(rng.integers(x.ndim))
    n, before = x.shape[dim], (slice(None),) * dim
    if k == 0:
        return cr.cat([x, x[(*before, slice(1, None, 2))] * 2.0], dim)
    if k == 1:
        return cr.roll(x, int(rng.integers(-2, 3)), dim) - x if n else None
    if k == 2:
        return cr.nn.functional.pad(x, [int(w) for w in rng.integers(0, 3, size=2 * x.ndim)])
    if k == 3 and x.ndim > 1:
        return cr.diagonal(x, int(rng.integers(-2, 3)))
    if k == 4:
        return x.unfold(dim, 2, int(rng.integers(1, 3))).sum(-1) if n > 1 else None
    y = x * 0.5
    start, step = int(rng.integers(0, 3)), int(rng.integers(1, 3))
    part = (*before, slice(start, None, step))
    y[part] = cr.sin(x[part]) if rng.integers(2) else 0.25
    return y


def _picked(rng, x, values):
    """Entries that arrays of places name: known beforehand, or computed."""
    if x.ndim == 0 or 0 in x.shape:
        return None
    k, dim = rng.integers(4), int(rng.integers(x.ndim))
    n, before = x.shape[dim], (slice(None),) * dim
    if k == 3:
        y, places = x * 0.5, (*before, (cr.arange(9) * 5 + 1) % n)
        y[places] = cr.sin(x[places])
        return y
    if k == 0:
        return x[(*before, rng.integers(-n, n, size=rng.choice([2, 7, 70])))]
    if k == 1:
        return cr.take_along_dim(x, cr.argmax(x, dim, keepdim=True), dim)
    return x[(*before, (cr.arange(40) * 7 + 3) % n)]


_MOVES = (
    *(_unary,) * 5, *(_binary,) * 5, *(_reduction,) * 4, *(_view,) * 4, *(_product,) * 3, *(_truth,) * 2,
    *(_whole,) * 2, _contraction, _written, _scattered, _powers, _called, *(_moved,) * 3, _picked,
)  # fmt: skip
