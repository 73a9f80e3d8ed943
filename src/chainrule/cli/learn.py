"""chainrule learn: the exercises, one of them, or a check of a file with an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from chainrule.cli import output
from chainrule.errors import ArgumentError

if TYPE_CHECKING:
    from chainrule.learn import Exercise


def learn(
    name: Annotated[str | None, typer.Argument(metavar="EXERCISE", help="One of them, e.g. ex2.")] = None,
    check: Annotated[
        str | None, typer.Option("--check", metavar="FILE", help="Run this file, and check the answer in it.")
    ] = None,
    hints: Annotated[int, typer.Option("--hints", help="Show so many hints.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Nine short exercises on gradients, checked as you go.

    \b
    Examples
      chainrule learn
      chainrule learn ex2 > ex2.py
      chainrule learn ex2 --check ex2.py
      chainrule learn ex2 --hints 2

    Alone it lists the exercises. With a name it prints a file to be completed; --check runs that file.
    In Python and in notebooks:  from chainrule.learn import ____, ex2  and  ex2.check()

    Exit status: 0 ok, or the answer is correct; 1 the answer is not; 2 there is no such exercise or file.
    """
    from chainrule.learn import EXERCISES

    if name is None:
        _list(EXERCISES, as_json=as_json)
        return
    exercise = next((e for e in EXERCISES if e.name == name.lower()), None)
    if exercise is None:
        fix = f"use one of: {', '.join(e.name for e in EXERCISES)}"
        raise ArgumentError(f"there is no exercise '{name}'", fix=fix)
    if check is not None:
        _check(exercise, check, as_json=as_json)
    elif hints > 0:
        for _ in range(min(hints, len(exercise.hints))):
            output.say_wrapped(str(exercise.hint()).partition("      (")[0], indent="  ")
    elif as_json:
        output.say_json({"name": exercise.name, "title": exercise.title, "task": exercise.task,
                         "template": exercise.template})  # fmt: skip
    else:
        _show(exercise)


def _list(exercises: tuple[Exercise, ...], *, as_json: bool) -> None:
    if as_json:
        output.say_json({"exercises": [{"name": e.name, "title": e.title} for e in exercises]})
        return
    output.say_table(((e.name, e.title, e.task) for e in exercises), indent=0)
    output.say()
    output.say("One of them, as a file to complete:  chainrule learn ex1 > ex1.py")
    output.say("Then check it:                       chainrule learn ex1 --check ex1.py")


def _show(e: Exercise) -> None:
    output.say(f"# {e.name}: {e.title}")
    for line in output.wrapped(e.task, first="# ", later="# "):
        output.say(line)
    output.say(f"import chainrule as cr\nfrom chainrule.learn import ____\n\n\n{e.template}".rstrip())


def _check(e: Exercise, path: str, *, as_json: bool) -> None:
    outcome = e.check(_function(e, path))
    if as_json:
        output.say_json({"name": e.name, "status": outcome.status, "message": outcome.message})
    else:
        output.say_wrapped(repr(outcome), indent="  ")
    if not outcome.correct:
        raise typer.Exit(1)


def _function(e: Exercise, path: str) -> Any:
    """The answer's function, from the learner's own file."""
    import runpy

    try:
        return runpy.run_path(path).get(e.function)
    except OSError as err:
        what = f"'{path}' cannot be read: {(err.strerror or 'error').lower()}"
        raise ArgumentError(what, fix=f"write it with  chainrule learn {e.name} > {e.name}.py") from None
    except SyntaxError as err:
        raise ArgumentError(
            f"{path} is no Python: {err.msg} in line {err.lineno}", fix="mend that line"
        ) from None
    except Exception as err:
        what = f"{path} ends with {type(err).__name__}: {err}"
        raise ArgumentError(what.partition("\n")[0], fix="run it with python to see where") from None
