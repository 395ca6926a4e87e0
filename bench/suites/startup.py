"""What a preloaded allocator costs before a program does anything: `python -c pass`.

Time is taken around the whole process, from outside; resident memory is read in a second process,
from inside, because what the kernel tells a parent about a child includes the parent's own.
"""

from __future__ import annotations

import functools
import os
import time
from pathlib import Path

from bench import child
from bench.allocators import Allocator
from bench.suites.base import Metric, Program, Settings, Suite
from bench.suites.python import interpreters

METRICS = (
    Metric("ms", "start to end of `python -c pass`", "ms"),
    Metric("cpu_ms", "processor time of the same", "ms"),
    Metric("rss_kib", "resident memory once started", "KiB"),
)

# Reads first, and only then imports what the proof needs.
_READ_MEMORY = """\
status = open('/proc/self/status').read()
rss = int(status.split('VmRSS:')[1].split()[0])
import json
from bench.python.proof import allocator_in_use
print(json.dumps({'metrics': {'rss_kib': rss}, 'proof': allocator_in_use()}))
"""


def _measure(python: Path, allocator: Allocator) -> dict[str, float]:
    memory = child.run(child.Command((str(python), "-c", _READ_MEMORY)), allocator)
    return _time_once(python, allocator) | memory


def _time_once(python: Path, allocator: Allocator) -> dict[str, float]:
    environment = allocator.environment(os.environ)
    start = time.perf_counter()
    pid = os.posix_spawn(python, [str(python), "-c", "pass"], environment)
    _, status, used = os.wait4(pid, 0)
    milliseconds = (time.perf_counter() - start) * 1000
    if status != 0:
        raise child.ChildFailedError(f"{python} -c pass under {allocator.name}: status {status}")
    return {"ms": milliseconds, "cpu_ms": (used.ru_utime + used.ru_stime) * 1000}


def make_suite(settings: Settings) -> Suite:
    """One row per interpreter."""
    programs = tuple(
        Program(f"python -c pass{suffix}", functools.partial(_measure, python), version)
        for python, version, suffix in interpreters(settings.pythons)
    )
    rounds = 40  # single starts differ by milliseconds, allocators by less than one
    return Suite("startup", programs, METRICS, False, rounds, shows_differences=True)
