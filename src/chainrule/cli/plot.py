"""chainrule plot "4*w + w**3" w=1: curve, point and tangent; contour lines for two unknowns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from chainrule.cli import output
from chainrule.errors import ArgumentError

if TYPE_CHECKING:
    from chainrule.insight.expression import Expression

_OPTIONS = ("--from", "--to", "--out", "--json", "--help")


def plot(
    expression: Annotated[str, typer.Argument(metavar="EXPRESSION", help='In quotes: "4*w + w**3".')],
    at: Annotated[
        list[str] | None, typer.Argument(metavar="NAME=VALUE", help="The point: w=1, x=[0,1].")
    ] = None,
    lo: Annotated[float | None, typer.Option("--from", help="Left end of a curve.")] = None,
    hi: Annotated[float | None, typer.Option("--to", help="Right end of a curve.")] = None,
    out: Annotated[
        str | None, typer.Option("--out", metavar="FILE", help="Write it: .svg, .html, .txt or .json.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Draw an expression around a point: curve and tangent, or contour lines.

    \b
    Examples
      chainrule plot "4*w + w**3" w=1
      chainrule plot "4*w - w**3" w=1.5 --from -3 --to 3
      chainrule plot "(w1-2)**2 + (w2+3)**2" w1=0 w2=0
      chainrule plot "norm(w)**2" w=[0.1,0,2] --out slopes.svg

    One unknown gives a curve with its tangent, two give contour lines with the steepest way down, more give
    the slope along each. What can be written is what  chainrule grad --help  lists.

    Exit status: 0 drawn; 2 the input cannot be read.
    """
    from chainrule.insight.expression import parse_expression, parse_point

    output.check_options(_OPTIONS, expression, *(at or []))
    parsed = parse_expression(expression)
    picture = _picture(parsed, parse_point(at or [], parsed.names), lo, hi)
    if out is not None:
        output.save_picture(picture, out)
    if as_json:
        output.say_json(picture.to_json())
    elif out is None:
        output.say_picture(picture)
    else:
        output.say(out)


def _picture(parsed: Expression, point: dict[str, Any], lo: float | None, hi: float | None) -> Any:
    from chainrule.insight import plots
    from chainrule.insight.expression import entries, entry_names, of_one_vector

    if not point:
        what = "the expression has no names, so there is nothing to vary"
        raise ArgumentError(what, given=parsed.pretty(), fix='use one, as in  chainrule plot "(w-2)**2" w=0')
    names = [*entry_names(point), "L"]
    title = f"L = {parsed.pretty()}"
    if len(names) > 2 and (lo is not None or hi is not None):
        raise ArgumentError(
            "limits are for the curve of one unknown", given=", ".join(point), fix="leave them out"
        )
    if len(names) > 2:
        start = [x for v in point.values() for x in entries(v)]
        return plots.plot(of_one_vector(parsed, point), at=start, names=names, title=title)
    (name,) = point
    x = entries(point[name])[0]
    reach = 2 * max(1.0, abs(x))
    between = (-reach if lo is None else lo, reach if hi is None else hi)
    as_given = (lambda w: parsed.evaluate({name: w.reshape(1)})) if isinstance(point[name], list) else None
    f = as_given or (lambda w: parsed.evaluate({name: w}))
    return plots.plot(f, at=x, between=between, names=names, title=title)
