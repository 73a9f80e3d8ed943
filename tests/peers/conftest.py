"""`programs.py` lies beside the tests and is imported by name; doubles are the default, as in chainrule."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="module")
def doubles() -> Iterator[None]:
    """torch with float64 as its default dtype, and on one thread."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
