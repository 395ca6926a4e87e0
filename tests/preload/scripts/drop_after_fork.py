"""Drops what it holds right after a fork, and then waits: no call of its own wakes anybody, and
CPython 3.12 and later do not let the background thread come back at once."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

MIB = 1 << 20


def resident() -> int:
    """Return the resident memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


before = resident()
for size in (3000, 200_000, 100 * MIB):
    held = [b"x" * size for _ in range(100 * MIB // size)]
    child = os.fork()
    if child == 0:
        signal.pause()
    del held
    time.sleep(2)
    now = resident()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert now < before + 12 * MIB, f"{size}: {now // MIB} MiB instead of {before // MIB}"
