"""Graphs as text: written readably, read back exactly, and refused with the line where that fails."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.errors import GraphError
from chainrule.ir.graph import Graph
from chainrule.ir.text import large_constants, name_of, parse, text
from chainrule.ir.types import Type
from chainrule.source import here
from chainrule.testing.fuzz import fuzz_graph

FLOAT = np.dtype(np.float64)


def test_a_graph_prints_one_aligned_equation_per_line():
    g = parse("{x:float64[3] y:float64[] -> r:float64[3]=broadcast y shape=(3,); p:float64[3]=mul x r; "
              "s:float64[]=sum p keepdims=False axis=(0,) -> s}")  # fmt: skip
    assert str(g) == "\n".join([
        "{ a:float64[3] b:float64[] ->",
        "  c:float64[3] = broadcast b  shape=(3,)",
        "  d:float64[3] = mul       a c",
        "  e:float64[]  = sum       d  axis=(0,) keepdims=False",
        "  -> e }",
    ])  # fmt: skip


def test_names_go_on_after_the_alphabet():
    assert [name_of(k) for k in (0, 25, 26, 27, 52)] == ["a", "z", "a1", "b1", "a2"]


@given(st.integers(0, 10**9))
def test_random_graphs_are_read_back(seed):
    g = fuzz_graph(np.random.default_rng(seed), size=6).graph
    assert parse(str(g)) == g


NUMBERS = [
    0.1, -0.0, 1e300, 5e-324, np.nan, np.inf, -np.inf, np.float32(0.1), np.float32(1e-45), np.float16(0.1),
    3, -7, np.int32(5), np.uint8(255), True, False, 1 + 2j, complex(0, -np.inf), complex(np.nan, 1),
    np.complex64(1 - 0.1j),
]  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS, ids=repr)
def test_a_constant_number_is_read_back_exactly(number):
    g = Graph()
    g.outputs.append(g.constant(number))
    h = parse(str(g))
    (a,), (b,) = g.constants.values(), h.constants.values()
    assert h == g
    assert a.dtype == b.dtype
    np.testing.assert_array_equal(a, b)
    assert a != a or a.tobytes() == b.tobytes()


@given(st.floats(allow_nan=False))
def test_any_float_is_read_back_to_the_bit(x):
    g = Graph()
    g.outputs.append(g.constant(x))
    assert next(iter(parse(str(g)).constants.values())).tobytes() == np.float64(x).tobytes()


@pytest.mark.parametrize(
    "array",
    [np.array([0.1, np.nan, -np.inf]), np.array([[1, 2], [3, 4]]), np.array([True, False]), np.zeros((0, 3)),
     np.ones((2, 0)), np.array([0.1], np.float32), np.array([1 + 2j, 0.5])],
    ids=lambda a: f"{a.dtype}{a.shape}",
)  # fmt: skip
def test_a_constant_array_is_read_back(array):
    g = Graph()
    g.outputs.append(g.constant(array))
    (again,) = parse(str(g)).constants.values()
    assert again.dtype == array.dtype
    np.testing.assert_array_equal(again, array)


def large():
    g = Graph()
    g.outputs.append(g.constant(np.arange(5000.0)))
    return g


def test_a_large_constant_is_written_as_a_checksum():
    assert len(str(large())) < 200
    assert "constant 'sha256 " in str(large())


def test_a_large_constant_is_read_from_its_checksum():
    assert parse(str(large()), constants=large_constants(large())) == large()


def test_a_large_constant_can_be_written_whole():
    assert parse(text(large(), whole=True)) == large()


def test_a_large_constant_that_is_not_given_is_asked_for():
    with pytest.raises(GraphError, match="constants=large_constants"):
        parse(str(large()))


def test_a_complex_number_is_read_as_an_operand():
    source = "{ a:complex128[] -> b:complex128[] = mul (1+2j) a  c:complex128[] = add b (0.5-infj) -> c }"
    assert parse(str(parse(source))) == parse(source)
    assert [c.item() for c in parse(source).constants.values()] == [1 + 2j, complex(0.5, -np.inf)]


@pytest.mark.parametrize("params", ["axis=0 last=True", "axis=0   last=False"])
def test_parameters_are_read(params):
    g = parse("{ a:float64[2] -> b:float64[2] = edge a " + params + " -> b }")
    assert g.equations[0].params == {"axis": 0, "last": "True" in params}


def test_dtypes_tuples_and_strings_are_read_as_parameters():
    source = """{ a:float64[4,3] -> b:float32[4,3] = cast a dtype=float32
                  c:float32[2,1] = index b spec=(('slice', 0, None, 2), ("new",), ('int', -1)) -> c }"""
    cast, index = parse(source).equations
    assert cast.params == {"dtype": np.dtype(np.float32)}
    assert index.params == {"spec": (("slice", 0, None, 2), ("new",), ("int", -1))}
    assert parse(str(parse(source))) == parse(source)


def test_a_reading_is_written_and_read():
    source = "{ x:float64[3] -> m:float64[3] = mul x x  r:float64[3] = sqrt m as abs x -> r }"
    g = parse(source)
    assert g.equations[1].reading.name == "abs"
    assert g.equations[1].reading.x is g.inputs[0]
    assert "as abs a" in str(g)
    assert parse(str(g)) == g


def test_comments_blanks_and_semicolons_mean_nothing():
    a = parse(
        "# first\n{ a:float64[] -> # inputs\n b:float64[] = sin a ;; c:float64[] = cos b\n-> c }  # end"
    )
    assert a == parse("{a:float64[]->b:float64[]=sin a c:float64[]=cos b->c}")


def test_source_lines_are_shown_on_request_and_read_as_comments():
    g = Graph()
    x = g.input(Type((), FLOAT))
    g.outputs.append(g.emit("sin", x, source=here()))
    shown = text(g, sources=True)
    assert "# test_text.py:" in shown
    assert parse(shown) == g


@pytest.mark.parametrize(
    "source, what",
    [
        ("", r"'\{' is missing"),
        ("{ a:float64[] -> b:float64[] = sin a", "ends too early"),
        ("{ a:float64[] -> -> a } x", "goes on behind"),
        ("{ a:float64[] ->\n b:float64[] = sin c\n -> b }", "c is not defined before it is read"),
        ("{ a:float64[] a:float64[] -> -> a }", "a is defined twice"),
        ("{ a:float65[] -> -> a }", "float65 is no dtype"),
        ("{ a:float64[x] -> -> a }", "'x' is no length"),
        ("{ a:float64[-1] -> -> a }", "'-1' is no length"),
        ("{ a:float64[] -> b:float64[2] = sin a -> b }", r"sin gives float64\[\] here"),
        ("{ a:float64[] -> b:float64[] = tahn a -> b }", "no primitive 'tahn'"),
        ("{ a:float64[2] b:float64[3] -> c:float64[3] = add a b -> c }", "differ in shape"),
        ("{ a:float64[2] -> c:float64[2] = flip a axis=0 spin=1 -> c }", "no parameter 'spin'"),
        ("{ a:float64[2] -> c:float64[2] = flip a axis= -> c }", "no dtype|name is missing"),
        ("{ a:float64[] -> b:float64[2] = constant [1.0] -> b }", "1 entries do not fill"),
        ("{ a:float64[] -> b:float64[] = add a (1, 2) -> b }", "a tuple is no operand"),
        ("{ a:float64[] -> b:float64[] = add a $ -> b }", "has no meaning"),
    ],
)
def test_text_that_is_no_graph_is_refused(source, what):
    with pytest.raises(GraphError, match=what):
        parse(source)


def test_the_message_has_the_line():
    with pytest.raises(GraphError, match="line 3: c:float64"):
        parse("{ a:float64[] ->\n b:float64[] = sin a\n c:float64[] = mul b q\n -> c }")


@pytest.mark.parametrize(
    "source", ["(" * 10**5, "{ a:float64[2] -> b:float64[2] = flip a axis=" + "(" * 10**5]
)
def test_deep_nesting_is_refused_and_does_not_overflow(source):
    with pytest.raises(GraphError, match="cannot read"):
        parse(source)


@given(st.text(alphabet="{}()[]->:=,.abc019 '\"#\\jx\n", max_size=40))
def test_any_text_is_read_or_refused_with_our_error(source):
    with suppress(GraphError):
        parse("{ a:float64[] -> " + source)
