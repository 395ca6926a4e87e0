"""What a preloaded allocator costs before a program does anything: `python -c pass`; and what
`trimalloc run -c pass` costs from its first instruction to the program's last.

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
    words = [str(python), "-c", "pass"]
    return _time_once(words, allocator.environment(os.environ), allocator.name) | memory


def _measure_command(python: Path, allocator: Allocator) -> dict[str, float]:
    """As `_measure`; ours is started by the command that is installed beside the interpreter."""
    words = [str(python), "-c", "pass"]
    environment = allocator.environment(os.environ)
    if not allocator.is_peer:
        del environment["LD_PRELOAD"]
        words = [str(python.with_name("trimalloc")), "run", "-c", "pass"]
    return _time_once(words, environment, allocator.name)


def _time_once(words: list[str], environment: dict[str, str], name: str) -> dict[str, float]:
    start = time.perf_counter()
    pid = os.posix_spawn(words[0], words, environment)
    _, status, used = os.wait4(pid, 0)
    milliseconds = (time.perf_counter() - start) * 1000
    if status != 0:
        raise child.ChildFailedError(f"{' '.join(words)} under {name}: status {status}")
    return {"ms": milliseconds, "cpu_ms": (used.ru_utime + used.ru_stime) * 1000}


def make_suite(settings: Settings) -> Suite:
    """A row per interpreter, and one for each that has the command beside it."""
    found = interpreters(settings.pythons)
    programs = [
        Program(f"python -c pass{suffix}", functools.partial(_measure, python), version)
        for python, version, suffix in found
    ]
    programs += [
        Program(f"trimalloc run -c pass{suffix}", functools.partial(_measure_command, p), version)
        for p, version, suffix in found
        if p.with_name("trimalloc").exists()
    ]
    rounds = 40  # single starts differ by milliseconds, allocators by less than one
    return Suite("startup", tuple(programs), METRICS, False, rounds, shows_differences=True)
