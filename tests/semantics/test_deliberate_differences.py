"""Where we differ from PyTorch on purpose: deliberate_differences.json, for the tests against PyTorch too."""

import json
import warnings
from pathlib import Path

import pytest

import chainrule

ROWS = json.loads((Path(__file__).parent / "deliberate_differences.json").read_text(encoding="utf-8"))["rows"]


def outcome(module, code):
    names = {"m": module}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(code, names)
    except Exception:
        return "error"
    return names["result"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_ours_is_what_the_table_of_differences_says(row):
    assert repr(outcome(chainrule, row["code"])) == repr(row["ours"])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_a_difference_is_one_and_has_a_reason(row):
    assert repr(row["ours"]) != repr(row["torch"])
    assert row["why"]
