"""f.report(): what is fused, tiled, kept, repeated and left to NumPy; bytes and operations against closed forms."""

import json

import numpy as np
import pytest

import chainrule as cr
from chainrule.codegen import jit
from chainrule.codegen.counted import flop_of, kernels_in
from chainrule.codegen.machine import measured

pytestmark = pytest.mark.skipif(not jit.is_available(), reason="llvmlite knows no target here")

N = 4096
X = np.linspace(0.1, 1.0, N)


def report_of(f, *args, times=False):
    f = cr.compile(f)
    f(*args)
    return f.report(times=times)


@pytest.mark.parametrize(
    "f, args, flop",
    [
        (lambda x: x + x, (X,), N),
        (lambda x: x * x - 3 * x, (X,), 3 * N),
        (lambda x: (x * x).sum(), (X,), 2 * N),
        (lambda x: (x * x).sum(0), (X.reshape(64, 64),), 2 * N),
        (lambda a, b: a @ b, (np.ones((N, 4)), np.ones((4, 2))), 2 * N * 4 * 2),
        (lambda a, b: a @ b, (np.ones((N, 32)), np.ones((32, 16))), 2 * N * 32 * 16),
        (lambda x: cr.where(x > 0.5, x, -x), (X,), N),
    ],
)
def test_operations_on_numbers_are_counted(f, args, flop):
    assert report_of(f, *args).flop == pytest.approx(flop, rel=0.01)


def test_the_cost_of_an_exponential_is_that_of_its_polynomial():
    one, two = (report_of(f, X).flop / N for f in (cr.exp, lambda x: cr.exp(x) * cr.exp(-x)))
    assert 15 < one < 60
    assert two == pytest.approx(2 * one + 2, abs=0.5)


def test_formulas_that_a_long_program_has_as_functions_are_counted_at_each_call():
    def chain(x, n):
        for _ in range(n):
            x = cr.exp(x * -0.5)
        return x

    short, long = (report_of(lambda x, n=n: chain(x, n), X).flop / n for n in (20, 200))
    assert long == pytest.approx(short, rel=0.02)


TEXT = """\
  %v1 = fadd double %a, %b
  br label %loop1
loop1:
loop2:
  %v2 = fmul <8 x double> %c, %d
  %v3 = call <8 x double> @llvm.fma.v8f64(<8 x double> %v2, <8 x double> %v2, <8 x double> %v2)
rare3:
  %v4 = fmul double %a, %a
usual3:
  %next2 = add i64 %i2, 8
  %more2 = icmp slt i64 %next2, %len
done2:
  %next1 = add i64 %i1, 1
  %more1 = icmp slt i64 %next1, 5
done1:
"""


def test_loops_in_loops_and_rare_branches_are_counted_in_the_text():
    assert flop_of(TEXT, 100) == 1 + 5 * 13 * (8 + 16)  # 13 vectors of 8 hold 100 samples


def test_each_array_is_counted_once_for_each_step():
    assert report_of(lambda x: (x * 2, x + 1), X).moved == 3 * 8 * N
    r = report_of(lambda x: cr.exp(x - x.max()), X)  # x is read twice: the largest entry must be known first
    assert r.moved == pytest.approx(3 * 8 * N, abs=64)
    assert [s.kind for s in r.steps] == ["phase", "phase"]


def test_what_is_fused_kept_and_repeated():
    r = report_of(lambda x: (cr.sin(x) * cr.exp(x)).sum(), X)
    (step,) = r.steps
    (row,) = step.rows
    assert set(row.operations) == {"sin", "exp", "mul", "sum"}
    assert row.to == "over all samples"
    assert r.fused == 3
    r = report_of(lambda x: (x.exp() - x.exp().mean()).abs().sum(), X)
    assert ("exp", 2) in {(name, times) for name, _, times in r.repeated} or r.between >= 8 * N


def test_the_lines_are_the_users_and_derivatives_have_that_of_what_is_differentiated():
    def loss(x):
        h = cr.tanh(x)
        return (h * h).sum()

    first = loss.__code__.co_firstlineno
    places = {row.place for s in report_of(cr.value_and_grad(loss), X).steps for row in s.rows}
    assert f"∂ test_report.py:{first + 1}" in places
    assert places <= {f"{d}test_report.py:{first + k}" for k in (1, 2) for d in ("", "∂ ")}
    f = cr.compile(loss)
    pullback = f._latest or None
    assert pullback is None


def test_what_numpy_does_says_why():
    (step,) = [s for s in report_of(lambda x: cr.exp(cr.cumsum(x, 0)), X).steps if s.kind == "NumPy"]
    assert step.rows[0].operations == ("cumsum",)
    assert step.reason == "there is no machine code for it yet"
    assert step.moved == 2 * 8 * N


def test_times_and_limits_are_measured_when_asked_for():
    f = cr.compile(lambda x: cr.exp(cr.cumsum(x, 0)).sum())
    before = f(X).item()
    assert all(s.seconds is None for s in f.report().steps)
    r = f.report(times=True)
    assert all(s.seconds > 0 for s in r.steps)
    assert [s.limit is None for s in r.steps] == [s.kind == "NumPy" for s in r.steps]
    assert f(X).item() == before
    assert "at least" in str(r)
    json.dumps(r.to_json())


def test_without_machine_code_the_steps_are_told_and_timed(monkeypatch):
    monkeypatch.setattr(jit, "is_available", lambda: False)
    r = report_of(lambda x: cr.exp(x - x.max()).sum(), X, times=True)
    assert str(r).startswith("<lambda> is not compiled: llvmlite is not there, so NumPy runs these steps")
    assert [s.kind for s in r.steps] == ["phase", "phase"]
    assert all(s.seconds > 0 and s.flop is None and s.limit is None for s in r.steps)


def test_the_machine_is_measured():
    m = measured()
    assert 1e8 < m.bandwidth < 1e13
    assert 1e8 < m.flop_rate < 1e13
    assert m.at_least(int(m.bandwidth), 0, 1) == pytest.approx(1.0)
    assert m.at_least(0, int(m.flop_rate), 1) == pytest.approx(1.0)


def test_a_report_reads_like_this():
    def loss(w, A, y):
        return ((cr.sigmoid(A @ w) - y) ** 2).mean()

    text = str(report_of(cr.grad(loss), np.zeros(3), np.ones((1000, 3)), np.ones(1000)))
    head, *rest = text.splitlines()
    assert head.startswith("grad(loss): ")
    assert rest[0].startswith("  1 phase  1000 samples in one tile: moves 31.3 kB, ")
    assert any("→ over all samples  ∂ test_report.py:" in line for line in rest)
    assert "all:      31.3 kB in and out of arrays; " in text


def test_the_kernels_of_a_module_are_found_in_order():
    f = cr.compile(lambda x: cr.exp(x - x.max()))
    f(X)
    assert len(kernels_in(f.llvm)) == 2
