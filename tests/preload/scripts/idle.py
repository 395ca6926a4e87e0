"""Makes and drops 300 MB of small objects, keeps 30 MB, and waits to be small again."""

from __future__ import annotations

import time
from pathlib import Path


def resident_mb() -> float:
    """Return this process's resident memory."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


start = resident_mb()
kept = [bytes(1000) for _ in range(30_000)]
live = resident_mb()
burst = [(i, str(i) * 10, [i]) for i in range(900_000)]
peak = resident_mb()
assert peak > live + 150, f"only {peak} MB"
del burst
bound = live * 1.25 + 8
deadline = time.monotonic() + 4
now = resident_mb()
while now > bound and time.monotonic() < deadline:
    time.sleep(0.05)
    now = resident_mb()
assert now <= bound, f"MB: {start=:.0f} {live=:.0f} {peak=:.0f}, after idling {now:.0f}"
