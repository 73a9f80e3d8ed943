"""The command as a person meets it: in this process through typer's runner, and as a real process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import chainrule
from chainrule.cli.main import app

SOURCES = str(Path(chainrule.__file__).parents[1])
START = "from chainrule.cli.main import main; main()"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """`run("grad", "w", "w=1", columns=60)` → exit_code, stdout, stderr."""

    def call(*args: str, columns: int = 80) -> Result:
        monkeypatch.setenv("COLUMNS", str(columns))
        return CliRunner().invoke(app, args, catch_exceptions=False)

    return call


@pytest.fixture
def environment() -> Callable[..., dict[str, str]]:
    """The variables of a plain terminal of 80 columns, and those that are given."""
    path = os.pathsep.join(filter(None, [SOURCES, os.environ.get("PYTHONPATH", "")]))
    base = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    return lambda **env: {**base, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8", "COLUMNS": "80", **env}


@pytest.fixture
def command() -> list[str]:
    """What starts the command in a process of its own, whether the package is installed or not."""
    return [sys.executable, "-c", START]


@pytest.fixture
def process(
    command: list[str], environment: Callable[..., dict[str, str]]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`process("grad", "w", "w=1", NO_COLOR="1")` → returncode, stdout, stderr."""

    def call(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *args],
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=60,
            env=environment(**env),
        )

    return call
