"""NumPy's functions on tensors give tensors with gradients, or say by name that they cannot."""

import math

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import DataError, DtypeError, UnsupportedError
from chainrule.tape.cuts import cuts_of

V = np.array([0.3, -1.4, 2.2])
M = np.array([[0.5, 1.5, -0.25], [2.0, -1.0, 0.75]])
S = np.array([[2.0, 0.5], [0.25, 1.0]])

EVERYWHERE = [
    *["sin", "cos", "tan", "exp", "expm1", "exp2", "tanh", "sinh", "cosh", "arctan", "arcsinh"],
    *["square", "negative", "absolute", "sign", "floor", "ceil", "trunc", "rint"],
]
POSITIVE = ["log", "log2", "log10", "log1p", "sqrt", "reciprocal"]
# name → (function of one array, point)
FUNCTIONS = {
    **{name: (getattr(np, name), V) for name in EVERYWHERE},
    **{name: (getattr(np, name), np.abs(V)) for name in POSITIVE},
    **{name: (getattr(np, name), V / 4) for name in ["arcsin", "arccos", "arctanh"]},
    "arccosh": (np.arccosh, np.abs(V) + 1.5),
    "abs": (abs, V),
    "sum": (np.sum, M),
    "sum axis": (lambda a: np.sum(a, axis=0), M),
    "sum keepdims": (lambda a: np.sum(a, axis=(0, 1), keepdims=True), M),
    "mean": (lambda a: np.mean(a, axis=1), M),
    "prod": (np.prod, M),
    "max": (np.max, M),
    "min axis": (lambda a: np.min(a, axis=0), M),
    "amax": (lambda a: np.amax(a, axis=1), M),
    "std": (np.std, M),
    "var ddof": (lambda a: np.var(a, axis=0, ddof=1), M),
    "ptp": (np.ptp, M),
    "cumsum": (lambda a: np.cumsum(a, axis=1), M),
    "cumprod": (lambda a: np.cumprod(a, axis=0), M),
    "norm": (np.linalg.norm, V),
    "norm of a matrix": (np.linalg.norm, M),
    "norm axis": (lambda a: np.linalg.norm(a, axis=1), M),
    "norm ord 1": (lambda a: np.linalg.norm(a, 1), V),
    "norm ord inf": (lambda a: np.linalg.norm(a, np.inf), V),
    "clip": (lambda a: np.clip(a, -1.0, 1.0), V),
    "where": (lambda a: np.where(a > 0, a, a * a), V),
    "maximum": (lambda a: np.maximum(a, 0.5), V),
    "minimum of two": (lambda a: np.minimum(a, a[::-1]), V),
    "hypot": (lambda a: np.hypot(a, 2.0), V),
    "arctan2": (lambda a: np.arctan2(a, 2.0), V),
    "logaddexp": (lambda a: np.logaddexp(a, 1.0), V),
    "power": (lambda a: np.power(a, 3), V),
    "float_power": (lambda a: np.float_power(np.abs(a), 2.5), V),
    "add and subtract": (lambda a: np.subtract(np.add(a, 1.0), np.multiply(a, a)), V),
    "divide": (lambda a: np.divide(1.0, a), V),
    "remainder": (lambda a: np.remainder(a, 2.0), V),
    "concatenate": (lambda a: np.concatenate([a, np.ones(2), a * 2]), V),
    "concatenate axis": (lambda a: np.concatenate([a, a], axis=1), M),
    "stack": (lambda a: np.stack([a, a * 2], axis=1), V),
    "hstack": (lambda a: np.hstack([a, a]), M),
    "vstack": (lambda a: np.vstack([a, a]), V),
    "split": (lambda a: np.split(a, 3)[1], V),
    "split at": (lambda a: np.split(a, [1])[1], V),
    "reshape": (lambda a: np.reshape(a, (3, 2)), M),
    "ravel": (np.ravel, M),
    "transpose": (np.transpose, M),
    "swapaxes": (lambda a: np.swapaxes(a, 0, 1), M),
    "moveaxis": (lambda a: np.moveaxis(a, 0, 1), M),
    "squeeze": (lambda a: np.squeeze(a[None]), V),
    "expand_dims": (lambda a: np.expand_dims(a, 0), V),
    "broadcast_to": (lambda a: np.broadcast_to(a, (2, 3)), V),
    "flip": (lambda a: np.flip(a, 0), M),
    "roll": (lambda a: np.roll(a, 1), M),
    "roll axis": (lambda a: np.roll(a, -1, axis=1), M),
    "tile": (lambda a: np.tile(a, 2), V),
    "repeat": (lambda a: np.repeat(a, 2), V),
    "repeat axis": (lambda a: np.repeat(a, 2, axis=1), M),
    "pad": (lambda a: np.pad(a, 1), M),
    "pad one pair": (lambda a: np.pad(a, (1, 2), constant_values=3.0), M),
    "pad edge": (lambda a: np.pad(a, ((0, 1), (2, 0)), mode="edge"), M),
    "pad reflect": (lambda a: np.pad(a, 2, mode="reflect"), V),
    "pad wrap": (lambda a: np.pad(a, (3, 1), mode="wrap"), V),
    "kron": (lambda a: np.kron(a, a), M),
    "take": (lambda a: np.take(a, [[0, 4], [1, 1]]), M),
    "take axis": (lambda a: np.take(a, [2, 0], axis=1), M),
    "roll several": (lambda a: np.roll(a, 1, axis=(0, 1)), M),
    "rot90": (lambda a: np.rot90(a, -1), M),
    "fliplr": (np.fliplr, M),
    "flipud": (np.flipud, V),
    "dstack": (lambda a: np.dstack([a, a]), M),
    "column_stack": (lambda a: np.column_stack([a, a]), V),
    "meshgrid": (lambda a: np.meshgrid(a, a)[1], V),
    "broadcast_arrays": (lambda a: np.broadcast_arrays(a, np.ones((2, 1)))[0], V),
    "array_split": (lambda a: np.array_split(a, 2)[0], V),
    "hsplit": (lambda a: np.hsplit(a, 3)[1], M),
    "diag": (lambda a: np.diag(a, 1), V),
    "diagflat": (np.diagflat, M),
    "atleast_3d": (np.atleast_3d, M),
    "extract": (lambda a: np.extract(V > 0, a), V),
    "repeat each": (lambda a: np.repeat(a, [2, 0, 1]), V),
    "trace offset": (lambda a: np.trace(a, 1), M),
    "diff": (np.diff, M),
    "tril": (np.tril, S),
    "triu": (np.triu, S),
    "trace": (np.trace, S),
    "diagonal": (np.diagonal, S),
    "sort": (np.sort, M),
    "dot": (lambda a: np.dot(a, a), V),
    "dot of matrices": (lambda a: np.dot(a, a.T), M),
    "inner": (lambda a: np.inner(a, a), M),
    "outer": (lambda a: np.outer(a, a), V),
    "tensordot": (lambda a: np.tensordot(a, a, axes=([1], [1])), M),
    "matmul": (lambda a: np.matmul(a, a), S),
    "einsum": (lambda a: np.einsum("ij,kj->ik", a, a), M),
    "round": (np.round, V),
    "copy": (np.copy, V),
    "array times": (lambda a: np.ones(3) * a, V),
    "array minus": (lambda a: np.ones(3) - a, V),
    "array over": (lambda a: np.ones(3) / a, V),
    "array to the": (lambda a: np.full(3, 2.0) ** a, V),
    "array matmul": (lambda a: np.ones((2, 2)) @ a, S),
    "numpy number times": (lambda a: np.float64(2.0) * a, V),
    "add.reduce": (np.add.reduce, V),
    "multiply.outer": (lambda a: np.multiply.outer(a, a), V),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_value_is_numpys_and_a_tensor(name):
    f, point = FUNCTIONS[name]
    found = f(cr.tensor(point, requires_grad=True))
    assert isinstance(found, cr.Tensor)
    np.testing.assert_allclose(found.detach().numpy(), f(point), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_gradient_agrees_with_differences_of_numpys_function(name):
    f, point = FUNCTIONS[name]
    rng = np.random.default_rng(0)
    ct, t = rng.normal(size=np.shape(f(point))), rng.normal(size=point.shape)
    x = cr.tensor(point, requires_grad=True)
    (f(x) * ct).sum().backward()
    h = 1e-6
    numeric = ((f(point + h * t) - f(point - h * t)) * ct).sum() / (2 * h)
    np.testing.assert_allclose((x.grad.numpy() * t).sum(), numeric, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    "f", [np.argmax, np.argmin, np.argsort, np.shape, np.ndim, np.size, np.isnan, np.count_nonzero]
)
def test_functions_without_a_gradient_give_numpys_values(f):
    np.testing.assert_array_equal(np.asarray(f(cr.tensor(V, requires_grad=True))), f(V))


@pytest.mark.parametrize(
    "name, call",
    [
        ("numpy.roots", lambda t: np.roots(t)),
        ("numpy.partition", lambda t: np.partition(t, 1)),
        ("numpy.inv", lambda t: np.linalg.inv(t)),
        ("numpy.cbrt", np.cbrt),
        ("numpy.subtract.accumulate", np.subtract.accumulate),
        ("numpy.interp", lambda t: np.interp(1.0, t, t)),
        ("numpy.linalg.norm", lambda t: np.linalg.norm(cr.tensor(M, requires_grad=True), 2)),
    ],
)
def test_what_is_not_there_is_refused_by_name(name, call):
    with pytest.raises(UnsupportedError, match=name) as info:
        call(cr.tensor(V, requires_grad=True))
    assert info.value.fix


def test_an_array_does_not_swallow_a_gradient_in_place():
    a, t = np.ones(3), cr.tensor(V, requires_grad=True)
    with pytest.raises(UnsupportedError, match="gradient would be lost"):
        a += t
    assert a.tolist() == [1.0, 1.0, 1.0]
    a += t.detach()
    np.testing.assert_array_equal(a, 1 + V)


def test_asarray_gives_the_values_and_the_cut_is_remembered():
    y = cr.tensor(V, requires_grad=True) * 2
    np.testing.assert_array_equal(np.asarray(y), V * 2)
    (cut,) = cuts_of(y.grad_fn)
    assert cut.how == "numpy"
    assert "np.asarray(y)" in cut.source.text


def test_an_array_of_a_tensor_is_a_copy():
    t = cr.tensor(V)
    np.array(t)[0] = 100.0
    assert t.tolist() == V.tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_asarray_takes_a_dtype(dtype):
    assert np.asarray(cr.tensor(V), dtype=dtype).dtype == dtype


def test_provenance_names_the_users_line_and_not_ours():
    y = np.ones(3) * cr.tensor(V, requires_grad=True)
    assert y.grad_fn.source.text == "y = np.ones(3) * cr.tensor(V, requires_grad=True)"
    y = np.sin(cr.tensor(1.0, requires_grad=True))
    assert y.grad_fn.source.text == "y = np.sin(cr.tensor(1.0, requires_grad=True))"


# --- plots and tables --------------------------------------------------------------------------------


def test_matplotlib_takes_tensors():
    plt = pytest.importorskip("matplotlib.pyplot")
    fig, ax = plt.subplots()
    t = cr.linspace(-1.0, 1.0, 5, requires_grad=True)
    (line,) = ax.plot(t, t**2)
    np.testing.assert_allclose(line.get_ydata(), np.linspace(-1, 1, 5) ** 2)
    points = ax.scatter(1, cr.tensor(3.0, requires_grad=True))
    np.testing.assert_allclose(points.get_offsets(), [[1.0, 3.0]])
    ax.bar([0, 1], t[:2].detach())
    ax.hist(t.detach())
    ax.axhline(cr.tensor(0.5, requires_grad=True))
    fig.canvas.draw()
    plt.close(fig)


def test_pandas_takes_tensors():
    pd = pytest.importorskip("pandas")
    t = cr.tensor(V, requires_grad=True)
    assert pd.Series(np.asarray(t)).tolist() == V.tolist()
    frame = pd.DataFrame({"x": np.asarray(t), "y": [v.item() for v in t * 2]})
    np.testing.assert_array_equal(frame.to_numpy(), np.stack([V, 2 * V], 1))
    assert pd.DataFrame(np.asarray(cr.tensor(M))).shape == (2, 3)
    assert pd.Series([cr.tensor(1.0), cr.tensor(2.0)]).map(float).tolist() == [1.0, 2.0]


def test_random_numbers_of_numpy_seed_nothing_here():
    cr.manual_seed(0)
    a = cr.rand(3).tolist()
    np.random.default_rng(1).random()
    cr.manual_seed(0)
    assert cr.rand(3).tolist() == a


def test_math_functions_read_the_number():
    assert math.sin(cr.tensor(1.0, requires_grad=True)) == math.sin(1.0)
    assert math.fsum([cr.tensor(1.0), cr.tensor(2.0)]) == 3.0


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
@pytest.mark.parametrize("convert", [lambda m: m, cr.as_tensor, cr.from_numpy, cr.tensor])
def test_a_numpy_matrix_is_multiplied_entry_by_entry_as_any_array(convert):
    x = cr.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    y = x * convert(np.matrix([[1.0, 2.0], [3.0, 5.0]]))
    y.sum().backward()
    assert y.tolist() == [[1, 4], [9, 20]]
    assert x.grad.tolist() == [[1, 2], [3, 5]]


@pytest.mark.parametrize("use", [lambda m: cr.ones(2) * m, cr.as_tensor, cr.from_numpy, cr.tensor])
def test_an_array_with_masked_entries_is_refused(use):
    with pytest.raises(DataError, match="masked entries"):
        use(np.ma.array([1.0, 2.0], mask=[False, True]))


@pytest.mark.parametrize(
    "a",
    [np.array(["a"]), np.array([None]), np.array(["2020"], dtype="M8[Y]"), np.array([2], np.longdouble)],
    ids=lambda a: a.dtype.name,
)
def test_an_operand_that_is_no_array_of_our_numbers_is_refused_by_its_dtype(a):
    with pytest.raises(DtypeError, match="an operand is a NumPy array of dtype"):
        cr.ones(1) * a


def test_numpys_broadcast_arrays_takes_none_beside_tensors():
    """matplotlib's bar broadcasts its arguments, and those not given are None."""
    x, nothing = np.broadcast_arrays(cr.ones(3, requires_grad=True), None)
    assert x.shape == nothing.shape == (3,)
    assert nothing[0] is None


def test_a_function_that_is_not_there_is_named_with_its_module_and_the_way_out():
    from scipy import special

    x = cr.tensor([1.0], requires_grad=True)
    with pytest.raises(UnsupportedError, match=r"numpy\.linalg\.solve has no counterpart"):
        np.linalg.solve(np.eye(1), x)
    with pytest.raises(UnsupportedError, match=r"the ufunc erf has no counterpart") as info:
        special.erf(x)
    assert info.value.fix == "use chainrule.special.erf"


@pytest.mark.parametrize("dtype", ["f8", "f4", "i4", "c16"])
def test_arrays_with_their_bytes_in_the_other_order_are_copied(dtype):
    """As they come from files of other machines (FITS, netCDF)."""
    a = np.arange(1, 4).astype(np.dtype(dtype).newbyteorder("="))
    a = a.astype(a.dtype.newbyteorder("S"))
    assert not a.dtype.isnative
    for x in (cr.tensor(a), cr.as_tensor(a), cr.tensor(a, dtype=a.dtype), cr.ones(3, dtype=cr.float64) * a):
        assert x.dtype.isnative
    for compute in (lambda f: f, cr.compile, cr.vmap):
        np.testing.assert_array_equal(compute(lambda x: x * x + x)(cr.as_tensor(a)), [2, 6, 12])
        np.testing.assert_array_equal(compute(lambda x: x * x + x)(a), [2, 6, 12])
    np.testing.assert_array_equal(cr.compile(lambda x: a * x)(a), [1, 4, 9])
    with pytest.raises(cr.ChainruleError, match="another order"):
        cr.from_numpy(a)
