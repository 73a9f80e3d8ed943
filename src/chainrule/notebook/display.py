"""A line of text in a notebook's output that is written over, in Jupyter, Colab and their kin."""

from __future__ import annotations

import html
import sys
from typing import Any


def in_notebook() -> bool:
    """Whether output goes to a notebook: an IPython with a kernel is running. Imports nothing."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
    return getattr(shell, "kernel", None) is not None


class Words:
    """One line as text, and as HTML that needs no style sheet."""

    def __init__(self, text: str) -> None:
        self.text = text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": self.text, "text/html": f"<pre>{html.escape(self.text)}</pre>"}

    def __repr__(self) -> str:
        return self.text


class Live:
    """An output of its own (one `display_id`): each `show` replaces what the last one wrote."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, text: str) -> None:
        """Write the line, or write it over."""
        if self._handle is not None:
            self._handle.update(Words(text))
            return
        from IPython.display import display

        self._handle = display(Words(text), display_id=True)
