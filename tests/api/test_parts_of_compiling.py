"""The bench takes the time of each part of compiling, which it finds by the names of functions."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_part_of_compiling_is_timed():
    """In a process of its own, as in the bench: its clock replaces the functions."""
    command = [sys.executable, "-m", "bench.in_a_process", "chainrule", "kernel", "1000"]
    env = {**os.environ, "CHAINRULE_CACHE": "off"}
    done = subprocess.run(command, env=env, cwd=ROOT, check=True, capture_output=True, text=True)
    parts = json.loads(done.stdout)["parts"]
    assert len(parts) > 10
    assert [part for part, seconds in parts.items() if not seconds > 0] == [
        "entry"
    ]  # made in the second call
