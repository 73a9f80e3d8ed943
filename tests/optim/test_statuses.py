"""Each status of `minimize`, against the same iteration in plain NumPy."""

from __future__ import annotations

import math
import signal

import numpy as np
import pytest
import simulate

import chainrule as cr


def f(w):
    return (w[0] - 2) ** 2 + (w[1] + 3) ** 2


def start(dtype):
    return cr.tensor([0.0, 0.0], dtype=dtype)


def test_in_float64_the_lectures_descent_converges_in_783_steps():
    r = cr.minimize(f, [0.0, 0.0], lr=1e-2, tol=1e-6, maxiter=10_000)
    closed_form = 1 + math.ceil(math.log(1e-6 / math.sqrt(52)) / math.log(0.98))
    assert (r.status, r.steps) == ("converged", 783)
    assert closed_form == 783
    assert simulate.descend(simulate.bowl, [0, 0], 0.01, 800, np.float64).steps_to(1e-6) == 783


@pytest.mark.parametrize("lr, steps", [(0.2, 33), (0.5, 2)])
def test_a_larger_rate_converges_in_float32(lr, steps):
    r = cr.minimize(f, start(cr.float32), lr=lr)
    assert (r.status, r.steps) == ("converged", steps)
    assert simulate.descend(simulate.bowl, [0, 0], lr, 50, np.float32).steps_to(1e-6) == steps


@pytest.mark.parametrize("lr, steps", [(0.01, 660), (0.1, 72)])
def test_in_float32_it_stalls_with_the_first_step_that_changes_nothing(lr, steps):
    r = cr.minimize(f, start(cr.float32), lr=lr)
    same = simulate.descend(simulate.bowl, [0, 0], lr, 1000, np.float32)
    assert (r.status, r.steps) == ("stalled", steps)
    assert same.first_unchanged == steps
    assert r.w.tolist() == same.points[steps].tolist()
    assert r.norm == pytest.approx(same.norms[steps], rel=1e-6)


def test_the_spacing_near_a_thousand_stops_a_small_rate():
    r = cr.minimize(
        lambda w: (w - 1000.1) ** 2 / 2, cr.tensor(0.0, dtype=cr.float32), lr=1e-3, maxiter=20_000
    )
    c = np.float32(1000.1)
    same = simulate.descend(lambda w: w - c, [0.0], 1e-3, 11_000, np.float32)
    assert r.status == "stalled"
    assert r.steps == same.first_unchanged == 10_277
    assert "last moved with step 10276" in r.why()
    assert r.grad.item() == -0.030517578125


def test_a_circle_of_rounding_is_cycling():
    r = cr.minimize(f, start(cr.float32), lr=0.9)
    same = simulate.descend(simulate.bowl, [0, 0], 0.9, 2000, np.float32)
    assert r.status == "cycling"
    assert r.steps < 200
    assert np.array_equal(same.points[1998], same.points[2000])
    assert not np.array_equal(same.points[1999], same.points[2000])
    assert r.evidence.period == 2
    assert f"{r.norm:.3g}" == f"{same.norms[-1]:.3g}" == "1.07e-06"


def test_leaping_to_and_fro_is_oscillating():
    r = cr.minimize(f, start(cr.float32), lr=1.0)
    same = simulate.descend(simulate.bowl, [0, 0], 1.0, 1000, np.float32)
    assert r.status == "oscillating"
    assert r.steps < 20
    assert set(same.norms) == {same.norms[0]}
    assert "stays 7.21" in r.message


def test_oscillation_is_seen_where_no_point_comes_back_exactly():
    # the slow coordinate never repeats a point, and its gradient is lost beside the one that leaps
    r = cr.minimize(lambda w: abs(w[0] - 0.3) + 1e-9 * w[1] ** 2, [0.0, 1.0], lr=0.25)
    assert r.status == "oscillating"
    assert r.steps < 500


def test_overshooting_ever_further_has_diverged_long_before_it_overflows():
    r = cr.minimize(f, start(cr.float32), lr=1.1)
    same = simulate.descend(simulate.bowl, [0, 0], 1.1, 480, np.float32)
    assert r.status == "diverged"
    assert r.steps < 50
    assert np.isnan(same.points[-1]).any()
    assert (r.at_step, r.w.tolist(), r.value) == (0, [0.0, 0.0], 13.0)


def test_an_overflow_within_a_few_steps_has_diverged():
    r = cr.minimize(lambda w: w**4, 10.0, lr=1.0)
    assert (r.status, r.at_step) == ("diverged", 0)
    assert r.steps < 10


def test_a_function_without_a_minimum_has_diverged_and_says_that_it_falls():
    r = cr.minimize(lambda w: -(w**2), 1.0, lr=0.1, maxiter=100_000)
    assert r.status == "diverged"
    assert "falls without bound" in r.message
    assert math.isfinite(r.value)


@pytest.mark.parametrize(
    "function, x0, words",
    [
        (lambda w: cr.relu(w - 1).sum(), [0.0, 0.0], "flat piece"),
        (lambda w: w[0] ** 2 - w[1] ** 2, [0.0, 0.0], "a maximum or a saddle"),
        (lambda w: w**2, 0.0, "the minimum already"),
    ],
)
def test_a_gradient_of_zero_at_the_start_is_flat_and_the_neighbourhood_is_looked_at(function, x0, words):
    r = cr.minimize(function, x0)
    assert (r.status, r.steps, r.norm, r.success) == ("flat", 0, 0.0, False)
    assert words in r.why()


def test_the_limit_of_steps_is_max_iterations_and_the_rest_is_estimated():
    r = cr.minimize(lambda w: (w - 2) ** 2, 0.0, maxiter=100)
    assert (r.status, r.steps) == ("max_iterations", 100)
    assert r.w.item() == pytest.approx(2 - 2 * 0.98**100, rel=1e-12)
    needed = 1 + math.ceil(math.log(1e-6 / 4) / math.log(0.98))
    assert f"about {needed} steps" in r.why()


def test_no_steps_at_all_measure_the_start():
    r = cr.minimize(f, [0.0, 0.0], maxiter=0)
    assert (r.status, r.steps, r.value, r.grad.tolist()) == ("max_iterations", 0, 13.0, [-4.0, 6.0])


def test_a_step_out_of_the_domain_is_not_finite_and_the_best_point_is_kept():
    r = cr.minimize(
        lambda w: w - cr.log(w), 0.1, lr=1.0
    )  # slope 1 − 1/w: the first step leads from 0.1 to 9.1
    seen = cr.minimize(lambda w: cr.log(w), 0.5, lr=1.0)  # 0.5 − 2 < 0
    assert r.status == "converged"
    assert (seen.status, seen.steps, seen.at_step, seen.w.item()) == ("non_finite", 1, 0, 0.5)
    assert "w = -1.5" in seen.message


def test_a_start_outside_the_domain_is_not_finite():
    r = cr.minimize(lambda w: cr.log(w), -1.0)
    assert (r.status, r.steps) == ("non_finite", 0)
    assert "this is the start" in r.why()


def test_ctrl_c_returns_the_best_point_so_far():
    calls = []

    def interrupted(w):
        calls.append(w.item())
        if len(calls) == 50:
            signal.raise_signal(signal.SIGINT)
        return (w - 2) ** 2

    r = cr.minimize(interrupted, 0.0)
    assert (r.status, r.at_step) == ("interrupted", 48)
    assert r.w.item() == calls[48]
    assert r.value == (calls[48] - 2) ** 2
    assert r.grad.item() == 2 * (calls[48] - 2)


def test_ctrl_c_before_anything_was_measured_is_passed_on():
    def interrupted(w):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cr.minimize(interrupted, 0.0)


def test_without_strict_the_lectures_loop_runs_to_its_limit():
    r = cr.minimize(f, start(cr.float32), lr=1e-2, maxiter=3000, strict=False)
    same = simulate.descend(simulate.bowl, [0, 0], 0.01, 3000, np.float32)
    assert (r.status, r.steps) == ("max_iterations", 3000)
    assert r.w.tolist() == same.points[-1].tolist()
    assert f"{r.norm:.6g}" == "1.27949e-05"
    assert "w has not changed since step 659" in r.why()


def test_without_strict_the_overflow_is_reached_by_step_480():
    r = cr.minimize(f, start(cr.float32), lr=1.1, strict=False)
    assert r.status == "diverged"
    norms = simulate.descend(simulate.bowl, [0, 0], 1.1, 500, np.float32).norms
    assert r.steps == 480
    assert next(k for k, norm in enumerate(norms, 1) if np.isnan(norm)) == 480
    assert np.isnan(r.value)


def test_a_function_that_answers_differently_each_time_is_not_called_stalled():
    slopes = iter([1e-20, *[1.0] * 10])  # the first step is lost to rounding, the next ones are not
    r = cr.minimize(lambda w: w * next(slopes), 1.0, lr=0.125, tol=0.0, maxiter=5)
    assert r.status == "max_iterations"
    assert r.w.item() == 1.0 - 4 * 0.125


def test_a_norm_within_tol_one_step_earlier_is_not_enough():
    # the step that begins within the tolerance leads out of it: the descent goes on
    r = cr.minimize(lambda w: -(w**2) / 2, 1e-7, lr=100.0, tol=1e-6, maxiter=3)
    assert r.criteria["‖∇L‖ ≤ 1e-06"] is False
    assert r.status != "converged"


def test_a_slope_that_does_not_fall_is_not_said_to_fall():
    """‖∇ log w‖ = 1/w rises on the way down, and that of |w| is 1 for ever."""
    for f in (lambda w: cr.log(w), lambda w: cr.abs(w)):
        assert "and falling" not in str(cr.minimize(f, 1.0, lr=0.01, maxiter=200, progress=False))


def test_a_function_without_a_minimum_is_said_to_be_one():
    assert "a function that has a minimum" in str(
        cr.minimize(lambda w: 1 * w, 1.0, maxiter=50, progress=False)
    )
