"""An explanation as a file: the ending of the name says in which form."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from chainrule.draw.page import Figure, Page, Section, Text
from chainrule.errors import ArgumentError

if TYPE_CHECKING:
    from chainrule.insight.explain import Explanation


def save(e: Explanation, path: str | os.PathLike[str]) -> None:
    """Write an explanation to a file."""
    target = Path(path)
    form = _FORMS.get(target.suffix.lower())
    if form is None:
        raise ArgumentError(
            f"an explanation has no form for {target.suffix or 'a name without ending'}", given=target.name,
            fix=f"use one of {', '.join(_FORMS)}, e.g. explain(L).save('L.html')",
        )  # fmt: skip
    target.write_text(form(e), encoding="utf-8")


def _page(e: Explanation) -> str:
    out = e.trace.output
    blocks = [
        Text(str(e), caption=f"explain({out})"),
        Figure(e.graph(), "Values flow to the right, gradients back.", wide=True),
    ]
    kept = Section("What is kept for backward", (Text(str(e.saved)),))
    return Page(f"How {out} was computed", "Each step with its value and its derivative, and what reaches each leaf.",
                (Section("Steps and gradients", tuple(blocks)), kept)).to_html()  # fmt: skip


_FORMS: dict[str, Callable[[Explanation], str]] = {
    ".html": _page,
    ".md": lambda e: e.markdown(),
    ".tex": lambda e: e.latex() + "\n",
    ".json": lambda e: json.dumps(e.to_json(), ensure_ascii=False, indent=1) + "\n",
    ".txt": lambda e: f"{e}\n",
}

__all__ = ["save"]
