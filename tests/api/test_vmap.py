"""vmap: many examples at once are the loop over them, in every nesting, with every mode of the tape."""

import dataclasses
import itertools
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.errors import (
    ArgumentError,
    ChainruleError,
    DataError,
    IndexingError,
    ShapeError,
    TraceError,
    UnsupportedError,
)

RNG = np.random.default_rng(4)
X, Y, W = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 3)), RNG.normal(size=(3, 4))


def near(found, wanted, rtol=1e-12):
    np.testing.assert_allclose(np.asarray(found.detach()), np.asarray(wanted), rtol=rtol, atol=1e-13)


def loop(f, *rows):
    return np.stack([np.asarray(f(*row).detach()) for row in zip(*rows, strict=True)])


# --- what it computes ----------------------------------------------------------------------------------------

FUNCTIONS = {
    "elementwise": lambda x: cr.sin(x) * x + 2.0,
    "number": lambda x: (x * x).sum(),
    "matrix": lambda x: cr.tanh(x @ W),
    "outer": lambda x: cr.outer(x, x) @ x,
    "where": lambda x: cr.where(x > 0, cr.log(x), x),
    "sorted": lambda x: cr.sort(x, descending=True).values + x[x.argmin()],
    "assignment": lambda x: (lambda y: (y.__setitem__(0, x[2]), y.mul_(2), y)[2])(x * 1.0),
    "made inside": lambda x: (lambda y: (y.__setitem__(slice(1, None), x), y)[1])(cr.zeros(4)),
    "reduced": lambda x: cr.stack([x.mean(), x.std(), cr.logsumexp(x, 0), x.max(), x.prod()]),
    "entries": lambda x: x[[0, 0, 2]] * x[1:2],
    "cumulated": lambda x: cr.cumprod(x, 0) + cr.cumsum(x, 0),
    "einsum": lambda x: cr.einsum("i,j,ij->", x, x, cr.outer(x, x)),
    "float32": lambda x: x.float() * 2,
    "whole numbers": lambda x: (x > 0).sum() + x.argmax(),
    "NumPy's names": lambda x: np.exp(x) + np.linalg.norm(x),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_many_examples_at_once_are_the_loop(name):
    f = FUNCTIONS[name]
    found = cr.vmap(f)(X)
    near(found, loop(f, cr.tensor(X)))
    assert found.dtype == f(cr.tensor(X[0])).dtype


@pytest.mark.parametrize("in_dims", list(itertools.product([0, 1, -1, None], repeat=2))[:-1])
@pytest.mark.parametrize("out_dims", [0, 1, -1])
def test_any_dimension_can_count_the_examples(in_dims, out_dims):
    x = cr.tensor(X if in_dims[0] == 0 else X[0] if in_dims[0] is None else X.T)
    y = cr.tensor(Y if in_dims[1] == 0 else Y[0] if in_dims[1] is None else Y.T)
    found = cr.vmap(lambda x, y: x * y.sum(), in_dims, out_dims)(x, y)
    rows = [X if in_dims[0] is not None else [X[0]] * 5, Y if in_dims[1] is not None else [Y[0]] * 5]
    wanted = np.stack([a * b.sum() for a, b in zip(*rows, strict=True)], out_dims)
    near(found, wanted)


def test_results_that_are_the_same_for_all_examples_repeat_or_stay_single():
    c = cr.tensor([1.0, 2.0])
    near(cr.vmap(lambda x: c * 2)(X), [[2.0, 4.0]] * 5)
    near(cr.vmap(lambda x: 3.0)(X), [3.0] * 5)
    near(cr.vmap(lambda x: c * 2, out_dims=None)(X), [2.0, 4.0])


class Pair(NamedTuple):
    a: object
    b: object


@dataclasses.dataclass
class Model:
    w: object
    b: object


def test_dicts_tuples_and_dataclasses_go_in_and_come_out():
    def f(p, x):
        h = x * p.w + p.b["c"]
        return {"h": h, "all": (h.sum(), [Pair(x, 2 * h)])}

    p = Model(X, {"c": cr.tensor(Y)})
    found = cr.vmap(f)(p, X)
    near(found["h"], X * X + Y)
    near(found["all"][0], (X * X + Y).sum(1))
    near(found["all"][1][0].b, 2 * (X * X + Y))
    found = cr.vmap(f, in_dims=(Model(0, None), 0))(Model(X, {"c": 1.0}), X)
    near(found["h"], X * X + 1.0)


def test_trees_of_dimensions_in_and_out():
    f = lambda d: {"sum": d["x"] + d["y"], "same": d["c"] * 2}
    found = cr.vmap(f, in_dims=({"x": 0, "y": 1, "c": None},), out_dims={"sum": 1, "same": None})(
        {"x": X, "y": Y.T, "c": cr.tensor(3.0)}
    )
    near(found["sum"], (X + Y).T)
    near(found["same"], 6.0)


def test_arguments_that_are_no_tensors_are_passed_as_they_are():
    f = lambda x, how, *, power: getattr(x, how)() ** power
    near(cr.vmap(f, in_dims=(0, None))(X, "sum", power=2), X.sum(1) ** 2)


def test_no_examples_and_empty_examples():
    assert cr.vmap(lambda x: x @ W)(np.zeros((0, 3))).shape == (0, 4)
    near(cr.vmap(lambda x: x.sum())(np.zeros((4, 0))), np.zeros(4))


def test_numbers_as_examples():
    near(
        cr.vmap(lambda t: cr.stack([cr.cos(t), cr.sin(t)]))(np.arange(3.0)),
        np.stack([np.cos(range(3)), np.sin(range(3))], 1),
    )


@pytest.mark.parametrize("size", [1, 2, 5, 7])
def test_chunks_give_the_same(size):
    f = lambda x: (x @ W, cr.tensor(1.0))
    found = cr.vmap(f, chunk_size=size)(X)
    near(found[0], X @ W)
    near(found[1], np.ones(5))


# Places that differ between the examples.
A, B = RNG.normal(size=(5, 3, 2)), RNG.normal(size=(5, 2, 2))
PLACES = np.array([[0, 2], [2, 1], [0, 0], [1, 2], [2, 2]])
GRID = np.stack([PLACES, PLACES[:, ::-1]], -1)
WRITES = {
    "gather": lambda x, i, g, v: x.gather(0, g),
    "scatter": lambda x, i, g, v: x.scatter(0, g, v),
    "scatter_add": lambda x, i, g, v: x.scatter_add(0, g, v),
    "index_add": lambda x, i, g, v: x.index_add(0, i, v),
    "index_copy": lambda x, i, g, v: x.index_copy(0, i, v),
    "index_fill": lambda x, i, g, v: x.index_fill(0, i, 2.0),
    "index_put": lambda x, i, g, v: x.index_put((i,), v),
    "take": lambda x, i, g, v: x.take(i),
    "assignment": lambda x, i, g, v: (lambda y: (y.__setitem__(i, v), y)[1])(x * 1.0),
    "number": lambda x, i, g, v: x[i[0]] * v,
}


@pytest.mark.parametrize("name", WRITES)
def test_places_that_differ_between_the_examples(name):
    """Values and gradients; where places repeat, what is written last stays, and only that gets a gradient."""
    f = WRITES[name]
    args = [cr.tensor(a) for a in (A, PLACES, GRID, B)]
    near(cr.vmap(f)(*args), loop(f, *args))
    for k in (0, 3):
        g = cr.grad(lambda *a: (f(*a) ** 2).sum(), k)
        near(cr.vmap(g)(*args), loop(g, *args))


# --- nesting --------------------------------------------------------------------------------------------------


def loss(w, x):
    return cr.softplus(cr.tanh(x @ w).sum()) + cr.where(x > 0, x, 0.0).sum() * w[0, 0]


def test_gradients_of_each_example():
    near(cr.vmap(cr.grad(loss), (None, 0))(W, X), loop(lambda x: cr.grad(loss)(W, x), cr.tensor(X)))


def test_the_gradient_of_many_examples():
    f = lambda w: cr.vmap(loss, (None, 0))(w, X).sum()
    near(cr.grad(f)(W), loop(lambda x: cr.grad(loss)(W, x), cr.tensor(X)).sum(0))


def test_backward_reaches_a_leaf_from_outside():
    w = cr.tensor(W, requires_grad=True)
    cr.vmap(lambda x: loss(w, x))(X).sum().backward()
    near(w.grad, loop(lambda x: cr.grad(loss)(W, x), cr.tensor(X)).sum(0))


def test_a_closure_over_the_variable_of_an_outer_gradient():
    near(cr.grad(lambda s: cr.vmap(lambda x: x * s**2)(X).sum())(3.0), 6 * X.sum(), 1e-11)


def test_vmap_inside_vmap():
    found = cr.vmap(lambda x: cr.vmap(lambda y: (x * y).sum())(Y))(X)
    near(found, X @ Y.T)
    found = cr.vmap(cr.vmap(lambda a: a * 2 + 1))(X)
    near(found, X * 2 + 1)
    near(cr.vmap(cr.vmap(lambda x, y: x - y, (0, None)), (None, 0))(X[0], Y[0]), X[0][None] - Y[0][:, None])


STEPS = {
    "grad": lambda f: cr.grad(lambda x: f(x).sum()),
    "jvp": lambda f: lambda x: cr.jvp(f, (x,), (x * 0 + 1.0,))[1],
    "vjp": lambda f: lambda x: cr.vjp(f, x)[1](f(x).detach() * 0 + 1.0)[0],
    "vmap": lambda f: cr.vmap(f),
}


@pytest.mark.parametrize(
    "stack", [s for n in (2, 3) for s in itertools.product(STEPS, repeat=n)], ids="-".join
)
def test_every_stack_gives_the_derivative_of_that_order(stack):
    """All entries are independent, so each derivative is the derivative entry by entry."""
    f = lambda x: cr.sin(x) * cr.exp(2 * x)
    for how in stack:
        f = STEPS[how](f)
    x = RNG.normal(size=(2, 3, 2))
    order = sum(how != "vmap" for how in stack)
    near(f(x), ((2 + 1j) ** order * np.exp((2 + 1j) * x)).imag, 1e-11)


@pytest.mark.parametrize(
    "stack", [s for s in itertools.product(STEPS, repeat=3) if "vmap" in s], ids="-".join
)
def test_a_branch_not_taken_contributes_nothing(stack):
    f = lambda x: cr.where(x > 0, cr.log(x), 0.0)
    for how in stack:
        f = STEPS[how](f)
    assert np.isfinite(np.asarray(f(np.array([[[0.0, 2.0]]])))).all()


def test_composites_are_read_as_one_function():
    far = np.array([[1000.0], [-1000.0], [0.0]])
    softplus = lambda x: cr.log(1 + cr.exp(x)).sum()
    near(cr.grad(lambda x: cr.vmap(softplus)(x).sum())(far), [[1.0], [0.0], [0.5]])
    near(cr.vmap(cr.grad(softplus))(far), [[1.0], [0.0], [0.5]])
    norm = lambda x: cr.sqrt((x * x).sum())
    near(cr.grad(lambda x: cr.vmap(norm)(x).sum())(np.zeros((2, 2))), np.zeros((2, 2)))


def test_no_grad_inside_holds_outside_too():
    def f(x):
        with cr.no_grad():
            y = x * 2
        return y * x

    near(cr.grad(lambda x: cr.vmap(f)(x).sum())(X), 2 * X)
    near(cr.grad(lambda x: cr.vmap(lambda z: z.detach() * z)(x).sum())(X), X)


def test_backward_inside_on_leaves_of_its_own():
    def f(x):
        w = x.detach().requires_grad_()
        (w**3).sum().backward()
        return w.grad

    near(cr.vmap(f)(X), 3 * X**2)


def test_x_times_the_derivative_of_x_plus_y_has_slope_one():
    f = lambda x: x * cr.grad(lambda y: x + y)(1.0)
    near(cr.vmap(cr.grad(f))(np.arange(3.0)), np.ones(3))
    g = lambda x: x * cr.vmap(cr.grad(lambda y: x + y))(np.ones(1))[0]
    near(cr.grad(g)(5.0), 1.0)


# --- the tape sees ordinary operations --------------------------------------------------------------------------


def test_nodes_have_the_lines_of_the_function():
    def f(x):
        y = cr.exp(x)
        return cr.log_softmax(y, 0)

    x = cr.tensor(X, requires_grad=True)
    n = cr.vmap(f)(x).n
    first = f.__code__.co_firstlineno
    assert n.source.line - first == 2
    assert n.scope == "log_softmax"
    while n.name != "exp":
        n = n.parents[0]
    assert n.source.line - first == 1


def test_an_error_of_the_numbers_blames_the_recorded_line():
    def f(x, i):
        return x[i]  # the line to blame

    with pytest.raises(IndexError) as info:
        cr.vmap(f, (None, 0))(np.arange(3.0), np.array([0, 7]))
    assert "the line to blame" in str(info.value)


# --- cells and random numbers -----------------------------------------------------------------------------------


def test_an_argument_that_the_function_changes_is_its_own():
    x = cr.tensor(X)
    near(cr.vmap(lambda z: z.mul_(2).sum())(x), 2 * X.sum(1))
    near(x, X)


def test_a_tensor_from_outside_takes_a_value_that_is_the_same_for_all():
    total = cr.zeros(2)

    def f(x):
        total[0] = 1.0
        return x

    cr.vmap(f)(X)
    near(total, [1.0, 0.0])


def test_a_tensor_from_outside_cannot_take_another_value_for_each_example():
    total = cr.zeros(())

    def f(x):
        total.add_(x.sum())
        return x

    with pytest.raises(TraceError, match=r"(?s)writes to a tensor from outside.*return the value"):
        cr.vmap(f)(X)
    near(total, 0.0)


def test_a_gradient_from_outside_is_refused():
    w = cr.tensor(1.0, requires_grad=True)
    with pytest.raises(TraceError, match=r"(?s)gradient of a tensor from outside.*grad in place of backward"):
        cr.vmap(lambda x: (x.sum() * w).backward())(X)
    assert w.grad is None


def test_random_numbers_are_refused_unless_it_is_said_whose_they_are():
    with pytest.raises(TraceError, match=r'(?s)random numbers.*randomness="different"'):
        cr.vmap(lambda x: x + cr.rand(3))(X)


def test_random_numbers_of_each_example_and_of_all():
    f = lambda x: x * 0 + cr.rand(3)
    different = np.asarray(cr.vmap(f, randomness="different")(X))
    assert len(np.unique(different)) == different.size
    same = np.asarray(cr.vmap(f, randomness="same")(X))
    assert (same == same[0]).all()
    assert len(np.unique(same)) == 3
    cr.manual_seed(1)
    first = np.asarray(cr.vmap(f, randomness="different")(X))
    cr.manual_seed(1)
    assert np.array_equal(first, cr.rand(5, 3))


def test_random_numbers_in_nested_vmaps():
    inner = lambda how: lambda x: cr.vmap(lambda y: y * 0 + cr.randn(2), randomness=how)(x)
    x = np.zeros((4, 3))
    for outer, how, count in (
        ("different", "different", 24),
        ("different", "same", 8),
        ("same", "different", 6),
    ):
        found = np.asarray(cr.vmap(inner(how), randomness=outer)(x))
        assert found.shape == (4, 3, 2)
        assert len(np.unique(found)) == count
    with pytest.raises(TraceError):
        cr.vmap(inner("different"))(x)
    shuffled = np.asarray(cr.vmap(lambda x: cr.randperm(5), randomness="different")(x))
    assert (np.sort(shuffled, 1) == np.arange(5)).all()


# --- wrong use ----------------------------------------------------------------------------------------------------

WRONG = [
    (lambda: cr.vmap(3), ArgumentError, "vmap takes a function"),
    (
        lambda: cr.vmap(lambda x, y: x)(X, W),
        ShapeError,
        r"(?s)different numbers of examples.*argument 0: 5 .*argument 1: 3 ",
    ),
    (lambda: cr.vmap(lambda d: d["a"])({"a": X, "b": W}), ShapeError, r"argument 0\['b'\]: 3"),
    (lambda: cr.vmap(lambda x: x)(1.0), IndexingError, "one number.*no dimension counts"),
    (lambda: cr.vmap(lambda x: x, 2)(X), IndexingError, r"(?s)no dimension 2.*-2..1"),
    (lambda: cr.vmap(lambda x: x, (0, 0))(X), ArgumentError, r"(?s)does not fit the 1 argument.*2 entries"),
    (lambda: cr.vmap(lambda x: x, "a")(X), ArgumentError, "in_dims"),
    (lambda: cr.vmap(lambda x: x, ((0, 0),))(X), ArgumentError, "in_dims has a tuple for one tensor"),
    (lambda: cr.vmap(lambda x: x, ({"b": 0},))({"a": X}), ArgumentError, "not built like"),
    (lambda: cr.vmap(lambda x: x, (0.5,))(X), ArgumentError, "in_dims has a float|dimension"),
    (lambda: cr.vmap(lambda x: x, None)(X), ArgumentError, "no argument is mapped"),
    (lambda: cr.vmap(lambda x, s: x)(X, "text"), DataError, "argument 1 is a str"),
    (lambda: cr.vmap(lambda x: "text")(X), DataError, "returns a str"),
    (lambda: cr.vmap(lambda x: x, out_dims=None)(X), ArgumentError, "out_dims is None"),
    (lambda: cr.vmap(lambda x: x, out_dims=5)(X), IndexingError, "out_dims is 5"),
    (lambda: cr.vmap(lambda x: x, out_dims=(0, 0))(X), ArgumentError, "out_dims"),
    (lambda: cr.vmap(lambda x: x, randomness="some"), ArgumentError, "no randomness 'some'"),
    (lambda: cr.vmap(lambda x: x, chunk_size=0), ArgumentError, "chunk_size is 0"),
    (lambda: cr.vmap(lambda x: x if x.sum() > 0 else -x)(X), TraceError, "where"),
    (lambda: cr.vmap(lambda x: cr.histc(x))(X), UnsupportedError, "histogram cannot run on many"),
    (lambda: cr.vmap(lambda x: x + np.ones(7))(X), ShapeError, r"float64\[3\], float64\[7\]"),
]


@pytest.mark.parametrize("program, error, text", WRONG, ids=range(len(WRONG)))
def test_wrong_use_is_told_what_and_where(program, error, text):
    with pytest.raises(error, match=text) as info:
        program()
    assert isinstance(info.value, ChainruleError)
    assert info.value.fix
    assert "test_vmap.py" in str(info.value)


@given(seed=st.integers(0, 2**32 - 1))
def test_random_stacks_on_random_functions(seed):
    """A mixed stack of depth 4 equals the same stack with loops in the place of vmap."""
    rng = np.random.default_rng(seed)
    a, b, c = rng.uniform(0.5, 1.5, size=3)
    fs = [
        lambda x: cr.sin(a * x) * cr.exp(-b * x * x),
        lambda x: cr.tanh(x - c) + x**3 * a,
        lambda x: cr.where(x > b - 1, x * x * a, cr.sin(x)),
        lambda x: cr.log(1.5 + x * x) / (1 + cr.exp(c * x)),
    ]
    looped = {**STEPS, "vmap": lambda f: lambda x: cr.stack([f(x[i]) for i in range(x.shape[0])])}
    stack = [str(s) for s in rng.choice(list(STEPS), size=4)]
    f = g = fs[rng.integers(len(fs))]
    for how in stack:
        f, g = STEPS[how](f), looped[how](g)
    x = cr.tensor(rng.uniform(-1, 1, size=(2, 2, 2, 2)))
    near(f(x), g(x).detach(), 1e-9)
