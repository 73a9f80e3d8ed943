"""Every entry of the derivative table, checked from the entry itself: adding an entry adds its cases.

Values and slopes against mpmath are in test_against_mpmath.py, the choices at kinks in test_kinks.py.
"""

import ast
import dataclasses
import itertools
import math
from string import Template

import numpy as np
import pytest

import chainrule as cr
from chainrule.dispatch import bind
from chainrule.errors import ChainruleError, DataError
from chainrule.ir.types import Type, type_of
from chainrule.table import TABLE
from chainrule.table.formula import fold
from chainrule.table.primitive import Jvp, Linear, Partials, is_bounded, partials_of
from chainrule.tape import numbers
from chainrule.testing import rules
from chainrule.testing.samples import Case, cases

BOOL, INT, SINGLE = (np.dtype(d) for d in (bool, np.int64, np.float32))
FLOAT = np.dtype(float)


def _params(dtype=float, only=lambda case: True):
    found = ((p, i, c) for p in TABLE.values() for i, c in enumerate(cases(p, dtype)))
    return [pytest.param(c, id=f"{p.name}-{i}") for p, i, c in found if only(c)]


CASES = _params()
DIFFERENTIABLE = _params(only=Case.differentiable)
IN_SINGLE = _params(np.float32)
ENTRIES = [pytest.param(p, id=p.name) for p in TABLE.values()]
ELEMENTWISE = [pytest.param(p, id=p.name) for p in TABLE.values() if p.kind == "elementwise"]


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def subsets(case):
    """Every choice of wanted inputs that is not empty."""
    ks = case.differentiable()
    return [s for n in range(1, len(ks) + 1) for s in itertools.combinations(ks, n)]


# --- structure: held to rounding error -------------------------------------------------------------


@pytest.mark.parametrize("case", DIFFERENTIABLE)
def test_pullback_is_the_transpose_of_pushforward(case, rng):
    for wanted in subsets(case):
        rules.check_transpose(case, wanted, rng)


@pytest.mark.parametrize("case", DIFFERENTIABLE)
def test_pushforward_is_linear(case, rng):
    for wanted in subsets(case):
        rules.check_linear(case, wanted, rng)


@pytest.mark.parametrize("case", DIFFERENTIABLE)
def test_transpose_identity_holds_for_tensors(case, rng):
    for wanted in subsets(case):

        def f(*xs, wanted=wanted):
            return bind(case.p, *rules.filled(case, wanted, xs), **case.params)

        at = [case.args[k] for k in wanted]
        ts, ct = rules.tangents_for(case, wanted, rng), rules.random_like(rng, case.value())
        _, jt = cr.jvp(f, at, [ts[k] for k in wanted])
        value, pullback = cr.vjp(f, *at)
        np.testing.assert_array_equal(np.asarray(value), case.value())
        cts = {k: np.asarray(c) for k, c in zip(wanted, pullback(ct), strict=True)}
        rules.check_transpose_of(case, np.asarray(jt), cts, ts, ct)


@pytest.mark.parametrize("case", DIFFERENTIABLE)
def test_tensors_and_numbers_have_the_same_gradient(case, rng):
    """Compiled pullbacks of the tape and the general reader fold the same formulas, up to rounding."""
    wanted = case.differentiable()
    ct = rules.random_like(rng, case.value())
    tensors = [cr.tensor(case.args[k], requires_grad=True) for k in wanted]
    out = bind(case.p, *rules.filled(case, wanted, tensors), **case.params)
    out.backward(cr.tensor(ct))
    expected = rules.pull(case, ct, wanted)
    for k, t in zip(wanted, tensors, strict=True):
        np.testing.assert_allclose(t.grad.numpy(), expected[k], rtol=1e-13, atol=0)


# --- differences ---------------------------------------------------------------------------------


@pytest.mark.parametrize("case", DIFFERENTIABLE)
def test_pushforward_agrees_with_central_differences(case, rng):
    rules.check_differences(case, rng)


@pytest.mark.parametrize("case", DIFFERENTIABLE)
def test_second_derivative_is_symmetric_and_agrees_with_differences(case, rng):
    if any(np.any((np.abs(a) > 1e50) | (np.abs(a) < 1e-50) & (a != 0)) for a in case.args):
        pytest.skip("a second difference of numbers of this size leaves the range of float64")
    rules.check_second_order(case, rng)


# --- types ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [c for c in CASES if c.values[0].p.inputs])
def test_type_rule_foretells_the_value(case):
    assert case.p.type_rule(*map(type_of, case.args), **case.params) == type_of(np.asarray(case.value()))


@pytest.mark.parametrize("case", [c for c in IN_SINGLE if c.values[0].p.inputs])
def test_single_precision_stays_single(case, rng):
    out = case.value()
    assert case.p.type_rule(*map(type_of, case.args), **case.params) == type_of(np.asarray(out))
    if out.dtype == FLOAT and case.p.name != "cast":
        pytest.fail("the value was promoted to float64")
    wanted = case.differentiable()
    if wanted:
        jt = rules.push(case, rules.tangents_for(case, wanted, rng))
        assert jt is None or jt.dtype == out.dtype
        cts = rules.pull(case, rules.random_like(rng, out), wanted)
        assert [c.dtype for c in cts.values()] == [SINGLE] * len(cts)


@pytest.mark.parametrize("p", [e for e in ELEMENTWISE if e.values[0].rule and e.values[0].name != "cast"])
def test_pullback_in_single_precision_never_computes_in_double(p):
    """Promotion inside a rule would be cast back at the end: right, and twice the memory."""
    doubles, constants = [], {}

    def emit(name, *args, **params):
        out = numbers.emit(name, *args, **params)
        if type_of(out).dtype != FLOAT or not np.ndim(out):
            return out
        if name == "where" and all(np.ndim(a) == 0 or a.dtype == bool or id(a) in constants for a in args):
            constants[id(out)] = out  # a choice of numbers, of which a mask is made: it has no dtype to take
        else:
            doubles.append((name, args))
        return out

    case = next(cases(p, np.float32))
    args = tuple(np.full(3, a) for a in case.args)
    spread = Case(p, args, case.params)
    rules.pull(spread, np.ones(3, np.float32), spread.differentiable(), emit)
    live = case.differentiable()
    rules.push(spread, [np.ones(3, np.float32) if k in live else None for k in range(len(args))], emit)
    assert doubles == []


@pytest.mark.parametrize("p", ELEMENTWISE)
def test_empty_arrays_go_through(p):
    case = next(cases(p))
    empty = Case(p, tuple(np.zeros((0, 2), a.dtype) for a in case.args), case.params)
    out = empty.value()
    assert out.shape == (0, 2)
    assert p.type_rule(*map(type_of, empty.args), **case.params) == type_of(out)
    if empty.differentiable():
        cts = rules.pull(empty, out, empty.differentiable())
        assert all(c.shape == (0, 2) for c in cts.values())


F = Type((2, 3), FLOAT)
REDUCED = ((F,), {"axis": (2,), "keepdims": False})
PLACED = ((F,), {"axis": 2, "keepdims": False})
SPEC = (("int", 2),)
WRONG = {
    "cast": None,  # any array has a type in any dtype
    "cast_like": ((Type((2,), BOOL), F), {}),
    "alias": None,
    "detach": None,
    "reshape": ((F,), {"shape": (4,)}),
    "transpose": ((F,), {"perm": (0, 0)}),
    "broadcast": ((F,), {"shape": (2, 4)}),
    "flip": ((F,), {"axis": 2}),
    "shift": ((F,), {"axis": -1, "step": 1}),
    "edge": ((F,), {"axis": 2, "last": False}),
    "pad": ((F,), {"width": ((1, 1),)}),
    "concatenate": ((F, Type((3, 2), FLOAT)), {"axis": 0}),
    "zeros": None,
    "index": ((F,), {"spec": SPEC}),
    "scatter_add": ((Type((3,), FLOAT),), {"shape": (2, 3), "spec": SPEC}),
    "index_update": ((F, Type((2,), FLOAT)), {"spec": (("int", 0),)}),
    "diagonal": ((F,), {"offset": 0, "axes": (0, 0)}),
    "on_diagonal": ((Type((2,), FLOAT),), {"offset": 0, "axes": (0, 1), "shape": (3, 3)}),
    "windows": ((F,), {"axis": 1, "size": 4, "step": 1}),
    "add_windows": ((Type((3, 2), FLOAT),), {"axis": 0, "step": 1, "shape": (5,)}),
    "take_along": ((F, Type((2,), INT)), {"axis": 0}),
    "put_along": ((F, Type((2,), INT)), {"axis": 0, "shape": (4, 3)}),
    **dict.fromkeys(
        ("sum", "mean", "amax", "amin", "median", "nanmedian", "logsumexp", "norm", "any", "all"), REDUCED
    ),
    "p_norm": ((F,), {**REDUCED[1], "ord": 3.0}),
    **dict.fromkeys(("softmax", "log_softmax"), ((F,), {"axis": (2,)})),
    **dict.fromkeys(("var", "std"), ((F,), {"axis": (2,), "keepdims": False, "correction": 1})),
    **dict.fromkeys(("prod", "argmax", "argmin"), PLACED),
    **dict.fromkeys(("cumsum", "cumprod", "logcumsumexp"), ((F,), {"axis": 2, "reverse": False})),
    **dict.fromkeys(("argcummax", "argcummin", "argmode"), ((F,), {"axis": 2})),
    "argsort": ((F,), {"axis": 2, "descending": False}),
    "others": ((F,), {"axis": 2}),
    "argmedian": ((F,), {"axis": 2, "skip_nan": False}),
    "argtopk": ((F,), {"axis": 1, "k": 4, "largest": True}),
    "argkth": ((F,), {"axis": 2, "k": 1}),
    "searchsorted": ((F, Type((3, 3), FLOAT)), {"right": False}),
    "isin": None,
    "histogram": None,
    "linear_recurrence": ((F, Type((3, 2), FLOAT)), {"axis": 0, "reverse": False}),
    "dot_general": ((F, F), {"contract": ((1,), (0,)), "batch": ((), ())}),
    "real": None,
    "imag": None,
    "conj": None,
}


def test_every_entry_that_is_not_elementwise_says_what_it_refuses():
    assert {p.name for p in TABLE.values() if p.kind != "elementwise"} == set(WRONG)


@pytest.mark.parametrize("name", [n for n, wrong in WRONG.items() if wrong])
def test_type_rule_refuses_what_does_not_fit(name):
    types, params = WRONG[name]
    with pytest.raises(ChainruleError) as info:
        TABLE[name].type_rule(*types, **params)
    assert info.value.fix, "the error does not say what to do"


@pytest.mark.parametrize("p", [e for e in ELEMENTWISE if len(e.values[0].inputs) > 1])
def test_elementwise_type_rule_refuses_different_shapes_and_dtypes(p):
    params = next(cases(p)).params
    first = [Type((2,), BOOL)] if p.inputs[0] == "condition" else []
    numbers_ = len(p.inputs) - len(first)
    for odd in (Type((3,), FLOAT), Type((2,), SINGLE)):
        for k in range(numbers_):
            types = [Type((2,), FLOAT)] * numbers_
            types[k] = odd
            with pytest.raises(ChainruleError):
                p.type_rule(*first, *types, **params)


# --- facts ---------------------------------------------------------------------------------------

LINE = np.concatenate([-np.logspace(300, -300, 61), [0.0], np.logspace(-300, 300, 61)])


def inside(p):
    """Numbers from the whole domain of an entry with one input, in ascending order."""
    lo, hi = p.domain[0] if p.domain else (-np.inf, np.inf)
    edge = [np.linspace(max(lo, -4.0), min(hi, 4.0), 201)]
    line = np.unique(np.concatenate([LINE, *edge]))
    return line[(line >= lo) & (line <= hi)]


def value(p, *args):
    return Case(p, args, next(cases(p)).params).value()


@pytest.mark.parametrize("p", [e for e in ELEMENTWISE if e.values[0].commutative])
def test_commutative_entries_do_not_mind_the_order(p):
    x, y = (g.ravel() for g in np.meshgrid(LINE[::4], LINE[::4] * 0.7))
    np.testing.assert_array_equal(value(p, x, y), value(p, y, x))


@pytest.mark.parametrize("p", [e for e in ELEMENTWISE if e.values[0].even])
def test_even_entries_do_not_mind_the_sign(p):
    np.testing.assert_array_equal(value(p, LINE), value(p, -LINE))


@pytest.mark.parametrize("p", [e for e in ELEMENTWISE if e.values[0].monotone])
def test_monotone_entries_go_one_way(p):
    out = value(p, inside(p))
    steps = np.diff(np.nan_to_num(out, posinf=1.7e308, neginf=-1.7e308))
    rounding = 1e-15 * np.abs(np.nan_to_num(out[1:]))
    assert (steps >= -rounding).all() or (steps <= rounding).all()


@pytest.mark.parametrize("p", [e for e in ELEMENTWISE if e.values[0].domain])
def test_domain_is_where_the_value_is_a_number(p):
    (lo, hi), line = p.domain[0], np.unique(LINE)
    np.testing.assert_array_equal(np.isnan(value(p, line)), (line < lo) | (line > hi))


@pytest.mark.parametrize("p", [e for e in ELEMENTWISE if not e.values[0].domain and e.values[0].rule])
def test_entries_without_a_domain_have_one_everywhere_or_say_so(p):
    line = np.unique(LINE)
    args = [line, *[np.full_like(line, 0.75)] * (len(p.inputs) - 1)]
    if p.inputs[0] == "condition":
        args = [line > 0, line, line]
    assert p.undefined or not np.isnan(value(p, *args)).any()


def slopes(p, *args):
    """Each partial at `args`, folded with NumPy."""
    params = next(cases(p)).params
    with np.errstate(all="ignore"):
        values = {**dict(zip(p.inputs, args, strict=True)), "out": p.value(*args, **params)}
        return [fold(f, values, params, numbers.emit) for f in partials_of(p).values()]


@pytest.mark.parametrize("p", [e for e in ELEMENTWISE if e.values[0].rule and is_bounded(e.values[0])])
def test_bounded_entries_have_bounded_slopes(p):
    grids = np.meshgrid(*[LINE[::3]] * len(p.inputs))
    args = [
        g.ravel() > 0 if name == "condition" else g.ravel() for name, g in zip(p.inputs, grids, strict=True)
    ]
    for slope in slopes(p, *args):
        assert (np.abs(slope) <= 2.0).all()


@pytest.mark.parametrize("p", [e for e in ELEMENTWISE if e.values[0].selects])
def test_selecting_entries_do_not_depend_on_what_has_slope_zero(p, rng):
    args = [rng.normal(size=200) * 2 for _ in p.inputs]
    if p.inputs[0] == "condition":
        args[0] = args[0] > 0
    names = [name for name in p.inputs if name != "condition"]
    for name, slope in zip(names, slopes(p, *args), strict=True):
        moved = list(args)
        k = p.inputs.index(name)
        moved[k] = args[k] + 1e-9
        np.testing.assert_array_equal((value(p, *moved) == value(p, *args)), slope == 0)


# --- words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", ENTRIES)
def test_entry_has_words_for_people(p):
    assert p.doc.endswith(".")
    assert p.source
    assert p.latex
    assert p.text
    assert p.samples or not p.inputs
    assert all(where and why for where, why in (*p.kinks.items(), *p.undefined.items()))
    assert p.tolerance == p.slope_tolerance == 4.0 or p.tolerance_reason


@pytest.mark.parametrize("p", ENTRIES)
def test_templates_name_inputs_and_parameters_only(p):
    params = next(cases(p)).params if p.samples else {"shape": (2,)}
    known = {**{i.lstrip("*"): "U" for i in p.inputs}, **dict.fromkeys(params, "P")}
    for template in (p.text, p.latex):
        assert "$" not in Template(template).substitute(known)
    assert p.latex.count("{") == p.latex.count("}")
    ast.parse(Template(p.text).substitute(known), mode="eval")


@pytest.mark.parametrize("p", ENTRIES)
def test_rule_names_inputs_of_the_entry(p):
    if isinstance(p.rule, Partials):
        assert all(isinstance(f.key, tuple) for f in partials_of(p).values())
    if isinstance(p.rule, Linear | Jvp):
        assert set(p.rule.transpose) <= set(p.inputs)


# --- the checks can fail -------------------------------------------------------------------------


def wrong(name, **fields):
    """First case of an entry that is wrong in some field."""
    return next(cases(dataclasses.replace(TABLE[name], **fields)))


def test_a_partial_that_is_off_by_a_thousandth_is_caught_by_differences(rng):
    case = wrong("exp", rule=Partials({"x": lambda out: out * 1.001}))
    rules.check_transpose(case, (0,), rng)  # structure cannot see it
    with pytest.raises(AssertionError):
        rules.check_differences(case, rng)


def test_a_value_that_is_off_is_caught_by_differences(rng):
    case = wrong("tanh", value=lambda x: np.tanh(x) * (1 + 1e-3))
    with pytest.raises(AssertionError):
        rules.check_differences(case, rng)


def test_a_transpose_that_multiplies_by_the_wrong_side_is_caught(rng):
    """ct·y instead of ct·yᵀ: the shapes of square matrices agree."""
    params = {"contract": ((1,), (0,)), "batch": ((), ())}
    rule = Linear(transpose={"x": lambda emit, ct, x, y, **_: emit("dot_general", ct, y, **params)})
    y = np.array([[1.0, 2.0], [3.0, 4.0]])
    with pytest.raises(AssertionError):
        rules.check_transpose(
            Case(dataclasses.replace(TABLE["dot_general"], rule=rule), (y, y), params), (0,), rng
        )


def test_swapped_partials_are_caught_by_differences(rng):
    case = wrong("div", rule=Partials({"x": lambda y, out: -out / y, "y": lambda y: 1.0 / y}))
    with pytest.raises(AssertionError):
        rules.check_differences(case, rng)


def test_a_transpose_that_forgets_a_factor_is_caught(rng):
    rule = Linear(transpose={"x": lambda emit, ct, x, *, axis: ct})
    with pytest.raises(AssertionError):
        rules.check_transpose(wrong("flip", rule=rule), (0,), rng)


def test_a_pushforward_that_is_not_linear_is_caught(rng):
    """The error found in a well-known library: √(x·t)/‖x‖ instead of x·t/‖x‖."""
    rule = Jvp(lambda emit, args, ts, out: emit("sqrt", emit("abs", emit("mul", args[0], ts[0]))))
    with pytest.raises(AssertionError):
        rules.check_linear(wrong("log", rule=rule), (0,), rng)


def test_a_wrong_second_derivative_is_caught(rng, monkeypatch):
    """A value that is right and a slope that is right, built on a primitive whose slope is wrong."""
    monkeypatch.setitem(
        TABLE, "cos", dataclasses.replace(TABLE["cos"], rule=Partials({"x": lambda x: 1.001 * x}))
    )
    case = Case(TABLE["sin"], (np.float64(0.7),), {})
    rules.check_differences(case, rng)
    with pytest.raises(AssertionError):
        rules.check_second_order(case, rng)


def test_a_cotangent_of_another_dtype_is_caught(rng):
    case = Case(TABLE["mul"], (np.ones(2, np.float32), np.ones(2, np.float32)), {})
    with pytest.raises(AssertionError, match="dtype"):
        rules.check_transpose_of(case, None, {0: np.zeros(2)}, [None, None], np.ones(2))


def test_a_sample_outside_the_domain_proves_nothing_and_is_refused(rng):
    with pytest.raises(DataError):
        rules.check_differences(Case(TABLE["log"], (np.float64(-1.0),), {}), rng)


def test_samples_have_numbers_inside_the_domain():
    for p in TABLE.values():
        for case in cases(p):
            for (lo, hi), a in zip(p.domain, case.args, strict=False):
                assert lo <= a <= hi
            assert not any(math.isnan(a) for a in case.args if np.ndim(a) == 0) or p.rule is None
