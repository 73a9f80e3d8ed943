"""Every switch and limit, in one place, with its reason."""

from __future__ import annotations

import os
import sys

# "user" hides the package's frames in tracebacks; "full" shows them, for work on chainrule itself.
TRACEBACK = os.environ.get("CHAINRULE_TRACEBACK", "user")

# Provenance never keeps an array larger than this alive (bytes): one memory page, about 500 doubles.
KEEP_BYTES = 4096

# How far back an untracked result can tell its history: enough for a screenful of explanation.
HISTORY_DEPTH = 32

# How many operations the history of an untracked result may span: a wide one (a sum of 10⁶ terms) is cut off there.
HISTORY_SPAN = 4096


def _cache_dir() -> str | None:
    """The user's cache folder by the habits of the system; CHAINRULE_CACHE names another, "off" none."""
    named = os.environ.get("CHAINRULE_CACHE")
    if named is not None:
        return None if named in ("", "off") else named
    home = os.path.expanduser("~")
    if sys.platform == "darwin":
        folder = os.path.join(home, "Library", "Caches")
    elif os.name == "nt":
        folder = os.environ.get("LOCALAPPDATA") or home
    else:
        folder = os.environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache")
    return os.path.join(folder, "chainrule")


# Where compiled code is kept between processes.
CACHE_DIR = _cache_dir()

# "1": graphs are verified after every pass, and plans when they are made: so all programs are planned, and of what is
# on disk only object code is used. For work on chainrule itself.
VERIFY = os.environ.get("CHAINRULE_VERIFY", "") not in ("", "0")

# Threads of large compiled work; 0: as many as there are cores.
NUM_THREADS = int(os.environ.get("CHAINRULE_NUM_THREADS", "0") or 0)
