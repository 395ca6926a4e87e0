"""Forks right after, and long after, the background thread had work. Run with DeprecationWarning as
an error: CPython 3.12 and later warn about any thread that exists at fork."""

from __future__ import annotations

import os
import time
from pathlib import Path


def burst() -> None:
    """Make and drop 60 MB, so that there is something to give back."""
    blocks = [bytes(3000) for _ in range(20000)]
    del blocks


def fork_and_wait() -> None:
    """Fork a child that uses memory itself."""
    child = os.fork()
    if child == 0:
        burst()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def tasks() -> int:
    """Return the number of native threads, ours included."""
    return len(list(Path("/proc/self/task").iterdir()))


seen = 0
for pause_s in (0.0, 0.02, 0.1, 0.3, 0.6, 0.0, 0.0):
    burst()
    time.sleep(pause_s)
    seen = max(seen, tasks())
    fork_and_wait()
assert seen == 2, f"the background thread was never running, or not alone: {seen}"
