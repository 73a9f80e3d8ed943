"""The command `chainrule`. Only here an error becomes one readable message and an exit status.

0 ok   1 mathematical failure   2 input that cannot be read   130 interrupted   141 the reader went away
"""

from __future__ import annotations

import difflib
import os
import shlex
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import chainrule
from chainrule.cli import descend, doctor, explain, grad, learn, output, plot, tour
from chainrule.errors import ArgumentError, ChainruleError, DerivativeError

OK, FAILED, UNREADABLE, INTERRUPTED, PIPE_CLOSED = 0, 1, 2, 130, 141
_USAGE_ERROR: Any = typer.BadParameter.__mro__[1]  # typer names only this child of it

_COMMANDS = (
    ('chainrule grad "4*w + w**3" w=1', "value, gradient, and why"),
    ('chainrule descend "(w-3)**2" w=0', "step by step downhill, and how it ended"),
    ('chainrule plot "4*w + w**3" w=1', "curve, point and tangent, as text"),
    ('chainrule explain "4*w + w**3" w=1', "each step, and how the result feels it"),
    ("chainrule learn", "nine short exercises, checked as you go"),
    ("chainrule tour", "the lecture's cases, checked: a report"),
    ("chainrule doctor", "what works here, and how to get more"),
)


class _Commands(TyperGroup):
    """Commands whose errors are readable, whoever starts them: a shell, or a test."""

    def main(
        self, args: Sequence[str] | None = None, *_: Any, standalone_mode: bool = True, **__: Any
    ) -> Any:
        _never_fail_to_encode()
        status = self._run(list(sys.argv[1:] if args is None else args))
        if standalone_mode:
            sys.exit(status)
        return status

    def _run(self, args: list[str]) -> int:
        try:
            status = super().main(args, prog_name="chainrule", standalone_mode=False)
            sys.stdout.flush()
            return status if isinstance(status, int) else OK
        except ChainruleError as err:
            return _report(err, "--json" in args)
        except _USAGE_ERROR as err:
            return _report(_as_ours(err), "--json" in args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            print("\ninterrupted", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            raise typer.Exit(_pipe_closed()) from None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("--"):
            raise _no_command(name, args, self.list_commands(ctx))
        return super().resolve_command(ctx, args)


def _never_fail_to_encode() -> None:
    """A terminal without ² shows ? instead of a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _pipe_closed() -> int:
    """`chainrule … | head` ends quietly, also when Python flushes at exit: what is left goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return PIPE_CLOSED


def _report(err: ChainruleError, as_json: bool) -> int:
    if as_json:
        output.say_json(output.error_as_json(err))
    else:
        output.say_error(err.what, err.code, err.given, err.fix)
    return FAILED if isinstance(err, DerivativeError) else UNREADABLE


def _as_ours(err: Any) -> ChainruleError:
    """A usage error of typer in our words and form."""
    what = err.format_message().strip().rstrip(".")
    if hasattr(err, "option_name") and what.startswith("No such"):
        what = f"there is no option '{err.option_name}'"
    command = err.ctx.command_path if err.ctx else "chainrule"
    return ArgumentError(what[:1].lower() + what[1:], fix=f"see  {command} --help")


def _no_command(name: str, args: list[str], commands: list[str]) -> ChainruleError:
    near = difflib.get_close_matches(name.lower(), commands, 1, cutoff=0.5)
    if near:
        fix = f"did you mean  {shlex.join(['chainrule', near[0], *args[1:]])}  ?"
    elif not name.isidentifier():
        fix = " ".join(["did you mean  chainrule grad", f'"{name}"', *args[1:], " ?"])
    else:
        fix = f"use one of: {', '.join(commands)}"
    return ArgumentError(f"there is no command '{name}'", fix=fix)


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    invoke_without_command=True,
)
app.command(context_settings={"ignore_unknown_options": True})(grad.grad)  # -w**2 is an expression
app.command(context_settings={"ignore_unknown_options": True})(descend.descend)
app.command(context_settings={"ignore_unknown_options": True})(plot.plot)
app.command(context_settings={"ignore_unknown_options": True})(explain.explain)
app.command()(learn.learn)
app.command()(tour.tour)
app.command()(doctor.doctor)


@app.callback()
def start(
    ctx: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Gradients you can question.

    \b
    Examples
      chainrule grad "4*w + w**3" w=1
      chainrule grad --help
      chainrule tour
    """
    if version:
        output.say(f"chainrule {chainrule.__version__}")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        _introduce()


def _introduce() -> None:
    """The short list that a person sees first."""
    name, columns = f"chainrule {chainrule.__version__}", min(output.width(), 80)
    title = "Gradients you can question."
    output.say(f"{title}{name:>{max(columns - len(title), len(name) + 2)}}")
    left = max(len(command) for command, _ in _COMMANDS) + 5
    side_by_side = left + max(len(what) for _, what in _COMMANDS) <= output.width()
    for command, what in _COMMANDS:
        output.say(f"  {command:{left - 2}}{what}" if side_by_side else f"  {command}\n      {what}")


def main() -> None:
    """Entry point of the command."""
    try:
        app()
    except BrokenPipeError:
        sys.exit(_pipe_closed())
    except OSError as err:
        if err.filename is not None:
            raise
        _pipe_closed()
        output.say_error(f"the output cannot be written: {(err.strerror or 'error').lower()}")
        sys.exit(FAILED)
