"""chainrule grad "4*w + w**3" w=1: value and gradient of an expression, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from chainrule.cli import output

if TYPE_CHECKING:
    from chainrule.insight.expression import Sensitivity, Slope


_MOVE = "move the point a little, or ask chainrule.why in Python"


def grad(
    expression: Annotated[str, typer.Argument(metavar="EXPRESSION", hidden=True)],
    at: Annotated[list[str] | None, typer.Argument(metavar="NAME=VALUE", hidden=True)] = None,
    plot: Annotated[bool, typer.Option("--plot", help="Draw curve, point and tangent.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Value and gradient of an expression, and why.

    \b
    Examples
      chainrule grad "4*w + w**3" w=1
      chainrule grad "4*w - w**3" w=1.5 --plot
      chainrule grad "(w1-2)**2 + (w2+3)**2" w1=0 w2=0
      chainrule grad "norm(w)**2" w=[0.1,0,2]
      chainrule grad "exp(-a*t)*cos(t)" a=0.5 t=pi --json

    \b
    What can be written
      numbers     2   0.5   1e-3   pi   e
      operators   + - * / **  ( )
      vectors     [a, b]   w[0]   w[-1]
      functions   sin cos tan asin acos atan atan2 sinh cosh
                  tanh asinh acosh atanh exp expm1 log log2
                  log10 log1p sqrt square pow hypot abs sign
                  floor ceil round sigmoid softplus relu erf
                  erfc maximum minimum max min
      of vectors  sum mean prod norm dot max min var std
                  logsumexp

    EXPRESSION stands in quotes. NAME=VALUE gives the point: w=1, w=pi/2, x=[1,2]. A product always has *,
    a power is **. The answer is the value L, its gradient by reverse mode, the derivative as a formula, and
    a check by differences.

    Exit status: 0 ok; 1 no gradient exists there (NaN, infinity, a kink, a jump); 2 the input cannot be
    read. With --json, what JSON lacks is the string "NaN", "Infinity" or "-Infinity".
    """
    from chainrule.insight.expression import parse_expression, parse_point, sensitivity

    output.check_options(("--plot", "--json", "--help"), expression, *(at or []))
    parsed = parse_expression(expression)
    answer = sensitivity(parsed, parse_point(at or [], parsed.names))
    if as_json:
        output.say_json(answer.to_json())
    else:
        _say(answer, plot=plot)
    if answer.failure:
        if not as_json:
            output.say_error(answer.failure, fix=_MOVE if answer.point else "use other numbers")
        raise typer.Exit(1)


def _say(answer: Sensitivity, *, plot: bool) -> None:
    names = ", ".join(answer.point)
    output.say_wrapped(f"{f'L({names})' if names else 'L'} = {answer.expression.pretty()}", indent="    ")
    at = ", ".join(_numbers(v) for v in answer.point.values())
    value = f"L({at}) = {_numbers(answer.value)}" if at else f"L = {_numbers(answer.value)}"
    lines = _slope_lines(answer.slopes)
    if len(lines) == 1 and len(value) + len(lines[0]) + 8 <= output.width():
        output.say(f"{value}        {lines[0]}")
    else:
        for line in (value, *lines):
            output.say_wrapped(line, indent="    ")
    if plot:
        _say_plots(answer)
    comments = _comments(answer)
    if comments:
        output.say()
    for sentence in comments:
        output.say_wrapped(sentence, indent="  ")


def _slope_lines(slopes: Sequence[Slope]) -> list[str]:
    lines = []
    left = max((len(s.name) for s in slopes), default=0) + len("dL/d")
    for s in slopes:
        name, value = f"{f'dL/d{s.name}':{left}}", _numbers(s.value)
        formula = s.formula.pretty() if s.formula is not None else value
        lines.append(f"{name} = {formula} = {value}" if formula != value else f"{name} = {value}")
    return lines


def _comments(answer: Sensitivity) -> list[str]:
    """The check, and what the numbers mean."""
    if answer.failure:
        return []
    if not answer.slopes:
        return ["The expression has no names, so there is nothing to differentiate by."]
    steepest = sorted(answer.slopes, key=lambda s: -_size(s))[:4]
    first, *others = [_reading(s) for s in answer.slopes if s in steepest]
    return [_check(answer.slopes), f"Read it as: {first}", *(f"R{text[1:]}" for text in others)]


def _check(slopes: Sequence[Slope]) -> str:
    pairs = [(v, d) for s in slopes for v, d in zip(_list(s.value), _list(s.difference), strict=True)]
    if any(math.isnan(d) for _, d in pairs):
        return "Not checked by differences: L is not defined on both sides of the point."
    if any(s.agrees is None for s in slopes):
        return "Not checked by differences: L changes too fast for them here."
    worst = max((abs(v - d) / (max(abs(v), abs(d)) if v else 1.0) for v, d in pairs), default=0.0)
    return f"Checked by differences: the same to {min(10, int(-math.log10(max(worst, 1e-10))))} digits."


def _reading(s: Slope) -> str:
    name = s.name if s.entry is None else f"{s.name}[{s.entry}]"
    expected, really, step = _short(_size(s) * s.step), _moves(s.change), _short(s.step)
    if expected == "0":
        return f"raise {name} by {step} and L hardly changes (it really {really})."
    rises = "rises" if _steepest(s) > 0 else "falls"
    return f"raise {name} by {step} and L {rises} by about {expected} (it really {really})."


def _moves(change: float) -> str:
    if not math.isfinite(change):
        return "ends up where L is not finite"
    text = _short(abs(change))
    return "stays the same" if text == "0" else f"{'rises' if change > 0 else 'falls'} by {text}"


def _steepest(s: Slope) -> float:
    return _list(s.value)[s.entry or 0]


def _size(s: Slope) -> float:
    return abs(_steepest(s))


def _list(value: float | list[float]) -> list[float]:
    return value if isinstance(value, list) else [value]


def _short(value: float) -> str:
    from chainrule.draw import format_number

    return format_number(value, digits=6)


def _numbers(value: float | list[float]) -> str:
    from chainrule.draw import format_number

    if not isinstance(value, list):
        return format_number(value, digits=8)
    shown = [format_number(v, digits=6) for v in value]
    if len(shown) > 10:
        shown = [*shown[:4], "…", *shown[-2:]]
    return f"[{', '.join(shown)}]"


def _say_plots(answer: Sensitivity) -> None:
    """The curve along each number, tangent included; for a vector its gradient as bars."""
    from chainrule.draw import plot_components, plot_function, sample_curve

    for s in answer.slopes[:4]:
        output.say()
        if isinstance(s.at, list) or isinstance(s.value, list):
            labels = [f"{s.name}[{i}]" for i in range(len(_list(s.value)))]
            output.say_picture(plot_components(labels, _list(s.value), title=f"dL/d{s.name}"))
            continue
        reach = 2 * max(1.0, abs(s.at))
        xs, ys = sample_curve(answer.along(s.name), -reach, reach)
        here = (s.at, answer.value) if math.isfinite(answer.value) else None
        slope = s.value if math.isfinite(s.value) else None
        others = ", ".join(f"{n} = {_numbers(v)}" for n, v in answer.point.items() if n != s.name)
        title = f"L along {s.name}, with {others}" if others else ""
        output.say_picture(plot_function(xs, ys, point=here, slope=slope, title=title, labels=(s.name, "L")))
