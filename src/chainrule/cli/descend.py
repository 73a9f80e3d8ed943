"""chainrule descend "(w1-2)**2 + (w2+3)**2" w1=0 w2=0: gradient descent on an expression, and how it ended."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from chainrule.cli import output
from chainrule.errors import ArgumentError

_OPTIONS = ("--lr", "--tol", "--maxiter", "--float32", "--json", "--plot", "--csv", "--help")
_INTERRUPTED = 130


def descend(
    expression: Annotated[str, typer.Argument(metavar="EXPRESSION", help='In quotes: "(w-2)**2".')],
    at: Annotated[
        list[str] | None, typer.Argument(metavar="NAME=VALUE", help="The start: w=0, x=[0,1].")
    ] = None,
    lr: Annotated[
        float, typer.Option("--lr", help="Learning rate: the step is lr times the gradient.")
    ] = 1e-2,
    tol: Annotated[float, typer.Option("--tol", help="Done when ‖∇L‖ is no larger.")] = 1e-6,
    maxiter: Annotated[int, typer.Option("--maxiter", help="The largest number of steps.")] = 10_000,
    float32: Annotated[bool, typer.Option("--float32", help="Compute in float32, as PyTorch does.")] = False,
    plot: Annotated[bool, typer.Option("--plot", help="Draw ‖∇L‖, and the path of two unknowns.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    csv: Annotated[
        str | None, typer.Option("--csv", metavar="FILE", help="Write the steps to a file.")
    ] = None,
) -> None:
    """Walk downhill from a point, and say how it ended.

    \b
    Examples
      chainrule descend "(w1-2)**2 + (w2+3)**2" w1=0 w2=0
      chainrule descend "(w-1000)**2" w=0 --float32
      chainrule descend "(w-3)**4" w=0 --lr 0.1 --plot
      chainrule descend "norm(x)**2" x=[1,2] --csv path.csv

    Each step is w − lr·∇L. What can be written is what  chainrule grad --help  lists.

    Exit status: 0 converged; 1 not (the reason is said); 2 the input cannot be read; 130 interrupted.
    """
    from chainrule import float32 as single
    from chainrule import float64, minimize, tensor
    from chainrule.insight.expression import parse_expression, parse_point

    _check_options(expression, at or [])
    parsed = parse_expression(expression)
    if not parsed.names:
        what = "the expression has no names, so there is nothing to vary"
        raise ArgumentError(what, given=expression, fix='use one, as in  chainrule descend "(w-2)**2" w=0')
    point = parse_point(at or [], parsed.names)
    start = tensor([x for v in point.values() for x in _entries(v)], dtype=single if float32 else float64)
    function = _of_one_vector(parsed, point)
    shown = False if as_json else None
    result = minimize(function, start, lr=lr, tol=tol, maxiter=maxiter, progress=shown).named(_names(point))
    if csv is not None:
        _write(result, csv)
    if as_json:
        output.say_json(_as_json(result, point))
    else:
        _say(result, plot=plot)
    if not result.success:
        raise typer.Exit(_INTERRUPTED if result.status == "interrupted" else 1)


def _check_options(expression: str, at: Sequence[str]) -> None:
    """Options that do not exist arrive as text, because -w**2 is an expression."""
    for text in (expression, *at):
        if text.startswith("--") and text[2:3].isalpha() and text.isascii():
            near = difflib.get_close_matches(text, _OPTIONS, 1)
            fix = f"did you mean {near[0]}?" if near else f"a double minus is written  -(-{text[2:]})"
            raise ArgumentError(f"there is no option '{text}'", fix=fix)


def _entries(value: float | list[float]) -> list[float]:
    return value if isinstance(value, list) else [value]


def _names(point: dict[str, Any]) -> list[str]:
    """One name for each number."""
    return [
        name if not isinstance(v, list) else f"{name}[{i}]"
        for name, v in point.items()
        for i in range(len(_entries(v)))
    ]


def _of_one_vector(parsed: Any, point: dict[str, Any]) -> Callable[[Any], Any]:
    """The expression as a function of all its numbers in one vector."""
    places, at = {}, 0
    for name, v in point.items():
        places[name] = slice(at, at + len(v)) if isinstance(v, list) else at
        at += len(_entries(v))
    return lambda w: parsed.evaluate({name: w[place] for name, place in places.items()})


def _write(result: Any, path: str) -> None:
    try:
        result.to_csv(path)
    except OSError as err:
        what = f"the steps cannot be written to '{path}': {(err.strerror or 'error').lower()}"
        raise ArgumentError(what, fix="choose another file with --csv") from None


def _say(result: Any, *, plot: bool) -> None:
    for line in str(result).split("\n"):
        if len(line) <= output.width():
            output.say(line)
            continue
        indent = " " * (len(line) - len(line.lstrip()))
        for part in re.split(" {5,}", line.strip()):  # what stands side by side where there is room
            output.say("\n".join(output.wrapped(part, first=indent, later=indent + "  ")))
    if plot and len(result.history):
        kinds = ["convergence", "path"] if result.w.numel() == 2 else ["convergence"]
        for kind in kinds:
            output.say()
            _say_picture(result.plot(kind))


def _say_picture(picture: Any) -> None:
    """As wide as it is drawn best, or as the terminal allows."""
    text = picture.to_text()
    too_much = max(map(len, text.splitlines())) - output.width()
    output.say((picture.to_text(width=max(16, 56 - too_much)) if too_much > 0 else text).strip("\n"))


def _as_json(r: Any, point: dict[str, Any]) -> dict[str, Any]:
    return {
        "status": r.status, "success": r.success, "steps": r.steps,
        "w": _by_name(r.w.tolist(), point), "value": _json_number(r.value), "norm": _json_number(r.norm),
        "grad": _by_name(r.grad.tolist(), point),
        "lr": r.lr, "tol": r.tol, "maxiter": r.maxiter, "dtype": str(r.w.dtype),
        "criteria": r.criteria, "message": " ".join(r.message.split()),
    }  # fmt: skip


def _by_name(numbers: list[float], point: dict[str, Any]) -> dict[str, Any]:
    left, found = list(map(_json_number, numbers)), {}
    for name, v in point.items():
        n = len(_entries(v))
        found[name], left = (left[:n] if isinstance(v, list) else left[0]), left[n:]
    return found


def _json_number(x: float) -> float | str:
    """What JSON lacks is a string, as in `chainrule grad --json`."""
    return x if math.isfinite(x) else "NaN" if math.isnan(x) else "Infinity" if x > 0 else "-Infinity"
