"""Settings of all tests: quick and repeatable, unless a longer search is asked for.

A longer search:  make test ARGS=--hypothesis-profile=long
"""

import os
from importlib.util import find_spec

from hypothesis import HealthCheck, settings

os.environ.setdefault("MPLBACKEND", "agg")  # no test opens a window
os.environ.setdefault("CHAINRULE_VERIFY", "1")  # graphs after every pass, and plans

settings.register_profile("quick", max_examples=50, derandomize=True, database=None, deadline=None)
settings.register_profile(
    "long", max_examples=5000, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("quick")

# These compare with PyTorch and others, and run in an environment of their own: make test-peers
collect_ignore = [] if find_spec("torch") else ["peers"]


def pytest_report_header() -> str | None:
    return "tests/peers left out: PyTorch is not installed here (make test-peers)" if collect_ignore else None
