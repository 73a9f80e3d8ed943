"""Programs of whole numbers: machine code computes what NumPy computes, and between kernels nothing is called."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.codegen import jit
from chainrule.codegen.program import Program
from chainrule.codegen.steps import Call

pytestmark = pytest.mark.skipif(not jit.is_available(), reason="llvmlite knows no target here")
LEAST, MOST = np.iinfo(np.int64).min, np.iinfo(np.int64).max
EDGES = np.array([0, 1, -1, 2, -2, 7, -7, 10, LEAST, LEAST + 1, MOST, MOST - 1], np.int64)


def run(f, *arrays, **how):
    program = Program(cr.graph_of(f, *map(cr.tensor, arrays)), **how)
    assert not any(isinstance(s, Call) for s in program.plan.steps)
    return program(list(arrays))


# Ours on tensors, NumPy's on arrays.
UNARY = {
    "between": (lambda x: x.clamp(-2, 7), lambda x: np.clip(x, -2, 7)),
    "at least 1": (lambda x: x.clamp(min=1), lambda x: np.maximum(x, 1)),
    "neg": (lambda x: -x, np.negative),
    "abs": (cr.abs, np.abs),
    "sign": (cr.sign, np.sign),
    "square": (lambda x: x**2, np.square),
    "cube": (lambda x: x**3, lambda x: x * x * x),
    "as real numbers": (lambda x: x.to(cr.float64), lambda x: x.astype(float)),
    "as truth values": (lambda x: x.to(cr.bool), lambda x: x != 0),
    "truth values as numbers": (lambda x: (x > 1).to(cr.int64) * 3, lambda x: 3 * (x > 1)),
    "not": (cr.logical_not, np.logical_not),
    "relu": (cr.relu, lambda x: np.maximum(x, 0)),
    "backwards": (lambda x: cr.flip(x, [0]), lambda x: x[::-1]),
    "rows": (lambda x: x.reshape(-1, 2).T.reshape(-1), lambda x: x.reshape(-1, 2).T.ravel()),
    "every second": (lambda x: x[1::2] + x[::2], lambda x: x[1::2] + x[::2]),
}
BINARY = {
    "add": (lambda x, y: x + y, np.add),
    "sub": (lambda x, y: x - y, np.subtract),
    "mul": (lambda x, y: x * y, np.multiply),
    "floor_divide": (lambda x, y: x // y, np.floor_divide),
    "remainder": (lambda x, y: x % y, np.remainder),
    "maximum": (cr.maximum, np.maximum),
    "minimum": (cr.minimum, np.minimum),
    "less": (lambda x, y: x < y, np.less),
    "at least": (lambda x, y: x >= y, np.greater_equal),
    "equal": (lambda x, y: x == y, np.equal),
    "and": (cr.logical_and, np.logical_and),
    "where": (lambda x, y: cr.where(x > y, x, -y), lambda x, y: np.where(x > y, x, -y)),
    "quotient of real numbers": (lambda x, y: x / y, np.true_divide),
    "mixed": (lambda x, y: x * 0.5 + y, lambda x, y: x * 0.5 + y),
}


@pytest.mark.parametrize("n", [1, 7, 64, 150])
@pytest.mark.parametrize("name", UNARY)
def test_one_argument(name, n):
    ours, numpy = UNARY[name]
    x = np.resize(EDGES, 2 * n)
    with np.errstate(all="ignore"):
        expected = numpy(x)
    (found,) = run(ours, x, tile=32)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", BINARY)
def test_two_arguments(name):
    """All pairs of edges, among them divisions by -1."""
    ours, numpy = BINARY[name]
    x, y = (np.ascontiguousarray(a.ravel()) for a in np.meshgrid(EDGES, EDGES))
    if name in ("floor_divide", "remainder"):
        x, y = x[y != 0], y[y != 0]
    with np.errstate(all="ignore"):
        expected = numpy(x, y)
    (found,) = run(ours, x, y, tile=32)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


SHORT = np.array([0, 1, -1, 7, -7, -(2**31), 2**31 - 1, 65536], np.int32)
IN_32_BITS = {
    "sums": lambda x, y: (x + y, x - y, -x),
    "products": lambda x, y: (x * y, x**3),
    "quotients": lambda x, y: (x // y, x % y),
    "compared": lambda x, y: (x < y, x == y),
    "longer": lambda x, y: (x.to(cr.int64) * y.to(cr.int64), (x * 0.5)),
    "shorter": lambda x, y: (x.to(cr.int64) * 3).to(cr.int32),
    "chosen": lambda x, y: cr.where(x > y, x, cr.flip(y, [0])),
}


@pytest.mark.parametrize("name", IN_32_BITS)
def test_32_bits(name):
    """As eager tensors compute, which NumPy does."""
    x, y = (np.ascontiguousarray(a.ravel()) for a in np.meshgrid(SHORT, SHORT))
    y = np.where(y == 0, np.int32(3), y)  # eager tensors refuse to divide by 0
    x, y = (np.resize(a, 150) for a in (x, y))
    f = IN_32_BITS[name]
    expected = f(cr.tensor(x), cr.tensor(y))
    for out, e in zip(
        run(f, x, y, tile=32), expected if isinstance(expected, tuple) else (expected,), strict=True
    ):
        assert out.dtype == e.numpy().dtype
        np.testing.assert_array_equal(out, e.numpy())


REDUCED = {
    "sum": (lambda x, dim: x.sum(dim), np.sum),
    "largest": (lambda x, dim: x.amax(dim), np.max),
    "smallest": (lambda x, dim: x.amin(dim), np.min),
    "any": (lambda x, dim: cr.any(x > 5, dim), lambda x, dim: np.any(x > 5, dim)),
    "count": (lambda x, dim: (x > 5).sum(dim), lambda x, dim: np.sum(x > 5, dim)),
}


@pytest.mark.parametrize("name", REDUCED)
@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize("shape", [(3, 5), (150, 3), (3, 150), (200, 1)])
def test_reductions(name, dim, shape):
    ours, numpy = REDUCED[name]
    x = np.random.default_rng(0).integers(-20, 20, shape)
    (found,) = run(lambda x: ours(x, dim), x, tile=32)
    assert found.dtype == numpy(x, dim).dtype
    np.testing.assert_array_equal(found, numpy(x, dim))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_real_numbers_become_whole_ones_by_cutting_off(dtype):
    x = np.array([-2.9, -1.0, -0.5, 0.0, 0.5, 2.9, 1e6] * 20, dtype)
    (found,) = run(lambda x: (x * 2).to(cr.int64) + 1, x, tile=32)
    np.testing.assert_array_equal(found, np.trunc(x * 2).astype(np.int64) + 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_masks_by_places(dtype):
    """A band matrix, and its gradient, which is the band."""
    x = np.random.default_rng(0).normal(size=(90, 90)).astype(dtype)

    def band(x):
        i = cr.arange(90)
        return cr.where((i[:, None] - i).abs() % 5 < 2, x * x, 0.0).sum()

    i = np.arange(90)
    mask = np.abs(i[:, None] - i) % 5 < 2
    value, gradient = cr.compile(cr.value_and_grad(band))(x)
    np.testing.assert_allclose(
        value, (x * x)[mask].sum(dtype=float), rtol=1e-12 if dtype is np.float64 else 1e-5
    )
    np.testing.assert_array_equal(gradient, np.where(mask, 2 * x, 0))


def test_chunks_of_whole_numbers_are_added(monkeypatch):
    from chainrule.codegen import plan

    monkeypatch.setattr(plan, "_CHUNK_WORK", 100)
    x = np.random.default_rng(0).integers(-9, 9, 5000)
    total, most = run(lambda x: ((x * x).sum(), x.amax(0)), x, tile=32)
    assert total == (x * x).sum()
    assert most == x.max()


@pytest.mark.parametrize("n", [1, 7, 150])
@pytest.mark.parametrize("f", [lambda a, b: a // b, lambda a, b: (a * 2) % b, lambda a, b: (a // b).sum()])
def test_a_divisor_of_0_is_refused_as_without_compiling(f, n):
    a, good = np.arange(n), np.arange(1, n + 1)
    bad = good.copy()
    bad[n // 2] = 0
    g = cr.compile(f)
    expected = g(a, good)
    for call in (f, g):
        with pytest.raises(cr.errors.ArgumentError, match="of whole numbers by 0") as error:
            call(cr.tensor(a), cr.tensor(bad))
        assert "test_integers.py" in str(error.value)
    np.testing.assert_array_equal(g(a, good), expected)


def test_a_constant_divisor_is_not_looked_at_in_every_call():
    a = np.arange(7)
    assert not Program(cr.graph_of(lambda a: a // 3 + a % cr.tensor([1, 2, 3, 4, 5, 6, 7]), a)).may_refuse()
    assert Program(cr.graph_of(lambda a: a // cr.zeros(7, dtype=cr.int64), a)).may_refuse()
