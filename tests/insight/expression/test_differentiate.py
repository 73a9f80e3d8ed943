"""Values and derivatives of expressions, against Python's own grammar, mpmath, and the engine."""

from __future__ import annotations

import ast
import math
import operator
import time
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.errors import ExpressionError
from chainrule.insight.expression import FUNCTIONS, Expression, derivative, parse_expression, sensitivity
from chainrule.insight.expression.compute import engine_of_columns
from chainrule.insight.expression.differentiate import derivatives


def number(value: float) -> Expression:
    return Expression("number", value=float(value))


def name(text: str) -> Expression:
    return Expression("name", value=text)


# ── numbers ─────────────────────────────────────────────────────────────────────────────────────────────

VECTORS = {"sum", "mean", "prod", "norm", "var", "std", "logsumexp", "dot", "max", "min"}

# Another reading of the same text: Python's own grammar, and 30 digits.
_SAME_NAMES = """sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh
exp expm1 log log1p sqrt hypot erf erfc"""


def real(f: Any) -> Any:
    """mpmath goes on into the complex numbers; the engine does not."""

    def call(*args: Any) -> Any:
        value = f(*args)
        if isinstance(value, mpmath.mpc):
            raise ValueError("no real value")
        return value

    return call


MP = {
    "tensor": lambda v: mpmath.mpf(v) if not isinstance(v, list) else [mpmath.mpf(x) for x in v],
    "stack": list,
    **{name: real(getattr(mpmath, name)) for name in _SAME_NAMES.split()},
    "abs": abs,
    "sign": mpmath.sign,
    "pow": operator.pow,
    "square": lambda x: x * x,
    "log2": lambda x: mpmath.log(x, 2),
    "log10": mpmath.log10,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "relu": lambda x: max(x, mpmath.mpf(0)),
    "floor": mpmath.floor,
    "ceil": mpmath.ceil,
    "round": mpmath.nint,
    "sum": mpmath.fsum,
    "mean": lambda xs: mpmath.fsum(xs) / len(xs),
    "prod": mpmath.fprod,
    "norm": lambda xs: mpmath.sqrt(mpmath.fsum(x * x for x in xs)),
    "logsumexp": lambda xs: mpmath.log(mpmath.fsum(mpmath.exp(x) for x in xs)),
    "var": lambda xs: mpmath.fsum((x - mpmath.fsum(xs) / len(xs)) ** 2 for x in xs) / (len(xs) - 1),
    "dot": lambda xs, ys: mpmath.fsum(x * y for x, y in zip(xs, ys, strict=True)),
    "maximum": max,
    "minimum": min,
    "max": lambda *xs: max(*xs),
    "min": lambda *xs: min(*xs),
}  # fmt: skip
MP["std"] = lambda xs: mpmath.sqrt(MP["var"](xs))


def by_python(text: str, env: dict[str, float]) -> float:
    """The value by Python's own grammar and the `math` module: another reading of the same text."""
    operators = {
        ast.Add: operator.add,
        ast.Sub: operator.sub,
        ast.Mult: operator.mul,
        ast.Div: operator.truediv,
    }

    def value(node: ast.expr) -> float:
        match node:
            case ast.Constant(value=number):
                return float(number)
            case ast.Name(id=name):
                return env[name]
            case ast.UnaryOp(op=ast.USub(), operand=x):
                return -value(x)
            case ast.BinOp(op=ast.Pow(), left=x, right=y):
                return math.pow(value(x), value(y))
            case ast.BinOp(op=op, left=x, right=y):
                return operators[type(op)](value(x), value(y))
            case ast.Call(func=ast.Name(id=name), args=args):
                f = {"abs": abs, "maximum": max, "minimum": min}.get(name) or getattr(math, name)
                return f(*map(value, args))
        raise AssertionError(ast.dump(node))

    return value(ast.parse(text, mode="eval").body)


SMOOTH = ("sin", "cos", "tanh", "exp", "atan", "asinh", "erf", "sqrt", "log")
scalars = st.recursive(
    st.integers(0, 5).map(number) | st.sampled_from(["w", "b"]).map(name),
    lambda parts: st.one_of(
        parts.map(lambda x: Expression("neg", (x,))),
        st.builds(lambda op, x, y: Expression(op, (x, y)), st.sampled_from("+-*/"), parts, parts),
        st.builds(lambda x, n: Expression("**", (x, number(n))), parts, st.integers(0, 3)),
        st.builds(lambda f, x: Expression("call", (x,), f), st.sampled_from(SMOOTH), parts),
    ),
    max_leaves=12,
)
coordinates = st.floats(-3, 3).map(lambda v: round(v, 3))


@given(scalars, coordinates, coordinates)
def test_the_value_is_that_of_python(tree: Expression, w: float, b: float) -> None:
    try:
        expected = by_python(str(tree), {"w": w, "b": b})
    except (ArithmeticError, ValueError):  # the engine gives inf or nan there
        assume(False)
    assume(abs(expected) < 1e12)
    assert float(tree.evaluate({"w": w, "b": b})) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_has_the_value_that_mpmath_gives(name: str) -> None:
    args = ["[0.25, 0.5, 0.75]", "[0.5, 0.125, 1]"] if name in VECTORS else ["0.25", "0.5"]
    if name == "acosh":
        args = ["1.25"]
    tree = parse_expression(f"{name}({', '.join(args[: FUNCTIONS[name][0]])})")
    assert float(tree.evaluate({})) == pytest.approx(float(tree.evaluate({}, MP)), rel=1e-14)


def test_max_and_min_take_a_vector_or_two_numbers() -> None:
    assert float(parse_expression("max([1, 3, 2]) + min(1, 3) + max(w, 0)").evaluate({"w": -2.0})) == 4


def test_constants_are_computed_in_float64_and_overflow_to_infinity_at_once() -> None:
    start = time.process_time()
    assert parse_expression("9**9**9").evaluate({}) == math.inf
    assert math.isnan(parse_expression("(0-8)**(1/3)").evaluate({}))  # not a complex number
    assert time.process_time() - start < 20.0  # no hang
    assert parse_expression("1/3").evaluate({}) == 1 / 3
    assert parse_expression("9007199254740993").evaluate({}) == 9007199254740992.0


def test_integers_of_the_caller_are_floats_too() -> None:
    assert parse_expression("w**w**w").evaluate({"w": 9}) == math.inf


@pytest.mark.parametrize(
    "text, words",
    [
        ("w + b", "'b' has no value"),
        ("pi[0]", "'pi' is one number"),
        ("[1, 2] + [1, 2, 3]", "'[1, 2] + [1, 2, 3]' cannot be computed"),
        ("[1, 2][5]", "'[1, 2][5]' cannot be computed"),
        ("[[1, 2], 3]", "'[[1, 2], 3]' cannot be computed"),
        ("w[0]", "'w' is one number"),
    ],
)
def test_what_cannot_be_computed_is_named(text: str, words: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_expression(text).evaluate({"w": 1.0})
    assert words in str(caught.value)


def at_many_places() -> list[str]:
    """Each function of numbers, of vectors, of both, and of what does not change from place to place."""
    texts = ["2", "x[0]*w", "x[-1]**w", "[w, b][1]", "sum([1, 2, 3]*x)", "sum([[1, 2], [3, 4]]*w)", "pi*w"]
    for f, (fewest, most) in FUNCTIONS.items():
        if f == "dot":
            texts += ["dot(x, x)", "dot(x, [1, 2, 3])", "dot([w, 1, b], x)"]
        elif f in VECTORS:
            texts += [f"{f}(x)", f"{f}(w*x)", f"{f}([w, b, 2])", f"{f}([1, 2])*w", f"{f}(w)"]
        if f not in VECTORS or most > fewest:
            texts += [f"{f}({', '.join('wb'[:most])})", f"sum({f}({', '.join('xb'[:most])}))"]
    return texts


@pytest.mark.parametrize("text", at_many_places())
def test_many_places_at_once_give_what_each_gives_alone(text: str) -> None:
    tree, ws = parse_expression(text), [0.3, 0.7, 0.9]
    alone = [float(tree.evaluate({"w": w, "b": 0.5, "x": [w, 0.4, 0.6]})) for w in ws]
    columns = {"w": cr.tensor(ws), "b": 0.5, "x": cr.tensor([ws, [0.4] * 3, [0.6] * 3])}
    together = np.broadcast_to(np.asarray(tree.evaluate(columns, engine_of_columns()), dtype=float), 3)
    np.testing.assert_allclose(together, alone, rtol=1e-15)


# ── derivatives ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text, name, formula",
    [
        ("4*w + w**3", "w", "4 + 3*w**2"),
        ("4*w - w**3", "w", "4 - 3*w**2"),
        ("w1 + w2**2", "w2", "2*w2"),
        ("(w1-2)**2 + (w2+3)**2", "w1", "2*(w1 - 2)"),
        ("(w1 + c1)**2 + w2**3 + 4*c2", "c2", "4"),
        ("w*w", "w", "2*w"),
        ("(2*w)**2", "w", "8*w"),
        ("w", "w", "1"),
        ("b", "w", "0"),
        ("1/w", "w", "-1/w**2"),
        ("sqrt(w)", "w", "1/(2*sqrt(w))"),
        ("w**0.5", "w", "1/(2*w**0.5)"),
        ("w**(1/3)", "w", "1/(3*w**(2/3))"),
        ("exp(-w**2)", "w", "-2*w*exp(-w**2)"),
        ("sin(w)*cos(w)", "w", "cos(w)**2 - sin(w)**2"),
        ("log(1 + exp(w))", "w", "exp(w)/(1 + exp(w))"),
        ("log(w)", "w", "1/w"),
        ("2**w", "w", "2**w*log(2)"),
        ("w**b", "b", "w**b*log(w)"),
        ("atanh(w)", "w", "1/((1 - w)*(1 + w))"),
        ("hypot(w, b)", "w", "w/hypot(w, b)"),
        ("a*b/c", "c", "-a*b/c**2"),
        ("abs(w)", "w", "sign(w)"),
        ("floor(w)", "w", "0"),
        ("pi*r**2", "r", "2*pi*r"),
        ("[a*b, b**2][1]", "b", "2*b"),
    ],
)
def test_derivatives_are_written_as_in_a_book(text: str, name: str, formula: str) -> None:
    assert str(derivative(parse_expression(text), name)) == formula


@pytest.mark.parametrize(
    "text, formula",
    [
        ("norm(w)**2", "2*w"),
        ("w[0] + w[1]**2 + 0*w[2]", "[1, 2*w[1], 0]"),
        ("sum((w - [1, 2, 3])**2)", "2*(w - [1, 2, 3])"),
        ("mean(w**2)", "2*w/3"),
        ("dot(w, [1, 2, 3])", "[1, 2, 3]"),
        ("sum(a*w)", "[a, a, a]"),
        ("logsumexp(w)", "exp(w - logsumexp(w))"),
        ("w[-1]*w[0]", "[w[-1], 0, w[0]]"),
        ("std(w)", "(w - mean(w))/(2*std(w))"),
        ("sum(w)**2", "[2*sum(w), 2*sum(w), 2*sum(w)]"),
        ("(2*w + 1)[1]", "[0, 2, 0]"),
        ("norm([w[0], 3])", "[w[0]/norm([w[0], 3]), 0, 0]"),
    ],
)
def test_derivatives_by_a_vector(text: str, formula: str) -> None:
    assert str(derivative(parse_expression(text), "w", {"w": 3})) == formula


@pytest.mark.parametrize("text", ["relu(w)", "maximum(w, 0)", "max([w, 1])", "prod([w, 2])"])
def test_no_formula_is_better_than_a_formula_with_cases(text: str) -> None:
    with pytest.raises(ExpressionError, match="no short formula"):
        derivative(parse_expression(text), "w")


def off_the_differences(formula: Expression, tree: Expression, w: float, b: float) -> float | None:
    """How far the formula is from a difference in 60 digits (rounding hides nothing); None off the domain."""
    with mpmath.workdps(60):
        at = {"w": mpmath.mpf(w), "b": mpmath.mpf(b)}
        h = mpmath.mpf(10) ** -20
        try:
            value = formula.evaluate(at, MP)
            up, down = (tree.evaluate({**at, "w": at["w"] + s * h}, MP) for s in (1, -1))
        except (ArithmeticError, ValueError):
            return None
        difference = (up - down) / (2 * h)
        if not (mpmath.isfinite(value) and mpmath.isfinite(difference)):
            return None
        if abs(difference) > 1e6:  # so steep that h is not small
            return None
        return float(abs(value - difference) / (1 + abs(difference)))


@given(scalars, coordinates, coordinates)
def test_the_formula_has_the_value_of_the_difference_quotient(tree: Expression, w: float, b: float) -> None:
    try:
        formula = derivative(tree, "w")
    except ExpressionError:
        assume(False)
    off = off_the_differences(formula, tree, w, b)
    assume(off is not None)
    assert off <= 1e-8


def test_a_wrong_formula_is_caught() -> None:
    """The comparison above can fail: a formula that is off by 0.1 % does not pass."""
    off = off_the_differences(parse_expression("1.001*exp(w)"), parse_expression("exp(w)"), 1.0, 0.0)
    assert off is not None
    assert off > 1e-4


@given(scalars, coordinates, coordinates)
def test_the_formula_has_the_value_of_the_engine(tree: Expression, w: float, b: float) -> None:
    assume(tree.names)
    point = {name: {"w": w, "b": b}[name] for name in tree.names}
    s = sensitivity(tree, point)
    assume(math.isfinite(s.value) and s.failure is None)
    for slope in s.slopes:
        assume(slope.formula is not None)
        value = float(slope.formula.evaluate(point))
        assume(math.isfinite(value) and abs(value) < 1e12)
        assert slope.value == pytest.approx(value, rel=1e-8, abs=1e-8)


def test_a_formula_that_nobody_would_read_is_refused() -> None:
    names = [f"w{i}" for i in range(150)]
    tree = parse_expression("*".join(names) + "+ b*b")
    with pytest.raises(ExpressionError, match="the derivative is too long to read"):
        derivative(tree, "w7")
    assert str(derivatives(tree, tree.names, {})["b"]) == "2*b"


def test_a_name_without_a_formula_leaves_the_others_theirs() -> None:
    found = derivatives(parse_expression("relu(a) + a*b**2 + relu(b*c)*d"), "abcd", {})
    assert [name for name, x in found.items() if isinstance(x, ExpressionError)] == ["a", "b", "c"]
    assert str(found["d"]) == "relu(b*c)"


@pytest.mark.parametrize("text", ["a*b*c", "exp(a*b) + c/a", "a*norm(x)**2 + b*x[0] - c", "log(1 + exp(a))"])
def test_all_derivatives_together_are_those_of_each_alone(text: str) -> None:
    tree = parse_expression(text)
    lengths = {"x": 3} if "x" in tree.names else {}
    together = derivatives(tree, tree.names, lengths)
    assert together == {name: derivative(tree, name, lengths) for name in tree.names}
