"""The random programs of `tests/peers` are used here too, without PyTorch."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "peers"))
