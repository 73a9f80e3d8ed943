"""The cases of the lecture: programs for the public API, what they should give, and a picture of each.

The closed forms and the differences are computed here on plain numbers, apart from the engine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule.draw import (
    Drawing,
    plot_components,
    plot_contour,
    plot_convergence,
    plot_function,
    plot_matrix,
    sample_curve,
    sample_grid,
)
from chainrule.insight.shown import number

Names = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the summary: our number, the closed form, a finite difference, and whether they agree."""

    case: str
    ours: str
    closed_form: str
    difference: str
    ok: bool


@dataclass(frozen=True, slots=True)
class Case:
    """A case of the lecture.

    program
        Run as it stands, after ``import chainrule as cr``.
    explain
        Name of the result that is explained and drawn.
    ask
        Expressions that `why` is asked about, e.g. ``w.grad``.
    rows
        Variables of the program → lines of the summary.
    plots
        Variables of the program → pictures with captions.
    remarks
        Variables of the program → sentences.
    claims
        Variables of the program → pairs: what the lecture says, and what is so.
    """

    slug: str
    title: str
    task: str
    program: str
    explain: str
    ask: tuple[str, ...]
    rows: Callable[[Names], Sequence[Row]]
    plots: Callable[[Names], Sequence[tuple[Drawing, str]]]
    remarks: Callable[[Names], Sequence[str]] = lambda names: ()
    claims: Callable[[Names], Sequence[tuple[str, str]]] = lambda names: ()


def differences(f: Callable[..., float], at: Sequence[float]) -> list[float]:
    """Central differences of fourth order of a function of plain floats, one for each argument."""
    found = []
    for i, x in enumerate(at):
        h = 1e-3 * max(1.0, abs(x))

        def g(step: float, i: int = i, x: float = x) -> float:
            return f(*at[:i], x + step, *at[i + 1 :])

        found.append((8 * (g(h) - g(-h)) - (g(2 * h) - g(-2 * h))) / (12 * h))
    return found


def compare(case: str, ours: Any, closed: Sequence[float], differ: Sequence[float]) -> Row:
    """A line of the summary for numbers; they agree to rounding, and to 8 digits with the differences."""
    values = _flat(ours)
    ok = len(values) == len(closed) == len(differ) and bool(
        np.allclose(values, closed, rtol=1e-12, atol=1e-15)
        and np.allclose(values, differ, rtol=1e-8, atol=1e-9)
    )
    return Row(
        case,
        _list(values),
        _list(closed),
        _list(differ, ("{:.7f}" if len(differ) == 1 else "{:.4f}").format),
        ok,
    )


def _flat(v: Any) -> list[float]:
    if v is None:
        return []
    return (
        [x for item in v for x in _flat(item)]
        if isinstance(v, list | tuple)
        else [float(x) for x in np.ravel(v)]
    )


def _list(values: Sequence[float], write: Callable[[float], str] = number) -> str:
    texts = [write(v + 0.0) for v in values]
    if not texts:
        return "None"
    texts = texts if len(texts) <= 4 else [*texts[:2], "…"]
    return texts[0] if len(texts) == 1 else f"({', '.join(texts)})"


# --- one number in ------------------------------------------------------------------------------------


def _curve(
    f: Callable[[float], float], at: float, title: str
) -> Callable[[Names], Sequence[tuple[Drawing, str]]]:
    def plots(names: Names) -> Sequence[tuple[Drawing, str]]:
        slope = float(names["w"].grad)
        drawing = plot_function(*sample_curve(f, -2.0, 2.0), point=(at, f(at)), slope=slope, title=title)
        rises = "rises" if slope > 0 else "falls"
        return [(drawing, f"The slope at w = {number(at)} is {number(slope)}: raise w a little and L {rises} "
                          f"{number(abs(slope))} times as much.")]  # fmt: skip

    return plots


def _rising(w: float) -> float:
    return 4 * w + w**3


def _falling(w: float) -> float:
    return 4 * w - w**3


SLOPE = Case(
    "1_slope", "4w + w³ at w = 1",
    "How strongly does L(w) = 4w + w³ react to its input at w = 1? By hand: 4 + 3w², which is 7.",
    """\
w = cr.tensor(1.0, requires_grad=True)
L = 4 * w + w**3
L.backward()
print(w.grad)
""",
    "L", ("w.grad",),
    lambda v: [compare("4w + w³ at 1", v["w"].grad, [7.0], differences(_rising, [1.0]))],
    _curve(_rising, 1.0, "L(w) = 4w + w³"),
)  # fmt: skip
NEGATIVE = Case(
    "2_negative_slope", "4w − w³ at w = 1.5",
    "The same with a minus sign, where the slope is negative. By hand: 4 − 3w², which is −2.75 at 1.5.",
    """\
w = cr.tensor(1.5, requires_grad=True)
L = 4 * w - w**3
L.backward()
print(w.grad)
""",
    "L", ("w.grad",),
    lambda v: [compare("4w − w³ at 1.5", v["w"].grad, [-2.75], differences(_falling, [1.5]))],
    _curve(_falling, 1.5, "L(w) = 4w − w³"),
)  # fmt: skip

# --- several numbers in ---------------------------------------------------------------------------------


def _two(w1: float, w2: float) -> float:
    return w1 + w2**2


def _bars(
    labels: Sequence[str], at: Sequence[float], gradient: Any, caption: str
) -> Sequence[tuple[Drawing, str]]:
    series = {"w": list(at), "dL/dw": _flat(gradient)}
    return [(plot_components(labels, series, title="each input and its sensitivity"), caption)]


SCALARS = Case(
    "3_two_scalars", "w₁ + w₂² at (1, 2), as two scalars",
    "Two inputs, each with a sensitivity of its own. By hand: (1, 2w₂), which is (1, 4).",
    """\
w1 = cr.tensor(1.0, requires_grad=True)
w2 = cr.tensor(2.0, requires_grad=True)
L = w1 + w2**2
L.backward()
print(w1.grad, w2.grad)
""",
    "L", ("w1.grad", "w2.grad"),
    lambda v: [compare("w₁ + w₂² at (1, 2)", [v["w1"].grad, v["w2"].grad], [1.0, 4.0],
                       differences(_two, [1.0, 2.0]))],
    lambda v: _bars(["w1", "w2"], [1.0, 2.0], [v["w1"].grad, v["w2"].grad],
                    "At this point L reacts four times as strongly to w2 as to w1."),
)  # fmt: skip
VECTOR = Case(
    "4_one_vector", "w₁ + w₂² at (1, 2), as one vector",
    "The same function of one vector: all sensitivities arrive together in w.grad.",
    """\
w = cr.tensor([1.0, 2.0], requires_grad=True)
L = w[0] + w[1] ** 2
L.backward()
print(w.grad)
""",
    "L", ("w.grad",),
    lambda v: [compare("… as one vector", v["w"].grad, [1.0, 4.0],
                       differences(_two, [1.0, 2.0]))],
    lambda v: _bars(["w[0]", "w[1]"], [1.0, 2.0], v["w"].grad, "The same two numbers as with two scalars."),
)  # fmt: skip

_EIGHT = [0.1, 0.0] * 4


def _square_norm(*w: float) -> float:
    return math.sqrt(sum(x * x for x in w)) ** 2


NORM = Case(
    "5_squared_norm", "‖w‖² of an 8-vector",
    "A vector of eight numbers, 0.1 and 0 in turn. By hand the gradient of ‖w‖² is 2w.",
    """\
w = cr.tensor([0.1, 0.0, 0.1, 0.0, 0.1, 0.0, 0.1, 0.0], requires_grad=True)
L = cr.norm(w) ** 2
L.backward()
print(w.grad)
""",
    "L", ("w.grad",),
    lambda v: [compare("‖w‖² of (0.1, 0, …): 2w", v["w"].grad, [2 * x for x in _EIGHT],
                       differences(_square_norm, _EIGHT))],
    lambda v: _bars([f"w[{i}]" for i in range(8)], _EIGHT, v["w"].grad,
                    "Each sensitivity is twice its entry."),
)  # fmt: skip

# --- who gets a gradient ----------------------------------------------------------------------------------


def _mixed(w1: float, t: float) -> float:
    return (w1 - 2.0) ** 2 + 2.0**3 + 4 * (t + 1.0)


_WITHOUT = ("w2", "w3", "c1", "c2")


def _mixed_rows(v: Names) -> Sequence[Row]:
    by_w1, by_t = differences(_mixed, [1.0, 10.0])
    nobody = [v[name].grad for name in _WITHOUT]
    unnamed = [g for g in v[EXPLANATION].trace.leaves if not g.named]
    flowed = [g.gradient.scalar for g in unnamed if g.gradient is not None]
    return [
        compare("(w1+c1)² + w2³ + 4·c2: w1", v["w1"].grad, [-2.0], [by_w1]),
        Row("… w2, w3, c1, c2", _nones(nobody), "None", "", all(g is None for g in nobody)),
        compare("… unnamed leaf under c2", flowed, [4.0], [by_t]),
    ]


EXPLANATION = (
    " explanation"  # where the tour puts the explanation of the result, among the program's variables
)


def _or_none(g: Any) -> float | None:
    return None if g is None else float(g)


def _nones(values: Sequence[Any]) -> str:
    texts = dict.fromkeys("None" if g is None else str(g) for g in values)  # one for all if they are the same
    return ", ".join(texts)


MIXED = Case(
    "6_who_gets_a_gradient", "(w1 + c1)² + w2³ + 4·c2: who gets a gradient?",
    "One tensor that asks for a gradient and is used, two that do not ask, one that is not "
    "used, and one that was "
    "computed from another.",
    """\
w1 = cr.tensor(1.0, requires_grad=True)
c1 = cr.tensor(-2.0)
w2 = cr.tensor(2.0, requires_grad=False)
c2 = cr.tensor(10.0, requires_grad=True) + 1.0
w3 = cr.tensor(0.0, requires_grad=True)
L = (w1 + c1) ** 2 + w2**3 + 4 * c2
L.backward()
print(w1.grad, w2.grad, w3.grad, c1.grad, c2.grad)
""",
    "L", ("w1.grad", "w2.grad", "w3.grad", "c1.grad", "c2.grad"),
    _mixed_rows,
    lambda v: [(plot_components(["w1", "w2", "w3", "c1", "c2"],
                                [_or_none(v[n].grad) for n in ("w1", "w2", "w3", "c1", "c2")],
                                title="what .grad holds after L.backward()"),
                "None is not 0: it says that no gradient was stored, and why(…) says for what reason.")],
    lambda v: ["The lecture says that c2 becomes a constant. It does not: c2 is a computed value, "
               "4 flows back through it, "
               "and arrives at the tensor(10.0) inside, which no variable holds. A constant "
               "would stop the 4."],
    claims=lambda v: [
        ("c2, made with + 1.0 behind it, becomes a constant",
         f"c2 is computed. c2.grad is {v['c2'].grad}, because it is not kept; 4 flows through it to the unnamed leaf"),
    ],
)  # fmt: skip

# --- several numbers out -----------------------------------------------------------------------------------


def _summed(z: float) -> float:
    return 2 * z + z**4


COMPONENTS = Case(
    "7_two_outputs", "a(z) = (2z, z⁴) at z = −1",
    "One input, two outputs: two sensitivities, 2 and 4z³. backward() of the sum adds them "
    "up; the Jacobian keeps them apart.",
    """\
z = cr.tensor([-1.0], requires_grad=True)
a = cr.cat([2 * z, z**4])
J = cr.jacobian(a, z)
a.sum().backward()
print(z.grad, J)
""",
    "a", ("z.grad", "a.grad"),
    lambda v: [
        compare("(2z, z⁴) at −1: the sum", v["z"].grad, [-2.0], differences(_summed, [-1.0])),
        compare("… its Jacobian", v["J"], [2.0, -4.0],
                [differences(f, [-1.0])[0] for f in (lambda z: 2 * z, lambda z: z**4)]),
    ],
    lambda v: [(plot_matrix(v["J"].tolist(), ["a[0]", "a[1]"], ["z"], title="∂a/∂z at z = −1"),
                "Row by row: how each output depends on z. Their sum is −2; it alone does "
                "not tell 2 and −4 apart.")],
    lambda v: ["The lecture's code prints a.grad where it means z.grad: a is computed, so a.grad is None.",
               "The lecture writes the Jacobian as a row, [2  4z³]; here each output has a row."],
    claims=lambda v: [
        ("a.grad shows the gradient",
         f"a.grad is {v['a'].grad}: a is computed. z.grad = {number(v['z'].grad.item())} is meant"),
        ("the Jacobian is one row, (2, 4z³)", "each output has a row: [[2], [−4]]; the row is its transpose"),
    ],
)  # fmt: skip

# --- descent ---------------------------------------------------------------------------------------------

_RATE, _TOLERANCE, _LIMIT, _TARGET = 1e-2, 1e-6, 10_000, (2.0, -3.0)
_DESCENT = """\
w = cr.tensor([0.0, 0.0], dtype=cr.%s, requires_grad=True)
maxiter, tol, lr = 10000, 1e-06, 1e-02
norm_grad, k = float("inf"), 0
norms, path = [], [w.tolist()]
while k < maxiter and norm_grad > tol:
    if w.grad is not None:
        w.grad.zero_()
    L = (w[0] - 2) ** 2 + (w[1] + 3) ** 2
    L.backward()
    with cr.no_grad():
        w -= lr * w.grad
    norm_grad = w.grad.norm().item()
    k += 1
    norms.append(norm_grad)
    path.append(w.tolist())
print(f"Iteration {k}: ||grad|| = {norm_grad}")

r = cr.minimize(lambda w: (w[0] - 2) ** 2 + (w[1] + 3) ** 2, cr.zeros(2, dtype=cr.%s), lr=lr, tol=tol)
print(r)
"""


def _bowl(u: float, v: float) -> float:
    return (u - 2.0) ** 2 + (v + 3.0) ** 2


def predicted_steps() -> int:
    """Each step multiplies the distance to the minimum by 1 - 2·lr: the first k with ‖∇L‖ ≤ tol."""
    return 1 + math.ceil(math.log(_TOLERANCE / (2 * math.hypot(*_TARGET))) / math.log(1 - 2 * _RATE))


def plain_steps(gradient: Callable[[float, float], Sequence[float]]) -> int:
    """The same loop on plain floats."""
    w, k, norm = [0.0, 0.0], 0, math.inf
    while k < _LIMIT and norm > _TOLERANCE:
        g = gradient(*w)
        w = [x - _RATE * d for x, d in zip(w, g, strict=True)]
        norm, k = math.hypot(*g), k + 1
    return k


def plain_float32() -> tuple[int, float]:
    """The same loop on NumPy's float32, gradient by hand: the last step that moved w, and ‖∇L‖ then."""
    one = np.float32
    w, target, rate = np.zeros(2, one), np.array(_TARGET, one), one(_RATE)
    moved = 0
    for k in range(1, _LIMIT + 1):
        new = w - rate * (one(2) * (w - target))
        if (new == w).all():
            break
        w, moved = new, k
    g = one(2) * (w - target)
    return moved, float(np.sqrt((g * g).sum()))


def last_move(path: Sequence[Any]) -> int:
    """The last step of a descent that changed w."""
    return max((k for k in range(1, len(path)) if path[k] != path[k - 1]), default=0)


def _double_rows(v: Names) -> Sequence[Row]:
    closed = predicted_steps()
    by_difference = plain_steps(lambda a, b: differences(_bowl, [a, b]))
    ok = v["k"] == closed == 783 and by_difference == closed and v["norm_grad"] <= _TOLERANCE
    row = Row("descent, float64", f"{v['k']} steps", f"{closed} steps", f"{by_difference} steps", ok)
    return [row]


def _single_rows(v: Names) -> Sequence[Row]:
    moved, norm = plain_float32()
    ours = f"{v['norm_grad']:.6g}"
    ok = v["k"] == _LIMIT and ours == "1.27949e-05" and f"{norm:.6g}" == ours and last_move(v["path"]) == 659
    return [
        Row("descent, float32: ‖∇L‖", ours, "", "", ok),
        Row("… frozen after step", f"{last_move(v['path'])}", "", "", ok and moved == 659),
        Row("… steps run, to its limit", f"{v['k']}", "", "", ok),
    ]


def _descent_plots(v: Names, name: str) -> Sequence[tuple[Drawing, str]]:
    norms, path = v["norms"], v["path"]
    shown = min(len(norms), 1200)
    first = plot_convergence(
        {name: norms}, tolerance=_TOLERANCE, show_steps=shown, title="size of the gradient, step by step"
    )
    across, along = (-1.0, 4.0), (-5.0, 1.0)
    grid = sample_grid(_bowl, across, along)
    picked = [path[k] for k in sorted({*range(0, min(len(path), 400), 10), len(path) - 1})]
    second = plot_contour(*grid, path=picked, points=[(*path[0], "start"), (*path[-1], "end")],
                          title="(w₁ − 2)² + (w₂ + 3)², every tenth step of the descent")  # fmt: skip
    second = replace(second, x_range=across, y_range=along)
    circles = "Straight down: the contours are circles, so the steepest way leads to the minimum."
    stalls = "The line falls as in float64, and then stops falling: w no longer moves."
    return [(first, "A straight line on this scale: each step multiplies the gradient by 0.98."
             if len(norms) < _LIMIT else stalls),
            (second, circles)]  # fmt: skip


DOUBLE = Case(
    "8_descent_float64", "Descent of (w₁ − 2)² + (w₂ + 3)², float64",
    "Gradient descent from (0, 0) with learning rate 0.01, until the gradient is smaller than 1e-06.",
    _DESCENT % ("float64", "float64"),
    "L", ("w.grad",), _double_rows, lambda v: _descent_plots(v, "float64"),
    lambda v: [
        f"In float64 the descent converges in {v['k']} steps. Each step multiplies the distance to (2, −3) by "
        "0.98, so the number of steps is "
        "known in advance: it is the logarithm of 1e-06/‖∇L‖ at the start, to base 0.98.",
        "The lecture's text allows at most 1000 iterations, its code 10000. In float64 both are enough.",
    ],
    claims=lambda v: [
        ("at most 1000 iterations (text), 10000 (code)", f"{v['k']} are needed in float64; in float32 none is enough"),
    ],
)  # fmt: skip
SINGLE = Case(
    "9_descent_float32", "The same descent in float32, PyTorch's default",
    "The same program with half as many digits.",
    _DESCENT % ("float32", "float32"),
    "L", ("w.grad",), _single_rows, lambda v: _descent_plots(v, "float32"),
    lambda v: [
        f"In float32 it never reaches its tolerance. After step {last_move(v['path'])} it is frozen at "
        f"‖∇L‖ = {v['norm_grad']:.6g}: the "
        "step lr·∂L/∂w is less than half the distance to the next float32, so w − step rounds back to w. "
        f"It runs all {v['k']} iterations; {v['k'] - last_move(v['path'])} of them change nothing.",
        "What helps: float64 (783 steps), a larger learning rate, or a tolerance of 2e-05. "
        "There is no closed form for "
        "rounding; the numbers are checked against the same loop on NumPy's float32 with the "
        "gradient by hand.",
    ],
    claims=lambda v: [
        ("the loop ends when ‖∇L‖ ≤ 1e-06",
         f"in float32 it stops moving after step {last_move(v['path'])}, at ‖∇L‖ = {v['norm_grad']:.4g}, "
         f"and runs on to {v['k']}"),
    ],
)  # fmt: skip

CASES = (SLOPE, NEGATIVE, SCALARS, VECTOR, NORM, MIXED, COMPONENTS, DOUBLE, SINGLE)
