"""What `import chainrule` costs a program that uses NumPy anyway."""

import os
import subprocess
import sys

from bench.harness import Beyond, Contenders, Thunk, benchmark, race


def _fresh_process(module: str) -> Thunk:
    command = [sys.executable, "-c", f"import {module}"]
    # as installed: byte code is written once and read from then on (the check before the timing writes it)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return lambda: subprocess.run(command, check=True, env=environment).returncode


@benchmark(goal=Beyond(0.100, "numpy"))
def import_time() -> Contenders:
    """A fresh process that imports chainrule, beside one that imports NumPy.

    Limit: NumPy itself, which chainrule needs.
    """
    return race(0, {module: _fresh_process(module) for module in ("chainrule", "numpy")})
