"""The Python programs of bench/python, on one or several interpreters."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

from bench import child
from bench.allocators import Allocator
from bench.machine import version_of
from bench.suites.base import Metric, Program, Settings, Suite

METRICS = (
    Metric("cpu_s", "processor time", "s"),
    Metric("wall_s", "time by the clock", "s", shown=False),
    Metric("peak_kib", "peak resident memory", "MiB", 1024),
    Metric("drop_kib", "resident memory after the drop", "MiB", 1024),
    Metric("idle_1s_kib", "resident memory after 1 s idle", "MiB", 1024),
    Metric("idle_kib", "resident memory after 2 s idle", "MiB", 1024),
    Metric("start_kib", "resident memory before the work", "MiB", 1024, shown=False),
    Metric("minor_faults", "page faults", "", shown=False),
    Metric("idle_cpu_ms", "processor time of 2 s idle", "ms", shown=False),
)

PROGRAMS = (
    "json_churn",
    "object_graphs",
    "numpy_temporaries",
    "queue_buffers",
    "growth",
    "ast_churn",
    "sqlite_memory",
    "prefork",
    "thread_pool_service",
    "wide_thread_pool",
    "random_survivors",
    "text_pipeline",
    "expiring_cache",
    "dataframe",
)


def measure(python: Path, program: str, allocator: Allocator) -> dict[str, float]:
    """The figures of one module of bench/python."""
    argv = (str(python), "-m", f"bench.python.{program}")
    return child.run(child.Command(argv), allocator)


def interpreters(pythons: Sequence[Path]) -> list[tuple[Path, tuple[int, int], str]]:
    """Each interpreter with its version, and what to add to a row's name: its version where there
    are several.
    """
    found = []
    for python in pythons:
        text = version_of(python)
        major, minor = text.split(".")[:2]
        suffix = f" ({text})" if len(pythons) > 1 else ""
        found.append((python, (int(major), int(minor)), suffix))
    return found


def make_suite(settings: Settings) -> Suite:
    """Every program on every interpreter; rows name the version where there are several."""
    programs = tuple(
        Program(name + suffix, functools.partial(measure, python, name), version)
        for python, version, suffix in interpreters(settings.pythons)
        for name in PROGRAMS
    )
    return Suite("python", programs, METRICS, native=False, rounds=5)
