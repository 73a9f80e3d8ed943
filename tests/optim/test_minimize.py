"""What `minimize` takes, calls, shows and refuses."""

from __future__ import annotations

import csv
import itertools
import re
from types import SimpleNamespace

import numpy as np
import pytest

import chainrule as cr
from chainrule.optim.history import History, safe_cell


def f(w):
    return (w[0] - 2) ** 2 + (w[1] + 3) ** 2


@pytest.fixture(scope="module")
def converged():
    return cr.minimize(f, [0.0, 0.0])


@pytest.fixture(scope="module")
def stalled():
    return cr.minimize(f, cr.tensor([0.0, 0.0], dtype=cr.float32))


@pytest.mark.parametrize(
    "x0, dtype, shape",
    [
        (0.0, "float64", ()),
        ([0.0, 1.0], "float64", (2,)),
        (np.zeros((2, 3), np.float32), "float32", (2, 3)),
        (np.float32(1), "float32", ()),
        (cr.tensor([1.0], requires_grad=True), "float64", (1,)),
    ],
)
def test_the_start_keeps_its_dtype_and_shape(x0, dtype, shape):
    r = cr.minimize(lambda w: ((w - 3) ** 2).sum(), x0, lr=0.3, tol=1e-3)
    assert r.success
    assert (str(r.w.dtype), r.w.shape, r.grad.shape) == (dtype, shape, shape)
    assert r.w.requires_grad is False


def test_the_start_is_not_changed():
    x0 = cr.tensor([0.0, 0.0], requires_grad=True)
    cr.minimize(f, x0, maxiter=5)
    assert x0.tolist() == [0.0, 0.0]
    assert x0.grad is None


def test_value_and_gradient_are_those_of_the_returned_point(converged):
    a, b = converged.w.tolist()
    assert converged.value == (a - 2) ** 2 + (b + 3) ** 2
    assert converged.grad.tolist() == [2 * (a - 2), 2 * (b + 3)]
    assert all(converged.criteria.values())


def test_the_function_runs_once_per_step_and_once_at_the_end():
    calls = []
    r = cr.minimize(lambda w: calls.append(1) or f(w), [0.0, 0.0])
    assert len(calls) == r.steps + 1


def test_other_parameters_of_the_function_get_no_gradient():
    c = cr.tensor(2.0, requires_grad=True)
    r = cr.minimize(lambda w: (w - c) ** 2, 0.0, lr=0.3)
    assert r.w.item() == pytest.approx(2.0)
    assert c.grad is None


def test_it_runs_under_no_grad():
    with cr.no_grad():
        assert cr.minimize(lambda w: (w - 2) ** 2, 0.0, lr=0.3).success


# --- callback and progress ----------------------------------------------------------------------------


def test_a_callback_sees_value_and_gradient_of_one_point():
    seen = []
    cr.minimize(
        lambda w: w**2,
        1.0,
        lr=0.25,
        maxiter=2,
        callback=lambda s: seen.append((s.step, s.w.item(), s.value, s.grad.item(), s.norm)),
    )
    assert seen == [(0, 1.0, 1.0, 2.0, 2.0), (1, 0.5, 0.25, 1.0, 1.0), (2, 0.25, 0.0625, 0.5, 0.5)]


def stop_by_exception(s):
    if s.step == 3:
        raise StopIteration


@pytest.mark.parametrize("callback", [lambda s: s.step == 3, stop_by_exception])
def test_a_callback_ends_the_descent_where_it_is(callback):
    r = cr.minimize(lambda w: w**2, 1.0, lr=0.25, callback=callback)
    assert (r.status, r.steps, r.w.item()) == ("interrupted", 3, 0.125)
    assert "by the callback" in r.message


def test_nothing_is_shown_where_nobody_watches(capsys):
    cr.minimize(f, [0.0, 0.0])
    assert capsys.readouterr() == ("", "")


def test_progress_shows_rows_where_output_is_no_terminal(capsys):
    cr.minimize(f, [0.0, 0.0], progress=True)
    rows = [line.split()[0] for line in capsys.readouterr().err.splitlines()]
    assert rows == ["k", "1", "5", "10", "50", "100", "500", "converged"]


def test_progress_is_one_line_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    clock = itertools.count()
    monkeypatch.setattr("chainrule.optim.progress.time.monotonic", lambda: next(clock) / 1000)  # 1 ms a step
    cr.minimize(f, [0.0, 0.0], progress=True)
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert shown.endswith("converged\n")
    assert len(re.findall("\r", shown)) == 9  # ten times a second: 8 in 783 ms, and the last


def test_progress_is_one_output_in_a_notebook(monkeypatch):
    shown, made = [], []

    class Handle:
        def update(self, words):
            shown.append(words)

    def display(words, display_id):
        made.append(display_id)
        shown.append(words)
        return Handle()

    IPython = pytest.importorskip("IPython")
    monkeypatch.setattr(IPython, "get_ipython", lambda: SimpleNamespace(kernel=object()))
    monkeypatch.setattr("IPython.display.display", display)
    clock = itertools.count()
    monkeypatch.setattr("chainrule.optim.progress.time.monotonic", lambda: next(clock) / 1000)  # 1 ms a step
    cr.minimize(f, [0.0, 0.0], progress=True)
    assert made == [True]
    assert len(shown) == 5  # four times a second: 4 in 783 ms, and the last
    assert repr(shown[-1]).endswith("converged")
    assert "<pre>descending" in shown[0]._repr_mimebundle_()["text/html"]


def test_a_quick_run_shows_nothing_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    cr.minimize(lambda w: w**2, 1.0, lr=0.4)
    assert capsys.readouterr().err == ""


def test_a_function_gets_the_rows():
    lines = []
    cr.minimize(f, [0.0, 0.0], maxiter=10, progress=lines.append)
    assert len(lines) == 5


# --- what is printed -------------------------------------------------------------------------------------


def test_the_table_and_the_verdict_of_convergence(converged):
    lines = str(converged).splitlines()
    assert [line.split() for line in lines[1:6]] == [
        ["1", "1.3000e+01", "7.211e+00", "6.0e-02"],
        ["10", "9.0368e+00", "6.012e+00", "5.0e-02"],
        ["100", "2.3807e-01", "9.759e-01", "8.1e-03"],
        ["500", "2.2781e-08", "3.019e-04", "2.5e-06"],
        ["783", "2.4633e-13", "9.926e-07", "8.3e-09"],
    ]
    assert lines[6] == "converged in 783 steps: ‖∇L‖ = 9.73e-07 ≤ tol 1e-06      w = [1.9999997, -2.9999996]"
    assert lines[7] == (
        "each step multiplies the error by 0.98 (= 1 - 2·lr), so 783 steps were to be expected; lr = 0.5 would need 2."
    )


def test_the_repr_shows_the_criteria(converged):
    head, criteria, measured = repr(converged).splitlines()
    assert head.startswith(
        "Descent(status='converged', w=tensor([ 2.0000, -3.0000]), value=2.366e-13, steps=783)"
    )
    assert criteria.count("yes") == 4
    assert "not one step earlier" in measured


def test_a_stall_names_coordinate_spacing_step_and_cures(stalled):
    why = stalled.why()
    w = np.float32(stalled.w.numpy()[1])
    assert f"w[1] = {w.item():.8g} is {np.spacing(w).item().__abs__():.1e} away" in why
    assert "w[1] = -2.9999943 is 2.4e-07 away" in why
    assert "lr·|∂L/∂w[1]| = 1.144e-07 is less than half of that" in why
    assert "9341 of the 10000 steps would change nothing" in why
    assert 'dtype="float64" → converges in 783 steps' in why
    assert "lr=0.2 → 33 steps in float32" in why
    assert "tol=2e-05" in why


def test_the_cures_of_a_stall_hold(stalled):
    x0 = cr.tensor([0.0, 0.0], dtype=cr.float32)
    assert cr.minimize(f, x0, lr=0.2).steps == 33
    assert cr.minimize(f, x0.double()).steps == 783
    assert cr.minimize(f, x0, tol=2e-5).success


def test_exactly_half_a_spacing_is_said_to_round_to_even():
    r = cr.minimize(
        lambda w: (w - 1000.1) ** 2 / 2, cr.tensor(0.0, dtype=cr.float32), lr=1e-3, maxiter=20_000
    )
    assert "half of that, and rounds to the even one" in r.why()


def test_coordinates_can_be_named(stalled):
    assert "∂L/∂height" in stalled.named(["width", "height"]).why()
    with pytest.raises(ValueError, match="1 names for 2 coordinates"):
        stalled.named(["one"])


# --- history, pictures, files ----------------------------------------------------------------------------


def test_history_is_a_table_of_all_steps(converged):
    h = converged.history
    assert len(h) == 783
    assert (h[0].step, h[0].value, h[-1].step) == (1, 13.0, 783)
    assert h.path[1] == pytest.approx((0.04, -0.06))
    assert h.largest[0] == pytest.approx(0.06)


def test_a_long_history_is_thinned_and_says_so():
    h = History(1, kept=10)
    for k in range(1, 102):
        h.add(k, float(k), 1.0, 1.0, (float(k),))
    h.add_last(101, 101.0, 1.0, 1.0, (101.0,))
    assert len(h) <= 12
    assert h.every == 16
    assert h.steps == [1, 17, 33, 49, 65, 81, 97, 101]
    assert [int(p[0]) for p in h.path] == h.steps
    assert "every 16th is kept" in str(h)


def test_two_unknowns_are_drawn_with_their_path(converged):
    d = converged.plot()
    assert d.paths[0].label == "descent, 783 steps"
    assert d.contours
    assert converged.plot("convergence").curves[0].ys[0] == pytest.approx(np.sqrt(52))


def test_one_unknown_is_drawn_as_convergence_and_has_no_path():
    r = cr.minimize(lambda w: w**2, 1.0, lr=0.25)
    assert r.plot().log_y
    with pytest.raises(ValueError, match="two unknowns"):
        r.plot("path")


def test_the_file_has_a_row_per_step(converged, tmp_path):
    converged.to_csv(tmp_path / "path.csv")
    with open(tmp_path / "path.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["step", "value", "norm", "largest_step", "w[0]", "w[1]"]
    assert len(rows) == 784
    assert float(rows[2][5]) == -0.06


@pytest.mark.parametrize("name", ["=cmd()", "+1", "-1", "@x", "\tx"])
def test_a_name_that_a_spreadsheet_would_run_is_quoted(name, tmp_path):
    r = cr.minimize(lambda w: w**2, 1.0, maxiter=1).named([name])
    r.to_csv(tmp_path / "path.csv")
    with open(tmp_path / "path.csv", encoding="utf-8", newline="") as file:
        assert next(csv.reader(file))[-1] == f"'{name}"
    assert safe_cell("w") == "w"


# --- refusals --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: cr.minimize(f, [0.0, 0.0], lr=0), ValueError, "would stay where it is"),
        (lambda: cr.minimize(f, [0.0, 0.0], lr=-0.1), ValueError, "minimise -f"),
        (lambda: cr.minimize(f, [0.0, 0.0], lr=float("nan")), ValueError, "one finite number"),
        (lambda: cr.minimize(f, [0.0, 0.0], tol=-1), ValueError, "tol=-1"),
        (lambda: cr.minimize(f, [0.0, 0.0], maxiter=-1), ValueError, "maxiter=-1"),
        (lambda: cr.minimize(f, [0.0, 0.0], maxiter=1.5), ValueError, "whole number of steps"),
        (lambda: cr.minimize(f, [0.0, 0.0], "newton"), ValueError, "'gradient_descent'"),
        (lambda: cr.minimize(f, [0.0, 0.0], progress="yes"), ValueError, "progress='yes'"),
        (lambda: cr.minimize(3.0, f), TypeError, "first a function"),
        (lambda: cr.minimize(f, [0, 0]), TypeError, r"write the numbers with a point \(1. instead of 1\)"),
        (lambda: cr.minimize(f, [0.0, float("inf")]), ValueError, r"x0\[1\] = inf"),
        (lambda: cr.minimize(f, []), ValueError, "no entries"),
        (lambda: cr.minimize(f, [1j, 0.0]), TypeError, "complex"),
        (lambda: cr.minimize(lambda w: w * 2, [0.0, 1.0]), RuntimeError, "returns 2 numbers"),
        (lambda: cr.minimize(lambda w: (w, w), [0.0, 1.0]), TypeError, "tuple of 2"),
        (lambda: cr.minimize(lambda w: None, 0.0), TypeError, "return L"),
        (
            lambda: cr.minimize(lambda w: cr.tensor(3.0) * 2, 0.0),
            RuntimeError,
            "does not depend on the argument",
        ),
        (lambda: cr.minimize(lambda w: w.item() ** 2, 0.0), RuntimeError, r"leave out item\(\)"),
        (lambda: cr.minimize(lambda w: w.detach() ** 2, 0.0), RuntimeError, r"leave detach\(\) out"),
    ],
)
def test_bad_input_is_refused_with_the_line_and_a_way_out(call, error, words):
    with pytest.raises(error, match=words) as info:
        call()
    assert "to fix it:" in str(info.value)
    assert "test_minimize.py" in str(info.value)


def test_an_error_inside_the_function_is_the_functions_own():
    with pytest.raises(KeyError, match="mine"):
        cr.minimize(lambda w: {}["mine"], 0.0)
