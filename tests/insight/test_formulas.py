"""Derivatives as text and LaTeX: what is printed is what is computed."""

import itertools
import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.insight.formulas import latex, local_derivative, text
from chainrule.table import TABLE
from chainrule.table.formula import Symbol, apply, fold
from chainrule.table.primitive import Partials
from chainrule.tape import numbers
from chainrule.testing.samples import cases


def _by_mpmath(f):
    return mp.workdps(50)(lambda *args: float(f(*map(mp.mpf, args))))


def _derivative_of(f):
    return _by_mpmath(lambda n, x: mp.diff(f, x, int(n)))


_ERFCX = lambda x: mp.exp(x * x) * mp.erfc(x)
_SINC = lambda x: mp.sinpi(x) / (mp.pi * x) if x else mp.mpf(1)
_SCALED = [lambda x, k=k: mp.exp(-abs(x)) * mp.besseli(k, x) for k in (0, 1)]

# The words that texts are made of, for Python's own evaluator: nothing of chainrule.
WORDS = {
    **{k: v for k, v in vars(math).items() if not k.startswith("_")},
    "sign": lambda x: (x > 0) - (x < 0),
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)) if x > -700 else math.exp(x),
    "where": lambda c, x, y: x if c else y,
    "inf": math.inf,
    "nan": math.nan,
    "abs": abs,
    "round": round,
    "isnan": math.isnan,
    "digamma": _by_mpmath(mp.digamma),
    "polygamma": _by_mpmath(mp.psi),
    "polygamma_step": _by_mpmath(lambda n, x, y: mp.psi(n, x + y) - mp.psi(n, x)),
    "zeta": _by_mpmath(mp.zeta),
    "ndtr": _by_mpmath(mp.ncdf),
    "erfcx": _by_mpmath(_ERFCX),
    "erfcx_derivative": _derivative_of(_ERFCX),
    "erfinv": _by_mpmath(mp.erfinv),
    "ndtri": _by_mpmath(lambda x: -mp.sqrt(2) * mp.erfinv(1 - 2 * x)),
    "sinc": _by_mpmath(_SINC),
    "sinc_derivative": _derivative_of(_SINC),
    "bessel_j": _by_mpmath(mp.besselj),
    "bessel_j0": _by_mpmath(mp.j0),
    "bessel_j1": _by_mpmath(mp.j1),
    "bessel_i": _by_mpmath(mp.besseli),
    "i0": _by_mpmath(lambda x: mp.besseli(0, x)),
    "i1": _by_mpmath(lambda x: mp.besseli(1, x)),
    "i0e_derivative": _derivative_of(_SCALED[0]),
    "i1e_derivative": _derivative_of(_SCALED[1]),
}


def evaluate(written, **values):
    return eval(written, {"__builtins__": {}}, {**WORDS, **values})


SCALAR = [
    pytest.param(c, name, id=f"{p.name}-{i}-{name}")
    for p in TABLE.values()
    if p.kind == "elementwise" and isinstance(p.rule, Partials)
    for i, c in enumerate(cases(p))
    for name in p.rule.partials
]


@pytest.mark.parametrize("case, name", SCALAR)
def test_printed_derivative_evaluates_to_the_number(case, name):
    values = {i: a.item() for i, a in zip(case.p.inputs, case.args, strict=True)}
    for known in (values, None):  # the branch that is taken, and all branches
        d = local_derivative(case.p, name, {"x": "u"}, known, case.params)
        shown = {"u" if i == "x" else i: v for i, v in values.items()}
        number = local_derivative(case.p, name, {}, values, case.params).number
        try:
            printed = evaluate(d.text, **shown)
        except ArithmeticError:  # Python raises where IEEE 754 has 0 or inf
            continue
        assert printed == pytest.approx(number, rel=1e-11, abs=1e-300), d.text


@pytest.mark.parametrize(
    "name, input, params, written",
    [
        ("integer_pow", "x", {"n": 2}, "2*u"),
        ("integer_pow", "x", {"n": 3}, "3*u**2"),
        ("integer_pow", "x", {"n": 1}, "1"),
        ("integer_pow", "x", {"n": -1}, "-1/u**2"),
        ("mul", "x", {}, "v"),
        ("div", "x", {}, "1/v"),
        ("div", "y", {}, "-u/v**2"),
        ("sub", "y", {}, "-1"),
        ("exp", "x", {}, "exp(u)"),
        ("log", "x", {}, "1/u"),
        ("log2", "x", {}, "1/(log(2)*u)"),
        ("sqrt", "x", {}, "0.5/sqrt(u)"),
        ("tan", "x", {}, "1 + tan(u)**2"),
        ("sigmoid", "x", {}, "sigmoid(u)*sigmoid(-u)"),
        ("remainder", "y", {}, "-(u//v)"),
        ("erf", "x", {}, "2/sqrt(pi)*exp(-u**2)"),
        ("clamp", "x", {"lo": 0.0, "hi": 1.0}, "where(u <= 0 or u >= 1, 0, 1)"),
        ("amax", "x", {"axis": (0,), "keepdims": False}, "where(u == amax(u), 1/sum(u == amax(u)), 0)"),
        ("sum", "x", {"axis": (0,), "keepdims": False}, "sum(du)"),
        ("index", "x", {"spec": (("slice", 1, None, 2), ("rest",), ("int", -1))}, "du[1::2, ..., -1]"),
        ("cumprod", "x", {"axis": 0, "reverse": False}, "d(cumprod(u))"),
    ],
)
def test_derivative_reads_as_one_would_write_it(name, input, params, written):
    assert local_derivative(TABLE[name], input, {"x": "u", "y": "v"}, None, params).text == written


@pytest.mark.parametrize(
    "name, input, params, written",
    [
        ("integer_pow", "x", {"n": 3}, r"3\,w_{1}^{2}"),
        ("div", "y", {}, r"-\frac{w_{1}}{b^{2}}"),
        ("exp", "x", {}, "e^{w_{1}}"),
        ("sigmoid", "x", {}, r"\sigma(w_{1})\,\sigma(-w_{1})"),
        ("log2", "x", {}, r"\frac{1}{\ln 2\,w_{1}}"),
        (
            "pow",
            "x",
            {},
            r"\begin{cases}0 & w_{1} = 0 \land b = 0\\ b\,w_{1}^{b - 1} & \text{otherwise}\end{cases}",
        ),
    ],
)
def test_derivative_in_latex(name, input, params, written):
    assert local_derivative(TABLE[name], input, {"x": "w1", "y": "b"}, None, params).latex == written


@pytest.mark.parametrize(
    "name, at, written",
    [("maximum", 5.0, "1"), ("maximum", 2.0, "0.5"), ("maximum", -1.0, "0"), ("hypot", 5.0, "u/hypot(u, v)")],
)
def test_numbers_decide_which_branch_is_shown(name, at, written):
    d = local_derivative(TABLE[name], "x", {"x": "u", "y": "v"}, {"x": at, "y": 2.0})
    assert d.text == written


def test_a_result_with_a_name_is_called_by_it():
    assert local_derivative(TABLE["exp"], "x", {"x": "u", "out": "y"}, {"x": 0.0}).text == "y"


def test_slopes_of_a_reduction_come_entry_by_entry():
    d = local_derivative(
        TABLE["amax"], "x", {}, {"x": np.array([[1.0, 3.0], [3.0, 0.0]])}, {"axis": (1,), "keepdims": False}
    )
    np.testing.assert_array_equal(d.number, [[0.0, 1.0], [1.0, 0.0]])


def test_an_expression_as_a_name_gets_parentheses_where_it_needs_them():
    assert local_derivative(TABLE["mul"], "x", {"y": "a + b"}).text == "a + b"
    assert text(TABLE["mul"], {"x": "a + b", "y": "c*d"}) == "(a + b)*(c*d)"
    assert text(TABLE["integer_pow"], {"x": "-a"}, n=2) == "(-a)**2"
    assert latex(TABLE["integer_pow"], {"x": "a + b"}, n=2) == r"\left(a + b\right)^{2}"
    assert latex(TABLE["exp"], {"x": "a + b"}) == "e^{a + b}"


# --- random formulas -----------------------------------------------------------------------------

LEAVES = st.sampled_from([Symbol("x"), Symbol("y")]) | st.sampled_from([-2.0, -1.0, 0.5, 1.0, 2.0, 3.0])
TWO = ("add", "sub", "mul", "div", "hypot", "remainder", "floor_divide", "atan2")
ONE = ("neg", "exp", "sin", "atan", "abs", "sigmoid", "sign")


def _grow(parts):
    two = st.tuples(st.sampled_from(TWO), parts, parts).map(lambda t: apply(*t))
    one = st.tuples(st.sampled_from(ONE), parts).map(lambda t: apply(*t))
    power = st.tuples(parts, st.integers(-3, 3)).map(lambda t: apply("integer_pow", t[0], n=t[1]))
    chosen = st.tuples(parts, parts, parts).map(lambda t: apply("where", apply("lt", t[0], t[1]), t[1], t[2]))
    return two | one | power | chosen


@given(st.recursive(LEAVES, _grow, max_leaves=12))
def test_printed_formula_evaluates_to_what_the_formula_does(f):
    """Products are reordered, so the last digits differ; a step (floor, sign) makes a unit of that."""
    f = apply("add", f, 0.0) if not hasattr(f, "key") else f
    for x, y in itertools.product((0.7, -1.3), (2.9, -0.45)):
        with np.errstate(all="ignore"):
            number = float(fold(f, {"x": np.float64(x), "y": np.float64(y)}, {}, numbers.emit))
            nearby = float(
                fold(f, {"x": np.float64(x * (1 + 1e-9)), "y": np.float64(y * (1 - 1e-9))}, {}, numbers.emit)
            )
        if not (
            math.isfinite(number) and abs(nearby - number) <= 1e-5 * abs(number) and 1e-9 < abs(number) < 1e9
        ):
            continue
        try:
            printed = evaluate(text(f), x=x, y=y)
        except (ArithmeticError, ValueError):
            continue
        assert abs(printed - number) <= 1e-4 * abs(number), text(f)
        assert latex(f).count("{") == latex(f).count("}")
        assert latex(f).count(r"\left") == latex(f).count(r"\right")


def test_a_missing_parenthesis_would_be_noticed():
    x, y = Symbol("x"), Symbol("y")
    assert text(x - (x + y)) == "x - (x + y)" or evaluate(text(x - (x + y)), x=2.0, y=3.0) == -3.0
    assert evaluate(text(x / (x * y)), x=2.0, y=4.0) == 0.25
    assert evaluate(text(-apply("floor_divide", x, y)), x=3.0, y=2.0) == -1.0
