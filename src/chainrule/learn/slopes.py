"""Exercises 1 to 5: the slope at a point, two inputs, a vector.

Truths and mistakes are closed forms on plain numbers, apart from the engine.
"""

from __future__ import annotations

import math

from chainrule.learn.exercise import Exercise, Mistake
from chainrule.learn.usual import VALUE, nothing_returned, numbers, one_number, unmarked, vector

EX1 = Exercise(
    "ex1",
    "The slope at a point",
    "How strongly does L = 4w + w³ react to w? Complete the function: it returns dL/dw at a given point.",
    "slope_at",
    """\
def slope_at(point):
    w = ____
    L = ____
    L.____()
    return ____
""",
    """\
def slope_at(point):
    w = cr.tensor(point, requires_grad=True)
    L = 4 * w + w**3
    L.backward()
    return w.grad
""",
    at=(1.0,),
    others=one_number(-2, 2),
    truth=lambda w: 4 + 3 * w**2,
    mistakes=(
        Mistake(VALUE, ("return w.grad", "return L"), gives=lambda w: 4 * w + w**3),
        Mistake(
            "You have {got}. That is the slope of 4w + w², or of w² alone with 4: the power of w³ "
            "is 3, its slope 3w².",
            ("w**3", "w**2"),
            gives=lambda w: 4 + 2 * w,
        ),
        Mistake(
            "You have {got}, the point itself. The tensor holds the point, its .grad the slope.",
            ("return w.grad", "return w"),
            gives=lambda w: w,
        ),
        unmarked((", requires_grad=True", "")),
        nothing_returned(("    L.backward()\n", "")),
    ),
    hints=(
        "a tensor has to be told that its gradient is wanted: which argument of cr.tensor does that?",
        "backward() belongs to the result, .grad to the leaf.",
        "w = cr.tensor(point, requires_grad=True), and at the end  return w.grad",
    ),
    after="Raise w by 0.01 from 1 and L rises by about 0.07.",
)

EX2 = Exercise(
    "ex2",
    "Negative slope",
    "L = 4w - w³ at w = 1.5: there L falls when w rises. Complete the function: it "
    "returns dL/dw at a given point.",
    "slope",
    """\
def slope(at):
    w = ____
    L = ____
    ____
    return ____
""",
    """\
def slope(at):
    w = cr.tensor(at, requires_grad=True)
    L = 4 * w - w**3
    L.backward()
    return w.grad
""",
    at=(1.5,),
    others=one_number(-2, 2),
    truth=lambda w: 4 - 3 * w**2,
    mistakes=(
        Mistake(VALUE, ("return w.grad", "return L"), gives=lambda w: 4 * w - w**3),
        Mistake(
            "You have {got}: the sign is turned around. A slope below 0 says that L falls; it is no mistake.",
            ("return w.grad", "return -w.grad"),
            gives=lambda w: -(4 - 3 * w**2),
        ),
        Mistake(
            "You have {got}. That is the slope of 4w + w³; here the cube is subtracted.",
            ("- w**3", "+ w**3"),
            gives=lambda w: 4 + 3 * w**2,
        ),
        Mistake(
            "You have {got}. Without the power rule -w³ has the slope -w²; the 3 comes down in front: -3w².",
            ("return w.grad", "return 4 - at**2"),
            gives=lambda w: 4 - w**2,
        ),
        unmarked((", requires_grad=True", "")),
        nothing_returned(("return w.grad", "print(w.grad)")),
    ),
    hints=(
        "which rule turns -w³ into a slope?",
        "d(w³)/dw = 3w². Evaluate 4 - 3w² at 1.5.",
        "the same four lines as in ex1, with a minus.",
    ),
    after="At w = 1.5 increasing w lowers L.",
)

EX3 = Exercise(
    "ex3",
    "Two inputs",
    "L = w1 + w2² has a sensitivity for each input. Complete the function: it returns "
    "both, first that of w1.",
    "both_slopes",
    """\
def both_slopes(a, b):
    w1 = cr.tensor(a, requires_grad=True)
    w2 = ____
    L = ____
    L.backward()
    return ____, ____
""",
    """\
def both_slopes(a, b):
    w1 = cr.tensor(a, requires_grad=True)
    w2 = cr.tensor(b, requires_grad=True)
    L = w1 + w2**2
    L.backward()
    return w1.grad, w2.grad
""",
    at=(1.0, 2.0),
    others=numbers(2),
    truth=lambda a, b: (1.0, 2 * b),
    mistakes=(
        Mistake(
            "w2.grad is None: it was made without requires_grad=True, so L was never asked how it "
            "depends on w2.",
            ("(b, requires_grad=True)", "(b)"),
            gives=lambda a, b: (1.0, None),
        ),
        Mistake(
            "The right numbers in the wrong order: first the slope along w1, then that along w2.",
            ("w1.grad, w2.grad", "w2.grad, w1.grad"),
            gives=lambda a, b: (2 * b, 1.0),
        ),
        Mistake(
            "You have {got}: the values of the inputs. Their .grad has the slopes.",
            ("w1.grad, w2.grad", "w1, w2"),
            gives=lambda a, b: (a, b),
        ),
        Mistake(
            "You have {got}: b, and not 2b, for w2. The slope of w2² is 2·w2.",
            ("w1.grad, w2.grad", "1.0, b"),
            gives=lambda a, b: (1.0, b),
        ),
        Mistake(
            "You have {got}, the sum of both slopes. Each input has one of its own.",
            ("w1.grad, w2.grad", "w1.grad + w2.grad"),
            gives=lambda a, b: 1 + 2 * b,
        ),
    ),
    hints=(
        "each input is a leaf of its own, and each has to ask for its gradient.",
        "one backward() fills the .grad of every leaf that L was computed from.",
        "return w1.grad, w2.grad",
    ),
    after="At (1, 2) L reacts four times as strongly to w2 as to w1.",
)

EX4 = Exercise(
    "ex4",
    "One vector",
    "The same L of one vector: L = w[0] + w[1]². Complete the function: it returns the gradient, a vector.",
    "gradient",
    """\
def gradient(a, b):
    w = cr.tensor(____, requires_grad=True)
    L = ____
    L.backward()
    return ____
""",
    """\
def gradient(a, b):
    w = cr.tensor([a, b], requires_grad=True)
    L = w[0] + w[1] ** 2
    L.backward()
    return w.grad
""",
    at=(1.0, 2.0),
    others=numbers(2),
    truth=lambda a, b: [1.0, 2 * b],
    mistakes=(
        Mistake(
            "You have {got}, the sum of the gradient's entries. A gradient has an entry for each "
            "input: no sum().",
            ("w.grad", "w.grad.sum()"),
            gives=lambda a, b: 1 + 2 * b,
        ),
        Mistake(
            "You have {got}, the vector itself. Its .grad has the slopes.",
            ("return w.grad", "return w"),
            gives=lambda a, b: [a, b],
        ),
        Mistake(
            "You have {got}, the value L. The gradient is w.grad.",
            ("return w.grad", "return L"),
            gives=lambda a, b: a + b**2,
        ),
        Mistake(
            "You have {got}: both entries were squared. Only w[1] is.",
            ("w[0] + w[1] ** 2", "(w**2).sum()"),
            gives=lambda a, b: [2 * a, 2 * b],
        ),
        Mistake(
            "w[0].grad belongs to a new tensor, computed from w. The gradients of all entries are in w.grad.",
            ("return w.grad", "return w[0].grad, w[1].grad"),
            gives=lambda a, b: (None, None),
        ),
    ),
    hints=(
        "a vector is made of a list: cr.tensor([a, b], …).",
        "its entries are w[0] and w[1].",
        "return w.grad: both slopes at once, in the shape of w.",
    ),
    after="The same two numbers as with two scalars, in one tensor.",
)


def _unit(w: list[float]) -> list[float]:
    return [x / math.sqrt(sum(y * y for y in w)) for x in w]


EX5 = Exercise(
    "ex5",
    "A squared length",
    "L = ‖w‖², the squared length of a vector of any size. Complete the function: it returns the gradient.",
    "gradient_of_squared_length",
    """\
def gradient_of_squared_length(numbers):
    w = cr.tensor(numbers, requires_grad=True)
    L = ____
    L.backward()
    return w.grad
""",
    """\
def gradient_of_squared_length(numbers):
    w = cr.tensor(numbers, requires_grad=True)
    L = cr.norm(w) ** 2
    L.backward()
    return w.grad
""",
    at=([0.1, 0.0, 0.1, 0.0],),
    others=vector,
    truth=lambda w: [2 * x for x in w],
    mistakes=(
        Mistake(
            "You have {got}: the gradient of the length. The square is missing.", (" ** 2", ""), gives=_unit
        ),
        Mistake(
            "You have {got}: w, and not 2w. The slope of a square is twice the number.",
            (" ** 2", " ** 2 / 2"),
            gives=lambda w: list(w),
        ),
        Mistake(
            "You have {got}, the value L. The gradient is w.grad, and has the size of w.",
            ("return w.grad", "return L"),
            gives=lambda w: sum(x * x for x in w),
        ),
    ),
    hints=(
        "cr.norm(w) is the length of w.",
        "a power is written **.",
        "L = cr.norm(w) ** 2, and the gradient is 2w.",
    ),
    after="The gradient is 2w, also at 0, where the length alone has none.",
)
