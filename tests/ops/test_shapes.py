"""Operations that move entries, against NumPy on a map of places.

Each row has our function and NumPy's. Run on the numbers 1, 2, 3 …, NumPy's tells where each entry of the result
comes from (0: from nowhere): that gives value, tangent, gradient and second derivative without a second formula.
"""

import itertools

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ArgumentError, ChainruleError, DataError, IndexingError, ShapeError
from chainrule.nn import functional as F

V, M, C = (5,), (3, 4), (2, 3, 4)


def _pad(width, mode="constant"):
    return lambda a: np.pad(a, width, mode=mode)


def _windows(axis, size, step):
    def f(a):
        out = np.lib.stride_tricks.sliding_window_view(a, size, axis)
        return out[(*(slice(None),) * axis, slice(None, None, step))]

    return f


def _diag_embed(offset, dim1, dim2):
    def f(a):
        n = a.shape[-1] + abs(offset)
        out = np.zeros((*a.shape[:-1], n, n))
        rows = np.arange(a.shape[-1]) + max(-offset, 0)
        out[..., rows, rows + offset] = a
        return np.moveaxis(out, (-2, -1), (dim1, dim2))

    return f


# name → ours, NumPy's, shapes to try
ROWS = {
    "reshape": (lambda x: x.reshape(2, -1), lambda a: a.reshape(2, -1), [M, C, (2, 0)]),
    "reshape by keyword": (lambda x: cr.reshape(x, shape=(-1,)), lambda a: a.reshape(-1), [M, ()]),
    "reshape_as": (lambda x: x.reshape_as(cr.zeros(4, 3)), lambda a: a.reshape(4, 3), [M]),
    "view": (lambda x: x.view(-1), np.ravel, [V, M, (), (2, 0)]),
    "view_as": (lambda x: x.view_as(cr.zeros(12)), np.ravel, [M]),
    "flatten": (lambda x: x.flatten(1), lambda a: a.reshape(a.shape[0], -1), [M, C]),
    "ravel": (cr.ravel, np.ravel, [M, ()]),
    "unflatten": (lambda x: x.unflatten(-1, (2, -1)), lambda a: a.reshape(*a.shape[:-1], 2, 2), [M, C]),
    "squeeze": (cr.squeeze, np.squeeze, [(1, 3, 1), (), (2, 0, 1)]),
    "squeeze dims": (lambda x: x.squeeze((0, -1)), lambda a: a.squeeze(0) if a.shape[-1] > 1 else a[0, ..., 0],
                     [(1, 3, 1), (1, 2, 3)]),
    "unsqueeze": (lambda x: x.unsqueeze(-1), lambda a: a[..., None], [M, ()]),
    "permute": (lambda x: x.permute(2, 0, -2), lambda a: a.transpose(2, 0, 1), [C, (2, 0, 3)]),
    "permute by keyword": (lambda x: cr.permute(x, dims=(1, 0)), np.transpose, [M]),
    "transpose": (lambda x: x.transpose(-1, 0), lambda a: a.swapaxes(-1, 0), [M, C]),
    "swapaxes": (lambda x: cr.swapaxes(x, axis0=0, axis1=1), lambda a: a.swapaxes(0, 1), [M, C]),
    "t": (cr.t, np.transpose, [M, V, ()]),
    "T": (lambda x: x.T, np.transpose, [M, C, V]),
    "mT": (lambda x: x.mT, lambda a: a.swapaxes(-1, -2), [M, C]),
    "H": (lambda x: x.H, np.transpose, [M]),
    "mH": (lambda x: x.mH, lambda a: a.swapaxes(-1, -2), [C]),
    "movedim": (lambda x: cr.movedim(x, (0, -1), (1, 0)), lambda a: np.moveaxis(a, (0, -1), (1, 0)), [C]),
    "broadcast_to": (lambda x: cr.broadcast_to(x, (2, 3, 4)), lambda a: np.broadcast_to(a, C), [(3, 1), (), (1, 1, 4)]),
    "expand": (lambda x: x.expand(2, -1, 4), lambda a: np.broadcast_to(a, C), [(3, 1), (2, 3, 1)]),
    "expand_as": (lambda x: x.expand_as(cr.zeros(2, 3)), lambda a: np.broadcast_to(a, (2, 3)), [(), (3,), (2, 1)]),
    "flip": (lambda x: cr.flip(x, dims=(0, -1)), lambda a: np.flip(a, (0, -1)), [M, C, (2, 0)]),
    "fliplr": (cr.fliplr, np.fliplr, [M]),
    "flipud": (cr.flipud, np.flipud, [M, V]),
    "roll": (lambda x: x.roll(2), lambda a: np.roll(a, 2), [V, M, (), (0,)]),
    "roll dims": (lambda x: cr.roll(x, (-1, 5), (0, -1)), lambda a: np.roll(a, (-1, 5), (0, -1)), [M, C]),
    **{f"rot90 {k}": (lambda x, k=k: cr.rot90(x, k, (0, -1)), lambda a, k=k: np.rot90(a, k, (0, -1)), [M, C])
       for k in (-1, 0, 1, 2, 3)},
    "tile": (lambda x: x.tile(2, 1, 3), lambda a: np.tile(a, (2, 1, 3)), [V, M, ()]),
    "tile less": (lambda x: x.tile(2), lambda a: np.tile(a, 2), [M, V]),
    "repeat": (lambda x: x.repeat(2, 3), lambda a: np.tile(a, (2, 3)), [M, V]),
    "repeat_interleave": (lambda x: x.repeat_interleave(2), lambda a: np.repeat(a, 2), [V, M, ()]),
    "repeat_interleave each": (lambda x: cr.repeat_interleave(x, cr.tensor([2, 0, 1]), 0),
                               lambda a: np.repeat(a, [2, 0, 1], 0), [M]),
    "narrow": (lambda x: x.narrow(1, -3, 2), lambda a: a[:, 1:3], [M]),
    "select": (lambda x: x.select(-1, -2), lambda a: a[..., -2], [M, C]),
    "split": (lambda x: x.split(3, -1)[1], lambda a: a[..., 3:], [M, C]),
    "split sizes": (lambda x: cr.split(x, [1, 0, 3], 1)[2], lambda a: a[:, 1:], [M]),
    "chunk": (lambda x: x.chunk(3, 0)[1], lambda a: a[2:4], [V]),
    "tensor_split": (lambda x: x.tensor_split(2)[0], lambda a: np.array_split(a, 2)[0], [V, M]),
    "tensor_split places": (lambda x: x.tensor_split((1, -1))[1], lambda a: a[1:-1], [V, M]),
    "hsplit": (lambda x: cr.hsplit(x, 2)[1], lambda a: np.hsplit(a, 2)[1], [M, C[1:]]),
    "vsplit": (lambda x: cr.vsplit(x, [1])[1], lambda a: np.vsplit(a, [1])[1], [M, C]),
    "dsplit": (lambda x: cr.dsplit(x, 2)[0], lambda a: np.dsplit(a, 2)[0], [C]),
    "unbind": (lambda x: x.unbind(1)[2], lambda a: a[:, 2], [M, C]),
    "unfold": (lambda x: x.unfold(0, 3, 1), _windows(0, 3, 1), [V, M]),
    "unfold apart": (lambda x: x.unfold(-1, 2, 2), lambda a: _windows(a.ndim - 1, 2, 2)(a), [V, M, C]),
    "unfold with gaps": (lambda x: x.unfold(0, 1, 3), _windows(0, 1, 3), [V, M]),
    "diagonal": (cr.diagonal, np.diagonal, [M, C]),
    "diagonal offset": (lambda x: x.diagonal(-1, 2, 1), lambda a: np.diagonal(a, -1, 2, 1), [C]),
    "diagonal outside": (lambda x: x.diagonal(9), lambda a: np.diagonal(a, 9), [M]),
    "diag of a matrix": (lambda x: cr.diag(x, 1), lambda a: np.diag(a, 1), [M]),
    "diag of a vector": (lambda x: cr.diag(x, -2), lambda a: np.diag(a, -2), [V]),
    "diagflat": (lambda x: cr.diagflat(x, 1), lambda a: np.diagflat(a, 1), [M]),
    "diag_embed": (cr.diag_embed, _diag_embed(0, -2, -1), [V, M]),
    "diag_embed offset": (lambda x: cr.diag_embed(x, 1, 0, 2), _diag_embed(1, 0, 2), [M]),
    "tril": (lambda x: x.tril(-1), lambda a: np.tril(a, -1), [M, C]),
    "triu": (lambda x: cr.triu(x, 1), lambda a: np.triu(a, 1), [M, C]),
    "atleast_1d": (cr.atleast_1d, np.atleast_1d, [(), M]),
    "atleast_2d": (cr.atleast_2d, np.atleast_2d, [(), V, C]),
    "atleast_3d": (cr.atleast_3d, np.atleast_3d, [(), V, M]),
    "cat": (lambda x: cr.cat([x, x * 1, x[:1]], 0), lambda a: np.concatenate([a, a, a[:1]]), [V, M]),
    "stack": (lambda x: cr.stack([x, x], -1), lambda a: np.stack([a, a], -1), [M, ()]),
    "hstack": (lambda x: cr.hstack([x, x]), lambda a: np.hstack([a, a]), [(), V, M]),
    "vstack": (lambda x: cr.vstack([x, x]), lambda a: np.vstack([a, a]), [V, M]),
    "dstack": (lambda x: cr.dstack([x, x]), lambda a: np.dstack([a, a]), [V, M, C]),
    "column_stack": (lambda x: cr.column_stack([x, x]), lambda a: np.column_stack([a, a]), [V, M]),
    "block_diag": (lambda x: cr.block_diag(x, x[:1]),
                   lambda a: np.block([[a, np.zeros((len(a), 4))], [np.zeros((1, 4)), a[:1]]]), [M]),
    "meshgrid": (lambda x: cr.meshgrid(x, cr.zeros(3))[0],
                 lambda a: np.meshgrid(a, np.zeros(3), indexing="ij")[0], [V]),
    "meshgrid xy": (lambda x: cr.meshgrid(cr.zeros(2), x, cr.zeros(3), indexing="xy")[1],
                    lambda a: np.meshgrid(np.zeros(2), a, np.zeros(3))[1], [V]),
    "cartesian_prod": (lambda x: cr.cartesian_prod(x, x[:2]),
                       lambda a: np.array(list(itertools.product(a, a[:2]))), [V]),
    "combinations": (lambda x: cr.combinations(x, 3), lambda a: np.array(list(itertools.combinations(a, 3))), [V]),
    "combinations with replacement": (lambda x: cr.combinations(x, with_replacement=True),
                                      lambda a: np.array(list(itertools.combinations_with_replacement(a, 2))), [V]),
    "pad": (lambda x: F.pad(x, (1, 2)), lambda a: np.pad(a, [(0, 0)] * (a.ndim - 1) + [(1, 2)]), [V, M, (2, 0)]),
    "pad two": (lambda x: F.pad(x, (1, 0, 0, 2)), _pad([(0, 2), (1, 0)]), [M]),
    "pad cut": (lambda x: F.pad(x, (-1, 2, 0, -2)), lambda a: np.pad(a[:-2, 1:], [(0, 0), (0, 2)]), [M]),
    "pad reflect": (lambda x: F.pad(x, (4, 3), "reflect"), _pad([(4, 3)], "reflect"), [V]),
    "pad reflect two": (lambda x: F.pad(x, (1, 3, 2, 0), "reflect"), _pad([(2, 0), (1, 3)], "reflect"), [M]),
    "pad replicate": (lambda x: F.pad(x, (9, 1, 1, 0), "replicate"), _pad([(1, 0), (9, 1)], "edge"), [M]),
    "pad circular": (lambda x: F.pad(x, (4, 2), "circular"), _pad([(0, 0), (4, 2)], "wrap"), [M]),
    "clone": (lambda x: x.clone(), np.copy, [M, ()]),
}  # fmt: skip
CASES = [
    pytest.param(ours, theirs, s, id=f"{n}-{s}") for n, (ours, theirs, shapes) in ROWS.items() for s in shapes
]


def numbers(shape):
    return np.random.default_rng(0).normal(size=shape)


def gathered(places, a):
    """The entries of `a` at places counted from 1; 0 where there is none."""
    return np.concatenate([[0.0], a.ravel()])[places]


def scattered(places, w, shape):
    out = np.zeros(int(np.prod(shape)) + 1)
    np.add.at(out, places, w)
    return out[1:].reshape(shape)


def map_of(theirs, shape):
    count = int(np.prod(shape))
    return np.asarray(theirs(np.arange(1.0, count + 1).reshape(shape))).astype(int)


@pytest.mark.parametrize("ours, theirs, shape", CASES)
def test_the_value_is_numpys(ours, theirs, shape):
    a = numbers(shape)
    found = ours(cr.tensor(a))
    np.testing.assert_array_equal(found.numpy(), np.asarray(theirs(a)))
    assert found.shape == np.shape(theirs(a))


@pytest.mark.parametrize("ours, theirs, shape", CASES)
def test_the_gradient_returns_to_the_entry_it_came_from(ours, theirs, shape):
    places = map_of(theirs, shape)
    w = 1.0 + np.arange(float(places.size)).reshape(places.shape)
    x = cr.tensor(numbers(shape), requires_grad=True)
    (ours(x) * w).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), scattered(places, w, shape), rtol=1e-15)


@pytest.mark.parametrize("ours, theirs, shape", CASES)
def test_the_tangent_moves_as_the_value(ours, theirs, shape):
    a, t = numbers(shape), numbers(shape) + 1
    _, pushed = cr.jvp(ours, (a,), (t,))
    np.testing.assert_array_equal(pushed.numpy(), gathered(map_of(theirs, shape), t))


@pytest.mark.parametrize("ours, theirs, shape", CASES)
def test_the_second_derivative_passes_through(ours, theirs, shape):
    """f = Σ w·y³: the derivative of the gradient along ones is 6·w·y, returned to its entries."""
    a, places = numbers(shape), map_of(theirs, shape)
    w = 1.0 + np.arange(float(places.size)).reshape(places.shape)
    _, found = cr.jvp(cr.grad(lambda x: (ours(x) ** 3 * w).sum()), (a,), (np.ones(shape),))
    expected = scattered(places, 6 * w * gathered(places, a), shape)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-13)


def test_a_wrong_map_is_seen():
    with pytest.raises(AssertionError):
        test_the_gradient_returns_to_the_entry_it_came_from(cr.flipud, np.fliplr, M)


VIEWS = (
    """
    reshape|view|squeeze|unsqueeze|permute|transpose|swapaxes|t|T|mT|movedim|narrow|select|split|split sizes|chunk
    |tensor_split|hsplit|vsplit|dsplit|unbind|diagonal|diagonal offset|unfold apart|unfold with gaps|H|mH
""".replace("\n", "")
    .replace("    ", "")
    .split("|")
)
VIEW_CASES = [p for p in CASES if p.id.partition("-")[0] in VIEWS and p.values[2] not in ((), (2, 0))]


def test_every_view_has_a_case():
    assert {p.id.partition("-")[0] for p in VIEW_CASES} == set(VIEWS)


@pytest.mark.parametrize("ours, theirs, shape", VIEW_CASES)
def test_a_write_to_a_view_reaches_the_base_and_the_gradient_knows(ours, theirs, shape):
    a, places = numbers(shape), map_of(theirs, shape)
    w = 2.0 + np.arange(float(places.size)).reshape(places.shape)
    factor = np.ones(int(np.prod(shape)) + 1)
    factor[places] = w
    factor = factor[1:].reshape(shape)
    x = cr.tensor(a, requires_grad=True)
    y = x * 1.0
    v = ours(y)
    v *= w
    np.testing.assert_allclose(y.detach().numpy(), a * factor, rtol=1e-15)
    c = numbers(shape) + 3
    (y * c).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), c * factor, rtol=1e-14)


@pytest.mark.parametrize("ours, theirs, shape", [p for p in CASES if p.id.partition("-")[0] not in VIEWS])
def test_what_is_no_view_does_not_change_its_operand(ours, theirs, shape):
    x = cr.tensor(numbers(shape))
    y = ours(x)
    if not np.shares_memory(y.numpy(), x.numpy()):
        y += 1
        np.testing.assert_array_equal(x.numpy(), numbers(shape))


@pytest.mark.parametrize(
    "make",
    [lambda x: x.expand(3, 5), lambda x: x.unfold(0, 3, 1), lambda x: cr.broadcast_to(x, (2, 5)),
     lambda x: cr.meshgrid(x, cr.zeros(2))[0]],
)  # fmt: skip
def test_memory_that_several_entries_share_is_not_written_to(make):
    x = cr.arange(5.0)
    with pytest.raises(ArgumentError, match="several entries share"):
        make(x).mul_(2)
    assert x.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("name", ["flip", "tile", "roll", "rot90", "diag", "repeat", "fliplr"])
def test_copies_share_no_memory(name):
    x = cr.tensor(numbers(M))
    arguments = {"flip": (0,), "tile": (1, 1), "roll": (0, 0), "rot90": (4,), "repeat": (1, 1)}.get(name, ())
    out = getattr(x, name)(*arguments)
    assert not np.shares_memory(out.numpy(), x.numpy())


def test_view_shares_memory_or_refuses():
    x = cr.zeros(3, 4)
    x.view(2, 6)[1, 0] = 5.0
    assert x[1, 2].item() == 5.0
    with pytest.raises(ShapeError, match="in that order in memory") as info:
        x.T.view(-1)
    assert "reshape" in info.value.fix
    assert x.T.reshape(-1).shape == x.T.contiguous().view(-1).shape == (12,)
    assert (x * 1.0).T.contiguous().is_contiguous()
    assert x.contiguous() is x
    assert cr.zeros(2, 0).T.view(-1).shape == (0,)


# --- what has no map ---------------------------------------------------------------------------------


def test_kron_is_numpys_with_the_gradient_of_a_product():
    a, b = numbers(M), numbers((2, 1, 3))
    x, y = cr.tensor(a, requires_grad=True), cr.tensor(b, requires_grad=True)
    out = cr.kron(x, y)
    np.testing.assert_allclose(out.detach().numpy(), np.kron(a, b), rtol=1e-15)
    w = numbers(out.shape)
    (out * w).sum().backward()
    blocks = w.reshape(2, 3, 1, 4, 3)  # [i, m, ., n, j]: of b, of a, of b
    np.testing.assert_allclose(x.grad.numpy(), np.einsum("imjnk,ijk->mn", blocks, b), rtol=1e-13)
    np.testing.assert_allclose(y.grad.numpy(), np.einsum("imjnk,mn->ijk", blocks, a), rtol=1e-13)


def test_trace_is_the_sum_of_the_diagonal():
    x = cr.tensor(numbers(M), requires_grad=True)
    out = cr.trace(x)
    np.testing.assert_allclose(out.item(), np.trace(numbers(M)), rtol=1e-15)
    out.backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.eye(3, 4))


def test_pad_with_a_number_keeps_the_gradient_of_the_inside():
    x = cr.tensor([1.0, 2.0], requires_grad=True)
    out = F.pad(x, (1, 2), value=7.0)
    assert out.tolist() == [7.0, 1.0, 2.0, 7.0, 7.0]
    (out * cr.arange(5.0)).sum().backward()
    assert x.grad.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("offset", [-2, 0, 3])
def test_indices_of_triangles_are_numpys(offset):
    np.testing.assert_array_equal(cr.tril_indices(3, 4, offset).numpy(), np.tril_indices(3, offset, 4))
    np.testing.assert_array_equal(cr.triu_indices(3, 4, offset).numpy(), np.triu_indices(3, offset, 4))


def test_several_tensors_at_once():
    a, b = cr.atleast_2d(cr.tensor(1.0), cr.zeros(3))
    assert (a.shape, b.shape) == ((1, 1), (1, 3))
    assert [x.shape for x in cr.atleast_1d([cr.tensor(1.0), cr.zeros(2)])] == [(1,), (2,)]
    assert [x.shape for x in cr.broadcast_tensors(cr.zeros(3, 1), cr.zeros(4))] == [(3, 4), (3, 4)]
    assert cr.broadcast_shapes((3, 1), (4,), 1) == (3, 4)
    assert cr.block_diag().shape == (1, 0)
    assert cr.repeat_interleave(cr.tensor([2, 0, 1])).tolist() == [0, 0, 2]


@pytest.mark.parametrize("count, n", [(3, 7), (4, 2), (2, 0)])
def test_tensor_split_makes_the_parts_numpy_makes(count, n):
    parts = cr.tensor_split(cr.arange(n), count)
    assert [p.tolist() for p in parts] == [p.tolist() for p in np.array_split(np.arange(n), count)]


A = cr.zeros(3, 4)


@pytest.mark.parametrize(
    "call, error, said",
    [
        (lambda: A.permute(0, 0), ShapeError, "each dimension once"),
        (lambda: A.permute(0, 2), IndexingError, "-2..1"),
        (lambda: A.unsqueeze(5), IndexingError, "-3..2"),
        (lambda: A.reshape(5, -1), ShapeError, "12 entries"),
        (lambda: A.narrow(0, 2, 2), ShapeError, "length 3"),
        (lambda: A.select(1, 4), IndexingError, "dimension 1 of length 4"),
        (lambda: A.split([1, 1]), ShapeError, "add up to 3"),
        (lambda: A.split(0), ArgumentError, "length 0"),
        (lambda: cr.hsplit(A, 3), ShapeError, "3 equal parts"),
        (lambda: cr.vsplit(cr.zeros(3), 3), ShapeError, "at least 2 dimensions"),
        (lambda: cr.tensor(1.0).chunk(2), ShapeError, "at least 1 dimension"),
        (lambda: A.unfold(0, 4, 1), ArgumentError, "at most 3"),
        (lambda: A.unfold(0, 2, 0), ArgumentError, "step of at least 1"),
        (lambda: A.diagonal(0, 1, 1), ArgumentError, "differ"),
        (lambda: cr.diag(cr.zeros(1, 2, 3)), ShapeError, "diag_embed"),
        (lambda: cr.trace(cr.zeros(3)), ShapeError, "matrix"),
        (lambda: cr.tril(cr.zeros(3)), ShapeError, "two dimensions"),
        (lambda: A.flip(0, 0), ArgumentError, "twice"),
        (lambda: A.roll((1, 2), 0), ArgumentError, "one shift for each"),
        (lambda: A.roll((1, 2)), ArgumentError, "one dimension per shift"),
        (lambda: cr.rot90(A, 1, (0, 0)), ArgumentError, "two that differ"),
        (lambda: A.repeat(2), ShapeError, "use tile"),
        (lambda: A.tile(-1, 2), ArgumentError, "negative"),
        (lambda: A.repeat_interleave(cr.tensor([1, 2]), 0), ShapeError, "3 entries"),
        (lambda: A.repeat_interleave(0.5), ArgumentError, "whole numbers"),
        (lambda: A.expand(4), ShapeError, "cannot drop"),
        (lambda: A.expand(2, 4), ShapeError, "repeat"),
        (lambda: cr.broadcast_tensors(A, cr.zeros(3)), ShapeError, "last dimension"),
        (lambda: cr.cat([A, cr.zeros(2, 3)]), ShapeError, "dimension 0"),
        (lambda: cr.cat(A), DataError, r"cat\(\[a, b\]\)"),
        (lambda: cr.stack([A, cr.zeros(3)]), ShapeError, "one shape"),
        (lambda: cr.meshgrid(A), ShapeError, "ravel"),
        (lambda: cr.meshgrid(cr.zeros(2), indexing="yx"), ArgumentError, "ij"),
        (lambda: cr.combinations(A), ShapeError, "ravel"),
        (lambda: cr.block_diag(cr.zeros(1, 2, 3)), ShapeError, "two dimensions"),
        (lambda: F.pad(A, (1,)), ArgumentError, "pair"),
        (lambda: F.pad(A, (1, 1), mode="mirror"), ArgumentError, "'reflect'"),
        (lambda: F.pad(A, (4, 0), mode="reflect"), ShapeError, "at most 3"),
        (lambda: F.pad(A, (5, 0), mode="circular"), ShapeError, "at most 4"),
        (lambda: F.pad(A, (-3, -2)), ShapeError, "cut off"),
        (lambda: cr.movedim(A, 0, (0, 1)), ArgumentError, "as many places"),
        (lambda: A.flatten(1, 0), ArgumentError, "exchange"),
        (lambda: cr.zeros(2, 2, 2).t(), ShapeError, "mT"),
        (lambda: cr.zeros(2, 2, 2).H, ShapeError, "mH"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_an_error_with_a_way_out(call, error, said):
    with pytest.raises(error, match=said) as info:
        call()
    assert isinstance(info.value, ChainruleError)
    assert info.value.fix
