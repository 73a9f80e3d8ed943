"""vmap of graphs: every entry of the table on many examples equals the loop over the examples."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.errors import ArgumentError, UnsupportedError
from chainrule.ir import Graph, parse
from chainrule.ir.evaluate import evaluate
from chainrule.ir.types import type_of
from chainrule.ir.verify import verify
from chainrule.table import TABLE
from chainrule.testing.fuzz import fuzz_graph
from chainrule.testing.samples import Case, cases
from chainrule.transforms import batch
from chainrule.transforms.batch import REFUSED, RULES, vmap
from chainrule.transforms.forward import jvp
from chainrule.transforms.reverse import vjp

LANES = 3
RNG = np.random.default_rng(8)
ALL = [
    pytest.param(case, id=f"{p.name}-{k}")
    for p in TABLE.values()
    if p.name not in REFUSED
    for k, case in enumerate(cases(p))
]


def one_equation(case: Case) -> Graph:
    g = Graph()
    g.outputs = [g.emit(case.p.name, *[g.input(type_of(a)) for a in case.args], **case.params)]
    return g


def examples(case: Case, k: int) -> np.ndarray:
    """Argument k for each lane: other numbers inside the domain, other indices of the same kind."""
    a = np.asarray(case.args[k])
    if a.dtype.kind == "f" and case.p.kind == "elementwise":
        return np.stack([a, a * 0.75, a * 0.5]) if a.dtype.kind == "f" else np.stack([a] * LANES)
    if a.dtype.kind == "f":
        return (
            np.sort(RNG.normal(size=(LANES, *a.shape)), -1) if k == 0 else RNG.normal(size=(LANES, *a.shape))
        )
    if a.dtype.kind == "b":
        return np.stack([a, ~a, a])
    return np.stack([a, np.roll(a, 1, -1) if a.ndim else a, a[..., ::-1] if a.ndim else a])


def check(g: Graph, args: list, batched: tuple[bool, ...]) -> None:
    many = verify(vmap(g, LANES, batched))
    found = evaluate(many, *args)
    for lane in range(LANES):
        with np.errstate(all="ignore"):
            wanted = evaluate(g, *[a[lane] if b else a for a, b in zip(args, batched, strict=True)])
        for f, w in zip(found, wanted, strict=True):
            assert f.shape == (LANES, *np.shape(w))
            np.testing.assert_allclose(f[lane], w, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("case", ALL)
def test_many_examples_at_once_are_the_loop_over_them(case):
    """For every choice of inputs that differ between the examples."""
    g = one_equation(case)
    for batched in itertools.product([True, False], repeat=len(case.args)):
        if any(batched):
            check(
                g,
                [
                    examples(case, k) if b else a
                    for k, (a, b) in enumerate(zip(case.args, batched, strict=True))
                ],
                batched,
            )


def test_every_entry_has_a_rule_or_a_reason():
    generic = {p.name for p in TABLE.values() if p.kind in ("elementwise", "reduction")}
    assert set(TABLE) - generic == set(RULES) | set(REFUSED)
    assert not set(RULES) & (set(REFUSED) | generic)


def test_a_wrong_rule_is_noticed(monkeypatch):
    wrong = lambda where, e, args, flags: where.emit("flip", args[0], axis=e.params["axis"])
    monkeypatch.setitem(batch.RULES, "flip", wrong)
    g = parse("{ x:float64[3,3] -> y:float64[3,3] = flip x axis=1 -> y }")
    with pytest.raises(AssertionError):
        check(g, [RNG.normal(size=(3, 3, 3))], (True,))


def test_what_has_no_rule_is_refused_by_name_with_its_reason():
    g = parse("{ x:float64[3] -> y:float64[2] = histogram x bins=2 hi=1.0 lo=0.0 -> y }")
    with pytest.raises(
        UnsupportedError, match=r"(?s)histogram cannot run on many examples.*of its own.*loop"
    ):
        vmap(g, 2)


KEYS = {
    "slices": ((("slice", 1, None, 2), ("int", -1)), 0),
    "array first": ((("array", 0),), 1),
    "array behind a slice": ((("slice", None, None, None), ("array", 0)), 1),
    "two side by side": ((("slice", 0, 2, None), ("array", 0), ("array", 1)), 2),
    "two apart": ((("array", 0), ("slice", None, None, None), ("array", 1)), 2),
    "behind all": ((("rest",), ("array", 0)), 1),
    "new between": ((("array", 0), ("new",), ("array", 1)), 2),
    "new first": ((("new",), ("slice", 0, 2, 1), ("array", 0)), 1),
    "number and array": ((("slice", None, None, None), ("int", 1), ("array", 0)), 1),
    "a number that is an array": ((("array", 1),), -1),
}


@pytest.mark.parametrize("name", KEYS)
def test_keys_of_every_kind(name):
    """Index, its transpose, and assignment; shapes of the index arrays that broadcast."""
    spec, count = KEYS[name]
    shape = (4, 3, 4)
    shapes = {0: [], 1: [(2, 3)], 2: [(2, 1), (3,)], -1: [()]}[count]
    if count == -1:
        spec = (("array", 0),)
    index = [RNG.integers(0, 3, size=s) for s in shapes]
    x = RNG.normal(size=shape)
    picked = TABLE["index"].value(x, *index, spec=spec)
    arguments = {
        "index": ((x,), {}),
        "scatter_add": ((RNG.normal(size=picked.shape),), {"shape": shape}),
        "index_update": ((x, RNG.normal(size=picked.shape)), {}),
    }
    for primitive, (args, params) in arguments.items():
        case = Case(TABLE[primitive], (*args, *index), {"spec": spec, **params})
        g = one_equation(case)
        for batched in itertools.product([True, False], repeat=len(case.args)):
            if not any(batched):
                continue
            if primitive == "index_update" and any(batched[2:]):
                continue  # see below: places that are named twice
            many = [
                (
                    RNG.integers(0, 3, size=(LANES, *a.shape))
                    if k >= len(args)
                    else RNG.normal(size=(LANES, *a.shape))
                )
                if b
                else a
                for k, (a, b) in enumerate(zip(case.args, batched, strict=True))
            ]
            check(g, many, batched)


def test_assignment_to_other_places_in_each_example():
    g = parse(
        "{ x:float64[4,3] v:float64[2,3] i:int64[2] -> y:float64[4,3] = index_update x v i spec=(('array', 0),) -> y }"
    )
    places = np.array([[0, 1], [3, 1], [2, 0]])
    for batched in itertools.product([True, False], repeat=2):
        args = [RNG.normal(size=(*(LANES,) * b, *s)) for b, s in zip(batched, [(4, 3), (2, 3)], strict=True)]
        check(g, [*args, places], (*batched, True))


DOTS = [
    ((2, 3), (3, 4), ((1,), (0,)), ((), ())),
    ((5, 2, 3), (5, 3, 4), ((2,), (1,)), ((0,), (0,))),
    ((3, 2, 5), (4, 5, 3), ((2, 0), (1, 2)), ((), ())),
    ((2,), (3,), ((), ()), ((), ())),
    ((3,), (3,), ((0,), (0,)), ((), ())),
]


@pytest.mark.parametrize("shape_x, shape_y, contract, inner", DOTS)
@pytest.mark.parametrize("batched", [(True, True), (True, False), (False, True)])
def test_products_have_their_lanes_first(shape_x, shape_y, contract, inner, batched):
    args = [np.zeros(shape_x), np.zeros(shape_y)]
    g = one_equation(Case(TABLE["dot_general"], tuple(args), {"contract": contract, "batch": inner}))
    check(
        g, [RNG.normal(size=(*(LANES,) * b, *a.shape)) for a, b in zip(args, batched, strict=True)], batched
    )


def test_what_does_not_depend_on_the_examples_is_computed_once():
    g = parse("{ x:float64[3] w:float64[3] -> e:float64[3] = exp w  y:float64[3] = mul x e -> y e }")
    many = verify(vmap(g, 5, [True, False]))
    assert [str(e.outs[0].type) for e in many.equations if e.name == "exp"] == ["float64[3]"]
    assert [str(v.type) for v in many.outputs] == ["float64[5,3]"] * 2


def test_no_examples_give_no_results():
    g = parse("{ x:float64[3] -> y:float64[] = amax x axis=(0,) keepdims=False -> y }")
    assert evaluate(vmap(g, 0), np.zeros((0, 3)))[0].shape == (0,)


def test_flags_that_do_not_fit_are_refused():
    with pytest.raises(ArgumentError, match="1 flags for a graph of 2 inputs"):
        vmap(parse("{ x:float64[] y:float64[] -> -> x }"), 2, [True])


@given(st.integers(0, 10**9))
def test_random_programs_and_their_derivatives_on_many_examples(seed):
    rng = np.random.default_rng(seed)
    g, args = fuzz_graph(rng, size=6)
    batched = tuple(bool(b) for b in rng.integers(2, size=len(args)))
    if not any(batched):
        batched = (True, *batched[1:])
    many = [np.stack([a] * LANES) if b else a for a, b in zip(args, batched, strict=True)]
    check(g, many, batched)
    derived = vjp(g) if rng.integers(2) else jvp(g)
    extra = [np.asarray(rng.normal(size=v.shape)).astype(v.dtype) for v in derived.inputs[len(args) :]]
    check(derived, [*many, *[np.stack([t, 2 * t, -t]) for t in extra]], (*batched, *[True] * len(extra)))
