"""gradcheck, gradgradcheck and check_grad: derivatives against differences, with reports that say what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.api import trees
from chainrule.api.products import vjp
from chainrule.api.run import check_function
from chainrule.dispatch import Handle
from chainrule.errors import ArgumentError, GradcheckError
from chainrule.ops import creation
from chainrule.source import boundary
from chainrule.tape.promote import is_inexact
from chainrule.testing.jacobians import Entry, Point, by_differences, by_rules, place, sides


class GradientReport:
    """What a check found; true if all entries agree. Printing it says what was compared, or what is wrong.

    checked
        Number of entries that were compared, in all modes together.
    worst
        The largest difference between a rule and differences, relative to what was allowed.
    problems
        Sentences about the worst disagreement of each mode; empty if all agree.
    """

    def __init__(self, checked: int, worst: float, problems: Sequence[str], modes: Sequence[str]) -> None:
        self.checked, self.worst, self.problems, self.modes = checked, worst, list(problems), list(modes)

    def __bool__(self) -> bool:
        return not self.problems

    def __str__(self) -> str:
        if self.problems:
            return "\n".join(self.problems)
        modes = " and ".join(self.modes)
        return (
            f"right: {self.checked} derivatives in {modes} agree with differences "
            f"(worst: {self.worst:.2g} of what is allowed)"
        )

    __repr__ = __str__


def compare(
    point: Point, modes: Sequence[str], rtol: float, atol: float, step: float | None, name: str = "f"
) -> GradientReport:
    """Each mode against differences, entry by entry."""
    numeric, errors = by_differences(point, step)
    rules = {mode: by_rules(point, mode) for mode in modes}
    problems, worst = [], 0.0
    for mode in _apart(rules):
        excess = [_excess(a, n, e, rtol, atol) for a, n, e in zip(rules[mode], numeric, errors, strict=True)]
        top = max(((float(v.max()), j) for j, v in enumerate(excess) if v.size), default=(0.0, 0))
        worst = max(worst, top[0])
        if top[0] > 1:
            j = top[1]
            row, column = np.unravel_index(int(np.argmax(excess[j])), excess[j].shape)
            wrong = sum(int(np.sum(v > 1)) for v in excess)
            at = (j, int(row), int(column))
            problems.append(_problem(point, mode, rules, numeric, errors, at, wrong, (rtol, atol), name))
    checked = sum(block.size for blocks in rules.values() for block in blocks)
    return GradientReport(checked, worst, problems, [f"{mode} mode" for mode in modes])


def _apart(rules: dict[str, list[np.ndarray]]) -> list[str]:
    """The modes to report on: one where both give the same numbers."""
    modes = list(rules)
    if len(modes) == 2 and all(
        np.allclose(a, b, rtol=1e-9, atol=1e-12, equal_nan=True) for a, b in zip(*rules.values(), strict=True)
    ):
        return modes[:1]
    return modes


def _excess(a: np.ndarray, n: np.ndarray, e: np.ndarray, rtol: float, atol: float) -> np.ndarray:
    """Differences in units of what is allowed; more than 1 is wrong. Differences that have not settled help no rule."""
    allowed = atol + rtol * np.abs(n)
    excess = np.abs(a - n) / (allowed + np.minimum(np.where(np.isfinite(e), e, 0.0), 10 * allowed))
    return np.where(np.isnan(excess), np.inf, excess)


def _problem(
    point: Point,
    mode: str,
    rules: Any,
    numeric: Any,
    errors: Any,
    at: tuple[int, int, int],
    wrong: int,
    tol: tuple[float, float],
    name: str,
) -> str:
    """The report on the worst entry of a mode."""
    j, row, column = at
    a, n, e = (float(blocks[j][row, column]) for blocks in (rules[mode], numeric, errors))
    entry = _entry(point, row, j, column)
    x = point.names[j]
    total = sum(block.size for block in rules[mode])
    said = "both modes are" if len(rules) == 2 and len(_apart(rules)) == 1 else f"{mode} mode is"
    lines = [
        f"{said} wrong in {wrong} of {total} derivatives of {name}",
        f"  worst: ∂{_output(point, entry, name)}/∂{x}{place(point.inputs[j], column)}"
        f" where {x}{place(point.inputs[j], column)} = {_shown(point, j, column)}",
        f"    {mode + ' mode':<14} {a:.10g}",
        f"    differences    {n:.10g} ± {e:.1g}",
    ]
    lines += [
        f"    {other + ' mode':<14} {float(blocks[j][row, column]):.10g}"
        for other, blocks in rules.items()
        if other != mode
    ]
    return "\n".join([*lines, *(f"  {hint}" for hint in _hints(point, entry, a, n, e, rules, at, tol))])


def _hints(
    point: Point, entry: Entry, a: float, n: float, e: float, rules: Any, at: Any, tol: Any
) -> list[str]:
    j, row, column = at
    hints = []
    if not np.isfinite(n):
        return [
            "no difference is finite here: the point is at the edge of the domain, so this proves nothing",
            "move it inside",
        ]
    left, right, kink = sides(point, entry)
    settled = e <= 10 * (tol[1] + tol[0] * abs(n))
    if kink and settled:
        between = min(left, right) - 1e-6 <= a <= max(left, right) + 1e-6
        hints.append(f"the point is a kink: the slope is {left:.6g} to the left and {right:.6g} to the right")
        hints.append(
            "the rule's number lies between: it is the one that was chosen there; check beside the kink instead"
            if between
            else "and the rule's number is not between them"
        )
        hints += [f"kink of {text}" for text in point.kinks()[:3]]
        return hints
    if not settled:
        hints.append(
            "the differences have not settled: the function bends sharply here, or is not smooth; try another step"
        )
    values = {mode: float(blocks[j][row, column]) for mode, blocks in rules.items()}
    if len(values) == 2:
        same = abs(values["forward"] - values["reverse"]) <= tol[1] + tol[0] * abs(a)
        hints.append(
            "both modes say the same: the rule, or the value, is wrong"
            if same
            else "the modes differ: one of the two programs of the rule is wrong, or is not linear"
        )
    if n and np.isfinite(a) and abs(a / n - round(a / n)) < 1e-4 and abs(a / n) > 1.5:
        hints.append(f"the rule is {round(a / n)} times too large")
    elif n and np.isfinite(a) and abs(a + n) <= tol[1] + tol[0] * abs(n):
        hints.append("the rule has the wrong sign")
    elif a == 0.0:
        hints.append("the rule says 0: was the graph cut, by detach, no_grad, .item() or NumPy?")
    if point.inputs[j].dtype.itemsize // (2 if point.inputs[j].dtype.kind == "c" else 1) < 8:
        hints.append(
            f"the input is {point.inputs[j].dtype}: differences of it have few digits; check in float64, x.double()"
        )
    return hints


def _entry(point: Point, row: int, j: int, column: int) -> Entry:
    for k in point.live:
        size = point.outs[k].size * (2 if point.outs[k].dtype.kind == "c" else 1)
        if row < size:
            return Entry(k, row, j, column)
        row -= size
    raise IndexError(row)


def _output(point: Point, entry: Entry, name: str) -> str:
    which = f" output {entry.out}" if len(point.outs) > 1 else ""
    return f"{name}{which}{place(point.outs[entry.out], entry.row)}"


def _shown(point: Point, j: int, column: int) -> str:
    v = np.ascontiguousarray(point.inputs[j]).reshape(-1)
    return f"{v.view(v.real.dtype)[column]:.10g}" if v.dtype.kind == "c" else f"{v[column]:.10g}"


# --- the public ways in ----------------------------------------------------------------------------


@boundary
def check_grad(
    f: Callable[..., Any],
    *args: Any,
    order: int = 1,
    modes: Sequence[str] = ("reverse", "forward"),
    rtol: float = 1e-6,
    atol: float = 1e-8,
    step: float | None = None,
    raise_exception: bool = True,
) -> GradientReport:
    """Compare the derivatives of a function at a point with differences, in both modes.

    Parameters
    ----------
    f, args
        The function and the point. Every argument of floating point (and every such part of a dict, list or tuple) is
        checked; others are passed on.
    order
        1, or 2 to check the second derivatives too (by reverse over reverse and forward over reverse mode).
    modes
        "reverse", "forward" or both.
    rtol, atol
        What is allowed, besides the error that the differences are estimated to have.
    step
        The largest step; by default 0.01 (0.1 in float32) times the size of the entry. It is extrapolated to 0, and
        shortened where it leaves the domain.

    Returns
    -------
    A report, true if all is right; printed it says how many derivatives were compared.

    Raises
    ------
    GradcheckError (E210)
        A derivative is wrong: the text says which entry, in which mode, both numbers, and what may be the reason (a
        kink, a step that is too long, float32, a factor, a sign, a cut). Not with ``raise_exception=False``.

    Cost
    ----
    20 runs of `f` per input entry, one pass per output entry (reverse) and per input entry (forward).

    Examples
    --------
    >>> import chainrule as cr
    >>> bool(cr.check_grad(lambda x: cr.sin(x) * x, cr.tensor([0.5, 2.0]), order=2))
    True
    """
    if order not in (1, 2):
        raise ArgumentError(f"order {order!r} cannot be checked", fix="use 1 or 2")
    unknown = [m for m in modes if m not in ("reverse", "forward")]
    if unknown or not modes:
        raise ArgumentError(
            f"there is no mode {unknown[0] if unknown else modes!r}", fix='use ("reverse", "forward")'
        )
    point = _point(f, args)
    _check_repeats(point, 0.0)
    report = compare(point, modes, rtol, atol, step, _name(f))
    if order == 2 and report:
        second = compare(_second(point), modes, rtol, atol, step, f"the gradient of {_name(f)}")
        worst = max(report.worst, second.worst)
        report = GradientReport(report.checked + second.checked, worst, second.problems, report.modes)
    return _decide(report, raise_exception)


@boundary
def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float | None = None,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """PyTorch's check of first derivatives: True, or an error that says what is wrong. See `check_grad`.

    Parameters
    ----------
    func, inputs
        The function, and a Tensor or a tuple of arguments; those that require a gradient are checked.
    eps
        The largest step (default: by dtype and size, see `check_grad`). It is extrapolated to 0, so float32 passes too.
    atol, rtol
        What is allowed.
    nondet_tol
        By how much two runs at the same point may differ.
    check_forward_ad, check_backward_ad
        The modes to check.

    The other arguments are accepted: every entry is looked at, and a gradient always has the dtype of its input.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.gradcheck(cr.sin, cr.tensor([0.5, 2.0], requires_grad=True))
    True
    """
    point = _torch_point(func, inputs)
    _check_repeats(point, nondet_tol)
    modes = [m for m, wanted in (("reverse", check_backward_ad), ("forward", check_forward_ad)) if wanted]
    report = compare(point, modes, rtol, atol, eps, _name(func))
    return bool(_decide(report, raise_exception))


@boundary
def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float | None = None,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """PyTorch's check of second derivatives: the gradient, weighted by `grad_outputs`, is checked as a function.

    Parameters are those of `gradcheck`; `grad_outputs` is built like the outputs (default: fixed numbers without a
    pattern).

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.gradgradcheck(cr.sin, cr.tensor([0.5, 2.0], requires_grad=True))
    True
    """
    second = _second(_torch_point(func, inputs), grad_outputs)
    modes = [m for m, wanted in (("reverse", check_rev_over_rev), ("forward", check_fwd_over_rev)) if wanted]
    report = compare(second, modes, rtol, atol, eps, f"the gradient of {_name(func)}")
    return bool(_decide(report, raise_exception))


def _decide(report: GradientReport, raise_exception: bool) -> GradientReport:
    if report.problems and raise_exception:
        first, _, rest = str(report).partition("\n")
        raise GradcheckError(
            first,
            given=rest.strip(),
            fix="correct the rule, or choose another point if the text above says so",
        )
    return report


def _name(f: Any) -> str:
    name = getattr(f, "__name__", "f")
    return "f" if name == "<lambda>" else name


def _point(f: Any, args: Sequence[Any]) -> Point:
    check_function(f, "check_grad", "check_grad(f, x)")
    made, wrt, names = [], [], []
    for k, a in enumerate(args):
        leaves, spec = trees.flatten(a)
        if leaves and all(_differentiable(v) for v in leaves):
            wrt.append(k)
            names += trees.paths(spec, "x" if len(args) == 1 else f"x{k}")
        made.append(a)
    if not wrt:
        raise ArgumentError(
            "no argument can be differentiated", fix="pass numbers with a point, arrays or tensors of floats"
        )
    return Point(f, made, wrt, names)


def _differentiable(v: Any) -> bool:
    if isinstance(v, (float, complex)):
        return True
    return isinstance(v, (Handle, np.ndarray, np.generic)) and is_inexact(creation.as_tensor(v).dtype)


def _torch_point(f: Any, inputs: Any) -> Point:
    check_function(f, "gradcheck", "gradcheck(f, x)")
    args = list(inputs) if isinstance(inputs, (tuple, list)) else [inputs]
    wrt = [k for k, a in enumerate(args) if isinstance(a, Handle) and a.requires_grad]  # type: ignore[attr-defined]
    if not wrt:
        raise ArgumentError(
            "no input requires a gradient, so there is nothing to check",
            fix="mark one with requires_grad=True",
        )
    return Point(f, args, wrt, [f"input {k}" for k in wrt])


def _second(point: Point, weights: Any = None) -> Point:
    """The gradient, weighted, as a function of the inputs and the weights."""
    run, n = point.run, len(point.wrt)
    live = [run.outs[k] for k in point.live]
    given = (
        _weights(live)
        if weights is None
        else list(weights)
        if isinstance(weights, (tuple, list))
        else [weights]
    )

    def gradient(*xs: Any) -> Any:
        full = list(point.args)
        for k, x in zip(point.wrt, xs[:n], strict=True):
            full[k] = x

        def outputs(*ys: Any) -> Any:
            whole = list(full)
            for k, y in zip(point.wrt, ys, strict=True):
                whole[k] = y
            leaves = trees.flatten(point.f(*whole))[0]
            return tuple(leaves[k] for k in point.live)

        return vjp(outputs, *xs[:n])[1](tuple(xs[n:]))

    at = [*(point.args[k] for k in point.wrt), *given]
    names = [*point.names, *(f"weight {k}" for k in range(len(given)))]
    return Point(gradient, at, range(len(at)), names)


def _weights(outs: Sequence[Any]) -> list[Any]:
    found = []
    for t in outs:
        k = np.arange(1, t.numel() + 1, dtype=float)
        found.append(
            creation.as_tensor((np.mod(k * 0.6180339887498949, 1.0) + 0.5).reshape(t.shape).astype(t.dtype))
        )
    return found


def _check_repeats(point: Point, tolerance: float) -> None:
    again = point.values(point.inputs)
    for k, (a, b) in enumerate(zip(point.outs, again, strict=True)):
        if a.shape != b.shape or not np.allclose(a, b, rtol=0, atol=tolerance, equal_nan=True):
            raise GradcheckError(
                f"output {k} differs between two runs at one point, so differences mean nothing",
                fix="take the random numbers out of the function, or pass nondet_tol=",
            )


__all__ = ["GradientReport", "check_grad", "gradcheck", "gradgradcheck"]
