"""Where llvmlite cannot be imported the reference engine computes the same numbers, and the doctor says why."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from tests.codegen.agreement import check_agreement
from tests.codegen.programs import arguments, program
from tests.codegen.test_program import given_arrays

ROOT = Path(__file__).parents[2]
SEEDS = range(30)

BLOCKED = """
import sys
sys.modules["llvmlite"] = sys.modules["llvmlite.binding"] = None  # an import of it fails
"""
NUMBERS = (
    BLOCKED
    + """
import numpy as np
import chainrule as cr
from tests.codegen.test_without_llvmlite import SEEDS, programs
found = {f"{seed} {k}": np.asarray(out) for seed in SEEDS for k, out in enumerate(programs(seed)[2]())}
np.savez(sys.argv[1], **found)
f = cr.compile(cr.sin)
f(0.5)
assert "llvmlite is not there" in str(f.report())
assert sys.modules["llvmlite"] is None
"""
)
DOCTOR = (
    BLOCKED
    + """
from chainrule.cli.main import main
sys.argv = ["chainrule", "doctor", *sys.argv[1:]]
main()
"""
)


def programs(seed):
    """A function of arrays, the arrays, and what computes it compiled: its values, or its gradient."""
    args = arguments(np.random.default_rng(seed))
    f = program(seed, size=6)

    def total(*xs):
        return sum((o * o).sum() for o in f(*xs) if o.is_floating_point()) + 0.0 * xs[0].sum()

    g = (f, cr.grad(total, tuple(range(len(args)))))[seed % 2]
    return g, args, lambda: cr.compile(g)(*args)


def run(script, *args):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "80"}
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, *args],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


def test_the_numbers_are_the_same(tmp_path):
    file = tmp_path / "found.npz"
    ended = run(NUMBERS, str(file))
    assert ended.returncode == 0, ended.stderr
    found = np.load(file)
    for seed in SEEDS:
        f, args, compiled = programs(seed)
        g = cr.graph_of(f, *args)
        arrays = given_arrays(g, args)
        here = compiled()
        there = [found[f"{seed} {k}"] for k in range(len(here))]
        check_agreement(there, g, arrays)
        check_agreement([np.asarray(v) for v in here], g, arrays, reference=there)


@pytest.mark.parametrize("how", [[], ["--json"]])
def test_the_doctor_says_so(how):
    ended = run(DOCTOR, *how)
    assert ended.returncode == 1
    if not how:
        assert "'llvmlite' cannot be imported" in ended.stdout
        assert "llvmlite is missing. To fix it:  pip install llvmlite" in ended.stdout
        return
    states = {f["name"]: f["state"] for f in json.loads(ended.stdout)["findings"]}
    assert states["llvmlite"] == states["LLVM"] == "missing"
    assert states["gradient"] == "ok"
