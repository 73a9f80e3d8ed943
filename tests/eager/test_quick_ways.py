"""Reductions and views of float64 tensors have a quick way: it is to record what the general way records."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.dispatch import bind
from chainrule.errors import ArgumentError, IndexingError, InferenceError, ShapeError
from chainrule.table.primitive import TABLE
from chainrule.tape import kernels

NAMES = ["sum", "mean", "prod", "amax", "amin", "logsumexp"]
DIMS = [None, 0, 1, -1, (0,), [0, 1]]


def by_bind(name, x, dim, keepdim):
    if name != "prod":
        axis = (
            tuple(range(x.dim())) if dim is None else tuple(sorted(d % x.dim() for d in np.atleast_1d(dim)))
        )
        return bind(TABLE[name], x, axis=axis, keepdims=keepdim)
    x = x.reshape(-1) if dim is None else x
    return bind(
        TABLE[name], x, axis=0 if dim is None else dim % x.dim(), keepdims=keepdim and dim is not None
    )


@pytest.mark.parametrize("shape", [(3, 4), (2, kernels.LEAST // 2), (kernels.LEAST // 2, 2)], ids=str)
@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", DIMS, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_value_gradient_and_record_are_those_of_the_general_way(name, dim, keepdim, shape):
    if name == "prod" and (np.ndim(dim) or (dim is None and keepdim)):
        pytest.skip("prod takes one dimension")
    x = np.random.default_rng(0).uniform(0.99999, 1.00001, shape)
    results = []
    for way in (lambda t: getattr(t, name)(dim, keepdim), lambda t: by_bind(name, t, dim, keepdim)):
        t = cr.tensor(x, requires_grad=True)
        out = way(t)
        (out * cr.tensor(np.cos(np.arange(out.numel())).reshape(out.shape))).sum().backward()
        results.append((out.detach().numpy(), t.grad.numpy(), out.n.p, out.n.params, out.requires_grad))
    for quick, general in zip(*results, strict=True):
        np.testing.assert_array_equal(quick, general)


@pytest.mark.parametrize("name", NAMES)
def test_views_changed_in_place_and_untracked_results(name):
    base = cr.tensor(np.linspace(1.0, 2.0, 12))
    rows = base.reshape(3, 4)
    base += 1.0
    expected = getattr(np, name, None) or (lambda a, axis: np.log(np.exp(a).sum(axis)))
    np.testing.assert_allclose(getattr(rows, name)(1).numpy(), expected(rows.numpy(), axis=1), rtol=1e-15)
    t = cr.tensor(np.ones((3, 4)), requires_grad=True)
    with cr.no_grad():
        assert not getattr(t, name)(1).requires_grad
    assert not getattr(t.detach(), name)(1).requires_grad


def test_the_line_is_the_users_also_where_numpy_calls():
    t = cr.tensor(np.ones((3, 4)), requires_grad=True)
    for out in (t.sum(1), np.sum(t, axis=1)):
        assert out.n.source.file == __file__


@pytest.mark.parametrize("dim", [2, -3, 1.0, "0"])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_dimension_is_refused(name, dim):
    with pytest.raises((IndexingError, ArgumentError)):
        getattr(cr.tensor(np.ones((3, 4))), name)(dim)


@pytest.mark.parametrize("shape", [(4, 3), ((2, 6),), (-1,), (2, -1, 3), ([12],), (np.int64(3), 4)], ids=str)
@pytest.mark.parametrize("tracked", [False, True])
def test_a_reshape_is_the_view_that_the_general_way_makes(tracked, shape):
    wanted = np.arange(12.0).reshape(*shape).shape
    seen = []
    for way in (lambda t: t.reshape(*shape), lambda t: bind(TABLE["reshape"], t, shape=wanted)):
        t = cr.tensor(np.arange(12.0).reshape(3, 4), requires_grad=tracked)
        base = t * 1.0
        out = way(base)
        assert np.shares_memory(out.v, base.v)
        assert out.n.source.file == __file__
        base.mul_(3.0)  # a view follows
        out.add_(1.0)
        if tracked:
            (out * cr.tensor(np.cos(np.arange(12.0)).reshape(wanted))).sum().backward()
        seen.append(
            (out.detach().numpy(), base.detach().numpy(), out.requires_grad, t.grad.numpy() if tracked else 0)
        )
    for quick, general in zip(*seen, strict=True):
        np.testing.assert_array_equal(quick, general)


@pytest.mark.parametrize("shape", [(5,), (-1, -1), (-2, 3), (2.0, 6), ("12",)], ids=str)
def test_what_is_no_shape_is_refused(shape):
    with pytest.raises((ShapeError, ArgumentError, TypeError)) as info:
        cr.tensor(np.ones((3, 4))).reshape(*shape)
    with pytest.raises(type(info.value)):
        cr.tensor(np.ones((3, 4), np.float32)).reshape(*shape)  # has no quick way


def test_a_reshape_under_other_modes_and_of_other_memory():
    t = cr.tensor(np.arange(12.0).reshape(3, 4), requires_grad=True)
    with cr.no_grad():
        assert not t.reshape(12).requires_grad
    with cr.inference_mode():
        hidden = t * 2.0
    with pytest.raises(InferenceError):
        (hidden.reshape(12) * t.reshape(12)).sum()
    np.testing.assert_array_equal(t.T.reshape(12), np.arange(12.0).reshape(3, 4).T.reshape(12))
    np.testing.assert_array_equal(t.reshape(12).reshape(2, 6), np.arange(12.0).reshape(2, 6))
