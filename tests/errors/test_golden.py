"""The full text of each error as a user sees it, traceback included: tests/errors/*.txt.

After a change that is meant:  REWRITE_GOLDEN=1 python -m pytest tests/errors
"""

import importlib.util
import inspect
import os
import re
import traceback
from pathlib import Path

import pytest

import chainrule
from chainrule.errors import ChainruleError

HERE = Path(__file__).parent
PACKAGE = str(Path(chainrule.__file__).parent)

_spec = importlib.util.spec_from_file_location("programs", HERE / "programs.py")
programs = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(programs)
PROGRAMS = {name: f for name, f in vars(programs).items() if inspect.isfunction(f)}


def failure(f) -> Exception:
    with pytest.raises(Exception) as info:  # which one is the golden text's business
        f()
    return info.value


def shown(err: Exception) -> str:
    """The traceback from the user's program on, without the folder of this checkout."""
    entries = traceback.TracebackException.from_exception(err)
    entries.stack = traceback.StackSummary.from_list(e for e in entries.stack if e.filename != __file__)
    lines = "".join(entries.format()).splitlines(keepends=True)
    lines = [
        line for line in lines if line.strip(" ~^\n")
    ]  # the marks under a line differ between versions of Python
    text = (
        "".join(lines).replace(str(HERE / "programs.py"), "program.py").replace("programs.py:", "program.py:")
    )
    first = inspect.getsourcelines(PROGRAMS[entries.stack[0].name])[1]
    return numbered_from(text, first)


def numbered_from(text: str, first: int) -> str:
    """Line numbers counted from the function's own first line, so that programs can be added anywhere."""

    def local(match: re.Match[str]) -> str:
        return f"{match[1]}{int(match[2]) - first + 1}"

    return re.sub(r'(program\.py(?:", line |:))(\d+)', local, text)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_text_is_the_golden_one(name):
    path = HERE / f"{name}.txt"
    text = shown(failure(PROGRAMS[name]))
    if os.environ.get("REWRITE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PROGRAMS)
def test_no_traceback_contains_a_path_of_the_package(name):
    err = failure(PROGRAMS[name])
    files = [frame.filename for frame in traceback.extract_tb(err.__traceback__)]
    assert not [f for f in files if f.startswith(PACKAGE)]
    assert files[-1].endswith("programs.py")
    assert PACKAGE not in "".join(traceback.format_exception(err))


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_error_has_one_thing_to_do_and_the_users_line(name):
    err = failure(PROGRAMS[name])
    assert isinstance(err, ChainruleError)
    assert err.fix
    assert err.source is not None
    assert err.source.file.endswith("programs.py")


def test_each_golden_text_has_its_program():
    assert {p.stem for p in HERE.glob("*.txt")} == set(PROGRAMS)


def test_full_tracebacks_are_there_for_those_who_want_them(monkeypatch):
    """The check above can fail: with the switch set, the package's frames are shown."""
    monkeypatch.setattr(chainrule.config, "TRACEBACK", "full")
    err = failure(programs.second_backward)
    assert any(f.filename.startswith(PACKAGE) for f in traceback.extract_tb(err.__traceback__))
