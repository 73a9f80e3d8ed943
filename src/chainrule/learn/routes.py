"""Exercises 6 to 9: who gets a gradient, several outputs, two backwards, descent.

Truths and mistakes are closed forms on plain numbers, apart from the engine.
"""

from __future__ import annotations

from chainrule.learn.exercise import Exercise, Mistake
from chainrule.learn.usual import numbers, one_number

EX6 = Exercise(
    "ex6",
    "Who gets a gradient",
    "Here c2 is computed from a number that has no name, so no variable holds what "
    "arrives there. Give it a name: make t a leaf that asks for a gradient, and return "
    "the gradient of w1 and the one of t.",
    "who_gets_what",
    """\
def who_gets_what(a, b):
    w1 = cr.tensor(a, requires_grad=True)
    c1 = cr.tensor(-2.0)
    t = ____
    c2 = t + 1.0
    L = (w1 + c1) ** 2 + 4 * c2
    L.backward()
    return ____, ____
""",
    """\
def who_gets_what(a, b):
    w1 = cr.tensor(a, requires_grad=True)
    c1 = cr.tensor(-2.0)
    t = cr.tensor(b, requires_grad=True)
    c2 = t + 1.0
    L = (w1 + c1) ** 2 + 4 * c2
    L.backward()
    return w1.grad, t.grad
""",
    at=(1.0, 10.0),
    others=numbers(2),
    truth=lambda a, b: (2 * (a - 2), 4.0),
    mistakes=(
        Mistake(
            "c2.grad is None, and t.grad without requires_grad=True too. c2 is computed: its "
            "gradient 4 passes through to t, if t asks for it.",
            ("t.grad", "c2.grad"),
            gives=lambda a, b: (2 * (a - 2), None),
        ),
        Mistake(
            "You have {got}: the second is the value of t. What arrives at t is its .grad.",
            ("t.grad", "t"),
            gives=lambda a, b: (2 * (a - 2), b),
        ),
        Mistake(
            "c1.grad is None: c1 never asked for a gradient. w1 did.",
            ("w1.grad,", "c1.grad,"),
            gives=lambda a, b: (None, 4.0),
        ),
    ),
    hints=(
        "a leaf is a tensor that was made, not computed: t can be one, c2 cannot.",
        "t = cr.tensor(b, requires_grad=True)",
        "the 4 in front of c2 is the gradient that arrives at t, because c2 = t + 1 passes it on unchanged.",
    ),
    after="None is not 0: c1 has no gradient because nobody asked.",
)

EX7 = Exercise(
    "ex7",
    "Several outputs",
    "a(z) = (2z, z⁴) has two outputs, so two sensitivities. Complete the function: it "
    "returns the Jacobian, a row for each output.",
    "two_sensitivities",
    """\
def two_sensitivities(at):
    z = cr.tensor([at], requires_grad=True)
    a = cr.cat([2 * z, z**4])
    return ____
""",
    """\
def two_sensitivities(at):
    z = cr.tensor([at], requires_grad=True)
    a = cr.cat([2 * z, z**4])
    return cr.jacobian(a, z)
""",
    at=(-1.0,),
    others=one_number(-2, 2),
    truth=lambda z: [[2.0], [4 * z**3]],
    mistakes=(
        Mistake(
            "You have {got}, the SUM of the two sensitivities: 2 and -4 cannot be told apart in "
            "it. The Jacobian keeps them: cr.jacobian(a, z).",
            ("return cr.jacobian(a, z)", "a.sum().backward()\n    return z.grad"),
            gives=lambda z: [2 + 4 * z**3],
        ),
        Mistake(
            'a has two components, so "the gradient" is ambiguous: backward() needs one number, '
            "cr.jacobian(a, z) does not.",
            ("return cr.jacobian(a, z)", "a.backward()\n    return z.grad"),
            raises="NotScalarError",
        ),
        Mistake(
            "You have {got}: the two sensitivities in one row. The Jacobian has a row for each "
            "output, a column for each input.",
            ("cr.jacobian(a, z)", "cr.jacobian(a, z).reshape(1, 2)"),
            gives=lambda z: [[2.0, 4 * z**3]],
        ),
        Mistake(
            "You have {got}: the values of a. Its sensitivities are asked for.",
            ("cr.jacobian(a, z)", "a"),
            gives=lambda z: [2 * z, z**4],
        ),
        Mistake(
            "a.grad is None: a is computed. Gradients arrive at leaves, here z; and for two "
            "outputs ask cr.jacobian(a, z).",
            ("return cr.jacobian(a, z)", "a.sum().backward()\n    return a.grad"),
            gives=lambda z: None,
        ),
    ),
    hints=(
        "one number in, two out: how many sensitivities are there?",
        "backward() of the sum adds them up; what keeps them apart?",
        "cr.jacobian(a, z)",
    ),
    after="Row by row: how each output depends on z. Their sum, -2, hides both.",
)

EX8 = Exercise(
    "ex8",
    "Twice backward",
    "Two losses, one leaf. A second backward() adds to what .grad holds already. Complete "
    "the function so that it returns the slope of 4w + w³ and, on its own, that of w².",
    "two_slopes",
    """\
def two_slopes(at):
    w = cr.tensor(at, requires_grad=True)
    (4 * w + w**3).backward()
    first = w.grad.item()
    ____
    (w**2).backward()
    return first, ____
""",
    """\
def two_slopes(at):
    w = cr.tensor(at, requires_grad=True)
    (4 * w + w**3).backward()
    first = w.grad.item()
    w.grad = None
    (w**2).backward()
    return first, w.grad
""",
    at=(1.0,),
    others=one_number(0.2, 2),
    truth=lambda w: (4 + 3 * w**2, 2 * w),
    mistakes=(
        Mistake(
            "The second number is both slopes together: gradients accumulate. Empty w.grad before "
            "the second backward().",
            ("    w.grad = None\n", ""),
            gives=lambda w: (4 + 3 * w**2, 4 + 3 * w**2 + 2 * w),
        ),
        Mistake(
            "You have the first slope twice: the second backward() belongs to w².",
            ("first, w.grad", "first, first"),
            gives=lambda w: (4 + 3 * w**2, 4 + 3 * w**2),
        ),
        Mistake(
            "The second is 0: w.grad was emptied after the second backward(), or never filled again.",
            ("return", "w.grad.zero_()\n    return"),
            gives=lambda w: (4 + 3 * w**2, 0.0),
        ),
    ),
    hints=(
        "what does .grad hold when the second backward() begins?",
        "it is emptied by  w.grad.zero_()  or by  w.grad = None",
        "and the second number is w.grad once more.",
    ),
    after="Without emptying it, the second would have been 9 = 7 + 2.",
)

_TARGET = (2.0, -3.0)


def _descended(start: list[float], lr: float, steps: int, sign: float = -1.0) -> list[float]:
    """Each step multiplies the distance to the minimum by 1 - 2·lr."""
    return [t + (1 + sign * 2 * lr) ** steps * (x - t) for x, t in zip(start, _TARGET, strict=True)]


def _accumulated(start: list[float], lr: float, steps: int) -> list[float]:
    """The same without emptying .grad: each step goes along the sum of all gradients so far."""
    w, total = list(start), [0.0, 0.0]
    for _ in range(steps):
        total = [g + 2 * (x - t) for g, x, t in zip(total, w, _TARGET, strict=True)]
        w = [x - lr * g for x, g in zip(w, total, strict=True)]
    return w


EX9 = Exercise(
    "ex9",
    "Step by step downhill",
    "L = (w[0] - 2)² + (w[1] + 3)². Complete the loop: each step moves w a little against "
    "its gradient. The function returns w.",
    "descend",
    """\
def descend(start, lr, steps):
    w = cr.tensor(start, requires_grad=True)
    for _ in range(steps):
        L = (w[0] - 2) ** 2 + (w[1] + 3) ** 2
        ____
        with cr.no_grad():
            w -= ____
        ____
    return w.detach()
""",
    """\
def descend(start, lr, steps):
    w = cr.tensor(start, requires_grad=True)
    for _ in range(steps):
        L = (w[0] - 2) ** 2 + (w[1] + 3) ** 2
        L.backward()
        with cr.no_grad():
            w -= lr * w.grad
        w.grad = None
    return w.detach()
""",
    at=([0.0, 0.0], 0.1, 5),
    others=lambda r: (
        [round(r.uniform(-3, 3), 2) for _ in range(2)],
        round(r.uniform(0.05, 0.3), 2),
        r.randint(3, 9),
    ),
    truth=_descended,
    mistakes=(
        Mistake(
            "You have {got}: that is uphill. Against the gradient: w becomes w - lr·gradient.",
            ("w -=", "w +="),
            gives=lambda start, lr, steps: _descended(start, lr, steps, 1.0),
        ),
        Mistake(
            "Your steps grow: each backward() added to the gradients before it. Empty w.grad at "
            "the end of each step.",
            ("        w.grad = None\n", ""),
            gives=_accumulated,
        ),
        Mistake(
            "w is where it started: no step changed it. w -= lr * w.grad moves it.",
            ("w -= lr * w.grad", "pass"),
            gives=lambda start, lr, steps: list(start),
        ),
        Mistake(
            "You have {got}: the learning rate is missing, so each step is as long as the gradient.",
            ("lr * w.grad", "w.grad"),
            gives=lambda start, lr, steps: _descended(start, 1.0, steps),
        ),
        Mistake(
            "the change of w was recorded as a part of the computation. It belongs under  with cr.no_grad():",
            ("        with cr.no_grad():\n            w -=", "        w -="),
            raises="LeafInPlaceError",
        ),
    ),
    hints=(
        "three things in each step: the gradient, the move, and emptying .grad.",
        "the move is  lr * w.grad",
        "L.backward(), then  w -= lr * w.grad, then  w.grad = None",
    ),
    after="cr.minimize does this, and says how it ended.",
)
