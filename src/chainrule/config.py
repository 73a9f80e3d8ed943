"""Every switch and limit, in one place, with its reason."""

from __future__ import annotations

import os

# "user" hides the package's frames in tracebacks; "full" shows them, for work on chainrule itself.
TRACEBACK = os.environ.get("CHAINRULE_TRACEBACK", "user")

# Provenance never keeps an array larger than this alive (bytes): one memory page, about 500 doubles.
KEEP_BYTES = 4096

# How far back an untracked result can tell its history: enough for a screenful of explanation.
HISTORY_DEPTH = 32

# How many operations the history of an untracked result may span: a wide one (a sum of 10⁶ terms) is cut off there.
HISTORY_SPAN = 4096
