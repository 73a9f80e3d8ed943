"""The verifier of plans passes right plans and stops wrong ones, and what it passes computes the right thing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.codegen import on_numpy, samples
from chainrule.codegen.on_numpy import NumpyProgram
from chainrule.codegen.plan import Plan
from chainrule.codegen.prepare import prepare
from chainrule.codegen.steps import Kernel, Phase
from chainrule.codegen.verify_plan import verify_plan
from chainrule.errors import GraphError
from chainrule.transforms.reverse import vjp
from tests.codegen.agreement import check_agreement
from tests.codegen.programs import arguments, program
from tests.codegen.test_program import given_arrays

RNG = np.random.default_rng(0)


def plan_of(f, *shapes, **how):
    return Plan(prepare(cr.graph_of(f, *[RNG.normal(size=s) for s in shapes])), **how)


def standardised(x):
    return (((x - x.mean(0)) / x.std(0)) ** 3).sum()


def softened(x):
    return (cr.softmax(cr.sin(x), 1) ** 2).sum()


def layers(x, w, v):
    return (cr.tanh(cr.sin(x) @ w) @ v).sum()


def phases(plan):
    return [s for s in plan.steps if isinstance(s, Phase)]


def outputs(plan, place):
    return [(k, o) for s in phases(plan) for k in s.kernels for o in k.outputs if o.place == place]


# --- planted mistakes --------------------------------------------------------------------------------


def test_a_step_too_early_is_stopped():
    plan = plan_of(standardised, (100, 3))
    verify_plan(plan)
    plan.steps.reverse()
    with pytest.raises(GraphError, match="reads what is not there"):
        verify_plan(plan)


def test_a_kernel_of_a_tile_too_early_is_stopped():
    plan = plan_of(softened, (100, 3))
    verify_plan(plan)
    phases(plan)[0].kernels.reverse()
    with pytest.raises(GraphError, match="reads what is not there") as stopped:
        verify_plan(plan)
    assert "test_plans.py" in str(stopped.value)


def test_a_value_that_nothing_makes_is_stopped():
    plan = plan_of(softened, (100, 3))
    del phases(plan)[0].kernels[0]
    with pytest.raises(GraphError, match="reads what is not there"):
        verify_plan(plan)
    plan = plan_of(softened, (100, 3))
    del plan.steps[-1]
    with pytest.raises(GraphError, match="no step makes a result"):
        verify_plan(plan)


def test_a_tile_that_is_read_after_its_phase_is_stopped():
    """What the first phase keeps in its tiles, and the second one then believes to be there."""
    plan = plan_of(lambda x: (y := cr.exp(cr.sin(x)) * x) / (y * y).sum() + y, (200,))
    first, second = phases(plan)
    plan.tiles[0] = plan.tiles[1] = {e.outs[0] for e in plan.graph.equations if e.name == "exp"}
    made = plan._kernel(next(e for e in plan.graph.equations if e.name == "exp"), 0)
    first.kernels.insert(0, made)
    assert second.number == 1
    with pytest.raises(GraphError, match="reads what is not there"):
        verify_plan(plan)


def test_a_sum_that_is_read_in_its_own_phase_is_stopped():
    plan = plan_of(standardised, (100,))
    first, *rest = phases(plan)
    for phase in rest:
        first.kernels += phase.kernels
    plan.steps = [s for s in plan.steps if not isinstance(s, Phase)]
    plan.steps.insert(0, first)
    for kernel in first.kernels:
        kernel.phase = first.number
    with pytest.raises(GraphError, match=r"reads a sum before|reads what is not there"):
        verify_plan(plan)


def test_other_samples_of_the_same_phase_are_stopped(monkeypatch):
    """A planner that forgets at which samples a flipped value is read: the plan is stopped, and NumPy cannot run it."""
    monkeypatch.setattr(samples.SampleAxis, "elsewhere", lambda self, e: [])
    f = lambda x: ((y := cr.sin(x)) * cr.flip(y, [0])).sum() + (y * 2).sum()
    plan = plan_of(f, (200,), tile=32)
    with pytest.raises(GraphError, match="reads other samples than its own"):
        verify_plan(plan)
    monkeypatch.setattr(on_numpy, "planned", lambda graph, **how: plan)
    with pytest.raises(ValueError, match="buffer"):
        NumpyProgram(plan.graph)([np.ones(200)])


@pytest.mark.parametrize("dim", [0, 2, 3])
def test_a_reshaped_value_may_be_read_backwards_beside_the_samples(dim):
    """The samples are its middle axis; what lies before and behind them is turned round, and read at the own sample."""
    f = lambda x: (y := cr.tanh(x), cr.flip(y.reshape(5, 90, 2, 2), [dim]))
    x = RNG.normal(size=(5, 90, 4))
    plan = verify_plan(plan_of(f, x.shape, tile=32))
    assert len(phases(plan)) == 1
    flipped = NumpyProgram(cr.graph_of(f, x), tile=32)([x])[1]
    np.testing.assert_array_equal(flipped, np.flip(np.tanh(x).reshape(5, 90, 2, 2), dim))


def test_a_value_that_is_written_twice_is_stopped():
    plan = plan_of(softened, (100, 3))
    phases(plan)[0].kernels.append(phases(plan)[0].kernels[0])
    with pytest.raises(GraphError, match="written twice"):
        verify_plan(plan)


def test_another_place_than_the_planned_one_is_stopped():
    plan = plan_of(softened, (100, 3))
    outputs(plan, "tile")[0][1].place = "whole"
    with pytest.raises(GraphError, match="not that of the value"):
        verify_plan(plan)


def test_loops_that_miss_entries_are_stopped():
    plan = plan_of(layers, (100, 20), (20, 24), (24, 17))
    verify_plan(plan)
    _, o = next((k, o) for k, o in outputs(plan, "tile") if len(o.idx) == 2)
    (a, _, _), (b, _, _) = o.idx
    o.idx = ((a, 1, 0), (b, 2, 0))
    with pytest.raises(GraphError, match="do not run through"):
        verify_plan(plan)


def test_chunks_that_cut_tiles_are_stopped():
    plan = plan_of(softened, (200, 3), tile=32)
    plan.axis.extent += 1
    with pytest.raises(GraphError, match="chunks"):
        verify_plan(plan)


# --- what passes is right ------------------------------------------------------------------------------


def damaged(plan, rng):
    """The plan with one random change of the order or the extent of what is done."""
    found = phases(plan)
    kernels = rng.choice(found).kernels if found else []
    kind = rng.integers(5)
    if kind == 0 and len(plan.steps) > 1:
        i, j = rng.choice(len(plan.steps), 2, replace=False)
        plan.steps[i], plan.steps[j] = plan.steps[j], plan.steps[i]
    elif kind == 1 and len(kernels) > 1:
        i, j = rng.choice(len(kernels), 2, replace=False)
        kernels[i], kernels[j] = kernels[j], kernels[i]
    elif kind == 2 and len(kernels) > 1:
        del kernels[rng.integers(len(kernels))]
    elif kind == 3:
        for k in [k for k in kernels if isinstance(k, Kernel)]:
            k.outputs.reverse()
    elif kind == 4 and plan.steps:
        del plan.steps[rng.integers(len(plan.steps))]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9), st.integers(0, 1))
def test_a_damaged_plan_is_stopped_or_still_right(seed, order):
    """Memory begins as something wrong, so that what is read too early shows."""
    rng = np.random.default_rng(seed)
    args = arguments(rng)
    g = cr.graph_of(program(seed), *args)
    g = vjp(g, [0]) if order else g
    plan = verify_plan(Plan(prepare(g), tile=32))
    damaged(plan, rng)
    try:
        verify_plan(plan)
    except GraphError:
        return
    arrays = given_arrays(g, args)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(on_numpy, "planned", lambda graph, **how: plan)
        patch.setattr(np, "empty", lambda shape, dtype=float: np.full(shape, 77, dtype))
        found = NumpyProgram(g)(arrays)
    check_agreement(found, g, arrays)


def test_damage_is_mostly_stopped():
    """The test above stops plans, and runs some."""
    stopped = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        plan = Plan(prepare(vjp(cr.graph_of(standardised, np.ones((100, 3))))), tile=32)
        damaged(plan, rng)
        try:
            verify_plan(plan)
        except GraphError:
            stopped += 1
    assert 10 <= stopped < 40
