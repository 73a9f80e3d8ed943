"""The page of differences from PyTorch says what the tables of the tests say, and its right values are mpmath's."""

import json
import re
import runpy
from pathlib import Path

import mpmath
import numpy as np
import pytest

from chainrule.table import TABLE

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/maths/against-pytorch.md").read_text(encoding="utf-8")
KNOWN = {
    row["id"]: row
    for row in json.loads((ROOT / "tests/semantics/deliberate_differences.json").read_text(encoding="utf-8"))[
        "rows"
    ]
}
CELLS = [[c.strip() for c in line.strip("|").split(" | ")] for line in PAGE.splitlines() if "|" in line]
SHOWN = {cells[0].strip(): cells for cells in CELLS if cells[0].strip() in KNOWN}
RIGHT = {name: cells[1].strip("`") for name, cells in SHOWN.items() if len(cells) == 5}


def right(expression: str) -> np.ndarray:
    with mpmath.workdps(40):
        found = eval(expression, dict(vars(mpmath)))
        return np.array([float(v) for v in (found if isinstance(found, list) else [found])])


def as_shown(value) -> str:
    return "error" if value == "error" else f"`{value!r}`".replace("'", "")


def test_every_difference_is_on_the_page_and_no_other():
    assert SHOWN.keys() == KNOWN.keys()


@pytest.mark.parametrize("name", KNOWN)
def test_a_row_shows_both_answers(name):
    assert SHOWN[name][-3:-1] == [as_shown(KNOWN[name][who]) for who in ("ours", "torch")]


@pytest.mark.parametrize("name", KNOWN)
def test_a_row_names_the_rule_that_decides(name):
    if rule := re.match(r"rule (\d)", KNOWN[name]["why"]):
        assert rule[1] in SHOWN[name][-1]


@pytest.mark.parametrize("name", RIGHT)
def test_ours_is_the_right_number_and_theirs_is_not(name):
    ours, theirs = (np.atleast_1d(KNOWN[name][who]) for who in ("ours", "torch"))
    np.testing.assert_allclose(ours, right(RIGHT[name]), rtol=1e-15)
    assert not np.allclose(theirs, right(RIGHT[name]), rtol=1e-15, atol=0)


def test_a_wrong_expression_is_noticed():
    assert not np.allclose(KNOWN["tanh far out"]["ours"], right("sech(21)**2"), rtol=1e-15, atol=0)


def test_reasons_on_samples_of_pytorch_are_all_there():
    rows = runpy.run_path(str(ROOT / "tests/peers/differences.py"))["ROWS"]
    assert [r.why for r in rows if r.why.replace("|", "\\|") not in PAGE] == []


@pytest.mark.parametrize(
    "name, part", [(n, "slope_tolerance") for n in ("pow", "logaddexp")] + [("gammainc", "tolerance")]
)
def test_the_widest_bounds_are_those_of_the_table(name, part):
    assert f"{getattr(TABLE[name], part):g}" in PAGE.split("## How exact")[1]
