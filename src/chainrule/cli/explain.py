"""chainrule explain "4*w + w**3" w=1: every step of an expression, with its local derivative."""

from __future__ import annotations

from typing import Annotated

import typer

from chainrule.cli import output

_OPTIONS = ("--graph", "--latex", "--out", "--json", "--help")


def explain(
    expression: Annotated[str, typer.Argument(metavar="EXPRESSION", help='In quotes: "4*w + w**3".')],
    at: Annotated[
        list[str] | None, typer.Argument(metavar="NAME=VALUE", help="The point: w=1, x=[0,1].")
    ] = None,
    graph: Annotated[bool, typer.Option("--graph", help="Show the computation as a graph, in text.")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="Print LaTeX.")] = False,
    out: Annotated[
        str | None, typer.Option("--out", metavar="FILE", help="Write the graph: .svg, .html, .txt or .json.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Every step of an expression: its value, its local derivative, and how the result feels it.

    \b
    Examples
      chainrule explain "4*w + w**3" w=1
      chainrule explain "norm(w)**2" w=[0.1,0,2] --graph
      chainrule explain "a*exp(-t)" a=2 t=1 --out graph.svg

    What can be written is what  chainrule grad --help  lists.

    Exit status: 0 ok; 2 the input cannot be read.
    """
    from chainrule.insight.expression import parse_expression, parse_point
    from chainrule.insight.expression.explained import explained

    output.check_options(_OPTIONS, expression, *(at or []))
    parsed = parse_expression(expression)
    answer = explained(parsed, parse_point(at or [], parsed.names))
    if out is not None:
        output.save_picture(answer.graph(), out)
    if as_json:
        output.say_json(answer.to_json())
    elif latex:
        output.say(answer.latex())
    elif graph:
        output.say(answer.graph().to_text())
    else:
        output.say(str(answer) if out is None else out)
