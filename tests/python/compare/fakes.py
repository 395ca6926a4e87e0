"""Comparisons without runs: made-up results for the tests of summaries and reports."""

from __future__ import annotations

from pathlib import Path

from trimalloc.comparison.allocators import Allocator, Missing
from trimalloc.comparison.machine import Machine
from trimalloc.comparison.rounds import Comparison
from trimalloc.comparison.run import RunResult, Task

MEBIBYTE = 1 << 20
OURS = Allocator("trimalloc-full", Path("/lib/libtrimalloc.so"), mode="full")
GLIBC = Allocator("glibc")
JEMALLOC = Allocator("jemalloc", Path("/lib/libjemalloc.so.2"))


def result(
    allocator: Allocator, peak: int, idle: int | None = None, round_: int = 0, **metrics: float
) -> RunResult:
    """A run that went well; sizes in MiB."""
    return RunResult(
        allocator.name,
        round_,
        exit_status=0,
        proof="proved",
        seconds=peak / 100,
        cpu_seconds=1.0,
        peak_bytes=peak * MEBIBYTE,
        idle_bytes=None if idle is None else idle * MEBIBYTE,
        metrics=metrics,
        phases=[(0.1, "burst"), (0.2, "quiet")],
        samples=[(0.0, MEBIBYTE), (0.15, peak * MEBIBYTE), (0.3, (idle or peak) * MEBIBYTE)],
    )


def comparison(*results: RunResult, command: tuple[str, ...] = ("program",)) -> Comparison:
    """Three allocators with these results; mimalloc is missing."""
    return Comparison(
        task=Task(command, idle_seconds=1.0, environment={}),
        rounds=1 + max((one.round for one in results), default=0),
        allocators=[OURS, GLIBC, JEMALLOC],
        missing=[Missing("mimalloc", "apt install libmimalloc2.0")],
        machine=Machine("a <fast> CPU", 2, 1 << 34, "6.1", "glibc 2.36", None, {"glibc": "2.36"}),
        started="2026-01-01T00:00:00+00:00",
        results=list(results),
    )
