"""One browser for all tests of pages; where there is none they are skipped, and that is counted and said."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest


def _chromium() -> ModuleType:
    path = Path(__file__).with_name("chromium.py")
    spec = importlib.util.spec_from_file_location("chromium_for_tests", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def pytest_report_header() -> str | None:
    return (
        None
        if _chromium().find()
        else "tests/browser skipped: there is no Chromium here (apt-get install chromium)"
    )


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    module = _chromium()
    path = module.find()
    if path is None:
        pytest.skip("there is no Chromium here: pages were not rendered (apt-get install chromium)")
    try:
        opened = module.Browser(path)
    except (RuntimeError, OSError) as err:  # present, and unable to start here
        pytest.skip(f"Chromium does not start here: pages were not rendered ({err})")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def look() -> str:
    return Path(__file__).with_name("look.js").read_text(encoding="utf-8")
