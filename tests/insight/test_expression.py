"""Reading text as expressions: what is read, what is refused and how, and that both happen at once."""

from __future__ import annotations

import ast
import math
import operator
import time
from typing import Any

import mpmath
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from chainrule.errors import ExpressionError
from chainrule.insight.expression import (
    CONSTANTS,
    FUNCTIONS,
    Expression,
    derivative,
    parse_expression,
    parse_point,
    sensitivity,
)

# ── trees ───────────────────────────────────────────────────────────────────────────────────────────────

NAMES = ("w", "b", "w1", "λ", "x_2", "E1", *CONSTANTS)


def number(value: float) -> Expression:
    return Expression("number", value=float(value))


def name(text: str) -> Expression:
    return Expression("name", value=text)


numbers = st.integers(0, 20).map(number) | st.floats(0, 1e300).map(abs).map(number)  # abs: no -0.0
leaves = numbers | st.sampled_from(NAMES).map(name)


def grow(parts: st.SearchStrategy[Expression], functions: dict[str, tuple[int, int]]) -> Any:
    def call(name: str) -> st.SearchStrategy[Expression]:
        fewest, most = functions[name]
        return st.lists(parts, min_size=fewest, max_size=most).map(
            lambda a: Expression("call", tuple(a), name)
        )

    binary = st.builds(
        lambda op, x, y: Expression(op, (x, y)), st.sampled_from(["+", "-", "*", "/", "**"]), parts, parts
    )
    return st.one_of(
        parts.map(lambda x: Expression("neg", (x,))),
        binary,
        st.sampled_from(sorted(functions)).flatmap(call),
        st.builds(lambda x, i: Expression("item", (x,), i), parts, st.integers(-5, 5)),
        st.lists(parts, min_size=1, max_size=3).map(lambda xs: Expression("list", tuple(xs))),
    )


trees = st.recursive(leaves, lambda parts: grow(parts, FUNCTIONS), max_leaves=30)


@given(trees)
def test_the_text_of_a_tree_parses_back_to_the_same_tree(tree: Expression) -> None:
    assert parse_expression(str(tree)) == tree


@given(trees)
def test_pretty_text_has_the_same_names_and_no_space_trouble(tree: Expression) -> None:
    pretty = tree.pretty()
    assert pretty == pretty.strip()
    assert all(name in pretty for name in tree.names)


@pytest.mark.parametrize(
    "text, normal, pretty",
    [
        ("4*w+w**3", "4*w + w**3", "4w + w³"),
        ("4*w-w**3", "4*w - w**3", "4w − w³"),
        ("(w1-2)**2+(w2+3)**2", "(w1 - 2)**2 + (w2 + 3)**2", "(w1 − 2)² + (w2 + 3)²"),
        ("a-(b-c)", "a - (b - c)", "a − (b − c)"),
        ("a/b/c*d", "a/b/c*d", "a/b/c·d"),
        ("a/(b*c)", "a/(b*c)", "a/(b·c)"),
        ("-w**2", "-w**2", "−w²"),
        ("(-w)**2", "(-w)**2", "(−w)²"),
        ("2**-w", "2**(-w)", "2**(−w)"),
        ("(a**b)**c", "(a**b)**c", "(a**b)**c"),
        ("a**b**c", "a**b**c", "a**b**c"),
        ("w**-1", "w**(-1)", "w⁻¹"),
        ("2*3*w", "2*3*w", "2·3·w"),
        ("2*e1", "2*e1", "2·e1"),  # 2e1 would be 20
        ("abs(w)*norm([a,b])", "abs(w)*norm([a, b])", "|w|·‖[a, b]‖"),
        ("sqrt(w)+sqrt(w+1)", "sqrt(w) + sqrt(w + 1)", "√w + √(w + 1)"),
        ("+w", "w", "w"),
        ("(1,2)[0]", "[1, 2][0]", "[1, 2][0]"),
        ("2*pi*r", "2*pi*r", "2π·r"),
        (" 1e-3*w\n", "0.001*w", "0.001w"),
    ],
)  # fmt: skip
def test_text_is_normalised_and_prettified(text: str, normal: str, pretty: str) -> None:
    tree = parse_expression(text)
    assert (str(tree), tree.pretty()) == (normal, pretty)


@pytest.mark.parametrize(
    "text, same_as",
    [
        ("w²", "w**2"),
        ("w⁻¹²", "w**-12"),
        ("(w+1)²·w₁", "(w+1)**2*w1"),
        ("2·w × 3 ⋅ b", "2*w*3*b"),
        ("w − 1 – b", "w - 1 - b"),
        ("w÷2∕b", "w/2/b"),
        ("2·π", "2*pi"),
        ("（ｗ＋１）＊２", "(w+1)*2"),  # full-width forms
        ("ﬁ", "fi"),  # a ligature is its letters, as in Python
        ("1_000*w", "1000*w"),
    ],
)
def test_signs_of_handwriting_are_read(text: str, same_as: str) -> None:
    assert parse_expression(text) == parse_expression(same_as)


def test_names_come_in_order_of_appearance_without_constants_and_functions() -> None:
    assert parse_expression("b*sin(w) + pi*a*b - e**w").names == ("b", "w", "a")


def test_trees_cannot_be_changed() -> None:
    tree = parse_expression("w + 1")
    with pytest.raises(AttributeError):
        tree.op = "-"  # type: ignore[misc]


def test_a_long_sum_is_one_level() -> None:
    assert parse_expression("+".join(["w"] * 250)).evaluate({"w": mpmath.mpf(1)}, MP) == 250


# ── refusals ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text, column, words",
    [
        ("4*w + w*^3", 9, "power is written **; did you mean  4*w + w**3  ?"),
        ("w^2", 2, "did you mean  w**2  ?"),
        ("2w", 2, "product is written *; did you mean  2*w  ?"),
        ("2(w+1)", 2, "did you mean  2*(w + 1)  ?"),
        ("w w", 3, "did you mean  w*w  ?"),
        ("(w+1)(w-1)", 6, "did you mean  (w + 1)*(w - 1)  ?"),
        ("w(w+1)", 1, "did you mean  w*(w + 1)  ?"),
        ("2w^2 + 3w", 2, "did you mean  2*w**2 + 3*w  ?"),
        ("sine(w)", 1, "did you mean 'sin'?"),
        ("ln(w)", 1, "did you mean 'log'?"),
        ("arctan(w)", 1, "did you mean 'atan'?"),
        ("sin w", 1, "give it an argument: sin(w)"),
        ("sin²(w)", 1, "'sin' is a function"),
        ("sum(a, b)", 1, "give a vector: sum([a, b])"),
        ("1 + atan2(a)", 5, "'atan2' takes 2 arguments, not 1"),
        ("w + 1)", 6, "')' closes nothing"),
        ("2*(w + 1", 3, "'(' is never closed"),
        ("[w, 1)", 6, "close '[' first"),
        ("w*", 3, "something is missing after '*'"),
        ("*w", 1, "something is missing before '*'"),
        ("w + *2", 5, "something is missing after '+'"),
        ("4,5*w", 2, "decimals with a point"),
        ("2 3", 3, "two numbers side by side"),
        ("w = 3", 3, "values are given after the expression"),
        ("|w|", 1, "abs(w)"),
        ("√2", 1, "sqrt(w)"),
        ("w // 2", 3, "floor(a/b)"),
        ("w[1.5]", 3, "an index is one whole number"),
        ("w[0, 1]", 3, "an index is one whole number"),
        ("w[b]", 3, "an index is one whole number"),
        ("1e400*w", 1, "too large for a float64"),
        ("w + 1e-400", 5, "too small for a float64"),
        ("()", 2, "something is missing after '('"),
        ("中(2)", 1, "there is no function '中'"),
        ("2*inf", 3, "finite"),
        ("?*w", 1, "fill the blank"),
        ("a" * 41, 1, "41 characters"),
    ],
)
def test_a_mistake_is_shown_in_its_column_with_a_way_out(text: str, column: int, words: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_expression(text)
    assert caught.value.column == column
    assert words in str(caught.value)
    assert caught.value.fix


def test_the_arrow_stands_under_the_mistake() -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_expression("4*w + w*^3")
    assert str(caught.value) == (
        "[E601] cannot read the expression at column 9: '^' is no operator here\n"
        "  given: 4*w + w*^3\n"
        "                 ↑\n"
        "  to fix it: a power is written **; did you mean  4*w + w**3  ?"
    )


def test_the_arrow_counts_wide_characters_twice_and_cuts_long_text() -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_expression("変数 + ^")
    _, text, arrow, _ = str(caught.value).split("\n")
    assert arrow.index("↑") == text.index("^") + 2  # two characters of double width stand before it
    with pytest.raises(ExpressionError) as caught:
        parse_expression("w+" * 100 + "^" + "+w" * 100)
    _, text, arrow, _ = str(caught.value).split("\n")
    assert text[arrow.index("↑")] == "^"
    assert len(text) < 80


ATTACKS = [
    "__import__('os')", "().__class__", "().__class__.__bases__[0]", '"a"*10**9', "lambda: 1",
    "lambda w: w", "(w:=3)", "f'{w}'", "[x for x in w]", "{x for x in w}", "(x for x in w)", "w.__class__",
    "a.b", "w if w else w", "w or w", "not w", "w < 1", "w == 1", "w is None", "await w", "yield w", "*w",
    "**w", "sin(*w)", "sin(**w)", "sin(x=1)", "w[:]", "w[1:2]", "w[...]", "...", "None", "True", "False",
    "exec(w)", "eval(w)", "open(w)", "getattr(w)", "b'x'", "0x1", "0b1", "1j", "w\x00", "\x00", "w;w",
    "w\\\nw", "# w", "@w", "~w", "w @ w", "w % w", "w & w", "w << w", "`w`", "import os",
    "\ud800", "w\u200bw", "\x1b[31mw", "1__0", "9" * 400, "1e999999999999", "()" * 50, "w[w[w]]", "", " ",
    "\n", "(", ")", "[", "]", ",", "()", "[]", ".", "..", "-", "**", "^", "²", "w²³⁻",
]  # fmt: skip


@pytest.mark.parametrize("text", ATTACKS)
def test_nothing_but_expressions_is_read(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse_expression(text)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 100_000 + "w" + ")" * 100_000,
        "(" * 900 + "w" + ")" * 900,
        "(" * 61 + "w" + ")" * 61,
        "-" * 100_000 + "w",
        "-" * 1_900 + "w",
        "-" * 61 + "w",
        "w" + "+w" * 100_000,
        "w" + "+w" * 900,
        "w" + "**w" * 61,
        "sin(" * 61 + "w" + ")" * 61,
        "[" * 61 + "w" + "]" * 61,
        "9" * 100_000,
        "w" * 100_000,
        "^" * 2_000,
        "2w" * 1_000,
        "w " * 1_000,
        "w[" * 100 + "0" + "]" * 100,
        "((((((((((" * 190,
    ],
    ids=lambda text: f"{text[:6]}…{len(text)}",
)
def test_size_is_limited_at_once(text: str) -> None:
    start = time.perf_counter()
    with pytest.raises(ExpressionError) as caught:
        parse_expression(text)
    assert time.perf_counter() - start < 1.0
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "text", ["(" * 59 + "w" + ")" * 59, "-" * 59 + "w", "w" + "**w" * 59, "w" + "+w" * 249]
)
def test_the_limits_allow_what_they_say(text: str) -> None:
    tree = parse_expression(text)
    assert parse_expression(str(tree)) == tree


def test_text_that_is_no_text_is_refused() -> None:
    for thing in (b"w", None, 3, ["w"]):
        with pytest.raises(ExpressionError, match="an expression is text"):
            parse_expression(thing)  # type: ignore[arg-type]


WORDS = [*"0129.eEwb+-*/^()[],=²⁻πλ√_ \t'\"", "**", "sin", "max", "lambda", "1e5", "w1", "__", "for"]
PIECES = st.lists(st.sampled_from(WORDS), max_size=30).map("".join)


@settings(max_examples=500)
@given(st.text(max_size=60) | PIECES)
@example("w" * 2001)
def test_any_text_is_read_or_refused_within_a_second(text: str) -> None:
    start = time.perf_counter()
    try:
        tree = parse_expression(text)
    except ExpressionError as err:
        refusal = err
    else:
        refusal = None
        assert parse_expression(str(tree)) == tree
    if refusal is not None:
        assert refusal.fix
        assert str(refusal).splitlines()[0].isprintable()
    assert time.perf_counter() - start < 1.0


# ── numbers ─────────────────────────────────────────────────────────────────────────────────────────────

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
    vector = name in {"sum", "mean", "prod", "norm", "var", "std", "logsumexp", "dot", "max", "min"}
    args = ["[0.25, 0.5, 0.75]", "[0.5, 0.125, 1]"] if vector else ["0.25", "0.5"]
    if name == "acosh":
        args = ["1.25"]
    tree = parse_expression(f"{name}({', '.join(args[: FUNCTIONS[name][0]])})")
    assert float(tree.evaluate({})) == pytest.approx(float(tree.evaluate({}, MP)), rel=1e-14)


def test_max_and_min_take_a_vector_or_two_numbers() -> None:
    assert float(parse_expression("max([1, 3, 2]) + min(1, 3) + max(w, 0)").evaluate({"w": -2.0})) == 4


def test_constants_are_computed_in_float64_and_overflow_to_infinity_at_once() -> None:
    start = time.perf_counter()
    assert parse_expression("9**9**9").evaluate({}) == math.inf
    assert math.isnan(parse_expression("(0-8)**(1/3)").evaluate({}))  # not a complex number
    assert time.perf_counter() - start < 1.0
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


# ── the point ───────────────────────────────────────────────────────────────────────────────────────────


def test_points_are_numbers_and_vectors() -> None:
    items = ["w=1", "b=-2.5", "x=[1, -2e3]", "t=pi/2", "w₁=1/4", "y=(1,2)"]
    assert parse_point(items) == {
        "w": 1.0,
        "b": -2.5,
        "x": [1.0, -2000.0],
        "t": math.pi / 2,
        "w1": 0.25,
        "y": [1, 2],
    }


@pytest.mark.parametrize(
    "items, words",
    [
        (["w=1", "w=2"], "'w' is given twice"),
        ([], "'w' has no value"),
        (["b=1", "w=1"], "'b' does not occur in the expression, which has 'w'"),
        (["w"], "write name=value"),
        (["w="], "'w' has no value"),
        (["=1"], "'' is no name"),
        (["2=1"], "'2' is no name"),
        (["sin=1"], "'sin' is no name"),
        (["pi=3"], "'pi' always is 3.14159"),
        (["w=b"], "the value of 'w' depends on 'b'"),
        (["w=1,5"], "decimals with a point"),
        (["w=[]"], "something is missing"),
        (["w=[[1,2],[3,4]]"], "neither a number nor a vector"),
        (["w=1/0"], "'1/0' is inf"),
        (["w=inf"], "finite"),
        (["w=[1,2]+[3,4]"], "'[1, 2] + [3, 4]' is not one number"),
        (["w==1"], "values are given after"),
        (["w=__import__('os')"], "cannot read"),
        (["w=9**9**9"], "is inf"),
        (["w=" + "(" * 5000], "characters"),
    ],
)
def test_a_point_that_cannot_be_used_says_why(items: list[str], words: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_point(items, ("w",))
    assert words in str(caught.value)
    assert caught.value.fix


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
        if not mpmath.isfinite(value) or abs(difference) > 1e6:  # so steep that h is not small
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


# ── value, gradient and evidence ────────────────────────────────────────────────────────────────────────


def test_the_case_of_the_lecture() -> None:
    s = sensitivity(parse_expression("4*w + w**3"), {"w": 1.0})
    assert s.to_json() == {
        "value": 5.0,
        "grad": {"w": 7.0},
        "expr": {"w": "4 + 3*w**2"},
        "check": {"w": {"fd": 7.0, "ok": True}},
    }
    assert s.failure is None
    (slope,) = s.slopes
    assert slope.step == 0.01
    assert slope.change == pytest.approx(4 * 0.01 + 1.01**3 - 1, rel=1e-12)


def test_vectors_and_numbers_together() -> None:
    s = sensitivity(parse_expression("a*norm(w)**2"), {"a": 2.0, "w": [0.1, 0.0, 2.0]})
    assert [slope.name for slope in s.slopes] == ["a", "w"]
    assert s.slopes[0].value == pytest.approx(4.01)
    assert s.slopes[1].value == pytest.approx([0.4, 0.0, 8.0])
    assert s.slopes[1].entry == 2
    assert s.slopes[1].agrees is True


@pytest.mark.parametrize(
    "text, at, words",
    [
        ("abs(w)", 0.0, "kink at w = 0 (slope -1 on its left, 1 on its right)"),
        ("relu(w - 1)", 1.0, "kink at w = 1 (slope 0 on its left, 1 on its right)"),
        ("maximum(w, 2*w)", 0.0, "kink"),
        ("1e6 + abs(w)", 0.0, "kink"),
        ("floor(w)", 2.0, "L jumps at w = 2"),
        ("sqrt(w)", 0.0, "dL/dw is inf at w = 0"),
        ("log(w)", -1.0, "'log(w)' is nan at w = -1"),
        ("w + log(w - 3.05)", 1.05, "'log(w - 3.05)' is nan at w = 1.05, so L is nan"),
        ("1/w", 0.0, "'1/w' is inf at w = 0"),
        ("9**9**9*w", 1.0, "'9**9**9' is inf, so L is inf"),
        ("exp(w)", 1000.0, "'exp(w)' is inf at w = 1000"),
    ],
)
def test_where_no_derivative_exists_it_is_said(text: str, at: float, words: str) -> None:
    failure = sensitivity(parse_expression(text), {"w": at}).failure
    assert failure is not None
    assert words in failure


@pytest.mark.parametrize(
    "text, at",
    [
        ("w**2", 0.0), ("w**3", 0.0), ("abs(w)", 1e-9), ("abs(w - 1)", 1.000000001), ("relu(w)", -1e-12),
        ("1/w", 1e-9), ("log(w)", 1e-200), ("sin(1000*w)", 1.0), ("1e10 + w", 1.0), ("1e-20*w", 1e-20),
        ("w", 1e300), ("exp(w)", 700.0), ("w*abs(w)", 0.0), ("sqrt(w)", 1e-12), ("0*w", 1.0),
        ("1e8*w**2", 0.0), ("maximum(w, 0)", 1e-300), ("w**1.5", 0.0), ("floor(w)", 2.5),
        ("tanh(1e4*w)", 0.0), ("sin(1e8*w)", 1.0),
        ("(w - 1)**9", 1.0), ("atan(1e6*w)", 1e-3),
    ],
)  # fmt: skip
def test_smooth_functions_are_not_suspected(text: str, at: float) -> None:
    s = sensitivity(parse_expression(text), {"w": at})
    assert s.failure is None
    assert s.slopes[0].agrees is not False


def test_a_wrong_gradient_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check can fail: a gradient that is off by 0.1 % does not pass."""
    from chainrule.insight import expression

    right = expression._gradient
    monkeypatch.setattr(expression, "_gradient", lambda leaf, at: right(leaf, at) * 1.001)
    s = sensitivity(parse_expression("4*w + w**3"), {"w": 1.0})
    assert s.slopes[0].agrees is False
    assert "differences give 7" in (s.failure or "")


@pytest.mark.parametrize("sign, slope", [("+", 250), ("*", 250), ("/", -248)])
def test_the_longest_chain_is_differentiated(sign: str, slope: int) -> None:
    s = sensitivity(parse_expression(sign.join(["w"] * 250)), {"w": 1.0})
    assert s.slopes[0].value == slope
    assert s.failure is None


def test_several_values_have_no_gradient() -> None:
    with pytest.raises(ExpressionError, match="2 values") as caught:
        sensitivity(parse_expression("[2*z, z**4]"), {"z": -1.0})
    assert "sum([2*z, z**4])" in str(caught.value)


def test_an_expression_without_names_has_a_value() -> None:
    s = sensitivity(parse_expression("2 + 3"), {})
    assert (s.value, s.slopes, s.failure) == (5.0, (), None)


def test_json_is_strict() -> None:
    answer = sensitivity(parse_expression("sqrt(w)"), {"w": 0.0}).to_json()
    assert answer["grad"] == {"w": "Infinity"}
    assert answer["check"]["w"] == {"fd": "NaN", "ok": None}
    assert answer["failure"] == "dL/dw is inf at w = 0"
