"""The operation that CONTRIBUTING adds is really there, word for word."""

import re
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"```(?:python|text)\n# (\S+\.py)\n(.*?)```", re.DOTALL)


def squeezed(text: str) -> str:
    return textwrap.dedent(text).strip()


def stands_in(block: str, text: str) -> bool:
    """Whether the lines of the block follow one another in the text, at one depth of indentation."""
    return any(
        textwrap.indent(squeezed(block), " " * depth) + "\n" in text + "\n" for depth in range(0, 13, 4)
    )


@pytest.mark.parametrize("path, block", BLOCK.findall(GUIDE))
def test_code_of_the_guide_is_code_of_the_file_it_names(path, block):
    assert stands_in(block, (ROOT / path).read_text(encoding="utf-8"))


def test_the_guide_shows_the_entry_its_name_and_its_rows():
    assert [path for path, _ in BLOCK.findall(GUIDE)] == [
        "src/chainrule/table/exponential.py",
        "src/chainrule/ops/elementwise.py",
        "tests/table/test_against_mpmath.py",
        "tests/table/exact.py",
        "tests/table/test_kinks.py",
    ]


def test_a_block_that_differs_in_one_sign_is_caught():
    path, block = BLOCK.findall(GUIDE)[0]
    text = (ROOT / path).read_text(encoding="utf-8")
    assert not stands_in(block.replace("x - y", "x + y"), text)
