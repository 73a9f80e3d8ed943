"""chainrule descend "(w1-2)**2 + (w2+3)**2" w1=0 w2=0: gradient descent on an expression, and how it ended."""

from __future__ import annotations

import math
import re
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
    from chainrule.insight.expression import (
        entries,
        entry_names,
        of_one_vector,
        parse_expression,
        parse_point,
    )

    output.check_options(_OPTIONS, expression, *(at or []))
    parsed = parse_expression(expression)
    if not parsed.names:
        what = "the expression has no names, so there is nothing to vary"
        raise ArgumentError(what, given=expression, fix='use one, as in  chainrule descend "(w-2)**2" w=0')
    point = parse_point(at or [], parsed.names)
    start = tensor([x for v in point.values() for x in entries(v)], dtype=single if float32 else float64)
    function = of_one_vector(parsed, point)
    shown = False if as_json else None
    result = minimize(function, start, lr=lr, tol=tol, maxiter=maxiter, progress=shown).named(
        entry_names(point)
    )
    if csv is not None:
        _write(result, csv)
    if as_json:
        output.say_json(_as_json(result, point))
    else:
        _say(result, plot=plot)
    if not result.success:
        raise typer.Exit(_INTERRUPTED if result.status == "interrupted" else 1)


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
            output.say_picture(result.plot(kind))


def _as_json(r: Any, point: dict[str, Any]) -> dict[str, Any]:
    return {
        "status": r.status, "success": r.success, "steps": r.steps,
        "w": _by_name(r.w.tolist(), point), "value": _json_number(r.value), "norm": _json_number(r.norm),
        "grad": _by_name(r.grad.tolist(), point),
        "lr": r.lr, "tol": r.tol, "maxiter": r.maxiter, "dtype": str(r.w.dtype),
        "criteria": r.criteria, "message": " ".join(r.message.split()),
    }  # fmt: skip


def _by_name(numbers: list[float], point: dict[str, Any]) -> dict[str, Any]:
    from chainrule.insight.expression import entries

    left, found = list(map(_json_number, numbers)), {}
    for name, v in point.items():
        n = len(entries(v))
        found[name], left = (left[:n] if isinstance(v, list) else left[0]), left[n:]
    return found


def _json_number(x: float) -> float | str:
    """What JSON lacks is a string, as in `chainrule grad --json`."""
    return x if math.isfinite(x) else "NaN" if math.isnan(x) else "Infinity" if x > 0 else "-Infinity"
