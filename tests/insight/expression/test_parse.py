"""Reading text as expressions and points: what is read, what is refused and how, and both at once."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chainrule.errors import ExpressionError
from chainrule.insight.expression import CONSTANTS, FUNCTIONS, Expression, parse_expression, parse_point

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
    assert parse_expression("+".join(["w"] * 250)).evaluate({"w": 1.0}) == 250


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
    start = time.process_time()
    with pytest.raises(ExpressionError) as caught:
        parse_expression(text)
    assert time.process_time() - start < 20.0  # no hang
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
    start = time.process_time()
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
    assert time.process_time() - start < 20.0  # no hang


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
