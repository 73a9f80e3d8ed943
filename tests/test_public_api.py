"""The public surface, name by name: a change to it is a visible change of tests/public_api.txt.

Write the file anew with `python tests/test_public_api.py` and read the difference before it is committed.
"""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr

LIST = Path(__file__).with_name("public_api.txt")
MODULES = (
    "",
    "autograd",
    "cuda",
    "autograd.functional",
    "func",
    "linalg",
    "nn.functional",
    "optim",
    "special",
    "utils.checkpoint",
)


def names_of(module: str) -> list[str]:
    m = importlib.import_module(f"chainrule.{module}".rstrip("."))
    own = getattr(m, "__all__", None)
    found = own if own is not None else [n for n in vars(m) if not n.startswith("_")]
    extra = list(cr._LAZY) if not module else []
    kept = [n for n in [*found, *extra] if not inspect.ismodule(getattr(m, n)) and n != "annotations"]
    return sorted(set(kept))


def line(owner: object, prefix: str, name: str) -> str:
    thing = inspect.getattr_static(owner, name) if isinstance(owner, type) else getattr(owner, name)
    if isinstance(thing, property):
        return f"{prefix}{name}  property"
    if isinstance(thing, (np.dtype, float)):
        return f"{prefix}{name} = {thing!r}"
    if isinstance(thing, type):
        return f"{prefix}{name}  class"
    try:
        shown = inspect.signature(thing)
    except (TypeError, ValueError):
        return f"{prefix}{name}  {type(thing).__name__}"
    bare = shown.replace(
        return_annotation=inspect.Signature.empty,
        parameters=[p.replace(annotation=inspect.Parameter.empty) for p in shown.parameters.values()],
    )
    return f"{prefix}{name}{bare}"


def surface() -> str:
    lines = []
    for module in MODULES:
        m = importlib.import_module(f"chainrule.{module}".rstrip("."))
        lines += [line(m, f"{module}.".lstrip("."), n) for n in names_of(module)]
    methods = [n for n in dir(cr.Tensor) if not n.startswith("_")]
    lines += [line(cr.Tensor, "Tensor.", n) for n in sorted(methods)]
    return "\n".join(lines) + "\n"


def test_the_public_surface_is_the_one_that_is_written_down():
    assert surface() == LIST.read_text(encoding="utf-8")


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_says_what_it_does(module):
    m = importlib.import_module(f"chainrule.{module}".rstrip("."))
    silent = [
        n for n in names_of(module) if callable(getattr(m, n)) and not (getattr(m, n).__doc__ or "").strip()
    ]
    assert silent == []


def test_every_tensor_method_says_what_it_does():
    methods = [n for n in dir(cr.Tensor) if not n.startswith("_")]
    silent = [n for n in methods if not (inspect.getattr_static(cr.Tensor, n).__doc__ or "").strip()]
    assert [n for n in silent if n not in ("v", "n", "base")] == []


def test_a_name_that_is_not_there_is_refused_by_name():
    with pytest.raises(AttributeError, match="did you mean 'tensor'"):
        cr.tensr


if __name__ == "__main__":
    LIST.write_text(surface(), encoding="utf-8")
