"""Keys of every kind at random: reading and assigning, against NumPy on a map of places.

The key applied to the numbers 0, 1, 2 … says which entries it names, in which order; values and gradients follow.
"""

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

import chainrule as cr

SHAPES = st.lists(st.integers(0, 3), max_size=3).map(tuple)


@st.composite
def keys(draw, shape):
    """One item per dimension, or fewer, with None and Ellipsis in between; arrays broadcast together."""
    together = draw(st.sampled_from([(), (1,), (2,), (2, 1), (1, 3), (0,)]))
    used = draw(st.integers(0, len(shape)))
    items = []
    for n in shape[:used]:
        kinds = ["slice", "mask", "whole"] + (["int", "array", "array"] if n else [])
        kind = draw(st.sampled_from(kinds))
        if kind == "int":
            items.append(draw(st.integers(-n, n - 1)))
        elif kind == "array":
            own = draw(st.sampled_from([together, (1,) * len(together)]))
            at = draw(
                st.lists(st.integers(-n, n - 1), min_size=int(np.prod(own)), max_size=int(np.prod(own)))
            )
            items.append(np.array(at, int).reshape(own))
        elif kind == "slice":
            end = st.none() | st.integers(-4, 4)
            items.append(slice(draw(end), draw(end), draw(st.sampled_from([None, 1, 2, -1, -2]))))
        elif kind == "mask":
            items.append(np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)), bool))
        else:
            items.append(slice(None))
    if draw(st.booleans()):
        items.insert(draw(st.integers(0, len(items))), None)
    if used < len(shape) and draw(st.booleans()):
        items.append(...)
    return tuple(items)


def named(a, key):
    """NumPy's a[key], where numbers are applied before arrays, as in torch."""
    if not any(isinstance(k, np.ndarray) and k.ndim for k in key):
        return a[key]
    rest = tuple(k for k in key if not _is_number(k))
    a = a[tuple(k if _is_number(k) else slice(None) for k in key if k is not None and k is not ...)]
    return a[rest]


def _is_number(k):
    return isinstance(k, int) or (isinstance(k, np.ndarray) and k.dtype != bool and not k.ndim)


CASES = SHAPES.flatmap(lambda shape: st.tuples(st.just(shape), keys(shape)))


def places_of(shape, key):
    count = int(np.prod(shape))
    try:
        return named(np.arange(count).reshape(shape), key)
    except IndexError:  # masks that are true in different numbers of places
        return None


@given(CASES)
def test_reading_gives_the_entries_and_the_gradient_returns_to_them(case):
    shape, key = case
    places = places_of(shape, key)
    assume(places is not None)
    a = np.random.default_rng(0).normal(size=shape)
    w = 1.0 + np.arange(float(np.size(places))).reshape(np.shape(places))
    x = cr.tensor(a, requires_grad=True)
    found = x[key]
    np.testing.assert_array_equal(found.detach().numpy(), a.reshape(-1)[places])
    assert found.shape == np.shape(places)
    expected = np.zeros(a.size)
    np.add.at(expected, places, w)
    (found * w).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), expected.reshape(shape))
    h = cr.jvp(cr.grad(lambda v: (v[key] ** 2 * w).sum() / 2), (a,), (a,))[1]
    np.testing.assert_allclose(h.numpy(), expected.reshape(shape) * a, rtol=1e-14)


@given(CASES, st.sampled_from(["number", "full", "row", "tracked number"]))
def test_an_assignment_changes_the_entries_and_its_gradient_is_that_of_the_last_write(case, kind):
    shape, key = case
    places = places_of(shape, key)
    assume(places is not None)
    rng = np.random.default_rng(1)
    a, target = rng.normal(size=shape), np.shape(places)
    small = {"number": (), "tracked number": (), "full": target, "row": (1, *target)[1:]}[kind]
    if kind == "row" and target:
        small = (1,) * (len(target) - 1) + target[-1:]
    v = rng.normal(size=small)
    spread = np.broadcast_to(np.arange(v.size).reshape(small), target)
    expected, owner = a.reshape(-1).copy(), np.full(a.size, -1)
    expected[places] = v.reshape(-1)[spread]
    owner[places] = spread
    w = rng.normal(size=a.size)
    x = cr.tensor(a, requires_grad=True)
    value = cr.tensor(v, requires_grad=True) if kind != "number" else v.item()
    y = x * 1.0
    y[key] = value
    np.testing.assert_array_equal(y.detach().numpy(), expected.reshape(shape))
    (y * w.reshape(shape)).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy().reshape(-1), np.where(owner < 0, w, 0.0))
    if kind != "number":
        g = np.zeros(v.size)
        np.add.at(g, owner[owner >= 0], w[owner >= 0])
        np.testing.assert_allclose(value.grad.numpy().reshape(-1), g, rtol=1e-13, atol=1e-15)


@given(CASES)
def test_an_update_through_a_key_counts_each_entry_once(case):
    """`y[key] *= 3`: of an entry that is named twice the last write stays, as in NumPy."""
    shape, key = case
    places = places_of(shape, key)
    assume(places is not None)
    a = np.random.default_rng(2).normal(size=shape)
    touched = np.isin(np.arange(a.size), places).reshape(shape)
    x = cr.tensor(a, requires_grad=True)
    y = x * 1.0
    y[key] *= 3
    np.testing.assert_array_equal(y.detach().numpy(), np.where(touched, a * 3, a))
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.where(touched, 3.0, 1.0))
