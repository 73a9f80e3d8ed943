"""The command itself: what it says alone, how it fails, and how it behaves in pipes and terminals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import pytest

import chainrule


def test_alone_it_lists_what_can_be_done(run: Any) -> None:
    title = "Gradients you can question."
    assert run().stdout == (
        f"{title}{f'chainrule {chainrule.__version__}':>{80 - len(title)}}\n"
        '  chainrule grad "4*w + w**3" w=1      value, gradient, and why\n'
        '  chainrule descend "(w-3)**2" w=0     step by step downhill, and how it ended\n'
        '  chainrule plot "4*w + w**3" w=1      curve, point and tangent, as text\n'
        '  chainrule explain "4*w + w**3" w=1   each step, and how the result feels it\n'
        "  chainrule learn                      nine short exercises, checked as you go\n"
        "  chainrule tour                       the lecture's cases, checked: a report\n"
        "  chainrule doctor                     what works here, and how to get more\n"
    )


def test_the_list_fits_a_narrow_terminal(run: Any) -> None:
    assert max(map(len, run(columns=60).stdout.splitlines())) <= 60


def test_version(run: Any) -> None:
    assert run("--version").stdout == f"chainrule {chainrule.__version__}\n"


@pytest.mark.parametrize(
    "words",
    [[], ["grad"], ["descend"], ["plot"], ["explain"], ["learn"], ["tour"], ["doctor"]],
    ids=lambda words: " ".join(words) or "alone",
)
def test_every_command_has_help_with_examples_that_fits(run: Any, process: Any, words: list[str]) -> None:
    result = run(*words, "--help")
    assert result.exit_code == 0
    assert "Examples" in result.stdout
    narrow = process(*words, "--help", COLUMNS="60")
    assert max(map(len, narrow.stdout.splitlines())) <= 60


@pytest.mark.parametrize(
    "args, words",
    [
        (
            ["gard", "4*w", "w=1"],
            "there is no command 'gard' (E104)\n  did you mean  chainrule grad '4*w' w=1  ?",
        ),
        (["Doctor"], "did you mean  chainrule doctor  ?"),
        (["4*w+w**3", "w=1"], 'did you mean  chainrule grad "4*w+w**3" w=1  ?'),
        (["zzz"], "use one of: grad, descend, plot, explain, learn"),
        (["--colour"], "there is no option '--colour'"),
        (["doctor", "--josn"], "there is no option '--josn'"),
    ],
)
def test_a_slip_gets_a_suggestion(run: Any, args: list[str], words: str) -> None:
    result = run(*args)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert words in result.stderr


def test_help_loads_nothing_heavy(environment: Any) -> None:
    code = (
        "import sys; from chainrule.cli.main import app\n"
        "try: app(['grad', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'scipy', 'matplotlib', 'llvmlite', 'optree', 'chainrule.draw'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment())
    assert out.stdout.splitlines()[-1] == "[]", out.stderr


def test_output_is_the_same_bytes_in_a_pipe_for_any_hash_seed(process: Any, run: Any) -> None:
    args = ("grad", "sin(w)*b + b**2", "w=1", "b=2")
    outputs = {process(*args, PYTHONHASHSEED=seed).stdout for seed in ("0", "1", "2")}
    assert outputs == {run(*args).stdout}


def test_a_closed_pipe_is_quiet(command: list[str], environment: Any) -> None:
    args = [*command, "grad", "4*w + w**3", "w=1", "--plot"]
    read, write = os.pipe()
    os.close(read)
    out = subprocess.run(args, stdout=write, stderr=subprocess.PIPE, text=True, env=environment())
    os.close(write)
    assert out.stderr == ""
    assert out.returncode == 141


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a disk that is always full")
def test_a_full_disk_is_one_line(command: list[str], environment: Any) -> None:
    with open("/dev/full", "w") as full:
        args = [*command, "grad", "4*w + w**3", "w=1"]
        out = subprocess.run(args, stdout=full, stderr=subprocess.PIPE, text=True, env=environment())
    assert out.stderr == "error: the output cannot be written: no space left on device\n"
    assert out.returncode == 1


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_ends_with_a_clean_line(command: list[str], environment: Any) -> None:
    *python, start = command
    slow = (
        "import time, chainrule.cli.output as output\n"
        "output.check_options = lambda *args: (print('ready', flush=True), time.sleep(60))\n"
    )
    child = subprocess.Popen(
        [*python, slow + start, "grad", "w", "w=1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=30)
    assert err == "\ninterrupted\n"
    assert child.returncode == 130


def test_a_terminal_without_the_letters_gets_question_marks(process: Any) -> None:
    out = process("grad", "4*w + w**3", "w=1", PYTHONIOENCODING="ascii")
    assert out.returncode == 0
    assert "L(w) = 4w + w?" in out.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals of POSIX")
@pytest.mark.parametrize("env, coloured", [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colour_is_for_terminals_that_want_it(
    command: list[str], environment: Any, env: dict[str, str], coloured: bool
) -> None:
    import pty

    main, sub = pty.openpty()
    child = subprocess.Popen(
        [*command, "doctor"], stdout=sub, stderr=sub, env=environment(TERM="xterm", **env)
    )
    os.close(sub)
    text = b""
    while True:
        try:
            block = os.read(main, 4096)
        except OSError:  # the other end is closed
            break
        if not block:
            break
        text += block
    child.wait(timeout=60)
    os.close(main)
    assert b"gradient" in text
    assert (b"\x1b[" in text) is coloured


def test_python_dash_m_is_the_command():
    import subprocess
    import sys

    out = subprocess.run(
        [sys.executable, "-m", "chainrule", "--help"], capture_output=True, text=True, check=True
    )
    assert "Usage: chainrule " in out.stdout
