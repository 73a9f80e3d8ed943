"""jvp and vjp of graphs: golden programs, random programs, compositions, inactive routes."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.errors import ArgumentError, DtypeError, UnsupportedError
from chainrule.ir.emitter import Emitter
from chainrule.ir.evaluate import evaluate
from chainrule.ir.graph import Graph
from chainrule.ir.text import parse
from chainrule.ir.types import Type
from chainrule.ir.verify import verify
from chainrule.passes.dce import dce
from chainrule.source import here
from chainrule.table.primitive import TABLE
from chainrule.testing.fuzz import fuzz_graph
from chainrule.testing.graphs import check_hessian_is_symmetric, check_modes_agree, graph_of_case
from chainrule.testing.samples import cases
from chainrule.transforms.forward import jvp
from chainrule.transforms.reverse import vjp

PROGRAMS = Path(__file__).parents[1] / "programs"
SEEDS = st.integers(0, 10**9)
FLOAT = np.dtype(np.float64)


def program(name):
    return verify(parse((PROGRAMS / name).read_text(encoding="utf-8")))


# --- golden programs, written by hand --------------------------------------------------------------


@pytest.mark.parametrize("name", ["lecture", "norm"])
def test_the_gradient_program_is_the_one_written_by_hand(name):
    found = dce(vjp(program(f"{name}.ir")))
    assert str(found) == str(program(f"{name}.vjp.ir"))
    assert found == program(f"{name}.vjp.ir")


def test_the_first_case_of_the_lecture_has_slope_7():
    assert evaluate(program("lecture.vjp.ir"), 1.0, 1.0) == (5.0, 7.0)
    assert evaluate(jvp(program("lecture.ir")), 1.0, 1.0) == (5.0, 7.0)


def test_the_norm_has_slope_0_at_0():
    assert [v.tolist() for v in evaluate(vjp(program("norm.ir")), np.zeros(3), 1.0)] == [0.0, [0.0, 0.0, 0.0]]


# --- interface -------------------------------------------------------------------------------------


def test_the_graph_that_is_transformed_does_not_change():
    g = program("norm.ir")
    vjp(g)
    jvp(g)
    assert g == program("norm.ir")


def test_inputs_come_before_cotangents_and_outputs_before_gradients():
    g = parse("""{ x:float64[2] n:int64[] y:float64[] -> t:float64[2] = broadcast y shape=(2,)
                 m:float64[2] = mul x t  c:bool[2] = gt x t -> m c }""")
    h = vjp(g, [2])
    assert [str(v.type) for v in h.inputs] == ["float64[2]", "int64[]", "float64[]", "float64[2]"]
    assert [str(v.type) for v in h.outputs] == ["float64[2]", "bool[2]", "float64[]"]
    h = jvp(g, [2])
    assert [str(v.type) for v in h.inputs] == ["float64[2]", "int64[]", "float64[]", "float64[]"]
    assert [str(v.type) for v in h.outputs] == ["float64[2]", "bool[2]", "float64[2]"]


@pytest.mark.parametrize("transform", [jvp, vjp])
def test_an_input_that_is_not_there_is_refused(transform):
    with pytest.raises(ArgumentError, match="no input 1"):
        transform(program("norm.ir"), [1])


@pytest.mark.parametrize("transform", [jvp, vjp])
def test_an_input_of_integers_is_refused(transform):
    with pytest.raises(DtypeError, match="carries no derivative"):
        transform(parse("{ n:int64[] -> -> n }"), [0])


def test_an_input_that_no_output_depends_on_has_zeros():
    g = parse("{ x:float64[] y:float64[2] -> s:float64[] = sin x -> s }")
    assert evaluate(vjp(g), 0.0, np.ones(2), 1.0)[2].tolist() == [0.0, 0.0]


def test_one_value_may_be_two_outputs_and_an_input_may_be_an_output():
    g = parse("{ x:float64[] -> s:float64[] = sin x -> s x s }")
    assert evaluate(vjp(g), 0.0, 2.0, 3.0, 5.0)[-1] == 10.0
    assert evaluate(jvp(g), 0.0, 2.0)[3:] == (2.0, 2.0, 2.0)


def test_derived_equations_have_the_line_of_the_equation_they_come_from():
    g = Graph()
    x = g.input(Type((), FLOAT))
    first, second = here(), here()
    y = g.emit("sin", x, source=first)
    g.outputs.append(g.emit("exp", y, source=second))
    lines = {e.name: e.source for e in vjp(g).equations}
    assert lines["cos"] == first
    derived = [e for e in vjp(g).equations if e.name == "mul"]
    assert [e.source for e in derived] == [second, first]


def test_cotangents_that_nobody_asked_for_are_not_emitted():
    g = parse("{ x:float64[] y:float64[] -> a:float64[] = tanh y  b:float64[] = mul x a -> b }")
    assert [e.name for e in vjp(g, [0]).equations] == ["tanh", "mul", "mul"]


def test_a_chain_of_100_000_equations_is_differentiated():
    g = Graph()
    y = g.input(Type((), FLOAT))
    for _ in range(50_000):
        y = g.emit("neg", g.emit("sin", y))
    g.outputs.append(y)
    assert evaluate(dce(vjp(g)), 0.0, 1.0)[1] == 1.0
    assert evaluate(jvp(g), 0.0, 1.0)[1] == 1.0


# --- every primitive, and random programs ----------------------------------------------------------


def sampled(dtype, names=tuple(TABLE)):
    found = [(f"{name}-{k}", case) for name in names for k, case in enumerate(cases(TABLE[name], dtype))]
    return [pytest.param(case, id=label) for label, case in found if case.differentiable()]


@pytest.mark.parametrize("case", sampled(np.float64))
def test_every_primitive_has_transposed_derivatives_as_equations(case):
    check_modes_agree(graph_of_case(case), case.args, np.random.default_rng(0), wrt=case.differentiable())


def test_a_derivative_that_is_not_stated_is_refused_not_taken_for_zero():
    case = next(cases(TABLE["gammainc"]))
    for transform in (jvp, vjp):
        with pytest.raises(UnsupportedError, match="gammainc has no derivative in its order"):
            transform(graph_of_case(case), [0])


@pytest.mark.parametrize(
    "case", sampled(np.float32, ("integer_pow", "maximum", "where", "amax", "prod", "index", "std", "norm"))
)
def test_single_precision_stays_single_precision(case):
    check_modes_agree(graph_of_case(case), case.args, np.random.default_rng(0), rtol=1e-5)


@given(SEEDS)
def test_forward_and_reverse_mode_of_random_programs_are_transposed(seed):
    rng = np.random.default_rng(seed)
    check_modes_agree(*fuzz_graph(rng), rng)


@given(SEEDS)
def test_hessians_of_random_programs_are_symmetric_and_agree_in_every_composition(seed):
    rng = np.random.default_rng(seed)
    check_hessian_is_symmetric(*fuzz_graph(rng, size=6), rng)


@given(SEEDS)
def test_dead_code_elimination_keeps_the_values_of_random_programs(seed):
    g, args = fuzz_graph(np.random.default_rng(seed))
    for a, b in zip(evaluate(verify(dce(g)), *args), evaluate(g, *args), strict=True):
        np.testing.assert_array_equal(a, b)


# --- inactive routes: docs/rules.md, rule 4 ---------------------------------------------------------


def derivatives(g, x, order):
    """d^order/dx^order of a scalar graph, by every stack of jvp and vjp."""
    found = []
    for stack in itertools.product((jvp, vjp), repeat=order):
        h, args = g, [x]
        for transform in stack:
            n = len(h.outputs)
            h = transform(h, [0])
            args += [1.0] if transform is jvp else [0.0] * (n - 1) + [1.0]
            h.outputs = h.outputs[-1:]
        found.append(float(evaluate(verify(dce(h)), *[*args[:1], *([1.0] * (len(h.inputs) - 1))])[0]))
    return found


WHERE_LOG = "{ x:float64[] -> c:bool[] = gt x 0.0  l:float64[] = log x  y:float64[] = where c l 0.0 -> y }"
WHERE_SQRT = WHERE_LOG.replace("log", "sqrt")
RELU_LOG = """{ x:float64[] -> r:float64[] = relu x  l:float64[] = log x  z:float64[] = mul r 0.0
  c:bool[] = gt r z  y:float64[] = where c l z -> y }"""
PICKED = """{ x:float64[] -> a:float64[1] = reshape x shape=(1,)  l:float64[1] = log a  s:float64[1] = neg a
  both:float64[2] = concatenate l s axis=0  y:float64[] = index both spec=(('int', 1),) -> y }"""


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("source", [WHERE_LOG, WHERE_SQRT, RELU_LOG], ids=["log", "sqrt", "relu"])
def test_a_branch_that_is_not_taken_contributes_nothing_in_any_order(source, order):
    assert derivatives(parse(source), 0.0, order) == [0.0] * 2**order


@pytest.mark.parametrize("order, slope", [(1, 0.5), (2, -0.25), (3, 0.25)])
def test_a_branch_that_is_taken_contributes_its_derivative_in_any_order(order, slope):
    assert derivatives(parse(WHERE_LOG), 2.0, order) == pytest.approx([slope] * 2**order, rel=1e-15)


def test_an_entry_that_is_not_picked_contributes_nothing():
    assert derivatives(parse(PICKED), 0.0, 1) == [-1.0, -1.0]
    assert derivatives(parse(PICKED), 0.0, 2) == [0.0] * 4


def test_a_product_with_a_truth_value_selects():
    g = parse(
        """{ x:float64[] -> c:bool[] = gt x 0.0  f:float64[] = cast c dtype=float64
           l:float64[] = sqrt x  y:float64[] = mul f l -> y }"""
    )
    assert derivatives(g, 0.0, 1) == [0.0, 0.0]
    assert derivatives(g, 0.0, 2) == [0.0] * 4


def test_zero_times_infinity_on_an_active_route_is_nan():
    g = parse("{ x:float64[] -> a:float64[] = sqrt x  b:float64[] = sqrt x  y:float64[] = mul a b -> y }")
    assert all(map(math.isnan, derivatives(g, 0.0, 1)))


# --- composites: docs/rules.md, rule 6 --------------------------------------------------------------

SOFTPLUS = lambda emit, x: emit("log", emit("add", 1.0, emit("exp", x)))
SIGMOID = lambda emit, x: emit("div", 1.0, emit("add", 1.0, emit("exp", emit("neg", x))))
ROOT = lambda emit, x: emit("sqrt", emit("mul", x, x))


def built(build):
    g = Graph()
    x = g.input(Type((), FLOAT))
    g.outputs.append(build(Emitter(g), x))
    return verify(g)


@pytest.mark.parametrize(
    "build, x, slope", [(SOFTPLUS, 1000.0, 1.0), (SIGMOID, -1000.0, 0.0), (ROOT, 0.0, 0.0)]
)
def test_a_composite_is_differentiated_as_one_function(build, x, slope):
    assert derivatives(built(build), x, 1) == [slope] * 2


def test_the_second_derivative_of_a_composite_is_that_of_the_function_it_is_read_as():
    s = 1 / (1 + math.exp(-0.5))
    assert derivatives(built(SOFTPLUS), 0.5, 2) == pytest.approx([s * (1 - s)] * 4, rel=1e-14)


def test_a_value_inside_a_composite_that_is_an_output_too_has_its_own_route():
    g = parse("{ x:float64[] -> e:float64[] = exp x  f:float64[] = log1p e as softplus x -> f e }")
    assert evaluate(vjp(g), 0.0, 0.0, 1.0)[-1] == 1.0
    assert evaluate(vjp(g), 0.0, 1.0, 0.0)[-1] == 0.5


@pytest.mark.parametrize("reduce", ["prod", "logsumexp", "norm"])
def test_a_choice_that_is_never_taken_behind_a_reduction(reduce):
    """The slope of a step is 0 whatever comes in, so the mask of its route is known before the program runs."""
    rows = {"prod": {"axis": 0}}.get(reduce, {"axis": (0,)})
    g = Graph()
    x = g.input(Type((2,), np.dtype(float)))
    emit = Emitter(g)
    g.outputs.append(emit("heaviside", emit(reduce, x, keepdims=False, **rows), 2.25))
    for transformed in (vjp(g), jvp(vjp(g), [0]), vjp(jvp(g))):
        rest = [np.ones(v.shape) for v in transformed.inputs[1:]]
        value, *slopes = evaluate(transformed, np.array([1.5, 2.0]), *rest)
        assert value == 1.0
        assert all(np.all(s == 0) for s in slopes)
