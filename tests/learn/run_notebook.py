"""Run the code cells of a notebook as IPython does; prints a JSON list with what each cell showed.

python run_notebook.py FILE.ipynb
"""

from __future__ import annotations

import json
import sys
from typing import Any


def run(path: str) -> list[dict[str, Any]]:
    """Each code cell: source, whether it succeeded, what it printed, and the forms of its value."""
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell(config=config)
    with open(path, encoding="utf-8") as file:
        cells = json.load(file)["cells"]
    found = []
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        source = "".join(cell["source"])
        with capture_output() as captured:
            result = shell.run_cell(source, store_history=True)
        forms, _ = shell.display_formatter.format(result.result) if result.result is not None else ({}, {})
        found.append(
            {"source": source, "ok": result.success, "error": repr(result.error_in_exec or result.error_before_exec),
             "printed": captured.stdout, "text": forms.get("text/plain", ""), "forms": sorted(forms)}
        )  # fmt: skip
    return found


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1])))
