"""Long programs: steps of planning and writing grow as the program does, and kernels and recursion stay short."""

import sys

import numpy as np
import pytest

import chainrule as cr
from chainrule.codegen import emit, functions, fuse
from chainrule.codegen.alike import Likeness
from chainrule.codegen.emit import Writer
from chainrule.codegen.kernel import KernelWriter
from chainrule.codegen.plan import Plan
from chainrule.codegen.prepare import planned
from chainrule.codegen.program import Program
from chainrule.codegen.schedule import Slots
from chainrule.codegen.steps import Kernel, Phase
from chainrule.ir.evaluate import evaluate
from chainrule.passes.cse import cse
from chainrule.passes.dce import dce
from chainrule.record.graph_of import graph_of
from tests.codegen.programs import arguments
from tests.codegen.programs import program as random_program

X = np.linspace(-1.0, 1.0, 100)


def chain(n):
    def f(x):
        for _ in range(n // 3):
            x = cr.sin(x) * 0.9 + 0.1
        return x.sum()

    return f


def wide(n):
    return lambda x: sum(cr.sin(x * float(k)) for k in range(n // 3)).sum()


def products(n):
    a = np.eye(4) * 0.5

    def f(x):
        y = x[:16].reshape(4, 4)
        for _ in range(n // 2):
            y = cr.tanh(y @ a)
        return y.sum()

    return f


def phases(n):
    """Sums over the samples that are read along the samples again."""

    def f(x):
        for _ in range(n // 4):
            x = x - (x * x).sum() * 1e-3
        return x.sum()

    return f


def calls(n):
    def f(x):
        for _ in range(n // 2):
            x = cr.cumsum(x, 0) * 0.5
        return x.sum()

    return f


def views(n):
    def f(x):
        for _ in range(n):
            x = x.flip(0)
        return x.sum()

    return f


PROGRAMS = [chain, wide, products, phases, calls]


def gradient_of(program, n):
    return dce(cse(dce(graph_of(program(n), X)).vjp()))


def written(graph, grouped=False):
    """The plan and the text of a graph; kernels that follow each other `grouped` in one step."""
    plan = Plan(graph)
    writer = Writer(plan, Slots())
    if grouped:
        writer.kernels([s for s in plan.steps if isinstance(s, Kernel)])
    for step in plan.steps:
        if isinstance(step, Kernel) and not grouped:
            writer.kernels([step])
        elif isinstance(step, Phase):
            writer.phase(step)
    return plan, writer.text()


def steps_of(work):
    """Calls of Python and C functions: what a time would measure, and the same in every run."""
    count = 0

    def note(frame, event, arg):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("program", PROGRAMS)
def test_twice_the_program_takes_twice_the_steps(program):
    graphs = [gradient_of(program, n) for n in (120, 240)]
    written(graphs[0])  # what is made once
    short, long = (steps_of(lambda g=g: written(g)) / len(g.equations) for g in graphs)
    assert long < 1.2 * short


@pytest.mark.parametrize("program", PROGRAMS)
def test_passes_take_twice_the_steps(program):
    counts = []
    for n in (120, 240):
        f = program(n)
        g = graph_of(f, X)
        counts.append(steps_of(lambda g=g: dce(cse(g.vjp()))) / len(g.equations))
    assert counts[1] < 1.2 * counts[0]


@pytest.mark.parametrize("program", PROGRAMS)
def test_recording_takes_twice_the_steps(program):
    record = lambda n: graph_of(cr.value_and_grad(program(n)), X)
    record(30)
    short, long = (steps_of(lambda n=n: record(n)) / n for n in (120, 240))
    assert long < 1.2 * short


def test_the_text_grows_with_the_program():
    short, long = (len(written(gradient_of(chain, n))[1]) for n in (400, 800))
    assert long < 2.2 * short


def test_no_function_calls_very_many_kernels():
    _, text = written(gradient_of(products, 1200), grouped=True)
    assert max(f.count("  call void @") for f in text.split("\ndefine ")) <= emit._CALLS


def test_no_kernel_is_much_longer_than_the_limit():
    plan, _ = written(gradient_of(chain, 3000))
    kernels = [k for s in plan.steps if isinstance(s, Phase) for k in s.kernels]
    assert len(kernels) > 1
    assert max(len(k.outputs) for k in kernels) <= fuse.MOST


@pytest.mark.parametrize("program", [chain, wide, phases, views])
def test_deep_programs_need_no_deep_stack(program):
    g = dce(graph_of(program(3000), X))
    limit = sys.getrecursionlimit()
    depth = sum(1 for _ in _frames())
    sys.setrecursionlimit(depth + 150)
    try:
        plan, text = written(g)
    finally:
        sys.setrecursionlimit(limit)
    assert len(plan.graph.equations) > 1000
    assert "define " in text


def _frames():
    frame = sys._getframe()
    while frame is not None:
        yield frame
        frame = frame.f_back


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_long_program_gives_what_the_reference_engine_gives(program):
    g = gradient_of(program, 150)
    for ours, theirs in zip(Program(g)([X, 1.0]), evaluate(g, X, np.float64(1.0)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def formulas(x):
    y = cr.sigmoid(x) + cr.exp(-x) * cr.atan2(x, cr.cosh(x)) + cr.logaddexp(x, 0.5 * x)
    return y + cr.erf(x) + cr.where(x > 0, cr.log(x + 2.0), cr.sin(3e5 * x))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_functions_of_a_module_compute_what_is_written_in_place(monkeypatch, dtype):
    """To the last bit: the formulas are the same."""
    g = dce(graph_of(formulas, X.astype(dtype)))
    inlined = Program(g)
    monkeypatch.setattr(functions, "_OFTEN", 1)
    called = Program(g)
    assert " @exp." in called.text
    assert " @exp." not in inlined.text
    given = [X.astype(dtype)]
    assert np.array_equal(called(given)[0], inlined(given)[0])


def test_kernels_that_are_alike_are_written_once():
    text = [written(gradient_of(products, n))[1].count("define internal void @kernel") for n in (60, 120)]
    assert text[0] == text[1] < 30


@pytest.mark.parametrize("program", [*PROGRAMS, *range(40)])
def test_kernels_with_equal_keys_have_equal_texts(program):
    """And their pointers stand for the values that the keys name alike."""
    if isinstance(program, int):
        xs = arguments(np.random.default_rng(program))
        with np.errstate(all="ignore"):
            graph = cse(dce(graph_of(random_program(program, size=30), *xs)))
    else:
        graph = gradient_of(program, 60)
    plan = planned(graph)
    known = {}
    for kernel, phase in kernels_of(plan):
        like = Likeness(plan, kernel, phase)
        if like.key is None:
            continue
        writer = KernelWriter(plan, kernel, phase)
        lines = writer.lines()
        pointers = [like.values[p[0] if isinstance(p, tuple) else p] for p in writer.pointers]
        assert known.setdefault(like.key, (lines, pointers)) == (lines, pointers)


def kernels_of(plan):
    for s in plan.steps:
        if isinstance(s, Kernel):
            yield s, None
        elif isinstance(s, Phase):
            yield from ((k, s) for k in s.kernels if isinstance(k, Kernel))


def test_vectors_are_no_longer_than_their_axis():
    """4 × 4 matrices: no masks, and no lanes that compute nothing."""
    _, text = written(gradient_of(products, 20))
    assert "<4 x double>" in text
    assert "<32 x double>" not in text
