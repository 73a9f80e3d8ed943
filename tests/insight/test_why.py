"""why: the number, the line, and the way out, on each plain case."""

from __future__ import annotations

import gc
import json
import linecache
import weakref
from typing import Any

import pytest

import chainrule as cr
from chainrule.errors import DataError
from chainrule.insight.why import why
from chainrule.insight.zeros import KINK_TESTS
from chainrule.table.primitive import TABLE

pytestmark = pytest.mark.filterwarnings("ignore::chainrule.GradientNote")


def says(answer: Any, reason: str, *pieces: str) -> None:
    """The reason, and each piece of text."""
    assert answer.reason == reason, str(answer)
    for piece in pieces:
        assert piece in str(answer)
    json.dumps(answer.to_json())


def test_the_check_of_answers_can_fail() -> None:
    w = cr.tensor(1.0, requires_grad=True)
    with pytest.raises(AssertionError):
        says(why(w), "gradient")
    with pytest.raises(AssertionError):
        says(why(w), "unused", "no such words")


def test_routes_add_up_and_a_difference_agrees() -> None:
    w = cr.tensor(1.0, requires_grad=True)
    L = 4 * w + w**3
    L.backward()
    says(why(w.grad), "gradient", "dL/dw = 7 at w = 1", "2 routes", "the factor 4", "3·w² = 3", "power rule",
         "central difference 7.0000000")  # fmt: skip


def test_a_constant_would_have_had_a_gradient() -> None:
    w = cr.tensor(1.0, requires_grad=True)
    w2 = cr.tensor(2.0)
    L = w + w2**3
    L.backward()
    says(why(w2.grad), "constant", "dL/dw2 = 3·w2² = 12", "tensor(2.0, requires_grad=True)", "test_why.py:")


def test_an_unused_leaf_is_not_the_same_as_zero() -> None:
    w = cr.tensor(1.0, requires_grad=True)
    w3 = cr.tensor(0.0, requires_grad=True)
    L = w * 2
    L.backward()
    says(why(w3.grad), "unused", "no route from w3 to L", "Not the same as 0", "use w3 in the computation")


def test_an_intermediate_passed_its_gradient_on_to_a_leaf_without_a_name() -> None:
    c2 = cr.tensor(10.0, requires_grad=True) + 1.0
    L = 4 * c2
    L.backward()
    says(why(c2.grad), "intermediate", "(c2 = t + 1)", "dL/dc2 = 4 flowed",
         "unnamed tensor(10.0)", "dL/dt = 4",
         "t = tensor(10.0, requires_grad=True)", "c2.retain_grad()")  # fmt: skip
    assert L.item() == 44.0


def test_a_retained_gradient_is_told() -> None:
    w = cr.tensor(3.0, requires_grad=True)
    y = w**2
    y.retain_grad()
    L = y * 2
    L.backward()
    says(why(y.grad), "retained", "2", "retain_grad()")
    assert L.item() == 18.0


def test_a_leaf_that_no_backward_reached_yet() -> None:
    w = cr.tensor(1.0, requires_grad=True)
    L = 4 * w + w**3
    says(why(w.grad), "unreached", "dL/dw = 7", "L.backward()")
    assert L.item() == 5.0


def test_a_gradient_that_was_cleared() -> None:
    w = cr.tensor(1.0, requires_grad=True)
    L = w**3
    L.backward()
    w.grad = None
    says(why(w.grad), "cleared", "dL/dw = 3", "compute L anew and call L.backward()")


def test_integers_have_no_gradient() -> None:
    i = cr.tensor(3)
    says(why(i.grad), "integer", "int64", "tensor(3.0, requires_grad=True)")


def test_two_backward_calls_add_up() -> None:
    w = cr.tensor(1.0, requires_grad=True)
    L = 4 * w + w**3
    L.backward(retain_graph=True)
    L.backward()
    says(why(w.grad), "accumulated", "14 = 7 + 7", "L.backward()", "test_why.py:", "w.grad = None")


def test_a_sum_of_components_has_a_jacobian() -> None:
    z = cr.tensor([-1.0], requires_grad=True)
    a = cr.cat([2 * z, z**4])
    a.sum().backward()
    says(why(z.grad), "sum", "da[0]/dz + da[1]/dz = 2 + (-4)", "a[1] [ -4 ]", "chainrule.jacobian(a, z)")


def test_nan_is_traced_to_the_step_that_made_it() -> None:
    x = cr.tensor([0.0, 1.0], requires_grad=True)
    e = (x * cr.log(x)).sum()
    e.backward()
    says(why(x.grad), "nan", "NaN in x.grad[0]", "log(x), x[0] = 0: cotangent 0, local derivative inf",
         "0 · inf = nan",
         "cr.xlogy(x, x)")  # fmt: skip


def test_nan_in_the_value_is_found_going_forward() -> None:
    x = cr.tensor(-1.0, requires_grad=True)
    y = cr.log(x) * 2
    y.backward()
    says(why(x.grad), "nan", "log(x) is nan, x = -1", "Keep its input above 0")


def test_an_infinite_slope_names_its_step() -> None:
    x = cr.tensor(0.0, requires_grad=True)
    y = cr.sqrt(x)
    y.backward()
    says(why(x.grad), "infinite", "sqrt(x) at x = 0", "test_why.py:")


@pytest.mark.parametrize("name", ["relu", "abs"])
def test_a_kink_says_which_subgradient_was_chosen(name: str) -> None:
    x = cr.tensor(0.0, requires_grad=True)
    y = getattr(cr, name)(x)
    y.backward()
    says(why(x.grad), "kink", f"{name}(x) has a kink at x = 0", "the shortest, 0, is taken")


def test_a_root_of_a_sum_of_squares_is_read_as_a_norm_at_its_kink() -> None:
    x = cr.tensor([0.0, 0.0], requires_grad=True)
    n = cr.sqrt((x * x).sum())
    n.backward()
    says(why(x.grad), "kink", "is read as norm(x)", "the shortest, 0, is taken")


def test_zero_on_a_flat_piece() -> None:
    x = cr.tensor(-1.0, requires_grad=True)
    y = cr.relu(x) * 3
    y.backward()
    says(why(x.grad), "flat", "relu(x) is flat at x = -1")


def test_zero_times_a_constant() -> None:
    x = cr.tensor(2.0, requires_grad=True)
    y = x * 0.0
    y.backward()
    says(why(x.grad), "zero_factor", "multiplies by 0")


def test_zero_because_routes_cancel() -> None:
    x = cr.tensor(2.0, requires_grad=True)
    y = x - x
    y.backward()
    says(why(x.grad), "cancelled", "cancel")


def test_a_value_that_left_by_item() -> None:
    x = cr.tensor(2.0, requires_grad=True)
    y = x.item() * 3
    says(why(x.grad), "cut", "by item at test_why.py:", "Leave out .item()")
    assert y == 6.0


def test_a_result_computed_under_no_grad() -> None:
    x = cr.tensor(2.0, requires_grad=True)
    with cr.no_grad():
        y = x * 2
    says(why(x.grad), "cut", "no_grad", "test_why.py:")
    says(why(y.grad), "cut", "move this line out of the no_grad block")


def test_a_detached_copy() -> None:
    x = cr.tensor(2.0, requires_grad=True)
    d = x.detach()
    says(why(d.grad), "cut", "by detach", "test_why.py:", "leave it out")


def test_a_tensor_made_of_the_numbers_of_tensors() -> None:
    a = cr.tensor(2.0, requires_grad=True)
    v = cr.tensor([a, a])
    says(why(v.grad), "cut", "by tensor", "stack([a, b])")


def test_a_comparison_has_no_slope() -> None:
    x = cr.tensor([1.0, 2.0], requires_grad=True)
    k = (x > 1).float().mean()
    says(why(k.grad), "cut", "gives bool values, which have no slope", "smooth")


def test_a_graph_that_is_gone_leaves_the_line_that_stored_the_gradient() -> None:
    x = cr.tensor(3.0, requires_grad=True)
    (x**2).backward()
    says(why(x.grad), "forgotten", "6, added by test_why.py:", "Keep the result in a variable")


def test_none_is_traced_to_its_owner_through_subscripts_and_lines() -> None:
    ws = [cr.tensor(1.0), cr.tensor(2.0)]
    box = {"w": cr.tensor(3.0)}
    assert why(ws[1].grad).about == "ws[1]"
    assert why(ws[-1].grad).about == "ws[-1]"
    answer = why(box["w"].grad)
    assert answer.about == "box['w']"


def test_none_without_a_name_asks_for_the_tensor() -> None:
    nothing = None
    says(why(nothing), "unknown", "call why(x) instead")


def test_a_call_whose_source_is_not_at_hand_asks_for_the_tensor() -> None:
    names = {"cr": cr, "why": why}
    exec("w = cr.tensor(1.0)\nanswer = why(w.grad)", names)
    says(names["answer"], "unknown", "call why(x) instead")


def test_a_gradient_tensor_carries_its_owner() -> None:
    w = cr.tensor(2.0, requires_grad=True)
    L = w**2
    L.backward()
    g = w.grad
    assert why(g).about == "w"


def test_what_is_no_tensor_is_refused() -> None:
    with pytest.raises(DataError):
        why(3.0)


def test_every_kink_of_the_table_can_be_recognised() -> None:
    conditions = {c for p in TABLE.values() for c in p.kinks}
    assert conditions <= set(KINK_TESTS)


def test_asking_changes_nothing() -> None:
    w = cr.tensor(1.0, requires_grad=True)
    L = 4 * w + w**3
    L.backward()
    before = (L.item(), w.item(), w.grad.item())
    why(w.grad)
    assert (L.item(), w.item(), w.grad.item()) == before


def test_a_notebook_cell_has_source_too() -> None:
    """IPython keeps the text of a cell in linecache under a name of its own."""
    source = "w = cr.tensor(1.0)\nanswer = why(\n    w.grad\n)\n"
    file = "<ipython-input-12-0123456789ab>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    names = {"cr": cr, "why": why}
    exec(compile(source, file, "exec"), names)
    says(names["answer"], "constant", "cell [12]:1")


def test_nothing_is_kept_alive_by_an_answer() -> None:
    w = cr.tensor(1.0, requires_grad=True)
    L = 4 * w + w**3
    L.backward()
    answers = [why(w), why(L), why(w.grad)]
    node = weakref.ref(L.grad_fn)
    del L
    gc.collect()
    assert node() is None
    assert "dL/dw = 7" in str(answers[0])


def test_a_graph_of_100_000_steps_is_answered() -> None:
    x = cr.tensor(0.5, requires_grad=True)
    y = x
    for _ in range(50_000):
        y = y * 1.00001
        y = y + 0.1
    y.backward()
    answer = why(x)  # how long that takes: bench/bench_insight.py
    assert answer.reason == "gradient"
    assert answer.value == pytest.approx(1.00001**50_000)


def test_the_result_of_a_descent_answers_for_itself() -> None:
    r = cr.minimize(lambda w: (w[0] - 2) ** 2, [0.0], lr=0.1, tol=1e-6, progress=False)
    answer = why(r)
    assert answer.reason == "descent"
    assert str(r.why()) in str(answer)


@pytest.mark.parametrize("f, at", [(cr.round, 3.0), (cr.trunc, 0.0), (cr.floor, 2.5), (cr.ceil, 2.5)])
def test_between_its_steps_a_step_function_is_flat_not_at_a_kink(f: Any, at: float) -> None:
    w = cr.tensor(at, requires_grad=True)
    L = f(w) + w * 0
    L.backward()
    assert why(w).reason != "kink"


@pytest.mark.parametrize("f, at", [(cr.round, 2.5), (cr.trunc, -1.0), (cr.floor, 0.0), (cr.ceil, 2.0)])
def test_at_its_step_a_step_function_has_a_kink(f: Any, at: float) -> None:
    w = cr.tensor(at, requires_grad=True)
    L = f(w)
    L.backward()
    says(why(w), "kink", "a step, where no slope exists")


@pytest.mark.parametrize("how", ["item", "detach", "float"])
def test_a_gradient_says_where_a_part_of_its_leaf_left_the_graph(how: str) -> None:
    w = cr.tensor(1.5, requires_grad=True)
    L = w * {"item": w.item, "detach": w.detach, "float": w.__float__}[how]()
    L.backward()
    says(
        why(w), "gradient", f"w also left the graph by {how} at ", "counts as constant here, in the check too"
    )


def test_why_answers_for_a_function_with_its_own_rule_and_a_compiled_one() -> None:
    w = cr.tensor([1.0, 2.0], requires_grad=True)
    L = cr.compile(lambda x: (x**2).sum())(w)
    L.backward()
    says(why(w), "gradient", "dL/dw = [2, 4] at w = [1, 2]")
    double = cr.custom_rule(lambda x: 2 * x, jvp=lambda xs, ts, out: 2 * ts[0])
    u = cr.tensor(3.0, requires_grad=True)
    M = double(u)
    M.backward()
    says(why(u), "gradient", "dM/du = 2 at u = 3")
