"""The notebooks of this folder, made from their text: with blanks for the learner, and with the solutions.

python -m docs.notebooks.build        writes gradients.ipynb and gradients_solutions.ipynb beside gradients.md
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

from chainrule.learn import EXERCISES

FOLDER = Path(__file__).parent
SOURCE = FOLDER / "gradients.md"
_MARK = re.compile(r"# exercise: (\w+)\s*")


def notebook(*, solutions: bool) -> str:
    """The notebook as JSON: without outputs, and the same bytes each time."""
    import jupytext
    import nbformat

    found = jupytext.read(SOURCE)
    for number, cell in enumerate(found.cells, 1):
        cell.id = f"cell-{number:03}"  # jupytext draws them at random
        cell.metadata = {}
        mark = _MARK.fullmatch(cell.source)
        if mark:
            cell.source = _exercise(mark[1], solutions=solutions)
    found.metadata = {"kernelspec": found.metadata["kernelspec"], "language_info": {"name": "python"}}
    found.nbformat, found.nbformat_minor = 4, 5
    nbformat.validate(found)
    return nbformat.writes(found, version=4, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _exercise(name: str, *, solutions: bool) -> str:
    e = next(e for e in EXERCISES if e.name == name)
    text = e.solved if solutions else e.template
    task = textwrap.wrap(f"{e.name}. {e.task}", 88)
    return "\n".join([*(f"# {line}" for line in task), text.rstrip()])


def written() -> dict[Path, str]:
    """Each file, and what belongs in it."""
    return {
        FOLDER / "gradients.ipynb": notebook(solutions=False),
        FOLDER / "gradients_solutions.ipynb": notebook(solutions=True),
    }


def cells(path: Path) -> list[Any]:
    """The code cells of a notebook, as text."""
    import nbformat

    return [c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]


if __name__ == "__main__":
    for path, text in written().items():
        path.write_text(text, encoding="utf-8", newline="\n")
        print(path.relative_to(FOLDER.parents[1]))
